#include "base/memory.h"
#include "dbus/bus_private.h"

/*
 * Telling the app that a value it published was changed by somebody else. As
 * fast as it reads: what happens meanwhile is one signal with the newest value
 * for each resource, and a count.
 */

/* A value that somebody changed while the window was closed. */
struct update {
        struct list link;
        uint64_t resource;
        uint64_t n_missed;
};

static int send_updated(struct bus_client *c, const struct resource *r, const struct subject *by,
                        uint64_t n_missed) {
        char path[BUS_PATH_MAX];
        sd_bus_message *m = NULL;
        int e = sd_bus_message_new_signal(c->bus->bus, &m, bus_path(path, BUS_RESOURCES, r->number),
                                          BUS_NAME ".Resource1", "Updated");

        if (e >= 0)
                e = sd_bus_message_set_destination(m, c->name);
        if (e >= 0)
                e = value_append_map(m, span_of(r->rep, r->n_rep));
        if (e == 0)
                e = sd_bus_message_open_container(m, 'a', "{sv}");
        if (e >= 0)
                e = sd_bus_message_append(m, "{sv}", "missed", "t", n_missed);
        if (e >= 0 && by)
                e = bus_append_subject(m, by);
        if (e >= 0)
                e = sd_bus_message_close_container(m);
        if (e >= 0)
                e = sd_bus_send(c->bus->bus, m, NULL);
        sd_bus_message_unref(m);
        return e;
}

static void hold_update(struct bus_client *c, const struct resource *r) {
        struct update *u;

        LIST_FOR_EACH(i, &c->updates) {
                u = LIST_ENTRY(i, struct update, link);
                if (u->resource == r->number) {
                        u->n_missed++;
                        return;
                }
        }
        u = ocf_new(struct update);
        if (!u)
                return;
        u->resource = r->number;
        list_link_tail(&c->updates, &u->link);
}

void bus_updates_tell(struct bus_client *c, const struct resource *resource,
                      const struct ocf_request *cause) {
        if (c == c->bus->asking) /* its own: it knows */
                return;
        if (list_is_empty(&c->updates) && bus_client_may_signal(c))
                (void)send_updated(c, resource, &cause->subject, 0);
        else
                hold_update(c, resource);
}

static void update_free(struct update *u) {
        list_unlink(&u->link);
        ocf_free(u);
}

void bus_updates_flush(struct bus_client *c) {
        while (!list_is_empty(&c->updates) && bus_client_may_signal(c)) {
                struct update *u = LIST_ENTRY(list_first(&c->updates), struct update, link);
                struct resource *r = model_resource_by_number(c->bus->control->model, u->resource);

                if (r && r->mode == RESOURCE_PUBLISHED)
                        (void)send_updated(c, r, NULL, u->n_missed);
                update_free(u);
        }
}

void bus_updates_drop(struct bus_client *c) {
        while (!list_is_empty(&c->updates))
                update_free(LIST_ENTRY(list_first(&c->updates), struct update, link));
}
