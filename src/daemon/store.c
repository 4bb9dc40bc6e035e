/*
 * The store as its users see it: opened, asked, closed. What is found at
 * start-up is judged in store_examine.c.
 */
#include "daemon/store.h"
#include "base/memory.h"
#include "daemon/store_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

char *store_text(const char *format, ...) {
        va_list args;
        char *text;

        va_start(args, format);
        if (vasprintf(&text, format, args) < 0)
                text = NULL;
        va_end(args);
        return text;
}

int store_path(const struct store *s, const char *name, char ret[static STORE_PATH_SIZE]) {
        int n = snprintf(ret, STORE_PATH_SIZE, "%s/%s", s->path, name);

        return n > 0 && n < STORE_PATH_SIZE ? 0 : -ENAMETOOLONG;
}

void store_explain_outcome(int r, const char *path, char **ret_why) {
        switch (r) {
        case STORE_E_NEWER:
                *ret_why = store_text(
                        "The store %s was written by a later version of ocfd: install that version "
                        "again.",
                        path);
                break;
        case STORE_E_IN_USE:
                *ret_why = store_text(
                        "The store %s is in use: another ocfd is running. Stop it, or give this one "
                        "a StateDirectory= of its own.",
                        path);
                break;
        default: /* an errno */
                *ret_why =
                        store_text("The store %s cannot be opened: %s. See that the directory exists, can be "
                                   "written, and belongs to the user ocfd runs as.",
                                   path, strerror(-r));
                break;
        }
}

static int lock(struct store *s, const char *directory, bool make) {
        int n = snprintf(s->path, sizeof(s->path), "%s", directory);

        if (n < 0 || n > STORE_PATH_SIZE - 32)
                return -ENAMETOOLONG;
        if (make && mkdir(directory, 0700) < 0 && errno != EEXIST)
                return -errno;
        s->directory = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (s->directory < 0)
                return -errno;
        if (flock(s->directory, LOCK_EX | LOCK_NB) < 0)
                return errno == EWOULDBLOCK ? STORE_E_IN_USE : -errno;
        return 0;
}

int store_lock(struct store **ret, const char *directory, bool make) {
        struct store *s = ocf_new(struct store);
        int r;

        if (!s)
                return -ENOMEM;
        s->directory = -1;
        r = lock(s, directory, make);
        if (r) {
                store_free(s);
                return r;
        }
        *ret = s;
        return 0;
}

int store_open(struct store **ret, const char *directory, char **ret_why) {
        struct store *s = NULL;
        char path[STORE_PATH_SIZE];
        int r = store_lock(&s, directory, true);

        *ret_why = NULL;
        if (!r)
                r = store_examine(s);
        if (r) {
                snprintf(path, sizeof(path), "%s/%s", directory, STORE_DB);
                store_explain_outcome(r, path, ret_why);
                store_free(s);
                return r;
        }
        if (s->why)
                *ret_why = ocf_duplicate_string(s->why);
        *ret = s;
        return 0;
}

void store_unload(struct store *s) {
        sqlite3_close(s->db);
        s->db = NULL;
        store_index_deinit(&s->index);
        s->meta = (struct store_meta){ 0 };
        s->key = (struct store_key){ 0 };
}

struct store *store_free(struct store *s) {
        if (!s)
                return NULL;
        store_unload(s);
        store_keys_wipe(&s->keys);
        if (s->directory >= 0)
                close(s->directory);
        ocf_free(s->why);
        store_wipe_free(s, sizeof(*s));
        return NULL;
}

struct store *store_close(struct store *s) {
        if (s)
                store_thread_stop(s);
        return store_free(s);
}

bool store_is_sealed(const struct store *s, const char **ret_why) {
        bool is_sealed = atomic_load(&s->state) == STORE_SEALED;

        if (is_sealed && ret_why)
                *ret_why = s->why ? s->why : "The store is sealed.";
        return is_sealed;
}

bool store_is_owned(const struct store *s) {
        return atomic_load(&s->owned);
}

/* ---- rows ---- */

int store_get(struct store *s, uint16_t device, const char *name, uint8_t **ret, size_t *ret_n) {
        const struct store_row *row;
        int r;

        if (s->thread)
                return -EBUSY;
        if (atomic_load(&s->state) != STORE_OPEN)
                return STORE_E_SEALED;
        row = store_index_find(&s->index, device, name);
        if (!row)
                return STORE_E_NONE;
        r = store_db_get(s->db, &s->key, &s->meta, row, ret, ret_n);
        return r > 0 ? -EIO : r; /* it was there and right when we started */
}

int store_get_platform(struct store *s, struct uuid *ret_pi) {
        uint8_t *value;
        size_t n;
        int r = store_get(s, 0, "platform", &value, &n);

        if (r)
                return r;
        if (n == sizeof(ret_pi->bytes))
                memcpy(ret_pi->bytes, value, n);
        else
                r = -EINVAL; /* sealed by us, and yet of another shape */
        ocf_free(value);
        return r;
}

static int put(struct store *s, const struct store_change *change) {
        return s->thread ? -EBUSY : store_commit(s, change, 1, store_is_owned(s), NULL, NULL);
}

int store_put_platform(struct store *s, const struct uuid *pi) {
        return put(s, &(struct store_change){ 0, "platform", { pi->bytes, sizeof(pi->bytes) } });
}

struct span store_write_device(const struct store_device *d, uint8_t buf[static STORE_DEVICE_SIZE]) {
        struct writer w = writer_on(buf, STORE_DEVICE_SIZE);

        writer_put(&w, d->di.bytes, sizeof(d->di.bytes));
        writer_put(&w, d->piid.bytes, sizeof(d->piid.bytes));
        writer_put_u16(&w, d->port_coap);
        writer_put_u16(&w, d->port_coaps);
        writer_put_u16(&w, d->port_tcp);
        writer_put_u16(&w, d->port_coaps_tcp);
        return writer_span(&w);
}

static bool read_device(struct span value, struct store_device *ret) {
        struct span di, piid;

        if (value.n != STORE_DEVICE_SIZE)
                return false;
        span_take(&value, sizeof(ret->di.bytes), &di);
        span_take(&value, sizeof(ret->piid.bytes), &piid);
        memcpy(ret->di.bytes, di.data, di.n);
        memcpy(ret->piid.bytes, piid.data, piid.n);
        span_take_u16(&value, &ret->port_coap);
        span_take_u16(&value, &ret->port_coaps);
        span_take_u16(&value, &ret->port_tcp);
        return span_take_u16(&value, &ret->port_coaps_tcp);
}

int store_get_device(struct store *s, uint16_t index, struct store_device *ret) {
        uint8_t *value;
        size_t n;
        int r = store_get(s, index, "device", &value, &n);

        if (r)
                return r;
        if (!read_device(span_of(value, n), ret))
                r = -EINVAL;
        ocf_free(value);
        return r;
}

int store_put_device(struct store *s, uint16_t index, const struct store_device *device) {
        uint8_t buf[STORE_DEVICE_SIZE];

        return put(s, &(struct store_change){ index, "device", store_write_device(device, buf) });
}
