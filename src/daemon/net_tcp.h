/*
 * CoAP over TCP (RFC 8323), the part that has descriptors: listeners, and a
 * bounded table of connections.
 *
 * What a connection may cost is bounded on each side: bytes that the endpoint
 * has no room for stay in the kernel, a peer that does not read is dropped
 * instead of remembered, and nobody has more than his share of the table.
 * net_tcp.c takes connections and gives them up, net_connect.c begins some of ours,
 * net_connection.c moves bytes.
 */
#ifndef OCF_DAEMON_NET_TCP_H
#define OCF_DAEMON_NET_TCP_H

#include "daemon/net_private.h"

#define TCP_CONNECTIONS_MAX 1024
#define TCP_PER_ADDRESS     64
#define TCP_BUFFER          (16 * 1024)
#define TCP_PAUSE           (64 * 1024)        /* with more than this to send, a connection is not read */
#define TCP_QUEUE_MAX       (256 * 1024)       /* and with more than this it is dropped */
#define TCP_QUEUES_MAX      (16 * 1024 * 1024) /* of all: who has most of it goes */
#define TCP_IDLE_MS         (10 * 60 * 1000u)  /* after that it makes room for others */
#define TCP_CLOSING_MS      5000u
#define TCP_ACCEPT_PAUSE_MS 1000u

struct listener {
        uv_poll_t poll;
        struct net_tcp *tcp;
        int fd;
        uint16_t device;
        bool secure;
};

enum connection_state {
        CONNECTION_CONNECTING, /* begun by us: the peer has not answered */
        CONNECTION_OPEN,
        CONNECTION_ENDING, /* the endpoint has forgotten it; messages for it may still come */
        CONNECTION_LAST,   /* all that will ever be sent is in the queue */
        CONNECTION_SHUT, /* and the kernel has it; the peer's end is awaited, or it might lose the last of it
                          */
        CONNECTION_GONE, /* freed as soon as libuv has let go */
};

struct connection {
        uv_poll_t poll;
        struct list dirty, closing, stalled; /* of the table's lists of these names */
        struct net_tcp *tcp;
        struct coap_peer peer;
        uint32_t interface; /* by which it came */
        int fd;
        enum connection_state state;
        bool secure;
        bool peer_ended, wants_write;
        int events;   /* that are polled for */
        uint8_t *out; /* n_out bytes from out_begin on wait for the socket */
        size_t out_begin, n_out, n_out_max;
        uint8_t *in; /* what the endpoint has not taken yet */
        size_t n_in;
        uint64_t active_ms, until_ms;
};

struct net_tcp {
        struct net *net;
        struct connection *connections[TCP_CONNECTIONS_MAX];
        uint32_t generations[TCP_CONNECTIONS_MAX]; /* of channels: how often that slot was used */
        bool is_secure[TCP_CONNECTIONS_MAX];       /* the one that has the slot, or had it last */
        size_t n_connections, next_slot;
        size_t n_max, n_max_per_address;
        size_t n_queued, n_max_queued; /* bytes */
        uint32_t closing_ms;
        struct list dirty;          /* connections that have got something to send */
        struct list closing;        /* that end, by until_ms */
        struct list stalled;        /* of which the endpoint has not taken all */
        int spare_fd;               /* given away when there is no other, to refuse with */
        uv_timer_t patience, pause; /* of closing connections; until listeners are looked at again */
        unsigned n_timers;
        uint8_t buffer[TCP_BUFFER];
};

int net_tcp_new(struct net_tcp **ret, struct net *n);
struct net_tcp *net_tcp_free(struct net_tcp *t);

/* Listens for a device, on this port where it is free. Return: 0 and the listeners, of which one may be NULL
 * (no such family here); negative errno. */
int net_tcp_listen(struct net_tcp *t, uint16_t device, bool secure, uint16_t port, struct listener *ret[2]);
void listener_close(struct listener *l);
uint16_t listener_port(const struct listener *l);

/* Is there room for one more? Else the one that was silent longest may have to go. */
bool net_tcp_make_room(struct net_tcp *t);

/* Puts it into the table; its number tells the slot, and how often that was used. */
void net_tcp_enter(struct net_tcp *t, struct connection *c);

/* Of a connection in the table, or just out of it. */
bool net_tcp_is_secure(const struct net_tcp *t, const struct coap_peer *peer);

/* Interfaces have changed, or an address is gone as events.lost() has it: so are its connections. */
void net_tcp_follow(struct net_tcp *t);
void net_tcp_lost(struct net_tcp *t, const uint8_t *ip, uint32_t interface);

/* ---- net_connect.c ---- */

/* One of ours is there, or failed (status: negative errno). */
void connection_connected(struct connection *c, int status);

/* ---- net_connection.c ---- */

/* Takes the descriptor. The connection does nothing yet. */
int connection_new(struct connection **ret, struct net_tcp *t, int fd_take);
void connection_start(struct connection *c);

/* At once. Tells the endpoint if it still knows of it. reset: nothing that is queued is sent. */
void connection_drop(struct connection *c, bool reset);

struct connection *net_tcp_find(const struct net_tcp *t, const struct coap_peer *peer);

/* A message for a connection: written with all others of this round. */
void net_tcp_put(struct net_tcp *t, const struct coap_peer *to, struct span message);

/* Writes what was put. dry: the endpoint had nothing more. */
void net_tcp_write(struct net_tcp *t, bool dry);

/* Offers the endpoint again what it had no room for. Return: whether it took any. */
bool net_tcp_resume(struct net_tcp *t);

/* Closes it when all is written, and soon in any case. */
void net_tcp_end(struct net_tcp *t, const struct coap_peer *peer);

#endif
