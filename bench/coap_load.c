/*
 * A closed-loop load generator for CoAP over UDP: so many clients, each with so
 * many requests outstanding, for so long; every answer is checked against the
 * first one. It says what one request cost the server in CPU time, by the
 * scheduler's own account of the server's threads.
 *
 *     coap_load [-n CLIENTS] [-w OUTSTANDING] [-t SECONDS] [-c] [-p PID]... ADDRESS PORT PATH
 *
 * -c sends CON instead of NON; -p may be given several times (daemon, broker,
 * app), one figure each. Loopback only. Prints one line: requests, lost, us per
 * request for each PID, requests per second. Exit status 1 when an answer was
 * wrong, 3 when some were lost (the figure is not clean).
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CLIENTS_MAX     256
#define OUTSTANDING_MAX 64
#define PIDS_MAX        4
#define LOST_AFTER_NS   1000000000u

struct slot {
        uint64_t sent_ns;
        uint32_t serial;
        bool busy;
};

struct client {
        int fd;
        uint16_t mid;
        struct slot slots[OUTSTANDING_MAX];
};

static struct client clients[CLIENTS_MAX];
static int n_clients = 16, n_outstanding = 8, seconds = 3, n_pids;
static int pids[PIDS_MAX];
static bool confirmable;
static uint8_t path_options[256];
static size_t n_path_options;
static uint8_t expected[1500];
static size_t n_expected;
static uint64_t n_answers, n_lost, n_wrong;

static uint64_t now_ns(void) {
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void die(const char *what) {
        fprintf(stderr, "coap_load: %s: %s\n", what, strerror(errno));
        exit(2);
}

/* Run time of all threads in ns, as /proc/PID/task/TID/schedstat has it. */
static uint64_t cpu_ns(int pid) {
        char name[64 + 256];
        uint64_t sum = 0;
        struct dirent *e;
        DIR *d;

        snprintf(name, sizeof(name), "/proc/%d/task", pid);
        d = opendir(name);
        while (d && (e = readdir(d))) {
                unsigned long long ns;
                FILE *f;

                if (e->d_name[0] == '.')
                        continue;
                snprintf(name, sizeof(name), "/proc/%d/task/%s/schedstat", pid, e->d_name);
                f = fopen(name, "re");
                if (f && fscanf(f, "%llu", &ns) == 1)
                        sum += ns;
                if (f)
                        fclose(f);
        }
        if (d)
                closedir(d);
        return sum;
}

static void build_path(const char *path) {
        unsigned previous = 0;

        while (*path == '/') {
                size_t n = strcspn(++path, "/");

                if (n > 200 || n_path_options + n + 2 > sizeof(path_options))
                        die("path too long");
                if (n < 13) {
                        path_options[n_path_options++] = (uint8_t)((11 - previous) << 4 | n);
                } else {
                        path_options[n_path_options++] = (uint8_t)((11 - previous) << 4 | 13);
                        path_options[n_path_options++] = (uint8_t)(n - 13);
                }
                memcpy(path_options + n_path_options, path, n);
                n_path_options += n;
                path += n;
                previous = 11;
        }
}

static void send_request(struct client *c, int slot) {
        static uint32_t serial;
        uint8_t m[300], *p = m;
        struct slot *s = &c->slots[slot];

        s->serial = ++serial;
        s->busy = true;
        s->sent_ns = now_ns();
        *p++ = confirmable ? 0x48 : 0x58;
        *p++ = 1;
        *p++ = (uint8_t)(++c->mid >> 8);
        *p++ = (uint8_t)c->mid;
        memcpy(p, &s->serial, 4);
        memset(p + 4, slot, 4);
        p += 8;
        memcpy(p, path_options, n_path_options);
        p += n_path_options;
        if (send(c->fd, m, (size_t)(p - m), 0) < 0 && errno != EAGAIN && errno != ECONNREFUSED)
                die("send");
}

static void check(struct client *c, const uint8_t *m, size_t n) {
        uint32_t serial;

        if (n < 12 || m[0] >> 6 != 1 || (m[0] & 15) != 8 || m[4 + 4] >= n_outstanding) {
                n_wrong++;
                return;
        }
        memcpy(&serial, m + 4, 4);
        if (!c->slots[m[8]].busy || c->slots[m[8]].serial != serial)
                return; /* late: it was given up before */
        if (!n_expected && m[1] == 0x45) {
                memcpy(expected, m + 12, n - 12);
                n_expected = n - 12;
        }
        if (m[1] != 0x45 || n - 12 != n_expected || memcmp(m + 12, expected, n_expected) != 0)
                n_wrong++;
        n_answers++;
        c->slots[m[8]].busy = false;
}

static void give_up_lost(struct client *c) {
        uint64_t t = now_ns();

        for (int i = 0; i < n_outstanding; i++)
                if (c->slots[i].busy && t - c->slots[i].sent_ns > LOST_AFTER_NS) {
                        n_lost++;
                        send_request(c, i);
                }
}

static void run(uint64_t until_ns) {
        struct pollfd fds[CLIENTS_MAX];
        uint8_t m[2048];

        for (int i = 0; i < n_clients; i++)
                fds[i] = (struct pollfd){ clients[i].fd, POLLIN, 0 };
        while (now_ns() < until_ns) {
                if (poll(fds, (nfds_t)n_clients, 100) <= 0)
                        for (int i = 0; i < n_clients; i++)
                                give_up_lost(&clients[i]);
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

static void connect_all(const char *address, int port) {
        struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
        int buffer = 1 << 20;

        if (inet_pton(AF_INET, address, &to.sin_addr) != 1 || ntohl(to.sin_addr.s_addr) >> 24 != 127) {
                fputs("coap_load: the address must be on loopback (127.x.y.z)\n", stderr);
                exit(2);
        }
        for (int i = 0; i < n_clients; i++) {
                clients[i].fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
                if (clients[i].fd < 0 || connect(clients[i].fd, (struct sockaddr *)&to, sizeof(to)) < 0)
                        die("connect");
                setsockopt(clients[i].fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof(buffer));
                clients[i].mid = (uint16_t)(i * 1009);
                for (int j = 0; j < n_outstanding; j++)
                        send_request(&clients[i], j);
        }
}

int main(int argc, char **argv) {
        uint64_t before[PIDS_MAX], start_ns, n_before;
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
                else if (option == 'p' && n_pids < PIDS_MAX)
                        pids[n_pids++] = atoi(optarg);
        }
        if (argc - optind != 3 || n_clients < 1 || n_clients > CLIENTS_MAX || n_outstanding < 1 ||
            n_outstanding > OUTSTANDING_MAX || seconds < 1 || seconds > 60) {
                fputs("Usage: coap_load [-n CLIENTS] [-w OUTSTANDING] [-t SECONDS] [-c] [-p PID]... ADDRESS "
                      "PORT PATH\n",
                      stderr);
                return 2;
        }
        build_path(argv[optind + 2]);
        connect_all(argv[optind], atoi(argv[optind + 1]));
        run(now_ns() + 300000000u); /* warm */
        n_before = n_answers;
        n_lost = 0;
        for (int i = 0; i < n_pids; i++)
                before[i] = cpu_ns(pids[i]);
        start_ns = now_ns();
        run(start_ns + (uint64_t)seconds * 1000000000u);
        n_answers -= n_before;
        printf("requests=%llu lost=%llu wrong=%llu per_s=%.0f", (unsigned long long)n_answers,
               (unsigned long long)n_lost, (unsigned long long)n_wrong,
               (double)n_answers * 1e9 / (double)(now_ns() - start_ns));
        for (int i = 0; i < n_pids; i++)
                printf(" us=%.3f",
                       (double)(cpu_ns(pids[i]) - before[i]) / 1e3 / (n_answers ? (double)n_answers : 1));
        putchar('\n');
        return n_wrong || !n_answers ? 1 : n_lost ? 3 : 0;
}
