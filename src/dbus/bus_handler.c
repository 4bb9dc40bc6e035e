#include "base/memory.h"
#include "dbus/bus_private.h"

#include <errno.h>
#include <string.h>

/*
 * Handlers behind the bus: a request becomes a call of the app's Handler1;
 * whatever comes back, or does not until the deadline, becomes an answer.
 *
 * A bus lets one connection wait for so many replies only (dbus-daemon: 128 on
 * the system bus), and counts those that an app never gives until it leaves. So
 * calls wait here for their turn, and what is owed is counted per app and user.
 */

struct bus_handler {
        struct handler handler;
        struct list link;          /* of its client */
        struct bus_client *client; /* NULL: gone, only the model still knows the handler */
        char *object;              /* NULL: published */
};

struct handler_call {
        struct list link;  /* of the bus */
        struct list queue; /* of the client, while it waits for its turn */
        struct bus *bus;
        struct bus_client *client;
        struct call *call;       /* NULL: answered, in vain was it waited for; the reply is owed */
        sd_bus_message *message; /* NULL: sent */
        sd_bus_slot *slot;
};

/* ---- the answer ---- */

static void dispatch(struct bus *b);

static void call_free(struct handler_call *hc) {
        struct bus_client *c = hc->client;

        if (hc->message) {
                hc->bus->n_calls_queued--;
                sd_bus_message_unref(hc->message);
        } else {
                hc->bus->n_calls_sent--;
                c->n_sent--;
                c->n_owed -= !hc->call;
        }
        c->n_calls--;
        list_unlink(&hc->queue);
        list_unlink(&hc->link);
        sd_bus_slot_unref(hc->slot);
        ocf_free(hc);
}

static void finish(struct handler_call *hc, const struct ocf_response *response) {
        struct call *call = hc->call;
        struct bus *b = hc->bus;

        call_free(hc);
        if (call)
                call_answer(call, response);
        dispatch(b);
}

static void finish_with_fault(struct handler_call *hc, enum fault fault, const char *why) {
        struct ocf_response response = OCF_RESPONSE_FAULT(fault);

        response.diagnostic = why;
        finish(hc, &response);
}

static int on_reply(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        struct handler_call *hc = userdata;
        struct ocf_response response;

        if (!hc->call) { /* too late: nobody waits any more */
                finish(hc, NULL);
                return 0;
        }
        bus_answer_read(hc->bus, m, hc->call, &response);
        finish(hc, &response);
        return 0;
}

/* ---- the request ---- */

static const char *method_word(const struct call *call) {
        switch (call->request.method) {
        case COAP_GET:
                return "retrieve";
        case COAP_DELETE:
                return "delete";
        default: /* POST and PUT; nothing else comes through an interface */
                return call->interface == INTERFACE_CREATE ? "create" : "update";
        }
}

static int append_text(sd_bus_message *m, const char *key, struct span s) {
        char *text = ocf_duplicate_span_as_string(s);
        int r = text ? sd_bus_message_append(m, "{sv}", key, "s", text) : -ENOMEM;

        ocf_free(text);
        return r;
}

static int append_value(sd_bus_message *m, struct span rep) {
        int r = sd_bus_message_open_container(m, 'e', "sv");

        if (r >= 0)
                r = sd_bus_message_append_basic(m, 's', "value");
        if (r >= 0)
                r = value_append(m, rep);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

int bus_append_subject(sd_bus_message *m, const struct subject *s) {
        char id[UUID_TEXT_MAX];

        switch (s->kind) {
        case SUBJECT_AUTH_CRYPT:
                return sd_bus_message_append(m, "{sv}", "device_id", "s", uuid_format(&s->id, id));
        case SUBJECT_LOCAL:
                return sd_bus_message_append(m, "{sv}", "uid", "u", s->uid);
        case SUBJECT_ANON_CLEAR:
                break;
        }
        return 0;
}

static int append_request(sd_bus_message *m, const struct call *call, uint64_t timeout_ms) {
        const struct ocf_request *q = &call->request;
        int r = sd_bus_message_open_container(m, 'a', "{sv}");

        if (r >= 0)
                r = sd_bus_message_append(m, "{sv}{sv}{sv}{sv}", "interface", "s",
                                          interface_name(call->interface), "secure", "b",
                                          q->subject.kind == SUBJECT_AUTH_CRYPT, "notify", "b",
                                          (int)q->notify, "timeout_ms", "u", (uint32_t)timeout_ms);
        if (r >= 0 && q->query.n)
                r = append_text(m, "query", q->query);
        if (r >= 0 && q->payload.data)
                r = append_value(m, q->payload);
        if (r >= 0)
                r = bus_append_subject(m, &q->subject);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int make_message(struct bus_handler *h, const struct resource *resource, struct handler_call *hc,
                        uint64_t timeout_ms) {
        OCF_CLEANUP(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r = sd_bus_message_new_method_call(hc->bus->bus, &m, h->client->name, h->object,
                                               BUS_NAME ".Handler1", "Handle");

        if (r >= 0)
                r = sd_bus_message_append(m, "ss", method_word(hc->call), resource->href);
        if (r >= 0)
                r = append_request(m, hc->call, timeout_ms);
        if (r < 0)
                return r;
        hc->message = m;
        m = NULL;
        return 0;
}

static void refuse_call(struct call *call, enum fault fault, const char *why) {
        struct ocf_response response = OCF_RESPONSE_FAULT(fault);

        response.diagnostic = why;
        response.max_age_s = fault == FAULT_BUSY || fault == FAULT_UNAVAILABLE ? 1 : -1;
        call_answer(call, &response);
}

static void handler_request(struct handler *handler, const struct resource *resource, struct call *call) {
        struct bus_handler *h = OCF_CONTAINER_OF(handler, struct bus_handler, handler);
        struct bus_client *c = h->client;
        struct handler_call *hc;
        uint64_t now_ms;

        if (!c || c->is_gone || !c->bus->bus) {
                refuse_call(call, FAULT_UNAVAILABLE, NULL);
                return;
        }
        if (c->channel &&
            c->bus->control->channel_request(c->bus->control->context, c->channel, resource, call))
                return;
        if (c->n_owed >= CLIENT_OWED_MAX) {
                refuse_call(call, FAULT_BUSY,
                            "The application has not answered earlier requests: see whether it hangs, with "
                            "ocfctl apps");
                return;
        }
        if (c->n_calls >= CLIENT_CALLS_MAX) {
                refuse_call(call, FAULT_BUSY,
                            "The application has many requests to answer already: try again shortly");
                return;
        }
        hc = ocf_new(struct handler_call);
        if (!hc) {
                refuse_call(call, FAULT_BUSY, NULL);
                return;
        }
        hc->bus = c->bus;
        hc->client = c;
        hc->call = call;
        now_ms = c->bus->control->now(c->bus->control->context);
        if (make_message(h, resource, hc, call->deadline_ms > now_ms ? call->deadline_ms - now_ms : 1) < 0) {
                ocf_free(hc);
                refuse_call(call, FAULT_FAILED,
                            "The request cannot be passed on to the application over the bus");
                return;
        }
        list_link_tail(&c->bus->calls, &hc->link);
        list_link_tail(&c->queue, &hc->queue);
        c->n_calls++;
        c->bus->n_calls_queued++;
        c->bus->calls_due_us = 0; /* bus_calls_expire() looks when */
        dispatch(c->bus);
}

void bus_channel_close(struct bus_client *client) {
        const struct bus_control *control = client->bus->control;
        struct channel *channel = client->channel;

        client->channel = NULL;
        if (channel)
                control->channel_close(control->context, channel);
}

/* ---- whose turn it is ---- */

static size_t calls_sent_to(const struct bus *b, uint32_t uid) {
        size_t n = 0;

        LIST_FOR_EACH(i, &b->clients) {
                const struct bus_client *c = LIST_ENTRY(i, struct bus_client, link);

                if (c->is_known && c->caller.uid == uid)
                        n += c->n_sent;
        }
        return n;
}

static bool has_turn(const struct bus_client *c) {
        const struct bus *b = c->bus;

        if (c->is_gone || list_is_empty(&c->queue) || b->n_calls_sent >= CALLS_SENT_MAX)
                return false;
        if (c->n_owed >= CLIENT_OWED_MAX)
                return false;
        /* More than its share only while others need little of theirs. */
        if (c->n_sent >= CLIENT_SENT_SHARE && b->n_calls_sent >= CALLS_SENT_MAX / 2)
                return false;
        return calls_sent_to(b, c->caller.uid) < UID_SENT_MAX;
}

static void send_first(struct bus_client *c) {
        struct handler_call *hc = LIST_ENTRY(list_first(&c->queue), struct handler_call, queue);
        sd_bus_message *m = hc->message;
        int r;

        hc->message = NULL;
        list_unlink(&hc->queue);
        c->n_sent++;
        c->bus->n_calls_sent++;
        c->bus->n_calls_queued--;
        /* No limit of sd-bus's: what it gave up the bus would still count. */
        r = sd_bus_call_async(c->bus->bus, &hc->slot, m, on_reply, hc, UINT64_MAX);
        sd_bus_message_unref(m);
        if (r < 0)
                finish_with_fault(hc, FAULT_FAILED,
                                  "The request cannot be passed on to the application over the bus");
}

static void dispatch(struct bus *b) {
        bool any = true;

        if (b->is_dispatching) /* what is answered in here asks again; the loop below sees it */
                return;
        b->is_dispatching = true;
        while (any && b->n_calls_queued) {
                any = false;
                LIST_FOR_EACH(i, &b->clients) {
                        struct bus_client *c = LIST_ENTRY(i, struct bus_client, link);

                        if (has_turn(c)) {
                                send_first(c);
                                any = true;
                        }
                }
        }
        b->is_dispatching = false;
}

/* Its deadline has come: it is answered, and if it was sent its reply is owed. */
static void expire(struct handler_call *hc) {
        struct ocf_response response = OCF_RESPONSE_FAULT(FAULT_TIMEOUT);
        struct call *call = hc->call;

        hc->call = NULL;
        if (hc->message)
                call_free(hc);
        else
                hc->client->n_owed++;
        call_answer(call, &response);
}

void bus_calls_expire(struct bus *b, uint64_t now_us) {
        uint64_t now_ms, next_ms = OCF_NEVER;
        bool again;

        if (b->calls_due_us > now_us)
                return;
        now_ms = b->control->now(b->control->context);
        do { /* from the start after each: what is answered may do anything to the list */
                again = false;
                next_ms = OCF_NEVER;
                LIST_FOR_EACH(i, &b->calls) {
                        struct handler_call *hc = LIST_ENTRY(i, struct handler_call, link);

                        if (!hc->call)
                                continue;
                        if (hc->call->deadline_ms <= now_ms) {
                                expire(hc);
                                again = true;
                                break;
                        }
                        next_ms = ocf_min_u64(next_ms, hc->call->deadline_ms);
                }
        } while (again);
        b->calls_due_us = next_ms == OCF_NEVER ? OCF_NEVER : now_us + (next_ms - now_ms) * 1000;
}

/* ---- made and lost ---- */

static void handler_release_(struct handler *handler) {
        struct bus_handler *h = OCF_CONTAINER_OF(handler, struct bus_handler, handler);

        list_unlink(&h->link);
        ocf_free(h->object);
        ocf_free(h);
}

static void handler_updated(struct handler *handler, const struct resource *resource,
                            const struct ocf_request *cause) {
        struct bus_handler *h = OCF_CONTAINER_OF(handler, struct bus_handler, handler);

        if (h->client && h->client->bus->bus)
                bus_updates_tell(h->client, resource, cause);
}

static const struct handler_vtable handled = {
        .request = handler_request,
        .release = handler_release_,
};

static const struct handler_vtable published = {
        .updated = handler_updated,
        .release = handler_release_,
};

int bus_handler_obtain(struct bus_client *client, const char *object, struct handler **ret) {
        struct bus_handler *h;

        LIST_FOR_EACH(i, &client->handlers) {
                h = LIST_ENTRY(i, struct bus_handler, link);
                if (object ? h->object && strcmp(h->object, object) == 0 : !h->object) {
                        *ret = &h->handler;
                        return 0;
                }
        }
        h = ocf_new(struct bus_handler);
        if (!h)
                return -ENOMEM;
        h->object = ocf_duplicate_string(object);
        if (object && !h->object) {
                ocf_free(h);
                return -ENOMEM;
        }
        h->handler.vtable = object ? &handled : &published;
        h->client = client;
        list_link_tail(&client->handlers, &h->link);
        *ret = &h->handler;
        return 0;
}

void bus_handlers_unused(struct bus_client *client) {
        LIST_FOR_EACH_SAFE(i, &client->handlers) {
                struct bus_handler *h = LIST_ENTRY(i, struct bus_handler, link);

                if (!h->handler.n_references)
                        handler_release_(&h->handler);
        }
}

void bus_handlers_lost(struct bus_client *client) {
        struct bus *b = client->bus;
        struct ocf_response response = OCF_RESPONSE_FAULT(FAULT_UNAVAILABLE);

        response.max_age_s = 1;
        client->is_gone = true;
        LIST_FOR_EACH_SAFE(i, &client->handlers) { /* first, so that no new call comes of the answers */
                struct bus_handler *h = LIST_ENTRY(i, struct bus_handler, link);

                list_unlink(i);
                h->client = NULL;
                if (!h->handler.n_references)
                        handler_release_(&h->handler);
        }
        bus_channel_close(client);
        while (client->n_calls)
                LIST_FOR_EACH(i, &b->calls) {
                        struct handler_call *hc = LIST_ENTRY(i, struct handler_call, link);

                        if (hc->client == client) {
                                finish(hc, &response);
                                break;
                        }
                }
}
