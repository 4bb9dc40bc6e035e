#include "store_world.h"

#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

static void test_what_is_put_is_there_again(void **state) {
        const struct store_device first = device_of(5683), third = device_of(65535);
        struct store_device d;
        struct store *s;
        struct uuid pi = { { 7 } };

        assert_int_equal(open_at(&s, in_scratch("new")), 0);
        assert_int_equal(store_get_platform(s, &pi), STORE_E_NONE);
        assert_int_equal(pi.bytes[0], 7);
        assert_int_equal(store_get_device(s, 0, &d), STORE_E_NONE);
        assert_int_equal(store_put_platform(s, &(struct uuid){ { 9 } }), 0);
        assert_int_equal(store_put_device(s, 0, &third), 0);
        assert_int_equal(store_put_device(s, 0, &first), 0); /* the later one counts */
        assert_int_equal(store_put_device(s, 3, &third), 0);
        store_close(s);
        assert_int_equal(open_at(&s, in_scratch("new")), 0);
        assert_int_equal(store_get_platform(s, &pi), 0);
        assert_int_equal(pi.bytes[0], 9);
        assert_int_equal(store_get_device(s, 0, &d), 0);
        assert_memory_equal(&d, &first, sizeof(d));
        assert_int_equal(store_get_device(s, 3, &d), 0);
        assert_memory_equal(&d, &third, sizeof(d));
        assert_int_equal(store_get_device(s, 1, &d), STORE_E_NONE);
        store_close(s);
        assert_null(store_close(NULL));
}

static void test_rows_go_together(void **state) {
        struct store *s = open_good();

        assert_true(is_state(s, 0));
        assert_int_equal(put_state(s, 1), 0);
        assert_true(is_state(s, 1));
        assert_true(store_is_owned(s));
        assert_int_equal(put_state(s, 2), 0);
        store_close(s);
        s = open_good();
        assert_true(is_state(s, 2));
        assert_false(is_state(s, 1));
        assert_int_equal(put_state(s, 0), 0); /* a reset */
        store_close(s);
        s = open_good();
        assert_true(is_state(s, 0));
        store_close(s);
}

static void note_outcome(void *context, int outcome) {
        *(int *)context = outcome;
}

static void test_changes_that_cannot_be(void **state) {
        static uint8_t long_value[STORE_VALUE_MAX + 1];
        const struct store_change bad[] = {
                { 0, NULL, SPAN_LITERAL("x") },
                { 0, "", SPAN_LITERAL("x") },
                { 0, "a name of thirty-two characters.", SPAN_LITERAL("x") },
                { 0, "doxm", { long_value, sizeof(long_value) } },
        };
        const struct store_change good[] = {
                { 65535, "a name of thirty-one characters", { long_value, STORE_VALUE_MAX } },
                { 65535, "empty", { long_value, 0 } },
                { 1, "twice", SPAN_LITERAL("first") },
                { 1, "twice", SPAN_LITERAL("second") },
                { 1, "never", SPAN_NULL },
        };
        struct store *s = open_good();
        uint8_t *value;
        size_t n;
        int outcome = 7;

        for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
                assert_int_equal(store_commit(s, &bad[i], 1, true, note_outcome, &outcome), -EINVAL);
        assert_int_equal(outcome, 7);
        assert_false(store_is_owned(s));
        assert_int_equal(store_commit(s, good, ARRAY_SIZE(good), false, note_outcome, &outcome), 0);
        assert_int_equal(outcome, 0);
        store_close(s);
        s = open_good();
        assert_int_equal(store_get(s, 65535, good[0].name, &value, &n), 0);
        assert_int_equal(n, STORE_VALUE_MAX);
        free(value);
        assert_int_equal(store_get(s, 65535, "empty", &value, &n), 0);
        assert_int_equal(n, 0);
        free(value);
        assert_int_equal(store_get(s, 1, "twice", &value, &n), 0);
        assert_true(span_equal_string(span_of(value, n), "second"));
        free(value);
        assert_int_equal(store_get(s, 1, "never", &value, &n), STORE_E_NONE);
        assert_int_equal(store_get(s, 0, "twice", &value, &n), STORE_E_NONE); /* another device's */
        store_close(s);
}

static void test_nobody_else_can_read_it(void **state) {
        static const char *const names[] = { "new/ocfd.db", "new/ocfd.mark", "new/store.key" };
        mode_t mask = umask(0);
        struct stat info;
        struct store *s;

        assert_int_equal(open_at(&s, in_scratch("new")), 0);
        assert_int_equal(put_state(s, 1), 0);
        assert_int_equal(stat(in_scratch("new"), &info), 0);
        assert_int_equal(info.st_mode & 0777, 0700);
        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                assert_int_equal(stat(in_scratch(names[i]), &info), 0);
                assert_int_equal(info.st_mode & 0777, 0600);
        }
        assert_int_equal(umask(mask), 0); /* left as it was */
        store_close(s);
}

/* No byte of a value is on the disk as it is, nor of the key beside its own file. */
static void test_values_are_encrypted(void **state) {
        static const char secret[] = "the pre-shared key of somebody's front door";
        const struct store_change change = { 0, "cred",
                                             SPAN_LITERAL("the pre-shared key of somebody's front door") };
        struct files f;
        struct store *s = open_good();
        uint8_t key[32];

        assert_int_equal(store_commit(s, &change, 1, true, NULL, NULL), 0);
        assert_int_equal(store_commit(s, &change, 1, true, NULL, NULL),
                         0); /* so that the journal has held it */
        assert_int_equal(read_file("store.key", key, sizeof(key)), sizeof(key));
        files_read(&f);
        assert_in_range(f.n, 4, N_FILES_MAX); /* the journal too */
        for (size_t i = 0; i < f.n; i++) {
                assert_null(memmem(f.files[i].bytes, f.files[i].n, secret, 8));
                if (strcmp(f.files[i].name, "store.key") != 0)
                        assert_null(memmem(f.files[i].bytes, f.files[i].n, key, 8));
        }
        files_free(&f);
        store_close(s);
}

static void test_a_second_ocfd_is_told(void **state) {
        struct store *s, *other;
        sqlite3 *db;

        make_owned();
        s = open_good();
        assert_int_equal(open_at(&other, scratch), STORE_E_IN_USE);
        store_close(s);
        store_close(open_good());

        /* some other program holds the database */
        assert_int_equal(sqlite3_open(in_scratch("ocfd.db"), &db), SQLITE_OK);
        assert_int_equal(sqlite3_exec(db, "BEGIN EXCLUSIVE", NULL, NULL, NULL), SQLITE_OK);
        assert_int_equal(open_at(&s, scratch), STORE_E_IN_USE);
        sqlite3_close(db);
}

/* ---- what is no store of ours ---- */

static void test_files_that_are_no_store(void **state) {
        static const char text[4096] = "This is a letter, and no database.";

        for (int is_beside_ours = 0; is_beside_ours < 2; is_beside_ours++) {
                if (is_beside_ours) {
                        scratch_empty();
                        make_owned();
                }
                write_file("ocfd.db", text, 0);
                assert_sealed("an empty file", "is not ours");
                write_file("ocfd.db", text, 34);
                assert_sealed("a short text", "is not ours");
                write_file("ocfd.db", text, sizeof(text));
                assert_sealed("a page of text", "is not ours");
        }
}

static void test_a_truncated_store(void **state) {
        static uint8_t bytes[1 << 18];
        size_t n;

        make_owned();
        n = read_file("ocfd.db", bytes, sizeof(bytes));
        assert_in_range(n, 8192, sizeof(bytes) - 1);
        for (size_t cut = 0; cut < n; cut += cut < 128 ? 1 : 500) {
                write_file("ocfd.db", bytes, cut);
                assert_sealed("a truncated store", "damaged");
        }
}

static void test_a_database_of_somebody_else(void **state) {
        run_sql("PRAGMA journal_mode = WAL; CREATE TABLE platform (id INTEGER, pi BLOB); PRAGMA user_version "
                "= 1");
        assert_sealed("a foreign database", "is not ours"); /* and it still is in WAL mode */
}

static void test_our_name_with_other_tables(void **state) {
        static const char *const changes[] = {
                "DROP TABLE entry",
                "DROP TABLE meta",
                "CREATE TABLE more (a)",
                "CREATE VIEW more AS SELECT * FROM entry",
                "CREATE TRIGGER more AFTER INSERT ON entry BEGIN DELETE FROM entry WHERE name = 'acl2'; END",
                "CREATE INDEX more ON entry (generation)",
                "ALTER TABLE entry RENAME COLUMN tag TO tags",
                "PRAGMA user_version = 0",
                "PRAGMA application_id = 7",
        };
        struct files good;

        make_owned();
        files_read(&good);
        for (size_t i = 0; i < ARRAY_SIZE(changes); i++) {
                files_put_back(&good);
                run_sql(changes[i]);
                assert_sealed(changes[i], "damaged");
        }
        files_free(&good);
}

/* What somebody can do who knows SQL, and not the key. */
static void test_rows_that_somebody_changed(void **state) {
        static const char *const changes[] = {
                "DELETE FROM entry WHERE name = 'doxm'",
                "DELETE FROM entry",
                "DELETE FROM meta",
                "UPDATE entry SET sealed = zeroblob(length(sealed)) WHERE name = 'doxm'",
                "UPDATE entry SET sealed = x'' WHERE name = 'doxm'",
                "UPDATE entry SET tag = zeroblob(16) WHERE name = 'cred'",
                "UPDATE entry SET tag = zeroblob(15) WHERE name = 'cred'",
                "UPDATE entry SET nonce = zeroblob(12) WHERE name = 'cred'",
                "UPDATE entry SET nonce = zeroblob(1000000) WHERE name = 'cred'",
                "UPDATE entry SET generation = generation + 1 WHERE name = 'acl2'",
                "UPDATE entry SET generation = -1 WHERE name = 'acl2'",
                "UPDATE entry SET device = 1 WHERE name = 'acl2'",
                "UPDATE entry SET device = 65536 WHERE name = 'acl2'",
                "UPDATE entry SET name = '' WHERE name = 'acl2'",
                "UPDATE entry SET name = 'a name of thirty-two characters.' WHERE name = 'acl2'",
                "UPDATE entry SET name = 'xacl2' WHERE name = 'acl2'",
                "INSERT INTO entry SELECT 1, name, generation, nonce, tag, sealed FROM entry WHERE name = "
                "'doxm'",
                "UPDATE entry SET sealed = (SELECT sealed FROM entry WHERE name = 'sdi'), tag = (SELECT tag "
                "FROM "
                "entry WHERE name = 'sdi'), nonce = (SELECT nonce FROM entry WHERE name = 'sdi') WHERE name "
                "= "
                "'ael'",
                "UPDATE meta SET owned = 0",
                "UPDATE meta SET owned = 2",
                "UPDATE meta SET generation = generation + 1",
                "UPDATE meta SET generation = generation - 1",
                "UPDATE meta SET generation = -1",
                "UPDATE meta SET digest = zeroblob(32)",
                "UPDATE meta SET digest = x''",
                "UPDATE meta SET store_id = zeroblob(16)",
                "UPDATE meta SET store_id = zeroblob(17)",
                "UPDATE meta SET key_id = zeroblob(16)",
        };
        struct files good;

        make_owned();
        files_read(&good);
        for (size_t i = 0; i < ARRAY_SIZE(changes); i++) {
                files_put_back(&good);
                run_sql(changes[i]);
                assert_sealed(changes[i], strstr(changes[i], "key_id") ? "another one" : "damaged");
        }
        files_put_back(&good); /* and without any change it is good */
        store_close(open_good());
        files_free(&good);
}

/* A row of an earlier day, right under the same key, in the database of today. */
static void test_a_row_put_back(void **state) {
        struct store *s;

        make_owned();
        {
                char sql[600];

                snprintf(sql, sizeof(sql), "VACUUM INTO '%s'", in_scratch("old.db"));
                run_sql(sql);
                s = open_good();
                assert_int_equal(put_state(s, 3), 0);
                store_close(s);
                snprintf(sql, sizeof(sql),
                         "ATTACH '%s' AS old; REPLACE INTO main.entry SELECT * FROM old.entry WHERE name = "
                         "'cred'",
                         in_scratch("old.db"));
                run_sql(sql);
        }
        assert_int_equal(unlink(in_scratch("old.db")), 0);
        assert_sealed("a row put back", "damaged");
}

static void test_a_later_version_is_not_touched(void **state) {
        struct files f;
        struct store *s;

        make_owned();
        run_sql("PRAGMA user_version = 3");
        files_read(&f);
        assert_int_equal(open_at(&s, scratch), STORE_E_NEWER);
        assert_files(&f, "a later version");
        files_free(&f);
}

static void test_where_nothing_can_be_made(void **state) {
        struct store *s;

        assert_int_equal(open_at(&s, in_scratch("a/b")), -ENOENT);
        WRITE("file", "");
        assert_int_equal(open_at(&s, in_scratch("file")), -ENOTDIR);
        assert_int_equal(open_at(&s, "/proc/ocfd-test"), -ENOENT);
}

/* Return: what store_open() says in a child that is nobody; the directory has this mode. */
static int open_as_nobody(mode_t mode, bool owns) {
        int status;

        assert_int_equal(chmod(scratch, mode), 0);
        if (fork() == 0) {
                struct store *s;
                char *why = NULL;
                int r;

                if (geteuid() == 0) {
                        if (owns) {
                                struct files f;

                                files_read(&f);
                                for (size_t i = 0; i < f.n; i++)
                                        (void)chown(in_scratch(f.files[i].name), 65534, 65534);
                        }
                        if (setgid(65534) < 0 || setuid(65534) < 0)
                                _exit(2);
                }
                r = store_open(&s, scratch, &why);
                if (r == 0 && !why)
                        r = put_state(s, 3);
                if (r != -EACCES && r != -EROFS)
                        fprintf(stderr, "%d: %s\n", r, why);
                _exit(-r);
        }
        assert_true(wait(&status) > 0);
        assert_int_equal(chmod(scratch, 0700), 0);
        return WIFEXITED(status) ? -WEXITSTATUS(status) : -999;
}

static void test_a_directory_that_can_only_be_read(void **state) {
        struct files f;
        struct store *s;

        assert_int_equal(open_as_nobody(0555, false), -EACCES); /* nothing is made */
        files_read(&f);
        assert_int_equal(f.n, 0);
        make_owned();
        files_read(&f);
        assert_int_equal(open_as_nobody(0555, false), -EACCES);
        assert_files(&f, "nothing can be written");
        assert_int_equal(open_as_nobody(0555, true), -EACCES); /* the files can, the directory cannot */
        s = open_good();
        assert_true(is_state(s, 2));
        store_close(s);
        files_free(&f);
}

static void test_no_room_for_a_new_store(void **state) {
        const struct rlimit none = { 0, RLIM_INFINITY };
        struct rlimit before;
        struct store *s;
        int r;

        signal(SIGXFSZ, SIG_IGN);
        assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
        r = open_at(&s, scratch);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
        assert_true(r < 0);
        assert_int_equal(access(in_scratch("ocfd.db"), F_OK), -1);
        s = open_good(); /* now there is room */
        assert_true(is_state(s, 0));
        store_close(s);
}

/* ---- version 1 ---- */

static void make_v1(void) {
        run_sql("CREATE TABLE platform (id INTEGER PRIMARY KEY CHECK (id = 0), pi BLOB NOT NULL CHECK "
                "(length(pi) "
                "= 16)) STRICT;"
                "CREATE TABLE device (id INTEGER PRIMARY KEY, di BLOB NOT NULL CHECK (length(di) = 16), piid "
                "BLOB "
                "NOT NULL CHECK (length(piid) = 16), port_coap INTEGER NOT NULL CHECK (port_coap BETWEEN 0 "
                "AND "
                "65535)) STRICT;"
                "INSERT INTO platform VALUES (0, x'09000000000000000000000000000000');"
                "INSERT INTO device VALUES (0, x'01000300000000000000000000000000', "
                "x'04050600000000000000000000000000', 5683), (7, zeroblob(16), zeroblob(16), 65535);"
                "PRAGMA application_id = 1868785252; PRAGMA user_version = 1");
}

static void test_version_1_comes_along(void **state) {
        struct store_device d;
        struct uuid pi;
        struct store *s;

        make_v1();
        for (int i = 0; i < 2; i++) { /* the second time it is of version 2 */
                s = open_good();
                assert_int_equal(store_get_platform(s, &pi), 0);
                assert_int_equal(pi.bytes[0], 9);
                assert_int_equal(store_get_device(s, 0, &d), 0);
                assert_int_equal(d.di.bytes[2], 3);
                assert_int_equal(d.piid.bytes[1], 5);
                assert_int_equal(d.port_coap, 5683);
                assert_int_equal(d.port_coaps, 0);
                assert_int_equal(store_get_device(s, 7, &d), 0);
                assert_int_equal(d.port_coap, 65535);
                assert_true(is_state(s, 0));
                store_close(s);
        }
        run_sql("SELECT generation FROM meta");
}

static void test_version_1_that_cannot_be(void **state) {
        static const char *const changes[] = {
                "PRAGMA ignore_check_constraints = 1; UPDATE device SET port_coap = 65536",
                "PRAGMA ignore_check_constraints = 1; UPDATE platform SET pi = x'00'",
                ("DROP TABLE device; CREATE TABLE device (id INTEGER PRIMARY KEY, di, piid, port_coap);"
                 "INSERT INTO device SELECT 1, zeroblob(16), 'short', 1"),
                "DROP TABLE device",
        };

        for (size_t i = 0; i < ARRAY_SIZE(changes); i++) {
                scratch_empty();
                make_v1();
                run_sql(changes[i]);
                assert_sealed(changes[i], "damaged");
        }
}

/* Beside anything of a later store it is an older copy, that had no owner. */
static void test_version_1_put_back(void **state) {
        static const char *const left[] = { "ocfd.mark", "store.key", "both" };
        struct files ours;

        make_owned();
        files_read(&ours);
        for (size_t i = 0; i < ARRAY_SIZE(left); i++) {
                scratch_empty();
                make_v1();
                if (i != 1)
                        put_back_one(&ours, "ocfd.mark");
                if (i != 0)
                        put_back_one(&ours, "store.key");
                assert_sealed(left[i], "put back");
        }
        files_free(&ours);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, scratch_open, scratch_close)
        const struct CMUnitTest tests[] = {
                TEST(test_what_is_put_is_there_again),
                TEST(test_rows_go_together),
                TEST(test_changes_that_cannot_be),
                TEST(test_nobody_else_can_read_it),
                TEST(test_values_are_encrypted),
                TEST(test_a_second_ocfd_is_told),
                TEST(test_files_that_are_no_store),
                TEST(test_a_truncated_store),
                TEST(test_a_database_of_somebody_else),
                TEST(test_our_name_with_other_tables),
                TEST(test_rows_that_somebody_changed),
                TEST(test_a_row_put_back),
                TEST(test_a_later_version_is_not_touched),
                TEST(test_where_nothing_can_be_made),
                TEST(test_a_directory_that_can_only_be_read),
                TEST(test_no_room_for_a_new_store),
                TEST(test_version_1_comes_along),
                TEST(test_version_1_that_cannot_be),
                TEST(test_version_1_put_back),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
