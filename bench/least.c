#include "least.h"

#include <string.h>

static uint8_t body[LEAST_BODY_MAX];
static size_t n_body;
static uint16_t next_mid;

bool least_body(size_t n) {
        memset(body, 'x', sizeof(body));
        n_body = n;
        return n && n <= sizeof(body);
}

static bool field(const uint8_t **p, const uint8_t *end, unsigned nibble, size_t *ret) {
        size_t n_more = nibble < 13 ? 0 : nibble - 12u;

        if (nibble == 15 || (size_t)(end - *p) < n_more)
                return false;
        *ret = n_more == 0 ? nibble : n_more == 1 ? 13u + (*p)[0] : 269u + (unsigned)((*p)[0] << 8 | (*p)[1]);
        *p += n_more;
        return true;
}

static bool options_are_good(const uint8_t *p, const uint8_t *end) {
        size_t delta, n;

        while (p < end) {
                uint8_t head = *p++;

                if (head == 0xff)
                        return p < end;
                if (!field(&p, end, head >> 4, &delta) || !field(&p, end, head & 15, &n) ||
                    (size_t)(end - p) < n)
                        return false;
                p += n;
        }
        return true;
}

size_t least_answer(const uint8_t *m, size_t n, uint8_t ret[LEAST_ANSWER_MAX]) {
        size_t n_token = n < 4 ? 0 : m[0] & 15u;
        unsigned type = n < 4 ? 3 : m[0] >> 4 & 3u;
        uint8_t *p = ret;
        uint16_t mid;

        if (type > 1 || m[0] >> 6 != 1 || n_token > 8 || m[1] != 1 || n < 4 + n_token ||
            !options_are_good(m + 4 + n_token, m + n))
                return 0;
        mid = type ? ++next_mid : (uint16_t)(m[2] << 8 | m[3]);
        *p++ = (uint8_t)(0x40u | (type ? 1u : 2u) << 4 | n_token);
        *p++ = 0x45;
        *p++ = (uint8_t)(mid >> 8);
        *p++ = (uint8_t)mid;
        memcpy(p, m + 4, n_token);
        p += n_token;
        memcpy(p, "\xc2\x27\x10\xff", 4); /* Content-Format 10000 */
        memcpy(p + 4, body, n_body);
        return (size_t)(p + 4 - ret) + n_body;
}
