/*
 * A device as an ownership transfer leaves it, in RFNOP, with one key: what the
 * measured sessions belong to.
 */
#ifndef OCF_BENCH_OWNED_H
#define OCF_BENCH_OWNED_H

#include "security/sessions.h"

/* A table of sessions for it; dies when there is no memory. */
struct sessions *owned_sessions(uint32_t n_max);

#endif
