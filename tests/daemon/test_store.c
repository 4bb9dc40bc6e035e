#include "daemon/store.h"
#include "scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/wait.h>

static int open_at(struct store **s, const char *directory) {
        char *why = NULL;
        int r = store_open(s, directory, &why);

        assert_int_equal(r != 0, why != NULL);
        if (why && !strstr(why, directory))
                fail_msg("It does not name the store: %s", why);
        free(why);
        return r;
}

static struct store_device device_of(uint16_t port) {
        return (struct store_device){ { { 1, 0, 3 } }, { { 4, 5, 6 } }, port };
}

/* A store with a platform and a device on port 1. */
static void make_store(void) {
        const struct store_device d = device_of(1);
        struct store *s;

        assert_int_equal(open_at(&s, scratch), 0);
        assert_int_equal(store_put_platform(s, &(struct uuid){ { 9 } }), 0);
        assert_int_equal(store_put_device(s, 0, &d), 0);
        store_close(s);
}

static void run_sql(const char *sql) {
        sqlite3 *db;

        assert_int_equal(sqlite3_open(in_scratch("ocfd.db"), &db), SQLITE_OK);
        assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
        sqlite3_close(db);
}

static size_t read_file(const char *name, void *buf, size_t n_max) {
        FILE *f = fopen(in_scratch(name), "r");
        size_t n;

        assert_non_null(f);
        n = fread(buf, 1, n_max, f);
        fclose(f);
        return n;
}

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
        assert_int_equal(d.port_coap, 65535);
        assert_int_equal(store_get_device(s, 1, &d), STORE_E_NONE);
        store_close(s);
        assert_null(store_close(NULL));
}

static void test_nobody_else_can_read_it(void **state) {
        mode_t mask = umask(0);
        struct stat of_directory, of_file;
        struct store *s;

        assert_int_equal(open_at(&s, in_scratch("new")), 0);
        assert_int_equal(stat(in_scratch("new"), &of_directory), 0);
        assert_int_equal(stat(in_scratch("new/ocfd.db"), &of_file), 0);
        assert_int_equal(of_directory.st_mode & 0777, 0700);
        assert_int_equal(of_file.st_mode & 0777, 0600);
        assert_int_equal(umask(mask), 0); /* left as it was */
        store_close(s);
}

static void test_a_second_ocfd_is_told(void **state) {
        struct store *s, *other;
        sqlite3 *db;

        make_store();
        assert_int_equal(open_at(&s, scratch), 0);
        assert_int_equal(open_at(&other, scratch), STORE_E_IN_USE);
        store_close(s);
        assert_int_equal(open_at(&s, scratch), 0);
        store_close(s);

        /* some other program holds the database */
        assert_int_equal(sqlite3_open(in_scratch("ocfd.db"), &db), SQLITE_OK);
        assert_int_equal(sqlite3_exec(db, "BEGIN EXCLUSIVE", NULL, NULL, NULL), SQLITE_OK);
        assert_int_equal(open_at(&s, scratch), STORE_E_IN_USE);
        sqlite3_close(db);
}

/* Damage is said, and nothing is changed. */
static void refuse_damaged(const char *what) {
        uint8_t before[16384], after[16384];
        size_t n = read_file("ocfd.db", before, sizeof(before));
        struct store *s = NULL;
        int r = open_at(&s, scratch);

        if (r != STORE_E_DAMAGED)
                fail_msg("%s: %d", what, r);
        assert_int_equal(read_file("ocfd.db", after, sizeof(after)), n);
        assert_memory_equal(before, after, n);
}

static void test_files_that_are_no_store(void **state) {
        static const char text[4096] = "This is a letter, and no database.";

        write_file("ocfd.db", text, 0);
        refuse_damaged("an empty file");
        write_file("ocfd.db", text, 34);
        refuse_damaged("a short text");
        write_file("ocfd.db", text, sizeof(text));
        refuse_damaged("a page of text");
}

static void test_a_truncated_store(void **state) {
        uint8_t bytes[65536];
        size_t n;

        make_store();
        n = read_file("ocfd.db", bytes, sizeof(bytes));
        assert_in_range(n, 8192, sizeof(bytes) - 1);
        for (size_t cut = 0; cut < n; cut += cut < 128 ? 1 : 500) {
                write_file("ocfd.db", bytes, cut);
                refuse_damaged("a truncated store");
        }
}

/* Whatever byte is flipped: it opens or says so; a structure that is broken is not served. */
static void test_flipped_bytes(void **state) {
        uint8_t bytes[65536];
        size_t n, n_damaged = 0;
        struct store *s;

        make_store();
        n = read_file("ocfd.db", bytes, sizeof(bytes));
        for (size_t i = 0; i < n; i += i < 100 ? 1 : 97) {
                struct store_device d;
                int r;

                bytes[i] ^= 0xff;
                write_file("ocfd.db", bytes, n);
                bytes[i] ^= 0xff;
                r = open_at(&s, scratch);
                if (r) {
                        assert_in_range(r, STORE_E_DAMAGED, STORE_E_NEWER);
                        n_damaged++;
                        continue;
                }
                r = store_get_device(s, 0, &d);
                assert_true(r == 0 || r == STORE_E_NONE || r == STORE_E_DAMAGED);
                store_close(s);
        }
        assert_true(n_damaged > 20);
}

static void test_a_database_of_somebody_else(void **state) {
        run_sql("PRAGMA journal_mode = WAL; CREATE TABLE platform (id INTEGER, pi BLOB); PRAGMA user_version "
                "= 1");
        refuse_damaged("a foreign database"); /* and it still is in WAL mode */
}

static void test_our_name_without_our_tables(void **state) {
        make_store();
        run_sql("DROP TABLE device");
        refuse_damaged("a store without devices");
}

static void test_rows_that_cannot_be(void **state) {
        struct store_device d = { .port_coap = 7 };
        struct store *s;

        make_store();
        run_sql("PRAGMA ignore_check_constraints = 1; UPDATE device SET port_coap = 65536");
        refuse_damaged("a port that is none");
        run_sql("UPDATE device SET port_coap = 1; PRAGMA ignore_check_constraints = 1; UPDATE platform SET "
                "pi = x'00'");
        refuse_damaged("a short identity");

        /* tables without our constraints: it shows when the rows are read */
        run_sql("DROP TABLE device; CREATE TABLE device (id INTEGER PRIMARY KEY, di, piid, port_coap);"
                "INSERT INTO device SELECT 0, zeroblob(16), zeroblob(16), 65536;"
                "INSERT INTO device SELECT 1, zeroblob(16), 'short', 1;"
                "DROP TABLE platform; CREATE TABLE platform (id INTEGER PRIMARY KEY, pi);"
                "INSERT INTO platform VALUES (0, NULL)");
        assert_int_equal(open_at(&s, scratch), 0);
        assert_int_equal(store_get_device(s, 0, &d), STORE_E_DAMAGED);
        assert_int_equal(store_get_device(s, 1, &d), STORE_E_DAMAGED);
        assert_int_equal(store_get_platform(s, &d.di), STORE_E_DAMAGED);
        assert_int_equal(d.port_coap, 7);
        store_close(s);
}

static void test_a_later_version_is_not_touched(void **state) {
        struct store *s;

        make_store();
        run_sql("PRAGMA user_version = 2");
        assert_int_equal(open_at(&s, scratch), STORE_E_NEWER);
        run_sql("PRAGMA user_version = 0");
        refuse_damaged("no version");
}

/* A journal without its database: the database is lost, and this is no new device. */
static void test_a_journal_alone_is_damage(void **state) {
        struct store *s = NULL;

        WRITE("ocfd.db-journal", "\xd9\xd5\x05\xf9\x20\xa1\x63\xd7");
        assert_int_equal(open_at(&s, scratch), STORE_E_DAMAGED);
        assert_int_equal(access(in_scratch("ocfd.db"), F_OK), -1);
        write_file("ocfd.db-journal", "\0\0\0\0", 4); /* one that is done says nothing */
        assert_int_equal(open_at(&s, scratch), 0);
        store_close(s);
}

static void test_where_nothing_can_be_made(void **state) {
        struct store *s;

        assert_int_equal(open_at(&s, in_scratch("a/b")), -ENOENT);
        WRITE("file", "");
        assert_int_equal(open_at(&s, in_scratch("file")), -ENOTDIR);
        assert_int_equal(open_at(&s, "/proc/ocfd-test"), -ENOENT);
        if (geteuid() == 0) /* root may write anywhere: the child is nobody */
                assert_int_equal(chmod(scratch, 0755), 0);
        if (fork() == 0) {
                char *why = NULL;
                int r;

                if (geteuid() == 0 && setuid(65534) < 0)
                        _exit(2);
                chmod(scratch, 0555);
                r = store_open(&s, scratch, &why);
                if (r != -EACCES)
                        fprintf(stderr, "%d: %s\n", r, why);
                _exit(r == -EACCES && why && strstr(why, "belongs to the user") ? 0 : 1);
        }
        {
                int status;

                assert_true(wait(&status) > 0);
                chmod(scratch, 0700);
                assert_int_equal(status, 0);
        }
}

/* ---- the disk, and the moment of the crash, in our hands: SQLite's own calls of the system ---- */

static int calls_left = -1; /* then: */
static enum { CALL_DIES, CALL_DIES_HALFWAY, CALL_FAILS } then;
static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
static int (*real_ftruncate)(int, off_t);
static int (*real_unlink)(const char *);

static void die(void) {
        kill(getpid(), SIGKILL);
}

static bool is_time(void) {
        return calls_left >= 0 && (calls_left == 0 || calls_left-- == 0);
}

static ssize_t wrap_pwrite(int fd, const void *buf, size_t n, off_t offset) {
        if (is_time()) {
                if (then == CALL_FAILS) {
                        errno = ENOSPC;
                        return -1;
                }
                if (then == CALL_DIES_HALFWAY && real_pwrite(fd, buf, n / 2, offset) < 0)
                        _exit(2);
                die();
        }
        return real_pwrite(fd, buf, n, offset);
}

static int wrap_ftruncate(int fd, off_t n) {
        if (then != CALL_FAILS && is_time())
                die();
        return real_ftruncate(fd, n);
}

static int wrap_unlink(const char *path) {
        if (then != CALL_FAILS && is_time())
                die();
        return real_unlink(path);
}

static void take_calls(void) {
        static bool taken;
        sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);

        if (taken)
                return;
        taken = true;
        real_pwrite = (ssize_t(*)(int, const void *, size_t, off_t))vfs->xGetSystemCall(vfs, "pwrite64");
        if (!real_pwrite) /* where off_t has always been long enough */
                real_pwrite =
                        (ssize_t(*)(int, const void *, size_t, off_t))vfs->xGetSystemCall(vfs, "pwrite");
        real_ftruncate = (int (*)(int, off_t))vfs->xGetSystemCall(vfs, "ftruncate");
        real_unlink = (int (*)(const char *))vfs->xGetSystemCall(vfs, "unlink");
        assert_true(real_pwrite && real_ftruncate && real_unlink);
        (void)vfs->xSetSystemCall(vfs, "pwrite", (sqlite3_syscall_ptr)wrap_pwrite);
        (void)vfs->xSetSystemCall(vfs, "pwrite64", (sqlite3_syscall_ptr)wrap_pwrite);
        assert_int_equal(vfs->xSetSystemCall(vfs, "ftruncate", (sqlite3_syscall_ptr)wrap_ftruncate),
                         SQLITE_OK);
        assert_int_equal(vfs->xSetSystemCall(vfs, "unlink", (sqlite3_syscall_ptr)wrap_unlink), SQLITE_OK);
}

/* The child makes a store and puts ports 1 to 3, saying each once it is put; it dies at its n-th call. */
static int live_and_die(int n, uint8_t *ret_said) {
        int ends[2], status;
        pid_t pid;

        assert_int_equal(pipe(ends), 0);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
                struct store *s;
                char *why = NULL;

                calls_left = n;
                if (store_open(&s, in_scratch("new"), &why))
                        _exit(3);
                for (uint8_t port = 1; port <= 3; port++) {
                        struct store_device d = device_of(port);

                        if (store_put_device(s, 0, &d) || write(ends[1], &port, 1) != 1)
                                _exit(4);
                }
                store_close(s);
                _exit(0);
        }
        close(ends[1]);
        *ret_said = 0;
        while (read(ends[0], ret_said, 1) == 1)
                ;
        close(ends[0]);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        return WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
}

static void die_everywhere(void) {
        int status = SIGKILL, n = 0;

        take_calls();
        for (; status == SIGKILL && n < 400; n++) {
                struct store_device d = { 0 };
                struct store *s;
                uint8_t said;
                int r;

                status = live_and_die(n, &said);
                assert_true(status == SIGKILL || status == 0);
                assert_int_equal(open_at(&s, in_scratch("new")), 0);
                r = store_get_device(s, 0, &d);
                assert_true(r == 0 || (r == STORE_E_NONE && said == 0));
                /* what was said stands; the one after it may */
                if (d.port_coap != said && d.port_coap != said + 1)
                        fail_msg("call %d: port %u, said %u", n, d.port_coap, said);
                store_close(s);
                assert_int_equal(unlink(in_scratch("new/ocfd.db")), 0);
                (void)unlink(in_scratch("new/ocfd.db-journal"));
        }
        assert_int_equal(status, 0);
        assert_true(n > 20);
}

static void test_killed_before_any_call(void **state) {
        then = CALL_DIES;
        die_everywhere();
}

static void test_killed_in_the_middle_of_any_write(void **state) {
        then = CALL_DIES_HALFWAY;
        die_everywhere();
}

static void test_killed_at_any_time(void **state) {
        uint16_t last = 0;

        for (unsigned i = 0; i < 20; i++) {
                int ends[2];
                struct store_device d = { 0 };
                struct store *s;
                uint16_t said = last;
                pid_t pid;

                assert_int_equal(pipe(ends), 0);
                pid = fork();
                if (pid == 0) {
                        char *why = NULL;

                        if (store_open(&s, scratch, &why))
                                _exit(3);
                        for (uint16_t port = (uint16_t)(last + 1);; port++) {
                                d = device_of(port);
                                if (store_put_device(s, 0, &d) ||
                                    write(ends[1], &port, sizeof(port)) != sizeof(port))
                                        _exit(4);
                        }
                }
                close(ends[1]);
                usleep(3000 + 1700 * i);
                kill(pid, SIGKILL);
                assert_int_equal(waitpid(pid, NULL, 0), pid);
                while (read(ends[0], &said, sizeof(said)) == sizeof(said))
                        ;
                close(ends[0]);
                assert_int_equal(open_at(&s, scratch), 0);
                (void)store_get_device(s, 0, &d);
                if (d.port_coap != said && d.port_coap != said + 1)
                        fail_msg("port %u, said %u", d.port_coap, said);
                last = d.port_coap;
                store_close(s);
        }
}

/* The disk is full for each of the writes in turn: the put fails or is whole, and the store goes on. */
static void test_a_full_disk(void **state) {
        const struct store_device new = device_of(2);
        bool failed = true;
        int n = 0;

        take_calls();
        make_store();
        then = CALL_FAILS;
        for (; failed && n < 50; n++) {
                const struct store_device old = device_of(1);
                struct store_device d;
                struct store *s;
                int r;

                assert_int_equal(open_at(&s, scratch), 0);
                assert_int_equal(store_put_device(s, 0, &old), 0);
                calls_left = n;
                r = store_put_device(s, 0, &new);
                failed = r != 0;
                calls_left = -1;
                assert_true(r == 0 || r == -ENOSPC || r == -EIO);
                assert_int_equal(store_get_device(s, 0, &d), 0);
                assert_int_equal(d.port_coap, failed ? 1 : 2);
                store_close(s);
                assert_int_equal(open_at(&s, scratch), 0);
                assert_int_equal(store_get_device(s, 0, &d), 0);
                assert_int_equal(d.port_coap, failed ? 1 : 2);
                store_close(s);
        }
        assert_false(failed);
        assert_true(n > 3);
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
        assert_int_equal(open_at(&s, scratch), 0); /* now there is room */
        store_close(s);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, scratch_open, scratch_close)
        const struct CMUnitTest tests[] = {
                TEST(test_what_is_put_is_there_again),  TEST(test_nobody_else_can_read_it),
                TEST(test_a_second_ocfd_is_told),       TEST(test_files_that_are_no_store),
                TEST(test_a_truncated_store),           TEST(test_flipped_bytes),
                TEST(test_a_database_of_somebody_else), TEST(test_our_name_without_our_tables),
                TEST(test_rows_that_cannot_be),         TEST(test_a_later_version_is_not_touched),
                TEST(test_a_journal_alone_is_damage),   TEST(test_where_nothing_can_be_made),
                TEST(test_killed_before_any_call),      TEST(test_killed_in_the_middle_of_any_write),
                TEST(test_killed_at_any_time),          TEST(test_a_full_disk),
                TEST(test_no_room_for_a_new_store),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
