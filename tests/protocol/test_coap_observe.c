#include "endpoint_fixture.h"

enum { RESOURCE = 77 };

static struct coap_response observed(const char *text) {
        struct coap_response r = content(text);

        r.observe = true;
        r.resource = RESOURCE;
        return r;
}

/* NON GET /x with Observe 0. */
static void register_observer(struct world *w, const struct coap_peer *p, char token, uint8_t mid) {
        uint8_t m[] = { 0x51, 1, 0x20, mid, (uint8_t)token, 0x60, 0x51, 'x' };
        struct coap_message got;

        say(w, p, false, m, sizeof(m));
        pop_request(w, "/x");
        assert_true(w->event.request.wants_observe);
        answer(w, observed("0"));
        got = hear(w);
        assert_true(option(&got, COAP_OPTION_OBSERVE) >= 0);
}

/* The notification that is due, answered with this. */
static struct coap_message notified(struct world *w, const char *text) {
        assert_true(pop(w));
        assert_int_equal(w->event.type, COAP_EVENT_NOTIFY);
        assert_int_equal(w->event.resource, RESOURCE);
        answer(w, content(text));
        return hear(w);
}

static void acknowledge(struct world *w, const struct coap_peer *p, enum coap_type type, uint16_t mid) {
        uint8_t m[] = { (uint8_t)(0x40 | (unsigned)type << 4), 0, (uint8_t)(mid >> 8), (uint8_t)mid };

        say(w, p, false, m, sizeof(m));
}

static void test_register_notify_cancel(void **state) {
        struct coap_peer p = peer(1);
        struct coap_message m;
        int64_t first, second;
        struct world w;

        world_open(&w, NULL);
        register_observer(&w, &p, 't', 1);
        assert_int_equal(coap_endpoint_observers(w.ep, RESOURCE), 1);
        coap_endpoint_notify(w.ep, w.now, RESOURCE);
        m = notified(&w, "1");
        first = option(&m, COAP_OPTION_OBSERVE);
        assert_int_equal(m.type, COAP_NON);
        assert_memory_equal(m.token, "t", 1);
        coap_endpoint_notify(w.ep, w.now, RESOURCE);
        m = notified(&w, "2");
        second = option(&m, COAP_OPTION_OBSERVE);
        assert_true(second > first);
        SAY(&w, &p, "\x51\x01\x20\x09t\x61\x01\x51x"); /* Observe 1, the same token */
        pop_request(&w, "/x");
        answer(&w, content("2"));
        m = hear(&w);
        assert_int_equal(option(&m, COAP_OPTION_OBSERVE), -1);
        assert_int_equal(coap_endpoint_observers(w.ep, RESOURCE), 0);
        coap_endpoint_notify(w.ep, w.now, RESOURCE);
        assert_false(pop(&w));
        assert_quiet(&w);
        world_close(&w);
}

static void test_a_resource_that_cannot_be_observed_just_answers(void **state) {
        struct coap_peer p = peer(1);
        struct coap_message m;
        struct world w;

        world_open(&w, NULL);
        SAY(&w, &p, "\x51\x01\x20\x01t\x60\x51x");
        pop_request(&w, "/x");
        answer(&w, content("0"));
        m = hear(&w);
        assert_int_equal(m.code, COAP_CONTENT);
        assert_int_equal(option(&m, COAP_OPTION_OBSERVE), -1);
        assert_int_equal(coap_endpoint_observers(w.ep, RESOURCE), 0);
        world_close(&w);
}

static void test_a_reset_cancels(void **state) {
        struct coap_peer p = peer(1), stranger = peer(2);
        struct coap_message m;
        struct world w;

        world_open(&w, NULL);
        register_observer(&w, &p, 't', 1);
        coap_endpoint_notify(w.ep, w.now, RESOURCE);
        m = notified(&w, "1");
        acknowledge(&w, &stranger, COAP_RST, m.mid); /* somebody else's is no reason */
        assert_int_equal(coap_endpoint_observers(w.ep, RESOURCE), 1);
        acknowledge(&w, &p, COAP_RST, m.mid);
        assert_int_equal(coap_endpoint_observers(w.ep, RESOURCE), 0);
        world_close(&w);
}

static void test_the_dead_are_found(void **state) {
        struct coap_peer p = peer(1);
        struct coap_message m;
        struct world w;
        int n_con = 0;

        world_open(&w, NULL);
        register_observer(&w, &p, 't', 1);
        for (int i = 0; i < 40 && coap_endpoint_observers(w.ep, RESOURCE); i++) {
                coap_endpoint_notify(w.ep, w.now, RESOURCE);
                while (pop(&w))
                        answer(&w, content("x"));
                while ((w.n_out = coap_endpoint_transmit(w.ep, w.now, &w.to, w.out, sizeof(w.out)))) {
                        assert_int_equal(coap_message_parse(&m, span_of(w.out, w.n_out)), 0);
                        n_con += m.type == COAP_CON;
                }
                w.now += 10000;
        }
        assert_true(n_con >= 2);
        assert_int_equal(coap_endpoint_observers(w.ep, RESOURCE), 0);
        assert_quiet(&w);
        world_close(&w);
}

/* RFC 7641, 4.5.2: while a CON waits, what changes waits with it, and then the newest state goes out. */
static void test_a_waiting_con_is_replaced_by_the_newest_state(void **state) {
        struct coap_peer p = peer(1);
        struct coap_message m;
        int64_t sequence;
        struct world w;

        world_open(&w, NULL);
        register_observer(&w, &p, 't', 1);
        w.now += 100000; /* long silent: the next one is CON */
        coap_endpoint_notify(w.ep, w.now, RESOURCE);
        m = notified(&w, "1");
        assert_int_equal(m.type, COAP_CON);
        sequence = option(&m, COAP_OPTION_OBSERVE);
        for (int i = 0; i < 5; i++)
                coap_endpoint_notify(w.ep, w.now, RESOURCE);
        assert_false(pop(&w)); /* the first one is not acknowledged */
        sleep_until_due(&w);
        m = notified(&w, "6");
        assert_int_equal(m.type, COAP_CON);
        assert_true(option(&m, COAP_OPTION_OBSERVE) > sequence);
        hear_nothing(&w);
        acknowledge(&w, &p, COAP_ACK, m.mid);
        assert_false(pop(&w));
        assert_quiet(&w);
        world_close(&w);
}

static void test_changes_while_the_app_answers_make_one_more(void **state) {
        struct coap_peer p = peer(1);
        struct world w;

        world_open(&w, NULL);
        register_observer(&w, &p, 't', 1);
        coap_endpoint_notify(w.ep, w.now, RESOURCE);
        assert_true(pop(&w));
        for (int i = 0; i < 10; i++)
                coap_endpoint_notify(w.ep, w.now, RESOURCE);
        {
                struct coap_event none;

                assert_false(coap_endpoint_event(w.ep, w.now, &none));
        }
        answer(&w, content("1"));
        hear(&w);
        notified(&w, "2");
        assert_false(pop(&w));
        world_close(&w);
}

static void test_the_same_view_again_replaces(void **state) {
        struct coap_peer p = peer(1), q = peer(2);
        struct world w;

        world_open(&w, NULL);
        register_observer(&w, &p, 't', 1);
        register_observer(&w, &p, 't', 2); /* the same token */
        assert_int_equal(coap_endpoint_observers(w.ep, RESOURCE), 1);
        register_observer(&w, &p, 'u', 3); /* a new token for the same view */
        assert_int_equal(coap_endpoint_observers(w.ep, RESOURCE), 1);
        register_observer(&w, &q, 'u', 3); /* another peer */
        assert_int_equal(coap_endpoint_observers(w.ep, RESOURCE), 2);
        coap_endpoint_notify(w.ep, w.now, RESOURCE);
        assert_memory_equal(notified(&w, "1").token, "u", 1);
        assert_memory_equal(notified(&w, "1").token, "u", 1);
        assert_false(pop(&w));
        world_close(&w);
}

/* A registration that is repeated late must not make what is still under way look newer (found by the
 * simulator). */
static void test_numbers_go_on_when_it_registers_again(void **state) {
        struct coap_peer p = peer(1);
        struct coap_message m;
        int64_t before;
        struct world w;

        world_open(&w, NULL);
        register_observer(&w, &p, 't', 1);
        for (int i = 0; i < 5; i++) {
                coap_endpoint_notify(w.ep, w.now, RESOURCE);
                m = notified(&w, "x");
        }
        before = option(&m, COAP_OPTION_OBSERVE);
        SAY(&w, &p, "\x51\x01\x20\x02t\x60\x51x");
        pop_request(&w, "/x");
        answer(&w, observed("y"));
        m = hear(&w);
        assert_true(option(&m, COAP_OPTION_OBSERVE) > before);
        world_close(&w);
}

static void test_an_error_ends_it(void **state) {
        struct coap_peer p = peer(1);
        struct coap_message m;
        struct world w;

        world_open(&w, NULL);
        register_observer(&w, &p, 't', 1);
        coap_endpoint_notify(w.ep, w.now, RESOURCE);
        assert_true(pop(&w));
        answer(&w, (struct coap_response){
                           .code = COAP_NOT_FOUND, .content_format = COAP_FORMAT_NONE, .max_age_s = -1 });
        m = hear(&w);
        assert_int_equal(m.code, COAP_NOT_FOUND);
        assert_int_equal(option(&m, COAP_OPTION_OBSERVE), -1);
        assert_int_equal(coap_endpoint_observers(w.ep, RESOURCE), 0);
        acknowledge(&w, &p, COAP_ACK, m.mid);
        assert_quiet(&w);
        world_close(&w);
}

static void test_all_observers_of_a_resource_end(void **state) {
        struct coap_peer p = peer(1), q = peer(2);
        struct coap_message m;
        struct world w;

        world_open(&w, NULL);
        register_observer(&w, &p, 't', 1);
        register_observer(&w, &q, 'u', 1);
        coap_endpoint_end_observers(w.ep, w.now, RESOURCE, COAP_SERVICE_UNAVAILABLE, 5);
        for (int i = 0; i < 2; i++) {
                m = hear(&w);
                assert_int_equal(m.code, COAP_SERVICE_UNAVAILABLE);
                assert_int_equal(option(&m, COAP_OPTION_MAX_AGE), 5);
                acknowledge(&w, &w.to, COAP_ACK, m.mid);
        }
        assert_int_equal(coap_endpoint_observers(w.ep, RESOURCE), 0);
        coap_endpoint_end_observers(w.ep, w.now, RESOURCE, COAP_NOT_FOUND, -1); /* nobody there: nothing */
        hear_nothing(&w);
        assert_quiet(&w);
        world_close(&w);
}

static void test_a_long_query_is_answered_but_not_observed(void **state) {
        struct coap_peer p = peer(1);
        uint8_t bytes[128] = { 0x51, 1, 0x20, 1, 't', 0x60, 0x51, 'x', 0x4d, 60 - 13 };
        struct coap_message m;
        struct world w;

        world_open(&w, NULL);
        memset(bytes + 10, 'q', 60);
        say(&w, &p, false, bytes, 70);
        pop_request(&w, "/x");
        assert_int_equal(w.event.request.query.n, 60);
        answer(&w, observed("0"));
        m = hear(&w);
        assert_int_equal(m.code, COAP_CONTENT);
        assert_int_equal(option(&m, COAP_OPTION_OBSERVE), -1);
        world_close(&w);
}

static void test_full_is_a_plain_answer(void **state) {
        struct coap_limits limits = coap_limits_default;
        struct coap_peer p = peer(1);
        struct coap_message m;
        struct world w;

        limits.n_observers_per_peer = 1;
        world_open(&w, &limits);
        register_observer(&w, &p, 't', 1);
        SAY(&w, &p, "\x51\x01\x20\x02u\x60\x51y");
        pop_request(&w, "/y");
        {
                struct coap_response r = observed("0");

                r.resource = 78;
                answer(&w, r);
        }
        m = hear(&w);
        assert_int_equal(m.code, COAP_CONTENT);
        assert_int_equal(option(&m, COAP_OPTION_OBSERVE), -1);
        world_close(&w);
}

static void test_ten_thousand_observers_need_no_more_room_than_there_is(void **state) {
        struct coap_limits limits = coap_limits_default;
        unsigned n_notified = 0;
        struct world w;

        limits.n_observers_per_peer = 20000;
        limits.n_outgoing = 16384;
        world_open(&w, &limits);
        for (unsigned i = 0; i < 10000; i++) {
                struct coap_peer p = peer(i & 255);

                p.remote_port = (uint16_t)(1000 + i);
                register_observer(&w, &p, 't', 1);
        }
        coap_endpoint_notify(w.ep, w.now, RESOURCE);
        for (bool more = true; more;) {
                more = false;
                while (pop(&w)) {
                        answer(&w, content("x"));
                        more = true;
                }
                while (coap_endpoint_transmit(w.ep, w.now, &w.to, w.out, sizeof(w.out)))
                        n_notified++;
        }
        assert_int_equal(n_notified, 10000);
        world_close(&w);
}

/* What comes in the middle of a change that thousands are told of: acknowledgements count, and others are
 * answered. */
static void test_who_comes_in_the_middle_of_a_change_is_heard(void **state) {
        struct coap_limits limits = coap_limits_default;
        struct coap_peer first = peer(1), other = peer(200);
        struct coap_config config = coap_config_default;
        struct coap_counts before, after;
        struct coap_message m;
        uint8_t n_answered = 0;
        struct world w;

        limits.n_streams = 0; /* no message is longer than a datagram */
        limits.n_outgoing = 16384;
        world_open(&w, &limits);
        for (unsigned i = 0; i < 1000; i++) {
                struct coap_peer p = peer(1 + i % 100);

                p.remote_port = (uint16_t)(1000 + i);
                register_observer(&w, &p, 't', 1);
        }
        first.remote_port = 1000;
        w.now += config.con_after_ms; /* all of them are CON */
        coap_endpoint_notify(w.ep, w.now, RESOURCE);
        while (pop(&w))
                answer(&w, content("as many as may wait"));
        m = hear(&w);
        assert_int_equal(m.type, COAP_CON);
        assert_memory_equal(&w.to, &first, sizeof(first));
        while (pop(&w))
                answer(&w, content("as many as may wait"));
        for (;;) { /* others find room, until all of it is taken */
                uint8_t get[] = { 0x51, 1, 0x30, n_answered, 't', 0xb1, 'x' };

                say(&w, &other, false, get, sizeof(get));
                if (!pop(&w))
                        break;
                assert_int_equal(w.event.type, COAP_EVENT_REQUEST);
                answer(&w, content("an answer"));
                n_answered++;
        }
        assert_true(n_answered > 20);
        coap_endpoint_counts(w.ep, &before);
        acknowledge(&w, &first, COAP_ACK, m.mid); /* asks for nothing, so it counts also now */
        coap_endpoint_counts(w.ep, &after);
        assert_int_equal(after.n_pages, before.n_pages - 1);
        world_close(&w);
}

static void test_a_change_while_it_was_given_up_makes_one_more(void **state) {
        struct coap_peer p = peer(1);
        struct world w;

        world_open(&w, NULL);
        register_observer(&w, &p, 't', 1);
        coap_endpoint_notify(w.ep, w.now, RESOURCE);
        assert_true(pop(&w));
        coap_endpoint_notify(w.ep, w.now, RESOURCE);
        coap_endpoint_ignore(w.ep, w.event.id);
        (void)notified(&w, "1");
        assert_false(pop(&w));
        world_close(&w);
}

/* RFC 7252, 4.2 and 4.3: they are empty, or they are to be ignored. */
static void test_a_reset_with_a_code_is_no_reset(void **state) {
        struct coap_peer p = peer(1);
        struct coap_message m;
        struct world w;

        world_open(&w, NULL);
        register_observer(&w, &p, 't', 1);
        coap_endpoint_notify(w.ep, w.now, RESOURCE);
        m = notified(&w, "1");
        say(&w, &p, false, (uint8_t[]){ 0x70, 0x01, (uint8_t)(m.mid >> 8), (uint8_t)m.mid }, 4);
        say(&w, &p, false, (uint8_t[]){ 0x70, 0x45, (uint8_t)(m.mid >> 8), (uint8_t)m.mid }, 4);
        assert_int_equal(coap_endpoint_observers(w.ep, RESOURCE), 1);
        acknowledge(&w, &p, COAP_RST, m.mid);
        assert_int_equal(coap_endpoint_observers(w.ep, RESOURCE), 0);
        world_close(&w);
}

/* RFC 7641, 3.1: without Observe in the answer the client is on no list, so neither on ours. */
static void test_registering_again_in_vain_ends_the_older(void **state) {
        static const char again[] = "\x51\x01\x20\x02t\x60\x51x";
        struct coap_peer p = peer(1);
        struct coap_message m;
        struct world w;

        world_open(&w, NULL);
        register_observer(&w, &p, 't', 1);
        SAY(&w, &p, again);
        pop_request(&w, "/x");
        answer(&w, content("no longer"));
        m = hear(&w);
        assert_int_equal(option(&m, COAP_OPTION_OBSERVE), -1);
        assert_int_equal(coap_endpoint_observers(w.ep, RESOURCE), 0);
        world_close(&w);
}

/* RFC 7959, 3.4: Observe belongs to the first block only. */
static void test_a_later_block_registers_nothing(void **state) {
        struct coap_peer p = peer(1);
        struct world w;

        world_open(&w, NULL);
        SAY(&w, &p, "\x51\x01\x20\x01t\x60\x51x\xc1\x10");
        pop_request(&w, "/x");
        assert_false(w.event.request.wants_observe);
        world_close(&w);
}

/* RFC 7252, 4.4: what others are told must not bring an id back too soon. 65536 is a multiple of many things.
 */
static void test_ids_are_counted_for_each_peer(void **state) {
        struct coap_peer p = peer(1), other = peer(2);
        struct coap_message first, second;
        struct world w;

        world_open(&w, NULL);
        register_observer(&w, &p, 't', 1);
        coap_endpoint_notify(w.ep, w.now, RESOURCE);
        first = notified(&w, "1");
        for (uint8_t i = 0; i < 5; i++) {
                say(&w, &other, false, (uint8_t[]){ 0x50, 1, 0x30, i, 0x51 + 0x60, 'y' }, 6);
                assert_true(pop(&w));
                answer(&w, content("y"));
                (void)hear(&w);
        }
        coap_endpoint_notify(w.ep, w.now, RESOURCE);
        second = notified(&w, "2");
        assert_int_equal((uint16_t)(second.mid - first.mid), 1);
        world_close(&w);
}

/* Fuzzing saw the query that is kept for the registration go out as its answer. */
static void test_a_registration_repeated_while_it_waits(void **state) {
        struct coap_peer p = peer(1);
        struct world w;

        world_open(&w, NULL);
        for (int i = 0; i < 2; i++) {
                SAY(&w, &p, "\x41\x01\x00\x01T\x60\x51x\x44q=12");
                assert_int_equal(pop(&w), i == 0);
                hear_nothing(&w);
        }
        world_close(&w);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_a_registration_repeated_while_it_waits),
                cmocka_unit_test(test_register_notify_cancel),
                cmocka_unit_test(test_a_resource_that_cannot_be_observed_just_answers),
                cmocka_unit_test(test_a_reset_cancels),
                cmocka_unit_test(test_the_dead_are_found),
                cmocka_unit_test(test_a_waiting_con_is_replaced_by_the_newest_state),
                cmocka_unit_test(test_changes_while_the_app_answers_make_one_more),
                cmocka_unit_test(test_the_same_view_again_replaces),
                cmocka_unit_test(test_numbers_go_on_when_it_registers_again),
                cmocka_unit_test(test_an_error_ends_it),
                cmocka_unit_test(test_all_observers_of_a_resource_end),
                cmocka_unit_test(test_a_long_query_is_answered_but_not_observed),
                cmocka_unit_test(test_full_is_a_plain_answer),
                cmocka_unit_test(test_ten_thousand_observers_need_no_more_room_than_there_is),
                cmocka_unit_test(test_who_comes_in_the_middle_of_a_change_is_heard),
                cmocka_unit_test(test_a_change_while_it_was_given_up_makes_one_more),
                cmocka_unit_test(test_a_reset_with_a_code_is_no_reset),
                cmocka_unit_test(test_registering_again_in_vain_ends_the_older),
                cmocka_unit_test(test_a_later_block_registers_nothing),
                cmocka_unit_test(test_ids_are_counted_for_each_peer),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
