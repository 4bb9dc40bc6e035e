/*
 * The client's half that knows no library: options, the socket, one CoAP request, lines
 * of JSON.
 *
 *   secure_LIBRARY [-t] [-m] [-r] -s SUITE [-i IDENTITY -k KEY] [-c CHAIN -y KEY-FILE -a ROOTS] HOST PORT
 * HREF
 *
 * SUITE, IDENTITY and KEY are in hex; -t is over TCP, -m without encrypt-then-MAC; -r asks again, after it
 * has asked for another handshake.
 */
#include "secure_client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { MESSAGE_MAX = 2048, TRIES = 4, WAIT_MS = 2000, GET = 1, URI_PATH = 11, ACK = 2 };

static uint8_t token[] = { 0x5e, 0xc0 };

void secure_fail(const char *what, const char *why) {
        printf("{\"error\": \"%s\", \"why\": \"%s\"}\n", what, why ? why : "");
        exit(1);
}

static void print_hex(const uint8_t *p, size_t n) {
        for (size_t i = 0; i < n; i++)
                printf("%02x", p[i]);
}

static size_t read_hex(const char *text, uint8_t *out, size_t max) {
        size_t n = 0;

        for (; text[0] && text[1]; text += 2) {
                unsigned byte;

                if (n == max || sscanf(text, "%2x", &byte) != 1)
                        secure_fail("an option", text);
                out[n++] = (uint8_t)byte;
        }
        return n;
}

static int connected(const char *host, const char *port, bool stream) {
        struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port)) };
        struct timeval patience = { .tv_sec = SECURE_SECONDS };
        int fd = socket(AF_INET, (stream ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC, 0);

        if (inet_pton(AF_INET, host, &to.sin_addr) != 1)
                secure_fail("no address", host);
        if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0 ||
            connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
                secure_fail("a socket", strerror(errno));
        return fd;
}

/* The options of the request: its path. */
static size_t write_path(const char *href, uint8_t *out) {
        size_t n = 0;
        unsigned delta = URI_PATH;

        while (*href) {
                size_t length = strcspn(++href, "/");

                if (length > 12 || n + length > 200)
                        secure_fail("an href that is too long", href);
                out[n++] = (uint8_t)(delta << 4 | length);
                memcpy(out + n, href, length);
                n += length;
                href += length;
                delta = 0;
        }
        return n;
}

/* Where the payload begins: after the options and the marker. */
static size_t skip_options(const uint8_t *m, size_t n) {
        size_t at = 0;

        while (at < n && m[at] != 0xff) {
                unsigned delta = m[at] >> 4, length = m[at] & 15;

                at++;
                at += delta == 13 ? 1 : delta == 14 ? 2 : 0;
                if (length == 13 && at < n)
                        length = 13u + m[at++];
                at += length;
        }
        return at < n ? at + 1 : n;
}

/* Code and the rest of a response, after its token. */
static void print_answer(uint8_t code, const uint8_t *rest, size_t n) {
        size_t payload = skip_options(rest, n);

        printf("{\"code\": \"%u.%02u\", \"payload\": \"", code >> 5, code & 31);
        print_hex(rest + payload, n - payload);
        printf("\"}\n");
}

/* Return: whether it is the response. A confirmable one is acknowledged. */
static bool take_datagram(const uint8_t *m, size_t n) {
        size_t token_size;

        if (n < 4 || m[0] >> 6 != 1)
                secure_fail("an answer", "not CoAP");
        token_size = m[0] & 15;
        if (!m[1] || n < 4 + token_size || token_size != sizeof(token) || memcmp(m + 4, token, token_size))
                return false;
        if (!(m[0] >> 4 & 3)) {
                const uint8_t ack[4] = { 0x40 | ACK << 4, 0, m[2], m[3] };

                secure_send(ack, sizeof(ack));
        }
        print_answer(m[1], m + 4 + token_size, n - 4 - token_size);
        return true;
}

static int64_t now_ms(void) {
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void ask_by_datagram(const char *href) {
        uint8_t request[MESSAGE_MAX] = { 0x40 | sizeof(token), GET, token[1], token[0], token[0], token[1] },
                answer[MESSAGE_MAX];
        size_t n = 4 + sizeof(token);

        n += write_path(href, request + n);
        for (int i = 0; i < TRIES; i++) {
                int64_t end = now_ms() + WAIT_MS, left;

                secure_send(request, n);
                while ((left = end - now_ms()) > 0) {
                        size_t got = secure_receive(answer, sizeof(answer), (int)left);

                        if (got && take_datagram(answer, got))
                                return;
                }
        }
        secure_fail("no answer", "");
}

/* Return: how long the message is that begins here, 0 where that cannot be seen yet. */
static size_t framed(const uint8_t *m, size_t n, size_t *ret_head) {
        size_t length = n ? m[0] >> 4 : 0, head = 2;

        if (n < 4)
                return 0;
        if (length == 13) {
                length = 13u + m[1];
                head = 3;
        } else if (length == 14) {
                length = 269u + (size_t)(m[1] << 8 | m[2]);
                head = 4;
        } else if (length == 15) {
                secure_fail("an answer", "too long");
        }
        *ret_head = head;
        return head + (m[0] & 15) + length;
}

static void ask_by_stream(const char *href) {
        const uint8_t csm[] = { 0x00, 0xe1 };
        uint8_t options[MESSAGE_MAX], in[MESSAGE_MAX * 4],
                request[MESSAGE_MAX] = { 0, 0, GET, token[0], token[1] };
        size_t n = write_path(href, options), have = 0, head = 0, size;
        int64_t end = now_ms() + (int64_t)TRIES * WAIT_MS, left;

        secure_send(csm, sizeof(csm));
        if (n < 13) {
                const uint8_t begin[] = { (uint8_t)(n << 4 | sizeof(token)), GET, token[0], token[1] };

                memcpy(request, begin, sizeof(begin));
                head = sizeof(begin);
        } else {
                request[0] = 13 << 4 | sizeof(token);
                request[1] = (uint8_t)(n - 13);
                head = 3 + sizeof(token);
        }
        memcpy(request + head, options, n);
        secure_send(request, head + n);
        while ((left = end - now_ms()) > 0) {
                size_t got = have < sizeof(in) ? secure_receive(in + have, sizeof(in) - have, (int)left) : 0;

                have += got;
                while ((size = framed(in, have, &head)) && size <= have) {
                        size_t token_size = in[0] & 15;
                        uint8_t code = in[head - 1];

                        if (code >> 5 != 7 && token_size == sizeof(token)) {
                                print_answer(code, in + head + token_size, size - head - token_size);
                                return;
                        }
                        memmove(in, in + size, have -= size);
                }
        }
        secure_fail("no answer", "");
}

static void ask(bool stream, const char *href) {
        if (stream)
                ask_by_stream(href);
        else
                ask_by_datagram(href);
}

static void renegotiate(void) {
        const char *why = secure_renegotiate();

        printf("{\"renegotiated\": %s, \"why\": \"%s\"}\n", why ? "false" : "true", why ? why : "");
}

int main(int argc, char **argv) {
        struct secure_options o = { 0 };
        bool again = false;
        struct secure_facts facts = { 0 };
        int option;

        while ((option = getopt(argc, argv, "tmrs:i:k:c:y:a:")) != -1) {
                switch (option) {
                case 't':
                        o.stream = true;
                        break;
                case 'm':
                        o.without_encrypt_then_mac = true;
                        break;
                case 'r':
                        again = true;
                        break;
                case 's':
                        o.suite = (uint16_t)strtoul(optarg, NULL, 16);
                        break;
                case 'i':
                        o.identity_size = read_hex(optarg, o.identity, sizeof(o.identity));
                        break;
                case 'k':
                        o.key_size = read_hex(optarg, o.key, sizeof(o.key));
                        break;
                case 'c':
                        o.chain = optarg;
                        break;
                case 'y':
                        o.private_key = optarg;
                        break;
                case 'a':
                        o.roots = optarg;
                        break;
                default:
                        return 2;
                }
        }
        if (argc - optind != 3 || !o.suite || argv[optind + 2][0] != '/')
                return 2;
        setvbuf(stdout, NULL, _IOLBF, 0);
        secure_open(&o, connected(argv[optind], argv[optind + 1], o.stream), &facts);
        printf("{\"suite\": \"%04x\", \"name\": \"%s\", \"peer\": \"%s\"}\n", facts.suite, facts.name,
               facts.subject);
        ask(o.stream, argv[optind + 2]);
        if (again) {
                renegotiate();
                token[0]++;
                ask(o.stream, argv[optind + 2]);
        }
        secure_close();
        return 0;
}
