/*
 * The few macros every file wants.
 */
#ifndef OCF_BASE_UTIL_H
#define OCF_BASE_UTIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ARRAY_SIZE(a)                     (sizeof(a) / sizeof(*(a)))
#define OCF_CLEANUP(fn)                   __attribute__((cleanup(fn)))
#define OCF_UNUSED                        __attribute__((unused))
#define OCF_PRINTF(fmt, args)             __attribute__((format(printf, fmt, args)))
#define OCF_CONTAINER_OF(p, type, member) ((type *)((char *)(p)-offsetof(type, member)))

/* Defines x_freep() for OCF_CLEANUP out of x_free(). */
#define OCF_DEFINE_CLEANUP(type, fn)                                                                         \
        static inline OCF_UNUSED void fn##p(type **p) {                                                      \
                if (*p)                                                                                      \
                        fn(*p);                                                                              \
        }

#define OCF_NEVER UINT64_MAX /* a deadline that does not come */

static inline uint64_t ocf_min_u64(uint64_t a, uint64_t b) {
        return a < b ? a : b;
}

static inline size_t ocf_min_size(size_t a, size_t b) {
        return a < b ? a : b;
}

#endif
