#include "security/svr_field.h"

int svr_property_find(const struct svr_property *table, size_t n, struct span key) {
        for (size_t i = 0; key.data && i < n; i++)
                if (span_equal_string(key, table[i].name))
                        return (int)i;
        return -1;
}

enum fault svr_property_fault(const struct svr_property *property, enum svr_state state) {
        if (!property->writable)
                return FAULT_BAD_REPRESENTATION;
        return property->writable & SVR_IN(state) ? FAULT_NONE : FAULT_FORBIDDEN;
}

/* The reference's onboarding tool sends 37 bytes in an entry's subject (wire-traces.md 5.2). */
bool svr_as_uuid(struct span item, struct uuid *ret) {
        struct span text;

        if (!rep_as_text(item, &text))
                return false;
        if (text.n == 37 && text.data[36] == 0)
                text.n = 36;
        return uuid_parse(ret, text);
}

bool svr_as_uint(struct span item, uint64_t max, uint64_t *ret) {
        int64_t v;

        if (!rep_as_int64(item, &v) || v < 0 || (uint64_t)v > max)
                return false;
        *ret = (uint64_t)v;
        return true;
}

bool svr_as_text(struct span item, size_t max, struct span *ret) {
        struct span text;

        if (!rep_as_text(item, &text) || text.n > max)
                return false;
        *ret = text;
        return true;
}

bool svr_as_data(struct span item, size_t max, struct span *ret) {
        struct span data;

        if ((!rep_as_text(item, &data) && !rep_as_bytes(item, &data)) || data.n > max)
                return false;
        *ret = data;
        return true;
}

bool svr_array_begin(struct span item, struct span *ret_items, uint64_t *ret_n) {
        struct rep_token t;

        if (!rep_next(&item, &t) || (t.type != REP_ARRAY && t.type != REP_NULL))
                return false;
        *ret_items = item;
        *ret_n = t.type == REP_ARRAY ? t.value.n : 0;
        return true;
}

void svr_put_uuid(struct writer *w, const struct uuid *u) {
        char buf[UUID_TEXT_MAX];

        rep_put_string(w, uuid_format(u, buf));
}

static int base64_value(uint8_t c) {
        if (c >= 'A' && c <= 'Z')
                return c - 'A';
        if (c >= 'a' && c <= 'z')
                return c - 'a' + 26;
        if (c >= '0' && c <= '9')
                return c - '0' + 52;
        return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* RFC 4648, 4; the padding may be missing, whatever else is strange is refused. */
bool svr_base64_decode(struct span text, uint8_t *buf, size_t n_max, size_t *ret_n) {
        uint32_t bits = 0;
        size_t n = 0, n_bits = 0;

        for (unsigned i = 0; i < 2 && text.n && text.data[text.n - 1] == '='; i++)
                text.n--;
        if (text.n % 4 == 1)
                return false;
        for (size_t i = 0; i < text.n; i++) {
                int v = base64_value(text.data[i]);

                if (v < 0)
                        return false;
                bits = bits << 6 | (uint32_t)v;
                n_bits += 6;
                if (n_bits < 8)
                        continue;
                if (n == n_max)
                        return false;
                n_bits -= 8;
                buf[n++] = (uint8_t)(bits >> n_bits);
                bits &= (1u << n_bits) - 1;
        }
        if (bits)
                return false; /* bits behind the last byte must be zero */
        *ret_n = n;
        return true;
}
