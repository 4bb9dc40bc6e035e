#include "base/uuid.h"

#include <string.h>

static int hex_value(uint8_t c) {
        if (c >= '0' && c <= '9')
                return c - '0';
        if (c >= 'a' && c <= 'f')
                return c - 'a' + 10;
        if (c >= 'A' && c <= 'F')
                return c - 'A' + 10;
        return -1;
}

static bool is_dash_position(size_t i) {
        return i == 8 || i == 13 || i == 18 || i == 23;
}

bool uuid_parse(struct uuid *ret, struct span text) {
        struct uuid u;
        size_t n = 0;

        if (text.n != 36)
                return false;
        for (size_t i = 0; i < 36;) {
                int high, low;

                if (is_dash_position(i)) {
                        if (text.data[i++] != '-')
                                return false;
                        continue;
                }
                high = hex_value(text.data[i]);
                low = hex_value(text.data[i + 1]);
                if (high < 0 || low < 0)
                        return false;
                u.bytes[n++] = (uint8_t)(high << 4 | low);
                i += 2;
        }
        *ret = u;
        return true;
}

const char *uuid_format(const struct uuid *u, char buf[static UUID_TEXT_MAX]) {
        static const char digits[] = "0123456789abcdef";
        size_t n = 0;

        for (size_t i = 0; i < 36;) {
                if (is_dash_position(i)) {
                        buf[i++] = '-';
                        continue;
                }
                buf[i++] = digits[u->bytes[n] >> 4];
                buf[i++] = digits[u->bytes[n++] & 15];
        }
        buf[36] = 0;
        return buf;
}

bool uuid_equal(const struct uuid *a, const struct uuid *b) {
        return memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

bool uuid_is_nil(const struct uuid *u) {
        return uuid_equal(u, &(struct uuid){ { 0 } });
}

void uuid_from_random(struct uuid *ret, const uint8_t random[static 16]) {
        memcpy(ret->bytes, random, 16);
        ret->bytes[6] = (uint8_t)((ret->bytes[6] & 0x0f) | 0x40);
        ret->bytes[8] = (uint8_t)((ret->bytes[8] & 0x3f) | 0x80);
}
