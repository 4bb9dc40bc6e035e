/*
 * One table of what can go wrong: the CoAP code, the D-Bus error name (behind
 * the prefix org.ocfd.Error.) and a sentence that says what is wrong and what
 * to do next. dbus/bus_fault.c puts the prefix in front; the wire uses the
 * code and sends the sentence as diagnostic payload where the peer may know.
 */
#ifndef OCF_PROTOCOL_FAULT_H
#define OCF_PROTOCOL_FAULT_H

#include "base/span.h"

enum fault {
        FAULT_NONE,
        FAULT_BAD_REQUEST,         /* 4.00: malformed query, option or argument */
        FAULT_BAD_REPRESENTATION,  /* 4.00: payload is not what the resource can take */
        FAULT_NOT_AUTHORIZED,      /* 4.01 */
        FAULT_BAD_OPTION,          /* 4.02 */
        FAULT_FORBIDDEN,           /* 4.03: the interface does not let this through, or the app says no */
        FAULT_NOT_FOUND,           /* 4.04 */
        FAULT_METHOD_NOT_ALLOWED,  /* 4.05 */
        FAULT_NOT_ACCEPTABLE,      /* 4.06 */
        FAULT_PRECONDITION_FAILED, /* 4.12 */
        FAULT_TOO_LARGE,           /* 4.13 */
        FAULT_UNSUPPORTED_FORMAT,  /* 4.15 */
        FAULT_FAILED,              /* 5.00: the handler failed */
        FAULT_NOT_IMPLEMENTED,     /* 5.01 */
        FAULT_UNAVAILABLE,         /* 5.03: the app is restarting (Max-Age) */
        FAULT_BUSY,                /* 5.03: a table or queue is full (Max-Age) */
        FAULT_TIMEOUT,             /* 5.04: the app did not answer in time */
        FAULT_ALREADY_EXISTS,      /* bus only: the href belongs to another app */
        FAULT_INVALID_ARGUMENTS,   /* bus only: a registration or call that cannot be right */
        FAULT_LIMITS_EXCEEDED,     /* bus only: quota of the caller's uid */
        FAULT_NOT_ALLOWED,         /* bus only: policy, apps.d */
        FAULT_NOT_REACHABLE,       /* bus only: another device does not answer, or has no session with us */
        FAULT_NOT_OWNED,           /* bus only: by the onboarding tool of this daemon */
        FAULT_NOT_INITIALIZED,     /* bus only: there is no onboarding tool yet */
        _FAULT_N,
};

struct fault_row {
        uint8_t code;     /* enum coap_code */
        const char *name; /* NotFound */
        const char *text; /* one sentence */
};

const struct fault_row *fault_row(enum fault fault);

/* The fault for an error name without its prefix, as apps answer with it; FAULT_FAILED when there is none
 * such. */
enum fault fault_by_name(const char *name);

/* The best fault for a CoAP code >= 4.00. */
enum fault fault_by_code(uint8_t code);

#endif
