#include "../unit.h"
#include "base/span.h"

static void test_take(void **state) {
        struct span s = SPAN_LITERAL("\x01\x02\x03\x04\x05\x06\x07"), t;
        uint8_t a;
        uint16_t b;
        uint32_t c;

        assert_true(span_take_u8(&s, &a));
        assert_int_equal(a, 1);
        assert_true(span_take_u16(&s, &b));
        assert_int_equal(b, 0x0203);
        assert_true(span_take_u32(&s, &c));
        assert_int_equal(c, 0x04050607);
        assert_false(span_take_u8(&s, &a));
        assert_true(span_take(&s, 0, &t));
        assert_int_equal(t.n, 0);
}

static void test_take_more_than_there_is_takes_nothing(void **state) {
        struct span s = SPAN_LITERAL("abc"), t = SPAN_LITERAL("untouched");
        uint32_t v = 7;

        assert_false(span_take(&s, 4, &t));
        assert_true(span_equal_string(t, "untouched"));
        assert_false(span_take_u32(&s, &v));
        assert_int_equal(v, 7);
        assert_int_equal(s.n, 3);
        assert_false(span_take(&s, SIZE_MAX, &t));
}

static void test_split(void **state) {
        static const struct {
                const char *in;
                const char *parts[5];
        } rows[] = {
                { "a", { "a" } },    { "", { "" } },        { "a&b", { "a", "b" } },
                { "&", { "", "" } }, { "a&", { "a", "" } }, { "&&x", { "", "", "x" } },
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct span s = span_of_string(rows[i].in), part;
                size_t n = 0;

                while (span_split(&s, '&', &part)) {
                        assert_non_null(rows[i].parts[n]);
                        assert_true(span_equal_string(part, rows[i].parts[n]));
                        n++;
                }
                assert_null(rows[i].parts[n]);
        }
        assert_false(span_split(&SPAN_NULL, '&', &SPAN_NULL));
}

static void test_equal(void **state) {
        assert_true(span_equal(SPAN_NULL, SPAN_LITERAL("")));
        assert_false(span_equal_string(SPAN_LITERAL("ab"), "abc"));
        assert_true(span_equal_ignoring_case(SPAN_LITERAL("DI"), SPAN_LITERAL("di")));
        assert_false(span_equal_ignoring_case(SPAN_LITERAL("@"), SPAN_LITERAL("`")));
        assert_true(span_has_prefix(SPAN_LITERAL("/oic/res"), SPAN_LITERAL("/oic/")));
        assert_false(span_has_prefix(SPAN_LITERAL("/oi"), SPAN_LITERAL("/oic/")));
}

static void test_writer_remembers_what_did_not_fit(void **state) {
        uint8_t buf[4];
        struct writer w = writer_on(buf, sizeof(buf));

        assert_true(writer_put_u16(&w, 0x0102));
        assert_false(writer_put_u32(&w, 0));
        assert_true(w.overflow);
        assert_false(writer_put_u8(&w, 3)); /* a hole would be worse than nothing */
        assert_int_equal(writer_span(&w).n, 2);
        assert_memory_equal(buf, "\x01\x02", 2);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_take),
                cmocka_unit_test(test_take_more_than_there_is_takes_nothing),
                cmocka_unit_test(test_split),
                cmocka_unit_test(test_equal),
                cmocka_unit_test(test_writer_remembers_what_did_not_fit),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
