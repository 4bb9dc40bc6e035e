/*
 * What every fuzz target has: one function that takes any bytes, and a way to say
 * that something did not hold. libFuzzer brings main(); without it, replay.c does.
 */
#ifndef OCF_TESTS_FUZZ_H
#define OCF_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* Also where assert() is compiled out. */
#define must_hold(x)                                                                                         \
        do {                                                                                                 \
                if (!(x)) {                                                                                  \
                        fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #x);               \
                        abort();                                                                             \
                }                                                                                            \
        } while (0)

#endif
