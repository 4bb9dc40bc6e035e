/*
 * Who may do what.
 *
 * One question: may this subject apply this method to this resource, now? One
 * verdict, with its reason. A pure function of what it is shown: it looks
 * nothing up, logs nothing, and changes nothing.
 */
#ifndef OCF_SECURITY_ACCESS_H
#define OCF_SECURITY_ACCESS_H

#include "base/util.h"

enum access_subject { ACCESS_ANON_CLEAR, ACCESS_AUTH_CRYPT, ACCESS_LOCAL };

struct access_question {
        bool owned;          /* has the device an owner? (doxm.owned) */
        bool allow_insecure; /* [Security] AllowInsecure= */
        enum access_subject subject;
        uint8_t method;            /* enum coap_method */
        bool resource_is_core;     /* /oic/res, /oic/d, /oic/p: readable by anybody while unowned */
        bool resource_is_insecure; /* registered as Insecure */
};

enum access_reason {
        ACCESS_GRANTED_LOCAL,     /* an app of this machine; apps.d and the bus have decided before */
        ACCESS_GRANTED_DISCOVERY, /* reading a core resource of an unowned device */
        ACCESS_GRANTED_INSECURE,  /* the registration and the administrator opened it */
        ACCESS_DENIED_CORE_IS_READ_ONLY,
        ACCESS_DENIED_NOT_INSECURE, /* the app did not register it as Insecure */
        ACCESS_DENIED_NOT_ALLOWED,  /* it did, but AllowInsecure= is off */
        ACCESS_DENIED_NO_ENTRY,     /* owned, and nothing grants it */
        _ACCESS_REASON_N,
};

struct access_verdict {
        bool granted;
        enum access_reason reason;
};

struct access_verdict access_decide(const struct access_question *q);
const char *access_reason_text(enum access_reason reason); /* a sentence for the journal */

#endif
