#include "../unit.h"
#include "base/utf8.h"

static void test_rows(void **state) {
        static const struct {
                struct span text;
                bool any, bus;
        } rows[] = {
                { { (const uint8_t *)"", 0 }, true, true },
                { { (const uint8_t *)"lamp", 4 }, true, true },
                { { (const uint8_t *)"a\0b", 3 }, true, false },
                { { (const uint8_t *)"\xc3\xa4", 2 }, true, true },
                { { (const uint8_t *)"\xe2\x82\xac", 3 }, true, true },
                { { (const uint8_t *)"\xf0\x9f\x92\xa1", 4 }, true, true },
                { { (const uint8_t *)"\xef\xbf\xbf", 3 }, true, false },      /* U+FFFF */
                { { (const uint8_t *)"\xef\xb7\x90", 3 }, true, false },      /* U+FDD0 */
                { { (const uint8_t *)"\xef\xbf\xbd", 3 }, true, true },       /* U+FFFD */
                { { (const uint8_t *)"\xc0\x80", 2 }, false, false },         /* overlong NUL */
                { { (const uint8_t *)"\xe0\x80\x80", 3 }, false, false },     /* overlong */
                { { (const uint8_t *)"\xed\xa0\x80", 3 }, false, false },     /* surrogate */
                { { (const uint8_t *)"\xf4\x90\x80\x80", 4 }, false, false }, /* above U+10FFFF */
                { { (const uint8_t *)"\xf8\x88\x80\x80\x80", 5 }, false, false },
                { { (const uint8_t *)"\x80", 1 }, false, false },
                { { (const uint8_t *)"\xc3", 1 }, false, false },
                { { (const uint8_t *)"\xe2\x82", 2 }, false, false },
                { { (const uint8_t *)"\xe2\x28\xa1", 3 }, false, false },
                { { (const uint8_t *)"\xff", 1 }, false, false },
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                assert_int_equal(utf8_is_valid(rows[i].text, UTF8_ANY), rows[i].any);
                assert_int_equal(utf8_is_valid(rows[i].text, UTF8_BUS), rows[i].bus);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = { cmocka_unit_test(test_rows) };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
