/*
 * What broke other implementations of DTLS, said to ours by name (users.md 3 C).
 * A server has sent its flight and waits; a stranger, who knows both addresses but
 * no key, says something; then the client goes on. What is no part of the handshake
 * must not hinder it, and nothing may open it that is not the client's.
 */
#include "../unit.h"

#include "base/span.h"
#include "security/tls_hello.h"
#include "security/tls_psk.h"

#include <stdio.h>
#include <stdlib.h>

#define PSK  TLS_ECDHE_PSK_AES_128_CBC_SHA256
#define ANON TLS_ECDH_ANON_AES_128_CBC_SHA256

static const uint8_t key[16] = { 1, 2, 3 }, name[16] = { 'a', 0, 'b', 0xff };

static struct tls *client, *server;
static uint8_t flight[TLS_RECORD_MAX]; /* the client's last: key exchange, ChangeCipherSpec, Finished */
static size_t n_flight;
static struct span identity;
static uint64_t now_ms;
static size_t n_heard;

static size_t find_key(void *context, struct span wanted, uint8_t ret[TLS_PSK_MAX]) {
        if (context && !span_equal(wanted, span_of(name, sizeof(name))))
                return 0;
        memcpy(ret, key, sizeof(key));
        return sizeof(key);
}

/* From a copy on the heap, so that a sanitizer sees a byte too far. */
static void give(struct tls *to, const uint8_t *bytes, size_t n) {
        uint8_t *copy = malloc(n ? n : 1);
        struct span data;

        assert_non_null(copy);
        if (n)
                memcpy(copy, bytes, n);
        tls_receive(to, now_ms, copy, n);
        while (tls_next(to, now_ms, &data))
                n_heard += data.n;
        free(copy);
}

static size_t take(struct tls *from, uint8_t *buf) {
        return tls_transmit(from, now_ms, buf, TLS_RECORD_MAX);
}

static void make(struct tls **ret, bool is_client, uint16_t suite, uint16_t first_message) {
        const struct tls_psk_config config = { .client = is_client,
                                               .suite = suite,
                                               .hint = span_of("hint", 4),
                                               .identity = identity,
                                               .first_message = first_message,
                                               .keep_secrets = true,
                                               .psk = find_key,
                                               .context = is_client ? NULL : &server };

        assert_int_equal(tls_psk_new(ret, &config, now_ms), 0);
}

/* Up to where the server waits for the client's key. */
static void meet(uint16_t suite) {
        static uint8_t bytes[TLS_RECORD_MAX];
        size_t n;

        client = tls_free(client);
        server = tls_free(server);
        now_ms = 1000;
        n_heard = 0;
        if (!identity.data)
                identity = span_of(name, sizeof(name));
        make(&client, true, suite, 0);
        make(&server, false, suite, 0);
        n = take(client, bytes);
        give(server, bytes, n);
        n = take(server, bytes);
        assert_true(n > 0);
        give(client, bytes, n);
        n_flight = take(client, flight);
        assert_true(n_flight > 0);
}

static void part(void) {
        client = tls_free(client);
        server = tls_free(server);
        identity = SPAN_NULL;
}

static int leave(void **state) {
        part();
        return 0;
}

static void go_on(void) {
        static uint8_t bytes[TLS_RECORD_MAX];
        size_t n;

        give(server, flight, n_flight);
        while ((n = take(server, bytes)) > 0)
                give(client, bytes, n);
}

/* ---- what a stranger can write ---- */

static size_t put_record(uint8_t *buf, uint8_t type, uint16_t epoch, uint64_t seq, struct span payload) {
        struct writer w = writer_on(buf, TLS_RECORD_MAX);

        writer_put_u8(&w, type);
        writer_put_u16(&w, 0xfefd);
        writer_put_u16(&w, epoch);
        writer_put_u16(&w, (uint16_t)(seq >> 32));
        writer_put_u32(&w, (uint32_t)seq);
        writer_put_u16(&w, (uint16_t)payload.n);
        writer_put_span(&w, payload);
        return w.n;
}

static void put_u24(struct writer *w, uint32_t v) {
        writer_put_u8(w, (uint8_t)(v >> 16));
        writer_put_u16(w, (uint16_t)v);
}

static void say_fragment(uint8_t type, uint32_t n, uint16_t message, uint32_t offset, uint32_t n_fragment,
                         struct span body) {
        uint8_t payload[4096], record[TLS_RECORD_MAX];
        struct writer w = writer_on(payload, sizeof(payload));

        writer_put_u8(&w, type);
        put_u24(&w, n);
        writer_put_u16(&w, message);
        put_u24(&w, offset);
        put_u24(&w, n_fragment);
        writer_put_span(&w, body);
        assert_false(w.overflow);
        give(server, record, put_record(record, 22, 0, 9, writer_span(&w)));
}

/* ---- what does not hinder ---- */

static void test_records_of_nobody(void **state) {
        static const struct {
                const char *what;
                uint8_t type;
                uint16_t epoch;
                uint64_t seq;
                struct span payload;
        } rows[] = {
                { "epoch 65535", 22, 65535, 0, SPAN_LITERAL("x") },
                { "epoch 65535 and the last number", 23, 65535, 0xffffffffffff, SPAN_LITERAL("x") },
                { "the last number in clear (CVE-2021-42142)", 22, 0, 0xffffffffffff, SPAN_LITERAL("") },
                { "the next epoch before its time", 22, 1, 0,
                  SPAN_LITERAL("0123456789abcdef0123456789abcdef") },
                { "ChangeCipherSpec first", 20, 0, 9, SPAN_LITERAL("\1") },
                { "ChangeCipherSpec of two bytes", 20, 0, 9, SPAN_LITERAL("\1\1") },
                { "an empty ChangeCipherSpec", 20, 0, 9, SPAN_LITERAL("") },
                { "data in clear", 23, 0, 9, SPAN_LITERAL("hello") },
                { "a fatal alert in clear", 21, 0, 9, SPAN_LITERAL("\2\50") },
                { "close_notify in clear", 21, 0, 9, SPAN_LITERAL("\1\0") },
                { "an alert of one byte", 21, 0, 9, SPAN_LITERAL("\2") },
                { "an empty alert", 21, 0, 9, SPAN_LITERAL("") },
                { "a type of nobody", 99, 0, 9, SPAN_LITERAL("x") },
                { "a heartbeat", 24, 0, 9, SPAN_LITERAL("\1\100\0") },
                { "an empty handshake record", 22, 0, 9, SPAN_LITERAL("") },
                { "a header cut off", 22, 0, 9, SPAN_LITERAL("\20\0\0") },
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
                for (unsigned times = 1; times < 40; times += 38) {
                        uint8_t record[TLS_RECORD_MAX];
                        size_t n =
                                put_record(record, rows[i].type, rows[i].epoch, rows[i].seq, rows[i].payload);

                        meet(PSK);
                        for (unsigned k = 0; k < times; k++)
                                give(server, record, n);
                        go_on();
                        if (server->state != TLS_OPEN || client->state != TLS_OPEN || n_heard)
                                fail_msg("%s: %s", rows[i].what, server->problem ? server->problem : "");
                }
}

static void test_messages_that_are_not_due(void **state) {
        static const struct {
                const char *what;
                uint8_t type;
                uint16_t message;
                uint32_t n, offset, n_fragment;
        } rows[] = {
                { "HelloRequest, again", 0, 0, 0, 0, 0 },
                { "ClientHello, again", 1, 0, 40, 0, 40 },
                { "a message far ahead", 16, 7, 40, 0, 40 },
                { "the last message number", 16, 65535, 40, 0, 40 },
                { "a fragment behind its end", 16, 1, 40, 41, 1 },
                { "a fragment across its end", 16, 1, 40, 30, 20 },
                { "an offset that wraps", 16, 1, 0xffffff, 0xfffffe, 20 },
                { "a message of 2^24-1 bytes", 16, 1, 0xffffff, 0, 20 },
                { "longer than what is there (CVE-2026-9267)", 16, 1, 2000, 0, 1000 },
                { "an empty fragment of a message that is not", 16, 1, 40, 0, 0 },
                { "an empty fragment at its end", 16, 1, 40, 40, 0 },
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                uint8_t body[40] = { 0 };

                meet(PSK);
                for (unsigned k = 0; k < 20; k++)
                        say_fragment(
                                rows[i].type, rows[i].n, rows[i].message, rows[i].offset, rows[i].n_fragment,
                                span_of(body, rows[i].n_fragment < sizeof(body) ? rows[i].n_fragment : 40));
                go_on();
                if (server->state != TLS_OPEN || client->state != TLS_OPEN)
                        fail_msg("%s: %s", rows[i].what, server->problem ? server->problem : "");
        }
}

/* They neither take room nor time, and are answered with nothing. */
static void test_a_hundred_thousand_empty_fragments(void **state) {
        static uint8_t bytes[TLS_RECORD_MAX];

        meet(PSK);
        for (unsigned i = 0; i < 100000; i++) {
                say_fragment(16, 40, 1, 0, 0, SPAN_NULL);
                assert_int_equal(take(server, bytes), 0);
        }
        go_on();
        assert_int_equal(server->state, TLS_OPEN);
}

/* Alerts in clear, of each kind, before the end of a handshake and in a session: to a server they are
 * nothing, in any number, and none is answered. */
static void test_an_alert_storm(void **state) {
        static uint8_t bytes[TLS_RECORD_MAX];

        for (unsigned in_session = 0; in_session < 2; in_session++) {
                meet(PSK);
                if (in_session)
                        go_on();
                for (unsigned i = 0; i < 100000; i++) {
                        const uint8_t alert[] = { (uint8_t)(1 + i % 2), (uint8_t)(i / 2) };
                        uint8_t record[TLS_RECORD_MAX];
                        size_t n = put_record(record, 21, (uint16_t)(i % 3), i, span_of(alert, 2));

                        give(server, record, n);
                        assert_int_equal(take(server, bytes), 0);
                        if (in_session) {
                                give(client, record, n);
                                assert_int_equal(take(client, bytes), 0);
                        }
                }
                if (!in_session)
                        go_on();
                assert_int_equal(server->state, TLS_OPEN);
                assert_int_equal(client->state, TLS_OPEN);
        }
}

/* Whoever repeats old messages gets our flight again, but not for ever. */
static void test_an_old_message_again_and_again(void **state) {
        static uint8_t bytes[TLS_RECORD_MAX];
        size_t n_answers = 0;

        meet(PSK);
        for (unsigned i = 0; i < 1000; i++) {
                say_fragment(1, 40, 0, 0, 40, SPAN_LITERAL("0123456789012345678901234567890123456789"));
                while (take(server, bytes) > 0)
                        n_answers++;
        }
        assert_true(n_answers <= 10);
        go_on();
        assert_int_equal(server->state, TLS_OPEN);
}

/* A good message in pieces of one byte, from the back, each twice, some overlapping. */
static void test_pieces_in_any_order(void **state) {
        uint8_t record[TLS_RECORD_MAX];
        size_t n_first, n_body;

        meet(PSK);
        n_first = 13u + ((size_t)flight[11] << 8 | flight[12]);
        n_body = n_first - 25;
        for (size_t i = n_body; i-- > 0;)
                for (unsigned twice = 0; twice < 2; twice++) {
                        size_t n = i + 2 <= n_body ? 2 : 1;

                        say_fragment(16, (uint32_t)n_body, 1, (uint32_t)i, (uint32_t)n,
                                     span_of(flight + 25 + i, n));
                }
        memcpy(record, flight + n_first, n_flight - n_first);
        give(server, record, n_flight - n_first);
        assert_int_equal(server->state, TLS_OPEN);
}

/* ---- what does not open ---- */

/* The second copy of a byte differs: it is not taken for the first, nor the first for it. */
static void test_pieces_that_contradict_each_other(void **state) {
        meet(PSK);
        say_fragment(16, 40, 1, 0, 20, SPAN_LITERAL("aaaaaaaaaaaaaaaaaaaa"));
        say_fragment(16, 40, 1, 10, 20, SPAN_LITERAL("bbbbbbbbbbbbbbbbbbbb"));
        say_fragment(20, 40, 1, 20, 20, SPAN_LITERAL("cccccccccccccccccccc")); /* of another type */
        say_fragment(16, 41, 1, 20, 20, SPAN_LITERAL("dddddddddddddddddddd")); /* of another length */
        assert_int_equal(server->state, TLS_HANDSHAKE);
        assert_false(server->was_named);
}

static void test_a_handshake_without_its_key_exchange(void **state) {
        size_t n_first;

        meet(PSK);
        n_first = 13u + ((size_t)flight[11] << 8 | flight[12]);
        give(server, flight + n_first, n_flight - n_first); /* ChangeCipherSpec and Finished alone */
        assert_int_equal(server->state, TLS_HANDSHAKE);
        give(server, flight, n_first); /* ... and the key behind them: they have to come again */
        assert_int_equal(server->state, TLS_HANDSHAKE);
        give(server, flight, n_flight);
        assert_int_equal(server->state, TLS_OPEN);
}

static void test_finished_in_clear(void **state) {
        size_t n_first;

        meet(PSK);
        n_first = 13u + ((size_t)flight[11] << 8 | flight[12]);
        give(server, flight, n_first);
        say_fragment(20, 12, 2, 0, 12, SPAN_LITERAL("verify_data!"));
        assert_int_not_equal(server->state, TLS_OPEN);
        assert_int_equal(n_heard, 0);
}

/* Names of other lengths, and the right one up to its NUL: the key is nobody's. */
static void test_identities(void **state) {
        static uint8_t other[TLS_IDENTITY_MAX] = { 'a', 0, 'b', 0xff };
        static const size_t sizes[] = { 1, 2, 3, 15, 17, 33, 63, 64 };

        for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
                identity = span_of(other, sizes[i]);
                meet(PSK);
                go_on();
                if (server->state == TLS_OPEN)
                        fail_msg("an identity of %zu bytes", sizes[i]);
                assert_true(server->was_named);
        }
        identity = SPAN_NULL;
}

/* ClientKeyExchange by hand: lengths that lie, points that are none. */
static void test_key_exchanges(void **state) {
        static const uint8_t head16[] = { 0, 16, 'a', 0, 'b', 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 };
        static const struct {
                const char *what;
                uint16_t n_name; /* as it says */
                size_t n_there;  /* as it is */
                uint8_t n_point, first;
                size_t n_point_there;
        } rows[] = {
                { "a name of no bytes, and no point", 0, 0, 0, 0, 0 },
                { "a name of 65535 bytes", 65535, 16, 65, 4, 65 },
                { "a name of 128 bytes", 128, 128, 65, 4, 65 },
                { "a point of 255 bytes", 16, 16, 255, 4, 65 },
                { "a point of 64 bytes", 16, 16, 64, 4, 64 },
                { "a compressed point", 16, 16, 33, 2, 33 },
                { "the point at infinity", 16, 16, 1, 0, 1 },
                { "a point that is not on the curve", 16, 16, 65, 4, 65 },
                { "bytes behind the point", 16, 16, 65, 4, 80 },
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                uint8_t body[512] = { 0 };
                struct writer w = writer_on(body, sizeof(body));

                meet(PSK);
                writer_put_u16(&w, rows[i].n_name);
                for (size_t k = 0; k < rows[i].n_there; k++)
                        writer_put_u8(&w, k < 16 ? head16[2 + k] : 'x');
                writer_put_u8(&w, rows[i].n_point);
                for (size_t k = 0; k < rows[i].n_point_there; k++)
                        writer_put_u8(&w, k ? 0x11 : rows[i].first);
                say_fragment(16, (uint32_t)w.n, 1, 0, (uint32_t)w.n, writer_span(&w));
                if (server->state != TLS_CLOSED || server->failure != TLS_FAILURE_PROTOCOL)
                        fail_msg("%s: state %d, failure %d", rows[i].what, (int)server->state,
                                 (int)server->failure);
        }
}

/* ---- hellos ---- */

struct hello_row {
        const char *what;
        int outcome;
        struct span session_id, cookie, suites, compressions, extensions; /* with their lengths */
};

#define S(x)        SPAN_LITERAL(x)
#define GOOD_SUITES S("\0\2\xc0\x37")
#define NO_ID       S("\0")
#define NULL_ALONE  S("\1\0")

static void test_hellos(void **state) {
        static const struct hello_row rows[] = {
                { "a good one", 0, NO_ID, NO_ID, GOOD_SUITES, NULL_ALONE, S("") },
                { "suites of odd length (CVE-2021-42143)", TLS_HELLO_E_MALFORMED, NO_ID, NO_ID,
                  S("\0\3\xc0\x37\xc0"), NULL_ALONE, S("") },
                { "no suites", TLS_HELLO_E_MALFORMED, NO_ID, NO_ID, S("\0\0"), NULL_ALONE, S("") },
                { "suites of 65535 bytes", TLS_HELLO_E_MALFORMED, NO_ID, NO_ID, S("\xff\xff\xc0\x37"),
                  NULL_ALONE, S("") },
                { "a session id of 33 bytes", TLS_HELLO_E_MALFORMED,
                  S("\41xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"), NO_ID, GOOD_SUITES, NULL_ALONE, S("") },
                { "a cookie longer than the hello (CVE-2022-35409)", TLS_HELLO_E_MALFORMED, NO_ID, S("\xff"),
                  GOOD_SUITES, NULL_ALONE, S("") },
                { "no compression", TLS_HELLO_E_MALFORMED, NO_ID, NO_ID, GOOD_SUITES, S("\0"), S("") },
                { "a compression that is not none", TLS_HELLO_E_MALFORMED, NO_ID, NO_ID, GOOD_SUITES,
                  S("\1\1"), S("") },
                { "no extensions, said so", 0, NO_ID, NO_ID, GOOD_SUITES, NULL_ALONE, S("\0\0") },
                { "extensions behind the end", TLS_HELLO_E_MALFORMED, NO_ID, NO_ID, GOOD_SUITES, NULL_ALONE,
                  S("\0\10\0\27\0\0") },
                { "an extension longer than all", TLS_HELLO_E_MALFORMED, NO_ID, NO_ID, GOOD_SUITES,
                  NULL_ALONE, S("\0\4\0\27\0\11") },
                { "one extension twice", TLS_HELLO_E_MALFORMED, NO_ID, NO_ID, GOOD_SUITES, NULL_ALONE,
                  S("\0\10\0\27\0\0\0\27\0\0") },
                { "bytes behind the extensions", TLS_HELLO_E_MALFORMED, NO_ID, NO_ID, GOOD_SUITES, NULL_ALONE,
                  S("\0\4\0\27\0\0x") },
                { "groups of odd length", TLS_HELLO_E_MALFORMED, NO_ID, NO_ID, GOOD_SUITES, NULL_ALONE,
                  S("\0\11\0\12\0\5\0\3\0\27\0") },
                { "renegotiation of something", TLS_HELLO_E_MALFORMED, NO_ID, NO_ID, GOOD_SUITES, NULL_ALONE,
                  S("\0\6\xff\1\0\2\1x") },
                { "an extension of nobody", 0, NO_ID, NO_ID, GOOD_SUITES, NULL_ALONE,
                  S("\0\5\xff\xaa\0\1x") },
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                uint8_t buf[512], *body;
                struct writer w = writer_on(buf, sizeof(buf));
                struct tls_hello hello;
                int r;

                writer_put_u16(&w, TLS_VERSION_DTLS_12);
                for (unsigned k = 0; k < TLS_RANDOM; k++)
                        writer_put_u8(&w, (uint8_t)k);
                writer_put_span(&w, rows[i].session_id);
                writer_put_span(&w, rows[i].cookie);
                writer_put_span(&w, rows[i].suites);
                writer_put_span(&w, rows[i].compressions);
                writer_put_span(&w, rows[i].extensions);
                body = malloc(w.n);
                assert_non_null(body);
                memcpy(body, buf, w.n);
                r = tls_hello_read_body(&hello, false, span_of(body, w.n));
                if (r != rows[i].outcome)
                        fail_msg("%s: %d, not %d", rows[i].what, r, rows[i].outcome);
                free(body);
        }
}

/* Of any length that its byte can say: read, and not ours unless it is as long as ours, and ours. */
static void test_cookies_of_each_length(void **state) {
        const uint8_t secret[TLS_COOKIE_SECRET] = { 7 };
        const struct span address = SPAN_LITERAL("10.0.0.1");

        for (unsigned length = 0; length < 256; length++)
                for (unsigned good = 0; good < 2; good++) {
                        uint8_t buf[512], cookie[256];
                        struct writer w = writer_on(buf, sizeof(buf));
                        struct tls_hello hello;
                        size_t at;

                        memset(cookie, 0x55, sizeof(cookie));
                        writer_put_u16(&w, TLS_VERSION_DTLS_12);
                        for (unsigned k = 0; k < TLS_RANDOM; k++)
                                writer_put_u8(&w, (uint8_t)k);
                        writer_put_u8(&w, 0);
                        writer_put_u8(&w, (uint8_t)length);
                        at = w.n;
                        writer_put(&w, cookie, length);
                        writer_put_span(&w, GOOD_SUITES);
                        writer_put_span(&w, NULL_ALONE);
                        assert_int_equal(tls_hello_read_body(&hello, false, writer_span(&w)), 0);
                        if (good) { /* it begins as ours does */
                                tls_cookie_make(&hello, address, secret, cookie);
                                memcpy(buf + at, cookie, length);
                                assert_int_equal(tls_hello_read_body(&hello, false, writer_span(&w)), 0);
                        }
                        if (tls_cookie_is(&hello, address, secret) != (good && length == TLS_COOKIE))
                                fail_msg("a cookie of %u bytes%s", length, good ? ", ours" : "");
                }
}

/* A version that is switched off stays so, whatever the rest says (CVE-2024-28836). */
static void test_versions(void **state) {
        static const struct {
                uint16_t version;
                bool stream;
                int outcome;
        } rows[] = {
                { 0xfefd, false, 0 },
                { 0xfefc, false, 0 }, /* one to come: it speaks 1.2 too */
                { 0xfeff, false, TLS_HELLO_E_VERSION },
                { 0x0100, false, TLS_HELLO_E_VERSION },
                { 0x0303, false, TLS_HELLO_E_VERSION },
                { 0x0303, true, 0 },
                { 0x0302, true, TLS_HELLO_E_VERSION },
                { 0x0300, true, TLS_HELLO_E_VERSION },
                { 0x0000, true, TLS_HELLO_E_VERSION },
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                uint8_t buf[128];
                struct writer w = writer_on(buf, sizeof(buf));
                struct tls_hello hello;

                writer_put_u16(&w, rows[i].version);
                for (unsigned k = 0; k < TLS_RANDOM; k++)
                        writer_put_u8(&w, (uint8_t)k);
                writer_put_u8(&w, 0);
                if (!rows[i].stream)
                        writer_put_u8(&w, 0);
                writer_put_span(&w, GOOD_SUITES);
                writer_put_span(&w, NULL_ALONE);
                if (tls_hello_read_body(&hello, rows[i].stream, writer_span(&w)) != rows[i].outcome)
                        fail_msg("%04x", rows[i].version);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_teardown(test_records_of_nobody, leave),
                cmocka_unit_test_teardown(test_messages_that_are_not_due, leave),
                cmocka_unit_test_teardown(test_a_hundred_thousand_empty_fragments, leave),
                cmocka_unit_test_teardown(test_an_alert_storm, leave),
                cmocka_unit_test_teardown(test_an_old_message_again_and_again, leave),
                cmocka_unit_test_teardown(test_pieces_in_any_order, leave),
                cmocka_unit_test_teardown(test_pieces_that_contradict_each_other, leave),
                cmocka_unit_test_teardown(test_a_handshake_without_its_key_exchange, leave),
                cmocka_unit_test_teardown(test_finished_in_clear, leave),
                cmocka_unit_test_teardown(test_identities, leave),
                cmocka_unit_test_teardown(test_key_exchanges, leave),
                cmocka_unit_test(test_hellos),
                cmocka_unit_test(test_cookies_of_each_length),
                cmocka_unit_test(test_versions),
        };

        return cmocka_run_group_tests_name("tls-inputs", tests, NULL, NULL);
}
