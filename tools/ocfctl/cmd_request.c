#include "base/memory.h"
#include "ctl.h"
#include "dbus/value.h"
#include "remote.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* get and set: one request to one resource. */

int take_href(struct ctl *c, const char **ret) {
        char *device;

        if (remote_split_uri(c->args[0], &device, ret)) {
                c->may_be_remote = true;
                c->device = device; /* as long as we run */
                c->args++;
                c->n_args--;
                return EXIT_OK;
        }
        if (c->n_args > 1 && c->args[0][0] != '/') {
                c->device = c->args[0];
                c->may_be_remote = true;
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

static int print_answer(struct ctl *c, sd_bus_message *reply, const char *member) {
        json_t *value;
        int r;

        if (strcmp(member, "Delete") == 0)
                return EXIT_OK; /* it answers without a value */
        r = value_to_json(reply, false, &value);
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
                code = print_answer(c, reply, member);
        sd_bus_message_unref(m);
        sd_bus_message_unref(reply);
        ocf_free((void *)rep.data);
        free(path);
        return code;
}

/* The same of another device. */
static int request_remote(struct ctl *c, const char *href, const char *member, const json_t *value) {
        json_t *answer = NULL;
        char *path = NULL;
        int code = remote_find(c, c->device, &path);

        if (!code)
                code = remote_request(c, path, member, href, value,
                                      strcmp(member, "Delete") == 0 ? NULL : &answer);
        if (!code && answer && c->is_json)
                code = print_json(c, json_incref(answer));
        else if (!code && answer)
                print_value(answer);
        json_decref(answer);
        free(path);
        return code;
}

static int request_any(struct ctl *c, const char *href, const char *member, const json_t *value) {
        bool is_local = true;
        int code = bus_open(c);

        if (!code)
                code = remote_is_local(c, &is_local);
        if (code)
                return code;
        return is_local ? request(c, href, member, value) : request_remote(c, href, member, value);
}

int cmd_get(struct ctl *c) {
        const char *href = NULL;
        int code = take_href(c, &href);

        if (!code && c->n_args)
                code = usage(c, "\"%s\" is one argument too many", c->args[0]);
        return code ? code : request_any(c, href, "Retrieve", NULL);
}

static int with_values(struct ctl *c, const char *member) {
        const char *href = NULL;
        json_t *value = NULL;
        int code = take_href(c, &href);

        if (!code && !c->n_args)
                code = usage(c, "what shall be set? key=value");
        if (!code)
                code = keyvalue_all(c, c->args, c->n_args, &value);
        if (!code)
                code = request_any(c, href, member, value);
        json_decref(value);
        return code;
}

int cmd_set(struct ctl *c) {
        return with_values(c, "Update");
}

/* A member of a collection is made by an update through oic.if.create. */
int cmd_create(struct ctl *c) {
        if (!c->n_interfaces)
                c->interfaces[c->n_interfaces++] = "oic.if.create";
        return with_values(c, "Update");
}

int cmd_delete(struct ctl *c) {
        const char *href = NULL;
        int code = take_href(c, &href);

        if (!code && c->n_args)
                code = usage(c, "\"%s\" is one argument too many", c->args[0]);
        return code ? code : request_any(c, href, "Delete", NULL);
}
