/*
 * The story of a run. Nobody listens to most of them, so that only a run that
 * broke is told, by playing it again.
 */
#ifndef OCF_TESTS_SIM_TRACE_H
#define OCF_TESTS_SIM_TRACE_H

#include "world.h"

#define TRACE_LINES 40

#define TELL(w, ...)                                                                                         \
        do {                                                                                                 \
                if ((w)->telling != TELL_NOTHING)                                                            \
                        trace_tell(w, __VA_ARGS__);                                                          \
        } while (0)

void trace_tell(struct world *w, const char *format, ...) OCF_PRINTF(2, 3);

/* A datagram in words. */
void trace_message(const uint8_t *bytes, size_t n, char *ret, size_t n_ret);
const char *trace_station(const struct station *s); /* good until the next but three */

void trace_print_last(const struct world *w);

#endif
