/*
 * One association of DTLS 1.2 or TLS 1.2, without a world.
 *
 * It is given what came from the peer, and the time; it says what to send,
 * when to come back, and what the peer said. Two engines stand behind it: our
 * own for the suites with pre-shared keys and without authentication
 * (tls_psk.h), and libssl for those with certificates (tls_cert.h). Which one
 * it is has been decided from the ClientHello before (tls_hello.h).
 *
 *     receive()   a datagram came, or bytes of a connection
 *     next()      what the peer said; pop until false after each receive()
 *     seal()      what we say, as one record
 *     transmit()  what to send besides: handshake and alerts; pop until 0 after next(), at the deadline,
 * after close() deadline    when to call transmit() though nothing came
 *
 * A step of the handshake may take long, when the key is somebody else's (a TPM).
 * Then next() leaves has_work, and the step is done by whoever drives the
 * association, on a thread of his choice:
 *
 *     work_begin()   from now on what comes is kept (bounded), nothing is sent, and close() and free() only
 *                    take note
 *     work_run()     on any thread: the one function that may be called beside the others
 *     work_done()    where the others are called; next() and transmit() have what came of it
 *
 * A failure is a state, never an error of ours: what a peer does cannot make
 * these functions fail.
 */
#ifndef OCF_SECURITY_TLS_H
#define OCF_SECURITY_TLS_H

#include "base/span.h"

#define TLS_DATAGRAM_MAX 1452u /* what a handshake puts into one datagram */
#define TLS_RECORD_MAX   (16384u + 2048u + 13u)
#define TLS_SEAL_MORE    128u /* a record is at most so much longer than what is in it */
#define TLS_PSK_MAX      32u
#define TLS_IDENTITY_MAX 64u /* longer ones are nobody's */
#define TLS_MASTER       48u
#define TLS_RANDOM       32u

enum tls_suite {
        TLS_ECDH_ANON_AES_128_CBC_SHA256 = 0xff00, /* OCF's own (security.md 4.2) */
        TLS_ECDHE_PSK_AES_128_CBC_SHA256 = 0xc037,
        TLS_ECDHE_ECDSA_AES_128_CCM = 0xc0ac,
        TLS_ECDHE_ECDSA_AES_256_CCM = 0xc0ad,
        TLS_ECDHE_ECDSA_AES_128_CCM_8 = 0xc0ae,
        TLS_ECDHE_ECDSA_AES_256_CCM_8 = 0xc0af,
        TLS_ECDHE_ECDSA_AES_128_GCM_SHA256 = 0xc02b,
        TLS_ECDHE_ECDSA_AES_256_GCM_SHA384 = 0xc02c,
        TLS_ECDHE_ECDSA_AES_128_CBC_SHA256 = 0xc023,
        TLS_ECDHE_ECDSA_AES_256_CBC_SHA384 = 0xc024,
};

enum tls_state {
        TLS_HANDSHAKE,
        TLS_OPEN,
        TLS_CLOSED, /* failure says why; transmit() may still have a last word */
};

enum tls_failure {
        TLS_FAILURE_NONE,        /* not closed, or closed by us */
        TLS_FAILURE_BYE,         /* the peer said close_notify */
        TLS_FAILURE_ALERT,       /* the peer said something fatal: alert has its number */
        TLS_FAILURE_TIMEOUT,     /* no sign of life during the handshake */
        TLS_FAILURE_PROTOCOL,    /* what it sent was no handshake, or not this one */
        TLS_FAILURE_KEY,         /* it does not have the key: its Finished is wrong */
        TLS_FAILURE_CERTIFICATE, /* its certificate is not good enough; problem says why */
        TLS_FAILURE_NO_SUITE,    /* nothing in common */
        TLS_FAILURE_OURS,        /* no memory, or cryptography failed: our trouble, not the peer's */
};

struct tls {
        const struct tls_vtable *vtable;
        enum tls_state state;
        enum tls_failure failure;
        uint8_t alert;       /* what the peer or we said last, RFC 5246 7.2 */
        const char *problem; /* a sentence for the journal; NULL: none */
        bool stream;         /* TLS: a connection; else DTLS: datagrams */
        bool client;
        uint16_t suite; /* enum tls_suite; 0: not yet agreed on */
        bool has_work;  /* a step of the handshake is to be run: work_begin() */
        bool was_named; /* a server: the peer has named its key. Who does, and never opens it, has guessed */
        uint64_t n_opened;    /* records that were shown to be the peer's */
        uint64_t deadline_ms; /* OCF_NEVER: nothing is due */
};

/* What an owner's key is derived from (security.md 4.5). */
struct tls_secrets {
        uint16_t suite;
        uint8_t master[TLS_MASTER], client_random[TLS_RANDOM], server_random[TLS_RANDOM];
};

struct tls_vtable {
        void (*receive)(struct tls *t, uint64_t now_ms, uint8_t *data, size_t n);
        bool (*next)(struct tls *t, uint64_t now_ms, struct span *ret);
        size_t (*seal)(struct tls *t, struct span data, uint8_t *buf, size_t n);
        size_t (*transmit)(struct tls *t, uint64_t now_ms, uint8_t *buf, size_t n);
        void (*close)(struct tls *t);
        bool (*secrets)(const struct tls *t, struct tls_secrets *ret);
        struct tls *(*free)(struct tls *t);
        void (*work_begin)(struct tls *t); /* these three: NULL when it never has work */
        void (*work_run)(struct tls *t);
        struct tls *(*work_done)(struct tls *t, uint64_t now_ms);
};

/* The bytes are decrypted where they are, and stay the association's until next() said false. What does not
 * belong to it (forged, repeated, of another epoch) is dropped silently in DTLS, and ends it in TLS. */
static inline void tls_receive(struct tls *t, uint64_t now_ms, uint8_t *data, size_t n) {
        t->vtable->receive(t, now_ms, data, n);
}

/* Data of the peer, of one record; good until the next call. */
static inline bool tls_next(struct tls *t, uint64_t now_ms, struct span *ret) {
        return t->vtable->next(t, now_ms, ret);
}

/* Return: bytes of the record in buf; 0 when it is not open, or the data or the record would be too long. */
static inline size_t tls_seal(struct tls *t, struct span data, uint8_t *buf, size_t n) {
        return t->vtable->seal(t, data, buf, n);
}

/* Return: bytes in buf, at most TLS_DATAGRAM_MAX in DTLS unless a peer's certificates need more; 0: nothing
 * (more). n must be TLS_RECORD_MAX. */
static inline size_t tls_transmit(struct tls *t, uint64_t now_ms, uint8_t *buf, size_t n) {
        return t->vtable->transmit(t, now_ms, buf, n);
}

/* We end it: close_notify is in transmit(). */
static inline void tls_close(struct tls *t) {
        t->vtable->close(t);
}

/* false: not open yet. The caller wipes them. */
static inline bool tls_secrets(const struct tls *t, struct tls_secrets *ret) {
        return t->vtable->secrets(t, ret);
}

/* Wipes its keys; while work is under way, as soon as that is done. NULL stays NULL. */
static inline struct tls *tls_free(struct tls *t) {
        return t ? t->vtable->free(t) : NULL;
}

/* Only when it has work. */
static inline void tls_work_begin(struct tls *t) {
        t->vtable->work_begin(t);
}

static inline void tls_work_run(struct tls *t) {
        t->vtable->work_run(t);
}

/* Once for each begin, whether it was run or not. NULL: it was freed in the meantime, and is gone now. */
static inline struct tls *tls_work_done(struct tls *t, uint64_t now_ms) {
        return t->vtable->work_done(t, now_ms);
}

#endif
