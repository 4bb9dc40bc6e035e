#include "daemon/store.h"
#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_NAME      "ocfd.db"
#define APPLICATION_ID 0x6f636664 /* "ocfd" */
#define SCHEMA_VERSION 1

struct store {
        sqlite3 *db;
};

/* One step for each version: from the one before to this one. */
static const char *const steps[SCHEMA_VERSION + 1] = {
        [1] = "CREATE TABLE platform (id INTEGER PRIMARY KEY CHECK (id = 0), pi BLOB NOT NULL CHECK "
              "(length(pi) = 16)) STRICT;"
              "CREATE TABLE device (id INTEGER PRIMARY KEY, di BLOB NOT NULL CHECK (length(di) = 16),"
              " piid BLOB NOT NULL CHECK (length(piid) = 16), port_coap INTEGER NOT NULL) STRICT;",
};

OCF_PRINTF(2, 3) static void explain(char **ret, const char *format, ...) {
        va_list args;

        va_start(args, format);
        if (vasprintf(ret, format, args) < 0)
                *ret = NULL;
        va_end(args);
}

/* SQLite's codes as ours. */
static int outcome(int code) {
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
        case SQLITE_CORRUPT:
        case SQLITE_NOTADB:
        case SQLITE_CONSTRAINT:
        case SQLITE_MISMATCH:
                return STORE_E_DAMAGED;
        case SQLITE_FULL:
                return -ENOSPC;
        case SQLITE_READONLY:
        case SQLITE_PERM:
                return -EROFS;
        case SQLITE_CANTOPEN:
                return -EACCES;
        default: /* I/O, mostly */
                return -EIO;
        }
}

static int run(struct store *s, const char *sql) {
        return outcome(sqlite3_exec(s->db, sql, NULL, NULL, NULL));
}

static int read_number(struct store *s, const char *sql, int64_t *ret) {
        sqlite3_stmt *statement;
        int r = sqlite3_prepare_v2(s->db, sql, -1, &statement, NULL);

        if (r == SQLITE_OK)
                r = sqlite3_step(statement);
        if (r == SQLITE_ROW)
                *ret = sqlite3_column_int64(statement, 0);
        else if (r == SQLITE_DONE)
                r = SQLITE_CORRUPT;
        sqlite3_finalize(statement);
        return outcome(r);
}

/* ---- opening ---- */

static int configure(struct store *s) {
        int64_t ignored;
        int r = outcome(sqlite3_busy_timeout(s->db, 0));

        /* A rollback journal is whole or not there; the lock is kept, so that a second ocfd notices at once.
         */
        if (!r)
                r = run(s, "PRAGMA locking_mode = EXCLUSIVE; PRAGMA synchronous = FULL; PRAGMA "
                           "trusted_schema = OFF;");
        if (!r)
                r = run(s, "PRAGMA journal_mode = DELETE; BEGIN EXCLUSIVE; COMMIT;");
        return r ? r : read_number(s, "PRAGMA application_id", &ignored);
}

static int migrate(struct store *s, int64_t from) {
        int r = run(s, "BEGIN IMMEDIATE");

        for (int64_t v = from + 1; !r && v <= SCHEMA_VERSION; v++)
                r = run(s, steps[v]);
        if (!r) {
                char sql[128];

                snprintf(sql, sizeof(sql), "PRAGMA application_id = %d; PRAGMA user_version = %d; COMMIT",
                         APPLICATION_ID, SCHEMA_VERSION);
                r = run(s, sql);
        }
        if (r)
                (void)run(s, "ROLLBACK");
        return r;
}

static int on_check(void *good, int n, char **values, char **names) {
        *(bool *)good = n == 1 && values[0] && strcmp(values[0], "ok") == 0;
        return 0;
}

static int check(struct store *s, bool is_new) {
        int64_t id = 0, version = 0;
        bool good = false;
        int r = read_number(s, "PRAGMA application_id", &id);

        if (!r)
                r = read_number(s, "PRAGMA user_version", &version);
        if (r)
                return r;
        if (is_new)
                return migrate(s, 0);
        if (id != APPLICATION_ID || version < 1)
                return STORE_E_DAMAGED;
        if (version > SCHEMA_VERSION)
                return STORE_E_NEWER;
        r = outcome(sqlite3_exec(s->db, "PRAGMA quick_check", on_check, &good, NULL));
        if (r)
                return r;
        if (!good)
                return STORE_E_DAMAGED;
        return version < SCHEMA_VERSION ? migrate(s, version) : 0;
}

static int open_file(struct store *s, const char *path, bool is_new) {
        int r = outcome(sqlite3_open_v2(path, &s->db,
                                        SQLITE_OPEN_READWRITE | (is_new ? SQLITE_OPEN_CREATE : 0), NULL));

        if (!r)
                r = configure(s);
        return r ? r : check(s, is_new);
}

/* A new database is made whole under another name first: a crash in the middle leaves none. */
static int create(const char *directory, const char *path) {
        struct store s = { 0 };
        char temporary[4096];
        int r, fd;

        snprintf(temporary, sizeof(temporary), "%s/." FILE_NAME ".new", directory);
        (void)unlink(temporary);
        r = open_file(&s, temporary, true);
        sqlite3_close(s.db);
        if (r)
                return r;
        if (rename(temporary, path) < 0)
                return -errno;
        fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        r = fsync(fd) < 0 ? -errno : 0;
        close(fd);
        return r;
}

static void explain_outcome(int r, const char *path, char **ret_why) {
        switch (r) {
        case STORE_E_DAMAGED:
                explain(ret_why,
                        "The store %s is damaged, or is not ours. It is left as it is: put a backup of the "
                        "whole directory in "
                        "its place, or move it away to start as a new device.",
                        path);
                break;
        case STORE_E_NEWER:
                explain(ret_why,
                        "The store %s was written by a later version of ocfd: install that version again.",
                        path);
                break;
        case STORE_E_IN_USE:
                explain(ret_why,
                        "The store %s is in use: another ocfd is running. Stop it, or give this one a "
                        "StateDirectory= of its own.",
                        path);
                break;
        default: /* an errno */
                explain(ret_why,
                        "The store %s cannot be opened: %s. See that the directory exists and belongs to the "
                        "user ocfd runs as.",
                        path, strerror(-r));
                break;
        }
}

int store_open(struct store **ret, const char *directory, char **ret_why) {
        struct store *s = ocf_new(struct store);
        char path[4096];
        mode_t mask = umask(077);
        int r = 0;

        *ret_why = NULL;
        if (!s)
                return -ENOMEM;
        snprintf(path, sizeof(path), "%s/" FILE_NAME, directory);
        if (mkdir(directory, 0700) < 0 && errno != EEXIST)
                r = -errno;
        if (!r && access(path, F_OK) < 0)
                r = errno == ENOENT ? create(directory, path) : -errno;
        if (!r)
                r = open_file(s, path, false);
        umask(mask);
        if (r) {
                explain_outcome(r, path, ret_why);
                store_close(s);
                return r;
        }
        *ret = s;
        return 0;
}

struct store *store_close(struct store *s) {
        if (!s)
                return NULL;
        sqlite3_close(s->db);
        return ocf_free(s);
}

/* ---- rows ---- */

static bool read_uuid(sqlite3_stmt *statement, int column, struct uuid *ret) {
        if (sqlite3_column_bytes(statement, column) != sizeof(ret->bytes))
                return false;
        memcpy(ret->bytes, sqlite3_column_blob(statement, column), sizeof(ret->bytes));
        return true;
}

static int prepare(struct store *s, const char *sql, sqlite3_stmt **ret) {
        return outcome(sqlite3_prepare_v2(s->db, sql, -1, ret, NULL));
}

/* Return: 0 and the row stands; STORE_E_NONE; the others. */
static int row(sqlite3_stmt *statement) {
        int r = sqlite3_step(statement);

        return r == SQLITE_DONE ? STORE_E_NONE : outcome(r);
}

int store_get_platform(struct store *s, struct uuid *ret_pi) {
        sqlite3_stmt *statement = NULL;
        int r = prepare(s, "SELECT pi FROM platform WHERE id = 0", &statement);

        if (!r)
                r = row(statement);
        if (!r && !read_uuid(statement, 0, ret_pi))
                r = STORE_E_DAMAGED;
        sqlite3_finalize(statement);
        return r;
}

/* What we write ourselves always fits: an outcome here is trouble of ours. */
static int written(int code) {
        int r = outcome(code);

        return r > 0 ? -EIO : r;
}

int store_put_platform(struct store *s, const struct uuid *pi) {
        sqlite3_stmt *statement = NULL;
        int r = prepare(s, "INSERT OR REPLACE INTO platform (id, pi) VALUES (0, ?)", &statement);

        if (!r) {
                sqlite3_bind_blob(statement, 1, pi->bytes, sizeof(pi->bytes), SQLITE_STATIC);
                r = written(sqlite3_step(statement));
        }
        sqlite3_finalize(statement);
        return r > 0 ? -EIO : r;
}

int store_get_device(struct store *s, uint16_t index, struct store_device *ret) {
        struct store_device d = { 0 };
        sqlite3_stmt *statement = NULL;
        int64_t port;
        int r = prepare(s, "SELECT di, piid, port_coap FROM device WHERE id = ?", &statement);

        if (!r) {
                sqlite3_bind_int(statement, 1, index);
                r = row(statement);
        }
        if (!r) {
                port = sqlite3_column_int64(statement, 2);
                d.port_coap = (uint16_t)port;
                if (!read_uuid(statement, 0, &d.di) || !read_uuid(statement, 1, &d.piid) || port < 0 ||
                    port > UINT16_MAX)
                        r = STORE_E_DAMAGED;
        }
        sqlite3_finalize(statement);
        if (!r)
                *ret = d;
        return r;
}

int store_put_device(struct store *s, uint16_t index, const struct store_device *device) {
        sqlite3_stmt *statement = NULL;
        int r = prepare(s, "INSERT OR REPLACE INTO device (id, di, piid, port_coap) VALUES (?, ?, ?, ?)",
                        &statement);

        if (!r) {
                sqlite3_bind_int(statement, 1, index);
                sqlite3_bind_blob(statement, 2, device->di.bytes, sizeof(device->di.bytes), SQLITE_STATIC);
                sqlite3_bind_blob(statement, 3, device->piid.bytes, sizeof(device->piid.bytes),
                                  SQLITE_STATIC);
                sqlite3_bind_int(statement, 4, device->port_coap);
                r = written(sqlite3_step(statement));
        }
        sqlite3_finalize(statement);
        return r > 0 ? -EIO : r;
}
