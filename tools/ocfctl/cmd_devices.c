#include "base/memory.h"
#include "remote.h"
#include "security.h"

#include <errno.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* discover, list, info, add and wait: the devices of others. */

#define ROUND_S 7.0

static uint64_t now_us(void) {
        struct timespec t;

        clock_gettime(CLOCK_REALTIME, &t);
        return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static const char *ago(const json_t *device, char buf[static 32]) {
        uint64_t seen = (uint64_t)json_integer_value(json_object_get(device, "last_seen_us")), now = now_us();
        uint64_t s = seen && now > seen ? (now - seen) / 1000000 : 0;

        if (!seen)
                return "never";
        if (s < 5)
                return "now";
        snprintf(buf, 32,
                 s < 120    ? "%llu s"
                 : s < 7200 ? "%llu min"
                            : "%llu h",
                 (unsigned long long)(s < 120    ? s
                                      : s < 7200 ? s / 60
                                                 : s / 3600));
        return buf;
}

/* The first endpoint that is secure, or the first one. */
static const char *endpoint_of(const json_t *device) {
        const json_t *list = json_object_get(device, "endpoints");
        const char *first = json_string_value(json_array_get(list, 0));
        json_t *one;
        size_t n;

        json_array_foreach(list, n, one) if (strncmp(json_string_value(one), "coaps://", 8) ==
                                             0) return json_string_value(one);
        return first ? first : "";
}

static const char *type_of(const json_t *device) {
        json_t *one;
        size_t n;

        json_array_foreach(json_object_get(device, "types"), n,
                           one) if (strcmp(json_string_value(one), "oic.wk.d") !=
                                    0) return json_string_value(one);
        return "";
}

static const char *name_of(const json_t *device, char buf[static 16]) {
        if (text_of(device, "name")[0])
                return text_of(device, "name");
        snprintf(buf, 16, "%.8s", text_of(device, "device_id"));
        return buf;
}

static const char *const headers[] = { "NAME", "TYPE", "OWNER", "ID", "ENDPOINT", "SEEN" };

static void device_row(struct table *t, const json_t *d) {
        char name[16], seen[32], id[16];

        snprintf(id, sizeof(id), "%.8s", text_of(d, "device_id"));
        table_row(t, (const char *[]){ name_of(d, name), type_of(d), text_of(d, "ownership"), id,
                                       endpoint_of(d), is_true(d, "reachable") ? ago(d, seen) : "silent" });
}

/* ---- discover ---- */

struct discovery {
        struct ctl *ctl;
        json_t *shown; /* paths */
        bool is_over, has_legend;
        int code;
};

/* A line as soon as it is worth one: with its name. */
static void show_new(struct discovery *d) {
        json_t *objects, *interfaces;
        const char *path;

        if (objects_get(d->ctl, &objects))
                return;
        json_object_foreach(objects, path, interfaces) {
                const json_t *p = json_object_get(interfaces, "org.ocfd.RemoteDevice1");
                json_t *device;
                char name[16], seen[32];

                if (!p || json_object_get(d->shown, path) || !is_true(p, "Reachable") ||
                    (!d->is_over && !text_of(p, "Name")[0]))
                        continue;
                json_object_set_new(d->shown, path, json_true());
                device = remote_json(path, p);
                if (d->ctl->is_json) {
                        print_json_line(device);
                        continue;
                }
                if (!d->has_legend && d->ctl->has_legend)
                        printf("%s%-24s %-24s %-8s %s%s\n", bold(), "NAME", "TYPE", "OWNER", "ENDPOINT",
                               plain());
                d->has_legend = true;
                printf("%-24s %-24s %-8s %s\n", name_of(device, name), type_of(device),
                       text_of(device, "ownership"), endpoint_of(device));
                (void)seen;
                fflush(stdout);
                json_decref(device);
        }
        json_decref(objects);
}

static int on_discovered(sd_bus_message *m, void *userdata, sd_bus_error *e) {
        struct discovery *d = userdata;
        const sd_bus_error *error = sd_bus_message_get_error(m);

        d->is_over = true;
        if (error)
                d->code = bus_error(d->ctl, error);
        return 0;
}

int cmd_discover(struct ctl *c) {
        struct discovery d = { .ctl = c, .shown = json_object() };
        double seconds = c->has_timeout ? (double)c->timeout_ms / 1000 : ROUND_S;
        sd_bus_message *m = NULL;
        int code = bus_open(c), r;

        if (code)
                return code;
        r = bus_new_call(c, &m, "/org/ocfd", "org.ocfd.Client1", "Discover");
        if (r >= 0)
                r = sd_bus_message_append(m, "a{sv}", 1, "timeout_ms", "u", (uint32_t)(seconds * 1000));
        if (r >= 0)
                r = sd_bus_call_async(c->bus, NULL, m, on_discovered, &d, (uint64_t)((seconds + 5) * 1e6));
        sd_bus_message_unref(m);
        while (r >= 0 && !d.is_over) {
                r = sd_bus_process(c->bus, NULL);
                if (r == 0)
                        r = sd_bus_wait(c->bus, 300000);
                if (r == -EINTR)
                        r = 0;
                if (r >= 0)
                        show_new(&d);
        }
        if (r < 0)
                return bus_trouble(c, r);
        if (!d.code)
                show_new(&d);
        if (!d.code)
                remark(c, "%zu device%s.", json_object_size(d.shown),
                       json_object_size(d.shown) == 1 ? "" : "s");
        if (!d.code && !json_object_size(d.shown))
                hint(c,
                     "is the device on, and on this network? ocfctl add ADDRESS asks one that multicast does "
                     "not reach; ocfctl doctor looks for what is wrong here");
        json_decref(d.shown);
        return d.code;
}

/* ---- list ---- */

int cmd_devices(struct ctl *c) {
        json_t *objects, *interfaces, *all = json_array(), *one;
        const char *path;
        size_t n;
        int code = objects_get(c, &objects);

        if (code)
                return code;
        json_object_foreach(objects, path, interfaces) {
                const json_t *p = json_object_get(interfaces, "org.ocfd.RemoteDevice1");

                if (p)
                        json_array_append_new(all, remote_json(path, p));
        }
        if (c->is_json) {
                code = print_json(c, json_pack("{s:O}", "devices", all));
        } else {
                struct table *t = table_new(c, headers, ARRAY_SIZE(headers));

                json_array_foreach(all, n, one) device_row(t, one);
                table_print(t);
                if (!json_array_size(all))
                        hint(c, "none was heard so far: ocfctl discover");
        }
        json_decref(all);
        json_decref(objects);
        return code;
}

/* ---- info ---- */

static json_t *resources_of(const json_t *objects, const char *device) {
        json_t *all = json_array(), *interfaces;
        const char *path;

        json_object_foreach((json_t *)objects, path, interfaces) {
                const json_t *r = json_object_get(interfaces, "org.ocfd.RemoteResource1");

                if (r && strcmp(text_of(r, "Device"), device) == 0)
                        json_array_append_new(all, json_pack("{s:O, s:O, s:O, s:O, s:O}", "href",
                                                             json_object_get(r, "Href"), "types",
                                                             json_object_get(r, "Types"), "interfaces",
                                                             json_object_get(r, "Interfaces"), "observable",
                                                             json_object_get(r, "Observable"), "mode",
                                                             json_object_get(r, "Mode")));
        }
        return all;
}

static void print_info(struct ctl *c, const json_t *d) {
        static const char *const columns[] = { "HREF", "TYPES", "INTERFACES", "OBSERVED" };
        struct table *t = table_new(c, columns, ARRAY_SIZE(columns));
        json_t *r;
        size_t n;
        char words[1024], seen[32], name[16];

        printf("%s%s%s\n", bold(), name_of(d, name), plain());
        printf("  Id         %s\n", text_of(d, "device_id"));
        printf("  Types      %s\n", joined_words(json_object_get(d, "types"), words, sizeof(words)));
        printf("  Owner      %s%s%s\n", text_of(d, "ownership"), text_of(d, "owner")[0] ? ", " : "",
               text_of(d, "owner"));
        printf("  Transfers  %s\n", joined_words(json_object_get(d, "transfers"), words, sizeof(words)));
        printf("  Session    %s\n", text_of(d, "session"));
        printf("  Seen       %s\n", is_true(d, "reachable") ? ago(d, seen) : "silent");
        json_array_foreach(json_object_get(d, "endpoints"), n, r)
                printf("  %-10s %s\n", n ? "" : "Endpoints", json_string_value(r));
        printf("\n");
        json_array_foreach(json_object_get(d, "resources"), n, r) {
                char types[256], interfaces[256];

                table_row(t,
                          (const char *[]){ text_of(r, "href"),
                                            joined_words(json_object_get(r, "types"), types, sizeof(types)),
                                            joined_words(json_object_get(r, "interfaces"), interfaces,
                                                         sizeof(interfaces)),
                                            is_true(r, "observable") ? text_of(r, "mode") : "" });
        }
        table_print(t);
        if (strcmp(text_of(d, "ownership"), "none") == 0)
                hint(c, "nobody owns it. Own it: ocfctl own %s", name_of(d, name));
}

int cmd_info(struct ctl *c) {
        json_t *objects = NULL, *device;
        char *path = NULL;
        int code = remote_find(c, c->args[0], &path);

        if (!code)
                code = objects_get(c, &objects);
        if (!code) {
                device = remote_json(
                        path, json_object_get(json_object_get(objects, path), "org.ocfd.RemoteDevice1"));
                if (device)
                        json_object_set_new(device, "resources", resources_of(objects, path));
                if (!device)
                        code = EXIT_NOT_FOUND;
                else if (c->is_json)
                        code = print_json(c, json_incref(device));
                else
                        print_info(c, device);
                json_decref(device);
        }
        json_decref(objects);
        free(path);
        return code;
}

/* ---- add ---- */

/* The daemon takes numbers alone: names are for resolvers, which may take their time. */
static int resolve(struct ctl *c, const char *text, char *buf, size_t n_buf) {
        const struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_DGRAM };
        char host[256], number[64];
        struct addrinfo *found;
        const char *colon = strrchr(text, ':');
        bool has_port = colon && strchr(text, ':') == colon;
        int r;

        snprintf(buf, n_buf, "%s", text);
        if (strspn(text, "0123456789.:") == strlen(text) || strchr(text, '[') || strstr(text, "://") ||
            strchr(text, '%'))
                return EXIT_OK;
        snprintf(host, sizeof(host), "%.*s", has_port ? (int)(colon - text) : (int)strlen(text), text);
        r = getaddrinfo(host, NULL, &hints, &found);
        if (r) {
                complain(c, "%s: %s", host, gai_strerror(r));
                return EXIT_NOT_FOUND;
        }
        r = getnameinfo(found->ai_addr, found->ai_addrlen, number, sizeof(number), NULL, 0, NI_NUMERICHOST);
        if (!r)
                snprintf(buf, n_buf, strchr(number, ':') ? "[%s]%s" : "%s%s", number, has_port ? colon : "");
        freeaddrinfo(found);
        return EXIT_OK;
}

int cmd_add(struct ctl *c) {
        sd_bus_message *m = NULL, *reply = NULL;
        bool remove = strcmp(c->args[0], "remove") == 0 && c->n_args == 2;
        char address[320];
        int code = resolve(c, c->args[remove], address, sizeof(address)), r;

        if (!code && c->n_args == 2 && !remove)
                code = usage(c, "\"%s\" is one argument too many", c->args[1]);
        if (!code)
                code = bus_open(c);
        if (code)
                return code;
        r = bus_new_call(c, &m, "/org/ocfd", "org.ocfd.Client1", remove ? "RemoveAddress" : "AddAddress");
        if (r >= 0)
                r = sd_bus_message_append(m, "s", address);
        if (r >= 0 && !remove)
                r = sd_bus_message_append(m, "a{sv}", 1, "timeout_ms", "u", (uint32_t)c->timeout_ms);
        if (r < 0) {
                sd_bus_message_unref(m);
                return bus_trouble(c, r);
        }
        c->timeout_ms += 2000;
        code = security_send(c, m, &reply);
        sd_bus_message_unref(m);
        sd_bus_message_unref(reply);
        if (!code && !remove)
                remark(c, "%s is asked in each round from now on. ocfctl list shows what answered.", address);
        return code;
}

/* ---- wait ---- */

static bool has_come(const json_t *p, const char *what) {
        if (strcmp(what, "gone") == 0)
                return !p || !is_true(p, "Reachable");
        if (strcmp(what, "owned") == 0)
                return p && strcmp(text_of(p, "Ownership"), "mine") == 0;
        return p && is_true(p, "Reachable");
}

int cmd_wait(struct ctl *c) {
        const char *what = c->n_args > 1 ? c->args[1] : "reachable";
        struct timespec nap = { .tv_nsec = 300000000 };
        uint64_t until = now_us() + (c->has_timeout ? c->timeout_ms : 60000) * 1000, look = 0;
        int code = bus_open(c);

        if (strcmp(what, "reachable") != 0 && strcmp(what, "owned") != 0 && strcmp(what, "gone") != 0)
                return usage(c, "what is waited for is reachable, owned or gone");
        c->is_quiet = true;
        while (!code && now_us() < until) {
                sd_bus_message *m = NULL, *reply = NULL;
                json_t *objects, *interfaces;
                const json_t *found = NULL;
                const char *path;

                if (now_us() >= look &&
                    bus_new_call(c, &m, "/org/ocfd", "org.ocfd.Client1", "Discover") >= 0 &&
                    sd_bus_message_append(m, "a{sv}", 1, "timeout_ms", "u", 3000u) >= 0)
                        code = bus_call(c, m, 10000, &reply);
                sd_bus_message_unref(m);
                sd_bus_message_unref(reply);
                look = now_us() + 5000000;
                if (code || (code = objects_get(c, &objects)))
                        return code;
                json_object_foreach(objects, path, interfaces) {
                        const json_t *p = json_object_get(interfaces, "org.ocfd.RemoteDevice1");

                        if (p && (strcmp(text_of(p, "Name"), c->args[0]) == 0 ||
                                  (strlen(c->args[0]) >= 4 &&
                                   strncmp(text_of(p, "DeviceId"), c->args[0], strlen(c->args[0])) == 0)))
                                found = p;
                }
                if (has_come(found, what)) {
                        json_decref(objects);
                        return EXIT_OK;
                }
                json_decref(objects);
                nanosleep(&nap, NULL);
        }
        if (!code)
                complain(c, "%s is not %s within that time", c->args[0], what);
        return code ? code : EXIT_TIMEOUT;
}
