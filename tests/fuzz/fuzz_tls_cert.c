/*
 * libssl behind our interface at both ends of a bad network (tls_pair.h). The
 * first byte says over what, and who shows and trusts what; the second one with
 * which suite.
 */
#include "fuzz.h"
#include "security/identity_key.h"
#include "security/tls_cert.h"
#include "tls_pair.h"
#include "tls_random.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <string.h>

#define NOW    INT64_C(1800000000)
#define SERVER "11111111-2222-4333-8444-555555555555"
#define CLIENT "99999999-2222-4333-8444-555555555555"

/* ---- who there is ---- */

struct one {
        EVP_PKEY *key;
        X509 *certificate;
        char pem[2048];
        size_t n_pem;
};

static struct one root, other_root, server, client, stranger;

static void add_extension(X509 *c, X509 *issuer, int nid, const char *value) {
        X509V3_CTX ctx;
        X509_EXTENSION *e;

        X509V3_set_ctx(&ctx, issuer, c, NULL, NULL, 0);
        e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
        must_hold(e && X509_add_ext(c, e, -1));
        X509_EXTENSION_free(e);
}

static void make_one(struct one *ret, const char *name, const struct one *issuer) {
        static int serial;
        X509 *c = X509_new();
        X509_NAME *subject = c ? X509_get_subject_name(c) : NULL;
        BIO *bio = BIO_new(BIO_s_mem());
        char *text;

        must_hold(c && bio &&
                  X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (const unsigned char *)name, -1,
                                             -1, 0));
        ret->key = EVP_EC_gen("P-256");
        ret->certificate = c;
        must_hold(ret->key && X509_set_version(c, 2) && X509_set_pubkey(c, ret->key));
        ASN1_INTEGER_set(X509_get_serialNumber(c), ++serial);
        ASN1_TIME_set(X509_getm_notBefore(c), NOW - 86400);
        ASN1_TIME_set(X509_getm_notAfter(c), NOW + 86400);
        X509_set_issuer_name(c, issuer ? X509_get_subject_name(issuer->certificate) : subject);
        if (issuer) {
                add_extension(c, issuer->certificate, NID_basic_constraints, "CA:FALSE");
                add_extension(c, issuer->certificate, NID_key_usage,
                              "critical,digitalSignature,keyAgreement");
                add_extension(c, issuer->certificate, NID_ext_key_usage,
                              "serverAuth,clientAuth,1.3.6.1.4.1.44924.1.6");
        } else {
                add_extension(c, c, NID_basic_constraints, "critical,CA:TRUE");
                add_extension(c, c, NID_key_usage, "critical,keyCertSign,cRLSign,digitalSignature");
        }
        must_hold(X509_sign(c, issuer ? issuer->key : ret->key, EVP_sha256()) && PEM_write_bio_X509(bio, c));
        ret->n_pem = (size_t)BIO_get_mem_data(bio, &text);
        must_hold(ret->n_pem < sizeof(ret->pem));
        memcpy(ret->pem, text, ret->n_pem);
        BIO_free(bio);
}

static void make_all(void) {
        if (root.key)
                return;
        tls_random_begin(1);
        make_one(&root, "Root", NULL);
        make_one(&other_root, "Root", NULL); /* the same name, and not the same */
        make_one(&server, "uuid:" SERVER, &root);
        make_one(&client, "uuid:" CLIENT, &root);
        make_one(&stranger, "uuid:" CLIENT, &other_root);
}

/* ---- the two ---- */

static const uint16_t suites[] = {
        TLS_ECDHE_ECDSA_AES_128_CCM_8,      TLS_ECDHE_ECDSA_AES_128_CCM,
        TLS_ECDHE_ECDSA_AES_256_CCM_8,      TLS_ECDHE_ECDSA_AES_256_CCM,
        TLS_ECDHE_ECDSA_AES_128_GCM_SHA256, TLS_ECDHE_ECDSA_AES_256_GCM_SHA384,
        TLS_ECDHE_ECDSA_AES_128_CBC_SHA256, TLS_ECDHE_ECDSA_AES_256_CBC_SHA384,
};

static struct {
        bool stream, forged, mistrusts, for_another, asks_nobody;
        uint16_t suite;
} f;

static struct tls *make(bool is_client, uint16_t first_message, uint64_t now_ms) {
        const struct one *who = !is_client ? &server : f.forged ? &stranger : &client;
        const struct one *trusted = is_client && f.mistrusts ? &other_root : &root;
        struct tls_cert_trust trust = { .pem = span_of(trusted->pem, trusted->n_pem),
                                        .any_subject = true,
                                        .credid = 7 };
        struct tls_cert_identity identity = { .chain = span_of(who->pem, who->n_pem),
                                              .key = who->key,
                                              .trust = &trust,
                                              .n_trust = 1,
                                              .ask_peer = !f.asks_nobody };
        struct tls_cert_config config = {
                .client = is_client, .stream = f.stream, .suite = f.suite, .wall_s = NOW
        };
        struct tls *t = NULL;

        if (!is_client && f.for_another) { /* the authority is good for another peer alone */
                trust.any_subject = false;
                trust.subject = (struct uuid){ { 1 } };
        }
        must_hold(tls_cert_context_new(&config.context, &identity) == 0);
        must_hold(tls_cert_new(&t, &config, now_ms) == 0);
        tls_cert_context_unref(config.context);
        return t;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        struct tls_pair pair = {
                .make = make, .is_libssl = true, .n_flight_max = 40, .n_datagram_max = TLS_RECORD_MAX
        };

        make_all();
        if (n < 2)
                return 0;
        f.stream = data[0] & 1;
        f.forged = data[0] & 2;
        f.mistrusts = data[0] & 4;
        f.for_another = data[0] & 8;
        f.asks_nobody = data[0] & 16;
        f.suite = suites[data[1] % ARRAY_SIZE(suites)];
        pair.may_open = !f.mistrusts && (f.asks_nobody || (!f.forged && !f.for_another));
        tls_random_begin(data[0]);
        tls_pair_run(&pair, f.stream, span_of(data + 2, n - 2));
        return 0;
}
