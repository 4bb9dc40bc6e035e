/*
 * The engine of (D)TLS 1.2 for suites with certificates: libssl, with sockets,
 * time and trust taken out of its hands.
 *
 * What a device shows and whom it trusts stand in a context, made anew when its
 * credentials change; associations keep the one that they began with. Whom a
 * peer is, and whether that is good enough, is decided per association by
 * certificate.h: nothing is remembered in what they share.
 */
#ifndef OCF_SECURITY_TLS_CERT_H
#define OCF_SECURITY_TLS_CERT_H

#include "security/certificate.h"
#include "security/svr.h"
#include "security/tls.h"

struct tls_cert_context;

struct tls_cert_trust {
        struct span pem; /* one authority */
        bool any_subject;
        struct uuid subject; /* whom it may vouch for */
        int32_t credid;
};

struct tls_cert_identity {
        struct span chain; /* PEM, leaf first */
        EVP_PKEY *key;     /* a reference of ours is taken */
        const struct tls_cert_trust *trust;
        size_t n_trust;
        bool ask_peer; /* as a server: who shows no certificate is nobody; false: in an ownership transfer */
        bool is_slow;  /* the key takes its time: the steps of a handshake are work (tls.h) */
        bool manufacturer; /* as a client: the peer shows a manufacturer's certificate, whose CN may be
                              anything */
};

/* Return: 0; -EINVAL: chain or key are none; -ENOMEM. */
int tls_cert_context_new(struct tls_cert_context **ret, const struct tls_cert_identity *identity);
struct tls_cert_context *tls_cert_context_ref(struct tls_cert_context *c);
struct tls_cert_context *tls_cert_context_unref(struct tls_cert_context *c);

struct tls_cert_config {
        struct tls_cert_context *context;
        bool stream, client;
        uint16_t suite; /* of a server: the chosen one; of a client: 0, all of them are offered */
        int64_t wall_s; /* seconds since 1970; negative: as certificate.h has it */
};

/* As tls_psk_new(). libssl looks at the clock itself for its retransmissions; deadline_ms follows it. */
int tls_cert_new(struct tls **ret, const struct tls_cert_config *config, uint64_t now_ms);

struct tls_cert_peer {
        struct uuid id; /* nil: it showed none, or (manufacturer) one that names no UUID */
        X509 *leaf;     /* NULL: it showed none; good as long as the association */
        int32_t credid; /* of the authority that vouched */
};

/* Of one that is open; before and afterwards it is nobody. */
void tls_cert_peer(const struct tls *t, struct tls_cert_peer *ret);
bool tls_is_cert(const struct tls *t);

#endif
