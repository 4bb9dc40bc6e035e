#include "daemon/daemon_private.h"
#include "base/memory.h"
#include "daemon/clock.h"
#include "daemon/diag.h"
#include "protocol/coap_code.h"
#include "security/tls_cert.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/*
 * The secure side, wired: sockets, sessions, secure resources, pipeline and
 * people, each told of the others what it must know and no more.
 */

/* ---- what the pipeline asks ---- */

struct svr_session *daemon_session(void *context, const struct coap_peer *peer) {
        struct daemon *d = context;

        return d->link ? secure_link_session(d->link, peer) : NULL;
}

const struct svr *daemon_svr(void *context, uint16_t device) {
        struct daemon *d = context;

        return d->secure ? secure_svr(d->secure, device) : NULL;
}

#define CLOCK_ROW    "clock"
#define CLOCK_STEP_S 86400 /* the floor rises so far at a time */

static void put_floor(struct daemon *d, int64_t now_s) {
        uint8_t bytes[8];
        struct writer w = writer_on(bytes, sizeof(bytes));
        const struct store_change change = { 0, CLOCK_ROW, { bytes, sizeof(bytes) } };

        writer_put_u32(&w, (uint32_t)(now_s >> 32));
        writer_put_u32(&w, (uint32_t)now_s);
        d->clock_floor_s = now_s;
        (void)store_commit_lazy(d->store, &change, 1);
}

/* It was later than this when we last ran; and never earlier than this program was made. */
static int load_floor(struct daemon *d) {
        uint8_t *bytes;
        uint32_t high, low;
        struct span s;
        size_t n;
        int r = store_get(d->store, 0, CLOCK_ROW, &bytes, &n);

        d->clock_floor_s = CLOCK_FLOOR_S;
        if (r)
                return r < 0 ? r : 0;
        s = span_of(bytes, n);
        if (span_take_u32(&s, &high) && span_take_u32(&s, &low) && high <= INT32_MAX)
                d->clock_floor_s = ((int64_t)high << 32 | low) > CLOCK_FLOOR_S ? (int64_t)high << 32 | low
                                                                               : CLOCK_FLOOR_S;
        ocf_free(bytes);
        return 0;
}

/* A clock that says it is earlier than it was before is not to be trusted: then it is at least the floor. */
int64_t daemon_wall(void *context) {
        struct daemon *d = context;
        int64_t now_s = (int64_t)time(NULL);

        if (now_s < d->clock_floor_s)
                return -d->clock_floor_s;
        if (now_s - d->clock_floor_s >= CLOCK_STEP_S && d->secure)
                put_floor(d, now_s);
        return now_s;
}

void daemon_secure_request(void *context, struct resource *r, struct call *call) {
        secure_request(((struct daemon *)context)->secure, r, call);
}

static const char *method_name(uint8_t method) {
        static const char *const names[] = {
                "?", "GET", "POST", "PUT", "DELETE", "FETCH", "PATCH", "iPATCH"
        };

        return method < ARRAY_SIZE(names) ? names[method] : "?";
}

const char *daemon_peer_text(const struct coap_peer *p, char buf[static DAEMON_PEER_TEXT]) {
        char address[INET6_ADDRSTRLEN] = "";
        bool v4 = coap_peer_is_ipv4(p);

        inet_ntop(v4 ? AF_INET : AF_INET6, p->remote_ip + (v4 ? 12 : 0), address, sizeof(address));
        snprintf(buf, DAEMON_PEER_TEXT, v4 ? "%s:%u" : "[%s]:%u", address, p->remote_port);
        return buf;
}

/* security.md 7, AC-1: who asked for what, as whom, in which state. */
static void audit_denial(struct daemon *d, const struct ocf_request *request,
                         const struct diag_denial *denial) {
        char roles[128];
        const struct span details[] = {
                span_of_string(denial->peer),  span_of_string(denial->subject ? denial->subject : "nobody"),
                span_of_string(denial->href),  span_of_string(denial->method),
                span_of_string(denial->state), span_of_string(diag_roles_text(denial, roles, sizeof(roles))),
        };

        secure_audit(d->secure, request->device,
                     &(struct svr_event){ .id = "AC-1",
                                          .category = SVR_AEL_ACCESS,
                                          .priority = SVR_AEL_WARNING,
                                          .message = "Access Denied",
                                          .n_details = ARRAY_SIZE(details),
                                          .details = details });
}

void daemon_denied(void *context, const struct ocf_request *request, const struct route *route,
                   const struct access_verdict *verdict) {
        struct daemon *d = context;
        const struct svr_session *session = daemon_session(d, &request->peer);
        const struct svr *svr = daemon_svr(d, request->device);
        char device[UUID_TEXT_MAX], peer[DAEMON_PEER_TEXT], subject[UUID_TEXT_MAX], entry[16];
        struct diag_denial denial = {
                .peer = daemon_peer_text(&request->peer, peer),
                .connection = session ? "auth-crypt" : "anon-clear",
                .href = route->resource->href,
                .method = method_name(request->method),
                .state = svr ? svr_entry_of(svr->machine.state)->name : "sealed",
                .reason = access_reason_text(verdict->reason),
        };

        if (request->multicast)
                return; /* it asked everybody, and hears nothing from us: that is no attempt */
        if (svr)
                denial.device = uuid_format(&svr->doxm.deviceuuid, device);
        if (session && !uuid_is_nil(&session->id))
                denial.subject = uuid_format(&session->id, subject);
        for (; session && denial.n_roles < ocf_min_size(session->n_roles, DIAG_ROLES_MAX); denial.n_roles++)
                denial.roles[denial.n_roles] = session->roles[denial.n_roles].role;
        if (verdict->aceid != ACE_ID_NONE) {
                snprintf(entry, sizeof(entry), "%d", verdict->aceid);
                denial.entry = entry;
        }
        diag_access_denied(&denial);
        if (d->secure)
                audit_denial(d, request, &denial);
}

/* ---- what the sessions ask and tell ---- */

static const struct svr *host_svr(void *context, uint16_t device) {
        return daemon_svr(context, device);
}

static size_t host_pin(void *context, uint16_t device, uint8_t ret[TLS_PSK_MAX]) {
        return secure_pin_key(((struct daemon *)context)->secure, device, ret);
}

static bool host_has_certificate(void *context, uint16_t device) {
        return secure_has_certificate(((struct daemon *)context)->secure, device);
}

static int host_certificate(void *context, uint16_t device, uint16_t suite, bool stream, uint64_t now_ms,
                            struct tls **ret) {
        return secure_certificate(((struct daemon *)context)->secure, device, suite, stream, now_ms,
                                  daemon_wall(context), ret);
}

static void host_certificate_peer(void *context, const struct tls *tls, struct uuid *ret,
                                  int32_t *ret_credid) {
        struct tls_cert_peer peer;

        tls_cert_peer(tls, &peer);
        *ret = peer.id;
        *ret_credid = peer.credid;
}

static void on_opened(void *context, struct session *session) {
        struct daemon *d = context;

        if (session->is_client) {
                outgoing_opened(client_outgoing(d->client), session);
                return;
        }
        secure_session_opened(((struct daemon *)context)->secure, session);
}

static void on_closed(void *context, const struct session *session) {
        struct daemon *d = context;

        if (d->client) /* one that the peer began may carry requests of ours as well */
                outgoing_closed(client_outgoing(d->client), session);
        if (session->is_client)
                return;
        secure_session_closed(((struct daemon *)context)->secure, session);
}

static void on_failed(void *context, const struct session *session) {
        struct daemon *d = context;

        if (session->is_client) {
                outgoing_failed(client_outgoing(d->client), session);
                return;
        }
        secure_session_failed(((struct daemon *)context)->secure, session, sessions_has_pin(session));
}

static uint64_t on_now(void *context) {
        return clock_now_ms();
}

static bool is_secure(void *context, const struct coap_peer *peer) {
        return net_port_is_secure(((struct daemon *)context)->net, peer);
}

static void on_close_stream(void *context, const struct coap_peer *peer) {
        net_close_stream(((struct daemon *)context)->net, peer);
}

static int open_link(struct daemon *d) {
        const struct secure_link_config config = {
                .sessions = { SESSIONS_DEFAULT, .host = { .context = d,
                                                          .svr = host_svr,
                                                          .pin = host_pin,
                                                          .has_certificate = host_has_certificate,
                                                          .certificate = host_certificate,
                                                          .certificate_peer = host_certificate_peer } },
                .pipeline = d->pipeline,
                .loop = &d->loop,
                .context = d,
                .now = on_now,
                .is_secure = is_secure,
                .close_stream = on_close_stream,
                .opened = on_opened,
                .closed = on_closed,
                .failed = on_failed,
        };
        struct secure_link_config with_limit = config;

        with_limit.sessions.n_max = (uint32_t)d->config->max_sessions;
        return secure_link_new(&d->link, &with_limit);
}

/* ---- what the secure resources ask and tell ---- */

static bool secrets(void *context, const struct coap_peer *peer, struct tls_secrets *ret) {
        return secure_link_secrets(((struct daemon *)context)->link, peer, ret);
}

static const struct tls *tls_of(void *context, const struct coap_peer *peer) {
        return secure_link_tls(((struct daemon *)context)->link, peer);
}

static bool handshaking(void *context, uint16_t device) {
        struct daemon *d = context;

        return d->link && sessions_handshaking(secure_link_sessions(d->link), device, clock_now_ms());
}

static bool grants(void *context, const struct call *call, const struct resource *r) {
        return pipeline_grants(((struct daemon *)context)->pipeline, &call->request, r, call->interface);
}

static bool can_show_pin(void *context) {
        struct daemon *d = context;

        return d->config->pin_command || (d->bus && bus_has_agent(d->bus));
}

static void show_pin(void *context, uint16_t device, const char *digits) {
        struct daemon *d = context;

        if (d->bus)
                (void)bus_show_pin(d->bus, device, digits, PIN_COMMAND_MAX_MS / 1000);
        if (digits)
                pin_command_show(d->pin_command, digits);
        else
                pin_command_stop(d->pin_command);
}

static void creds_changed(void *context, uint16_t device) {
        struct daemon *d = context;

        if (d->link)
                secure_link_check(d->link, device);
        if (d->client) /* a role may have been added */
                outgoing_creds_changed(client_outgoing(d->client), device);
}

static void transfer_done(void *context, uint16_t device) {
        secure_link_transfer_done(((struct daemon *)context)->link, device);
}

static void reset_done(void *context, uint16_t device) {
        struct daemon *d = context;

        if (d->link)
                secure_link_close_device(d->link, device);
}

static void recheck(void *context, uint16_t device) {
        pipeline_recheck(((struct daemon *)context)->pipeline, device);
}

static void end_observers(void *context, uint16_t device) {
        pipeline_end_observers(((struct daemon *)context)->pipeline, device);
}

static void changed(void *context, uint16_t device) {
        ((struct daemon *)context)->status_is_stale = true;
}

static void failed(void *context, int error) {
        daemon_fail(context, error);
}

static void restart(void *context) {
        struct daemon *d = context;

        diag_stopping("a peer that may asked for a restart");
        d->restarts = true;
        uv_stop(&d->loop);
}

int daemon_open_secure(struct daemon *d) {
        const struct secure_config config = {
                .config = d->config,
                .store = d->store,
                .model = d->model,
                .context = d,
                .now = on_now,
                .session = daemon_session,
                .secrets = secrets,
                .tls = tls_of,
                .wall = daemon_wall,
                .handshaking = handshaking,
                .grants = grants,
                .can_show_pin = can_show_pin,
                .show_pin = show_pin,
                .creds_changed = creds_changed,
                .transfer_done = transfer_done,
                .reset_done = reset_done,
                .recheck = recheck,
                .end_observers = end_observers,
                .changed = changed,
                .notice = daemon_notice,
                .failed = failed,
                .restart = restart,
        };
        int r = load_floor(d);

        if (!r)
                r = pin_command_new(&d->pin_command, &d->loop, d->config->pin_command);
        if (!r)
                r = secure_new(&d->secure, &config);
        if (!r)
                r = open_link(d);
        if (!r)
                r = tool_new(&d->tool, d);
        if (!r)
                r = client_new(&d->client, d);
        if (!r)
                r = jobs_new(&d->jobs, d);
        if (!r && tool_exists(d->tool))
                daemon_endpoints_changed(d);
        return r ? r : store_start(d->store, &d->loop);
}
