#include "../unit.h"
#include "protocol/coap_message.h"

static int parse(const char *bytes, size_t n, struct coap_message *m) {
        return coap_message_parse(m, span_of(bytes, n));
}

#define PARSE(literal, m) parse(literal, sizeof(literal) - 1, (m))

/* RFC 7252, figure 16: GET coap://server/temperature, MID 0x7d34 */
static void test_rfc7252_figure_16(void **state) {
        struct coap_message m;
        struct coap_option_reader r;
        struct coap_option o;

        assert_int_equal(PARSE("\x40\x01\x7d\x34\xbb"
                               "temperature",
                               &m),
                         0);
        assert_int_equal(m.type, COAP_CON);
        assert_int_equal(m.code, COAP_GET);
        assert_int_equal(m.mid, 0x7d34);
        assert_int_equal(m.n_token, 0);
        r = coap_option_begin(&m);
        assert_true(coap_option_next(&r, &o));
        assert_int_equal(o.number, COAP_OPTION_URI_PATH);
        assert_true(span_equal_string(o.value, "temperature"));
        assert_false(coap_option_next(&r, &o));
        assert_null(m.payload.data);
}

/* wire-traces.md 1: what the reference's onboarding tool sends to discover */
static void test_reference_discovery(void **state) {
        struct coap_message m;
        struct coap_option_reader r;
        struct coap_option o;
        uint16_t numbers[8];
        size_t n = 0;

        assert_int_equal(PARSE("\x58\x01\x6b\x06"
                               "12345678"
                               "\xb3oic\x03sec\x04"
                               "doxm\x4bowned=FALSE\x22\x27\x10\xe2\x06\xe3\x08\x00",
                               &m),
                         0);
        for (r = coap_option_begin(&m); coap_option_next(&r, &o);)
                numbers[n++] = o.number;
        assert_int_equal(n, 6);
        assert_int_equal(numbers[3], COAP_OPTION_URI_QUERY);
        assert_int_equal(numbers[4], COAP_OPTION_ACCEPT);
        assert_int_equal(numbers[5], COAP_OPTION_OCF_ACCEPT_VERSION);
}

static void test_refusals(void **state) {
        static const struct {
                const char *who;
                struct span bytes;
                int outcome;
        } rows[] = {
#define ROW(who, literal, outcome) { who, { (const uint8_t *)literal, sizeof(literal) - 1 }, outcome }
                ROW("nothing", "", COAP_MESSAGE_E_SHORT),
                ROW("three bytes", "\x40\x01\x7d", COAP_MESSAGE_E_SHORT),
                ROW("version 0", "\x00\x01\x00\x01", COAP_MESSAGE_E_VERSION),
                ROW("version 2", "\x80\x01\x00\x01", COAP_MESSAGE_E_VERSION),
                ROW("token length 9",
                    "\x49\x01\x00\x01"
                    "123456789",
                    COAP_MESSAGE_E_TOKEN),
                ROW("token length 13 without extension", "\x4d\x01\x00\x01", COAP_MESSAGE_E_TOKEN),
                ROW("token length 15", "\x4f\x01\x00\x01", COAP_MESSAGE_E_TOKEN),
                ROW("token cut off",
                    "\x44\x01\x00\x01"
                    "abc",
                    COAP_MESSAGE_E_TOKEN),
                ROW("libcoap#214", "\x5a\x0a\x5b\x5b", COAP_MESSAGE_E_TOKEN),
                ROW("empty with token", "\x41\x00\x00\x01x", COAP_MESSAGE_E_EMPTY),
                ROW("empty with options", "\x40\x00\x00\x01\xb1x", COAP_MESSAGE_E_EMPTY),
                ROW("delta nibble 15", "\x40\x01\x00\x01\xf0", COAP_MESSAGE_E_OPTION),
                ROW("length nibble 15", "\x40\x01\x00\x01\xbf", COAP_MESSAGE_E_OPTION),
                ROW("delta 13 without its byte", "\x40\x01\x00\x01\xd0", COAP_MESSAGE_E_OPTION),
                ROW("delta 14 with one byte", "\x40\x01\x00\x01\xe0\x01", COAP_MESSAGE_E_OPTION),
                ROW("length 13 without its byte", "\x40\x01\x00\x01\xbd", COAP_MESSAGE_E_OPTION),
                ROW("length past the end",
                    "\x40\x01\x00\x01\xb4"
                    "abc",
                    COAP_MESSAGE_E_OPTION),
                ROW("length 14 past the end",
                    "\x40\x01\x00\x01\xbe\xff\xff"
                    "abc",
                    COAP_MESSAGE_E_OPTION),
                ROW("numbers wrap back to Uri-Path (CVE-2020-12887)",
                    "\x40\x01\x00\x01\xe0\xff\xff\xe0\xfd\xf8", COAP_MESSAGE_E_NUMBER),
                ROW("marker without payload", "\x40\x01\x00\x01\xff", COAP_MESSAGE_E_PAYLOAD),
                ROW("option and marker without payload", "\x40\x01\x00\x01\xb1x\xff", COAP_MESSAGE_E_PAYLOAD),
#undef ROW
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct coap_message m = { 0 };

                if (coap_message_parse(&m, rows[i].bytes) != rows[i].outcome)
                        fail_msg("%s: %d", rows[i].who, coap_message_parse(&m, rows[i].bytes));
                if (rows[i].outcome >= COAP_MESSAGE_E_TOKEN)
                        assert_int_equal(m.mid, rows[i].bytes.data[2] << 8 | rows[i].bytes.data[3]);
        }
}

/* Bytes past the end would be seen by the address sanitizer: the message lies at the very end of its memory.
 */
static void test_every_truncation_is_safe(void **state) {
        static const char whole[] = "\x58\x02\x6b\x10"
                                    "12345678"
                                    "\xb3oic\x03sec\x04"
                                    "doxm\x12\x27\x10\x52\x27\x10\xe2\x06\xe3\x08\x00\x42\x08\x00\xff\xbf\x66"
                                    "oxmsel\x00\xff";
        struct coap_message m;

        for (size_t n = 0; n < sizeof(whole); n++) {
                uint8_t *copy = test_malloc(n ? n : 1);
                struct coap_option_reader r;
                struct coap_option o;

                memcpy(copy, whole, n);
                if (coap_message_parse(&m, span_of(copy, n)) == 0)
                        for (r = coap_option_begin(&m); coap_option_next(&r, &o);)
                                assert_true(o.value.data + o.value.n <= copy + n);
                test_free(copy);
        }
}

static void test_build_and_parse(void **state) {
        static const size_t lengths[] = { 0, 1, 12, 13, 268, 269, 700 };
        static const uint16_t numbers[] = { 1, 13, 14, 282, 283, 2049, 65535 };
        uint8_t buf[4096], value[1024] = { 1, 2, 3 };

        for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
                struct coap_builder b = coap_build(buf, sizeof(buf), COAP_NON, COAP_CONTENT, 0xabcd,
                                                   (const uint8_t *)"tok", 3);
                struct coap_option_reader r;
                struct coap_message m;
                struct coap_option o;

                for (size_t j = 0; j < ARRAY_SIZE(numbers); j++)
                        coap_build_option(&b, numbers[j], span_of(value, j == i ? lengths[i] : j));
                coap_build_payload(&b, SPAN_LITERAL("body"));
                assert_false(b.w.overflow);
                assert_int_equal(coap_message_parse(&m, writer_span(&b.w)), 0);
                r = coap_option_begin(&m);
                for (size_t j = 0; j < ARRAY_SIZE(numbers); j++) {
                        assert_true(coap_option_next(&r, &o));
                        assert_int_equal(o.number, numbers[j]);
                        assert_int_equal(o.value.n, j == i ? lengths[i] : j);
                }
                assert_true(span_equal_string(m.payload, "body"));
        }
}

static void test_uint_has_no_leading_zeros(void **state) {
        static const struct {
                uint32_t v;
                size_t n;
        } rows[] = { { 0, 0 }, { 1, 1 }, { 255, 1 }, { 256, 2 }, { 65536, 3 }, { UINT32_MAX, 4 } };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                uint8_t buf[16];
                struct coap_builder b = coap_build(buf, sizeof(buf), COAP_CON, COAP_GET, 0, NULL, 0);
                uint32_t v = 7;

                coap_build_uint(&b, 6, rows[i].v);
                assert_int_equal(b.w.n, 5 + rows[i].n);
                assert_true(coap_option_uint(span_of(buf + 5, rows[i].n), 4, &v));
                assert_int_equal(v, rows[i].v);
        }
        assert_false(coap_option_uint(SPAN_LITERAL("12345"), 4, &(uint32_t){ 0 }));
}

static void test_a_small_buffer_is_remembered(void **state) {
        uint8_t buf[6];
        struct coap_builder b = coap_build(buf, sizeof(buf), COAP_CON, COAP_GET, 1, NULL, 0);

        coap_build_option(&b, 11, SPAN_LITERAL("light"));
        assert_true(b.w.overflow);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_rfc7252_figure_16),
                cmocka_unit_test(test_reference_discovery),
                cmocka_unit_test(test_refusals),
                cmocka_unit_test(test_every_truncation_is_safe),
                cmocka_unit_test(test_build_and_parse),
                cmocka_unit_test(test_uint_has_no_leading_zeros),
                cmocka_unit_test(test_a_small_buffer_is_remembered),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
