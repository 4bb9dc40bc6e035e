/*
 * The least that a correct CoAP server over TCP does (RFC 8323): takes what a
 * connection has, checks frame, token and every option, answers each GET with
 * one constant body, and writes the answers to all that came at once in one go.
 * Says its own CSM first, answers Ping, ends a connection that breaks the rules.
 * Loopback only; one thread; ends by itself after a while.
 *
 *     coap_tcp_floor PORT [SECONDS [BYTES]]       BYTES: of the body (44)
 */
#include "tcp_frame.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define EVENTS   64
#define BODY_MAX 1024
#define IN_MAX   4096
#define OUT_MAX  65536

struct connection {
        int fd;
        bool csm_came;
        size_t n_in;
        uint8_t in[IN_MAX];
};

static uint8_t content[3 + BODY_MAX] = { 0xc2, 0x27, 0x10 };
static size_t n_content;
static uint8_t out[OUT_MAX];
static size_t n_out;

static bool put(uint8_t code, const struct tcp_frame *to, const uint8_t *rest, size_t n_rest) {
        if (OUT_MAX - n_out < TCP_HEAD_MAX + 8 + n_rest)
                return false;
        n_out += tcp_frame_put(out + n_out, code, to ? to->token : NULL, to ? to->n_token : 0, rest, n_rest);
        return true;
}

/* Return: false when the connection is to be ended. */
static bool take(struct connection *c, const struct tcp_frame *f) {
        struct bench_message m;

        if (!bench_parse_options(f->rest, f->rest + f->n_rest, &m))
                return false;
        if (f->code == TCP_CSM) {
                c->csm_came = true;
                return true;
        }
        if (!c->csm_came)
                return false;
        if (f->code == TCP_PING)
                return put(TCP_PONG, f, NULL, 0);
        if (f->code == BENCH_GET)
                return put(BENCH_CONTENT, f, content, n_content);
        return f->code == 0;
}

static bool write_all(int fd) {
        size_t at = 0;

        while (at < n_out) {
                ssize_t n = send(fd, out + at, n_out - at, MSG_NOSIGNAL);

                if (n <= 0)
                        return false;
                at += (size_t)n;
        }
        return true;
}

static bool on_readable(struct connection *c) {
        ssize_t n = recv(c->fd, c->in + c->n_in, IN_MAX - c->n_in, 0);
        struct tcp_frame f;
        size_t at = 0, n_frame;

        if (n <= 0)
                return false;
        c->n_in += (size_t)n;
        n_out = 0;
        while ((n_frame = tcp_frame_read(c->in + at, c->n_in - at, &f)) && n_frame != TCP_FRAME_BAD) {
                if (!take(c, &f))
                        return false;
                at += n_frame;
        }
        c->n_in -= at;
        memmove(c->in, c->in + at, c->n_in);
        return n_frame != TCP_FRAME_BAD && c->n_in < IN_MAX && write_all(c->fd);
}

static void on_connection(int poll, int listener) {
        struct connection *c = calloc(1, sizeof(*c));
        struct epoll_event e = { .events = EPOLLIN, .data.ptr = c };
        int on = 1;

        if (!c)
                bench_die("memory");
        c->fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (c->fd < 0 || epoll_ctl(poll, EPOLL_CTL_ADD, c->fd, &e) < 0)
                bench_die("accept");
        (void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        n_out = 0;
        (void)put(TCP_CSM, NULL, NULL, 0);
        (void)write_all(c->fd);
}

static void serve(int listener) {
        struct epoll_event e = { .events = EPOLLIN }, events[EVENTS];
        int poll = epoll_create1(EPOLL_CLOEXEC);

        if (poll < 0 || epoll_ctl(poll, EPOLL_CTL_ADD, listener, &e) < 0)
                bench_die("epoll");
        for (;;) {
                int n = epoll_wait(poll, events, EVENTS, -1);

                for (int i = 0; i < n; i++) {
                        struct connection *c = events[i].data.ptr;

                        if (!c) {
                                on_connection(poll, listener);
                        } else if (!on_readable(c)) {
                                close(c->fd);
                                free(c);
                        }
                }
        }
}

int main(int argc, char **argv) {
        struct sockaddr_in local = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
        size_t n_body = argc > 3 ? (size_t)atoi(argv[3]) : 44;

        if (argc < 2 || fd < 0 || n_body < 1 || n_body > BODY_MAX - 1) {
                fputs("Usage: coap_tcp_floor PORT [SECONDS [BYTES]]\n", stderr);
                return BENCH_TROUBLE;
        }
        content[3] = 0xff;
        memset(content + 4, 'x', n_body);
        n_content = 4 + n_body;
        local.sin_port = htons((uint16_t)atoi(argv[1]));
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
        if (bind(fd, (struct sockaddr *)&local, sizeof(local)) < 0 || listen(fd, 128) < 0)
                bench_die("bind");
        alarm(argc > 2 ? (unsigned)atoi(argv[2]) : 120);
        serve(fd);
        return BENCH_WRONG;
}
