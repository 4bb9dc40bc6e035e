/*
 * The load generator over TCP (RFC 8323): so many connections, each with so many
 * GETs outstanding. CSM comes first on both sides; requests are pipelined, and
 * those that became free by one read go out in one write. Every answer is held
 * against its request and, to the byte, against the first answer.
 *
 *     coap_tcp_load [-n CONNECTIONS] [-w OUTSTANDING] [-t SECONDS] [-p PID]... ADDRESS PORT PATH
 *
 * Says the same and ends with the same status as coap_load.
 */
#include "tcp_frame.h"

#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNECTIONS_MAX 256
#define OUTSTANDING_MAX 64
#define N_TOKEN         8
#define IN_MAX          65536

struct connection {
        int fd;
        bool csm_came;
        uint32_t serials[OUTSTANDING_MAX]; /* 0: free */
        size_t n_in;
        uint8_t in[IN_MAX];
};

static struct connection connections[CONNECTIONS_MAX];
static int n_connections = 16, n_outstanding = 8, seconds = 3;
static struct bench_options options;
static struct bench_cpu cpu;
static uint8_t expected[BENCH_MESSAGE_MAX];
static size_t n_expected, n_body;
static uint64_t n_answers, n_lost, n_twice, n_wrong;

static void write_all(struct connection *c, const uint8_t *bytes, size_t n) {
        while (n) {
                ssize_t r = send(c->fd, bytes, n, MSG_NOSIGNAL);

                if (r <= 0)
                        bench_die("the connection ended");
                bytes += r;
                n -= (size_t)r;
        }
}

static void fill(struct connection *c) {
        static uint8_t out[OUTSTANDING_MAX * (TCP_HEAD_MAX + N_TOKEN + sizeof(options.bytes))];
        static uint32_t serial;
        size_t n = 0;

        for (int i = 0; i < n_outstanding; i++) {
                uint8_t token[N_TOKEN] = { [4] = (uint8_t)i, 0x5a, 0xa5, 0x5a };

                if (c->serials[i])
                        continue;
                c->serials[i] = ++serial;
                memcpy(token, &c->serials[i], 4);
                n += tcp_frame_put(out + n, BENCH_GET, token, N_TOKEN, options.bytes, options.n);
        }
        write_all(c, out, n);
}

static void on_signal(struct connection *c, const struct tcp_frame *f) {
        uint8_t pong[TCP_HEAD_MAX + 8];

        if (f->code == TCP_CSM) {
                c->csm_came = true;
        } else if (f->code == TCP_PING) {
                write_all(c, pong, tcp_frame_put(pong, TCP_PONG, f->token, f->n_token, NULL, 0));
        } else if (f->code) {
                fprintf(stderr, "coap_tcp_load: the server says 7.%02u\n", f->code & 31u);
                n_wrong++;
        }
}

static void check(struct connection *c, const struct tcp_frame *f) {
        struct bench_message a;
        uint32_t serial;

        if (!f->code || f->code >> 5 == 7) {
                on_signal(c, f);
                return;
        }
        if (!c->csm_came || f->n_token != N_TOKEN || f->token[4] >= n_outstanding ||
            !bench_parse_options(f->rest, f->rest + f->n_rest, &a) || a.strange) {
                n_wrong++;
                return;
        }
        memcpy(&serial, f->token, 4);
        if (c->serials[f->token[4]] != serial) {
                n_twice++;
                return;
        }
        if (!n_expected && f->code == BENCH_CONTENT && f->n_rest <= sizeof(expected)) {
                n_expected = f->n_rest;
                memcpy(expected, f->rest, n_expected);
                n_body = a.n_payload;
        }
        if (f->code != BENCH_CONTENT || f->n_rest != n_expected || memcmp(f->rest, expected, n_expected) != 0)
                n_wrong++;
        n_answers++;
        c->serials[f->token[4]] = 0;
}

static void take(struct connection *c) {
        ssize_t n = recv(c->fd, c->in + c->n_in, IN_MAX - c->n_in, MSG_DONTWAIT);
        struct tcp_frame f;
        size_t at = 0, n_frame;

        if (n <= 0)
                bench_die("the server has ended the connection");
        c->n_in += (size_t)n;
        while ((n_frame = tcp_frame_read(c->in + at, c->n_in - at, &f)) && n_frame != TCP_FRAME_BAD) {
                check(c, &f);
                at += n_frame;
        }
        if (n_frame == TCP_FRAME_BAD)
                n_wrong++;
        c->n_in -= at;
        memmove(c->in, c->in + at, c->n_in);
        fill(c);
}

/* Nothing may be lost on a connection: a second of silence is the end. */
static void run(uint64_t until_ns) {
        struct pollfd fds[CONNECTIONS_MAX];

        for (int i = 0; i < n_connections; i++)
                fds[i] = (struct pollfd){ connections[i].fd, POLLIN, 0 };
        while (bench_now_ns() < until_ns && !n_wrong) {
                if (poll(fds, (nfds_t)n_connections, 1000) <= 0) {
                        n_lost++;
                        return;
                }
                for (int i = 0; i < n_connections; i++)
                        if (fds[i].revents)
                                take(&connections[i]);
        }
}

static void connect_all(const struct sockaddr_in *to) {
        for (int i = 0; i < n_connections; i++) {
                struct connection *c = &connections[i];
                uint8_t csm[TCP_HEAD_MAX];
                int on = 1;

                c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
                if (c->fd < 0 || connect(c->fd, (const struct sockaddr *)to, sizeof(*to)) < 0)
                        bench_die("connect");
                (void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
                write_all(c, csm, tcp_frame_put(csm, TCP_CSM, NULL, 0, NULL, 0));
                fill(c);
        }
}

static bool read_arguments(int argc, char **argv) {
        int option;

        while ((option = getopt(argc, argv, "n:w:t:p:")) >= 0) {
                if (option == 'n')
                        n_connections = atoi(optarg);
                else if (option == 'w')
                        n_outstanding = atoi(optarg);
                else if (option == 't')
                        seconds = atoi(optarg);
                else if (option == 'p')
                        bench_cpu_add(&cpu, optarg);
                else
                        return false;
        }
        return argc - optind == 3 && n_connections >= 1 && n_connections <= CONNECTIONS_MAX &&
               n_outstanding >= 1 && n_outstanding <= OUTSTANDING_MAX && seconds >= 1 && seconds <= 60;
}

int main(int argc, char **argv) {
        struct sockaddr_in to;
        uint64_t start_ns;

        if (!read_arguments(argc, argv)) {
                fputs("Usage: coap_tcp_load [-n CONNECTIONS] [-w OUTSTANDING] [-t SECONDS] [-p PID]... "
                      "ADDRESS "
                      "PORT PATH\n",
                      stderr);
                return BENCH_TROUBLE;
        }
        to = bench_loopback(argv[optind], argv[optind + 1]);
        bench_option_path(&options, argv[optind + 2]);
        bench_option_query(&options, argv[optind + 2]);
        connect_all(&to);
        run(bench_now_ns() + 300000000u); /* warm */
        n_answers = 0;
        bench_cpu_start(&cpu);
        start_ns = bench_now_ns();
        run(start_ns + (uint64_t)seconds * 1000000000u);
        printf("requests=%llu lost=%llu twice=%llu wrong=%llu bytes=%zu per_s=%.0f",
               (unsigned long long)n_answers, (unsigned long long)n_lost, (unsigned long long)n_twice,
               (unsigned long long)n_wrong, n_body,
               (double)n_answers * 1e9 / (double)(bench_now_ns() - start_ns));
        bench_cpu_print(&cpu, n_answers);
        putchar('\n');
        return n_wrong || !n_answers ? BENCH_WRONG : n_lost || n_twice ? BENCH_LOST : BENCH_OK;
}
