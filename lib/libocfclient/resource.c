/*
 * What a resource is, as its program describes it, and the value it has: the
 * last one published, with what others have set since.
 */
#include "client_private.h"
#include "base/utf8.h"

#include <errno.h>
#include <string.h>

/* ---- made and freed ---- */

static void strings_free(char **strings, size_t n) {
        for (size_t i = 0; i < n; i++)
                ocf_free(strings[i]);
        ocf_free(strings);
}

static void destroy(struct ocf_resource *r) {
        list_unlink(&r->link);
        resource_session_lost(r);
        strings_free(r->types, r->n_types);
        strings_free(r->interfaces, r->n_interfaces);
        ocf_free(r->href);
        ocf_free(r->name);
        ocf_value_free(r->value);
        ocf_value_free(r->unsent);
        ocf_free(r);
}

static void resource_freep(struct ocf_resource **r) {
        if (*r)
                destroy(*r);
}

static bool is_text(const char *s) {
        return s && s[0] && utf8_is_valid(span_of_string(s), UTF8_BUS);
}

int ocf_resource_new(struct ocf_resource **ret, struct ocf_client *c, const char *href) {
        OCF_CLEANUP(resource_freep) struct ocf_resource *r = NULL;

        if (!ret || !c || !is_text(href) || href[0] != '/')
                return -EINVAL;
        if (registration_by_href(c, href))
                return -EEXIST;
        r = ocf_new(struct ocf_resource);
        if (!r)
                return -ENOMEM;
        list_init(&r->link);
        r->client = c;
        r->policy = OCF_DISCOVERABLE | OCF_OBSERVABLE;
        r->href = ocf_duplicate_string(href);
        if (!r->href || ocf_value_new_map(&r->value))
                return -ENOMEM;
        list_link_tail(&c->resources, &r->link);
        *ret = r;
        r = NULL;
        return 0;
}

struct ocf_resource *ocf_resource_free(struct ocf_resource *r) {
        if (r) {
                registration_leave(r->client, r);
                destroy(r);
        }
        return NULL;
}

/* ---- what it is ---- */

static int change(const struct ocf_resource *r, bool is_valid) {
        if (!r || !is_valid)
                return -EINVAL;
        return r->phase == RESOURCE_NEW ? 0 : -EBUSY;
}

static int add(char ***strings, size_t *n, const char *s) {
        if (!ocf_grow((void **)strings, *n, *n + 1, sizeof(char *)))
                return -ENOMEM;
        (*strings)[*n] = ocf_duplicate_string(s);
        if (!(*strings)[*n])
                return -ENOMEM;
        (*n)++;
        return 0;
}

int ocf_resource_add_type(struct ocf_resource *r, const char *type) {
        int e = change(r, is_text(type));

        return e ? e : add(&r->types, &r->n_types, type);
}

int ocf_resource_add_interface(struct ocf_resource *r, const char *interface_name) {
        int e = change(r, is_text(interface_name));

        return e ? e : add(&r->interfaces, &r->n_interfaces, interface_name);
}

int ocf_resource_set_name(struct ocf_resource *r, const char *name) {
        int e = change(r, is_text(name));
        char *copy;

        if (e)
                return e;
        copy = ocf_duplicate_string(name);
        if (!copy)
                return -ENOMEM;
        ocf_free(r->name);
        r->name = copy;
        return 0;
}

int ocf_resource_set_policy(struct ocf_resource *r, unsigned flags) {
        int e = change(r, !(flags & ~(unsigned)(OCF_DISCOVERABLE | OCF_OBSERVABLE | OCF_INSECURE)));

        if (!e)
                r->policy = flags;
        return e;
}

int ocf_resource_set_handler(struct ocf_resource *r, enum ocf_method method, ocf_request_fn fn,
                             void *userdata) {
        int e = change(r, (unsigned)method <= OCF_DELETE);

        if (!e)
                r->handlers[method] = (struct handler){ fn, userdata };
        return e;
}

int ocf_resource_on_updated(struct ocf_resource *r, ocf_updated_fn fn, void *userdata) {
        if (!r)
                return -EINVAL;
        r->updated = fn;
        r->updated_data = userdata;
        return 0;
}

int ocf_resource_register(struct ocf_resource *r) {
        int e = change(r, r && r->n_types);

        if (e)
                return e;
        r->phase = RESOURCE_WANTED;
        ocf_value_free(r->unsent); /* it is in the value that is registered */
        r->unsent = NULL;
        client_set_state(r->client);
        client_wake(r->client);
        return 0;
}

bool resource_is_handled(const struct ocf_resource *r) {
        for (size_t i = 0; i < ARRAY_SIZE(r->handlers); i++)
                if (r->handlers[i].fn)
                        return true;
        return false;
}

const char *ocf_resource_href(const struct ocf_resource *r) {
        return r ? r->href : "";
}

const struct ocf_value *ocf_resource_value(const struct ocf_resource *r) {
        return r ? r->value : NULL;
}

/* ---- its value ---- */

/* As the daemon does it (rep_merge()): a number takes the type that its key has where that loses nothing. */
static int put_number(struct ocf_value *base, const char *key, const struct ocf_value *update) {
        const struct ocf_value *there = ocf_value_get(base, key);
        enum ocf_type was = there ? there->type : OCF_NULL;
        int64_t integer;
        double real;

        if (was == OCF_DOUBLE && update->type == OCF_INT && ocf_value_get_double(update, NULL, &real) &&
            real < 0x1p63 && (int64_t)real == update->integer)
                return ocf_value_set_double(base, key, real);
        if (was == OCF_INT && update->type == OCF_DOUBLE && ocf_value_get_int(update, NULL, &integer))
                return ocf_value_set_int(base, key, integer);
        return ocf_value_set_value(base, key, update);
}

int value_merge(struct ocf_value *base, const struct ocf_value *update) {
        for (size_t i = 0; i < update->n_items; i++) {
                int r = put_number(base, update->keys[i], update->items[i]);

                if (r)
                        return r;
        }
        return 0;
}

/* A copy of one with another laid over it; either may be NULL. */
static int merged(struct ocf_value **ret, const struct ocf_value *base, const struct ocf_value *update) {
        OCF_CLEANUP(value_freep) struct ocf_value *v = NULL;
        int r = base ? ocf_value_copy(&v, base) : ocf_value_new_map(&v);

        if (!r && update)
                r = value_merge(v, update);
        if (r)
                return r;
        *ret = v;
        v = NULL;
        return 0;
}

static void replace(struct ocf_value **v, struct ocf_value *value_take) {
        ocf_value_free(*v);
        *v = value_take;
}

static int check_size(const struct ocf_value *v) {
        struct span rep;
        int r = value_to_rep(v, &rep);

        if (r)
                return r;
        ocf_free((void *)rep.data);
        return rep.n > PUBLISH_N_MAX ? -EMSGSIZE : 0;
}

int ocf_resource_publish(struct ocf_resource *r, const struct ocf_value *value) {
        OCF_CLEANUP(value_freep) struct ocf_value *whole = NULL;
        struct ocf_value *unsent;
        int e;

        if (!r || !value || value->type != OCF_MAP)
                return -EINVAL;
        e = merged(&whole, r->value, value);
        if (!e)
                e = check_size(whole);
        if (!e)
                e = merged(&unsent, r->unsent, value);
        if (e)
                return e;
        replace(&r->value, whole);
        whole = NULL;
        replace(&r->unsent, unsent);
        client_wake(r->client);
        return 0;
}

int ocf_resource_changed(struct ocf_resource *r) {
        if (!r)
                return -EINVAL;
        if (r->phase != RESOURCE_REGISTERED)
                return 0; /* nobody has seen the old one */
        r->is_changed = true;
        client_wake(r->client);
        return 0;
}

int resource_take_value(struct ocf_resource *r, struct ocf_value *value_take) {
        OCF_CLEANUP(value_freep) struct ocf_value *value = value_take;
        int e = r->in_flight ? value_merge(value, r->in_flight) : 0;

        if (!e && r->unsent)
                e = value_merge(value, r->unsent);
        if (e)
                return e;
        replace(&r->value, value);
        value = NULL;
        return 0;
}

/* What is on its way is in the value, with which it is registered again. */
void resource_session_lost(struct ocf_resource *r) {
        if (r->phase != RESOURCE_NEW)
                r->phase = RESOURCE_WANTED;
        r->publishing = sd_bus_slot_unref(r->publishing);
        if (r->looking_up)
                r->client->n_looking_up--;
        r->looking_up = sd_bus_slot_unref(r->looking_up);
        r->n_refusals = 0;
        r->register_us = 0;
        replace(&r->in_flight, NULL);
        r->path = ocf_free(r->path);
        r->is_changed = false;
}
