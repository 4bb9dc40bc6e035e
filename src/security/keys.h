/*
 * Keys that both sides of an ownership transfer compute (security.md 4.5,
 * 4.6; wire-traces.md 2).
 */
#ifndef OCF_SECURITY_KEYS_H
#define OCF_SECURITY_KEYS_H

#include "base/uuid.h"
#include "security/svr.h"
#include "security/tls.h"

#define KEY_PSK       16u
#define KEY_BLOCK_MAX 120u

/* What an onboarding tool and a device say in the handshake after a PIN was shown. */
#define KEY_PIN_IDENTITY "oic.sec.doxm.rdp"
#define KEY_PIN_HINT     "oic.sec.doxm.rdp:" /* and the 16 bytes of the device's UUID */

/* The key block of this suite, as OCF counts it; 0: no owner's key comes from such a session. */
size_t key_block_size(uint16_t suite);

/* false: no key comes of this suite or method, or no memory. */
bool key_derive_owner(const struct tls_secrets *secrets, enum svr_transfer transfer, const struct uuid *owner,
                      const struct uuid *device, uint8_t ret[KEY_PSK]);

bool key_derive_pin(struct span pin, const struct uuid *device, uint8_t ret[KEY_PSK]);

#endif
