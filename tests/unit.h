/* What every unit test includes first: cmocka wants these before itself. */
#ifndef OCF_TESTS_UNIT_H
#define OCF_TESTS_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Where each byte or each call is tried: every how-manieth one. All of them, but where each takes fifty times
 * as long (OCFD_TEST_STRIDE, which scripts/under-valgrind sets). */
static inline size_t unit_stride(void) {
        const char *s = getenv("OCFD_TEST_STRIDE");
        long n = s ? strtol(s, NULL, 10) : 1;

        return n > 1 ? (size_t)n : 1;
}

#endif
