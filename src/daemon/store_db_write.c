/*
 * The database, written: one transaction from a state that we know to the next,
 * new databases, and copies.
 *
 * What must be there afterwards is reckoned from what we know, not from what
 * the disk holds: a row that somebody exchanged while we ran is not signed by
 * our next digest.
 */
#include "base/memory.h"
#include "daemon/store_db_private.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* What we write ourselves always fits: an outcome here is trouble of ours. */
static int written(sqlite3 *db, int code) {
        int r = store_db_outcome(db, code);

        return r > 0 ? -EIO : r;
}

static int run(sqlite3 *db, const char *sql) {
        return written(db, sqlite3_exec(db, sql, NULL, NULL, NULL));
}

static int put_row(sqlite3 *db, const struct store_key *key, const struct store_meta *meta,
                   struct store_index *index, const struct store_change *c) {
        struct store_row row = { .device = c->device, .generation = meta->generation };
        uint8_t nonce[STORE_NONCE], *sealed = ocf_allocate(c->value.n, 1);
        sqlite3_stmt *statement = NULL;
        int r = -ENOMEM;

        strncpy(row.name, c->name, STORE_NAME_MAX);
        if (sealed)
                r = store_seal_row(key, meta->store_id, &row, c->value, nonce, sealed);
        if (!r)
                r = store_db_prepare(
                        db,
                        "INSERT OR REPLACE INTO entry (device, name, generation, nonce, tag, sealed) "
                        "VALUES (?, ?, ?, ?, ?, ?)",
                        &statement);
        if (!r) {
                sqlite3_bind_int(statement, 1, row.device);
                sqlite3_bind_text(statement, 2, row.name, -1, SQLITE_STATIC);
                sqlite3_bind_int64(statement, 3, (int64_t)row.generation);
                sqlite3_bind_blob(statement, 4, nonce, sizeof(nonce), SQLITE_STATIC);
                sqlite3_bind_blob(statement, 5, row.tag, sizeof(row.tag), SQLITE_STATIC);
                sqlite3_bind_blob64(statement, 6, sealed, c->value.n, SQLITE_STATIC);
                r = written(db, sqlite3_step(statement));
        }
        sqlite3_finalize(statement);
        ocf_free(sealed);
        if (!r)
                store_index_put(index, &row);
        return r > 0 ? -EIO : r;
}

static int delete_row(sqlite3 *db, struct store_index *index, const struct store_change *c) {
        sqlite3_stmt *statement = NULL;
        int r = store_db_prepare(db, "DELETE FROM entry WHERE device = ? AND name = ?", &statement);

        if (!r) {
                sqlite3_bind_int(statement, 1, c->device);
                sqlite3_bind_text(statement, 2, c->name, -1, SQLITE_STATIC);
                r = written(db, sqlite3_step(statement));
        }
        sqlite3_finalize(statement);
        if (!r)
                store_index_remove(index, c->device, c->name);
        return r > 0 ? -EIO : r;
}

static int put_rows(sqlite3 *db, const struct store_key *key, const struct store_meta *meta,
                    struct store_index *index, const struct store_change *changes, size_t n) {
        int r = 0;

        for (size_t i = 0; !r && i < n; i++)
                r = changes[i].value.data ? put_row(db, key, meta, index, &changes[i])
                                          : delete_row(db, index, &changes[i]);
        return r;
}

static int put_meta(sqlite3 *db, const struct store_key *key, const struct store_meta *meta,
                    const struct store_index *index) {
        sqlite3_stmt *statement = NULL;
        uint8_t digest[STORE_DIGEST];
        int r = store_digest(key, meta, index, digest);

        if (!r)
                r = store_db_prepare(db,
                                     "INSERT OR REPLACE INTO meta (id, store_id, key_id, generation, owned, "
                                     "digest) VALUES (0, ?, ?, ?, ?, ?)",
                                     &statement);
        if (!r) {
                sqlite3_bind_blob(statement, 1, meta->store_id, sizeof(meta->store_id), SQLITE_STATIC);
                sqlite3_bind_blob(statement, 2, key->id, sizeof(key->id), SQLITE_STATIC);
                sqlite3_bind_int64(statement, 3, (int64_t)meta->generation);
                sqlite3_bind_int(statement, 4, meta->owned);
                sqlite3_bind_blob(statement, 5, digest, sizeof(digest), SQLITE_STATIC);
                r = written(db, sqlite3_step(statement));
        }
        sqlite3_finalize(statement);
        return r > 0 ? -EIO : r;
}

void store_db_rollback(sqlite3 *db) {
        if (!sqlite3_get_autocommit(db))
                (void)sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
}

int store_db_commit(sqlite3 *db) {
        return run(db, "COMMIT");
}

int store_db_touch(sqlite3 *db) {
        int r = run(db, "BEGIN IMMEDIATE; UPDATE meta SET digest = digest; COMMIT");

        if (r)
                store_db_rollback(db);
        return r;
}

int store_db_write(sqlite3 *db, const struct store_key *key, const struct store_meta *meta,
                   const struct store_index *index, const struct store_change *changes, size_t n,
                   struct store_index *ret_index) {
        struct store_index after = { 0 };
        int r = store_index_copy(&after, index, n);

        if (!r)
                r = run(db, "BEGIN IMMEDIATE");
        if (!r)
                r = put_rows(db, key, meta, &after, changes, n);
        if (!r)
                r = put_meta(db, key, meta, &after);
        if (r) {
                store_index_deinit(&after);
                return r;
        }
        *ret_index = after;
        return 0;
}

/* ---- new ones, and copies ---- */

static int make_schema(sqlite3 *db) {
        char sql[128];
        int r = run(db,
                    "CREATE TABLE meta (id INTEGER PRIMARY KEY CHECK (id = 0), store_id BLOB NOT NULL, "
                    "key_id BLOB NOT NULL, generation INTEGER NOT NULL, owned INTEGER NOT NULL, digest BLOB "
                    "NOT NULL) STRICT;"
                    "CREATE TABLE entry (device INTEGER NOT NULL, name TEXT NOT NULL, generation INTEGER NOT "
                    "NULL, nonce BLOB NOT NULL, tag BLOB NOT NULL, sealed BLOB NOT NULL, PRIMARY KEY "
                    "(device, name)) STRICT");

        snprintf(sql, sizeof(sql), "PRAGMA application_id = %d; PRAGMA user_version = %d",
                 STORE_APPLICATION_ID, STORE_SCHEMA_VERSION);
        return r ? r : run(db, sql);
}

int store_db_build(const char *path, const struct store_key *key, const struct store_meta *meta,
                   const struct store_changes *rows) {
        const struct store_index none = { 0 };
        struct store_index index = { 0 };
        sqlite3 *db = NULL;
        int r = store_db_open(&db, path);

        if (r)
                return r > 0 ? -EIO : r;
        r = store_index_copy(&index, &none, rows->n);
        if (!r)
                r = run(db, "BEGIN IMMEDIATE");
        if (!r)
                r = make_schema(db);
        if (!r)
                r = put_rows(db, key, meta, &index, rows->list, rows->n);
        if (!r)
                r = put_meta(db, key, meta, &index);
        if (!r)
                r = store_db_commit(db);
        if (r)
                store_db_rollback(db);
        sqlite3_close(db);
        store_index_deinit(&index);
        return r;
}

int store_db_image(sqlite3 *db, uint8_t **ret, size_t *ret_n) {
        sqlite3 *copy = NULL;
        sqlite3_backup *backup = NULL;
        sqlite3_int64 n = 0;
        int r = written(NULL, sqlite3_open(":memory:", &copy));

        if (!r) {
                backup = sqlite3_backup_init(copy, "main", db, "main");
                r = backup ? written(db, sqlite3_backup_step(backup, -1)) : -ENOMEM;
        }
        if (backup) {
                int finished = written(db, sqlite3_backup_finish(backup));

                r = r ? r : finished;
        }
        if (!r) {
                *ret = sqlite3_serialize(copy, "main", &n, 0);
                *ret_n = (size_t)n;
                r = *ret ? 0 : -ENOMEM;
        }
        sqlite3_close(copy);
        return r;
}

void store_db_image_free(uint8_t *image) {
        sqlite3_free(image);
}
