/*
 * What was sent is remembered by sender, receiver and message id, for as long as a
 * peer would remember it.
 */
#include "conduct.h"

#include "invariants.h"
#include "network.h"
#include "protocol/coap_message.h"
#include "protocol/coap_pool.h"
#include "server.h"

#include <string.h>

/* What was sent last under a sender, receiver and message id; of two that fall on one place the later stays.
 */
struct record {
        uint64_t run; /* of which run: so that nothing need be cleared between them */
        uint64_t key, bytes_hash, at_ms, gap_ms;
        unsigned n_sent;
};

#define HASH_SEED 0x9fb21c651e98df25u
#define RECORDS   65536u
static struct record records[RECORDS];

static uint64_t key_of(const struct world *w, const struct station *from, const struct coap_peer *peer,
                       uint16_t mid) {
        struct {
                uint8_t to[16], from[16];
                uint64_t mid;
        } key = { .mid = (uint64_t)w->nodes[from->index].incarnation << 16 | mid };

        memcpy(key.to, peer->remote_ip, 16);
        memcpy(key.from, from->outside, 16);
        return coap_hash_bytes(HASH_SEED, &key, sizeof(key));
}

/* The request whose key stands in its query, if it is one that takes a turn. */
static bool ask_of(const struct world *w, const struct coap_message *m, uint32_t *ret) {
        struct coap_option_reader reader = coap_option_begin(m);
        struct coap_option o;
        uint32_t observe = 0;
        bool found = false;

        if (m->type != COAP_CON || !m->code || m->code >> 5)
                return false;
        while (coap_option_next(&reader, &o)) {
                if (o.number == COAP_OPTION_OBSERVE)
                        (void)coap_option_uint(o.value, 3, &observe);
                if (o.number == COAP_OPTION_URI_QUERY)
                        found = server_key(w, o.value, ret);
        }
        return found && !observe;
}

/* RFC 7252, 4.7: how many others of this client's wait for a sign of life of this server? */
static void take_turn(struct world *w, uint32_t key, uint16_t mid, const uint8_t to[16]) {
        struct ask *a = &w->asks[key];
        uint32_t n = 0, other = 0;

        if (a->kind == ASK_OBSERVE || a->kind == ASK_WATCH)
                return; /* what follows a notification takes no turn, and looks the same */
        for (uint32_t i = 0; i < w->n_asks; i++) {
                const struct ask *b = &w->asks[i];

                if (b->on_its_way && !b->ended && i != key && b->client == a->client &&
                    memcmp(b->to, to, 16) == 0) {
                        n++;
                        other = i;
                }
        }
        if (!a->on_its_way && n >= w->scenario->config.nstart)
                invariant_broken(w, "more requests than NSTART wait for one peer",
                                 "request %u after %u others, as %u", key, n, other);
        a->on_its_way = true;
        a->mid = mid;
        memcpy(a->to, to, 16);
}

void conduct_heard(struct world *w, const struct node *n, const struct flight *f) {
        const struct station *from = network_find(w, f->peer.remote_ip);
        struct coap_message m;

        if (!from || from->is_stranger || coap_message_parse(&m, span_of(f->bytes, f->n)) != 0 ||
            (m.type != COAP_ACK && m.type != COAP_RST))
                return;
        for (uint32_t i = 0; i < w->n_asks; i++) {
                struct ask *a = &w->asks[i];

                if (a->on_its_way && a->mid == m.mid && a->client == n->station.index &&
                    a->server == from->index)
                        a->on_its_way = false;
        }
}

static void check_repetition(struct world *w, const struct station *from, struct record *r, uint16_t mid) {
        uint64_t gap_ms = w->now_ms - r->at_ms;

        if (++r->n_sent > w->scenario->config.max_retransmit + 1)
                invariant_broken(w, "a message is sent more often than it may", "mid %04x of node %u", mid,
                                 from->index);
        if (gap_ms < w->scenario->config.ack_timeout_ms || gap_ms < 2 * r->gap_ms)
                invariant_broken(w, "a message is sent again too soon", "mid %04x of node %u", mid,
                                 from->index);
        r->gap_ms = gap_ms;
        r->at_ms = w->now_ms;
}

void conduct_sent(struct world *w, const struct station *from, const struct coap_peer *peer,
                  const uint8_t *bytes, size_t n) {
        const struct coap_config *c = &w->scenario->config;
        uint64_t hash = coap_hash_bytes(HASH_SEED, bytes, n), key;
        struct coap_message m;
        struct record *r;
        uint32_t ask;

        if (from->is_stranger || from->asleep_until_ms || coap_message_parse(&m, span_of(bytes, n)) != 0 ||
            (m.type != COAP_CON && m.type != COAP_NON))
                return;
        key = key_of(w, from, peer, m.mid);
        r = &records[key % RECORDS];
        if (r->run != w->n_run || r->key != key ||
            w->now_ms - r->at_ms > (m.type == COAP_CON ? c->exchange_lifetime_ms : c->non_lifetime_ms)) {
                *r = (struct record){ w->n_run, key, hash, w->now_ms, 0, 1 };
                if (ask_of(w, &m, &ask) && !w->scenario->shared_uri)
                        take_turn(w, ask, m.mid, peer->remote_ip);
                return;
        }
        if (r->bytes_hash != hash)
                invariant_broken(w, "a message id is used again too early",
                                 "mid %04x of node %u, %llu ms after", m.mid, from->index,
                                 (unsigned long long)(w->now_ms - r->at_ms));
        else if (m.type == COAP_CON)
                check_repetition(w, from, r, m.mid);
}
