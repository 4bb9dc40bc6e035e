#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

void *ocf_allocate(size_t n, size_t size) {
        return calloc(n ? n : 1, size ? size : 1);
}

bool ocf_grow(void **p, size_t n_old, size_t n, size_t size) {
        uint8_t *grown;

        if (size && n > SIZE_MAX / size)
                return false;
        grown = realloc(*p, n * size > 0 ? n * size : 1);
        if (!grown)
                return false;
        if (n > n_old)
                memset(grown + n_old * size, 0, (n - n_old) * size);
        *p = grown;
        return true;
}

uint8_t *ocf_duplicate(struct span s) {
        uint8_t *copy = ocf_allocate(s.n, 1);

        if (copy && s.n)
                memcpy(copy, s.data, s.n);
        return copy;
}

char *ocf_duplicate_span_as_string(struct span s) {
        char *copy = ocf_allocate(s.n + 1, 1);

        if (copy && s.n)
                memcpy(copy, s.data, s.n);
        return copy;
}

char *ocf_duplicate_string(const char *s) {
        return s ? ocf_duplicate_span_as_string(span_of_string(s)) : NULL;
}

void *ocf_free(void *p) {
        free(p);
        return NULL;
}
