/*
 * A careful client in two hundred lines: it begins an errand now and then,
 * repeats what is not acknowledged, and gives up where RFC 7252 does.
 */
#include "stranger.h"

#include "body.h"
#include "invariants.h"
#include "server.h"
#include "trace.h"

#include <stdlib.h>
#include <string.h>

#define SEPARATE_MS 150000u /* how long it waits for an answer that was promised */

static struct ask *ask_of(struct world *w, const struct errand *e) {
        return &w->asks[e->key];
}

static uint32_t number_of(const struct stranger *s, const struct errand *e) {
        return (uint32_t)(e - s->errands);
}

static void wait_until(struct world *w, struct stranger *s, struct errand *e, uint64_t due_ms) {
        e->due_ms = due_ms;
        stranger_plan(w, s, due_ms, number_of(s, e));
}

static void send_errand(struct world *w, struct stranger *s, struct errand *e) {
        const struct ask *a = ask_of(w, e);
        uint8_t buf[256], body[BODY_LEAST];
        struct coap_builder b = stranger_request(buf, a, a->non_confirmable ? COAP_NON : COAP_CON, e->mid,
                                                 number_of(s, e), a->kind == ASK_OBSERVE, e->key);

        if (e->num)
                coap_build_uint(&b, COAP_OPTION_BLOCK2, e->num << 4 | e->szx);
        body_write(body, BODY_LEAST, e->key, 0);
        if (a->n_up)
                coap_build_payload(&b, span_of(body, BODY_LEAST));
        stranger_send(w, s, buf, b.w.n);
        e->n_sent++;
}

static void end(struct world *w, struct errand *e, bool answered) {
        struct ask *a = ask_of(w, e);

        a->ended = true;
        a->answered |= answered;
        free(e->body);
        e->body = NULL;
}

static void begin(struct world *w, struct stranger *s) {
        static const enum ask_kind kinds[] = { ASK_GET, ASK_POST, ASK_SLOW, ASK_LONG, ASK_OBSERVE };
        struct errand *e = &s->errands[s->n_done++];
        enum ask_kind kind = kinds[world_draw(w) % ARRAY_SIZE(kinds)];
        struct ask a = { .kind = kind, .by_stranger = true, .begun = true, .client = s->station.index };

        a.non_confirmable = world_draw(w) % 4 == 0 && kind != ASK_LONG;
        a.n_up = server_has_effect(kind) ? BODY_LEAST : 0;
        a.n_down = kind == ASK_LONG ? BODY_LEAST + world_draw_from(w, w->scenario->body) : BODY_LEAST;
        a.begun_ms = w->now_ms;
        *e = (struct errand){ .key = world_new_ask(w, a), .mid = s->next_mid++, .szx = 6, .sequence = -1 };
        if (kind == ASK_LONG && !(e->body = malloc(BODY_MOST)))
                abort();
        e->timeout_ms = a.non_confirmable ? SEPARATE_MS : 2000 + world_draw(w) % 1000;
        TELL(w, "stranger %u begins request %u, %s", s->station.index, e->key, ask_kind_names[kind]);
        send_errand(w, s, e);
        wait_until(w, s, e, w->now_ms + e->timeout_ms);
        if (s->n_done < s->n_errands)
                stranger_plan(w, s, w->now_ms + world_draw_from(w, w->scenario->pause_ms), UINT32_MAX);
}

void plain_happens(struct world *w, struct stranger *s, uint32_t which) {
        struct errand *e;

        if (which == UINT32_MAX) {
                if (w->phase == PHASE_BUSY)
                        begin(w, s);
                return;
        }
        e = &s->errands[which];
        if (ask_of(w, e)->ended || e->due_ms != w->now_ms)
                return;
        if (ask_of(w, e)->non_confirmable || e->acknowledged || e->n_sent > 4) {
                end(w, e, false); /* given up: that is an end too */
                TELL(w, "stranger %u gives up request %u", s->station.index, e->key);
                return;
        }
        e->timeout_ms *= 2;
        send_errand(w, s, e);
        wait_until(w, s, e, w->now_ms + e->timeout_ms);
}

/* ---- what comes ---- */

static int64_t find_option(const struct coap_message *m, uint16_t number, struct span *ret) {
        struct coap_option_reader reader = coap_option_begin(m);
        struct coap_option o;
        uint32_t v = 0;

        while (coap_option_next(&reader, &o))
                if (o.number == number) {
                        (void)coap_option_uint(o.value, 4, &v);
                        if (ret)
                                *ret = o.value;
                        return v;
                }
        return -1;
}

/* Whole, and of this request; false after it broke. */
static bool take_body(struct world *w, const struct errand *e, struct span body, uint32_t *ret_version) {
        uint32_t key;

        if (!body_read(body, &key, ret_version))
                invariant_broken(w, "a body arrived that is not whole", "request %u", e->key);
        else if (key != e->key)
                invariant_broken(w, "an answer that belongs to another request", "%u instead of %u", key,
                                 e->key);
        return !w->broken;
}

static void take_block(struct world *w, struct stranger *s, struct errand *e, const struct coap_message *m) {
        int64_t block = find_option(m, COAP_OPTION_BLOCK2, NULL);
        struct span etag = SPAN_NULL;
        uint32_t version;

        if (m->code == COAP_CONTENT && block >= 0 && (uint32_t)(block >> 4) != e->num)
                return; /* an old one */
        if (m->code != COAP_CONTENT || (block < 0 && e->num) || e->n_body + m->payload.n > BODY_MOST) {
                end(w, e, false);
                return;
        }
        (void)find_option(m, COAP_OPTION_ETAG, &etag);
        if (e->num && !span_equal(etag, span_of(e->etag, e->n_etag))) {
                end(w, e, false); /* it changed in between: an honest end */
                return;
        }
        e->n_etag = (uint8_t)ocf_min_size(etag.n, sizeof(e->etag));
        if (etag.n)
                memcpy(e->etag, etag.data, e->n_etag);
        memcpy(e->body + e->n_body, m->payload.data, m->payload.n);
        e->n_body += m->payload.n;
        if (block >= 0 && block & 8) {
                e->szx = block & 7; /* it may want smaller ones than we would take */
                e->num++;
                e->mid = s->next_mid++;
                e->n_sent = 0;
                e->timeout_ms = 2000;
                send_errand(w, s, e);
                wait_until(w, s, e, w->now_ms + e->timeout_ms);
                return;
        }
        if (take_body(w, e, span_of(e->body, e->n_body), &version))
                end(w, e, true);
}

/* RFC 7641, 3.4: which of two notifications is the newer one. */
static bool is_newer(int64_t v1, uint64_t t1, int64_t v2, uint64_t t2) {
        return v1 < 0 || (v1 < v2 && v2 - v1 < 1 << 23) || (v1 > v2 && v1 - v2 > 1 << 23) || t2 > t1 + 128000;
}

static void take_notification(struct world *w, struct errand *e, const struct coap_message *m) {
        int64_t sequence = find_option(m, COAP_OPTION_OBSERVE, NULL);
        struct ask *a = ask_of(w, e);
        uint32_t state;

        if (m->code != COAP_CONTENT || sequence < 0) {
                end(w, e, m->code == COAP_CONTENT);
                return;
        }
        if (!is_newer(e->sequence, e->sequence_ms, sequence, w->now_ms))
                return;
        if (!take_body(w, e, m->payload, &state))
                return;
        if (state < a->state)
                invariant_broken(w, "a notification that counts as newer shows an older state",
                                 "request %u: %u after %u", e->key, state, a->state);
        a->state = state;
        if (!a->observed)
                e->stop_ms = w->now_ms + world_draw_from(w, w->scenario->hold_ms);
        a->answered = a->observed = true;
        e->sequence = sequence;
        e->sequence_ms = w->now_ms;
        e->acknowledged = true;
        e->due_ms = OCF_NEVER;
}

/* It wants to hear no more. Where nothing is lost, there is no more once this has arrived (RFC 7641, 3.6). */
static void reject(struct world *w, struct stranger *s, struct errand *e, const struct coap_message *m) {
        const struct scenario *c = w->scenario;
        bool lossless = !c->loss.most && !c->drop.most && !c->late.most;

        stranger_send_empty(w, s, COAP_RST, m->mid);
        if (e->rejected_ms && m->mid != e->rejected_mid && lossless &&
            w->now_ms > e->rejected_ms + 2 * (uint64_t)c->delay_ms.most)
                invariant_broken(w, "an observer that said no is told more", "request %u", e->key);
        if (!e->rejected_ms && m->type != COAP_ACK) {
                e->rejected_ms = w->now_ms;
                e->rejected_mid = m->mid;
        }
}

static void take_empty(struct world *w, struct stranger *s, const struct coap_message *m) {
        if (m->type == COAP_CON)
                stranger_send_empty(w, s, COAP_RST, m->mid); /* a ping */
        for (uint32_t i = 0; i < s->n_done; i++) {
                struct errand *e = &s->errands[i];

                if (m->type != COAP_ACK || e->mid != m->mid || ask_of(w, e)->ended || ask_of(w, e)->observed)
                        continue;
                e->acknowledged = true;
                wait_until(w, s, e, w->now_ms + SEPARATE_MS);
        }
}

void plain_receives(struct world *w, struct stranger *s, const struct coap_message *m) {
        struct errand *e;
        uint32_t number, version;

        if (m->code == COAP_EMPTY) {
                take_empty(w, s, m);
                return;
        }
        if (!stranger_number(m, &number) || number >= s->n_done) {
                invariant_broken(w, "an answer with a token that was never used", "to stranger %u",
                                 s->station.index);
                return;
        }
        e = &s->errands[number];
        if (m->type == COAP_ACK && m->mid != e->mid && ask_of(w, e)->kind != ASK_LONG)
                invariant_broken(w, "an ACK for another message id", "to stranger %u", s->station.index);
        if (ask_of(w, e)->observed && w->now_ms > e->stop_ms)
                ask_of(w, e)->ended = true;
        if (ask_of(w, e)->ended && ask_of(w, e)->kind == ASK_OBSERVE)
                reject(w, s, e, m);
        else if (m->type == COAP_CON)
                stranger_send_empty(w, s, COAP_ACK, m->mid);
        if (ask_of(w, e)->ended)
                return;
        if (ask_of(w, e)->kind == ASK_LONG)
                take_block(w, s, e, m);
        else if (ask_of(w, e)->kind == ASK_OBSERVE)
                take_notification(w, e, m);
        else if (m->code >= COAP_BAD_REQUEST || take_body(w, e, m->payload, &version))
                end(w, e, m->code < COAP_BAD_REQUEST);
}
