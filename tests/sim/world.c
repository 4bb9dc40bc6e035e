/*
 * One run. The next moment is the nearest in the timeline: jump there, do it,
 * check what must always hold.
 *
 * It has four phases. Busy: all that the scenario wishes. Settling: the network
 * is healed, each resource has changed once more, and there is time to hear of
 * it. Ending: observations are taken back and ended. Quiet: after the longest
 * lifetime there must be nothing anywhere.
 */
#include "world.h"

#include "client.h"
#include "connection.h"
#include "invariants.h"
#include "network.h"
#include "node.h"
#include "server.h"
#include "stranger.h"
#include "trace.h"

#include <stdlib.h>
#include <string.h>

#define LOOK_EVERY_MS 5000u
#define LATEST_MS     100000u /* RFC 7252 4.8.2, MAX_LATENCY: nothing is on its way for longer */
#define PROMPT_MS     10000u
#define QUIET_MS      (247000u + 93000u + 5000u)
#define HAPPENED_MAX  20000000u /* of one run: more is no end */

uint32_t world_draw(struct world *w) {
        w->random ^= w->random << 13;
        w->random ^= w->random >> 7;
        w->random ^= w->random << 17;
        return (uint32_t)(w->random >> 11);
}

uint32_t world_draw_from(struct world *w, struct range r) {
        return r.least == r.most ? r.least : r.least + world_draw(w) % (r.most - r.least + 1);
}

bool world_percent(struct world *w, uint32_t percent) {
        return percent && world_draw(w) % 100 < percent;
}

void world_plan(struct world *w, uint64_t at_ms, enum happening_type type, uint32_t who, uint32_t which,
                void *what) {
        timeline_add(
                &w->timeline,
                (struct happening){ .at_ms = at_ms, .type = type, .who = who, .which = which, .what = what });
}

uint32_t world_new_ask(struct world *w, struct ask ask) {
        if (w->n_asks == w->n_asks_max) {
                w->n_asks_max = w->n_asks_max ? 2 * w->n_asks_max : 256;
                w->asks = realloc(w->asks, w->n_asks_max * sizeof(*w->asks));
                if (!w->asks)
                        abort();
        }
        w->asks[w->n_asks] = ask;
        return w->n_asks++;
}

/* ---- what the scenario has happen at a certain moment ---- */

static void act_on(struct world *w, enum action_type type, uint32_t amount, struct node *n) {
        switch (type) {
        case ACTION_PARTITION:
                TELL(w, "node %u is cut off", n->station.index);
                n->station.group = 1;
                return;
        case ACTION_DEAF:
                n->station.deaf = true;
                return;
        case ACTION_MUTE:
                n->station.mute = true;
                return;
        case ACTION_REBOOT:
                node_reboot(w, n);
                return;
        case ACTION_VANISH:
                node_vanish(w, n);
                return;
        case ACTION_REBIND:
                node_rebind(w, n);
                return;
        case ACTION_SLEEP:
                node_sleep(w, n, amount);
                return;
        case ACTION_END:
                server_end(w, n);
                return;
        case ACTION_CUT:
                connections_break(w, n);
                return;
        case ACTION_RELEASE:
                connections_release(w, n);
                return;
        case ACTION_MULTICAST:
                client_multicast(w, n);
                return;
        case ACTION_HEAL:
        case ACTION_LOSS:
        case ACTION_DELAY:
        case N_ACTIONS:
                return;
        }
}

static void act(struct world *w, const struct action *a) {
        uint32_t amount = world_draw_from(w, a->amount);

        TELL(w, "-- %s %u..%u", action_names[a->type], a->who.least, a->who.most);
        if (w->phase != PHASE_BUSY)
                return;
        if (a->type == ACTION_HEAL)
                network_join(w);
        else if (a->type == ACTION_LOSS)
                w->network.loss = world_draw_from(w, a->who);
        else if (a->type == ACTION_DELAY)
                w->network.delay_ms = a->who;
        for (uint32_t i = a->who.least; i <= a->who.most && i < w->n_nodes; i++)
                act_on(w, a->type, amount, &w->nodes[i]);
}

/* ---- phases ---- */

static void settle(struct world *w) {
        TELL(w, "-- all is well from here on");
        w->phase = PHASE_SETTLING;
        network_heal(w);
        for (uint32_t i = 0; i < w->n_nodes; i++)
                server_change(w, &w->nodes[i]);
        if (w->scenario->expect_prompt)
                world_plan(w, w->now_ms + PROMPT_MS, HAPPENING_PROMPT, 0, 0, NULL);
        world_plan(w, w->now_ms + world_draw_from(w, w->scenario->settle_ms), HAPPENING_PHASE, 0, 0, NULL);
}

static void end_all(struct world *w) {
        for (uint32_t i = 0; i < w->n_nodes; i++)
                server_end(w, &w->nodes[i]);
}

static void next_phase(struct world *w) {
        switch (w->phase) {
        case PHASE_BUSY:
                settle(w);
                return;
        case PHASE_SETTLING:
                TELL(w, "-- it ends");
                invariants_newest(w);
                w->phase = PHASE_ENDING;
                clients_leave(w);
                strangers_leave(w);
                end_all(w);
                world_plan(w, w->now_ms + LATEST_MS, HAPPENING_PHASE, 0, 0, NULL);
                return;
        case PHASE_ENDING:
                TELL(w, "-- it is quiet from here on");
                w->phase = PHASE_QUIET;
                end_all(w); /* a registration may have come late, and found its client gone */
                for (uint32_t i = 0; i < w->n_nodes; i++)
                        connections_release(w, &w->nodes[i]);
                world_plan(w, w->now_ms + QUIET_MS, HAPPENING_PHASE, 0, 0, NULL);
                return;
        case PHASE_QUIET:
                w->over = true;
                return;
        }
}

/* ---- what happens ---- */

static void change(struct world *w, struct node *n) {
        if (w->phase != PHASE_BUSY)
                return;
        server_change(w, n);
        world_plan(w, w->now_ms + world_draw_from(w, w->scenario->change_ms), HAPPENING_CHANGE,
                   n->station.index, 0, NULL);
}

static void land(struct world *w, struct flight *f) {
        bool kept;
        struct station *to = network_land(w, f, &kept);

        if (to && to->is_stranger)
                stranger_receives(w, to->index, f);
        else if (to)
                node_receive(w, &w->nodes[to->index], f);
        if (!kept)
                free(f);
}

static void happens(struct world *w, const struct happening *h) {
        switch (h->type) {
        case HAPPENING_LANDS:
                land(w, h->what);
                return;
        case HAPPENING_WAKE:
                node_wake(w, &w->nodes[h->who]);
                return;
        case HAPPENING_ANSWER:
                server_answer(w, &w->nodes[h->who], h->what);
                return;
        case HAPPENING_CHANGE:
                change(w, &w->nodes[h->who]);
                return;
        case HAPPENING_STRANGER:
                stranger_happens(w, h->who, h->which);
                return;
        case HAPPENING_CONNECTION:
                connection_happens(w, h->who, h->which);
                return;
        case HAPPENING_ACTION:
                act(w, &w->scenario->actions[h->which]);
                return;
        case HAPPENING_LOOK:
                invariants_look(w);
                world_plan(w, w->now_ms + LOOK_EVERY_MS, HAPPENING_LOOK, 0, 0, NULL);
                return;
        case HAPPENING_PROMPT:
                invariants_newest(w);
                return;
        case HAPPENING_PHASE:
                next_phase(w);
                return;
        case HAPPENING_ASK:
                client_begin(w, &w->nodes[h->who]);
                return;
        case HAPPENING_CANCEL:
                client_cancel(w, h->which);
                return;
        }
}

/* ---- the whole ---- */

static void plan_all(struct world *w) {
        const struct scenario *s = w->scenario;

        for (uint32_t i = 0; i < w->n_nodes; i++)
                world_plan(w, w->now_ms + world_draw_from(w, s->change_ms), HAPPENING_CHANGE, i, 0, NULL);
        for (uint32_t i = 0; i < s->n_actions; i++)
                world_plan(w, w->now_ms + world_draw_from(w, s->actions[i].at_ms), HAPPENING_ACTION, 0, i,
                           NULL);
        world_plan(w, w->now_ms + LOOK_EVERY_MS, HAPPENING_LOOK, 0, 0, NULL);
        world_plan(w, w->now_ms + world_draw_from(w, s->until_ms), HAPPENING_PHASE, 0, 0, NULL);
}

static void world_init(struct world *w, const struct scenario *s, uint64_t seed, enum telling telling) {
        *w = (struct world){ .scenario = s,
                             .seed = seed,
                             .n_run = w->n_run + 1,
                             .random = seed * 0x9e3779b97f4a7c15u | 1,
                             .telling = telling,
                             .lines = w->lines,
                             .now_ms = 1000 };
        world_draw(w);
        network_init(w);
        w->n_nodes = world_draw_from(w, s->nodes);
        w->n_servers = world_draw_from(w, s->servers);
        if (!w->n_servers || w->n_servers > w->n_nodes)
                w->n_servers = w->n_nodes;
        w->nodes = calloc(w->n_nodes, sizeof(*w->nodes));
        if (!w->nodes)
                abort();
        for (uint32_t i = 0; i < w->n_nodes; i++)
                node_init(w, &w->nodes[i], i);
        for (uint32_t i = 0; i < w->n_nodes; i++)
                client_init(w, &w->nodes[i]);
        strangers_init(w);
        TELL(w, "%s, seed %llu: %u nodes, %u strangers, %u %% lost, %u %% twice, up to %u ms late", s->name,
             (unsigned long long)seed, w->n_nodes, w->n_strangers, w->network.loss, w->network.twice,
             w->network.delay_ms.most);
        plan_all(w);
}

static void world_deinit(struct world *w) {
        struct happening h;

        while (timeline_next(&w->timeline, &h))
                free(h.what); /* a flight, or an answer that nobody will hear */
        timeline_deinit(&w->timeline);
        for (uint32_t i = 0; i < w->n_nodes; i++)
                node_deinit(&w->nodes[i]);
        free(w->nodes);
        strangers_deinit(w);
        connections_deinit(w);
        for (uint32_t i = 0; i < w->n_asks; i++)
                free(w->asks[i].heard);
        free(w->asks);
}

bool world_run(struct world *w, const struct scenario *s, uint64_t seed, enum telling telling) {
        struct happening h;

        world_init(w, s, seed, telling);
        while (!w->over && !w->broken && timeline_next(&w->timeline, &h)) {
                w->now_ms = h.at_ms;
                if (++w->n_happened > HAPPENED_MAX)
                        invariant_broken(w, "it goes on and on", "after %u steps", HAPPENED_MAX);
                happens(w, &h);
        }
        if (!w->broken)
                invariants_end(w);
        world_deinit(w);
        return !w->broken;
}
