#include "daemon/net_private.h"
#include "daemon/net_socket.h"
#include "model/endpoint_text.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/*
 * The way out: which address of ours a peer will see. The kernel knows, and
 * tells whoever connects a socket; nothing is sent.
 */

/* Opened when it is first wanted, and kept as long as we run. */
static int open_fresh(struct net *n, uint16_t device) {
        struct net_device *d = &n->devices[device];
        int fds[2], r;

        if (d->fresh_port)
                return 0;
        r = net_socket_pair(net_socket_unicast, 0, fds);
        for (int i = 0; i < 64 && r == -EADDRINUSE; i++) /* free for the one family, and not for the other */
                r = net_socket_pair(net_socket_unicast, 0, fds);
        for (int i = 0; r >= 0 && i < 2; i++) {
                if (fds[i] < 0)
                        continue;
                d->fresh_port = net_socket_port(fds[i]);
                r = port_new(&d->fresh[i], n, fds[i]);
                if (r < 0)
                        break;
                d->fresh[i]->device = device;
                d->fresh[i]->secure = d->fresh[i]->fresh = true;
        }
        return r < 0 ? r : 0;
}

static int port_of(struct net *n, uint16_t device, enum net_way way, const uint8_t ip[16], uint16_t *ret) {
        const struct net_device *d = &n->devices[device];
        bool v6 = !ip_is_v4(ip);
        const struct port *p = NULL;
        int r;

        if (device >= n->n_devices)
                return -EAFNOSUPPORT;
        switch (way) {
        case NET_CLEAR:
                p = d->sockets[0][v6];
                *ret = d->ports.coap;
                break;
        case NET_SECURE:
                p = d->sockets[1][v6];
                *ret = d->ports.coaps;
                break;
        case NET_FRESH:
                r = open_fresh(n, device);
                if (r < 0)
                        return r;
                p = d->fresh[v6];
                *ret = d->fresh_port;
                break;
        }
        return p ? 0 : -EAFNOSUPPORT;
}

int net_route(struct net *n, uint16_t device, enum net_way way, struct coap_peer *peer) {
        struct sockaddr_storage to, from;
        socklen_t n_to = net_socket_address(&to, peer->remote_ip, peer->remote_port, peer->interface);
        socklen_t n_from = sizeof(from);
        uint16_t port;
        int fd, r = port_of(n, device, way, peer->remote_ip, &peer->local_port);

        if (r < 0)
                return r;
        peer->device = device;
        fd = socket(to.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
                return -errno;
        if (connect(fd, (struct sockaddr *)&to, n_to) < 0 ||
            getsockname(fd, (struct sockaddr *)&from, &n_from) < 0)
                r = -errno;
        else if (!net_socket_parse(&from, peer->local_ip, &port))
                r = -EAFNOSUPPORT;
        close(fd);
        if (!r && !ip_is_link_local(peer->remote_ip) && !ip_is_link_local(peer->local_ip))
                peer->interface = 0; /* as what comes back has it */
        return r;
}

int net_group_route(struct net *n, uint16_t device, struct coap_peer *peer) {
        peer->device = device;
        memset(peer->local_ip, 0, 16);
        if (ip_is_v4(peer->remote_ip))
                memset(peer->local_ip + 10, 0xff, 2);
        return port_of(n, device, NET_CLEAR, peer->remote_ip, &peer->local_port);
}
