#include "security/provided_key.h"
#include "base/memory.h"
#include "security/delegated_key.h"
#include "security/identity_key.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/provider.h>
#include <openssl/store.h>
#include <openssl/ui.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

struct provided_key {
        OSSL_LIB_CTX *context;
        OSSL_PROVIDER *ours, *provider; /* ours: of what is not in the device, such as to read files */
        char query[80];
        EVP_PKEY *real;
        atomic_bool works;
        struct delegated_key *key; /* what others see of it */
};

/* The first error is the cause; what follows is who failed with it. */
static void describe(char detail[static PROVIDED_KEY_DETAIL]) {
        const char *data, *reason;
        unsigned long error;
        int flags;

        error = ERR_peek_error_data(&data, &flags);
        reason = error ? ERR_reason_error_string(error) : NULL;
        if (!reason)
                reason = "";
        if (!error || !(flags & ERR_TXT_STRING))
                data = "";
        snprintf(detail, PROVIDED_KEY_DETAIL, "%s%s%s", reason, *reason && *data ? ": " : "",
                 data + strspn(data, " :"));
        ERR_clear_error();
}

static int open_provider(struct provided_key *k, const char *provider) {
        if (snprintf(k->query, sizeof(k->query), "provider=%s", provider) >= (int)sizeof(k->query))
                return PROVIDED_KEY_E_NO_PROVIDER;
        k->context = OSSL_LIB_CTX_new();
        if (!k->context)
                return -ENOMEM;
        k->ours = OSSL_PROVIDER_load(k->context, "default");
        if (!k->ours)
                return -ENOMEM;
        k->provider = OSSL_PROVIDER_load(k->context, provider);
        if (k->provider)
                return 0;
        return ERR_GET_LIB(ERR_peek_error()) == ERR_LIB_DSO ? PROVIDED_KEY_E_NO_PROVIDER
                                                            : PROVIDED_KEY_E_PROVIDER;
}

/* A daemon has nobody to ask for a password: it is the empty one, which keys without any may want said. */
static int say_no_password(char *buf, int n, int is_write, void *context) {
        return 0;
}

static EVP_PKEY *find_key(struct provided_key *k, const char *uri) {
        UI_METHOD *nobody = UI_UTIL_wrap_read_pem_callback(say_no_password, 0);
        OSSL_STORE_CTX *store =
                nobody ? OSSL_STORE_open_ex(uri, k->context, NULL, nobody, NULL, NULL, NULL, NULL) : NULL;
        EVP_PKEY *key = NULL;

        while (store && !key && !OSSL_STORE_eof(store)) {
                OSSL_STORE_INFO *info = OSSL_STORE_load(store);

                if (info && OSSL_STORE_INFO_get_type(info) == OSSL_STORE_INFO_PKEY)
                        key = OSSL_STORE_INFO_get1_PKEY(info);
                OSSL_STORE_INFO_free(info);
                if (!info && OSSL_STORE_error(store))
                        break;
        }
        OSSL_STORE_close(store);
        UI_destroy_method(nobody);
        return key;
}

/* With the digest made here: the device has one thing to do. The query keeps OpenSSL from doing without it,
 * and then missing the private half. */
static bool sign(void *context, const char *digest_name, struct span digest, uint8_t *signature,
                 size_t *ret_n) {
        struct provided_key *k = context;
        EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_pkey(k->context, k->real, k->query);
        EVP_MD *md = EVP_MD_fetch(NULL, digest_name, NULL);
        size_t n = DELEGATED_KEY_SIGNATURE;
        bool good = c && md && EVP_PKEY_sign_init(c) == 1 && EVP_PKEY_CTX_set_signature_md(c, md) == 1 &&
                    EVP_PKEY_sign(c, signature, &n, digest.data, digest.n) == 1;

        EVP_MD_free(md);
        EVP_PKEY_CTX_free(c);
        *ret_n = n;
        atomic_store(&k->works, good);
        return good;
}

static int delegate(struct provided_key *k) {
        const struct delegated_signer signer = { .sign = sign, .context = k };
        uint8_t point[DELEGATED_KEY_POINT + 1], proof[DELEGATED_KEY_SIGNATURE];
        static const uint8_t digest[32] = "ocfd";
        size_t n;

        if (EVP_PKEY_get_octet_string_param(k->real, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point), &n) !=
                    1 ||
            n != DELEGATED_KEY_POINT)
                return PROVIDED_KEY_E_CURVE;
        if (!sign(k, "SHA2-256", span_of(digest, sizeof(digest)), proof, &n))
                return PROVIDED_KEY_E_SIGN;
        return delegated_key_new(&k->key, point, &signer);
}

int provided_key_open(struct provided_key **ret, const char *provider, const char *uri,
                      char detail[static PROVIDED_KEY_DETAIL]) {
        struct provided_key *k = ocf_new(struct provided_key);
        int r;

        detail[0] = 0;
        if (!k)
                return -ENOMEM;
        ERR_clear_error();
        r = open_provider(k, provider);
        if (!r) {
                k->real = find_key(k, uri);
                if (!k->real)
                        r = PROVIDED_KEY_E_NO_KEY;
                else
                        r = crypto_key_is_p256(k->real) ? delegate(k) : PROVIDED_KEY_E_CURVE;
        }
        describe(detail);
        if (r) {
                provided_key_free(k);
                return r;
        }
        *ret = k;
        return 0;
}

EVP_PKEY *provided_key(const struct provided_key *k) {
        return delegated_key(k->key);
}

bool provided_key_works(const struct provided_key *k) {
        return atomic_load(&k->works);
}

struct provided_key *provided_key_free(struct provided_key *k) {
        if (!k)
                return NULL;
        delegated_key_free(k->key);
        EVP_PKEY_free(k->real);
        if (k->provider)
                OSSL_PROVIDER_unload(k->provider);
        if (k->ours)
                OSSL_PROVIDER_unload(k->ours);
        OSSL_LIB_CTX_free(k->context);
        return ocf_free(k);
}
