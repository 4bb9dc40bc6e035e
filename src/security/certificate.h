/*
 * Certificates as OCF wants them (security.md 5.3 to 5.6): who they are about,
 * what they are good for, and which authority vouches for them.
 *
 * Everything a stranger wrote is read here with its length in hand; names are
 * compared whole, keys are looked at before they are used. Time is an argument.
 * What is wrong is a sentence for the journal.
 */
#ifndef OCF_SECURITY_CERTIFICATE_H
#define OCF_SECURITY_CERTIFICATE_H

#include "base/uuid.h"

#include <openssl/x509.h>

#define CERTIFICATE_CHAIN_MAX 4u /* certificates in one chain */

/* Reads PEM, leaf first. NULL: no certificate, too many, or what is between them is none. */
STACK_OF(X509) * certificate_read(struct span pem);
void certificate_free(STACK_OF(X509) * chain); /* NULL is none */

enum certificate_profile {
        CERTIFICATE_IDENTITY,     /* a device, or an onboarding tool */
        CERTIFICATE_ROLE,         /* a role of one */
        CERTIFICATE_MANUFACTURER, /* of one that leaves the factory: its CN need not be a UUID */
        CERTIFICATE_AUTHORITY,
};

/* One certificate against its profile. now_s: seconds since 1970; negative: the clock cannot be trusted, but
 * it is later than -now_s: what had ended by then has expired, and nothing is too early. Return: NULL, or
 * what is wrong. */
const char *certificate_check(X509 *c, enum certificate_profile profile, int64_t now_s);

/* CN=uuid:<36 characters>, the one and whole CN. */
bool certificate_uuid(X509 *c, struct uuid *ret);
bool certificate_has_key(X509 *c, EVP_PKEY *key); /* the same public key */
int64_t certificate_begin_s(X509 *c);             /* seconds since 1970; 0: it is no date */
int64_t certificate_end_s(X509 *c);

/* The first role of a role certificate: CN and OU of a directoryName in its subjectAltName; without OU the CN
 * of the issuer. Texts are the caller's (ocf_free). Return: NULL, or what is wrong. */
const char *certificate_role(X509 *c, char **ret_role, char **ret_authority);

bool certificate_role_is_reserved(struct span role); /* a name of OCF's own that nobody may give */

/* Builds the chain from its leaf to one of the anchors, checks each element, and says which anchor it was. */
const char *certificate_chain(STACK_OF(X509) * chain, enum certificate_profile profile,
                              STACK_OF(X509) * anchors, int64_t now_s, X509 **ret_anchor);

/* What svr_request() asks about certificates that are posted (security.md 1.5). */
const char *certificate_check_anchor(struct span pem, int64_t now_s);
const char *certificate_check_own(struct span pem, enum certificate_profile profile, EVP_PKEY *key,
                                  const struct uuid *device, int64_t now_s);

#endif
