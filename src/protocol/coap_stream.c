#include "protocol/coap_private.h"

#include <string.h>

/*
 * Connections (RFC 8323): made and ended, and where one message ends and the next
 * begins. What a message asks for is nobody's business here.
 */

#define MESSAGE_SIZE_BASE 1152u /* until its CSM says otherwise (RFC 8323, 5.3.1) */
#define OVERHEAD          128u  /* header, token and options of an answer */
#define HEADER_MAX        6u

static uint64_t hash_of(const struct coap_endpoint *ep, const struct coap_peer *peer) {
        return coap_hash_bytes(ep->seed, &peer->channel, sizeof(peer->channel));
}

static struct coap_stream *find(const struct coap_endpoint *ep, const struct coap_peer *peer) {
        uint64_t hash = hash_of(ep, peer);

        for (struct coap_hash_node *n = coap_hash_first(&ep->by_stream, hash); n; n = n->next) {
                struct coap_stream *s = OCF_CONTAINER_OF(n, struct coap_stream, node);

                if (s->peer.channel == peer->channel)
                        return s;
        }
        return NULL;
}

bool coap_stream_is_open(const struct coap_endpoint *ep, const struct coap_peer *peer) {
        const struct coap_stream *s = find(ep, peer);

        return s && !s->closing;
}

bool coap_stream_is_ready(const struct coap_endpoint *ep, const struct coap_peer *peer) {
        const struct coap_stream *s = find(ep, peer);

        return s && s->csm;
}

/* ---- out ---- */

struct span coap_stream_frame(uint8_t *message, size_t n) {
        uint8_t n_token = message[0] & 15, code = message[1];
        uint32_t length = (uint32_t)(n - 4 - n_token);
        struct writer w = writer_on(message, 4);

        if (length < 13) {
                w = writer_on(message + 2, 2);
                writer_put_u8(&w, (uint8_t)(length << 4 | n_token));
        } else if (length < 269) {
                w = writer_on(message + 1, 3);
                writer_put_u8(&w, (uint8_t)(13 << 4 | n_token));
                writer_put_u8(&w, (uint8_t)(length - 13));
        } else { /* ours are shorter than 65805 */
                writer_put_u8(&w, (uint8_t)(14 << 4 | n_token));
                writer_put_u16(&w, (uint16_t)(length - 269));
        }
        writer_put_u8(&w, code);
        return span_of(w.data, w.n + n - 4);
}

struct coap_room coap_stream_room(const struct coap_endpoint *ep, const struct coap_peer *peer) {
        const struct coap_stream *s = find(ep, peer);
        size_t n = ocf_min_size(s ? s->n_max_message : MESSAGE_SIZE_BASE, COAP_TRANSMIT_MAX);
        struct coap_room room = { n > OVERHEAD ? n - OVERHEAD : 16, 6 };

        if (s && s->block_wise && room.n >= 2048)
                room.szx = 7;
        while (room.szx && room.szx < 7 && coap_block_size(room.szx) > room.n)
                room.szx--;
        return room;
}

/* ---- made, and ended ---- */

static void stream_free(struct coap_endpoint *ep, uint64_t now_ms, struct coap_stream *s) {
        const struct coap_peer peer = s->peer;

        coap_timer_unset(&ep->timers, &s->timer);
        coap_account_drop(ep, s->account, &s->partial);
        s->account->n_asks--;
        coap_account_release(ep, s->account);
        coap_hash_unlink(&ep->by_stream, &s->node);
        list_unlink(&s->link);
        coap_pool_give(&ep->streams, s);
        coap_body_forget(ep, peer.channel);
        coap_upload_forget(ep, peer.channel);
        coap_observer_forget(ep, &peer);
        coap_client_forget(ep, now_ms, &peer);
}

int coap_endpoint_stream_open(struct coap_endpoint *ep, uint64_t now_ms, const struct coap_peer *peer) {
        struct coap_stream *s = find(ep, peer);
        struct coap_account *a;

        if (s) /* a number that is used again belongs to the new one */
                stream_free(ep, now_ms, s);
        a = coap_account_obtain(ep, peer);
        s = a ? coap_pool_take(&ep->streams) : NULL;
        if (!s) {
                if (a)
                        coap_account_release(ep, a);
                return COAP_E_FULL;
        }
        s->peer = *peer;
        s->account = a;
        a->n_asks++;
        s->n_max_message = MESSAGE_SIZE_BASE;
        list_init(&s->link);
        coap_hash_link(&ep->by_stream, &s->node, hash_of(ep, peer));
        s->timer.kind = COAP_TIMER_STREAM;
        coap_timer_set(&ep->timers, &s->timer, now_ms + ep->config.csm_timeout_ms);
        coap_signal_csm(ep, s);
        return 0;
}

void coap_endpoint_stream_closed(struct coap_endpoint *ep, uint64_t now_ms, const struct coap_peer *peer) {
        struct coap_stream *s = find(ep, peer);

        if (s)
                stream_free(ep, now_ms, s);
}

/* The caller hears of it with the next event. */
void coap_stream_close_soon(struct coap_endpoint *ep, struct coap_stream *s) {
        s->closing = true;
        coap_timer_unset(&ep->timers, &s->timer);
        if (!list_is_linked(&s->link))
                list_link_tail(&ep->closing, &s->link);
}

void coap_endpoint_stream_release(struct coap_endpoint *ep, uint64_t now_ms, const struct coap_peer *peer) {
        struct coap_stream *s = find(ep, peer);

        if (!s || s->closing)
                return;
        coap_signal_release(ep, s);
        coap_stream_close_soon(ep, s);
}

void coap_stream_expire(struct coap_endpoint *ep, uint64_t now_ms, struct coap_stream *s) {
        if (s->csm)
                coap_stream_close_soon(ep, s); /* it was released long enough ago */
        else
                coap_signal_abort(ep, s, 0, "No CSM came");
}

bool coap_stream_event(struct coap_endpoint *ep, uint64_t now_ms, struct coap_event *ret) {
        struct list *first = list_first(&ep->closing);
        struct coap_stream *s;

        if (!first)
                return false;
        s = LIST_ENTRY(first, struct coap_stream, link);
        *ret = (struct coap_event){ .type = COAP_EVENT_CLOSE, .peer = s->peer };
        stream_free(ep, now_ms, s);
        return true;
}

void coap_stream_count(struct coap_endpoint *ep, const struct coap_peer *peer, int n) {
        struct coap_stream *s = find(ep, peer);

        if (!s)
                return;
        s->n_pending = n > 0 ? s->n_pending + 1 : s->n_pending - (s->n_pending > 0);
        if (s->released && !s->n_pending)
                coap_stream_close_soon(ep, s);
}

/* ---- in ---- */

static void on_message(struct coap_endpoint *ep, uint64_t now_ms, struct coap_stream *s,
                       const struct coap_message *m, size_t n) {
        uint8_t class = m->code >> 5;

        ep->counts.n_received++;
        if (!s->csm && m->code != COAP_CSM)
                coap_signal_abort(ep, s, 0, "The first message must be a CSM");
        else if (class == 7)
                coap_signal_take(ep, now_ms, s, m);
        else if (class == 0 && m->code && !s->released)
                coap_receive_request(ep, now_ms, &s->peer, m, 0, n, 0);
        else if (class >= 2 && class <= 5)
                (void)coap_reply_take(ep, now_ms, &s->peer, m);
}

struct header {
        size_t n;       /* of the part before the token; 0: more bytes are needed to tell */
        size_t n_total; /* of the whole message */
        uint8_t n_token, code;
};

static struct header read_header(struct span s) {
        static const uint8_t extended[] = { [13] = 1, [14] = 2, [15] = 4 };
        struct header h = { 0 };
        uint64_t length;
        size_t n_extended;

        if (!s.n)
                return h;
        length = s.data[0] >> 4;
        n_extended = length >= 13 ? extended[length] : 0;
        if (s.n < 2 + n_extended)
                return h;
        if (n_extended) {
                length = 0;
                for (size_t i = 0; i < n_extended; i++)
                        length = length << 8 | s.data[1 + i];
                length += n_extended == 1 ? 13 : n_extended == 2 ? 269 : 65805;
        }
        h.n = 2 + n_extended;
        h.n_token = s.data[0] & 15;
        h.code = s.data[1 + n_extended];
        h.n_total = h.n + h.n_token + (size_t)length;
        return h;
}

/* A header that cannot be followed ends the connection: nobody knows where the next message begins. */
static bool is_sound(struct coap_endpoint *ep, struct coap_stream *s, const struct header *h) {
        if (h->n_token > COAP_TOKEN_MAX)
                coap_signal_abort(ep, s, 0, "A token has at most 8 bytes");
        else if (h->n_total > ep->config.limits.n_stream_message)
                coap_signal_abort(ep, s, 0, "The message is longer than our Max-Message-Size");
        return !s->closing;
}

static void take_message(struct coap_endpoint *ep, uint64_t now_ms, struct coap_stream *s,
                         const struct header *h, struct span whole) {
        struct coap_message m;
        int r = coap_message_parse_stream(&m, h->code, h->n_token,
                                          span_of(whole.data + h->n, whole.n - h->n));

        if (r) {
                ep->counts.n_malformed++;
                coap_signal_abort(ep, s, 0, "The message is malformed");
                return;
        }
        on_message(ep, now_ms, s, &m, whole.n);
}

static bool keep(struct coap_endpoint *ep, uint64_t now_ms, struct coap_stream *s, struct span bytes) {
        if (coap_account_append(ep, now_ms, s->account, &s->partial, &s->end, bytes))
                return true;
        coap_signal_abort(ep, s, 0, "No room for this message now");
        return false;
}

/* What is here of a message: the part kept from before, and how many more bytes would tell or end it. */
static size_t n_wanted(struct coap_endpoint *ep, struct coap_stream *s, struct header *ret) {
        uint8_t head[HEADER_MAX];
        size_t n = ocf_min_size(s->partial.n, sizeof(head));

        coap_pages_copy(&ep->pages, s->partial, 0, head, n);
        *ret = read_header(span_of(head, n));
        return ret->n ? ret->n_total - s->partial.n : 1;
}

/* Adds to a message of which a part is kept. Returns how many bytes it took. */
static size_t add_to_partial(struct coap_endpoint *ep, uint64_t now_ms, struct coap_stream *s,
                             struct span data) {
        struct header h;
        size_t n = ocf_min_size(n_wanted(ep, s, &h), data.n);

        if (!keep(ep, now_ms, s, span_of(data.data, n)) || (n_wanted(ep, s, &h) && !h.n) ||
            !is_sound(ep, s, &h) || s->partial.n < h.n_total)
                return n;
        coap_pages_copy(&ep->pages, s->partial, 0, ep->stream_message, s->partial.n);
        h.n_total = s->partial.n;
        coap_account_drop(ep, s->account, &s->partial);
        s->end = (struct coap_cursor){ 0 };
        take_message(ep, now_ms, s, &h, span_of(ep->stream_message, h.n_total));
        return n;
}

static size_t take_some(struct coap_endpoint *ep, uint64_t now_ms, struct coap_stream *s, struct span data) {
        struct header h;

        if (s->partial.n)
                return add_to_partial(ep, now_ms, s, data);
        h = read_header(data);
        if (h.n && !is_sound(ep, s, &h))
                return data.n;
        if (!h.n || h.n_total > data.n) {
                (void)keep(ep, now_ms, s, data);
                return data.n;
        }
        take_message(ep, now_ms, s, &h, span_of(data.data, h.n_total));
        return h.n_total;
}

size_t coap_endpoint_stream_receive(struct coap_endpoint *ep, uint64_t now_ms, const struct coap_peer *peer,
                                    struct span data) {
        struct coap_stream *s = find(ep, peer);
        size_t n = 0;

        coap_endpoint_tick(ep, now_ms);
        while (n < data.n) {
                if (!s || s->closing)
                        return data.n;
                if (ep->ready || ep->replied || !coap_endpoint_has_room(ep))
                        break;
                n += take_some(ep, now_ms, s, span_of(data.data + n, data.n - n));
        }
        return n;
}
