/*
 * SipHash-2-4 (Aumasson and Bernstein, 2012): a short keyed hash that cannot be
 * forged by who has seen others of it, though not the key. For what leaves the
 * house and comes back: Echo values (RFC 9175).
 */
#ifndef OCF_PROTOCOL_COAP_SIPHASH_H
#define OCF_PROTOCOL_COAP_SIPHASH_H

#include "base/span.h"

uint64_t coap_siphash(const uint64_t key[static 2], struct span s);

#endif
