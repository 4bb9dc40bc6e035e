#include "protocol/coap_timer.h"

static void put(struct coap_timers *t, uint32_t i, struct coap_timer *timer) {
        t->heap[i] = timer;
        timer->place = i + 1;
}

static void sift(struct coap_timers *t, uint32_t i) {
        struct coap_timer *timer = t->heap[i];

        while (i && timer->due_ms < t->heap[(i - 1) / 2]->due_ms) {
                put(t, i, t->heap[(i - 1) / 2]);
                i = (i - 1) / 2;
        }
        for (;;) {
                uint32_t child = 2 * i + 1;

                if (child + 1 < t->n && t->heap[child + 1]->due_ms < t->heap[child]->due_ms)
                        child++;
                if (child >= t->n || timer->due_ms <= t->heap[child]->due_ms)
                        break;
                put(t, i, t->heap[child]);
                i = child;
        }
        put(t, i, timer);
}

void coap_timer_set(struct coap_timers *t, struct coap_timer *timer, uint64_t due_ms) {
        timer->due_ms = due_ms;
        if (!timer->place)
                put(t, t->n++, timer);
        sift(t, timer->place - 1);
}

void coap_timer_unset(struct coap_timers *t, struct coap_timer *timer) {
        uint32_t hole = timer->place;
        struct coap_timer *last;

        if (!hole)
                return;
        timer->place = 0;
        last = t->heap[--t->n];
        if (last == timer)
                return;
        put(t, hole - 1, last);
        sift(t, hole - 1);
}
