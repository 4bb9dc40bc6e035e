/*
 * Files of the store that were changed, taken away, or put back from another
 * day, by accident or by somebody who can write there and has no key: afterwards
 * it is sealed, or in a state that it had last. Never is it without its owner.
 */
#include "store_disk.h"

#include "daemon/store_private.h"

#include <sys/wait.h>

/* Opens what is there. Return: the state of the store, or -1: it is sealed, and its files are as they were.
 */
static int look(const char *what) {
        struct files before;
        struct store *s = NULL;
        int state = -1, r;

        files_read(&before);
        r = open_at(&s, scratch);
        if (r == STORE_E_NEWER) { /* the byte that holds the version: it does not start at all */
                assert_files(&before, what);
                files_free(&before);
                return -1;
        }
        if (r)
                fail_msg("%s: %d", what, r);
        for (int i = 0; i < 8 && !store_is_sealed(s, NULL) && state < 0; i++)
                if (is_state(s, (unsigned)i))
                        state = i;
        if (!store_is_sealed(s, NULL)) {
                if (state < 1)
                        fail_msg("%s: state %d", what, state);
                store_close(s);
        } else {
                store_close(s);
                assert_files(&before, what);
        }
        files_free(&before);
        return state;
}

/* Each of these bits is flipped in each of these places; the states that may come out, besides sealed. */
static void flip(const struct files *good, const char *name, size_t step, int earlier, int later,
                 size_t n_sealed_min) {
        static const uint8_t bits[] = { 0x01, 0x80, 0xff };
        size_t n_sealed = 0;

        for (size_t f = 0; f < good->n; f++) {
                if (strcmp(good->files[f].name, name) != 0)
                        continue;
                for (size_t at = 0; at < good->files[f].n; at += (at < 110 ? 1 : step) * unit_stride())
                        for (size_t b = 0; b < (step > 1 ? 1 : ARRAY_SIZE(bits)); b++) {
                                const uint8_t bit = bits[(at + b) % ARRAY_SIZE(bits)];
                                char what[128];
                                int is;

                                files_put_back(good);
                                good->files[f].bytes[at] ^= bit;
                                write_file(name, good->files[f].bytes, good->files[f].n);
                                good->files[f].bytes[at] ^= bit;
                                snprintf(what, sizeof(what), "%s, byte %zu, bit %02x", name, at, bit);
                                is = look(what);
                                if (is < 0)
                                        n_sealed++;
                                else if (is != earlier && is != later)
                                        fail_msg("%s: state %d", what, is);
                        }
        }
        if (n_sealed < n_sealed_min / unit_stride())
                fail_msg("%s: only %zu were seen", name, n_sealed);
}

static void test_flipped_bits(void **state) {
        struct files good;

        make_owned();
        files_read(&good);
        assert_int_equal(good.n, 3);
        flip(&good, "ocfd.mark", 1, -1, -1, 88 * 3);
        flip(&good, "store.key", 1, -1, -1, 32 * 3);
        flip(&good, "ocfd.db", 37, 2, 2, 200);
        files_free(&good);
}

/* A crash at the n-th call of a commit of state 3 on state 2. */
static void crash_at(int n) {
        pid_t pid = fork();

        if (pid == 0) {
                struct store *s = NULL;
                char *why = NULL;

                disk_mode = DISK_DIES;
                if (store_open(&s, scratch, &why))
                        _exit(1);
                disk_left = n;
                disk_armed = true;
                (void)put_state(s, 3);
                kill(getpid(), SIGKILL);
        }
        assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* Changed pages are in the database, and the journal that takes them back is whole. */
static void make_hot(struct files *ret) {
        struct files before;
        uint8_t start[1] = { 0 };

        make_owned();
        files_read(&before);
        for (int n = 0; n < 200; n++) {
                static uint8_t bytes[1 << 20];
                size_t size;

                files_put_back(&before);
                crash_at(n);
                size = read_file("ocfd.db", bytes, sizeof(bytes));
                if (access(in_scratch("ocfd.db-journal"), F_OK) < 0 ||
                    read_file("ocfd.db-journal", start, 1) != 1 || !start[0] ||
                    (size == before.files[0].n && memcmp(bytes, before.files[0].bytes, size) == 0))
                        continue;
                assert_string_equal(before.files[0].name, "ocfd.db");
                files_put_back(&before);
                crash_at(n + 3); /* some of the pages, not all */
                files_read(ret);
                files_free(&before);
                return;
        }
        fail_msg("there was no hot journal");
}

static void test_flipped_bits_while_a_journal_is_hot(void **state) {
        struct files hot;

        make_hot(&hot);
        assert_int_equal(look("as it is"), 2);
        flip(&hot, "ocfd.db-journal", 53, 2, 3, 20);
        flip(&hot, "ocfd.db", 53, 2, 3, 0); /* the journal mends nearly all of them */
        flip(&hot, "ocfd.mark", 1, -1, -1, 88 * 3);
        flip(&hot, "store.key", 1, -1, -1, 32 * 3);
        files_free(&hot);
}

static void test_a_hot_journal_cut_off(void **state) {
        struct files hot;

        make_hot(&hot);
        for (size_t f = 0; f < hot.n; f++) {
                if (strcmp(hot.files[f].name, "ocfd.db-journal") != 0)
                        continue;
                for (size_t cut = 0; cut < hot.files[f].n; cut += 199 * unit_stride()) {
                        int is;

                        files_put_back(&hot);
                        write_file("ocfd.db-journal", hot.files[f].bytes, cut);
                        is = look("a journal cut off");
                        assert_true(is == -1 || is == 2 || is == 3);
                }
        }
        files_put_back(&hot);
        assert_int_equal(unlink(in_scratch("ocfd.db-journal")), 0);
        assert_sealed("a journal taken away", "");
        files_free(&hot);
}

/* ---- files of another day ---- */

static void put_one(unsigned number) {
        struct store *s = open_good();

        assert_int_equal(put_state(s, number), 0);
        store_close(s);
}

static void test_older_files_put_back(void **state) {
        struct files first, second, third;

        make_owned();
        files_read(&first);
        put_one(3);
        files_read(&second);
        put_one(4);
        files_read(&third);

        put_back_one(&second, "ocfd.db");
        assert_sealed("the database before the last", "older than its mark");
        put_back_one(&first, "ocfd.db");
        assert_sealed("the one before that", "older than its mark");
        files_put_back(&third);
        put_back_one(&first, "ocfd.mark");
        assert_sealed("a mark two steps behind", "mark is older");
        put_back_one(&second, "ocfd.mark"); /* so it is after a crash, and the newest state counts */
        assert_int_equal(look("a mark one step behind"), 4);
        assert_files(&third, "the mark is brought up to date");
        files_free(&first);
        files_free(&second);
        files_free(&third);
}

/* The state before an owner, kept by somebody from the day it was bought. */
static void test_the_day_before_an_owner(void **state) {
        struct files fresh, now;
        struct store *s = open_good();

        store_close(s);
        files_read(&fresh);
        put_one(2);
        files_read(&now);
        put_back_one(&fresh, "ocfd.db");
        assert_sealed("a fresh database", "older than its mark");
        files_put_back(&now);
        put_back_one(&fresh, "ocfd.mark"); /* one step: nothing is lost */
        assert_int_equal(look("a fresh mark"), 2);
        files_free(&fresh);
        files_free(&now);
}

static void test_files_taken_away(void **state) {
        static const struct {
                const char *name, *words;
        } rows[] = {
                { "ocfd.db", "mark is still there" },
                { "ocfd.mark", "is gone" },
                { "store.key", "key is gone" },
                { "ocfd.db ocfd.mark", "key is still there" },
                { "ocfd.db store.key", "mark is still there" },
                { "ocfd.mark store.key", "key is gone" },
        };
        struct files good;

        make_owned();
        files_read(&good);
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                files_put_back(&good);
                for (size_t f = 0; f < good.n; f++)
                        if (strstr(rows[i].name, good.files[f].name))
                                assert_int_equal(unlink(in_scratch(good.files[f].name)), 0);
                assert_sealed(rows[i].name, rows[i].words);
        }
        files_put_back(&good);
        assert_int_equal(look("all put back"), 2);
        files_free(&good);
}

static void test_files_of_another_store(void **state) {
        struct files ours, others;

        make_owned();
        files_read(&ours);
        scratch_empty();
        make_owned();
        files_read(&others);
        for (size_t i = 0; i < others.n; i++) {
                files_put_back(&ours);
                put_back_one(&others, others.files[i].name);
                assert_sealed(others.files[i].name, "");
        }
        /* under the same key, as two services have it that share a credential */
        assert_int_equal(setenv("CREDENTIALS_DIRECTORY", scratch, 1), 0);
        scratch_empty();
        write_file("ocfd.store-key", "a key that is long enough for two stores", 40);
        make_owned();
        files_free(&ours);
        files_read(&ours);
        scratch_empty();
        write_file("ocfd.store-key", "a key that is long enough for two stores", 40);
        make_owned();
        put_back_one(&ours, "ocfd.mark");
        assert_sealed("the mark of another store under our key", "not of the same store");
        put_back_one(&ours, "ocfd.db");
        assert_int_equal(look("all of it"), 2);
        unsetenv("CREDENTIALS_DIRECTORY");
        files_free(&ours);
        files_free(&others);
}

static void test_a_journal_put_beside(void **state) {
        struct files hot, good;

        make_hot(&hot);
        assert_int_equal(look("rolled back"), 2);
        put_one(5);
        files_read(&good);
        put_back_one(&hot, "ocfd.db-journal"); /* of an earlier transaction, whole and right */
        assert_sealed("an old journal", "");
        files_put_back(&good);
        WRITE("ocfd.db-journal", "\xd9\xd5\x05\xf9\x20\xa1\x63\xd7 and so on");
        assert_int_equal(look("a journal of nothing"), 5);
        files_put_back(&good);
        write_file("ocfd.db-wal", "a log", 5);
        assert_sealed("a log beside it", "is not ours");
        files_free(&hot);
        files_free(&good);
}

static void test_a_journal_alone(void **state) {
        struct store *s = NULL;

        WRITE("ocfd.db-journal", "\xd9\xd5\x05\xf9\x20\xa1\x63\xd7");
        assert_sealed("a journal without its database", "journal of it is still there");
        write_file("ocfd.db-journal", "\0\0\0\0", 4); /* one that is done says nothing */
        s = open_good();
        store_close(s);
}

static void test_files_that_are_none(void **state) {
        static const char *const names[] = { "ocfd.mark", "store.key" };
        struct files good;

        make_owned();
        files_read(&good);
        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                struct store *s = NULL;

                files_put_back(&good);
                assert_int_equal(unlink(in_scratch(names[i])), 0);
                assert_int_equal(mkdir(in_scratch(names[i]), 0700), 0);
                assert_int_equal(open_at(&s, scratch), 0);
                assert_true(store_is_sealed(s, NULL));
                store_close(s);
                assert_int_equal(rmdir(in_scratch(names[i])), 0);
                assert_int_equal(mkfifo(in_scratch(names[i]), 0600), 0); /* and nothing waits for it */
                assert_int_equal(open_at(&s, scratch), 0);
                assert_true(store_is_sealed(s, NULL));
                store_close(s);
                assert_int_equal(unlink(in_scratch(names[i])), 0);
        }
        files_free(&good);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, scratch_open, scratch_close)
        const struct CMUnitTest tests[] = {
                TEST(test_flipped_bits),
                TEST(test_flipped_bits_while_a_journal_is_hot),
                TEST(test_a_hot_journal_cut_off),
                TEST(test_older_files_put_back),
                TEST(test_the_day_before_an_owner),
                TEST(test_files_taken_away),
                TEST(test_files_of_another_store),
                TEST(test_a_journal_put_beside),
                TEST(test_a_journal_alone),
                TEST(test_files_that_are_none),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
