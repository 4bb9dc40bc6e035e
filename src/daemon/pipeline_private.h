/*
 * What the files of the pipeline share: pipeline.c is the arrow,
 * pipeline_pending.c has the requests that wait for their answer.
 */
#ifndef OCF_DAEMON_PIPELINE_PRIVATE_H
#define OCF_DAEMON_PIPELINE_PRIVATE_H

#include "daemon/pipeline.h"
#include "daemon/wire_format.h"

/* Observers of the wire that wait for one and the same answer of an app. */
struct waiter {
        struct list link;
        coap_id id;
        int accept;
};

/*
 * A request that an app has been asked to answer: for one peer of the wire, for
 * a local app, or once for all observers of one view of a resource.
 */
struct pending {
        struct call call; /* what the handler sees */
        struct pipeline *pipeline;
        struct list link;
        struct call *local;  /* the local app's call; NULL for the wire */
        struct list waiters; /* of the wire */
        bool wants_observe;
        bool retrieving;           /* an update without a body was done, now we ask what it led to */
        struct ocf_response first; /* of that update: its code */
        uint8_t *bytes;            /* path, query and payload of the request */
};

struct pipeline {
        struct pipeline_config config;
        struct coap_endpoint *endpoint;
        void *memory;
        struct wire_format *format;
        struct list pending;
        uint64_t n_pending;
        uint64_t now_ms;
        bool transmitting; /* there may be more to send at this moment */
};

void pipeline_look_at_clock(struct pipeline *p);
void pipeline_respond(struct pipeline *p, coap_id id, int accept, const struct ocf_response *response,
                      bool observe, uint64_t resource);

/* pipeline_pending.c: 0 or -ENOMEM. */
int pending_new(struct pending **ret, struct pipeline *p, const struct ocf_request *request,
                const struct route *route, uint64_t deadline_ms);
struct pending *pending_free(struct pending *n);
OCF_DEFINE_CLEANUP(struct pending, pending_free)
int pending_add_waiter(struct pending *n, coap_id id, int accept);
void pending_ask(struct pending *n, const struct route *route); /* it may be answered, and gone, at once */

/* One that asks for the same view already; NULL: none. */
struct pending *pending_for_observers(struct pipeline *p, uint64_t resource, struct span query);

#endif
