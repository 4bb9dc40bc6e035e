#include "../unit.h"
#include "base/quota.h"

#include <errno.h>
#include <stdlib.h>

enum { KIND_OBJECTS, KIND_BYTES };

static int allocations_left = -1; /* -1: no limit */

void *__wrap_calloc(size_t n, size_t size);
void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size) {
        if (allocations_left == 0)
                return NULL;
        if (allocations_left > 0)
                allocations_left--;
        return __real_calloc(n, size);
}

static void test_full_is_an_outcome_and_comes_back(void **state) {
        struct quota q;
        struct quota_charge a = QUOTA_CHARGE_NULL, b = QUOTA_CHARGE_NULL, c = QUOTA_CHARGE_NULL;

        quota_init(&q, (uint64_t[]){ 2, 100 }, 2);
        assert_int_equal(quota_charge(&q, &a, 1000, KIND_OBJECTS, 1), 0);
        assert_int_equal(quota_charge(&q, &b, 1000, KIND_OBJECTS, 1), 0);
        assert_int_equal(quota_charge(&q, &c, 1000, KIND_OBJECTS, 1), QUOTA_E_FULL);
        assert_null(c.account);
        assert_int_equal(quota_charge(&q, &c, 1001, KIND_OBJECTS, 1), 0); /* another payer, another account */
        quota_discharge(&a);
        assert_int_equal(quota_used(&q, 1000, KIND_OBJECTS), 1);
        quota_discharge(&b);
        quota_discharge(&c);
        quota_discharge(&c);
        quota_deinit(&q); /* asserts that nobody owes anything */
}

static void test_a_charge_may_grow_and_shrink(void **state) {
        struct quota q;
        struct quota_charge a = QUOTA_CHARGE_NULL, b = QUOTA_CHARGE_NULL;

        quota_init(&q, (uint64_t[]){ 2, 100 }, 2);
        assert_int_equal(quota_charge(&q, &a, 0, KIND_BYTES, 40), 0);
        assert_int_equal(quota_charge(&q, &b, 0, KIND_BYTES, 60), 0);
        assert_int_equal(quota_recharge(&a, 41), QUOTA_E_FULL);
        assert_int_equal(quota_used(&q, 0, KIND_BYTES), 100);
        assert_int_equal(quota_recharge(&b, 10), 0);
        assert_int_equal(quota_recharge(&a, 90), 0);
        assert_int_equal(quota_recharge(&a, UINT64_MAX), QUOTA_E_FULL);
        quota_discharge(&a);
        quota_discharge(&b);
        quota_deinit(&q);
}

static void test_no_memory_and_quota_refusals_leak_nothing(void **state) {
        struct quota q;
        struct quota_charge a = QUOTA_CHARGE_NULL;

        quota_init(&q, (uint64_t[]){ 0 }, 1);
        allocations_left = 0;
        assert_int_equal(quota_charge(&q, &a, 5, 0, 1), -ENOMEM);
        allocations_left = -1;
        assert_int_equal(quota_charge(&q, &a, 5, 0, 1), QUOTA_E_FULL);
        quota_deinit(&q);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_full_is_an_outcome_and_comes_back),
                cmocka_unit_test(test_a_charge_may_grow_and_shrink),
                cmocka_unit_test(test_no_memory_and_quota_refusals_leak_nothing),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
