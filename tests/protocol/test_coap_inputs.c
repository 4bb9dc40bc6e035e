/*
 * Inputs that broke other stacks (users.md 3, A and E), each by name. After every
 * one of them the endpoint answers an honest peer, and in the end holds nothing.
 */
#include "endpoint_fixture.h"

#include <string.h>

enum expected {
        SILENCE,
        RESET,
        REQUEST, /* it reaches the caller */
        CODE,    /* it is answered with row.code */
};

static const struct row {
        const char *name;
        struct span bytes;
        enum expected expected;
        uint8_t code;
} rows[] = {
#define ROW(name, literal, ...)                                                                              \
        { name, { (const uint8_t *)literal, sizeof(literal) - 1 }, __VA_ARGS__ }
        ROW("no byte at all", "", SILENCE),
        ROW("one byte", "\x40", SILENCE),
        ROW("two bytes", "\x40\x01", SILENCE),
        ROW("three bytes", "\x40\x01\x00", SILENCE),
        ROW("5a 0a 5b 5b (libcoap#214)", "\x5a\x0a\x5b\x5b", SILENCE),
        ROW("a token of 9",
            "\x49\x01\x00\x01"
            "123456789",
            RESET),
        ROW("a token of 13 without its extension (RIOT)", "\x4d\x01\x00\x01", RESET),
        ROW("a token of 14 without its extension", "\x4e\x01\x00\x01\x00", RESET),
        ROW("a token of 15", "\x4f\x01\x00\x01", RESET),
        ROW("a token longer than the datagram",
            "\x48\x01\x00\x01"
            "123",
            RESET),
        ROW("version 0", "\x00\x01\x00\x01", SILENCE),
        ROW("version 3", "\xc0\x01\x00\x01", SILENCE),
        ROW("option delta 15", "\x40\x01\x00\x01\xf1x", RESET),
        ROW("option length 15", "\x40\x01\x00\x01\xbfx", RESET),
        ROW("option delta 13 without its byte", "\x40\x01\x00\x01\xd0", RESET),
        ROW("option delta 14 with one byte of two", "\x40\x01\x00\x01\xe0\x01", RESET),
        ROW("option length 13 without its byte", "\x40\x01\x00\x01\xbd", RESET),
        ROW("option length 14 with one byte of two", "\x40\x01\x00\x01\xbe\x01", RESET),
        ROW("option length past the end",
            "\x40\x01\x00\x01\xb5"
            "abc",
            RESET),
        ROW("option length of 65804 past the end",
            "\x40\x01\x00\x01\xbe\xff\xff"
            "abc",
            RESET),
        ROW("numbers that add up past 65535 to Uri-Path (CVE-2020-12887)",
            "\x40\x01\x00\x01\xe1\xfe\xf2x\xe1\xff\xfex", RESET),
        ROW("a payload marker without payload", "\x40\x01\x00\x01\xff", RESET),
        ROW("a payload without marker is an option", "\x40\x01\x00\x01hello", RESET),
        ROW("empty with a token", "\x41\x00\x00\x01t", RESET),
        ROW("empty with an option", "\x40\x00\x00\x01\xb1x", RESET),
        ROW("empty with a payload", "\x40\x00\x00\x01\xffx", RESET),
        ROW("code 1.00", "\x40\x20\x00\x01", RESET),
        ROW("code 6.31", "\x40\xdf\x00\x01", RESET),
        ROW("code 7.01 over UDP", "\x40\xe1\x00\x01", RESET),
        ROW("code 0.31", "\x40\x1f\x00\x02", CODE, COAP_METHOD_NOT_ALLOWED),
        ROW("Uri-Host twice",
            "\x40\x01\x00\x03\x31"
            "a\x01"
            "b",
            CODE, COAP_BAD_OPTION),
        ROW("Uri-Port twice", "\x40\x01\x00\x04\x71\x01\x01\x02", CODE, COAP_BAD_OPTION),
        ROW("ETag twice",
            "\x40\x01\x00\x05\x41"
            "a\x01"
            "b",
            REQUEST),
        ROW("Observe twice: the second is passed over", "\x40\x01\x00\x06\x60\x01\x01", REQUEST),
        ROW("Block2 twice", "\x40\x01\x00\x07\xd1\x0a\x02\x01\x02", CODE, COAP_BAD_OPTION),
        ROW("Block1 twice", "\x40\x02\x00\x08\xd1\x0e\x02\x01\x02", CODE, COAP_BAD_OPTION),
        ROW("Block2 of four bytes", "\x40\x01\x00\x09\xd4\x0a\x00\x00\x00\x02", CODE, COAP_BAD_OPTION),
        ROW("Block2 2^20-1", "\x40\x01\x00\x0a\xd3\x0a\xff\xff\xf6", REQUEST),
        ROW("Block1 2^20-1", "\x40\x02\x00\x0b\xd3\x0e\xff\xff\xf0\xffx", CODE,
            COAP_REQUEST_ENTITY_TOO_LARGE),
        ROW("Block2 with SZX 7", "\x40\x01\x00\x0c\xd1\x0a\x07", CODE, COAP_BAD_REQUEST),
        ROW("Block1 with SZX 7", "\x40\x02\x00\x0d\xd1\x0e\x07\xffx", CODE, COAP_BAD_REQUEST),
        ROW("Size1 of 4 GiB with the first block",
            "\x40\x02\x00\x0e\xd1\x0e\x08\xd4\x14\xff\xff\xff\xff\xff"
            "0123456789abcdef",
            CODE, COAP_REQUEST_ENTITY_TOO_LARGE),
        ROW("Size1 of 4 GiB without blocks", "\x40\x02\x00\x0f\xd4\x2f\xff\xff\xff\xff", REQUEST),
        ROW("Size2 of 4 GiB", "\x40\x01\x00\x10\xd4\x0f\xff\xff\xff\xff", REQUEST),
        ROW("Observe of three bytes is a value that nobody knows", "\x40\x01\x00\x11\x63\xff\xff\xff",
            REQUEST),
        ROW("Observe of four bytes is passed over", "\x40\x01\x00\x12\x64\x00\x00\x00\x00", REQUEST),
        ROW("a path with NUL",
            "\x40\x01\x00\x13\xb3"
            "a\x00"
            "b",
            REQUEST),
        ROW("a path with ..", "\x40\x01\x00\x14\xb2..", REQUEST),
        ROW("a path that is no UTF-8", "\x40\x01\x00\x15\xb2\xc3\x28", REQUEST),
        ROW("a slash inside a segment",
            "\x40\x01\x00\x16\xb3"
            "a/b",
            CODE, COAP_NOT_FOUND),
        ROW("an unknown critical option", "\x40\x01\x00\x17\x91x", CODE, COAP_BAD_OPTION),
        ROW("an unknown critical option in a NON", "\x50\x01\x00\x18\x91x", RESET),
        ROW("an unknown critical option in a response", "\x50\x45\x00\x19\x91x", SILENCE),
        ROW("Echo of 41 bytes is passed over",
            "\x40\x01\x00\x1a\xdd\xef\x1c"
            "01234567890123456789012345678901234567890",
            REQUEST),
#undef ROW
};

static void expect(struct world *w, const struct row *row) {
        struct coap_message m;

        if (row->expected == REQUEST) {
                if (!pop(w))
                        fail_msg("%s: no request", row->name);
                coap_endpoint_ignore(w->ep, w->event.id);
                hear_nothing(w);
                return;
        }
        if (pop(w))
                fail_msg("%s: it reached the caller", row->name);
        if (row->expected == SILENCE) {
                hear_nothing(w);
                return;
        }
        w->n_out = coap_endpoint_transmit(w->ep, w->now, &w->to, w->out, sizeof(w->out));
        if (!w->n_out || coap_message_parse(&m, span_of(w->out, w->n_out)))
                fail_msg("%s: silence, or no message", row->name);
        if (row->expected == RESET && (m.type != COAP_RST || m.code))
                fail_msg("%s: no reset, but type %u code %u", row->name, m.type, m.code);
        if (row->expected == CODE && m.code != row->code)
                fail_msg("%s: code %u.%02u", row->name, m.code >> 5, m.code & 31);
        hear_nothing(w);
}

static void expect_alive(struct world *w, uint16_t mid) {
        const struct coap_peer honest = peer(9);
        uint8_t request[] = { 0x40, 1, (uint8_t)(mid >> 8), (uint8_t)mid, 0xb1, 'x' };

        say(w, &honest, false, request, sizeof(request));
        pop_request(w, "/x");
        answer(w, content("alive"));
        assert_int_equal(hear(w).code, COAP_CONTENT);
}

static void test_each_alone(void **state) {
        const struct coap_peer p = peer(1);
        struct world w;

        world_open(&w, NULL);
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                say(&w, &p, false, rows[i].bytes.data, rows[i].bytes.n);
                expect(&w, &rows[i]);
                expect_alive(&w, (uint16_t)i);
        }
        assert_quiet(&w);
        world_close(&w);
}

/* RFC 7252, 8.2 and core.md 2.4: whatever a multicast asks wrongly, nobody answers. */
static void test_none_is_answered_when_it_came_by_multicast(void **state) {
        const struct coap_peer p = peer(1);
        struct world w;

        world_open(&w, NULL);
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                uint8_t bytes[128];

                if (!rows[i].bytes.n)
                        continue;
                memcpy(bytes, rows[i].bytes.data, rows[i].bytes.n);
                for (int non = 0; non < 2; non++) {
                        if (non)
                                bytes[0] |= 0x10;
                        say(&w, &p, true, bytes, rows[i].bytes.n);
                        w.now += 2000;
                        while (pop(&w))
                                answer(&w, (struct coap_response){ .code = COAP_NOT_FOUND,
                                                                   .content_format = -1,
                                                                   .max_age_s = -1 });
                        hear_nothing(&w);
                }
        }
        assert_quiet(&w);
        world_close(&w);
}

static void test_every_beginning_of_each(void **state) {
        const struct coap_peer p = peer(1);
        struct world w;

        world_open(&w, NULL);
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
                for (size_t n = 0; n <= rows[i].bytes.n; n++) {
                        uint8_t *exact = malloc(n ? n : 1); /* so that a byte read too far is seen */

                        memcpy(exact, rows[i].bytes.data, n);
                        say(&w, &p, false, exact, n);
                        while (pop(&w))
                                coap_endpoint_ignore(w.ep, w.event.id);
                        free(exact);
                        while (coap_endpoint_transmit(w.ep, w.now, &w.to, w.out, sizeof(w.out)))
                                ;
                }
        expect_alive(&w, 1);
        assert_quiet(&w);
        world_close(&w);
}

/* ---- E: floods ---- */

static void test_a_flood_of_observers_in_many_names(void **state) {
        struct coap_limits limits = coap_limits_default;
        struct coap_counts c;
        struct coap_peer p = peer(1);
        struct world w;

        limits.n_observers = 100;
        limits.n_observers_per_peer = 10;
        world_open(&w, &limits);
        for (unsigned i = 0; i < 1000; i++) {
                uint8_t request[] = {
                        0x52, 1, (uint8_t)(i >> 8), (uint8_t)i, (uint8_t)(i >> 8), (uint8_t)i, 0x60, 0x51, 'x'
                };
                struct coap_response r = content("1");

                p.remote_ip[15] = (uint8_t)(i / 50);
                p.remote_port = (uint16_t)(1000 + i);
                say(&w, &p, false, request, sizeof(request));
                pop_request(&w, "/x");
                r.observe = true;
                r.resource = 1;
                answer(&w, r);
                assert_int_equal(hear(&w).code,
                                 COAP_CONTENT); /* each gets its answer, if not its observation */
        }
        coap_endpoint_counts(w.ep, &c);
        assert_int_equal(c.n_observers, 100);
        expect_alive(&w, 1);
        world_close(&w);
}

static void test_a_flood_of_non_requests(void **state) {
        struct coap_peer p = peer(1);
        struct coap_counts c;
        struct world w;

        world_open(&w, NULL);
        for (unsigned i = 0; i < 200000; i++) {
                uint8_t request[] = { 0x50, 1, (uint8_t)(i >> 8), (uint8_t)i, 0xb1, (uint8_t)(i >> 16) };

                p.remote_port = (uint16_t)(i / 3);
                say(&w, &p, false, request, sizeof(request));
                assert_true(pop(&w));
                answer(&w, content("1"));
                assert_int_equal(hear(&w).code, COAP_CONTENT);
        }
        coap_endpoint_counts(w.ep, &c);
        assert_int_equal(c.n_exchanges, 0); /* nothing is kept of any of them */
        assert_int_equal(c.n_pages, 0);
        expect_alive(&w, 1);
        world_close(&w);
}

/* Repeating what is slow to answer makes no second answer, and no second work. */
static void test_a_flood_of_repetitions(void **state) {
        const struct coap_peer p = peer(1);
        struct world w;

        world_open(&w, NULL);
        SAY(&w, &p, "\x40\x02\x00\x01\xb1x");
        pop_request(&w, "/x");
        for (int i = 0; i < 1000; i++) {
                SAY(&w, &p, "\x40\x02\x00\x01\xb1x");
                assert_false(pop(&w));
                hear_nothing(&w);
        }
        answer(&w, content("1"));
        assert_int_equal(hear(&w).code, COAP_CONTENT);
        assert_quiet(&w);
        world_close(&w);
}

static void test_multicasts_beyond_what_waits(void **state) {
        struct coap_limits limits = coap_limits_default;
        struct coap_peer p = peer(1);
        struct coap_counts c;
        struct world w;
        int n = 0;

        limits.n_delayed = 4;
        world_open(&w, &limits);
        for (unsigned i = 0; i < 100; i++) {
                uint8_t request[] = { 0x50, 1, 0, (uint8_t)i, 0xb1, 'x' };

                p.remote_port = (uint16_t)(1000 + i);
                say(&w, &p, true, request, sizeof(request));
        }
        coap_endpoint_counts(w.ep, &c);
        assert_int_equal(c.n_delayed, 4);
        w.now += 2000;
        while (pop(&w)) {
                coap_endpoint_ignore(w.ep, w.event.id);
                n++;
        }
        assert_int_equal(n, 4);
        expect_alive(&w, 1);
        assert_quiet(&w);
        world_close(&w);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_each_alone),
                cmocka_unit_test(test_none_is_answered_when_it_came_by_multicast),
                cmocka_unit_test(test_every_beginning_of_each),
                cmocka_unit_test(test_a_flood_of_observers_in_many_names),
                cmocka_unit_test(test_a_flood_of_non_requests),
                cmocka_unit_test(test_a_flood_of_repetitions),
                cmocka_unit_test(test_multicasts_beyond_what_waits),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
