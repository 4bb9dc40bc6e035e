/*
 * Any bytes as what a connection brings, cut where the first byte says.
 *
 * What must hold: however the bytes are cut, the same requests come of them and
 * the same answers go out; a connection that was ended takes nothing more; when
 * it is gone nothing is held.
 */
#include "fuzz.h"

#include "protocol/coap_endpoint.h"

#include <string.h>

struct outcome {
        uint32_t n_requests, n_closed;
        uint32_t in, out; /* sums of all bytes of paths and payloads, and of what went out */
};

static uint32_t no_random(void *context) {
        return 4711;
}

static void add(uint32_t *sum, struct span s) {
        for (size_t i = 0; i < s.n; i++)
                *sum = *sum * 31 + s.data[i];
}

static void pop_events(struct coap_endpoint *ep, struct outcome *o) {
        struct coap_event e;

        while (coap_endpoint_event(ep, 1000, &e)) {
                const struct coap_response r = { .code = COAP_CONTENT,
                                                 .content_format = COAP_FORMAT_NONE,
                                                 .payload = e.request.payload,
                                                 .max_age_s = -1 };

                o->n_closed += e.type == COAP_EVENT_CLOSE;
                if (e.type != COAP_EVENT_REQUEST)
                        continue;
                o->n_requests++;
                add(&o->in, e.request.path);
                add(&o->in, e.request.payload);
                must_hold(coap_endpoint_respond(ep, 1000, e.id, &r) == 0);
        }
}

static void hear(struct coap_endpoint *ep, struct outcome *o) {
        static uint8_t buf[COAP_TRANSMIT_MAX];
        struct coap_peer to;
        size_t n;

        while ((n = coap_endpoint_transmit(ep, 1000, &to, buf, sizeof(buf)))) {
                must_hold(to.stream);
                add(&o->out, span_of(buf, n));
        }
}

static struct outcome play(struct coap_endpoint *ep, struct span bytes, size_t n_piece) {
        const struct coap_peer p = { .channel = 3, .stream = true };
        struct outcome o = { 0 };
        struct coap_counts c;

        must_hold(coap_endpoint_stream_open(ep, 1000, &p) == 0);
        hear(ep, &o);
        while (bytes.n) {
                size_t n = ocf_min_size(bytes.n, n_piece), n_taken;

                n_taken = coap_endpoint_stream_receive(ep, 1000, &p, span_of(bytes.data, n));
                must_hold(n_taken <= n);
                bytes = span_of(bytes.data + n_taken, bytes.n - n_taken);
                pop_events(ep, &o);
                hear(ep, &o);
        }
        must_hold(o.n_closed <= 1);
        coap_endpoint_stream_closed(ep, 1000, &p);
        pop_events(ep, &o);
        coap_endpoint_counts(ep, &c);
        must_hold(!c.n_streams && !c.n_exchanges && !c.n_outgoing);
        return o;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        static void *memory;
        struct coap_config config = coap_config_default;
        struct outcome whole = { 0 }, pieces = { 0 };

        if (!n)
                return 0;
        config.limits = (struct coap_limits){ .n_exchanges = 4,
                                              .n_exchanges_per_peer = 4,
                                              .n_observers = 2,
                                              .n_observers_per_peer = 2,
                                              .n_observed = 2,
                                              .n_peers = 4,
                                              .n_unacknowledged = 2,
                                              .n_streams = 2,
                                              .n_pages = 64,
                                              .n_pages_per_peer = 64,
                                              .n_outgoing = 64 * 1024,
                                              .n_stream_message = 2000,
                                              .n_body = 3000 };
        config.random = no_random;
        if (!memory)
                memory = malloc(coap_endpoint_size(&config.limits));
        for (int i = 0; i < 2; i++) {
                memset(memory, 0, coap_endpoint_size(&config.limits));
                *(i ? &pieces : &whole) = play(coap_endpoint_init(memory, &config), span_of(data + 1, n - 1),
                                               i ? data[0] % 64u + 1u : SIZE_MAX);
        }
        must_hold(memcmp(&whole, &pieces, sizeof(whole)) == 0);
        return 0;
}
