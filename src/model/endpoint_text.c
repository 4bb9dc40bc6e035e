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

const char *endpoint_format(const struct device_endpoint *e, char buf[static ENDPOINT_TEXT_MAX]) {
        char ip[ENDPOINT_TEXT_MAX];
        bool v4 = ip_is_v4(e->ip);

        snprintf(buf, ENDPOINT_TEXT_MAX, "coap%s%s://%s%.45s%s:%u", e->secure ? "s" : "",
                 e->tcp ? "+tcp" : "", v4 ? "" : "[", ip_format(e->ip, ip), v4 ? "" : "]", e->port);
        return buf;
}
