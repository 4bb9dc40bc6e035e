/*
 * The sockets: UDP of every logical device, one receiver of multicasts for all
 * of them, and TCP.
 *
 * Each device has an exclusive unicast port on all addresses, IPv4 and IPv6.
 * Which address was asked is told with each datagram and used for the answer
 * (IP_PKTINFO, IPV6_RECVPKTINFO). Group sockets on 5683 are joined per usable
 * interface and follow what netlink says. Datagrams move in batches (recvmmsg,
 * sendmmsg); nothing here blocks.
 */
#ifndef OCF_DAEMON_NET_H
#define OCF_DAEMON_NET_H

#include "model/model.h"
#include "protocol/coap_endpoint.h"

#include <uv.h>

struct net;

#define NET_MESSAGE_MAX (16384 + 2048 + 128) /* of a record of TLS; a message of CoAP is shorter */

/* Looked at as long as the net lives, not copied. */
struct net_config {
        const char *const *interfaces; /* globs (fnmatch) of Interfaces=; none: all usable ones */
        size_t n_interfaces;
        const char *const *deny; /* globs of DenyInterfaces= */
        size_t n_deny;
        bool tcp;          /* listen for connections, too */
        bool secure;       /* and have secure ports beside the plain ones */
        uint32_t renew_ms; /* how often groups are left and joined again; 0: never */
};

/* The ports of a device; 0: any, or none. */
struct net_ports {
        uint16_t coap, coaps;         /* UDP: plain, secure */
        uint16_t coap_tcp, coaps_tcp; /* TCP: plain, secure */
};

/* How the rest is told. All are called from the loop. */
struct net_events {
        void *context;
        /* A datagram. via: COAP_VIA_*. A multicast is told once per device that it concerns, with that
         * device's port. */
        void (*datagram)(void *context, const struct coap_peer *peer, unsigned via, struct span data);
        /* One that came to a secure port: it may be changed where it is. */
        void (*secure_datagram)(void *context, const struct coap_peer *peer, unsigned via, uint8_t *data,
                                size_t n);
        /* The next datagram to send, its local port says from which socket; 0 when there is none
         * (coap_endpoint_transmit). buf has NET_MESSAGE_MAX bytes. */
        size_t (*next)(void *context, struct coap_peer *ret_to, uint8_t *buf, size_t n);
        /* A connection stands, to a secure port or a plain one; false: it is not wanted, and nothing more is
         * told of it. */
        bool (*stream_open)(void *context, const struct coap_peer *peer, bool secure);
        /* One that net_connect() began stands (error 0), or did not come about (errno, and it is gone).
         * Return: false: it is not wanted any more. */
        bool (*stream_connected)(void *context, const struct coap_peer *peer, int error);
        /* Bytes came over it. Return: how many were taken; the others are offered again after a flush. */
        size_t (*stream_data)(void *context, const struct coap_peer *peer, struct span data);
        /* It is gone, by itself: not after net_close_stream(). */
        void (*stream_closed)(void *context, const struct coap_peer *peer);
        /* After each batch of received datagrams, or bytes: time to answer and flush. */
        void (*received)(void *context);
        /* Interfaces or addresses changed; net_endpoints() and net_interfaces() are up to date. */
        void (*changed)(void *context);
        /* An address of ours is gone (16 bytes), or with ip NULL a whole interface. What is merely not
         * announced (no carrier, deprecated) is not lost: what was under way goes on when it is back. */
        void (*lost)(void *context, const uint8_t *ip, uint32_t interface);
        /* Something an administrator should know, or (text NULL) no longer: id as bus_notice has it. */
        void (*notice)(void *context, const char *id, const char *text);
};

int net_new(struct net **ret, uv_loop_t *loop, const struct net_config *config,
            const struct net_events *events);
struct net *net_free(struct net *n);

/*
 * Opens the ports of a device. wanted: the configured ones, those of its last
 * run, or 5683 and 5684; 0: any. When somebody else has one another is taken; of
 * UDP's the notices PortTaken and SecurePortTaken say who has it. A TCP port that
 * is not wanted in particular is the one that UDP has, where that is free. Return:
 * 0 and the ports; negative errno.
 */
int net_open_device(struct net *n, uint16_t device, const struct net_ports *wanted, struct net_ports *ret);

/* Did it come to, or does it leave from, a secure port? */
bool net_port_is_secure(const struct net *n, const struct coap_peer *peer);

/*
 * From where a datagram of the device goes to remote_ip (and interface, where it is link-local): fills in
 * local_ip, local_port and device, as what comes back will have them. Return: 0; -ENETUNREACH and the like.
 */
enum net_way {
        NET_CLEAR,
        NET_SECURE,
        NET_FRESH, /* secure, from a port that no earlier run has used: for peers that hold on to a dead
                      session */
};
int net_route(struct net *n, uint16_t device, enum net_way way, struct coap_peer *peer);

/* The same for a group, over peer->interface. */
int net_group_route(struct net *n, uint16_t device, struct coap_peer *peer);

/*
 * Begins a connection of the device to peer's remote address (and interface, where that is link-local); peer
 * gets its number, and the rest of its addresses with stream_connected(), which is not called before this
 * returns. Until then net_close_stream() takes it back. Return: 0; -EAFNOSUPPORT: connections are switched
 * off; -ENOBUFS: there are too many; -ENETUNREACH and the like.
 */
int net_connect(struct net *n, uint16_t device, bool secure, struct coap_peer *peer);

/* Joins groups and starts to receive; devices may still be opened later. */
int net_start(struct net *n);

/* Sends what next() gives, until it gives nothing or the socket is full (then goes on by itself when it is
 * not). */
void net_flush(struct net *n);

/* Closes a connection once all is written that next() has for it, and soon in any case. */
void net_close_stream(struct net *n, const struct coap_peer *peer);

/* The endpoints of a device on all used interfaces. Valid until changed(). */
size_t net_endpoints(struct net *n, uint16_t device, const struct device_endpoint **ret);

struct net_interface {
        const char *name;
        uint32_t index;
        bool used;
        const char *reason; /* why it is not used; "" when it is */
        const char *const *addresses;
        size_t n_addresses;
};

size_t net_interfaces(struct net *n, const struct net_interface **ret);

struct net_counts {
        uint64_t n_received, n_sent, n_send_errors, n_dropped, n_resyncs;
        uint64_t n_connections; /* that there are now */
        uint64_t n_accepted, n_refused;
        uint64_t n_slow; /* connections dropped, since the peer did not read */
        uint64_t n_stream_sent;
};

void net_get_counts(const struct net *n, struct net_counts *ret);

#endif
