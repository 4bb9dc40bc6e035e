#include "base/memory.h"
#include "security/tls_cert_private.h"

#include <errno.h>
#include <openssl/err.h>

/*
 * What a device shows and whom it believes.
 */

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
                const struct tls_cert_trusted *t = &context->trust[i];

                if (X509_cmp(sk_X509_value(context->anchors, i), anchor) != 0 ||
                    (!t->any_subject && !uuid_equal(&t->subject, &id)))
                        continue;
                c->peer.id = id;
                c->peer.credid = t->credid;
                return NULL;
        }
        return "the authority that vouches for it may not vouch for this device";
}

int tls_cert_on_verify(X509_STORE_CTX *store, void *context) {
        struct tls_cert *c = association_of(store);
        STACK_OF(X509) *chain = X509_STORE_CTX_get0_untrusted(store);
        const char *problem = chain && sk_X509_num(chain) ? judge(c, chain) : "it showed no certificate";

        if (!problem)
                return 1;
        c->refused = problem;
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

#define CHAIN_BYTES_MAX 16384 /* of a chain in DER, before anybody has looked at it */

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
                c->trust[sk_X509_num(c->anchors)] =
                        (struct tls_cert_trusted){ t->any_subject, t->subject, t->credid };
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
        SSL_CTX_set_max_cert_list(ctx, CHAIN_BYTES_MAX);
        SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
        SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_NO_AUTO_CHAIN);
        SSL_CTX_set_cookie_generate_cb(ctx, on_cookie);
        SSL_CTX_set_cookie_verify_cb(ctx, on_cookie_verify);
        SSL_CTX_set_cert_verify_callback(ctx, tls_cert_on_verify, NULL);
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
        c->is_slow = identity->is_slow;
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
