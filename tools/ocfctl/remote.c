#include "remote.h"
#include "base/memory.h"
#include "dbus/value.h"
#include "security.h"

#include <stdlib.h>
#include <string.h>

#define LOOK_S 4.0 /* on the network, for who is not known */

bool remote_split_uri(const char *text, char **ret_device, const char **ret_href) {
        const char *slash;

        if (strncmp(text, "ocf://", 6) != 0)
                return false;
        slash = strchr(text + 6, '/');
        if (!slash)
                return false;
        *ret_device = strndup(text + 6, (size_t)(slash - text - 6));
        *ret_href = slash;
        return *ret_device;
}

int remote_is_local(struct ctl *c, bool *ret) {
        json_t *objects, *interfaces;
        const char *path;
        int code;

        *ret = !c->may_be_remote || !c->device || strcmp(c->device, "/") == 0;
        if (*ret)
                return EXIT_OK;
        code = objects_get(c, &objects);
        if (code)
                return code;
        json_object_foreach(objects, path, interfaces) {
                const json_t *device = json_object_get(interfaces, "org.ocfd.Device1");

                *ret = *ret || (device && bus_is_meant(c->device, path, device));
        }
        json_decref(objects);
        return EXIT_OK;
}

/* ---- who is meant ---- */

static int find(struct ctl *c, const char *name, sd_bus_error *e, char **ret_path) {
        sd_bus_message *m = NULL, *reply = NULL;
        const char *path;
        int r = bus_new_call(c, &m, "/org/ocfd", "org.ocfd.Client1", "FindDevice");

        if (r >= 0)
                r = sd_bus_message_append(m, "s", name);
        if (r >= 0)
                r = sd_bus_call(c->bus, m, 0, e, &reply);
        if (r >= 0)
                r = sd_bus_message_read_basic(reply, 'o', &path);
        if (r >= 0)
                *ret_path = ocf_duplicate_string(path);
        sd_bus_message_unref(m);
        sd_bus_message_unref(reply);
        return r;
}

static int look(struct ctl *c) {
        sd_bus_message *m = NULL, *reply = NULL;
        int r = bus_new_call(c, &m, "/org/ocfd", "org.ocfd.Client1", "Discover"), code;

        remark(c, "Looking on the network ...");
        if (r >= 0)
                r = sd_bus_message_append(m, "a{sv}", 1, "timeout_ms", "u", (uint32_t)(LOOK_S * 1000));
        code = r < 0 ? bus_trouble(c, r) : bus_call(c, m, (uint64_t)(LOOK_S * 1000) + c->timeout_ms, &reply);
        sd_bus_message_unref(m);
        sd_bus_message_unref(reply);
        return code;
}

int remote_find(struct ctl *c, const char *name, char **ret_path) {
        sd_bus_error e = SD_BUS_ERROR_NULL;
        int code = bus_open(c), r;

        if (code)
                return code;
        r = find(c, name, &e, ret_path);
        if (r < 0 && sd_bus_error_is_set(&e) && bus_exit_code(&e) == EXIT_NOT_FOUND) {
                sd_bus_error_free(&e);
                code = look(c);
                if (!code)
                        r = find(c, name, &e, ret_path);
        }
        if (!code && r < 0)
                code = sd_bus_error_is_set(&e) ? bus_error(c, &e) : bus_trouble(c, r);
        if (code == EXIT_NOT_FOUND)
                hint(c, "ocfctl discover lists the devices that are there; ocfctl add asks one address");
        sd_bus_error_free(&e);
        return code;
}

/* ---- requests ---- */

static int append_options(const struct ctl *c, sd_bus_message *m) {
        int r = sd_bus_message_open_container(m, 'a', "{sv}");

        if (r >= 0 && c->n_interfaces)
                r = sd_bus_message_append(m, "{sv}", "interface", "s", c->interfaces[0]);
        if (r >= 0 && c->query)
                r = sd_bus_message_append(m, "{sv}", "query", "s", c->query);
        if (r >= 0)
                r = sd_bus_message_append(m, "{sv}", "timeout_ms", "u", (uint32_t)c->timeout_ms);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

int remote_request(struct ctl *c, const char *device, const char *member, const char *href,
                   const json_t *value, json_t **ret) {
        sd_bus_message *m = NULL, *reply = NULL;
        struct span rep = SPAN_NULL;
        int r = value ? json_to_rep(value, &rep) : 0, code;

        if (r >= 0)
                r = bus_new_call(c, &m, device, "org.ocfd.RemoteDevice1", member);
        if (r >= 0)
                r = sd_bus_message_append(m, "s", href);
        if (r >= 0 && rep.data)
                r = value_append(m, rep);
        if (r >= 0)
                r = append_options(c, m);
        code = r < 0 ? bus_trouble(c, r) : bus_call(c, m, c->timeout_ms + 1000, &reply);
        if (!code && ret) {
                r = value_to_json(reply, false, ret);
                code = r < 0 ? bus_trouble(c, r) : EXIT_OK;
        }
        sd_bus_message_unref(m);
        sd_bus_message_unref(reply);
        ocf_free((void *)rep.data);
        return code;
}

int remote_get(struct ctl *c, const char *device_name, const char *href, json_t **ret) {
        char *path = NULL;
        int code = remote_find(c, device_name, &path);

        if (!code)
                code = remote_request(c, path, "Retrieve", href, NULL, ret);
        free(path);
        return code;
}

json_t *remote_json(const char *path, const json_t *p) {
        return json_pack("{s:s, s:O, s:O, s:O, s:O, s:O, s:O, s:O, s:O, s:O, s:O, s:O}", "path", path,
                         "device_id", json_object_get(p, "DeviceId"), "name", json_object_get(p, "Name"),
                         "types", json_object_get(p, "Types"), "ownership", json_object_get(p, "Ownership"),
                         "owner", json_object_get(p, "Owner"), "transfers", json_object_get(p, "Transfers"),
                         "domain", json_object_get(p, "Domain"), "endpoints", json_object_get(p, "Endpoints"),
                         "reachable", json_object_get(p, "Reachable"), "last_seen_us",
                         json_object_get(p, "LastSeenUSec"), "session", json_object_get(p, "Session"));
}
