/*
 * A key that takes its time: the steps of the handshake are work that somebody
 * else runs, and in the meantime anything may come, or it may end.
 */
#include "pki.h"

#include "base/memory.h"
#include "security/tls_cert.h"
#include "security/tls_hello.h"

#include <pthread.h>

#define SUITE TLS_ECDHE_ECDSA_AES_128_CCM_8

static struct pki_one root, device;
static struct tls_cert_context *tool, *quick, *slow;
static uint8_t bytes[TLS_RECORD_MAX];

static int setup(void **state) {
        static struct tls_cert_trust trust;
        const struct pki_what lamp = { .cn = "Lamp 3000" };
        struct tls_cert_identity identity = { 0 };

        pki_authority(&root, "Root", NULL);
        pki_make(&device, &lamp, &root, NULL);
        trust = (struct tls_cert_trust){ .pem = span_of_string(root.pem), .any_subject = true };
        identity.chain = span_of_string(device.pem);
        identity.key = device.key;
        assert_int_equal(tls_cert_context_new(&quick, &identity), 0);
        identity.is_slow = true;
        assert_int_equal(tls_cert_context_new(&slow, &identity), 0);
        identity.trust = &trust;
        identity.n_trust = 1;
        identity.is_slow = false;
        identity.manufacturer = true;
        assert_int_equal(tls_cert_context_new(&tool, &identity), 0);
        return 0;
}

static int teardown(void **state) {
        tls_cert_context_unref(tool);
        tls_cert_context_unref(quick);
        tls_cert_context_unref(slow);
        pki_free(&root);
        pki_free(&device);
        return 0;
}

struct pair {
        struct tls *client, *server;
        bool through;
        unsigned n_works;
        uint64_t now_ms;
        char heard[2][64];
};

static void begin(struct pair *p, bool stream, struct tls_cert_context *c, struct tls_cert_context *s) {
        const struct tls_cert_config client = {
                .context = c, .client = true, .stream = stream, .wall_s = PKI_NOW
        };
        const struct tls_cert_config server = {
                .context = s, .stream = stream, .suite = SUITE, .wall_s = PKI_NOW
        };

        *p = (struct pair){ .now_ms = 1000 };
        assert_int_equal(tls_cert_new(&p->client, &client, p->now_ms), 0);
        assert_int_equal(tls_cert_new(&p->server, &server, p->now_ms), 0);
}

static void end(struct pair *p) {
        tls_free(p->client);
        tls_free(p->server);
}

static void pop(struct pair *p, struct tls *t) {
        struct span data;

        while (tls_next(t, p->now_ms, &data))
                strncat(p->heard[t == p->server], (const char *)data.data, data.n);
}

static void hear(struct pair *p, struct tls *t, uint8_t *data, size_t n) {
        tls_receive(t, p->now_ms, data, n);
        pop(p, t);
}

static void to_server(struct pair *p, uint8_t *data, size_t n) {
        static const uint8_t secret[TLS_COOKIE_SECRET] = { 5 };
        uint8_t cookie[TLS_COOKIE], answer[TLS_HELLO_VERIFY_MAX];
        struct tls_hello hello;

        if (p->server->stream || p->through) {
                hear(p, p->server, data, n);
                return;
        }
        assert_int_equal(tls_hello_read(&hello, false, span_of(data, n)), 0);
        p->through = tls_cookie_is(&hello, SPAN_LITERAL("me"), secret);
        if (p->through) {
                hear(p, p->server, data, n);
                return;
        }
        tls_cookie_make(&hello, SPAN_LITERAL("me"), secret, cookie);
        n = tls_hello_verify(cookie, span_of(data, n), answer, sizeof(answer));
        hear(p, p->client, answer, n);
}

/* Carries until nobody says anything. */
static void carry(struct pair *p) {
        bool any = true;
        size_t n;

        while (any) {
                any = false;
                while ((n = tls_transmit(p->client, p->now_ms, bytes, sizeof(bytes))) > 0) {
                        any = true;
                        to_server(p, bytes, n);
                }
                while ((n = tls_transmit(p->server, p->now_ms, bytes, sizeof(bytes))) > 0) {
                        any = true;
                        hear(p, p->client, bytes, n);
                }
        }
}

static void *work(void *t) {
        tls_work_run(t);
        return NULL;
}

static void begin_work(struct pair *p, struct tls *t) {
        assert_true(t->has_work);
        tls_work_begin(t);
        assert_false(t->has_work);
        p->n_works++;
}

static void run_work(struct tls *t) {
        pthread_t thread;

        assert_int_equal(pthread_create(&thread, NULL, work, t), 0);
        pthread_join(thread, NULL);
}

static void do_works(struct pair *p, struct tls *t) {
        carry(p);
        while (t->has_work) {
                begin_work(p, t);
                run_work(t);
                assert_ptr_equal(tls_work_done(t, p->now_ms), t);
                pop(p, t);
                carry(p);
        }
}

static void say(struct pair *p, struct tls *from, struct span text) {
        size_t n = tls_seal(from, text, bytes, sizeof(bytes));

        assert_true(n > 0);
        hear(p, from == p->client ? p->server : p->client, bytes, n);
}

static void both_speak(struct pair *p) {
        assert_int_equal(p->client->state, TLS_OPEN);
        assert_int_equal(p->server->state, TLS_OPEN);
        assert_int_equal(p->server->suite, SUITE);
        say(p, p->client, SPAN_LITERAL("question"));
        say(p, p->server, SPAN_LITERAL("answer"));
        assert_string_equal(p->heard[1], "question");
        assert_string_equal(p->heard[0], "answer");
}

static void a_handshake_is_done_by_works(void **state) {
        for (unsigned stream = 0; stream < 2; stream++) {
                struct pair p;

                begin(&p, stream, tool, slow);
                do_works(&p, p.server);
                both_speak(&p);
                assert_in_range(p.n_works, 2, 8);
                assert_false(p.server->has_work);
                tls_close(p.client);
                carry(&p);
                assert_int_equal(p.server->failure, TLS_FAILURE_BYE);
                end(&p);
        }
}

static void a_quick_key_has_none(void **state) {
        struct pair p;

        begin(&p, false, tool, quick);
        carry(&p);
        assert_false(p.server->has_work || p.client->has_work);
        both_speak(&p);
        end(&p);
}

static void a_client_may_be_slow_as_well(void **state) {
        struct tls_cert_trust trust = { .pem = span_of_string(root.pem), .any_subject = true };
        struct tls_cert_identity identity = { .chain = span_of_string(device.pem),
                                              .key = device.key,
                                              .trust = &trust,
                                              .n_trust = 1,
                                              .manufacturer = true,
                                              .is_slow = true };
        struct tls_cert_context *c;

        assert_int_equal(tls_cert_context_new(&c, &identity), 0);
        for (unsigned stream = 0; stream < 2; stream++) {
                struct pair p;

                begin(&p, stream, c, quick);
                do_works(&p, p.client);
                both_speak(&p);
                assert_true(p.n_works > 0);
                end(&p);
        }
        tls_cert_context_unref(c);
}

/* As far as the first work, which is the one that signs. */
static void as_far_as_the_signature(struct pair *p, bool stream) {
        begin(p, stream, tool, slow);
        carry(p);
        begin_work(p, p->server);
}

/* Nothing but the work touches the association; what comes is read afterwards. */
static void what_comes_meanwhile_is_kept(void **state) {
        struct pair p;
        uint8_t again[TLS_RECORD_MAX];
        size_t n;

        as_far_as_the_signature(&p, false);
        for (unsigned i = 0; i < 3; i++)
                hear(&p, p.server, (uint8_t[]){ "no record at all" }, 16);
        assert_int_equal(tls_transmit(p.server, p.now_ms, bytes, sizeof(bytes)), 0);
        assert_int_equal(tls_seal(p.server, SPAN_LITERAL("too early"), bytes, sizeof(bytes)), 0);
        assert_false(p.server->has_work);
        run_work(p.server);
        assert_int_equal(tls_transmit(p.server, p.now_ms, bytes, sizeof(bytes)), 0);
        assert_ptr_equal(tls_work_done(p.server, p.now_ms), p.server);
        pop(&p, p.server);
        assert_true(p.server->has_work); /* what was kept */

        /* Its flight is there, and goes to the client while the next work is under way. */
        n = tls_transmit(p.server, p.now_ms, again, sizeof(again));
        assert_true(n > 0);
        hear(&p, p.client, again, n);
        do_works(&p, p.server);
        both_speak(&p);
        end(&p);
}

/* The client's last flight comes in pieces, each while the piece before is worked on; and what it says then
 * as well. */
static void a_connection_loses_no_byte(void **state) {
        uint8_t flight[TLS_RECORD_MAX];
        struct pair p;
        size_t n, n_all = 0;

        as_far_as_the_signature(&p, true);
        run_work(p.server);
        tls_work_done(p.server, p.now_ms);
        while ((n = tls_transmit(p.server, p.now_ms, bytes, sizeof(bytes))) > 0)
                hear(&p, p.client, bytes, n);
        while ((n = tls_transmit(p.client, p.now_ms, flight + n_all, TLS_RECORD_MAX)) > 0) {
                n_all += n;
                assert_true(n_all < 2000);
        }
        hear(&p, p.server, flight, 1);
        for (size_t i = 1; i < n_all; i++) {
                if (p.server->has_work)
                        begin_work(&p, p.server);
                hear(&p, p.server, flight + i, 1);
                if (i % 7 && i + 1 < n_all)
                        continue;
                run_work(p.server);
                tls_work_done(p.server, p.now_ms);
                pop(&p, p.server);
        }
        do_works(&p, p.server);
        both_speak(&p);
        end(&p);
}

/* With the last byte of the handshake comes what the client says next: it waits with it. */
static void data_behind_the_handshake_is_read(void **state) {
        struct tls_cert_trust trust = { .pem = span_of_string(root.pem), .any_subject = true };
        struct tls_cert_identity identity = { .chain = span_of_string(device.pem),
                                              .key = device.key,
                                              .trust = &trust,
                                              .n_trust = 1,
                                              .manufacturer = true,
                                              .is_slow = true };
        struct tls_cert_context *c;

        assert_int_equal(tls_cert_context_new(&c, &identity), 0);
        for (unsigned stream = 0; stream < 2; stream++) {
                struct pair p;
                size_t n;

                /* The client is the slow one: the server is open first, and speaks at once. */
                begin(&p, stream, c, quick);
                carry(&p);
                while (p.server->state == TLS_HANDSHAKE) {
                        if (p.client->has_work) {
                                begin_work(&p, p.client);
                                run_work(p.client);
                                tls_work_done(p.client, p.now_ms);
                                pop(&p, p.client);
                        }
                        while ((n = tls_transmit(p.client, p.now_ms, bytes, sizeof(bytes))) > 0)
                                to_server(&p, bytes, n);
                        if (p.server->state == TLS_HANDSHAKE)
                                carry(&p);
                }
                while ((n = tls_transmit(p.server, p.now_ms, bytes, sizeof(bytes))) > 0)
                        hear(&p, p.client, bytes, n);
                assert_int_equal(p.client->state, TLS_HANDSHAKE);
                say(&p, p.server, SPAN_LITERAL("one "));
                begin_work(&p, p.client);
                say(&p, p.server, SPAN_LITERAL("two"));
                run_work(p.client);
                tls_work_done(p.client, p.now_ms);
                pop(&p, p.client);
                do_works(&p, p.client);
                assert_int_equal(p.client->state, TLS_OPEN);
                assert_string_equal(p.heard[0], "one two");
                end(&p);
        }
        tls_cert_context_unref(c);
}

static void what_is_kept_is_bounded(void **state) {
        static uint8_t much[4096];
        struct pair p;

        as_far_as_the_signature(&p, false);
        for (unsigned i = 0; i < 1000; i++)
                hear(&p, p.server, much, sizeof(much));
        assert_int_equal(p.server->state, TLS_HANDSHAKE);
        run_work(p.server);
        tls_work_done(p.server, p.now_ms);
        pop(&p, p.server);
        do_works(&p, p.server);
        assert_in_range(p.n_works, 3, 16);
        both_speak(&p);
        end(&p);

        as_far_as_the_signature(&p, true);
        for (unsigned i = 0; i < 1000; i++)
                hear(&p, p.server, much, sizeof(much));
        assert_int_equal(p.server->state, TLS_CLOSED);
        assert_int_equal(p.server->failure, TLS_FAILURE_PROTOCOL);
        run_work(p.server);
        assert_ptr_equal(tls_work_done(p.server, p.now_ms), p.server);
        assert_int_equal(p.server->state, TLS_CLOSED);
        assert_int_equal(p.server->failure, TLS_FAILURE_PROTOCOL);
        end(&p);
}

static void closed_and_freed_meanwhile(void **state) {
        for (unsigned i = 0; i < 4; i++) {
                struct pair p;

                as_far_as_the_signature(&p, i % 2);
                if (i < 2)
                        tls_close(p.server);
                assert_null(tls_free(p.server)); /* and is there until the work is done */
                run_work(p.server);
                assert_null(tls_work_done(p.server, p.now_ms));
                p.server = NULL;
                end(&p);
        }
}

/* A daemon that stops: the work was never run. */
static void a_work_that_is_not_run(void **state) {
        struct pair p;

        as_far_as_the_signature(&p, false);
        assert_ptr_equal(tls_work_done(p.server, p.now_ms), p.server);
        pop(&p, p.server);
        assert_int_equal(p.server->state, TLS_HANDSHAKE);
        do_works(&p, p.server); /* it is still there to be read */
        both_speak(&p);
        end(&p);
}

static void too_slow_is_a_timeout(void **state) {
        struct pair p;

        as_far_as_the_signature(&p, false);
        assert_int_equal(p.server->deadline_ms, 1000 + 30000);
        p.now_ms = p.server->deadline_ms;
        assert_int_equal(tls_transmit(p.server, p.now_ms, bytes, sizeof(bytes)), 0);
        assert_int_equal(p.server->state, TLS_CLOSED);
        assert_int_equal(p.server->failure, TLS_FAILURE_TIMEOUT);
        run_work(p.server);
        assert_ptr_equal(tls_work_done(p.server, p.now_ms), p.server);
        assert_int_equal(p.server->failure, TLS_FAILURE_TIMEOUT);
        assert_int_equal(tls_transmit(p.server, p.now_ms, bytes, sizeof(bytes)), 0);
        end(&p);
}

/* The step itself fails: who came has nothing in common with us, or is not believed. */
static void a_step_that_fails(void **state) {
        struct tls_cert_identity asks = {
                .chain = span_of_string(device.pem), .key = device.key, .ask_peer = true, .is_slow = true
        };
        struct tls_cert_context *s;
        struct pair p;

        assert_int_equal(tls_cert_context_new(&s, &asks), 0); /* it believes nobody */
        begin(&p, false, tool, s);
        do_works(&p, p.server);
        assert_int_equal(p.server->state, TLS_CLOSED);
        assert_int_equal(p.server->failure, TLS_FAILURE_CERTIFICATE);
        assert_non_null(p.server->problem);
        assert_int_equal(p.client->failure, TLS_FAILURE_ALERT); /* and is told */
        end(&p);

        begin(&p, true, tool, slow);
        hear(&p, p.server, (uint8_t[]){ "GET / HTTP/1.1\r\n\r\n" }, 18);
        begin_work(&p, p.server);
        run_work(p.server);
        tls_work_done(p.server, p.now_ms);
        assert_int_equal(p.server->state, TLS_CLOSED);
        assert_int_equal(p.server->failure, TLS_FAILURE_PROTOCOL);
        end(&p);
        tls_cert_context_unref(s);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_handshake_is_done_by_works),
                cmocka_unit_test(a_quick_key_has_none),
                cmocka_unit_test(a_client_may_be_slow_as_well),
                cmocka_unit_test(what_comes_meanwhile_is_kept),
                cmocka_unit_test(a_connection_loses_no_byte),
                cmocka_unit_test(data_behind_the_handshake_is_read),
                cmocka_unit_test(what_is_kept_is_bounded),
                cmocka_unit_test(closed_and_freed_meanwhile),
                cmocka_unit_test(a_work_that_is_not_run),
                cmocka_unit_test(too_slow_is_a_timeout),
                cmocka_unit_test(a_step_that_fails),
        };

        return cmocka_run_group_tests(tests, setup, teardown);
}
