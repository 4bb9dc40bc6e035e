#include "base/memory.h"
#include "ctl.h"
#include "dbus/value.h"

#include <stdio.h>
#include <stdlib.h>

/* get and set: one request to one resource. */

int take_href(struct ctl *c, const char **ret) {
        if (c->n_args > 1 && c->args[0][0] != '/') {
                c->device = c->args[0];
                c->args++;
                c->n_args--;
        }
        if (c->args[0][0] != '/')
                return usage(c, "\"%s\" is no href: one begins with \"/\"", c->args[0]);
        *ret = c->args[0];
        c->args++;
        c->n_args--;
        return EXIT_OK;
}

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

static int print_answer(struct ctl *c, sd_bus_message *reply) {
        json_t *value;
        int r = value_to_json(reply, false, &value);

        if (r < 0)
                return bus_trouble(c, r);
        if (c->is_json)
                return print_json(c, value);
        print_value(value);
        json_decref(value);
        return EXIT_OK;
}

/* value: NULL for none. */
static int request(struct ctl *c, const char *href, const char *member, const json_t *value) {
        sd_bus_message *m = NULL, *reply = NULL;
        struct span rep = SPAN_NULL;
        char *path = NULL;
        int code = bus_find_resource(c, href, &path), r;

        if (code)
                return code;
        r = value ? json_to_rep(value, &rep) : 0;
        if (r >= 0)
                r = bus_new_call(c, &m, path, "org.ocfd.Resource1", member);
        if (r >= 0 && rep.data)
                r = value_append(m, rep);
        if (r >= 0)
                r = append_options(c, m);
        /* the daemon knows better what took too long: it gets a second more to say so */
        code = r < 0 ? bus_trouble(c, r) : bus_call(c, m, c->timeout_ms + 1000, &reply);
        if (!code)
                code = print_answer(c, reply);
        sd_bus_message_unref(m);
        sd_bus_message_unref(reply);
        ocf_free((void *)rep.data);
        free(path);
        return code;
}

int cmd_get(struct ctl *c) {
        const char *href = NULL;
        int code = take_href(c, &href);

        if (!code && c->n_args)
                code = usage(c, "\"%s\" is one argument too many", c->args[0]);
        if (!code)
                code = bus_open(c);
        return code ? code : request(c, href, "Retrieve", NULL);
}

int cmd_set(struct ctl *c) {
        const char *href = NULL;
        json_t *value = NULL;
        int code = take_href(c, &href);

        if (!code && !c->n_args)
                code = usage(c, "what shall be set? key=value");
        if (!code)
                code = keyvalue_all(c, c->args, c->n_args, &value);
        if (!code)
                code = bus_open(c);
        if (!code)
                code = request(c, href, "Update", value);
        json_decref(value);
        return code;
}
