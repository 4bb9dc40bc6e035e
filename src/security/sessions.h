/*
 * The secure sessions of all logical devices, without a world.
 *
 * It stands between the sockets and CoAP: datagrams and bytes of the secure
 * ports go in, what peers said comes out, with who they have proven to be; and
 * the other way round. Nothing is kept for an address that has not returned its
 * cookie (tls_hello.h). The ClientHello that has one chooses the engine, after
 * what the device's state allows (security.md 4.2, 4.3): while ownership is
 * taken the chosen method alone, later what there are credentials for.
 *
 *     receive()   a datagram, or bytes of a connection
 *     event()     what happened; pop until false after each receive()
 *     transmit()  handshakes, alerts; pop until 0
 *     seal()      a message of CoAP, on its way out
 *     work_*()    the steps of handshakes that take long (tls.h), for a thread of the caller's
 *
 * A ClientHello at the address of a living session makes a second one, which
 * takes the first one's place once it has proven itself, and not before (RFC 6347
 * 4.2.8). Full is an outcome: who has proven nothing goes first, then who was
 * silent longest.
 */
#ifndef OCF_SECURITY_SESSIONS_H
#define OCF_SECURITY_SESSIONS_H

#include "base/list.h"
#include "protocol/coap_peer.h"
#include "security/svr.h"
#include "security/tls_hello.h"

struct sessions;
struct session_work;

/* One association, as far as others may look. */
struct session {
        struct svr_session svr; /* what the peer has proven */
        struct coap_peer peer;  /* its channel is the session's number */
        struct tls *tls;        /* NULL: a connection whose ClientHello is not whole yet */
        int32_t credid;         /* of the PSK, or of the authority; CRED_ID_NONE: none */
        uint64_t key_hash;      /* of that PSK, or of the PIN: another one may come in its place */
        uint64_t opened_ms, last_ms;

        bool is_client; /* we began it */

        /* Of sessions.c: */
        struct session_connecting *connecting; /* of a client, until it is open */
        struct sessions *table;
        struct list order_link, address_link, number_link, timed_link, talking_link;
        struct list work_link;     /* it has a step to be run, or one that was */
        struct session_work *work; /* under way; NULL: none */
        uint8_t hello[8]; /* the start of the client's random: the same hello again is no other one */
        uint8_t *early;   /* of a connection: what came of its ClientHello */
        size_t n_early;
        bool is_open;
        bool is_expected;  /* it comes from where somebody has proven who he is */
        uint8_t group[16]; /* what its handshake is charged to: the address, or the network of a host with
                              IPv6 */
};

enum session_event_type {
        SESSION_NONE,
        SESSION_OPENED,
        SESSION_DATA,
        SESSION_CLOSED, /* one that was open */
        SESSION_FAILED, /* one that never was: tls->failure says why; tls NULL: it said nothing that could be
                           read */
};

struct session_event {
        enum session_event_type type;
        struct session *session; /* CLOSED, FAILED: good until the next event */
        struct span data;        /* good until the next call */
};

/* What the device says. Called from receive() only. */
struct sessions_host {
        void *context;
        /* The secure resources of a device; NULL: nobody gets in. */
        const struct svr *(*svr)(void *context, uint16_t device);
        /* The key of the PIN that is shown; 0: none is. */
        size_t (*pin)(void *context, uint16_t device, uint8_t ret[TLS_PSK_MAX]);
        /* Is there a certificate to show: the identity's, or in an ownership transfer the manufacturer's? */
        bool (*has_certificate)(void *context, uint16_t device);
        /* The engine for a suite with certificates. 0; -ENOMEM; -ENOENT: no certificate after all. */
        int (*certificate)(void *context, uint16_t device, uint16_t suite, bool stream, uint64_t now_ms,
                           struct tls **ret);
        /* Whom the certificate of an open session names, nil: nobody in particular; and the credential that
         * vouches for it. */
        void (*certificate_peer)(void *context, const struct tls *tls, struct uuid *ret, int32_t *ret_credid);
};

struct sessions_config {
        struct sessions_host host;
        uint32_t n_max;        /* sessions in all */
        uint32_t n_handshakes; /* of these, not yet open; strangers of unknown addresses get three quarters */
        uint32_t n_per_address; /* of those, of one address (IPv6: one network of 64 bits) */
        uint64_t idle_ms; /* a session over UDP ends that says nothing for so long (security.md 2.5: 600 s) */
};

#define SESSIONS_DEFAULT .n_max = 1024, .n_handshakes = 128, .n_per_address = 8, .idle_ms = 600000

int sessions_new(struct sessions **ret, const struct sessions_config *config); /* 0 or -ENOMEM */
struct sessions *sessions_free(struct sessions *s);

/* A datagram at a secure port; peer->channel is 0. It is changed in place, and must stay until event() says
 * false. */
void sessions_receive(struct sessions *s, uint64_t now_ms, const struct coap_peer *peer, uint8_t *data,
                      size_t n);

/* A connection at a secure port; false: there is no room. Its bytes; it is gone. */
bool sessions_stream_open(struct sessions *s, uint64_t now_ms, const struct coap_peer *peer);
void sessions_stream_receive(struct sessions *s, uint64_t now_ms, const struct coap_peer *peer, uint8_t *data,
                             size_t n);
void sessions_stream_closed(struct sessions *s, const struct coap_peer *peer);

bool sessions_event(struct sessions *s, uint64_t now_ms, struct session_event *ret);

/* What to send besides what was sealed; 0: nothing. n is at least TLS_RECORD_MAX. */
size_t sessions_transmit(struct sessions *s, uint64_t now_ms, struct coap_peer *ret_to, uint8_t *buf,
                         size_t n);

/*
 * The next step of a handshake that is to be run, in the order in which they came; NULL: none (any more). It
 * is run on any thread, while the sessions go on, and done where they are: then event() and transmit() have
 * what came of it. Each that was begun is to be done, even if it was never run, and even after
 * sessions_free().
 */
struct session_work *sessions_work_begin(struct sessions *s);
void sessions_work_run(struct session_work *w);
struct session_work *sessions_work_done(struct session_work *w, uint64_t now_ms); /* NULL */

/* How a session is begun by us. */
struct session_connect {
        struct uuid id;            /* who it must be */
        bool transfer;             /* nobody in particular, yet: ownership is about to be taken */
        uint16_t suite;            /* 0xFF00, 0xC037; 0: tls has it */
        struct span identity, key; /* of 0xC037 */
        int32_t credid;            /* whose key that is; CRED_ID_NONE: of no credential */
        struct tls *tls;           /* of certificates, as a client; it is taken */
};

enum { SESSIONS_E_FULL = 1, SESSIONS_E_BUSY };

/*
 * Begins one. Over datagrams peer has no channel; over a connection that we made
 * it has its number. OPENED or FAILED follows. Return: 0 and *ret; SESSIONS_E_FULL; SESSIONS_E_BUSY: one is
 * beginning there, of whichever side; -EINVAL: the key or the name is too long; -ENOMEM.
 */
int sessions_connect(struct sessions *s, uint64_t now_ms, const struct coap_peer *peer,
                     const struct session_connect *how, struct session **ret);

/* The open one at this address, whoever began it (peer's channel is not looked at); NULL: none. */
struct session *sessions_open_at(struct sessions *s, const struct coap_peer *peer);

/* That of this number, open or not yet. */
struct session *sessions_find_any(struct sessions *s, const struct coap_peer *peer);

/* The open session of this number; NULL: it is gone. */
struct session *sessions_find(struct sessions *s, const struct coap_peer *peer);

/* data may lie in buf anywhere. Return: bytes in buf; 0: it is gone. */
size_t sessions_seal(struct sessions *s, uint64_t now_ms, const struct coap_peer *peer, struct span data,
                     uint8_t *buf, size_t n);

/* Says goodbye and forgets, with an event CLOSED. */
void sessions_close(struct sessions *s, struct session *session);
void sessions_close_device(struct sessions *s, uint16_t device);

/* Of one that began while ownership is taken: is its key that of the PIN that is shown now? One that FAILED
 * with it was a guess. */
bool sessions_has_pin(const struct session *session);

/* Those whose credential is gone (security.md 6). */
void sessions_check(struct sessions *s, uint16_t device);
void sessions_forget_local(struct sessions *s, const uint8_t *ip,
                           uint32_t interface); /* as coap_endpoint's */

/* Is somebody in the middle of a handshake with the device, since a few seconds at most? */
bool sessions_handshaking(const struct sessions *s, uint16_t device, uint64_t now_ms);

uint64_t sessions_deadline(const struct sessions *s); /* when to call transmit() and event() */

struct sessions_counts {
        uint32_t n_open, n_handshakes; /* now */
        uint64_t n_opened, n_failed, n_refused, n_evicted, n_idle, n_cookies;
};
void sessions_counts(const struct sessions *s, struct sessions_counts *ret);

/* The open ones, the one that was silent longest first. */
const struct session *sessions_first(const struct sessions *s);
const struct session *sessions_after(const struct sessions *s, const struct session *session);

#endif
