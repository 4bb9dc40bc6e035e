/*
 * The n-th allocation is refused. For a test that is linked with
 * --wrap=calloc,--wrap=realloc.
 */
#ifndef OCF_TESTS_MODEL_SCARCE_MEMORY_H
#define OCF_TESTS_MODEL_SCARCE_MEMORY_H

#include <stdbool.h>
#include <stdlib.h>

static int allocations_left = -1; /* -1: no limit */

void *__wrap_calloc(size_t n, size_t size);
void *__real_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
void *__real_realloc(void *p, size_t n);

static bool refused(void) {
        return allocations_left >= 0 && allocations_left-- == 0;
}

void *__wrap_calloc(size_t n, size_t size) {
        return refused() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t n) {
        return refused() ? NULL : __real_realloc(p, n);
}

#endif
