/*
 * The authority of an onboarding tool: what it issues is accepted by our own
 * rules, by libcrypto's, and in a handshake; what it is asked for by strangers is
 * refused with a sentence.
 */
#include "pki.h"

#include "../model/scarce_memory.h"
#include "base/memory.h"
#include "security/authority.h"
#include "security/certificate.h"
#include "security/crypto.h"
#include "security/tls_cert.h"

#define DEVICE "11111111-2222-4333-8444-555555555555"
#define OTHER  "99999999-2222-4333-8444-555555555555"
#define YEAR_S (INT64_C(365) * 86400)

static struct authority *authority;
static struct uuid device, other;

static int setup(void **state) {
        assert_true(uuid_parse(&device, span_of_string(DEVICE)) && uuid_parse(&other, span_of_string(OTHER)));
        assert_null(authority_new(&authority, PKI_NOW));
        return 0;
}

static int teardown(void **state) {
        authority = authority_free(authority);
        return 0;
}

struct request {
        char pem[IDENTITY_CSR_MAX];
        size_t n;
        EVP_PKEY *key;
};

static void request_make(struct request *ret, const struct uuid *id) {
        struct writer w = writer_on(ret->pem, sizeof(ret->pem));

        assert_int_equal(crypto_key_new(&ret->key), 0);
        assert_true(identity_csr(ret->key, id, &w));
        ret->n = w.n;
}

/* What it issued, as PEM with its end, and as the one certificate that it is. */
struct issued {
        char pem[AUTHORITY_PEM_MAX + 1];
        STACK_OF(X509) * chain;
};

static const char *issue(struct authority *a, const struct request *request, const struct uuid *id,
                         const struct authority_role *roles, size_t n_roles, int64_t now_s,
                         struct issued *ret) {
        struct writer w = writer_on(ret->pem, AUTHORITY_PEM_MAX);
        const char *problem =
                authority_issue(a, span_of(request->pem, request->n), id, roles, n_roles, now_s, &w);

        ret->chain = NULL;
        if (problem)
                return problem;
        ret->pem[w.n] = 0;
        ret->chain = certificate_read(writer_span(&w));
        assert_non_null(ret->chain);
        assert_int_equal(sk_X509_num(ret->chain), 1);
        return NULL;
}

static X509 *leaf(const struct issued *issued) {
        return sk_X509_value(issued->chain, 0);
}

static void ends_at(X509 *c, int64_t from_s, int64_t until_s) {
        assert_int_equal(certificate_begin_s(c), from_s);
        assert_int_equal(certificate_end_s(c), until_s);
}

static void has_name(const X509_NAME *name, const char *wanted) {
        char text[256];

        assert_non_null(X509_NAME_oneline(name, text, sizeof(text)));
        assert_string_equal(text, wanted);
}

/* As a stranger's verifier does it: with its dates, its strictness, and for servers and clients. */
static void is_verified_by_libcrypto(X509 *c, X509 *root, int64_t now_s) {
        static const int purposes[] = { X509_PURPOSE_SSL_SERVER, X509_PURPOSE_SSL_CLIENT };

        for (size_t i = 0; i < ARRAY_SIZE(purposes); i++) {
                X509_STORE *store = X509_STORE_new();
                X509_STORE_CTX *ctx = X509_STORE_CTX_new();
                X509_VERIFY_PARAM *param;

                assert_int_equal(X509_STORE_add_cert(store, root), 1);
                assert_int_equal(X509_STORE_CTX_init(ctx, store, c, NULL), 1);
                param = X509_STORE_CTX_get0_param(ctx);
                X509_VERIFY_PARAM_set_time(param, (time_t)now_s);
                X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_X509_STRICT | X509_V_FLAG_CHECK_SS_SIGNATURE);
                X509_VERIFY_PARAM_set_auth_level(param, 2);
                assert_int_equal(X509_VERIFY_PARAM_set_purpose(param, purposes[i]), 1);
                if (X509_verify_cert(ctx) != 1)
                        fail_msg("%s", X509_verify_cert_error_string(X509_STORE_CTX_get_error(ctx)));
                X509_STORE_CTX_free(ctx);
                X509_STORE_free(store);
        }
}

static STACK_OF(X509) * root_of(const struct authority *a) {
        STACK_OF(X509) *root = certificate_read(authority_root(a));

        assert_non_null(root);
        assert_int_equal(sk_X509_num(root), 1);
        return root;
}

static void is_accepted(struct authority *a, const struct issued *issued, enum certificate_profile profile,
                        int64_t now_s) {
        STACK_OF(X509) *anchors = root_of(a);
        X509 *anchor = NULL;
        const char *problem = certificate_check(leaf(issued), profile, now_s);

        if (!problem)
                problem = certificate_chain(issued->chain, profile, anchors, now_s, &anchor);
        if (problem)
                fail_msg("%s", problem);
        assert_ptr_equal(anchor, sk_X509_value(anchors, 0));
        is_verified_by_libcrypto(leaf(issued), anchor, now_s);
        certificate_free(anchors);
}

/* ---- the root ---- */

static void a_root_is_one_and_lasts(void **state) {
        STACK_OF(X509) *root = root_of(authority), *another;
        struct authority *second;
        X509 *c = sk_X509_value(root, 0);
        const ASN1_INTEGER *serial = X509_get0_serialNumber(c);

        assert_null(certificate_check(c, CERTIFICATE_AUTHORITY, PKI_NOW));
        assert_null(certificate_check_anchor(authority_root(authority), PKI_NOW));
        is_verified_by_libcrypto(c, c, PKI_NOW);
        ends_at(c, PKI_NOW - 86400, PKI_NOW + 20 * YEAR_S);
        assert_int_equal(ASN1_STRING_length(serial), 20);
        assert_int_equal(X509_get_pathlen(c), -1);
        assert_int_equal(X509_get_key_usage(c), KU_KEY_CERT_SIGN | KU_CRL_SIGN | KU_DIGITAL_SIGNATURE);
        assert_null(authority_new(&second, PKI_NOW));
        another = root_of(second);
        assert_int_not_equal(
                X509_NAME_cmp(X509_get_subject_name(c), X509_get_subject_name(sk_X509_value(another, 0))), 0);
        assert_false(EVP_PKEY_eq(X509_get0_pubkey(c), X509_get0_pubkey(sk_X509_value(another, 0))) == 1);
        certificate_free(root);
        certificate_free(another);
        authority_free(second);
}

static void it_is_the_same_after_a_night_in_the_store(void **state) {
        uint8_t bytes[AUTHORITY_PEM_MAX], small[64];
        struct writer w = writer_on(bytes, sizeof(bytes)), little = writer_on(small, sizeof(small));
        struct authority *again;
        struct request request;
        struct issued issued;

        assert_true(authority_save(authority, &w));
        assert_false(authority_save(authority, &little));
        assert_true(authority_load(&again, writer_span(&w)));
        assert_true(span_equal(authority_root(authority), authority_root(again)));
        request_make(&request, &device);
        assert_null(issue(again, &request, &device, NULL, 0, PKI_NOW, &issued));
        is_accepted(authority, &issued, CERTIFICATE_IDENTITY, PKI_NOW);
        certificate_free(issued.chain);
        EVP_PKEY_free(request.key);
        authority_free(again);
}

static void bytes_that_are_no_authority_are_seen(void **state) {
        uint8_t bytes[AUTHORITY_PEM_MAX], mixed[AUTHORITY_PEM_MAX];
        struct writer w = writer_on(bytes, sizeof(bytes)), m = writer_on(mixed, sizeof(mixed));
        struct authority *none = NULL, *second;
        size_t n_key;

        assert_true(authority_save(authority, &w));
        for (size_t i = 0; i < w.n - 1; i += unit_stride()) /* the last one is a newline */
                if (authority_load(&none, span_of(bytes, i)))
                        fail_msg("%zu of %zu bytes are an authority", i, w.n);
        n_key = 2 + (size_t)(bytes[0] << 8 | bytes[1]);
        assert_null(authority_new(&second, PKI_NOW));
        writer_put(&m, bytes, n_key); /* the key of one, the certificate of another */
        writer_put_span(&m, authority_root(second));
        assert_false(authority_load(&none, writer_span(&m)));
        m.n = w.n; /* two certificates */
        memcpy(mixed, bytes, w.n);
        writer_put_span(&m, authority_root(authority));
        assert_false(authority_load(&none, writer_span(&m)));
        assert_null(none);
        authority_free(second);
}

/* ---- what is issued ---- */

static void an_identity_is_accepted_everywhere(void **state) {
        struct request request;
        struct issued issued, again;
        struct uuid id;

        request_make(&request, &device);
        assert_null(issue(authority, &request, &device, NULL, 0, PKI_NOW, &issued));
        is_accepted(authority, &issued, CERTIFICATE_IDENTITY, PKI_NOW);
        assert_null(certificate_check_own(span_of_string(issued.pem), CERTIFICATE_IDENTITY, request.key,
                                          &device, PKI_NOW));
        assert_true(certificate_uuid(leaf(&issued), &id) && uuid_equal(&id, &device));
        assert_true(certificate_has_key(leaf(&issued), request.key));
        has_name(X509_get_subject_name(leaf(&issued)), "/CN=uuid:" DEVICE);
        ends_at(leaf(&issued), PKI_NOW - 86400, PKI_NOW + 10 * YEAR_S);
        assert_int_equal(ASN1_STRING_length(X509_get0_serialNumber(leaf(&issued))), 20);
        assert_non_null(certificate_check(leaf(&issued), CERTIFICATE_ROLE, PKI_NOW));
        assert_null(issue(authority, &request, &device, NULL, 0, PKI_NOW, &again));
        assert_int_not_equal(
                ASN1_INTEGER_cmp(X509_get0_serialNumber(leaf(&issued)), X509_get0_serialNumber(leaf(&again))),
                0);
        certificate_free(again.chain);
        certificate_free(issued.chain);
        EVP_PKEY_free(request.key);
}

static void roles_are_in_the_certificate(void **state) {
        const struct authority_role roles[] = {
                { SPAN_LITERAL("keeper"), SPAN_LITERAL("hall") },
                { SPAN_LITERAL("W\xc3\xa4rter"), SPAN_NULL },
                { SPAN_LITERAL("oic.role.owner"), SPAN_LITERAL("me") },
        };
        static const char *const wanted[] = { "/CN=keeper/OU=hall", "/CN=W\\xC3\\xA4rter",
                                              "/CN=oic.role.owner/OU=me" };
        char *role = NULL, *its_authority = NULL;
        struct request request;
        struct issued issued;
        GENERAL_NAMES *names;

        request_make(&request, &device);
        assert_null(issue(authority, &request, &device, roles, ARRAY_SIZE(roles), PKI_NOW, &issued));
        is_accepted(authority, &issued, CERTIFICATE_ROLE, PKI_NOW);
        assert_null(certificate_check_own(span_of_string(issued.pem), CERTIFICATE_ROLE, request.key, &device,
                                          PKI_NOW));
        assert_non_null(certificate_check(leaf(&issued), CERTIFICATE_IDENTITY, PKI_NOW));
        names = X509_get_ext_d2i(leaf(&issued), NID_subject_alt_name, NULL, NULL);
        assert_int_equal(sk_GENERAL_NAME_num(names), ARRAY_SIZE(wanted));
        for (int i = 0; i < (int)ARRAY_SIZE(wanted); i++) {
                assert_int_equal(sk_GENERAL_NAME_value(names, i)->type, GEN_DIRNAME);
                has_name(sk_GENERAL_NAME_value(names, i)->d.directoryName, wanted[i]);
        }
        GENERAL_NAMES_free(names);
        assert_null(certificate_role(leaf(&issued), &role, &its_authority));
        assert_string_equal(role, "keeper");
        assert_string_equal(its_authority, "hall");
        ocf_free(role);
        ocf_free(its_authority);
        certificate_free(issued.chain);
        assert_null(issue(authority, &request, &device, &roles[1], 1, PKI_NOW, &issued)); /* the issuer's */
        assert_null(certificate_role(leaf(&issued), &role, &its_authority));
        assert_non_null(strstr(its_authority, "onboarding tool"));
        ocf_free(role);
        ocf_free(its_authority);
        certificate_free(issued.chain);
        EVP_PKEY_free(request.key);
}

static void roles_that_nobody_may_give(void **state) {
        static const char long_name[65] = "12345678901234567890123456789012345678901234567890123456789012345";
        static const struct {
                struct authority_role role;
                const char *problem;
        } rows[] = {
                { { { NULL, 0 }, { NULL, 0 } }, "1 to 64 bytes" },
                { { { (const uint8_t *)long_name, 65 }, { NULL, 0 } }, "1 to 64 bytes" },
                { { { (const uint8_t *)"a", 1 }, { (const uint8_t *)long_name, 65 } }, "1 to 64 bytes" },
                { { { (const uint8_t *)"a\xff", 2 }, { NULL, 0 } }, "UTF-8" },
                { { { (const uint8_t *)"a", 1 }, { (const uint8_t *)"\xc0\x80", 2 } }, "UTF-8" },
                { { { (const uint8_t *)"a\0b", 3 }, { NULL, 0 } }, "UTF-8" },
                { { { (const uint8_t *)"oic.role.other", 14 }, { NULL, 0 } }, "OCF's own" },
                { { { (const uint8_t *)long_name, 64 }, { (const uint8_t *)long_name, 64 } }, NULL },
        };
        struct authority_role many[AUTHORITY_ROLES_MAX + 1];
        struct request request;
        struct issued issued;

        request_make(&request, &device);
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                const char *problem = issue(authority, &request, &device, &rows[i].role, 1, PKI_NOW, &issued);

                if (!problem != !rows[i].problem || (problem && !strstr(problem, rows[i].problem)))
                        fail_msg("row %zu: %s", i, problem ? problem : "is issued");
                certificate_free(issued.chain);
        }
        for (size_t i = 0; i < ARRAY_SIZE(many); i++)
                many[i] = (struct authority_role){ SPAN_LITERAL("x"), SPAN_NULL };
        assert_null(issue(authority, &request, &device, many, AUTHORITY_ROLES_MAX, PKI_NOW, &issued));
        certificate_free(issued.chain);
        assert_non_null(issue(authority, &request, &device, many, ARRAY_SIZE(many), PKI_NOW, &issued));
        EVP_PKEY_free(request.key);
}

/* ---- time ---- */

static void no_certificate_outlives_its_root(void **state) {
        const int64_t end_s = PKI_NOW + 20 * YEAR_S;
        const struct {
                int64_t now_s, from_s, until_s;
                const char *problem;
        } rows[] = {
                { PKI_NOW, PKI_NOW - 86400, PKI_NOW + 10 * YEAR_S, NULL },
                { PKI_NOW - 3600, PKI_NOW - 86400, PKI_NOW - 3600 + 10 * YEAR_S, NULL }, /* it was set back */
                { PKI_NOW + 15 * YEAR_S, PKI_NOW + 15 * YEAR_S - 86400, end_s, NULL },
                { end_s - 1, end_s - 1 - 86400, end_s, NULL },
                { end_s, 0, 0, "has ended" },
                { end_s + YEAR_S, 0, 0, "has ended" },
                { PKI_NOW - 86401, 0, 0, "later time" },
                { -1, 0, 0, "clock" },
                { -PKI_NOW, 0, 0, "clock" },
        };
        struct authority *none = NULL;
        struct request request;

        request_make(&request, &device);
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct issued issued;
                const char *problem = issue(authority, &request, &device, NULL, 0, rows[i].now_s, &issued);

                if (!problem != !rows[i].problem || (problem && !strstr(problem, rows[i].problem)))
                        fail_msg("row %zu: %s", i, problem ? problem : "is issued");
                if (problem)
                        continue;
                ends_at(leaf(&issued), rows[i].from_s, rows[i].until_s);
                is_accepted(authority, &issued, CERTIFICATE_IDENTITY, rows[i].now_s);
                certificate_free(issued.chain);
        }
        for (unsigned years = 1; years <= AUTHORITY_YEARS_MAX; years++) {
                struct issued issued;

                authority_set_years(authority, years);
                assert_null(issue(authority, &request, &device, NULL, 0, PKI_NOW, &issued));
                ends_at(leaf(&issued), PKI_NOW - 86400, PKI_NOW + years * YEAR_S);
                certificate_free(issued.chain);
        }
        authority_set_years(authority, AUTHORITY_YEARS);
        EVP_PKEY_free(request.key);
        assert_non_null(strstr(authority_new(&none, -PKI_NOW), "clock"));
        assert_null(none);
}

/* ---- requests of strangers ---- */

struct wish {
        const char *name;
        EVP_PKEY *key, *signer; /* signer NULL: key */
        const char *cn, *cn2;
        const char *organization; /* before the CN */
        int cn_type;
        const char *hash; /* NULL: SHA256 */
        bool with_attributes;
        const char *problem;
};

static void put_request(X509_REQ *r, struct request *ret) {
        BIO *bio = BIO_new(BIO_s_mem());
        char *text;
        long n;

        assert_int_equal(PEM_write_bio_X509_REQ(bio, r), 1);
        n = BIO_get_mem_data(bio, &text);
        assert_in_range(n, 1, sizeof(ret->pem));
        memcpy(ret->pem, text, (size_t)n);
        ret->n = (size_t)n;
        BIO_free(bio);
}

static void add_entry(X509_NAME *name, const char *field, int type, const char *text) {
        if (text)
                assert_int_equal(X509_NAME_add_entry_by_txt(name, field, type ? type : MBSTRING_UTF8,
                                                            (const unsigned char *)text, -1, -1, 0),
                                 1);
}

/* It asks to be an authority of any name. */
static void add_attributes(X509_REQ *r) {
        STACK_OF(X509_EXTENSION) *wanted = sk_X509_EXTENSION_new_null();

        sk_X509_EXTENSION_push(wanted,
                               X509V3_EXT_conf_nid(NULL, NULL, NID_basic_constraints, "critical,CA:TRUE"));
        sk_X509_EXTENSION_push(wanted, X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, "DNS:bank"));
        sk_X509_EXTENSION_push(wanted, X509V3_EXT_conf_nid(NULL, NULL, NID_key_usage, "keyCertSign"));
        assert_int_equal(X509_REQ_add_extensions(r, wanted), 1);
        sk_X509_EXTENSION_pop_free(wanted, X509_EXTENSION_free);
}

static void wish_make(const struct wish *wish, struct request *ret) {
        X509_REQ *r = X509_REQ_new();
        X509_NAME *name = X509_REQ_get_subject_name(r);

        add_entry(name, "O", 0, wish->organization);
        add_entry(name, "CN", wish->cn_type, wish->cn);
        add_entry(name, "CN", 0, wish->cn2);
        assert_int_equal(X509_REQ_set_version(r, 0), 1);
        assert_int_equal(X509_REQ_set_pubkey(r, wish->key), 1);
        if (wish->with_attributes)
                add_attributes(r);
        assert_true(X509_REQ_sign(r, wish->signer ? wish->signer : wish->key,
                                  EVP_get_digestbyname(wish->hash ? wish->hash : "SHA256")) > 0);
        put_request(r, ret);
        X509_REQ_free(r);
}

static void each_hostile_request_has_its_sentence(void **state) {
        EVP_PKEY *key = EVP_EC_gen("P-256"), *another = EVP_EC_gen("P-256"), *rsa = EVP_RSA_gen(2048),
                 *p384 = EVP_EC_gen("P-384"), *koblitz = EVP_EC_gen("secp256k1"),
                 *spelled_out = pki_spelled_out_key();
        const struct wish rows[] = {
                { .name = "good", .key = key, .cn = "uuid:" DEVICE },
                { .name = "upper case", .key = key, .cn = "UUID:" DEVICE },
                { .name = "wrong key",
                  .key = key,
                  .signer = another,
                  .cn = "uuid:" DEVICE,
                  .problem = "own key" },
                { .name = "RSA", .key = rsa, .cn = "uuid:" DEVICE, .problem = "P-256" },
                { .name = "P-384", .key = p384, .cn = "uuid:" DEVICE, .problem = "P-256" },
                { .name = "secp256k1", .key = koblitz, .cn = "uuid:" DEVICE, .problem = "P-256" },
                { .name = "spelled out", .key = spelled_out, .cn = "uuid:" DEVICE, .problem = "P-256" },
                { .name = "SHA-384",
                  .key = key,
                  .cn = "uuid:" DEVICE,
                  .hash = "SHA384",
                  .problem = "SHA-256" },
                { .name = "SHA-1", .key = key, .cn = "uuid:" DEVICE, .hash = "SHA1", .problem = "SHA-256" },
                { .name = "other", .key = key, .cn = "uuid:" OTHER, .problem = "another device" },
                { .name = "no prefix", .key = key, .cn = DEVICE, .problem = "another device" },
                { .name = "more", .key = key, .cn = "uuid:" DEVICE "0", .problem = "another device" },
                { .name = "no name", .key = key, .problem = "another device" },
                { .name = "two",
                  .key = key,
                  .cn = "uuid:" DEVICE,
                  .cn2 = "uuid:" OTHER,
                  .problem = "another device" },
                { .name = "wide",
                  .key = key,
                  .cn = "uuid:" DEVICE "!",
                  .cn_type = V_ASN1_BMPSTRING,
                  .problem = "another device" },
        };
        struct issued issued;

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct request request = { 0 };
                const char *problem;

                wish_make(&rows[i], &request);
                problem = issue(authority, &request, &device, NULL, 0, PKI_NOW, &issued);
                if (!problem != !rows[i].problem || (problem && !strstr(problem, rows[i].problem)))
                        fail_msg("%s: %s", rows[i].name, problem ? problem : "is issued");
                if (!problem) /* whatever case it was written in */
                        has_name(X509_get_subject_name(leaf(&issued)), "/CN=uuid:" DEVICE);
                certificate_free(issued.chain);
        }
        EVP_PKEY_free(key);
        EVP_PKEY_free(another);
        EVP_PKEY_free(rsa);
        EVP_PKEY_free(p384);
        EVP_PKEY_free(koblitz);
        EVP_PKEY_free(spelled_out);
}

/* Some of the field search a subject for the first "uuid:". Attributes are wishes. */
static void nothing_is_issued_but_a_name_and_a_key(void **state) {
        EVP_PKEY *key = EVP_EC_gen("P-256");
        const struct wish wish = {
                .key = key, .organization = "uuid:" OTHER, .cn = "uuid:" DEVICE, .with_attributes = true
        };
        static const int wanted[] = { NID_basic_constraints, NID_key_usage, NID_ext_key_usage,
                                      NID_authority_key_identifier };
        struct request request = { 0 };
        struct issued issued;

        wish_make(&wish, &request);
        assert_null(issue(authority, &request, &device, NULL, 0, PKI_NOW, &issued));
        has_name(X509_get_subject_name(leaf(&issued)), "/CN=uuid:" DEVICE);
        assert_int_equal(X509_get_ext_count(leaf(&issued)), ARRAY_SIZE(wanted));
        for (size_t i = 0; i < ARRAY_SIZE(wanted); i++)
                assert_true(X509_get_ext_by_NID(leaf(&issued), wanted[i], -1) >= 0);
        is_accepted(authority, &issued, CERTIFICATE_IDENTITY, PKI_NOW);
        certificate_free(issued.chain);
        EVP_PKEY_free(key);
}

/* The bytes of the DER, cut off and changed one after the other, in PEM that is right. */
static void a_request_that_was_cut_or_changed_is_refused(void **state) {
        uint8_t der[IDENTITY_CSR_MAX], bad[IDENTITY_CSR_MAX];
        char base64[2 * IDENTITY_CSR_MAX];
        struct request request, changed = { 0 };
        struct issued issued;
        X509_REQ *r;
        uint8_t *at = der;
        BIO *bio;
        size_t n;

        request_make(&request, &device);
        for (size_t i = 0; i < request.n - 1; i += unit_stride()) {
                struct writer w = writer_on(issued.pem, AUTHORITY_PEM_MAX);

                assert_non_null(
                        authority_issue(authority, span_of(request.pem, i), &device, NULL, 0, PKI_NOW, &w));
                assert_int_equal(w.n, 0);
        }
        bio = BIO_new_mem_buf(request.pem, (int)request.n);
        r = PEM_read_bio_X509_REQ(bio, NULL, NULL, NULL);
        n = (size_t)i2d_X509_REQ(r, &at);
        for (size_t i = 0; i < 2 * n; i += unit_stride()) {
                size_t n_bad = i < n ? i : n;

                memcpy(bad, der, n);
                if (i >= n)
                        bad[i - n] ^= 0x10;
                base64[EVP_EncodeBlock((unsigned char *)base64, bad, (int)n_bad)] = 0;
                changed.n = (size_t)snprintf(changed.pem, sizeof(changed.pem),
                                             "-----BEGIN CERTIFICATE REQUEST-----\n%s\n"
                                             "-----END CERTIFICATE REQUEST-----\n",
                                             base64);
                if (!issue(authority, &changed, &device, NULL, 0, PKI_NOW, &issued))
                        fail_msg("byte %zu of %zu: is issued", i, n);
        }
        BIO_free(bio);
        X509_REQ_free(r);
        EVP_PKEY_free(request.key);
}

static void what_is_no_request_is_refused(void **state) {
        static char big[10000];
        struct writer w = writer_on(big, sizeof(big));
        const struct span rows[] = {
                SPAN_NULL,
                SPAN_LITERAL("csr"),
                authority_root(authority),
                span_of(big, sizeof(big)),
                SPAN_LITERAL("-----BEGIN CERTIFICATE REQUEST-----\nProc-Type: 4,ENCRYPTED\n"
                             "DEK-Info: AES-128-CBC,00112233445566778899AABBCCDDEEFF\n\nAAAA\n"
                             "-----END CERTIFICATE REQUEST-----\n"),
        };
        struct request request;

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
                assert_non_null(strstr(authority_issue(authority, rows[i], &device, NULL, 0, PKI_NOW, &w),
                                       "request for a certificate is none"));
        request_make(&request, &device);
        for (size_t n = 0; n < 700; n += 50) { /* there is no room for it */
                w = writer_on(big, n);
                assert_non_null(authority_issue(authority, span_of(request.pem, request.n), &device, NULL, 0,
                                                PKI_NOW, &w));
        }
        EVP_PKEY_free(request.key);
}

/* ---- in use ---- */

static struct tls_cert_context *context_of(const struct issued *issued, EVP_PKEY *key,
                                           const struct authority *anchor) {
        const struct tls_cert_trust trust = { .pem = authority_root(anchor),
                                              .any_subject = true,
                                              .credid = 5 };
        const struct tls_cert_identity identity = { .chain = span_of_string(issued->pem),
                                                    .key = key,
                                                    .trust = &trust,
                                                    .n_trust = 1,
                                                    .ask_peer = true };
        struct tls_cert_context *c;

        assert_int_equal(tls_cert_context_new(&c, &identity), 0);
        return c;
}

static void run(struct tls *client, struct tls *server) {
        static uint8_t bytes[TLS_RECORD_MAX];
        struct span data;

        for (unsigned i = 0; i < 20; i++) {
                struct tls *from = i % 2 ? server : client, *to = i % 2 ? client : server;
                size_t n;

                while ((n = tls_transmit(from, 1000, bytes, sizeof(bytes))) > 0) {
                        tls_receive(to, 1000, bytes, n);
                        while (tls_next(to, 1000, &data))
                                continue;
                }
        }
}

static void two_devices_of_one_authority_meet(void **state) {
        struct request requests[2];
        struct issued issued[2];
        struct authority *stranger;
        struct tls_cert_context *contexts[2], *strange;

        assert_null(authority_new(&stranger, PKI_NOW));
        for (size_t i = 0; i < 2; i++) {
                request_make(&requests[i], i ? &other : &device);
                assert_null(
                        issue(authority, &requests[i], i ? &other : &device, NULL, 0, PKI_NOW, &issued[i]));
                contexts[i] = context_of(&issued[i], requests[i].key, authority);
        }
        strange = context_of(&issued[1], requests[1].key, stranger); /* it believes another authority */
        for (size_t i = 0; i < 3; i++) {
                const struct tls_cert_config c = {
                        .context = contexts[i == 1], .client = true, .stream = true, .wall_s = PKI_NOW
                };
                const struct tls_cert_config s = {
                        .context = i == 2 ? strange : contexts[i == 0],
                        .stream = true,
                        .suite = TLS_ECDHE_ECDSA_AES_128_CCM_8,
                        .wall_s = PKI_NOW,
                };
                struct tls_cert_peer peer;
                struct tls *client, *server;

                assert_int_equal(tls_cert_new(&client, &c, 1000), 0);
                assert_int_equal(tls_cert_new(&server, &s, 1000), 0);
                run(client, server);
                assert_int_equal(server->state, i == 2 ? TLS_CLOSED : TLS_OPEN);
                if (i < 2) {
                        assert_int_equal(client->state, TLS_OPEN);
                        tls_cert_peer(client, &peer);
                        assert_true(uuid_equal(&peer.id, i ? &device : &other));
                        tls_cert_peer(server, &peer);
                        assert_true(uuid_equal(&peer.id, i ? &other : &device));
                        assert_int_equal(peer.credid, 5);
                } else {
                        assert_int_equal(server->failure, TLS_FAILURE_CERTIFICATE);
                }
                tls_free(client);
                tls_free(server);
        }
        for (size_t i = 0; i < 2; i++) {
                tls_cert_context_unref(contexts[i]);
                certificate_free(issued[i].chain);
                EVP_PKEY_free(requests[i].key);
        }
        tls_cert_context_unref(strange);
        authority_free(stranger);
}

/* ---- without memory ---- */

/* libcrypto's allocations are counted as well, while it is asked for something. */
static void *library_malloc(size_t n, const char *file, int line) {
        return refused() ? NULL : malloc(n);
}

static void *library_realloc(void *p, size_t n, const char *file, int line) {
        return refused() ? NULL : realloc(p, n);
}

static void library_free(void *p, const char *file, int line) {
        free(p);
}

static void without_memory_there_is_a_sentence_and_nothing_else(void **state) {
        const struct authority_role role = { SPAN_LITERAL("keeper"), SPAN_LITERAL("hall") };
        uint8_t bytes[AUTHORITY_PEM_MAX];
        struct writer saved = writer_on(bytes, sizeof(bytes));
        struct authority *again = NULL;
        struct request request;
        int n_failed = 0, n;

        assert_true(authority_save(authority, &saved));
        request_make(&request, &device);
        for (n = 0; !again; n += (int)unit_stride()) {
                const char *problem;

                allocations_left = n;
                problem = authority_load(&again, writer_span(&saved)) ? NULL : "no memory";
                allocations_left = -1;
                assert_int_equal(!problem, again != NULL);
                n_failed += problem != NULL;
        }
        assert_true(n_failed > (unit_stride() > 1 ? 0 : 3));
        for (size_t i = 0, done = 0; !done; i += unit_stride()) {
                struct writer w = writer_on(bytes, sizeof(bytes));
                const char *problem;

                allocations_left = (int)i;
                problem = authority_issue(again, span_of(request.pem, request.n), &device, &role, 1, PKI_NOW,
                                          &w);
                done = allocations_left >= 0; /* none was refused */
                allocations_left = -1;
                if (done)
                        assert_null(problem);
                if (problem)
                        assert_int_equal(w.n, 0);
                else
                        assert_null(certificate_check_own(writer_span(&w), CERTIFICATE_ROLE, request.key,
                                                          &device, PKI_NOW));
        }
        authority_free(again);
        EVP_PKEY_free(request.key);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_root_is_one_and_lasts),
                cmocka_unit_test(it_is_the_same_after_a_night_in_the_store),
                cmocka_unit_test(bytes_that_are_no_authority_are_seen),
                cmocka_unit_test(an_identity_is_accepted_everywhere),
                cmocka_unit_test(roles_are_in_the_certificate),
                cmocka_unit_test(roles_that_nobody_may_give),
                cmocka_unit_test(no_certificate_outlives_its_root),
                cmocka_unit_test(each_hostile_request_has_its_sentence),
                cmocka_unit_test(nothing_is_issued_but_a_name_and_a_key),
                cmocka_unit_test(a_request_that_was_cut_or_changed_is_refused),
                cmocka_unit_test(what_is_no_request_is_refused),
                cmocka_unit_test(two_devices_of_one_authority_meet),
                cmocka_unit_test(without_memory_there_is_a_sentence_and_nothing_else),
        };

        if (CRYPTO_set_mem_functions(library_malloc, library_realloc, library_free) != 1)
                return 1;
        return cmocka_run_group_tests(tests, setup, teardown);
}
