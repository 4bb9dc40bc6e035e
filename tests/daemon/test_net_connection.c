#include "net_world.h"

#include "daemon/net_tcp.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <unistd.h>

/* The bytes of connections: whole and in order, whatever the kernel makes of them, and never too many. */

static struct net_counts counts(const struct world *w) {
        struct net_counts c;

        net_get_counts(w->net, &c);
        return c;
}

static void start_host(struct world *w) {
        static const char *const none[] = { NULL };

        w->tcp = true;
        world_open(w, none, NULL);
        (void)world_device(w, 0, 5683);
        world_start(w);
}

static int start_with_one(struct world *w) {
        int fd;

        start_host(w);
        fd = home_stream("127.0.0.1", 5683);
        assert_true(fd >= 0);
        UNTIL(w, w->n_streams == 1);
        return fd;
}

static struct connection *the_connection(struct world *w, size_t i) {
        return net_tcp_find(w->net->tcp, &w->streams[i].peer);
}

static void say(int fd, const char *text) {
        assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

static void expect_read(struct world *w, int fd, const char *text) {
        char buf[256] = "";
        size_t n = 0;

        while (n < strlen(text)) {
                ssize_t r = 0;

                UNTIL(w, (r = stream_read(fd, buf + n, sizeof(buf) - 1 - n)));
                assert_true(r > 0);
                n += (size_t)r;
        }
        assert_string_equal(buf, text);
}

#define MESSAGE 64u /* bytes of each that is posted */

/* Puts a message of 64 bytes out for a connection; it begins with its number. */
static void post(struct world *w, size_t i_stream, unsigned number) {
        struct message *m = &w->out[w->n_out++];

        *m = (struct message){ .to = w->streams[i_stream].peer, .n = MESSAGE };
        assert_true(w->n_out < ARRAY_SIZE(w->out));
        memcpy(m->bytes, &number, sizeof(number));
}

/* Posts as many as the connection takes until it waits with more than n bytes, or is closed. */
static unsigned post_until(struct world *w, size_t i_stream, size_t n) {
        size_t before = w->n_streams;
        unsigned number = 0;

        while (w->n_streams == before && the_connection(w, i_stream)->n_out <= n) {
                for (size_t j = 0; j < 16; j++)
                        post(w, i_stream, number++);
                net_flush(w->net);
                assert_true(number < 100000);
        }
        return number;
}

static void expect_number(struct world *w, int fd, unsigned wanted) {
        uint8_t message[MESSAGE];
        unsigned number;
        size_t n = 0;

        while (n < sizeof(message)) {
                ssize_t r = 0;

                UNTIL(w, (r = stream_read(fd, message + n, sizeof(message) - n)));
                assert_true(r > 0);
                n += (size_t)r;
        }
        memcpy(&number, message, sizeof(number));
        assert_int_equal(number, wanted);
}

/* Reads until the end, or so many, and sees that none is missing. */
static unsigned read_numbers(struct world *w, int fd, unsigned n_wanted, ssize_t *ret_end) {
        uint8_t message[MESSAGE];
        size_t n = 0;
        unsigned n_read = 0;

        *ret_end = 0;
        while (n_read < n_wanted) {
                ssize_t r = 0;
                unsigned number;

                UNTIL(w, (r = stream_read(fd, message + n, sizeof(message) - n)));
                *ret_end = r;
                if (r < 0)
                        break;
                n += (size_t)r;
                if (n < sizeof(message))
                        continue;
                memcpy(&number, message, sizeof(number));
                assert_int_equal(number, n_read++);
                n = 0;
        }
        return n_read;
}

/* ---- in ---- */

static void test_one_byte_per_segment(void **state) {
        struct world *w = *state;
        const char *text = "a message that comes in pieces";
        int fd = start_with_one(w), on = 1;

        w->echoes = true;
        assert_int_equal(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)), 0);
        for (size_t i = 0; text[i]; i++) {
                assert_int_equal(send(fd, text + i, 1, MSG_NOSIGNAL), 1);
                UNTIL(w, w->n_bytes == i + 1);
        }
        assert_memory_equal(w->bytes, text, strlen(text));
        expect_read(w, fd, text);
        close(fd);
}

static void test_many_messages_in_one_segment(void **state) {
        struct world *w = *state;
        int fd = start_with_one(w);

        w->echoes = true;
        w->n_takes = 3; /* so long is each of them */
        say(fd, "onetwosixten");
        expect_read(w, fd, "onetwosixten");
        assert_int_equal(counts(w).n_stream_sent, 4);
        close(fd);
}

static bool room_is_made(struct world *w) {
        return w->echoes;
}

/* What finds no room stays where it is, and comes in order when there is some. */
static void test_no_room(void **state) {
        struct world *w = *state;
        int fd = start_with_one(w);

        w->has_room = room_is_made;
        w->n_takes = 2;
        say(fd, "one");
        UNTIL(w, !list_is_empty(&w->net->tcp->stalled));
        say(fd, "two");
        world_rest(w, 20);
        assert_int_equal(w->n_bytes, 0);
        assert_int_equal(the_connection(w, 0)->n_in, 3); /* the second is not even read */
        w->echoes = true;
        net_flush(w->net);
        expect_read(w, fd, "onetwo");
        assert_true(list_is_empty(&w->net->tcp->stalled));
        assert_null(the_connection(w, 0)->in);
        close(fd);
}

static bool room_for_two_more(struct world *w) {
        return w->n_bytes < (size_t)w->datagrams[0].n;
}

static void test_room_for_some(void **state) {
        struct world *w = *state;
        int fd = start_with_one(w);

        w->has_room = room_for_two_more;
        w->n_takes = 1;
        say(fd, "abcdef");
        for (size_t i = 0; i <= 6; i += 2) {
                w->datagrams[0].n = i;
                net_flush(w->net);
                UNTIL(w, w->n_bytes == i);
                world_rest(w, 10);
                assert_int_equal(w->n_bytes, i);
        }
        assert_memory_equal(w->bytes, "abcdef", 6);
        close(fd);
}

/* ---- the end ---- */

static void test_an_end_after_a_question(void **state) {
        struct world *w = *state;
        int fd = start_with_one(w);
        char byte;

        w->echoes = true;
        say(fd, "last words");
        assert_int_equal(shutdown(fd, SHUT_WR), 0);
        expect_read(w, fd, "last words");
        UNTIL(w, stream_read(fd, &byte, 1) == -1);
        assert_int_equal(w->n_streams, 2);
        assert_int_equal(w->streams[1].what, STREAM_CLOSED);
        assert_int_equal(counts(w).n_connections, 0);
        close(fd);
}

/* It will say nothing more, but it reads: what waits for it is sent. */
static void test_an_end_while_much_is_waiting(void **state) {
        struct world *w = *state;
        int fd = start_with_one(w);
        unsigned n = post_until(w, 0, 16 * 1024);
        ssize_t end;

        assert_int_equal(shutdown(fd, SHUT_WR), 0);
        UNTIL(w, w->n_streams == 2);
        assert_int_equal(w->streams[1].what, STREAM_CLOSED);
        assert_int_equal(read_numbers(w, fd, n + 1, &end), n);
        assert_int_equal(end, -1);
        UNTIL(w, counts(w).n_connections == 0);
        close(fd);
}

static void test_a_reset(void **state) {
        struct world *w = *state;
        struct linger at_once = { .l_onoff = 1 };
        int fd = start_with_one(w);

        assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)), 0);
        close(fd);
        UNTIL(w, w->n_streams == 2);
        assert_int_equal(w->streams[1].what, STREAM_CLOSED);
        assert_memory_equal(&w->streams[1].peer, &w->streams[0].peer, sizeof(struct coap_peer));
        assert_int_equal(counts(w).n_connections, 0);
        post(w, 0, 1); /* it is too late for this one */
        net_flush(w->net);
        assert_int_equal(counts(w).n_send_errors, 1);
        world_rest(w, 10);
        assert_int_equal(w->n_streams, 2);
}

static void test_a_reset_while_it_is_stalled(void **state) {
        struct world *w = *state;
        struct linger at_once = { .l_onoff = 1 };
        int fd = start_with_one(w);

        w->has_room = room_is_made;
        say(fd, "one");
        UNTIL(w, !list_is_empty(&w->net->tcp->stalled));
        assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)), 0);
        close(fd);
        w->echoes = true;
        net_flush(w->net); /* the answer has nobody to go to */
        UNTIL(w, counts(w).n_connections == 0);
        assert_int_equal(w->n_streams, 2);
}

/* What next() still has for it goes out first, though it comes after the word to close. */
static void test_closed_with_a_queue(void **state) {
        struct world *w = *state;
        int fd = start_with_one(w);
        unsigned n, n_read;
        ssize_t end;

        w->net->tcp->closing_ms = 60000; /* that is not what ends it */
        n = post_until(w, 0, 64);
        net_close_stream(w->net, &w->streams[0].peer);
        post(w, 0, n++);
        net_flush(w->net);
        assert_int_equal(the_connection(w, 0)->state, CONNECTION_LAST);
        assert_true(the_connection(w, 0)->n_out > 64);
        say(fd, "nobody hears this"); /* and it does not spoil what is on its way */
        n_read = read_numbers(w, fd, n + 1, &end);
        assert_int_equal(n_read, n);
        assert_int_equal(end, -1);
        assert_int_equal(counts(w).n_connections, 1); /* our end is said, theirs not yet */
        close(fd);
        UNTIL(w, counts(w).n_connections == 0);
        assert_int_equal(w->n_bytes, 0);
        assert_int_equal(w->n_streams, 1); /* who closes is not told */
}

static void test_closed_but_the_peer_does_not_read(void **state) {
        struct world *w = *state;
        int fds[2] = { start_with_one(w), home_stream("127.0.0.1", 5683) };
        uint64_t begun_ms, second_ms;
        uint8_t byte;

        UNTIL(w, w->n_streams == 2);
        w->net->tcp->closing_ms = 400;
        (void)post_until(w, 0, 64);
        uv_update_time(&w->loop);
        begun_ms = world_now_ms();
        net_close_stream(w->net, &w->streams[0].peer);
        world_rest(w, 200);
        uv_update_time(&w->loop);
        second_ms = world_now_ms();
        net_close_stream(w->net, &w->streams[1].peer); /* has nothing to write, but does not end either */
        net_close_stream(w->net, &w->streams[1].peer);
        net_flush(w->net);
        UNTIL(w, stream_read(fds[1], &byte, 1) == -1);
        UNTIL(w, counts(w).n_connections < 2);
        assert_true(world_now_ms() - begun_ms >= 395);
        UNTIL(w, counts(w).n_connections == 0);
        assert_true(world_now_ms() - second_ms >= 395);
        assert_int_equal(w->net->tcp->n_queued, 0);
        assert_int_equal(w->n_streams, 2);
        close(fds[0]);
        close(fds[1]);
}

static void test_closing_one_that_is_not_there(void **state) {
        struct world *w = *state;
        struct coap_peer peer = { .channel = 77, .stream = true };

        start_host(w);
        net_close_stream(w->net, &peer);
        net_flush(w->net);
        assert_int_equal(counts(w).n_connections, 0);
}

/* ---- who does not read ---- */

static void test_who_does_not_read_is_not_read(void **state) {
        struct world *w = *state;
        int fd = start_with_one(w);
        ssize_t end;
        unsigned n = post_until(w, 0, TCP_PAUSE);

        say(fd, "more, please");
        world_rest(w, 30);
        assert_int_equal(w->n_bytes, 0);
        assert_null(the_connection(w, 0)->in); /* they are the kernel's still */
        assert_int_equal(read_numbers(w, fd, n, &end), n);
        UNTIL(w, w->n_bytes == 12);
        assert_int_equal(the_connection(w, 0)->n_out, 0);
        assert_int_equal(w->net->tcp->n_queued, 0);
        assert_int_equal(w->n_streams, 1);
        close(fd);
}

/* The queue moves on while it is written, and grows behind. */
static void test_a_queue_that_is_never_empty(void **state) {
        struct world *w = *state;
        int fd = start_with_one(w), little = 32 * 1024;
        int r = setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &little, sizeof(little)); /* it stays as small */
        unsigned n_posted = post_until(w, 0, 240 * 1024), n_read = 0, n_moved = 0;
        struct connection *c = the_connection(w, 0);

        assert_int_equal(r, 0);
        for (int round = 0; round < 60; round++) {
                for (unsigned i = 0; i < 700; i++, n_read++)
                        expect_number(w, fd, n_read);
                world_rest(w, 2);
                n_moved += c->out_begin && c->n_out;
                while (c->n_out < 240 * 1024) {
                        for (size_t i = 0; i < 8; i++)
                                post(w, 0, n_posted++);
                        net_flush(w->net);
                }
        }
        assert_true(n_moved > 3);
        while (n_read < n_posted)
                expect_number(w, fd, n_read++);
        assert_int_equal(w->net->tcp->n_queued, 0);
        close(fd);
}

/* Asks for more than it reads, all at once: it waits, and is not dropped. */
static void test_questions_stop_where_answers_do(void **state) {
        static uint8_t questions[TCP_BUFFER];
        struct world *w = *state;
        int fd = start_with_one(w);
        size_t n_asked = 0, n_read = 0;

        w->echoes = true;
        w->n_takes = 64;
        while (n_asked < sizeof(w->bytes) - 2 * sizeof(questions)) {
                ssize_t r = send(fd, questions, sizeof(questions), MSG_NOSIGNAL);

                if (r > 0)
                        n_asked += (size_t)r;
                world_rest(w, 2);
                if (r < 0)
                        break; /* the kernel's buffers are full, on both sides */
        }
        assert_true(n_asked > TCP_QUEUE_MAX);
        assert_int_equal(w->n_streams, 1);
        assert_true(the_connection(w, 0)->n_out <= TCP_PAUSE + 64);
        while (n_read < n_asked) {
                ssize_t r = 0;

                UNTIL(w, (r = stream_read(fd, questions, sizeof(questions))));
                assert_true(r > 0);
                n_read += (size_t)r;
        }
        assert_int_equal(w->n_bytes, n_asked);
        close(fd);
}

static void test_who_does_not_read_at_all_is_dropped(void **state) {
        struct world *w = *state;
        int fd = start_with_one(w);
        uint8_t buf[256];

        (void)post_until(w, 0, SIZE_MAX - 1);
        assert_int_equal(w->streams[1].what, STREAM_CLOSED);
        assert_int_equal(counts(w).n_slow, 1);
        assert_int_equal(counts(w).n_connections, 0);
        assert_int_equal(w->net->tcp->n_queued, 0);
        w->n_out = 0;
        UNTIL(w, stream_read(fd, buf, sizeof(buf)) == -ECONNRESET);
        close(fd);
}

/* All queues together have a bound; the one that goes is the one to blame. */
static void test_who_has_most_goes(void **state) {
        struct world *w = *state;
        int fds[3] = { start_with_one(w), home_stream("127.0.0.1", 5683), home_stream("127.0.0.1", 5683) };

        UNTIL(w, w->n_streams == 3);
        (void)post_until(w, 0, 8 * 1024);
        (void)post_until(w, 1, 40 * 1024);
        w->net->tcp->n_max_queued = 60 * 1024;
        (void)post_until(w, 2, SIZE_MAX - 1);
        assert_int_equal(w->n_streams, 4);
        assert_int_equal(w->streams[3].what, STREAM_CLOSED);
        assert_int_equal(w->streams[3].peer.channel, w->streams[1].peer.channel);
        assert_int_equal(counts(w).n_slow, 1);
        w->n_out = 0;
        for (size_t i = 0; i < 3; i++)
                close(fds[i]);
}

/* The last bytes of a burst are few, and leave at once: with all of its round in one call. */
static void test_a_round_is_written_at_once(void **state) {
        struct world *w = *state;
        int fd = start_with_one(w);
        uint8_t buf[4096];

        for (unsigned i = 0; i < 20; i++)
                post(w, 0, i);
        net_flush(w->net);
        assert_int_equal(stream_read(fd, buf, sizeof(buf)), 20 * MESSAGE); /* the loop did not turn */
        assert_int_equal(the_connection(w, 0)->n_out, 0);
        close(fd);
}

static void test_freed_in_the_middle_of_it(void **state) {
        struct world *w = *state;
        int fds[3] = { start_with_one(w), home_stream("127.0.0.1", 5683), home_stream("::1", 5683) };

        UNTIL(w, w->n_streams == 3);
        (void)post_until(w, 0, 64);
        (void)post_until(w, 1, 64);
        net_close_stream(w->net, &w->streams[1].peer);
        w->has_room = room_is_made;
        say(fds[2], "stalled");
        UNTIL(w, !list_is_empty(&w->net->tcp->stalled));
        w->net = net_free(w->net); /* what is left over is found by who looks for leaks */
        for (size_t i = 0; i < 3; i++)
                close(fds[i]);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)
        const struct CMUnitTest tests[] = {
                TEST(test_one_byte_per_segment),
                TEST(test_many_messages_in_one_segment),
                TEST(test_no_room),
                TEST(test_room_for_some),
                TEST(test_an_end_after_a_question),
                TEST(test_an_end_while_much_is_waiting),
                TEST(test_a_reset),
                TEST(test_a_reset_while_it_is_stalled),
                TEST(test_closed_with_a_queue),
                TEST(test_closed_but_the_peer_does_not_read),
                TEST(test_closing_one_that_is_not_there),
                TEST(test_who_does_not_read_is_not_read),
                TEST(test_a_queue_that_is_never_empty),
                TEST(test_questions_stop_where_answers_do),
                TEST(test_who_does_not_read_at_all_is_dropped),
                TEST(test_who_has_most_goes),
                TEST(test_a_round_is_written_at_once),
                TEST(test_freed_in_the_middle_of_it),
        };
        int r = world_enter();

        return r ? r : cmocka_run_group_tests(tests, NULL, NULL);
}
