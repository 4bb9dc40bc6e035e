/*
 * The client: one request, and what came back.
 *
 *     coap_node ask [OPTIONS] METHOD URI
 *
 *     METHOD      get, post, put, delete, fetch, patch or ipatch
 *     URI         coap:// or coap+tcp://, an address, :PORT, /PATH, ?QUERY; nothing is unescaped
 *     -e TEXT     the payload; -f FILE reads it
 *     -o FILE     where the last body goes
 *     -t N, -A N  Content-Format and Accept
 *     -E HEX, -M HEX, -I    ETag, If-Match ("" is: if it exists), If-None-Match
 *     -N          non-confirmable
 *     -s N        observe until N representations came, then cancel
 *     -l N        lose every N-th datagram that we send
 *     -w MS       how long to wait; 0 as RFC 7252 has it
 *
 * A line for each thing that happened:
 *
 *     2.05 format 0 etag 0102 max-age 60 bytes 11 observed "hello, peer"
 *     failed 1
 *
 * Status: 0 a 2.xx came, 1 something else, 2 our own trouble.
 */
#include "node.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CSM_MS    5000
#define LINGER_MS 300 /* for the last acknowledgement, and what takes an observation back */

static uint8_t body[NODE_BODY_MAX + 1];
static const char *output;
static unsigned n_wanted;
static coap_id asked;
static struct coap_peer peer;

static void refuse(const char *why) {
        dprintf(STDERR_FILENO, "coap_node ask: %s\n", why);
        _exit(2);
}

/* ---- the command line ---- */

static uint8_t parse_method(const char *s) {
        static const char *const names[] = { "", "get", "post", "put", "delete", "fetch", "patch", "ipatch" };

        for (uint8_t i = 1; s && i < ARRAY_SIZE(names); i++)
                if (strcmp(s, names[i]) == 0)
                        return i;
        refuse("no such method");
        return 0;
}

static void read_file(const char *path, struct coap_ask *ask) {
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t r;

        if (fd < 0)
                node_fail(path);
        for (size_t n = 0; (r = read(fd, body + n, sizeof(body) - n)) > 0; n += (size_t)r)
                ask->payload = span_of(body, n + (size_t)r);
        (void)close(fd);
}

static struct span parse_hex(const char *s, uint8_t *etag) {
        size_t n = strlen(s) / 2;

        if (n > COAP_ETAG_MAX)
                refuse("an ETag has 8 bytes at most");
        for (size_t i = 0; i < n; i++) {
                char digits[3] = { s[2 * i], s[2 * i + 1], 0 };

                etag[i] = (uint8_t)strtoul(digits, NULL, 16);
        }
        return span_of(etag, n);
}

static void parse_address(const char *text, size_t n) {
        char host[64] = "::ffff:";
        bool is_ipv6 = n && text[0] == '[';

        if (n >= sizeof(host) - 7)
                refuse("no such address");
        if (is_ipv6)
                (void)snprintf(host, sizeof(host), "%.*s", (int)n - 2, text + 1);
        else
                (void)snprintf(host + 7, sizeof(host) - 7, "%.*s", (int)n, text);
        if (inet_pton(AF_INET6, host, peer.remote_ip) != 1)
                refuse("no such address");
}

static void parse_uri(const char *uri, struct coap_ask *ask) {
        const char *port, *path, *query;

        peer.stream = strncmp(uri, "coap+tcp://", 11) == 0;
        if (!peer.stream && strncmp(uri, "coap://", 7) != 0)
                refuse("neither coap:// nor coap+tcp://");
        uri += peer.stream ? 11 : 7;
        path = strchrnul(uri, '/');
        port = memrchr(uri, ':', (size_t)(path - uri));
        if (port && memchr(port, ']', (size_t)(path - port)))
                port = NULL;
        peer.remote_port = port ? (uint16_t)atoi(port + 1) : COAP_PORT;
        parse_address(uri, (size_t)((port ? port : path) - uri));
        query = strchrnul(path, '?');
        ask->path = span_of(path, (size_t)(query - path));
        ask->query = span_of_string(*query ? query + 1 : "");
}

static struct coap_ask parse(struct node *n, int argc, char **argv) {
        static uint8_t etag[COAP_ETAG_MAX], match[COAP_ETAG_MAX];
        struct coap_ask ask = COAP_ASK_DEFAULT;
        int o;

        while ((o = getopt(argc, argv, "e:f:o:t:A:E:M:INs:l:w:")) != -1)
                switch (o) {
                case 'e':
                        ask.payload = span_of_string(optarg);
                        break;
                case 'f':
                        read_file(optarg, &ask);
                        break;
                case 'o':
                        output = optarg;
                        break;
                case 't':
                        ask.content_format = atoi(optarg);
                        break;
                case 'A':
                        ask.accept = atoi(optarg);
                        break;
                case 'E':
                        ask.etag = parse_hex(optarg, etag);
                        break;
                case 'M':
                        ask.if_match = parse_hex(optarg, match);
                        break;
                case 'I':
                        ask.if_none_match = true;
                        break;
                case 'N':
                        ask.non_confirmable = true;
                        break;
                case 's':
                        n_wanted = (unsigned)atoi(optarg);
                        break;
                case 'l':
                        n->lose_every = (uint32_t)atoi(optarg);
                        break;
                case 'w':
                        ask.timeout_ms = (uint32_t)atoi(optarg);
                        break;
                default:
                        refuse("see the head of node_ask.c");
                }
        ask.observe = n_wanted > 0;
        ask.method = parse_method(argv[optind]);
        if (!argv[optind + 1])
                refuse("no URI");
        parse_uri(argv[optind + 1], &ask);
        return ask;
}

/* Requests go from the address that answers will come to: the kernel knows which. */
static void find_local_address(struct node *n) {
        struct sockaddr_in6 a = { .sin6_family = AF_INET6, .sin6_port = htons(peer.remote_port) };
        socklen_t n_a = sizeof(a);
        int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);

        memcpy(&a.sin6_addr, peer.remote_ip, 16);
        if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0 ||
            getsockname(fd, (struct sockaddr *)&a, &n_a) < 0)
                node_fail("a way there");
        (void)close(fd);
        memcpy(peer.local_ip, &a.sin6_addr, 16);
        peer.local_port = n->port;
}

/* We ask when the peer has said what it takes: libcoap's server puts no body together whose blocks grow. */
static void await_csm(struct node *n) {
        struct node_connection *c = &n->connections[0];
        struct pollfd fd = { c->fd, POLLIN, 0 };

        node_pump(n);
        if (poll(&fd, 1, CSM_MS) > 0)
                node_stream_readable(n, c);
}

void node_ask_init(struct node *n, int argc, char **argv) {
        struct coap_ask ask = parse(n, argc, argv);

        n->status = 1;
        if (peer.stream) {
                node_stream_connect(n, &peer);
                await_csm(n);
        } else {
                node_open(n, 0);
                find_local_address(n);
        }
        if (coap_endpoint_request(n->ep, node_now_ms(), &peer, &ask, &asked))
                refuse("the endpoint does not take it");
}

/* ---- what came back ---- */

static void print_text(struct span s) {
        char text[101];
        size_t n = ocf_min_size(s.n, sizeof(text) - 1);

        for (size_t i = 0; i < n; i++)
                text[i] = (char)(s.data[i] < ' ' || s.data[i] > '~' ? ' ' : s.data[i]);
        dprintf(STDOUT_FILENO, "\"%.*s\"\n", (int)n, text);
}

static void print_reply(const struct coap_reply *r) {
        dprintf(STDOUT_FILENO, "%u.%02u format %d etag ", r->code >> 5, r->code & 31, r->content_format);
        for (size_t i = 0; i < r->etag.n; i++)
                dprintf(STDOUT_FILENO, "%02x", r->etag.data[i]);
        dprintf(STDOUT_FILENO, "%s max-age %lld bytes %zu %s ", r->etag.n ? "" : "-", (long long)r->max_age_s,
                r->payload.n, r->observed ? "observed" : "alone");
        print_text(r->payload);
}

static void keep(struct span payload) {
        int fd = output ? open(output, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644) : -1;

        if (!output)
                return;
        if (fd < 0)
                node_fail(output);
        while (payload.n) {
                ssize_t r = write(fd, payload.data, payload.n);

                if (r < 0)
                        node_fail(output);
                payload = span_of(payload.data + r, payload.n - (size_t)r);
        }
        (void)close(fd);
}

void node_ask_event(struct node *n, const struct coap_event *e) {
        const struct coap_reply *r = &e->reply;

        if (e->id != asked)
                return;
        if (e->type == COAP_EVENT_FAILED) {
                dprintf(STDOUT_FILENO, "failed %d\n", r->failure);
                n->done = true;
                return;
        }
        print_reply(r);
        keep(r->payload);
        n->status = r->code >> 5 == 2 ? 0 : 1;
        if (!r->more)
                n->done = true;
        else if (--n_wanted == 0) {
                coap_endpoint_cancel(n->ep, node_now_ms(), asked);
                n->until_ms = node_now_ms() + LINGER_MS;
        }
}
