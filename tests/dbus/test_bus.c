#include "../unit.h"
#include "world.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

/* The connection: made, lost, made again; its objects as a whole; and users who mean harm. */

#define ERROR(name) "org.ocfd.Error." name
#define PROPERTIES  "org.freedesktop.DBus.Properties"
#define LATER       (1ull << 60) /* us: a time that is not now */

static int count(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        ++*(unsigned *)userdata;
        return 0;
}

static void listen_for(sd_bus *client, const char *interface, const char *member, unsigned *n) {
        *n = 0;
        assert_true(sd_bus_match_signal_async(client, NULL, OCFD, NULL, interface, member, count, NULL, n) >=
                    0);
}

/* ---- made, lost, made again ---- */

static void lost_and_found(void **state) {
        struct world *w = *state;
        sd_bus *app = world_client(w), *client = world_client(w);
        struct bus_status status;
        sd_bus_message *m;

        bus_get_status(w->bus, &status);
        assert_int_equal(status.state, BUS_READY);
        assert_int_equal(status.last_error, 0);
        assert_string_equal(status.address, w->address);
        world_publish_lamp(w, app, "/lamp");
        assert_fine(
                world_call(w, client, world_path_of(w, "/lamp"), OCFD ".Resource1", "Observe", "a{sv}", 0));
        w->holds = true;
        m = world_message(client, world_path_of(w, "/lamp"), OCFD ".Resource1", "Retrieve");
        assert_true(sd_bus_message_append(m, "a{sv}", 0) >= 0);
        assert_true(sd_bus_send(client, m, NULL) >= 0);
        sd_bus_message_unref(m);
        WORLD_UNTIL(w, !list_is_empty(&w->held));

        world_bus_kill(w);
        WORLD_UNTIL(w, w->bus->state == BUS_WAITING);
        assert_int_equal(w->n_lost, 1);
        assert_int_equal(bus_fd(w->bus), -1);
        assert_int_equal(bus_events(w->bus), 0);
        assert_true(bus_deadline(w->bus) != OCF_NEVER);
        assert_true(list_is_empty(&w->bus->clients));
        world_settle(w);
        assert_null(model_resource_find(w->model, 0, SPAN_LITERAL("/lamp")));
        while (!list_is_empty(&w->held)) { /* the answer finds nobody */
                struct call *call = LIST_ENTRY(list_first(&w->held), struct call, link);
                struct ocf_response response = OCF_RESPONSE_OK(COAP_CONTENT);

                list_unlink(&call->link);
                call_answer(call, &response);
        }
        w->holds = false;
        bus_get_status(w->bus, &status);
        assert_true(status.last_error != 0);

        world_client_close(w, app);
        world_client_close(w, client);
        world_bus_start(w);
        WORLD_UNTIL(w, w->bus->state == BUS_READY);
        world_publish_lamp(w, world_client(w), "/lamp");
}

static void absent_at_start(void **state) {
        struct world *w = *state;
        struct bus_status status;
        uint64_t now = 1000000, delays[8];
        struct bus *b;

        assert_int_equal(bus_new(&b, &w->control, "unix:path=/nonexistent/ocfd-test"), 0);
        for (size_t i = 0; i < ARRAY_SIZE(delays); i++) {
                assert_int_equal(bus_process(b, now), 0);
                bus_get_status(b, &status);
                assert_int_equal(status.state, BUS_WAITING);
                assert_int_equal(status.last_error, ENOENT);
                assert_int_equal(bus_fd(b), -1);
                delays[i] = bus_deadline(b) - now;
                assert_in_range(delays[i], 100000, 5000000);
                assert_int_equal(bus_process(b, now + 1), 0); /* not yet */
                assert_int_equal(bus_deadline(b), now + delays[i]);
                now += delays[i];
        }
        assert_true(delays[7] > delays[0]);
        bus_free(b);
}

static void name_is_taken(void **state) {
        struct world *w = *state;
        struct bus_status status;
        struct bus *first = w->bus, *second;
        uint64_t deadline = 0;

        assert_int_equal(bus_new(&second, &w->control, w->address), 0);
        w->bus = second;
        WORLD_UNTIL(w, second->state == BUS_WAITING && second->last_error);
        bus_get_status(second, &status);
        assert_int_equal(status.last_error, EEXIST);
        bus_free(first);
        while (second->state != BUS_READY) {
                assert_false(world_expired(&deadline));
                world_turn(w);
        }
        bus_get_status(second, &status);
        assert_int_equal(status.last_error, 0);
}

/* ---- the objects ---- */

static size_t managed_objects(struct world *w, sd_bus *client, const char *interface) {
        sd_bus_message *m = world_call(w, client, "/org/ocfd", "org.freedesktop.DBus.ObjectManager",
                                       "GetManagedObjects", "");
        size_t n = 0;

        assert_null(sd_bus_message_get_error(m));
        assert_true(sd_bus_message_enter_container(m, 'a', "{oa{sa{sv}}}") > 0);
        while (sd_bus_message_enter_container(m, 'e', "oa{sa{sv}}") > 0) {
                assert_true(sd_bus_message_skip(m, "o") >= 0);
                assert_true(sd_bus_message_enter_container(m, 'a', "{sa{sv}}") >= 0);
                while (sd_bus_message_enter_container(m, 'e', "sa{sv}") > 0) {
                        const char *name;

                        assert_true(sd_bus_message_read_basic(m, 's', &name) > 0);
                        n += strcmp(name, interface) == 0;
                        assert_true(sd_bus_message_skip(m, "a{sv}") >= 0);
                        assert_true(sd_bus_message_exit_container(m) >= 0);
                }
                assert_true(sd_bus_message_exit_container(m) >= 0);
                assert_true(sd_bus_message_exit_container(m) >= 0);
        }
        sd_bus_message_unref(m);
        return n;
}

static void objects_come_and_go(void **state) {
        struct world *w = *state;
        sd_bus *client = world_client(w), *app = world_client(w);
        size_t n_core = managed_objects(w, client, OCFD ".Resource1");
        unsigned n_added, n_removed;

        assert_true(n_core >= 3); /* /oic/res, /oic/d, /oic/p */
        assert_int_equal(managed_objects(w, client, OCFD ".Device1"), 1);
        listen_for(client, "org.freedesktop.DBus.ObjectManager", "InterfacesAdded", &n_added);
        listen_for(client, "org.freedesktop.DBus.ObjectManager", "InterfacesRemoved", &n_removed);
        world_settle(w);
        world_publish_lamp(w, app, "/lamp");
        WORLD_UNTIL(w, n_added == 2);
        assert_int_equal(managed_objects(w, client, OCFD ".Application1"), 1);
        assert_int_equal(managed_objects(w, client, OCFD ".Resource1"), n_core + 1);
        world_client_close(w, app);
        WORLD_UNTIL(w, n_removed == 2);
        assert_int_equal(managed_objects(w, client, OCFD ".Application1"), 0);
        assert_int_equal(managed_objects(w, client, OCFD ".Resource1"), n_core);
}

static void lingering_is_a_change(void **state) {
        struct world *w = *state;
        sd_bus *client = world_client(w), *app = world_client(w);
        sd_bus_message *m = world_registration(app);
        unsigned n_changed, n_removed;
        const char *text;
        char path[BUS_PATH_MAX];

        listen_for(client, PROPERTIES, "PropertiesChanged", &n_changed);
        listen_for(client, "org.freedesktop.DBus.ObjectManager", "InterfacesRemoved", &n_removed);
        world_add(m, "/lamp", "a{sv}", 1, "rt", "as", 1, "x.lamp");
        assert_fine(world_register(w, app, m, "a{sv}", 2, "name", "s", "lamp", "linger_ms", "t", 60000ull));
        world_settle(w);
        n_changed = 0;
        world_client_close(w, app);
        WORLD_UNTIL(w, n_changed >= 2); /* the app's, and its resource's */
        assert_int_equal(n_removed, 0);
        bus_path(path, BUS_APPS, LIST_ENTRY(list_first(&w->model->apps), struct app, link)->number);
        m = world_call(w, client, path, PROPERTIES, "Get", "ss", OCFD ".Application1", "State");
        assert_true(sd_bus_message_read(m, "v", "s", &text) > 0);
        assert_string_equal(text, "lingering");
        sd_bus_message_unref(m);
        assert_error(
                world_call(w, client, world_path_of(w, "/lamp"), OCFD ".Resource1", "Retrieve", "a{sv}", 0),
                ERROR("Unavailable"), "");
}

static void status_is_told(void **state) {
        struct world *w = *state;
        sd_bus *client = world_client(w);
        const char *id, *text, *name;
        unsigned n_changed;
        sd_bus_message *m;
        uint64_t value;

        listen_for(client, PROPERTIES, "PropertiesChanged", &n_changed);
        world_settle(w);
        w->notices = 1;
        bus_tell_status(w->bus);
        WORLD_UNTIL(w, n_changed >= 1); /* what is secure may have news as well */
        m = world_call(w, client, "/org/ocfd", PROPERTIES, "Get", "ss", OCFD ".Manager1", "Notices");
        assert_true(sd_bus_message_enter_container(m, 'v', "a(ss)") > 0);
        assert_true(sd_bus_message_enter_container(m, 'a', "(ss)") > 0);
        assert_true(sd_bus_message_read(m, "(ss)", &id, &text) > 0);
        assert_string_equal(id, "PortTaken");
        sd_bus_message_unref(m);
        m = world_call(w, client, "/org/ocfd", OCFD ".Manager1", "GetStatistics", "");
        assert_true(sd_bus_message_enter_container(m, 'a', "{sv}") > 0);
        assert_true(sd_bus_message_read(m, "{sv}", &name, "t", &value) > 0);
        assert_string_equal(name, "requests");
        assert_true(sd_bus_message_read(m, "{sv}", &name, "t", &value) > 0);
        assert_int_equal(value, 1ull << 40);
        sd_bus_message_unref(m);
        assert_fine(world_call(w, client, "/org/ocfd", PROPERTIES, "GetAll", "s", OCFD ".Manager1"));
}

static void only_the_owner_may(void **state) {
        struct world *w = *state;
        sd_bus *app = world_client(w), *other = world_client(w);
        const char *path = world_publish_lamp(w, app, "/lamp");

        assert_error(
                world_call(w, other, path, OCFD ".Application1", "Publish", "sa{sv}a{sv}", "/lamp", 0, 0),
                ERROR("NotAllowed"), "registered");
        assert_error(world_call(w, other, path, OCFD ".Application1", "Changed", "s", "/lamp"),
                     ERROR("NotAllowed"), "registered");
        assert_error(world_call(w, other, path, OCFD ".Application1", "Unregister", "as", 0),
                     ERROR("NotAllowed"), "registered");
        assert_error(world_call(w, app, path, OCFD ".Application1", "Publish", "sa{sv}a{sv}", "/x", 0, 0),
                     ERROR("NotFound"), "href");
        assert_error(world_call(w, app, path, OCFD ".Application1", "Publish", "sa{sv}a{sv}", "/lamp", 0, 1,
                                "merge", "b", 1),
                     ERROR("InvalidArguments"), "replace (b)");
        assert_error(world_call(w, app, path, OCFD ".Application1", "Publish", "sa{sv}a{sv}", "/lamp", 0, 1,
                                "replace", "s", "yes"),
                     ERROR("InvalidArguments"), "boolean");
        assert_error(world_call(w, app, path, OCFD ".Application1", "Publish", "sa{sv}a{sv}", "/lamp", 2, "k",
                                "b", 1, "k", "b", 0, 0),
                     ERROR("InvalidArguments"), "twice");
        assert_error(world_call(w, app, path, OCFD ".Application1", "Unregister", "as", 2, "/lamp", "/x"),
                     ERROR("NotFound"), "href");
        assert_non_null(model_resource_find(w->model, 0, SPAN_LITERAL("/lamp")));
        assert_fine(world_call(w, app, path, OCFD ".Application1", "Unregister", "as", 2, "/lamp", "/lamp"));
        world_settle(w);
        assert_null(model_resource_find(w->model, 0, SPAN_LITERAL("/lamp")));
}

/* ---- requests ---- */

static void options_of_requests(void **state) {
        struct world *w = *state;
        sd_bus *app = world_client(w);
        char *large = calloc(1, 1024 * 1024 + 1);
        const char *path;

        world_publish_lamp(w, app, "/lamp");
        path = world_path_of(w, "/lamp");
        memset(large, 'q', 1024 * 1024);
        assert_error(world_call(w, app, path, OCFD ".Resource1", "Retrieve", "a{sv}", 1, "query", "s", large),
                     ERROR("InvalidArguments"), "longer");
        assert_error(world_call(w, app, path, OCFD ".Resource1", "Retrieve", "a{sv}", 1, "interface", "s",
                                "oic.if.a&rt=x"),
                     ERROR("InvalidArguments"), "&");
        assert_error(world_call(w, app, path, OCFD ".Resource1", "Retrieve", "a{sv}", 4, "query", "s", "",
                                "query", "s", "", "query", "s", "", "query", "s", ""),
                     ERROR("InvalidArguments"), "once");
        assert_error(world_call(w, app, path, OCFD ".Resource1", "Update", "va{sv}", "s", large, 0),
                     ERROR("InvalidArguments"), "The value");
        assert_error(world_call(w, app, path, OCFD ".Resource1", "Update", "va{sv}", "h", 0, 0),
                     ERROR("InvalidArguments"), "descriptor");
        assert_error(
                world_call(w, app, "/org/ocfd/resource/99999", OCFD ".Resource1", "Retrieve", "a{sv}", 0),
                "org.freedesktop.DBus.Error.UnknownObject", "");
        free(large);
}

static int note_error(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        unsigned *n = userdata;

        n[sd_bus_message_is_method_error(m, ERROR("LimitsExceeded")) ? 1 : 0]++;
        return 0;
}

static void ask_without_waiting(sd_bus *client, const char *path, unsigned *n) {
        sd_bus_message *m = world_message(client, path, OCFD ".Resource1", "Retrieve");

        assert_true(sd_bus_message_append(m, "a{sv}", 0) >= 0);
        assert_true(sd_bus_call_async(client, NULL, m, note_error, n, 0) >= 0);
        sd_bus_message_unref(m);
}

static void too_many_requests_under_way(void **state) {
        struct world *w = *state;
        sd_bus *app = world_client(w);
        unsigned n[2] = { 0 };
        size_t n_held = 0;

        world_publish_lamp(w, app, "/lamp");
        w->holds = true;
        for (int i = 0; i < 120; i++)
                ask_without_waiting(app, world_path_of(w, "/lamp"), n);
        world_settle(w);
        LIST_FOR_EACH(i, &w->held)
        n_held++;
        assert_int_equal(n_held, 120);
        /* as if one had more: dbus-daemon lets one wait for 128 replies only, others do not */
        LIST_FOR_EACH(i, &w->bus->clients)
        LIST_ENTRY(i, struct bus_client, link)->n_requests += CLIENT_REQUESTS_MAX;
        ask_without_waiting(app, world_path_of(w, "/lamp"), n);
        WORLD_UNTIL(w, n[1] == 1);
        LIST_FOR_EACH(i, &w->bus->clients)
        LIST_ENTRY(i, struct bus_client, link)->n_requests -= CLIENT_REQUESTS_MAX;
        while (!list_is_empty(&w->held)) {
                struct call *call = LIST_ENTRY(list_first(&w->held), struct call, link);
                struct ocf_response response = OCF_RESPONSE_FAULT(FAULT_FAILED);

                list_unlink(&call->link);
                call_answer(call, &response);
        }
        WORLD_UNTIL(w, n[0] == 120);
        LIST_FOR_EACH(i, &w->bus->clients)
        assert_int_equal(LIST_ENTRY(i, struct bus_client, link)->n_requests, 0);
}

/* ---- users who mean harm ---- */

static void wrong_signatures(void **state) {
        struct world *w = *state;
        sd_bus *client = world_client(w);

        assert_error(world_call(w, client, "/org/ocfd", OCFD ".Manager1", "Register", "s", "x"),
                     SD_BUS_ERROR_INVALID_ARGS, "");
        assert_error(world_call(w, client, "/org/ocfd", OCFD ".Manager1", "Nothing", ""),
                     SD_BUS_ERROR_UNKNOWN_METHOD, "");
        assert_error(
                world_call(w, client, "/org/ocfd/app/1", OCFD ".Application1", "Publish", "ss", "x", "y"),
                SD_BUS_ERROR_UNKNOWN_OBJECT, "");
        assert_error(world_call(w, client, "/org/ocfd", PROPERTIES, "Set", "ssv", OCFD ".Manager1", "Version",
                                "s", "9"),
                     SD_BUS_ERROR_PROPERTY_READ_ONLY, "");
}

static void forged_departure(void **state) {
        struct world *w = *state;
        sd_bus *app = world_client(w), *foe = world_client(w);
        const char *name;
        sd_bus_message *m;

        world_publish_lamp(w, app, "/lamp");
        sd_bus_get_unique_name(app, &name);
        assert_true(sd_bus_message_new_signal(foe, &m, "/org/freedesktop/DBus", "org.freedesktop.DBus",
                                              "NameOwnerChanged") >= 0);
        assert_true(sd_bus_message_append(m, "sss", name, name, "") >= 0);
        assert_true(sd_bus_message_set_destination(m, OCFD) >= 0);
        assert_true(sd_bus_send(foe, m, NULL) >= 0);
        sd_bus_message_unref(m);
        world_settle(w);
        assert_int_equal(w->n_vanished, 0);
        assert_non_null(model_resource_find(w->model, 0, SPAN_LITERAL("/lamp")));
}

/* Answers that nobody reads stay with the bus, which would stop listening to us at 127 MB. */
static void replies_that_nobody_reads(void **state) {
        struct world *w = *state;
        sd_bus *app = world_client(w), *foe = world_client(w);
        char text[60001] = { 0 };
        unsigned n[2] = { 0 };
        sd_bus_message *m = world_registration(app);

        memset(text, 'x', sizeof(text) - 1);
        world_add(m, "/large", "a{sv}", 2, "rt", "as", 1, "x.large", "value", "a{sv}", 1, "t", "s", text);
        assert_fine(world_register(w, app, m, "a{sv}", 0));
        for (int round = 0; round < 20; round++) {
                world_listen(w, foe);
                world_settle(w);
                world_deaf(w, foe);
                for (int i = 0; i < 100; i++)
                        ask_without_waiting(foe, world_path_of(w, "/large"), n);
                assert_true(sd_bus_flush(foe) >= 0);
                world_settle(w);
                if (round == 0)
                        assert_true(n[0] + n[1] == 0);
        }
        world_listen(w, foe);
        WORLD_UNTIL(w, n[0] + n[1] == 2000);
        assert_true(n[1] > 1000);           /* most were refused, */
        assert_in_range(n[0], 20, 20 * 40); /* and of each round about 24 MiB let through */
        assert_fine(
                world_call(w, foe, world_path_of(w, "/large"), OCFD ".Resource1", "Retrieve", "a{sv}", 0));
        assert_fine(
                world_call(w, app, world_path_of(w, "/large"), OCFD ".Resource1", "Retrieve", "a{sv}", 0));
}

/* A bus that takes nothing from us gets no more to ask; one that comes back goes on, the other is left. */
static void bus_that_does_not_read(void **state) {
        struct world *w = *state;
        sd_bus *app = world_client(w);
        uint64_t n = 0, deadline = 0;

        for (int returns = 1; returns >= 0; returns--) {
                kill(w->daemon, SIGSTOP);
                for (int i = 0; i < 20000; i++)
                        bus_tell_status(w->bus);
                assert_true(sd_bus_get_n_queued_write(w->bus->bus, &n) >= 0 && n > 1024);
                assert_int_equal(bus_events(w->bus), 0);
                for (int i = 0; i < 10; i++)
                        assert_int_equal(bus_process(w->bus, LATER), 0);
                assert_int_equal(bus_deadline(w->bus), LATER + 10000);
                assert_int_equal(w->n_lost, 0);
                if (!returns)
                        break;
                w->bus->pause_us = 0; /* from here on it is now again */
                kill(w->daemon, SIGCONT);
                while (sd_bus_get_n_queued_write(w->bus->bus, &n) >= 0 && n > 0) {
                        assert_false(world_expired(&deadline));
                        world_turn(w);
                }
                world_publish_lamp(w, app, "/lamp");
        }
        assert_int_equal(bus_process(w->bus, LATER + 10000000), 0);
        assert_int_equal(w->n_lost, 1);
        assert_int_equal(w->bus->state, BUS_WAITING);
        assert_int_equal(w->bus->last_error, ENOBUFS);
        kill(w->daemon, SIGCONT);
}

/* One who reads may have as much as he likes. */
static void replies_that_are_read(void **state) {
        struct world *w = *state;
        sd_bus *app = world_client(w);
        char text[60001] = { 0 };
        sd_bus_message *m = world_registration(app);

        memset(text, 'x', sizeof(text) - 1);
        world_add(m, "/large", "a{sv}", 2, "rt", "as", 1, "x.large", "value", "a{sv}", 1, "t", "s", text);
        assert_fine(world_register(w, app, m, "a{sv}", 0));
        for (int i = 0; i < 500; i++)
                assert_fine(world_call(w, app, world_path_of(w, "/large"), OCFD ".Resource1", "Retrieve",
                                       "a{sv}", 0));
}

static void ten_thousand_resources(void **state) {
        struct world *w = *state;
        sd_bus *app = world_client(w), *client = world_client(w);
        sd_bus_message *m;
        char href[32], *path;
        unsigned n_added;

        listen_for(client, "org.freedesktop.DBus.ObjectManager", "InterfacesAdded", &n_added);
        for (int i = 0; i < 10; i++) {
                m = world_registration(app);
                for (int j = 0; j < 1000; j++) {
                        snprintf(href, sizeof(href), "/many/%d", i * 1000 + j);
                        world_add(m, href, "a{sv}", 1, "rt", "as", 1, "x.a");
                }
                assert_fine(world_register(w, app, m, "a{sv}", 0));
        }
        WORLD_UNTIL(w, n_added == 10001);
        assert_true(managed_objects(w, client, OCFD ".Resource1") > 10000);
        m = world_registration(app);
        for (int j = 0; j < 8193; j++)
                world_add(m, "/x", "a{sv}", 1, "rt", "as", 1, "x.a");
        assert_error(world_register(w, app, m, "a{sv}", 0), ERROR("LimitsExceeded"), "8192");
        m = world_registration(app);
        for (int j = 0; j < 3000; j++) {
                snprintf(href, sizeof(href), "/more/%d", j);
                world_add(m, href, "a{sv}", 1, "rt", "as", 1, "x.a");
        }
        assert_error(world_register(w, app, m, "a{sv}", 0), ERROR("LimitsExceeded"), "");
        path = strdup(world_publish_lamp(w, app, "/lamp"));
        assert_fine(world_call(w, app, path, OCFD ".Application1", "Unregister", "as", 0));
        world_settle(w);
        assert_int_equal(managed_objects(w, client, OCFD ".Application1"), 0);
        free(path);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(lost_and_found),        TEST(absent_at_start),        TEST(name_is_taken),
                TEST(objects_come_and_go),   TEST(lingering_is_a_change),  TEST(status_is_told),
                TEST(only_the_owner_may),    TEST(options_of_requests),    TEST(too_many_requests_under_way),
                TEST(wrong_signatures),      TEST(forged_departure),       TEST(replies_that_nobody_reads),
                TEST(replies_that_are_read), TEST(bus_that_does_not_read), TEST(ten_thousand_resources),
        };

        if (!world_has_bus()) {
                printf("SKIP: there is no dbus-daemon\n");
                return 77;
        }
        return cmocka_run_group_tests(tests, NULL, NULL);
}
