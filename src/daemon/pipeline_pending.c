#include "base/memory.h"
#include "daemon/pipeline_private.h"

#include <errno.h>
#include <string.h>

/*
 * Requests that somebody else answers: an app, or the security of the device.
 * They wait here, for one peer of the wire, for a local app, or once for all
 * observers of one view.
 */

struct pending *pending_free(struct pending *n) {
        LIST_FOR_EACH_SAFE(i, &n->waiters)
        ocf_free(LIST_ENTRY(i, struct waiter, link));
        if (list_is_linked(&n->link)) {
                list_unlink(&n->link);
                n->pipeline->n_pending--;
        }
        ocf_free(n->bytes);
        return ocf_free(n);
}

static struct span keep(uint8_t **at, struct span s) {
        struct span kept = { s.data ? *at : NULL, s.n };

        if (s.n) {
                memcpy(*at, s.data, s.n);
                *at += s.n;
        }
        return kept;
}

static void pending_done(struct call *call, const struct ocf_response *response);

int pending_new(struct pending **ret, struct pipeline *p, const struct ocf_request *request,
                const struct route *route, uint64_t deadline_ms) {
        OCF_CLEANUP(pending_freep) struct pending *n = ocf_new(struct pending);
        uint8_t *at;

        if (!n)
                return -ENOMEM;
        n->pipeline = p;
        list_init(&n->link);
        list_init(&n->waiters);
        list_init(&n->call.link);
        n->bytes = ocf_allocate(request->path.n + request->query.n + request->payload.n, 1);
        if (!n->bytes)
                return -ENOMEM;
        at = n->bytes;
        n->call.request = *request;
        n->call.request.path = keep(&at, request->path);
        n->call.request.query = keep(&at, request->query);
        n->call.request.payload = keep(&at, request->payload);
        n->call.request.n_etags = 0; /* they are not kept; an app answers whole */
        n->call.interface = route->interface;
        n->call.resource = route->resource->number;
        n->call.deadline_ms = deadline_ms;
        n->call.done = pending_done;
        list_link_tail(&p->pending, &n->link);
        p->n_pending++;
        *ret = n;
        n = NULL;
        return 0;
}

int pending_add_waiter(struct pending *n, coap_id id, int accept) {
        struct waiter *w = ocf_new(struct waiter);

        if (!w)
                return -ENOMEM;
        w->id = id;
        w->accept = accept;
        list_link_tail(&n->waiters, &w->link);
        return 0;
}

void pipeline_respond(struct pipeline *p, coap_id id, int accept, const struct ocf_response *response,
                      bool observe, uint64_t resource) {
        struct coap_response out;

        wire_format_response(p->format, response, accept, &out);
        out.observe = observe && out.code < COAP_BAD_REQUEST;
        out.resource = out.observe ? resource : 0;
        (void)coap_endpoint_respond(p->endpoint, p->now_ms, id,
                                    &out); /* unknown: the peer is gone; full: it said 5.03 itself */
}

static bool is_update(uint8_t method) {
        return method == COAP_POST || method == COAP_PUT;
}

/* The design answers an update with the new representation: ask for it where the app gave none. */
static bool retrieve_after_update(struct pending *n, const struct ocf_response *response) {
        struct resource *r = model_resource_by_number(n->pipeline->config.model, n->call.resource);

        if (n->retrieving || response->fault || !is_update(n->call.request.method) || response->rep.data ||
            response->raw.data || response->code != COAP_CHANGED)
                return false;
        if (!r || r->removed || !resource_is_available(r) || !interface_allows(n->call.interface, COAP_GET))
                return false;
        n->retrieving = true;
        n->first = *response;
        n->call.request.method = COAP_GET;
        n->call.request.payload = SPAN_NULL;
        r->handler->vtable->request(r->handler, r, &n->call);
        return true;
}

static void pending_done(struct call *call, const struct ocf_response *response) {
        struct pending *n = OCF_CONTAINER_OF(call, struct pending, call);
        struct pipeline *p = n->pipeline;
        struct resource *r = model_resource_by_number(p->config.model, call->resource);
        struct ocf_response merged = *response;
        bool observable = r && !r->removed && r->observable && n->wants_observe;
        bool is_app = r && r->mode != RESOURCE_SECURE;

        pipeline_look_at_clock(p);
        if (!response->fault && call->request.method != COAP_GET && r && !r->removed)
                resource_changed(r); /* whoever observes should not depend on the app to think of it */
        if (is_app && retrieve_after_update(n, response))
                return;
        if (n->retrieving) {
                merged = response->fault ? n->first : *response;
                merged.code = n->first.code;
        }
        if (is_app && !merged.fault && call->interface == INTERFACE_BASELINE &&
            call->request.method == COAP_GET)
                merged.rep = resource_with_common(r, merged.rep);
        if (n->local)
                call_answer(n->local, &merged);
        LIST_FOR_EACH_SAFE(i, &n->waiters) {
                struct waiter *w = LIST_ENTRY(i, struct waiter, link);

                pipeline_respond(p, w->id, w->accept, &merged, observable, call->resource);
                list_unlink(i);
                ocf_free(w);
        }
        pending_free(n);
}

void pending_ask(struct pending *n, const struct route *route) {
        struct resource *r = route->resource;

        /* May answer at once: n is gone then. */
        if (r->mode == RESOURCE_SECURE)
                n->pipeline->config.secure_request(n->pipeline->config.context, r, &n->call);
        else
                r->handler->vtable->request(r->handler, r, &n->call);
}

/* An observer is due whose app is already being asked for the same view: it waits for that answer. */
struct pending *pending_for_observers(struct pipeline *p, uint64_t resource, struct span query) {
        LIST_FOR_EACH(i, &p->pending) {
                struct pending *n = LIST_ENTRY(i, struct pending, link);

                if (n->call.request.notify && n->call.resource == resource &&
                    span_equal(n->call.request.query, query))
                        return n;
        }
        return NULL;
}
