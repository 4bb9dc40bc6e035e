#include "base/memory.h"
#include "daemon/key_opening.h"
#include "daemon/secure_private.h"
#include "security/identity_key.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/*
 * The manufacturer's certificate and its key: out of files, or the key where it
 * cannot be copied from, behind a provider of OpenSSL. What cannot be used is
 * told and then not offered: the device can be owned in other ways.
 */

#define FILE_MAX       16384
#define OPENING_MAX_MS 10000u /* for the device that a key is in, when we start */
#define NOTICE         "ManufacturerKey"

#define FOLLOWS        " Until then nobody can take ownership by the manufacturer's certificate; all else is served."

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

static void tell(struct secure *s, const char *text) {
        s->config.notice(s->config.context, NOTICE, text);
}

static void tell_file(struct secure *s, const char *setting, const char *path, const char *why,
                      const char *what_next) {
        char text[768];

        snprintf(text, sizeof(text), "%s=%.200s cannot be used: %s. %s, and restart ocfd." FOLLOWS, setting,
                 path, why, what_next);
        tell(s, text);
}

/* ---- the key ---- */

static int key_of_file(struct secure *s, EVP_PKEY **ret) {
        const char *path = s->config.config->manufacturer_key;
        char *text = NULL;
        int r = read_file(path, &text);
        bool good = !r && crypto_key_load_pem(ret, span_of_string(text));

        if (text)
                secret_wipe(text, strlen(text));
        ocf_free(text);
        if (good || r == -ENOMEM)
                return good ? 0 : r;
        if (r < 0)
                tell_file(s, "ManufacturerKey", path, strerror(-r),
                          "Make it a file that the user of ocfd may read");
        else
                tell_file(s, "ManufacturerKey", path,
                          "it is no private key on P-256 in PEM, without a passphrase",
                          "Put one there; one of a TPM needs ManufacturerKeyProvider=");
        return -EINVAL;
}

static void tell_provided(struct secure *s, const char *state, const char *detail, const char *next) {
        const struct config *c = s->config.config;
        char text[1280];

        snprintf(
                text, sizeof(text),
                "ManufacturerKey=%.200s cannot be used with ManufacturerKeyProvider=%.64s: %s%s%s%s. %s, and "
                "restart ocfd." FOLLOWS,
                c->manufacturer_key, c->manufacturer_key_provider, state, *detail ? " (" : "", detail,
                *detail ? ")" : "", next);
        tell(s, text);
}

static int key_of_provider(struct secure *s, EVP_PKEY **ret) {
        static const struct {
                const char *state, *next;
        } lines[] = {
                [PROVIDED_KEY_E_NO_PROVIDER] = { "OpenSSL has no such provider here",
                                                 "Install it (tpm2 is in tpm2-openssl; an engine is none)" },
                [PROVIDED_KEY_E_PROVIDER] = { "the provider does not start",
                                              "See that its device is there (ocfd-security(7) has how)" },
                [PROVIDED_KEY_E_NO_KEY] = { "it has no private key of this name without a password",
                                            "Put the key there, or correct the name" },
                [PROVIDED_KEY_E_CURVE] = { "it is no key on P-256", "Make one there that is" },
                [PROVIDED_KEY_E_SIGN] = { "it does not sign",
                                          "See that it may sign with ECDSA, and needs no password" },
        };
        const struct config *c = s->config.config;
        char detail[PROVIDED_KEY_DETAIL];
        int r = key_opening(&s->manufacturer_key, c->manufacturer_key_provider, c->manufacturer_key,
                            OPENING_MAX_MS, detail);

        (void)close_range(3, UINT32_MAX,
                          CLOSE_RANGE_CLOEXEC); /* a provider's device is not for our children */
        if (r == -ETIMEDOUT)
                tell_provided(s, "its device does not answer", "", "See what is wrong with it");
        else if (r < 0 && r != -ENOMEM)
                tell_provided(s, strerror(-r), "", "Try again");
        else if (r > 0)
                tell_provided(s, lines[r].state, detail, lines[r].next);
        if (r)
                return r < 0 ? r : -EINVAL;
        *ret = provided_key(s->manufacturer_key);
        EVP_PKEY_up_ref(*ret);
        return 0;
}

/* ---- the pair ---- */

static bool is_whole(struct secure *s) {
        const struct config *c = s->config.config;

        if (!c->manufacturer_certificate != !c->manufacturer_key)
                tell(s,
                     "ManufacturerCertificate= and ManufacturerKey= go together, and one of them is not set. "
                     "Set it, and restart ocfd." FOLLOWS);
        return c->manufacturer_certificate && c->manufacturer_key;
}

static int load(struct secure *s, char **ret_chain) {
        const struct config *c = s->config.config;
        struct tls_cert_identity identity = { .is_slow = c->manufacturer_key_provider };
        int r = read_file(c->manufacturer_certificate, ret_chain);

        if (r < 0) {
                tell_file(s, "ManufacturerCertificate", c->manufacturer_certificate, strerror(-r),
                          "Make it a file that the user of ocfd may read");
                return r;
        }
        r = c->manufacturer_key_provider ? key_of_provider(s, &identity.key) : key_of_file(s, &identity.key);
        if (r < 0)
                return r;
        identity.chain = span_of_string(*ret_chain);
        r = tls_cert_context_new(&s->manufacturer, &identity);
        EVP_PKEY_free(identity.key);
        if (r == -EINVAL)
                tell_file(s, "ManufacturerCertificate", c->manufacturer_certificate,
                          "it is no chain in PEM whose first certificate is that of ManufacturerKey=",
                          "Put the two together that belong together");
        return r;
}

/* Return: 0, with or without one; -ENOMEM. */
int secure_manufacturer_load(struct secure *s) {
        char *chain = NULL;
        int r;

        if (!is_whole(s))
                return 0;
        r = load(s, &chain);
        if (!r)
                s->manufacturer_pem = chain;
        else
                ocf_free(chain);
        return r == -ENOMEM ? r : 0;
}

void secure_manufacturer_unload(struct secure *s) {
        s->manufacturer = tls_cert_context_unref(s->manufacturer);
        s->manufacturer_key = provided_key_free(s->manufacturer_key);
        s->manufacturer_pem = ocf_free(s->manufacturer_pem);
}

void secure_manufacturer_used(struct secure *s) {
        char text[768];

        if (!s->manufacturer_key)
                return;
        snprintf(text, sizeof(text),
                 "ManufacturerKey=%.200s did not sign, though it did when ocfd started: an onboarding tool "
                 "was "
                 "turned away. See that the device of ManufacturerKeyProvider=%.64s is there and answers, "
                 "and try "
                 "again.",
                 s->config.config->manufacturer_key, s->config.config->manufacturer_key_provider);
        tell(s, provided_key_works(s->manufacturer_key) ? NULL : text);
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
