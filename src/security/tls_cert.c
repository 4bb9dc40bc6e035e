#include "security/tls_cert.h"
#include "base/memory.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <string.h>

#define MTU          1280u
#define HANDSHAKE_MS 30000u
#define OUT_MAX      (64u * 1024u) /* of a flight that nobody fetches */

struct trust {
        bool any_subject;
        struct uuid subject;
        int32_t credid;
};

struct tls_cert_context {
        unsigned n_references;
        SSL_CTX *ctx[2]; /* DTLS, TLS */
        STACK_OF(X509) * anchors;
        struct trust *trust; /* of each anchor */
        bool ask_peer, manufacturer;
};

/* One thing to send: a datagram, or bytes. */
struct out {
        struct out *next;
        size_t n;
        uint8_t bytes[];
};

struct tls_cert {
        struct tls base;
        struct tls_cert_context *context;
        SSL *ssl;
        int64_t wall_s;
        uint64_t until_ms;
        const uint8_t *input;
        size_t n_input;
        struct out *first, **last;
        size_t n_out;
        uint8_t *direct; /* where a record of seal() goes */
        size_t n_direct, n_direct_max;
        bool listened, is_slim; /* slim: its buffers are freed */
        struct tls_cert_peer peer;
};

static struct tls_cert *cert_of(struct tls *t) {
        return OCF_CONTAINER_OF(t, struct tls_cert, base);
}

/* ---- libssl's way to the network ---- */

static int bio_write(BIO *bio, const char *data, int n) {
        struct tls_cert *c = BIO_get_data(bio);
        struct out *o;

        BIO_clear_retry_flags(bio);
        if (n <= 0)
                return 0;
        if (c->direct) {
                if (c->n_direct + (size_t)n > c->n_direct_max)
                        return -1;
                memcpy(c->direct + c->n_direct, data, (size_t)n);
                c->n_direct += (size_t)n;
                return n;
        }
        o = c->n_out + (size_t)n > OUT_MAX ? NULL : ocf_allocate(1, sizeof(*o) + (size_t)n);
        if (!o)
                return -1;
        o->n = (size_t)n;
        memcpy(o->bytes, data, o->n);
        c->n_out += o->n;
        *c->last = o;
        c->last = &o->next;
        return n;
}

static int bio_read(BIO *bio, char *buf, int n) {
        struct tls_cert *c = BIO_get_data(bio);
        size_t n_now = ocf_min_u64(c->n_input, n > 0 ? (size_t)n : 0);

        BIO_clear_retry_flags(bio);
        if (!n_now) {
                BIO_set_retry_read(bio);
                return -1;
        }
        memcpy(buf, c->input, n_now);
        c->input += n_now;
        c->n_input = c->base.stream ? c->n_input - n_now : 0; /* what does not fit of a datagram is lost */
        return (int)n_now;
}

static long bio_ctrl(BIO *bio, int command, long number, void *pointer) {
        switch (command) {
        case BIO_CTRL_FLUSH:
                return 1;
        case BIO_CTRL_DGRAM_GET_MTU_OVERHEAD:
                return 48;
        default: /* everything else that a BIO may be asked has no meaning here */
                return 0;
        }
}

static BIO_METHOD *bio_method(void) {
        static BIO_METHOD *method;

        if (method)
                return method;
        method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "ocf");
        if (method) {
                BIO_meth_set_write(method, bio_write);
                BIO_meth_set_read(method, bio_read);
                BIO_meth_set_ctrl(method, bio_ctrl);
        }
        return method;
}

/* ---- whom to believe ---- */

static struct tls_cert *association_of(X509_STORE_CTX *store) {
        SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());

        return SSL_get_app_data(ssl);
}

/* The root must be one that was provisioned for this very peer (security.md 5.5). */
static const char *judge(struct tls_cert *c, STACK_OF(X509) * chain) {
        const struct tls_cert_context *context = c->context;
        X509 *anchor = NULL;
        const char *problem = certificate_chain(
                chain, context->manufacturer ? CERTIFICATE_MANUFACTURER : CERTIFICATE_IDENTITY,
                context->anchors, c->wall_s, &anchor);
        struct uuid id = { { 0 } };

        if (problem)
                return problem;
        if (!certificate_uuid(sk_X509_value(chain, 0), &id) && !context->manufacturer)
                return "its CN is no uuid:";
        for (int i = 0; i < sk_X509_num(context->anchors); i++) {
                const struct trust *t = &context->trust[i];

                if (X509_cmp(sk_X509_value(context->anchors, i), anchor) != 0 ||
                    (!t->any_subject && !uuid_equal(&t->subject, &id)))
                        continue;
                c->peer.id = id;
                c->peer.credid = t->credid;
                return NULL;
        }
        return "the authority that vouches for it may not vouch for this device";
}

static int on_verify(X509_STORE_CTX *store, void *context) {
        struct tls_cert *c = association_of(store);
        STACK_OF(X509) *chain = X509_STORE_CTX_get0_untrusted(store);
        const char *problem = chain && sk_X509_num(chain) ? judge(c, chain) : "it showed no certificate";

        if (!problem)
                return 1;
        c->base.failure = TLS_FAILURE_CERTIFICATE;
        c->base.problem = problem;
        X509_STORE_CTX_set_error(store, X509_V_ERR_CERT_UNTRUSTED);
        return 0;
}

/* The cookie was looked at before the engine was made. */
static int on_cookie(SSL *ssl, unsigned char *cookie, unsigned *n) {
        return 0;
}

static int on_cookie_verify(SSL *ssl, const unsigned char *cookie, unsigned n) {
        return 1;
}

/* ---- contexts ---- */

#define ALL_SUITES                                                                                           \
        "ECDHE-ECDSA-AES128-CCM8:ECDHE-ECDSA-AES128-CCM:ECDHE-ECDSA-AES256-CCM8:ECDHE-ECDSA-AES256-CCM:"     \
        "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-SHA256:"             \
        "ECDHE-ECDSA-AES256-SHA384"

static const char *suite_name(uint16_t suite) {
        switch ((enum tls_suite)suite) {
        case TLS_ECDHE_ECDSA_AES_128_CCM:
                return "ECDHE-ECDSA-AES128-CCM";
        case TLS_ECDHE_ECDSA_AES_256_CCM:
                return "ECDHE-ECDSA-AES256-CCM";
        case TLS_ECDHE_ECDSA_AES_128_CCM_8:
                return "ECDHE-ECDSA-AES128-CCM8";
        case TLS_ECDHE_ECDSA_AES_256_CCM_8:
                return "ECDHE-ECDSA-AES256-CCM8";
        case TLS_ECDHE_ECDSA_AES_128_GCM_SHA256:
                return "ECDHE-ECDSA-AES128-GCM-SHA256";
        case TLS_ECDHE_ECDSA_AES_256_GCM_SHA384:
                return "ECDHE-ECDSA-AES256-GCM-SHA384";
        case TLS_ECDHE_ECDSA_AES_128_CBC_SHA256:
                return "ECDHE-ECDSA-AES128-SHA256";
        case TLS_ECDHE_ECDSA_AES_256_CBC_SHA384:
                return "ECDHE-ECDSA-AES256-SHA384";
        case TLS_ECDH_ANON_AES_128_CBC_SHA256:
        case TLS_ECDHE_PSK_AES_128_CBC_SHA256:
                break; /* our own engine's */
        }
        return NULL;
}

static bool add_trust(struct tls_cert_context *c, const struct tls_cert_identity *identity) {
        c->anchors = sk_X509_new_null();
        c->trust = ocf_allocate(identity->n_trust + 1, sizeof(*c->trust));
        if (!c->anchors || !c->trust)
                return false;
        for (size_t i = 0; i < identity->n_trust; i++) {
                const struct tls_cert_trust *t = &identity->trust[i];
                STACK_OF(X509) *one = certificate_read(t->pem);
                X509 *anchor = one ? sk_X509_shift(one) : NULL;

                certificate_free(one);
                if (!anchor)
                        continue; /* what was once stored, and is none: it vouches for nobody */
                c->trust[sk_X509_num(c->anchors)] = (struct trust){ t->any_subject, t->subject, t->credid };
                if (!sk_X509_push(c->anchors, anchor)) {
                        X509_free(anchor);
                        return false;
                }
                if (SSL_CTX_add_client_CA(c->ctx[0], anchor) != 1 ||
                    SSL_CTX_add_client_CA(c->ctx[1], anchor) != 1)
                        return false;
        }
        return true;
}

static int use_chain(SSL_CTX *ctx, const struct tls_cert_identity *identity) {
        STACK_OF(X509) *chain = certificate_read(identity->chain);
        bool good = chain && SSL_CTX_use_certificate(ctx, sk_X509_value(chain, 0)) == 1 &&
                    SSL_CTX_use_PrivateKey(ctx, identity->key) == 1 && SSL_CTX_check_private_key(ctx) == 1;

        for (int i = 1; good && i < sk_X509_num(chain); i++)
                good = SSL_CTX_add1_chain_cert(ctx, sk_X509_value(chain, i)) == 1;
        certificate_free(chain);
        ERR_clear_error();
        return good ? 0 : -EINVAL;
}

static bool configure(SSL_CTX *ctx) {
        SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET | SSL_OP_NO_QUERY_MTU |
                                         SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE);
        SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
        SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_NO_AUTO_CHAIN);
        SSL_CTX_set_cookie_generate_cb(ctx, on_cookie);
        SSL_CTX_set_cookie_verify_cb(ctx, on_cookie_verify);
        SSL_CTX_set_cert_verify_callback(ctx, on_verify, NULL);
        return SSL_CTX_set_cipher_list(ctx, ALL_SUITES ":@SECLEVEL=0") ==
                       1 && /* CCM_8 is none of level 1 later on */
               SSL_CTX_set1_groups_list(ctx, "P-256:P-384") == 1 &&
               SSL_CTX_set1_sigalgs_list(ctx, "ECDSA+SHA256:ECDSA+SHA384:ECDSA+SHA512") == 1;
}

int tls_cert_context_new(struct tls_cert_context **ret, const struct tls_cert_identity *identity) {
        struct tls_cert_context *c = ocf_new(struct tls_cert_context);
        int r = -ENOMEM;

        if (!c)
                return -ENOMEM;
        c->n_references = 1;
        c->ask_peer = identity->ask_peer;
        c->manufacturer = identity->manufacturer;
        c->ctx[0] = SSL_CTX_new(DTLS_method());
        c->ctx[1] = SSL_CTX_new(TLS_method());
        if (c->ctx[0] && c->ctx[1] && configure(c->ctx[0]) && configure(c->ctx[1]) &&
            SSL_CTX_set_min_proto_version(c->ctx[0], DTLS1_2_VERSION) == 1 &&
            SSL_CTX_set_max_proto_version(c->ctx[0], DTLS1_2_VERSION) == 1 &&
            SSL_CTX_set_min_proto_version(c->ctx[1], TLS1_2_VERSION) == 1 &&
            SSL_CTX_set_max_proto_version(c->ctx[1], TLS1_2_VERSION) == 1 && add_trust(c, identity))
                r = use_chain(c->ctx[0], identity);
        if (!r)
                r = use_chain(c->ctx[1], identity);
        if (r < 0) {
                tls_cert_context_unref(c);
                return r;
        }
        *ret = c;
        return 0;
}

struct tls_cert_context *tls_cert_context_ref(struct tls_cert_context *c) {
        c->n_references++;
        return c;
}

struct tls_cert_context *tls_cert_context_unref(struct tls_cert_context *c) {
        if (!c || --c->n_references)
                return NULL;
        SSL_CTX_free(c->ctx[0]);
        SSL_CTX_free(c->ctx[1]);
        certificate_free(c->anchors);
        ocf_free(c->trust);
        return ocf_free(c);
}

/* ---- the association ---- */

static void end(struct tls_cert *c, enum tls_failure failure, const char *problem) {
        c->base.state = TLS_CLOSED;
        c->base.deadline_ms = OCF_NEVER;
        if (c->base.failure != TLS_FAILURE_CERTIFICATE) { /* which has said why already */
                c->base.failure = failure;
                c->base.problem = problem;
        }
}

/* libssl's own clock, turned into ours. */
static void follow_time(struct tls_cert *c, uint64_t now_ms) {
        struct timeval left;

        c->base.deadline_ms = c->base.state == TLS_HANDSHAKE ? c->until_ms : OCF_NEVER;
        if (!c->base.stream && c->base.state != TLS_CLOSED && DTLSv1_get_timeout(c->ssl, &left) == 1)
                c->base.deadline_ms =
                        ocf_min_u64(c->base.deadline_ms, now_ms + (uint64_t)left.tv_sec * 1000 +
                                                                 (uint64_t)(left.tv_usec + 999) / 1000);
}

static void on_error(struct tls_cert *c, int r) {
        switch (SSL_get_error(c->ssl, r)) {
        case SSL_ERROR_WANT_READ:
        case SSL_ERROR_WANT_WRITE:
                break;
        case SSL_ERROR_ZERO_RETURN:
                (void)SSL_shutdown(c->ssl);
                end(c, TLS_FAILURE_BYE, "it said goodbye");
                break;
        case SSL_ERROR_SYSCALL:
                end(c, TLS_FAILURE_OURS, NULL);
                break;
        default: {
                unsigned long error = ERR_peek_last_error();
                int reason = ERR_GET_REASON(error);

                if (reason > SSL_AD_REASON_OFFSET && reason < SSL_AD_REASON_OFFSET + 256) {
                        c->base.alert = (uint8_t)(reason - SSL_AD_REASON_OFFSET);
                        end(c, TLS_FAILURE_ALERT, "it gave up");
                } else {
                        end(c, TLS_FAILURE_PROTOCOL, "what it sent was no handshake that libssl understands");
                }
                break;
        }
        }
        ERR_clear_error();
}

static void on_handshake_done(struct tls_cert *c) {
        const SSL_CIPHER *cipher = SSL_get_current_cipher(c->ssl);

        c->base.state = TLS_OPEN;
        c->base.suite = cipher ? SSL_CIPHER_get_protocol_id(cipher) : 0;
        c->peer.leaf = SSL_get0_peer_certificate(c->ssl);
}

static void shake_hands(struct tls_cert *c) {
        int r = SSL_do_handshake(c->ssl);

        if (r == 1)
                on_handshake_done(c);
        else
                on_error(c, r);
}

/* libssl must have seen the hello with the cookie come this way, to count its messages from there. */
static bool listen_first(struct tls_cert *c) {
        BIO_ADDR *nobody;

        if (c->base.stream || c->base.client || c->listened)
                return true;
        nobody = BIO_ADDR_new();
        c->listened = nobody && DTLSv1_listen(c->ssl, nobody) == 1;
        BIO_ADDR_free(nobody);
        ERR_clear_error();
        if (!c->listened)
                end(c, TLS_FAILURE_PROTOCOL, "libssl does not understand its ClientHello");
        return c->listened;
}

static void cert_receive(struct tls *t, uint64_t now_ms, uint8_t *data, size_t n) {
        struct tls_cert *c = cert_of(t);

        c->input = data;
        c->n_input = n;
}

static bool cert_next(struct tls *t, uint64_t now_ms, struct span *ret) {
        static _Thread_local uint8_t plain[16384];
        struct tls_cert *c = cert_of(t);
        int n = 0;

        ERR_clear_error();
        if (c->base.state == TLS_HANDSHAKE && c->n_input && listen_first(c))
                shake_hands(c);
        if (c->base.state == TLS_OPEN) {
                c->is_slim = false;
                n = SSL_read(c->ssl, plain, sizeof(plain));
                if (n > 0)
                        c->base.n_opened++;
                else
                        on_error(c, n);
        }
        if (n <= 0 && c->base.state == TLS_OPEN)
                c->is_slim = SSL_free_buffers(c->ssl) == 1; /* 34 KB that an idle session does not need */
        follow_time(c, now_ms);
        if (n <= 0) {
                c->n_input = 0;
                return false;
        }
        *ret = span_of(plain, (size_t)n);
        return true;
}

/* Over datagrams libssl makes its buffers anew when it reads, and takes it that they are there when it
 * writes. */
static void make_buffers(struct tls_cert *c) {
        uint8_t nothing;

        if (!c->is_slim)
                return;
        c->is_slim = false;
        (void)SSL_peek(c->ssl, &nothing, 1);
        ERR_clear_error();
}

static size_t cert_seal(struct tls *t, struct span data, uint8_t *buf, size_t n) {
        struct tls_cert *c = cert_of(t);
        int r;

        if (c->base.state != TLS_OPEN || data.n > 16384 || !data.n)
                return 0;
        ERR_clear_error();
        make_buffers(c);
        c->direct = buf;
        c->n_direct = 0;
        c->n_direct_max = n;
        r = SSL_write(c->ssl, data.data, (int)data.n);
        c->direct = NULL;
        if (r > 0)
                return c->n_direct;
        on_error(c, r);
        return 0;
}

static void look_at_time(struct tls_cert *c, uint64_t now_ms) {
        if (c->base.state == TLS_HANDSHAKE && now_ms >= c->until_ms) {
                end(c, TLS_FAILURE_TIMEOUT, "it did not finish its handshake in time");
                return;
        }
        if (!c->base.stream && c->base.state != TLS_CLOSED && now_ms >= c->base.deadline_ms &&
            DTLSv1_handle_timeout(c->ssl) < 0)
                end(c, TLS_FAILURE_TIMEOUT, "it did not answer");
        ERR_clear_error();
}

static size_t cert_transmit(struct tls *t, uint64_t now_ms, uint8_t *buf, size_t n) {
        struct tls_cert *c = cert_of(t);
        struct out *o;
        size_t n_out;

        if (c->base.client && c->base.state == TLS_HANDSHAKE && !c->listened) {
                c->listened = true; /* begun */
                shake_hands(c);
        }
        if (now_ms >= c->base.deadline_ms)
                look_at_time(c, now_ms);
        follow_time(c, now_ms);
        o = c->first;
        if (!o || o->n > n)
                return 0;
        n_out = o->n;
        memcpy(buf, o->bytes, n_out);
        c->first = o->next;
        if (!c->first)
                c->last = &c->first;
        c->n_out -= n_out;
        ocf_free(o);
        return n_out;
}

static void cert_close(struct tls *t) {
        struct tls_cert *c = cert_of(t);

        if (c->base.state == TLS_CLOSED)
                return;
        if (c->base.state == TLS_OPEN) {
                make_buffers(c);
                (void)SSL_shutdown(c->ssl);
        }
        ERR_clear_error();
        end(c, TLS_FAILURE_NONE, NULL);
}

static bool cert_secrets(const struct tls *t, struct tls_secrets *ret) {
        const struct tls_cert *c = OCF_CONTAINER_OF(t, const struct tls_cert, base);

        if (c->base.state != TLS_OPEN)
                return false;
        ret->suite = c->base.suite;
        return SSL_SESSION_get_master_key(SSL_get0_session(c->ssl), ret->master, TLS_MASTER) == TLS_MASTER &&
               SSL_get_client_random(c->ssl, ret->client_random, TLS_RANDOM) == TLS_RANDOM &&
               SSL_get_server_random(c->ssl, ret->server_random, TLS_RANDOM) == TLS_RANDOM;
}

static struct tls *cert_free(struct tls *t) {
        struct tls_cert *c = cert_of(t);

        SSL_free(c->ssl);
        tls_cert_context_unref(c->context);
        while (c->first) {
                struct out *next = c->first->next;

                ocf_free(c->first);
                c->first = next;
        }
        ocf_free(c);
        return NULL;
}

static const struct tls_vtable vtable = {
        .receive = cert_receive,
        .next = cert_next,
        .seal = cert_seal,
        .transmit = cert_transmit,
        .close = cert_close,
        .secrets = cert_secrets,
        .free = cert_free,
};

static bool start(struct tls_cert *c, const struct tls_cert_config *config) {
        const char *name = config->suite ? suite_name(config->suite) : NULL;
        char list[96];
        BIO *bio;

        c->ssl = SSL_new(c->context->ctx[config->stream]);
        bio = bio_method() ? BIO_new(bio_method()) : NULL;
        if (!c->ssl || !bio) {
                BIO_free(bio);
                return false;
        }
        BIO_set_data(bio, c);
        BIO_set_init(bio, 1);
        SSL_set_bio(c->ssl, bio, bio);
        SSL_set_app_data(c->ssl, c);
        if (!config->stream)
                (void)SSL_set_mtu(c->ssl, MTU);
        if (name) {
                snprintf(list, sizeof(list), "%s:@SECLEVEL=0", name);
                if (SSL_set_cipher_list(c->ssl, list) != 1)
                        return false;
        }
        SSL_set_verify(c->ssl,
                       config->client || c->context->ask_peer
                               ? SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT
                               : SSL_VERIFY_NONE,
                       NULL);
        if (config->client)
                SSL_set_connect_state(c->ssl);
        else
                SSL_set_accept_state(c->ssl);
        return true;
}

int tls_cert_new(struct tls **ret, const struct tls_cert_config *config, uint64_t now_ms) {
        struct tls_cert *c = ocf_new(struct tls_cert);

        if (!c)
                return -ENOMEM;
        c->base = (struct tls){
                .vtable = &vtable, .stream = config->stream, .client = config->client, .suite = config->suite
        };
        c->context = tls_cert_context_ref(config->context);
        c->wall_s = config->wall_s;
        c->until_ms = c->base.deadline_ms = now_ms + HANDSHAKE_MS;
        c->last = &c->first;
        c->peer.credid = CRED_ID_NONE;
        if (!start(c, config)) {
                ERR_clear_error();
                cert_free(&c->base);
                return -ENOMEM;
        }
        *ret = &c->base;
        return 0;
}

void tls_cert_peer(const struct tls *t, struct tls_cert_peer *ret) {
        *ret = OCF_CONTAINER_OF(t, const struct tls_cert, base)->peer;
}

bool tls_is_cert(const struct tls *t) {
        return t->vtable == &vtable;
}
