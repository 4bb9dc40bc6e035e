/*
 * Requests of ours to other devices, and the channels that they go over.
 *
 * A channel leads to one device, in clear or over a secure session, from one of
 * our logical devices; all who ask that device share it. A session is begun when
 * the first request wants it, at the first address that works. One that the
 * other side has forgotten is found out by silence: it is closed, and what has
 * no effect is asked again over a new one. done() is never called before
 * the function that was given it has returned.
 */
#ifndef OCF_DAEMON_OUTGOING_H
#define OCF_DAEMON_OUTGOING_H

#include "daemon/net.h"
#include "daemon/pipeline.h"
#include "daemon/secure_link.h"

struct outgoing;
struct out_channel;
struct out_request;

#define OUT_ADDRESSES_MAX 6u

struct out_address {
        uint8_t ip[16];     /* IPv4 as ::ffff:a.b.c.d */
        uint32_t interface; /* of a link-local one */
        uint16_t port;
        bool secure, stream;
};

enum out_kind {
        OUT_CLEAR,
        OUT_CREDENTIAL, /* a session with the credential that our device has for that one */
        OUT_TRANSFER,   /* a session in which ownership is taken: how says with what */
};

struct out_spec {
        enum out_kind kind;
        struct uuid id;  /* of the device that is asked; in a transfer it may change */
        uint16_t device; /* of ours, that asks */
        struct out_address addresses[OUT_ADDRESSES_MAX]; /* the preferred one first */
        size_t n_addresses;
        bool is_shared; /* other devices answer there too: requests say who is meant (core.md 5.5) */
        struct session_connect how; /* of a transfer; its spans and tls are taken or copied at once */
};

enum out_outcome {
        OUT_ANSWERED,
        OUT_NO_ANSWER,  /* in time */
        OUT_NO_SESSION, /* why says why */
        OUT_REJECTED,   /* the message was, or its answer was none: why */
        OUT_FULL,       /* too much is under way */
};

/* Spans are good until done() returns. */
struct out_result {
        enum out_outcome outcome;
        const struct coap_reply *reply; /* of OUT_ANSWERED */
        const struct coap_peer *peer;   /* who answered */
        bool more;                      /* an observation that stands, or a group that is listened for */
        const char *why;                /* a sentence, or NULL */
};

typedef void out_done(void *context, const struct out_result *result);

struct outgoing_config {
        struct pipeline *pipeline;
        struct secure_link *link;
        struct net *net;
        void *context;
        uint64_t (*now)(void *context);
        /* With what our device opens a session with that one, over datagrams or a connection. Return: 0;
         * -ENOENT: nothing; -ENOMEM. */
        int (*credential)(void *context, uint16_t device, const struct uuid *id, bool stream,
                          struct session_connect *ret);
        /* A session stands: time to show roles. NULL: nobody does. */
        void (*opened)(void *context, struct out_channel *c, const struct session *session);
};

int outgoing_new(struct outgoing **ret, const struct outgoing_config *config); /* 0; -ENOMEM */
struct outgoing *outgoing_free(struct outgoing *o);                            /* no done() any more */

/* ---- channels ---- */

/* The one that is there, whose addresses become these; or a new one. A transfer is always a new one. Each
 * obtain wants its release. 0; -ENOMEM. */
int out_channel_obtain(struct outgoing *o, const struct out_spec *spec, struct out_channel **ret);
struct out_channel *out_channel_release(struct out_channel *c);
struct out_channel *out_channel_hold(struct out_channel *c); /* likewise wants its release */

/* Says goodbye to the session, if there is one. */
void out_channel_close(struct out_channel *c);

bool out_channel_is_secure(const struct out_channel *c);
uint16_t out_channel_device(const struct out_channel *c); /* of ours, that asks */

/* The session, once it is open; NULL: none. */
const struct session *out_channel_session(const struct out_channel *c);

/* Opens the session; done() is told ANSWERED (without reply) or NO_SESSION. */
int out_channel_connect(struct out_channel *c, uint32_t timeout_ms, out_done *done, void *context,
                        struct out_request **ret);

/* What an open or lost session of ours with that device is: of anybody's channel; NULL: none. */
const struct session *outgoing_session_of(const struct outgoing *o, const struct uuid *id);

/* ---- requests ---- */

/* ask's spans are copied; its timeout and user are ours. Return: 0 and *ret, which is good until done() says
 * that there is nothing more; -ENOMEM. */
int out_request(struct out_channel *c, const struct coap_ask *ask, uint32_t timeout_ms, out_done *done,
                void *context, struct out_request **ret);
/* Likewise, before all that waits for the session. */
int out_request_first(struct out_channel *c, const struct coap_ask *ask, uint32_t timeout_ms, out_done *done,
                      void *context, struct out_request **ret);

/* To a group, over one interface, from the plain port of our device: done() for each answer until the time is
 * over, and then once with OUT_NO_ANSWER. */
int out_multicast(struct outgoing *o, uint16_t device, const uint8_t group[16], uint16_t port,
                  uint32_t interface, const struct coap_ask *ask, uint32_t timeout_ms, out_done *done,
                  void *context, struct out_request **ret);

/* done() is not called any more. NULL: nothing. */
struct out_request *out_cancel(struct out_request *r);

/* ---- what the daemon tells ---- */

void outgoing_reply(struct outgoing *o, const struct coap_event *e); /* pipeline_config.reply */
void outgoing_opened(struct outgoing *o, const struct session *s);   /* sessions that we began */
void outgoing_closed(struct outgoing *o, const struct session *s);   /* any session */
void outgoing_failed(struct outgoing *o, const struct session *s);

/* A connection of ours stands, or did not come about (errno). Return: false: nobody wants it any more. */
bool outgoing_stream_connected(struct outgoing *o, const struct coap_peer *peer, int error);
void outgoing_stream_closed(struct outgoing *o, const struct coap_peer *peer); /* any, by itself */

void outgoing_creds_changed(struct outgoing *o, uint16_t device); /* opened() again, for its sessions */

void outgoing_wake(struct outgoing *o); /* the loop turned */
uint64_t outgoing_deadline(const struct outgoing *o);

#endif
