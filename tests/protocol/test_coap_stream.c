#include "pair_fixture.h"

/* One connection, spoken to in bytes. */

static struct coap_peer connection(uint32_t channel) {
        struct coap_peer p = peer(1);

        p.stream = true;
        p.channel = channel;
        return p;
}

static void open_stream(struct world *w, const struct coap_limits *limits) {
        const struct coap_peer p = connection(5);

        world_open(w, limits);
        assert_int_equal(coap_endpoint_stream_open(w->ep, w->now, &p), 0);
}

static void feed_bytes(struct world *w, const void *data, size_t n) {
        const struct coap_peer p = connection(5);

        assert_int_equal(coap_endpoint_stream_receive(w->ep, w->now, &p, span_of(data, n)), n);
}

#define FEED(w, literal) feed_bytes((w), literal, sizeof(literal) - 1)

/* The next message that goes out, as bytes. */
static struct span heard(struct world *w) {
        static uint8_t bytes[COAP_TRANSMIT_MAX];
        size_t n = coap_endpoint_transmit(w->ep, w->now, &w->to, bytes, sizeof(bytes));

        assert_int_not_equal(n, 0);
        assert_true(w->to.stream);
        return span_of(bytes, n);
}

static void expect_bytes(struct world *w, const char *literal, size_t n) {
        struct span s = heard(w);

        assert_int_equal(s.n, n);
        assert_memory_equal(s.data, literal, n);
}

#define EXPECT(w, literal) expect_bytes((w), literal, sizeof(literal) - 1)

static void expect_abort(struct world *w) {
        struct span s = heard(w);
        size_t n_extended = s.data[0] >> 4 == 13 ? 1 : 0;

        assert_int_equal(s.data[1 + n_extended], COAP_ABORT);
        assert_true(pop(w));
        assert_int_equal(w->event.type, COAP_EVENT_CLOSE);
        assert_int_equal(w->event.peer.channel, 5);
        assert_false(pop(w));
}

#define CSM "\x00\xe1"

/* Max-Message-Size 131072 and Block-Wise-Transfer (RFC 8323, 5.3). */
#define OUR_CSM "\x50\xe1\x23\x02\x00\x00\x20"

static void test_csm_goes_first(void **state) {
        struct world w;

        open_stream(&w, NULL);
        EXPECT(&w, OUR_CSM);
        FEED(&w, CSM CSM);     /* twice is fine (core.md 3) */
        FEED(&w, "\x01\xe1z"); /* and so is one with a token */
        assert_false(pop(&w));
        world_close(&w);
}

static void test_a_request_and_its_answer(void **state) {
        struct world w;

        open_stream(&w, NULL);
        EXPECT(&w, OUR_CSM);
        FEED(&w, CSM "\x21\x01T\xb1x");
        pop_request(&w, "/x");
        assert_false(w.event.request.confirmable);
        answer(&w, content("hi"));
        EXPECT(&w, "\x41\x45T\xc0\xffhi");
        FEED(&w, "\x21\x01T\xb1x"); /* the same bytes are another request here */
        pop_request(&w, "/x");
        answer(&w, content("hi"));
        EXPECT(&w, "\x41\x45T\xc0\xffhi");
        world_close(&w);
}

static void test_updates_are_not_remembered(void **state) {
        struct coap_counts c;
        struct world w;

        open_stream(&w, NULL);
        FEED(&w, CSM "\x20\x02\xb1x");
        pop_request(&w, "/x");
        answer(&w, content("hi"));
        coap_endpoint_counts(w.ep, &c);
        assert_int_equal(c.n_exchanges, 0);
        world_close(&w);
}

static void test_pieces_of_every_length(void **state) {
        static const char bytes[] = CSM "\x21\x01T\xb1x"
                                        "\x00\xe2"
                                        "\xd1\x05\x02U\xb1x\xff"
                                        "0123456789abcde";
        for (size_t n = 1; n < sizeof(bytes); n++) {
                struct coap_peer p = connection(5);
                unsigned n_requests = 0;
                struct world w;

                open_stream(&w, NULL);
                for (size_t at = 0; at < sizeof(bytes) - 1;) {
                        size_t n_piece = ocf_min_size(n, sizeof(bytes) - 1 - at);

                        at += coap_endpoint_stream_receive(w.ep, w.now, &p, span_of(bytes + at, n_piece));
                        while (pop(&w)) {
                                n_requests++;
                                answer(&w, content("hi"));
                        }
                }
                assert_int_equal(n_requests, 2);
                EXPECT(&w, OUR_CSM);
                EXPECT(&w, "\x41\x45T\xc0\xffhi");
                EXPECT(&w, "\x00\xe3");
                EXPECT(&w, "\x41\x45U\xc0\xffhi");
                world_close(&w);
        }
}

static void test_an_answer_of_each_length(void **state) {
        static const size_t lengths[] = { 0, 10, 11, 12, 13, 266, 267, 268, 269, 270, 900 };
        static uint8_t body[1000];

        for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
                struct coap_response r = { .code = COAP_CONTENT,
                                           .content_format = -1,
                                           .payload = span_of(body, lengths[i]),
                                           .max_age_s = -1 };
                size_t length = lengths[i] ? lengths[i] + 1 : 0, n_extended = length < 13    ? 0
                                                                              : length < 269 ? 1
                                                                                             : 2;
                struct world w;
                struct span s;

                open_stream(&w, NULL);
                heard(&w);
                FEED(&w, CSM "\x01\x01T");
                pop_request(&w, "/");
                answer(&w, r);
                s = heard(&w);
                assert_int_equal(s.n, 1 + n_extended + 1 + 1 + length);
                assert_int_equal(s.data[0] >> 4, length < 13 ? length : 12 + n_extended);
                if (n_extended == 1)
                        assert_int_equal(s.data[1], length - 13);
                if (n_extended == 2)
                        assert_int_equal(s.data[1] << 8 | s.data[2], length - 269);
                assert_int_equal(s.data[1 + n_extended], COAP_CONTENT);
                world_close(&w);
        }
}

static void test_ping_and_pong(void **state) {
        struct world w;

        open_stream(&w, NULL);
        EXPECT(&w, OUR_CSM);
        FEED(&w, CSM "\x02\xe2pp");
        EXPECT(&w, "\x02\xe3pp");
        FEED(&w, "\x10\xe2\x20"); /* with Custody */
        EXPECT(&w, "\x10\xe3\x20");
        FEED(&w, "\x30\xe2\xffxx"); /* with a payload: nobody reads it */
        EXPECT(&w, "\x00\xe3");
        FEED(&w, "\x00\xe3\x00\xfb\x00\x00"); /* a pong, an unknown signal, an empty message */
        assert_false(pop(&w));
        hear_nothing(&w);
        world_close(&w);
}

static void test_what_ends_a_connection(void **state) {
        static const struct {
                const char *what;
                struct span bytes;
        } rows[] = {
#define ROW(what, literal)                                                                                   \
        {                                                                                                    \
                what, {                                                                                      \
                        (const uint8_t *)literal, sizeof(literal) - 1                                        \
                }                                                                                            \
        }
                ROW("no CSM first", "\x01\x01T"),
                ROW("a response before the CSM", "\x01\x45T"),
                ROW("a token of nine bytes", CSM "\x09\x01"),
                ROW("a critical option in the CSM that is unknown", "\x10\xe1\x10"),
                ROW("a critical option in a ping", CSM "\x10\xe2\x10"),
                ROW("longer than our Max-Message-Size", CSM "\xf0\x00\x10\x00\x00\x01"),
                ROW("as long as can be", CSM "\xff\xff\xff\xff\xff\x01"),
                ROW("malformed options", CSM "\x10\x01\xf0"),
                ROW("a marker without payload", CSM "\x10\x01\xff"),
#undef ROW
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
                for (size_t n = 1; n <= rows[i].bytes.n;
                     n += rows[i].bytes.n - 1) { /* by bytes, and at once */
                        struct coap_peer p = connection(5);
                        struct world w;

                        open_stream(&w, NULL);
                        EXPECT(&w, OUR_CSM);
                        for (size_t at = 0; at < rows[i].bytes.n; at += n)
                                coap_endpoint_stream_receive(w.ep, w.now, &p,
                                                             span_of(rows[i].bytes.data + at,
                                                                     ocf_min_size(n, rows[i].bytes.n - at)));
                        expect_abort(&w);
                        FEED(&w, "\x01\x01T"); /* nobody listens any more */
                        assert_false(pop(&w));
                        hear_nothing(&w);
                        assert_quiet(&w);
                        world_close(&w);
                }
}

static void test_bad_csm_option_is_named(void **state) {
        struct world w;
        struct span s;

        open_stream(&w, NULL);
        EXPECT(&w, OUR_CSM);
        FEED(&w, "\x10\xe1\x70");
        s = heard(&w);
        assert_int_equal(s.data[2], COAP_ABORT);
        assert_int_equal(s.data[3], 2 << 4 | 1); /* Bad-CSM-Option */
        assert_int_equal(s.data[4], 7);
        world_close(&w);
}

static void test_silence_before_the_csm(void **state) {
        struct world w;

        open_stream(&w, NULL);
        EXPECT(&w, OUR_CSM);
        FEED(&w, "\x00");
        w.now += 29000;
        assert_false(pop(&w));
        w.now += 2000;
        assert_false(coap_endpoint_deadline(w.ep) > w.now);
        expect_abort(&w);
        assert_quiet(&w);
        world_close(&w);
}

static void test_release_waits_for_answers(void **state) {
        struct world w;

        open_stream(&w, NULL);
        EXPECT(&w, OUR_CSM);
        FEED(&w, CSM "\x21\x01T\xb1x");
        pop_request(&w, "/x");
        FEED(&w, "\x00\xe4");
        assert_true(coap_endpoint_deadline(w.ep) != OCF_NEVER);
        FEED(&w, "\x21\x01U\xb1y"); /* nothing new is begun */
        answer(&w, content("hi"));
        EXPECT(&w, "\x41\x45T\xc0\xffhi");
        assert_true(pop(&w));
        assert_int_equal(w.event.type, COAP_EVENT_CLOSE);
        assert_quiet(&w);
        world_close(&w);
}

static void test_an_abort_of_the_peer(void **state) {
        struct world w;

        open_stream(&w, NULL);
        FEED(&w, CSM "\x00\xe5");
        assert_true(pop(&w));
        assert_int_equal(w.event.type, COAP_EVENT_CLOSE);
        world_close(&w);
}

static void test_we_release(void **state) {
        struct coap_peer p = connection(5);
        struct world w;

        open_stream(&w, NULL);
        EXPECT(&w, OUR_CSM);
        coap_endpoint_stream_release(w.ep, w.now, &p);
        EXPECT(&w, "\x00\xe4");
        assert_true(pop(&w));
        assert_int_equal(w.event.type, COAP_EVENT_CLOSE);
        world_close(&w);
}

static void test_the_peers_size_is_kept(void **state) {
        static uint8_t body[4000];
        struct coap_response r = { .code = COAP_CONTENT,
                                   .content_format = -1,
                                   .payload = span_of(body, sizeof(body)),
                                   .max_age_s = -1 };
        struct world w;

        open_stream(&w, NULL);
        heard(&w);
        FEED(&w, CSM "\x01\x01T");
        pop_request(&w, "/");
        answer(&w, r);
        assert_in_range(heard(&w).n, 500, 1152);   /* the base value (RFC 8323, 5.3.1) */
        FEED(&w, "\x30\xe1\x22\x01\x00\x01\x01T"); /* 256 */
        pop_request(&w, "/");
        answer(&w, r);
        assert_in_range(heard(&w).n, 64, 256);
        FEED(&w, "\x30\xe1\x22\x20\x00\x01\x01T"); /* 8192, without blocks */
        pop_request(&w, "/");
        answer(&w, r);
        assert_in_range(heard(&w).n, 4000, 4100);
        world_close(&w);
}

/* Two connections of one address, and the same tokens: nothing mixes; what hangs on one goes with it. */
static void test_observers_go_with_their_connection(void **state) {
        const struct coap_peer a = connection(5), b = connection(6);
        struct world w;

        open_stream(&w, NULL);
        assert_int_equal(coap_endpoint_stream_open(w.ep, w.now, &b), 0);
        for (int i = 0; i < 2; i++) {
                static const char observe[] = CSM "\x31\x01T\x60\x51x";
                struct coap_response r = content("hi");
                size_t n = sizeof(observe) - 1;

                assert_int_equal(coap_endpoint_stream_receive(w.ep, w.now, i ? &b : &a, span_of(observe, n)),
                                 n);
                pop_request(&w, "/x");
                r.observe = true;
                r.resource = 3;
                answer(&w, r);
        }
        assert_int_equal(coap_endpoint_observers(w.ep, 3), 2);
        coap_endpoint_stream_closed(w.ep, w.now, &a);
        assert_int_equal(coap_endpoint_observers(w.ep, 3), 1);
        coap_endpoint_stream_closed(w.ep, w.now, &a); /* harmless */
        coap_endpoint_stream_closed(w.ep, w.now, &b);
        assert_int_equal(coap_endpoint_observers(w.ep, 3), 0);
        world_close(&w);
}

static void test_a_number_that_is_used_again(void **state) {
        const struct coap_peer a = connection(5);
        struct coap_counts c;
        struct world w;

        open_stream(&w, NULL);
        FEED(&w, CSM "\x21\x01T"); /* half a request */
        assert_int_equal(coap_endpoint_stream_open(w.ep, w.now, &a), 0);
        coap_endpoint_counts(w.ep, &c);
        assert_int_equal(c.n_streams, 1);
        FEED(&w, CSM "\x01\x01T");
        pop_request(&w, "/");
        world_close(&w);
}

static void test_bodies_go_with_their_connection(void **state) {
        const struct coap_peer a = connection(5);
        static uint8_t body[60000];
        struct coap_response r = { .code = COAP_CONTENT,
                                   .payload = span_of(body, sizeof(body)),
                                   .max_age_s = -1 };
        struct coap_counts c;
        struct world w;

        open_stream(&w, NULL);
        FEED(&w, CSM "\x01\x01T"); /* a long answer, of which only the first block is fetched */
        pop_request(&w, "/");
        answer(&w, r);
        FEED(&w, "\xd1\x07\x02U\xd1\x0e\x08\xff"
                 "0123456789abcdef"); /* a body, of which only the first block comes */
        assert_false(pop(&w));
        coap_endpoint_counts(w.ep, &c);
        assert_int_equal(c.n_uploads, 1);
        assert_true(c.n_pages > 400);
        coap_endpoint_stream_closed(w.ep, w.now, &a);
        coap_endpoint_counts(w.ep, &c);
        assert_int_equal(c.n_uploads, 0);
        assert_int_equal(c.n_pages, 0);
        world_close(&w);
}

static void test_requests_of_ours_fail_with_it(void **state) {
        const struct coap_peer a = connection(5);
        struct coap_ask question = COAP_ASK_DEFAULT;
        struct world w;
        coap_id id;

        open_stream(&w, NULL);
        question.path = SPAN_LITERAL("/x");
        assert_int_equal(coap_endpoint_request(w.ep, w.now, &a, &question, &id), 0);
        coap_endpoint_stream_closed(w.ep, w.now, &a);
        assert_true(pop(&w));
        assert_int_equal(w.event.type, COAP_EVENT_FAILED);
        assert_int_equal(w.event.id, id);
        assert_int_equal(w.event.reply.failure, COAP_FAILURE_CLOSED);
        world_close(&w);
}

static void test_a_request_waits_for_the_csm(void **state) {
        const struct coap_peer a = connection(5);
        struct coap_ask question = COAP_ASK_DEFAULT;
        struct world w;
        coap_id id;

        open_stream(&w, NULL);
        EXPECT(&w, OUR_CSM);
        question.path = SPAN_LITERAL("/x");
        assert_int_equal(coap_endpoint_request(w.ep, w.now, &a, &question, &id), 0);
        hear_nothing(&w);
        FEED(&w, CSM);
        assert_int_equal(heard(&w).data[1], COAP_GET);
        world_close(&w);
}

static void test_no_room(void **state) {
        struct coap_limits limits = coap_limits_default;
        const struct coap_peer b = connection(6);
        struct world w;

        limits.n_streams = 1;
        limits.n_pages_per_peer = 2;
        open_stream(&w, &limits);
        heard(&w);
        assert_int_equal(coap_endpoint_stream_open(w.ep, w.now, &b), COAP_E_FULL);
        FEED(&w, CSM "\xe0\x10\x00\x02");
        for (int i = 0; i < 600; i++)
                FEED(&w, "\x00");
        expect_abort(&w); /* its share of pages is used up */
        assert_quiet(&w);
        world_close(&w);
}

static void test_bert_both_ways(void **state) {
        static uint8_t pattern[200000];
        struct pair p;

        for (size_t i = 0; i < sizeof(pattern); i++)
                pattern[i] = (uint8_t)(i * 5 + i / 253);
        pair_open(&p, true, NULL);
        p.n_chunk = 1000;
        ask(&p, COAP_POST, "/store", span_of(pattern, sizeof(pattern)));
        carry(&p);
        assert_int_equal(p.n_responses, 1);
        assert_int_equal(p.n_body, sizeof(pattern));
        assert_memory_equal(p.body, pattern, sizeof(pattern));
        assert_true(p.n_carried <
                    2 + 2 * (sizeof(pattern) / 4096 * 2)); /* several kilobytes in each message */
        pair_close(&p);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_csm_goes_first),
                cmocka_unit_test(test_a_request_and_its_answer),
                cmocka_unit_test(test_updates_are_not_remembered),
                cmocka_unit_test(test_pieces_of_every_length),
                cmocka_unit_test(test_an_answer_of_each_length),
                cmocka_unit_test(test_ping_and_pong),
                cmocka_unit_test(test_what_ends_a_connection),
                cmocka_unit_test(test_bad_csm_option_is_named),
                cmocka_unit_test(test_silence_before_the_csm),
                cmocka_unit_test(test_release_waits_for_answers),
                cmocka_unit_test(test_an_abort_of_the_peer),
                cmocka_unit_test(test_we_release),
                cmocka_unit_test(test_the_peers_size_is_kept),
                cmocka_unit_test(test_observers_go_with_their_connection),
                cmocka_unit_test(test_a_number_that_is_used_again),
                cmocka_unit_test(test_bodies_go_with_their_connection),
                cmocka_unit_test(test_requests_of_ours_fail_with_it),
                cmocka_unit_test(test_a_request_waits_for_the_csm),
                cmocka_unit_test(test_no_room),
                cmocka_unit_test(test_bert_both_ways),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
