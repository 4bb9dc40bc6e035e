#include "daemon/net_socket.h"
#include "base/util.h"
#include "protocol/coap_code.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

const struct net_group net_groups[NET_GROUPS] = {
        { AF_INET, "224.0.1.187" },
        { AF_INET6, "ff02::158" },
        { AF_INET6, "ff03::158" },
        { AF_INET6, "ff05::158" },
};

static bool set(int fd, int level, int option, int value) {
        return setsockopt(fd, level, option, &value, sizeof(value)) == 0;
}

/* What both kinds need: who was asked, and nothing that others have joined. */
static int socket_new(int family) {
        int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_UDP);
        bool good;

        if (fd < 0)
                return -errno;
        if (family == AF_INET)
                good = set(fd, IPPROTO_IP, IP_PKTINFO, 1) && set(fd, IPPROTO_IP, IP_MULTICAST_ALL, 0);
        else
                good = set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1) && set(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1) &&
                       set(fd, IPPROTO_IPV6, IPV6_MULTICAST_ALL, 0);
        if (!good) {
                int error = errno;

                close(fd);
                return -error;
        }
        (void)set(fd, SOL_SOCKET, SO_RCVBUF, 1 << 20); /* the kernel gives what it allows */
        (void)set(fd, SOL_SOCKET, SO_SNDBUF, 1 << 20);
        return fd;
}

static int bind_to(int fd, const struct sockaddr_storage *address, socklen_t n) {
        int error;

        if (bind(fd, (const struct sockaddr *)address, n) == 0)
                return fd;
        error = errno;
        close(fd);
        return -error;
}

/* All addresses of the family. */
static int bind_any(int fd, int family, uint16_t port) {
        struct sockaddr_storage any = { .ss_family = (sa_family_t)family };

        if (family == AF_INET)
                ((struct sockaddr_in *)&any)->sin_port = htons(port);
        else
                ((struct sockaddr_in6 *)&any)->sin6_port = htons(port);
        return bind_to(fd, &any,
                       family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6));
}

int net_socket_unicast(int family, uint16_t port) {
        int fd = socket_new(family);

        return fd < 0 ? fd : bind_any(fd, family, port);
}

int net_socket_pair(int (*open)(int family, uint16_t port), uint16_t port, int ret_fds[2]) {
        int v6, v4 = open(AF_INET, port);

        if (v4 < 0 && v4 != -EAFNOSUPPORT)
                return v4;
        v6 = open(AF_INET6, v4 >= 0 ? net_socket_port(v4) : port);
        if (v6 < 0 && (v4 < 0 || (v6 != -EAFNOSUPPORT && v6 != -EADDRNOTAVAIL))) {
                if (v4 >= 0)
                        close(v4);
                return v6;
        }
        ret_fds[0] = v4 >= 0 ? v4 : -1;
        ret_fds[1] = v6 >= 0 ? v6 : -1;
        return 0;
}

uint16_t net_socket_port(int fd) {
        struct sockaddr_storage a;
        socklen_t n = sizeof(a);
        uint8_t ip[16];
        uint16_t port = 0;

        if (getsockname(fd, (struct sockaddr *)&a, &n) == 0)
                (void)net_socket_parse(&a, ip, &port);
        return port;
}

void net_socket_allow_sharing(int fd, bool allow) {
        (void)set(fd, SOL_SOCKET, SO_REUSEADDR, allow);
}

static void group_ip(const struct net_group *group, uint8_t ret[16]) {
        memset(ret, 0, 16);
        if (group->family == AF_INET) {
                ret[10] = ret[11] = 0xff;
                inet_pton(AF_INET, group->address, ret + 12);
        } else {
                inet_pton(AF_INET6, group->address, ret);
        }
}

int net_socket_group(const struct net_group *group, uint32_t interface) {
        struct sockaddr_storage address;
        uint8_t ip[16];
        socklen_t n;
        int fd = socket_new(group->family);

        if (fd < 0)
                return fd;
        group_ip(group, ip);
        n = net_socket_address(&address, ip, COAP_PORT, interface);
        (void)set(fd, SOL_SOCKET, SO_REUSEADDR, 1); /* there is one for each interface */
        return bind_to(fd, &address, n);
}

static int membership(int fd, const struct net_group *group, uint32_t interface, bool join) {
        uint8_t ip[16];
        int r;

        group_ip(group, ip);
        if (group->family == AF_INET) {
                struct ip_mreqn m = { .imr_ifindex = (int)interface };

                memcpy(&m.imr_multiaddr, ip + 12, 4);
                r = setsockopt(fd, IPPROTO_IP, join ? IP_ADD_MEMBERSHIP : IP_DROP_MEMBERSHIP, &m, sizeof(m));
        } else {
                struct ipv6_mreq m = { .ipv6mr_interface = interface };

                memcpy(&m.ipv6mr_multiaddr, ip, 16);
                r = setsockopt(fd, IPPROTO_IPV6, join ? IPV6_JOIN_GROUP : IPV6_LEAVE_GROUP, &m, sizeof(m));
        }
        return r == 0 || (join && errno == EADDRINUSE) ? 0 : -errno;
}

int net_socket_join(int fd, const struct net_group *group, uint32_t interface) {
        return membership(fd, group, interface, true);
}

void net_socket_leave(int fd, const struct net_group *group, uint32_t interface) {
        (void)membership(fd, group, interface, false);
}

static bool is_v4(const uint8_t ip[16]) {
        static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

        return memcmp(ip, mapped, sizeof(mapped)) == 0;
}

socklen_t net_socket_address(struct sockaddr_storage *ret, const uint8_t ip[static 16], uint16_t port,
                             uint32_t interface) {
        memset(ret, 0, sizeof(*ret));
        if (is_v4(ip)) {
                struct sockaddr_in *a = (struct sockaddr_in *)ret;

                a->sin_family = AF_INET;
                a->sin_port = htons(port);
                memcpy(&a->sin_addr, ip + 12, 4);
                return sizeof(*a);
        } else {
                struct sockaddr_in6 *a = (struct sockaddr_in6 *)ret;

                a->sin6_family = AF_INET6;
                a->sin6_port = htons(port);
                a->sin6_scope_id = interface;
                memcpy(&a->sin6_addr, ip, 16);
                return sizeof(*a);
        }
}

bool net_socket_parse(const struct sockaddr_storage *from, uint8_t ret_ip[static 16], uint16_t *ret_port) {
        if (from->ss_family == AF_INET) {
                const struct sockaddr_in *a = (const struct sockaddr_in *)from;

                memset(ret_ip, 0, 16);
                ret_ip[10] = ret_ip[11] = 0xff;
                memcpy(ret_ip + 12, &a->sin_addr, 4);
                *ret_port = ntohs(a->sin_port);
                return true;
        }
        if (from->ss_family == AF_INET6) {
                const struct sockaddr_in6 *a = (const struct sockaddr_in6 *)from;

                if (is_v4((const uint8_t *)&a->sin6_addr))
                        return false; /* no such address travels over IPv6 (RFC 6890, 2.2.3) */
                memcpy(ret_ip, &a->sin6_addr, 16);
                *ret_port = ntohs(a->sin6_port);
                return true;
        }
        return false;
}

bool net_socket_destination(struct msghdr *m, uint8_t ret_ip[static 16], uint32_t *ret_interface) {
        for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
                if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
                        struct in_pktinfo info;

                        memcpy(&info, CMSG_DATA(c), sizeof(info));
                        if (!IN_MULTICAST(ntohl(info.ipi_addr.s_addr)) &&
                            info.ipi_addr.s_addr != info.ipi_spec_dst.s_addr)
                                return false; /* a broadcast: nobody was asked */
                        memset(ret_ip, 0, 16);
                        ret_ip[10] = ret_ip[11] = 0xff;
                        memcpy(ret_ip + 12, &info.ipi_addr, 4);
                        *ret_interface = (uint32_t)info.ipi_ifindex;
                        return true;
                }
                if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
                        struct in6_pktinfo info;

                        memcpy(&info, CMSG_DATA(c), sizeof(info));
                        memcpy(ret_ip, &info.ipi6_addr, 16);
                        *ret_interface = info.ipi6_ifindex;
                        return true;
                }
        }
        return false;
}

void net_socket_set_source(struct msghdr *m, void *control, const struct coap_peer *to) {
        struct cmsghdr *c;

        m->msg_control = memset(control, 0, NET_CONTROL_MAX);
        if (is_v4(to->local_ip)) {
                struct in_pktinfo info = { .ipi_ifindex = (int)to->interface };

                memcpy(&info.ipi_spec_dst, to->local_ip + 12, 4);
                m->msg_controllen = CMSG_SPACE(sizeof(info));
                c = CMSG_FIRSTHDR(m);
                c->cmsg_level = IPPROTO_IP;
                c->cmsg_type = IP_PKTINFO;
                c->cmsg_len = CMSG_LEN(sizeof(info));
                memcpy(CMSG_DATA(c), &info, sizeof(info));
        } else {
                struct in6_pktinfo info = { .ipi6_ifindex = to->interface };

                memcpy(&info.ipi6_addr, to->local_ip, 16);
                m->msg_controllen = CMSG_SPACE(sizeof(info));
                c = CMSG_FIRSTHDR(m);
                c->cmsg_level = IPPROTO_IPV6;
                c->cmsg_type = IPV6_PKTINFO;
                c->cmsg_len = CMSG_LEN(sizeof(info));
                memcpy(CMSG_DATA(c), &info, sizeof(info));
        }
}

/* ---- TCP ---- */

#define BACKLOG              128
#define SEND_BUFFER          (128 * 1024) /* what the kernel holds for who does not read, of each connection */
#define UNACKNOWLEDGED_MS    60000
#define KEEPALIVE_IDLE_S     120
#define KEEPALIVE_INTERVAL_S 30
#define KEEPALIVE_PROBES     4

static void set_up_stream(int fd) {
        (void)set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
        (void)set(fd, SOL_SOCKET, SO_SNDBUF, SEND_BUFFER);
        /* Who lost its power says no goodbye. */
        (void)set(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
        (void)set(fd, IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S);
        (void)set(fd, IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S);
        (void)set(fd, IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_PROBES);
        (void)set(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, UNACKNOWLEDGED_MS);
}

/* Accepted connections inherit all of this. */
static bool set_up_listener(int fd, int family) {
        bool good = set(fd, SOL_SOCKET, SO_REUSEADDR, 1); /* in spite of connections that have just ended */

        if (family == AF_INET)
                good = good && set(fd, IPPROTO_IP, IP_PKTINFO, 1);
        else
                good = good && set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1) &&
                       set(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
        set_up_stream(fd);
        return good;
}

int net_socket_listen(int family, uint16_t port) {
        int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP), error;

        if (fd < 0)
                return -errno;
        if (!set_up_listener(fd, family)) {
                error = errno;
                close(fd);
                return -error;
        }
        fd = bind_any(fd, family, port);
        if (fd >= 0 && listen(fd, BACKLOG) < 0) {
                error = errno;
                close(fd);
                return -error;
        }
        return fd;
}

int net_socket_accept(int fd) {
        int r = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

        return r < 0 ? -errno : r;
}

/* Linux passes on what befell the connection before it was taken (accept(2)). */
bool net_socket_accept_goes_on(int error) {
        static const int of_connection[] = {
                ECONNABORTED, EINTR,        EPROTO,     ENETDOWN,    ENOPROTOOPT, EHOSTDOWN,
                ENONET,       EHOSTUNREACH, EOPNOTSUPP, ENETUNREACH, EPERM,       ETIMEDOUT,
        };

        for (size_t i = 0; i < ARRAY_SIZE(of_connection); i++)
                if (error == -of_connection[i])
                        return true;
        return false;
}

/* The kernel keeps with a connection the interface over which it was made, and tells it as if it were the
 * control data of a datagram. */
static uint32_t incoming_interface(int fd, int family) {
        uint8_t control[256] __attribute__((aligned(16))), ip[16];
        socklen_t n = sizeof(control);
        uint32_t interface = 0;
        int r = family == AF_INET ? getsockopt(fd, IPPROTO_IP, IP_PKTOPTIONS, control, &n)
                                  : getsockopt(fd, IPPROTO_IPV6, IPV6_2292PKTOPTIONS, control, &n);
        struct msghdr m = { .msg_control = control, .msg_controllen = n };

        return r == 0 && net_socket_destination(&m, ip, &interface) ? interface : 0;
}

bool net_socket_connected(int fd, struct coap_peer *ret, uint32_t *ret_interface) {
        struct sockaddr_storage local, remote;
        socklen_t n_local = sizeof(local), n_remote = sizeof(remote);
        struct coap_peer peer = { .stream = true };

        if (getsockname(fd, (struct sockaddr *)&local, &n_local) < 0 ||
            getpeername(fd, (struct sockaddr *)&remote, &n_remote) < 0 ||
            !net_socket_parse(&local, peer.local_ip, &peer.local_port) ||
            !net_socket_parse(&remote, peer.remote_ip, &peer.remote_port))
                return false;
        *ret_interface = incoming_interface(fd, local.ss_family);
        *ret = peer;
        return true;
}

int net_socket_connect(const uint8_t ip[static 16], uint16_t port, uint32_t interface) {
        struct sockaddr_storage to;
        socklen_t n_to = net_socket_address(&to, ip, port, interface);
        int fd = socket(to.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP), error;

        if (fd < 0)
                return -errno;
        set_up_stream(fd);
        if (connect(fd, (struct sockaddr *)&to, n_to) == 0 || errno == EINPROGRESS)
                return fd;
        error = errno;
        close(fd);
        return -error;
}

int net_socket_error(int fd) {
        int error = 0;
        socklen_t n = sizeof(error);

        return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &n) < 0 ? errno : error;
}

void net_socket_reset(int fd) {
        struct linger at_once = { .l_onoff = 1 };

        (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
        close(fd);
}
