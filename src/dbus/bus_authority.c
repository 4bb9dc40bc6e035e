#include "base/memory.h"
#include "dbus/bus_private.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/*
 * Who may administer. polkit is asked, by the name that the caller has on the
 * bus, and nobody waits for it but the caller: root is not asked about at all,
 * who leaves takes the question along, and an answer that does not come is a no.
 * Where there is no polkit root may, and the members of AdminGroup=.
 */

#define AUTHORITY      "org.freedesktop.PolicyKit1"
#define AUTHORITY_PATH "/org/freedesktop/PolicyKit1/Authority"
#define SILENT_US      10000000u  /* polkit alone */
#define PASSWORD_US    120000000u /* and somebody who types a password */
#define INTERACTIVE    1u         /* AllowUserInteraction */

struct question {
        struct list link;
        struct bus *bus;
        struct bus_client *client;
        sd_bus_message *message;
        bus_method method;
        sd_bus_slot *slot;
        uint64_t number;
};

static void question_free(struct question *q) {
        list_unlink(&q->link);
        q->bus->n_questions--;
        q->client->n_questions--;
        sd_bus_slot_unref(q->slot);
        sd_bus_message_unref(q->message);
        ocf_free(q);
}

static const char *question_id(const struct question *q, char buf[static 32]) {
        snprintf(buf, 32, "ocfd-%llu", (unsigned long long)q->number);
        return buf;
}

/* ---- the answer ---- */

/* Errors by which the bus says that there is no polkit; any other means that there is one, in trouble. */
static bool is_absent(const sd_bus_error *e) {
        static const char spawn[] = "org.freedesktop.DBus.Error.Spawn.";

        return strcmp(e->name, SD_BUS_ERROR_SERVICE_UNKNOWN) == 0 ||
               strcmp(e->name, SD_BUS_ERROR_NAME_HAS_NO_OWNER) == 0 ||
               strncmp(e->name, spawn, strlen(spawn)) == 0;
}

static const char *refusal_of_error(const struct bus *b, const sd_bus_error *e,
                                    const struct bus_caller *caller) {
        if (!is_absent(e))
                return bus_fault_of_error(e) == FAULT_TIMEOUT
                               ? "polkit has not answered in time, so it is not allowed"
                               : "polkit is in trouble, so it is not allowed: see its journal";
        if (b->control->security.admin(b->control->context, caller) == BUS_ADMIN_WITHOUT_POLKIT)
                return NULL;
        return "Without polkit that is for root, and for members of the group that AdminGroup= names";
}

/* Return: NULL when it is allowed, or why not. */
static const char *read_answer(const struct bus *b, sd_bus_message *m, const struct bus_caller *caller) {
        const sd_bus_error *e = sd_bus_message_get_error(m);
        int is_authorized = 0, is_challenge = 0;

        if (e)
                return refusal_of_error(b, e, caller);
        if (!sd_bus_message_has_signature(m, "(bba{ss})") ||
            sd_bus_message_enter_container(m, 'r', "bba{ss}") < 0 ||
            sd_bus_message_read(m, "bb", &is_authorized, &is_challenge) < 0)
                return "polkit answers what it should not, so it is not allowed";
        if (is_authorized)
                return NULL;
        return is_challenge
                       ? "polkit wants to know who you are first: call it with sudo, or where a password "
                         "can be asked for"
                       : "polkit does not allow you that";
}

static int on_answer(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        struct question *q = userdata;
        struct bus *b = q->bus;
        struct bus_client *client = q->client;
        sd_bus_message *asked = sd_bus_message_ref(q->message);
        bus_method method = q->method;
        const char *why = read_answer(b, m, &client->caller);
        int r;

        question_free(q);
        r = why ? bus_reply_fault(asked, FAULT_NOT_ALLOWED, why) : method(b, client, asked);
        if (r < 0)
                (void)bus_reply_fault(asked, FAULT_FAILED,
                                      "The daemon could not do it: it is short of something");
        sd_bus_message_unref(asked);
        return 0;
}

/* ---- the question ---- */

static int ask(struct question *q, const char *action) {
        bool may_ask = sd_bus_message_get_allow_interactive_authorization(q->message) > 0;
        sd_bus_message *m = NULL;
        char id[32];
        int r = sd_bus_message_new_method_call(q->bus->bus, &m, AUTHORITY, AUTHORITY_PATH,
                                               AUTHORITY ".Authority", "CheckAuthorization");

        if (r >= 0)
                r = sd_bus_message_append(m, "(sa{sv})sa{ss}us", "system-bus-name", 1, "name", "s",
                                          q->client->name, action, 0, may_ask ? INTERACTIVE : 0u,
                                          question_id(q, id));
        if (r >= 0)
                r = sd_bus_call_async(q->bus->bus, &q->slot, m, on_answer, q,
                                      may_ask ? PASSWORD_US : SILENT_US);
        sd_bus_message_unref(m);
        return r;
}

static bool is_too_much(const struct bus *b, const struct bus_client *client) {
        size_t n = 0;

        LIST_FOR_EACH(i, &b->clients) {
                const struct bus_client *c = LIST_ENTRY(i, struct bus_client, link);

                n += c->caller.uid == client->caller.uid ? c->n_questions : 0;
        }
        return b->n_questions >= QUESTIONS_MAX || n >= UID_QUESTIONS_MAX;
}

int bus_if_authorized(struct bus *b, struct bus_client *client, sd_bus_message *m, const char *action,
                      bus_method method) {
        struct question *q;
        int r;

        if (b->control->security.admin(b->control->context, &client->caller) == BUS_ADMIN_ALWAYS)
                return method(b, client, m);
        if (is_too_much(b, client))
                return bus_reply_fault(
                        m, FAULT_LIMITS_EXCEEDED,
                        "polkit is being asked about others, or about you, already: try again");
        q = ocf_new(struct question);
        if (!q)
                return -ENOMEM;
        q->bus = b;
        q->client = client;
        q->message = sd_bus_message_ref(m);
        q->method = method;
        q->number = ++b->n_asked;
        list_link_tail(&b->questions, &q->link);
        b->n_questions++;
        client->n_questions++;
        r = ask(q, action);
        if (r < 0)
                question_free(q);
        return r;
}

/* polkit takes the dialogue away from the screen. Nobody waits for what it says to that. */
static void cancel(struct question *q) {
        sd_bus_message *m = NULL;
        char id[32];
        int r = sd_bus_message_new_method_call(q->bus->bus, &m, AUTHORITY, AUTHORITY_PATH,
                                               AUTHORITY ".Authority", "CancelCheckAuthorization");

        if (r >= 0)
                r = sd_bus_message_append(m, "s", question_id(q, id));
        if (r >= 0)
                r = sd_bus_message_set_expect_reply(m, false);
        if (r >= 0)
                (void)sd_bus_send(q->bus->bus, m, NULL);
        sd_bus_message_unref(m);
}

void bus_questions_drop(struct bus_client *client) {
        LIST_FOR_EACH_SAFE(i, &client->bus->questions) {
                struct question *q = LIST_ENTRY(i, struct question, link);

                if (q->client != client)
                        continue;
                cancel(q);
                question_free(q);
        }
}
