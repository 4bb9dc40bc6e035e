#include "dbus/bus_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* org.ocfd.Resource1: a resource on a logical device of this daemon. */

static struct resource *resource_at(struct bus *b, const char *path) {
        uint64_t number;

        return bus_path_number(path, BUS_RESOURCES, &number)
                       ? model_resource_by_number(b->control->model, number)
                       : NULL;
}

static int find(sd_bus *bus, const char *path, const char *interface, void *userdata, void **ret_found,
                sd_bus_error *error) {
        if (!resource_at(userdata, path))
                return 0;
        *ret_found = userdata;
        return 1;
}

/* ---- methods ---- */

/* Of the resource at the path of the call; false: an error was replied, *ret_r of that. */
static bool target_of(struct bus *b, sd_bus_message *m, struct bus_target *ret, int *ret_r) {
        *ret = (struct bus_target){ .resource = resource_at(b, sd_bus_message_get_path(m)) };
        if (!ret->resource)
                *ret_r = bus_reply_fault(m, FAULT_NOT_FOUND, NULL);
        return ret->resource;
}

static int retrieve(struct bus *b, struct bus_client *client, sd_bus_message *m) {
        struct bus_target target;
        int r;

        if (!target_of(b, m, &target, &r))
                return r;
        return bus_request_from_message(b, client, m, &target, COAP_GET, NULL, SPAN_NULL, BUS_ANSWER_VALUE);
}

static int delete (struct bus *b, struct bus_client *client, sd_bus_message *m) {
        struct bus_target target;
        int r;

        if (!target_of(b, m, &target, &r))
                return r;
        return bus_request_from_message(b, client, m, &target, COAP_DELETE, NULL, SPAN_NULL, BUS_ANSWER_INFO);
}

static int update(struct bus *b, struct bus_client *client, sd_bus_message *m) {
        struct bus_target target;
        int r;

        return target_of(b, m, &target, &r) ? bus_request_post(b, client, m, &target, NULL) : r;
}

static int create(struct bus *b, struct bus_client *client, sd_bus_message *m) {
        struct bus_target target;
        int r;

        return target_of(b, m, &target, &r)
                       ? bus_request_post(b, client, m, &target, interface_name(INTERFACE_CREATE))
                       : r;
}

#define METHOD(name, method)                                                                                 \
        static int name(sd_bus_message *m, void *userdata, sd_bus_error *error) {                            \
                return bus_client_method(userdata, m, method);                                               \
        }

METHOD(on_retrieve, retrieve)
METHOD(on_update, update)
METHOD(on_create, create)
METHOD(on_delete, delete)
METHOD(on_observe, bus_subscribe)
METHOD(on_stop_observe, bus_unsubscribe)

/* ---- properties ---- */

#define GETTER(name)                                                                                         \
        static int name(sd_bus *bus, const char *path, const char *interface, const char *property,          \
                        sd_bus_message *reply, void *userdata, sd_bus_error *error)

GETTER(href) {
        struct resource *r = resource_at(userdata, path);

        return r ? sd_bus_message_append_basic(reply, 's', r->href) : -ENOENT;
}

GETTER(name) {
        struct resource *r = resource_at(userdata, path);

        return r ? sd_bus_message_append_basic(reply, 's', r->name ? r->name : "") : -ENOENT;
}

GETTER(types) {
        struct resource *r = resource_at(userdata, path);
        int e = r ? sd_bus_message_open_container(reply, 'a', "s") : -ENOENT;

        for (size_t i = 0; e >= 0 && i < r->n_types; i++)
                e = sd_bus_message_append_basic(reply, 's', r->types[i]);
        return e < 0 ? e : sd_bus_message_close_container(reply);
}

GETTER(interfaces) {
        struct resource *r = resource_at(userdata, path);
        int e = r ? sd_bus_message_open_container(reply, 'a', "s") : -ENOENT;

        if (e >= 0)
                e = sd_bus_message_append_basic(reply, 's', interface_name(r->default_interface));
        for (enum interface i = _INTERFACE_N; e >= 0 && i-- > 0;)
                if (r->interfaces >> i & 1 && i != r->default_interface)
                        e = sd_bus_message_append_basic(reply, 's', interface_name(i));
        return e < 0 ? e : sd_bus_message_close_container(reply);
}

GETTER(device) {
        struct resource *r = resource_at(userdata, path);
        char at[BUS_PATH_MAX];

        return r ? sd_bus_message_append_basic(reply, 'o', bus_path(at, BUS_DEVICES, r->device->index))
                 : -ENOENT;
}

GETTER(application) {
        struct resource *r = resource_at(userdata, path);
        char at[BUS_PATH_MAX];

        if (!r)
                return -ENOENT;
        return sd_bus_message_append_basic(reply, 'o', r->app ? bus_path(at, BUS_APPS, r->app->number) : "/");
}

GETTER(mode) {
        static const char *const words[] = {
                [RESOURCE_CORE] = "core",
                [RESOURCE_PUBLISHED] = "published",
                [RESOURCE_HANDLED] = "handled",
                [RESOURCE_SECURE] = "core",
        };
        struct resource *r = resource_at(userdata, path);

        return r ? sd_bus_message_append_basic(reply, 's', words[r->mode]) : -ENOENT;
}

#define FLAG(name, expression)                                                                               \
        GETTER(name) {                                                                                       \
                struct resource *r = resource_at(userdata, path);                                            \
                                                                                                             \
                return r ? sd_bus_message_append(reply, "b", (int)(expression)) : -ENOENT;                   \
        }

FLAG(discoverable, r->discoverable)
FLAG(observable, r->observable)
FLAG(insecure, r->insecure)
FLAG(available, resource_is_available(r))

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
        SD_BUS_SIGNAL_WITH_ARGS("Updated", SD_BUS_ARGS("a{sv}", value, "a{sv}", info), 0),
        SD_BUS_PROPERTY("Href", "s", href, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Name", "s", name, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Types", "as", types, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Interfaces", "as", interfaces, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Device", "o", device, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Application", "o", application, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Mode", "s", mode, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Discoverable", "b", discoverable, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Observable", "b", observable, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Insecure", "b", insecure, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Available", "b", available, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_VTABLE_END,
};

static int enumerate(sd_bus *bus, const char *prefix, void *userdata, char ***ret_nodes,
                     sd_bus_error *error) {
        const struct model *model = ((struct bus *)userdata)->control->model;
        char path[BUS_PATH_MAX], **nodes = calloc(model->n_resources + 1, sizeof(*nodes));
        size_t n = 0;

        if (!nodes)
                return -ENOMEM;
        for (size_t i = 0; i < model->n_devices; i++)
                LIST_FOR_EACH(j, &model->devices[i]->resources) {
                        nodes[n] = strdup(bus_path(path, BUS_RESOURCES,
                                                   LIST_ENTRY(j, struct resource, device_link)->number));
                        if (!nodes[n++])
                                return bus_nodes_free(nodes);
                }
        *ret_nodes = nodes;
        return 0;
}

int bus_resource_add(struct bus *b) {
        int r = sd_bus_add_fallback_vtable(b->bus, NULL, BUS_RESOURCES, BUS_NAME ".Resource1", vtable, find,
                                           b);

        return r < 0 ? r : sd_bus_add_node_enumerator(b->bus, NULL, BUS_RESOURCES, enumerate, b);
}

void bus_resource_tell(struct bus *b, struct resource *r, unsigned news) {
        char path[BUS_PATH_MAX];

        bus_path(path, BUS_RESOURCES, r->number);
        if (news & MODEL_NEWS_REMOVED)
                (void)sd_bus_emit_interfaces_removed(b->bus, path, BUS_NAME ".Resource1", NULL);
        else if (news & MODEL_NEWS_ADDED)
                (void)sd_bus_emit_object_added(b->bus, path);
        else if (news & MODEL_NEWS_PROPERTIES)
                (void)sd_bus_emit_properties_changed(b->bus, path, BUS_NAME ".Resource1", "Available",
                                                     "Application", NULL);
        bus_subscribers_tell(b, r, news);
}
