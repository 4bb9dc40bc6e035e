#include "security/tls_psk_private.h"

#include <openssl/crypto.h>
#include <string.h>

bool tls_psk_is_anonymous(const struct tls_psk *p) {
        return p->base.suite == TLS_ECDH_ANON_AES_128_CBC_SHA256;
}

/* The hash of all messages so far; the transcript goes on. */
static bool transcript(const struct tls_handshake *h, uint8_t ret[CRYPTO_HASH]) {
        EVP_MD_CTX *copy = EVP_MD_CTX_new();
        bool good = copy && EVP_MD_CTX_copy_ex(copy, h->transcript) == 1 &&
                    EVP_DigestFinal_ex(copy, ret, NULL) == 1;

        EVP_MD_CTX_free(copy);
        return good;
}

/* RFC 5489 2: both secrets with their lengths; the anonymous suite has the one alone. */
static size_t put_premaster(const struct tls_psk *p, const uint8_t shared[CRYPTO_ECDH], struct span psk,
                            uint8_t *buf, size_t n) {
        struct writer w = writer_on(buf, n);

        if (!tls_psk_is_anonymous(p))
                writer_put_u16(&w, CRYPTO_ECDH);
        writer_put(&w, shared, CRYPTO_ECDH);
        if (!tls_psk_is_anonymous(p)) {
                writer_put_u16(&w, (uint16_t)psk.n);
                writer_put_span(&w, psk);
        }
        return w.n;
}

static bool make_master(struct tls_psk *p, struct span premaster) {
        uint8_t hash[CRYPTO_HASH];
        const struct span session[] = { { hash, sizeof(hash) } };
        const struct span randoms[] = { { p->secrets.client_random, TLS_RANDOM },
                                        { p->secrets.server_random, TLS_RANDOM } };

        if (!p->handshake->extended_master_secret)
                return crypto_prf(premaster, "master secret", randoms, ARRAY_SIZE(randoms), p->secrets.master,
                                  TLS_MASTER);
        return transcript(p->handshake, hash) &&
               crypto_prf(premaster, "extended master secret", session, 1, p->secrets.master, TLS_MASTER);
}

/* The transcript ends with ClientKeyExchange now. */
bool tls_psk_make_keys(struct tls_psk *p, const uint8_t shared[CRYPTO_ECDH], struct span psk) {
        const struct span randoms[] = { { p->secrets.server_random, TLS_RANDOM },
                                        { p->secrets.client_random, TLS_RANDOM } };
        uint8_t premaster[4 + CRYPTO_ECDH + TLS_PSK_MAX], block[2 * (TLS_CBC_MAC + TLS_CBC_KEY)];
        const uint8_t *client_mac = block, *server_mac = block + TLS_CBC_MAC;
        const uint8_t *client_key = block + 2 * TLS_CBC_MAC, *server_key = client_key + TLS_CBC_KEY;
        size_t n = put_premaster(p, shared, psk, premaster, sizeof(premaster));
        bool is_client = p->base.client, etm = p->handshake->encrypt_then_mac;
        bool good = make_master(p, span_of(premaster, n)) &&
                    crypto_prf(span_of(p->secrets.master, TLS_MASTER), "key expansion", randoms,
                               ARRAY_SIZE(randoms), block, sizeof(block)) &&
                    tls_cbc_init(&p->write, TLS_CBC_SEAL, !p->base.stream, etm,
                                 is_client ? client_key : server_key, is_client ? client_mac : server_mac) &&
                    tls_cbc_init(&p->handshake->read, TLS_CBC_OPEN, !p->base.stream, etm,
                                 is_client ? server_key : client_key, is_client ? server_mac : client_mac);

        OPENSSL_cleanse(premaster, sizeof(premaster));
        OPENSSL_cleanse(block, sizeof(block));
        p->secrets.suite = p->base.suite;
        return good;
}

bool tls_psk_verify_data(struct tls_psk *p, bool of_client, uint8_t ret[TLS_VERIFY_DATA]) {
        uint8_t hash[CRYPTO_HASH];
        const struct span seed[] = { { hash, sizeof(hash) } };

        return transcript(p->handshake, hash) &&
               crypto_prf(span_of(p->secrets.master, TLS_MASTER),
                          of_client ? "client finished" : "server finished", seed, 1, ret, TLS_VERIFY_DATA);
}
