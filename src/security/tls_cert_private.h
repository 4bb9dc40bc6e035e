/*
 * What the files of the engine with certificates share: tls_cert.c has the
 * association, tls_cert_bio.c what goes in and out of libssl, tls_cert_context.c
 * what is shown and believed, tls_cert_work.c the steps of a slow key.
 */
#ifndef OCF_SECURITY_TLS_CERT_PRIVATE_H
#define OCF_SECURITY_TLS_CERT_PRIVATE_H

#include "security/tls_cert.h"

#include <openssl/ssl.h>

struct tls_cert_trusted {
        bool any_subject;
        struct uuid subject;
        int32_t credid;
};

struct tls_cert_context {
        unsigned n_references;
        SSL_CTX *ctx[2]; /* DTLS, TLS */
        STACK_OF(X509) * anchors;
        struct tls_cert_trusted *trust; /* of each anchor */
        bool ask_peer, manufacturer, is_slow;
};

/* One thing to send, or one that came: a datagram, or bytes. */
struct tls_cert_bytes {
        struct tls_cert_bytes *next;
        size_t n;
        uint8_t bytes[];
};

/* What a call of libssl led to. */
struct tls_cert_outcome {
        enum tls_state state;
        enum tls_failure failure;
        uint8_t alert;
        const char *problem;
};

/*
 * While is_working, one other thread has ssl, input, the output and whatever
 * on_verify() writes (refused, peer, outcome); ours has the rest.
 */
struct tls_cert {
        struct tls base;
        struct tls_cert_context *context;
        SSL *ssl;
        int64_t wall_s;
        uint64_t until_ms;
        const uint8_t *input;
        size_t n_input;
        struct tls_cert_bytes *first, **last;
        size_t n_out;
        uint8_t *direct; /* where a record of seal() goes */
        size_t n_direct, n_direct_max;
        bool listened, is_slim; /* slim: its buffers are freed */
        const char *refused;    /* why its certificate is not good enough */
        struct tls_cert_peer peer;

        /* Of a slow key: */
        bool is_working, is_orphan; /* orphan: freed as soon as the work is done */
        struct tls_cert_outcome outcome;
        struct tls_cert_bytes *held, **last_held, *current; /* what came, and waits; where input is of */
        size_t n_held;
};

static inline struct tls_cert *tls_cert_of(struct tls *t) {
        return OCF_CONTAINER_OF(t, struct tls_cert, base);
}

/* tls_cert.c. A step of the handshake, as far as what came goes; on any thread. */
void tls_cert_step(struct tls_cert *c, struct tls_cert_outcome *ret);
void tls_cert_take(struct tls_cert *c, const struct tls_cert_outcome *o); /* what came of it */
void tls_cert_end(struct tls_cert *c, enum tls_failure failure, const char *problem);
void tls_cert_follow_time(struct tls_cert *c, uint64_t now_ms);
void tls_cert_free_bytes(struct tls_cert_bytes *first);

/* tls_cert_bio.c; NULL: no memory */
BIO *tls_cert_bio(struct tls_cert *c);

/* tls_cert_context.c: as libssl calls it when it has a peer's chain. */
int tls_cert_on_verify(X509_STORE_CTX *store, void *context);

/* tls_cert_work.c */
void tls_cert_hold(struct tls_cert *c, const uint8_t *data, size_t n); /* it came before its time */
bool tls_cert_take_held(struct tls_cert *c); /* the next of those is the input; false: there is none */
void tls_cert_work_begin(struct tls *t);
void tls_cert_work_run(struct tls *t);
struct tls *tls_cert_work_done(struct tls *t, uint64_t now_ms);

#endif
