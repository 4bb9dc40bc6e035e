#include "base/memory.h"
#include "base/utf8.h"
#include "dbus/bus_private.h"

#include <errno.h>
#include <string.h>

/*
 * Agents who are asked for the PIN that another device shows (Agent1.AskPin).
 * All are asked at once; the first who says one is believed, and the others need
 * not ask their person any more. One who says nothing, or nonsense, has not said
 * no for the others. One who does not answer in time still owes the answer, for
 * the bus as well, and is asked no more while it owes two.
 */

#define PIN_MAX     64u
#define OWED_MAX    2u
#define SECONDS_MAX 3600u

struct pin {
        struct list link;
        struct bus *bus;
        struct bus_client *client;
        char *agent;
        uint32_t job;
        bool is_owed; /* nobody waits for it any more */
        uint64_t until_ms;
        sd_bus_slot *slot;
};

static void pin_free(struct pin *p) {
        list_unlink(&p->link);
        p->bus->n_pins--;
        sd_bus_slot_unref(p->slot);
        ocf_free(p->agent);
        ocf_free(p);
}

void bus_pins_free(struct bus *b) {
        while (!list_is_empty(&b->pins))
                pin_free(LIST_ENTRY(list_first(&b->pins), struct pin, link));
}

static bool is_asked(const struct bus *b, uint32_t job) {
        LIST_FOR_EACH(i, &b->pins)
        if (LIST_ENTRY(i, struct pin, link)->job == job && !LIST_ENTRY(i, struct pin, link)->is_owed)
                return true;
        return false;
}

/* It takes the question away from its person. Nobody waits for what it says to that. */
static void pin_end(struct pin *p) {
        sd_bus_message *m = NULL;
        char path[BUS_PATH_MAX];
        int r = sd_bus_message_new_method_call(p->bus->bus, &m, p->client->name, p->agent, BUS_NAME ".Agent1",
                                               "Cancel");

        if (r >= 0)
                r = sd_bus_message_append(m, "o", bus_path(path, BUS_JOBS, p->job));
        if (r >= 0)
                r = sd_bus_message_set_expect_reply(m, false);
        if (r >= 0)
                r = sd_bus_message_set_auto_start(m, false);
        if (r >= 0)
                (void)sd_bus_send(p->bus->bus, m, NULL);
        sd_bus_message_unref(m);
        p->is_owed = true;
}

void bus_pins_end(struct bus *b, uint32_t job) {
        LIST_FOR_EACH(i, &b->pins) {
                struct pin *p = LIST_ENTRY(i, struct pin, link);

                if (p->job == job && !p->is_owed)
                        pin_end(p);
        }
}

/* The control may begin anything when it hears this. */
static void said_nothing(struct bus *b, uint32_t job) {
        if (!is_asked(b, job))
                b->control->client.job_pin(b->control->context, job, NULL);
}

/* One whose time is up, or NULL and when the next one's is. */
static struct pin *pin_expired(const struct bus *b, uint64_t now_ms, uint64_t *ret_next_ms) {
        *ret_next_ms = OCF_NEVER;
        LIST_FOR_EACH(i, &b->pins) {
                struct pin *p = LIST_ENTRY(i, struct pin, link);

                if (p->is_owed)
                        continue;
                if (p->until_ms <= now_ms)
                        return p;
                *ret_next_ms = ocf_min_u64(*ret_next_ms, p->until_ms);
        }
        return NULL;
}

void bus_pins_expire(struct bus *b, uint64_t now_us) {
        uint64_t now_ms, next_ms;
        struct pin *p;

        if (b->pins_due_us > now_us)
                return;
        now_ms = b->control->now(b->control->context);
        while ((p = pin_expired(b, now_ms, &next_ms))) {
                pin_end(p);
                said_nothing(b, p->job);
        }
        b->pins_due_us = next_ms == OCF_NEVER ? OCF_NEVER : now_us + (next_ms - now_ms) * 1000;
}

static struct pin *pin_of(const struct bus_client *client, const char *agent) {
        LIST_FOR_EACH(i, &client->bus->pins) {
                struct pin *p = LIST_ENTRY(i, struct pin, link);

                if (p->client == client && (!agent || strcmp(p->agent, agent) == 0))
                        return p;
        }
        return NULL;
}

void bus_pins_drop(struct bus_client *client, const char *agent) {
        struct bus *b = client->bus;
        struct pin *p;

        while ((p = pin_of(client, agent))) {
                uint32_t job = p->job;
                bool is_owed = p->is_owed;

                pin_free(p);
                if (!is_owed)
                        said_nothing(b, job);
        }
}

/* ---- the answer ---- */

static const char *read_pin(sd_bus_message *m) {
        const char *pin;
        size_t n;

        if (sd_bus_message_is_method_error(m, NULL) || !sd_bus_message_has_signature(m, "s") ||
            sd_bus_message_read_basic(m, 's', &pin) < 0)
                return NULL;
        n = strlen(pin);
        return n && n <= PIN_MAX ? pin : NULL;
}

static int on_answer(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        struct pin *p = userdata;
        struct bus *b = p->bus;
        uint32_t job = p->job;
        bool is_owed = p->is_owed;
        const char *pin;

        (void)sd_bus_message_sensitive(m);
        pin = read_pin(m);
        pin_free(p);
        if (is_owed)
                return 0;
        if (!pin) {
                said_nothing(b, job);
                return 0;
        }
        bus_pins_end(b, job);
        b->control->client.job_pin(b->control->context, job, pin);
        return 0;
}

/* ---- the question ---- */

static int ask(struct pin *p, const char *device, const char *name, uint32_t seconds) {
        sd_bus_message *m = NULL;
        char path[BUS_PATH_MAX];
        int r = sd_bus_message_new_method_call(p->bus->bus, &m, p->client->name, p->agent, BUS_NAME ".Agent1",
                                               "AskPin");

        if (r >= 0)
                r = sd_bus_message_append(m, "oosu", bus_path(path, BUS_JOBS, p->job), device, name, seconds);
        if (r >= 0)
                r = sd_bus_message_set_auto_start(m, false);
        if (r >= 0)
                r = sd_bus_call_async(p->bus->bus, &p->slot, m, on_answer, p, UINT64_MAX);
        sd_bus_message_unref(m);
        return r;
}

static bool may_ask(const struct bus *b, const struct bus_agent *a) {
        size_t n = 0;

        LIST_FOR_EACH(i, &b->pins) {
                const struct pin *p = LIST_ENTRY(i, struct pin, link);

                n += p->is_owed && p->client == a->client && strcmp(p->agent, a->path) == 0;
        }
        return n < OWED_MAX && b->n_pins < PINS_ASKED_MAX && bus_client_may_signal(a->client);
}

static bool pin_new(struct bus *b, const struct bus_agent *a, uint32_t job, const char *device,
                    const char *name, uint32_t seconds) {
        struct pin *p = ocf_new(struct pin);

        if (!p)
                return false;
        p->bus = b;
        p->client = a->client;
        p->job = job;
        p->until_ms = b->control->now(b->control->context) + (uint64_t)seconds * 1000;
        b->pins_due_us = 0; /* bus_pins_expire() looks when */
        list_link_tail(&b->pins, &p->link);
        b->n_pins++;
        p->agent = ocf_duplicate_string(a->path);
        if (p->agent && ask(p, device, name, seconds) >= 0)
                return true;
        pin_free(p);
        return false;
}

unsigned bus_ask_pin(struct bus *b, uint32_t job, const struct uuid *device, const char *name,
                     uint32_t seconds) {
        char path[BUS_PATH_MAX];
        unsigned n = 0;

        if (!bus_is_ready(b))
                return 0;
        bus_pins_end(b, job);
        bus_any_device_path(b, path, device);
        seconds = seconds > SECONDS_MAX ? SECONDS_MAX : seconds ? seconds : 1;
        if (!utf8_is_valid(span_of_string(name), UTF8_BUS))
                name = "";
        LIST_FOR_EACH(i, &b->agents) {
                const struct bus_agent *a = LIST_ENTRY(i, struct bus_agent, link);

                if (may_ask(b, a) && pin_new(b, a, job, path, name, seconds))
                        n++;
        }
        return n;
}
