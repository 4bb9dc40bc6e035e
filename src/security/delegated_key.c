#include "security/delegated_key.h"
#include "base/memory.h"

#include <errno.h>
#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/params.h>
#include <openssl/provider.h>
#include <string.h>

#define NAME   "ocf-delegated"
#define SIGNER "ocf-signer" /* a parameter: struct delegated_signer */
#define GROUP  "prime256v1"

struct delegated_key {
        OSSL_LIB_CTX *context;
        OSSL_PROVIDER *provider;
        EVP_PKEY *key;
};

/* What OpenSSL holds of one; without a signer it is public, and somebody else's to be compared. */
struct key_data {
        uint8_t point[DELEGATED_KEY_POINT];
        struct delegated_signer signer;
};

/* OpenSSL has one type for pointers to all functions. */
#define FUNCTION(id, f)                                                                                      \
        { id, (void (*)(void))(f) }

/* ---- keys ---- */

static void *key_new(void *provider) {
        return ocf_new(struct key_data);
}

static void key_free(void *data) {
        ocf_free(data);
}

static int key_has(const void *data, int selection) {
        const struct key_data *k = data;

        return !(selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) || k->signer.sign;
}

static int key_match(const void *a, const void *b, int selection) {
        const struct key_data *left = a, *right = b;

        return memcmp(left->point, right->point, DELEGATED_KEY_POINT) == 0;
}

static bool take_point(struct key_data *k, const OSSL_PARAM params[]) {
        const OSSL_PARAM *point = OSSL_PARAM_locate_const(params, OSSL_PKEY_PARAM_PUB_KEY);
        void *to = k->point;
        size_t n;

        return point && OSSL_PARAM_get_octet_string(point, &to, sizeof(k->point), &n) == 1 &&
               n == sizeof(k->point);
}

static bool is_on_p256(const OSSL_PARAM params[]) {
        const OSSL_PARAM *group = OSSL_PARAM_locate_const(params, OSSL_PKEY_PARAM_GROUP_NAME);
        const char *name;

        return group && OSSL_PARAM_get_utf8_string_ptr(group, &name) == 1 && strcmp(name, GROUP) == 0;
}

static int key_import(void *data, int selection, const OSSL_PARAM params[]) {
        const OSSL_PARAM *signer = OSSL_PARAM_locate_const(params, SIGNER);
        struct key_data *k = data;
        void *to = &k->signer;
        size_t n;

        return is_on_p256(params) && take_point(k, params) &&
               (!signer || OSSL_PARAM_get_octet_string(signer, &to, sizeof(k->signer), &n) == 1);
}

static const OSSL_PARAM *key_import_types(int selection) {
        static const OSSL_PARAM types[] = { OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
                                            OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, NULL, 0),
                                            OSSL_PARAM_octet_string(SIGNER, NULL, 0), OSSL_PARAM_END };

        return types;
}

/* The private half cannot leave. Whoever asks for all of it asks us to sign, then. */
static int key_export(void *data, int selection, OSSL_CALLBACK *callback, void *context) {
        struct key_data *k = data;
        OSSL_PARAM params[] = {
                OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, (char[]){ GROUP }, sizeof(GROUP) - 1),
                OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, k->point, sizeof(k->point)), OSSL_PARAM_END
        };

        if (selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY && k->signer.sign)
                return 0;
        return callback(params, context);
}

static const OSSL_PARAM *key_export_types(int selection) {
        return selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY ? NULL : key_import_types(selection);
}

static bool put_int(OSSL_PARAM params[], const char *name, int value) {
        OSSL_PARAM *p = OSSL_PARAM_locate(params, name);

        return !p || OSSL_PARAM_set_int(p, value) == 1;
}

static int key_get_params(void *data, OSSL_PARAM params[]) {
        struct key_data *k = data;
        OSSL_PARAM *group = OSSL_PARAM_locate(params, OSSL_PKEY_PARAM_GROUP_NAME);
        OSSL_PARAM *point = OSSL_PARAM_locate(params, OSSL_PKEY_PARAM_PUB_KEY);
        OSSL_PARAM *encoded = OSSL_PARAM_locate(params, OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY);

        return put_int(params, OSSL_PKEY_PARAM_BITS, 256) &&
               put_int(params, OSSL_PKEY_PARAM_SECURITY_BITS, 128) &&
               put_int(params, OSSL_PKEY_PARAM_MAX_SIZE, (int)DELEGATED_KEY_SIGNATURE) &&
               (!group || OSSL_PARAM_set_utf8_string(group, GROUP) == 1) &&
               (!point || OSSL_PARAM_set_octet_string(point, k->point, sizeof(k->point)) == 1) &&
               (!encoded || OSSL_PARAM_set_octet_string(encoded, k->point, sizeof(k->point)) == 1);
}

static const OSSL_PARAM *key_gettable_params(void *provider) {
        static const OSSL_PARAM params[] = {
                OSSL_PARAM_int(OSSL_PKEY_PARAM_BITS, NULL),
                OSSL_PARAM_int(OSSL_PKEY_PARAM_SECURITY_BITS, NULL),
                OSSL_PARAM_int(OSSL_PKEY_PARAM_MAX_SIZE, NULL),
                OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
                OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, NULL, 0),
                OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY, NULL, 0),
                OSSL_PARAM_END,
        };

        return params;
}

static const char *key_operation(int operation) {
        return operation == OSSL_OP_SIGNATURE ? "ECDSA" : NULL;
}

/* ---- signatures ---- */

struct signing {
        struct key_data *key;
        char digest_name[32];
};

static void *signing_new(void *provider, const char *query) {
        return ocf_new(struct signing);
}

static void signing_free(void *context) {
        ocf_free(context);
}

static int signing_init(void *context, const char *digest_name, void *key, const OSSL_PARAM params[]) {
        struct signing *s = context;

        s->key = key;
        if (!s->key->signer.sign || !digest_name || strlen(digest_name) >= sizeof(s->digest_name))
                return 0;
        strcpy(s->digest_name, digest_name);
        return 1;
}

static int signing_sign(void *context, unsigned char *signature, size_t *n, size_t n_max,
                        const unsigned char *text, size_t n_text) {
        struct signing *s = context;
        uint8_t digest[EVP_MAX_MD_SIZE];
        size_t n_digest;

        *n = DELEGATED_KEY_SIGNATURE;
        if (!signature)
                return 1;
        return n_max >= DELEGATED_KEY_SIGNATURE &&
               EVP_Q_digest(NULL, s->digest_name, NULL, text, n_text, digest, &n_digest) == 1 &&
               s->key->signer.sign(s->key->signer.context, s->digest_name, span_of(digest, n_digest),
                                   signature, n);
}

/* ---- the provider ---- */

static const OSSL_ALGORITHM *query(void *provider, int operation, int *no_store) {
        static const OSSL_DISPATCH key_functions[] = {
                FUNCTION(OSSL_FUNC_KEYMGMT_NEW, key_new),
                FUNCTION(OSSL_FUNC_KEYMGMT_FREE, key_free),
                FUNCTION(OSSL_FUNC_KEYMGMT_HAS, key_has),
                FUNCTION(OSSL_FUNC_KEYMGMT_MATCH, key_match),
                FUNCTION(OSSL_FUNC_KEYMGMT_IMPORT, key_import),
                FUNCTION(OSSL_FUNC_KEYMGMT_IMPORT_TYPES, key_import_types),
                FUNCTION(OSSL_FUNC_KEYMGMT_EXPORT, key_export),
                FUNCTION(OSSL_FUNC_KEYMGMT_EXPORT_TYPES, key_export_types),
                FUNCTION(OSSL_FUNC_KEYMGMT_GET_PARAMS, key_get_params),
                FUNCTION(OSSL_FUNC_KEYMGMT_GETTABLE_PARAMS, key_gettable_params),
                FUNCTION(OSSL_FUNC_KEYMGMT_QUERY_OPERATION_NAME, key_operation),
                { 0, NULL },
        };
        static const OSSL_DISPATCH signature_functions[] = {
                FUNCTION(OSSL_FUNC_SIGNATURE_NEWCTX, signing_new),
                FUNCTION(OSSL_FUNC_SIGNATURE_FREECTX, signing_free),
                FUNCTION(OSSL_FUNC_SIGNATURE_DIGEST_SIGN_INIT, signing_init),
                FUNCTION(OSSL_FUNC_SIGNATURE_DIGEST_SIGN, signing_sign),
                { 0, NULL },
        };
        static const OSSL_ALGORITHM keys[] = {
                { "EC:id-ecPublicKey:1.2.840.10045.2.1", "provider=" NAME, key_functions, NULL },
                { NULL, NULL, NULL, NULL },
        };
        static const OSSL_ALGORITHM signatures[] = {
                { "ECDSA", "provider=" NAME, signature_functions, NULL },
                { NULL, NULL, NULL, NULL },
        };

        *no_store = 0;
        return operation == OSSL_OP_KEYMGMT ? keys : operation == OSSL_OP_SIGNATURE ? signatures : NULL;
}

static int provider_init(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in, const OSSL_DISPATCH **out,
                         void **ret) {
        static const OSSL_DISPATCH functions[] = { FUNCTION(OSSL_FUNC_PROVIDER_QUERY_OPERATION, query),
                                                   { 0, NULL } };
        static char nothing; /* NULL would be taken for a provider that did not start */

        *out = functions;
        *ret = &nothing;
        return 1;
}

static bool make_key(struct delegated_key *k, const uint8_t *point, const struct delegated_signer *signer) {
        struct delegated_signer its = *signer;
        uint8_t copy[DELEGATED_KEY_POINT];
        OSSL_PARAM params[] = {
                OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, (char[]){ GROUP }, sizeof(GROUP) - 1),
                OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, copy, sizeof(copy)),
                OSSL_PARAM_octet_string(SIGNER, &its, sizeof(its)),
                OSSL_PARAM_END,
        };
        EVP_PKEY_CTX *make = EVP_PKEY_CTX_new_from_name(k->context, "EC", NULL);
        bool good;

        memcpy(copy, point, sizeof(copy));
        good = make && EVP_PKEY_fromdata_init(make) == 1 &&
               EVP_PKEY_fromdata(make, &k->key, EVP_PKEY_KEYPAIR, params) == 1;
        EVP_PKEY_CTX_free(make);
        return good;
}

int delegated_key_new(struct delegated_key **ret, const uint8_t point[static DELEGATED_KEY_POINT],
                      const struct delegated_signer *signer) {
        struct delegated_key *k = ocf_new(struct delegated_key);

        if (!k)
                return -ENOMEM;
        k->context = OSSL_LIB_CTX_new();
        if (k->context && OSSL_PROVIDER_add_builtin(k->context, NAME, provider_init) == 1)
                k->provider = OSSL_PROVIDER_load(k->context, NAME);
        if (!k->provider || !make_key(k, point, signer)) {
                delegated_key_free(k);
                return -ENOMEM;
        }
        *ret = k;
        return 0;
}

EVP_PKEY *delegated_key(const struct delegated_key *k) {
        return k->key;
}

struct delegated_key *delegated_key_free(struct delegated_key *k) {
        if (!k)
                return NULL;
        EVP_PKEY_free(k->key);
        if (k->provider)
                OSSL_PROVIDER_unload(k->provider);
        OSSL_LIB_CTX_free(k->context);
        return ocf_free(k);
}
