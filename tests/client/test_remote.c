#include "../unit.h"

#include "fake.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* Other devices through the library: who is there, what is asked of them, what is followed. */

#define LAMP_ID "00000000-0000-4000-8000-000000000001"

struct seen {
        char text[4096];
        struct ocf_client **free_client; /* in the callback */
        struct ocf_device *copy;
};

static void append(struct seen *s, const char *format, ...) OCF_PRINTF(2, 3);
static void append(struct seen *s, const char *format, ...) {
        size_t n = strlen(s->text);
        va_list args;

        va_start(args, format);
        vsnprintf(s->text + n, sizeof(s->text) - n, format, args);
        va_end(args);
}

static bool saw(const struct seen *s, const char *text) {
        return strstr(s->text, text) != NULL;
}

static void on_answer(void *userdata, int result, const char *text, const struct ocf_value *value) {
        append(userdata, "answer %s \"%s\" %s\n", ocf_result_name(result), text, fake_json(value));
}

static void on_device(void *userdata, int result, const char *text, const struct ocf_device *device) {
        struct seen *s = userdata;

        append(s, "device %s \"%s\" %s\n", ocf_result_name(result), text,
               device ? ocf_device_name(device) : "none");
        if (device && !s->copy)
                assert_int_equal(ocf_device_copy(&s->copy, device), 0);
        if (s->free_client)
                *s->free_client = ocf_client_free(*s->free_client);
}

static struct ocf_client *new_client(struct fake *f) {
        assert_int_equal(ocf_client_new(&f->client, f->address), 0);
        return f->client;
}

/* ---- who is there ---- */

static void test_discovers(void **state) {
        struct fake *f = *state;
        struct seen s = { 0 };

        fake_start(f);
        assert_int_equal(ocf_discover(new_client(f), 1500, on_device, &s), 0);
        FAKE_UNTIL(f, saw(&s, "none"));
        assert_string_equal(s.text, "device None \"\" Lamp\ndevice None \"\" Gate\ndevice None \"\" none\n");
        assert_true(fake_logged(f, "Discover {\"timeout_ms\":1500}\n"));
        f->client = ocf_client_free(f->client);
        /* the copy needs no client */
        assert_string_equal(ocf_device_id(s.copy), LAMP_ID);
        assert_string_equal(ocf_device_owner(s.copy), "");
        assert_int_equal(ocf_device_ownership(s.copy), OCF_OWNED_BY_NOBODY);
        assert_true(ocf_device_is_reachable(s.copy));
        assert_true(ocf_device_has_type(s.copy, "oic.d.light"));
        assert_false(ocf_device_has_type(s.copy, "oic.d"));
        assert_false(ocf_device_has_type(s.copy, NULL));
        assert_string_equal(fake_json(ocf_device_types(s.copy)), "[\"oic.wk.d\",\"oic.d.light\"]");
        assert_string_equal(fake_json(ocf_device_endpoints(s.copy)), "[\"coaps://[fe80::1%eth0]:5684\"]");
        assert_null(ocf_device_free(s.copy));
}

static void test_discovers_nobody(void **state) {
        struct fake *f = *state;
        struct seen s = { 0 };

        fake_start(f);
        f->has_no_remotes = true;
        assert_int_equal(ocf_discover(new_client(f), 7000, on_device, &s), 0);
        FAKE_UNTIL(f, s.text[0]);
        assert_string_equal(s.text, "device None \"\" none\n");
        f->fails = "LimitsExceeded";
        s.text[0] = 0;
        assert_int_equal(ocf_discover(f->client, 7000, on_device, &s), 0);
        FAKE_UNTIL(f, s.text[0]);
        assert_string_equal(s.text, "device LimitsExceeded \"no: LimitsExceeded\" none\n");
}

static void test_finds_one(void **state) {
        struct fake *f = *state;
        struct seen s = { 0 };

        fake_start(f);
        assert_int_equal(ocf_find_device(new_client(f), "Gate", on_device, &s), 0);
        FAKE_UNTIL(f, s.text[0]);
        assert_string_equal(s.text, "device None \"\" Gate\n");
        assert_int_equal(ocf_device_ownership(s.copy), OCF_OWNED_BY_US);
        assert_string_equal(ocf_device_owner(s.copy), "00000000-0000-4000-8000-00000000000f");
        assert_false(ocf_device_is_reachable(s.copy));
        ocf_device_free(s.copy);
        s = (struct seen){ 0 };
        assert_int_equal(ocf_find_device(f->client, "gone", on_device, &s), 0);
        FAKE_UNTIL(f, s.text[0]);
        assert_true(saw(&s, "device NotFound"));
        s.text[0] = 0;
        f->has_no_remotes = true;
        assert_int_equal(ocf_find_device(f->client, "Gate", on_device, &s), 0);
        FAKE_UNTIL(f, s.text[0]);
        assert_string_equal(s.text, "device NotFound \"no: NotFound\" none\n");
}

static void test_arguments_of_searches(void **state) {
        struct fake *f = *state;
        struct ocf_client *c = new_client(f);
        struct ocf_device *d = NULL;
        struct seen s = { 0 };

        assert_int_equal(ocf_discover(NULL, 1, on_device, &s), -EINVAL);
        assert_int_equal(ocf_discover(c, 0, on_device, &s), -EINVAL);
        assert_int_equal(ocf_discover(c, 60001, on_device, &s), -EINVAL);
        assert_int_equal(ocf_discover(c, 1, NULL, &s), -EINVAL);
        assert_int_equal(ocf_find_device(c, NULL, on_device, &s), -EINVAL);
        assert_int_equal(ocf_find_device(c, "", on_device, &s), -EINVAL);
        assert_int_equal(ocf_find_device(c, "\xff", on_device, &s), -EINVAL);
        assert_int_equal(ocf_find_device_wait(c, "x", NULL), -EINVAL);
        assert_int_equal(ocf_find_device_wait(NULL, "x", &d), -EINVAL);
        assert_int_equal(ocf_discover_wait(c, 1, NULL, NULL), -EINVAL);
        assert_int_equal(ocf_device_copy(&d, NULL), -EINVAL);
        assert_null(ocf_device_free(NULL));
        assert_string_equal(ocf_device_name(NULL), "");
        assert_int_equal(ocf_device_ownership(NULL), OCF_OWNERSHIP_UNKNOWN);
        assert_false(ocf_device_is_reachable(NULL));
        assert_null(ocf_device_types(NULL));
        assert_int_equal(ocf_retrieve(c, "ocf://", on_answer, &s), -EINVAL);
        assert_int_equal(ocf_retrieve(c, "ocf:///lamp", on_answer, &s), -EINVAL);
        assert_int_equal(ocf_retrieve(c, "ocf://Lamp", on_answer, &s), -EINVAL);
        assert_int_equal(ocf_retrieve(c, "coap://Lamp/lamp", on_answer, &s), -EINVAL);
        assert_string_equal(s.text, "");
}

static void test_searches_end_with_ocfd_and_client(void **state) {
        struct fake *f = *state;
        struct seen s = { 0 }, t = { 0 };

        assert_int_equal(ocf_discover(new_client(f), 1, on_device, &s), 0);
        FAKE_UNTIL(f, s.text[0]); /* there is no ocfd */
        assert_true(saw(&s, "device Unavailable \"ocfd is not running"));
        s.text[0] = 0;
        fake_start(f);
        f->is_mute = true;
        FAKE_UNTIL(f, ocf_client_state(f->client) == OCF_STATE_READY);
        assert_int_equal(ocf_discover(f->client, 1, on_device, &s), 0);
        FAKE_UNTIL(f, fake_logged(f, "Discover"));
        fake_stop(f);
        FAKE_UNTIL(f, s.text[0]);
        assert_string_equal(s.text,
                            "device Unavailable \"ocfd went away before the search was over\" none\n");
        assert_int_equal(ocf_find_device(f->client, "x", on_device, &t), 0);
        f->client = ocf_client_free(f->client);
        assert_string_equal(t.text, "device Operation canceled \"The client is gone\" none\n");
}

static void test_client_freed_while_devices_are_told(void **state) {
        struct fake *f = *state;
        struct seen s = { .free_client = &f->client };

        fake_start(f);
        assert_int_equal(ocf_discover(new_client(f), 100, on_device, &s), 0);
        FAKE_UNTIL(f, !f->client);
        fake_settle(f);
        ocf_device_free(s.copy);
        /* one was told; then the end, since the client was gone */
        assert_true(saw(&s, "device None \"\" Lamp\n"));
        assert_false(saw(&s, "Gate"));
}

/* ---- asked and followed ---- */

static void test_requests(void **state) {
        struct ocf_value *v = fake_value("{\"on\":true}");
        struct fake *f = *state;
        struct seen s = { 0 };
        struct ocf_client *c = new_client(f);

        fake_start(f);
        assert_int_equal(ocf_retrieve(c, "ocf://Gate/x/y?if=oic.if.baseline&a=b", on_answer, &s), 0);
        assert_int_equal(ocf_update(c, "ocf://" LAMP_ID "/lamp", v, on_answer, &s), 0);
        assert_int_equal(ocf_create(c, "ocf://Lamp/c", v, on_answer, &s), 0);
        assert_int_equal(ocf_delete(c, "ocf://Lamp/c", on_answer, &s), 0);
        FAKE_UNTIL(f, saw(&s, "none")); /* the last one has no value */
        assert_string_equal(s.text, "answer None \"\" {\"a\":1}\nanswer None \"\" {\"a\":1}\n"
                                    "answer None \"\" {\"a\":1}\nanswer None \"\" none\n");
        assert_true(fake_logged(f, "Retrieve Gate /x/y ?if=oic.if.baseline&a=b\n"));
        assert_true(fake_logged(f, "FindDevice " LAMP_ID "\n"));
        assert_true(fake_logged(f, "Update Lamp /lamp {\"on\":true}\n"));
        assert_true(fake_logged(f, "Update Lamp /c {\"on\":true} through oic.if.create\n"));
        assert_true(fake_logged(f, "Delete Lamp /c\n"));
        assert_false(fake_logged(f, "GetResource"));
        s.text[0] = 0;
        f->fails = "NotReachable";
        assert_int_equal(ocf_retrieve(c, "ocf://Lamp/lamp", on_answer, &s), 0);
        FAKE_UNTIL(f, s.text[0]);
        assert_string_equal(s.text, "answer NotReachable \"no: NotReachable\" none\n");
        s.text[0] = 0;
        f->has_no_remotes = true;
        assert_int_equal(ocf_retrieve(c, "ocf://Lamp/lamp", on_answer, &s), 0);
        FAKE_UNTIL(f, s.text[0]);
        assert_string_equal(s.text, "answer NotFound \"no: NotFound\" none\n");
        ocf_value_free(v);
}

static void test_follows(void **state) {
        struct fake *f = *state;
        struct seen s = { 0 };
        struct ocf_observation *o, *other;
        struct ocf_client *c = new_client(f);

        fake_start(f);
        assert_int_equal(ocf_observe(c, "ocf://Lamp/lamp?x=y", on_answer, &s, &o), 0);
        assert_int_equal(ocf_observe(c, "ocf://Lamp/lamp", on_answer, &s, &other), -EEXIST);
        FAKE_UNTIL(f, s.text[0]);
        assert_true(fake_logged(f, "Observe Lamp /lamp ?x=y\n"));
        fake_remote_notified(f, "{\"a\":2}", "push", NULL);
        fake_remote_notified(f, "{\"a\":2}", "stale", NULL);
        fake_remote_notified(f, "{\"a\":2}", "stale", NULL);
        fake_remote_notified(f, "{\"a\":3}", "poll", NULL);
        FAKE_UNTIL(f, saw(&s, "{\"a\":3}"));
        assert_string_equal(s.text,
                            "answer None \"\" {\"a\":1}\nanswer None \"\" {\"a\":2}\n"
                            "answer NotReachable \"The device does not answer: it is asked again and again\" "
                            "{\"a\":2}\nanswer None \"\" {\"a\":3}\n");
        s.text[0] = 0;
        f->value = "{\"a\":4}";
        fake_remote_notified(f, "{}", NULL, "org.ocfd.Error.Forbidden");
        FAKE_UNTIL(f, saw(&s, "{\"a\":4}")); /* it is asked for again */
        assert_true(saw(&s, "answer Forbidden"));
        assert_null(ocf_observation_free(o));
        FAKE_UNTIL(f, fake_logged(f, "StopObserve Lamp /lamp"));
}

static void test_followed_device_comes_later(void **state) {
        struct fake *f = *state;
        struct seen s = { 0 }, t = { 0 };
        struct ocf_observation *o, *none;
        struct ocf_client *c = new_client(f);

        fake_start(f);
        f->has_no_remotes = true;
        assert_int_equal(ocf_observe(c, "ocf://Lamp/lamp", on_answer, &s, &o), 0);
        FAKE_UNTIL(f, saw(&s, "answer NotFound \"no: NotFound\""));
        f->has_no_remotes = false;
        FAKE_UNTIL(f, saw(&s, "answer None \"\" {\"a\":1}"));
        assert_int_equal(ocf_observe(c, "ocf://Lamp/other", on_answer, &t, &none), 0);
        FAKE_UNTIL(f, t.text[0]);
        assert_string_equal(t.text, "answer NotFound \"The device has not told of such a resource\" none\n");
        fake_settle(f);
        assert_int_equal(fake_count(f, "Refresh Lamp"), 1); /* though it is looked for again and again */
        ocf_observation_free(none);
        f->fails = "NotReachable";
        t.text[0] = 0;
        assert_int_equal(ocf_observe(c, "ocf://Gate/other", on_answer, &t, &none), 0);
        FAKE_UNTIL(f, t.text[0]);
        assert_string_equal(t.text, "answer NotReachable \"no: NotReachable\" none\n");
        f->fails = NULL;
        s.text[0] = 0;
        fake_stop(f);
        FAKE_UNTIL(f, saw(&s, "answer Unavailable"));
        f->value = "{\"a\":5}";
        fake_start(f);
        FAKE_UNTIL(f, saw(&s, "answer None \"\" {\"a\":5}"));
}

int main(void) {
        const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fake_setup, fake_teardown)
                TEST(test_discovers),
                TEST(test_discovers_nobody),
                TEST(test_finds_one),
                TEST(test_arguments_of_searches),
                TEST(test_searches_end_with_ocfd_and_client),
                TEST(test_client_freed_while_devices_are_told),
                TEST(test_requests),
                TEST(test_follows),
                TEST(test_followed_device_comes_later),
        };

        if (!fake_has_bus()) {
                puts("SKIP: there is no dbus-daemon");
                return 77;
        }
        return cmocka_run_group_tests(tests, NULL, NULL);
}
