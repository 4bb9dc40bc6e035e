/*
 * The whole daemon in one breath.
 *
 *     datagram -> CoAP -> route -> authorise -> handler -> response -> back out
 *     net.c       endpoint  model    security    model | app over the bus
 *
 * A request from the wire and one from a local app take the same way; they
 * differ in who asks and in where the answer goes. This page is where a
 * newcomer starts reading and where a new feature asks "which arrow am I?".
 */
#ifndef OCF_DAEMON_PIPELINE_H
#define OCF_DAEMON_PIPELINE_H

#include "model/route.h"
#include "protocol/coap_endpoint.h"
#include "security/access.h"

struct pipeline;

struct pipeline_config {
        struct model *model;
        struct coap_config coap;
        uint64_t (*now)(void *context); /* CLOCK_BOOTTIME, ms */
        /* A refusal worth a line in the journal. */
        void (*denied)(void *context, const struct ocf_request *request, const struct route *route,
                       const struct access_verdict *verdict);
        /* What the peer of a channel has proven, or NULL; the secure resources of a device, or NULL; and
         * seconds since 1970, negative when the clock is not trusted. All are NULL where nothing is secure.
         */
        struct svr_session *(*session)(void *context, const struct coap_peer *peer);
        const struct svr *(*svr)(void *context, uint16_t device);
        int64_t (*wall)(void *context);
        /* A request to a RESOURCE_SECURE that is granted: answered through the call. */
        void (*secure_request)(void *context, struct resource *r, struct call *call);
        /* What came back to a request of ours, COAP_EVENT_RESPONSE or FAILED: spans are good until it
         * returns. */
        void (*reply)(void *context, const struct coap_event *e);
        /* This connection is over: once all is written that pipeline_transmit() has for it. */
        void (*close_stream)(void *context, const struct coap_peer *peer);
        void *context;
};

#define PIPELINE_HANDLER_TIMEOUT_MS 10000u /* an app has so long to answer the wire */
#define PIPELINE_PENDING_MAX        1024u  /* requests of the wire that wait for apps */

int pipeline_new(struct pipeline **ret, const struct pipeline_config *config);
struct pipeline *pipeline_free(struct pipeline *p); /* after the bus: nobody answers any more */

/* A datagram arrived. */
void pipeline_receive(struct pipeline *p, const struct coap_peer *peer, unsigned via, struct span data);

/* A connection stands; false: there is no room for another. Bytes came over it: returns how many of them were
 * taken, the others are for after a pipeline_transmit(). It is gone. */
bool pipeline_stream_open(struct pipeline *p, const struct coap_peer *peer);
size_t pipeline_stream_receive(struct pipeline *p, const struct coap_peer *peer, struct span data);
void pipeline_stream_closed(struct pipeline *p, const struct coap_peer *peer);

/* A secure session over datagrams is over. */
void pipeline_session_closed(struct pipeline *p, const struct coap_peer *peer);

/* The loop turned: before pipeline_transmit(), which takes it that no time passes between its calls. */
void pipeline_wake(struct pipeline *p);

/* The next datagram, or message for a stream, to send; 0: none for now. Notifications that are due are made
 * on the way. */
size_t pipeline_transmit(struct pipeline *p, struct coap_peer *ret_to, uint8_t *buf, size_t n);

/* A local app asks; answered through call->done(), maybe at once. The call's subject and deadline are filled
 * in. */
void pipeline_request(struct pipeline *p, struct call *call);

/* Is it granted now? For requests that had to wait. */
bool pipeline_grants(struct pipeline *p, const struct ocf_request *request, const struct resource *r,
                     enum interface interface);

/* Requests of ours to other devices; what comes of them goes to reply(), with the ask's user. As
 * coap_endpoint_request() and coap_endpoint_cancel(). */
int pipeline_ask(struct pipeline *p, const struct coap_peer *peer, const struct coap_ask *ask, coap_id *ret);
void pipeline_cancel(struct pipeline *p, coap_id id);

/* What the model says happened, for those who observe from the wire. */
void pipeline_tell(struct pipeline *p, const struct model_event *event);

/* Who observes something of this device may no more be allowed to: each is told anew, or that it is over. And
 * all of them: that it is over (5.03), before a reset. */
void pipeline_recheck(struct pipeline *p, uint16_t device);
void pipeline_end_observers(struct pipeline *p, uint16_t device);

/* Before a clean stop: observers learn that they must register again (5.03). */
void pipeline_say_goodbye(struct pipeline *p);

void pipeline_forget_local(struct pipeline *p, const uint8_t *ip, uint32_t interface);
uint64_t pipeline_deadline(const struct pipeline *p);
void pipeline_get_counts(const struct pipeline *p, struct coap_counts *ret_coap, uint64_t *ret_n_pending);

#endif
