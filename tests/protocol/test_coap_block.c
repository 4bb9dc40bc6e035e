#include "endpoint_fixture.h"

static uint8_t body[100000];

static void fill(void) {
        for (size_t i = 0; i < sizeof(body); i++)
                body[i] = (uint8_t)(i * 7 + i / 256);
}

static struct coap_response long_content(size_t n) {
        return (struct coap_response){ .code = COAP_CONTENT,
                                       .content_format = COAP_FORMAT_CBOR,
                                       .payload = span_of(body, n),
                                       .max_age_s = -1 };
}

/* CON GET /x, with Block2 if szx is not negative. */
static void get_block(struct world *w, const struct coap_peer *p, uint16_t mid, uint32_t num, int szx,
                      uint8_t method) {
        uint8_t buf[64];
        struct coap_builder b = coap_build(buf, sizeof(buf), COAP_CON, method, mid, (const uint8_t *)"t", 1);

        coap_build_option(&b, COAP_OPTION_URI_PATH, SPAN_LITERAL("x"));
        if (szx >= 0)
                coap_build_uint(&b, COAP_OPTION_BLOCK2, num << 4 | (uint32_t)szx);
        say(w, p, false, buf, b.w.n);
}

static void test_whole_transfers(void **state) {
        static const size_t lengths[] = { 1024, 1025, 2048, 2049, 65536, 100000 };
        struct coap_peer p = peer(1);
        uint8_t got[sizeof(body)];
        struct world w;

        fill();
        world_open(&w, NULL);
        for (int szx = -1; szx <= 6; szx++)
                for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
                        size_t n = lengths[i] / (szx < 0 ? 1 : (size_t)(1 << (6 - szx))), n_got = 0,
                               size = szx < 0 ? 1024 : (size_t)16 << szx;
                        uint32_t num = 0;
                        uint8_t etag[8] = { 0 };
                        bool more = true;

                        while (more) {
                                struct coap_message m;
                                struct coap_option_reader r;
                                struct coap_option o;
                                int64_t block;

                                get_block(&w, &p, (uint16_t)(num + 1), num,
                                          szx < 0 && !num ? -1
                                          : szx < 0       ? 6
                                                          : szx,
                                          COAP_GET);
                                if (num == 0) {
                                        pop_request(&w, "/x");
                                        answer(&w, long_content(n));
                                }
                                assert_false(pop(&w)); /* the rest comes from the kept body */
                                m = hear(&w);
                                assert_int_equal(m.code, COAP_CONTENT);
                                block = option(&m, COAP_OPTION_BLOCK2);
                                if (n > size || szx >= 0)
                                        assert_true(block >= 0);
                                more = block >= 0 && block & 8;
                                if (block >= 0)
                                        assert_int_equal(block >> 4, num);
                                if (more)
                                        assert_int_equal(m.payload.n, size);
                                if (num == 0 && more)
                                        assert_int_equal(option(&m, COAP_OPTION_SIZE2), n);
                                for (r = coap_option_begin(&m); coap_option_next(&r, &o);)
                                        if (o.number == COAP_OPTION_ETAG) {
                                                if (num)
                                                        assert_memory_equal(etag, o.value.data, 8);
                                                memcpy(etag, o.value.data, 8);
                                        }
                                memcpy(got + n_got, m.payload.data, m.payload.n);
                                n_got += m.payload.n;
                                num++;
                        }
                        assert_int_equal(n_got, n);
                        assert_memory_equal(got, body, n);
                }
        assert_quiet(&w);
        world_close(&w);
}

static void test_a_smaller_size_in_the_middle(void **state) {
        struct coap_peer p = peer(1);
        struct coap_message m;
        struct world w;

        fill();
        world_open(&w, NULL);
        get_block(&w, &p, 1, 0, -1, COAP_GET);
        pop_request(&w, "/x");
        answer(&w, long_content(3000));
        hear(&w);
        get_block(&w, &p, 2, 16, 2, COAP_GET); /* 16 x 64 = 1024 */
        m = hear(&w);
        assert_int_equal(m.payload.n, 64);
        assert_memory_equal(m.payload.data, body + 1024, 64);
        world_close(&w);
}

static void test_beyond_the_end(void **state) {
        struct coap_peer p = peer(1);
        struct world w;

        fill();
        world_open(&w, NULL);
        get_block(&w, &p, 1, 0, -1, COAP_GET);
        pop_request(&w, "/x");
        answer(&w, long_content(3000));
        hear(&w);
        get_block(&w, &p, 2, 3, 6, COAP_GET);
        assert_int_equal(hear(&w).code, COAP_BAD_REQUEST);
        get_block(&w, &p, 3, 0xfffff, 6, COAP_GET);
        assert_int_equal(hear(&w).code, COAP_BAD_REQUEST);
        world_close(&w);
}

static void test_without_room_it_is_asked_anew(void **state) {
        struct coap_limits limits = coap_limits_default;
        struct coap_peer p = peer(1);
        struct coap_message m;
        struct world w;

        fill();
        limits.n_pages = 4;
        world_open(&w, &limits);
        get_block(&w, &p, 1, 0, -1, COAP_GET);
        pop_request(&w, "/x");
        answer(&w, long_content(3000));
        assert_int_equal(hear(&w).payload.n, 1024);
        get_block(&w, &p, 2, 1, 6, COAP_GET);
        pop_request(&w, "/x");
        answer(&w, long_content(3000));
        m = hear(&w);
        assert_int_equal(m.payload.n, 1024);
        assert_memory_equal(m.payload.data, body + 1024, 1024);
        assert_quiet(&w);
        world_close(&w);
}

static void test_a_new_transfer_has_the_new_value(void **state) {
        struct coap_peer p = peer(1), q = peer(2);
        struct coap_message m;
        struct world w;

        fill();
        world_open(&w, NULL);
        get_block(&w, &p, 1, 0, -1, COAP_GET);
        pop_request(&w, "/x");
        answer(&w, long_content(3000));
        hear(&w);
        get_block(&w, &q, 1, 0, -1, COAP_GET); /* another peer, another value meanwhile */
        pop_request(&w, "/x");
        body[1500] ^= 1;
        answer(&w, long_content(3000));
        hear(&w);
        get_block(&w, &p, 2, 1, 6, COAP_GET);
        m = hear(&w);
        assert_int_equal(m.payload.data[1500 - 1024], body[1500] ^ 1); /* of the transfer that it began */
        get_block(&w, &q, 2, 1, 6, COAP_GET);
        m = hear(&w);
        assert_int_equal(m.payload.data[1500 - 1024], body[1500]);
        world_close(&w);
}

static void test_the_rest_of_a_post_that_is_gone(void **state) {
        struct coap_peer p = peer(1);
        struct world w;

        world_open(&w, NULL);
        get_block(&w, &p, 1, 1, 6, COAP_POST);
        assert_false(pop(&w)); /* it would be done a second time */
        assert_int_equal(hear(&w).code, COAP_REQUEST_ENTITY_INCOMPLETE);
        world_close(&w);
}

static void test_the_rest_of_a_post(void **state) {
        struct coap_peer p = peer(1);
        struct coap_message m;
        struct world w;

        fill();
        world_open(&w, NULL);
        get_block(&w, &p, 1, 0, -1, COAP_POST);
        pop_request(&w, "/x");
        answer(&w, long_content(1500));
        hear(&w);
        get_block(&w, &p, 2, 1, 6, COAP_POST);
        assert_false(pop(&w));
        m = hear(&w);
        assert_int_equal(m.payload.n, 476);
        world_close(&w);
}

static void test_bodies_do_not_outlive_their_time(void **state) {
        struct coap_counts c;
        struct world w;

        fill();
        world_open(&w, NULL);
        for (unsigned i = 0; i < 300; i++) { /* more than there is room for: the idle ones give way */
                struct coap_peer p = peer(i & 255);

                p.remote_port = (uint16_t)(1000 + i);
                get_block(&w, &p, 1, 0, -1, COAP_GET);
                pop_request(&w, "/x");
                answer(&w, long_content(sizeof(body)));
                assert_int_equal(hear(&w).payload.n, 1024);
                w.now += 100;
        }
        coap_endpoint_counts(w.ep, &c);
        assert_true(c.n_pages > 0);
        assert_quiet(&w);
        world_close(&w);
}

/* The resource went while it was fetched: that is what the answer says, not that there is no such block. */
static void test_an_error_to_a_later_block(void **state) {
        struct coap_peer p = peer(1);
        struct coap_response gone = { .code = COAP_NOT_FOUND,
                                      .content_format = COAP_FORMAT_NONE,
                                      .payload = SPAN_LITERAL("No such resource"),
                                      .max_age_s = -1 };
        struct coap_message m;
        struct world w;

        world_open(&w, NULL);
        get_block(&w, &p, 1, 3, 6, COAP_GET);
        pop_request(&w, "/x");
        answer(&w, gone);
        m = hear(&w);
        assert_int_equal(m.code, COAP_NOT_FOUND);
        assert_int_equal(option(&m, COAP_OPTION_BLOCK2), -1);
        assert_true(span_equal_string(m.payload, "No such resource"));
        world_close(&w);
}

/* A stranger who sends with somebody's address must not fill our pages; the next block is asked for anew. */
static void test_answers_to_multicasts_are_not_kept(void **state) {
        struct coap_peer p = peer(1);
        struct coap_counts counts;
        struct coap_message m;
        struct world w;

        fill();
        world_open(&w, NULL);
        say(&w, &p, true, "\x50\x01\x00\x07\xb1x", 6);
        sleep_until_due(&w);
        pop_request(&w, "/x");
        answer(&w, long_content(3000));
        m = hear(&w);
        assert_int_equal(option(&m, COAP_OPTION_BLOCK2), 0 << 4 | 8 | 6);
        coap_endpoint_counts(w.ep, &counts);
        assert_int_equal(counts.n_pages, 0);
        world_close(&w);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_whole_transfers),
                cmocka_unit_test(test_a_smaller_size_in_the_middle),
                cmocka_unit_test(test_beyond_the_end),
                cmocka_unit_test(test_without_room_it_is_asked_anew),
                cmocka_unit_test(test_a_new_transfer_has_the_new_value),
                cmocka_unit_test(test_the_rest_of_a_post_that_is_gone),
                cmocka_unit_test(test_the_rest_of_a_post),
                cmocka_unit_test(test_bodies_do_not_outlive_their_time),
                cmocka_unit_test(test_an_error_to_a_later_block),
                cmocka_unit_test(test_answers_to_multicasts_are_not_kept),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
