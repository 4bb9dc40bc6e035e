#include "security/identity_key.h"
#include "security/crypto.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>

int crypto_key_new(EVP_PKEY **ret) {
        uint8_t point[CRYPTO_POINT];

        *ret = crypto_ecdh_new(point);
        return *ret ? 0 : -ENOMEM;
}

/* A curve that is spelled out, be it this one, is none of ours (RFC 5480, 2.1.1): other libraries refuse it.
 */
static bool is_spelled_out(const EVP_PKEY *key) {
        int explicit = 0;

        return EVP_PKEY_get_int_param(key, OSSL_PKEY_PARAM_EC_DECODED_FROM_EXPLICIT_PARAMS, &explicit) == 1 &&
               explicit;
}

bool crypto_key_is_p256(const EVP_PKEY *key) {
        char group[32];
        size_t n;

        return EVP_PKEY_is_a(key, "EC") && EVP_PKEY_get_group_name(key, group, sizeof(group), &n) == 1 &&
               strcmp(group, "prime256v1") == 0 && !is_spelled_out(key);
}

bool crypto_key_save(EVP_PKEY *key, struct writer *w) {
        PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(key);
        unsigned char *der = NULL;
        int n = info ? i2d_PKCS8_PRIV_KEY_INFO(info, &der) : 0;

        PKCS8_PRIV_KEY_INFO_free(info);
        if (n > 0)
                writer_put(w, der, (size_t)n);
        OPENSSL_clear_free(der, n > 0 ? (size_t)n : 0);
        return n > 0 && !w->overflow;
}

static bool accept(EVP_PKEY **ret, EVP_PKEY *key) {
        if (!key || !crypto_key_is_p256(key)) {
                EVP_PKEY_free(key);
                return false;
        }
        *ret = key;
        return true;
}

bool crypto_key_load(EVP_PKEY **ret, struct span der) {
        const unsigned char *at = der.data;
        PKCS8_PRIV_KEY_INFO *info = d2i_PKCS8_PRIV_KEY_INFO(NULL, &at, (long)der.n);
        EVP_PKEY *key = info && at == der.data + der.n ? EVP_PKCS82PKEY(info) : NULL;

        PKCS8_PRIV_KEY_INFO_free(info);
        return accept(ret, key);
}

static int no_passphrase(char *buf, int n, int for_writing, void *context) {
        return -1;
}

bool crypto_key_load_pem(EVP_PKEY **ret, struct span pem) {
        BIO *bio = BIO_new_mem_buf(pem.data, (int)pem.n);
        EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL) : NULL;

        BIO_free(bio);
        return accept(ret, key);
}

static bool copy_out(BIO *bio, struct writer *w) {
        char *text;
        long n = BIO_get_mem_data(bio, &text);

        return n > 0 && writer_put(w, text, (size_t)n);
}

bool identity_csr(EVP_PKEY *key, const struct uuid *device, struct writer *ret_pem) {
        char name[5 + UUID_TEXT_MAX] = "uuid:";
        X509_REQ *request = X509_REQ_new();
        BIO *bio = BIO_new(BIO_s_mem());
        bool good;

        uuid_format(device, name + 5);
        good = request && bio && X509_REQ_set_version(request, 0) == 1 &&
               X509_NAME_add_entry_by_txt(X509_REQ_get_subject_name(request), "CN", MBSTRING_UTF8,
                                          (const unsigned char *)name, -1, -1, 0) == 1 &&
               X509_REQ_set_pubkey(request, key) == 1 && X509_REQ_sign(request, key, crypto_sha256()) > 0 &&
               PEM_write_bio_X509_REQ(bio, request) == 1 && copy_out(bio, ret_pem);
        BIO_free(bio);
        X509_REQ_free(request);
        return good;
}
