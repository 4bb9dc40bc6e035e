/*
 * Pages: where bytes live that must outlast the call that brought them (bodies
 * on their way in blocks, remembered answers, messages not yet acknowledged).
 *
 * A stretch of bytes is a chain of small pages. Whoever holds one may add to its
 * end, and gives it back whole. Where a body is read or written piece by piece a
 * cursor remembers the page, so that the chain is not walked again each time.
 */
#ifndef OCF_PROTOCOL_COAP_PAGES_H
#define OCF_PROTOCOL_COAP_PAGES_H

#include "base/span.h"

#define COAP_PAGE_SIZE 128u

struct coap_pages {
        uint8_t *bytes;
        uint32_t *next; /* of each page, +1; 0 ends a chain */
        uint32_t n_max, n_fresh, n_used, free;
};

struct coap_stretch {
        uint32_t first; /* page number + 1; 0: nothing held */
        uint32_t n;     /* bytes */
};

static inline uint32_t coap_pages_for(size_t n) {
        return (uint32_t)((n + COAP_PAGE_SIZE - 1) / COAP_PAGE_SIZE);
}

void coap_pages_init(struct coap_pages *p, uint8_t *bytes, uint32_t *next, uint32_t n_max);
bool coap_pages_keep(struct coap_pages *p, struct span s, struct coap_stretch *ret); /* false: no room */

struct coap_cursor {
        uint32_t page;   /* 0: not set yet */
        uint32_t offset; /* of its first byte in the stretch */
};

/* Adds s to the end; false: no room, and nothing was added. end belongs to this stretch alone. */
bool coap_pages_append(struct coap_pages *p, struct coap_stretch *stretch, struct coap_cursor *end,
                       struct span s);
void coap_pages_drop(struct coap_pages *p, struct coap_stretch *s);

/* Copies n bytes from offset on; the caller has seen that they are there. */
void coap_pages_copy(const struct coap_pages *p, struct coap_stretch s, size_t offset, uint8_t *to, size_t n);

/* The same for who reads on from where he was. */
void coap_pages_read(const struct coap_pages *p, struct coap_stretch s, struct coap_cursor *at, size_t offset,
                     uint8_t *to, size_t n);

#endif
