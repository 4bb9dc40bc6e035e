#include "batch.h"
#include "common.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>

static uint8_t in[BATCH_N][BATCH_BYTES_MAX], out[BATCH_OUT][BATCH_BYTES_MAX];
static struct mmsghdr incoming[BATCH_N], outgoing[BATCH_OUT];
static struct iovec v_in[BATCH_N], v_out[BATCH_OUT];
static struct sockaddr_in from[BATCH_N], to[BATCH_OUT];
static unsigned n_out;

int batch_open(const char *port) {
        struct sockaddr_in local = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), buffer = 1 << 20;

        local.sin_port = htons((uint16_t)atoi(port));
        if (fd < 0 || bind(fd, (struct sockaddr *)&local, sizeof(local)) < 0)
                bench_die("bind");
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof(buffer));
        return fd;
}

void batch_flush(int fd) {
        unsigned n = 0;

        while (n < n_out) {
                int r = sendmmsg(fd, outgoing + n, n_out - n, 0);

                n += r > 0 ? (unsigned)r : 1;
        }
        n_out = 0;
}

uint8_t *batch_place(int fd) {
        if (n_out == BATCH_OUT)
                batch_flush(fd);
        return out[n_out];
}

void batch_put(size_t n, const struct sockaddr_in *address) {
        to[n_out] = *address;
        v_out[n_out] = (struct iovec){ out[n_out], n };
        outgoing[n_out].msg_hdr = (struct msghdr){
                .msg_name = &to[n_out], .msg_namelen = sizeof(*to), .msg_iov = &v_out[n_out], .msg_iovlen = 1
        };
        n_out++;
}

void batch_receive(int fd, int timeout_ms, batch_fn *fn) {
        struct pollfd p = { fd, POLLIN, 0 };
        int n;

        if (poll(&p, 1, timeout_ms) <= 0)
                return;
        for (int i = 0; i < BATCH_N; i++) {
                v_in[i] = (struct iovec){ in[i], sizeof(in[i]) };
                incoming[i].msg_hdr = (struct msghdr){ .msg_name = &from[i],
                                                       .msg_namelen = sizeof(*from),
                                                       .msg_iov = &v_in[i],
                                                       .msg_iovlen = 1 };
        }
        n = recvmmsg(fd, incoming, BATCH_N, MSG_DONTWAIT, NULL);
        for (int i = 0; i < n; i++)
                fn(in[i], incoming[i].msg_len, &from[i]);
}
