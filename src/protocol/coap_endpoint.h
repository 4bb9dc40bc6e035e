/*
 * A CoAP endpoint without a world.
 *
 * It is given datagrams, the time and memory; it says what to send, when to
 * come back and what happened. It never calls anyone back. RFC 7252 (messages,
 * deduplication, retransmission, multicast), RFC 7641 (observe), RFC 7959
 * (Block2) as core.md 2 and the design's section 3 have them.
 *
 *     receive()  a datagram came               -> at most one event is ready
 *     event()    what happened; pop until COAP_EVENT_NONE after each receive() and each time deadline()
 * passed respond()  the answer to a request or notification event, now or much later transmit() what to send
 * now; pop until 0 deadline() when to call event() and transmit() again, though nothing was received
 *
 * One endpoint serves all logical devices and all sockets: the peer says which.
 * All state lives in one block of memory that the caller hands in; a full table
 * is an answer (5.03 with Max-Age, or an observation that is not granted).
 *
 * A request reaches the caller at most once, except what has no effect: GET and
 * FETCH, and requests that were refused with 4.xx, may be run again when the
 * client repeats them after they were answered (RFC 7252 4.5).
 */
#ifndef OCF_PROTOCOL_COAP_ENDPOINT_H
#define OCF_PROTOCOL_COAP_ENDPOINT_H

#include "protocol/coap_code.h"
#include "protocol/coap_peer.h"

struct coap_endpoint;

/* How many things of each kind there may be, in all and for one peer (by remote address). */
struct coap_limits {
        uint32_t n_exchanges; /* requests under way, and remembered answers to CON requests with an effect */
        uint32_t n_exchanges_per_peer;
        uint32_t n_observers;
        uint32_t n_observers_per_peer;
        uint32_t n_delayed; /* multicast requests waiting for their leisure */
        uint32_t n_pages;   /* pages of 256 bytes for bodies under way, remembered answers and unacknowledged
                               messages */
        uint32_t n_pages_per_peer;
        uint32_t n_outgoing; /* bytes of messages that wait for transmit() */
};

extern const struct coap_limits coap_limits_default; /* for a gateway */

struct coap_config {
        struct coap_limits limits;
        uint32_t (*random)(void *context); /* unpredictable: message ids, ETags, leisure, hash seeds */
        void *random_context;
        uint32_t ack_timeout_ms;       /* 2000, RFC 7252 4.8 */
        uint32_t ack_random_percent;   /* 150 */
        uint32_t max_retransmit;       /* 4 */
        uint32_t exchange_lifetime_ms; /* 247000 */
        uint32_t non_lifetime_ms;      /* 145000 */
        uint32_t processing_ms;   /* a CON request gets its empty ACK after this long without an answer */
        uint32_t leisure_ms;      /* of answers to multicasts: 500 */
        uint32_t leisure_doxm_ms; /* of those to /oic/sec/doxm: 2000 */
        uint32_t con_every;       /* every n-th notification to an observer is CON */
        uint32_t con_after_ms;    /* and any that comes so long after the last proof of life */
        uint32_t block_szx;       /* 6: largest block we send is 1024 bytes */
};

extern const struct coap_config coap_config_default; /* all but random */

size_t coap_endpoint_size(const struct coap_limits *limits);

/*
 * memory: coap_endpoint_size() bytes of zeroes, aligned as malloc aligns; it stays the caller's. What is
 * never used is never touched, so calloc() of a generous size costs little.
 */
struct coap_endpoint *coap_endpoint_init(void *memory, const struct coap_config *config);

typedef uint64_t coap_id; /* of a request or observer; stale ids are recognised and harmless */

struct coap_request {
        uint8_t method; /* enum coap_method */
        bool confirmable;
        bool multicast;
        bool wants_observe; /* Observe 0: say in the response whether it is granted */
        bool ocf_version;   /* carried option 2049 */
        int accept;         /* enum coap_content_format or COAP_FORMAT_NONE */
        int content_format; /* likewise */
        struct span path;   /* "/a/b"; "/" when there is no Uri-Path; never unescaped, may hold any byte */
        struct span query;  /* Uri-Query options joined with '&'; empty when there are none */
        struct span payload;
        uint8_t n_etags; /* ETag options of the request (at most 4 are kept) */
        struct span etags[4];
        bool if_none_match;
        bool if_match; /* has If-Match options; if_match_etags holds the non-empty ones */
        uint8_t n_if_match_etags;
        struct span if_match_etags[4];
};

enum coap_event_type {
        COAP_EVENT_NONE,
        COAP_EVENT_REQUEST, /* answer with respond(), or give it up with ignore() */
        COAP_EVENT_NOTIFY,  /* an observer is due: respond() as to the GET in request, which is the one it
                               registered with */
};

struct coap_event {
        enum coap_event_type type;
        coap_id id;
        struct coap_peer peer;
        struct coap_request request; /* its spans are good until the next call of any function here */
        uint64_t resource;           /* of NOTIFY: what respond() named when it granted the observation */
};

struct coap_response {
        uint8_t code;       /* enum coap_code */
        int content_format; /* or COAP_FORMAT_NONE; 10000 brings option 2053 with it where the request carried
                               2049 or came over a channel */
        struct span
                payload;   /* copied before respond() returns; any size: what does not fit goes block-wise */
        struct span etag;  /* up to 8 bytes; empty: one is made from the payload where blocks need it */
        int64_t max_age_s; /* -1: not sent */
        bool observe;      /* to a request with wants_observe: granted */
        uint64_t resource; /* then what to hand to coap_endpoint_notify() later; never 0 */
};

enum { COAP_E_UNKNOWN_ID = 1 };

/*
 * A datagram arrived. multicast: it was sent to a group; peer->local_ip is then
 * the address from which we would answer. Anything at all may stand in it.
 * data must stay until the event was popped.
 */
void coap_endpoint_receive(struct coap_endpoint *ep, uint64_t now_ms, const struct coap_peer *peer,
                           bool multicast, struct span data);

/* Pops what happened; false and COAP_EVENT_NONE when there is nothing more. */
bool coap_endpoint_event(struct coap_endpoint *ep, uint64_t now_ms, struct coap_event *ret);

/*
 * Answers a request or notification event. An answer >= 4.00 to a multicast is
 * swallowed; one to a notification ends the observation. Returns 0;
 * COAP_E_UNKNOWN_ID when nobody waits any more (harmless).
 */
int coap_endpoint_respond(struct coap_endpoint *ep, uint64_t now_ms, coap_id id,
                          const struct coap_response *response);

/* Gives up a request event: nothing is sent (multicasts that are none of our business). A NOTIFY is tried
 * again on the next change. */
void coap_endpoint_ignore(struct coap_endpoint *ep, coap_id id);

/* The resource changed: each of its observers becomes due, one NOTIFY event each; a change while one is under
 * way makes one more. */
void coap_endpoint_notify(struct coap_endpoint *ep, uint64_t now_ms, uint64_t resource);

/* Ends all observations of the resource with this error (4.04, 5.03 ...), Max-Age if not negative. No GONE
 * events. */
void coap_endpoint_end_observers(struct coap_endpoint *ep, uint64_t now_ms, uint64_t resource, uint8_t code,
                                 int64_t max_age_s);

/* Forgets all exchanges and observers that used this address of ours (16 bytes), or this interface if ip is
 * NULL, or this device if both are absent: silently, the way is gone. */
void coap_endpoint_forget_local(struct coap_endpoint *ep, const uint8_t *ip, uint32_t interface);

/* Copies the next datagram to send into buf and says to whom; 0 when there is none. n should be
 * COAP_MESSAGE_MAX. */
size_t coap_endpoint_transmit(struct coap_endpoint *ep, uint64_t now_ms, struct coap_peer *ret_to,
                              uint8_t *buf, size_t n);

/*
 * When something is due that has to do with time; OCF_NEVER when nothing is. Events and messages that are
 * ready now are not in it: they are popped after each call that may make some, or when the socket takes more.
 */
uint64_t coap_endpoint_deadline(const struct coap_endpoint *ep);

struct coap_counts {
        uint32_t n_exchanges, n_observers, n_delayed, n_pages, n_outgoing; /* in use now */
        uint64_t n_received, n_malformed, n_requests, n_duplicates, n_retransmissions, n_refused_full, n_sent;
};

void coap_endpoint_counts(const struct coap_endpoint *ep, struct coap_counts *ret);
uint32_t coap_endpoint_observers(const struct coap_endpoint *ep, uint64_t resource); /* how many */

#endif
