#include "security/role_assertion.h"
#include "security/certificate.h"

static bool is_good(const struct svr *svr, const struct cred *c, int64_t now_s) {
        STACK_OF(X509) *chain = certificate_read(c->public_data);
        X509 *leaf = chain ? sk_X509_value(chain, 0) : NULL;
        struct uuid id;
        bool good = leaf && !certificate_check(leaf, CERTIFICATE_ROLE, now_s) &&
                    certificate_uuid(leaf, &id) && uuid_equal(&id, &svr->doxm.deviceuuid);

        certificate_free(chain);
        return good;
}

/* credids are in no order; the next one is the smallest that is above. */
static const struct cred *next(const struct svr *svr, int32_t after) {
        const struct cred *found = NULL;

        for (size_t i = 0; i < svr->n_creds; i++) {
                const struct cred *c = svr->creds[i];

                if (c->usage == CRED_ROLECERT && c->own_key && c->id > after && (!found || c->id < found->id))
                        found = c;
        }
        return found;
}

static void put(const struct svr *svr, const struct cred *c, struct writer *w) {
        char id[UUID_TEXT_MAX];

        rep_put_map(w, 1);
        rep_put_string(w, "roles");
        rep_put_array(w, 1);
        rep_put_map(w, 4);
        rep_put_string(w, "credtype");
        rep_put_uint(w, CRED_CERTIFICATE);
        rep_put_string(w, "subjectuuid");
        rep_put_string(w, uuid_format(&svr->doxm.deviceuuid, id));
        rep_put_string(w, "credusage");
        rep_put_string(w, cred_usage_name(CRED_ROLECERT));
        rep_put_string(w, "publicdata");
        rep_put_map(w, 2);
        rep_put_string(w, "encoding");
        rep_put_string(w, "oic.sec.encoding.pem");
        rep_put_string(w, "data");
        rep_put_text(w, c->public_data);
}

bool role_assertion_next(const struct svr *svr, int64_t now_s, int32_t *credid, struct writer *ret) {
        const struct cred *c;

        while ((c = next(svr, *credid))) {
                *credid = c->id;
                if (!is_good(svr, c, now_s))
                        continue;
                put(svr, c, ret);
                return !ret->overflow;
        }
        return false;
}
