#include "base/memory.h"
#include "dbus/bus_private.h"

#include <errno.h>
#include <string.h>

/*
 * Local observers. A representation is a state, not a stream: one that lags is
 * told the newest value and how many it missed, never all of them.
 */

struct bus_subscriber {
        struct list link;          /* of its client */
        struct bus_client *client; /* NULL: it left while the value was being retrieved */
        uint64_t resource;
        char *query;
        sd_bus_message *first; /* the Observe that waits for its reply */
        bool due, retrieving, ended;
        uint64_t n_missed;
};

static void subscriber_free(struct bus_subscriber *s) {
        if (s->client) {
                list_unlink(&s->link);
                s->client->n_subscribers--;
        }
        sd_bus_message_unref(s->first);
        ocf_free(s->query);
        ocf_free(s);
}

/* One whose value is being retrieved is freed when that is done. */
static void subscriber_drop(struct bus_subscriber *s) {
        if (s->first) { /* a later Observe or StopObserve came in between; one that left does not hear it */
                (void)bus_reply_fault(s->first, FAULT_FAILED, "You have ended this observation yourself");
                s->first = sd_bus_message_unref(s->first);
        }
        if (!s->retrieving) {
                subscriber_free(s);
                return;
        }
        list_unlink(&s->link);
        s->client->n_subscribers--;
        s->client = NULL;
}

static struct bus_subscriber *subscriber_find(const struct bus_client *c, uint64_t resource) {
        LIST_FOR_EACH(i, &c->subscribers) {
                struct bus_subscriber *s = LIST_ENTRY(i, struct bus_subscriber, link);

                if (s->resource == resource)
                        return s;
        }
        return NULL;
}

/* ---- telling ---- */

static int signal_new(struct bus_subscriber *s, sd_bus_message **ret) {
        struct bus *b = s->client->bus;
        char path[BUS_PATH_MAX];
        int r = sd_bus_message_new_signal(b->bus, ret, bus_path(path, BUS_RESOURCES, s->resource),
                                          BUS_NAME ".Resource1", "Notified");

        return r < 0 ? r : sd_bus_message_set_destination(*ret, s->client->name);
}

static void send_notified(struct bus_subscriber *s, const struct ocf_response *response) {
        sd_bus_message *m = NULL;
        int r = signal_new(s, &m);

        if (r >= 0)
                r = bus_append_answer(m, response, true, s->n_missed);
        if (r >= 0)
                r = sd_bus_send(s->client->bus->bus, m, NULL);
        if (r >= 0)
                s->n_missed = 0;
        sd_bus_message_unref(m);
}

static void send_end(struct bus_subscriber *s, const char *error) {
        sd_bus_message *m = NULL;
        int r = signal_new(s, &m);

        if (r >= 0)
                r = value_append(m, SPAN_LITERAL("\xf6"));
        if (r >= 0)
                r = sd_bus_message_append(m, "a{sv}", 1, "error", "s", error);
        if (r >= 0)
                (void)sd_bus_send(s->client->bus->bus, m, NULL);
        sd_bus_message_unref(m);
}

static void reply_first(struct bus_subscriber *s, const struct ocf_response *response) {
        sd_bus_message *reply = NULL;
        int r;

        if (response->fault) {
                (void)bus_reply_fault(s->first, response->fault, bus_response_text(response));
        } else {
                r = sd_bus_message_new_method_return(s->first, &reply);
                if (r >= 0)
                        r = bus_append_answer(reply, response, true, 0);
                if (r >= 0)
                        r = sd_bus_send(NULL, reply, NULL);
                if (r < 0)
                        (void)bus_reply_fault(s->first, FAULT_FAILED,
                                              "The answer cannot be carried over the bus");
                sd_bus_message_unref(reply);
        }
        s->first = sd_bus_message_unref(s->first);
}

static void retrieve(struct bus_subscriber *s);

static void on_retrieved(void *context, const struct ocf_response *response) {
        struct bus_subscriber *s = context;

        s->retrieving = false;
        if (!s->client) {
                subscriber_free(s);
                return;
        }
        if (s->first) {
                reply_first(s, response);
                if (response->fault) {
                        subscriber_free(s);
                        return;
                }
        } else if (response->fault) {
                s->n_missed++;
        } else {
                send_notified(s, response);
        }
        if (s->ended) {
                send_end(s, BUS_NAME ".Error.NotFound");
                subscriber_free(s);
        } else if (s->due) {
                retrieve(s);
        }
}

#define RETRIEVE_TIMEOUT_MS 5000u

static void retrieve(struct bus_subscriber *s) {
        struct bus *b = s->client->bus;
        struct resource *r = model_resource_by_number(b->control->model, s->resource);
        const struct bus_target target = { .resource = r };
        const struct bus_options options = { .query = s->query,
                                             .timeout_ms = RETRIEVE_TIMEOUT_MS,
                                             .accept = COAP_FORMAT_NONE };

        if (!r || s->retrieving)
                return;
        if (!s->first && !bus_client_may_signal(s->client))
                return; /* bus_subscribers_flush() comes back to it */
        s->due = false;
        s->retrieving = true;
        if (bus_request_start(b, s->client, &target, COAP_GET, &options, SPAN_NULL, on_retrieved, s) < 0) {
                s->retrieving = false;
                s->due = true;
        }
}

void bus_subscribers_tell(struct bus *b, const struct resource *r, unsigned news) {
        LIST_FOR_EACH(i, &b->clients) {
                struct bus_client *c = LIST_ENTRY(i, struct bus_client, link);
                struct bus_subscriber *s = subscriber_find(c, r->number);

                if (!s)
                        continue;
                if (news & MODEL_NEWS_REMOVED) {
                        s->ended = true;
                        if (!s->retrieving) {
                                send_end(s, BUS_NAME ".Error.NotFound");
                                subscriber_free(s);
                        }
                } else if (news & (MODEL_NEWS_VALUE | MODEL_NEWS_PROPERTIES) && resource_is_available(r)) {
                        if (s->due || s->retrieving)
                                s->n_missed++;
                        s->due = true;
                        retrieve(s);
                }
        }
}

void bus_subscribers_flush(struct bus_client *c) {
        LIST_FOR_EACH_SAFE(i, &c->subscribers) {
                struct bus_subscriber *s = LIST_ENTRY(i, struct bus_subscriber, link);

                if (s->due)
                        retrieve(s);
        }
}

void bus_subscribers_drop(struct bus_client *c) {
        while (!list_is_empty(&c->subscribers))
                subscriber_drop(LIST_ENTRY(list_first(&c->subscribers), struct bus_subscriber, link));
}

/* ---- Observe and StopObserve ---- */

static struct resource *resource_of(struct bus *b, sd_bus_message *m) {
        uint64_t number;

        return bus_path_number(sd_bus_message_get_path(m), BUS_RESOURCES, &number)
                       ? model_resource_by_number(b->control->model, number)
                       : NULL;
}

int bus_subscribe(struct bus *b, struct bus_client *client, sd_bus_message *m) {
        struct resource *resource = resource_of(b, m);
        struct bus_subscriber *s;
        struct bus_options options;
        char *query;
        int r = bus_request_read_options(m, BUS_OPTIONS_LOCAL, NULL, &options);

        if (r)
                return r < 0 ? r : 0;
        query = options.query;
        if (!resource || !resource->observable || !bus_client_may_observe(client)) {
                ocf_free(query);
                if (!resource)
                        return bus_reply_fault(m, FAULT_NOT_FOUND, NULL);
                return resource->observable ? bus_reply_fault(m, FAULT_LIMITS_EXCEEDED,
                                                              "You observe too many resources already")
                                            : bus_reply_fault(m, FAULT_METHOD_NOT_ALLOWED,
                                                              "The resource cannot be observed");
        }
        if (!bus_client_may_request(client, 0)) {
                ocf_free(query);
                return bus_reply_fault(m, FAULT_LIMITS_EXCEEDED,
                                       "Too many requests of yours are under way: wait for answers");
        }
        s = subscriber_find(client, resource->number);
        if (s)
                subscriber_drop(s);
        s = ocf_new(struct bus_subscriber);
        if (!s) {
                ocf_free(query);
                return -ENOMEM;
        }
        s->client = client;
        s->resource = resource->number;
        s->query = query;
        s->first = sd_bus_message_ref(m);
        list_link_tail(&client->subscribers, &s->link);
        client->n_subscribers++;
        s->due = true;
        retrieve(s);
        return 0;
}

int bus_unsubscribe(struct bus *b, struct bus_client *client, sd_bus_message *m) {
        struct resource *resource = resource_of(b, m);
        struct bus_subscriber *s = resource ? subscriber_find(client, resource->number) : NULL;

        if (s)
                subscriber_drop(s);
        return sd_bus_reply_method_return(m, NULL);
}
