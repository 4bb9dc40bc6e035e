/*
 * Who may do what.
 *
 * One question: may this subject apply this method to this resource, now? One
 * verdict, with its reason. A pure function of what it is shown: it looks
 * nothing up, logs nothing, and changes nothing.
 */
#ifndef OCF_SECURITY_ACCESS_H
#define OCF_SECURITY_ACCESS_H

#include "security/svr.h"

enum access_subject { ACCESS_ANON_CLEAR, ACCESS_AUTH_CRYPT, ACCESS_LOCAL };

/* What kind of resource it is, besides the core ones and the secure ones (security.md 0). */
enum access_resource {
        ACCESS_VERTICAL, /* an app's */
        ACCESS_NCR,      /* /oc/con, introspection */
        ACCESS_DCR,      /* for configuring the device: /oic/mnt, the cloud's */
};

struct access_question {
        bool owned;          /* has the device an owner? (doxm.owned); where there is no snapshot */
        bool allow_insecure; /* [Security] AllowInsecure= */
        enum access_subject subject;
        uint8_t method;            /* enum coap_method */
        bool resource_is_core;     /* /oic/res, /oic/d, /oic/p: readable by anybody while unowned */
        bool resource_is_insecure; /* registered as Insecure */

        const struct svr_snapshot *snapshot; /* NULL: a device without secure resources, plain access alone */
        const struct svr_session *session;   /* of ACCESS_AUTH_CRYPT */
        struct span href;                    /* "/a/light" */
        enum access_resource resource;       /* where it is neither core nor secure */
        bool resource_is_discoverable;
        bool resource_has_secure_endpoint, resource_has_plain_endpoint;
        bool creates;   /* if=oic.if.create */
        int64_t wall_s; /* seconds since 1970; negative: the clock is not trusted */
};

enum access_reason {
        ACCESS_GRANTED_LOCAL,          /* an app of this machine; apps.d and the bus have decided before */
        ACCESS_GRANTED_DISCOVERY,      /* reading a core resource of an unowned device */
        ACCESS_GRANTED_TRANSFER,       /* doxm and pstat of an unowned device: a transfer begins there */
        ACCESS_GRANTED_ONBOARDING,     /* the session that takes ownership */
        ACCESS_GRANTED_RESOURCE_OWNER, /* rowneruuid */
        ACCESS_GRANTED_DEVICE_OWNER,   /* devowneruuid */
        ACCESS_GRANTED_OWN_ROLES,      /* /oic/sec/roles is about the session itself */
        ACCESS_GRANTED_OWNER_ROLE,     /* oic.role.owner */
        ACCESS_GRANTED_ENTRY,          /* aceid says which */
        ACCESS_GRANTED_INSECURE,       /* the registration and the administrator opened it */
        ACCESS_DENIED_CORE_IS_READ_ONLY,
        ACCESS_DENIED_NOT_INSECURE,     /* the app did not register it as Insecure */
        ACCESS_DENIED_NOT_ALLOWED,      /* it did, but AllowInsecure= is off */
        ACCESS_DENIED_NO_ENTRY,         /* owned, and nothing grants it */
        ACCESS_DENIED_NO_PERMISSION,    /* an entry fits, but not for this method: aceid */
        ACCESS_DENIED_NOT_NOW,          /* an entry fits, but not at this time: aceid */
        ACCESS_DENIED_OTHER_SUBJECT,    /* an entry for this resource is somebody else's: aceid */
        ACCESS_DENIED_RESETTING,        /* RESET, or on the way there */
        ACCESS_DENIED_TRANSFER_RUNNING, /* in clear, while somebody takes ownership */
        ACCESS_DENIED_NOT_ONBOARDED,    /* no owner yet */
        ACCESS_DENIED_NOT_OPERATIONAL,  /* apps' resources wait for RFNOP */
        ACCESS_DENIED_NOT_SECURE,       /* a secure resource, in clear */
        _ACCESS_REASON_N,
};

struct access_verdict {
        bool granted;
        enum access_reason reason;
        int32_t aceid; /* the entry that decided, or came nearest; ACE_ID_NONE: none */
};

struct access_verdict access_decide(const struct access_question *q);
const char *access_reason_text(enum access_reason reason); /* a sentence for the journal */

/* The entries alone: access_list.c. */
struct access_verdict access_by_entries(const struct access_question *q, bool is_svr);
bool access_has_owner_role(const struct access_question *q);

#endif
