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

bool discovery_is_plain(const struct resource *r) {
        const struct device_security *s = &r->device->security;

        switch (r->mode) {
        case RESOURCE_CORE:
                return true;
        case RESOURCE_SECURE:
                return r->clear == CLEAR_WHILE_UNOWNED && s->secure && !s->owned && !s->transfer;
        case RESOURCE_PUBLISHED:
        case RESOURCE_HANDLED:
                break;
        }
        return r->insecure && r->device->model->allow_insecure;
}

bool resource_has_plain_endpoint(const struct resource *r) {
        return r->device->has_plain_endpoint && discovery_is_plain(r);
}

bool resource_has_secure_endpoint(const struct resource *r) {
        return r->device->has_secure_endpoint && r->device->security.secure;
}

/*
 * What is announced: to apps of this machine all, to the wire what can be
 * reached from there, in clear or over a secure channel. Nobody needs to be
 * allowed to use a resource to learn that it is there (core.md 6.1).
 */
bool discovery_shows(const struct model *m, const struct ocf_request *request, const struct resource *r) {
        if (!r->discoverable)
                return false;
        return request->subject.kind == SUBJECT_LOCAL || discovery_is_plain(r) ||
               resource_has_secure_endpoint(r);
}

bool discovery_reaches(const struct model *m, const struct ocf_request *request, const struct resource *r) {
        return discovery_shows(m, request, r) &&
               (request->subject.kind != SUBJECT_ANON_CLEAR || discovery_is_plain(r));
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
        return discovery_shows(m, request, r) && matches_type(r, request->query);
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

/* The order of the reference: clients take the first that they understand, and some the first of all. */
static const struct {
        bool is_asked, tcp, secure;
} endpoint_order[] = {
        { true, false, false },  { true, false, true },  { true, true, false },  { true, true, true },
        { false, false, false }, { false, false, true }, { false, true, false }, { false, true, true },
};

/* What plain CoAP refuses is announced with secure endpoints only (core.md 4). */
static void put_endpoints(struct writer *w, const struct device *d, const struct ocf_request *request,
                          bool with_plain) {
        uint32_t interface = asked_interface(d, request);
        size_t begun = rep_begin_array(w);
        uint64_t n = 0;

        for (size_t o = 0; o < ARRAY_SIZE(endpoint_order); o++)
                for (size_t i = 0; i < d->n_endpoints; i++) {
                        const struct device_endpoint *e = &d->endpoints[i];

                        if (e->tcp != endpoint_order[o].tcp || e->secure != endpoint_order[o].secure ||
                            is_asked(e, request) != endpoint_order[o].is_asked ||
                            !(e->secure ? d->security.secure : with_plain) ||
                            !is_reachable(e, request, interface))
                                continue;
                        put_endpoint(w, e);
                        n++;
                }
        rep_end_array(w, begun, n);
}

/* ---- links ---- */

static void put_link(struct writer *w, const struct resource *r, struct span endpoints) {
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

/* All links have one of two sets of endpoints: these are written once. */
static uint64_t put_links(struct writer *w, struct model *m, const struct ocf_request *request,
                          const struct route *route) {
        const struct device *d = route->device;
        size_t n_endpoints = 16 + d->n_endpoints * (ENDPOINT_TEXT_MAX + 8), begun = rep_begin_array(w);
        uint8_t *buf = ocf_allocate(2, n_endpoints);
        struct writer all, secure;
        uint64_t n = 0;

        if (!buf) {
                w->overflow = true;
                return 0;
        }
        all = writer_on(buf, n_endpoints);
        secure = writer_on(buf + n_endpoints, n_endpoints);
        put_endpoints(&all, d, request, true);
        put_endpoints(&secure, d, request, false);
        LIST_FOR_EACH(i, &d->resources) {
                const struct resource *r = LIST_ENTRY(i, struct resource, device_link);

                if (w->overflow)
                        break;
                if (!discovery_lists(m, request, r))
                        continue;
                put_link(w, r, writer_span(discovery_is_plain(r) ? &all : &secure));
                n++;
        }
        rep_end_array(w, begun, n);
        ocf_free(buf);
        return n;
}

/* ---- the security domain (security.md 1.10) ---- */

static bool tells_domain(const struct device *d) {
        return !d->security.domain_private && !uuid_is_nil(&d->security.domain);
}

/* sduuid=: any value suffices, as with di=. */
static bool is_meant_by_domain(const struct device *d, struct span query) {
        char domain[UUID_TEXT_MAX];
        struct span key, value;
        bool asked = false;

        while (query_next(&query, &key, &value)) {
                if (!span_equal_ignoring_case(key, SPAN_LITERAL("sduuid")))
                        continue;
                asked = true;
                uuid_format(&d->security.domain, domain);
                if (tells_domain(d) && span_equal_ignoring_case(value, span_of_string(domain)))
                        return true;
        }
        return !asked;
}

static void put_domain(struct writer *w, const struct device *d) {
        char domain[UUID_TEXT_MAX];

        rep_put_string(w, "sduuid");
        rep_put_string(w, uuid_format(&d->security.domain, domain));
        rep_put_string(w, "sdname");
        rep_put_string(w, d->security.domain_name ? d->security.domain_name : "");
}

/* ---- the answers ---- */

/* The reference answers baseline with an array of one map (core.md 6.1). */
static uint64_t put_baseline(struct writer *w, struct model *m, const struct ocf_request *request,
                             const struct route *route) {
        bool with_domain = tells_domain(route->device);

        rep_put_array(w, 1);
        rep_put_map(w, resource_common_pairs(route->resource) + (with_domain ? 3 : 1));
        resource_put_common(route->resource, w);
        if (with_domain)
                put_domain(w, route->device);
        rep_put_string(w, "links");
        return put_links(w, m, request, route);
}

enum model_answer discovery_answer(struct model *m, const struct ocf_request *request,
                                   const struct route *route, struct ocf_response *response) {
        static const char *const keys[] = { "rt", NULL };
        bool baseline = route->interface == INTERFACE_BASELINE;
        struct whole_answer links = {
                .kind = baseline ? ANSWER_BASELINE : ANSWER_LINKS,
                .stamp = m->generation,
                .keys = keys,
                .put = baseline ? put_baseline : put_links,
        };

        /* A private domain, another one or none: nobody can tell which. */
        if (!is_meant_by_domain(route->device, request->query)) {
                *response = OCF_RESPONSE_FAULT(FAULT_NOT_FOUND);
                return request->multicast ? MODEL_SILENT : MODEL_ANSWERED;
        }
        if (route->interface == INTERFACE_B)
                return batch_answer(m, request, route, response);
        return whole_answer_give(m, request, route, &links, response);
}
