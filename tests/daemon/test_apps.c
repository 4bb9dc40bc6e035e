#include "daemon/apps.h"
#include "scratch.h"

#include <errno.h>

static const char *const switch_type[] = { "oic.r.switch.binary" };
static const char *const other_type[] = { "oic.r.temperature" };
static struct model_refusal why;

static int rules_open(void **state) {
        return scratch_open(state) || mkdir(in_scratch("apps.d"), 0755);
}

static struct apps_rules *load(int expected) {
        struct apps_rules *a = NULL;

        told[0] = 0;
        assert_int_equal(apps_load(&a, in_scratch("apps.d"), tell, NULL), expected);
        return a;
}

static bool may(const struct apps_rules *a, uint32_t uid, const char *unit, const char *href,
                const char *const *types, bool insecure) {
        const struct bus_caller caller = { .name = ":1.1", .uid = uid, .unit = unit };
        const struct resource_spec spec = {
                .href = href, .types = types, .n_types = 1, .insecure = insecure
        };

        return apps_may_register(a, &caller, &spec, &why);
}

static bool may_use(const struct apps_rules *a, uint32_t uid, const char *unit, const char *href) {
        const struct bus_caller caller = { .name = ":1.1", .uid = uid, .unit = unit };

        return apps_may_use(a, &caller, href, &why);
}

static void test_without_rules_everything_goes(void **state) {
        struct apps_rules *a = load(0);

        assert_true(may(a, 1000, "", "/lamp", switch_type, true));
        assert_true(may(a, 1000, NULL, "/lamp", switch_type, true));
        assert_true(may_use(a, 1000, "", "/lamp"));
        apps_free(a);
}

static void test_rules_narrow(void **state) {
        struct apps_rules *a;

        WRITE("apps.d/lamp.conf",
              "[App]\nUser=1000\nRegister=/lamp /lamp/?*\nTypes=oic.r.switch.*\nUse=/t\nInsecure=no\n");
        WRITE("apps.d/unit.conf", "[App]\nUnit=heat.service\nRegister=/heat\n");
        WRITE("apps.d/notes", "[App]\nUser=1001\n"); /* no .conf: no rule */
        a = load(0);
        assert_true(may(a, 1000, "", "/lamp", switch_type, false));
        assert_true(may(a, 1000, "", "/lamp/1/2", switch_type, false)); /* a star crosses slashes */
        assert_false(may(a, 1000, "", "/lamps", switch_type, false));
        assert_int_equal(why.fault, FAULT_NOT_ALLOWED);
        assert_non_null(strstr(why.text, "Register= does not name it"));
        assert_non_null(strstr(why.text, "lamp.conf"));
        assert_false(may(a, 1000, "", "/lamp", other_type, false));
        assert_non_null(strstr(why.text, "Types="));
        assert_false(may(a, 1000, "", "/lamp", switch_type, true));
        assert_non_null(strstr(why.text, "Insecure=no"));
        assert_true(may(a, 1001, "", "/anything", other_type, true)); /* no rule is about this one */
        assert_true(may_use(a, 1000, "", "/t"));
        assert_false(may_use(a, 1000, "", "/u"));
        assert_non_null(strstr(why.text, "Use= does not name it"));
        assert_true(may(a, 1001, "heat.service", "/heat", other_type, true));
        assert_false(may(a, 1001, "heat.service", "/lamp", other_type, true));
        assert_true(may(a, 1000, "heat.service", "/heat", other_type, true)); /* what either rule lets */
        apps_free(a);
}

static void test_who_registers_nothing_may_not(void **state) {
        struct apps_rules *a;

        WRITE("apps.d/x.conf", "[App]\nUser=1000\n");
        a = load(0);
        assert_false(may(a, 1000, "", "/a", other_type, false));
        assert_true(may_use(a, 1000, "", "/a"));
        apps_free(a);
}

static void test_mistakes_leave_nothing_half_read(void **state) {
        static const struct {
                const char *text, *said;
        } rows[] = {
                { "[App]\n", "names neither User= nor Unit=" },
                { "[App]\nRegister=/x\n", "names neither User= nor Unit=" },
                { "[App]\nUser=no-such-user-here\n", "there is no such user" },
                { "[App]\nUser=\n", "there is no such user" },
                { "[App]\nUser=-1\n", "there is no such user" },
                { "[App]\nUser=4294967295\n", "a number below 4294967295" },
                { "[App]\nUser=4294967296\n", "a number below 4294967295" }, /* not root */
                { "[App]\nUser=99999999999999999999999\n", "a number below 4294967295" },
                { "[App]\nUnit=lamp\n", "the whole name of one unit" },
                { "[App]\nUnit=\n", "the whole name of one unit" },
                { "[App]\nUnit=lamp*.service\n", "the whole name of one unit" },
                { "[App]\nUser=0\nRegistre=/x\n", "x.conf:3: Registre= is unknown in [App]" },
                { "[Apps]\nUser=0\n", "x.conf:1: There is only the section [App]" },
                { "User=0\n", "only the section [App]" },
                { "[App]\nUser=0\nInsecure=perhaps\n", "yes or no" },
                { "[App]\nUser=0\nUser\n", "x.conf:3: This is neither" },
        };

        WRITE("apps.d/good.conf", "[App]\nUser=0\nRegister=*\n");
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                WRITE("apps.d/x.conf", rows[i].text);
                assert_null(load(APPS_E_INVALID));
                if (!strstr(told, rows[i].said) || strchr(told, '\n')[1]) /* one mistake, one message */
                        fail_msg("%s said: %s", rows[i].text, told);
        }
}

static void test_users_by_name(void **state) {
        struct apps_rules *a;

        WRITE("apps.d/root.conf", "[App]\nUser=root\nRegister=/a\n");
        a = load(0);
        assert_true(may(a, 0, "", "/a", switch_type, true));
        assert_false(may(a, 0, "", "/b", switch_type, true));
        apps_free(a);
}

static void test_a_unit_that_cannot_be_seen_does_not_pass(void **state) {
        struct apps_rules *a;

        WRITE("apps.d/unit.conf", "[App]\nUnit=heat.service\nRegister=/heat\n");
        WRITE("apps.d/user.conf", "[App]\nUser=1000\nRegister=/lamp\n");
        a = load(0);
        assert_false(may(a, 1001, NULL, "/heat", other_type, false));
        assert_non_null(strstr(why.text, "cannot be seen"));
        assert_false(may_use(a, 1001, NULL, "/heat"));
        assert_true(may(a, 1001, "", "/heat", other_type, false)); /* it has none: no rule is about it */
        assert_true(may(a, 1000, NULL, "/lamp", other_type, false));
        assert_false(may(a, 1000, NULL, "/heat", other_type, false));
        apps_free(a);
}

static void test_user_and_unit_must_both_fit(void **state) {
        struct apps_rules *a;

        WRITE("apps.d/both.conf", "[App]\nUser=1000\nUnit=heat.service\nRegister=/heat\n");
        a = load(0);
        assert_true(may(a, 1000, "heat.service", "/heat", other_type, false));
        assert_false(may(a, 1000, "heat.service", "/x", other_type, false));
        assert_true(may(a, 1000, "user@1000.service", "/x", other_type, false));
        assert_true(may(a, 1001, "heat.service", "/x", other_type, false));
        apps_free(a);
}

static void test_globs_add_up(void **state) {
        struct apps_rules *a;

        WRITE("apps.d/x.conf", "[App]\nUser=1000\nRegister=/a\nRegister=/b /c?\nRegister=\nTypes=x.*\n"
                               "Types=oic.r.*\nUse=\n");
        a = load(0);
        assert_true(may(a, 1000, "", "/a", other_type, false));
        assert_true(may(a, 1000, "", "/b", switch_type, false));
        assert_true(may(a, 1000, "", "/c1", switch_type, false));
        assert_false(may(a, 1000, "", "/c", switch_type, false));
        assert_false(may_use(a, 1000, "", "/a")); /* Use= names nothing */
        apps_free(a);
}

static void test_all_types_must_fit(void **state) {
        static const char *const both[] = { "oic.r.switch.binary", "oic.r.temperature" };
        const struct bus_caller caller = { .name = ":1.1", .uid = 1000, .unit = "" };
        struct resource_spec spec = { .href = "/a", .types = both, .n_types = 2 };
        struct apps_rules *a;

        WRITE("apps.d/x.conf", "[App]\nUser=1000\nRegister=*\nTypes=oic.r.switch.*\n");
        a = load(0);
        assert_false(apps_may_register(a, &caller, &spec, &why));
        assert_non_null(strstr(why.text, "Types= does not name each"));
        spec.n_types = 1;
        assert_true(apps_may_register(a, &caller, &spec, &why));
        apps_free(a);
}

static void test_reach_is_about_devices_and_hrefs(void **state) {
        static const struct uuid one = { { 0x9b, 0x8f, 1 } }, other = { { 0x9b, 2 } };
        const struct bus_caller caller = { .name = ":1.1", .uid = 1000, .unit = "" };
        struct bus_caller stranger = caller;
        struct apps_rules *a;

        stranger.uid = 1001;
        WRITE("apps.d/x.conf", "[App]\nUser=1000\nReach=9b8f*/light* */oic/d\n");
        a = load(0);
        assert_true(apps_may_reach(a, &caller, &one, "/light1", &why));
        assert_true(apps_may_reach(a, &caller, &other, "/oic/d", &why));
        assert_false(apps_may_reach(a, &caller, &other, "/light1", &why));
        assert_int_equal(why.fault, FAULT_NOT_ALLOWED);
        assert_non_null(strstr(why.text, "Reach= does not name it"));
        assert_non_null(strstr(why.text, "reach 9b020000-"));
        assert_false(apps_may_reach(a, &caller, &one, "/door", &why));
        assert_true(apps_may_reach(a, &stranger, &one, "/door", &why)); /* no rule is about it */
        assert_true(may_use(a, 1000, "", "/anything"));
        apps_free(a);
        WRITE("apps.d/x.conf", "[App]\nUser=1000\nReach=\n");
        a = load(0);
        assert_false(apps_may_reach(a, &caller, &one, "/light1", &why)); /* it names nothing */
        apps_free(a);
}

/* Rules that cannot be read must not be taken for none. */
static void test_a_directory_that_is_none(void **state) {
        struct apps_rules *a;

        rmdir(in_scratch("apps.d"));
        apps_free(load(0)); /* absent: no rules */
        WRITE("apps.d", "[App]\n");
        assert_int_equal(apps_load(&a, in_scratch("apps.d"), tell, NULL), -ENOTDIR);
}

/* A sentence has room for the longest names. */
static void test_long_names_are_cut(void **state) {
        struct apps_rules *a;
        char href[400];

        memset(href, '/', sizeof(href) - 1);
        href[sizeof(href) - 1] = 0;
        WRITE("apps.d/x.conf", "[App]\nUnit=heat.service\nRegister=/heat\n");
        a = load(0);
        assert_false(may(a, 1, NULL, href, other_type, false));
        assert_true(strlen(why.text) < sizeof(why.text));
        assert_non_null(strstr(why.text, "cannot be seen"));
        apps_free(a);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, rules_open, scratch_close)
        const struct CMUnitTest tests[] = {
                TEST(test_without_rules_everything_goes),
                TEST(test_rules_narrow),
                TEST(test_who_registers_nothing_may_not),
                TEST(test_mistakes_leave_nothing_half_read),
                TEST(test_users_by_name),
                TEST(test_a_unit_that_cannot_be_seen_does_not_pass),
                TEST(test_user_and_unit_must_both_fit),
                TEST(test_globs_add_up),
                TEST(test_reach_is_about_devices_and_hrefs),
                TEST(test_all_types_must_fit),
                TEST(test_a_directory_that_is_none),
                TEST(test_long_names_are_cut),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
