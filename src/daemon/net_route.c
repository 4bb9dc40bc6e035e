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

static int port_of(const struct net *n, uint16_t device, bool secure, const uint8_t ip[16], uint16_t *ret) {
        if (device >= n->n_devices || !n->devices[device].sockets[secure][!ip_is_v4(ip)])
                return -EAFNOSUPPORT;
        *ret = secure ? n->devices[device].ports.coaps : n->devices[device].ports.coap;
        return 0;
}

int net_route(struct net *n, uint16_t device, bool secure, struct coap_peer *peer) {
        struct sockaddr_storage to, from;
        socklen_t n_to = net_socket_address(&to, peer->remote_ip, peer->remote_port, peer->interface);
        socklen_t n_from = sizeof(from);
        uint16_t port;
        int fd, r = port_of(n, device, secure, peer->remote_ip, &peer->local_port);

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
        return port_of(n, device, false, peer->remote_ip, &peer->local_port);
}
