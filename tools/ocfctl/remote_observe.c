#include "base/memory.h"
#include "remote.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A resource of another device, followed until it ends or this command is interrupted. */

struct watch {
        struct ctl *ctl;
        const char *device, *href;
        bool is_over;
        int code;
};

static int find_resource(struct ctl *c, const char *device, const char *href, char **ret) {
        json_t *objects, *interfaces;
        const char *path;
        int code = objects_get(c, &objects);

        if (code)
                return code;
        json_object_foreach(objects, path, interfaces) {
                const json_t *r = json_object_get(interfaces, "org.ocfd.RemoteResource1");

                if (!*ret && r && strcmp(text_of(r, "Device"), device) == 0 &&
                    strcmp(text_of(r, "Href"), href) == 0)
                        *ret = ocf_duplicate_string(path);
        }
        json_decref(objects);
        if (*ret)
                return EXIT_OK;
        complain(c, "the device lists no resource %s", href);
        hint(c, "ocfctl info DEVICE shows what it has");
        return EXIT_NOT_FOUND;
}

static int show(struct watch *w, sd_bus_message *m) {
        json_t *value = NULL, *info = NULL;
        int r = value_to_json(m, false, &value);

        if (r >= 0)
                r = value_to_json(m, true, &info);
        if (r < 0) {
                json_decref(value);
                return r;
        }
        if (text_of(info, "error")[0]) {
                complain(w->ctl, "%s is over: %s", w->href, text_of(info, "error"));
                w->is_over = true;
                w->code = EXIT_FAILED;
        } else if (w->ctl->is_json) {
                print_json_line(json_pack("{s:s, s:s, s:O, s:s, s:b}", "device", w->device, "href", w->href,
                                          "value", value, "mode", text_of(info, "mode"), "gap",
                                          is_true(info, "gap")));
        } else {
                print_pairs(value);
                if (is_true(info, "gap"))
                        printf("  (changes before may be missing)");
                if (strcmp(text_of(info, "mode"), "stale") == 0)
                        printf("  (the device does not answer)");
                putchar('\n');
                fflush(stdout);
        }
        json_decref(value);
        json_decref(info);
        return 0;
}

static int on_notified(sd_bus_message *m, void *userdata, sd_bus_error *e) {
        (void)show(userdata, m);
        return 0;
}

static int begin(struct watch *w, const char *path) {
        sd_bus_message *m = NULL, *reply = NULL;
        struct ctl *c = w->ctl;
        int r = bus_new_call(c, &m, path, "org.ocfd.RemoteResource1", "Observe"), code;

        if (r >= 0)
                r = c->query ? sd_bus_message_append(m, "a{sv}", 1, "query", "s", c->query)
                             : sd_bus_message_append(m, "a{sv}", 0);
        code = r < 0 ? bus_trouble(c, r) : bus_call(c, m, c->timeout_ms + 15000, &reply);
        if (!code) {
                r = show(w, reply);
                code = r < 0 ? bus_trouble(c, r) : EXIT_OK;
        }
        sd_bus_message_unref(m);
        sd_bus_message_unref(reply);
        return code;
}

int remote_observe(struct ctl *c, const char *device, const char *href) {
        struct watch w = { .ctl = c, .device = device, .href = href };
        char *path = NULL, *resource = NULL;
        int code = remote_find(c, device, &path), r;

        if (!code)
                code = find_resource(c, path, href, &resource);
        if (!code) {
                r = sd_bus_match_signal(c->bus, NULL, "org.ocfd", resource, "org.ocfd.RemoteResource1",
                                        "Notified", on_notified, &w);
                code = r < 0 ? bus_trouble(c, r) : begin(&w, resource);
        }
        while (!code && !w.is_over) {
                r = sd_bus_process(c->bus, NULL);
                if (r == 0)
                        r = sd_bus_wait(c->bus, UINT64_MAX);
                if (r < 0 && r != -EINTR)
                        code = bus_trouble(c, r);
        }
        free(path);
        free(resource);
        return code ? code : w.code;
}
