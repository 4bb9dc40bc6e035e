#include "../unit.h"
#include "protocol/coap_code.h"
#include "protocol/fault.h"

static void test_every_fault_has_its_row(void **state) {
        for (enum fault f = FAULT_BAD_REQUEST; f < _FAULT_N; f++) {
                const struct fault_row *row = fault_row(f);

                assert_true(row->code >= COAP_BAD_REQUEST);
                assert_non_null(row->name);
                assert_true(strlen(row->text) > 10);
                assert_true(row->text[strlen(row->text) - 1] != '.'); /* others put it into sentences */
                assert_int_equal(fault_by_name(row->name), f);
                for (enum fault g = FAULT_BAD_REQUEST; g < f; g++)
                        assert_string_not_equal(fault_row(g)->name, row->name);
        }
}

static void test_by_name_and_code(void **state) {
        assert_int_equal(fault_by_name("NoSuchThing"), FAULT_FAILED);
        assert_int_equal(fault_by_name(""), FAULT_FAILED);
        assert_int_equal(fault_by_code(COAP_NOT_FOUND), FAULT_NOT_FOUND);
        assert_int_equal(fault_by_code(COAP_UNAUTHORIZED), FAULT_NOT_AUTHORIZED);
        assert_int_equal(fault_by_code(COAP_CODE(4, 22)), FAULT_BAD_REQUEST);
        assert_int_equal(fault_by_code(COAP_CODE(5, 31)), FAULT_FAILED);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_every_fault_has_its_row),
                cmocka_unit_test(test_by_name_and_code),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
