#include "../unit.h"
#include "protocol/rep.h"

#include <stdio.h>
#include <stdlib.h>

static size_t from_hex(const char *hex, uint8_t *ret) {
        size_t n = 0;

        for (; hex[0] && hex[1]; hex += 2) {
                unsigned v;

                assert_int_equal(sscanf(hex, "%2x", &v), 1);
                ret[n++] = (uint8_t)v;
        }
        return n;
}

/* Normalises a copy that ends where its memory ends; the outcome, and the normal form as hex. */
static int normal(const char *hex, char *ret_hex) {
        uint8_t bytes[4096], out[8192], *copy;
        size_t n = from_hex(hex, bytes);
        struct writer w = writer_on(out, sizeof(out));
        int r;

        copy = test_malloc(n ? n : 1);
        memcpy(copy, bytes, n);
        r = rep_normalise(span_of(copy, n), &w);
        test_free(copy);
        for (size_t i = 0; !r && i < w.n; i++)
                sprintf(ret_hex + 2 * i, "%02x", out[i]);
        return r;
}

/* RFC 8949, appendix A: what is there, and its normal form where that differs. */
static void test_appendix_a(void **state) {
        static const struct {
                const char *in, *normal;
        } rows[] = {
                { "00", NULL },
                { "01", NULL },
                { "0a", NULL },
                { "17", NULL },
                { "1818", NULL },
                { "1819", NULL },
                { "1864", NULL },
                { "1903e8", NULL },
                { "1a000f4240", NULL },
                { "1b000000e8d4a51000", NULL },
                { "1bffffffffffffffff", NULL },
                { "3bffffffffffffffff", NULL },
                { "20", NULL },
                { "29", NULL },
                { "3863", NULL },
                { "3903e7", NULL },
                { "c249010000000000000000", NULL },
                { "c349010000000000000000", NULL },
                { "f90000", "fb0000000000000000" },
                { "f98000", "fb8000000000000000" },
                { "f93c00", "fb3ff0000000000000" },
                { "fb3ff199999999999a", NULL },
                { "f93e00", "fb3ff8000000000000" },
                { "f97bff", "fb40effc0000000000" },
                { "fa47c35000", "fb40f86a0000000000" },
                { "fa7f7fffff", "fb47efffffe0000000" },
                { "fb7e37e43c8800759c", NULL },
                { "f90001", "fb3e70000000000000" },
                { "f90400", "fb3f10000000000000" },
                { "f9c400", "fbc010000000000000" },
                { "fbc010666666666666", NULL },
                { "f97c00", "fb7ff0000000000000" },
                { "f9fc00", "fbfff0000000000000" },
                { "fa7f800000", "fb7ff0000000000000" },
                { "f4", NULL },
                { "f5", NULL },
                { "f6", NULL },
                { "f7", NULL },
                { "f0", NULL },
                { "f8ff", NULL },
                { "c074323031332d30332d32315432303a30343a30305a", NULL },
                { "c11a514b67b0", NULL },
                { "d74401020304", NULL },
                { "d818456449455446", NULL },
                { "40", NULL },
                { "4401020304", NULL },
                { "60", NULL },
                { "6161", NULL },
                { "6449455446", NULL },
                { "62225c", NULL },
                { "62c3bc", NULL },
                { "63e6b0b4", NULL },
                { "64f0908591", NULL },
                { "80", NULL },
                { "83010203", NULL },
                { "8301820203820405", NULL },
                { "98190102030405060708090a0b0c0d0e0f101112131415161718181819", NULL },
                { "a0", NULL },
                { "a201020304", NULL },
                { "a26161016162820203", NULL },
                { "826161a161626163", NULL },
                { "a56161614161626142616361436164614461656145", NULL },
                { "5f42010243030405ff", "450102030405" },
                { "7f657374726561646d696e67ff", "6973747265616d696e67" },
                { "9fff", "80" },
                { "9f018202039f0405ffff", "8301820203820405" },
                { "9f01820203820405ff", "8301820203820405" },
                { "83018202039f0405ff", "8301820203820405" },
                { "83019f0203ff820405", "8301820203820405" },
                { "9f0102030405060708090a0b0c0d0e0f101112131415161718181819ff",
                  "98190102030405060708090a0b0c0d0e0f101112131415161718181819" },
                { "bf61610161629f0203ffff", "a26161016162820203" },
                { "826161bf61626163ff", "826161a161626163" },
                { "bf6346756ef563416d7421ff", "a26346756ef563416d7421" },
                { "d101", NULL },
                { "d81101", "d101" },
                { "c6d4f6", NULL }, /* unassigned tags: found by fuzzing */
                { "bfff", "a0" },
                { "1800", "00" },
                { "190001", "01" },
                { "9801f6", "81f6" }, /* longer than need be */
        };
        char hex[16384];

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                const char *expected = rows[i].normal ? rows[i].normal : rows[i].in;
                char again[16384];

                if (normal(rows[i].in, hex) != 0)
                        fail_msg("%s was refused", rows[i].in);
                assert_string_equal(hex, expected);
                assert_int_equal(normal(hex, again), 0);
                assert_string_equal(again, hex); /* a fixed point */
        }
}

static void test_refusals(void **state) {
        static const struct {
                const char *in;
                int outcome;
        } rows[] = {
                { "", REP_E_MALFORMED },
                { "18", REP_E_MALFORMED },
                { "1b0000", REP_E_MALFORMED },
                { "1c", REP_E_MALFORMED },
                { "ff", REP_E_MALFORMED },
                { "61", REP_E_MALFORMED },
                { "0000", REP_E_MALFORMED }, /* trailing bytes */
                { "81", REP_E_MALFORMED },
                { "a1", REP_E_MALFORMED },
                { "a101", REP_E_MALFORMED },
                { "9f", REP_E_MALFORMED },
                { "bf", REP_E_MALFORMED },
                { "bf01ff", REP_E_MALFORMED },
                { "5f", REP_E_MALFORMED },
                { "5f6161ff", REP_E_MALFORMED },
                { "7f4161ff", REP_E_MALFORMED },
                { "7f7f6161ffff", REP_E_MALFORMED },
                { "c0", REP_E_MALFORMED },
                { "f800", REP_E_MALFORMED },
                { "9bffffffffffffffff", REP_E_MALFORMED },
                { "bbffffffffffffffff", REP_E_MALFORMED },
                { "5bffffffffffffffff00", REP_E_MALFORMED },
                { "7bffffffffffffffff00", REP_E_MALFORMED },
                { "61ff", REP_E_NOT_TEXT },
                { "62c080", REP_E_NOT_TEXT },
                { "7f61c361bcff", REP_E_NOT_TEXT },
                { "a2616101616102", REP_E_DUPLICATE_KEY },
                { "bf616101616102ff", REP_E_DUPLICATE_KEY },
                { "a17f6161ff7f6161ff", 0 },
                { "a261610161627f6161ff", 0 },
        };
        char hex[16384];

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
                if (normal(rows[i].in, hex) != rows[i].outcome)
                        fail_msg("%s: %d", rows[i].in, normal(rows[i].in, hex));
}

static void test_depth(void **state) {
        uint8_t deep[10001], out[64];
        struct writer w = writer_on(out, sizeof(out));

        memset(deep, 0x81, sizeof(deep));
        deep[16] = 0;
        assert_int_equal(rep_normalise(span_of(deep, 17), &w), 0);
        deep[16] = 0x81;
        deep[17] = 0;
        w = writer_on(out, sizeof(out));
        assert_int_equal(rep_normalise(span_of(deep, 18), &w), REP_E_TOO_DEEP);
        deep[17] = 0x81;
        w = writer_on(out, sizeof(out));
        assert_int_equal(rep_normalise(span_of(deep, sizeof(deep)), &w), REP_E_TOO_DEEP);
        memset(deep, 0xc1, sizeof(deep)); /* a chain of tags */
        w = writer_on(out, sizeof(out));
        assert_int_equal(rep_normalise(span_of(deep, sizeof(deep)), &w), REP_E_TOO_DEEP);
}

static void test_too_many_keys_and_too_little_room(void **state) {
        uint8_t map[4096] = { 0xbf }, out[8192];
        struct writer w = writer_on(out, sizeof(out));
        size_t n = 1;

        for (unsigned i = 0; i <= REP_KEYS_MAX; i++) {
                map[n++] = 0x19;
                map[n++] = (uint8_t)(i >> 8);
                map[n++] = (uint8_t)i;
                map[n++] = 0xf6;
        }
        map[n++] = 0xff;
        assert_int_equal(rep_normalise(span_of(map, n), &w), REP_E_TOO_LARGE);
        w = writer_on(out, 3);
        assert_int_equal(rep_normalise(SPAN_LITERAL("\x83\x01\x02\x03"), &w), REP_E_NO_ROOM);
        w = writer_on(out, 3);
        assert_int_equal(rep_normalise(SPAN_LITERAL("\x83\x01\x02\x18\x20"), &w), REP_E_NO_ROOM);
}

static void test_every_truncation_is_refused(void **state) {
        static const char whole[] = "a46161fb3ff199999999999a6162834401020304f5f6616381a1616401616563e6b0b4";
        char cut[sizeof(whole)], hex[1024];

        assert_int_equal(normal(whole, hex), 0);
        for (size_t n = 0; n + 2 < sizeof(whole); n += 2) {
                memcpy(cut, whole, n);
                cut[n] = 0;
                assert_int_equal(normal(cut, hex), REP_E_MALFORMED);
        }
}

static struct span sample(uint8_t *buf, size_t n) {
        struct writer w = writer_on(buf, n);

        rep_put_map(&w, 6);
        rep_put_string(&w, "on");
        rep_put_bool(&w, true);
        rep_put_string(&w, "level");
        rep_put_int(&w, -7);
        rep_put_string(&w, "t");
        rep_put_double(&w, 20.5);
        rep_put_string(&w, "name");
        rep_put_string(&w, "lamp");
        rep_put_string(&w, "key");
        rep_put_bytes(&w, SPAN_LITERAL("\0\1"));
        rep_put_string(&w, "list");
        rep_put_array(&w, 2);
        rep_put_uint(&w, 1);
        rep_put_null(&w);
        assert_false(w.overflow);
        return writer_span(&w);
}

static void test_finding(void **state) {
        uint8_t buf[256];
        struct span map = sample(buf, sizeof(buf)), item, text;
        int64_t i;
        double d;
        bool b;

        assert_true(rep_map_find(map, "on", &item) && rep_as_bool(item, &b) && b);
        assert_true(rep_map_find(map, "level", &item) && rep_as_int64(item, &i) && i == -7);
        assert_true(rep_as_double(item, &d) && d == -7);
        assert_true(rep_map_find(map, "t", &item) && rep_as_double(item, &d) && d == 20.5);
        assert_false(rep_as_int64(item, &i));
        assert_true(rep_map_find(map, "name", &item) && rep_as_text(item, &text) &&
                    span_equal_string(text, "lamp"));
        assert_false(rep_as_bytes(item, &text));
        assert_true(rep_map_find(map, "key", &item) && rep_as_bytes(item, &text) && text.n == 2);
        assert_true(rep_map_find(map, "list", &item));
        assert_int_equal(rep_type_of(item), REP_ARRAY);
        assert_false(rep_map_find(map, "nam", &item));
        assert_false(rep_map_find(item, "on", &item));
        assert_false(rep_as_int64(SPAN_LITERAL("\x1b\x80\0\0\0\0\0\0\0"), &i)); /* 2^63 */
        assert_false(rep_as_int64(SPAN_LITERAL("\x3b\x80\0\0\0\0\0\0\0"), &i));
}

static void test_unknown_counts_move_what_follows(void **state) {
        for (uint64_t n = 0; n < 300; n += 23) {
                uint8_t buf[1024];
                struct writer w = writer_on(buf, sizeof(buf));
                size_t begun = rep_begin_array(&w);
                struct span whole, item;

                for (uint64_t i = 0; i < n; i++)
                        rep_put_uint(&w, i & 7);
                rep_end_array(&w, begun, n);
                whole = writer_span(&w);
                assert_true(rep_skip(&whole, &item));
                assert_int_equal(whole.n, 0);
        }
}

/* ---- merging ---- */

static void check_merge(const char *base, const char *update, const char *expected) {
        uint8_t a[256], b[256], e[256], out[512];
        size_t n_a = from_hex(base, a), n_b = from_hex(update, b), n_e = from_hex(expected, e);
        struct writer w = writer_on(out, sizeof(out));

        assert_int_equal(rep_merge(span_of(a, n_a), span_of(b, n_b), &w), 0);
        assert_int_equal(w.n, n_e);
        assert_memory_equal(out, e, n_e);
}

static void test_merge(void **state) {
        check_merge("a2616101616202", "a1616203", "a2616101616203"); /* keeps the place */
        check_merge("a1616101", "a1616202", "a2616101616202");       /* new keys follow */
        check_merge("a16174fb4034800000000000", "a1617415",
                    "a16174fb4035000000000000");                         /* 21 over 20.5 is 21.0 */
        check_merge("a1617403", "a16174fb4035000000000000", "a1617415"); /* 21.0 over 3 is 21 */
        check_merge("a1617403", "a16174fb4035800000000000", "a16174fb4035800000000000"); /* 21.5 stays */
        check_merge("a1617403", "a16174fbc000000000000000", "a1617421");                 /* -2.0 is -2 */
        check_merge("a1617403", "a16174fb7ff8000000000000",
                    "a16174fb7ff8000000000000"); /* NaN is no integer */
        check_merge("a1617403", "a16174fb43f0000000000000", "a16174fb43f0000000000000"); /* 2^64 neither */
        check_merge("a16174fb4034800000000000", "a161741bffffffffffffffff",
                    "a161741bffffffffffffffff"); /* no digit is lost */
        check_merge("a16174fb4034800000000000", "a1617420", "a16174fbbff0000000000000");
        check_merge("a16174fb4034800000000000", "a161743b001fffffffffffff",
                    "a16174fbc340000000000000"); /* -2^53 */
        check_merge("a16174fb4034800000000000", "a161743b0020000000000000",
                    "a161743b0020000000000000"); /* -(2^53 + 1) is no double */
        check_merge("a16174fb4034800000000000", "a161743bffffffffffffffff",
                    "a16174fbc3f0000000000000"); /* -2^64 is */
        check_merge("a16174fb4034800000000000", "a161743bfffffffffffffffe",
                    "a161743bfffffffffffffffe"); /* -(2^64 - 1) is not */
        check_merge("a1617403", "a16174fb8000000000000000", "a16174fb8000000000000000"); /* -0.0 stays */
        check_merge("a1617403", "a16174fb0000000000000000", "a1617400");
        check_merge("a16174f5", "a1617401", "a1617401"); /* other types as they come */
        check_merge("a0", "a0", "a0");
}

static void test_merge_refuses(void **state) {
        uint8_t out[8];
        struct writer w = writer_on(out, sizeof(out));

        assert_int_equal(rep_merge(SPAN_LITERAL("\x01"), SPAN_LITERAL("\xa0"), &w), REP_E_MALFORMED);
        assert_int_equal(rep_merge(SPAN_LITERAL("\xa0"), SPAN_LITERAL("\x80"), &w), REP_E_MALFORMED);
        w = writer_on(out, sizeof(out));
        assert_int_equal(rep_merge(SPAN_LITERAL("\xa0"), SPAN_LITERAL("\xa1\x01\x02"), &w), REP_E_MALFORMED);
        w = writer_on(out, 3);
        assert_int_equal(rep_merge(SPAN_LITERAL("\xa0"),
                                   SPAN_LITERAL("\xa1\x61"
                                                "a\x18\x20"),
                                   &w),
                         REP_E_NO_ROOM);
}

static void test_equal_whatever_the_order(void **state) {
        assert_true(rep_equal(SPAN_LITERAL("\xa2\x61"
                                           "a\x01\x61"
                                           "b\x02"),
                              SPAN_LITERAL("\xa2\x61"
                                           "b\x02\x61"
                                           "a\x01")));
        assert_false(rep_equal(SPAN_LITERAL("\xa2\x61"
                                            "a\x01\x61"
                                            "b\x02"),
                               SPAN_LITERAL("\xa2\x61"
                                            "b\x02\x61"
                                            "a\x02")));
        assert_false(rep_equal(SPAN_LITERAL("\xa1\x61"
                                            "a\x01"),
                               SPAN_LITERAL("\xa2\x61"
                                            "b\x02\x61"
                                            "a\x01")));
        assert_true(rep_equal(SPAN_LITERAL("\x81\xa2\x61"
                                           "a\x01\x61"
                                           "b\x02"),
                              SPAN_LITERAL("\x81\xa2\x61"
                                           "b\x02\x61"
                                           "a\x01")));
        assert_false(rep_equal(SPAN_LITERAL("\x82\x01\x02"), SPAN_LITERAL("\x82\x02\x01")));
        assert_false(rep_equal(SPAN_LITERAL("\x01"), SPAN_LITERAL("\x61"
                                                                  "1")));
}

/* security.md 1.5: a key of sixteen random bytes that calls itself text. */
static void test_what_is_no_text_becomes_bytes_where_that_is_wanted(void **state) {
        static const struct {
                const char *in, *out;
        } rows[] = {
                { "61ff", "41ff" },
                { "a1646461746162c328", "a1646461746142c328" },
                { "626869", "626869" },
                { "a16178a161796261ff", "a16178a161794261ff" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                uint8_t in[64], wanted[64], out[64];
                size_t n = from_hex(rows[i].in, in), n_wanted = from_hex(rows[i].out, wanted);
                struct writer w = writer_on(out, sizeof(out));

                assert_int_equal(rep_normalise_leniently(span_of(in, n), &w), 0);
                assert_int_equal(w.n, n_wanted);
                assert_memory_equal(out, wanted, n_wanted);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_appendix_a),
                cmocka_unit_test(test_refusals),
                cmocka_unit_test(test_what_is_no_text_becomes_bytes_where_that_is_wanted),
                cmocka_unit_test(test_depth),
                cmocka_unit_test(test_too_many_keys_and_too_little_room),
                cmocka_unit_test(test_every_truncation_is_refused),
                cmocka_unit_test(test_finding),
                cmocka_unit_test(test_unknown_counts_move_what_follows),
                cmocka_unit_test(test_merge),
                cmocka_unit_test(test_merge_refuses),
                cmocka_unit_test(test_equal_whatever_the_order),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
