#include "client_private.h"

#include <errno.h>
#include <string.h>

/*
 * Values of published resources, in both directions. Towards the daemon one
 * call at a time for each resource; what is published meanwhile gathers, so
 * that nothing piles up and the newest arrives. From the daemon Updated, which
 * names the resource by its object: we ask for that once.
 */

#define LOOK_UPS_MAX     16 /* at a time */
#define LOOK_UP_AGAIN_US 1000000u

/* ---- somebody else has set it ---- */

static void take_updated(struct ocf_resource *r, sd_bus_message *m) {
        struct ocf_client *c = r->client;
        struct ocf_value *value;
        int e = message_read_map(m, "", &value);

        if (!e)
                e = resource_take_value(r, value);
        if (!e && r->updated)
                r->updated(r->updated_data, r, r->value);
        else if (e == -ENOMEM)
                connection_fail(c, e);
}

static struct early *early_find(struct ocf_client *c, const char *path) {
        for (size_t i = 0; i < c->n_early; i++)
                if (strcmp(sd_bus_message_get_path(c->early[i].message), path) == 0)
                        return &c->early[i];
        return NULL;
}

static void early_clear(struct ocf_client *c) {
        for (size_t i = 0; i < c->n_early; i++)
                sd_bus_message_unref(c->early[i].message);
        c->early = ocf_free(c->early);
        c->n_early = 0;
}

/* It may be about one whose path is on its way. Each Updated carries the whole value: the last one will do.
 */
static void early_keep(struct ocf_client *c, sd_bus_message *m) {
        struct early *e = early_find(c, sd_bus_message_get_path(m));

        if (!e && !ocf_grow((void **)&c->early, c->n_early, c->n_early + 1, sizeof(struct early))) {
                connection_fail(c, -ENOMEM);
                return;
        }
        if (!e)
                e = &c->early[c->n_early++];
        sd_bus_message_unref(e->message);
        e->message = sd_bus_message_ref(m);
}

void publish_on_updated(struct ocf_client *c, sd_bus_message *m) {
        const char *path = sd_bus_message_get_path(m);
        bool any = false;

        LIST_FOR_EACH(i, &c->resources) {
                struct ocf_resource *r = LIST_ENTRY(i, struct ocf_resource, link);

                if (r->path && strcmp(r->path, path) == 0) {
                        take_updated(r, m);
                        return;
                }
                any |= publish_wants_path(r);
        }
        if (any)
                early_keep(c, m);
}

/* ---- where it is ---- */

bool publish_wants_path(const struct ocf_resource *r) {
        return r->phase == RESOURCE_REGISTERED && !r->path && !resource_is_handled(r);
}

static int on_path(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        struct ocf_resource *r = userdata;
        struct ocf_client *c = r->client;
        struct early *early;
        const char *path;

        r->looking_up = sd_bus_slot_unref(r->looking_up);
        c->n_looking_up--;
        c->is_dirty = true;
        if (!sd_bus_message_is_method_error(m, NULL) && sd_bus_message_read_basic(m, 'o', &path) >= 0)
                r->path = ocf_duplicate_string(path);
        if (!r->path) {
                r->look_up_us = client_now_us() + LOOK_UP_AGAIN_US;
                return 0;
        }
        early = early_find(c, r->path);
        if (early)
                take_updated(r, early->message);
        return 0;
}

static int look_up(struct ocf_client *c, struct ocf_resource *r) {
        int e = target_find(c, &r->looking_up, &(struct target){ .href = r->href }, on_path, r);

        if (!e)
                c->n_looking_up++;
        return e;
}

/* ---- values of ours ---- */

static int on_published(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        struct ocf_resource *r = userdata;
        struct ocf_client *c = r->client;
        const sd_bus_error *e = sd_bus_message_get_error(m);
        const char *text;
        int result;

        r->publishing = sd_bus_slot_unref(r->publishing);
        r->in_flight = ocf_value_free(r->in_flight);
        c->is_dirty = true;
        if (!e)
                return 0;
        /* The daemon does not have what we have: say so, and begin anew with it. */
        result = message_result(c, e, &text);
        registration_leave(c, r);
        resource_session_lost(r);
        registration_refused(r, result, text);
        return 0;
}

static int send_publish(struct ocf_client *c, struct ocf_resource *r) {
        bool handled = resource_is_handled(r);
        sd_bus_message *m = NULL;
        int e = message_new(c, &m, c->application, BUS_APPLICATION, handled ? "Changed" : "Publish");

        if (e >= 0)
                e = sd_bus_message_append_basic(m, 's', r->href);
        if (e >= 0 && !handled)
                e = message_append_map(m, r->unsent);
        if (e >= 0 && !handled)
                e = sd_bus_message_append(m, "a{sv}", 0);
        if (e >= 0)
                e = sd_bus_call_async(c->bus, &r->publishing, m, on_published, r, 0);
        sd_bus_message_unref(m);
        if (e < 0)
                return e;
        r->in_flight = handled ? ocf_value_free(r->unsent) : r->unsent;
        r->unsent = NULL;
        r->is_changed = false;
        return 0;
}

static bool has_news(const struct ocf_resource *r) {
        return r->phase == RESOURCE_REGISTERED && !r->publishing &&
               (r->unsent || (r->is_changed && resource_is_handled(r)));
}

int publish_step(struct ocf_client *c, uint64_t now_us) {
        int did = 0, e = 0;
        bool any = false;

        LIST_FOR_EACH(i, &c->resources) {
                struct ocf_resource *r = LIST_ENTRY(i, struct ocf_resource, link);
                bool wants = publish_wants_path(r);

                any |= wants;
                if (wants && !r->looking_up && now_us >= r->look_up_us && c->n_looking_up < LOOK_UPS_MAX) {
                        e = look_up(c, r);
                        did = 1;
                }
                if (!e && has_news(r)) {
                        e = send_publish(c, r);
                        did = 1;
                }
                if (e)
                        return e;
        }
        if (!any)
                early_clear(c);
        return did;
}

void publish_lost(struct ocf_client *c) {
        early_clear(c);
}
