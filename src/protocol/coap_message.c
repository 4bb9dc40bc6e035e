#include "protocol/coap_message.h"

#include <string.h>

/* The nibbles 13 and 14 say that one or two more bytes follow; 15 is reserved. */
static bool take_extended(struct span *s, unsigned nibble, uint32_t *ret) {
        uint8_t one;
        uint16_t two;

        if (nibble < 13) {
                *ret = nibble;
                return true;
        }
        if (nibble == 13) {
                if (!span_take_u8(s, &one))
                        return false;
                *ret = 13u + one;
                return true;
        }
        if (nibble == 15 || !span_take_u16(s, &two))
                return false;
        *ret = 269u + two;
        return true;
}

/* Return: 0 and *ret; COAP_MESSAGE_E_OPTION, COAP_MESSAGE_E_NUMBER. s is not empty and starts with no marker.
 */
static int take_option(struct span *s, uint32_t *number, struct span *ret) {
        uint32_t delta, n;
        uint8_t head;

        if (!span_take_u8(s, &head) || !take_extended(s, head >> 4, &delta) ||
            !take_extended(s, head & 15, &n) || !span_take(s, n, ret))
                return COAP_MESSAGE_E_OPTION;
        if (delta > UINT16_MAX - *number)
                return COAP_MESSAGE_E_NUMBER;
        *number += delta;
        return 0;
}

static int parse_options(struct coap_message *m, struct span rest) {
        const uint8_t *start = rest.data;
        struct span value;
        uint32_t number = 0;
        int r;

        while (rest.n && rest.data[0] != 0xff) {
                r = take_option(&rest, &number, &value);
                if (r)
                        return r;
        }
        m->options = span_of(start, (size_t)(rest.data - start));
        if (!rest.n)
                return 0;
        if (rest.n == 1)
                return COAP_MESSAGE_E_PAYLOAD;
        m->payload = span_of(rest.data + 1, rest.n - 1);
        return 0;
}

int coap_message_parse(struct coap_message *ret, struct span datagram) {
        struct coap_message m = { 0 };
        struct span token;
        uint8_t head;
        int r;

        if (datagram.n < 4)
                return COAP_MESSAGE_E_SHORT;
        (void)span_take_u8(&datagram, &head);
        (void)span_take_u8(&datagram, &m.code);
        (void)span_take_u16(&datagram, &m.mid);
        if (head >> 6 != 1)
                return COAP_MESSAGE_E_VERSION;
        m.type = head >> 4 & 3;
        m.n_token = head & 15;
        if (m.n_token > COAP_TOKEN_MAX || !span_take(&datagram, m.n_token, &token)) {
                m.n_token = 0;
                r = COAP_MESSAGE_E_TOKEN;
        } else if (m.code == COAP_EMPTY) {
                r = m.n_token || datagram.n ? COAP_MESSAGE_E_EMPTY : 0;
        } else {
                memcpy(m.token, token.data, token.n);
                r = parse_options(&m, datagram);
        }
        *ret = m;
        return r;
}

int coap_message_parse_stream(struct coap_message *ret, uint8_t code, uint8_t n_token, struct span rest) {
        struct coap_message m = { .type = COAP_NON, .code = code, .n_token = n_token };
        struct span token;
        int r;

        if (n_token > COAP_TOKEN_MAX || !span_take(&rest, n_token, &token))
                return COAP_MESSAGE_E_TOKEN;
        memcpy(m.token, token.data, token.n);
        r = parse_options(&m, rest);
        if (r)
                return r;
        *ret = m;
        return 0;
}

bool coap_option_next(struct coap_option_reader *r, struct coap_option *ret) {
        if (!r->rest.n || take_option(&r->rest, &r->number, &ret->value) != 0)
                return false;
        ret->number = (uint16_t)r->number;
        return true;
}

bool coap_option_uint(struct span value, size_t n_max, uint32_t *ret) {
        uint32_t v = 0;

        if (value.n > n_max)
                return false;
        for (size_t i = 0; i < value.n; i++)
                v = v << 8 | value.data[i];
        *ret = v;
        return true;
}

struct coap_builder coap_build(void *buf, size_t n_max, enum coap_type type, uint8_t code, uint16_t mid,
                               const uint8_t *token, size_t n_token) {
        struct coap_builder b = { .w = writer_on(buf, n_max) };

        writer_put_u8(&b.w, (uint8_t)(1u << 6 | (unsigned)type << 4 | n_token));
        writer_put_u8(&b.w, code);
        writer_put_u16(&b.w, mid);
        writer_put(&b.w, token, n_token);
        return b;
}

static unsigned nibble_of(uint32_t v) {
        return v < 13 ? v : v < 269 ? 13 : 14;
}

static void put_extended(struct writer *w, uint32_t v) {
        if (v >= 269)
                writer_put_u16(w, (uint16_t)(v - 269));
        else if (v >= 13)
                writer_put_u8(w, (uint8_t)(v - 13));
}

void coap_build_option(struct coap_builder *b, uint16_t number, struct span value) {
        uint32_t delta = (uint32_t)number - b->last;

        writer_put_u8(&b->w, (uint8_t)(nibble_of(delta) << 4 | nibble_of((uint32_t)value.n)));
        put_extended(&b->w, delta);
        put_extended(&b->w, (uint32_t)value.n);
        writer_put_span(&b->w, value);
        b->last = number;
}

void coap_build_uint(struct coap_builder *b, uint16_t number, uint32_t value) {
        uint8_t bytes[4] = { (uint8_t)(value >> 24), (uint8_t)(value >> 16), (uint8_t)(value >> 8),
                             (uint8_t)value };
        size_t skip = value > 0xffffff ? 0 : value > 0xffff ? 1 : value > 0xff ? 2 : value ? 3 : 4;

        coap_build_option(b, number, span_of(bytes + skip, 4 - skip));
}

void coap_build_payload(struct coap_builder *b, struct span payload) {
        if (!payload.n)
                return;
        writer_put_u8(&b->w, 0xff);
        writer_put_span(&b->w, payload);
}
