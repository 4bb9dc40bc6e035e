#include "base/memory.h"
#include "dbus/bus_private.h"
#include "protocol/rep.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/*
 * Requests of local apps: they go the way that requests of the wire go, and the
 * answer becomes the reply of the method call.
 */

#define TIMEOUT_DEFAULT_MS 5000u
#define TIMEOUT_MAX_MS     60000u
#define OPTIONS_MAX        3

struct bus_request {
        struct call call;
        struct list link; /* of the bus */
        struct bus *bus;
        struct bus_client *client; /* NULL: it left; nobody is told any more */
        bus_request_done done;
        void *context;
        char *path, *query;
        uint8_t *payload;
};

static void request_free(struct bus_request *q) {
        if (q->client) {
                q->client->n_requests--;
                q->client->n_bytes -= q->call.request.payload.n;
        }
        list_unlink(&q->link);
        ocf_free(q->path);
        ocf_free(q->query);
        ocf_free(q->payload);
        ocf_free(q);
}

static void on_done(struct call *call, const struct ocf_response *response) {
        struct bus_request *q = OCF_CONTAINER_OF(call, struct bus_request, call);
        bus_request_done done = q->done;
        void *context = q->context;

        if (q->client)
                bus_client_was_sent(q->client, response->rep.n + response->raw.n);
        request_free(q);
        done(context, response);
}

int bus_request_start(struct bus *b, struct bus_client *client, const struct resource *r, uint8_t method,
                      const char *query, struct span payload, uint64_t timeout_ms, bus_request_done done,
                      void *context) {
        const struct bus_client *before = b->asking;
        struct bus_request *q = ocf_new(struct bus_request);

        if (!q)
                return -ENOMEM;
        q->bus = b;
        q->client = client;
        q->done = done;
        q->context = context;
        client->n_requests++;
        list_link_tail(&b->requests, &q->link);
        q->path = ocf_duplicate_string(r->href);
        q->query = ocf_duplicate_string(query);
        q->payload = payload.data ? ocf_duplicate(payload) : NULL;
        if (!q->path || !q->query || (payload.data && !q->payload)) {
                request_free(q);
                return -ENOMEM;
        }
        list_init(&q->call.link);
        client->n_bytes += payload.n;
        q->call.request = (struct ocf_request){
                .method = method,
                .device = r->device->index,
                .subject = { .kind = SUBJECT_LOCAL, .uid = client->caller.uid },
                .path = span_of_string(q->path),
                .query = span_of_string(q->query),
                .payload = span_of(q->payload, payload.n),
                .accept = COAP_FORMAT_NONE,
        };
        q->call.deadline_ms = b->control->now(b->control->context) + timeout_ms;
        q->call.done = on_done;
        b->asking = client;
        b->control->request(b->control->context, &client->caller, &q->call); /* q may be gone now */
        b->asking = before;
        return 0;
}

void bus_requests_orphan(struct bus *b, struct bus_client *client) {
        LIST_FOR_EACH(i, &b->requests) {
                struct bus_request *q = LIST_ENTRY(i, struct bus_request, link);

                if (q->client == client)
                        q->client = NULL;
        }
}

/* ---- what a message says ---- */

static int invalid(sd_bus_message *m, const char *text) {
        return bus_reply_invalid(m, "%s", text) < 0 ? -EIO : 1;
}

static int read_option(sd_bus_message *m, const char **interface, const char **query, uint32_t *timeout_ms) {
        const char *key;
        int r = sd_bus_message_read_basic(m, 's', &key);

        if (r < 0)
                return r;
        if (strcmp(key, "interface") == 0)
                r = sd_bus_message_read(m, "v", "s", interface);
        else if (strcmp(key, "query") == 0)
                r = sd_bus_message_read(m, "v", "s", query);
        else if (strcmp(key, "timeout_ms") == 0)
                r = sd_bus_message_read(m, "v", "u", timeout_ms);
        else
                return bus_reply_invalid(
                               m,
                               "The option \"%.64s\" is unknown: there are interface (s), query (s) and "
                               "timeout_ms (u)",
                               key) < 0
                               ? -EIO
                               : 1;
        if (r < 0)
                return bus_reply_invalid(
                               m,
                               "The option \"%s\" has another type: interface (s), query (s), timeout_ms (u)",
                               key) < 0
                               ? -EIO
                               : 1;
        return 0;
}

/* Return: 0; 1 when an error was replied; negative errno. */
int bus_request_read_options(sd_bus_message *m, const char *interface, char **ret_query,
                             uint64_t *ret_timeout_ms) {
        const char *query = "";
        uint32_t timeout_ms = TIMEOUT_DEFAULT_MS;
        int r = sd_bus_message_enter_container(m, 'a', "{sv}");
        size_t n, n_options = 0;

        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                if (n_options++ == OPTIONS_MAX)
                        return invalid(m, "There are more options than there can be: each one once");
                r = read_option(m, &interface, &query, &timeout_ms);
                if (r)
                        return r;
                r = sd_bus_message_exit_container(m);
        }
        if (r < 0)
                return r;
        if (interface && strchr(interface, '&'))
                return invalid(m, "An interface has no \"&\" in it");
        n = strlen(query) + (interface ? strlen(interface) : 0) + 8;
        if (n > COAP_QUERY_MAX)
                return bus_reply_invalid(m, "Interface and query are longer than %d bytes together",
                                         COAP_QUERY_MAX) < 0
                               ? -EIO
                               : 1;
        *ret_query = ocf_allocate(n, 1);
        if (!*ret_query)
                return -ENOMEM;
        snprintf(*ret_query, n, "%s%s%s%s", interface ? "if=" : "", interface ? interface : "",
                 interface && query[0] ? "&" : "", query);
        *ret_timeout_ms = timeout_ms > TIMEOUT_MAX_MS ? TIMEOUT_MAX_MS : timeout_ms ? timeout_ms : 1;
        return 0;
}

/* ---- the answer ---- */

const char *bus_response_text(const struct ocf_response *r) {
        return r->diagnostic ? r->diagnostic : fault_row(r->fault)->text;
}

static int append_value(sd_bus_message *reply, const struct ocf_response *response) {
        int r;

        if (!response->raw.data)
                return value_append(reply, response->rep.data ? response->rep : SPAN_LITERAL("\xf6"));
        r = sd_bus_message_open_container(reply, 'v', "ay");
        if (r >= 0)
                r = sd_bus_message_append_array(reply, 'y', response->raw.data, response->raw.n);
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int append_info(sd_bus_message *reply, const struct ocf_response *response, uint64_t n_missed) {
        char code[8];
        int r = sd_bus_message_open_container(reply, 'a', "{sv}");

        snprintf(code, sizeof(code), "%u.%02u", response->code >> 5, response->code & 31u);
        if (r >= 0)
                r = sd_bus_message_append(reply, "{sv}", "code", "s", code);
        if (r >= 0 && response->etag)
                r = sd_bus_message_append(
                        reply, "{sv}", "etag", "ay", 8, (int)(response->etag >> 56 & 255),
                        (int)(response->etag >> 48 & 255), (int)(response->etag >> 40 & 255),
                        (int)(response->etag >> 32 & 255), (int)(response->etag >> 24 & 255),
                        (int)(response->etag >> 16 & 255), (int)(response->etag >> 8 & 255),
                        (int)(response->etag & 255));
        if (r >= 0 && response->raw.data)
                r = sd_bus_message_append(reply, "{sv}", "content_format", "q", response->raw_format);
        if (r >= 0 && n_missed)
                r = sd_bus_message_append(reply, "{sv}", "missed", "t", n_missed);
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

int bus_append_answer(sd_bus_message *reply, const struct ocf_response *response, bool with_value,
                      uint64_t n_missed) {
        int r = with_value ? append_value(reply, response) : 0;

        return r < 0 ? r : append_info(reply, response, n_missed);
}

struct reply {
        sd_bus_message *to;
        enum bus_answer_kind kind;
};

static void send_reply(void *context, const struct ocf_response *response) {
        struct reply *reply = context;
        sd_bus_message *m = NULL;
        int r;

        if (response->fault) {
                (void)bus_reply_fault(reply->to, response->fault, bus_response_text(response));
        } else {
                r = sd_bus_message_new_method_return(reply->to, &m);
                if (r >= 0)
                        r = bus_append_answer(m, response, reply->kind == BUS_ANSWER_VALUE, 0);
                if (r >= 0)
                        r = sd_bus_send(NULL, m, NULL);
                if (r < 0)
                        (void)bus_reply_fault(reply->to, FAULT_FAILED,
                                              "The answer cannot be carried over the bus");
                sd_bus_message_unref(m);
        }
        sd_bus_message_unref(reply->to);
        ocf_free(reply);
}

int bus_request_from_message(struct bus *b, struct bus_client *client, sd_bus_message *m, uint8_t method,
                             const char *interface, struct span payload, enum bus_answer_kind kind) {
        OCF_CLEANUP(ocf_freep) char *query = NULL;
        struct resource *resource = NULL;
        struct reply *reply;
        uint64_t number, timeout_ms;
        int r = bus_request_read_options(m, interface, &query, &timeout_ms);

        if (r)
                return r < 0 ? r : 0;
        if (bus_path_number(sd_bus_message_get_path(m), BUS_RESOURCES, &number))
                resource = model_resource_by_number(b->control->model, number);
        if (!resource)
                return bus_reply_fault(m, FAULT_NOT_FOUND, NULL);
        if (!bus_client_may_request(client, payload.n))
                return bus_reply_fault(m, FAULT_LIMITS_EXCEEDED,
                                       "Too many requests of yours are under way: wait for answers");
        reply = ocf_new(struct reply);
        if (!reply)
                return -ENOMEM;
        reply->to = sd_bus_message_ref(m);
        reply->kind = kind;
        r = bus_request_start(b, client, resource, method, query, payload, timeout_ms, send_reply, reply);
        if (r < 0) {
                sd_bus_message_unref(m);
                ocf_free(reply);
        }
        return r;
}
