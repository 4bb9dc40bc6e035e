#include "../unit.h"
#include "base/memory.h"

static void test_copies(void **state) {
        uint8_t *b = ocf_duplicate(SPAN_LITERAL("a\0b"));
        char *s = ocf_duplicate_span_as_string(SPAN_LITERAL("abc"));

        assert_memory_equal(b, "a\0b", 3);
        assert_string_equal(s, "abc");
        assert_null(ocf_duplicate_string(NULL));
        assert_null(ocf_free(b));
        assert_null(ocf_free(s));
        b = ocf_duplicate(SPAN_NULL);
        assert_non_null(b); /* NULL means: no memory */
        ocf_free(b);
}

static void test_grow_zeroes_what_is_new_and_refuses_to_overflow(void **state) {
        void *p = NULL;

        assert_true(ocf_grow(&p, 0, 2, 8));
        assert_memory_equal(p, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16);
        memset(p, 7, 16);
        assert_true(ocf_grow(&p, 2, 3, 8));
        assert_memory_equal(p, "\7\7\7\7\7\7\7\7\7\7\7\7\7\7\7\7\0\0\0\0\0\0\0\0", 24);
        assert_false(ocf_grow(&p, 3, SIZE_MAX / 2, 8));
        assert_memory_equal(p, "\7\7\7\7", 4);
        ocf_free(p);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_copies),
                cmocka_unit_test(test_grow_zeroes_what_is_new_and_refuses_to_overflow),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
