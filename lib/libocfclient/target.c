#include "base/utf8.h"
#include "client_private.h"

#include <errno.h>
#include <string.h>

/*
 * What a URI means, and where that is on the bus: "/lamp?x=y" is a resource on
 * this machine, "ocf://DEVICE/lamp?x=y" one of another device.
 */

#define SCHEME "ocf://"

static int duplicate_part(char **ret, const char *begin, const char *end) {
        *ret = ocf_duplicate_span_as_string(span_of(begin, (size_t)(end - begin)));
        return *ret ? 0 : -ENOMEM;
}

int target_parse(struct target *t, const char *uri) {
        const char *path = uri, *mark;
        int r = 0;

        if (!uri || !utf8_is_valid(span_of_string(uri), UTF8_BUS))
                return -EINVAL;
        if (strncmp(uri, SCHEME, strlen(SCHEME)) == 0) {
                uri += strlen(SCHEME);
                path = strchr(uri, '/');
                if (!path || path == uri)
                        return -EINVAL;
                r = duplicate_part(&t->device, uri, path);
        }
        if (path[0] != '/')
                return -EINVAL;
        mark = strchr(path, '?');
        if (!r)
                r = duplicate_part(&t->href, path, mark ? mark : path + strlen(path));
        if (!r && mark && mark[1])
                r = duplicate_part(&t->query, mark + 1, mark + strlen(mark));
        return r;
}

void target_clear(struct target *t) {
        ocf_free(t->device);
        ocf_free(t->href);
        ocf_free(t->query);
        *t = (struct target){ 0 };
}

static bool same_text(const char *a, const char *b) {
        return a && b ? strcmp(a, b) == 0 : a == b;
}

bool target_is_same_resource(const struct target *a, const struct target *b) {
        return same_text(a->device, b->device) && strcmp(a->href, b->href) == 0;
}

bool target_is_same_query(const struct target *a, const struct target *b) {
        return same_text(a->query, b->query);
}

int target_find(struct ocf_client *c, sd_bus_slot **slot, const struct target *t, sd_bus_message_handler_t fn,
                void *userdata) {
        sd_bus_message *m = NULL;
        int r = t->device ? message_new(c, &m, BUS_ROOT, BUS_CLIENT, "FindDevice")
                          : message_new(c, &m, BUS_ROOT, BUS_MANAGER, "GetResource");

        if (r >= 0)
                r = t->device ? sd_bus_message_append(m, "s", t->device)
                              : sd_bus_message_append(m, "os", c->device, t->href);
        if (r >= 0)
                r = sd_bus_call_async(c->bus, slot, m, fn, userdata, 0);
        sd_bus_message_unref(m);
        return r < 0 ? r : 0;
}

/* ---- a resource of another device has an object of its own, which is known by its href ---- */

int target_list(struct ocf_client *c, sd_bus_slot **slot, sd_bus_message_handler_t fn, void *userdata) {
        return sd_bus_call_method_async(c->bus, slot, c->owner, BUS_ROOT,
                                        "org.freedesktop.DBus.ObjectManager", "GetManagedObjects", fn,
                                        userdata, NULL);
}

/* In the a{sv} of RemoteResource1. Return: as sd-bus; *ret: whether its Href is this one. */
static int has_href(sd_bus_message *m, const char *href, bool *ret) {
        const char *name, *value;
        int r = sd_bus_message_enter_container(m, 'a', "{sv}");

        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                r = sd_bus_message_read_basic(m, 's', &name);
                if (r >= 0 && strcmp(name, "Href") == 0) {
                        r = sd_bus_message_read(m, "v", "s", &value);
                        if (r >= 0)
                                *ret = strcmp(value, href) == 0;
                } else if (r >= 0) {
                        r = sd_bus_message_skip(m, "v");
                }
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
        }
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

static int interfaces_have_href(sd_bus_message *m, const char *href, bool *ret) {
        const char *name;
        int r = sd_bus_message_enter_container(m, 'a', "{sa{sv}}");

        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sa{sv}")) > 0) {
                r = sd_bus_message_read_basic(m, 's', &name);
                if (r >= 0)
                        r = strcmp(name, BUS_REMOTE_RESOURCE) == 0 ? has_href(m, href, ret)
                                                                   : sd_bus_message_skip(m, "a{sv}");
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
        }
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

static bool is_below(const char *path, const char *parent) {
        size_t n = strlen(parent);

        return strncmp(path, parent, n) == 0 && path[n] == '/';
}

int target_in_list(sd_bus_message *m, const char *device_path, const char *href, const char **ret) {
        const char *path;
        bool is_it = false;
        int r = sd_bus_message_enter_container(m, 'a', "{oa{sa{sv}}}");

        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "oa{sa{sv}}")) > 0) {
                r = sd_bus_message_read_basic(m, 'o', &path);
                if (r >= 0)
                        r = is_below(path, device_path) ? interfaces_have_href(m, href, &is_it)
                                                        : sd_bus_message_skip(m, "a{sa{sv}}");
                if (r >= 0 && is_it) {
                        *ret = path;
                        return 0;
                }
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
        }
        return r < 0 ? -EBADMSG : -ENOENT;
}
