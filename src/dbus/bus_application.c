#include "base/memory.h"
#include "dbus/bus_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* org.ocfd.Application1: a local application that registered resources. */

static struct app *app_at(struct bus *b, const char *path) {
        uint64_t number;

        return bus_path_number(path, BUS_APPS, &number) ? model_app_by_number(b->control->model, number)
                                                        : NULL;
}

static int find(sd_bus *bus, const char *path, const char *interface, void *userdata, void **ret_found,
                sd_bus_error *error) {
        if (!app_at(userdata, path))
                return 0;
        *ret_found = userdata;
        return 1;
}

/* The app of a call, if it is the caller's own; else NULL and the caller is told. */
static struct app *own_app(struct bus *b, struct bus_client *client, sd_bus_message *m, int *ret) {
        struct app *a = app_at(b, sd_bus_message_get_path(m));

        if (!a)
                *ret = bus_reply_fault(m, FAULT_NOT_FOUND, "There is no such application: it may have left");
        else if (!a->owner || strcmp(a->owner, client->name) != 0)
                *ret = bus_reply_fault(m, FAULT_NOT_ALLOWED,
                                       "Only the connection that registered the application may do this");
        else
                return a;
        return NULL;
}

static struct resource *own_resource(struct bus *b, struct app *a, const char *href) {
        LIST_FOR_EACH(i, &a->resources) {
                struct resource *r = LIST_ENTRY(i, struct resource, app_link);

                if (strcmp(r->href, href) == 0)
                        return r;
        }
        return NULL;
}

static int not_yours(sd_bus_message *m) {
        return bus_reply_fault(m, FAULT_NOT_FOUND, "The application has not registered this href");
}

static int read_publish_options(sd_bus_message *m, bool *ret_replace) {
        const char *key;
        int b, r = sd_bus_message_enter_container(m, 'a', "{sv}");

        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                r = sd_bus_message_read_basic(m, 's', &key);
                if (r >= 0 && strcmp(key, "replace") != 0)
                        return bus_reply_invalid(m, "The option \"%.64s\" is unknown: there is replace (b)",
                                                 key) < 0
                                       ? -EIO
                                       : 1;
                if (r >= 0)
                        r = sd_bus_message_read(m, "v", "b", &b);
                if (r < 0)
                        return bus_reply_invalid(m, "The option replace is a boolean (b)") < 0 ? -EIO : 1;
                *ret_replace = b;
                r = sd_bus_message_exit_container(m);
        }
        return r < 0 ? r : 0;
}

static int publish(struct bus *b, struct bus_client *client, sd_bus_message *m) {
        struct writer w = writer_on(b->scratch, BUS_VALUE_MAX);
        struct model_refusal refusal;
        struct resource *resource;
        bool replace = false;
        const char *href;
        struct app *a;
        int r = 0;

        a = own_app(b, client, m, &r);
        if (!a)
                return r;
        r = sd_bus_message_read_basic(m, 's', &href);
        if (r < 0)
                return r;
        r = value_read_map(m, &w);
        if (r > 0)
                return bus_reply_invalid(m, "The value %s", value_problem(r));
        if (r == 0)
                r = read_publish_options(m, &replace);
        if (r)
                return r < 0 ? r : 0;
        resource = own_resource(b, a, href);
        if (!resource)
                return not_yours(m);
        r = b->control->publish(b->control->context, resource, writer_span(&w), replace, &refusal);
        if (r == BUS_E_REFUSED)
                return bus_reply_refusal(m, &refusal);
        return r < 0 ? r : sd_bus_reply_method_return(m, NULL);
}

static int changed(struct bus *b, struct bus_client *client, sd_bus_message *m) {
        struct resource *resource;
        const char *href;
        struct app *a;
        int r = 0;

        a = own_app(b, client, m, &r);
        if (!a)
                return r;
        r = sd_bus_message_read_basic(m, 's', &href);
        if (r < 0)
                return r;
        resource = own_resource(b, a, href);
        if (!resource)
                return not_yours(m);
        b->control->changed(b->control->context, resource);
        return sd_bus_reply_method_return(m, NULL);
}

static int read_no_options(sd_bus_message *m) {
        int r = sd_bus_message_enter_container(m, 'a', "{sv}");

        if (r < 0)
                return r;
        r = sd_bus_message_at_end(m, false);
        if (r > 0)
                return 0;
        return r < 0 ? r : bus_reply_invalid(m, "There are no options of a channel yet") < 0 ? -EIO : 1;
}

static int acquire_channel(struct bus *b, struct bus_client *client, sd_bus_message *m) {
        const struct bus_control *control = b->control;
        struct channel *channel;
        int fd, r = 0;

        if (!own_app(b, client, m, &r))
                return r;
        r = read_no_options(m);
        if (r)
                return r < 0 ? r : 0;
        if (!bus_client_may_take_descriptor(client))
                return bus_reply_fault(
                        m, FAULT_LIMITS_EXCEEDED,
                        "Channels of this user were not read from the bus yet: try again shortly");
        bus_channel_close(client); /* the new one takes its place */
        r = control->channel_open(control->context, &client->caller, &channel, &fd);
        if (r == BUS_E_REFUSED)
                return bus_reply_fault(m, FAULT_LIMITS_EXCEEDED,
                                       "This user has as many channels as it may have");
        if (r < 0)
                return bus_reply_fault(m, FAULT_FAILED,
                                       "No channel can be made now: requests go over the bus");
        r = sd_bus_reply_method_return(m, "h", fd);
        close(fd); /* the message has its own */
        if (r < 0) {
                control->channel_close(control->context, channel);
                return r;
        }
        client->channel = channel;
        bus_client_was_sent_descriptor(client);
        return r;
}

static int unregister(struct bus *b, struct bus_client *client, sd_bus_message *m) {
        const struct bus_control *control = b->control;
        const char *href;
        struct app *a;
        bool any = false;
        int r = 0;

        a = own_app(b, client, m, &r);
        if (!a)
                return r;
        r = sd_bus_message_enter_container(m, 'a', "s");
        while (r >= 0 && (r = sd_bus_message_read_basic(m, 's', &href)) > 0) {
                any = true;
                if (!own_resource(b, a, href))
                        return not_yours(m); /* all or nothing: looked at first, done below */
        }
        if (r >= 0)
                r = sd_bus_message_rewind(m, true);
        if (r >= 0)
                r = sd_bus_message_enter_container(m, 'a', "s");
        while (r >= 0 && (r = sd_bus_message_read_basic(m, 's', &href)) > 0) {
                struct resource *resource = own_resource(b, a, href);

                if (resource) /* a name may be there twice */
                        control->unregister(control->context, a, resource);
        }
        if (r < 0)
                return r;
        if (!any)
                control->unregister(control->context, a, NULL);
        return sd_bus_reply_method_return(m, NULL);
}

static int on_publish(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        return bus_client_method(userdata, m, publish);
}

static int on_changed(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        return bus_client_method(userdata, m, changed);
}

static int on_acquire_channel(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        return bus_client_method(userdata, m, acquire_channel);
}

static int on_unregister(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        return bus_client_method(userdata, m, unregister);
}

#define GETTER(name)                                                                                         \
        static int name(sd_bus *bus, const char *path, const char *interface, const char *property,          \
                        sd_bus_message *reply, void *userdata, sd_bus_error *error)

GETTER(name) {
        struct app *a = app_at(userdata, path);

        return a ? sd_bus_message_append_basic(reply, 's', a->name) : -ENOENT;
}

GETTER(owner) {
        struct app *a = app_at(userdata, path);

        return a ? sd_bus_message_append_basic(reply, 's', a->owner ? a->owner : "") : -ENOENT;
}

GETTER(state) {
        struct app *a = app_at(userdata, path);

        return a ? sd_bus_message_append_basic(reply, 's', a->owner ? "present" : "lingering") : -ENOENT;
}

GETTER(uid) {
        struct app *a = app_at(userdata, path);

        return a ? sd_bus_message_append_basic(reply, 'u', &a->uid) : -ENOENT;
}

GETTER(pid) {
        struct app *a = app_at(userdata, path);

        return a ? sd_bus_message_append_basic(reply, 'u', &a->pid) : -ENOENT;
}

GETTER(resources) {
        struct app *a = app_at(userdata, path);
        char at[BUS_PATH_MAX];
        int r = a ? sd_bus_message_open_container(reply, 'a', "o") : -ENOENT;

        if (r < 0)
                return r;
        LIST_FOR_EACH(i, &a->resources) {
                r = sd_bus_message_append_basic(
                        reply, 'o',
                        bus_path(at, BUS_RESOURCES, LIST_ENTRY(i, struct resource, app_link)->number));
                if (r < 0)
                        return r;
        }
        return sd_bus_message_close_container(reply);
}

static const sd_bus_vtable vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD_WITH_ARGS("Publish", SD_BUS_ARGS("s", href, "a{sv}", value, "a{sv}", options),
                                SD_BUS_NO_RESULT, on_publish, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Changed", SD_BUS_ARGS("s", href), SD_BUS_NO_RESULT, on_changed,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Unregister", SD_BUS_ARGS("as", hrefs), SD_BUS_NO_RESULT, on_unregister,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("AcquireChannel", SD_BUS_ARGS("a{sv}", options), SD_BUS_RESULT("h", channel),
                                on_acquire_channel, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_PROPERTY("Name", "s", name, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Owner", "s", owner, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("State", "s", state, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Uid", "u", uid, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Pid", "u", pid, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Resources", "ao", resources, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_VTABLE_END,
};

static int enumerate(sd_bus *bus, const char *prefix, void *userdata, char ***ret_nodes,
                     sd_bus_error *error) {
        struct bus *b = userdata;
        char path[BUS_PATH_MAX], **nodes;
        size_t n = 0;

        LIST_FOR_EACH(i, &b->control->model->apps)
        n++;
        nodes = calloc(n + 1, sizeof(*nodes));
        if (!nodes)
                return -ENOMEM;
        n = 0;
        LIST_FOR_EACH(i, &b->control->model->apps) {
                nodes[n] = strdup(bus_path(path, BUS_APPS, LIST_ENTRY(i, struct app, link)->number));
                if (!nodes[n++])
                        return bus_nodes_free(nodes);
        }
        *ret_nodes = nodes;
        return 0;
}

int bus_application_add(struct bus *b) {
        int r = sd_bus_add_fallback_vtable(b->bus, NULL, BUS_APPS, BUS_NAME ".Application1", vtable, find, b);

        return r < 0 ? r : sd_bus_add_node_enumerator(b->bus, NULL, BUS_APPS, enumerate, b);
}

void bus_application_tell(struct bus *b, const struct app *a, unsigned news) {
        char path[BUS_PATH_MAX];

        bus_path(path, BUS_APPS, a->number);
        if (news & MODEL_NEWS_REMOVED)
                (void)sd_bus_emit_interfaces_removed(b->bus, path, BUS_NAME ".Application1", NULL);
        else if (news & MODEL_NEWS_ADDED)
                (void)sd_bus_emit_object_added(b->bus, path);
        else
                (void)sd_bus_emit_properties_changed(b->bus, path, BUS_NAME ".Application1", "Owner", "State",
                                                     "Pid", "Resources", NULL);
}
