#include "protocol/coap_private.h"

#include <string.h>

/*
 * Requests of ours, from request() to their end. Each waits for its turn with its
 * peer (NSTART, RFC 7252 4.7), goes out in one message or several, and ends once:
 * with a response, a failure, or because the caller does not want it any more. An
 * observation stays between its notifications, and registers again when its
 * Max-Age ends in silence (RFC 7641, 3.3.1).
 */

#define CLIENT_ID ((uint64_t)1 << 62)

/* ---- tokens ---- */

static uint64_t new_token(struct coap_endpoint *ep) {
        uint64_t high = ep->config.random(ep->config.random_context);

        return (high << 32 | ep->config.random(ep->config.random_context)) & ~(uint64_t)1;
}

static bool token_of(const struct coap_message *m, uint64_t *ret) {
        if (m->n_token != sizeof(*ret))
                return false;
        memcpy(ret, m->token, sizeof(*ret));
        return true;
}

bool coap_client_is_token(const struct coap_client *c, const struct coap_message *m) {
        uint64_t token;

        return token_of(m, &token) && (token & ~(uint64_t)1) == c->token;
}

bool coap_client_asks_rest(const struct coap_message *m) {
        uint64_t token;

        return token_of(m, &token) && token & 1;
}

/* A group's members answer from addresses of their own. */
static bool is_from(const struct coap_client *c, const struct coap_peer *peer) {
        if (c->multicast)
                return c->partner->peer.local_port == peer->local_port &&
                       c->partner->peer.device == peer->device;
        return coap_peer_equal(&c->partner->peer, peer);
}

struct coap_client *coap_client_find_token(const struct coap_endpoint *ep, const struct coap_peer *peer,
                                           const struct coap_message *m) {
        uint64_t token;

        if (!token_of(m, &token))
                return NULL;
        token &= ~(uint64_t)1;
        for (struct coap_hash_node *n = coap_hash_first(&ep->by_token, token); n; n = n->next) {
                struct coap_client *c = OCF_CONTAINER_OF(n, struct coap_client, node);

                if (c->token == token && is_from(c, peer))
                        return c;
        }
        return NULL;
}

/* ---- partners ---- */

static struct coap_partner *partner_find(const struct coap_endpoint *ep, const struct coap_peer *peer) {
        uint64_t hash = coap_endpoint_peer_hash(ep, peer);

        for (struct coap_hash_node *n = coap_hash_first(&ep->by_partner, hash); n; n = n->next) {
                struct coap_partner *p = OCF_CONTAINER_OF(n, struct coap_partner, node);

                if (n->hash == hash && coap_peer_equal(&p->peer, peer))
                        return p;
        }
        return NULL;
}

static struct coap_partner *partner_obtain(struct coap_endpoint *ep, const struct coap_peer *peer) {
        struct coap_partner *p = partner_find(ep, peer);

        if (p)
                return p;
        p = coap_pool_take(&ep->partners); /* there are as many as clients */
        p->peer = *peer;
        list_init(&p->clients);
        list_init(&p->queue);
        coap_hash_link(&ep->by_partner, &p->node, coap_endpoint_peer_hash(ep, peer));
        return p;
}

struct coap_client *coap_client_find_mid(const struct coap_endpoint *ep, const struct coap_peer *peer,
                                         uint16_t mid) {
        struct coap_partner *p = partner_find(ep, peer);

        if (!p)
                return NULL;
        LIST_FOR_EACH(i, &p->clients) {
                struct coap_client *c = LIST_ENTRY(i, struct coap_client, partner_link);

                if (c->mid == mid && !c->confirmable && c->state == CLIENT_SENT)
                        return c;
        }
        return NULL;
}

/* ---- sending ---- */

static uint64_t patience_ms(const struct coap_endpoint *ep, const struct coap_client *c) {
        if (c->timeout_ms)
                return c->timeout_ms;
        return c->confirmable || c->partner->peer.stream ? ep->config.exchange_lifetime_ms
                                                         : ep->config.non_lifetime_ms;
}

static void set_failed(struct coap_endpoint *ep, struct coap_client *c, enum coap_failure failure) {
        c->state = CLIENT_FAILED;
        c->failure = (uint8_t)failure;
        coap_timer_unset(&ep->timers, &c->timer);
        list_unlink(&c->link);
        list_link_tail(&ep->failed, &c->link);
}

static bool send_now(struct coap_endpoint *ep, uint64_t now_ms, struct coap_client *c) {
        struct span message;

        if (c->reliable)
                coap_reliable_free(ep, c->reliable);
        c->mid = coap_endpoint_next_mid(ep, c->account);
        message = coap_compose(ep, c);
        c->state = CLIENT_SENT;
        c->timer.kind = COAP_TIMER_CLIENT;
        if (c->begun || !c->timeout_ms) /* the caller's patience began with its request, not with its turn */
                coap_timer_set(&ep->timers, &c->timer, now_ms + patience_ms(ep, c));
        c->begun = true;
        if (!c->outstanding) {
                c->outstanding = true;
                c->partner->n_outstanding++;
        }
        if (!c->confirmable || c->partner->peer.stream) {
                coap_endpoint_send(ep, &c->partner->peer, message);
                return true;
        }
        c->reliable = coap_reliable_send(ep, now_ms, c->account, &c->partner->peer, c->mid, message, 0, 0);
        if (!c->reliable)
                return false;
        c->reliable->client = c;
        return true;
}

static void give_turns(struct coap_endpoint *ep, uint64_t now_ms, struct coap_partner *p) {
        struct list *first;

        /* Before the peer's CSM nobody knows how long a message it takes; and a body whose blocks grow on
         * their way is more than others can put together. */
        if (p->peer.stream && !coap_stream_is_ready(ep, &p->peer))
                return;
        while ((first = list_first(&p->queue)) && (p->n_outstanding < ep->config.nstart || p->peer.stream ||
                                                   LIST_ENTRY(first, struct coap_client, link)->multicast)) {
                struct coap_client *c = LIST_ENTRY(first, struct coap_client, link);

                list_unlink(&c->link);
                if (send_now(ep, now_ms, c))
                        continue;
                c->outstanding = false;
                p->n_outstanding--;
                set_failed(ep, c, COAP_FAILURE_FULL);
        }
}

static void end_turn(struct coap_endpoint *ep, uint64_t now_ms, struct coap_client *c) {
        if (!c->outstanding)
                return;
        c->outstanding = false;
        c->partner->n_outstanding--;
        give_turns(ep, now_ms, c->partner);
}

/* What goes on in an observation waits for its turn like everything else. */
static bool must_wait(const struct coap_endpoint *ep, const struct coap_client *c) {
        const struct coap_partner *p = c->partner;

        return !c->outstanding && !c->multicast && !p->peer.stream && p->n_outstanding >= ep->config.nstart;
}

void coap_client_send(struct coap_endpoint *ep, uint64_t now_ms, struct coap_client *c) {
        list_unlink(&c->link);
        if (must_wait(ep, c)) {
                c->state = CLIENT_QUEUED;
                coap_timer_set(&ep->timers, &c->timer, now_ms + patience_ms(ep, c));
                list_link_tail(&c->partner->queue, &c->link);
                return;
        }
        if (!send_now(ep, now_ms, c))
                coap_client_fail(ep, now_ms, c, COAP_FAILURE_FULL);
}

/* ---- life ---- */

static struct coap_client *client_new(struct coap_endpoint *ep, const struct coap_peer *peer) {
        struct coap_client *c = coap_pool_take(&ep->clients);

        if (!c)
                return NULL;
        list_init(&c->partner_link);
        list_init(&c->link);
        c->account = coap_account_obtain(ep, peer);
        if (!c->account) {
                coap_pool_give(&ep->clients, c);
                return NULL;
        }
        c->account->n_asks++;
        c->partner = partner_obtain(ep, peer);
        list_link_tail(&c->partner->clients, &c->partner_link);
        c->token = new_token(ep);
        c->tag = coap_endpoint_random_below(ep, 1u << 24);
        coap_hash_link(&ep->by_token, &c->node, c->token);
        c->event_id = CLIENT_ID | (uint64_t)coap_pool_index(&ep->clients, c) << 32 | c->slot.generation;
        c->szx1 = c->szx2 = peer->stream ? 7 : (uint8_t)ep->config.block_szx;
        c->state = CLIENT_QUEUED;
        return c;
}

void coap_client_free(struct coap_endpoint *ep, uint64_t now_ms, struct coap_client *c) {
        struct coap_partner *p = c->partner;

        if (ep->replied == c)
                ep->replied = NULL;
        if (c->reliable)
                coap_reliable_free(ep, c->reliable);
        coap_timer_unset(&ep->timers, &c->timer);
        coap_hash_unlink(&ep->by_token, &c->node);
        list_unlink(&c->link);
        end_turn(ep, now_ms, c);
        list_unlink(&c->partner_link);
        coap_account_drop(ep, c->account, &c->texts);
        coap_account_drop(ep, c->account, &c->payload);
        coap_account_drop(ep, c->account, &c->body);
        c->account->n_asks--;
        coap_account_release(ep, c->account);
        coap_pool_give(&ep->clients, c);
        if (list_is_empty(&p->clients)) {
                coap_hash_unlink(&ep->by_partner, &p->node);
                coap_pool_give(&ep->partners, p);
        }
}

static bool keep_texts(struct coap_endpoint *ep, uint64_t now_ms, struct coap_client *c,
                       const struct coap_ask *ask) {
        const struct span texts[] = { ask->path, ask->query, ask->etag, ask->if_match };
        struct coap_cursor end = { 0 };

        for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
                if (!coap_account_append(ep, now_ms, c->account, &c->texts, &end, texts[i]))
                        return false;
        c->n_path = (uint16_t)ask->path.n;
        c->n_query = (uint16_t)ask->query.n;
        c->n_etag = (uint8_t)ask->etag.n;
        c->n_if_match = (uint8_t)ask->if_match.n;
        end = (struct coap_cursor){ 0 };
        return coap_account_append(ep, now_ms, c->account, &c->payload, &end, ask->payload);
}

int coap_endpoint_request(struct coap_endpoint *ep, uint64_t now_ms, const struct coap_peer *peer,
                          const struct coap_ask *ask, coap_id *ret) {
        struct coap_client *c;

        if (ask->payload.n > ep->config.limits.n_body || !coap_compose_fits(ask))
                return COAP_E_TOO_LONG;
        if (peer->stream && !coap_stream_is_open(ep, peer))
                return COAP_E_CLOSED;
        c = client_new(ep, peer);
        if (!c)
                return COAP_E_FULL;
        if (!keep_texts(ep, now_ms, c, ask)) {
                coap_client_free(ep, now_ms, c);
                return COAP_E_FULL;
        }
        c->user = ask->user;
        c->method = ask->method;
        c->no_response = ask->no_response;
        c->accept = (int16_t)ask->accept;
        c->content_format = (int16_t)ask->content_format;
        c->timeout_ms = ask->timeout_ms;
        c->multicast = ask->multicast;
        c->confirmable = !ask->non_confirmable && !ask->multicast;
        c->observe = ask->observe && !ask->multicast;
        c->if_none_match = ask->if_none_match;
        c->ocf_version = ask->ocf_version;
        *ret = c->event_id;
        c->timer.kind = COAP_TIMER_CLIENT;
        coap_timer_set(&ep->timers, &c->timer, now_ms + patience_ms(ep, c));
        list_link_tail(&c->partner->queue, &c->link);
        give_turns(ep, now_ms, c->partner);
        return 0;
}

struct coap_client *coap_client_split(struct coap_endpoint *ep, struct coap_client *c,
                                      const struct coap_peer *peer) {
        struct coap_client *n = client_new(ep, peer);
        uint8_t texts[COAP_TEXTS_MAX];

        if (!n)
                return NULL;
        coap_pages_copy(&ep->pages, c->texts, 0, texts, c->texts.n);
        if (!coap_account_keep(ep, n->account, span_of(texts, c->texts.n), &n->texts)) {
                coap_client_free(ep, 0, n); /* nothing was sent: no time passes */
                return NULL;
        }
        n->event_id = c->event_id;
        n->user = c->user;
        n->method = c->method;
        n->accept = c->accept;
        n->content_format = c->content_format;
        n->n_path = c->n_path;
        n->n_query = c->n_query;
        n->n_etag = c->n_etag;
        n->n_if_match = c->n_if_match;
        n->ocf_version = c->ocf_version;
        n->confirmable = true;
        return n;
}

void coap_client_answered(struct coap_endpoint *ep, uint64_t now_ms, struct coap_client *c) {
        if (c->reliable)
                coap_reliable_free(ep, c->reliable);
        list_unlink(&c->link);
        if (!c->multicast)
                end_turn(ep, now_ms, c);
}

void coap_client_acknowledged(struct coap_endpoint *ep, uint64_t now_ms, struct coap_client *c) {
        if (c->state == CLIENT_SENT)
                c->state = CLIENT_ACKNOWLEDGED;
        end_turn(ep, now_ms, c);
}

/* Tells the peer that the observation is over, once and in earnest: what it answers is nobody's any more. */
static void take_back(struct coap_endpoint *ep, uint64_t now_ms, struct coap_client *c) {
        struct span message;

        c->mid = coap_endpoint_next_mid(ep, c->account);
        message = coap_compose_cancel(ep, c);
        if (c->partner->peer.stream ||
            !coap_reliable_send(ep, now_ms, c->account, &c->partner->peer, c->mid, message, 0, 0))
                coap_endpoint_send(ep, &c->partner->peer, message);
}

void coap_client_fail(struct coap_endpoint *ep, uint64_t now_ms, struct coap_client *c,
                      enum coap_failure failure) {
        if (c->state == CLIENT_FAILED)
                return;
        if (c->reliable)
                coap_reliable_free(ep, c->reliable);
        if (c->observed && c->partner->peer.stream && failure != COAP_FAILURE_CLOSED)
                take_back(ep, now_ms, c); /* over datagrams its next notification is rejected */
        set_failed(ep, c, failure);
        end_turn(ep, now_ms, c);
}

void coap_client_expire(struct coap_endpoint *ep, uint64_t now_ms, struct coap_client *c) {
        if (c->state != CLIENT_OBSERVING) {
                coap_client_fail(ep, now_ms, c, COAP_FAILURE_TIMEOUT);
                return;
        }
        c->n_sent = 0;
        c->asks_rest = false;
        c->sequenced = false;
        /* What comes under the old token now was long on its way, or of a server that began anew: it is none
         * of this registration's (RFC 7641, 3.4). */
        coap_hash_unlink(&ep->by_token, &c->node);
        c->token = new_token(ep);
        coap_hash_link(&ep->by_token, &c->node, c->token);
        coap_account_drop(ep, c->account, &c->body);
        coap_client_send(ep, now_ms, c);
}

void coap_client_start(struct coap_endpoint *ep, uint64_t now_ms, const struct coap_peer *peer) {
        struct coap_partner *p = partner_find(ep, peer);

        if (p)
                give_turns(ep, now_ms, p);
}

void coap_client_forget(struct coap_endpoint *ep, uint64_t now_ms, const struct coap_peer *peer) {
        struct coap_partner *p = partner_find(ep, peer);

        if (!p)
                return;
        LIST_FOR_EACH(i, &p->clients)
        coap_client_fail(ep, now_ms, LIST_ENTRY(i, struct coap_client, partner_link), COAP_FAILURE_CLOSED);
}

/* ---- to the caller ---- */

bool coap_client_event(struct coap_endpoint *ep, uint64_t now_ms, struct coap_event *ret) {
        struct list *first = list_first(&ep->failed);
        struct coap_client *c = ep->replied;

        if (!c && !first)
                return false;
        ret->type = c ? COAP_EVENT_RESPONSE : COAP_EVENT_FAILED;
        if (!c)
                c = LIST_ENTRY(first, struct coap_client, link);
        ret->id = c->event_id;
        ret->user = c->user;
        ret->resource = 0;
        if (ret->type == COAP_EVENT_FAILED) {
                ret->peer = c->partner->peer;
                ret->reply = (struct coap_reply){ .failure = (enum coap_failure)c->failure,
                                                  .content_format = COAP_FORMAT_NONE,
                                                  .without_version = c->without_version };
                coap_client_free(ep, now_ms, c);
                return true;
        }
        ret->peer = ep->replied_peer;
        ret->reply = ep->reply;
        ep->replied = NULL;
        if (!c->observed && !c->multicast)
                coap_client_free(ep, now_ms, c);
        return true;
}

void coap_endpoint_cancel(struct coap_endpoint *ep, uint64_t now_ms, coap_id id) {
        struct coap_client *c =
                id & CLIENT_ID ? coap_pool_at(&ep->clients, (uint32_t)(id >> 32) & 0x3fffffff, (uint32_t)id)
                               : NULL;

        if (!c)
                return;
        for (uint32_t i = 0; i < ep->clients.n_fresh && c->multicast; i++) { /* with what came of it */
                struct coap_client *part = coap_pool_used(&ep->clients, i);

                if (part && part != c && part->event_id == id)
                        coap_client_free(ep, now_ms, part);
        }
        if (c->observed)
                take_back(ep, now_ms, c);
        coap_client_free(ep, now_ms, c);
}
