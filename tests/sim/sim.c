/*
 * A network in a for-loop: the real endpoint as server, a few model clients, and
 * between them datagrams that are lost, doubled, delayed and overtaken. The next
 * moment is the nearer of "a datagram lands" and "a deadline falls": jump there,
 * do it, check what must always hold.
 *
 *     sim [--runs N] [--first SEED]     many seeds; silent unless something breaks
 *     sim --seed N                      one seed, told line by line
 *
 * What must always hold:
 *   - a request with an effect reaches its handler at most once
 *   - every request ends: with an answer, or given up by its client
 *   - an answer belongs to its request, though clients use equal message ids
 *   - a block-wise body arrives whole, or not at all
 *   - a notification is never older than one that was seen before
 *   - when all is quiet every table is empty
 */
#include "protocol/coap_endpoint.h"
#include "protocol/coap_message.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CLIENTS    4
#define REQUESTS   12 /* of each client */
#define FLIGHT_MAX 512
#define BODY       3000
#define RESOURCE   9

enum kind { KIND_GET, KIND_POST, KIND_POST_SLOW, KIND_LONG, KIND_OBSERVE };

struct request {
        enum kind kind;
        bool confirmable, ended, acknowledged;
        uint16_t mid;
        uint8_t token[3];
        uint64_t due_ms;
        uint32_t timeout_ms;
        unsigned n_sent;
        unsigned n_handled; /* how often the handler got it */
        uint32_t num;       /* KIND_LONG: the block that is being fetched */
        uint8_t etag[8];
        size_t n_body;
        uint8_t body[BODY + 1024];
        uint32_t last_state; /* KIND_OBSERVE: the newest value that was shown */
        int64_t sequence;
        uint64_t sequence_ms;
};

struct client {
        struct coap_peer peer;
        struct request requests[REQUESTS];
        unsigned n_started;
        uint64_t start_ms;
        uint16_t next_mid;
};

struct flight {
        bool used, to_server;
        uint64_t lands_ms;
        struct coap_peer peer;
        size_t n;
        uint8_t bytes[COAP_MESSAGE_MAX];
};

struct pending {
        coap_id id;
        uint64_t due_ms;
        uint32_t client, request;
        bool used;
};

struct world {
        uint64_t now, seed, random;
        bool tell;
        unsigned loss, twice; /* percent */
        uint32_t delay_ms;
        struct coap_endpoint *ep;
        void *memory;
        struct client clients[CLIENTS];
        struct flight flights[FLIGHT_MAX];
        struct pending pending[64];
        uint32_t state; /* of the observed resource */
        uint64_t change_ms;
        unsigned n_changes;
        const char *broken;
};

static uint32_t draw(struct world *w) {
        w->random ^= w->random << 13;
        w->random ^= w->random >> 7;
        w->random ^= w->random << 17;
        return (uint32_t)(w->random >> 11);
}

static uint32_t draw_for_endpoint(void *context) {
        return draw(context);
}

#define TELL(w, ...)                                                                                         \
        do {                                                                                                 \
                if ((w)->tell) {                                                                             \
                        printf("%8llu  ", (unsigned long long)(w)->now);                                     \
                        printf(__VA_ARGS__);                                                                 \
                        putchar('\n');                                                                       \
                }                                                                                            \
        } while (0)

static void breaks(struct world *w, const char *what) {
        if (!w->broken)
                w->broken = what;
        TELL(w, "BROKEN: %s", what);
}

/* ---- the network ---- */

static void fly(struct world *w, bool to_server, const struct coap_peer *peer, const void *bytes, size_t n) {
        unsigned copies = draw(w) % 100 < w->loss ? 0 : draw(w) % 100 < w->twice ? 2 : 1;

        TELL(w, "%s %u: type %u code %u.%02u mid %04x, %zu bytes%s", to_server ? "client" : "server to",
             peer->remote_ip[15], ((const uint8_t *)bytes)[0] >> 4 & 3, ((const uint8_t *)bytes)[1] >> 5,
             ((const uint8_t *)bytes)[1] & 31, ((const uint8_t *)bytes)[2] << 8 | ((const uint8_t *)bytes)[3],
             n,
             copies == 0   ? " (lost)"
             : copies == 2 ? " (twice)"
                           : "");
        for (size_t i = 0; i < FLIGHT_MAX && copies; i++) {
                struct flight *f = &w->flights[i];

                if (f->used)
                        continue;
                *f = (struct flight){ .used = true, .to_server = to_server, .peer = *peer, .n = n };
                f->lands_ms = w->now + 1 + draw(w) % w->delay_ms;
                memcpy(f->bytes, bytes, n);
                copies--;
        }
}

/* ---- clients ---- */

static void send_request(struct world *w, struct client *c, struct request *r) {
        static const char *const paths[] = { "get", "post", "slow", "long", "watch" };
        uint8_t buf[128];
        struct coap_builder b =
                coap_build(buf, sizeof(buf), r->confirmable ? COAP_CON : COAP_NON,
                           r->kind == KIND_POST || r->kind == KIND_POST_SLOW ? COAP_POST : COAP_GET, r->mid,
                           r->token, sizeof(r->token));

        if (r->kind == KIND_OBSERVE)
                coap_build_uint(&b, COAP_OPTION_OBSERVE, 0);
        coap_build_option(&b, COAP_OPTION_URI_PATH, span_of_string(paths[r->kind]));
        if (r->num)
                coap_build_uint(&b, COAP_OPTION_BLOCK2, r->num << 4 | 6);
        coap_build_payload(&b, span_of(r->token, 3)); /* so that the handler knows which one it is */
        fly(w, true, &c->peer, buf, b.w.n);
        r->n_sent++;
}

static void start_request(struct world *w, struct client *c) {
        struct request *r = &c->requests[c->n_started];

        *r = (struct request){ .kind = (enum kind)(draw(w) % 5), .mid = c->next_mid++, .sequence = -1 };
        r->confirmable = draw(w) % 4 != 0 || r->kind == KIND_LONG;
        r->token[0] = c->peer.remote_ip[15];
        r->token[1] = (uint8_t)c->n_started++;
        r->token[2] = 0x55;
        r->timeout_ms = 2000 + draw(w) % 1000;
        r->due_ms = w->now + r->timeout_ms;
        TELL(w, "client %u starts %u, kind %d%s", c->peer.remote_ip[15], r->token[1], r->kind,
             r->confirmable ? "" : " NON");
        send_request(w, c, r);
}

static void tick_request(struct world *w, struct client *c, struct request *r) {
        if (r->ended || r->due_ms > w->now)
                return;
        if (!r->confirmable || r->acknowledged || r->n_sent > 4) {
                r->ended = true; /* given up: that is an end too */
                TELL(w, "client %u gives up %u", c->peer.remote_ip[15], r->token[1]);
                return;
        }
        r->timeout_ms *= 2;
        r->due_ms = w->now + r->timeout_ms;
        send_request(w, c, r);
}

static void reply_empty(struct world *w, struct client *c, enum coap_type type, uint16_t mid) {
        uint8_t m[] = { (uint8_t)(0x40 | (unsigned)type << 4), 0, (uint8_t)(mid >> 8), (uint8_t)mid };

        fly(w, true, &c->peer, m, sizeof(m));
}

static int64_t option(const struct coap_message *m, uint16_t number, uint8_t *bytes) {
        struct coap_option_reader reader = coap_option_begin(m);
        struct coap_option o;
        uint32_t v = 0;

        while (coap_option_next(&reader, &o))
                if (o.number == number) {
                        if (bytes)
                                memcpy(bytes, o.value.data, o.value.n);
                        (void)coap_option_uint(o.value, 4, &v);
                        return v;
                }
        return -1;
}

static void take_block(struct world *w, struct client *c, struct request *r, const struct coap_message *m) {
        int64_t block = option(m, COAP_OPTION_BLOCK2, NULL);
        uint8_t etag[8] = { 0 };

        if (m->code != COAP_CONTENT || block < 0 || (uint32_t)(block >> 4) != r->num) {
                if (m->code != COAP_CONTENT || block < 0)
                        r->ended = true;
                return;
        }
        (void)option(m, COAP_OPTION_ETAG, etag);
        if (r->num && memcmp(etag, r->etag, 8) != 0) {
                r->ended = true; /* it changed in between: an honest end, the client would begin again */
                return;
        }
        memcpy(r->etag, etag, 8);
        memcpy(r->body + r->n_body, m->payload.data, m->payload.n);
        r->n_body += m->payload.n;
        if (block & 8) {
                r->num++;
                r->mid = c->next_mid++;
                r->n_sent = 0;
                r->timeout_ms = 2000;
                r->due_ms = w->now + r->timeout_ms;
                send_request(w, c, r);
                return;
        }
        r->ended = true;
        if (r->n_body != BODY)
                breaks(w, "a block-wise body has another length");
        for (size_t i = 1; i < r->n_body; i++)
                if (r->body[i] != r->body[0])
                        breaks(w, "a block-wise body was put together from two");
}

/* RFC 7641, 3.4: which of two notifications is the newer one. */
static bool is_newer(int64_t v1, uint64_t t1, int64_t v2, uint64_t t2) {
        return v1 < 0 || (v1 < v2 && v2 - v1 < 1 << 23) || (v1 > v2 && v1 - v2 > 1 << 23) || t2 > t1 + 128000;
}

static void take_notification(struct world *w, struct request *r, const struct coap_message *m) {
        int64_t sequence = option(m, COAP_OPTION_OBSERVE, NULL);
        uint32_t state = 0;

        if (m->code != COAP_CONTENT || sequence < 0 || m->payload.n != 4) {
                r->ended = true;
                return;
        }
        if (!is_newer(r->sequence, r->sequence_ms, sequence, w->now))
                return;
        memcpy(&state, m->payload.data, 4);
        if (state < r->last_state)
                breaks(w, "a notification that counts as newer shows an older state");
        r->last_state = state;
        r->sequence = sequence;
        r->sequence_ms = w->now;
        r->acknowledged = true;
        r->due_ms = w->now + 400000;
}

static void client_receives(struct world *w, struct client *c, const struct flight *f) {
        struct request *r = NULL;
        struct coap_message m;

        if (coap_message_parse(&m, span_of(f->bytes, f->n)) != 0) {
                breaks(w, "the server sent something malformed");
                return;
        }
        if (m.code == COAP_EMPTY) {
                for (unsigned i = 0; i < c->n_started; i++)
                        if (m.type == COAP_ACK && c->requests[i].mid == m.mid && !c->requests[i].ended) {
                                c->requests[i].acknowledged = true;
                                c->requests[i].due_ms = w->now + 150000;
                        }
                return;
        }
        if (m.n_token != 3 || m.token[0] != c->peer.remote_ip[15] || m.token[1] >= c->n_started) {
                breaks(w, "an answer with a token that this client never used");
                return;
        }
        r = &c->requests[m.token[1]];
        if (m.type == COAP_ACK && m.mid != r->mid && r->kind != KIND_LONG)
                breaks(w, "an ACK for another message id");
        if (m.type == COAP_CON)
                reply_empty(w, c, r->ended && r->kind == KIND_OBSERVE ? COAP_RST : COAP_ACK, m.mid);
        if (r->ended)
                return;
        if (r->kind == KIND_LONG) {
                take_block(w, c, r, &m);
        } else if (r->kind == KIND_OBSERVE) {
                take_notification(w, r, &m);
        } else {
                r->ended = true;
                if (m.code < COAP_BAD_REQUEST &&
                    (m.payload.n != 3 || memcmp(m.payload.data, r->token, 3) != 0))
                        breaks(w, "an answer that belongs to another request");
        }
}

/* ---- the server's handler ---- */

static void respond(struct world *w, coap_id id, uint8_t code, struct span payload, bool observe) {
        struct coap_response response = { .code = code,
                                          .content_format = COAP_FORMAT_CBOR,
                                          .payload = payload,
                                          .max_age_s = -1,
                                          .observe = observe,
                                          .resource = observe ? RESOURCE : 0 };

        (void)coap_endpoint_respond(w->ep, w->now, id, &response);
}

static void handle(struct world *w, const struct coap_event *e) {
        static uint8_t body[BODY];
        uint32_t i_client = e->peer.remote_ip[15];
        struct client *c = &w->clients[i_client];
        struct request *r;

        if (e->type == COAP_EVENT_NOTIFY) {
                respond(w, e->id, COAP_CONTENT, span_of(&w->state, 4), true);
                return;
        }
        if (span_equal_string(e->request.path, "/watch")) {
                respond(w, e->id, COAP_CONTENT, span_of(&w->state, 4), e->request.wants_observe);
                return;
        }
        if (span_equal_string(e->request.path, "/long")) {
                memset(body, (int)(w->state & 255), sizeof(body));
                respond(w, e->id, COAP_CONTENT, span_of(body, BODY), false);
                return;
        }
        r = &c->requests[e->request.payload.data[1]];
        if (e->request.method == COAP_GET) {
                respond(w, e->id, COAP_CONTENT, span_of(r->token, 3), false);
                return;
        }
        if (++r->n_handled > 1)
                breaks(w, "a request with an effect reached its handler twice");
        if (r->kind == KIND_POST) {
                respond(w, e->id, COAP_CHANGED, span_of(r->token, 3), false);
                return;
        }
        for (size_t i = 0; i < sizeof(w->pending) / sizeof(w->pending[0]); i++)
                if (!w->pending[i].used) {
                        w->pending[i] = (struct pending){ e->id, w->now + draw(w) % 6000, i_client,
                                                          e->request.payload.data[1], true };
                        return;
                }
        coap_endpoint_ignore(w->ep, e->id);
}

static void serve(struct world *w) {
        uint8_t buf[COAP_MESSAGE_MAX];
        struct coap_event e;
        struct coap_peer to;
        bool any = true;
        size_t n;

        for (size_t i = 0; i < sizeof(w->pending) / sizeof(w->pending[0]); i++) {
                struct pending *p = &w->pending[i];

                if (!p->used || p->due_ms > w->now)
                        continue;
                p->used = false;
                respond(w, p->id, COAP_CHANGED, span_of(w->clients[p->client].requests[p->request].token, 3),
                        false);
        }
        while (any) {
                any = false;
                while (coap_endpoint_event(w->ep, w->now, &e)) {
                        handle(w, &e);
                        any = true;
                }
                while ((n = coap_endpoint_transmit(w->ep, w->now, &to, buf, sizeof(buf)))) {
                        fly(w, false, &to, buf, n);
                        any = true;
                }
        }
}

/* ---- time ---- */

static uint64_t next_moment(const struct world *w) {
        uint64_t due = coap_endpoint_deadline(w->ep);

        for (size_t i = 0; i < FLIGHT_MAX; i++)
                if (w->flights[i].used)
                        due = ocf_min_u64(due, w->flights[i].lands_ms);
        for (size_t i = 0; i < sizeof(w->pending) / sizeof(w->pending[0]); i++)
                if (w->pending[i].used)
                        due = ocf_min_u64(due, w->pending[i].due_ms);
        for (size_t i = 0; i < CLIENTS; i++) {
                const struct client *c = &w->clients[i];

                if (c->n_started < REQUESTS)
                        due = ocf_min_u64(due, c->start_ms);
                for (unsigned j = 0; j < c->n_started; j++)
                        if (!c->requests[j].ended)
                                due = ocf_min_u64(due, c->requests[j].due_ms);
        }
        return w->n_changes ? ocf_min_u64(due, w->change_ms) : due;
}

static void land(struct world *w) {
        for (size_t i = 0; i < FLIGHT_MAX; i++) {
                struct flight f;

                if (!w->flights[i].used || w->flights[i].lands_ms > w->now)
                        continue;
                f = w->flights[i]; /* its place may be taken while it is dealt with */
                w->flights[i].used = false;
                if (f.to_server) {
                        coap_endpoint_receive(w->ep, w->now, &f.peer, false, span_of(f.bytes, f.n));
                        serve(w);
                } else {
                        client_receives(w, &w->clients[f.peer.remote_ip[15]], &f);
                }
        }
}

static void step(struct world *w) {
        for (size_t i = 0; i < CLIENTS; i++) {
                struct client *c = &w->clients[i];

                for (unsigned j = 0; j < c->n_started; j++)
                        tick_request(w, c, &c->requests[j]);
                if (c->n_started < REQUESTS && c->start_ms <= w->now) {
                        start_request(w, c);
                        c->start_ms = w->now + draw(w) % 5000;
                }
        }
        if (w->n_changes && w->change_ms <= w->now) {
                w->state++;
                w->n_changes--;
                w->change_ms = w->now + draw(w) % 9000;
                coap_endpoint_notify(w->ep, w->now, RESOURCE);
        }
        land(w);
        serve(w);
}

static void check_end(struct world *w) {
        struct coap_counts counts;

        coap_endpoint_end_observers(w->ep, w->now, RESOURCE, COAP_NOT_FOUND, -1);
        for (int i = 0; i < 100000 && next_moment(w) != OCF_NEVER; i++) {
                w->now = next_moment(w) > w->now ? next_moment(w) : w->now;
                step(w);
        }
        coap_endpoint_counts(w->ep, &counts);
        if (counts.n_exchanges || counts.n_observers || counts.n_delayed || counts.n_pages ||
            counts.n_outgoing)
                breaks(w, "all is quiet, and a table is not empty");
        for (size_t i = 0; i < CLIENTS; i++)
                for (unsigned j = 0; j < w->clients[i].n_started; j++)
                        if (!w->clients[i].requests[j].ended)
                                breaks(w, "a request never ended");
}

static bool run(struct world *w, uint64_t seed, bool tell) {
        struct coap_config config = coap_config_default;
        void *memory = w->memory;

        *w = (struct world){ .seed = seed,
                             .random = seed * 0x9e3779b97f4a7c15u + 1,
                             .tell = tell,
                             .memory = memory,
                             .now = 1000 };
        draw(w);
        w->loss = draw(w) % 40;
        w->twice = draw(w) % 30;
        w->delay_ms = 1 + draw(w) % 3000;
        w->n_changes = 10;
        w->change_ms = 3000;
        config.limits.n_exchanges = config.limits.n_observers = 256;
        config.limits.n_pages = 512;
        config.limits.n_outgoing = 65536;
        config.random = draw_for_endpoint;
        config.random_context = w;
        if (!w->memory)
                w->memory = malloc(coap_endpoint_size(&config.limits));
        memset(w->memory, 0, coap_endpoint_size(&config.limits));
        w->ep = coap_endpoint_init(w->memory, &config);
        for (size_t i = 0; i < CLIENTS; i++) {
                struct client *c = &w->clients[i];

                c->peer.remote_ip[10] = c->peer.remote_ip[11] = 0xff;
                c->peer.remote_ip[15] = (uint8_t)i;
                c->peer.remote_port = 5683;
                c->next_mid = (uint16_t)(seed % 3); /* they all use the same ids */
                c->start_ms = 1000 + draw(w) % 2000;
        }
        TELL(w, "seed %llu: %u %% lost, %u %% doubled, up to %u ms late", (unsigned long long)seed, w->loss,
             w->twice, w->delay_ms);
        for (int i = 0; i < 200000 && next_moment(w) != OCF_NEVER && !w->broken; i++) {
                w->now = next_moment(w) > w->now ? next_moment(w) : w->now;
                step(w);
        }
        if (!w->broken)
                check_end(w);
        return !w->broken;
}

int main(int argc, char **argv) {
        static struct world w;
        unsigned long long n_runs = 3000, first = 1, one = 0;

        for (int i = 1; i + 1 < argc; i += 2) {
                if (strcmp(argv[i], "--runs") == 0)
                        n_runs = strtoull(argv[i + 1], NULL, 10);
                else if (strcmp(argv[i], "--first") == 0)
                        first = strtoull(argv[i + 1], NULL, 10);
                else if (strcmp(argv[i], "--seed") == 0)
                        one = strtoull(argv[i + 1], NULL, 10);
        }
        if (one) {
                bool good = run(&w, one, true);

                printf("%s\n", good ? "holds" : w.broken);
                free(w.memory);
                return !good;
        }
        for (unsigned long long seed = first; seed < first + n_runs; seed++)
                if (!run(&w, seed, false)) {
                        printf("seed %llu: %s (replay it with --seed %llu)\n", seed, w.broken, seed);
                        return 1;
                }
        printf("%llu seeds hold\n", n_runs);
        free(w.memory);
        return 0;
}
