#include "daemon/secure_private.h"

#include <errno.h>

/*
 * What a device shows over secure channels with certificates, and whom it
 * believes: made of its credentials when it is first asked for, and again after
 * they have changed.
 */

static const struct cred *own_certificate(const struct svr *svr) {
        for (size_t i = svr->n_creds; i-- > 0;)
                if (svr->creds[i]->usage == CRED_CERT && svr->creds[i]->own_key)
                        return svr->creds[i];
        return NULL;
}

static int make_context(struct secure_device *d, const struct cred *own) {
        struct tls_cert_trust trust[SVR_CREDS_MAX];
        struct tls_cert_identity identity = {
                .chain = own->public_data, .key = d->key, .trust = trust, .ask_peer = true
        };

        for (size_t i = 0; i < d->svr.n_creds; i++) {
                const struct cred *c = d->svr.creds[i];

                if (c->usage == CRED_TRUSTCA)
                        trust[identity.n_trust++] =
                                (struct tls_cert_trust){ c->public_data, c->any_subject, c->subject, c->id };
        }
        return tls_cert_context_new(&d->context, &identity);
}

struct tls_cert_context *secure_context(struct secure_device *d) {
        const struct cred *own = own_certificate(&d->svr);

        if (d->svr.machine.state == SVR_RFOTM)
                return d->secure->manufacturer;
        if (!d->context && own && d->key)
                (void)make_context(d, own);
        return d->context;
}

void secure_context_forget(struct secure_device *d) {
        d->context = tls_cert_context_unref(d->context);
}

bool secure_has_certificate(struct secure *s, uint16_t device) {
        return !s->devices[device]->sealed && secure_context(s->devices[device]);
}

int secure_certificate(struct secure *s, uint16_t device, uint16_t suite, bool stream, uint64_t now_ms,
                       int64_t wall_s, struct tls **ret) {
        struct tls_cert_config config = { .context = secure_context(s->devices[device]),
                                          .stream = stream,
                                          .suite = suite,
                                          .wall_s = wall_s };

        return config.context ? tls_cert_new(ret, &config, now_ms) : -ENOENT;
}
