/*
 * Each way of a connection is a heap of bytes of which pieces break off: all at once
 * or one by one, so that messages arrive halved and several together.
 */
#include "connection.h"

#include "invariants.h"
#include "network.h"
#include "node.h"
#include "trace.h"

#include <stdlib.h>
#include <string.h>

#define LOST_SEGMENT_MS 300u /* what the other side's TCP needs to send it again */
#define STUCK_MAX       8u

struct connection {
        uint32_t ends[2]; /* nodes; the first one opened it */
        struct coap_peer peers[2];
        bool open[2];    /* that end's endpoint has it */
        bool closing[2]; /* that end writes nothing more */
        bool broken;
        struct way {
                uint8_t *data;
                size_t n, n_max;
                bool moving;
        } ways[2]; /* from that end to the other */
};

enum { WHAT_OPENS = 0, WHAT_MOVES = 2, WHAT_BROKEN = 4 }; /* and the end in the lowest bit */

static struct node *node_at(struct world *w, const struct connection *c, unsigned end) {
        return &w->nodes[c->ends[end]];
}

static void plan(struct world *w, const struct connection *c, uint64_t in_ms, unsigned what, unsigned end) {
        world_plan(w, w->now_ms + in_ms, HAPPENING_CONNECTION, (uint32_t)(c - w->connections), what | end,
                   NULL);
}

static uint64_t draw_delay(struct world *w) {
        uint64_t ms = world_draw_from(w, w->network.delay_ms);

        return world_percent(w, w->network.loss) ? ms + LOST_SEGMENT_MS : ms;
}

/* ---- its beginning ---- */

static struct connection *connection_new(struct world *w, uint32_t from, uint32_t to) {
        struct connection *c;

        if (w->n_connections == w->n_connections_max) {
                w->n_connections_max = w->n_connections_max ? 2 * w->n_connections_max : 64;
                w->connections = realloc(w->connections, w->n_connections_max * sizeof(*w->connections));
                if (!w->connections)
                        abort();
        }
        c = &w->connections[w->n_connections++];
        *c = (struct connection){ .ends = { from, to } };
        for (unsigned end = 0; end < 2; end++) {
                c->peers[end] = network_peer(&node_at(w, c, end)->station, &node_at(w, c, 1 - end)->station);
                c->peers[end].channel = w->n_connections;
                c->peers[end].stream = true;
        }
        return c;
}

static bool open_end(struct world *w, struct connection *c, unsigned end) {
        struct node *n = node_at(w, c, end);

        n->touched_ms = w->now_ms;
        c->open[end] = coap_endpoint_stream_open(n->ep, w->now_ms, &c->peers[end]) == 0;
        return c->open[end];
}

bool connection_to(struct world *w, struct node *n, uint32_t server, struct coap_peer *ret) {
        struct connection *c;

        for (uint32_t i = w->n_connections; i-- > 0;) {
                c = &w->connections[i];
                if (c->ends[0] != n->station.index || c->ends[1] != server || !c->open[0])
                        continue;
                *ret = c->peers[0];
                return true;
        }
        c = connection_new(w, n->station.index, server);
        TELL(w, "node %u opens connection %u to node %u", n->station.index, c->peers[0].channel, server);
        *ret = c->peers[0];
        if (!open_end(w, c, 0))
                return false;
        plan(w, c, draw_delay(w), WHAT_OPENS, 1);
        return true;
}

bool connection_stands(const struct world *w, uint32_t channel, uint32_t node) {
        const struct connection *c = &w->connections[channel - 1];

        return c->open[c->ends[0] == node ? 0 : 1];
}

/* ---- its end ---- */

/* That end learns that it is over. */
static void close_end(struct world *w, struct connection *c, unsigned end) {
        struct node *n = node_at(w, c, end);

        c->closing[end] = true;
        if (!c->open[end])
                return;
        TELL(w, "connection %u is over for node %u", c->peers[end].channel, n->station.index);
        c->open[end] = false;
        n->touched_ms = w->now_ms;
        coap_endpoint_stream_closed(n->ep, w->now_ms, &c->peers[end]);
        node_serve(w, n);
}

static void move_on(struct world *w, struct connection *c, unsigned end) {
        if (c->ways[end].moving || !c->open[1 - end] || (!c->ways[end].n && !c->closing[end]))
                return;
        c->ways[end].moving = true;
        plan(w, c, draw_delay(w), WHAT_MOVES, end);
}

void connection_close(struct world *w, struct node *n, const struct coap_peer *peer) {
        struct connection *c = &w->connections[peer->channel - 1];
        unsigned end = c->ends[0] == n->station.index ? 0 : 1;

        TELL(w, "node %u closes connection %u", n->station.index, peer->channel);
        c->open[end] = false;
        c->closing[end] = true;
        move_on(w, c, end);
        if (!c->open[1 - end])
                c->broken = true; /* the other one never had it, or is gone already */
}

static void break_one(struct world *w, struct connection *c) {
        c->broken = true;
        plan(w, c, world_draw(w) % 3000, WHAT_BROKEN, 0);
        plan(w, c, world_draw(w) % 3000, WHAT_BROKEN, 1);
}

static bool is_of(const struct connection *c, const struct node *n) {
        return c->ends[0] == n->station.index || c->ends[1] == n->station.index;
}

void connections_break(struct world *w, struct node *n) {
        for (uint32_t i = 0; i < w->n_connections; i++)
                if (is_of(&w->connections[i], n) && !w->connections[i].broken)
                        break_one(w, &w->connections[i]);
}

void connections_forget(struct world *w, struct node *n) {
        connections_break(w, n);
        for (uint32_t i = 0; i < w->n_connections; i++)
                if (is_of(&w->connections[i], n))
                        w->connections[i].open[w->connections[i].ends[0] == n->station.index ? 0 : 1] = false;
}

void connections_release(struct world *w, struct node *n) {
        for (uint32_t i = 0; i < w->n_connections; i++) {
                const struct connection *c = &w->connections[i];
                unsigned end = c->ends[0] == n->station.index ? 0 : 1;

                if (!is_of(c, n) || !c->open[end])
                        continue;
                TELL(w, "node %u releases connection %u", n->station.index, c->peers[end].channel);
                coap_endpoint_stream_release(n->ep, w->now_ms, &c->peers[end]);
                n->touched_ms = w->now_ms;
                node_serve(w, n);
        }
}

void connections_deinit(struct world *w) {
        for (uint32_t i = 0; i < w->n_connections; i++) {
                free(w->connections[i].ways[0].data);
                free(w->connections[i].ways[1].data);
        }
        free(w->connections);
}

/* ---- bytes ---- */

void connection_send(struct world *w, struct node *n, const struct coap_peer *peer, const uint8_t *bytes,
                     size_t n_bytes) {
        struct connection *c = &w->connections[peer->channel - 1];
        unsigned end = c->ends[0] == n->station.index ? 0 : 1;
        struct way *way = &c->ways[end];

        if (c->broken || c->closing[end])
                return;
        TELL(w, "node %u => node %u: %zu bytes", n->station.index, c->ends[1 - end], n_bytes);
        if (way->n + n_bytes > way->n_max) {
                way->n_max = 2 * (way->n + n_bytes);
                way->data = realloc(way->data, way->n_max);
                if (!way->data)
                        abort();
        }
        memcpy(way->data + way->n, bytes, n_bytes);
        way->n += n_bytes;
        move_on(w, c, end);
}

/* Its endpoint takes a message at a time; what one brings about may change the table of connections. */
static void deliver(struct world *w, uint32_t index, unsigned end, struct span bytes) {
        unsigned n_stuck = 0;

        while (bytes.n && w->connections[index].open[end]) {
                struct node *n = node_at(w, &w->connections[index], end);
                size_t taken;

                n->touched_ms = w->now_ms;
                taken = coap_endpoint_stream_receive(n->ep, w->now_ms, &w->connections[index].peers[end],
                                                     bytes);
                if (taken > bytes.n || (!taken && ++n_stuck > STUCK_MAX)) {
                        invariant_broken(w, "an endpoint does not take the bytes of a stream", "node %u",
                                         n->station.index);
                        return;
                }
                bytes.data += taken;
                bytes.n -= taken;
                node_serve(w, n);
        }
}

static bool is_stalled(const struct world *w, const struct station *from, const struct station *to) {
        return from->group != to->group || from->mute || to->deaf || to->asleep_until_ms > w->now_ms;
}

static void move(struct world *w, uint32_t index, unsigned end) {
        struct connection *c = &w->connections[index];
        struct way *way = &c->ways[end];
        uint8_t *piece;
        size_t n;

        way->moving = false;
        if (is_stalled(w, &node_at(w, c, end)->station, &node_at(w, c, 1 - end)->station)) {
                way->moving = true;
                plan(w, c, 1000, WHAT_MOVES, end);
                return;
        }
        if (!way->n) {
                if (c->closing[end])
                        close_end(w, c, 1 - end);
                return;
        }
        n = world_draw(w) % 2 ? way->n : 1 + world_draw(w) % way->n;
        piece = malloc(n);
        if (!piece)
                abort();
        memcpy(piece, way->data, n);
        memmove(way->data, way->data + n, way->n - n);
        way->n -= n;
        TELL(w, "node %u <= node %u: %zu bytes", c->ends[1 - end], c->ends[end], n);
        deliver(w, index, 1 - end, span_of(piece, n));
        free(piece);
        move_on(w, &w->connections[index], end);
}

void connection_happens(struct world *w, uint32_t index, uint32_t what) {
        struct connection *c = &w->connections[index];
        unsigned end = what & 1;

        if (what == (WHAT_BROKEN | end)) {
                close_end(w, c, end);
        } else if (!c->broken && what == (WHAT_OPENS | end)) {
                if (!open_end(w, c, end)) {
                        break_one(w, c); /* no room there: it hangs up */
                        return;
                }
                move_on(w, c, 1 - end);
                node_serve(w, node_at(w, c, end));
        } else if (!c->broken) {
                move(w, index, end);
        }
}
