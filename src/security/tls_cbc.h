/*
 * Protection of records with AES-128-CBC and HMAC-SHA256 (RFC 5246 6.2.3.2),
 * MAC-then-encrypt or encrypt-then-MAC (RFC 7366), one direction.
 *
 * That of the two suites that our own engine does. With MAC-then-encrypt, which
 * is what OCF peers speak, padding and MAC are checked in constant time by
 * libcrypto's own code, through the parameters that libssl itself uses.
 */
#ifndef OCF_SECURITY_TLS_CBC_H
#define OCF_SECURITY_TLS_CBC_H

#include "base/span.h"

#include <openssl/evp.h>

#define TLS_CBC_KEY    16u
#define TLS_CBC_MAC    32u
#define TLS_CBC_IV     16u
#define TLS_CBC_MORE   (TLS_CBC_IV + TLS_CBC_MAC + 16u) /* what a record has beyond its data, at most */
#define TLS_CBC_HEADER 13u                              /* sequence number, type, version, length */

struct tls_cbc {
        bool encrypt_then_mac;
        EVP_CIPHER_CTX *cipher;
        EVP_MAC_CTX *mac;
};

enum tls_cbc_direction { TLS_CBC_SEAL, TLS_CBC_OPEN };

/* dtls: which version number libcrypto is told. false: no memory. */
bool tls_cbc_init(struct tls_cbc *c, enum tls_cbc_direction direction, bool dtls, bool encrypt_then_mac,
                  const uint8_t key[TLS_CBC_KEY], const uint8_t mac_key[TLS_CBC_MAC]);
void tls_cbc_deinit(struct tls_cbc *c);

/* The length in the header is filled in. data may lie in buf, TLS_CBC_IV bytes behind its start. Return:
 * bytes in buf, which has room for data.n + TLS_CBC_MORE; 0: cryptography failed. */
size_t tls_cbc_seal(struct tls_cbc *c, uint8_t header[TLS_CBC_HEADER], struct span data, uint8_t *buf);

/* Decrypts a record where it is; *ret points into it. false: not from the peer, for whatever reason. */
bool tls_cbc_open(struct tls_cbc *c, uint8_t header[TLS_CBC_HEADER], uint8_t *record, size_t n,
                  struct span *ret);

#endif
