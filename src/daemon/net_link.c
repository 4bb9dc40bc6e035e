#include "daemon/net_link.h"
#include "base/memory.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* libmnl's macros convert between long and int as they please. */
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"

/* ---- the table ---- */

void link_table_init(struct link_table *t) {
        *t = (struct link_table){ .links = LIST_INIT(t->links) };
}

static void link_free(struct link *l) {
        list_unlink(&l->list);
        ocf_free(l->addresses);
        ocf_free(l);
}

void link_table_deinit(struct link_table *t) {
        LIST_FOR_EACH_SAFE(i, &t->links)
        link_free(LIST_ENTRY(i, struct link, list));
}

struct link *link_table_find(const struct link_table *t, uint32_t index) {
        LIST_FOR_EACH(i, &t->links) {
                struct link *l = LIST_ENTRY(i, struct link, list);

                if (l->index == index)
                        return l;
        }
        return NULL;
}

static struct link *link_obtain(struct link_table *t, uint32_t index) {
        struct link *l = link_table_find(t, index);
        struct list *before = &t->links;

        if (l)
                return l;
        l = ocf_new(struct link);
        if (!l)
                return NULL;
        l->index = index;
        l->number = ++t->n_made;
        LIST_FOR_EACH(i, &t->links)
        if (LIST_ENTRY(i, struct link, list)->index > index) {
                before = i;
                break;
        }
        list_link_tail(before, &l->list);
        t->changed = true;
        return l;
}

/* Copies an attribute that is a string into a field; the last byte stays NUL. */
static void copy_string(const struct nlattr *a, char *to, size_t n_max) {
        size_t n = ocf_min_size(mnl_attr_get_payload_len(a), n_max - 1);

        memset(to, 0, n_max);
        memcpy(to, mnl_attr_get_payload(a), n);
}

static void take_kind(const struct nlattr *info, struct link *l) {
        const struct nlattr *a;

        mnl_attr_for_each_nested(a, info) if (mnl_attr_get_type(a) == IFLA_INFO_KIND)
                copy_string(a, l->kind, sizeof(l->kind));
}

static int take_link(struct link_table *t, const struct nlmsghdr *h) {
        const struct ifinfomsg *m = mnl_nlmsg_get_payload(h);
        const struct nlattr *a;
        struct link *l, before;

        if (mnl_nlmsg_get_payload_len(h) < sizeof(*m) || m->ifi_family == AF_BRIDGE)
                return 0; /* a port that left its bridge is no link that left */
        l = link_table_find(t, (uint32_t)m->ifi_index);
        if (h->nlmsg_type == RTM_DELLINK) {
                if (l) {
                        link_free(l);
                        t->changed = true;
                }
                return 0;
        }
        l = link_obtain(t, (uint32_t)m->ifi_index);
        if (!l)
                return -ENOMEM;
        before = *l;
        l->seen = true;
        l->up = m->ifi_flags & IFF_UP;
        l->running = m->ifi_flags & IFF_RUNNING;
        l->loopback = m->ifi_flags & IFF_LOOPBACK;
        mnl_attr_for_each(a, h, sizeof(*m)) {
                if (mnl_attr_get_type(a) == IFLA_IFNAME)
                        copy_string(a, l->name, sizeof(l->name));
                else if (mnl_attr_get_type(a) == IFLA_LINKINFO)
                        take_kind(a, l);
        }
        if (before.up != l->up || before.running != l->running || strcmp(before.name, l->name) != 0)
                t->changed = true;
        return 0;
}

static size_t address_find(const struct link *l, const uint8_t ip[16]) {
        size_t i = 0;

        while (i < l->n_addresses && memcmp(l->addresses[i].ip, ip, 16) != 0)
                i++;
        return i;
}

static void address_remove(struct link_table *t, struct link *l, size_t i) {
        memmove(&l->addresses[i], &l->addresses[i + 1], (l->n_addresses - i - 1) * sizeof(l->addresses[0]));
        l->n_addresses--;
        t->changed = true;
}

/* An address can be spoken from when nobody disputes it (RFC 4862, 5.4; RFC 4429, 3.2). */
static bool is_usable(uint32_t flags) {
        return !(flags & IFA_F_DADFAILED) && (!(flags & IFA_F_TENTATIVE) || flags & IFA_F_OPTIMISTIC);
}

static int address_drop(struct link_table *t, struct link *l, const uint8_t ip[16]) {
        size_t i = address_find(l, ip);

        if (i < l->n_addresses)
                address_remove(t, l, i);
        return 0;
}

bool link_address_covers(const struct link_address *a, const uint8_t *ip) {
        size_t n = a->n_prefix / 8;
        uint8_t mask = (uint8_t)(0xff00 >> a->n_prefix % 8);

        return memcmp(a->ip, ip, n) == 0 && (!(a->n_prefix % 8) || ((a->ip[n] ^ ip[n]) & mask) == 0);
}

static int address_put(struct link_table *t, struct link *l, const uint8_t ip[16], uint8_t n_prefix,
                       bool deprecated) {
        size_t i = address_find(l, ip);

        if (i == l->n_addresses) {
                if (!ocf_grow((void **)&l->addresses, i, i + 1, sizeof(l->addresses[0])))
                        return -ENOMEM;
                memcpy(l->addresses[l->n_addresses++].ip, ip, 16);
                t->changed = true;
        }
        if (l->addresses[i].deprecated != deprecated)
                t->changed = true;
        l->addresses[i].deprecated = deprecated;
        l->addresses[i].n_prefix = n_prefix;
        l->addresses[i].seen = true;
        return 0;
}

static bool read_ip(const struct nlattr *a, uint8_t family, uint8_t ret[16]) {
        size_t n = mnl_attr_get_payload_len(a);

        if (n != (family == AF_INET ? 4 : 16))
                return false;
        memset(ret, 0, 16);
        if (family == AF_INET)
                ret[10] = ret[11] = 0xff;
        memcpy(ret + 16 - n, mnl_attr_get_payload(a), n);
        return true;
}

static uint8_t prefix_of(const struct ifaddrmsg *m) {
        uint8_t n_max = m->ifa_family == AF_INET ? 32 : 128;

        return (uint8_t)(128 - n_max + (m->ifa_prefixlen < n_max ? m->ifa_prefixlen : n_max));
}

static int take_address(struct link_table *t, const struct nlmsghdr *h) {
        const struct ifaddrmsg *m = mnl_nlmsg_get_payload(h);
        const struct nlattr *a;
        uint8_t ip[16];
        uint32_t flags;
        bool has_ip = false;
        struct link *l;

        if (mnl_nlmsg_get_payload_len(h) < sizeof(*m) ||
            (m->ifa_family != AF_INET && m->ifa_family != AF_INET6))
                return 0;
        flags = m->ifa_flags;
        mnl_attr_for_each(a, h, sizeof(*m)) {
                uint16_t type = mnl_attr_get_type(a);

                /* IFA_LOCAL is ours where IFA_ADDRESS is the other end of a point-to-point link. */
                if (type == IFA_LOCAL || (type == IFA_ADDRESS && !has_ip))
                        has_ip = read_ip(a, m->ifa_family, ip) || has_ip;
                else if (type == IFA_FLAGS && mnl_attr_get_payload_len(a) >= sizeof(flags))
                        flags = mnl_attr_get_u32(a);
        }
        l = link_table_find(t, m->ifa_index);
        if (!l || !has_ip)
                return 0; /* of a link that is gone: what comes late */
        return h->nlmsg_type == RTM_NEWADDR && is_usable(flags)
                       ? address_put(t, l, ip, prefix_of(m), flags & IFA_F_DEPRECATED)
                       : address_drop(t, l, ip);
}

/* mnl_nlmsg_ok() takes a length of 2 GiB and more for a negative one. */
static bool is_whole(const struct nlmsghdr *h, int n) {
        return mnl_nlmsg_ok(h, n) && h->nlmsg_len <= INT32_MAX;
}

int link_table_take(struct link_table *t, struct span message) {
        const struct nlmsghdr *h = (const void *)message.data;
        int n = (int)ocf_min_size(message.n, INT32_MAX), r = 0;

        for (; !r && is_whole(h, n); h = mnl_nlmsg_next(h, &n)) {
                if (h->nlmsg_type == RTM_NEWLINK || h->nlmsg_type == RTM_DELLINK)
                        r = take_link(t, h);
                else if (h->nlmsg_type == RTM_NEWADDR || h->nlmsg_type == RTM_DELADDR)
                        r = take_address(t, h);
        }
        return r;
}

void link_table_sweep_begin(struct link_table *t) {
        LIST_FOR_EACH(i, &t->links) {
                struct link *l = LIST_ENTRY(i, struct link, list);

                l->seen = false;
                for (size_t j = 0; j < l->n_addresses; j++)
                        l->addresses[j].seen = false;
        }
}

void link_table_sweep_end(struct link_table *t) {
        LIST_FOR_EACH_SAFE(i, &t->links) {
                struct link *l = LIST_ENTRY(i, struct link, list);

                for (size_t j = l->n_addresses; j-- > 0;)
                        if (!l->addresses[j].seen)
                                address_remove(t, l, j);
                if (!l->seen) {
                        link_free(l);
                        t->changed = true;
                }
        }
}

/* ---- the socket ---- */

#define DRAIN_MAX 64 /* messages a turn of the loop: others want theirs */

enum step { STEP_LINKS, STEP_ADDRESSES, STEP_FOLLOWING };

struct link_watch {
        uv_poll_t poll;
        struct mnl_socket *socket;
        struct link_table *table;
        enum step step;
        bool lost;         /* something that the kernel said: all of it is to be asked for again */
        uint32_t sequence; /* of the dump that is under way */
        uint64_t n_resyncs;
        void (*changed)(void *context);
        void *context;
};

static int ask(struct link_watch *w, uint16_t type) {
        uint8_t buf[MNL_NLMSG_HDRLEN + 32];
        struct nlmsghdr *h = mnl_nlmsg_put_header(memset(buf, 0, sizeof(buf)));
        struct rtgenmsg *m;

        h->nlmsg_type = type;
        h->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
        h->nlmsg_seq = ++w->sequence;
        m = mnl_nlmsg_put_extra_header(h, sizeof(*m));
        m->rtgen_family = AF_UNSPEC;
        return mnl_socket_sendto(w->socket, h, h->nlmsg_len) < 0 ? -errno : 0;
}

static int resync(struct link_watch *w) {
        link_table_sweep_begin(w->table);
        w->step = STEP_LINKS;
        return ask(w, RTM_GETLINK);
}

/* A dump in which something was missed proves no absence: nothing is swept out. */
static int dump_ended(struct link_watch *w) {
        switch (w->step) {
        case STEP_LINKS:
                if (w->lost)
                        break;
                w->step = STEP_ADDRESSES;
                return ask(w, RTM_GETADDR);
        case STEP_ADDRESSES:
                if (!w->lost)
                        link_table_sweep_end(w->table);
                break;
        case STEP_FOLLOWING: /* of one that was given up */
                break;
        }
        w->step = STEP_FOLLOWING;
        return 0;
}

/* Is the end of our dump among these? An interrupted or refused one has to be repeated. */
static bool ends_dump(struct link_watch *w, struct span message) {
        const struct nlmsghdr *h = (const void *)message.data;
        int n = (int)message.n;
        bool ended = false;

        for (; is_whole(h, n); h = mnl_nlmsg_next(h, &n)) {
                if (h->nlmsg_seq != w->sequence || h->nlmsg_pid != mnl_socket_get_portid(w->socket))
                        continue;
                if (h->nlmsg_flags & NLM_F_DUMP_INTR || h->nlmsg_type == NLMSG_ERROR)
                        w->lost = true;
                if (h->nlmsg_type == NLMSG_DONE || h->nlmsg_type == NLMSG_ERROR)
                        ended = true;
        }
        return ended;
}

static int take(struct link_watch *w, struct span message) {
        if (link_table_take(w->table, message) < 0)
                w->lost = true; /* no memory for it now */
        return ends_dump(w, message) ? dump_ended(w) : 0;
}

/* The queue is empty. Only now is there room for a dump, and the kernel makes one at a time. */
static int drained(struct link_watch *w) {
        if (!w->lost || w->step != STEP_FOLLOWING)
                return 0;
        w->lost = false;
        w->n_resyncs++;
        return resync(w);
}

/* Reads what is there, but not for ever. Return: 0; negative errno. */
static int drain(struct link_watch *w) {
        uint8_t buf[32768] __attribute__((aligned(NLMSG_ALIGNTO)));
        int r = 0;

        for (size_t i = 0; !r && i < DRAIN_MAX; i++) {
                struct sockaddr_nl from = { 0 };
                socklen_t n_from = sizeof(from);
                ssize_t n = recvfrom(mnl_socket_get_fd(w->socket), buf, sizeof(buf), MSG_DONTWAIT,
                                     (struct sockaddr *)&from, &n_from);

                if (n < 0 && errno == ENOBUFS)
                        w->lost = true;
                else if (n < 0 && errno != EINTR)
                        return errno == EAGAIN ? drained(w) : -errno;
                else if (n > 0 && from.nl_pid == 0) /* the kernel, and nobody else */
                        r = take(w, span_of(buf, (size_t)n));
        }
        return r;
}

static void on_readable(uv_poll_t *poll, int status, int events) {
        struct link_watch *w = OCF_CONTAINER_OF(poll, struct link_watch, poll);

        (void)drain(w); /* what failed for want of memory is asked for again */
        if (status < 0) /* it overflowed, which for libuv is the end of a descriptor */
                (void)uv_poll_start(poll, UV_READABLE, on_readable);
        if (w->table->changed && w->step == STEP_FOLLOWING) {
                w->table->changed = false;
                w->changed(w->context);
        }
}

int link_watch_new(struct link_watch **ret, uv_loop_t *loop, struct link_table *table,
                   void (*changed)(void *context), void *context) {
        struct link_watch *w = ocf_new(struct link_watch);
        int r = 0, buffer = 512 * 1024;

        if (!w)
                return -ENOMEM;
        w->table = table;
        w->changed = changed;
        w->context = context;
        w->socket = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (!w->socket || mnl_socket_bind(w->socket, RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR,
                                          MNL_SOCKET_AUTOPID) < 0)
                r = -errno;
        if (!r) {
                (void)setsockopt(mnl_socket_get_fd(w->socket), SOL_SOCKET, SO_RCVBUF, &buffer,
                                 sizeof(buffer));
                r = uv_poll_init(loop, &w->poll, mnl_socket_get_fd(w->socket));
        }
        if (r < 0) {
                if (w->socket)
                        mnl_socket_close(w->socket);
                ocf_free(w);
                return r;
        }
        (void)uv_poll_start(&w->poll, UV_READABLE, on_readable); /* fails only for handles that close */
        *ret = w;
        return 0;
}

int link_watch_read_all(struct link_watch *w) {
        struct pollfd p = { .fd = mnl_socket_get_fd(w->socket), .events = POLLIN };
        int r = resync(w);

        while (r >= 0 && w->step != STEP_FOLLOWING) {
                if (poll(&p, 1, 2000) <= 0)
                        return -ETIMEDOUT;
                r = drain(w);
        }
        w->table->changed = false;
        return r < 0 ? r : 0;
}

static void on_closed(uv_handle_t *handle) {
        struct link_watch *w = OCF_CONTAINER_OF(handle, struct link_watch, poll);

        mnl_socket_close(w->socket);
        ocf_free(w);
}

struct link_watch *link_watch_free(struct link_watch *w) {
        if (w)
                uv_close((uv_handle_t *)&w->poll, on_closed);
        return NULL;
}

uint64_t link_watch_resyncs(const struct link_watch *w) {
        return w->n_resyncs;
}
