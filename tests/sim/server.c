/*
 * A handler is told a request, and looks up what was really asked: by whom, of whom,
 * with which body. Then it answers at once, later, too late or never.
 */
#include "server.h"

#include "body.h"
#include "invariants.h"
#include "network.h"
#include "node.h"
#include "trace.h"

#include <stdlib.h>
#include <string.h>

static const struct {
        const char *path;
        uint8_t method;
} routes[N_ASK_KINDS] = {
        [ASK_GET] = { "/state", COAP_GET },        [ASK_VALID] = { "/valid", COAP_GET },
        [ASK_FETCH] = { "/fetch", COAP_FETCH },    [ASK_POST] = { "/effect", COAP_POST },
        [ASK_PUT] = { "/effect", COAP_PUT },       [ASK_DELETE] = { "/effect", COAP_DELETE },
        [ASK_PATCH] = { "/effect", COAP_IPATCH },  [ASK_SLOW] = { "/slow", COAP_POST },
        [ASK_LATE] = { "/late", COAP_POST },       [ASK_DIES] = { "/dies", COAP_POST },
        [ASK_REFUSED] = { "/refused", COAP_POST }, [ASK_QUIET] = { "/effect", COAP_POST },
        [ASK_LONG] = { "/long", COAP_GET },        [ASK_UPLOAD] = { "/upload", COAP_PUT },
        [ASK_BOTH] = { "/both", COAP_POST },       [ASK_OBSERVE] = { "/observed", COAP_GET },
        [ASK_WATCH] = { "/watched", COAP_GET },
};

/* An app's answer that is still to come. */
struct owed {
        coap_id id;
        uint32_t key, incarnation;
};

const char *server_path(enum ask_kind kind) {
        return routes[kind].path;
}

uint8_t server_method(enum ask_kind kind) {
        return routes[kind].method;
}

bool server_has_effect(enum ask_kind kind) {
        return routes[kind].method != COAP_GET && routes[kind].method != COAP_FETCH;
}

/* ---- answers ---- */

static uint8_t success(uint8_t method) {
        return method == COAP_GET || method == COAP_FETCH ? COAP_CONTENT
               : method == COAP_DELETE                    ? COAP_DELETED
                                                          : COAP_CHANGED;
}

static void answer(struct world *w, struct node *n, coap_id id, uint32_t key, bool observe) {
        static uint8_t body[BODY_MOST];
        const struct ask *a = &w->asks[key];
        bool is_state = a->kind == ASK_OBSERVE || a->kind == ASK_WATCH;
        struct coap_response r = { .code = success(server_method(a->kind)),
                                   .content_format = key % 4 ? COAP_FORMAT_NONE : COAP_FORMAT_OCF_CBOR,
                                   .payload = span_of(body, a->n_down),
                                   .max_age_s = is_state ? (int64_t)world_draw_from(w, w->scenario->max_age_s)
                                                         : -1,
                                   .observe = observe,
                                   .resource = a->kind == ASK_WATCH ? RESOURCE_WATCHED : RESOURCE_OBSERVED };

        body_write(body, a->n_down, key, n->state);
        if ((a->kind == ASK_LONG && key % 2) || a->kind == ASK_VALID)
                r.etag = span_of(&n->state, sizeof(n->state));
        (void)coap_endpoint_respond(n->ep, w->now_ms, id, &r); /* nobody may wait any more */
}

static void refuse(struct world *w, struct node *n, coap_id id, uint8_t code) {
        const struct coap_response r = { .code = code, .content_format = COAP_FORMAT_NONE, .max_age_s = -1 };

        (void)coap_endpoint_respond(n->ep, w->now_ms, id, &r);
}

static void owe(struct world *w, struct node *n, coap_id id, uint32_t key, struct range when_ms) {
        struct owed *o = malloc(sizeof(*o));

        if (!o)
                abort();
        *o = (struct owed){ id, key, n->incarnation };
        world_plan(w, w->now_ms + world_draw_from(w, when_ms), HAPPENING_ANSWER, n->station.index, key, o);
}

void server_answer(struct world *w, struct node *n, void *owed) {
        struct owed *o = owed;

        if (o->incarnation == n->incarnation) {
                n->touched_ms = w->now_ms;
                TELL(w, "node %u: the app answers request %u", n->station.index, o->key);
                answer(w, n, o->id, o->key, false);
        }
        free(o);
        node_serve(w, n);
}

/* ---- requests ---- */

bool server_key(const struct world *w, struct span query, uint32_t *ret) {
        uint32_t key = 0;

        if (query.n < 3 || query.n > 10 || memcmp(query.data, "k=", 2) != 0)
                return false;
        for (size_t i = 2; i < query.n; i++) {
                if (query.data[i] < '0' || query.data[i] > '9')
                        return false;
                key = key * 10 + query.data[i] - '0';
        }
        *ret = key;
        return key < w->n_asks && w->asks[key].begun;
}

/* Where the URI does not say it, the body does: then each body must be one of ours. */
static bool read_body_key(struct world *w, const struct coap_event *e, uint32_t *ret) {
        uint32_t version;

        if (!w->scenario->shared_uri || e->type != COAP_EVENT_REQUEST)
                return false;
        if (body_read(e->request.payload, ret, &version) && *ret < w->n_asks)
                return true;
        invariant_broken(w, "a request's body is not what was sent", "%zu bytes", e->request.payload.n);
        return false;
}

/* What came must be what was asked: by this client, of this server, with this body. */
static void compare(struct world *w, const struct node *n, const struct coap_event *e, uint32_t key) {
        const struct ask *a = &w->asks[key];
        const struct station *from = network_find(w, e->peer.remote_ip);
        const struct coap_request *r = &e->request;
        uint32_t body_key, version;

        if (!from || from->is_stranger != a->by_stranger || from->index != a->client ||
            (!a->multicast && a->server != n->station.index))
                invariant_broken(w, "a handler was told of a peer that did not ask", "request %u at node %u",
                                 key, n->station.index);
        if (e->type == COAP_EVENT_NOTIFY)
                return;
        if (r->method != server_method(a->kind) || !span_equal_string(r->path, server_path(a->kind)))
                invariant_broken(w, "a handler was told of another request", "request %u at node %u", key,
                                 n->station.index);
        if (a->n_up ? !body_read(r->payload, &body_key, &version) || body_key != key ||
                              r->payload.n != a->n_up
                    : r->payload.n != 0)
                invariant_broken(w, "a request's body is not what was sent", "request %u at node %u", key,
                                 n->station.index);
}

static void validate(struct world *w, struct node *n, const struct coap_event *e, uint32_t key) {
        const struct span etag = span_of(&n->state, sizeof(n->state));
        const struct coap_response valid = {
                .code = COAP_VALID, .content_format = COAP_FORMAT_NONE, .max_age_s = -1, .etag = etag
        };

        if (e->request.n_etags > 1)
                invariant_broken(w, "a handler was told of another request", "request %u has two ETags", key);
        else if (e->request.n_etags && span_equal(e->request.etags[0], etag)) /* a later block has none */
                (void)coap_endpoint_respond(n->ep, w->now_ms, e->id, &valid);
        else
                answer(w, n, e->id, key, false);
}

static void handle(struct world *w, struct node *n, const struct coap_event *e, uint32_t key) {
        enum ask_kind kind = w->asks[key].kind;

        if (server_has_effect(kind) && kind != ASK_REFUSED)
                invariant_handled(w, key, n, e->peer.remote_ip);
        switch (kind) {
        case ASK_GET:
        case ASK_FETCH:
        case ASK_POST:
        case ASK_PUT:
        case ASK_DELETE:
        case ASK_PATCH:
        case ASK_LONG:
        case ASK_UPLOAD:
        case ASK_BOTH:
        case ASK_QUIET:
                answer(w, n, e->id, key, false);
                return;
        case ASK_VALID:
                validate(w, n, e, key);
                return;
        case ASK_OBSERVE:
        case ASK_WATCH:
                answer(w, n, e->id, key, e->request.wants_observe);
                return;
        case ASK_SLOW:
                owe(w, n, e->id, key, (struct range){ 0, 6000 });
                return;
        case ASK_LATE:
                owe(w, n, e->id, key, (struct range){ 100000, 400000 });
                return;
        case ASK_DIES:
                return; /* it is never heard of again */
        case ASK_REFUSED:
                refuse(w, n, e->id, COAP_FORBIDDEN);
                return;
        case N_ASK_KINDS:
                return;
        }
}

void server_event(struct world *w, struct node *n, const struct coap_event *e) {
        uint32_t key;

        if (!server_key(w, e->request.query, &key) && !read_body_key(w, e, &key)) {
                if (e->type == COAP_EVENT_NOTIFY)
                        invariant_broken(w, "a notification for nobody", "node %u", n->station.index);
                refuse(w, n, e->id, COAP_NOT_FOUND);
                return;
        }
        TELL(w, "node %u: %s of request %u, %s", n->station.index,
             e->type == COAP_EVENT_NOTIFY ? "notification" : "handler", key,
             ask_kind_names[w->asks[key].kind]);
        compare(w, n, e, key);
        if (e->type == COAP_EVENT_NOTIFY)
                answer(w, n, e->id, key, false);
        else
                handle(w, n, e, key);
}

void server_change(struct world *w, struct node *n) {
        n->state++;
        TELL(w, "node %u: its resources change to %u", n->station.index, n->state);
        coap_endpoint_notify(n->ep, w->now_ms, RESOURCE_OBSERVED);
        coap_endpoint_notify(n->ep, w->now_ms, RESOURCE_WATCHED);
        node_serve(w, n);
}

void server_end(struct world *w, struct node *n) {
        coap_endpoint_end_observers(n->ep, w->now_ms, RESOURCE_OBSERVED, COAP_NOT_FOUND, -1);
        coap_endpoint_end_observers(n->ep, w->now_ms, RESOURCE_WATCHED, COAP_NOT_FOUND, -1);
        n->touched_ms = w->now_ms;
        node_serve(w, n);
}
