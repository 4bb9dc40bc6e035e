/*
 * The client behind mbedTLS: 0xC037, with an identity of any bytes.
 */
#include "secure_client.h"

#include <mbedtls/ctr_drbg.h>
#include <mbedtls/entropy.h>
#include <mbedtls/error.h>
#include <mbedtls/net_sockets.h>
#include <mbedtls/ssl.h>
#include <mbedtls/timing.h>
#include <stdio.h>

enum { MTU = 1280, FLIGHT_MS = 400, FLIGHT_MAX_MS = 16000 };

static mbedtls_ssl_context ssl;
static mbedtls_ssl_config config;
static mbedtls_net_context net;
static mbedtls_timing_delay_context timer;
static mbedtls_entropy_context entropy;
static mbedtls_ctr_drbg_context generator;

static void check(int result, const char *what) {
        char text[120], why[160];

        if (result >= 0)
                return;
        mbedtls_strerror(result, text, sizeof(text));
        snprintf(why, sizeof(why), "%s (-%#x)", text, (unsigned)-result);
        secure_fail(what, why);
}

void secure_open(const struct secure_options *o, int fd, struct secure_facts *ret) {
        static int suites[2];
        int result;

        suites[0] = o->suite;
        net.fd = fd;
        mbedtls_ssl_init(&ssl);
        mbedtls_ssl_config_init(&config);
        mbedtls_entropy_init(&entropy);
        mbedtls_ctr_drbg_init(&generator);
        check(mbedtls_ctr_drbg_seed(&generator, mbedtls_entropy_func, &entropy, NULL, 0), "random numbers");
        check(mbedtls_ssl_config_defaults(&config, MBEDTLS_SSL_IS_CLIENT,
                                          o->stream ? MBEDTLS_SSL_TRANSPORT_STREAM
                                                    : MBEDTLS_SSL_TRANSPORT_DATAGRAM,
                                          MBEDTLS_SSL_PRESET_DEFAULT),
              "the configuration");
        mbedtls_ssl_conf_rng(&config, mbedtls_ctr_drbg_random, &generator);
        mbedtls_ssl_conf_ciphersuites(&config, suites);
        mbedtls_ssl_conf_min_version(&config, MBEDTLS_SSL_MAJOR_VERSION_3, MBEDTLS_SSL_MINOR_VERSION_3);
        mbedtls_ssl_conf_handshake_timeout(&config, FLIGHT_MS, FLIGHT_MAX_MS);
        if (o->without_encrypt_then_mac)
                mbedtls_ssl_conf_encrypt_then_mac(&config, MBEDTLS_SSL_ETM_DISABLED);
        mbedtls_ssl_conf_renegotiation(&config, MBEDTLS_SSL_RENEGOTIATION_ENABLED);
        check(mbedtls_ssl_conf_psk(&config, o->key, o->key_size, o->identity, o->identity_size), "the key");
        check(mbedtls_ssl_setup(&ssl, &config), "a session");
        mbedtls_ssl_set_mtu(&ssl, MTU);
        mbedtls_ssl_set_bio(&ssl, &net, mbedtls_net_send, mbedtls_net_recv, mbedtls_net_recv_timeout);
        mbedtls_ssl_set_timer_cb(&ssl, &timer, mbedtls_timing_set_delay, mbedtls_timing_get_delay);
        do {
                result = mbedtls_ssl_handshake(&ssl);
        } while (result == MBEDTLS_ERR_SSL_WANT_READ || result == MBEDTLS_ERR_SSL_WANT_WRITE);
        check(result, "the handshake");
        ret->name = mbedtls_ssl_get_ciphersuite(&ssl);
        ret->suite = (unsigned)mbedtls_ssl_get_ciphersuite_id(ret->name);
}

void secure_send(const void *bytes, size_t n) {
        check(mbedtls_ssl_write(&ssl, bytes, n), "sending");
}

size_t secure_receive(void *bytes, size_t n, int milliseconds) {
        int got;

        mbedtls_ssl_conf_read_timeout(&config, (uint32_t)milliseconds);
        got = mbedtls_ssl_read(&ssl, bytes, n);
        if (got == MBEDTLS_ERR_SSL_TIMEOUT || got == MBEDTLS_ERR_SSL_WANT_READ)
                return 0;
        check(got, "receiving");
        if (!got)
                secure_fail("receiving", "closed");
        return (size_t)got;
}

const char *secure_renegotiate(void) {
        static char why[32];
        int result;

        mbedtls_ssl_conf_read_timeout(&config, 5000);
        do {
                result = mbedtls_ssl_renegotiate(&ssl);
        } while (result == MBEDTLS_ERR_SSL_WANT_READ || result == MBEDTLS_ERR_SSL_WANT_WRITE);
        snprintf(why, sizeof(why), "-0x%04x", (unsigned)-result);
        return result ? why : NULL;
}

void secure_close(void) {
        mbedtls_ssl_close_notify(&ssl);
}
