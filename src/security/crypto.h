/*
 * The few primitives that the handshakes and the keys of OCF are made of, all
 * of them libcrypto's: HMAC-SHA256, the PRF of TLS 1.2 over it, ECDH on P-256.
 *
 * What has to be looked up by name is looked up once. false means that
 * libcrypto has no memory, or that a value of the peer is not acceptable where
 * the function says so.
 */
#ifndef OCF_SECURITY_CRYPTO_H
#define OCF_SECURITY_CRYPTO_H

#include "base/span.h"

#include <openssl/evp.h>

#define CRYPTO_HASH  32u /* bytes of SHA-256 */
#define CRYPTO_POINT 65u /* of P-256, uncompressed */
#define CRYPTO_ECDH  32u

const EVP_MD *crypto_sha256(void);
const EVP_CIPHER *crypto_aes_128_cbc(void);
EVP_MAC *crypto_hmac(void);

/* An HMAC-SHA256 with this key, to be begun again with EVP_MAC_init(ctx, NULL, 0, NULL). NULL: no memory. */
EVP_MAC_CTX *crypto_hmac_new(struct span key);

bool crypto_hmac_once(struct span key, const struct span *parts, size_t n_parts, uint8_t ret[CRYPTO_HASH]);

/* P_SHA256(secret, label || seeds) of RFC 5246 5; label without its NUL. */
bool crypto_prf(struct span secret, const char *label, const struct span *seeds, size_t n_seeds, uint8_t *ret,
                size_t n);

EVP_PKEY *crypto_ecdh_new(uint8_t ret_point[CRYPTO_POINT]); /* a fresh key on P-256 */

/* false also when point is none of P-256: it is checked when it is read (SEC 1, 2.3.4). */
bool crypto_ecdh(EVP_PKEY *own, struct span point, uint8_t ret[CRYPTO_ECDH]);

void crypto_random(void *ret, size_t n); /* for keys; ends the process when there is no entropy */

#endif
