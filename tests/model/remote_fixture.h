/*
 * A table of remote devices, answers written as JSON, and what came of them.
 */
#ifndef OCF_TESTS_MODEL_REMOTE_FIXTURE_H
#define OCF_TESTS_MODEL_REMOTE_FIXTURE_H

#include "../unit.h"
#include "base/memory.h"
#include "json/rep_json.h"
#include "model/endpoint_text.h"
#include "model/remote.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static OCF_UNUSED const struct remotes_config ordinary = { REMOTES_DEFAULT, .hash_key = { 1, 2 } };

static OCF_UNUSED struct remotes *table_of(struct remotes_config c) {
        struct remotes *t;

        assert_int_equal(remotes_new(&t, &c), 0);
        return t;
}

static OCF_UNUSED struct uuid uuid_of(const char *text) {
        struct uuid id;

        assert_true(uuid_parse(&id, span_of_string(text)));
        return id;
}

/* The n-th device of a crowd. */
static OCF_UNUSED struct uuid uuid_nth(uint32_t n) {
        struct uuid id = { { [15] = 1 } };

        for (size_t i = 0; i < 4; i++)
                id.bytes[i] = (uint8_t)(n >> (24 - 8 * i));
        return id;
}

static OCF_UNUSED struct coap_peer at(const char *ip, uint16_t port, uint32_t interface) {
        struct coap_peer p = { .remote_port = port, .interface = interface };
        unsigned a, b, c, d;

        if (sscanf(ip, "%u.%u.%u.%u", &a, &b, &c, &d) == 4) {
                memcpy(p.remote_ip,
                       (uint8_t[16]){ [10] = 0xff, 0xff, (uint8_t)a, (uint8_t)b, (uint8_t)c, (uint8_t)d },
                       16);
                return p;
        }
        assert_int_equal(sscanf(ip, "%2x%2x::%x", &a, &b, &c), 3); /* fe80::1, fd00::1 */
        p.remote_ip[0] = (uint8_t)a;
        p.remote_ip[1] = (uint8_t)b;
        p.remote_ip[15] = (uint8_t)c;
        return p;
}

/* Apostrophes instead of quotes, so that it can be read here. */
static OCF_UNUSED struct span rep_of(const char *json) {
        static uint8_t bytes[1 << 17];
        static char text[1 << 17];
        struct writer w = writer_on(bytes, sizeof(bytes));
        size_t n = strlen(json);

        assert_true(n < sizeof(text));
        for (size_t i = 0; i <= n; i++)
                text[i] = json[i] == '\'' ? '"' : json[i];
        assert_int_equal(rep_from_json_text(span_of(text, n), &w), 0);
        return writer_span(&w);
}

static OCF_UNUSED int learn(struct remotes *t, uint64_t now_ms, struct coap_peer from, const char *json) {
        return remotes_learn_res(t, now_ms, &from, rep_of(json), true);
}

/* All news as one line: "+1 ~2:name" and for resources "+1/lamp"; a device by its first digit. */
static OCF_UNUSED const char *news(struct remotes *t) {
        static char line[4096];
        struct remote_event e;
        size_t n = 0;

        line[0] = 0;
        while (remotes_event(t, &e)) {
                char id[UUID_TEXT_MAX];

                uuid_format(&e.was, id);
                n += (size_t)snprintf(line + n, sizeof(line) - n, "%s%s%.4s%s", n ? " " : "",
                                      e.news & REMOTE_REMOVED ? "-"
                                      : e.news & REMOTE_ADDED ? "+"
                                                              : "~",
                                      id, e.resource ? e.resource->href : "");
                if (!(e.news & (REMOTE_ADDED | REMOTE_REMOVED)))
                        n += (size_t)snprintf(line + n, sizeof(line) - n, ":%u", e.news);
                assert_true(n < sizeof(line));
        }
        return line;
}

static OCF_UNUSED const char *addresses(const struct remote_device *d) {
        static char line[REMOTE_ADDRESSES_MAX * REMOTE_ADDRESS_TEXT];
        size_t n = 0;

        line[0] = 0;
        for (size_t i = 0; i < d->n_addresses; i++) {
                char text[REMOTE_ADDRESS_TEXT], zone[12];

                snprintf(zone, sizeof(zone), "%u", d->addresses[i].interface);
                n += (size_t)snprintf(line + n, sizeof(line) - n, "%s%s", i ? " " : "",
                                      remote_address_format(&d->addresses[i], zone, text));
        }
        return line;
}

#define A "11111111-1111-4111-8111-111111111111"
#define B "22222222-2222-4222-8222-222222222222"
#define C "33333333-3333-4333-8333-333333333333"
#define LINK_(id, href, rest)                                                                                \
        "{'anchor':'ocf://" id "','href':'" href                                                             \
        "','rt':['x.t'],'if':['oic.if.a','oic.if.baseline'],'p':{'bm':3}" rest "}"
#define LINK(id, href) LINK_(id, href, "")

#endif
