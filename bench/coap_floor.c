/*
 * The least that a correct CoAP server does: the floor that ocfd is measured
 * against. It takes datagrams in batches, checks header, token and every
 * option, and answers a constant 2.05 of 44 bytes of CBOR, piggybacked for CON.
 * Loopback only; one thread; ends by itself after a while.
 *
 *     coap_floor PORT [SECONDS]
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BATCH 64

static const uint8_t body[44] = { 0xa3, 0x65, 'v', 'a', 'l', 'u', 'e',  0xf5, 0x61, 'n', 0x66,
                                  'b',  'e',  'n', 'c', 'h', '1', 0x64, 'r',  'e',  's', 't',
                                  0x76, 'x',  'x', 'x', 'x', 'x', 'x',  'x',  'x',  'x', 'x',
                                  'x',  'x',  'x', 'x', 'x', 'x', 'x',  'x',  'x',  'x', 'x' };

static uint8_t in[BATCH][2048], out[BATCH][128];
static uint16_t next_mid;

static size_t option_field(const uint8_t **p, const uint8_t *end, unsigned nibble, size_t *ret) {
        if (nibble < 13) {
                *ret = nibble;
                return 1;
        }
        if (nibble == 13 && end - *p >= 1) {
                *ret = 13u + *(*p)++;
                return 1;
        }
        if (nibble == 14 && end - *p >= 2) {
                *ret = 269u + (unsigned)((*p)[0] << 8 | (*p)[1]);
                *p += 2;
                return 1;
        }
        return 0;
}

static int options_are_good(const uint8_t *p, const uint8_t *end) {
        size_t delta, n;

        while (p < end) {
                uint8_t head = *p++;

                if (head == 0xff)
                        return p < end;
                if (!option_field(&p, end, head >> 4, &delta) || !option_field(&p, end, head & 15, &n) ||
                    (size_t)(end - p) < n)
                        return 0;
                p += n;
        }
        return 1;
}

static size_t answer(const uint8_t *m, size_t n, uint8_t *ret) {
        unsigned n_token = m[0] & 15u, type = m[0] >> 4 & 3u;
        uint8_t *p = ret;

        if (n < 4 || m[0] >> 6 != 1 || n_token > 8 || n < 4 + n_token || type > 1 || m[1] != 1)
                return 0;
        if (!options_are_good(m + 4 + n_token, m + n))
                return 0;
        *p++ = (uint8_t)(0x40u | (type ? 1u : 2u) << 4 | n_token);
        *p++ = 0x45;
        if (type) {
                *p++ = (uint8_t)(++next_mid >> 8);
                *p++ = (uint8_t)next_mid;
        } else {
                *p++ = m[2];
                *p++ = m[3];
        }
        memcpy(p, m + 4, n_token);
        p += n_token;
        memcpy(p, "\xc2\x27\x10\xff", 4); /* Content-Format 10000 */
        p += 4;
        memcpy(p, body, sizeof(body));
        return (size_t)(p - ret) + sizeof(body);
}

static void serve(int fd) {
        static struct mmsghdr incoming[BATCH], outgoing[BATCH];
        static struct iovec v_in[BATCH], v_out[BATCH];
        static struct sockaddr_in from[BATCH];

        for (;;) {
                int n, n_out = 0, sent = 0;

                for (int i = 0; i < BATCH; i++) {
                        v_in[i] = (struct iovec){ in[i], sizeof(in[i]) };
                        incoming[i].msg_hdr = (struct msghdr){ .msg_name = &from[i],
                                                               .msg_namelen = sizeof(from[i]),
                                                               .msg_iov = &v_in[i],
                                                               .msg_iovlen = 1 };
                }
                n = recvmmsg(fd, incoming, BATCH, MSG_WAITFORONE, NULL);
                if (n < 0 && errno != EINTR)
                        return;
                for (int i = 0; i < n; i++) {
                        size_t n_answer =
                                incoming[i].msg_len ? answer(in[i], incoming[i].msg_len, out[n_out]) : 0;

                        if (!n_answer)
                                continue;
                        v_out[n_out] = (struct iovec){ out[n_out], n_answer };
                        outgoing[n_out].msg_hdr = (struct msghdr){ .msg_name = &from[i],
                                                                   .msg_namelen = sizeof(from[i]),
                                                                   .msg_iov = &v_out[n_out],
                                                                   .msg_iovlen = 1 };
                        n_out++;
                }
                while (sent < n_out) {
                        int r = sendmmsg(fd, outgoing + sent, (unsigned)(n_out - sent), 0);

                        sent += r > 0 ? r : 1;
                }
        }
}

int main(int argc, char **argv) {
        struct sockaddr_in local = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), buffer = 1 << 20;

        if (argc < 2 || fd < 0) {
                fputs("Usage: coap_floor PORT [SECONDS]\n", stderr);
                return 2;
        }
        local.sin_port = htons((uint16_t)atoi(argv[1]));
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof(buffer));
        if (bind(fd, (struct sockaddr *)&local, sizeof(local)) < 0) {
                perror("coap_floor: bind");
                return 1;
        }
        alarm(argc > 2 ? (unsigned)atoi(argv[2]) : 120);
        serve(fd);
        return 1;
}
