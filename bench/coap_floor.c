/*
 * The least that a correct CoAP server does: the floor that ocfd is measured
 * against. It takes datagrams in batches, checks header, token and every option,
 * and answers a GET with one constant body, piggybacked for CON. A GET with
 * Observe 0 is registered; a POST is the new body, and goes to every observer
 * in batches, NON. It remembers no message ids and keeps nothing of anybody else.
 * Loopback only; one thread; ends by itself after a while.
 *
 *     coap_floor PORT [SECONDS [BYTES]]       BYTES: of the body (44)
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BATCH         64
#define BODY_MAX      1024
#define OBSERVERS_MAX 10000

struct observer {
        struct sockaddr_in address;
        uint8_t token[8];
        uint8_t n_token;
};

struct request {
        unsigned type, code, n_token;
        int observe; /* -1: none */
        const uint8_t *message, *token, *payload;
        size_t n_payload;
};

static uint8_t body[BODY_MAX];
static size_t n_body = 44;
static uint8_t in[BATCH][2048], out[BATCH][BODY_MAX + 32];
static struct mmsghdr incoming[BATCH], outgoing[BATCH];
static struct iovec v_in[BATCH], v_out[BATCH];
static struct sockaddr_in from[BATCH];
static struct observer observers[OBSERVERS_MAX];
static size_t n_observers;
static uint32_t sequence = 2;
static uint16_t next_mid;
static bool is_changed;

/* ---- reading ---- */

static bool option_field(const uint8_t **p, const uint8_t *end, unsigned nibble, size_t *ret) {
        if (nibble < 13) {
                *ret = nibble;
                return true;
        }
        if (nibble == 13 && end - *p >= 1) {
                *ret = 13u + *(*p)++;
                return true;
        }
        if (nibble == 14 && end - *p >= 2) {
                *ret = 269u + (unsigned)((*p)[0] << 8 | (*p)[1]);
                *p += 2;
                return true;
        }
        return false;
}

static bool read_options(const uint8_t *p, const uint8_t *end, struct request *ret) {
        size_t number = 0, delta, n;

        while (p < end) {
                uint8_t head = *p++;

                if (head == 0xff) {
                        ret->payload = p;
                        ret->n_payload = (size_t)(end - p);
                        return p < end;
                }
                if (!option_field(&p, end, head >> 4, &delta) || !option_field(&p, end, head & 15, &n) ||
                    (size_t)(end - p) < n)
                        return false;
                number += delta;
                if (number == 6)
                        ret->observe = n ? p[n - 1] : 0;
                p += n;
        }
        return true;
}

static bool read_request(const uint8_t *m, size_t n, struct request *ret) {
        if (n < 4 || m[0] >> 6 != 1 || (m[0] & 15) > 8 || n < 4u + (m[0] & 15))
                return false;
        *ret = (struct request){ .type = m[0] >> 4 & 3u,
                                 .code = m[1],
                                 .n_token = m[0] & 15u,
                                 .observe = -1,
                                 .message = m,
                                 .token = m + 4 };
        return ret->type <= 1 && (ret->code == 1 || ret->code == 2) &&
               read_options(m + 4 + ret->n_token, m + n, ret);
}

/* ---- writing ---- */

static uint8_t *put_head(uint8_t *p, unsigned type, uint8_t code, uint16_t mid, const uint8_t *token,
                         size_t n_token) {
        *p++ = (uint8_t)(0x40u | type << 4 | n_token);
        *p++ = code;
        *p++ = (uint8_t)(mid >> 8);
        *p++ = (uint8_t)mid;
        memcpy(p, token, n_token);
        return p + n_token;
}

static uint8_t *put_content(uint8_t *p, bool observed) {
        if (observed) {
                *p++ = 0x63;
                *p++ = (uint8_t)(sequence >> 16);
                *p++ = (uint8_t)(sequence >> 8);
                *p++ = (uint8_t)sequence;
        }
        *p++ = observed ? 0x62 : 0xc2; /* Content-Format 10000 */
        memcpy(p, "\x27\x10\xff", 3);
        memcpy(p + 3, body, n_body);
        return p + 3 + n_body;
}

static void register_observer(const struct sockaddr_in *address, const struct request *r) {
        struct observer *o = observers;

        while (o < observers + n_observers &&
               !(o->address.sin_port == address->sin_port &&
                 o->address.sin_addr.s_addr == address->sin_addr.s_addr && o->n_token == r->n_token &&
                 memcmp(o->token, r->token, r->n_token) == 0))
                o++;
        if (r->observe == 1 && o < observers + n_observers)
                *o = observers[--n_observers];
        if (r->observe != 0 || o == observers + OBSERVERS_MAX)
                return;
        o->address = *address;
        o->n_token = (uint8_t)r->n_token;
        memcpy(o->token, r->token, r->n_token);
        n_observers += o == observers + n_observers;
}

static size_t answer(const struct sockaddr_in *address, const uint8_t *m, size_t n, uint8_t *ret) {
        struct request r;
        uint16_t mid;
        uint8_t *p;

        if (!read_request(m, n, &r))
                return 0;
        mid = r.type ? ++next_mid : (uint16_t)(m[2] << 8 | m[3]);
        p = put_head(ret, r.type ? 1 : 2, r.code == 1 ? 0x45 : 0x44, mid, r.token, r.n_token);
        if (r.code == 2) {
                n_body = r.n_payload < BODY_MAX ? r.n_payload : BODY_MAX;
                memcpy(body, r.payload, n_body);
                is_changed = true;
                return (size_t)(p - ret);
        }
        if (r.observe >= 0)
                register_observer(address, &r);
        return (size_t)(put_content(p, r.observe == 0) - ret);
}

/* ---- the socket ---- */

static void send_all(int fd, int n) {
        int sent = 0;

        while (sent < n) {
                int r = sendmmsg(fd, outgoing + sent, (unsigned)(n - sent), 0);

                sent += r > 0 ? r : 1;
        }
}

static void outgoing_set(int i, struct sockaddr_in *to, size_t n) {
        v_out[i] = (struct iovec){ out[i], n };
        outgoing[i].msg_hdr = (struct msghdr){
                .msg_name = to, .msg_namelen = sizeof(*to), .msg_iov = &v_out[i], .msg_iovlen = 1
        };
}

static void notify_all(int fd) {
        int n = 0;

        sequence++;
        for (size_t i = 0; i < n_observers; i++) {
                struct observer *o = &observers[i];
                uint8_t *p = put_head(out[n], 1, 0x45, ++next_mid, o->token, o->n_token);

                outgoing_set(n, &o->address, (size_t)(put_content(p, true) - out[n]));
                if (++n == BATCH || i + 1 == n_observers) {
                        send_all(fd, n);
                        n = 0;
                }
        }
}

static void serve(int fd) {
        for (;;) {
                int n, n_out = 0;

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
                        size_t n_answer = answer(&from[i], in[i], incoming[i].msg_len, out[n_out]);

                        if (n_answer)
                                outgoing_set(n_out++, &from[i], n_answer);
                }
                send_all(fd, n_out);
                if (is_changed)
                        notify_all(fd);
                is_changed = false;
        }
}

int main(int argc, char **argv) {
        struct sockaddr_in local = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), buffer = 1 << 20;

        if (argc > 3)
                n_body = (size_t)atoi(argv[3]);
        if (argc < 2 || fd < 0 || n_body < 1 || n_body > BODY_MAX) {
                fputs("Usage: coap_floor PORT [SECONDS [BYTES]]\n", stderr);
                return 2;
        }
        local.sin_port = htons((uint16_t)atoi(argv[1]));
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof(buffer));
        if (bind(fd, (struct sockaddr *)&local, sizeof(local)) < 0) {
                perror("coap_floor: bind");
                return 1;
        }
        memset(body, 'x', sizeof(body));
        alarm(argc > 2 ? (unsigned)atoi(argv[2]) : 120);
        serve(fd);
        return 1;
}
