/*
 * The first message of a handshake, ClientHello, as a server sees it before it
 * holds anything for the one who sent it; and the cookie that shows that an
 * address is there (RFC 5246 7.4.1, RFC 6347 4.2.1).
 */
#ifndef OCF_SECURITY_TLS_HELLO_H
#define OCF_SECURITY_TLS_HELLO_H

#include "security/tls.h"

#define TLS_HELLO_MAX       2048u /* bytes of the whole message that are read */
#define TLS_COOKIE_WHO_MAX  48u
#define TLS_HELLO_SUITES    64u /* those behind are not looked at */
#define TLS_COOKIE          16u
#define TLS_COOKIE_SECRET   32u /* two keys of SipHash */
#define TLS_GROUP_P256      23u
#define TLS_GROUP_P384      24u
#define TLS_VERSION_DTLS_12 0xfefdu
#define TLS_VERSION_TLS_12  0x0303u

struct tls_hello {
        struct span random, session_id, cookie;
        struct span body;   /* the message without its header */
        struct span suites; /* two bytes each */
        uint16_t message_seq;
        uint64_t record_seq; /* the answer's begins with this number (RFC 6347 4.2.1) */
        bool extended_master_secret, encrypt_then_mac;
        bool renegotiation_info; /* the extension, or the signalling suite */
        bool point_formats;      /* the extension is there */
        bool p256, p384;         /* among the groups; without the extension: yes */
};

enum {
        TLS_HELLO_E_NO_HELLO = 1, /* something else: a record of another kind, or of a running session */
        TLS_HELLO_E_FRAGMENT,     /* a ClientHello in pieces: without a cookie nothing is kept to join them */
        TLS_HELLO_E_MALFORMED,
        TLS_HELLO_E_VERSION, /* it cannot do (D)TLS 1.2 */
};

/* Reads the first record of a datagram, resp. the start of a connection. Spans point into data. Return: 0;
 * TLS_HELLO_E_*. */
int tls_hello_read(struct tls_hello *ret, bool stream, struct span data);

/* Reads the message's body alone. */
int tls_hello_read_body(struct tls_hello *ret, bool stream, struct span body);

bool tls_hello_has(const struct tls_hello *h, uint16_t suite);

/*
 * The cookie of this hello from this address: SipHash, twice, over who (any bytes that tell addresses apart)
 * and all of the hello that must be the same the second time. A cookie lives for a minute, and a flood of
 * hellos must cost next to nothing: HMAC would allocate in libcrypto for each.
 */
void tls_cookie_make(const struct tls_hello *h, struct span who, const uint8_t secret[TLS_COOKIE_SECRET],
                     uint8_t ret[TLS_COOKIE]);
bool tls_cookie_is(const struct tls_hello *h, struct span who, const uint8_t secret[TLS_COOKIE_SECRET]);

/* HelloVerifyRequest: bytes in buf. Its record has the number of the hello's own (RFC 6347 4.2.1). */
#define TLS_HELLO_VERIFY_MAX (13u + 12u + 3u + TLS_COOKIE)
size_t tls_hello_verify(const uint8_t cookie[TLS_COOKIE], struct span hello_datagram, uint8_t *buf, size_t n);

#endif
