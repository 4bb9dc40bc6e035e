/*
 * A request on its way through the house, and its answer.
 *
 * The same shape for a request from the wire and from a local app, for a
 * handler in C and for one behind the bus: nobody can tell them apart, so every
 * test of the one serves the other.
 */
#ifndef OCF_MODEL_CALL_H
#define OCF_MODEL_CALL_H

#include "base/list.h"
#include "base/uuid.h"
#include "model/interface.h"
#include "protocol/coap_code.h"
#include "protocol/coap_peer.h"
#include "protocol/fault.h"

/* What the one who asks has proven (security.md: connection types). */
enum subject_kind {
        SUBJECT_ANON_CLEAR, /* plain CoAP */
        SUBJECT_AUTH_CRYPT, /* a secure channel; id says whose */
        SUBJECT_LOCAL,      /* an app on this machine; uid says whose */
};

struct subject {
        enum subject_kind kind;
        struct uuid id; /* of SUBJECT_AUTH_CRYPT */
        uint32_t uid;   /* of SUBJECT_LOCAL */
};

struct ocf_request {
        uint8_t method; /* enum coap_method */
        bool multicast;
        bool notify; /* asked for the sake of observers, not of one peer: subject is empty */
        uint16_t device;
        struct subject subject;
        struct span path;      /* "/a/light" */
        struct span query;     /* "if=oic.if.s&rt=x", not unescaped */
        struct span payload;   /* normal form (protocol/rep.h); data NULL: none */
        int accept;            /* enum coap_content_format or COAP_FORMAT_NONE: the default */
        struct coap_peer peer; /* all zero for SUBJECT_LOCAL */
        uint8_t n_etags;
        struct span etags[4]; /* an answer that still has one of these may be 2.03 */
};

struct ocf_response {
        enum fault fault; /* FAULT_NONE: success, and code says which */
        uint8_t code;     /* enum coap_code, of a success */
        struct span rep;  /* normal form; data NULL: no body */
        struct span raw;  /* instead of rep: bytes of another content format */
        int raw_format;
        uint64_t etag;          /* 0: none */
        int64_t max_age_s;      /* -1: not said */
        const char *diagnostic; /* of a fault; NULL: the sentence of its row */
};

#define OCF_RESPONSE_FAULT(f)                                                                                \
        ((struct ocf_response){ .fault = (f), .max_age_s = -1, .raw_format = COAP_FORMAT_NONE })
#define OCF_RESPONSE_OK(c)                                                                                   \
        ((struct ocf_response){ .code = (c), .max_age_s = -1, .raw_format = COAP_FORMAT_NONE })

struct resource;

/*
 * A request that waits for its answer. Whoever makes it sets done() and stays
 * the owner of its memory; whoever handles it calls call_answer() exactly once,
 * now or before the deadline, and does not touch it afterwards.
 */
struct call {
        struct list link;           /* for the use of whoever handles it */
        struct ocf_request request; /* its spans live as long as the call */
        enum interface interface;   /* the one selected; its name was checked, and that it lets the method
                                       through */
        uint64_t resource;    /* number of the resource, for who finds it again: it may be gone by then */
        uint64_t deadline_ms; /* CLOCK_BOOTTIME; answer FAULT_TIMEOUT by then */
        void (*done)(struct call *, const struct ocf_response *);
};

static inline void call_answer(struct call *c, const struct ocf_response *r) {
        c->done(c, r);
}

/*
 * Somebody who answers for a resource, embedded in what it really is. request()
 * gets each request that the resource's interface lets through. updated() tells
 * that a published value was changed by somebody else: rep is the whole new
 * value. release() is called once, when no resource refers to it any more.
 */
struct handler {
        const struct handler_vtable *vtable;
        size_t n_references; /* kept by the model */
};

struct handler_vtable {
        void (*request)(struct handler *, const struct resource *,
                        struct call *); /* NULL: none, values are published */
        void (*updated)(struct handler *, const struct resource *, const struct ocf_request *cause);
        void (*release)(struct handler *);
};

#endif
