/*
 * A closed-loop load generator for CoAP over UDP: so many clients, each with so
 * many GETs outstanding, for so long. Every answer is held against its request
 * (type, message id, token) and against the first answer (code, options, body,
 * to the byte). It says what one request cost the server in CPU time.
 *
 *     coap_load [-n CLIENTS] [-w OUTSTANDING] [-t SECONDS] [-c] [-p PID]... ADDRESS PORT PATH[?QUERY]
 *
 * -c sends CON instead of NON; -p may be given several times (daemon, broker,
 * app), one figure each. Loopback only. Exit status 1 when an answer was wrong,
 * 3 when some were lost or came twice (the figure is not clean).
 */
#include "common.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CLIENTS_MAX     256
#define OUTSTANDING_MAX 64
#define LOST_AFTER_NS   1000000000u
#define N_TOKEN         8

struct slot {
        uint64_t sent_ns;
        uint32_t serial;
        uint16_t mid;
        bool busy;
};

struct client {
        int fd;
        uint16_t mid;
        struct slot slots[OUTSTANDING_MAX];
};

static struct client clients[CLIENTS_MAX];
static int n_clients = 16, n_outstanding = 8, seconds = 3;
static bool confirmable;
static struct bench_options options;
static struct bench_cpu cpu;
static uint8_t expected[BENCH_MESSAGE_MAX]; /* what follows the token in the first answer */
static size_t n_expected, n_body;
static uint64_t n_answers, n_lost, n_twice, n_wrong;

static void send_request(struct client *c, int slot) {
        static uint32_t serial;
        uint8_t m[4 + N_TOKEN + sizeof(options.bytes)];
        struct slot *s = &c->slots[slot];

        *s = (struct slot){ bench_now_ns(), ++serial, ++c->mid, true };
        m[0] = (confirmable ? BENCH_CON : BENCH_NON) | N_TOKEN;
        m[1] = BENCH_GET;
        m[2] = (uint8_t)(s->mid >> 8);
        m[3] = (uint8_t)s->mid;
        memcpy(m + 4, &s->serial, 4);
        memset(m + 8, slot, 4);
        memcpy(m + 4 + N_TOKEN, options.bytes, options.n);
        if (send(c->fd, m, 4 + N_TOKEN + options.n, 0) < 0 && errno != EAGAIN && errno != ECONNREFUSED)
                bench_die("send");
}

/* A separate response is acknowledged, as any client would. */
static bool type_fits(struct client *c, const struct slot *s, const struct bench_message *a) {
        const uint8_t ack[4] = { BENCH_ACK, 0, (uint8_t)(a->mid >> 8), (uint8_t)a->mid };

        if (a->type == BENCH_ACK)
                return confirmable && a->mid == s->mid;
        if (a->type == BENCH_CON)
                (void)!send(c->fd, ack, sizeof(ack), 0);
        return a->type == BENCH_CON || a->type == BENCH_NON;
}

static void check(struct client *c, const uint8_t *m, size_t n) {
        struct bench_message a;
        struct slot *s;
        uint32_t serial;

        if (n == 4 && m[0] == BENCH_ACK && !m[1])
                return; /* the answer comes separately */
        if (!bench_parse(m, n, &a) || a.n_token != N_TOKEN || a.token[4] >= n_outstanding) {
                n_wrong++;
                return;
        }
        s = &c->slots[a.token[4]];
        memcpy(&serial, a.token, 4);
        if (!s->busy || s->serial != serial) { /* it was answered, or given up */
                n_twice++;
                return;
        }
        if (!n_expected && a.code == BENCH_CONTENT) {
                n_expected = n - 4 - N_TOKEN;
                memcpy(expected, m + 4 + N_TOKEN, n_expected);
                n_body = a.n_payload;
        }
        if (!type_fits(c, s, &a) || a.code != BENCH_CONTENT || n - 4 - N_TOKEN != n_expected ||
            memcmp(m + 4 + N_TOKEN, expected, n_expected) != 0)
                n_wrong++;
        n_answers++;
        s->busy = false;
}

static void give_up_lost(struct client *c) {
        uint64_t t = bench_now_ns();

        for (int i = 0; i < n_outstanding; i++)
                if (c->slots[i].busy && t - c->slots[i].sent_ns > LOST_AFTER_NS) {
                        n_lost++;
                        send_request(c, i);
                }
}

static void run(uint64_t until_ns) {
        struct pollfd fds[CLIENTS_MAX];
        uint64_t look_ns = bench_now_ns();
        uint8_t m[BENCH_MESSAGE_MAX];

        for (int i = 0; i < n_clients; i++)
                fds[i] = (struct pollfd){ clients[i].fd, POLLIN, 0 };
        while (bench_now_ns() < until_ns) {
                if (poll(fds, (nfds_t)n_clients, 100) <= 0 || bench_now_ns() - look_ns > 100000000u) {
                        look_ns = bench_now_ns();
                        for (int i = 0; i < n_clients; i++)
                                give_up_lost(&clients[i]);
                }
                for (int i = 0; i < n_clients; i++) {
                        ssize_t n;

                        if (!fds[i].revents)
                                continue;
                        while ((n = recv(clients[i].fd, m, sizeof(m), 0)) > 0)
                                check(&clients[i], m, (size_t)n);
                        for (int j = 0; j < n_outstanding; j++)
                                if (!clients[i].slots[j].busy)
                                        send_request(&clients[i], j);
                }
        }
}

static void connect_all(const struct sockaddr_in *to) {
        int buffer = 1 << 20;

        for (int i = 0; i < n_clients; i++) {
                clients[i].fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
                if (clients[i].fd < 0 || connect(clients[i].fd, (const struct sockaddr *)to, sizeof(*to)) < 0)
                        bench_die("connect");
                setsockopt(clients[i].fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof(buffer));
                clients[i].mid = (uint16_t)(i * 1009);
                for (int j = 0; j < n_outstanding; j++)
                        send_request(&clients[i], j);
        }
}

static bool read_arguments(int argc, char **argv) {
        int option;

        while ((option = getopt(argc, argv, "n:w:t:p:c")) >= 0) {
                if (option == 'n')
                        n_clients = atoi(optarg);
                else if (option == 'w')
                        n_outstanding = atoi(optarg);
                else if (option == 't')
                        seconds = atoi(optarg);
                else if (option == 'c')
                        confirmable = true;
                else if (option == 'p')
                        bench_cpu_add(&cpu, optarg);
                else
                        return false;
        }
        return argc - optind == 3 && n_clients >= 1 && n_clients <= CLIENTS_MAX && n_outstanding >= 1 &&
               n_outstanding <= OUTSTANDING_MAX && seconds >= 1 && seconds <= 60;
}

int main(int argc, char **argv) {
        struct sockaddr_in to;
        uint64_t start_ns;

        if (!read_arguments(argc, argv)) {
                fputs("Usage: coap_load [-n CLIENTS] [-w OUTSTANDING] [-t SECONDS] [-c] [-p PID]... ADDRESS "
                      "PORT PATH\n",
                      stderr);
                return BENCH_TROUBLE;
        }
        to = bench_loopback(argv[optind], argv[optind + 1]);
        bench_option_path(&options, argv[optind + 2]);
        bench_option_query(&options, argv[optind + 2]);
        connect_all(&to);
        run(bench_now_ns() + 300000000u); /* warm */
        n_answers = n_lost = n_twice = 0;
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
