/*
 * What the programs of this folder share: time, the CPU account of the server
 * under test, requests out of a path, and a strict reading of what comes back.
 */
#ifndef OCF_BENCH_COMMON_H
#define OCF_BENCH_COMMON_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
        BENCH_NON = 0x50, /* first byte of a message, without the token's length */
        BENCH_CON = 0x40,
        BENCH_ACK = 0x60,
        BENCH_GET = 1,
        BENCH_POST = 2,
        BENCH_PUT = 3,
        BENCH_CONTENT = 0x45,
        BENCH_CHANGED = 0x44,
        BENCH_PIDS_MAX = 4,
        BENCH_MESSAGE_MAX = 2048,
};

/* Exit codes: bench/run tells a wrong answer from a figure that is only not clean. */
enum { BENCH_OK = 0, BENCH_WRONG = 1, BENCH_TROUBLE = 2, BENCH_LOST = 3 };

uint64_t bench_now_ns(void);
_Noreturn void bench_die(const char *what);
struct sockaddr_in bench_loopback(const char *address, const char *port); /* dies for any other */

/* Of one server, several processes at times: daemon, broker, app. */
struct bench_cpu {
        int pids[BENCH_PIDS_MAX];
        uint64_t before_ns[BENCH_PIDS_MAX];
        int n;
};

void bench_cpu_add(struct bench_cpu *c, const char *pid);
void bench_cpu_start(struct bench_cpu *c);
void bench_cpu_print(const struct bench_cpu *c, uint64_t n_units); /* " us=" for each, per unit */
long bench_memory_kib(int pid);                                    /* RssAnon, -1 when it is not known */

struct bench_options {
        uint8_t bytes[512];
        size_t n;
        unsigned last;
};

void bench_option(struct bench_options *o, unsigned number, const void *value, size_t n); /* in order */
void bench_option_path(struct bench_options *o, const char *path);
void bench_option_query(struct bench_options *o, const char *path); /* what stands behind the '?' */

struct bench_message {
        uint8_t type, code, n_token;
        uint16_t mid;
        const uint8_t *token;
        int64_t observe; /* -1: none */
        bool strange;    /* carries a critical option that an answer may not have */
        const uint8_t *payload;
        size_t n_payload;
};

/* Return: false when it is not well-formed. bench_parse(): also when it is strange. */
bool bench_parse(const uint8_t *m, size_t n, struct bench_message *ret);
bool bench_parse_options(const uint8_t *p, const uint8_t *end, struct bench_message *ret);

#endif
