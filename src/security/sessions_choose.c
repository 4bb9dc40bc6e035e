#include "security/sessions_choose.h"

/* In the order in which we like them, which is the reference's. */
static const uint16_t with_certificates[] = {
        TLS_ECDHE_ECDSA_AES_128_CCM_8,      TLS_ECDHE_ECDSA_AES_128_CCM,
        TLS_ECDHE_ECDSA_AES_256_CCM_8,      TLS_ECDHE_ECDSA_AES_256_CCM,
        TLS_ECDHE_ECDSA_AES_128_GCM_SHA256, TLS_ECDHE_ECDSA_AES_256_GCM_SHA384,
        TLS_ECDHE_ECDSA_AES_128_CBC_SHA256, TLS_ECDHE_ECDSA_AES_256_CBC_SHA384,
};
#define N_FOR_TRANSFER 5 /* of these; an owner's key comes of each (keys.h) */

bool tls_suite_is_psk(uint16_t suite) {
        return suite == TLS_ECDH_ANON_AES_128_CBC_SHA256 || suite == TLS_ECDHE_PSK_AES_128_CBC_SHA256;
}

static uint16_t if_offered(const struct tls_hello *hello, uint16_t suite) {
        return hello->p256 && tls_hello_has(hello, suite) ? suite : 0;
}

static uint16_t first_offered(const struct tls_hello *hello, size_t n) {
        for (size_t i = 0; i < n && (hello->p256 || hello->p384); i++)
                if (tls_hello_has(hello, with_certificates[i]))
                        return with_certificates[i];
        return 0;
}

/* One at a time: who holds the transfer keeps it until it is done, or lost. */
static uint16_t for_transfer(const struct svr *svr, bool has_certificate, const struct tls_hello *hello) {
        if (svr->machine.transfer)
                return 0;
        switch ((enum svr_transfer)svr->doxm.oxmsel) {
        case SVR_JUST_WORKS:
                return if_offered(hello, TLS_ECDH_ANON_AES_128_CBC_SHA256);
        case SVR_RANDOM_PIN:
                return if_offered(hello, TLS_ECDHE_PSK_AES_128_CBC_SHA256);
        case SVR_MANUFACTURER:
                return has_certificate ? first_offered(hello, N_FOR_TRANSFER) : 0;
        case SVR_NO_TRANSFER:
                break;
        }
        return 0;
}

static bool has_psk(const struct svr *svr) {
        for (size_t i = 0; i < svr->n_creds; i++)
                if (svr->creds[i]->type == CRED_PSK)
                        return true;
        return false;
}

uint16_t sessions_choose(const struct svr *svr, bool has_certificate, const struct tls_hello *hello) {
        uint16_t suite;

        if (svr->machine.pending)
                return 0;
        switch (svr->machine.state) {
        case SVR_RFOTM:
                return for_transfer(svr, has_certificate, hello);
        case SVR_RFPRO:
        case SVR_RFNOP:
        case SVR_SRESET:
                suite = has_psk(svr) ? if_offered(hello, TLS_ECDHE_PSK_AES_128_CBC_SHA256) : 0;
                if (!suite && has_certificate)
                        suite = first_offered(hello, ARRAY_SIZE(with_certificates));
                return suite;
        case SVR_RESET:
        case _SVR_STATE_N:
                break;
        }
        return 0;
}
