/*
 * One timer for all deadlines of the core: a timerfd on CLOCK_BOOTTIME, which
 * libuv's own timers (CLOCK_MONOTONIC) are not.
 */
#ifndef OCF_DAEMON_DEADLINE_TIMER_H
#define OCF_DAEMON_DEADLINE_TIMER_H

#include "base/util.h"

#include <uv.h>

struct deadline_timer;

/* passed() is called from the loop when the deadline has passed. */
int deadline_timer_new(struct deadline_timer **ret, uv_loop_t *loop, void (*passed)(void *context),
                       void *context);
struct deadline_timer *deadline_timer_free(
        struct deadline_timer *t); /* gone after the next turn of the loop */

void deadline_timer_set(struct deadline_timer *t, uint64_t deadline_ms); /* OCF_NEVER: off */

#endif
