/*
 * What a ClientHello without a cookie costs, without the socket: read, looked up
 * and answered with HelloVerifyRequest by the table of sessions, each from another
 * address, as in a flood. And whether anything was allocated for it.
 *
 *     hello [COUNT]
 */
#include "common.h"
#include "owned.h"
#include "security/tls_psk.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t n_allocations;

void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__wrap_realloc(void *p, size_t n);

void *__wrap_calloc(size_t n, size_t size) {
        n_allocations++;
        return __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t n) {
        n_allocations++;
        return __real_realloc(p, n);
}

static void *crypto_malloc(size_t n, const char *file, int line) {
        n_allocations++;
        return malloc(n);
}

static void *crypto_realloc(void *p, size_t n, const char *file, int line) {
        n_allocations++;
        return realloc(p, n);
}

static void crypto_free(void *p, const char *file, int line) {
        free(p);
}

static size_t no_key(void *context, struct span name, uint8_t ret[TLS_PSK_MAX]) {
        return 0;
}

static size_t make_hello(uint8_t ret[TLS_RECORD_MAX]) {
        static const uint8_t identity[16] = { 1 };
        const struct tls_psk_config config = { .client = true,
                                               .suite = TLS_ECDHE_PSK_AES_128_CBC_SHA256,
                                               .identity = { identity, sizeof(identity) },
                                               .psk = no_key };
        struct tls *client;
        size_t n;

        if (tls_psk_new(&client, &config, 1))
                bench_die("memory");
        n = tls_transmit(client, 1, ret, TLS_RECORD_MAX);
        tls_free(client);
        return n;
}

int main(int argc, char **argv) {
        static uint8_t hello[TLS_RECORD_MAX], bytes[TLS_RECORD_MAX];
        struct coap_peer peer = { .remote_port = 1, .local_port = 2 }, to;
        uint32_t n = argc > 1 ? (uint32_t)atoi(argv[1]) : 1000000, n_answers = 0;
        uint64_t before_ns, before_allocations;
        struct session_event event;
        struct sessions *sessions;
        size_t n_hello;

        if (CRYPTO_set_mem_functions(crypto_malloc, crypto_realloc, crypto_free) != 1)
                return BENCH_TROUBLE;
        sessions = owned_sessions(1024, NULL);
        n_hello = make_hello(hello);
        peer.remote_ip[10] = peer.remote_ip[11] = 0xff;
        before_allocations = n_allocations;
        before_ns = bench_now_ns();
        for (uint32_t i = 0; i < n; i++) {
                memcpy(peer.remote_ip + 12, &i, sizeof(i));
                memcpy(bytes, hello, n_hello);
                sessions_receive(sessions, 1000, &peer, bytes, n_hello);
                while (sessions_event(sessions, 1000, &event))
                        ;
                n_answers += sessions_transmit(sessions, 1000, &to, bytes, sizeof(bytes)) > 0;
        }
        printf("hellos=%u us=%.3f allocations=%llu\n", n, (double)(bench_now_ns() - before_ns) / 1e3 / n,
               (unsigned long long)(n_allocations - before_allocations));
        sessions_free(sessions);
        return n_answers == n ? BENCH_OK : BENCH_WRONG;
}
