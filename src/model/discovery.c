#include "base/memory.h"
#include "model/endpoint_text.h"
#include "model/model_private.h"
#include "model/query.h"
#include "protocol/rep.h"

#include <string.h>

/*
 * /oic/res (core.md 6.1): which resources there are, and where they are reached
 * from where the question came.
 */

/*
 * What is announced. Until somebody owns the device the wire sees the core
 * resources, and of the others those that may be had in clear; apps of this
 * machine see all of them.
 */
static bool is_visible(const struct model *m, const struct ocf_request *request, const struct resource *r) {
        if (!r->discoverable)
                return false;
        if (request->subject.kind == SUBJECT_LOCAL || r->mode == RESOURCE_CORE)
                return true;
        return r->insecure && m->allow_insecure;
}

static bool matches_type(const struct resource *r, struct span query) {
        struct span key, value;
        bool asked = false;

        while (query_next(&query, &key, &value)) {
                if (!span_equal_string(key, "rt")) /* this key is exact, and the others select nothing */
                        continue;
                asked = true;
                for (size_t i = 0; i < r->n_types; i++)
                        if (span_equal_string(value, r->types[i]))
                                return true;
        }
        return !asked;
}

bool discovery_lists(const struct model *m, const struct ocf_request *request, const struct resource *r) {
        return is_visible(m, request, r) && matches_type(r, request->query);
}

/* ---- endpoints: those of the asked interface and family, the asked address first ---- */

static bool is_asked(const struct device_endpoint *e, const struct ocf_request *request) {
        return memcmp(e->ip, request->peer.local_ip, sizeof(e->ip)) == 0;
}

static uint32_t asked_interface(const struct device *d, const struct ocf_request *request) {
        for (size_t i = 0; i < d->n_endpoints; i++)
                if (is_asked(&d->endpoints[i], request) &&
                    (!request->peer.interface || d->endpoints[i].interface == request->peer.interface))
                        return d->endpoints[i].interface;
        return request->peer.interface;
}

static bool is_reachable(const struct device_endpoint *e, const struct ocf_request *request,
                         uint32_t interface) {
        if (request->subject.kind == SUBJECT_LOCAL)
                return true;
        if (ip_is_v4(e->ip) != coap_peer_is_ipv4(&request->peer) || (interface && e->interface != interface))
                return false;
        return !ip_is_link_local(e->ip) || is_asked(e, request); /* clients drop others (core.md 4) */
}

static void put_endpoint(struct writer *w, const struct device_endpoint *e) {
        char text[ENDPOINT_TEXT_MAX];

        rep_put_map(w, 1);
        rep_put_string(w, "ep");
        rep_put_string(w, endpoint_format(e, text));
}

static void put_endpoints(struct writer *w, const struct device *d, const struct ocf_request *request) {
        uint32_t interface = asked_interface(d, request);
        size_t begun = rep_begin_array(w);
        uint64_t n = 0;

        for (int asked = 1; asked >= 0; asked--)
                for (size_t i = 0; i < d->n_endpoints; i++)
                        if (is_asked(&d->endpoints[i], request) == asked &&
                            is_reachable(&d->endpoints[i], request, interface)) {
                                put_endpoint(w, &d->endpoints[i]);
                                n++;
                        }
        rep_end_array(w, begun, n);
}

/* ---- links ---- */

static void put_link(struct writer *w, const struct ocf_request *request, const struct resource *r,
                     struct span endpoints) {
        bool is_self = r->mode == RESOURCE_CORE && strcmp(r->href, "/oic/res") == 0;
        char anchor[8 + UUID_TEXT_MAX] = "ocf://";

        uuid_format(&r->device->di, anchor + 6);
        rep_put_map(w, is_self ? 7 : 6);
        if (is_self) {
                rep_put_string(w, "rel");
                rep_put_array(w, 1);
                rep_put_string(w, "self");
        }
        rep_put_string(w, "anchor");
        rep_put_string(w, anchor);
        rep_put_string(w, "href");
        rep_put_string(w, r->href);
        resource_put_types(r, w);
        resource_put_interfaces(r, w);
        rep_put_string(w, "p");
        rep_put_map(w, 1);
        rep_put_string(w, "bm");
        rep_put_uint(w, 1u | (r->observable ? 2u : 0));
        rep_put_string(w, "eps");
        rep_put_item(w, endpoints);
}

static uint64_t put_links(struct writer *w, const struct model *m, const struct ocf_request *request,
                          const struct device *d, struct span endpoints) {
        size_t begun = rep_begin_array(w);
        uint64_t n = 0;

        LIST_FOR_EACH(i, &d->resources) {
                const struct resource *r = LIST_ENTRY(i, struct resource, device_link);

                if (w->overflow)
                        break;
                if (!discovery_lists(m, request, r))
                        continue;
                put_link(w, request, r, endpoints);
                n++;
        }
        rep_end_array(w, begun, n);
        return n;
}

/* The reference answers baseline with an array of one map (core.md 6.1). */
static uint64_t put_all(struct writer *w, const struct model *m, const struct ocf_request *request,
                        const struct route *route, struct span endpoints) {
        uint64_t n;

        if (route->interface != INTERFACE_BASELINE)
                return put_links(w, m, request, route->device, endpoints);
        rep_put_array(w, 1);
        rep_put_map(w, resource_common_pairs(route->resource) + 1);
        resource_put_common(route->resource, w);
        rep_put_string(w, "links");
        n = put_links(w, m, request, route->device, endpoints);
        return n;
}

/* The same links look different from elsewhere, and through a filter: the ETag knows all that. */
uint64_t answer_etag(uint64_t seed, struct span bytes) {
        uint64_t h = seed * 0x9e3779b97f4a7c15u;

        for (size_t i = 0; i < bytes.n; i++)
                h = (h ^ bytes.data[i]) * 1099511628211u;
        return h ? h : 1;
}

#define ROOM_START (16u * 1024)
#define ROOM_MAX   (16u * 1024 * 1024)

enum model_answer discovery_answer(struct model *m, const struct ocf_request *request,
                                   const struct route *route, struct ocf_response *response) {
        const struct device *d = route->device;
        size_t n_endpoints = 16 + d->n_endpoints * (ENDPOINT_TEXT_MAX + 8);
        struct writer endpoints, w;
        struct span sduuid;
        uint64_t n = 0;

        if (query_find(request->query, "sduuid", &sduuid)) { /* it is in no security domain */
                *response = OCF_RESPONSE_FAULT(FAULT_NOT_FOUND);
                return request->multicast ? MODEL_SILENT : MODEL_ANSWERED;
        }
        if (route->interface == INTERFACE_B)
                return batch_answer(m, request, route, response);
        for (size_t room = ROOM_START; room <= ROOM_MAX; room *= 4) {
                uint8_t *buf = model_scratch(m, n_endpoints + room);

                if (!buf)
                        break;
                endpoints = writer_on(buf, n_endpoints);
                put_endpoints(&endpoints, d, request);
                w = writer_on(buf + n_endpoints, room);
                n = put_all(&w, m, request, route, writer_span(&endpoints));
                if (w.overflow)
                        continue;
                if (!n && request->multicast)
                        return MODEL_SILENT;
                /* Nothing that matches is an empty list: the question was understood, and 4.04 would deny
                 * /oic/res. */
                *response = OCF_RESPONSE_OK(COAP_CONTENT);
                response->rep = writer_span(&w);
                response->etag = answer_etag(route->resource->etag, response->rep);
                response_validate(response, request);
                return MODEL_ANSWERED;
        }
        *response = OCF_RESPONSE_FAULT(FAULT_BUSY);
        return MODEL_ANSWERED;
}
