/*
 * A load generator for CoAP over DTLS 1.2 with a pre-shared key (0xC037): as
 * many sessions as are asked for, each from an address of its own, through our own
 * engine in the client's role. Answers are held against their requests as in
 * coap_load. It says what one request, handshake or hello cost the server.
 *
 *     dtls_load [-n SESSIONS] [-a ACTIVE] [-w OUTSTANDING] [-t SECONDS] [-m] [-k KEY -i IDENTITY] [-p PID]...
 *               [-c CHAIN.pem -c KEY.pem -c ROOTS.pem] [-H | -C | -I] ADDRESS PORT PATH[?QUERY]
 *
 * GETs over ACTIVE of the sessions (all), or with -H handshakes, closed as soon as
 * they are done; -C hellos without a cookie; -I opens the sessions and says by how
 * much the server grew. -m does not offer encrypt-then-MAC, as OCF's peers do not.
 * KEY and IDENTITY are hexadecimal. With -c it shows a certificate instead, through our engine on libssl.
 * Loopback only; exit status as coap_load's.
 */
#include "common.h"
#include "crowd.h"
#include "least.h"
#include "owned.h"
#include "security/tls_psk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define OUTSTANDING_MAX 64
#define LOST_AFTER_NS   1000000000u
#define N_TOKEN         8
#define OPENING_MAX     16 /* handshakes at once while the sessions are opened */
#define NET             77

struct slot {
        uint64_t sent_ns;
        uint32_t serial;
        bool busy;
};

struct client {
        struct tls *tls;
        uint16_t mid;
        bool waits;       /* -C: for the answer to its hello */
        uint64_t sent_ns; /* of that */
        struct slot *slots;
};

enum mode { GETS, HANDSHAKES, HELLOS, IDLE };

static struct client *clients;
static struct crowd crowd;
static int n_clients = 16, n_active, n_outstanding = 8, seconds = 3;
static enum mode mode = GETS;
static bool mac_then_encrypt, is_asking;
static uint8_t key[TLS_PSK_MAX] = LEAST_KEY, identity[16];
static size_t n_key = 16;
static char *files[3];
static int n_files;
static struct tls_cert_context *certificates;
static struct bench_options options;
static struct bench_cpu cpu;
static uint8_t expected[BENCH_MESSAGE_MAX], hello[BENCH_MESSAGE_MAX];
static size_t n_expected, n_body, n_hello;
static uint64_t n_answers, n_lost, n_twice, n_wrong, n_open, n_hellos;

static uint64_t now_ms(void) {
        return bench_now_ns() / 1000000u;
}

static size_t find_key(void *context, struct span name, uint8_t ret[TLS_PSK_MAX]) {
        memcpy(ret, key, n_key);
        return n_key;
}

/* ---- sessions ---- */

static void transmit(int i) {
        static uint8_t bytes[TLS_RECORD_MAX];
        size_t n;

        while ((n = tls_transmit(clients[i].tls, now_ms(), bytes, sizeof(bytes))) > 0)
                crowd_send(&crowd, i, bytes, n);
}

static void make_with_certificate(int i) {
        const struct tls_cert_config config = { .context = certificates, .client = true, .wall_s = -1 };

        clients[i].tls = tls_free(clients[i].tls);
        if (tls_cert_new(&clients[i].tls, &config, now_ms()))
                bench_die("memory");
}

static void make(int i) {
        const struct tls_psk_config config = {
                .client = true,
                .suite = TLS_ECDHE_PSK_AES_128_CBC_SHA256,
                .identity = span_of(identity, sizeof(identity)),
                .without_encrypt_then_mac = mac_then_encrypt,
                .psk = find_key,
        };

        clients[i].tls = tls_free(clients[i].tls);
        if (tls_psk_new(&clients[i].tls, &config, now_ms()))
                bench_die("memory");
}

static void begin(int i) {
        if (certificates)
                make_with_certificate(i);
        else
                make(i);
        transmit(i);
}

static void begin_again(int i) {
        tls_close(clients[i].tls);
        transmit(i);
        begin(i);
}

/* ---- requests ---- */

static void send_request(int i, int slot) {
        static uint32_t serial;
        uint8_t m[4 + N_TOKEN + sizeof(options.bytes)], record[sizeof(m) + TLS_SEAL_MORE];
        struct slot *s = &clients[i].slots[slot];
        uint16_t mid = ++clients[i].mid;
        size_t n;

        *s = (struct slot){ bench_now_ns(), ++serial, true };
        m[0] = BENCH_NON | N_TOKEN;
        m[1] = BENCH_GET;
        m[2] = (uint8_t)(mid >> 8);
        m[3] = (uint8_t)mid;
        memcpy(m + 4, &s->serial, 4);
        memset(m + 8, slot, 4);
        memcpy(m + 4 + N_TOKEN, options.bytes, options.n);
        n = tls_seal(clients[i].tls, span_of(m, 4 + N_TOKEN + options.n), record, sizeof(record));
        if (n)
                crowd_send(&crowd, i, record, n);
}

static void ask(int i) {
        for (int j = 0; j < n_outstanding; j++)
                if (!clients[i].slots[j].busy)
                        send_request(i, j);
}

static void check(int i, struct span m) {
        struct bench_message a;
        struct slot *s;
        uint32_t serial;

        if (!bench_parse(m.data, m.n, &a) || a.n_token != N_TOKEN || a.token[4] >= n_outstanding) {
                n_wrong++;
                return;
        }
        s = &clients[i].slots[a.token[4]];
        memcpy(&serial, a.token, 4);
        if (!s->busy || s->serial != serial) {
                n_twice++;
                return;
        }
        if (!n_expected && a.code == BENCH_CONTENT) {
                n_expected = m.n - 4 - N_TOKEN;
                memcpy(expected, m.data + 4 + N_TOKEN, n_expected);
                n_body = a.n_payload;
        }
        if (a.type != BENCH_NON || a.code != BENCH_CONTENT || m.n - 4 - N_TOKEN != n_expected ||
            memcmp(m.data + 4 + N_TOKEN, expected, n_expected) != 0)
                n_wrong++;
        n_answers++;
        s->busy = false;
}

/* ---- what comes ---- */

static void on_hello_answer(int i, const uint8_t *bytes, size_t n) {
        if (n < 28 || bytes[0] != 22 || bytes[13] != 3 || !clients[i].waits) {
                n_wrong++;
                return;
        }
        n_hellos++;
        clients[i].waits = false;
}

static void on_datagram(void *context, int i, const uint8_t *bytes, size_t n) {
        static uint8_t copy[BENCH_MESSAGE_MAX];
        struct tls *t = clients[i].tls;
        struct span data;
        bool was_open = t && t->state == TLS_OPEN;

        if (mode == HELLOS && is_asking) {
                on_hello_answer(i, bytes, n);
                return;
        }
        if (!t || n > sizeof(copy))
                return;
        memcpy(copy, bytes, n);
        tls_receive(t, now_ms(), copy, n);
        while (tls_next(t, now_ms(), &data))
                if (clients[i].slots)
                        check(i, data);
        transmit(i);
        if (t->state == TLS_CLOSED) {
                fprintf(stderr, "dtls_load: a session ended: %s (alert %d)\n", t->problem ? t->problem : "",
                        t->alert);
                exit(BENCH_WRONG);
        }
        if (!was_open && t->state == TLS_OPEN) {
                n_open++;
                if (mode == HANDSHAKES && is_asking)
                        begin_again(i);
                if (mode == IDLE)
                        send_request(i, 0); /* once, so that the server is sure of its last flight */
        }
        if (mode == GETS && is_asking && clients[i].slots)
                ask(i);
}

static void look_at_time(void) {
        uint64_t t = now_ms();

        for (int i = 0; i < n_clients; i++)
                if (clients[i].tls && clients[i].tls->deadline_ms <= t)
                        transmit(i);
}

static void give_up_lost(void) {
        uint64_t t = bench_now_ns();

        for (int i = 0; i < n_clients; i++)
                for (int j = 0; clients[i].slots && j < n_outstanding; j++)
                        if (clients[i].slots[j].busy && t - clients[i].slots[j].sent_ns > LOST_AFTER_NS) {
                                n_lost++;
                                send_request(i, j);
                        }
}

/* ---- phases ---- */

static void open_all(void) {
        uint64_t until_ns = bench_now_ns() + 120000000000u, look_ns = 0;
        int n_begun = 0;

        while (n_open < (uint64_t)n_clients || (mode == IDLE && n_answers < n_open)) {
                while (n_begun < n_clients && (uint64_t)n_begun - n_open < OPENING_MAX)
                        begin(n_begun++);
                (void)crowd_receive(&crowd, 10, on_datagram, NULL);
                if (bench_now_ns() - look_ns > 100000000u) {
                        look_ns = bench_now_ns();
                        look_at_time();
                }
                if (look_ns > until_ns) {
                        fputs("dtls_load: the sessions do not open\n", stderr);
                        exit(BENCH_WRONG);
                }
        }
}

static void say_hello(int i) {
        clients[i].waits = true;
        clients[i].sent_ns = bench_now_ns();
        crowd_send(&crowd, i, hello, n_hello);
}

/* What a client says first, without the client. */
static void prepare_hello(void) {
        static uint8_t bytes[TLS_RECORD_MAX];

        make(0);
        n_hello = tls_transmit(clients[0].tls, now_ms(), bytes, sizeof(bytes));
        memcpy(hello, bytes, n_hello);
        clients[0].tls = tls_free(clients[0].tls);
}

static void run(uint64_t until_ns) {
        uint64_t look_ns = bench_now_ns();

        while (bench_now_ns() < until_ns) {
                (void)crowd_receive(&crowd, 20, on_datagram, NULL);
                for (int i = 0; mode == HELLOS && i < n_clients; i++)
                        if (!clients[i].waits)
                                say_hello(i);
                if (bench_now_ns() - look_ns < 100000000u)
                        continue;
                look_ns = bench_now_ns();
                look_at_time();
                give_up_lost();
                for (int i = 0; mode == HELLOS && i < n_clients; i++)
                        if (clients[i].waits && look_ns - clients[i].sent_ns > LOST_AFTER_NS) {
                                n_lost++;
                                say_hello(i);
                        }
        }
}

/* ---- */

static bool read_hex(const char *text, uint8_t *ret, size_t n_max, size_t *ret_n) {
        unsigned v;

        for (*ret_n = 0; *ret_n < n_max && sscanf(text, "%2x", &v) == 1; text += 2)
                ret[(*ret_n)++] = (uint8_t)v;
        return !*text && *ret_n;
}

static bool read_option(int option, char *value) {
        size_t n;

        switch (option) {
        case 'n':
                n_clients = atoi(value);
                return n_clients > 0 && n_clients <= CROWD_CLIENTS_MAX;
        case 'a':
                n_active = atoi(value);
                return n_active > 0;
        case 'w':
                n_outstanding = atoi(value);
                return n_outstanding > 0 && n_outstanding <= OUTSTANDING_MAX;
        case 't':
                seconds = atoi(value);
                return seconds > 0;
        case 'm':
                mac_then_encrypt = true;
                return true;
        case 'k':
                return read_hex(value, key, sizeof(key), &n_key);
        case 'i':
                return read_hex(value, identity, sizeof(identity), &n) && n == sizeof(identity);
        case 'c':
                if (n_files < 3)
                        files[n_files] = value;
                return ++n_files <= 3;
        case 'p':
                bench_cpu_add(&cpu, value);
                return true;
        case 'H':
        case 'C':
        case 'I':
                mode = option == 'H' ? HANDSHAKES : option == 'C' ? HELLOS : IDLE;
                return true;
        }
        return false;
}

static bool read_arguments(int argc, char **argv) {
        int option;

        memcpy(identity, LEAST_IDENTITY, sizeof(identity));
        while ((option = getopt(argc, argv, "n:a:w:t:mk:i:c:p:HCI")) >= 0)
                if (!read_option(option, optarg))
                        return false;
        if (!n_active || n_active > n_clients)
                n_active = n_clients;
        if (argc - optind != 3 || (n_files && n_files != 3))
                return false;
        bench_option_path(&options, argv[optind + 2]);
        bench_option(&options, 17, "\x27\x10", 2); /* Accept, as OCF's clients say */
        bench_option_query(&options, argv[optind + 2]);
        return true;
}

static void prepare(void) {
        clients = calloc((size_t)n_clients, sizeof(*clients));
        if (!clients)
                bench_die("memory");
        for (int k = 0; (mode == GETS || mode == IDLE) && k < n_active; k++) {
                struct client *c = &clients[(size_t)k * (size_t)n_clients / (size_t)n_active];

                c->slots = calloc((size_t)n_outstanding, sizeof(*c->slots));
                if (!c->slots)
                        bench_die("memory");
        }
        if (mode == HELLOS)
                prepare_hello();
        else if (mode != HANDSHAKES)
                open_all();
}

static void start(void) {
        is_asking = true;
        for (int i = 0; i < n_clients; i++) {
                if (mode == HANDSHAKES)
                        begin(i);
                else if (mode == GETS && clients[i].slots)
                        ask(i);
        }
}

static int print(long grown_kib) {
        uint64_t n_units = mode == HANDSHAKES ? n_open : mode == HELLOS ? n_hellos : n_answers;

        printf("units=%llu lost=%llu twice=%llu wrong=%llu bytes=%zu", (unsigned long long)n_units,
               (unsigned long long)n_lost, (unsigned long long)n_twice, (unsigned long long)n_wrong, n_body);
        if (mode == IDLE)
                printf(" grown_kib=%ld", grown_kib);
        else
                bench_cpu_print(&cpu, n_units);
        puts("");
        return n_wrong || (mode != IDLE && !n_units) ? BENCH_WRONG
               : n_lost || n_twice                   ? BENCH_LOST
                                                     : BENCH_OK;
}

int main(int argc, char **argv) {
        struct sockaddr_in to;
        long before_kib = 0;

        if (!read_arguments(argc, argv)) {
                fputs("Usage: dtls_load [-n SESSIONS] [-a ACTIVE] [-w OUTSTANDING] [-t SECONDS] [-m] [-k KEY "
                      "-i IDENTITY] "
                      "[-p PID]... [-c CHAIN -c KEY -c ROOTS] [-H | -C | -I] ADDRESS PORT PATH[?QUERY]\n",
                      stderr);
                return BENCH_TROUBLE;
        }
        to = bench_loopback(argv[optind], argv[optind + 1]);
        certificates = n_files ? certificates_in(files) : NULL;
        crowd_open(&crowd, &to, n_clients, NET);
        if (mode == IDLE && cpu.n)
                before_kib = bench_memory_kib(cpu.pids[0]);
        prepare();
        if (mode == IDLE)
                return print(cpu.n ? bench_memory_kib(cpu.pids[0]) - before_kib : -1);
        start();
        run(bench_now_ns() + 200000000u); /* until it runs evenly */
        n_open = n_hellos = n_answers = n_lost = 0;
        bench_cpu_start(&cpu);
        run(bench_now_ns() + (uint64_t)seconds * 1000000000u);
        return print(0);
}
