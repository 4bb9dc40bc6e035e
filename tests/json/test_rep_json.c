#include "../unit.h"
#include "json/rep_json.h"
#include "protocol/rep.h"

static void to_json(struct span rep, const char *expected) {
        char buf[512];
        struct writer w = writer_on(buf, sizeof(buf) - 1);

        assert_int_equal(rep_to_json_text(rep, &w), 0);
        buf[w.n] = 0;
        assert_string_equal(buf, expected);
}

static void test_out(void **state) {
        to_json(SPAN_LITERAL("\xa2\x61"
                             "a\x01\x61"
                             "b\x82\xf5\xf6"),
                "{\"a\":1,\"b\":[true,null]}");
        to_json(SPAN_LITERAL("\x20"), "-1");
        to_json(SPAN_LITERAL("\xfb\x40\x35\x80\0\0\0\0\0"), "21.5");
        to_json(SPAN_LITERAL("\xfb\x7f\xf8\0\0\0\0\0\0"), "null"); /* NaN */
        to_json(SPAN_LITERAL("\x44\x01\x02\x03\x04"), "\"AQIDBA\"");
        to_json(SPAN_LITERAL("\x43\xfb\xff\xfe"), "\"-__-\""); /* base64url */
        to_json(SPAN_LITERAL("\x40"), "\"\"");
        to_json(SPAN_LITERAL("\x62\"\\"), "\"\\\"\\\\\""); /* what the reference forgets to escape */
        to_json(SPAN_LITERAL("\xc1\x05"), "5");
        to_json(SPAN_LITERAL("\xa1\x05\x06"), "{\"5\":6}");
        to_json(SPAN_LITERAL("\xa3\x05\x06\x61"
                             "5\x07\x62"
                             "5'\x08"),
                "{\"5\":6,\"5'\":7,\"5''\":8}"); /* no key takes the place of another */
        to_json(SPAN_LITERAL("\xa2\x63"
                             "a\0b\x01\x63"
                             "a\0c\x02"),
                "{\"a\\u0000b\":1,\"a\\u0000c\":2}");
        to_json(SPAN_LITERAL("\xf7"), "null");
        to_json(SPAN_LITERAL("\x1b\xff\xff\xff\xff\xff\xff\xff\xff"), "1.8446744073709552e19");
}

static void test_no_room(void **state) {
        char buf[4];
        struct writer w = writer_on(buf, sizeof(buf));

        assert_int_equal(rep_to_json_text(SPAN_LITERAL("\x65"
                                                       "hello"),
                                          &w),
                         REP_JSON_E_NO_ROOM);
        w = writer_on(buf, 2);
        assert_int_equal(rep_from_json_text(SPAN_LITERAL("\"hello\""), &w), REP_JSON_E_NO_ROOM);
}

static void from_json(const char *text, struct span expected) {
        uint8_t buf[256];
        struct writer w = writer_on(buf, sizeof(buf));

        assert_int_equal(rep_from_json_text(span_of_string(text), &w), 0);
        assert_true(span_equal(writer_span(&w), expected));
}

static void test_in(void **state) {
        from_json("{\"a\":1,\"b\":[true,null]}", SPAN_LITERAL("\xa2\x61"
                                                              "a\x01\x61"
                                                              "b\x82\xf5\xf6"));
        from_json("21.0", SPAN_LITERAL("\xfb\x40\x35\0\0\0\0\0\0"));
        from_json(" -1 ", SPAN_LITERAL("\x20"));
        from_json("\"\\u0000\"", SPAN_LITERAL("\x61\0"));
        from_json("\"\\u00e4\"", SPAN_LITERAL("\x62\xc3\xa4"));
}

static void test_refusals(void **state) {
        static const char *const bad[] = { "",    "{",        "{\"a\":}", "[1,]", "nul", "{\"a\":1,\"a\":2}",
                                           "1 2", "\"\xff\"", "'a'" };
        uint8_t buf[1024];
        char deep[64];
        struct writer w;

        for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
                w = writer_on(buf, sizeof(buf));
                if (rep_from_json_text(span_of_string(bad[i]), &w) != REP_JSON_E_SYNTAX)
                        fail_msg("%s was taken", bad[i]);
        }
        memset(deep, '[', 17);
        memset(deep + 17, ']', 17);
        w = writer_on(buf, sizeof(buf));
        assert_int_equal(rep_from_json_text(span_of(deep, 34), &w), REP_JSON_E_TOO_DEEP);
        w = writer_on(buf, sizeof(buf));
        assert_int_equal(rep_from_json_text(span_of(deep + 1, 32), &w), 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_out),
                cmocka_unit_test(test_no_room),
                cmocka_unit_test(test_in),
                cmocka_unit_test(test_refusals),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
