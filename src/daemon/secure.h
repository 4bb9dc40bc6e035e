/*
 * The secure resources of our devices, alive: what src/security decides, with
 * the store behind it and time on its side.
 *
 * A request that changes something is answered once that is durable; until
 * then others that would change the same device wait, in order. What could not
 * be stored has not happened. What follows from a change (another UUID, sessions
 * that lose their credential, a reset that is due) happens after it is durable.
 */
#ifndef OCF_DAEMON_SECURE_H
#define OCF_DAEMON_SECURE_H

#include "daemon/config.h"
#include "daemon/pin.h"
#include "daemon/store.h"
#include "model/model.h"
#include "security/access.h"
#include "security/sessions.h"
#include "security/svr_request.h"

#define SECURE_WAITING_MAX 32u /* requests that would change one device */

struct secure;

/* What it asks of the rest of the daemon. */
struct secure_config {
        const struct config *config;
        struct store *store;
        struct model *model;
        void *context;
        uint64_t (*now)(void *context);
        struct svr_session *(*session)(void *context, const struct coap_peer *peer); /* NULL: none */
        bool (*secrets)(void *context, const struct coap_peer *peer, struct tls_secrets *ret);
        const struct tls *(*tls)(void *context,
                                 const struct coap_peer *peer); /* of that session; NULL: none */
        int64_t (*wall)(void *context); /* seconds since 1970; negative: as certificate.h has it */
        bool (*handshaking)(void *context, uint16_t device);
        /* Is what was granted still granted, after others that came before it? */
        bool (*grants)(void *context, const struct call *call, const struct resource *r);
        bool (*can_show_pin)(void *context);
        void (*show_pin)(void *context, uint16_t device, const char *digits); /* NULL: it is over */
        void (*creds_changed)(void *context, uint16_t device); /* close the sessions that lost theirs */
        void (*transfer_done)(void *context, uint16_t device); /* RFNOP: the session that took it ends */
        void (*reset_done)(void *context, uint16_t device);    /* all its sessions end */
        void (*recheck)(void *context, uint16_t device);       /* who observes may no more be allowed to */
        void (*end_observers)(void *context, uint16_t device); /* before a reset */
        void (*changed)(void *context, uint16_t device);       /* something that status shows */
        void (*notice)(void *context, const char *id, const char *text); /* as net.h has it */
        void (*failed)(void *context,
                       int error);      /* the disk is not as the store left it: nothing can go on */
        void (*restart)(void *context); /* a peer with the right to asks for it */
};

/* The devices of the model are there already, and the store is not started. A sealed store, or a device whose
 * rows do not go together, is told and kept: it serves nothing secure. Return: 0; negative errno. */
int secure_new(struct secure **ret, const struct secure_config *config);
struct secure *secure_free(struct secure *s); /* after the store */

/* The onboarding tool's device, which owns itself: from the store, at start-up; or a new one, at any time,
 * whose identities and ports are in *stored. done() when that is durable. Return: 0; negative errno. */
int secure_add_tool(struct secure *s, struct device *device);
int secure_make_tool(struct secure *s, struct device *device, const struct store_device *stored,
                     struct span domain_name, store_done *done, void *context);

/* A request to a RESOURCE_SECURE, to which access was granted. Answered now, or when it is durable. */
void secure_request(struct secure *s, struct resource *r, struct call *call);

/* What access is decided from; NULL: the device serves nothing secure, and *ret_sealed says why. */
const struct svr *secure_svr(const struct secure *s, uint16_t device);
const char *secure_sealed(const struct secure *s, uint16_t device); /* NULL: it is not */

/* ---- sessions ---- */

void secure_session_opened(struct secure *s, const struct session *session);
void secure_session_closed(struct secure *s, const struct session *session);
/* is_guess: it had the key of the PIN that is shown */
void secure_session_failed(struct secure *s, const struct session *session, bool is_guess);
size_t secure_pin_key(struct secure *s, uint16_t device, uint8_t ret[TLS_PSK_MAX]);
const char *secure_pin(const struct secure *s, uint16_t device); /* the one that is shown; NULL: none */

/* What a device shows; 0; -ENOENT: nothing, now; -ENOMEM. */
bool secure_has_certificate(struct secure *s, uint16_t device);
int secure_certificate(struct secure *s, uint16_t device, uint16_t suite, bool stream, uint64_t now_ms,
                       int64_t wall_s, struct tls **ret);

/* As a client: the engine that shows our identity's certificate; manufacturer: the peer shows one that chains
 * to one of these anchors (PEM), as in an ownership transfer. 0; -ENOENT: we have no certificate; -EINVAL:
 * anchors are none; -ENOMEM. */
int secure_client_certificate(struct secure *s, uint16_t device, bool stream,
                              struct span manufacturer_anchors, uint64_t now_ms, int64_t wall_s,
                              struct tls **ret);

/* Of our own onboarding tool: the request for a certificate of the device's key, and that certificate with
 * its authority (PEM), which are credentials from then on. */
bool secure_own_csr(struct secure *s, uint16_t device, struct writer *ret_pem);
int secure_install_certificate(struct secure *s, uint16_t device, struct span chain, struct span authority,
                               store_done *done, void *context);

/* ---- time, and people ---- */

uint64_t secure_deadline(const struct secure *s);
void secure_wake(struct secure *s);
/* A transfer that had begun is undone. The loop turns, and this is called again, until nothing is under way
 * any more; then the store is closed. */
void secure_stop(struct secure *s);
bool secure_is_busy(const struct secure *s);

/* A reset by who is at the machine. Return: 0; -EBUSY: one is going on; -EROFS: sealed; -EPERM: it owns
 * itself. */
int secure_reset(struct secure *s, uint16_t device);

/* An event for /oic/sec/ael, stored lazily: nobody's request waits for the disk because of it. */
void secure_audit(struct secure *s, uint16_t device, const struct svr_event *event);

#endif
