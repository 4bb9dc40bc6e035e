/*
 * What libssl makes of a secured CoAP server: the least answer behind DTLS 1.2
 * with ECDHE-PSK-AES128-CBC-SHA256 (0xC037), or with certificates on both sides
 * and ECDHE-ECDSA-AES128-CCM8 (0xC0AE). A session for each address; cookies; no
 * timers; whoever has the key gets in. Loopback only; ends by itself after a while.
 *
 *     dtls_floor PORT [SECONDS [BYTES [CHAIN.pem KEY.pem ROOTS.pem]]]
 */
#include "batch.h"
#include "common.h"
#include "least.h"

#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BUCKETS 65536u
#define MTU     1400

struct session {
        struct session *next;
        struct sockaddr_in address;
        SSL *ssl;
        const uint8_t *in; /* a datagram that was not read yet */
        size_t n_in;
};

static struct session *buckets[BUCKETS];
static SSL_CTX *context;
static BIO_METHOD *method;
static uint8_t secret[16];
static int fd;

/* ---- libssl's side of the socket ---- */

static int bio_write(BIO *b, const char *data, int n) {
        struct session *s = BIO_get_data(b);

        BIO_clear_retry_flags(b);
        if (n > BATCH_BYTES_MAX)
                return -1;
        memcpy(batch_place(fd), data, (size_t)n);
        batch_put((size_t)n, &s->address);
        return n;
}

static int bio_read(BIO *b, char *data, int n) {
        struct session *s = BIO_get_data(b);
        size_t n_read = s->n_in < (size_t)n ? s->n_in : (size_t)n;

        BIO_clear_retry_flags(b);
        if (!s->in) {
                BIO_set_retry_read(b);
                return -1;
        }
        memcpy(data, s->in, n_read);
        s->in = NULL;
        return (int)n_read;
}

static long bio_ctrl(BIO *b, int command, long n, void *p) {
        switch (command) {
        case BIO_CTRL_FLUSH:
                return 1;
        case BIO_CTRL_DGRAM_QUERY_MTU:
        case BIO_CTRL_DGRAM_GET_FALLBACK_MTU:
                return MTU;
        case BIO_CTRL_DGRAM_GET_MTU_OVERHEAD:
                return 28;
        }
        return 0;
}

static int bio_create(BIO *b) {
        BIO_set_init(b, 1);
        return 1;
}

static int cookie_make(SSL *ssl, unsigned char *cookie, unsigned *n) {
        struct session *s = SSL_get_app_data(ssl);

        memcpy(cookie, secret, sizeof(secret));
        cookie[0] ^= (uint8_t)s->address.sin_port;
        cookie[1] ^= (uint8_t)(s->address.sin_port >> 8);
        *n = sizeof(secret);
        return 1;
}

static int cookie_is(SSL *ssl, const unsigned char *cookie, unsigned n) {
        uint8_t wanted[sizeof(secret)];
        unsigned n_wanted;

        return cookie_make(ssl, wanted, &n_wanted) && n == n_wanted && !CRYPTO_memcmp(cookie, wanted, n);
}

static unsigned find_key(SSL *ssl, const char *identity, unsigned char *key, unsigned n_max) {
        if (strlen(identity) != 16 || memcmp(identity, LEAST_IDENTITY, 16) != 0 || n_max < 16)
                return 0;
        memcpy(key, LEAST_KEY, 16);
        return 16;
}

/* ---- sessions ---- */

static struct session **find(const struct sockaddr_in *a) {
        uint32_t h = (a->sin_addr.s_addr ^ (uint32_t)a->sin_port << 8) * 2654435761u;
        struct session **at = &buckets[h >> 16];

        while (*at && ((*at)->address.sin_port != a->sin_port ||
                       (*at)->address.sin_addr.s_addr != a->sin_addr.s_addr))
                at = &(*at)->next;
        return at;
}

static void drop(struct session **at) {
        struct session *s = *at;

        *at = s->next;
        SSL_free(s->ssl);
        free(s);
}

static struct session *begin(struct session **at, const struct sockaddr_in *from) {
        struct session *s = calloc(1, sizeof(*s));
        BIO *bio = BIO_new(method);

        if (!s || !bio)
                bench_die("memory");
        *at = s;
        s->address = *from;
        s->ssl = SSL_new(context);
        BIO_set_data(bio, s);
        SSL_set_app_data(s->ssl, s);
        SSL_set_bio(s->ssl, bio, bio);
        SSL_set_accept_state(s->ssl);
        DTLS_set_link_mtu(s->ssl, MTU);
        return s;
}

static void on_datagram(uint8_t *bytes, size_t n, const struct sockaddr_in *from) {
        uint8_t data[BATCH_BYTES_MAX], message[LEAST_ANSWER_MAX];
        struct session **at = find(from), *s = *at;
        int r;

        if (n < 14)
                return;
        if (s && bytes[0] == 22 && !bytes[3] && !bytes[4] && bytes[13] == 1 && SSL_is_init_finished(s->ssl)) {
                drop(at);
                s = NULL;
                at = find(from);
        }
        if (!s && bytes[0] != 22)
                return;
        s = s ? s : begin(at, from);
        s->in = bytes;
        s->n_in = n;
        for (;;) {
                ERR_clear_error();
                r = SSL_read(s->ssl, data, sizeof(data));
                if (r <= 0)
                        break;
                n = least_answer(data, (size_t)r, message);
                if (n)
                        (void)SSL_write(s->ssl, message, (int)n);
        }
        s->in = NULL;
        if (SSL_get_error(s->ssl, r) != SSL_ERROR_WANT_READ)
                drop(at);
}

static bool use_certificates(char **files) {
        return SSL_CTX_set_cipher_list(context, "ECDHE-ECDSA-AES128-CCM8:@SECLEVEL=0") == 1 &&
               SSL_CTX_use_certificate_chain_file(context, files[0]) == 1 &&
               SSL_CTX_use_PrivateKey_file(context, files[1], SSL_FILETYPE_PEM) == 1 &&
               SSL_CTX_load_verify_locations(context, files[2], NULL) == 1 &&
               (SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL), true);
}

static bool set_up(int argc, char **argv) {
        context = SSL_CTX_new(DTLS_server_method());
        method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "batch");
        if (!context || !method || RAND_bytes(secret, sizeof(secret)) != 1)
                return false;
        BIO_meth_set_write(method, bio_write);
        BIO_meth_set_read(method, bio_read);
        BIO_meth_set_ctrl(method, bio_ctrl);
        BIO_meth_set_create(method, bio_create);
        SSL_CTX_set_min_proto_version(context, DTLS1_2_VERSION);
        SSL_CTX_set_options(context, SSL_OP_NO_TICKET | SSL_OP_NO_QUERY_MTU | SSL_OP_COOKIE_EXCHANGE |
                                             SSL_OP_NO_RENEGOTIATION);
        SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
        SSL_CTX_set_cookie_generate_cb(context, cookie_make);
        SSL_CTX_set_cookie_verify_cb(context, cookie_is);
        SSL_CTX_set_psk_server_callback(context, find_key);
        if (SSL_CTX_set1_groups_list(context, "P-256") != 1)
                return false;
        return argc > 6 ? use_certificates(argv + 4)
                        : SSL_CTX_set_cipher_list(context, "ECDHE-PSK-AES128-CBC-SHA256:@SECLEVEL=0") == 1;
}

int main(int argc, char **argv) {
        if (argc < 2 || !least_body(argc > 3 ? (size_t)atoi(argv[3]) : 44)) {
                fputs("Usage: dtls_floor PORT [SECONDS [BYTES [CHAIN.pem KEY.pem ROOTS.pem]]]\n", stderr);
                return 2;
        }
        if (!set_up(argc, argv)) {
                ERR_print_errors_fp(stderr);
                return 1;
        }
        fd = batch_open(argv[1]);
        alarm(argc > 2 ? (unsigned)atoi(argv[2]) : 120);
        for (;;) {
                batch_receive(fd, 1000, on_datagram);
                batch_flush(fd);
        }
}
