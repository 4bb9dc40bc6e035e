#include "../unit.h"

#include "dbus/value.h"
#include "fake.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* The fake's other devices: Client1, and two RemoteDevice1 of which one has a RemoteResource1. */

#define REMOTES  "/org/ocfd/remote"
#define LAMP     REMOTES "/00000000_0000_4000_8000_000000000001"
#define GATE     REMOTES "/00000000_0000_4000_8000_000000000002"
#define RESOURCE LAMP "/7"

static bool is_gate(const char *path) {
        return strncmp(path, GATE, strlen(GATE)) == 0;
}

/* ---- Client1 ---- */

static int on_discover(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        struct fake *f = userdata;

        fake_note(f, "Discover %s\n", fake_read_json(m, true));
        if (f->is_mute)
                return 1;
        if (f->fails)
                return fake_reply_error(m, f->fails);
        /* the second one goes before it can be asked what it is */
        return f->has_no_remotes ? sd_bus_reply_method_return(m, "ao", 0)
                                 : sd_bus_reply_method_return(m, "ao", 3, LAMP, REMOTES "/gone", GATE);
}

static int on_find_device(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        struct fake *f = userdata;
        const char *name;

        assert_true(sd_bus_message_read_basic(m, 's', &name) > 0);
        fake_note(f, "FindDevice %s\n", name);
        if (f->has_no_remotes)
                return fake_reply_error(m, "NotFound");
        if (strcmp(name, "gone") == 0)
                return sd_bus_reply_method_return(m, "o", REMOTES "/gone");
        return sd_bus_reply_method_return(m, "o", strcmp(name, "Gate") == 0 ? GATE : LAMP);
}

static const sd_bus_vtable client[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD("Discover", "a{sv}", "ao", on_discover, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("FindDevice", "s", "o", on_find_device, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_VTABLE_END,
};

/* ---- RemoteDevice1 ---- */

static int on_request(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const char *href;
        char of[128];

        assert_true(sd_bus_message_read_basic(m, 's', &href) > 0);
        snprintf(of, sizeof(of), "%s %s", is_gate(sd_bus_message_get_path(m)) ? "Gate" : "Lamp", href);
        return fake_answer_request(userdata, m, of);
}

static int on_refresh(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        struct fake *f = userdata;

        fake_note(f, "Refresh %s\n", is_gate(sd_bus_message_get_path(m)) ? "Gate" : "Lamp");
        return f->fails ? fake_reply_error(m, f->fails) : sd_bus_reply_method_return(m, NULL);
}

static int get_text(sd_bus *bus, const char *path, const char *interface, const char *property,
                    sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        static const struct {
                const char *property, *lamp, *gate;
        } rows[] = {
                { "DeviceId", "00000000-0000-4000-8000-000000000001",
                  "00000000-0000-4000-8000-000000000002" },
                { "Name", "Lamp", "Gate" },
                { "Ownership", "none", "mine" },
                { "Owner", "", "00000000-0000-4000-8000-00000000000f" },
                { "Href", "/lamp", "" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
                if (strcmp(rows[i].property, property) == 0)
                        return sd_bus_message_append(reply, "s", is_gate(path) ? rows[i].gate : rows[i].lamp);
        return -ENOENT;
}

static int get_list(sd_bus *bus, const char *path, const char *interface, const char *property,
                    sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        if (strcmp(property, "Types") == 0)
                return sd_bus_message_append(reply, "as", 2, "oic.wk.d",
                                             is_gate(path) ? "x.gate" : "oic.d.light");
        return sd_bus_message_append(reply, "as", 1, "coaps://[fe80::1%eth0]:5684");
}

static int get_reachable(sd_bus *bus, const char *path, const char *interface, const char *property,
                         sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        return sd_bus_message_append(reply, "b", !is_gate(path));
}

static int get_seen(sd_bus *bus, const char *path, const char *interface, const char *property,
                    sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        return sd_bus_message_append(reply, "t", UINT64_MAX);
}

static const sd_bus_vtable device[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD("Retrieve", "sa{sv}", "va{sv}", on_request, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("Update", "sva{sv}", "va{sv}", on_request, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("Delete", "sa{sv}", "a{sv}", on_request, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("Refresh", "", "", on_refresh, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_PROPERTY("DeviceId", "s", get_text, 0, 0),
        SD_BUS_PROPERTY("Name", "s", get_text, 0, 0),
        SD_BUS_PROPERTY("Ownership", "s", get_text, 0, 0),
        SD_BUS_PROPERTY("Owner", "s", get_text, 0, 0),
        SD_BUS_PROPERTY("Types", "as", get_list, 0, 0),
        SD_BUS_PROPERTY("Endpoints", "as", get_list, 0, 0),
        SD_BUS_PROPERTY("Reachable", "b", get_reachable, 0, 0),
        SD_BUS_PROPERTY("LastSeenUSec", "t", get_seen, 0, 0),
        SD_BUS_VTABLE_END,
};

/* ---- RemoteResource1 ---- */

static int on_observe(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        struct fake *f = userdata;

        snprintf(f->observer, sizeof(f->observer), "%s", sd_bus_message_get_sender(m));
        return fake_answer_request(f, m, "Lamp /lamp");
}

static const sd_bus_vtable resource[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD("Observe", "a{sv}", "va{sv}", on_observe, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("StopObserve", "", "", on_observe, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_PROPERTY("Href", "s", get_text, 0, 0),
        SD_BUS_VTABLE_END,
};

void fake_remote_notified(struct fake *f, const char *json, const char *mode, const char *error) {
        sd_bus_message *m = NULL;

        assert_true(sd_bus_message_new_signal(f->bus, &m, RESOURCE, "org.ocfd.RemoteResource1", "Notified") >=
                    0);
        assert_true(sd_bus_message_set_destination(m, f->observer) >= 0);
        assert_int_equal(value_append(m, fake_rep(json)), 0);
        if (error)
                assert_true(sd_bus_message_append(m, "a{sv}", 1, "error", "s", error) >= 0);
        else
                assert_true(sd_bus_message_append(m, "a{sv}", 1, "mode", "s", mode) >= 0);
        assert_true(sd_bus_send(f->bus, m, NULL) >= 0);
        sd_bus_message_unref(m);
}

/* ---- */

void fake_remote_start(struct fake *f) {
        static const char *const devices[] = { LAMP, GATE };

        assert_true(sd_bus_add_object_manager(f->bus, NULL, "/org/ocfd") >= 0);
        assert_true(sd_bus_add_object_vtable(f->bus, NULL, "/org/ocfd", "org.ocfd.Client1", client, f) >= 0);
        for (size_t i = 0; i < ARRAY_SIZE(devices); i++)
                assert_true(sd_bus_add_object_vtable(f->bus, NULL, devices[i], "org.ocfd.RemoteDevice1",
                                                     device, f) >= 0);
        assert_true(sd_bus_add_object_vtable(f->bus, NULL, RESOURCE, "org.ocfd.RemoteResource1", resource,
                                             f) >= 0);
}
