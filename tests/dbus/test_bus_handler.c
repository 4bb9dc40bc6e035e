#include "../unit.h"
#include "world.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* A handler behind the bus: what the app is asked, and what becomes of whatever it answers. */

#define ERROR(name) "org.ocfd.Error." name
#define HELD_MAX    300

struct lamp {
        enum { ANSWERS, KEEPS, FAILS, TALKS } does;
        const char *error, *text;            /* FAILS */
        void (*talk)(sd_bus_message *reply); /* TALKS */
        unsigned n_calls;
        sd_bus_message *held[HELD_MAX];
        size_t n_held;
        char said[1024]; /* the last request, as text */
};

static void note(struct lamp *l, const char *key, const char *between, const char *text) {
        size_t n = strlen(l->said);

        snprintf(l->said + n, sizeof(l->said) - n, "%s%s%s%s", n ? " " : "", key, between, text);
}

static void note_pair(struct lamp *l, sd_bus_message *m) {
        const char *key, *type, *text;
        char number[32];
        uint32_t u;
        int b;

        assert_true(sd_bus_message_read_basic(m, 's', &key) >= 0);
        assert_true(sd_bus_message_peek_type(m, NULL, &type) >= 0);
        if (strcmp(type, "s") == 0) {
                assert_true(sd_bus_message_read(m, "v", "s", &text) >= 0);
                note(l, key, "=", text);
        } else if (strcmp(type, "b") == 0) {
                assert_true(sd_bus_message_read(m, "v", "b", &b) >= 0);
                note(l, key, "=", b ? "true" : "false");
        } else if (strcmp(key, "uid") == 0) {
                assert_true(sd_bus_message_read(m, "v", "u", &u) >= 0);
                assert_int_equal(u, getuid());
                note(l, key, "=", "ours");
        } else if (strcmp(type, "u") == 0) {
                assert_true(sd_bus_message_read(m, "v", "u", &u) >= 0);
                snprintf(number, sizeof(number), "%u", (u + 999) / 1000 * 1000);
                note(l, key, "=", number);
        } else {
                assert_true(sd_bus_message_skip(m, "v") >= 0);
                note(l, key, ":", type);
        }
}

static void note_request(struct lamp *l, sd_bus_message *m) {
        const char *method, *href;

        l->said[0] = 0;
        assert_true(sd_bus_message_read(m, "ss", &method, &href) >= 0);
        note(l, method, " ", href);
        assert_true(sd_bus_message_enter_container(m, 'a', "{sv}") >= 0);
        while (sd_bus_message_enter_container(m, 'e', "sv") > 0) {
                note_pair(l, m);
                assert_true(sd_bus_message_exit_container(m) >= 0);
        }
}

static int on_handle(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        struct lamp *l = userdata;
        sd_bus_message *reply = NULL;

        assert_true(sd_bus_message_is_method_call(m, OCFD ".Handler1", "Handle"));
        assert_true(sd_bus_message_has_signature(m, "ssa{sv}"));
        l->n_calls++;
        note_request(l, m);
        switch (l->does) {
        case ANSWERS:
                return sd_bus_reply_method_return(m, "a{sv}", 1, "value", "a{sv}", 1, "value", "b", 1);
        case KEEPS:
                assert_true(l->n_held < HELD_MAX);
                l->held[l->n_held++] = sd_bus_message_ref(m);
                return 1;
        case FAILS:
                return sd_bus_reply_method_errorf(m, l->error, "%s", l->text);
        case TALKS:
                assert_true(sd_bus_message_new_method_return(m, &reply) >= 0);
                l->talk(reply);
                assert_int_equal(sd_bus_send(NULL, reply, NULL), 1);
                sd_bus_message_unref(reply);
                return 1;
        }
        return -EINVAL;
}

static void lamp_release(struct lamp *l) {
        while (l->n_held)
                sd_bus_message_unref(l->held[--l->n_held]);
}

static sd_bus *lamp_start(struct world *w, struct lamp *l, uint64_t linger_ms) {
        sd_bus *app = world_client(w);
        sd_bus_message *m = world_registration(app);

        *l = (struct lamp){ .does = ANSWERS };
        assert_true(sd_bus_add_object(app, NULL, "/l", on_handle, l) >= 0);
        world_add(m, "/lamp", "a{sv}", 3, "rt", "as", 1, "x.lamp", "if", "as", 3, "oic.if.rw",
                  "oic.if.baseline", "oic.if.r", "handler", "o", "/l");
        assert_fine(world_register(w, app, m, "a{sv}", 2, "name", "s", "lamp", "linger_ms", "t", linger_ms));
        return app;
}

static sd_bus_message *retrieve(struct world *w, sd_bus *client) {
        return world_call(w, client, world_path_of(w, "/lamp"), OCFD ".Resource1", "Retrieve", "a{sv}", 0);
}

static int keep(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        sd_bus_message **to = userdata;

        assert_null(*to); /* exactly once */
        *to = sd_bus_message_ref(m);
        return 0;
}

/* Does not wait for the answer. */
static void ask(struct world *w, sd_bus *client, uint32_t timeout_ms, sd_bus_message **ret) {
        sd_bus_message *m = world_message(client, world_path_of(w, "/lamp"), OCFD ".Resource1", "Retrieve");

        *ret = NULL;
        assert_true(sd_bus_message_append(m, "a{sv}", 1, "timeout_ms", "u", timeout_ms) >= 0);
        assert_true(sd_bus_call_async(client, NULL, m, keep, ret, 0) >= 0);
        sd_bus_message_unref(m);
}

static void request_says_what_is_asked(void **state) {
        struct world *w = *state;
        struct lamp l;
        sd_bus *client = world_client(w);
        sd_bus_message *reply;

        lamp_start(w, &l, 0);
        reply = world_call(w, client, world_path_of(w, "/lamp"), OCFD ".Resource1", "Retrieve", "a{sv}", 3,
                           "interface", "s", "oic.if.r", "query", "s", "x=%20y", "timeout_ms", "u", 3000u);
        assert_string_equal(l.said, "retrieve /lamp interface=oic.if.r secure=false notify=false "
                                    "timeout_ms=3000 query=if=oic.if.r&x=%20y uid=ours");
        assert_fine(reply);
        assert_fine(world_call(w, client, world_path_of(w, "/lamp"), OCFD ".Resource1", "Update", "va{sv}",
                               "a{sv}", 1, "value", "b", 1, 0));
        assert_string_equal(l.said, "update /lamp interface=oic.if.rw secure=false notify=false "
                                    "timeout_ms=5000 value:a{sv} uid=ours");
        assert_int_equal(l.n_calls, 2);
}

static void answer_reaches_the_caller(void **state) {
        struct world *w = *state;
        struct lamp l;
        const char *key, *code;
        sd_bus_message *reply;
        int on = 0;

        lamp_start(w, &l, 0);
        reply = retrieve(w, world_client(w));
        assert_true(sd_bus_message_enter_container(reply, 'v', "a{sv}") > 0);
        assert_true(sd_bus_message_enter_container(reply, 'a', "{sv}") > 0);
        assert_true(sd_bus_message_read(reply, "{sv}", &key, "b", &on) > 0);
        assert_string_equal(key, "value");
        assert_true(on);
        assert_true(sd_bus_message_exit_container(reply) >= 0 && sd_bus_message_exit_container(reply) >= 0);
        assert_true(sd_bus_message_enter_container(reply, 'a', "{sv}") > 0);
        assert_true(sd_bus_message_read(reply, "{sv}", &key, "s", &code) > 0);
        assert_string_equal(code, "2.05");
        sd_bus_message_unref(reply);
}

static void errors_by_name(void **state) {
        static const struct {
                const char *said, *text, *heard, *part;
        } rows[] = {
                { ERROR("BadRepresentation"), "too hot", ERROR("BadRepresentation"), "too hot" },
                { ERROR("Forbidden"), "", ERROR("Forbidden"), "interface does not let" },
                { ERROR("NoSuchThing"), "odd", ERROR("Failed"), "odd" },
                { "com.example.Broken", "fuse", ERROR("Failed"), "fuse" },
                { SD_BUS_ERROR_NOT_SUPPORTED, "no", ERROR("NotImplemented"), "no" },
                { SD_BUS_ERROR_NO_REPLY, "secret of the bus", ERROR("Timeout"), "in time" },
        };
        struct world *w = *state;
        struct lamp l;
        sd_bus *client = world_client(w);

        lamp_start(w, &l, 0);
        l.does = FAILS;
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                l.error = rows[i].said;
                l.text = rows[i].text;
                assert_error(retrieve(w, client), rows[i].heard, rows[i].part);
        }
}

static void code_of_another_method(sd_bus_message *reply) {
        assert_true(sd_bus_message_append(reply, "a{sv}", 2, "code", "s", "2.04", "value", "s", "x") >= 0);
}

static void code_of_a_fault(sd_bus_message *reply) {
        assert_true(sd_bus_message_append(reply, "a{sv}", 1, "code", "s", "4.04") >= 0);
}

static void code_not_modified(sd_bus_message *reply) {
        assert_true(sd_bus_message_append(reply, "a{sv}", 1, "code", "s", "2.03") >= 0);
}

static void code_of_another_type(sd_bus_message *reply) {
        assert_true(sd_bus_message_append(reply, "a{sv}", 1, "code", "u", 205u) >= 0);
}

static void another_signature(sd_bus_message *reply) {
        assert_true(sd_bus_message_append(reply, "su", "x", 1u) >= 0);
}

static void no_body(sd_bus_message *reply) {
        /* nothing at all */
}

static void format_without_bytes(sd_bus_message *reply) {
        assert_true(sd_bus_message_append(reply, "a{sv}", 2, "content_format", "q", 50, "value", "s", "{}") >=
                    0);
}

static void too_much(sd_bus_message *reply) {
        char *text = calloc(1, BUS_VALUE_MAX + 1);

        memset(text, 'x', BUS_VALUE_MAX);
        assert_true(sd_bus_message_append(reply, "a{sv}", 1, "value", "s", text) >= 0);
        free(text);
}

static void too_deep(sd_bus_message *reply) {
        assert_true(sd_bus_message_open_container(reply, 'a', "{sv}") >= 0);
        assert_true(sd_bus_message_open_container(reply, 'e', "sv") >= 0);
        assert_true(sd_bus_message_append(reply, "s", "value") >= 0);
        for (int i = 0; i < 20; i++) {
                assert_true(sd_bus_message_open_container(reply, 'v', "av") >= 0);
                assert_true(sd_bus_message_open_container(reply, 'a', "v") >= 0);
        }
        for (int i = 0; i < 42; i++)
                assert_true(sd_bus_message_close_container(reply) >= 0);
}

static void descriptor(sd_bus_message *reply) {
        assert_true(sd_bus_message_append(reply, "a{sv}", 1, "value", "h", 0) >= 0);
}

static void nonsense_is_failed(void **state) {
        static void (*const talks[])(sd_bus_message *) = {
                code_of_another_method,
                code_of_a_fault,
                code_not_modified,
                code_of_another_type,
                another_signature,
                no_body,
                format_without_bytes,
                too_much,
                too_deep,
                descriptor,
        };
        struct world *w = *state;
        struct lamp l;
        sd_bus *client = world_client(w);

        lamp_start(w, &l, 0);
        l.does = TALKS;
        for (size_t i = 0; i < ARRAY_SIZE(talks); i++) {
                l.talk = talks[i];
                assert_error(retrieve(w, client), ERROR("Failed"), "application's answer");
        }
        l.does = ANSWERS;
        assert_fine(retrieve(w, client));
}

static void bytes_of_another_format(sd_bus_message *reply) {
        assert_true(sd_bus_message_append(reply, "a{sv}", 3, "content_format", "q", 50, "value", "ay", 2, '{',
                                          '}', "max_age_s", "u", 7u) >= 0);
}

static void raw_bytes_pass(void **state) {
        struct world *w = *state;
        struct lamp l;
        sd_bus_message *reply;
        const void *bytes;
        const char *key;
        uint16_t format;
        size_t n;

        lamp_start(w, &l, 0);
        l.does = TALKS;
        l.talk = bytes_of_another_format;
        reply = retrieve(w, world_client(w));
        assert_true(sd_bus_message_enter_container(reply, 'v', "ay") > 0);
        assert_true(sd_bus_message_read_array(reply, 'y', &bytes, &n) > 0);
        assert_int_equal(n, 2);
        assert_memory_equal(bytes, "{}", 2);
        assert_true(sd_bus_message_exit_container(reply) >= 0);
        assert_true(sd_bus_message_enter_container(reply, 'a', "{sv}") > 0);
        assert_true(sd_bus_message_skip(reply, "{sv}") >= 0); /* code */
        assert_true(sd_bus_message_read(reply, "{sv}", &key, "q", &format) > 0);
        assert_string_equal(key, "content_format");
        assert_int_equal(format, 50);
        sd_bus_message_unref(reply);
}

static void no_answer_in_time(void **state) {
        struct world *w = *state;
        struct lamp l;
        sd_bus *client = world_client(w);
        sd_bus_message *reply;

        lamp_start(w, &l, 0);
        l.does = KEEPS;
        ask(w, client, 150, &reply);
        WORLD_UNTIL(w, reply);
        assert_error(reply, ERROR("Timeout"), "in time");
        /* and the late one finds nobody */
        assert_int_equal(l.n_held, 1);
        assert_true(sd_bus_reply_method_return(l.held[0], "a{sv}", 0) >= 0);
        world_settle(w);
        l.does = ANSWERS;
        assert_fine(retrieve(w, client));
        lamp_release(&l);
}

static void nobody_at_the_object(void **state) {
        struct world *w = *state;
        sd_bus *app = world_client(w);
        sd_bus_message *m = world_registration(app);

        world_add(m, "/lamp", "a{sv}", 2, "rt", "as", 1, "x.lamp", "handler", "o", "/nobody");
        assert_fine(world_register(w, app, m, "a{sv}", 0));
        assert_error(retrieve(w, app), ERROR("Failed"), "nobody");
}

static void app_dies_with_calls_in_flight(void **state) {
        struct world *w = *state;

        for (int lingers = 0; lingers < 2; lingers++) {
                struct lamp l;
                sd_bus *app = lamp_start(w, &l, lingers ? 60000 : 0), *client = world_client(w);
                sd_bus_message *replies[10];

                l.does = KEEPS;
                for (size_t i = 0; i < ARRAY_SIZE(replies); i++)
                        ask(w, client, 60000, &replies[i]);
                WORLD_UNTIL(w, l.n_held == ARRAY_SIZE(replies));
                lamp_release(&l);
                world_client_close(w, app);
                WORLD_UNTIL(w, replies[ARRAY_SIZE(replies) - 1]);
                for (size_t i = 0; i < ARRAY_SIZE(replies); i++)
                        assert_error(replies[i], ERROR("Unavailable"), "try again");
                assert_true(list_is_empty(&w->bus->calls));
                world_settle(w);
                if (lingers)
                        assert_error(retrieve(w, client), ERROR("Unavailable"), "");
                else
                        assert_null(model_resource_find(w->model, 0, SPAN_LITERAL("/lamp")));
        }
}

/* Whoever asks may be gone before the answer, with or without the one who answers. */
static void caller_dies_with_calls_in_flight(void **state) {
        struct world *w = *state;
        struct lamp l;
        sd_bus *client = world_client(w);
        sd_bus_message *replies[4];

        lamp_start(w, &l, 0);
        l.does = KEEPS;
        for (size_t i = 0; i < ARRAY_SIZE(replies); i++)
                ask(w, client, 60000, &replies[i]);
        WORLD_UNTIL(w, l.n_held == ARRAY_SIZE(replies));
        world_client_close(w, client);
        WORLD_UNTIL(w, w->n_vanished == 1);
        while (l.n_held) {
                l.n_held--;
                assert_true(sd_bus_reply_method_return(l.held[l.n_held], "a{sv}", 0) >= 0);
                sd_bus_message_unref(l.held[l.n_held]);
        }
        WORLD_UNTIL(w, list_is_empty(&w->bus->requests));
        world_settle(w);
        for (size_t i = 0; i < ARRAY_SIZE(replies); i++) /* its own library told it that it is closed */
                sd_bus_message_unref(replies[i]);
}

/* An observer whose value is asked for again when the app dies: the question must not reach the dead. */
static void observed_app_dies(void **state) {
        struct world *w = *state;
        struct lamp l;
        sd_bus *app = lamp_start(w, &l, 60000), *client = world_client(w);
        struct resource *r = model_resource_find(w->model, 0, SPAN_LITERAL("/lamp"));

        assert_fine(
                world_call(w, client, world_path_of(w, "/lamp"), OCFD ".Resource1", "Observe", "a{sv}", 0));
        l.does = KEEPS;
        resource_changed(r);
        WORLD_UNTIL(w, l.n_held == 1);
        resource_changed(r); /* so that it is due again once this is answered */
        world_settle(w);
        lamp_release(&l);
        world_client_close(w, app);
        WORLD_UNTIL(w, w->n_vanished == 1);
        world_settle(w);
        assert_true(list_is_empty(&w->bus->calls));
}

static const char *path_of_app(struct world *w) {
        static char path[BUS_PATH_MAX];

        return bus_path(path, BUS_APPS, LIST_ENTRY(list_first(&w->model->apps), struct app, link)->number);
}

static void resource_goes_with_a_call_in_flight(void **state) {
        struct world *w = *state;
        struct lamp l;
        sd_bus *app = lamp_start(w, &l, 0), *client = world_client(w);
        sd_bus_message *reply;

        l.does = KEEPS;
        ask(w, client, 60000, &reply);
        WORLD_UNTIL(w, l.n_held == 1);
        assert_fine(world_call(w, app, path_of_app(w), OCFD ".Application1", "Unregister", "as", 0));
        world_settle(w);
        assert_true(sd_bus_reply_method_return(l.held[0], "a{sv}", 1, "value", "b", 1) >= 0);
        lamp_release(&l);
        WORLD_UNTIL(w, reply);
        assert_fine(reply);
}

/* A bus lets us wait for 128 replies at once: the others have their turn later, and too many are refused. */
static void too_many_are_busy(void **state) {
        struct world *w = *state;
        struct lamp l;
        sd_bus *clients[3] = { world_client(w), world_client(w), world_client(w) };
        sd_bus_message *replies[CLIENT_CALLS_MAX + 10];
        size_t n_busy = 0, n_fine = 0;

        lamp_start(w, &l, 0);
        l.does = KEEPS;
        for (size_t i = 0; i < ARRAY_SIZE(replies); i++) {
                ask(w, clients[i % 3], 60000, &replies[i]);
                if (i % 8 == 0) /* as many at once as may wait for credentials */
                        world_settle(w);
        }
        world_settle(w);
        assert_int_equal(l.n_held, CALLS_SENT_MAX / 2);
        for (size_t i = 0; i < ARRAY_SIZE(replies); i++)
                if (replies[i]) {
                        assert_error(replies[i], ERROR("Busy"), "try again");
                        replies[i] = NULL;
                        n_busy++;
                }
        assert_int_equal(n_busy, 10);
        l.does = ANSWERS;
        for (size_t i = 0; i < l.n_held; i++)
                assert_true(sd_bus_reply_method_return(l.held[i], "a{sv}", 1, "value", "b", 1) >= 0);
        lamp_release(&l);
        WORLD_UNTIL(w, list_is_empty(&w->bus->requests));
        world_settle(w);
        assert_int_equal(l.n_calls, CLIENT_CALLS_MAX);
        for (size_t i = 0; i < ARRAY_SIZE(replies); i++)
                if (replies[i]) {
                        assert_fine(replies[i]);
                        n_fine++;
                }
        assert_int_equal(n_fine, CLIENT_CALLS_MAX);
        assert_int_equal(w->bus->n_calls_queued, 0);
        assert_int_equal(w->bus->n_calls_sent, 0);
}

/* Those that hang take their share, and what they owe is counted; another app is served as ever. */
static void hanging_apps_leave_room_for_others(void **state) {
        struct world *w = *state;
        struct lamp hanging, fine;
        sd_bus *asks[2] = { world_client(w), world_client(w) }, *app;
        sd_bus_message *replies[100], *m;

        lamp_start(w, &hanging, 0);
        hanging.does = KEEPS;
        for (size_t i = 0; i < ARRAY_SIZE(replies); i++) {
                ask(w, asks[i % 2], 300, &replies[i]);
                if (i % 8 == 0)
                        world_turn(w);
        }
        for (size_t i = 0; i < ARRAY_SIZE(replies); i++) {
                WORLD_UNTIL(w, replies[i]);
                assert_error(replies[i], ERROR("Timeout"), "in time");
        }
        assert_int_equal(w->bus->n_calls_queued, 0);
        assert_int_equal(w->bus->n_calls_sent, CALLS_SENT_MAX / 2); /* owed */
        assert_error(retrieve(w, asks[0]), ERROR("Busy"), "hangs");
        assert_int_equal(w->bus->n_calls_sent, CALLS_SENT_MAX / 2);
        app = world_client(w);
        m = world_registration(app);
        fine = (struct lamp){ .does = ANSWERS };
        assert_true(sd_bus_add_object(app, NULL, "/f", on_handle, &fine) >= 0);
        world_add(m, "/fine", "a{sv}", 2, "rt", "as", 1, "x.a", "handler", "o", "/f");
        assert_fine(world_register(w, app, m, "a{sv}", 0));
        for (int i = 0; i < 300; i++)
                assert_fine(world_call(w, asks[0], world_path_of(w, "/fine"), OCFD ".Resource1", "Retrieve",
                                       "a{sv}", 0));
        for (size_t i = 0; i < hanging.n_held; i++) /* when they come after all, all is as it was */
                assert_true(sd_bus_reply_method_return(hanging.held[i], "a{sv}", 0) >= 0);
        lamp_release(&hanging);
        WORLD_UNTIL(w, w->bus->n_calls_sent == 0);
        hanging.does = ANSWERS;
        assert_fine(retrieve(w, asks[0]));
}

/* ---- Updated ---- */

struct told {
        unsigned n;
        uint64_t n_missed;
        bool value;
};

static int on_updated(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        struct told *t = userdata;
        const char *key;
        uint64_t missed;
        int on;

        t->n++;
        assert_true(sd_bus_message_enter_container(m, 'a', "{sv}") > 0);
        assert_true(sd_bus_message_read(m, "{sv}", &key, "b", &on) > 0);
        t->value = on;
        assert_true(sd_bus_message_exit_container(m) >= 0);
        assert_true(sd_bus_message_enter_container(m, 'a', "{sv}") > 0);
        assert_true(sd_bus_message_read(m, "{sv}", &key, "t", &missed) > 0);
        assert_string_equal(key, "missed");
        t->n_missed += missed;
        return 0;
}

static void listen_for_updates(sd_bus *client, struct told *t) {
        *t = (struct told){ 0 };
        assert_true(sd_bus_match_signal_async(client, NULL, NULL, NULL, OCFD ".Resource1", "Updated",
                                              on_updated, NULL, t) >= 0);
}

static void update(struct world *w, sd_bus *client, bool on) {
        assert_fine(world_call(w, client, world_path_of(w, "/lamp"), OCFD ".Resource1", "Update", "va{sv}",
                               "a{sv}", 1, "value", "b", (int)on, 0));
}

static void owner_is_told_of_updates_of_others(void **state) {
        struct world *w = *state;
        sd_bus *app = world_client(w), *client = world_client(w);
        struct told mine, other;

        listen_for_updates(app, &mine);
        listen_for_updates(client, &other);
        world_publish_lamp(w, app, "/lamp");
        update(w, client, true);
        WORLD_UNTIL(w, mine.n == 1);
        assert_true(mine.value);
        update(w, app, false); /* its own it knows */
        world_settle(w);
        assert_int_equal(mine.n, 1);
        assert_int_equal(mine.n_missed, 0);
        assert_int_equal(other.n, 0);
}

static void deaf_owner_is_told_the_newest(void **state) {
        struct world *w = *state;
        sd_bus *app = world_client(w), *client = world_client(w);
        struct told mine;

        listen_for_updates(app, &mine);
        world_publish_lamp(w, app, "/lamp");
        world_settle(w);
        world_deaf(w, app);
        for (int i = 0; i < 100; i++)
                update(w, client, i % 2);
        world_settle(w);
        world_listen(w, app);
        WORLD_UNTIL(w, mine.n + mine.n_missed == 100);
        assert_int_equal(mine.n, CLIENT_WINDOW + 1);
        assert_true(mine.value); /* that of i = 99 */
        update(w, client, false);
        WORLD_UNTIL(w, mine.n == CLIENT_WINDOW + 2);
        assert_false(mine.value);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(request_says_what_is_asked),
                TEST(answer_reaches_the_caller),
                TEST(errors_by_name),
                TEST(nonsense_is_failed),
                TEST(raw_bytes_pass),
                TEST(no_answer_in_time),
                TEST(nobody_at_the_object),
                TEST(app_dies_with_calls_in_flight),
                TEST(caller_dies_with_calls_in_flight),
                TEST(observed_app_dies),
                TEST(resource_goes_with_a_call_in_flight),
                TEST(too_many_are_busy),
                TEST(hanging_apps_leave_room_for_others),
                TEST(owner_is_told_of_updates_of_others),
                TEST(deaf_owner_is_told_the_newest),
        };

        if (!world_has_bus()) {
                printf("SKIP: there is no dbus-daemon\n");
                return 77;
        }
        return cmocka_run_group_tests(tests, NULL, NULL);
}
