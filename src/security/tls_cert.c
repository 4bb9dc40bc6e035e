#include "base/memory.h"
#include "security/tls_cert_private.h"

#include <errno.h>
#include <openssl/err.h>
#include <stdio.h>
#include <string.h>

#define MTU          1280u
#define HANDSHAKE_MS 30000u

/*
 * The association.
 */

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

/* ---- the association ---- */

void tls_cert_end(struct tls_cert *c, enum tls_failure failure, const char *problem) {
        const char *refused = c->is_working ? NULL : c->refused;

        c->base.state = TLS_CLOSED;
        c->base.deadline_ms = OCF_NEVER;
        c->base.has_work = false;
        c->base.failure = refused ? TLS_FAILURE_CERTIFICATE : failure;
        c->base.problem = refused ? refused : problem;
}

/* libssl's own clock, turned into ours. */
void tls_cert_follow_time(struct tls_cert *c, uint64_t now_ms) {
        struct timeval left;

        c->base.deadline_ms = c->base.state == TLS_HANDSHAKE ? c->until_ms : OCF_NEVER;
        if (!c->base.stream && c->base.state != TLS_CLOSED && DTLSv1_get_timeout(c->ssl, &left) == 1)
                c->base.deadline_ms =
                        ocf_min_u64(c->base.deadline_ms, now_ms + (uint64_t)left.tv_sec * 1000 +
                                                                 (uint64_t)(left.tv_usec + 999) / 1000);
}

static void read_error(struct tls_cert *c, int r, struct tls_cert_outcome *ret) {
        switch (SSL_get_error(c->ssl, r)) {
        case SSL_ERROR_WANT_READ:
        case SSL_ERROR_WANT_WRITE:
                return;
        case SSL_ERROR_ZERO_RETURN:
                (void)SSL_shutdown(c->ssl);
                *ret = (struct tls_cert_outcome){ TLS_CLOSED, TLS_FAILURE_BYE, 0, "it said goodbye" };
                break;
        case SSL_ERROR_SYSCALL:
                *ret = (struct tls_cert_outcome){ TLS_CLOSED, TLS_FAILURE_OURS, 0, NULL };
                break;
        default: {
                unsigned long error = ERR_peek_last_error();
                int reason = ERR_GET_REASON(error);

                if (reason > SSL_AD_REASON_OFFSET && reason < SSL_AD_REASON_OFFSET + 256)
                        *ret = (struct tls_cert_outcome){ TLS_CLOSED, TLS_FAILURE_ALERT,
                                                          (uint8_t)(reason - SSL_AD_REASON_OFFSET),
                                                          "it gave up" };
                else if (reason == ERR_R_INTERNAL_ERROR || reason == ERR_R_EVP_LIB ||
                         reason == ERR_R_MALLOC_FAILURE)
                        *ret = (struct tls_cert_outcome){ TLS_CLOSED, TLS_FAILURE_OURS, 0,
                                                          "our own key did not sign, or memory was short" };
                else
                        *ret = (struct tls_cert_outcome){
                                TLS_CLOSED, TLS_FAILURE_PROTOCOL, 0,
                                "what it sent was no handshake that libssl understands"
                        };
                break;
        }
        }
        ERR_clear_error();
}

static void on_error(struct tls_cert *c, int r) {
        struct tls_cert_outcome outcome = { .state = c->base.state };

        read_error(c, r, &outcome);
        tls_cert_take(c, &outcome);
}

static void on_handshake_done(struct tls_cert *c) {
        const SSL_CIPHER *cipher = SSL_get_current_cipher(c->ssl);

        c->base.state = TLS_OPEN;
        c->base.suite = cipher ? SSL_CIPHER_get_protocol_id(cipher) : 0;
        c->peer.leaf = SSL_get0_peer_certificate(c->ssl);
}

void tls_cert_take(struct tls_cert *c, const struct tls_cert_outcome *o) {
        if (o->state == TLS_OPEN && c->base.state == TLS_HANDSHAKE)
                on_handshake_done(c);
        if (o->state != TLS_CLOSED)
                return;
        if (o->failure == TLS_FAILURE_ALERT)
                c->base.alert = o->alert;
        tls_cert_end(c, o->failure, o->problem);
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
        return c->listened;
}

void tls_cert_step(struct tls_cert *c, struct tls_cert_outcome *ret) {
        int r;

        ERR_clear_error();
        *ret = (struct tls_cert_outcome){ .state = TLS_HANDSHAKE };
        if (!listen_first(c)) {
                *ret = (struct tls_cert_outcome){ TLS_CLOSED, TLS_FAILURE_PROTOCOL, 0,
                                                  "libssl does not understand its ClientHello" };
                return;
        }
        r = SSL_do_handshake(c->ssl);
        if (r == 1)
                ret->state = TLS_OPEN;
        else
                read_error(c, r, ret);
}

static void shake_hands(struct tls_cert *c) {
        struct tls_cert_outcome outcome;

        tls_cert_step(c, &outcome);
        tls_cert_take(c, &outcome);
}

static void cert_receive(struct tls *t, uint64_t now_ms, uint8_t *data, size_t n) {
        struct tls_cert *c = tls_cert_of(t);

        if (c->context->is_slow && (c->base.state == TLS_HANDSHAKE || c->current || c->held)) {
                tls_cert_hold(c, data, n);
                return;
        }
        c->input = data;
        c->n_input = n;
}

static int read_record(struct tls_cert *c, uint8_t *plain, size_t n_max) {
        int n;

        c->is_slim = false;
        n = SSL_read(c->ssl, plain, (int)n_max);
        if (n > 0)
                c->base.n_opened++;
        else
                on_error(c, n);
        return n;
}

static bool cert_next(struct tls *t, uint64_t now_ms, struct span *ret) {
        static _Thread_local uint8_t plain[16384];
        struct tls_cert *c = tls_cert_of(t);
        int n;

        if (c->is_working)
                return false;
        if (c->base.state == TLS_HANDSHAKE && c->context->is_slow) {
                c->base.has_work = c->n_input || tls_cert_take_held(c);
                return false;
        }
        ERR_clear_error();
        if (c->base.state == TLS_HANDSHAKE && c->n_input)
                shake_hands(c);
        do
                n = c->base.state == TLS_OPEN ? read_record(c, plain, sizeof(plain)) : 0;
        while (n <= 0 && c->base.state == TLS_OPEN && tls_cert_take_held(c));
        if (n <= 0 && c->base.state == TLS_OPEN)
                c->is_slim = SSL_free_buffers(c->ssl) == 1; /* 34 KB that an idle session does not need */
        tls_cert_follow_time(c, now_ms);
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
        struct tls_cert *c = tls_cert_of(t);
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
                tls_cert_end(c, TLS_FAILURE_TIMEOUT, "it did not finish its handshake in time");
                return;
        }
        if (!c->base.stream && c->base.state != TLS_CLOSED && now_ms >= c->base.deadline_ms &&
            DTLSv1_handle_timeout(c->ssl) < 0)
                tls_cert_end(c, TLS_FAILURE_TIMEOUT, "it did not answer");
        ERR_clear_error();
}

static size_t cert_transmit(struct tls *t, uint64_t now_ms, uint8_t *buf, size_t n) {
        struct tls_cert *c = tls_cert_of(t);
        struct tls_cert_bytes *o;
        size_t n_out;

        if (c->is_working) {
                if (now_ms >= c->base.deadline_ms)
                        tls_cert_end(c, TLS_FAILURE_TIMEOUT, "it did not finish its handshake in time");
                return 0;
        }
        if (c->base.client && c->base.state == TLS_HANDSHAKE && !c->listened) {
                c->listened = true; /* begun */
                shake_hands(c);
        }
        if (now_ms >= c->base.deadline_ms)
                look_at_time(c, now_ms);
        tls_cert_follow_time(c, now_ms);
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
        struct tls_cert *c = tls_cert_of(t);

        if (c->base.state == TLS_CLOSED)
                return;
        if (c->base.state == TLS_OPEN) { /* and no work is under way */
                make_buffers(c);
                (void)SSL_shutdown(c->ssl);
        }
        ERR_clear_error();
        tls_cert_end(c, TLS_FAILURE_NONE, NULL);
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

void tls_cert_free_bytes(struct tls_cert_bytes *first) {
        while (first) {
                struct tls_cert_bytes *next = first->next;

                ocf_free(first);
                first = next;
        }
}

static struct tls *cert_free(struct tls *t) {
        struct tls_cert *c = tls_cert_of(t);

        if (c->is_working) {
                c->is_orphan = true;
                return NULL;
        }
        SSL_free(c->ssl);
        tls_cert_context_unref(c->context);
        tls_cert_free_bytes(c->first);
        tls_cert_free_bytes(c->held);
        tls_cert_free_bytes(c->current);
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
        .work_begin = tls_cert_work_begin,
        .work_run = tls_cert_work_run,
        .work_done = tls_cert_work_done,
};

static bool start(struct tls_cert *c, const struct tls_cert_config *config) {
        const char *name = config->suite ? suite_name(config->suite) : NULL;
        char list[96];
        BIO *bio;

        c->ssl = SSL_new(c->context->ctx[config->stream]);
        bio = tls_cert_bio(c);
        if (!c->ssl || !bio) {
                BIO_free(bio);
                return false;
        }
        SSL_set_bio(c->ssl, bio, bio);
        SSL_set_app_data(c->ssl, c);
        if (!config->stream) {
                (void)SSL_set_mtu(c->ssl, MTU);
                /* libssl ends a session for one forged record where encrypt-then-MAC is in use; for others it
                 * drops them. */
                (void)SSL_set_options(c->ssl, SSL_OP_NO_ENCRYPT_THEN_MAC);
        }
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
        c->last_held = &c->held;
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
        /* Before the end of the handshake it has shown a certificate, and has not proven that it is its own.
         */
        *ret = t->state == TLS_OPEN ? OCF_CONTAINER_OF(t, const struct tls_cert, base)->peer
                                    : (struct tls_cert_peer){ .credid = CRED_ID_NONE };
}

bool tls_is_cert(const struct tls *t) {
        return t->vtable == &vtable;
}
