/*
 * The client behind libssl. Its identities are text: it would cut others at a zero byte.
 */
#include "secure_client.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

enum { MTU = 1280, FLIGHT_US = 400000 };

static SSL *ssl;
static const struct secure_options *options;

static void fail(const char *what) {
        unsigned long e = ERR_peek_last_error();
        char why[160];

        if (ERR_GET_LIB(e) == ERR_LIB_SSL && ERR_GET_REASON(e) > SSL_AD_REASON_OFFSET)
                snprintf(why, sizeof(why), "alert %d", ERR_GET_REASON(e) - SSL_AD_REASON_OFFSET);
        else
                ERR_error_string_n(e, why, sizeof(why));
        secure_fail(what, why);
}

static void check(bool good, const char *what) {
        if (!good)
                fail(what);
}

static unsigned give_key(SSL *s, const char *hint, char *identity, unsigned identity_max, unsigned char *key,
                         unsigned key_max) {
        if (options->identity_size + 1 > identity_max || options->key_size > key_max)
                return 0;
        memcpy(identity, options->identity, options->identity_size);
        identity[options->identity_size] = 0;
        memcpy(key, options->key, options->key_size);
        return (unsigned)options->key_size;
}

/* The only suite to offer, and every one that this library has, by its number. */
static void set_suite(SSL_CTX *context, uint16_t suite) {
        STACK_OF(SSL_CIPHER) * all;
        char list[128] = "";

        check(SSL_CTX_set_cipher_list(context, "ALL:PSK:@SECLEVEL=0"), "suites");
        all = SSL_CTX_get_ciphers(context);
        for (int i = 0; i < sk_SSL_CIPHER_num(all); i++) {
                const SSL_CIPHER *c = sk_SSL_CIPHER_value(all, i);

                if (SSL_CIPHER_get_protocol_id(c) == suite)
                        snprintf(list, sizeof(list), "%s:@SECLEVEL=0", SSL_CIPHER_get_name(c));
        }
        check(*list && SSL_CTX_set_cipher_list(context, list), "the suite");
}

static void set_certificates(SSL_CTX *context, const struct secure_options *o) {
        check(SSL_CTX_load_verify_locations(context, o->roots, NULL), "the roots");
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
        if (!o->chain)
                return;
        check(SSL_CTX_use_certificate_chain_file(context, o->chain), "the chain");
        check(SSL_CTX_use_PrivateKey_file(context, o->private_key, SSL_FILETYPE_PEM), "the key");
}

/* By itself it would double its patience each time. */
static unsigned patience(SSL *s, unsigned last_us) {
        return FLIGHT_US;
}

static void wait_for_handshake(int fd, bool stream) {
        for (;;) {
                struct timeval left = { .tv_sec = SECURE_SECONDS };
                struct pollfd p = { .fd = fd, .events = POLLIN };
                int result, error;

                ERR_clear_error();
                result = SSL_connect(ssl);
                error = SSL_get_error(ssl, result);
                if (result == 1)
                        return;
                if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE)
                        fail("the handshake");
                if (!stream && DTLSv1_get_timeout(ssl, &left) && DTLSv1_handle_timeout(ssl) < 0)
                        secure_fail("the handshake", "timed out");
                poll(&p, 1, (int)(left.tv_sec * 1000 + left.tv_usec / 1000 + 1));
        }
}

void secure_open(const struct secure_options *o, int fd, struct secure_facts *ret) {
        SSL_CTX *context = SSL_CTX_new(o->stream ? TLS_client_method() : DTLS_client_method());
        BIO *bio = o->stream ? BIO_new_socket(fd, BIO_NOCLOSE) : BIO_new_dgram(fd, BIO_NOCLOSE);
        struct sockaddr_storage to;
        socklen_t n = sizeof(to);
        X509 *certificate;

        options = o;
        check(context && bio, "a context");
        SSL_CTX_set_max_proto_version(context, o->stream ? TLS1_2_VERSION : DTLS1_2_VERSION);
        SSL_CTX_set_min_proto_version(context, o->stream ? TLS1_2_VERSION : DTLS1_2_VERSION);
        SSL_CTX_set_options(context, SSL_OP_NO_QUERY_MTU |
                                             (o->without_encrypt_then_mac ? SSL_OP_NO_ENCRYPT_THEN_MAC : 0));
        set_suite(context, o->suite);
        if (o->key_size)
                SSL_CTX_set_psk_client_callback(context, give_key);
        else
                set_certificates(context, o);
        if (!o->stream) {
                check(!getpeername(fd, (struct sockaddr *)&to, &n), "a socket");
                BIO_ctrl(bio, BIO_CTRL_DGRAM_SET_CONNECTED, 0, &to);
        }
        BIO_set_nbio(bio, 1);
        ssl = SSL_new(context);
        SSL_set_bio(ssl, bio, bio);
        if (!o->stream) {
                SSL_set_mtu(ssl, MTU);
                DTLS_set_timer_cb(ssl, patience);
        }
        BIO_socket_nbio(fd, 1);
        wait_for_handshake(fd, o->stream);
        certificate = SSL_get0_peer_certificate(ssl);
        if (certificate)
                X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, ret->subject,
                                          sizeof(ret->subject));
        ret->name = SSL_get_cipher_name(ssl);
        ret->suite = SSL_CIPHER_get_protocol_id(SSL_get_current_cipher(ssl));
}

void secure_send(const void *bytes, size_t n) {
        check(SSL_write(ssl, bytes, (int)n) == (int)n, "sending");
}

size_t secure_receive(void *bytes, size_t n, int milliseconds) {
        struct pollfd p = { .fd = SSL_get_fd(ssl), .events = POLLIN };
        int got = SSL_read(ssl, bytes, (int)n);

        if (got <= 0 && SSL_get_error(ssl, got) == SSL_ERROR_WANT_READ) {
                poll(&p, 1, milliseconds);
                got = SSL_read(ssl, bytes, (int)n);
        }
        if (got > 0)
                return (size_t)got;
        if (SSL_get_error(ssl, got) == SSL_ERROR_WANT_READ)
                return 0;
        if (SSL_get_error(ssl, got) == SSL_ERROR_ZERO_RETURN)
                secure_fail("receiving", "closed");
        fail("receiving");
        return 0;
}

const char *secure_renegotiate(void) {
        struct pollfd p = { .fd = SSL_get_fd(ssl), .events = POLLIN };
        static char why[160];
        int result = -1;

        ERR_clear_error();
        if (SSL_renegotiate(ssl) == 1)
                while ((result = SSL_do_handshake(ssl)) <= 0 &&
                       SSL_get_error(ssl, result) == SSL_ERROR_WANT_READ && poll(&p, 1, 5000) > 0)
                        ;
        ERR_error_string_n(ERR_peek_last_error(), why, sizeof(why));
        return result == 1 && !SSL_in_init(ssl) ? NULL : why;
}

void secure_close(void) {
        SSL_shutdown(ssl);
}
