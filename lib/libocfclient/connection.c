/*
 * The connection to the bus, and the daemon on it: made, kept, lost, made again
 * with growing patience. Everything asynchronous, since the loop is not ours.
 */
#include "client_private.h"

#include <errno.h>
#include <string.h>

/* ---- made ---- */

static int on_owner(sd_bus_message *m, void *userdata, sd_bus_error *error);
static int on_owner_changed(sd_bus_message *m, void *userdata, sd_bus_error *error);

/* A match that the bus refuses would leave us waiting for ever for what does not come. */
static int on_match_added(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const sd_bus_error *e = sd_bus_message_get_error(m);

        if (e)
                connection_fail(userdata, sd_bus_error_get_errno(e) == ENOMEM ? -ENOMEM : -EACCES);
        return 0;
}

static int on_message(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        struct ocf_client *c = userdata;

        if (c->is_dead || !connection_is_from_daemon(c, m))
                return 0;
        if (sd_bus_message_is_signal(m, BUS_RESOURCE, "Notified") ||
            sd_bus_message_is_signal(m, BUS_REMOTE_RESOURCE, "Notified"))
                observation_on_notified(c, m);
        else if (sd_bus_message_is_signal(m, BUS_RESOURCE, "Updated"))
                publish_on_updated(c, m);
        return 0;
}

static int open_bus(struct ocf_client *c, sd_bus **ret) {
        sd_bus *bus;
        int r;

        if (strcmp(c->address, "system") == 0)
                return sd_bus_open_system(ret);
        if (strcmp(c->address, "session") == 0)
                return sd_bus_open_user(ret);
        r = sd_bus_new(&bus);
        if (r < 0)
                return r;
        r = sd_bus_set_address(bus, c->address);
        if (r >= 0)
                r = sd_bus_set_bus_client(bus, true);
        if (r >= 0)
                r = sd_bus_start(bus);
        if (r < 0) {
                sd_bus_unref(bus);
                return r;
        }
        *ret = bus;
        return 0;
}

static int prepare(struct ocf_client *c) {
        int r = sd_bus_set_close_on_exit(c->bus, false);

        if (r >= 0)
                r = sd_bus_add_filter(c->bus, NULL, on_message, c);
        if (r >= 0)
                r = handler_export(c);
        if (r >= 0)
                r = sd_bus_add_match_async(
                        c->bus, NULL,
                        "type='signal',sender='org.freedesktop.DBus',path='/org/freedesktop/DBus',"
                        "interface='org.freedesktop.DBus',member='NameOwnerChanged',arg0='" BUS_NAME "'",
                        on_owner_changed, on_match_added, c);
        if (r >= 0)
                r = sd_bus_call_method_async(c->bus, &c->get_owner, "org.freedesktop.DBus",
                                             "/org/freedesktop/DBus", "org.freedesktop.DBus", "GetNameOwner",
                                             on_owner, c, "s", BUS_NAME);
        return r < 0 ? r : 0;
}

static int connect_bus(struct ocf_client *c) {
        int r = open_bus(c, &c->bus);

        if (r >= 0)
                r = prepare(c);
        if (r < 0 && c->bus)
                c->bus = sd_bus_close_unref(c->bus);
        return r < 0 ? r : 0;
}

/* ---- the daemon comes and goes ---- */

static void session_lost(struct ocf_client *c) {
        c->owner = ocf_free(c->owner);
        registration_lost(c);
        channel_lost(c);
        observation_lost(c);
        call_lost(c);
        search_lost(c);
}

static void set_owner(struct ocf_client *c, const char *owner) {
        if (c->owner && strcmp(c->owner, owner) == 0)
                return;
        if (c->owner)
                session_lost(c);
        c->daemon = DAEMON_ABSENT;
        if (owner[0]) {
                c->owner = ocf_duplicate_string(owner);
                if (!c->owner)
                        connection_fail(c, -ENOMEM);
                else
                        c->daemon = DAEMON_PRESENT;
        }
        c->is_dirty = true;
}

static int on_owner(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        struct ocf_client *c = userdata;
        const char *owner = "";

        c->get_owner = sd_bus_slot_unref(c->get_owner);
        c->was_reached = true;
        if (sd_bus_message_is_method_error(m, NULL)) {
                /* Anything but "there is none" means that the bus does not talk to us as it should. */
                if (!sd_bus_message_is_method_error(m, SD_BUS_ERROR_NAME_HAS_NO_OWNER)) {
                        connection_fail(c, -sd_bus_message_get_errno(m));
                        return 0;
                }
        } else if (sd_bus_message_read_basic(m, 's', &owner) < 0) {
                connection_fail(c, -EBADMSG);
                return 0;
        }
        set_owner(c, owner);
        return 0;
}

static int on_owner_changed(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const char *name, *old, *new, *sender = sd_bus_message_get_sender(m);

        /* sd-bus lets any unique name pass for the well-known one of a match: anybody may send us this. */
        if (!sender || strcmp(sender, "org.freedesktop.DBus") != 0)
                return 0;
        if (sd_bus_message_read(m, "sss", &name, &old, &new) >= 0 && strcmp(name, BUS_NAME) == 0)
                set_owner(userdata, new);
        return 0;
}

bool connection_is_from_daemon(const struct ocf_client *c, sd_bus_message *m) {
        const char *sender = sd_bus_message_get_sender(m);

        return sender && c->owner && strcmp(sender, c->owner) == 0;
}

/* ---- kept and lost ---- */

void connection_fail(struct ocf_client *c, int error) {
        if (!c->bus_error)
                c->bus_error = error ? error : -EIO;
        c->is_dirty = true;
}

void connection_close(struct ocf_client *c) {
        c->daemon = DAEMON_UNKNOWN;
        session_lost(c);
        c->get_owner = sd_bus_slot_unref(c->get_owner);
        if (c->bus)
                c->bus = sd_bus_close_unref(c->bus);
}

static void lost(struct ocf_client *c, int error, uint64_t now_us) {
        connection_close(c);
        if (c->was_reached)
                c->n_failures = 0;
        c->was_reached = false;
        c->bus_error = error;
        c->retry_us = now_us + retry_after(c->n_failures++, RETRY_FIRST_US, RETRY_LAST_US);
}

bool connection_step(struct ocf_client *c, uint64_t now_us) {
        int r;

        if (!c->bus) {
                if (now_us < c->retry_us)
                        return false;
                r = connect_bus(c);
                if (r < 0)
                        lost(c, r, now_us);
                else
                        c->bus_error = 0;
                return true;
        }
        r = sd_bus_process(c->bus, NULL);
        if (c->is_dead)
                return false;
        if (r >= 0 && c->bus_error)
                r = c->bus_error;
        if (r < 0) {
                lost(c, r, now_us);
                return true;
        }
        return r > 0;
}

uint64_t connection_due(const struct ocf_client *c) {
        uint64_t due_us;

        if (!c->bus)
                return c->retry_us;
        return sd_bus_get_timeout(c->bus, &due_us) < 0 ? OCF_NEVER : due_us;
}
