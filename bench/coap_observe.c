/*
 * Observers by the thousand, each at an address of its own, and what it costs
 * the server to tell them of a change.
 *
 *     coap_observe [-n OBSERVERS] [-t SECONDS] [-u] [-k] [-b BYTES] [-p PID]... ADDRESS PORT PATH
 *
 * Registers them, then changes the resource (a CON POST of {"power": counter};
 * -u: PUT; -b: filled up to so many bytes), waits until every observer has been
 * told exactly that, and changes it again, for so long. A notification must carry the
 * observer's own token, a sequence number that went up (RFC 7641, 3.4) and the
 * counter; confirmable ones are acknowledged. In the end everybody takes the
 * observation back (-k: nobody does). -t 0: nothing changes. -p as for coap_load; us= is CPU per
 * notification. Exit status 1 when something was wrong, 3 when some were lost or came twice.
 */
#include "common.h"
#include "crowd.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define AGAIN_NS      500000000u
#define LOST_AFTER_NS 3000000000u
#define TRIES_MAX     8
#define N_WINDOW      64
#define N_TOKEN       8
#define CYCLE         20      /* servers make each n-th notification confirmable: whole cycles of them */
#define COUNTER_FIRST 100000u /* four bytes in CBOR, so that sizes stay */

struct observer {
        uint64_t sent_ns;
        uint32_t sequence;
        uint16_t last_mid, mid;
        uint8_t n_sent;
        bool registered, told, waits;
        bool heard; /* of a change at all: last_mid is something */
};

static struct crowd crowd;
static struct observer observers[CROWD_CLIENTS_MAX];
static int n_clients = 100, seconds = 3, trigger;
static uint8_t change_code = BENCH_POST;
static struct bench_options get, deregister, change;
static struct bench_cpu cpu;
static uint8_t body[512] = "\xa1\x65power\x1a\0\0\0";
static size_t n_body = 12, n_payload;
static uint32_t counter = COUNTER_FIRST;
static int n_answered, n_told;
static bool is_leaving, keeps;
static uint64_t n_notifications, n_confirmable, n_changes, n_lost, n_twice, n_wrong, n_again;

/* ---- coming and going ---- */

static void send_get(int client) {
        const struct bench_options *options = is_leaving ? &deregister : &get;
        struct observer *o = &observers[client];
        uint8_t m[4 + N_TOKEN + sizeof(options->bytes)] = { BENCH_CON | N_TOKEN, BENCH_GET };

        o->mid = is_leaving ? 2 : 1;
        o->waits = true;
        o->n_sent++;
        o->sent_ns = bench_now_ns();
        m[3] = (uint8_t)o->mid;
        memcpy(m + 4, &client, 4);
        memcpy(m + 8, "\x5a\xa5\x5a\xa5", 4);
        memcpy(m + 4 + N_TOKEN, options->bytes, options->n);
        crowd_send(&crowd, client, m, 4 + N_TOKEN + options->n);
}

static void on_answer(int client, const struct bench_message *a) {
        struct observer *o = &observers[client];

        if (!o->waits || a->mid != o->mid) {
                n_twice++;
                return;
        }
        o->waits = false;
        o->n_sent = 0;
        n_answered++;
        o->registered = a->observe >= 0;
        o->sequence = o->registered ? (uint32_t)a->observe : 0;
        if (a->code != BENCH_CONTENT || o->registered == is_leaving)
                n_wrong++;
}

/* ---- being told ---- */

static bool is_newer(uint32_t a, uint32_t b) {
        return a != b && ((a - b) & 0xffffff) < 1u << 23;
}

static bool carries_counter(const struct bench_message *a) {
        const uint8_t wanted[5] = { 0x1a, (uint8_t)(counter >> 24), (uint8_t)(counter >> 16),
                                    (uint8_t)(counter >> 8), (uint8_t)counter };

        return a->n_payload && memmem(a->payload, a->n_payload, wanted, sizeof(wanted));
}

static void on_notification(int client, const struct bench_message *a) {
        const uint8_t ack[4] = { BENCH_ACK, 0, (uint8_t)(a->mid >> 8), (uint8_t)a->mid };
        struct observer *o = &observers[client];

        if (a->type == BENCH_CON)
                crowd_send(&crowd, client, ack, sizeof(ack));
        if (o->heard && a->mid == o->last_mid) { /* our acknowledgement was lost, or it comes doubled */
                n_twice++;
                return;
        }
        if (!o->registered || o->told || a->code != BENCH_CONTENT || a->observe < 0 ||
            !is_newer((uint32_t)a->observe, o->sequence) || !carries_counter(a)) {
                n_wrong++;
                return;
        }
        o->told = o->heard = true;
        o->last_mid = a->mid;
        o->sequence = (uint32_t)a->observe;
        n_payload = a->n_payload;
        n_told++;
        n_notifications++;
        n_confirmable += a->type == BENCH_CON;
}

static void on_message(void *context, int client, const uint8_t *m, size_t n) {
        struct bench_message a;
        int token;

        if (!bench_parse(m, n, &a) || a.n_token != N_TOKEN ||
            memcmp(a.token + 4, "\x5a\xa5\x5a\xa5", 4) != 0) {
                n_wrong++;
                return;
        }
        memcpy(&token, a.token, 4);
        if (token != client)
                n_wrong++;
        else if (a.type == BENCH_ACK)
                on_answer(client, &a);
        else
                on_notification(client, &a);
}

/* All observers register, or take it back, some at a time. */
static void all_ask(void) {
        uint64_t look_ns = bench_now_ns();
        int n_begun = 0;

        for (n_answered = 0; n_answered < n_clients;) {
                while (n_begun < n_clients && n_begun - n_answered < N_WINDOW)
                        send_get(n_begun++);
                (void)crowd_receive(&crowd, 100, on_message, NULL);
                if (bench_now_ns() - look_ns < AGAIN_NS)
                        continue;
                look_ns = bench_now_ns();
                for (int i = 0; i < n_begun; i++) {
                        if (!observers[i].waits || look_ns - observers[i].sent_ns < AGAIN_NS)
                                continue;
                        if (observers[i].n_sent == TRIES_MAX) {
                                fputs("coap_observe: no answer to a registration\n", stderr);
                                exit(BENCH_LOST);
                        }
                        n_again++;
                        send_get(i);
                }
        }
}

/* ---- changes ---- */

static void send_change(void) {
        uint8_t m[4 + 4 + sizeof(change.bytes) + 1 + sizeof(body)], *p = m + 8;

        m[0] = BENCH_CON | 4;
        m[1] = change_code;
        m[2] = (uint8_t)(counter >> 8);
        m[3] = (uint8_t)counter;
        memcpy(m + 4, &counter, 4);
        memcpy(p, change.bytes, change.n);
        p += change.n;
        *p++ = 0xff;
        memcpy(p, body, n_body);
        for (int i = 0; i < 4; i++)
                p[8 + i] = (uint8_t)(counter >> (24 - 8 * i));
        p += n_body;
        if (send(trigger, m, (size_t)(p - m), 0) < 0)
                bench_die("send");
}

static bool take_changed(void) {
        uint8_t m[BENCH_MESSAGE_MAX];
        struct bench_message a;
        ssize_t n = recv(trigger, m, sizeof(m), MSG_DONTWAIT);

        if (n < 0)
                return false;
        if (!bench_parse(m, (size_t)n, &a) || a.type != BENCH_ACK || a.code != BENCH_CHANGED) {
                n_wrong++;
                return true;
        }
        return a.mid == (uint16_t)counter; /* else it belongs to one that was sent again */
}

/* One change, until everybody knows. */
static void change_once(void) {
        uint64_t start_ns = bench_now_ns(), sent_ns = start_ns;
        bool is_changed = false;

        counter++;
        n_changes++;
        n_told = 0;
        for (int i = 0; i < n_clients; i++)
                observers[i].told = false;
        send_change();
        while ((!is_changed || n_told < n_clients) && bench_now_ns() - start_ns < LOST_AFTER_NS) {
                (void)crowd_receive(&crowd, n_told < n_clients ? 20 : 0, on_message, NULL);
                is_changed = take_changed() || is_changed;
                if (!is_changed && bench_now_ns() - sent_ns > AGAIN_NS) {
                        sent_ns = bench_now_ns();
                        n_again++;
                        send_change();
                }
        }
        n_lost += (uint64_t)(n_clients - n_told) + !is_changed;
}

static void fill_body(size_t n) {
        if (n < 20 || n > 255)
                return;
        body[0] = 0xa2;
        memcpy(body + 12,
               "\x64"
               "fill\x78",
               6);
        body[18] = (uint8_t)(n - 19);
        memset(body + 19, 'x', n - 19);
        n_body = n;
}

static void build_options(const char *path) {
        bench_option(&get, 6, "", 0);
        bench_option_path(&get, path);
        bench_option(&deregister, 6, "\x01", 1);
        bench_option_path(&deregister, path);
        bench_option_path(&change, path);
        bench_option(&change, 12, "\x3c", 1); /* CBOR */
}

static bool read_arguments(int argc, char **argv) {
        int option;

        while ((option = getopt(argc, argv, "n:t:b:p:uk")) >= 0) {
                if (option == 'n')
                        n_clients = atoi(optarg);
                else if (option == 't')
                        seconds = atoi(optarg);
                else if (option == 'b')
                        fill_body((size_t)atoi(optarg));
                else if (option == 'u')
                        change_code = BENCH_PUT;
                else if (option == 'k')
                        keeps = true;
                else if (option == 'p')
                        bench_cpu_add(&cpu, optarg);
                else
                        return false;
        }
        return argc - optind == 3 && n_clients >= 1 && n_clients <= CROWD_CLIENTS_MAX && seconds >= 0 &&
               seconds <= 60;
}

static void report(long grown_kib) {
        printf("observers=%d changes=%llu requests=%llu confirmable=%llu lost=%llu twice=%llu wrong=%llu "
               "bytes=%zu again=%llu grown_kib=%ld",
               n_clients, (unsigned long long)n_changes, (unsigned long long)n_notifications,
               (unsigned long long)n_confirmable, (unsigned long long)n_lost, (unsigned long long)n_twice,
               (unsigned long long)n_wrong, n_payload, (unsigned long long)n_again, grown_kib);
        bench_cpu_print(&cpu, n_notifications);
        putchar('\n');
        fflush(stdout);
}

int main(int argc, char **argv) {
        struct sockaddr_in to;
        uint64_t end_ns;
        long kib;

        if (!read_arguments(argc, argv)) {
                fputs("Usage: coap_observe [-n OBSERVERS] [-t SECONDS] [-u] [-k] [-b BYTES] [-p PID]... "
                      "ADDRESS PORT PATH\n",
                      stderr);
                return BENCH_TROUBLE;
        }
        to = bench_loopback(argv[optind], argv[optind + 1]);
        build_options(argv[optind + 2]);
        crowd_open(&crowd, &to, n_clients, 64);
        trigger = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (trigger < 0 || connect(trigger, (struct sockaddr *)&to, sizeof(to)) < 0)
                bench_die("connect");

        kib = bench_memory_kib(cpu.n ? cpu.pids[0] : 0);
        all_ask();
        kib = bench_memory_kib(cpu.n ? cpu.pids[0] : 0) - kib;
        if (seconds)
                change_once(); /* warm */
        n_notifications = n_confirmable = n_changes = n_lost = n_twice = n_again = 0;
        bench_cpu_start(&cpu);
        end_ns = bench_now_ns() + (uint64_t)seconds * 1000000000u;
        while (seconds && (bench_now_ns() < end_ns || n_changes % CYCLE) && !n_lost)
                change_once();
        report(kib);
        is_leaving = true;
        if (!keeps)
                all_ask();
        return n_wrong || (seconds && !n_notifications) ? BENCH_WRONG
               : n_lost || n_twice                      ? BENCH_LOST
                                                        : BENCH_OK;
}
