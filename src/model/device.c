#include "base/memory.h"
#include "model/model_private.h"

#include <errno.h>
#include <string.h>

/*
 * Logical devices: made and freed, and what is set from outside while they
 * live. Whatever is set takes effect with the next question: it makes every
 * answer old that was kept, and tells observers and the bus.
 */

void model_links_changed(struct device *d) {
        struct resource *res = model_resource_find(d->model, d->index, SPAN_LITERAL("/oic/res"));

        d->model->generation++;
        if (!res)
                return;
        res->etag = model_next_etag(d->model);
        resource_news(res, MODEL_NEWS_VALUE);
}

struct device *device_free(struct device *d) {
        if (!d)
                return NULL;
        while (!list_is_empty(&d->resources)) {
                struct resource *r = LIST_ENTRY(list_first(&d->resources), struct resource, device_link);

                resource_unlink(r);
                list_unlink(&r->dirty_link);
                resource_free(r);
        }
        list_unlink(&d->dirty_link);
        ocf_free(d->name);
        ocf_free(d->type);
        ocf_free(d->spec_version);
        ocf_free(d->data_model_version);
        ocf_free(d->endpoints);
        ocf_free(d->domain_name);
        return ocf_free(d);
}

OCF_DEFINE_CLEANUP(struct device, device_free)

int model_add_device(struct model *m, const struct device_identity *identity, struct device **ret) {
        OCF_CLEANUP(device_freep) struct device *d = ocf_new(struct device);
        int r;

        if (!d)
                return -ENOMEM;
        d->model = m;
        d->index = (uint16_t)m->n_devices;
        d->di = identity->di;
        d->piid = identity->piid;
        list_init(&d->resources);
        list_init(&d->dirty_link);
        d->name = ocf_duplicate_string(identity->name);
        d->type = ocf_duplicate_string(identity->type);
        d->spec_version = ocf_duplicate_string(identity->spec_version);
        d->data_model_version = ocf_duplicate_string(identity->data_model_version);
        if (!d->name || (identity->type && !d->type) || !d->spec_version || !d->data_model_version)
                return -ENOMEM;
        if (!ocf_grow((void **)&m->devices, m->n_devices, m->n_devices + 1, sizeof(*m->devices)))
                return -ENOMEM;
        r = core_resources_add(d);
        if (r < 0)
                return r;
        device_news(d, MODEL_NEWS_ADDED);
        m->devices[m->n_devices++] = d;
        *ret = d;
        d = NULL;
        return 0;
}

int device_set_endpoints(struct device *d, const struct device_endpoint *endpoints, size_t n) {
        struct device_endpoint *copy;

        if (n == d->n_endpoints && (!n || memcmp(endpoints, d->endpoints, n * sizeof(*endpoints)) == 0))
                return 0;
        copy = (struct device_endpoint *)(void *)ocf_duplicate(span_of(endpoints, n * sizeof(*endpoints)));
        if (!copy)
                return -ENOMEM;
        ocf_free(d->endpoints);
        d->endpoints = copy;
        d->n_endpoints = n;
        d->has_plain_endpoint = d->has_secure_endpoint = false;
        for (size_t i = 0; i < n; i++)
                *(copy[i].secure ? &d->has_secure_endpoint : &d->has_plain_endpoint) = true;
        device_news(d, MODEL_NEWS_PROPERTIES);
        model_links_changed(d);
        return 0;
}

/* ---- security ---- */

static bool same_text(const char *a, const char *b) {
        return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool same_security(const struct device_security *a, const struct device_security *b) {
        return a->secure == b->secure && a->owned == b->owned && a->transfer == b->transfer &&
               a->domain_private == b->domain_private && uuid_equal(&a->domain, &b->domain) &&
               same_text(a->domain_name, b->domain_name);
}

int device_set_security(struct device *d, const struct device_security *security) {
        char *name;

        if (same_security(security, &d->security))
                return 0;
        name = ocf_duplicate_string(security->domain_name);
        if (security->domain_name && !name)
                return -ENOMEM;
        ocf_free(d->domain_name);
        d->domain_name = name;
        d->security = *security;
        d->security.domain_name = name;
        device_news(d, MODEL_NEWS_PROPERTIES);
        model_links_changed(d);
        return 0;
}

int device_set_id(struct device *d, const struct uuid *di) {
        struct resource *r = model_resource_find(d->model, d->index, SPAN_LITERAL("/oic/d"));

        if (uuid_equal(di, &d->di))
                return 0;
        d->di = *di;
        if (r) {
                r->etag = model_next_etag(d->model);
                resource_news(r, MODEL_NEWS_VALUE);
        }
        device_news(d, MODEL_NEWS_PROPERTIES);
        model_links_changed(d);
        return 0;
}
