/*
 * A key whose signatures somebody else makes: what OpenSSL may do with it, what
 * it may not, and a handshake whose signer is slow, wrong or gone.
 */
#include "pki.h"

#include "base/memory.h"
#include "security/delegated_key.h"
#include "security/provided_key.h"
#include "security/tls_cert.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/provider.h>

static struct pki_one root, device;

/* The signer: the device's own key, with the test's hand on it. */
static struct {
        enum { SIGN, REFUSE, LIE } does;
        unsigned n;
        char digest_name[32];
        size_t n_digest;
} signer;

static bool sign(void *context, const char *digest_name, struct span digest, uint8_t *signature,
                 size_t *ret_n) {
        EVP_PKEY_CTX *c = EVP_PKEY_CTX_new(context, NULL);
        bool good;

        signer.n++;
        signer.n_digest = digest.n;
        snprintf(signer.digest_name, sizeof(signer.digest_name), "%s", digest_name);
        *ret_n = DELEGATED_KEY_SIGNATURE;
        good = EVP_PKEY_sign_init(c) == 1 && EVP_PKEY_sign(c, signature, ret_n, digest.data, digest.n) == 1;
        EVP_PKEY_CTX_free(c);
        if (signer.does == LIE)
                signature[*ret_n - 1] ^= 1;
        return good && signer.does != REFUSE;
}

static void point_of(EVP_PKEY *key, uint8_t ret[DELEGATED_KEY_POINT + 1]) {
        size_t n;

        assert_int_equal(EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, ret,
                                                         DELEGATED_KEY_POINT + 1, &n),
                         1);
        assert_int_equal(n, DELEGATED_KEY_POINT);
}

static struct delegated_key *delegate(struct pki_one *one) {
        const struct delegated_signer its = { .sign = sign, .context = one->key };
        uint8_t point[DELEGATED_KEY_POINT + 1];
        struct delegated_key *k;

        point_of(one->key, point);
        assert_int_equal(delegated_key_new(&k, point, &its), 0);
        return k;
}

static int setup(void **state) {
        const struct pki_what lamp = { .cn = "Lamp 3000" };

        pki_authority(&root, "Root", NULL);
        pki_make(&device, &lamp, &root, NULL);
        return 0;
}

static int begin(void **state) {
        memset(&signer, 0, sizeof(signer));
        ERR_clear_error();
        return 0;
}

static int teardown(void **state) {
        pki_free(&root);
        pki_free(&device);
        return 0;
}

static void it_looks_like_the_key_that_it_stands_for(void **state) {
        struct delegated_key *k = delegate(&device), *again = delegate(&device), *other = delegate(&root);
        EVP_PKEY *key = delegated_key(k);
        uint8_t point[DELEGATED_KEY_POINT + 1];

        assert_true(crypto_key_is_p256(key));
        assert_int_equal(EVP_PKEY_get_bits(key), 256);
        assert_int_equal(EVP_PKEY_get_security_bits(key), 128);
        assert_int_equal(EVP_PKEY_get_size(key), DELEGATED_KEY_SIGNATURE);
        point_of(key, point);
        assert_int_equal(X509_check_private_key(device.certificate, key), 1);
        assert_int_not_equal(X509_check_private_key(root.certificate, key), 1);
        assert_int_equal(EVP_PKEY_eq(key, device.key), 1);
        assert_int_equal(EVP_PKEY_eq(device.key, key), 1);
        assert_int_equal(EVP_PKEY_eq(key, delegated_key(again)), 1);
        assert_int_not_equal(EVP_PKEY_eq(key, delegated_key(other)), 1);
        assert_int_equal(signer.n, 0);
        delegated_key_free(k);
        delegated_key_free(again);
        delegated_key_free(other);
}

/* Neither does a copy of the default context come along, nor anything new into it. */
static int count(OSSL_PROVIDER *provider, void *n) {
        ++*(unsigned *)n;
        return 1;
}

static void the_default_context_stays_as_it_is(void **state) {
        unsigned n_before = 0, n_after = 0;
        struct delegated_key *k;

        OSSL_PROVIDER_do_all(NULL, count, &n_before);
        k = delegate(&device);
        OSSL_PROVIDER_do_all(NULL, count, &n_after);
        assert_int_equal(n_before, n_after);
        assert_false(OSSL_PROVIDER_available(NULL, "ocf-delegated"));
        delegated_key_free(k);
}

static void what_it_signs_is_good(void **state) {
        static const struct {
                const char *digest;
                size_t n;
        } rows[] = { { "SHA256", 32 }, { "SHA384", 48 }, { "SHA512", 64 } };
        struct delegated_key *k = delegate(&device);

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                EVP_MD_CTX *c = EVP_MD_CTX_new();
                uint8_t signature[DELEGATED_KEY_SIGNATURE];
                size_t n = sizeof(signature);

                assert_int_equal(
                        EVP_DigestSignInit_ex(c, NULL, rows[i].digest, NULL, NULL, delegated_key(k), NULL),
                        1);
                assert_int_equal(EVP_DigestSign(c, signature, &n, (const uint8_t *)"text", 4), 1);
                assert_int_equal(signer.n, i + 1);
                assert_int_equal(signer.n_digest, rows[i].n);
                EVP_MD_CTX_free(c);
                c = EVP_MD_CTX_new();
                assert_int_equal(
                        EVP_DigestVerifyInit_ex(c, NULL, rows[i].digest, NULL, NULL, device.key, NULL), 1);
                assert_int_equal(EVP_DigestVerify(c, signature, n, (const uint8_t *)"text", 4), 1);
                EVP_MD_CTX_free(c);
        }
        delegated_key_free(k);
}

static void what_it_does_not_do(void **state) {
        struct delegated_key *k = delegate(&device);
        EVP_MD_CTX *c = EVP_MD_CTX_new();
        uint8_t small[DELEGATED_KEY_SIGNATURE - 1], signature[DELEGATED_KEY_SIGNATURE];
        PKCS8_PRIV_KEY_INFO *info;
        size_t n = sizeof(small);

        info = EVP_PKEY2PKCS8(delegated_key(k));
        assert_null(info); /* there is no private half to write down */
        assert_int_equal(EVP_DigestSignInit_ex(c, NULL, "SHA256", NULL, NULL, delegated_key(k), NULL), 1);
        assert_int_equal(EVP_DigestSign(c, small, &n, (const uint8_t *)"text", 4), 0);
        assert_int_equal(signer.n, 0);
        signer.does = REFUSE;
        n = sizeof(signature);
        assert_int_equal(EVP_DigestSign(c, signature, &n, (const uint8_t *)"text", 4), 0);
        EVP_MD_CTX_free(c);
        delegated_key_free(k);
}

/* ---- as a server's key ---- */

struct pair {
        struct tls *client, *server;
};

static void hear(struct tls *t, uint8_t *bytes, size_t n) {
        struct span data;

        tls_receive(t, 1000, bytes, n);
        while (tls_next(t, 1000, &data))
                ;
        if (!t->has_work)
                return;
        tls_work_begin(t);
        tls_work_run(t);
        tls_work_done(t, 1000);
        while (tls_next(t, 1000, &data))
                ;
}

static void shake_hands(struct pair *p, EVP_PKEY *key) {
        static uint8_t bytes[TLS_RECORD_MAX];
        const struct tls_cert_trust trust = { .pem = span_of_string(root.pem), .any_subject = true };
        struct tls_cert_identity identity = { .chain = span_of_string(device.pem),
                                              .key = key,
                                              .is_slow = true };
        struct tls_cert_config config = { .stream = true,
                                          .suite = TLS_ECDHE_ECDSA_AES_128_CCM_8,
                                          .wall_s = PKI_NOW };
        bool any = true;
        size_t n;

        assert_int_equal(tls_cert_context_new(&config.context, &identity), 0);
        assert_int_equal(tls_cert_new(&p->server, &config, 1000), 0);
        tls_cert_context_unref(config.context);
        identity = (struct tls_cert_identity){ .chain = span_of_string(device.pem),
                                               .key = device.key,
                                               .trust = &trust,
                                               .n_trust = 1,
                                               .manufacturer = true };
        assert_int_equal(tls_cert_context_new(&config.context, &identity), 0);
        config.client = true;
        assert_int_equal(tls_cert_new(&p->client, &config, 1000), 0);
        tls_cert_context_unref(config.context);
        while (any) {
                any = false;
                while ((n = tls_transmit(p->client, 1000, bytes, sizeof(bytes))) > 0) {
                        any = true;
                        hear(p->server, bytes, n);
                }
                while ((n = tls_transmit(p->server, 1000, bytes, sizeof(bytes))) > 0) {
                        any = true;
                        hear(p->client, bytes, n);
                }
        }
}

static void a_handshake_has_one_signature(void **state) {
        struct delegated_key *k = delegate(&device);
        struct pair p;

        shake_hands(&p, delegated_key(k));
        assert_int_equal(p.server->state, TLS_OPEN);
        assert_int_equal(p.client->state, TLS_OPEN);
        assert_int_equal(signer.n, 1);
        assert_int_equal(signer.n_digest, 32);
        tls_free(p.client);
        tls_free(p.server);
        delegated_key_free(k);
}

/* It is our trouble, and not the peer's. */
static void a_signer_that_fails_ends_the_handshake(void **state) {
        struct delegated_key *k = delegate(&device);
        struct pair p;

        signer.does = REFUSE;
        shake_hands(&p, delegated_key(k));
        assert_int_equal(p.server->state, TLS_CLOSED);
        assert_int_equal(p.server->failure, TLS_FAILURE_OURS);
        assert_int_equal(p.client->failure, TLS_FAILURE_ALERT);
        assert_int_equal(p.client->alert, 80); /* internal_error */
        tls_free(p.client);
        tls_free(p.server);

        signer.does = LIE;
        shake_hands(&p, delegated_key(k));
        assert_int_equal(p.client->state, TLS_CLOSED);
        assert_int_not_equal(p.server->state, TLS_OPEN);
        tls_free(p.client);
        tls_free(p.server);
        delegated_key_free(k);
}

/* ---- keys of providers; those of a TPM: tests/integration/test_tpm.py ---- */

static void what_is_no_key_of_a_provider(void **state) {
        static const struct {
                const char *provider, *uri;
                int outcome;
        } rows[] = {
                { "nothing-of-this-name", "handle:1", PROVIDED_KEY_E_NO_PROVIDER },
                { "../../../etc/passwd", "handle:1", PROVIDED_KEY_E_NO_PROVIDER },
                { "default", "handle:0x81000001", PROVIDED_KEY_E_NO_KEY },
                { "default", "/nothing/there", PROVIDED_KEY_E_NO_KEY },
                { "default", "/dev/null", PROVIDED_KEY_E_NO_KEY },
                { "a-name-that-is-much-longer-than-any-name-of-a-provider-has-ever-been-and-then-some", "x",
                  PROVIDED_KEY_E_NO_PROVIDER },
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                char detail[PROVIDED_KEY_DETAIL];
                struct provided_key *k = NULL;

                if (provided_key_open(&k, rows[i].provider, rows[i].uri, detail) != rows[i].outcome)
                        fail_msg("%s %s: %s", rows[i].provider, rows[i].uri, detail);
                assert_null(k);
                assert_int_equal(ERR_peek_error(), 0);
        }
}

static const char *write_key(EVP_PKEY *key, const EVP_CIPHER *cipher) {
        static char path[] = "/tmp/ocfd-test-key-XXXXXX";
        FILE *f;
        int fd;

        strcpy(path + sizeof(path) - 7, "XXXXXX");
        fd = mkstemp(path);
        assert_true(fd >= 0);
        f = fdopen(fd, "w");
        assert_int_equal(PEM_write_PKCS8PrivateKey(f, key, cipher, "secret", 6, NULL, NULL), 1);
        fclose(f);
        return path;
}

/* The provider of OpenSSL's own algorithms has keys in files: all but the TPM is as it would be with one. */
static void a_key_of_a_provider(void **state) {
        char detail[PROVIDED_KEY_DETAIL];
        EVP_PKEY *p384 = EVP_EC_gen("P-384");
        const char *path = write_key(device.key, NULL);
        struct provided_key *k;
        struct pair p;

        assert_int_equal(provided_key_open(&k, "default", path, detail), 0);
        assert_true(provided_key_works(k));
        assert_int_equal(X509_check_private_key(device.certificate, provided_key(k)), 1);
        shake_hands(&p, provided_key(k));
        assert_int_equal(p.server->state, TLS_OPEN);
        assert_true(provided_key_works(k));
        tls_free(p.client);
        tls_free(p.server);
        provided_key_free(k);
        remove(path);

        path = write_key(p384, NULL);
        assert_int_equal(provided_key_open(&k, "default", path, detail), PROVIDED_KEY_E_CURVE);
        remove(path);
        path = write_key(device.key, EVP_aes_128_cbc());
        assert_int_equal(provided_key_open(&k, "default", path, detail), PROVIDED_KEY_E_NO_KEY);
        assert_true(detail[0]);
        remove(path);
        EVP_PKEY_free(p384);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup(f, begin)
        const struct CMUnitTest tests[] = {
                TEST(it_looks_like_the_key_that_it_stands_for),
                TEST(the_default_context_stays_as_it_is),
                TEST(what_it_signs_is_good),
                TEST(what_it_does_not_do),
                TEST(a_handshake_has_one_signature),
                TEST(a_signer_that_fails_ends_the_handshake),
                TEST(what_is_no_key_of_a_provider),
                TEST(a_key_of_a_provider),
        };

        return cmocka_run_group_tests(tests, setup, teardown);
}
