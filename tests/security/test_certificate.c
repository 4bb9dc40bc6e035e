/*
 * Certificates, right ones and each that is wrong in one way (users.md 3 D).
 */
#include "pki.h"

#include "base/memory.h"
#include "security/certificate.h"

#define DEVICE      "11111111-2222-4333-8444-555555555555"
#define OTHER       "99999999-2222-4333-8444-555555555555"
#define DEVICE_NAME "uuid:" DEVICE

static struct pki_one root, other_root;

static int setup(void **state) {
        pki_authority(&root, "Root", NULL);
        pki_authority(&other_root, "Root", NULL); /* of the same name */
        return 0;
}

static int teardown(void **state) {
        pki_free(&root);
        pki_free(&other_root);
        return 0;
}

static struct uuid uuid_of(const char *text) {
        struct uuid u;

        assert_true(uuid_parse(&u, span_of_string(text)));
        return u;
}

static void each_defect_of_a_leaf_is_seen(void **state) {
        static const struct {
                struct pki_what what;
                enum certificate_profile profile;
                const char *problem; /* a part of it; NULL: it is good */
        } rows[] = {
                { { .cn = DEVICE_NAME }, CERTIFICATE_IDENTITY, NULL },
                { { .cn = DEVICE_NAME, .basic = "" }, CERTIFICATE_IDENTITY, NULL },
                { { .cn = DEVICE_NAME, .basic = "critical,CA:TRUE", .usage = "critical,keyCertSign" },
                  CERTIFICATE_IDENTITY,
                  "authority" },
                { { .cn = DEVICE_NAME, .usage = "" }, CERTIFICATE_IDENTITY, "key usage" },
                { { .cn = DEVICE_NAME, .usage = "critical,digitalSignature" },
                  CERTIFICATE_IDENTITY,
                  "key usage" },
                { { .cn = DEVICE_NAME, .usage = "critical,digitalSignature,keyAgreement,keyCertSign" },
                  CERTIFICATE_IDENTITY,
                  "key usage" },
                { { .cn = DEVICE_NAME, .extended = "" }, CERTIFICATE_IDENTITY, "extended key usage" },
                { { .cn = DEVICE_NAME, .extended = "serverAuth,clientAuth" },
                  CERTIFICATE_IDENTITY,
                  "identity" },
                { { .cn = DEVICE_NAME, .extended = "clientAuth,1.3.6.1.4.1.44924.1.6" },
                  CERTIFICATE_IDENTITY,
                  "clients and servers" },
                { { .cn = DEVICE_NAME, .extended = PKI_IDENTITY ",1.3.6.1.4.1.44924.1.7" },
                  CERTIFICATE_IDENTITY,
                  "identity" },
                { { .cn = DEVICE_NAME, .extended = PKI_IDENTITY ",anyExtendedKeyUsage" },
                  CERTIFICATE_IDENTITY,
                  "any" },
                { { .cn = DEVICE_NAME, .from_s = PKI_NOW + 10 }, CERTIFICATE_IDENTITY, "not valid yet" },
                { { .cn = DEVICE_NAME, .until_s = PKI_NOW - 10 }, CERTIFICATE_IDENTITY, "expired" },
                { { .cn = DEVICE_NAME, .version = 1 }, CERTIFICATE_IDENTITY, "version 3" },
                { { .cn = DEVICE_NAME, .extended = PKI_ROLE }, CERTIFICATE_ROLE, NULL },
                { { .cn = DEVICE_NAME, .extended = "serverAuth,clientAuth," PKI_ROLE },
                  CERTIFICATE_ROLE,
                  NULL },
                { { .cn = DEVICE_NAME }, CERTIFICATE_ROLE, "role" },
                { { .cn = DEVICE_NAME, .extended = PKI_ROLE }, CERTIFICATE_IDENTITY, "clients and servers" },
                { { .cn = "Lamp 3000" }, CERTIFICATE_MANUFACTURER, NULL },
                { { .cn = "x" }, CERTIFICATE_AUTHORITY, "authority" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct pki_one one;
                const char *problem;

                pki_make(&one, &rows[i].what, &root, NULL);
                problem = certificate_check(one.certificate, rows[i].profile, PKI_NOW);
                if (!rows[i].problem != !problem || (problem && !strstr(problem, rows[i].problem)))
                        fail_msg("row %zu: %s", i, problem ? problem : "is good");
                pki_free(&one);
        }
}

static void without_a_clock_no_dates(void **state) {
        const struct pki_what what = { .cn = DEVICE_NAME, .until_s = PKI_NOW - 10 };
        struct pki_one one;

        pki_make(&one, &what, &root, NULL);
        assert_null(certificate_check(one.certificate, CERTIFICATE_IDENTITY, -1));
        assert_null(certificate_check(one.certificate, CERTIFICATE_IDENTITY,
                                      -(PKI_NOW - 2 * 86400)));                              /* too early? */
        assert_non_null(certificate_check(one.certificate, CERTIFICATE_IDENTITY, -PKI_NOW)); /* it is later */
        pki_free(&one);
}

/* A SHA-384 signature, and keys that are not ours to compute with: looked at before they are used. */
static void other_algorithms_are_refused(void **state) {
        const struct pki_what what = { .cn = DEVICE_NAME, .hash = EVP_sha384() }, rsa = { .cn = DEVICE_NAME };
        EVP_PKEY *keys[] = { EVP_RSA_gen(2048), EVP_EC_gen("P-384") };
        struct pki_one one;

        pki_make(&one, &what, &root, NULL);
        assert_non_null(strstr(certificate_check(one.certificate, CERTIFICATE_IDENTITY, PKI_NOW), "SHA-256"));
        pki_free(&one);
        for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
                pki_make(&one, &rsa, &root, keys[i]);
                assert_non_null(
                        strstr(certificate_check(one.certificate, CERTIFICATE_IDENTITY, PKI_NOW), "P-256"));
                pki_free(&one);
                EVP_PKEY_free(keys[i]);
        }
}

static void a_name_is_compared_whole(void **state) {
        static const struct {
                struct pki_what what;
                bool good;
        } rows[] = {
                { { .cn = DEVICE_NAME }, true },
                { { .cn = "UUID:" DEVICE }, true },
                { { .cn = DEVICE }, false },
                { { .cn = "x" DEVICE_NAME }, false },
                { { .cn = DEVICE_NAME "0" }, false },
                { { .cn = DEVICE_NAME, .cn2 = "uuid:" OTHER }, false },
                { { .cn = DEVICE_NAME "\0x", .n_cn = 43 }, false },
                { { .cn = "uuid:00000000-0000-0000-0000-000000000000" }, false },
                { { .cn = DEVICE_NAME, .cn_type = V_ASN1_BMPSTRING, .n_cn = 40 }, false },
                { { .cn = NULL }, false },
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct uuid id, wanted = uuid_of(DEVICE);
                struct pki_one one;

                pki_make(&one, &rows[i].what, &root, NULL);
                assert_int_equal(certificate_uuid(one.certificate, &id), rows[i].good);
                if (rows[i].good)
                        assert_true(uuid_equal(&id, &wanted));
                pki_free(&one);
        }
}

static STACK_OF(X509) * stack(X509 *a, X509 *b) {
        STACK_OF(X509) *s = sk_X509_new_null();

        if (a)
                sk_X509_push(s, a);
        if (b)
                sk_X509_push(s, b);
        return s;
}

static void a_chain_ends_at_one_of_our_anchors(void **state) {
        const struct pki_what what = { .cn = DEVICE_NAME };
        struct pki_one intermediate, leaf, direct, self;
        STACK_OF(X509) * anchors, *chain;
        X509 *anchor = NULL;

        pki_authority(&intermediate, "Intermediate", &root);
        pki_make(&leaf, &what, &intermediate, NULL);
        pki_make(&direct, &what, &root, NULL);
        pki_make(&self, &what, NULL, NULL);
        anchors = stack(other_root.certificate, root.certificate);

        chain = stack(leaf.certificate, intermediate.certificate);
        assert_null(certificate_chain(chain, CERTIFICATE_IDENTITY, anchors, PKI_NOW, &anchor));
        assert_ptr_equal(anchor, root.certificate);
        sk_X509_free(chain);
        chain = stack(direct.certificate, NULL);
        assert_null(certificate_chain(chain, CERTIFICATE_IDENTITY, anchors, PKI_NOW, &anchor));
        sk_X509_free(chain);
        chain = stack(leaf.certificate, NULL); /* the one between is missing */
        assert_non_null(certificate_chain(chain, CERTIFICATE_IDENTITY, anchors, PKI_NOW, &anchor));
        sk_X509_free(chain);
        chain = stack(self.certificate, NULL);
        assert_non_null(certificate_chain(chain, CERTIFICATE_IDENTITY, anchors, PKI_NOW, &anchor));
        sk_X509_free(chain);
        sk_X509_free(anchors);

        anchors = stack(other_root.certificate, NULL); /* of the same name, and another key */
        chain = stack(direct.certificate, root.certificate);
        assert_non_null(certificate_chain(chain, CERTIFICATE_IDENTITY, anchors, PKI_NOW, &anchor));
        sk_X509_free(chain);
        sk_X509_free(anchors);
        anchors = stack(NULL, NULL);
        chain = stack(direct.certificate, NULL);
        assert_non_null(certificate_chain(chain, CERTIFICATE_IDENTITY, anchors, PKI_NOW, &anchor));
        sk_X509_free(chain);
        sk_X509_free(anchors);
        pki_free(&intermediate);
        pki_free(&leaf);
        pki_free(&direct);
        pki_free(&self);
}

/* A device that signs another one's certificate is no authority. */
static void a_leaf_vouches_for_nobody(void **state) {
        const struct pki_what what = { .cn = DEVICE_NAME }, other = { .cn = "uuid:" OTHER };
        STACK_OF(X509) *anchors = stack(root.certificate, NULL), *chain;
        struct pki_one leaf, forged;
        X509 *anchor;

        pki_make(&leaf, &what, &root, NULL);
        pki_make(&forged, &other, &leaf, NULL);
        chain = stack(forged.certificate, leaf.certificate);
        assert_non_null(certificate_chain(chain, CERTIFICATE_IDENTITY, anchors, PKI_NOW, &anchor));
        sk_X509_free(chain);
        sk_X509_free(anchors);
        pki_free(&leaf);
        pki_free(&forged);
}

/* What is between a good leaf and our anchor, and may not be. */
static void an_authority_has_its_limits(void **state) {
        static const struct {
                struct pki_what what;
                bool is_good, has_another_below;
        } rows[] = {
                { { .cn = "A", .usage = "critical,keyCertSign", .extended = "", .basic = "critical,CA:TRUE" },
                  true },
                { { .cn = "A", .usage = "critical,keyCertSign", .extended = "", .basic = "critical,CA:TRUE" },
                  true,
                  true },
                { { .cn = "A",
                    .usage = "critical,keyCertSign",
                    .extended = "",
                    .basic = "critical,CA:TRUE,pathlen:0" },
                  true },
                { { .cn = "A",
                    .usage = "critical,keyCertSign",
                    .extended = "",
                    .basic = "critical,CA:TRUE,pathlen:0" },
                  false,
                  true },
                { { .cn = "A",
                    .usage = "critical,keyCertSign",
                    .extended = "",
                    .basic = "critical,CA:TRUE",
                    .until_s = PKI_NOW - 10 },
                  false },
                { { .cn = "A",
                    .usage = "critical,digitalSignature",
                    .extended = "",
                    .basic = "critical,CA:TRUE" },
                  false },
        };
        const struct pki_what what = { .cn = DEVICE_NAME };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                STACK_OF(X509) *anchors = stack(root.certificate, NULL), *chain;
                struct pki_one authority, below, leaf;
                X509 *anchor;

                pki_make(&authority, &rows[i].what, &root, NULL);
                pki_authority(&below, "B", &authority);
                pki_make(&leaf, &what, rows[i].has_another_below ? &below : &authority, NULL);
                chain = stack(leaf.certificate, authority.certificate);
                if (rows[i].has_another_below)
                        sk_X509_push(chain, below.certificate);
                if (!certificate_chain(chain, CERTIFICATE_IDENTITY, anchors, PKI_NOW, &anchor) !=
                    rows[i].is_good)
                        fail_msg("row %zu", i);
                sk_X509_free(chain);
                sk_X509_free(anchors);
                pki_free(&authority);
                pki_free(&below);
                pki_free(&leaf);
        }
}

static void posted_certificates_are_for_us(void **state) {
        const struct pki_what what = { .cn = DEVICE_NAME }, other = { .cn = "uuid:" OTHER };
        struct uuid device = uuid_of(DEVICE);
        char two[8192], text[4096];
        EVP_PKEY *key;
        struct pki_one one;

        assert_int_equal(crypto_key_new(&key), 0);
        pki_make(&one, &what, &root, key);
        assert_null(
                certificate_check_own(span_of_string(one.pem), CERTIFICATE_IDENTITY, key, &device, PKI_NOW));
        strcpy(text, one.pem);
        text[strlen(text) - 1] = 0; /* without the last newline */
        assert_null(certificate_check_own(span_of_string(text), CERTIFICATE_IDENTITY, key, &device, PKI_NOW));
        snprintf(two, sizeof(two), "%s%s", one.pem, root.pem);
        assert_null(certificate_check_own(span_of_string(two), CERTIFICATE_IDENTITY, key, &device, PKI_NOW));
        snprintf(two, sizeof(two), "%s%s", one.pem, other_root.pem);
        assert_non_null(
                certificate_check_own(span_of_string(two), CERTIFICATE_IDENTITY, key, &device, PKI_NOW));
        assert_non_null(certificate_check_own(span_of_string(one.pem), CERTIFICATE_IDENTITY, root.key,
                                              &device, PKI_NOW));
        pki_free(&one);
        pki_make(&one, &other, &root, key);
        assert_non_null(
                certificate_check_own(span_of_string(one.pem), CERTIFICATE_IDENTITY, key, &device, PKI_NOW));
        pki_free(&one);
        EVP_PKEY_free(key);

        assert_null(certificate_check_anchor(span_of_string(root.pem), PKI_NOW));
        assert_non_null(certificate_check_anchor(span_of_string(two), PKI_NOW));
        assert_non_null(certificate_check_anchor(span_of_string(""), PKI_NOW));
        strcpy(two, root.pem);
        two[200] ^= 0x15;
        assert_non_null(certificate_check_anchor(span_of_string(two), PKI_NOW));
        for (size_t i = 0; i < strlen(root.pem) - 1; i += 7)
                assert_non_null(certificate_check_anchor(span_of(root.pem, i), PKI_NOW));
}

static void roles_and_their_authorities(void **state) {
        static const struct {
                const char *role, *authority, *wanted;
        } rows[] = {
                { "keeper", "hall", "hall" },
                { "keeper", NULL, "Root" },
                { "oic.role.owner", "hall", "hall" },
                { "oic.role.other", "hall", NULL },
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                const struct pki_what what = { .cn = DEVICE_NAME,
                                               .extended = PKI_ROLE,
                                               .role = rows[i].role,
                                               .authority = rows[i].authority };
                char *role = NULL, *authority = NULL;
                struct pki_one one;
                const char *problem;

                pki_make(&one, &what, &root, NULL);
                problem = certificate_role(one.certificate, &role, &authority);
                assert_int_equal(!problem, rows[i].wanted != NULL);
                if (!problem) {
                        assert_string_equal(role, rows[i].role);
                        assert_string_equal(authority, rows[i].wanted);
                }
                ocf_free(role);
                ocf_free(authority);
                assert_int_equal(certificate_end_s(one.certificate), PKI_NOW + 86400);
                pki_free(&one);
        }
}

static void a_request_names_the_device_and_proves_the_key(void **state) {
        struct uuid device = uuid_of(DEVICE);
        char pem[IDENTITY_CSR_MAX], name[128];
        struct writer w = writer_on(pem, sizeof(pem));
        uint8_t der[IDENTITY_KEY_DER_MAX];
        struct writer saved = writer_on(der, sizeof(der));
        EVP_PKEY *key, *again;
        X509_REQ *request;
        BIO *bio;

        assert_int_equal(crypto_key_new(&key), 0);
        assert_true(crypto_key_save(key, &saved));
        assert_true(crypto_key_load(&again, writer_span(&saved)));
        assert_int_equal(EVP_PKEY_eq(key, again), 1);
        assert_false(crypto_key_load(&again, span_of(der, saved.n - 1)));
        assert_true(identity_csr(key, &device, &w));
        bio = BIO_new_mem_buf(w.data, (int)w.n);
        request = PEM_read_bio_X509_REQ(bio, NULL, NULL, NULL);
        assert_non_null(request);
        assert_int_equal(X509_REQ_verify(request, key), 1);
        X509_NAME_oneline(X509_REQ_get_subject_name(request), name, sizeof(name));
        assert_string_equal(name, "/CN=" DEVICE_NAME);
        assert_int_equal(X509_REQ_get_attr_count(request), 0);
        X509_REQ_free(request);
        BIO_free(bio);
        EVP_PKEY_free(key);
        EVP_PKEY_free(again);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(each_defect_of_a_leaf_is_seen),
                cmocka_unit_test(without_a_clock_no_dates),
                cmocka_unit_test(other_algorithms_are_refused),
                cmocka_unit_test(a_name_is_compared_whole),
                cmocka_unit_test(a_chain_ends_at_one_of_our_anchors),
                cmocka_unit_test(a_leaf_vouches_for_nobody),
                cmocka_unit_test(an_authority_has_its_limits),
                cmocka_unit_test(posted_certificates_are_for_us),
                cmocka_unit_test(roles_and_their_authorities),
                cmocka_unit_test(a_request_names_the_device_and_proves_the_key),
        };

        return cmocka_run_group_tests(tests, setup, teardown);
}
