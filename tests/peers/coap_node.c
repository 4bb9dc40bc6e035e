/*
 * Whom the other implementations of CoAP meet: our endpoint, and a poll() loop.
 *
 *     coap_node serve [-p PORT] [-f] [-b SZX] [-l N]    a server; UDP and TCP, IPv4 and IPv6
 *     coap_node ask [OPTIONS] METHOD URI                a client, see node_ask.c
 *     coap_node size                                    what the endpoint needs
 *
 * -f treats everybody as from another network, who has to show first that he is
 * there; -b is the size of our blocks; -l loses every N-th datagram that we send.
 * All memory is static.
 */
#include "node.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

/* A few peers with bodies of 1 MiB each: what a small device would have is far below. */
static const struct coap_limits limits = {
        .n_exchanges = 256,
        .n_exchanges_per_peer = 256,
        .n_observers = 64,
        .n_observers_per_peer = 32,
        .n_observed = 8,
        .n_peers = 256,
        .n_unacknowledged = 128,
        .n_delayed = 8,
        .n_asks = 16,
        .n_streams = NODE_CONNECTIONS,
        .n_seen = 256,
        .n_addresses = 64,
        .n_pages = 32768,
        .n_pages_per_peer = 32768,
        .n_outgoing = 64 * 1024,
        .n_stream_message = 16 * 1024,
        .n_body = NODE_BODY_MAX,
};

static _Alignas(max_align_t) uint8_t memory[NODE_MEMORY];
static struct node node = { .udp = -1, .tcp = -1, .until_ms = OCF_NEVER };

uint64_t node_now_ms(void) {
        struct timespec t;

        (void)clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

void node_fail(const char *what) {
        dprintf(STDERR_FILENO, "coap_node: %s: %s\n", what, strerror(errno));
        _exit(1);
}

static uint32_t draw(void *context) {
        uint32_t v;

        if (getrandom(&v, sizeof(v), 0) != sizeof(v))
                node_fail("getrandom");
        return v;
}

/* ---- the endpoint ---- */

static size_t each(uint32_t *limit, const struct coap_limits *l) {
        size_t before = coap_endpoint_size(l), n = *limit;

        *limit *= 2; /* powers of two, since hashes grow by them */
        return (coap_endpoint_size(l) - before) / n;
}

static void print_sizes(void) {
        struct coap_limits exchanges = limits, observers = limits, pages = limits;

        dprintf(STDOUT_FILENO, "size: endpoint %zu of %zu, exchange %zu, observer %zu, page %zu\n",
                coap_endpoint_size(&limits), sizeof(memory), each(&exchanges.n_exchanges, &exchanges),
                each(&observers.n_observers, &observers), each(&pages.n_pages, &pages));
}

static void make_endpoint(uint32_t szx) {
        struct coap_config config = coap_config_default;

        config.limits = limits;
        config.random = draw;
        config.block_szx = szx;
        if (coap_endpoint_size(&limits) > sizeof(memory)) {
                errno = ENOMEM;
                node_fail("the endpoint");
        }
        node.ep = coap_endpoint_init(memory, &config);
}

/* ---- the loop ---- */

static void happens(struct node *n, const struct coap_event *e) {
        switch (e->type) {
        case COAP_EVENT_REQUEST:
        case COAP_EVENT_NOTIFY:
                node_serve_request(n, e);
                return;
        case COAP_EVENT_RESPONSE:
        case COAP_EVENT_FAILED:
                node_ask_event(n, e);
                return;
        case COAP_EVENT_CLOSE:
                node_stream_close(n, &e->peer);
                return;
        case COAP_EVENT_NONE:
                return;
        }
}

void node_pump(struct node *n) {
        static uint8_t buf[COAP_TRANSMIT_MAX];
        struct coap_event e;
        struct coap_peer to;
        size_t n_message;
        bool again;

        do {
                again = false;
                while (coap_endpoint_event(n->ep, node_now_ms(), &e)) {
                        happens(n, &e);
                        again = true;
                }
                while ((n_message = coap_endpoint_transmit(n->ep, node_now_ms(), &to, buf, sizeof(buf)))) {
                        if (to.stream)
                                node_stream_send(n, &to, span_of(buf, n_message));
                        else
                                node_send(n, &to, span_of(buf, n_message));
                        again = true;
                }
        } while (again);
        node_stream_reap(n);
}

static int wait_for(struct node *n, struct pollfd *fds, uint64_t due_ms) {
        uint64_t now_ms = node_now_ms(), wait_ms = due_ms > now_ms ? due_ms - now_ms : 0;

        fds[0] = (struct pollfd){ n->udp, POLLIN, 0 };
        fds[1] = (struct pollfd){ n->tcp, POLLIN, 0 };
        for (size_t i = 0; i < NODE_CONNECTIONS; i++) {
                const struct node_connection *c = &n->connections[i];

                fds[2 + i] = (struct pollfd){ c->fd, (short)(c->n_unsent ? POLLIN | POLLOUT : POLLIN), 0 };
        }
        return poll(fds, 2 + NODE_CONNECTIONS, (int)ocf_min_u64(wait_ms, 60000));
}

static void run(struct node *n) {
        struct pollfd fds[2 + NODE_CONNECTIONS];

        for (;;) {
                uint64_t due_ms = ocf_min_u64(n->until_ms, node_serve_due(n, node_now_ms()));

                node_pump(n);
                if (n->done || n->until_ms <= node_now_ms())
                        return;
                if (wait_for(n, fds, ocf_min_u64(due_ms, coap_endpoint_deadline(n->ep))) < 0)
                        node_fail("poll");
                if (fds[0].revents)
                        node_receive(n);
                if (fds[1].revents)
                        node_stream_accept(n);
                for (size_t i = 0; i < NODE_CONNECTIONS; i++) {
                        if (fds[2 + i].revents & POLLOUT)
                                node_stream_writable(n, &n->connections[i]);
                        if (fds[2 + i].revents & (POLLIN | POLLHUP | POLLERR))
                                node_stream_readable(n, &n->connections[i]);
                }
        }
}

static void usage(void) {
        dprintf(STDERR_FILENO, "usage: coap_node serve [-p PORT] [-f] [-b SZX] [-l N]\n"
                               "       coap_node ask [OPTIONS] METHOD URI\n"
                               "       coap_node size\n");
        _exit(2);
}

static void serve(int argc, char **argv) {
        uint16_t port = COAP_PORT;
        uint32_t szx = 6;
        int o;

        while ((o = getopt(argc, argv, "p:fb:l:")) != -1) {
                if (o == 'p')
                        port = (uint16_t)atoi(optarg);
                else if (o == 'b')
                        szx = (uint32_t)atoi(optarg);
                else if (o == 'l')
                        node.lose_every = (uint32_t)atoi(optarg);
                else if (o == 'f')
                        node.far = true;
                else
                        usage();
        }
        make_endpoint(szx);
        node_open(&node, port);
        node_listen(&node);
        node_serve_init(node_now_ms());
        print_sizes();
        dprintf(STDOUT_FILENO, "ready on port %u\n", node.port);
}

int main(int argc, char **argv) {
        for (size_t i = 0; i < NODE_CONNECTIONS; i++)
                node.connections[i].fd = -1;
        (void)signal(SIGPIPE, SIG_IGN);
        if (argc >= 2 && strcmp(argv[1], "serve") == 0) {
                serve(argc - 1, argv + 1);
        } else if (argc >= 3 && strcmp(argv[1], "ask") == 0) {
                make_endpoint(6);
                node_ask_init(&node, argc - 1, argv + 1);
        } else if (argc == 2 && strcmp(argv[1], "size") == 0) {
                print_sizes();
                return 0;
        } else {
                usage();
        }
        run(&node);
        return node.status;
}
