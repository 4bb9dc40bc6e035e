#include "ctl.h"
#include "security.h"

#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The two tables: apps and resources. */

static const json_t *interface_of(const json_t *objects, const char *path, const char *interface) {
        return json_object_get(json_object_get(objects, path), interface);
}

/* ---- apps ---- */

static json_t *hrefs_of(const json_t *objects, const json_t *app) {
        json_t *hrefs = json_array(), *path;
        size_t n;

        json_array_foreach(json_object_get(app, "Resources"), n, path) {
                const json_t *r = interface_of(objects, json_string_value(path), "org.ocfd.Resource1");

                if (r)
                        json_array_append(hrefs, json_object_get(r, "Href"));
        }
        return hrefs;
}

static json_t *apps_json(json_t *objects) {
        json_t *apps = json_array(), *interfaces;
        const char *path;

        json_object_foreach(objects, path, interfaces) {
                const json_t *a = json_object_get(interfaces, "org.ocfd.Application1");

                if (a)
                        json_array_append_new(apps, json_pack("{s:s, s:O, s:O, s:O, s:O, s:O, s:o}", "path",
                                                              path, "name", json_object_get(a, "Name"),
                                                              "state", json_object_get(a, "State"), "pid",
                                                              json_object_get(a, "Pid"), "uid",
                                                              json_object_get(a, "Uid"), "owner",
                                                              json_object_get(a, "Owner"), "resources",
                                                              hrefs_of(objects, a)));
        }
        return apps;
}

static const char *user_name(json_int_t uid, char *buf, size_t n_buf) {
        struct passwd *p = getpwuid((uid_t)uid);

        snprintf(buf, n_buf, "%lld", (long long)uid);
        return p ? p->pw_name : buf;
}

static void print_apps(struct ctl *c, const json_t *apps) {
        static const char *const headers[] = { "NAME", "STATE", "PID", "USER", "RESOURCES" };
        struct table *t = table_new(c, headers, ARRAY_SIZE(headers));
        json_t *a;
        size_t n;

        json_array_foreach(apps, n, a) {
                char pid[24] = "", user[24], hrefs[1024];
                json_int_t number = json_integer_value(json_object_get(a, "pid"));

                if (number)
                        snprintf(pid, sizeof(pid), "%lld", (long long)number);
                table_row(t, (const char *[]){
                                     text_of(a, "name"), text_of(a, "state"), pid,
                                     user_name(json_integer_value(json_object_get(a, "uid")), user,
                                               sizeof(user)),
                                     joined_words(json_object_get(a, "resources"), hrefs, sizeof(hrefs)) });
        }
        table_print(t);
        if (!json_array_size(apps))
                hint(c, "no application has registered anything: ocfctl serve --help, or examples in "
                        "libocfclient(3)");
}

static int show(struct ctl *c, const char *name, json_t *list, void (*print)(struct ctl *, const json_t *)) {
        int code = EXIT_OK;

        if (c->is_json)
                code = print_json(c, json_pack("{s:O}", name, list));
        else
                print(c, list);
        json_decref(list);
        return code;
}

int cmd_apps(struct ctl *c) {
        json_t *objects;
        int code = objects_get(c, &objects);

        if (code)
                return code;
        code = show(c, "applications", apps_json(objects), print_apps);
        json_decref(objects);
        return code;
}

/* ---- resources ---- */

static json_t *resource_json(const json_t *objects, const char *path, const json_t *r, bool allow_insecure) {
        const json_t *app = interface_of(objects, text_of(r, "Application"), "org.ocfd.Application1");

        return json_pack(
                "{s:s, s:O, s:O, s:O, s:O, s:O, s:s, s:O, s:O, s:O, s:O, s:b, s:O}", "path", path, "href",
                json_object_get(r, "Href"), "name", json_object_get(r, "Name"), "types",
                json_object_get(r, "Types"), "interfaces", json_object_get(r, "Interfaces"), "device",
                json_object_get(r, "Device"), "application", app ? text_of(app, "Name") : "", "mode",
                json_object_get(r, "Mode"), "discoverable", json_object_get(r, "Discoverable"), "observable",
                json_object_get(r, "Observable"), "insecure", json_object_get(r, "Insecure"), "plain",
                allow_insecure && is_true(r, "Insecure"), "available", json_object_get(r, "Available"));
}

static json_t *resources_json(struct ctl *c, json_t *objects, const char *device, bool allow_insecure) {
        json_t *all = json_array(), *interfaces;
        const char *path;

        json_object_foreach(objects, path, interfaces) {
                const json_t *r = json_object_get(interfaces, "org.ocfd.Resource1");

                if (!r || (!c->is_all && strcmp(text_of(r, "Mode"), "core") == 0))
                        continue;
                if (strcmp(device, "/") != 0 && strcmp(device, text_of(r, "Device")) != 0)
                        continue;
                json_array_append_new(all, resource_json(objects, path, r, allow_insecure));
        }
        return all;
}

static void print_resources(struct ctl *c, const json_t *resources) {
        static const char *const headers[] = {
                "HREF", "TYPES", "INTERFACES", "APPLICATION", "ACCESS", "STATE"
        };
        struct table *t = table_new(c, headers, ARRAY_SIZE(headers));
        json_t *r;
        size_t n;

        json_array_foreach(resources, n, r) {
                char types[256], interfaces[256];
                bool is_core = strcmp(text_of(r, "mode"), "core") == 0;

                table_row(t,
                          (const char *[]){ text_of(r, "href"),
                                            joined_words(json_object_get(r, "types"), types, sizeof(types)),
                                            joined_words(json_object_get(r, "interfaces"), interfaces,
                                                         sizeof(interfaces)),
                                            is_core ? "(ocfd)" : text_of(r, "application"),
                                            is_core || is_true(r, "plain") ? "plain" : "local",
                                            is_true(r, "available") ? text_of(r, "mode") : "away" });
        }
        table_print(t);
        if (!json_array_size(resources))
                hint(c, "there is none: ocfctl serve --help");
}

int cmd_resources(struct ctl *c) {
        json_t *manager = NULL, *objects = NULL;
        char *device = NULL;
        int code = objects_properties(c, "/org/ocfd", "org.ocfd.Manager1", &manager);

        if (!code)
                code = bus_find_device(c, &device);
        if (!code)
                code = objects_get(c, &objects);
        if (!code)
                code = show(c, "resources",
                            resources_json(c, objects, device, is_true(manager, "AllowInsecure")),
                            print_resources);
        json_decref(manager);
        json_decref(objects);
        free(device);
        return code;
}
