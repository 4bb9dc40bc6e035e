#include "security/crypto.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

static struct {
        CRYPTO_ONCE once;
        EVP_MD *sha256;
        EVP_CIPHER *aes;
        EVP_MAC *hmac;
        EVP_MAC_CTX
        *sha256_hmac;   /* without a key: what others are copied from, since naming the hash is slow */
        EVP_PKEY *p256; /* the curve, without a key */
} known = { .once = CRYPTO_ONCE_STATIC_INIT };

static void forget(void) {
        EVP_PKEY_free(known.p256);
        EVP_MAC_CTX_free(known.sha256_hmac);
        EVP_MAC_free(known.hmac);
        EVP_CIPHER_free(known.aes);
        EVP_MD_free(known.sha256);
}

static EVP_PKEY *curve_new(void) {
        EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
        EVP_PKEY *curve = NULL;

        if (ctx && EVP_PKEY_paramgen_init(ctx) == 1 && EVP_PKEY_CTX_set_group_name(ctx, "prime256v1") == 1)
                (void)EVP_PKEY_paramgen(ctx, &curve);
        EVP_PKEY_CTX_free(ctx);
        return curve;
}

static void look_up(void) {
        char sha256[] = "SHA256";
        const OSSL_PARAM params[] = { OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, sha256, 0),
                                      OSSL_PARAM_construct_end() };

        OPENSSL_init_crypto(0, NULL); /* so that its own cleaning up comes after ours */
        known.sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
        known.aes = EVP_CIPHER_fetch(NULL, "AES-128-CBC", NULL);
        known.hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
        known.sha256_hmac = known.hmac ? EVP_MAC_CTX_new(known.hmac) : NULL;
        known.p256 = curve_new();
        if (!known.sha256 || !known.aes || !known.sha256_hmac || !known.p256 ||
            EVP_MAC_CTX_set_params(known.sha256_hmac, params) != 1)
                abort(); /* a libcrypto without SHA-256: nothing of ours can work */
        OPENSSL_atexit(forget);
}

const EVP_MD *crypto_sha256(void) {
        (void)CRYPTO_THREAD_run_once(&known.once, look_up);
        return known.sha256;
}

const EVP_CIPHER *crypto_aes_128_cbc(void) {
        (void)CRYPTO_THREAD_run_once(&known.once, look_up);
        return known.aes;
}

EVP_MAC *crypto_hmac(void) {
        (void)CRYPTO_THREAD_run_once(&known.once, look_up);
        return known.hmac;
}

EVP_MAC_CTX *crypto_hmac_new(struct span key) {
        EVP_MAC_CTX *ctx;

        (void)CRYPTO_THREAD_run_once(&known.once, look_up);
        ctx = EVP_MAC_CTX_dup(known.sha256_hmac);
        if (ctx && EVP_MAC_init(ctx, key.data, key.n, NULL) == 1)
                return ctx;
        EVP_MAC_CTX_free(ctx);
        return NULL;
}

/* One round with a key that is set already. */
static bool hmac_parts(EVP_MAC_CTX *ctx, const struct span *parts, size_t n_parts, uint8_t ret[CRYPTO_HASH]) {
        size_t n;

        if (EVP_MAC_init(ctx, NULL, 0, NULL) != 1)
                return false;
        for (size_t i = 0; i < n_parts; i++)
                if (parts[i].n && EVP_MAC_update(ctx, parts[i].data, parts[i].n) != 1)
                        return false;
        return EVP_MAC_final(ctx, ret, &n, CRYPTO_HASH) == 1 && n == CRYPTO_HASH;
}

bool crypto_hmac_once(struct span key, const struct span *parts, size_t n_parts, uint8_t ret[CRYPTO_HASH]) {
        EVP_MAC_CTX *ctx = crypto_hmac_new(key);
        bool good = ctx && hmac_parts(ctx, parts, n_parts, ret);

        EVP_MAC_CTX_free(ctx);
        return good;
}

#define SEEDS_MAX 4

bool crypto_prf(struct span secret, const char *label, const struct span *seeds, size_t n_seeds, uint8_t *ret,
                size_t n) {
        uint8_t a[CRYPTO_HASH], block[CRYPTO_HASH];
        struct span parts[2 + SEEDS_MAX]; /* A(i), label, seeds */
        EVP_MAC_CTX *ctx;
        bool good;

        if (n_seeds > SEEDS_MAX)
                return false;
        ctx = crypto_hmac_new(secret);
        parts[0] = span_of(a, sizeof(a));
        parts[1] = span_of_string(label);
        for (size_t i = 0; i < n_seeds; i++)
                parts[2 + i] = seeds[i];
        good = ctx && hmac_parts(ctx, parts + 1, 1 + n_seeds, a);
        while (good && n) {
                size_t n_now = n < sizeof(block) ? n : sizeof(block);

                good = hmac_parts(ctx, parts, 2 + n_seeds, block);
                memcpy(ret, block, n_now);
                ret += n_now;
                n -= n_now;
                if (good && n)
                        good = hmac_parts(ctx, parts, 1, a);
        }
        OPENSSL_cleanse(a, sizeof(a));
        OPENSSL_cleanse(block, sizeof(block));
        EVP_MAC_CTX_free(ctx);
        return good;
}

EVP_PKEY *crypto_ecdh_new(uint8_t ret_point[CRYPTO_POINT]) {
        EVP_PKEY_CTX *ctx;
        EVP_PKEY *key = NULL;
        unsigned char *point = NULL;

        (void)CRYPTO_THREAD_run_once(&known.once, look_up);
        ctx = EVP_PKEY_CTX_new_from_pkey(NULL, known.p256, NULL);
        if (!ctx || EVP_PKEY_keygen_init(ctx) != 1 || EVP_PKEY_generate(ctx, &key) != 1 ||
            EVP_PKEY_get1_encoded_public_key(key, &point) != CRYPTO_POINT) {
                EVP_PKEY_free(key);
                key = NULL;
        } else {
                memcpy(ret_point, point, CRYPTO_POINT);
        }
        OPENSSL_free(point);
        EVP_PKEY_CTX_free(ctx);
        return key;
}

bool crypto_ecdh(EVP_PKEY *own, struct span point, uint8_t ret[CRYPTO_ECDH]) {
        EVP_PKEY_CTX *ctx = NULL;
        EVP_PKEY *peer = EVP_PKEY_new();
        size_t n = CRYPTO_ECDH;
        bool good = peer && point.n == CRYPTO_POINT && point.data[0] == 4 &&
                    EVP_PKEY_copy_parameters(peer, own) == 1 &&
                    EVP_PKEY_set1_encoded_public_key(peer, point.data, point.n) == 1;

        if (good)
                ctx = EVP_PKEY_CTX_new_from_pkey(NULL, own, NULL);
        /* Not validated once more: that it is a point of the curve was checked when it was read, and P-256
         * has no others than those of its one group. */
        good = good && ctx && EVP_PKEY_derive_init(ctx) == 1 &&
               EVP_PKEY_derive_set_peer_ex(ctx, peer, 0) == 1 && EVP_PKEY_derive(ctx, ret, &n) == 1 &&
               n == CRYPTO_ECDH;
        EVP_PKEY_CTX_free(ctx);
        EVP_PKEY_free(peer);
        return good;
}

void crypto_random(void *ret, size_t n) {
        if (RAND_bytes(ret, (int)n) != 1)
                abort();
}
