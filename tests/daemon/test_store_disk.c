/*
 * What a disk can do to the store, at each single call: afterwards it is in the
 * state that was told last, or in the one that was about to be told; whole, and
 * never without its owner by accident.
 */
#include "store_disk.h"

#include "daemon/store_private.h"

#include <sys/wait.h>

/* What a child does after it was told that a state is durable, or that an attempt failed. */
static int ends[2];

static void say(char what) {
        disk_armed = false;
        if (write(ends[1], &what, 1) != 1)
                _exit(9);
        disk_armed = true;
}

static void check(bool good, int code) {
        if (!good)
                _exit(code);
}

/* Puts a state; what fails must not have happened, and must work once the disk does again. */
static void attempt(struct store *s, unsigned from, unsigned to) {
        int r = put_state(s, to);

        if (r == -ENOTRECOVERABLE) { /* the state may be there or not; nothing else is let through */
                check(put_state(s, to) == -ENOTRECOVERABLE, 10);
                _exit(0);
        }
        if (r) {
                check(r == -disk_error || r == -EIO, 11);
                disk_armed = false;
                check(is_state(s, from), 12);
                disk_left = -1; /* it is mended */
                disk_armed = true;
                r = put_state(s, to);
                check(r == 0, 13);
        }
        disk_armed = false;
        check(is_state(s, to), 14);
        disk_armed = true;
        say((char)('0' + to));
}

/* ---- lives ---- */

static struct store *open_in_child(void) {
        struct store *s = NULL;
        char *why = NULL;
        int r = store_open(&s, scratch, &why);

        if (r)
                _exit(disk_left < 0 || disk_mode >= DISK_FAILS_ONCE
                              ? 0
                              : 20); /* it has said so, and that is all */
        check(!why, 21);
        return s;
}

static void live_first_days(void) {
        struct store *s = open_in_child();
        struct store_device d = device_of(1);
        int r = store_put_device(s, 0, &d);

        if (r == -ENOTRECOVERABLE)
                _exit(0);
        if (r)
                disk_left = -1;
        attempt(s, 0, 1);
        attempt(s, 1, 2);
        attempt(s, 2, 3);
        store_close(s);
}

static void live_on(void) {
        struct store *s = open_in_child();

        attempt(s, 2, 3);
        attempt(s, 3, 1);
        attempt(s, 1, 4);
        store_close(s);
}

static void live_reset(void) {
        struct store *s = open_in_child();

        attempt(s, 2, 0); /* the owner gives it away: the one way to be unowned */
        store_close(s);
}

static void live_rekey(void) {
        struct store *s = open_in_child();
        char *text = NULL;
        int r = store_run_rekey(s, &text);

        check(text != NULL, 30);
        free(text);
        if (r && atomic_load(&s->state) == STORE_OPEN) {
                disk_armed = false;
                check(is_state(s, 2), 31);
                disk_armed = true;
                disk_left = -1;
        }
        attempt(s, 2, 3);
        store_close(s);
}

static void live_restore(void) {
        struct store *s = open_in_child();
        char *text = NULL;
        int r = store_run_restore(s, in_scratch("backup"), &text);

        check(text != NULL, 40);
        free(text);
        if (r == 0)
                say('1');
        store_close(s);
}

/* ---- and what is left of them ---- */

struct life {
        const char *name;
        void (*live)(void);
        const char *path; /* the states it goes through, the one it begins with first */
        bool is_new;
};

static void child(const struct life *life, enum disk_mode mode, int n) {
        disk_mode = mode;
        disk_left = n;
        disk_begin();
        disk_armed = true;
        life->live();
        disk_armed = false;
        _exit(disk_happened ? 0 : 1); /* 1: it came through untouched */
}

/* Return: -1: killed, or its exit status; ret_said: the last state that was told, or the one before all. */
static int run_child(const struct life *life, enum disk_mode mode, int n, char *ret_said) {
        int status;
        char c;
        pid_t pid;

        assert_int_equal(pipe(ends), 0);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0)
                child(life, mode, n);
        close(ends[1]);
        *ret_said = life->path[0];
        while (read(ends[0], &c, 1) == 1)
                *ret_said = c;
        close(ends[0]);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        if (WIFSIGNALED(status))
                return WTERMSIG(status) == SIGKILL ? -1 : 200 + WTERMSIG(status);
        return WEXITSTATUS(status);
}

static void verify(const struct life *life, enum disk_mode mode, int n, char said, int status) {
        const char *at = strchr(life->path, said);
        struct store *s = NULL;
        const char *why = "";
        int r;

        if (status > 1)
                fail_msg("%s, mode %d, call %d: exit %d", life->name, mode, n, status);
        r = open_at(&s, scratch);
        if (r || store_is_sealed(s, &why))
                fail_msg("%s, mode %d, call %d, after %c: %d %s", life->name, mode, n, said, r, why);
        if (!is_state(s, (unsigned)(at[0] - '0')) && !(at[1] && is_state(s, (unsigned)(at[1] - '0'))))
                fail_msg("%s, mode %d, call %d: another state than after %c", life->name, mode, n, said);
        if (n % 4) {
                store_close(s);
                return;
        }
        assert_int_equal(put_state(s, 5), 0); /* and it goes on */
        store_close(s);
        s = open_good();
        assert_true(is_state(s, 5));
        store_close(s);
}

static void live_at_each_call(const struct life *life, const struct files *begin, enum disk_mode mode) {
        int status = -1, n = 0;

        for (; status != 1 && n < 2000; n += (int)unit_stride()) {
                char said;

                files_put_back(begin);
                status = run_child(life, mode, n, &said);
                verify(life, mode, n, said, status);
        }
        assert_in_range(n, 15, 1999);
}

static void live_everywhere(const struct life *life, const struct files *begin) {
        for (enum disk_mode mode = 0; mode < _DISK_MODE_N; mode++) {
                disk_error = EIO;
                live_at_each_call(life, begin, mode);
                disk_error = ENOSPC;
                if (mode >= DISK_FAILS_ONCE)
                        live_at_each_call(life, begin, mode);
        }
}

static void begin_life(const struct life *life, struct files *ret) {
        scratch_empty();
        if (!life->is_new)
                make_owned();
        files_read(ret);
}

static void live(const struct life *life) {
        struct files begin;

        begin_life(life, &begin);
        live_everywhere(life, &begin);
        files_free(&begin);
}

static void test_first_days(void **state) {
        live(&(struct life){ "first days", live_first_days, "0123", .is_new = true });
}

static void test_commits(void **state) {
        live(&(struct life){ "commits", live_on, "2314" });
}

static void test_a_reset(void **state) {
        live(&(struct life){ "a reset", live_reset, "20" });
}

static void test_another_key(void **state) {
        live(&(struct life){ "another key", live_rekey, "23" });
}

/* A backup of state 1, on state 2. */
static void test_a_restore(void **state) {
        const struct life life = { "a restore", live_restore, "21" };
        struct files begin;
        struct store *s = open_good();
        char *text = NULL;

        assert_int_equal(put_state(s, 1), 0);
        assert_int_equal(store_run_backup(s, in_scratch("backup"), &text), 0);
        free(text);
        assert_int_equal(put_state(s, 2), 0);
        store_close(s);
        files_read(&begin);
        live_everywhere(&life, &begin);
        files_free(&begin);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, scratch_open, scratch_close)
        const struct CMUnitTest tests[] = {
                TEST(test_first_days),  TEST(test_commits),   TEST(test_a_reset),
                TEST(test_another_key), TEST(test_a_restore),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
