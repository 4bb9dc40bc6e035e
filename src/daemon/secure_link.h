/*
 * Between the secure ports and CoAP: the sessions (security/sessions.h) with
 * sockets on one side and the pipeline on the other.
 *
 * What comes in is decrypted and handed on with the number of its session as
 * the peer's channel; what CoAP says to such a channel is sealed on its way out.
 * A message for a session that is gone goes nowhere, and never out in clear.
 */
#ifndef OCF_DAEMON_SECURE_LINK_H
#define OCF_DAEMON_SECURE_LINK_H

#include "daemon/pipeline.h"
#include "security/sessions.h"

#include <uv.h>

struct secure_link;

struct secure_link_config {
        struct sessions_config sessions;
        uv_loop_t *loop; /* beside which the steps of slow keys are run */
        struct pipeline *pipeline;
        void *context;
        uint64_t (*now)(void *context);
        bool (*is_secure)(void *context,
                          const struct coap_peer *peer); /* does it use a secure port of ours? */
        void (*close_stream)(void *context, const struct coap_peer *peer);
        /* Somebody has proven who it is, and is gone; or tried, and did not. */
        void (*opened)(void *context, struct session *session);
        void (*closed)(void *context, const struct session *session);
        void (*failed)(void *context, const struct session *session);
};

int secure_link_new(struct secure_link **ret, const struct secure_link_config *config);
struct secure_link *secure_link_free(struct secure_link *l);

/* Before it is freed, and before what the pipeline and the sockets are made of: no step of a slow key is
 * under way any more. false: one still is after max_ms, and nothing that it uses may be freed. */
bool secure_link_stop(struct secure_link *l, uint64_t max_ms);

/* What net.h tells of secure ports. */
void secure_link_datagram(struct secure_link *l, const struct coap_peer *peer, unsigned via, uint8_t *data,
                          size_t n);
bool secure_link_stream_open(struct secure_link *l, const struct coap_peer *peer);
size_t secure_link_stream_data(struct secure_link *l, const struct coap_peer *peer, struct span data);
void secure_link_stream_closed(struct secure_link *l, const struct coap_peer *peer);

/* The next thing to send, of anybody: as net.h wants it. */
size_t secure_link_next(struct secure_link *l, struct coap_peer *ret_to, uint8_t *buf, size_t n);
void secure_link_wake(struct secure_link *l); /* the loop turned */
uint64_t secure_link_deadline(const struct secure_link *l);

/* What the session has proven; NULL: no session, or one that has proven nothing (any more). */
struct svr_session *secure_link_session(struct secure_link *l, const struct coap_peer *peer);
const struct tls *secure_link_tls(struct secure_link *l, const struct coap_peer *peer); /* NULL: no session */
bool secure_link_secrets(struct secure_link *l, const struct coap_peer *peer, struct tls_secrets *ret);

/* The device is owned now: the session that took it has no more rights, and ends once its last answer has
 * left. */
void secure_link_transfer_done(struct secure_link *l, uint16_t device);

/* Sessions that we begin (sessions.h); *ret_peer has the session's number. */
int secure_link_connect(struct secure_link *l, const struct coap_peer *peer,
                        const struct session_connect *how, struct coap_peer *ret_peer);
const struct session *secure_link_open_at(struct secure_link *l, const struct coap_peer *peer);
const struct session *secure_link_find(struct secure_link *l, const struct coap_peer *peer);
void secure_link_close(struct secure_link *l, const struct coap_peer *peer); /* with a goodbye */

void secure_link_check(struct secure_link *l, uint16_t device); /* credentials changed: looked at soon */
void secure_link_close_device(struct secure_link *l, uint16_t device);
void secure_link_close_all(struct secure_link *l); /* before a clean stop */
void secure_link_forget_local(struct secure_link *l, const uint8_t *ip, uint32_t interface);

const struct sessions *secure_link_sessions(const struct secure_link *l);

#endif
