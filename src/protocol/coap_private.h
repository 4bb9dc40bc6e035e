/*
 * Who holds what inside an endpoint. One idea per file:
 *
 *     coap_layout.c    how large it is, and where everything lies
 *     coap_endpoint.c  events and datagrams out, time
 *     coap_receive.c   datagrams in
 *     coap_leisure.c   multicast requests, answered later
 *     coap_stream.c    bytes of connections in     coap_signal.c  what they say of themselves
 *     coap_address.c   what an address has shown, and how much it may be sent
 *     coap_respond.c   answers of the caller
 *     coap_account.c   what each peer has us hold
 *     coap_exchange.c  requests under way and answers remembered (deduplication)
 *     coap_answer.c    from a response to messages, whole or in blocks
 *     coap_body.c      bodies that are being fetched block by block
 *     coap_upload.c    bodies of requests that come block by block
 *     coap_reliable.c  CON messages of ours until they are acknowledged
 *     coap_observe.c   observers and when they are due
 *     coap_client.c    requests of ours: their life
 *     coap_compose.c   requests of ours: their messages
 *     coap_reply.c     what comes back to them
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
#include "protocol/coap_timer.h"

/* By remote address; of global IPv6 addresses only the /64 counts, since who has one has them all. */
struct coap_account {
        struct coap_slot slot;
        struct coap_hash_node node;
        uint8_t ip[16];
        uint32_t n_exchanges, n_observers, n_pages, n_uploads;
        uint32_t n_asks;   /* requests of ours, and connections */
        uint16_t next_mid; /* of ours to this peer: what others are told does not bring an id back (RFC
                              7252, 4.4) */
};

/* What the answer to a request has to look like. */
struct coap_shape {
        struct coap_peer peer;
        uint64_t request_hash; /* of peer, method, path, query, accept: whose body it is */
        uint32_t block2_num;
        uint32_t block1; /* the option's value as the answer carries it, where has_block1 */
        uint16_t mid;
        uint16_t n_in; /* bytes of the request, for what may go out */
        int16_t accept;
        uint8_t method;
        uint8_t n_token;
        uint8_t token[COAP_TOKEN_MAX];
        uint8_t szx;
        uint8_t no_response;
        bool has_block2 : 1, has_block1 : 1, confirmable : 1, multicast : 1, ocf_version : 1,
                wants_observe : 1, on_link : 1;
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
        struct coap_stretch kept; /* of PENDING: the query of a registration. Of REMEMBERED: the answer, to be
                                     sent again; nothing of NON and separate ones */
        struct coap_shape shape;
        uint8_t state;     /* enum coap_exchange_state */
        bool acknowledged; /* with an empty ACK: the answer goes separately */
};

_Static_assert(sizeof(struct coap_exchange) <= 192 - 16, "with its head in the hash it takes 192 at most");

struct coap_reliable {
        struct coap_slot slot;
        struct coap_hash_node node; /* by peer and message id */
        struct coap_peer peer;
        struct coap_account *account;
        struct coap_observer *observer; /* whose notification it is */
        struct coap_client *client;     /* whose request it is; with neither it is a separate response */
        struct coap_stretch message;
        struct coap_timer timer;
        uint32_t timeout_ms;
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

_Static_assert(sizeof(struct coap_observer) <= 256 - 16,
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
        struct coap_cursor reader;
        uint32_t channel; /* of a connection or a session: it goes with it; else 0 */
        uint8_t code;
        bool fetched; /* its last block was asked for */
        uint8_t n_etag;
        uint8_t etag[COAP_ETAG_MAX];
        int content_format;
        int64_t max_age_s;
};

/* The body of a request that comes block by block. */
struct coap_upload {
        struct coap_slot slot;
        struct coap_hash_node node; /* by peer, method, path, query, options and tag */
        struct list due;
        uint64_t due_ms;
        uint32_t channel;    /* as of a body */
        uint64_t first_hash; /* of the message with block 0: its late copy does not begin anew */
        struct coap_account *account;
        struct coap_stretch bytes;
        struct coap_cursor end;
};

/* A multicast request that waits for its leisure. */
#define COAP_DELAYED_MAX 512
struct coap_delayed {
        struct coap_slot slot;
        struct list link;
        struct coap_peer peer;
        uint64_t due_ms;
        uint16_t n;
        uint8_t via;
        uint8_t datagram[COAP_DELAYED_MAX];
};

/* Recently seen requests without an effect (NON and multicast): forgotten when others need the place. */
struct coap_seen {
        uint64_t key;
        uint64_t until_ms;
};

#define COAP_SEEN_WAYS        4
#define COAP_ADDRESS_WAYS     4

#define COAP_UPLOADS_PER_PEER 64
#define COAP_ECHO_SIZE        8  /* ours */
#define COAP_ECHO_MAX         40 /* of others */
#define COAP_TEXTS_MAX        (COAP_PATH_MAX + COAP_QUERY_MAX + 2 * COAP_ETAG_MAX + COAP_ECHO_MAX)

/* Whom we ask: it exists while requests of ours to it do. */
struct coap_partner {
        struct coap_slot slot;
        struct coap_hash_node node; /* by peer */
        struct coap_peer peer;
        struct list clients; /* all requests to it */
        struct list queue;   /* those whose turn has not come (NSTART) */
        uint32_t n_outstanding;
};

enum coap_client_state {
        CLIENT_QUEUED,       /* its turn has not come */
        CLIENT_SENT,         /* no sign of life yet */
        CLIENT_ACKNOWLEDGED, /* the response comes separately */
        CLIENT_OBSERVING,    /* nothing is missing: the next notification comes by itself */
        CLIENT_REPLIED,      /* its response is with the caller next */
        CLIENT_FAILED,       /* its end is with the caller next */
};

/* A request of ours (coap_client.c). */
struct coap_client {
        struct coap_slot slot;
        struct coap_hash_node node; /* by token */
        struct list partner_link;   /* of the partner's clients */
        struct list link;           /* in the partner's queue, or among those that failed */
        struct coap_timer timer;
        struct coap_partner *partner;
        struct coap_account *account;
        struct coap_reliable *reliable; /* its message that waits for an ACK */
        uint64_t token; /* its lowest bit is 0; with 1 it asks for the rest of a notification */
        uint64_t user;
        uint32_t tag;     /* Request-Tag of a body in blocks: another one for each beginning */
        coap_id event_id; /* the caller's name for it: its own, or that of the multicast it came of */
        struct coap_stretch texts; /* path, query, ETag, If-Match, Echo: one after the other */
        struct coap_stretch payload;
        struct coap_cursor reader; /* of payload */
        struct coap_stretch body;  /* of a response, as far as it is here */
        struct coap_cursor end;
        uint32_t n_sent;      /* bytes of payload that went before this block */
        uint32_t n_block;     /* and with it */
        uint32_t timeout_ms;  /* of the caller; 0: none */
        uint32_t sequence;    /* of the newest notification */
        uint64_t sequence_ms; /* when it came */
        uint16_t n_path, n_query;
        uint16_t mid;
        int16_t accept, content_format;
        uint8_t method, no_response;
        uint8_t state; /* enum coap_client_state */
        uint8_t failure;
        uint8_t n_etag, n_if_match, n_echo;
        uint8_t szx1, szx2; /* at most; of the response */
        uint8_t szx_block;  /* of the block of payload that went last */
        uint8_t szx_first;  /* and of the first one */
        uint8_t n_body_etag;
        uint8_t body_etag[COAP_ETAG_MAX];
        uint8_t n_restarts;
        bool confirmable : 1, multicast : 1, observe : 1, observed : 1, if_none_match : 1, ocf_version : 1,
                without_version : 1, outstanding : 1, sequenced : 1, asks_rest : 1,
                begun : 1; /* its first message went out */
};

enum coap_timer_kind { COAP_TIMER_RELIABLE, COAP_TIMER_CLIENT, COAP_TIMER_STREAM };

/* A connection. */
struct coap_stream {
        struct coap_slot slot;
        struct coap_hash_node node; /* by channel */
        struct list link;           /* among those that are to be closed */
        struct coap_timer timer;    /* until its CSM; and after its Release */
        struct coap_peer peer;
        struct coap_account *account;
        struct coap_stretch partial; /* a message of which not all has come */
        struct coap_cursor end;
        uint32_t n_max_message; /* of the peer */
        uint32_t n_pending;     /* requests that wait for an answer */
        bool csm, block_wise, released, closing;
};

struct coap_bucket {
        uint32_t n; /* bytes */
        uint64_t at_ms;
};

/* What an address has shown: forgotten when others need the place. */
struct coap_address {
        uint64_t key; /* 0: nobody's */
        uint64_t used_ms, proven_until_ms, pinged_ms;
        struct coap_bucket bucket; /* beyond three bytes for one */
        uint16_t ping_mid;
        bool pinged;
};

struct coap_endpoint {
        struct coap_config config;
        uint64_t seed, etag_seed; /* ETags leave the house, the other hashes never do */
        uint64_t echo_key[2];
        struct coap_peer hot_peer; /* of the datagram that came last: asked for again and again */
        uint64_t hot_hash, ticked_ms;
        uint16_t next_mid;
        struct coap_pool accounts, exchanges, reliables, observers, resources, bodies, delayed, uploads,
                clients, partners, streams;
        struct coap_hash by_account, by_exchange, by_reliable, by_observer, by_resource, by_body, by_upload,
                by_token, by_partner, by_stream;
        struct coap_pages pages;
        struct coap_outgoing outgoing;
        struct coap_seen *seen;
        struct coap_address *addresses;
        uint32_t n_seen_sets, n_address_sets;
        struct coap_bucket bucket;          /* beyond three bytes for one, of all sources together */
        struct coap_timers timers;          /* of reliables, clients and streams: enum coap_timer_kind */
        struct list pending_unacknowledged; /* exchanges by when their empty ACK is due */
        struct list pending;                /* the others, by when they are given up */
        struct list remembered_con, remembered_non, due_bodies, due_uploads, due_observers, waiting;
        struct coap_exchange *ready;    /* the request that receive() found */
        struct coap_exchange *unlinked; /* the last one, not in by_exchange yet */
        uint32_t n_pending;             /* exchanges that the caller has */
        struct coap_client *replied;    /* the request of ours whose response it found */
        struct coap_reply reply;
        struct coap_peer replied_peer;
        struct list failed;                  /* clients */
        struct list closing;                 /* streams */
        struct coap_request_details details; /* of ready, or of the last event */
        struct coap_request_scratch scratch;
        struct coap_counts counts;
        bool held_back;          /* the answer in message is shorter than it would be for a proven address */
        uint8_t *stream_message; /* one that came in pieces: limits.n_stream_message bytes */
        uint8_t *body; /* of the event that is ready, where it came in pieces: limits.n_body bytes */
        uint8_t message[COAP_TRANSMIT_MAX];
};

/* coap_account.c */
struct coap_account *coap_account_obtain(struct coap_endpoint *ep,
                                         const struct coap_peer *peer);      /* NULL: full */
void coap_account_release(struct coap_endpoint *ep, struct coap_account *a); /* freed when it holds nothing */
bool coap_account_keep(struct coap_endpoint *ep, struct coap_account *a, struct span s,
                       struct coap_stretch *ret);
/* Bodies that nobody fetches make room for it. */
bool coap_account_append(struct coap_endpoint *ep, uint64_t now_ms, struct coap_account *a,
                         struct coap_stretch *s, struct coap_cursor *end, struct span bytes);
struct coap_account *coap_account_find(const struct coap_endpoint *ep, const struct coap_peer *peer);
void coap_account_drop(struct coap_endpoint *ep, struct coap_account *a, struct coap_stretch *s);

/* coap_endpoint.c */
void coap_endpoint_tick(struct coap_endpoint *ep, uint64_t now_ms);

/* Room for a message as long as any of ours? */
static inline bool coap_endpoint_has_room(const struct coap_endpoint *ep) {
        return coap_outgoing_has_room(&ep->outgoing,
                                      ep->config.limits.n_streams ? COAP_TRANSMIT_MAX : COAP_MESSAGE_MAX);
}

uint16_t coap_endpoint_next_mid(struct coap_endpoint *ep, struct coap_account *a); /* a may be NULL */
uint32_t coap_endpoint_random_below(struct coap_endpoint *ep, uint32_t n);
uint64_t coap_endpoint_peer_hash(const struct coap_endpoint *ep, const struct coap_peer *peer);
uint64_t coap_endpoint_mid_hash(const struct coap_endpoint *ep, const struct coap_peer *peer, uint16_t mid);
void coap_endpoint_send(struct coap_endpoint *ep, const struct coap_peer *to, struct span message);
void coap_endpoint_send_empty(struct coap_endpoint *ep, const struct coap_peer *to, enum coap_type type,
                              uint16_t mid);

/* coap_receive.c */
/* Fills in details; the answer is to have this shape. n_in: bytes that the request took. */
struct coap_shape coap_request_read(struct coap_endpoint *ep, const struct coap_peer *peer,
                                    const struct coap_message *m, unsigned via, size_t n_in);
/* A request that is no repetition. */
void coap_receive_request(struct coap_endpoint *ep, uint64_t now_ms, const struct coap_peer *peer,
                          const struct coap_message *m, unsigned via, size_t n_in, uint64_t bytes_hash);
/* Makes what was read an exchange, and the event that is ready. */
void coap_request_accept(struct coap_endpoint *ep, uint64_t now_ms, const struct coap_shape *shape,
                         uint64_t bytes_hash);
/* An answer of the endpoint's own, which changes nothing and needs no remembering. max_age_s: -1, none. */
void coap_answer_at_once(struct coap_endpoint *ep, uint64_t now_ms, const struct coap_shape *shape,
                         uint8_t code, const char *text, int64_t max_age_s);

/* coap_leisure.c */
void coap_leisure_take(struct coap_endpoint *ep, uint64_t now_ms, const struct coap_peer *peer,
                       const struct coap_message *m, unsigned via, struct span data);
uint64_t coap_leisure_deadline(const struct coap_endpoint *ep);
void coap_leisure_raise(struct coap_endpoint *ep, uint64_t now_ms);

/* coap_address.c */
extern const uint32_t coap_address_bucket_total;
bool coap_address_is_proven(const struct coap_endpoint *ep, uint64_t now_ms, const struct coap_peer *peer);
void coap_address_proven(struct coap_endpoint *ep, uint64_t now_ms, const struct coap_peer *peer);
/* How long an answer may be; SIZE_MAX: as long as it is. */
size_t coap_address_allows(struct coap_endpoint *ep, uint64_t now_ms, const struct coap_shape *shape);
/* An answer of n_out bytes goes out; held_back: it was made shorter than it would be for a proven address. */
void coap_address_charge(struct coap_endpoint *ep, uint64_t now_ms, const struct coap_shape *shape,
                         size_t n_out, bool held_back);
bool coap_address_ponged(struct coap_endpoint *ep, uint64_t now_ms, const struct coap_peer *peer,
                         uint16_t mid); /* false: a RST for something else */
void coap_address_echo(const struct coap_endpoint *ep, uint64_t now_ms, const struct coap_peer *peer,
                       uint8_t ret[static COAP_ECHO_SIZE]);
void coap_address_echoed(struct coap_endpoint *ep, uint64_t now_ms, const struct coap_peer *peer,
                         struct span echo);

/* coap_upload.c */
enum coap_upload_outcome {
        COAP_UPLOAD_COMPLETE, /* the request's payload is the whole body now */
        COAP_UPLOAD_ANSWERED, /* more is to come, or it was refused */
};
enum coap_upload_outcome coap_upload_take(struct coap_endpoint *ep, uint64_t now_ms,
                                          const struct coap_shape *shape, struct coap_request_details *d,
                                          uint64_t bytes_hash);
void coap_upload_free(struct coap_endpoint *ep, struct coap_upload *u);
void coap_upload_forget(struct coap_endpoint *ep, uint32_t channel); /* it is gone */
void coap_upload_tick(struct coap_endpoint *ep, uint64_t now_ms);

/* coap_exchange.c */
bool coap_has_effect(uint8_t method);
struct coap_exchange *coap_exchange_find(struct coap_endpoint *ep, const struct coap_peer *peer,
                                         uint8_t method, uint16_t mid, uint64_t bytes_hash);
struct coap_exchange *coap_exchange_new(struct coap_endpoint *ep, uint64_t now_ms,
                                        const struct coap_shape *shape, uint64_t bytes_hash); /* NULL: full */
void coap_exchange_free(struct coap_endpoint *ep, struct coap_exchange *x);
/* It was answered with this message: it is remembered or freed, as its method needs. */
void coap_exchange_done(struct coap_endpoint *ep, uint64_t now_ms, struct coap_exchange *x, uint8_t code,
                        struct span answer);
void coap_exchange_repeat(struct coap_endpoint *ep,
                          struct coap_exchange *x); /* the same request came again */
void coap_exchange_tick(struct coap_endpoint *ep, uint64_t now_ms);
#define COAP_SEEN_RESPONSE 0x9e3779b97f4a7c15u /* keys of responses are others than those of requests */
bool coap_seen_check(const struct coap_endpoint *ep, uint64_t now_ms, uint64_t key);
void coap_seen_note(struct coap_endpoint *ep, uint64_t now_ms, uint64_t key);
bool coap_seen_before(struct coap_endpoint *ep, uint64_t now_ms, uint64_t key); /* checks, and notes */

/* coap_body.c */
struct coap_body *coap_body_find(struct coap_endpoint *ep, uint64_t request_hash);
struct coap_body *coap_body_keep(struct coap_endpoint *ep, uint64_t now_ms, const struct coap_shape *shape,
                                 const struct coap_response *response, struct span etag); /* NULL: no room */
void coap_body_free(struct coap_endpoint *ep, struct coap_body *b);
void coap_body_touch(struct coap_endpoint *ep, uint64_t now_ms, struct coap_body *b);
void coap_body_forget(struct coap_endpoint *ep, uint32_t channel); /* it is gone */
void coap_body_fetched(struct coap_endpoint *ep, struct coap_body *b,
                       uint8_t method);                              /* its last block went */
bool coap_body_make_room(struct coap_endpoint *ep, uint64_t now_ms); /* gives one up; false: all are busy */
void coap_body_tick(struct coap_endpoint *ep, uint64_t now_ms);

/* coap_answer.c: writes the message for a response into ep->message. */
struct coap_answer_options {
        enum coap_type type;
        uint16_t mid;
        int64_t observe; /* sequence, or -1: no Observe option */
};
/* How much payload one message to this peer takes. */
struct coap_room {
        size_t n;    /* without Block2 */
        uint8_t szx; /* of blocks; 7: as many of 1024 bytes as fit n (BERT) */
};
struct coap_room coap_room_for(struct coap_endpoint *ep, uint64_t now_ms, const struct coap_shape *shape);
size_t coap_block_size(uint8_t szx);
struct span coap_answer(struct coap_endpoint *ep, uint64_t now_ms, const struct coap_shape *shape,
                        const struct coap_response *response, const struct coap_answer_options *options);
/* The usual way of an answer: in the ACK of a CON, or as a NON. */
struct coap_answer_options coap_answer_piggybacked(struct coap_endpoint *ep, struct coap_account *a,
                                                   const struct coap_shape *shape); /* a may be NULL */
/* Sends an answer that was just put together, or less where its address may not be sent so much. Returns what
 * was sent. */
struct span coap_answer_send(struct coap_endpoint *ep, uint64_t now_ms, const struct coap_shape *shape,
                             struct span message, const struct coap_answer_options *options);
bool coap_answer_is_suppressed(const struct coap_shape *shape, uint8_t code); /* by No-Response */
/* One block of a body that is kept; out of range is 4.00. */
struct span coap_answer_block(struct coap_endpoint *ep, uint64_t now_ms, const struct coap_shape *shape,
                              struct coap_body *body, const struct coap_answer_options *options);

/* coap_reliable.c */
/* Sends message, whose id is mid, until it is acknowledged. NULL: no room to keep it (it was not sent). */
struct coap_reliable *coap_reliable_send(struct coap_endpoint *ep, uint64_t now_ms,
                                         struct coap_account *account, const struct coap_peer *peer,
                                         uint16_t mid, struct span message, uint32_t timeout_ms,
                                         uint8_t n_sent);
struct coap_reliable *coap_reliable_find(struct coap_endpoint *ep, const struct coap_peer *peer,
                                         uint16_t mid);
void coap_reliable_free(struct coap_endpoint *ep, struct coap_reliable *r);
void coap_reliable_expire(struct coap_endpoint *ep, uint64_t now_ms, struct coap_reliable *r);

/* coap_client.c */
struct coap_client *coap_client_find_token(const struct coap_endpoint *ep, const struct coap_peer *peer,
                                           const struct coap_message *m); /* NULL: none of ours */
struct coap_client *coap_client_find_mid(const struct coap_endpoint *ep, const struct coap_peer *peer,
                                         uint16_t mid);   /* whose NON message had this id */
bool coap_client_asks_rest(const struct coap_message *m); /* by the token that its answer carries */
bool coap_client_is_token(const struct coap_client *c, const struct coap_message *m);
/* What a multicast brought in part is fetched on from who sent it. NULL: full. */
struct coap_client *coap_client_split(struct coap_endpoint *ep, struct coap_client *c,
                                      const struct coap_peer *peer);
void coap_client_send(struct coap_endpoint *ep, uint64_t now_ms,
                      struct coap_client *c); /* its next message */
void coap_client_answered(struct coap_endpoint *ep, uint64_t now_ms,
                          struct coap_client *c); /* a response: others may have their turn */
void coap_client_acknowledged(struct coap_endpoint *ep, uint64_t now_ms, struct coap_client *c);
void coap_client_fail(struct coap_endpoint *ep, uint64_t now_ms, struct coap_client *c,
                      enum coap_failure failure);
void coap_client_expire(struct coap_endpoint *ep, uint64_t now_ms, struct coap_client *c);
void coap_client_free(struct coap_endpoint *ep, uint64_t now_ms, struct coap_client *c);
void coap_client_start(struct coap_endpoint *ep, uint64_t now_ms,
                       const struct coap_peer *peer); /* its connection is ready */
void coap_client_forget(struct coap_endpoint *ep, uint64_t now_ms,
                        const struct coap_peer *peer); /* its connection is gone */
bool coap_client_event(struct coap_endpoint *ep, uint64_t now_ms, struct coap_event *ret);

/* coap_compose.c: writes the client's next message into ep->message. */
struct span coap_compose(struct coap_endpoint *ep, struct coap_client *c);
struct span coap_compose_cancel(struct coap_endpoint *ep, struct coap_client *c); /* Observe 1 */
/* Would its options fit one message? */
bool coap_compose_fits(const struct coap_ask *ask);

/* coap_reply.c */
/* Its message was rejected. Return: true: its body goes again, in smaller blocks. */
bool coap_client_shrink(struct coap_endpoint *ep, uint64_t now_ms, struct coap_client *c);
bool coap_reply_take(struct coap_endpoint *ep, uint64_t now_ms, const struct coap_peer *peer,
                     const struct coap_message *m); /* false: nobody waits for it */

/* coap_stream.c */
struct coap_room coap_stream_room(const struct coap_endpoint *ep, const struct coap_peer *peer);
bool coap_stream_is_open(const struct coap_endpoint *ep, const struct coap_peer *peer);
bool coap_stream_is_ready(const struct coap_endpoint *ep, const struct coap_peer *peer); /* its CSM came */
struct span coap_stream_frame(uint8_t *message, size_t n); /* from a datagram's header to a stream's */
void coap_stream_close_soon(struct coap_endpoint *ep, struct coap_stream *s); /* the caller hears of it */
void coap_stream_expire(struct coap_endpoint *ep, uint64_t now_ms, struct coap_stream *s);
bool coap_stream_event(struct coap_endpoint *ep, uint64_t now_ms, struct coap_event *ret);
void coap_stream_count(struct coap_endpoint *ep, const struct coap_peer *peer,
                       int n); /* a request more, or (negative) less, waits for its answer */

/* coap_signal.c */
void coap_signal_csm(struct coap_endpoint *ep, const struct coap_stream *s);
void coap_signal_release(struct coap_endpoint *ep, const struct coap_stream *s);
/* Says why, and ends it. bad_option: of a CSM; 0: none. */
void coap_signal_abort(struct coap_endpoint *ep, struct coap_stream *s, uint16_t bad_option,
                       const char *text);
void coap_signal_take(struct coap_endpoint *ep, uint64_t now_ms, struct coap_stream *s,
                      const struct coap_message *m);

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
void coap_observer_forget(struct coap_endpoint *ep, const struct coap_peer *peer); /* all of this peer */
bool coap_observer_event(struct coap_endpoint *ep, struct coap_event *ret);
int coap_observer_respond(struct coap_endpoint *ep, uint64_t now_ms, struct coap_observer *o,
                          const struct coap_response *response);
void coap_observer_ignore(struct coap_endpoint *ep, struct coap_observer *o);

#endif
