#include "security.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

/* What "status" shows is gathered into one JSON object first; the block for people is drawn from that. */

static json_int_t pid_of_daemon(struct ctl *c) {
        sd_bus_creds *creds = NULL;
        pid_t pid = 0;

        if (sd_bus_get_name_creds(c->bus, "org.ocfd", SD_BUS_CREDS_PID, &creds) >= 0)
                (void)sd_bus_creds_get_pid(creds, &pid);
        sd_bus_creds_unref(creds);
        return pid;
}

static json_t *device_json(const char *path, const json_t *d, const json_t *security) {
        return json_pack("{s:s, s:O, s:O, s:O, s:O, s:O, s:O, s:o*}", "path", path, "device_id",
                         json_object_get(d, "DeviceId"), "piid", json_object_get(d, "ProtocolIndependentId"),
                         "name", json_object_get(d, "Name"), "types", json_object_get(d, "Types"), "owned",
                         json_object_get(d, "Owned"), "endpoints", json_object_get(d, "Endpoints"),
                         "security", security_json(security));
}

static json_t *interfaces_json(const json_t *manager) {
        json_t *all = json_array(), *i;
        size_t n;

        json_array_foreach(json_object_get(manager, "Interfaces"), n, i) json_array_append_new(
                all, json_pack("{s:O, s:O, s:O, s:O, s:O}", "name", json_array_get(i, 0), "index",
                               json_array_get(i, 1), "used", json_array_get(i, 2), "addresses",
                               json_array_get(i, 3), "reason", json_array_get(i, 4)));
        return all;
}

static json_t *notices_json(const json_t *manager) {
        json_t *all = json_array(), *i;
        size_t n;

        json_array_foreach(json_object_get(manager, "Notices"), n, i) json_array_append_new(
                all, json_pack("{s:O, s:O}", "id", json_array_get(i, 0), "text", json_array_get(i, 1)));
        return all;
}

static json_t *status_json(struct ctl *c, const json_t *manager, json_t *objects) {
        json_int_t started_us = json_integer_value(json_object_get(manager, "StartedUSec"));
        json_int_t now_s = (json_int_t)time(NULL), uptime_s = now_s - started_us / 1000000;
        json_t *devices = json_array(), *interfaces;
        json_int_t n_apps = 0, n_resources = 0;
        const char *path;

        json_object_foreach(objects, path, interfaces) {
                const json_t *d = json_object_get(interfaces, "org.ocfd.Device1");
                const json_t *r = json_object_get(interfaces, "org.ocfd.Resource1");

                if (d)
                        json_array_append_new(
                                devices,
                                device_json(path, d, json_object_get(interfaces, "org.ocfd.Security1")));
                n_apps += json_object_get(interfaces, "org.ocfd.Application1") != NULL;
                n_resources += r && strcmp(text_of(r, "Mode"), "core") != 0;
        }
        return json_pack("{s:O, s:I, s:I, s:I, s:s, s:O, s:o, s:o, s:o, s:I, s:I}", "version",
                         json_object_get(manager, "Version"), "pid", pid_of_daemon(c), "started_s",
                         started_us / 1000000, "uptime_s", uptime_s > 0 ? uptime_s : 0, "bus", c->bus_address,
                         "allow_insecure", json_object_get(manager, "AllowInsecure"), "devices", devices,
                         "interfaces", interfaces_json(manager), "notices", notices_json(manager),
                         "applications", n_apps, "resources", n_resources);
}

/* ---- for people ---- */

static void key(const char *name) {
        printf("  %s%-9s%s ", bold(), name, plain());
}

static void print_uptime(json_int_t s) {
        if (s < 120)
                printf("%lld s", (long long)s);
        else if (s < 120 * 60)
                printf("%lld min", (long long)s / 60);
        else if (s < 48 * 3600)
                printf("%lld h %lld min", (long long)s / 3600, (long long)s / 60 % 60);
        else
                printf("%lld d", (long long)s / 86400);
}

/* "coap://192.0.2.1:5683" is "5683 udp"; each once. */
static void print_ports(const json_t *endpoints) {
        static const struct {
                const char *scheme, *name;
        } kinds[] = { { "coap://", "udp" },
                      { "coaps://", "dtls" },
                      { "coap+tcp://", "tcp" },
                      { "coaps+tcp://", "tls" } };
        char seen[16][24];
        size_t n, n_seen = 0;
        json_t *e;

        json_array_foreach(endpoints, n, e) {
                const char *text = json_string_value(e), *port = text ? strrchr(text, ':') : NULL;
                size_t known = 0;

                for (size_t k = 0; port && k < ARRAY_SIZE(kinds) && n_seen < ARRAY_SIZE(seen); k++) {
                        if (strncmp(text, kinds[k].scheme, strlen(kinds[k].scheme)) != 0)
                                continue;
                        snprintf(seen[n_seen], sizeof(seen[0]), "%.6s %s", port + 1, kinds[k].name);
                        while (known < n_seen && strcmp(seen[known], seen[n_seen]) != 0)
                                known++;
                        if (known < n_seen)
                                continue;
                        printf("%s%s", n_seen ? ", " : "", seen[n_seen]);
                        n_seen++;
                }
        }
        if (!n_seen)
                printf("none");
}

static void print_owner(const json_t *d) {
        const json_t *s = json_object_get(d, "security");

        if (text_of(s, "sealed")[0]) {
                printf("%ssealed%s: ", bold(), plain());
                print_text(text_of(s, "sealed"));
                putchar('\n');
                return;
        }
        print_text(is_true(d, "owned") ? s ? text_of(s, "owner") : "owned" : "none");
        if (s)
                printf("  %s%s%s", dim(), text_of(s, "state"), plain());
        if (text_of(s, "domain")[0]) {
                printf(", domain ");
                print_text(text_of(s, "domain"));
        }
        putchar('\n');
}

static void print_devices(const json_t *devices) {
        json_t *d;
        size_t n;

        json_array_foreach(devices, n, d) {
                key(n ? "" : "Device");
                printf("%s  %s%s%s\n", text_of(d, "name"), dim(), text_of(d, "device_id"), plain());
                key(n ? "" : "Owner");
                print_owner(d);
                key(n ? "" : "Ports");
                print_ports(json_object_get(d, "endpoints"));
                printf("\n");
                key(n ? "" : "Next");
                print_text(text_of(json_object_get(d, "security"), "next_step"));
                printf("\n");
        }
}

static void print_links(const json_t *interfaces) {
        const char *lead = "";
        json_t *i;
        size_t n;

        key("Links");
        json_array_foreach(interfaces, n, i) {
                if (!is_true(i, "used"))
                        continue;
                printf("%s%s", lead, text_of(i, "name"));
                lead = " ";
        }
        printf("%s\n", *lead ? "" : "none is used");
        json_array_foreach(interfaces, n, i) {
                if (is_true(i, "used"))
                        continue;
                key("");
                printf("%s%s ignored: %s%s\n", dim(), text_of(i, "name"), text_of(i, "reason"), plain());
        }
}

static void print_status(const json_t *s) {
        long long n_apps = json_integer_value(json_object_get(s, "applications"));
        long long n_resources = json_integer_value(json_object_get(s, "resources"));
        const json_t *notices = json_object_get(s, "notices");
        json_t *notice;
        size_t n;

        key("Daemon");
        printf("running ");
        print_uptime(json_integer_value(json_object_get(s, "uptime_s")));
        printf(", %s, pid %lld\n", text_of(s, "version"),
               (long long)json_integer_value(json_object_get(s, "pid")));
        print_devices(json_object_get(s, "devices"));
        print_links(json_object_get(s, "interfaces"));
        key("Insecure");
        printf("%s\n", is_true(s, "allow_insecure")
                               ? "on: resources registered as insecure are served over plain CoAP, while "
                                 "there is no owner"
                               : "off: plain CoAP serves discovery alone ([Security] AllowInsecure=)");
        key("Serving");
        printf("%lld resource%s of %lld application%s\n", n_resources, n_resources == 1 ? "" : "s", n_apps,
               n_apps == 1 ? "" : "s");
        json_array_foreach(notices, n, notice) {
                key(n ? "" : "Notices");
                printf("%s: %s\n", text_of(notice, "id"), text_of(notice, "text"));
        }
}

int cmd_status(struct ctl *c) {
        json_t *manager = NULL, *objects = NULL, *status;
        int code = objects_properties(c, "/org/ocfd", "org.ocfd.Manager1", &manager);

        if (!code)
                code = objects_get(c, &objects);
        status = code ? NULL : status_json(c, manager, objects);
        if (!code && !status) {
                complain(
                        c,
                        "ocfd says of itself what this ocfctl does not understand: are they of one version?");
                code = EXIT_FAILED;
        }
        if (!code && c->is_json)
                code = print_json(c, json_incref(status));
        else if (!code)
                print_status(status);
        json_decref(status);
        json_decref(manager);
        json_decref(objects);
        return code;
}
