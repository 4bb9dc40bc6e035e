/*
 * A key on P-256 whose signatures somebody else makes; for libssl a private key
 * like any other.
 *
 * It is what a provider of OpenSSL is made for, a very small one of our own that
 * lives in a library context of its own: the default one stays as it is, and
 * whoever makes the signatures gets nothing else to do.
 */
#ifndef OCF_SECURITY_DELEGATED_KEY_H
#define OCF_SECURITY_DELEGATED_KEY_H

#include "base/span.h"

#include <openssl/evp.h>

#define DELEGATED_KEY_POINT     65u /* uncompressed */
#define DELEGATED_KEY_SIGNATURE 72u

struct delegated_signer {
        /* Signs a digest (of "SHA2-256" and the like). On the thread of whoever wants it, and never twice at
         * a time for one association. signature has room for DELEGATED_KEY_SIGNATURE bytes. */
        bool (*sign)(void *context, const char *digest_name, struct span digest, uint8_t *signature,
                     size_t *ret_n);
        void *context; /* lives as long as the key */
};

struct delegated_key;

/* 0; -ENOMEM. */
int delegated_key_new(struct delegated_key **ret, const uint8_t point[static DELEGATED_KEY_POINT],
                      const struct delegated_signer *signer);
EVP_PKEY *delegated_key(const struct delegated_key *k);

/* After everybody who has taken a reference of the key. NULL stays NULL. */
struct delegated_key *delegated_key_free(struct delegated_key *k);

#endif
