#include "base/memory.h"
#include "daemon/net_socket.h"
#include "daemon/net_tcp.h"
#include "model/endpoint_text.h"

#include <errno.h>
#include <string.h>

/*
 * Connections that we begin. The peer's answer is awaited in the loop, for as
 * long as the caller has patience; from then on they are like those that came to
 * us.
 */

/* By which interface it goes: the one that has our address of it; 0: none has it any more. */
static uint32_t interface_of(const struct net *n, const uint8_t ip[16]) {
        for (size_t i = 0; i < n->n_held; i++)
                if (memcmp(n->held[i].ip, ip, 16) == 0)
                        return n->held[i].interface;
        return 0;
}

/* What is known of it now. Return: 0 or errno. */
static int fill_in(struct connection *c) {
        struct net *n = c->tcp->net;
        struct coap_peer peer;
        uint32_t interface;

        if (!net_socket_connected(c->fd, &peer, &interface))
                return ENOTCONN;
        interface = ip_is_link_local(peer.remote_ip) ? c->peer.interface : interface_of(n, peer.local_ip);
        if (!net_hears(n, interface))
                return ENETUNREACH;
        peer.device = c->peer.device;
        peer.channel = c->peer.channel;
        if (ip_is_link_local(peer.remote_ip) || ip_is_link_local(peer.local_ip))
                peer.interface = interface;
        c->peer = peer;
        c->interface = interface;
        return 0;
}

void connection_connected(struct connection *c, int status) {
        const struct net_events *events = &c->tcp->net->events;
        int error = net_socket_error(c->fd); /* libuv's status does not say which one */
        struct coap_peer peer;

        if (!error && status < 0)
                error = -status;
        if (!error)
                error = fill_in(c);
        peer = c->peer;
        if (error) {
                connection_drop(c, true);
                (void)events->stream_connected(events->context, &peer, error);
                return;
        }
        c->state = CONNECTION_OPEN;
        if (events->stream_connected(events->context, &peer, 0) || c->state != CONNECTION_OPEN)
                return;
        c->state = CONNECTION_SHUT; /* there is nobody to tell */
        connection_drop(c, true);
}

int net_connect(struct net *n, uint16_t device, bool secure, struct coap_peer *peer) {
        struct connection *c;
        int fd, r;

        if (!n->tcp || device >= n->n_devices)
                return -EAFNOSUPPORT;
        if (!net_tcp_make_room(n->tcp))
                return -ENOBUFS;
        fd = net_socket_connect(peer->remote_ip, peer->remote_port, peer->interface);
        if (fd < 0)
                return fd;
        r = connection_new(&c, n->tcp, fd);
        if (r < 0)
                return r;
        peer->device = device;
        peer->stream = true;
        c->peer = *peer;
        c->secure = secure;
        c->interface = peer->interface;
        net_tcp_enter(n->tcp, c);
        *peer = c->peer;
        connection_start(c);
        return 0;
}
