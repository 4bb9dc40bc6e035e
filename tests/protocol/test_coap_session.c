/*
 * The end of a secure session over datagrams: whatever hung on it goes, and
 * nothing of another session, though both come from the same address.
 */
#include "endpoint_fixture.h"

enum { RESOURCE = 77 };

static uint8_t block[1024];

/* One session with one thing of each kind. */
struct life {
        struct coap_peer peer;
        coap_id posted[2], slow, asked;
};

static struct life session(uint64_t channel) {
        struct life l = { .peer = peer(1) };

        l.peer.channel = (uint32_t)channel;
        return l;
}

static void hear_to(struct world *w, const struct life *l) {
        (void)hear(w);
        assert_int_equal(w->to.channel, l->peer.channel);
}

static void begin_posts(struct world *w, struct life *l) {
        uint8_t m[] = { 0x41, 2, 0, 0, 'p', 0xb1, 'x' };

        for (uint8_t i = 0; i < 2; i++) {
                m[3] = i;
                say(w, &l->peer, false, m, sizeof(m));
                pop_request(w, "/x");
                l->posted[i] = w->event.id;
        }
}

static void begin_observing(struct world *w, struct life *l) {
        struct coap_response r = content("0");

        SAY(w, &l->peer, "\x51\x01\x20\x01t\x60\x51x");
        pop_request(w, "/x");
        r.observe = true;
        r.resource = RESOURCE;
        answer(w, r);
        hear_to(w, l);
}

/* The first of three blocks is out, the rest waits to be asked for. */
static void begin_reading(struct world *w, struct life *l) {
        static const uint8_t get[] = { 0x41, 1, 0x30, 1, 'r', 0xb3, 'b', 'i', 'g' };
        static const char text[2500] = { 0 };
        struct coap_response r = content("");

        say(w, &l->peer, false, get, sizeof(get));
        pop_request(w, "/big");
        r.payload = span_of(text, sizeof(text));
        answer(w, r);
        hear_to(w, l);
}

static void begin_writing(struct world *w, struct life *l) {
        static const uint8_t head[] = { 0x41, 2, 0x40, 1, 'w', 0xb3, 'b', 'i', 'g', 0xd1, 3, 0x0e, 0xff };
        uint8_t m[sizeof(head) + sizeof(block)];

        memcpy(m, head, sizeof(head));
        memcpy(m + sizeof(head), block, sizeof(block));
        say(w, &l->peer, false, m, sizeof(m));
        assert_false(pop(w));
        hear_to(w, l);
}

static void begin_asking(struct world *w, struct life *l) {
        struct coap_ask a = COAP_ASK_DEFAULT;

        a.path = SPAN_LITERAL("/ours");
        a.user = l->peer.channel;
        assert_int_equal(coap_endpoint_request(w->ep, w->now, &l->peer, &a, &l->asked), 0);
        hear_to(w, l);
}

/* A slow answer: a message of ours that waits for its ACK. */
static void begin_answering(struct world *w, struct life *l) {
        struct coap_response r = content("slow");

        SAY(w, &l->peer, "\x41\x01\x50\x01s\xb4slow");
        pop_request(w, "/slow");
        l->slow = w->event.id;
        sleep_until_due(w);
        hear_to(w, l); /* the empty ACK */
        assert_int_equal(coap_endpoint_respond(w->ep, w->now, l->slow, &r), 0);
        hear_to(w, l);
}

static void test_a_session_ends_with_all_that_hung_on_it(void **state) {
        struct life one = session(0x80000001), two = session(0x80000002);
        struct life *const both[] = { &one, &two };
        struct coap_counts before, after;
        const struct coap_response r = content("late");
        struct world w;

        world_open(&w, NULL);
        for (size_t i = 0; i < 2; i++) {
                begin_answering(&w, both[i]);
                begin_asking(&w, both[i]);
                begin_reading(&w, both[i]);
                begin_writing(&w, both[i]);
                begin_observing(&w, both[i]);
        }
        for (size_t i = 0; i < 2; i++)
                begin_posts(&w, both[i]);
        coap_endpoint_counts(w.ep, &before);
        assert_true(before.n_exchanges >= 4 && before.n_observers == 2 && before.n_uploads == 2 &&
                    before.n_asks == 2 && before.n_pages >= 2);
        coap_endpoint_session_closed(w.ep, w.now, &one.peer);
        assert_true(pop(&w));
        assert_int_equal(w.event.type, COAP_EVENT_FAILED);
        assert_int_equal(w.event.id, one.asked);
        assert_int_equal(w.event.user, one.peer.channel);
        assert_int_equal(w.event.reply.failure, COAP_FAILURE_CLOSED);
        assert_false(pop(&w));
        coap_endpoint_counts(w.ep, &after);
        assert_int_equal(after.n_exchanges * 2, before.n_exchanges);
        assert_int_equal(after.n_observers, 1);
        assert_int_equal(after.n_uploads, 1);
        assert_int_equal(after.n_asks, 1);
        assert_int_equal(after.n_pages * 2, before.n_pages);

        for (size_t i = 0; i < 2; i++) /* answers that come late find nobody, in the other one they do */
                assert_int_equal(coap_endpoint_respond(w.ep, w.now, one.posted[i], &r), COAP_E_UNKNOWN_ID);
        hear_nothing(&w);
        assert_int_equal(coap_endpoint_respond(w.ep, w.now, two.posted[0], &r), 0);
        hear_to(&w, &two);
        coap_endpoint_notify(w.ep, w.now, RESOURCE);
        assert_true(pop(&w));
        assert_int_equal(w.event.type, COAP_EVENT_NOTIFY);
        answer(&w, content("1"));
        hear_to(&w, &two);
        assert_false(pop(&w));

        /* until all is over nothing goes to who is gone: no repetition, no notification */
        coap_endpoint_session_closed(w.ep, w.now, &two.peer);
        assert_true(pop(&w));
        for (int i = 0; i < 1000 && coap_endpoint_deadline(w.ep) != OCF_NEVER; i++) {
                sleep_until_due(&w);
                (void)pop(&w);
                hear_nothing(&w);
        }
        assert_quiet(&w);
        world_close(&w);
}

static void test_plain_requests_of_its_address_go_on(void **state) {
        static const uint8_t end[] = { 0x41, 2, 0x40, 2, 'w', 0xb3, 'b', 'i', 'g', 0xd1, 3, 0x16, 0xff, '!' };
        struct life one = session(0x80000001), plain = session(0);
        struct world w;

        world_open(&w, NULL);
        begin_posts(&w, &plain);
        begin_observing(&w, &plain);
        begin_writing(&w, &plain);
        coap_endpoint_session_closed(w.ep, w.now, &one.peer); /* of which nothing is known */
        coap_endpoint_notify(w.ep, w.now, RESOURCE);
        assert_true(pop(&w));
        answer(&w, content("1"));
        hear_to(&w, &plain);
        w.event.id = plain.posted[1];
        answer(&w, content("2"));
        hear_to(&w, &plain);
        say(&w, &plain.peer, false, end, sizeof(end)); /* its second block */
        pop_request(&w, "/big");
        assert_int_equal(w.event.request.payload.n, sizeof(block) + 1);
        world_close(&w);
}

/* Another session of the same peer may use the same message ids, and is not taken for the one before. */
static void test_the_next_session_begins_anew(void **state) {
        struct life one = session(0x80000001), two = session(0x80000002);
        struct world w;

        world_open(&w, NULL);
        begin_posts(&w, &one);
        w.event.id = one.posted[0];
        answer(&w, content("done"));
        hear_to(&w, &one);
        coap_endpoint_session_closed(w.ep, w.now, &one.peer);
        begin_posts(&w, &two); /* both are requests, none is answered out of what is remembered */
        world_close(&w);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_a_session_ends_with_all_that_hung_on_it),
                cmocka_unit_test(test_plain_requests_of_its_address_go_on),
                cmocka_unit_test(test_the_next_session_begins_anew),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
