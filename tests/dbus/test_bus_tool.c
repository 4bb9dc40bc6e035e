#include "../unit.h"
#include "world.h"

#include <stdio.h>
#include <stdlib.h>

/* OnboardingTool1, Job1, and agents who are asked for a PIN. */

#define ERROR(name) OCFD ".Error." name
#define ROOT        "/org/ocfd"
#define TOOL        OCFD ".OnboardingTool1"
#define JOB         OCFD ".Job1"
#define PROPERTIES  "org.freedesktop.DBus.Properties"
#define LAMP        ROOT "/remote/07223344_5566_4788_8900_000000000007"
#define DOOR        ROOT "/remote/08223344_5566_4788_8900_000000000008"

static int keep(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        *(sd_bus_message **)userdata = sd_bus_message_ref(m);
        return 0;
}

static void send_call(sd_bus *client, sd_bus_message *m_take, sd_bus_message **ret_reply) {
        *ret_reply = NULL;
        assert_true(sd_bus_call_async(client, NULL, m_take, keep, ret_reply, 0) >= 0);
        sd_bus_message_unref(m_take);
}

static void assert_job(sd_bus_message *reply_take, const char *wanted) {
        const char *path;

        if (sd_bus_message_get_error(reply_take))
                fail_msg("%s", sd_bus_message_get_error(reply_take)->message);
        assert_true(sd_bus_message_read(reply_take, "o", &path) > 0);
        assert_string_equal(path, wanted);
        sd_bus_message_unref(reply_take);
}

static void assert_text(struct world *w, sd_bus *client, const char *path, const char *interface,
                        const char *name, char type, const char *wanted) {
        sd_bus_message *reply = world_call(w, client, path, PROPERTIES, "Get", "ss", interface, name);
        const char types[] = { type, 0 };
        const char *text;

        if (sd_bus_message_get_error(reply))
                fail_msg("%s: %s", name, sd_bus_message_get_error(reply)->message);
        assert_true(sd_bus_message_read(reply, "v", types, &text) > 0);
        assert_string_equal(text, wanted);
        sd_bus_message_unref(reply);
}

static void assert_number(struct world *w, sd_bus *client, const char *path, const char *name,
                          uint32_t wanted) {
        sd_bus_message *reply = world_call(w, client, path, PROPERTIES, "Get", "ss", JOB, name);
        uint32_t number;

        assert_true(sd_bus_message_read(reply, "v", "u", &number) > 0);
        assert_int_equal(number, wanted);
        sd_bus_message_unref(reply);
}

/* ---- what the tool is asked ---- */

#define CALL(member, types, ...) world_call(w, client, ROOT, TOOL, member, types, ##__VA_ARGS__)

static void asked_as(struct world *w, enum bus_tool_operation operation, const char *rest) {
        char wanted[512];

        snprintf(wanted, sizeof(wanted), "%d %s", (int)operation, rest);
        assert_string_equal(w->net.asked, wanted);
}

static void each_method(void **state) {
        struct world *w = *state;
        sd_bus *client = world_client(w);

        world_remote(w, 7, "Lamp", 1);
        assert_job(CALL("Own", "oa{sv}", LAMP, 0), ROOT "/job/1");
        asked_as(w, BUS_TOOL_OWN, "device=07 other=00 number=0 flag=1");
        assert_job(CALL("Own", "oa{sv}", LAMP, 3, "methods", "as", 2, "random-pin", "just-works", "pin", "s",
                        "12345678", "certificate", "b", 0),
                   ROOT "/job/2");
        asked_as(w, BUS_TOOL_OWN,
                 "device=07 other=00 number=0 flag=0 in=random-pin in=just-works text=12345678");
        assert_job(CALL("Reset", "oa{sv}", LAMP, 0), ROOT "/job/3");
        asked_as(w, BUS_TOOL_RESET, "device=07 other=00 number=0 flag=0");
        assert_job(CALL("Reset", "oa{sv}", LAMP, 1, "forget", "b", 1), ROOT "/job/4");
        asked_as(w, BUS_TOOL_RESET, "device=07 other=00 number=0 flag=1");
        assert_job(CALL("SetState", "os", LAMP, "RFPRO"), ROOT "/job/5");
        asked_as(w, BUS_TOOL_SET_STATE, "device=07 other=00 number=0 flag=0 text=RFPRO");
        assert_job(CALL("Pair", "oo", LAMP, DOOR), ROOT "/job/6");
        asked_as(w, BUS_TOOL_PAIR, "device=07 other=08 number=0 flag=0");
        assert_job(CALL("IssueIdentity", "o", LAMP), ROOT "/job/7");
        asked_as(w, BUS_TOOL_ISSUE_IDENTITY, "device=07 other=00 number=0 flag=0");
        assert_job(CALL("IssueRole", "oas", LAMP, 2, "a", "b@c"), ROOT "/job/8");
        asked_as(w, BUS_TOOL_ISSUE_ROLE, "device=07 other=00 number=0 flag=0 in=a in=b@c");
        assert_job(CALL("AddTrustAnchor", "osss", LAMP, "*", "PEM", "identity"), ROOT "/job/9");
        asked_as(w, BUS_TOOL_ADD_TRUST_ANCHOR,
                 "device=07 other=00 number=0 flag=0 text=PEM subject=* usage=identity");
        assert_job(CALL("AddAccess", "osass", LAMP, "auth-crypt", 2, "/a", "+", "ru"), ROOT "/job/10");
        asked_as(w, BUS_TOOL_ADD_ACCESS,
                 "device=07 other=00 number=0 flag=0 in=/a in=+ text=ru subject=auth-crypt");
        assert_job(CALL("RemoveAccess", "oi", LAMP, -3), ROOT "/job/11");
        asked_as(w, BUS_TOOL_REMOVE_ACCESS, "device=07 other=00 number=-3 flag=0");
        assert_job(CALL("RemoveCredential", "oi", LAMP, 5), ROOT "/job/12");
        asked_as(w, BUS_TOOL_REMOVE_CREDENTIAL, "device=07 other=00 number=5 flag=0");
        assert_job(CALL("ConfigureCloud", "oa{ss}", LAMP, 4, "cis", "coaps+tcp://x", "sid", "1", "apn", "p",
                        "at", "t"),
                   ROOT "/job/13");
        asked_as(w, BUS_TOOL_CONFIGURE_CLOUD,
                 "device=07 other=00 number=0 flag=0 cis=coaps+tcp://x sid=1 apn=p at=t");
        assert_job(CALL("SetDomain", "osb", LAMP, "home", 1), ROOT "/job/14");
        asked_as(w, BUS_TOOL_SET_DOMAIN, "device=07 other=00 number=0 flag=1 text=home");
        w->net.next_job = 0;
        assert_job(CALL("SetState", "os", LAMP, "RFNOP"), "/"); /* done already */
        assert_fine(CALL("AddManufacturerAnchor", "s", "PEM"));
        asked_as(w, BUS_TOOL_ADD_MANUFACTURER_ANCHOR, "device=00 other=00 number=0 flag=0 text=PEM");
        assert_fine(CALL("Initialize", "a{sv}", 1, "name", "s", "home"));
        asked_as(w, BUS_TOOL_INITIALIZE, "device=00 other=00 number=0 flag=0 text=home");
        assert_fine(CALL("Initialize", "a{sv}", 0));
        asked_as(w, BUS_TOOL_INITIALIZE, "device=00 other=00 number=0 flag=0");
}

/* A device of this daemon, by its Device1. */
static void own_device(void **state) {
        struct world *w = *state;
        sd_bus *client = world_client(w);
        char wanted[64];

        w->model->devices[0]->di.bytes[0] = 0x5a;
        assert_job(CALL("Pair", "oo", LAMP, ROOT "/device/0"), ROOT "/job/1");
        snprintf(wanted, sizeof(wanted), "device=07 other=5a number=0 flag=0");
        asked_as(w, BUS_TOOL_PAIR, wanted);
        assert_job(CALL("IssueIdentity", "o", ROOT "/device/0"), ROOT "/job/2");
        assert_text(w, client, ROOT "/job/2", JOB, "Device", 'o', ROOT "/device/0");
}

static void what_makes_no_sense(void **state) {
        struct world *w = *state;
        sd_bus *client = world_client(w);
        char *text = malloc(70000);
        sd_bus_message *m;

        assert_error(CALL("Own", "oa{sv}", ROOT, 0), ERROR("NotFound"), "RemoteDevice1");
        assert_error(CALL("Own", "oa{sv}", LAMP "/1", 0), ERROR("NotFound"), "RemoteDevice1");
        assert_error(CALL("Own", "oa{sv}", ROOT "/device/1", 0), ERROR("NotFound"), "RemoteDevice1");
        assert_error(CALL("Pair", "oo", LAMP, "/"), ERROR("NotFound"), "RemoteDevice1");
        assert_error(CALL("Own", "oa{sv}", LAMP, 1, "forget", "b", 1), ERROR("InvalidArguments"),
                     "\"forget\" is unknown: there are methods (as), pin (s) and certificate (b)");
        assert_error(CALL("Own", "oa{sv}", LAMP, 1, "methods", "s", "just-works"), ERROR("InvalidArguments"),
                     "\"methods\" has another type");
        assert_error(CALL("Own", "oa{sv}", LAMP, 1, "pin", "u", 12345678u), ERROR("InvalidArguments"),
                     "\"pin\" has another type");
        assert_error(CALL("Own", "oa{sv}", LAMP, 1, "certificate", "v", "b", 1), ERROR("InvalidArguments"),
                     "\"certificate\" has another type");
        assert_error(CALL("Reset", "oa{sv}", LAMP, 1, "pin", "s", "x"), ERROR("InvalidArguments"),
                     "\"pin\" is unknown: there are forget (b)");
        assert_error(CALL("Initialize", "a{sv}", 1, "x", "s", "x"), ERROR("InvalidArguments"),
                     "\"x\" is unknown: there are name (s)");
        assert_error(CALL("ConfigureCloud", "oa{ss}", LAMP, 1, "url", "x"), ERROR("InvalidArguments"),
                     "\"url\" is no part");
        assert_error(CALL("Own", "o", LAMP), SD_BUS_ERROR_INVALID_ARGS, "");

        memset(text, 'x', 69999);
        text[69999] = 0;
        assert_error(CALL("AddManufacturerAnchor", "s", text), ERROR("InvalidArguments"),
                     "longer than 65536");
        free(text);
        m = world_message(client, ROOT, TOOL, "IssueRole");
        assert_true(sd_bus_message_append(m, "o", LAMP) >= 0);
        assert_true(sd_bus_message_open_container(m, 'a', "s") >= 0);
        for (int i = 0; i < 65; i++)
                assert_true(sd_bus_message_append(m, "s", "role") >= 0);
        assert_true(sd_bus_message_close_container(m) >= 0);
        assert_error(world_ask(w, client, m), ERROR("InvalidArguments"), "more than 64");
        assert_int_equal(w->net.n_started, 0);
}

/* What the tool says no to comes through, and nobody who is no administrator gets as far. */
static void refusals(void **state) {
        struct world *w = *state;
        sd_bus *client = world_client(w);
        static const struct {
                enum fault fault;
                const char *name;
        } faults[] = {
                { FAULT_NOT_INITIALIZED, ERROR("NotInitialized") },
                { FAULT_NOT_FOUND, ERROR("NotFound") },
                { FAULT_NOT_OWNED, ERROR("NotOwned") },
                { FAULT_ALREADY_EXISTS, ERROR("AlreadyExists") },
                { FAULT_INVALID_ARGUMENTS, ERROR("InvalidArguments") },
        };

        w->net.outcome = BUS_E_REFUSED;
        w->net.why = "Because of something";
        for (size_t i = 0; i < ARRAY_SIZE(faults); i++) {
                w->net.fault = faults[i].fault;
                assert_error(CALL("SetState", "os", LAMP, "RFPRO"), faults[i].name, "Because of something");
                assert_error(CALL("Initialize", "a{sv}", 0), faults[i].name, "Because of something");
        }
        w->net.why = NULL;
        w->net.fault = FAULT_NOT_INITIALIZED;
        assert_error(CALL("SetState", "os", LAMP, "RFPRO"), ERROR("NotInitialized"), "ocfctl init");
        w->net.outcome = BUS_E_BUSY;
        assert_error(CALL("SetState", "os", LAMP, "RFPRO"), ERROR("Busy"), "wait for one");

        w->net.asked[0] = 0;
        w->admin = BUS_ADMIN_NO;
        assert_error(CALL("Own", "oa{sv}", LAMP, 0), ERROR("NotAllowed"), "AdminGroup=");
        assert_error(CALL("Initialize", "a{sv}", 0), ERROR("NotAllowed"), "AdminGroup=");
        assert_error(CALL("AddManufacturerAnchor", "s", "x"), ERROR("NotAllowed"), "AdminGroup=");
        assert_string_equal(w->net.asked, "");
}

static void properties_of_the_tool(void **state) {
        struct world *w = *state;
        sd_bus *client = world_client(w);
        const struct uuid owned[] = { world_id(7), world_id(8) };
        struct world_log log;
        sd_bus_message *reply;
        const char *first, *second;
        int flag;

        assert_text(w, client, ROOT, TOOL, "DeviceId", 's', "");
        assert_text(w, client, ROOT, TOOL, "Device", 'o', "/");
        assert_text(w, client, ROOT, TOOL, "Authority", 's', "");
        world_log(w, client, &log);
        bus_tell_tool(w->bus);
        world_settle(w);
        assert_string_equal(log.text, "");
        w->net.tool = (struct bus_tool_status){ .initialized = true, .id = world_id(1), .authority = "PEM" };
        bus_tell_tool(w->bus);
        world_settle(w);
        assert_string_equal(log.text, "Initialized: DeviceId: Device: Authority: ");
        assert_text(w, client, ROOT, TOOL, "DeviceId", 's', "01223344-5566-4788-8900-000000000001");
        assert_text(w, client, ROOT, TOOL, "Device", 'o', ROOT "/device/0");
        assert_text(w, client, ROOT, TOOL, "Authority", 's', "PEM");
        reply = world_call(w, client, ROOT, PROPERTIES, "Get", "ss", TOOL, "Initialized");
        assert_true(sd_bus_message_read(reply, "v", "b", &flag) > 0 && flag);
        sd_bus_message_unref(reply);
        log.text[0] = 0;
        w->net.tool.owned = owned;
        w->net.tool.n_owned = 2;
        bus_tell_tool(w->bus);
        bus_tell_tool(w->bus);
        world_settle(w);
        assert_string_equal(log.text, "Owned: ");
        reply = world_call(w, client, ROOT, PROPERTIES, "Get", "ss", TOOL, "Owned");
        assert_true(sd_bus_message_read(reply, "v", "as", 2, &first, &second) > 0);
        assert_string_equal(second, "08223344-5566-4788-8900-000000000008");
        sd_bus_message_unref(reply);
}

/* ---- jobs ---- */

struct finished {
        int succeeded;
        char message[64], device[BUS_PATH_MAX];
        unsigned n;
};

static int on_finished(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        struct finished *f = userdata;
        const char *text, *key, *device;

        if (!sd_bus_message_is_signal(m, JOB, "Finished"))
                return 0;
        f->n++;
        assert_true(sd_bus_message_read(m, "bs", &f->succeeded, &text) > 0);
        snprintf(f->message, sizeof(f->message), "%s", text);
        f->device[0] = 0;
        assert_true(sd_bus_message_enter_container(m, 'a', "{sv}") > 0);
        if (sd_bus_message_read(m, "{sv}", &key, "o", &device) > 0)
                snprintf(f->device, sizeof(f->device), "%s", device);
        return 0;
}

static void job_goes_on_and_ends(void **state) {
        struct world *w = *state;
        sd_bus *client = world_client(w), *listener = world_client(w);
        struct finished f = { 0 };
        struct world_log log;

        world_remote(w, 8, "Lamp", 1); /* as it is called afterwards */
        world_log(w, listener, &log);
        assert_true(sd_bus_add_filter(listener, NULL, on_finished, &f) >= 0);
        assert_job(CALL("Own", "oa{sv}", LAMP, 0), ROOT "/job/1");
        world_settle(w);
        assert_string_equal(log.text, "Added:/job/1 ");
        assert_text(w, client, ROOT "/job/1", JOB, "Operation", 's', "own");
        assert_text(w, client, ROOT "/job/1", JOB, "Device", 'o', LAMP);
        assert_text(w, client, ROOT "/job/1", JOB, "State", 's', "waiting");
        assert_text(w, client, ROOT "/job/1", JOB, "Step", 's', "");
        assert_text(w, client, ROOT "/job/1", JOB, "Message", 's', "");
        assert_number(w, client, ROOT "/job/1", "StepNumber", 0);
        assert_number(w, client, ROOT "/job/1", "Steps", 9);
        log.text[0] = 0;
        world_job(w, 1, "running", "just works");
        world_job(w, 1, "running", "just works");
        world_settle(w);
        assert_string_equal(log.text, "State:/job/1 Step:/job/1 ");
        log.text[0] = 0;
        w->net.jobs[0].step_number = 2;
        world_job(w, 1, "running", "owner key");
        world_settle(w);
        assert_string_equal(log.text, "Step:/job/1 StepNumber:/job/1 ");
        assert_number(w, client, ROOT "/job/1", "StepNumber", 2);
        log.text[0] = 0;
        world_job(w, 1, "done", "owner key");
        world_job(w, 1, "done", "owner key");
        world_settle(w);
        assert_string_equal(log.text, "State:/job/1 Message:/job/1 Finished:/job/1 ");
        assert_int_equal(f.n, 1);
        assert_true(f.succeeded);
        assert_string_equal(f.message, "That is how it ended");
        assert_string_equal(f.device, DOOR);
        log.text[0] = 0;
        world_job_forget(w, 1);
        bus_tell_job(w->bus, 1);
        world_settle(w);
        assert_string_equal(log.text, "Removed:/job/1 ");
        assert_error(world_call(w, client, ROOT "/job/1", JOB, "Cancel", ""), SD_BUS_ERROR_UNKNOWN_OBJECT,
                     "");

        world_job(w, 3, "running",
                  "half a character \xc3"); /* a sentence may repeat what a device said, and be cut */
        assert_text(w, client, ROOT "/job/3", JOB, "Step", 's', "half a character ?");
        world_job_forget(w, 3);

        world_job(w, 2, "failed", "access"); /* over before it was ever told of */
        world_settle(w);
        assert_int_equal(f.n, 2);
        assert_false(f.succeeded);
        assert_string_equal(f.device, "");
}

/* Whoever begins a job has its object before there is anything to hear of it. */
static void nobody_hears_before_who_began(void **state) {
        struct world *w = *state;
        sd_bus *client = world_client(w);
        struct world_log log;
        sd_bus_message *m, *reply;

        world_log(w, client, &log);
        w->net.tells_inside = true;
        m = world_message(client, ROOT, TOOL, "Own");
        assert_true(sd_bus_message_append(m, "oa{sv}", LAMP, 0) >= 0);
        send_call(client, m, &reply);
        WORLD_UNTIL(w, reply || log.text[0]);
        assert_non_null(reply);
        assert_job(reply, ROOT "/job/1");
        world_settle(w);
        assert_string_equal(log.text, "Added:/job/1 ");
}

/* Made by a job, and answered when that is over. */
static void initialize_waits(void **state) {
        struct world *w = *state;
        sd_bus *client = world_client(w);
        sd_bus_message *reply;

        for (uint32_t i = 1; i <= 2; i++) {
                sd_bus_message *m = world_message(client, ROOT, TOOL, "Initialize");

                assert_true(sd_bus_message_append(m, "a{sv}", 0) >= 0);
                send_call(client, m, &reply);
                WORLD_UNTIL(w, w->net.n_started == i);
                world_settle(w);
                assert_null(reply);
                world_job(w, i, i == 1 ? "done" : "failed", "");
                WORLD_UNTIL(w, reply);
                if (i == 1)
                        assert_fine(reply);
                else
                        assert_error(reply, ERROR("Failed"), "how it ended");
        }
}

static void cancelling(void **state) {
        struct world *w = *state;
        sd_bus *client = world_client(w);

        assert_job(CALL("Own", "oa{sv}", LAMP, 0), ROOT "/job/1");
        world_job(w, 70, "running", ""); /* somebody else's */
        w->admin = BUS_ADMIN_NO;
        assert_error(world_call(w, client, ROOT "/job/70", JOB, "Cancel", ""), ERROR("NotAllowed"),
                     "AdminGroup=");
        assert_int_equal(w->net.n_cancelled, 0);
        assert_fine(world_call(w, client, ROOT "/job/1", JOB, "Cancel", ""));
        assert_text(w, client, ROOT "/job/1", JOB, "State", 's', "cancelled");
        assert_fine(world_call(w, client, ROOT "/job/1", JOB, "Cancel", "")); /* harmless */
        assert_int_equal(w->net.n_cancelled, 1);
        assert_fine(world_call(w, world_client(w), ROOT "/job/1", JOB, "Cancel", "")); /* the same user */
        w->admin = BUS_ADMIN_ALWAYS;
        assert_fine(world_call(w, client, ROOT "/job/70", JOB, "Cancel", ""));
        assert_int_equal(w->net.n_cancelled, 2);
        assert_error(world_call(w, client, ROOT "/job/71", JOB, "Cancel", ""), SD_BUS_ERROR_UNKNOWN_OBJECT,
                     "");
}

/* 500 of them: as many as one user may have at once, and those that are over do not count. */
static void many_jobs(void **state) {
        struct world *w = *state;
        sd_bus *client = world_client(w);
        struct finished f = { 0 };
        sd_bus_message *reply;
        size_t n = 0;

        assert_true(sd_bus_add_filter(client, NULL, on_finished, &f) >= 0);
        assert_true(sd_bus_add_match_async(client, NULL, "type='signal',sender='org.ocfd'", NULL, NULL,
                                           NULL) >= 0);
        world_settle(w);
        for (uint32_t i = 1; i <= UID_JOBS_MAX; i++)
                assert_fine(CALL("Own", "oa{sv}", LAMP, 0));
        assert_error(CALL("Own", "oa{sv}", LAMP, 0), ERROR("LimitsExceeded"), "wait for one to end");
        for (uint32_t i = 1; i <= UID_JOBS_MAX; i++)
                world_job(w, i, "done", "");
        for (uint32_t i = UID_JOBS_MAX + 1; i <= 500; i++) {
                assert_fine(CALL("Own", "oa{sv}", LAMP, 0));
                world_job(w, i, "done", "");
        }
        WORLD_UNTIL(w, f.n == 500);
        reply = world_call(w, client, ROOT, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects", "");
        assert_true(sd_bus_message_enter_container(reply, 'a', "{oa{sa{sv}}}") > 0);
        while (sd_bus_message_enter_container(reply, 'e', "oa{sa{sv}}") > 0) {
                const char *path;

                assert_true(sd_bus_message_read(reply, "o", &path) > 0);
                n += strncmp(path, ROOT "/job/", strlen(ROOT "/job/")) == 0;
                assert_true(sd_bus_message_skip(reply, "a{sa{sv}}") >= 0);
                assert_true(sd_bus_message_exit_container(reply) >= 0);
        }
        sd_bus_message_unref(reply);
        assert_int_equal(n, 500);
        for (uint32_t i = 1; i <= 500; i++)
                world_job_forget(w, i);
        world_settle(w);
        assert_true(list_is_empty(&w->bus->jobs));
}

/* Who began it leaves: it goes on. */
static void who_began_leaves(void **state) {
        struct world *w = *state;
        sd_bus *client = world_client(w), *other = world_client(w);

        assert_job(CALL("Own", "oa{sv}", LAMP, 0), ROOT "/job/1");
        world_client_close(w, client);
        WORLD_UNTIL(w, w->n_vanished);
        assert_int_equal(w->net.n_cancelled, 0);
        world_job(w, 1, "done", "");
        assert_text(w, other, ROOT "/job/1", JOB, "State", 's', "done");
}

/* ---- agents ---- */

enum mood { SAYS_PIN, SAYS_NOTHING, SAYS_NO, SAYS_ANOTHER_TYPE, SAYS_TOO_MUCH, SAYS_EMPTY };

struct agent {
        enum mood mood;
        unsigned n_asked, n_cancelled;
        char job[BUS_PATH_MAX], device[BUS_PATH_MAX], name[64], cancelled[BUS_PATH_MAX];
        uint32_t seconds;
        sd_bus_message *owed;
};

static int on_agent(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        struct agent *a = userdata;
        const char *job, *device, *name;

        if (sd_bus_message_is_method_call(m, OCFD ".Agent1", "Cancel")) {
                assert_true(sd_bus_message_read(m, "o", &job) > 0);
                snprintf(a->cancelled, sizeof(a->cancelled), "%s", job);
                a->n_cancelled++;
                return 1;
        }
        if (!sd_bus_message_is_method_call(m, OCFD ".Agent1", "AskPin"))
                return 0;
        assert_true(sd_bus_message_read(m, "oosu", &job, &device, &name, &a->seconds) > 0);
        snprintf(a->job, sizeof(a->job), "%s", job);
        snprintf(a->device, sizeof(a->device), "%s", device);
        snprintf(a->name, sizeof(a->name), "%s", name);
        a->n_asked++;
        switch (a->mood) {
        case SAYS_PIN:
                return sd_bus_reply_method_return(m, "s", "12345678");
        case SAYS_NO:
                return sd_bus_reply_method_errorf(m, ERROR("Failed"), "The person went away");
        case SAYS_ANOTHER_TYPE:
                return sd_bus_reply_method_return(m, "u", 12345678u);
        case SAYS_TOO_MUCH:
                return sd_bus_reply_method_return(
                        m, "s", "12345678901234567890123456789012345678901234567890123456789012345");
        case SAYS_EMPTY:
                return sd_bus_reply_method_return(m, "s", "");
        case SAYS_NOTHING:
                a->owed = sd_bus_message_unref(a->owed);
                a->owed = sd_bus_message_ref(m);
                break;
        }
        return 1;
}

static sd_bus *agent(struct world *w, struct agent *a) {
        sd_bus *c = world_client(w);

        assert_true(sd_bus_add_filter(c, NULL, on_agent, a) >= 0);
        assert_fine(world_call(w, c, ROOT, OCFD ".Manager1", "RegisterAgent", "oa{sv}", "/agent", 0));
        return c;
}

static unsigned ask(struct world *w, uint32_t job, uint32_t seconds) {
        const struct uuid id = world_id(7);

        return bus_ask_pin(w->bus, job, &id, "Lamp", seconds);
}

static void agents_tell_pins(void **state) {
        struct world *w = *state;
        struct agent quick = { .mood = SAYS_PIN }, slow = { .mood = SAYS_NOTHING };

        assert_int_equal(ask(w, 1, 60), 0); /* nobody to ask */
        agent(w, &slow);
        agent(w, &quick);
        world_job(w, 1, "pin", "random pin");
        assert_int_equal(ask(w, 1, 60), 2);
        WORLD_UNTIL(w, w->net.n_pins);
        assert_string_equal(w->net.pin, "12345678");
        assert_int_equal(w->net.pin_job, 1);
        assert_string_equal(quick.job, ROOT "/job/1");
        assert_string_equal(quick.device, LAMP);
        assert_string_equal(quick.name, "Lamp");
        assert_int_equal(quick.seconds, 60);
        WORLD_UNTIL(w, slow.n_cancelled);
        assert_string_equal(slow.cancelled, ROOT "/job/1");
        assert_int_equal(quick.n_cancelled, 0);
        assert_true(sd_bus_reply_method_return(slow.owed, "s", "87654321") >= 0); /* too late */
        slow.owed = sd_bus_message_unref(slow.owed);
        WORLD_UNTIL(w, !w->bus->n_pins);
        assert_int_equal(w->net.n_pins, 1);
}

static void agents_tell_nothing(void **state) {
        static const enum mood moods[] = { SAYS_NO, SAYS_ANOTHER_TYPE, SAYS_TOO_MUCH, SAYS_EMPTY };
        struct world *w = *state;
        struct agent a = { 0 }, b = { 0 };
        unsigned n = 0;

        agent(w, &a);
        agent(w, &b);
        for (size_t i = 0; i < ARRAY_SIZE(moods); i++) {
                a.mood = b.mood = moods[i];
                world_job(w, 1, "pin", "random pin");
                assert_int_equal(ask(w, 1, 60), 2);
                n++;
                WORLD_UNTIL(w, w->net.n_pins == n);
                assert_string_equal(w->net.pin, "-");
                world_settle(w);
                assert_int_equal(w->net.n_pins, n); /* said once, when the last one has said nothing */
                assert_int_equal(w->bus->n_pins, 0);
        }
        a.mood = SAYS_PIN; /* one that has a PIN is enough */
        assert_int_equal(ask(w, 1, 60), 2);
        n++;
        WORLD_UNTIL(w, w->net.n_pins == n);
        assert_string_equal(w->net.pin, "12345678");
}

/* The job is over before anybody answered: the person need not type it any more. */
static void job_ends_the_question(void **state) {
        struct world *w = *state;
        struct agent a = { .mood = SAYS_NOTHING };

        agent(w, &a);
        world_job(w, 1, "pin", "");
        assert_int_equal(ask(w, 1, 60), 1);
        WORLD_UNTIL(w, a.n_asked);
        world_job(w, 1, "pin", "still"); /* goes on */
        world_settle(w);
        assert_int_equal(a.n_cancelled, 0);
        world_job(w, 1, "undoing", "");
        WORLD_UNTIL(w, a.n_cancelled);
        assert_true(sd_bus_reply_method_errorf(a.owed, ERROR("Failed"), "It was taken away") >= 0);
        a.owed = sd_bus_message_unref(a.owed);
        WORLD_UNTIL(w, !w->bus->n_pins);
        assert_int_equal(w->net.n_pins, 0);
}

/* Who never answers is waited for so long, and then asked twice at most. */
static void agent_that_never_answers(void **state) {
        struct world *w = *state;
        struct agent a = { .mood = SAYS_NOTHING };
        sd_bus *c = agent(w, &a);

        for (uint32_t i = 1; i <= 2; i++) {
                world_job(w, i, "pin", "");
                assert_int_equal(ask(w, i, 1), 1);
                WORLD_UNTIL(w, w->net.n_pins == i);
                assert_string_equal(w->net.pin, "-");
                assert_int_equal(w->net.pin_job, i);
                WORLD_UNTIL(w, a.n_cancelled == i);
        }
        assert_int_equal(w->bus->n_pins, 2);
        world_job(w, 3, "pin", "");
        assert_int_equal(ask(w, 3, 1), 0);
        a.owed = sd_bus_message_unref(a.owed);
        world_client_close(w, c);
        WORLD_UNTIL(w, !w->bus->n_pins);
        assert_int_equal(w->net.n_pins, 2);
}

static void agent_leaves(void **state) {
        struct world *w = *state;
        struct agent a = { .mood = SAYS_NOTHING }, b = { .mood = SAYS_NOTHING };
        sd_bus *first = agent(w, &a), *second = agent(w, &b);

        world_job(w, 1, "pin", "");
        assert_int_equal(ask(w, 1, 60), 2);
        WORLD_UNTIL(w, a.owed && b.owed);
        a.owed = sd_bus_message_unref(a.owed);
        world_client_close(w, first);
        WORLD_UNTIL(w, w->bus->n_pins == 1);
        assert_int_equal(w->net.n_pins, 0); /* the other one is still at it */
        assert_fine(world_call(w, second, ROOT, OCFD ".Manager1", "UnregisterAgent", "o", "/agent"));
        WORLD_UNTIL(w, w->net.n_pins == 1);
        assert_string_equal(w->net.pin, "-");
        assert_int_equal(w->bus->n_pins, 0);
        b.owed = sd_bus_message_unref(b.owed);
}

/* The bus room goes while a person types: nobody is told, and nothing is lost. */
static void asked_when_the_bus_goes(void **state) {
        struct world *w = *state;
        struct agent a = { .mood = SAYS_NOTHING };

        agent(w, &a);
        world_job(w, 1, "pin", "");
        assert_int_equal(ask(w, 1, 60), 1);
        WORLD_UNTIL(w, a.owed);
        w->bus = bus_free(w->bus);
        assert_int_equal(w->net.n_pins, 0);
        a.owed = sd_bus_message_unref(a.owed);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)
        const struct CMUnitTest tests[] = {
                TEST(each_method),
                TEST(own_device),
                TEST(what_makes_no_sense),
                TEST(refusals),
                TEST(properties_of_the_tool),
                TEST(job_goes_on_and_ends),
                TEST(nobody_hears_before_who_began),
                TEST(initialize_waits),
                TEST(cancelling),
                TEST(many_jobs),
                TEST(who_began_leaves),
                TEST(agents_tell_pins),
                TEST(agents_tell_nothing),
                TEST(job_ends_the_question),
                TEST(agent_that_never_answers),
                TEST(agent_leaves),
                TEST(asked_when_the_bus_goes),
        };

        if (!world_has_bus())
                return 77;
        return cmocka_run_group_tests(tests, NULL, NULL);
}
