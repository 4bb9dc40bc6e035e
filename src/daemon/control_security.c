#include "daemon/control_security.h"
#include "base/memory.h"
#include "daemon/clock.h"
#include "daemon/diag.h"
#include "daemon/verdict.h"
#include "model/query.h"
#include "protocol/coap_code.h"
#include "security/svr_request.h"

#include <grp.h>
#include <stdio.h>
#include <string.h>

#define SESSIONS_MAX 64u
#define SUITE_TEXT   48

static enum bus_admin admin(void *context, const struct bus_caller *caller) {
        if (caller->uid == 0)
                return BUS_ADMIN_ALWAYS;
        return caller->in_admin_group ? BUS_ADMIN_WITHOUT_POLKIT : BUS_ADMIN_NO;
}

/* ---- status ---- */

static const char *transfer_name(unsigned transfer) {
        switch ((enum svr_transfer)transfer) {
        case SVR_JUST_WORKS:
                return "just-works";
        case SVR_RANDOM_PIN:
                return "random-pin";
        case SVR_MANUFACTURER:
                return "manufacturer-certificate";
        case SVR_NO_TRANSFER:
                break;
        }
        return "";
}

/* Who shows PINs comes and goes; the secure resources look at it when they are asked. */
static uint8_t transfers_of(const struct daemon *d, const struct svr *svr) {
        bool has_pin = d->config->pin_command || (d->bus && bus_has_agent(d->bus));

        return (uint8_t)((svr->device.oxms & ~(1u << SVR_RANDOM_PIN)) | (has_pin ? 1u << SVR_RANDOM_PIN : 0));
}

static const char *const *transfer_names(uint8_t transfers) {
        static const char *names[SVR_MANUFACTURER + 2];
        size_t n = 0;

        for (unsigned i = SVR_JUST_WORKS; i <= SVR_MANUFACTURER; i++)
                if (transfers & 1u << i)
                        names[n++] = transfer_name(i);
        names[n] = NULL;
        return names;
}

static void sealed_status(const char *why, struct bus_security_status *ret) {
        ret->state = "";
        ret->sealed = why ? why : "The daemon has not read its store yet";
        ret->transfer = ret->domain = "";
        ret->next_step = "Nothing secure is served: \"ocfctl store check\" says what is wrong";
}

static void status(void *context, uint16_t device, struct bus_security_status *ret) {
        static char domain[SVR_NAME_MAX + 1];
        struct daemon *d = context;
        const struct svr *svr = d->secure ? secure_svr(d->secure, device) : NULL;
        uint8_t transfers = svr ? transfers_of(d, svr) : 0;

        *ret = (struct bus_security_status){ .transfers = transfer_names(transfers) };
        if (!svr) {
                sealed_status(d->secure ? secure_sealed(d->secure, device) : NULL, ret);
                return;
        }
        ret->state = svr_entry_of(svr->machine.state)->name;
        ret->owned = svr->doxm.owned;
        if (svr->doxm.owned)
                ret->owner = svr->doxm.devowneruuid;
        ret->transfer = transfer_name(svr->doxm.oxmsel);
        ret->transfer_is_running = svr->machine.transfer;
        ret->sealed = "";
        snprintf(domain, sizeof(domain), "%.*s", svr->sdi.priv ? 0 : (int)svr->sdi.n_name, svr->sdi.name);
        ret->domain = domain;
        if (!svr->sdi.priv)
                ret->domain_id = svr->sdi.uuid;
        ret->next_step = control_next_step(svr, transfers, secure_pin(d->secure, device));
}

/* ---- what GET would answer ---- */

static enum fault read_resource(void *context, uint16_t device, const char *href, struct span *ret_rep) {
        static uint8_t buf[SVR_REP_MAX];
        struct daemon *d = context;
        const struct svr *svr = d->secure ? secure_svr(d->secure, device) : NULL;
        struct writer w = writer_on(buf, sizeof(buf));
        struct ocf_request request = { .method = COAP_GET, .device = device, .accept = COAP_FORMAT_NONE };
        struct svr_call call = { .request = &request, .interface = INTERFACE_RW, .now_ms = clock_now_ms() };
        struct svr_result result = { 0 };

        if (!svr_by_href(&call.id, span_of_string(href)) || call.id == SVR_CSR)
                return FAULT_NOT_FOUND; /* a CSR is signed for each who asks: that is a tool's business */
        if (!svr)
                return FAULT_UNAVAILABLE;
        request.path = span_of_string(href);
        /* A GET changes nothing; what it takes is not const for the sake of the other methods. */
        if (svr_request((struct svr *)svr, &call, &w, &result))
                return FAULT_FAILED;
        *ret_rep = result.response.rep;
        return result.response.fault;
}

/* ---- reset ---- */

static int reset(void *context, uint16_t device, const char **ret_why) {
        struct daemon *d = context;
        int r = d->secure ? secure_reset(d->secure, device) : -EROFS;

        if (!r) {
                diag_log(LOG_NOTICE, "An administrator of this machine resets device %u", device);
                return 0;
        }
        *ret_why =
                r == -EBUSY ? "A reset is going on already"
                : r == -EPERM
                        ? "The onboarding tool owns itself: without it nobody could use what it owns"
                        : "The store is sealed, and is kept as it is: \"ocfctl store check\" says why, and "
                          "what to do";
        return BUS_E_REFUSED;
}

/* ---- may it? ---- */

static bool parse_method(const char *text, uint8_t *ret) {
        static const struct {
                const char *name;
                uint8_t method;
        } methods[] = {
                { "GET", COAP_GET }, { "POST", COAP_POST }, { "PUT", COAP_PUT }, { "DELETE", COAP_DELETE }
        };

        for (size_t i = 0; i < ARRAY_SIZE(methods); i++)
                if (strcasecmp(text, methods[i].name) == 0) {
                        *ret = methods[i].method;
                        return true;
                }
        return false;
}

/* What a session would have proven for this to be its subject; texts point into scratch. */
static bool parse_subject(const char *text, enum access_subject *ret, struct svr_session *session,
                          char scratch[static ACE_TEXT_MAX]) {
        char *at;

        *ret = ACCESS_AUTH_CRYPT;
        if (strcmp(text, "anon-clear") == 0)
                *ret = ACCESS_ANON_CLEAR;
        if (strcmp(text, "anon-clear") == 0 || strcmp(text, "auth-crypt") == 0 ||
            uuid_parse(&session->id, span_of_string(text)))
                return true;
        if (strncmp(text, "role:", 5) != 0 || !text[5] || strlen(text + 5) >= ACE_TEXT_MAX)
                return false;
        snprintf(scratch, ACE_TEXT_MAX, "%s", text + 5);
        at = strchr(scratch, '@');
        if (at)
                *at = 0;
        session->n_roles = 1;
        session->roles[0] = (struct svr_role){ .role = scratch,
                                               .authority = at ? at + 1 : NULL,
                                               .is_owner = strcmp(scratch, "oic.role.owner") == 0,
                                               .until_s = INT64_MAX };
        session->by_certificate = true;
        return true;
}

static int refuse_question(struct bus_access_answer *ret, const char *problem) {
        ret->problem = problem;
        return BUS_E_REFUSED;
}

static int check_access(void *context, uint16_t device, const struct bus_access_question *q,
                        struct bus_access_answer *ret) {
        struct daemon *d = context;
        const struct svr *svr = d->secure ? secure_svr(d->secure, device) : NULL;
        struct resource *r = model_resource_find(d->model, device, span_of_string(q->href));
        struct svr_session session = { 0 };
        struct access_verdict verdict;
        enum access_subject subject;
        char scratch[ACE_TEXT_MAX];
        uint8_t method;

        if (!parse_subject(q->subject, &subject, &session, scratch))
                return refuse_question(ret, "A subject is anon-clear, auth-crypt, a UUID, role:NAME or "
                                            "role:NAME@AUTHORITY");
        if (!parse_method(q->method, &method))
                return refuse_question(ret, "A method is GET, POST, PUT or DELETE");
        if (!r)
                return refuse_question(ret, "The device has no resource with this href now");
        if (!svr) {
                *ret = (struct bus_access_answer){
                        .reason = "the store is sealed, so nothing secure is served"
                };
                return 0;
        }
        verdict = verdict_on(r, svr, false,
                             &(struct verdict_asker){ .subject = subject,
                                                      .session = &session,
                                                      .method = method,
                                                      .wall_s = daemon_wall(d) });
        *ret = (struct bus_access_answer){ .granted = verdict.granted,
                                           .reason = access_reason_text(verdict.reason),
                                           .aceid = verdict.aceid };
        return 0;
}

/* ---- sessions ---- */

static const char *suite_name(uint16_t suite, char buf[static SUITE_TEXT]) {
        static const struct {
                uint16_t suite;
                const char *name;
        } names[] = {
                { TLS_ECDH_ANON_AES_128_CBC_SHA256, "ECDH-ANON-AES128-CBC-SHA256" },
                { TLS_ECDHE_PSK_AES_128_CBC_SHA256, "ECDHE-PSK-AES128-CBC-SHA256" },
                { TLS_ECDHE_ECDSA_AES_128_CCM, "ECDHE-ECDSA-AES128-CCM" },
                { TLS_ECDHE_ECDSA_AES_256_CCM, "ECDHE-ECDSA-AES256-CCM" },
                { TLS_ECDHE_ECDSA_AES_128_CCM_8, "ECDHE-ECDSA-AES128-CCM8" },
                { TLS_ECDHE_ECDSA_AES_256_CCM_8, "ECDHE-ECDSA-AES256-CCM8" },
                { TLS_ECDHE_ECDSA_AES_128_GCM_SHA256, "ECDHE-ECDSA-AES128-GCM-SHA256" },
                { TLS_ECDHE_ECDSA_AES_256_GCM_SHA384, "ECDHE-ECDSA-AES256-GCM-SHA384" },
                { TLS_ECDHE_ECDSA_AES_128_CBC_SHA256, "ECDHE-ECDSA-AES128-CBC-SHA256" },
                { TLS_ECDHE_ECDSA_AES_256_CBC_SHA384, "ECDHE-ECDSA-AES256-CBC-SHA384" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(names); i++)
                if (names[i].suite == suite)
                        return names[i].name;
        snprintf(buf, SUITE_TEXT, "0x%04x", suite);
        return buf;
}

struct told_session {
        char peer[DAEMON_PEER_TEXT], suite[SUITE_TEXT];
        const char *roles[SVR_SESSION_ROLES_MAX];
};

static void describe_session(const struct session *s, uint64_t now_ms, struct told_session *told,
                             struct bus_session *ret) {
        *ret = (struct bus_session){
                .peer = daemon_peer_text(&s->peer, told->peer),
                .transport = s->peer.stream ? "tls" : "dtls",
                .suite = s->tls ? suite_name(s->tls->suite, told->suite) : "",
                .id = s->svr.id,
                .by_certificate = s->svr.by_certificate,
                .onboarding = s->svr.onboarding,
                .roles = told->roles,
                .n_roles = s->svr.n_roles,
                .opened_s = (now_ms - s->opened_ms) / 1000,
                .silent_s = (now_ms - s->last_ms) / 1000,
        };
        for (size_t i = 0; i < s->svr.n_roles; i++)
                told->roles[i] = s->svr.roles[i].role;
}

static size_t list_sessions(void *context, uint16_t device, const struct bus_session **ret) {
        static struct bus_session all[SESSIONS_MAX];
        static struct told_session told[SESSIONS_MAX];
        struct daemon *d = context;
        const struct sessions *table = d->link ? secure_link_sessions(d->link) : NULL;
        uint64_t now_ms = clock_now_ms();
        size_t n = 0;

        for (const struct session *s = table ? sessions_first(table) : NULL; s && n < SESSIONS_MAX;
             s = sessions_after(table, s))
                if (s->peer.device == device) {
                        describe_session(s, now_ms, &told[n], &all[n]);
                        n++;
                }
        *ret = all;
        return n;
}

/* ---- filled in ---- */

static int64_t gid_of(const char *name) {
        const struct group *group = name ? getgrnam(name) : NULL;

        if (name && !group)
                diag_log(LOG_WARNING,
                         "AdminGroup=%s: there is no such group, so where there is no polkit root "
                         "alone may administer",
                         name);
        return group ? (int64_t)group->gr_gid : -1;
}

void control_fill_security(struct daemon *d) {
        d->control.admin_gid = gid_of(d->config->admin_group);
        d->control.security = (struct bus_security){
                .admin = admin,
                .status = status,
                .read = read_resource,
                .reset = reset,
                .check_access = check_access,
                .sessions = list_sessions,
                .store = control_store,
        };
}
