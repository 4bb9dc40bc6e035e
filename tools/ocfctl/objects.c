/*
 * The daemon's objects as JSON, which the commands then take apart: there is one
 * reader for all interfaces and properties.
 */
#include "base/memory.h"
#include "ctl.h"
#include "dbus/value.h"
#include "json/rep_json.h"

#include <errno.h>

const char *text_of(const json_t *object, const char *key) {
        const char *s = json_string_value(json_object_get(object, key));

        return s ? s : "";
}

bool is_true(const json_t *object, const char *key) {
        return json_is_true(json_object_get(object, key));
}

int value_to_json(sd_bus_message *m, bool is_map, json_t **ret) {
        uint8_t *buf = ocf_allocate(OCFCTL_VALUE_MAX, 1);
        struct writer w;
        int r;

        if (!buf)
                return -ENOMEM;
        w = writer_on(buf, OCFCTL_VALUE_MAX);
        r = is_map ? value_read_map(m, &w) : value_read(m, &w);
        if (!r)
                r = rep_to_json(writer_span(&w), ret);
        ocf_free(buf);
        return r > 0 ? -EBADMSG : r;
}

/* ---- objects ---- */

int objects_read(sd_bus_message *m, json_t **ret_interfaces) {
        json_t *interfaces = json_object(), *properties;
        const char *name;
        int r = sd_bus_message_enter_container(m, 'a', "{sa{sv}}");

        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sa{sv}")) > 0) {
                r = sd_bus_message_read_basic(m, 's', &name);
                if (r >= 0)
                        r = value_to_json(m, true, &properties);
                if (r >= 0)
                        r = json_object_set_new(interfaces, name, properties) ? -ENOMEM : 0;
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
        }
        if (r >= 0)
                r = sd_bus_message_exit_container(m);
        if (r < 0)
                json_decref(interfaces);
        else
                *ret_interfaces = interfaces;
        return r < 0 ? r : 0;
}

static int read_all(sd_bus_message *m, json_t *objects) {
        json_t *interfaces;
        const char *path;
        int r = sd_bus_message_enter_container(m, 'a', "{oa{sa{sv}}}");

        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "oa{sa{sv}}")) > 0) {
                r = sd_bus_message_read_basic(m, 'o', &path);
                if (r >= 0)
                        r = objects_read(m, &interfaces);
                if (r >= 0)
                        r = json_object_set_new(objects, path, interfaces) ? -ENOMEM : 0;
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
        }
        return r < 0 ? r : 0;
}

int objects_get(struct ctl *c, json_t **ret) {
        sd_bus_message *m = NULL, *reply = NULL;
        json_t *objects = NULL;
        int code = bus_open(c), r;

        if (code)
                return code;
        r = bus_new_call(c, &m, "/org/ocfd", "org.freedesktop.DBus.ObjectManager", "GetManagedObjects");
        code = r < 0 ? bus_trouble(c, r) : bus_call(c, m, 0, &reply);
        if (!code) {
                objects = json_object();
                r = objects ? read_all(reply, objects) : -ENOMEM;
                if (r < 0)
                        code = bus_trouble(c, r);
        }
        if (!code)
                *ret = json_incref(objects);
        json_decref(objects);
        sd_bus_message_unref(m);
        sd_bus_message_unref(reply);
        return code;
}

int objects_properties(struct ctl *c, const char *path, const char *interface, json_t **ret) {
        sd_bus_message *m = NULL, *reply = NULL;
        int code = bus_open(c), r;

        if (code)
                return code;
        r = bus_new_call(c, &m, path, "org.freedesktop.DBus.Properties", "GetAll");
        if (r >= 0)
                r = sd_bus_message_append(m, "s", interface);
        code = r < 0 ? bus_trouble(c, r) : bus_call(c, m, 0, &reply);
        if (!code) {
                r = value_to_json(reply, true, ret);
                code = r < 0 ? bus_trouble(c, r) : EXIT_OK;
        }
        sd_bus_message_unref(m);
        sd_bus_message_unref(reply);
        return code;
}
