#include "net_world.h"
#include "model/endpoint_text.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* ---- namespaces ---- */

static bool write_file(const char *path, const char *text) {
        int fd = open(path, O_WRONLY | O_CLOEXEC);
        bool good = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

        if (fd >= 0)
                close(fd);
        return good;
}

int world_enter(void) {
        unsigned uid = geteuid(), gid = getegid();
        char text[64];

        if (unshare(CLONE_NEWNET) == 0)
                return 0;
        if (unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0) {
                fprintf(stderr, "skipped: this machine allows no network namespaces: %s\n", strerror(errno));
                return 77;
        }
        snprintf(text, sizeof(text), "0 %u 1", uid);
        (void)write_file("/proc/self/setgroups", "deny");
        if (!write_file("/proc/self/uid_map", text))
                return 77;
        snprintf(text, sizeof(text), "0 %u 1", gid);
        return write_file("/proc/self/gid_map", text) ? 0 : 77;
}

static int namespace_new(void) {
        int fd;

        assert_int_equal(unshare(CLONE_NEWNET), 0);
        fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
        assert_true(fd >= 0);
        /* Addresses are good at once: what is tested is not the kernel's patience. */
        (void)write_file("/proc/sys/net/ipv6/conf/default/accept_dad", "0");
        (void)write_file("/proc/sys/net/ipv6/conf/all/accept_dad", "0");
        return fd;
}

OCF_PRINTF(1, 0) static void run_line(const char *format, va_list args) {
        char line[1024];

        assert_true(vsnprintf(line, sizeof(line), format, args) < (int)sizeof(line));
        if (system(line) != 0)
                fail_msg("failed: %s", line);
}

void run(const char *format, ...) {
        va_list args;

        va_start(args, format);
        run_line(format, args);
        va_end(args);
}

void run_far(struct world *w, const char *format, ...) {
        va_list args;

        assert_int_equal(setns(w->far, CLONE_NEWNET), 0);
        va_start(args, format);
        run_line(format, args);
        va_end(args);
        assert_int_equal(setns(w->home, CLONE_NEWNET), 0);
}

static pid_t fork_idle(void) {
        pid_t pid = fork();

        if (pid == 0) {
                (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
                for (;;)
                        pause();
        }
        assert_true(pid > 0);
        return pid;
}

void world_cable(struct world *w, const char *name) {
        world_cable_with(w, name, "");
}

void world_cable_with(struct world *w, const char *name, const char *more) {
        pid_t pid;

        assert_int_equal(setns(w->far, CLONE_NEWNET), 0);
        pid = fork_idle();
        assert_int_equal(setns(w->home, CLONE_NEWNET), 0);
        run("ip link add %s %s type veth peer name far-%s netns %d", name, more, name, (int)pid);
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        run("ip link set %s up", name);
        run_far(w, "ip link set far-%s up", name);
}

/* ---- the loop ---- */

uint64_t world_now_ms(void) {
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

void world_turn(struct world *w) {
        struct timespec moment = { .tv_nsec = 1000000 };

        uv_run(&w->loop, UV_RUN_NOWAIT);
        nanosleep(&moment, NULL);
}

void world_rest(struct world *w, unsigned ms) {
        uint64_t end_ms = world_now_ms() + ms;

        while (world_now_ms() < end_ms)
                world_turn(w);
}

/* ---- what net tells ---- */

static void on_datagram(void *context, const struct coap_peer *peer, unsigned via, struct span data) {
        struct world *w = context;
        struct told_datagram *d = &w->datagrams[w->n_datagrams++ % ARRAY_SIZE(w->datagrams)];

        *d = (struct told_datagram){ .peer = *peer,
                                     .multicast = via & COAP_VIA_MULTICAST,
                                     .on_link = via & COAP_VIA_ON_LINK,
                                     .n = data.n };
        memcpy(d->bytes, data.data, ocf_min_size(data.n, sizeof(d->bytes)));
        if (!w->echoes || w->n_out == ARRAY_SIZE(w->out))
                return;
        w->out[w->n_out] = (struct message){ .to = *peer, .n = ocf_min_size(data.n, sizeof(d->bytes)) };
        memcpy(w->out[w->n_out].bytes, data.data, w->out[w->n_out].n);
        w->n_out++;
}

/* It may be changed where it is: what is echoed is another thing than what came. */
static void on_secure_datagram(void *context, const struct coap_peer *peer, unsigned via, uint8_t *data,
                               size_t n) {
        struct world *w = context;

        for (size_t i = 0; i < n; i++)
                data[i] ^= 0x80;
        on_datagram(context, peer, via, span_of(data, n));
        w->datagrams[(w->n_datagrams - 1) % ARRAY_SIZE(w->datagrams)].secure = true;
}

static size_t on_next(void *context, struct coap_peer *ret_to, uint8_t *buf, size_t n) {
        struct world *w = context;
        struct message m = w->out[0];

        if (!w->n_out)
                return 0;
        assert_true(m.n <= n);
        memmove(w->out, w->out + 1, --w->n_out * sizeof(*w->out));
        *ret_to = m.to;
        memcpy(buf, m.bytes, m.n);
        return m.n;
}

static bool on_stream_open(void *context, const struct coap_peer *peer, bool secure) {
        struct world *w = context;

        assert_true(w->n_streams < ARRAY_SIZE(w->streams));
        assert_int_equal(secure, net_port_is_secure(w->net, peer));
        if (!w->refuses)
                w->streams[w->n_streams++] = (struct told_stream){ STREAM_OPEN, *peer, secure };
        return !w->refuses;
}

static void echo(struct world *w, const struct coap_peer *peer, struct span data) {
        while (data.n && w->n_out < ARRAY_SIZE(w->out)) {
                struct message *m = &w->out[w->n_out++];

                *m = (struct message){ .to = *peer,
                                       .n = ocf_min_size(data.n, 64) }; /* bytes of a stream, in pieces */
                memcpy(m->bytes, data.data, m->n);
                data = span_of(data.data + m->n, data.n - m->n);
        }
        assert_int_equal(data.n, 0);
}

static size_t on_stream_data(void *context, const struct coap_peer *peer, struct span data) {
        struct world *w = context;

        assert_true(data.n);
        if (w->has_room && !w->has_room(w))
                return 0;
        if (w->n_takes && data.n > w->n_takes)
                data.n = w->n_takes;
        memcpy(w->bytes + w->n_bytes, data.data, data.n);
        w->n_bytes += data.n;
        assert_true(w->n_bytes < sizeof(w->bytes));
        if (w->echoes)
                echo(w, peer, data);
        return data.n;
}

static void on_stream_closed(void *context, const struct coap_peer *peer) {
        struct world *w = context;

        assert_true(w->n_streams < ARRAY_SIZE(w->streams));
        w->streams[w->n_streams++] = (struct told_stream){ STREAM_CLOSED, *peer };
}

static bool on_stream_connected(void *context, const struct coap_peer *peer, int error) {
        struct world *w = context;

        assert_true(w->n_streams < ARRAY_SIZE(w->streams));
        w->streams[w->n_streams++] = (struct told_stream){ .what = STREAM_CONNECTED,
                                                           .peer = *peer,
                                                           .secure = net_port_is_secure(w->net, peer),
                                                           .error = error };
        return !w->refuses;
}

static void on_received(void *context) {
        net_flush(((struct world *)context)->net);
}

static void on_changed(void *context) {
        ((struct world *)context)->n_changed++;
}

static void on_lost(void *context, const uint8_t *ip, uint32_t interface) {
        struct world *w = context;
        struct told_lost *l = &w->lost[w->n_lost++ % ARRAY_SIZE(w->lost)];

        *l = (struct told_lost){ .whole = !ip, .interface = interface };
        if (ip)
                memcpy(l->ip, ip, 16);
}

static void on_notice(void *context, const char *id, const char *text) {
        struct world *w = context;
        bool taken = strcmp(id, "PortTaken") == 0 || strcmp(id, "SecurePortTaken") == 0;

        if (strcmp(id, "NoTcp") == 0 || strcmp(id, "NoTls") == 0) {
                snprintf(id[3] == 'c' ? w->no_tcp : w->no_tls, sizeof(w->no_tcp), "%s", text ? text : "");
                return;
        }
        assert_true(taken || strcmp(id, "NoMulticast") == 0);
        snprintf(taken ? w->port_taken : w->no_multicast, sizeof(w->port_taken), "%s", text ? text : "");
}

/* ---- a host ---- */

int world_setup(void **state) {
        struct world *w = calloc(1, sizeof(*w));

        assert_non_null(w);
        assert_int_equal(uv_loop_init(&w->loop), 0);
        w->far = namespace_new();
        run("ip link set lo up");
        w->home = namespace_new();
        run("ip link set lo up");
        *state = w;
        return 0;
}

int world_teardown(void **state) {
        struct world *w = *state;

        release(w);
        w->net = net_free(w->net);
        uv_run(&w->loop, UV_RUN_DEFAULT);
        assert_int_equal(uv_loop_close(&w->loop), 0);
        close(w->home);
        close(w->far);
        free(w);
        return 0;
}

static size_t count(const char *const *globs) {
        size_t n = 0;

        while (globs && globs[n])
                n++;
        return n;
}

void world_open(struct world *w, const char *const *allow, const char *const *deny) {
        const struct net_config config = { .interfaces = allow,
                                           .n_interfaces = count(allow),
                                           .deny = deny,
                                           .n_deny = count(deny),
                                           .tcp = w->tcp,
                                           .secure = w->secure,
                                           .renew_ms = w->renew_ms };
        const struct net_events events = { .context = w,
                                           .datagram = on_datagram,
                                           .secure_datagram = on_secure_datagram,
                                           .next = on_next,
                                           .stream_open = on_stream_open,
                                           .stream_connected = on_stream_connected,
                                           .stream_data = on_stream_data,
                                           .stream_closed = on_stream_closed,
                                           .received = on_received,
                                           .changed = on_changed,
                                           .lost = on_lost,
                                           .notice = on_notice };

        assert_int_equal(net_new(&w->net, &w->loop, &config, &events), 0);
}

struct net_ports world_ports(struct world *w, uint16_t device, const struct net_ports *wanted) {
        struct net_ports ports;

        assert_int_equal(net_open_device(w->net, device, wanted, &ports), 0);
        assert_int_not_equal(ports.coap, 0);
        return ports;
}

uint16_t world_device(struct world *w, uint16_t device, uint16_t wanted) {
        return world_ports(w, device, &(struct net_ports){ .coap = wanted }).coap;
}

void world_start(struct world *w) {
        static const char *const cables[] = { "eth*", NULL };

        if (!w->net) {
                world_open(w, cables, NULL);
                (void)world_device(w, 0, 5683);
        }
        assert_int_equal(net_start(w->net), 0);
        world_rest(w, 5);
}

/* ---- looking ---- */

void ip_of(const char *text, uint8_t ret[static 16]) {
        memset(ret, 0, 16);
        if (inet_pton(AF_INET, text, ret + 12) == 1)
                ret[10] = ret[11] = 0xff;
        else
                assert_int_equal(inet_pton(AF_INET6, text, ret), 1);
}

bool ip_is(const uint8_t ip[static 16], const char *text) {
        uint8_t wanted[16];

        ip_of(text, wanted);
        return memcmp(ip, wanted, 16) == 0;
}

bool has_endpoint(struct world *w, uint16_t device, const char *ip) {
        const struct device_endpoint *all;
        size_t n = net_endpoints(w->net, device, &all);

        for (size_t i = 0; i < n; i++)
                if (ip_is(all[i].ip, ip))
                        return true;
        return false;
}

bool has_lost(const struct world *w, const char *ip) {
        for (size_t i = 0; i < w->n_lost; i++)
                if (w->lost[i].whole ? !ip : ip && ip_is(w->lost[i].ip, ip))
                        return true;
        return false;
}

const struct net_interface *interface_named(struct world *w, const char *name) {
        const struct net_interface *all;
        size_t n = net_interfaces(w->net, &all);

        for (size_t i = 0; i < n; i++)
                if (strcmp(all[i].name, name) == 0)
                        return &all[i];
        return NULL;
}

/* ---- sockets of others ---- */

int home_socket(int family, bool reuse, uint16_t port) {
        int fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1, error;
        struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(port) };
        struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };

        assert_true(fd >= 0);
        assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &on, sizeof(on)), 0);
        if (family == AF_INET6)
                assert_int_equal(setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)), 0);
        if (reuse)
                assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)), 0);
        if (bind(fd, family == AF_INET ? (struct sockaddr *)&v4 : (struct sockaddr *)&v6,
                 family == AF_INET ? sizeof(v4) : sizeof(v6)) == 0)
                return fd;
        error = errno;
        close(fd);
        return -error;
}

int far_socket(struct world *w, int family) {
        int fd;

        assert_int_equal(setns(w->far, CLONE_NEWNET), 0);
        fd = home_socket(family, false, 0);
        assert_int_equal(setns(w->home, CLONE_NEWNET), 0);
        assert_true(fd >= 0);
        return fd;
}

uint32_t far_index(struct world *w, const char *name) {
        uint32_t index;

        assert_int_equal(setns(w->far, CLONE_NEWNET), 0);
        index = if_nametoindex(name);
        assert_int_equal(setns(w->home, CLONE_NEWNET), 0);
        assert_int_not_equal(index, 0);
        return index;
}

static void parse(const struct sockaddr_storage *a, uint8_t ret_ip[16], uint16_t *ret_port) {
        const struct sockaddr_in *v4 = (const void *)a;
        const struct sockaddr_in6 *v6 = (const void *)a;

        if (a->ss_family == AF_INET) {
                memset(ret_ip, 0, 16);
                ret_ip[10] = ret_ip[11] = 0xff;
                memcpy(ret_ip + 12, &v4->sin_addr, 4);
                *ret_port = ntohs(v4->sin_port);
        } else {
                memcpy(ret_ip, &v6->sin6_addr, 16);
                *ret_port = ntohs(v6->sin6_port);
        }
}

uint16_t socket_port(int fd) {
        struct sockaddr_storage a;
        socklen_t n = sizeof(a);
        uint8_t ip[16];
        uint16_t port;

        assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
        parse(&a, ip, &port);
        return port;
}

static socklen_t sockaddr_of(struct sockaddr_storage *ret, const char *ip, uint16_t port,
                             uint32_t interface) {
        struct sockaddr_in *v4 = (void *)ret;
        struct sockaddr_in6 *v6 = (void *)ret;

        memset(ret, 0, sizeof(*ret));
        if (inet_pton(AF_INET, ip, &v4->sin_addr) == 1) {
                v4->sin_family = AF_INET;
                v4->sin_port = htons(port);
                return sizeof(*v4);
        }
        assert_int_equal(inet_pton(AF_INET6, ip, &v6->sin6_addr), 1);
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons(port);
        v6->sin6_scope_id = interface;
        return sizeof(*v6);
}

static int stream_from(const char *from, const char *ip, uint16_t port, uint32_t interface) {
        struct timeval patience = { .tv_sec = 2 };
        struct sockaddr_storage a, b;
        socklen_t n = sockaddr_of(&a, ip, port, interface), n_b = 0;
        int fd = socket(a.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0), error;

        assert_true(fd >= 0);
        assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)), 0);
        if (from)
                n_b = sockaddr_of(&b, from, 0, interface);
        if ((!from || bind(fd, (struct sockaddr *)&b, n_b) == 0) &&
            connect(fd, (struct sockaddr *)&a, n) == 0) {
                assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
                return fd;
        }
        error = errno;
        close(fd);
        return -error;
}

int home_stream(const char *ip, uint16_t port) {
        return stream_from(NULL, ip, port, 0);
}

int far_stream(struct world *w, const char *from, const char *ip, uint16_t port, uint32_t interface) {
        int fd;

        assert_int_equal(setns(w->far, CLONE_NEWNET), 0);
        fd = stream_from(from, ip, port, interface);
        assert_int_equal(setns(w->home, CLONE_NEWNET), 0);
        return fd;
}

ssize_t stream_read(int fd, void *buf, size_t n) {
        ssize_t r = recv(fd, buf, n, MSG_DONTWAIT);

        if (r < 0)
                return errno == EAGAIN ? 0 : -errno;
        return r ? r : -1;
}

bool try_send(int fd, const char *ip, uint16_t port, uint32_t interface, const void *data, size_t n) {
        struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(port) };
        struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
        uint8_t bytes[16];
        ssize_t r;

        ip_of(ip, bytes);
        if (ip_is_v4(bytes)) {
                struct ip_mreqn via = { .imr_ifindex = (int)interface };

                memcpy(&v4.sin_addr, bytes + 12, 4);
                if (interface)
                        assert_int_equal(setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &via, sizeof(via)), 0);
                r = sendto(fd, data, n, 0, (struct sockaddr *)&v4, sizeof(v4));
        } else {
                int via = (int)interface, hops = 8;

                memcpy(&v6.sin6_addr, bytes, 16);
                v6.sin6_scope_id = interface;
                if (interface)
                        assert_int_equal(setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, &via, sizeof(via)),
                                         0);
                assert_int_equal(setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, &hops, sizeof(hops)), 0);
                r = sendto(fd, data, n, 0, (struct sockaddr *)&v6, sizeof(v6));
        }
        return r == (ssize_t)n;
}

void send_to(int fd, const char *ip, uint16_t port, uint32_t interface, const void *data, size_t n) {
        if (!try_send(fd, ip, port, interface, data, n))
                fail_msg("cannot send to %s: %s", ip, strerror(errno));
}

size_t receive_from(int fd, uint8_t ret_ip[static 16], uint16_t *ret_port, void *buf, size_t n) {
        struct sockaddr_storage from;
        socklen_t n_from = sizeof(from);
        ssize_t r = recvfrom(fd, buf, n, MSG_DONTWAIT, (struct sockaddr *)&from, &n_from);

        if (r <= 0)
                return 0;
        parse(&from, ret_ip, ret_port);
        return (size_t)r;
}

void occupy(struct world *w, int family, bool reuse, uint16_t port) {
        int fd = home_socket(family, reuse, port);

        assert_true(fd >= 0);
        w->child = fork_idle();
        close(fd);
}

void release(struct world *w) {
        if (!w->child)
                return;
        kill(w->child, SIGKILL);
        waitpid(w->child, NULL, 0);
        w->child = 0;
}
