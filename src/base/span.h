/*
 * Bytes that know how many they are.
 *
 * A span looks at memory that somebody else owns. Reading from its front is
 * the only offset arithmetic in the house; a read that does not fit takes
 * nothing and says false. A writer is the mirror image: it appends to a
 * buffer of fixed size and remembers that it did not fit, so that a caller
 * may write a whole message and ask once at the end.
 */
#ifndef OCF_BASE_SPAN_H
#define OCF_BASE_SPAN_H

#include "base/util.h"

struct span {
        const uint8_t *data;
        size_t n;
};

#define SPAN_NULL       ((struct span){ NULL, 0 })
#define SPAN_LITERAL(s) ((struct span){ (const uint8_t *)("" s), sizeof(s) - 1 })

static inline struct span span_of(const void *data, size_t n) {
        return (struct span){ data, n };
}

struct span span_of_string(const char *s); /* NULL is empty */

bool span_equal(struct span a, struct span b);
bool span_equal_string(struct span a, const char *s);
bool span_equal_ignoring_case(struct span a, struct span b); /* ASCII only */
bool span_has_prefix(struct span s, struct span prefix);

bool span_take(struct span *s, size_t n, struct span *ret);
bool span_take_u8(struct span *s, uint8_t *ret);
bool span_take_u16(struct span *s, uint16_t *ret); /* network byte order, as all below */
bool span_take_u32(struct span *s, uint32_t *ret);

/* Splits off what stands before the first separator; false when nothing is left to split. */
bool span_split(struct span *s, uint8_t separator, struct span *ret);

struct writer {
        uint8_t *data;
        size_t n, n_max;
        bool overflow; /* something did not fit; what was written before is still good */
};

static inline struct writer writer_on(void *data, size_t n_max) {
        return (struct writer){ .data = data, .n_max = n_max };
}

static inline struct span writer_span(const struct writer *w) {
        return span_of(w->data, w->n);
}

bool writer_put(struct writer *w, const void *data, size_t n);
bool writer_put_span(struct writer *w, struct span s);
bool writer_put_u8(struct writer *w, uint8_t v);
bool writer_put_u16(struct writer *w, uint16_t v);
bool writer_put_u32(struct writer *w, uint32_t v);

#endif
