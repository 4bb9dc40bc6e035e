#include "model/endpoint_text.h"

#include <stdio.h>
#include <string.h>

bool ip_is_v4(const uint8_t ip[static 16]) {
        static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

        return memcmp(ip, mapped, sizeof(mapped)) == 0;
}

bool ip_is_link_local(const uint8_t ip[static 16]) {
        if (ip_is_v4(ip))
                return ip[12] == 169 && ip[13] == 254;
        return ip[0] == 0xfe && (ip[1] & 0xc0) == 0x80;
}

static unsigned group(const uint8_t *ip, size_t i) {
        return (unsigned)(ip[2 * i] << 8 | ip[2 * i + 1]);
}

/* The longest run of at least two zero groups, the first one of equals (RFC 5952, 4.2). */
static size_t longest_zeroes(const uint8_t *ip, size_t *ret_n) {
        size_t best = 8, n_best = 1;

        for (size_t i = 0; i < 8;) {
                size_t n = 0;

                while (i + n < 8 && !group(ip, i + n))
                        n++;
                if (n > n_best) {
                        best = i;
                        n_best = n;
                }
                i += n + 1;
        }
        *ret_n = best < 8 ? n_best : 0;
        return best;
}

const char *ip_format(const uint8_t ip[static 16], char buf[static ENDPOINT_TEXT_MAX]) {
        size_t n_zeroes, zeroes, n = 0;

        if (ip_is_v4(ip)) {
                snprintf(buf, ENDPOINT_TEXT_MAX, "%u.%u.%u.%u", ip[12], ip[13], ip[14], ip[15]);
                return buf;
        }
        zeroes = longest_zeroes(ip, &n_zeroes);
        buf[0] = 0;
        for (size_t i = 0; i < 8;) {
                if (i == zeroes) {
                        n += (size_t)snprintf(buf + n, ENDPOINT_TEXT_MAX - n, "::");
                        i += n_zeroes;
                        continue;
                }
                n += (size_t)snprintf(buf + n, ENDPOINT_TEXT_MAX - n, n && buf[n - 1] != ':' ? ":%x" : "%x",
                                      group(ip, i));
                i++;
        }
        return buf;
}

/* ---- read ---- */

static int digit(char c) {
        if (c >= '0' && c <= '9')
                return c - '0';
        c |= 0x20;
        return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* A number of at most this many digits, without a sign; the text goes on behind it. */
static bool take_number(const char **s, int base, unsigned n_digits, unsigned *ret) {
        unsigned n = 0;

        for (*ret = 0; digit(**s) >= 0 && digit(**s) < base; (*s)++) {
                if (++n > n_digits)
                        return false;
                *ret = *ret * (unsigned)base + (unsigned)digit(**s);
        }
        return n > 0;
}

static bool take_v4(const char *s, uint8_t ret[4]) {
        for (size_t i = 0; i < 4; i++) {
                unsigned n;

                if (!take_number(&s, 10, 3, &n) || n > 255 || *s != (i < 3 ? '.' : 0))
                        return false;
                ret[i] = (uint8_t)n;
                s++;
        }
        return true;
}

/* Groups from the front, and those behind "::" moved to the end (RFC 4291, 2.2). */
static bool take_v6(const char *s, uint8_t ret[16]) {
        size_t n = 0, gap = SIZE_MAX;

        if (*s == ':' && *++s != ':')
                return false;
        while (*s) {
                const char *begin = s;
                unsigned group;

                if (*s == ':') { /* the second of two */
                        if (gap != SIZE_MAX)
                                return false;
                        gap = n;
                        if (!*++s)
                                break;
                        begin = s;
                }
                if (n == 16 || !take_number(&s, 16, 4, &group))
                        return false;
                if (*s == '.') {
                        if (n > 12 || !take_v4(begin, ret + n))
                                return false;
                        n += 4;
                        break;
                }
                ret[n++] = (uint8_t)(group >> 8);
                ret[n++] = (uint8_t)group;
                if (*s && (*s != ':' || !*++s))
                        return false;
        }
        if (gap == SIZE_MAX)
                return n == 16;
        if (n >= 15)
                return false;
        memmove(ret + 16 - (n - gap), ret + gap, n - gap);
        memset(ret + gap, 0, 16 - n);
        return true;
}

bool ip_parse(const char *text, uint8_t ret[static 16]) {
        memset(ret, 0, 16);
        if (strchr(text, ':'))
                return take_v6(text, ret);
        memset(ret + 10, 0xff, 2);
        return take_v4(text, ret + 12);
}

bool port_parse(const char *text, uint16_t *ret) {
        unsigned n;

        if (!take_number(&text, 10, 5, &n) || *text || !n || n > UINT16_MAX)
                return false;
        *ret = (uint16_t)n;
        return true;
}

const char *endpoint_format(const struct device_endpoint *e, char buf[static ENDPOINT_TEXT_MAX]) {
        char ip[ENDPOINT_TEXT_MAX];
        bool v4 = ip_is_v4(e->ip);

        snprintf(buf, ENDPOINT_TEXT_MAX, "coap%s%s://%s%.45s%s:%u", e->secure ? "s" : "",
                 e->tcp ? "+tcp" : "", v4 ? "" : "[", ip_format(e->ip, ip), v4 ? "" : "]", e->port);
        return buf;
}
