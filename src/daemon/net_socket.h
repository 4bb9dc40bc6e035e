/*
 * Sockets as an OCF server needs them. UDP: they tell which address was asked,
 * answer from it, and share port 5683 with the groups but with nobody else
 * (feasibility.md 10). TCP: they tell which interface a connection came by.
 */
#ifndef OCF_DAEMON_NET_SOCKET_H
#define OCF_DAEMON_NET_SOCKET_H

#include "protocol/coap_peer.h"

#include <netinet/in.h>
#include <sys/socket.h>

/* Bound exclusively to a port (0: any) on all addresses of the family. Return: the descriptor; negative
 * errno. */
int net_socket_unicast(int family, uint16_t port);
uint16_t net_socket_port(int fd);

/* Both families on one port. Return: 0 and the descriptors, of which one may be -1 (no such family here);
 * negative errno. */
int net_socket_pair(int (*open)(int family, uint16_t port), uint16_t port, int ret_fds[2]);

/* While group sockets bind to the same port, unicast ones must allow it; afterwards nobody may join them. */
void net_socket_allow_sharing(int fd, bool allow);

struct net_group {
        int family;
        const char *address; /* 224.0.1.187 ... */
};

#define NET_GROUPS 4
extern const struct net_group net_groups[NET_GROUPS]; /* core.md 1 */

/* Bound to 5683 on the group's own address, so that it hears no other. interface: needed for ff02. */
int net_socket_group(const struct net_group *group, uint32_t interface);
int net_socket_join(int fd, const struct net_group *group,
                    uint32_t interface); /* 0; negative errno; already joined is 0 */
void net_socket_leave(int fd, const struct net_group *group, uint32_t interface);

/* Addresses as the kernel has them, and as we have them. */
socklen_t net_socket_address(struct sockaddr_storage *ret, const uint8_t ip[static 16], uint16_t port,
                             uint32_t interface);
bool net_socket_parse(const struct sockaddr_storage *from, uint8_t ret_ip[static 16], uint16_t *ret_port);

/* The address that was asked (a group's, where one was) and the interface it came over, from the control
 * data; false when they are not there, or it was a broadcast. */
bool net_socket_destination(struct msghdr *m, uint8_t ret_ip[static 16], uint32_t *ret_interface);

/* Control data that sends from this address, over this interface if it is not 0. Room: NET_CONTROL_MAX. */
#define NET_CONTROL_MAX 64
void net_socket_set_source(struct msghdr *m, void *control, const struct coap_peer *to);

/* ---- TCP ---- */

/* Listens on a port (0: any) on all addresses of the family. Return: the descriptor; negative errno. */
int net_socket_listen(int family, uint16_t port);

/* The next connection, ready to be used. Return: the descriptor; negative errno, of which some are the
 * connection's own (net_socket_accept_goes_on()). */
int net_socket_accept(int fd);
bool net_socket_accept_goes_on(int error);

/* Begins a connection to this address. Return: the descriptor, which can be written to when it stands or has
 * failed (net_socket_error()); negative errno. */
int net_socket_connect(const uint8_t ip[static 16], uint16_t port, uint32_t interface);
int net_socket_error(int fd); /* 0, or errno */

/* Who is at the other end, which address of ours was asked, and over which interface; ports and addresses of
 * the peer are filled in. */
bool net_socket_connected(int fd, struct coap_peer *ret, uint32_t *ret_interface);

/* Closes at once, with a reset: nothing that is still queued is sent. */
void net_socket_reset(int fd);

#endif
