/*
 * The roles that a device of ours shows to another one, when it comes to it as
 * a client with its certificate: POST /oic/sec/roles (security.md 5.6), right
 * after the handshake.
 *
 * One role certificate at a time: of several in one request a single one that the
 * other device does not believe would have them all refused.
 */
#ifndef OCF_SECURITY_ROLE_ASSERTION_H
#define OCF_SECURITY_ROLE_ASSERTION_H

#include "security/svr.h"

#define ROLE_ASSERTION_PATH "/oic/sec/roles"
#define ROLE_ASSERTION_MAX  (CRED_PUBLIC_MAX + 256) /* bytes of one payload */

/* Writes the payload for the role certificate that comes after this credid (CRED_ID_NONE: the first), and
 * puts its credid there. One that has ended, or is not for our key, is left out: now_s as certificate.h has
 * it. false: there are no more. */
bool role_assertion_next(const struct svr *svr, int64_t now_s, int32_t *credid, struct writer *ret);

#endif
