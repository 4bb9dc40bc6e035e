/*
 * Who holds what inside an endpoint. One idea per file:
 *
 *     coap_layout.c    how large it is, and where everything lies
 *     coap_endpoint.c  datagrams in, events and datagrams out, time
 *     coap_respond.c   answers of the caller
 *     coap_account.c   what each peer has us hold
 *     coap_exchange.c  requests under way and answers remembered (deduplication)
 *     coap_answer.c    from a response to messages, whole or in blocks
 *     coap_body.c      bodies that are being fetched block by block
 *     coap_reliable.c  CON messages of ours until they are acknowledged
 *     coap_observe.c   observers and when they are due
 */
#ifndef OCF_PROTOCOL_COAP_PRIVATE_H
#define OCF_PROTOCOL_COAP_PRIVATE_H

#include "base/list.h"
#include "protocol/coap_endpoint.h"
#include "protocol/coap_message.h"
#include "protocol/coap_outgoing.h"
#include "protocol/coap_pages.h"
#include "protocol/coap_parse_request.h"
#include "protocol/coap_pool.h"

/* By remote address; of global IPv6 addresses only the /64 counts, since who has one has them all. */
struct coap_account {
        struct coap_slot slot;
        struct coap_hash_node node;
        uint8_t ip[16];
        uint32_t n_exchanges, n_observers, n_pages;
        uint16_t next_mid; /* of ours to this peer: what others are told does not bring an id back (RFC
                              7252, 4.4) */
};

/* What the answer to a request has to look like. */
struct coap_shape {
        struct coap_peer peer;
        uint64_t request_hash; /* of peer, method, path, query, accept: whose body it is */
        uint32_t block2_num;
        uint16_t mid;
        int16_t accept;
        uint8_t method;
        uint8_t n_token;
        uint8_t token[COAP_TOKEN_MAX];
        uint8_t szx;
        uint8_t no_response;
        bool has_block2, confirmable, multicast, ocf_version, wants_observe;
};

enum coap_exchange_state {
        EXCHANGE_PENDING,    /* the caller has it */
        EXCHANGE_REMEMBERED, /* answered, and kept so that it is not done twice */
};

struct coap_exchange {
        struct coap_slot slot;
        struct coap_hash_node node; /* by peer and message id */
        struct list due;            /* in one of the endpoint's lists, in order of due_ms */
        uint64_t due_ms;
        uint64_t bytes_hash;
        struct coap_account *account;
        struct coap_stretch answer; /* of REMEMBERED: to be sent again; nothing of NON and separate ones */
        struct coap_stretch observe_query; /* of a registration that waits for its answer */
        struct coap_shape shape;
        enum coap_exchange_state state;
        bool acknowledged; /* with an empty ACK: the answer goes separately */
};

struct coap_reliable {
        struct coap_slot slot;
        struct coap_hash_node node; /* by peer and message id */
        struct coap_peer peer;
        struct coap_account *account;
        struct coap_observer *observer; /* whose notification it is; NULL: a separate response */
        struct coap_stretch message;
        uint64_t due_ms;
        uint32_t timeout_ms;
        uint32_t heap_index;
        uint16_t mid;
        uint8_t n_sent;
};

#define COAP_OBSERVER_QUERY_MAX 40 /* longer ones are answered, but not observed */

struct coap_observer {
        struct coap_slot slot;
        struct coap_hash_node node; /* by peer */
        struct list resource_link;  /* of the resource's observers, through by_resource */
        struct list due;            /* in due_observers */
        struct coap_peer peer;
        struct coap_account *account;
        struct coap_reliable *reliable; /* notification that waits for its ACK */
        uint64_t resource;
        uint64_t request_hash; /* as in coap_shape, of the registration */
        uint64_t proven_ms;    /* when the peer last showed that it is there */
        uint32_t sequence;
        uint32_t timeout_ms; /* of a CON that is to be replaced: its time-out goes on (RFC 7641, 4.5.2) */
        uint16_t mids[2];    /* of the last NON notifications: a RST may come for them */
        int16_t accept;
        uint8_t token[COAP_TOKEN_MAX];
        uint8_t n_token, n_sent, n_since_con, n_query, n_mids;
        bool dirty, pending,
                ocf_version; /* dirty: changed since the last event; pending: the caller has the event */
        uint8_t szx;
        uint8_t query[COAP_OBSERVER_QUERY_MAX];
};

_Static_assert(sizeof(struct coap_observer) <= 256 + 40,
               "an observer is small: there are ten thousand of them");

/* The observers of one resource. */
struct coap_resource {
        struct coap_slot slot;
        struct coap_hash_node node;
        struct list observers;
        uint64_t resource;
        uint32_t n_observers;
};

struct coap_body {
        struct coap_slot slot;
        struct coap_hash_node node; /* by request_hash */
        struct list due;
        uint64_t due_ms;
        struct coap_account *account;
        struct coap_stretch bytes;
        uint8_t code;
        uint8_t n_etag;
        uint8_t etag[COAP_ETAG_MAX];
        int content_format;
        int64_t max_age_s;
};

/* A multicast request that waits for its leisure. */
#define COAP_DELAYED_MAX 512
struct coap_delayed {
        struct coap_slot slot;
        struct list link;
        struct coap_peer peer;
        uint64_t due_ms;
        uint16_t n;
        uint8_t datagram[COAP_DELAYED_MAX];
};

/* Recently seen requests without an effect (NON and multicast): forgotten when others need the place. */
struct coap_seen {
        uint64_t key;
        uint64_t until_ms;
};

#define COAP_SEEN_WAYS 4
#define COAP_SEEN_SETS 2048

struct coap_endpoint {
        struct coap_config config;
        uint64_t seed, etag_seed; /* ETags leave the house, the other hashes never do */
        uint16_t next_mid;
        struct coap_pool accounts, exchanges, reliables, observers, resources, bodies, delayed;
        struct coap_hash by_account, by_exchange, by_reliable, by_observer, by_resource, by_body;
        struct coap_pages pages;
        struct coap_outgoing outgoing;
        struct coap_seen *seen;
        struct coap_reliable **heap;
        uint32_t n_heap;
        struct list pending_unacknowledged; /* exchanges by when their empty ACK is due */
        struct list pending;                /* the others, by when they are given up */
        struct list remembered_con, remembered_non, due_bodies, due_observers, waiting;
        struct coap_exchange *ready;         /* the request that receive() found */
        struct coap_request_details details; /* of ready, or of the last event */
        struct coap_request_scratch scratch;
        struct coap_counts counts;
        uint8_t message[COAP_MESSAGE_MAX];
};

/* coap_account.c */
struct coap_account *coap_account_obtain(struct coap_endpoint *ep,
                                         const struct coap_peer *peer);      /* NULL: full */
void coap_account_release(struct coap_endpoint *ep, struct coap_account *a); /* freed when it holds nothing */
bool coap_account_keep(struct coap_endpoint *ep, struct coap_account *a, struct span s,
                       struct coap_stretch *ret);
void coap_account_drop(struct coap_endpoint *ep, struct coap_account *a, struct coap_stretch *s);

/* coap_endpoint.c */
uint16_t coap_endpoint_next_mid(struct coap_endpoint *ep, struct coap_account *a); /* a may be NULL */
uint32_t coap_endpoint_random_below(struct coap_endpoint *ep, uint32_t n);
uint64_t coap_endpoint_mid_hash(const struct coap_endpoint *ep, const struct coap_peer *peer, uint16_t mid);
void coap_endpoint_send(struct coap_endpoint *ep, const struct coap_peer *to, struct span message);
void coap_endpoint_send_empty(struct coap_endpoint *ep, const struct coap_peer *to, enum coap_type type,
                              uint16_t mid);

/* coap_exchange.c */
bool coap_has_effect(uint8_t method);
struct coap_exchange *coap_exchange_find(struct coap_endpoint *ep, const struct coap_peer *peer, uint16_t mid,
                                         uint64_t bytes_hash);
struct coap_exchange *coap_exchange_new(struct coap_endpoint *ep, uint64_t now_ms,
                                        const struct coap_shape *shape, uint64_t bytes_hash); /* NULL: full */
void coap_exchange_free(struct coap_endpoint *ep, struct coap_exchange *x);
/* It was answered with this message: it is remembered or freed, as its method needs. */
void coap_exchange_done(struct coap_endpoint *ep, uint64_t now_ms, struct coap_exchange *x, uint8_t code,
                        struct span answer);
void coap_exchange_repeat(struct coap_endpoint *ep,
                          struct coap_exchange *x); /* the same request came again */
void coap_exchange_tick(struct coap_endpoint *ep, uint64_t now_ms);
bool coap_seen_before(struct coap_endpoint *ep, uint64_t now_ms, uint64_t key);

/* coap_body.c */
struct coap_body *coap_body_find(struct coap_endpoint *ep, uint64_t request_hash);
struct coap_body *coap_body_keep(struct coap_endpoint *ep, uint64_t now_ms, const struct coap_shape *shape,
                                 const struct coap_response *response, struct span etag); /* NULL: no room */
void coap_body_free(struct coap_endpoint *ep, struct coap_body *b);
void coap_body_touch(struct coap_endpoint *ep, uint64_t now_ms, struct coap_body *b);
void coap_body_tick(struct coap_endpoint *ep, uint64_t now_ms);

/* coap_answer.c: writes the message for a response into ep->message. */
struct coap_answer_options {
        enum coap_type type;
        uint16_t mid;
        int64_t observe; /* sequence, or -1: no Observe option */
};
struct span coap_answer(struct coap_endpoint *ep, uint64_t now_ms, const struct coap_shape *shape,
                        const struct coap_response *response, const struct coap_answer_options *options);
/* The usual way of an answer: in the ACK of a CON, or as a NON. */
struct coap_answer_options coap_answer_piggybacked(struct coap_endpoint *ep, struct coap_account *a,
                                                   const struct coap_shape *shape); /* a may be NULL */
bool coap_answer_is_suppressed(const struct coap_shape *shape, uint8_t code);       /* by No-Response */
/* One block of a body that is kept; out of range is 4.00. */
struct span coap_answer_block(struct coap_endpoint *ep, const struct coap_shape *shape,
                              const struct coap_body *body, const struct coap_answer_options *options);

/* coap_reliable.c */
/* Sends message, whose id is mid, until it is acknowledged. NULL: no room to keep it (it was not sent). */
struct coap_reliable *coap_reliable_send(struct coap_endpoint *ep, uint64_t now_ms,
                                         struct coap_account *account, const struct coap_peer *peer,
                                         uint16_t mid, struct span message, uint32_t timeout_ms,
                                         uint8_t n_sent);
struct coap_reliable *coap_reliable_find(struct coap_endpoint *ep, const struct coap_peer *peer,
                                         uint16_t mid);
void coap_reliable_free(struct coap_endpoint *ep, struct coap_reliable *r);
void coap_reliable_tick(struct coap_endpoint *ep, uint64_t now_ms);

/* coap_observe.c */
struct coap_observer *coap_observer_find(struct coap_endpoint *ep, const struct coap_peer *peer,
                                         const uint8_t *token, size_t n_token);
struct coap_observer *coap_observer_find_mid(struct coap_endpoint *ep, const struct coap_peer *peer,
                                             uint16_t mid);
struct coap_observer *coap_observer_new(struct coap_endpoint *ep, uint64_t now_ms,
                                        const struct coap_shape *shape, struct span query,
                                        uint64_t resource); /* NULL: not granted */
void coap_observer_free(struct coap_endpoint *ep, struct coap_observer *o);
void coap_observer_proven(struct coap_endpoint *ep, uint64_t now_ms, struct coap_observer *o);
/* Its CON was not acknowledged in time: send it again? false: something newer will take its place. */
bool coap_observer_resends(struct coap_endpoint *ep, struct coap_observer *o);
bool coap_observer_event(struct coap_endpoint *ep, struct coap_event *ret);
int coap_observer_respond(struct coap_endpoint *ep, uint64_t now_ms, struct coap_observer *o,
                          const struct coap_response *response);
void coap_observer_ignore(struct coap_endpoint *ep, struct coap_observer *o);

#endif
