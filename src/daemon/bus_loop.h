/*
 * The bus on libuv: before the loop sleeps, the bus does what is due; then the
 * loop polls its descriptor and wakes for its deadline (feasibility.md 5).
 */
#ifndef OCF_DAEMON_BUS_LOOP_H
#define OCF_DAEMON_BUS_LOOP_H

#include "dbus/bus.h"

#include <uv.h>

struct bus_loop;

/* failed(): our own process is in trouble (negative errno). The bus stays the caller's and must outlive this.
 */
int bus_loop_new(struct bus_loop **ret, uv_loop_t *loop, struct bus *bus,
                 void (*failed)(void *context, int error), void *context);
struct bus_loop *bus_loop_free(
        struct bus_loop *b); /* before bus_free(); gone after the next turns of the loop */

/* Does what is due, a bounded number of messages; may change the model. */
void bus_loop_settle(struct bus_loop *b);

/* To be called before the loop sleeps, after everything that may have sent something: a call that went out
 * has a deadline, and what did not fit the socket waits for room. */
void bus_loop_arm(struct bus_loop *b);

#endif
