#include "security/authority.h"
#include "base/memory.h"
#include "base/utf8.h"
#include "security/certificate.h"
#include "security/crypto.h"
#include "security/identity_key.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

#define YEAR_S      (INT64_C(365) * 86400)
#define ROOT_YEARS  20
#define EARLIER_S   86400 /* clocks differ */
#define SERIAL      20
#define CSR_MAX     8192u
#define ROLE_MAX    64 /* characters of a CN or OU, RFC 5280, appendix A.1 */
#define ROOT_USAGE  "critical,keyCertSign,cRLSign,digitalSignature"
#define LEAF_USAGE  "critical,digitalSignature,keyAgreement"
#define OF_IDENTITY "serverAuth,clientAuth,1.3.6.1.4.1.44924.1.6"
#define OF_ROLE     "serverAuth,clientAuth,1.3.6.1.4.1.44924.1.7"

struct authority {
        EVP_PKEY *key;
        X509 *root;
        char *pem;
        unsigned years;
};

static const char no_memory[] = "there is no memory for it";
static const char no_clock[] = "the clock of this machine cannot be trusted: set it first";

/* ---- parts of a certificate ---- */

static bool set_serial(X509 *c) {
        uint8_t bytes[SERIAL];
        BIGNUM *n;
        bool good;

        crypto_random(bytes, sizeof(bytes));
        bytes[0] = (uint8_t)((bytes[0] & 0x7f) | 0x40); /* positive, and all 20 bytes long */
        n = BN_bin2bn(bytes, sizeof(bytes), NULL);
        good = n && BN_to_ASN1_INTEGER(n, X509_get_serialNumber(c));
        BN_free(n);
        return good;
}

static bool set_times(X509 *c, int64_t from_s, int64_t until_s) {
        return ASN1_TIME_set(X509_getm_notBefore(c), (time_t)from_s) &&
               ASN1_TIME_set(X509_getm_notAfter(c), (time_t)until_s);
}

static bool add_extension(X509 *c, X509 *issuer, int nid, const char *value) {
        X509V3_CTX ctx;
        X509_EXTENSION *e;
        bool good;

        X509V3_set_ctx(&ctx, issuer, c, NULL, NULL, 0);
        e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
        good = e && X509_add_ext(c, e, -1) == 1;
        X509_EXTENSION_free(e);
        return good;
}

static bool add_name(X509_NAME *name, const char *field, struct span text) {
        return X509_NAME_add_entry_by_txt(name, field, MBSTRING_UTF8, text.data, (int)text.n, -1, 0) == 1;
}

/* One directoryName in the subjectAltName for each role. */
static bool add_role(GENERAL_NAMES *names, const struct authority_role *role) {
        X509_NAME *directory = X509_NAME_new();
        GENERAL_NAME *name = GENERAL_NAME_new();

        if (!directory || !name || !add_name(directory, "CN", role->role) ||
            (role->authority.n && !add_name(directory, "OU", role->authority))) {
                X509_NAME_free(directory);
                GENERAL_NAME_free(name);
                return false;
        }
        GENERAL_NAME_set0_value(name, GEN_DIRNAME, directory);
        if (sk_GENERAL_NAME_push(names, name))
                return true;
        GENERAL_NAME_free(name);
        return false;
}

static bool add_roles(X509 *c, const struct authority_role *roles, size_t n_roles) {
        GENERAL_NAMES *names = GENERAL_NAMES_new();
        bool good = names;

        for (size_t i = 0; good && i < n_roles; i++)
                good = add_role(names, &roles[i]);
        good = good && X509_add1_ext_i2d(c, NID_subject_alt_name, names, 0, 0) == 1;
        GENERAL_NAMES_free(names);
        return good;
}

static bool put_pem(X509 *c, struct writer *w) {
        BIO *bio = BIO_new(BIO_s_mem());
        char *text;
        long n = 0;

        if (bio && PEM_write_bio_X509(bio, c) == 1)
                n = BIO_get_mem_data(bio, &text);
        if (n > 0)
                writer_put(w, text, (size_t)n);
        BIO_free(bio);
        return n > 0 && !w->overflow;
}

/* ---- the root ---- */

static bool keep_pem(struct authority *a) {
        char buf[AUTHORITY_PEM_MAX];
        struct writer w = writer_on(buf, sizeof(buf));

        if (!put_pem(a->root, &w))
                return false;
        a->pem = ocf_duplicate_span_as_string(writer_span(&w));
        return a->pem;
}

static bool make_root(struct authority *a, int64_t now_s) {
        X509 *c = a->root = X509_new();
        X509_NAME *name = c ? X509_get_subject_name(c) : NULL;
        char cn[] = "ocfd onboarding tool 0123456789abcdef";
        uint8_t random[8];

        crypto_random(random, sizeof(random)); /* two roots of one gateway have two names */
        for (size_t i = 0; i < sizeof(random); i++)
                snprintf(cn + sizeof(cn) - 17 + 2 * i, 3, "%02x", random[i]);
        return c && X509_set_version(c, X509_VERSION_3) == 1 && set_serial(c) &&
               set_times(c, now_s - EARLIER_S, now_s + ROOT_YEARS * YEAR_S) &&
               add_name(name, "O", SPAN_LITERAL("OCF")) && add_name(name, "CN", span_of_string(cn)) &&
               X509_set_issuer_name(c, name) == 1 && X509_set_pubkey(c, a->key) == 1 &&
               add_extension(c, c, NID_basic_constraints, "critical,CA:TRUE") &&
               add_extension(c, c, NID_key_usage, ROOT_USAGE) &&
               add_extension(c, c, NID_subject_key_identifier, "hash") &&
               X509_sign(c, a->key, crypto_sha256()) > 0;
}

const char *authority_new(struct authority **ret, int64_t now_s) {
        struct authority *a;

        if (now_s < 0)
                return no_clock;
        a = ocf_new(struct authority);
        if (!a)
                return no_memory;
        a->years = AUTHORITY_YEARS;
        if (crypto_key_new(&a->key) < 0 || !make_root(a, now_s) || !keep_pem(a)) {
                ERR_clear_error();
                authority_free(a);
                return no_memory;
        }
        *ret = a;
        return NULL;
}

struct authority *authority_free(struct authority *a) {
        if (!a)
                return NULL;
        EVP_PKEY_free(a->key);
        X509_free(a->root);
        ocf_free(a->pem);
        return ocf_free(a);
}

void authority_set_years(struct authority *a, unsigned years) {
        a->years = years;
}

struct span authority_root(const struct authority *a) {
        return span_of_string(a->pem);
}

/* ---- kept ---- */

bool authority_save(const struct authority *a, struct writer *w) {
        uint8_t key[IDENTITY_KEY_DER_MAX];
        struct writer k = writer_on(key, sizeof(key));
        bool good = crypto_key_save(a->key, &k);

        if (good) {
                writer_put_u16(w, (uint16_t)k.n);
                writer_put_span(w, writer_span(&k));
                writer_put_span(w, authority_root(a));
        }
        OPENSSL_cleanse(key, sizeof(key));
        return good && !w->overflow;
}

bool authority_load(struct authority **ret, struct span bytes) {
        struct authority *a = ocf_new(struct authority);
        STACK_OF(X509) *chain = NULL;
        struct span key;
        uint16_t n;
        bool good = a && span_take_u16(&bytes, &n) && span_take(&bytes, n, &key) &&
                    crypto_key_load(&a->key, key) && (chain = certificate_read(bytes)) &&
                    sk_X509_num(chain) == 1;

        if (good) {
                a->years = AUTHORITY_YEARS;
                a->root = sk_X509_shift(chain);
                good = certificate_has_key(a->root, a->key) && keep_pem(a);
        }
        certificate_free(chain);
        if (!good) {
                ERR_clear_error();
                authority_free(a);
                return false;
        }
        *ret = a;
        return true;
}

/* ---- what is issued ---- */

static int no_passphrase(char *buf, int n, int for_writing, void *context) {
        return -1;
}

struct device_name {
        char text[5 + UUID_TEXT_MAX];
};

static struct span name_of(const struct uuid *device, struct device_name *ret) {
        *ret = (struct device_name){ "uuid:" };
        uuid_format(device, ret->text + 5);
        return span_of_string(ret->text);
}

/* CN=uuid:<device>, the one and whole CN. */
static bool names_device(const X509_NAME *name, const struct uuid *device) {
        int i = X509_NAME_get_index_by_NID(name, NID_commonName, -1);
        struct device_name wanted;
        const ASN1_STRING *s;

        if (i < 0 || X509_NAME_get_index_by_NID(name, NID_commonName, i) >= 0)
                return false;
        s = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, i));
        return span_equal_ignoring_case(span_of(ASN1_STRING_get0_data(s), (size_t)ASN1_STRING_length(s)),
                                        name_of(device, &wanted));
}

static const char *read_csr(struct span csr, const struct uuid *device, X509_REQ **ret) {
        BIO *bio = csr.n && csr.n <= CSR_MAX ? BIO_new_mem_buf(csr.data, (int)csr.n) : NULL;
        X509_REQ *request = bio ? PEM_read_bio_X509_REQ(bio, NULL, no_passphrase, NULL) : NULL;
        EVP_PKEY *key = request ? X509_REQ_get0_pubkey(request) : NULL;
        const char *problem = NULL;

        BIO_free(bio);
        if (!request)
                problem = "the device's request for a certificate is none";
        else if (!key || !crypto_key_is_p256(key))
                problem = "the device's request is for a key that is not on P-256";
        else if (X509_REQ_get_signature_nid(request) != NID_ecdsa_with_SHA256)
                problem = "the device's request is not signed with ECDSA and SHA-256";
        else if (X509_REQ_verify(request, key) != 1)
                problem = "the device's request is not signed with its own key";
        else if (!names_device(X509_REQ_get_subject_name(request), device))
                problem = "the device's request names another device";
        ERR_clear_error();
        if (problem)
                X509_REQ_free(request);
        else
                *ret = request;
        return problem;
}

/* Of the request it has the key alone. What else stands in its subject, or in its attributes, nobody has
 * looked at: some of the field look for "uuid:" anywhere in a subject. */
static bool make_leaf(struct authority *a, X509 *c, X509_REQ *request, const struct uuid *device,
                      const struct authority_role *roles, size_t n_roles, int64_t from_s, int64_t until_s) {
        struct device_name name;

        return X509_set_version(c, X509_VERSION_3) == 1 && set_serial(c) && set_times(c, from_s, until_s) &&
               add_name(X509_get_subject_name(c), "CN", name_of(device, &name)) &&
               X509_set_issuer_name(c, X509_get_subject_name(a->root)) == 1 &&
               X509_set_pubkey(c, X509_REQ_get0_pubkey(request)) == 1 &&
               add_extension(c, a->root, NID_basic_constraints, "critical,CA:FALSE") &&
               add_extension(c, a->root, NID_key_usage, LEAF_USAGE) &&
               add_extension(c, a->root, NID_ext_key_usage, n_roles ? OF_ROLE : OF_IDENTITY) &&
               add_extension(c, a->root, NID_authority_key_identifier, "keyid") &&
               (!n_roles || add_roles(c, roles, n_roles)) && X509_sign(c, a->key, crypto_sha256()) > 0;
}

static const char *check_roles(const struct authority_role *roles, size_t n_roles) {
        if (n_roles > AUTHORITY_ROLES_MAX)
                return "a certificate has at most 8 roles";
        for (size_t i = 0; i < n_roles; i++) {
                const struct authority_role *r = &roles[i];

                if (!r->role.n || r->role.n > ROLE_MAX || r->authority.n > ROLE_MAX)
                        return "a role, and its authority, have 1 to 64 bytes";
                if (!utf8_is_valid(r->role, UTF8_BUS) || !utf8_is_valid(r->authority, UTF8_BUS))
                        return "a role, and its authority, are text in UTF-8";
                if (certificate_role_is_reserved(r->role))
                        return "names of roles that begin with oic.role. are OCF's own";
        }
        return NULL;
}

const char *authority_issue(struct authority *a, struct span csr, const struct uuid *device,
                            const struct authority_role *roles, size_t n_roles, int64_t now_s,
                            struct writer *ret) {
        int64_t begin_s = certificate_begin_s(a->root), end_s = certificate_end_s(a->root);
        int64_t from_s = now_s - EARLIER_S, until_s = now_s + (int64_t)a->years * YEAR_S;
        X509_REQ *request = NULL;
        const char *problem;
        X509 *c;

        if (now_s < 0)
                return no_clock;
        if (now_s >= end_s)
                return "the authority of the onboarding tool has ended: make another tool";
        if (now_s < begin_s)
                return "the authority of the onboarding tool is from a later time: set the clock of this "
                       "machine";
        problem = check_roles(roles, n_roles);
        if (problem)
                return problem;
        problem = read_csr(csr, device, &request);
        if (problem)
                return problem;
        c = X509_new();
        if (!c ||
            !make_leaf(a, c, request, device, roles, n_roles, from_s > begin_s ? from_s : begin_s,
                       until_s < end_s ? until_s : end_s) ||
            !put_pem(c, ret))
                problem = no_memory;
        ERR_clear_error();
        X509_free(c);
        X509_REQ_free(request);
        return problem;
}
