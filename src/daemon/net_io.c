#include "base/memory.h"
#include "daemon/net_private.h"
#include "daemon/net_socket.h"
#include "daemon/net_tcp.h"
#include "model/endpoint_text.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* ---- receiving ---- */

/* A datagram from an interface that we leave alone is not for us; over the loopback this machine talks to
 * itself. */
bool net_hears(const struct net *n, uint32_t interface) {
        const struct link *l = link_table_find(&n->table, interface);

        return l && (l->loopback || l->used);
}

static bool is_group_address(const uint8_t ip[16]) {
        return ip_is_v4(ip) ? (ip[12] & 0xf0) == 0xe0 : ip[0] == 0xff;
}

static bool is_unspecified(const uint8_t ip[16]) {
        static const uint8_t none[16];

        return memcmp(ip, none, 16) == 0 || (ip_is_v4(ip) && memcmp(ip + 12, none, 4) == 0);
}

static unsigned common_bits(const uint8_t a[16], const uint8_t b[16]) {
        unsigned i = 0;

        while (i < 128 && !((a[i / 8] ^ b[i / 8]) & (0x80 >> i % 8)))
                i++;
        return i;
}

/* How good it is to answer this peer from this address: one that stays, as local as the peer, and near it
 * (RFC 6724, 5). */
static unsigned rate(const struct link_address *a, const uint8_t remote[16]) {
        return (a->deprecated ? 0u : 1024u) +
               (ip_is_link_local(a->ip) == ip_is_link_local(remote) ? 512u : 0u) + common_bits(a->ip, remote);
}

/* From which address of the interface we answer what came to a group; NULL: it has none of this family. */
static const uint8_t *answer_from(const struct net *n, uint32_t interface, const uint8_t remote[16]) {
        const struct link *l = link_table_find(&n->table, interface);
        const struct link_address *best = NULL;

        for (size_t i = 0; l && i < l->n_addresses; i++)
                if (ip_is_v4(l->addresses[i].ip) == ip_is_v4(remote) &&
                    (!best || rate(&l->addresses[i], remote) > rate(best, remote)))
                        best = &l->addresses[i];
        return best ? best->ip : NULL;
}

/* Of a network that this interface is in? A spoofed address of one would not get past a router. */
static unsigned via_link(const struct net *n, uint32_t interface, const uint8_t *ip) {
        const struct link *l = link_table_find(&n->table, interface);

        if (ip_is_link_local(ip))
                return COAP_VIA_ON_LINK;
        for (size_t i = 0; l && i < l->n_addresses; i++)
                if (link_address_covers(&l->addresses[i], ip))
                        return COAP_VIA_ON_LINK;
        return 0;
}

static void tell_unicast(struct net *n, struct port *p, struct coap_peer *peer, uint32_t interface,
                         uint8_t *data, size_t n_data) {
        unsigned via;

        peer->device = p->device;
        peer->local_port = p->fresh    ? n->devices[p->device].fresh_port
                           : p->secure ? n->devices[p->device].ports.coaps
                                       : n->devices[p->device].ports.coap;
        if (ip_is_link_local(peer->remote_ip) || ip_is_link_local(peer->local_ip))
                peer->interface = interface;
        via = via_link(n, interface, peer->remote_ip);
        if (p->secure)
                n->events.secure_datagram(n->events.context, peer, via, data, n_data);
        else
                n->events.datagram(n->events.context, peer, via, span_of(data, n_data));
}

/* To each device, as if it alone had been asked. */
static void tell_multicast(struct net *n, struct coap_peer *peer, uint32_t interface, struct span data) {
        const uint8_t *from = answer_from(n, interface, peer->remote_ip);

        if (!from) {
                n->counts.n_dropped++;
                return;
        }
        memcpy(peer->local_ip, from, 16);
        peer->interface = interface;
        for (size_t i = 0; i < n->n_devices; i++) {
                if (!n->devices[i].sockets[0][!ip_is_v4(from)])
                        continue;
                peer->device = (uint16_t)i;
                peer->local_port = n->devices[i].ports.coap;
                n->events.datagram(n->events.context, peer,
                                   COAP_VIA_MULTICAST | via_link(n, interface, peer->remote_ip), data);
        }
}

static void take(struct net *n, struct port *p, struct mmsghdr *m, const struct sockaddr_storage *from,
                 uint8_t *bytes) {
        struct coap_peer peer = { 0 };
        uint32_t interface = 0;
        bool is_good = net_socket_parse(from, peer.remote_ip, &peer.remote_port) &&
                       net_socket_destination(&m->msg_hdr, peer.local_ip, &interface);

        if (is_good && p->is_group && p->interface != interface)
                return; /* the kernel tells IPv6 groups by address alone: another socket of ours has it too */
        n->counts.n_received++;
        if (!is_good || m->msg_hdr.msg_flags & MSG_TRUNC || !peer.remote_port ||
            is_group_address(peer.remote_ip) || is_unspecified(peer.remote_ip) || !net_hears(n, interface) ||
            p->is_group != is_group_address(peer.local_ip)) {
                n->counts.n_dropped++;
                return;
        }
        if (p->is_group)
                tell_multicast(n, &peer, interface, span_of(bytes, m->msg_len));
        else
                tell_unicast(n, p, &peer, interface, bytes, m->msg_len);
}

/* Reads one batch; the loop comes back if there is more, and the others have their turn. */
static void receive(struct net *n, struct port *p) {
        struct mmsghdr messages[NET_BATCH];
        struct iovec iov[NET_BATCH];
        struct sockaddr_storage from[NET_BATCH];
        uint8_t control[NET_BATCH][128] __attribute__((aligned(16)));
        int n_messages;

        for (size_t i = 0; i < NET_BATCH; i++) {
                iov[i] = (struct iovec){ n->in[i], NET_DATAGRAM_MAX };
                messages[i] = (struct mmsghdr){ .msg_hdr = { .msg_name = &from[i],
                                                             .msg_namelen = sizeof(from[i]),
                                                             .msg_iov = &iov[i],
                                                             .msg_iovlen = 1,
                                                             .msg_control = control[i],
                                                             .msg_controllen = sizeof(control[i]) } };
        }
        n_messages = recvmmsg(p->fd, messages, NET_BATCH, MSG_DONTWAIT, NULL);
        for (int i = 0; i < n_messages; i++)
                take(n, p, &messages[i], &from[i], n->in[i]);
        if (n_messages > 0)
                n->events.received(n->events.context);
}

/* ---- sending ---- */

static void port_poll(struct port *p);

static void on_port(uv_poll_t *poll, int status, int events) {
        struct port *p = OCF_CONTAINER_OF(poll, struct port, poll);

        if (events & UV_READABLE || status < 0)
                receive(p->net, p);
        if (events & UV_WRITABLE ||
            status < 0) { /* an error is over once it is read, but libuv has stopped */
                p->wants_write = false;
                port_poll(p);
                net_flush(p->net);
        }
}

static void port_poll(struct port *p) {
        (void)uv_poll_start(&p->poll, UV_READABLE | (p->wants_write ? UV_WRITABLE : 0), on_port);
}

static bool is_fresh(const struct net_device *d, const struct coap_peer *peer) {
        return d->fresh_port && !peer->stream && peer->local_port == d->fresh_port;
}

bool net_port_is_secure(const struct net *n, const struct coap_peer *peer) {
        const struct net_device *d = peer->device < n->n_devices ? &n->devices[peer->device] : NULL;

        if (peer->stream)
                return n->tcp && net_tcp_is_secure(n->tcp, peer);
        return d && (is_fresh(d, peer) || peer->local_port == d->ports.coaps);
}

static struct port *port_for(struct net *n, const struct coap_peer *to) {
        if (to->device >= n->n_devices)
                return NULL;
        if (is_fresh(&n->devices[to->device], to))
                return n->devices[to->device].fresh[!coap_peer_is_ipv4(to)];
        return n->devices[to->device].sockets[net_port_is_secure(n, to)][!coap_peer_is_ipv4(to)];
}

static void drop_out(struct net *n, size_t n_done) {
        n->n_out -= n_done;
        memmove(n->out, n->out + n_done, n->n_out * sizeof(*n->out));
}

/* Sends those at the front that leave through one socket. Return: false when it is full. */
static bool send_some(struct net *n) {
        struct mmsghdr messages[NET_BATCH];
        struct iovec iov[NET_BATCH];
        struct sockaddr_storage to[NET_BATCH];
        uint8_t control[NET_BATCH][NET_CONTROL_MAX] __attribute__((aligned(16)));
        struct port *p = port_for(n, &n->out[0].to);
        size_t n_messages = 0;
        int r;

        if (!p) {
                n->counts.n_send_errors++;
                drop_out(n, 1);
                return true;
        }
        if (p->wants_write)
                return false;
        while (n_messages < n->n_out && port_for(n, &n->out[n_messages].to) == p) {
                struct pending_message *m = &n->out[n_messages];
                socklen_t n_to = net_socket_address(&to[n_messages], m->to.remote_ip, m->to.remote_port,
                                                    m->to.interface);

                iov[n_messages] = (struct iovec){ m->bytes, m->n };
                messages[n_messages] = (struct mmsghdr){ .msg_hdr = { .msg_name = &to[n_messages],
                                                                      .msg_namelen = n_to,
                                                                      .msg_iov = &iov[n_messages],
                                                                      .msg_iovlen = 1 } };
                net_socket_set_source(&messages[n_messages].msg_hdr, control[n_messages], &m->to);
                n_messages++;
        }
        r = sendmmsg(p->fd, messages, (unsigned)n_messages, MSG_DONTWAIT);
        if (r < 0 && errno == EAGAIN) {
                p->wants_write = true;
                port_poll(p);
                return false;
        }
        if (r < 0) { /* the first one cannot be sent: its way is gone, or a firewall says no */
                n->counts.n_send_errors++;
                r = 1;
        } else {
                n->counts.n_sent += (uint64_t)r;
        }
        drop_out(n, (size_t)r);
        return true;
}

/* Return: false when there is no more. */
static bool fetch(struct net *n) {
        struct pending_message *m = &n->out[n->n_out];
        struct coap_peer to;
        size_t n_message = n->events.next(n->events.context, &to, n->message, NET_MESSAGE_MAX);

        if (!n_message)
                return false;
        if (to.stream && n->tcp) {
                net_tcp_put(n->tcp, &to, span_of(n->message, n_message));
        } else if (to.stream || n_message > sizeof(m->bytes)) {
                n->counts.n_send_errors++;
        } else {
                m->to = to;
                m->n = n_message;
                memcpy(m->bytes, n->message, n_message);
                n->n_out++;
        }
        return true;
}

static void on_more(uv_idle_t *more) {
        uv_idle_stop(more);
        net_flush(more->data);
}

/*
 * Ten thousand notifications in one go would bring ten thousand acknowledgements
 * while nobody reads: a socket holds some hundreds. So the loop turns in between.
 */
bool net_collect(struct net *n) {
        uint64_t n_before = n->counts.n_sent;

        for (;;) {
                bool is_all = false;

                if (n->counts.n_sent - n_before >= NET_TURN) {
                        uv_idle_start(&n->more, on_more);
                        return false;
                }
                while (n->n_out < NET_BATCH && !is_all)
                        is_all = !fetch(n);
                if (!n->n_out)
                        return true;
                if (!send_some(n))
                        return false;
        }
}

void net_flush(struct net *n) {
        bool is_all = net_collect(n);

        if (!n->tcp)
                return;
        net_tcp_write(n->tcp, is_all);
        while (net_tcp_resume(n->tcp)) {
                is_all = net_collect(n);
                net_tcp_write(n->tcp, is_all);
        }
}

/* ---- ports ---- */

static void on_port_closed(uv_handle_t *handle) {
        struct port *p = OCF_CONTAINER_OF(handle, struct port, poll);

        ocf_free(p);
}

void port_close(struct port *p) {
        if (!p)
                return;
        list_unlink(&p->link);
        uv_poll_stop(&p->poll);
        close(p->fd);
        uv_close((uv_handle_t *)&p->poll, on_port_closed);
}

/* Takes the descriptor. */
int port_new(struct port **ret, struct net *n, int fd_take) {
        struct port *p = ocf_new(struct port);
        int r;

        if (!p) {
                close(fd_take);
                return -ENOMEM;
        }
        list_init(&p->link);
        p->net = n;
        p->fd = fd_take;
        r = uv_poll_init(n->loop, &p->poll, p->fd);
        if (r < 0) {
                close(p->fd);
                ocf_free(p);
                return r;
        }
        port_poll(p);
        *ret = p;
        return 0;
}
