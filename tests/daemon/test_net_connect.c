#include "net_world.h"

#include "daemon/net_socket.h"
#include "daemon/net_tcp.h"

#include <errno.h>
#include <unistd.h>

/* Connections that we begin: they stand, or are refused, or are taken back, and each of it is told once. */

static struct coap_peer at(const char *ip, uint16_t port, uint32_t interface) {
        struct coap_peer peer = { .remote_port = port, .interface = interface };

        ip_of(ip, peer.remote_ip);
        return peer;
}

static void start_host(struct world *w) {
        static const char *const cables[] = { "eth*", NULL };

        w->tcp = true;
        world_open(w, cables, NULL);
        (void)world_device(w, 0, 5683);
        world_start(w);
}

/* Somebody who listens, on our own host. */
static int listen_at_home(uint16_t *ret_port) {
        int fd = net_socket_listen(AF_INET, 0);

        assert_true(fd >= 0);
        *ret_port = net_socket_port(fd);
        return fd;
}

static int take(struct world *w, int listener) {
        int fd = -1;

        UNTIL(w, (fd = net_socket_accept(listener)) >= 0);
        return fd;
}

static void test_bytes_go_both_ways(void **state) {
        for (int secure = 0; secure < 2; secure++) {
                struct world *w = *state;
                struct coap_peer peer;
                char buf[16] = "";
                uint16_t port;
                int listener, fd;

                if (!secure)
                        start_host(w);
                w->n_streams = w->n_bytes = 0;
                listener = listen_at_home(&port);
                peer = at("127.0.0.1", port, 0);
                assert_int_equal(net_connect(w->net, 0, secure, &peer), 0);
                assert_true(peer.stream);
                assert_int_not_equal(peer.channel, 0);
                assert_int_equal(w->n_streams, 0); /* not before it has returned */
                fd = take(w, listener);
                UNTIL(w, w->n_streams == 1);
                assert_int_equal(w->streams[0].what, STREAM_CONNECTED);
                assert_int_equal(w->streams[0].error, 0);
                assert_int_equal(w->streams[0].secure, secure);
                assert_int_equal(w->streams[0].peer.channel, peer.channel);
                assert_true(ip_is(w->streams[0].peer.local_ip, "127.0.0.1"));
                assert_int_not_equal(w->streams[0].peer.local_port, 0);

                assert_int_equal(send(fd, "hello", 5, MSG_NOSIGNAL), 5);
                UNTIL(w, w->n_bytes == 5);
                w->out[w->n_out++] = (struct message){ .to = w->streams[0].peer, .n = 3, .bytes = "you" };
                net_flush(w->net);
                UNTIL(w, stream_read(fd, buf, sizeof(buf)) == 3);
                assert_string_equal(buf, "you");
                close(fd);
                UNTIL(w, w->n_streams == 2);
                assert_int_equal(w->streams[1].what, STREAM_CLOSED);
                assert_int_equal(net_port_is_secure(w->net, &w->streams[1].peer), secure);
                close(listener);
        }
}

static void test_nobody_listens(void **state) {
        struct world *w = *state;
        struct net_counts counts;
        struct coap_peer peer;
        uint16_t port;
        int listener;

        start_host(w);
        listener = listen_at_home(&port);
        close(listener);
        peer = at("127.0.0.1", port, 0);
        assert_int_equal(net_connect(w->net, 0, false, &peer), 0);
        UNTIL(w, w->n_streams == 1);
        assert_int_equal(w->streams[0].what, STREAM_CONNECTED);
        assert_int_equal(w->streams[0].error, ECONNREFUSED);
        assert_int_equal(w->streams[0].peer.channel, peer.channel);
        assert_null(net_tcp_find(w->net->tcp, &peer));
        net_get_counts(w->net, &counts);
        assert_int_equal(counts.n_connections, 0);
}

static void test_taken_back_while_nobody_answers(void **state) {
        struct world *w = *state;
        struct coap_peer peer;

        world_cable(w, "eth0");
        run("ip addr add 192.0.2.1/24 dev eth0");
        start_host(w);
        peer = at("192.0.2.9", 5683, 0); /* nobody is there */
        assert_int_equal(net_connect(w->net, 0, false, &peer), 0);
        world_rest(w, 50);
        assert_int_equal(w->n_streams, 0);
        net_close_stream(w->net, &peer);
        assert_null(net_tcp_find(w->net->tcp, &peer));
        world_rest(w, 50);
        assert_int_equal(w->n_streams, 0);
}

static void test_not_wanted_any_more(void **state) {
        struct world *w = *state;
        struct coap_peer peer;
        char buf[4];
        uint16_t port;
        int listener, fd;

        start_host(w);
        listener = listen_at_home(&port);
        w->refuses = true;
        peer = at("127.0.0.1", port, 0);
        assert_int_equal(net_connect(w->net, 0, false, &peer), 0);
        fd = take(w, listener);
        UNTIL(w, w->n_streams == 1);
        UNTIL(w, stream_read(fd, buf, sizeof(buf)) == -ECONNRESET);
        assert_int_equal(w->n_streams, 1);
        close(fd);
        close(listener);
}

static void test_by_an_interface_that_is_left_alone(void **state) {
        struct world *w = *state;
        struct coap_peer peer;
        uint16_t port;
        int listener;

        world_cable(w, "side0");
        run("ip addr add 192.0.2.1/24 dev side0");
        start_host(w);
        listener = listen_at_home(&port);
        peer = at("192.0.2.1", port, 0);
        assert_int_equal(net_connect(w->net, 0, false, &peer), 0);
        UNTIL(w, w->n_streams == 1);
        assert_int_equal(w->streams[0].error, ENETUNREACH);
        close(listener);
}

static void test_link_local(void **state) {
        struct world *w = *state;
        struct coap_peer peer;
        uint32_t interface;

        world_cable(w, "eth0");
        run("ip addr add fe80::1/64 dev eth0 nodad");
        run_far(w, "ip addr add fe80::2/64 dev far-eth0 nodad");
        start_host(w);
        UNTIL(w, interface_named(w, "eth0") && interface_named(w, "eth0")->used);
        interface = interface_named(w, "eth0")->index;
        peer = at("fe80::2", 9, interface);
        assert_int_equal(net_connect(w->net, 0, false, &peer), 0);
        UNTIL(w, w->n_streams == 1);
        assert_int_equal(w->streams[0].error, ECONNREFUSED); /* it is there, and says so */
        assert_int_equal(w->streams[0].peer.interface, interface);
        peer = at("fe80::2", 9, 0);
        assert_true(net_connect(w->net, 0, false, &peer) < 0);
}

static void test_freed_meanwhile(void **state) {
        struct world *w = *state;
        struct coap_peer peer;
        uint16_t port;
        int listener;

        start_host(w);
        listener = listen_at_home(&port);
        peer = at("127.0.0.1", port, 0);
        assert_int_equal(net_connect(w->net, 0, false, &peer), 0);
        w->net = net_free(w->net);
        world_rest(w, 20);
        assert_int_equal(w->n_streams, 0);
        close(listener);
}

static void test_a_table_that_is_full(void **state) {
        struct world *w = *state;
        struct coap_peer peer, more;
        uint16_t port;
        int listener;

        start_host(w);
        listener = listen_at_home(&port);
        w->net->tcp->n_max = 1;
        peer = more = at("127.0.0.1", port, 0);
        assert_int_equal(net_connect(w->net, 0, false, &peer), 0);
        assert_int_equal(net_connect(w->net, 0, false, &more), -ENOBUFS);
        close(listener);
}

static void test_without_connections(void **state) {
        struct world *w = *state;
        struct coap_peer peer = at("127.0.0.1", 5683, 0);

        world_start(w);
        assert_int_equal(net_connect(w->net, 0, false, &peer), -EAFNOSUPPORT);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)
        const struct CMUnitTest tests[] = {
                TEST(test_bytes_go_both_ways),
                TEST(test_nobody_listens),
                TEST(test_taken_back_while_nobody_answers),
                TEST(test_not_wanted_any_more),
                TEST(test_by_an_interface_that_is_left_alone),
                TEST(test_link_local),
                TEST(test_freed_meanwhile),
                TEST(test_a_table_that_is_full),
                TEST(test_without_connections),
        };
        int r = world_enter();

        return r ? r : cmocka_run_group_tests(tests, NULL, NULL);
}
