#include "endpoint_fixture.h"

#include <string.h>

static uint8_t body[20000];

static int fill(void **state) {
        for (size_t i = 0; i < sizeof(body); i++)
                body[i] = (uint8_t)(i * 7 + i / 256);
        return 0;
}

struct block {
        uint32_t num;
        bool more;
        uint8_t szx;
        bool partial; /* n bytes, instead of as many as the size says */
        size_t n;
        uint32_t size1;   /* 0: not said */
        const char *tag;  /* Request-Tag; NULL: none */
        const char *path; /* NULL: x */
};

#define BLOCK(...) ((struct block){ __VA_ARGS__ })

static void put_block(struct world *w, const struct coap_peer *p, uint16_t mid, struct block k) {
        static uint8_t buf[1400]; /* it is to stay until the event was popped */
        struct coap_builder b =
                coap_build(buf, sizeof(buf), COAP_CON, COAP_PUT, mid, (const uint8_t *)"t", 1);
        size_t size = (size_t)16 << k.szx;

        coap_build_option(&b, COAP_OPTION_URI_PATH, span_of_string(k.path ? k.path : "x"));
        coap_build_uint(&b, COAP_OPTION_BLOCK1, k.num << 4 | (uint32_t)k.more << 3 | k.szx);
        if (k.size1)
                coap_build_uint(&b, COAP_OPTION_SIZE1, k.size1);
        if (k.tag)
                coap_build_option(&b, COAP_OPTION_REQUEST_TAG, span_of_string(k.tag));
        coap_build_payload(&b, span_of(body + k.num % 16 * size, k.partial ? k.n : size));
        say(w, p, false, buf, b.w.n);
}

static struct coap_message expect_code(struct world *w, uint8_t code) {
        struct coap_message m;

        assert_false(pop(w));
        m = hear(w);
        assert_int_equal(m.type, COAP_ACK);
        assert_int_equal(m.code, code);
        return m;
}

static void expect_whole(struct world *w, size_t n) {
        struct coap_message m;

        pop_request(w, "/x");
        assert_int_equal(w->event.request.payload.n, n);
        assert_memory_equal(w->event.request.payload.data, body, n);
        answer(w, (struct coap_response){ .code = COAP_CHANGED, .content_format = -1, .max_age_s = -1 });
        m = hear(w);
        assert_int_equal(m.code, COAP_CHANGED);
        assert_int_not_equal(option(&m, COAP_OPTION_BLOCK1), -1);
}

static void test_every_size(void **state) {
        struct coap_peer p = peer(1);
        struct world w;
        uint16_t mid = 1;

        world_open(&w, NULL);
        for (uint8_t szx = 0; szx <= 6; szx++) {
                size_t size = (size_t)16 << szx;

                for (uint32_t num = 0; num < 5; num++) {
                        struct coap_message m;

                        put_block(&w, &p, mid++, BLOCK(.num = num, .more = true, .szx = szx));
                        m = expect_code(&w, COAP_CONTINUE);
                        assert_int_equal(option(&m, COAP_OPTION_BLOCK1), num << 4 | 8 | szx);
                }
                put_block(&w, &p, mid++, BLOCK(.num = 5, .szx = szx, .partial = true, .n = 3));
                expect_whole(&w, 5 * size + 3);
        }
        assert_quiet(&w);
        world_close(&w);
}

static void test_a_body_that_fits_one_block(void **state) {
        struct coap_peer p = peer(1);
        struct world w;

        world_open(&w, NULL);
        put_block(&w, &p, 1, BLOCK(.szx = 6, .partial = true, .n = 9));
        expect_whole(&w, 9);
        assert_quiet(&w);
        world_close(&w);
}

static void test_transfers_do_not_meet(void **state) {
        struct coap_peer p = peer(1), q = peer(2);
        struct world w;

        world_open(&w, NULL);
        put_block(&w, &p, 1, BLOCK(.more = true));
        expect_code(&w, COAP_CONTINUE);
        put_block(&w, &q, 1, BLOCK(.num = 1)); /* another peer */
        expect_code(&w, COAP_REQUEST_ENTITY_INCOMPLETE);
        put_block(&w, &p, 2, BLOCK(.num = 1, .path = "y")); /* another resource */
        expect_code(&w, COAP_REQUEST_ENTITY_INCOMPLETE);
        put_block(&w, &p, 3, BLOCK(.num = 1, .tag = "A")); /* another tag (RFC 9175, 3) */
        expect_code(&w, COAP_REQUEST_ENTITY_INCOMPLETE);
        put_block(&w, &p, 4, BLOCK(.num = 1, .partial = true, .n = 1));
        expect_whole(&w, 17);
        assert_quiet(&w);
        world_close(&w);
}

static void test_blocks_out_of_order_twice_and_late(void **state) {
        struct coap_peer p = peer(1);
        struct world w;

        world_open(&w, NULL);
        put_block(&w, &p, 1, BLOCK(.more = true));
        expect_code(&w, COAP_CONTINUE);
        put_block(&w, &p, 2, BLOCK(.num = 1, .more = true));
        expect_code(&w, COAP_CONTINUE);
        put_block(&w, &p, 2, BLOCK(.num = 1, .more = true)); /* its answer was lost */
        expect_code(&w, COAP_CONTINUE);
        put_block(&w, &p, 1, BLOCK(.more = true)); /* the first one, held up on its way: no new beginning */
        expect_code(&w, COAP_CONTINUE);
        put_block(&w, &p, 3, BLOCK(.num = 3, .more = true));
        expect_code(&w, COAP_REQUEST_ENTITY_INCOMPLETE);
        put_block(&w, &p, 4, BLOCK(.num = 1)); /* a last block where more was taken already */
        expect_code(&w, COAP_REQUEST_ENTITY_INCOMPLETE);
        put_block(&w, &p, 5, BLOCK(.num = 2, .partial = true, .n = 4));
        expect_whole(&w, 36);
        put_block(&w, &p, 5, BLOCK(.num = 2, .partial = true, .n = 4)); /* the answer is remembered */
        expect_code(&w, COAP_CHANGED);
        assert_quiet(&w);
        world_close(&w);
}

/* Two bodies for one resource from one peer, without tags: they are not put together to a third. */
static void test_two_bodies_are_not_mixed(void **state) {
        struct coap_peer p = peer(1);
        struct world w;

        world_open(&w, NULL);
        put_block(&w, &p, 1, BLOCK(.more = true));
        expect_code(&w, COAP_CONTINUE);
        put_block(&w, &p, 2, BLOCK(.num = 1, .more = true));
        expect_code(&w, COAP_CONTINUE);
        put_block(&w, &p, 3, BLOCK(.num = 2, .more = true));
        expect_code(&w, COAP_CONTINUE);
        body[16] ^= 1; /* block 1 of the other */
        put_block(&w, &p, 4, BLOCK(.num = 1, .more = true));
        body[16] ^= 1;
        expect_code(&w, COAP_REQUEST_ENTITY_INCOMPLETE);
        assert_quiet(&w);
        world_close(&w);
}

static void test_a_client_that_begins_anew(void **state) {
        struct coap_peer p = peer(1);
        struct world w;

        world_open(&w, NULL);
        put_block(&w, &p, 1, BLOCK(.more = true));
        expect_code(&w, COAP_CONTINUE);
        put_block(&w, &p, 2, BLOCK(.more = true));
        expect_code(&w, COAP_CONTINUE);
        put_block(&w, &p, 3, BLOCK(.num = 1, .partial = true, .n = 0));
        expect_whole(&w, 16);
        assert_quiet(&w);
        world_close(&w);
}

static void test_sizes_that_lie(void **state) {
        struct coap_limits limits = coap_limits_default;
        struct coap_peer p = peer(1);
        struct coap_message m;
        struct world w;

        limits.n_body = 40;
        world_open(&w, &limits);
        put_block(&w, &p, 1, BLOCK(.more = true, .partial = true, .n = 15)); /* fewer bytes than a block */
        expect_code(&w, COAP_BAD_REQUEST);
        put_block(&w, &p, 2, BLOCK(.partial = true, .n = 17)); /* more than one */
        expect_code(&w, COAP_BAD_REQUEST);
        put_block(&w, &p, 3, BLOCK(.more = true, .size1 = UINT32_MAX));
        m = expect_code(&w, COAP_REQUEST_ENTITY_TOO_LARGE);
        assert_int_equal(option(&m, COAP_OPTION_SIZE1), 40);   /* RFC 7959, 4: how much would do */
        put_block(&w, &p, 4, BLOCK(.more = true, .size1 = 3)); /* too little: nobody relies on it */
        expect_code(&w, COAP_CONTINUE);
        put_block(&w, &p, 5, BLOCK(.num = 1, .more = true));
        expect_code(&w, COAP_CONTINUE);
        put_block(&w, &p, 6, BLOCK(.num = 2, .more = true));
        m = expect_code(&w, COAP_REQUEST_ENTITY_TOO_LARGE);
        assert_int_equal(option(&m, COAP_OPTION_SIZE1), 40);
        put_block(&w, &p, 7, BLOCK(.num = 1048575, .szx = 6, .partial = true, .n = 1));
        expect_code(&w, COAP_REQUEST_ENTITY_TOO_LARGE);
        assert_quiet(&w);
        world_close(&w);
}

static void test_a_plain_body_that_is_too_long(void **state) {
        struct coap_limits limits = coap_limits_default;
        struct coap_peer p = peer(1);
        static uint8_t buf[1400]; /* it is to stay until the event was popped */
        struct coap_builder b = coap_build(buf, sizeof(buf), COAP_CON, COAP_PUT, 1, NULL, 0);
        struct world w;

        limits.n_body = 40;
        world_open(&w, &limits);
        coap_build_payload(&b, span_of(body, 41));
        say(&w, &p, false, buf, b.w.n);
        expect_code(&w, COAP_REQUEST_ENTITY_TOO_LARGE);
        assert_quiet(&w);
        world_close(&w);
}

static void test_abandoned_transfers_go(void **state) {
        struct coap_peer p = peer(1);
        struct coap_counts c;
        struct world w;

        world_open(&w, NULL);
        put_block(&w, &p, 1, BLOCK(.more = true, .szx = 6));
        expect_code(&w, COAP_CONTINUE);
        coap_endpoint_counts(w.ep, &c);
        assert_int_equal(c.n_uploads, 1);
        assert_int_equal(c.n_pages, 8);
        sleep_until_due(&w);
        assert_false(pop(&w));
        coap_endpoint_counts(w.ep, &c);
        assert_int_equal(c.n_uploads, 0);
        assert_int_equal(c.n_pages, 0);
        put_block(&w, &p, 2, BLOCK(.num = 1, .szx = 6));
        expect_code(&w, COAP_REQUEST_ENTITY_INCOMPLETE);
        assert_quiet(&w);
        world_close(&w);
}

static void test_full_is_an_answer(void **state) {
        struct coap_limits limits = coap_limits_default;
        struct coap_peer p = peer(1), q = peer(2);
        struct world w;
        char tag[4] = "t00";

        limits.n_pages = 300;
        limits.n_pages_per_peer = 9;
        world_open(&w, &limits);
        put_block(&w, &p, 1, BLOCK(.more = true, .szx = 6));
        expect_code(&w, COAP_CONTINUE);
        put_block(&w, &p, 2, BLOCK(.num = 1, .more = true, .szx = 6)); /* its share of pages is used up */
        expect_code(&w, COAP_SERVICE_UNAVAILABLE);
        for (uint16_t i = 0; i < 80; i++) { /* so many at a time, that nobody takes all of the table */
                tag[1] = (char)('0' + i / 10);
                tag[2] = (char)('0' + i % 10);
                put_block(&w, &q, (uint16_t)(10 + i), BLOCK(.more = true, .tag = tag));
                assert_false(pop(&w));
                assert_int_equal(hear(&w).code, i < 9 ? COAP_CONTINUE : COAP_SERVICE_UNAVAILABLE);
        }
        assert_quiet(&w);
        world_close(&w);
}

static uint32_t n_pages(struct world *w) {
        struct coap_counts c;

        coap_endpoint_counts(w->ep, &c);
        return c.n_pages;
}

static void get_block(struct world *w, const struct coap_peer *p, uint16_t mid, uint32_t num) {
        static uint8_t buf[64];
        struct coap_builder b = coap_build(buf, sizeof(buf), COAP_CON, COAP_GET, mid, NULL, 0);

        coap_build_option(&b, COAP_OPTION_URI_PATH, SPAN_LITERAL("long"));
        coap_build_uint(&b, COAP_OPTION_BLOCK2, num << 4 | 6);
        say(w, p, false, buf, b.w.n);
        if (pop(w))
                answer(w, (struct coap_response){
                                  .code = COAP_CONTENT, .payload = span_of(body, 2000), .max_age_s = -1 });
        assert_int_equal(hear(w).code, COAP_CONTENT);
}

/* What is kept for who may still fetch it gives way to what comes in, unless it is being fetched right now.
 */
static void test_bodies_give_way(void **state) {
        struct coap_limits limits = coap_limits_default;
        struct coap_peer p = peer(1);
        struct world w;

        limits.n_pages_per_peer = 20;
        world_open(&w, &limits);
        get_block(&w, &p, 1, 0);
        assert_int_equal(n_pages(&w), 16);
        put_block(&w, &p, 2, BLOCK(.more = true, .szx = 6));
        expect_code(&w, COAP_SERVICE_UNAVAILABLE);
        w.now += 4000;
        put_block(&w, &p, 3, BLOCK(.more = true, .szx = 6));
        expect_code(&w, COAP_CONTINUE);
        assert_int_equal(n_pages(&w), 8);
        assert_quiet(&w);
        world_close(&w);
}

static void test_what_was_fetched_is_not_kept(void **state) {
        struct coap_peer p = peer(1);
        struct world w;

        world_open(&w, NULL);
        get_block(&w, &p, 1, 0);
        assert_int_equal(n_pages(&w), 16);
        get_block(&w, &p, 2, 1);
        assert_int_equal(n_pages(&w), 0);
        get_block(&w, &p, 3, 1); /* its answer was lost, say: it is made again */
        assert_quiet(&w);
        world_close(&w);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_every_size),
                cmocka_unit_test(test_a_body_that_fits_one_block),
                cmocka_unit_test(test_transfers_do_not_meet),
                cmocka_unit_test(test_blocks_out_of_order_twice_and_late),
                cmocka_unit_test(test_two_bodies_are_not_mixed),
                cmocka_unit_test(test_a_client_that_begins_anew),
                cmocka_unit_test(test_sizes_that_lie),
                cmocka_unit_test(test_a_plain_body_that_is_too_long),
                cmocka_unit_test(test_abandoned_transfers_go),
                cmocka_unit_test(test_full_is_an_answer),
                cmocka_unit_test(test_bodies_give_way),
                cmocka_unit_test(test_what_was_fetched_is_not_kept),
        };

        return cmocka_run_group_tests(tests, fill, NULL);
}
