#include "security/keys.h"
#include "security/crypto.h"

#include <openssl/crypto.h>

#define PIN_ROUNDS 1000

size_t key_block_size(uint16_t suite) {
        switch ((enum tls_suite)suite) {
        case TLS_ECDH_ANON_AES_128_CBC_SHA256:
        case TLS_ECDHE_PSK_AES_128_CBC_SHA256:
        case TLS_ECDHE_ECDSA_AES_128_CBC_SHA256:
                return 2 * (32 + 16); /* the IVs of CBC are not counted */
        case TLS_ECDHE_ECDSA_AES_128_CCM:
        case TLS_ECDHE_ECDSA_AES_128_CCM_8:
                return 2 * (16 + 4);
        case TLS_ECDHE_ECDSA_AES_256_CCM:
        case TLS_ECDHE_ECDSA_AES_256_CCM_8:
                return 2 * (32 + 4);
        case TLS_ECDHE_ECDSA_AES_128_GCM_SHA256:
                return 2 * (32 + 16 + 12); /* the reference counts a MAC key that GCM does not have */
        case TLS_ECDHE_ECDSA_AES_256_GCM_SHA384:
        case TLS_ECDHE_ECDSA_AES_256_CBC_SHA384:
                break;
        }
        return 0;
}

static const char *label_of(enum svr_transfer transfer) {
        switch (transfer) {
        case SVR_JUST_WORKS:
                return "oic.sec.doxm.jw";
        case SVR_RANDOM_PIN:
                return "oic.sec.doxm.rdp";
        case SVR_MANUFACTURER:
                return "oic.sec.doxm.mfgcert";
        case SVR_NO_TRANSFER:
                break;
        }
        return NULL;
}

bool key_derive_owner(const struct tls_secrets *secrets, enum svr_transfer transfer, const struct uuid *owner,
                      const struct uuid *device, uint8_t ret[KEY_PSK]) {
        const struct span randoms[] = { { secrets->server_random, TLS_RANDOM },
                                        { secrets->client_random, TLS_RANDOM } };
        const struct span ids[] = { { owner->bytes, sizeof(owner->bytes) },
                                    { device->bytes, sizeof(device->bytes) } };
        const char *label = label_of(transfer);
        size_t n = key_block_size(secrets->suite);
        uint8_t block[KEY_BLOCK_MAX];
        bool good;

        if (!n || !label)
                return false;
        good = crypto_prf(span_of(secrets->master, TLS_MASTER), "key expansion", randoms, ARRAY_SIZE(randoms),
                          block, n) &&
               crypto_prf(span_of(block, n), label, ids, ARRAY_SIZE(ids), ret, KEY_PSK);
        OPENSSL_cleanse(block, sizeof(block));
        return good;
}

bool key_derive_pin(struct span pin, const struct uuid *device, uint8_t ret[KEY_PSK]) {
        return PKCS5_PBKDF2_HMAC((const char *)pin.data, (int)pin.n, device->bytes, sizeof(device->bytes),
                                 PIN_ROUNDS, crypto_sha256(), KEY_PSK, ret) == 1;
}
