#include "security/certificate.h"
#include "base/memory.h"
#include "security/identity_key.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/objects.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <string.h>

#define OID_IDENTITY "1.3.6.1.4.1.44924.1.6"
#define OID_ROLE     "1.3.6.1.4.1.44924.1.7"

static const char no_memory[] = "there is no memory to look at it";

/* ---- reading ---- */

void certificate_free(STACK_OF(X509) * chain) {
        sk_X509_pop_free(chain, X509_free);
}

static int no_passphrase(char *buf, int n, int for_writing, void *context) {
        return -1;
}

STACK_OF(X509) * certificate_read(struct span pem) {
        STACK_OF(X509) *chain = sk_X509_new_null();
        BIO *bio = BIO_new_mem_buf(pem.data, (int)pem.n);
        bool good = chain && bio;
        X509 *c;

        while (good && (c = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL)))
                if (sk_X509_num(chain) == CERTIFICATE_CHAIN_MAX || !sk_X509_push(chain, c)) {
                        X509_free(c);
                        good = false;
                }
        if (good) /* it ends with "there are no more", not with one that is broken */
                good = sk_X509_num(chain) > 0 && ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
        ERR_clear_error();
        BIO_free(bio);
        if (good)
                return chain;
        certificate_free(chain);
        return NULL;
}

/* ---- names ---- */

/* The one CN, as bytes that are ASCII or UTF-8: of BMPString and others nobody in OCF knows. */
static bool common_name(const X509_NAME *name, int nid, struct span *ret) {
        int i = X509_NAME_get_index_by_NID(name, nid, -1);
        const ASN1_STRING *s;

        if (i < 0 || X509_NAME_get_index_by_NID(name, nid, i) >= 0)
                return false;
        s = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, i));
        if (ASN1_STRING_type(s) != V_ASN1_UTF8STRING && ASN1_STRING_type(s) != V_ASN1_PRINTABLESTRING &&
            ASN1_STRING_type(s) != V_ASN1_IA5STRING)
                return false;
        *ret = span_of(ASN1_STRING_get0_data(s), (size_t)ASN1_STRING_length(s));
        return ret->n > 0 && !memchr(ret->data, 0, ret->n);
}

bool certificate_uuid(X509 *c, struct uuid *ret) {
        struct span name, prefix;

        return common_name(X509_get_subject_name(c), NID_commonName, &name) && span_take(&name, 5, &prefix) &&
               span_equal_ignoring_case(prefix, SPAN_LITERAL("uuid:")) && uuid_parse(ret, name) &&
               !uuid_is_nil(ret);
}

static bool is_self_issued(const X509 *c) {
        return X509_NAME_cmp(X509_get_subject_name(c), X509_get_issuer_name(c)) == 0;
}

/* ---- profiles ---- */

static bool is_oid(const ASN1_OBJECT *o, const char *wanted) {
        char text[80];
        int n = OBJ_obj2txt(text, sizeof(text), o, 1);

        return n > 0 && n < (int)sizeof(text) && strcmp(text, wanted) == 0;
}

struct usages {
        bool server, client, identity, role, any;
};

static bool extended_usages(const X509 *c, struct usages *ret) {
        EXTENDED_KEY_USAGE *list = X509_get_ext_d2i(c, NID_ext_key_usage, NULL, NULL);

        *ret = (struct usages){ 0 };
        if (!list)
                return false;
        for (int i = 0; i < sk_ASN1_OBJECT_num(list); i++) {
                const ASN1_OBJECT *o = sk_ASN1_OBJECT_value(list, i);

                ret->server |= OBJ_obj2nid(o) == NID_server_auth;
                ret->client |= OBJ_obj2nid(o) == NID_client_auth;
                ret->any |= OBJ_obj2nid(o) == NID_anyExtendedKeyUsage;
                ret->identity |= is_oid(o, OID_IDENTITY);
                ret->role |= is_oid(o, OID_ROLE);
        }
        EXTENDED_KEY_USAGE_free(list);
        return true;
}

#define END_USAGE  (KU_DIGITAL_SIGNATURE | KU_KEY_AGREEMENT)
#define CA_USAGE   KU_KEY_CERT_SIGN
#define CA_ALLOWED (KU_KEY_CERT_SIGN | KU_CRL_SIGN | KU_DIGITAL_SIGNATURE)

static const char *check_end(X509 *c, enum certificate_profile profile) {
        uint32_t flags = X509_get_extension_flags(c), usage = X509_get_key_usage(c);
        struct usages usages;

        if (flags & EXFLAG_CA)
                return "it is an authority's, where one of a device is wanted";
        if (is_self_issued(c))
                return "it is issued by itself";
        if (!(flags & EXFLAG_KUSAGE) || usage != END_USAGE)
                return "its key usage is not digitalSignature and keyAgreement alone";
        if (!extended_usages(c, &usages) || usages.any)
                return "its extended key usage is missing, or is any";
        if (profile == CERTIFICATE_ROLE)
                return usages.role && !usages.identity ? NULL : "it is not for a role of OCF";
        if (!usages.server || !usages.client)
                return "it is not for clients and servers";
        return usages.identity && !usages.role ? NULL : "it is not for an identity of OCF";
}

static const char *check_authority(X509 *c) {
        uint32_t flags = X509_get_extension_flags(c), usage = X509_get_key_usage(c);

        if (!(flags & EXFLAG_BCONS) || !(flags & EXFLAG_CA))
                return "it is not an authority's";
        if (!(flags & EXFLAG_KUSAGE) || !(usage & CA_USAGE) || usage & ~(uint32_t)CA_ALLOWED)
                return "its key usage is not that of an authority";
        return NULL;
}

static const char *check_dates(const X509 *c, int64_t now_s) {
        time_t now = (time_t)(now_s < 0 ? -now_s : now_s);

        int begin = X509_cmp_time(X509_get0_notBefore(c), &now); /* 0: it is no date at all */

        if (!begin || (begin > 0 && now_s >= 0))
                return "it is not valid yet";
        return X509_cmp_time(X509_get0_notAfter(c), &now) <= 0 ? "it has expired" : NULL;
}

const char *certificate_check(X509 *c, enum certificate_profile profile, int64_t now_s) {
        const EVP_PKEY *key = X509_get0_pubkey(c);
        const char *problem;

        if (X509_get_version(c) != X509_VERSION_3 || X509_get_extension_flags(c) & EXFLAG_INVALID)
                return "it is not of version 3, or its extensions are broken";
        if (!key || !crypto_key_is_p256(key)) /* before anything is done with it */
                return "its key is not on P-256";
        if (X509_get_signature_nid(c) != NID_ecdsa_with_SHA256)
                return "it is not signed with ECDSA and SHA-256";
        if (X509_get_extension_flags(c) & EXFLAG_CRITICAL)
                return "it has a critical extension that is not known";
        problem = profile == CERTIFICATE_AUTHORITY ? check_authority(c) : check_end(c, profile);
        return problem ? problem : check_dates(c, now_s);
}

bool certificate_has_key(X509 *c, EVP_PKEY *key) {
        EVP_PKEY *its = X509_get0_pubkey(c);

        return its && EVP_PKEY_eq(its, key) == 1;
}

static int64_t seconds_of(const ASN1_TIME *t) {
        ASN1_TIME *epoch = ASN1_TIME_set(NULL, 0);
        int days = 0, seconds = 0;
        bool good = epoch && ASN1_TIME_diff(&days, &seconds, epoch, t) == 1;

        ASN1_TIME_free(epoch);
        return good ? (int64_t)days * 86400 + seconds : 0;
}

int64_t certificate_begin_s(X509 *c) {
        return seconds_of(X509_get0_notBefore(c));
}

int64_t certificate_end_s(X509 *c) {
        return seconds_of(X509_get0_notAfter(c));
}

/* ---- roles ---- */

static const X509_NAME *directory_name(const GENERAL_NAMES *names) {
        for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
                const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);

                if (name->type == GEN_DIRNAME)
                        return name->d.directoryName;
        }
        return NULL;
}

/* security.md 5.6: names of OCF's own are nobody's to give, but for that of the owner. */
bool certificate_role_is_reserved(struct span role) {
        return span_has_prefix(role, SPAN_LITERAL("oic.role.")) && !span_equal_string(role, "oic.role.owner");
}

const char *certificate_role(X509 *c, char **ret_role, char **ret_authority) {
        GENERAL_NAMES *names = X509_get_ext_d2i(c, NID_subject_alt_name, NULL, NULL);
        const X509_NAME *name = names ? directory_name(names) : NULL;
        const char *problem = NULL;
        struct span role, authority;

        if (!name || !common_name(name, NID_commonName, &role)) {
                problem = "it names no role";
        } else if (certificate_role_is_reserved(role)) {
                problem = "the role that it names is reserved";
        } else if (!common_name(name, NID_organizationalUnitName, &authority) &&
                   !common_name(X509_get_issuer_name(c), NID_commonName, &authority)) {
                problem = "it names no authority for its role";
        } else {
                *ret_role = ocf_duplicate_span_as_string(role);
                *ret_authority = ocf_duplicate_span_as_string(authority);
                if (!*ret_role || !*ret_authority) {
                        ocf_free(*ret_role);
                        ocf_free(*ret_authority);
                        problem = no_memory;
                }
        }
        GENERAL_NAMES_free(names);
        return problem;
}

/* ---- chains ---- */

static bool verify(X509_STORE_CTX *ctx) {
        X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(ctx);
        bool good;

        X509_VERIFY_PARAM_set_depth(param, (int)CERTIFICATE_CHAIN_MAX);
        X509_VERIFY_PARAM_set_auth_level(param, 0); /* what is allowed is said by the profiles */
        /* The dates are looked at below, with our time. The authority that was provisioned is what is
         * trusted, whether it signs itself or not. */
        X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_NO_CHECK_TIME | X509_V_FLAG_PARTIAL_CHAIN);
        good = X509_verify_cert(ctx) == 1;
        ERR_clear_error();
        return good;
}

static const char *check_elements(STACK_OF(X509) * verified, enum certificate_profile profile,
                                  int64_t now_s) {
        int n = sk_X509_num(verified);
        const char *problem = certificate_check(sk_X509_value(verified, 0), profile, now_s);

        for (int i = 1; i < n && !problem; i++)
                problem = certificate_check(sk_X509_value(verified, i), CERTIFICATE_AUTHORITY, now_s);
        return problem;
}

static const char nobody[] = "no authority that is trusted here vouches for it";

static const char *chain_to(STACK_OF(X509) * chain, enum certificate_profile profile, STACK_OF(X509) * anchor,
                            int64_t now_s) {
        X509_STORE_CTX *ctx = X509_STORE_CTX_new();
        X509_STORE *store = X509_STORE_new();
        const char *problem = no_memory;

        if (ctx && store && X509_STORE_CTX_init(ctx, store, sk_X509_value(chain, 0), chain) == 1) {
                X509_STORE_CTX_set0_trusted_stack(ctx, anchor);
                if (!verify(ctx))
                        problem = nobody;
                else if (sk_X509_num(X509_STORE_CTX_get0_chain(ctx)) < 2)
                        problem = "it is its own authority";
                else
                        problem = check_elements(X509_STORE_CTX_get0_chain(ctx), profile, now_s);
        }
        X509_STORE_CTX_free(ctx);
        X509_STORE_free(store);
        return problem;
}

/* One after the other: of two authorities of the same name libcrypto would look at the first alone, and two
 * onboarding tools may well call theirs the same. */
const char *certificate_chain(STACK_OF(X509) * chain, enum certificate_profile profile,
                              STACK_OF(X509) * anchors, int64_t now_s, X509 **ret_anchor) {
        const char *problem = nobody;

        if (!sk_X509_num(chain))
                return "it showed no certificate";
        for (int i = 0; i < sk_X509_num(anchors); i++) {
                STACK_OF(X509) *one = sk_X509_new_null();
                const char *its_problem;

                if (!one || !sk_X509_push(one, sk_X509_value(anchors, i))) {
                        sk_X509_free(one);
                        return no_memory;
                }
                its_problem = chain_to(chain, profile, one, now_s);
                sk_X509_free(one);
                if (!its_problem) {
                        *ret_anchor = sk_X509_value(anchors, i);
                        return NULL;
                }
                if (problem == nobody)
                        problem = its_problem; /* one that vouches for a bad one says more */
        }
        return problem;
}

/* ---- what is posted ---- */

const char *certificate_check_anchor(struct span pem, int64_t now_s) {
        STACK_OF(X509) *chain = certificate_read(pem);
        const char *problem;

        if (!chain)
                return "it is no certificate";
        /* Its key may be of any kind: a cloud's is. Whether it is good enough for a device is looked at when
         * it vouches for one. */
        problem = sk_X509_num(chain) != 1 ? "it is more than one certificate"
                                          : check_authority(sk_X509_value(chain, 0));
        if (!problem)
                problem = check_dates(sk_X509_value(chain, 0), now_s);
        if (!problem && is_self_issued(sk_X509_value(chain, 0)) &&
            X509_verify(sk_X509_value(chain, 0), X509_get0_pubkey(sk_X509_value(chain, 0))) != 1)
                problem = "it did not sign itself";
        ERR_clear_error();
        certificate_free(chain);
        return problem;
}

static const char *check_own(STACK_OF(X509) * chain, enum certificate_profile profile, EVP_PKEY *key,
                             const struct uuid *device, int64_t now_s) {
        X509 *leaf = sk_X509_value(chain, 0);
        const char *problem = certificate_check(leaf, profile, now_s);
        struct uuid id;

        if (problem)
                return problem;
        if (!certificate_has_key(leaf, key))
                return "it is for another key than that of the last certificate request";
        if (!certificate_uuid(leaf, &id) || !uuid_equal(&id, device))
                return "it names another device";
        for (int i = 1; i < sk_X509_num(chain) && !problem; i++) {
                problem = certificate_check(sk_X509_value(chain, i), CERTIFICATE_AUTHORITY, now_s);
                if (!problem &&
                    X509_verify(sk_X509_value(chain, i - 1), X509_get0_pubkey(sk_X509_value(chain, i))) != 1)
                        problem = "the authority that stands behind it did not sign it";
        }
        ERR_clear_error();
        return problem;
}

const char *certificate_check_own(struct span pem, enum certificate_profile profile, EVP_PKEY *key,
                                  const struct uuid *device, int64_t now_s) {
        STACK_OF(X509) *chain = certificate_read(pem);
        const char *problem;

        if (!chain)
                return "it is no certificate";
        problem = check_own(chain, profile, key, device, now_s);
        certificate_free(chain);
        return problem;
}
