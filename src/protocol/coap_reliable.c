#include "protocol/coap_private.h"

/*
 * CON messages of ours: sent again with doubling time-outs until an ACK or a RST
 * comes, or until we give up (RFC 7252, 4.2). A heap keeps the next one on top.
 */

static bool before(const struct coap_endpoint *ep, uint32_t a, uint32_t b) {
        return ep->heap[a]->due_ms < ep->heap[b]->due_ms;
}

static void swap(struct coap_endpoint *ep, uint32_t a, uint32_t b) {
        struct coap_reliable *r = ep->heap[a];

        ep->heap[a] = ep->heap[b];
        ep->heap[b] = r;
        ep->heap[a]->heap_index = a;
        ep->heap[b]->heap_index = b;
}

static void sift(struct coap_endpoint *ep, uint32_t i) {
        while (i && before(ep, i, (i - 1) / 2)) {
                swap(ep, i, (i - 1) / 2);
                i = (i - 1) / 2;
        }
        for (;;) {
                uint32_t least = i;

                for (uint32_t child = 2 * i + 1; child <= 2 * i + 2 && child < ep->n_heap; child++)
                        if (before(ep, child, least))
                                least = child;
                if (least == i)
                        return;
                swap(ep, i, least);
                i = least;
        }
}

struct coap_reliable *coap_reliable_send(struct coap_endpoint *ep, uint64_t now_ms,
                                         struct coap_account *account, const struct coap_peer *peer,
                                         uint16_t mid, struct span message, uint32_t timeout_ms,
                                         uint8_t n_sent) {
        struct coap_reliable *r = coap_pool_take(&ep->reliables);
        uint32_t spread;

        if (!r)
                return NULL;
        if (!coap_account_keep(ep, account, message, &r->message)) {
                coap_pool_give(&ep->reliables, r);
                return NULL;
        }
        if (!timeout_ms) {
                spread = ep->config.ack_timeout_ms * (ep->config.ack_random_percent - 100) / 100;
                timeout_ms = ep->config.ack_timeout_ms + coap_endpoint_random_below(ep, spread + 1);
        }
        r->account = account;
        r->peer = *peer;
        r->mid = mid;
        r->timeout_ms = timeout_ms;
        r->due_ms = now_ms + timeout_ms;
        r->n_sent = (uint8_t)(n_sent + 1);
        r->heap_index = ep->n_heap++;
        ep->heap[r->heap_index] = r;
        sift(ep, r->heap_index);
        coap_hash_link(&ep->by_reliable, &r->node, coap_endpoint_mid_hash(ep, peer, mid));
        coap_endpoint_send(ep, peer, message);
        return r;
}

struct coap_reliable *coap_reliable_find(struct coap_endpoint *ep, const struct coap_peer *peer,
                                         uint16_t mid) {
        uint64_t hash = coap_endpoint_mid_hash(ep, peer, mid);

        for (struct coap_hash_node *n = coap_hash_first(&ep->by_reliable, hash); n; n = n->next) {
                struct coap_reliable *r = OCF_CONTAINER_OF(n, struct coap_reliable, node);

                if (n->hash == hash && r->mid == mid && coap_peer_equal(&r->peer, peer))
                        return r;
        }
        return NULL;
}

void coap_reliable_free(struct coap_endpoint *ep, struct coap_reliable *r) {
        uint32_t hole = r->heap_index;

        ep->n_heap--;
        if (hole != ep->n_heap) {
                ep->heap[hole] = ep->heap[ep->n_heap];
                ep->heap[hole]->heap_index = hole;
                sift(ep, hole);
        }
        if (r->observer)
                r->observer->reliable = NULL;
        coap_hash_unlink(&r->node);
        coap_account_drop(ep, r->account, &r->message);
        coap_account_release(ep, r->account);
        coap_pool_give(&ep->reliables, r);
}

static void send_again(struct coap_endpoint *ep, uint64_t now_ms, struct coap_reliable *r) {
        coap_pages_copy(&ep->pages, r->message, 0, ep->message, r->message.n);
        coap_endpoint_send(ep, &r->peer, span_of(ep->message, r->message.n));
        ep->counts.n_retransmissions++;
        r->n_sent++;
        r->timeout_ms *= 2;
        r->due_ms = now_ms + r->timeout_ms;
        sift(ep, r->heap_index);
}

static void give_up(struct coap_endpoint *ep, struct coap_reliable *r) {
        if (r->observer)
                coap_observer_free(ep, r->observer); /* with its reliable */
        else
                coap_reliable_free(ep, r);
}

void coap_reliable_tick(struct coap_endpoint *ep, uint64_t now_ms) {
        while (ep->n_heap && ep->heap[0]->due_ms <= now_ms) {
                struct coap_reliable *r = ep->heap[0];

                if (r->n_sent > ep->config.max_retransmit)
                        give_up(ep, r);
                else if (!r->observer || coap_observer_resends(ep, r->observer))
                        send_again(ep, now_ms, r);
        }
}
