#include "base/memory.h"
#include "dbus/bus_private.h"
#include "protocol/rep.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/*
 * Handlers behind the bus: a request becomes a call of the app's Handler1, with
 * the request's deadline; whatever comes back, or does not, becomes an answer.
 */

struct bus_handler {
        struct handler handler;
        struct list link;          /* of its client */
        struct bus_client *client; /* NULL: gone, only the model still knows the handler */
        char *object;              /* NULL: published */
};

struct handler_call {
        struct list link;
        struct bus *bus;
        struct bus_client *client;
        struct call *call;
        sd_bus_slot *slot;
};

/* A published value that somebody changed while the window was closed. */
struct update {
        struct list link;
        uint64_t resource;
        uint64_t n_missed;
};

/* ---- the answer ---- */

static void finish(struct handler_call *hc, const struct ocf_response *response) {
        struct call *call = hc->call;

        hc->client->n_calls--;
        list_unlink(&hc->link);
        sd_bus_slot_unref(hc->slot);
        ocf_free(hc);
        call_answer(call, response);
}

static uint8_t usual_code(const struct call *call) {
        switch (call->request.method) {
        case COAP_GET:
                return COAP_CONTENT;
        case COAP_DELETE:
                return COAP_DELETED;
        default: /* updates, and creations by one of the interfaces */
                return call->interface == INTERFACE_CREATE ? COAP_CREATED : COAP_CHANGED;
        }
}

/* "2.04" as 0x44; only successes, since faults are errors. */
static bool parse_code(const char *text, uint8_t *ret) {
        if (strlen(text) != 4 || text[0] != '2' || text[1] != '.' || text[2] < '0' || text[2] > '3' ||
            text[3] < '0' || text[3] > '9')
                return false;
        *ret = (uint8_t)COAP_CODE(2, (text[2] - '0') * 10 + text[3] - '0');
        return *ret >= COAP_CREATED && *ret <= COAP_CONTENT;
}

/* One pair of the response's map. Return: 0; VALUE_E_*; -EBADMSG for what makes no sense; other negative
 * errno. */
static int read_pair(sd_bus_message *m, struct bus *b, struct writer *value, struct ocf_response *ret) {
        const char *key, *code;
        uint32_t max_age;
        uint16_t format;
        int r = sd_bus_message_read_basic(m, 's', &key);

        if (r < 0)
                return r;
        if (strcmp(key, "value") == 0)
                return value_read(m, value);
        if (strcmp(key, "content_format") == 0) {
                r = sd_bus_message_read(m, "v", "q", &format);
                ret->raw_format = format;
        } else if (strcmp(key, "max_age_s") == 0) {
                r = sd_bus_message_read(m, "v", "u", &max_age);
                ret->max_age_s = max_age;
        } else if (strcmp(key, "code") == 0) {
                r = sd_bus_message_read(m, "v", "s", &code);
                if (r >= 0 && !parse_code(code, &ret->code))
                        return -EBADMSG;
        } else {
                r = sd_bus_message_skip(m, "v"); /* a later version's */
        }
        return r < 0 ? r : 0;
}

static int read_response(sd_bus_message *m, struct bus *b, struct writer *value, struct ocf_response *ret) {
        int r = sd_bus_message_enter_container(m, 'a', "{sv}");

        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                r = read_pair(m, b, value, ret);
                if (r)
                        return r;
                r = sd_bus_message_exit_container(m);
        }
        return r < 0 ? r : 0;
}

/* Bytes of another format stand in the value as a byte string. */
static bool take_raw(struct span rep, struct ocf_response *ret) {
        struct span bytes;

        if (ret->raw_format == COAP_FORMAT_NONE) {
                ret->rep = rep;
                return true;
        }
        if (!rep_as_bytes(rep, &bytes))
                return false;
        ret->raw = bytes;
        return true;
}

static int on_reply(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        struct handler_call *hc = userdata;
        struct bus *b = hc->bus;
        struct writer value = writer_on(b->scratch, BUS_VALUE_MAX);
        struct ocf_response response = OCF_RESPONSE_OK(usual_code(hc->call));
        const sd_bus_error *e = sd_bus_message_get_error(m);
        int r;

        if (e) {
                response = OCF_RESPONSE_FAULT(bus_fault_of_error(e));
                response.diagnostic = e->message && e->message[0] && response.fault != FAULT_TIMEOUT &&
                                                      response.fault != FAULT_UNAVAILABLE
                                              ? e->message
                                              : NULL;
                response.max_age_s = response.fault == FAULT_UNAVAILABLE ? 1 : -1;
                finish(hc, &response);
                return 0;
        }
        r = read_response(m, b, &value, &response);
        if (r || (value.n && !take_raw(writer_span(&value), &response))) {
                response = OCF_RESPONSE_FAULT(FAULT_FAILED);
                response.diagnostic = r == VALUE_E_TOO_LARGE
                                              ? "The application's answer is larger than 1 MiB"
                                              : "The application's answer is not what Handler1 says";
        }
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

static int append_subject(sd_bus_message *m, const struct subject *s) {
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
                r = append_subject(m, &q->subject);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int send_call(struct bus_handler *h, const struct resource *resource, struct handler_call *hc,
                     uint64_t timeout_ms) {
        sd_bus_message *m = NULL;
        int r = sd_bus_message_new_method_call(hc->bus->bus, &m, h->client->name, h->object,
                                               BUS_NAME ".Handler1", "Handle");

        if (r >= 0)
                r = sd_bus_message_append(m, "ss", method_word(hc->call), resource->href);
        if (r >= 0)
                r = append_request(m, hc->call, timeout_ms);
        if (r >= 0)
                r = sd_bus_call_async(hc->bus->bus, &hc->slot, m, on_reply, hc, timeout_ms * 1000);
        sd_bus_message_unref(m);
        return r;
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
        uint64_t now_ms, timeout_ms;

        if (!c || !c->bus->bus) {
                refuse_call(call, FAULT_UNAVAILABLE, NULL);
                return;
        }
        if (c->n_calls >= CLIENT_CALLS_MAX) {
                refuse_call(call, FAULT_BUSY,
                            "The application has many requests to answer already: try again shortly");
                return;
        }
        now_ms = c->bus->control->now(c->bus->control->context);
        timeout_ms = call->deadline_ms > now_ms ? call->deadline_ms - now_ms : 1;
        hc = ocf_new(struct handler_call);
        if (!hc) {
                refuse_call(call, FAULT_BUSY, NULL);
                return;
        }
        hc->bus = c->bus;
        hc->client = c;
        hc->call = call;
        list_link_tail(&c->bus->calls, &hc->link);
        c->n_calls++;
        if (send_call(h, resource, hc, timeout_ms) < 0) {
                struct ocf_response response = OCF_RESPONSE_FAULT(FAULT_FAILED);

                response.diagnostic = "The request cannot be passed on to the application over the bus";
                finish(hc, &response);
        }
}

/* ---- telling the app that a published value was changed ---- */

static int send_updated(struct bus_client *c, const struct resource *r, const struct subject *by,
                        uint64_t n_missed) {
        char path[BUS_PATH_MAX];
        sd_bus_message *m = NULL;
        int e = sd_bus_message_new_signal(c->bus->bus, &m, bus_path(path, BUS_RESOURCES, r->number),
                                          BUS_NAME ".Resource1", "Updated");

        if (e >= 0)
                e = sd_bus_message_set_destination(m, c->name);
        if (e >= 0)
                e = value_append_map(m, span_of(r->rep, r->n_rep));
        if (e == 0)
                e = sd_bus_message_open_container(m, 'a', "{sv}");
        if (e >= 0)
                e = sd_bus_message_append(m, "{sv}", "missed", "t", n_missed);
        if (e >= 0 && by)
                e = append_subject(m, by);
        if (e >= 0)
                e = sd_bus_message_close_container(m);
        if (e >= 0)
                e = sd_bus_send(c->bus->bus, m, NULL);
        sd_bus_message_unref(m);
        return e;
}

static void hold_update(struct bus_client *c, const struct resource *r) {
        struct update *u;

        LIST_FOR_EACH(i, &c->updates) {
                u = LIST_ENTRY(i, struct update, link);
                if (u->resource == r->number) {
                        u->n_missed++;
                        return;
                }
        }
        u = ocf_new(struct update);
        if (!u)
                return;
        u->resource = r->number;
        list_link_tail(&c->updates, &u->link);
}

static void handler_updated(struct handler *handler, const struct resource *resource,
                            const struct ocf_request *cause) {
        struct bus_handler *h = OCF_CONTAINER_OF(handler, struct bus_handler, handler);
        struct bus_client *c = h->client;

        if (!c || !c->bus->bus)
                return;
        if (list_is_empty(&c->updates) && bus_client_may_signal(c))
                (void)send_updated(c, resource, &cause->subject, 0);
        else
                hold_update(c, resource);
}

static void update_free(struct update *u) {
        list_unlink(&u->link);
        ocf_free(u);
}

void bus_updates_flush(struct bus_client *c) {
        while (!list_is_empty(&c->updates) && bus_client_may_signal(c)) {
                struct update *u = LIST_ENTRY(list_first(&c->updates), struct update, link);
                struct resource *r = model_resource_by_number(c->bus->control->model, u->resource);

                if (r && r->mode == RESOURCE_PUBLISHED)
                        (void)send_updated(c, r, NULL, u->n_missed);
                update_free(u);
        }
}

void bus_updates_drop(struct bus_client *c) {
        while (!list_is_empty(&c->updates))
                update_free(LIST_ENTRY(list_first(&c->updates), struct update, link));
}

/* ---- made and lost ---- */

static void handler_release_(struct handler *handler) {
        struct bus_handler *h = OCF_CONTAINER_OF(handler, struct bus_handler, handler);

        list_unlink(&h->link);
        ocf_free(h->object);
        ocf_free(h);
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

void bus_handlers_lost(struct bus *b, struct bus_client *client) {
        struct ocf_response response = OCF_RESPONSE_FAULT(FAULT_UNAVAILABLE);

        response.max_age_s = 1;
        LIST_FOR_EACH_SAFE(i, &b->calls) {
                struct handler_call *hc = LIST_ENTRY(i, struct handler_call, link);

                if (hc->client == client)
                        finish(hc, &response);
        }
        LIST_FOR_EACH_SAFE(i, &client->handlers) {
                struct bus_handler *h = LIST_ENTRY(i, struct bus_handler, link);

                list_unlink(i);
                h->client = NULL;
                if (!h->handler.n_references)
                        handler_release_(&h->handler);
        }
}
