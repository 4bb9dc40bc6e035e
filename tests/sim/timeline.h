/*
 * What is still to happen, the nearest first.
 *
 * A heap instead of a look at everybody: with hundreds of endpoints the next
 * moment costs as much as with two. Things of one moment happen in the order
 * in which they were planned, so that a seed tells the same story each time.
 */
#ifndef OCF_TESTS_SIM_TIMELINE_H
#define OCF_TESTS_SIM_TIMELINE_H

#include "base/util.h"

enum happening_type {
        HAPPENING_LANDS,      /* what: a flight */
        HAPPENING_WAKE,       /* who: a node whose deadline may have come */
        HAPPENING_ASK,        /* who: a node that begins its next request */
        HAPPENING_CANCEL,     /* which: a request that its client gives up */
        HAPPENING_ANSWER,     /* who: a node; what: an answer that an app owes */
        HAPPENING_CHANGE,     /* who: a node whose observed resource changes */
        HAPPENING_STRANGER,   /* who: a stranger whose time has come */
        HAPPENING_CONNECTION, /* who: a connection; which: what happens to it */
        HAPPENING_ACTION,     /* which: a line of the scenario */
        HAPPENING_LOOK,       /* the regular look at all tables */
        HAPPENING_PROMPT,     /* by now all observers should have heard of the last change */
        HAPPENING_PHASE,      /* the run goes on to its next phase */
};

struct happening {
        uint64_t at_ms;
        uint64_t order;
        enum happening_type type;
        uint32_t who, which;
        void *what;
};

struct timeline {
        struct happening *heap;
        size_t n, n_max;
        uint64_t n_planned;
};

void timeline_add(struct timeline *t, struct happening h);
bool timeline_next(struct timeline *t, struct happening *ret); /* false: nothing more will happen */
void timeline_deinit(struct timeline *t);                      /* what happenings point at is its owner's */

#endif
