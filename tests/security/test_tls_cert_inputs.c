/*
 * Certificates that strangers show, by name (users.md 3, D): to us as a server
 * and to us as a client. None of them opens anything, none is remembered, and
 * none costs what is not given back.
 */
#include "cert_pair.h"

#include "base/memory.h"

#include <malloc.h>

#define SERVER "11111111-2222-4333-8444-555555555555"
#define CLIENT "99999999-2222-4333-8444-555555555555"
#define NAME   "uuid:" CLIENT

static struct pki_one root, other_root, server, client;

static int setup(void **state) {
        const struct pki_what s = { .cn = "uuid:" SERVER }, c = { .cn = NAME };

        pki_authority(&root, "Root", NULL);
        pki_authority(&other_root, "Root", NULL);
        pki_make(&server, &s, &root, NULL);
        pki_make(&client, &c, &root, NULL);
        return 0;
}

static int teardown(void **state) {
        pki_free(&root);
        pki_free(&other_root);
        pki_free(&server);
        pki_free(&client);
        return 0;
}

/* A leaf and what is shown with it. */
struct shown {
        struct pki_one leaf;
        char chain[120000];
};

static void show(struct shown *s, const char *more) {
        size_t n = strlen(s->chain);

        snprintf(s->chain + n, sizeof(s->chain) - n, "%s", more);
}

static void show_leaf(struct shown *s, const struct pki_what *what, const struct pki_one *issuer,
                      EVP_PKEY *key) {
        pki_make(&s->leaf, what, issuer, key);
        s->chain[0] = 0;
        show(s, s->leaf.pem);
}

static const struct pki_what good = { .cn = NAME };

/* With so many authorities between it and the root. */
static void in_a_chain_of(struct shown *s, unsigned n_between) {
        struct pki_one between[16];

        for (unsigned i = 0; i < n_between; i++) {
                char name[16];

                snprintf(name, sizeof(name), "Between %u", i);
                pki_authority(&between[i], name, i ? &between[i - 1] : &root);
        }
        show_leaf(s, &good, n_between ? &between[n_between - 1] : &root, NULL);
        for (unsigned i = n_between; i-- > 0;) {
                show(s, between[i].pem);
                pki_free(&between[i]);
        }
}

static void of_one_alone(struct shown *s) {
        in_a_chain_of(s, 0);
}

static void of_three(struct shown *s) {
        in_a_chain_of(s, 2);
}

static void of_ten(struct shown *s) {
        in_a_chain_of(s, 9);
}

static void with_its_root(struct shown *s) {
        in_a_chain_of(s, 1);
        show(s, root.pem);
}

/* 64 KiB of it, though its beginning would do. */
static void of_64_kib(struct shown *s) {
        in_a_chain_of(s, 1);
        while (strlen(s->chain) < 90000) /* it is a third longer than it is on the wire */
                show(s, other_root.pem);
}

static void without_the_one_between(struct shown *s) {
        in_a_chain_of(s, 1);
        s->chain[strlen(s->leaf.pem)] = 0;
}

static void of_one_that_is_no_authority(struct shown *s) {
        show_leaf(s, &good, &client, NULL);
        show(s, client.pem);
}

static void of_an_authority_that_may_have_none_below(struct shown *s) {
        const struct pki_what first = { .cn = "First",
                                        .usage = "critical,keyCertSign",
                                        .extended = "",
                                        .basic = "critical,CA:TRUE,pathlen:0" };
        struct pki_one a, b;

        pki_make(&a, &first, &root, NULL);
        pki_authority(&b, "Second", &a);
        show_leaf(s, &good, &b, NULL);
        show(s, b.pem);
        show(s, a.pem);
        pki_free(&a);
        pki_free(&b);
}

static void of_an_authority_that_has_expired(struct shown *s) {
        const struct pki_what what = { .cn = "Old",
                                       .usage = "critical,keyCertSign",
                                       .extended = "",
                                       .basic = "critical,CA:TRUE",
                                       .until_s = PKI_NOW - 10 };
        struct pki_one a;

        pki_make(&a, &what, &root, NULL);
        show_leaf(s, &good, &a, NULL);
        show(s, a.pem);
        pki_free(&a);
}

static void of_an_authority_that_may_not_sign(struct shown *s) {
        const struct pki_what what = { .cn = "Mute",
                                       .usage = "critical,digitalSignature",
                                       .extended = "",
                                       .basic = "critical,CA:TRUE" };
        struct pki_one a;

        pki_make(&a, &what, &root, NULL);
        show_leaf(s, &good, &a, NULL);
        show(s, a.pem);
        pki_free(&a);
}

static void of_another_root_of_that_name(struct shown *s) {
        show_leaf(s, &good, &other_root, NULL);
        show(s, other_root.pem);
}

static void by_itself(struct shown *s) {
        show_leaf(s, &good, NULL, NULL);
}

static void with_key(struct shown *s, EVP_PKEY *key) {
        assert_non_null(key);
        show_leaf(s, &good, &root, key);
        EVP_PKEY_free(key);
}

static void with_an_rsa_key(struct shown *s) {
        with_key(s, EVP_RSA_gen(2048));
}

static void with_a_key_on_p384(struct shown *s) {
        with_key(s, EVP_EC_gen("P-384"));
}

static void with_a_key_on_p521(struct shown *s) {
        with_key(s, EVP_EC_gen("P-521"));
}

#define WHAT(function, ...)                                                                                  \
        static void function(struct shown *s) {                                                              \
                const struct pki_what what = { __VA_ARGS__ };                                                \
                                                                                                             \
                show_leaf(s, &what, &root, NULL);                                                            \
        }
WHAT(expired, .cn = NAME, .until_s = PKI_NOW - 10)
WHAT(not_valid_yet, .cn = NAME, .from_s = PKI_NOW + 10)
WHAT(without_extended_usage, .cn = NAME, .extended = "")
WHAT(for_servers_of_the_web, .cn = NAME, .extended = "serverAuth,clientAuth")
WHAT(for_another_usage_of_ocf, .cn = NAME, .extended = "serverAuth,clientAuth,1.3.6.1.4.1.44924.1.8")
WHAT(for_a_role, .cn = NAME, .extended = "serverAuth,clientAuth," PKI_ROLE, .role = "keeper")
WHAT(for_anything, .cn = NAME, .extended = PKI_IDENTITY ",anyExtendedKeyUsage")
WHAT(with_an_authoritys_usage, .cn = NAME, .usage = "critical,digitalSignature,keyAgreement,keyCertSign")
WHAT(that_is_an_authority, .cn = NAME, .basic = "critical,CA:TRUE",
     .usage = "critical,keyCertSign,digitalSignature")
WHAT(without_a_uuid, .cn = "Lamp 3000")
WHAT(without_the_word, .cn = CLIENT)
WHAT(with_more_than_a_uuid, .cn = NAME "0")
WHAT(with_two_uuids, .cn = NAME, .cn2 = "uuid:" SERVER)
WHAT(with_a_zero_in_its_name, .cn = NAME "\0x", .n_cn = sizeof(NAME) + 1)
WHAT(without_a_name, .cn = NULL)
WHAT(of_nobody, .cn = "uuid:00000000-0000-0000-0000-000000000000")
WHAT(of_version_1, .cn = NAME, .version = 1)

static const struct {
        const char *name;
        void (*make)(struct shown *s);
        bool opens;
} rows[] = {
#define ROW(function, opens)                                                                                 \
        { #function, function, opens }
        ROW(of_one_alone, true),
        ROW(of_three, true),
        ROW(with_its_root, true),
        ROW(of_ten, false),
        ROW(of_64_kib, false),
        ROW(without_the_one_between, false),
        ROW(of_one_that_is_no_authority, false),
        ROW(of_an_authority_that_may_have_none_below, false),
        ROW(of_an_authority_that_has_expired, false),
        ROW(of_an_authority_that_may_not_sign, false),
        ROW(of_another_root_of_that_name, false),
        ROW(by_itself, false),
        ROW(with_an_rsa_key, false),
        ROW(with_a_key_on_p384, false),
        ROW(with_a_key_on_p521, false),
        ROW(expired, false),
        ROW(not_valid_yet, false),
        ROW(without_extended_usage, false),
        ROW(for_servers_of_the_web, false),
        ROW(for_another_usage_of_ocf, false),
        ROW(for_a_role, false),
        ROW(for_anything, false),
        ROW(with_an_authoritys_usage, false),
        ROW(that_is_an_authority, false),
        ROW(without_a_uuid, false),
        ROW(without_the_word, false),
        ROW(with_more_than_a_uuid, false),
        ROW(with_two_uuids, false),
        ROW(with_a_zero_in_its_name, false),
        ROW(without_a_name, false),
        ROW(of_nobody, false),
        ROW(of_version_1, false),
};

static struct tls_cert_context *context_of(const char *chain, EVP_PKEY *key) {
        const struct tls_cert_trust trust = { .pem = span_of_string(root.pem), .any_subject = true };
        const struct tls_cert_identity identity = {
                .chain = span_of_string(chain), .key = key, .trust = &trust, .n_trust = 1, .ask_peer = true
        };
        struct tls_cert_context *c = NULL;

        return tls_cert_context_new(&c, &identity) ? NULL : c;
}

/* The one that judges is us. Return: whether it is open, with the name that was shown. */
static bool is_let_in(struct tls_cert_context *theirs, struct tls_cert_context *ours, bool as_client,
                      bool stream) {
        struct uuid wanted;
        struct tls_cert_peer peer;
        struct tls *judge;
        struct pair p;
        bool is_open;

        begin(&p, as_client ? ours : theirs, as_client ? theirs : ours, stream,
              TLS_ECDHE_ECDSA_AES_128_CCM_8);
        run(&p);
        judge = as_client ? p.client : p.server;
        tls_cert_peer(judge, &peer);
        assert_true(uuid_parse(&wanted, span_of_string(CLIENT)));
        is_open = judge->state == TLS_OPEN;
        assert_true(!is_open || uuid_equal(&peer.id, &wanted));
        end(&p);
        return is_open;
}

static void what_is_shown_is_judged(void **state) {
        struct tls_cert_context *ours = context_of(server.pem, server.key),
                                *fine = context_of(client.pem, client.key);
        static struct shown shown;

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct tls_cert_context *theirs;

                rows[i].make(&shown);
                theirs = context_of(shown.chain, shown.leaf.key);
                for (unsigned how = 0; theirs && how < 4; how++) {
                        if (is_let_in(theirs, ours, how & 1, how & 2) != rows[i].opens)
                                fail_msg("%s, as a %s over %s", rows[i].name, how & 1 ? "client" : "server",
                                         how & 2 ? "TLS" : "DTLS");
                        /* what failed is not remembered, neither against him nor for others */
                        assert_true(is_let_in(fine, ours, how & 1, how & 2));
                }
                /* where we cannot even show it ourselves */
                assert_true(theirs || !rows[i].opens);
                tls_cert_context_unref(theirs);
                pki_free(&shown.leaf);
        }
        tls_cert_context_unref(ours);
        tls_cert_context_unref(fine);
}

/* Who fails, and fails, and fails: nothing is left of it. */
static void failures_leave_nothing(void **state) {
        struct tls_cert_context *ours = context_of(server.pem, server.key), *theirs;
        static struct shown shown;
        size_t before = 0;

        expired(&shown);
        theirs = context_of(shown.chain, shown.leaf.key);
        for (unsigned i = 0; i < 320; i++) {
                if (i == 120) /* what libcrypto keeps for good it has by now */
                        before = mallinfo2().uordblks;
                assert_false(is_let_in(theirs, ours, i & 1, i & 2));
        }
        assert_in_range(mallinfo2().uordblks, 0, before + 4096);
        tls_cert_context_unref(ours);
        tls_cert_context_unref(theirs);
        pki_free(&shown.leaf);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(what_is_shown_is_judged),
                cmocka_unit_test(failures_leave_nothing),
        };

        return cmocka_run_group_tests(tests, setup, teardown);
}
