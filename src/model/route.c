#include "model/model_private.h"
#include "model/query.h"
#include "protocol/rep.h"

#include <string.h>

/* ---- which device, which resource ---- */

/* di=: is the device among those that are meant? (core.md 5.5: any value suffices) */
static bool is_meant(const struct device *d, struct span query) {
        char di[UUID_TEXT_MAX];
        struct span key, value;
        bool asked = false;

        while (query_next(&query, &key, &value)) {
                if (!span_equal_ignoring_case(key, SPAN_LITERAL("di")))
                        continue;
                asked = true;
                uuid_format(&d->di, di);
                if (span_equal_ignoring_case(value, span_of_string(di)))
                        return true;
        }
        return !asked;
}

static enum fault absent(const struct model *m, uint64_t now_ms, const struct ocf_request *request) {
        return model_is_expected(m, request->device, request->path, now_ms) ? FAULT_UNAVAILABLE
                                                                            : FAULT_NOT_FOUND;
}

/* ---- what it is asked for ---- */

static enum fault select_interface(const struct ocf_request *request, const struct resource *r,
                                   enum interface *ret) {
        struct span name;

        bool is_known;

        *ret = r->default_interface;
        if ((r->core && !core_resource_has_views(r)) || !query_find(request->query, "if", &name))
                return FAULT_NONE;
        is_known = interface_parse(ret, name);
        if (r->mode == RESOURCE_SECURE && !is_known)
                return FAULT_FORBIDDEN; /* as the reference does (security.md 1.1) */
        if (!is_known)
                return FAULT_BAD_REQUEST;
        return r->interfaces >> *ret & 1 ? FAULT_NONE : FAULT_FORBIDDEN;
}

static bool is_update(uint8_t method) {
        return method == COAP_POST || method == COAP_PUT;
}

/* Published and core resources have no meaning for DELETE, secure ones none for PUT, and nothing has one for
 * FETCH and PATCH. */
static bool has_meaning(const struct resource *r, uint8_t method) {
        switch (r->mode) {
        case RESOURCE_CORE:
                return method == COAP_GET;
        case RESOURCE_PUBLISHED:
                return method == COAP_GET || is_update(method);
        case RESOURCE_SECURE: /* not every one has DELETE: its own rules say so */
                return method == COAP_GET || method == COAP_POST || method == COAP_DELETE;
        case RESOURCE_HANDLED:
                break;
        }
        return method == COAP_GET || is_update(method) || method == COAP_DELETE;
}

bool resource_can_give(const struct resource *r, int accept) {
        if (r->mode == RESOURCE_CORE)
                return core_resource_can_give(r, accept);
        return accept == COAP_FORMAT_NONE || accept == COAP_FORMAT_OCF_CBOR || accept == COAP_FORMAT_CBOR ||
               accept == COAP_FORMAT_JSON;
}

static enum fault check(const struct ocf_request *request, const struct resource *r, enum interface *ret) {
        enum fault fault;

        if (!resource_is_available(r))
                return FAULT_UNAVAILABLE;
        fault = select_interface(request, r, ret);
        if (fault)
                return fault;
        if (!has_meaning(r, request->method))
                return FAULT_METHOD_NOT_ALLOWED;
        if (!interface_allows(*ret, request->method))
                return FAULT_FORBIDDEN;
        return resource_can_give(r, request->accept) ? FAULT_NONE : FAULT_NOT_ACCEPTABLE;
}

bool model_route(struct model *m, uint64_t now_ms, const struct ocf_request *request, struct route *ret) {
        struct route route = { 0 };

        if (request->device >= m->n_devices)
                return false;
        route.device = m->devices[request->device];
        if (!is_meant(route.device, request->query)) {
                if (request->multicast)
                        return false;
                route.fault = FAULT_NOT_FOUND;
                *ret = route;
                return true;
        }
        route.resource = model_resource_find(m, request->device, request->path);
        if (route.resource)
                route.fault = check(request, route.resource, &route.interface);
        else
                route.fault = absent(m, now_ms, request);
        *ret = route;
        return true;
}

/* ---- published resources answer by themselves ---- */

static bool request_knows_etag(const struct ocf_request *request, uint64_t etag) {
        uint8_t bytes[8];

        for (size_t i = 0; i < sizeof(bytes); i++)
                bytes[i] = (uint8_t)(etag >> (56 - 8 * i));
        for (size_t i = 0; i < request->n_etags; i++)
                if (span_equal(request->etags[i], span_of(bytes, sizeof(bytes))))
                        return true;
        return false;
}

/* The two views of a value have one ETag each, so that a cache cannot take the one for the other. */
uint64_t resource_etag(const struct resource *r, enum interface interface) {
        return r->etag ^ (uint64_t)(interface == INTERFACE_BASELINE) << 63;
}

/* The asker has this answer already: then it is enough to say so. */
void response_validate(struct ocf_response *response, const struct ocf_request *request) {
        if (!request_knows_etag(request, response->etag))
                return;
        response->code = COAP_VALID;
        response->rep = response->raw = SPAN_NULL;
}

static void show(const struct resource *r, enum interface interface, uint8_t code,
                 struct ocf_response *response) {
        *response = OCF_RESPONSE_OK(code);
        response->etag = resource_etag(r, interface);
        if (!interface_allows(interface, COAP_GET))
                return; /* write only */
        response->rep = interface == INTERFACE_BASELINE ? span_of(r->baseline, r->n_baseline)
                                                        : span_of(r->rep, r->n_rep);
}

static enum model_answer get(const struct ocf_request *request, const struct resource *r,
                             enum interface interface, struct ocf_response *response) {
        show(r, interface, COAP_CONTENT, response);
        response_validate(response, request);
        return MODEL_ANSWERED;
}

static enum model_answer refused(struct ocf_response *response, enum fault fault, const char *why) {
        *response = OCF_RESPONSE_FAULT(fault);
        response->diagnostic = why;
        return MODEL_ANSWERED;
}

/* Null takes any place and any value takes null's; a number stays a number. */
static bool fits(struct span old, struct span new) {
        enum rep_type a = rep_type_of(old), b = rep_type_of(new);
        bool a_is_number = a == REP_UINT || a == REP_NEGATIVE || a == REP_DOUBLE;
        bool b_is_number = b == REP_UINT || b == REP_NEGATIVE || b == REP_DOUBLE;

        return a == b || (a_is_number && b_is_number) || a == REP_NULL || b == REP_NULL;
}

/*
 * A resource declares its properties by the value it published: an update may
 * set those, each with what fits its type. The common ones are read-only.
 */
static const char *update_flaw(const struct resource *r, struct span update) {
        struct span pairs, key, item, old;
        uint64_t n;

        if (!rep_map_begin(update, &pairs, &n))
                return "An update must be a map of properties";
        while (rep_map_next(&pairs, &key, &item)) {
                if (!key.data)
                        return "An update must have names as keys";
                if (rep_map_find_span(span_of(r->rep, r->n_rep), key, &old)) {
                        if (!fits(old, item))
                                return "A property has another type than this";
                } else if (!rep_map_find_span(span_of(r->baseline, r->n_baseline), key, &old)) {
                        return "The resource has no such property";
                } else if (!rep_equal(old, item)) {
                        return "The common properties are read-only";
                }
        }
        return n ? NULL : "An update must have at least one property";
}

/* Without the common properties, which are there only as they are already. */
static struct span own_properties(struct model *m, const struct resource *r, struct span update) {
        struct span pairs, key, item, old;
        struct writer w = writer_on(model_scratch(m, update.n + 16), update.n + 16);
        uint64_t n, n_kept = 0;
        size_t begun;

        if (!w.data)
                return SPAN_NULL;
        begun = rep_begin_map(&w);
        (void)rep_map_begin(update, &pairs, &n);
        while (rep_map_next(&pairs, &key, &item)) {
                if (!rep_map_find_span(span_of(r->rep, r->n_rep), key, &old))
                        continue;
                rep_put_text(&w, key);
                rep_put_item(&w, item);
                n_kept++;
        }
        rep_end_map(&w, begun, n_kept);
        return writer_span(&w);
}

static enum model_answer update(struct model *m, const struct ocf_request *request, struct resource *r,
                                enum interface interface, struct ocf_response *response) {
        struct model_refusal refusal;
        const char *flaw;
        struct span own;
        int e;

        if (!request->payload.data)
                return refused(response, FAULT_BAD_REPRESENTATION, "An update needs a payload");
        flaw = update_flaw(r, request->payload);
        if (flaw)
                return refused(response, FAULT_BAD_REPRESENTATION, flaw);
        own = own_properties(m, r, request->payload);
        if (!own.data)
                return refused(response, FAULT_BUSY, NULL);
        e = resource_publish(r, own, false, &refusal);
        if (e)
                return refused(response, e == MODEL_E_REFUSED ? FAULT_TOO_LARGE : FAULT_BUSY, NULL);
        if (r->handler && r->handler->vtable->updated)
                r->handler->vtable->updated(r->handler, r, request);
        show(r, interface, COAP_CHANGED, response);
        return MODEL_ANSWERED;
}

enum model_answer model_answer(struct model *m, const struct ocf_request *request, const struct route *route,
                               struct ocf_response *response) {
        struct resource *r = route->resource;

        switch (r->mode) {
        case RESOURCE_CORE:
                return core_resource_answer(m, request, route, response);
        case RESOURCE_PUBLISHED:
                return request->method == COAP_GET ? get(request, r, route->interface, response)
                                                   : update(m, request, r, route->interface, response);
        case RESOURCE_HANDLED:
        case RESOURCE_SECURE:
                break;
        }
        return MODEL_HANDLED;
}
