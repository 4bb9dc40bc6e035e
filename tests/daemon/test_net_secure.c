#include "net_world.h"

#include "daemon/net_socket.h"
#include "daemon/net_tcp.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

/* Secure ports beside the plain ones: what comes to them is told apart, and answered from them. */

static void start_host(struct world *w, bool secure, const struct net_ports *wanted, struct net_ports *ret) {
        static const char *const cables[] = { "eth*", NULL };

        w->tcp = true;
        w->secure = secure;
        w->echoes = true;
        world_cable(w, "eth0");
        run("ip addr add 192.0.2.1/24 dev eth0 && ip addr add 2001:db8::1/64 dev eth0 nodad");
        run_far(w, "ip addr add 192.0.2.2/24 dev far-eth0 && ip addr add 2001:db8::2/64 dev far-eth0 nodad");
        world_open(w, cables, NULL);
        *ret = world_ports(w, 0, wanted);
        world_start(w);
        UNTIL(w, has_endpoint(w, 0, "2001:db8::1"));
}

static void test_each_port_is_told_apart(void **state) {
        static const char *const asked[] = { "192.0.2.1", "2001:db8::1" };
        struct net_ports wanted = { .coap = 5683, .coaps = 5684 }, ports;
        struct world *w = *state;

        start_host(w, true, &wanted, &ports);
        assert_int_equal(ports.coap, 5683);
        assert_int_equal(ports.coaps, 5684);
        assert_int_equal(ports.coap_tcp, 5683);
        assert_int_equal(ports.coaps_tcp, 5684);
        for (size_t i = 0; i < 4; i++) {
                int fd = far_socket(w, i / 2 ? AF_INET6 : AF_INET);
                uint16_t port = i % 2 ? ports.coaps : ports.coap, from_port = 0;
                uint8_t ip[16], buf[64];
                size_t n = 0;

                send_to(fd, asked[i / 2], port, 0, "abc", 3);
                UNTIL(w, (n = receive_from(fd, ip, &from_port, buf, sizeof(buf))));
                assert_int_equal(from_port, port);
                assert_true(ip_is(ip, asked[i / 2]));
                assert_int_equal(n, 3);
                assert_int_equal(buf[0], i % 2 ? 'a' ^ 0x80 : 'a');
                assert_int_equal(w->datagrams[i].secure, i % 2);
                assert_int_equal(w->datagrams[i].peer.local_port, port);
                assert_int_equal(w->datagrams[i].peer.channel, 0);
                assert_int_equal(net_port_is_secure(w->net, &w->datagrams[i].peer), i % 2);
                close(fd);
        }
}

static void test_connections_say_to_which_port_they_came(void **state) {
        struct net_ports wanted = { .coap = 5683, .coaps = 5684 }, ports;
        struct world *w = *state;

        start_host(w, true, &wanted, &ports);
        for (unsigned i = 0; i < 2; i++) {
                int fd = far_stream(w, "192.0.2.2", "192.0.2.1", i ? ports.coaps_tcp : ports.coap_tcp, 0);

                assert_true(fd >= 0);
                UNTIL(w, w->n_streams == i + 1);
                assert_int_equal(w->streams[i].secure, i);
                assert_int_equal(w->streams[i].peer.local_port, i ? ports.coaps_tcp : ports.coap_tcp);
        }
}

static void test_endpoints_are_plain_first(void **state) {
        struct net_ports wanted = { .coap = 5683, .coaps = 5684 }, ports;
        const struct device_endpoint *e;
        struct world *w = *state;
        size_t n;

        start_host(w, true, &wanted, &ports);
        n = net_endpoints(w->net, 0, &e);
        assert_true(n >= 8 && n % 4 == 0);
        for (size_t i = 0; i < n; i++) {
                assert_int_equal(e[i].tcp, i / (n / 4) / 2);
                assert_int_equal(e[i].secure, i / (n / 4) % 2);
                assert_int_equal(e[i].port, e[i].secure ? 5684 : 5683);
        }
}

static void test_without_them_nothing_is_opened(void **state) {
        struct net_ports wanted = { .coap = 5683, .coaps = 5684 }, ports;
        const struct device_endpoint *e;
        struct world *w = *state;
        int fd;

        start_host(w, false, &wanted, &ports);
        assert_int_equal(ports.coaps, 0);
        assert_int_equal(ports.coaps_tcp, 0);
        fd = home_socket(AF_INET, false, 5684);
        assert_true(fd >= 0);
        close(fd);
        for (size_t i = 0, n = net_endpoints(w->net, 0, &e); i < n; i++)
                assert_false(e[i].secure);
}

static void test_a_secure_port_that_is_taken(void **state) {
        struct net_ports wanted = { .coap = 5683, .coaps = 5684 }, ports;
        struct world *w = *state;

        occupy(w, AF_INET, false, 5684);
        start_host(w, true, &wanted, &ports);
        assert_int_equal(ports.coap, 5683);
        assert_int_not_equal(ports.coaps, 5684);
        assert_int_not_equal(ports.coaps, 0);
        assert_non_null(strstr(w->port_taken, "5684"));
        assert_non_null(strstr(w->port_taken, "SecurePort=auto"));
}

static void test_long_datagrams_in_pieces(void **state) {
        static const char *const asked[] = { "192.0.2.1", "2001:db8::1" };
        static const size_t sizes[] = { 1300, 1900, 2048 + 128, 2500 };
        struct net_ports wanted = { .coap = 5683, .coaps = 5684 }, ports;
        struct world *w = *state;
        static uint8_t big[2600], buf[4096];
        size_t n_told = 0;

        start_host(w, true, &wanted, &ports);
        for (size_t i = 0; i < sizeof(big); i++)
                big[i] = (uint8_t)(i * 7);
        for (size_t f = 0; f < 2; f++)
                for (size_t k = 0; k < 4; k++) {
                        int fd = far_socket(w, f ? AF_INET6 : AF_INET);
                        uint16_t from_port = 0;
                        uint8_t ip[16];
                        size_t n = 0;

                        send_to(fd, asked[f], ports.coaps, 0, big, sizes[k]);
                        UNTIL(w, (n = receive_from(fd, ip, &from_port, buf, sizeof(buf))));
                        assert_int_equal(w->datagrams[n_told].n, sizes[k]);
                        assert_true(w->datagrams[n_told++].secure);
                        assert_int_equal(n, sizes[k]);
                        for (size_t j = 0; j < n; j++)
                                assert_int_equal(buf[j], big[j] ^ 0x80);
                        assert_int_equal(from_port, ports.coaps);
                        assert_true(ip_is(ip, asked[f]));
                        close(fd);
                }
}

static void test_an_address_has_one_share_of_both_kinds(void **state) {
        struct net_ports wanted = { .coap = 5683, .coaps = 5684 }, ports;
        struct world *w = *state;
        struct net_counts c;
        int fd;

        start_host(w, true, &wanted, &ports);
        fd = far_stream(w, "2001:db8::2", "2001:db8::1", ports.coaps_tcp, 0);
        assert_true(fd >= 0);
        UNTIL(w, w->n_streams == 1);
        assert_true(w->streams[0].secure);
        for (unsigned i = 0; i < TCP_PER_ADDRESS + 2; i++) {
                assert_true(far_stream(w, "192.0.2.2", "192.0.2.1", i % 2 ? ports.coaps_tcp : ports.coap_tcp,
                                       0) >= 0);
                world_rest(w, 5);
        }
        UNTIL(w, (net_get_counts(w->net, &c), c.n_refused == 2));
        assert_int_equal(c.n_connections, TCP_PER_ADDRESS + 1);
}

/* From where we ask: what comes back comes to just that peer. */
static void test_ways_out(void **state) {
        struct net_ports wanted = { .coap = 5683, .coaps = 5684 }, ports;
        struct world *w = *state;
        uint16_t far_port = 0, fresh = 0;
        uint8_t ip[16], buf[16];

        start_host(w, true, &wanted, &ports);
        w->echoes = false;
        for (unsigned i = 0; i < 8; i++) {
                enum net_way way = i % 4 == 3 ? NET_FRESH : (enum net_way)(i % 4);
                const char *far = i < 4 ? "192.0.2.2" : "2001:db8::2",
                           *near = i < 4 ? "192.0.2.1" : "2001:db8::1";
                struct coap_peer peer = { .interface = i < 4 ? 7 : 0 };
                int fd = far_socket(w, i < 4 ? AF_INET : AF_INET6);
                struct sockaddr_storage address;
                socklen_t n = sizeof(address);

                assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &n), 0);
                w->n_datagrams = 0;
                send_to(fd, near, 5683, 0, "x", 1); /* so that it has a port */
                assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &n), 0);
                assert_true(net_socket_parse(&address, ip, &far_port));
                ip_of(far, peer.remote_ip);
                peer.remote_port = far_port;
                assert_int_equal(net_route(w->net, 0, way, &peer), 0);
                assert_true(ip_is(peer.local_ip, near));
                assert_int_equal(peer.interface, 0);
                if (way == NET_FRESH) {
                        fresh = fresh ? fresh : peer.local_port;
                        assert_int_equal(peer.local_port, fresh); /* one for both families, and each time */
                        assert_int_not_equal(fresh, ports.coaps);
                } else {
                        assert_int_equal(peer.local_port, way == NET_CLEAR ? ports.coap : ports.coaps);
                }
                assert_int_equal(net_port_is_secure(w->net, &peer), way != NET_CLEAR);
                UNTIL(w, w->n_datagrams > 0);
                w->n_datagrams = 0;
                w->out[0] = (struct message){ .to = peer, .n = 3, .bytes = "ask" };
                w->n_out = 1;
                net_flush(w->net);
                UNTIL(w, receive_from(fd, ip, &far_port, buf, sizeof(buf)) == 3);
                assert_int_equal(far_port, peer.local_port);
                send_to(fd, near, peer.local_port, 0, "answer", 6);
                UNTIL(w, w->n_datagrams == 1);
                assert_true(coap_peer_equal(&w->datagrams[0].peer, &peer));
                assert_int_equal(w->datagrams[0].secure, way != NET_CLEAR);
                close(fd);
        }
        {
                struct coap_peer nowhere = { .remote_port = 1 };

                ip_of("203.0.113.1", nowhere.remote_ip);
                assert_int_equal(net_route(w->net, 0, NET_SECURE, &nowhere), -ENETUNREACH);
                ip_of("192.0.2.2", nowhere.remote_ip);
                assert_int_equal(net_route(w->net, 9, NET_SECURE, &nowhere), -EAFNOSUPPORT);
        }
}

static void test_two_devices_and_a_link(void **state) {
        struct net_ports wanted = { .coap = 5683, .coaps = 5684 }, ports, second, none = { 0 };
        struct world *w = *state;
        uint16_t all[4], from_port = 0;
        uint8_t ip[16], buf[16];

        start_host(w, true, &wanted, &ports);
        second = world_ports(w, 1, &none);
        UNTIL(w, has_endpoint(w, 1, "2001:db8::1"));
        all[0] = ports.coap, all[1] = ports.coaps, all[2] = second.coap, all[3] = second.coaps;
        for (unsigned i = 0; i < 4; i++) {
                int fd = far_socket(w, AF_INET);

                send_to(fd, "192.0.2.1", all[i], 0, "abc", 3);
                UNTIL(w, receive_from(fd, ip, &from_port, buf, sizeof(buf)));
                assert_int_equal(from_port, all[i]);
                assert_int_equal(w->datagrams[i].peer.device, i / 2);
                assert_int_equal(w->datagrams[i].secure, i % 2);
                close(fd);
        }
        run("ip addr add fe80::77/64 dev eth0 nodad");
        UNTIL(w, has_endpoint(w, 0, "fe80::77"));
        {
                int fd = far_socket(w, AF_INET6);

                send_to(fd, "fe80::77", ports.coaps, far_index(w, "far-eth0"), "abc", 3);
                UNTIL(w, receive_from(fd, ip, &from_port, buf, sizeof(buf)));
                assert_int_equal(from_port, ports.coaps);
                assert_true(ip_is(ip, "fe80::77"));
                assert_true(w->datagrams[4].secure && w->datagrams[4].peer.interface);
                close(fd);
                /* a group on the secure port: nobody is told */
                fd = far_socket(w, AF_INET6);
                send_to(fd, "ff02::158", ports.coaps, far_index(w, "far-eth0"), "abc", 3);
                world_rest(w, 200);
                assert_int_equal(w->n_datagrams, 5);
                close(fd);
        }
}
int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)
        const struct CMUnitTest tests[] = {
                TEST(test_each_port_is_told_apart),
                TEST(test_connections_say_to_which_port_they_came),
                TEST(test_endpoints_are_plain_first),
                TEST(test_without_them_nothing_is_opened),
                TEST(test_a_secure_port_that_is_taken),
                TEST(test_long_datagrams_in_pieces),
                TEST(test_an_address_has_one_share_of_both_kinds),
                TEST(test_ways_out),
                TEST(test_two_devices_and_a_link),
        };
        int r = world_enter();

        return r ? r : cmocka_run_group_tests(tests, NULL, NULL);
}
