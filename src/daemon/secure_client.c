#include "base/memory.h"
#include "daemon/secure_private.h"
#include "security/identity_key.h"

#include <errno.h>
#include <string.h>

/*
 * What our devices show as clients, and how the onboarding tool comes by a
 * certificate of its own.
 */

static const struct cred *own_certificate(const struct svr *svr) {
        for (size_t i = svr->n_creds; i-- > 0;)
                if (svr->creds[i]->usage == CRED_CERT && svr->creds[i]->own_key)
                        return svr->creds[i];
        return NULL;
}

static int with_manufacturer(struct secure_device *d, const struct cred *own, struct span anchors,
                             struct tls_cert_context **ret) {
        struct tls_cert_trust trust[SVR_CREDS_MAX];
        struct tls_cert_identity identity = {
                .chain = own->public_data, .key = d->key, .trust = trust, .manufacturer = true
        };
        static const char end[] = "-----END CERTIFICATE-----";

        while (anchors.n && identity.n_trust < ARRAY_SIZE(trust)) {
                const uint8_t *at = memmem(anchors.data, anchors.n, end, sizeof(end) - 1);
                size_t n = at ? (size_t)(at - anchors.data) + sizeof(end) - 1 : 0;

                if (!n)
                        break;
                trust[identity.n_trust++] = (struct tls_cert_trust){ .pem = span_of(anchors.data, n),
                                                                     .any_subject = true,
                                                                     .credid = CRED_ID_NONE };
                anchors = span_of(anchors.data + n, anchors.n - n);
        }
        return identity.n_trust ? tls_cert_context_new(ret, &identity) : -EINVAL;
}

int secure_client_certificate(struct secure *s, uint16_t device, bool stream,
                              struct span manufacturer_anchors, uint64_t now_ms, int64_t wall_s,
                              struct tls **ret) {
        struct secure_device *d = device < s->n_devices ? s->devices[device] : NULL;
        const struct cred *own = d && !d->sealed && d->key ? own_certificate(&d->svr) : NULL;
        struct tls_cert_config config = { .client = true, .stream = stream, .wall_s = wall_s };
        int r;

        if (!own || d->svr.machine.state == SVR_RFOTM)
                return -ENOENT;
        if (manufacturer_anchors.n)
                r = with_manufacturer(d, own, manufacturer_anchors, &config.context);
        else
                r = (config.context = tls_cert_context_ref(secure_context(d))) ? 0 : -ENOENT;
        if (!r)
                r = tls_cert_new(ret, &config, now_ms);
        tls_cert_context_unref(config.context);
        return r;
}

bool secure_own_csr(struct secure *s, uint16_t device, struct writer *ret_pem) {
        struct secure_device *d = s->devices[device];

        return d->key && identity_csr(d->key, &d->svr.doxm.deviceuuid, ret_pem);
}

int secure_install_certificate(struct secure *s, uint16_t device, struct span chain, struct span authority,
                               store_done *done, void *context) {
        struct secure_device *d = s->devices[device];
        struct cred own = { .id = CRED_ID_NONE,
                            .type = CRED_CERTIFICATE,
                            .usage = CRED_CERT,
                            .any_subject = true,
                            .own_key = true,
                            .public_data = chain },
                    anchor = { .id = CRED_ID_NONE,
                               .type = CRED_CERTIFICATE,
                               .usage = CRED_TRUSTCA,
                               .any_subject = true,
                               .public_data = authority };
        uint64_t random;
        int r;

        if (d->change.under_way)
                return -EBUSY;
        crypto_random(&random, sizeof(random));
        r = svr_add_cred(&d->svr, &anchor, random);
        if (!r)
                r = svr_add_cred(&d->svr, &own, random + 1);
        if (r)
                return r;
        secure_context_forget(d);
        d->change = (struct secure_change){ .rows = SVR_BIT(SVR_CRED),
                                            .effects = SVR_EFFECT_CREDS,
                                            .before = d->svr.machine,
                                            .done = done,
                                            .done_context = context };
        return secure_rows_commit(d);
}
