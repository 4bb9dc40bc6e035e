#include "base/utf8.h"
#include "protocol/rep.h"
#include "protocol/rep_token.h"

/*
 * From whatever a stranger calls CBOR to the normal form. What a container
 * claims to hold is checked against the bytes that are left before anything is
 * believed, and the recursion is as deep as REP_DEPTH_MAX.
 */

static int normalise(struct span *in, struct writer *out, bool lenient, unsigned depth);

/* The chunks of an indefinite string: seen once for their length, then copied. */
static int join_chunks(struct span *in, struct writer *out, enum rep_type type) {
        struct span look = *in;
        struct rep_token t;
        bool indefinite, is_break;
        size_t n = 0;

        for (;;) {
                if (!rep_take_raw(&look, &t, &indefinite, &is_break) || indefinite)
                        return REP_E_MALFORMED;
                if (is_break)
                        break;
                if (t.type != type)
                        return REP_E_MALFORMED;
                if (type == REP_TEXT && !utf8_is_valid(t.value.string, UTF8_ANY))
                        return REP_E_NOT_TEXT; /* RFC 8949, 3.2.3: each chunk is text by itself */
                n += t.value.string.n;
        }
        if (type == REP_TEXT)
                rep_put_text_head(out, n);
        else
                rep_put_bytes_head(out, n);
        while (rep_take_raw(in, &t, &indefinite, &is_break) && !is_break)
                writer_put_span(out, t.value.string);
        return 0;
}

static int string(struct span *in, struct writer *out, const struct rep_token *t, bool indefinite,
                  bool lenient) {
        if (indefinite)
                return join_chunks(in, out, t->type);
        if (t->type == REP_TEXT && utf8_is_valid(t->value.string, UTF8_ANY))
                rep_put_text(out, t->value.string);
        else if (t->type == REP_BYTES || lenient)
                rep_put_bytes(out, t->value.string);
        else
                return REP_E_NOT_TEXT;
        return 0;
}

static bool at_break(const struct span *in) {
        return in->n && in->data[0] == 0xff;
}

static int array(struct span *in, struct writer *out, uint64_t n, bool indefinite, bool lenient,
                 unsigned depth) {
        size_t begun = rep_begin_array(out);
        uint64_t i = 0;
        int r;

        if (!indefinite && n > in->n)
                return REP_E_MALFORMED; /* every item takes a byte */
        for (; indefinite ? !at_break(in) : i < n; i++) {
                r = normalise(in, out, lenient, depth + 1);
                if (r)
                        return r;
        }
        if (indefinite)
                (void)span_take(in, 1, &(struct span){ 0 });
        rep_end_array(out, begun, i);
        return 0;
}

/* One walk collects the keys, so that what lies in the values is passed over once. */
static int check_keys(struct span map) {
        struct span keys[REP_KEYS_MAX], pairs, key, item;
        size_t n_keys = 0;
        uint64_t n;

        if (!rep_map_begin(map, &pairs, &n))
                return REP_E_NO_ROOM; /* it was not written whole */
        while (rep_map_next(&pairs, &key, &item)) {
                if (!key.data)
                        continue;
                for (size_t i = 0; i < n_keys; i++)
                        if (span_equal(keys[i], key))
                                return REP_E_DUPLICATE_KEY;
                keys[n_keys++] = key;
        }
        return 0;
}

static int map(struct span *in, struct writer *out, uint64_t n, bool indefinite, bool lenient,
               unsigned depth) {
        size_t begun = rep_begin_map(out);
        uint64_t i = 0;
        int r;

        if (!indefinite && n > in->n / 2)
                return REP_E_MALFORMED;
        for (; indefinite ? !at_break(in) : i < n; i++) {
                if (i == REP_KEYS_MAX)
                        return REP_E_TOO_LARGE;
                r = normalise(in, out, lenient, depth + 1);
                if (!r)
                        r = normalise(in, out, lenient, depth + 1);
                if (r)
                        return r;
        }
        if (indefinite)
                (void)span_take(in, 1, &(struct span){ 0 });
        rep_end_map(out, begun, i);
        if (out->overflow)
                return REP_E_NO_ROOM;
        return check_keys(span_of(out->data + begun, out->n - begun));
}

static int normalise(struct span *in, struct writer *out, bool lenient, unsigned depth) {
        struct rep_token t;
        bool indefinite, is_break;

        if (!rep_take_raw(in, &t, &indefinite, &is_break) || is_break)
                return REP_E_MALFORMED;
        if (out->overflow)
                return REP_E_NO_ROOM;
        if (depth == REP_DEPTH_MAX && (t.type == REP_ARRAY || t.type == REP_MAP || t.type == REP_TAG))
                return REP_E_TOO_DEEP;
        switch (t.type) {
        case REP_UINT:
                rep_put_uint(out, t.value.unsigned_integer);
                return 0;
        case REP_NEGATIVE:
                rep_put_negative(out, t.value.unsigned_integer);
                return 0;
        case REP_BYTES:
        case REP_TEXT:
                return string(in, out, &t, indefinite, lenient);
        case REP_ARRAY:
                return array(in, out, t.value.n, indefinite, lenient, depth);
        case REP_MAP:
                return map(in, out, t.value.n, indefinite, lenient, depth);
        case REP_TAG:
                rep_put_tag(out, t.value.unsigned_integer);
                return normalise(in, out, lenient, depth + 1);
        case REP_DOUBLE:
                rep_put_double(out, t.value.real);
                return 0;
        case REP_BOOL:
                rep_put_bool(out, t.value.boolean);
                return 0;
        case REP_NULL:
                rep_put_null(out);
                return 0;
        case REP_UNDEFINED:
                rep_put_undefined(out);
                return 0;
        case REP_SIMPLE:
                rep_put_simple(out, (uint8_t)t.value.unsigned_integer);
                return 0;
        }
        return REP_E_MALFORMED;
}

static int whole(struct span in, struct writer *out, bool lenient) {
        int r = normalise(&in, out, lenient, 0);

        if (r)
                return r;
        if (in.n)
                return REP_E_MALFORMED;
        return out->overflow ? REP_E_NO_ROOM : 0;
}

int rep_normalise(struct span in, struct writer *out) {
        return whole(in, out, false);
}

int rep_normalise_leniently(struct span in, struct writer *out) {
        return whole(in, out, true);
}
