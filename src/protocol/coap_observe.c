#include "protocol/coap_private.h"

#include <string.h>

/*
 * Observers (RFC 7641). A change makes an observer dirty; a dirty one that is
 * neither with the caller nor waiting for an ACK becomes due; a due one becomes
 * an event. However fast a resource changes, there is at most one notification
 * under way to each observer, and it tells the newest state.
 */

/* ---- the observers of a resource ---- */

static uint64_t resource_hash(const struct coap_endpoint *ep, uint64_t resource) {
        return coap_hash_bytes(ep->seed, &resource, sizeof(resource));
}

static struct coap_resource *resource_find(const struct coap_endpoint *ep, uint64_t resource) {
        uint64_t hash = resource_hash(ep, resource);

        for (struct coap_hash_node *n = coap_hash_first(&ep->by_resource, hash); n; n = n->next) {
                struct coap_resource *r = OCF_CONTAINER_OF(n, struct coap_resource, node);

                if (r->resource == resource)
                        return r;
        }
        return NULL;
}

static struct coap_resource *resource_obtain(struct coap_endpoint *ep, uint64_t resource) {
        struct coap_resource *r = resource_find(ep, resource);

        if (r)
                return r;
        r = coap_pool_take(&ep->resources);
        if (!r)
                return NULL;
        r->resource = resource;
        list_init(&r->observers);
        coap_hash_link(&ep->by_resource, &r->node, resource_hash(ep, resource));
        return r;
}

static void resource_release(struct coap_endpoint *ep, struct coap_resource *r) {
        if (r->n_observers)
                return;
        coap_hash_unlink(&ep->by_resource, &r->node);
        coap_pool_give(&ep->resources, r);
}

/* ---- one observer ---- */

/* Walks the observers of one peer: pass NULL to begin. */
static struct coap_observer *next_of_peer(const struct coap_endpoint *ep, const struct coap_peer *peer,
                                          struct coap_observer *after) {
        uint64_t hash = coap_endpoint_peer_hash(ep, peer);
        struct coap_hash_node *n = after ? after->node.next : coap_hash_first(&ep->by_observer, hash);

        for (; n; n = n->next) {
                struct coap_observer *o = OCF_CONTAINER_OF(n, struct coap_observer, node);

                if (n->hash == hash && coap_peer_equal(&o->peer, peer))
                        return o;
        }
        return NULL;
}

struct coap_observer *coap_observer_find(struct coap_endpoint *ep, const struct coap_peer *peer,
                                         const uint8_t *token, size_t n_token) {
        struct coap_observer *o = NULL;

        while ((o = next_of_peer(ep, peer, o)))
                if (o->n_token == n_token && memcmp(o->token, token, n_token) == 0)
                        return o;
        return NULL;
}

struct coap_observer *coap_observer_find_mid(struct coap_endpoint *ep, const struct coap_peer *peer,
                                             uint16_t mid) {
        struct coap_observer *o = NULL;

        while ((o = next_of_peer(ep, peer, o)))
                for (size_t i = 0; i < o->n_mids; i++)
                        if (o->mids[i] == mid)
                                return o;
        return NULL;
}

#define SEQUENCE_TICK_MS                                                                                     \
        16u /* 2^24 of these are three days; RFC 7641, 4.4 wants 2^23 to be more than 128 s */

/* The same view of the same resource under another token: the peer has lost the old one (core.md 2.6). */
static struct coap_observer *find_same(struct coap_endpoint *ep, const struct coap_shape *shape,
                                       struct span query, uint64_t resource) {
        struct coap_observer *o = NULL;

        while ((o = next_of_peer(ep, &shape->peer, o)))
                if (o->resource == resource && o->accept == shape->accept &&
                    span_equal(span_of(o->query, o->n_query), query))
                        return o;
        return NULL;
}

struct coap_observer *coap_observer_new(struct coap_endpoint *ep, uint64_t now_ms,
                                        const struct coap_shape *shape, struct span query,
                                        uint64_t resource) {
        uint32_t sequence = (uint32_t)(now_ms / SEQUENCE_TICK_MS); /* also after a time that is forgotten */
        struct coap_observer *o;
        struct coap_resource *r;
        struct coap_account *a;

        while ((o = coap_observer_find(ep, &shape->peer, shape->token, shape->n_token)) ||
               (o = find_same(ep, shape, query, resource))) {
                sequence = o->sequence + 1; /* it goes on: what is still under way must not look newer */
                coap_observer_free(ep, o);
        }
        if (query.n > COAP_OBSERVER_QUERY_MAX)
                return NULL;
        a = coap_account_obtain(ep, &shape->peer);
        if (!a)
                return NULL;
        r = a->n_observers < ep->config.limits.n_observers_per_peer ? resource_obtain(ep, resource) : NULL;
        o = r ? coap_pool_take(&ep->observers) : NULL;
        if (!o) {
                if (r)
                        resource_release(ep, r);
                coap_account_release(ep, a);
                return NULL;
        }
        a->n_observers++;
        o->account = a;
        o->peer = shape->peer;
        o->resource = resource;
        o->request_hash = shape->request_hash;
        o->accept = shape->accept;
        o->ocf_version = shape->ocf_version;
        o->szx = shape->has_block2 ? shape->szx : (uint8_t)ep->config.block_szx;
        o->n_token = shape->n_token;
        memcpy(o->token, shape->token, shape->n_token);
        o->n_query = (uint8_t)query.n;
        if (query.n)
                memcpy(o->query, query.data, query.n);
        o->sequence = sequence & 0xffffff;
        o->proven_ms = now_ms;
        /* Where each begins differs, so that a change is not CON to all of them at once. */
        o->n_since_con = (uint8_t)(coap_pool_index(&ep->observers, o) % ep->config.con_every);
        list_init(&o->due);
        list_link_tail(&r->observers, &o->resource_link);
        r->n_observers++;
        coap_hash_link(&ep->by_observer, &o->node, coap_endpoint_peer_hash(ep, &o->peer));
        return o;
}

void coap_observer_free(struct coap_endpoint *ep, struct coap_observer *o) {
        struct coap_resource *r = resource_find(ep, o->resource);

        o->account->n_observers--;
        if (o->reliable)
                coap_reliable_free(ep, o->reliable); /* may release the account */
        else
                coap_account_release(ep, o->account);
        list_unlink(&o->resource_link);
        list_unlink(&o->due);
        coap_hash_unlink(&ep->by_observer, &o->node);
        r->n_observers--;
        resource_release(ep, r);
        coap_pool_give(&ep->observers, o);
}

void coap_observer_forget(struct coap_endpoint *ep, const struct coap_peer *peer) {
        struct coap_observer *o;

        while ((o = next_of_peer(ep, peer, NULL)))
                coap_observer_free(ep, o);
}

/* ---- when it is told ---- */

static void make_due(struct coap_endpoint *ep, struct coap_observer *o) {
        if (o->dirty && !o->pending && !o->reliable && !list_is_linked(&o->due))
                list_link_tail(&ep->due_observers, &o->due);
}

void coap_observer_proven(struct coap_endpoint *ep, uint64_t now_ms, struct coap_observer *o) {
        o->proven_ms = now_ms;
        o->n_since_con = 0;
        o->timeout_ms = 0;
        o->n_sent = 0;
        make_due(ep, o);
}

bool coap_observer_resends(struct coap_endpoint *ep, struct coap_observer *o) {
        struct coap_reliable *r = o->reliable;

        if (!o->dirty)
                return true;
        o->timeout_ms = r->timeout_ms * 2;
        o->n_sent = r->n_sent;
        o->account->n_observers++; /* so that the account outlives the message */
        coap_reliable_free(ep, r);
        o->account->n_observers--;
        make_due(ep, o);
        return false;
}

/* Half of what waits to be sent may be notifications: who asks in the middle of ten thousand is answered. */
static bool has_room_for_notification(const struct coap_endpoint *ep) {
        return ep->outgoing.n_used <= ep->outgoing.n_max / 2 && coap_endpoint_has_room(ep);
}

bool coap_observer_event(struct coap_endpoint *ep, struct coap_event *ret) {
        struct list *first = list_first(&ep->due_observers);
        struct coap_observer *o;

        if (!first || !has_room_for_notification(ep))
                return false;
        o = LIST_ENTRY(first, struct coap_observer, due);
        list_unlink(&o->due);
        o->dirty = false;
        o->pending = true;
        *ret = (struct coap_event){
                .type = COAP_EVENT_NOTIFY,
                .id = (uint64_t)1 << 63 | (uint64_t)coap_pool_index(&ep->observers, o) << 32 |
                      o->slot.generation,
                .peer = o->peer,
                .resource = o->resource,
                .request = { .method = COAP_GET,
                             .ocf_version = o->ocf_version,
                             .accept = o->accept,
                             .content_format = COAP_FORMAT_NONE,
                             .query = span_of(o->query, o->n_query) },
        };
        return true;
}

static struct coap_shape shape_of(const struct coap_endpoint *ep, const struct coap_observer *o) {
        struct coap_shape s = { .peer = o->peer,
                                .request_hash =
                                        o->request_hash, /* the rest of a long one is fetched by plain GETs */
                                .accept = o->accept,
                                .method = COAP_GET,
                                .n_token = o->n_token,
                                .szx = o->szx,
                                .has_block2 = o->szx < ep->config.block_szx,
                                .ocf_version = o->ocf_version };

        memcpy(s.token, o->token, o->n_token);
        return s;
}

static bool wants_con(const struct coap_endpoint *ep, uint64_t now_ms, const struct coap_observer *o,
                      bool last) {
        if (o->peer.stream)
                return false;
        return last || o->timeout_ms || o->n_since_con + 1u >= ep->config.con_every ||
               now_ms - o->proven_ms >= ep->config.con_after_ms;
}

static uint32_t next_sequence(struct coap_observer *o) {
        o->sequence = (o->sequence + 1) & 0xffffff;
        return o->sequence;
}

static void send_notification(struct coap_endpoint *ep, uint64_t now_ms, struct coap_observer *o,
                              const struct coap_response *response, bool con, bool last) {
        struct coap_shape shape = shape_of(ep, o);
        struct coap_answer_options options = { .type = con ? COAP_CON : COAP_NON,
                                               .mid = coap_endpoint_next_mid(ep, o->account),
                                               .observe = last ? -1 : (int64_t)next_sequence(o) };
        struct span message = coap_answer(ep, now_ms, &shape, response, &options);
        struct coap_reliable *r = NULL;

        if (con)
                r = coap_reliable_send(ep, now_ms, o->account, &o->peer, options.mid, message, o->timeout_ms,
                                       o->n_sent);
        if (r && !last) {
                r->observer = o;
                o->reliable = r;
        }
        if (r)
                return;
        ep->message[0] =
                (uint8_t)((ep->message[0] & 0xcf) | COAP_NON << 4); /* it cannot be kept: then once */
        coap_endpoint_send(ep, &o->peer, message);
        memmove(&o->mids[1], &o->mids[0], sizeof(o->mids) - sizeof(o->mids[0]));
        o->mids[0] = options.mid;
        if (o->n_mids < ARRAY_SIZE(o->mids))
                o->n_mids++;
        if (o->n_since_con < UINT8_MAX)
                o->n_since_con++;
}

int coap_observer_respond(struct coap_endpoint *ep, uint64_t now_ms, struct coap_observer *o,
                          const struct coap_response *response) {
        bool last = response->code >= COAP_BAD_REQUEST;

        if (!o->pending)
                return COAP_E_UNKNOWN_ID;
        o->pending = false;
        send_notification(ep, now_ms, o, response, wants_con(ep, now_ms, o, last), last);
        if (last)
                coap_observer_free(ep, o);
        else
                make_due(ep, o);
        return 0;
}

void coap_observer_ignore(struct coap_endpoint *ep, struct coap_observer *o) {
        o->pending = false;
        make_due(ep, o);
}

void coap_endpoint_notify(struct coap_endpoint *ep, uint64_t now_ms, uint64_t resource) {
        struct coap_resource *r = resource_find(ep, resource);

        if (!r)
                return;
        LIST_FOR_EACH(i, &r->observers) {
                struct coap_observer *o = LIST_ENTRY(i, struct coap_observer, resource_link);

                o->dirty = true;
                make_due(ep, o);
        }
}

void coap_endpoint_end_observers(struct coap_endpoint *ep, uint64_t now_ms, uint64_t resource, uint8_t code,
                                 int64_t max_age_s) {
        struct coap_resource *r = resource_find(ep, resource);
        const struct coap_response response = { .code = code,
                                                .content_format = COAP_FORMAT_NONE,
                                                .max_age_s = max_age_s };
        uint32_t n = r ? r->n_observers : 0;

        while (n--) { /* the resource goes with the last one */
                struct coap_observer *o =
                        LIST_ENTRY(list_first(&r->observers), struct coap_observer, resource_link);

                send_notification(ep, now_ms, o, &response, !o->peer.stream, true);
                coap_observer_free(ep, o);
        }
}

uint32_t coap_endpoint_observers(const struct coap_endpoint *ep, uint64_t resource) {
        const struct coap_resource *r = resource_find(ep, resource);

        return r ? r->n_observers : 0;
}
