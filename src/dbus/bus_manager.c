#include "base/memory.h"
#include "dbus/bus_private.h"

#include <errno.h>
#include <string.h>

/* org.ocfd.Manager1: the daemon itself. */

static int device_index(struct bus *b, const char *path, uint16_t *ret) {
        uint64_t number = 0;

        if (strcmp(path, "/") != 0 &&
            (!bus_path_number(path, BUS_DEVICES, &number) || number >= b->control->model->n_devices))
                return -ENOENT;
        *ret = (uint16_t)number;
        return 0;
}

static int get_resource(struct bus *b, struct bus_client *client, sd_bus_message *m) {
        const char *device, *href;
        char path[BUS_PATH_MAX];
        struct resource *r;
        uint16_t index;
        int e = sd_bus_message_read(m, "os", &device, &href);

        if (e < 0)
                return e;
        if (device_index(b, device, &index) < 0)
                return bus_reply_fault(m, FAULT_NOT_FOUND,
                                       "There is no such device: \"/\" means the first one");
        r = model_resource_find(b->control->model, index, span_of_string(href));
        if (!r)
                return bus_reply_fault(m, FAULT_NOT_FOUND, NULL);
        return sd_bus_reply_method_return(m, "o", bus_path(path, BUS_RESOURCES, r->number));
}

static int get_statistics(struct bus *b, struct bus_client *client, sd_bus_message *m) {
        const struct bus_counter *counters;
        size_t n = b->control->counters(b->control->context, &counters);
        sd_bus_message *reply = NULL;
        int r = sd_bus_message_new_method_return(m, &reply);

        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "{sv}");
        for (size_t i = 0; i < n && r >= 0; i++)
                r = sd_bus_message_append(reply, "{sv}", counters[i].name, "t", counters[i].value);
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        if (r >= 0)
                r = sd_bus_send(NULL, reply, NULL);
        sd_bus_message_unref(reply);
        return r;
}

static int on_register(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        return bus_client_method(userdata, m, bus_register);
}

static int on_get_resource(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        return bus_client_method(userdata, m, get_resource);
}

static int on_get_statistics(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        return bus_client_method(userdata, m, get_statistics);
}

static int on_register_agent(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        return bus_client_method(userdata, m, bus_register_agent);
}

static int on_unregister_agent(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        return bus_client_method(userdata, m, bus_unregister_agent);
}

static int version(sd_bus *bus, const char *path, const char *interface, const char *property,
                   sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        return sd_bus_message_append_basic(reply, 's', ((struct bus *)userdata)->control->version);
}

static int started(sd_bus *bus, const char *path, const char *interface, const char *property,
                   sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        return sd_bus_message_append_basic(reply, 't', &((struct bus *)userdata)->control->started_us);
}

static int allow_insecure(sd_bus *bus, const char *path, const char *interface, const char *property,
                          sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        return sd_bus_message_append(reply, "b", (int)((struct bus *)userdata)->control->allow_insecure);
}

static int append_interface(sd_bus_message *reply, const struct bus_interface_status *s) {
        int r = sd_bus_message_open_container(reply, 'r', "subass");

        if (r >= 0)
                r = sd_bus_message_append(reply, "sub", s->name, s->index, (int)s->used);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "s");
        for (size_t i = 0; i < s->n_addresses && r >= 0; i++)
                r = sd_bus_message_append_basic(reply, 's', s->addresses[i]);
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        if (r >= 0)
                r = sd_bus_message_append_basic(reply, 's', s->reason);
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int interfaces(sd_bus *bus, const char *path, const char *interface, const char *property,
                      sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        struct bus *b = userdata;
        const struct bus_interface_status *all;
        size_t n = b->control->interfaces(b->control->context, &all);
        int r = sd_bus_message_open_container(reply, 'a', "(subass)");

        for (size_t i = 0; i < n && r >= 0; i++)
                r = append_interface(reply, &all[i]);
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int notices(sd_bus *bus, const char *path, const char *interface, const char *property,
                   sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        struct bus *b = userdata;
        const struct bus_notice *all;
        size_t n = b->control->notices(b->control->context, &all);
        int r = sd_bus_message_open_container(reply, 'a', "(ss)");

        for (size_t i = 0; i < n && r >= 0; i++)
                r = sd_bus_message_append(reply, "(ss)", all[i].id, all[i].text);
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

static const sd_bus_vtable vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD_WITH_ARGS("Register",
                                SD_BUS_ARGS("o", device, "a(sa{sv})", resources, "a{sv}", options),
                                SD_BUS_RESULT("o", application), on_register, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("GetResource", SD_BUS_ARGS("o", device, "s", href),
                                SD_BUS_RESULT("o", resource), on_get_resource, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("GetStatistics", SD_BUS_NO_ARGS, SD_BUS_RESULT("a{sv}", statistics),
                                on_get_statistics, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("RegisterAgent", SD_BUS_ARGS("o", agent, "a{sv}", options), SD_BUS_NO_RESULT,
                                on_register_agent, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("UnregisterAgent", SD_BUS_ARGS("o", agent), SD_BUS_NO_RESULT,
                                on_unregister_agent, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_PROPERTY("Version", "s", version, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("StartedUSec", "t", started, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("AllowInsecure", "b", allow_insecure, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Interfaces", "a(subass)", interfaces, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Notices", "a(ss)", notices, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_VTABLE_END,
};

int bus_manager_add(struct bus *b) {
        int r = sd_bus_add_object_vtable(b->bus, NULL, BUS_ROOT, BUS_NAME ".Manager1", vtable, b);

        return r < 0 ? r : sd_bus_add_object_manager(b->bus, NULL, BUS_ROOT);
}

void bus_manager_tell(struct bus *b) {
        (void)sd_bus_emit_properties_changed(b->bus, BUS_ROOT, BUS_NAME ".Manager1", "Interfaces", "Notices",
                                             NULL);
}
