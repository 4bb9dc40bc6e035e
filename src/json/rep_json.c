#include "json/rep_json.h"
#include "protocol/rep.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- to JSON ---- */

static json_t *to_json(struct span *rep);

static json_t *base64url(struct span bytes) {
        static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        size_t n = (bytes.n * 4 + 2) / 3;
        char *text = malloc(n + 1);
        json_t *j;

        if (!text)
                return NULL;
        for (size_t i = 0; i < n; i++) {
                size_t bit = i * 6, byte = bit / 8;
                unsigned two =
                        (unsigned)bytes.data[byte] << 8 | (byte + 1 < bytes.n ? bytes.data[byte + 1] : 0u);

                text[i] = alphabet[two >> (10 - bit % 8) & 63];
        }
        j = json_stringn(text, n);
        free(text);
        return j;
}

static json_t *number(const struct rep_token *t) {
        uint64_t v = t->value.unsigned_integer;

        if (v > INT64_MAX)
                return json_real(t->type == REP_UINT ? (double)v : -1.0 - (double)v);
        return json_integer(t->type == REP_UINT ? (json_int_t)v : -1 - (json_int_t)v);
}

static json_t *array(struct span *rep, uint64_t n) {
        json_t *j = json_array(), *item;

        for (; j && n; n--) {
                item = to_json(rep);
                if (!item || json_array_append_new(j, item) < 0) {
                        json_decref(j);
                        return NULL;
                }
        }
        return j;
}

/* Text keys as they are, others as their own JSON text. */
static json_t *key_of(struct span *rep) {
        json_t *key = to_json(rep), *text;
        char *dump;

        if (!key || json_is_string(key))
                return key;
        dump = json_dumps(key, JSON_COMPACT | JSON_ENCODE_ANY);
        json_decref(key);
        text = dump ? json_string(dump) : NULL;
        free(dump);
        return text;
}

/* 5 and "5" are two keys, but would be one: the later one gets a prime. */
static json_t *make_distinct(json_t *object, json_t *key_take) {
        json_t *longer;

        while (key_take &&
               json_object_getn(object, json_string_value(key_take), json_string_length(key_take))) {
                longer = json_sprintf("%s'", json_string_value(key_take));
                json_decref(key_take);
                key_take = longer;
        }
        return key_take;
}

static json_t *object(struct span *rep, uint64_t n) {
        json_t *j = json_object(), *item;

        for (; j && n; n--) {
                json_t *key = make_distinct(j, key_of(rep));

                item = key ? to_json(rep) : NULL;
                if (!item ||
                    json_object_setn_new(j, json_string_value(key), json_string_length(key), item) < 0) {
                        json_decref(key);
                        json_decref(j);
                        return NULL;
                }
                json_decref(key);
        }
        return j;
}

static json_t *to_json(struct span *rep) {
        struct rep_token t;

        if (!rep_next(rep, &t))
                return NULL;
        switch (t.type) {
        case REP_UINT:
        case REP_NEGATIVE:
                return number(&t);
        case REP_BYTES:
                return base64url(t.value.string);
        case REP_TEXT:
                return json_stringn((const char *)t.value.string.data, t.value.string.n);
        case REP_ARRAY:
                return array(rep, t.value.n);
        case REP_MAP:
                return object(rep, t.value.n);
        case REP_TAG:
                return to_json(rep);
        case REP_DOUBLE:
                return isfinite(t.value.real) ? json_real(t.value.real) : json_null();
        case REP_BOOL:
                return json_boolean(t.value.boolean);
        case REP_NULL:
        case REP_UNDEFINED:
                return json_null();
        case REP_SIMPLE:
                return json_integer((json_int_t)t.value.unsigned_integer);
        }
        return NULL;
}

int rep_to_json(struct span rep, json_t **ret) {
        json_t *j = to_json(&rep);

        if (!j)
                return -ENOMEM; /* a normal form has nothing else that could fail */
        *ret = j;
        return 0;
}

static int append(const char *data, size_t n, void *writer) {
        return writer_put(writer, data, n) ? 0 : -1;
}

int rep_to_json_text(struct span rep, struct writer *out) {
        json_t *j;
        int r = rep_to_json(rep, &j);

        if (r < 0)
                return r;
        r = json_dump_callback(j, append, out, JSON_COMPACT | JSON_ENCODE_ANY);
        json_decref(j);
        if (out->overflow)
                return REP_JSON_E_NO_ROOM;
        return r < 0 ? -ENOMEM : 0;
}

/* ---- from JSON ---- */

static int from_json(const json_t *j, struct writer *out, unsigned depth) {
        const char *key;
        size_t i;
        json_t *item;
        int r;

        if (depth == REP_DEPTH_MAX && (json_is_object(j) || json_is_array(j)))
                return REP_JSON_E_TOO_DEEP;
        switch (json_typeof(j)) {
        case JSON_OBJECT:
                if (json_object_size(j) > REP_KEYS_MAX)
                        return REP_JSON_E_NO_ROOM;
                rep_put_map(out, json_object_size(j));
                json_object_foreach((json_t *)j, key, item) {
                        rep_put_string(out, key);
                        r = from_json(item, out, depth + 1);
                        if (r)
                                return r;
                }
                break;
        case JSON_ARRAY:
                rep_put_array(out, json_array_size(j));
                json_array_foreach(j, i, item) {
                        r = from_json(item, out, depth + 1);
                        if (r)
                                return r;
                }
                break;
        case JSON_STRING:
                rep_put_text(out, span_of(json_string_value(j), json_string_length(j)));
                break;
        case JSON_INTEGER:
                rep_put_int(out, json_integer_value(j));
                break;
        case JSON_REAL:
                rep_put_double(out, json_real_value(j));
                break;
        case JSON_TRUE:
        case JSON_FALSE:
                rep_put_bool(out, json_is_true(j));
                break;
        case JSON_NULL:
                rep_put_null(out);
                break;
        }
        return out->overflow ? REP_JSON_E_NO_ROOM : 0;
}

int rep_from_json(const json_t *json, struct writer *out) {
        return from_json(json, out, 0);
}

int rep_from_json_text(struct span text, struct writer *out) {
        json_error_t error;
        json_t *j = json_loadb((const char *)text.data, text.n,
                               JSON_DECODE_ANY | JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
        int r;

        if (!j)
                return json_error_code(&error) == json_error_out_of_memory ? -ENOMEM : REP_JSON_E_SYNTAX;
        r = rep_from_json(j, out);
        json_decref(j);
        return r;
}
