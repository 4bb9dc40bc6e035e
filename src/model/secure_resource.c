#include "model/model_private.h"

#include <errno.h>
#include <string.h>

/*
 * The resources that the security of a device answers for, as far as links
 * show them. What they say is not the model's business: it only finds them.
 */

/* As the reference lists them (core.md 6.1). */
static const char *const order[] = {
        "/oic/mnt",      "/oic/sec/doxm", "/oic/sec/pstat", "/oic/sec/acl2",  "/oic/sec/ael",
        "/oic/sec/cred", "/oic/sec/sp",   "/oic/sec/csr",   "/oic/sec/roles", "/oic/sec/sdi",
};

/* Those without a place come after these, and the apps' after all. */
static size_t rank_of(const struct resource *r) {
        size_t i = 0;

        if (r->mode == RESOURCE_CORE)
                return 0;
        if (r->mode != RESOURCE_SECURE)
                return ARRAY_SIZE(order) + 2;
        while (i < ARRAY_SIZE(order) && strcmp(r->href, order[i]) != 0)
                i++;
        return i + 1;
}

static void put_in_place(struct resource *r) {
        struct list *all = &r->device->resources, *at = all->next;

        list_unlink(&r->device_link);
        while (at != all && rank_of(LIST_ENTRY(at, struct resource, device_link)) <= rank_of(r))
                at = at->next;
        list_link_tail(at, &r->device_link); /* in front of it */
}

int model_add_secure_resource(struct model *m, struct device *d, const struct secure_resource_spec *spec,
                              struct resource **ret) {
        const struct resource_spec general = {
                .href = spec->href,
                .types = &spec->type,
                .n_types = 1,
                .discoverable = true,
                .observable = spec->observable,
        };
        struct resource *r;
        int e;

        if (model_resource_find(m, d->index, span_of_string(spec->href)))
                return -EEXIST;
        if (!model_index_reserve(m, 1))
                return -ENOMEM;
        e = resource_new(&r, m, d, &general, RESOURCE_UID_NONE, NULL);
        if (e)
                return e;
        r->mode = RESOURCE_SECURE;
        r->clear = spec->clear;
        r->secure_id = spec->id;
        resource_link(r, NULL);
        put_in_place(r);
        model_links_changed(d);
        *ret = r;
        return 0;
}
