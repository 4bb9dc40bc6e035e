/*
 * Strangers that do what no client should, and what some do: all message ids
 * within seconds, repetitions long after the answer, bytes that mean nothing,
 * requests in the name of somebody who never asked, and answers in the place of
 * who was asked.
 */
#include "stranger.h"

#include "body.h"
#include "invariants.h"
#include "network.h"
#include "server.h"
#include "trace.h"

#include <stdlib.h>
#include <string.h>

#define WRAP_ERRANDS  (2u * 65536 + 4000)
#define WRAP_AT_ONCE  32u /* each millisecond: all ids in two seconds */
#define LATE_ERRANDS  20u
#define RUDE_ERRANDS  400u
#define SPOOF_ERRANDS 100u
#define RUDE_MESSAGE  200u

/* Repetitions of one and the same message, after its first time. */
static const uint32_t late_ms[] = { 3, 700, 9000, 100000, 140000, 240000, 300000 };

static enum ask_kind kind_of(const struct stranger *s, uint32_t number) {
        switch (s->kind) {
        case STRANGER_WRAP:
                return number % 10 ? ASK_GET : ASK_POST;
        case STRANGER_LATE:
                return number % 5 ? ASK_POST : ASK_SLOW;
        case STRANGER_SPOOF:
                return number % 2 ? ASK_GET : ASK_LONG;
        case STRANGER_PLAIN:
        case STRANGER_RUDE:
        case STRANGER_FORGE:
        case N_STRANGERS:
                break;
        }
        return ASK_GET;
}

static uint32_t n_errands(const struct stranger *s) {
        switch (s->kind) {
        case STRANGER_WRAP:
                return WRAP_ERRANDS;
        case STRANGER_LATE:
                return LATE_ERRANDS;
        case STRANGER_RUDE:
                return RUDE_ERRANDS;
        case STRANGER_SPOOF:
                return SPOOF_ERRANDS;
        case STRANGER_PLAIN:
        case STRANGER_FORGE:
        case N_STRANGERS:
                break;
        }
        return 0;
}

void rude_init(struct world *w, struct stranger *s) {
        s->n_errands = n_errands(s);
        s->first_key = w->n_asks;
        for (uint32_t i = 0; i < s->n_errands && s->kind != STRANGER_RUDE; i++) {
                struct ask a = { .kind = kind_of(s, i), .by_stranger = true, .client = s->station.index };

                a.n_up = server_has_effect(a.kind) ? BODY_LEAST : 0;
                a.n_down = a.kind == ASK_LONG ? 4000 : BODY_LEAST;
                a.non_confirmable = s->kind != STRANGER_SPOOF && i % 3 == 1;
                (void)world_new_ask(w, a);
        }
}

/* ---- requests that are right in themselves ---- */

static void send_number(struct world *w, struct stranger *s, uint32_t number) {
        struct ask *a = &w->asks[s->first_key + number];
        uint8_t buf[256], body[BODY_LEAST];
        struct coap_builder b =
                stranger_request(buf, a, a->non_confirmable ? COAP_NON : COAP_CON,
                                 (uint16_t)(s->first_mid + number), number, false, s->first_key + number);

        body_write(body, BODY_LEAST, s->first_key + number, 0);
        if (a->n_up)
                coap_build_payload(&b, span_of(body, BODY_LEAST));
        a->begun = true;
        a->begun_ms = w->now_ms;
        if (s->kind == STRANGER_SPOOF)
                a->ended = a->lost = true; /* it will never hear of it */
        stranger_send(w, s, buf, b.w.n);
}

static void wrap(struct world *w, struct stranger *s) {
        for (unsigned i = 0; i < WRAP_AT_ONCE && s->n_done < s->n_errands; i++)
                send_number(w, s, s->n_done++);
        if (s->n_done < s->n_errands)
                stranger_plan(w, s, w->now_ms + 1, UINT32_MAX);
}

static void begin_late(struct world *w, struct stranger *s) {
        uint32_t number = s->n_done++;

        send_number(w, s, number);
        for (size_t i = 0; i < ARRAY_SIZE(late_ms); i++)
                stranger_plan(w, s, w->now_ms + late_ms[i], number);
}

/* ---- what is not right ---- */

static size_t write_rude(struct world *w, struct stranger *s, uint8_t *ret) {
        static const uint8_t codes[] = { COAP_CODE(1, 0),  COAP_CODE(2, 5), COAP_CODE(4, 4), COAP_CODE(5, 3),
                                         COAP_CODE(6, 1),  COAP_CODE(7, 1), COAP_CODE(7, 2), COAP_CODE(0, 31),
                                         COAP_CODE(2, 31), COAP_CODE(0, 8) };
        uint32_t how = world_draw(w) % 6;
        size_t n = world_draw(w) % RUDE_MESSAGE;
        struct coap_builder b;

        for (size_t i = 0; i < RUDE_MESSAGE; i++)
                ret[i] = (uint8_t)world_draw(w);
        if (how == 0)
                return n;
        ret[0] = (uint8_t)((ret[0] & 0x3f) | 0x40);
        if (how == 1)
                return n;
        if (how == 2) { /* somebody else's message id is acknowledged or rejected */
                stranger_send_empty(w, s, world_draw(w) % 2 ? COAP_ACK : COAP_RST, (uint16_t)world_draw(w));
                return 0;
        }
        b = coap_build(ret, RUDE_MESSAGE, (enum coap_type)(world_draw(w) % 4),
                       how == 3 ? codes[world_draw(w) % ARRAY_SIZE(codes)] : (uint8_t)(1 + world_draw(w) % 7),
                       s->next_mid++, (const uint8_t *)"\0\0\0", STRANGER_TOKEN);
        if (how == 4)
                coap_build_uint(&b, COAP_OPTION_OBSERVE, world_draw(w));
        coap_build_option(&b, COAP_OPTION_URI_PATH, SPAN_LITERAL("observed"));
        if (how == 5)
                coap_build_uint(&b, COAP_OPTION_BLOCK2, world_draw(w));
        coap_build_uint(&b, world_draw(w) % 2 ? COAP_OPTION_BLOCK1 : (uint16_t)(24 + world_draw(w) % 99),
                        world_draw(w));
        if (world_draw(w) % 2)
                coap_build_payload(&b, span_of("rude", 4));
        return world_draw(w) % 3 ? b.w.n : n % (b.w.n + 1);
}

static void be_rude(struct world *w, struct stranger *s) {
        uint8_t m[RUDE_MESSAGE];
        size_t n;

        s->n_done++;
        if (world_draw(w) % 5 == 0) {
                s->n_pings++;
                stranger_send_empty(w, s, COAP_CON, s->next_mid++);
        } else if ((n = write_rude(w, s, m))) {
                stranger_send(w, s, m, n);
        }
}

void rude_happens(struct world *w, struct stranger *s, uint32_t which) {
        if (which != UINT32_MAX) {
                send_number(w, s, which);
                return;
        }
        if (w->phase != PHASE_BUSY || s->kind == STRANGER_FORGE)
                return;
        if (s->kind == STRANGER_WRAP) {
                wrap(w, s);
                return;
        }
        if (s->kind == STRANGER_LATE)
                begin_late(w, s);
        else if (s->kind == STRANGER_SPOOF)
                send_number(w, s, s->n_done++);
        else
                be_rude(w, s);
        if (s->n_done < s->n_errands)
                stranger_plan(w, s, w->now_ms + world_draw_from(w, w->scenario->pause_ms), UINT32_MAX);
}

/* With the right message id and token, but from an address that nobody asked. */
void forge_answer(struct world *w, struct stranger *s, const struct station *to,
                  const struct coap_message *m) {
        const struct coap_peer peer = network_peer(&s->station, to);
        uint32_t how = world_draw(w) % 4;
        uint8_t buf[64], body[BODY_LEAST];
        struct coap_builder b =
                coap_build(buf, sizeof(buf),
                           how == 0   ? COAP_ACK
                           : how == 1 ? COAP_RST
                           : how == 2 ? COAP_CON
                                      : COAP_NON,
                           how == 1 ? COAP_EMPTY : COAP_CONTENT, m->mid, m->token, how == 1 ? 0 : m->n_token);

        body_write(body, BODY_LEAST, UINT32_MAX, UINT32_MAX);
        if (how != 1)
                coap_build_payload(&b, span_of(body, BODY_LEAST));
        else if (world_draw(w) % 2)
                buf[0] = (uint8_t)(0x40 | COAP_ACK << 4); /* an empty one: then nothing would be sent again */
        network_send(w, &s->station, &peer, buf, b.w.n);
}

/* ---- what comes ---- */

static void take_answer(struct world *w, struct stranger *s, const struct coap_message *m) {
        uint32_t number, key, version;
        struct ask *a;

        if (!stranger_number(m, &number) || number >= s->n_done) {
                invariant_broken(w, "an answer with a token that was never used", "to stranger %u",
                                 s->station.index);
                return;
        }
        a = &w->asks[s->first_key + number];
        if (m->type == COAP_ACK && m->mid != (uint16_t)(s->first_mid + number))
                invariant_broken(w, "an ACK for another message id", "request %u", s->first_key + number);
        a->ended = true;
        if (m->code >= COAP_BAD_REQUEST)
                return;
        if (!body_read(m->payload, &key, &version) || key != s->first_key + number)
                invariant_broken(w, "an answer that belongs to another request", "request %u",
                                 s->first_key + number);
        a->answered = true;
}

void rude_receives(struct world *w, struct stranger *s, const struct coap_message *m) {
        if (s->kind == STRANGER_SPOOF || s->kind == STRANGER_FORGE)
                return;
        if (s->kind == STRANGER_RUDE) {
                s->n_pongs += m->type == COAP_RST;
                if (m->type == COAP_CON)
                        stranger_send_empty(w, s, COAP_RST, m->mid);
                return;
        }
        if (m->type == COAP_CON)
                stranger_send_empty(w, s, COAP_ACK, m->mid);
        if (m->code != COAP_EMPTY)
                take_answer(w, s, m);
}

/* ---- in the end ---- */

/* On a network that loses nothing, each ping has its pong. */
void rude_check(struct world *w, struct stranger *s) {
        bool lossless = !w->scenario->loss.most && !w->scenario->drop.most;

        if (s->kind == STRANGER_RUDE && lossless && s->n_pongs < s->n_pings)
                invariant_broken(w, "a ping was not answered", "stranger %u: %u of %u", s->station.index,
                                 s->n_pongs, s->n_pings);
        if (s->kind == STRANGER_SPOOF && w->nodes[0].station.n_bytes_sent &&
            s->station.n_bytes_heard > 3 * s->station.n_bytes_sent)
                invariant_broken(w, "somebody who never asked got more than three bytes for each in his name",
                                 "%llu for %llu", (unsigned long long)s->station.n_bytes_heard,
                                 (unsigned long long)s->station.n_bytes_sent);
}
