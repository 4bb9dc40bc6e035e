/*
 * The n-th allocation is refused, for each n: it is said, and the store is in
 * the state before or after. Never is it sealed for that.
 */
#include "store_world.h"

#include "daemon/store_private.h"

#include <errno.h>

static int left = -1;

void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
void *__wrap_realloc(void *p, size_t size);

static bool is_refused(void) {
        return left >= 0 && left-- == 0;
}

void *__wrap_calloc(size_t n, size_t size) {
        return is_refused() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t size) {
        return is_refused() ? NULL : __real_realloc(p, size);
}

/* One after the other is refused, until nothing more is asked for. */
static void refuse_each(int (*act)(void), void (*check)(int outcome), int n_min) {
        struct files begin;
        int n = 0;

        files_read(&begin);
        for (bool more = true; more; n++) {
                int r;

                files_put_back(&begin);
                left = n;
                r = act();
                more = left < 0;
                left = -1;
                if (r && r != -ENOMEM)
                        fail_msg("allocation %d: %d", n, r);
                check(r);
        }
        files_free(&begin);
        assert_in_range(n, n_min, 5000);
}

static int open_and_close(void) {
        struct store *s = NULL;
        char *why = NULL;
        int r = store_open(&s, scratch, &why);

        if (!r && store_is_sealed(s, NULL))
                r = STORE_E_SEALED;
        free(why);
        store_close(s);
        return r;
}

static void check_empty(int outcome) {
        struct store *s = open_good();

        assert_true(is_state(s, 0));
        store_close(s);
}

static void check_owned(int outcome) {
        struct store *s = open_good();

        assert_true(is_state(s, 2));
        store_close(s);
}

static void test_opening(void **state) {
        refuse_each(open_and_close, check_empty, 5);
        make_owned();
        refuse_each(open_and_close, check_owned, 20);
}

static int commit_3(void) {
        int kept = left, r;
        struct store *s;

        left = -1;
        s = open_good();
        left = kept;
        r = put_state(s, 3);
        kept = left;
        left = -1;
        assert_true(is_state(s, r ? 2 : 3));
        store_close(s);
        left = kept;
        return r;
}

static void check_commit(int outcome) {
        struct store *s = open_good();

        assert_true(is_state(s, outcome ? 2 : 3));
        store_close(s);
}

static void test_a_commit(void **state) {
        make_owned();
        refuse_each(commit_3, check_commit, 9);
}

static int commit_on_the_thread(void) {
        const struct store_change changes[] = { { 0, "doxm", SPAN_LITERAL("x") },
                                                { 0, "more", SPAN_LITERAL("y") } };
        int kept = left, r;
        struct store *s;
        uv_loop_t loop;

        left = -1;
        assert_int_equal(uv_loop_init(&loop), 0);
        s = open_good();
        left = kept;
        r = store_start(s, &loop);
        if (!r)
                r = store_commit_lazy(s, changes, 2);
        if (!r)
                r = store_commit(s, changes, 2, true, NULL, NULL);
        kept = left;
        left = -1;
        store_close(s);
        uv_run(&loop, UV_RUN_DEFAULT);
        assert_int_equal(uv_loop_close(&loop), 0);
        left = kept;
        return r;
}

static void check_nothing(int outcome) {
        store_close(open_good());
}

static void test_the_thread(void **state) {
        make_owned();
        refuse_each(commit_on_the_thread, check_nothing, 8);
}

static int rekey(void) {
        int kept = left, r;
        char *text = NULL;
        struct store *s;

        left = -1;
        s = open_good();
        left = kept;
        r = store_run_rekey(s, &text);
        kept = left;
        left = -1;
        free(text);
        store_close(s);
        left = kept;
        return r;
}

static void test_another_key(void **state) {
        make_owned();
        refuse_each(rekey, check_owned, 30);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, scratch_open, scratch_close)
        const struct CMUnitTest tests[] = {
                TEST(test_opening),
                TEST(test_a_commit),
                TEST(test_the_thread),
                TEST(test_another_key),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
