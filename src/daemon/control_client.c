#include "daemon/clock.h"
#include "daemon/control_security.h"
#include "daemon/daemon_private.h"
#include "daemon/jobs.h"

#include <errno.h>
#include <string.h>

/*
 * What the bus asks of the client and of the onboarding tool
 * (dbus/control_client.h): apps.d has its say, then they do it.
 */

static bool may_reach(struct daemon *d, const struct bus_caller *caller, const struct uuid *device,
                      const char *href, const char **ret_why) {
        static struct model_refusal refusal; /* its sentence lives until control returns to the loop */

        if (apps_may_reach(d->apps, caller, device, href, &refusal))
                return true;
        *ret_why = refusal.text;
        return false;
}

static uint32_t patience(uint32_t timeout_ms) {
        if (!timeout_ms)
                return CLIENT_DISCOVER_MS;
        return timeout_ms < CLIENT_DISCOVER_MAX_MS ? timeout_ms : CLIENT_DISCOVER_MAX_MS;
}

static bool discovering(void *context) {
        return client_is_discovering(((struct daemon *)context)->client);
}

static int discover(void *context, const struct bus_caller *caller, uint32_t timeout_ms, bus_heard *done,
                    void *done_context, const char **ret_why) {
        struct daemon *d = context;
        int r = client_discover(d->client, patience(timeout_ms), done, done_context);

        if (!r)
                bus_tell_client(d->bus);
        return r ? BUS_E_BUSY : 0;
}

static int add_address(void *context, const char *address, uint32_t timeout_ms, bus_heard *done,
                       void *done_context, const char **ret_why) {
        struct daemon *d = context;
        int r = client_add_address(d->client, address, patience(timeout_ms), done, done_context);

        if (!r)
                bus_tell_client(d->bus);
        if (r == -EINVAL)
                *ret_why = "This is no address: 192.0.2.7, [2001:db8::7]:5683 or [fe80::1%eth0] are such";
        if (r == -ENOSPC)
                *ret_why = "There are 64 addresses already: remove one first";
        return r == -EINVAL || r == -ENOSPC ? BUS_E_REFUSED : r ? BUS_E_BUSY : 0;
}

static int remove_address(void *context, const char *address) {
        struct daemon *d = context;

        if (client_remove_address(d->client, address))
                return BUS_E_REFUSED;
        bus_tell_client(d->bus);
        return 0;
}

static size_t addresses(void *context, const char *const **ret) {
        return client_addresses(((struct daemon *)context)->client, ret);
}

static int refresh(void *context, const struct bus_caller *caller, const struct uuid *device, bus_heard *done,
                   void *done_context, const char **ret_why) {
        struct daemon *d = context;

        if (!may_reach(d, caller, device, "", ret_why))
                return BUS_E_REFUSED;
        return client_refresh(d->client, device, done, done_context) ? BUS_E_BUSY : 0;
}

static int forget(void *context, const struct uuid *id) {
        struct daemon *d = context;
        struct remote_device *device = remotes_find(client_remotes(d->client), id);

        if (!device)
                return BUS_E_REFUSED;
        if (keyring_has(tool_keyring(d->tool), id))
                return BUS_E_BUSY;
        remote_forget(device);
        return 0;
}

static const char *session(void *context, const struct uuid *device) {
        struct daemon *d = context;
        const struct session *s = outgoing_session_of(client_outgoing(d->client), device);

        return !s ? "none" : s->svr.by_certificate ? "certificate" : "psk";
}

static enum bus_mode mode(void *context, const struct uuid *device, const char *href) {
        return client_mode(((struct daemon *)context)->client, device, href);
}

static void request(void *context, const struct bus_caller *caller, const struct uuid *device,
                    enum bus_channel_wish wish, struct call *call) {
        struct ocf_response refused = OCF_RESPONSE_FAULT(FAULT_NOT_ALLOWED);
        struct daemon *d = context;
        char href[MODEL_HREF_MAX + 1];

        if (call->request.path.n > MODEL_HREF_MAX) {
                refused.fault = FAULT_INVALID_ARGUMENTS;
                call_answer(call, &refused);
                return;
        }
        memcpy(href, call->request.path.data, call->request.path.n);
        href[call->request.path.n] = 0;
        if (!may_reach(d, caller, device, href, &refused.diagnostic))
                call_answer(call, &refused);
        else
                client_request(d->client, device, wish, call);
}

static int observe(void *context, const struct bus_caller *caller, const struct bus_observe_spec *spec,
                   struct bus_observer *o, const char **ret_why) {
        struct daemon *d = context;

        if (!may_reach(d, caller, &spec->device, spec->href, ret_why))
                return BUS_E_REFUSED;
        return client_observe(d->client, spec, o) ? BUS_E_BUSY : 0;
}

static void unobserve(void *context, struct bus_observer *o) {
        client_unobserve(((struct daemon *)context)->client, o);
}

static void repeat(void *context, struct bus_observer *o) {
        client_observe_repeat(((struct daemon *)context)->client, o);
}

/* ---- the onboarding tool ---- */

static void tool_status(void *context, struct bus_tool_status *ret) {
        struct daemon *d = context;
        const struct device *device = tool_device(d->tool);

        *ret = (struct bus_tool_status){ .initialized = device, .authority = "" };
        if (!device)
                return;
        ret->id = device->di;
        ret->device = device->index;
        ret->authority = (const char *)authority_root(tool_authority(d->tool)).data;
        ret->n_owned = keyring_devices(tool_keyring(d->tool), &ret->owned);
}

static int tool_start(void *context, const struct bus_caller *caller, const struct bus_tool_request *q,
                      uint32_t *ret_job, enum fault *ret_fault, const char **ret_why) {
        return jobs_start(((struct daemon *)context)->jobs, q, ret_job, ret_fault, ret_why);
}

static bool job(void *context, uint32_t number, struct bus_job *ret) {
        return jobs_find(((struct daemon *)context)->jobs, number, ret);
}

static size_t jobs(void *context, const uint32_t **ret) {
        return jobs_list(((struct daemon *)context)->jobs, ret);
}

static void job_cancel(void *context, uint32_t number) {
        jobs_cancel(((struct daemon *)context)->jobs, number);
}

static void job_pin(void *context, uint32_t number, const char *pin) {
        jobs_pin(((struct daemon *)context)->jobs, number, pin);
}

void control_fill_client(struct daemon *d) {
        d->control.client = (struct bus_client_control){
                .remotes = client_remotes(d->client),
                .discovering = discovering,
                .discover = discover,
                .add_address = add_address,
                .remove_address = remove_address,
                .addresses = addresses,
                .refresh = refresh,
                .forget = forget,
                .session = session,
                .mode = mode,
                .request = request,
                .observe = observe,
                .unobserve = unobserve,
                .repeat = repeat,
                .tool_status = tool_status,
                .tool_start = tool_start,
                .job = job,
                .jobs = jobs,
                .job_cancel = job_cancel,
                .job_pin = job_pin,
        };
}
