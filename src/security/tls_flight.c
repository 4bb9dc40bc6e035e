#include "security/tls_flight.h"

#include <string.h>

static void put_u24(struct writer *w, size_t v) {
        writer_put_u8(w, (uint8_t)(v >> 16));
        writer_put_u16(w, (uint16_t)v);
}

static bool take_u24(struct span *s, uint32_t *ret) {
        uint8_t high;
        uint16_t low;

        if (!span_take_u8(s, &high) || !span_take_u16(s, &low))
                return false;
        *ret = (uint32_t)high << 16 | low;
        return true;
}

/* The header of a whole message: DTLS adds its number, and the fragment that it is. */
static void put_header(struct writer *w, bool stream, uint8_t type, uint16_t seq, size_t n_body) {
        writer_put_u8(w, type);
        put_u24(w, n_body);
        if (stream)
                return;
        writer_put_u16(w, seq);
        put_u24(w, 0);
        put_u24(w, n_body);
}

void tls_flight_begin(struct tls_flight *f) {
        f->n = f->n_parts = f->n_sent = 0;
}

static void put_part(struct tls_flight *f, uint8_t content, uint8_t epoch, size_t n) {
        f->parts[f->n_parts++] = (struct tls_flight_part){ content, epoch, (uint16_t)f->n, (uint16_t)n };
        f->n += n;
}

struct span tls_flight_put(struct tls_flight *f, uint8_t epoch, enum tls_message type, struct span body) {
        struct writer w = writer_on(f->bytes + f->n, sizeof(f->bytes) - f->n);

        put_header(&w, f->stream, (uint8_t)type, f->next_seq++, body.n);
        writer_put_span(&w, body);
        put_part(f, TLS_HANDSHAKE_MESSAGE, epoch, w.n);
        return writer_span(&w);
}

void tls_flight_put_change_cipher_spec(struct tls_flight *f) {
        f->bytes[f->n] = 1;
        put_part(f, TLS_CHANGE_CIPHER_SPEC, 0, 1);
}

void tls_flight_again(struct tls_flight *f) {
        f->n_sent = 0;
}

/* ---- and back ---- */

static bool has(const struct tls_reassembly *a, size_t i) {
        return a->have[i / 8] >> i % 8 & 1;
}

/* The first message says how long it is and of what type; the others must agree. */
static int begin(struct tls_reassembly *a, uint8_t type, uint32_t n) {
        struct writer w = writer_on(a->bytes, sizeof(a->bytes));

        if (n > TLS_MESSAGE_MAX)
                return TLS_REASSEMBLY_E_MALFORMED;
        if (a->begun)
                return a->type == type && a->n == n ? 0 : TLS_REASSEMBLY_E_MALFORMED;
        a->begun = true;
        a->type = type;
        a->n = n;
        a->n_have = 0;
        memset(a->have, 0, sizeof(a->have));
        put_header(&w, a->stream, type, a->next_seq, n);
        return 0;
}

/* What is there already stays as it came first; a copy that differs is no copy. */
static int keep(struct tls_reassembly *a, size_t offset, struct span fragment) {
        uint8_t *body = a->bytes + TLS_MESSAGE_HEADER(a->stream);

        for (size_t i = 0; i < fragment.n; i++) {
                size_t at = offset + i;

                if (has(a, at)) {
                        if (body[at] != fragment.data[i])
                                return TLS_REASSEMBLY_E_MALFORMED;
                        continue;
                }
                body[at] = fragment.data[i];
                a->have[at / 8] |= (uint8_t)(1u << at % 8);
                a->n_have++;
        }
        return a->n_have == a->n ? 0 : TLS_REASSEMBLY_E_MORE;
}

static int take_fragment(struct tls_reassembly *a, struct span *payload) {
        uint32_t n, offset, n_fragment;
        struct span fragment;
        uint16_t seq;
        uint8_t type;
        int r;

        if (!payload->n)
                return TLS_REASSEMBLY_E_MORE;
        if (!span_take_u8(payload, &type) || !take_u24(payload, &n) || !span_take_u16(payload, &seq) ||
            !take_u24(payload, &offset) || !take_u24(payload, &n_fragment) ||
            !span_take(payload, n_fragment, &fragment) || offset > n || n_fragment > n - offset)
                return TLS_REASSEMBLY_E_MALFORMED;
        if (seq < a->next_seq)
                return TLS_REASSEMBLY_E_OLD;
        if (seq > a->next_seq) /* too early: it comes again with its flight */
                return TLS_REASSEMBLY_E_MORE;
        if (n && !n_fragment)
                return TLS_REASSEMBLY_E_MALFORMED;
        r = begin(a, type, n);
        return r ? r : keep(a, offset, fragment);
}

/* A connection gives bytes in order: the header first, then the rest. */
static int take_bytes(struct tls_reassembly *a, struct span *payload) {
        struct span header, piece;
        uint32_t n = 0;
        int r;

        if (!a->begun) {
                size_t n_missing = 4 - a->n_have;

                if (!payload->n)
                        return TLS_REASSEMBLY_E_MORE;
                (void)span_take(payload, payload->n < n_missing ? payload->n : n_missing, &piece);
                memcpy(a->bytes + a->n_have, piece.data, piece.n);
                a->n_have += piece.n;
                if (a->n_have < 4)
                        return TLS_REASSEMBLY_E_MORE;
                header = span_of(a->bytes + 1, 3);
                (void)take_u24(&header, &n);
                r = begin(a, a->bytes[0], n);
                if (r)
                        return r;
        }
        n = (uint32_t)(a->n - a->n_have);
        (void)span_take(payload, payload->n < n ? payload->n : n, &piece);
        return keep(a, a->n_have, piece);
}

int tls_reassembly_take(struct tls_reassembly *a, struct span *payload) {
        return a->stream ? take_bytes(a, payload) : take_fragment(a, payload);
}

struct span tls_reassembly_message(const struct tls_reassembly *a) {
        return span_of(a->bytes, TLS_MESSAGE_HEADER(a->stream) + a->n);
}

struct span tls_reassembly_body(const struct tls_reassembly *a) {
        return span_of(a->bytes + TLS_MESSAGE_HEADER(a->stream), a->n);
}

void tls_reassembly_next(struct tls_reassembly *a) {
        a->begun = false;
        a->n_have = 0;
        a->next_seq++;
}
