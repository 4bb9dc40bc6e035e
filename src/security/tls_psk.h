/*
 * Our own engine of (D)TLS 1.2, for the two suites of OCF that libssl cannot do: 0xC037
 * with identities and hints that are raw bytes, and 0xFF00, which nobody else
 * has (security.md 4.2, 4.4; wire-traces.md 2). RFC 5246, 6347, 5489, 7366,
 * 7627; P-256 alone; no resumption, no renegotiation, no compression.
 *
 * Extended master secret and encrypt-then-MAC are used with who offers them.
 * All primitives are libcrypto's (crypto.h).
 */
#ifndef OCF_SECURITY_TLS_PSK_H
#define OCF_SECURITY_TLS_PSK_H

#include "security/tls.h"

#define TLS_HANDSHAKE_MAX_MS 30000u /* from the first message to the last */

struct tls_psk_config {
        bool stream, client;
        uint16_t suite;                /* the one that was chosen, or is offered */
        struct span hint;              /* of a server; 0xFF00 has none */
        struct span identity;          /* of a client */
        bool without_encrypt_then_mac; /* as OCF's other implementations are */
        bool without_extended_master_secret;
        /* Of a server over datagrams: the numbers of the ClientHello that has the cookie, and of its record.
         * The answers go on from them: those before were the HelloVerifyRequest's, and would be taken for it.
         */
        uint16_t first_message;
        uint64_t first_record;
        bool keep_secrets; /* for tls_secrets(): of an ownership transfer */
        bool one_try; /* the key may be guessed: the first record that does not open ends the handshake */
        /* The key that goes with this name: the identity that the client gave, the hint that the server gave.
         * Return: its bytes; 0: none. A server then goes on with a random one, so that nobody learns which
         * names there are; a client gives up. */
        size_t (*psk)(void *context, struct span name, uint8_t ret[TLS_PSK_MAX]);
        void *context;
};

/* A server's first receive() is the ClientHello, whose cookie was checked; a client's first transmit() has
 * it. Return: 0 or -ENOMEM. */
int tls_psk_new(struct tls **ret, const struct tls_psk_config *config, uint64_t now_ms);

/* The identity, or the hint, that the peer gave; empty: none, or one that is too long for anybody's. */
struct span tls_psk_name(const struct tls *t);

#endif
