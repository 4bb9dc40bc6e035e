#include "base/memory.h"
#include "dbus/bus_private.h"
#include "protocol/rep.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/*
 * Requests of local apps: to our resources they go the way that requests of the
 * wire go, to other devices over the network, and the answer becomes the reply of
 * the method call.
 */

#define TIMEOUT_DEFAULT_MS        5000u
#define TIMEOUT_REMOTE_DEFAULT_MS 15000u /* a session may have to come about, and messages get lost */
#define TIMEOUT_ROUND_DEFAULT_MS  7000u
#define TIMEOUT_MAX_MS            60000u
#define POLL_DEFAULT_MS           30000u
#define POLL_MIN_MS               1000u

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

int bus_request_start(struct bus *b, struct bus_client *client, const struct bus_target *target,
                      uint8_t method, const struct bus_options *options, struct span payload,
                      bus_request_done done, void *context) {
        const struct bus_client *before = b->asking;
        const struct resource *r = target->resource;
        struct bus_request *q = ocf_new(struct bus_request);

        if (!q)
                return -ENOMEM;
        q->bus = b;
        q->client = client;
        q->done = done;
        q->context = context;
        client->n_requests++;
        list_link_tail(&b->requests, &q->link);
        q->path = ocf_duplicate_string(r ? r->href : target->href);
        q->query = ocf_duplicate_string(options->query);
        q->payload = payload.data ? ocf_duplicate(payload) : NULL;
        if (!q->path || !q->query || (payload.data && !q->payload)) {
                request_free(q);
                return -ENOMEM;
        }
        list_init(&q->call.link);
        client->n_bytes += payload.n;
        q->call.request = (struct ocf_request){
                .method = method,
                .device = r ? r->device->index : 0,
                .subject = { .kind = SUBJECT_LOCAL, .uid = client->caller.uid },
                .path = span_of_string(q->path),
                .query = span_of_string(q->query),
                .payload = span_of(q->payload, payload.n),
                .accept = options->accept,
        };
        q->call.deadline_ms = b->control->now(b->control->context) + options->timeout_ms;
        q->call.done = on_done;
        if (r) {
                b->asking = client;
                b->control->request(b->control->context, &client->caller, &q->call); /* q may be gone now */
                b->asking = before;
        } else {
                b->control->client.request(b->control->context, &client->caller, &target->device,
                                           options->wish, &q->call);
        }
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

#define INVALID(m, ...) (bus_reply_invalid(m, __VA_ARGS__) < 0 ? -EIO : 1)

static const struct {
        size_t n;
        const char *text;
} kinds[] = {
        [BUS_OPTIONS_LOCAL] = { 3, "interface (s), query (s) and timeout_ms (u)" },
        [BUS_OPTIONS_REMOTE] = { 5, "interface (s), query (s), timeout_ms (u), secure (b) and accept (q)" },
        [BUS_OPTIONS_OBSERVE_REMOTE] = { 3, "interface (s), query (s) and poll_ms (u)" },
        [BUS_OPTIONS_ROUND] = { 1, "timeout_ms (u)" },
};

/* The value of one. Return: 0 or more; -ENOENT: there is none of that name; other negative errno: another
 * type. */
static int read_option_value(sd_bus_message *m, enum bus_options_kind kind, const char *key,
                             const char **interface, const char **query, struct bus_options *ret) {
        uint16_t accept;
        int secure, r;

        if (kind != BUS_OPTIONS_ROUND && strcmp(key, "interface") == 0)
                return sd_bus_message_read(m, "v", "s", interface);
        if (kind != BUS_OPTIONS_ROUND && strcmp(key, "query") == 0)
                return sd_bus_message_read(m, "v", "s", query);
        if (kind != BUS_OPTIONS_OBSERVE_REMOTE && strcmp(key, "timeout_ms") == 0)
                return sd_bus_message_read(m, "v", "u", &ret->timeout_ms);
        if (kind == BUS_OPTIONS_OBSERVE_REMOTE && strcmp(key, "poll_ms") == 0)
                return sd_bus_message_read(m, "v", "u", &ret->poll_ms);
        if (kind == BUS_OPTIONS_REMOTE && strcmp(key, "secure") == 0) {
                r = sd_bus_message_read(m, "v", "b", &secure);
                if (r >= 0)
                        ret->wish = secure ? BUS_SECURE_ONLY : BUS_CLEAR_ONLY;
                return r;
        }
        if (kind == BUS_OPTIONS_REMOTE && strcmp(key, "accept") == 0) {
                r = sd_bus_message_read(m, "v", "q", &accept);
                if (r >= 0)
                        ret->accept = accept;
                return r;
        }
        return -ENOENT;
}

static int read_option(sd_bus_message *m, enum bus_options_kind kind, const char **interface,
                       const char **query, struct bus_options *ret) {
        const char *key;
        int r = sd_bus_message_read_basic(m, 's', &key);

        if (r < 0)
                return r;
        r = read_option_value(m, kind, key, interface, query, ret);
        if (r == -ENOENT)
                return INVALID(m, "The option \"%.64s\" is unknown: there are %s", key, kinds[kind].text);
        if (r < 0)
                return INVALID(m, "The option \"%.64s\" has another type: there are %s", key,
                               kinds[kind].text);
        return 0;
}

static struct bus_options defaults(enum bus_options_kind kind) {
        struct bus_options o = { .poll_ms = POLL_DEFAULT_MS, .accept = COAP_FORMAT_NONE };

        switch (kind) {
        case BUS_OPTIONS_LOCAL:
                o.timeout_ms = TIMEOUT_DEFAULT_MS;
                break;
        case BUS_OPTIONS_REMOTE:
        case BUS_OPTIONS_OBSERVE_REMOTE:
                o.timeout_ms = TIMEOUT_REMOTE_DEFAULT_MS;
                break;
        case BUS_OPTIONS_ROUND:
                o.timeout_ms = TIMEOUT_ROUND_DEFAULT_MS;
                break;
        }
        return o;
}

int bus_request_read_options(sd_bus_message *m, enum bus_options_kind kind, const char *interface,
                             struct bus_options *ret) {
        const char *query = "";
        int r = sd_bus_message_enter_container(m, 'a', "{sv}");
        size_t n, n_options = 0;

        *ret = defaults(kind);
        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                if (n_options++ == kinds[kind].n)
                        return INVALID(m, "There are more options than there can be: each one once");
                r = read_option(m, kind, &interface, &query, ret);
                if (r)
                        return r;
                r = sd_bus_message_exit_container(m);
        }
        if (r < 0)
                return r;
        if (interface && strchr(interface, '&'))
                return INVALID(m, "An interface has no \"&\" in it");
        if (ret->poll_ms < POLL_MIN_MS)
                return INVALID(m, "poll_ms is less than %u", POLL_MIN_MS);
        n = strlen(query) + (interface ? strlen(interface) : 0) + 8;
        if (n > COAP_QUERY_MAX)
                return INVALID(m, "Interface and query are longer than %d bytes together", COAP_QUERY_MAX);
        ret->query = ocf_allocate(n, 1);
        if (!ret->query)
                return -ENOMEM;
        snprintf(ret->query, n, "%s%s%s%s", interface ? "if=" : "", interface ? interface : "",
                 interface && query[0] ? "&" : "", query);
        ret->timeout_ms = ret->timeout_ms > TIMEOUT_MAX_MS ? TIMEOUT_MAX_MS
                          : ret->timeout_ms                ? ret->timeout_ms
                                                           : 1;
        return 0;
}

/* ---- the answer ---- */

const char *bus_response_text(const struct ocf_response *r) {
        return r->diagnostic ? r->diagnostic : fault_row(r->fault)->text;
}

static int append_value(sd_bus_message *reply, const struct ocf_response *response) {
        int r;

        if (response->rep.n > BUS_VALUE_MAX || response->raw.n > BUS_VALUE_MAX)
                return -EMSGSIZE; /* on the bus it may be sixteen times as large */
        if (!response->raw.data)
                return value_append(reply, response->rep.data ? response->rep : SPAN_LITERAL("\xf6"));
        r = sd_bus_message_open_container(reply, 'v', "ay");
        if (r >= 0)
                r = sd_bus_message_append_array(reply, 'y', response->raw.data, response->raw.n);
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

/* Within the map. */
static int append_info(sd_bus_message *reply, const struct ocf_response *response, uint64_t n_missed) {
        char code[8];
        int r;

        snprintf(code, sizeof(code), "%u.%02u", response->code >> 5, response->code & 31u);
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
        return r;
}

int bus_append_answer(sd_bus_message *reply, const struct ocf_response *response, bool with_value,
                      uint64_t n_missed) {
        int r = with_value ? append_value(reply, response) : 0;

        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "{sv}");
        if (r >= 0)
                r = append_info(reply, response, n_missed);
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

int bus_append_notification(sd_bus_message *m, const struct bus_notification *n, uint64_t n_missed) {
        int r = append_value(m, n->response);

        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "{sv}");
        if (r >= 0)
                r = append_info(m, n->response, n_missed);
        if (r >= 0)
                r = sd_bus_message_append(m, "{sv}{sv}{sv}", "mode", "s", bus_mode_name(n->mode), "gap", "b",
                                          (int)n->gap, "sequence", "t", n->sequence);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

struct reply {
        sd_bus_message *to;
        enum bus_answer_kind kind;
        bool is_update; /* of another device, which may answer nothing */
};

static void send_reply(void *context, const struct ocf_response *response) {
        struct reply *reply = context;
        struct ocf_response answer = *response;
        sd_bus_message *m = NULL;
        int r;

        if (reply->is_update && !answer.rep.data && !answer.raw.data)
                answer.rep = SPAN_LITERAL("\xa0");
        if (response->fault) {
                (void)bus_reply_fault(reply->to, response->fault, bus_response_text(response));
        } else {
                r = sd_bus_message_new_method_return(reply->to, &m);
                if (r >= 0)
                        r = bus_append_answer(m, &answer, reply->kind == BUS_ANSWER_VALUE, 0);
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

static int start_with_reply(struct bus *b, struct bus_client *client, sd_bus_message *m,
                            const struct bus_target *target, uint8_t method,
                            const struct bus_options *options, struct span payload,
                            enum bus_answer_kind kind) {
        struct reply *reply;
        int r;

        if (!bus_client_may_request(client, payload.n))
                return bus_reply_fault(m, FAULT_LIMITS_EXCEEDED,
                                       "Too many requests of yours are under way: wait for answers");
        reply = ocf_new(struct reply);
        if (!reply)
                return -ENOMEM;
        reply->to = sd_bus_message_ref(m);
        reply->kind = kind;
        reply->is_update = !target->resource && method == COAP_POST;
        r = bus_request_start(b, client, target, method, options, payload, send_reply, reply);
        if (r < 0) {
                sd_bus_message_unref(m);
                ocf_free(reply);
        }
        return r;
}

int bus_request_from_message(struct bus *b, struct bus_client *client, sd_bus_message *m,
                             const struct bus_target *target, uint8_t method, const char *interface,
                             struct span payload, enum bus_answer_kind kind) {
        struct bus_options options;
        int r = bus_request_read_options(m, target->resource ? BUS_OPTIONS_LOCAL : BUS_OPTIONS_REMOTE,
                                         interface, &options);

        if (r)
                return r < 0 ? r : 0;
        r = start_with_reply(b, client, m, target, method, &options, payload, kind);
        ocf_free(options.query);
        return r;
}

int bus_request_post(struct bus *b, struct bus_client *client, sd_bus_message *m,
                     const struct bus_target *target, const char *interface) {
        struct writer w = writer_on(b->scratch, BUS_VALUE_MAX);
        OCF_CLEANUP(ocf_freep) uint8_t *payload = NULL;
        int r = value_read(m, &w);

        if (r > 0)
                return bus_reply_invalid(m, "The value %s", value_problem(r));
        if (r < 0)
                return r;
        payload = ocf_duplicate(writer_span(&w)); /* whoever answers may use the scratch as well */
        if (!payload)
                return -ENOMEM;
        return bus_request_from_message(b, client, m, target, COAP_POST, interface, span_of(payload, w.n),
                                        BUS_ANSWER_VALUE);
}
