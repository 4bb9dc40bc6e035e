#include "store_world.h"

#include "daemon/clock.h"

#include <errno.h>
#include <stdatomic.h>

struct world {
        uv_loop_t loop;
        uv_thread_t thread; /* the loop's */
        struct store *store;
        unsigned next; /* the number that is told next */
        int last;
};

struct told_commit {
        struct world *world;
        unsigned number;
};

static void world_open(struct world *w) {
        *w = (struct world){ .thread = uv_thread_self(), .last = 1 };
        assert_int_equal(uv_loop_init(&w->loop), 0);
        w->store = open_good();
        assert_int_equal(store_start(w->store, &w->loop), 0);
}

/* The loop runs once more after the store is closed, and has nothing left. */
static void world_close(struct world *w) {
        w->store = store_close(w->store);
        uv_run(&w->loop, UV_RUN_DEFAULT);
        assert_int_equal(uv_loop_close(&w->loop), 0);
}

static void on_done(void *context, int outcome) {
        struct told_commit *t = context;
        uv_thread_t self = uv_thread_self();

        assert_true(uv_thread_equal(&self, &t->world->thread));
        assert_int_equal(t->number, t->world->next);
        t->world->next++;
        t->world->last = outcome;
        free(t);
}

static void commit(struct world *w, unsigned number, const char *name, const char *value, bool owned) {
        struct told_commit *t = malloc(sizeof(*t));
        char buf[64];
        struct store_change change = { 0, name, SPAN_NULL };

        if (value) {
                snprintf(buf, sizeof(buf), "%s", value);
                change.value = span_of_string(buf);
        }
        *t = (struct told_commit){ w, number };
        assert_int_equal(store_commit(w->store, &change, 1, owned, on_done, t), 0);
        memset(buf, 0, sizeof(buf)); /* it was copied */
}

static int commit_lazy(struct world *w, const char *name, const char *value) {
        const struct store_change change = { 0, name, span_of_string(value) };

        return store_commit_lazy(w->store, &change, 1);
}

static void assert_row(const char *name, const char *wanted) {
        struct store *s = open_good();
        uint8_t *value = NULL;
        size_t n = 0;
        int r = store_get(s, 0, name, &value, &n);

        assert_int_equal(r, wanted ? 0 : STORE_E_NONE);
        if (wanted && !span_equal_string(span_of(value, n), wanted))
                fail_msg("%s: %.*s", name, (int)n, (char *)value);
        free(value);
        store_close(s);
}

static void test_commits_in_their_order(void **state) {
        struct world w;
        char value[16];

        world_open(&w);
        for (unsigned i = 0; i < 50; i++) {
                snprintf(value, sizeof(value), "%u", i);
                commit(&w, i, "doxm", value, i % 2);
                if (i % 10 == 9)
                        uv_run(&w.loop, UV_RUN_NOWAIT);
        }
        uv_run(&w.loop, UV_RUN_DEFAULT); /* returns when all are told */
        assert_int_equal(w.next, 50);
        assert_int_equal(w.last, 0);
        assert_true(store_is_owned(w.store));
        world_close(&w);
        assert_row("doxm", "49");
}

static void test_closing_waits_for_what_was_asked(void **state) {
        struct world w;
        char value[16];

        world_open(&w);
        for (unsigned i = 0; i < 20; i++) {
                snprintf(value, sizeof(value), "%u", i);
                commit(&w, i, "doxm", value, false);
        }
        world_close(&w);
        assert_int_equal(w.next, 20);
        assert_row("doxm", "19");
}

static void commit_again(void *context, int outcome) {
        struct world *w = context;
        const struct store_change change = { 0, "late", SPAN_LITERAL("x") };

        w->next++;
        assert_int_equal(store_commit(w->store, &change, 1, true, NULL, NULL), -ESHUTDOWN);
        assert_int_equal(store_commit_lazy(w->store, &change, 1), -ESHUTDOWN);
}

static void test_nothing_is_taken_while_it_closes(void **state) {
        const struct store_change change = { 0, "doxm", SPAN_LITERAL("x") };
        struct world w;

        world_open(&w);
        assert_int_equal(store_commit(w.store, &change, 1, true, commit_again, &w), 0);
        world_close(&w);
        assert_int_equal(w.next, 1);
        assert_row("doxm", "x");
        assert_row("late", NULL);
}

static void test_what_is_for_the_start_only(void **state) {
        struct world w;
        struct uuid id = { { 1 } };
        const struct store_device d = device_of(1);
        uint8_t *value;
        size_t n;

        world_open(&w);
        assert_int_equal(store_get(w.store, 0, "doxm", &value, &n), -EBUSY);
        assert_int_equal(store_get_platform(w.store, &id), -EBUSY);
        assert_int_equal(store_put_platform(w.store, &id), -EBUSY);
        assert_int_equal(store_put_device(w.store, 0, &d), -EBUSY);
        assert_int_equal(store_start(w.store, &w.loop), -EBUSY);
        world_close(&w);
}

/* An identity changes with the rows of a reset, as one. */
static void test_an_identity_in_a_commit(void **state) {
        struct store_device d = device_of(7), got;
        uint8_t buf[STORE_DEVICE_SIZE];
        const struct store_change changes[] = {
                { 3, "device", store_write_device(&d, buf) },
                { 3, "doxm", SPAN_LITERAL("reset") },
        };
        struct world w;
        struct store *s;

        world_open(&w);
        assert_int_equal(store_commit(w.store, changes, 2, false, NULL, NULL), 0);
        world_close(&w);
        s = open_good();
        assert_int_equal(store_get_device(s, 3, &got), 0);
        assert_memory_equal(&got, &d, sizeof(d));
        store_close(s);
}

/* ---- what strangers cause ---- */

static void read_mark(uint8_t mark[88]) {
        assert_int_equal(read_file("ocfd.mark", mark, 88), 88);
}

static void run_for(struct world *w, unsigned ms) {
        uint64_t end_ms = clock_now_ms() + ms;

        while (clock_now_ms() < end_ms) {
                uv_run(&w->loop, UV_RUN_NOWAIT);
                usleep(5000);
        }
}

static void test_no_stranger_causes_a_sync(void **state) {
        uint8_t before[88], after[88];
        struct world w;

        world_open(&w);
        read_mark(before);
        for (unsigned i = 0; i < 1000; i++)
                assert_int_equal(commit_lazy(&w, i % 2 ? "ael" : "ael2", i < 998 ? "earlier" : "latest"), 0);
        run_for(&w, 200);
        read_mark(after);
        assert_memory_equal(before, after, sizeof(before));
        run_for(&w, STORE_LAZY_DELAY_MS + 300);
        read_mark(after);
        before[51]++; /* the lowest byte of the generation: one transaction for a thousand */
        assert_memory_equal(before, after, 56);
        world_close(&w);
        assert_row("ael", "latest");
        assert_row("ael2", "latest");
}

static void test_lazy_rows_go_with_the_next_commit(void **state) {
        uint8_t before[88], after[88];
        struct world w;

        world_open(&w);
        read_mark(before);
        commit_lazy(&w, "ael", "of a stranger");
        commit(&w, 0, "doxm", "real", true);
        uv_run(&w.loop, UV_RUN_DEFAULT);
        read_mark(after);
        before[51]++;
        before[55] = 1; /* owned */
        assert_memory_equal(before, after, 56);
        world_close(&w);
        read_mark(before);
        assert_memory_equal(before, after, sizeof(before)); /* nothing was left for the end */
        assert_row("ael", "of a stranger");
        assert_row("doxm", "real");
}

static void test_the_later_one_counts(void **state) {
        struct world w;

        world_open(&w);
        commit_lazy(&w, "ael", "first");
        commit(&w, 0, "ael", NULL, false); /* a reset does away with it */
        commit_lazy(&w, "ael2", "first");
        commit(&w, 1, "ael2", "second", false);
        commit_lazy(&w, "ael3", "first");
        commit(&w, 2, "ael3", "second", false);
        commit_lazy(&w, "ael3", "third");
        world_close(&w); /* what is lazy is written at the end */
        assert_row("ael", NULL);
        assert_row("ael2", "second");
        assert_row("ael3", "third");
}

/* ---- what goes wrong ---- */

static void test_a_sealed_store_refuses(void **state) {
        const struct store_change change = { 0, "doxm", SPAN_LITERAL("x") };
        struct world w = { .thread = uv_thread_self() };

        make_owned();
        assert_int_equal(unlink(in_scratch("ocfd.mark")), 0);
        assert_int_equal(uv_loop_init(&w.loop), 0);
        assert_int_equal(open_at(&w.store, scratch), 0);
        assert_int_equal(store_start(w.store, &w.loop), 0);
        assert_int_equal(store_commit(w.store, &change, 1, false, on_done, NULL), -EROFS);
        assert_int_equal(commit_lazy(&w, "ael", "x"), -EROFS);
        world_close(&w);
        assert_sealed("still", "mark");
}

/* A directory in the way of the new mark: nothing is changed, and said; and once it is away all goes on. */
static void test_a_commit_that_fails(void **state) {
        struct world w;

        make_owned();
        world_open(&w);
        assert_int_equal(mkdir(in_scratch("ocfd.mark.new"), 0700), 0);
        commit_lazy(&w, "ael9", "audit");
        commit(&w, 0, "doxm", "x", false);
        uv_run(&w.loop, UV_RUN_DEFAULT);
        assert_int_equal(w.last, -EISDIR);
        assert_true(store_is_owned(w.store));
        assert_int_equal(rmdir(in_scratch("ocfd.mark.new")), 0);
        commit(&w, 1, "sp", "y", true);
        uv_run(&w.loop, UV_RUN_DEFAULT);
        assert_int_equal(w.last, 0);
        world_close(&w);
        assert_row("sp", "y");
        assert_row("ael9", "audit"); /* it waited */
}

/* How long a commit takes here; printed, since it is the disk's. */
static void test_the_time_of_a_commit(void **state) {
        struct world w;
        uint64_t begin_us, one_us;
        static char big[1500];

        world_open(&w);
        memset(big, 'x', sizeof(big));
        begin_us = clock_us(CLOCK_MONOTONIC);
        for (unsigned i = 0; i < 200; i++) {
                const struct store_change change = { 0, "cred", span_of(big, sizeof(big)) };

                assert_int_equal(store_commit(w.store, &change, 1, true, NULL, NULL), 0);
        }
        one_us = (clock_us(CLOCK_MONOTONIC) - begin_us) / 200;
        uv_run(&w.loop, UV_RUN_DEFAULT);
        print_message("a commit of 1.5 KB: %llu us on the loop, %llu us until durable\n",
                      (unsigned long long)one_us,
                      (unsigned long long)(clock_us(CLOCK_MONOTONIC) - begin_us) / 200);
        world_close(&w);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, scratch_open, scratch_close)
        const struct CMUnitTest tests[] = {
                TEST(test_commits_in_their_order),
                TEST(test_closing_waits_for_what_was_asked),
                TEST(test_nothing_is_taken_while_it_closes),
                TEST(test_what_is_for_the_start_only),
                TEST(test_an_identity_in_a_commit),
                TEST(test_no_stranger_causes_a_sync),
                TEST(test_lazy_rows_go_with_the_next_commit),
                TEST(test_the_later_one_counts),
                TEST(test_a_sealed_store_refuses),
                TEST(test_a_commit_that_fails),
                TEST(test_the_time_of_a_commit),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
