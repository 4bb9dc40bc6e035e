/*
 * What all strangers have in common: an address, a next message id, and requests that
 * they write themselves.
 */
#include "stranger.h"

#include "invariants.h"
#include "network.h"
#include "server.h"
#include "trace.h"

#include <stdlib.h>
#include <string.h>

#define PLAIN_ERRANDS 12u

static bool is_plain(const struct stranger *s) {
        return s->kind == STRANGER_PLAIN;
}

struct station *stranger_station(struct world *w, uint32_t index) {
        return &w->strangers[index].station;
}

static void init_one(struct world *w, uint32_t index, enum stranger_kind kind) {
        struct stranger *s = &w->strangers[index];

        *s = (struct stranger){ .kind = kind, .station = { .index = index, .is_stranger = true } };
        s->first_mid = s->next_mid = (uint16_t)(w->seed % 3); /* they all use the same ids */
        network_address(&s->station, s->station.inside);
        memcpy(s->station.outside, s->station.inside, 16);
        if (is_plain(s)) {
                s->n_errands = PLAIN_ERRANDS;
                s->errands = calloc(s->n_errands, sizeof(*s->errands));
                if (!s->errands)
                        abort();
        } else {
                rude_init(w, s);
        }
        stranger_plan(w, s, w->now_ms + world_draw_from(w, w->scenario->pause_ms), UINT32_MAX);
}

void strangers_init(struct world *w) {
        uint32_t n[N_STRANGERS];

        for (int kind = 0; kind < N_STRANGERS; kind++) {
                n[kind] = world_draw_from(w, w->scenario->strangers[kind]);
                w->n_strangers += n[kind];
        }
        w->strangers = calloc(w->n_strangers + 1, sizeof(*w->strangers));
        if (!w->strangers)
                abort();
        for (uint32_t kind = 0, i = 0; kind < N_STRANGERS; kind++)
                while (n[kind]--)
                        init_one(w, i++, (enum stranger_kind)kind);
}

void strangers_deinit(struct world *w) {
        for (uint32_t i = 0; i < w->n_strangers; i++) {
                struct stranger *s = &w->strangers[i];

                for (uint32_t j = 0; s->errands && j < s->n_errands; j++)
                        free(s->errands[j].body);
                free(s->errands);
        }
        free(w->strangers);
}

void stranger_plan(struct world *w, struct stranger *s, uint64_t at_ms, uint32_t which) {
        world_plan(w, at_ms, HAPPENING_STRANGER, s->station.index, which, NULL);
}

void stranger_send(struct world *w, struct stranger *s, const void *bytes, size_t n) {
        struct coap_peer peer = network_peer(&s->station, &w->nodes[0].station);

        network_send(w, &s->station, &peer, bytes, n);
}

void stranger_send_empty(struct world *w, struct stranger *s, enum coap_type type, uint16_t mid) {
        uint8_t m[] = { (uint8_t)(0x40 | (unsigned)type << 4), 0, (uint8_t)(mid >> 8), (uint8_t)mid };

        stranger_send(w, s, m, sizeof(m));
}

struct coap_builder stranger_request(uint8_t buf[256], const struct ask *a, enum coap_type type, uint16_t mid,
                                     uint32_t number, bool observe, uint32_t key) {
        const uint8_t token[STRANGER_TOKEN] = { (uint8_t)(number >> 16), (uint8_t)(number >> 8),
                                                (uint8_t)number };
        struct coap_builder b =
                coap_build(buf, 256, type, server_method(a->kind), mid, token, STRANGER_TOKEN);
        char query[16];

        if (observe)
                coap_build_uint(&b, COAP_OPTION_OBSERVE, 0);
        coap_build_option(&b, COAP_OPTION_URI_PATH, span_of_string(server_path(a->kind) + 1));
        (void)snprintf(query, sizeof(query), "k=%u", key);
        coap_build_option(&b, COAP_OPTION_URI_QUERY, span_of_string(query));
        return b;
}

bool stranger_number(const struct coap_message *m, uint32_t *ret) {
        if (m->n_token != STRANGER_TOKEN)
                return false;
        *ret = (uint32_t)m->token[0] << 16 | (uint32_t)m->token[1] << 8 | m->token[2];
        return true;
}

void stranger_happens(struct world *w, uint32_t index, uint32_t which) {
        struct stranger *s = &w->strangers[index];

        if (is_plain(s))
                plain_happens(w, s, which);
        else
                rude_happens(w, s, which);
}

void stranger_receives(struct world *w, uint32_t index, const struct flight *f) {
        struct stranger *s = &w->strangers[index];
        struct coap_message m;

        if (coap_message_parse(&m, span_of(f->bytes, f->n)) != 0)
                invariant_broken(w, "a node sent something malformed", "to stranger %u", index);
        else if (is_plain(s))
                plain_receives(w, s, &m);
        else
                rude_receives(w, s, &m);
}

/* An observer rejects the next notification; who repeats nothing has no right to an answer where things are
 * lost. */
void strangers_leave(struct world *w) {
        bool lossy = w->scenario->loss.most || w->scenario->drop.most;

        for (uint32_t i = 0; i < w->n_asks; i++) {
                struct ask *a = &w->asks[i];

                if (a->by_stranger && (a->observed || (lossy && !is_plain(&w->strangers[a->client]))))
                        a->ended = true;
        }
}

void strangers_check(struct world *w) {
        for (uint32_t i = 0; i < w->n_strangers; i++)
                if (!is_plain(&w->strangers[i]))
                        rude_check(w, &w->strangers[i]);
}

bool stranger_is_greedy(struct world *w, const struct ask *a) {
        return a->by_stranger && w->strangers[a->client].kind == STRANGER_WRAP;
}

void strangers_overhear(struct world *w, const struct station *from, const uint8_t *bytes, size_t n) {
        struct coap_message m;

        for (uint32_t i = 0; i < w->n_strangers; i++)
                if (w->strangers[i].kind == STRANGER_FORGE && !from->is_stranger &&
                    coap_message_parse(&m, span_of(bytes, n)) == 0)
                        forge_answer(w, &w->strangers[i], from, &m);
}
