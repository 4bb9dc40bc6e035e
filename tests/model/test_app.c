#include "model_fixture.h"
#include "scarce_memory.h"

#include <errno.h>

static void test_register_and_leave(void **state) {
        struct told h = { .handler = { &published } };
        struct model *m = model_open();
        struct model_refusal why;
        struct model_event e;
        struct app *a;
        unsigned seen = 0;

        assert_int_equal(register_one(m, ":1.5", NULL, 0, lamp_spec("/lamp", &h.handler), &a, &why), 0);
        assert_string_equal(a->name, ":1.5");
        assert_ptr_equal(model_app_by_owner(m, ":1.5"), a);
        assert_ptr_equal(model_app_by_number(m, a->number), a);
        assert_ptr_equal(model_resource_by_number(m, find(m, "/lamp")->number), find(m, "/lamp"));
        while (model_event(m, &e)) {
                if (e.app && e.news & MODEL_NEWS_ADDED)
                        assert_int_equal(seen++, 0); /* the app before its resource */
                if (e.resource && e.news & MODEL_NEWS_ADDED && e.resource->app)
                        assert_int_equal(seen++, 1);
        }
        assert_int_equal(seen, 2);
        model_app_vanished(m, a, 2000);
        assert_null(find(m, "/lamp"));
        assert_int_equal(h.n_releases, 1);
        while (model_event(m, &e)) {
                if (e.resource && e.news & MODEL_NEWS_REMOVED)
                        assert_int_equal(seen++, 2);
                if (e.app && e.news & MODEL_NEWS_REMOVED)
                        assert_int_equal(seen++, 3);
        }
        assert_int_equal(seen, 4);
        assert_int_equal(quota_used(&m->quota, 1000, MODEL_QUOTA_RESOURCES), 0);
        model_free(m);
}

static void test_what_came_and_went_unseen_makes_no_news(void **state) {
        struct told h = { .handler = { &published } };
        struct model *m = model_open();
        struct model_refusal why;
        struct model_event e;
        struct app *a;

        assert_int_equal(register_one(m, ":1.5", NULL, 0, lamp_spec("/lamp", &h.handler), &a, &why), 0);
        model_unregister(m, a, NULL);
        while (model_event(m, &e))
                assert_true(e.resource && e.resource->mode == RESOURCE_CORE); /* /oic/res changed */
        model_free(m);
}

static void test_whole_or_not_at_all(void **state) {
        struct told h = { .handler = { &published } };
        struct resource_spec specs[] = { lamp_spec("/a", &h.handler), lamp_spec("/b", &h.handler),
                                         lamp_spec("/../c", &h.handler) };
        struct app_spec app = { .owner = ":1.5", .uid = 1000 };
        struct model *m = model_open();
        struct model_refusal why;
        struct app *a;

        assert_int_equal(model_register(m, 0, 0, &app, specs, 3, &a, &why), MODEL_E_REFUSED);
        assert_int_equal(why.fault, FAULT_INVALID_ARGUMENTS);
        assert_non_null(strstr(why.text, "/../c"));
        assert_null(find(m, "/a"));
        assert_null(model_app_by_owner(m, ":1.5"));
        assert_int_equal(h.handler.n_references, 0);
        assert_int_equal(h.n_releases, 0);
        model_free(m);
}

static void test_refusals_name_what_is_wrong(void **state) {
        static const char *const none[] = { "" }, *const twice[] = { "a.b", "a.b" },
                                 *const space[] = { "a b" }, *const unknown[] = { "oic.if.x" },
                                 *const links[] = { "oic.if.ll" };
        struct told h = { .handler = { &published } };
        struct model *m = model_open();
        struct resource_spec specs[24];
        char long_href[300], long_name[100];
        struct model_refusal why;
        struct app *a;
        size_t n = 0;
        static const char *const hrefs[] = { "",      "lamp",         "/",      "//a",
                                             "/a/",   "/a//b",        "/a/./b", "/../a",
                                             "/a?b",  "/a#b",         "/a%20b", "/a\nb",
                                             "/oic",  "/oic/x",       "/oc/x",  "/.well-known/core",
                                             "/\xff", "/\xef\xbf\xbf" };

        for (; n < ARRAY_SIZE(hrefs); n++)
                specs[n] = lamp_spec(hrefs[n], &h.handler);
        memset(long_href, 'a', sizeof(long_href));
        long_href[0] = '/';
        long_href[257] = 0;
        memset(long_name, 'n', sizeof(long_name));
        long_name[65] = 0;
        specs[n] = lamp_spec(long_href, &h.handler);
        specs[++n] = lamp_spec("/t", &h.handler);
        specs[n].types = none;
        specs[++n] = lamp_spec("/t", &h.handler);
        specs[n].types = twice, specs[n].n_types = 2;
        specs[++n] = lamp_spec("/t", &h.handler);
        specs[n].types = space;
        specs[++n] = lamp_spec("/t", &h.handler);
        specs[n].interfaces = unknown;
        n++;
        for (size_t i = 0; i < n; i++) {
                if (register_one(m, ":1.5", NULL, 0, specs[i], &a, &why) != MODEL_E_REFUSED)
                        fail_msg("%s was taken", specs[i].href);
                assert_int_equal(why.fault, FAULT_INVALID_ARGUMENTS);
                assert_true(strlen(why.text) > 10);
        }
        specs[0] = lamp_spec("/t", &h.handler);
        specs[0].interfaces = links; /* a published value has no links */
        assert_int_equal(register_one(m, ":1.5", NULL, 0, specs[0], &a, &why), MODEL_E_REFUSED);
        specs[0] = lamp_spec("/t", &h.handler);
        specs[0].name = long_name;
        assert_int_equal(register_one(m, ":1.5", NULL, 0, specs[0], &a, &why), MODEL_E_REFUSED);
        specs[0] = lamp_spec("/t", &h.handler);
        specs[0].n_types = 0;
        assert_int_equal(register_one(m, ":1.5", NULL, 0, specs[0], &a, &why), MODEL_E_REFUSED);
        specs[0] = lamp_spec("/t", &h.handler);
        specs[0].value = SPAN_LITERAL("\x01");
        assert_int_equal(register_one(m, ":1.5", NULL, 0, specs[0], &a, &why), MODEL_E_REFUSED);
        model_free(m);
}

static void test_an_href_belongs_to_one_app(void **state) {
        struct told h = { .handler = { &published } }, k = { .handler = { &published } };
        struct resource_spec twins[] = { lamp_spec("/b", &k.handler), lamp_spec("/b", &k.handler) };
        struct app_spec app = { .owner = ":1.6", .uid = 1000 };
        struct model *m = model_open();
        struct model_refusal why;
        struct app *a;

        assert_int_equal(register_one(m, ":1.5", "first", 0, lamp_spec("/lamp", &h.handler), &a, &why), 0);
        assert_int_equal(register_one(m, ":1.6", "second", 0, lamp_spec("/lamp", &k.handler), &a, &why),
                         MODEL_E_REFUSED);
        assert_int_equal(why.fault, FAULT_ALREADY_EXISTS);
        assert_non_null(strstr(why.text, "first"));
        assert_int_equal(model_register(m, 0, 0, &app, twins, 2, &a, &why), MODEL_E_REFUSED);
        assert_int_equal(why.fault, FAULT_INVALID_ARGUMENTS);
        assert_int_equal(model_register(m, 0, 7, &app, twins, 1, &a, &why), MODEL_E_REFUSED);
        assert_int_equal(why.fault, FAULT_NOT_FOUND);
        assert_int_equal(model_register(m, 0, 0, &app, twins, 0, &a, &why), MODEL_E_REFUSED);
        model_free(m);
}

static void test_quotas_are_per_user(void **state) {
        struct told h = { .handler = { &published } };
        struct model *m = model_open();
        struct resource_spec big = lamp_spec("/big", &h.handler);
        uint8_t value[MODEL_REP_MAX + 16] = { 0xa1, 0x61, 'x', 0x59, 0xff, 0x00 };
        struct model_refusal why;
        char href[16], owner[16];
        struct app *a;
        int r = 0, n = 0;

        for (; n < 100 && !r; n++) {
                snprintf(href, sizeof(href), "/r%d", n);
                r = register_one(m, ":1.5", NULL, 0, lamp_spec(href, &h.handler), &a, &why);
        }
        assert_int_equal(n, 65);
        assert_int_equal(why.fault, FAULT_LIMITS_EXCEEDED);
        model_unregister(m, a, NULL);
        {
                struct model_event e;

                while (model_event(m, &e))
                        ;
        }
        for (n = 0, r = 0; n < 10 && !r; n++) {
                snprintf(owner, sizeof(owner), ":1.%d", n + 10);
                snprintf(href, sizeof(href), "/r%d", n);
                r = register_one(m, owner, NULL, 0, lamp_spec(href, &h.handler), &a, &why);
        }
        assert_int_equal(n, 5);
        big.value = span_of(value, 6 + 0xff00);
        for (n = 0, r = 0; n < 20 && !r; n++) {
                snprintf(href, sizeof(href), "/big%d", n);
                big.href = href;
                r = register_one(m, ":1.10", NULL, 0, big, &a, &why);
        }
        assert_int_equal(r, MODEL_E_REFUSED);
        assert_int_equal(why.fault, FAULT_LIMITS_EXCEEDED);
        assert_true(n < 12);
        big.value = span_of(value, sizeof(value));
        value[3] = 0x5a, value[4] = 0, value[5] = 1, value[6] = 0, value[7] = 8; /* more than 64 KiB */
        assert_int_equal(register_one(m, ":1.10", NULL, 0, big, &a, &why), MODEL_E_REFUSED);
        assert_int_equal(why.fault, FAULT_TOO_LARGE);
        model_free(m);
}

static void test_linger_and_come_back(void **state) {
        struct told h = { .handler = { &published } }, k = { .handler = { &published } };
        struct model *m = model_open();
        struct model_refusal why;
        struct model_event e;
        struct app *a, *again;
        uint64_t number;

        assert_int_equal(register_one(m, ":1.5", "lamp", 5000, lamp_spec("/lamp", &h.handler), &a, &why), 0);
        assert_int_equal(register_one(m, ":1.5", "lamp", 5000, lamp_spec("/other", &h.handler), &a, &why), 0);
        number = find(m, "/lamp")->number;
        model_app_vanished(m, a, 10000);
        assert_int_equal(h.n_releases, 1);
        assert_false(resource_is_available(find(m, "/lamp")));
        assert_int_equal(fault_of(m, request(COAP_GET, "/lamp", "")), FAULT_UNAVAILABLE);
        assert_int_equal(model_deadline(m), 15000);
        while (model_event(m, &e))
                ;
        /* somebody else does not get it meanwhile */
        assert_int_equal(register_one(m, ":1.7", "thief", 0, lamp_spec("/lamp", &k.handler), &again, &why),
                         MODEL_E_REFUSED);
        assert_int_equal(register_one(m, ":1.8", "lamp", 5000, lamp_spec("/lamp", &k.handler), &again, &why),
                         0);
        assert_ptr_equal(again, a);
        assert_string_equal(a->owner, ":1.8");
        assert_int_equal(find(m, "/lamp")->number, number); /* so its observers are still there */
        assert_true(resource_is_available(find(m, "/lamp")));
        assert_false(resource_is_available(find(m, "/other")));
        model_expire(m, 15000);
        assert_null(find(m, "/other")); /* it was not registered again */
        assert_non_null(find(m, "/lamp"));
        model_app_vanished(m, a, 20000);
        model_expire(m, 24999);
        assert_non_null(find(m, "/lamp"));
        model_expire(m, 25000);
        assert_null(find(m, "/lamp"));
        assert_true(list_is_empty(&m->apps));
        model_free(m);
}

static void test_hrefs_of_the_last_run(void **state) {
        struct model *m = model_open();

        assert_int_equal(model_expect(m, 0, SPAN_LITERAL("/lamp"), 5000), 0);
        assert_int_equal(fault_of(m, request(COAP_GET, "/lamp", "")), FAULT_UNAVAILABLE);
        assert_int_equal(fault_of(m, request(COAP_GET, "/lamps", "")), FAULT_NOT_FOUND);
        assert_int_equal(model_deadline(m), 5000);
        model_expire(m, 5000);
        assert_int_equal(fault_of(m, request(COAP_GET, "/lamp", "")), FAULT_NOT_FOUND);
        model_free(m);
}

static void test_handlers_are_released_with_their_last_resource(void **state) {
        struct told h = { .handler = { &handled } };
        struct model *m = model_open();
        struct model_refusal why;
        struct app *a;

        assert_int_equal(register_one(m, ":1.5", NULL, 0, lamp_spec("/a", &h.handler), &a, &why), 0);
        assert_int_equal(register_one(m, ":1.5", NULL, 0, lamp_spec("/b", &h.handler), &a, &why), 0);
        model_unregister(m, a, find(m, "/a"));
        assert_int_equal(h.n_releases, 0);
        model_unregister(m, a, find(m, "/b"));
        assert_int_equal(h.n_releases, 1);
        model_free(m);
}

/* Whatever allocation fails, the model is as it was, and nothing leaks (the quota asserts that nobody owes).
 */
static void test_every_allocation_refused_once(void **state) {
        struct told h = { .handler = { &published } };
        struct resource_spec specs[] = { lamp_spec("/a", &h.handler), lamp_spec("/b", &h.handler) };
        struct app_spec app = { .owner = ":1.5", .name = "lamp", .uid = 1000 };
        struct model_refusal why;
        struct app *a;
        int r, n = 0;

        for (bool done = false; !done; n++) {
                struct model *m = model_open();

                allocations_left = n;
                r = model_register(m, 0, 0, &app, specs, 2, &a, &why);
                done = allocations_left >= 0;
                allocations_left = -1;
                assert_int_equal(r, done ? 0 : -ENOMEM);
                assert_int_equal(find(m, "/a") != NULL, done);
                assert_int_equal(h.handler.n_references, done ? 2 : 0);
                model_free(m);
        }
        assert_true(n > 10);
        for (n = 0;; n++) {
                struct model *m;

                allocations_left = n;
                r = model_new(&m, &platform, LIMITS);
                allocations_left = -1;
                if (!r) {
                        model_free(m);
                        break;
                }
                assert_int_equal(r, -ENOMEM);
        }
}

static void test_ten_thousand(void **state) {
        struct told h = { .handler = { &published } };
        struct model_event e;
        struct model_refusal why;
        struct app *a = NULL;
        struct model *m;
        char href[16];

        assert_int_equal(model_new(&m, &platform, ((uint64_t[]){ 1, 20000, 1 << 30 })), 0);
        add_device(m, 1);
        for (int i = 0; i < 10000; i++) {
                snprintf(href, sizeof(href), "/r/%d", i);
                assert_int_equal(register_one(m, ":1.5", NULL, 0, lamp_spec(href, &h.handler), &a, &why), 0);
        }
        for (int i = 0; i < 10000; i += 997) {
                snprintf(href, sizeof(href), "/r/%d", i);
                assert_non_null(find(m, href));
        }
        while (model_event(m, &e))
                ;
        {
                struct ocf_request q = request(COAP_GET, "/oic/res", "");
                struct ocf_response response;

                m->allow_insecure = true;
                assert_int_equal(ask(m, &q, &response), MODEL_ANSWERED);
                assert_int_equal(response.fault, 0);
                assert_true(response.rep.n > 1000000);
        }
        model_app_vanished(m, a, 0);
        model_free(m);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_register_and_leave),
                cmocka_unit_test(test_what_came_and_went_unseen_makes_no_news),
                cmocka_unit_test(test_whole_or_not_at_all),
                cmocka_unit_test(test_refusals_name_what_is_wrong),
                cmocka_unit_test(test_an_href_belongs_to_one_app),
                cmocka_unit_test(test_quotas_are_per_user),
                cmocka_unit_test(test_linger_and_come_back),
                cmocka_unit_test(test_hrefs_of_the_last_run),
                cmocka_unit_test(test_handlers_are_released_with_their_last_resource),
                cmocka_unit_test(test_every_allocation_refused_once),
                cmocka_unit_test(test_ten_thousand),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
