#include "base/memory.h"
#include "daemon/diag.h"
#include "daemon/secure_private.h"
#include "security/identity_key.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/*
 * What a device shows over secure channels with certificates, and whom it
 * believes: made of its credentials when it is first asked for, and again after
 * they have changed.
 */

#define FILE_MAX 16384

/* ---- the manufacturer's, out of files ---- */

static int read_file(const char *path, char **ret) {
        int fd = open(path, O_RDONLY | O_CLOEXEC), r = 0;
        size_t n_have = 0;
        char *text;

        if (fd < 0)
                return -errno;
        text = ocf_allocate(FILE_MAX + 1, 1);
        while (text && n_have < FILE_MAX) {
                ssize_t n = read(fd, text + n_have, FILE_MAX - n_have);

                if (n < 0)
                        r = -errno;
                if (n <= 0)
                        break;
                n_have += (size_t)n;
        }
        close(fd);
        if (!text || r < 0) {
                ocf_free(text);
                return text ? r : -ENOMEM;
        }
        *ret = text;
        return 0;
}

/* One that cannot be used is told, and then there is none: the device can be owned in other ways. */
int secure_manufacturer_load(struct secure *s) {
        const struct config *c = s->config.config;
        struct tls_cert_identity identity = { 0 };
        char *chain = NULL, *key = NULL;
        const char *why = "it cannot be read";
        int r = 0;

        if (!c->manufacturer_certificate || !c->manufacturer_key)
                return 0;
        if (!read_file(c->manufacturer_certificate, &chain) && !read_file(c->manufacturer_key, &key)) {
                why = "certificate and key do not belong together, or the key is not on P-256";
                identity.chain = span_of_string(chain);
                if (crypto_key_load_pem(&identity.key, span_of_string(key)))
                        r = tls_cert_context_new(&s->manufacturer, &identity);
                EVP_PKEY_free(identity.key);
        }
        if (!s->manufacturer)
                diag_log(LOG_ERR,
                         "The manufacturer's certificate is not used (%s, %s): %s. Ownership cannot be taken "
                         "with "
                         "it.",
                         c->manufacturer_certificate, c->manufacturer_key, why);
        if (key)
                secret_wipe(key, strlen(key));
        ocf_free(key);
        if (s->manufacturer)
                s->manufacturer_pem = chain;
        else
                ocf_free(chain);
        return r == -ENOMEM ? r : 0;
}

/* It stands among the credentials, for tools that look there (security.md 2.4, 7). Return: 0; -ENOMEM. */
int secure_manufacturer_install(struct secure_device *d) {
        const struct cred view = { .id = CRED_ID_NONE,
                                   .type = CRED_CERTIFICATE,
                                   .usage = CRED_MFGCERT,
                                   .any_subject = true,
                                   .public_data = span_of_string(d->secure->manufacturer_pem) };
        uint64_t random;

        if (!d->secure->manufacturer || view.public_data.n > CRED_PUBLIC_MAX)
                return 0;
        crypto_random(&random, sizeof(random));
        return svr_add_cred(&d->svr, &view, random);
}

/* ---- the identity's ---- */

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
