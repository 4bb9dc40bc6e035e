/*
 * A datagram has its fate when it is sent; whether anybody is still there shows when it
 * lands.
 */
#include "network.h"

#include "conduct.h"
#include "stranger.h"
#include "trace.h"

#include <stdlib.h>
#include <string.h>

/* ---- addresses ---- */

static const uint8_t ipv4_prefix[12] = { [10] = 0xff, [11] = 0xff };
static const uint8_t group_ip[16] = { [10] = 0xff, [11] = 0xff, 224, 0, 1, 187 };

/* Odd nodes speak IPv6, each from a /64 of its own. */
void network_address(struct station *s, uint8_t ret[16]) {
        memset(ret, 0, 16);
        if (!s->is_stranger && s->index % 2) {
                ret[0] = 0xfd;
                ret[3] = s->generation;
                ret[4] = (uint8_t)(s->index >> 8);
                ret[5] = (uint8_t)s->index;
                ret[15] = 1;
                return;
        }
        memcpy(ret, ipv4_prefix, sizeof(ipv4_prefix));
        ret[12] = (uint8_t)((s->is_stranger ? 128 : 0) | (s->index >> 8));
        ret[13] = (uint8_t)s->index;
        ret[14] = s->generation;
        ret[15] = 1;
}

struct station *network_find(struct world *w, const uint8_t ip[16]) {
        uint32_t index;

        if (ip[0] == 0xfd) {
                index = (uint32_t)ip[4] << 8 | ip[5];
                return index < w->n_nodes ? &w->nodes[index].station : NULL;
        }
        index = (uint32_t)(ip[12] & 127) << 8 | ip[13];
        if (ip[12] & 128)
                return index < w->n_strangers ? stranger_station(w, index) : NULL;
        return index < w->n_nodes ? &w->nodes[index].station : NULL;
}

struct coap_peer network_peer(const struct station *from, const struct station *to) {
        struct coap_peer p = { .remote_port = COAP_PORT, .local_port = COAP_PORT };

        memcpy(p.local_ip, from->inside, 16);
        memcpy(p.remote_ip, to->outside, 16);
        return p;
}

struct coap_peer network_group(const struct station *from) {
        struct coap_peer p = { .remote_port = COAP_PORT, .local_port = COAP_PORT };

        memcpy(p.local_ip, from->inside, 16);
        memcpy(p.remote_ip, group_ip, 16);
        return p;
}

/* ---- fates ---- */

void network_init(struct world *w) {
        const struct scenario *s = w->scenario;

        w->network = (struct network){ .loss = world_draw_from(w, s->loss),
                                       .twice = world_draw_from(w, s->twice),
                                       .late = world_draw_from(w, s->late),
                                       .late_ms = s->late_ms,
                                       .delay_ms = { s->delay_ms.least, world_draw_from(w, s->delay_ms) },
                                       .mtu = world_draw_from(w, s->mtu),
                                       .drop = world_draw_from(w, s->drop) };
}

void network_join(struct world *w) {
        for (uint32_t i = 0; i < w->n_nodes; i++) {
                struct station *s = &w->nodes[i].station;

                s->group = 0;
                s->deaf = s->mute = false;
        }
}

void network_heal(struct world *w) {
        w->network.loss = w->network.twice = w->network.late = w->network.drop = 0;
        network_join(w);
}

/* NULL: it goes its way. */
static const char *why_lost(struct world *w, const struct station *from, const struct station *to, size_t n) {
        const struct network *net = &w->network;

        if (net->drop && net->n_sent == net->drop)
                return "dropped";
        if (n > net->mtu)
                return "too long";
        if (from->mute || from->asleep_until_ms > w->now_ms)
                return "mute";
        if (to && to->deaf)
                return "deaf";
        if (to && to->group != from->group)
                return "cut off";
        return world_percent(w, net->loss) ? "lost" : NULL;
}

static void fly(struct world *w, const struct station *from, const struct coap_peer *peer, bool multicast,
                const uint8_t *bytes, size_t n) {
        bool late = world_percent(w, w->network.late);
        struct flight *f = malloc(sizeof(*f) + n);

        if (!f)
                abort();
        *f = (struct flight){ .multicast = multicast, .n = n };
        f->peer = *peer;
        memcpy(f->peer.remote_ip, from->outside, 16);
        memcpy(f->peer.local_ip, peer->remote_ip, 16);
        f->peer.remote_port = peer->local_port;
        f->peer.local_port = peer->remote_port;
        memcpy(f->bytes, bytes, n);
        world_plan(w, w->now_ms + world_draw_from(w, late ? w->network.late_ms : w->network.delay_ms),
                   HAPPENING_LANDS, 0, 0, f);
}

static void send_one(struct world *w, const struct station *from, const struct station *to,
                     const struct coap_peer *peer, bool multicast, const uint8_t *bytes, size_t n) {
        const char *why = why_lost(w, from, to, n);
        bool twice = !why && world_percent(w, w->network.twice);
        char words[160];

        if (w->telling != TELL_NOTHING) {
                trace_message(bytes, n, words, sizeof(words));
                TELL(w, "%s -> %s: %s%s%s%s", trace_station(from), to ? trace_station(to) : "nobody", words,
                     why ? " -- " : "", why ? why : "", twice ? " -- twice" : "");
        }
        if (!why)
                fly(w, from, peer, multicast, bytes, n);
        if (twice)
                fly(w, from, peer, multicast, bytes, n);
}

void network_send(struct world *w, struct station *from, const struct coap_peer *peer, const uint8_t *bytes,
                  size_t n) {
        struct coap_peer copy = *peer;

        w->network.n_sent++;
        from->n_bytes_sent += n;
        conduct_sent(w, from, peer, bytes, n);
        strangers_overhear(w, from, bytes, n);
        if (memcmp(peer->remote_ip, group_ip, 16) != 0) {
                send_one(w, from, network_find(w, peer->remote_ip), peer, false, bytes, n);
                return;
        }
        for (uint32_t i = 0; i < w->n_nodes; i++) {
                struct station *to = &w->nodes[i].station;

                if (to == from)
                        continue;
                memcpy(copy.remote_ip, to->outside, 16);
                send_one(w, from, to, &copy, true, bytes, n);
        }
}

/* ---- arrival ---- */

struct station *network_land(struct world *w, struct flight *f, bool *ret_kept) {
        struct station *to = network_find(w, f->peer.local_ip);

        *ret_kept = false;
        if (!to || memcmp(to->outside, f->peer.local_ip, 16) != 0) {
                TELL(w, "nobody is there any more");
                return NULL;
        }
        if (to->asleep_until_ms > w->now_ms) {
                world_plan(w, to->asleep_until_ms, HAPPENING_LANDS, 0, 0, f);
                *ret_kept = true;
                return NULL;
        }
        memcpy(f->peer.local_ip, to->inside, 16);
        to->n_bytes_heard += f->n;
        return to;
}
