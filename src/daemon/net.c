#include "daemon/net.h"
#include "base/memory.h"
#include "daemon/net_holder.h"
#include "daemon/net_link.h"
#include "daemon/net_policy.h"
#include "daemon/net_socket.h"
#include "model/endpoint_text.h"
#include "protocol/coap_code.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define BATCH          32
#define DATAGRAM_MAX   4096 /* longer ones are dropped whole: no request of ours is so long */
#define DEBOUNCE_MS    200  /* interfaces flap: look again when they have calmed down */
#define GROUP_RETRY_MS 30000

/* A socket in the loop: of a device, or of a group on one interface. */
struct port {
        uv_poll_t poll;
        struct list link; /* of net.groups, for group sockets */
        struct net *net;
        int fd;
        bool wants_write;
        bool is_group;
        size_t i_group;     /* which of net_groups */
        uint32_t interface; /* of a group socket */
};

struct net_device {
        struct port *ports[2]; /* IPv4, IPv6; NULL: the host has no such family */
        uint16_t port;
        struct device_endpoint *endpoints;
        size_t n_endpoints;
};

struct net {
        uv_loop_t *loop;
        struct net_config config;
        struct net_events events;
        struct link_table table;
        struct link_watch *watch;
        struct net_device *devices;
        size_t n_devices;
        struct list groups;
        struct net_interface *interfaces;
        size_t n_interfaces;
        uv_timer_t debounce, retry;
        unsigned n_timers; /* not closed yet */
        bool started, groups_failed;
        struct net_counts counts;
        struct pending_message {
                struct coap_peer to;
                size_t n;
                uint8_t bytes[COAP_MESSAGE_MAX];
        } * out; /* BATCH of them: taken from next(), not yet sent */
        size_t n_out;
        uint8_t (*in)[DATAGRAM_MAX];
};

/* ---- what is used ---- */

static const char *decide(const struct net *n, const struct link *l) {
        return net_policy_decide(&(struct net_policy_question){
                .name = l->name,
                .kind = l->kind,
                .up = l->up,
                .running = l->running,
                .loopback = l->loopback,
                .has_address = l->n_addresses,
                .allow = n->config.interfaces,
                .n_allow = n->config.n_interfaces,
                .deny = n->config.deny,
                .n_deny = n->config.n_deny,
        });
}

static bool is_used(const struct net *n, const struct link *l) {
        return !*decide(n, l);
}

/* A datagram from an interface that we leave alone is not for us; over the loopback this machine talks to
 * itself. */
static bool is_heard(const struct net *n, uint32_t interface) {
        const struct link *l = link_table_find(&n->table, interface);

        return l && (l->loopback || is_used(n, l));
}

/* ---- receiving ---- */

static bool is_group_address(const uint8_t ip[16]) {
        return ip_is_v4(ip) ? (ip[12] & 0xf0) == 0xe0 : ip[0] == 0xff;
}

static bool is_unspecified(const uint8_t ip[16]) {
        static const uint8_t none[16];

        return memcmp(ip, none, 16) == 0 || (ip_is_v4(ip) && memcmp(ip + 12, none, 4) == 0);
}

/* From which address of the interface we answer what came to a group: as local as the one who asked. */
static const uint8_t *answer_from(const struct net *n, uint32_t interface, const uint8_t remote[16]) {
        const struct link *l = link_table_find(&n->table, interface);
        const uint8_t *best = NULL;

        for (size_t i = 0; l && i < l->n_addresses; i++) {
                const uint8_t *ip = l->addresses[i].ip;

                if (ip_is_v4(ip) != ip_is_v4(remote))
                        continue;
                if (!best || ip_is_link_local(ip) == ip_is_link_local(remote)) {
                        if (best && ip_is_link_local(best) == ip_is_link_local(remote))
                                continue; /* the first one that fits */
                        best = ip;
                }
        }
        return best;
}

static uint16_t device_of(const struct net *n, const struct port *p) {
        for (size_t i = 0; i < n->n_devices; i++)
                if (n->devices[i].ports[0] == p || n->devices[i].ports[1] == p)
                        return (uint16_t)i;
        return 0;
}

static void tell(struct net *n, struct port *p, struct coap_peer *peer, uint32_t interface,
                 struct span data) {
        const uint8_t *from;

        if (!p->is_group) {
                peer->device = device_of(n, p);
                peer->local_port = n->devices[peer->device].port;
                peer->interface =
                        ip_is_link_local(peer->remote_ip) && !ip_is_v4(peer->remote_ip) ? interface : 0;
                n->events.datagram(n->events.context, peer, false, data);
                return;
        }
        from = answer_from(n, interface, peer->remote_ip);
        if (!from) {
                n->counts.n_dropped++;
                return;
        }
        memcpy(peer->local_ip, from, 16);
        peer->interface = interface;
        for (size_t i = 0; i < n->n_devices; i++) {
                peer->device = (uint16_t)i;
                peer->local_port = n->devices[i].port;
                n->events.datagram(n->events.context, peer, true, data);
        }
}

static void take(struct net *n, struct port *p, struct mmsghdr *m, const struct sockaddr_storage *from,
                 uint8_t *bytes) {
        struct coap_peer peer = { 0 };
        uint32_t interface = 0;

        n->counts.n_received++;
        if (m->msg_hdr.msg_flags & MSG_TRUNC || !net_socket_parse(from, peer.remote_ip, &peer.remote_port) ||
            !net_socket_destination(&m->msg_hdr, peer.local_ip, &interface) || !peer.remote_port ||
            is_group_address(peer.remote_ip) || is_unspecified(peer.remote_ip) || !is_heard(n, interface) ||
            (p->is_group && p->interface != interface) || (!p->is_group && is_group_address(peer.local_ip))) {
                n->counts.n_dropped++;
                return;
        }
        tell(n, p, &peer, interface, span_of(bytes, m->msg_len));
}

/* Reads one batch; the loop comes back if there is more, and the others have their turn. */
static void receive(struct net *n, struct port *p) {
        struct mmsghdr messages[BATCH];
        struct iovec iov[BATCH];
        struct sockaddr_storage from[BATCH];
        uint8_t control[BATCH][128];
        int n_messages;

        for (size_t i = 0; i < BATCH; i++) {
                iov[i] = (struct iovec){ n->in[i], DATAGRAM_MAX };
                messages[i] = (struct mmsghdr){ .msg_hdr = { .msg_name = &from[i],
                                                             .msg_namelen = sizeof(from[i]),
                                                             .msg_iov = &iov[i],
                                                             .msg_iovlen = 1,
                                                             .msg_control = control[i],
                                                             .msg_controllen = sizeof(control[i]) } };
        }
        n_messages = recvmmsg(p->fd, messages, BATCH, MSG_DONTWAIT, NULL);
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
        if (events & UV_WRITABLE) {
                p->wants_write = false;
                port_poll(p);
                net_flush(p->net);
        }
}

static void port_poll(struct port *p) {
        (void)uv_poll_start(&p->poll, UV_READABLE | (p->wants_write ? UV_WRITABLE : 0), on_port);
}

static struct port *port_for(struct net *n, const struct coap_peer *to) {
        if (to->device >= n->n_devices)
                return NULL;
        return n->devices[to->device].ports[!coap_peer_is_ipv4(to)];
}

static void drop_out(struct net *n, size_t n_done) {
        n->n_out -= n_done;
        memmove(n->out, n->out + n_done, n->n_out * sizeof(*n->out));
}

/* Sends those at the front that leave through one socket. Return: false when it is full. */
static bool send_some(struct net *n) {
        struct mmsghdr messages[BATCH];
        struct iovec iov[BATCH];
        struct sockaddr_storage to[BATCH];
        uint8_t control[BATCH][NET_CONTROL_MAX] __attribute__((aligned(16)));
        struct port *p = port_for(n, &n->out[0].to);
        size_t n_messages = 0;
        int r;

        if (!p || p->wants_write) {
                if (!p)
                        drop_out(n, 1);
                return !p;
        }
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
        if (r < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS)) {
                p->wants_write = true;
                port_poll(p);
                return false;
        }
        if (r < 0) { /* this one cannot be sent: its way is gone, or a firewall says no */
                n->counts.n_send_errors++;
                r = 1;
        } else {
                n->counts.n_sent += (uint64_t)r;
        }
        drop_out(n, (size_t)r);
        return true;
}

void net_flush(struct net *n) {
        for (;;) {
                while (n->n_out < BATCH) {
                        struct pending_message *m = &n->out[n->n_out];

                        m->n = n->events.next(n->events.context, &m->to, m->bytes, sizeof(m->bytes));
                        if (!m->n)
                                break;
                        n->n_out++;
                }
                if (!n->n_out || !send_some(n))
                        return;
        }
}

/* ---- ports ---- */

static void on_port_closed(uv_handle_t *handle) {
        struct port *p = OCF_CONTAINER_OF(handle, struct port, poll);

        ocf_free(p);
}

static void port_close(struct port *p) {
        if (!p)
                return;
        list_unlink(&p->link);
        uv_poll_stop(&p->poll);
        close(p->fd);
        uv_close((uv_handle_t *)&p->poll, on_port_closed);
}

/* Takes the descriptor. */
static int port_new(struct port **ret, struct net *n, int fd_take) {
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

/* Both families on one port. Return: 0 and the descriptors, of which one may be -1 (no such family here);
 * negative errno. */
static int bind_pair(uint16_t port, int ret_fds[2]) {
        int v6, v4 = net_socket_unicast(AF_INET, port);

        if (v4 < 0 && v4 != -EAFNOSUPPORT)
                return v4;
        v6 = net_socket_unicast(AF_INET6, v4 >= 0 ? net_socket_port(v4) : port);
        if (v6 < 0 && (v4 < 0 || (v6 != -EAFNOSUPPORT && v6 != -EADDRNOTAVAIL))) {
                if (v4 >= 0)
                        close(v4);
                return v6;
        }
        ret_fds[0] = v4 >= 0 ? v4 : -1;
        ret_fds[1] = v6 >= 0 ? v6 : -1;
        return 0;
}

static void notice_taken(struct net *n, uint16_t port, uint16_t instead) {
        char holder[128], text[512];

        if (port != COAP_PORT)
                snprintf(text, sizeof(text),
                         "UDP port %u is held by %s, so port %u is used and announced instead. Peers that "
                         "know the old port by "
                         "heart must discover the device again; free the port and restart ocfd to have it "
                         "back.",
                         port, net_holder_describe(port, holder, sizeof(holder)), instead);
        else
                snprintf(text, sizeof(text),
                         "UDP port 5683 is held by %s, so port %u is used and announced instead. Stop that "
                         "program, or set "
                         "Port=auto in [Network] of ocfd.conf if both shall stay.",
                         net_holder_describe(port, holder, sizeof(holder)), instead);
        n->events.notice(n->events.context, "PortTaken", text);
}

int net_open_device(struct net *n, uint16_t device, uint16_t wanted, uint16_t *ret_port) {
        struct net_device *d;
        int fds[2], r = bind_pair(wanted, fds);
        bool taken = wanted && (r == -EADDRINUSE || r == -EACCES);

        for (int i = 0; taken ? i < 64 && r < 0 : i < 64 && r == -EADDRINUSE; i++)
                r = bind_pair(0, fds); /* a port that is free for the one family may not be for the other */
        if (r < 0)
                return r;
        if (!ocf_grow((void **)&n->devices, n->n_devices, (size_t)device + 1, sizeof(*n->devices)))
                return -ENOMEM;
        n->n_devices = (size_t)device + 1;
        d = &n->devices[device];
        for (int i = 0; i < 2; i++) {
                if (fds[i] < 0)
                        continue;
                d->port = net_socket_port(fds[i]);
                r = port_new(&d->ports[i], n, fds[i]);
                if (r < 0)
                        return r;
        }
        if (taken)
                notice_taken(n, wanted, d->port);
        *ret_port = d->port;
        return 0;
}

/* ---- groups ---- */

static struct port *group_find(const struct net *n, size_t i_group, uint32_t interface) {
        LIST_FOR_EACH(i, &n->groups) {
                struct port *p = LIST_ENTRY(i, struct port, link);

                if (p->i_group == i_group && p->interface == interface)
                        return p;
        }
        return NULL;
}

static int group_open(struct net *n, size_t i_group, const struct link *l) {
        int fd = net_socket_group(&net_groups[i_group], l->index), r;
        struct port *p;

        if (fd < 0)
                return fd;
        r = net_socket_join(fd, &net_groups[i_group], l->index);
        if (r < 0) {
                close(fd);
                return l->loopback ? 0 : r; /* many loopbacks do no multicast: nobody misses it there */
        }
        r = port_new(&p, n, fd);
        if (r < 0)
                return r;
        p->is_group = true;
        p->i_group = i_group;
        p->interface = l->index;
        list_link_tail(&n->groups, &p->link);
        return 0;
}

static bool has_family(const struct link *l, int family) {
        for (size_t i = 0; i < l->n_addresses; i++)
                if (ip_is_v4(l->addresses[i].ip) == (family == AF_INET))
                        return true;
        return false;
}

static void share_ports(struct net *n, bool allow) {
        for (size_t i = 0; i < n->n_devices; i++)
                for (size_t j = 0; j < 2; j++)
                        if (n->devices[i].ports[j] && n->devices[i].port == COAP_PORT)
                                net_socket_allow_sharing(n->devices[i].ports[j]->fd, allow);
}

static void notice_groups(struct net *n, int error, const char *interface) {
        char holder[128], text[512];

        n->groups_failed = error < 0;
        if (!error) {
                n->events.notice(n->events.context, "NoMulticast", NULL);
                return;
        }
        if (error == -EADDRINUSE)
                snprintf(text, sizeof(text),
                         "Multicast discovery does not work: UDP port 5683 is held by %s, which shares it "
                         "with nobody. Clients "
                         "that know the address still reach the device. Stop that program; ocfd tries again "
                         "every 30 s.",
                         net_holder_describe(COAP_PORT, holder, sizeof(holder)));
        else
                snprintf(text, sizeof(text),
                         "Multicast discovery does not work on %s: %s. Clients that know the address still "
                         "reach the device; "
                         "ocfd tries again every 30 s.",
                         interface, strerror(-error));
        n->events.notice(n->events.context, "NoMulticast", text);
}

/* A socket for each group on each used interface, and none elsewhere. */
static void follow_groups(struct net *n) {
        const char *failed_on = "";
        int failed = 0;

        LIST_FOR_EACH_SAFE(i, &n->groups) {
                struct port *p = LIST_ENTRY(i, struct port, link);
                const struct link *l = link_table_find(&n->table, p->interface);

                if (!l || !is_used(n, l) || !has_family(l, net_groups[p->i_group].family))
                        port_close(p);
        }
        share_ports(n, true);
        LIST_FOR_EACH(i, &n->table.links) {
                const struct link *l = LIST_ENTRY(i, struct link, list);

                for (size_t g = 0; g < NET_GROUPS && is_used(n, l); g++) {
                        int r = 0;

                        if (has_family(l, net_groups[g].family) && !group_find(n, g, l->index))
                                r = group_open(n, g, l);
                        if (r < 0) {
                                failed = r;
                                failed_on = l->name;
                        }
                }
        }
        share_ports(n, false);
        notice_groups(n, failed, failed_on);
}

static void on_retry(uv_timer_t *timer) {
        struct net *n = timer->data;

        if (n->groups_failed)
                follow_groups(n);
}

/* ---- interfaces and endpoints ---- */

static void free_interfaces(struct net_interface *all, size_t n) {
        for (size_t i = 0; i < n; i++) {
                for (size_t j = 0; j < all[i].n_addresses; j++)
                        ocf_free((void *)all[i].addresses[j]);
                ocf_free((void *)all[i].addresses);
                ocf_free((void *)all[i].name);
        }
        ocf_free(all);
}

static int describe(const struct net *n, const struct link *l, struct net_interface *ret) {
        const char **addresses = ocf_allocate(l->n_addresses, sizeof(*addresses));
        char text[ENDPOINT_TEXT_MAX];

        *ret = (struct net_interface){ .name = ocf_duplicate_string(l->name),
                                       .index = l->index,
                                       .addresses = addresses };
        if (!addresses || !ret->name)
                return -ENOMEM;
        ret->reason = decide(n, l);
        ret->used = !*ret->reason;
        for (size_t i = 0; i < l->n_addresses; i++) {
                addresses[i] = ocf_duplicate_string(ip_format(l->addresses[i].ip, text));
                if (!addresses[i])
                        return -ENOMEM;
                ret->n_addresses++;
        }
        return 0;
}

static int rebuild_interfaces(struct net *n) {
        struct net_interface *all;
        size_t n_links = 0, i_link = 0;
        int r = 0;

        LIST_FOR_EACH(i, &n->table.links)
        n_links++;
        all = ocf_allocate(n_links, sizeof(*all));
        if (!all)
                return -ENOMEM;
        LIST_FOR_EACH(i, &n->table.links) {
                r = describe(n, LIST_ENTRY(i, struct link, list), &all[i_link++]);
                if (r < 0)
                        break;
        }
        if (r < 0) {
                free_interfaces(all, i_link);
                return r;
        }
        free_interfaces(n->interfaces, n->n_interfaces);
        n->interfaces = all;
        n->n_interfaces = n_links;
        return 0;
}

static size_t count_used_addresses(const struct net *n) {
        size_t n_addresses = 0;

        LIST_FOR_EACH(i, &n->table.links) {
                const struct link *l = LIST_ENTRY(i, struct link, list);

                if (is_used(n, l))
                        n_addresses += l->n_addresses;
        }
        return n_addresses;
}

static int rebuild_endpoints(struct net *n, struct net_device *d) {
        size_t n_endpoints = 0;
        struct device_endpoint *all = ocf_allocate(count_used_addresses(n), sizeof(*all));

        if (!all)
                return -ENOMEM;
        LIST_FOR_EACH(i, &n->table.links) {
                const struct link *l = LIST_ENTRY(i, struct link, list);

                for (size_t j = 0; is_used(n, l) && j < l->n_addresses; j++) {
                        if (!d->ports[!ip_is_v4(l->addresses[j].ip)])
                                continue;
                        memcpy(all[n_endpoints].ip, l->addresses[j].ip, 16);
                        all[n_endpoints].port = d->port;
                        all[n_endpoints++].interface = l->index;
                }
        }
        ocf_free(d->endpoints);
        d->endpoints = all;
        d->n_endpoints = n_endpoints;
        return 0;
}

static bool has_endpoint(const struct net_device *d, const struct device_endpoint *e) {
        for (size_t i = 0; i < d->n_endpoints; i++)
                if (memcmp(d->endpoints[i].ip, e->ip, 16) == 0)
                        return true;
        return false;
}

/* What was there before and is not now: whoever used it has lost us. */
static void tell_lost(struct net *n, const struct device_endpoint *before, size_t n_before) {
        for (size_t i = 0; i < n_before; i++)
                if (!has_endpoint(&n->devices[0], &before[i]))
                        n->events.lost(n->events.context, before[i].ip, before[i].interface);
}

/* Everything anew from the table. Without memory things stay as they are until the next change. */
static void follow(struct net *n) {
        struct device_endpoint *before = n->n_devices ? n->devices[0].endpoints : NULL;
        size_t n_before = before ? n->devices[0].n_endpoints : 0;

        before = (struct device_endpoint *)(void *)ocf_duplicate(span_of(before, n_before * sizeof(*before)));
        if (!before || rebuild_interfaces(n) < 0)
                goto end;
        for (size_t i = 0; i < n->n_devices; i++)
                if (rebuild_endpoints(n, &n->devices[i]) < 0)
                        goto end;
        follow_groups(n);
        if (n->n_devices)
                tell_lost(n, before, n_before);
        n->events.changed(n->events.context);
end:
        ocf_free(before);
}

static void on_calm(uv_timer_t *timer) {
        follow(timer->data);
}

static void on_links_changed(void *context) {
        struct net *n = context;

        if (n->started && !uv_is_active((uv_handle_t *)&n->debounce))
                uv_timer_start(&n->debounce, on_calm, DEBOUNCE_MS, 0);
}

size_t net_endpoints(struct net *n, uint16_t device, const struct device_endpoint **ret) {
        *ret = n->devices[device].endpoints;
        return n->devices[device].n_endpoints;
}

size_t net_interfaces(struct net *n, const struct net_interface **ret) {
        *ret = n->interfaces;
        return n->n_interfaces;
}

void net_get_counts(const struct net *n, struct net_counts *ret) {
        *ret = n->counts;
        ret->n_resyncs = link_watch_resyncs(n->watch);
}

/* ---- made and taken down ---- */

int net_new(struct net **ret, uv_loop_t *loop, const struct net_config *config,
            const struct net_events *events) {
        struct net *n = ocf_new(struct net);
        int r;

        if (!n)
                return -ENOMEM;
        n->loop = loop;
        n->config = *config;
        n->events = *events;
        link_table_init(&n->table);
        list_init(&n->groups);
        uv_timer_init(loop, &n->debounce);
        uv_timer_init(loop, &n->retry);
        n->debounce.data = n->retry.data = n;
        n->out = ocf_allocate(BATCH, sizeof(*n->out));
        n->in = ocf_allocate(BATCH, sizeof(*n->in));
        r = n->out && n->in ? link_watch_new(&n->watch, loop, &n->table, on_links_changed, n) : -ENOMEM;
        if (r >= 0)
                r = link_watch_read_all(n->watch);
        if (r < 0) {
                net_free(n);
                return r;
        }
        *ret = n;
        return 0;
}

int net_start(struct net *n) {
        n->started = true;
        follow(n);
        return uv_timer_start(&n->retry, on_retry, GROUP_RETRY_MS, GROUP_RETRY_MS);
}

/* libuv closes in an order of its own: the last one takes the rest with it. */
static void on_timer_closed(uv_handle_t *handle) {
        struct net *n = handle->data;

        if (--n->n_timers == 0)
                ocf_free(n);
}

struct net *net_free(struct net *n) {
        if (!n)
                return NULL;
        n->watch = link_watch_free(n->watch);
        for (size_t i = 0; i < n->n_devices; i++) {
                port_close(n->devices[i].ports[0]);
                port_close(n->devices[i].ports[1]);
                ocf_free(n->devices[i].endpoints);
        }
        LIST_FOR_EACH_SAFE(i, &n->groups)
        port_close(LIST_ENTRY(i, struct port, link));
        free_interfaces(n->interfaces, n->n_interfaces);
        link_table_deinit(&n->table);
        ocf_free(n->devices);
        ocf_free(n->out);
        ocf_free(n->in);
        n->n_timers = 2;
        uv_close((uv_handle_t *)&n->debounce, on_timer_closed);
        uv_close((uv_handle_t *)&n->retry, on_timer_closed);
        return NULL;
}
