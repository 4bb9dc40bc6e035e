#include "store_world.h"

#include "daemon/store_private.h"

#include <errno.h>

/* ---- calls that wait: what the store thread would do ---- */

static char said[1024];

static int note(int r, char *text) {
        assert_non_null(text);
        snprintf(said, sizeof(said), "%s", text);
        free(text);
        return r;
}

static void assert_said(const char *words) {
        if (!strstr(said, words))
                fail_msg("Not '%s': %s", words, said);
}

static int check(struct store *s) {
        char *text = NULL;
        int r = store_run_check(s, &text);

        return note(r, text);
}

static int backup(struct store *s, const char *name) {
        char *text = NULL;
        int r = store_run_backup(s, in_scratch(name), &text);

        return note(r, text);
}

static int restore(struct store *s, const char *name) {
        char *text = NULL;
        int r = store_run_restore(s, in_scratch(name), &text);

        return note(r, text);
}

static int rekey(struct store *s) {
        char *text = NULL;
        int r = store_run_rekey(s, &text);

        return note(r, text);
}

static int check_directory(const char *directory) {
        char *text = NULL;
        int r = store_check_directory(directory, &text);

        return note(r, text);
}

static int restore_directory(const char *directory, const char *name) {
        char *text = NULL;
        int r = store_restore_directory(directory, in_scratch(name), &text);

        return note(r, text);
}

static void assert_is_state(unsigned number) {
        struct store *s = open_good();

        assert_true(is_state(s, number));
        store_close(s);
}

static void put_one(unsigned number) {
        struct store *s = open_good();

        assert_int_equal(put_state(s, number), 0);
        store_close(s);
}

/* ---- check ---- */

static void test_a_good_store(void **state) {
        struct files before;
        struct store *s;

        make_owned();
        files_read(&before);
        s = open_good();
        assert_int_equal(check(s), 0);
        assert_said("is good: 10 rows, generation 5, owned");
        assert_said("store.key");
        assert_int_equal(check_directory(scratch), STORE_E_IN_USE);
        store_close(s);
        assert_int_equal(check_directory(scratch), 0);
        assert_said("is good: 10 rows");
        assert_files(&before, "looked at");
        files_free(&before);
}

static void test_changes_while_it_runs(void **state) {
        struct files good;
        struct store *s;

        make_owned();
        files_read(&good);
        s = open_good();
        WRITE("ocfd.mark", "no mark");
        assert_int_equal(check(s), STORE_E_DAMAGED);
        assert_said("mark");
        assert_int_equal(put_state(s, 3), 0); /* the next commit writes it anew */
        assert_int_equal(check(s), 0);
        store_close(s);
        assert_is_state(3);
        files_free(&good);
}

/* Somebody writes an older database under our feet: our next digest does not sign it. */
static void test_rows_that_change_while_it_runs(void **state) {
        static uint8_t old[1 << 18];
        const struct store_change change = { 0, "more", SPAN_LITERAL("x") };
        struct store *s;
        size_t n;
        int fd;

        make_owned();
        n = read_file("ocfd.db", old, sizeof(old));
        put_one(1);
        s = open_good();
        fd = open(in_scratch("ocfd.db"), O_WRONLY);
        assert_int_equal(pwrite(fd, old, n, 0), n); /* not closed yet: the store's locks would go */
        assert_int_equal(store_commit(s, &change, 1, true, NULL, NULL), 0);
        store_close(s);
        close(fd);
        assert_int_equal(open_at(&s, scratch), 0);
        assert_true(store_is_sealed(s, NULL) ||
                    is_state(s, 1)); /* the latter where all was still in memory */
        store_close(s);
}

static void test_what_check_says_of_others(void **state) {
        assert_int_equal(check_directory(scratch), STORE_E_NONE);
        assert_said("no store");
        assert_int_equal(access(in_scratch("ocfd.db"), F_OK), -1); /* and makes none */
        assert_int_equal(check_directory(in_scratch("none")), -ENOENT);
        make_owned();
        assert_int_equal(unlink(in_scratch("store.key")), 0);
        assert_int_equal(check_directory(scratch), STORE_E_SEALED);
        assert_said("key is gone");
        run_sql("PRAGMA user_version = 3");
        assert_int_equal(check_directory(scratch), STORE_E_NEWER);
}

/* ---- backup and restore ---- */

static void test_a_backup_comes_back(void **state) {
        struct store_device d;
        struct store *s;
        struct stat info;

        make_owned();
        s = open_good();
        assert_int_equal(backup(s, "backup"), 0);
        assert_said("generation 5, encrypted. It is worth nothing without the key, which is not in it: "
                    "the file store.key");
        assert_int_equal(stat(in_scratch("backup"), &info), 0);
        assert_int_equal(info.st_mode & 0777, 0600);
        assert_int_equal(put_state(s, 3), 0);
        assert_int_equal(restore(s, "backup"), 0);
        assert_said("holds what the backup held: owned");
        assert_true(store_is_owned(s));
        assert_int_equal(put_state(s, 4), -EROFS); /* what the daemon knows is of before */
        assert_int_equal(check(s), -EROFS);
        assert_int_equal(backup(s, "other"), -EROFS);
        assert_int_equal(restore(s, "backup"), -EROFS);
        store_close(s);
        s = open_good();
        assert_true(is_state(s, 2));
        assert_int_equal(store_get_device(s, 0, &d), 0);
        assert_int_equal(d.port_coap, 1);
        assert_int_equal(put_state(s, 4), 0);
        store_close(s);
        assert_is_state(4);
}

/* What was there before cannot come back by itself: not with the mark of now, nor the mark alone. */
static void test_after_a_restore_nothing_older_fits(void **state) {
        struct files before, after;
        struct store *s;

        make_owned();
        s = open_good();
        assert_int_equal(backup(s, "backup"), 0);
        assert_int_equal(put_state(s, 3), 0);
        store_close(s);
        files_read(&before);
        assert_int_equal(restore_directory(scratch, "backup"), 0);
        files_read(&after);
        put_back_one(&before, "ocfd.db");
        assert_sealed("the database of before", "not of the same store");
        files_put_back(&after);
        put_back_one(&before, "ocfd.mark");
        assert_sealed("the mark of before", "not of the same store");
        files_put_back(&after);
        assert_is_state(2);
        files_free(&before);
        files_free(&after);
}

static void test_a_sealed_store_is_restored(void **state) {
        static const char *const gone[] = { "ocfd.mark", "ocfd.db", "both" };
        struct files good;
        struct store *s;

        make_owned();
        s = open_good();
        assert_int_equal(backup(s, "backup"), 0);
        store_close(s);
        put_one(3);
        files_read(&good);
        for (size_t i = 0; i < ARRAY_SIZE(gone); i++) {
                files_put_back(&good);
                if (i != 1)
                        assert_int_equal(unlink(in_scratch("ocfd.mark")), 0);
                if (i != 0)
                        assert_int_equal(unlink(in_scratch("ocfd.db")), 0);
                assert_int_equal(open_at(&s, scratch), 0);
                assert_int_equal(check(s), STORE_E_SEALED);
                assert_int_equal(backup(s, "other"), STORE_E_SEALED);
                assert_int_equal(rekey(s), STORE_E_SEALED);
                assert_int_equal(restore(s, "backup"), 0);
                store_close(s);
                assert_is_state(2);
        }
        /* a damaged one, kept beside */
        files_put_back(&good);
        WRITE("ocfd.db", "damaged");
        assert_int_equal(restore_directory(scratch, "backup"), 0);
        assert_is_state(2);
        assert_int_equal(read_file("ocfd.db.replaced", said, sizeof(said)), 7);
        files_free(&good);
}

/* The directory is lost; the backup and the key file are not. */
static void test_a_new_disk(void **state) {
        uint8_t key[32];
        struct store *s;

        make_owned();
        s = open_good();
        assert_int_equal(backup(s, "backup"), 0);
        store_close(s);
        assert_int_equal(read_file("store.key", key, sizeof(key)), sizeof(key));
        assert_int_equal(mkdir(in_scratch("new"), 0700), 0);
        assert_int_equal(restore_directory(in_scratch("new"), "backup"), STORE_E_KEY);
        assert_said("another key");
        write_file("new/store.key", key, sizeof(key));
        assert_int_equal(restore_directory(in_scratch("new"), "backup"), 0);
        assert_int_equal(open_at(&s, in_scratch("new")), 0);
        assert_true(is_state(s, 2));
        store_close(s);
}

static void test_files_that_are_no_backup(void **state) {
        static uint8_t bytes[1 << 18];
        struct files before;
        struct store *s;
        size_t n, n_refused = 0;

        make_owned();
        s = open_good();
        assert_int_equal(backup(s, "backup"), 0);
        n = read_file("backup", bytes, sizeof(bytes));
        WRITE("bad", "a letter");
        assert_int_equal(restore(s, "bad"), STORE_E_DAMAGED);
        assert_said("Nothing was changed");
        assert_int_equal(restore(s, "none"), -ENOENT);
        assert_int_equal(mkdir(in_scratch("folder"), 0700), 0);
        assert_true(restore(s, "folder") < 0);
        assert_int_equal(rmdir(in_scratch("folder")), 0);
        assert_int_equal(backup(s, "none/backup"), -ENOENT);
        assert_int_equal(backup(s, "none/"), -EISDIR);
        for (size_t cut = 0; cut < n; cut += 1111 * unit_stride()) {
                write_file("bad", bytes, cut);
                assert_int_equal(restore(s, "bad"), STORE_E_DAMAGED);
        }
        store_close(s);
        files_read(&before);
        for (size_t i = 0; i < n; i += (i < 100 ? 1 : 61) * unit_stride()) {
                int r;

                files_put_back(&before);
                bytes[i] ^= 0x20;
                write_file("bad", bytes, n);
                bytes[i] ^= 0x20;
                r = restore_directory(scratch, "bad");
                if (r) {
                        assert_true(r == STORE_E_DAMAGED || r == STORE_E_NEWER || r == STORE_E_KEY);
                        n_refused++;
                }
                assert_is_state(2);
        }
        assert_true(n_refused > 100 / unit_stride()); /* the others hit what is not used */
        files_put_back(&before);
        write_file("bad", bytes, n);
        run_sql_in("bad", "PRAGMA user_version = 3");
        assert_int_equal(restore_directory(scratch, "bad"), STORE_E_NEWER);
        write_file("bad", bytes, n);
        run_sql_in("bad",
                   "DROP TABLE entry; DROP TABLE meta; CREATE TABLE platform (id, pi); CREATE TABLE device "
                   "(id, di, piid, port_coap); PRAGMA user_version = 1");
        assert_int_equal(restore_directory(scratch, "bad"),
                         STORE_E_DAMAGED); /* anybody can write one without owner */
        assert_is_state(2);
        files_free(&before);
}

/* ---- keys ---- */

static void give_credential(const char *name, const char *key) {
        char path[64];

        snprintf(path, sizeof(path), "credentials/%s", name);
        (void)mkdir(in_scratch("credentials"), 0700);
        if (key)
                WRITE(path, key);
        else
                (void)unlink(in_scratch(path));
        assert_int_equal(setenv("CREDENTIALS_DIRECTORY", in_scratch("credentials"), 1), 0);
}

static int close_credentials(void **state) {
        unsetenv("CREDENTIALS_DIRECTORY");
        return scratch_close(state);
}

#define FIRST  "the first key of the store, 32 bytes or more"
#define SECOND "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n" /* taken as it is */

static void test_a_credential_is_the_key(void **state) {
        struct store *s;

        give_credential("ocfd.store-key", FIRST);
        assert_int_equal(open_at(&s, in_scratch("s")), 0);
        assert_int_equal(put_state(s, 2), 0);
        assert_int_equal(check(s), 0);
        assert_said("from the credential ocfd.store-key");
        store_close(s);
        assert_int_equal(access(in_scratch("s/store.key"), F_OK), -1);
        give_credential("ocfd.store-key", SECOND);
        assert_int_equal(check_directory(in_scratch("s")), STORE_E_SEALED);
        assert_said("another one");
        give_credential("ocfd.store-key", "too short");
        assert_int_equal(check_directory(in_scratch("s")), STORE_E_SEALED);
        assert_said("shorter than 32 bytes");
        give_credential("ocfd.store-key", NULL);
        assert_int_equal(open_at(&s, in_scratch("s")), 0);
        assert_true(store_is_sealed(s, NULL)); /* and no key of our own is made */
        store_close(s);
        assert_int_equal(access(in_scratch("s/store.key"), F_OK), -1);
        give_credential("ocfd.store-key", FIRST);
        assert_int_equal(check_directory(in_scratch("s")), 0);
}

/* A key that was meant and is not right: no store is made under another. */
static void test_a_bad_credential_at_the_first_start(void **state) {
        struct store *s;

        give_credential("ocfd.store-key", "too short");
        assert_int_equal(open_at(&s, in_scratch("s")), 0);
        assert_true(store_is_sealed(s, NULL));
        store_close(s);
        assert_int_equal(access(in_scratch("s/ocfd.db"), F_OK), -1);
        assert_int_equal(access(in_scratch("s/store.key"), F_OK), -1);
}

static void test_another_key_of_our_own(void **state) {
        uint8_t old[32], new[32];
        struct files before;
        struct store *s;

        make_owned();
        files_read(&before);
        read_file("store.key", old, sizeof(old));
        s = open_good();
        assert_int_equal(backup(s, "backup"), 0);
        assert_int_equal(rekey(s), 0);
        assert_said("new key");
        assert_true(is_state(s, 2));
        assert_int_equal(put_state(s, 3), 0); /* it goes on at once */
        assert_int_equal(restore(s, "backup"), STORE_E_KEY);
        store_close(s);
        assert_is_state(3);
        read_file("store.key", new, sizeof(new));
        assert_memory_not_equal(old, new, sizeof(old));
        put_back_one(&before, "store.key");
        assert_sealed("the old key", "another one");
        put_back_one(&before, "ocfd.db");
        assert_sealed("the old key and database", "mark");
        files_free(&before);
}

static void test_from_a_file_to_a_credential_and_on(void **state) {
        struct store *s;

        assert_int_equal(open_at(&s, in_scratch("s")), 0);
        assert_int_equal(put_state(s, 2), 0);
        store_close(s);
        give_credential("ocfd.store-key", FIRST);
        assert_int_equal(open_at(&s, in_scratch("s")), 0); /* that there is another is no harm */
        assert_int_equal(check(s), 0);
        assert_said("from the file store.key");
        assert_int_equal(rekey(s), 0);
        assert_said("from the credential");
        assert_int_equal(access(in_scratch("s/store.key"), F_OK), -1);
        assert_int_equal(rekey(s), -EALREADY);
        assert_said(".old");
        store_close(s);

        give_credential("ocfd.store-key.old", FIRST);
        give_credential("ocfd.store-key", SECOND);
        assert_int_equal(open_at(&s, in_scratch("s")), 0);
        assert_int_equal(check(s), 0);
        assert_said("ocfd.store-key.old");
        assert_int_equal(rekey(s), 0);
        store_close(s);
        give_credential("ocfd.store-key.old", NULL);
        assert_int_equal(open_at(&s, in_scratch("s")), 0);
        assert_true(is_state(s, 2));
        store_close(s);
}

/* ---- on the store thread ---- */

static int outcomes[8];
static size_t n_outcomes;

static void on_report(void *context, int outcome, const char *text) {
        assert_non_null(text);
        assert_true(text[0]);
        outcomes[n_outcomes++] = outcome;
}

static void on_done(void *context, int outcome) {
        outcomes[n_outcomes++] = outcome;
}

static void test_upkeep_in_order_with_commits(void **state) {
        static const int wanted[] = { 0, 0, 0, 0, 0, -EROFS };
        const struct store_change change = { 0, "doxm", SPAN_LITERAL("later") };
        struct store *s;
        uv_loop_t loop;

        make_owned();
        assert_int_equal(uv_loop_init(&loop), 0);
        s = open_good();
        assert_int_equal(store_check(s, on_report, NULL), -ESHUTDOWN); /* there is no thread yet */
        assert_int_equal(store_start(s, &loop), 0);
        n_outcomes = 0;
        assert_int_equal(store_rekey(s, on_report, NULL), 0);
        assert_int_equal(store_backup(s, in_scratch("backup"), on_report, NULL), 0);
        assert_int_equal(store_commit(s, &change, 1, false, on_done, NULL), 0);
        assert_int_equal(store_check(s, on_report, NULL), 0);
        assert_int_equal(store_restore(s, in_scratch("backup"), on_report, NULL), 0);
        assert_int_equal(store_commit(s, &change, 1, false, on_done, NULL), 0);
        uv_run(&loop, UV_RUN_DEFAULT);
        assert_int_equal(n_outcomes, ARRAY_SIZE(wanted));
        assert_memory_equal(outcomes, wanted, sizeof(wanted));
        assert_int_equal(store_commit(s, &change, 1, false, on_done, NULL), -EROFS);
        store_close(s);
        uv_run(&loop, UV_RUN_DEFAULT);
        assert_int_equal(uv_loop_close(&loop), 0);
        assert_is_state(2);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, scratch_open, close_credentials)
        const struct CMUnitTest tests[] = {
                TEST(test_a_good_store),
                TEST(test_changes_while_it_runs),
                TEST(test_rows_that_change_while_it_runs),
                TEST(test_what_check_says_of_others),
                TEST(test_a_backup_comes_back),
                TEST(test_after_a_restore_nothing_older_fits),
                TEST(test_a_sealed_store_is_restored),
                TEST(test_a_new_disk),
                TEST(test_files_that_are_no_backup),
                TEST(test_a_credential_is_the_key),
                TEST(test_a_bad_credential_at_the_first_start),
                TEST(test_another_key_of_our_own),
                TEST(test_from_a_file_to_a_credential_and_on),
                TEST(test_upkeep_in_order_with_commits),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
