/*
 * A device as an ownership transfer leaves it, in RFNOP, with one key: what the
 * measured sessions belong to.
 */
#ifndef OCF_BENCH_OWNED_H
#define OCF_BENCH_OWNED_H

#include "security/sessions.h"
#include "security/tls_cert.h"

/* A chain, its key and the authorities that it trusts, all PEM. */
struct tls_cert_context *certificates_in(char *const files[3]);

/* A table of sessions for it; dies when there is no memory. certificates: NULL, or what it shows instead of a
 * key. */
struct sessions *owned_sessions(uint32_t n_max, struct tls_cert_context *certificates);

#endif
