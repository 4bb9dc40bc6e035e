#include "crowd.h"
#include "common.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BATCH 32

union control {
        char bytes[CMSG_SPACE(sizeof(struct in_pktinfo))];
        struct cmsghdr align;
};

void crowd_open(struct crowd *c, const struct sockaddr_in *server, int n_clients, int net) {
        struct sockaddr_in any = { .sin_family = AF_INET };
        int on = 1, buffer = 1 << 20;

        c->server = *server;
        c->n_clients = n_clients;
        c->first_address = 127u << 24 | (uint32_t)net << 16 | 1u;
        for (int i = 0; i < CROWD_SOCKETS; i++) {
                int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

                if (fd < 0 || bind(fd, (struct sockaddr *)&any, sizeof(any)) < 0 ||
                    setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on)) < 0)
                        bench_die("socket");
                setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof(buffer));
                c->sockets[i] = (struct pollfd){ fd, POLLIN, 0 };
        }
}

void crowd_send(struct crowd *c, int client, const void *message, size_t n) {
        struct in_pktinfo from = { .ipi_spec_dst.s_addr = htonl(c->first_address + (uint32_t)client) };
        struct iovec iov = { (void *)(uintptr_t)message, n };
        union control control = { 0 };
        struct msghdr m = { .msg_name = &c->server,
                            .msg_namelen = sizeof(c->server),
                            .msg_iov = &iov,
                            .msg_iovlen = 1,
                            .msg_control = control.bytes,
                            .msg_controllen = sizeof(control.bytes) };
        struct cmsghdr *head = CMSG_FIRSTHDR(&m);

        head->cmsg_level = IPPROTO_IP;
        head->cmsg_type = IP_PKTINFO;
        head->cmsg_len = CMSG_LEN(sizeof(from));
        memcpy(CMSG_DATA(head), &from, sizeof(from));
        if (sendmsg(c->sockets[client % CROWD_SOCKETS].fd, &m, 0) < 0 && errno != EAGAIN &&
            errno != ECONNREFUSED)
                bench_die("send");
}

static int client_of(const struct crowd *c, struct msghdr *m) {
        for (struct cmsghdr *h = CMSG_FIRSTHDR(m); h; h = CMSG_NXTHDR(m, h)) {
                struct in_pktinfo to;

                if (h->cmsg_level != IPPROTO_IP || h->cmsg_type != IP_PKTINFO)
                        continue;
                memcpy(&to, CMSG_DATA(h), sizeof(to));
                return (int)(ntohl(to.ipi_addr.s_addr) - c->first_address);
        }
        return -1;
}

static int receive_batch(struct crowd *c, int fd, crowd_fn fn, void *context) {
        static uint8_t bytes[BATCH][BENCH_MESSAGE_MAX];
        union control controls[BATCH];
        struct mmsghdr messages[BATCH];
        struct sockaddr_in from[BATCH];
        struct iovec iov[BATCH];
        int n;

        for (int i = 0; i < BATCH; i++) {
                iov[i] = (struct iovec){ bytes[i], sizeof(bytes[i]) };
                messages[i].msg_hdr = (struct msghdr){ .msg_name = &from[i],
                                                       .msg_namelen = sizeof(from[i]),
                                                       .msg_iov = &iov[i],
                                                       .msg_iovlen = 1,
                                                       .msg_control = controls[i].bytes,
                                                       .msg_controllen = sizeof(controls[i].bytes) };
        }
        n = recvmmsg(fd, messages, BATCH, MSG_DONTWAIT, NULL);
        for (int i = 0; i < n; i++) {
                int client = client_of(c, &messages[i].msg_hdr);

                if (client >= 0 && client < c->n_clients &&
                    from[i].sin_addr.s_addr == c->server.sin_addr.s_addr &&
                    from[i].sin_port == c->server.sin_port)
                        fn(context, client, bytes[i], messages[i].msg_len);
        }
        return n < 0 ? 0 : n;
}

int crowd_receive(struct crowd *c, int timeout_ms, crowd_fn fn, void *context) {
        int n_all = 0, n;

        if (poll(c->sockets, CROWD_SOCKETS, timeout_ms) <= 0)
                return 0;
        for (int i = 0; i < CROWD_SOCKETS; i++) {
                if (!c->sockets[i].revents)
                        continue;
                do
                        n_all += n = receive_batch(c, c->sockets[i].fd, fn, context);
                while (n == BATCH);
        }
        return n_all;
}
