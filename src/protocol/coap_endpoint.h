/*
 * A CoAP endpoint without a world: server and client.
 *
 * It is given datagrams, the time and memory; it says what to send, when to
 * come back and what happened. It never calls anyone back. RFC 7252 (messages,
 * deduplication, retransmission, multicast), RFC 7641 (observe), RFC 7959
 * (block-wise), RFC 8323 (streams), RFC 7967 (No-Response), RFC 9175 (Echo) as
 * core.md 2 and 3 and the design's section 3 have them.
 *
 *     receive()   a datagram came                -> at most one event is ready
 *     event()     what happened; pop until COAP_EVENT_NONE after each receive() and each time deadline()
 * passed respond()   the answer to a request or notification event, now or much later request()   a request
 * of ours              -> its response comes as an event transmit()  what to send now; pop until 0 deadline()
 * when to call event() and transmit() again, though nothing was received
 *
 * Over TCP and TLS the bytes of a connection go to stream_receive() instead.
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
        uint32_t n_observed;       /* resources that have observers */
        uint32_t n_peers;          /* addresses that have us hold anything */
        uint32_t n_unacknowledged; /* messages of ours that wait for their ACK; without room for one it goes
                                      once, as NON */
        uint32_t n_delayed;        /* multicast requests waiting for their leisure */
        uint32_t n_asks;           /* requests of ours under way, and observations of ours */
        uint32_t n_streams;        /* connections */
        uint32_t n_seen;           /* requests without an effect that are recognised when they come again */
        uint32_t n_addresses;      /* of which it is remembered what they have shown and were sent */
        uint32_t n_pages; /* pages of 128 bytes for bodies under way, remembered answers and unacknowledged
                             messages */
        uint32_t n_pages_per_peer;
        uint32_t n_outgoing; /* bytes of messages that wait for transmit() */
        uint32_t
                n_stream_message; /* bytes of the longest message taken from a stream; our Max-Message-Size */
        uint32_t n_body; /* bytes of the longest body, also when it is put together from blocks; more is 4.13
                          */
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
        uint32_t nstart; /* requests of ours to one peer that wait for a sign of life: 1, RFC 7252 4.7 */
        uint32_t csm_timeout_ms;  /* a connection without its CSM is closed after this long: 30000 */
        bool bound_amplification; /* three bytes out per byte in to who has not shown that it is there */
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
        COAP_EVENT_REQUEST,  /* answer with respond(), or give it up with ignore() */
        COAP_EVENT_NOTIFY,   /* an observer is due: respond() as to the GET in request, which is the one it
                                registered with; its path is not kept: resource says what it was */
        COAP_EVENT_RESPONSE, /* to a request of ours; more may follow while reply.more */
        COAP_EVENT_FAILED,   /* a request of ours ended without a response, see reply.failure */
        COAP_EVENT_CLOSE,    /* close this connection, its stream is forgotten already; but pop transmit() to
                                its end first, and write what it gave: the last word may be an Abort */
};

/* Why a request of ours got no response. */
enum coap_failure {
        COAP_FAILURE_NONE,
        COAP_FAILURE_TIMEOUT,    /* no sign of life, or none within timeout_ms */
        COAP_FAILURE_RESET,      /* the peer rejected the message */
        COAP_FAILURE_BODY,       /* blocks that contradict each other, or a body longer than we take */
        COAP_FAILURE_BAD_OPTION, /* a critical option that we do not know */
        COAP_FAILURE_CLOSED,     /* its connection is gone, or its local address */
        COAP_FAILURE_FULL,       /* our own tables had no room for what it needed */
};

/* What came back to a request of ours. */
struct coap_reply {
        enum coap_failure failure;
        uint8_t code;
        int content_format;
        int64_t max_age_s;   /* 60 where it is not said (RFC 7252, 5.10.5) */
        struct span payload; /* the whole body */
        struct span etag;
        bool observed;        /* the observation stands: more responses follow by themselves */
        bool more;            /* this id goes on: observed, or a multicast that is still listened for */
        bool without_version; /* the peer refused option 2049: better leave it out from the start */
};

struct coap_event {
        enum coap_event_type type;
        coap_id id;
        struct coap_peer peer; /* of RESPONSE: who answered, which for a multicast is not who was asked */
        struct coap_request request; /* spans of request and reply are good until the next call of any
                                        function here */
        uint64_t resource;           /* of NOTIFY: what respond() named when it granted the observation */
        struct coap_reply reply;
        uint64_t user; /* of RESPONSE and FAILED: what request() was given */
};

struct coap_response {
        uint8_t code;       /* enum coap_code */
        int content_format; /* or COAP_FORMAT_NONE; 10000 brings option 2053 with it where the request carried
                               2049 or came over a channel */
        struct span
                payload;   /* copied before respond() returns; any size: what does not fit goes block-wise */
        struct span etag;  /* up to 8 bytes; empty: one is made from the payload where blocks need it */
        int64_t max_age_s; /* -1: not sent */
        uint32_t size1;    /* with 4.13: how long a body would be taken; 0: not said */
        bool observe;      /* to a request with wants_observe: granted */
        uint64_t resource; /* then what to hand to coap_endpoint_notify() later; never 0 */
};

enum {
        COAP_E_UNKNOWN_ID = 1,
        COAP_E_FULL,     /* a table has no room: try again later */
        COAP_E_CLOSED,   /* there is no such connection, any more */
        COAP_E_TOO_LONG, /* path, query or options that do not fit one message, or a body over n_body */
};

/* How a datagram came. */
enum {
        COAP_VIA_MULTICAST =
                1,            /* to a group; peer->local_ip is then the address from which we would answer */
        COAP_VIA_ON_LINK = 2, /* from an address of a network that we are in */
};

/*
 * A datagram arrived. via: COAP_VIA_*. Anything at all may stand in it. data
 * must stay until the event was popped.
 */
void coap_endpoint_receive(struct coap_endpoint *ep, uint64_t now_ms, const struct coap_peer *peer,
                           unsigned via, struct span data);

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

/* ---- the client's side ---- */

/* A request of ours. Spans are copied before request() returns. */
struct coap_ask {
        uint8_t method;
        bool non_confirmable;
        bool multicast;   /* peer is a group: NON, and answers of many are taken until timeout_ms */
        bool observe;     /* GET or FETCH: registers, and stays until it is cancelled, refused or fails */
        bool ocf_version; /* 2049, and 2053 with a body; left out and tried again after a 4.02 */
        int accept;
        int content_format;
        struct span path;  /* "/a/b"; its segments are sent as they are */
        struct span query; /* parts are split at '&' */
        struct span payload;
        struct span etag;     /* one that we still have, so that 2.03 may come; empty: none */
        struct span if_match; /* empty: none */
        bool if_none_match;
        uint8_t no_response; /* RFC 7967; with bits set the end may come as COAP_FAILURE_TIMEOUT */
        uint32_t timeout_ms; /* from now, or from the last sign of life of an answer in blocks; 0: as RFC 7252
                                has it */
        uint64_t user;
};

#define COAP_ASK_DEFAULT                                                                                     \
        ((struct coap_ask){                                                                                  \
                .method = COAP_GET, .accept = COAP_FORMAT_NONE, .content_format = COAP_FORMAT_NONE })

/*
 * Sends a request, when its peer's turn comes (NSTART). Long bodies go and come
 * in blocks; a lost observation is registered again when its Max-Age ends.
 * Return: 0 and *ret; COAP_E_FULL; COAP_E_TOO_LONG; COAP_E_CLOSED.
 */
int coap_endpoint_request(struct coap_endpoint *ep, uint64_t now_ms, const struct coap_peer *peer,
                          const struct coap_ask *ask, coap_id *ret);

/* No event comes of it any more. An observation is also taken back at the peer (RFC 7641, 3.6). */
void coap_endpoint_cancel(struct coap_endpoint *ep, uint64_t now_ms, coap_id id);

/* ---- connections (RFC 8323) ---- */

/* A connection stands, of whichever side began it: peer->channel is its number, and peer->stream is set. Our
 * CSM is the first that goes out. Return: 0; COAP_E_FULL. */
int coap_endpoint_stream_open(struct coap_endpoint *ep, uint64_t now_ms, const struct coap_peer *peer);

/*
 * Bytes came. Takes them up to the first message that makes an event, and says
 * how many those were: pop events, transmit, then call again with the rest. 0
 * means that no answer would have room: transmit first. All are taken when no
 * such stream is known.
 */
size_t coap_endpoint_stream_receive(struct coap_endpoint *ep, uint64_t now_ms, const struct coap_peer *peer,
                                    struct span data);

/* The connection is gone: whatever hung on it goes, requests of ours fail. */
void coap_endpoint_stream_closed(struct coap_endpoint *ep, uint64_t now_ms, const struct coap_peer *peer);

/* Ends it from our side: Release is queued, and COAP_EVENT_CLOSE follows. */
void coap_endpoint_stream_release(struct coap_endpoint *ep, uint64_t now_ms, const struct coap_peer *peer);

/* A secure session over datagrams is over, peer->channel is its number: whatever hung on it goes, requests of
 * ours fail. (One over a connection is that connection.) */
void coap_endpoint_session_closed(struct coap_endpoint *ep, uint64_t now_ms, const struct coap_peer *peer);

/* Forgets all exchanges and observers that used this address of ours (16 bytes), or this interface if ip is
 * NULL, or this device if both are absent: silently, the way is gone. */
void coap_endpoint_forget_local(struct coap_endpoint *ep, uint64_t now_ms, const uint8_t *ip,
                                uint32_t interface);

/* Copies the next datagram, or message for a stream, to send into buf and says to whom; 0 when there is none.
 * n should be COAP_TRANSMIT_MAX. */
size_t coap_endpoint_transmit(struct coap_endpoint *ep, uint64_t now_ms, struct coap_peer *ret_to,
                              uint8_t *buf, size_t n);

/*
 * When something is due that has to do with time; OCF_NEVER when nothing is. Events and messages that are
 * ready now are not in it: they are popped after each call that may make some, or when the socket takes more.
 */
uint64_t coap_endpoint_deadline(const struct coap_endpoint *ep);

struct coap_counts {
        uint32_t n_exchanges, n_observers, n_delayed, n_pages, n_outgoing, n_asks, n_streams,
                n_uploads; /* in use now */
        uint64_t n_received, n_malformed, n_requests, n_duplicates, n_retransmissions, n_refused_full, n_sent,
                n_held_back; /* answers made smaller, or not given, to an address that has proven nothing */
};

void coap_endpoint_counts(const struct coap_endpoint *ep, struct coap_counts *ret);
uint32_t coap_endpoint_observers(const struct coap_endpoint *ep, uint64_t resource); /* how many */

#endif
