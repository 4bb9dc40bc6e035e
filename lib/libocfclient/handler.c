#include "base/utf8.h"
#include "client_private.h"
#include "protocol/fault.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/*
 * Handler1, one object for all resources of the client. A request is the
 * message that asked, until the program has answered; or it came through the
 * channel. It outlives its resource and its client: the answer goes nowhere then.
 */

static const char *const method_words[] = {
        [OCF_RETRIEVE] = "retrieve",
        [OCF_UPDATE] = "update",
        [OCF_CREATE] = "create",
        [OCF_DELETE] = "delete",
};

void request_free(struct ocf_request *q) {
        list_unlink(&q->link);
        sd_bus_message_unref(q->message);
        ocf_value_free(q->value);
        ocf_free(q);
}

static void request_freep(struct ocf_request **q) {
        if (*q)
                request_free(*q);
}

void request_orphan(struct ocf_request *q) {
        list_unlink(&q->link);
        q->client = NULL;
}

/* ---- in ---- */

static int read_method(sd_bus_message *m, enum ocf_method *ret, const char **ret_href) {
        const char *word;
        int r = sd_bus_message_read(m, "ss", &word, ret_href);

        if (r < 0)
                return r;
        for (size_t i = 0; i < ARRAY_SIZE(method_words); i++)
                if (strcmp(method_words[i], word) == 0) {
                        *ret = (enum ocf_method)i;
                        return 0;
                }
        return -EOPNOTSUPP;
}

/* One pair of the request's map, but the value: it is looked for if it is there. */
static int read_pair(sd_bus_message *m, struct ocf_request *q, bool *has_value) {
        const char *key;
        int notify, r = sd_bus_message_read_basic(m, 's', &key);

        if (r < 0)
                return r;
        if (strcmp(key, "interface") == 0)
                return sd_bus_message_read(m, "v", "s", &q->interface_name);
        if (strcmp(key, "query") == 0)
                return sd_bus_message_read(m, "v", "s", &q->query);
        if (strcmp(key, "device_id") == 0)
                return sd_bus_message_read(m, "v", "s", &q->device_id);
        if (strcmp(key, "notify") == 0) {
                r = sd_bus_message_read(m, "v", "b", &notify);
                q->notify = r > 0 && notify;
                return r;
        }
        *has_value |= strcmp(key, "value") == 0;
        return sd_bus_message_skip(m, "v");
}

static int read_pairs(sd_bus_message *m, struct ocf_request *q, bool *has_value) {
        int r = sd_bus_message_enter_container(m, 'a', "{sv}");

        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                r = read_pair(m, q, has_value);
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
        }
        return r < 0 ? r : 0;
}

static int request_new(struct ocf_request **ret, struct ocf_client *c, sd_bus_message *m) {
        OCF_CLEANUP(request_freep) struct ocf_request *q = ocf_new(struct ocf_request);
        bool has_value = false;
        int r;

        if (!q)
                return -ENOMEM;
        list_init(&q->link);
        q->message = sd_bus_message_ref(m);
        q->interface_name = q->query = q->device_id = "";
        r = read_method(m, &q->method, &q->href);
        if (r >= 0)
                r = read_pairs(m, q, &has_value);
        if (r >= 0 && has_value)
                r = message_read_entry(m, "ss", "value", &q->value);
        if (r < 0)
                return r;
        q->client = c;
        list_link_tail(&c->requests, &q->link);
        *ret = q;
        q = NULL;
        return 0;
}

/* Answers from the last value where the program has no handler for it. */
static void serve(struct ocf_resource *resource, struct ocf_request *q) {
        struct handler h = resource->handlers[q->method];

        if (h.fn)
                h.fn(h.userdata, q);
        else if (q->method == OCF_RETRIEVE)
                (void)ocf_request_respond(q, resource->value);
        else
                (void)ocf_request_fail(q, OCF_E_METHOD_NOT_ALLOWED, NULL);
}

static int refuse(sd_bus_message *m, enum fault fault) {
        char name[64];

        snprintf(name, sizeof(name), BUS_ERROR "%s", fault_row(fault)->name);
        return sd_bus_reply_method_errorf(m, name, "%s", fault_row(fault)->text);
}

void handler_serve(struct ocf_client *c, struct ocf_request *q) {
        struct ocf_resource *resource = registration_by_href(c, q->href);

        if (!resource || resource->phase == RESOURCE_NEW)
                (void)ocf_request_fail(q, OCF_E_NOT_FOUND, NULL);
        else
                serve(resource, q);
}

static int on_handle(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        struct ocf_client *c = userdata;
        struct ocf_request *q;
        int r;

        if (c->is_dead)
                return refuse(m, FAULT_UNAVAILABLE);
        if (!connection_is_from_daemon(c, m))
                return sd_bus_reply_method_errorf(m, SD_BUS_ERROR_ACCESS_DENIED, "This is for ocfd alone");
        r = request_new(&q, c, m);
        if (r)
                return refuse(m, r == -ENOMEM       ? FAULT_BUSY
                                 : r == -EOPNOTSUPP ? FAULT_METHOD_NOT_ALLOWED
                                                    : FAULT_BAD_REPRESENTATION);
        handler_serve(c, q);
        return 1;
}

static const sd_bus_vtable vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD_WITH_NAMES("Handle", "ssa{sv}",
                                 SD_BUS_PARAM(method) SD_BUS_PARAM(href) SD_BUS_PARAM(request), "a{sv}",
                                 SD_BUS_PARAM(response), on_handle, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_VTABLE_END,
};

int handler_export(struct ocf_client *c) {
        return sd_bus_add_object_vtable(c->bus, NULL, HANDLER_PATH, BUS_NAME ".Handler1", vtable, c);
}

/* ---- out ---- */

/* Whoever asked may be gone, and so may be the bus: then the answer is of no interest to anybody. */
static void send_reply(struct ocf_request *q, sd_bus_message *reply) {
        struct ocf_client *c = q->client;

        if (c && c->bus && c->bus == sd_bus_message_get_bus(q->message)) {
                (void)sd_bus_send(c->bus, reply, NULL);
                client_wake(c); /* it may not have gone out whole */
        }
}

static int append_response(sd_bus_message *reply, const struct ocf_value *value) {
        int r = sd_bus_message_open_container(reply, 'a', "{sv}");

        if (r >= 0 && value) {
                r = sd_bus_message_open_container(reply, 'e', "sv");
                if (r >= 0)
                        r = sd_bus_message_append_basic(reply, 's', "value");
                if (r >= 0)
                        r = message_append_value(reply, value);
                if (r >= 0)
                        r = sd_bus_message_close_container(reply);
        }
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

int ocf_request_respond(struct ocf_request *q, const struct ocf_value *value) {
        sd_bus_message *reply = NULL;
        int r;

        if (!q)
                return -EINVAL;
        if (!q->message) {
                r = channel_respond(q, value);
                if (r < 0)
                        (void)ocf_request_fail(q, OCF_E_FAILED, NULL);
                else
                        request_free(q);
                return r;
        }
        r = sd_bus_message_new_method_return(q->message, &reply);
        if (r >= 0)
                r = append_response(reply, value);
        if (r >= 0)
                send_reply(q, reply);
        sd_bus_message_unref(reply);
        if (r < 0) {
                (void)ocf_request_fail(q, OCF_E_FAILED, NULL);
                return r == -ENOMEM ? r : -EINVAL;
        }
        request_free(q);
        return 0;
}

int ocf_request_fail(struct ocf_request *q, int result, const char *text) {
        sd_bus_error e = SD_BUS_ERROR_NULL;
        sd_bus_message *reply = NULL;
        bool is_known = result > 0 && result < _FAULT_N;
        bool is_text = text && utf8_is_valid(span_of_string(text), UTF8_BUS);
        const struct fault_row *row = fault_row(is_known ? (enum fault)result : FAULT_FAILED);
        char name[64];
        int r;

        if (!q)
                return -EINVAL;
        if (!q->message) {
                r = channel_fail(q, row->name, is_text ? text : row->text);
                request_free(q);
                return r == -ENOMEM ? r : is_known && (is_text || !text) ? 0 : -EINVAL;
        }
        snprintf(name, sizeof(name), BUS_ERROR "%s", row->name);
        e.name = name;
        e.message = is_text ? text : row->text;
        r = sd_bus_message_new_method_error(q->message, &reply, &e);
        if (r >= 0)
                send_reply(q, reply);
        sd_bus_message_unref(reply);
        request_free(q);
        return r == -ENOMEM ? r : is_known && (is_text || !text) ? 0 : -EINVAL;
}

/* ---- what is asked ---- */

enum ocf_method ocf_request_method(const struct ocf_request *q) {
        return q ? q->method : OCF_RETRIEVE;
}

const char *ocf_request_href(const struct ocf_request *q) {
        return q ? q->href : "";
}

const char *ocf_request_interface(const struct ocf_request *q) {
        return q ? q->interface_name : "";
}

const char *ocf_request_query(const struct ocf_request *q) {
        return q ? q->query : "";
}

const struct ocf_value *ocf_request_value(const struct ocf_request *q) {
        return q ? q->value : NULL;
}

const char *ocf_request_device_id(const struct ocf_request *q) {
        return q ? q->device_id : "";
}

bool ocf_request_is_for_observers(const struct ocf_request *q) {
        return q && q->notify;
}
