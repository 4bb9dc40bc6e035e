#include "../model/model_fixture.h"
#include "daemon/hrefs.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char directory[] = "/tmp/ocfd-hrefs-XXXXXX";

static int open_directory(void **state) {
        return mkdtemp(directory) ? 0 : -1;
}

static int close_directory(void **state) {
        char file[64];

        snprintf(file, sizeof(file), "%s/hrefs", directory);
        unlink(file);
        return rmdir(directory);
}

static void write_list(const char *text) {
        char file[64];
        FILE *f;

        snprintf(file, sizeof(file), "%s/hrefs", directory);
        f = fopen(file, "w");
        assert_non_null(f);
        fputs(text, f);
        fclose(f);
}

static struct model *restarted(void) {
        struct model *m = model_open();

        assert_int_equal(hrefs_load(directory, m, 1000), 0);
        return m;
}

static void test_what_was_there_is_awaited(void **state) {
        struct told h = { .handler = { &published } };
        static const struct secure_resource_spec ours = { .href = "/oic/sec/doxm", .type = "oic.r.doxm" };
        struct model *m = restarted();
        struct model_refusal why;
        struct resource *r;
        struct app *a;

        assert_int_equal(fault_of(m, request(COAP_GET, "/lamp", "")), FAULT_NOT_FOUND);
        assert_int_equal(model_add_secure_resource(m, m->devices[0], &ours, &r), 0);
        assert_int_equal(register_one(m, ":1.5", NULL, 0, lamp_spec("/lamp", &h.handler), &a, &why), 0);
        assert_int_equal(register_one(m, ":1.5", NULL, 0, lamp_spec("/a b/ü", &h.handler), &a, &why), 0);
        assert_int_equal(hrefs_save(directory, m), 0);
        model_free(m);
        m = restarted();
        assert_int_equal(fault_of(m, request(COAP_GET, "/lamp", "")), FAULT_UNAVAILABLE);
        assert_int_equal(fault_of(m, request(COAP_GET, "/a b/ü", "")), FAULT_UNAVAILABLE);
        assert_int_equal(fault_of(m, request(COAP_GET, "/other", "")), FAULT_NOT_FOUND);
        assert_int_equal(fault_of(m, request(COAP_GET, "/oic/sec/doxm", "")), FAULT_NOT_FOUND); /* no app's */
        model_expire(m, 1000 + HREFS_GRACE_MS);
        assert_int_equal(fault_of(m, request(COAP_GET, "/lamp", "")), FAULT_NOT_FOUND);
        model_free(m);
}

/* Restarted twice in a row: who has not come back in between is still awaited. */
static void test_a_second_restart(void **state) {
        struct told h = { .handler = { &published } };
        struct model_refusal why;
        struct model *m;
        struct app *a;

        write_list("0 /lamp\n0 /slow\n");
        m = restarted();
        assert_int_equal(register_one(m, ":1.5", NULL, 0, lamp_spec("/lamp", &h.handler), &a, &why), 0);
        assert_int_equal(hrefs_save(directory, m), 0);
        model_free(m);
        m = restarted();
        assert_int_equal(fault_of(m, request(COAP_GET, "/slow", "")), FAULT_UNAVAILABLE);
        model_free(m);
}

static void test_lines_that_nobody_wrote(void **state) {
        struct model *m;

        write_list("nonsense\n\n7 /device-that-is-not\n0 no-slash\n-1 /x\n99999999 /x\n0 /good\n0 /cut-off");
        m = restarted();
        assert_int_equal(fault_of(m, request(COAP_GET, "/good", "")), FAULT_UNAVAILABLE);
        assert_int_equal(fault_of(m, request(COAP_GET, "/x", "")), FAULT_NOT_FOUND);
        model_free(m);
}

static void test_nowhere_to_write(void **state) {
        struct model *m = model_open();

        assert_true(hrefs_save("/proc/nowhere", m) < 0);
        assert_int_equal(hrefs_load("/proc/nowhere", m, 0), 0);
        model_free(m);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_what_was_there_is_awaited),
                cmocka_unit_test(test_a_second_restart),
                cmocka_unit_test(test_lines_that_nobody_wrote),
                cmocka_unit_test(test_nowhere_to_write),
        };

        return cmocka_run_group_tests(tests, open_directory, close_directory);
}
