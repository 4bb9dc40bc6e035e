/*
 * Any bytes as the first datagram, or the first bytes of a connection, of
 * somebody who has shown nothing: what is read is part of what came, the answer
 * is never longer than the question, and a cookie is for one address and one
 * hello.
 */
#include "fuzz.h"
#include "security/tls_hello.h"

#include <string.h>

static const uint8_t secret[TLS_COOKIE_SECRET] = { 1, 2, 3 }, other_secret[TLS_COOKIE_SECRET] = { 1, 2, 4 };

static bool is_within(struct span part, struct span whole) {
        return !part.n || (part.data >= whole.data && part.data + part.n <= whole.data + whole.n);
}

/* The hello with its cookie in it, as a careful client would send it. */
static void come_again(const struct tls_hello *h, const uint8_t cookie[TLS_COOKIE]) {
        size_t n_before = (size_t)(h->cookie.data - h->body.data) - 1,
               n_after = h->body.n - n_before - 1 - h->cookie.n;
        uint8_t *body = malloc(n_before + 1 + TLS_COOKIE + n_after);
        struct writer w = writer_on(body, n_before + 1 + TLS_COOKIE + n_after);
        struct tls_hello again;

        must_hold(body);
        writer_put(&w, h->body.data, n_before);
        writer_put_u8(&w, TLS_COOKIE);
        writer_put(&w, cookie, TLS_COOKIE);
        writer_put(&w, h->cookie.data + h->cookie.n, n_after);
        must_hold(!w.overflow && w.n == w.n_max);
        if (w.n <= TLS_HELLO_MAX) {
                must_hold(tls_hello_read_body(&again, false, writer_span(&w)) == 0);
                must_hold(tls_cookie_is(&again, SPAN_LITERAL("you"), secret));
                must_hold(!tls_cookie_is(&again, SPAN_LITERAL("yow"), secret));
                must_hold(!tls_cookie_is(&again, SPAN_LITERAL("you"), other_secret));
                body[2 + (h->body.n + cookie[0]) % TLS_RANDOM] ^= 1; /* another client's random */
                must_hold(!tls_cookie_is(&again, SPAN_LITERAL("you"), secret));
        }
        free(body);
}

static void answer(const struct tls_hello *h, struct span datagram) {
        uint8_t cookie[TLS_COOKIE], again[TLS_COOKIE], buf[TLS_HELLO_VERIFY_MAX];
        size_t n;

        tls_cookie_make(h, SPAN_LITERAL("you"), secret, cookie);
        tls_cookie_make(h, SPAN_LITERAL("you"), secret, again);
        must_hold(!memcmp(cookie, again, sizeof(cookie)));
        n = tls_hello_verify(cookie, datagram, buf, sizeof(buf));
        must_hold(n == TLS_HELLO_VERIFY_MAX && n <= datagram.n + 13);
        must_hold(tls_hello_verify(cookie, datagram, buf, sizeof(buf) - 1) == 0);
        come_again(h, cookie);
}

static void read_hello(bool stream, struct span data) {
        struct tls_hello h;

        if (tls_hello_read(&h, stream, data))
                return;
        must_hold(h.random.n == TLS_RANDOM && is_within(h.random, data) && is_within(h.session_id, data));
        must_hold(is_within(h.cookie, data) && is_within(h.suites, data) && is_within(h.body, data));
        must_hold(h.session_id.n <= 32 && h.body.n <= TLS_HELLO_MAX);
        for (unsigned suite = 0; suite < 65536; suite += 4097)
                must_hold(!tls_hello_has(&h, (uint16_t)suite) || h.suites.n >= 2);
        if (!stream)
                answer(&h, data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        read_hello(false, span_of(data, n));
        read_hello(true, span_of(data, n));
        return 0;
}
