#include "base/span.h"

#include <string.h>

struct span span_of_string(const char *s) {
        return span_of(s, s ? strlen(s) : 0);
}

bool span_equal(struct span a, struct span b) {
        return a.n == b.n && (!a.n || memcmp(a.data, b.data, a.n) == 0);
}

bool span_equal_string(struct span a, const char *s) {
        return span_equal(a, span_of_string(s));
}

static uint8_t lower(uint8_t c) {
        return c >= 'A' && c <= 'Z' ? (uint8_t)(c - 'A' + 'a') : c;
}

bool span_equal_ignoring_case(struct span a, struct span b) {
        if (a.n != b.n)
                return false;
        for (size_t i = 0; i < a.n; i++)
                if (lower(a.data[i]) != lower(b.data[i]))
                        return false;
        return true;
}

bool span_has_prefix(struct span s, struct span prefix) {
        return s.n >= prefix.n && span_equal(span_of(s.data, prefix.n), prefix);
}

bool span_take(struct span *s, size_t n, struct span *ret) {
        if (n > s->n)
                return false;
        *ret = span_of(s->data, n);
        if (n) /* an empty span may have no address to move */
                s->data += n;
        s->n -= n;
        return true;
}

bool span_take_u8(struct span *s, uint8_t *ret) {
        struct span t;

        if (!span_take(s, 1, &t))
                return false;
        *ret = t.data[0];
        return true;
}

bool span_take_u16(struct span *s, uint16_t *ret) {
        struct span t;

        if (!span_take(s, 2, &t))
                return false;
        *ret = (uint16_t)(t.data[0] << 8 | t.data[1]);
        return true;
}

bool span_take_u32(struct span *s, uint32_t *ret) {
        struct span t;

        if (!span_take(s, 4, &t))
                return false;
        *ret = (uint32_t)t.data[0] << 24 | (uint32_t)t.data[1] << 16 | (uint32_t)t.data[2] << 8 | t.data[3];
        return true;
}

bool span_split(struct span *s, uint8_t separator, struct span *ret) {
        const uint8_t *end;
        struct span rest;

        if (!s->data)
                return false;
        end = s->n ? memchr(s->data, separator, s->n) : NULL;
        if (!end) {
                *ret = *s;
                *s = SPAN_NULL;
                return true;
        }
        *ret = span_of(s->data, (size_t)(end - s->data));
        rest = span_of(end + 1, s->n - ret->n - 1);
        *s = rest;
        return true;
}

bool writer_put(struct writer *w, const void *data, size_t n) {
        if (w->overflow || n > w->n_max - w->n) {
                w->overflow = true;
                return false;
        }
        if (n)
                memcpy(w->data + w->n, data, n);
        w->n += n;
        return true;
}

bool writer_put_span(struct writer *w, struct span s) {
        return writer_put(w, s.data, s.n);
}

bool writer_put_u8(struct writer *w, uint8_t v) {
        return writer_put(w, &v, 1);
}

bool writer_put_u16(struct writer *w, uint16_t v) {
        return writer_put(w, (uint8_t[]){ (uint8_t)(v >> 8), (uint8_t)v }, 2);
}

bool writer_put_u32(struct writer *w, uint32_t v) {
        return writer_put(
                w, (uint8_t[]){ (uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v }, 4);
}
