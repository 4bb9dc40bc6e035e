#include "base/memory.h"
#include "dbus/bus_private.h"

#include <errno.h>
#include <string.h>

/*
 * org.ocfd.Security1, on each device: who owns it, in which state it is, and
 * what to do next. Properties are for who may talk to us at all; what tells more,
 * or changes anything, is for administrators. Nothing here is a secret.
 */

#define INTERFACE BUS_NAME ".Security1"

static void status_of(const struct bus *b, const struct device *d, struct bus_security_status *ret) {
        b->control->security.status(b->control->context, d->index, ret);
}

static int find(sd_bus *bus, const char *path, const char *interface, void *userdata, void **ret_found,
                sd_bus_error *error) {
        if (!bus_device_at(userdata, path))
                return 0;
        *ret_found = userdata;
        return 1;
}

/* ---- properties: one table for what is read and what is told ---- */

static const char *uuid_or_nothing(const struct uuid *id, char buf[static UUID_TEXT_MAX]) {
        return uuid_is_nil(id) ? "" : uuid_format(id, buf);
}

/* As text; buf holds what is not text by itself. Lists and bools are not here. */
static const char *text_of(const struct bus_security_status *s, const char *property,
                           char buf[static UUID_TEXT_MAX]) {
        if (strcmp(property, "State") == 0)
                return s->state;
        if (strcmp(property, "Owner") == 0)
                return uuid_or_nothing(&s->owner, buf);
        if (strcmp(property, "Transfer") == 0)
                return s->transfer;
        if (strcmp(property, "Sealed") == 0)
                return s->sealed;
        if (strcmp(property, "Domain") == 0)
                return s->domain;
        if (strcmp(property, "DomainId") == 0)
                return uuid_or_nothing(&s->domain_id, buf);
        return s->next_step;
}

static int text(sd_bus *bus, const char *path, const char *interface, const char *property,
                sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        const struct device *d = bus_device_at(userdata, path);
        struct bus_security_status status;
        char buf[UUID_TEXT_MAX];

        if (!d)
                return -ENOENT;
        status_of(userdata, d, &status);
        return sd_bus_message_append_basic(reply, 's', text_of(&status, property, buf));
}

static int flag(sd_bus *bus, const char *path, const char *interface, const char *property,
                sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        const struct device *d = bus_device_at(userdata, path);
        struct bus_security_status status;

        if (!d)
                return -ENOENT;
        status_of(userdata, d, &status);
        return sd_bus_message_append(
                reply, "b",
                (int)(strcmp(property, "Owned") == 0 ? status.owned : status.transfer_is_running));
}

static int transfers(sd_bus *bus, const char *path, const char *interface, const char *property,
                     sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        const struct device *d = bus_device_at(userdata, path);
        struct bus_security_status status;
        int r;

        if (!d)
                return -ENOENT;
        status_of(userdata, d, &status);
        r = sd_bus_message_open_container(reply, 'a', "s");
        for (size_t i = 0; r >= 0 && status.transfers[i]; i++)
                r = sd_bus_message_append_basic(reply, 's', status.transfers[i]);
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

/* ---- what is told ---- */

static const char *const texts[] = {
        "State", "Owner", "Transfer", "Sealed", "Domain", "DomainId", "NextStep"
};

struct bus_security_told {
        char *texts[ARRAY_SIZE(texts)];
        bool owned, transfer_is_running;
};

void bus_security_free(struct bus *b) {
        for (size_t i = 0; i < b->n_told; i++)
                for (size_t t = 0; t < ARRAY_SIZE(texts); t++)
                        ocf_free(b->told[i].texts[t]);
        b->told = ocf_free(b->told);
        b->n_told = 0;
}

static bool make_room(struct bus *b) {
        size_t n = b->control->model->n_devices;

        if (b->n_told == n)
                return true;
        bus_security_free(b);
        b->told = ocf_allocate(n, sizeof(*b->told));
        if (!b->told)
                return false;
        b->n_told = n;
        return true;
}

static void tell_device(struct bus *b, const struct device *d, struct bus_security_told *told) {
        char *changed[ARRAY_SIZE(texts) + 3], path[BUS_PATH_MAX], buf[UUID_TEXT_MAX];
        struct bus_security_status status;
        size_t n = 0;

        status_of(b, d, &status);
        for (size_t t = 0; t < ARRAY_SIZE(texts); t++) {
                const char *now = text_of(&status, texts[t], buf);

                if (told->texts[t] && strcmp(told->texts[t], now) == 0)
                        continue;
                changed[n++] = (char *)texts[t];
                ocf_free(told->texts[t]);
                told->texts[t] = ocf_duplicate_string(now); /* without memory: told once more */
        }
        if (told->owned != status.owned)
                changed[n++] = (char *)"Owned";
        if (told->transfer_is_running != status.transfer_is_running)
                changed[n++] = (char *)"TransferIsRunning";
        told->owned = status.owned;
        told->transfer_is_running = status.transfer_is_running;
        changed[n] = NULL;
        if (n)
                (void)sd_bus_emit_properties_changed_strv(b->bus, bus_path(path, BUS_DEVICES, d->index),
                                                          INTERFACE, changed);
}

void bus_security_tell(struct bus *b) {
        if (!make_room(b))
                return;
        for (size_t i = 0; i < b->n_told; i++)
                tell_device(b, b->control->model->devices[i], &b->told[i]);
}

/* ---- methods ---- */

static int read_resource(struct bus *b, struct bus_client *client, sd_bus_message *m) {
        const struct device *d = bus_device_at(b, sd_bus_message_get_path(m));
        struct span rep;
        sd_bus_message *reply = NULL;
        const char *href;
        enum fault fault;
        int r = sd_bus_message_read_basic(m, 's', &href);

        if (r < 0 || !d)
                return r < 0 ? r : bus_reply_fault(m, FAULT_NOT_FOUND, NULL);
        fault = b->control->security.read(b->control->context, d->index, href, &rep);
        if (fault == FAULT_NOT_FOUND)
                return bus_reply_fault(
                        m, fault,
                        "There is no such secure resource: /oic/sec/doxm, pstat, cred, acl2, sp, "
                        "sdi, ael or roles");
        if (fault)
                return bus_reply_fault(m, fault, NULL);
        r = sd_bus_message_new_method_return(m, &reply);
        if (r >= 0)
                r = value_append(reply, rep);
        if (r >= 0)
                r = sd_bus_send(NULL, reply, NULL);
        bus_client_was_sent(client, rep.n);
        sd_bus_message_unref(reply);
        return r;
}

static int reset(struct bus *b, struct bus_client *client, sd_bus_message *m) {
        const struct device *d = bus_device_at(b, sd_bus_message_get_path(m));
        const char *why = NULL;
        int r;

        if (!d)
                return bus_reply_fault(m, FAULT_NOT_FOUND, NULL);
        r = b->control->security.reset(b->control->context, d->index, &why);
        if (r == BUS_E_REFUSED)
                return bus_reply_fault(m, FAULT_BUSY, why);
        return r < 0 ? r : sd_bus_reply_method_return(m, NULL);
}

static int check_access(struct bus *b, struct bus_client *client, sd_bus_message *m) {
        const struct device *d = bus_device_at(b, sd_bus_message_get_path(m));
        struct bus_access_question q;
        struct bus_access_answer answer = { 0 };
        int r = sd_bus_message_read(m, "sss", &q.subject, &q.href, &q.method);

        if (r < 0 || !d)
                return r < 0 ? r : bus_reply_fault(m, FAULT_NOT_FOUND, NULL);
        r = b->control->security.check_access(b->control->context, d->index, &q, &answer);
        if (r == BUS_E_REFUSED)
                return bus_reply_invalid(m, "%s", answer.problem);
        return r < 0 ? r
                     : sd_bus_reply_method_return(m, "bsi", (int)answer.granted, answer.reason, answer.aceid);
}

static int append_session(sd_bus_message *reply, const struct bus_session *s) {
        char id[UUID_TEXT_MAX];
        int r = sd_bus_message_open_container(reply, 'a', "{sv}");

        if (r >= 0)
                r = sd_bus_message_append(reply, "{sv}{sv}{sv}{sv}{sv}{sv}{sv}{sv}", "peer", "s", s->peer,
                                          "transport", "s", s->transport, "suite", "s", s->suite, "id", "s",
                                          uuid_or_nothing(&s->id, id), "by_certificate", "b",
                                          (int)s->by_certificate, "onboarding", "b", (int)s->onboarding,
                                          "opened_s", "t", s->opened_s, "silent_s", "t", s->silent_s);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'e', "sv");
        if (r >= 0)
                r = sd_bus_message_append_basic(reply, 's', "roles");
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'v', "as");
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "s");
        for (size_t i = 0; r >= 0 && i < s->n_roles; i++)
                r = sd_bus_message_append_basic(reply, 's', s->roles[i]);
        for (int i = 0; r >= 0 && i < 4; i++) /* array, variant, pair, map */
                r = sd_bus_message_close_container(reply);
        return r;
}

static int sessions(struct bus *b, struct bus_client *client, sd_bus_message *m) {
        const struct device *d = bus_device_at(b, sd_bus_message_get_path(m));
        const struct bus_session *all;
        sd_bus_message *reply = NULL;
        size_t n;
        int r;

        if (!d)
                return bus_reply_fault(m, FAULT_NOT_FOUND, NULL);
        n = b->control->security.sessions(b->control->context, d->index, &all);
        r = sd_bus_message_new_method_return(m, &reply);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "a{sv}");
        for (size_t i = 0; r >= 0 && i < n; i++)
                r = append_session(reply, &all[i]);
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        if (r >= 0)
                r = sd_bus_send(NULL, reply, NULL);
        bus_client_was_sent(client, n * sizeof(*all));
        sd_bus_message_unref(reply);
        return r;
}

#define GUARDED(name, action)                                                                                \
        static int guard_##name(struct bus *b, struct bus_client *client, sd_bus_message *m) {               \
                return bus_if_authorized(b, client, m, BUS_NAME "." action, name);                           \
        }                                                                                                    \
        static int on_##name(sd_bus_message *m, void *userdata, sd_bus_error *error) {                       \
                return bus_client_method(userdata, m, guard_##name);                                         \
        }

GUARDED(read_resource, "read-security")
GUARDED(reset, "reset")
GUARDED(check_access, "read-security")
GUARDED(sessions, "read-security")

static const sd_bus_vtable vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD_WITH_ARGS("Read", SD_BUS_ARGS("s", href), SD_BUS_RESULT("v", value), on_read_resource,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Reset", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, on_reset,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("CheckAccess", SD_BUS_ARGS("s", subject, "s", href, "s", method),
                                SD_BUS_RESULT("b", granted, "s", reason, "i", aceid), on_check_access,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("GetSessions", SD_BUS_NO_ARGS, SD_BUS_RESULT("aa{sv}", sessions), on_sessions,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_PROPERTY("State", "s", text, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Owned", "b", flag, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Owner", "s", text, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Transfers", "as", transfers, 0, 0),
        SD_BUS_PROPERTY("Transfer", "s", text, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("TransferIsRunning", "b", flag, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Sealed", "s", text, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Domain", "s", text, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("DomainId", "s", text, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("NextStep", "s", text, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_VTABLE_END,
};

int bus_security_add(struct bus *b) {
        return sd_bus_add_fallback_vtable(b->bus, NULL, BUS_DEVICES, INTERFACE, vtable, find, b);
}
