#include "security/access.h"
#include "protocol/coap_code.h"

static struct access_verdict granted(enum access_reason reason) {
        return (struct access_verdict){ true, reason, ACE_ID_NONE };
}

static struct access_verdict denied(enum access_reason reason) {
        return (struct access_verdict){ false, reason, ACE_ID_NONE };
}

/* The design, section 3, "Plain access": an app's resource is opened by its registration and by the
 * administrator. */
static bool is_closed_to_plain(const struct access_question *q, struct access_verdict *ret) {
        if (!q->resource_is_insecure)
                *ret = denied(ACCESS_DENIED_NOT_INSECURE);
        else if (!q->allow_insecure)
                *ret = denied(ACCESS_DENIED_NOT_ALLOWED);
        else
                return false;
        return true;
}

static struct access_verdict decide_unowned_plain(const struct access_question *q) {
        struct access_verdict closed;

        if (q->resource_is_core)
                return q->method == COAP_GET ? granted(ACCESS_GRANTED_DISCOVERY)
                                             : denied(ACCESS_DENIED_CORE_IS_READ_ONLY);
        if (is_closed_to_plain(q, &closed))
                return closed;
        return granted(ACCESS_GRANTED_INSECURE);
}

/* What there is to know about the resource that is asked for. */
struct target {
        bool is_svr, is_dcr;
        enum svr_id svr;
};

static struct target target_of(const struct access_question *q) {
        struct target t = { .svr = _SVR_N };

        t.is_svr = svr_by_href(&t.svr, q->href);
        t.is_dcr = t.is_svr || q->resource_is_core || q->resource == ACCESS_DCR;
        return t;
}

/* security.md 3.2, 1 to 7, for whoever comes in clear. */
static struct access_verdict decide_plain(const struct access_question *q, const struct target *t) {
        const struct svr_snapshot *s = q->snapshot;
        struct access_verdict closed;

        if (s->state == SVR_RFOTM) {
                if (s->transfer)
                        return denied(ACCESS_DENIED_TRANSFER_RUNNING);
                if (t->is_svr)
                        return t->svr == SVR_DOXM || (t->svr == SVR_PSTAT && q->method == COAP_GET)
                                       ? granted(ACCESS_GRANTED_TRANSFER)
                                       : denied(ACCESS_DENIED_NOT_ONBOARDED);
                if (t->is_dcr && !q->resource_is_core)
                        return denied(ACCESS_DENIED_NOT_ONBOARDED);
                return decide_unowned_plain(q);
        }
        if (t->is_svr)
                return denied(ACCESS_DENIED_NOT_SECURE);
        if (!t->is_dcr && s->state != SVR_RFNOP)
                return denied(ACCESS_DENIED_NOT_OPERATIONAL);
        if (!t->is_dcr && q->resource == ACCESS_VERTICAL && is_closed_to_plain(q, &closed))
                return closed;
        return access_by_entries(q, t->is_svr);
}

static bool is(const struct uuid *owner, const struct uuid *peer) {
        return !uuid_is_nil(peer) && uuid_equal(owner, peer);
}

/*
 * Rights without an entry. Each resource owner has its own resource; the
 * transfer's service has those of the others too, and the services of keys and of
 * entries may lead the device through its states. Nobody is nil.
 */
static bool is_resource_owner(const struct svr_snapshot *s, const struct uuid *peer, enum svr_id svr) {
        if (svr >= SVR_OWNED_N)
                return false;
        return is(&s->rowner[svr], peer) || is(&s->rowner[SVR_DOXM], peer) ||
               (svr == SVR_PSTAT && (is(&s->rowner[SVR_ACL2], peer) || is(&s->rowner[SVR_CRED], peer)));
}

static struct access_verdict decide_secure(const struct access_question *q, const struct target *t) {
        const struct svr_snapshot *s = q->snapshot;
        const struct uuid *peer = &q->session->id;
        bool repairing = s->state == SVR_RFOTM || s->state == SVR_SRESET;

        if (!t->is_dcr && s->state != SVR_RFNOP)
                return denied(ACCESS_DENIED_NOT_OPERATIONAL);
        if (q->session->onboarding && t->is_dcr && s->state != SVR_RFNOP)
                return granted(ACCESS_GRANTED_ONBOARDING);
        if (s->state == SVR_RFOTM && q->resource_is_core && q->method == COAP_GET)
                return granted(ACCESS_GRANTED_DISCOVERY);
        if (t->is_svr && is_resource_owner(s, peer, t->svr))
                return granted(ACCESS_GRANTED_RESOURCE_OWNER);
        if (t->is_svr && repairing && is(&s->devowner, peer))
                return granted(ACCESS_GRANTED_DEVICE_OWNER);
        if (s->state == SVR_RFOTM)
                return denied(ACCESS_DENIED_NOT_ONBOARDED);
        if (t->svr == SVR_ROLES && !uuid_is_nil(peer))
                return granted(ACCESS_GRANTED_OWN_ROLES);
        if (access_has_owner_role(q))
                return granted(ACCESS_GRANTED_OWNER_ROLE);
        return access_by_entries(q, t->is_svr);
}

struct access_verdict access_decide(const struct access_question *q) {
        struct target t;

        if (q->subject == ACCESS_LOCAL)
                return granted(ACCESS_GRANTED_LOCAL);
        if (!q->snapshot)
                return q->owned || q->subject == ACCESS_AUTH_CRYPT ? denied(ACCESS_DENIED_NO_ENTRY)
                                                                   : decide_unowned_plain(q);
        if (q->snapshot->pending || q->snapshot->state == SVR_RESET)
                return denied(ACCESS_DENIED_RESETTING);
        t = target_of(q);
        if (q->subject == ACCESS_AUTH_CRYPT && q->session)
                return decide_secure(q, &t);
        return decide_plain(q, &t);
}

static const char *const texts[_ACCESS_REASON_N] = {
        [ACCESS_GRANTED_LOCAL] = "it is an application of this machine",
        [ACCESS_GRANTED_DISCOVERY] = "the device has no owner, and this is how it is discovered",
        [ACCESS_GRANTED_TRANSFER] = "the device has no owner, and this is how it gets one",
        [ACCESS_GRANTED_ONBOARDING] = "this is the session that takes ownership",
        [ACCESS_GRANTED_RESOURCE_OWNER] = "the peer owns this secure resource",
        [ACCESS_GRANTED_DEVICE_OWNER] = "the peer owns the device",
        [ACCESS_GRANTED_OWN_ROLES] = "these are the roles of the session itself",
        [ACCESS_GRANTED_OWNER_ROLE] = "the peer has the role of the owner",
        [ACCESS_GRANTED_ENTRY] = "an entry grants it",
        [ACCESS_GRANTED_INSECURE] = "the resource is registered as insecure, and AllowInsecure= is on",
        [ACCESS_DENIED_CORE_IS_READ_ONLY] = "this resource can only be read",
        [ACCESS_DENIED_NOT_INSECURE] = "the resource is not registered as insecure, and this is plain CoAP",
        [ACCESS_DENIED_NOT_ALLOWED] = "the resource is registered as insecure, but AllowInsecure= is off",
        [ACCESS_DENIED_NO_ENTRY] = "no entry grants it",
        [ACCESS_DENIED_NO_PERMISSION] = "an entry fits, but does not permit this method",
        [ACCESS_DENIED_NOT_NOW] = "an entry fits, but not at this time, or the clock is not trusted",
        [ACCESS_DENIED_OTHER_SUBJECT] = "there is an entry for this resource, but for another subject",
        [ACCESS_DENIED_RESETTING] = "the device is being reset",
        [ACCESS_DENIED_TRANSFER_RUNNING] = "somebody is taking ownership, and this is plain CoAP",
        [ACCESS_DENIED_NOT_ONBOARDED] =
                "the device has no owner yet, and this is not the session that takes it",
        [ACCESS_DENIED_NOT_OPERATIONAL] = "the device is being provisioned and not in normal operation",
        [ACCESS_DENIED_NOT_SECURE] = "a secure resource is reached over a secure channel only",
};

const char *access_reason_text(enum access_reason reason) {
        return texts[reason];
}
