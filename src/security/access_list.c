#include "protocol/coap_code.h"
#include "security/access.h"

#include <string.h>

/*
 * What the entries say (security.md 3.3 to 3.7): the first one that fits the
 * subject, the resource, the time and the method grants it. If none does, the
 * one that came nearest tells why.
 */

static uint8_t permission_of(const struct access_question *q) {
        switch (q->method) {
        case COAP_GET:
        case COAP_FETCH:
                return ACE_RETRIEVE;
        case COAP_POST:
        case COAP_PUT:
                return q->creates ? ACE_CREATE : ACE_UPDATE;
        case COAP_PATCH:
        case COAP_IPATCH:
                return ACE_UPDATE;
        case COAP_DELETE:
                return ACE_DELETE;
        }
        return 0;
}

static bool role_fits(const struct ace *a, struct span role, struct span authority) {
        return span_equal(a->role, role) && (!a->authority.data || span_equal(a->authority, authority));
}

/* A role ends with its certificate, as far as the time is known. */
static bool role_holds(const struct svr_role *role, int64_t wall_s) {
        return wall_s < 0 || !role->until_s || wall_s <= role->until_s;
}

/* Sessions with certificates have the roles that they proved, those with a key the roles of that key. */
static bool has_role(const struct access_question *q, const struct ace *a) {
        const struct svr_session *session = q->session;
        const struct svr_snapshot *s = q->snapshot;

        for (size_t i = 0; i < session->n_roles; i++)
                if (role_holds(&session->roles[i], q->wall_s) &&
                    role_fits(a, span_of_string(session->roles[i].role),
                              span_of_string(session->roles[i].authority)))
                        return true;
        for (size_t i = 0; !session->by_certificate && i < s->n_creds; i++)
                if (s->creds[i]->type == CRED_PSK && s->creds[i]->role.data &&
                    cred_is_about(s->creds[i], &session->id) &&
                    role_fits(a, s->creds[i]->role, s->creds[i]->authority))
                        return true;
        return false;
}

bool access_has_owner_role(const struct access_question *q) {
        for (size_t i = 0; i < q->session->n_roles; i++)
                if (q->session->roles[i].is_owner && role_holds(&q->session->roles[i], q->wall_s))
                        return true;
        return false;
}

/* Connection types open nothing of the secure resources; anon-clear opens the rest for everybody. */
static bool subject_fits(const struct access_question *q, const struct ace *a, bool is_svr) {
        bool secure = q->subject == ACCESS_AUTH_CRYPT && q->session;

        switch (a->subject) {
        case ACE_UUID:
                return secure && !uuid_is_nil(&q->session->id) && uuid_equal(&a->uuid, &q->session->id);
        case ACE_ROLE:
                return secure && has_role(q, a);
        case ACE_AUTH_CRYPT:
                return secure && !is_svr;
        case ACE_ANON_CLEAR:
                return !is_svr;
        }
        return false;
}

/* Wildcards never reach what configures the device. */
static bool wildcard_fits(const struct access_question *q, char wildcard, bool is_svr) {
        if (is_svr || q->resource_is_core || q->resource == ACCESS_DCR)
                return false;
        if (wildcard == '*')
                return true;
        if (!q->resource_is_discoverable)
                return false;
        return wildcard == '+' ? q->resource_has_secure_endpoint : q->resource_has_plain_endpoint;
}

static bool resource_fits(const struct access_question *q, const struct ace *a, bool is_svr) {
        for (size_t i = 0; i < a->n_resources; i++) {
                const struct ace_resource *r = &a->resources[i];

                if ((!r->href.data || span_equal(r->href, q->href)) &&
                    (!r->wildcard || wildcard_fits(q, r->wildcard, is_svr)))
                        return true;
        }
        return false;
}

/* In the order of nearness: the later, the nearer. */
static enum access_reason judge(const struct access_question *q, const struct ace *a, bool is_svr) {
        if (!resource_fits(q, a, is_svr))
                return ACCESS_DENIED_NO_ENTRY;
        if (!subject_fits(q, a, is_svr))
                return ACCESS_DENIED_OTHER_SUBJECT;
        if (!(a->permission & permission_of(q)))
                return ACCESS_DENIED_NO_PERMISSION;
        if (!ace_is_valid_at(a, q->wall_s))
                return ACCESS_DENIED_NOT_NOW;
        return ACCESS_GRANTED_ENTRY;
}

static unsigned nearness(enum access_reason reason) {
        return reason == ACCESS_DENIED_NOT_NOW         ? 3
               : reason == ACCESS_DENIED_NO_PERMISSION ? 2
               : reason == ACCESS_DENIED_OTHER_SUBJECT ? 1
                                                       : 0;
}

struct access_verdict access_by_entries(const struct access_question *q, bool is_svr) {
        struct access_verdict v = { .reason = ACCESS_DENIED_NO_ENTRY, .aceid = ACE_ID_NONE };

        for (size_t i = 0; i < q->snapshot->n_aces; i++) {
                const struct ace *a = q->snapshot->aces[i];
                enum access_reason reason = judge(q, a, is_svr);

                if (reason == ACCESS_GRANTED_ENTRY)
                        return (struct access_verdict){ true, reason, a->id };
                if (nearness(reason) > nearness(v.reason))
                        v = (struct access_verdict){ false, reason, a->id };
        }
        return v;
}
