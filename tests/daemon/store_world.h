/*
 * Stores in a directory of a test's own: made, opened, read back whole, and
 * their files changed by somebody else.
 */
#ifndef OCF_TESTS_DAEMON_STORE_WORLD_H
#define OCF_TESTS_DAEMON_STORE_WORLD_H

#include "daemon/store.h"
#include "scratch.h"

#include <dirent.h>
#include <fcntl.h>
#include <sqlite3.h>

#define N_ROWS 8 /* of a snapshot */

static const char *const row_names[N_ROWS] = {
        "doxm", "pstat", "cred", "acl2", "sp", "sdi", "ael", "identity"
};

static OCF_UNUSED int open_at(struct store **s, const char *directory) {
        char *why = NULL;
        int r = store_open(s, directory, &why);

        assert_int_equal(r != 0 || store_is_sealed(*s, NULL), why != NULL);
        if (why && !strstr(why, directory))
                fail_msg("It does not name the store: %s", why);
        if (why && !r) {
                const char *same;

                assert_true(store_is_sealed(*s, &same));
                assert_string_equal(same, why);
                assert_non_null(strstr(why, "kept as they are"));
        }
        free(why);
        return r;
}

static OCF_UNUSED struct store *open_good(void) {
        struct store *s = NULL;
        const char *why = "";
        int r = open_at(&s, scratch);

        if (r || store_is_sealed(s, &why))
                fail_msg("%d %s", r, why);
        return s;
}

static OCF_UNUSED struct store_device device_of(uint16_t port) {
        return (struct store_device){ { { 1, 0, 3 } }, { { 4, 5, 6 } }, port, 5684, 0, 65535 };
}

/* All rows of device 0 in the state of this number; 0: none of them is there. */
static OCF_UNUSED size_t changes_of(unsigned number, struct store_change changes[N_ROWS]) {
        static uint8_t value[3000];

        memset(value, (int)('@' + number), sizeof(value));
        for (size_t i = 0; i < N_ROWS; i++) {
                changes[i] = (struct store_change){ 0, row_names[i], span_of(value, 10 + i * 400 + number) };
                if (!number || (i == 4 && number % 2)) /* and one that comes and goes */
                        changes[i].value = SPAN_NULL;
        }
        return N_ROWS;
}

static OCF_UNUSED int put_state(struct store *s, unsigned number) {
        struct store_change changes[N_ROWS];

        return store_commit(s, changes, changes_of(number, changes), number > 0, NULL, NULL);
}

static OCF_UNUSED bool is_state(struct store *s, unsigned number) {
        struct store_change changes[N_ROWS];
        bool same = store_is_owned(s) == (number > 0);

        changes_of(number, changes);
        for (size_t i = 0; i < N_ROWS; i++) {
                uint8_t *value = NULL;
                size_t n = 0;
                int r = store_get(s, 0, row_names[i], &value, &n);

                if (r != 0 && r != STORE_E_NONE)
                        fail_msg("%s: %d", row_names[i], r);
                if (r == STORE_E_NONE)
                        same &= !changes[i].value.data;
                else
                        same &= changes[i].value.data && span_equal(span_of(value, n), changes[i].value);
                free(value);
        }
        return same;
}

/* A store that is owned, in state 2, and was in state 1 before. */
static OCF_UNUSED void make_owned(void) {
        const struct store_device d = device_of(1);
        struct store *s = open_good();

        assert_int_equal(store_put_platform(s, &(struct uuid){ { 9 } }), 0);
        assert_int_equal(store_put_device(s, 0, &d), 0);
        assert_int_equal(put_state(s, 1), 0);
        assert_int_equal(put_state(s, 2), 0);
        store_close(s);
}

static OCF_UNUSED void run_sql_in(const char *name, const char *sql) {
        sqlite3 *db;

        assert_int_equal(sqlite3_open(in_scratch(name), &db), SQLITE_OK);
        if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
                fail_msg("%s: %s", sql, sqlite3_errmsg(db));
        sqlite3_close(db);
}

static OCF_UNUSED void run_sql(const char *sql) {
        run_sql_in("ocfd.db", sql);
}

/* ---- all files of a directory, remembered ---- */

#define N_FILES_MAX 12

struct files {
        size_t n;
        struct {
                char name[64];
                uint8_t *bytes;
                size_t n;
        } files[N_FILES_MAX];
};

static OCF_UNUSED size_t read_file(const char *name, void *buf, size_t n_max) {
        FILE *f = fopen(in_scratch(name), "r");
        size_t n;

        if (!f)
                fail_msg("%s is not there", name);
        n = fread(buf, 1, n_max, f);
        fclose(f);
        return n;
}

static int compare_names(const struct dirent **a, const struct dirent **b) {
        return strcmp((*a)->d_name, (*b)->d_name);
}

static int is_plain(const struct dirent *e) {
        return e->d_name[0] != '.';
}

static OCF_UNUSED void files_read(struct files *f) {
        struct dirent **names;
        int n = scandir(scratch, &names, is_plain, compare_names);

        assert_in_range(n, 0, N_FILES_MAX);
        f->n = (size_t)n;
        for (size_t i = 0; i < f->n; i++) {
                assert_in_range(strlen(names[i]->d_name), 1, sizeof(f->files[i].name) - 1);
                strcpy(f->files[i].name, names[i]->d_name);
                f->files[i].bytes = malloc(1 << 20);
                f->files[i].n = read_file(f->files[i].name, f->files[i].bytes, 1 << 20);
                free(names[i]);
        }
        free(names);
}

static OCF_UNUSED void files_free(struct files *f) {
        for (size_t i = 0; i < f->n; i++)
                free(f->files[i].bytes);
        f->n = 0;
}

static OCF_UNUSED void scratch_empty(void) {
        struct files f;

        files_read(&f);
        for (size_t i = 0; i < f.n; i++)
                assert_int_equal(unlink(in_scratch(f.files[i].name)), 0);
        files_free(&f);
}

static OCF_UNUSED void files_put_back(const struct files *f) {
        scratch_empty();
        for (size_t i = 0; i < f->n; i++)
                write_file(f->files[i].name, f->files[i].bytes, f->files[i].n);
}

static OCF_UNUSED void put_back_one(const struct files *f, const char *name) {
        for (size_t i = 0; i < f->n; i++)
                if (strcmp(f->files[i].name, name) == 0) {
                        write_file(name, f->files[i].bytes, f->files[i].n);
                        return;
                }
        fail_msg("%s was not there", name);
}

static OCF_UNUSED void assert_files(const struct files *f, const char *what) {
        struct files now;

        files_read(&now);
        if (now.n != f->n)
                fail_msg("%s: there are %zu files, there were %zu", what, now.n, f->n);
        for (size_t i = 0; i < f->n; i++)
                if (strcmp(now.files[i].name, f->files[i].name) != 0 || now.files[i].n != f->files[i].n ||
                    memcmp(now.files[i].bytes, f->files[i].bytes, f->files[i].n) != 0)
                        fail_msg("%s: %s was changed", what, f->files[i].name);
        files_free(&now);
}

/* It opens sealed, says so with these words, refuses everything, and leaves all files as they are. */
static OCF_UNUSED void assert_sealed(const char *what, const char *words) {
        struct store *s = NULL;
        struct files before;
        const char *why = "";
        uint8_t *value = NULL;
        struct uuid id;
        size_t n;
        int r;

        files_read(&before);
        r = open_at(&s, scratch);
        if (r || !store_is_sealed(s, &why))
                fail_msg("%s: %d, not sealed", what, r);
        if (!strstr(why, words))
                fail_msg("%s: %s", what, why);
        assert_int_equal(store_get(s, 0, "doxm", &value, &n), STORE_E_SEALED);
        assert_int_equal(store_get_platform(s, &id), STORE_E_SEALED);
        assert_int_equal(store_get_device(s, 0, &(struct store_device){ 0 }), STORE_E_SEALED);
        assert_int_equal(put_state(s, 3), -EROFS);
        assert_int_equal(store_commit_lazy(s, &(struct store_change){ 0, "ael", SPAN_LITERAL("x") }, 1),
                         -EROFS);
        assert_false(store_is_owned(s));
        store_close(s);
        assert_files(&before, what);
        files_free(&before);
}

#endif
