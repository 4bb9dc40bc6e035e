#include "security/tls_psk_private.h"

#include <openssl/crypto.h>
#include <string.h>

#define EXTENSION_POINT_FORMATS          11
#define EXTENSION_ENCRYPT_THEN_MAC       22
#define EXTENSION_EXTENDED_MASTER_SECRET 23
#define EXTENSION_RENEGOTIATION_INFO     0xff01

static void put_server_hello(struct tls_psk *p, const struct tls_hello *hello) {
        uint8_t buf[128];
        struct writer w = writer_on(buf, sizeof(buf));
        struct tls_handshake *h = p->handshake;
        size_t at;

        writer_put_u16(&w, p->base.stream ? TLS_VERSION_TLS_12 : TLS_VERSION_DTLS_12);
        writer_put(&w, p->secrets.server_random, TLS_RANDOM);
        writer_put_u8(&w, 0); /* no session id: nothing is ever resumed */
        writer_put_u16(&w, p->base.suite);
        writer_put_u8(&w, 0); /* no compression */
        at = w.n;
        writer_put_u16(&w, 0);
        if (hello->renegotiation_info) {
                writer_put_u16(&w, EXTENSION_RENEGOTIATION_INFO);
                writer_put_u16(&w, 1);
                writer_put_u8(&w, 0);
        }
        if (h->extended_master_secret) {
                writer_put_u16(&w, EXTENSION_EXTENDED_MASTER_SECRET);
                writer_put_u16(&w, 0);
        }
        if (h->encrypt_then_mac) {
                writer_put_u16(&w, EXTENSION_ENCRYPT_THEN_MAC);
                writer_put_u16(&w, 0);
        }
        if (hello->point_formats) {
                writer_put_u16(&w, EXTENSION_POINT_FORMATS);
                writer_put_u16(&w, 2);
                writer_put_u16(&w, 0x0100); /* one: uncompressed */
        }
        if (w.n == at + 2)
                w.n = at; /* a hello without extensions gets none */
        else
                buf[at + 1] = (uint8_t)(w.n - at - 2);
        tls_psk_hash(p, tls_flight_put(&h->flight, 0, TLS_SERVER_HELLO, writer_span(&w)));
}

static void put_server_key_exchange(struct tls_psk *p) {
        uint8_t buf[2 + TLS_IDENTITY_MAX + 4 + CRYPTO_POINT];
        struct writer w = writer_on(buf, sizeof(buf));

        if (!tls_psk_is_anonymous(p)) {
                writer_put_u16(&w, p->n_hint);
                writer_put(&w, p->hint, p->n_hint);
        }
        writer_put_u8(&w, 3); /* named_curve */
        writer_put_u16(&w, TLS_GROUP_P256);
        writer_put_u8(&w, CRYPTO_POINT);
        writer_put(&w, p->handshake->point, CRYPTO_POINT);
        tls_psk_hash(p, tls_flight_put(&p->handshake->flight, 0, TLS_SERVER_KEY_EXCHANGE, writer_span(&w)));
}

static void on_client_hello(struct tls_psk *p, uint64_t now_ms, struct span body) {
        struct tls_handshake *h = p->handshake;
        struct tls_hello hello;
        int r = tls_hello_read_body(&hello, p->base.stream, body);

        if (r == TLS_HELLO_E_VERSION) {
                tls_psk_fail(p, TLS_FAILURE_PROTOCOL, TLS_ALERT_PROTOCOL_VERSION,
                             "it cannot do version 1.2 of TLS");
                return;
        }
        if (r) {
                tls_psk_fail(p, TLS_FAILURE_PROTOCOL, TLS_ALERT_DECODE_ERROR, "its ClientHello is malformed");
                return;
        }
        if (!tls_hello_has(&hello, p->base.suite) || !hello.p256) {
                tls_psk_fail(p, TLS_FAILURE_NO_SUITE, TLS_ALERT_HANDSHAKE_FAILURE,
                             "it offers no suite that can be used now, or not the curve P-256");
                return;
        }
        memcpy(p->secrets.client_random, hello.random.data, TLS_RANDOM);
        crypto_random(p->secrets.server_random, TLS_RANDOM);
        h->extended_master_secret = hello.extended_master_secret && !p->config.without_extended_master_secret;
        h->encrypt_then_mac = hello.encrypt_then_mac && !p->config.without_encrypt_then_mac;
        h->key = crypto_ecdh_new(h->point);
        if (!h->key) {
                tls_psk_fail(p, TLS_FAILURE_OURS, TLS_ALERT_INTERNAL_ERROR, NULL);
                return;
        }
        tls_flight_begin(&h->flight);
        h->flight.next_seq = p->config.first_message; /* each hello before had its HelloVerifyRequest */
        put_server_hello(p, &hello);
        put_server_key_exchange(p);
        tls_psk_hash(p, tls_flight_put(&h->flight, 0, TLS_SERVER_HELLO_DONE, SPAN_NULL));
        tls_psk_flight_ready(p, now_ms);
        h->step = TLS_STEP_CLIENT_KEY_EXCHANGE;
}

static bool take_key_exchange(struct tls_psk *p, struct span body, struct span *ret_name,
                              struct span *ret_point) {
        uint16_t n_name = 0;
        uint8_t n_point;

        *ret_name = SPAN_NULL;
        if (!tls_psk_is_anonymous(p) &&
            (!span_take_u16(&body, &n_name) || !span_take(&body, n_name, ret_name)))
                return false;
        return span_take_u8(&body, &n_point) && span_take(&body, n_point, ret_point) && !body.n;
}

/* Nobody learns from the handshake whether a name is known: it fails at its end, as with a wrong key. */
static size_t find_key(struct tls_psk *p, struct span name, uint8_t ret[TLS_PSK_MAX]) {
        size_t n = 0;

        p->base.was_named = true;
        if (name.n && name.n <= TLS_IDENTITY_MAX) {
                memcpy(p->name, name.data, name.n);
                p->n_name = (uint8_t)name.n;
                n = p->config.psk(p->config.context, name, ret);
        }
        if (n)
                return n;
        crypto_random(ret, 16);
        return 16;
}

static void on_client_key_exchange(struct tls_psk *p, struct span body) {
        uint8_t shared[CRYPTO_ECDH], psk[TLS_PSK_MAX];
        struct tls_handshake *h = p->handshake;
        struct span name, point;
        size_t n_psk = 0;
        bool good;

        if (!take_key_exchange(p, body, &name, &point)) {
                tls_psk_fail(p, TLS_FAILURE_PROTOCOL, TLS_ALERT_DECODE_ERROR,
                             "its ClientKeyExchange is malformed");
                return;
        }
        if (!crypto_ecdh(h->key, point, shared)) {
                tls_psk_fail(p, TLS_FAILURE_PROTOCOL, TLS_ALERT_ILLEGAL_PARAMETER,
                             "its ClientKeyExchange holds no point of P-256");
                return;
        }
        if (!tls_psk_is_anonymous(p))
                n_psk = find_key(p, name, psk);
        good = tls_psk_make_keys(p, shared, span_of(psk, n_psk)) &&
               tls_psk_verify_data(p, true, h->verify_data);
        OPENSSL_cleanse(shared, sizeof(shared));
        OPENSSL_cleanse(psk, sizeof(psk));
        EVP_PKEY_free(h->key);
        h->key = NULL;
        if (!good)
                tls_psk_fail(p, TLS_FAILURE_OURS, TLS_ALERT_INTERNAL_ERROR, NULL);
        else
                h->step = TLS_STEP_CHANGE_CIPHER_SPEC;
}

void tls_psk_server_message(struct tls_psk *p, uint64_t now_ms, enum tls_message type, struct span body) {
        switch (p->handshake->step) {
        case TLS_STEP_CLIENT_HELLO:
                if (type == TLS_CLIENT_HELLO) {
                        on_client_hello(p, now_ms, body);
                        return;
                }
                break;
        case TLS_STEP_CLIENT_KEY_EXCHANGE:
                if (type == TLS_CLIENT_KEY_EXCHANGE) {
                        on_client_key_exchange(p, body);
                        return;
                }
                break;
        case TLS_STEP_FINISHED:
                if (type == TLS_FINISHED) {
                        tls_psk_finished(p, now_ms, body);
                        return;
                }
                break;
        case TLS_STEP_CHANGE_CIPHER_SPEC:
        case TLS_STEP_SERVER_HELLO:
        case TLS_STEP_SERVER_KEY_EXCHANGE:
        case TLS_STEP_SERVER_HELLO_DONE:
        case TLS_STEP_DONE:
                break;
        }
        tls_psk_fail(p, TLS_FAILURE_PROTOCOL, TLS_ALERT_UNEXPECTED_MESSAGE,
                     "it sent a message of the handshake that is not due");
}
