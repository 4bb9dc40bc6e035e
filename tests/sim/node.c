/*
 * After whatever is done to an endpoint it is asked for events and messages until it
 * has none, and when it wants to be asked again.
 */
#include "node.h"

#include "client.h"
#include "conduct.h"
#include "connection.h"
#include "invariants.h"
#include "network.h"
#include "server.h"
#include "trace.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define ROUNDS_MAX 100000 /* of one moment */

static uint32_t draw_for_endpoint(void *context) {
        struct node *n = context;

        n->random ^= n->random << 13;
        n->random ^= n->random >> 7;
        n->random ^= n->random << 17;
        return (uint32_t)(n->random >> 16);
}

/* Fresh pages: what an endpoint never touches costs nothing, though there are hundreds. */
static void make_endpoint(struct world *w, struct node *n) {
        struct coap_config config = w->scenario->config;

        config.block_szx = world_draw_from(w, w->scenario->szx);
        config.random = draw_for_endpoint;
        config.random_context = n;
        n->n_memory = coap_endpoint_size(&config.limits);
        n->memory = mmap(NULL, n->n_memory, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (n->memory == MAP_FAILED)
                abort();
        n->ep = coap_endpoint_init(n->memory, &config);
        n->wake_ms = OCF_NEVER;
}

void node_init(struct world *w, struct node *n, uint32_t index) {
        uint64_t own = w->scenario->equal_ids ? 0 : index + 1;

        *n = (struct node){ .station.index = index, .touched_ms = w->now_ms };
        network_address(&n->station, n->station.inside);
        memcpy(n->station.outside, n->station.inside, 16);
        n->random = (w->seed + (own << 32)) * 0x9e3779b97f4a7c15u | 1;
        make_endpoint(w, n);
}

void node_deinit(struct node *n) {
        (void)munmap(n->memory, n->n_memory);
}

static void happens(struct world *w, struct node *n, const struct coap_event *e) {
        switch (e->type) {
        case COAP_EVENT_REQUEST:
        case COAP_EVENT_NOTIFY:
                server_event(w, n, e);
                return;
        case COAP_EVENT_RESPONSE:
        case COAP_EVENT_FAILED:
                client_event(w, n, e);
                return;
        case COAP_EVENT_CLOSE:
                connection_close(w, n, &e->peer);
                return;
        case COAP_EVENT_NONE:
                return;
        }
}

/* ---- its time ---- */

static void plan(struct world *w, struct node *n, uint64_t due_ms) {
        if (due_ms >= n->wake_ms)
                return;
        n->wake_ms = due_ms;
        world_plan(w, due_ms, HAPPENING_WAKE, n->station.index, 0, NULL);
}

void node_serve(struct world *w, struct node *n) {
        uint8_t buf[COAP_TRANSMIT_MAX];
        struct coap_event e;
        struct coap_peer to;
        bool any = true;
        unsigned n_rounds = 0;
        size_t n_buf;

        if (n->station.asleep_until_ms > w->now_ms) {
                plan(w, n, n->station.asleep_until_ms);
                return;
        }
        while (any && n_rounds++ < ROUNDS_MAX) {
                any = false;
                while (coap_endpoint_event(n->ep, w->now_ms, &e) && n_rounds++ < ROUNDS_MAX) {
                        happens(w, n, &e);
                        any = true;
                }
                while ((n_buf = coap_endpoint_transmit(n->ep, w->now_ms, &to, buf, sizeof(buf))) &&
                       n_rounds++ < ROUNDS_MAX) {
                        if (to.stream)
                                connection_send(w, n, &to, buf, n_buf);
                        else
                                network_send(w, &n->station, &to, buf, n_buf);
                        any = true;
                }
        }
        if (n_rounds >= ROUNDS_MAX)
                invariant_broken(w, "an endpoint never comes to rest", "node %u", n->station.index);
        if (coap_endpoint_deadline(n->ep) <= w->now_ms)
                invariant_broken(w, "a deadline has passed and nothing came of it", "node %u",
                                 n->station.index);
        plan(w, n, coap_endpoint_deadline(n->ep));
}

void node_wake(struct world *w, struct node *n) {
        if (w->now_ms != n->wake_ms)
                return; /* something nearer came in between */
        n->wake_ms = OCF_NEVER;
        node_serve(w, n);
}

void node_receive(struct world *w, struct node *n, const struct flight *f) {
        n->touched_ms = w->now_ms;
        conduct_heard(w, n, f);
        coap_endpoint_receive(n->ep, w->now_ms, &f->peer, f->multicast ? COAP_VIA_MULTICAST : 0,
                              span_of(f->bytes, f->n));
        node_serve(w, n);
}

/* ---- what befalls it ---- */

void node_reboot(struct world *w, struct node *n) {
        TELL(w, "node %u starts anew", n->station.index);
        for (uint32_t i = 0; i < w->n_asks; i++) {
                struct ask *a = &w->asks[i];

                if (!a->by_stranger && a->client == n->station.index && !a->ended)
                        a->ended = a->lost = true;
        }
        connections_forget(w, n);
        node_deinit(n);
        n->incarnation++;
        make_endpoint(w, n);
}

static void move(struct node *n) {
        n->station.generation++;
        network_address(&n->station, n->station.outside);
}

void node_vanish(struct world *w, struct node *n) {
        uint8_t old[16];

        TELL(w, "node %u has another address", n->station.index);
        memcpy(old, n->station.inside, 16);
        move(n);
        memcpy(n->station.inside, n->station.outside, 16);
        connections_break(w, n);
        coap_endpoint_forget_local(n->ep, w->now_ms, old, 0);
        node_serve(w, n);
}

void node_rebind(struct world *w, struct node *n) {
        TELL(w, "node %u is seen under another address", n->station.index);
        move(n);
}

void node_sleep(struct world *w, struct node *n, uint32_t ms) {
        TELL(w, "node %u sleeps for %u ms", n->station.index, ms);
        n->station.asleep_until_ms = w->now_ms + ms;
}
