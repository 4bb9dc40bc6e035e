/*
 * The key pair behind the certificates of a logical device: EC on P-256, made at
 * the first start and at each reset, so that no certificate of a former owner
 * is ever good again (security.md 1.8, 5.7).
 *

 * The manufacturer's key is one as well; it comes from a file.
 */
#ifndef OCF_SECURITY_IDENTITY_KEY_H
#define OCF_SECURITY_IDENTITY_KEY_H

#include "base/uuid.h"

#include <openssl/evp.h>

#define IDENTITY_KEY_DER_MAX 256u
#define IDENTITY_CSR_MAX     2048u

int crypto_key_new(EVP_PKEY **ret); /* 0; -ENOMEM */

/* PKCS#8; whoever writes it wipes it. */
bool crypto_key_save(EVP_PKEY *key, struct writer *w);
bool crypto_key_load(EVP_PKEY **ret, struct span der);     /* false: this is no key on P-256 */
bool crypto_key_load_pem(EVP_PKEY **ret, struct span pem); /* likewise; one with a passphrase is none */

bool crypto_key_is_p256(const EVP_PKEY *key);

/* PKCS#10 in PEM, for CN=uuid:<device>, without attributes. false: no memory. */
bool identity_csr(EVP_PKEY *key, const struct uuid *device, struct writer *ret_pem);

#endif
