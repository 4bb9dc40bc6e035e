/*
 * A model with one device on two addresses, and a way to say things in few words.
 */
#ifndef OCF_TESTS_MODEL_MODEL_FIXTURE_H
#define OCF_TESTS_MODEL_MODEL_FIXTURE_H

#include "../unit.h"
#include "model/route.h"
#include "protocol/rep.h"

#include <stdio.h>

#define LIMITS ((uint64_t[]){ 4, 64, 1 << 20 })

static const struct platform_identity platform = { .pi = { { 9 } }, .manufacturer = "Example" };

struct told {
        struct handler handler;
        unsigned n_requests, n_updates, n_releases;
};

static void on_request(struct handler *h, const struct resource *r, struct call *c) {
        OCF_CONTAINER_OF(h, struct told, handler)->n_requests++;
}

static void on_updated(struct handler *h, const struct resource *r, const struct ocf_request *q) {
        OCF_CONTAINER_OF(h, struct told, handler)->n_updates++;
}

static void on_release(struct handler *h) {
        OCF_CONTAINER_OF(h, struct told, handler)->n_releases++;
}

static OCF_UNUSED const struct handler_vtable handled = { on_request, NULL, on_release };
static OCF_UNUSED const struct handler_vtable published = { NULL, on_updated, on_release };

static OCF_UNUSED void add_device(struct model *m, uint8_t id) {
        const struct device_identity identity = { .di = { { id } },
                                                  .piid = { { 2 } },
                                                  .name = "box",
                                                  .type = "oic.d.light",
                                                  .spec_version = "ocf.2.2.5",
                                                  .data_model_version = "ocf.res.1.3.0" };
        struct device_endpoint endpoints[] = {
                { .ip = { [10] = 0xff, [11] = 0xff, 10, 0, 0, 1 }, .port = 5683, .interface = 2 },
                { .ip = { 0xfd, 0, [15] = 1 }, .port = 5683, .interface = 2 },
                { .ip = { 0xfe, 0x80, [15] = 1 }, .port = 5683, .interface = 2 },
                { .ip = { [10] = 0xff, [11] = 0xff, 10, 0, 1, 1 }, .port = 5683, .interface = 3 },
        };
        struct device *d;

        assert_int_equal(model_add_device(m, &identity, &d), 0);
        assert_int_equal(device_set_endpoints(d, endpoints, ARRAY_SIZE(endpoints)), 0);
}

static OCF_UNUSED struct model *model_open(void) {
        struct model_event e;
        struct model *m;

        assert_int_equal(model_new(&m, &platform, LIMITS), 0);
        add_device(m, 1);
        while (model_event(m, &e))
                ;
        return m;
}

static OCF_UNUSED const char *const lamp_types[] = { "oic.r.switch.binary" };
static OCF_UNUSED const char *const interface_a[] = { "oic.if.a" };

/* {"value": true, "level": 3} */
#define LAMP_VALUE SPAN_LITERAL("\xa2\x65value\xf5\x65level\x03")

static OCF_UNUSED struct resource_spec lamp_spec(const char *href, struct handler *h) {
        return (struct resource_spec){ .href = href,
                                       .types = lamp_types,
                                       .n_types = 1,
                                       .interfaces = interface_a,
                                       .n_interfaces = 1,
                                       .discoverable = true,
                                       .observable = true,
                                       .insecure = true,
                                       .value = LAMP_VALUE,
                                       .handler = h };
}

static OCF_UNUSED int register_one(struct model *m, const char *owner, const char *name, uint64_t linger_ms,
                                   struct resource_spec spec, struct app **ret,
                                   struct model_refusal *refusal) {
        struct app_spec app = { .owner = owner, .name = name, .uid = 1000, .linger_ms = linger_ms };

        return model_register(m, 1000, 0, &app, &spec, 1, ret, refusal);
}

static OCF_UNUSED struct resource *find(struct model *m, const char *href) {
        return model_resource_find(m, 0, span_of_string(href));
}

/* A request from the wire to 10.0.0.1. */
static OCF_UNUSED struct ocf_request request(uint8_t method, const char *path, const char *query) {
        struct ocf_request r = { .method = method,
                                 .path = span_of_string(path),
                                 .query = span_of_string(query),
                                 .accept = COAP_FORMAT_NONE };
        static const uint8_t local[16] = { [10] = 0xff, [11] = 0xff, 10, 0, 0, 1 };

        memcpy(r.peer.local_ip, local, 16);
        memcpy(r.peer.remote_ip, local, 16);
        r.peer.remote_ip[15] = 99;
        return r;
}

/* Routes and answers; the fault of the route where it has one. */
static OCF_UNUSED enum model_answer ask(struct model *m, const struct ocf_request *q,
                                        struct ocf_response *ret) {
        struct route route;

        *ret = (struct ocf_response){ 0 };
        if (!model_route(m, 1000, q, &route))
                return MODEL_SILENT;
        if (route.fault) {
                *ret = OCF_RESPONSE_FAULT(route.fault);
                return MODEL_ANSWERED;
        }
        return model_answer(m, q, &route, ret);
}

static OCF_UNUSED enum fault fault_of(struct model *m, struct ocf_request q) {
        struct ocf_response r;

        ask(m, &q, &r);
        return r.fault;
}

#endif
