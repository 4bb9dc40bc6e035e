/*
 * Any bytes as a script of the endpoint's own calls: datagrams of a few peers,
 * bytes of two connections, requests of ours and what comes back to them, time
 * that passes, answers that come at once, late or never, changes,
 * acknowledgements of what was heard, addresses that go.
 *
 * Tables are tiny, so that full is common. What must hold: all that is sent is a
 * CoAP message; a multicast is never answered with a CON; no body is longer than
 * was agreed; a quiet endpoint comes to an end and holds nothing.
 */
#include "fuzz.h"

#include "protocol/coap_endpoint.h"
#include "protocol/coap_message.h"

#include <string.h>

#define HELD_MAX       6
#define BODY_MAX       5000
#define BODY_TAKEN_MAX 3000

struct script {
        struct span rest;
        struct coap_endpoint *ep;
        uint64_t now;
        uint32_t random;
        coap_id held[HELD_MAX];
        unsigned n_held;
        struct coap_peer heard_peer; /* of the last message that asks for an answer */
        uint16_t heard_mid;
        uint8_t heard_token[8]; /* of the last request of ours */
        bool heard_request;
        coap_id asked;
};

static uint8_t body[BODY_MAX];

static uint32_t next_random(void *context) {
        struct script *s = context;

        return s->random = s->random * 1664525u + 1013904223u;
}

static uint8_t take(struct script *s) {
        uint8_t v = 0;

        (void)span_take_u8(&s->rest, &v);
        return v;
}

static struct coap_peer peer_of(uint8_t v) {
        struct coap_peer p = { .remote_port = (uint16_t)(1000 + (v & 1)), .local_port = 5683 };

        p.remote_ip[10] = p.remote_ip[11] = 0xff;
        p.remote_ip[15] = v >> 1 & 3;
        p.local_ip[15] = 1 + (v >> 3 & 1);
        p.channel = v >> 4 & 1;
        p.interface = v >> 5 & 1;
        p.device = v >> 6 & 1;
        return p;
}

static struct coap_peer stream_peer(unsigned v) {
        struct coap_peer p = { .remote_port = 5683, .local_port = 5683, .stream = true };

        p.channel = 5 + v;
        p.remote_ip[15] = (uint8_t)v;
        return p;
}

static void respond(struct script *s, coap_id id) {
        static const uint8_t codes[] = {
                COAP_CONTENT, COAP_CHANGED,   COAP_VALID,   COAP_DELETED,
                COAP_CONTENT, COAP_NOT_FOUND, COAP_CREATED, COAP_SERVICE_UNAVAILABLE
        };
        uint8_t how = take(s);
        size_t n = (size_t)take(s) * 20;
        struct coap_response r = { .code = codes[how & 7],
                                   .content_format = how & 8 ? COAP_FORMAT_OCF_CBOR : COAP_FORMAT_NONE,
                                   .payload = span_of(body, n < BODY_MAX ? n : BODY_MAX),
                                   .etag = span_of(body, how & 16 ? 8 : 0),
                                   .max_age_s = how & 32 ? 60 : -1,
                                   .observe = how & 64,
                                   .resource = 1 + (how >> 7) };

        if (!r.payload.n)
                r.payload = SPAN_NULL;
        (void)coap_endpoint_respond(s->ep, s->now, id, &r);
}

static void on_event(struct script *s, const struct coap_event *e) {
        uint8_t what = take(s);

        if (e->type == COAP_EVENT_RESPONSE || e->type == COAP_EVENT_FAILED || e->type == COAP_EVENT_CLOSE) {
                must_hold(e->type != COAP_EVENT_FAILED || e->reply.failure != COAP_FAILURE_NONE);
                must_hold(e->reply.payload.n <= BODY_TAKEN_MAX);
                return;
        }
        must_hold(e->request.payload.n <= BODY_TAKEN_MAX);
        must_hold(e->request.path.n || e->type == COAP_EVENT_NOTIFY);
        must_hold(!e->request.multicast || (e->request.method == COAP_GET && !e->request.confirmable));
        if (what & 1 && s->n_held < HELD_MAX)
                s->held[s->n_held++] = e->id;
        else if (what & 2)
                coap_endpoint_ignore(s->ep, e->id);
        else
                respond(s, e->id);
}

static void pop_events(struct script *s) {
        struct coap_event e;

        for (int i = 0; i < 1000 && coap_endpoint_event(s->ep, s->now, &e); i++)
                on_event(s, &e);
        must_hold(!coap_endpoint_event(s->ep, s->now, &e));
}

static void hear(struct script *s) {
        static uint8_t buf[COAP_TRANSMIT_MAX];
        struct coap_peer to;
        struct coap_message m;
        size_t n;

        while ((n = coap_endpoint_transmit(s->ep, s->now, &to, buf, sizeof(buf)))) {
                if (to.stream)
                        continue;
                must_hold(n <= COAP_MESSAGE_MAX && coap_message_parse(&m, span_of(buf, n)) == 0);
                if (m.code && m.code >> 5 == 0 && m.n_token == sizeof(s->heard_token)) {
                        memcpy(s->heard_token, m.token, sizeof(s->heard_token));
                        s->heard_request = true;
                }
                if (m.type == COAP_CON || m.type == COAP_NON) {
                        s->heard_peer = to;
                        s->heard_mid = m.mid;
                }
        }
}

static void say(struct script *s) {
        uint8_t who = take(s);
        struct coap_peer p = peer_of(who);
        size_t wanted = take(s), n = ocf_min_size(wanted, s->rest.n);
        struct span data = SPAN_NULL;
        uint8_t *exact = malloc(n ? n : 1); /* so that a byte read too far is seen */

        (void)span_take(&s->rest, n, &data);
        if (n)
                memcpy(exact, data.data, n);
        coap_endpoint_receive(s->ep, s->now, &p, who >> 7, span_of(exact, n));
        pop_events(s);
        free(exact);
}

static void say_empty(struct script *s, enum coap_type type) {
        uint8_t m[] = { (uint8_t)(0x40 | (unsigned)type << 4), 0, (uint8_t)(s->heard_mid >> 8),
                        (uint8_t)s->heard_mid };

        coap_endpoint_receive(s->ep, s->now, &s->heard_peer, false, span_of(m, sizeof(m)));
}

/* A request of ours; what it is comes out of one byte. */
static void ask(struct script *s) {
        uint8_t who = take(s), how = take(s);
        struct coap_peer p = peer_of(who);
        struct coap_ask a = COAP_ASK_DEFAULT;

        if (how & 128)
                p = stream_peer(who & 1);
        a.method = how & 1 ? COAP_POST : how & 2 ? COAP_FETCH : COAP_GET;
        a.path = SPAN_LITERAL("/a/b");
        a.query = SPAN_LITERAL("if=x&rt=y");
        a.payload = span_of(body, a.method == COAP_GET ? 0 : (size_t)take(s) * 16);
        a.observe = how & 4;
        a.non_confirmable = how & 8;
        a.multicast = (how & 16) && !p.stream;
        a.ocf_version = how & 32;
        a.timeout_ms = how & 64 ? 3000 : 0;
        (void)coap_endpoint_request(s->ep, s->now, &p, &a, &s->asked);
}

/* A message of a peer that knows the token of what it heard last. */
static void reply(struct script *s) {
        uint8_t message[300], how = take(s);
        size_t wanted = take(s), n;
        struct span rest = SPAN_NULL;

        if (!s->heard_request)
                return;
        n = ocf_min_size(wanted, s->rest.n);
        (void)span_take(&s->rest, n, &rest);
        message[0] = (uint8_t)(0x48 | (how & 3) << 4);
        message[1] = (uint8_t)((2 + (how >> 2 & 1) * 2) << 5 | (how >> 3));
        message[2] = (uint8_t)(s->heard_mid >> 8);
        message[3] = (uint8_t)s->heard_mid;
        memcpy(message + 4, s->heard_token, 8);
        if (n)
                memcpy(message + 12, rest.data, n);
        coap_endpoint_receive(s->ep, s->now, &s->heard_peer, 0, span_of(message, 12 + n));
}

static void stream(struct script *s) {
        uint8_t how = take(s);
        const struct coap_peer p = stream_peer(how & 1);
        size_t wanted = take(s), n = ocf_min_size(wanted, s->rest.n), n_taken;
        struct span data = SPAN_NULL;

        if (!(how & 6))
                (void)coap_endpoint_stream_open(s->ep, s->now, &p);
        (void)span_take(&s->rest, n, &data);
        for (int i = 0; i < 1000 && data.n; i++) {
                n_taken = coap_endpoint_stream_receive(s->ep, s->now, &p, data);
                must_hold(n_taken <= data.n);
                data = span_of(data.data + n_taken, data.n - n_taken);
                pop_events(s);
                if (!n_taken)
                        hear(s);
        }
        must_hold(!data.n);
        if ((how & 14) == 14)
                coap_endpoint_stream_closed(s->ep, s->now, &p);
        if ((how & 30) == 18)
                coap_endpoint_stream_release(s->ep, s->now, &p);
}

static void answer_held(struct script *s) {
        unsigned i;

        if (!s->n_held)
                return;
        i = take(s) % s->n_held;
        respond(s, s->held[i]);
        s->held[i] = s->held[--s->n_held];
}

static void step(struct script *s) {
        uint8_t op = take(s);
        uint64_t due;

        switch (op % 16) {
        case 0:
        case 1:
        case 2:
                say(s);
                break;
        case 3:
                s->now += take(s) * 100u;
                break;
        case 4:
                due = coap_endpoint_deadline(s->ep);
                if (due != OCF_NEVER && due > s->now)
                        s->now = due;
                break;
        case 5:
                answer_held(s);
                break;
        case 6:
                coap_endpoint_notify(s->ep, s->now, 1 + (op >> 7));
                break;
        case 7:
                say_empty(s, COAP_ACK);
                break;
        case 8:
                say_empty(s, COAP_RST);
                break;
        case 9:
                coap_endpoint_end_observers(s->ep, s->now, 1 + (op >> 7), COAP_NOT_FOUND, -1);
                break;
        case 10:
                hear(s);
                break;
        case 11:
                coap_endpoint_forget_local(s->ep, s->now, op & 128 ? peer_of(take(s)).local_ip : NULL, 1);
                break;
        case 12:
                ask(s);
                break;
        case 13:
                reply(s);
                break;
        case 14:
                stream(s);
                break;
        case 15:
                coap_endpoint_cancel(s->ep, s->now, s->asked);
                break;
        }
        pop_events(s);
}

/* Nobody says anything any more. */
static void come_to_rest(struct script *s) {
        struct coap_counts c;
        uint64_t due;
        int i;

        for (uint8_t k = 0; k < 2; k++) {
                const struct coap_peer p = stream_peer(k);

                coap_endpoint_stream_closed(s->ep, s->now, &p);
        }
        coap_endpoint_end_observers(s->ep, s->now, 1, COAP_NOT_FOUND, -1);
        coap_endpoint_end_observers(s->ep, s->now, 2, COAP_NOT_FOUND, -1);
        for (i = 0; i < 2000; i++) {
                pop_events(s);
                hear(s);
                coap_endpoint_end_observers(s->ep, s->now, 1, COAP_NOT_FOUND, -1);
                coap_endpoint_end_observers(s->ep, s->now, 2, COAP_NOT_FOUND, -1);
                hear(s);
                due = coap_endpoint_deadline(s->ep);
                if (due == OCF_NEVER)
                        break;
                if (due > s->now)
                        s->now = due;
        }
        must_hold(i < 2000);
        coap_endpoint_counts(s->ep, &c);
        must_hold(!c.n_exchanges && !c.n_observers && !c.n_delayed && !c.n_pages && !c.n_outgoing &&
                  !c.n_asks && !c.n_streams && !c.n_uploads);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        static void *memory;
        struct coap_config config = coap_config_default;
        struct script s = { .rest = span_of(data, n), .now = 1000, .random = 7 };

        config.limits = (struct coap_limits){ .n_exchanges = 8,
                                              .n_exchanges_per_peer = 5,
                                              .n_observers = 6,
                                              .n_observers_per_peer = 4,
                                              .n_observed = 3,
                                              .n_peers = 6,
                                              .n_unacknowledged = 7,
                                              .n_delayed = 3,
                                              .n_asks = 4,
                                              .n_streams = 2,
                                              .n_seen = 16,
                                              .n_addresses = 8,
                                              .n_stream_message = 300,
                                              .n_body = BODY_TAKEN_MAX,
                                              .n_pages = 64,
                                              .n_pages_per_peer = 40,
                                              .n_outgoing = 32768 };
        config.con_every = 3;
        config.bound_amplification = n & 1;
        config.random = next_random;
        config.random_context = &s;
        if (!memory)
                memory = malloc(coap_endpoint_size(&config.limits));
        memset(memory, 0, coap_endpoint_size(&config.limits));
        s.ep = coap_endpoint_init(memory, &config);
        while (s.rest.n)
                step(&s);
        come_to_rest(&s);
        return 0;
}
