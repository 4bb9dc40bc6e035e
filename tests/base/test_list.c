#include "../unit.h"
#include "base/list.h"

struct thing {
        struct list link;
        int value;
};

static void test_order(void **state) {
        struct list l = LIST_INIT(l);
        struct thing a = { .value = 1 }, b = { .value = 2 }, c = { .value = 3 };
        int expected = 1;

        assert_true(list_is_empty(&l));
        assert_null(list_first(&l));
        list_link_tail(&l, &b.link);
        list_link_tail(&l, &c.link);
        list_link_head(&l, &a.link);
        LIST_FOR_EACH(i, &l)
        assert_int_equal(LIST_ENTRY(i, struct thing, link)->value, expected++);
        assert_int_equal(expected, 4);
}

static void test_unlink_while_walking_and_twice(void **state) {
        struct list l = LIST_INIT(l);
        struct thing things[3];

        for (int i = 0; i < 3; i++)
                list_link_tail(&l, &things[i].link);
        LIST_FOR_EACH_SAFE(i, &l) {
                list_unlink(i);
                list_unlink(i);
                assert_false(list_is_linked(i));
        }
        assert_true(list_is_empty(&l));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_order),
                cmocka_unit_test(test_unlink_while_walking_and_twice),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
