#include "net_world.h"

#include "daemon/net_private.h"
#include "daemon/net_socket.h"

#include <net/if.h>
#include <stdio.h>
#include <unistd.h>

/* Can the far host find us by multicast over this cable? Asks until it is heard. */
static bool is_found(struct world *w, int fd, const char *name) {
        char far[32];
        size_t before = w->n_datagrams;

        snprintf(far, sizeof(far), "far-%s", name);
        (void)try_send(fd, "ff02::158", 5683, far_index(w, far), "found?", 6); /* may have no route yet */
        world_rest(w, 20);
        return w->n_datagrams > before;
}

static size_t n_groups(const struct world *w) {
        size_t n = 0;

        LIST_FOR_EACH(i, &w->net->groups)
        n++;
        return n;
}

static void test_no_interface_at_boot(void **state) {
        struct world *w = *state;
        const struct device_endpoint *endpoints;
        int fd;

        world_start(w);
        assert_int_equal(net_endpoints(w->net, 0, &endpoints), 0);
        assert_string_equal(interface_named(w, "lo")->reason, "Interfaces= does not name it");
        world_cable(w, "eth0");
        run("ip addr add 192.0.2.1/24 dev eth0");
        UNTIL(w, has_endpoint(w, 0, "192.0.2.1"));
        fd = far_socket(w, AF_INET6);
        UNTIL(w, is_found(w, fd, "eth0"));
        close(fd);
}

static void test_an_interface_comes_and_goes(void **state) {
        struct world *w = *state;
        int fd = far_socket(w, AF_INET6);

        world_start(w);
        for (int i = 0; i < 3; i++) {
                w->n_lost = 0;
                world_cable(w, "eth0");
                run("ip addr add 192.0.2.1/24 dev eth0");
                UNTIL(w, has_endpoint(w, 0, "192.0.2.1"));
                UNTIL(w, is_found(w, fd, "eth0"));
                assert_int_equal(n_groups(w), NET_GROUPS);
                run("ip link del eth0");
                UNTIL(w, has_lost(w, "192.0.2.1") && has_lost(w, NULL));
                assert_false(has_endpoint(w, 0, "192.0.2.1"));
                assert_int_equal(n_groups(w), 0);
                assert_null(interface_named(w, "eth0"));
        }
        close(fd);
}

/* Users' pain 10: it must neither storm nor lose its groups. */
static void test_a_link_that_flaps_a_hundred_times(void **state) {
        struct world *w = *state;
        int fd = far_socket(w, AF_INET6);
        uint64_t begun_ms;

        world_cable(w, "eth0");
        run("ip addr add 192.0.2.1/24 dev eth0");
        world_start(w);
        begun_ms = world_now_ms();
        w->n_changed = 0;
        for (int i = 0; i < 100; i++) {
                run("ip link set eth0 down; ip link set eth0 up");
                world_turn(w);
        }
        UNTIL(w, interface_named(w, "eth0")->used && is_found(w, fd, "eth0"));
        world_rest(w, 300);
        assert_true(w->n_changed <= (world_now_ms() - begun_ms) / 200 + 1);
        assert_int_equal(n_groups(w), NET_GROUPS);
        assert_false(has_lost(w, "192.0.2.1")); /* the kernel kept it all the time */
        assert_true(has_endpoint(w, 0, "192.0.2.1"));
        close(fd);
}

static void test_an_address_is_swapped(void **state) {
        struct world *w = *state;

        world_cable(w, "eth0");
        run("ip addr add 192.0.2.1/24 dev eth0 && ip addr add 198.51.100.1/24 dev eth0");
        world_start(w);
        assert_true(has_endpoint(w, 0, "192.0.2.1"));
        run("ip addr del 192.0.2.1/24 dev eth0 && ip addr add 192.0.2.2/24 dev eth0");
        UNTIL(w, has_endpoint(w, 0, "192.0.2.2"));
        assert_false(has_endpoint(w, 0, "192.0.2.1"));
        assert_int_equal(w->n_lost, 1);
        assert_true(has_lost(w, "192.0.2.1"));
        assert_true(has_endpoint(w, 0, "198.51.100.1"));
}

/* As when a bridge is put over the interface: peers notice nothing. */
static void test_an_address_moves_to_another_interface(void **state) {
        struct world *w = *state;

        world_cable(w, "eth0");
        world_cable(w, "eth1");
        run("ip addr add 192.0.2.1/24 dev eth0 && ip addr add 192.0.2.9/24 dev eth0");
        world_start(w);
        run("ip addr flush dev eth0 scope global && ip addr add 192.0.2.1/24 dev eth1");
        UNTIL(w, has_lost(w, "192.0.2.9"));
        assert_false(has_lost(w, "192.0.2.1"));
        assert_true(has_endpoint(w, 0, "192.0.2.1"));
}

static void test_a_renamed_interface(void **state) {
        struct world *w = *state;
        int fd = far_socket(w, AF_INET6);

        world_cable(w, "eth0");
        run("ip addr add 192.0.2.1/24 dev eth0");
        world_start(w);
        run("ip link set eth0 down && ip link set eth0 name lan0 && ip link set lan0 up");
        UNTIL(w, interface_named(w, "lan0") && !has_endpoint(w, 0, "192.0.2.1"));
        assert_string_equal(interface_named(w, "lan0")->reason, "Interfaces= does not name it");
        assert_int_equal(n_groups(w), 0);
        run("ip link set lan0 down && ip link set lan0 name eth7 && ip link set eth7 up");
        UNTIL(w, has_endpoint(w, 0, "192.0.2.1"));
        run_far(w,
                "ip link set far-eth0 down && ip link set far-eth0 name far-eth7 && ip link set far-eth7 up");
        UNTIL(w, is_found(w, fd, "eth7"));
        assert_false(has_lost(w, "192.0.2.1"));
        close(fd);
}

/* No carrier: not announced; but what was under way goes on when it is plugged in again. */
static void test_a_cable_is_pulled(void **state) {
        struct world *w = *state;

        world_cable(w, "eth0");
        run("ip addr add 192.0.2.1/24 dev eth0");
        world_start(w);
        run_far(w, "ip link set far-eth0 down");
        UNTIL(w, !has_endpoint(w, 0, "192.0.2.1"));
        assert_string_equal(interface_named(w, "eth0")->reason, "it has no carrier");
        run_far(w, "ip link set far-eth0 up");
        UNTIL(w, has_endpoint(w, 0, "192.0.2.1"));
        assert_int_equal(w->n_lost, 0);
}

static void test_a_deprecated_address_serves_those_who_know_it(void **state) {
        struct world *w = *state;

        world_cable(w, "eth0");
        run("ip addr add 2001:db8::1/64 dev eth0 nodad && ip addr add 2001:db8::2/64 dev eth0 nodad");
        world_start(w);
        UNTIL(w, has_endpoint(w, 0, "2001:db8::1") && has_endpoint(w, 0, "2001:db8::2"));
        run("ip addr change 2001:db8::1/64 dev eth0 preferred_lft 0");
        UNTIL(w, !has_endpoint(w, 0, "2001:db8::1"));
        assert_int_equal(w->n_lost, 0);
        assert_true(has_endpoint(w, 0, "2001:db8::2"));
        run("ip addr del 2001:db8::1/64 dev eth0");
        UNTIL(w, has_lost(w, "2001:db8::1"));
}

/* Within one debounce: the groups were joined on the one that is gone. */
static void test_an_index_comes_back_as_another_interface(void **state) {
        struct world *w = *state;
        int fd = far_socket(w, AF_INET6);

        world_cable_with(w, "eth0", "index 77");
        run("ip addr add 192.0.2.1/24 dev eth0");
        world_start(w);
        assert_int_equal(n_groups(w), NET_GROUPS);
        run("ip link del eth0");
        world_cable_with(w, "eth0", "index 77");
        run("ip addr add 192.0.2.1/24 dev eth0");
        assert_int_equal(if_nametoindex("eth0"), 77);
        UNTIL(w, is_found(w, fd, "eth0"));
        assert_int_equal(n_groups(w), NET_GROUPS);
        close(fd);
}

static size_t netlink_sockets(int ret[4]) {
        size_t n = 0;

        for (int fd = 3; fd < 64; fd++) {
                int protocol = -1, domain = -1;
                socklen_t n_int = sizeof(int);

                (void)getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &n_int);
                (void)getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &n_int);
                if (domain == AF_NETLINK && protocol == 0 && n < 4)
                        ret[n++] = fd;
        }
        return n;
}

static void storm(const char *verb, int from, int to) {
        run("for i in $(seq %d %d); do echo addr %s 10.9.$((i / 250)).$((i %% 250 + 1))/32 dev eth0; done | "
            "ip "
            "-batch -",
            from, to, verb);
}

/* More than its socket holds: all of it is asked for again, and what comes later is heard as well. */
static void test_netlink_overflows(void **state) {
        struct world *w = *state;
        struct net_counts counts;
        int fds[4], tiny = 1;

        world_cable(w, "eth0");
        run("ip addr add 192.0.2.1/24 dev eth0");
        world_start(w);
        assert_int_equal(netlink_sockets(fds), 1);
        assert_int_equal(setsockopt(fds[0], SOL_SOCKET, SO_RCVBUF, &tiny, sizeof(tiny)), 0);
        for (unsigned round = 1; round <= 3; round++) {
                storm("add", 0, 400);
                run("ip addr del 192.0.2.1/24 dev eth0");
                UNTIL(w, has_endpoint(w, 0, "10.9.1.151") && !has_endpoint(w, 0, "192.0.2.1"));
                net_get_counts(w->net, &counts);
                assert_true(counts.n_resyncs >= round);
                assert_true(has_endpoint(w, 0, "10.9.0.1"));
                storm("del", 0, 400);
                run("ip addr add 192.0.2.1/24 dev eth0");
                UNTIL(w, !has_endpoint(w, 0, "10.9.0.1") && has_endpoint(w, 0, "192.0.2.1"));
        }
        run("ip link add eth5 type veth peer name other && ip link set other up && ip link set eth5 up && ip "
            "addr add 203.0.113.5/24 dev eth5");
        UNTIL(w, has_endpoint(w, 0, "203.0.113.5"));
        assert_non_null(interface_named(w, "lo"));
        assert_true(interface_named(w, "eth0")->used);
}

static void test_freed_in_the_middle_of_it(void **state) {
        struct world *w = *state;

        world_cable(w, "eth0");
        run("ip addr add 192.0.2.1/24 dev eth0");
        world_start(w);
        run("ip addr add 192.0.2.2/24 dev eth0");
        world_rest(w, 10); /* the debounce is running: world_teardown() does the rest */
        assert_false(has_endpoint(w, 0, "192.0.2.2"));
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)
        const struct CMUnitTest tests[] = {
                TEST(test_no_interface_at_boot),
                TEST(test_an_interface_comes_and_goes),
                TEST(test_a_link_that_flaps_a_hundred_times),
                TEST(test_an_address_is_swapped),
                TEST(test_an_address_moves_to_another_interface),
                TEST(test_a_renamed_interface),
                TEST(test_a_cable_is_pulled),
                TEST(test_a_deprecated_address_serves_those_who_know_it),
                TEST(test_an_index_comes_back_as_another_interface),
                TEST(test_netlink_overflows),
                TEST(test_freed_in_the_middle_of_it),
        };
        int r = world_enter();

        return r ? r : cmocka_run_group_tests(tests, NULL, NULL);
}
