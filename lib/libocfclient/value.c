/*
 * The tree that programs build and read: typed setters and getters, nothing is
 * changed where one of them fails.
 */
#include "value.h"
#include "base/memory.h"
#include "base/utf8.h"
#include "protocol/rep.h"

#include <errno.h>
#include <math.h>
#include <string.h>

/* ---- made and freed ---- */

int value_new(struct ocf_value **ret, enum ocf_type type) {
        struct ocf_value *v = ocf_new(struct ocf_value);

        if (!v)
                return -ENOMEM;
        v->type = type;
        v->depth = type == OCF_MAP || type == OCF_ARRAY;
        *ret = v;
        return 0;
}

int value_new_data(struct ocf_value **ret, enum ocf_type type, struct span data) {
        OCF_CLEANUP(value_freep) struct ocf_value *v = NULL;
        int r = value_new(&v, type);

        if (r)
                return r;
        v->data = ocf_allocate(data.n + 1, 1);
        if (!v->data)
                return -ENOMEM;
        if (data.n)
                memcpy(v->data, data.data, data.n);
        v->n_data = data.n;
        *ret = v;
        v = NULL;
        return 0;
}

int ocf_value_new_map(struct ocf_value **ret) {
        return ret ? value_new(ret, OCF_MAP) : -EINVAL;
}

int ocf_value_new_array(struct ocf_value **ret) {
        return ret ? value_new(ret, OCF_ARRAY) : -EINVAL;
}

struct ocf_value *ocf_value_free(struct ocf_value *v) {
        if (!v)
                return NULL;
        for (size_t i = 0; i < v->n_items; i++) {
                ocf_value_free(v->items[i]);
                if (v->keys)
                        ocf_free(v->keys[i]);
        }
        ocf_free(v->items);
        ocf_free(v->keys);
        ocf_free(v->data);
        return ocf_free(v);
}

int ocf_value_copy(struct ocf_value **ret, const struct ocf_value *v) {
        OCF_CLEANUP(value_freep) struct ocf_value *copy = NULL;
        int r;

        if (!ret || !v)
                return -EINVAL;
        r = v->data ? value_new_data(&copy, v->type, span_of(v->data, v->n_data)) : value_new(&copy, v->type);
        if (r)
                return r;
        copy->boolean = v->boolean;
        copy->integer = v->integer;
        copy->real = v->real;
        copy->depth = v->depth;
        for (size_t i = 0; i < v->n_items; i++) {
                struct ocf_value *item;

                r = ocf_value_copy(&item, v->items[i]);
                if (!r)
                        r = value_put_take(copy, v->keys ? v->keys[i] : NULL, item);
                if (r)
                        return r;
        }
        *ret = copy;
        copy = NULL;
        return 0;
}

/* ---- writing ---- */

static bool find(const struct ocf_value *map, const char *key, size_t *ret) {
        for (size_t i = 0; i < map->n_items; i++)
                if (strcmp(map->keys[i], key) == 0) {
                        *ret = i;
                        return true;
                }
        return false;
}

static int append(struct ocf_value *container, const char *key, struct ocf_value *item) {
        size_t n = container->n_items;

        if (!ocf_grow((void **)&container->items, n, n + 1, sizeof(struct ocf_value *)))
                return -ENOMEM;
        if (key) {
                if (!ocf_grow((void **)&container->keys, n, n + 1, sizeof(char *)))
                        return -ENOMEM;
                container->keys[n] = ocf_duplicate_string(key);
                if (!container->keys[n])
                        return -ENOMEM;
        }
        container->items[n] = item;
        container->n_items++;
        return 0;
}

/* Whether the container may take something under this key. */
static int check(const struct ocf_value *container, const char *key) {
        size_t i;

        if (!container || container->type != (key ? OCF_MAP : OCF_ARRAY))
                return -EINVAL;
        if (!key)
                return 0;
        if (!utf8_is_valid(span_of_string(key), UTF8_BUS))
                return -EINVAL;
        return container->n_items >= REP_KEYS_MAX && !find(container, key, &i) ? -E2BIG : 0;
}

int value_put_take(struct ocf_value *container, const char *key, struct ocf_value *item_take) {
        OCF_CLEANUP(value_freep) struct ocf_value *item = item_take;
        int r = check(container, key);
        unsigned depth = item->depth + 1;
        size_t i;

        if (r)
                return r;
        if (depth > REP_DEPTH_MAX)
                return -E2BIG;
        if (key && find(container, key, &i)) {
                ocf_value_free(container->items[i]);
                container->items[i] = item;
        } else {
                r = append(container, key, item);
                if (r)
                        return r;
        }
        if (container->depth < depth)
                container->depth = depth;
        item = NULL;
        return 0;
}

int ocf_value_set_null(struct ocf_value *v, const char *key) {
        struct ocf_value *item;
        int r = value_new(&item, OCF_NULL);

        return r ? r : value_put_take(v, key, item);
}

int ocf_value_set_bool(struct ocf_value *v, const char *key, bool value) {
        struct ocf_value *item;
        int r = value_new(&item, OCF_BOOL);

        if (r)
                return r;
        item->boolean = value;
        return value_put_take(v, key, item);
}

int ocf_value_set_int(struct ocf_value *v, const char *key, int64_t value) {
        struct ocf_value *item;
        int r = value_new(&item, OCF_INT);

        if (r)
                return r;
        item->integer = value;
        return value_put_take(v, key, item);
}

int ocf_value_set_double(struct ocf_value *v, const char *key, double value) {
        struct ocf_value *item;
        int r = value_new(&item, OCF_DOUBLE);

        if (r)
                return r;
        item->real = value;
        return value_put_take(v, key, item);
}

int ocf_value_set_string(struct ocf_value *v, const char *key, const char *value) {
        struct ocf_value *item;
        int r;

        if (!value || !utf8_is_valid(span_of_string(value), UTF8_ANY))
                return -EINVAL;
        r = value_new_data(&item, OCF_STRING, span_of_string(value));
        return r ? r : value_put_take(v, key, item);
}

int ocf_value_set_bytes(struct ocf_value *v, const char *key, const void *data, size_t n) {
        struct ocf_value *item;
        int r;

        if (!data && n)
                return -EINVAL;
        r = value_new_data(&item, OCF_BYTES, span_of(data, n));
        return r ? r : value_put_take(v, key, item);
}

int ocf_value_set_value(struct ocf_value *v, const char *key, const struct ocf_value *value) {
        struct ocf_value *item;
        int r = check(v, key);

        if (!r)
                r = ocf_value_copy(&item, value);
        return r ? r : value_put_take(v, key, item);
}

/* ---- reading ---- */

enum ocf_type ocf_value_type(const struct ocf_value *v) {
        return v ? v->type : OCF_NULL;
}

size_t ocf_value_count(const struct ocf_value *v) {
        return v ? v->n_items : 0;
}

const struct ocf_value *ocf_value_get(const struct ocf_value *v, const char *key) {
        size_t i;

        return v && key && v->type == OCF_MAP && find(v, key, &i) ? v->items[i] : NULL;
}

const struct ocf_value *ocf_value_at(const struct ocf_value *v, size_t i, const char **ret_key) {
        if (!v || i >= v->n_items)
                return NULL;
        if (ret_key && v->keys)
                *ret_key = v->keys[i];
        return v->items[i];
}

/* The value itself without a key, if it is of one of the types; NULL otherwise. */
static const struct ocf_value *typed(const struct ocf_value *v, const char *key, enum ocf_type type) {
        const struct ocf_value *item = key ? ocf_value_get(v, key) : v;

        return item && item->type == type ? item : NULL;
}

bool ocf_value_get_bool(const struct ocf_value *v, const char *key, bool *ret) {
        const struct ocf_value *item = typed(v, key, OCF_BOOL);

        if (item && ret)
                *ret = item->boolean;
        return item && ret;
}

bool ocf_value_get_int(const struct ocf_value *v, const char *key, int64_t *ret) {
        const struct ocf_value *item = typed(v, key, OCF_INT);

        if (item && ret) {
                *ret = item->integer;
                return true;
        }
        item = typed(v, key, OCF_DOUBLE);
        /* 2^63 is the first double that does not fit; -2^63 does. */
        if (!item || !ret || !(item->real >= -0x1p63 && item->real < 0x1p63) ||
            trunc(item->real) != item->real)
                return false;
        *ret = (int64_t)item->real;
        return true;
}

bool ocf_value_get_double(const struct ocf_value *v, const char *key, double *ret) {
        const struct ocf_value *item = typed(v, key, OCF_DOUBLE);

        if (!item && (item = typed(v, key, OCF_INT)) && ret) {
                *ret = (double)item->integer;
                return true;
        }
        if (item && ret)
                *ret = item->real;
        return item && ret;
}

bool ocf_value_get_string(const struct ocf_value *v, const char *key, const char **ret) {
        const struct ocf_value *item = typed(v, key, OCF_STRING);

        if (item && ret)
                *ret = (const char *)item->data;
        return item && ret;
}

bool ocf_value_get_bytes(const struct ocf_value *v, const char *key, const void **ret, size_t *ret_n) {
        const struct ocf_value *item = typed(v, key, OCF_BYTES);

        if (!item || !ret || !ret_n)
                return false;
        *ret = item->data;
        *ret_n = item->n_data;
        return true;
}
