#include "client_private.h"

#include <errno.h>
#include <string.h>

/*
 * What is followed stays followed: when the resource, its program, ocfd or the
 * bus goes, the program is told once, and asked for again until it is back.
 */

static void forget_session(struct ocf_observation *o) {
        o->slot = sd_bus_slot_unref(o->slot);
        o->path = ocf_free(o->path);
        o->phase = OBSERVATION_IDLE;
}

/* The last thing done with an observation in a step, since the program may free it. */
static void tell(struct ocf_observation *o, int result, const char *text, const struct ocf_value *value) {
        if (result && o->is_told && o->told == result)
                return; /* it knows */
        o->is_told = true;
        o->told = result;
        o->fn(o->userdata, result, text, value);
}

static void again_later(struct ocf_observation *o, int result, const char *text) {
        struct ocf_client *c = o->client;

        forget_session(o);
        o->retry_us = client_now_us() + retry_after(o->n_failures++, RETRY_FIRST_US, RETRY_LAST_US);
        c->is_dirty = true;
        tell(o, result, text, NULL);
}

/* ---- asked for ---- */

/* Another device does not answer: the value is the last one it told. */
static bool is_stale(sd_bus_message *m) {
        const char *mode;

        return message_find(m, "v", "mode") == 0 && sd_bus_message_read(m, "v", "s", &mode) > 0 &&
               strcmp(mode, "stale") == 0;
}

/* m: Notified, or the answer to Observe. */
static void tell_value(struct ocf_observation *o, sd_bus_message *m, const struct ocf_value *value) {
        if (is_stale(m))
                tell(o, OCF_E_NOT_REACHABLE, "The device does not answer: it is asked again and again",
                     value);
        else
                tell(o, 0, "", value);
}

static int on_observed(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        struct ocf_observation *o = userdata;
        OCF_CLEANUP(value_freep) struct ocf_value *value = NULL;
        const sd_bus_error *e = sd_bus_message_get_error(m);
        const char *text;
        int r;

        o->slot = sd_bus_slot_unref(o->slot);
        if (e) {
                r = message_result(o->client, e, &text);
                again_later(o, r, text);
                return 0;
        }
        r = message_read_value(m, "", &value);
        if (r) {
                again_later(o, r == -ENOMEM ? r : OCF_E_FAILED, "The value cannot be read");
                return 0;
        }
        o->phase = OBSERVATION_FOLLOWING;
        o->n_failures = 0;
        o->is_refreshed = false;
        tell_value(o, m, value);
        return 0;
}

static const char *interface_of(const struct ocf_observation *o) {
        return o->target.device ? BUS_REMOTE_RESOURCE : BUS_RESOURCE;
}

static int send_observe(struct ocf_observation *o) {
        struct ocf_client *c = o->client;
        sd_bus_message *m = NULL;
        int r = message_new(c, &m, o->path, interface_of(o), "Observe");

        if (r >= 0)
                r = o->target.query ? sd_bus_message_append(m, "a{sv}", 1, "query", "s", o->target.query)
                                    : sd_bus_message_append(m, "a{sv}", 0);
        if (r >= 0)
                r = sd_bus_call_async(c->bus, &o->slot, m, on_observed, o, 0);
        sd_bus_message_unref(m);
        return r < 0 ? r : 0;
}

static int set_path(struct ocf_observation *o, const char *path) {
        char *copy = ocf_duplicate_string(path);

        if (!copy)
                return -ENOMEM;
        ocf_free(o->path);
        o->path = copy;
        return 0;
}

static int on_list(sd_bus_message *m, void *userdata, sd_bus_error *error);

static int on_refreshed(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        struct ocf_observation *o = userdata;
        const sd_bus_error *e = sd_bus_message_get_error(m);
        const char *text;
        int r;

        o->slot = sd_bus_slot_unref(o->slot);
        if (e) {
                r = message_result(o->client, e, &text);
                again_later(o, r, text);
                return 0;
        }
        r = target_list(o->client, &o->slot, on_list, o);
        if (r < 0)
                connection_fail(o->client, r);
        return 0;
}

/* What it has now may be more than it had when it was heard. */
static int refresh(struct ocf_observation *o) {
        struct ocf_client *c = o->client;

        o->is_refreshed = true;
        return sd_bus_call_method_async(c->bus, &o->slot, c->owner, o->path, BUS_REMOTE, "Refresh",
                                        on_refreshed, o, NULL);
}

/* Of another device: its object is found among all. */
static int on_list(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        struct ocf_observation *o = userdata;
        const sd_bus_error *e = sd_bus_message_get_error(m);
        const char *text;
        int r;

        o->slot = sd_bus_slot_unref(o->slot);
        if (e) {
                r = message_result(o->client, e, &text);
                again_later(o, r, text);
                return 0;
        }
        r = target_in_list(m, o->path, o->target.href, &text);
        if (r == -ENOENT && o->is_refreshed) {
                again_later(o, OCF_E_NOT_FOUND, "The device has not told of such a resource");
                return 0;
        }
        if (r == -ENOENT) {
                r = refresh(o);
        } else {
                if (!r)
                        r = set_path(o, text);
                if (!r)
                        r = send_observe(o);
        }
        if (r < 0)
                connection_fail(o->client, r);
        return 0;
}

static int on_resource(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        struct ocf_observation *o = userdata;
        struct ocf_client *c = o->client;
        const sd_bus_error *e = sd_bus_message_get_error(m);
        const char *text;
        int r;

        o->slot = sd_bus_slot_unref(o->slot);
        if (e) {
                r = message_result(c, e, &text);
                again_later(o, r, text);
                return 0;
        }
        r = sd_bus_message_read_basic(m, 'o', &text);
        if (r >= 0)
                r = set_path(o, text);
        if (r >= 0)
                r = o->target.device ? target_list(c, &o->slot, on_list, o) : send_observe(o);
        if (r < 0)
                connection_fail(c, r);
        return 0;
}

bool observation_step(struct ocf_client *c, uint64_t now_us) {
        bool did = false;

        if (c->daemon != DAEMON_PRESENT)
                return false;
        LIST_FOR_EACH(i, &c->observations) {
                struct ocf_observation *o = LIST_ENTRY(i, struct ocf_observation, link);
                int r;

                if (o->phase != OBSERVATION_IDLE || now_us < o->retry_us)
                        continue;
                o->phase = OBSERVATION_ASKING;
                did = true;
                r = target_find(c, &o->slot, &o->target, on_resource, o);
                if (r < 0)
                        connection_fail(c, r);
        }
        return did;
}

uint64_t observation_due(const struct ocf_client *c) {
        uint64_t due_us = OCF_NEVER;

        if (c->daemon != DAEMON_PRESENT)
                return OCF_NEVER;
        LIST_FOR_EACH(i, &c->observations) {
                const struct ocf_observation *o = LIST_ENTRY(i, struct ocf_observation, link);

                if (o->phase == OBSERVATION_IDLE)
                        due_us = ocf_min_u64(due_us, o->retry_us);
        }
        return due_us;
}

/* ---- told ---- */

/* The info of Notified: what was missed, and the error that ends it. */
static void take_info(struct ocf_observation *o, sd_bus_message *m, const char **ret_error) {
        uint64_t n_missed;

        if (message_find(m, "v", "missed") == 0 && sd_bus_message_read(m, "v", "t", &n_missed) > 0)
                o->n_missed += n_missed;
        if (message_find(m, "v", "error") != 0 || sd_bus_message_read(m, "v", "s", ret_error) <= 0)
                *ret_error = NULL;
}

static void notified(struct ocf_observation *o, sd_bus_message *m) {
        OCF_CLEANUP(value_freep) struct ocf_value *value = NULL;
        const char *error, *text;
        int r;

        take_info(o, m, &error);
        if (error) {
                r = message_result(o->client, &SD_BUS_ERROR_MAKE_CONST(error, NULL), &text);
                o->n_failures = 0;
                again_later(o, r, text);
                return;
        }
        r = message_read_value(m, "", &value);
        if (r)
                again_later(o, r == -ENOMEM ? r : OCF_E_FAILED, "The value cannot be read");
        else
                tell_value(o, m, value);
}

/* Callbacks may free any of them, and make new ones: so the search for the next begins anew after each. */
static struct ocf_observation *next_of_delivery(struct ocf_client *c, const char *path) {
        LIST_FOR_EACH(i, &c->observations) {
                struct ocf_observation *o = LIST_ENTRY(i, struct ocf_observation, link);

                if (o->delivery == c->delivery)
                        continue;
                o->delivery = c->delivery;
                if (!path || (o->phase == OBSERVATION_FOLLOWING && strcmp(o->path, path) == 0))
                        return o;
        }
        return NULL;
}

void observation_on_notified(struct ocf_client *c, sd_bus_message *m) {
        struct ocf_observation *o;

        c->delivery++;
        while ((o = next_of_delivery(c, sd_bus_message_get_path(m))))
                notified(o, m);
}

void observation_lost(struct ocf_client *c) {
        struct ocf_observation *o;

        c->delivery++;
        while ((o = next_of_delivery(c, NULL))) {
                forget_session(o);
                o->retry_us = 0;
                o->n_failures = 0;
                if (o->is_told)
                        tell(o, OCF_E_UNAVAILABLE, "ocfd went away: it is waited for", NULL);
        }
}

/* ---- what programs call ---- */

static void destroy(struct ocf_observation *o) {
        list_unlink(&o->link);
        forget_session(o);
        target_clear(&o->target);
        ocf_free(o);
}

static void observation_freep(struct ocf_observation **o) {
        if (*o)
                destroy(*o);
}

int ocf_observe(struct ocf_client *c, const char *uri, ocf_answer_fn fn, void *userdata,
                struct ocf_observation **ret) {
        OCF_CLEANUP(observation_freep) struct ocf_observation *o = NULL;
        int r;

        if (!c || !fn || !ret)
                return -EINVAL;
        o = ocf_new(struct ocf_observation);
        if (!o)
                return -ENOMEM;
        list_init(&o->link);
        r = target_parse(&o->target, uri);
        if (r)
                return r;
        LIST_FOR_EACH(i, &c->observations) {
                const struct ocf_observation *other = LIST_ENTRY(i, struct ocf_observation, link);

                /* On the bus a second one replaces the first. */
                if (target_is_same_resource(&other->target, &o->target) &&
                    !target_is_same_query(&other->target, &o->target))
                        return -EEXIST;
        }
        o->client = c;
        o->fn = fn;
        o->userdata = userdata;
        o->delivery = c->delivery;
        list_link_tail(&c->observations, &o->link);
        client_wake(c);
        *ret = o;
        o = NULL;
        return 0;
}

uint64_t ocf_observation_missed(const struct ocf_observation *o) {
        return o ? o->n_missed : 0;
}

static bool is_followed_by_another(const struct ocf_observation *o) {
        LIST_FOR_EACH(i, &o->client->observations) {
                const struct ocf_observation *other = LIST_ENTRY(i, struct ocf_observation, link);

                if (other != o && other->path && strcmp(other->path, o->path) == 0)
                        return true;
        }
        return false;
}

struct ocf_observation *ocf_observation_free(struct ocf_observation *o) {
        struct ocf_client *c = o ? o->client : NULL;
        sd_bus_message *m = NULL;

        if (!o)
                return NULL;
        if (o->path && c->bus && c->owner && !is_followed_by_another(o)) {
                if (message_new(c, &m, o->path, interface_of(o), "StopObserve") >= 0 &&
                    sd_bus_message_set_expect_reply(m, false) >= 0)
                        (void)sd_bus_send(c->bus, m, NULL);
                sd_bus_message_unref(m);
                client_wake(c);
        }
        destroy(o);
        return NULL;
}
