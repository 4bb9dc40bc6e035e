#include "dbus/bus_private.h"
#include "model/endpoint_text.h"

#include <errno.h>
#include <stdlib.h>

/* org.ocfd.Device1: a logical device of this daemon. */

struct device *bus_device_at(const struct bus *b, const char *path) {
        uint64_t number;

        if (!bus_path_number(path, BUS_DEVICES, &number) || number >= b->control->model->n_devices)
                return NULL;
        return b->control->model->devices[number];
}

static int find(sd_bus *bus, const char *path, const char *interface, void *userdata, void **ret_found,
                sd_bus_error *error) {
        if (!bus_device_at(userdata, path))
                return 0;
        *ret_found = userdata; /* not the device: what is asked for may come later, when it is gone */
        return 1;
}

#define GETTER(name)                                                                                         \
        static int name(sd_bus *bus, const char *path, const char *interface, const char *property,          \
                        sd_bus_message *reply, void *userdata, sd_bus_error *error)

GETTER(device_id) {
        struct device *d = bus_device_at(userdata, path);
        char text[UUID_TEXT_MAX];

        return d ? sd_bus_message_append_basic(reply, 's', uuid_format(&d->di, text)) : -ENOENT;
}

GETTER(protocol_independent_id) {
        struct device *d = bus_device_at(userdata, path);
        char text[UUID_TEXT_MAX];

        return d ? sd_bus_message_append_basic(reply, 's', uuid_format(&d->piid, text)) : -ENOENT;
}

GETTER(name) {
        struct device *d = bus_device_at(userdata, path);

        return d ? sd_bus_message_append_basic(reply, 's', d->name) : -ENOENT;
}

GETTER(types) {
        struct device *d = bus_device_at(userdata, path);

        if (!d)
                return -ENOENT;
        return d->type ? sd_bus_message_append(reply, "as", 2, d->type, "oic.wk.d")
                       : sd_bus_message_append(reply, "as", 1, "oic.wk.d");
}

GETTER(specification_version) {
        struct device *d = bus_device_at(userdata, path);

        return d ? sd_bus_message_append_basic(reply, 's', d->spec_version) : -ENOENT;
}

GETTER(owned) {
        const struct device *d = bus_device_at(userdata, path);

        return d ? sd_bus_message_append(reply, "b", (int)d->security.owned) : -ENOENT;
}

GETTER(endpoints) {
        struct device *d = bus_device_at(userdata, path);
        char text[ENDPOINT_TEXT_MAX];
        int r = d ? sd_bus_message_open_container(reply, 'a', "s") : -ENOENT;

        for (size_t i = 0; r >= 0 && i < d->n_endpoints; i++)
                r = sd_bus_message_append_basic(reply, 's', endpoint_format(&d->endpoints[i], text));
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

static const sd_bus_vtable vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_PROPERTY("DeviceId", "s", device_id, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("ProtocolIndependentId", "s", protocol_independent_id, 0,
                        SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Name", "s", name, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Types", "as", types, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("SpecificationVersion", "s", specification_version, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Owned", "b", owned, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Endpoints", "as", endpoints, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_VTABLE_END,
};

static int enumerate(sd_bus *bus, const char *prefix, void *userdata, char ***ret_nodes,
                     sd_bus_error *error) {
        struct bus *b = userdata;
        char path[BUS_PATH_MAX], **nodes = calloc(b->control->model->n_devices + 1, sizeof(*nodes));

        if (!nodes)
                return -ENOMEM;
        for (size_t i = 0; i < b->control->model->n_devices; i++) {
                nodes[i] = strdup(bus_path(path, BUS_DEVICES, i));
                if (!nodes[i])
                        return bus_nodes_free(nodes);
        }
        *ret_nodes = nodes;
        return 0;
}

int bus_device_add(struct bus *b) {
        int r = sd_bus_add_fallback_vtable(b->bus, NULL, BUS_DEVICES, BUS_NAME ".Device1", vtable, find, b);

        return r < 0 ? r : sd_bus_add_node_enumerator(b->bus, NULL, BUS_DEVICES, enumerate, b);
}

void bus_device_tell(struct bus *b, const struct device *d, unsigned news) {
        char path[BUS_PATH_MAX];

        if (news & MODEL_NEWS_ADDED)
                (void)sd_bus_emit_object_added(b->bus, bus_path(path, BUS_DEVICES, d->index));
        else
                (void)sd_bus_emit_properties_changed(b->bus, bus_path(path, BUS_DEVICES, d->index),
                                                     BUS_NAME ".Device1", "Endpoints", "DeviceId", "Name",
                                                     "Owned", NULL);
}
