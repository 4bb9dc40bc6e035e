#include "../unit.h"

#include "ocfclient.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>

static struct ocf_value *new_map(void) {
        struct ocf_value *v;

        assert_int_equal(ocf_value_new_map(&v), 0);
        return v;
}

static void test_set_and_get(void **state) {
        struct ocf_value *v = new_map();
        const void *bytes;
        const char *s;
        int64_t i;
        double d;
        size_t n;
        bool b;

        assert_int_equal(ocf_value_set_bool(v, "on", true), 0);
        assert_int_equal(ocf_value_set_int(v, "level", -5), 0);
        assert_int_equal(ocf_value_set_double(v, "t", 21.5), 0);
        assert_int_equal(ocf_value_set_string(v, "text", "gr\xc3\xbc\xc3\x9f"), 0);
        assert_int_equal(ocf_value_set_bytes(v, "raw", "\0\1", 2), 0);
        assert_int_equal(ocf_value_set_bytes(v, "no bytes", NULL, 0), 0);
        assert_int_equal(ocf_value_set_null(v, "nothing"), 0);
        assert_int_equal(ocf_value_count(v), 7);

        assert_true(ocf_value_get_bool(v, "on", &b) && b);
        assert_true(ocf_value_get_int(v, "level", &i) && i == -5);
        assert_true(ocf_value_get_double(v, "t", &d) && d == 21.5);
        assert_true(ocf_value_get_string(v, "text", &s));
        assert_string_equal(s, "gr\xc3\xbc\xc3\x9f");
        assert_true(ocf_value_get_bytes(v, "raw", &bytes, &n));
        assert_memory_equal(bytes, "\0\1", 2);
        assert_int_equal(n, 2);
        assert_true(ocf_value_get_bytes(v, "no bytes", &bytes, &n) && n == 0);
        assert_int_equal(ocf_value_type(ocf_value_get(v, "nothing")), OCF_NULL);
        assert_non_null(ocf_value_get(v, "nothing"));
        ocf_value_free(v);
}

static void test_wrong_type_is_false_and_leaves_the_output(void **state) {
        struct ocf_value *v = new_map();
        const void *bytes = v;
        const char *s = "as it was";
        int64_t i = 7;
        double d = 7;
        size_t n = 7;
        bool b = true;

        assert_int_equal(ocf_value_set_string(v, "k", "x"), 0);
        assert_int_equal(ocf_value_set_bool(v, "b", false), 0);
        assert_false(ocf_value_get_bool(v, "k", &b));
        assert_false(ocf_value_get_int(v, "k", &i));
        assert_false(ocf_value_get_double(v, "k", &d));
        assert_false(ocf_value_get_bytes(v, "k", &bytes, &n));
        assert_false(ocf_value_get_string(v, "b", &s));
        assert_false(ocf_value_get_string(v, "absent", &s));
        assert_false(ocf_value_get_string(NULL, "k", &s));
        assert_false(ocf_value_get_string(v, "k", NULL));
        assert_true(b && i == 7 && d == 7 && n == 7 && bytes == v);
        assert_string_equal(s, "as it was");
        ocf_value_free(v);
}

static void test_numbers_are_read_as_both_where_that_loses_nothing(void **state) {
        static const struct {
                double real;
                bool fits;
        } rows[] = {
                { 21, true },        { -3, true },         { 0, true },      { 21.5, false },
                { -0x1p63, true },   { 0x1p63, false },    { 0x1p62, true }, { NAN, false },
                { INFINITY, false }, { -INFINITY, false }, { 1e300, false }, { 1e-300, false },
        };
        struct ocf_value *v = new_map();
        double d;

        for (size_t n = 0; n < sizeof(rows) / sizeof(*rows); n++) {
                int64_t i = 0;

                assert_int_equal(ocf_value_set_double(v, "n", rows[n].real), 0);
                assert_int_equal(ocf_value_get_int(v, "n", &i), rows[n].fits);
                if (rows[n].fits)
                        assert_true((double)i == rows[n].real);
        }
        assert_int_equal(ocf_value_set_int(v, "n", 3), 0);
        assert_true(ocf_value_get_double(v, "n", &d) && d == 3);
        ocf_value_free(v);
}

static void test_key_keeps_its_place(void **state) {
        struct ocf_value *v = new_map();
        const char *key;
        int64_t i;

        assert_int_equal(ocf_value_set_int(v, "a", 1), 0);
        assert_int_equal(ocf_value_set_int(v, "b", 2), 0);
        assert_int_equal(ocf_value_set_string(v, "a", "now text"), 0);
        assert_int_equal(ocf_value_count(v), 2);
        assert_int_equal(ocf_value_type(ocf_value_at(v, 0, &key)), OCF_STRING);
        assert_string_equal(key, "a");
        assert_true(ocf_value_get_int(ocf_value_at(v, 1, &key), NULL, &i) && i == 2);
        assert_string_equal(key, "b");
        assert_null(ocf_value_at(v, 2, &key));
        assert_null(ocf_value_at(NULL, 0, NULL));
        ocf_value_free(v);
}

static void test_arrays_and_nesting(void **state) {
        struct ocf_value *v = new_map(), *array, *copy;
        const struct ocf_value *there;
        int64_t i;

        assert_int_equal(ocf_value_new_array(&array), 0);
        assert_int_equal(ocf_value_set_int(array, NULL, 1), 0);
        assert_int_equal(ocf_value_set_string(array, NULL, "two"), 0);
        assert_int_equal(ocf_value_set_value(v, "list", array), 0);
        assert_int_equal(ocf_value_set_int(array, NULL, 3), 0); /* it was copied */
        there = ocf_value_get(v, "list");
        assert_int_equal(ocf_value_count(there), 2);
        assert_true(ocf_value_get_int(ocf_value_at(there, 0, NULL), NULL, &i) && i == 1);
        assert_int_equal(ocf_value_copy(&copy, v), 0);
        ocf_value_free(v);
        assert_int_equal(ocf_value_count(ocf_value_get(copy, "list")), 2);
        ocf_value_free(copy);
        ocf_value_free(array);
}

static void test_refused(void **state) {
        struct ocf_value *v = new_map(), *array;
        char key[16];

        assert_int_equal(ocf_value_new_array(&array), 0);
        assert_int_equal(ocf_value_set_int(array, "key", 1), -EINVAL);
        assert_int_equal(ocf_value_set_int(v, NULL, 1), -EINVAL);
        assert_int_equal(ocf_value_set_int(NULL, "key", 1), -EINVAL);
        assert_int_equal(ocf_value_set_value(v, "key", NULL), -EINVAL);
        assert_int_equal(ocf_value_set_string(v, "key", NULL), -EINVAL);
        assert_int_equal(ocf_value_set_string(v, "key", "\xff"), -EINVAL);
        assert_int_equal(ocf_value_set_bytes(v, "key", NULL, 3), -EINVAL);
        assert_int_equal(ocf_value_set_int(v, "\xc3", 1), -EINVAL);
        assert_int_equal(ocf_value_set_int(v, "\xed\xa0\x80", 1), -EINVAL); /* a surrogate */
        assert_int_equal(ocf_value_new_map(NULL), -EINVAL);
        assert_int_equal(ocf_value_new_array(NULL), -EINVAL);
        assert_int_equal(ocf_value_copy(NULL, v), -EINVAL);
        assert_int_equal(ocf_value_copy(&v, NULL), -EINVAL);
        assert_int_equal(ocf_value_count(v), 0);
        for (int i = 0; i < 256; i++) {
                snprintf(key, sizeof(key), "%d", i);
                assert_int_equal(ocf_value_set_int(v, key, i), 0);
        }
        assert_int_equal(ocf_value_set_int(v, "one too many", 1), -E2BIG);
        assert_int_equal(ocf_value_set_int(v, "255", 1), 0);
        ocf_value_free(v);
        ocf_value_free(array);
        assert_null(ocf_value_free(NULL));
}

static void test_depth(void **state) {
        struct ocf_value *v = new_map(), *deeper;
        uint8_t cbor[64];
        size_t n;

        for (int i = 1; i < 16; i++) {
                deeper = new_map();
                assert_int_equal(ocf_value_set_value(deeper, "k", v), 0);
                ocf_value_free(v);
                v = deeper;
        }
        deeper = new_map();
        assert_int_equal(ocf_value_set_value(deeper, "k", v), -E2BIG);
        assert_int_equal(ocf_value_count(deeper), 0);
        ocf_value_free(deeper);

        /* sixteen is what CBOR may be, too */
        assert_int_equal(ocf_value_to_cbor(v, cbor, sizeof(cbor), &n), 0);
        assert_int_equal(ocf_value_from_cbor(&deeper, cbor, n), 0);
        ocf_value_free(deeper);
        ocf_value_free(v);
        memset(cbor, 0x81, 17);
        cbor[17] = 0;
        assert_int_equal(ocf_value_from_cbor(&v, cbor, 18), -EBADMSG);
        assert_int_equal(ocf_value_from_cbor(&v, cbor + 1, 17), 0);
        ocf_value_free(v);
}

struct vector {
        const char *cbor;
        size_t n;
        enum ocf_type type;
        const char *normal; /* NULL: the same */
        size_t n_normal;
};

#define V(cbor, type)                                                                                        \
        { cbor, sizeof(cbor) - 1, type, NULL, 0 }
#define V2(cbor, type, normal)                                                                               \
        { cbor, sizeof(cbor) - 1, type, normal, sizeof(normal) - 1 }

static void test_cbor(void **state) {
        static const struct vector vectors[] = {
                V("\xf6", OCF_NULL),
                V("\xf5", OCF_BOOL),
                V("\x18\x64", OCF_INT),
                V("\x38\x63", OCF_INT),
                V("\x1b\x7f\xff\xff\xff\xff\xff\xff\xff", OCF_INT),
                V("\x3b\x7f\xff\xff\xff\xff\xff\xff\xff", OCF_INT),
                V("\x1b\x80\x00\x00\x00\x00\x00\x00\x00", OCF_OTHER), /* beyond int64 */
                V("\x3b\x80\x00\x00\x00\x00\x00\x00\x00", OCF_OTHER),
                V("\xfb\x3f\xf1\x99\x99\x99\x99\x99\x9a", OCF_DOUBLE),
                V2("\xf9\x3c\x00", OCF_DOUBLE, "\xfb\x3f\xf0\x00\x00\x00\x00\x00\x00"),
                V("\x62\xc3\xbc", OCF_STRING),
                V("\x60", OCF_STRING),
                V("\x62\x61\x00", OCF_OTHER), /* text that C cannot hold */
                V("\x44\x01\x02\x03\x04", OCF_BYTES),
                V("\xf7", OCF_OTHER),                     /* undefined */
                V("\xf0", OCF_OTHER),                     /* simple(16) */
                V("\xc1\x1a\x51\x4b\x67\xb0", OCF_OTHER), /* a tag */
                V("\x80", OCF_ARRAY),
                V("\x82\x01\x81\x02", OCF_ARRAY),
                V("\xa2\x61\x61\x01\x61\x62\x82\x02\x03", OCF_MAP),
                V("\xa2\x01\x02\x03\x04", OCF_OTHER), /* keys that are no text */
                V("\x82\xa1\x01\x02\xf7", OCF_ARRAY), /* and inside others */
                V2("\xbf\x61\x61\x9f\x01\xff\xff", OCF_MAP, "\xa1\x61\x61\x81\x01"),
        };
        uint8_t out[64];
        size_t n;

        for (size_t i = 0; i < sizeof(vectors) / sizeof(*vectors); i++) {
                const struct vector *vector = &vectors[i];
                const char *wanted = vector->normal ? vector->normal : vector->cbor;
                size_t n_wanted = vector->normal ? vector->n_normal : vector->n;
                struct ocf_value *v, *copy;

                assert_int_equal(ocf_value_from_cbor(&v, vector->cbor, vector->n), 0);
                assert_int_equal(ocf_value_type(v), vector->type);
                assert_int_equal(ocf_value_copy(&copy, v), 0);
                assert_int_equal(ocf_value_to_cbor(copy, out, sizeof(out), &n), 0);
                assert_int_equal(n, n_wanted);
                assert_memory_equal(out, wanted, n);
                assert_int_equal(ocf_value_to_cbor(v, out, n - 1, &n), -ENOSPC);
                assert_int_equal(n, n_wanted);
                ocf_value_free(copy);
                ocf_value_free(v);
        }
}

static void test_bad_cbor(void **state) {
        static const struct vector vectors[] = {
                V("", OCF_NULL),
                V("\x01\x02", OCF_NULL), /* trailing bytes */
                V("\x61", OCF_NULL),
                V("\x61\xff", OCF_NULL),
                V("\xa1\x61\x61", OCF_NULL),
                V("\xa2\x61\x61\x01\x61\x61\x02", OCF_NULL), /* a key twice */
                V("\xff", OCF_NULL),
                V("\x9f\x01", OCF_NULL),
                V("\x1c", OCF_NULL),
                V("\x9b\xff\xff\xff\xff\xff\xff\xff\xff", OCF_NULL),
        };
        struct ocf_value *v = NULL;

        for (size_t i = 0; i < sizeof(vectors) / sizeof(*vectors); i++)
                assert_int_equal(ocf_value_from_cbor(&v, vectors[i].cbor, vectors[i].n), -EBADMSG);
        assert_int_equal(ocf_value_from_cbor(&v, NULL, 1), -EINVAL);
        assert_int_equal(ocf_value_from_cbor(NULL, "\x01", 1), -EINVAL);
        assert_int_equal(ocf_value_from_cbor(&v, "\x01", (size_t)1 << 40), -EMSGSIZE);
        assert_null(v);
        assert_int_equal(ocf_value_to_cbor(NULL, NULL, 0, &(size_t){ 0 }), -EINVAL);
}

/* Whatever comes in comes out the same: random bytes that happen to be CBOR, found by changing some that are.
 */
static void test_round_trip_of_mutations(void **state) {
        static const uint8_t seed[] =
                "\xa5\x61\x61\x01\x61\x62\x82\x02\xf7\x61\x63\xfb\x3f\xf1\x99\x99\x99\x99\x99\x9a"
                "\x61\x64\xa1\x61\x78\x43\x01\x02\x03\x61\x65\x62\xc3\xbc";
        unsigned n_good = 0;
        uint32_t random = 1;

        for (unsigned i = 0; i < 20000; i++) {
                uint8_t in[sizeof(seed) - 1], first[256], second[256];
                size_t n_first, n_second;
                struct ocf_value *v;

                memcpy(in, seed, sizeof(in));
                for (unsigned j = 0; j < 1 + i % 3; j++) {
                        random = random * 1664525 + 1013904223;
                        in[(random >> 8) % sizeof(in)] = (uint8_t)(random >> 24);
                }
                if (ocf_value_from_cbor(&v, in, sizeof(in)))
                        continue;
                n_good++;
                assert_int_equal(ocf_value_to_cbor(v, first, sizeof(first), &n_first), 0);
                ocf_value_free(v);
                assert_int_equal(ocf_value_from_cbor(&v, first, n_first), 0);
                assert_int_equal(ocf_value_to_cbor(v, second, sizeof(second), &n_second), 0);
                ocf_value_free(v);
                assert_int_equal(n_first, n_second);
                assert_memory_equal(first, second, n_first);
        }
        assert_true(n_good > 1000);
}

static void test_names_of_results(void **state) {
        assert_string_equal(ocf_result_name(0), "None");
        assert_string_equal(ocf_result_name(OCF_E_NOT_FOUND), "NotFound");
        assert_string_equal(ocf_result_name(OCF_E_NOT_ALLOWED), "NotAllowed");
        assert_string_equal(ocf_result_name(OCF_E_NOT_INITIALIZED + 1), "Unknown");
        assert_string_equal(ocf_result_name(-ENOENT), "No such file or directory");
        assert_string_equal(ocf_result_name(INT32_MIN), "Unknown");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_set_and_get),
                cmocka_unit_test(test_wrong_type_is_false_and_leaves_the_output),
                cmocka_unit_test(test_numbers_are_read_as_both_where_that_loses_nothing),
                cmocka_unit_test(test_key_keeps_its_place),
                cmocka_unit_test(test_arrays_and_nesting),
                cmocka_unit_test(test_refused),
                cmocka_unit_test(test_depth),
                cmocka_unit_test(test_cbor),
                cmocka_unit_test(test_bad_cbor),
                cmocka_unit_test(test_round_trip_of_mutations),
                cmocka_unit_test(test_names_of_results),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
