#include "protocol/coap_private.h"

#include <string.h>

/*
 * Deduplication (RFC 7252, 4.5; the design's table). A request with an effect is
 * remembered after its answer: for a CON the answer is sent again, a NON is
 * dropped. A CON GET is known only while it is pending, then it is simply run
 * again. The hash of the bytes tells a repetition from a new request of a fast
 * client that uses an id again too early.
 */

bool coap_has_effect(uint8_t method) {
        return method != COAP_GET && method != COAP_FETCH;
}

/*
 * A table of all that is remembered is far from any cache. So one that is answered
 * at once never gets into it, and where nothing is pending a GET cannot be there.
 */
static void link_last(struct coap_endpoint *ep) {
        struct coap_exchange *x = ep->unlinked;

        if (!x)
                return;
        ep->unlinked = NULL;
        coap_hash_link(&ep->by_exchange, &x->node, coap_endpoint_mid_hash(ep, &x->shape.peer, x->shape.mid));
}

struct coap_exchange *coap_exchange_find(struct coap_endpoint *ep, const struct coap_peer *peer,
                                         uint8_t method, uint16_t mid, uint64_t bytes_hash) {
        uint64_t hash;

        link_last(ep);
        if (!ep->n_pending && !coap_has_effect(method))
                return NULL;
        hash = coap_endpoint_mid_hash(ep, peer, mid);
        for (struct coap_hash_node *n = coap_hash_first(&ep->by_exchange, hash); n; n = n->next) {
                struct coap_exchange *x = OCF_CONTAINER_OF(n, struct coap_exchange, node);

                if (n->hash == hash && x->bytes_hash == bytes_hash && x->shape.mid == mid &&
                    coap_peer_equal(&x->shape.peer, peer))
                        return x;
        }
        return NULL;
}

static void wait_in(struct list *l, struct coap_exchange *x, uint64_t due_ms) {
        if (list_is_linked(&x->due))
                list_unlink(&x->due);
        x->due_ms = due_ms;
        list_link_tail(l, &x->due);
}

struct coap_exchange *coap_exchange_new(struct coap_endpoint *ep, uint64_t now_ms,
                                        const struct coap_shape *shape, uint64_t bytes_hash) {
        struct coap_account *a = coap_account_obtain(ep, &shape->peer);
        struct coap_exchange *x;

        if (!a)
                return NULL;
        link_last(ep);
        x = a->n_exchanges < ep->config.limits.n_exchanges_per_peer ? coap_pool_take(&ep->exchanges) : NULL;
        if (!x) {
                coap_account_release(ep, a);
                return NULL;
        }
        a->n_exchanges++;
        x->account = a;
        x->shape = *shape;
        x->bytes_hash = bytes_hash;
        list_init(&x->due);
        ep->n_pending++;
        if (shape->peer.stream) /* nothing comes twice there, and there are no message ids */
                coap_stream_count(ep, &shape->peer, 1);
        else
                ep->unlinked = x;
        if (shape->confirmable)
                wait_in(&ep->pending_unacknowledged, x, now_ms + ep->config.processing_ms);
        else
                wait_in(&ep->pending, x, now_ms + ep->config.exchange_lifetime_ms);
        return x;
}

void coap_exchange_free(struct coap_endpoint *ep, struct coap_exchange *x) {
        coap_account_drop(ep, x->account, &x->kept);
        x->account->n_exchanges--;
        coap_account_release(ep, x->account);
        if (ep->unlinked == x)
                ep->unlinked = NULL;
        else if (!x->shape.peer.stream)
                coap_hash_unlink(&ep->by_exchange, &x->node);
        if (x->state == EXCHANGE_PENDING)
                ep->n_pending--;
        list_unlink(&x->due);
        if (ep->ready == x)
                ep->ready = NULL;
        if (x->shape.peer.stream)
                coap_stream_count(ep, &x->shape.peer, -1);
        coap_pool_give(&ep->exchanges, x);
}

/*
 * What was refused with 4.xx had no effect, so there is nothing to remember: else
 * whoever may do nothing at all could fill the table, in anybody's name.
 */
static bool had_effect(const struct coap_shape *shape, uint8_t code) {
        return coap_has_effect(shape->method) && !shape->multicast && !shape->peer.stream && code >> 5 != 4;
}

void coap_exchange_done(struct coap_endpoint *ep, uint64_t now_ms, struct coap_exchange *x, uint8_t code,
                        struct span answer) {
        if (!had_effect(&x->shape, code)) {
                coap_exchange_free(ep, x);
                return;
        }
        coap_account_drop(ep, x->account, &x->kept);
        x->state = EXCHANGE_REMEMBERED;
        ep->n_pending--;
        if (!x->shape.confirmable) {
                wait_in(&ep->remembered_non, x, now_ms + ep->config.non_lifetime_ms);
                return;
        }
        /* Without room for the answer a repetition is still recognised; its sender gets no second effect but
         * silence. */
        if (!x->acknowledged && answer.n)
                (void)coap_account_keep(ep, x->account, answer, &x->kept);
        wait_in(&ep->remembered_con, x, now_ms + ep->config.exchange_lifetime_ms);
}

void coap_exchange_repeat(struct coap_endpoint *ep, struct coap_exchange *x) {
        ep->counts.n_duplicates++;
        if (x->acknowledged) {
                coap_endpoint_send_empty(ep, &x->shape.peer, COAP_ACK, x->shape.mid);
        } else if (x->state == EXCHANGE_REMEMBERED && x->kept.first) {
                coap_pages_copy(&ep->pages, x->kept, 0, ep->message, x->kept.n);
                coap_endpoint_send(ep, &x->shape.peer, span_of(ep->message, x->kept.n));
        }
}

static struct coap_exchange *first_due(struct list *l, uint64_t now_ms) {
        struct list *first = list_first(l);
        struct coap_exchange *x = first ? LIST_ENTRY(first, struct coap_exchange, due) : NULL;

        return x && x->due_ms <= now_ms ? x : NULL;
}

void coap_exchange_tick(struct coap_endpoint *ep, uint64_t now_ms) {
        struct list *const lists[] = { &ep->pending, &ep->remembered_con, &ep->remembered_non };
        struct coap_exchange *x;

        while ((x = first_due(&ep->pending_unacknowledged, now_ms))) {
                coap_endpoint_send_empty(ep, &x->shape.peer, COAP_ACK, x->shape.mid);
                x->acknowledged = true;
                wait_in(&ep->pending, x, now_ms + ep->config.exchange_lifetime_ms);
        }
        for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
                while ((x = first_due(lists[i], now_ms)))
                        coap_exchange_free(ep, x);
}

/* A small cache with four places for each key: the place that runs out first is taken. */

static struct coap_seen *seen_set(const struct coap_endpoint *ep, uint64_t key) {
        return &ep->seen[key % ep->n_seen_sets * COAP_SEEN_WAYS];
}

bool coap_seen_check(const struct coap_endpoint *ep, uint64_t now_ms, uint64_t key) {
        const struct coap_seen *set = seen_set(ep, key);

        for (size_t i = 0; i < COAP_SEEN_WAYS; i++)
                if (set[i].key == key && set[i].until_ms > now_ms)
                        return true;
        return false;
}

void coap_seen_note(struct coap_endpoint *ep, uint64_t now_ms, uint64_t key) {
        struct coap_seen *set = seen_set(ep, key), *oldest = set;

        for (size_t i = 1; i < COAP_SEEN_WAYS; i++)
                if (set[i].until_ms < oldest->until_ms)
                        oldest = &set[i];
        *oldest = (struct coap_seen){ key, now_ms + ep->config.non_lifetime_ms };
}

bool coap_seen_before(struct coap_endpoint *ep, uint64_t now_ms, uint64_t key) {
        if (coap_seen_check(ep, now_ms, key)) {
                ep->counts.n_duplicates++;
                return true;
        }
        coap_seen_note(ep, now_ms, key);
        return false;
}
