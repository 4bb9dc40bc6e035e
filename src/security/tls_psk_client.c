#include "security/tls_psk_private.h"

#include <openssl/crypto.h>
#include <string.h>

#define EXTENSION_GROUPS                 10
#define EXTENSION_POINT_FORMATS          11
#define EXTENSION_SIGNATURES             13
#define EXTENSION_ENCRYPT_THEN_MAC       22
#define EXTENSION_EXTENDED_MASTER_SECRET 23
#define EXTENSION_RENEGOTIATION_INFO     0xff01
#define SUITE_RENEGOTIATION_INFO         0x00ff

static void put_extensions(const struct tls_psk *p, struct writer *w) {
        size_t at = w->n;

        writer_put_u16(w, 0);
        writer_put_u16(w, EXTENSION_GROUPS);
        writer_put_u16(w, 4);
        writer_put_u16(w, 2);
        writer_put_u16(w, TLS_GROUP_P256);
        writer_put_u16(
                w, EXTENSION_SIGNATURES); /* nothing is signed; some servers want to see it all the same */
        writer_put_u16(w, 4);
        writer_put_u16(w, 2);
        writer_put_u16(w, 0x0403); /* ECDSA with SHA-256 */
        writer_put_u16(w, EXTENSION_POINT_FORMATS);
        writer_put_u16(w, 2);
        writer_put_u16(w, 0x0100);
        if (!p->config.without_encrypt_then_mac) {
                writer_put_u16(w, EXTENSION_ENCRYPT_THEN_MAC);
                writer_put_u16(w, 0);
        }
        if (!p->config.without_extended_master_secret) {
                writer_put_u16(w, EXTENSION_EXTENDED_MASTER_SECRET);
                writer_put_u16(w, 0);
        }
        if (!w->overflow)
                w->data[at + 1] = (uint8_t)(w->n - at - 2);
}

bool tls_psk_client_hello(struct tls_psk *p, struct span cookie) {
        uint8_t buf[TLS_FLIGHT_MAX - 12];
        struct writer w = writer_on(buf, sizeof(buf));
        struct tls_handshake *h = p->handshake;
        struct span message;

        writer_put_u16(&w, p->base.stream ? TLS_VERSION_TLS_12 : TLS_VERSION_DTLS_12);
        writer_put(&w, p->secrets.client_random, TLS_RANDOM);
        writer_put_u8(&w, 0);
        if (!p->base.stream) {
                writer_put_u8(&w, (uint8_t)cookie.n);
                writer_put_span(&w, cookie);
        }
        writer_put_u16(&w, 4);
        writer_put_u16(&w, p->config.suite);
        writer_put_u16(&w, SUITE_RENEGOTIATION_INFO);
        writer_put_u16(&w, 0x0100); /* no compression */
        put_extensions(p, &w);
        if (w.overflow)
                return false;
        tls_flight_begin(&h->flight);
        message = tls_flight_put(&h->flight, 0, TLS_CLIENT_HELLO, writer_span(&w));
        /* The first hello and its HelloVerifyRequest are in no transcript (RFC 6347 4.2.1). */
        if (EVP_DigestInit_ex(h->transcript, crypto_sha256(), NULL) != 1)
                return false;
        tls_psk_hash(p, message);
        return true;
}

static void malformed(struct tls_psk *p, const char *problem) {
        tls_psk_fail(p, TLS_FAILURE_PROTOCOL, TLS_ALERT_DECODE_ERROR, problem);
}

static void on_hello_verify_request(struct tls_psk *p, uint64_t now_ms, struct span body) {
        struct span cookie;
        uint16_t version;
        uint8_t n;

        if (!span_take_u16(&body, &version) || version >> 8 != 0xfe || !span_take_u8(&body, &n) ||
            !span_take(&body, n, &cookie) || body.n) {
                malformed(p, "its HelloVerifyRequest is malformed");
                return;
        }
        p->handshake->verified = true;
        if (tls_psk_client_hello(p, cookie))
                tls_psk_flight_ready(p, now_ms);
        else
                tls_psk_fail(p, TLS_FAILURE_OURS, TLS_ALERT_INTERNAL_ERROR, NULL);
}

/* Only what was offered may be answered. */
static bool read_extension(struct tls_psk *p, uint16_t type, struct span body) {
        struct tls_handshake *h = p->handshake;

        switch (type) {
        case EXTENSION_RENEGOTIATION_INFO:
                return body.n == 1 && body.data[0] == 0;
        case EXTENSION_EXTENDED_MASTER_SECRET:
                h->extended_master_secret = true;
                return !body.n && !p->config.without_extended_master_secret;
        case EXTENSION_ENCRYPT_THEN_MAC:
                h->encrypt_then_mac = true;
                return !body.n && !p->config.without_encrypt_then_mac;
        case EXTENSION_POINT_FORMATS:
                return body.n >= 2 && body.data[0] == body.n - 1 && memchr(body.data + 1, 0, body.n - 1);
        }
        return false;
}

static bool read_extensions(struct tls_psk *p, struct span body) {
        struct span list, extension;
        uint16_t type, n;

        if (!body.n)
                return true;
        if (!span_take_u16(&body, &n) || !span_take(&body, n, &list) || body.n)
                return false;
        while (list.n)
                if (!span_take_u16(&list, &type) || !span_take_u16(&list, &n) ||
                    !span_take(&list, n, &extension) || !read_extension(p, type, extension))
                        return false;
        return true;
}

static void on_server_hello(struct tls_psk *p, struct span body) {
        struct span random, session_id;
        uint16_t version, suite;
        uint8_t n, compression;

        if (!span_take_u16(&body, &version) || !span_take(&body, TLS_RANDOM, &random) ||
            !span_take_u8(&body, &n) || n > 32 || !span_take(&body, n, &session_id) ||
            !span_take_u16(&body, &suite) || !span_take_u8(&body, &compression)) {
                malformed(p, "its ServerHello is malformed");
                return;
        }
        if (version != (p->base.stream ? TLS_VERSION_TLS_12 : TLS_VERSION_DTLS_12)) {
                tls_psk_fail(p, TLS_FAILURE_PROTOCOL, TLS_ALERT_PROTOCOL_VERSION,
                             "it cannot do version 1.2 of TLS");
                return;
        }
        if (suite != p->config.suite || compression || !read_extensions(p, body)) {
                tls_psk_fail(p, TLS_FAILURE_PROTOCOL, TLS_ALERT_ILLEGAL_PARAMETER,
                             "its ServerHello chooses what was not offered");
                return;
        }
        memcpy(p->secrets.server_random, random.data, TLS_RANDOM);
        p->handshake->step = TLS_STEP_SERVER_KEY_EXCHANGE;
}

static void on_server_key_exchange(struct tls_psk *p, struct span body) {
        struct span hint = SPAN_NULL, point;
        uint16_t n_hint, group;
        uint8_t kind, n;

        if (!tls_psk_is_anonymous(p) &&
            (!span_take_u16(&body, &n_hint) || !span_take(&body, n_hint, &hint))) {
                malformed(p, "its ServerKeyExchange is malformed");
                return;
        }
        if (!span_take_u8(&body, &kind) || !span_take_u16(&body, &group) || !span_take_u8(&body, &n) ||
            !span_take(&body, n, &point) || body.n) {
                malformed(p, "its ServerKeyExchange is malformed");
                return;
        }
        if (kind != 3 || group != TLS_GROUP_P256 || point.n != CRYPTO_POINT) {
                tls_psk_fail(p, TLS_FAILURE_PROTOCOL, TLS_ALERT_ILLEGAL_PARAMETER,
                             "its ServerKeyExchange holds no point of P-256");
                return;
        }
        if (hint.n && hint.n <= TLS_IDENTITY_MAX) {
                memcpy(p->name, hint.data, hint.n);
                p->n_name = (uint8_t)hint.n;
        }
        memcpy(p->handshake->peer_point, point.data, CRYPTO_POINT);
        p->handshake->step = TLS_STEP_SERVER_HELLO_DONE;
}

static void put_client_key_exchange(struct tls_psk *p) {
        uint8_t buf[2 + TLS_IDENTITY_MAX + 1 + CRYPTO_POINT];
        struct writer w = writer_on(buf, sizeof(buf));

        if (!tls_psk_is_anonymous(p)) {
                writer_put_u16(&w, p->n_hint);
                writer_put(&w, p->hint, p->n_hint);
        }
        writer_put_u8(&w, CRYPTO_POINT);
        writer_put(&w, p->handshake->point, CRYPTO_POINT);
        tls_psk_hash(p, tls_flight_put(&p->handshake->flight, 0, TLS_CLIENT_KEY_EXCHANGE, writer_span(&w)));
}

/* The whole of our second flight, made in one go. */
static bool make_flight(struct tls_psk *p, struct span psk) {
        struct tls_handshake *h = p->handshake;
        uint8_t shared[CRYPTO_ECDH], verify_data[TLS_VERIFY_DATA];
        bool good;

        h->key = crypto_ecdh_new(h->point);
        if (!h->key)
                return false;
        tls_flight_begin(&h->flight);
        put_client_key_exchange(p);
        if (!crypto_ecdh(h->key, span_of(h->peer_point, CRYPTO_POINT), shared)) {
                tls_psk_fail(p, TLS_FAILURE_PROTOCOL, TLS_ALERT_ILLEGAL_PARAMETER,
                             "its ServerKeyExchange holds no point of P-256");
                return true;
        }
        good = tls_psk_make_keys(p, shared, psk) && tls_psk_verify_data(p, true, verify_data);
        OPENSSL_cleanse(shared, sizeof(shared));
        EVP_PKEY_free(h->key);
        h->key = NULL;
        if (!good)
                return false;
        tls_flight_put_change_cipher_spec(&h->flight);
        tls_psk_hash(p, tls_flight_put(&h->flight, 1, TLS_FINISHED, span_of(verify_data, TLS_VERIFY_DATA)));
        h->step = TLS_STEP_CHANGE_CIPHER_SPEC;
        return tls_psk_verify_data(p, false, h->verify_data);
}

static void on_server_hello_done(struct tls_psk *p, uint64_t now_ms, struct span body) {
        uint8_t psk[TLS_PSK_MAX];
        size_t n_psk = 0;

        if (body.n) {
                malformed(p, "its ServerHelloDone is malformed");
                return;
        }
        if (!tls_psk_is_anonymous(p)) {
                n_psk = p->config.psk(p->config.context, span_of(p->name, p->n_name), psk);
                if (!n_psk) {
                        tls_psk_fail(p, TLS_FAILURE_KEY, TLS_ALERT_UNKNOWN_PSK_IDENTITY,
                                     "there is no key for the device that it says it is");
                        return;
                }
        }
        if (!make_flight(p, span_of(psk, n_psk)))
                tls_psk_fail(p, TLS_FAILURE_OURS, TLS_ALERT_INTERNAL_ERROR, NULL);
        else if (p->base.state == TLS_HANDSHAKE)
                tls_psk_flight_ready(p, now_ms);
        OPENSSL_cleanse(psk, sizeof(psk));
}

void tls_psk_client_message(struct tls_psk *p, uint64_t now_ms, enum tls_message type, struct span body) {
        switch (p->handshake->step) {
        case TLS_STEP_SERVER_HELLO:
                if (type == TLS_SERVER_HELLO) {
                        on_server_hello(p, body);
                        return;
                }
                if (type == TLS_HELLO_VERIFY_REQUEST && !p->base.stream && !p->handshake->verified) {
                        on_hello_verify_request(p, now_ms, body);
                        return;
                }
                break;
        case TLS_STEP_SERVER_KEY_EXCHANGE:
                if (type == TLS_SERVER_KEY_EXCHANGE) {
                        on_server_key_exchange(p, body);
                        return;
                }
                break;
        case TLS_STEP_SERVER_HELLO_DONE:
                if (type == TLS_SERVER_HELLO_DONE) {
                        on_server_hello_done(p, now_ms, body);
                        return;
                }
                break;
        case TLS_STEP_FINISHED:
                if (type == TLS_FINISHED) {
                        tls_psk_finished(p, now_ms, body);
                        return;
                }
                break;
        case TLS_STEP_CLIENT_HELLO:
        case TLS_STEP_CLIENT_KEY_EXCHANGE:
        case TLS_STEP_CHANGE_CIPHER_SPEC:
        case TLS_STEP_DONE:
                break;
        }
        tls_psk_fail(p, TLS_FAILURE_PROTOCOL, TLS_ALERT_UNEXPECTED_MESSAGE,
                     "it sent a message of the handshake that is not due");
}
