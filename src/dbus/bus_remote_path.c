#include "dbus/bus_private.h"
#include "model/remote.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * Paths of devices on the network, and of their resources. A path is what a
 * caller says, so there is one way to write each.
 */

#define UUID_TEXT 36u

const char *bus_remote_path(char buf[static BUS_PATH_MAX], const struct uuid *id) {
        char text[UUID_TEXT_MAX];

        uuid_format(id, text);
        for (char *c = text; *c; c++)
                if (*c == '-')
                        *c = '_';
        snprintf(buf, BUS_PATH_MAX, BUS_REMOTES "/%s", text);
        return buf;
}

const char *bus_remote_resource_path(char buf[static BUS_PATH_MAX], const struct uuid *id, uint32_t number) {
        size_t n = strlen(bus_remote_path(buf, id));

        snprintf(buf + n, BUS_PATH_MAX - n, "/%u", number);
        return buf;
}

bool bus_remote_parse(const char *path, struct uuid *ret_id, uint32_t *ret_number) {
        size_t n = strlen(BUS_REMOTES "/");
        char text[UUID_TEXT_MAX], canonical[BUS_PATH_MAX];
        const char *behind;
        unsigned long number = 0;

        if (strncmp(path, BUS_REMOTES "/", n) != 0 || strlen(path) < n + UUID_TEXT)
                return false;
        for (size_t i = 0; i < UUID_TEXT; i++)
                text[i] = path[n + i] == '_' ? '-' : path[n + i];
        if (!uuid_parse(ret_id, span_of(text, UUID_TEXT)))
                return false;
        behind = path + n + UUID_TEXT;
        if (*behind == '/')
                number = strtoul(behind + 1, NULL, 10);
        if (number > UINT32_MAX || (*behind && !number))
                return false;
        *ret_number = (uint32_t)number;
        return strcmp(path, number ? bus_remote_resource_path(canonical, ret_id, *ret_number)
                                   : bus_remote_path(canonical, ret_id)) == 0;
}

const char *bus_any_device_path(const struct bus *b, char buf[static BUS_PATH_MAX], const struct uuid *id) {
        const struct model *model = b->control->model;

        if (remotes_find(b->control->client.remotes, id))
                return bus_remote_path(buf, id);
        for (size_t i = 0; i < model->n_devices; i++)
                if (uuid_equal(&model->devices[i]->di, id))
                        return bus_path(buf, BUS_DEVICES, i);
        return bus_remote_path(buf, id);
}

bool bus_any_device_parse(const struct bus *b, const char *path, struct uuid *ret) {
        const struct device *d = bus_device_at(b, path);
        uint32_t number;

        if (d)
                *ret = d->di;
        return d || (bus_remote_parse(path, ret, &number) && !number);
}

int bus_append_devices(const struct bus *b, sd_bus_message *m, const struct uuid *ids, size_t n) {
        char path[BUS_PATH_MAX];
        int r = sd_bus_message_open_container(m, 'a', "o");

        for (size_t i = 0; r >= 0 && i < n; i++)
                r = sd_bus_message_append_basic(m, 'o', bus_any_device_path(b, path, &ids[i]));
        return r < 0 ? r : sd_bus_message_close_container(m);
}
