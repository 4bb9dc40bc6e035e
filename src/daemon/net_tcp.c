#include "daemon/net_tcp.h"
#include "base/memory.h"
#include "daemon/net_socket.h"
#include "model/endpoint_text.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define ACCEPT_BATCH  16
#define FDS_WANTED    2048 /* this many descriptors are asked for ... */
#define FDS_OF_OTHERS 256  /* and of them so many are left to store, bus and UDP */

/* ---- who gets in ---- */

static struct net_counts *counts(struct net_tcp *t) {
        return &t->net->counts;
}

/* Whose share it counts against: an address, or the /64 that a host has many of. */
static bool is_same_peer(const struct coap_peer *a, const struct coap_peer *b) {
        size_t n = ip_is_v4(a->remote_ip) || ip_is_link_local(a->remote_ip) ? 16 : 8;

        return memcmp(a->remote_ip, b->remote_ip, n) == 0;
}

static size_t count_of_peer(const struct net_tcp *t, const struct coap_peer *peer) {
        size_t n = 0;

        for (size_t i = 0; i < TCP_CONNECTIONS_MAX; i++)
                if (t->connections[i] && is_same_peer(&t->connections[i]->peer, peer))
                        n++;
        return n;
}

static bool drop_idle(struct net_tcp *t) {
        struct connection *oldest = NULL;

        for (size_t i = 0; i < TCP_CONNECTIONS_MAX; i++) {
                struct connection *c = t->connections[i];

                if (c && (!oldest || c->active_ms < oldest->active_ms))
                        oldest = c;
        }
        if (!oldest || uv_now(t->net->loop) - oldest->active_ms < TCP_IDLE_MS)
                return false;
        connection_drop(oldest, false);
        return true;
}

bool net_tcp_make_room(struct net_tcp *t) {
        return t->n_connections < t->n_max || drop_idle(t);
}

void net_tcp_enter(struct net_tcp *t, struct connection *c) {
        size_t slot = t->next_slot;

        while (t->connections[slot])
                slot = (slot + 1) % TCP_CONNECTIONS_MAX;
        t->next_slot = (slot + 1) % TCP_CONNECTIONS_MAX;
        t->generations[slot] = t->generations[slot] % (INT32_MAX / TCP_CONNECTIONS_MAX - 1) + 1;
        c->peer.channel = t->generations[slot] * TCP_CONNECTIONS_MAX + (uint32_t)slot;
        t->connections[slot] = c;
        t->is_secure[slot] = c->secure;
        t->n_connections++;
}

bool net_tcp_is_secure(const struct net_tcp *t, const struct coap_peer *peer) {
        return t->is_secure[peer->channel % TCP_CONNECTIONS_MAX];
}

static bool is_welcome(struct net_tcp *t, const struct coap_peer *peer, uint32_t interface) {
        return net_hears(t->net, interface) && count_of_peer(t, peer) < t->n_max_per_address &&
               net_tcp_make_room(t);
}

static void take(struct listener *l, int fd_take) {
        struct net_tcp *t = l->tcp;
        struct coap_peer peer;
        struct connection *c;
        uint32_t interface;

        if (!net_socket_connected(fd_take, &peer, &interface) || !is_welcome(t, &peer, interface)) {
                counts(t)->n_refused++;
                net_socket_reset(fd_take);
                return;
        }
        peer.device = l->device;
        if (ip_is_link_local(peer.remote_ip) || ip_is_link_local(peer.local_ip))
                peer.interface = interface;
        if (connection_new(&c, t, fd_take) < 0) {
                counts(t)->n_refused++;
                return;
        }
        c->peer = peer;
        c->interface = interface;
        c->state = CONNECTION_OPEN;
        c->secure = l->secure;
        net_tcp_enter(t, c);
        if (!t->net->events.stream_open(t->net->events.context, &c->peer, l->secure)) {
                counts(t)->n_refused++;
                c->state = CONNECTION_SHUT; /* there is nobody to tell */
                connection_drop(c, true);
                return;
        }
        counts(t)->n_accepted++;
        connection_start(c);
}

/* ---- listeners ---- */

static void on_listener(uv_poll_t *poll, int status, int events);

static void for_each_listener(struct net_tcp *t, void (*f)(struct listener *l)) {
        for (size_t i = 0; i < t->net->n_devices; i++)
                for (size_t j = 0; j < 4; j++)
                        if (t->net->devices[i].listeners[j / 2][j % 2])
                                f(t->net->devices[i].listeners[j / 2][j % 2]);
}

static void listener_start(struct listener *l) {
        (void)uv_poll_start(&l->poll, UV_READABLE, on_listener);
}

static void listener_stop(struct listener *l) {
        uv_poll_stop(&l->poll);
}

static void open_spare(struct net_tcp *t) {
        if (t->spare_fd < 0)
                t->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void on_pause_over(uv_timer_t *timer) {
        struct net_tcp *t = timer->data;

        open_spare(t);
        for_each_listener(t, listener_start);
}

/* A connection that cannot be taken stays, and wakes us for ever. */
static void pause_listening(struct net_tcp *t) {
        for_each_listener(t, listener_stop);
        uv_timer_start(&t->pause, on_pause_over, TCP_ACCEPT_PAUSE_MS, 0);
}

/* Out of descriptors: with the spare one the connection is at least refused. */
static bool refuse_with_spare(struct listener *l) {
        struct net_tcp *t = l->tcp;
        int fd;

        if (t->spare_fd < 0)
                return false;
        close(t->spare_fd);
        t->spare_fd = -1;
        fd = net_socket_accept(l->fd);
        if (fd >= 0) {
                counts(t)->n_refused++;
                net_socket_reset(fd);
        }
        open_spare(t);
        return fd >= 0;
}

static void on_listener(uv_poll_t *poll, int status, int events) {
        struct listener *l = OCF_CONTAINER_OF(poll, struct listener, poll);
        struct net_tcp *t = l->tcp;

        for (int i = 0; i < ACCEPT_BATCH; i++) {
                int fd = net_socket_accept(l->fd);

                if (fd >= 0) {
                        take(l, fd);
                } else if (fd == -EAGAIN) {
                        break;
                } else if (!net_socket_accept_goes_on(fd) && !refuse_with_spare(l)) {
                        pause_listening(t);
                        break;
                }
        }
        t->net->events.received(t->net->events.context);
}

static void on_listener_closed(uv_handle_t *handle) {
        ocf_free(OCF_CONTAINER_OF(handle, struct listener, poll));
}

void listener_close(struct listener *l) {
        if (!l)
                return;
        uv_poll_stop(&l->poll);
        close(l->fd);
        uv_close((uv_handle_t *)&l->poll, on_listener_closed);
}

uint16_t listener_port(const struct listener *l) {
        return net_socket_port(l->fd);
}

static int listener_new(struct listener **ret, struct net_tcp *t, uint16_t device, bool secure, int fd_take) {
        struct listener *l = ocf_new(struct listener);
        int r = l ? uv_poll_init(t->net->loop, &l->poll, fd_take) : -ENOMEM;

        if (r < 0) {
                close(fd_take);
                ocf_free(l);
                return r;
        }
        l->tcp = t;
        l->fd = fd_take;
        l->device = device;
        l->secure = secure;
        listener_start(l);
        *ret = l;
        return 0;
}

int net_tcp_listen(struct net_tcp *t, uint16_t device, bool secure, uint16_t port, struct listener *ret[2]) {
        struct listener *listeners[2] = { NULL };
        int fds[2], r = net_socket_pair(net_socket_listen, port, fds);

        for (int i = 0; i < 64 && (r == -EADDRINUSE || (r == -EACCES && !i)); i++)
                r = net_socket_pair(net_socket_listen, 0, fds);
        if (r < 0)
                return r;
        for (int i = 0; i < 2; i++) {
                if (fds[i] < 0)
                        continue;
                if (r >= 0)
                        r = listener_new(&listeners[i], t, device, secure, fds[i]);
                else
                        close(fds[i]);
        }
        if (r < 0) {
                listener_close(listeners[0]);
                return r;
        }
        memcpy(ret, listeners, sizeof(listeners));
        return 0;
}

/* ---- what changes under it ---- */

/* An interface that we may no longer use, whatever the reason was; a cable that is out is none. */
static bool is_denied(const struct net *n, uint32_t interface) {
        const struct link *l = link_table_find(&n->table, interface);

        return l && l->up && l->running && l->n_addresses && !net_hears(n, interface);
}

void net_tcp_follow(struct net_tcp *t) {
        for (size_t i = 0; i < TCP_CONNECTIONS_MAX; i++)
                if (t->connections[i] && is_denied(t->net, t->connections[i]->interface))
                        connection_drop(t->connections[i], true);
}

void net_tcp_lost(struct net_tcp *t, const uint8_t *ip, uint32_t interface) {
        for (size_t i = 0; i < TCP_CONNECTIONS_MAX; i++) {
                struct connection *c = t->connections[i];

                if (!c || (c->peer.interface && c->peer.interface != interface))
                        continue;
                if (ip ? memcmp(c->peer.local_ip, ip, 16) == 0 : c->peer.interface == interface)
                        connection_drop(c, true);
        }
}

/* ---- made and taken down ---- */

/* What strangers take must leave enough for the store and the bus. */
static size_t connections_for_descriptors(void) {
        struct rlimit limit;

        if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
                return TCP_CONNECTIONS_MAX;
        if (limit.rlim_cur < FDS_WANTED) {
                limit.rlim_cur = ocf_min_u64(limit.rlim_max, FDS_WANTED);
                (void)setrlimit(RLIMIT_NOFILE, &limit);
        }
        if (limit.rlim_cur < 2 * FDS_OF_OTHERS)
                return (size_t)limit.rlim_cur / 2;
        return ocf_min_size(TCP_CONNECTIONS_MAX, (size_t)limit.rlim_cur - FDS_OF_OTHERS);
}

int net_tcp_new(struct net_tcp **ret, struct net *n) {
        struct net_tcp *t = ocf_new(struct net_tcp);

        if (!t)
                return -ENOMEM;
        t->net = n;
        t->n_max = connections_for_descriptors();
        t->n_max_per_address = TCP_PER_ADDRESS;
        t->n_max_queued = TCP_QUEUES_MAX;
        t->closing_ms = TCP_CLOSING_MS;
        t->spare_fd = -1;
        list_init(&t->dirty);
        list_init(&t->closing);
        list_init(&t->stalled);
        open_spare(t);
        uv_timer_init(n->loop, &t->patience);
        uv_timer_init(n->loop, &t->pause);
        t->patience.data = t->pause.data = t;
        *ret = t;
        return 0;
}

static void on_timer_closed(uv_handle_t *handle) {
        struct net_tcp *t = handle->data;

        if (--t->n_timers == 0)
                ocf_free(t);
}

/* The devices' listeners are closed already. */
struct net_tcp *net_tcp_free(struct net_tcp *t) {
        if (!t)
                return NULL;
        for (size_t i = 0; i < TCP_CONNECTIONS_MAX; i++)
                if (t->connections[i])
                        connection_drop(t->connections[i], false);
        if (t->spare_fd >= 0)
                close(t->spare_fd);
        t->n_timers = 2;
        uv_close((uv_handle_t *)&t->patience, on_timer_closed);
        uv_close((uv_handle_t *)&t->pause, on_timer_closed);
        return NULL;
}
