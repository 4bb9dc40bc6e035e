#include "net_world.h"

#include "daemon/net_private.h"

#include <errno.h>
#include <linux/udp.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <unistd.h>

static struct net_counts counts(const struct world *w) {
        struct net_counts c;

        net_get_counts(w->net, &c);
        return c;
}

/* A cable with addresses on both ends, and a net that answers what it is told. */
static void start_host(struct world *w) {
        world_cable(w, "eth0");
        run("ip addr add 192.0.2.1/24 dev eth0 && ip addr add 192.0.2.77/24 dev eth0");
        run("ip addr add 2001:db8::1/64 dev eth0 nodad && ip addr add 2001:db8::77/64 dev eth0 nodad");
        run_far(w, "ip addr add 192.0.2.2/24 dev far-eth0 && ip addr add 2001:db8::2/64 dev far-eth0 nodad");
        w->echoes = true;
        world_start(w);
        UNTIL(w, has_endpoint(w, 0, "2001:db8::77"));
}

static void expect_answer(struct world *w, int fd, const char *from, uint16_t port, const char *text) {
        uint8_t ip[16], buf[64];
        uint16_t from_port = 0;
        size_t n = 0;

        UNTIL(w, (n = receive_from(fd, ip, &from_port, buf, sizeof(buf))));
        if (!ip_is(ip, from))
                fail_msg("the answer does not come from %s", from);
        assert_int_equal(from_port, port);
        assert_int_equal(n, strlen(text));
        assert_memory_equal(buf, text, n);
}

static void test_the_answer_comes_from_the_address_that_was_asked(void **state) {
        static const char *const asked[] = { "192.0.2.77", "192.0.2.1", "2001:db8::77", "2001:db8::1" };
        struct world *w = *state;
        int fds[2];

        start_host(w);
        fds[0] = far_socket(w, AF_INET);
        fds[1] = far_socket(w, AF_INET6);
        for (size_t i = 0; i < ARRAY_SIZE(asked); i++) {
                const struct told_datagram *d = &w->datagrams[i];

                send_to(fds[i / 2], asked[i], 5683, 0, asked[i], strlen(asked[i]));
                expect_answer(w, fds[i / 2], asked[i], 5683, asked[i]);
                assert_false(d->multicast);
                assert_true(ip_is(d->peer.local_ip, asked[i]));
                assert_true(ip_is(d->peer.remote_ip, i / 2 ? "2001:db8::2" : "192.0.2.2"));
                assert_int_equal(d->peer.remote_port, socket_port(fds[i / 2]));
                assert_int_equal(d->peer.local_port, 5683);
                assert_int_equal(d->peer.interface, 0);
                assert_int_equal(d->peer.device, 0);
                assert_int_equal(d->peer.channel, 0);
                assert_int_equal(d->peer.reserved, 0);
        }
        assert_int_equal(counts(w).n_received, 4);
        assert_int_equal(counts(w).n_sent, 4);
        assert_int_equal(counts(w).n_dropped, 0);
        close(fds[0]);
        close(fds[1]);
}

/* The same address on two cables: only the interface tells them apart. */
static void test_link_local_requests_keep_their_interface(void **state) {
        struct world *w = *state;
        int fd = far_socket(w, AF_INET6);

        w->echoes = true;
        for (int i = 0; i < 2; i++) {
                char name[8];

                snprintf(name, sizeof(name), "eth%d", i);
                world_cable(w, name);
                run("ip addr add fe80::1/64 dev %s nodad", name);
                run_far(w, "ip addr add fe80::2/64 dev far-%s nodad", name);
        }
        world_start(w);
        UNTIL(w, has_endpoint(w, 0, "fe80::1"));
        for (int i = 1; i >= 0; i--) {
                char name[8], far[16];

                snprintf(name, sizeof(name), "eth%d", i);
                snprintf(far, sizeof(far), "far-eth%d", i);
                send_to(fd, "fe80::1", 5683, far_index(w, far), name, 4);
                expect_answer(w, fd, "fe80::1", 5683, name);
                assert_int_equal(w->datagrams[w->n_datagrams - 1].peer.interface, if_nametoindex(name));
        }
        w->n_lost = 0;
        run("ip addr del fe80::1/64 dev eth1");
        UNTIL(w, has_lost(w, "fe80::1")); /* though eth0 has one of the same name */
        assert_int_equal(w->lost[0].interface, if_nametoindex("eth1"));
        close(fd);
}

/* A global address asks our link-local one: the answer needs the interface all the same. */
static void test_a_global_peer_asks_a_link_local_address(void **state) {
        struct world *w = *state;
        int fd = far_socket(w, AF_INET6), on = 1;
        struct sockaddr_in6 from = { .sin6_family = AF_INET6, .sin6_port = htons(7000) };

        start_host(w);
        run("ip addr add fe80::1/64 dev eth0 nodad");
        close(fd);
        assert_int_equal(setns(w->far, CLONE_NEWNET), 0);
        fd = socket(AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK, 0);
        ip_of("2001:db8::2", from.sin6_addr.s6_addr);
        assert_int_equal(setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)), 0);
        assert_int_equal(bind(fd, (struct sockaddr *)&from, sizeof(from)), 0);
        assert_int_equal(setns(w->home, CLONE_NEWNET), 0);
        UNTIL(w, has_endpoint(w, 0, "fe80::1"));
        send_to(fd, "fe80::1", 5683, far_index(w, "far-eth0"), "hello", 5);
        expect_answer(w, fd, "fe80::1", 5683, "hello");
        close(fd);
}

static void test_loopback_is_heard_but_not_announced(void **state) {
        struct world *w = *state;
        int fd = home_socket(AF_INET, false, 0);

        start_host(w);
        send_to(fd, "127.0.0.1", 5683, 0, "me", 2);
        expect_answer(w, fd, "127.0.0.1", 5683, "me");
        send_to(fd, "192.0.2.77", 5683, 0, "me", 2);
        expect_answer(w, fd, "192.0.2.77", 5683, "me");
        assert_false(has_endpoint(w, 0, "127.0.0.1"));
        close(fd);
}

/* ---- what is dropped, and counted ---- */

static void expect_dropped(struct world *w, uint64_t n) {
        UNTIL(w, counts(w).n_dropped == n);
        assert_int_equal(w->n_datagrams, 0);
}

static void test_longer_than_the_buffer(void **state) {
        struct world *w = *state;
        int fd = home_socket(AF_INET, false, 0);
        static uint8_t bytes[NET_DATAGRAM_MAX + 1];

        start_host(w);
        send_to(fd, "127.0.0.1", 5683, 0, bytes, sizeof(bytes));
        expect_dropped(w, 1);
        send_to(fd, "127.0.0.1", 5683, 0, bytes, sizeof(bytes) - 1);
        UNTIL(w, w->n_datagrams == 1);
        assert_int_equal(w->datagrams[0].n, NET_DATAGRAM_MAX);
        close(fd);
}

static void test_an_empty_datagram_is_one(void **state) {
        struct world *w = *state;
        int fd = home_socket(AF_INET6, false, 0);

        start_host(w);
        send_to(fd, "::1", 5683, 0, "", 0);
        UNTIL(w, w->n_datagrams == 1);
        assert_int_equal(w->datagrams[0].n, 0);
        close(fd);
}

/* A smurf: one question, answers from everybody. */
static void test_a_broadcast(void **state) {
        struct world *w = *state;
        int fd = far_socket(w, AF_INET);

        start_host(w);
        send_to(fd, "192.0.2.255", 5683, 0, "all", 3);
        expect_dropped(w, 1);
        close(fd);
}

/* An answer to port 0 cannot be sent; nobody honest sends from it. */
static void test_source_port_0(void **state) {
        struct world *w = *state;
        struct {
                struct udphdr header;
                char data[4];
        } packet = { .header = { .dest = htons(5683), .len = htons(12) }, .data = "evil" };
        int fd;

        start_host(w);
        assert_int_equal(setns(w->far, CLONE_NEWNET), 0);
        fd = socket(AF_INET, SOCK_RAW | SOCK_NONBLOCK, IPPROTO_UDP);
        assert_int_equal(setns(w->home, CLONE_NEWNET), 0);
        assert_true(fd >= 0);
        send_to(fd, "192.0.2.1", 0, 0, &packet, sizeof(packet));
        expect_dropped(w, 1);
        close(fd);
}

static void test_a_denied_interface(void **state) {
        static const char *const deny[] = { "eth1", NULL }, *const allow[] = { "eth*", NULL };
        struct world *w = *state;
        int fd = far_socket(w, AF_INET);

        world_cable(w, "eth1");
        run("ip addr add 192.0.2.1/24 dev eth1");
        run_far(w, "ip addr add 192.0.2.2/24 dev far-eth1");
        world_open(w, allow, deny);
        (void)world_device(w, 0, 5683);
        world_start(w);
        assert_string_equal(interface_named(w, "eth1")->reason, "DenyInterfaces= names it");
        send_to(fd, "192.0.2.1", 5683, 0, "in", 2);
        expect_dropped(w, 1);
        send_to(fd, "224.0.1.187", 5683, far_index(w, "far-eth1"), "in", 2);
        world_rest(w, 50);
        assert_int_equal(w->n_datagrams, 0);
        close(fd);
}

/* ---- sending ---- */

static void post(struct world *w, const char *to, const char *from, uint16_t port, const char *text) {
        struct message *m = &w->out[w->n_out++];

        *m = (struct message){ .to = { .remote_port = port, .local_port = 5683 }, .n = strlen(text) };
        ip_of(to, m->to.remote_ip);
        ip_of(from, m->to.local_ip);
        memcpy(m->bytes, text, m->n);
}

static void test_what_cannot_be_sent_stops_nothing(void **state) {
        struct world *w = *state;
        int fd = far_socket(w, AF_INET);

        start_host(w);
        for (unsigned i = 0; i < 3; i++) {
                post(w, "203.0.113.9", "192.0.2.1", 9, "no route");
                post(w, "192.0.2.2", "198.51.100.1", socket_port(fd), "not ours");
                post(w, "192.0.2.2", "192.0.2.1", socket_port(fd), "good");
        }
        w->out[0].to.device = 9; /* no such device: nothing to send it from */
        net_flush(w->net);
        for (unsigned i = 0; i < 3; i++)
                expect_answer(w, fd, "192.0.2.1", 5683, "good");
        assert_int_equal(counts(w).n_send_errors, 6);
        assert_int_equal(counts(w).n_sent, 3);
        close(fd);
}

/* A neighbour who does not answer ARP yet: the socket fills up, and goes on when it is there. */
static void test_a_full_socket_goes_on_by_itself(void **state) {
        struct world *w = *state;
        int fd, tiny = 1;
        char text[16];

        start_host(w);
        fd = far_socket(w, AF_INET);
        assert_int_equal(
                setsockopt(w->net->devices[0].sockets[0][0]->fd, SOL_SOCKET, SO_SNDBUF, &tiny, sizeof(tiny)),
                0);
        for (unsigned i = 0; i < 60; i++) {
                snprintf(text, sizeof(text), "%u", i);
                post(w, "192.0.2.99", "192.0.2.1", socket_port(fd), text);
        }
        net_flush(w->net);
        assert_true(w->net->devices[0].sockets[0][0]->wants_write);
        assert_true(counts(w).n_sent < 60);
        run_far(w, "ip addr add 192.0.2.99/24 dev far-eth0");
        for (unsigned i = 0; i < 60; i++) {
                snprintf(text, sizeof(text), "%u", i);
                expect_answer(w, fd, "192.0.2.1", 5683, text);
        }
        assert_int_equal(counts(w).n_sent, 60);
        assert_int_equal(counts(w).n_send_errors, 0);
        assert_false(w->net->devices[0].sockets[0][0]->wants_write);
        close(fd);
}

/* More than a batch, both ways, and nothing is mixed up. */
static void test_many_at_once(void **state) {
        struct world *w = *state;
        int fd = home_socket(AF_INET6, false, 0);
        uint8_t ip[16];
        uint16_t port;
        char text[16];

        start_host(w);
        for (unsigned round = 0; round < 20; round++) {
                for (unsigned i = 0; i < 50; i++)
                        send_to(fd, "::1", 5683, 0, text,
                                (size_t)snprintf(text, sizeof(text), "%u", round * 50 + i));
                for (unsigned i = 0; i < 50; i++) {
                        char buf[16] = "";

                        UNTIL(w, receive_from(fd, ip, &port, buf, sizeof(buf) - 1));
                        snprintf(text, sizeof(text), "%u", round * 50 + i);
                        assert_string_equal(buf, text);
                }
        }
        assert_int_equal(counts(w).n_sent, 1000);
        close(fd);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)
        const struct CMUnitTest tests[] = {
                TEST(test_the_answer_comes_from_the_address_that_was_asked),
                TEST(test_link_local_requests_keep_their_interface),
                TEST(test_a_global_peer_asks_a_link_local_address),
                TEST(test_loopback_is_heard_but_not_announced),
                TEST(test_longer_than_the_buffer),
                TEST(test_an_empty_datagram_is_one),
                TEST(test_a_broadcast),
                TEST(test_source_port_0),
                TEST(test_a_denied_interface),
                TEST(test_what_cannot_be_sent_stops_nothing),
                TEST(test_a_full_socket_goes_on_by_itself),
                TEST(test_many_at_once),
        };
        int r = world_enter();

        return r ? r : cmocka_run_group_tests(tests, NULL, NULL);
}
