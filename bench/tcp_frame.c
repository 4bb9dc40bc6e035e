#include "tcp_frame.h"

#include <string.h>

size_t tcp_frame_read(const uint8_t *bytes, size_t n, struct tcp_frame *ret) {
        static const uint32_t base[] = { 13, 269, 65805 };
        unsigned nibble = n ? bytes[0] >> 4 : 0, n_more = nibble < 13 ? 0 : 1u << (nibble - 13);
        size_t n_rest = nibble, n_head = 2 + n_more;

        if (n && (bytes[0] & 15) > 8)
                return TCP_FRAME_BAD;
        if (n < n_head)
                return 0;
        if (n_more) {
                n_rest = 0;
                for (unsigned i = 0; i < n_more; i++)
                        n_rest = n_rest << 8 | bytes[1 + i];
                n_rest += base[nibble - 13];
        }
        ret->n_token = bytes[0] & 15;
        if (n < n_head + ret->n_token || n - n_head - ret->n_token < n_rest)
                return 0;
        ret->code = bytes[1 + n_more];
        ret->token = bytes + n_head;
        ret->rest = ret->token + ret->n_token;
        ret->n_rest = n_rest;
        return n_head + ret->n_token + n_rest;
}

size_t tcp_frame_put(uint8_t *to, uint8_t code, const uint8_t *token, uint8_t n_token, const uint8_t *rest,
                     size_t n_rest) {
        uint8_t *p = to + 1;

        if (n_rest < 13) {
                *to = (uint8_t)(n_rest << 4 | n_token);
        } else if (n_rest < 269) {
                *to = (uint8_t)(13 << 4 | n_token);
                *p++ = (uint8_t)(n_rest - 13);
        } else {
                *to = (uint8_t)(14 << 4 | n_token);
                *p++ = (uint8_t)((n_rest - 269) >> 8);
                *p++ = (uint8_t)(n_rest - 269);
        }
        *p++ = code;
        if (n_token)
                memcpy(p, token, n_token);
        p += n_token;
        if (n_rest)
                memcpy(p, rest, n_rest);
        return (size_t)(p - to) + n_rest;
}
