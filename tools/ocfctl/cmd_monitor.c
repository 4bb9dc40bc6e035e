#include "base/list.h"
#include "base/memory.h"
#include "ctl.h"

#include <errno.h>

#include <stdio.h>
#include <string.h>
#include <time.h>

/*
 * What comes, goes and changes: first all that is there, then the news, so that
 * whoever reads the stream from its beginning knows everything.
 */

/* An object that we have shown. */
struct thing {
        struct list link;
        struct monitor *monitor;
        char *path, *label; /* label: href, or the name of the application */
        bool is_resource;
        sd_bus_slot *observing; /* the call, until it is answered */
};

struct monitor {
        struct ctl *ctl;
        struct list things;
        char *owner; /* of the bus name; NULL: ocfd is not there */
        int code;    /* -1: go on */
};

/* ---- lines ---- */

static json_int_t now_ms(void) {
        struct timespec t;

        clock_gettime(CLOCK_REALTIME, &t);
        return (json_int_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void print_clock(void) {
        time_t now = time(NULL);
        struct tm tm;
        char text[16];

        if (localtime_r(&now, &tm) && strftime(text, sizeof(text), "%H:%M:%S", &tm))
                printf("%s%s%s ", dim(), text, plain());
}

/* fields: what JSON says besides; taken. */
static void print_event(const struct monitor *m, const char *event, const char *kind, json_t *fields_take) {
        json_t *line = json_pack("{s:I, s:s, s:s}", "time_ms", now_ms(), "event", event, "kind", kind);

        json_object_update(line, fields_take);
        json_decref(fields_take);
        print_json_line(line);
}

static void say_thing(const struct monitor *m, const struct thing *t, const char *event,
                      json_t *details_take) {
        const char *key = t->is_resource ? "href" : "name",
                   *kind = t->is_resource ? "resource" : "application";
        json_t *details = details_take ? details_take : json_object();

        json_object_set_new(details, key, json_string(t->label));
        if (m->ctl->is_json) {
                print_event(m, event, kind, details);
                return;
        }
        print_clock();
        printf("%s %s", strcmp(event, "removed") == 0 ? "-" : "+", t->is_resource ? "" : "application ");
        print_text(t->label);
        putchar('\n');
        json_decref(details);
        fflush(stdout);
}

static void say_value(const struct monitor *m, const struct thing *t, json_t *value_take) {
        if (m->ctl->is_json) {
                print_event(m, "value", "resource",
                            json_pack("{s:s, s:o}", "href", t->label, "value", value_take));
                return;
        }
        print_clock();
        printf("  ");
        print_text(t->label);
        putchar(' ');
        print_pairs(value_take);
        putchar('\n');
        json_decref(value_take);
        fflush(stdout);
}

static void say_daemon(const struct monitor *m, bool is_there) {
        if (m->ctl->is_json) {
                print_event(m, is_there ? "added" : "removed", "daemon", json_object());
                return;
        }
        print_clock();
        printf("%s ocfd\n", is_there ? "+" : "-");
        fflush(stdout);
}

static void say_availability(const struct monitor *m, const struct thing *t, bool is_available) {
        if (m->ctl->is_json) {
                print_event(m, is_available ? "back" : "away", "resource",
                            json_pack("{s:s}", "href", t->label));
                return;
        }
        print_clock();
        printf("  ");
        print_text(t->label);
        printf(" is %s\n", is_available ? "back" : "away: its application may be restarting");
        fflush(stdout);
}

/* ---- things ---- */

static struct thing *thing_free(struct thing *t) {
        list_unlink(&t->link);
        sd_bus_slot_unref(t->observing);
        ocf_free(t->path);
        ocf_free(t->label);
        return ocf_free(t);
}

static struct thing *thing_find(const struct monitor *m, const char *path) {
        LIST_FOR_EACH(i, &m->things) {
                struct thing *t = LIST_ENTRY(i, struct thing, link);

                if (strcmp(t->path, path) == 0)
                        return t;
        }
        return NULL;
}

static struct thing *thing_new(struct monitor *m, const char *path, const char *label, bool is_resource) {
        struct thing *t = ocf_new(struct thing);

        if (!t)
                return NULL;
        list_link_tail(&m->things, &t->link);
        t->monitor = m;
        t->is_resource = is_resource;
        t->path = ocf_duplicate_string(path);
        t->label = ocf_duplicate_string(label);
        return t->path && t->label ? t : thing_free(t);
}

static bool is_wanted(const struct ctl *c, const json_t *resource) {
        const char *href = text_of(resource, "Href");

        for (int i = 0; i < c->n_args; i++)
                if (strcmp(c->args[i], href) == 0)
                        return true;
        return !c->n_args && (c->is_all || strcmp(text_of(resource, "Mode"), "core") != 0);
}

/* ---- values ---- */

/* An answer or a signal; both are (v, a{sv}). Errors of the resource are no news: that it went away is. */
static int show_value(struct thing *t, sd_bus_message *message) {
        json_t *value, *info;
        int r = value_to_json(message, false, &value);

        if (r < 0)
                return 0;
        r = value_to_json(message, true, &info);
        if (r >= 0 && !json_object_get(info, "error"))
                say_value(t->monitor, t, json_incref(value));
        if (r >= 0)
                json_decref(info);
        json_decref(value);
        return 0;
}

static int on_observed(sd_bus_message *message, void *userdata, sd_bus_error *error) {
        struct thing *t = userdata;

        t->observing = sd_bus_slot_unref(t->observing);
        return sd_bus_message_is_method_error(message, NULL) ? 0 : show_value(t, message);
}

static void observe(struct monitor *m, struct thing *t) {
        sd_bus_message *call = NULL;
        int r = bus_new_call(m->ctl, &call, t->path, "org.ocfd.Resource1", "Observe");

        if (r >= 0)
                r = sd_bus_message_append(call, "a{sv}", 0);
        if (r >= 0)
                r = sd_bus_call_async(m->ctl->bus, &t->observing, call, on_observed, t, 0);
        if (r < 0)
                m->code = bus_trouble(m->ctl, r);
        sd_bus_message_unref(call);
}

/* ---- what comes and goes ---- */

/* Anybody may send us a signal that looks like one of these: sd-bus lets any unique name pass for a
 * well-known one. */
static bool is_from(sd_bus_message *message, const char *name) {
        const char *sender = sd_bus_message_get_sender(message);

        return sender && name && strcmp(sender, name) == 0;
}

static int set_owner(struct monitor *m, const char *owner) {
        ocf_free(m->owner);
        m->owner = owner[0] ? ocf_duplicate_string(owner) : NULL;
        return owner[0] && !m->owner ? bus_trouble(m->ctl, -ENOMEM) : EXIT_OK;
}

/* For the beginning; later the bus tells. */
static int find_owner(struct monitor *m) {
        sd_bus_message *call = NULL, *reply = NULL;
        const char *owner;
        int r = sd_bus_message_new_method_call(m->ctl->bus, &call, "org.freedesktop.DBus",
                                               "/org/freedesktop/DBus", "org.freedesktop.DBus",
                                               "GetNameOwner");
        int code;

        if (r >= 0)
                r = sd_bus_message_append(call, "s", "org.ocfd");
        code = r < 0 ? bus_trouble(m->ctl, r) : bus_call(m->ctl, call, 0, &reply);
        if (!code)
                code = sd_bus_message_read_basic(reply, 's', &owner) < 0 ? bus_trouble(m->ctl, -EBADMSG)
                                                                         : set_owner(m, owner);
        sd_bus_message_unref(call);
        sd_bus_message_unref(reply);
        return code;
}

static void added(struct monitor *m, const char *path, const json_t *interfaces) {
        const json_t *app = json_object_get(interfaces, "org.ocfd.Application1");
        const json_t *resource = json_object_get(interfaces, "org.ocfd.Resource1");
        struct thing *t;

        if (thing_find(m, path) || !(resource ? is_wanted(m->ctl, resource) : app && !m->ctl->n_args))
                return;
        t = thing_new(m, path, resource ? text_of(resource, "Href") : text_of(app, "Name"), resource != NULL);
        if (!t) {
                m->code = bus_trouble(m->ctl, -ENOMEM);
                return;
        }
        say_thing(m, t, "added",
                  resource ? json_pack("{s:O, s:O}", "types", json_object_get(resource, "Types"), "device",
                                       json_object_get(resource, "Device"))
                           : json_pack("{s:O, s:O}", "pid", json_object_get(app, "Pid"), "uid",
                                       json_object_get(app, "Uid")));
        if (resource && is_true(resource, "Observable"))
                observe(m, t);
}

static int load(struct monitor *m) {
        json_t *objects, *interfaces;
        const char *path;
        int code = objects_get(m->ctl, &objects);

        if (code)
                return code;
        json_object_foreach(objects, path, interfaces) added(m, path, interfaces);
        json_decref(objects);
        return EXIT_OK;
}

static int on_added(sd_bus_message *message, void *userdata, sd_bus_error *error) {
        struct monitor *m = userdata;
        json_t *interfaces;
        const char *path;

        if (is_from(message, m->owner) && sd_bus_message_read_basic(message, 'o', &path) >= 0 &&
            objects_read(message, &interfaces) >= 0) {
                added(m, path, interfaces);
                json_decref(interfaces);
        }
        return 0;
}

static int on_removed(sd_bus_message *message, void *userdata, sd_bus_error *error) {
        struct monitor *m = userdata;
        struct thing *t;
        const char *path;

        if (!is_from(message, m->owner) || sd_bus_message_read_basic(message, 'o', &path) < 0)
                return 0;
        t = thing_find(m, path);
        if (t) {
                say_thing(m, t, "removed", NULL);
                thing_free(t);
        }
        return 0;
}

/* A resource whose application is back wants to be observed anew. */
static int on_properties(sd_bus_message *message, void *userdata, sd_bus_error *error) {
        struct monitor *m = userdata;
        struct thing *t = thing_find(m, sd_bus_message_get_path(message));
        const json_t *available;
        const char *interface;
        json_t *changed;

        if (!t || !t->is_resource || !is_from(message, m->owner) ||
            sd_bus_message_read_basic(message, 's', &interface) < 0 ||
            value_to_json(message, true, &changed) < 0)
                return 0;
        available = json_object_get(changed, "Available");
        if (available)
                say_availability(m, t, json_is_true(available));
        if (json_is_true(available) && !t->observing)
                observe(m, t);
        json_decref(changed);
        return 0;
}

static int on_notified(sd_bus_message *message, void *userdata, sd_bus_error *error) {
        struct monitor *m = userdata;
        struct thing *t = thing_find(m, sd_bus_message_get_path(message));

        return t && is_from(message, m->owner) ? show_value(t, message) : 0;
}

static int on_owner(sd_bus_message *message, void *userdata, sd_bus_error *error) {
        struct monitor *m = userdata;
        const char *name, *old, *new;
        int code;

        if (!is_from(message, "org.freedesktop.DBus") ||
            sd_bus_message_read(message, "sss", &name, &old, &new) < 0)
                return 0;
        code = set_owner(m, new);
        if (code)
                m->code = code;
        if (old[0]) {
                while (!list_is_empty(&m->things)) {
                        struct thing *t = LIST_ENTRY(list_first(&m->things), struct thing, link);

                        say_thing(m, t, "removed", NULL);
                        thing_free(t);
                }
                say_daemon(m, false);
        }
        if (new[0]) {
                say_daemon(m, true);
                code = load(m);
                if (code && code != EXIT_NOT_RUNNING)
                        m->code = code;
        }
        return 0;
}

/* ---- */

static int watch(struct monitor *m) {
        static const struct {
                const char *path, *interface, *member;
                sd_bus_message_handler_t fn;
        } signals[] = {
                { "/org/ocfd", "org.freedesktop.DBus.ObjectManager", "InterfacesAdded", on_added },
                { "/org/ocfd", "org.freedesktop.DBus.ObjectManager", "InterfacesRemoved", on_removed },
                { NULL, "org.freedesktop.DBus.Properties", "PropertiesChanged", on_properties },
                { NULL, "org.ocfd.Resource1", "Notified", on_notified },
        };
        int r = sd_bus_add_match(
                m->ctl->bus, NULL,
                "type='signal',sender='org.freedesktop.DBus',interface='org.freedesktop.DBus',"
                "member='NameOwnerChanged',arg0='org.ocfd'",
                on_owner, m);

        for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(signals); i++)
                r = sd_bus_match_signal(m->ctl->bus, NULL, "org.ocfd", signals[i].path, signals[i].interface,
                                        signals[i].member, signals[i].fn, m);
        return r < 0 ? bus_trouble(m->ctl, r) : EXIT_OK;
}

int cmd_monitor(struct ctl *c) {
        struct monitor m = { .ctl = c, .code = -1 };
        int code = bus_open(c), r = 0;

        list_init(&m.things);
        for (int i = 0; i < c->n_args; i++)
                if (c->args[i][0] != '/')
                        return usage(c, "\"%s\" is no href: one begins with \"/\"", c->args[i]);
        if (!code)
                code = watch(&m);
        if (!code)
                code = find_owner(&m);
        if (!code)
                code = load(&m);
        if (code)
                m.code = code;
        while (m.code == -1 && r >= 0) {
                r = sd_bus_process(c->bus, NULL);
                if (r == 0)
                        r = sd_bus_wait(c->bus, UINT64_MAX);
                if (r == -EINTR)
                        r = 0;
        }
        if (r < 0)
                m.code = bus_trouble(c, r);
        while (!list_is_empty(&m.things))
                thing_free(LIST_ENTRY(list_first(&m.things), struct thing, link));
        ocf_free(m.owner);
        return m.code;
}
