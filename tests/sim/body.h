/*
 * Bodies that say whose they are. The first twelve bytes hold the request's
 * key, the version of what is shown, and the length; all that follow depend on
 * these and on where they stand, so that a block that is missing, foreign, of
 * another version or in another's place is seen.
 */
#ifndef OCF_TESTS_SIM_BODY_H
#define OCF_TESTS_SIM_BODY_H

#include "base/span.h"

#define BODY_LEAST 12u
#define BODY_MOST  (64u * 1024)

void body_write(uint8_t *ret, uint32_t n, uint32_t key, uint32_t version);

/* False when it is not whole. */
bool body_read(struct span body, uint32_t *ret_key, uint32_t *ret_version);

#endif
