#include "daemon/store.h"
#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_NAME      "ocfd.db"
#define APPLICATION_ID 0x6f636664 /* "ocfd" */
#define SCHEMA_VERSION 1

struct store {
        sqlite3 *db;
        int directory; /* locked as long as we are here; -1: not open */
};

/* One step for each version: from the one before to this one. */
static const char *const steps[SCHEMA_VERSION + 1] = {
        [1] = "CREATE TABLE platform (id INTEGER PRIMARY KEY CHECK (id = 0), pi BLOB NOT NULL CHECK "
              "(length(pi) = 16)) STRICT;"
              "CREATE TABLE device (id INTEGER PRIMARY KEY, di BLOB NOT NULL CHECK (length(di) = 16),"
              " piid BLOB NOT NULL CHECK (length(piid) = 16), port_coap INTEGER NOT NULL CHECK (port_coap "
              "BETWEEN 0 AND 65535)) STRICT;",
};

OCF_PRINTF(2, 3) static void explain(char **ret, const char *format, ...) {
        va_list args;

        va_start(args, format);
        if (vasprintf(ret, format, args) < 0)
                *ret = NULL;
        va_end(args);
}

/* SQLite's codes as ours; what it says about the disk is behind the error of the system, if there is one. */
static int outcome_of(int code, int error) {
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
                return STORE_E_DAMAGED;
        case SQLITE_FULL:
                return -ENOSPC;
        case SQLITE_READONLY:
        case SQLITE_PERM:
                return error ? -error : STORE_E_DAMAGED; /* a format that it would only read */
        default:                                         /* I/O, mostly */
                return error ? -error : -EIO;
        }
}

static int outcome(struct store *s, int code) {
        return outcome_of(code, s->db ? sqlite3_system_errno(s->db) : 0);
}

static int run(struct store *s, const char *sql) {
        return outcome(s, sqlite3_exec(s->db, sql, NULL, NULL, NULL));
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
        return outcome(s, r);
}

/* ---- opening ---- */

/*
 * A rollback journal is whole or not there. The lock is kept: nobody else comes between, and the end of a
 * transaction is the journal's header overwritten and synced, so that FULL is durable without a sync of the
 * directory.
 */
static int configure(struct store *s) {
        return run(s, "PRAGMA locking_mode = EXCLUSIVE; PRAGMA synchronous = FULL; PRAGMA trusted_schema = "
                      "OFF; PRAGMA journal_mode = DELETE; BEGIN EXCLUSIVE; COMMIT");
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

/* Our name on it, and the tables gone: that is damage, and no trouble of the disk. */
static bool is_complete(struct store *s) {
        return sqlite3_exec(s->db,
                            "SELECT id, pi FROM platform LIMIT 0; SELECT id, di, piid, port_coap FROM device "
                            "LIMIT 0",
                            NULL, NULL, NULL) == SQLITE_OK;
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
        r = outcome(s, sqlite3_exec(s->db, "PRAGMA quick_check", on_check, &good, NULL));
        if (r)
                return r;
        if (!good)
                return STORE_E_DAMAGED;
        if (version < SCHEMA_VERSION) {
                r = migrate(s, version);
                if (r)
                        return r;
        }
        return is_complete(s) ? 0 : STORE_E_DAMAGED;
}

#define PATH_SIZE 4096

static bool add_suffix(char ret[static PATH_SIZE], const char *path, const char *suffix) {
        int n = snprintf(ret, PATH_SIZE, "%s%s", path, suffix);

        return n > 0 && n < PATH_SIZE;
}

static int open_file(struct store *s, const char *path, bool is_new) {
        int r = sqlite3_open_v2(path, &s->db, SQLITE_OPEN_READWRITE | (is_new ? SQLITE_OPEN_CREATE : 0),
                                NULL);

        r = outcome(s, r);
        if (!r)
                r = configure(s);
        return r ? r : check(s, is_new);
}

/*
 * A new database is made whole under another name first: a crash in the middle leaves none. Only who has the
 * lock comes here.
 */
static int create(struct store *s, const char *path) {
        struct store new = { .directory = -1 };
        char temporary[PATH_SIZE];
        int r;

        if (!add_suffix(temporary, path, ".new-journal"))
                return -ENAMETOOLONG;
        if (faccessat(s->directory, ".", W_OK | X_OK, 0) < 0)
                return -errno; /* what SQLite tries after that would hide the reason */
        (void)unlink(temporary);
        temporary[strlen(temporary) - strlen("-journal")] = 0;
        (void)unlink(temporary);
        r = open_file(&new, temporary, true);
        sqlite3_close(new.db);
        if (r)
                return r;
        if (rename(temporary, path) < 0)
                return -errno;
        return fsync(s->directory) < 0 ? -errno : 0;
}

static bool read_start(const char *path, uint8_t *buf, size_t n) {
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        bool whole = fd >= 0 && read(fd, buf, n) == (ssize_t)n;

        if (fd >= 0)
                close(fd);
        return whole;
}

/*
 * What may SQLite touch? A journal that is not finished belongs to a database that is there: without it, the
 * next one would be changed into something between the two. And what is not ours is not even unlocked. (The
 * file format of SQLite: the application id is at offset 68; a journal begins with zeros when it is done.)
 */
static int look(struct store *s, const char *path) {
        static const uint8_t id[4] = { APPLICATION_ID >> 24, APPLICATION_ID >> 16 & 0xff,
                                       APPLICATION_ID >> 8 & 0xff, APPLICATION_ID & 0xff };
        uint8_t header[72], mark[1] = { 0 };
        char journal[PATH_SIZE];
        bool is_hot;

        if (!add_suffix(journal, path, "-journal"))
                return -ENAMETOOLONG;
        is_hot = read_start(journal, mark, sizeof(mark)) && mark[0];
        if (access(path, F_OK) < 0)
                return errno != ENOENT ? -errno : is_hot ? STORE_E_DAMAGED : create(s, path);
        if (access(path, R_OK | W_OK) < 0)
                return -errno;
        if (is_hot)
                return 0; /* once it is rolled back, check() looks */
        if (!read_start(path, header, sizeof(header)) || memcmp(header, "SQLite format 3", 16) != 0 ||
            memcmp(header + 68, id, sizeof(id)) != 0)
                return STORE_E_DAMAGED;
        return 0;
}

/* Return: 0, and the directory is there and ours alone; STORE_E_IN_USE; errno. */
static int lock_directory(struct store *s, const char *directory) {
        if (mkdir(directory, 0700) < 0 && errno != EEXIST)
                return -errno;
        s->directory = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (s->directory < 0)
                return -errno;
        if (flock(s->directory, LOCK_EX | LOCK_NB) < 0)
                return errno == EWOULDBLOCK ? STORE_E_IN_USE : -errno;
        return 0;
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
        char path[PATH_SIZE];
        mode_t mask = umask(077);
        int r;

        *ret_why = NULL;
        if (!s) {
                umask(mask);
                return -ENOMEM;
        }
        s->directory = -1;
        r = add_suffix(path, directory, "/" FILE_NAME) ? lock_directory(s, directory) : -ENAMETOOLONG;
        if (!r)
                r = look(s, path);
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
        if (s->directory >= 0)
                close(s->directory);
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
        return outcome(s, sqlite3_prepare_v2(s->db, sql, -1, ret, NULL));
}

/* Return: 0 and the row stands; STORE_E_NONE; the others. */
static int row(struct store *s, sqlite3_stmt *statement) {
        int r = sqlite3_step(statement);

        return r == SQLITE_DONE ? STORE_E_NONE : outcome(s, r);
}

int store_get_platform(struct store *s, struct uuid *ret_pi) {
        sqlite3_stmt *statement = NULL;
        int r = prepare(s, "SELECT pi FROM platform WHERE id = 0", &statement);

        if (!r)
                r = row(s, statement);
        if (!r && !read_uuid(statement, 0, ret_pi))
                r = STORE_E_DAMAGED;
        sqlite3_finalize(statement);
        return r;
}

/* What we write ourselves always fits: an outcome here is trouble of ours. */
static int written(struct store *s, int code) {
        int r = outcome(s, code);

        return r > 0 ? -EIO : r;
}

int store_put_platform(struct store *s, const struct uuid *pi) {
        sqlite3_stmt *statement = NULL;
        int r = prepare(s, "INSERT OR REPLACE INTO platform (id, pi) VALUES (0, ?)", &statement);

        if (!r) {
                sqlite3_bind_blob(statement, 1, pi->bytes, sizeof(pi->bytes), SQLITE_STATIC);
                r = written(s, sqlite3_step(statement));
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
                r = row(s, statement);
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
                r = written(s, sqlite3_step(statement));
        }
        sqlite3_finalize(statement);
        return r > 0 ? -EIO : r;
}
