#include "../unit.h"
#include "model/link_format.h"

static struct span next(struct span *links, struct span *ret_params) {
        struct span target = SPAN_NULL;

        assert_int_equal(link_next(links, &target, ret_params), 0);
        return target;
}

static void expect_param(struct span *params, const char *name, const char *value, bool is_quoted) {
        struct link_param p;

        assert_true(link_param_next(params, &p));
        assert_true(span_equal_string(p.name, name));
        assert_true(span_equal_string(p.value, value));
        assert_int_equal(p.is_quoted, is_quoted);
}

/* RFC 6690, 5: "describedby" and "alternate" */
static void test_the_examples_of_the_rfc(void **state) {
        struct span links = SPAN_LITERAL("</sensors>;ct=40;title=\"Sensor Index\","
                                         "</sensors/temp>;rt=\"temperature-c\";if=\"sensor\","
                                         "<http://www.example.com/sensors/t123>;anchor=\"/sensors/temp\""
                                         ";rel=\"describedby\","
                                         "</firmware/v2.1>;rt=\"firmware\";sz=262144");
        struct span params;

        assert_true(span_equal_string(next(&links, &params), "/sensors"));
        expect_param(&params, "ct", "40", false);
        expect_param(&params, "title", "Sensor Index", true);
        assert_false(link_param_next(&params, &(struct link_param){ 0 }));
        assert_true(span_equal_string(next(&links, &params), "/sensors/temp"));
        assert_true(span_equal_string(next(&links, &params), "http://www.example.com/sensors/t123"));
        expect_param(&params, "anchor", "/sensors/temp", true);
        expect_param(&params, "rel", "describedby", true);
        assert_true(span_equal_string(next(&links, &params), "/firmware/v2.1"));
        expect_param(&params, "rt", "firmware", true);
        expect_param(&params, "sz", "262144", false);
        assert_int_equal(link_next(&links, &params, &params), LINK_E_END);
}

static void test_what_is_no_list_of_links(void **state) {
        static const char *const bad[] = {
                "/a",
                "<",
                "</a",
                "</a>x",
                "</a>,",
                "</a> ,</b>",
                "</a>;",
                "</a>;=x",
                "</a>;rt=",
                "</a>;rt=\"x",
                "</a>;rt=\"\\",
                "</a>;rt=x\"y\"",
                "</a>;r t=x",
                "</a b>",
                "</\xc3>",
                "</a>;n=\"\n\"",
                "</a>;n=\"\\\xc3\"",
                "</a>;;obs",
                ",</a>",
                "</a>;rt=,</b>",
        };
        struct span target, params, links;

        for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
                links = span_of_string(bad[i]);
                if (link_next(&links, &target, &params) != LINK_E_MALFORMED)
                        fail_msg("%s was taken for links", bad[i]);
                assert_true(span_equal_string(links, bad[i])); /* and left where it was */
        }
}

static void test_written_links(void **state) {
        uint8_t text[256];
        struct writer w = writer_on(text, sizeof(text));

        link_begin(&w, "/sensors");
        link_put_number(&w, "ct", 40);
        link_put_quoted(&w, "title", "Sensor Index");
        link_begin(&w, "/sensors/temp");
        link_begin_words(&w, "rt");
        link_put_word(&w, "a\"");
        link_put_word(&w, "b");
        link_end_words(&w);
        link_put_flag(&w, "obs");
        assert_true(span_equal_string(writer_span(&w), "</sensors>;ct=40;title=\"Sensor Index\","
                                                       "</sensors/temp>;rt=\"a\\\" b\";obs"));
        assert_false(w.overflow);
        w = writer_on(text, 4);
        link_begin(&w, "/sensors");
        assert_true(w.overflow);
}

/* What people call their things: quotes, backslashes, line ends, other alphabets. */
static void test_any_text_comes_back(void **state) {
        static const char *const texts[] = { "",         "\"",           "\\",
                                             "a\\\"b\\", "\n\t\x7f\x01", "K\xc3\xbc\x63he \xe2\x98\x83",
                                             "a,b;c=<d>" };
        uint8_t text[256], back[64];
        struct span links, params;
        struct link_param p;

        for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
                struct writer w = writer_on(text, sizeof(text)), out = writer_on(back, sizeof(back));

                link_begin(&w, "/a");
                link_put_quoted(&w, "title", texts[i]);
                link_begin(&w, "/b");
                links = writer_span(&w);
                assert_true(span_equal_string(next(&links, &params), "/a"));
                assert_true(link_param_next(&params, &p));
                link_unquote(p.value, &out);
                assert_true(span_equal_string(writer_span(&out), texts[i]));
                assert_true(span_equal_string(next(&links, &params), "/b"));
        }
}

static void test_paths_are_encoded(void **state) {
        uint8_t text[64];
        struct writer w = writer_on(text, sizeof(text));

        link_put_path(&w, "/a b/\xc3\xbc/\"<>/x;y=1,2/~");
        assert_true(span_equal_string(writer_span(&w), "/a%20b/%C3%BC/%22%3C%3E/x;y=1,2/~"));
}

/* RFC 6690, 4.1 */
static void test_patterns(void **state) {
        assert_true(link_matches(SPAN_LITERAL("light-lux"), SPAN_LITERAL("light-lux")));
        assert_false(link_matches(SPAN_LITERAL("light-lux"), SPAN_LITERAL("light")));
        assert_false(link_matches(SPAN_LITERAL("light"), SPAN_LITERAL("light-lux")));
        assert_true(link_matches(SPAN_LITERAL("/sensors/temp"), SPAN_LITERAL("/sensors*")));
        assert_true(link_matches(SPAN_LITERAL("/sensors"), SPAN_LITERAL("/sensors*")));
        assert_false(link_matches(SPAN_LITERAL("/sensor"), SPAN_LITERAL("/sensors*")));
        assert_true(link_matches(SPAN_LITERAL("x"), SPAN_LITERAL("*")));
        assert_true(link_matches(SPAN_NULL, SPAN_LITERAL("*")));
        assert_true(link_matches(SPAN_NULL, SPAN_NULL));
        assert_false(link_matches(SPAN_LITERAL("ab"), SPAN_LITERAL("*b")));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_the_examples_of_the_rfc),
                cmocka_unit_test(test_what_is_no_list_of_links),
                cmocka_unit_test(test_written_links),
                cmocka_unit_test(test_any_text_comes_back),
                cmocka_unit_test(test_paths_are_encoded),
                cmocka_unit_test(test_patterns),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
