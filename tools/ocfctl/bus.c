/*
 * The daemon over the bus, blocking, since a command does one thing; and what an
 * error means: its sentence, a hint, an exit code.
 */
#include "base/memory.h"
#include "ctl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *bus_name(const struct ctl *c) {
        static char label[512];

        if (strcmp(c->bus_address, "system") == 0)
                return "the system bus";
        if (strcmp(c->bus_address, "session") == 0)
                return "the session bus";
        snprintf(label, sizeof(label), "the bus at %s", c->bus_address);
        return label;
}

void bus_say_not_running(const struct ctl *c) {
        complain(c, "ocfd is not running on %s: start it with %s", bus_name(c),
                 strcmp(c->bus_address, "system") == 0
                         ? "systemctl start ocfd"
                         : "ocfd --config FILE, and Bus= in its section [Daemon]");
}

/* ---- the connection ---- */

static int open_address(struct ctl *c) {
        int r = sd_bus_new(&c->bus);

        if (r >= 0)
                r = sd_bus_set_address(c->bus, c->bus_address);
        if (r >= 0)
                r = sd_bus_set_bus_client(c->bus, true);
        return r < 0 ? r : sd_bus_start(c->bus);
}

int bus_open(struct ctl *c) {
        const char *name;
        int r;

        if (c->bus)
                return EXIT_OK;
        if (strcmp(c->bus_address, "system") == 0)
                r = sd_bus_open_system(&c->bus);
        else if (strcmp(c->bus_address, "session") == 0)
                r = sd_bus_open_user(&c->bus);
        else
                r = open_address(c);
        if (r >= 0)
                r = sd_bus_set_method_call_timeout(c->bus, c->timeout_ms * 1000);
        if (r >= 0)
                r = sd_bus_get_unique_name(c->bus, &name); /* waits until the bus has greeted us */
        if (r >= 0)
                return EXIT_OK;
        if (r == -EINVAL) {
                complain(c, "\"%s\" is no D-Bus address: such as unix:path=/run/dbus/system_bus_socket",
                         c->bus_address);
                return EXIT_USAGE;
        }
        complain(c, "%s cannot be reached: %s", bus_name(c), strerror(-r));
        if (r == -EACCES || r == -EPERM)
                return EXIT_DENIED;
        hint(c, "ocfd is reached over D-Bus: is the bus running? --bus says which one");
        return r == -ETIMEDOUT ? EXIT_TIMEOUT : EXIT_NOT_RUNNING;
}

int bus_trouble(const struct ctl *c, int r) {
        complain(c, "talking over %s failed: %s", bus_name(c), strerror(-r));
        switch (r) {
        case -ETIMEDOUT:
                return EXIT_TIMEOUT;
        case -ECONNRESET:
        case -ENOTCONN:
                return EXIT_NOT_RUNNING;
        default:
                return EXIT_FAILED;
        }
}

/* ---- errors ---- */

static const struct {
        const char *name;
        int exit_code;
} codes[] = {
        { "org.ocfd.Error.NotFound", EXIT_NOT_FOUND },
        { SD_BUS_ERROR_UNKNOWN_OBJECT, EXIT_NOT_FOUND },
        { "org.ocfd.Error.NotAllowed", EXIT_DENIED },
        { "org.ocfd.Error.NotAuthorized", EXIT_DENIED },
        { "org.ocfd.Error.Forbidden", EXIT_DENIED },
        { SD_BUS_ERROR_ACCESS_DENIED, EXIT_DENIED },
        { "org.ocfd.Error.Timeout", EXIT_TIMEOUT },
        { SD_BUS_ERROR_NO_REPLY, EXIT_TIMEOUT },
        { SD_BUS_ERROR_TIMEOUT, EXIT_TIMEOUT },
        { "System.Error.ETIMEDOUT", EXIT_TIMEOUT },
        { SD_BUS_ERROR_SERVICE_UNKNOWN, EXIT_NOT_RUNNING },
        { SD_BUS_ERROR_NAME_HAS_NO_OWNER, EXIT_NOT_RUNNING },
        { SD_BUS_ERROR_DISCONNECTED, EXIT_NOT_RUNNING },
};

int bus_exit_code(const sd_bus_error *e) {
        for (size_t i = 0; i < ARRAY_SIZE(codes); i++)
                if (strcmp(e->name, codes[i].name) == 0)
                        return codes[i].exit_code;
        return EXIT_FAILED;
}

int bus_error(const struct ctl *c, const sd_bus_error *e) {
        int code = bus_exit_code(e);

        if (code == EXIT_NOT_RUNNING) {
                bus_say_not_running(c);
        } else if (strcmp(e->name, SD_BUS_ERROR_ACCESS_DENIED) == 0) {
                complain(c, "%s does not let you talk to ocfd: it takes root, or a member of the group ocf",
                         bus_name(c));
                hint(c, "usermod -aG ocf USER, and log in again");
        } else if (code == EXIT_TIMEOUT && strncmp(e->name, "org.ocfd.", 9) != 0) {
                complain(c, "ocfd did not answer within %g s", (double)c->timeout_ms / 1000);
        } else {
                complain(c, "%s", e->message && e->message[0] ? e->message : e->name);
        }
        return code;
}

/* ---- calls ---- */

/* Asking shall not start the daemon: that it is not running is an answer, too. */
int bus_new_call(struct ctl *c, sd_bus_message **ret, const char *path, const char *interface,
                 const char *member) {
        int r = sd_bus_message_new_method_call(c->bus, ret, "org.ocfd", path, interface, member);

        return r < 0 ? r : sd_bus_message_set_auto_start(*ret, false);
}

int bus_call(struct ctl *c, sd_bus_message *m, uint64_t timeout_ms, sd_bus_message **ret_reply) {
        sd_bus_error e = SD_BUS_ERROR_NULL;
        int r = sd_bus_call(c->bus, m, timeout_ms * 1000, &e, ret_reply), code = EXIT_OK;

        if (r < 0)
                code = sd_bus_error_is_set(&e) ? bus_error(c, &e) : bus_trouble(c, r);
        sd_bus_error_free(&e);
        return code;
}

int bus_find_resource(struct ctl *c, const char *href, char **ret_path) {
        sd_bus_message *m = NULL, *reply = NULL;
        char *device = NULL;
        const char *path;
        int code = bus_find_device(c, &device), r;

        if (code)
                return code;
        r = bus_new_call(c, &m, "/org/ocfd", "org.ocfd.Manager1", "GetResource");
        if (r >= 0)
                r = sd_bus_message_append(m, "os", device, href);
        code = r < 0 ? bus_trouble(c, r) : bus_call(c, m, 0, &reply);
        if (!code) {
                r = sd_bus_message_read_basic(reply, 'o', &path);
                *ret_path = r < 0 ? NULL : ocf_duplicate_string(path);
                code = *ret_path ? EXIT_OK : bus_trouble(c, r < 0 ? r : -ENOMEM);
        } else if (code == EXIT_NOT_FOUND) {
                hint(c, "ocfctl resources lists what there is");
        }
        sd_bus_message_unref(m);
        sd_bus_message_unref(reply);
        free(device);
        return code;
}

/* ---- devices ---- */

bool bus_is_meant(const char *wanted, const char *path, const json_t *device) {
        size_t n = strlen(wanted);
        char numbered[64];

        snprintf(numbered, sizeof(numbered), "/org/ocfd/device/%.32s", wanted);
        if (strcmp(wanted, path) == 0 || strcmp(numbered, path) == 0 ||
            strcmp(wanted, text_of(device, "Name")) == 0)
                return true;
        return n >= 4 && strncmp(wanted, text_of(device, "DeviceId"), n) == 0;
}

int bus_find_device(struct ctl *c, char **ret_path) {
        const char *path, *found = NULL;
        json_t *objects, *interfaces;
        int code, n_found = 0;

        if (!c->device || strcmp(c->device, "/") == 0) {
                *ret_path = ocf_duplicate_string("/");
                return *ret_path ? EXIT_OK : bus_trouble(c, -ENOMEM);
        }
        code = objects_get(c, &objects);
        if (code)
                return code;
        json_object_foreach(objects, path, interfaces) {
                const json_t *device = json_object_get(interfaces, "org.ocfd.Device1");

                if (device && bus_is_meant(c->device, path, device)) {
                        found = path;
                        n_found++;
                }
        }
        if (n_found == 1) {
                *ret_path = ocf_duplicate_string(found);
                code = *ret_path ? EXIT_OK : bus_trouble(c, -ENOMEM);
        } else if (n_found > 1) {
                complain(c, "\"%s\" may be any of %d devices", c->device, n_found);
                code = EXIT_USAGE;
        } else {
                complain(c, "there is no device \"%s\"", c->device);
                code = EXIT_NOT_FOUND;
        }
        if (code)
                hint(c, "ocfctl status lists the devices");
        json_decref(objects);
        return code;
}
