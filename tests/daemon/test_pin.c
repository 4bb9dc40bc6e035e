#include "../unit.h"

#include "daemon/pin.h"

#include <string.h>

static const struct uuid device = { { 1, 2, 3 } };

static void test_it_is_eight_digits_and_another_each_time(void **state) {
        unsigned seen[10] = { 0 };
        char before[PIN_DIGITS + 1] = "";

        for (unsigned i = 0; i < 200; i++) {
                struct pin p = { 0 };
                uint8_t key[KEY_PSK];

                assert_true(pin_draw(&p, &device));
                assert_int_equal(strlen(p.digits), PIN_DIGITS);
                assert_int_equal(strspn(p.digits, "0123456789"), PIN_DIGITS);
                assert_string_not_equal(p.digits, before);
                assert_true(key_derive_pin(span_of_string(p.digits), &device, key));
                assert_memory_equal(p.key, key, KEY_PSK);
                for (size_t j = 0; j < PIN_DIGITS; j++)
                        seen[p.digits[j] - '0']++;
                strcpy(before, p.digits);
        }
        for (size_t i = 0; i < 10; i++) /* 160 of each are likely */
                assert_in_range(seen[i], 80, 260);
}

static void test_few_guesses_are_let_through(void **state) {
        struct pin p = { 0 }, nothing = { 0 };

        assert_false(pin_guessed(&p)); /* there is none */
        assert_true(pin_draw(&p, &device));
        for (unsigned i = 1; i < PIN_GUESSES_MAX; i++) {
                assert_false(pin_guessed(&p));
                assert_true(p.is_drawn);
        }
        assert_true(pin_guessed(&p));
        assert_memory_equal(&p, &nothing, sizeof(p));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_it_is_eight_digits_and_another_each_time),
                cmocka_unit_test(test_few_guesses_are_let_through),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
