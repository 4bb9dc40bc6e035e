#include "remote.h"
#include "security.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* owner and reset: whose the devices are, and how one gets back to nobody. */

static json_t *owner_json(const char *path, const json_t *device, const json_t *security) {
        return json_pack("{s:s, s:O, s:O, s:o}", "path", path, "name", json_object_get(device, "Name"),
                         "device_id", json_object_get(device, "DeviceId"), "security",
                         security_json(security));
}

static void print_owners(struct ctl *c, const json_t *devices) {
        static const char *const headers[] = { "DEVICE", "OWNER", "STATE", "DOMAIN", "NEXT STEP" };
        struct table *t = table_new(c, headers, ARRAY_SIZE(headers));
        json_t *d;
        size_t n;

        json_array_foreach(devices, n, d) {
                const json_t *s = json_object_get(d, "security");
                const bool is_sealed = text_of(s, "sealed")[0];
                const char *const cells[] = {
                        text_of(d, "name"),
                        is_sealed             ? "unknown"
                        : is_true(s, "owned") ? text_of(s, "owner")
                                              : "none",
                        is_sealed ? "sealed" : text_of(s, "state"),
                        text_of(s, "domain"),
                        text_of(s, "next_step"),
                };

                table_row(t, cells);
        }
        table_print(t);
}

int cmd_owner(struct ctl *c) {
        json_t *objects = NULL, *devices = json_array(), *interfaces;
        const char *path;
        char *only = NULL;
        int code = c->device ? security_find_device(c, &only) : EXIT_OK;

        if (!code)
                code = objects_get(c, &objects);
        if (!code)
                json_object_foreach(objects, path, interfaces) {
                        const json_t *device = json_object_get(interfaces, "org.ocfd.Device1");
                        const json_t *security = json_object_get(interfaces, "org.ocfd.Security1");

                        if (device && security && (!only || strcmp(only, path) == 0))
                                json_array_append_new(devices, owner_json(path, device, security));
                }
        if (!code && c->is_json)
                code = print_json(c, json_pack("{s:O}", "devices", devices));
        else if (!code)
                print_owners(c, devices);
        json_decref(devices);
        json_decref(objects);
        free(only);
        return code;
}

/* ---- reset ---- */

/* Return: -1 to go on; exit code. */
static int confirm(struct ctl *c, const json_t *device, const json_t *security) {
        char answer[16];

        if (c->is_yes)
                return -1;
        if (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO))
                return usage(c, "it takes the owner, all credentials and all access entries away for good: "
                                "--yes says that this is meant");
        fprintf(stderr, "The device \"");
        remark(c, "%s\" (%s) is %s%s.", text_of(device, "Name"), text_of(device, "DeviceId"),
               is_true(security, "Owned") ? "owned by " : "not owned", text_of(security, "Owner"));
        fprintf(stderr,
                "Its owner, credentials, access entries and device id are lost for good. Reset it? [y/N] ");
        if (!fgets(answer, sizeof(answer), stdin) ||
            (strcmp(answer, "y\n") != 0 && strcmp(answer, "yes\n") != 0)) {
                remark(c, "Nothing was changed.");
                return EXIT_FAILED;
        }
        return -1;
}

int cmd_reset(struct ctl *c) {
        json_t *device = NULL, *security = NULL;
        sd_bus_message *reply = NULL;
        char *path = NULL;
        bool is_local = true;
        int code;

        if (c->n_args) {
                c->device = c->args[0];
                c->may_be_remote = true;
        }
        code = bus_open(c);
        if (!code)
                code = remote_is_local(c, &is_local);
        if (!code && !is_local)
                return tool_reset(c, c->device);
        if (!code)
                code = security_find_device(c, &path);
        if (!code)
                code = objects_properties(c, path, "org.ocfd.Device1", &device);
        if (!code)
                code = objects_properties(c, path, "org.ocfd.Security1", &security);
        if (!code)
                code = confirm(c, device, security);
        if (code == -1) {
                code = security_call(c, &reply, path, "Reset", NULL);
                if (!code && c->is_json)
                        code = print_json(c, json_pack("{s:s, s:b}", "path", path, "reset", 1));
                else if (!code)
                        remark(c, "It is being reset. \"ocfctl owner\" shows when it is ready for another "
                                  "owner.");
        }
        sd_bus_message_unref(reply);
        json_decref(device);
        json_decref(security);
        free(path);
        return code;
}
