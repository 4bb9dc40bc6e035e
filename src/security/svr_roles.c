#include "base/memory.h"
#include "security/svr_private.h"

#include <errno.h>

/*
 * /oic/sec/roles: the roles that a peer asserts over its own session, by
 * certificates (security.md 1.9, 5.6). They live and die with the session.
 */

#define WRITABLE SVR_IN_OWNED

static int check_session(const struct svr *svr, const struct svr_call *call, struct svr_result *ret) {
        if (!call->session || uuid_is_nil(&call->session->id))
                return svr_refuse(ret, FAULT_FORBIDDEN,
                                  "roles belong to a session with a peer that is known"),
                       -1;
        if (call->request->method != COAP_GET && !(WRITABLE & SVR_IN(svr->machine.state)))
                return svr_refuse(ret, FAULT_FORBIDDEN, "not to be written in this state of the device"), -1;
        return 0;
}

static int retrieve(const struct svr_call *call, struct writer *out, struct svr_result *ret) {
        const struct svr_session *s = call->session;
        uint64_t n;
        size_t begun = svr_begin(out, call, &n);

        rep_put_string(out, "roles");
        rep_put_array(out, s->n_roles);
        for (size_t i = 0; i < s->n_roles; i++) {
                const struct cred view = {
                        .id = s->roles[i].credid,
                        .type = CRED_CERTIFICATE,
                        .usage = CRED_ROLECERT,
                        .subject = s->id,
                        .public_data = span_of(s->roles[i].pem, s->roles[i].n_pem),
                };

                cred_put(out, &view, CRED_FROM_STORE); /* without privatedata: there is none */
        }
        return svr_end(out, begun, n + 1, ret);
}

/* The usage may be left out, and where a certificate is from stands in itself. */
static const char *take_chain(struct span item, int32_t *ret_id, struct span *ret_pem) {
        struct span type, usage, public, data, text;
        int64_t v;
        uint64_t id;

        *ret_id = CRED_ID_NONE;
        if (!rep_map_find(item, "credtype", &type) || !rep_as_int64(type, &v) || v != CRED_CERTIFICATE)
                return "a role is asserted by a certificate: credtype 8";
        if (rep_map_find(item, "credusage", &usage) &&
            (!rep_as_text(usage, &text) || !span_equal_string(text, cred_usage_name(CRED_ROLECERT))))
                return "credusage is not oic.sec.cred.rolecert";
        if (rep_map_find(item, "credid", &usage)) {
                if (!svr_as_uint(usage, CRED_ID_MAX, &id))
                        return "credid is out of range";
                *ret_id = (int32_t)id;
        }
        if (!rep_map_find(item, "publicdata", &public) || !rep_map_find(public, "data", &data) ||
            !svr_as_text(data, CRED_PUBLIC_MAX, ret_pem) || !ret_pem->n)
                return "a role needs its certificate as publicdata, in PEM";
        return NULL;
}

static void role_deinit(struct svr_role *role) {
        role->role = ocf_free(role->role);
        role->authority = ocf_free(role->authority);
        role->pem = ocf_free(role->pem);
}

static bool has_nul(struct span s) {
        for (size_t i = 0; i < s.n; i++)
                if (!s.data[i])
                        return true;
        return false;
}

static int role_init(struct svr_role *ret, int32_t id, struct span pem, const struct svr_reply *reply) {
        struct svr_role role = {
                .credid = id,
                .role = ocf_duplicate_span_as_string(reply->role),
                .authority = ocf_duplicate_span_as_string(reply->authority),
                .pem = ocf_duplicate(pem),
                .n_pem = pem.n,
                .is_owner = reply->is_owner,
                .until_s = reply->until_s,
        };

        if (!role.role || !role.authority || !role.pem) {
                role_deinit(&role);
                return -ENOMEM;
        }
        *ret = role;
        return 0;
}

struct plan {
        size_t n, n_taken;
        struct svr_role roles[SVR_SESSION_ROLES_MAX];
};

static bool id_is_used(const struct svr_session *s, const struct plan *p, int32_t id) {
        for (size_t i = 0; i < s->n_roles; i++)
                if (s->roles[i].credid == id)
                        return true;
        for (size_t i = 0; i < p->n; i++)
                if (p->roles[i].credid == id)
                        return true;
        return false;
}

static bool is_asserted(const struct svr_session *s, const struct plan *p, struct span pem) {
        for (size_t i = 0; i < s->n_roles; i++)
                if (span_equal(span_of(s->roles[i].pem, s->roles[i].n_pem), pem))
                        return true;
        for (size_t i = 0; i < p->n; i++)
                if (span_equal(span_of(p->roles[i].pem, p->roles[i].n_pem), pem))
                        return true;
        return false;
}

static int put_one(struct plan *p, const struct svr *svr, const struct svr_call *call, struct span item,
                   uint64_t *random, struct svr_result *ret) {
        struct svr_need need = { .kind = SVR_NEED_PEER_ROLE,
                                 .device = svr->doxm.deviceuuid,
                                 .owner = svr->doxm.devowneruuid };
        const struct svr_reply *reply;
        const char *problem;
        int32_t id;
        int r;

        problem = take_chain(item, &id, &need.pem);
        if (problem)
                return svr_refuse(ret, FAULT_BAD_REPRESENTATION, problem), -1;
        if (is_asserted(call->session, p, need.pem))
                return 0;
        if (call->session->n_roles + p->n == SVR_SESSION_ROLES_MAX)
                return svr_refuse(ret, FAULT_BUSY, "there are too many roles in this session"), -1;
        r = svr_take_reply(call, &p->n_taken, &need, &reply, ret);
        if (r)
                return r;
        if (!reply->ok || !reply->role.n || has_nul(reply->role) || has_nul(reply->authority))
                return svr_refuse(ret, FAULT_BAD_REPRESENTATION, "the certificate does not prove a role"), -1;
        while (id == CRED_ID_NONE || id_is_used(call->session, p, id))
                id = svr_next_id(random);
        r = role_init(&p->roles[p->n], id, need.pem, reply);
        p->n += !r;
        return r;
}

static int update(const struct svr *svr, const struct svr_call *call, struct svr_result *ret) {
        struct svr_session *s = call->session;
        uint64_t random = call->random, n;
        struct plan p = { 0 };
        struct span roles, item;
        int r = 0;

        if (!s->by_certificate)
                return svr_refuse(ret, FAULT_FORBIDDEN,
                                  "roles are asserted over a session with certificates");
        if (!rep_map_find(call->request->payload, "roles", &roles) || !svr_array_begin(roles, &roles, &n))
                return svr_refuse(ret, FAULT_BAD_REPRESENTATION, "roles is no list");
        while (!r && n-- && rep_skip(&roles, &item))
                r = put_one(&p, svr, call, item, &random, ret);
        for (size_t i = 0; i < p.n; i++)
                if (r)
                        role_deinit(&p.roles[i]);
                else
                        s->roles[s->n_roles++] = p.roles[i];
        if (r)
                return r == -1 ? 0 : r;
        return svr_done(ret, COAP_CHANGED, 0, SVR_EFFECT_ACCESS);
}

static int delete (const struct svr_call *call, struct svr_result *ret) {
        struct svr_session *s = call->session;
        bool has_id, found = false;
        uint64_t id = 0;

        if (!svr_query_id(call->request->query, "credid", &has_id, &id))
                return svr_refuse(ret, FAULT_BAD_REQUEST, "credid is no number");
        for (size_t i = s->n_roles; i-- > 0;)
                if (!has_id || s->roles[i].credid == (int64_t)id) {
                        role_deinit(&s->roles[i]);
                        s->roles[i] = s->roles[--s->n_roles];
                        found = true;
                }
        if (has_id && !found)
                return svr_refuse(ret, FAULT_NOT_FOUND, "there is no role with this credid");
        return svr_done(ret, COAP_DELETED, 0, SVR_EFFECT_ACCESS);
}

int svr_roles_request(struct svr *svr, const struct svr_call *call, struct writer *out,
                      struct svr_result *ret) {
        if (check_session(svr, call, ret))
                return 0;
        switch (call->request->method) {
        case COAP_GET:
                return retrieve(call, out, ret);
        case COAP_DELETE:
                return delete (call, ret);
        }
        return update(svr, call, ret);
}
