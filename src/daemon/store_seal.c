/*
 * How rows are sealed: AES-256-GCM over each value, bound to the store, its
 * place and the generation that wrote it; an HMAC over all of them in order, so
 * that a row which is taken out, or was there before, shows as well.
 *
 * One key seals far fewer than 2^32 rows in the life of a flash chip, which is
 * how many random nonces of 96 bits are good for.
 */
#include "base/memory.h"
#include "daemon/store_private.h"
#include "security/crypto.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <string.h>

static bool expand(EVP_KDF_CTX *ctx, struct span material, const char *purpose, uint8_t *ret, size_t n) {
        OSSL_PARAM params[] = {
                OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)"SHA256", 0),
                OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)material.data, material.n),
                OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, (void *)purpose, strlen(purpose)),
                OSSL_PARAM_construct_end(),
        };

        EVP_KDF_CTX_reset(ctx);
        return EVP_KDF_derive(ctx, ret, n, params) > 0;
}

int store_key_derive(struct store_key *ret, struct span material) {
        EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
        EVP_KDF_CTX *ctx = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
        bool good = ctx && expand(ctx, material, "ocfd store: name of the key", ret->id, sizeof(ret->id)) &&
                    expand(ctx, material, "ocfd store: rows", ret->rows, sizeof(ret->rows)) &&
                    expand(ctx, material, "ocfd store: digest", ret->digest, sizeof(ret->digest)) &&
                    expand(ctx, material, "ocfd store: mark", ret->mark, sizeof(ret->mark));

        EVP_KDF_CTX_free(ctx);
        EVP_KDF_free(kdf);
        ERR_clear_error();
        return good ? 0 : -ENOMEM;
}

static void put_u64(struct writer *w, uint64_t v) {
        writer_put_u32(w, (uint32_t)(v >> 32));
        writer_put_u32(w, (uint32_t)v);
}

static void put_place(struct writer *w, const struct store_row *row) {
        size_t n = strlen(row->name);

        writer_put_u16(w, row->device);
        writer_put_u8(w, (uint8_t)n);
        writer_put(w, row->name, n);
        put_u64(w, row->generation);
}

#define CONTEXT_SIZE 96

static struct span row_context(const uint8_t *store_id, const struct store_row *row, size_t n_value,
                               uint8_t buf[static CONTEXT_SIZE]) {
        static const char title[] = "ocfd store row 2";
        struct writer w = writer_on(buf, CONTEXT_SIZE);

        writer_put(&w, title, sizeof(title));
        writer_put(&w, store_id, STORE_ID_SIZE);
        put_place(&w, row);
        writer_put_u32(&w, (uint32_t)n_value);
        return writer_span(&w);
}

int store_seal_row(const struct store_key *key, const uint8_t *store_id, struct store_row *row,
                   struct span value, uint8_t ret_nonce[static STORE_NONCE], uint8_t *ret_sealed) {
        EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
        uint8_t buf[CONTEXT_SIZE];
        struct span context = row_context(store_id, row, value.n, buf);
        int n;
        bool good = ctx && RAND_bytes(ret_nonce, STORE_NONCE) > 0 &&
                    EVP_EncryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key->rows, ret_nonce) > 0 &&
                    EVP_EncryptUpdate(ctx, NULL, &n, context.data, (int)context.n) > 0 &&
                    (!value.n || EVP_EncryptUpdate(ctx, ret_sealed, &n, value.data, (int)value.n) > 0) &&
                    EVP_EncryptFinal_ex(ctx, buf, &n) > 0 &&
                    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, STORE_TAG, row->tag) > 0;

        EVP_CIPHER_CTX_free(ctx);
        ERR_clear_error();
        return good ? 0 : -ENOMEM;
}

int store_unseal_row(const struct store_key *key, const uint8_t *store_id, const struct store_row *row,
                     const uint8_t *nonce, struct span sealed, uint8_t *ret_value) {
        EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
        uint8_t buf[CONTEXT_SIZE], tag[STORE_TAG];
        struct span context = row_context(store_id, row, sealed.n, buf);
        int n, r = -ENOMEM;

        memcpy(tag, row->tag, sizeof(tag));
        if (ctx && EVP_DecryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key->rows, nonce) > 0 &&
            EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, STORE_TAG, tag) > 0 &&
            EVP_DecryptUpdate(ctx, NULL, &n, context.data, (int)context.n) > 0 &&
            (!sealed.n || EVP_DecryptUpdate(ctx, ret_value, &n, sealed.data, (int)sealed.n) > 0))
                r = EVP_DecryptFinal_ex(ctx, buf, &n) > 0 ? 0 : STORE_E_DAMAGED;
        if (r && sealed.n)
                OPENSSL_cleanse(ret_value, sealed.n);
        EVP_CIPHER_CTX_free(ctx);
        ERR_clear_error();
        return r;
}

int store_digest(const struct store_key *key, const struct store_meta *meta, const struct store_index *index,
                 uint8_t ret[static STORE_DIGEST]) {
        static const char title[] = "ocfd store digest 2";
        EVP_MAC_CTX *ctx = crypto_hmac_new(span_of(key->digest, sizeof(key->digest)));
        uint8_t buf[CONTEXT_SIZE];
        struct writer w = writer_on(buf, sizeof(buf));
        bool good;
        size_t n;

        writer_put(&w, title, sizeof(title));
        writer_put(&w, meta->store_id, sizeof(meta->store_id));
        put_u64(&w, meta->generation);
        writer_put_u8(&w, meta->owned);
        writer_put_u32(&w, (uint32_t)index->n);
        good = ctx && EVP_MAC_update(ctx, w.data, w.n) > 0;
        for (size_t i = 0; good && i < index->n; i++) {
                w = writer_on(buf, sizeof(buf));
                put_place(&w, &index->rows[i]);
                writer_put(&w, index->rows[i].tag, STORE_TAG);
                good = EVP_MAC_update(ctx, w.data, w.n) > 0;
        }
        good = good && EVP_MAC_final(ctx, ret, &n, STORE_DIGEST) > 0;
        EVP_MAC_CTX_free(ctx);
        ERR_clear_error();
        return good ? 0 : -ENOMEM;
}
