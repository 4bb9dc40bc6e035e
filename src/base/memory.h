/*
 * Memory, for the rooms that may have it.
 *
 * One place where the house allocates, so that a test can refuse the n-th
 * allocation (by wrapping calloc and realloc at link time) and so that rooms which say they
 * need no heap can be seen not to call it. All memory comes zeroed.
 */
#ifndef OCF_BASE_MEMORY_H
#define OCF_BASE_MEMORY_H

#include "base/span.h"

void *ocf_allocate(size_t n, size_t size);                    /* NULL: no memory */
bool ocf_grow(void **p, size_t n_old, size_t n, size_t size); /* to n things; false leaves all as it was */
char *ocf_duplicate_string(const char *s);                    /* NULL stays NULL */
char *ocf_duplicate_span_as_string(struct span s);            /* ends it with a NUL; s must hold none */
uint8_t *ocf_duplicate(struct span s);                        /* never NULL but when out of memory */
void *ocf_free(void *p);                                      /* returns NULL */

#define ocf_new(type) ((type *)ocf_allocate(1, sizeof(type)))

static inline void ocf_freep(void *p) {
        ocf_free(*(void **)p);
}

#endif
