#include "base/memory.h"
#include "dbus/bus_private.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <systemd/sd-login.h>

/*
 * Who calls. A connection's first message waits until two answers have come:
 * that the bus will tell us when the connection goes, and who is behind it. In
 * that order, so that one which goes in between is not missed.
 */

struct waiting {
        struct list link;
        sd_bus_message *message;
        bus_method method;
};

#define DRIVER "org.freedesktop.DBus"

static void waiting_free(struct bus_client *c, struct waiting *w) {
        list_unlink(&w->link);
        c->n_waiting--;
        sd_bus_message_unref(w->message);
        ocf_free(w);
}

static void client_free(struct bus_client *c) {
        struct bus *b = c->bus;

        c->is_gone = true;
        while (!list_is_empty(&c->waiting))
                waiting_free(c, LIST_ENTRY(list_first(&c->waiting), struct waiting, link));
        bus_requests_orphan(b, c);
        bus_rounds_orphan(b, c);
        bus_questions_drop(c);
        bus_agents_drop(c);
        bus_subscribers_drop(c);
        bus_observers_drop(c);
        bus_handlers_lost(c);
        bus_updates_drop(c);
        sd_bus_slot_unref(c->match);
        sd_bus_slot_unref(c->credentials);
        sd_bus_slot_unref(c->ping);
        list_unlink(&c->link);
        ocf_free(c->name);
        ocf_free(c->unit);
        ocf_free(c);
        bus_ping_next(b);
}

static struct bus_client *client_find(const struct bus *b, const char *name) {
        LIST_FOR_EACH(i, &b->clients) {
                struct bus_client *c = LIST_ENTRY(i, struct bus_client, link);

                if (strcmp(c->name, name) == 0)
                        return c;
        }
        return NULL;
}

bool bus_client_may_request(const struct bus_client *c, size_t n_bytes) {
        size_t n_requests = 0;

        if (c->n_requests >= CLIENT_REQUESTS_MAX)
                return false;
        LIST_FOR_EACH(i, &c->bus->clients) {
                const struct bus_client *other = LIST_ENTRY(i, struct bus_client, link);

                if (!other->is_known || other->caller.uid != c->caller.uid)
                        continue;
                n_requests += other->n_requests;
                n_bytes += other->n_bytes;
        }
        return n_requests < UID_REQUESTS_MAX && n_bytes <= UID_BYTES_MAX;
}

bool bus_client_may_observe(const struct bus_client *c) {
        return c->n_subscribers + c->n_observers < CLIENT_SUBSCRIBERS_MAX;
}

/* It is gone: what it registered first, so that nobody calls it any more. */
static void client_gone(struct bus_client *c) {
        const struct bus_control *control = c->bus->control;

        control->vanished(control->context, c->name);
        client_free(c);
}

static int on_owner_changed(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const char *name, *old, *new, *sender = sd_bus_message_get_sender(m);
        int r;

        /* sd-bus lets any unique name pass for the well-known one of a match: anybody may send us this. */
        if (!sender || strcmp(sender, DRIVER) != 0)
                return 0;
        r = sd_bus_message_read(m, "sss", &name, &old, &new);
        if (r >= 0 && !new[0])
                client_gone(userdata);
        return 0;
}

static int read_groups(sd_bus_message *m, struct bus_client *c) {
        const uint32_t *groups;
        size_t n;
        int r = sd_bus_message_enter_container(m, 'v', "au");

        if (r >= 0)
                r = sd_bus_message_read_array(m, 'u', (const void **)&groups, &n);
        for (size_t i = 0; r >= 0 && i < n / sizeof(*groups); i++)
                c->caller.in_admin_group |= (int64_t)groups[i] == c->bus->control->admin_gid;
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

static int read_credentials(sd_bus_message *m, struct bus_client *c) {
        int r = sd_bus_message_enter_container(m, 'a', "{sv}");
        bool has_uid = false;

        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                const char *key;

                r = sd_bus_message_read_basic(m, 's', &key);
                if (r >= 0 && strcmp(key, "UnixUserID") == 0) {
                        r = sd_bus_message_read(m, "v", "u", &c->caller.uid);
                        has_uid = r >= 0;
                } else if (r >= 0 && strcmp(key, "ProcessID") == 0) {
                        r = sd_bus_message_read(m, "v", "u", &c->caller.pid);
                } else if (r >= 0 && strcmp(key, "UnixGroupIDs") == 0) {
                        r = read_groups(m, c);
                } else if (r >= 0) {
                        r = sd_bus_message_skip(m, "v");
                }
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
        }
        return r < 0 ? r : has_uid ? 0 : -ENODATA;
}

static void client_is_known(struct bus_client *c) {
        struct bus *b = c->bus;

        /* Reads /proc. That it has no unit is known; any other trouble leaves it unknown (control.h). */
        if (c->caller.pid && sd_pid_get_unit((pid_t)c->caller.pid, &c->unit) == -ENODATA)
                c->unit = ocf_duplicate_string("");
        c->caller.name = c->name;
        c->caller.unit = c->unit;
        c->is_known = true;
        while (!list_is_empty(&c->waiting)) {
                struct waiting *w = LIST_ENTRY(list_first(&c->waiting), struct waiting, link);
                sd_bus_message *m = sd_bus_message_ref(w->message);
                bus_method method = w->method;

                waiting_free(c, w);
                if (method(b, c, m) < 0)
                        (void)bus_reply_fault(m, FAULT_FAILED,
                                              "The daemon could not do it: it is short of something");
                sd_bus_message_unref(m);
        }
}

static void client_refuse(struct bus_client *c) {
        while (!list_is_empty(&c->waiting)) {
                struct waiting *w = LIST_ENTRY(list_first(&c->waiting), struct waiting, link);

                (void)bus_reply_fault(w->message, FAULT_FAILED, "The bus does not say who you are");
                waiting_free(c, w);
        }
        client_free(c);
}

static int on_credentials(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        struct bus_client *c = userdata;

        c->credentials = sd_bus_slot_unref(c->credentials);
        if (sd_bus_message_is_method_error(m, NULL) || read_credentials(m, c) < 0)
                client_refuse(c); /* it may have left already: then nobody hears it */
        else
                client_is_known(c);
        return 0;
}

static int on_watched(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        struct bus_client *c = userdata;
        int r;

        r = sd_bus_message_is_method_error(m, NULL)
                    ? -EIO
                    : sd_bus_call_method_async(c->bus->bus, &c->credentials, DRIVER, "/", DRIVER,
                                               "GetConnectionCredentials", on_credentials, c, "s", c->name);
        if (r < 0)
                client_refuse(c);
        return 0;
}

static int client_new(struct bus *b, const char *name, struct bus_client **ret) {
        struct bus_client *c = ocf_new(struct bus_client);
        char match[256];
        int r;

        if (!c)
                return -ENOMEM;
        c->bus = b;
        list_init(&c->waiting);
        list_init(&c->subscribers);
        list_init(&c->observers);
        list_init(&c->handlers);
        list_init(&c->updates);
        list_init(&c->queue);
        list_link_tail(&b->clients, &c->link);
        c->name = ocf_duplicate_string(name);
        if (!c->name) {
                client_free(c);
                return -ENOMEM;
        }
        snprintf(match, sizeof(match),
                 "type='signal',sender='" DRIVER "',interface='" DRIVER
                 "',member='NameOwnerChanged',arg0='%s'",
                 name);
        r = sd_bus_add_match_async(b->bus, &c->match, match, on_owner_changed, on_watched, c);
        if (r < 0) {
                client_free(c);
                return r;
        }
        *ret = c;
        return 0;
}

int bus_client_method(struct bus *b, sd_bus_message *m, bus_method method) {
        const char *sender = sd_bus_message_get_sender(m);
        struct bus_client *c;
        struct waiting *w;
        int r;

        if (!sender)
                return -EBADMSG;
        c = client_find(b, sender);
        if (c && c->is_known) {
                r = method(b, c, m);
                return r < 0 ? r : 1;
        }
        if (!c) {
                r = client_new(b, sender, &c);
                if (r < 0)
                        return r;
        }
        if (c->n_waiting == CLIENT_WAITING_MAX)
                return bus_reply_fault(m, FAULT_LIMITS_EXCEEDED,
                                       "Too many calls at once: wait for the first answer") < 0
                               ? 0
                               : 1;
        w = ocf_new(struct waiting);
        if (!w)
                return -ENOMEM;
        w->message = sd_bus_message_ref(m);
        w->method = method;
        list_link_tail(&c->waiting, &w->link);
        c->n_waiting++;
        return 1;
}

void bus_clients_drop(struct bus *b) {
        LIST_FOR_EACH(i, &b->clients)
        LIST_ENTRY(i, struct bus_client, link)->is_gone =
                true; /* answers to the one ask nothing of the other */
        while (!list_is_empty(&b->clients))
                client_free(LIST_ENTRY(list_first(&b->clients), struct bus_client, link));
}

/* Every call passes here, also those that sd-bus answers itself: what one does not read is counted for it. */
static int on_message(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        struct bus *b = userdata;
        const char *sender = sd_bus_message_get_sender(m);
        struct bus_client *c;
        uint8_t type;

        if (sd_bus_message_get_type(m, &type) < 0 || type != SD_BUS_MESSAGE_METHOD_CALL || !sender)
                return 0;
        c = client_find(b, sender);
        if (!c && client_new(b, sender, &c) < 0)
                return 0;
        return bus_client_takes(c, m);
}

int bus_clients_watch(struct bus *b) {
        return sd_bus_add_filter(b->bus, NULL, on_message, b);
}
