#include "protocol/coap_private.h"

#include <string.h>

/*
 * Messages in: what is recognised and dealt with here, and what becomes an
 * event.
 */

/* ---- acknowledgements ---- */

static void on_reset(struct coap_endpoint *ep, uint64_t now_ms, const struct coap_peer *peer, uint16_t mid,
                     struct coap_reliable *r) {
        struct coap_observer *o = r ? r->observer : coap_observer_find_mid(ep, peer, mid);
        struct coap_client *c = r ? r->client : coap_client_find_mid(ep, peer, mid);

        if (o) {
                coap_observer_free(ep, o); /* with its message */
        } else if (c) {
                if (r)
                        coap_reliable_free(ep, r);
                if (!coap_client_shrink(ep, now_ms, c))
                        coap_client_fail(ep, now_ms, c, COAP_FAILURE_RESET);
        } else if (r) {
                coap_reliable_free(ep, r);
        } else {
                (void)coap_address_ponged(ep, now_ms, peer, mid);
                return;
        }
        coap_address_proven(ep, now_ms, peer);
}

static void on_acknowledgement(struct coap_endpoint *ep, uint64_t now_ms, const struct coap_peer *peer,
                               const struct coap_message *m) {
        struct coap_reliable *r = coap_reliable_find(ep, peer, m->mid);
        struct coap_observer *o;
        struct coap_client *c;

        if (m->type == COAP_RST) {
                on_reset(ep, now_ms, peer, m->mid, r);
                return;
        }
        if (!r)
                return;
        o = r->observer;
        c = r->client;
        coap_reliable_free(ep, r);
        coap_address_proven(ep, now_ms, peer);
        if (o)
                coap_observer_proven(ep, now_ms, o);
        if (c)
                coap_client_acknowledged(ep, now_ms, c);
}

/* ---- requests ---- */

static struct coap_shape shape_of_request(const struct coap_endpoint *ep, const struct coap_peer *peer,
                                          const struct coap_message *m, const struct coap_request_details *d,
                                          unsigned via, size_t n_in) {
        const struct coap_request *r = &d->request;
        uint64_t h =
                coap_hash_mix(coap_endpoint_peer_hash(ep, peer), (uint64_t)(r->accept + 1) << 8 ^ m->code);
        uint8_t szx1 = d->block1_szx < ep->config.block_szx ? d->block1_szx : (uint8_t)ep->config.block_szx;
        struct coap_shape s = {
                .peer = *peer,
                .block2_num = d->block2_num,
                .mid = m->mid,
                .n_in = (uint16_t)ocf_min_size(n_in, UINT16_MAX),
                .accept = (int16_t)r->accept,
                .method = m->code,
                .n_token = m->n_token,
                .szx = d->block2_szx,
                .no_response = d->no_response,
                .has_block2 = d->has_block2,
                .has_block1 = d->has_block1,
                .confirmable = m->type == COAP_CON,
                .multicast = via & COAP_VIA_MULTICAST,
                .on_link = via & COAP_VIA_ON_LINK ? 1 : 0,
                .ocf_version = r->ocf_version,
                .wants_observe = r->wants_observe && !d->block2_num, /* RFC 7959, 3.4: the first block only */
        };

        if (d->block1_szx == 7)
                szx1 = 7;
        s.block1 = d->block1_num << 4 | (uint32_t)d->block1_more << 3 | szx1;
        s.request_hash =
                coap_hash_bytes(coap_hash_bytes(h, r->path.data, r->path.n), r->query.data, r->query.n);
        if (m->code == COAP_FETCH) /* its payload is part of the question (RFC 8132, 2.1) */
                s.request_hash = coap_hash_bytes(s.request_hash, r->payload.data, r->payload.n);
        memcpy(s.token, m->token, m->n_token);
        return s;
}

void coap_answer_at_once(struct coap_endpoint *ep, uint64_t now_ms, const struct coap_shape *shape,
                         uint8_t code, const char *text, int64_t max_age_s) {
        const struct coap_response response = { .code = code,
                                                .content_format = COAP_FORMAT_NONE,
                                                .payload = span_of_string(text),
                                                .max_age_s = max_age_s,
                                                .size1 = code == COAP_REQUEST_ENTITY_TOO_LARGE
                                                                 ? ep->config.limits.n_body
                                                                 : 0 };
        struct coap_answer_options options;
        struct coap_shape whole = *shape;

        if (shape->multicast)
                return;
        if (coap_answer_is_suppressed(shape, code)) {
                if (shape->confirmable)
                        coap_endpoint_send_empty(ep, &shape->peer, COAP_ACK, shape->mid);
                return;
        }
        whole.has_block2 = false;
        options = coap_answer_piggybacked(ep, NULL, shape);
        coap_answer_send(ep, now_ms, shape, coap_answer(ep, now_ms, &whole, &response, &options), &options);
}

/* A later block: from the body that is kept, if it is. */
static bool answer_block(struct coap_endpoint *ep, uint64_t now_ms, const struct coap_shape *shape) {
        struct coap_body *body;
        struct coap_answer_options options;

        if (!shape->has_block2 || !shape->block2_num)
                return false;
        body = coap_body_find(ep, shape->request_hash);
        if (!body && !coap_has_effect(shape->method))
                return false;
        if (!body) {
                coap_answer_at_once(ep, now_ms, shape, COAP_REQUEST_ENTITY_INCOMPLETE,
                                    "The rest of that answer is gone: ask again", -1);
                return true;
        }
        coap_body_touch(ep, now_ms, body);
        options = coap_answer_piggybacked(ep, body->account, shape);
        coap_answer_send(ep, now_ms, shape, coap_answer_block(ep, now_ms, shape, body, &options), &options);
        if (body->fetched)
                coap_body_fetched(ep, body, shape->method);
        return true;
}

static bool refuse(struct coap_endpoint *ep, uint64_t now_ms, const struct coap_shape *shape,
                   const struct coap_request_details *d) {
        if (d->bad_option && !shape->confirmable &&
            !shape->peer.stream) { /* RFC 7252, 5.4.1: a NON is rejected */
                if (!shape->multicast)
                        coap_endpoint_send_empty(ep, &shape->peer, COAP_RST, shape->mid);
                return true;
        }
        if (d->refusal) {
                coap_answer_at_once(ep, now_ms, shape, d->refusal, d->refusal_text, -1);
                return true;
        }
        if (shape->method > COAP_IPATCH) {
                coap_answer_at_once(ep, now_ms, shape, COAP_METHOD_NOT_ALLOWED, "There is no such method",
                                    -1);
                return true;
        }
        return false;
}

static void cancel_observation(struct coap_endpoint *ep, const struct coap_shape *shape,
                               const struct coap_request_details *d) {
        struct coap_observer *o;

        if (d->observe != 1 || coap_has_effect(shape->method))
                return;
        o = coap_observer_find(ep, &shape->peer, shape->token, shape->n_token);
        if (o)
                coap_observer_free(ep, o);
}

/* Full is an answer: 4.29 (RFC 8516) where this peer alone has too much under way, else 5.03. */
static void refuse_full(struct coap_endpoint *ep, uint64_t now_ms, const struct coap_shape *shape) {
        bool all = ep->exchanges.n_used >= ep->exchanges.n_max;

        ep->counts.n_refused_full++;
        coap_answer_at_once(ep, now_ms, shape, all ? COAP_SERVICE_UNAVAILABLE : COAP_TOO_MANY_REQUESTS,
                            all ? "Too many requests are under way" : "You have too many requests under way",
                            5);
}

void coap_request_accept(struct coap_endpoint *ep, uint64_t now_ms, const struct coap_shape *shape,
                         uint64_t bytes_hash) {
        struct coap_exchange *x = coap_exchange_new(ep, now_ms, shape, bytes_hash);
        struct coap_request *r = &ep->details.request;

        if (!x) {
                refuse_full(ep, now_ms, shape);
                return;
        }
        if (shape->wants_observe && r->query.n &&
            (r->query.n > COAP_OBSERVER_QUERY_MAX || !coap_account_keep(ep, x->account, r->query, &x->kept)))
                x->shape.wants_observe = false;
        r->wants_observe = x->shape.wants_observe;
        r->confirmable = shape->confirmable;
        r->multicast = shape->multicast;
        ep->counts.n_requests++;
        ep->ready = x;
}

struct coap_shape coap_request_read(struct coap_endpoint *ep, const struct coap_peer *peer,
                                    const struct coap_message *m, unsigned via, size_t n_in) {
        coap_parse_request(&ep->details, m, peer->stream, &ep->scratch);
        return shape_of_request(ep, peer, m, &ep->details, via, n_in);
}

void coap_receive_request(struct coap_endpoint *ep, uint64_t now_ms, const struct coap_peer *peer,
                          const struct coap_message *m, unsigned via, size_t n_in, uint64_t bytes_hash) {
        struct coap_shape shape = coap_request_read(ep, peer, m, via, n_in);

        if (ep->details.echo.data)
                coap_address_echoed(ep, now_ms, peer, ep->details.echo);
        if (refuse(ep, now_ms, &shape, &ep->details) ||
            (!ep->details.has_block1 && answer_block(ep, now_ms, &shape)))
                return;
        if (ep->details.has_block1) {
                if (coap_upload_take(ep, now_ms, &shape, &ep->details, bytes_hash) == COAP_UPLOAD_ANSWERED)
                        return;
        } else if (ep->details.request.payload.n > ep->config.limits.n_body) {
                coap_answer_at_once(ep, now_ms, &shape, COAP_REQUEST_ENTITY_TOO_LARGE,
                                    "The body is longer than Size1 here says", -1);
                return;
        }
        cancel_observation(ep, &shape, &ep->details);
        coap_request_accept(ep, now_ms, &shape, bytes_hash);
}

static void on_datagram_request(struct coap_endpoint *ep, uint64_t now_ms, const struct coap_peer *peer,
                                const struct coap_message *m, unsigned via, struct span data) {
        uint64_t bytes_hash = coap_hash_bytes(ep->seed, data.data, data.n);
        struct coap_exchange *known;

        known = coap_exchange_find(ep, peer, m->code, m->mid, bytes_hash);
        if (known) {
                coap_exchange_repeat(ep, known);
                return;
        }
        if (m->type == COAP_NON &&
            coap_seen_before(ep, now_ms, coap_endpoint_mid_hash(ep, peer, m->mid) ^ bytes_hash))
                return;
        coap_receive_request(ep, now_ms, peer, m, via, data.n, bytes_hash);
}

/* ---- responses ---- */

static bool has_observe(const struct coap_message *m) {
        struct coap_option_reader reader = coap_option_begin(m);
        struct coap_option o;

        while (coap_option_next(&reader, &o))
                if (o.number == COAP_OPTION_OBSERVE)
                        return true;
        return false;
}

/* A CON is acknowledged, also when it comes again; what belongs to nothing is rejected, so that its sender
 * stops (RFC 7252, 4.2; RFC 7641, 3.6). */
static void on_response(struct coap_endpoint *ep, uint64_t now_ms, const struct coap_peer *peer,
                        const struct coap_message *m) {
        uint64_t key = coap_endpoint_mid_hash(ep, peer, m->mid) ^ COAP_SEEN_RESPONSE;
        struct coap_reliable *r = m->type == COAP_ACK ? coap_reliable_find(ep, peer, m->mid) : NULL;
        bool known = false, repeated;

        if (r && !r->client) /* to an observation that was taken back */
                coap_reliable_free(ep, r);
        else if (r && coap_client_is_token(r->client, m))
                known = coap_reply_take(ep, now_ms, peer, m);
        if (m->type == COAP_ACK) {
                if (known)
                        coap_address_proven(ep, now_ms, peer);
                return;
        }
        repeated = coap_seen_check(ep, now_ms, key);
        known = !repeated && coap_reply_take(ep, now_ms, peer, m);
        if (known) {
                coap_seen_note(ep, now_ms, key);
                coap_address_proven(ep, now_ms, peer);
        }
        if (m->type == COAP_CON)
                coap_endpoint_send_empty(ep, peer, known || repeated ? COAP_ACK : COAP_RST, m->mid);
        else if (!known && !repeated && has_observe(m))
                coap_endpoint_send_empty(ep, peer, COAP_RST, m->mid);
}

/* ---- */

static void on_malformed(struct coap_endpoint *ep, const struct coap_peer *peer, const struct coap_message *m,
                         unsigned via, int flaw) {
        ep->counts.n_malformed++;
        if (flaw >= COAP_MESSAGE_E_TOKEN && m->type == COAP_CON && !(via & COAP_VIA_MULTICAST))
                coap_endpoint_send_empty(ep, peer, COAP_RST, m->mid);
}

void coap_endpoint_receive(struct coap_endpoint *ep, uint64_t now_ms, const struct coap_peer *peer,
                           unsigned via, struct span data) {
        struct coap_message m;
        int r;

        ep->counts.n_received++;
        ep->hot_hash = coap_hash_bytes(ep->seed, peer, sizeof(*peer));
        ep->hot_peer = *peer;
        coap_endpoint_tick(ep, now_ms);
        r = coap_message_parse(&m, data);
        if (!r && m.code == COAP_EMPTY && m.type >= COAP_ACK) { /* asks for no answer, so it needs no room */
                if (!(via & COAP_VIA_MULTICAST))
                        on_acknowledgement(ep, now_ms, peer, &m);
                return;
        }
        if (!coap_endpoint_has_room(ep)) {
                ep->counts.n_refused_full++; /* nothing is done that could not be answered */
                return;
        }
        if (r) {
                on_malformed(ep, peer, &m, via, r);
        } else if (m.code && m.code >> 5 == 0) {
                if (m.type > COAP_NON)
                        return; /* an ACK or RST carries no request */
                if (via & COAP_VIA_MULTICAST)
                        coap_leisure_take(ep, now_ms, peer, &m, via, data);
                else
                        on_datagram_request(ep, now_ms, peer, &m, via, data);
        } else if (via & COAP_VIA_MULTICAST) {
                return;
        } else if (m.code >> 5 >= 2 && m.code >> 5 <= 5 && m.type != COAP_RST) {
                on_response(ep, now_ms, peer, &m);
        } else if (m.type == COAP_CON) {
                coap_endpoint_send_empty(ep, peer, COAP_RST, m.mid); /* a ping, or a reserved class */
        }
}
