/*
 * Which suite answers a ClientHello, after the state of the device (security.md
 * 4.2, 4.3). A pure function.
 */
#ifndef OCF_SECURITY_SESSIONS_CHOOSE_H
#define OCF_SECURITY_SESSIONS_CHOOSE_H

#include "security/svr.h"
#include "security/tls_hello.h"

/* Return: enum tls_suite; 0: none. */
uint16_t sessions_choose(const struct svr *svr, bool has_certificate, const struct tls_hello *hello);

bool tls_suite_is_psk(uint16_t suite); /* one of our own engine's */

#endif
