/*
 * Between the tree and the house's normal form. What C or D-Bus cannot spell (keys
 * that are no text, tags, text with NUL) passes through as it is.
 */
#include "base/memory.h"
#include "base/utf8.h"
#include "protocol/rep.h"
#include "value.h"

#include <errno.h>
#include <string.h>

/* ---- to normal form ---- */

static void put(const struct ocf_value *v, struct writer *w) {
        switch (v->type) {
        case OCF_NULL:
                rep_put_null(w);
                break;
        case OCF_BOOL:
                rep_put_bool(w, v->boolean);
                break;
        case OCF_INT:
                rep_put_int(w, v->integer);
                break;
        case OCF_DOUBLE:
                rep_put_double(w, v->real);
                break;
        case OCF_STRING:
                rep_put_text(w, span_of(v->data, v->n_data));
                break;
        case OCF_BYTES:
                rep_put_bytes(w, span_of(v->data, v->n_data));
                break;
        case OCF_OTHER:
                rep_put_item(w, span_of(v->data, v->n_data));
                break;
        case OCF_ARRAY:
        case OCF_MAP:
                if (v->type == OCF_MAP)
                        rep_put_map(w, v->n_items);
                else
                        rep_put_array(w, v->n_items);
                for (size_t i = 0; i < v->n_items; i++) {
                        if (v->type == OCF_MAP)
                                rep_put_string(w, v->keys[i]);
                        put(v->items[i], w);
                }
                break;
        }
}

/* An upper bound of its size: no header takes more than nine bytes. */
static size_t bound(const struct ocf_value *v) {
        size_t n = 9 + v->n_data;

        for (size_t i = 0; i < v->n_items; i++)
                n += bound(v->items[i]) + (v->keys ? 9 + strlen(v->keys[i]) : 0);
        return n;
}

int value_to_rep(const struct ocf_value *v, struct span *ret) {
        size_t n_max;
        struct writer w;
        uint8_t *data;

        if (!v)
                return -EINVAL;
        n_max = bound(v);
        data = ocf_allocate(n_max, 1);
        if (!data)
                return -ENOMEM;
        w = writer_on(data, n_max);
        put(v, &w);
        *ret = writer_span(&w);
        return 0;
}

int ocf_value_to_cbor(const struct ocf_value *v, void *data, size_t n_max, size_t *ret_n) {
        struct span rep;
        int r;

        if (!ret_n || (!data && n_max))
                return -EINVAL;
        r = value_to_rep(v, &rep);
        if (r)
                return r;
        *ret_n = rep.n;
        if (rep.n <= n_max)
                memcpy(data, rep.data, rep.n);
        ocf_free((void *)rep.data);
        return rep.n <= n_max ? 0 : -ENOSPC;
}

/* ---- from normal form ---- */

static int take(struct span *rep, struct ocf_value **ret);

static bool is_string(struct span s) {
        return !s.n || !memchr(s.data, 0, s.n);
}

static int take_other(struct span *rep, struct ocf_value **ret) {
        struct span item;

        return rep_skip(rep, &item) ? value_new_data(ret, OCF_OTHER, item) : -EBADMSG;
}

static int take_array(struct span *rep, struct ocf_value **ret) {
        OCF_CLEANUP(value_freep) struct ocf_value *v = NULL;
        struct rep_token t;
        int r = value_new(&v, OCF_ARRAY);

        if (r)
                return r;
        rep_next(rep, &t);
        for (uint64_t i = 0; i < t.value.n; i++) {
                struct ocf_value *item;

                r = take(rep, &item);
                if (!r)
                        r = value_put_take(v, NULL, item);
                if (r)
                        return r;
        }
        *ret = v;
        v = NULL;
        return 0;
}

/* Only maps with keys that programs and the bus can spell. */
static bool is_plain_map(struct span map) {
        struct span pairs, key, item;
        uint64_t n;

        if (!rep_map_begin(map, &pairs, &n))
                return false;
        while (n--)
                if (!rep_map_next(&pairs, &key, &item) || !key.data || !utf8_is_valid(key, UTF8_BUS))
                        return false;
        return true;
}

static int take_map(struct span *rep, struct ocf_value **ret) {
        OCF_CLEANUP(value_freep) struct ocf_value *v = NULL;
        struct rep_token t;
        int r = value_new(&v, OCF_MAP);

        if (r)
                return r;
        rep_next(rep, &t);
        for (uint64_t i = 0, n = t.value.n; i < n; i++) {
                struct ocf_value *item;
                char *key;

                rep_next(rep, &t);
                key = ocf_duplicate_span_as_string(t.value.string);
                if (!key)
                        return -ENOMEM;
                r = take(rep, &item);
                if (!r)
                        r = value_put_take(v, key, item);
                ocf_free(key);
                if (r)
                        return r;
        }
        *ret = v;
        v = NULL;
        return 0;
}

static int take_basic(const struct rep_token *t, struct ocf_value **ret) {
        static const enum ocf_type types[] = {
                [REP_UINT] = OCF_INT,    [REP_NEGATIVE] = OCF_INT, [REP_BYTES] = OCF_BYTES,
                [REP_TEXT] = OCF_STRING, [REP_BOOL] = OCF_BOOL,    [REP_DOUBLE] = OCF_DOUBLE,
                [REP_NULL] = OCF_NULL,
        };
        int r;

        if (t->type == REP_BYTES || t->type == REP_TEXT)
                return value_new_data(ret, types[t->type], t->value.string);
        r = value_new(ret, types[t->type]);
        if (r)
                return r;
        if (t->type == REP_BOOL)
                (*ret)->boolean = t->value.boolean;
        else if (t->type == REP_DOUBLE)
                (*ret)->real = t->value.real;
        else if (t->type != REP_NULL)
                (*ret)->integer = t->type == REP_UINT ? (int64_t)t->value.unsigned_integer
                                                      : -1 - (int64_t)t->value.unsigned_integer;
        return 0;
}

static int take(struct span *rep, struct ocf_value **ret) {
        struct span rest = *rep;
        struct rep_token t;

        if (!rep_next(&rest, &t))
                return -EBADMSG;
        switch (t.type) {
        case REP_ARRAY:
                return take_array(rep, ret);
        case REP_MAP:
                return is_plain_map(*rep) ? take_map(rep, ret) : take_other(rep, ret);
        case REP_UINT:
        case REP_NEGATIVE:
                if (t.value.unsigned_integer > INT64_MAX)
                        return take_other(rep, ret);
                break;
        case REP_TEXT:
                if (!is_string(t.value.string))
                        return take_other(rep, ret);
                break;
        case REP_TAG:
        case REP_UNDEFINED:
        case REP_SIMPLE:
                return take_other(rep, ret);
        case REP_BYTES:
        case REP_DOUBLE:
        case REP_BOOL:
        case REP_NULL:
                break;
        }
        *rep = rest;
        return take_basic(&t, ret);
}

int value_from_rep(struct ocf_value **ret, struct span rep) {
        return take(&rep, ret);
}

int ocf_value_from_cbor(struct ocf_value **ret, const void *data, size_t n) {
        struct writer w;
        uint8_t *buf;
        int r;

        if (!ret || (!data && n))
                return -EINVAL;
        if (n > VALUE_N_MAX)
                return -EMSGSIZE;
        buf = ocf_allocate(
                n * 5 + 256,
                1); /* a half float of three bytes becomes nine; an open container holds some in reserve */
        if (!buf)
                return -ENOMEM;
        w = writer_on(buf, n * 5 + 256);
        r = rep_normalise(span_of(data, n), &w) ? -EBADMSG : value_from_rep(ret, writer_span(&w));
        ocf_free(buf);
        return r;
}
