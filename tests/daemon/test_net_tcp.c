#include "net_world.h"

#include "daemon/net_tcp.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

/* Who may connect, and who stays connected. */

static struct net_counts counts(const struct world *w) {
        struct net_counts c;

        net_get_counts(w->net, &c);
        return c;
}

static size_t n_opened(const struct world *w) {
        size_t n = 0;

        for (size_t i = 0; i < w->n_streams; i++)
                n += w->streams[i].what == STREAM_OPEN;
        return n;
}

/* Of who came last. */
static const struct coap_peer *last_peer(const struct world *w) {
        static const struct coap_peer nobody;

        for (size_t i = w->n_streams; i--;)
                if (w->streams[i].what == STREAM_OPEN)
                        return &w->streams[i].peer;
        fail_msg("nobody came");
        return &nobody;
}

static void start_host(struct world *w) {
        static const char *const cables[] = { "eth*", NULL };

        w->tcp = true;
        world_cable(w, "eth0");
        run("ip addr add 192.0.2.1/24 dev eth0 && ip addr add 192.0.2.77/24 dev eth0");
        run("ip addr add 2001:db8::1/64 dev eth0 nodad && ip addr add 2001:db8:1::1/64 dev eth0 nodad");
        run("ip addr add fe80::1/64 dev eth0 nodad");
        run_far(w, "ip addr add 192.0.2.2/24 dev far-eth0 && ip addr add 192.0.2.3/24 dev far-eth0");
        run_far(w,
                "ip addr add 2001:db8::2/64 dev far-eth0 nodad && ip addr add 2001:db8::3/64 dev far-eth0");
        run_far(w, "ip addr add 2001:db8:1::2/64 dev far-eth0 nodad");
        run_far(w, "ip addr add fe80::2/64 dev far-eth0 nodad && ip addr add fe80::3/64 dev far-eth0 nodad");
        if (!w->net) {
                world_open(w, cables, NULL);
                (void)world_device(w, 0, 5683);
        }
        world_start(w);
        UNTIL(w, has_endpoint(w, 0, "fe80::1"));
}

/* Refused means: connected by the kernel, and reset by us before anything was said. */
static bool is_reset(int fd) {
        char byte;

        return stream_read(fd, &byte, 1) == -ECONNRESET;
}

static void expect_refused(struct world *w, int fd) {
        size_t before = n_opened(w);

        assert_true(fd >= 0);
        UNTIL(w, is_reset(fd));
        assert_int_equal(n_opened(w), before);
        close(fd);
}

static int expect_accepted(struct world *w, int fd) {
        size_t before = n_opened(w);

        if (fd < 0)
                fail_msg("no connection: %s", strerror(-fd));
        UNTIL(w, n_opened(w) > before);
        assert_int_equal(n_opened(w), before + 1);
        return fd;
}

/* ---- who it is ---- */

static void test_the_peer_is_told(void **state) {
        static const struct {
                const char *from, *to;
                bool link_local;
        } cases[] = {
                { "192.0.2.2", "192.0.2.77", false },
                { "2001:db8::2", "2001:db8::1", false },
                { "fe80::2", "fe80::1", true },
                { "2001:db8::2", "fe80::1", true },
        };
        struct world *w = *state;
        uint32_t last = 0;

        start_host(w);
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                uint32_t far = far_index(w, "far-eth0");
                int fd = expect_accepted(w, far_stream(w, cases[i].from, cases[i].to, 5683, far));
                const struct coap_peer *p = last_peer(w);

                assert_true(ip_is(p->remote_ip, cases[i].from));
                assert_true(ip_is(p->local_ip, cases[i].to));
                assert_int_equal(p->remote_port, socket_port(fd));
                assert_int_equal(p->local_port, 5683);
                assert_int_equal(p->interface, cases[i].link_local ? if_nametoindex("eth0") : 0);
                assert_int_equal(p->device, 0);
                assert_true(p->stream);
                assert_int_equal(p->reserved, 0);
                assert_int_not_equal(p->channel, 0);
                assert_int_not_equal(p->channel, last);
                last = p->channel;
                close(fd);
        }
}

/* This machine talks to itself by whichever address it likes. */
static void test_from_our_own_host(void **state) {
        static const char *const asked[] = { "127.0.0.1", "192.0.2.77", "::1", "2001:db8::1" };
        struct world *w = *state;

        start_host(w);
        for (size_t i = 0; i < ARRAY_SIZE(asked); i++) {
                int fd = expect_accepted(w, home_stream(asked[i], 5683));

                assert_true(ip_is(last_peer(w)->local_ip, asked[i]));
                assert_int_equal(last_peer(w)->interface, 0);
                close(fd);
        }
}

static void test_a_connection_belongs_to_the_device_whose_port_it_is(void **state) {
        struct world *w = *state;
        static const char *const none[] = { NULL };
        uint16_t port;
        int fd;

        w->tcp = true;
        world_open(w, none, NULL);
        (void)world_device(w, 0, 5683);
        port = world_device(w, 1, 0);
        world_start(w);
        fd = expect_accepted(w, home_stream("127.0.0.1", port));
        assert_int_equal(last_peer(w)->device, 1);
        assert_int_equal(last_peer(w)->local_port, port);
        close(fd);
        fd = expect_accepted(w, home_stream("::1", 5683));
        assert_int_equal(last_peer(w)->device, 0);
        close(fd);
}

/* Neither with the next connection, nor when the table has been used up and begins anew. */
static void test_numbers_do_not_come_again_soon(void **state) {
        struct world *w = *state;

        start_host(w);
        for (size_t i = 0; i < 16; i++) {
                size_t before = w->n_streams;

                if (i % 4 == 0)
                        w->net->tcp->next_slot = TCP_CONNECTIONS_MAX - 2;
                close(expect_accepted(w, home_stream("127.0.0.1", 5683)));
                UNTIL(w, w->n_streams == before + 2);
                assert_int_equal(w->streams[before + 1].what, STREAM_CLOSED);
                assert_memory_equal(&w->streams[before].peer, &w->streams[before + 1].peer,
                                    sizeof(struct coap_peer));
                for (size_t j = 0; j < before; j += 2)
                        assert_int_not_equal(w->streams[j].peer.channel, w->streams[before].peer.channel);
        }
        UNTIL(w, counts(w).n_connections == 0);
        assert_int_equal(counts(w).n_accepted, 16);
}

/* ---- ports ---- */

static size_t n_tcp_endpoints(struct world *w, uint16_t *ret_port) {
        const struct device_endpoint *all;
        size_t n = net_endpoints(w->net, 0, &all), n_tcp = 0;

        for (size_t i = 0; i < n; i++) {
                assert_true(all[i].tcp || !n_tcp); /* after those of UDP */
                if (all[i].tcp) {
                        *ret_port = all[i].port;
                        n_tcp++;
                }
        }
        assert_true(!n_tcp || n == 2 * n_tcp);
        return n_tcp;
}

static void test_a_port_that_somebody_has(void **state) {
        struct world *w = *state;
        int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0); /* of both families */
        struct sockaddr_in6 any = { .sin6_family = AF_INET6, .sin6_port = htons(5683) };
        uint16_t port = 0;

        assert_int_equal(bind(fd, (struct sockaddr *)&any, sizeof(any)), 0);
        assert_int_equal(listen(fd, 1), 0);
        start_host(w);
        assert_true(n_tcp_endpoints(w, &port));
        assert_int_not_equal(port, 5683);
        close(expect_accepted(w, home_stream("127.0.0.1", port)));
        close(expect_accepted(w, home_stream("::1", port)));
        assert_string_equal(w->port_taken, ""); /* UDP has it */
        assert_string_equal(w->no_tcp, "");
        close(fd);
}

static void test_the_same_port_as_udp_even_after_a_restart(void **state) {
        static const char *const cables[] = { "eth*", NULL };
        struct world *w = *state;
        uint16_t port = 0;
        int fd;

        start_host(w);
        assert_true(n_tcp_endpoints(w, &port));
        assert_int_equal(port, 5683);
        fd = expect_accepted(w, home_stream("127.0.0.1", 5683));
        w->net = net_free(w->net); /* we close first: our side is what lingers in the kernel */
        world_rest(w, 20);
        close(fd);
        world_open(w, cables, NULL);
        (void)world_device(w, 0, 5683);
        world_start(w);
        assert_true(n_tcp_endpoints(w, &port));
        assert_int_equal(port, 5683);
}

static void test_nobody_listens_unless_it_is_wanted(void **state) {
        struct world *w = *state;
        uint16_t port;

        world_start(w);
        assert_int_equal(home_stream("127.0.0.1", 5683), -ECONNREFUSED);
        assert_int_equal(n_tcp_endpoints(w, &port), 0);
}

/* ---- limits ---- */

static void test_one_address_has_its_share(void **state) {
        struct world *w = *state;
        int fds[TCP_PER_ADDRESS];

        start_host(w);
        for (size_t i = 0; i < TCP_PER_ADDRESS; i++)
                fds[i] = expect_accepted(w, far_stream(w, "192.0.2.2", "192.0.2.1", 5683, 0));
        expect_refused(w, far_stream(w, "192.0.2.2", "192.0.2.77", 5683, 0));
        assert_int_equal(counts(w).n_refused, 1);
        assert_int_equal(counts(w).n_connections, TCP_PER_ADDRESS);
        close(expect_accepted(w, far_stream(w, "192.0.2.3", "192.0.2.1", 5683, 0)));
        close(fds[3]);
        UNTIL(w, counts(w).n_connections == TCP_PER_ADDRESS - 1);
        fds[3] = expect_accepted(w, far_stream(w, "192.0.2.2", "192.0.2.1", 5683, 0));
        for (size_t i = 0; i < TCP_PER_ADDRESS; i++)
                close(fds[i]);
}

/* A host has as many addresses of its /64 as it likes; link-local ones are hosts. */
static void test_a_network_of_ipv6_is_one_address(void **state) {
        struct world *w = *state;
        uint32_t far;
        int fds[6];

        start_host(w);
        far = far_index(w, "far-eth0");
        w->net->tcp->n_max_per_address = 2;
        fds[0] = expect_accepted(w, far_stream(w, "2001:db8::2", "2001:db8::1", 5683, 0));
        fds[1] = expect_accepted(w, far_stream(w, "2001:db8::3", "2001:db8::1", 5683, 0));
        expect_refused(w, far_stream(w, "2001:db8::3", "2001:db8::1", 5683, 0));
        fds[2] = expect_accepted(w, far_stream(w, "2001:db8:1::2", "2001:db8::1", 5683, 0));
        fds[3] = expect_accepted(w, far_stream(w, "fe80::2", "fe80::1", 5683, far));
        fds[4] = expect_accepted(w, far_stream(w, "fe80::2", "fe80::1", 5683, far));
        expect_refused(w, far_stream(w, "fe80::2", "fe80::1", 5683, far));
        fds[5] = expect_accepted(w, far_stream(w, "fe80::3", "fe80::1", 5683, far));
        for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
                close(fds[i]);
}

/* Idle ones make room when it is short, the oldest first; none goes that was just used. */
static void test_a_full_table(void **state) {
        struct world *w = *state;
        uint32_t channels[4];
        int fds[5];

        start_host(w);
        assert_true(w->net->tcp->n_max >= 512);
        w->net->tcp->n_max = 4;
        for (size_t i = 0; i < 4; i++) {
                fds[i] = expect_accepted(w, home_stream("127.0.0.1", 5683));
                channels[i] = last_peer(w)->channel;
        }
        expect_refused(w, home_stream("127.0.0.1", 5683));
        for (size_t i = 0; i < 3; i++) /* the time of 10 minutes is turned back, the second one's most */
                net_tcp_find(w->net->tcp, &w->streams[i].peer)->active_ms -= TCP_IDLE_MS + (i == 1 ? 2 : 1);
        uv_update_time(&w->loop);
        assert_int_equal(send(fds[1], "x", 1, MSG_NOSIGNAL), 1);
        UNTIL(w, w->n_bytes == 1); /* now it is no longer idle */
        fds[4] = home_stream("127.0.0.1", 5683);
        UNTIL(w, w->n_streams == 6);
        assert_int_equal(w->streams[4].what, STREAM_CLOSED);
        assert_true(w->streams[4].peer.channel == channels[0] || w->streams[4].peer.channel == channels[2]);
        assert_int_equal(w->streams[5].what, STREAM_OPEN);
        assert_int_equal(counts(w).n_connections, 4);
        for (size_t i = 0; i < 5; i++)
                close(fds[i]);
}

static void test_the_endpoint_may_refuse(void **state) {
        struct world *w = *state;

        start_host(w);
        w->refuses = true;
        expect_refused(w, home_stream("127.0.0.1", 5683));
        assert_int_equal(w->n_streams, 0);
        assert_int_equal(counts(w).n_connections, 0);
        assert_int_equal(counts(w).n_refused, 1);
        w->refuses = false;
        close(expect_accepted(w, home_stream("127.0.0.1", 5683)));
}

/* It counts descriptors itself, and only after the kernel has given one. */
static void skip_under_valgrind(void) {
        const char *preload = getenv("LD_PRELOAD");

        if (preload && strstr(preload, "vgpreload"))
                skip();
}

static rlim_t limit_descriptors(rlim_t n) {
        struct rlimit limit;
        rlim_t before;

        assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
        before = limit.rlim_cur;
        limit.rlim_cur = n;
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
        return before;
}

static rlim_t next_descriptor(void) {
        int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

        assert_true(fd >= 0);
        close(fd);
        return (rlim_t)fd;
}

static void test_out_of_descriptors(void **state) {
        struct world *w = *state;
        rlim_t before;
        int fds[3];

        skip_under_valgrind();
        start_host(w);
        for (size_t i = 0; i < 3; i++)
                fds[i] = home_stream("127.0.0.1", 5683);
        before = limit_descriptors(next_descriptor() + 1); /* one of the three gets in */
        UNTIL(w, counts(w).n_refused == 2);
        assert_int_equal(w->n_streams, 1);
        assert_true(is_reset(fds[1]) && is_reset(fds[2]));
        assert_true(w->net->tcp->spare_fd >= 0);
        (void)limit_descriptors(before);
        close(expect_accepted(w, home_stream("127.0.0.1", 5683)));
        for (size_t i = 0; i < 3; i++)
                close(fds[i]);
}

/* The spare one is gone, too: connections wait, and we do not spin. */
static void test_out_of_descriptors_and_the_spare_one_too(void **state) {
        struct world *w = *state;
        rlim_t before;
        int fd;

        skip_under_valgrind();
        start_host(w);
        fd = home_stream("127.0.0.1", 5683);
        close(w->net->tcp->spare_fd);
        w->net->tcp->spare_fd = -1;
        before = limit_descriptors(next_descriptor());
        UNTIL(w, uv_is_active((uv_handle_t *)&w->net->tcp->pause));
        world_rest(w, 20);
        assert_int_equal(w->n_streams, 0);
        assert_false(uv_is_active((uv_handle_t *)&w->net->devices[0].listeners[0][0]->poll));
        (void)limit_descriptors(before);
        UNTIL(w, w->n_streams == 1);
        assert_true(w->net->tcp->spare_fd >= 0);
        close(fd);
}

static void test_no_descriptor_for_a_listener(void **state) {
        static const char *const cables[] = { "eth*", NULL };
        struct world *w = *state;
        rlim_t before;

        w->tcp = true;
        world_open(w, cables, NULL);
        before = limit_descriptors(next_descriptor() + 2); /* UDP has them */
        (void)world_device(w, 0, 5683);
        (void)limit_descriptors(before);
        assert_non_null(
                strstr(w->no_tcp, "CoAP over TCP does not work: Too many open files. Clients that use UDP"));
        assert_string_equal(w->no_tls, "");
        assert_int_equal(home_stream("127.0.0.1", 5683), -ECONNREFUSED);
}

static void test_no_descriptor_for_the_secure_listener(void **state) {
        static const char *const cables[] = { "eth*", NULL };
        struct world *w = *state;
        rlim_t before;

        w->tcp = w->secure = true;
        world_open(w, cables, NULL);
        before = limit_descriptors(next_descriptor() + 6); /* the others have them */
        (void)world_device(w, 0, 5683);
        (void)limit_descriptors(before);
        assert_non_null(
                strstr(w->no_tls, "CoAP over TLS does not work: Too many open files. Clients that use DTLS"));
        assert_string_equal(w->no_tcp, "");
        close(home_stream("127.0.0.1", 5683));
}

/* ---- interfaces ---- */

static void test_a_denied_interface(void **state) {
        static const char *const deny[] = { "eth1", NULL }, *const allow[] = { "eth*", NULL };
        struct world *w = *state;

        w->tcp = true;
        world_open(w, allow, deny);
        (void)world_device(w, 0, 5683);
        world_cable(w, "eth1");
        run("ip addr add 198.51.100.1/24 dev eth1 && ip addr add 2001:db8:9::1/64 dev eth1 nodad");
        run_far(w, "ip addr add 198.51.100.2/24 dev far-eth1");
        run_far(w, "ip addr add 2001:db8:9::2/64 dev far-eth1 nodad");
        start_host(w);
        expect_refused(w, far_stream(w, NULL, "198.51.100.1", 5683, 0));
        expect_refused(w, far_stream(w, NULL, "2001:db8:9::1", 5683, 0));
        /* It is the interface that counts, not whose address was asked. */
        run_far(w, "ip route add 192.0.2.77/32 via 198.51.100.1 dev far-eth1");
        expect_refused(w, far_stream(w, "198.51.100.2", "192.0.2.77", 5683, 0));
        close(expect_accepted(w, far_stream(w, "192.0.2.2", "192.0.2.1", 5683, 0)));
}

static void test_an_interface_that_becomes_denied(void **state) {
        static const char *const deny[] = { "*bad", NULL };
        struct world *w = *state;
        int fd;

        w->tcp = true;
        world_open(w, (const char *const[]){ "eth*", NULL }, deny);
        (void)world_device(w, 0, 5683);
        start_host(w);
        fd = expect_accepted(w, far_stream(w, "192.0.2.2", "192.0.2.1", 5683, 0));
        run("ip link set eth0 down");
        world_rest(w, 400); /* a cable that is out ends nothing */
        assert_int_equal(w->n_streams, 1);
        run("ip link set eth0 name eth0bad && ip link set eth0bad up");
        UNTIL(w, w->n_streams == 2);
        assert_int_equal(w->streams[1].what, STREAM_CLOSED);
        close(fd);
}

static void test_an_address_that_goes(void **state) {
        struct world *w = *state;
        int fds[2];

        start_host(w);
        fds[0] = expect_accepted(w, far_stream(w, "192.0.2.2", "192.0.2.1", 5683, 0));
        fds[1] = expect_accepted(w, far_stream(w, "2001:db8::2", "2001:db8::1", 5683, 0));
        run("ip addr del 2001:db8::1/64 dev eth0");
        UNTIL(w, w->n_streams == 3);
        assert_int_equal(w->streams[2].what, STREAM_CLOSED);
        assert_memory_equal(&w->streams[2].peer, &w->streams[1].peer, sizeof(struct coap_peer));
        assert_int_equal(counts(w).n_connections, 1);
        close(fds[0]);
        close(fds[1]);
}

static void test_an_interface_that_goes(void **state) {
        struct world *w = *state;
        int fds[3];

        start_host(w);
        fds[0] = expect_accepted(w, far_stream(w, "192.0.2.2", "192.0.2.1", 5683, 0));
        fds[1] = expect_accepted(w, far_stream(w, "fe80::2", "fe80::1", 5683, far_index(w, "far-eth0")));
        fds[2] = expect_accepted(w, home_stream("127.0.0.1", 5683));
        run("ip link del eth0");
        UNTIL(w, w->n_streams == 5);
        assert_int_equal(counts(w).n_connections, 1); /* that of the loopback */
        assert_true(has_lost(w, "192.0.2.1"));
        for (size_t i = 0; i < 3; i++)
                close(fds[i]);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)
        const struct CMUnitTest tests[] = {
                TEST(test_the_peer_is_told),
                TEST(test_from_our_own_host),
                TEST(test_a_connection_belongs_to_the_device_whose_port_it_is),
                TEST(test_numbers_do_not_come_again_soon),
                TEST(test_a_port_that_somebody_has),
                TEST(test_the_same_port_as_udp_even_after_a_restart),
                TEST(test_nobody_listens_unless_it_is_wanted),
                TEST(test_one_address_has_its_share),
                TEST(test_a_network_of_ipv6_is_one_address),
                TEST(test_a_full_table),
                TEST(test_the_endpoint_may_refuse),
                TEST(test_out_of_descriptors),
                TEST(test_out_of_descriptors_and_the_spare_one_too),
                TEST(test_no_descriptor_for_a_listener),
                TEST(test_no_descriptor_for_the_secure_listener),
                TEST(test_a_denied_interface),
                TEST(test_an_interface_that_becomes_denied),
                TEST(test_an_address_that_goes),
                TEST(test_an_interface_that_goes),
        };
        int r = world_enter();

        return r ? r : cmocka_run_group_tests(tests, NULL, NULL);
}
