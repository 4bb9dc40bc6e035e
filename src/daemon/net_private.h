/*
 * What the files of the network share: who holds which socket.
 *
 * net.c follows interfaces, net_device.c has the ports of devices, net_io.c
 * moves datagrams, net_follow.c keeps a socket for each group on each used
 * interface, net_tcp.h says who has the connections.
 */
#ifndef OCF_DAEMON_NET_PRIVATE_H
#define OCF_DAEMON_NET_PRIVATE_H

#include "daemon/net.h"
#include "daemon/net_link.h"
#include "protocol/coap_code.h"

#define NET_BATCH        64
#define NET_TURN         (2 * NET_BATCH) /* datagrams sent before the loop turns */
#define NET_DATAGRAM_MAX 4096            /* longer ones are dropped whole: no request of ours is so long */
/* A message of CoAP in a record, or a flight of a handshake with certificates, which IP may cut into pieces.
 */
#define NET_DATAGRAM_OUT_MAX 4096

/* A socket in the loop: of a device, or of a group on one interface. */
struct port {
        uv_poll_t poll;
        struct list link; /* of net.groups, for group sockets */
        struct net *net;
        int fd;
        bool wants_write;
        bool is_group;
        bool secure, fresh;   /* of a unicast socket */
        uint16_t device;      /* of a unicast socket */
        size_t i_group;       /* of a group socket: which of net_groups */
        uint32_t interface;   /* and on which interface */
        uint64_t link_number; /* the same: an index may come back as another interface */
};

struct net_tcp;
struct listener;

struct net_device {
        /* Plain and secure; of IPv4 and IPv6, NULL: the host has no such family. */
        struct port *sockets[2][2];
        struct listener *listeners[2][2]; /* likewise, for TCP */
        struct port *fresh[2];            /* another secure port, to ask from: net_route() opens it */
        uint16_t fresh_port;
        struct net_ports ports;
        struct device_endpoint *endpoints;
        size_t n_endpoints;
};

/* An address that we had when we last looked. */
struct held_address {
        uint8_t ip[16];
        uint32_t interface;
};

struct pending_message {
        struct coap_peer to;
        size_t n;
        uint8_t bytes[NET_DATAGRAM_OUT_MAX];
};

struct net {
        uv_loop_t *loop;
        struct net_config config;
        struct net_events events;
        struct link_table table;
        struct link_watch *watch;
        struct net_device *devices;
        size_t n_devices;
        struct list groups;
        int groups_error; /* why groups could not be joined; 0: all are */
        struct net_interface *interfaces;
        size_t n_interfaces;
        struct held_address *held;
        size_t n_held;
        uv_timer_t debounce, retry, renew;
        uv_idle_t more;     /* there is more to send, once others had their turn */
        unsigned n_handles; /* not closed yet */
        bool started;
        struct net_counts counts;
        struct pending_message *out; /* NET_BATCH of them: taken from next(), not yet sent */
        size_t n_out;
        uint8_t (*in)[NET_DATAGRAM_MAX];
        uint8_t *message;    /* NET_MESSAGE_MAX bytes: one for a stream may be longer than those */
        struct net_tcp *tcp; /* NULL: none is wanted */
};

/* net_device.c: the endpoints of a device, after its ports or the interfaces have changed. 0; -ENOMEM. */
int net_device_rebuild(struct net *n, struct net_device *d);

/* net_io.c */
int port_new(struct port **ret, struct net *n, int fd_take);
void port_close(struct port *p);

/* Is what comes over this interface for us? */
bool net_hears(const struct net *n, uint32_t interface);

/* Fetches what there is to send: datagrams are sent, messages for streams put into their queues. Return:
 * whether that is all; else a socket is full, or the rest has to wait its turn. */
bool net_collect(struct net *n);

/* net_follow.c: a socket for each group on each used interface, and none elsewhere. */
void net_follow_groups(struct net *n);

/* Leaves and joins each: a switch that nobody asks on behalf of forgets who is there. */
void net_renew_groups(struct net *n);

#endif
