/*
 * What the server offers, one thing of each kind that CoAP knows.
 *
 *     /hello      GET: a text
 *     /big        GET: a pattern, 1 MiB of it or as many bytes as ?n=BYTES says
 *     /echo       POST, PUT, FETCH, PATCH, iPATCH: what was sent
 *     /tick       observable: a number, which grows every 200 ms and with each POST
 *     /slow       GET: a text, after a second
 *     /counts     GET: what the endpoint holds
 *     /etag       PUT and GET only with If-Match and ETag, as /store; cannot be deleted
 *     /store/X    PUT, GET, POST (appends), DELETE; observable; up to 1 MiB each
 */
#include "node.h"

#include <stdio.h>
#include <string.h>

enum { N_ITEMS = 4, N_SLOW = 32, TICK_MS = 200, SLOW_MS = 1000, RESOURCE_TICK = 1, RESOURCE_ITEM = 16 };

struct item {
        bool exists;
        uint8_t path[COAP_PATH_MAX];
        size_t n_path, n;
        int content_format;
        uint32_t version;
        uint8_t body[NODE_BODY_MAX];
};

struct slow {
        coap_id id;
        uint64_t due_ms; /* 0: free */
};

static struct item items[N_ITEMS];
static struct slow slow[N_SLOW];
static uint8_t pattern[NODE_BODY_MAX]; /* 00 00 00 00 00 00 00 01 ...: no two blocks are equal */
static uint32_t ticks, versions;
static uint64_t tick_due_ms;

static void answer(struct node *n, const struct coap_event *e, struct coap_response r) {
        if (!r.max_age_s)
                r.max_age_s = -1;
        (void)coap_endpoint_respond(n->ep, node_now_ms(), e->id, &r);
}

static void answer_code(struct node *n, const struct coap_event *e, uint8_t code) {
        answer(n, e, (struct coap_response){ .code = code, .content_format = COAP_FORMAT_NONE });
}

static void answer_text(struct node *n, const struct coap_event *e, const char *text) {
        answer(n, e, (struct coap_response){ .code = COAP_CONTENT, .payload = span_of_string(text) });
}

/* ---- /hello /big /echo ---- */

static void hello(struct node *n, const struct coap_event *e) {
        if (e->request.method != COAP_GET)
                answer_code(n, e, COAP_METHOD_NOT_ALLOWED);
        else if (e->request.accept != COAP_FORMAT_NONE && e->request.accept != COAP_FORMAT_TEXT)
                answer_code(n, e, COAP_NOT_ACCEPTABLE);
        else
                answer_text(n, e, "hello, peer");
}

static void big(struct node *n, const struct coap_event *e) {
        struct span query = e->request.query;
        size_t n_wanted = sizeof(pattern);

        if (span_has_prefix(query, SPAN_LITERAL("n=")))
                for (n_wanted = 0, query.data += 2, query.n -= 2; query.n; query.data++, query.n--)
                        n_wanted = n_wanted * 10 + (size_t)(*query.data - '0');
        if (e->request.method != COAP_GET)
                answer_code(n, e, COAP_METHOD_NOT_ALLOWED);
        else
                answer(n, e,
                       (struct coap_response){
                               .code = COAP_CONTENT,
                               .content_format = 42,
                               .payload = span_of(pattern, ocf_min_size(n_wanted, sizeof(pattern))) });
}

static void counts(struct node *n, const struct coap_event *e) {
        struct coap_counts c;
        char text[160];

        coap_endpoint_counts(n->ep, &c);
        (void)snprintf(text, sizeof(text), "observers=%u uploads=%u streams=%u malformed=%llu", c.n_observers,
                       c.n_uploads, c.n_streams, (unsigned long long)c.n_malformed);
        answer_text(n, e, text);
}

static void echo(struct node *n, const struct coap_event *e) {
        uint8_t method = e->request.method;

        if (method == COAP_GET || method == COAP_DELETE)
                answer_code(n, e, COAP_METHOD_NOT_ALLOWED);
        else
                answer(n, e,
                       (struct coap_response){ .code = method == COAP_FETCH ? COAP_CONTENT : COAP_CHANGED,
                                               .content_format = e->request.content_format,
                                               .payload = e->request.payload });
}

/* ---- /tick ---- */

static void tick_now(struct node *n, uint64_t now_ms) {
        ticks++;
        tick_due_ms = now_ms + TICK_MS;
        coap_endpoint_notify(n->ep, now_ms, RESOURCE_TICK);
}

static void tick(struct node *n, const struct coap_event *e) {
        char text[16];

        if (e->request.method == COAP_POST) {
                tick_now(n, node_now_ms());
                answer_code(n, e, COAP_CHANGED);
                return;
        }
        (void)snprintf(text, sizeof(text), "%u", ticks);
        answer(n, e,
               (struct coap_response){ .code = COAP_CONTENT,
                                       .payload = span_of_string(text),
                                       .observe = true,
                                       .resource = RESOURCE_TICK });
}

/* ---- /slow ---- */

static void be_slow(struct node *n, const struct coap_event *e) {
        for (size_t i = 0; i < N_SLOW; i++)
                if (!slow[i].due_ms) {
                        slow[i] = (struct slow){ e->id, node_now_ms() + SLOW_MS };
                        return;
                }
        answer_code(n, e, COAP_SERVICE_UNAVAILABLE);
}

/* ---- /store and /etag ---- */

static struct item *find_item(struct span path) {
        for (size_t i = 0; i < N_ITEMS; i++)
                if (items[i].exists && span_equal(span_of(items[i].path, items[i].n_path), path))
                        return &items[i];
        return NULL;
}

static struct item *make_item(struct span path) {
        for (size_t i = 0; i < N_ITEMS; i++)
                if (!items[i].exists) {
                        items[i].exists = true;
                        memcpy(items[i].path, path.data, path.n);
                        items[i].n_path = path.n;
                        items[i].n = 0;
                        return &items[i];
                }
        return NULL;
}

static uint64_t resource_of(const struct item *item) {
        return RESOURCE_ITEM + (uint64_t)(item - items);
}

static bool is_precondition_met(const struct coap_request *r, const struct item *item) {
        if (r->if_none_match && item)
                return false;
        if (!r->if_match)
                return true;
        if (!item)
                return false;
        for (size_t i = 0; i < r->n_if_match_etags; i++)
                if (span_equal(r->if_match_etags[i], span_of(&item->version, sizeof(item->version))))
                        return true;
        return r->n_if_match_etags == 0; /* only the empty one: whatever is there */
}

static void get_item(struct node *n, const struct coap_event *e, struct item *item) {
        struct span etag = span_of(&item->version, sizeof(item->version));
        struct coap_response r = { .code = COAP_CONTENT,
                                   .content_format = item->content_format,
                                   .payload = span_of(item->body, item->n),
                                   .etag = etag,
                                   .observe = true,
                                   .resource = resource_of(item) };

        for (size_t i = 0; i < e->request.n_etags; i++)
                if (span_equal(e->request.etags[i], etag)) {
                        r.code = COAP_VALID;
                        r.content_format = COAP_FORMAT_NONE;
                        r.payload = SPAN_NULL;
                }
        answer(n, e, r);
}

static void write_item(struct node *n, const struct coap_event *e, struct item *item) {
        struct span payload = e->request.payload;
        bool created = !item;

        if (!item)
                item = make_item(e->request.path);
        if (item && e->request.method == COAP_PUT)
                item->n = 0;
        if (!item || payload.n > sizeof(item->body) - item->n) {
                answer_code(n, e, item ? COAP_REQUEST_ENTITY_TOO_LARGE : COAP_SERVICE_UNAVAILABLE);
                return;
        }
        if (payload.n)
                memcpy(item->body + item->n, payload.data, payload.n);
        item->n += payload.n;
        item->version = ++versions;
        item->content_format = e->request.content_format;
        answer_code(n, e, created ? COAP_CREATED : COAP_CHANGED);
        coap_endpoint_notify(n->ep, node_now_ms(), resource_of(item));
}

static void delete_item(struct node *n, const struct coap_event *e, struct item *item) {
        if (item == items) {
                answer_code(n, e, COAP_METHOD_NOT_ALLOWED);
                return;
        }
        if (item) {
                item->exists = false;
                coap_endpoint_end_observers(n->ep, node_now_ms(), resource_of(item), COAP_NOT_FOUND, -1);
        }
        answer_code(n, e, COAP_DELETED);
}

static void store(struct node *n, const struct coap_event *e) {
        struct item *item = find_item(e->request.path);
        uint8_t method = e->request.method;

        if (!is_precondition_met(&e->request, item))
                answer_code(n, e, COAP_PRECONDITION_FAILED);
        else if (method == COAP_PUT || method == COAP_POST)
                write_item(n, e, item);
        else if (method == COAP_DELETE)
                delete_item(n, e, item);
        else if (method != COAP_GET)
                answer_code(n, e, COAP_METHOD_NOT_ALLOWED);
        else if (!item)
                answer_code(n, e, COAP_NOT_FOUND);
        else
                get_item(n, e, item);
}

/* ---- all of them ---- */

static const struct {
        const char *path;
        void (*serve)(struct node *n, const struct coap_event *e);
} resources[] = {
        { "/hello", hello },  { "/big", big },    { "/echo", echo },     { "/tick", tick },
        { "/slow", be_slow }, { "/etag", store }, { "/counts", counts },
};

/* A notification knows its resource and its query, not its path. */
static void serve_notification(struct node *n, const struct coap_event *e) {
        if (e->resource == RESOURCE_TICK)
                tick(n, e);
        else
                get_item(n, e, &items[e->resource - RESOURCE_ITEM]);
}

void node_serve_request(struct node *n, const struct coap_event *e) {
        struct span path = e->request.path;

        if (e->type == COAP_EVENT_NOTIFY) {
                serve_notification(n, e);
                return;
        }
        for (size_t i = 0; i < ARRAY_SIZE(resources); i++)
                if (span_equal_string(path, resources[i].path)) {
                        resources[i].serve(n, e);
                        return;
                }
        if (span_has_prefix(path, SPAN_LITERAL("/store/")))
                store(n, e);
        else if (e->request.multicast)
                coap_endpoint_ignore(n->ep, e->id);
        else
                answer_code(n, e, COAP_NOT_FOUND);
}

void node_serve_init(uint64_t now_ms) {
        (void)make_item(SPAN_LITERAL("/etag"));
        memcpy(items[0].body, "first", 5);
        items[0].n = 5;
        items[0].version = ++versions;
        tick_due_ms = now_ms + TICK_MS;
        for (size_t i = 0; i < sizeof(pattern); i++)
                pattern[i] = (uint8_t)(i / 4 >> 8 * (3 - i % 4));
}

uint64_t node_serve_due(struct node *n, uint64_t now_ms) {
        uint64_t due_ms;

        if (!tick_due_ms)
                return OCF_NEVER; /* a client */
        if (tick_due_ms <= now_ms)
                tick_now(n, now_ms);
        due_ms = tick_due_ms;
        for (size_t i = 0; i < N_SLOW; i++) {
                if (slow[i].due_ms && slow[i].due_ms <= now_ms) {
                        const struct coap_event e = { .id = slow[i].id };

                        slow[i].due_ms = 0;
                        answer_text(n, &e, "at last");
                }
                if (slow[i].due_ms)
                        due_ms = ocf_min_u64(due_ms, slow[i].due_ms);
        }
        return due_ms;
}
