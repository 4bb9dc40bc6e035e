/*
 * Deadlines in a heap: the next one is on top, and a deadline inside a thing can
 * be moved or taken out without looking for it.
 */
#ifndef OCF_PROTOCOL_COAP_TIMER_H
#define OCF_PROTOCOL_COAP_TIMER_H

#include "base/util.h"

struct coap_timer {
        uint64_t due_ms;
        uint32_t place; /* in the heap, + 1; 0: not set */
        uint32_t kind;  /* whose it is: for the user of the heap */
};

struct coap_timers {
        struct coap_timer **heap;
        uint32_t n;
};

/* Sets it, or moves it. There is room for as many as there are things that have one. */
void coap_timer_set(struct coap_timers *t, struct coap_timer *timer, uint64_t due_ms);
void coap_timer_unset(struct coap_timers *t, struct coap_timer *timer); /* harmless when it is not set */

static inline struct coap_timer *coap_timer_first(const struct coap_timers *t) {
        return t->n ? t->heap[0] : NULL;
}

#endif
