#include "base/memory.h"
#include "dbus/bus_private.h"
#include "model/remote.h"

#include <errno.h>
#include <stdio.h>

/*
 * Those who follow a resource of another device. The daemon has one observation
 * for all of them and pushes each value once; one that lags is told the newest
 * when it has caught up, how many it missed, and whether there was a gap in what
 * came from the network.
 */

#define INTERFACE BUS_NAME ".RemoteResource1"

/* A resource that somebody here follows, for what is told of its mode. */
struct observed {
        struct list link;
        struct uuid device;
        uint32_t number;
        enum bus_mode mode;
        size_t n_observers;
};

struct observer {
        struct list link; /* of its client */
        struct bus_observer observer;
        struct bus_client *client;
        struct observed *observed;
        sd_bus_message *first; /* the Observe that waits for its reply */
        bool due, gap;
        uint64_t n_missed;
};

/* ---- the mode of a resource ---- */

static void tell_mode(struct bus *b, struct observed *o, enum bus_mode mode) {
        char path[BUS_PATH_MAX];

        if (o->mode == mode)
                return;
        o->mode = mode;
        if (bus_is_ready(b))
                (void)sd_bus_emit_properties_changed(b->bus,
                                                     bus_remote_resource_path(path, &o->device, o->number),
                                                     INTERFACE, "Mode", NULL);
}

static struct observed *observed_obtain(struct bus *b, const struct remote_resource *r) {
        struct observed *o;

        LIST_FOR_EACH(i, &b->observed) {
                o = LIST_ENTRY(i, struct observed, link);
                if (o->number == r->number && uuid_equal(&o->device, &r->device->id)) {
                        o->n_observers++;
                        return o;
                }
        }
        o = ocf_new(struct observed);
        if (!o)
                return NULL;
        o->device = r->device->id;
        o->number = r->number;
        o->n_observers = 1;
        list_link_tail(&b->observed, &o->link);
        return o;
}

static void observed_release(struct bus *b, struct observed *o) {
        if (!o || --o->n_observers)
                return;
        tell_mode(b, o, BUS_MODE_NONE);
        list_unlink(&o->link);
        ocf_free(o);
}

/* ---- made and freed ---- */

/* What the control has of it is over. */
static void observer_free(struct observer *o) {
        struct bus *b = o->client->bus;

        list_unlink(&o->link);
        o->client->n_observers--;
        observed_release(b, o->observed);
        sd_bus_message_unref(o->first);
        ocf_free(o);
}

static void observer_drop(struct observer *o) {
        const struct bus_control *control = o->client->bus->control;

        control->client.unobserve(control->context, &o->observer);
        if (o->first) /* a later Observe or StopObserve came in between; one that left does not hear it */
                (void)bus_reply_fault(o->first, FAULT_FAILED, "You have ended this observation yourself");
        observer_free(o);
}

static struct observer *observer_find(const struct bus_client *c, const struct uuid *device,
                                      uint32_t number) {
        LIST_FOR_EACH(i, &c->observers) {
                struct observer *o = LIST_ENTRY(i, struct observer, link);

                if (o->observed->number == number && uuid_equal(&o->observed->device, device))
                        return o;
        }
        return NULL;
}

void bus_observers_drop(struct bus_client *c) {
        while (!list_is_empty(&c->observers))
                observer_drop(LIST_ENTRY(list_first(&c->observers), struct observer, link));
}

/* ---- telling ---- */

static int append(sd_bus_message *m, const struct observer *o, const struct bus_notification *n) {
        struct bus_notification whole = *n;

        whole.gap |= o->gap; /* of one that it missed */
        return bus_append_notification(m, &whole, o->n_missed);
}

static int signal_new(struct observer *o, sd_bus_message **ret) {
        char path[BUS_PATH_MAX];
        int r = sd_bus_message_new_signal(
                o->client->bus->bus, ret,
                bus_remote_resource_path(path, &o->observed->device, o->observed->number), INTERFACE,
                "Notified");

        return r < 0 ? r : sd_bus_message_set_destination(*ret, o->client->name);
}

static void send_notified(struct observer *o, const struct bus_notification *n) {
        sd_bus_message *m = NULL;
        int r = signal_new(o, &m);

        if (r >= 0)
                r = append(m, o, n);
        if (r >= 0)
                r = sd_bus_send(o->client->bus->bus, m, NULL);
        sd_bus_message_unref(m);
        if (r < 0) {
                o->n_missed++;
                return;
        }
        bus_client_was_sent(o->client, n->response->rep.n + n->response->raw.n);
        o->n_missed = 0;
        o->gap = false;
}

static void send_end(struct observer *o, enum fault fault) {
        sd_bus_message *m = NULL;
        char name[64];
        int r = signal_new(o, &m);

        snprintf(name, sizeof(name), BUS_NAME ".Error.%s", fault_row(fault)->name);
        if (r >= 0)
                r = value_append(m, SPAN_LITERAL("\xf6"));
        if (r >= 0)
                r = sd_bus_message_append(m, "a{sv}", 1, "error", "s", name);
        if (r >= 0)
                (void)sd_bus_send(o->client->bus->bus, m, NULL);
        sd_bus_message_unref(m);
}

static void reply_first(struct observer *o, const struct bus_notification *n) {
        sd_bus_message *reply = NULL;
        int r = sd_bus_message_new_method_return(o->first, &reply);

        if (r >= 0)
                r = append(reply, o, n);
        if (r >= 0)
                r = sd_bus_send(NULL, reply, NULL);
        if (r < 0)
                (void)bus_reply_fault(o->first, FAULT_FAILED, "The answer cannot be carried over the bus");
        sd_bus_message_unref(reply);
        bus_client_was_sent(o->client, n->response->rep.n + n->response->raw.n);
        o->first = sd_bus_message_unref(o->first);
}

static void end(struct observer *o, const struct ocf_response *response) {
        if (o->first)
                (void)bus_reply_fault(o->first, response->fault, bus_response_text(response));
        else
                send_end(o, response->fault);
        observer_free(o);
}

static void on_notified(struct bus_observer *observer, const struct bus_notification *n) {
        struct observer *o = OCF_CONTAINER_OF(observer, struct observer, observer);

        if (n->response->fault) {
                end(o, n->response);
                return;
        }
        tell_mode(o->client->bus, o->observed, n->mode);
        if (o->first) {
                reply_first(o, n);
        } else if (bus_client_may_signal(o->client)) {
                o->due = false;
                send_notified(o, n);
        } else {
                if (o->due)
                        o->n_missed++;
                o->gap |= n->gap;
                o->due = true; /* bus_observers_flush() comes back to it */
        }
}

void bus_observers_flush(struct bus_client *c) {
        const struct bus_control *control = c->bus->control;

        LIST_FOR_EACH_SAFE(i, &c->observers) {
                struct observer *o = LIST_ENTRY(i, struct observer, link);

                if (c->n_unproven >= CLIENT_WINDOW)
                        return; /* the next answer to a ping goes on with it */
                if (o->due)
                        control->client.repeat(control->context, &o->observer);
        }
}

/* ---- Observe and StopObserve ---- */

static int start(struct bus *b, struct bus_client *client, sd_bus_message *m, const struct remote_resource *r,
                 const struct bus_options *options) {
        const struct bus_observe_spec spec = {
                .device = r->device->id, .href = r->href, .query = options->query, .poll_ms = options->poll_ms
        };
        struct observer *o = ocf_new(struct observer);
        const char *why = NULL;
        int e;

        if (!o)
                return -ENOMEM;
        o->client = client;
        list_link_tail(&client->observers, &o->link);
        client->n_observers++;
        o->observer.notified = on_notified;
        list_init(&o->observer.link);
        o->observed = observed_obtain(b, r);
        o->first = sd_bus_message_ref(m);
        if (!o->observed) {
                observer_free(o);
                return -ENOMEM;
        }
        e = b->control->client.observe(b->control->context, &client->caller, &spec, &o->observer, &why);
        if (!e)
                return 0; /* and it may be over already */
        observer_free(o);
        if (e < 0)
                return e;
        return bus_reply_fault(m, e == BUS_E_BUSY ? FAULT_BUSY : FAULT_NOT_ALLOWED, why);
}

static const struct remote_resource *resource_of(struct bus *b, sd_bus_message *m) {
        const struct remote_device *d;
        struct uuid id;
        uint32_t number;

        if (!bus_remote_parse(sd_bus_message_get_path(m), &id, &number))
                return NULL;
        d = remotes_find(b->control->client.remotes, &id);
        return d ? remote_by_number(d, number) : NULL;
}

int bus_observe(struct bus *b, struct bus_client *client, sd_bus_message *m) {
        const struct remote_resource *resource = resource_of(b, m);
        struct bus_options options;
        struct observer *o;
        int r = bus_request_read_options(m, BUS_OPTIONS_OBSERVE_REMOTE, NULL, &options);

        if (r)
                return r < 0 ? r : 0;
        o = resource ? observer_find(client, &resource->device->id, resource->number) : NULL;
        if (!resource) {
                r = bus_reply_fault(m, FAULT_NOT_FOUND, "The device does not list this resource any more");
        } else if (!o && !bus_client_may_observe(client)) {
                r = bus_reply_fault(m, FAULT_LIMITS_EXCEEDED, "You observe too many resources already");
        } else {
                if (o)
                        observer_drop(o);
                r = start(b, client, m, resource, &options);
        }
        ocf_free(options.query);
        return r;
}

int bus_stop_observing(struct bus *b, struct bus_client *client, sd_bus_message *m) {
        struct observer *o;
        struct uuid id;
        uint32_t number;

        if (bus_remote_parse(sd_bus_message_get_path(m), &id, &number)) {
                o = observer_find(client, &id, number);
                if (o)
                        observer_drop(o);
        }
        return sd_bus_reply_method_return(m, NULL);
}
