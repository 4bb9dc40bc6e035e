#include "base/memory.h"
#include "dbus/bus_private.h"

#include <errno.h>
#include <string.h>

/*
 * Agents (Agent1): who shows a PIN to the person before the device. Only
 * administrators may be one, since who sees the PIN can take the device. Of a
 * PIN of ours they are told: nothing waits for what they answer. Those of other
 * devices they are asked for (bus_pin.c).
 */

static void agent_free(struct bus *b, struct bus_agent *a) {
        list_unlink(&a->link);
        b->n_agents--;
        ocf_free(a->path);
        ocf_free(a);
}

static struct bus_agent *agent_find(const struct bus *b, const struct bus_client *client, const char *path) {
        LIST_FOR_EACH(i, &b->agents) {
                struct bus_agent *a = LIST_ENTRY(i, struct bus_agent, link);

                if (a->client == client && strcmp(a->path, path) == 0)
                        return a;
        }
        return NULL;
}

static bool is_full(const struct bus *b, const struct bus_client *client) {
        size_t n = 0;

        LIST_FOR_EACH(i, &b->agents)
        n += LIST_ENTRY(i, struct bus_agent, link)->client->caller.uid == client->caller.uid;
        return b->n_agents >= AGENTS_MAX || n >= UID_AGENTS_MAX;
}

static int agent_new(struct bus *b, struct bus_client *client, const char *path) {
        struct bus_agent *a = ocf_new(struct bus_agent);

        if (!a)
                return -ENOMEM;
        a->client = client;
        list_link_tail(&b->agents, &a->link);
        b->n_agents++;
        a->path = ocf_duplicate_string(path);
        if (a->path)
                return 0;
        agent_free(b, a);
        return -ENOMEM;
}

static int register_agent(struct bus *b, struct bus_client *client, sd_bus_message *m) {
        const char *path, *option;
        int r = sd_bus_message_read_basic(m, 'o', &path);

        if (r >= 0)
                r = sd_bus_message_enter_container(m, 'a', "{sv}");
        if (r >= 0)
                r = sd_bus_message_enter_container(m, 'e', "sv");
        if (r > 0 && (r = sd_bus_message_read_basic(m, 's', &option)) > 0)
                return bus_reply_invalid(m, "The option \"%.64s\" is unknown: there is none yet", option);
        if (r < 0)
                return r;
        if (agent_find(b, client, path))
                return bus_reply_fault(m, FAULT_ALREADY_EXISTS, "This agent is registered already");
        if (is_full(b, client))
                return bus_reply_fault(m, FAULT_LIMITS_EXCEEDED,
                                       "There are too many agents: end one that is not needed");
        r = agent_new(b, client, path);
        return r < 0 ? r : sd_bus_reply_method_return(m, NULL);
}

int bus_register_agent(struct bus *b, struct bus_client *client, sd_bus_message *m) {
        return bus_if_authorized(b, client, m, BUS_NAME ".agent", register_agent);
}

int bus_unregister_agent(struct bus *b, struct bus_client *client, sd_bus_message *m) {
        struct bus_agent *a;
        const char *path;
        int r = sd_bus_message_read_basic(m, 'o', &path);

        if (r < 0)
                return r;
        a = agent_find(b, client, path);
        if (!a)
                return bus_reply_fault(m, FAULT_NOT_FOUND, "You have no such agent");
        agent_free(b, a);
        bus_pins_drop(client, path);
        return sd_bus_reply_method_return(m, NULL);
}

void bus_agents_drop(struct bus_client *client) {
        LIST_FOR_EACH_SAFE(i, &client->bus->agents) {
                struct bus_agent *a = LIST_ENTRY(i, struct bus_agent, link);

                if (a->client == client)
                        agent_free(client->bus, a);
        }
        bus_pins_drop(client, NULL);
}

/* ---- what they are told ---- */

static int tell(struct bus *b, const struct bus_agent *a, const char *device, const char *pin,
                uint32_t seconds) {
        sd_bus_message *m = NULL;
        int r = sd_bus_message_new_method_call(b->bus, &m, a->client->name, a->path, BUS_NAME ".Agent1",
                                               pin ? "ShowPin" : "Cancel");

        if (r >= 0)
                r = pin ? sd_bus_message_append(m, "osu", device, pin, seconds)
                        : sd_bus_message_append(m, "o", device);
        if (r >= 0)
                r = sd_bus_message_set_expect_reply(m, false);
        if (r >= 0)
                r = sd_bus_message_set_auto_start(m, false);
        if (r >= 0)
                r = sd_bus_message_sensitive(m);
        if (r >= 0)
                r = sd_bus_send(b->bus, m, NULL);
        sd_bus_message_unref(m);
        return r;
}

unsigned bus_show_pin(struct bus *b, uint16_t device, const char *pin, uint32_t seconds) {
        char path[BUS_PATH_MAX];
        unsigned n = 0;

        if (!b->bus)
                return 0;
        LIST_FOR_EACH(i, &b->agents) {
                struct bus_agent *a = LIST_ENTRY(i, struct bus_agent, link);

                /* Who does not read what it is sent would have us pile it up. */
                if (bus_client_may_signal(a->client) &&
                    tell(b, a, bus_path(path, BUS_DEVICES, device), pin, seconds) >= 0)
                        n++;
        }
        return n;
}

bool bus_has_agent(const struct bus *b) {
        return b->n_agents > 0;
}
