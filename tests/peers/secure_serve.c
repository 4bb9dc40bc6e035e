/*
 * A server behind our own engine, on a UDP socket: so that clients that are not ours
 * meet it without a daemon around.
 *
 *   secure_serve PORT SUITE [KEY [IDENTITY [HINT]]]       all but PORT in hex
 *
 * Without IDENTITY everybody has the key. It answers every request with "hello, peer",
 * and prints a line for each association that opens or ends.
 */
#include "security/crypto.h"
#include "security/tls_hello.h"
#include "security/tls_psk.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum { PEERS = 64, POLL_MS = 20, SECRET_MAX = 64, GET = 1 };

struct peer {
        struct sockaddr_in address;
        struct tls *tls;
        bool said;
};

static struct peer peers[PEERS];
static unsigned next_peer;
static uint8_t cookie_secret[TLS_COOKIE_SECRET], key[SECRET_MAX], identity[SECRET_MAX], hint[SECRET_MAX];
static size_t n_key, n_identity, n_hint;
static uint16_t suite;
static int fd;

static uint64_t now_ms(void) {
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static size_t read_hex(const char *text, uint8_t *out) {
        size_t n = 0;
        unsigned byte;

        for (; n < SECRET_MAX && sscanf(text, "%2x", &byte) == 1 && text[1]; text += 2)
                out[n++] = (uint8_t)byte;
        return n;
}

static size_t find_key(void *context, struct span name, uint8_t ret[TLS_PSK_MAX]) {
        if (n_key > TLS_PSK_MAX || (n_identity && !span_equal(name, span_of(identity, n_identity))))
                return 0;
        memcpy(ret, key, n_key);
        return n_key;
}

static void put(const struct peer *p, const uint8_t *bytes, size_t n) {
        if (sendto(fd, bytes, n, 0, (const struct sockaddr *)&p->address, sizeof(p->address)) < 0)
                perror("sendto");
}

static void end(struct peer *p) {
        printf("{\"ended\": %d, \"alert\": %u, \"problem\": \"%s\"}\n", (int)p->tls->failure, p->tls->alert,
               p->tls->problem ? p->tls->problem : "");
        p->tls = tls_free(p->tls);
}

static void flush(struct peer *p) {
        static uint8_t out[TLS_RECORD_MAX];
        size_t n;

        while (p->tls && (n = tls_transmit(p->tls, now_ms(), out, sizeof(out))) > 0)
                put(p, out, n);
        if (p->tls && p->tls->state == TLS_CLOSED)
                end(p);
}

static void say_open(struct peer *p) {
        struct span name = tls_psk_name(p->tls);

        printf("{\"opened\": \"%04x\", \"identity\": \"", p->tls->suite);
        for (size_t i = 0; i < name.n; i++)
                printf("%02x", name.data[i]);
        printf("\"}\n");
        p->said = true;
}

/* A confirmable request is answered at once; nothing else is. */
static void answer(struct peer *p, struct span m) {
        static const char text[] = "\xffhello, peer";
        uint8_t out[64], record[64 + TLS_SEAL_MORE];
        size_t n_token = m.n >= 4 ? m.data[0] & 15u : 9, n;

        if (n_token > 8 || m.n < 4 + n_token || m.data[0] >> 4 != 4 || m.data[1] != GET)
                return;
        memcpy(out, m.data, 4 + n_token);
        out[0] = (uint8_t)(0x60 | n_token);
        out[1] = 2 << 5 | 5;
        memcpy(out + 4 + n_token, text, sizeof(text) - 1);
        n = tls_seal(p->tls, span_of(out, 4 + n_token + sizeof(text) - 1), record, sizeof(record));
        put(p, record, n);
}

static void give(struct peer *p, uint8_t *bytes, size_t n) {
        struct span data;

        tls_receive(p->tls, now_ms(), bytes, n);
        while (tls_next(p->tls, now_ms(), &data))
                answer(p, data);
        if (p->tls->state == TLS_OPEN && !p->said)
                say_open(p);
        flush(p);
}

/* Who is not known has to bring the cookie first. */
static void meet(const struct sockaddr_in *from, uint8_t *bytes, size_t n) {
        struct peer *p = &peers[next_peer % PEERS];
        uint8_t cookie[TLS_COOKIE], out[TLS_HELLO_VERIFY_MAX];
        struct span who = span_of(from, sizeof(*from));
        struct tls_psk_config config = { .suite = suite, .hint = span_of(hint, n_hint), .psk = find_key };
        struct tls_hello hello;

        if (tls_hello_read(&hello, false, span_of(bytes, n)) || !tls_hello_has(&hello, suite))
                return;
        if (!tls_cookie_is(&hello, who, cookie_secret)) {
                struct peer stranger = { .address = *from };

                tls_cookie_make(&hello, who, cookie_secret, cookie);
                put(&stranger, out, tls_hello_verify(cookie, span_of(bytes, n), out, sizeof(out)));
                return;
        }
        tls_free(p->tls);
        *p = (struct peer){ .address = *from };
        config.first_message = hello.message_seq;
        config.first_record = hello.record_seq;
        next_peer++;
        if (tls_psk_new(&p->tls, &config, now_ms()) == 0)
                give(p, bytes, n);
}

static void receive(void) {
        static uint8_t in[TLS_RECORD_MAX];
        struct sockaddr_in from;
        socklen_t size = sizeof(from);
        ssize_t n = recvfrom(fd, in, sizeof(in), MSG_DONTWAIT, (struct sockaddr *)&from, &size);

        if (n <= 0)
                return;
        for (size_t i = 0; i < PEERS; i++)
                if (peers[i].tls && peers[i].address.sin_port == from.sin_port &&
                    peers[i].address.sin_addr.s_addr == from.sin_addr.s_addr) {
                        give(&peers[i], in, (size_t)n);
                        return;
                }
        meet(&from, in, (size_t)n);
}

int main(int argc, char **argv) {
        struct sockaddr_in here = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_ANY) };
        struct pollfd p = { .events = POLLIN };

        if (argc < 3)
                return 2;
        here.sin_port = htons((uint16_t)atoi(argv[1]));
        suite = (uint16_t)strtoul(argv[2], NULL, 16);
        n_key = argc > 3 ? read_hex(argv[3], key) : 0;
        n_identity = argc > 4 ? read_hex(argv[4], identity) : 0;
        n_hint = argc > 5 ? read_hex(argv[5], hint) : 0;
        crypto_random(cookie_secret, sizeof(cookie_secret));
        fd = p.fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (fd < 0 || bind(fd, (struct sockaddr *)&here, sizeof(here)) < 0)
                return perror("a socket"), 1;
        setvbuf(stdout, NULL, _IOLBF, 0);
        printf("{\"ready\": %d}\n", atoi(argv[1]));
        for (;;) {
                if (poll(&p, 1, POLL_MS) > 0)
                        receive();
                for (size_t i = 0; i < PEERS; i++)
                        if (peers[i].tls && peers[i].tls->deadline_ms <= now_ms())
                                flush(&peers[i]);
        }
}
