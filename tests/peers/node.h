/*
 * A whole CoAP node on plain sockets, with no memory but what is here.
 *
 * The smallest world that the endpoint of src/protocol can live in: one UDP
 * socket, connections, a clock. Other implementations of CoAP are tested against
 * it, and it shows that the core needs no heap: nothing in it calls malloc().
 */
#ifndef OCF_TESTS_PEERS_NODE_H
#define OCF_TESTS_PEERS_NODE_H

#include "protocol/coap_endpoint.h"

enum {
        NODE_MEMORY = 16 * 1024 * 1024, /* of the endpoint, at most */
        NODE_BODY_MAX = 1024 * 1024,
        NODE_CONNECTIONS = 8,
        NODE_UNREAD = 4096,
        NODE_UNSENT = 64 * 1024, /* a peer that lets more pile up is closed */
};

struct node_connection {
        int fd; /* -1: free */
        struct coap_peer peer;
        bool closing; /* once all is written */
        size_t n_unread, n_unsent;
        uint8_t unread[NODE_UNREAD], unsent[NODE_UNSENT];
};

struct node {
        struct coap_endpoint *ep;
        int udp, tcp; /* one socket each for both families: IPv4 comes as ::ffff:a.b.c.d */
        uint16_t port;
        bool far;                    /* treat who asks as one from another network */
        uint32_t lose_every, n_sent; /* datagrams */
        bool done;                   /* as soon as all is sent */
        uint64_t until_ms;           /* or then */
        int status;
        uint32_t n_channels;
        struct node_connection connections[NODE_CONNECTIONS];
};

uint64_t node_now_ms(void);
void node_fail(const char *what) __attribute__((noreturn)); /* with the reason in errno */

/* ---- coap_node.c: the loop ---- */

/* Says to the peer what is due; to be called after anything that may have made an event or a message. */
void node_pump(struct node *n);

/* ---- node_socket.c ---- */

void node_open(struct node *n, uint16_t port); /* 0: any */
void node_listen(struct node *n);              /* for connections, on the same port */
void node_receive(struct node *n);
void node_send(struct node *n, const struct coap_peer *to, struct span message);

/* ---- node_stream.c ---- */

void node_stream_accept(struct node *n);
void node_stream_connect(struct node *n, struct coap_peer *peer); /* sets its channel */
void node_stream_readable(struct node *n, struct node_connection *c);
void node_stream_writable(struct node *n, struct node_connection *c);
void node_stream_close(struct node *n, const struct coap_peer *peer); /* once all is written */
void node_stream_reap(struct node *n);                                /* those of which it is */
void node_stream_send(struct node *n, const struct coap_peer *to, struct span message);

/* ---- node_serve.c: what the server offers ---- */

void node_serve_init(uint64_t now_ms);
void node_serve_request(struct node *n, const struct coap_event *e);
uint64_t node_serve_due(struct node *n, uint64_t now_ms); /* does what is due; when there is more to do */

/* ---- node_ask.c: the client ---- */

void node_ask_init(struct node *n, int argc, char **argv);
void node_ask_event(struct node *n, const struct coap_event *e);

#endif
