#include "daemon/verdict.h"

struct access_verdict verdict_on(const struct resource *r, const struct svr *svr, bool is_sealed,
                                 const struct verdict_asker *asker) {
        struct svr_snapshot snapshot;

        if (svr)
                snapshot = svr_snapshot(svr);
        return access_decide(&(struct access_question){
                .owned = is_sealed && r->mode != RESOURCE_CORE,
                .allow_insecure = r->device->model->allow_insecure,
                .subject = asker->subject,
                .method = asker->method,
                .resource_is_core = r->mode == RESOURCE_CORE,
                .resource_is_insecure = r->insecure,
                .snapshot = svr ? &snapshot : NULL,
                .session = asker->subject == ACCESS_AUTH_CRYPT ? asker->session : NULL,
                .href = span_of_string(r->href),
                .resource = r->mode == RESOURCE_SECURE ? ACCESS_DCR : ACCESS_VERTICAL,
                .resource_is_discoverable = r->discoverable,
                .resource_has_secure_endpoint = resource_has_secure_endpoint(r),
                .resource_has_plain_endpoint = resource_has_plain_endpoint(r),
                .creates = asker->creates,
                .wall_s = asker->wall_s,
        });
}
