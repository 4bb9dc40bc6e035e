/*
 * The library's end of a channel, where the test is the daemon: one that does as
 * it should, one that goes away, and one that talks nonsense.
 */
#include "../unit.h"

#include "dbus/channel_packet.h"
#include "fake.h"
#include "protocol/rep.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define N_MANY 300u

struct seen {
        unsigned n_requests;
        struct ocf_request *held[N_MANY];
        bool holds;
        const struct ocf_value *value;
};

static void on_request(void *userdata, struct ocf_request *q) {
        struct seen *s = userdata;

        if (s->holds)
                s->held[s->n_requests] = q;
        s->n_requests++;
        if (!s->holds)
                (void)ocf_request_respond(q, s->value);
}

static void serve(struct fake *f, struct seen *s) {
        struct ocf_resource *r;

        fake_start(f);
        assert_int_equal(ocf_client_new(&f->client, f->address), 0);
        assert_int_equal(ocf_resource_new(&r, f->client, "/lamp"), 0);
        assert_int_equal(ocf_resource_add_type(r, "x.test"), 0);
        assert_int_equal(ocf_resource_set_handler(r, OCF_RETRIEVE, on_request, s), 0);
        assert_int_equal(ocf_resource_register(r), 0);
        FAKE_UNTIL(f, ocf_client_state(f->client) == OCF_STATE_READY);
        fake_settle(f);
}

static void serve_through_channel(struct fake *f, struct seen *s) {
        f->has_channels = true;
        serve(f, s);
        assert_int_equal(fake_count(f, "AcquireChannel"), 1);
        assert_true(f->channel > 0);
}

static void ask(struct fake *f, uint64_t id, const char *href) {
        uint8_t bytes[256];
        struct writer w = writer_on(bytes, sizeof(bytes));
        const struct channel_packet p = { .kind = CHANNEL_REQUEST,
                                          .id = id,
                                          .href = span_of_string(href),
                                          .interface = SPAN_LITERAL("oic.if.a"),
                                          .query = SPAN_LITERAL("x=y"),
                                          .timeout_ms = 5000,
                                          .uid = -1 };

        assert_true(channel_packet_write(&p, &w));
        assert_int_equal(send(f->channel, bytes, w.n, MSG_NOSIGNAL), w.n);
}

/* The next packet from the library; it points into memory of its own. */
static struct channel_packet hear(struct fake *f) {
        static uint8_t bytes[CHANNEL_PACKET_MAX];
        struct channel_packet p;
        ssize_t n = -1;

        FAKE_UNTIL(f, (n = recv(f->channel, bytes, sizeof(bytes), MSG_DONTWAIT)) >= 0);
        assert_int_equal(channel_packet_read(&p, span_of(bytes, (size_t)n)), 0);
        return p;
}

/* It has closed its end; and requests over the bus are answered as ever. */
static void expect_the_bus_instead(struct fake *f, struct seen *s) {
        ssize_t n = -1;
        char byte;

        FAKE_UNTIL(f, (n = recv(f->channel, &byte, 1, MSG_DONTWAIT)) == 0 || errno == ECONNRESET);
        s->holds = false;
        fake_handle(f, "retrieve", "/lamp", NULL, NULL);
        FAKE_UNTIL(f, f->is_answered);
        assert_string_equal(f->answer, "{\"value\":{\"on\":true}}");
        assert_int_equal(fake_count(f, "AcquireChannel"), 1); /* it does not ask for another */
}

static void test_requests_are_answered(void **state) {
        struct fake *f = *state;
        struct ocf_value *v = fake_value("{\"on\":true}");
        struct seen s = { .value = v };
        struct channel_packet p;

        serve_through_channel(f, &s);
        for (uint64_t id = 1; id <= 40; id++)
                ask(f, id, id % 10 ? "/lamp" : "/other");
        for (uint64_t id = 1; id <= 40; id++) {
                p = hear(f);
                assert_int_equal(p.id, id);
                assert_int_equal(p.kind, id % 10 ? CHANNEL_ANSWER : CHANNEL_FAULT);
                if (p.kind == CHANNEL_ANSWER)
                        assert_true(span_equal(p.value, SPAN_LITERAL("\xa1\x62on\xf5")));
                else
                        assert_true(span_equal_string(p.name, "NotFound"));
        }
        assert_int_equal(s.n_requests, 36);
        ocf_value_free(v);
}

static void test_a_long_value_goes_in_parts(void **state) {
        struct fake *f = *state;
        struct ocf_value *v = fake_value("{}");
        char *text = calloc(1, 200001);
        struct seen s = { .value = v };
        struct channel_packet p;
        size_t n = 0;

        memset(text, 'x', 200000);
        assert_int_equal(ocf_value_set_string(v, "t", text), 0);
        serve_through_channel(f, &s);
        ask(f, 1, "/lamp");
        while ((p = hear(f)).kind == CHANNEL_PART)
                n += p.value.n;
        assert_int_equal(p.kind, CHANNEL_ANSWER);
        assert_null(p.value.data);
        assert_in_range(n, 200000, 200016);
        ocf_value_free(v);
        free(text);
}

static void test_nonsense_ends_it(void **state) {
        static const struct {
                const void *bytes;
                size_t n;
        } rows[] = {
                { "\xff", 1 },
                { "", 0 },
                { "\x80", 1 },
                { "\x86\x02\x01\xf6\xf6\xf6\xf6", 7 },                      /* an answer to us */
                { "\x8b\x01\x02\x09\x60\x60\x60\x00\x00\xf6\xf6\xf6", 12 }, /* a method that is none */
                { "\x8b\x01\x02\x00\x60\x60", 6 },                          /* cut off */
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct ocf_value *v = fake_value("{\"on\":true}");
                struct seen s = { .value = v, .holds = true };
                struct fake *f;

                assert_int_equal(fake_setup((void **)&f), 0);
                serve_through_channel(f, &s);
                ask(f, 1, "/lamp");
                FAKE_UNTIL(f, s.n_requests == 1);
                assert_int_equal(send(f->channel, rows[i].bytes, rows[i].n, MSG_NOSIGNAL), rows[i].n);
                expect_the_bus_instead(f, &s);
                assert_int_equal(ocf_request_respond(s.held[0], v), 0); /* nobody waits for it any more */
                ocf_value_free(v);
                assert_int_equal(fake_teardown((void **)&f), 0);
        }
}

static void test_a_packet_longer_than_any(void **state) {
        static uint8_t bytes[CHANNEL_PACKET_MAX + 1];
        struct fake *f = *state;
        struct ocf_value *v = fake_value("{\"on\":true}");
        struct seen s = { .value = v };

        serve_through_channel(f, &s);
        assert_int_equal(send(f->channel, bytes, sizeof(bytes), MSG_NOSIGNAL), sizeof(bytes));
        expect_the_bus_instead(f, &s);
        ocf_value_free(v);
}

/* It is given requests and nobody reads the answers: the program is not held up, and they come later. */
static void test_answers_that_wait(void **state) {
        struct fake *f = *state;
        struct ocf_value *v = fake_value("{}");
        char text[5001] = { 0 };
        struct seen s = { .value = v };
        bool all[N_MANY + 1] = { false };

        memset(text, 'x', sizeof(text) - 1);
        assert_int_equal(ocf_value_set_string(v, "t", text), 0);
        serve_through_channel(f, &s);
        for (uint64_t id = 1; id <= N_MANY; id++) {
                ask(f, id, "/lamp");
                fake_turn(f);
        }
        FAKE_UNTIL(f, s.n_requests == N_MANY);
        fake_handle(f, "retrieve", "/lamp", NULL, NULL); /* the bus goes on beside it */
        FAKE_UNTIL(f, f->is_answered);
        for (unsigned i = 0; i < N_MANY; i++) {
                struct channel_packet p = hear(f);

                assert_in_range(p.id, 1, N_MANY);
                assert_false(all[p.id]);
                all[p.id] = true;
        }
        ocf_value_free(v);
}

static void test_requests_outlive_channel_and_client(void **state) {
        struct fake *f = *state;
        struct ocf_value *v = fake_value("{\"on\":true}");
        struct seen s = { .value = v, .holds = true };

        serve_through_channel(f, &s);
        for (uint64_t id = 1; id <= 3; id++)
                ask(f, id, "/lamp");
        FAKE_UNTIL(f, s.n_requests == 3);
        close(f->channel);
        f->channel = 0;
        fake_settle(f);
        assert_int_equal(ocf_request_respond(s.held[0], v), 0);
        assert_int_equal(ocf_request_fail(s.held[1], OCF_E_BUSY, NULL), 0);
        f->client = ocf_client_free(f->client);
        assert_int_equal(ocf_request_respond(s.held[2], v), 0);
        ocf_value_free(v);
}

static void test_a_new_daemon_gives_a_new_one(void **state) {
        struct fake *f = *state;
        struct ocf_value *v = fake_value("{\"on\":true}");
        struct seen s = { .value = v };

        serve_through_channel(f, &s);
        fake_stop(f);
        fake_settle(f);
        fake_start(f);
        FAKE_UNTIL(f, fake_count(f, "AcquireChannel") == 2);
        fake_settle(f);
        ask(f, 1, "/lamp");
        assert_int_equal(hear(f).kind, CHANNEL_ANSWER);
        ocf_value_free(v);
}

static void test_without_channels_the_bus_does(void **state) {
        struct fake *f = *state;
        struct ocf_value *v = fake_value("{\"on\":true}");
        struct seen s = { .value = v };

        serve(f, &s);
        fake_handle(f, "retrieve", "/lamp", NULL, NULL);
        FAKE_UNTIL(f, f->is_answered);
        assert_string_equal(f->answer, "{\"value\":{\"on\":true}}");
        ocf_value_free(v);
}

static void test_switched_off(void **state) {
        struct fake *f = *state;
        struct seen s = { 0 };

        f->has_channels = true;
        assert_int_equal(setenv("OCF_CLIENT_CHANNEL", "no", 1), 0);
        serve(f, &s);
        assert_int_equal(unsetenv("OCF_CLIENT_CHANNEL"), 0);
        assert_int_equal(fake_count(f, "AcquireChannel"), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, fake_setup, fake_teardown)

int main(void) {
        static const struct CMUnitTest tests[] = {
                TEST(test_requests_are_answered),
                TEST(test_a_long_value_goes_in_parts),
                cmocka_unit_test(test_nonsense_ends_it),
                TEST(test_a_packet_longer_than_any),
                TEST(test_answers_that_wait),
                TEST(test_requests_outlive_channel_and_client),
                TEST(test_a_new_daemon_gives_a_new_one),
                TEST(test_without_channels_the_bus_does),
                TEST(test_switched_off),
        };

        if (!fake_has_bus()) {
                puts("SKIP: there is no dbus-daemon");
                return 77;
        }
        return cmocka_run_group_tests(tests, NULL, NULL);
}
