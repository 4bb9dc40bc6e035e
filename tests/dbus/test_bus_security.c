#include "../unit.h"
#include "world.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* Security1, Store1, agents, and who may: with a polkit of our own on the bus, slow, refusing, or not there.
 */

#define ERROR(name) OCFD ".Error." name
#define DEVICE      "/org/ocfd/device/0"
#define SECURITY    OCFD ".Security1"
#define STORE       OCFD ".Store1"
#define ROOT        "/org/ocfd"
#define LAMP        "/org/ocfd/remote/07223344_5566_4788_8900_000000000007"
#define POLKIT      "org.freedesktop.PolicyKit1"

/* ---- polkit ---- */

struct polkit {
        enum { POLKIT_YES, POLKIT_NO, POLKIT_CHALLENGE, POLKIT_SILENT, POLKIT_ERROR, POLKIT_NONSENSE } mood;
        char action[64], subject[64], id[32], cancelled[32];
        uint32_t flags;
        unsigned n_asked;
};

static int polkit_asked(sd_bus_message *m, struct polkit *p) {
        const char *kind, *key, *name, *action, *id;

        p->n_asked++;
        assert_true(sd_bus_message_enter_container(m, 'r', "sa{sv}") > 0);
        assert_true(sd_bus_message_read(m, "s", &kind) > 0);
        assert_string_equal(kind, "system-bus-name");
        assert_true(sd_bus_message_read(m, "a{sv}", 1, &key, "s", &name) > 0);
        assert_string_equal(key, "name");
        assert_true(sd_bus_message_exit_container(m) >= 0);
        assert_true(sd_bus_message_read(m, "s", &action) > 0);
        assert_true(sd_bus_message_skip(m, "a{ss}") >= 0);
        assert_true(sd_bus_message_read(m, "us", &p->flags, &id) > 0);
        snprintf(p->action, sizeof(p->action), "%s", action);
        snprintf(p->subject, sizeof(p->subject), "%s", name);
        snprintf(p->id, sizeof(p->id), "%s", id);
        switch (p->mood) {
        case POLKIT_YES:
                return sd_bus_reply_method_return(m, "(bba{ss})", 1, 0, 0);
        case POLKIT_NO:
                return sd_bus_reply_method_return(m, "(bba{ss})", 0, 0, 0);
        case POLKIT_CHALLENGE:
                return sd_bus_reply_method_return(m, "(bba{ss})", 0, 1, 0);
        case POLKIT_ERROR:
                return sd_bus_reply_method_errorf(m, POLKIT ".Error.Failed", "no");
        case POLKIT_NONSENSE:
                return sd_bus_reply_method_return(m, "b", 1);
        case POLKIT_SILENT:
                break;
        }
        return 1;
}

static int on_polkit(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        struct polkit *p = userdata;
        const char *id;

        if (sd_bus_message_is_method_call(m, POLKIT ".Authority", "CheckAuthorization"))
                return polkit_asked(m, p) < 0 ? -EIO : 1;
        if (!sd_bus_message_is_method_call(m, POLKIT ".Authority", "CancelCheckAuthorization"))
                return 0;
        assert_true(sd_bus_message_read(m, "s", &id) > 0);
        snprintf(p->cancelled, sizeof(p->cancelled), "%s", id);
        return 1;
}

static int on_name(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        assert_false(sd_bus_message_is_method_error(m, NULL));
        *(bool *)userdata = true;
        return 0;
}

static sd_bus *polkit_start(struct world *w, struct polkit *p) {
        sd_bus *c = world_client(w);
        bool has_name = false;

        assert_true(sd_bus_add_filter(c, NULL, on_polkit, p) >= 0);
        assert_true(sd_bus_request_name_async(c, NULL, POLKIT, 0, on_name, &has_name) >= 0);
        WORLD_UNTIL(w, has_name);
        return c;
}

/* ---- who may ---- */

static const struct {
        const char *path, *interface, *member, *action;
} guarded[] = {
        { DEVICE, SECURITY, "Read", "org.ocfd.read-security" },
        { DEVICE, SECURITY, "Reset", "org.ocfd.reset" },
        { DEVICE, SECURITY, "CheckAccess", "org.ocfd.read-security" },
        { DEVICE, SECURITY, "GetSessions", "org.ocfd.read-security" },
        { ROOT, STORE, "Check", "org.ocfd.store-check" },
        { ROOT, STORE, "Backup", "org.ocfd.store-backup" },
        { ROOT, STORE, "Restore", "org.ocfd.store-restore" },
        { ROOT, STORE, "Rekey", "org.ocfd.store-rekey" },
        { ROOT, OCFD ".Manager1", "RegisterAgent", "org.ocfd.agent" },
        { ROOT, OCFD ".Client1", "AddAddress", "org.ocfd.client" },
        { ROOT, OCFD ".Client1", "RemoveAddress", "org.ocfd.client" },
        { LAMP, OCFD ".RemoteDevice1", "Forget", "org.ocfd.client" },
        { ROOT, OCFD ".OnboardingTool1", "Initialize", "org.ocfd.onboard" },
        { ROOT, OCFD ".OnboardingTool1", "Own", "org.ocfd.onboard" },
        { ROOT, OCFD ".OnboardingTool1", "AddManufacturerAnchor", "org.ocfd.onboard" },
        { ROOT "/job/1", OCFD ".Job1", "Cancel", "org.ocfd.onboard" },
};

static sd_bus_message *call_guarded(struct world *w, sd_bus *client, size_t i) {
        sd_bus_message *m = world_message(client, guarded[i].path, guarded[i].interface, guarded[i].member);
        const char *member = guarded[i].member;
        int r = 0, fd = 0;

        if (strcmp(member, "Read") == 0)
                r = sd_bus_message_append(m, "s", "/oic/sec/doxm");
        else if (strcmp(member, "CheckAccess") == 0)
                r = sd_bus_message_append(m, "sss", "anon-clear", "/lamp", "GET");
        else if (strcmp(member, "Backup") == 0 || strcmp(member, "Restore") == 0)
                r = sd_bus_message_append(m, "h", fd);
        else if (strcmp(member, "RegisterAgent") == 0)
                r = sd_bus_message_append(m, "oa{sv}", "/agent", 0);
        else if (strcmp(member, "AddAddress") == 0)
                r = sd_bus_message_append(m, "sa{sv}", "192.0.2.7", 0);
        else if (strcmp(member, "RemoveAddress") == 0 || strcmp(member, "AddManufacturerAnchor") == 0)
                r = sd_bus_message_append(m, "s", "192.0.2.7");
        else if (strcmp(member, "Initialize") == 0)
                r = sd_bus_message_append(m, "a{sv}", 0);
        else if (strcmp(member, "Own") == 0)
                r = sd_bus_message_append(m, "oa{sv}", LAMP, 0);
        assert_true(r >= 0);
        return world_ask(w, client, m);
}

/* Each asks for its own action, about its own caller; whatever is not a yes is a no, and nothing happens. */
static void polkit_decides(void **state) {
        struct world *w = *state;
        struct polkit p = { .mood = POLKIT_NO };
        sd_bus *client = world_client(w);
        const char *name;

        world_remote(w, 7, "Lamp", 1);
        world_job(w, 1, "running", "");
        w->admin = BUS_ADMIN_WITHOUT_POLKIT; /* who would be one, if there were none */
        polkit_start(w, &p);
        assert_true(sd_bus_get_unique_name(client, &name) >= 0);
        for (size_t i = 0; i < ARRAY_SIZE(guarded); i++) {
                assert_error(call_guarded(w, client, i), ERROR("NotAllowed"),
                             "polkit does not allow you that");
                assert_string_equal(p.action, guarded[i].action);
                assert_string_equal(p.subject, name);
                assert_int_equal(p.flags, 0);
                assert_int_equal(p.n_asked, i + 1);
        }
        p.mood = POLKIT_CHALLENGE;
        assert_error(call_guarded(w, client, 1), ERROR("NotAllowed"), "who you are");
        p.mood = POLKIT_ERROR;
        assert_error(call_guarded(w, client, 1), ERROR("NotAllowed"), "in trouble");
        p.mood = POLKIT_NONSENSE;
        assert_error(call_guarded(w, client, 1), ERROR("NotAllowed"), "should not");
        assert_int_equal(w->n_resets, 0);
        assert_int_equal(w->n_stored, 0);
        assert_false(bus_has_agent(w->bus));
        assert_int_equal(w->net.n_rounds + w->net.n_forgotten + w->net.n_started + w->net.n_cancelled, 0);

        p.mood = POLKIT_YES;
        assert_fine(call_guarded(w, client, 1));
        assert_int_equal(w->n_resets, 1);
}

static void person_is_asked_where_there_is_one(void **state) {
        struct world *w = *state;
        struct polkit p = { .mood = POLKIT_YES };
        sd_bus *client = world_client(w);
        sd_bus_message *m;

        w->admin = BUS_ADMIN_NO;
        polkit_start(w, &p);
        m = world_message(client, DEVICE, SECURITY, "Reset");
        assert_true(sd_bus_message_set_allow_interactive_authorization(m, true) >= 0);
        assert_fine(world_ask(w, client, m));
        assert_int_equal(p.flags, 1);
}

static void without_polkit(void **state) {
        struct world *w = *state;
        sd_bus *client = world_client(w);

        w->admin = BUS_ADMIN_NO;
        assert_error(call_guarded(w, client, 1), ERROR("NotAllowed"), "AdminGroup=");
        assert_int_equal(w->n_resets, 0);
        w->admin = BUS_ADMIN_WITHOUT_POLKIT;
        assert_fine(call_guarded(w, client, 1));
        assert_int_equal(w->n_resets, 1);
}

static void some_are_not_asked_about(void **state) {
        struct world *w = *state;
        struct polkit p = { .mood = POLKIT_NO };

        polkit_start(w, &p);
        assert_fine(call_guarded(w, world_client(w), 1));
        assert_int_equal(p.n_asked, 0);
}

static int ignore(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        *(sd_bus_message **)userdata = sd_bus_message_ref(m);
        return 0;
}

static void send_reset(sd_bus *client, sd_bus_message **ret_reply) {
        sd_bus_message *m = world_message(client, DEVICE, SECURITY, "Reset");

        *ret_reply = NULL;
        assert_true(sd_bus_call_async(client, NULL, m, ignore, ret_reply, 0) >= 0);
        sd_bus_message_unref(m);
}

/* Nobody else waits for a slow one; who leaves takes the question along; and what leaves with polkit is a no.
 */
static void slow_polkit(void **state) {
        struct world *w = *state;
        struct polkit p = { .mood = POLKIT_SILENT };
        sd_bus *polkit = polkit_start(w, &p), *client = world_client(w), *other = world_client(w);
        sd_bus_message *reply, *later[4];
        char asked[32];

        w->admin = BUS_ADMIN_NO;
        send_reset(client, &reply);
        WORLD_UNTIL(w, p.n_asked == 1);
        assert_fine(world_call(w, other, ROOT, OCFD ".Manager1", "GetStatistics", ""));
        snprintf(asked, sizeof(asked), "%s", p.id);
        world_client_close(w, client);
        WORLD_UNTIL(w, p.cancelled[0]);
        assert_string_equal(p.cancelled, asked);
        assert_int_equal(w->bus->n_questions, 0);

        for (size_t i = 0; i < ARRAY_SIZE(later); i++)
                send_reset(other, &later[i]);
        WORLD_UNTIL(w, later[UID_QUESTIONS_MAX]); /* one too many of one user */
        assert_error(later[UID_QUESTIONS_MAX], ERROR("LimitsExceeded"), "already");
        assert_int_equal(w->bus->n_questions, UID_QUESTIONS_MAX);
        world_client_close(w, polkit);
        for (size_t i = 0; i < UID_QUESTIONS_MAX; i++) {
                WORLD_UNTIL(w, later[i]);
                assert_error(later[i], ERROR("NotAllowed"), "");
        }
        assert_int_equal(w->n_resets, 0);
        assert_int_equal(w->bus->n_questions, 0);
}

/* Takes as long as the bus room has patience. */
static void polkit_that_never_answers(void **state) {
        struct world *w = *state;
        struct polkit p = { .mood = POLKIT_SILENT };

        polkit_start(w, &p);
        w->admin = BUS_ADMIN_WITHOUT_POLKIT;
        assert_error(call_guarded(w, world_client(w), 1), ERROR("NotAllowed"), "not answered in time");
        assert_int_equal(w->n_resets, 0);
}

static void group_of_the_caller(void **state) {
        struct world *w = *state;

        assert_fine(call_guarded(w, world_client(w), 1));
        assert_true(LIST_ENTRY(list_first(&w->bus->clients), struct bus_client, link)->caller.in_admin_group);
        w->control.admin_gid = -1;
        assert_fine(call_guarded(w, world_client(w), 1));
        assert_false(LIST_ENTRY(w->bus->clients.prev, struct bus_client, link)->caller.in_admin_group);
}

/* ---- Security1 ---- */

static sd_bus_message *property(struct world *w, sd_bus *client, const char *name) {
        sd_bus_message *reply =
                world_call(w, client, DEVICE, "org.freedesktop.DBus.Properties", "Get", "ss", SECURITY, name);

        if (sd_bus_message_get_error(reply))
                fail_msg("%s", sd_bus_message_get_error(reply)->message);
        return reply;
}

static void assert_text(struct world *w, sd_bus *client, const char *name, const char *wanted) {
        sd_bus_message *reply = property(w, client, name);
        const char *text;

        assert_true(sd_bus_message_read(reply, "v", "s", &text) > 0);
        assert_string_equal(text, wanted);
        sd_bus_message_unref(reply);
}

static void properties(void **state) {
        struct world *w = *state;
        sd_bus *client = world_client(w);
        sd_bus_message *reply;
        const char *first, *second;
        int flag;

        w->admin = BUS_ADMIN_NO; /* they are for everybody */
        w->status.owned = true;
        w->status.owner = (struct uuid){ { 0xab, 1 } };
        w->status.domain = "home";
        assert_text(w, client, "State", "RFOTM");
        assert_text(w, client, "Owner", "ab010000-0000-0000-0000-000000000000");
        assert_text(w, client, "Domain", "home");
        assert_text(w, client, "DomainId", "");
        assert_text(w, client, "Sealed", "");
        assert_text(w, client, "NextStep", "Own it");
        reply = property(w, client, "Owned");
        assert_true(sd_bus_message_read(reply, "v", "b", &flag) > 0 && flag);
        sd_bus_message_unref(reply);
        reply = property(w, client, "TransferIsRunning");
        assert_true(sd_bus_message_read(reply, "v", "b", &flag) > 0 && !flag);
        sd_bus_message_unref(reply);
        reply = property(w, client, "Transfers");
        assert_true(sd_bus_message_read(reply, "v", "as", 2, &first, &second) > 0);
        assert_string_equal(second, "random-pin");
        sd_bus_message_unref(reply);
}

static int on_changed(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        char *names = userdata;
        const char *interface, *name;

        assert_true(sd_bus_message_read(m, "s", &interface) > 0);
        if (strcmp(interface, SECURITY) != 0)
                return 0;
        assert_true(sd_bus_message_enter_container(m, 'a', "{sv}") > 0);
        while (sd_bus_message_enter_container(m, 'e', "sv") > 0) {
                assert_true(sd_bus_message_read(m, "s", &name) > 0);
                assert_true(sd_bus_message_skip(m, "v") >= 0);
                assert_true(sd_bus_message_exit_container(m) >= 0);
                strcat(strcat(names, name), " ");
        }
        return 0;
}

/* Only what is different is told, and what is not different is not. */
static void changes(void **state) {
        struct world *w = *state;
        sd_bus *client = world_client(w);
        char names[256] = "";

        bus_tell_status(w->bus);
        world_settle(w);
        assert_true(sd_bus_match_signal_async(client, NULL, OCFD, DEVICE, "org.freedesktop.DBus.Properties",
                                              "PropertiesChanged", on_changed, NULL, names) >= 0);
        world_settle(w);
        bus_tell_status(w->bus);
        world_settle(w);
        assert_string_equal(names, "");
        w->status.state = "RFPRO";
        w->status.owned = true;
        w->status.owner.bytes[0] = 1;
        bus_tell_status(w->bus);
        world_settle(w);
        assert_string_equal(names, "State Owner Owned ");
        names[0] = 0;
        w->status.transfer_is_running = true;
        bus_tell_status(w->bus);
        world_settle(w);
        assert_string_equal(names, "TransferIsRunning ");
}

static void methods(void **state) {
        struct world *w = *state;
        sd_bus *client = world_client(w);
        sd_bus_message *reply = world_call(w, client, DEVICE, SECURITY, "Read", "s", "/oic/sec/doxm");
        const char *key, *reason;
        int32_t aceid;
        int flag;

        assert_true(sd_bus_message_enter_container(reply, 'v', "a{sv}") > 0);
        assert_true(sd_bus_message_read(reply, "a{sv}", 1, &key, "b", &flag) > 0);
        assert_string_equal(key, "owned");
        assert_true(flag);
        sd_bus_message_unref(reply);
        assert_error(world_call(w, client, DEVICE, SECURITY, "Read", "s", "/oic/res"), ERROR("NotFound"),
                     "doxm");
        assert_error(world_call(w, client, DEVICE, SECURITY, "Read", "s", "/oic/sec/cred"),
                     ERROR("Unavailable"), "");
        reply = world_call(w, client, DEVICE, SECURITY, "CheckAccess", "sss", "anon-clear", "/lamp", "GET");
        assert_true(sd_bus_message_read(reply, "bsi", &flag, &reason, &aceid) > 0);
        assert_true(flag && aceid == 7);
        assert_string_equal(reason, "an entry grants it");
        sd_bus_message_unref(reply);
        assert_error(world_call(w, client, DEVICE, SECURITY, "CheckAccess", "sss", "me", "/lamp", "GET"),
                     ERROR("InvalidArguments"), "no such subject");
        w->reset_is_refused = "It is going on already";
        assert_error(world_call(w, client, DEVICE, SECURITY, "Reset", ""), ERROR("Busy"), "going on already");
        reply = world_call(w, client, DEVICE, SECURITY, "GetSessions", "");
        assert_true(sd_bus_message_has_signature(reply, "aa{sv}"));
        assert_true(sd_bus_message_enter_container(reply, 'a', "a{sv}") > 0);
        for (int i = 0; i < 2; i++)
                assert_true(sd_bus_message_skip(reply, "a{sv}") >= 0);
        assert_true(sd_bus_message_at_end(reply, false) > 0);
        sd_bus_message_unref(reply);
        assert_error(world_call(w, client, ROOT "/device/1", SECURITY, "Reset", ""),
                     SD_BUS_ERROR_UNKNOWN_OBJECT, "");
}

/* ---- Store1 ---- */

static void store(void **state) {
        struct world *w = *state;
        sd_bus *client = world_client(w);
        sd_bus_message *m, *reply = NULL;
        const char *text;
        struct stat ours, theirs;
        int fds[2];

        assert_int_equal(pipe(fds), 0);
        m = world_message(client, ROOT, STORE, "Backup");
        assert_true(sd_bus_message_append(m, "h", fds[1]) >= 0);
        assert_true(sd_bus_call_async(client, NULL, m, ignore, &reply, 0) >= 0);
        sd_bus_message_unref(m);
        WORLD_UNTIL(w, w->n_stored == 1);
        assert_int_equal(w->store_work, BUS_STORE_BACKUP);
        assert_int_equal(fstat(w->store_fd, &ours), 0);
        assert_int_equal(fstat(fds[1], &theirs), 0);
        assert_int_equal(ours.st_ino, theirs.st_ino);
        close(w->store_fd); /* it is ours now */
        w->store_done(w->store_context, 0, "It is whole");
        WORLD_UNTIL(w, reply);
        assert_true(sd_bus_message_read(reply, "s", &text) > 0);
        assert_string_equal(text, "It is whole");
        sd_bus_message_unref(reply);

        reply = NULL;
        m = world_message(client, ROOT, STORE, "Check");
        assert_true(sd_bus_call_async(client, NULL, m, ignore, &reply, 0) >= 0);
        sd_bus_message_unref(m);
        WORLD_UNTIL(w, w->n_stored == 2);
        assert_int_equal(w->store_fd, -1);
        w->store_done(w->store_context, BUS_E_REFUSED, "It is damaged");
        WORLD_UNTIL(w, reply);
        assert_error(reply, ERROR("Failed"), "It is damaged");

        reply = NULL;
        m = world_message(client, ROOT, STORE, "Check");
        assert_true(sd_bus_call_async(client, NULL, m, ignore, &reply, 0) >= 0);
        sd_bus_message_unref(m);
        WORLD_UNTIL(w, w->n_stored == 3);
        w->store_done(w->store_context, BUS_E_BUSY, "Later");
        WORLD_UNTIL(w, reply);
        assert_error(reply, ERROR("Busy"), "Later");

        /* who left hears nothing, and nobody minds */
        m = world_message(client, ROOT, STORE, "Rekey");
        assert_true(sd_bus_send(client, m, NULL) >= 0);
        sd_bus_message_unref(m);
        WORLD_UNTIL(w, w->n_stored == 4);
        world_client_close(w, client);
        world_settle(w);
        w->store_done(w->store_context, 0, "Done");
        world_settle(w);
        assert_int_equal(w->bus->state, BUS_READY);
        close(fds[0]);
        close(fds[1]);
}

/* ---- agents ---- */

struct shown {
        char pin[32];
        uint32_t seconds;
        unsigned n_shown, n_cancelled;
};

static int on_agent(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        struct shown *s = userdata;
        const char *device, *pin;

        if (sd_bus_message_is_method_call(m, OCFD ".Agent1", "Cancel")) {
                s->n_cancelled++;
                return 1;
        }
        if (!sd_bus_message_is_method_call(m, OCFD ".Agent1", "ShowPin"))
                return 0;
        assert_true(sd_bus_message_read(m, "osu", &device, &pin, &s->seconds) > 0);
        assert_string_equal(device, DEVICE);
        assert_string_equal(sd_bus_message_get_path(m), "/agent");
        snprintf(s->pin, sizeof(s->pin), "%s", pin);
        s->n_shown++;
        return 1;
}

static sd_bus *agent(struct world *w, struct shown *s) {
        sd_bus *c = world_client(w);

        assert_true(sd_bus_add_filter(c, NULL, on_agent, s) >= 0);
        assert_fine(world_call(w, c, ROOT, OCFD ".Manager1", "RegisterAgent", "oa{sv}", "/agent", 0));
        return c;
}

static void agents_show_pins(void **state) {
        struct world *w = *state;
        struct shown a = { 0 }, b = { 0 };
        sd_bus *first, *second;

        assert_false(bus_has_agent(w->bus));
        assert_int_equal(bus_show_pin(w->bus, 0, "12345678", 60), 0);
        first = agent(w, &a);
        second = agent(w, &b);
        assert_true(bus_has_agent(w->bus));
        assert_int_equal(bus_show_pin(w->bus, 0, "12345678", 60), 2);
        WORLD_UNTIL(w, a.n_shown == 1 && b.n_shown == 1);
        assert_string_equal(a.pin, "12345678");
        assert_int_equal(b.seconds, 60);
        assert_int_equal(bus_show_pin(w->bus, 0, NULL, 0), 2);
        WORLD_UNTIL(w, a.n_cancelled == 1 && b.n_cancelled == 1);

        assert_fine(world_call(w, second, ROOT, OCFD ".Manager1", "UnregisterAgent", "o", "/agent"));
        assert_error(world_call(w, second, ROOT, OCFD ".Manager1", "UnregisterAgent", "o", "/agent"),
                     ERROR("NotFound"), "no such agent");
        assert_int_equal(bus_show_pin(w->bus, 0, "87654321", 60), 1);
        world_client_close(w, first); /* gone from the bus, and so is its agent */
        WORLD_UNTIL(w, !bus_has_agent(w->bus));
        assert_int_equal(bus_show_pin(w->bus, 0, "87654321", 60), 0);
        assert_int_equal(b.n_shown, 1);
}

static void agents_have_limits(void **state) {
        struct world *w = *state;
        sd_bus *c = world_client(w);
        char path[16];

        for (unsigned i = 0; i < UID_AGENTS_MAX; i++) {
                snprintf(path, sizeof(path), "/agent%u", i);
                assert_fine(world_call(w, c, ROOT, OCFD ".Manager1", "RegisterAgent", "oa{sv}", path, 0));
        }
        assert_error(world_call(w, c, ROOT, OCFD ".Manager1", "RegisterAgent", "oa{sv}", "/agent0", 0),
                     ERROR("AlreadyExists"), "already");
        assert_error(world_call(w, c, ROOT, OCFD ".Manager1", "RegisterAgent", "oa{sv}", "/more", 0),
                     ERROR("LimitsExceeded"), "too many");
        assert_error(
                world_call(w, c, ROOT, OCFD ".Manager1", "RegisterAgent", "oa{sv}", "/more", 1, "x", "b", 1),
                ERROR("InvalidArguments"), "\"x\" is unknown");
}

/* One that does not read is told no more than a few times. */
static void deaf_agent(void **state) {
        struct world *w = *state;
        struct shown a = { 0 };
        sd_bus *c = agent(w, &a);
        unsigned n = 0;

        world_deaf(w, c);
        for (unsigned i = 0; i < 10 * CLIENT_WINDOW; i++)
                n += bus_show_pin(w->bus, 0, "12345678", 60);
        assert_in_range(n, 1, CLIENT_WINDOW);
        world_listen(w, c);
        WORLD_UNTIL(w, a.n_shown == n);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)
        const struct CMUnitTest tests[] = {
                TEST(polkit_decides),
                TEST(person_is_asked_where_there_is_one),
                TEST(without_polkit),
                TEST(some_are_not_asked_about),
                TEST(slow_polkit),
                TEST(polkit_that_never_answers),
                TEST(group_of_the_caller),
                TEST(properties),
                TEST(changes),
                TEST(methods),
                TEST(store),
                TEST(agents_show_pins),
                TEST(agents_have_limits),
                TEST(deaf_agent),
        };

        if (!world_has_bus())
                return 77;
        return cmocka_run_group_tests(tests, NULL, NULL);
}
