#include "../unit.h"
#include "world.h"

#include <stdio.h>

/* Local observers: the newest value, a count of what was missed, never a queue. */

#define ERROR(name) "org.ocfd.Error." name

struct heard {
        unsigned n;
        uint64_t n_missed;
        int64_t value;
        char error[64];
};

static void read_info(struct heard *h, sd_bus_message *m) {
        const char *key, *text;
        uint64_t missed;

        assert_true(sd_bus_message_enter_container(m, 'a', "{sv}") > 0);
        while (sd_bus_message_enter_container(m, 'e', "sv") > 0) {
                assert_true(sd_bus_message_read_basic(m, 's', &key) > 0);
                if (strcmp(key, "missed") == 0) {
                        assert_true(sd_bus_message_read(m, "v", "t", &missed) > 0);
                        h->n_missed += missed;
                } else if (strcmp(key, "error") == 0) {
                        assert_true(sd_bus_message_read(m, "v", "s", &text) > 0);
                        snprintf(h->error, sizeof(h->error), "%s", text);
                } else {
                        assert_true(sd_bus_message_skip(m, "v") >= 0);
                }
                assert_true(sd_bus_message_exit_container(m) >= 0);
        }
}

static int on_notified(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        struct heard *h = userdata;
        const char *type, *key;

        h->n++;
        assert_true(sd_bus_message_peek_type(m, NULL, &type) > 0);
        if (strcmp(type, "a{sv}") == 0) {
                assert_true(sd_bus_message_enter_container(m, 'v', "a{sv}") > 0);
                assert_true(sd_bus_message_enter_container(m, 'a', "{sv}") > 0);
                assert_true(sd_bus_message_read(m, "{sv}", &key, "x", &h->value) > 0);
                assert_true(sd_bus_message_exit_container(m) >= 0);
                assert_true(sd_bus_message_exit_container(m) >= 0);
        } else {
                assert_true(sd_bus_message_skip(m, "v") >= 0);
        }
        read_info(h, m);
        return 0;
}

static sd_bus *listener(struct world *w, struct heard *h) {
        sd_bus *client = world_client(w);

        *h = (struct heard){ 0 };
        assert_true(sd_bus_match_signal_async(client, NULL, NULL, NULL, OCFD ".Resource1", "Notified",
                                              on_notified, NULL, h) >= 0);
        return client;
}

static sd_bus_message *observe(struct world *w, sd_bus *client, const char *href) {
        return world_call(w, client, world_path_of(w, href), OCFD ".Resource1", "Observe", "a{sv}", 0);
}

static void register_meter(struct world *w, sd_bus *app, bool observable) {
        sd_bus_message *m = world_registration(app);

        world_add(m, "/meter", "a{sv}", 4, "rt", "as", 1, "x.meter", "if", "as", 1, "oic.if.s", "observable",
                  "b", (int)observable, "value", "a{sv}", 1, "n", "i", 0);
        assert_fine(world_register(w, app, m, "a{sv}", 1, "name", "s", "meter"));
}

static void publish(struct world *w, sd_bus *app, int64_t value) {
        char path[BUS_PATH_MAX];
        const struct app *a = LIST_ENTRY(list_first(&w->model->apps), struct app, link);

        assert_fine(world_call(w, app, bus_path(path, BUS_APPS, a->number), OCFD ".Application1", "Publish",
                               "sa{sv}a{sv}", "/meter", 1, "n", "x", value, 0));
}

static void observer_is_told(void **state) {
        struct world *w = *state;
        sd_bus *app = world_client(w), *client;
        struct heard h, other;

        client = listener(w, &h);
        listener(w, &other);
        register_meter(w, app, true);
        assert_fine(observe(w, client, "/meter"));
        publish(w, app, 7);
        WORLD_UNTIL(w, h.n == 1);
        assert_int_equal(h.value, 7);
        assert_fine(observe(w, client, "/meter")); /* a second one replaces the first */
        publish(w, app, 8);
        WORLD_UNTIL(w, h.value == 8);
        world_settle(w);
        assert_int_equal(h.n, 2);
        assert_int_equal(h.n_missed, 0);
        assert_int_equal(other.n, 0);
        assert_fine(world_call(w, client, world_path_of(w, "/meter"), OCFD ".Resource1", "StopObserve", ""));
        assert_fine(world_call(w, client, world_path_of(w, "/meter"), OCFD ".Resource1", "StopObserve", ""));
        publish(w, app, 9);
        world_settle(w);
        assert_int_equal(h.n, 2);
}

static void refused(void **state) {
        struct world *w = *state;
        sd_bus *app = world_client(w);

        register_meter(w, app, false);
        assert_error(observe(w, app, "/meter"), ERROR("MethodNotAllowed"), "observed");
        assert_error(world_call(w, app, world_path_of(w, "/meter"), OCFD ".Resource1", "Observe", "a{sv}", 1,
                                "timeout_ms", "s", "x"),
                     ERROR("InvalidArguments"), "timeout_ms");
}

static void first_value_fails(void **state) {
        struct world *w = *state;
        sd_bus *app = world_client(w);

        register_meter(w, app, true);
        assert_error(world_call(w, app, world_path_of(w, "/meter"), OCFD ".Resource1", "Observe", "a{sv}", 1,
                                "interface", "s", "oic.if.a"),
                     ERROR("Forbidden"), "");
        assert_int_equal(LIST_ENTRY(list_first(&w->bus->clients), struct bus_client, link)->n_subscribers, 0);
}

static void last_words(void **state) {
        struct world *w = *state;
        sd_bus *app = world_client(w), *client;
        struct heard h;

        client = listener(w, &h);
        register_meter(w, app, true);
        assert_fine(observe(w, client, "/meter"));
        world_client_close(w, app);
        WORLD_UNTIL(w, h.error[0]);
        assert_string_equal(h.error, ERROR("NotFound"));
        assert_int_equal(h.n, 1);
}

/* One that reads is told everything, beyond the window too: it answers the pings. */
static void reader_gets_all(void **state) {
        struct world *w = *state;
        sd_bus *app = world_client(w), *client;
        struct heard h;

        client = listener(w, &h);
        register_meter(w, app, true);
        assert_fine(observe(w, client, "/meter"));
        for (int i = 1; i <= 5 * CLIENT_WINDOW; i++) {
                publish(w, app, i);
                WORLD_UNTIL(w, h.value == i);
        }
        assert_int_equal(h.n, 5 * CLIENT_WINDOW);
        assert_int_equal(h.n_missed, 0);
}

static void deaf_one_gets_the_newest(void **state) {
        struct world *w = *state;
        sd_bus *app = world_client(w), *client;
        struct heard h;

        client = listener(w, &h);
        register_meter(w, app, true);
        assert_fine(observe(w, client, "/meter"));
        world_settle(w);
        world_deaf(w, client);
        for (int i = 1; i <= 1000; i++)
                publish(w, app, i);
        world_settle(w);
        world_listen(w, client);
        WORLD_UNTIL(w, h.value == 1000);
        assert_int_equal(h.n, CLIENT_WINDOW + 1);
        assert_int_equal(h.n + h.n_missed, 1000);
        publish(w, app, 1001);
        WORLD_UNTIL(w, h.value == 1001);
}

/* Those who never answer their ping hold up those of the same user only so far: when they go, others are
 * asked. */
static void many_deaf_ones(void **state) {
        struct world *w = *state;
        sd_bus *app = world_client(w), *clients[UID_PINGS_MAX + 1];
        struct heard h[UID_PINGS_MAX + 1];
        size_t n_pings = 0;

        register_meter(w, app, true);
        for (size_t i = 0; i < ARRAY_SIZE(clients); i++) {
                clients[i] = listener(w, &h[i]);
                assert_fine(observe(w, clients[i], "/meter"));
        }
        world_settle(w);
        for (size_t i = 0; i < ARRAY_SIZE(clients); i++)
                world_deaf(w, clients[i]);
        for (int i = 1; i <= 100; i++)
                publish(w, app, i);
        LIST_FOR_EACH(i, &w->bus->clients)
        n_pings += LIST_ENTRY(i, struct bus_client, link)->ping != NULL;
        assert_int_equal(n_pings, UID_PINGS_MAX);
        world_listen(w, clients[UID_PINGS_MAX]); /* the last one: the others were asked */
        world_settle(w);
        assert_int_equal(h[UID_PINGS_MAX].value, CLIENT_WINDOW);
        world_client_close(w, clients[0]);
        WORLD_UNTIL(w, h[UID_PINGS_MAX].value == 100);
        for (size_t i = 1; i < UID_PINGS_MAX; i++)
                world_listen(w, clients[i]);
        WORLD_UNTIL(w, h[1].value == 100 && h[UID_PINGS_MAX - 1].value == 100);
}

/* What is retrieved may be answered after the observer, or the resource, is gone. */
static void answer_comes_late(void **state) {
        struct world *w = *state;
        sd_bus *app = world_client(w), *client;
        struct ocf_response response = OCF_RESPONSE_OK(COAP_CONTENT);
        sd_bus_message *m;
        struct heard h;

        client = listener(w, &h);
        register_meter(w, app, true);
        w->holds = true;
        for (int i = 0; i < 3; i++) {
                m = world_message(client, world_path_of(w, "/meter"), OCFD ".Resource1", "Observe");
                assert_true(sd_bus_message_append(m, "a{sv}", 0) >= 0);
                assert_true(sd_bus_send(client, m, NULL) >= 0);
                sd_bus_message_unref(m);
        }
        world_settle(w);
        world_client_close(w, client);
        WORLD_UNTIL(w, w->n_vanished == 1);
        model_unregister(w->model, model_resource_find(w->model, 0, SPAN_LITERAL("/meter"))->app, NULL);
        world_settle(w);
        response.rep = SPAN_LITERAL("\xa0");
        for (int i = 0; i < 3; i++) {
                struct call *call = LIST_ENTRY(list_first(&w->held), struct call, link);

                list_unlink(&call->link);
                call_answer(call, &response);
        }
        assert_true(list_is_empty(&w->held));
        assert_true(list_is_empty(&w->bus->requests));
}

static int count_reply(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        ++*(unsigned *)userdata;
        return 0;
}

/* Each Observe gets its answer, also one that another overtakes. */
static void overtaken_observe_is_answered(void **state) {
        struct world *w = *state;
        sd_bus *app = world_client(w);
        unsigned n_replies = 0;
        sd_bus_message *m;

        register_meter(w, app, true);
        w->holds = true;
        for (int i = 0; i < 3; i++) {
                m = world_message(app, world_path_of(w, "/meter"), OCFD ".Resource1", "Observe");
                assert_true(sd_bus_message_append(m, "a{sv}", 0) >= 0);
                assert_true(sd_bus_call_async(app, NULL, m, count_reply, &n_replies, 0) >= 0);
                sd_bus_message_unref(m);
        }
        WORLD_UNTIL(w, n_replies == 2);
        assert_fine(world_call(w, app, world_path_of(w, "/meter"), OCFD ".Resource1", "StopObserve", ""));
        WORLD_UNTIL(w, n_replies == 3);
        while (!list_is_empty(&w->held)) {
                struct call *call = LIST_ENTRY(list_first(&w->held), struct call, link);
                struct ocf_response response = OCF_RESPONSE_FAULT(FAULT_FAILED);

                list_unlink(&call->link);
                call_answer(call, &response);
        }
        world_settle(w);
        assert_int_equal(n_replies, 3);
}

/* The room may close before an answer comes. */
static void closed_before_the_answer(void **state) {
        struct world *w = *state;
        sd_bus *app = world_client(w);
        sd_bus_message *m;

        register_meter(w, app, true);
        w->holds = true;
        for (int i = 0; i < 2; i++) {
                m = world_message(app, world_path_of(w, "/meter"), OCFD ".Resource1",
                                  i ? "Observe" : "Retrieve");
                assert_true(sd_bus_message_append(m, "a{sv}", 0) >= 0);
                assert_true(sd_bus_send(app, m, NULL) >= 0);
                sd_bus_message_unref(m);
        }
        world_settle(w);
        w->bus = bus_free(w->bus);
        for (int i = 0; i < 2; i++) {
                struct call *call = LIST_ENTRY(list_first(&w->held), struct call, link);
                struct ocf_response response = OCF_RESPONSE_FAULT(FAULT_FAILED);

                list_unlink(&call->link);
                call_answer(call, &response);
        }
        assert_true(list_is_empty(&w->held));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(observer_is_told),
                TEST(refused),
                TEST(first_value_fails),
                TEST(last_words),
                TEST(reader_gets_all),
                TEST(deaf_one_gets_the_newest),
                TEST(many_deaf_ones),
                TEST(answer_comes_late),
                TEST(overtaken_observe_is_answered),
                TEST(closed_before_the_answer),
        };

        if (!world_has_bus()) {
                printf("SKIP: there is no dbus-daemon\n");
                return 77;
        }
        return cmocka_run_group_tests(tests, NULL, NULL);
}
