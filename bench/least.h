/*
 * The least that a CoAP server answers: header, token and every option are
 * looked at, and a GET gets one constant body, piggybacked for CON. The same
 * behind libssl and behind our own engine, so that only these differ.
 */
#ifndef OCF_BENCH_LEAST_H
#define OCF_BENCH_LEAST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LEAST_BODY_MAX   1024
#define LEAST_ANSWER_MAX (LEAST_BODY_MAX + 32)

/* What every client of the secured floors names and has; no zero byte in it, for libssl's sake. */
#define LEAST_IDENTITY "\xe2\x9d\x6c\x5d\x47\x36\x4a\x8e\x6b\x78\x0a\xc2\x3b\x2d\x6b\xde"
#define LEAST_KEY      "sixteen bytes ok"

bool least_body(size_t n);                                                      /* false: too long */
size_t least_answer(const uint8_t *m, size_t n, uint8_t ret[LEAST_ANSWER_MAX]); /* 0: nothing */

#endif
