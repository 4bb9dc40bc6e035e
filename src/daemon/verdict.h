/*
 * May they? The question of security/access.h, put together from a resource of
 * the model and the secure resources of its device.
 */
#ifndef OCF_DAEMON_VERDICT_H
#define OCF_DAEMON_VERDICT_H

#include "model/model.h"
#include "security/access.h"

struct verdict_asker {
        enum access_subject subject;
        const struct svr_session *session; /* of ACCESS_AUTH_CRYPT */
        uint8_t method;                    /* enum coap_method */
        bool creates;                      /* if=oic.if.create */
        int64_t wall_s;                    /* seconds since 1970; negative: the clock is not trusted */
};

/* svr NULL: nothing is secure (is_sealed false), or the device is sealed, which is found and no more. */
struct access_verdict verdict_on(const struct resource *r, const struct svr *svr, bool is_sealed,
                                 const struct verdict_asker *asker);

#endif
