/*
 * Connections: bytes in, bytes out, and who is at the other end.
 */
#include "node.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct node_connection *find(struct node *n, const struct coap_peer *peer) {
        for (size_t i = 0; i < NODE_CONNECTIONS; i++)
                if (n->connections[i].fd >= 0 && n->connections[i].peer.channel == peer->channel)
                        return &n->connections[i];
        return NULL;
}

static struct node_connection *free_place(struct node *n) {
        for (size_t i = 0; i < NODE_CONNECTIONS; i++)
                if (n->connections[i].fd < 0)
                        return &n->connections[i];
        return NULL;
}

static void drop(struct node *n, struct node_connection *c) {
        const struct coap_peer peer = c->peer;

        (void)close(c->fd);
        c->fd = -1;
        coap_endpoint_stream_closed(n->ep, node_now_ms(), &peer);
}

/* ---- it begins ---- */

static bool begin(struct node *n, int fd, const struct sockaddr_in6 *remote, struct coap_peer *ret_peer) {
        struct node_connection *c = free_place(n);
        struct sockaddr_in6 local;
        socklen_t n_local = sizeof(local);

        if (!c || getsockname(fd, (struct sockaddr *)&local, &n_local) < 0)
                return false;
        c->peer = (struct coap_peer){ .channel = ++n->n_channels,
                                      .stream = true,
                                      .remote_port = ntohs(remote->sin6_port),
                                      .local_port = ntohs(local.sin6_port) };
        memcpy(c->peer.remote_ip, &remote->sin6_addr, 16);
        memcpy(c->peer.local_ip, &local.sin6_addr, 16);
        if (coap_endpoint_stream_open(n->ep, node_now_ms(), &c->peer))
                return false;
        c->fd = fd;
        c->closing = false;
        c->n_unread = c->n_unsent = 0;
        *ret_peer = c->peer;
        return true;
}

void node_stream_accept(struct node *n) {
        struct sockaddr_in6 remote;
        struct coap_peer peer;
        socklen_t n_remote = sizeof(remote);
        int fd = accept4(n->tcp, (struct sockaddr *)&remote, &n_remote, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd >= 0 && !begin(n, fd, &remote, &peer))
                (void)close(fd);
        node_pump(n);
}

void node_stream_connect(struct node *n, struct coap_peer *peer) {
        struct sockaddr_in6 a = { .sin6_family = AF_INET6, .sin6_port = htons(peer->remote_port) };
        int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);

        memcpy(&a.sin6_addr, peer->remote_ip, 16);
        if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || !begin(n, fd, &a, peer))
                node_fail("connect");
}

/* ---- in ---- */

/* As far as the endpoint has room for answers; the rest waits in our buffer, and so at the peer. */
static void hand_over(struct node *n, struct node_connection *c) {
        while (c->fd >= 0 && c->n_unread) {
                size_t r = coap_endpoint_stream_receive(n->ep, node_now_ms(), &c->peer,
                                                        span_of(c->unread, c->n_unread));

                c->n_unread -= r;
                memmove(c->unread, c->unread + r, c->n_unread);
                node_pump(n);
                if (!r)
                        return;
        }
}

void node_stream_readable(struct node *n, struct node_connection *c) {
        ssize_t r;

        hand_over(n, c);
        if (c->fd < 0 || c->n_unread == sizeof(c->unread))
                return;
        r = recv(c->fd, c->unread + c->n_unread, sizeof(c->unread) - c->n_unread, MSG_DONTWAIT);
        if (r < 0 && errno == EAGAIN)
                return;
        if (r <= 0) {
                drop(n, c);
                node_pump(n);
                return;
        }
        c->n_unread += (size_t)r;
        hand_over(n, c);
}

/* ---- out ---- */

void node_stream_writable(struct node *n, struct node_connection *c) {
        ssize_t r;

        if (c->fd < 0)
                return;
        r = c->n_unsent ? send(c->fd, c->unsent, c->n_unsent, MSG_DONTWAIT | MSG_NOSIGNAL) : 0;
        if (r > 0) {
                c->n_unsent -= (size_t)r;
                memmove(c->unsent, c->unsent + r, c->n_unsent);
        }
        if (r < 0 && errno != EAGAIN)
                drop(n, c);
}

void node_stream_close(struct node *n, const struct coap_peer *peer) {
        struct node_connection *c = find(n, peer);

        if (c)
                c->closing = true; /* what transmit() still has for it goes first */
}

void node_stream_reap(struct node *n) {
        for (size_t i = 0; i < NODE_CONNECTIONS; i++)
                if (n->connections[i].fd >= 0 && n->connections[i].closing && !n->connections[i].n_unsent)
                        drop(n, &n->connections[i]);
}

void node_stream_send(struct node *n, const struct coap_peer *to, struct span message) {
        struct node_connection *c = find(n, to);

        if (!c)
                return;
        if (message.n > sizeof(c->unsent) - c->n_unsent) {
                drop(n, c);
                return;
        }
        memcpy(c->unsent + c->n_unsent, message.data, message.n);
        c->n_unsent += message.n;
        node_stream_writable(n, c);
}
