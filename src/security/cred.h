/*
 * One credential: a key, a certificate chain or a trust anchor, and whom it is
 * about (security.md 1.5, 5.1, 9.1).
 *
 * An entry never changes: replacing it is making another one. Its secret is
 * wiped when it is freed, and nothing prints it. What a stranger wrote is
 * checked here for shape; what only a library of cryptography can tell (is
 * this a certificate, is it ours) is asked for by svr_cred.c.
 */
#ifndef OCF_SECURITY_CRED_H
#define OCF_SECURITY_CRED_H

#include "base/span.h"
#include "base/uuid.h"
#include "protocol/rep.h"

#define CRED_PUBLIC_MAX 4096 /* the schema says 3072; chains with a third certificate are longer */
#define CRED_TEXT_MAX   256  /* role, authority, period, desc */
#define CRED_ID_MAX     INT32_MAX
#define CRED_ID_NONE    (-1)
#define OSCORE_ID_TEXT  14 /* hex digits */

enum cred_type {
        CRED_PSK = 1,
        CRED_CERTIFICATE = 8,
        CRED_OSCORE_PAIR = 64,
        CRED_OSCORE_SENDER = 128,
        CRED_OSCORE_RECEIVER = 256,
};

enum cred_usage {
        CRED_USAGE_NONE, /* not a certificate */
        CRED_TRUSTCA,
        CRED_CERT,
        CRED_ROLECERT,
        CRED_MFGTRUSTCA,
        CRED_MFGCERT,
        _CRED_USAGE_N,
};

struct cred {
        int32_t id; /* CRED_ID_NONE: not chosen yet */
        enum cred_type type;
        enum cred_usage usage;
        bool any_subject; /* "*" */
        struct uuid subject;
        bool derive;                 /* a key of no bytes came: derive it from the onboarding session */
        bool own_key;                /* the private key is the identity key of the device */
        struct span secret;          /* of a key; of mfgcert */
        struct span public_data;     /* PEM */
        struct span role, authority; /* of a peer with this PSK; data NULL: none */
        struct span period;
        struct span senderid, recipientid, desc; /* OSCORE */
        uint8_t bytes[];                         /* what the spans of an owned one point to */
};

enum cred_source { CRED_FROM_PEER, CRED_FROM_STORE };

/* Reads an item in normal form; the spans point into it, or into scratch. Return: NULL, or what is wrong. */
#define CRED_SCRATCH_MAX 64
const char *cred_parse(struct cred *ret, struct span item, enum cred_source source,
                       uint8_t scratch[static CRED_SCRATCH_MAX]);

int cred_new(struct cred **ret, const struct cred *view); /* 0 or -ENOMEM */
struct cred *cred_free(struct cred *c);
OCF_DEFINE_CLEANUP(struct cred, cred_free)

/* What GET answers has no secret in it; what goes to the store has. */
void cred_put(struct writer *w, const struct cred *c, enum cred_source whom);
size_t cred_size(const struct cred *c); /* charged against the limit of all of them */

bool cred_says_the_same(const struct cred *a, const struct cred *b);  /* whatever their ids */
bool cred_is_about(const struct cred *c, const struct uuid *subject); /* exactly: "*" is nobody */
bool cred_has_key(const struct cred *c);                              /* something to wipe, or our own key */

const char *cred_usage_name(enum cred_usage usage);
void secret_wipe(void *data, size_t n);

#endif
