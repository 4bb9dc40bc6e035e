/*
 * Each input of users.md 3 D by its name, shown by a libssl that minds nothing,
 * to our server and to our client. After each of them a good peer comes to the
 * same context, and is let in.
 */
#include "pki.h"

#include "security/tls_cert.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/param_build.h>
#include <openssl/ssl.h>

#define OURS  "11111111-2222-4333-8444-555555555555"
#define PEER  "99999999-2222-4333-8444-555555555555"
#define OTHER "77777777-2222-4333-8444-555555555555"

static struct pki_one root, other_root, ours, good, between[9];
static struct tls_cert_context *context;

static int setup(void **state) {
        const struct pki_what o = { .cn = "uuid:" OURS }, g = { .cn = "uuid:" PEER };
        struct tls_cert_trust trust = { .credid = 3 };
        struct tls_cert_identity identity = { .trust = &trust, .n_trust = 1, .ask_peer = true };

        pki_authority(&root, "Root", NULL);
        pki_authority(&other_root, "Root", NULL);
        for (size_t i = 0; i < ARRAY_SIZE(between); i++)
                pki_authority(&between[i], (char[]){ 'B', (char)('0' + i), 0 }, i ? &between[i - 1] : &root);
        pki_make(&ours, &o, &root, NULL);
        pki_make(&good, &g, &root, NULL);
        assert_true(uuid_parse(&trust.subject, span_of_string(PEER)));
        trust.pem = span_of_string(root.pem);
        identity.chain = span_of_string(ours.pem);
        identity.key = ours.key;
        return tls_cert_context_new(&context, &identity);
}

static int teardown(void **state) {
        pki_free(&root);
        pki_free(&other_root);
        pki_free(&ours);
        pki_free(&good);
        for (size_t i = 0; i < ARRAY_SIZE(between); i++)
                pki_free(&between[i]);
        context = tls_cert_context_unref(context);
        return 0;
}

/* ---- a peer that minds nothing ---- */

/* What it shows: the leaf, its key, and whatever else. */
struct shown {
        const struct pki_one *leaf;
        EVP_PKEY *key; /* NULL: the leaf's */
        X509 *more[200];
        size_t n_more;
};

struct meeting {
        struct tls *ours;
        SSL_CTX *ctx;
        SSL *peer;
        BIO *to_peer, *from_peer;
        char heard[16];
};

static int anything_goes(int ok, X509_STORE_CTX *store) {
        return 1;
}

static void give_ours(struct meeting *m) {
        static uint8_t bytes[TLS_RECORD_MAX];
        struct span data;
        size_t n;
        int r;

        while ((r = BIO_read(m->from_peer, bytes, sizeof(bytes))) > 0) {
                tls_receive(m->ours, 1000, bytes, (size_t)r);
                while (tls_next(m->ours, 1000, &data)) {
                        memcpy(m->heard, data.data, data.n < 15 ? data.n : 15);
                        m->heard[data.n < 15 ? data.n : 15] = 0;
                }
        }
        while ((n = tls_transmit(m->ours, 1000, bytes, sizeof(bytes))) > 0)
                BIO_write(m->to_peer, bytes, (int)n);
}

static void begin(struct meeting *m, const struct shown *shown, bool ours_is_client) {
        const struct tls_cert_config config = {
                .context = context,
                .client = ours_is_client,
                .stream = true,
                .suite = ours_is_client ? 0 : TLS_ECDHE_ECDSA_AES_128_GCM_SHA256,
                .wall_s = PKI_NOW,
        };

        *m = (struct meeting){ .ctx = SSL_CTX_new(TLS_method()),
                               .to_peer = BIO_new(BIO_s_mem()),
                               .from_peer = BIO_new(BIO_s_mem()) };
        SSL_CTX_set_max_proto_version(m->ctx, TLS1_2_VERSION);
        assert_int_equal(SSL_CTX_set_cipher_list(m->ctx, "ALL:@SECLEVEL=0"), 1);
        SSL_CTX_set_verify(m->ctx, SSL_VERIFY_PEER, anything_goes);
        assert_int_equal(SSL_CTX_use_certificate(m->ctx, shown->leaf->certificate), 1);
        assert_int_equal(SSL_CTX_use_PrivateKey(m->ctx, shown->key ? shown->key : shown->leaf->key), 1);
        for (size_t i = 0; i < shown->n_more; i++)
                assert_int_equal(SSL_CTX_add1_chain_cert(m->ctx, shown->more[i]), 1);
        SSL_CTX_set_mode(m->ctx, SSL_MODE_NO_AUTO_CHAIN);
        m->peer = SSL_new(m->ctx);
        SSL_set_bio(m->peer, m->to_peer, m->from_peer);
        if (ours_is_client)
                SSL_set_accept_state(m->peer);
        else
                SSL_set_connect_state(m->peer);
        assert_int_equal(tls_cert_new(&m->ours, &config, 1000), 0);
        for (unsigned i = 0; i < 10; i++) {
                (void)SSL_do_handshake(m->peer);
                give_ours(m);
        }
        ERR_clear_error();
}

static void end(struct meeting *m) {
        tls_free(m->ours);
        SSL_free(m->peer);
        SSL_CTX_free(m->ctx);
        ERR_clear_error();
}

static void a_good_one_is_let_in(const char *after) {
        const struct shown shown = { .leaf = &good };

        for (unsigned i = 0; i < 2; i++) {
                struct tls_cert_peer peer;
                struct meeting m;

                begin(&m, &shown, i);
                if (m.ours->state != TLS_OPEN)
                        fail_msg("a good one after %s: %s", after, m.ours->problem);
                tls_cert_peer(m.ours, &peer);
                assert_int_equal(peer.credid, 3);
                assert_int_equal(SSL_write(m.peer, "hello", 5), 5);
                give_ours(&m);
                assert_string_equal(m.heard, "hello");
                end(&m);
        }
}

/* problem NULL: it opens; "": whatever it is. */
static void show(const char *what, const struct shown *shown, const char *problem) {
        for (unsigned i = 0; i < 2; i++) {
                struct tls_cert_peer peer;
                struct meeting m;

                begin(&m, shown, i);
                if ((m.ours->state == TLS_OPEN) != !problem)
                        fail_msg("%s, to our %s: %s", what, i ? "client" : "server",
                                 m.ours->problem ? m.ours->problem : "is let in");
                if (problem && (!m.ours->problem || !strstr(m.ours->problem, problem)))
                        fail_msg("%s, to our %s: %s, not %s", what, i ? "client" : "server", m.ours->problem,
                                 problem);
                if (problem) {
                        assert_int_equal(m.ours->state, TLS_CLOSED);
                        tls_cert_peer(m.ours, &peer);
                        assert_true(uuid_is_nil(&peer.id)); /* it is nobody */
                }
                end(&m);
        }
        a_good_one_is_let_in(what);
}

/* ---- leaves ---- */

static void leaves(void **state) {
        static const struct {
                const char *what;
                struct pki_what leaf;
                const char *problem;
        } rows[] = {
                { "a good one", { .cn = "uuid:" PEER }, NULL },
                { "expired", { .cn = "uuid:" PEER, .until_s = PKI_NOW - 1 }, "expired" },
                { "not yet valid", { .cn = "uuid:" PEER, .from_s = PKI_NOW + 1 }, "not valid yet" },
                { "no extended key usage", { .cn = "uuid:" PEER, .extended = "" }, "extended key usage" },
                { "one that is not OCF's",
                  { .cn = "uuid:" PEER, .extended = "serverAuth,clientAuth,1.3.6.1.4.1.44924.1.8" },
                  "identity of OCF" },
                { "any extended key usage",
                  { .cn = "uuid:" PEER, .extended = PKI_IDENTITY ",anyExtendedKeyUsage" },
                  "any" },
                { "subject without uuid:", { .cn = PEER }, "no uuid:" },
                { "subject of another kind", { .cn = "Lamp 3000" }, "no uuid:" },
                { "two uuids", { .cn = "uuid:" PEER, .cn2 = "uuid:" OTHER }, "no uuid:" },
                { "one uuid twice", { .cn = "uuid:" PEER, .cn2 = "uuid:" PEER }, "no uuid:" },
                { "a uuid and a NUL", { .cn = "uuid:" PEER "\0", .n_cn = 42 }, "no uuid:" },
                { "uuid of another device", { .cn = "uuid:" OTHER }, "may not vouch" },
                { "a role certificate as an identity",
                  { .cn = "uuid:" PEER,
                    .extended = "serverAuth,clientAuth," PKI_ROLE,
                    .role = "keeper",
                    .authority = "hall" },
                  "identity of OCF" },
                { "an authority as a device",
                  { .cn = "uuid:" PEER, .basic = "critical,CA:TRUE", .usage = "critical,keyCertSign" },
                  "" },
                { "of version 1", { .cn = "uuid:" PEER, .version = 1 }, "version 3" },
                { "key usage of an authority",
                  { .cn = "uuid:" PEER, .usage = "critical,digitalSignature,keyAgreement,keyCertSign" },
                  "key usage" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct pki_one one;
                struct shown shown = { .leaf = &one };

                pki_make(&one, &rows[i].leaf, &root, NULL);
                show(rows[i].what, &shown, rows[i].problem);
                pki_free(&one);
        }
}

static void other_kinds_of_keys(void **state) {
        const struct pki_what what = { .cn = "uuid:" PEER };
        static const char *const names[] = { "RSA", "P-384", "P-521", "P-256, spelled out" };

        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                EVP_PKEY *key = !i       ? EVP_RSA_gen(2048)
                                : i == 3 ? pki_spelled_out_key()
                                         : EVP_EC_gen(names[i]);
                struct pki_one one;
                struct shown shown = { .leaf = &one };

                pki_make(&one, &what, &root, key);
                show(names[i], &shown, "");
                pki_free(&one);
                EVP_PKEY_free(key);
        }
}

/* ---- who vouches ---- */

static void chains_of_1_3_and_10(void **state) {
        const struct pki_what what = { .cn = "uuid:" PEER };
        static const struct {
                size_t n_between; /* that sign */
                size_t n_shown;   /* of these */
                const char *problem;
        } rows[] = {
                { 0, 0, NULL },      { 1, 1, NULL },      { 1, 0, "vouches" }, { 2, 2, NULL },
                { 2, 1, "vouches" }, { 9, 9, "vouches" }, /* ten with the leaf: longer than we look */
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct pki_one one;
                struct shown shown = { .leaf = &one };
                char text[64];

                for (size_t k = 0; k < rows[i].n_shown; k++)
                        shown.more[shown.n_more++] = between[rows[i].n_between - 1 - k].certificate;
                pki_make(&one, &what, rows[i].n_between ? &between[rows[i].n_between - 1] : &root, NULL);
                snprintf(text, sizeof(text), "%zu between, %zu shown", rows[i].n_between, rows[i].n_shown);
                show(text, &shown, rows[i].problem);
                if (!rows[i].problem) {
                        shown.more[shown.n_more++] = root.certificate; /* it need not be shown, but may */
                        show(text, &shown, NULL);
                }
                pki_free(&one);
        }
}

static void self_signed_with_the_right_name(void **state) {
        const struct pki_what what = { .cn = "uuid:" PEER };
        struct pki_one one;
        struct shown shown = { .leaf = &one };

        pki_make(&one, &what, NULL, NULL);
        show("self-signed", &shown, "vouches");
        shown.more[shown.n_more++] = root.certificate;
        show("self-signed, with our root beside", &shown, "vouches");
        pki_free(&one);
}

static void an_issuer_that_is_no_authority(void **state) {
        const struct pki_what what = { .cn = "uuid:" PEER }, unmarked = {
                .cn = "Between", .usage = "critical,keyCertSign", .extended = "", .basic = ""
        };
        struct pki_one forged, no_constraints, leaf;
        struct shown shown = { .leaf = &forged, .more = { good.certificate }, .n_more = 1 };

        pki_make(&forged, &what, &good, NULL); /* a device of our root signs */
        show("a device as issuer (CA:FALSE)", &shown, "vouches");
        pki_make(&no_constraints, &unmarked, &root, NULL);
        pki_make(&leaf, &what, &no_constraints, NULL);
        shown = (struct shown){ .leaf = &leaf, .more = { no_constraints.certificate }, .n_more = 1 };
        show("an issuer without basic constraints", &shown, "");
        pki_free(&forged);
        pki_free(&no_constraints);
        pki_free(&leaf);
}

static void an_authority_of_the_same_name(void **state) {
        const struct pki_what what = { .cn = "uuid:" PEER };
        struct pki_one one;
        struct shown shown = { .leaf = &one, .more = { other_root.certificate }, .n_more = 1 };

        pki_make(&one, &what, &other_root, NULL);
        show("a root of the same name", &shown, "vouches");
        shown.more[0] = root.certificate;
        show("a root of the same name, ours shown", &shown, "vouches");
        pki_free(&one);
}

static void a_chain_of_64_kibibytes(void **state) {
        struct shown shown = { .leaf = &good };

        for (size_t i = 0; i < ARRAY_SIZE(shown.more); i++)
                shown.more[shown.n_more++] = between[i % ARRAY_SIZE(between)].certificate;
        assert_true(strlen(between[0].pem) * 3 / 4 * shown.n_more > 65536);
        show("64 KiB", &shown, "");
        shown.n_more = 12; /* more than anybody needs */
        show("12 beside", &shown, NULL);
}

/* Its own private key behind the public one of the other's certificate. */
static EVP_PKEY *forged_key(EVP_PKEY *public, EVP_PKEY *private) {
        EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
        OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
        EVP_PKEY *key = NULL;
        uint8_t point[65];
        BIGNUM *d = NULL;
        OSSL_PARAM *params;
        size_t n;

        assert_int_equal(
                EVP_PKEY_get_octet_string_param(public, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point), &n),
                1);
        assert_int_equal(EVP_PKEY_get_bn_param(private, OSSL_PKEY_PARAM_PRIV_KEY, &d), 1);
        OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0);
        OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY, point, n);
        OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_PRIV_KEY, d);
        params = OSSL_PARAM_BLD_to_param(build);
        assert_int_equal(EVP_PKEY_fromdata_init(ctx), 1);
        assert_int_equal(EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_KEYPAIR, params), 1);
        OSSL_PARAM_free(params);
        OSSL_PARAM_BLD_free(build);
        EVP_PKEY_CTX_free(ctx);
        BN_free(d);
        return key;
}

static void a_certificate_whose_key_it_does_not_have(void **state) {
        EVP_PKEY *own = EVP_EC_gen("P-256"), *key = forged_key(good.key, own);
        struct shown shown = { .leaf = &good, .key = key };

        show("the certificate of another", &shown, "");
        EVP_PKEY_free(own);
        EVP_PKEY_free(key);
}

/* ---- revocation: OCF has none, and it neither helps nor hinders ---- */

static void revocation_lists(void **state) {
        const struct pki_what what = { .cn = "uuid:" PEER };
        X509_CRL *crl = X509_CRL_new();
        ASN1_TIME *now = ASN1_TIME_set(NULL, (time_t)PKI_NOW);
        struct pki_one one;
        struct shown shown = { .leaf = &one };
        BIO *bio = BIO_new(BIO_s_mem());
        char *text, both[8192];
        long n;

        pki_make(&one, &what, &root, NULL);
        pki_extension(one.certificate, one.certificate, NID_crl_distribution_points,
                      "URI:http://192.0.2.1/crl");
        assert_true(X509_sign(one.certificate, root.key, EVP_sha256()) > 0);
        show("a place where a list is", &shown, NULL);
        X509_CRL_set_version(crl, X509_CRL_VERSION_2);
        X509_CRL_set_issuer_name(crl, X509_get_subject_name(root.certificate));
        X509_CRL_set1_lastUpdate(crl, now);
        X509_CRL_set1_nextUpdate(crl, now);
        X509_CRL_sign(crl, root.key, EVP_sha256());
        PEM_write_bio_X509_CRL(bio, crl);
        n = BIO_get_mem_data(bio, &text);
        assert_non_null(certificate_check_anchor(span_of(text, (size_t)n), PKI_NOW));
        snprintf(both, sizeof(both), "%.*s%s", (int)n, text, root.pem);
        assert_null(certificate_check_anchor(span_of_string(both), PKI_NOW)); /* it is skipped */
        BIO_free(bio);
        ASN1_TIME_free(now);
        X509_CRL_free(crl);
        pki_free(&one);
}

/* ---- lengths ---- */

static STACK_OF(X509) * read_der(const uint8_t *der, size_t n) {
        static char base64[8192], pem[9000];

        assert_true(n < sizeof(base64) * 3 / 4 - 4);
        base64[EVP_EncodeBlock((unsigned char *)base64, der, (int)n)] = 0;
        snprintf(pem, sizeof(pem), "-----BEGIN CERTIFICATE-----\n%s\n-----END CERTIFICATE-----\n", base64);
        return certificate_read(span_of_string(pem));
}

/* The head of each element, as long as it should not be: refused, or no other certificate than it was. */
static void lengths_of_ber(void **state) {
        uint8_t der[4096], bad[4200], *at = der;
        const size_t n = (size_t)i2d_X509(good.certificate, &at);
        STACK_OF(X509) * chain;
        static const struct {
                const char *what;
                uint8_t head[6];
                size_t n_head;
                int n_more; /* bytes behind */
                bool is_read;
        } rows[] = {
                { "as it should be", { 0x30, 0x82 }, 2, 0, true },
                { "one more than there is", { 0x30, 0x82 }, 2, 1, false },
                { "2^32-1", { 0x30, 0x84, 0xff, 0xff, 0xff, 0xff }, 6, 0, false },
                { "2^63", { 0x30, 0x88, 0x80, 0, 0, 0 }, 6, 0, false },
                { "127 bytes of length", { 0x30, 0xff, 0, 0, 0, 0 }, 6, 0, false },
                { "none", { 0x30, 0 }, 2, 0, false },
                { "without an end", { 0x30, 0x80 }, 2, 0, false },
        };

        assert_true(der[0] == 0x30 && der[1] == 0x82);
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                size_t n_head = rows[i].n_head, n_bad = n_head;

                memcpy(bad, rows[i].head, n_head);
                if (rows[i].head[1] == 0x82) {
                        const size_t n_said = n - 4 + (size_t)rows[i].n_more;

                        bad[n_bad++] = (uint8_t)(n_said >> 8);
                        bad[n_bad++] = (uint8_t)n_said;
                }
                memcpy(bad + n_bad, der + 4, n - 4);
                chain = read_der(bad, n_bad + n - 4);
                if (!chain == rows[i].is_read)
                        fail_msg("%s: %s", rows[i].what, chain ? "is read" : "is refused");
                certificate_free(chain);
        }
        /* Each byte that may be a length, made longer, shorter and endless. */
        for (size_t i = 1; i < n; i += unit_stride()) {
                static const uint8_t lengths[] = { 0, 0x7f, 0x80, 0x81, 0x82, 0x84, 0x88, 0xff };

                for (size_t k = 0; k < ARRAY_SIZE(lengths); k++) {
                        X509 *anchor;
                        STACK_OF(X509) *anchors = sk_X509_new_null();

                        sk_X509_push(anchors, root.certificate);
                        memcpy(bad, der, n);
                        bad[i] = lengths[k];
                        chain = lengths[k] == der[i] ? NULL : read_der(bad, n);
                        if (chain &&
                            !certificate_chain(chain, CERTIFICATE_IDENTITY, anchors, PKI_NOW, &anchor) &&
                            X509_cmp(sk_X509_value(chain, 0), good.certificate) != 0)
                                fail_msg("byte %zu as %02x is another certificate, and good", i, lengths[k]);
                        certificate_free(chain);
                        sk_X509_free(anchors);
                }
        }
}

/* ---- renegotiation (users.md 3 C) ---- */

static void renegotiation_is_refused(void **state) {
        const struct shown shown = { .leaf = &good };

        for (unsigned i = 0; i < 2; i++) { /* a ClientHello to our server, a HelloRequest to our client */
                struct tls_secrets before, after;
                struct tls_cert_peer peer;
                uint8_t said[2][64] = { 0 };
                struct meeting m;

                begin(&m, &shown, i);
                assert_int_equal(m.ours->state, TLS_OPEN);
                assert_true(tls_secrets(m.ours, &before));
                assert_true(SSL_get_finished(m.peer, said[0], sizeof(said[0])) > 0);
                assert_int_equal(SSL_renegotiate(m.peer), 1);
                for (unsigned k = 0; k < 5; k++) {
                        (void)SSL_do_handshake(m.peer);
                        give_ours(&m);
                }
                assert_int_not_equal(m.ours->state, TLS_HANDSHAKE);
                if (m.ours->state == TLS_OPEN) {
                        assert_true(tls_secrets(m.ours, &after));
                        assert_memory_equal(&before, &after, sizeof(before));
                        tls_cert_peer(m.ours, &peer);
                        assert_int_equal(peer.credid, 3);
                }
                assert_true(SSL_get_finished(m.peer, said[1], sizeof(said[1])) > 0);
                assert_memory_equal(said[0], said[1], sizeof(said[0])); /* it came to no second end */
                end(&m);
                a_good_one_is_let_in("renegotiation");
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(leaves),
                cmocka_unit_test(other_kinds_of_keys),
                cmocka_unit_test(chains_of_1_3_and_10),
                cmocka_unit_test(self_signed_with_the_right_name),
                cmocka_unit_test(an_issuer_that_is_no_authority),
                cmocka_unit_test(an_authority_of_the_same_name),
                cmocka_unit_test(a_chain_of_64_kibibytes),
                cmocka_unit_test(a_certificate_whose_key_it_does_not_have),
                cmocka_unit_test(revocation_lists),
                cmocka_unit_test(lengths_of_ber),
                cmocka_unit_test(renegotiation_is_refused),
        };

        return cmocka_run_group_tests(tests, setup, teardown);
}
