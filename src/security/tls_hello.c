#include "security/tls_hello.h"
#include "protocol/coap_siphash.h"

#include <openssl/crypto.h>
#include <string.h>

enum { RECORD_HANDSHAKE = 22 };
enum { MESSAGE_CLIENT_HELLO = 1, MESSAGE_HELLO_VERIFY_REQUEST = 3 };
enum {
        EXTENSION_GROUPS = 10,
        EXTENSION_POINT_FORMATS = 11,
        EXTENSION_ENCRYPT_THEN_MAC = 22,
        EXTENSION_EXTENDED_MASTER_SECRET = 23,
        EXTENSION_RENEGOTIATION_INFO = 0xff01,
};
#define SUITE_RENEGOTIATION_INFO 0x00ff

static bool take_vector8(struct span *s, struct span *ret) {
        uint8_t n;

        return span_take_u8(s, &n) && span_take(s, n, ret);
}

static bool take_vector16(struct span *s, struct span *ret) {
        uint16_t n;

        return span_take_u16(s, &n) && span_take(s, n, ret);
}

static bool has_u16(struct span list, uint16_t wanted) {
        uint16_t v;

        for (size_t i = 0; i < TLS_HELLO_SUITES && span_take_u16(&list, &v); i++)
                if (v == wanted)
                        return true;
        return false;
}

bool tls_hello_has(const struct tls_hello *h, uint16_t suite) {
        return has_u16(h->suites, suite);
}

static bool read_groups(struct tls_hello *h, struct span body) {
        struct span list;

        if (!take_vector16(&body, &list) || body.n || !list.n || list.n % 2)
                return false;
        h->p256 = has_u16(list, TLS_GROUP_P256);
        h->p384 = has_u16(list, TLS_GROUP_P384);
        return true;
}

static bool read_point_formats(struct tls_hello *h, struct span body) {
        struct span list;

        if (!take_vector8(&body, &list) || body.n)
                return false;
        h->point_formats = true;
        return memchr(list.data, 0, list.n) != NULL; /* uncompressed */
}

static bool read_renegotiation(struct tls_hello *h, struct span body) {
        h->renegotiation_info = true;
        return body.n == 1 && body.data[0] == 0; /* there is nothing to renegotiate */
}

static bool read_extension(struct tls_hello *h, uint16_t type, struct span body) {
        switch (type) {
        case EXTENSION_GROUPS:
                return read_groups(h, body);
        case EXTENSION_POINT_FORMATS:
                return read_point_formats(h, body);
        case EXTENSION_ENCRYPT_THEN_MAC:
                h->encrypt_then_mac = true;
                return body.n == 0;
        case EXTENSION_EXTENDED_MASTER_SECRET:
                h->extended_master_secret = true;
                return body.n == 0;
        case EXTENSION_RENEGOTIATION_INFO:
                return read_renegotiation(h, body);
        }
        return true;
}

static bool read_extensions(struct tls_hello *h, struct span s) {
        struct span list, body;
        uint16_t type;
        unsigned seen = 0;

        if (!s.n)
                return true;
        if (!take_vector16(&s, &list) || s.n)
                return false;
        while (list.n) {
                if (!span_take_u16(&list, &type) || !take_vector16(&list, &body))
                        return false;
                if (type < 32) { /* those that we read, but for one: none may come twice (RFC 5246 7.4.1.4) */
                        if (seen >> type & 1)
                                return false;
                        seen |= 1u << type;
                }
                if (!read_extension(h, type, body))
                        return false;
        }
        return true;
}

int tls_hello_read_body(struct tls_hello *ret, bool stream, struct span body) {
        struct tls_hello h = { .body = body, .p256 = true, .p384 = true };
        struct span compressions;
        uint16_t version;

        if (!span_take_u16(&body, &version) || !span_take(&body, TLS_RANDOM, &h.random) ||
            !take_vector8(&body, &h.session_id) || h.session_id.n > 32 ||
            (!stream && !take_vector8(&body, &h.cookie)) || !take_vector16(&body, &h.suites) || !h.suites.n ||
            h.suites.n % 2 || !take_vector8(&body, &compressions) || !compressions.n ||
            !memchr(compressions.data, 0, compressions.n))
                return TLS_HELLO_E_MALFORMED;
        /* DTLS counts its versions downwards. */
        if (stream ? version < TLS_VERSION_TLS_12 : version > TLS_VERSION_DTLS_12 || version < 0xfe00)
                return TLS_HELLO_E_VERSION;
        if (!read_extensions(&h, body))
                return TLS_HELLO_E_MALFORMED;
        if (tls_hello_has(&h, SUITE_RENEGOTIATION_INFO))
                h.renegotiation_info = true;
        *ret = h;
        return 0;
}

static bool take_u24(struct span *s, uint32_t *ret) {
        uint8_t high;
        uint16_t low;

        if (!span_take_u8(s, &high) || !span_take_u16(s, &low))
                return false;
        *ret = (uint32_t)high << 16 | low;
        return true;
}

int tls_hello_read(struct tls_hello *ret, bool stream, struct span data) {
        struct span record, body;
        uint32_t n_message, offset, n_fragment;
        uint16_t version, epoch, seq_high = 0, message_seq = 0;
        uint32_t seq_low = 0;
        uint8_t type, message;
        int r;

        if (!span_take_u8(&data, &type) || type != RECORD_HANDSHAKE || !span_take_u16(&data, &version) ||
            version >> 8 != (stream ? 0x03 : 0xfe))
                return TLS_HELLO_E_NO_HELLO;
        if (!stream && (!span_take_u16(&data, &epoch) || epoch || !span_take_u16(&data, &seq_high) ||
                        !span_take_u32(&data, &seq_low)))
                return TLS_HELLO_E_NO_HELLO;
        if (!take_vector16(&data, &record))
                return stream ? TLS_HELLO_E_FRAGMENT : TLS_HELLO_E_MALFORMED; /* more may come */
        if (!span_take_u8(&record, &message))
                return TLS_HELLO_E_MALFORMED;
        if (message != MESSAGE_CLIENT_HELLO)
                return TLS_HELLO_E_NO_HELLO;
        if (!take_u24(&record, &n_message) || n_message > TLS_HELLO_MAX)
                return TLS_HELLO_E_MALFORMED;
        if (!stream) {
                if (!span_take_u16(&record, &message_seq) || !take_u24(&record, &offset) ||
                    !take_u24(&record, &n_fragment))
                        return TLS_HELLO_E_MALFORMED;
                if (offset || n_fragment != n_message)
                        return TLS_HELLO_E_FRAGMENT;
        }
        if (!span_take(&record, n_message, &body))
                return stream ? TLS_HELLO_E_FRAGMENT : TLS_HELLO_E_MALFORMED;
        if (record.n)
                return TLS_HELLO_E_MALFORMED; /* nothing may follow in the same record */
        r = tls_hello_read_body(ret, stream, body);
        if (!r) {
                ret->message_seq = message_seq;
                ret->record_seq = (uint64_t)seq_high << 32 | seq_low;
        }
        return r;
}

/* All but the cookie: who asks with another list the second time is asked again. */
void tls_cookie_make(const struct tls_hello *h, struct span who, const uint8_t secret[TLS_COOKIE_SECRET],
                     uint8_t ret[TLS_COOKIE]) {
        size_t n_before = (size_t)(h->cookie.data - 1 - h->body.data);
        const uint8_t *behind = h->cookie.data + h->cookie.n;
        uint8_t bytes[TLS_COOKIE_WHO_MAX + TLS_HELLO_MAX];
        struct writer w = writer_on(bytes, sizeof(bytes));
        uint64_t keys[4], hash[2];

        _Static_assert(sizeof(keys) == TLS_COOKIE_SECRET && sizeof(hash) == TLS_COOKIE, "two of SipHash");
        memcpy(keys, secret, sizeof(keys));
        writer_put_span(&w, who);
        writer_put(&w, h->body.data, n_before);
        writer_put(&w, behind, h->body.n - (size_t)(behind - h->body.data));
        hash[0] = coap_siphash(keys, writer_span(&w));
        hash[1] = coap_siphash(keys + 2, writer_span(&w));
        memcpy(ret, hash, sizeof(hash));
}

bool tls_cookie_is(const struct tls_hello *h, struct span who, const uint8_t secret[TLS_COOKIE_SECRET]) {
        uint8_t cookie[TLS_COOKIE];

        if (h->cookie.n != TLS_COOKIE)
                return false;
        tls_cookie_make(h, who, secret, cookie);
        return CRYPTO_memcmp(cookie, h->cookie.data, TLS_COOKIE) == 0;
}

size_t tls_hello_verify(const uint8_t cookie[TLS_COOKIE], struct span hello_datagram, uint8_t *buf,
                        size_t n) {
        struct writer w = writer_on(buf, n);

        writer_put_u8(&w, RECORD_HANDSHAKE);
        writer_put_u16(&w, TLS_VERSION_DTLS_12);
        writer_put_u16(&w, 0);
        writer_put(&w, hello_datagram.data + 5, 6); /* as tls_hello_read() has seen */
        writer_put_u16(&w, 12 + 3 + TLS_COOKIE);
        writer_put_u8(&w, MESSAGE_HELLO_VERIFY_REQUEST);
        writer_put_u8(&w, 0);
        writer_put_u16(&w, 3 + TLS_COOKIE);
        writer_put_u16(&w, 0); /* message_seq */
        writer_put_u8(&w, 0);
        writer_put_u16(&w, 0); /* offset */
        writer_put_u8(&w, 0);
        writer_put_u16(&w, 3 + TLS_COOKIE);
        writer_put_u16(&w, TLS_VERSION_DTLS_12);
        writer_put_u8(&w, TLS_COOKIE);
        writer_put(&w, cookie, TLS_COOKIE);
        return w.overflow ? 0 : w.n;
}
