#include "protocol/rep.h"
#include "protocol/rep_token.h"

#include <cbor.h>

#include <string.h>

#define HEAD_MAX 9

/* An encoder of libcbor writes a head of at most nine bytes. */
static void put_head(struct writer *w, size_t (*encode)(uint64_t, unsigned char *, size_t), uint64_t v) {
        unsigned char head[HEAD_MAX];

        writer_put(w, head, encode(v, head, sizeof(head)));
}

static size_t encode_array(uint64_t n, unsigned char *to, size_t n_max) {
        return cbor_encode_array_start((size_t)n, to, n_max);
}

static size_t encode_map(uint64_t n, unsigned char *to, size_t n_max) {
        return cbor_encode_map_start((size_t)n, to, n_max);
}

static size_t encode_text(uint64_t n, unsigned char *to, size_t n_max) {
        return cbor_encode_string_start((size_t)n, to, n_max);
}

static size_t encode_bytes(uint64_t n, unsigned char *to, size_t n_max) {
        return cbor_encode_bytestring_start((size_t)n, to, n_max);
}

void rep_put_map(struct writer *w, uint64_t n_pairs) {
        put_head(w, encode_map, n_pairs);
}

void rep_put_array(struct writer *w, uint64_t n_items) {
        put_head(w, encode_array, n_items);
}

void rep_put_text_head(struct writer *w, size_t n) {
        put_head(w, encode_text, n);
}

void rep_put_bytes_head(struct writer *w, size_t n) {
        put_head(w, encode_bytes, n);
}

void rep_put_text(struct writer *w, struct span s) {
        put_head(w, encode_text, s.n);
        writer_put_span(w, s);
}

void rep_put_string(struct writer *w, const char *s) {
        rep_put_text(w, span_of_string(s));
}

void rep_put_bytes(struct writer *w, struct span s) {
        put_head(w, encode_bytes, s.n);
        writer_put_span(w, s);
}

void rep_put_uint(struct writer *w, uint64_t v) {
        put_head(w, cbor_encode_uint, v);
}

void rep_put_negative(struct writer *w, uint64_t n) {
        put_head(w, cbor_encode_negint, n);
}

void rep_put_int(struct writer *w, int64_t v) {
        if (v < 0)
                rep_put_negative(w, (uint64_t)(-1 - v));
        else
                rep_put_uint(w, (uint64_t)v);
}

void rep_put_double(struct writer *w, double v) {
        unsigned char item[HEAD_MAX];

        writer_put(w, item, cbor_encode_double(v, item, sizeof(item)));
}

void rep_put_bool(struct writer *w, bool v) {
        writer_put_u8(w, v ? 0xf5 : 0xf4);
}

void rep_put_null(struct writer *w) {
        writer_put_u8(w, 0xf6);
}

void rep_put_undefined(struct writer *w) {
        writer_put_u8(w, 0xf7);
}

void rep_put_simple(struct writer *w, uint8_t v) {
        if (v >= 32)
                writer_put_u8(w, 0xf8);
        writer_put_u8(w, v >= 32 ? v : (uint8_t)(0xe0 | v));
}

void rep_put_tag(struct writer *w, uint64_t tag) {
        put_head(w, cbor_encode_tag, tag);
}

void rep_put_item(struct writer *w, struct span item) {
        writer_put_span(w, item);
}

/* One byte is left for the head; most containers have fewer than 24 things, and a longer head moves the rest.
 */
static size_t begin(struct writer *w) {
        size_t at = w->n;

        writer_put_u8(w, 0);
        return at;
}

static void end(struct writer *w, size_t begun, size_t (*encode)(uint64_t, unsigned char *, size_t),
                uint64_t n) {
        unsigned char head[HEAD_MAX];
        size_t n_head = encode(n, head, sizeof(head)), n_body;

        if (w->overflow)
                return;
        n_body = w->n - begun - 1;
        if (n_head > 1) {
                if (n_head - 1 > w->n_max - w->n) {
                        w->overflow = true;
                        return;
                }
                memmove(w->data + begun + n_head, w->data + begun + 1, n_body);
                w->n += n_head - 1;
        }
        memcpy(w->data + begun, head, n_head);
}

size_t rep_begin_map(struct writer *w) {
        return begin(w);
}

size_t rep_begin_array(struct writer *w) {
        return begin(w);
}

void rep_end_map(struct writer *w, size_t begun, uint64_t n_pairs) {
        end(w, begun, encode_map, n_pairs);
}

void rep_end_array(struct writer *w, size_t begun, uint64_t n_items) {
        end(w, begun, encode_array, n_items);
}
