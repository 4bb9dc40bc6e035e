#include "base/memory.h"
#include "model/model_private.h"
#include "protocol/rep.h"

#include <errno.h>
#include <string.h>

void handler_reference(struct handler *h) {
        if (h)
                h->n_references++;
}

void handler_unreference(struct handler *h) {
        if (h)
                h->n_references--;
}

void handler_release(struct handler *h) {
        if (h && --h->n_references == 0 && h->vtable->release)
                h->vtable->release(h);
}

/* ---- made and freed ---- */

static void free_types(struct resource *r) {
        for (size_t i = 0; i < r->n_types; i++)
                ocf_free(r->types[i]);
        ocf_free(r->types);
}

struct resource *resource_free(struct resource *r) {
        if (!r)
                return NULL;
        quota_discharge(&r->charge);
        quota_discharge(&r->charge_bytes);
        free_types(r);
        ocf_free(r->href);
        ocf_free(r->name);
        ocf_free(r->rep);
        ocf_free(r->baseline);
        return ocf_free(r);
}

OCF_DEFINE_CLEANUP(struct resource, resource_free)

static size_t bytes_of(const struct resource *r) {
        size_t n = strlen(r->href) + r->n_rep + r->n_baseline;

        for (size_t i = 0; i < r->n_types; i++)
                n += strlen(r->types[i]);
        return n;
}

static int charge(struct resource *r, uint32_t uid, struct model_refusal *refusal) {
        struct quota *q = &r->device->model->quota;
        int e = quota_charge(q, &r->charge, uid, MODEL_QUOTA_RESOURCES, 1);

        if (e == QUOTA_E_FULL) {
                refuse(refusal, FAULT_LIMITS_EXCEEDED,
                       "User %u has %llu resources, as many as one user may have", uid,
                       (unsigned long long)q->limits[MODEL_QUOTA_RESOURCES]);
                return MODEL_E_REFUSED;
        }
        if (!e)
                e = quota_charge(q, &r->charge_bytes, uid, MODEL_QUOTA_BYTES, bytes_of(r));
        if (e == QUOTA_E_FULL) {
                refuse(refusal, FAULT_LIMITS_EXCEEDED,
                       "The values of user %u would take more than %llu bytes", uid,
                       (unsigned long long)q->limits[MODEL_QUOTA_BYTES]);
                return MODEL_E_REFUSED;
        }
        return e;
}

static int copy_types(struct resource *r, const struct resource_spec *spec) {
        r->types = ocf_allocate(spec->n_types, sizeof(*r->types));
        if (!r->types)
                return -ENOMEM;
        r->n_types = spec->n_types;
        for (size_t i = 0; i < spec->n_types; i++) {
                r->types[i] = ocf_duplicate_string(spec->types[i]);
                if (!r->types[i])
                        return -ENOMEM;
        }
        return 0;
}

static void set_interfaces(struct resource *r, const struct resource_spec *spec) {
        enum interface interface;

        r->default_interface = INTERFACE_RW;
        for (size_t i = 0; i < spec->n_interfaces; i++) {
                (void)interface_parse(&interface, span_of_string(spec->interfaces[i])); /* validated */
                if (i == 0)
                        r->default_interface = interface;
                r->interfaces |= 1u << interface;
        }
        if (!spec->n_interfaces)
                r->interfaces = 1u << INTERFACE_RW;
        r->interfaces |= 1u << INTERFACE_BASELINE;
}

/* The empty map is what a published resource says that was given no value yet. */
static int set_rep(struct resource *r, struct span value) {
        r->rep = ocf_duplicate(value.data ? value : SPAN_LITERAL("\xa0"));
        if (!r->rep)
                return -ENOMEM;
        r->n_rep = value.data ? value.n : 1;
        return 0;
}

int resource_new(struct resource **ret, struct model *m, struct device *d, const struct resource_spec *spec,
                 uint32_t uid, struct model_refusal *refusal) {
        OCF_CLEANUP(resource_freep) struct resource *r = ocf_new(struct resource);
        int e;

        if (!r)
                return -ENOMEM;
        list_init(&r->device_link);
        list_init(&r->app_link);
        list_init(&r->dirty_link);
        r->device = d;
        r->mode = spec->handler && spec->handler->vtable->request ? RESOURCE_HANDLED : RESOURCE_PUBLISHED;
        r->discoverable = spec->discoverable;
        r->observable = spec->observable;
        r->insecure = spec->insecure;
        set_interfaces(r, spec);
        r->href = ocf_duplicate_string(spec->href);
        r->name = ocf_duplicate_string(spec->name);
        if (!r->href || (spec->name && !r->name))
                return -ENOMEM;
        e = copy_types(r, spec);
        if (!e && r->mode == RESOURCE_PUBLISHED) {
                e = set_rep(r, spec->value);
                if (!e)
                        e = resource_prepare(r);
        }
        if (!e && uid != RESOURCE_UID_NONE)
                e = charge(r, uid, refusal);
        if (e)
                return e;
        r->number = ++m->n_numbers;
        r->etag = model_next_etag(m);
        r->handler = spec->handler;
        handler_reference(r->handler);
        *ret = r;
        r = NULL;
        return 0;
}

void resource_link(struct resource *r, struct app *app) {
        r->app = app;
        if (app)
                list_link_tail(&app->resources, &r->app_link);
        list_link_tail(&r->device->resources, &r->device_link);
        model_index_add(r->device->model, r);
        resource_news(r, MODEL_NEWS_ADDED);
}

void resource_unlink(struct resource *r) {
        model_index_remove(r->device->model, r);
        list_unlink(&r->device_link);
        list_unlink(&r->app_link);
        r->app = NULL;
        r->removed = true;
        handler_release(r->handler);
        r->handler = NULL;
}

/* ---- the baseline answer: common properties and value ---- */

size_t resource_common_pairs(const struct resource *r) {
        return r->name ? 3 : 2;
}

void resource_put_types(const struct resource *r, struct writer *w) {
        rep_put_string(w, "rt");
        rep_put_array(w, r->n_types);
        for (size_t i = 0; i < r->n_types; i++)
                rep_put_string(w, r->types[i]);
}

/* The default one comes first (core.md 5.4), then the particular ones before baseline. */
void resource_put_interfaces(const struct resource *r, struct writer *w) {
        uint64_t n = 1;
        size_t begun;

        rep_put_string(w, "if");
        begun = rep_begin_array(w);
        rep_put_string(w, interface_name(r->default_interface));
        for (enum interface i = _INTERFACE_N; i-- > 0;)
                if (r->interfaces >> i & 1 && i != r->default_interface) {
                        rep_put_string(w, interface_name(i));
                        n++;
                }
        rep_end_array(w, begun, n);
}

void resource_put_common(const struct resource *r, struct writer *w) {
        if (r->name) {
                rep_put_string(w, "n");
                rep_put_string(w, r->name);
        }
        resource_put_types(r, w);
        resource_put_interfaces(r, w);
}

static size_t common_room(const struct resource *r) {
        return 64 + (size_t)_INTERFACE_N * 24 + r->n_types * (MODEL_TYPE_MAX + 2) +
               (r->name ? strlen(r->name) + 8 : 0);
}

static bool is_common(struct span key) {
        return span_equal_string(key, "rt") || span_equal_string(key, "if") || span_equal_string(key, "n");
}

/* Common properties of ours in front, then what the value says besides. */
static void put_baseline(const struct resource *r, struct span rep, struct writer *w) {
        struct span pairs, key, item;
        uint64_t n = 0, n_pairs = resource_common_pairs(r);
        size_t begun = rep_begin_map(w);

        resource_put_common(r, w);
        (void)rep_map_begin(rep, &pairs, &n);
        while (n-- && rep_map_next(&pairs, &key, &item)) {
                if (!key.data || (is_common(key) && (r->name || !span_equal_string(key, "n"))))
                        continue;
                rep_put_text(w, key);
                rep_put_item(w, item);
                n_pairs++;
        }
        rep_end_map(w, begun, n_pairs);
}

int resource_prepare(struct resource *r) {
        size_t n_max = r->n_rep + common_room(r);
        uint8_t *buf = ocf_allocate(n_max, 1);
        struct writer w = writer_on(buf, n_max);

        if (!buf)
                return -ENOMEM;
        put_baseline(r, span_of(r->rep, r->n_rep), &w);
        ocf_free(r->baseline);
        r->baseline = buf;
        r->n_baseline = w.n;
        return 0;
}

struct span resource_with_common(struct resource *r, struct span rep) {
        size_t n_max = rep.n + common_room(r);
        uint8_t *buf;
        struct writer w;

        if (!rep.n || rep_type_of(rep) != REP_MAP)
                return rep;
        buf = model_scratch(r->device->model, n_max);
        if (!buf)
                return rep;
        w = writer_on(buf, n_max);
        put_baseline(r, rep, &w);
        return w.overflow ? rep : writer_span(&w);
}

/* A size that fits one message is of no interest (RFC 6690, 3.3). */
size_t resource_size_hint(const struct resource *r) {
        size_t n = r->default_interface == INTERFACE_BASELINE ? r->n_baseline : r->n_rep;

        return n > 1024 && interface_allows(r->default_interface, COAP_GET) ? n : 0;
}

/* ---- new values ---- */

/* Takes value: it becomes the resource's. */
static int replace_value(struct resource *r, uint8_t *value_take, size_t n, struct model_refusal *refusal) {
        uint8_t *old = r->rep, *old_baseline = r->baseline;
        size_t n_old = r->n_rep, n_old_baseline = r->n_baseline, old_hint = resource_size_hint(r);
        int e;

        r->rep = value_take;
        r->n_rep = n;
        r->baseline = NULL;
        e = resource_prepare(r);
        if (!e && r->charge_bytes.account && quota_recharge(&r->charge_bytes, bytes_of(r)) == QUOTA_E_FULL) {
                refuse(refusal, FAULT_LIMITS_EXCEEDED,
                       "With this value of %.150s the user would have more than %llu bytes", r->href,
                       (unsigned long long)r->device->model->quota.limits[MODEL_QUOTA_BYTES]);
                e = MODEL_E_REFUSED;
        }
        if (e) {
                ocf_free(r->rep);
                ocf_free(r->baseline);
                r->rep = old;
                r->n_rep = n_old;
                r->baseline = old_baseline;
                r->n_baseline = n_old_baseline;
                return e;
        }
        ocf_free(old);
        ocf_free(old_baseline);
        r->etag = model_next_etag(r->device->model);
        if (resource_size_hint(r) != old_hint)
                r->device->model->generation++; /* its link says it */
        resource_news(r, MODEL_NEWS_VALUE);
        return 0;
}

int resource_publish(struct resource *r, struct span rep, bool replace, struct model_refusal *refusal) {
        struct span old = span_of(r->rep, r->n_rep);
        size_t n_max = rep.n + r->n_rep + 9 * 64;
        struct writer w;
        uint8_t *value;
        int e;

        if (r->mode != RESOURCE_PUBLISHED) {
                refuse(refusal, FAULT_INVALID_ARGUMENTS,
                       "%.150s answers by its handler: call Changed instead", r->href);
                return MODEL_E_REFUSED;
        }
        if (replace) {
                value = ocf_duplicate(rep);
                w = (struct writer){ .data = value, .n = rep.n };
                e = !value ? -ENOMEM : rep_type_of(rep) == REP_MAP ? 0 : REP_E_MALFORMED;
        } else {
                n_max += r->n_rep * 9; /* every number may grow into a double */
                value = ocf_allocate(n_max, 1);
                w = writer_on(value, n_max);
                e = value ? rep_merge(old, rep, &w) : -ENOMEM;
        }
        if (!e && w.n > MODEL_REP_MAX)
                e = REP_E_NO_ROOM;
        if (e > 0) {
                refuse(refusal, e == REP_E_NO_ROOM ? FAULT_TOO_LARGE : FAULT_BAD_REPRESENTATION,
                       e == REP_E_NO_ROOM ? "The value of %.150s is larger than 64 KiB"
                                          : "The value of %.150s must be a map with names as keys",
                       r->href);
                ocf_free(value);
                return MODEL_E_REFUSED;
        }
        if (e || rep_equal(old, writer_span(&w))) {
                ocf_free(value);
                return e;
        }
        return replace_value(r, value, w.n, refusal);
}

void resource_changed(struct resource *r) {
        if ((r->mode != RESOURCE_HANDLED && r->mode != RESOURCE_SECURE) || r->removed)
                return;
        r->etag = model_next_etag(r->device->model);
        resource_news(r, MODEL_NEWS_VALUE);
}
