#include "base/memory.h"
#include "model/model_private.h"
#include "protocol/rep.h"

#include <errno.h>
#include <string.h>

struct app *app_free(struct app *a) {
        if (!a)
                return NULL;
        quota_discharge(&a->charge);
        ocf_free(a->name);
        ocf_free(a->owner);
        return ocf_free(a);
}

OCF_DEFINE_CLEANUP(struct app, app_free)

struct app *model_app_by_owner(const struct model *m, const char *owner) {
        LIST_FOR_EACH(i, &m->apps) {
                struct app *a = LIST_ENTRY(i, struct app, link);

                if (a->owner && strcmp(a->owner, owner) == 0)
                        return a;
        }
        return NULL;
}

struct app *model_app_by_number(const struct model *m, uint64_t number) {
        LIST_FOR_EACH(i, &m->apps) {
                struct app *a = LIST_ENTRY(i, struct app, link);

                if (a->number == number)
                        return a;
        }
        return NULL;
}

/* The one that went away and left its chair: same user, same name. */
static struct app *find_lingering(const struct model *m, const struct app_spec *spec) {
        if (!spec->name)
                return NULL;
        LIST_FOR_EACH(i, &m->apps) {
                struct app *a = LIST_ENTRY(i, struct app, link);

                if (!a->owner && a->uid == spec->uid && strcmp(a->name, spec->name) == 0)
                        return a;
        }
        return NULL;
}

static int app_new(struct app **ret, struct model *m, const struct app_spec *spec,
                   struct model_refusal *refusal) {
        OCF_CLEANUP(app_freep) struct app *a = ocf_new(struct app);
        int r;

        if (!a)
                return -ENOMEM;
        a->model = m;
        list_init(&a->link);
        list_init(&a->dirty_link);
        list_init(&a->resources);
        a->uid = spec->uid;
        a->name = ocf_duplicate_string(spec->name ? spec->name : spec->owner);
        if (!a->name)
                return -ENOMEM;
        r = quota_charge(&m->quota, &a->charge, spec->uid, MODEL_QUOTA_APPS, 1);
        if (r == QUOTA_E_FULL) {
                refuse(refusal, FAULT_LIMITS_EXCEEDED,
                       "User %u has %llu applications, as many as one user may have", spec->uid,
                       (unsigned long long)m->quota.limits[MODEL_QUOTA_APPS]);
                return MODEL_E_REFUSED;
        }
        if (r < 0)
                return r;
        a->number = ++m->n_numbers;
        *ret = a;
        a = NULL;
        return 0;
}

/* ---- registering ---- */

/* A registration while it is put together: nothing of it is in the model yet. */
struct draft {
        struct resource **resources;
        size_t n;
        struct app *app_new; /* to be linked; NULL: there is one already */
        char *owner;
};

static void draft_free(struct draft *d) {
        for (size_t i = 0; i < d->n; i++) {
                handler_unreference(d->resources[i]->handler);
                resource_free(d->resources[i]);
        }
        ocf_free(d->resources);
        app_free(d->app_new);
        ocf_free(d->owner);
}

/* May this href be taken? An app that lingers gives its own up to the one that comes back. */
static bool check_href(struct model *m, uint16_t device, const struct resource_spec *specs, size_t i,
                       const struct app *lingering, struct model_refusal *refusal) {
        const char *href = specs[i].href;
        struct resource *there = model_resource_find(m, device, span_of_string(href));

        if (there && !(lingering && there->app == lingering)) {
                refuse(refusal, FAULT_ALREADY_EXISTS,
                       "%.120s is registered already, by the application \"%.60s\" (%s)", href,
                       there->app ? there->app->name : "ocfd",
                       !there->app         ? "the daemon itself"
                       : there->app->owner ? there->app->owner
                                           : "restarting");
                return false;
        }
        return true;
}

/* Two of the same in one call: found by a small hash, so that ten thousand of them are quick to refuse. */
static int find_twins(const struct resource_spec *specs, size_t n, struct model_refusal *refusal) {
        size_t n_slots = 16;
        const struct resource_spec **slots;

        while (n_slots < 2 * n)
                n_slots *= 2;
        slots = ocf_allocate(n_slots, sizeof(*slots));
        if (!slots)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                size_t slot = 5381;

                for (const char *c = specs[i].href; *c; c++)
                        slot = slot * 33 + (uint8_t)*c;
                for (slot &= n_slots - 1; slots[slot]; slot = (slot + 1) & (n_slots - 1))
                        if (strcmp(slots[slot]->href, specs[i].href) == 0) {
                                refuse(refusal, FAULT_INVALID_ARGUMENTS, "%.200s is there twice",
                                       specs[i].href);
                                ocf_free(slots);
                                return MODEL_E_REFUSED;
                        }
                slots[slot] = &specs[i];
        }
        ocf_free(slots);
        return 0;
}

static int check_value(const struct resource_spec *spec, struct model_refusal *refusal) {
        if (spec->value.data && rep_type_of(spec->value) != REP_MAP) {
                refuse(refusal, FAULT_INVALID_ARGUMENTS, "The value of %.150s must be a map", spec->href);
                return MODEL_E_REFUSED;
        }
        if (spec->value.n > MODEL_REP_MAX) {
                refuse(refusal, FAULT_TOO_LARGE, "The value of %.150s is larger than 64 KiB", spec->href);
                return MODEL_E_REFUSED;
        }
        return 0;
}

static int draft_resources(struct draft *draft, struct model *m, struct device *d, const struct app_spec *app,
                           const struct resource_spec *specs, size_t n, const struct app *lingering,
                           struct model_refusal *refusal) {
        int r = find_twins(specs, n, refusal);

        if (r)
                return r;
        draft->resources = ocf_allocate(n, sizeof(*draft->resources));
        if (!draft->resources)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                if (!validate_spec(&specs[i], refusal) ||
                    !check_href(m, d->index, specs, i, lingering, refusal))
                        return MODEL_E_REFUSED;
                r = check_value(&specs[i], refusal);
                if (!r)
                        r = resource_new(&draft->resources[i], m, d, &specs[i], app->uid, refusal);
                if (r)
                        return r;
                draft->n++;
        }
        return model_index_reserve(m, n) ? 0 : -ENOMEM;
}

/*
 * The resource of an app that was away comes back: it keeps its number, and so
 * its observers and its name on the bus.
 */
static void take_over(struct resource *old, struct resource *new) {
        new->number = old->number;
        model_index_remove(old->device->model, old);
        list_unlink(&old->device_link);
        list_unlink(&old->app_link);
        list_unlink(&old->dirty_link);
        new->news = old->news &MODEL_NEWS_ADDED; /* if it was never told, it still has to be */
        if (new->news)
                list_link_tail(&new->device->model->dirty_resources, &new->dirty_link);
        handler_release(old->handler);
        resource_free(old);
}

static void commit(struct model *m, struct app *a, struct draft *draft, const struct app_spec *spec) {
        for (size_t i = 0; i < draft->n; i++) {
                struct resource *r = draft->resources[i];
                struct resource *old = model_resource_find(m, r->device->index, span_of_string(r->href));

                if (old) {
                        take_over(old, r);
                        r->app = a;
                        list_link_tail(&a->resources, &r->app_link);
                        list_link_tail(&r->device->resources, &r->device_link);
                        model_index_add(m, r);
                        resource_news(r, MODEL_NEWS_VALUE | MODEL_NEWS_PROPERTIES);
                } else {
                        resource_link(r, a);
                }
        }
        if (spec->pid)
                a->pid = spec->pid;
        a->linger_ms = ocf_min_u64(spec->linger_ms, MODEL_LINGER_MAX_MS);
        draft->n = 0;
}

int model_register(struct model *m, uint64_t now_ms, uint16_t device, const struct app_spec *spec,
                   const struct resource_spec *specs, size_t n_specs, struct app **ret,
                   struct model_refusal *refusal) {
        OCF_CLEANUP(draft_free) struct draft draft = { 0 };
        struct app *a = model_app_by_owner(m, spec->owner), *lingering = a ? NULL : find_lingering(m, spec);
        struct device *d;
        int r;

        if (device >= m->n_devices) {
                refuse(refusal, FAULT_NOT_FOUND, "There is no device %u", device);
                return MODEL_E_REFUSED;
        }
        if (!n_specs) {
                refuse(refusal, FAULT_INVALID_ARGUMENTS,
                       "There is nothing to register: give at least one resource");
                return MODEL_E_REFUSED;
        }
        d = m->devices[device];
        if (!a && !lingering) {
                r = app_new(&draft.app_new, m, spec, refusal);
                if (r)
                        return r;
        }
        draft.owner = ocf_duplicate_string(spec->owner);
        if (!draft.owner)
                return -ENOMEM;
        r = draft_resources(&draft, m, d, spec, specs, n_specs, lingering, refusal);
        if (r)
                return r;
        if (draft.app_new) {
                a = draft.app_new;
                draft.app_new = NULL;
                list_link_tail(&m->apps, &a->link);
                app_news(a, MODEL_NEWS_ADDED);
        } else if (lingering) {
                a = lingering;
        }
        if (!a->owner) {
                a->owner = draft.owner;
                draft.owner = NULL;
        }
        app_news(a, MODEL_NEWS_PROPERTIES);
        commit(m, a, &draft, spec);
        model_links_changed(d);
        *ret = a;
        return 0;
}

/* ---- leaving ---- */

static void remove_resource(struct resource *r) {
        struct device *d = r->device;

        resource_unlink(r);
        resource_news(r, MODEL_NEWS_REMOVED);
        model_links_changed(d);
}

void model_unregister(struct model *m, struct app *a, struct resource *resource) {
        if (resource) {
                remove_resource(resource);
                app_news(a, MODEL_NEWS_PROPERTIES);
                return;
        }
        while (!list_is_empty(&a->resources))
                remove_resource(LIST_ENTRY(list_first(&a->resources), struct resource, app_link));
        list_unlink(&a->link);
        app_news(a, MODEL_NEWS_REMOVED);
}

void model_app_vanished(struct model *m, struct app *a, uint64_t now_ms) {
        if (!a->linger_ms || list_is_empty(&a->resources)) {
                model_unregister(m, a, NULL);
                return;
        }
        a->owner = ocf_free(a->owner);
        a->gone_ms = now_ms + a->linger_ms;
        app_news(a, MODEL_NEWS_PROPERTIES);
        LIST_FOR_EACH(i, &a->resources) {
                struct resource *r = LIST_ENTRY(i, struct resource, app_link);

                handler_release(r->handler);
                r->handler = NULL;
                r->away = true;
                resource_news(r, MODEL_NEWS_PROPERTIES);
        }
        (void)model_next_etag(m); /* no value is new, but what all of them say together is */
}

void app_expire(struct app *a, uint64_t now_ms) {
        if (!a->gone_ms || a->gone_ms > now_ms)
                return;
        a->gone_ms = 0;
        if (!a->owner) {
                model_unregister(a->model, a, NULL);
                return;
        }
        LIST_FOR_EACH_SAFE(i, &a->resources) { /* it came back, and left these out */
                struct resource *r = LIST_ENTRY(i, struct resource, app_link);

                if (r->away)
                        model_unregister(a->model, a, r);
        }
}
