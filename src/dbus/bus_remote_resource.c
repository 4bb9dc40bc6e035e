#include "dbus/bus_private.h"
#include "model/remote.h"

#include <errno.h>
#include <string.h>

/* org.ocfd.RemoteResource1: a resource of a device on the network. */

#define INTERFACE BUS_NAME ".RemoteResource1"

static struct remote_resource *resource_at(const struct bus *b, const char *path) {
        const struct remote_device *d;
        struct uuid id;
        uint32_t number;

        if (!bus_remote_parse(path, &id, &number) || !number)
                return NULL;
        d = remotes_find(b->control->client.remotes, &id);
        return d ? remote_by_number(d, number) : NULL;
}

static int find(sd_bus *bus, const char *path, const char *interface, void *userdata, void **ret_found,
                sd_bus_error *error) {
        if (!resource_at(userdata, path))
                return 0;
        *ret_found = userdata;
        return 1;
}

/* ---- requests ---- */

/* Return: 0; 1 when an error was replied; negative errno. */
static int target_of(struct bus *b, sd_bus_message *m, struct bus_target *ret) {
        const struct remote_resource *r = resource_at(b, sd_bus_message_get_path(m));

        if (!r)
                return bus_reply_fault(m, FAULT_NOT_FOUND,
                                       "The device does not list this resource any more") < 0
                               ? -EIO
                               : 1;
        *ret = (struct bus_target){ .device = r->device->id, .href = r->href };
        return 0;
}

static int retrieve(struct bus *b, struct bus_client *client, sd_bus_message *m) {
        struct bus_target target;
        int r = target_of(b, m, &target);

        if (r)
                return r < 0 ? r : 0;
        return bus_request_from_message(b, client, m, &target, COAP_GET, NULL, SPAN_NULL, BUS_ANSWER_VALUE);
}

static int update(struct bus *b, struct bus_client *client, sd_bus_message *m) {
        struct bus_target target;
        int r = target_of(b, m, &target);

        if (r)
                return r < 0 ? r : 0;
        return bus_request_post(b, client, m, &target, NULL);
}

static int create(struct bus *b, struct bus_client *client, sd_bus_message *m) {
        struct bus_target target;
        int r = target_of(b, m, &target);

        if (r)
                return r < 0 ? r : 0;
        return bus_request_post(b, client, m, &target, interface_name(INTERFACE_CREATE));
}

static int delete (struct bus *b, struct bus_client *client, sd_bus_message *m) {
        struct bus_target target;
        int r = target_of(b, m, &target);

        if (r)
                return r < 0 ? r : 0;
        return bus_request_from_message(b, client, m, &target, COAP_DELETE, NULL, SPAN_NULL, BUS_ANSWER_INFO);
}

#define METHOD(name, method)                                                                                 \
        static int name(sd_bus_message *m, void *userdata, sd_bus_error *error) {                            \
                return bus_client_method(userdata, m, method);                                               \
        }

METHOD(on_retrieve, retrieve)
METHOD(on_update, update)
METHOD(on_create, create)
METHOD(on_delete, delete)
METHOD(on_observe, bus_observe)
METHOD(on_stop_observe, bus_stop_observing)

/* ---- properties ---- */

#define GETTER(name)                                                                                         \
        static int name(sd_bus *bus, const char *path, const char *interface, const char *property,          \
                        sd_bus_message *reply, void *userdata, sd_bus_error *error)

GETTER(href) {
        const struct remote_resource *r = resource_at(userdata, path);

        return r ? sd_bus_message_append_basic(reply, 's', r->href) : -ENOENT;
}

GETTER(device) {
        const struct remote_resource *r = resource_at(userdata, path);
        char at[BUS_PATH_MAX];

        return r ? sd_bus_message_append_basic(reply, 'o', bus_remote_path(at, &r->device->id)) : -ENOENT;
}

GETTER(list) {
        const struct remote_resource *r = resource_at(userdata, path);
        char **texts = !r ? NULL : strcmp(property, "Types") == 0 ? r->types : r->interfaces;

        if (!r)
                return -ENOENT;
        return texts ? sd_bus_message_append_strv(reply, texts) : sd_bus_message_append(reply, "as", 0);
}

GETTER(flag) {
        const struct remote_resource *r = resource_at(userdata, path);

        if (!r)
                return -ENOENT;
        return sd_bus_message_append(
                reply, "b", (int)(strcmp(property, "Observable") == 0 ? r->observable : r->discoverable));
}

const char *bus_mode_name(enum bus_mode mode) {
        static const char *const words[] = {
                [BUS_MODE_NONE] = "none",
                [BUS_MODE_PUSH] = "push",
                [BUS_MODE_POLL] = "poll",
                [BUS_MODE_STALE] = "stale",
        };

        return words[mode];
}

GETTER(mode) {
        const struct bus *b = userdata;
        const struct remote_resource *r = resource_at(b, path);

        return r ? sd_bus_message_append_basic(reply, 's',
                                               bus_mode_name(b->control->client.mode(
                                                       b->control->context, &r->device->id, r->href)))
                 : -ENOENT;
}

static const sd_bus_vtable vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD_WITH_ARGS("Retrieve", SD_BUS_ARGS("a{sv}", options),
                                SD_BUS_RESULT("v", value, "a{sv}", info), on_retrieve,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Update", SD_BUS_ARGS("v", value, "a{sv}", options),
                                SD_BUS_RESULT("v", new_value, "a{sv}", info), on_update,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Create", SD_BUS_ARGS("v", value, "a{sv}", options),
                                SD_BUS_RESULT("v", new_value, "a{sv}", info), on_create,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Delete", SD_BUS_ARGS("a{sv}", options), SD_BUS_RESULT("a{sv}", info),
                                on_delete, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Observe", SD_BUS_ARGS("a{sv}", options),
                                SD_BUS_RESULT("v", value, "a{sv}", info), on_observe,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("StopObserve", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, on_stop_observe,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_SIGNAL_WITH_ARGS("Notified", SD_BUS_ARGS("v", value, "a{sv}", info), 0),
        SD_BUS_PROPERTY("Href", "s", href, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Device", "o", device, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Types", "as", list, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Interfaces", "as", list, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Discoverable", "b", flag, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Observable", "b", flag, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Mode", "s", mode, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_VTABLE_END,
};

int bus_remote_resource_add(struct bus *b) {
        return sd_bus_add_fallback_vtable(b->bus, NULL, BUS_REMOTES, INTERFACE, vtable, find, b);
}

void bus_remote_resource_tell(struct bus *b, const struct remote_event *event) {
        char path[BUS_PATH_MAX];

        bus_remote_resource_path(path, &event->was, event->resource->number);
        if (event->news & REMOTE_REMOVED)
                (void)sd_bus_emit_interfaces_removed(b->bus, path, INTERFACE, NULL);
        else if (event->news & REMOTE_ADDED)
                (void)sd_bus_emit_object_added(b->bus, path);
        else if (event->news & REMOTE_TYPES)
                (void)sd_bus_emit_properties_changed(b->bus, path, INTERFACE, "Types", "Interfaces",
                                                     "Discoverable", "Observable", NULL);
}
