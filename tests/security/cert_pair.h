/*
 * A client and a server of libssl behind our interface, and a network between
 * them that can lose every n-th datagram.
 */
#ifndef OCF_TESTS_SECURITY_CERT_PAIR_H
#define OCF_TESTS_SECURITY_CERT_PAIR_H

#include "pki.h"
#include "security/tls_cert.h"
#include "security/tls_hello.h"

struct pair {
        struct tls *client, *server;
        bool through;
        unsigned lose, n;
        uint64_t now_ms;
        char heard[2][64];
};

static uint8_t secret[TLS_COOKIE_SECRET] = { 5 };

static void hear(struct pair *p, struct tls *to, uint8_t *bytes, size_t n) {
        char *heard = p->heard[to == p->server];
        struct span data;

        tls_receive(to, p->now_ms, bytes, n);
        while (tls_next(to, p->now_ms, &data)) {
                memcpy(heard, data.data, data.n);
                heard[data.n] = 0;
        }
}

static void carry(struct pair *p, struct tls *from, uint8_t *bytes, size_t n) {
        struct tls_hello hello;
        uint8_t cookie[TLS_COOKIE], answer[TLS_HELLO_VERIFY_MAX];

        if (p->lose && ++p->n % p->lose == 0)
                return;
        if (from == p->client && !p->client->stream && !p->through) {
                if (tls_hello_read(&hello, false, span_of(bytes, n)))
                        return;
                p->through = tls_cookie_is(&hello, SPAN_LITERAL("me"), secret);
                if (!p->through) {
                        tls_cookie_make(&hello, SPAN_LITERAL("me"), secret, cookie);
                        n = tls_hello_verify(cookie, span_of(bytes, n), answer, sizeof(answer));
                        hear(p, p->client, answer, n);
                        return;
                }
        }
        hear(p, from == p->client ? p->server : p->client, bytes, n);
}

static OCF_UNUSED void run(struct pair *p) {
        static uint8_t bytes[TLS_RECORD_MAX];

        for (unsigned i = 0; i < 200; i++) {
                struct tls *const sides[] = { p->client, p->server };
                bool any = false;
                size_t n;

                for (size_t j = 0; j < 2; j++)
                        while ((n = tls_transmit(sides[j], p->now_ms, bytes, sizeof(bytes))) > 0) {
                                any = true;
                                carry(p, sides[j], bytes, n);
                        }
                if (any)
                        continue;
                if (p->client->state != TLS_HANDSHAKE && p->server->state != TLS_HANDSHAKE)
                        return;
                return; /* its clock is libssl's: see a_lost_flight_comes_again */
        }
}

static OCF_UNUSED void begin(struct pair *p, struct tls_cert_context *c, struct tls_cert_context *s,
                             bool stream, uint16_t suite) {
        const struct tls_cert_config client_config = {
                .context = c, .client = true, .stream = stream, .suite = suite, .wall_s = PKI_NOW
        };
        const struct tls_cert_config server_config = {
                .context = s, .stream = stream, .suite = suite, .wall_s = PKI_NOW
        };

        *p = (struct pair){ .now_ms = 1000 };
        assert_int_equal(tls_cert_new(&p->client, &client_config, p->now_ms), 0);
        assert_int_equal(tls_cert_new(&p->server, &server_config, p->now_ms), 0);
}

static OCF_UNUSED void end(struct pair *p) {
        tls_free(p->client);
        tls_free(p->server);
}

#endif
