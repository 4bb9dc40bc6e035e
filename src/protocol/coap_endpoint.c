#include "protocol/coap_private.h"

#include <string.h>

/* ---- small things for the other files ---- */

uint16_t coap_endpoint_next_mid(struct coap_endpoint *ep, struct coap_account *a) {
        return a ? a->next_mid++ : ep->next_mid++;
}

uint32_t coap_endpoint_random_below(struct coap_endpoint *ep, uint32_t n) {
        return n ? (uint32_t)((uint64_t)ep->config.random(ep->config.random_context) * n >> 32) : 0;
}

uint64_t coap_endpoint_peer_hash(const struct coap_endpoint *ep, const struct coap_peer *peer) {
        return coap_peer_equal(peer, &ep->hot_peer) ? ep->hot_hash
                                                    : coap_hash_bytes(ep->seed, peer, sizeof(*peer));
}

uint64_t coap_endpoint_mid_hash(const struct coap_endpoint *ep, const struct coap_peer *peer, uint16_t mid) {
        return coap_hash_mix(coap_endpoint_peer_hash(ep, peer), mid);
}

/* What does not fit any more is lost, as a network loses things. */
void coap_endpoint_send(struct coap_endpoint *ep, const struct coap_peer *to, struct span message) {
        if (to->stream && message.data == ep->message)
                message = coap_stream_frame(ep->message, message.n);
        if (!coap_outgoing_put(&ep->outgoing, to, message))
                ep->counts.n_refused_full++;
}

void coap_endpoint_send_empty(struct coap_endpoint *ep, const struct coap_peer *to, enum coap_type type,
                              uint16_t mid) {
        uint8_t bytes[4];
        struct coap_builder b = coap_build(bytes, sizeof(bytes), type, COAP_EMPTY, mid, NULL, 0);

        if (!to->stream) /* it has no acknowledgements */
                coap_endpoint_send(ep, to, writer_span(&b.w));
}

/* ---- time ---- */

static void expire(struct coap_endpoint *ep, uint64_t now_ms, struct coap_timer *t) {
        switch ((enum coap_timer_kind)t->kind) {
        case COAP_TIMER_RELIABLE:
                coap_reliable_expire(ep, now_ms, OCF_CONTAINER_OF(t, struct coap_reliable, timer));
                break;
        case COAP_TIMER_CLIENT:
                coap_client_expire(ep, now_ms, OCF_CONTAINER_OF(t, struct coap_client, timer));
                break;
        case COAP_TIMER_STREAM:
                coap_stream_expire(ep, now_ms, OCF_CONTAINER_OF(t, struct coap_stream, timer));
                break;
        }
}

/* Every timer that is due is set again, or goes. Nothing becomes due at the moment in which it was set. */
void coap_endpoint_tick(struct coap_endpoint *ep, uint64_t now_ms) {
        struct coap_timer *t;

        if (ep->ticked_ms == now_ms)
                return;
        ep->ticked_ms = now_ms;
        coap_exchange_tick(ep, now_ms);
        while ((t = coap_timer_first(&ep->timers)) && t->due_ms <= now_ms)
                expire(ep, now_ms, t);
        coap_body_tick(ep, now_ms);
        coap_upload_tick(ep, now_ms);
}

uint64_t coap_endpoint_deadline(const struct coap_endpoint *ep) {
        const struct list *const lists[] = { &ep->pending_unacknowledged, &ep->pending, &ep->remembered_con,
                                             &ep->remembered_non };
        const struct coap_timer *timer = coap_timer_first(&ep->timers);
        const struct list *first;
        uint64_t due = coap_leisure_deadline(ep);

        for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
                first = list_first(lists[i]);
                if (first)
                        due = ocf_min_u64(due, LIST_ENTRY(first, struct coap_exchange, due)->due_ms);
        }
        first = list_first(&ep->due_bodies);
        if (first)
                due = ocf_min_u64(due, LIST_ENTRY(first, struct coap_body, due)->due_ms);
        first = list_first(&ep->due_uploads);
        if (first)
                due = ocf_min_u64(due, LIST_ENTRY(first, struct coap_upload, due)->due_ms);
        return timer ? ocf_min_u64(due, timer->due_ms) : due;
}

/* ---- events and messages out ---- */

static void request_event(struct coap_endpoint *ep, struct coap_event *ret) {
        struct coap_exchange *x = ep->ready;

        ep->ready = NULL;
        ret->type = COAP_EVENT_REQUEST;
        ret->id = (uint64_t)coap_pool_index(&ep->exchanges, x) << 32 | x->slot.generation;
        ret->peer = x->shape.peer;
        ret->request = ep->details.request;
        ret->resource = ret->user = 0;
}

bool coap_endpoint_event(struct coap_endpoint *ep, uint64_t now_ms, struct coap_event *ret) {
        coap_endpoint_tick(ep, now_ms);
        if (!ep->ready && !list_is_empty(&ep->waiting))
                coap_leisure_raise(ep, now_ms);
        if (ep->ready) {
                request_event(ep, ret);
                return true;
        }
        ret->type = COAP_EVENT_NONE;
        return coap_client_event(ep, now_ms, ret) || coap_observer_event(ep, ret) ||
               coap_stream_event(ep, now_ms, ret);
}

size_t coap_endpoint_transmit(struct coap_endpoint *ep, uint64_t now_ms, struct coap_peer *ret_to,
                              uint8_t *buf, size_t n) {
        size_t n_message;

        coap_endpoint_tick(ep, now_ms);
        n_message = coap_outgoing_take(&ep->outgoing, ret_to, buf, n);
        if (n_message)
                ep->counts.n_sent++;
        return n_message;
}

/* ---- addresses that go ---- */

static bool uses(const struct coap_peer *p, const uint8_t *ip, uint32_t interface) {
        if (ip && memcmp(p->local_ip, ip, 16) != 0)
                return false;
        return ip ? !interface || !p->interface || p->interface == interface : p->interface == interface;
}

/* Everything of a pool that is in use. */
#define FOR_EACH_USED(type, x, pool)                                                                         \
        for (uint32_t i_##x = 0; i_##x < (pool)->n_fresh; i_##x++)                                           \
                for (type *x = coap_pool_used(pool, i_##x); x; x = NULL)

static void forget_asks(struct coap_endpoint *ep, uint64_t now_ms, const uint8_t *ip, uint32_t interface) {
        FOR_EACH_USED(struct coap_client, c, &ep->clients)
        if (uses(&c->partner->peer, ip, interface))
                coap_client_fail(ep, now_ms, c, COAP_FAILURE_CLOSED);
}

void coap_endpoint_forget_local(struct coap_endpoint *ep, uint64_t now_ms, const uint8_t *ip,
                                uint32_t interface) {
        FOR_EACH_USED(struct coap_observer, o, &ep->observers)
        if (uses(&o->peer, ip, interface)) {
                coap_observer_free(ep, o);
                break;
        }
        forget_asks(ep, now_ms, ip, interface);
        FOR_EACH_USED(struct coap_reliable, r, &ep->reliables)
        if (uses(&r->peer, ip, interface)) {
                coap_reliable_free(ep, r);
                break;
        }
        FOR_EACH_USED(struct coap_exchange, x, &ep->exchanges)
        if (uses(&x->shape.peer, ip, interface)) {
                coap_exchange_free(ep, x);
                break;
        }
        LIST_FOR_EACH_SAFE(i, &ep->waiting) {
                struct coap_delayed *d = LIST_ENTRY(i, struct coap_delayed, link);

                if (uses(&d->peer, ip, interface)) {
                        list_unlink(i);
                        coap_pool_give(&ep->delayed, d);
                }
        }
}

void coap_endpoint_session_closed(struct coap_endpoint *ep, uint64_t now_ms, const struct coap_peer *peer) {
        coap_body_forget(ep, peer->channel);
        coap_upload_forget(ep, peer->channel);
        coap_observer_forget(ep, peer);
        coap_client_forget(ep, now_ms, peer);
        FOR_EACH_USED(struct coap_reliable, r, &ep->reliables)
        if (coap_peer_equal(&r->peer, peer)) {
                coap_reliable_free(ep, r);
                break;
        }
        FOR_EACH_USED(struct coap_exchange, x, &ep->exchanges)
        if (coap_peer_equal(&x->shape.peer, peer)) {
                coap_exchange_free(ep, x);
                break;
        }
}

void coap_endpoint_counts(const struct coap_endpoint *ep, struct coap_counts *ret) {
        *ret = ep->counts;
        ret->n_exchanges = ep->exchanges.n_used;
        ret->n_observers = ep->observers.n_used;
        ret->n_delayed = ep->delayed.n_used;
        ret->n_pages = ep->pages.n_used;
        ret->n_outgoing = ep->outgoing.n_messages;
        ret->n_asks = ep->clients.n_used;
        ret->n_streams = ep->streams.n_used;
        ret->n_uploads = ep->uploads.n_used;
}
