#include "dbus/bus_private.h"

#include <string.h>

/*
 * Who reads what we send. The bus keeps what a connection does not read, and
 * when that is much it stops listening to us, not to the one who does not read.
 * So signals go out sixteen at a time and replies some MiB at a time; then a
 * Ping must come back, which says that all before it was read.
 */

#define CALL_COST         1024u /* bytes that a reply takes at most, but for values */
#define VALUE_COST        16u   /* as often a value may be larger on the bus than in normal form */
#define RESOURCE_COST     1024u /* of each in GetManagedObjects */
#define PING_AFTER        (1024u * 1024)
#define CLIENT_UNREAD_MAX (24u * 1024 * 1024)
#define UID_UNREAD_MAX    (48u * 1024 * 1024)
#define REFUSALS_MAX      (1024u * 1024) /* beyond: who reads no replies gets none */

/* The bus listens to us no more while it keeps 64 descriptors of ours: each is to be read before the next. */
#define DESCRIPTORS_MAX     48u
#define UID_DESCRIPTORS_MAX 16u

static bool may_ping(const struct bus_client *c) {
        size_t n = 0, n_of_user = 0;

        LIST_FOR_EACH(i, &c->bus->clients) {
                const struct bus_client *other = LIST_ENTRY(i, struct bus_client, link);

                if (!other->ping)
                        continue;
                n++;
                n_of_user += other->caller.uid == c->caller.uid;
        }
        return n < PINGS_MAX && n_of_user < UID_PINGS_MAX;
}

static int on_pong(sd_bus_message *m, void *userdata, sd_bus_error *error);

/* Without a time limit: one that is given up here still counts for the bus. */
static void ping(struct bus_client *c) {
        OCF_CLEANUP(sd_bus_message_unrefp) sd_bus_message *m = NULL;

        c->wants_ping = true;
        if (c->ping || c->is_gone || !may_ping(c))
                return;
        if (sd_bus_message_new_method_call(c->bus->bus, &m, c->name, "/", "org.freedesktop.DBus.Peer",
                                           "Ping") >= 0 &&
            sd_bus_call_async(c->bus->bus, &c->ping, m, on_pong, c, UINT64_MAX) >= 0)
                c->wants_ping = false;
        c->n_unread_at_ping = c->n_unread;
        if (c->ping && c->descriptor == DESCRIPTOR_SENT)
                c->descriptor = DESCRIPTOR_PINGED;
}

void bus_ping_next(struct bus *b) {
        LIST_FOR_EACH(i, &b->clients) {
                struct bus_client *c = LIST_ENTRY(i, struct bus_client, link);

                if (c->wants_ping)
                        ping(c);
        }
}

static int on_pong(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        struct bus_client *c = userdata;
        const char *sender = sd_bus_message_get_sender(m);

        c->ping = sd_bus_slot_unref(c->ping);
        /* Its own error says the same, it has read that far; the bus's says nothing of it. */
        if (sender && strcmp(sender, c->name) == 0) {
                c->n_unproven = 0;
                c->n_unread -= c->n_unread_at_ping;
                c->n_refused_unread = 0;
                if (c->descriptor == DESCRIPTOR_PINGED)
                        c->descriptor = DESCRIPTOR_NONE;
        }
        bus_ping_next(c->bus);
        if (c->n_unproven)
                return 0;
        bus_updates_flush(c);
        bus_subscribers_flush(c);
        bus_observers_flush(c);
        return 0;
}

bool bus_client_may_signal(struct bus_client *c) {
        if (c->is_gone)
                return false;
        if (c->n_unproven < CLIENT_WINDOW) {
                c->n_unproven++;
                return true;
        }
        ping(c);
        return false;
}

void bus_client_was_sent(struct bus_client *c, size_t n_value) {
        c->n_unread += n_value * VALUE_COST;
        if (c->n_unread >= PING_AFTER)
                ping(c);
}

static size_t unread_of_user(const struct bus_client *c) {
        size_t n = 0;

        LIST_FOR_EACH(i, &c->bus->clients) {
                const struct bus_client *other = LIST_ENTRY(i, struct bus_client, link);

                if (other->caller.uid == c->caller.uid)
                        n += other->n_unread;
        }
        return n;
}

static size_t cost_of(const struct bus *b, sd_bus_message *m) {
        const char *member = sd_bus_message_get_member(m);

        /* Introspection lists them as well, and an app has a property of its resources. */
        return strcmp(member, "GetManagedObjects") == 0 || strcmp(member, "Introspect") == 0
                       ? CALL_COST + b->control->model->n_resources * RESOURCE_COST + bus_remote_cost(b)
                       : CALL_COST;
}

int bus_client_takes(struct bus_client *c, sd_bus_message *m) {
        size_t n_unread = c->n_unread < PING_AFTER ? 0 : unread_of_user(c);

        if (c->n_unread < CLIENT_UNREAD_MAX && n_unread < UID_UNREAD_MAX) {
                c->n_unread += cost_of(c->bus, m);
                bus_client_was_sent(c, 0);
                return 0;
        }
        ping(c);
        if (c->n_refused_unread >= REFUSALS_MAX)
                return 1;
        c->n_refused_unread += CALL_COST;
        (void)bus_reply_fault(m, FAULT_LIMITS_EXCEEDED, "You have not read the answers that you got");
        return 1;
}

bool bus_client_may_take_descriptor(struct bus_client *c) {
        size_t n = 0, n_of_user = 0;

        if (c->descriptor != DESCRIPTOR_NONE) {
                ping(c);
                return false;
        }
        LIST_FOR_EACH(i, &c->bus->clients) {
                const struct bus_client *other = LIST_ENTRY(i, struct bus_client, link);

                if (other->descriptor == DESCRIPTOR_NONE)
                        continue;
                n++;
                n_of_user += other->caller.uid == c->caller.uid;
        }
        return n < DESCRIPTORS_MAX && n_of_user < UID_DESCRIPTORS_MAX;
}

void bus_client_was_sent_descriptor(struct bus_client *c) {
        c->descriptor = DESCRIPTOR_SENT;
        ping(c);
}
