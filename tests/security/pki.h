/*
 * A small PKI for tests: authorities and certificates with whatever is right,
 * or wrong, about them.
 */
#ifndef OCF_TESTS_PKI_H
#define OCF_TESTS_PKI_H

#include "../unit.h"

#include "base/util.h"
#include "security/identity_key.h"

#include <openssl/core_names.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

#define PKI_NOW      INT64_C(1800000000)
#define PKI_END_USE  "critical,digitalSignature,keyAgreement"
#define PKI_IDENTITY "serverAuth,clientAuth,1.3.6.1.4.1.44924.1.6"
#define PKI_ROLE     "1.3.6.1.4.1.44924.1.7"

struct pki_what {
        const char *cn;       /* NULL: no subject at all */
        const char *cn2;      /* a second CN */
        int cn_type;          /* MBSTRING_UTF8 where 0 */
        size_t n_cn;          /* bytes of cn; 0: a C string */
        const char *usage;    /* key usage; NULL: PKI_END_USE */
        const char *extended; /* extended key usage; NULL: PKI_IDENTITY; "": none */
        const char *basic;    /* basic constraints; NULL: CA:FALSE; "": none */
        const char *role, *authority;
        int64_t from_s, until_s; /* 0: a day around PKI_NOW */
        const EVP_MD *hash;
        int version; /* 0: 3 */
};

struct pki_one {
        EVP_PKEY *key;
        X509 *certificate;
        char pem[4096];
};

static OCF_UNUSED void pki_extension(X509 *c, X509 *issuer, int nid, const char *value) {
        X509V3_CTX ctx;
        X509_EXTENSION *e;

        if (!value[0])
                return;
        X509V3_set_ctx(&ctx, issuer, c, NULL, NULL, 0);
        e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
        assert_non_null(e);
        assert_int_equal(X509_add_ext(c, e, -1), 1);
        X509_EXTENSION_free(e);
}

static OCF_UNUSED void pki_role(X509 *c, const struct pki_what *what) {
        GENERAL_NAMES *names = GENERAL_NAMES_new();
        GENERAL_NAME *name = GENERAL_NAME_new();
        X509_NAME *directory = X509_NAME_new();

        assert_int_equal(X509_NAME_add_entry_by_txt(directory, "CN", MBSTRING_UTF8,
                                                    (const unsigned char *)what->role, -1, -1, 0),
                         1);
        if (what->authority)
                X509_NAME_add_entry_by_txt(directory, "OU", MBSTRING_UTF8,
                                           (const unsigned char *)what->authority, -1, -1, 0);
        name->type = GEN_DIRNAME;
        name->d.directoryName = directory;
        sk_GENERAL_NAME_push(names, name);
        assert_int_equal(X509_add1_ext_i2d(c, NID_subject_alt_name, names, 0, 0), 1);
        GENERAL_NAMES_free(names);
}

static OCF_UNUSED void pki_pem(struct pki_one *one) {
        BIO *bio = BIO_new(BIO_s_mem());
        char *text;
        long n;

        PEM_write_bio_X509(bio, one->certificate);
        n = BIO_get_mem_data(bio, &text);
        assert_in_range(n, 1, sizeof(one->pem) - 1);
        memcpy(one->pem, text, (size_t)n);
        one->pem[n] = 0;
        BIO_free(bio);
}

static OCF_UNUSED void pki_time(ASN1_TIME *t, int64_t s) {
        assert_non_null(ASN1_TIME_set(t, (time_t)s));
}

/* issuer NULL: by itself. key NULL: a new one. */
static OCF_UNUSED void pki_make(struct pki_one *ret, const struct pki_what *what,
                                const struct pki_one *issuer, EVP_PKEY *key) {
        static long serial = 1;
        X509 *c = X509_new();
        X509_NAME *name = X509_get_subject_name(c);
        int type = what->cn_type ? what->cn_type : MBSTRING_UTF8;

        if (key)
                EVP_PKEY_up_ref(key);
        else
                assert_int_equal(crypto_key_new(&key), 0);
        *ret = (struct pki_one){ .key = key, .certificate = c };
        X509_set_version(c, what->version ? what->version - 1 : X509_VERSION_3);
        ASN1_INTEGER_set(X509_get_serialNumber(c), serial++);
        pki_time(X509_getm_notBefore(c), what->from_s ? what->from_s : PKI_NOW - 86400);
        pki_time(X509_getm_notAfter(c), what->until_s ? what->until_s : PKI_NOW + 86400);
        if (what->cn)
                assert_int_equal(X509_NAME_add_entry_by_txt(name, "CN", type, (const unsigned char *)what->cn,
                                                            what->n_cn ? (int)what->n_cn : -1, -1, 0),
                                 1);
        if (what->cn2)
                X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)what->cn2, -1,
                                           -1, 0);
        X509_set_issuer_name(c, issuer ? X509_get_subject_name(issuer->certificate) : name);
        X509_set_pubkey(c, key);
        if (!what->version || what->version == 3) {
                pki_extension(c, issuer ? issuer->certificate : c, NID_basic_constraints,
                              what->basic ? what->basic : "critical,CA:FALSE");
                pki_extension(c, c, NID_key_usage, what->usage ? what->usage : PKI_END_USE);
                pki_extension(c, c, NID_ext_key_usage, what->extended ? what->extended : PKI_IDENTITY);
                if (what->role)
                        pki_role(c, what);
        }
        assert_true(X509_sign(c, issuer ? issuer->key : key, what->hash ? what->hash : EVP_sha256()) > 0);
        pki_pem(ret);
}

static OCF_UNUSED void pki_authority(struct pki_one *ret, const char *cn, const struct pki_one *issuer) {
        const struct pki_what what = { .cn = cn,
                                       .usage = "critical,keyCertSign,cRLSign,digitalSignature",
                                       .extended = "",
                                       .basic = "critical,CA:TRUE" };

        pki_make(ret, &what, issuer, NULL);
}

/* On P-256, which its certificates do not name but spell out. */
static OCF_UNUSED EVP_PKEY *pki_spelled_out_key(void) {
        EVP_PKEY *key = EVP_EC_gen("P-256");

        assert_int_equal(EVP_PKEY_set_utf8_string_param(key, OSSL_PKEY_PARAM_EC_ENCODING,
                                                        OSSL_PKEY_EC_ENCODING_EXPLICIT),
                         1);
        return key;
}

static OCF_UNUSED void pki_free(struct pki_one *one) {
        EVP_PKEY_free(one->key);
        X509_free(one->certificate);
        *one = (struct pki_one){ 0 };
}

#endif
