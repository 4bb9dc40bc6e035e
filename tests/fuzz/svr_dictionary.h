/*
 * The words of secure resources, so that a fuzzer does not have to guess them:
 * 0xe0 n in a payload, a simple value that nobody uses, becomes the n-th item.
 */
#ifndef OCF_TESTS_FUZZ_SVR_DICTIONARY_H
#define OCF_TESTS_FUZZ_SVR_DICTIONARY_H

#include "base/span.h"
#include "base/uuid.h"

extern struct uuid owner, other, first; /* first: of the device after a reset, but for its first byte */

void svr_dictionary_init(void); /* again does nothing */
void svr_dictionary_expand(struct writer *w, struct span payload);

#endif
