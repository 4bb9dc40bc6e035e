/*
 * Our engine of (D)TLS in conversation: with itself, in both roles and over
 * both kinds of transport, with losses, and with libssl, which speaks 0xC037
 * as well and is not our code.
 */
#include "../unit.h"

#include "base/memory.h"
#include "security/tls_hello.h"
#include "security/tls_psk.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t key16[16] = { 1, 2, 3, 0, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 };
static const uint8_t hint16[16] = { 0, 0xff, 0, 1, 2, 3 }, name16[16] = { 0, 0, 7, 0x80, 0xff, 9 };

struct side {
        struct tls *tls;
        const uint8_t *key;
        size_t n_key;
        struct span wants; /* the name that it must be asked for */
        unsigned n_asked;
};

static size_t find_key(void *context, struct span name, uint8_t ret[TLS_PSK_MAX]) {
        struct side *s = context;

        s->n_asked++;
        if (!span_equal(name, s->wants))
                return 0;
        memcpy(ret, s->key, s->n_key);
        return s->n_key;
}

struct way {
        bool stream;
        uint16_t suite;
        bool client_etm, client_ems;
        unsigned lose; /* every n-th datagram; 0: none */
        size_t piece;  /* a stream comes in pieces so long; 0: whole */
};

static struct tls_psk_config base_config(const struct way *way, bool client, struct side *side) {
        return (struct tls_psk_config){
                .stream = way->stream,
                .client = client,
                .suite = way->suite,
                .hint = span_of(hint16, 16),
                .identity = span_of(name16, 16),
                .without_encrypt_then_mac = client && !way->client_etm,
                .without_extended_master_secret = client && !way->client_ems,
                .first_message = way->stream || client ? 0 : 1,
                .keep_secrets = true,
                .psk = find_key,
                .context = side,
        };
}

static uint8_t cookie_secret[TLS_COOKIE_SECRET] = { 42 };

/* What stands before the server: no state before the cookie. Return: whether the hello was let through. */
static bool passes_cookie(const uint8_t *bytes, size_t n, uint8_t *ret_answer, size_t *ret_n) {
        uint8_t cookie[TLS_COOKIE];
        struct tls_hello hello;

        *ret_n = 0;
        assert_int_equal(tls_hello_read(&hello, false, span_of(bytes, n)), 0);
        if (tls_cookie_is(&hello, span_of("you", 3), cookie_secret))
                return true;
        tls_cookie_make(&hello, span_of("you", 3), cookie_secret, cookie);
        *ret_n = tls_hello_verify(cookie, span_of(bytes, n), ret_answer, TLS_RECORD_MAX);
        assert_true(*ret_n > 0 && *ret_n <= n); /* it amplifies nothing */
        return false;
}

struct wire {
        struct way way;
        struct side client, server;
        bool through; /* the cookie */
        unsigned n_datagrams;
        uint64_t now_ms;
        uint8_t told[2][256]; /* what the client, the server heard */
        size_t n_told[2];
};

static bool is_lost(struct wire *w) {
        return w->way.lose && ++w->n_datagrams % w->way.lose == 0;
}

static void hear(struct wire *w, struct tls *t) {
        size_t i = t == w->server.tls;
        struct span data;

        while (tls_next(t, w->now_ms, &data)) {
                assert_true(w->n_told[i] + data.n <= sizeof(w->told[i]));
                memcpy(w->told[i] + w->n_told[i], data.data, data.n);
                w->n_told[i] += data.n;
        }
}

static void give(struct wire *w, struct tls *to, uint8_t *bytes, size_t n) {
        size_t piece = w->way.stream && w->way.piece ? w->way.piece : n;

        for (size_t at = 0; at < n; at += piece) {
                tls_receive(to, w->now_ms, bytes + at, n - at < piece ? n - at : piece);
                hear(w, to);
        }
}

static void carry(struct wire *w, struct tls *from, uint8_t *bytes, size_t n) {
        uint8_t answer[TLS_RECORD_MAX];
        size_t n_answer;

        if (is_lost(w))
                return;
        if (from == w->client.tls && !w->way.stream && !w->through) {
                w->through = passes_cookie(bytes, n, answer, &n_answer);
                if (!w->through) {
                        give(w, w->client.tls, answer, n_answer);
                        return;
                }
        }
        give(w, from == w->client.tls ? w->server.tls : w->client.tls, bytes, n);
}

static bool turn(struct wire *w) {
        struct tls *const sides[] = { w->client.tls, w->server.tls };
        uint8_t bytes[TLS_RECORD_MAX];
        bool any = false;
        size_t n;

        for (size_t i = 0; i < 2; i++)
                while ((n = tls_transmit(sides[i], w->now_ms, bytes, sizeof(bytes))) > 0) {
                        any = true;
                        carry(w, sides[i], bytes, n);
                }
        return any;
}

static void run(struct wire *w) {
        for (unsigned i = 0; i < 1000; i++) {
                while (turn(w))
                        ;
                if (w->client.tls->state != TLS_HANDSHAKE && w->server.tls->state != TLS_HANDSHAKE)
                        return;
                w->now_ms = ocf_min_u64(w->client.tls->deadline_ms, w->server.tls->deadline_ms);
                assert_true(w->now_ms != OCF_NEVER);
        }
        fail_msg("the handshake does not come to an end");
}

static void begin(struct wire *w, const struct way *way) {
        struct tls_psk_config client, server;

        *w = (struct wire){ .way = *way, .now_ms = 1000 };
        w->client = (struct side){ .key = key16, .n_key = 16, .wants = span_of(hint16, 16) };
        w->server = (struct side){ .key = key16, .n_key = 16, .wants = span_of(name16, 16) };
        client = base_config(way, true, &w->client);
        server = base_config(way, false, &w->server);
        assert_int_equal(tls_psk_new(&w->client.tls, &client, w->now_ms), 0);
        assert_int_equal(tls_psk_new(&w->server.tls, &server, w->now_ms), 0);
}

static void end(struct wire *w) {
        tls_free(w->client.tls);
        tls_free(w->server.tls);
}

static void say(struct wire *w, struct side *from, const char *text) {
        uint8_t bytes[512];
        size_t n = tls_seal(from->tls, span_of_string(text), bytes, sizeof(bytes));

        assert_true(n > strlen(text) && n <= strlen(text) + TLS_SEAL_MORE);
        give(w, from == &w->client ? w->server.tls : w->client.tls, bytes, n);
}

#define PSK  TLS_ECDHE_PSK_AES_128_CBC_SHA256
#define ANON TLS_ECDH_ANON_AES_128_CBC_SHA256

static void both_sides_come_to_the_same(void **state) {
        unsigned n = 0;

        for (unsigned bits = 0; bits < 16; bits++)
                for (unsigned lose = 0; lose < 8; lose++) {
                        struct way way = { .stream = bits & 1,
                                           .suite = bits & 2 ? PSK : ANON,
                                           .client_etm = bits & 4,
                                           .client_ems = bits & 8,
                                           .lose = bits & 1 || lose < 3 ? 0 : lose,
                                           .piece = lose };
                        struct tls_secrets of_client, of_server;
                        struct wire w;

                        begin(&w, &way);
                        run(&w);
                        assert_int_equal(w.client.tls->state, TLS_OPEN);
                        assert_int_equal(w.server.tls->state, TLS_OPEN);
                        w.way.lose = 0;
                        say(&w, &w.client, "a question");
                        say(&w, &w.client, ", and more of it");
                        say(&w, &w.server, "an answer");
                        assert_int_equal(w.n_told[0], 9);
                        assert_memory_equal(w.told[0], "an answer", 9);
                        assert_int_equal(w.n_told[1], 26);
                        assert_memory_equal(w.told[1], "a question, and more of it", 26);
                        assert_true(tls_secrets(w.client.tls, &of_client));
                        assert_true(tls_secrets(w.server.tls, &of_server));
                        assert_memory_equal(&of_client, &of_server, sizeof(of_client));
                        assert_int_equal(of_server.suite, way.suite);
                        if (way.suite == PSK) {
                                assert_true(span_equal(tls_psk_name(w.server.tls), span_of(name16, 16)));
                                assert_true(span_equal(tls_psk_name(w.client.tls), span_of(hint16, 16)));
                        }
                        tls_close(w.client.tls);
                        while (turn(&w))
                                ;
                        assert_int_equal(w.server.tls->state, TLS_CLOSED);
                        assert_int_equal(w.server.tls->failure, TLS_FAILURE_BYE);
                        end(&w);
                        n++;
                }
        assert_int_equal(n, 128);
}

/* The server says the same whether the name or the key is wrong, and no earlier. */
static void a_wrong_key_is_told_at_the_end(void **state) {
        static const uint8_t other[16] = { 9 };

        for (unsigned i = 0; i < 4; i++) {
                struct way way = { .stream = i & 1, .suite = PSK, .client_ems = true };
                struct wire w;

                begin(&w, &way);
                if (i & 2)
                        w.server.wants = span_of(other, 16);
                else
                        w.server.key = other;
                run(&w);
                assert_int_equal(w.server.tls->state, TLS_CLOSED);
                assert_int_equal(w.server.tls->failure, TLS_FAILURE_KEY);
                assert_true(w.server.tls->was_named);
                assert_int_equal(w.client.tls->state, TLS_CLOSED);
                assert_int_equal(w.client.tls->failure, TLS_FAILURE_ALERT);
                assert_int_equal(w.client.tls->alert, 20);
                end(&w);
        }
}

static void a_client_wants_the_device_that_it_meant(void **state) {
        struct way way = { .suite = PSK };
        struct wire w;

        begin(&w, &way);
        w.client.wants = span_of_string("another device!!");
        run(&w);
        assert_int_equal(w.client.tls->state, TLS_CLOSED);
        assert_int_equal(w.client.tls->failure, TLS_FAILURE_KEY);
        assert_int_equal(w.client.tls->alert, 115);
        end(&w);
}

static void who_says_nothing_is_given_up(void **state) {
        struct way way = { .suite = PSK, .lose = 1 };
        struct wire w;

        begin(&w, &way);
        run(&w);
        assert_int_equal(w.client.tls->failure, TLS_FAILURE_TIMEOUT);
        assert_true(w.now_ms >= 1000 + TLS_HANDSHAKE_MAX_MS);
        assert_true(w.n_datagrams >= 5 && w.n_datagrams <= 10); /* 1, 2, 4, 8, 8 seconds */
        end(&w);
}

/* ---- what strangers send into it ---- */

static void open_pair(struct wire *w, bool stream, bool etm) {
        struct way way = { .stream = stream, .suite = PSK, .client_ems = true, .client_etm = etm };

        begin(w, &way);
        run(w);
        assert_int_equal(w->server.tls->state, TLS_OPEN);
}

static void a_record_is_heard_once(void **state) {
        uint8_t first[128], second[128], copy[128];
        struct wire w;
        size_t n;

        open_pair(&w, false, false);
        n = tls_seal(w.client.tls, span_of_string("1"), first, sizeof(first));
        assert_int_equal(tls_seal(w.client.tls, span_of_string("2"), second, sizeof(second)), n);
        for (unsigned i = 0; i < 2; i++) {
                memcpy(copy, second, n);
                give(&w, w.server.tls, copy, n);
                memcpy(copy, first, n); /* late, but new */
                give(&w, w.server.tls, copy, n);
        }
        assert_int_equal(w.n_told[1], 2);
        assert_memory_equal(w.told[1], "21", 2);
        for (unsigned i = 0; i < 70; i++) /* what is behind the window is not taken on trust */
                say(&w, &w.client, "x");
        n = w.n_told[1];
        memcpy(copy, first, sizeof(first));
        give(&w, w.server.tls, copy, 13 + 64);
        assert_int_equal(w.n_told[1], n);
        end(&w);
}

/* Each byte of a record changed, and each shorter one: nothing of it is heard, and the session lives. */
static void forged_records_are_nothing(void **state) {
        for (unsigned etm = 0; etm < 2; etm++) {
                uint8_t record[128], copy[128];
                struct wire w;
                size_t n;

                open_pair(&w, false, etm);
                n = tls_seal(w.client.tls, span_of_string("the truth"), record, sizeof(record));
                for (size_t i = 0; i < n; i++) {
                        memcpy(copy, record, n);
                        copy[i] ^= 0x40;
                        give(&w, w.server.tls, copy, n);
                        memcpy(copy, record, n);
                        give(&w, w.server.tls, copy, i);
                }
                assert_int_equal(w.n_told[1], 0);
                assert_int_equal(w.server.tls->state, TLS_OPEN);
                give(&w, w.server.tls, record, n);
                assert_int_equal(w.n_told[1], 9);
                end(&w);
        }
}

/* A number far ahead, of a record that is not the peer's, must not push the window (CVE-2021-42142). */
static void a_forged_number_moves_nothing(void **state) {
        uint8_t record[128], copy[128];
        struct wire w;
        size_t n;

        open_pair(&w, false, false);
        n = tls_seal(w.client.tls, span_of_string("here"), record, sizeof(record));
        memcpy(copy, record, n);
        memset(copy + 5, 0xff, 6);
        give(&w, w.server.tls, copy, n);
        memcpy(copy, record, n);
        copy[3] = copy[4] = 0xff; /* another epoch (CVE-2021-42141) */
        give(&w, w.server.tls, copy, n);
        assert_int_equal(w.n_told[1], 0);
        give(&w, w.server.tls, record, n);
        assert_int_equal(w.n_told[1], 4);
        end(&w);
}

static void clear_words_do_not_end_a_session(void **state) {
        static const uint8_t alerts[][15] = {
                { 21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 9, 0, 2, 2, 40 },
                { 21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 9, 0, 2, 1, 0 },
                { 21, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 0, 9, 0, 2, 2, 40 },
                { 20, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 9, 0, 2, 1, 1 },
                { 23, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 9, 0, 2, 1, 1 },
        };
        struct wire w;

        open_pair(&w, false, false);
        for (size_t i = 0; i < ARRAY_SIZE(alerts); i++) {
                uint8_t copy[15];

                memcpy(copy, alerts[i], 15);
                give(&w, w.server.tls, copy, 15);
                memcpy(copy, alerts[i], 15);
                give(&w, w.client.tls, copy, 15);
        }
        assert_int_equal(w.n_told[0] + w.n_told[1], 0);
        assert_int_equal(w.server.tls->state, TLS_OPEN);
        assert_int_equal(w.client.tls->state, TLS_OPEN);
        say(&w, &w.client, "still here");
        assert_int_equal(w.n_told[1], 10);
        end(&w);
}

/* The first flight of the client, caught. */
static size_t first_flight(struct wire *w, uint8_t *ret) {
        uint8_t verify[TLS_HELLO_VERIFY_MAX];
        size_t n = tls_transmit(w->client.tls, w->now_ms, ret, TLS_RECORD_MAX), n_verify;

        assert_false(passes_cookie(ret, n, verify, &n_verify));
        give(w, w->client.tls, verify, n_verify);
        return tls_transmit(w->client.tls, w->now_ms, ret, TLS_RECORD_MAX);
}

/* Of a record in clear: its number, and the lower half of its version, which nobody relies on. */
static bool is_harmless(const uint8_t *flight, size_t n, size_t i) {
        for (size_t at = 0; at + 13 <= n; at += 13 + ((size_t)flight[at + 11] << 8 | flight[at + 12]))
                if (!flight[at + 4] && (i == at + 2 || (i >= at + 5 && i < at + 11)))
                        return true;
        return false;
}

/* users.md 3 C: truncated at each byte, and with each byte changed, it never does more than fail. */
static void broken_handshakes_only_fail(void **state) {
        struct way way = { .suite = PSK, .client_ems = true };
        static uint8_t hello[TLS_RECORD_MAX], flight[TLS_RECORD_MAX], copy[TLS_RECORD_MAX];
        size_t n_hello = 0, n_flight = 0;

        for (size_t i = 0; i < 2 * (n_flight ? n_flight : 1); i++) {
                static uint8_t answer[TLS_RECORD_MAX];
                struct wire w;
                size_t n;

                begin(&w, &way);
                n_hello = first_flight(&w, hello);
                memcpy(copy, hello, n_hello);
                w.through = true;
                give(&w, w.server.tls, copy, n_hello);
                n = tls_transmit(w.server.tls, w.now_ms, answer, sizeof(answer));
                give(&w, w.client.tls, answer, n);
                n_flight = tls_transmit(w.client.tls, w.now_ms, flight, sizeof(flight));
                assert_true(n_flight > 100);
                memcpy(copy, flight, n_flight);
                if (i < n_flight) {
                        give(&w, w.server.tls, copy, i); /* cut off */
                } else {
                        copy[i - n_flight] ^= 0x81;
                        give(&w, w.server.tls, copy, n_flight);
                }
                if (i < n_flight || !is_harmless(flight, n_flight, i - n_flight))
                        assert_int_not_equal(w.server.tls->state, TLS_OPEN);
                end(&w);
        }
}

/* Likewise what a server says to our client. */
static void broken_flights_of_a_server_only_fail(void **state) {
        struct way way = { .suite = PSK, .client_ems = true };
        static uint8_t hello[TLS_RECORD_MAX], flight[TLS_RECORD_MAX];
        size_t n_flight = 0;

        for (size_t i = 0; i < 2 * (n_flight ? n_flight : 1); i++) {
                uint8_t bytes[TLS_RECORD_MAX];
                struct wire w;
                size_t n;

                begin(&w, &way);
                n = first_flight(&w, hello);
                w.through = true;
                give(&w, w.server.tls, hello, n);
                n_flight = tls_transmit(w.server.tls, w.now_ms, flight, sizeof(flight));
                assert_true(n_flight > 100);
                if (i >= n_flight)
                        flight[i - n_flight] ^= 0x81;
                give(&w, w.client.tls, flight, i < n_flight ? i : n_flight);
                while ((n = tls_transmit(w.client.tls, w.now_ms, bytes, sizeof(bytes))) > 0)
                        give(&w, w.server.tls, bytes, n);
                while ((n = tls_transmit(w.server.tls, w.now_ms, bytes, sizeof(bytes))) > 0)
                        give(&w, w.client.tls, bytes, n);
                if (i >= n_flight)
                        flight[i - n_flight] ^= 0x81;
                if (i < n_flight || !is_harmless(flight, n_flight, i - n_flight))
                        assert_int_not_equal(w.client.tls->state, TLS_OPEN);
                end(&w);
        }
}

static void broken_hellos_only_fail(void **state) {
        struct way way = { .suite = PSK, .client_ems = true };
        static uint8_t hello[TLS_RECORD_MAX], copy[TLS_RECORD_MAX];
        size_t n_hello = 1;

        for (size_t i = 0; i < n_hello; i++) {
                struct tls_hello ret;
                struct wire w;

                begin(&w, &way);
                n_hello = first_flight(&w, hello);
                memcpy(copy, hello, n_hello);
                assert_int_not_equal(tls_hello_read(&ret, false, span_of(copy, i)), 0);
                copy[i] ^= 0xff;
                if (tls_hello_read(&ret, false, span_of(copy, n_hello)) == 0 && i > 24)
                        assert_false(tls_cookie_is(&ret, span_of("you", 3), cookie_secret));
                give(&w, w.server.tls, copy, n_hello);
                assert_int_not_equal(w.server.tls->state, TLS_OPEN);
                end(&w);
        }
}

static void a_cookie_is_for_one_address(void **state) {
        struct way way = { .suite = PSK };
        uint8_t hello[TLS_RECORD_MAX], other[TLS_COOKIE_SECRET] = { 43 };
        struct tls_hello h;
        struct wire w;
        size_t n;

        begin(&w, &way);
        n = first_flight(&w, hello);
        assert_int_equal(tls_hello_read(&h, false, span_of(hello, n)), 0);
        assert_int_equal(h.message_seq, 1);
        assert_true(tls_cookie_is(&h, span_of("you", 3), cookie_secret));
        assert_false(tls_cookie_is(&h, span_of("him", 3), cookie_secret));
        assert_false(tls_cookie_is(&h, span_of("you", 3), other));
        end(&w);
}

/* ---- libssl ---- */

static unsigned ssl_client_psk(SSL *ssl, const char *hint, char *identity, unsigned n_identity,
                               unsigned char *psk, unsigned n_psk) {
        strcpy(identity, "sixteen bytes!!!");
        memcpy(psk, key16, 16);
        return 16;
}

static unsigned ssl_server_psk(SSL *ssl, const char *identity, unsigned char *psk, unsigned n_psk) {
        if (strcmp(identity, "sixteen bytes!!!") != 0)
                return 0;
        memcpy(psk, key16, 16);
        return 16;
}

static void pump(struct tls *tls, SSL *ssl, BIO *in, BIO *out) {
        static uint8_t bytes[TLS_RECORD_MAX];
        struct span data;
        size_t n;
        int r;

        while ((n = tls_transmit(tls, 0, bytes, sizeof(bytes))) > 0)
                BIO_write(in, bytes, (int)n);
        (void)SSL_do_handshake(ssl);
        while ((r = BIO_read(out, bytes, sizeof(bytes))) > 0) {
                tls_receive(tls, 0, bytes, (size_t)r);
                assert_false(tls_next(tls, 0, &data));
        }
}

/* A ClientHello within the session, or a HelloRequest (users.md 3 C): told no, and nothing changes. */
static void ask_for_another_handshake(struct tls *tls, SSL *ssl, BIO *in, BIO *out) {
        struct tls_secrets before, after;
        uint8_t finished[2][64] = { 0 };

        assert_true(tls_secrets(tls, &before));
        assert_true(SSL_get_finished(ssl, finished[0], sizeof(finished[0])) > 0);
        assert_int_equal(SSL_renegotiate(ssl), 1);
        for (unsigned i = 0; i < 5; i++)
                pump(tls, ssl, in, out);
        if (tls->state == TLS_OPEN) {
                assert_true(tls_secrets(tls, &after));
                assert_memory_equal(&before, &after, sizeof(before));
        } else {
                assert_int_equal(tls->failure, TLS_FAILURE_ALERT); /* libssl takes the no for the end */
        }
        assert_true(SSL_get_finished(ssl, finished[1], sizeof(finished[1])) > 0);
        assert_memory_equal(finished[0], finished[1], sizeof(finished[0]));
        ERR_clear_error();
}

/* TLS over memory: no datagrams, so that the BIO of libssl does. */
static void with_libssl(bool ours_is_client, bool etm, bool another_handshake) {
        SSL_CTX *ctx = SSL_CTX_new(TLS_method());
        struct side side = { .key = key16, .n_key = 16 };
        struct way way = { .stream = true, .suite = PSK, .client_etm = etm, .client_ems = true };
        BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
        struct tls_psk_config config = base_config(&way, ours_is_client, &side);
        static uint8_t bytes[TLS_RECORD_MAX];
        struct tls *tls;
        char text[64];
        struct span data = SPAN_NULL;
        SSL *ssl;
        size_t n;
        int r;

        assert_non_null(ctx);
        SSL_CTX_set_max_proto_version(ctx, TLS1_2_VERSION);
        assert_int_equal(SSL_CTX_set_cipher_list(ctx, "ECDHE-PSK-AES128-CBC-SHA256"), 1);
        SSL_CTX_use_psk_identity_hint(ctx, "a hint");
        SSL_CTX_set_psk_client_callback(ctx, ssl_client_psk);
        SSL_CTX_set_psk_server_callback(ctx, ssl_server_psk);
        if (!etm)
                SSL_CTX_set_options(ctx, SSL_OP_NO_ENCRYPT_THEN_MAC);
        ssl = SSL_new(ctx);
        SSL_set_bio(ssl, in, out);
        if (ours_is_client)
                SSL_set_accept_state(ssl);
        else
                SSL_set_connect_state(ssl);
        side.wants = span_of_string(ours_is_client ? "a hint" : "sixteen bytes!!!");
        config.identity = span_of_string("sixteen bytes!!!");
        assert_int_equal(tls_psk_new(&tls, &config, 0), 0);
        for (unsigned i = 0; i < 10; i++)
                pump(tls, ssl, in, out);
        assert_int_equal(tls->state, TLS_OPEN);
        assert_true(SSL_is_init_finished(ssl));
        if (another_handshake) {
                ask_for_another_handshake(tls, ssl, in, out);
                goto out;
        }
        n = tls_seal(tls, span_of_string("ours to libssl"), bytes, sizeof(bytes));
        BIO_write(in, bytes, (int)n);
        assert_int_equal(SSL_read(ssl, text, sizeof(text)), 14);
        assert_memory_equal(text, "ours to libssl", 14);
        for (int i = 0; i < 300; i++) { /* all lengths of padding */
                static uint8_t long_text[300];

                assert_true(i == 0 || SSL_write(ssl, long_text, i) == i);
                r = BIO_read(out, bytes, sizeof(bytes));
                tls_receive(tls, 0, bytes, r > 0 ? (size_t)r : 0);
                assert_int_equal(tls_next(tls, 0, &data), i > 0);
                assert_true(!i || data.n == (size_t)i);
        }
        SSL_shutdown(ssl);
        r = BIO_read(out, bytes, sizeof(bytes));
        tls_receive(tls, 0, bytes, (size_t)r);
        assert_false(tls_next(tls, 0, &data));
        assert_int_equal(tls->failure, TLS_FAILURE_BYE);
out:
        tls_free(tls);
        SSL_free(ssl);
        SSL_CTX_free(ctx);
}

static void libssl_understands_us(void **state) {
        for (unsigned i = 0; i < 4; i++)
                with_libssl(i & 1, i & 2, false);
}

static void renegotiation_is_refused(void **state) {
        for (unsigned i = 0; i < 4; i++)
                with_libssl(i & 1, i & 2, true);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(both_sides_come_to_the_same),
                cmocka_unit_test(a_wrong_key_is_told_at_the_end),
                cmocka_unit_test(a_client_wants_the_device_that_it_meant),
                cmocka_unit_test(who_says_nothing_is_given_up),
                cmocka_unit_test(a_record_is_heard_once),
                cmocka_unit_test(forged_records_are_nothing),
                cmocka_unit_test(a_forged_number_moves_nothing),
                cmocka_unit_test(clear_words_do_not_end_a_session),
                cmocka_unit_test(broken_handshakes_only_fail),
                cmocka_unit_test(broken_flights_of_a_server_only_fail),
                cmocka_unit_test(broken_hellos_only_fail),
                cmocka_unit_test(a_cookie_is_for_one_address),
                cmocka_unit_test(libssl_understands_us),
                cmocka_unit_test(renegotiation_is_refused),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
