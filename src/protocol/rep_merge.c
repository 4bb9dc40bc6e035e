#include "protocol/rep.h"

#include <string.h>

/* 2^63 and 2^64 as doubles, exactly. */
#define TWO_63 9223372036854775808.0
#define TWO_64 18446744073709551616.0

/* A double that is a whole number of 64 bits, as that number. */
static bool put_as_integer(struct writer *w, double v) {
        static const uint8_t negative_zero[8] = { [7] = 0x80 }, of_other_order[8] = { 0x80 };

        if (memcmp(&v, negative_zero, 8) == 0 || memcmp(&v, of_other_order, 8) == 0)
                return false; /* its sign would be lost */
        if (!(v >= -TWO_63 && v < TWO_64))
                return false;
        if (v >= 0) {
                if ((double)(uint64_t)v != v)
                        return false;
                rep_put_uint(w, (uint64_t)v);
        } else {
                if ((double)(int64_t)v != v)
                        return false;
                rep_put_int(w, (int64_t)v);
        }
        return true;
}

/* An integer as a double, if no digit gets lost. */
static bool put_as_double(struct writer *w, const struct rep_token *t) {
        bool negative = t->type == REP_NEGATIVE; /* -1 - n: n + 1 below zero */
        uint64_t n = t->value.unsigned_integer + negative;
        double v = negative && !n ? TWO_64 : (double)n;

        if (v >= TWO_64 ? !negative || n : (uint64_t)v != n)
                return false;
        rep_put_double(w, negative ? -v : v);
        return true;
}

/* The new value of a key; a number takes the type that the key has had. */
static void put_coerced(struct writer *w, struct span old, struct span new) {
        enum rep_type had = rep_type_of(old);
        struct span rest = new;
        struct rep_token t;

        if (rep_next(&rest, &t)) {
                bool is_integer = t.type == REP_UINT || t.type == REP_NEGATIVE;

                if ((had == REP_UINT || had == REP_NEGATIVE) && t.type == REP_DOUBLE &&
                    put_as_integer(w, t.value.real))
                        return;
                if (had == REP_DOUBLE && is_integer && put_as_double(w, &t))
                        return;
        }
        rep_put_item(w, new);
}

int rep_merge(struct span base, struct span update, struct writer *out) {
        struct span pairs, key, item, other, update_pairs;
        uint64_t n, n_update, n_out;
        size_t begun;

        if (!rep_map_begin(base, &pairs, &n) || !rep_map_begin(update, &update_pairs, &n_update))
                return REP_E_MALFORMED;
        begun = rep_begin_map(out);
        n_out = n;
        while (rep_map_next(&pairs, &key, &item)) {
                if (!key.data)
                        return REP_E_MALFORMED; /* a representation has names */
                rep_put_text(out, key);
                if (rep_map_find_span(update, key, &other))
                        put_coerced(out, item, other);
                else
                        rep_put_item(out, item);
        }
        while (rep_map_next(&update_pairs, &key, &item)) {
                if (!key.data)
                        return REP_E_MALFORMED;
                if (rep_map_find_span(base, key, &other))
                        continue;
                rep_put_text(out, key);
                rep_put_item(out, item);
                n_out++;
        }
        rep_end_map(out, begun, n_out);
        return out->overflow ? REP_E_NO_ROOM : 0;
}

static bool maps_equal(struct span a, struct span b) {
        struct span pairs_a, pairs_b, key, item, other;
        uint64_t n_a, n_b;

        if (!rep_map_begin(a, &pairs_a, &n_a) || !rep_map_begin(b, &pairs_b, &n_b) || n_a != n_b)
                return false;
        while (rep_map_next(&pairs_a, &key, &item)) {
                if (!key.data)
                        return false; /* keys that are no text are compared in place only */
                if (!rep_map_find_span(b, key, &other) || !rep_equal(item, other))
                        return false;
        }
        return true;
}

bool rep_equal(struct span a, struct span b) {
        struct span rest_a = a, rest_b = b, x, y;
        struct rep_token t, u;

        if (span_equal(a, b))
                return true;
        if (!rep_next(&rest_a, &t) || !rep_next(&rest_b, &u) || t.type != u.type)
                return false;
        if (t.type == REP_MAP)
                return maps_equal(a, b);
        if (t.type != REP_ARRAY || t.value.n != u.value.n)
                return false; /* two scalars that are equal have equal bytes */
        while (rep_skip(&rest_a, &x))
                if (!rep_skip(&rest_b, &y) || !rep_equal(x, y))
                        return false;
        return true;
}
