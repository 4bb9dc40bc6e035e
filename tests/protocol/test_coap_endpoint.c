#include "endpoint_fixture.h"

#include <stdio.h>

/* ---- plain requests ---- */

static void test_con_get_is_answered_in_the_ack(void **state) {
        struct coap_peer p = peer(1);
        struct coap_message m;
        struct world w;

        world_open(&w, NULL);
        SAY(&w, &p,
            "\x42\x01\x12\x34"
            "ab\xb1"
            "a\x01"
            "b\x47rt=x.yz\x04if=r"); /* GET /a/b?rt=x.yz&if=r */
        pop_request(&w, "/a/b");
        assert_true(span_equal_string(w.event.request.query, "rt=x.yz&if=r"));
        assert_true(coap_peer_equal(&w.event.peer, &p));
        answer(&w, content("21.5"));
        m = hear(&w);
        assert_true(coap_peer_equal(&w.to, &p));
        assert_int_equal(m.type, COAP_ACK);
        assert_int_equal(m.code, COAP_CONTENT);
        assert_int_equal(m.mid, 0x1234);
        assert_memory_equal(m.token, "ab", 2);
        assert_true(span_equal_string(m.payload, "21.5"));
        assert_int_equal(option(&m, COAP_OPTION_CONTENT_FORMAT), 0);
        hear_nothing(&w);
        assert_false(pop(&w));
        assert_quiet(&w);
        world_close(&w);
}

static void test_non_get_is_answered_by_non_with_an_id_of_ours(void **state) {
        struct coap_peer p = peer(1);
        struct coap_message m;
        struct world w;

        world_open(&w, NULL);
        SAY(&w, &p,
            "\x51\x01\x12\x34"
            "a");
        pop_request(&w, "/");
        answer(&w, content("x"));
        m = hear(&w);
        assert_int_equal(m.type, COAP_NON);
        assert_int_equal(m.n_token, 1);
        world_close(&w);
}

static void test_ping_gets_a_reset(void **state) {
        struct coap_peer p = peer(1);
        struct coap_message m;
        struct world w;

        world_open(&w, NULL);
        SAY(&w, &p, "\x40\x00\x12\x34");
        m = hear(&w);
        assert_int_equal(m.type, COAP_RST);
        assert_int_equal(m.code, 0);
        assert_int_equal(m.mid, 0x1234);
        world_close(&w);
}

static void test_what_is_no_request_is_reset_or_ignored(void **state) {
        static const struct {
                struct span bytes;
                bool reset;
        } rows[] = {
#define ROW(literal, reset) { { (const uint8_t *)literal, sizeof(literal) - 1 }, reset }
                ROW("\x40\x45\x00\x01", true),  /* a response to nothing */
                ROW("\x50\x45\x00\x01", false), /* the same as NON */
                ROW("\x40\x21\x00\x01", true),  /* code 1.01, reserved */
                ROW("\x40\xe1\x00\x01", true),  /* code 7.01: signalling has no place on UDP */
                ROW("\x60\x01\x00\x01", false), /* an ACK with a method */
                ROW("\x70\x01\x00\x01", false), /* a RST with a method */
                ROW("\x60\x00\x00\x01", false), /* an ACK for nothing */
                ROW("\x70\x00\x00\x01", false), /* a RST for nothing */
                ROW("\x4f\x01\x00\x01", true),  /* malformed CON */
                ROW("\x5f\x01\x00\x01", false), /* malformed NON */
                ROW("\x80\x01\x00\x01", false), /* another version */
#undef ROW
        };
        struct coap_peer p = peer(1);
        struct world w;

        world_open(&w, NULL);
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                say(&w, &p, false, rows[i].bytes.data, rows[i].bytes.n);
                assert_false(pop(&w));
                if (rows[i].reset)
                        assert_int_equal(hear(&w).type, COAP_RST);
                hear_nothing(&w);
        }
        world_close(&w);
}

/* ---- options ---- */

static void expect_refusal(struct world *w, const struct coap_peer *p, const void *data, size_t n,
                           uint8_t code) {
        struct coap_message m;

        say(w, p, false, data, n);
        assert_false(pop(w));
        m = hear(w);
        assert_int_equal(m.type, COAP_ACK);
        assert_int_equal(m.code, code);
        hear_nothing(w);
}

#define REFUSED(w, p, literal, code) expect_refusal((w), (p), literal, sizeof(literal) - 1, (code))

static void test_options_that_cannot_be(void **state) {
        struct coap_peer p = peer(1);
        struct world w;

        world_open(&w, NULL);
        REFUSED(&w, &p, "\x40\x01\x00\x01\x91x", COAP_BAD_OPTION); /* 9: critical and unknown */
        REFUSED(&w, &p,
                "\x40\x01\x00\x02\x31"
                "a\x01"
                "b",
                COAP_BAD_OPTION); /* Uri-Host twice */
        REFUSED(&w, &p,
                "\x40\x01\x00\x03\xd3\x04"
                "abc",
                COAP_BAD_OPTION);                                               /* Accept of three bytes */
        REFUSED(&w, &p, "\x40\x02\x00\x04\xd1\x0e\x07\xffx", COAP_BAD_REQUEST); /* Block1 with SZX 7 */
        REFUSED(&w, &p, "\x40\x01\x00\x05\xd1\x0a\x07", COAP_BAD_REQUEST);      /* Block2 with SZX 7 */
        REFUSED(&w, &p,
                "\x40\x01\x00\x06\xd4\x16"
                "coap",
                COAP_PROXYING_NOT_SUPPORTED);
        REFUSED(&w, &p, "\x40\x01\x00\x07\xe2\x06\xf4\x07\xff", COAP_NOT_ACCEPTABLE); /* 2049 below 1.0.0 */
        REFUSED(&w, &p, "\x40\x02\x00\x08\xe2\x06\xf8\x07\xff\xffx",
                COAP_UNSUPPORTED_CONTENT_FORMAT); /* 2053 */
        REFUSED(&w, &p,
                "\x40\x01\x00\x09\xb3"
                "a/b",
                COAP_NOT_FOUND); /* a slash inside a segment */
        REFUSED(&w, &p, "\x40\x1f\x00\x0a", COAP_METHOD_NOT_ALLOWED);
        world_close(&w);
}

static void test_unknown_critical_option_in_a_non_is_rejected(void **state) {
        struct coap_peer p = peer(1);
        struct world w;

        world_open(&w, NULL);
        SAY(&w, &p, "\x50\x01\x00\x01\x91x");
        assert_false(pop(&w));
        assert_int_equal(hear(&w).type, COAP_RST);
        say(&w, &p, true, "\x50\x01\x00\x02\x91x", 6); /* as a multicast: silence */
        w.now += 5000;
        assert_false(pop(&w));
        hear_nothing(&w);
        world_close(&w);
}

static void test_elective_nonsense_is_passed_over(void **state) {
        struct coap_peer p = peer(1);
        struct world w;

        world_open(&w, NULL);
        SAY(&w, &p,
            "\x40\x01\x00\x01\x60\x04\x00\x00\x00\x00\x51x\xb1y"); /* Observe twice, 4 bytes; unknown 22 */
        pop_request(&w, "/x");
        answer(&w, content("x"));
        assert_int_equal(hear(&w).code, COAP_CONTENT);
        world_close(&w);
}

static void test_a_thousand_empty_segments_are_no_resource(void **state) {
        struct coap_peer p = peer(1);
        uint8_t bytes[1004] = { 0x40, 0x01, 0x00, 0x01, 0xb0 };
        struct world w;

        world_open(&w, NULL);
        expect_refusal(&w, &p, bytes, sizeof(bytes), COAP_NOT_FOUND);
        world_close(&w);
}

static void test_version_option_answers_in_kind(void **state) {
        struct coap_peer p = peer(1), secure = peer(1);
        struct coap_response r = content("x");
        struct coap_message m;
        struct world w;

        world_open(&w, NULL);
        r.content_format = COAP_FORMAT_OCF_CBOR;
        SAY(&w, &p, "\x40\x01\x00\x01\xe2\x06\xf4\x08\x00");
        pop_request(&w, "/");
        answer(&w, r);
        m = hear(&w);
        assert_int_equal(option(&m, COAP_OPTION_OCF_CONTENT_VERSION), OCF_VERSION_1_0_0);
        assert_int_equal(option(&m, COAP_OPTION_OCF_ACCEPT_VERSION), -1);
        SAY(&w, &p, "\x40\x01\x00\x02"); /* a plain client would drop the whole answer */
        pop_request(&w, "/");
        answer(&w, r);
        m = hear(&w);
        assert_int_equal(option(&m, COAP_OPTION_OCF_CONTENT_VERSION), -1);
        secure.channel = 1;
        SAY(&w, &secure, "\x40\x01\x00\x03");
        pop_request(&w, "/");
        answer(&w, r);
        m = hear(&w);
        assert_int_equal(option(&m, COAP_OPTION_OCF_CONTENT_VERSION), OCF_VERSION_1_0_0);
        world_close(&w);
}

static void test_no_response(void **state) {
        struct coap_peer p = peer(1);
        struct coap_message m;
        struct world w;

        world_open(&w, NULL);
        SAY(&w, &p, "\x50\x02\x00\x01\xd1\xf5\x02"); /* NON POST, No-Response: 2.xx */
        pop_request(&w, "/");
        answer(&w, (struct coap_response){
                           .code = COAP_CHANGED, .content_format = COAP_FORMAT_NONE, .max_age_s = -1 });
        hear_nothing(&w);
        SAY(&w, &p, "\x40\x02\x00\x02\xd1\xf5\x02"); /* CON: still acknowledged */
        pop_request(&w, "/");
        answer(&w, (struct coap_response){
                           .code = COAP_CHANGED, .content_format = COAP_FORMAT_NONE, .max_age_s = -1 });
        m = hear(&w);
        assert_int_equal(m.type, COAP_ACK);
        assert_int_equal(m.code, 0);
        SAY(&w, &p, "\x50\x02\x00\x03\xd1\xf5\x02"); /* a 4.xx is wanted */
        pop_request(&w, "/");
        answer(&w, (struct coap_response){
                           .code = COAP_NOT_FOUND, .content_format = COAP_FORMAT_NONE, .max_age_s = -1 });
        assert_int_equal(hear(&w).code, COAP_NOT_FOUND);
        world_close(&w);
}

/* ---- deduplication ---- */

static void test_post_is_done_once_and_answered_again(void **state) {
        struct coap_peer p = peer(1);
        uint8_t first[COAP_MESSAGE_MAX];
        size_t n_first;
        struct world w;

        world_open(&w, NULL);
        SAY(&w, &p, "\x41\x02\x00\x07t\xb1x\xff\x01");
        pop_request(&w, "/x");
        answer(&w, content("done"));
        hear(&w);
        n_first = w.n_out;
        memcpy(first, w.out, n_first);
        w.now += 200000;
        SAY(&w, &p, "\x41\x02\x00\x07t\xb1x\xff\x01");
        assert_false(pop(&w));
        hear(&w);
        assert_int_equal(w.n_out, n_first);
        assert_memory_equal(w.out, first, n_first);
        w.now += 50000; /* EXCHANGE_LIFETIME is over */
        SAY(&w, &p, "\x41\x02\x00\x07t\xb1x\xff\x01");
        pop_request(&w, "/x");
        answer(&w, content("done"));
        hear(&w);
        assert_quiet(&w);
        world_close(&w);
}

static void test_same_id_with_other_bytes_is_a_new_request(void **state) {
        struct coap_peer p = peer(1);
        struct world w;

        world_open(&w, NULL);
        SAY(&w, &p, "\x41\x02\x00\x07t\xb1x\xff\x01");
        pop_request(&w, "/x");
        answer(&w, content("1"));
        hear(&w);
        SAY(&w, &p, "\x41\x02\x00\x07u\xb1x\xff\x02");
        pop_request(&w, "/x");
        answer(&w, content("2"));
        assert_true(span_equal_string(hear(&w).payload, "2"));
        world_close(&w);
}

/* A fast client uses every message id within seconds: each POST is its own, and no answer is stale. */
static void test_all_ids_of_a_client_wrap(void **state) {
        struct coap_limits limits = coap_limits_default;
        struct coap_peer p = peer(1);
        struct world w;

        limits.n_exchanges = limits.n_exchanges_per_peer = 200000;
        limits.n_pages = limits.n_pages_per_peer = 200000;
        world_open(&w, &limits);
        for (uint32_t i = 0; i < 70000; i++) {
                uint8_t m[] = { 0x44,
                                0x02,
                                (uint8_t)(i >> 8),
                                (uint8_t)i,
                                (uint8_t)(i >> 24),
                                (uint8_t)(i >> 16),
                                (uint8_t)(i >> 8),
                                (uint8_t)i,
                                0xb1,
                                'x' };
                char body[16];
                struct coap_message got;

                snprintf(body, sizeof(body), "%u", i);
                say(&w, &p, false, m, sizeof(m));
                pop_request(&w, "/x");
                answer(&w, content(body));
                got = hear(&w);
                assert_true(span_equal_string(got.payload, body));
                assert_memory_equal(got.token, m + 4, 4);
        }
        world_close(&w);
}

static void test_two_peers_may_use_the_same_id(void **state) {
        struct coap_peer a = peer(1), b = peer(2), other_port = peer(1);
        struct world w;

        world_open(&w, NULL);
        other_port.remote_port++;
        SAY(&w, &a, "\x40\x02\x00\x07\xb1x");
        pop_request(&w, "/x");
        answer(&w, content("a"));
        hear(&w);
        SAY(&w, &b, "\x40\x02\x00\x07\xb1x");
        pop_request(&w, "/x");
        answer(&w, content("b"));
        hear(&w);
        SAY(&w, &other_port, "\x40\x02\x00\x07\xb1x");
        pop_request(&w, "/x");
        world_close(&w);
}

static void test_get_is_known_only_while_pending(void **state) {
        struct coap_peer p = peer(1);
        struct coap_counts c;
        struct world w;

        world_open(&w, NULL);
        SAY(&w, &p, "\x40\x01\x00\x07\xb1x");
        pop_request(&w, "/x");
        SAY(&w, &p, "\x40\x01\x00\x07\xb1x");
        assert_true(w.event.type == COAP_EVENT_REQUEST);
        {
                struct coap_event again;

                assert_false(coap_endpoint_event(w.ep, w.now, &again));
        }
        answer(&w, content("1"));
        hear(&w);
        hear_nothing(&w);
        coap_endpoint_counts(w.ep, &c);
        assert_int_equal(c.n_exchanges, 0);
        SAY(&w, &p, "\x40\x01\x00\x07\xb1x");
        pop_request(&w, "/x");
        world_close(&w);
}

static void test_non_duplicates_are_dropped(void **state) {
        struct coap_peer p = peer(1);
        struct world w;

        world_open(&w, NULL);
        SAY(&w, &p, "\x50\x01\x00\x07\xb1x");
        pop_request(&w, "/x");
        answer(&w, content("1"));
        hear(&w);
        SAY(&w, &p, "\x50\x01\x00\x07\xb1x");
        assert_false(pop(&w));
        hear_nothing(&w);
        SAY(&w, &p, "\x50\x02\x00\x08\xb1x");
        pop_request(&w, "/x");
        answer(&w, content("1"));
        hear(&w);
        SAY(&w, &p, "\x50\x02\x00\x08\xb1x");
        assert_false(pop(&w));
        hear_nothing(&w);
        assert_quiet(&w);
        world_close(&w);
}

static void test_a_full_table_is_an_answer(void **state) {
        struct coap_limits limits = coap_limits_default;
        struct coap_peer p = peer(1), other = peer(2);
        struct coap_message m;
        struct world w;

        limits.n_exchanges_per_peer = 2;
        world_open(&w, &limits);
        SAY(&w, &p, "\x40\x02\x00\x01");
        pop_request(&w, "/");
        SAY(&w, &p, "\x40\x02\x00\x02");
        pop_request(&w, "/");
        SAY(&w, &p, "\x40\x02\x00\x03");
        assert_false(pop(&w));
        m = hear(&w);
        assert_int_equal(m.code, COAP_TOO_MANY_REQUESTS); /* RFC 8516: it is this peer's own doing */
        assert_true(option(&m, COAP_OPTION_MAX_AGE) > 0);
        SAY(&w, &other, "\x40\x02\x00\x03"); /* another peer is not the poorer for it */
        pop_request(&w, "/");
        world_close(&w);
}

/* ---- separate responses ---- */

static void test_a_slow_answer_goes_separately(void **state) {
        struct coap_peer p = peer(1);
        struct coap_message m;
        struct world w;

        world_open(&w, NULL);
        SAY(&w, &p, "\x41\x01\x00\x07t\xb1x");
        pop_request(&w, "/x");
        sleep_until_due(&w);
        m = hear(&w);
        assert_int_equal(m.type, COAP_ACK);
        assert_int_equal(m.code, 0);
        assert_int_equal(m.mid, 7);
        SAY(&w, &p, "\x41\x01\x00\x07t\xb1x"); /* the ACK was lost */
        m = hear(&w);
        assert_int_equal(m.type, COAP_ACK);
        w.now += 3000;
        answer(&w, content("late"));
        m = hear(&w);
        assert_int_equal(m.type, COAP_CON);
        assert_memory_equal(m.token, "t", 1);
        assert_true(span_equal_string(m.payload, "late"));
        for (int i = 0; i < 2; i++) { /* nobody acknowledges: it comes again */
                uint16_t mid = m.mid;

                sleep_until_due(&w);
                m = hear(&w);
                assert_int_equal(m.mid, mid);
        }
        {
                uint8_t ack[] = { 0x60, 0, (uint8_t)(m.mid >> 8), (uint8_t)m.mid };

                say(&w, &p, false, ack, sizeof(ack));
        }
        w.now += 100000;
        hear_nothing(&w);
        assert_quiet(&w);
        world_close(&w);
}

static void test_an_answer_nobody_takes_is_given_up(void **state) {
        struct coap_peer p = peer(1);
        struct world w;
        int n = 0;

        world_open(&w, NULL);
        SAY(&w, &p, "\x41\x01\x00\x07t\xb1x");
        pop_request(&w, "/x");
        sleep_until_due(&w);
        hear(&w);
        answer(&w, content("late"));
        while (coap_endpoint_deadline(w.ep) != OCF_NEVER) {
                while (coap_endpoint_transmit(w.ep, w.now, &w.to, w.out, sizeof(w.out)))
                        n++;
                sleep_until_due(&w);
                pop(&w);
        }
        assert_int_equal(n, 5); /* once and four times again, RFC 7252 4.2 */
        assert_quiet(&w);
        world_close(&w);
}

static void test_late_answers_find_nobody(void **state) {
        struct coap_response r = content("x");
        struct coap_peer p = peer(1);
        struct world w;

        world_open(&w, NULL);
        SAY(&w, &p, "\x41\x01\x00\x07t");
        pop_request(&w, "/");
        answer(&w, r);
        assert_int_equal(coap_endpoint_respond(w.ep, w.now, w.event.id, &r), COAP_E_UNKNOWN_ID);
        assert_int_equal(coap_endpoint_respond(w.ep, w.now, 0, &r), COAP_E_UNKNOWN_ID);
        assert_int_equal(coap_endpoint_respond(w.ep, w.now, UINT64_MAX, &r), COAP_E_UNKNOWN_ID);
        coap_endpoint_ignore(w.ep, w.event.id);
        world_close(&w);
}

/* ---- multicast ---- */

static void test_multicast_is_answered_at_leisure_and_once(void **state) {
        struct coap_peer p = peer(1), over_v6_group = peer(1);
        struct coap_message m;
        uint64_t asked;
        struct world w;

        world_open(&w, NULL);
        asked = w.now;
        over_v6_group.interface = 3;
        over_v6_group.local_ip[15] = 201;
        say(&w, &p, true, "\x51\x01\x00\x07t\xb3oic\x03res", 13);
        say(&w, &over_v6_group, true, "\x51\x01\x00\x07t\xb3oic\x03res",
            13); /* the same over another group */
        while (!pop(&w))
                sleep_until_due(&w);
        assert_true(w.now - asked <= coap_config_default.leisure_ms);
        assert_true(span_equal_string(w.event.request.path, "/oic/res"));
        assert_true(w.event.request.multicast);
        answer(&w, content("links"));
        m = hear(&w);
        assert_int_equal(m.type, COAP_NON);
        w.now += 10000;
        assert_false(pop(&w));
        hear_nothing(&w);
        assert_quiet(&w);
        world_close(&w);
}

static void test_each_device_answers_a_multicast(void **state) {
        struct coap_peer a = peer(1), b = peer(1);
        struct world w;

        world_open(&w, NULL);
        b.device = 1;
        b.local_port = 5700;
        say(&w, &a, true, "\x51\x01\x00\x07t", 5);
        say(&w, &b, true, "\x51\x01\x00\x07t", 5);
        w.now += 2000;
        assert_true(pop(&w));
        coap_endpoint_ignore(w.ep, w.event.id);
        assert_true(pop(&w));
        world_close(&w);
}

static void test_multicast_silence(void **state) {
        static const char *const nothing[] = { "\x41\x01\x10\x01t", "\x51\x02\x10\x02t", "\x51\x04\x10\x03t",
                                               "\x41\x00\x10\x04", "\x51\x45\x10\x05t" };
        struct coap_peer p = peer(1);
        struct world w;

        world_open(&w, NULL);
        for (size_t i = 0; i < ARRAY_SIZE(nothing); i++) { /* CON, POST, DELETE, malformed, a response */
                say(&w, &p, true, nothing[i], 5);
                w.now += 3000;
                assert_false(pop(&w));
                hear_nothing(&w);
        }
        say(&w, &p, true, "\x51\x01\x11\x01t", 5); /* an error is swallowed */
        w.now += 3000;
        assert_true(pop(&w));
        answer(&w, (struct coap_response){
                           .code = COAP_NOT_FOUND, .content_format = COAP_FORMAT_NONE, .max_age_s = -1 });
        hear_nothing(&w);
        assert_quiet(&w);
        world_close(&w);
}

/* ---- addresses go ---- */

static void test_what_used_a_lost_address_is_forgotten(void **state) {
        struct coap_peer p = peer(1), other = peer(2);
        struct coap_counts c;
        struct world w;

        world_open(&w, NULL);
        other.local_ip[15] = 201;
        SAY(&w, &p, "\x40\x02\x00\x01");
        pop_request(&w, "/");
        SAY(&w, &other, "\x40\x02\x00\x01");
        pop_request(&w, "/");
        say(&w, &p, true, "\x51\x01\x00\x07t", 5);
        coap_endpoint_forget_local(w.ep, w.now, p.local_ip, 0);
        coap_endpoint_counts(w.ep, &c);
        assert_int_equal(c.n_exchanges, 1);
        assert_int_equal(c.n_delayed, 0);
        world_close(&w);
}

/* Else whoever may do nothing could keep everybody out, with a few hundred datagrams in their names. */
static void test_what_was_refused_takes_no_place(void **state) {
        struct coap_limits limits = coap_limits_default;
        struct coap_response refused = { .code = COAP_UNAUTHORIZED,
                                         .content_format = COAP_FORMAT_NONE,
                                         .max_age_s = -1 };
        struct coap_peer p = peer(1);
        struct coap_counts counts;
        struct world w;

        limits.n_exchanges = 4;
        world_open(&w, &limits);
        for (uint8_t i = 0; i < 20; i++) {
                say(&w, &p, false, (uint8_t[]){ i & 1 ? 0x40 : 0x50, COAP_POST, 0, i, 0xb1, 'x' }, 6);
                pop_request(&w, "/x");
                answer(&w, refused);
                assert_int_equal(hear(&w).code, COAP_UNAUTHORIZED);
        }
        coap_endpoint_counts(w.ep, &counts);
        assert_int_equal(counts.n_exchanges, 0);
        assert_int_equal(counts.n_pages, 0);
        /* A NON that comes again is dropped nevertheless, a CON is asked again. */
        say(&w, &p, false, (uint8_t[]){ 0x50, COAP_POST, 0, 18, 0xb1, 'x' }, 6);
        assert_false(pop(&w));
        say(&w, &p, false, (uint8_t[]){ 0x40, COAP_POST, 0, 19, 0xb1, 'x' }, 6);
        pop_request(&w, "/x");
        world_close(&w);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_con_get_is_answered_in_the_ack),
                cmocka_unit_test(test_non_get_is_answered_by_non_with_an_id_of_ours),
                cmocka_unit_test(test_ping_gets_a_reset),
                cmocka_unit_test(test_what_is_no_request_is_reset_or_ignored),
                cmocka_unit_test(test_options_that_cannot_be),
                cmocka_unit_test(test_unknown_critical_option_in_a_non_is_rejected),
                cmocka_unit_test(test_elective_nonsense_is_passed_over),
                cmocka_unit_test(test_a_thousand_empty_segments_are_no_resource),
                cmocka_unit_test(test_version_option_answers_in_kind),
                cmocka_unit_test(test_no_response),
                cmocka_unit_test(test_post_is_done_once_and_answered_again),
                cmocka_unit_test(test_same_id_with_other_bytes_is_a_new_request),
                cmocka_unit_test(test_all_ids_of_a_client_wrap),
                cmocka_unit_test(test_two_peers_may_use_the_same_id),
                cmocka_unit_test(test_get_is_known_only_while_pending),
                cmocka_unit_test(test_non_duplicates_are_dropped),
                cmocka_unit_test(test_a_full_table_is_an_answer),
                cmocka_unit_test(test_a_slow_answer_goes_separately),
                cmocka_unit_test(test_an_answer_nobody_takes_is_given_up),
                cmocka_unit_test(test_late_answers_find_nobody),
                cmocka_unit_test(test_multicast_is_answered_at_leisure_and_once),
                cmocka_unit_test(test_each_device_answers_a_multicast),
                cmocka_unit_test(test_multicast_silence),
                cmocka_unit_test(test_what_used_a_lost_address_is_forgotten),
                cmocka_unit_test(test_what_was_refused_takes_no_place),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
