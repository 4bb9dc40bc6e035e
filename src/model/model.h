/*
 * The model: logical devices, the resources on them, and the apps that
 * registered those.
 *
 * Pure code. Time is an argument; nobody is called back but handlers. What
 * changed is popped with model_event(), so the daemon tells observers and the
 * bus when it is ready to; an object that left stays readable until then.
 */
#ifndef OCF_MODEL_MODEL_H
#define OCF_MODEL_MODEL_H

#include "base/quota.h"
#include "model/answer_cache.h"
#include "model/call.h"

#define MODEL_HREF_MAX  256 /* core.md 5.1 */
#define MODEL_TYPE_MAX  64
#define MODEL_NAME_MAX  64
#define MODEL_TYPES_MAX 32
#define MODEL_REP_MAX   (64 * 1024) /* of one published value, bytes of normal form */

struct platform;      /* what /oic/p says: core_resources.c */
struct core_resource; /* what is particular to one: core_resources.c */

enum { MODEL_QUOTA_APPS, MODEL_QUOTA_RESOURCES, MODEL_QUOTA_BYTES, _MODEL_QUOTA_N };

struct model {
        struct device **devices;
        size_t n_devices;
        struct list apps;
        struct list dirty_devices, dirty_apps, dirty_resources; /* those with something to tell */
        struct quota quota;  /* by uid: apps, resources, bytes of values and names */
        uint64_t n_numbers;  /* the last number given out; never used twice */
        uint64_t generation; /* of all that links say: changes when one comes, goes or looks different */
        uint64_t etag;       /* the last ETag given out: strictly increasing over the model */
        struct resource **index,
                **numbers; /* hashes of (device, href) and of numbers, of size index_mask + 1 */
        size_t index_mask, n_resources;
        struct list expected; /* struct expected_href: hrefs of the last run, in the order of their time */
        struct resource *told_resource; /* removed, and told: freed by the next model_event() */
        struct app *told_app;
        struct platform *platform;
        struct handler gatherer; /* what answers for /oic/res where apps must be asked */
        struct list gathers;
        size_t n_gathers;
        struct answer_cache answers; /* about many resources, put together before */
        uint8_t *scratch;            /* where answers are put together; grows to what was needed */
        size_t n_scratch;
        bool allow_insecure; /* [Security] AllowInsecure= */
        /* May the one who asks for many values at once have this one, too? NULL: if it may be had in clear.
         */
        bool (*may_read)(void *context, const struct ocf_request *request, const struct resource *r);
        void *may_read_context;
};

struct expected_href {
        struct list link;
        uint16_t device;
        uint64_t until_ms;
        char *href;
};

/* ---- devices ---- */

struct device_endpoint {
        uint8_t ip[16]; /* IPv4 as ::ffff:a.b.c.d */
        uint16_t port;
        uint32_t interface;
        bool secure, tcp; /* coap, coaps, coap+tcp, coaps+tcp */
};

struct device_identity {
        struct uuid di, piid;
        const char *name;               /* n, at most 64 bytes */
        const char *type;               /* oic.d.light; oic.wk.d is added */
        const char *spec_version;       /* icv, ocf.2.2.5 */
        const char *data_model_version; /* dmv */
};

/* What of a device's security its links depend on. All zero: it has none. */
struct device_security {
        bool secure;        /* served over secure channels: secure endpoints and resources are announced */
        bool owned;         /* doxm.owned */
        bool transfer;      /* somebody takes ownership right now, over a secure channel */
        struct uuid domain; /* sdi.uuid; nil: it is in none */
        const char *domain_name;
        bool domain_private; /* sdi.priv: neither told nor looked for */
};

struct platform_identity {
        struct uuid pi;
        const char *manufacturer; /* mnmn */
        const char *model;        /* mnmo; NULL: not said, as all below */
        const char *version;      /* mnpv */
        const char *os;           /* mnos */
        const char *serial;       /* mnsel */
        const char *support_url;  /* mnsl */
};

struct device {
        struct model *model;
        uint16_t index;
        struct uuid di, piid;
        char *name, *type, *spec_version, *data_model_version;
        struct list resources; /* in order of registration, core ones first */
        struct device_endpoint *endpoints;
        size_t n_endpoints;
        bool has_plain_endpoint, has_secure_endpoint;
        struct device_security security;
        char *domain_name; /* what security.domain_name points to */
        unsigned news;     /* MODEL_NEWS_* */
        struct list dirty_link;
};

/* ---- resources ---- */

enum resource_mode {
        RESOURCE_CORE,      /* a handler in C of ours: /oic/res, /oic/d, /oic/p */
        RESOURCE_PUBLISHED, /* the app publishes values, we answer */
        RESOURCE_HANDLED,   /* the app answers each request */
        RESOURCE_SECURE,    /* the device's security answers: /oic/sec/doxm, /oic/mnt */
};

/* When a secure resource may be had over plain CoAP: the first steps of a transfer are in clear. */
enum secure_clear { CLEAR_NEVER, CLEAR_WHILE_UNOWNED };

struct resource {
        struct list device_link, app_link, dirty_link;
        struct resource *index_next, *number_next;
        struct device *device;
        struct app *app; /* NULL for core resources, and once removed */
        struct handler *handler;
        uint64_t number; /* its name on the bus, and what observers hang on */
        enum resource_mode mode;
        const struct core_resource *core; /* of RESOURCE_CORE */
        enum secure_clear clear;          /* of RESOURCE_SECURE */
        unsigned secure_id;               /* of RESOURCE_SECURE: what its spec said */
        char *href;
        char **types;
        size_t n_types;
        char *name;          /* n; NULL: none */
        uint32_t interfaces; /* 1 << enum interface */
        enum interface default_interface;
        bool discoverable, observable, insecure;
        bool removed;
        bool away;    /* its app's connection is gone, and it lingers */
        uint8_t *rep; /* of PUBLISHED: a map in normal form */
        size_t n_rep;
        uint8_t *baseline; /* prepared: rep with the common properties in front */
        size_t n_baseline;
        uint64_t etag;
        unsigned news;
        struct quota_charge charge, charge_bytes;
};

/* What an app says when it registers. Strings are copied. */
struct resource_spec {
        const char *href;
        const char *const *types;
        size_t n_types;
        const char *const *interfaces; /* the first is the default; oic.if.baseline is added */
        size_t n_interfaces;
        const char *name;
        bool discoverable, observable, insecure;
        struct span value;       /* normal form, a map; data NULL: none yet */
        struct handler *handler; /* whose vtable->request says whether it is handled or published */
};

/* What the daemon's security says of a resource that it answers for. Strings are copied. */
struct secure_resource_spec {
        const char *href, *type;
        bool observable;
        enum secure_clear clear;
        unsigned id; /* for who answers: which of them it is */
};

/* ---- apps ---- */

struct app {
        struct list link, dirty_link;
        struct model *model;
        uint64_t number;
        char *name;  /* what it calls itself; its bus name where it does not */
        char *owner; /* unique bus name; NULL while lingering */
        uint32_t uid;
        uint32_t pid; /* 0: unknown */
        struct list resources;
        uint64_t linger_ms; /* 0: gone when its connection is */
        uint64_t gone_ms;   /* when what is away is given up; 0: nothing is */
        unsigned news;
        struct quota_charge charge;
};

struct app_spec {
        const char *owner; /* unique bus name */
        const char *name;  /* NULL: the owner */
        uint32_t uid, pid;
        uint64_t linger_ms; /* at most MODEL_LINGER_MAX_MS */
};

#define MODEL_LINGER_MAX_MS (10u * 60 * 1000)

/* What was wrong, for people: the fault and one sentence that names the thing. */
struct model_refusal {
        enum fault fault;
        char text[256];
};

int model_new(struct model **ret, const struct platform_identity *platform,
              const uint64_t quota_limits[_MODEL_QUOTA_N]);
struct model *model_free(struct model *m);

int model_add_device(struct model *m, const struct device_identity *identity, struct device **ret);

/* The device's addresses, all of them, whenever they change. */
int device_set_endpoints(struct device *d, const struct device_endpoint *endpoints, size_t n);

/* Whenever one of these changes. domain_name is copied. Return: 0; -ENOMEM, and nothing has changed. */
int device_set_security(struct device *d, const struct device_security *security);

/* It has another deviceuuid from now on: /oic/d, anchors, and who di= means. Return: 0. */
int device_set_id(struct device *d, const struct uuid *di);

/*
 * A resource that the security of the device answers for: discoverable, with
 * oic.if.rw and oic.if.baseline. It has no handler: model_answer() says
 * MODEL_HANDLED, and who asks looks at its mode first. They stand in /oic/res
 * before the apps' and in the order of the reference, whichever is added first.
 * Return: 0; -EEXIST; -ENOMEM.
 */
int model_add_secure_resource(struct model *m, struct device *d, const struct secure_resource_spec *spec,
                              struct resource **ret);

/* Does /oic/res list it with such endpoints (security.md 3.4: the wildcards "+" and "-")? */
bool resource_has_secure_endpoint(const struct resource *r);
bool resource_has_plain_endpoint(const struct resource *r);

enum { MODEL_E_REFUSED = 1 };

/*
 * Registers resources as a whole or not at all. An app that is already there
 * (same owner) gets them added; one that lingers (same uid and name) is taken
 * over, with the observers of the hrefs that it registers again. device: index.
 * Return: 0 and *ret; MODEL_E_REFUSED and *refusal; -ENOMEM. Handlers gain a
 * reference only on success.
 */
int model_register(struct model *m, uint64_t now_ms, uint16_t device, const struct app_spec *app,
                   const struct resource_spec *specs, size_t n_specs, struct app **ret,
                   struct model_refusal *refusal);

struct app *model_app_by_owner(const struct model *m, const char *owner);
struct app *model_app_by_number(const struct model *m, uint64_t number);
struct resource *model_resource_by_number(const struct model *m, uint64_t number);
struct resource *model_resource_find(const struct model *m, uint16_t device, struct span href);

/* Removes this resource of an app, or all of them and the app with resource NULL. */
void model_unregister(struct model *m, struct app *app, struct resource *resource);

/* Its connection is gone: it lingers or goes. */
void model_app_vanished(struct model *m, struct app *app, uint64_t now_ms);

/* A new value of a published resource, laid over the old one (replace: instead of it). Return: 0;
 * MODEL_E_REFUSED; -ENOMEM. */
int resource_publish(struct resource *r, struct span rep, bool replace, struct model_refusal *refusal);

/*
 * A map that an app answered on oic.if.baseline, with the common properties (n, rt, if) in front where it
 * left them out. Good until the model answers again. What is no map comes back as it is.
 */
struct span resource_with_common(struct resource *r, struct span rep);

/* What a handled or a secure resource would answer has changed. */
void resource_changed(struct resource *r);

/* hrefs of the last run: requests for them get 5.03 instead of 4.04 until then: a restart of ours looks like
 * a pause. */
int model_expect(struct model *m, uint16_t device, struct span href, uint64_t until_ms);
bool model_is_expected(const struct model *m, uint16_t device, struct span href, uint64_t now_ms);

uint64_t model_deadline(const struct model *m);      /* when model_expire() has something to do */
void model_expire(struct model *m, uint64_t now_ms); /* lingering apps, expected hrefs */

/* ---- what happened ---- */

enum { /* bits of news: several things may have happened since the last look */
       MODEL_NEWS_ADDED = 1,
       MODEL_NEWS_REMOVED = 2,
       MODEL_NEWS_VALUE = 4,      /* resource: its representation changed */
       MODEL_NEWS_PROPERTIES = 8, /* what the bus shows of it changed: owner, endpoints, availability */
};

struct model_event {
        unsigned news;
        struct device *device; /* exactly one of the three */
        struct app *app;
        struct resource *resource;
};

/*
 * Takes the oldest piece of news; false when there is none. A removed object is
 * freed by the next call of model_event(). One that came and went unseen makes no event.
 */
bool model_event(struct model *m, struct model_event *ret);

static inline bool resource_is_available(const struct resource *r) {
        return !r->away;
}

#endif
