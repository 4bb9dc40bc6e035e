/*
 * The client behind our own engine: so that it meets servers that are not ours.
 */
#include "secure_client.h"

#include "security/tls_psk.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

static struct tls *tls;
static const struct secure_options *options;
static int fd;

static uint64_t now_ms(void) {
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static size_t find_key(void *context, struct span name, uint8_t ret[TLS_PSK_MAX]) {
        if (options->key_size > TLS_PSK_MAX)
                return 0;
        memcpy(ret, options->key, options->key_size);
        return options->key_size;
}

static void flush(void) {
        static uint8_t out[TLS_RECORD_MAX];
        size_t n;

        while ((n = tls_transmit(tls, now_ms(), out, sizeof(out))) > 0)
                if (send(fd, out, n, MSG_NOSIGNAL) < 0)
                        secure_fail("sending", strerror(errno));
}

static void check(const char *what) {
        char why[120];

        if (tls->state != TLS_CLOSED)
                return;
        snprintf(why, sizeof(why), "failure %d, alert %u, %s", (int)tls->failure, tls->alert,
                 tls->problem ? tls->problem : "");
        secure_fail(what, why);
}

/* Waits for something until then, or for what the engine wants to do earlier. */
static size_t wait_until(uint64_t end, uint8_t *in, size_t n) {
        uint64_t now = now_ms(), until = tls->deadline_ms < end ? tls->deadline_ms : end;
        struct pollfd p = { .fd = fd, .events = POLLIN };
        ssize_t got;

        if (poll(&p, 1, until > now ? (int)(until - now) : 0) <= 0)
                return 0;
        got = recv(fd, in, n, MSG_DONTWAIT);
        if (got < 0 && errno != EAGAIN)
                secure_fail("receiving", strerror(errno));
        return got > 0 ? (size_t)got : 0;
}

void secure_open(const struct secure_options *o, int socket, struct secure_facts *ret) {
        static uint8_t in[TLS_RECORD_MAX];
        const struct tls_psk_config config = {
                .stream = o->stream,
                .client = true,
                .suite = o->suite,
                .identity = span_of(o->identity, o->identity_size),
                .without_encrypt_then_mac = o->without_encrypt_then_mac,
                .psk = find_key,
        };
        uint64_t end = now_ms() + 1000 * SECURE_SECONDS;

        options = o;
        fd = socket;
        if (tls_psk_new(&tls, &config, now_ms()) < 0)
                secure_fail("an association", "no memory");
        while (tls->state != TLS_OPEN) {
                struct span early;
                size_t n;

                flush();
                check("the handshake");
                if (tls->state == TLS_OPEN)
                        break;
                if (now_ms() > end)
                        secure_fail("the handshake", "timed out");
                n = wait_until(end, in, sizeof(in));
                if (n) {
                        tls_receive(tls, now_ms(), in, n);
                        if (tls_next(tls, now_ms(), &early))
                                secure_fail("the handshake", "data before it was asked for");
                }
        }
        flush();
        ret->suite = tls->suite;
        ret->name = "ours";
}

void secure_send(const void *bytes, size_t n) {
        static uint8_t record[TLS_RECORD_MAX];
        size_t size = tls_seal(tls, span_of(bytes, n), record, sizeof(record));

        if (!size || send(fd, record, size, MSG_NOSIGNAL) < 0)
                secure_fail("sending", size ? strerror(errno) : "it cannot be sealed");
}

size_t secure_receive(void *bytes, size_t n, int milliseconds) {
        static uint8_t in[TLS_RECORD_MAX];
        uint64_t end = now_ms() + (uint64_t)milliseconds;
        size_t done = 0;

        while (!done && now_ms() < end) {
                size_t got = wait_until(end, in, sizeof(in));
                struct span data;

                if (got) {
                        tls_receive(tls, now_ms(), in, got);
                        while (tls_next(tls, now_ms(), &data) && done + data.n <= n) {
                                memcpy((uint8_t *)bytes + done, data.data, data.n);
                                done += data.n;
                        }
                }
                flush();
                check("receiving");
        }
        return done;
}

const char *secure_renegotiate(void) {
        return "it never asks for that";
}

void secure_close(void) {
        tls_close(tls);
        flush();
        tls = tls_free(tls);
}
