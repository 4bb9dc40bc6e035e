#include "pair_fixture.h"

static uint8_t pattern[BODY_MAX];

static int fill(void **state) {
        for (size_t i = 0; i < sizeof(pattern); i++)
                pattern[i] = (uint8_t)(i * 7 + i / 251);
        return 0;
}

static const size_t lengths[] = { 0, 1, 1023, 1024, 1025, 2048, 2049, 70000, BODY_MAX };

static void test_bodies_of_all_lengths_both_ways(void **state) {
        for (int stream = 0; stream < 2; stream++) {
                struct pair p;

                pair_open(&p, stream, NULL);
                for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
                        const struct span whole = span_of(pattern, lengths[i]);

                        ask(&p, COAP_PUT, "/store", whole);
                        carry(&p);
                        assert_int_equal(p.n_responses, 3 * i + 1);
                        assert_int_equal(p.last.reply.code, COAP_CHANGED);
                        assert_true(span_equal(span_of(p.store, p.n_store), whole));
                        ask(&p, COAP_GET, "/store", SPAN_NULL);
                        carry(&p);
                        assert_int_equal(p.last.reply.code, COAP_CONTENT);
                        assert_true(span_equal(span_of(p.body, p.n_body), whole));
                        assert_false(p.last.reply.more);
                        ask(&p, COAP_POST, "/store", whole); /* long both ways */
                        carry(&p);
                        assert_int_equal(p.last.reply.code, COAP_CHANGED);
                        assert_true(span_equal(span_of(p.body, p.n_body), whole));
                        assert_int_equal(p.last.user, 77);
                }
                assert_int_equal(p.n_requests, 3 * ARRAY_SIZE(lengths)); /* each body came once, whole */
                assert_pair_quiet(&p);
                pair_close(&p);
        }
}

static void test_every_method(void **state) {
        static const uint8_t methods[] = { COAP_GET,   COAP_POST,  COAP_PUT,   COAP_DELETE,
                                           COAP_FETCH, COAP_PATCH, COAP_IPATCH };
        struct pair p;

        pair_open(&p, false, NULL);
        for (size_t i = 0; i < ARRAY_SIZE(methods); i++) {
                ask(&p, methods[i], "/store", span_of(pattern, methods[i] == COAP_GET ? 0 : 3));
                carry(&p);
                assert_int_equal(p.method, methods[i]);
                assert_int_equal(p.n_responses, i + 1);
                assert_int_equal(p.content_format, methods[i] == COAP_GET ? -1 : COAP_FORMAT_OCF_CBOR);
        }
        assert_pair_quiet(&p);
        pair_close(&p);
}

/* RFC 8132, 2.1: two questions to one resource have two answers, whose blocks do not mix. */
static void test_long_answers_to_different_fetches(void **state) {
        struct pair p;

        pair_open(&p, false, NULL);
        memcpy(p.store, pattern, 5000);
        p.n_store = 5000;
        ask(&p, COAP_FETCH, "/store", SPAN_LITERAL("one"));
        ask(&p, COAP_FETCH, "/store", SPAN_LITERAL("two"));
        carry(&p);
        assert_int_equal(p.n_responses, 2);
        assert_int_equal(p.n_requests, 2);
        assert_int_equal(p.n_body, 5000);
        assert_pair_quiet(&p);
        pair_close(&p);
}

static void test_a_separate_response(void **state) {
        struct coap_response late = content("late");
        struct pair p;

        pair_open(&p, false, NULL);
        p.hold = true;
        ask(&p, COAP_GET, "/slow", SPAN_NULL);
        carry(&p);
        pass(&p, 10000); /* acknowledged, so it is not sent again */
        assert_int_equal(p.n_requests, 1);
        assert_int_equal(p.n_responses, 0);
        assert_int_equal(coap_endpoint_respond(p.server.ep, p.server.now, p.held, &late), 0);
        p.n_swallow = 1; /* its first copy is lost */
        carry(&p);
        pass(&p, 5000);
        assert_int_equal(p.n_responses, 1);
        assert_int_equal(p.n_body, 4);
        assert_pair_quiet(&p);
        assert_int_equal(p.n_responses, 1);
        pair_close(&p);
}

/* The ACK is lost and the separate response comes first: it is a sign of life as well (RFC 7252, 5.2.2). */
static void test_a_response_before_its_acknowledgement(void **state) {
        struct coap_response late = content("late");
        struct pair p;

        pair_open(&p, false, NULL);
        p.hold = true;
        ask(&p, COAP_GET, "/slow", SPAN_NULL);
        carry(&p);
        p.client.now = p.server.now += 600; /* the server's empty ACK is due, and lost */
        p.n_swallow = 1;
        carry(&p);
        assert_int_equal(coap_endpoint_respond(p.server.ep, p.server.now, p.held, &late), 0);
        carry(&p);
        assert_int_equal(p.n_responses, 1);
        assert_pair_quiet(&p);
        assert_int_equal(p.n_requests, 1);
        pair_close(&p);
}

static void test_one_at_a_time(void **state) {
        struct pair p;

        pair_open(&p, false, NULL);
        p.n_swallow = 1;
        for (int i = 0; i < 5; i++)
                ask(&p, COAP_GET, "/store", SPAN_NULL);
        while (carry_one(&p, true))
                ;
        assert_int_equal(p.n_carried, 1); /* NSTART (RFC 7252, 4.7) */
        assert_int_equal(p.n_requests, 0);
        pass(&p, 4000);
        assert_int_equal(p.n_responses, 5);
        assert_pair_quiet(&p);
        pair_close(&p);
}

static void test_nobody_is_there(void **state) {
        struct pair p;

        pair_open(&p, false, NULL);
        p.n_swallow = UINT32_MAX;
        ask(&p, COAP_PUT, "/store", span_of(pattern, 5000));
        ask(&p, COAP_GET, "/store", SPAN_NULL);
        pass(&p, 40000);
        assert_int_equal(p.n_carried, 5); /* one and four more (RFC 7252, 4.8) */
        assert_int_equal(p.n_failed, 0);
        pass(&p, 60000);
        assert_int_equal(p.n_failed, 1);
        assert_int_equal(p.last.type, COAP_EVENT_FAILED);
        assert_int_equal(p.last.reply.failure, COAP_FAILURE_TIMEOUT);
        assert_int_equal(p.last.user, 77);
        pass(&p, 100000);
        assert_int_equal(p.n_failed, 2); /* the second had its turn then */
        assert_pair_quiet(&p);
        pair_close(&p);
}

static void test_the_callers_patience(void **state) {
        const struct coap_ask a = { .method = COAP_GET,
                                    .non_confirmable = true,
                                    .path = SPAN_LITERAL("/x"),
                                    .accept = COAP_FORMAT_NONE,
                                    .timeout_ms = 3000 };
        struct coap_peer server;
        struct pair p;
        coap_id id;

        pair_open(&p, false, NULL);
        p.hold = true;
        server = seen_by_client(&p);
        assert_int_equal(coap_endpoint_request(p.client.ep, p.client.now, &server, &a, &id), 0);
        pass(&p, 2900);
        assert_int_equal(p.n_requests, 1);
        assert_int_equal(p.n_failed, 0);
        pass(&p, 200);
        assert_int_equal(p.n_failed, 1);
        assert_int_equal(p.last.id, id);
        assert_int_equal(p.last.reply.failure, COAP_FAILURE_TIMEOUT);
        assert_pair_quiet(&p);
        pair_close(&p);
}

/* Says bytes to the client as its server would; the token of the last request stands at 4. */
static void say_back(struct pair *p, const void *data, size_t n) {
        const struct coap_peer server = seen_by_client(p);

        coap_endpoint_receive(p->client.ep, p->client.now, &server, 0, span_of(data, n));
        pop_all(p);
}

/* The client's next message, and an answer with its token. */
static struct coap_message sent(struct pair *p) {
        return hear(&p->client);
}

static struct coap_builder reply_to(uint8_t *buf, const struct coap_message *m, enum coap_type type,
                                    uint8_t code, uint16_t mid) {
        return coap_build(buf, 1472, type, code, mid, m->token, m->n_token);
}

static void test_resets(void **state) {
        for (int con = 0; con < 2; con++) {
                const struct coap_ask a = { .method = COAP_GET, .non_confirmable = !con, .accept = -1 };
                uint8_t rst[4] = { 0x70, 0, 0, 0 };
                struct coap_peer server;
                struct coap_message m;
                struct pair p;
                coap_id id;

                pair_open(&p, false, NULL);
                server = seen_by_client(&p);
                assert_int_equal(coap_endpoint_request(p.client.ep, p.client.now, &server, &a, &id), 0);
                m = sent(&p);
                assert_int_equal(m.type, con ? COAP_CON : COAP_NON);
                rst[2] = (uint8_t)(m.mid >> 8);
                rst[3] = (uint8_t)m.mid;
                say_back(&p, rst, 4);
                assert_int_equal(p.n_failed, 1);
                assert_int_equal(p.last.reply.failure, COAP_FAILURE_RESET);
                assert_pair_quiet(&p);
                pair_close(&p);
        }
}

static void test_a_response_that_comes_twice(void **state) {
        uint8_t buf[1472];
        struct coap_builder b;
        struct coap_message m;
        struct pair p;

        pair_open(&p, false, NULL);
        ask(&p, COAP_GET, "/x", SPAN_NULL);
        m = sent(&p);
        b = reply_to(buf, &m, COAP_CON, COAP_CONTENT, 4711);
        for (int i = 0; i < 3; i++) {
                say_back(&p, buf, b.w.n);
                m = sent(&p);
                assert_int_equal(m.type, COAP_ACK);
                assert_int_equal(m.mid, 4711);
        }
        assert_int_equal(p.n_responses, 1);
        b.w.data[4] ^= 0x80; /* of no request of ours */
        b.w.data[3] ^= 1;
        say_back(&p, buf, b.w.n);
        assert_int_equal(sent(&p).type, COAP_RST);
        assert_int_equal(p.n_responses, 1);
        assert_pair_quiet(&p);
        pair_close(&p);
}

static void test_an_answer_in_a_strange_acknowledgement(void **state) {
        uint8_t buf[1472];
        struct coap_builder b;
        struct coap_message m;
        struct pair p;

        pair_open(&p, false, NULL);
        ask(&p, COAP_GET, "/x", SPAN_NULL);
        m = sent(&p);
        b = reply_to(buf, &m, COAP_ACK, COAP_CONTENT, (uint16_t)(m.mid + 1)); /* the id of something else */
        say_back(&p, buf, b.w.n);
        b = reply_to(buf, &m, COAP_ACK, COAP_CONTENT, m.mid);
        b.w.data[5] ^= 1; /* the token of something else */
        say_back(&p, buf, b.w.n);
        assert_int_equal(p.n_responses + p.n_failed, 0);
        b.w.data[5] ^= 1;
        say_back(&p, buf, b.w.n);
        assert_int_equal(p.n_responses, 1);
        assert_pair_quiet(&p);
        pair_close(&p);
}

static void test_critical_options_in_a_response(void **state) {
        uint8_t buf[1472];
        struct coap_builder b;
        struct coap_message m;
        struct pair p;

        pair_open(&p, false, NULL);
        ask(&p, COAP_GET, "/x", SPAN_NULL);
        m = sent(&p);
        b = reply_to(buf, &m, COAP_ACK, COAP_CONTENT, m.mid);
        coap_build_uint(&b, 9, 1);
        say_back(&p, buf, b.w.n);
        assert_int_equal(p.n_failed, 1);
        assert_int_equal(p.last.reply.failure, COAP_FAILURE_BAD_OPTION);
        assert_pair_quiet(&p);
        pair_close(&p);
}

static void test_without_the_version_options(void **state) {
        struct coap_ask a = COAP_ASK_DEFAULT;
        uint8_t buf[1472];
        struct coap_builder b;
        struct coap_peer server;
        struct coap_message m;
        struct pair p;
        coap_id id;

        pair_open(&p, false, NULL);
        server = seen_by_client(&p);
        a.ocf_version = true;
        a.method = COAP_POST;
        a.content_format = COAP_FORMAT_OCF_CBOR;
        a.payload = SPAN_LITERAL("x");
        assert_int_equal(coap_endpoint_request(p.client.ep, p.client.now, &server, &a, &id), 0);
        m = sent(&p);
        assert_int_equal(option(&m, COAP_OPTION_OCF_ACCEPT_VERSION), OCF_VERSION_1_0_0);
        assert_int_equal(option(&m, COAP_OPTION_OCF_CONTENT_VERSION), OCF_VERSION_1_0_0);
        b = reply_to(buf, &m, COAP_ACK, COAP_BAD_OPTION, m.mid);
        say_back(&p, buf, b.w.n);
        m = sent(&p);
        assert_int_equal(option(&m, COAP_OPTION_OCF_ACCEPT_VERSION), -1);
        assert_int_equal(option(&m, COAP_OPTION_OCF_CONTENT_VERSION), -1);
        assert_true(span_equal_string(m.payload, "x"));
        b = reply_to(buf, &m, COAP_ACK, COAP_BAD_OPTION, m.mid);
        say_back(&p, buf, b.w.n);
        assert_int_equal(p.n_responses, 1); /* it is something else: the caller is told */
        assert_int_equal(p.last.reply.code, COAP_BAD_OPTION);
        assert_true(p.last.reply.without_version);
        assert_pair_quiet(&p);
        pair_close(&p);
}

static void test_echo_is_given_back(void **state) {
        uint8_t buf[1472];
        struct coap_builder b;
        struct coap_message m;
        struct pair p;

        pair_open(&p, false, NULL);
        ask(&p, COAP_GET, "/x", SPAN_NULL);
        m = sent(&p);
        b = reply_to(buf, &m, COAP_ACK, COAP_UNAUTHORIZED, m.mid);
        coap_build_uint(&b, COAP_OPTION_ECHO, 0xcafe);
        say_back(&p, buf, b.w.n);
        m = sent(&p);
        assert_int_equal(option(&m, COAP_OPTION_ECHO), 0xcafe);
        b = reply_to(buf, &m, COAP_ACK, COAP_UNAUTHORIZED, m.mid);
        coap_build_uint(&b, COAP_OPTION_ECHO, 0xbeef);
        say_back(&p, buf, b.w.n);
        assert_int_equal(p.n_responses, 1); /* once is enough */
        assert_pair_quiet(&p);
        pair_close(&p);
}

/* ---- observing ---- */

static coap_id observe(struct pair *p) {
        struct coap_ask a = COAP_ASK_DEFAULT;
        const struct coap_peer server = seen_by_client(p);
        coap_id id;

        a.observe = true;
        a.path = SPAN_LITERAL("/store");
        assert_int_equal(coap_endpoint_request(p->client.ep, p->client.now, &server, &a, &id), 0);
        carry(p);
        return id;
}

static void change(struct pair *p, size_t n) {
        memcpy(p->store, pattern, n);
        p->n_store = n;
        p->etag++;
        coap_endpoint_notify(p->server.ep, p->server.now, 5);
        carry(p);
}

static void test_notifications_short_and_long(void **state) {
        for (int stream = 0; stream < 2; stream++) {
                struct pair p;
                coap_id id;

                pair_open(&p, stream, NULL);
                id = observe(&p);
                assert_int_equal(p.n_responses, 1);
                assert_true(p.last.reply.observed);
                assert_true(p.last.reply.more);
                for (unsigned i = 0; i < ARRAY_SIZE(lengths); i++) {
                        change(&p, lengths[i]);
                        assert_int_equal(p.n_responses, 2 + i);
                        assert_int_equal(p.last.id, id);
                        assert_int_equal(p.n_body, lengths[i]);
                        assert_memory_equal(p.body, pattern, lengths[i]);
                }
                coap_endpoint_cancel(p.client.ep, p.client.now, id);
                carry(&p);
                assert_int_equal(coap_endpoint_observers(p.server.ep, 5), 0);
                change(&p, 9);
                assert_int_equal(p.n_responses, 1 + ARRAY_SIZE(lengths));
                assert_pair_quiet(&p);
                pair_close(&p);
        }
}

static void test_a_quiet_observation_registers_again(void **state) {
        struct pair p;
        coap_id id;

        pair_open(&p, false, NULL);
        id = observe(&p);
        pass(&p, 59000);
        assert_int_equal(p.n_responses, 1);
        pass(&p, 20000); /* Max-Age is 60 where nobody says more */
        assert_int_equal(p.n_responses, 2);
        assert_int_equal(p.last.id, id);
        assert_int_equal(coap_endpoint_observers(p.server.ep, 5), 1);
        p.n_swallow = UINT32_MAX; /* the server is gone */
        pass(&p, 200000);
        assert_int_equal(p.n_failed, 1);
        assert_int_equal(p.last.reply.failure, COAP_FAILURE_TIMEOUT);
        pair_close(&p);
}

static void test_old_notifications_are_not_shown(void **state) {
        uint8_t buf[1472];
        struct coap_builder b;
        struct coap_message m;
        struct pair p;
        uint32_t i = 0;
        static const struct {
                uint32_t sequence;
                uint64_t after_ms;
                bool shown;
        } rows[] = {
                { 100, 0, true },       { 101, 0, true },           { 99, 0, false },      { 101, 0, false },
                { 8388708, 0, true },   { 100, 0, false },          { 16777215, 0, true }, { 0, 0, true },
                { 16777215, 0, false }, { 16777215, 129000, true },
        };

        pair_open(&p, false, NULL);
        p.n_swallow = 1;
        observe(&p);
        p.client.now += 3000;
        m = sent(&p);
        for (; i < ARRAY_SIZE(rows); i++) {
                unsigned before = p.n_responses;

                p.client.now += rows[i].after_ms;
                b = reply_to(buf, &m, COAP_NON, COAP_CONTENT, (uint16_t)(500 + i));
                coap_build_uint(&b, COAP_OPTION_OBSERVE, rows[i].sequence);
                coap_build_uint(&b, COAP_OPTION_MAX_AGE, 1000);
                say_back(&p, buf, b.w.n);
                assert_int_equal(p.n_responses - before, rows[i].shown);
        }
        pair_close(&p);
}

static void test_an_observation_that_ends(void **state) {
        struct pair p;

        pair_open(&p, false, NULL);
        observe(&p);
        coap_endpoint_end_observers(p.server.ep, p.server.now, 5, COAP_NOT_FOUND, -1);
        carry(&p);
        assert_int_equal(p.last.reply.code, COAP_NOT_FOUND);
        assert_false(p.last.reply.observed);
        assert_false(p.last.reply.more);
        assert_pair_quiet(&p);
        pair_close(&p);
}

/* What was cancelled is taken back; a notification that was under way then is rejected (RFC 7641, 3.6). */
static void test_a_notification_nobody_waits_for(void **state) {
        struct pair p;
        coap_id id;

        pair_open(&p, false, NULL);
        id = observe(&p);
        p.n_swallow = UINT32_MAX;
        coap_endpoint_cancel(p.client.ep, p.client.now, id);
        carry(&p);
        p.n_swallow = 0;
        change(&p, 9);
        assert_int_equal(p.n_responses, 1);
        assert_int_equal(coap_endpoint_observers(p.server.ep, 5), 0);
        assert_pair_quiet(&p);
        pair_close(&p);
}

/* ---- blocks that go wrong ---- */

static void say_block(struct pair *p, const struct coap_message *m, uint32_t num, bool more, uint8_t etag,
                      size_t n) {
        uint8_t buf[1472];
        struct coap_builder b = reply_to(buf, m, COAP_ACK, COAP_CONTENT, m->mid);

        coap_build_option(&b, COAP_OPTION_ETAG, span_of(&etag, 1));
        coap_build_uint(&b, COAP_OPTION_BLOCK2, num << 4 | (uint32_t)more << 3 | 0);
        coap_build_uint(&b, COAP_OPTION_SIZE2, UINT32_MAX); /* whatever it says */
        coap_build_payload(&b, span_of(pattern + num * 16, n));
        say_back(p, buf, b.w.n);
}

static void test_a_body_that_changes_while_it_comes(void **state) {
        struct coap_message m;
        struct pair p;
        uint8_t etag = 1;

        pair_open(&p, false, NULL);
        ask(&p, COAP_GET, "/x", SPAN_NULL);
        for (int i = 0; i < 4; i++) {
                m = sent(&p);
                assert_int_equal(option(&m, COAP_OPTION_BLOCK2), -1); /* from the beginning */
                say_block(&p, &m, 0, true, etag++, 16);
                m = sent(&p);
                assert_int_equal(option(&m, COAP_OPTION_BLOCK2), 1 << 4);
                say_block(&p, &m, 1, true, etag++, 16);
        }
        assert_int_equal(p.n_failed, 1);
        assert_int_equal(p.last.reply.failure, COAP_FAILURE_BODY);
        assert_pair_quiet(&p);
        pair_close(&p);
}

/* What is observed may change faster than it can be fetched: the observation stands. */
static void test_an_observed_body_that_never_holds_still(void **state) {
        struct pair p;

        pair_open(&p, false, NULL);
        memcpy(p.store, pattern, 5000);
        p.n_store = 5000;
        observe(&p);
        assert_int_equal(p.n_responses, 1);
        for (int i = 0; i < 10; i++) {
                p.n_store = 5000;
                p.etag++;
                coap_endpoint_notify(p.server.ep, p.server.now, 5);
                for (int k = 0; k < 3; k++) /* not long enough for all five blocks */
                        (void)(carry_one(&p, false) || carry_one(&p, true));
        }
        carry(&p);
        pass(&p, 30000);
        assert_int_equal(p.n_failed, 0);
        assert_true(p.last.reply.observed);
        assert_int_equal(p.n_body, 5000);
        pair_close(&p);
}

/* RFC 9175, 3: each body in blocks has a tag of its own, and keeps it. */
static void test_bodies_at_the_same_time(void **state) {
        struct coap_message m;
        int64_t tags[2];
        struct pair p;

        pair_open(&p, false, NULL);
        for (int i = 0; i < 2; i++) {
                uint8_t buf[1472];
                struct coap_builder b;

                ask(&p, COAP_PUT, "/store", span_of(pattern, 3000));
                m = sent(&p);
                tags[i] = option(&m, COAP_OPTION_REQUEST_TAG);
                b = reply_to(buf, &m, COAP_ACK, COAP_CONTINUE, m.mid);
                coap_build_uint(&b, COAP_OPTION_BLOCK1, 8 | 6);
                say_back(&p, buf, b.w.n);
                m = sent(&p);
                assert_int_equal(option(&m, COAP_OPTION_REQUEST_TAG), tags[i]);
                b = reply_to(buf, &m, COAP_ACK, COAP_CHANGED, m.mid);
                say_back(&p, buf, b.w.n);
        }
        assert_int_equal(p.n_responses, 2);
        assert_true(tags[0] >= 0 && tags[1] >= 0 && tags[0] != tags[1]);
        pair_close(&p);
}

static unsigned n_options(const struct coap_message *m, uint16_t number) {
        struct coap_option_reader r = coap_option_begin(m);
        struct coap_option o;
        unsigned n = 0;

        while (coap_option_next(&r, &o))
                n += o.number == number;
        return n;
}

/* libcoap takes an empty Uri-Query for malformed, and aiocoap what leaves options out for another request. */
static void test_which_options_go(void **state) {
        static const struct {
                const char *path, *query;
                unsigned n_path, n_query;
        } rows[] = { { "/", "", 0, 0 },
                     { "", "", 0, 0 },
                     { "/a", "", 1, 0 },
                     { "/a/b", "x=y&z", 2, 2 },
                     { "/a/", "", 2, 0 } };
        uint8_t buf[1472];
        struct coap_builder b;
        struct coap_message m;
        struct pair p;

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct coap_ask a = COAP_ASK_DEFAULT;
                struct coap_peer server;
                coap_id id;

                pair_open(&p, false, NULL);
                server = seen_by_client(&p);
                a.path = span_of_string(rows[i].path);
                a.query = span_of_string(rows[i].query);
                assert_int_equal(coap_endpoint_request(p.client.ep, p.client.now, &server, &a, &id), 0);
                m = sent(&p);
                assert_int_equal(n_options(&m, COAP_OPTION_URI_PATH), rows[i].n_path);
                assert_int_equal(n_options(&m, COAP_OPTION_URI_QUERY), rows[i].n_query);
                pair_close(&p);
        }
        pair_open(&p, false, NULL);
        ask(&p, COAP_POST, "/store", span_of(pattern, 1500));
        m = sent(&p);
        b = reply_to(buf, &m, COAP_ACK, COAP_CONTINUE, m.mid);
        coap_build_uint(&b, COAP_OPTION_BLOCK1, 8 | 6);
        say_back(&p, buf, b.w.n);
        m = sent(&p);
        b = reply_to(buf, &m, COAP_ACK, COAP_CHANGED, m.mid);
        coap_build_uint(&b, COAP_OPTION_BLOCK2, 8 | 0);
        coap_build_uint(&b, COAP_OPTION_BLOCK1, 1 << 4 | 6);
        coap_build_payload(&b, span_of(pattern, 16));
        say_back(&p, buf, b.w.n);
        m = sent(&p); /* for the second block of the answer */
        assert_int_equal(option(&m, COAP_OPTION_BLOCK2), 1 << 4);
        assert_int_equal(m.payload.n, 0);
        assert_int_equal(n_options(&m, COAP_OPTION_REQUEST_TAG), 1);
        assert_int_equal(option(&m, COAP_OPTION_CONTENT_FORMAT), COAP_FORMAT_OCF_CBOR);
        pair_close(&p);
}

/* A connection that nobody has opened. */
static void test_no_such_connection(void **state) {
        struct coap_ask a = COAP_ASK_DEFAULT;
        struct coap_peer server;
        struct pair p;
        coap_id id;

        pair_open(&p, false, NULL);
        server = seen_by_client(&p);
        server.stream = true;
        server.channel = 99;
        assert_int_equal(coap_endpoint_request(p.client.ep, p.client.now, &server, &a, &id), COAP_E_CLOSED);
        pair_close(&p);
}

static void test_blocks_that_cannot_be(void **state) {
        static const struct {
                uint32_t num;
                bool more;
                size_t n;
        } rows[] = { { 3, true, 16 }, { 1, true, 15 }, { 1, true, 0 }, { 1048575, false, 4 } };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct coap_message m;
                struct pair p;

                pair_open(&p, false, NULL);
                ask(&p, COAP_GET, "/x", SPAN_NULL);
                m = sent(&p);
                say_block(&p, &m, 0, true, 1, 16);
                m = sent(&p);
                say_block(&p, &m, rows[i].num % 1000, rows[i].more, 1, rows[i].n);
                assert_int_equal(p.n_failed, 1);
                assert_int_equal(p.last.reply.failure, COAP_FAILURE_BODY);
                assert_pair_quiet(&p);
                pair_close(&p);
        }
}

static void test_a_late_copy_of_a_block_is_ignored(void **state) {
        struct coap_message first, second;
        uint8_t buf[1472];
        struct coap_builder b;
        struct pair p;

        pair_open(&p, false, NULL);
        ask(&p, COAP_GET, "/x", SPAN_NULL);
        first = sent(&p);
        say_block(&p, &first, 0, true, 1, 16);
        second = sent(&p);
        b = reply_to(buf, &first, COAP_NON, COAP_CONTENT,
                     999); /* the answer to a request that was sent twice */
        coap_build_uint(&b, COAP_OPTION_BLOCK2, 8);
        coap_build_payload(&b, span_of(pattern, 16));
        say_back(&p, buf, b.w.n);
        assert_int_equal(p.n_failed + p.n_responses, 0);
        say_block(&p, &second, 1, false, 1, 3);
        assert_int_equal(p.n_responses, 1);
        assert_int_equal(p.n_body, 19);
        assert_memory_equal(p.body, pattern, 19);
        pair_close(&p);
}

static void test_a_body_longer_than_we_take(void **state) {
        struct coap_limits limits = coap_limits_default;
        struct coap_message m;
        struct pair p;

        limits.n_body = 40;
        pair_open(&p, false, &limits);
        ask(&p, COAP_GET, "/x", SPAN_NULL);
        for (uint32_t num = 0; num < 3; num++) {
                m = sent(&p);
                say_block(&p, &m, num, true, 1, 16);
        }
        assert_int_equal(p.n_failed, 1);
        assert_int_equal(p.last.reply.failure, COAP_FAILURE_BODY);
        assert_pair_quiet(&p);
        pair_close(&p);
}

static void test_smaller_blocks_please(void **state) {
        uint8_t buf[1472];
        struct coap_builder b;
        struct coap_message m;
        struct pair p;

        pair_open(&p, false, NULL);
        ask(&p, COAP_PUT, "/x", span_of(pattern, 3000));
        m = sent(&p);
        assert_int_equal(option(&m, COAP_OPTION_BLOCK1), 8 | 6);
        assert_int_equal(option(&m, COAP_OPTION_SIZE1), 3000);
        b = reply_to(buf, &m, COAP_ACK, COAP_REQUEST_ENTITY_TOO_LARGE, m.mid);
        coap_build_uint(&b, COAP_OPTION_BLOCK1, 8 | 2);
        say_back(&p, buf, b.w.n);
        m = sent(&p);
        assert_int_equal(option(&m, COAP_OPTION_BLOCK1), 8 | 2); /* from the beginning, by 64 */
        assert_int_equal(m.payload.n, 64);
        b = reply_to(buf, &m, COAP_ACK, COAP_CONTINUE, m.mid);
        coap_build_uint(&b, COAP_OPTION_BLOCK1, 8 | 1);
        say_back(&p, buf, b.w.n);
        m = sent(&p);
        assert_int_equal(option(&m, COAP_OPTION_BLOCK1), 2 << 4 | 8 | 1); /* on, by 32 */
        assert_memory_equal(m.payload.data, pattern + 64, 32);
        b = reply_to(buf, &m, COAP_ACK, COAP_REQUEST_ENTITY_INCOMPLETE, m.mid);
        say_back(&p, buf, b.w.n);
        assert_int_equal(p.last.reply.code, COAP_REQUEST_ENTITY_INCOMPLETE);
        assert_pair_quiet(&p);
        pair_close(&p);
}

static void reject(struct pair *p, const struct coap_message *m) {
        const uint8_t rst[4] = { 0x70, 0, (uint8_t)(m->mid >> 8), (uint8_t)m->mid };

        say_back(p, rst, sizeof(rst));
}

/* A peer of little memory: what is longer than it takes is rejected (RFC 7252, 4.2), not answered with 4.13.
 */
static void test_a_body_is_rejected(void **state) {
        static const struct {
                size_t n;
                unsigned n_rejected;
                int szx; /* of the next attempt; -1: there is none */
        } rows[] = {
                { 300, 1, 4 }, { 300, 2, 3 }, { 300, 4, 1 }, { 300, 5, 0 }, { 300, 6, -1 }, { 256, 1, 3 },
                { 52, 1, 1 },  { 17, 1, 0 },  { 16, 1, -1 }, { 10, 1, -1 }, { 3000, 1, 5 }, { 3000, 7, -1 },
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                size_t n_block = 64;
                struct coap_message m;
                struct pair p;

                pair_open(&p, false, NULL);
                ask(&p, COAP_POST, "/x", span_of(pattern, rows[i].n));
                m = sent(&p);
                for (unsigned k = 0; k < rows[i].n_rejected; k++) {
                        assert_int_equal(p.n_failed, 0);
                        reject(&p, &m);
                        if (!p.n_failed)
                                m = sent(&p);
                }
                assert_int_equal(p.n_failed, rows[i].szx < 0);
                if (rows[i].szx < 0) {
                        assert_int_equal(p.last.reply.failure, COAP_FAILURE_RESET);
                } else {
                        n_block = (size_t)16 << rows[i].szx;
                        assert_int_equal(option(&m, COAP_OPTION_BLOCK1), 8 | rows[i].szx);
                        assert_int_equal(option(&m, COAP_OPTION_SIZE1), rows[i].n);
                        assert_int_equal(m.payload.n, n_block);
                        assert_memory_equal(m.payload.data, pattern, n_block);
                }
                pair_close(&p);
        }
}

/* A peer that says with its first answer that its blocks are smaller, and did not keep all of the first one.
 */
static void test_a_later_block_is_rejected(void **state) {
        for (unsigned szx = 5; szx <= 6; szx++) {
                uint8_t buf[1472];
                struct coap_builder b;
                struct coap_message m;
                struct pair p;

                pair_open(&p, false, NULL);
                ask(&p, COAP_POST, "/x", span_of(pattern, 3000));
                m = sent(&p);
                b = reply_to(buf, &m, COAP_ACK, COAP_CONTINUE, m.mid);
                coap_build_uint(&b, COAP_OPTION_BLOCK1, 8 | szx);
                say_back(&p, buf, b.w.n);
                m = sent(&p);
                assert_int_equal(option(&m, COAP_OPTION_BLOCK1), (szx == 6 ? 1u : 2u) << 4 | 8 | szx);
                reject(&p, &m);
                if (szx == 6) { /* nothing tells that smaller ones would do */
                        assert_int_equal(p.n_failed, 1);
                        assert_int_equal(p.last.reply.failure, COAP_FAILURE_RESET);
                } else {
                        assert_int_equal(p.n_failed, 0);
                        m = sent(&p);
                        assert_int_equal(option(&m, COAP_OPTION_BLOCK1), 8 | 5);
                        assert_memory_equal(m.payload.data, pattern, 512);
                        b = reply_to(buf, &m, COAP_ACK, COAP_CONTINUE, m.mid);
                        coap_build_uint(&b, COAP_OPTION_BLOCK1, 8 | 5);
                        say_back(&p, buf, b.w.n);
                        m = sent(&p);
                        assert_int_equal(option(&m, COAP_OPTION_BLOCK1), 1 << 4 | 8 | 5);
                        reject(&p, &m); /* once is enough */
                        assert_int_equal(p.n_failed, 1);
                }
                pair_close(&p);
        }
}

/* ---- groups ---- */

static void test_a_group_is_asked(void **state) {
        struct coap_ask a = { .method = COAP_GET,
                              .path = SPAN_LITERAL("/oic/res"),
                              .query = SPAN_LITERAL("rt=x&if=y"),
                              .multicast = true,
                              .accept = COAP_FORMAT_OCF_CBOR,
                              .timeout_ms = 5000 };
        struct coap_peer group, member;
        struct coap_message m;
        uint8_t buf[1472];
        struct coap_builder b;
        struct pair p;
        coap_id id;

        pair_open(&p, false, NULL);
        group = seen_by_client(&p);
        memset(group.remote_ip, 0xe0, 16);
        assert_int_equal(coap_endpoint_request(p.client.ep, p.client.now, &group, &a, &id), 0);
        m = sent(&p);
        assert_int_equal(m.type, COAP_NON);
        for (uint8_t i = 1; i < 4; i++) {
                member = seen_by_client(&p);
                member.remote_ip[15] = i;
                b = reply_to(buf, &m, i == 2 ? COAP_CON : COAP_NON, COAP_CONTENT, 100);
                if (i == 3)
                        coap_build_uint(&b, COAP_OPTION_BLOCK2, 8 | 0);
                coap_build_payload(&b, span_of(pattern, 16));
                coap_endpoint_receive(p.client.ep, p.client.now, &member, 0, span_of(buf, b.w.n));
                pop_all(&p);
                if (i == 2) /* the reference sends CON here: acknowledged (core.md 2.2) */
                        assert_int_equal(sent(&p).type, COAP_ACK);
                if (i == 3)
                        break;
                assert_int_equal(p.n_responses, i);
                assert_int_equal(p.last.id, id);
                assert_true(p.last.reply.more);
                assert_memory_equal(&p.last.peer, &member, sizeof(member));
        }
        m = sent(&p); /* the rest of the third one's, from itself */
        assert_int_equal(m.type, COAP_CON);
        assert_int_equal(option(&m, COAP_OPTION_BLOCK2), 1 << 4);
        assert_memory_equal(&p.client.to, &member, sizeof(member));
        b = reply_to(buf, &m, COAP_ACK, COAP_CONTENT, m.mid);
        coap_build_uint(&b, COAP_OPTION_BLOCK2, 1 << 4);
        coap_build_payload(&b, span_of(pattern + 16, 3));
        coap_endpoint_receive(p.client.ep, p.client.now, &member, 0, span_of(buf, b.w.n));
        pop_all(&p);
        assert_int_equal(p.n_responses, 3);
        assert_int_equal(p.last.id, id);
        assert_int_equal(p.n_body, 19);
        pass(&p, 6000);
        assert_int_equal(p.last.reply.failure, COAP_FAILURE_TIMEOUT); /* it has been listened long enough */
        assert_pair_quiet(&p);
        pair_close(&p);
}

/* ---- limits, and what goes ---- */

static void test_what_does_not_fit(void **state) {
        struct coap_limits limits = coap_limits_default;
        struct coap_ask a = COAP_ASK_DEFAULT;
        struct coap_peer server;
        char path[300];
        struct pair p;
        coap_id id;

        limits.n_asks = 2;
        limits.n_body = 5000;
        pair_open(&p, false, &limits);
        server = seen_by_client(&p);
        memset(path, 'a', sizeof(path));
        path[0] = '/';
        a.path = span_of(path, 300);
        assert_int_equal(coap_endpoint_request(p.client.ep, 1000, &server, &a, &id), COAP_E_TOO_LONG);
        a.path = SPAN_LITERAL("/x");
        a.payload = span_of(pattern, 5001);
        assert_int_equal(coap_endpoint_request(p.client.ep, 1000, &server, &a, &id), COAP_E_TOO_LONG);
        a.payload = SPAN_NULL;
        assert_int_equal(coap_endpoint_request(p.client.ep, 1000, &server, &a, &id), 0);
        assert_int_equal(coap_endpoint_request(p.client.ep, 1000, &server, &a, &id), 0);
        assert_int_equal(coap_endpoint_request(p.client.ep, 1000, &server, &a, &id), COAP_E_FULL);
        carry(&p);
        assert_int_equal(p.n_responses, 2);
        pair_close(&p);
}

static void test_an_address_of_ours_goes(void **state) {
        struct coap_peer server;
        struct pair p;

        pair_open(&p, false, NULL);
        server = seen_by_client(&p);
        ask(&p, COAP_GET, "/x", SPAN_NULL);
        coap_endpoint_forget_local(p.client.ep, p.client.now, server.local_ip, 0);
        assert_true(pop(&p.client));
        assert_int_equal(p.client.event.type, COAP_EVENT_FAILED);
        assert_int_equal(p.client.event.reply.failure, COAP_FAILURE_CLOSED);
        assert_pair_quiet(&p);
        pair_close(&p);
}

static void test_a_request_that_is_not_wanted_any_more(void **state) {
        struct pair p;
        coap_id id;

        pair_open(&p, false, NULL);
        p.hold = true;
        id = ask(&p, COAP_GET, "/x", SPAN_NULL);
        carry(&p);
        coap_endpoint_cancel(p.client.ep, p.client.now, id);
        coap_endpoint_cancel(p.client.ep, p.client.now, id); /* harmless */
        assert_pair_quiet(&p);
        assert_int_equal(p.n_responses + p.n_failed, 0);
        pair_close(&p);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_bodies_of_all_lengths_both_ways),
                cmocka_unit_test(test_every_method),
                cmocka_unit_test(test_long_answers_to_different_fetches),
                cmocka_unit_test(test_a_separate_response),
                cmocka_unit_test(test_a_response_before_its_acknowledgement),
                cmocka_unit_test(test_one_at_a_time),
                cmocka_unit_test(test_nobody_is_there),
                cmocka_unit_test(test_the_callers_patience),
                cmocka_unit_test(test_resets),
                cmocka_unit_test(test_a_response_that_comes_twice),
                cmocka_unit_test(test_an_answer_in_a_strange_acknowledgement),
                cmocka_unit_test(test_critical_options_in_a_response),
                cmocka_unit_test(test_without_the_version_options),
                cmocka_unit_test(test_echo_is_given_back),
                cmocka_unit_test(test_notifications_short_and_long),
                cmocka_unit_test(test_a_quiet_observation_registers_again),
                cmocka_unit_test(test_old_notifications_are_not_shown),
                cmocka_unit_test(test_an_observation_that_ends),
                cmocka_unit_test(test_a_notification_nobody_waits_for),
                cmocka_unit_test(test_a_body_that_changes_while_it_comes),
                cmocka_unit_test(test_an_observed_body_that_never_holds_still),
                cmocka_unit_test(test_bodies_at_the_same_time),
                cmocka_unit_test(test_which_options_go),
                cmocka_unit_test(test_no_such_connection),
                cmocka_unit_test(test_blocks_that_cannot_be),
                cmocka_unit_test(test_a_late_copy_of_a_block_is_ignored),
                cmocka_unit_test(test_a_body_longer_than_we_take),
                cmocka_unit_test(test_smaller_blocks_please),
                cmocka_unit_test(test_a_body_is_rejected),
                cmocka_unit_test(test_a_later_block_is_rejected),
                cmocka_unit_test(test_a_group_is_asked),
                cmocka_unit_test(test_what_does_not_fit),
                cmocka_unit_test(test_an_address_of_ours_goes),
                cmocka_unit_test(test_a_request_that_is_not_wanted_any_more),
        };

        return cmocka_run_group_tests(tests, fill, NULL);
}
