/*
 * OCF interfaces: the views that a resource offers, and what each lets through
 * (core.md 5.3, 5.4).
 */
#ifndef OCF_MODEL_INTERFACE_H
#define OCF_MODEL_INTERFACE_H

#include "base/span.h"

enum interface {
        INTERFACE_BASELINE, /* oic.if.baseline: all, with the common properties */
        INTERFACE_LL,       /* oic.if.ll: links, read only */
        INTERFACE_B,        /* oic.if.b: batch */
        INTERFACE_R,        /* oic.if.r: read only */
        INTERFACE_RW,       /* oic.if.rw */
        INTERFACE_A,        /* oic.if.a: actuator */
        INTERFACE_S,        /* oic.if.s: sensor, read only */
        INTERFACE_W,        /* oic.if.w: write only */
        INTERFACE_CREATE,   /* oic.if.create */
        _INTERFACE_N,
};

const char *interface_name(enum interface i);
bool interface_parse(enum interface *ret, struct span name);

/* Does the interface let this method (enum coap_method) through? */
bool interface_allows(enum interface i, uint8_t method);

#endif
