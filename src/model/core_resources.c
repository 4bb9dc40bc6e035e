#include "base/memory.h"
#include "model/model_private.h"
#include "protocol/rep.h"

#include <errno.h>
#include <string.h>

/*
 * /oic/d and /oic/p (core.md 7.1, 7.2), and the places where these and /oic/res
 * hang in the model. They are answered anew each time: they change rarely and
 * are asked rarely.
 */

struct platform {
        struct uuid pi;
        char *manufacturer, *model, *version, *os, *serial, *support_url;
};

/* A map that is put together property by property. */
struct properties {
        struct writer *w;
        uint64_t n;
};

struct core_resource {
        const char *href, *type;
        uint32_t interfaces;
        enum interface default_interface;
        bool discoverable;
        uint32_t formats;                                        /* FORMAT_* */
        void (*put)(struct properties *, const struct device *); /* NULL: answer() does it all */
        enum model_answer (*answer)(struct model *, const struct ocf_request *, const struct route *,
                                    struct ocf_response *);
};

static void put_device(struct properties *p, const struct device *d);
static void put_platform(struct properties *p, const struct device *d);
static enum model_answer answer_properties(struct model *m, const struct ocf_request *request,
                                           const struct route *route, struct ocf_response *response);

#define READ_ONLY (1u << INTERFACE_R | 1u << INTERFACE_BASELINE)
#define LINKS     (1u << INTERFACE_LL | 1u << INTERFACE_B | 1u << INTERFACE_BASELINE)

/* The OIC 1.1 layout of /oic/res (format 60) is not spoken: then nothing rather than the wrong layout. */
enum { FORMAT_OCF_CBOR = 1, FORMAT_CBOR = 2, FORMAT_JSON = 4, FORMAT_LINK = 8 };
#define FORMATS_OF_MAP   (FORMAT_OCF_CBOR | FORMAT_CBOR | FORMAT_JSON)
#define FORMATS_OF_LINKS (FORMAT_OCF_CBOR | FORMAT_JSON)

static const struct core_resource core_resources[] = {
        { "/oic/p", "oic.wk.p", READ_ONLY, INTERFACE_R, true, FORMATS_OF_MAP, put_platform,
          answer_properties },
        { "/oic/res", "oic.wk.res", LINKS, INTERFACE_LL, true, FORMATS_OF_LINKS, NULL, discovery_answer },
        { "/oic/d", "oic.wk.d", READ_ONLY, INTERFACE_R, true, FORMATS_OF_MAP, put_device, answer_properties },
        { "/.well-known/core", NULL, 1u << INTERFACE_LL, INTERFACE_LL, false, FORMAT_LINK, NULL,
          well_known_answer },
};

static int add(struct device *d, const struct core_resource *core) {
        const char *const types[] = { core->put == put_device && d->type ? d->type : core->type, core->type };
        const struct resource_spec spec = {
                .href = core->href,
                .types = types,
                .n_types = !core->type              ? 0
                           : types[0] == core->type ? 1
                                                    : 2,
                .discoverable = core->discoverable,
                .observable = core->discoverable,
                .handler = core->answer == discovery_answer ? &d->model->gatherer : NULL,
        };
        struct resource *r;
        int e = resource_new(&r, d->model, d, &spec, RESOURCE_UID_NONE, NULL);

        if (e)
                return e;
        r->mode = RESOURCE_CORE;
        r->core = core;
        r->interfaces = core->interfaces;
        r->default_interface = core->default_interface;
        resource_link(r, NULL);
        return 0;
}

int core_resources_add(struct device *d) {
        int r;

        if (!model_index_reserve(d->model, ARRAY_SIZE(core_resources)))
                return -ENOMEM;
        for (size_t i = 0; i < ARRAY_SIZE(core_resources); i++) {
                r = add(d, &core_resources[i]);
                if (r)
                        return r;
        }
        return 0;
}

enum model_answer core_resource_answer(struct model *m, const struct ocf_request *request,
                                       const struct route *route, struct ocf_response *response) {
        return route->resource->core->answer(m, request, route, response);
}

bool core_resource_can_give(const struct resource *r, int accept) {
        switch (accept) {
        case COAP_FORMAT_NONE:
                return true;
        case COAP_FORMAT_OCF_CBOR:
                return r->core->formats & FORMAT_OCF_CBOR;
        case COAP_FORMAT_CBOR:
                return r->core->formats & FORMAT_CBOR;
        case COAP_FORMAT_JSON:
                return r->core->formats & FORMAT_JSON;
        case COAP_FORMAT_LINK:
                return r->core->formats & FORMAT_LINK;
        default: /* any number may stand there */
                return false;
        }
}

bool core_resource_has_views(const struct resource *r) {
        return !(r->core->formats & FORMAT_LINK);
}

/* ---- those that are a map of properties ---- */

#define ROOM 4096

static void put(struct properties *p, const char *key, const char *value) {
        if (!value)
                return;
        rep_put_string(p->w, key);
        rep_put_string(p->w, value);
        p->n++;
}

static void put_uuid(struct properties *p, const char *key, const struct uuid *value) {
        char text[UUID_TEXT_MAX];

        put(p, key, uuid_format(value, text));
}

static void put_device(struct properties *p, const struct device *d) {
        put_uuid(p, "di", &d->di);
        put_uuid(p, "piid", &d->piid);
        put(p, "n", d->name);
        put(p, "icv", d->spec_version);
        put(p, "dmv", d->data_model_version);
}

static void put_platform(struct properties *p, const struct device *d) {
        const struct platform *platform = d->model->platform;

        put_uuid(p, "pi", &platform->pi);
        put(p, "mnmn", platform->manufacturer);
        put(p, "mnmo", platform->model);
        put(p, "mnpv", platform->version);
        put(p, "mnos", platform->os);
        put(p, "mnsel", platform->serial);
        put(p, "mnsl", platform->support_url);
}

bool core_resource_put(const struct resource *r, enum interface interface, struct writer *w) {
        struct properties p = { .w = w };
        size_t begun;

        if (!r->core->put)
                return false;
        begun = rep_begin_map(w);
        if (interface == INTERFACE_BASELINE) {
                resource_put_common(r, w);
                p.n = resource_common_pairs(r);
        }
        r->core->put(&p, r->device);
        rep_end_map(w, begun, p.n);
        return true;
}

static enum model_answer answer_properties(struct model *m, const struct ocf_request *request,
                                           const struct route *route, struct ocf_response *response) {
        struct writer w = writer_on(model_scratch(m, ROOM), ROOM);

        *response = OCF_RESPONSE_FAULT(w.data ? FAULT_FAILED : FAULT_BUSY);
        if (!w.data || !core_resource_put(route->resource, route->interface, &w) || w.overflow)
                return MODEL_ANSWERED;
        *response = OCF_RESPONSE_OK(COAP_CONTENT);
        response->rep = writer_span(&w);
        response->etag = resource_etag(route->resource, route->interface);
        response_validate(response, request);
        return MODEL_ANSWERED;
}

/* ---- the platform ---- */

static bool copy(char **to, const char *from) {
        *to = ocf_duplicate_string(from);
        return *to || !from;
}

int platform_new(struct platform **ret, const struct platform_identity *identity) {
        struct platform *p = ocf_new(struct platform);

        if (!p)
                return -ENOMEM;
        p->pi = identity->pi;
        if (!copy(&p->manufacturer, identity->manufacturer) || !copy(&p->model, identity->model) ||
            !copy(&p->version, identity->version) || !copy(&p->os, identity->os) ||
            !copy(&p->serial, identity->serial) || !copy(&p->support_url, identity->support_url)) {
                platform_free(p);
                return -ENOMEM;
        }
        *ret = p;
        return 0;
}

struct platform *platform_free(struct platform *p) {
        if (!p)
                return NULL;
        ocf_free(p->manufacturer);
        ocf_free(p->model);
        ocf_free(p->version);
        ocf_free(p->os);
        ocf_free(p->serial);
        ocf_free(p->support_url);
        return ocf_free(p);
}
