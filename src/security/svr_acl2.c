#include "security/svr_private.h"

#include <errno.h>
#include <string.h>

/*
 * /oic/sec/acl2: who may do what (security.md 1.6). An update is planned as a
 * whole list, as in svr_cred.c.
 */

enum property { ACLIST2, ROWNERUUID, _PROPERTY_N };

static const struct svr_property properties[_PROPERTY_N] = {
        [ACLIST2] = { "aclist2", SVR_IN(SVR_RFOTM) | SVR_IN(SVR_RFPRO) | SVR_IN(SVR_SRESET) },
        [ROWNERUUID] = { "rowneruuid", SVR_IN(SVR_RFOTM) | SVR_IN(SVR_SRESET) },
};

struct plan {
        struct uuid rowner;
        size_t n;
        uint64_t random;
        struct ace *aces[SVR_ACES_MAX];
        bool fresh[SVR_ACES_MAX];
};

static void plan_begin(struct plan *p, const struct svr *svr, const struct svr_call *call) {
        *p = (struct plan){ .rowner = svr->rowner[SVR_ACL2], .n = svr->n_aces, .random = call->random };
        memcpy(p->aces, svr->aces, sizeof(p->aces));
}

static void plan_free(struct plan *p) {
        for (size_t i = 0; i < p->n; i++)
                if (p->fresh[i])
                        ace_free(p->aces[i]);
        p->n = 0;
}

static bool plan_has(const struct plan *p, const struct ace *a) {
        for (size_t i = 0; i < p->n; i++)
                if (p->aces[i] == a)
                        return true;
        return false;
}

static void plan_commit(struct plan *p, struct svr *svr) {
        for (size_t i = 0; i < svr->n_aces; i++)
                if (!plan_has(p, svr->aces[i]))
                        ace_free(svr->aces[i]);
        memset(svr->aces, 0, sizeof(svr->aces));
        memcpy(svr->aces, p->aces, p->n * sizeof(*p->aces));
        svr->n_aces = p->n;
        svr->rowner[SVR_ACL2] = p->rowner;
        p->n = 0;
}

static int plan_replace(struct plan *p, size_t i, const struct ace *view) {
        struct ace *a;

        if (ace_new(&a, view))
                return -ENOMEM;
        if (p->fresh[i])
                ace_free(p->aces[i]);
        p->aces[i] = a;
        p->fresh[i] = true;
        return 0;
}

static int32_t free_id(struct plan *p) {
        for (;;) {
                int32_t id = svr_next_id(&p->random);
                size_t i = 0;

                while (i < p->n && p->aces[i]->id != id)
                        i++;
                if (i == p->n)
                        return id;
        }
}

static int plan_add(struct plan *p, const struct ace *view, struct svr_result *ret) {
        struct ace with_id = *view;

        if (p->n == SVR_ACES_MAX)
                return svr_refuse(ret, FAULT_BUSY, "there are too many entries"), -1;
        if (with_id.id == ACE_ID_NONE)
                with_id.id = free_id(p);
        if (ace_new(&p->aces[p->n], &with_id))
                return -ENOMEM;
        p->fresh[p->n++] = true;
        return 0;
}

/* The resources that are new go behind those that are there. */
static int plan_merge(struct plan *p, size_t i, const struct ace *view, struct svr_result *ret) {
        struct ace_resource resources[ACE_RESOURCES_MAX];
        struct ace merged = *p->aces[i];

        memcpy(resources, merged.resources, merged.n_resources * sizeof(*resources));
        merged.resources = resources;
        for (size_t k = 0; k < view->n_resources; k++) {
                if (ace_has_resource(&merged, &view->resources[k]))
                        continue;
                if (merged.n_resources == ACE_RESOURCES_MAX)
                        return svr_refuse(ret, FAULT_BUSY, "too many resources in an entry"), -1;
                resources[merged.n_resources++] = view->resources[k];
        }
        return merged.n_resources == p->aces[i]->n_resources ? 0 : plan_replace(p, i, &merged);
}

static int put_one(struct plan *p, struct span item, struct svr_result *ret) {
        struct ace_arrays arrays;
        struct ace view;
        struct span pairs;
        const char *problem;
        uint64_t n;

        if (rep_map_begin(item, &pairs, &n) && !n)
                return 0;
        problem = ace_parse(&view, item, &arrays);
        if (problem)
                return svr_refuse(ret, FAULT_BAD_REPRESENTATION, problem), -1;
        for (size_t i = 0; i < p->n; i++) {
                if (view.id != ACE_ID_NONE && p->aces[i]->id == view.id)
                        return plan_replace(p, i, &view);
                if (view.id == ACE_ID_NONE && ace_can_be_merged(p->aces[i], &view))
                        return plan_merge(p, i, &view, ret);
        }
        return plan_add(p, &view, ret);
}

static int plan_update(struct plan *p, const struct svr *svr, const struct svr_call *call,
                       struct svr_result *ret) {
        struct svr_walk walk = { .table = properties, .n_table = _PROPERTY_N };
        struct span value, list = SPAN_NULL, item;
        uint64_t n;
        int i, r;

        while ((r = svr_walk(&walk, svr, call, &i, &value, ret)) > 0)
                if (i == ACLIST2)
                        list = value;
                else if (!svr_as_uuid(value, &p->rowner))
                        return svr_refuse(ret, FAULT_BAD_REPRESENTATION, "rowneruuid is no UUID"), -1;
        if (r < 0 || !list.data)
                return r;
        if (!svr_array_begin(list, &list, &n)) /* plgd sends null */
                return svr_refuse(ret, FAULT_BAD_REPRESENTATION, "aclist2 is no list"), -1;
        while (!r && n-- && rep_skip(&list, &item))
                r = put_one(p, item, ret);
        return r;
}

static int check_plan(const struct plan *p, const struct svr *svr, struct svr_result *ret) {
        size_t n_bytes = 0;

        if (!uuid_equal(&p->rowner, &svr->rowner[SVR_ACL2]) &&
            !svr_may_own(svr, svr->creds, svr->n_creds, &p->rowner))
                return svr_refuse(ret, FAULT_FORBIDDEN, SVR_NO_SUCH_OWNER), -1;
        for (size_t i = 0; i < p->n; i++)
                n_bytes += ace_size(p->aces[i]);
        if (n_bytes > SVR_ACE_BYTES_MAX)
                return svr_refuse(ret, FAULT_BUSY, "the entries take too much room"), -1;
        return 0;
}

static int update(struct svr *svr, const struct svr_call *call, struct svr_result *ret) {
        struct plan p;
        int r;

        plan_begin(&p, svr, call);
        r = plan_update(&p, svr, call, ret);
        if (!r)
                r = check_plan(&p, svr, ret);
        if (r) {
                plan_free(&p);
                return r == -1 ? 0 : r;
        }
        plan_commit(&p, svr);
        return svr_done(ret, COAP_CHANGED, SVR_BIT(SVR_ACL2), SVR_EFFECT_ACCESS);
}

static void remove_at(struct svr *svr, size_t i) {
        ace_free(svr->aces[i]);
        svr->n_aces--;
        memmove(&svr->aces[i], &svr->aces[i + 1], (svr->n_aces - i) * sizeof(*svr->aces));
        svr->aces[svr->n_aces] = NULL;
}

/* All of them may go: that is a step of every transfer of ownership. The owner has rights without an entry.
 */
static int delete (struct svr *svr, const struct svr_call *call, struct svr_result *ret) {
        uint64_t id = 0;
        bool has_id, found = false;

        if (!(properties[ACLIST2].writable & SVR_IN(svr->machine.state)))
                return svr_refuse(ret, FAULT_FORBIDDEN, "not to be written in this state of the device");
        if (!svr_query_id(call->request->query, "aceid", &has_id, &id))
                return svr_refuse(ret, FAULT_BAD_REQUEST, "aceid is no number");
        for (size_t i = svr->n_aces; i-- > 0;)
                if (!has_id || svr->aces[i]->id == (int64_t)id) {
                        remove_at(svr, i);
                        found = true;
                }
        if (has_id && !found)
                return svr_refuse(ret, FAULT_NOT_FOUND, "there is no entry with this aceid");
        return svr_done(ret, COAP_DELETED, SVR_BIT(SVR_ACL2), SVR_EFFECT_ACCESS);
}

static int retrieve(struct svr *svr, const struct svr_call *call, struct writer *out,
                    struct svr_result *ret) {
        uint64_t n;
        size_t begun = svr_begin(out, call, &n);

        rep_put_string(out, "aclist2");
        rep_put_array(out, svr->n_aces);
        for (size_t i = 0; i < svr->n_aces; i++)
                ace_put(out, svr->aces[i]);
        rep_put_string(out, "rowneruuid");
        svr_put_uuid(out, &svr->rowner[SVR_ACL2]);
        return svr_end(out, begun, n + 2, ret);
}

int svr_acl2_request(struct svr *svr, const struct svr_call *call, struct writer *out,
                     struct svr_result *ret) {
        switch (call->request->method) {
        case COAP_GET:
                return retrieve(svr, call, out, ret);
        case COAP_DELETE:
                return delete (svr, call, ret);
        }
        return update(svr, call, ret);
}
