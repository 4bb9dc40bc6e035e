/*
 * The onboarding tool's operations, without a world: flows (services.md 1.3, 1.4).
 *
 * A flow says what it wants next: a request to be sent, a channel to be opened,
 * a key to be stored, a person to be asked. It is told what came of it, and goes
 * on, until it wants its end. It never calls anyone and looks at no clock.
 *
 * Whatever fails, and wherever: a device whose transfer has not come to its
 * point of no return is reset, or left to reset itself, and its key is
 * forgotten; from that point on its key is kept, and the flow finds out over a
 * new session how far the device had come, and goes on from there. What was
 * begun in RFPRO is taken back where it can be, and the device brought back into
 * RFNOP. Cancelling is a failure by a person.
 */
#ifndef OCF_SECURITY_OBT_H
#define OCF_SECURITY_OBT_H

#include "security/authority.h"
#include "security/keys.h"
#include "security/svr.h"

struct obt_flow;

#define OBT_TEXT_MAX    256u
#define OBT_METHODS_MAX 3u

enum obt_operation {
        OBT_OWN,
        OBT_RESET,
        OBT_SET_STATE,
        OBT_PAIR,
        OBT_ISSUE_IDENTITY,
        OBT_ISSUE_ROLES,
        OBT_ADD_ANCHOR,
        OBT_ADD_ACCESS,
        OBT_REMOVE_ACCESS,
        OBT_REMOVE_CREDENTIAL,
        OBT_CONFIGURE_CLOUD,
        OBT_SET_DOMAIN,
};

/* Spans are copied. */
struct obt_config {
        enum obt_operation operation;
        struct uuid tool;
        struct uuid targets[2]; /* the second one of OBT_PAIR */
        void (*random)(void *context, uint8_t *ret, size_t n);
        void *context;
        struct authority *authority; /* outlives the flow; NULL: no certificates */
        int64_t wall_s;

        /* OBT_OWN */
        enum svr_transfer methods[OBT_METHODS_MAX]; /* the preferred one first */
        size_t n_methods;
        bool with_certificate; /* gives it an identity in the same go, where the device can have one */
        struct uuid domain;
        struct span domain_name; /* and of OBT_SET_DOMAIN */
        bool domain_private;

        bool forget;                        /* OBT_RESET: drop the key though the device does not answer */
        enum svr_state state;               /* OBT_SET_STATE */
        const struct authority_role *roles; /* OBT_ISSUE_ROLES */
        size_t n_roles;
        struct span pem; /* OBT_ADD_ANCHOR; with subject, a UUID or "*" */
        struct span
                subject;   /* and of OBT_ADD_ACCESS: anon-clear, auth-crypt, a UUID, role:NAME[@AUTHORITY] */
        bool manufacturer; /* OBT_ADD_ANCHOR: of manufacturers */
        const struct span *hrefs; /* OBT_ADD_ACCESS: paths, or "*", "+", "-" */
        size_t n_hrefs;
        uint8_t permission;                        /* enum ace_permission */
        int32_t number;                            /* aceid (0: all but the tool's own), credid */
        struct span cis, sid, apn, at, cloud_href; /* OBT_CONFIGURE_CLOUD */
};

enum obt_want_type {
        OBT_WANT_NOTHING, /* wait for what was wanted before */
        OBT_WANT_REQUEST,
        OBT_WANT_CONNECT,    /* a session in which ownership is taken */
        OBT_WANT_DISCONNECT, /* close it; nothing needs to be told */
        OBT_WANT_PIN,        /* ask a person for the PIN that the device shows */
        OBT_WANT_STORE,      /* the owner's key has to be durable before anything else */
        OBT_WANT_FORGET,     /* drop it; tell when that is durable */
        OBT_WANT_PAUSE,      /* come back after pause_ms: obt_flow_paused() */
        OBT_WANT_END,
};

enum obt_channel {
        OBT_CLEAR,
        OBT_TRANSFER, /* the session of OBT_WANT_CONNECT */
        OBT_OWNER,    /* one with the owner's key */
};

/* Spans are good until the flow is told something. */
struct obt_want {
        enum obt_want_type type;
        struct uuid device; /* REQUEST, CONNECT, STORE, FORGET: as it is called now */
        enum obt_channel channel;
        uint8_t method; /* enum coap_method */
        const char *path, *query;
        struct span payload;        /* normal form; empty: none */
        enum svr_transfer transfer; /* CONNECT: how */
        struct span key;            /* CONNECT with a PIN; STORE */
        uint32_t pause_ms;
        bool succeeded;   /* END */
        const char *text; /* END: a sentence for people */
        bool renamed;     /* the device was called was before: told once, with the next want */
        struct uuid was;
};

int obt_flow_new(struct obt_flow **ret, const struct obt_config *config); /* 0; -ENOMEM; -EINVAL */
struct obt_flow *obt_flow_free(struct obt_flow *f);

/* What it wants now; the same until it is told. */
void obt_flow_want(struct obt_flow *f, struct obt_want *ret);

/* What came of it. payload in normal form; code 0 and why: no answer, or no session. */
void obt_flow_answer(struct obt_flow *f, uint8_t code, struct span payload, const char *why);
void obt_flow_connected(struct obt_flow *f, const struct tls_secrets *secrets,
                        const char *why);               /* NULL: why not */
void obt_flow_pin(struct obt_flow *f, struct span pin); /* empty: nobody said one */
void obt_flow_stored(struct obt_flow *f, bool stored);  /* STORE and FORGET */
void obt_flow_paused(struct obt_flow *f);

/* Takes back what was begun; a reset that was asked for cannot be called back, and is found out about. What
 * is being stored is still told. Harmless when it is over. */
void obt_flow_cancel(struct obt_flow *f);

struct obt_progress {
        unsigned step, n_steps;
        const char *name; /* "just works", "owner key" ... */
        bool undoing;
};
void obt_flow_progress(const struct obt_flow *f, struct obt_progress *ret);

#endif
