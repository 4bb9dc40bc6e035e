/*
 * The clocks. All deadlines of the core are on CLOCK_BOOTTIME: it neither jumps
 * when somebody sets the time nor stops while the machine sleeps.
 */
#ifndef OCF_DAEMON_CLOCK_H
#define OCF_DAEMON_CLOCK_H

#include "base/util.h"

#include <time.h>

#define CLOCK_FLOOR_S 1767225600 /* 2026-01-01: no clock that is right says less */

static inline uint64_t clock_us(clockid_t clock) {
        struct timespec t;

        clock_gettime(clock, &t);
        return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
}

static inline uint64_t clock_now_ms(void) {
        return clock_us(CLOCK_BOOTTIME) / 1000u;
}

#endif
