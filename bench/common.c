#include "common.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

uint64_t bench_now_ns(void) {
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void bench_die(const char *what) {
        fprintf(stderr, "bench: %s: %s\n", what, strerror(errno));
        exit(BENCH_TROUBLE);
}

struct sockaddr_in bench_loopback(const char *address, const char *port) {
        struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port)) };

        if (inet_pton(AF_INET, address, &to.sin_addr) != 1 || ntohl(to.sin_addr.s_addr) >> 24 != 127 ||
            !to.sin_port) {
                fputs("bench: the address must be on loopback (127.x.y.z), the port not 0\n", stderr);
                exit(BENCH_TROUBLE);
        }
        return to;
}

/* ---- the server's CPU ---- */

/* Run time of all threads in ns, as /proc/PID/task/TID/schedstat has it: the scheduler's own account. */
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

void bench_cpu_add(struct bench_cpu *c, const char *pid) {
        if (c->n < BENCH_PIDS_MAX)
                c->pids[c->n++] = atoi(pid);
}

void bench_cpu_start(struct bench_cpu *c) {
        for (int i = 0; i < c->n; i++)
                c->before_ns[i] = cpu_ns(c->pids[i]);
}

void bench_cpu_print(const struct bench_cpu *c, uint64_t n_units) {
        for (int i = 0; i < c->n; i++)
                printf(" us=%.3f", (double)(cpu_ns(c->pids[i]) - c->before_ns[i]) / 1e3 /
                                           (double)(n_units ? n_units : 1));
}

long bench_memory_kib(int pid) {
        char name[64], line[256];
        long kib = -1;
        FILE *f;

        snprintf(name, sizeof(name), "/proc/%d/status", pid);
        f = fopen(name, "re");
        while (f && fgets(line, sizeof(line), f))
                if (sscanf(line, "RssAnon: %ld", &kib) == 1)
                        break;
        if (f)
                fclose(f);
        return kib;
}

/* ---- requests ---- */

static unsigned field(uint8_t **p, unsigned value) {
        if (value < 13)
                return value;
        if (value < 269) {
                *(*p)++ = (uint8_t)(value - 13);
                return 13;
        }
        *(*p)++ = (uint8_t)((value - 269) >> 8);
        *(*p)++ = (uint8_t)(value - 269);
        return 14;
}

void bench_option(struct bench_options *o, unsigned number, const void *value, size_t n) {
        uint8_t *head = o->bytes + o->n, *p = head + 1;

        if (number < o->last || o->n + n + 5 > sizeof(o->bytes)) {
                errno = EINVAL;
                bench_die("options");
        }
        *head = (uint8_t)(field(&p, number - o->last) << 4);
        *head |= (uint8_t)field(&p, (unsigned)n);
        if (n)
                memcpy(p, value, n);
        o->n = (size_t)(p - o->bytes) + n;
        o->last = number;
}

static void segments(struct bench_options *o, unsigned number, const char *text, char separator,
                     const char *stop) {
        while (*text == separator) {
                size_t n = strcspn(++text, stop);

                bench_option(o, number, text, n);
                text += n;
        }
}

void bench_option_path(struct bench_options *o, const char *path) {
        segments(o, 11, path, '/', "/?");
}

void bench_option_query(struct bench_options *o, const char *path) {
        const char *query = strchr(path, '?');

        if (!query)
                return;
        bench_option(o, 15, query + 1, strcspn(query + 1, "&"));
        segments(o, 15, query + 1 + strcspn(query + 1, "&"), '&', "&");
}

/* ---- answers ---- */

static bool read_field(const uint8_t **p, const uint8_t *end, unsigned nibble, size_t *ret) {
        size_t n_more = nibble == 13 ? 1 : nibble == 14 ? 2 : 0;

        if (nibble == 15 || (size_t)(end - *p) < n_more)
                return false;
        *ret = nibble < 13    ? nibble
               : nibble == 13 ? 13u + (*p)[0]
                              : 269u + (unsigned)((*p)[0] << 8 | (*p)[1]);
        *p += n_more;
        return true;
}

/* Block2 and OCF's content format version are the critical ones that may stand in an answer. */
static bool is_known(size_t number) {
        return !(number & 1) || number == 23 || number == 2053;
}

bool bench_parse_options(const uint8_t *p, const uint8_t *end, struct bench_message *ret) {
        size_t number = 0, delta, n;

        ret->observe = -1;
        ret->strange = false;
        ret->payload = end;
        ret->n_payload = 0;
        while (p < end) {
                uint8_t head = *p++;

                if (head == 0xff) {
                        ret->payload = p;
                        ret->n_payload = (size_t)(end - p);
                        return p < end;
                }
                if (!read_field(&p, end, head >> 4, &delta) || !read_field(&p, end, head & 15, &n) ||
                    (size_t)(end - p) < n)
                        return false;
                number += delta;
                ret->strange |= !is_known(number) || (number == 6 && n > 3);
                if (number == 6) {
                        ret->observe = 0;
                        for (size_t i = 0; i < n && i < 3; i++)
                                ret->observe = ret->observe << 8 | p[i];
                }
                p += n;
        }
        return true;
}

bool bench_parse(const uint8_t *m, size_t n, struct bench_message *ret) {
        if (n < 4 || m[0] >> 6 != 1 || (m[0] & 15) > 8 || n < 4u + (m[0] & 15))
                return false;
        ret->type = m[0] & 0xf0;
        ret->n_token = m[0] & 15;
        ret->code = m[1];
        ret->mid = (uint16_t)(m[2] << 8 | m[3]);
        ret->token = m + 4;
        if (!ret->code && n != 4)
                return false;
        return bench_parse_options(m + 4 + ret->n_token, m + n, ret) && !ret->strange;
}
