/*
 * Conversations with an endpoint: say() a datagram, look at what comes back,
 * move the time, look again. Randomness is a counter; addresses are numbers.
 */
#ifndef OCF_TESTS_PROTOCOL_ENDPOINT_FIXTURE_H
#define OCF_TESTS_PROTOCOL_ENDPOINT_FIXTURE_H

#include "../unit.h"
#include "protocol/coap_endpoint.h"
#include "protocol/coap_message.h"

#include <stdlib.h>

struct world {
        struct coap_endpoint *ep;
        void *memory;
        uint64_t now;
        uint32_t random;
        uint8_t out[COAP_MESSAGE_MAX];
        size_t n_out;
        struct coap_peer to;
        struct coap_event event;
};

static uint32_t world_random(void *context) {
        uint32_t *n = context;

        return *n = *n * 1664525u + 1013904223u;
}

static OCF_UNUSED void world_open(struct world *w, const struct coap_limits *limits) {
        struct coap_config config = coap_config_default;

        *w = (struct world){ .now = 1000, .random = 7 };
        if (limits)
                config.limits = *limits;
        config.bound_amplification = false;
        config.random = world_random;
        config.random_context = &w->random;
        w->memory = calloc(1, coap_endpoint_size(&config.limits));
        assert_non_null(w->memory);
        w->ep = coap_endpoint_init(w->memory, &config);
}

static OCF_UNUSED void world_close(struct world *w) {
        free(w->memory);
}

static OCF_UNUSED struct coap_peer peer(unsigned n) {
        struct coap_peer p = { .remote_port = (uint16_t)(40000 + n), .local_port = 5683 };

        p.remote_ip[10] = p.remote_ip[11] = p.local_ip[10] = p.local_ip[11] = 0xff;
        p.remote_ip[12] = p.local_ip[12] = 10;
        p.remote_ip[15] = (uint8_t)n;
        p.local_ip[15] = 200;
        return p;
}

static OCF_UNUSED void say(struct world *w, const struct coap_peer *from, bool multicast, const void *data,
                           size_t n) {
        coap_endpoint_receive(w->ep, w->now, from, multicast, span_of(data, n));
}

#define SAY(w, from, literal) say((w), (from), false, literal, sizeof(literal) - 1)

/* The next datagram, parsed; fails when there is none. */
static OCF_UNUSED struct coap_message hear(struct world *w) {
        struct coap_message m;

        w->n_out = coap_endpoint_transmit(w->ep, w->now, &w->to, w->out, sizeof(w->out));
        assert_int_not_equal(w->n_out, 0);
        assert_int_equal(coap_message_parse(&m, span_of(w->out, w->n_out)), 0);
        return m;
}

static OCF_UNUSED void hear_nothing(struct world *w) {
        assert_int_equal(coap_endpoint_transmit(w->ep, w->now, &w->to, w->out, sizeof(w->out)), 0);
}

static OCF_UNUSED bool pop(struct world *w) {
        return coap_endpoint_event(w->ep, w->now, &w->event);
}

static OCF_UNUSED void pop_request(struct world *w, const char *path) {
        assert_true(pop(w));
        assert_int_equal(w->event.type, COAP_EVENT_REQUEST);
        assert_true(span_equal_string(w->event.request.path, path));
}

static OCF_UNUSED struct coap_response content(const char *text) {
        return (struct coap_response){ .code = COAP_CONTENT,
                                       .content_format = COAP_FORMAT_TEXT,
                                       .payload = span_of_string(text),
                                       .max_age_s = -1 };
}

static OCF_UNUSED void answer(struct world *w, struct coap_response response) {
        assert_int_equal(coap_endpoint_respond(w->ep, w->now, w->event.id, &response), 0);
}

/* An option's value as a number; -1 when it is not there. */
static OCF_UNUSED int64_t option(const struct coap_message *m, uint16_t number) {
        struct coap_option_reader r = coap_option_begin(m);
        struct coap_option o;
        uint32_t v;

        while (coap_option_next(&r, &o))
                if (o.number == number)
                        return coap_option_uint(o.value, 4, &v) ? (int64_t)v : -2;
        return -1;
}

/* Goes to the next deadline. */
static OCF_UNUSED void sleep_until_due(struct world *w) {
        uint64_t due = coap_endpoint_deadline(w->ep);

        assert_true(due != OCF_NEVER);
        if (due > w->now)
                w->now = due;
}

/* When everything has run out, nothing is left. */
static OCF_UNUSED void assert_quiet(struct world *w) {
        struct coap_counts c;

        for (int i = 0; i < 1000 && coap_endpoint_deadline(w->ep) != OCF_NEVER; i++) {
                sleep_until_due(w);
                while (pop(w))
                        coap_endpoint_ignore(w->ep, w->event.id);
                while (coap_endpoint_transmit(w->ep, w->now, &w->to, w->out, sizeof(w->out)))
                        ;
        }
        coap_endpoint_counts(w->ep, &c);
        assert_int_equal(c.n_exchanges, 0);
        assert_int_equal(c.n_delayed, 0);
        assert_int_equal(c.n_pages, 0);
        assert_int_equal(c.n_outgoing, 0);
}

#endif
