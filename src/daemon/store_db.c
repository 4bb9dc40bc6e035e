/*
 * The database, read: its format, what it says of itself, and every row of it
 * against the key. This file and store_db_write.c are all that knows SQL.
 *
 * Nothing in a database is believed before its digest has been seen to be
 * right: tables, triggers and indices of somebody else are refused, and what a
 * statement finds is compared with what must be there.
 */
#include "base/memory.h"
#include "daemon/store_db_private.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <string.h>

/* SQLite's codes as ours; what it says about the disk is behind the error of the system, if there is one. */
int store_db_outcome(sqlite3 *db, int code) {
        int error = db ? sqlite3_system_errno(db) : 0;

        switch (code & 0xff) {
        case SQLITE_OK:
        case SQLITE_DONE:
        case SQLITE_ROW:
                return 0;
        case SQLITE_NOMEM:
                return -ENOMEM;
        case SQLITE_BUSY:
        case SQLITE_LOCKED:
                return STORE_E_IN_USE;
        case SQLITE_ERROR: /* of statements that are right: the schema is another one */
        case SQLITE_CORRUPT:
        case SQLITE_NOTADB:
        case SQLITE_CONSTRAINT:
        case SQLITE_MISMATCH:
        case SQLITE_TOOBIG:
                return STORE_E_DAMAGED;
        case SQLITE_FULL:
                return -ENOSPC;
        case SQLITE_READONLY:
        case SQLITE_PERM:
                return error ? -error : STORE_E_DAMAGED; /* a format that it would only read */
        case SQLITE_CANTOPEN: /* it tries once more to read only what is not there, and says that */
                return error && error != ENOENT ? -error : -EIO;
        default: /* I/O, mostly */
                return error ? -error : -EIO;
        }
}

int store_db_run(sqlite3 *db, const char *sql) {
        return store_db_outcome(db, sqlite3_exec(db, sql, NULL, NULL, NULL));
}

int store_db_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **ret) {
        return store_db_outcome(db, sqlite3_prepare_v2(db, sql, -1, ret, NULL));
}

/* Return: 0 and a row stands; STORE_E_NONE; the others. */
static int step(sqlite3 *db, sqlite3_stmt *statement) {
        int r = sqlite3_step(statement);

        return r == SQLITE_DONE ? STORE_E_NONE : store_db_outcome(db, r);
}

static int read_number(sqlite3 *db, const char *sql, int64_t *ret) {
        sqlite3_stmt *statement = NULL;
        int r = store_db_prepare(db, sql, &statement);

        if (!r)
                r = step(db, statement);
        if (!r)
                *ret = sqlite3_column_int64(statement, 0);
        sqlite3_finalize(statement);
        return r == STORE_E_NONE ? STORE_E_DAMAGED : r;
}

/* ---- opening ---- */

/* What the schema of somebody else might do while we read or write. */
static void disarm(sqlite3 *db) {
        (void)sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
        (void)sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_VIEW, 0, NULL);
        (void)sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
        (void)sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
}

/*
 * A rollback journal is whole or not there. The lock is kept: nobody else comes between, and the end of a
 * transaction is the journal's header overwritten and synced, so that FULL is durable without a sync of the
 * directory.
 */
int store_db_open(sqlite3 **ret, const char *path) {
        sqlite3 *db = NULL;
        int r = store_db_outcome(db, sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL));

        if (!r) {
                disarm(db);
                r = store_db_run(db, "PRAGMA locking_mode = EXCLUSIVE; PRAGMA synchronous = FULL; PRAGMA "
                                     "journal_mode = DELETE; BEGIN EXCLUSIVE; COMMIT");
        }
        if (r) {
                sqlite3_close(db);
                return r;
        }
        *ret = db;
        return 0;
}

int store_db_open_image(sqlite3 **ret, const uint8_t *image, size_t n) {
        sqlite3 *db = NULL;
        int r = store_db_outcome(db, sqlite3_open_v2(":memory:", &db, SQLITE_OPEN_READWRITE, NULL));

        if (!r) {
                disarm(db);
                r = store_db_outcome(db,
                                     sqlite3_deserialize(db, "main", (unsigned char *)image, (sqlite3_int64)n,
                                                         (sqlite3_int64)n, SQLITE_DESERIALIZE_READONLY));
        }
        if (r) {
                sqlite3_close(db);
                return r;
        }
        *ret = db;
        return 0;
}

static int on_check(void *good, int n, char **values, char **names) {
        *(bool *)good = n == 1 && values[0] && strcmp(values[0], "ok") == 0;
        return 0;
}

/* Our tables and their index, and nothing else. */
static int check_schema(sqlite3 *db, int64_t version) {
        int64_t n = 0, n_ours = 0;
        int r = read_number(db, "SELECT count(*) FROM sqlite_schema", &n);

        if (!r)
                r = read_number(
                        db,
                        "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name IN ('meta', "
                        "'entry', 'platform', 'device') OR type = 'index' AND name = "
                        "'sqlite_autoindex_entry_1'",
                        &n_ours);
        if (!r)
                r = store_db_run(db, version == 1
                                             ? "SELECT id, pi FROM platform LIMIT 0; SELECT id, di, piid, "
                                               "port_coap FROM device LIMIT 0"
                                             : "SELECT id, store_id, key_id, generation, owned, digest FROM "
                                               "meta LIMIT 0; SELECT device, name, generation, nonce, tag, "
                                               "sealed FROM entry LIMIT 0");
        if (!r && (n != n_ours || n != (version == 1 ? 2 : 3)))
                r = STORE_E_DAMAGED;
        return r;
}

int store_db_version(sqlite3 *db, int64_t *ret) {
        int64_t id = 0, version = 0;
        bool good = false;
        int r = read_number(db, "PRAGMA application_id", &id);

        if (!r)
                r = read_number(db, "PRAGMA user_version", &version);
        if (!r && (id != STORE_APPLICATION_ID || version < 1))
                r = STORE_E_DAMAGED;
        if (!r && version > STORE_SCHEMA_VERSION)
                r = STORE_E_NEWER;
        if (!r)
                r = store_db_outcome(db,
                                     sqlite3_exec(db, "PRAGMA integrity_check(1)", on_check, &good, NULL));
        if (!r && !good)
                r = STORE_E_DAMAGED;
        if (!r)
                r = check_schema(db, version);
        if (!r)
                *ret = version;
        return r;
}

/* ---- rows ---- */

static bool read_blob(sqlite3_stmt *statement, int column, void *ret, size_t n) {
        const void *blob = sqlite3_column_blob(statement, column);

        if (sqlite3_column_type(statement, column) != SQLITE_BLOB ||
            sqlite3_column_bytes(statement, column) != (int)n)
                return false;
        memcpy(ret, blob, n);
        return true;
}

int store_db_read_meta(sqlite3 *db, struct store_meta *ret, uint8_t ret_digest[static STORE_DIGEST]) {
        struct store_meta m = { 0 };
        sqlite3_stmt *statement = NULL;
        int64_t generation, owned;
        int r = store_db_prepare(db, "SELECT store_id, key_id, generation, owned, digest FROM meta",
                                 &statement);

        if (!r)
                r = step(db, statement);
        if (!r) {
                generation = sqlite3_column_int64(statement, 2);
                owned = sqlite3_column_int64(statement, 3);
                if (!read_blob(statement, 0, m.store_id, sizeof(m.store_id)) ||
                    !read_blob(statement, 1, m.key_id, sizeof(m.key_id)) ||
                    !read_blob(statement, 4, ret_digest, STORE_DIGEST) || generation < 1 || owned < 0 ||
                    owned > 1 || sqlite3_step(statement) != SQLITE_DONE)
                        r = STORE_E_DAMAGED;
                m.generation = (uint64_t)generation;
                m.owned = owned == 1;
        }
        sqlite3_finalize(statement);
        if (!r)
                *ret = m;
        return r == STORE_E_NONE ? STORE_E_DAMAGED : r;
}

static bool read_place(sqlite3_stmt *statement, struct store_row *ret) {
        int64_t device = sqlite3_column_int64(statement, 0), generation = sqlite3_column_int64(statement, 2);
        const unsigned char *name = sqlite3_column_text(statement, 1);
        int n = sqlite3_column_bytes(statement, 1);

        if (!name || n < 1 || n > (int)STORE_NAME_MAX || memchr(name, 0, (size_t)n) || device < 0 ||
            device > UINT16_MAX || generation < 1)
                return false;
        ret->device = (uint16_t)device;
        ret->generation = (uint64_t)generation;
        memcpy(ret->name, name, (size_t)n);
        return read_blob(statement, 3, ret->tag, sizeof(ret->tag));
}

/* The sealed value of the row that stands, opened. *ret is the caller's. */
static int open_value(sqlite3_stmt *statement, const struct store_key *key, const struct store_meta *meta,
                      const struct store_row *row, int nonce_column, uint8_t **ret, size_t *ret_n) {
        uint8_t nonce[STORE_NONCE], *value;
        const void *sealed = sqlite3_column_blob(statement, nonce_column + 1);
        int n = sqlite3_column_bytes(statement, nonce_column + 1), r;

        if (!read_blob(statement, nonce_column, nonce, sizeof(nonce)) || n < 0 || n > (int)STORE_VALUE_MAX)
                return STORE_E_DAMAGED;
        value = ocf_allocate((size_t)n, 1);
        if (!value || (n && !sealed)) {
                ocf_free(value);
                return -ENOMEM;
        }
        r = store_unseal_row(key, meta->store_id, row, nonce, span_of(sealed, (size_t)n), value);
        if (r) {
                ocf_free(value);
                return r;
        }
        *ret = value;
        *ret_n = (size_t)n;
        return 0;
}

static int verify_row(sqlite3_stmt *statement, const struct store_key *key, const struct store_meta *meta,
                      struct store_index *index, struct store_changes *collect) {
        struct store_row row = { 0 };
        uint8_t *value = NULL;
        size_t n = 0;
        int r;

        if (!read_place(statement, &row))
                return STORE_E_DAMAGED;
        if (index->n && store_index_compare(&index->rows[index->n - 1], row.device, row.name) >= 0)
                return STORE_E_DAMAGED;
        r = open_value(statement, key, meta, &row, 4, &value, &n);
        if (!r && collect)
                r = store_changes_add(collect, &(struct store_change){ row.device, row.name, { value, n } });
        store_wipe_free(value, n);
        if (!r && !ocf_grow((void **)&index->rows, index->n, index->n + 1, sizeof(*index->rows)))
                r = -ENOMEM;
        if (!r)
                index->rows[index->n++] = row;
        return r;
}

int store_db_verify(sqlite3 *db, const struct store_key *key, const struct store_meta *meta,
                    const uint8_t *digest, struct store_index *ret, struct store_changes *collect) {
        struct store_index index = { 0 };
        sqlite3_stmt *statement = NULL;
        uint8_t right[STORE_DIGEST];
        int r = store_db_prepare(db,
                                 "SELECT device, name, generation, tag, nonce, sealed FROM entry ORDER BY "
                                 "device, name",
                                 &statement);

        while (!r) {
                r = step(db, statement);
                if (!r)
                        r = verify_row(statement, key, meta, &index, collect);
        }
        sqlite3_finalize(statement);
        if (r == STORE_E_NONE)
                r = store_digest(key, meta, &index, right);
        if (!r && CRYPTO_memcmp(right, digest, sizeof(right)) != 0)
                r = STORE_E_DAMAGED;
        if (r) {
                store_index_deinit(&index);
                return r;
        }
        store_index_deinit(ret);
        *ret = index;
        return 0;
}

int store_db_get(sqlite3 *db, const struct store_key *key, const struct store_meta *meta,
                 const struct store_row *row, uint8_t **ret, size_t *ret_n) {
        sqlite3_stmt *statement = NULL;
        int r = store_db_prepare(db, "SELECT nonce, sealed FROM entry WHERE device = ? AND name = ?",
                                 &statement);

        if (!r) {
                sqlite3_bind_int(statement, 1, row->device);
                sqlite3_bind_text(statement, 2, row->name, -1, SQLITE_STATIC);
                r = step(db, statement);
        }
        if (!r)
                r = open_value(statement, key, meta, row, 0, ret, ret_n);
        sqlite3_finalize(statement);
        return r;
}

/* ---- version 1: identities as they are, and no owner ---- */

static int collect_platform(sqlite3 *db, struct store_changes *ret) {
        sqlite3_stmt *statement = NULL;
        struct uuid pi;
        int r = store_db_prepare(db, "SELECT pi FROM platform WHERE id = 0", &statement);

        if (!r)
                r = step(db, statement);
        if (!r && !read_blob(statement, 0, pi.bytes, sizeof(pi.bytes)))
                r = STORE_E_DAMAGED;
        if (!r)
                r = store_changes_add(
                        ret, &(struct store_change){ 0, "platform", { pi.bytes, sizeof(pi.bytes) } });
        sqlite3_finalize(statement);
        return r == STORE_E_NONE ? 0 : r;
}

static int collect_device(sqlite3_stmt *statement, struct store_changes *ret) {
        int64_t id = sqlite3_column_int64(statement, 0), port = sqlite3_column_int64(statement, 3);
        struct store_device d = { 0 };
        uint8_t buf[STORE_DEVICE_SIZE];

        if (!read_blob(statement, 1, d.di.bytes, sizeof(d.di.bytes)) ||
            !read_blob(statement, 2, d.piid.bytes, sizeof(d.piid.bytes)) || id < 0 || id > UINT16_MAX ||
            port < 0 || port > UINT16_MAX)
                return STORE_E_DAMAGED;
        d.port_coap = (uint16_t)port;
        return store_changes_add(
                ret, &(struct store_change){ (uint16_t)id, "device", store_write_device(&d, buf) });
}

int store_db_collect_v1(sqlite3 *db, struct store_changes *ret) {
        sqlite3_stmt *statement = NULL;
        int r = collect_platform(db, ret);

        if (!r)
                r = store_db_prepare(db, "SELECT id, di, piid, port_coap FROM device", &statement);
        while (!r) {
                r = step(db, statement);
                if (!r)
                        r = collect_device(statement, ret);
        }
        sqlite3_finalize(statement);
        return r == STORE_E_NONE ? 0 : r;
}
