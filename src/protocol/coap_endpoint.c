#include "protocol/coap_private.h"

#include <string.h>

/* ---- small things for the other files ---- */

uint16_t coap_endpoint_next_mid(struct coap_endpoint *ep, struct coap_account *a) {
        return a ? a->next_mid++ : ep->next_mid++;
}

uint32_t coap_endpoint_random_below(struct coap_endpoint *ep, uint32_t n) {
        return n ? (uint32_t)((uint64_t)ep->config.random(ep->config.random_context) * n >> 32) : 0;
}

uint64_t coap_endpoint_mid_hash(const struct coap_endpoint *ep, const struct coap_peer *peer, uint16_t mid) {
        return coap_hash_bytes(ep->seed ^ mid, peer, sizeof(*peer));
}

/* What does not fit any more is lost, as a network loses things. */
void coap_endpoint_send(struct coap_endpoint *ep, const struct coap_peer *to, struct span message) {
        if (!coap_outgoing_put(&ep->outgoing, to, message))
                ep->counts.n_refused_full++;
}

void coap_endpoint_send_empty(struct coap_endpoint *ep, const struct coap_peer *to, enum coap_type type,
                              uint16_t mid) {
        uint8_t bytes[4];
        struct coap_builder b = coap_build(bytes, sizeof(bytes), type, COAP_EMPTY, mid, NULL, 0);

        coap_endpoint_send(ep, to, writer_span(&b.w));
}

/* ---- datagrams in ---- */

static void on_acknowledgement(struct coap_endpoint *ep, uint64_t now_ms, const struct coap_peer *peer,
                               const struct coap_message *m) {
        struct coap_reliable *r = coap_reliable_find(ep, peer, m->mid);
        struct coap_observer *o = r ? r->observer : NULL;

        if (m->type == COAP_RST && !r)
                o = coap_observer_find_mid(ep, peer, m->mid);
        if (m->type == COAP_RST && o) {
                coap_observer_free(ep, o);
                return;
        }
        if (!r)
                return;
        coap_reliable_free(ep, r);
        if (o)
                coap_observer_proven(ep, now_ms, o);
}

static struct coap_shape shape_of_request(const struct coap_endpoint *ep, const struct coap_peer *peer,
                                          const struct coap_message *m, const struct coap_request_details *d,
                                          bool multicast) {
        const struct coap_request *r = &d->request;
        uint64_t h =
                coap_hash_bytes(ep->seed ^ (uint64_t)(r->accept + 1) << 8 ^ m->code, peer, sizeof(*peer));
        struct coap_shape s = {
                .peer = *peer,
                .block2_num = d->block2_num,
                .mid = m->mid,
                .accept = (int16_t)r->accept,
                .method = m->code,
                .n_token = m->n_token,
                .szx = d->block2_szx,
                .no_response = d->no_response,
                .has_block2 = d->has_block2,
                .confirmable = m->type == COAP_CON,
                .multicast = multicast,
                .ocf_version = r->ocf_version,
                .wants_observe = r->wants_observe && !d->block2_num, /* RFC 7959, 3.4: the first block only */
        };

        s.request_hash =
                coap_hash_bytes(coap_hash_bytes(h, r->path.data, r->path.n), r->query.data, r->query.n);
        memcpy(s.token, m->token, m->n_token);
        return s;
}

/* An answer of the endpoint's own, which changes nothing and needs no remembering. */
static void answer_at_once(struct coap_endpoint *ep, uint64_t now_ms, const struct coap_shape *shape,
                           uint8_t code, const char *text, int64_t max_age_s) {
        const struct coap_response response = { .code = code,
                                                .content_format = COAP_FORMAT_NONE,
                                                .payload = span_of_string(text),
                                                .max_age_s = max_age_s };
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
        coap_endpoint_send(ep, &shape->peer, coap_answer(ep, now_ms, &whole, &response, &options));
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
                answer_at_once(ep, now_ms, shape, COAP_REQUEST_ENTITY_INCOMPLETE,
                               "The rest of that answer is gone: ask again", -1);
                return true;
        }
        coap_body_touch(ep, now_ms, body);
        options = coap_answer_piggybacked(ep, body->account, shape);
        coap_endpoint_send(ep, &shape->peer, coap_answer_block(ep, shape, body, &options));
        return true;
}

static bool refuse(struct coap_endpoint *ep, uint64_t now_ms, const struct coap_shape *shape,
                   const struct coap_request_details *d) {
        if (d->bad_option && !shape->confirmable) { /* RFC 7252, 5.4.1: a NON is rejected */
                if (!shape->multicast)
                        coap_endpoint_send_empty(ep, &shape->peer, COAP_RST, shape->mid);
                return true;
        }
        if (d->refusal) {
                answer_at_once(ep, now_ms, shape, d->refusal, d->refusal_text, -1);
                return true;
        }
        if (shape->method > COAP_IPATCH) {
                answer_at_once(ep, now_ms, shape, COAP_METHOD_NOT_ALLOWED, "There is no such method", -1);
                return true;
        }
        return false;
}

static void cancel_observation(struct coap_endpoint *ep, const struct coap_shape *shape,
                               const struct coap_request_details *d) {
        struct coap_observer *o;

        if (d->observe != 1 || shape->method != COAP_GET)
                return;
        o = coap_observer_find(ep, &shape->peer, shape->token, shape->n_token);
        if (o)
                coap_observer_free(ep, o);
}

/* Makes it an exchange and the event that is ready. */
static void accept_request(struct coap_endpoint *ep, uint64_t now_ms, const struct coap_shape *shape,
                           uint64_t bytes_hash) {
        struct coap_exchange *x = coap_exchange_new(ep, now_ms, shape, bytes_hash);
        struct coap_request *r = &ep->details.request;

        if (!x) {
                ep->counts.n_refused_full++;
                answer_at_once(ep, now_ms, shape, COAP_SERVICE_UNAVAILABLE,
                               "Too many requests of this peer are under way", 5);
                return;
        }
        if (shape->wants_observe && r->query.n &&
            (r->query.n > COAP_OBSERVER_QUERY_MAX ||
             !coap_account_keep(ep, x->account, r->query, &x->observe_query)))
                x->shape.wants_observe = false;
        r->wants_observe = x->shape.wants_observe;
        r->confirmable = shape->confirmable;
        r->multicast = shape->multicast;
        ep->counts.n_requests++;
        ep->ready = x;
}

static void on_unicast_request(struct coap_endpoint *ep, uint64_t now_ms, const struct coap_peer *peer,
                               const struct coap_message *m, struct span data) {
        uint64_t bytes_hash = coap_hash_bytes(ep->seed, data.data, data.n);
        struct coap_exchange *known;
        struct coap_shape shape;

        known = coap_exchange_find(ep, peer, m->mid, bytes_hash);
        if (known) {
                coap_exchange_repeat(ep, known);
                return;
        }
        if (m->type == COAP_NON &&
            coap_seen_before(ep, now_ms, coap_endpoint_mid_hash(ep, peer, m->mid) ^ bytes_hash))
                return;
        coap_parse_request(&ep->details, m, &ep->scratch);
        shape = shape_of_request(ep, peer, m, &ep->details, false);
        if (refuse(ep, now_ms, &shape, &ep->details) || answer_block(ep, now_ms, &shape))
                return;
        cancel_observation(ep, &shape, &ep->details);
        accept_request(ep, now_ms, &shape, bytes_hash);
}

/* ---- multicasts: heard, and answered at leisure (RFC 7252, 8.2) ---- */

static bool is_doxm(const struct coap_request *r) {
        return span_equal(r->path, SPAN_LITERAL("/oic/sec/doxm"));
}

static void wait_for_leisure(struct coap_endpoint *ep, uint64_t now_ms, const struct coap_peer *peer,
                             struct span data) {
        uint32_t leisure = is_doxm(&ep->details.request) ? ep->config.leisure_doxm_ms : ep->config.leisure_ms;
        struct coap_delayed *d = data.n <= COAP_DELAYED_MAX ? coap_pool_take(&ep->delayed) : NULL;

        if (!d) {
                ep->counts.n_refused_full++;
                return;
        }
        d->peer = *peer;
        d->due_ms = now_ms + coap_endpoint_random_below(ep, leisure + 1);
        d->n = (uint16_t)data.n;
        memcpy(d->datagram, data.data, data.n);
        list_link_tail(&ep->waiting, &d->link);
}

static void on_multicast_request(struct coap_endpoint *ep, uint64_t now_ms, const struct coap_peer *peer,
                                 const struct coap_message *m, struct span data) {
        struct coap_peer key = *peer; /* one request comes over several groups and interfaces */
        uint64_t hash;

        if (m->type != COAP_NON || m->code != COAP_GET)
                return;
        memset(key.local_ip, 0, sizeof(key.local_ip));
        key.interface = 0;
        hash = coap_endpoint_mid_hash(ep, &key, m->mid) ^ coap_hash_bytes(ep->seed + 1, m->token, m->n_token);
        if (coap_seen_before(ep, now_ms, hash))
                return;
        coap_parse_request(&ep->details, m, &ep->scratch);
        if (!ep->details.refusal)
                wait_for_leisure(ep, now_ms, peer, data);
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

/* The event points into the slot: it is given back, but nothing is written there before the event was dealt
 * with. */
static void raise_delayed(struct coap_endpoint *ep, uint64_t now_ms) {
        struct coap_delayed *d = next_delayed(ep);
        struct coap_message m;
        struct coap_shape shape;
        struct span data;

        if (!d || d->due_ms > now_ms)
                return;
        data = span_of(d->datagram, d->n);
        list_unlink(&d->link);
        if (coap_message_parse(&m, data) == 0) { /* as it did when it came */
                coap_parse_request(&ep->details, &m, &ep->scratch);
                shape = shape_of_request(ep, &d->peer, &m, &ep->details, true);
                shape.wants_observe = false;
                accept_request(ep, now_ms, &shape, coap_hash_bytes(ep->seed, data.data, data.n));
        }
        coap_pool_give(&ep->delayed, d);
}

static void tick(struct coap_endpoint *ep, uint64_t now_ms) {
        coap_exchange_tick(ep, now_ms);
        coap_reliable_tick(ep, now_ms);
        coap_body_tick(ep, now_ms);
}

void coap_endpoint_receive(struct coap_endpoint *ep, uint64_t now_ms, const struct coap_peer *peer,
                           bool multicast, struct span data) {
        struct coap_message m;
        int r;

        ep->counts.n_received++;
        tick(ep, now_ms);
        if (!coap_outgoing_has_room(&ep->outgoing, COAP_MESSAGE_MAX)) {
                ep->counts.n_refused_full++; /* nothing is done that could not be answered */
                return;
        }
        r = coap_message_parse(&m, data);
        if (r) {
                ep->counts.n_malformed++;
                if (r >= COAP_MESSAGE_E_TOKEN && m.type == COAP_CON && !multicast)
                        coap_endpoint_send_empty(ep, peer, COAP_RST, m.mid);
                return;
        }
        if (m.type == COAP_ACK || m.type == COAP_RST) {
                if (!multicast && m.code == COAP_EMPTY)
                        on_acknowledgement(ep, now_ms, peer, &m);
        } else if (m.code && m.code >> 5 == 0) {
                if (multicast)
                        on_multicast_request(ep, now_ms, peer, &m, data);
                else
                        on_unicast_request(ep, now_ms, peer, &m, data);
        } else if (m.type == COAP_CON && !multicast) {
                coap_endpoint_send_empty(ep, peer, COAP_RST,
                                         m.mid); /* a ping, a response to nothing, or a reserved class */
        }
}

/* ---- events and datagrams out ---- */

bool coap_endpoint_event(struct coap_endpoint *ep, uint64_t now_ms, struct coap_event *ret) {
        struct coap_exchange *x;

        tick(ep, now_ms);
        if (!ep->ready && !list_is_empty(&ep->waiting))
                raise_delayed(ep, now_ms);
        x = ep->ready;
        if (!x) {
                ret->type = COAP_EVENT_NONE;
                return coap_observer_event(ep, ret);
        }
        ep->ready = NULL;
        ret->type = COAP_EVENT_REQUEST;
        ret->id = (uint64_t)coap_pool_index(&ep->exchanges, x) << 32 | x->slot.generation;
        ret->peer = x->shape.peer;
        ret->request = ep->details.request;
        ret->resource = 0;
        return true;
}

size_t coap_endpoint_transmit(struct coap_endpoint *ep, uint64_t now_ms, struct coap_peer *ret_to,
                              uint8_t *buf, size_t n) {
        size_t n_message;

        tick(ep, now_ms);
        n_message = coap_outgoing_take(&ep->outgoing, ret_to, buf, n);
        if (n_message)
                ep->counts.n_sent++;
        return n_message;
}

/* ---- time ---- */

uint64_t coap_endpoint_deadline(const struct coap_endpoint *ep) {
        const struct list *const lists[] = { &ep->pending_unacknowledged, &ep->pending, &ep->remembered_con,
                                             &ep->remembered_non };
        const struct coap_delayed *d = next_delayed(ep);
        const struct list *first;
        uint64_t due = OCF_NEVER;

        for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
                first = list_first(lists[i]);
                if (first)
                        due = ocf_min_u64(due, LIST_ENTRY(first, struct coap_exchange, due)->due_ms);
        }
        first = list_first(&ep->due_bodies);
        if (first)
                due = ocf_min_u64(due, LIST_ENTRY(first, struct coap_body, due)->due_ms);
        if (ep->n_heap)
                due = ocf_min_u64(due, ep->heap[0]->due_ms);
        return d ? ocf_min_u64(due, d->due_ms) : due;
}

/* ---- addresses that go ---- */

static bool uses(const struct coap_peer *p, const uint8_t *ip, uint32_t interface) {
        return ip ? memcmp(p->local_ip, ip, 16) == 0 : p->interface == interface;
}

#define FOR_EACH_USED(type, x, pool)                                                                         \
        for (uint32_t i_##x = 0; i_##x < (pool)->n_fresh; i_##x++)                                           \
                for (type *x = (type *)(void *)((pool)->slots + (pool)->size * i_##x); x && x->slot.used;    \
                     x = NULL)

void coap_endpoint_forget_local(struct coap_endpoint *ep, const uint8_t *ip, uint32_t interface) {
        FOR_EACH_USED(struct coap_observer, o, &ep->observers)
        if (uses(&o->peer, ip, interface)) {
                coap_observer_free(ep, o);
                break;
        }
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

void coap_endpoint_counts(const struct coap_endpoint *ep, struct coap_counts *ret) {
        *ret = ep->counts;
        ret->n_exchanges = ep->exchanges.n_used;
        ret->n_observers = ep->observers.n_used;
        ret->n_delayed = ep->delayed.n_used;
        ret->n_pages = ep->pages.n_used;
        ret->n_outgoing = ep->outgoing.n_messages;
}
