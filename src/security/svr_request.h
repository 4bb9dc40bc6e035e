/*
 * A request to a secure resource, and what it led to.
 *
 * Access has been granted before; here the rules of the properties bite: which
 * may be written in which state, by which session, and together with what. A
 * request either does all that it says or changes nothing.
 *
 * What only cryptography can tell is asked for: SVR_E_NEEDS_KEY comes with the
 * question, nothing has changed, and the caller asks again with the answer
 * added to its replies, however long that took. So there is no callback, and a
 * slow token stays off the loop.
 */
#ifndef OCF_SECURITY_SVR_REQUEST_H
#define OCF_SECURITY_SVR_REQUEST_H

#include "model/call.h"
#include "security/svr.h"

enum svr_need_kind {
        SVR_NEED_OWNER_PSK,  /* 16 bytes, out of the onboarding session (security.md 4.5) */
        SVR_NEED_CSR,        /* PEM, signed with the identity key, for CN=uuid:<device> */
        SVR_NEED_IDENTITY,   /* is this chain for our identity key, and our UUID in its CN? */
        SVR_NEED_ROLE_CHAIN, /* is this chain, with role, for our identity key? */
        SVR_NEED_ANCHOR,     /* is this one certificate of an authority? */
        SVR_NEED_PEER_ROLE,  /* does this chain prove a role of the session's peer (security.md 5.6)? */
};

struct svr_need {
        enum svr_need_kind kind;
        enum svr_transfer transfer; /* of SVR_NEED_OWNER_PSK: which label */
        struct uuid device, owner;
        struct span pem; /* points into the request */
};

/* The answer to one need; they come in the order in which the needs came. */
struct svr_reply {
        enum svr_need_kind kind;
        bool ok;           /* false: no, or it could not be done */
        struct span bytes; /* the key; the CSR */
        struct span role, authority;
        bool is_owner;
        int64_t until_s;
};

#define SVR_REPLIES_MAX 16 /* certificates in one request */

struct svr_call {
        enum svr_id id;
        const struct ocf_request *request;
        enum interface interface;
        struct svr_session *session; /* NULL: plain CoAP */
        uint64_t now_ms;             /* CLOCK_BOOTTIME */
        uint64_t random;             /* for ids */
        size_t n_replies;
        const struct svr_reply *replies;
};

/* What the caller does after the answer is durable. */
enum svr_effect {
        SVR_EFFECT_DEVICEUUID = 1, /* /oic/d, the hint, the subject of the CSR */
        SVR_EFFECT_OWNED = 2,      /* doxm.owned has changed */
        SVR_EFFECT_PIN = 4,        /* draw a new PIN and show it */
        SVR_EFFECT_STATE = 8,   /* another state: look at observers; with RFNOP the onboarding session ends */
        SVR_EFFECT_RESET = 16,  /* a reset is pending: svr_machine_deadline() */
        SVR_EFFECT_ACCESS = 32, /* entries, roles or owners changed: look at observers */
        SVR_EFFECT_CREDS = 64,  /* close the sessions whose credential is gone */
        SVR_EFFECT_SDI = 128,   /* /oic/res tells another domain */
        SVR_EFFECT_TRANSFER = 256, /* another transfer method: another list of suites */
};

struct svr_result {
        struct ocf_response response; /* its rep points into the writer */
        uint32_t changed;             /* SVR_BIT(): save these in one transaction before answering */
        uint32_t effects;             /* enum svr_effect */
        struct svr_need need;         /* of SVR_E_NEEDS_KEY */
};

enum {
        SVR_E_NEEDS_KEY = 1, /* answer result->need and ask again */
        SVR_E_SILENT,        /* a multicast that is not for us */
};

/* Return: 0 and the response; SVR_E_*; -ENOMEM. Nothing has changed but after a success. */
int svr_request(struct svr *svr, const struct svr_call *call, struct writer *out, struct svr_result *ret);

/* Bits of enum coap_method that a resource has. */
bool svr_has_method(enum svr_id id, uint8_t method);

#endif
