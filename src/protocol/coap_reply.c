#include "protocol/coap_private.h"

#include <string.h>

/*
 * What comes back to a request of ours: its own response, a block of one, a
 * notification, or the wish to have it sent differently (another block size, an
 * Echo value, without the version options).
 */

#define OBSERVE_FRESH_MS 128000u /* RFC 7641, 3.4 */
#define RESTARTS_MAX     3u      /* of a body that changed while it came */

struct details {
        int content_format;
        struct span etag, echo;
        int64_t max_age_s, observe; /* -1: not said */
        bool has_block1, has_block2, more;
        uint32_t num1, num2;
        uint8_t szx1, szx2;
        bool bad_option;
};

static void take_option(struct details *d, const struct coap_option *o) {
        uint32_t number = 0;
        bool is_number = coap_option_uint(o->value, 4, &number);

        switch ((enum coap_option_number)o->number) {
        case COAP_OPTION_ETAG:
                if (o->value.n && o->value.n <= COAP_ETAG_MAX)
                        d->etag = o->value;
                break;
        case COAP_OPTION_OBSERVE:
                d->observe = is_number ? (int64_t)(number & 0xffffff) : -1;
                break;
        case COAP_OPTION_CONTENT_FORMAT:
                d->content_format = is_number && number <= INT16_MAX ? (int)number : COAP_FORMAT_NONE;
                break;
        case COAP_OPTION_MAX_AGE:
                d->max_age_s = is_number ? number : 60;
                break;
        case COAP_OPTION_BLOCK2:
                d->has_block2 = true;
                d->num2 = number >> 4;
                d->more = number >> 3 & 1;
                d->szx2 = number & 7;
                d->bad_option |= o->value.n > 3;
                break;
        case COAP_OPTION_BLOCK1:
                d->has_block1 = true;
                d->num1 = number >> 4;
                d->szx1 = number & 7;
                d->bad_option |= o->value.n > 3;
                break;
        case COAP_OPTION_ECHO:
                if (o->value.n <= COAP_ECHO_MAX)
                        d->echo = o->value;
                break;
        case COAP_OPTION_OCF_CONTENT_VERSION: /* critical, and understood: there is one version */
                break;
        case COAP_OPTION_IF_MATCH:
        case COAP_OPTION_URI_HOST:
        case COAP_OPTION_IF_NONE_MATCH:
        case COAP_OPTION_URI_PORT:
        case COAP_OPTION_URI_PATH:
        case COAP_OPTION_URI_QUERY:
        case COAP_OPTION_ACCEPT:
        case COAP_OPTION_PROXY_URI:
        case COAP_OPTION_PROXY_SCHEME:
        case COAP_OPTION_OCF_ACCEPT_VERSION: /* the reference puts it into answers */
        case COAP_OPTION_LOCATION_PATH:
        case COAP_OPTION_LOCATION_QUERY:
        case COAP_OPTION_SIZE2:
        case COAP_OPTION_SIZE1:
        case COAP_OPTION_NO_RESPONSE:
        case COAP_OPTION_REQUEST_TAG:
                break; /* no meaning in a response, or none that we use */
        }
}

static bool is_known(uint16_t number) {
        switch ((enum coap_option_number)number) {
        case COAP_OPTION_BLOCK1:
        case COAP_OPTION_BLOCK2:
        case COAP_OPTION_ACCEPT: /* the reference sends it with the last block (core.md 2.5) */
        case COAP_OPTION_OCF_ACCEPT_VERSION:
        case COAP_OPTION_OCF_CONTENT_VERSION:
                return true;
        case COAP_OPTION_IF_MATCH:
        case COAP_OPTION_URI_HOST:
        case COAP_OPTION_ETAG:
        case COAP_OPTION_IF_NONE_MATCH:
        case COAP_OPTION_OBSERVE:
        case COAP_OPTION_URI_PORT:
        case COAP_OPTION_LOCATION_PATH:
        case COAP_OPTION_URI_PATH:
        case COAP_OPTION_CONTENT_FORMAT:
        case COAP_OPTION_MAX_AGE:
        case COAP_OPTION_URI_QUERY:
        case COAP_OPTION_LOCATION_QUERY:
        case COAP_OPTION_SIZE2:
        case COAP_OPTION_PROXY_URI:
        case COAP_OPTION_PROXY_SCHEME:
        case COAP_OPTION_SIZE1:
        case COAP_OPTION_ECHO:
        case COAP_OPTION_NO_RESPONSE:
        case COAP_OPTION_REQUEST_TAG:
                break;
        }
        return !coap_option_is_critical(number);
}

static struct details read_details(const struct coap_message *m) {
        struct coap_option_reader reader = coap_option_begin(m);
        struct details d = { .content_format = COAP_FORMAT_NONE, .max_age_s = -1, .observe = -1 };
        struct coap_option o;

        while (coap_option_next(&reader, &o)) {
                d.bad_option |= !is_known(o.number);
                take_option(&d, &o);
        }
        return d;
}

/* ---- the other way ---- */

static void begin_again(struct coap_endpoint *ep, uint64_t now_ms, struct coap_client *c) {
        c->n_sent = 0;
        c->tag = (c->tag + 1) & 0xffffff;
        c->n_body_etag = 0;
        c->asks_rest = false;
        coap_account_drop(ep, c->account, &c->body);
        c->end = (struct coap_cursor){ 0 };
        coap_client_send(ep, now_ms, c);
}

/* Return: the largest block that is smaller than what was rejected; -1: there is none. */
static int smaller_block(const struct coap_client *c) {
        int szx = c->szx_block;

        if (c->n_sent) /* some take the first block only as far as their own go, and then miss the rest of it
                        */
                return c->szx1 < c->szx_first ? c->szx1 : -1;
        while (szx >= 0 && coap_block_size((uint8_t)szx) >= c->n_block)
                szx--;
        return szx;
}

/*
 * RFC 7959 has 4.13 for a peer that wants smaller blocks. Peers of little memory reject a long message
 * instead (IoTivity-Lite's server_block_linux: 16 bytes are all it takes). A rejected message was not acted
 * upon (RFC 7252, 4.2), and a body of which a block is missing neither: so it may go again, in smaller
 * blocks.
 */
bool coap_client_shrink(struct coap_endpoint *ep, uint64_t now_ms, struct coap_client *c) {
        int szx;

        if (c->state != CLIENT_SENT || !c->confirmable || c->multicast || c->body.n || !c->payload.n)
                return false;
        szx = smaller_block(c);
        if (szx < 0)
                return false;
        c->szx1 = (uint8_t)szx;
        begin_again(ep, now_ms, c);
        return true;
}

static bool is_without_version(struct coap_client *c, const struct coap_message *m) {
        return m->code == COAP_BAD_OPTION && c->ocf_version && !c->without_version && !c->multicast;
}

/* 4.01 with an Echo value: the peer wants to see it back (RFC 9175, 2.3). */
static bool takes_echo(struct coap_endpoint *ep, uint64_t now_ms, struct coap_client *c,
                       const struct coap_message *m, const struct details *d) {
        struct coap_cursor end = { 0 };
        uint8_t texts[COAP_TEXTS_MAX];
        struct coap_stretch with = { 0 };
        size_t n = c->texts.n;

        if (m->code != COAP_UNAUTHORIZED || !d->echo.n || c->n_echo || c->multicast)
                return false;
        coap_pages_copy(&ep->pages, c->texts, 0, texts, n);
        memcpy(texts + n, d->echo.data, d->echo.n);
        if (!coap_account_append(ep, now_ms, c->account, &with, &end, span_of(texts, n + d->echo.n)))
                return false;
        coap_account_drop(ep, c->account, &c->texts);
        c->texts = with;
        c->n_echo = (uint8_t)d->echo.n;
        return true;
}

/* ---- the body of the request ---- */

static bool goes_on(const struct coap_client *c) {
        return c->payload.n && c->n_sent + c->n_block < c->payload.n && !c->body.n;
}

/* The answer to one block that is not the last. Return: true when that was all it was. */
static bool take_block1(struct coap_endpoint *ep, uint64_t now_ms, struct coap_client *c,
                        const struct coap_message *m, const struct details *d) {
        if (m->code == COAP_REQUEST_ENTITY_TOO_LARGE && d->has_block1 && d->szx1 < c->szx_block) {
                c->szx1 = d->szx1; /* RFC 7959, 2.9.3: it wants smaller ones */
                begin_again(ep, now_ms, c);
                return true;
        }
        if (!goes_on(c) || !d->has_block1 || m->code >> 5 != 2)
                return false;
        if ((size_t)d->num1 * coap_block_size(d->szx1) != c->n_sent)
                return true; /* of an earlier block, late */
        c->n_sent += c->n_block;
        if (d->szx1 < c->szx_block)
                c->szx1 = d->szx1;
        coap_client_send(ep, now_ms, c);
        return true;
}

/* ---- the body of the response ---- */

static bool same_etag(const struct coap_client *c, const struct details *d) {
        return span_equal(span_of(c->body_etag, c->n_body_etag), d->etag);
}

/* An observation outlives a body that never holds still: the next notification, or registration, has its own.
 */
static void wait_for_another(struct coap_endpoint *ep, uint64_t now_ms, struct coap_client *c) {
        coap_client_answered(ep, now_ms, c);
        coap_account_drop(ep, c->account, &c->body);
        c->end = (struct coap_cursor){ 0 };
        c->asks_rest = false;
        c->n_restarts = 0;
        c->state = CLIENT_OBSERVING;
        coap_timer_set(&ep->timers, &c->timer, now_ms + 5000 + coap_endpoint_random_below(ep, 10000));
}

static void changed_midway(struct coap_endpoint *ep, uint64_t now_ms, struct coap_client *c) {
        if (c->observed && c->n_restarts >= RESTARTS_MAX) {
                wait_for_another(ep, now_ms, c);
                return;
        }
        if (coap_has_effect(c->method) || c->n_restarts >= RESTARTS_MAX) {
                coap_client_fail(ep, now_ms, c, COAP_FAILURE_BODY);
                return;
        }
        c->n_restarts++;
        begin_again(ep, now_ms, c);
}

enum body { BODY_WHOLE, BODY_PENDING };

static enum body fail_body(struct coap_endpoint *ep, uint64_t now_ms, struct coap_client *c,
                           enum coap_failure failure) {
        coap_client_fail(ep, now_ms, c, failure);
        return BODY_PENDING;
}

/* A block: what is whole stands in *payload, else the next one was asked for. */
static enum body take_block2(struct coap_endpoint *ep, uint64_t now_ms, struct coap_client *c,
                             const struct coap_message *m, const struct details *d, struct span *payload) {
        uint64_t offset = (uint64_t)d->num2 * coap_block_size(d->szx2);

        if (!offset && c->body.n && !c->observed)
                return BODY_PENDING; /* the first one once more */
        if (!offset && !d->more)
                return BODY_WHOLE;
        if (!offset) {
                coap_account_drop(ep, c->account, &c->body);
                c->end = (struct coap_cursor){ 0 };
                c->n_body_etag = (uint8_t)d->etag.n;
                if (d->etag.n)
                        memcpy(c->body_etag, d->etag.data, d->etag.n);
        } else if (offset < c->body.n) {
                return BODY_PENDING; /* late */
        } else if (offset > c->body.n && (c->observed || c->n_restarts)) {
                return BODY_PENDING; /* to a question that was given up for a newer one */
        } else if (offset > c->body.n) {
                return fail_body(ep, now_ms, c, COAP_FAILURE_BODY);
        } else if (!same_etag(c, d)) {
                changed_midway(ep, now_ms, c);
                return BODY_PENDING;
        }
        if ((d->more && (!m->payload.n || m->payload.n % coap_block_size(d->szx2))) ||
            c->body.n + m->payload.n > ep->config.limits.n_body)
                return fail_body(ep, now_ms, c, COAP_FAILURE_BODY);
        if (!coap_account_append(ep, now_ms, c->account, &c->body, &c->end, m->payload))
                return fail_body(ep, now_ms, c, COAP_FAILURE_FULL);
        if (d->more) {
                c->szx2 = d->szx2;
                c->asks_rest = c->observed;
                coap_client_send(ep, now_ms, c);
                return BODY_PENDING;
        }
        coap_pages_copy(&ep->pages, c->body, 0, ep->body, c->body.n);
        *payload = span_of(ep->body, c->body.n);
        return BODY_WHOLE;
}

/* ---- notifications ---- */

/* RFC 7641, 3.4: is it newer than what was seen? */
static bool is_news(const struct coap_client *c, uint64_t now_ms, uint32_t v2) {
        uint32_t v1 = c->sequence;

        if (!c->sequenced || c->partner->peer.stream || now_ms > c->sequence_ms + OBSERVE_FRESH_MS)
                return true;
        return v1 != v2 && ((v1 < v2 && v2 - v1 < 1u << 23) || (v1 > v2 && v1 - v2 > 1u << 23));
}

static bool take_observe(struct coap_client *c, uint64_t now_ms, const struct coap_message *m,
                         const struct details *d) {
        if (!c->observe || c->asks_rest)
                return true;
        if (d->observe < 0 || m->code >> 5 != 2) {
                c->observed = false; /* not granted, or over */
                return true;
        }
        if (!is_news(c, now_ms, (uint32_t)d->observe))
                return false;
        c->observed = c->sequenced = true;
        c->sequence = (uint32_t)d->observe;
        c->sequence_ms = now_ms;
        return true;
}

/* ---- to the caller ---- */

static void deliver(struct coap_endpoint *ep, uint64_t now_ms, struct coap_client *c,
                    const struct coap_peer *peer, const struct coap_message *m, const struct details *d,
                    struct span payload) {
        int64_t max_age_s = d->max_age_s < 0 ? 60 : d->max_age_s;
        uint64_t again_ms = (uint64_t)max_age_s * 1000 + 5000 + coap_endpoint_random_below(ep, 10000);

        ep->reply = (struct coap_reply){ .code = m->code,
                                         .content_format = d->content_format,
                                         .max_age_s = max_age_s,
                                         .payload = payload,
                                         .etag = d->etag,
                                         .observed = c->observed,
                                         .more = c->observed || c->multicast,
                                         .without_version = c->without_version };
        ep->replied = c;
        ep->replied_peer = *peer;
        coap_client_answered(ep, now_ms, c);
        coap_account_drop(ep, c->account, &c->body);
        c->end = (struct coap_cursor){ 0 };
        c->asks_rest = false;
        c->n_restarts = 0;
        if (c->multicast)
                return;
        c->state = c->observed ? CLIENT_OBSERVING : CLIENT_REPLIED;
        if (c->observed)
                coap_timer_set(&ep->timers, &c->timer, now_ms + again_ms);
        else
                coap_timer_unset(&ep->timers, &c->timer);
}

/* Is it an answer to what was asked last: the rest, or the whole? */
static bool is_expected(const struct coap_client *c, const struct coap_message *m) {
        bool of_rest = coap_client_asks_rest(m);

        if ((c->state == CLIENT_QUEUED && !c->observed) || c->state == CLIENT_REPLIED ||
            c->state == CLIENT_FAILED)
                return false;
        return of_rest == c->asks_rest || (c->observed && !of_rest);
}

bool coap_reply_take(struct coap_endpoint *ep, uint64_t now_ms, const struct coap_peer *peer,
                     const struct coap_message *m) {
        struct coap_client *c = coap_client_find_token(ep, peer, m);
        struct details d;
        struct span payload = m->payload;

        if (!c || !is_expected(c, m))
                return c && c->state != CLIENT_QUEUED;
        d = read_details(m);
        if (c->multicast && (d.bad_option || m->code >> 5 != 2))
                return true; /* one of many: the others are waited for */
        if (c->reliable && m->type == COAP_ACK)
                coap_reliable_free(ep, c->reliable);
        if (d.bad_option) {
                coap_client_fail(ep, now_ms, c, COAP_FAILURE_BAD_OPTION);
                return true;
        }
        if (is_without_version(c, m) || takes_echo(ep, now_ms, c, m, &d)) {
                c->without_version |= m->code == COAP_BAD_OPTION;
                begin_again(ep, now_ms, c);
                return true;
        }
        if (take_block1(ep, now_ms, c, m, &d) || !take_observe(c, now_ms, m, &d))
                return true;
        if (c->observed && c->asks_rest && !coap_client_asks_rest(m))
                c->asks_rest =
                        false; /* a newer notification: the rest of the old one is not wanted any more */
        if (d.has_block2 && m->code >> 5 == 2) {
                if (c->multicast && d.num2)
                        return true;
                if (c->multicast && d.more)
                        c = coap_client_split(ep, c, peer);
                if (!c || take_block2(ep, now_ms, c, m, &d, &payload) == BODY_PENDING)
                        return true;
        }
        deliver(ep, now_ms, c, peer, m, &d, payload);
        return true;
}
