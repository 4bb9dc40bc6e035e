/*
 * What the bus asks of the daemon (dbus/control.h): apps.d has its say, then
 * the model or the pipeline does it.
 */
#include "daemon/daemon_private.h"
#include "daemon/clock.h"
#include "daemon/control_security.h"
#include "daemon/diag.h"

#include <errno.h>
#include <string.h>

static uint64_t control_now(void *context) {
        return clock_now_ms();
}

static int control_register(void *context, const struct bus_caller *caller, uint16_t device,
                            const struct app_spec *app, const struct resource_spec *specs, size_t n_specs,
                            struct app **ret, struct model_refusal *refusal) {
        struct daemon *d = context;
        int r = 0;

        for (size_t i = 0; i < n_specs && !r; i++)
                if (!apps_may_register(d->apps, caller, &specs[i], refusal))
                        r = MODEL_E_REFUSED;
        if (!r)
                r = model_register(d->model, clock_now_ms(), device, app, specs, n_specs, ret, refusal);
        if (r == MODEL_E_REFUSED) {
                diag_app_refused(app->name ? app->name : caller->name, caller->uid, refusal->text);
                return BUS_E_REFUSED;
        }
        if (r < 0)
                return r;
        diag_app_registered((*ret)->name, caller->uid, n_specs);
        return 0;
}

static void control_unregister(void *context, struct app *app, struct resource *resource) {
        struct daemon *d = context;

        model_unregister(d->model, app, resource);
}

static int control_publish(void *context, struct resource *resource, struct span rep, bool replace,
                           struct model_refusal *refusal) {
        int r = resource_publish(resource, rep, replace, refusal);

        return r == MODEL_E_REFUSED ? BUS_E_REFUSED : r;
}

static void control_changed(void *context, struct resource *resource) {
        resource_changed(resource);
}

static void app_vanished(struct daemon *d, struct app *app) {
        diag_app_vanished(app->name, app->uid, app->linger_ms);
        model_app_vanished(d->model, app, clock_now_ms());
}

static void control_vanished(void *context, const char *owner) {
        struct daemon *d = context;
        struct app *app = model_app_by_owner(d->model, owner);

        if (app)
                app_vanished(d, app);
}

static void control_bus_lost(void *context) {
        struct daemon *d = context;

        LIST_FOR_EACH_SAFE(i, &d->model->apps) {
                struct app *app = LIST_ENTRY(i, struct app, link);

                if (app->owner)
                        app_vanished(d, app);
        }
}

static void control_request(void *context, const struct bus_caller *caller, struct call *call) {
        struct daemon *d = context;
        struct resource *r = model_resource_find(d->model, call->request.device, call->request.path);
        struct ocf_response refused = OCF_RESPONSE_FAULT(FAULT_NOT_ALLOWED);
        struct model_refusal refusal;
        bool own = r && r->app && r->app->owner && strcmp(r->app->owner, caller->name) == 0;

        if (r && !own && !apps_may_use(d->apps, caller, r->href, &refusal)) {
                refused.diagnostic = refusal.text;
                call_answer(call, &refused);
                return;
        }
        pipeline_request(d->pipeline, call);
}

static int control_channel_open(void *context, const struct bus_caller *caller, struct channel **ret,
                                int *ret_fd) {
        int r = channel_new(ret, ((struct daemon *)context)->channels, caller->uid, ret_fd);

        return r == CHANNEL_E_TOO_MANY ? BUS_E_REFUSED : r;
}

static bool control_channel_request(void *context, struct channel *channel, const struct resource *resource,
                                    struct call *call) {
        return channel_request(channel, resource, call);
}

static void control_channel_close(void *context, struct channel *channel) {
        channel_free(channel);
}

static size_t control_interfaces(void *context, const struct bus_interface_status **ret) {
        return status_interfaces(&((struct daemon *)context)->status, ret);
}

static size_t control_notices(void *context, const struct bus_notice **ret) {
        return status_notices(&((struct daemon *)context)->status, ret);
}

static size_t control_counters(void *context, const struct bus_counter **ret) {
        return status_counters(&((struct daemon *)context)->status, ret);
}

void daemon_fill_control(struct daemon *d) {
        d->control = (struct bus_control){
                .context = d,
                .model = d->model,
                .version = OCFD_VERSION,
                .started_us = clock_us(CLOCK_REALTIME),
                .allow_insecure = d->config->allow_insecure,
                .now = control_now,
                .register_app = control_register,
                .unregister = control_unregister,
                .publish = control_publish,
                .changed = control_changed,
                .vanished = control_vanished,
                .bus_lost = control_bus_lost,
                .request = control_request,
                .channel_open = control_channel_open,
                .channel_request = control_channel_request,
                .channel_close = control_channel_close,
                .interfaces = control_interfaces,
                .notices = control_notices,
                .counters = control_counters,
        };
        control_fill_security(d);
        control_fill_client(d);
}
