#include "security/svr_private.h"

#include <string.h>

/*
 * A device that owns itself: what an onboarding tool is from its first moment
 * (services.md 1.7). Nobody can take it, and everybody may see that it is there.
 */

/* anon-clear may read what discovery needs. */
static int add_entry(struct svr *svr) {
        struct ace_resource resources[] = {
                { .href = SPAN_LITERAL("/oic/res") },
                { .href = SPAN_LITERAL("/oic/d") },
                { .href = SPAN_LITERAL("/oic/p") },
        };
        const struct ace view = { .id = 1,
                                  .subject = ACE_ANON_CLEAR,
                                  .permission = ACE_RETRIEVE,
                                  .n_resources = ARRAY_SIZE(resources),
                                  .resources = resources };
        int r = ace_new(&svr->aces[svr->n_aces], &view);

        if (!r)
                svr->n_aces++;
        return r;
}

int svr_own_itself(struct svr *svr, const struct uuid *id, const struct uuid *domain, struct span name) {
        svr_reset(svr, id);
        svr->doxm.oxmsel = SVR_NO_TRANSFER;
        svr->doxm.owned = true;
        svr->doxm.devowneruuid = *id;
        for (size_t i = 0; i < SVR_OWNED_N; i++)
                svr->rowner[i] = *id;
        svr->sdi.uuid = *domain;
        svr->sdi.n_name = name.n < SVR_NAME_MAX ? name.n : SVR_NAME_MAX;
        if (svr->sdi.n_name)
                memcpy(svr->sdi.name, name.data, svr->sdi.n_name);
        svr->sdi.priv = false;
        svr_machine_restore(&svr->machine, SVR_RFNOP, false);
        return add_entry(svr);
}
