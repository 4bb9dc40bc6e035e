#include "base/memory.h"
#include "dbus/bus_private.h"
#include "model/remote.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* org.ocfd.Client1: who else is on the network, and callers who wait until that is known. */

#define INTERFACE BUS_NAME ".Client1"

/* ---- who waits ---- */

struct bus_round {
        struct list link;
        struct bus *bus;
        struct bus_client *client; /* NULL: it left */
        sd_bus_message *asked;
        bool gives_devices;
};

static void round_free(struct bus_round *round) {
        if (round->client)
                round->client->n_rounds--;
        list_unlink(&round->link);
        sd_bus_message_unref(round->asked);
        ocf_free(round);
}

int bus_round_new(struct bus *b, struct bus_client *client, sd_bus_message *m, bool gives_devices,
                  struct bus_round **ret) {
        struct bus_round *round;

        if (client->n_rounds >= CLIENT_ROUNDS_MAX)
                return bus_reply_fault(m, FAULT_LIMITS_EXCEEDED,
                                       "You wait for devices already: wait for the first answer") < 0
                               ? -EIO
                               : 1;
        round = ocf_new(struct bus_round);
        if (!round)
                return -ENOMEM;
        round->bus = b;
        round->client = client;
        round->asked = sd_bus_message_ref(m);
        round->gives_devices = gives_devices;
        list_link_tail(&b->rounds, &round->link);
        client->n_rounds++;
        *ret = round;
        return 0;
}

static int reply_devices(const struct bus_round *round, const struct uuid *devices, size_t n) {
        sd_bus_message *reply = NULL;
        int r = sd_bus_message_new_method_return(round->asked, &reply);

        if (r >= 0)
                r = bus_append_devices(round->bus, reply, devices, n);
        if (r >= 0)
                r = sd_bus_send(NULL, reply, NULL);
        sd_bus_message_unref(reply);
        return r;
}

void bus_round_done(void *context, enum fault fault, const char *text, const struct uuid *devices,
                    size_t n_devices) {
        struct bus_round *round = context;

        if (!round->client) /* and the bus may be gone as well */
                (void)0;
        else if (fault)
                (void)bus_reply_fault(round->asked, fault, text);
        else if (round->gives_devices)
                (void)reply_devices(round, devices, n_devices);
        else
                (void)sd_bus_reply_method_return(round->asked, NULL);
        round_free(round);
}

int bus_round_begun(struct bus_round *round, int outcome, enum fault refusal, const char *why) {
        int r = outcome;

        if (!outcome)
                return 0;
        if (outcome > 0)
                r = bus_reply_fault(round->asked, outcome == BUS_E_BUSY ? FAULT_BUSY : refusal, why);
        round_free(round);
        return r;
}

void bus_rounds_orphan(struct bus *b, struct bus_client *client) {
        LIST_FOR_EACH_SAFE(i, &b->rounds) {
                struct bus_round *round = LIST_ENTRY(i, struct bus_round, link);

                if (client && round->client != client)
                        continue;
                round->client = NULL;
                list_unlink(&round->link);
        }
}

/* ---- methods ---- */

static int read_timeout(sd_bus_message *m, uint32_t *ret_ms) {
        struct bus_options options;
        int r = bus_request_read_options(m, BUS_OPTIONS_ROUND, NULL, &options);

        if (r)
                return r;
        *ret_ms = options.timeout_ms;
        ocf_free(options.query);
        return 0;
}

static int discover(struct bus *b, struct bus_client *client, sd_bus_message *m) {
        struct bus_round *round;
        const char *why = NULL;
        uint32_t timeout_ms;
        int r = read_timeout(m, &timeout_ms);

        if (!r)
                r = bus_round_new(b, client, m, true, &round);
        if (r)
                return r < 0 ? r : 0;
        r = b->control->client.discover(b->control->context, &client->caller, timeout_ms, bus_round_done,
                                        round, &why);
        return r ? bus_round_begun(round, r, FAULT_NOT_ALLOWED, why) : 0; /* else it may be gone already */
}

static int add_address(struct bus *b, struct bus_client *client, sd_bus_message *m) {
        struct bus_round *round;
        const char *address, *why = NULL;
        uint32_t timeout_ms;
        int r = sd_bus_message_read_basic(m, 's', &address);

        if (r >= 0)
                r = read_timeout(m, &timeout_ms);
        if (!r)
                r = bus_round_new(b, client, m, true, &round);
        if (r)
                return r < 0 ? r : 0;
        r = b->control->client.add_address(b->control->context, address, timeout_ms, bus_round_done, round,
                                           &why);
        if (r == BUS_E_BUSY && !why)
                why = "There are as many addresses as there can be: remove one";
        return r ? bus_round_begun(round, r, FAULT_INVALID_ARGUMENTS, why) : 0;
}

static int remove_address(struct bus *b, struct bus_client *client, sd_bus_message *m) {
        const char *address;
        int r = sd_bus_message_read_basic(m, 's', &address);

        if (r < 0)
                return r;
        r = b->control->client.remove_address(b->control->context, address);
        if (r == BUS_E_REFUSED)
                return bus_reply_fault(m, FAULT_NOT_FOUND, "This address was not added: see Addresses");
        return r < 0 ? r : sd_bus_reply_method_return(m, NULL);
}

/* Is it meant as the other one is, of which the name is not enough? */
static bool is_meant(const struct remote_device *d, const struct remote_device *other, const char *name) {
        char id[UUID_TEXT_MAX];

        if (strncmp(name, "ocf://", 6) == 0)
                name += 6;
        if (other->name && strcmp(other->name, name) == 0)
                return d->name && strcmp(d->name, name) == 0;
        return strncasecmp(uuid_format(&d->id, id), name, strlen(name)) == 0;
}

static int reply_several(const struct remotes *t, sd_bus_message *m, const struct remote_device *other,
                         const char *name) {
        char text[512], id[UUID_TEXT_MAX];
        size_t n_named = 0, n = (size_t)snprintf(text, sizeof(text), "Several devices are called so: ");

        for (const struct remote_device *d = remotes_first(t); d; d = remotes_after(t, d)) {
                if (!is_meant(d, other, name))
                        continue;
                if (n_named++ == 4) {
                        snprintf(text + n, sizeof(text) - n, " and others");
                        break;
                }
                n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s", n_named > 1 ? ", " : "",
                                      uuid_format(&d->id, id));
        }
        return bus_reply_invalid(m, "%s", text);
}

static int find_device(struct bus *b, struct bus_client *client, sd_bus_message *m) {
        const struct remotes *t = b->control->client.remotes;
        const struct remote_device *d;
        struct remote_device *other = NULL;
        char path[BUS_PATH_MAX];
        const char *name;
        int r = sd_bus_message_read_basic(m, 's', &name);

        if (r < 0)
                return r;
        d = remotes_find_by_name(t, name, &other);
        if (d)
                return sd_bus_reply_method_return(m, "o", bus_remote_path(path, &d->id));
        return other ? reply_several(t, m, other, name)
                     : bus_reply_fault(m, FAULT_NOT_FOUND,
                                       "No such device was heard: Discover looks for all that are there");
}

#define METHOD(name, method)                                                                                 \
        static int name(sd_bus_message *m, void *userdata, sd_bus_error *error) {                            \
                return bus_client_method(userdata, m, method);                                               \
        }
#define GUARDED(name)                                                                                        \
        static int guard_##name(struct bus *b, struct bus_client *client, sd_bus_message *m) {               \
                return bus_if_authorized(b, client, m, BUS_NAME ".client", name);                            \
        }                                                                                                    \
        METHOD(on_##name, guard_##name)

METHOD(on_discover, discover)
METHOD(on_find_device, find_device)
GUARDED(add_address)
GUARDED(remove_address)

/* ---- properties ---- */

enum { TOLD_ADDRESSES, TOLD_DISCOVERING };
static const char *const told_names[] = { "Addresses", "Discovering", NULL };

static int addresses(sd_bus *bus, const char *path, const char *interface, const char *property,
                     sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        const struct bus *b = userdata;
        const char *const *all;
        size_t n = b->control->client.addresses(b->control->context, &all);
        int r = sd_bus_message_open_container(reply, 'a', "s");

        for (size_t i = 0; r >= 0 && i < n; i++)
                r = sd_bus_message_append_basic(reply, 's', all[i]);
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int discovering(sd_bus *bus, const char *path, const char *interface, const char *property,
                       sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        const struct bus *b = userdata;

        return sd_bus_message_append(reply, "b", (int)b->control->client.discovering(b->control->context));
}

static struct bus_told look(const struct bus *b) {
        struct bus_told now = { 0 };
        const char *const *all;
        size_t n = b->control->client.addresses(b->control->context, &all);

        for (size_t i = 0; i < n; i++)
                bus_told_text(&now, TOLD_ADDRESSES, all[i]);
        bus_told_number(&now, TOLD_DISCOVERING, b->control->client.discovering(b->control->context));
        return now;
}

void bus_tell_client(struct bus *b) {
        struct bus_told now;

        if (!bus_is_ready(b))
                return;
        now = look(b);
        bus_tell_different(b, BUS_ROOT, INTERFACE, told_names, &b->network_told, &now);
}

static const sd_bus_vtable vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD_WITH_ARGS("Discover", SD_BUS_ARGS("a{sv}", options), SD_BUS_RESULT("ao", devices),
                                on_discover, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("AddAddress", SD_BUS_ARGS("s", address, "a{sv}", options),
                                SD_BUS_RESULT("ao", devices), on_add_address, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("RemoveAddress", SD_BUS_ARGS("s", address), SD_BUS_NO_RESULT,
                                on_remove_address, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("FindDevice", SD_BUS_ARGS("s", name), SD_BUS_RESULT("o", device),
                                on_find_device, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_PROPERTY("Addresses", "as", addresses, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Discovering", "b", discovering, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_VTABLE_END,
};

int bus_network_add(struct bus *b) {
        b->network_told = look(b);
        return sd_bus_add_object_vtable(b->bus, NULL, BUS_ROOT, INTERFACE, vtable, b);
}
