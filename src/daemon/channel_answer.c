#include "base/memory.h"
#include "daemon/channel_private.h"
#include "protocol/rep.h"

#include <string.h>

/*
 * What an application says through its channel. Whatever is not as the protocol has
 * it ends the channel; an answer that does not fit its request is Failed, and the
 * peer learns no more.
 */

static struct channel_call *call_find(struct channel *c, uint64_t id) {
        LIST_FOR_EACH(i, &c->calls) { /* most are answered in their order */
                struct channel_call *k = LIST_ENTRY(i, struct channel_call, link);

                if (k->id == id)
                        return k->packet ? NULL : k; /* not sent yet: it cannot know */
        }
        return NULL;
}

/* ---- answers ---- */

static uint8_t usual_code(const struct call *call) {
        switch (call->request.method) {
        case COAP_GET:
                return COAP_CONTENT;
        case COAP_DELETE:
                return COAP_DELETED;
        default: /* updates, and creations by one of the interfaces */
                return call->interface == INTERFACE_CREATE ? COAP_CREATED : COAP_CHANGED;
        }
}

static bool take_code(int64_t code, uint8_t *ret) {
        if (code < 0)
                return true;
        if (code != COAP_CREATED && code != COAP_DELETED && code != COAP_CHANGED && code != COAP_CONTENT)
                return false;
        if ((code == COAP_CONTENT) != (*ret == COAP_CONTENT))
                return false;
        *ret = (uint8_t)code;
        return true;
}

/* Bytes of another format stand in the value as a byte string, as on the bus. A retrieve wants a value. */
static bool take_value(struct channels *all, struct span value, const struct call *call,
                       struct ocf_response *ret) {
        struct writer w = writer_on(all->value, CHANNEL_VALUE_MAX);

        if (!value.data)
                return ret->raw_format == COAP_FORMAT_NONE && call->request.method != COAP_GET;
        if (rep_normalise(value, &w))
                return false;
        if (ret->raw_format == COAP_FORMAT_NONE) {
                ret->rep = writer_span(&w);
                return true;
        }
        return rep_as_bytes(writer_span(&w), &ret->raw);
}

static bool read_answer(struct channels *all, const struct channel_packet *p, const struct channel_call *k,
                        struct ocf_response *ret) {
        struct span value = k->value ? span_of(k->value, k->n_value) : p->value;

        *ret = OCF_RESPONSE_OK(usual_code(k->call));
        if (p->content_format > UINT16_MAX || p->max_age_s > UINT32_MAX || !take_code(p->code, &ret->code))
                return false;
        ret->raw_format = p->content_format < 0 ? COAP_FORMAT_NONE : (int)p->content_format;
        ret->max_age_s = p->max_age_s;
        return take_value(all, value, k->call, ret);
}

static void on_answer(struct channel *c, const struct channel_packet *p, struct channel_call *k) {
        struct ocf_response response;

        if (read_answer(c->all, p, k, &response))
                channel_finish(c, k, &response);
        else
                channel_finish_with_fault(c, k, FAULT_FAILED,
                                          "The application's answer is not what a channel takes");
}

/* Cut between characters: a peer's diagnostic is text as well. */
static void copy_text(char *to, size_t n_to, struct span text) {
        size_t n = ocf_min_size(text.n, n_to - 1);

        while (n && n < text.n && (text.data[n] & 0xc0) == 0x80)
                n--;
        memcpy(to, text.data, n);
        to[n] = 0;
}

static void on_fault(struct channel *c, const struct channel_packet *p, struct channel_call *k) {
        char name[64], text[256];

        copy_text(name, sizeof(name), p->name);
        copy_text(text, sizeof(text), p->text);
        channel_finish_with_fault(c, k, fault_by_name(name), text[0] ? text : NULL);
}

static size_t n_parts_of(const struct channels *all, uint32_t uid) {
        size_t n = 0;

        LIST_FOR_EACH(i, &all->list) {
                const struct channel *c = LIST_ENTRY(i, struct channel, link);

                n += c->uid == uid ? c->n_parts : 0;
        }
        return n;
}

static void on_part(struct channel *c, const struct channel_packet *p, struct channel_call *k) {
        size_t n = p->value.n;

        if (n > CHANNEL_VALUE_MAX - k->n_value) {
                channel_finish_with_fault(c, k, FAULT_FAILED,
                                          "The application's answer is larger than 1 MiB");
                return;
        }
        if (n > UID_PARTS_MAX - n_parts_of(c->all, c->uid) ||
            !ocf_grow((void **)&k->value, k->n_value, k->n_value + n + 1, 1)) {
                channel_finish_with_fault(c, k, FAULT_BUSY,
                                          "Too many long answers are under way: try again shortly");
                return;
        }
        memcpy(k->value + k->n_value, p->value.data, n);
        k->n_value += n;
        c->n_parts += n;
}

/* False: it is no packet of this protocol. */
bool channel_take_packet(struct channel *c, struct span bytes) {
        struct writer w = writer_on(c->all->packet, CHANNEL_PACKET_MAX);
        struct channel_packet p;
        struct channel_call *k;

        if (rep_normalise(bytes, &w) || channel_packet_read(&p, writer_span(&w)) ||
            p.kind == CHANNEL_REQUEST || p.id > c->last_id)
                return false;
        k = call_find(c, p.id);
        if (!k) { /* too late: nobody waits any more */
                c->n_owed -= c->n_owed && p.kind != CHANNEL_PART;
                return true;
        }
        if (p.kind == CHANNEL_ANSWER)
                on_answer(c, &p, k);
        else if (p.kind == CHANNEL_FAULT)
                on_fault(c, &p, k);
        else
                on_part(c, &p, k);
        return true;
}
