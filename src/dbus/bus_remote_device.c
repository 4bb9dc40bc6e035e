#include "dbus/bus_private.h"
#include "model/remote.h"

#include <errno.h>
#include <string.h>
#include <time.h>

/*
 * org.ocfd.RemoteDevice1: a device on the network. What is shown of it is what
 * it told; requests go to it through the daemon, by any path that it may have.
 */

#define INTERFACE BUS_NAME ".RemoteDevice1"

static struct remote_device *device_at(const struct bus *b, const char *path) {
        struct uuid id;
        uint32_t number;

        return bus_remote_parse(path, &id, &number) && !number ? remotes_find(b->control->client.remotes, &id)
                                                               : NULL;
}

static int find(sd_bus *bus, const char *path, const char *interface, void *userdata, void **ret_found,
                sd_bus_error *error) {
        if (!device_at(userdata, path))
                return 0;
        *ret_found = userdata;
        return 1;
}

/* ---- requests ---- */

/* Return: 0; 1 when an error was replied; negative errno. */
static int read_target(struct bus *b, sd_bus_message *m, struct bus_target *ret) {
        const struct remote_device *d = device_at(b, sd_bus_message_get_path(m));
        int r = sd_bus_message_read_basic(m, 's', &ret->href);

        if (r < 0)
                return r;
        ret->resource = NULL;
        if (!d) {
                r = bus_reply_fault(m, FAULT_NOT_FOUND,
                                    "The device was forgotten: Discover looks for it again");
        } else if (ret->href[0] != '/' || strchr(ret->href, '?')) {
                r = bus_reply_invalid(
                        m, "\"%.64s\" is no path: it begins with \"/\", and a query is an option", ret->href);
        } else if (strlen(ret->href) > REMOTE_HREF_MAX) {
                r = bus_reply_invalid(m, "The path is longer than %u bytes", REMOTE_HREF_MAX);
        } else {
                ret->device = d->id;
                return 0;
        }
        return r < 0 ? r : 1;
}

static int retrieve(struct bus *b, struct bus_client *client, sd_bus_message *m) {
        struct bus_target target;
        int r = read_target(b, m, &target);

        if (r)
                return r < 0 ? r : 0;
        return bus_request_from_message(b, client, m, &target, COAP_GET, NULL, SPAN_NULL, BUS_ANSWER_VALUE);
}

static int update(struct bus *b, struct bus_client *client, sd_bus_message *m) {
        struct bus_target target;
        int r = read_target(b, m, &target);

        if (r)
                return r < 0 ? r : 0;
        return bus_request_post(b, client, m, &target, NULL);
}

static int delete (struct bus *b, struct bus_client *client, sd_bus_message *m) {
        struct bus_target target;
        int r = read_target(b, m, &target);

        if (r)
                return r < 0 ? r : 0;
        return bus_request_from_message(b, client, m, &target, COAP_DELETE, NULL, SPAN_NULL, BUS_ANSWER_INFO);
}

static int refresh(struct bus *b, struct bus_client *client, sd_bus_message *m) {
        const struct remote_device *d = device_at(b, sd_bus_message_get_path(m));
        struct bus_round *round;
        const char *why = NULL;
        int r;

        if (!d)
                return bus_reply_fault(m, FAULT_NOT_FOUND, NULL);
        r = bus_round_new(b, client, m, false, &round);
        if (r)
                return r < 0 ? r : 0;
        r = b->control->client.refresh(b->control->context, &client->caller, &d->id, bus_round_done, round,
                                       &why);
        return r ? bus_round_begun(round, r, FAULT_NOT_ALLOWED, why) : 0;
}

static int forget(struct bus *b, struct bus_client *client, sd_bus_message *m) {
        const struct remote_device *d = device_at(b, sd_bus_message_get_path(m));
        int r = d ? b->control->client.forget(b->control->context, &d->id) : BUS_E_REFUSED;

        if (r == BUS_E_REFUSED)
                return bus_reply_fault(m, FAULT_NOT_FOUND, "The device is forgotten already");
        if (r == BUS_E_BUSY)
                return bus_reply_fault(m, FAULT_BUSY,
                                       "The onboarding tool owns the device: give it back first (Reset)");
        return r < 0 ? r : sd_bus_reply_method_return(m, NULL);
}

static int forget_if_allowed(struct bus *b, struct bus_client *client, sd_bus_message *m) {
        return bus_if_authorized(b, client, m, BUS_NAME ".client", forget);
}

#define METHOD(name, method)                                                                                 \
        static int name(sd_bus_message *m, void *userdata, sd_bus_error *error) {                            \
                return bus_client_method(userdata, m, method);                                               \
        }

METHOD(on_retrieve, retrieve)
METHOD(on_update, update)
METHOD(on_delete, delete)
METHOD(on_refresh, refresh)
METHOD(on_forget, forget_if_allowed)

/* ---- properties ---- */

#define GETTER(name)                                                                                         \
        static int name(sd_bus *bus, const char *path, const char *interface, const char *property,          \
                        sd_bus_message *reply, void *userdata, sd_bus_error *error)

static const char *or_nothing(const char *text) {
        return text ? text : "";
}

static const char *uuid_or_nothing(const struct uuid *id, char buf[static UUID_TEXT_MAX]) {
        return uuid_is_nil(id) ? "" : uuid_format(id, buf);
}

static const char *const ownerships[] = {
        [REMOTE_UNKNOWN] = "unknown",
        [REMOTE_UNOWNED] = "none",
        [REMOTE_MINE] = "mine",
        [REMOTE_OTHERS] = "other",
};

static const char *text_of(const struct remote_device *d, const char *property,
                           char buf[static UUID_TEXT_MAX]) {
        if (strcmp(property, "DeviceId") == 0)
                return uuid_format(&d->id, buf);
        if (strcmp(property, "Name") == 0)
                return or_nothing(d->name);
        if (strcmp(property, "SpecificationVersion") == 0)
                return or_nothing(d->icv);
        if (strcmp(property, "ProtocolIndependentId") == 0)
                return uuid_or_nothing(&d->piid, buf);
        if (strcmp(property, "Ownership") == 0)
                return ownerships[d->ownership];
        if (strcmp(property, "Owner") == 0)
                return uuid_or_nothing(&d->owner, buf);
        return or_nothing(d->domain);
}

GETTER(text) {
        const struct remote_device *d = device_at(userdata, path);
        char buf[UUID_TEXT_MAX];

        return d ? sd_bus_message_append_basic(reply, 's', text_of(d, property, buf)) : -ENOENT;
}

GETTER(types) {
        const struct remote_device *d = device_at(userdata, path);

        if (!d)
                return -ENOENT;
        return d->types ? sd_bus_message_append_strv(reply, d->types) : sd_bus_message_append(reply, "as", 0);
}

GETTER(transfers) {
        static const char *const names[] = { "just-works", "random-pin", "manufacturer-certificate" };
        const struct remote_device *d = device_at(userdata, path);
        int r = d ? sd_bus_message_open_container(reply, 'a', "s") : -ENOENT;

        for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(names); i++)
                if (d->transfers >> i & 1)
                        r = sd_bus_message_append_basic(reply, 's', names[i]);
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

/* A link-local address means something only with the name of its interface. */
static const char *zone_of(const struct bus *b, const struct remote_address *a) {
        const struct bus_interface_status *all;
        size_t n;

        if (!a->interface)
                return NULL;
        n = b->control->interfaces(b->control->context, &all);
        for (size_t i = 0; i < n; i++)
                if (all[i].index == a->interface)
                        return all[i].name;
        return NULL;
}

GETTER(endpoints) {
        const struct remote_device *d = device_at(userdata, path);
        char address[REMOTE_ADDRESS_TEXT];
        int r = d ? sd_bus_message_open_container(reply, 'a', "s") : -ENOENT;

        for (size_t i = 0; r >= 0 && i < d->n_addresses; i++)
                r = sd_bus_message_append_basic(reply, 's',
                                                remote_address_format(&d->addresses[i],
                                                                      zone_of(userdata, &d->addresses[i]),
                                                                      address));
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

GETTER(reachable) {
        const struct remote_device *d = device_at(userdata, path);

        return d ? sd_bus_message_append(reply, "b", (int)d->reachable) : -ENOENT;
}

GETTER(last_seen) {
        const struct bus *b = userdata;
        const struct remote_device *d = device_at(b, path);
        struct timespec t;
        uint64_t now_ms, us;

        if (!d)
                return -ENOENT;
        clock_gettime(CLOCK_REALTIME, &t);
        us = (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
        now_ms = b->control->now(b->control->context);
        us -= now_ms > d->last_seen_ms ? (now_ms - d->last_seen_ms) * 1000 : 0;
        return sd_bus_message_append_basic(reply, 't', &us);
}

GETTER(session) {
        const struct bus *b = userdata;
        const struct remote_device *d = device_at(b, path);

        return d ? sd_bus_message_append_basic(reply, 's',
                                               b->control->client.session(b->control->context, &d->id))
                 : -ENOENT;
}

static const sd_bus_vtable vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD_WITH_ARGS("Retrieve", SD_BUS_ARGS("s", href, "a{sv}", options),
                                SD_BUS_RESULT("v", value, "a{sv}", info), on_retrieve,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Update", SD_BUS_ARGS("s", href, "v", value, "a{sv}", options),
                                SD_BUS_RESULT("v", new_value, "a{sv}", info), on_update,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Delete", SD_BUS_ARGS("s", href, "a{sv}", options),
                                SD_BUS_RESULT("a{sv}", info), on_delete, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Refresh", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, on_refresh,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Forget", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, on_forget,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_PROPERTY("DeviceId", "s", text, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Name", "s", text, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Types", "as", types, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("SpecificationVersion", "s", text, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("ProtocolIndependentId", "s", text, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Ownership", "s", text, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Owner", "s", text, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Transfers", "as", transfers, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Domain", "s", text, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Endpoints", "as", endpoints, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Reachable", "b", reachable, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("LastSeenUSec", "t", last_seen, 0, 0),
        SD_BUS_PROPERTY("Session", "s", session, 0, 0),
        SD_BUS_VTABLE_END,
};

/* ---- what is told ---- */

int bus_remote_add(struct bus *b) {
        int r = sd_bus_add_fallback_vtable(b->bus, NULL, BUS_REMOTES, INTERFACE, vtable, find, b);

        if (r >= 0)
                r = bus_remote_resource_add(b);
        return r < 0 ? r : bus_remote_list_add(b);
}

/* By the groups in which something happened, where it is not known what was told before. */
static void tell_groups(struct bus *b, const char *path, unsigned news) {
        static const struct {
                unsigned news;
                const char *property;
        } all[] = {
                { REMOTE_NAME, "Name" },
                { REMOTE_TYPES, "Types" },
                { REMOTE_VERSIONS, "SpecificationVersion" },
                { REMOTE_VERSIONS, "ProtocolIndependentId" },
                { REMOTE_OWNERSHIP, "Ownership" },
                { REMOTE_OWNERSHIP, "Owner" },
                { REMOTE_OWNERSHIP, "Transfers" },
                { REMOTE_DOMAIN, "Domain" },
                { REMOTE_ADDRESSES, "Endpoints" },
                { REMOTE_REACHABLE, "Reachable" },
        };
        char *changed[ARRAY_SIZE(all) + 1];
        size_t n = 0;

        for (size_t i = 0; i < ARRAY_SIZE(all); i++)
                if (news & all[i].news)
                        changed[n++] = (char *)all[i].property;
        changed[n] = NULL;
        if (n)
                (void)sd_bus_emit_properties_changed_strv(b->bus, path, INTERFACE, changed);
}

void bus_tell_remote(struct bus *b, const struct remote_event *event) {
        char path[BUS_PATH_MAX];

        if (!bus_is_ready(b))
                return;
        if (event->resource) {
                bus_remote_resource_tell(b, event);
                return;
        }
        bus_remote_path(path, &event->was);
        if (event->news & REMOTE_REMOVED) {
                bus_remote_told_removed(b, &event->was);
                (void)sd_bus_emit_interfaces_removed(b->bus, path, INTERFACE, NULL);
        } else if (event->news & REMOTE_ADDED) {
                bus_remote_told_added(b, event->device);
                (void)sd_bus_emit_object_added(b->bus, path);
        } else if (!bus_remote_tell_different(b, event->device, path)) {
                tell_groups(b, path, event->news);
        }
}
