#include "../unit.h"
#include "base/uuid.h"

static void test_both_ways(void **state) {
        char text[UUID_TEXT_MAX];
        struct uuid u;

        assert_true(uuid_parse(&u, SPAN_LITERAL("CEBFB2E9-f50d-4256-5947-cf6a4e1c9950")));
        assert_memory_equal(u.bytes, "\xce\xbf\xb2\xe9\xf5\x0d\x42\x56\x59\x47\xcf\x6a\x4e\x1c\x99\x50", 16);
        assert_string_equal(uuid_format(&u, text), "cebfb2e9-f50d-4256-5947-cf6a4e1c9950");
        assert_false(uuid_is_nil(&u));
}

static void test_refusals_leave_the_result_alone(void **state) {
        static const char *const bad[] = {
                "",
                "cebfb2e9-f50d-4256-5947-cf6a4e1c995",
                "cebfb2e9-f50d-4256-5947-cf6a4e1c99500",
                "cebfb2e9xf50d-4256-5947-cf6a4e1c9950",
                "cebfb2e9-f50d-4256-5947-cf6a4e1c995g",
                "cebfb2e9f50d-4256-5947-cf6a4e1c99500-",
        };
        struct uuid u = { { 7 } };

        for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
                assert_false(uuid_parse(&u, span_of_string(bad[i])));
        assert_int_equal(u.bytes[0], 7);
}

static void test_random_has_its_version(void **state) {
        uint8_t random[16];
        struct uuid u;

        memset(random, 0xff, sizeof(random));
        uuid_from_random(&u, random);
        assert_int_equal(u.bytes[6] >> 4, 4);
        assert_int_equal(u.bytes[8] >> 6, 2);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_both_ways),
                cmocka_unit_test(test_refusals_leave_the_result_alone),
                cmocka_unit_test(test_random_has_its_version),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
