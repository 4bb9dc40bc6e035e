/*
 * A private key that stays where it is: in a TPM or a token, behind a provider
 * of OpenSSL.
 *
 * Provider and key have a library context of their own. Nothing else is ever
 * fetched there, so that no digest and no cipher of ours goes to the TPM by
 * mistake; and a key brings its provider along to whoever signs with it.
 */
#ifndef OCF_SECURITY_PROVIDED_KEY_H
#define OCF_SECURITY_PROVIDED_KEY_H

#include "base/util.h"

#include <openssl/evp.h>

#define PROVIDED_KEY_DETAIL 256u

struct provided_key;

enum {
        PROVIDED_KEY_E_NO_PROVIDER = 1, /* OpenSSL has none of this name here */
        PROVIDED_KEY_E_PROVIDER,        /* it does not start: its device may be missing, or closed to us */
        PROVIDED_KEY_E_NO_KEY,          /* it knows nothing of this name, or no private key */
        PROVIDED_KEY_E_CURVE,           /* not on P-256 */
        PROVIDED_KEY_E_SIGN,            /* it does not sign: it may want a password */
};

/*
 * uri: whatever OSSL_STORE opens with this provider, or a file. It signs once, as a proof. Return: 0;
 * -ENOMEM; PROVIDED_KEY_E_*, with OpenSSL's own words in detail ("" if it had none). It takes as long as the
 * device does.
 */
int provided_key_open(struct provided_key **ret, const char *provider, const char *uri,
                      char detail[static PROVIDED_KEY_DETAIL]);
EVP_PKEY *provided_key(const struct provided_key *k);  /* as long as k */
bool provided_key_works(const struct provided_key *k); /* did it sign the last time? From any thread */

/* After everybody who had the key. NULL stays NULL. */
struct provided_key *provided_key_free(struct provided_key *k);

#endif
