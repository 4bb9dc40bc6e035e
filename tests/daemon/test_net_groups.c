#include "net_world.h"

#include "daemon/net_private.h"
#include "daemon/net_socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <unistd.h>

static const char *const groups[] = { "224.0.1.187", "ff02::158", "ff03::158", "ff05::158" };

static void two_cables(struct world *w) {
        for (int i = 0; i < 2; i++) {
                char name[8];

                snprintf(name, sizeof(name), "eth%d", i);
                world_cable(w, name);
                run("ip addr add 192.0.%d.1/24 dev %s && ip addr add 10.%d.0.1/8 dev %s", i, name, i, name);
                run("ip addr add fe80::%d:1/64 dev %s nodad", i, name);
                run_far(w,
                        "ip addr add 192.0.%d.2/24 dev far-%s && ip addr add fe80::%d:2/64 dev far-%s nodad",
                        i, name, i, name);
        }
}

static size_t told_multicasts(const struct world *w) {
        size_t n = 0;

        for (size_t i = 0; i < w->n_datagrams; i++)
                n += w->datagrams[i].multicast;
        return n;
}

/* Two interfaces, two devices: once for each device, as if it had been asked at its address there. */
static void test_each_device_hears_a_multicast_once(void **state) {
        static const char *const allow[] = { "eth*", NULL };
        struct world *w = *state;
        struct net_counts counts;
        uint16_t ports[2];
        int fds[2];

        two_cables(w);
        world_open(w, allow, NULL);
        ports[0] = world_device(w, 0, 5683);
        ports[1] = world_device(w, 1, 0);
        assert_int_equal(ports[0], 5683);
        assert_int_not_equal(ports[1], 5683);
        world_start(w);
        UNTIL(w, has_endpoint(w, 1, "fe80::1:1") && has_endpoint(w, 1, "192.0.1.1"));
        fds[0] = far_socket(w, AF_INET);
        fds[1] = far_socket(w, AF_INET6);
        for (unsigned i = 0; i < 2; i++) {
                char far[16], near[16];

                snprintf(far, sizeof(far), "far-eth%u", i);
                snprintf(near, sizeof(near), "eth%u", i);
                for (size_t g = 0; g < ARRAY_SIZE(groups); g++) {
                        w->n_datagrams = 0;
                        send_to(fds[g > 0], groups[g], 5683, far_index(w, far), "who?", 4);
                        UNTIL(w, w->n_datagrams >= 2);
                        world_rest(w, 10);
                        assert_int_equal(w->n_datagrams, 2);
                        for (uint16_t d = 0; d < 2; d++) {
                                const struct told_datagram *t = &w->datagrams[d];
                                const struct net_interface *l = interface_named(w, near);
                                char local[INET6_ADDRSTRLEN];
                                bool found = false;

                                assert_true(t->multicast);
                                assert_int_equal(t->peer.device, d);
                                assert_int_equal(t->peer.local_port, ports[d]);
                                assert_int_equal(t->peer.interface, if_nametoindex(near));
                                snprintf(local, sizeof(local), "192.0.%u.1", i);
                                if (g == 0) /* not 10.x.0.1, which is further from the peer */
                                        assert_true(ip_is(t->peer.local_ip, local));
                                for (size_t j = 0; j < l->n_addresses; j++)
                                        found = found || ip_is(t->peer.local_ip, l->addresses[j]);
                                assert_true(found);
                        }
                }
        }
        net_get_counts(w->net, &counts);
        assert_int_equal(counts.n_dropped, 0); /* the kernel's copies for the other interface are no loss */
        assert_int_equal(counts.n_received, 8);
        close(fds[0]);
        close(fds[1]);
}

/* Asked by group, answered from the device's own port. */
static void test_the_answer_to_a_multicast(void **state) {
        struct world *w = *state;
        uint8_t ip[16], buf[8];
        uint16_t port = 0;
        int fds[2];

        two_cables(w);
        w->echoes = true;
        world_start(w);
        UNTIL(w, has_endpoint(w, 0, "fe80::1:1") && has_endpoint(w, 0, "192.0.1.1"));
        fds[0] = far_socket(w, AF_INET);
        fds[1] = far_socket(w, AF_INET6);
        for (size_t g = 0; g < ARRAY_SIZE(groups); g++) {
                send_to(fds[g > 0], groups[g], 5683, far_index(w, "far-eth1"), "who?", 4);
                UNTIL(w, receive_from(fds[g > 0], ip, &port, buf, sizeof(buf)));
                assert_int_equal(port, 5683);
                assert_memory_equal(ip, w->datagrams[w->n_datagrams - 1].peer.local_ip, 16);
        }
        close(fds[0]);
        close(fds[1]);
}

/* Groups that others on this host have joined are no business of ours, nor is a group's port by unicast. */
static void test_a_group_of_somebody_else(void **state) {
        struct ip_mreqn other = { .imr_multiaddr.s_addr = htonl(0xe00000fb) };
        struct world *w = *state;
        int fd, neighbour = home_socket(AF_INET, true, 5353);

        two_cables(w);
        world_start(w);
        other.imr_ifindex = (int)if_nametoindex("eth0");
        assert_int_equal(setsockopt(neighbour, IPPROTO_IP, IP_ADD_MEMBERSHIP, &other, sizeof(other)), 0);
        fd = far_socket(w, AF_INET);
        send_to(fd, "224.0.0.251", 5683, far_index(w, "far-eth0"), "who?", 4);
        world_rest(w, 50);
        assert_int_equal(w->n_datagrams, 0);
        close(fd);
        close(neighbour);
}

static void test_a_thief_who_comes_later(void **state) {
        struct world *w = *state;

        two_cables(w);
        world_start(w);
        for (int i = 0; i < 2; i++) {
                assert_int_equal(home_socket(AF_INET, false, 5683), -EADDRINUSE);
                assert_int_equal(home_socket(AF_INET, true, 5683), -EADDRINUSE);
                assert_int_equal(home_socket(AF_INET6, false, 5683), -EADDRINUSE);
                assert_int_equal(home_socket(AF_INET6, true, 5683), -EADDRINUSE);
                world_cable(w, "eth2"); /* our groups are opened again meanwhile */
                run("ip addr add 192.0.5.1/24 dev eth2");
                UNTIL(w, has_endpoint(w, 0, "192.0.5.1"));
                run("ip link del eth2");
                UNTIL(w, has_lost(w, "192.0.5.1"));
                w->n_lost = 0;
        }
}

/* ---- 5683 is taken ---- */

static void expect_holder(const struct world *w, const char *text) {
        char pid[32];

        snprintf(pid, sizeof(pid), "pid %d, ", (int)w->child);
        assert_non_null(strstr(text, "UDP port 5683 is held by user "));
        assert_non_null(strstr(text, pid)); /* we may see it: it is our own child */
}

static bool hears(struct world *w, int fd, const char *group) {
        size_t before = told_multicasts(w);

        (void)try_send(fd, group, 5683, far_index(w, "far-eth0"), "who?", 4);
        world_rest(w, 30);
        return told_multicasts(w) > before;
}

static void test_taken_by_one_who_shares_with_nobody(void **state) {
        static const char *const allow[] = { "eth*", NULL };
        struct world *w = *state;
        int fds[2];
        uint16_t port;

        occupy(w, AF_INET, false, 5683);
        two_cables(w);
        world_open(w, allow, NULL);
        port = world_device(w, 0, 5683);
        assert_int_not_equal(port, 5683);
        expect_holder(w, w->port_taken);
        world_start(w);
        UNTIL(w, has_endpoint(w, 0, "fe80::1:1"));
        expect_holder(w, w->no_multicast);
        assert_non_null(strstr(w->no_multicast, "Multicast discovery over IPv4 does not work"));
        fds[0] = far_socket(w, AF_INET);
        fds[1] = far_socket(w, AF_INET6);
        assert_true(hears(w, fds[1], "ff02::158"));
        assert_false(hears(w, fds[0], "224.0.1.187"));
        send_to(fds[0], "192.0.0.1", port, 0, "by address", 10);
        UNTIL(w, w->n_datagrams && !w->datagrams[w->n_datagrams - 1].multicast);

        release(w); /* it goes: the next attempt heals it, without any change of interfaces */
        uv_timer_set_repeat(&w->net->retry, 20);
        uv_timer_again(&w->net->retry);
        UNTIL(w, !*w->no_multicast);
        assert_true(hears(w, fds[0], "224.0.1.187"));
        assert_int_equal(w->datagrams[w->n_datagrams - 1].peer.local_port, port);
        close(fds[0]);
        close(fds[1]);
}

static void test_taken_by_one_who_shares(void **state) {
        static const char *const allow[] = { "eth*", NULL };
        struct world *w = *state;
        int fds[2];

        occupy(w, AF_INET6, true, 5683);
        two_cables(w);
        world_open(w, allow, NULL);
        assert_int_not_equal(world_device(w, 0, 5683), 5683); /* a port of one family is none */
        expect_holder(w, w->port_taken);
        world_start(w);
        UNTIL(w, has_endpoint(w, 0, "fe80::1:1"));
        assert_string_equal(w->no_multicast, "");
        fds[0] = far_socket(w, AF_INET);
        fds[1] = far_socket(w, AF_INET6);
        assert_true(hears(w, fds[0], "224.0.1.187"));
        assert_true(hears(w, fds[1], "ff02::158"));
        close(fds[0]);
        close(fds[1]);
}

/* What we hold ourselves is not whom we complain about. */
static void test_taken_in_ipv6_only(void **state) {
        static const char *const allow[] = { "eth*", NULL };
        struct world *w = *state;

        occupy(w, AF_INET6, false, 5683);
        two_cables(w);
        world_open(w, allow, NULL);
        (void)world_device(w, 0, 5683);
        world_start(w);
        UNTIL(w, has_endpoint(w, 0, "fe80::1:1"));
        world_rest(w, 300);
        assert_non_null(strstr(w->no_multicast, "Multicast discovery over IPv6 does not work"));
        expect_holder(w, w->no_multicast);
}

/* ---- ports ---- */

static void test_both_families_share_a_port(void **state) {
        static const char *const allow[] = { "eth*", NULL };
        struct world *w = *state;

        world_open(w, allow, NULL);
        for (uint16_t i = 0; i < 20; i++) {
                uint16_t port = world_device(w, i, 0);

                for (int j = 0; j < 2; j++)
                        assert_int_equal(net_socket_port(w->net->devices[i].sockets[0][j]->fd), port);
        }
        assert_string_equal(w->port_taken, "");
        world_start(w);
}

static void test_another_port_than_5683_is_taken(void **state) {
        static const char *const allow[] = { "eth*", NULL };
        struct world *w = *state;

        occupy(w, AF_INET, true, 45000);
        world_open(w, allow, NULL);
        assert_int_not_equal(world_device(w, 0, 45000), 45000);
        assert_non_null(strstr(w->port_taken, "UDP port 45000 is held by user "));
}

static void test_a_device_opened_later(void **state) {
        struct world *w = *state;
        const struct device_endpoint *none;

        two_cables(w);
        world_start(w);
        assert_int_equal(net_endpoints(w->net, 1, &none), 0);
        (void)world_device(w, 1, 0);
        assert_true(has_endpoint(w, 1, "192.0.0.1"));
}

static void test_loopback_that_is_named(void **state) {
        static const char *const allow[] = { "lo", NULL };
        struct sockaddr_in from = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        struct world *w = *state;
        int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

        assert_int_equal(bind(fd, (struct sockaddr *)&from, sizeof(from)), 0); /* lo chooses none by itself */
        world_open(w, allow, NULL);
        (void)world_device(w, 0, 5683);
        world_start(w);
        assert_true(has_endpoint(w, 0, "127.0.0.1") && has_endpoint(w, 0, "::1"));
        assert_string_equal(w->no_multicast, "");
        send_to(fd, "224.0.1.187", 5683, if_nametoindex("lo"), "who?", 4);
        UNTIL(w, told_multicasts(w) == 1);
        assert_true(ip_is(w->datagrams[0].peer.local_ip, "127.0.0.1"));
        close(fd);
}

static void test_a_host_without_ipv6(void **state) {
        struct world *w = *state;
        const struct device_endpoint *all;
        int fd = far_socket(w, AF_INET);

        run("echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6");
        run("echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6");
        world_cable(w, "eth0");
        run("ip addr add 192.0.2.1/24 dev eth0");
        run_far(w, "ip addr add 192.0.2.2/24 dev far-eth0");
        world_start(w);
        assert_int_equal(net_endpoints(w->net, 0, &all), 1);
        assert_string_equal(w->no_multicast, "");
        assert_string_equal(w->port_taken, "");
        UNTIL(w, hears(w, fd, "224.0.1.187"));
        close(fd);
}

static void test_a_host_without_ipv4(void **state) {
        struct world *w = *state;
        const struct device_endpoint *all;
        size_t n;
        int fd = far_socket(w, AF_INET6);

        world_cable(w, "eth0");
        run("ip addr add 2001:db8::1/64 dev eth0 nodad");
        world_start(w);
        n = net_endpoints(w->net, 0, &all);
        assert_true(n >= 1);
        for (size_t i = 0; i < n; i++)
                assert_int_not_equal(all[i].ip[0], 0);
        assert_string_equal(w->no_multicast, "");
        UNTIL(w, hears(w, fd, "ff05::158"));
        close(fd);
}

/* What the switch between us sees: an IGMPv3 report about discovery's group (RFC 3376, 4.2). 0: none waits;
 * else the type of its record: 3, we have left; 4, we are there. */
static int next_report(int fd) {
        uint8_t b[256];
        ssize_t n;

        while ((n = recv(fd, b, sizeof(b), MSG_DONTWAIT)) > 0) {
                size_t header = (size_t)(b[0] & 15) * 4;
                uint8_t group[4] = { 224, 0, 1, 187 };

                if (b[0] >> 4 == 4 && b[9] == 2 && (size_t)n >= header + 16 && b[header] == 0x22 &&
                    memcmp(b + header + 12, group, 4) == 0)
                        return b[header + 8];
        }
        return 0;
}

static void test_memberships_are_renewed(void **state) {
        struct world *w = *state;
        int n_reports = 0, fd, far;

        two_cables(w);
        w->renew_ms = 800;
        assert_int_equal(setns(w->far, CLONE_NEWNET), 0);
        fd = socket(AF_INET, SOCK_RAW | SOCK_NONBLOCK, IPPROTO_IGMP);
        assert_int_equal(setns(w->home, CLONE_NEWNET), 0);
        assert_true(fd >= 0);
        { /* IGMPv3 reports go to a group of their own */
                struct ip_mreqn m = { .imr_ifindex = (int)far_index(w, "far-eth0") };

                inet_pton(AF_INET, "224.0.0.22", &m.imr_multiaddr);
                assert_int_equal(setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &m, sizeof(m)), 0);
        }
        world_start(w);
        far = far_socket(w, AF_INET);
        /* A join is reported twice (RFC 3376, 8.1): whatever comes beyond is of another one. */
        UNTIL(w, (n_reports += next_report(fd) == 4) >= 4);
        w->n_datagrams = 0;
        send_to(far, groups[0], 5683, far_index(w, "far-eth0"), "who?", 4);
        UNTIL(w, told_multicasts(w) >= 1);
        close(fd);
        close(far);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)
        const struct CMUnitTest tests[] = {
                TEST(test_each_device_hears_a_multicast_once),
                TEST(test_the_answer_to_a_multicast),
                TEST(test_a_group_of_somebody_else),
                TEST(test_a_thief_who_comes_later),
                TEST(test_taken_by_one_who_shares_with_nobody),
                TEST(test_taken_by_one_who_shares),
                TEST(test_taken_in_ipv6_only),
                TEST(test_both_families_share_a_port),
                TEST(test_another_port_than_5683_is_taken),
                TEST(test_a_device_opened_later),
                TEST(test_loopback_that_is_named),
                TEST(test_memberships_are_renewed),
                TEST(test_a_host_without_ipv6),
                TEST(test_a_host_without_ipv4),
        };
        int r = world_enter();

        return r ? r : cmocka_run_group_tests(tests, NULL, NULL);
}
