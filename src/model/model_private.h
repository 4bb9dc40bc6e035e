/*
 * What the files of the model share among themselves.
 */
#ifndef OCF_MODEL_MODEL_PRIVATE_H
#define OCF_MODEL_MODEL_PRIVATE_H

#include "model/model.h"
#include "model/route.h"

/* model.c */
void model_index_add(struct model *m, struct resource *r);
void model_index_remove(struct model *m, struct resource *r);
bool model_index_reserve(struct model *m, size_t n_more); /* so that adding cannot fail */
uint64_t model_next_etag(struct model *m);
uint8_t *model_scratch(struct model *m, size_t n); /* NULL: no memory */
void device_news(struct device *d, unsigned news);
void app_news(struct app *a, unsigned news);
void resource_news(struct resource *r, unsigned news);

/* device.c */
struct device *device_free(struct device *d);
void model_links_changed(struct device *d); /* what its /oic/res says is another thing now */

/* resource.c */
#define RESOURCE_UID_NONE UINT32_MAX /* of core resources, which nobody is charged for */

int resource_new(
        struct resource **ret, struct model *m, struct device *d, const struct resource_spec *spec,
        uint32_t uid,
        struct model_refusal *refusal); /* 0, MODEL_E_REFUSED, -ENOMEM; linked to nothing but its handler */
void resource_link(struct resource *r, struct app *app);
void resource_unlink(struct resource *r); /* from device, app and index; its handler is released */
struct resource *resource_free(struct resource *r);
int resource_prepare(struct resource *r); /* writes the baseline answer anew: 0, -ENOMEM */
void handler_reference(struct handler *h);
void handler_unreference(
        struct handler *h); /* of a registration that was refused: the handler stays the caller's */
void handler_release(struct handler *h);
size_t resource_common_pairs(const struct resource *r); /* of the common properties: n, rt, if */
size_t resource_size_hint(
        const struct resource *r); /* of its value, where that takes several blocks; else 0 */
void resource_put_common(const struct resource *r, struct writer *w);
void resource_put_types(const struct resource *r, struct writer *w); /* "rt": [...] */
void resource_put_interfaces(const struct resource *r,
                             struct writer *w); /* "if": [...], the default one first */

/* app.c */
struct app *app_free(struct app *a);
void app_expire(struct app *a, uint64_t now_ms); /* gives up what is away too long */

/* validate.c: what an app may register; refusals name the thing */
bool validate_spec(const struct resource_spec *spec, struct model_refusal *refusal);
void refuse(struct model_refusal *refusal, enum fault fault, const char *format, ...) OCF_PRINTF(3, 4);

/* route.c */
bool resource_can_give(const struct resource *r, int accept); /* a content format */
uint64_t resource_etag(const struct resource *r, enum interface interface);
void response_validate(struct ocf_response *response,
                       const struct ocf_request *request); /* 2.03 where it has the ETag that is asked for */

/* core_resources.c */
int core_resources_add(struct device *d);
int platform_new(struct platform **ret, const struct platform_identity *identity);
struct platform *platform_free(struct platform *p);
enum model_answer core_resource_answer(struct model *m, const struct ocf_request *request,
                                       const struct route *route, struct ocf_response *response);

bool core_resource_can_give(const struct resource *r, int accept);
bool core_resource_has_views(const struct resource *r); /* else if= in its query is a filter, no interface */
bool core_resource_put(const struct resource *r, enum interface interface,
                       struct writer *w); /* its map of properties; false when it is no such thing */

/* whole_answer.c */
/* An answer about many resources, from the cache or made by make() and kept there. */
struct whole_answer {
        enum answer_kind kind;
        uint64_t stamp;          /* the state of the model that it is made of */
        const char *const *keys; /* those of the query that select something, ended by NULL; NULL: all do */
        bool is_fleeting;        /* depends on what no key has: it is made each time */
        /* Writes it and says how many things match; overflow: it is called again with more room. */
        uint64_t (*put)(struct writer *w, struct model *m, const struct ocf_request *request,
                        const struct route *route);
};
enum model_answer whole_answer_give(struct model *m, const struct ocf_request *request,
                                    const struct route *route, const struct whole_answer *about,
                                    struct ocf_response *response);

/* discovery.c */
bool discovery_shows(const struct model *m, const struct ocf_request *request, const struct resource *r);
/* ... and can be had the way that this question came. */
bool discovery_reaches(const struct model *m, const struct ocf_request *request, const struct resource *r);
bool discovery_is_plain(const struct resource *r); /* may be had over plain CoAP */
bool discovery_lists(const struct model *m, const struct ocf_request *request, const struct resource *r);
enum model_answer discovery_answer(struct model *m, const struct ocf_request *request,
                                   const struct route *route, struct ocf_response *response);

/* well_known.c */
enum model_answer well_known_answer(struct model *m, const struct ocf_request *request,
                                    const struct route *route, struct ocf_response *response);

/* batch.c: oic.if.b of /oic/res. reps of handled resources come from whoever asked for them. */
bool batch_includes(const struct model *m, const struct ocf_request *request,
                    const struct resource *r); /* of what /oic/res lists */
bool batch_must_ask(const struct resource *r); /* its app knows what it says now */
enum model_answer batch_answer(struct model *m, const struct ocf_request *request, const struct route *route,
                               struct ocf_response *response);
typedef struct span batch_rep_of(void *context, const struct resource *);
uint64_t batch_put(struct writer *w, struct model *m, const struct ocf_request *request,
                   const struct device *d, batch_rep_of *rep_of, void *context);

/* gather.c: the batch when apps must be asked for a part of it */
extern const struct handler_vtable gather_vtable; /* of /oic/res */
void gather_free_all(struct model *m);

#endif
