/*
 * Rows and changes in memory: which rows there must be, in order, and values
 * that are ours until they are written, wiped when they go.
 */
#include "base/memory.h"
#include "daemon/store_private.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <string.h>

int store_index_compare(const struct store_row *row, uint16_t device, const char *name) {
        if (row->device != device)
                return row->device < device ? -1 : 1;
        return strcmp(row->name, name);
}

/* The first row that is not before this place. */
static size_t find_place(const struct store_index *index, uint16_t device, const char *name) {
        size_t from = 0, to = index->n;

        while (from < to) {
                size_t middle = from + (to - from) / 2;

                if (store_index_compare(&index->rows[middle], device, name) < 0)
                        from = middle + 1;
                else
                        to = middle;
        }
        return from;
}

struct store_row *store_index_find(const struct store_index *index, uint16_t device, const char *name) {
        size_t i = find_place(index, device, name);

        return i < index->n && !store_index_compare(&index->rows[i], device, name) ? &index->rows[i] : NULL;
}

int store_index_copy(struct store_index *ret, const struct store_index *index, size_t n_more) {
        struct store_row *rows = ocf_allocate(index->n + n_more + 1, sizeof(*rows));

        if (!rows)
                return -ENOMEM;
        if (index->n)
                memcpy(rows, index->rows, index->n * sizeof(*rows));
        *ret = (struct store_index){ rows, index->n };
        return 0;
}

void store_index_put(struct store_index *index, const struct store_row *row) {
        size_t i = find_place(index, row->device, row->name);

        if (i == index->n || store_index_compare(&index->rows[i], row->device, row->name)) {
                memmove(&index->rows[i + 1], &index->rows[i], (index->n - i) * sizeof(*row));
                index->n++;
        }
        index->rows[i] = *row;
}

void store_index_remove(struct store_index *index, uint16_t device, const char *name) {
        struct store_row *row = store_index_find(index, device, name);

        if (!row)
                return;
        index->n--;
        memmove(row, row + 1, (size_t)(index->rows + index->n - row) * sizeof(*row));
}

void store_index_deinit(struct store_index *index) {
        ocf_free(index->rows);
        *index = (struct store_index){ 0 };
}

void store_wipe_free(void *p, size_t n) {
        if (p)
                OPENSSL_cleanse(p, n);
        ocf_free(p);
}

static void drop(struct store_change *c) {
        store_wipe_free((void *)c->value.data, c->value.n);
        ocf_free((void *)c->name);
}

static struct store_change *find_change(struct store_changes *c, uint16_t device, const char *name) {
        for (size_t i = 0; i < c->n; i++)
                if (c->list[i].device == device && strcmp(c->list[i].name, name) == 0)
                        return &c->list[i];
        return NULL;
}

int store_changes_add(struct store_changes *c, const struct store_change *change) {
        struct store_change copy = { .device = change->device }, *old;

        copy.name = ocf_duplicate_string(change->name);
        if (copy.name && change->value.data) {
                copy.value = span_of(ocf_duplicate(change->value), change->value.n);
                if (!copy.value.data) {
                        copy.value.n = 0;
                        drop(&copy);
                        return -ENOMEM;
                }
        }
        old = copy.name ? find_change(c, change->device, change->name) : NULL;
        if (old) {
                drop(old);
                *old = copy;
                return 0;
        }
        if (!copy.name || !ocf_grow((void **)&c->list, c->n, c->n + 1, sizeof(*c->list))) {
                drop(&copy);
                return -ENOMEM;
        }
        c->list[c->n++] = copy;
        return 0;
}

void store_changes_remove(struct store_changes *c, uint16_t device, const char *name) {
        struct store_change *old = find_change(c, device, name);

        if (!old)
                return;
        drop(old);
        *old = c->list[--c->n];
}

void store_changes_deinit(struct store_changes *c) {
        for (size_t i = 0; i < c->n; i++)
                drop(&c->list[i]);
        ocf_free(c->list);
        *c = (struct store_changes){ 0 };
}

bool store_changes_are_valid(const struct store_change *changes, size_t n) {
        for (size_t i = 0; i < n; i++) {
                size_t n_name = changes[i].name ? strlen(changes[i].name) : 0;

                if (!n_name || n_name > STORE_NAME_MAX || changes[i].value.n > STORE_VALUE_MAX)
                        return false;
        }
        return true;
}
