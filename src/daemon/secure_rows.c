#include "base/memory.h"
#include "daemon/secure_private.h"
#include "security/identity_key.h"

#include <errno.h>
#include <string.h>

/*
 * The secure resources as rows of the store: one for each, and that of the
 * device itself, whose UUID changes with them.
 */

#define KEY_ROW "identity"

static const char *const names[_SVR_STORED_N] = {
        [SVR_DOXM] = "doxm", [SVR_PSTAT] = "pstat", [SVR_CRED] = "cred", [SVR_ACL2] = "acl2",
        [SVR_SP] = "sp",     [SVR_SDI] = "sdi",     [SVR_AEL] = "ael",
};

static void row_free(struct secure_row *row) {
        if (row->bytes)
                secret_wipe(row->bytes, row->n);
        ocf_free(row->bytes);
        *row = (struct secure_row){ 0 };
}

void secure_rows_deinit(struct secure_row rows[static _SVR_STORED_N]) {
        for (size_t i = 0; i < _SVR_STORED_N; i++)
                row_free(&rows[i]);
}

/* The identity's key has a row of its own, and is never answered with. */
static int load_key(struct secure_device *d) {
        uint8_t *bytes;
        size_t n;
        int r = store_get(d->secure->config.store, d->row, KEY_ROW, &bytes, &n);

        if (r)
                return r == STORE_E_NONE ? STORE_E_DAMAGED : r < 0 ? r : STORE_E_SEALED;
        r = crypto_key_load(&d->key, span_of(bytes, n)) ? 0 : STORE_E_DAMAGED;
        secret_wipe(bytes, n);
        ocf_free(bytes);
        return r;
}

int secure_rows_load(struct secure_device *d) {
        for (enum svr_id id = 0; id < _SVR_STORED_N; id++) {
                struct secure_row *row = &d->saved[id];
                int r = store_get(d->secure->config.store, d->row, names[id], &row->bytes, &row->n);

                if (r)
                        return r == STORE_E_NONE ? STORE_E_NONE : r < 0 ? r : STORE_E_SEALED;
                r = svr_load(&d->svr, id, span_of(row->bytes, row->n));
                if (r)
                        return r < 0 ? r : STORE_E_DAMAGED;
        }
        return load_key(d);
}

/* What the rows of the change will be. */
static int write_rows(struct secure_device *d) {
        struct secure_change *c = &d->change;

        for (enum svr_id id = 0; id < _SVR_STORED_N; id++) {
                struct writer w = writer_on(d->secure->scratch, SVR_REP_MAX);

                if (!(c->rows & SVR_BIT(id)))
                        continue;
                svr_save(&d->svr, id, &w);
                row_free(&c->saved[id]);
                c->saved[id] = (struct secure_row){ w.overflow ? NULL : ocf_duplicate(writer_span(&w)), w.n };
                secret_wipe(w.data, w.n);
                if (!c->saved[id].bytes)
                        return -ENOMEM;
        }
        return 0;
}

static bool any_is_owned(const struct secure *s) {
        for (size_t i = 0; i < s->n_devices; i++)
                if (s->devices[i]->svr.doxm.owned)
                        return true;
        return false;
}

static void on_durable(void *context, int outcome) {
        secure_change_done(context, outcome);
}

int secure_rows_commit(struct secure_device *d) {
        struct store_change changes[_SVR_STORED_N + 2];
        struct secure_change *c = &d->change;
        struct store_device stored = d->stored;
        uint8_t device[STORE_DEVICE_SIZE], key[IDENTITY_KEY_DER_MAX];
        struct writer key_writer = writer_on(key, sizeof(key));
        size_t n = 0;
        int r = write_rows(d);

        if (r)
                return r;
        for (enum svr_id id = 0; id < _SVR_STORED_N; id++)
                if (c->rows & SVR_BIT(id))
                        changes[n++] = (struct store_change){ d->row, names[id],
                                                              span_of(c->saved[id].bytes, c->saved[id].n) };
        if (c->is_new || !uuid_equal(&stored.di, &d->svr.doxm.deviceuuid)) {
                stored.di = d->svr.doxm.deviceuuid;
                changes[n++] = (struct store_change){ d->row, "device", store_write_device(&stored, device) };
        }
        if (c->key && !crypto_key_save(c->key, &key_writer))
                return -ENOMEM;
        if (c->key)
                changes[n++] = (struct store_change){ d->row, KEY_ROW, writer_span(&key_writer) };
        c->under_way = true;
        r = store_commit(d->secure->config.store, changes, n, any_is_owned(d->secure), on_durable, d);
        secret_wipe(key, sizeof(key));
        if (r)
                c->under_way = false;
        return r;
}

void secure_rows_keep(struct secure_device *d) {
        for (size_t i = 0; i < _SVR_STORED_N; i++) {
                struct secure_row *new = &d->change.saved[i];

                if (!new->bytes)
                        continue;
                row_free(&d->saved[i]);
                d->saved[i] = *new;
                *new = (struct secure_row){ 0 };
        }
        d->stored.di = d->svr.doxm.deviceuuid;
        if (d->change.key) {
                EVP_PKEY_free(d->key);
                d->key = d->change.key;
                d->change.key = NULL;
        }
}

/* What is on the disk is what is. Where even that cannot be had the device serves nothing secure. */
void secure_rows_put_back(struct secure_device *d) {
        secure_rows_deinit(d->change.saved);
        EVP_PKEY_free(d->change.key);
        d->change.key = NULL;
        for (enum svr_id id = 0; id < _SVR_STORED_N; id++)
                if (d->change.rows & SVR_BIT(id) && d->saved[id].bytes &&
                    svr_load(&d->svr, id, span_of(d->saved[id].bytes, d->saved[id].n)))
                        d->sealed =
                                "There was no memory to take back a change that could not be stored. Restart "
                                "ocfd.";
        d->svr.machine = d->change.before;
}
