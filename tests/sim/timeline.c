/*
 * A binary heap. What is planned first of one moment happens first.
 */
#include "timeline.h"

#include <stdlib.h>

static bool before(const struct happening *a, const struct happening *b) {
        return a->at_ms < b->at_ms || (a->at_ms == b->at_ms && a->order < b->order);
}

void timeline_add(struct timeline *t, struct happening h) {
        size_t i = t->n++;

        if (t->n > t->n_max) {
                t->n_max = t->n_max ? 2 * t->n_max : 1024;
                t->heap = realloc(t->heap, t->n_max * sizeof(*t->heap));
                if (!t->heap)
                        abort();
        }
        h.order = t->n_planned++;
        while (i && before(&h, &t->heap[(i - 1) / 2])) {
                t->heap[i] = t->heap[(i - 1) / 2];
                i = (i - 1) / 2;
        }
        t->heap[i] = h;
}

bool timeline_next(struct timeline *t, struct happening *ret) {
        struct happening last;
        size_t i = 0, child;

        if (!t->n)
                return false;
        *ret = t->heap[0];
        last = t->heap[--t->n];
        while ((child = 2 * i + 1) < t->n) {
                if (child + 1 < t->n && before(&t->heap[child + 1], &t->heap[child]))
                        child++;
                if (!before(&t->heap[child], &last))
                        break;
                t->heap[i] = t->heap[child];
                i = child;
        }
        t->heap[i] = last;
        return true;
}

void timeline_deinit(struct timeline *t) {
        free(t->heap);
        *t = (struct timeline){ 0 };
}
