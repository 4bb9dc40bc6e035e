#include "../unit.h"
#include "world.h"

#include <stdio.h>
#include <stdlib.h>

/* Manager1.Register: as a whole or not at all, and the sentence names what was wrong. */

#define INVALID "org.ocfd.Error.InvalidArguments"

static sd_bus_message *try_resource(struct world *w, sd_bus *client, const char *href, const char *types,
                                    ...) {
        sd_bus_message *m = world_registration(client);
        va_list args;

        assert_true(sd_bus_message_open_container(m, 'r', "sa{sv}") >= 0);
        assert_true(sd_bus_message_append_basic(m, 's', href) >= 0);
        va_start(args, types);
        assert_true(sd_bus_message_appendv(m, types, args) >= 0);
        va_end(args);
        assert_true(sd_bus_message_close_container(m) >= 0);
        return world_register(w, client, m, "a{sv}", 0);
}

static void lamp_is_an_object(void **state) {
        struct world *w = *state;
        sd_bus *client = world_client(w);
        const char *text, *app = world_publish_lamp(w, client, "/lamp");
        sd_bus_message *reply;
        struct resource *r = model_resource_find(w->model, 0, SPAN_LITERAL("/lamp"));
        int yes;

        assert_int_equal(r->mode, RESOURCE_PUBLISHED);
        reply = world_call(w, client, "/org/ocfd", OCFD ".Manager1", "GetResource", "os", "/", "/lamp");
        assert_true(sd_bus_message_read(reply, "o", &text) >= 0);
        assert_string_equal(text, world_path_of(w, "/lamp"));
        sd_bus_message_unref(reply);
        reply = world_call(w, client, app, "org.freedesktop.DBus.Properties", "Get", "ss",
                           OCFD ".Application1", "State");
        assert_true(sd_bus_message_read(reply, "v", "s", &text) >= 0);
        assert_string_equal(text, "present");
        sd_bus_message_unref(reply);
        reply = world_call(w, client, world_path_of(w, "/lamp"), "org.freedesktop.DBus.Properties", "Get",
                           "ss", OCFD ".Resource1", "Available");
        assert_true(sd_bus_message_read(reply, "v", "b", &yes) >= 0);
        assert_true(yes);
        sd_bus_message_unref(reply);
}

static void second_registration_adds(void **state) {
        struct world *w = *state;
        sd_bus *client = world_client(w);
        char *first = strdup(world_publish_lamp(w, client, "/a"));

        assert_string_equal(world_publish_lamp(w, client, "/b"), first);
        free(first);
}

static void all_properties_arrive(void **state) {
        struct world *w = *state;
        sd_bus *client = world_client(w);
        sd_bus_message *m = world_registration(client);
        struct resource *r;

        world_add(m, "/all", "a{sv}", 7, "rt", "as", 2, "x.a", "x.b", "if", "as", 1, "oic.if.r", "n", "s",
                  "Name", "handler", "o", "/some/where", "discoverable", "b", 0, "observable", "b", 0,
                  "insecure", "b", 1);
        assert_fine(
                world_register(w, client, m, "a{sv}", 2, "name", "s", "my app", "linger_ms", "t", 5000ull));
        r = model_resource_find(w->model, 0, SPAN_LITERAL("/all"));
        assert_int_equal(r->mode, RESOURCE_HANDLED);
        assert_int_equal(r->n_types, 2);
        assert_string_equal(r->types[1], "x.b");
        assert_string_equal(r->name, "Name");
        assert_false(r->discoverable || r->observable);
        assert_true(r->insecure);
        assert_string_equal(r->app->name, "my app");
        assert_int_equal(r->app->linger_ms, 5000);
}

/* Both share the handler that is told of updates; neither is left, nor is the handler freed twice. */
static void one_bad_among_good_refuses_all(void **state) {
        struct world *w = *state;
        sd_bus *client = world_client(w);

        for (int handled = 0; handled < 2; handled++) {
                sd_bus_message *m = world_registration(client);

                world_add(m, "/good", "a{sv}", handled ? 2 : 1, "rt", "as", 1, "x.a", "handler", "o", "/h");
                world_add(m, "/also", "a{sv}", handled ? 2 : 1, "rt", "as", 1, "x.a", "handler", "o", "/h");
                world_add(m, "/bad/../x", "a{sv}", handled ? 2 : 1, "rt", "as", 1, "x.a", "handler", "o",
                          "/h");
                assert_error(world_register(w, client, m, "a{sv}", 0), INVALID, "/bad/../x");
                assert_null(model_resource_find(w->model, 0, SPAN_LITERAL("/good")));
        }
        assert_true(list_is_empty(&w->model->apps));
        assert_fine(try_resource(w, client, "/good", "a{sv}", 1, "rt", "as", 1, "x.a"));
}

static void handler_named_twice_counts_once(void **state) {
        struct world *w = *state;
        sd_bus *client = world_client(w);
        struct bus_client *c;
        size_t n = 0;

        assert_fine(try_resource(w, client, "/x", "a{sv}", 4, "rt", "as", 1, "x.a", "handler", "o", "/h1",
                                 "handler", "o", "/h2", "handler", "o", "/h3"));
        c = LIST_ENTRY(list_first(&w->bus->clients), struct bus_client, link);
        LIST_FOR_EACH(i, &c->handlers)
        n++;
        assert_int_equal(n, 1); /* what no resource uses is not kept */
}

static void hrefs_that_cannot_be(void **state) {
        static const char *const hrefs[] = { "",    "/",      "lamp",          "/a/../b",  "/..",     "/a//b",
                                             "/a/", "/a/./b", "/oic/sec/doxm", "/oic/res", "/oc/con", "//" };
        struct world *w = *state;
        sd_bus *client = world_client(w);
        char *longer = calloc(1, 1024 * 1024 + 2);

        for (size_t i = 0; i < ARRAY_SIZE(hrefs); i++)
                assert_error(try_resource(w, client, hrefs[i], "a{sv}", 1, "rt", "as", 1, "x.a"), INVALID,
                             "");
        memset(longer, '/', 1);
        memset(longer + 1, 'x', 1024 * 1024);
        assert_error(try_resource(w, client, longer, "a{sv}", 1, "rt", "as", 1, "x.a"), INVALID, "");
        free(longer);
}

static void wrong_types_name_the_key(void **state) {
        struct world *w = *state;
        sd_bus *client = world_client(w);

        assert_error(try_resource(w, client, "/x", "a{sv}", 1, "rt", "s", "x"), INVALID, "\"rt\" of /x");
        assert_error(try_resource(w, client, "/x", "a{sv}", 1, "if", "as", 0, "rt"), INVALID, "");
        assert_error(try_resource(w, client, "/x", "a{sv}", 1, "n", "u", 1), INVALID, "\"n\" of /x");
        assert_error(try_resource(w, client, "/x", "a{sv}", 1, "value", "s", "v"), INVALID,
                     "\"value\" of /x");
        assert_error(try_resource(w, client, "/x", "a{sv}", 1, "handler", "s", "v"), INVALID,
                     "\"handler\" of /x");
        assert_error(try_resource(w, client, "/x", "a{sv}", 1, "insecure", "s", "yes"), INVALID,
                     "\"insecure\" of /x");
        assert_error(try_resource(w, client, "/x", "a{sv}", 1, "colour", "s", "red"), INVALID,
                     "discoverable, observable and insecure");
}

static void options_that_cannot_be(void **state) {
        struct world *w = *state;
        sd_bus *client = world_client(w);
        sd_bus_message *m;

        m = world_registration(client);
        assert_error(world_register(w, client, m, "a{sv}", 1, "name", "s", ""), INVALID, "1 to 64 bytes");
        m = world_registration(client);
        assert_error(world_register(w, client, m, "a{sv}", 1, "linger_ms", "s", "long"), INVALID,
                     "linger_ms is t");
        m = world_registration(client);
        assert_error(world_register(w, client, m, "a{sv}", 1, "colour", "s", "red"), INVALID,
                     "name (s) and linger_ms (t)");
        m = world_registration(client);
        world_add(m, "/x", "a{sv}", 1, "rt", "as", 1, "x.a");
        assert_fine(world_register(w, client, m, "a{sv}", 1, "linger_ms", "t", UINT64_MAX));
        assert_int_equal(LIST_ENTRY(list_first(&w->model->apps), struct app, link)->linger_ms,
                         MODEL_LINGER_MAX_MS);
}

static void empty_registration(void **state) {
        struct world *w = *state;
        sd_bus *client = world_client(w);

        assert_error(world_register(w, client, world_registration(client), "a{sv}", 0), INVALID, "");
}

static void unknown_device(void **state) {
        static const char *const paths[] = { "/org/ocfd/device/1", "/org/ocfd/device/00", "/org/ocfd/device",
                                             "/org/ocfd/device/18446744073709551616" };
        struct world *w = *state;
        sd_bus *client = world_client(w);

        for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
                assert_error(world_call(w, client, "/org/ocfd", OCFD ".Manager1", "Register",
                                        "oa(sa{sv})a{sv}", paths[i], 1, "/x", 1, "rt", "as", 1, "x.a", 0),
                             "org.ocfd.Error.NotFound", "\"/\" means the first one");
                assert_error(world_call(w, client, "/org/ocfd", OCFD ".Manager1", "GetResource", "os",
                                        paths[i], "/x"),
                             "org.ocfd.Error.NotFound", "\"/\" means the first one");
        }
}

static void taken_href_names_the_other(void **state) {
        struct world *w = *state;
        sd_bus *one = world_client(w), *two = world_client(w);
        const char *name;

        world_publish_lamp(w, one, "/lamp");
        sd_bus_get_unique_name(one, &name);
        assert_error(try_resource(w, two, "/lamp", "a{sv}", 1, "rt", "as", 1, "x.a"),
                     "org.ocfd.Error.AlreadyExists", name);
}

static void rules_refuse(void **state) {
        struct world *w = *state;

        w->refuses_apps = true;
        assert_error(try_resource(w, world_client(w), "/lamp", "a{sv}", 1, "rt", "as", 1, "x.a"),
                     "org.ocfd.Error.NotAllowed", "No rule admits it");
}

/* Cut to what fits it must still be text, or the bus hangs up on us. */
static void unknown_keys_are_cut_between_characters(void **state) {
        struct world *w = *state;
        sd_bus *client = world_client(w);
        char key[200];

        for (int offset = 0; offset < 4; offset++) {
                memset(key, 'x', (size_t)offset);
                key[offset] = 0;
                for (int i = 0; i < 30; i++)
                        strcat(key, "\xf0\x9f\x92\xa9");
                assert_error(try_resource(w, client, "/x", "a{sv}", 1, key, "s", ""), INVALID, "unknown");
                assert_error(try_resource(w, client, key, "a{sv}", 1, "n", "u", 1), INVALID, "wrong type");
                assert_error(world_register(w, client, world_registration(client), "a{sv}", 1, key, "s", ""),
                             INVALID, "unknown");
                assert_error(world_call(w, client, "/org/ocfd/resource/1", OCFD ".Resource1", "Retrieve",
                                        "a{sv}", 1, key, "s", ""),
                             INVALID, "unknown");
        }
        assert_int_equal(w->n_lost, 0);
        assert_int_equal(w->bus->state, BUS_READY);
}

static void endless_lists_are_refused(void **state) {
        struct world *w = *state;
        sd_bus *client = world_client(w);
        sd_bus_message *m = world_registration(client);

        assert_true(sd_bus_message_open_container(m, 'r', "sa{sv}") >= 0);
        assert_true(sd_bus_message_append(m, "s", "/x") >= 0);
        assert_true(sd_bus_message_open_container(m, 'a', "{sv}") >= 0);
        assert_true(sd_bus_message_open_container(m, 'e', "sv") >= 0);
        assert_true(sd_bus_message_append(m, "s", "rt") >= 0);
        assert_true(sd_bus_message_open_container(m, 'v', "as") >= 0);
        assert_true(sd_bus_message_open_container(m, 'a', "s") >= 0);
        for (int i = 0; i < 200000; i++)
                assert_true(sd_bus_message_append_basic(m, 's', "") >= 0);
        for (int i = 0; i < 5; i++)
                assert_true(sd_bus_message_close_container(m) >= 0);
        assert_error(world_register(w, client, m, "a{sv}", 0), INVALID, "\"rt\" of /x");
}

static void values_nested_too_deep(void **state) {
        struct world *w = *state;
        sd_bus *client = world_client(w);

        for (int depth = 14; depth <= 28; depth += 2) {
                sd_bus_message *m = world_registration(client);
                sd_bus_message *reply;

                assert_true(sd_bus_message_open_container(m, 'r', "sa{sv}") >= 0);
                assert_true(sd_bus_message_append(m, "s", "/deep") >= 0);
                assert_true(sd_bus_message_open_container(m, 'a', "{sv}") >= 0);
                assert_true(sd_bus_message_append(m, "{sv}", "rt", "as", 1, "x.a") >= 0);
                assert_true(sd_bus_message_open_container(m, 'e', "sv") >= 0);
                assert_true(sd_bus_message_append(m, "s", "value") >= 0);
                assert_true(sd_bus_message_open_container(m, 'v', "a{sv}") >= 0);
                assert_true(sd_bus_message_open_container(m, 'a', "{sv}") >= 0);
                assert_true(sd_bus_message_open_container(m, 'e', "sv") >= 0);
                assert_true(sd_bus_message_append(m, "s", "x") >= 0);
                for (int i = 1; i < depth; i++) {
                        assert_true(sd_bus_message_open_container(m, 'v', "av") >= 0);
                        assert_true(sd_bus_message_open_container(m, 'a', "v") >= 0);
                }
                assert_true(sd_bus_message_append(m, "v", "b", 1) >= 0);
                for (int i = 1; i < depth; i++) {
                        assert_true(sd_bus_message_close_container(m) >= 0);
                        assert_true(sd_bus_message_close_container(m) >= 0);
                }
                for (int i = 0; i < 6; i++)
                        assert_true(sd_bus_message_close_container(m) >= 0);
                reply = world_register(w, client, m, "a{sv}", 0);
                if (depth <= 16) {
                        assert_fine(reply);
                        model_unregister(w->model,
                                         model_resource_find(w->model, 0, SPAN_LITERAL("/deep"))->app, NULL);
                } else {
                        assert_error(reply, INVALID, "The value of /deep");
                }
        }
}

static void vanishing_undoes_it(void **state) {
        struct world *w = *state;
        sd_bus *client = world_client(w), *other = world_client(w);

        world_publish_lamp(w, other, "/stays");
        world_publish_lamp(w, client, "/goes");
        world_client_close(w, client);
        WORLD_UNTIL(w, !model_resource_find(w->model, 0, SPAN_LITERAL("/goes")));
        assert_non_null(model_resource_find(w->model, 0, SPAN_LITERAL("/stays")));
        assert_int_equal(w->n_vanished, 1);
}

/* It leaves between its call and the answer to the question who it is. */
static void vanishing_at_once_leaves_nothing(void **state) {
        struct world *w = *state;

        for (int i = 0; i < 30; i++) {
                sd_bus *client = world_client(w);
                sd_bus_message *m = world_registration(client);

                world_add(m, "/x", "a{sv}", 1, "rt", "as", 1, "x.a");
                assert_true(sd_bus_message_close_container(m) >= 0);
                assert_true(sd_bus_message_append(m, "a{sv}", 0) >= 0);
                assert_true(sd_bus_send(client, m, NULL) >= 0);
                sd_bus_message_unref(m);
                for (int n = 0; n < i; n++)
                        bus_process(w->bus, 0);
                sd_bus_flush(client);
                world_client_close(w, client);
                for (int n = 0; n < i; n++)
                        bus_process(w->bus, 0);
        }
        WORLD_UNTIL(w, list_is_empty(&w->bus->clients) && list_is_empty(&w->model->apps));
}

static void nobody_waits_for_the_answer(void **state) {
        struct world *w = *state;
        sd_bus *client = world_client(w);
        sd_bus_message *m = world_registration(client);

        world_add(m, "/quiet", "a{sv}", 1, "rt", "as", 1, "x.a");
        assert_true(sd_bus_message_close_container(m) >= 0);
        assert_true(sd_bus_message_append(m, "a{sv}", 0) >= 0);
        assert_true(sd_bus_message_set_expect_reply(m, 0) >= 0);
        assert_true(sd_bus_send(client, m, NULL) >= 0);
        sd_bus_message_unref(m);
        WORLD_UNTIL(w, model_resource_find(w->model, 0, SPAN_LITERAL("/quiet")));
        world_settle(w);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(lamp_is_an_object, world_setup, world_teardown),
                cmocka_unit_test_setup_teardown(second_registration_adds, world_setup, world_teardown),
                cmocka_unit_test_setup_teardown(all_properties_arrive, world_setup, world_teardown),
                cmocka_unit_test_setup_teardown(one_bad_among_good_refuses_all, world_setup, world_teardown),
                cmocka_unit_test_setup_teardown(handler_named_twice_counts_once, world_setup, world_teardown),
                cmocka_unit_test_setup_teardown(hrefs_that_cannot_be, world_setup, world_teardown),
                cmocka_unit_test_setup_teardown(wrong_types_name_the_key, world_setup, world_teardown),
                cmocka_unit_test_setup_teardown(options_that_cannot_be, world_setup, world_teardown),
                cmocka_unit_test_setup_teardown(empty_registration, world_setup, world_teardown),
                cmocka_unit_test_setup_teardown(unknown_device, world_setup, world_teardown),
                cmocka_unit_test_setup_teardown(taken_href_names_the_other, world_setup, world_teardown),
                cmocka_unit_test_setup_teardown(rules_refuse, world_setup, world_teardown),
                cmocka_unit_test_setup_teardown(unknown_keys_are_cut_between_characters, world_setup,
                                                world_teardown),
                cmocka_unit_test_setup_teardown(endless_lists_are_refused, world_setup, world_teardown),
                cmocka_unit_test_setup_teardown(values_nested_too_deep, world_setup, world_teardown),
                cmocka_unit_test_setup_teardown(vanishing_undoes_it, world_setup, world_teardown),
                cmocka_unit_test_setup_teardown(vanishing_at_once_leaves_nothing, world_setup,
                                                world_teardown),
                cmocka_unit_test_setup_teardown(nobody_waits_for_the_answer, world_setup, world_teardown),
        };

        if (!world_has_bus()) {
                printf("SKIP: there is no dbus-daemon\n");
                return 77;
        }
        return cmocka_run_group_tests(tests, NULL, NULL);
}
