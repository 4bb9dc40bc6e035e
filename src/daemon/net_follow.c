#include "daemon/net_holder.h"
#include "daemon/net_private.h"
#include "daemon/net_socket.h"
#include "model/endpoint_text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

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
        p->link_number = l->number;
        list_link_tail(&n->groups, &p->link);
        return 0;
}

static bool wants_group(const struct link *l, size_t i_group) {
        for (size_t i = 0; l->used && i < l->n_addresses; i++)
                if (ip_is_v4(l->addresses[i].ip) == (net_groups[i_group].family == AF_INET))
                        return true;
        return false;
}

static void close_stale(struct net *n) {
        LIST_FOR_EACH_SAFE(i, &n->groups) {
                struct port *p = LIST_ENTRY(i, struct port, link);
                const struct link *l = link_table_find(&n->table, p->interface);

                if (!l || l->number != p->link_number || !wants_group(l, p->i_group))
                        port_close(p);
        }
}

/* What could not be joined, of the last attempt. */
struct failure {
        int error;
        bool families[2]; /* IPv4, IPv6 */
        const char *interface;
};

static void open_missing(struct net *n, const struct link *l, struct failure *failure) {
        for (size_t g = 0; g < NET_GROUPS; g++) {
                int r;

                if (!wants_group(l, g) || group_find(n, g, l->index))
                        continue;
                r = group_open(n, g, l);
                if (r >= 0 || r == -ENODEV)
                        continue; /* it left in this moment: netlink tells us next */
                failure->error = r;
                failure->families[net_groups[g].family == AF_INET6] = true;
                failure->interface = l->name;
        }
}

static void share_ports(struct net *n, bool allow) {
        for (size_t i = 0; i < n->n_devices; i++)
                for (size_t j = 0; j < 2; j++)
                        if (n->devices[i].sockets[0][j] && n->devices[i].ports.coap == COAP_PORT)
                                net_socket_allow_sharing(n->devices[i].sockets[0][j]->fd, allow);
}

static void tell_failure(struct net *n, const struct failure *f) {
        char holder[128], text[512];
        const char *families = !f->families[0] ? " over IPv6" : f->families[1] ? "" : " over IPv4";

        if (f->error == -EADDRINUSE)
                snprintf(text, sizeof(text),
                         "Multicast discovery%s does not work: UDP port 5683 is held by %s, which shares it "
                         "with nobody. Clients that know the address still reach the device. Stop that "
                         "program; ocfd tries again every 30 s.",
                         families,
                         net_holder_describe(f->families[0] ? AF_INET : AF_INET6, COAP_PORT, holder,
                                             sizeof(holder)));
        else
                snprintf(text, sizeof(text),
                         "Multicast discovery%s does not work on %s: %s. Clients that know the address still "
                         "reach the device; ocfd tries again every 30 s.",
                         families, f->interface, strerror(-f->error));
        n->events.notice(n->events.context, "NoMulticast", text);
}

/*
 * Where no router asks who listens, a switch that keeps lists (IGMP and MLD
 * snooping) drops us from them after some minutes, and discovery dies. Joining
 * again is all that we can say.
 */
void net_renew_groups(struct net *n) {
        LIST_FOR_EACH_SAFE(i, &n->groups) {
                struct port *p = LIST_ENTRY(i, struct port, link);

                net_socket_leave(p->fd, &net_groups[p->i_group], p->interface);
                if (net_socket_join(p->fd, &net_groups[p->i_group], p->interface) < 0)
                        port_close(p);
        }
        net_follow_groups(n);
}

void net_follow_groups(struct net *n) {
        struct failure failure = { 0 };
        int before = n->groups_error;

        close_stale(n);
        share_ports(n, true);
        LIST_FOR_EACH(i, &n->table.links)
        open_missing(n, LIST_ENTRY(i, struct link, list), &failure);
        share_ports(n, false);
        n->groups_error = failure.error;
        if (!failure.error)
                n->events.notice(n->events.context, "NoMulticast", NULL);
        else if (failure.error != before) /* who it is was told, and takes long to find out */
                tell_failure(n, &failure);
}
