#include "daemon/keyring.h"
#include "base/memory.h"
#include "security/cred.h"

#include <errno.h>
#include <string.h>

#define ROW     "tool"
#define VERSION 1u

struct keyring {
        struct store *store;
        bool exists;
        uint8_t *authority, *anchors;
        size_t n_authority, n_anchors;
        struct uuid *ids; /* beside each other, for who lists them */
        uint8_t (*keys)[KEY_PSK];
        size_t n, n_max;
};

/* One change on its way to the disk. */
struct putting {
        struct keyring *keyring;
        store_done *done;
        void *context;
        struct uuid id;
        bool is_new; /* taken back when it cannot be stored */
};

/* ---- the row ---- */

static void put_bytes(struct writer *w, const uint8_t *bytes, size_t n) {
        writer_put_u32(w, (uint32_t)n);
        if (n)
                writer_put(w, bytes, n);
}

static bool take_bytes(struct span *s, size_t n_max, uint8_t **ret, size_t *ret_n) {
        struct span bytes;
        uint32_t n;

        if (!span_take_u32(s, &n) || n > n_max || !span_take(s, n, &bytes))
                return false;
        *ret_n = n;
        *ret = n ? ocf_duplicate(bytes) : NULL;
        return !n || *ret;
}

static size_t row_size(const struct keyring *k) {
        return 16 + k->n_authority + k->n_anchors + k->n * (16 + KEY_PSK);
}

static void write_row(const struct keyring *k, struct writer *w) {
        writer_put_u32(w, VERSION);
        put_bytes(w, k->authority, k->n_authority);
        put_bytes(w, k->anchors, k->n_anchors);
        writer_put_u32(w, (uint32_t)k->n);
        for (size_t i = 0; i < k->n; i++) {
                writer_put(w, k->ids[i].bytes, 16);
                writer_put(w, k->keys[i], KEY_PSK);
        }
}

static int reserve(struct keyring *k, size_t n) {
        size_t n_max = k->n_max ? k->n_max : 16;
        uint8_t(*keys)[KEY_PSK];
        struct uuid *ids;

        if (n <= k->n_max)
                return 0;
        while (n_max < n)
                n_max *= 2;
        ids = ocf_allocate(n_max, sizeof(*ids));
        keys = ocf_allocate(n_max, sizeof(*keys));
        if (!ids || !keys) {
                ocf_free(ids);
                ocf_free(keys);
                return -ENOMEM;
        }
        if (k->n) {
                memcpy(ids, k->ids, k->n * sizeof(*ids));
                memcpy(keys, k->keys, k->n * sizeof(*keys));
                secret_wipe(k->keys, k->n * sizeof(*keys));
        }
        ocf_free(k->ids);
        ocf_free(k->keys);
        k->ids = ids;
        k->keys = keys;
        k->n_max = n_max;
        return 0;
}

static int read_row(struct keyring *k, struct span s) {
        uint32_t version, n;
        struct span item;
        int r;

        if (!span_take_u32(&s, &version) || version != VERSION ||
            !take_bytes(&s, KEYRING_AUTHORITY_MAX, &k->authority, &k->n_authority) ||
            !take_bytes(&s, KEYRING_ANCHORS_MAX, &k->anchors, &k->n_anchors) || !span_take_u32(&s, &n) ||
            n > KEYRING_DEVICES_MAX || s.n != n * (16 + KEY_PSK))
                return STORE_E_DAMAGED;
        r = reserve(k, n);
        if (r)
                return r;
        for (; k->n < n && span_take(&s, 16 + KEY_PSK, &item); k->n++) {
                memcpy(k->ids[k->n].bytes, item.data, 16);
                memcpy(k->keys[k->n], item.data + 16, KEY_PSK);
        }
        k->exists = true;
        return 0;
}

static void on_stored(void *context, int outcome) {
        struct putting *p = context;

        if (outcome && p->is_new)
                for (size_t i = 0; i < p->keyring->n; i++)
                        if (uuid_equal(&p->keyring->ids[i], &p->id)) {
                                p->keyring->ids[i] = p->keyring->ids[--p->keyring->n];
                                memcpy(p->keyring->keys[i], p->keyring->keys[p->keyring->n], KEY_PSK);
                                break;
                        }
        if (p->done)
                p->done(p->context, outcome);
        ocf_free(p);
}

static int commit(struct keyring *k, const struct uuid *new, store_done *done, void *context) {
        size_t n = row_size(k);
        uint8_t *bytes = ocf_allocate(n, 1);
        struct putting *p = ocf_new(struct putting);
        struct writer w = writer_on(bytes, bytes ? n : 0);
        struct store_change change;
        int r = -ENOMEM;

        if (bytes && p) {
                *p = (struct putting){ .keyring = k, .done = done, .context = context, .is_new = new };
                if (new)
                        p->id = *new;
                write_row(k, &w);
                change = (struct store_change){ STORE_TOOL, ROW, writer_span(&w) };
                r = w.overflow ? -EINVAL : store_commit(k->store, &change, 1, true, on_stored, p);
        }
        if (r)
                ocf_free(p);
        if (bytes)
                secret_wipe(bytes, n);
        ocf_free(bytes);
        return r;
}

/* ---- made, asked and changed ---- */

int keyring_load(struct keyring **ret, struct store *store) {
        struct keyring *k = ocf_new(struct keyring);
        uint8_t *bytes;
        size_t n;
        int r;

        if (!k)
                return -ENOMEM;
        k->store = store;
        *ret = k;
        r = store_get(store, STORE_TOOL, ROW, &bytes, &n);
        if (r)
                return r;
        r = read_row(k, span_of(bytes, n));
        secret_wipe(bytes, n);
        ocf_free(bytes);
        return r;
}

struct keyring *keyring_free(struct keyring *k) {
        if (!k)
                return NULL;
        if (k->authority)
                secret_wipe(k->authority, k->n_authority);
        if (k->keys)
                secret_wipe(k->keys, k->n_max * sizeof(*k->keys));
        ocf_free(k->authority);
        ocf_free(k->anchors);
        ocf_free(k->ids);
        ocf_free(k->keys);
        return ocf_free(k);
}

bool keyring_exists(const struct keyring *k) {
        return k->exists;
}

int keyring_make(struct keyring *k, struct span authority, store_done *done, void *context) {
        uint8_t *bytes;

        if (k->exists && k->n)
                return -EALREADY; /* one without devices was not finished */
        if (authority.n > KEYRING_AUTHORITY_MAX)
                return -EINVAL;
        bytes = ocf_duplicate(authority);
        if (!bytes)
                return -ENOMEM;
        if (k->authority)
                secret_wipe(k->authority, k->n_authority);
        ocf_free(k->authority);
        k->authority = bytes;
        k->n_authority = authority.n;
        k->exists = true;
        return commit(k, NULL, done, context);
}

struct span keyring_authority(const struct keyring *k) {
        return span_of(k->authority, k->n_authority);
}

static bool find(const struct keyring *k, const struct uuid *device, size_t *ret) {
        for (size_t i = 0; i < k->n; i++)
                if (uuid_equal(&k->ids[i], device)) {
                        *ret = i;
                        return true;
                }
        return false;
}

bool keyring_has(const struct keyring *k, const struct uuid *device) {
        size_t i;

        return find(k, device, &i);
}

struct span keyring_key(const struct keyring *k, const struct uuid *device) {
        size_t i;

        return find(k, device, &i) ? span_of(k->keys[i], KEY_PSK) : SPAN_NULL;
}

int keyring_put(struct keyring *k, const struct uuid *device, const uint8_t key[static KEY_PSK],
                store_done *done, void *context) {
        uint8_t before[KEY_PSK];
        bool is_new;
        size_t i;
        int r;

        is_new = !find(k, device, &i);
        if (is_new) {
                if (k->n >= KEYRING_DEVICES_MAX)
                        return -ENOSPC;
                r = reserve(k, k->n + 1);
                if (r)
                        return r;
                i = k->n++;
                k->ids[i] = *device;
        }
        memcpy(before, k->keys[i], KEY_PSK);
        memcpy(k->keys[i], key, KEY_PSK);
        r = commit(k, is_new ? device : NULL, done, context);
        if (r && is_new)
                k->n--;
        else if (r)
                memcpy(k->keys[i], before, KEY_PSK);
        secret_wipe(before, KEY_PSK);
        return r;
}

int keyring_remove(struct keyring *k, const struct uuid *device, store_done *done, void *context) {
        uint8_t key[KEY_PSK];
        struct uuid id = *device;
        size_t i;
        int r;

        if (!find(k, &id, &i)) {
                if (done)
                        done(context, 0);
                return 0;
        }
        memcpy(key, k->keys[i], KEY_PSK);
        k->n--;
        k->ids[i] = k->ids[k->n];
        memcpy(k->keys[i], k->keys[k->n], KEY_PSK);
        r = commit(k, NULL, done, context);
        if (r) { /* it is ours still */
                k->ids[k->n] = id;
                memcpy(k->keys[k->n], key, KEY_PSK);
                k->n++;
        }
        secret_wipe(key, KEY_PSK);
        return r;
}

size_t keyring_devices(const struct keyring *k, const struct uuid **ret) {
        *ret = k->ids;
        return k->n;
}

int keyring_add_anchor(struct keyring *k, struct span pem, store_done *done, void *context) {
        uint8_t *all, *before = k->anchors;
        size_t n_before = k->n_anchors;
        int r;

        if (n_before + pem.n + 1 > KEYRING_ANCHORS_MAX)
                return -ENOSPC;
        all = ocf_allocate(n_before + pem.n + 1, 1);
        if (!all)
                return -ENOMEM;
        if (n_before)
                memcpy(all, before, n_before);
        memcpy(all + n_before, pem.data, pem.n);
        all[n_before + pem.n] = '\n';
        k->anchors = all;
        k->n_anchors = n_before + pem.n + 1;
        r = commit(k, NULL, done, context);
        if (r) {
                k->anchors = before;
                k->n_anchors = n_before;
                ocf_free(all);
                return r;
        }
        ocf_free(before);
        return 0;
}

struct span keyring_anchors(const struct keyring *k) {
        return span_of(k->anchors, k->n_anchors);
}
