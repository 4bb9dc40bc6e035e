#include "base/memory.h"
#include "daemon/client_private.h"

#include <errno.h>
#include <string.h>

/*
 * Following resources of other devices. However many follow the same one, there
 * is one observation on the network; it is registered again after every break,
 * and the value that comes then says that something may have been missed. A
 * device that does not notify is asked again and again (users.md 6).
 */

#define REGISTER_MS    10000u /* patience with an answer */
#define RETRY_MIN_MS   2000u  /* after a failure, doubled up to: */
#define RETRY_MAX_MS   60000u
#define STALE_AFTER_MS 300000u /* a push that is silent for so long is asked whether it lives */

struct observation {
        struct list link;
        struct client *client;
        struct uuid id;
        char *href, *query;
        struct list observers; /* of struct bus_observer.link */
        struct out_channel *channel;
        struct out_request *request;
        enum bus_mode mode;
        bool is_pinning, gap, has_value, is_telling, was_told_stale;
        uint64_t sequence, due_ms, last_ms;
        uint32_t poll_ms, retry_ms;
        uint8_t *rep; /* the last value, in normal form */
        size_t n_rep;
};

static void begin(struct observation *o);

/* Whom somebody follows is not pushed out by strangers; under this name. */
static void pin(struct observation *o, bool wanted) {
        struct remote_device *d = remotes_find(o->client->remotes, &o->id);

        if (o->is_pinning == wanted)
                return;
        if (d && wanted)
                remote_pin(d);
        else if (d)
                remote_unpin(d);
        o->is_pinning = wanted && d;
}

static void observation_free(struct observation *o) {
        pin(o, false);
        list_unlink(&o->link);
        o->client->n_observations--;
        out_cancel(o->request);
        out_channel_release(o->channel);
        ocf_free(o->href);
        ocf_free(o->query);
        ocf_free(o->rep);
        ocf_free(o);
}

static void free_unused(struct observation *o) {
        if (list_is_empty(&o->observers) && !o->is_telling)
                observation_free(o);
}

/* ---- telling ---- */

static void tell_one(struct observation *o, struct bus_observer *b, const struct ocf_response *response) {
        const struct bus_notification n = {
                .response = response, .mode = o->mode, .gap = o->gap, .sequence = o->sequence
        };

        b->notified(b, &n);
}

static void tell_all(struct observation *o, const struct ocf_response *response) {
        o->is_telling = true;
        LIST_FOR_EACH_SAFE(i, &o->observers)
        tell_one(o, LIST_ENTRY(i, struct bus_observer, link), response);
        o->is_telling = false;
}

/* A fault ends it for everybody. */
static void end_all(struct observation *o, enum fault fault, const char *why) {
        struct ocf_response response = OCF_RESPONSE_FAULT(fault);

        response.diagnostic = why;
        o->is_telling = true;
        while (!list_is_empty(&o->observers)) {
                struct bus_observer *b = LIST_ENTRY(list_first(&o->observers), struct bus_observer, link);

                list_unlink(&b->link);
                b->subject = NULL;
                tell_one(o, b, &response);
        }
        o->is_telling = false;
        observation_free(o);
}

static struct ocf_response last_value(const struct observation *o) {
        struct ocf_response response = OCF_RESPONSE_OK(COAP_CONTENT);

        response.rep = span_of(o->rep, o->n_rep);
        return response;
}

/* The last value, marked: the device does not answer. */
static void tell_stale(struct observation *o) {
        struct ocf_response response = last_value(o);

        if (o->mode == BUS_MODE_STALE || !o->has_value)
                return;
        o->mode = BUS_MODE_STALE;
        tell_all(o, &response);
}

static void keep(struct observation *o, struct span rep) {
        uint8_t *copy = ocf_duplicate(rep);

        if (!copy)
                return; /* then late comers wait for the next one */
        ocf_free(o->rep);
        o->rep = copy;
        o->n_rep = rep.n;
        o->has_value = true;
}

/* ---- what comes ---- */

static void retry_later(struct observation *o) {
        o->gap = true;
        o->due_ms = client_now(o->client) + o->retry_ms;
        o->retry_ms = o->retry_ms * 2 < RETRY_MAX_MS ? o->retry_ms * 2 : RETRY_MAX_MS;
}

static void on_value(struct observation *o, const struct out_result *result) {
        struct ocf_response response;
        bool is_push = result->more, same;

        client_response(o->client, result->reply, &response);
        same = o->has_value && response.rep.data && span_equal(response.rep, span_of(o->rep, o->n_rep));
        o->retry_ms = RETRY_MIN_MS;
        o->last_ms = client_now(o->client);
        o->due_ms = is_push ? OCF_NEVER : o->last_ms + o->poll_ms;
        if (!is_push && same && o->mode == BUS_MODE_POLL && !o->gap)
                return; /* asked, and nothing is new */
        o->mode = is_push ? BUS_MODE_PUSH : BUS_MODE_POLL;
        o->sequence++;
        if (response.rep.data)
                keep(o, response.rep);
        tell_all(o, &response);
        o->gap = false;
}

static void on_result(void *context, const struct out_result *result) {
        struct observation *o = context;
        struct remote_device *d = remotes_find(o->client->remotes, &o->id);
        uint8_t code;

        if (!result->more)
                o->request = NULL;
        if (result->outcome != OUT_ANSWERED) {
                if (!o->has_value && o->sequence == 0 && list_is_linked(&o->observers)) {
                        end_all(o, FAULT_NOT_REACHABLE, result->why); /* it never began */
                        return;
                }
                if (d)
                        remote_was_silent(d, client_now(o->client));
                client_look(o->client); /* it may have moved */
                tell_stale(o);
                retry_later(o);
                free_unused(o);
                return;
        }
        if (d)
                remote_answered(d, client_now(o->client));
        code = result->reply->code;
        if (code >> 5 == 2) {
                on_value(o, result);
                free_unused(o);
                return;
        }
        if (code >> 5 == 5) { /* it is restarting, perhaps */
                tell_stale(o);
                retry_later(o);
                free_unused(o);
                return;
        }
        end_all(o, fault_by_code(code), NULL);
}

static void begin(struct observation *o) {
        struct coap_ask ask = client_get(o->href, o->query);
        const char *why = NULL;
        int r;

        o->due_ms = OCF_NEVER;
        pin(o, true);
        out_channel_release(o->channel);
        o->channel = NULL;
        ask.observe = true;
        r = client_channel(o->client, &o->id, BUS_ANY_CHANNEL, &o->channel, &why);
        if (!r)
                r = out_request(o->channel, &ask, REGISTER_MS, on_result, o, &o->request);
        if (!r)
                return;
        if (!o->has_value)
                end_all(o, r == -ENOENT ? FAULT_NOT_AUTHORIZED : FAULT_BUSY, why);
        else
                retry_later(o);
}

/* ---- who follows ---- */

static struct observation *find(const struct client *c, const struct bus_observe_spec *spec) {
        LIST_FOR_EACH(i, &c->observations) {
                struct observation *o = LIST_ENTRY(i, struct observation, link);

                if (uuid_equal(&o->id, &spec->device) && strcmp(o->href, spec->href) == 0 &&
                    strcmp(o->query, spec->query) == 0)
                        return o;
        }
        return NULL;
}

static int observation_new(struct client *c, const struct bus_observe_spec *spec, struct observation **ret) {
        struct observation *o;

        if (c->n_observations >= CLIENT_OBSERVATIONS_MAX)
                return -ENOSPC;
        o = ocf_new(struct observation);
        if (!o)
                return -ENOMEM;
        o->client = c;
        o->id = spec->device;
        o->poll_ms = spec->poll_ms;
        o->retry_ms = RETRY_MIN_MS;
        list_init(&o->observers);
        list_link_tail(&c->observations, &o->link);
        c->n_observations++;
        o->href = ocf_duplicate_string(spec->href);
        o->query = ocf_duplicate_string(spec->query);
        if (!o->href || !o->query) {
                observation_free(o);
                return -ENOMEM;
        }
        o->due_ms = 0; /* begun when the loop turns */
        *ret = o;
        return 0;
}

int client_observe(struct client *c, const struct bus_observe_spec *spec, struct bus_observer *b) {
        struct observation *o = find(c, spec);
        int r = o ? 0 : observation_new(c, spec, &o);

        if (r)
                return r;
        if (spec->poll_ms < o->poll_ms)
                o->poll_ms = spec->poll_ms;
        b->subject = o;
        list_link_tail(&o->observers, &b->link);
        if (o->has_value) {
                struct ocf_response response = last_value(o);

                o->is_telling = true;
                tell_one(o, b, &response);
                o->is_telling = false;
                free_unused(o);
        }
        return 0;
}

void client_unobserve(struct client *c, struct bus_observer *b) {
        struct observation *o = b->subject;

        list_unlink(&b->link);
        b->subject = NULL;
        if (o)
                free_unused(o);
}

void client_observe_repeat(struct client *c, struct bus_observer *b) {
        struct observation *o = b->subject;
        struct ocf_response response;

        if (!o || !o->has_value)
                return;
        response = last_value(o);
        tell_one(o, b, &response);
}

enum bus_mode client_mode(const struct client *c, const struct uuid *device, const char *href) {
        enum bus_mode best = BUS_MODE_NONE;

        LIST_FOR_EACH(i, &c->observations) {
                const struct observation *o = LIST_ENTRY(i, struct observation, link);

                if (uuid_equal(&o->id, device) && strcmp(o->href, href) == 0)
                        best = o->mode;
        }
        return best;
}

/* ---- time ---- */

void client_observe_wake(struct client *c, uint64_t now_ms) {
        LIST_FOR_EACH_SAFE(i, &c->observations) {
                struct observation *o = LIST_ENTRY(i, struct observation, link);

                if (now_ms >= o->due_ms && !o->request) {
                        begin(o);
                        return; /* who is told may have changed the list: the rest when the loop turns */
                }
        }
}

uint64_t client_observe_deadline(const struct client *c) {
        uint64_t due = OCF_NEVER;

        LIST_FOR_EACH(i, &c->observations) {
                const struct observation *o = LIST_ENTRY(i, struct observation, link);

                if (!o->request)
                        due = ocf_min_u64(due, o->due_ms);
        }
        return due;
}

void client_observe_free(struct client *c) {
        while (!list_is_empty(&c->observations)) {
                struct observation *o = LIST_ENTRY(list_first(&c->observations), struct observation, link);

                LIST_FOR_EACH_SAFE(i, &o->observers) {
                        struct bus_observer *b = LIST_ENTRY(i, struct bus_observer, link);

                        list_unlink(&b->link);
                        b->subject = NULL;
                }
                observation_free(o);
        }
}
