/*
 * Representations that broke other stacks (users.md 3 B), each by name: what
 * rep_normalise() makes of it. What belongs to single resources is tested with
 * them.
 */
#include "../unit.h"
#include "protocol/rep.h"

#include <stdlib.h>

static const struct row {
        const char *name;
        struct span in;
        int outcome;
} rows[] = {
#define ROW(name, literal, outcome)                                                                          \
        { name, { (const uint8_t *)literal, sizeof(literal) - 1 }, outcome }
        ROW("nothing", "", REP_E_MALFORMED),
        ROW("a list of different types (8a4b456b6, 472a1c616)",
            "\x84\x01\x61"
            "a\xf5\xa0",
            0),
        ROW("an indefinite text that is not closed",
            "\x7f\x61"
            "a",
            REP_E_MALFORMED),
        ROW("an indefinite byte string that is not closed",
            "\x5f\x41"
            "a",
            REP_E_MALFORMED),
        ROW("an indefinite map that is not closed",
            "\xbf\x61"
            "a\x01",
            REP_E_MALFORMED),
        ROW("an indefinite list that is not closed", "\x9f\x01", REP_E_MALFORMED),
        ROW("an indefinite map with a key and no value",
            "\xbf\x61"
            "a\xff",
            REP_E_MALFORMED),
        ROW("a break outside of anything", "\xff", REP_E_MALFORMED),
        ROW("a text in a byte string's pieces",
            "\x5f\x61"
            "a\xff",
            REP_E_MALFORMED),
        ROW("a text of 2^64-1 bytes", "\x7b\xff\xff\xff\xff\xff\xff\xff\xff", REP_E_MALFORMED),
        ROW("bytes of 2^32-1",
            "\x5a\xff\xff\xff\xff"
            "abc",
            REP_E_MALFORMED),
        ROW("a list of 2^64-1 items", "\x9b\xff\xff\xff\xff\xff\xff\xff\xff\x01", REP_E_MALFORMED),
        ROW("a map of 2^64-1 pairs", "\xbb\xff\xff\xff\xff\xff\xff\xff\xff\x01\x01", REP_E_MALFORMED),
        ROW("a map of 2^63 pairs", "\xbb\x80\x00\x00\x00\x00\x00\x00\x00\x01\x01", REP_E_MALFORMED),
        ROW("a key twice",
            "\xa2\x61"
            "a\x01\x61"
            "a\x02",
            REP_E_DUPLICATE_KEY),
        ROW("a key twice, once in pieces",
            "\xa2\x61"
            "a\x01\x7f\x61"
            "a\xff\x02",
            REP_E_DUPLICATE_KEY),
        ROW("text that is no UTF-8", "\x62\xc3\x28", REP_E_NOT_TEXT),
        ROW("an overlong slash in text", "\x62\xc0\xaf", REP_E_NOT_TEXT),
        ROW("a surrogate in text", "\x63\xed\xa0\x80", REP_E_NOT_TEXT),
        ROW("null alone (2f48304e6)", "\xf6", 0),
        ROW("NaN of 16 bits", "\xf9\x7e\x00", 0),
        ROW("infinity of 16 bits", "\xf9\x7c\x00", 0),
        ROW("the smallest half float", "\xf9\x00\x01", 0),
        ROW("a float of 32 bits", "\xfa\x41\xac\x00\x00", 0),
        ROW("a tag", "\xc1\x00", 0),
        ROW("a tag on nothing", "\xc1", REP_E_MALFORMED),
        ROW("reserved length 28", "\x1c", REP_E_MALFORMED),
        ROW("reserved length 30", "\x7e", REP_E_MALFORMED),
        ROW("an integer without end", "\x1f", REP_E_MALFORMED),
        ROW("a simple value of two bytes below 32", "\xf8\x14", REP_E_MALFORMED),
        ROW("two items", "\x01\x02", REP_E_MALFORMED),
        ROW("an empty map, as some answers are", "\xa0", 0),
#undef ROW
};

static int normalise_exact(struct span in) {
        static uint8_t out[64 * 1024];
        uint8_t *exact = malloc(in.n ? in.n : 1); /* so that a byte read too far is seen */
        struct writer w = writer_on(out, sizeof(out));
        int r;

        memcpy(exact, in.data, in.n);
        r = rep_normalise(span_of(exact, in.n), &w);
        free(exact);
        return r;
}

static void test_each(void **state) {
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                int r = normalise_exact(rows[i].in);

                if (r != rows[i].outcome)
                        fail_msg("%s: outcome %d, expected %d", rows[i].name, r, rows[i].outcome);
        }
}

static void test_every_beginning_of_each(void **state) {
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
                for (size_t n = 0; n < rows[i].in.n; n++)
                        (void)normalise_exact(span_of(rows[i].in.data, n));
}

static void test_ten_thousand_deep(void **state) {
        static const uint8_t openers[] = { 0x81, 0x9f, 0xc1, 0xa1, 0xbf };
        static uint8_t deep[20000];

        for (size_t k = 0; k < ARRAY_SIZE(openers); k++) {
                size_t n = 0;

                for (size_t i = 0; i < 10000; i++) {
                        deep[n++] = openers[k];
                        if (openers[k] == 0xa1 || openers[k] == 0xbf)
                                deep[n++] = 0x01; /* its key */
                }
                deep[n - 1] = 0x00;
                assert_int_equal(normalise_exact(span_of(deep, n)), REP_E_TOO_DEEP);
        }
}

static void test_sixty_four_kilobytes_of_keys(void **state) {
        static uint8_t many[65000];
        size_t n = 0;

        many[n++] = 0xbf;
        while (n < sizeof(many) - 8) {
                many[n++] = 0x19; /* keys of three bytes, all different */
                many[n] = (uint8_t)(n >> 8);
                n++;
                many[n] = (uint8_t)n;
                n++;
                many[n++] = 0x00;
        }
        many[n++] = 0xff;
        assert_int_equal(normalise_exact(span_of(many, n)), REP_E_TOO_LARGE);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_each),
                cmocka_unit_test(test_every_beginning_of_each),
                cmocka_unit_test(test_ten_thousand_deep),
                cmocka_unit_test(test_sixty_four_kilobytes_of_keys),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
