/*
 * What the scenario wishes is drawn and asked; what comes back is compared with what
 * the ledger of requests knows, which no message ever touched.
 */
#include "client.h"

#include "body.h"
#include "connection.h"
#include "invariants.h"
#include "network.h"
#include "node.h"
#include "server.h"
#include "trace.h"

#include <stdlib.h>
#include <string.h>

#define MULTICAST_TIMEOUT_MS 10000u
#define CANCEL_PERCENT       5u

static bool is_observation(const struct ask *a) {
        return a->kind == ASK_OBSERVE || a->kind == ASK_WATCH;
}

static bool is_long(enum ask_kind kind) {
        return kind == ASK_LONG || kind == ASK_VALID || kind == ASK_UPLOAD || kind == ASK_BOTH ||
               kind == ASK_WATCH;
}

/* ---- asking ---- */

void client_init(struct world *w, struct node *n) {
        for (uint32_t i = 0; i < w->scenario->n_wishes; i++)
                n->n_left[i] = world_draw_from(w, w->scenario->wishes[i].n);
        world_plan(w, w->now_ms + world_draw_from(w, w->scenario->pause_ms), HAPPENING_ASK, n->station.index,
                   0, NULL);
}

static uint32_t n_left(const struct world *w, const struct node *n) {
        uint32_t sum = 0;

        for (uint32_t i = 0; i < w->scenario->n_wishes; i++)
                sum += n->n_left[i];
        return sum;
}

static uint32_t draw_wish(struct world *w, struct node *n) {
        uint32_t which = world_draw(w) % n_left(w, n), i = 0;

        while (which >= n->n_left[i])
                which -= n->n_left[i++];
        n->n_left[i]--;
        return i;
}

/* One of the servers, but not itself; false: there is nobody to ask. */
static bool draw_server(struct world *w, const struct node *n, uint32_t *ret) {
        uint32_t n_others = w->n_servers - (n->station.index < w->n_servers ? 1 : 0), i;

        if (!n_others)
                return false;
        i = world_draw(w) % n_others;
        *ret = i + (n->station.index < w->n_servers && i >= n->station.index ? 1 : 0);
        return true;
}

/* Half of the lengths are those that go wrong: around multiples of a block. */
static uint32_t draw_length(struct world *w) {
        uint32_t n = world_draw_from(w, w->scenario->body);

        if (world_draw(w) % 2)
                n = (n + 1023) / 1024 * 1024 + world_draw(w) % 3 - 1;
        return n < BODY_LEAST ? BODY_LEAST : n > BODY_MOST ? BODY_MOST : n;
}

static int send_ask(struct world *w, struct node *n, uint32_t key, const struct coap_peer *peer) {
        static uint8_t body[BODY_MOST];
        struct ask *a = &w->asks[key];
        struct coap_ask ask = COAP_ASK_DEFAULT;
        char query[16];

        *query = 0;
        if (!w->scenario->shared_uri || !a->n_up) /* else only the body says which one it is */
                (void)snprintf(query, sizeof(query), "k=%u", a->shown);
        ask.method = server_method(a->kind);
        ask.path = span_of_string(server_path(a->kind));
        ask.query = span_of_string(query);
        ask.non_confirmable = a->non_confirmable;
        ask.multicast = a->multicast;
        ask.observe = is_observation(a);
        ask.ocf_version = world_draw(w) % 4 == 0;
        ask.no_response = a->kind == ASK_QUIET ? 26 : 0;
        ask.timeout_ms = a->timeout_ms;
        if (a->kind == ASK_VALID)
                ask.etag = span_of(&a->state, sizeof(a->state));
        ask.user = key;
        body_write(body, a->n_up, key, 0);
        ask.payload = span_of(body, a->n_up);
        return coap_endpoint_request(n->ep, w->now_ms, peer, &ask, &a->id);
}

/* What this client already fetched from this server is fetched again. */
static void share(struct world *w, uint32_t key) {
        struct ask *a = &w->asks[key];

        for (uint32_t i = 0; i < key; i++) {
                const struct ask *b = &w->asks[i];

                if (b->kind != a->kind || b->client != a->client || b->server != a->server)
                        continue;
                a->shown = i;
                a->n_down = b->n_down;
                return;
        }
}

static void begin(struct world *w, struct node *n, struct ask a, const struct coap_peer *peer) {
        uint32_t key;
        int r;

        a.begun = true;
        a.begun_ms = w->now_ms;
        a.client = n->station.index;
        a.channel = peer->channel;
        key = world_new_ask(w, a);
        w->asks[key].shown = key;
        if (w->scenario->shared_uri && a.kind == ASK_LONG)
                share(w, key);
        n->touched_ms = w->now_ms;
        TELL(w, "node %u begins request %u, %s%s, of %d", n->station.index, key, ask_kind_names[a.kind],
             a.non_confirmable ? " NON" : "", a.multicast ? -1 : (int)a.server);
        r = send_ask(w, n, key, peer);
        if (r) {
                TELL(w, "node %u: request %u is refused at home: %d", n->station.index, key, r);
                w->asks[key].ended = true;
        } else if (is_observation(&a)) {
                world_plan(w, w->now_ms + world_draw_from(w, w->scenario->hold_ms), HAPPENING_CANCEL, 0, key,
                           NULL);
        } else if (!a.multicast && world_percent(w, CANCEL_PERCENT)) {
                world_plan(w, w->now_ms + world_draw(w) % 4000, HAPPENING_CANCEL, 0, key, NULL);
        }
        node_serve(w, n);
}

static uint32_t length_up(struct world *w, enum ask_kind kind) {
        if (kind == ASK_UPLOAD || kind == ASK_BOTH)
                return draw_length(w);
        return server_has_effect(kind) || kind == ASK_FETCH ? BODY_LEAST : 0;
}

static uint32_t length_down(struct world *w, enum ask_kind kind) {
        return is_long(kind) && kind != ASK_UPLOAD ? draw_length(w) : BODY_LEAST;
}

static void draw_ask(struct world *w, struct node *n, uint32_t server) {
        const struct wish *wish = &w->scenario->wishes[draw_wish(w, n)];
        uint32_t i = world_draw(w) % wish->n_kinds;
        struct ask a = { .kind = (enum ask_kind)wish->kinds[i],
                         .non_confirmable = wish->non_confirmable[i],
                         .server = server };
        struct coap_peer peer;

        a.n_up = length_up(w, a.kind);
        a.n_down = length_down(w, a.kind);
        a.state = a.kind == ASK_VALID ? w->nodes[server].state - world_draw(w) % 2 : 0;
        a.timeout_ms = world_draw(w) % 2 ? 0 : world_draw_from(w, w->scenario->timeout_ms);
        if (!world_percent(w, w->scenario->tcp) || !connection_to(w, n, server, &peer))
                peer = network_peer(&n->station, &w->nodes[server].station);
        begin(w, n, a, &peer);
}

void client_begin(struct world *w, struct node *n) {
        uint32_t server;

        if (w->phase != PHASE_BUSY || !n_left(w, n) || !draw_server(w, n, &server))
                return;
        if (n->station.asleep_until_ms <= w->now_ms)
                draw_ask(w, n, server);
        world_plan(w, w->now_ms + world_draw_from(w, w->scenario->pause_ms), HAPPENING_ASK, n->station.index,
                   0, NULL);
}

void client_multicast(struct world *w, struct node *n) {
        const struct coap_peer group = network_group(&n->station);
        uint8_t *heard = calloc(w->n_nodes, 1);

        if (!heard)
                abort();
        begin(w, n,
              (struct ask){ .kind = ASK_GET,
                            .heard = heard,
                            .multicast = true,
                            .non_confirmable = true,
                            .n_down = BODY_LEAST,
                            .timeout_ms = MULTICAST_TIMEOUT_MS },
              &group);
}

/* ---- giving up ---- */

void client_cancel(struct world *w, uint32_t key) {
        struct ask *a = &w->asks[key];
        struct node *n = &w->nodes[a->client];

        if (a->ended)
                return;
        TELL(w, "node %u gives up request %u", a->client, key);
        a->ended = a->given_up = true;
        coap_endpoint_cancel(n->ep, w->now_ms, a->id);
        n->touched_ms = w->now_ms;
        node_serve(w, n);
}

void clients_leave(struct world *w) {
        for (uint32_t i = 0; i < w->n_asks; i++)
                if (!w->asks[i].by_stranger && is_observation(&w->asks[i]))
                        client_cancel(w, i);
}

/* ---- answers ---- */

static void end(struct world *w, struct node *n, uint32_t key) {
        struct ask *a = &w->asks[key];
        uint64_t limit_ms = a->begun_ms + a->timeout_ms;

        a->ended = true;
        if (a->timeout_ms && !is_long(a->kind) && !a->was_observed && w->now_ms > limit_ms &&
            n->station.asleep_until_ms < a->begun_ms)
                invariant_broken(w, "a request lasted longer than it may", "request %u", key);
}

/* From whom it was asked; of many, from each once. */
static void compare_peer(struct world *w, const struct coap_event *e, uint32_t key) {
        const struct station *from = network_find(w, e->peer.remote_ip);
        struct ask *a = &w->asks[key];

        if (!from || from->is_stranger || (!a->multicast && from->index != a->server))
                invariant_broken(w, "an answer from somebody who was not asked", "request %u", key);
        else if (a->multicast && a->heard[from->index]++)
                invariant_broken(w, "one of many answered twice", "request %u, node %u", key, from->index);
        a->n_heard++;
}

static void compare_body(struct world *w, const struct coap_event *e, uint32_t key) {
        struct ask *a = &w->asks[key];
        uint32_t body_key, version;

        if (!body_read(e->reply.payload, &body_key, &version))
                invariant_broken(w, "a body arrived that is not whole", "request %u, %zu bytes", key,
                                 e->reply.payload.n);
        else if (body_key != a->shown || e->reply.payload.n != a->n_down)
                invariant_broken(w, "an answer that belongs to another request", "%u instead of %u", body_key,
                                 key);
        else if (is_observation(a) && version < a->state)
                invariant_broken(w, "a notification that counts as newer shows an older state",
                                 "request %u: %u after %u", key, version, a->state);
        else
                a->state = version;
}

/* 2.03 is about the body that the client named, and brings none. */
static void compare_etag(struct world *w, const struct coap_event *e, uint32_t key) {
        const struct ask *a = &w->asks[key];

        if (a->kind != ASK_VALID || e->reply.payload.n ||
            !span_equal(e->reply.etag, span_of(&a->state, sizeof(a->state))))
                invariant_broken(w, "an answer that belongs to another request", "2.03 to %u", key);
}

static void take_response(struct world *w, struct node *n, const struct coap_event *e, uint32_t key) {
        struct ask *a = &w->asks[key];

        compare_peer(w, e, key);
        if (e->reply.code == COAP_VALID) {
                compare_etag(w, e, key);
                a->answered = true;
        } else if (e->reply.code < COAP_BAD_REQUEST) {
                compare_body(w, e, key);
                a->answered = true;
                if (server_has_effect(a->kind) && !a->n_handled)
                        invariant_broken(w, "a success that no handler gave", "request %u", key);
        }
        a->answered |= a->kind == ASK_REFUSED && e->reply.code == COAP_FORBIDDEN;
        a->observed = e->reply.observed;
        a->was_observed |= a->observed;
        if (!e->reply.more)
                end(w, n, key);
}

void client_event(struct world *w, struct node *n, const struct coap_event *e) {
        uint32_t key = (uint32_t)e->user;
        struct ask *a;

        if (e->user >= w->n_asks || w->asks[key].by_stranger || w->asks[key].client != n->station.index ||
            w->asks[key].id != e->id) {
                invariant_broken(w, "an event of a request that was never made", "node %u", n->station.index);
                return;
        }
        a = &w->asks[key];
        a->on_its_way = false;
        if (e->type == COAP_EVENT_RESPONSE)
                TELL(w, "node %u: response to request %u: %u.%02u, %zu bytes%s%s", n->station.index, key,
                     e->reply.code >> 5, e->reply.code & 31u, e->reply.payload.n,
                     e->reply.observed ? ", observed" : "", e->reply.more ? ", more" : "");
        else
                TELL(w, "node %u: request %u failed: %d", n->station.index, key, (int)e->reply.failure);
        if (a->ended)
                invariant_broken(w, "an event of a request that has ended", "request %u", key);
        else if (e->type == COAP_EVENT_RESPONSE)
                take_response(w, n, e, key);
        else
                end(w, n, key);
}
