#include "protocol/coap_private.h"

#include <string.h>

/*
 * Multicast requests: heard once, though they come over several groups and
 * interfaces, and answered at leisure, so that a whole network does not answer at
 * once (RFC 7252, 8.2; core.md 2.4).
 */

static bool is_doxm(const struct coap_request *r) {
        return span_equal(r->path, SPAN_LITERAL("/oic/sec/doxm"));
}

static void wait_for_leisure(struct coap_endpoint *ep, uint64_t now_ms, const struct coap_peer *peer,
                             unsigned via, struct span data) {
        uint32_t leisure = is_doxm(&ep->details.request) ? ep->config.leisure_doxm_ms : ep->config.leisure_ms;
        struct coap_delayed *d = data.n <= COAP_DELAYED_MAX ? coap_pool_take(&ep->delayed) : NULL;

        if (!d) {
                ep->counts.n_refused_full++;
                return;
        }
        d->peer = *peer;
        d->via = (uint8_t)via;
        d->due_ms = now_ms + coap_endpoint_random_below(ep, leisure + 1);
        d->n = (uint16_t)data.n;
        memcpy(d->datagram, data.data, data.n);
        list_link_tail(&ep->waiting, &d->link);
}

void coap_leisure_take(struct coap_endpoint *ep, uint64_t now_ms, const struct coap_peer *peer,
                       const struct coap_message *m, unsigned via, struct span data) {
        struct coap_peer key = *peer;
        uint64_t hash;

        if (m->type != COAP_NON || m->code != COAP_GET)
                return;
        memset(key.local_ip, 0, sizeof(key.local_ip));
        key.interface = 0;
        hash = coap_endpoint_mid_hash(ep, &key, m->mid) ^ coap_hash_bytes(ep->seed + 1, m->token, m->n_token);
        if (coap_seen_before(ep, now_ms, hash))
                return;
        coap_parse_request(&ep->details, m, false, &ep->scratch);
        if (!ep->details.refusal)
                wait_for_leisure(ep, now_ms, peer, via, data);
}

static struct coap_delayed *next_delayed(const struct coap_endpoint *ep) {
        struct coap_delayed *next = NULL;

        LIST_FOR_EACH(i, &ep->waiting) { /* there are few */
                struct coap_delayed *d = LIST_ENTRY(i, struct coap_delayed, link);

                if (!next || d->due_ms < next->due_ms)
                        next = d;
        }
        return next;
}

uint64_t coap_leisure_deadline(const struct coap_endpoint *ep) {
        const struct coap_delayed *d = next_delayed(ep);

        return d ? d->due_ms : OCF_NEVER;
}

/* The event points into the slot: it is given back, but nothing is written there before the event was dealt
 * with. */
void coap_leisure_raise(struct coap_endpoint *ep, uint64_t now_ms) {
        struct coap_delayed *d = next_delayed(ep);
        struct coap_message m;
        struct coap_shape shape;
        struct span data;

        if (!d || d->due_ms > now_ms)
                return;
        data = span_of(d->datagram, d->n);
        list_unlink(&d->link);
        if (coap_message_parse(&m, data) == 0) { /* as it did when it came */
                shape = coap_request_read(ep, &d->peer, &m, d->via, data.n);
                shape.wants_observe = false;
                coap_request_accept(ep, now_ms, &shape, coap_hash_bytes(ep->seed, data.data, data.n));
        }
        coap_pool_give(&ep->delayed, d);
}
