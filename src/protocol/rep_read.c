#include "protocol/rep.h"
#include "protocol/rep_token.h"

#include <cbor.h>

#include <string.h>

/*
 * libcbor's streaming decoder calls back once for each item it takes; the
 * callbacks below write the item down as a token.
 */
struct taken {
        struct rep_token token;
        bool indefinite; /* only rep_normalise() meets these; see rep_token.h */
        bool is_break;
};

#define PUT(name, ...) static void name(void *context, ##__VA_ARGS__)

static struct rep_token *token(void *context, enum rep_type type) {
        struct taken *t = context;

        t->token.type = type;
        return &t->token;
}

PUT(on_uint8, uint8_t v) {
        token(context, REP_UINT)->value.unsigned_integer = v;
}
PUT(on_uint16, uint16_t v) {
        token(context, REP_UINT)->value.unsigned_integer = v;
}
PUT(on_uint32, uint32_t v) {
        token(context, REP_UINT)->value.unsigned_integer = v;
}
PUT(on_uint64, uint64_t v) {
        token(context, REP_UINT)->value.unsigned_integer = v;
}
PUT(on_negint8, uint8_t v) {
        token(context, REP_NEGATIVE)->value.unsigned_integer = v;
}
PUT(on_negint16, uint16_t v) {
        token(context, REP_NEGATIVE)->value.unsigned_integer = v;
}
PUT(on_negint32, uint32_t v) {
        token(context, REP_NEGATIVE)->value.unsigned_integer = v;
}
PUT(on_negint64, uint64_t v) {
        token(context, REP_NEGATIVE)->value.unsigned_integer = v;
}
PUT(on_bytes, cbor_data data, size_t n) {
        token(context, REP_BYTES)->value.string = span_of(data, n);
}
PUT(on_text, cbor_data data, size_t n) {
        token(context, REP_TEXT)->value.string = span_of(data, n);
}
PUT(on_bytes_start) {
        token(context, REP_BYTES);
        ((struct taken *)context)->indefinite = true;
}
PUT(on_text_start) {
        token(context, REP_TEXT);
        ((struct taken *)context)->indefinite = true;
}
PUT(on_array, size_t n) {
        token(context, REP_ARRAY)->value.n = n;
}
PUT(on_array_start) {
        token(context, REP_ARRAY);
        ((struct taken *)context)->indefinite = true;
}
PUT(on_map, size_t n) {
        token(context, REP_MAP)->value.n = n;
}
PUT(on_map_start) {
        token(context, REP_MAP);
        ((struct taken *)context)->indefinite = true;
}
PUT(on_tag, uint64_t v) {
        token(context, REP_TAG)->value.unsigned_integer = v;
}
PUT(on_float, float v) {
        token(context, REP_DOUBLE)->value.real = (double)v;
}
PUT(on_double, double v) {
        token(context, REP_DOUBLE)->value.real = v;
}
PUT(on_undefined) {
        token(context, REP_UNDEFINED);
}
PUT(on_null) {
        token(context, REP_NULL);
}
PUT(on_bool, bool v) {
        token(context, REP_BOOL)->value.boolean = v;
}
PUT(on_break) {
        ((struct taken *)context)->is_break = true;
}

static const struct cbor_callbacks callbacks = {
        .uint8 = on_uint8,
        .uint16 = on_uint16,
        .uint32 = on_uint32,
        .uint64 = on_uint64,
        .negint8 = on_negint8,
        .negint16 = on_negint16,
        .negint32 = on_negint32,
        .negint64 = on_negint64,
        .byte_string_start = on_bytes_start,
        .byte_string = on_bytes,
        .string = on_text,
        .string_start = on_text_start,
        .indef_array_start = on_array_start,
        .array_start = on_array,
        .indef_map_start = on_map_start,
        .map_start = on_map,
        .tag = on_tag,
        .float2 = on_float,
        .float4 = on_float,
        .float8 = on_double,
        .undefined = on_undefined,
        .null = on_null,
        .boolean = on_bool,
        .indef_break = on_break,
};

bool rep_take_raw(struct span *rep, struct rep_token *ret, bool *ret_indefinite, bool *ret_break) {
        struct taken t = { 0 };
        struct cbor_decoder_result r;
        uint8_t first;

        if (!rep->n)
                return false;
        first = rep->data[0];
        if (first >= 0xc0 &&
            first <= 0xd7) { /* small tags, of which libcbor refuses those that nobody has assigned */
                struct span s = *rep;

                (void)span_take_u8(&s, &first);
                ret->type = REP_TAG;
                ret->value.unsigned_integer = first & 0x1f;
                *ret_indefinite = *ret_break = false;
                *rep = s;
                return true;
        }
        if (first >= 0xe0 &&
            (first < 0xf4 || first == 0xf8)) { /* simple values, which libcbor does not know */
                struct span s = *rep;
                uint8_t value = first & 0x1f;

                (void)span_take_u8(&s, &first);
                if (first == 0xf8 && (!span_take_u8(&s, &value) || value < 32))
                        return false;
                ret->type = REP_SIMPLE;
                ret->value.unsigned_integer = value;
                *ret_indefinite = *ret_break = false;
                *rep = s;
                return true;
        }
        r = cbor_stream_decode(rep->data, rep->n, &callbacks, &t);
        if (r.status != CBOR_DECODER_FINISHED)
                return false;
        rep->data += r.read;
        rep->n -= r.read;
        *ret = t.token;
        *ret_indefinite = t.indefinite;
        *ret_break = t.is_break;
        return true;
}

bool rep_next(struct span *rep, struct rep_token *ret) {
        bool indefinite, is_break;

        return rep_take_raw(rep, ret, &indefinite, &is_break) && !indefinite && !is_break;
}

bool rep_skip(struct span *rep, struct span *ret_item) {
        struct span rest = *rep;
        struct rep_token t;
        uint64_t n_left = 1;

        while (n_left) {
                if (!rep_next(&rest, &t))
                        return false;
                n_left--;
                if (t.type == REP_ARRAY)
                        n_left += t.value.n;
                else if (t.type == REP_MAP)
                        n_left += 2 * t.value.n;
                else if (t.type == REP_TAG)
                        n_left++;
        }
        *ret_item = span_of(rep->data, rep->n - rest.n);
        *rep = rest;
        return true;
}

bool rep_map_begin(struct span map, struct span *ret_pairs, uint64_t *ret_n) {
        struct rep_token t;

        if (!rep_next(&map, &t) || t.type != REP_MAP)
                return false;
        *ret_pairs = map;
        *ret_n = t.value.n;
        return true;
}

bool rep_map_next(struct span *pairs, struct span *ret_key, struct span *ret_item) {
        struct span key, item;

        if (!rep_skip(pairs, &key) || !rep_skip(pairs, &item))
                return false;
        *ret_key = SPAN_NULL;
        (void)rep_as_text(key, ret_key);
        *ret_item = item;
        return true;
}

bool rep_map_find_span(struct span map, struct span key, struct span *ret_item) {
        struct span pairs, k, item;
        uint64_t n;

        if (!rep_map_begin(map, &pairs, &n))
                return false;
        while (rep_map_next(&pairs, &k, &item))
                if (k.data && span_equal(k, key)) {
                        *ret_item = item;
                        return true;
                }
        return false;
}

bool rep_map_find(struct span map, const char *key, struct span *ret_item) {
        return rep_map_find_span(map, span_of_string(key), ret_item);
}

bool rep_as_bool(struct span item, bool *ret) {
        struct rep_token t;

        if (!rep_next(&item, &t) || t.type != REP_BOOL)
                return false;
        *ret = t.value.boolean;
        return true;
}

bool rep_as_int64(struct span item, int64_t *ret) {
        struct rep_token t;

        if (!rep_next(&item, &t) || (t.type != REP_UINT && t.type != REP_NEGATIVE) ||
            t.value.unsigned_integer > INT64_MAX)
                return false;
        *ret = t.type == REP_UINT ? (int64_t)t.value.unsigned_integer
                                  : -1 - (int64_t)t.value.unsigned_integer;
        return true;
}

bool rep_as_double(struct span item, double *ret) {
        struct rep_token t;

        if (!rep_next(&item, &t))
                return false;
        if (t.type == REP_DOUBLE)
                *ret = t.value.real;
        else if (t.type == REP_UINT)
                *ret = (double)t.value.unsigned_integer;
        else if (t.type == REP_NEGATIVE)
                *ret = -1.0 - (double)t.value.unsigned_integer;
        else
                return false;
        return true;
}

static bool as_string(struct span item, enum rep_type type, struct span *ret) {
        struct rep_token t;

        if (!rep_next(&item, &t) || t.type != type)
                return false;
        *ret = t.value.string;
        return true;
}

bool rep_as_text(struct span item, struct span *ret) {
        return as_string(item, REP_TEXT, ret);
}

bool rep_as_bytes(struct span item, struct span *ret) {
        return as_string(item, REP_BYTES, ret);
}

enum rep_type rep_type_of(struct span item) {
        struct rep_token t = { .type = REP_UNDEFINED };

        (void)rep_next(&item, &t);
        return t.type;
}
