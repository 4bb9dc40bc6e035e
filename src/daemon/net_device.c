#include "base/memory.h"
#include "daemon/net_holder.h"
#include "daemon/net_private.h"
#include "daemon/net_socket.h"
#include "daemon/net_tcp.h"
#include "model/endpoint_text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* ---- endpoints ---- */

static size_t count_used_addresses(const struct net *n) {
        size_t n_addresses = 0;

        LIST_FOR_EACH(i, &n->table.links) {
                const struct link *l = LIST_ENTRY(i, struct link, list);

                if (l->used)
                        n_addresses += l->n_addresses;
        }
        return n_addresses;
}

static bool has_socket(const struct net_device *d, const uint8_t ip[16], bool tcp, bool secure) {
        bool v6 = !ip_is_v4(ip);

        return tcp ? d->listeners[secure][v6] != NULL : d->sockets[secure][v6] != NULL;
}

static uint16_t port_of(const struct net_device *d, bool tcp, bool secure) {
        if (tcp)
                return secure ? d->ports.coaps_tcp : d->ports.coap_tcp;
        return secure ? d->ports.coaps : d->ports.coap;
}

static size_t put_endpoints(const struct net *n, const struct net_device *d, bool tcp, bool secure,
                            struct device_endpoint *ret) {
        size_t n_endpoints = 0;

        LIST_FOR_EACH(i, &n->table.links) {
                const struct link *l = LIST_ENTRY(i, struct link, list);

                for (size_t j = 0; l->used && j < l->n_addresses; j++) {
                        struct device_endpoint *e = &ret[n_endpoints];

                        if (!has_socket(d, l->addresses[j].ip, tcp, secure) || l->addresses[j].deprecated)
                                continue;
                        memcpy(e->ip, l->addresses[j].ip, 16);
                        e->port = port_of(d, tcp, secure);
                        e->interface = l->index;
                        e->tcp = tcp;
                        e->secure = secure;
                        n_endpoints++;
                }
        }
        return n_endpoints;
}

/* In the order in which clients try them: over UDP first, and plain first (security.md 4.9). */
int net_device_rebuild(struct net *n, struct net_device *d) {
        struct device_endpoint *all = ocf_allocate(4 * count_used_addresses(n), sizeof(*all));
        size_t n_endpoints = 0;

        if (!all)
                return -ENOMEM;
        for (unsigned i = 0; i < 4; i++)
                n_endpoints += put_endpoints(n, d, i / 2, i % 2, all + n_endpoints);
        ocf_free(d->endpoints);
        d->endpoints = all;
        d->n_endpoints = n_endpoints;
        return 0;
}

size_t net_endpoints(struct net *n, uint16_t device, const struct device_endpoint **ret) {
        if (device >= n->n_devices)
                return 0;
        *ret = n->devices[device].endpoints;
        return n->devices[device].n_endpoints;
}

/* ---- ports ---- */

/* Each port of each device has a notice of its own: one does not replace another. */
static void tell_taken(struct net *n, uint16_t device, bool secure, uint16_t port, int error,
                       uint16_t instead) {
        char holder[128], text[512], id[32];

        if (error == -EACCES)
                snprintf(text, sizeof(text),
                         "UDP port %u is reserved for root (net.ipv4.ip_unprivileged_port_start), so port %u "
                         "is used and announced instead. Choose a port above 1023.",
                         port, instead);
        else if (port == COAP_PORT || port == COAP_PORT_SECURE)
                snprintf(text, sizeof(text),
                         "UDP port %u is held by %s, so port %u is used and announced instead. Stop that "
                         "program, or set %s=auto in [Network] of ocfd.conf if both shall stay.",
                         port, net_holder_describe(AF_INET, port, holder, sizeof(holder)), instead,
                         secure ? "SecurePort" : "Port");
        else
                snprintf(text, sizeof(text),
                         "UDP port %u is held by %s, so port %u is used and announced instead. Peers that "
                         "know the old port by heart must discover the device again; free the port and "
                         "restart ocfd to have it back.",
                         port, net_holder_describe(AF_INET, port, holder, sizeof(holder)), instead);
        snprintf(id, sizeof(id), "%s", secure ? "SecurePortTaken" : "PortTaken");
        if (device)
                snprintf(id, sizeof(id), "%s-%u", secure ? "SecurePortTaken" : "PortTaken", device);
        n->events.notice(n->events.context, id, text);
}

static int device_take(struct net *n, uint16_t device, bool secure, int fds_take[2]) {
        struct net_device *d = &n->devices[device];
        int r = 0;

        for (int i = 0; i < 2; i++) {
                uint16_t port;

                if (fds_take[i] < 0)
                        continue;
                if (r < 0) {
                        close(fds_take[i]);
                        continue;
                }
                port = net_socket_port(fds_take[i]);
                *(secure ? &d->ports.coaps : &d->ports.coap) = port;
                r = port_new(&d->sockets[secure][i], n, fds_take[i]);
                if (r < 0)
                        continue;
                d->sockets[secure][i]->device = device;
                d->sockets[secure][i]->secure = secure;
        }
        return r;
}

/* Without TCP a device is still one: that it cannot be had is told, and no more. */
static void listen_for(struct net *n, uint16_t device, bool secure, uint16_t port) {
        struct net_device *d = &n->devices[device];
        struct listener **listeners = d->listeners[secure];
        char text[256], id[32];
        int r = net_tcp_listen(n->tcp, device, secure, port, listeners);

        if (r < 0) {
                snprintf(text, sizeof(text),
                         "CoAP over %s does not work: %s. Clients that use %s are served.",
                         secure ? "TLS" : "TCP", strerror(-r), secure ? "DTLS" : "UDP");
                snprintf(id, sizeof(id), device ? "%s-%u" : "%s", secure ? "NoTls" : "NoTcp", device);
                n->events.notice(n->events.context, id, text);
                return;
        }
        port = listener_port(listeners[0] ? listeners[0] : listeners[1]);
        *(secure ? &d->ports.coaps_tcp : &d->ports.coap_tcp) = port;
}

static int open_ports(struct net *n, uint16_t device, bool secure, uint16_t wanted, uint16_t wanted_tcp) {
        int fds[2], r = net_socket_pair(net_socket_unicast, wanted, fds);
        int taken = wanted && (r == -EADDRINUSE || r == -EACCES) ? r : 0;
        uint16_t port;

        /* A port that is free for the one family may not be for the other. */
        for (int i = 0; i < 64 && (r == -EADDRINUSE || (taken && !i)); i++)
                r = net_socket_pair(net_socket_unicast, 0, fds);
        if (r >= 0)
                r = device_take(n, device, secure, fds);
        if (r < 0)
                return r;
        port = port_of(&n->devices[device], false, secure);
        if (n->tcp)
                listen_for(n, device, secure, wanted_tcp ? wanted_tcp : port);
        if (taken)
                tell_taken(n, device, secure, wanted, taken, port);
        return 0;
}

int net_open_device(struct net *n, uint16_t device, const struct net_ports *wanted, struct net_ports *ret) {
        int r;

        if (device >= n->n_devices) {
                if (!ocf_grow((void **)&n->devices, n->n_devices, (size_t)device + 1, sizeof(*n->devices)))
                        return -ENOMEM;
                n->n_devices = (size_t)device + 1;
        }
        r = open_ports(n, device, false, wanted->coap, wanted->coap_tcp);
        if (r >= 0 && n->config.secure)
                r = open_ports(n, device, true, wanted->coaps, wanted->coaps_tcp);
        if (r >= 0 && n->started)
                r = net_device_rebuild(n, &n->devices[device]);
        if (r < 0)
                return r;
        *ret = n->devices[device].ports;
        return 0;
}
