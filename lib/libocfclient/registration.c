#include "client_private.h"

#include <errno.h>
#include <string.h>

/*
 * Resources that are wanted go to the daemon in one call, which takes all of
 * them or none. After a restart of the daemon those come first that it had
 * accepted before: what it refused then shall not keep them away. While a call
 * is under way nothing else is registered or taken back, so that what happens
 * to an href happens in the order in which the program asked for it.
 */

struct ocf_resource *registration_by_href(const struct ocf_client *c, const char *href) {
        LIST_FOR_EACH(i, &c->resources) {
                struct ocf_resource *r = LIST_ENTRY(i, struct ocf_resource, link);

                if (strcmp(r->href, href) == 0)
                        return r;
        }
        return NULL;
}

static void leaving_clear(struct ocf_client *c) {
        for (size_t i = 0; i < c->n_leaving; i++)
                ocf_free(c->leaving[i]);
        c->leaving = ocf_free(c->leaving);
        c->n_leaving = 0;
}

void registration_lost(struct ocf_client *c) {
        publish_lost(c);
        LIST_FOR_EACH(i, &c->resources)
        resource_session_lost(LIST_ENTRY(i, struct ocf_resource, link));
        c->registering = sd_bus_slot_unref(c->registering);
        c->unregistering = sd_bus_slot_unref(c->unregistering);
        c->application = ocf_free(c->application);
        c->refusal = ocf_free(c->refusal);
        leaving_clear(c);
}

/* ---- refused ---- */

void registration_refused(struct ocf_resource *r, int result, const char *text) {
        struct ocf_client *c = r->client;
        char *copy = ocf_duplicate_string(text);

        if (copy) {
                ocf_free(c->refusal);
                c->refusal = copy;
                c->refusal_result = result;
        }
        r->phase = RESOURCE_WANTED;
        r->was_accepted = false;
        r->register_us = client_now_us() + retry_after(r->n_refusals++, REFUSED_FIRST_US, REFUSED_LAST_US);
        c->is_dirty = true;
}

static void refused(struct ocf_client *c, int result, const char *text) {
        if (!c->application)
                leaving_clear(c); /* what left meanwhile was in what is refused */
        LIST_FOR_EACH(i, &c->resources) {
                struct ocf_resource *r = LIST_ENTRY(i, struct ocf_resource, link);

                if (r->phase == RESOURCE_SENT)
                        registration_refused(r, result, text);
        }
}

/* ---- accepted ---- */

static int accepted(struct ocf_client *c, const char *application) {
        char *copy = ocf_duplicate_string(application);

        if (!copy)
                return -ENOMEM;
        ocf_free(c->application);
        c->application = copy;
        c->is_dirty = true;
        LIST_FOR_EACH(i, &c->resources) {
                struct ocf_resource *r = LIST_ENTRY(i, struct ocf_resource, link);

                if (r->phase != RESOURCE_SENT)
                        continue;
                r->phase = RESOURCE_REGISTERED;
                r->was_accepted = true;
                r->n_refusals = 0;
                r->look_up_us = 0;
        }
        return 0;
}

static int on_registered(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        struct ocf_client *c = userdata;
        const sd_bus_error *e = sd_bus_message_get_error(m);
        const char *text;
        int r;

        c->registering = sd_bus_slot_unref(c->registering);
        if (e) {
                r = message_result(c, e, &text);
                refused(c, r, text);
                return 0;
        }
        r = sd_bus_message_read_basic(m, 'o', &text);
        if (r >= 0)
                r = accepted(c, text);
        if (r < 0)
                connection_fail(c, r);
        return 0;
}

/* ---- the call ---- */

static int append_strings(sd_bus_message *m, const char *key, char **strings, size_t n) {
        int e = n ? sd_bus_message_open_container(m, 'e', "sv") : 0;

        if (!n)
                return 0;
        if (e >= 0)
                e = sd_bus_message_append_basic(m, 's', key);
        if (e >= 0)
                e = sd_bus_message_open_container(m, 'v', "as");
        if (e >= 0)
                e = sd_bus_message_open_container(m, 'a', "s");
        for (size_t i = 0; e >= 0 && i < n; i++)
                e = sd_bus_message_append_basic(m, 's', strings[i]);
        for (unsigned i = 0; e >= 0 && i < 3; i++)
                e = sd_bus_message_close_container(m);
        return e;
}

static int append_value(sd_bus_message *m, const struct ocf_value *value) {
        int e = sd_bus_message_open_container(m, 'e', "sv");

        if (e >= 0)
                e = sd_bus_message_append_basic(m, 's', "value");
        if (e >= 0)
                e = message_append_value(m, value);
        return e < 0 ? e : sd_bus_message_close_container(m);
}

static int append_resource(sd_bus_message *m, const struct ocf_resource *r) {
        int e = sd_bus_message_open_container(m, 'r', "sa{sv}");

        if (e >= 0)
                e = sd_bus_message_append_basic(m, 's', r->href);
        if (e >= 0)
                e = sd_bus_message_open_container(m, 'a', "{sv}");
        if (e >= 0)
                e = append_strings(m, "rt", r->types, r->n_types);
        if (e >= 0)
                e = append_strings(m, "if", r->interfaces, r->n_interfaces);
        if (e >= 0 && r->name)
                e = sd_bus_message_append(m, "{sv}", "n", "s", r->name);
        if (e >= 0)
                e = sd_bus_message_append(m, "{sv}{sv}{sv}", "discoverable", "b",
                                          !!(r->policy & OCF_DISCOVERABLE), "observable", "b",
                                          !!(r->policy & OCF_OBSERVABLE), "insecure", "b",
                                          !!(r->policy & OCF_INSECURE));
        if (e >= 0)
                e = resource_is_handled(r) ? sd_bus_message_append(m, "{sv}", "handler", "o", HANDLER_PATH)
                                           : append_value(m, r->value);
        if (e >= 0)
                e = sd_bus_message_close_container(m);
        return e < 0 ? e : sd_bus_message_close_container(m);
}

static int append_options(sd_bus_message *m, const struct ocf_client *c) {
        int e = sd_bus_message_open_container(m, 'a', "{sv}");

        if (e >= 0 && c->name)
                e = sd_bus_message_append(m, "{sv}", "name", "s", c->name);
        if (e >= 0 && c->linger_ms)
                e = sd_bus_message_append(m, "{sv}", "linger_ms", "t", c->linger_ms);
        return e < 0 ? e : sd_bus_message_close_container(m);
}

/* The first that may go now; those that were accepted before come before all others. */
static const struct ocf_resource *first_wanted(const struct ocf_client *c, uint64_t now_us) {
        const struct ocf_resource *first = NULL;

        LIST_FOR_EACH(i, &c->resources) {
                const struct ocf_resource *r = LIST_ENTRY(i, struct ocf_resource, link);

                if (r->phase != RESOURCE_WANTED || now_us < r->register_us)
                        continue;
                if (r->was_accepted)
                        return r;
                if (!first)
                        first = r;
        }
        return first;
}

static bool go_together(const struct ocf_resource *a, const struct ocf_resource *b) {
        if (b->phase != RESOURCE_WANTED || a->was_accepted != b->was_accepted)
                return false;
        return a->was_accepted || a->batch == b->batch;
}

/* Marks those that go with the first one; its own batch number is needed until all are marked. */
static void mark(struct ocf_client *c, const struct ocf_resource *first) {
        struct ocf_resource pattern = { .was_accepted = first->was_accepted, .batch = first->batch };
        unsigned fresh = ++c->n_batches;

        LIST_FOR_EACH(i, &c->resources) {
                struct ocf_resource *r = LIST_ENTRY(i, struct ocf_resource, link);

                if (!go_together(&pattern, r))
                        continue;
                r->phase = RESOURCE_SENT;
                if (!r->batch)
                        r->batch = fresh;
                r->unsent = ocf_value_free(r->unsent); /* it is in the value that goes there */
        }
}

static int append_marked(sd_bus_message *m, const struct ocf_client *c) {
        int e = sd_bus_message_open_container(m, 'a', "(sa{sv})");

        LIST_FOR_EACH(i, &c->resources) {
                const struct ocf_resource *r = LIST_ENTRY(i, struct ocf_resource, link);

                if (e >= 0 && r->phase == RESOURCE_SENT)
                        e = append_resource(m, r);
        }
        return e < 0 ? e : sd_bus_message_close_container(m);
}

/* Return: 1 when something was wanted, and is sent; 0; negative errno. */
static int send_register(struct ocf_client *c, uint64_t now_us) {
        const struct ocf_resource *first = first_wanted(c, now_us);
        sd_bus_message *m = NULL;
        int e;

        if (!first)
                return 0;
        mark(c, first);
        e = message_new(c, &m, BUS_ROOT, BUS_MANAGER, "Register");
        if (e >= 0)
                e = sd_bus_message_append_basic(m, 'o', c->device);
        if (e >= 0)
                e = append_marked(m, c);
        if (e >= 0)
                e = append_options(m, c);
        if (e >= 0)
                e = sd_bus_call_async(c->bus, &c->registering, m, on_registered, c, 0);
        sd_bus_message_unref(m);
        return e < 0 ? e : 1;
}

/* ---- taking back ---- */

void registration_leave(struct ocf_client *c, struct ocf_resource *r) {
        if (c->is_dead || (r->phase != RESOURCE_SENT && r->phase != RESOURCE_REGISTERED))
                return;
        client_wake(c);
        if (ocf_grow((void **)&c->leaving, c->n_leaving, c->n_leaving + 1, sizeof(char *)) &&
            (c->leaving[c->n_leaving] = ocf_duplicate_string(r->href)))
                c->n_leaving++;
        else
                connection_fail(c, -ENOMEM); /* which takes back everything, and registers what is left */
}

static int on_unregistered(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        struct ocf_client *c = userdata;

        c->unregistering = sd_bus_slot_unref(c->unregistering); /* where it fails the href is gone already */
        c->is_dirty = true;
        return 0;
}

/* One at a time: one that is gone already shall not keep the others there. */
static int send_unregister(struct ocf_client *c) {
        OCF_CLEANUP(ocf_freep) char *href = c->leaving[--c->n_leaving];
        sd_bus_message *m = NULL;
        int e = message_new(c, &m, c->application, BUS_APPLICATION, "Unregister");

        if (e >= 0)
                e = sd_bus_message_append(m, "as", 1, href);
        if (e >= 0)
                e = sd_bus_call_async(c->bus, &c->unregistering, m, on_unregistered, c, 0);
        sd_bus_message_unref(m);
        return e < 0 ? e : 1;
}

void registration_end(struct ocf_client *c) {
        sd_bus_message *m = NULL;

        if (!c->application)
                return;
        if (message_new(c, &m, c->application, BUS_APPLICATION, "Unregister") >= 0 &&
            sd_bus_message_append(m, "as", 0) >= 0 && sd_bus_message_set_expect_reply(m, false) >= 0)
                (void)sd_bus_send(c->bus, m, NULL);
        sd_bus_message_unref(m);
}

/* ---- */

bool registration_step(struct ocf_client *c, uint64_t now_us) {
        int r = 0;

        if (c->daemon != DAEMON_PRESENT || c->registering || c->unregistering)
                return false;
        if (c->n_leaving && c->application)
                r = send_unregister(c);
        else
                r = send_register(c, now_us);
        if (!r)
                r = publish_step(c, now_us);
        if (r < 0)
                connection_fail(c, r);
        return r != 0;
}

uint64_t registration_due(const struct ocf_client *c) {
        uint64_t due_us = OCF_NEVER;

        if (c->daemon != DAEMON_PRESENT || c->registering || c->unregistering)
                return OCF_NEVER;
        LIST_FOR_EACH(i, &c->resources) {
                const struct ocf_resource *r = LIST_ENTRY(i, struct ocf_resource, link);

                if (r->phase == RESOURCE_WANTED)
                        due_us = ocf_min_u64(due_us, r->register_us);
                if (publish_wants_path(r))
                        due_us = ocf_min_u64(due_us, r->look_up_us);
        }
        return due_us;
}
