#include "endpoint_fixture.h"

#include "protocol/coap_siphash.h"

#include <string.h>

static uint8_t body[5000];

static void guarded_open(struct world *w) {
        struct coap_config config = coap_config_default;

        *w = (struct world){ .now = 1000, .random = 7 };
        config.random = world_random;
        config.random_context = &w->random;
        w->memory = calloc(1, coap_endpoint_size(&config.limits));
        assert_non_null(w->memory);
        w->ep = coap_endpoint_init(w->memory, &config);
}

/* The paper's own vectors: key 00 01 .. 0f, input 00 01 .. */
static void test_siphash(void **state) {
        static const uint64_t key[2] = { 0x0706050403020100u, 0x0f0e0d0c0b0a0908u };
        static const struct {
                size_t n;
                uint64_t hash;
        } rows[] = { { 0, 0x726fdb47dd0e0e31u },
                     { 1, 0x74f839c593dc67fdu },
                     { 7, 0xab0200f58b01d137u },
                     { 8, 0x93f5f5799a932462u },
                     { 15, 0xa129ca6149be45e5u } };
        uint8_t input[16];

        for (uint8_t i = 0; i < 16; i++)
                input[i] = i;
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
                assert_true(coap_siphash(key, span_of(input, rows[i].n)) == rows[i].hash);
}

static size_t n_request;

/* GET /x with an Echo value, or none. Returns the bytes that it took. */
static void get(struct world *w, const struct coap_peer *p, unsigned via, uint16_t mid, struct span echo,
                int64_t block2, uint8_t method) {
        static uint8_t buf[64]; /* it is to stay until the event was popped */
        struct coap_builder b =
                coap_build(buf, sizeof(buf), COAP_CON, method, mid, (const uint8_t *)"tokentok", 8);

        coap_build_option(&b, COAP_OPTION_URI_PATH, SPAN_LITERAL("x"));
        coap_build_option(&b, COAP_OPTION_URI_QUERY, SPAN_LITERAL("if=oic.if.baseline"));
        if (block2 >= 0)
                coap_build_uint(&b, COAP_OPTION_BLOCK2, (uint32_t)block2);
        if (echo.n)
                coap_build_option(&b, COAP_OPTION_ECHO, echo);
        n_request = b.w.n;
        coap_endpoint_receive(w->ep, w->now, p, via, span_of(buf, b.w.n));
}

static void answer_long(struct world *w, size_t n) {
        struct coap_response r = { .code = COAP_CONTENT,
                                   .content_format = COAP_FORMAT_CBOR,
                                   .payload = span_of(body, n),
                                   .max_age_s = -1 };

        if (pop(w))
                answer(w, r);
}

/* All that goes out now: bytes, and the last message that is no ping. */
static size_t hear_all(struct world *w, struct coap_message *ret, uint16_t *ret_ping) {
        static uint8_t kept[COAP_MESSAGE_MAX];
        size_t n, n_all = 0;
        struct coap_message m;

        *ret_ping = 0;
        memset(ret, 0, sizeof(*ret));
        while ((n = coap_endpoint_transmit(w->ep, w->now, &w->to, w->out, sizeof(w->out)))) {
                n_all += n;
                assert_int_equal(coap_message_parse(&m, span_of(w->out, n)), 0);
                if (m.code == COAP_EMPTY && m.type == COAP_CON) {
                        *ret_ping = m.mid;
                        continue;
                }
                memcpy(kept, w->out, n);
                assert_int_equal(coap_message_parse(ret, span_of(kept, n)), 0);
        }
        return n_all;
}

static struct span echo_of(const struct coap_message *m) {
        struct coap_option_reader r = coap_option_begin(m);
        struct coap_option o;

        while (coap_option_next(&r, &o))
                if (o.number == COAP_OPTION_ECHO)
                        return o.value;
        return SPAN_NULL;
}

/*
 * The spoofed source: whatever it asks in a victim's name, the victim gets three
 * bytes for one, and a ping's four every few seconds.
 */
static void test_a_spoofed_source(void **state) {
        static const size_t lengths[] = { 0, 10, 20, 60, 200, 1024, 5000 };
        struct coap_peer victim = peer(1);
        struct coap_message m;
        struct world w;
        uint16_t mid = 1, ping;
        size_t n_in = 0, n_out = 0;

        guarded_open(&w);
        for (int round = 0; round < 50; round++)
                for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
                        get(&w, &victim, 0, mid++, SPAN_NULL, i & 1 ? 6 : -1, i % 3 ? COAP_GET : COAP_POST);
                        answer_long(&w, lengths[i]);
                        n_in += n_request;
                        n_out += hear_all(&w, &m, &ping);
                        assert_true(m.code != 0);
                        w.now += 1000;
                }
        assert_true(n_out <= 3 * n_in + 4 * (50 * ARRAY_SIZE(lengths) / 4 + 1));
        world_close(&w);
}

static void test_errors_and_later_blocks_are_bounded_too(void **state) {
        struct coap_peer victim = peer(1);
        struct coap_message m;
        struct world w;
        uint16_t ping;

        guarded_open(&w);
        get(&w, &victim, 0, 1, SPAN_NULL, 6, COAP_GET);
        answer_long(&w, 5000);
        hear_all(&w, &m, &ping);
        for (uint32_t num = 1; num < 5; num++) {
                get(&w, &victim, 0, (uint16_t)(num + 1), SPAN_NULL, num << 4 | 6, COAP_GET);
                assert_false(pop(&w));
                assert_true(hear_all(&w, &m, &ping) <= 3 * n_request + 4);
        }
        get(&w, &victim, 0, 99, SPAN_NULL, 7, COAP_GET); /* 4.00 with its sentence */
        assert_true(hear_all(&w, &m, &ping) <= 3 * n_request + 4);
        assert_int_equal(m.code, COAP_BAD_REQUEST);
        world_close(&w);
}

static void test_a_ping_answered_opens_the_door(void **state) {
        struct coap_peer p = peer(1);
        uint8_t rst[4] = { 0x70, 0, 0, 0 };
        struct coap_message m;
        struct world w;
        uint16_t ping;

        guarded_open(&w);
        get(&w, &p, 0, 1, SPAN_NULL, -1, COAP_GET);
        answer_long(&w, 1000);
        hear_all(&w, &m, &ping);
        assert_int_not_equal(ping, 0);
        assert_int_equal(m.code, COAP_CONTENT); /* a small first block: any client goes on from there */
        assert_true(m.payload.n <= 64);
        rst[2] = (uint8_t)((ping + 1) >> 8);
        rst[3] = (uint8_t)(ping + 1);
        coap_endpoint_receive(w.ep, w.now, &p, 0, span_of(rst, 4)); /* guessed wrong */
        get(&w, &p, 0, 2, SPAN_NULL, -1, COAP_GET);
        answer_long(&w, 1000);
        hear_all(&w, &m, &(uint16_t){ 0 });
        assert_true(m.payload.n <= 64);
        rst[2] = (uint8_t)(ping >> 8);
        rst[3] = (uint8_t)ping;
        coap_endpoint_receive(w.ep, w.now, &p, 0, span_of(rst, 4));
        get(&w, &p, 0, 3, SPAN_NULL, -1, COAP_GET);
        answer_long(&w, 1000);
        hear_all(&w, &m, &ping);
        assert_int_equal(m.payload.n, 1000);
        w.now += 11 * 60 * 1000; /* it is asked again after a while */
        get(&w, &p, 0, 4, SPAN_NULL, -1, COAP_GET);
        answer_long(&w, 1000);
        hear_all(&w, &m, &ping);
        assert_true(m.payload.n <= 64);
        world_close(&w);
}

static void test_echo_opens_the_door(void **state) {
        struct coap_peer p = peer(1), other = peer(2);
        uint8_t echo[8], forged[8];
        struct coap_message m;
        struct world w;
        uint16_t ping;

        guarded_open(&w);
        /* A question so short that not even the smallest block may be the answer. */
        coap_endpoint_receive(w.ep, w.now, &p, 0, span_of("\x42\x01\x00\x01tt\x91", 6));
        answer_long(&w, 1000);
        hear_all(&w, &m, &ping);
        assert_int_equal(m.code, COAP_UNAUTHORIZED);
        assert_int_equal(echo_of(&m).n, 8);
        memcpy(echo, echo_of(&m).data, 8);
        memcpy(forged, echo, 8);
        forged[7] ^= 1;
        get(&w, &p, 0, 2, span_of(forged, 8), -1, COAP_GET);
        answer_long(&w, 1000);
        hear_all(&w, &m, &ping);
        assert_true(m.payload.n <= 64);
        get(&w, &other, 0, 2, span_of(echo, 8), -1, COAP_GET); /* it is for one address */
        answer_long(&w, 1000);
        hear_all(&w, &m, &ping);
        assert_true(m.payload.n <= 64);
        get(&w, &p, 0, 3, span_of(echo, 8), -1, COAP_GET);
        answer_long(&w, 1000);
        hear_all(&w, &m, &ping);
        assert_int_equal(m.payload.n, 1000);
        w.now += 11 * 60 * 1000; /* nor does it last */
        get(&w, &p, 0, 4, span_of(echo, 8), -1, COAP_GET);
        answer_long(&w, 1000);
        hear_all(&w, &m, &ping);
        assert_true(m.payload.n <= 64);
        world_close(&w);
}

/* What had an effect is not asked for again: its answer is made shorter instead. */
static void test_an_update_is_never_challenged(void **state) {
        struct coap_peer p = peer(1);
        struct coap_message m;
        struct world w;
        uint16_t ping;

        guarded_open(&w);
        coap_endpoint_receive(w.ep, w.now, &p, 0, span_of("\x42\x02\x00\x01tt\x91", 6));
        assert_true(pop(&w));
        answer(&w, (struct coap_response){ .code = COAP_CHANGED,
                                           .content_format = 60,
                                           .payload = span_of(body, 30),
                                           .max_age_s = -1 });
        hear_all(&w, &m, &ping);
        assert_int_equal(m.code, COAP_CHANGED);
        assert_int_equal(m.payload.n, 0);
        world_close(&w);
}

static void test_our_own_network_has_a_bucket(void **state) {
        struct coap_peer p = peer(1), q = peer(2);
        struct coap_message m;
        struct world w;
        uint16_t ping, mid = 1;
        size_t n_out = 0;
        int i;

        guarded_open(&w);
        for (i = 0; i < 1000; i++) {
                get(&w, &p, COAP_VIA_ON_LINK, mid++, SPAN_NULL, -1, COAP_GET);
                answer_long(&w, 1000);
                n_out += hear_all(&w, &m, &ping);
                if (m.payload.n < 1000)
                        break;
        }
        assert_in_range(n_out, 100 * 1024, 160 * 1024);
        get(&w, &q, COAP_VIA_ON_LINK, 1, SPAN_NULL, -1, COAP_GET); /* each source has its own */
        answer_long(&w, 1000);
        hear_all(&w, &m, &ping);
        assert_int_equal(m.payload.n, 1000);
        w.now += 1000; /* and it fills again */
        get(&w, &p, COAP_VIA_ON_LINK, mid++, SPAN_NULL, -1, COAP_GET);
        answer_long(&w, 1000);
        hear_all(&w, &m, &ping);
        assert_int_equal(m.payload.n, 1000);
        world_close(&w);
}

/* Many victims at once share what one host may send. */
static void test_there_is_a_bucket_for_all(void **state) {
        struct coap_peer p = peer(1);
        struct coap_message m;
        struct world w;
        size_t n_out = 0;
        uint16_t ping;

        guarded_open(&w);
        for (unsigned i = 0; i < 3000; i++) {
                p.remote_ip[13] = (uint8_t)(i >> 8);
                p.remote_ip[14] = (uint8_t)i;
                get(&w, &p, COAP_VIA_ON_LINK, 1, SPAN_NULL, -1, COAP_GET);
                answer_long(&w, 1000);
                n_out += hear_all(&w, &m, &ping);
        }
        assert_true(n_out <= 1024 * 1024 + 3000 * (3 * n_request + 4));
        assert_true(m.payload.n <= 64);
        world_close(&w);
}

static void test_loopback_and_channels_are_free(void **state) {
        struct coap_peer p = peer(1), q = peer(2);
        struct coap_message m;
        struct world w;
        uint16_t ping;

        guarded_open(&w);
        p.remote_ip[12] = 127;
        q.channel = 4;
        for (int i = 0; i < 2; i++) {
                get(&w, i ? &p : &q, 0, 1, SPAN_NULL, -1, COAP_GET);
                answer_long(&w, 1000);
                hear_all(&w, &m, &ping);
                assert_int_equal(m.payload.n, 1000);
                assert_int_equal(ping, 0);
        }
        world_close(&w);
}

/* RFC 7252, 8.2 and the design: a multicast from elsewhere is answered with what three times allows, or not.
 */
static void test_a_multicast_from_elsewhere(void **state) {
        struct coap_peer p = peer(1);
        struct coap_message m;
        struct world w;
        uint16_t ping;

        guarded_open(&w);
        for (unsigned on_link = 0; on_link < 2; on_link++) {
                uint8_t request[] = { 0x54, 1, 0, (uint8_t)on_link, 1, 2, 3, 4, 0xb1, 'x' };

                coap_endpoint_receive(w.ep, w.now, &p, COAP_VIA_MULTICAST | (on_link ? COAP_VIA_ON_LINK : 0u),
                                      span_of(request, sizeof(request)));
                w.now += 500;
                answer_long(&w, 1000);
                if (on_link) {
                        hear_all(&w, &m, &ping);
                        assert_int_equal(m.payload.n, 1000);
                } else {
                        assert_true(hear_all(&w, &m, &ping) <= 3 * sizeof(request));
                }
        }
        world_close(&w);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_siphash),
                cmocka_unit_test(test_a_spoofed_source),
                cmocka_unit_test(test_errors_and_later_blocks_are_bounded_too),
                cmocka_unit_test(test_a_ping_answered_opens_the_door),
                cmocka_unit_test(test_echo_opens_the_door),
                cmocka_unit_test(test_an_update_is_never_challenged),
                cmocka_unit_test(test_our_own_network_has_a_bucket),
                cmocka_unit_test(test_there_is_a_bucket_for_all),
                cmocka_unit_test(test_loopback_and_channels_are_free),
                cmocka_unit_test(test_a_multicast_from_elsewhere),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
