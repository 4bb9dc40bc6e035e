#include "dbus/bus_private.h"

#include <errno.h>
#include <string.h>

/*
 * org.ocfd.OnboardingTool1: takes ownership of other devices, and gives them
 * what they need. What talks to a device is a job; the caller has its object
 * before anybody hears of it.
 */

#define INTERFACE BUS_NAME ".OnboardingTool1"

static void status_of(const struct bus *b, struct bus_tool_status *ret) {
        *ret = (struct bus_tool_status){ .authority = "" };
        b->control->client.tool_status(b->control->context, ret);
}

/* ---- what is told ---- */

enum { TOLD_INITIALIZED, TOLD_ID, TOLD_DEVICE, TOLD_AUTHORITY, TOLD_OWNED };
static const char *const told_names[] = { "Initialized", "DeviceId", "Device", "Authority", "Owned", NULL };

static struct bus_told look(const struct bus *b) {
        struct bus_tool_status status;
        struct bus_told now = { 0 };
        char text[UUID_TEXT_MAX];

        status_of(b, &status);
        bus_told_number(&now, TOLD_INITIALIZED, status.initialized);
        bus_told_text(&now, TOLD_ID, uuid_format(&status.id, text));
        bus_told_number(&now, TOLD_DEVICE, status.initialized ? status.device + 1u : 0);
        bus_told_text(&now, TOLD_AUTHORITY, status.authority);
        for (size_t i = 0; i < status.n_owned; i++)
                bus_told_text(&now, TOLD_OWNED, uuid_format(&status.owned[i], text));
        return now;
}

void bus_tell_tool(struct bus *b) {
        struct bus_told now;

        if (!bus_is_ready(b))
                return;
        now = look(b);
        bus_tell_different(b, BUS_ROOT, INTERFACE, told_names, &b->tool_told, &now);
}

/* ---- methods ---- */

static int refuse(sd_bus_message *m, int outcome, enum fault fault, const char *why) {
        if (outcome == BUS_E_BUSY)
                return bus_reply_fault(m, FAULT_BUSY,
                                       why ? why : "There are too many jobs: wait for one to end");
        return bus_reply_fault(m, fault ? fault : FAULT_FAILED, why);
}

static bool gives_job(sd_bus_message *m) {
        const char *member = sd_bus_message_get_member(m);

        return strcmp(member, "Initialize") != 0 && strcmp(member, "AddManufacturerAnchor") != 0;
}

static int start(struct bus *b, struct bus_client *client, sd_bus_message *m) {
        struct bus_tool_arguments a;
        enum fault fault = FAULT_NONE;
        const char *why = NULL;
        char path[BUS_PATH_MAX];
        uint32_t job = 0;
        int r;

        (void)sd_bus_message_sensitive(m); /* a PIN, or a token of a cloud */
        r = bus_tool_read(b, m, &a);
        if (r)
                return r < 0 ? r : 0;
        if (gives_job(m) && !bus_job_may_start(b, client))
                return bus_reply_fault(m, FAULT_LIMITS_EXCEEDED,
                                       "You have as many jobs as one user may have: wait for one to end");
        b->is_starting_job = true;
        r = b->control->client.tool_start(b->control->context, &client->caller, &a.request, &job, &fault,
                                          &why);
        b->is_starting_job = false;
        if (r > 0)
                return refuse(m, r, fault, why);
        if (r < 0)
                return r;
        if (job)
                r = bus_job_started(b, client, job, gives_job(m) ? NULL : m);
        if (r < 0 && gives_job(m))
                r = 0; /* nobody's, for want of memory; it goes on all the same */
        if (r >= 0 && gives_job(m))
                r = sd_bus_reply_method_return(m, "o", job ? bus_path(path, BUS_JOBS, job) : "/");
        else if (r >= 0 && !job)
                r = sd_bus_reply_method_return(m, NULL);
        if (job)
                bus_tell_job(b, job);
        return r;
}

static int start_if_allowed(struct bus *b, struct bus_client *client, sd_bus_message *m) {
        return bus_if_authorized(b, client, m, BUS_NAME ".onboard", start);
}

static int on_method(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        return bus_client_method(userdata, m, start_if_allowed);
}

/* ---- properties ---- */

#define GETTER(name)                                                                                         \
        static int name(sd_bus *bus, const char *path, const char *interface, const char *property,          \
                        sd_bus_message *reply, void *userdata, sd_bus_error *error)

GETTER(initialized) {
        struct bus_tool_status status;

        status_of(userdata, &status);
        return sd_bus_message_append(reply, "b", (int)status.initialized);
}

GETTER(device_id) {
        struct bus_tool_status status;
        char text[UUID_TEXT_MAX];

        status_of(userdata, &status);
        return sd_bus_message_append_basic(reply, 's',
                                           status.initialized ? uuid_format(&status.id, text) : "");
}

GETTER(device) {
        struct bus_tool_status status;
        char at[BUS_PATH_MAX];

        status_of(userdata, &status);
        return sd_bus_message_append_basic(
                reply, 'o', status.initialized ? bus_path(at, BUS_DEVICES, status.device) : "/");
}

GETTER(authority) {
        struct bus_tool_status status;

        status_of(userdata, &status);
        return sd_bus_message_append_basic(reply, 's', status.authority);
}

GETTER(owned) {
        struct bus_tool_status status;
        char text[UUID_TEXT_MAX];
        int r;

        status_of(userdata, &status);
        r = sd_bus_message_open_container(reply, 'a', "s");
        for (size_t i = 0; r >= 0 && i < status.n_owned; i++)
                r = sd_bus_message_append_basic(reply, 's', uuid_format(&status.owned[i], text));
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

#define JOB(name, ...)                                                                                       \
        SD_BUS_METHOD_WITH_ARGS(name, SD_BUS_ARGS(__VA_ARGS__), SD_BUS_RESULT("o", job), on_method,          \
                                SD_BUS_VTABLE_UNPRIVILEGED)
#define DONE(name, ...)                                                                                      \
        SD_BUS_METHOD_WITH_ARGS(name, SD_BUS_ARGS(__VA_ARGS__), SD_BUS_NO_RESULT, on_method,                 \
                                SD_BUS_VTABLE_UNPRIVILEGED)

static const sd_bus_vtable vtable[] = {
        SD_BUS_VTABLE_START(0),
        DONE("Initialize", "a{sv}", options),
        JOB("Own", "o", device, "a{sv}", options),
        JOB("Reset", "o", device, "a{sv}", options),
        JOB("SetState", "o", device, "s", state),
        JOB("Pair", "o", device, "o", other),
        JOB("IssueIdentity", "o", device),
        JOB("IssueRole", "o", device, "as", roles),
        JOB("AddTrustAnchor", "o", device, "s", subject, "s", certificate, "s", usage),
        JOB("AddAccess", "o", device, "s", subject, "as", hrefs, "s", permission),
        JOB("RemoveAccess", "o", device, "i", aceid),
        JOB("RemoveCredential", "o", device, "i", credid),
        JOB("ConfigureCloud", "o", device, "a{ss}", configuration),
        JOB("SetDomain", "o", device, "s", name, "b", private),
        DONE("AddManufacturerAnchor", "s", certificate),
        SD_BUS_PROPERTY("Initialized", "b", initialized, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("DeviceId", "s", device_id, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Device", "o", device, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Authority", "s", authority, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Owned", "as", owned, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_VTABLE_END,
};

int bus_tool_add(struct bus *b) {
        b->tool_told = look(b);
        return sd_bus_add_object_vtable(b->bus, NULL, BUS_ROOT, INTERFACE, vtable, b);
}
