/*
 * From a request to who answers it: resource, interface, and then the answer
 * itself where the model knows it (core.md 2.8 for the order of refusals).
 *
 * The pipeline calls model_route(), asks security whether the subject may, and
 * then calls model_answer().
 */
#ifndef OCF_MODEL_ROUTE_H
#define OCF_MODEL_ROUTE_H

#include "model/model.h"

struct route {
        struct device *device;
        struct resource *resource; /* NULL: fault says why */
        enum interface interface;
        enum fault
                fault; /* what to answer when access is granted, or when there is nothing to ask access for */
};

/*
 * Finds resource and interface. Return: true; false when the device should stay
 * silent (a multicast for another di=).
 */
bool model_route(struct model *m, uint64_t now_ms, const struct ocf_request *request, struct route *ret);

enum model_answer {
        MODEL_ANSWERED, /* *response is the answer; its spans are good until the model changes or answers
                           again */
        MODEL_SILENT,   /* say nothing (multicast that matches nothing) */
        MODEL_HANDLED,  /* the app answers: call resource->handler->vtable->request; of RESOURCE_SECURE: the
                           device's  security does */
};

/* Only for a route without a fault. */
enum model_answer model_answer(struct model *m, const struct ocf_request *request, const struct route *route,
                               struct ocf_response *response);

#endif
