#include "security/svr_private.h"

#include <errno.h>
#include <string.h>

/*
 * /oic/sec/cred: keys and certificates (security.md 1.5). An update is planned
 * as a whole list that takes the place of the old one at the end; until then
 * nothing of the old one is touched.
 */

enum property { CREDS, ROWNERUUID, _PROPERTY_N };

static const struct svr_property properties[_PROPERTY_N] = {
        [CREDS] = { "creds", SVR_IN(SVR_RFOTM) | SVR_IN(SVR_RFPRO) | SVR_IN(SVR_SRESET) },
        [ROWNERUUID] = { "rowneruuid", SVR_IN(SVR_RFOTM) | SVR_IN(SVR_SRESET) },
};

struct plan {
        struct uuid rowner;
        size_t n, n_taken; /* entries; replies */
        uint64_t random;
        struct cred *creds[SVR_CREDS_MAX];
        bool fresh[SVR_CREDS_MAX]; /* made for this plan */
};

static void plan_begin(struct plan *p, const struct svr *svr, const struct svr_call *call) {
        *p = (struct plan){ .rowner = svr->rowner[SVR_CRED], .n = svr->n_creds, .random = call->random };
        memcpy(p->creds, svr->creds, sizeof(p->creds));
}

static void plan_free(struct plan *p) {
        for (size_t i = 0; i < p->n; i++)
                if (p->fresh[i])
                        cred_free(p->creds[i]);
        p->n = 0;
}

static bool plan_has(const struct plan *p, const struct cred *c) {
        for (size_t i = 0; i < p->n; i++)
                if (p->creds[i] == c)
                        return true;
        return false;
}

static void plan_commit(struct plan *p, struct svr *svr) {
        for (size_t i = 0; i < svr->n_creds; i++)
                if (!plan_has(p, svr->creds[i]))
                        cred_free(svr->creds[i]);
        memset(svr->creds, 0, sizeof(svr->creds));
        memcpy(svr->creds, p->creds, p->n * sizeof(*p->creds));
        svr->n_creds = p->n;
        svr->rowner[SVR_CRED] = p->rowner;
        p->n = 0;
}

static void plan_remove(struct plan *p, size_t i) {
        if (p->fresh[i])
                cred_free(p->creds[i]);
        p->n--;
        memmove(&p->creds[i], &p->creds[i + 1], (p->n - i) * sizeof(*p->creds));
        memmove(&p->fresh[i], &p->fresh[i + 1], (p->n - i) * sizeof(*p->fresh));
        p->creds[p->n] = NULL;
        p->fresh[p->n] = false;
}

/* With an id: in the place of the entry that has it. Without: a new one, unless it says nothing new. */
static int plan_put(struct plan *p, const struct cred *view, struct svr_result *ret) {
        struct cred with_id = *view;

        for (size_t i = 0; i < p->n; i++) {
                if (view->id == CRED_ID_NONE && cred_says_the_same(p->creds[i], view))
                        return 0;
                if (view->id != CRED_ID_NONE && p->creds[i]->id == view->id) {
                        if (p->creds[i]->usage == CRED_MFGCERT)
                                return svr_refuse(ret, FAULT_FORBIDDEN,
                                                  "the manufacturer's certificate is not for peers to write"),
                                       -1;
                        plan_remove(p, i);
                        break;
                }
        }
        if (p->n == SVR_CREDS_MAX)
                return svr_refuse(ret, FAULT_BUSY, "there are too many credentials"), -1;
        if (with_id.id == CRED_ID_NONE)
                with_id.id = svr_free_credid(p->creds, p->n, &p->random);
        if (cred_new(&p->creds[p->n], &with_id))
                return -ENOMEM;
        p->fresh[p->n++] = true;
        return 0;
}

/* What the need asks about a certificate; keys of authorities need no key of ours. */
static enum svr_need_kind need_of(const struct cred *c) {
        switch (c->usage) {
        case CRED_CERT:
                return SVR_NEED_IDENTITY;
        case CRED_ROLECERT:
                return SVR_NEED_ROLE_CHAIN;
        case CRED_TRUSTCA:
        case CRED_MFGTRUSTCA:
        case CRED_MFGCERT:
        case CRED_USAGE_NONE:
        case _CRED_USAGE_N:
                break;
        }
        return SVR_NEED_ANCHOR;
}

/* security.md 4.5: the tool sends a key of no bytes, and both sides compute it. */
static int derive(struct plan *p, const struct svr *svr, const struct svr_call *call, struct cred *view,
                  struct svr_result *ret) {
        const struct svr_reply *reply;
        struct svr_need need = {
                .kind = SVR_NEED_OWNER_PSK,
                .transfer = (enum svr_transfer)svr->doxm.oxmsel,
                .device = svr->doxm.deviceuuid,
                .owner = view->subject,
        };
        int r;

        if (!svr_over_onboarding(call) || svr->machine.state != SVR_RFOTM)
                return svr_refuse(ret, FAULT_FORBIDDEN, "a key is derived only while ownership is taken"), -1;
        if (!cred_is_about(view, &p->rowner))
                return svr_refuse(ret, FAULT_BAD_REPRESENTATION,
                                  "a key is derived for cred.rowneruuid alone"),
                       -1;
        r = svr_take_reply(call, &p->n_taken, &need, &reply, ret);
        if (r)
                return r;
        if (!reply->ok || (reply->bytes.n != 16 && reply->bytes.n != 32))
                return svr_refuse(ret, FAULT_FAILED, "the key could not be derived"), -1;
        view->secret = reply->bytes;
        view->derive = false;
        return 0;
}

static int check_certificate(struct plan *p, const struct svr *svr, const struct svr_call *call,
                             struct cred *view, struct svr_result *ret) {
        const struct svr_reply *reply;
        struct svr_need need = { .kind = need_of(view),
                                 .device = svr->doxm.deviceuuid,
                                 .pem = view->public_data };
        int r;

        for (size_t i = 0; i < p->n; i++) {
                const struct cred *known = p->creds[i];

                if (cred_says_the_same(known, view) && (view->id == CRED_ID_NONE || view->id == known->id)) {
                        view->own_key = known->own_key;
                        return 0; /* was looked at when it came first */
                }
        }
        r = svr_take_reply(call, &p->n_taken, &need, &reply, ret);
        if (r)
                return r;
        if (!reply->ok)
                return svr_refuse(ret, FAULT_BAD_REPRESENTATION,
                                  need.kind == SVR_NEED_ANCHOR
                                          ? "this is no certificate of an authority"
                                          : "the certificate is not for our key and our UUID"),
                       -1;
        view->own_key = need.kind != SVR_NEED_ANCHOR;
        return 0;
}

static int put_one(struct plan *p, const struct svr *svr, const struct svr_call *call, struct span item,
                   struct svr_result *ret) {
        uint8_t scratch[CRED_SCRATCH_MAX];
        struct span pairs;
        struct cred view;
        const char *problem;
        uint64_t n;
        int r = 0;

        if (rep_map_begin(item, &pairs, &n) && !n)
                return 0; /* the reference passes over empty entries */
        problem = cred_parse(&view, item, CRED_FROM_PEER, scratch);
        if (problem)
                return svr_refuse(ret, FAULT_BAD_REPRESENTATION, problem), -1;
        if (view.derive)
                r = derive(p, svr, call, &view, ret);
        else if (view.type == CRED_CERTIFICATE)
                r = check_certificate(p, svr, call, &view, ret);
        if (!r)
                r = plan_put(p, &view, ret);
        secret_wipe(scratch, sizeof(scratch));
        return r;
}

/* -1: refused, *ret says why. */
static int plan_update(struct plan *p, const struct svr *svr, const struct svr_call *call,
                       struct svr_result *ret) {
        struct svr_walk walk = { .table = properties, .n_table = _PROPERTY_N };
        struct span value, creds = SPAN_NULL, item;
        uint64_t n;
        int i, r;

        while ((r = svr_walk(&walk, svr, call, &i, &value, ret)) > 0)
                if (i == CREDS)
                        creds = value;
                else if (!svr_as_uuid(value, &p->rowner))
                        return svr_refuse(ret, FAULT_BAD_REPRESENTATION, "rowneruuid is no UUID"), -1;
        if (r < 0 || !creds.data)
                return r;
        if (!svr_array_begin(creds, &creds, &n))
                return svr_refuse(ret, FAULT_BAD_REPRESENTATION, "creds is no list"), -1;
        while (!r && n-- && rep_skip(&creds, &item))
                r = put_one(p, svr, call, item, ret);
        return r;
}

static int check_plan(const struct plan *p, const struct svr *svr, struct svr_result *ret) {
        size_t n_bytes = 0;

        if (!uuid_equal(&p->rowner, &svr->rowner[SVR_CRED]) && !svr_may_own(svr, p->creds, p->n, &p->rowner))
                return svr_refuse(ret, FAULT_FORBIDDEN, SVR_NO_SUCH_OWNER), -1;
        for (size_t i = 0; i < p->n; i++)
                n_bytes += cred_size(p->creds[i]);
        if (n_bytes > SVR_CRED_BYTES_MAX)
                return svr_refuse(ret, FAULT_BUSY, "the credentials take too much room"), -1;
        if (svr->machine.state != SVR_RFOTM && !svr_rowners_stay(svr, p->creds, p->n))
                return svr_refuse(
                               ret, FAULT_FORBIDDEN,
                               "this is the last credential of a resource owner, who could never come back"),
                       -1;
        return 0;
}

static int finish(struct plan *p, struct svr *svr, uint8_t code, int r, struct svr_result *ret) {
        if (!r)
                r = check_plan(p, svr, ret);
        if (r) {
                plan_free(p);
                return r == -1 ? 0 : r;
        }
        plan_commit(p, svr);
        return svr_done(ret, code, SVR_BIT(SVR_CRED), SVR_EFFECT_CREDS | SVR_EFFECT_ACCESS);
}

static int update(struct svr *svr, const struct svr_call *call, struct svr_result *ret) {
        struct plan p;

        plan_begin(&p, svr, call);
        return finish(&p, svr, COAP_CHANGED, plan_update(&p, svr, call, ret), ret);
}

static int delete (struct svr *svr, const struct svr_call *call, struct svr_result *ret) {
        struct plan p;
        uint64_t id = 0;
        bool has_id, found = false;

        if (!(properties[CREDS].writable & SVR_IN(svr->machine.state)))
                return svr_refuse(ret, FAULT_FORBIDDEN, "not to be written in this state of the device");
        if (!svr_query_id(call->request->query, "credid", &has_id, &id))
                return svr_refuse(ret, FAULT_BAD_REQUEST, "credid is no number");
        plan_begin(&p, svr, call);
        for (size_t i = p.n; i-- > 0;)
                if (!has_id || p.creds[i]->id == (int64_t)id) {
                        plan_remove(&p, i);
                        found = true;
                }
        if (has_id && !found)
                return svr_refuse(ret, FAULT_NOT_FOUND, "there is no credential with this credid");
        return finish(&p, svr, COAP_DELETED, 0, ret);
}

static int retrieve(struct svr *svr, const struct svr_call *call, struct writer *out,
                    struct svr_result *ret) {
        uint64_t n;
        size_t begun = svr_begin(out, call, &n);

        rep_put_string(out, "creds");
        rep_put_array(out, svr->n_creds);
        for (size_t i = 0; i < svr->n_creds; i++)
                cred_put(out, svr->creds[i], CRED_FROM_PEER);
        rep_put_string(out, "rowneruuid");
        svr_put_uuid(out, &svr->rowner[SVR_CRED]);
        return svr_end(out, begun, n + 2, ret);
}

int svr_cred_request(struct svr *svr, const struct svr_call *call, struct writer *out,
                     struct svr_result *ret) {
        switch (call->request->method) {
        case COAP_GET:
                return retrieve(svr, call, out, ret);
        case COAP_DELETE:
                return delete (svr, call, ret);
        }
        return update(svr, call, ret);
}
