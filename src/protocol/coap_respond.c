#include "protocol/coap_private.h"

/*
 * Answers of the caller: to whom they go, in the acknowledgement or separately,
 * and what is remembered of them.
 */

static void *by_id(const struct coap_endpoint *ep, coap_id id, bool *ret_is_observer) {
        *ret_is_observer = id >> 63;
        return coap_pool_at(*ret_is_observer ? &ep->observers : &ep->exchanges,
                            (uint32_t)(id >> 32) & 0x7fffffff, (uint32_t)id);
}

static int64_t grant_observation(struct coap_endpoint *ep, uint64_t now_ms, struct coap_exchange *x,
                                 const struct coap_response *response) {
        uint8_t query[COAP_OBSERVER_QUERY_MAX];
        struct coap_observer *o;

        if (!x->shape.wants_observe)
                return -1;
        if (!response->observe || response->code >= COAP_BAD_REQUEST) {
                o = coap_observer_find(ep, &x->shape.peer, x->shape.token, x->shape.n_token);
                if (o) /* from this answer its client takes that it is on no list any more */
                        coap_observer_free(ep, o);
                return -1;
        }
        coap_pages_copy(&ep->pages, x->kept, 0, query, x->kept.n);
        o = coap_observer_new(ep, now_ms, &x->shape, span_of(query, x->kept.n), response->resource);
        return o ? (int64_t)o->sequence : -1;
}

static void answer_separately(struct coap_endpoint *ep, uint64_t now_ms, struct coap_exchange *x,
                              const struct coap_response *response, int64_t observe) {
        struct coap_answer_options options = { COAP_CON, coap_endpoint_next_mid(ep, x->account), observe };
        struct span message = coap_answer(ep, now_ms, &x->shape, response, &options);

        if (coap_reliable_send(ep, now_ms, x->account, &x->shape.peer, options.mid, message, 0, 0))
                return;
        ep->message[0] =
                (uint8_t)((ep->message[0] & 0xcf) | COAP_NON << 4); /* it cannot be kept: then once */
        coap_endpoint_send(ep, &x->shape.peer, message);
}

static void answer_exchange(struct coap_endpoint *ep, uint64_t now_ms, struct coap_exchange *x,
                            const struct coap_response *response) {
        struct coap_answer_options options;
        struct span message = SPAN_NULL;
        int64_t observe;

        if (x->shape.multicast && response->code >= COAP_BAD_REQUEST) {
                coap_exchange_free(ep, x);
                return;
        }
        observe = grant_observation(ep, now_ms, x, response);
        if (coap_answer_is_suppressed(&x->shape, response->code)) {
                if (x->shape.confirmable && !x->acknowledged) {
                        coap_endpoint_send_empty(ep, &x->shape.peer, COAP_ACK, x->shape.mid);
                        x->acknowledged = true;
                }
        } else if (x->acknowledged) {
                answer_separately(ep, now_ms, x, response, observe);
        } else {
                options = coap_answer_piggybacked(ep, x->account, &x->shape);
                options.observe = observe;
                message = coap_answer(ep, now_ms, &x->shape, response, &options);
                message = coap_answer_send(ep, now_ms, &x->shape, message, &options);
        }
        coap_exchange_done(ep, now_ms, x, response->code, message);
}

int coap_endpoint_respond(struct coap_endpoint *ep, uint64_t now_ms, coap_id id,
                          const struct coap_response *response) {
        bool is_observer;
        void *waiting = by_id(ep, id, &is_observer);
        struct coap_exchange *x = waiting;

        if (!waiting)
                return COAP_E_UNKNOWN_ID;
        if (is_observer)
                return coap_observer_respond(ep, now_ms, waiting, response);
        if (x->state != EXCHANGE_PENDING)
                return COAP_E_UNKNOWN_ID;
        answer_exchange(ep, now_ms, x, response);
        return 0;
}

void coap_endpoint_ignore(struct coap_endpoint *ep, coap_id id) {
        bool is_observer;
        void *waiting = by_id(ep, id, &is_observer);

        if (waiting && is_observer)
                coap_observer_ignore(ep, waiting);
        else if (waiting && ((struct coap_exchange *)waiting)->state == EXCHANGE_PENDING)
                coap_exchange_free(ep, waiting);
}
