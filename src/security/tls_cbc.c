#include "security/tls_cbc.h"
#include "security/crypto.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ssl3.h>
#include <openssl/tls1.h>
#include <string.h>

#define BLOCK 16u

/* Drawing each IV by itself costs as much as encrypting a small record. */
static void draw_iv(uint8_t ret[TLS_CBC_IV]) {
        static _Thread_local struct {
                uint8_t bytes[64 * TLS_CBC_IV];
                size_t n;
        } pool;

        if (pool.n < TLS_CBC_IV) {
                crypto_random(pool.bytes, sizeof(pool.bytes));
                pool.n = sizeof(pool.bytes);
        }
        pool.n -= TLS_CBC_IV;
        memcpy(ret, pool.bytes + pool.n, TLS_CBC_IV);
}

bool tls_cbc_init(struct tls_cbc *c, enum tls_cbc_direction direction, bool dtls, bool encrypt_then_mac,
                  const uint8_t key[TLS_CBC_KEY], const uint8_t mac_key[TLS_CBC_MAC]) {
        static const uint8_t zero_iv[TLS_CBC_IV]; /* each record brings its own as its first block */
        unsigned version = dtls ? DTLS1_2_VERSION : TLS1_2_VERSION;
        size_t n_mac = TLS_CBC_MAC;
        const OSSL_PARAM constant_time[] = {
                OSSL_PARAM_construct_uint(OSSL_CIPHER_PARAM_TLS_VERSION, &version),
                OSSL_PARAM_construct_size_t(OSSL_CIPHER_PARAM_TLS_MAC_SIZE, &n_mac),
                OSSL_PARAM_construct_end(),
        };
        bool plain = direction == TLS_CBC_SEAL || encrypt_then_mac;

        *c = (struct tls_cbc){ .encrypt_then_mac = encrypt_then_mac,
                               .cipher = EVP_CIPHER_CTX_new(),
                               .mac = crypto_hmac_new(span_of(mac_key, TLS_CBC_MAC)) };
        if (c->cipher && c->mac &&
            EVP_CipherInit_ex2(c->cipher, crypto_aes_128_cbc(), key, zero_iv, direction == TLS_CBC_SEAL,
                               plain ? NULL : constant_time) == 1 &&
            (!plain || EVP_CIPHER_CTX_set_padding(c->cipher, 0) == 1))
                return true;
        tls_cbc_deinit(c);
        return false;
}

void tls_cbc_deinit(struct tls_cbc *c) {
        EVP_CIPHER_CTX_free(c->cipher); /* these wipe what they hold */
        EVP_MAC_CTX_free(c->mac);
        *c = (struct tls_cbc){ 0 };
}

static void put_length(uint8_t header[TLS_CBC_HEADER], size_t n) {
        header[11] = (uint8_t)(n >> 8);
        header[12] = (uint8_t)n;
}

static bool mac_of(struct tls_cbc *c, const uint8_t header[TLS_CBC_HEADER], const uint8_t *data, size_t n,
                   uint8_t ret[TLS_CBC_MAC]) {
        size_t n_ret;

        return EVP_MAC_init(c->mac, NULL, 0, NULL) == 1 &&
               EVP_MAC_update(c->mac, header, TLS_CBC_HEADER) == 1 &&
               (!n || EVP_MAC_update(c->mac, data, n) == 1) &&
               EVP_MAC_final(c->mac, ret, &n_ret, TLS_CBC_MAC) == 1;
}

/* The chain goes on from record to record, and the first block, which is random, is the next one's IV: nobody
 * can tell it beforehand. So the cipher need not be set up for each record. */
static bool run(struct tls_cbc *c, uint8_t *bytes, size_t n) {
        int n_done;

        return EVP_CipherUpdate(c->cipher, bytes, &n_done, bytes, (int)n) == 1 && (size_t)n_done == n;
}

size_t tls_cbc_seal(struct tls_cbc *c, uint8_t header[TLS_CBC_HEADER], struct span data, uint8_t *buf) {
        size_t n = TLS_CBC_IV + data.n, n_padding;

        memmove(buf + TLS_CBC_IV, data.data, data.n);
        draw_iv(buf);
        if (!c->encrypt_then_mac) {
                put_length(header, data.n);
                if (!mac_of(c, header, buf + TLS_CBC_IV, data.n, buf + n))
                        return 0;
                n += TLS_CBC_MAC;
        }
        n_padding = BLOCK - n % BLOCK;
        memset(buf + n, (int)n_padding - 1, n_padding);
        n += n_padding;
        if (!run(c, buf, n))
                return 0;
        if (c->encrypt_then_mac) {
                put_length(header, n);
                if (!mac_of(c, header, buf, n, buf + n))
                        return 0;
                n += TLS_CBC_MAC;
        }
        put_length(header, n);
        return n;
}

/* The MAC has been checked before, so what this finds nobody else could have made. */
static bool open_encrypt_then_mac(struct tls_cbc *c, uint8_t header[TLS_CBC_HEADER], uint8_t *record,
                                  size_t n, struct span *ret) {
        uint8_t mac[TLS_CBC_MAC];
        size_t n_padding;

        if (n < TLS_CBC_IV + BLOCK + TLS_CBC_MAC || n % BLOCK)
                return false;
        n -= TLS_CBC_MAC;
        put_length(header, n);
        if (!mac_of(c, header, record, n, mac) || CRYPTO_memcmp(mac, record + n, TLS_CBC_MAC) != 0 ||
            !run(c, record, n))
                return false;
        n_padding = record[n - 1] + 1u;
        if (n_padding > n - TLS_CBC_IV)
                return false;
        for (size_t i = 0; i < n_padding; i++)
                if (record[n - 1 - i] != n_padding - 1)
                        return false;
        *ret = span_of(record + TLS_CBC_IV, n - TLS_CBC_IV - n_padding);
        return true;
}

/*
 * Nothing here may depend on the padding, which an attacker makes up: the provider hands out a MAC, a random
 * one where the padding is wrong, and computes the other over all possible lengths.
 */
static bool open_mac_then_encrypt(struct tls_cbc *c, uint8_t header[TLS_CBC_HEADER], uint8_t *record,
                                  size_t n, struct span *ret) {
        size_t n_checked = n - TLS_CBC_IV, n_mac;
        OSSL_PARAM get[] = { OSSL_PARAM_construct_octet_ptr(OSSL_CIPHER_PARAM_TLS_MAC, NULL, TLS_CBC_MAC),
                             OSSL_PARAM_construct_end() };
        OSSL_PARAM set[] = { OSSL_PARAM_construct_size_t(OSSL_MAC_PARAM_TLS_DATA_SIZE, &n_checked),
                             OSSL_PARAM_construct_end() };
        uint8_t computed[TLS_CBC_MAC];
        void *received = NULL;
        EVP_MAC_CTX *mac;
        int n_data;
        bool good;

        if (n < TLS_CBC_IV + TLS_CBC_MAC + BLOCK || n % BLOCK)
                return false;
        if (EVP_CipherUpdate(c->cipher, record, &n_data, record, (int)n) != 1)
                return false;
        get[0].data = &received;
        mac = EVP_MAC_CTX_dup(c->mac); /* one that has done a record cannot do another */
        put_length(header, (size_t)n_data);
        good = mac && EVP_CIPHER_CTX_get_params(c->cipher, get) == 1 && received &&
               EVP_MAC_CTX_set_params(mac, set) == 1 && EVP_MAC_update(mac, header, TLS_CBC_HEADER) == 1 &&
               EVP_MAC_update(mac, record + TLS_CBC_IV, (size_t)n_data) == 1 &&
               EVP_MAC_final(mac, computed, &n_mac, sizeof(computed)) == 1;
        good = good && CRYPTO_memcmp(computed, received, TLS_CBC_MAC) == 0;
        EVP_MAC_CTX_free(mac);
        if (!good)
                return false;
        *ret = span_of(record + TLS_CBC_IV, (size_t)n_data);
        return true;
}

bool tls_cbc_open(struct tls_cbc *c, uint8_t header[TLS_CBC_HEADER], uint8_t *record, size_t n,
                  struct span *ret) {
        return (c->encrypt_then_mac ? open_encrypt_then_mac : open_mac_then_encrypt)(c, header, record, n,
                                                                                     ret);
}
