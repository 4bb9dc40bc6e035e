#include "base/utf8.h"

static bool is_noncharacter(uint32_t c) {
        return (c & 0xfffe) == 0xfffe || (c >= 0xfdd0 && c <= 0xfdef);
}

bool utf8_is_valid(struct span s, enum utf8_kind kind) {
        uint8_t c;

        while (span_take_u8(&s, &c)) {
                unsigned n_more = c < 0x80 ? 0 : c >= 0xc2 && c <= 0xdf ? 1 : (c & 0xf0) == 0xe0 ? 2 : 3;
                uint32_t point = n_more == 0   ? c
                                 : n_more == 1 ? c & 0x1fu
                                 : n_more == 2 ? c & 0x0fu
                                               : c & 0x07u;
                static const uint32_t least[] = { 0, 0x80, 0x800, 0x10000 };

                if (n_more == 3 && (c < 0xf0 || c > 0xf4))
                        return false; /* a stray continuation, an overlong lead or beyond the last plane */
                for (unsigned i = 0; i < n_more; i++) {
                        if (!span_take_u8(&s, &c) || (c & 0xc0) != 0x80)
                                return false;
                        point = point << 6 | (c & 0x3f);
                }
                if (point < least[n_more] || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff))
                        return false;
                if (kind == UTF8_BUS && (point == 0 || is_noncharacter(point)))
                        return false;
        }
        return true;
}
