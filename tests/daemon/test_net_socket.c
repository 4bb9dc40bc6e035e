#include "../unit.h"

#include "daemon/net_socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <unistd.h>

static void ip_of(const char *text, uint8_t ret[16]) {
        memset(ret, 0, 16);
        if (strchr(text, ':')) {
                assert_int_equal(inet_pton(AF_INET6, text, ret), 1);
                return;
        }
        ret[10] = ret[11] = 0xff;
        assert_int_equal(inet_pton(AF_INET, text, ret + 12), 1);
}

static void test_addresses_there_and_back(void **state) {
        static const char *const texts[] = { "192.0.2.1", "0.0.0.0", "2001:db8::1", "fe80::1", "::1", "::" };

        for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
                struct sockaddr_storage a;
                uint8_t ip[16], back[16];
                uint16_t port = 0;
                socklen_t n;

                ip_of(texts[i], ip);
                n = net_socket_address(&a, ip, 5683, 3);
                assert_int_equal(n, strchr(texts[i], ':') ? sizeof(struct sockaddr_in6)
                                                          : sizeof(struct sockaddr_in));
                assert_true(net_socket_parse(&a, back, &port));
                assert_memory_equal(ip, back, 16);
                assert_int_equal(port, 5683);
        }
}

/* It would be taken for an IPv4 peer, and answered over IPv4. */
static void test_ipv4_in_disguise(void **state) {
        struct sockaddr_storage a = { .ss_family = AF_INET6 };
        uint8_t ip[16];
        uint16_t port;

        ip_of("192.0.2.1", ((struct sockaddr_in6 *)&a)->sin6_addr.s6_addr);
        assert_false(net_socket_parse(&a, ip, &port));
        a.ss_family = AF_UNIX;
        assert_false(net_socket_parse(&a, ip, &port));
}

struct control {
        struct msghdr header;
        uint8_t bytes[NET_CONTROL_MAX] __attribute__((aligned(16)));
};

static void put(struct control *c, int level, int type, const void *data, size_t n) {
        struct cmsghdr *h;

        *c = (struct control){ 0 };
        c->header.msg_control = c->bytes;
        c->header.msg_controllen = CMSG_SPACE(n);
        h = CMSG_FIRSTHDR(&c->header);
        h->cmsg_level = level;
        h->cmsg_type = type;
        h->cmsg_len = CMSG_LEN(n);
        memcpy(CMSG_DATA(h), data, n);
}

static bool destination_v4(const char *asked, const char *ours, uint8_t ret[16]) {
        struct in_pktinfo info = { .ipi_ifindex = 7 };
        uint32_t interface = 0;
        struct control c;
        bool good;

        inet_pton(AF_INET, asked, &info.ipi_addr);
        inet_pton(AF_INET, ours, &info.ipi_spec_dst);
        put(&c, IPPROTO_IP, IP_PKTINFO, &info, sizeof(info));
        good = net_socket_destination(&c.header, ret, &interface);
        assert_int_equal(interface, good ? 7 : 0);
        return good;
}

static void test_who_was_asked(void **state) {
        uint8_t ip[16], wanted[16];

        assert_true(destination_v4("192.0.2.77", "192.0.2.77", ip));
        ip_of("192.0.2.77", wanted);
        assert_memory_equal(ip, wanted, 16);
        assert_true(destination_v4("224.0.1.187", "192.0.2.1", ip));
        ip_of("224.0.1.187", wanted);
        assert_memory_equal(ip, wanted, 16);
        assert_false(destination_v4("192.0.2.255", "192.0.2.1", ip));
        assert_false(destination_v4("255.255.255.255", "192.0.2.1", ip));
}

static void test_nobody_says_who_was_asked(void **state) {
        struct msghdr none = { 0 };
        uint32_t interface;
        struct control c;
        uint8_t ip[16];
        int ttl = 64;

        assert_false(net_socket_destination(&none, ip, &interface));
        put(&c, IPPROTO_IP, IP_TTL, &ttl, sizeof(ttl));
        assert_false(net_socket_destination(&c.header, ip, &interface));
}

/* What is sent from an address reads, on its way, as having been sent to it. */
static void test_the_source_that_is_set(void **state) {
        static const char *const locals[] = { "192.0.2.77", "2001:db8::77", "fe80::1" };

        for (size_t i = 0; i < ARRAY_SIZE(locals); i++) {
                struct coap_peer to = { .interface = i == 2 ? 9 : 0 };
                struct control c = { 0 };
                struct cmsghdr *h;

                ip_of(locals[i], to.local_ip);
                ip_of(i ? "2001:db8::2" : "192.0.2.2", to.remote_ip);
                net_socket_set_source(&c.header, c.bytes, &to);
                assert_true(c.header.msg_controllen <= NET_CONTROL_MAX);
                h = CMSG_FIRSTHDR(&c.header);
                if (i == 0) {
                        struct in_pktinfo info;

                        memcpy(&info, CMSG_DATA(h), sizeof(info));
                        assert_memory_equal(&info.ipi_spec_dst, to.local_ip + 12, 4);
                        assert_int_equal(info.ipi_ifindex, 0);
                } else {
                        uint32_t interface = 0;
                        uint8_t ip[16];

                        assert_true(net_socket_destination(&c.header, ip, &interface));
                        assert_memory_equal(ip, to.local_ip, 16);
                        assert_int_equal(interface, to.interface);
                }
        }
}

/* ---- TCP ---- */

static void test_who_connected(void **state) {
        struct sockaddr_in to = { .sin_family = AF_INET };
        int listener = net_socket_listen(AF_INET, 0), fd, accepted, on = 0;
        socklen_t n = sizeof(on);
        struct coap_peer peer = { 0 };
        uint32_t interface = 0;
        uint8_t ip[16];

        assert_true(listener >= 0);
        assert_int_equal(net_socket_accept(listener), -EAGAIN);
        assert_int_equal(inet_pton(AF_INET, "127.0.0.1", &to.sin_addr), 1);
        to.sin_port = htons(net_socket_port(listener));
        fd = socket(AF_INET, SOCK_STREAM, 0);
        assert_false(net_socket_connected(fd, &peer, &interface));
        assert_int_equal(peer.stream, 0);
        assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
        accepted = net_socket_accept(listener);
        assert_true(accepted >= 0);
        assert_true(net_socket_connected(accepted, &peer, &interface));
        ip_of("127.0.0.1", ip);
        assert_memory_equal(peer.remote_ip, ip, 16);
        assert_memory_equal(peer.local_ip, ip, 16);
        assert_int_equal(peer.remote_port, net_socket_port(fd));
        assert_int_equal(peer.local_port, net_socket_port(listener));
        assert_true(peer.stream);
        assert_int_equal(interface, if_nametoindex("lo"));
        assert_int_equal(getsockopt(accepted, IPPROTO_TCP, TCP_NODELAY, &on, &n), 0);
        assert_true(on);
        net_socket_reset(accepted);
        assert_int_equal(recv(fd, &on, 1, 0), -1);
        assert_int_equal(errno, ECONNRESET);
        close(fd);
        close(listener);
}

static void test_a_port_that_is_listened_at(void **state) {
        int listener = net_socket_listen(AF_INET6, 0), fds[2] = { -2, -2 };
        uint16_t port = net_socket_port(listener);

        assert_true(listener >= 0);
        assert_int_equal(net_socket_listen(AF_INET6, port), -EADDRINUSE);
        assert_int_equal(net_socket_pair(net_socket_listen, port, fds), -EADDRINUSE);
        assert_int_equal(fds[0], -2);
        close(listener);
        assert_int_equal(net_socket_pair(net_socket_listen, port, fds), 0); /* IPv4 was not left open */
        assert_int_equal(net_socket_port(fds[0]), port);
        assert_int_equal(net_socket_port(fds[1]), port);
        close(fds[0]);
        close(fds[1]);
}

/* What befell one connection is no reason not to take the next; to have no room is. */
static void test_whose_error_it_is(void **state) {
        static const int theirs[] = { ECONNABORTED, EPROTO, EHOSTUNREACH, EPERM, EINTR };
        static const int ours[] = { EMFILE, ENFILE, ENOMEM, ENOBUFS };

        for (size_t i = 0; i < ARRAY_SIZE(theirs); i++)
                assert_true(net_socket_accept_goes_on(-theirs[i]));
        for (size_t i = 0; i < ARRAY_SIZE(ours); i++)
                assert_false(net_socket_accept_goes_on(-ours[i]));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_addresses_there_and_back),
                cmocka_unit_test(test_ipv4_in_disguise),
                cmocka_unit_test(test_who_was_asked),
                cmocka_unit_test(test_nobody_says_who_was_asked),
                cmocka_unit_test(test_the_source_that_is_set),
                cmocka_unit_test(test_who_connected),
                cmocka_unit_test(test_a_port_that_is_listened_at),
                cmocka_unit_test(test_whose_error_it_is),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
