#include "base/memory.h"
#include "daemon/pipeline_private.h"
#include "daemon/verdict.h"

#include <errno.h>
#include <string.h>

enum outcome { OUTCOME_ANSWERED, OUTCOME_SILENT, OUTCOME_HANDLED };

/* The clock is looked at when something begins, not at each step of it. */
void pipeline_look_at_clock(struct pipeline *p) {
        p->now_ms = p->config.now(p->config.context);
}

/* ---- route and authorise ---- */

static enum access_subject access_subject_of(enum subject_kind kind) {
        switch (kind) {
        case SUBJECT_AUTH_CRYPT:
                return ACCESS_AUTH_CRYPT;
        case SUBJECT_LOCAL:
                return ACCESS_LOCAL;
        case SUBJECT_ANON_CLEAR:
                break;
        }
        return ACCESS_ANON_CLEAR;
}

static struct svr_session *session_of(struct pipeline *p, const struct coap_peer *peer) {
        return peer->channel && p->config.session ? p->config.session(p->config.context, peer) : NULL;
}

static struct access_verdict verdict_of(struct pipeline *p, const struct ocf_request *request,
                                        const struct resource *r, enum interface interface) {
        const struct pipeline_config *c = &p->config;
        const struct svr *svr = c->svr ? c->svr(c->context, r->device->index) : NULL;

        return verdict_on(r, svr, c->svr && !svr,
                          &(struct verdict_asker){
                                  .subject = access_subject_of(request->subject.kind),
                                  .session = session_of(p, &request->peer),
                                  .method = request->method,
                                  .creates = interface == INTERFACE_CREATE,
                                  .wall_s = c->wall ? c->wall(c->context) : -1,
                          });
}

static bool may(struct pipeline *p, const struct ocf_request *request, const struct route *route) {
        struct access_verdict verdict = verdict_of(p, request, route->resource, route->interface);

        if (!verdict.granted && p->config.denied)
                p->config.denied(p->config.context, request, route, &verdict);
        return verdict.granted;
}

bool pipeline_grants(struct pipeline *p, const struct ocf_request *request, const struct resource *r,
                     enum interface interface) {
        return verdict_of(p, request, r, interface).granted;
}

/* Of who asks for many at once: what it may not read is left out, and is no refusal worth a line. */
static bool may_read(void *context, const struct ocf_request *request, const struct resource *r) {
        struct ocf_request one = *request;

        one.method = COAP_GET;
        return verdict_of(context, &one, r, r->default_interface).granted;
}

static enum outcome refuse(struct ocf_response *ret, enum fault fault) {
        *ret = OCF_RESPONSE_FAULT(fault);
        return OUTCOME_ANSWERED;
}

static int64_t max_age_of(struct pipeline *p, const struct route *route) {
        const struct app *app = route->resource ? route->resource->app : NULL;
        uint64_t t = p->now_ms;

        if (!app || app->gone_ms <= t)
                return 2;
        return (int64_t)ocf_min_u64((app->gone_ms - t + 999) / 1000, 60);
}

/* Everything up to the point where an app would be asked. */
static enum outcome decide(struct pipeline *p, const struct ocf_request *request, struct route *route,
                           struct ocf_response *ret) {
        *route = (struct route){ 0 };
        if (!model_route(p->config.model, p->now_ms, request, route))
                return OUTCOME_SILENT;
        if (route->resource && !may(p, request, route))
                return refuse(ret, FAULT_NOT_AUTHORIZED);
        if (route->fault) {
                refuse(ret, route->fault);
                if (route->fault == FAULT_UNAVAILABLE)
                        ret->max_age_s = max_age_of(p, route);
                return OUTCOME_ANSWERED;
        }
        return OUTCOME_HANDLED;
}

static enum outcome answer(struct pipeline *p, const struct ocf_request *request, const struct route *route,
                           struct ocf_response *ret) {
        switch (model_answer(p->config.model, request, route, ret)) {
        case MODEL_ANSWERED:
                return OUTCOME_ANSWERED;
        case MODEL_SILENT:
                return OUTCOME_SILENT;
        case MODEL_HANDLED:
                break;
        }
        return OUTCOME_HANDLED;
}

/* ---- from the wire ---- */

static struct subject subject_of(struct pipeline *p, const struct coap_peer *peer) {
        const struct svr_session *session = session_of(p, peer);

        if (!session)
                return (struct subject){ .kind = SUBJECT_ANON_CLEAR };
        return (struct subject){ .kind = SUBJECT_AUTH_CRYPT, .id = session->id };
}

static struct ocf_request request_of_event(struct pipeline *p, const struct coap_event *e) {
        struct ocf_request r = {
                .method = e->request.method,
                .multicast = e->request.multicast,
                .device = e->peer.device,
                .subject = subject_of(p, &e->peer),
                .path = e->request.path,
                .query = e->request.query,
                .accept = e->request.accept,
                .peer = e->peer,
                .n_etags = e->request.n_etags,
        };

        memcpy(r.etags, e->request.etags, sizeof(r.etags));
        return r;
}

/* If-Match and If-None-Match (RFC 7252, 5.10.8). What an app answers has no ETag that we could promise
 * anything about. */
static bool precondition_fails(const struct coap_request *request, const struct resource *r) {
        if (request->method == COAP_GET || request->method == COAP_FETCH)
                return false;
        if (request->if_none_match)
                return true; /* it exists, else nobody would have asked */
        if (!request->if_match || !request->n_if_match_etags)
                return false;
        for (size_t i = 0; i < request->n_if_match_etags; i++) {
                uint8_t etag[8];

                wire_format_etag(r->etag, etag);
                if (r->etag && span_equal(request->if_match_etags[i], span_of(etag, sizeof(etag))))
                        return false;
        }
        return true;
}

static void on_request(struct pipeline *p, const struct coap_event *e) {
        struct ocf_request request = request_of_event(p, e);
        struct ocf_response response = { 0 };
        struct route route;
        struct pending *n;
        enum outcome outcome;

        outcome = decide(p, &request, &route, &response);
        if (outcome == OUTCOME_HANDLED && precondition_fails(&e->request, route.resource))
                outcome = refuse(&response, FAULT_PRECONDITION_FAILED);
        if (outcome == OUTCOME_HANDLED && e->request.payload.n) {
                bool lenient = route.resource->mode == RESOURCE_SECURE;
                enum fault fault = wire_format_payload(p->format, e->request.content_format,
                                                       e->request.payload, lenient, &request.payload);

                if (fault)
                        outcome = refuse(&response, fault);
        }
        if (outcome == OUTCOME_HANDLED)
                outcome = answer(p, &request, &route, &response);
        if (outcome == OUTCOME_HANDLED) {
                if (p->n_pending >= PIPELINE_PENDING_MAX ||
                    pending_new(&n, p, &request, &route, p->now_ms + PIPELINE_HANDLER_TIMEOUT_MS) < 0) {
                        outcome = refuse(&response, FAULT_BUSY);
                        response.max_age_s = 1;
                } else if (pending_add_waiter(n, e->id, request.accept) < 0) {
                        pending_free(n);
                        outcome = refuse(&response, FAULT_BUSY);
                } else {
                        n->wants_observe = e->request.wants_observe;
                        pending_ask(n, &route);
                        return;
                }
        }
        if (outcome == OUTCOME_SILENT) {
                coap_endpoint_ignore(p->endpoint, e->id);
                return;
        }
        pipeline_respond(p, e->id, request.accept, &response,
                         e->request.wants_observe && route.resource && route.resource->observable,
                         route.resource ? route.resource->number : 0);
}

static void on_notify(struct pipeline *p, const struct coap_event *e) {
        struct resource *r = model_resource_by_number(p->config.model, e->resource);
        struct ocf_request request = request_of_event(p, e);
        struct ocf_response response = { 0 };
        struct pending *n;
        struct route route;
        enum outcome outcome;

        if (!r || r->removed) {
                refuse(&response, FAULT_NOT_FOUND);
                pipeline_respond(p, e->id, request.accept, &response, false, 0);
                return;
        }
        request.path = span_of_string(r->href);
        outcome = decide(p, &request, &route, &response);
        if (outcome == OUTCOME_ANSWERED && route.fault == FAULT_UNAVAILABLE) {
                coap_endpoint_ignore(p->endpoint,
                                     e->id); /* its app restarts: the observers are told once it is back */
                return;
        }
        if (outcome == OUTCOME_HANDLED)
                outcome = answer(p, &request, &route, &response);
        if (outcome == OUTCOME_ANSWERED) {
                pipeline_respond(p, e->id, request.accept, &response, true, e->resource);
                return;
        }
        if (outcome == OUTCOME_SILENT) {
                coap_endpoint_ignore(p->endpoint, e->id);
                return;
        }
        n = pending_for_observers(p, e->resource, request.query);
        if (n) {
                if (pending_add_waiter(n, e->id, request.accept) < 0)
                        coap_endpoint_ignore(p->endpoint, e->id);
                return;
        }
        request.notify = true;
        request.subject = (struct subject){ .kind = SUBJECT_ANON_CLEAR };
        request.peer = (struct coap_peer){ 0 };
        if (p->n_pending >= PIPELINE_PENDING_MAX ||
            pending_new(&n, p, &request, &route, p->now_ms + PIPELINE_HANDLER_TIMEOUT_MS) < 0) {
                coap_endpoint_ignore(p->endpoint, e->id);
                return;
        }
        if (pending_add_waiter(n, e->id, request.accept) < 0) {
                pending_free(n);
                coap_endpoint_ignore(p->endpoint, e->id);
                return;
        }
        n->wants_observe = true;
        pending_ask(n, &route);
}

/* Returns whether anything happened. */
static bool on_events(struct pipeline *p) {
        struct coap_event e;
        bool any = false;

        while (coap_endpoint_event(p->endpoint, p->now_ms, &e)) {
                any = true;
                switch (e.type) {
                case COAP_EVENT_REQUEST:
                        on_request(p, &e);
                        break;
                case COAP_EVENT_NOTIFY:
                        on_notify(p, &e);
                        break;
                case COAP_EVENT_RESPONSE:
                case COAP_EVENT_FAILED:
                        if (p->config.reply)
                                p->config.reply(p->config.context, &e);
                        break;
                case COAP_EVENT_NONE:
                        break;
                case COAP_EVENT_CLOSE:
                        p->config.close_stream(p->config.context, &e.peer);
                        break;
                }
        }
        return any;
}

void pipeline_receive(struct pipeline *p, const struct coap_peer *peer, unsigned via, struct span data) {
        pipeline_look_at_clock(p);
        coap_endpoint_receive(p->endpoint, p->now_ms, peer, via, data);
        on_events(p);
}

bool pipeline_stream_open(struct pipeline *p, const struct coap_peer *peer) {
        pipeline_look_at_clock(p);
        return coap_endpoint_stream_open(p->endpoint, p->now_ms, peer) == 0;
}

size_t pipeline_stream_receive(struct pipeline *p, const struct coap_peer *peer, struct span data) {
        size_t n;

        pipeline_look_at_clock(p);
        n = coap_endpoint_stream_receive(p->endpoint, p->now_ms, peer, data);
        on_events(p);
        return n;
}

void pipeline_stream_closed(struct pipeline *p, const struct coap_peer *peer) {
        pipeline_look_at_clock(p);
        coap_endpoint_stream_closed(p->endpoint, p->now_ms, peer);
        on_events(p);
}

void pipeline_session_closed(struct pipeline *p, const struct coap_peer *peer) {
        pipeline_look_at_clock(p);
        coap_endpoint_session_closed(p->endpoint, p->now_ms, peer);
        on_events(p);
}

void pipeline_wake(struct pipeline *p) {
        p->transmitting = false;
        pipeline_look_at_clock(p);
}

size_t pipeline_transmit(struct pipeline *p, struct coap_peer *ret_to, uint8_t *buf, size_t n) {
        size_t n_message;

        if (!p->transmitting)
                pipeline_look_at_clock(p);
        do {
                n_message = coap_endpoint_transmit(p->endpoint, p->now_ms, ret_to, buf, n);
        } while (!n_message && on_events(p));
        p->transmitting = n_message;
        return n_message;
}

/* ---- from a local app ---- */

void pipeline_request(struct pipeline *p, struct call *call) {
        struct ocf_response response = { 0 };
        struct route route;
        struct pending *n;
        enum outcome outcome;

        pipeline_look_at_clock(p);
        outcome = decide(p, &call->request, &route, &response);
        if (outcome == OUTCOME_HANDLED)
                outcome = answer(p, &call->request, &route, &response);
        if (outcome == OUTCOME_HANDLED) {
                if (pending_new(&n, p, &call->request, &route, call->deadline_ms) < 0) {
                        refuse(&response, FAULT_BUSY);
                } else {
                        n->local = call;
                        pending_ask(n, &route);
                        return;
                }
        }
        if (outcome == OUTCOME_SILENT)
                refuse(&response, FAULT_NOT_FOUND);
        call_answer(call, &response);
}

/* ---- to other devices ---- */

int pipeline_ask(struct pipeline *p, const struct coap_peer *peer, const struct coap_ask *ask, coap_id *ret) {
        pipeline_look_at_clock(p);
        return coap_endpoint_request(p->endpoint, p->now_ms, peer, ask, ret);
}

void pipeline_cancel(struct pipeline *p, coap_id id) {
        pipeline_look_at_clock(p);
        coap_endpoint_cancel(p->endpoint, p->now_ms, id);
}

/* ---- what happened ---- */

void pipeline_tell(struct pipeline *p, const struct model_event *event) {
        const struct resource *r = event->resource;

        if (!r)
                return;
        pipeline_look_at_clock(p);
        if (event->news & MODEL_NEWS_REMOVED)
                coap_endpoint_end_observers(p->endpoint, p->now_ms, r->number, COAP_NOT_FOUND, -1);
        else if (event->news & (MODEL_NEWS_VALUE | MODEL_NEWS_PROPERTIES) && resource_is_available(r))
                coap_endpoint_notify(p->endpoint, p->now_ms, r->number);
}

/* Each observer becomes due, and on the way to it the question is asked again. */
void pipeline_recheck(struct pipeline *p, uint16_t device) {
        pipeline_look_at_clock(p);
        LIST_FOR_EACH(i, &p->config.model->devices[device]->resources)
        coap_endpoint_notify(p->endpoint, p->now_ms, LIST_ENTRY(i, struct resource, device_link)->number);
}

void pipeline_end_observers(struct pipeline *p, uint16_t device) {
        pipeline_look_at_clock(p);
        LIST_FOR_EACH(i, &p->config.model->devices[device]->resources)
        coap_endpoint_end_observers(p->endpoint, p->now_ms,
                                    LIST_ENTRY(i, struct resource, device_link)->number,
                                    COAP_SERVICE_UNAVAILABLE, -1);
}

void pipeline_say_goodbye(struct pipeline *p) {
        pipeline_look_at_clock(p);
        for (size_t i = 0; i < p->config.model->n_devices; i++)
                LIST_FOR_EACH(j, &p->config.model->devices[i]->resources)
        coap_endpoint_end_observers(p->endpoint, p->now_ms,
                                    LIST_ENTRY(j, struct resource, device_link)->number,
                                    COAP_SERVICE_UNAVAILABLE, 5);
}

void pipeline_forget_local(struct pipeline *p, const uint8_t *ip, uint32_t interface) {
        pipeline_look_at_clock(p);
        coap_endpoint_forget_local(p->endpoint, p->now_ms, ip, interface);
}

uint64_t pipeline_deadline(const struct pipeline *p) {
        return coap_endpoint_deadline(p->endpoint);
}

void pipeline_get_counts(const struct pipeline *p, struct coap_counts *ret_coap, uint64_t *ret_n_pending) {
        coap_endpoint_counts(p->endpoint, ret_coap);
        *ret_n_pending = p->n_pending;
}

int pipeline_new(struct pipeline **ret, const struct pipeline_config *config) {
        struct pipeline *p = ocf_new(struct pipeline);
        int r;

        if (!p)
                return -ENOMEM;
        p->config = *config;
        list_init(&p->pending);
        r = wire_format_new(&p->format);
        if (r < 0) {
                ocf_free(p);
                return r;
        }
        /* Zero pages, which stay out of memory until they are used. */
        p->memory = ocf_allocate(1, coap_endpoint_size(&config->coap.limits));
        if (!p->memory) {
                pipeline_free(p);
                return -ENOMEM;
        }
        p->endpoint = coap_endpoint_init(p->memory, &config->coap);
        if (config->svr) {
                config->model->may_read = may_read;
                config->model->may_read_context = p;
        }
        *ret = p;
        return 0;
}

struct pipeline *pipeline_free(struct pipeline *p) {
        if (!p)
                return NULL;
        LIST_FOR_EACH_SAFE(i, &p->pending)
        pending_free(LIST_ENTRY(i, struct pending, link));
        wire_format_free(p->format);
        ocf_free(p->memory);
        return ocf_free(p);
}
