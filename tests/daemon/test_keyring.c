#include "store_world.h"

#include "base/memory.h"
#include "daemon/keyring.h"

#include <errno.h>

static int fail_with; /* what the next commit says; 0: as the store has it */

int __real_store_commit(struct store *s, const struct store_change *changes, size_t n, bool owned,
                        store_done *done, void *context);
int __wrap_store_commit(struct store *s, const struct store_change *changes, size_t n, bool owned,
                        store_done *done, void *context);
int __wrap_store_commit(struct store *s, const struct store_change *changes, size_t n, bool owned,
                        store_done *done, void *context) {
        int r = fail_with;

        fail_with = 0;
        if (r > 0) { /* taken, and then the disk failed */
                done(context, -r);
                return 0;
        }
        return r ? r : __real_store_commit(s, changes, n, owned, done, context);
}

static void note_outcome(void *context, int outcome) {
        *(int *)context = outcome;
}

static struct uuid number(unsigned i) {
        return (struct uuid){ { 0xde, (uint8_t)(i >> 8), (uint8_t)i } };
}

static const uint8_t *key_of(unsigned i) {
        static uint8_t key[KEY_PSK];

        memset(key, (int)(i & 0xff), sizeof(key));
        key[0] = (uint8_t)(i >> 8);
        return key;
}

static bool has_key(const struct keyring *k, unsigned i, unsigned as) {
        struct uuid id = number(i);

        return span_equal(keyring_key(k, &id), span_of(key_of(as), KEY_PSK));
}

static struct keyring *reopen(struct store **s, struct keyring *k, int expected) {
        keyring_free(k);
        k = NULL;
        store_close(*s);
        *s = open_good();
        assert_int_equal(keyring_load(&k, *s), expected);
        return k;
}

static struct keyring *made(struct store **s) {
        struct keyring *k = NULL;

        *s = open_good();
        assert_int_equal(keyring_load(&k, *s), STORE_E_NONE);
        assert_false(keyring_exists(k));
        assert_int_equal(keyring_make(k, SPAN_LITERAL("authority"), NULL, NULL), 0);
        return k;
}

static void test_what_is_put_is_there_again(void **state) {
        struct store *s;
        struct keyring *k = made(&s);
        const struct uuid *ids;
        struct uuid id;
        int outcome = 7;

        for (unsigned i = 0; i < 1000; i++) {
                id = number(i);
                assert_int_equal(keyring_put(k, &id, key_of(i), note_outcome, &outcome), 0);
                assert_int_equal(outcome, 0);
        }
        id = number(500);
        assert_int_equal(keyring_put(k, &id, key_of(3), NULL, NULL), 0); /* another key */
        id = number(0);
        assert_int_equal(keyring_remove(k, &id, note_outcome, &outcome), 0);
        assert_int_equal(keyring_add_anchor(k, SPAN_LITERAL("one"), NULL, NULL), 0);
        assert_int_equal(keyring_add_anchor(k, SPAN_LITERAL("two"), NULL, NULL), 0);
        k = reopen(&s, k, 0);
        assert_true(keyring_exists(k));
        assert_true(span_equal_string(keyring_authority(k), "authority"));
        assert_true(span_equal_string(keyring_anchors(k), "one\ntwo\n"));
        assert_int_equal(keyring_devices(k, &ids), 999);
        assert_false(keyring_has(k, &id));
        assert_int_equal(keyring_key(k, &id).n, 0);
        for (unsigned i = 1; i < 1000; i++)
                assert_true(has_key(k, i, i == 500 ? 3 : i));
        assert_int_equal(keyring_make(k, SPAN_LITERAL("another"), NULL, NULL), -EALREADY);
        keyring_free(k);
        store_close(s);
}

/* One that owns nothing yet was not finished, and is made anew. */
static void test_making_it_twice(void **state) {
        struct store *s;
        struct keyring *k = made(&s);
        static const uint8_t long_one[KEYRING_AUTHORITY_MAX + 1];

        assert_int_equal(keyring_make(k, span_of(long_one, sizeof(long_one)), NULL, NULL), -EINVAL);
        assert_int_equal(keyring_make(k, SPAN_LITERAL("second"), NULL, NULL), 0);
        k = reopen(&s, k, 0);
        assert_true(span_equal_string(keyring_authority(k), "second"));
        keyring_free(k);
        store_close(s);
}

static void test_what_could_not_be_stored_is_taken_back(void **state) {
        struct store *s;
        struct keyring *k = made(&s);
        struct uuid id = number(1), other = number(2);
        const struct uuid *ids;
        int outcome = 7;

        assert_int_equal(keyring_put(k, &id, key_of(1), NULL, NULL), 0);
        fail_with = -ENOSPC;
        assert_int_equal(keyring_put(k, &other, key_of(2), NULL, NULL), -ENOSPC);
        assert_false(keyring_has(k, &other));
        fail_with = -ENOSPC;
        assert_int_equal(keyring_put(k, &id, key_of(2), NULL, NULL), -ENOSPC);
        assert_true(has_key(k, 1, 1));
        fail_with = -EROFS;
        assert_int_equal(keyring_remove(k, &id, NULL, NULL), -EROFS);
        assert_true(has_key(k, 1, 1));
        fail_with = -EROFS;
        assert_int_equal(keyring_add_anchor(k, SPAN_LITERAL("one"), NULL, NULL), -EROFS);
        assert_int_equal(keyring_anchors(k).n, 0);
        fail_with = EIO;
        assert_int_equal(keyring_put(k, &other, key_of(2), note_outcome, &outcome), 0);
        assert_int_equal(outcome, -EIO);
        assert_int_equal(keyring_devices(k, &ids), 1);
        keyring_free(k);
        store_close(s);
}

static void test_limits(void **state) {
        static uint8_t much[KEYRING_ANCHORS_MAX];
        struct store *s;
        struct keyring *k = made(&s);
        int outcome = 7;
        struct uuid id = number(77);

        assert_int_equal(keyring_add_anchor(k, span_of(much, sizeof(much)), NULL, NULL), -ENOSPC);
        assert_int_equal(keyring_remove(k, &id, note_outcome, &outcome), 0); /* there is none: that is done */
        assert_int_equal(outcome, 0);
        keyring_free(k);
        store_close(s);
}

/* Whatever is in the row: it is read, or it is damaged. */
static void test_a_row_that_is_none(void **state) {
        uint8_t row[64] = { 0, 0, 0, 1, 0, 0, 0, 1, 'a', 0, 0, 0, 0, 0, 0, 0, 1, [17 + 32] = 0 };
        struct store *s = open_good();
        struct keyring *k = NULL;

        for (size_t n = 0; n < sizeof(row); n++) {
                const struct store_change change = { STORE_TOOL, "tool", span_of(row, n) };
                int r;

                assert_int_equal(__real_store_commit(s, &change, 1, true, NULL, NULL), 0);
                r = keyring_load(&k, s);
                assert_int_equal(r, n == 17 + 32 ? 0 : STORE_E_DAMAGED);
                k = keyring_free(k);
        }
        store_close(s);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, scratch_open, scratch_close)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_what_is_put_is_there_again),
                TEST(test_making_it_twice),
                TEST(test_what_could_not_be_stored_is_taken_back),
                TEST(test_limits),
                TEST(test_a_row_that_is_none),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
