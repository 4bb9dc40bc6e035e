#include "protocol/coap_private.h"

/*
 * CON messages of ours: sent again with doubling time-outs until an ACK or a RST
 * comes, or until we give up (RFC 7252, 4.2).
 */

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
        r->n_sent = (uint8_t)(n_sent + 1);
        r->timer.kind = COAP_TIMER_RELIABLE;
        coap_timer_set(&ep->timers, &r->timer, now_ms + timeout_ms);
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
        coap_timer_unset(&ep->timers, &r->timer);
        if (r->observer)
                r->observer->reliable = NULL;
        if (r->client)
                r->client->reliable = NULL;
        coap_hash_unlink(&ep->by_reliable, &r->node);
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
        coap_timer_set(&ep->timers, &r->timer, now_ms + r->timeout_ms);
}

static void give_up(struct coap_endpoint *ep, uint64_t now_ms, struct coap_reliable *r) {
        struct coap_client *c = r->client;

        if (r->observer) {
                coap_observer_free(ep, r->observer); /* with its reliable */
                return;
        }
        coap_reliable_free(ep, r);
        if (c)
                coap_client_fail(ep, now_ms, c, COAP_FAILURE_TIMEOUT);
}

void coap_reliable_expire(struct coap_endpoint *ep, uint64_t now_ms, struct coap_reliable *r) {
        if (r->n_sent > ep->config.max_retransmit)
                give_up(ep, now_ms, r);
        else if (!r->observer || coap_observer_resends(ep, r->observer))
                send_again(ep, now_ms, r);
}
