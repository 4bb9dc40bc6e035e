/*
 * Datagrams in and out: one socket for both families, which tells for each
 * datagram to which of our addresses it came.
 */
#include "node.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#define DATAGRAMS_AT_ONCE 64

static int bound_socket(int type, uint16_t *port) {
        struct sockaddr_in6 a = { .sin6_family = AF_INET6, .sin6_port = htons(*port) };
        socklen_t n = sizeof(a);
        int fd = socket(AF_INET6, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1, off = 0;

        if (fd < 0 || setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)) < 0 ||
            setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
            bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || getsockname(fd, (struct sockaddr *)&a, &n) < 0)
                node_fail("a socket");
        *port = ntohs(a.sin6_port);
        return fd;
}

void node_open(struct node *n, uint16_t port) {
        int on = 1;

        n->port = port;
        n->udp = bound_socket(SOCK_DGRAM, &n->port);
        if (setsockopt(n->udp, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof(on)) < 0)
                node_fail("IPV6_RECVPKTINFO");
}

void node_listen(struct node *n) {
        n->tcp = bound_socket(SOCK_STREAM, &n->port);
        if (listen(n->tcp, NODE_CONNECTIONS) < 0)
                node_fail("listen");
}

/* ---- in ---- */

static bool is_link_local(const uint8_t ip[16]) {
        return ip[0] == 0xfe && (ip[1] & 0xc0) == 0x80;
}

static void read_local(struct msghdr *m, struct coap_peer *ret_peer) {
        for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
                struct in6_pktinfo info;

                if (c->cmsg_level != IPPROTO_IPV6 || c->cmsg_type != IPV6_PKTINFO)
                        continue;
                memcpy(&info, CMSG_DATA(c), sizeof(info));
                memcpy(ret_peer->local_ip, &info.ipi6_addr, 16);
                if (is_link_local(ret_peer->remote_ip))
                        ret_peer->interface = (uint32_t)info.ipi6_ifindex;
        }
}

void node_receive(struct node *n) {
        static uint8_t buf[65536];

        for (int i = 0; i < DATAGRAMS_AT_ONCE; i++) {
                union {
                        struct cmsghdr align;
                        uint8_t bytes[CMSG_SPACE(sizeof(struct in6_pktinfo))];
                } control;
                struct sockaddr_in6 from;
                struct iovec iov = { buf, sizeof(buf) };
                struct msghdr m = { .msg_name = &from,
                                    .msg_namelen = sizeof(from),
                                    .msg_iov = &iov,
                                    .msg_iovlen = 1,
                                    .msg_control = &control,
                                    .msg_controllen = sizeof(control) };
                struct coap_peer peer = { .local_port = n->port };
                ssize_t r = recvmsg(n->udp, &m, 0);

                if (r < 0 && errno == EAGAIN)
                        return;
                if (r < 0)
                        continue; /* what ICMP said about an earlier datagram */
                memcpy(peer.remote_ip, &from.sin6_addr, 16);
                peer.remote_port = ntohs(from.sin6_port);
                read_local(&m, &peer);
                coap_endpoint_receive(n->ep, node_now_ms(), &peer, n->far ? 0 : COAP_VIA_ON_LINK,
                                      span_of(buf, (size_t)r));
                node_pump(n);
        }
}

/* ---- out ---- */

void node_send(struct node *n, const struct coap_peer *to, struct span message) {
        union {
                struct cmsghdr align;
                uint8_t bytes[CMSG_SPACE(sizeof(struct in6_pktinfo))];
        } control = { 0 };
        struct sockaddr_in6 a = { .sin6_family = AF_INET6, .sin6_port = htons(to->remote_port) };
        struct in6_pktinfo info = { .ipi6_ifindex = (unsigned)to->interface };
        struct iovec iov = { (void *)(uintptr_t)message.data, message.n };
        struct msghdr m = { .msg_name = &a,
                            .msg_namelen = sizeof(a),
                            .msg_iov = &iov,
                            .msg_iovlen = 1,
                            .msg_control = &control,
                            .msg_controllen = sizeof(control) };
        struct cmsghdr *c = CMSG_FIRSTHDR(&m);

        if (n->lose_every && ++n->n_sent % n->lose_every == 0)
                return;
        memcpy(&a.sin6_addr, to->remote_ip, 16);
        a.sin6_scope_id = to->interface;
        memcpy(&info.ipi6_addr, to->local_ip, 16);
        c->cmsg_level = IPPROTO_IPV6;
        c->cmsg_type = IPV6_PKTINFO;
        c->cmsg_len = CMSG_LEN(sizeof(info));
        memcpy(CMSG_DATA(c), &info, sizeof(info));
        (void)sendmsg(n->udp, &m, 0); /* what is lost here is sent again as if it were lost on the way */
}
