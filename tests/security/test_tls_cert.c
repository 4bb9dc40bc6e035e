/*
 * libssl as an engine: both roles, each suite, over datagrams and connections,
 * with losses; who shows what, and who is let in.
 */
#include "pki.h"

#include "base/memory.h"
#include "security/tls_cert.h"
#include "security/tls_hello.h"

#include <errno.h>

#define SERVER "11111111-2222-4333-8444-555555555555"
#define CLIENT "99999999-2222-4333-8444-555555555555"

static struct pki_one root, other_root, intermediate, server, client;
static struct uuid server_id, client_id;

static int setup(void **state) {
        const struct pki_what s = { .cn = "uuid:" SERVER }, c = { .cn = "uuid:" CLIENT };

        pki_authority(&root, "Root", NULL);
        pki_authority(&other_root, "Root", NULL);
        pki_authority(&intermediate, "Between", &root);
        pki_make(&server, &s, &root, NULL);
        pki_make(&client, &c, &intermediate, NULL);
        assert_true(uuid_parse(&server_id, span_of_string(SERVER)));
        assert_true(uuid_parse(&client_id, span_of_string(CLIENT)));
        return 0;
}

static int teardown(void **state) {
        pki_free(&root);
        pki_free(&other_root);
        pki_free(&intermediate);
        pki_free(&server);
        pki_free(&client);
        return 0;
}

static struct tls_cert_context *context_of(const struct pki_one *one, const char *more,
                                           const struct tls_cert_trust *trust, bool ask_peer) {
        char chain[8192];
        struct tls_cert_identity identity = {
                .key = one->key, .trust = trust, .n_trust = 1, .ask_peer = ask_peer
        };
        struct tls_cert_context *c;

        snprintf(chain, sizeof(chain), "%s%s", one->pem, more);
        identity.chain = span_of_string(chain);
        assert_int_equal(tls_cert_context_new(&c, &identity), 0);
        return c;
}

struct pair {
        struct tls *client, *server;
        bool through;
        unsigned lose, n;
        uint64_t now_ms;
        char heard[2][64];
};

static uint8_t secret[TLS_COOKIE_SECRET] = { 5 };

static void hear(struct pair *p, struct tls *to, uint8_t *bytes, size_t n) {
        char *heard = p->heard[to == p->server];
        struct span data;

        tls_receive(to, p->now_ms, bytes, n);
        while (tls_next(to, p->now_ms, &data)) {
                memcpy(heard, data.data, data.n);
                heard[data.n] = 0;
        }
}

static void carry(struct pair *p, struct tls *from, uint8_t *bytes, size_t n) {
        struct tls_hello hello;
        uint8_t cookie[TLS_COOKIE], answer[TLS_HELLO_VERIFY_MAX];

        if (p->lose && ++p->n % p->lose == 0)
                return;
        if (from == p->client && !p->client->stream && !p->through) {
                if (tls_hello_read(&hello, false, span_of(bytes, n)))
                        return;
                p->through = tls_cookie_is(&hello, SPAN_LITERAL("me"), secret);
                if (!p->through) {
                        tls_cookie_make(&hello, SPAN_LITERAL("me"), secret, cookie);
                        n = tls_hello_verify(cookie, span_of(bytes, n), answer, sizeof(answer));
                        hear(p, p->client, answer, n);
                        return;
                }
        }
        hear(p, from == p->client ? p->server : p->client, bytes, n);
}

static void run(struct pair *p) {
        static uint8_t bytes[TLS_RECORD_MAX];

        for (unsigned i = 0; i < 200; i++) {
                struct tls *const sides[] = { p->client, p->server };
                bool any = false;
                size_t n;

                for (size_t j = 0; j < 2; j++)
                        while ((n = tls_transmit(sides[j], p->now_ms, bytes, sizeof(bytes))) > 0) {
                                any = true;
                                carry(p, sides[j], bytes, n);
                        }
                if (any)
                        continue;
                if (p->client->state != TLS_HANDSHAKE && p->server->state != TLS_HANDSHAKE)
                        return;
                return; /* its clock is libssl's: see a_lost_flight_comes_again */
        }
}

static void begin(struct pair *p, struct tls_cert_context *c, struct tls_cert_context *s, bool stream,
                  uint16_t suite) {
        const struct tls_cert_config client_config = {
                .context = c, .client = true, .stream = stream, .suite = suite, .wall_s = PKI_NOW
        };
        const struct tls_cert_config server_config = {
                .context = s, .stream = stream, .suite = suite, .wall_s = PKI_NOW
        };

        *p = (struct pair){ .now_ms = 1000 };
        assert_int_equal(tls_cert_new(&p->client, &client_config, p->now_ms), 0);
        assert_int_equal(tls_cert_new(&p->server, &server_config, p->now_ms), 0);
}

static void end(struct pair *p) {
        tls_free(p->client);
        tls_free(p->server);
}

static const uint16_t suites[] = {
        TLS_ECDHE_ECDSA_AES_128_CCM_8,      TLS_ECDHE_ECDSA_AES_128_CCM,
        TLS_ECDHE_ECDSA_AES_256_CCM_8,      TLS_ECDHE_ECDSA_AES_256_CCM,
        TLS_ECDHE_ECDSA_AES_128_GCM_SHA256, TLS_ECDHE_ECDSA_AES_256_GCM_SHA384,
        TLS_ECDHE_ECDSA_AES_128_CBC_SHA256, TLS_ECDHE_ECDSA_AES_256_CBC_SHA384,
};

static void each_suite_both_ways(void **state) {
        const struct tls_cert_trust trust = { .pem = span_of_string(root.pem),
                                              .any_subject = true,
                                              .credid = 7 };
        struct tls_cert_context *c = context_of(&client, intermediate.pem, &trust, true);
        struct tls_cert_context *s = context_of(&server, "", &trust, true);

        for (size_t i = 0; i < 2 * ARRAY_SIZE(suites); i++) {
                struct tls_secrets of_client, of_server;
                struct tls_cert_peer peer;
                uint8_t bytes[256];
                struct pair p;
                size_t n;

                begin(&p, c, s, i % 2, suites[i / 2]);
                run(&p);
                if (p.client->state != TLS_OPEN || p.server->state != TLS_OPEN)
                        fail_msg("%zu: client %s, server %s", i, p.client->problem, p.server->problem);
                assert_int_equal(p.server->suite, suites[i / 2]);
                assert_int_equal(p.client->suite, suites[i / 2]);
                n = tls_seal(p.client, SPAN_LITERAL("question"), bytes, sizeof(bytes));
                hear(&p, p.server, bytes, n);
                assert_string_equal(p.heard[1], "question");
                n = tls_seal(p.server, SPAN_LITERAL("answer"), bytes, sizeof(bytes));
                hear(&p, p.client, bytes, n);
                assert_string_equal(p.heard[0], "answer");
                tls_cert_peer(p.server, &peer);
                assert_true(uuid_equal(&peer.id, &client_id));
                assert_int_equal(peer.credid, 7);
                assert_true(certificate_has_key(peer.leaf, client.key));
                tls_cert_peer(p.client, &peer);
                assert_true(uuid_equal(&peer.id, &server_id));
                assert_true(tls_secrets(p.client, &of_client) && tls_secrets(p.server, &of_server));
                assert_memory_equal(&of_client, &of_server, sizeof(of_client));
                tls_close(p.client);
                run(&p);
                assert_int_equal(p.server->failure, TLS_FAILURE_BYE);
                end(&p);
        }
        tls_cert_context_unref(c);
        tls_cert_context_unref(s);
}

/* A stranger who knows addresses and numbers, and has no key: over datagrams nothing comes of what he sends,
 * whatever the suite, and whichever of the two he sends it to. */
static void a_forged_record_ends_nothing(void **state) {
        const struct tls_cert_trust trust = { .pem = span_of_string(root.pem), .any_subject = true };
        struct tls_cert_context *c = context_of(&client, intermediate.pem, &trust, true);
        struct tls_cert_context *s = context_of(&server, "", &trust, true);

        for (size_t i = 0; i < 2 * ARRAY_SIZE(suites); i++) {
                uint8_t bytes[256], forged[256];
                struct tls *from, *to;
                struct pair p;
                size_t n;

                begin(&p, c, s, false, suites[i / 2]);
                run(&p);
                from = i % 2 ? p.server : p.client;
                to = i % 2 ? p.client : p.server;
                n = tls_seal(from, SPAN_LITERAL("genuine"), bytes, sizeof(bytes));
                for (size_t at = 13; at < n; at++) {
                        memcpy(forged, bytes, n);
                        forged[at] ^= 0x10;
                        hear(&p, to, forged, n);
                        if (to->state != TLS_OPEN)
                                fail_msg("%04x, byte %zu: %s", suites[i / 2], at, to->problem);
                }
                hear(&p, to, bytes, n);
                assert_string_equal(p.heard[to == p.server], "genuine");
                end(&p);
        }
        tls_cert_context_unref(c);
        tls_cert_context_unref(s);
}

/* Whom the server lets in, and why not. */
static void who_is_let_in(void **state) {
        const struct tls_cert_trust any = { .pem = span_of_string(root.pem), .any_subject = true };
        const struct tls_cert_trust just_client = { .pem = span_of_string(root.pem), .subject = client_id };
        const struct tls_cert_trust just_other = { .pem = span_of_string(root.pem), .subject = server_id };
        const struct tls_cert_trust other = { .pem = span_of_string(other_root.pem), .any_subject = true };
        const struct {
                const struct tls_cert_trust *trust;
                bool opens;
        } rows[] = { { &any, true }, { &just_client, true }, { &just_other, false }, { &other, false } };
        struct tls_cert_context *c = context_of(&client, intermediate.pem, &any, true);

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct tls_cert_context *s = context_of(&server, "", rows[i].trust, true);
                struct pair p;

                begin(&p, c, s, false, TLS_ECDHE_ECDSA_AES_128_CCM_8);
                run(&p);
                assert_int_equal(p.server->state, rows[i].opens ? TLS_OPEN : TLS_CLOSED);
                if (!rows[i].opens) {
                        assert_int_equal(p.server->failure, TLS_FAILURE_CERTIFICATE);
                        assert_non_null(p.server->problem);
                        assert_int_equal(p.client->failure, TLS_FAILURE_ALERT);
                }
                end(&p);
                tls_cert_context_unref(s);
        }
        tls_cert_context_unref(c);
}

/* security.md 4.3: while ownership is taken the tool is not asked for a certificate. */
static void in_a_transfer_nobody_is_asked(void **state) {
        const struct tls_cert_trust any = { .pem = span_of_string(root.pem), .any_subject = true };
        const struct pki_what lamp = { .cn = "Lamp 3000" };
        struct tls_cert_context *c, *s;
        struct tls_cert_identity tool = { .trust = &any, .n_trust = 1, .manufacturer = true };
        struct tls_cert_peer peer;
        struct pki_one device;
        struct pair p;

        pki_make(&device, &lamp, &root, NULL);
        tool.chain = span_of_string(client.pem);
        tool.key = client.key;
        assert_int_equal(tls_cert_context_new(&c, &tool), 0);
        s = context_of(&device, "", &any, false);
        begin(&p, c, s, false, TLS_ECDHE_ECDSA_AES_128_CCM_8);
        run(&p);
        assert_int_equal(p.server->state, TLS_OPEN);
        assert_int_equal(p.client->state, TLS_OPEN);
        tls_cert_peer(p.server, &peer);
        assert_true(uuid_is_nil(&peer.id));
        assert_null(peer.leaf);
        tls_cert_peer(p.client, &peer);
        assert_true(uuid_is_nil(&peer.id));
        assert_non_null(peer.leaf);
        end(&p);
        pki_free(&device);
        tls_cert_context_unref(c);
        tls_cert_context_unref(s);
}

static void a_key_that_is_not_its_own_is_no_identity(void **state) {
        struct tls_cert_identity wrong = { .chain = span_of_string(server.pem), .key = client.key };
        struct tls_cert_identity none = { .chain = span_of_string("nothing"), .key = client.key };
        struct tls_cert_context *c;

        assert_int_equal(tls_cert_context_new(&c, &wrong), -EINVAL);
        assert_int_equal(tls_cert_context_new(&c, &none), -EINVAL);
}

static void what_is_cut_off_or_changed_only_fails(void **state) {
        const struct tls_cert_trust any = { .pem = span_of_string(root.pem), .any_subject = true };
        struct tls_cert_context *c = context_of(&client, intermediate.pem, &any, true);
        struct tls_cert_context *s = context_of(&server, "", &any, true);

        for (size_t i = 0; i < 400; i++) {
                static uint8_t bytes[TLS_RECORD_MAX];
                struct pair p;
                unsigned n_sent = 0;
                size_t n;

                begin(&p, c, s, false, TLS_ECDHE_ECDSA_AES_128_CCM_8);
                for (unsigned turn = 0; turn < 12; turn++) {
                        struct tls *const sides[] = { p.client, p.server };

                        while ((n = tls_transmit(sides[turn % 2], p.now_ms, bytes, sizeof(bytes))) > 0) {
                                if (++n_sent > 2 && n_sent % 3 == i % 3)
                                        bytes[(i * 37) % n] ^= (uint8_t)(1 + i % 255);
                                if (p.through || turn % 2 || n_sent <= 2)
                                        carry(&p, sides[turn % 2], bytes, i % 5 ? n : n - 1);
                        }
                }
                end(&p);
        }
        tls_cert_context_unref(c);
        tls_cert_context_unref(s);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(each_suite_both_ways),
                cmocka_unit_test(a_forged_record_ends_nothing),
                cmocka_unit_test(who_is_let_in),
                cmocka_unit_test(in_a_transfer_nobody_is_asked),
                cmocka_unit_test(a_key_that_is_not_its_own_is_no_identity),
                cmocka_unit_test(what_is_cut_off_or_changed_only_fails),
        };

        return cmocka_run_group_tests(tests, setup, teardown);
}
