/*
 * The first thing that does not hold ends the run, so that its cause is among the last
 * lines.
 */
#include "invariants.h"

#include "connection.h"
#include "server.h"
#include "stranger.h"
#include "trace.h"

#include <stdarg.h>
#include <string.h>

/* After its last contact with the world an endpoint sends for 93 s at most (RFC 7252 4.8.2), and remembers
 * for an exchange's lifetime. */
#define MAX_TRANSMIT_WAIT_MS 93000u
#define FEW                  30u /* a share of so few says nothing */

void invariant_broken(struct world *w, const char *what, const char *format, ...) {
        va_list arguments;

        if (w->broken)
                return;
        va_start(arguments, format);
        (void)vsnprintf(w->broken_where, sizeof(w->broken_where), format, arguments);
        va_end(arguments);
        w->broken = what;
        TELL(w, "BROKEN: %s: %s", what, w->broken_where);
}

/*
 * Once for each time that its server lived and each address that its client was
 * seen under, and again only when the lifetime of its message id is over.
 */
void invariant_handled(struct world *w, uint32_t key, const struct node *server,
                       const uint8_t client_ip[16]) {
        const struct coap_config *c = &w->scenario->config;
        struct ask *a = &w->asks[key];
        bool other = !a->n_handled || a->handled_incarnation != server->incarnation ||
                     memcmp(a->handled_ip, client_ip, 16) != 0 ||
                     w->now_ms - a->handled_ms >=
                             (a->non_confirmable ? c->non_lifetime_ms : c->exchange_lifetime_ms);

        a->n_handled++;
        a->handled_incarnation = server->incarnation;
        memcpy(a->handled_ip, client_ip, 16);
        a->handled_ms = w->now_ms;
        if (!other)
                invariant_broken(w, "a request with an effect reached its handler twice",
                                 "request %u at node %u", key, server->station.index);
}

/* ---- tables ---- */

static void look_at_limits(struct world *w, const struct node *n, const struct coap_counts *c) {
        const struct coap_limits *l = &w->scenario->config.limits;

        if (c->n_exchanges > l->n_exchanges || c->n_observers > l->n_observers ||
            c->n_delayed > l->n_delayed || c->n_pages > l->n_pages || c->n_asks > l->n_asks ||
            c->n_streams > l->n_streams)
                invariant_broken(w, "a table is larger than its limit", "node %u", n->station.index);
}

static const char *describe(const struct coap_counts *c) {
        static char words[96];

        (void)snprintf(words, sizeof(words),
                       "%u ex, %u obs, %u delayed, %u pages, %u out, %u asks, %u up, %u streams",
                       c->n_exchanges, c->n_observers, c->n_delayed, c->n_pages, c->n_outgoing, c->n_asks,
                       c->n_uploads, c->n_streams);
        return words;
}

static bool holds_nothing(const struct coap_counts *c) {
        return !c->n_exchanges && !c->n_delayed && !c->n_pages && !c->n_outgoing && !c->n_uploads;
}

static void look_at_lifetimes(struct world *w, const struct node *n, const struct coap_counts *c) {
        uint64_t most_ms =
                n->touched_ms + w->scenario->config.exchange_lifetime_ms + MAX_TRANSMIT_WAIT_MS + 1000;

        if (w->now_ms > most_ms && !c->n_observers && !c->n_asks && !holds_nothing(c))
                invariant_broken(w, "something outlives its lifetime", "node %u: %s", n->station.index,
                                 describe(c));
}

static void look_at_connections(struct world *w) {
        for (uint32_t i = 0; i < w->n_asks && w->n_connections; i++) {
                const struct ask *a = &w->asks[i];

                if (a->channel && !a->ended && !connection_stands(w, a->channel, a->client) &&
                    w->nodes[a->client].station.asleep_until_ms <= w->now_ms)
                        invariant_broken(w, "a request outlives its connection", "request %u", i);
        }
}

void invariants_look(struct world *w) {
        look_at_connections(w);
        for (uint32_t i = 0; i < w->n_nodes; i++) {
                struct coap_counts counts;

                coap_endpoint_counts(w->nodes[i].ep, &counts);
                look_at_limits(w, &w->nodes[i], &counts);
                look_at_lifetimes(w, &w->nodes[i], &counts);
        }
}

/* ---- the end ---- */

void invariants_newest(struct world *w) {
        for (uint32_t i = 0; i < w->n_asks; i++) {
                const struct ask *a = &w->asks[i];

                if (a->by_stranger || a->ended || !a->observed)
                        continue;
                if (a->state != w->nodes[a->server].state)
                        invariant_broken(w, "an observer stays with an old state",
                                         "request %u shows %u, its server is at %u", i, a->state,
                                         w->nodes[a->server].state);
        }
}

static void check_answered(struct world *w) {
        uint32_t n = 0, n_answered = 0, expected = w->scenario->expect_answered;

        for (uint32_t i = 0; i < w->n_asks; i++) {
                const struct ask *a = &w->asks[i];

                if (!a->begun || a->lost || a->given_up || a->kind == ASK_DIES ||
                    (w->scenario->expect_fair && stranger_is_greedy(w, a)) || a->kind == ASK_QUIET ||
                    a->kind == ASK_LATE)
                        continue;
                if (a->multicast && a->n_heard * 100 < (w->n_nodes - 1) * w->scenario->expect_heard)
                        invariant_broken(w, "too few answers to a multicast", "request %u: %u of %u", i,
                                         a->n_heard, w->n_nodes - 1);
                n++;
                n_answered += a->answered;
        }
        if ((n >= FEW || expected == 100) && n_answered * 100 < n * expected)
                invariant_broken(w, "too few requests were answered", "%u of %u", n_answered, n);
}

void invariants_end(struct world *w) {
        for (uint32_t i = 0; i < w->n_asks; i++)
                if (w->asks[i].begun && !w->asks[i].ended)
                        invariant_broken(w, "a request never ended", "request %u, %s", i,
                                         ask_kind_names[w->asks[i].kind]);
        for (uint32_t i = 0; i < w->n_nodes; i++) {
                struct coap_counts c;

                coap_endpoint_counts(w->nodes[i].ep, &c);
                if (!holds_nothing(&c) || c.n_observers || c.n_asks || c.n_streams)
                        invariant_broken(w, "all is quiet, and a table is not empty", "node %u: %s", i,
                                         describe(&c));
                if (coap_endpoint_deadline(w->nodes[i].ep) != OCF_NEVER)
                        invariant_broken(w, "all is quiet, and a deadline stands", "node %u", i);
        }
        strangers_check(w);
        check_answered(w);
}
