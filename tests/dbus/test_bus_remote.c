#include "../unit.h"
#include "world.h"
#include "protocol/rep.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* Client1, RemoteDevice1 and RemoteResource1: other devices, shown, asked and followed. */

#define ERROR(name) OCFD ".Error." name
#define ROOT        "/org/ocfd"
#define CLIENT      OCFD ".Client1"
#define DEVICE      OCFD ".RemoteDevice1"
#define RESOURCE    OCFD ".RemoteResource1"
#define PROPERTIES  "org.freedesktop.DBus.Properties"
#define LAMP        ROOT "/remote/07223344_5566_4788_8900_000000000007"
#define LAMP_1      LAMP "/1"
#define LAMP_WORD   "/remote/07223344_5566_4788_8900_000000000007"
#define ON          SPAN_LITERAL("\xa1\x65value\xf5")

static int keep(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        *(sd_bus_message **)userdata = sd_bus_message_ref(m);
        return 0;
}

/* Sends it, and does not wait for the reply. */
static void send_call(sd_bus *client, sd_bus_message *m_take, sd_bus_message **ret_reply) {
        *ret_reply = NULL;
        assert_true(sd_bus_call_async(client, NULL, m_take, keep, ret_reply, 0) >= 0);
        sd_bus_message_unref(m_take);
}

static sd_bus_message *message(sd_bus *client, const char *path, const char *interface, const char *member,
                               const char *types, ...) {
        sd_bus_message *m = world_message(client, path, interface, member);
        va_list args;

        va_start(args, types);
        assert_true(sd_bus_message_appendv(m, types, args) >= 0);
        va_end(args);
        return m;
}

/* ---- what is shown ---- */

static sd_bus_message *property(struct world *w, sd_bus *client, const char *path, const char *interface,
                                const char *name) {
        sd_bus_message *reply = world_call(w, client, path, PROPERTIES, "Get", "ss", interface, name);

        if (sd_bus_message_get_error(reply))
                fail_msg("%s: %s", name, sd_bus_message_get_error(reply)->message);
        return reply;
}

/* A text; or the texts of a list, joined by blanks. */
static void assert_property(struct world *w, sd_bus *client, const char *path, const char *interface,
                            const char *name, const char *wanted) {
        sd_bus_message *reply = property(w, client, path, interface, name);
        const char *type, *text = "?";
        char all[512] = "";
        int flag;

        assert_true(sd_bus_message_peek_type(reply, NULL, &type) > 0);
        assert_true(sd_bus_message_enter_container(reply, 'v', type) > 0);
        if (strcmp(type, "as") == 0) {
                assert_true(sd_bus_message_enter_container(reply, 'a', "s") > 0);
                while (sd_bus_message_read(reply, "s", &text) > 0)
                        strcat(strcat(all, all[0] ? " " : ""), text);
                text = all;
        } else if (strcmp(type, "b") == 0) {
                assert_true(sd_bus_message_read(reply, "b", &flag) > 0);
                text = flag ? "true" : "false";
        } else {
                assert_true(sd_bus_message_read_basic(reply, type[0], &text) > 0);
        }
        if (strcmp(text, wanted) != 0)
                fail_msg("%s is \"%s\", not \"%s\"", name, text, wanted);
        sd_bus_message_unref(reply);
}

static void properties(void **state) {
        struct world *w = *state;
        sd_bus *client = world_client(w);
        sd_bus_message *reply;
        uint64_t seen_us;

        world_remote(w, 7, "Lamp", 2);
        assert_property(w, client, LAMP, DEVICE, "DeviceId", "07223344-5566-4788-8900-000000000007");
        assert_property(w, client, LAMP, DEVICE, "Name", "Lamp");
        assert_property(w, client, LAMP, DEVICE, "SpecificationVersion", "ocf.2.2.5");
        assert_property(w, client, LAMP, DEVICE, "ProtocolIndependentId", "");
        assert_property(w, client, LAMP, DEVICE, "Ownership", "unknown");
        assert_property(w, client, LAMP, DEVICE, "Owner", "");
        assert_property(w, client, LAMP, DEVICE, "Domain", "");
        assert_property(w, client, LAMP, DEVICE, "Transfers", "");
        assert_property(w, client, LAMP, DEVICE, "Reachable", "true");
        assert_property(w, client, LAMP, DEVICE, "Session", "psk");
        reply = property(w, client, LAMP, DEVICE, "LastSeenUSec");
        assert_true(sd_bus_message_read(reply, "v", "t", &seen_us) > 0);
        /* it was heard a millisecond after the clock began */
        assert_in_range(seen_us / 1000000, (uint64_t)time(NULL) - w->control.now(w) / 1000 - 60,
                        (uint64_t)time(NULL) - w->control.now(w) / 1000 + 60);
        sd_bus_message_unref(reply);

        assert_property(w, client, LAMP_1, RESOURCE, "Href", "/r1");
        assert_property(w, client, LAMP_1, RESOURCE, "Device", LAMP);
        assert_property(w, client, LAMP_1, RESOURCE, "Types", "oic.d.light");
        assert_property(w, client, LAMP_1, RESOURCE, "Interfaces", "oic.if.a oic.if.baseline");
        assert_property(w, client, LAMP_1, RESOURCE, "Discoverable", "true");
        assert_property(w, client, LAMP_1, RESOURCE, "Observable", "true");
        assert_property(w, client, LAMP_1, RESOURCE, "Mode", "none");
        assert_property(w, client, LAMP "/2", RESOURCE, "Href", "/r2");
}

/* A link-local address is written with the name of the interface, as a person would type it. */
static void endpoints(void **state) {
        struct world *w = *state;
        sd_bus *client = world_client(w);
        sd_bus_message *reply;
        const char *first;

        world_remote(w, 7, "Lamp", 1);
        reply = property(w, client, LAMP, DEVICE, "Endpoints");
        assert_true(sd_bus_message_enter_container(reply, 'v', "as") > 0);
        assert_true(sd_bus_message_enter_container(reply, 'a', "s") > 0);
        assert_true(sd_bus_message_read(reply, "s", &first) > 0);
        assert_string_equal(first, "coaps://[fe80::7%eth0]:5684");
        sd_bus_message_unref(reply);
}

static void learn_doxm(struct world *w, const char *owner) {
        const struct coap_peer from = { .interface = 2,
                                        .remote_port = 5683,
                                        .remote_ip = { 0xfe, 0x80, [15] = 7 } };
        const struct uuid id = world_id(7);
        uint8_t buf[256];
        struct writer rep = writer_on(buf, sizeof(buf));
        char text[UUID_TEXT_MAX];

        rep_put_map(&rep, 4);
        rep_put_string(&rep, "deviceuuid");
        rep_put_string(&rep, uuid_format(&id, text));
        rep_put_string(&rep, "oxms");
        rep_put_array(&rep, 2);
        rep_put_uint(&rep, 0);
        rep_put_uint(&rep, 1);
        rep_put_string(&rep, "owned");
        rep_put_bool(&rep, true);
        rep_put_string(&rep, "devowneruuid");
        rep_put_string(&rep, owner);
        assert_int_equal(remotes_learn_doxm(w->net.remotes, 2, &from, &id, writer_span(&rep)), 1);
}

static void appears_changes_and_goes(void **state) {
        struct world *w = *state;
        sd_bus *client = world_client(w);
        struct world_log log;

        world_log(w, client, &log);
        world_remote(w, 7, "Lamp", 2);
        world_settle(w);
        assert_string_equal(log.text, "Added:" LAMP_WORD " Added:" LAMP_WORD "/1 Added:" LAMP_WORD "/2 ");

        log.text[0] = 0;
        world_remote(w, 7, "Lamp", 2); /* the same again is no news */
        world_settle(w);
        assert_string_equal(log.text, "");
        world_remote(w, 7, "Bulb", 2);
        world_settle(w);
        assert_string_equal(log.text, "Name:" LAMP_WORD " ");
        assert_property(w, client, LAMP, DEVICE, "Name", "Bulb");

        log.text[0] = 0;
        learn_doxm(w, "0a223344-5566-4788-8900-00000000000a");
        world_settle(w);
        assert_string_equal(log.text, "Ownership:" LAMP_WORD " Owner:" LAMP_WORD " Transfers:" LAMP_WORD " ");
        log.text[0] = 0;
        learn_doxm(w, "0b223344-5566-4788-8900-00000000000b");
        world_settle(w);
        assert_string_equal(log.text, "Owner:" LAMP_WORD " "); /* not all of what doxm tells */
        log.text[0] = 0;
        learn_doxm(w, "0c223344-5566-4788-8900-00000000000c"); /* and back, before it is told */
        learn_doxm(w, "0b223344-5566-4788-8900-00000000000b");
        world_settle(w);
        assert_string_equal(log.text, "");
        assert_property(w, client, LAMP, DEVICE, "Ownership", "other");
        assert_property(w, client, LAMP, DEVICE, "Owner", "0b223344-5566-4788-8900-00000000000b");
        assert_property(w, client, LAMP, DEVICE, "Transfers", "just-works random-pin");

        log.text[0] = 0;
        world_remote(w, 7, "Bulb", 1);
        world_settle(w);
        assert_string_equal(log.text, "Removed:" LAMP_WORD "/2 ");

        log.text[0] = 0;
        for (int i = 0; i < 3; i++)
                remote_was_silent(remotes_first(w->net.remotes), 5);
        world_settle(w);
        assert_string_equal(log.text, "Reachable:" LAMP_WORD " ");

        log.text[0] = 0;
        remote_forget(remotes_first(w->net.remotes));
        world_settle(w);
        assert_string_equal(log.text, "Removed:" LAMP_WORD "/1 Removed:" LAMP_WORD " ");
        assert_error(world_call(w, client, LAMP, DEVICE, "Refresh", ""), SD_BUS_ERROR_UNKNOWN_OBJECT, "");
}

/* Ownership gives a device another id: it is another object, and the old one goes. */
static void gets_another_id(void **state) {
        struct world *w = *state;
        sd_bus *client = world_client(w);
        const struct uuid other = world_id(9);
        struct world_log log;

        world_remote(w, 7, "Lamp", 1);
        world_log(w, client, &log);
        assert_int_equal(remote_rename(remotes_first(w->net.remotes), &other), 0);
        world_settle(w);
        assert_non_null(strstr(log.text, "Removed:" LAMP_WORD " "));
        assert_non_null(strstr(log.text, "Removed:" LAMP_WORD "/1 "));
        assert_non_null(strstr(log.text, "Added:/remote/09223344_5566_4788_8900_000000000009 "));
        assert_non_null(strstr(log.text, "Added:/remote/09223344_5566_4788_8900_000000000009/1 "));
        assert_property(w, client, ROOT "/remote/09223344_5566_4788_8900_000000000009", DEVICE, "Name",
                        "Lamp");
}

/* One that went and came again before anybody was told: it may be another one, and is there in the end. */
static void comes_again_at_once(void **state) {
        struct world *w = *state;
        sd_bus *client = world_client(w);
        struct world_log log;

        world_remote(w, 7, "Lamp", 1);
        world_log(w, client, &log);
        remote_forget(remotes_first(w->net.remotes));
        world_remote(w, 7, "Lamp", 1);
        world_settle(w);
        assert_string_equal(log.text, "Removed:" LAMP_WORD "/1 Removed:" LAMP_WORD " Added:" LAMP_WORD
                                      " Added:" LAMP_WORD "/1 ");
}

/* Objects that GetManagedObjects lists below this path. */
static size_t count_listed(struct world *w, sd_bus *client, const char *below) {
        sd_bus_message *reply =
                world_call(w, client, ROOT, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects", "");
        size_t n = 0;

        assert_true(sd_bus_message_enter_container(reply, 'a', "{oa{sa{sv}}}") > 0);
        while (sd_bus_message_enter_container(reply, 'e', "oa{sa{sv}}") > 0) {
                const char *path;

                assert_true(sd_bus_message_read(reply, "o", &path) > 0);
                n += strncmp(path, below, strlen(below)) == 0;
                assert_true(sd_bus_message_skip(reply, "a{sa{sv}}") >= 0);
                assert_true(sd_bus_message_exit_container(reply) >= 0);
        }
        sd_bus_message_unref(reply);
        return n;
}

static size_t count_objects(struct world *w, sd_bus *client) {
        return count_listed(w, client, ROOT "/remote/");
}

static bool is_listed(struct world *w, sd_bus *client, const char *path) {
        return count_listed(w, client, path) > 0;
}

static void many_devices(void **state) {
        struct world *w = *state;
        sd_bus *client = world_client(w);

        for (unsigned i = 1; i <= 200; i++)
                world_remote(w, (uint8_t)i, "One of many", 10);
        world_settle(w);
        assert_int_equal(count_objects(w, client), 200 * 11);
}

/* More than the bus takes in one message: strangers can tell as much as they like. What is needed is listed.
 */
static void more_than_can_be_listed(void **state) {
        struct world *w = *state;
        sd_bus *client = world_client(w);
        const struct uuid last = world_id(60);
        size_t n;

        for (unsigned i = 1; i <= 60; i++)
                world_remote(w, (uint8_t)i, "One of many", 500);
        world_settle(w);
        n = count_objects(w, client);
        assert_in_range(n, 10000, 25000);
        assert_int_equal(n % 501, 0);
        assert_property(w, client, ROOT "/remote/3c223344_5566_4788_8900_00000000003c/500", RESOURCE, "Href",
                        "/r500");
        assert_false(is_listed(w, client, ROOT "/remote/3c223344_5566_4788_8900_00000000003c"));
        remotes_find(w->net.remotes, &last)->by_hand = true;
        assert_true(is_listed(w, client, ROOT "/remote/3c223344_5566_4788_8900_00000000003c"));
        assert_int_equal(w->bus->state, BUS_READY);
}

/* A bus that does not take what it is told is told less, and all of what is there in the end. */
static void slow_bus(void **state) {
        struct world *w = *state;
        sd_bus *client = world_client(w);
        uint64_t n_queued = 0;

        kill(w->daemon, SIGSTOP);
        for (unsigned i = 1; i <= 250; i++)
                world_remote(w, (uint8_t)i, "One of many", 60);
        world_client_work(w);
        assert_false(bus_takes_news(w->bus));
        assert_true(sd_bus_get_n_queued_write(w->bus->bus, &n_queued) >= 0);
        assert_in_range(n_queued, 1000, 1100);
        for (int i = 0; i < 20; i++)
                world_turn(w);
        assert_true(sd_bus_get_n_queued_write(w->bus->bus, &n_queued) >= 0);
        assert_in_range(n_queued, 1000, 1100);
        kill(w->daemon, SIGCONT);
        WORLD_UNTIL(w, bus_takes_news(w->bus) && !world_client_work(w));
        assert_int_equal(count_objects(w, client), 250 * 61);
        assert_int_equal(w->bus->state, BUS_READY);
}

static void paths_have_one_form(void **state) {
        struct world *w = *state;
        sd_bus *client = world_client(w);
        static const char *const wrong[] = {
                ROOT "/remote/07223344_5566_4788_8900_00000000000A", /* upper case */
                LAMP "/0",
                LAMP "/01",
                LAMP "/4294967297",
                LAMP "/1/1",
                ROOT "/remote/07223344_5566_4788_8900_00000000000",
                ROOT "/remote/072233445566_4788_8900_000000000007",
        };

        world_remote(w, 7, "Lamp", 1);
        for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
                assert_error(world_call(w, client, wrong[i], DEVICE, "Refresh", ""),
                             SD_BUS_ERROR_UNKNOWN_OBJECT, "");
                assert_error(world_call(w, client, wrong[i], RESOURCE, "StopObserve", ""),
                             SD_BUS_ERROR_UNKNOWN_OBJECT, "");
        }
}

/* ---- Client1 ---- */

static void discovering(void **state) {
        struct world *w = *state;
        sd_bus *client = world_client(w);
        const struct uuid heard[] = { world_id(7), world_id(8) };
        sd_bus_message *reply;
        struct world_log log;
        const char *first, *second;

        world_remote(w, 7, "Lamp", 1);
        world_log(w, client, &log);
        send_call(client, message(client, ROOT, CLIENT, "Discover", "a{sv}", 1, "timeout_ms", "u", 1234u),
                  &reply);
        WORLD_UNTIL(w, w->net.n_rounds == 1);
        assert_int_equal(w->net.timeout_ms, 1234);
        w->net.discovering = true;
        bus_tell_client(w->bus);
        bus_tell_client(w->bus);
        world_settle(w);
        assert_string_equal(log.text, "Discovering: ");
        assert_property(w, client, ROOT, CLIENT, "Discovering", "true");
        assert_null(reply);
        w->net.heard(w->net.heard_context, FAULT_NONE, NULL, heard, 2);
        WORLD_UNTIL(w, reply);
        assert_true(sd_bus_message_read(reply, "ao", 2, &first, &second) > 0);
        assert_string_equal(first, LAMP);
        assert_string_equal(second, ROOT "/remote/08223344_5566_4788_8900_000000000008");
        sd_bus_message_unref(reply);

        w->net.answers_at_once = true;
        assert_fine(world_call(w, client, ROOT, CLIENT, "Discover", "a{sv}", 0));
        assert_int_equal(w->net.timeout_ms, 7000);
        assert_fine(
                world_call(w, client, ROOT, CLIENT, "Discover", "a{sv}", 1, "timeout_ms", "u", UINT32_MAX));
        assert_int_equal(w->net.timeout_ms, 60000);
        assert_error(world_call(w, client, ROOT, CLIENT, "Discover", "a{sv}", 1, "query", "s", "x"),
                     ERROR("InvalidArguments"), "\"query\" is unknown: there are timeout_ms (u)");
        assert_error(world_call(w, client, ROOT, CLIENT, "Discover", "a{sv}", 1, "timeout_ms", "s", "x"),
                     ERROR("InvalidArguments"), "another type");
        w->net.outcome = BUS_E_BUSY;
        assert_error(world_call(w, client, ROOT, CLIENT, "Discover", "a{sv}", 0), ERROR("Busy"), "");
        w->net.outcome = BUS_E_REFUSED;
        w->net.why = "No rule lets you";
        assert_error(world_call(w, client, ROOT, CLIENT, "Discover", "a{sv}", 0), ERROR("NotAllowed"),
                     "No rule lets you");
        assert_true(list_is_empty(&w->bus->rounds));
}

/* Each round of a caller who left ends with nobody to tell; and there are not many for one. */
static void discovering_callers(void **state) {
        struct world *w = *state;
        sd_bus *client = world_client(w);
        sd_bus_message *replies[CLIENT_ROUNDS_MAX + 1];
        bus_heard *heard[CLIENT_ROUNDS_MAX];
        void *contexts[CLIENT_ROUNDS_MAX];

        for (unsigned i = 0; i <= CLIENT_ROUNDS_MAX; i++) {
                send_call(client, message(client, ROOT, CLIENT, "Discover", "a{sv}", 0), &replies[i]);
                if (i == CLIENT_ROUNDS_MAX)
                        break;
                WORLD_UNTIL(w, w->net.n_rounds == i + 1);
                heard[i] = w->net.heard;
                contexts[i] = w->net.heard_context;
        }
        WORLD_UNTIL(w, replies[CLIENT_ROUNDS_MAX]);
        assert_error(replies[CLIENT_ROUNDS_MAX], ERROR("LimitsExceeded"), "wait for the first answer");
        heard[0](contexts[0], FAULT_NONE, NULL, NULL, 0);
        WORLD_UNTIL(w, replies[0]);
        assert_fine(replies[0]);
        world_client_close(w, client);
        WORLD_UNTIL(w, w->n_vanished);
        for (unsigned i = 1; i < CLIENT_ROUNDS_MAX; i++)
                heard[i](contexts[i], FAULT_NONE, NULL, NULL, 0);
        world_settle(w);
        assert_true(list_is_empty(&w->bus->rounds));
        assert_int_equal(w->bus->state, BUS_READY);
}

/* A round that ends when the bus room is not there any more. */
static void round_outlives_the_bus(void **state) {
        struct world *w = *state;
        sd_bus *client = world_client(w);
        sd_bus_message *reply;

        send_call(client, message(client, ROOT, CLIENT, "Discover", "a{sv}", 0), &reply);
        WORLD_UNTIL(w, w->net.n_rounds == 1);
        w->bus = bus_free(w->bus);
        w->net.heard(w->net.heard_context, FAULT_NONE, NULL, NULL, 0);
}

static void addresses(void **state) {
        struct world *w = *state;
        sd_bus *client = world_client(w);
        struct world_log log;
        sd_bus_message *reply;

        world_log(w, client, &log);
        send_call(client, message(client, ROOT, CLIENT, "AddAddress", "sa{sv}", "192.0.2.7", 0), &reply);
        WORLD_UNTIL(w, w->net.n_rounds == 1);
        assert_string_equal(w->net.address, "192.0.2.7");
        w->net.addresses[w->net.n_addresses++] = "192.0.2.7";
        bus_tell_client(w->bus);
        w->net.heard(w->net.heard_context, FAULT_TIMEOUT, "Nobody answered there; it is kept", NULL, 0);
        WORLD_UNTIL(w, reply);
        assert_error(reply, ERROR("Timeout"), "it is kept");
        assert_string_equal(log.text, "Addresses: ");
        assert_property(w, client, ROOT, CLIENT, "Addresses", "192.0.2.7");

        w->net.outcome = BUS_E_REFUSED;
        w->net.why = "That is none";
        assert_error(world_call(w, client, ROOT, CLIENT, "AddAddress", "sa{sv}", "lamp", 0),
                     ERROR("InvalidArguments"), "That is none");
        assert_error(world_call(w, client, ROOT, CLIENT, "RemoveAddress", "s", "lamp"), ERROR("NotFound"),
                     "Addresses");
        w->net.outcome = BUS_E_BUSY;
        w->net.why = NULL;
        assert_error(world_call(w, client, ROOT, CLIENT, "AddAddress", "sa{sv}", "192.0.2.8", 0),
                     ERROR("Busy"), "remove one");
        assert_error(world_call(w, client, ROOT, CLIENT, "AddAddress", "sa{sv}", "192.0.2.8", 1, "x", "b", 1),
                     ERROR("InvalidArguments"), "\"x\" is unknown");
        w->net.outcome = 0;
        assert_fine(world_call(w, client, ROOT, CLIENT, "RemoveAddress", "s", "192.0.2.7"));

        w->admin = BUS_ADMIN_NO;
        assert_error(world_call(w, client, ROOT, CLIENT, "AddAddress", "sa{sv}", "192.0.2.8", 0),
                     ERROR("NotAllowed"), "AdminGroup=");
        assert_error(world_call(w, client, ROOT, CLIENT, "RemoveAddress", "s", "192.0.2.7"),
                     ERROR("NotAllowed"), "AdminGroup=");
        assert_int_equal(w->net.n_rounds, 1);
        w->net.answers_at_once = true;
        assert_fine(world_call(w, client, ROOT, CLIENT, "Discover", "a{sv}", 0)); /* for everybody */
}

static void finding(void **state) {
        struct world *w = *state;
        sd_bus *client = world_client(w);
        static const struct {
                const char *name, *error, *text; /* error NULL: the path is text */
        } cases[] = {
                { "07223344-5566-4788-8900-000000000007", NULL, LAMP },
                { "0722", NULL, LAMP },
                { "ocf://07223344-5566-4788-8900-000000000007", NULL, LAMP },
                { "Lamp", NULL, LAMP },
                { "072", ERROR("NotFound"), "Discover" },
                { "Door", ERROR("NotFound"), "Discover" },
                { "", ERROR("NotFound"), "Discover" },
                { "Twin", ERROR("InvalidArguments"),
                  "08223344-5566-4788-8900-000000000008, 09223344-5566-4788-8900-000000000009" },
        };
        const char *path;

        world_remote(w, 7, "Lamp", 1);
        world_remote(w, 8, "Twin", 1);
        world_remote(w, 9, "Twin", 1);
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                sd_bus_message *reply = world_call(w, client, ROOT, CLIENT, "FindDevice", "s", cases[i].name);

                if (cases[i].error) {
                        assert_error(reply, cases[i].error, cases[i].text);
                        continue;
                }
                assert_true(sd_bus_message_read(reply, "o", &path) > 0);
                assert_string_equal(path, cases[i].text);
                sd_bus_message_unref(reply);
        }
}

static void refresh_and_forget(void **state) {
        struct world *w = *state;
        sd_bus *client = world_client(w);
        sd_bus_message *reply;

        world_remote(w, 7, "Lamp", 1);
        send_call(client, message(client, LAMP, DEVICE, "Refresh", ""), &reply);
        WORLD_UNTIL(w, w->net.n_rounds == 1);
        assert_int_equal(w->net.heard_device.bytes[0], 7);
        w->net.heard(w->net.heard_context, FAULT_NONE, NULL, &w->net.heard_device, 1);
        WORLD_UNTIL(w, reply);
        assert_true(sd_bus_message_is_empty(reply) > 0);
        assert_fine(reply);
        send_call(client, message(client, LAMP, DEVICE, "Refresh", ""), &reply);
        WORLD_UNTIL(w, w->net.n_rounds == 2);
        w->net.heard(w->net.heard_context, FAULT_NOT_REACHABLE, "It did not answer", NULL, 0);
        WORLD_UNTIL(w, reply);
        assert_error(reply, ERROR("NotReachable"), "It did not answer");
        w->net.outcome = BUS_E_REFUSED;
        w->net.why = "apps.d";
        assert_error(world_call(w, client, LAMP, DEVICE, "Refresh", ""), ERROR("NotAllowed"), "apps.d");

        assert_error(world_call(w, client, LAMP, DEVICE, "Forget", ""), ERROR("NotFound"), "");
        w->net.outcome = BUS_E_BUSY;
        assert_error(world_call(w, client, LAMP, DEVICE, "Forget", ""), ERROR("Busy"), "owns the device");
        w->net.outcome = 0;
        w->admin = BUS_ADMIN_NO;
        assert_error(world_call(w, client, LAMP, DEVICE, "Forget", ""), ERROR("NotAllowed"), "");
        w->admin = BUS_ADMIN_ALWAYS;
        assert_fine(world_call(w, client, LAMP, DEVICE, "Forget", ""));
        assert_int_equal(w->net.n_forgotten, 1);
        assert_error(world_call(w, client, LAMP, DEVICE, "Forget", ""), SD_BUS_ERROR_UNKNOWN_OBJECT, "");
}

/* ---- requests ---- */

/* Reads {"value": true} and the code. */
static void assert_value(sd_bus_message *reply_take, const char *code) {
        const char *key, *text;
        int flag;

        if (sd_bus_message_get_error(reply_take))
                fail_msg("%s", sd_bus_message_get_error(reply_take)->message);
        assert_true(sd_bus_message_read(reply_take, "v", "a{sv}", 1, &key, "b", &flag) > 0);
        assert_string_equal(key, "value");
        assert_true(flag);
        assert_true(sd_bus_message_enter_container(reply_take, 'a', "{sv}") > 0);
        assert_true(sd_bus_message_read(reply_take, "{sv}", &key, "s", &text) > 0);
        assert_string_equal(key, "code");
        assert_string_equal(text, code);
        sd_bus_message_unref(reply_take);
}

static void assert_asked(struct world *w, uint8_t method, const char *path, const char *query) {
        assert_int_equal(w->net.device.bytes[0], 7);
        assert_int_equal(w->net.method, method);
        assert_string_equal(w->net.path, path);
        assert_string_equal(w->net.query, query);
}

static void requests_to_resources(void **state) {
        struct world *w = *state;
        sd_bus *client = world_client(w);
        sd_bus_message *reply;

        world_remote(w, 7, "Lamp", 2);
        w->net.response.rep = ON;
        assert_value(world_call(w, client, LAMP_1, RESOURCE, "Retrieve", "a{sv}", 0), "2.05");
        assert_asked(w, COAP_GET, "/r1", "");
        assert_int_equal(w->net.wish, BUS_ANY_CHANNEL);
        assert_int_equal(w->net.accept, COAP_FORMAT_NONE);
        assert_in_range(w->net.timeout_of_request_ms, 14000, 15000);
        assert_value(world_call(w, client, LAMP "/2", RESOURCE, "Retrieve", "a{sv}", 5, "interface", "s",
                                "oic.if.baseline", "query", "s", "a=b", "timeout_ms", "u", 30000u, "secure",
                                "b", 1, "accept", "q", 50),
                     "2.05");
        assert_asked(w, COAP_GET, "/r2", "if=oic.if.baseline&a=b");
        assert_int_equal(w->net.wish, BUS_SECURE_ONLY);
        assert_int_equal(w->net.accept, 50);
        assert_in_range(w->net.timeout_of_request_ms, 29000, 30000);
        assert_value(world_call(w, client, LAMP_1, RESOURCE, "Retrieve", "a{sv}", 1, "secure", "b", 0),
                     "2.05");
        assert_int_equal(w->net.wish, BUS_CLEAR_ONLY);

        w->net.response.code = COAP_CHANGED;
        assert_value(
                world_call(w, client, LAMP_1, RESOURCE, "Update", "va{sv}", "a{sv}", 1, "value", "b", 1, 0),
                "2.04");
        assert_asked(w, COAP_POST, "/r1", "");
        assert_memory_equal(w->net.payload, ON.data, ON.n);
        assert_value(
                world_call(w, client, LAMP_1, RESOURCE, "Create", "va{sv}", "a{sv}", 1, "value", "b", 1, 0),
                "2.04");
        assert_asked(w, COAP_POST, "/r1", "if=oic.if.create");
        w->net.response = OCF_RESPONSE_OK(COAP_CHANGED); /* a device need not say more */
        reply = world_call(w, client, LAMP_1, RESOURCE, "Update", "va{sv}", "a{sv}", 0, 0);
        assert_true(sd_bus_message_enter_container(reply, 'v', "a{sv}") > 0);
        assert_true(sd_bus_message_enter_container(reply, 'a', "{sv}") > 0);
        assert_true(sd_bus_message_at_end(reply, false) > 0);
        sd_bus_message_unref(reply);
        w->net.response = OCF_RESPONSE_OK(COAP_DELETED);
        reply = world_call(w, client, LAMP_1, RESOURCE, "Delete", "a{sv}", 0);
        assert_true(sd_bus_message_has_signature(reply, "a{sv}"));
        assert_asked(w, COAP_DELETE, "/r1", "");
        assert_fine(reply);
}

static void requests_to_paths(void **state) {
        struct world *w = *state;
        sd_bus *client = world_client(w);
        static const char *const wrong[] = { "", "lamp", "/lamp?if=oic.if.baseline" };
        char href[300] = "/";

        world_remote(w, 7, "Lamp", 1);
        w->net.response.rep = ON;
        assert_value(world_call(w, client, LAMP, DEVICE, "Retrieve", "sa{sv}", "/oic/sec/doxm", 0), "2.05");
        assert_asked(w, COAP_GET, "/oic/sec/doxm", "");
        assert_value(world_call(w, client, LAMP, DEVICE, "Update", "sva{sv}", "/x", "a{sv}", 1, "value", "b",
                                1, 1, "interface", "s", "oic.if.rw"),
                     "2.05");
        assert_asked(w, COAP_POST, "/x", "if=oic.if.rw");
        assert_int_equal(w->net.n_payload, ON.n);
        assert_fine(
                world_call(w, client, LAMP, DEVICE, "Delete", "sa{sv}", "/x", 1, "query", "s", "credid=1"));
        assert_asked(w, COAP_DELETE, "/x", "credid=1");
        for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
                assert_error(world_call(w, client, LAMP, DEVICE, "Retrieve", "sa{sv}", wrong[i], 0),
                             ERROR("InvalidArguments"), "is no path");
        memset(href + 1, 'a', REMOTE_HREF_MAX);
        assert_error(world_call(w, client, LAMP, DEVICE, "Delete", "sa{sv}", href, 0),
                     ERROR("InvalidArguments"), "longer than 256");
        assert_error(world_call(w, client, LAMP, DEVICE, "Update", "sva{sv}", "/x", "h", 0, 0),
                     ERROR("InvalidArguments"), "file descriptor");
}

static void what_devices_refuse(void **state) {
        struct world *w = *state;
        sd_bus *client = world_client(w);
        static const struct {
                enum fault fault;
                const char *name;
        } faults[] = {
                { FAULT_NOT_REACHABLE, ERROR("NotReachable") },
                { FAULT_NOT_AUTHORIZED, ERROR("NotAuthorized") },
                { FAULT_FORBIDDEN, ERROR("Forbidden") },
                { FAULT_NOT_ALLOWED, ERROR("NotAllowed") },
                { FAULT_NOT_FOUND, ERROR("NotFound") },
                { FAULT_METHOD_NOT_ALLOWED, ERROR("MethodNotAllowed") },
                { FAULT_BAD_REPRESENTATION, ERROR("BadRepresentation") },
                { FAULT_TIMEOUT, ERROR("Timeout") },
                { FAULT_UNAVAILABLE, ERROR("Unavailable") },
                { FAULT_BUSY, ERROR("Busy") },
                { FAULT_FAILED, ERROR("Failed") },
        };

        world_remote(w, 7, "Lamp", 1);
        for (size_t i = 0; i < ARRAY_SIZE(faults); i++) {
                w->net.response = OCF_RESPONSE_FAULT(faults[i].fault);
                w->net.response.diagnostic = "What to do about it";
                assert_error(world_call(w, client, LAMP_1, RESOURCE, "Retrieve", "a{sv}", 0), faults[i].name,
                             "What to do about it");
                assert_error(world_call(w, client, LAMP, DEVICE, "Delete", "sa{sv}", "/x", 0), faults[i].name,
                             "What to do about it");
        }
        w->net.response.diagnostic = "half a character \xc3"; /* as a device may say it */
        assert_error(world_call(w, client, LAMP_1, RESOURCE, "Retrieve", "a{sv}", 0), ERROR("Failed"),
                     "half a character ?");
}

static void answers_have_a_size(void **state) {
        struct world *w = *state;
        sd_bus *client = world_client(w);
        uint8_t *bytes = calloc(1, BUS_VALUE_MAX + 1);
        sd_bus_message *reply;

        world_remote(w, 7, "Lamp", 1);
        w->net.response.raw_format = COAP_FORMAT_NONE;
        w->net.response.raw = span_of(bytes, BUS_VALUE_MAX + 1);
        assert_error(world_call(w, client, LAMP_1, RESOURCE, "Retrieve", "a{sv}", 0), ERROR("Failed"),
                     "cannot be carried");
        w->net.response.raw.n--;
        w->net.response.raw_format = 42;
        reply = world_call(w, client, LAMP_1, RESOURCE, "Retrieve", "a{sv}", 0);
        assert_true(sd_bus_message_has_signature(reply, "va{sv}"));
        assert_fine(reply);
        free(bytes);
}

static void options_are_checked(void **state) {
        struct world *w = *state;
        sd_bus *client = world_client(w);

        world_remote(w, 7, "Lamp", 1);
        assert_error(world_call(w, client, LAMP_1, RESOURCE, "Retrieve", "a{sv}", 1, "poll_ms", "u", 5000u),
                     ERROR("InvalidArguments"), "\"poll_ms\" is unknown");
        assert_error(world_call(w, client, LAMP_1, RESOURCE, "Retrieve", "a{sv}", 1, "secure", "s", "yes"),
                     ERROR("InvalidArguments"), "\"secure\" has another type");
        assert_error(world_call(w, client, LAMP_1, RESOURCE, "Retrieve", "a{sv}", 1, "accept", "u", 50u),
                     ERROR("InvalidArguments"), "\"accept\" has another type");
        assert_error(world_call(w, client, LAMP_1, RESOURCE, "Observe", "a{sv}", 1, "secure", "b", 1),
                     ERROR("InvalidArguments"),
                     "\"secure\" is unknown: there are interface (s), query (s) and poll_ms");
        assert_error(world_call(w, client, LAMP_1, RESOURCE, "Observe", "a{sv}", 1, "poll_ms", "u", 999u),
                     ERROR("InvalidArguments"), "less than 1000");
        assert_error(world_call(w, client, LAMP_1, RESOURCE, "Retrieve", "a{sv}", 1, "interface", "s", "a&b"),
                     ERROR("InvalidArguments"), "no \"&\"");
        assert_error(world_call(w, client, LAMP_1, RESOURCE, "Retrieve", "a{sv}", 6, "query", "s", "a",
                                "query", "s", "a", "query", "s", "a", "query", "s", "a", "query", "s", "a",
                                "query", "s", "a"),
                     ERROR("InvalidArguments"), "more options");
        assert_error(world_call(w, client, LAMP_1, RESOURCE, "Retrieve", "s", "x"), SD_BUS_ERROR_INVALID_ARGS,
                     "");
}

/* The caller leaves while its request is on the way; the answer comes, and nobody minds. */
static void caller_leaves(void **state) {
        struct world *w = *state;
        sd_bus *client = world_client(w);
        const struct ocf_response response = OCF_RESPONSE_OK(COAP_CONTENT);
        sd_bus_message *reply;

        world_remote(w, 7, "Lamp", 1);
        w->holds = true;
        send_call(client, message(client, LAMP_1, RESOURCE, "Retrieve", "a{sv}", 0), &reply);
        WORLD_UNTIL(w, !list_is_empty(&w->held));
        world_client_close(w, client);
        WORLD_UNTIL(w, w->n_vanished);
        call_answer(LIST_ENTRY(list_first(&w->held), struct call, link), &response);
        world_settle(w);
        assert_true(list_is_empty(&w->bus->requests));
        assert_int_equal(w->bus->state, BUS_READY);
}

static void requests_are_counted(void **state) {
        struct world *w = *state;
        sd_bus *client = world_client(w);
        struct bus_client *c;

        world_remote(w, 7, "Lamp", 1);
        w->net.response.rep = ON;
        assert_value(world_call(w, client, LAMP_1, RESOURCE, "Retrieve", "a{sv}", 0), "2.05");
        c = LIST_ENTRY(list_first(&w->bus->clients), struct bus_client, link);
        assert_int_equal(c->n_requests, 0);
        c->n_requests = CLIENT_REQUESTS_MAX; /* as if: dbus-daemon lets one wait for 128 replies only */
        assert_error(world_call(w, client, LAMP_1, RESOURCE, "Retrieve", "a{sv}", 0), ERROR("LimitsExceeded"),
                     "wait for answers");
        c->n_requests--;
        assert_value(world_call(w, client, LAMP_1, RESOURCE, "Retrieve", "a{sv}", 0), "2.05");
        c->n_requests = 0;
}

/* ---- following ---- */

struct follower {
        unsigned n;
        uint64_t sequence, n_missed;
        char mode[8], error[64];
        bool gap;
};

static int read_info(sd_bus_message *m, struct follower *f) {
        const char *key, *text;
        uint64_t number;
        int flag;

        f->gap = false;
        f->n_missed = 0;
        assert_true(sd_bus_message_enter_container(m, 'a', "{sv}") > 0);
        while (sd_bus_message_enter_container(m, 'e', "sv") > 0) {
                assert_true(sd_bus_message_read(m, "s", &key) > 0);
                if (strcmp(key, "mode") == 0 || strcmp(key, "error") == 0) {
                        assert_true(sd_bus_message_read(m, "v", "s", &text) > 0);
                        snprintf(key[0] == 'm' ? f->mode : f->error, key[0] == 'm' ? 8 : 64, "%s", text);
                } else if (strcmp(key, "sequence") == 0 || strcmp(key, "missed") == 0) {
                        assert_true(sd_bus_message_read(m, "v", "t", &number) > 0);
                        *(key[0] == 's' ? &f->sequence : &f->n_missed) = number;
                } else if (strcmp(key, "gap") == 0) {
                        assert_true(sd_bus_message_read(m, "v", "b", &flag) > 0);
                        f->gap = flag;
                } else {
                        assert_string_equal(key, "code");
                        assert_true(sd_bus_message_skip(m, "v") >= 0);
                }
                assert_true(sd_bus_message_exit_container(m) >= 0);
        }
        return 0;
}

static int on_notified(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        struct follower *f = userdata;

        if (!sd_bus_message_is_signal(m, RESOURCE, "Notified"))
                return 0;
        assert_string_equal(sd_bus_message_get_path(m), LAMP_1);
        f->n++;
        assert_true(sd_bus_message_skip(m, "v") >= 0);
        return read_info(m, f);
}

static sd_bus *follower(struct world *w, struct follower *f) {
        sd_bus *client = world_client(w);
        sd_bus_message *reply;

        assert_true(sd_bus_add_filter(client, NULL, on_notified, f) >= 0);
        w->net.answers_at_once = true;
        w->net.value.mode = BUS_MODE_PUSH;
        w->net.response.rep = ON;
        reply = world_call(w, client, LAMP_1, RESOURCE, "Observe", "a{sv}", 0);
        if (sd_bus_message_get_error(reply))
                fail_msg("%s", sd_bus_message_get_error(reply)->message);
        assert_true(sd_bus_message_skip(reply, "v") >= 0);
        read_info(reply, f);
        sd_bus_message_unref(reply);
        return client;
}

static void follows(void **state) {
        struct world *w = *state;
        struct follower a = { 0 }, b = { 0 };
        struct world_log log;
        sd_bus *first, *second, *listener = world_client(w);

        world_remote(w, 7, "Lamp", 1);
        world_log(w, listener, &log);
        first = follower(w, &a);
        assert_string_equal(a.mode, "push");
        assert_int_equal(w->net.poll_ms, 30000);
        assert_string_equal(w->net.path, "/r1");
        world_settle(w);
        assert_string_equal(log.text, "Mode:" LAMP_WORD "/1 ");
        second = follower(w, &b);
        world_push(w, BUS_MODE_PUSH, false, ON);
        WORLD_UNTIL(w, a.n == 1 && b.n == 1);
        assert_int_equal(a.sequence, 1);
        assert_false(a.gap);
        world_push(w, BUS_MODE_POLL, true, ON); /* two followers, and the mode is told once */
        WORLD_UNTIL(w, a.n == 2 && b.n == 2);
        assert_true(a.gap && b.gap);
        assert_string_equal(a.mode, "poll");
        world_settle(w);
        assert_string_equal(log.text, "Mode:" LAMP_WORD "/1 Mode:" LAMP_WORD "/1 ");
        assert_property(w, listener, LAMP_1, RESOURCE, "Mode", "poll");

        assert_fine(world_call(w, first, LAMP_1, RESOURCE, "StopObserve", ""));
        assert_fine(world_call(w, first, LAMP_1, RESOURCE, "StopObserve", "")); /* harmless */
        assert_int_equal(w->net.n_unobserved, 1);
        world_push(w, BUS_MODE_POLL, false, ON);
        WORLD_UNTIL(w, b.n == 3);
        assert_int_equal(a.n, 2);
        world_client_close(w, second); /* who leaves takes it along */
        WORLD_UNTIL(w, !w->net.n_observers);
        assert_true(list_is_empty(&w->bus->observed));
        world_settle(w);
        assert_string_equal(log.text,
                            "Mode:" LAMP_WORD "/1 Mode:" LAMP_WORD "/1 Mode:" LAMP_WORD "/1 "); /* none */
}

static void options_of_following(void **state) {
        struct world *w = *state;
        struct follower f = { 0 };
        sd_bus *client;

        world_remote(w, 7, "Lamp", 1);
        client = follower(w, &f);
        assert_fine(world_call(w, client, LAMP_1, RESOURCE, "Observe", "a{sv}", 3, "interface", "s",
                               "oic.if.b", "query", "s", "x=y", "poll_ms", "u", 1000u));
        assert_string_equal(w->net.query, "if=oic.if.b&x=y");
        assert_int_equal(w->net.poll_ms, 1000);
        assert_int_equal(w->net.n_observers, 1); /* a second one replaces the first */
        assert_int_equal(w->net.n_unobserved, 1);
        world_push(w, BUS_MODE_PUSH, false, ON);
        world_settle(w);
        assert_int_equal(f.n, 1);
}

static void following_ends(void **state) {
        struct world *w = *state;
        struct follower f = { 0 };
        sd_bus *client;
        sd_bus_message *reply;

        world_remote(w, 7, "Lamp", 1);
        client = follower(w, &f);
        world_push_fault(w, FAULT_NOT_FOUND);
        WORLD_UNTIL(w, f.n == 1);
        assert_string_equal(f.error, ERROR("NotFound"));
        assert_int_equal(w->net.n_unobserved, 0); /* it is over: nobody says so twice */
        assert_true(list_is_empty(&w->bus->observed));
        assert_fine(world_call(w, client, LAMP_1, RESOURCE, "StopObserve", ""));

        /* refused by the device, at once or later; refused by us */
        w->net.response = OCF_RESPONSE_FAULT(FAULT_FORBIDDEN);
        assert_error(world_call(w, client, LAMP_1, RESOURCE, "Observe", "a{sv}", 0), ERROR("Forbidden"), "");
        w->net.answers_at_once = false;
        send_call(client, message(client, LAMP_1, RESOURCE, "Observe", "a{sv}", 0), &reply);
        WORLD_UNTIL(w, w->net.n_observers);
        world_push_fault(w, FAULT_NOT_REACHABLE);
        WORLD_UNTIL(w, reply);
        assert_error(reply, ERROR("NotReachable"), "");
        w->net.outcome = BUS_E_BUSY;
        assert_error(world_call(w, client, LAMP_1, RESOURCE, "Observe", "a{sv}", 0), ERROR("Busy"), "");
        w->net.outcome = BUS_E_REFUSED;
        w->net.why = "apps.d says no";
        assert_error(world_call(w, client, LAMP_1, RESOURCE, "Observe", "a{sv}", 0), ERROR("NotAllowed"),
                     "apps.d says no");
        assert_true(list_is_empty(&w->bus->observed));
        assert_int_equal(f.n, 1);

        /* StopObserve and Observe while the first value is waited for; then the caller leaves */
        w->net.outcome = 0;
        send_call(client, message(client, LAMP_1, RESOURCE, "Observe", "a{sv}", 0), &reply);
        WORLD_UNTIL(w, w->net.n_observers);
        assert_fine(world_call(w, client, LAMP_1, RESOURCE, "StopObserve", ""));
        WORLD_UNTIL(w, reply);
        assert_error(reply, ERROR("Failed"), "yourself");
        send_call(client, message(client, LAMP_1, RESOURCE, "Observe", "a{sv}", 0), &reply);
        WORLD_UNTIL(w, w->net.n_observers);
        world_client_close(w, client);
        WORLD_UNTIL(w, !w->net.n_observers);
}

/* One that does not read gets the newest value when it does, and knows how many it missed, and of the gap. */
static void slow_follower(void **state) {
        struct world *w = *state;
        struct follower f = { 0 }, quick = { 0 };
        sd_bus *client;
        unsigned n_sent = 200;

        world_remote(w, 7, "Lamp", 1);
        client = follower(w, &f);
        follower(w, &quick);
        world_deaf(w, client);
        for (unsigned i = 0; i < n_sent; i++) {
                world_push(w, BUS_MODE_PUSH, i == 100, ON);
                world_turn(w);
                WORLD_UNTIL(w, quick.sequence == i + 1 || quick.n_missed);
        }
        assert_int_equal(f.n, 0);
        world_listen(w, client);
        WORLD_UNTIL(w, f.sequence == n_sent);
        assert_int_equal(f.n, CLIENT_WINDOW + 1);
        assert_int_equal(f.n_missed, n_sent - CLIENT_WINDOW - 1);
        assert_true(f.gap);
        assert_true(w->net.n_repeated > 0);
        world_push(w, BUS_MODE_PUSH, false, ON);
        WORLD_UNTIL(w, f.sequence == n_sent + 1);
        assert_int_equal(f.n_missed, 0);
        assert_false(f.gap);
}

/* Slow, and then it ends: the end is told all the same. */
static void slow_follower_is_told_the_end(void **state) {
        struct world *w = *state;
        struct follower f = { 0 };
        sd_bus *client;

        world_remote(w, 7, "Lamp", 1);
        client = follower(w, &f);
        world_deaf(w, client);
        for (unsigned i = 0; i < 2 * CLIENT_WINDOW; i++)
                world_push(w, BUS_MODE_PUSH, false, ON);
        world_push_fault(w, FAULT_NOT_FOUND);
        world_listen(w, client);
        WORLD_UNTIL(w, f.error[0]);
        world_settle(w);
        assert_int_equal(f.n, CLIENT_WINDOW + 1);
}

static void many_followed(void **state) {
        struct world *w = *state;
        struct follower f = { 0 };
        sd_bus *client;
        char path[BUS_PATH_MAX];

        w->net.answers_at_once = true;
        world_remote(w, 7, "Lamp", CLIENT_SUBSCRIBERS_MAX / 2 + 1);
        world_remote(w, 8, "Lamp", CLIENT_SUBSCRIBERS_MAX / 2 + 1);
        client = follower(w, &f);
        for (unsigned i = 1; i < CLIENT_SUBSCRIBERS_MAX; i++) {
                const struct uuid id = world_id(i <= CLIENT_SUBSCRIBERS_MAX / 2 ? 7 : 8);

                bus_remote_resource_path(path, &id, i % (CLIENT_SUBSCRIBERS_MAX / 2 + 1) + 1);
                assert_fine(world_call(w, client, path, RESOURCE, "Observe", "a{sv}", 0));
        }
        assert_int_equal(w->net.n_observers, CLIENT_SUBSCRIBERS_MAX);
        assert_error(world_call(w, client, ROOT "/remote/08223344_5566_4788_8900_000000000008/513", RESOURCE,
                                "Observe", "a{sv}", 0),
                     ERROR("LimitsExceeded"), "too many");
        world_client_close(w, client);
        WORLD_UNTIL(w, !w->net.n_observers);
}

/* The bus goes away, and comes back: nobody follows any more, and all is shown again. */
static void bus_is_lost(void **state) {
        struct world *w = *state;
        struct follower f = { 0 };
        struct world_log log;
        sd_bus *client;

        world_remote(w, 7, "Lamp", 1);
        world_client_work(w);
        client = follower(w, &f);
        world_bus_kill(w);
        WORLD_UNTIL(w, w->bus->state != BUS_READY);
        assert_int_equal(w->net.n_observers, 0);
        assert_int_equal(w->n_lost, 1);
        world_remote(w, 8, "Door", 1); /* meanwhile */
        world_client_close(w, client);
        world_bus_start(w);
        WORLD_UNTIL(w, w->bus->state == BUS_READY);
        client = world_client(w);
        assert_property(w, client, LAMP, DEVICE, "Name", "Lamp");
        assert_int_equal(count_objects(w, client), 4);

        /* what was told on the bus before is forgotten: the first change names its group, the next one itself
         */
        world_log(w, client, &log);
        world_remote(w, 7, "Bulb", 1);
        world_settle(w);
        assert_string_equal(log.text, "Name:" LAMP_WORD " ");
        log.text[0] = 0;
        learn_doxm(w, "0a223344-5566-4788-8900-00000000000a");
        world_settle(w);
        assert_string_equal(log.text, "Ownership:" LAMP_WORD " Owner:" LAMP_WORD " Transfers:" LAMP_WORD " ");
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)
        const struct CMUnitTest tests[] = {
                TEST(properties),
                TEST(endpoints),
                TEST(appears_changes_and_goes),
                TEST(gets_another_id),
                TEST(comes_again_at_once),
                TEST(many_devices),
                TEST(more_than_can_be_listed),
                TEST(slow_bus),
                TEST(paths_have_one_form),
                TEST(discovering),
                TEST(discovering_callers),
                TEST(round_outlives_the_bus),
                TEST(addresses),
                TEST(finding),
                TEST(refresh_and_forget),
                TEST(requests_to_resources),
                TEST(requests_to_paths),
                TEST(what_devices_refuse),
                TEST(answers_have_a_size),
                TEST(options_are_checked),
                TEST(caller_leaves),
                TEST(requests_are_counted),
                TEST(follows),
                TEST(options_of_following),
                TEST(following_ends),
                TEST(slow_follower),
                TEST(slow_follower_is_told_the_end),
                TEST(many_followed),
                TEST(bus_is_lost),
        };

        if (!world_has_bus())
                return 77;
        return cmocka_run_group_tests(tests, NULL, NULL);
}
