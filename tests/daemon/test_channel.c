/*
 * A channel with an application on its other end that behaves, and one that does
 * not: here the test is the application.
 */
#include "../unit.h"
#include "base/memory.h"
#include "base/utf8.h"
#include "daemon/channel.h"
#include "dbus/channel_packet.h"
#include "protocol/rep.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static uint64_t now_ms;

static uint64_t read_now(void *context) {
        return now_ms;
}

struct asked {
        struct call call;
        unsigned n_done;
        struct ocf_response response;
        uint8_t body[CHANNEL_VALUE_MAX / 4];
        char text[256];
};

struct world {
        uv_loop_t loop;
        struct channels *all;
        struct channel *channel;
        int fd; /* the application's end */
        struct asked *asked;
};

#define ASKED_MAX 300

static struct resource lamp = { .href = (char *)"/lamp" };

static void on_done(struct call *call, const struct ocf_response *response) {
        struct asked *a = OCF_CONTAINER_OF(call, struct asked, call);
        struct span body = response->rep.data ? response->rep : response->raw;

        a->n_done++;
        a->response = *response;
        assert_true(body.n <= sizeof(a->body));
        if (body.n)
                memcpy(a->body, body.data, body.n);
        snprintf(a->text, sizeof(a->text), "%s", response->diagnostic ? response->diagnostic : "");
}

static int open_world(void **state) {
        const struct channels_config config = { .now = read_now };
        struct world *w = calloc(1, sizeof(*w));

        now_ms = 1000;
        w->asked = calloc(ASKED_MAX, sizeof(*w->asked));
        assert_int_equal(uv_loop_init(&w->loop), 0);
        assert_int_equal(channels_new(&w->all, &w->loop, &config), 0);
        assert_int_equal(channel_new(&w->channel, w->all, 5000, &w->fd), 0);
        *state = w;
        return 0;
}

static int close_world(void **state) {
        struct world *w = *state;

        channel_free(w->channel);
        channels_free(w->all);
        if (w->fd >= 0)
                close(w->fd);
        uv_run(&w->loop, UV_RUN_DEFAULT);
        assert_int_equal(uv_loop_close(&w->loop), 0);
        free(w->asked);
        free(w);
        return 0;
}

static void turn(struct world *w) {
        channels_flush(w->all);
        for (int i = 0; i < 4; i++) {
                uv_run(&w->loop, UV_RUN_NOWAIT);
                channels_flush(w->all);
        }
}

static struct asked *ask(struct world *w, size_t i, uint8_t method, struct span payload) {
        struct asked *a = &w->asked[i];

        *a = (struct asked){ 0 };
        a->call.request = (struct ocf_request){ .method = method, .payload = payload, .accept = -1 };
        a->call.interface = INTERFACE_A;
        a->call.deadline_ms = now_ms + 5000;
        a->call.done = on_done;
        assert_true(channel_request(w->channel, &lamp, &a->call));
        return a;
}

/* The next request that the application reads; it points into memory of its own. */
static struct channel_packet hear(struct world *w) {
        static uint8_t bytes[CHANNEL_PACKET_MAX];
        struct channel_packet p;
        ssize_t n;

        turn(w);
        n = recv(w->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
        assert_true(n > 0);
        assert_int_equal(channel_packet_read(&p, span_of(bytes, (size_t)n)), 0);
        return p;
}

static bool hears_nothing(struct world *w) {
        uint8_t byte;

        turn(w);
        return recv(w->fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK) < 0;
}

static void say_bytes(struct world *w, const void *bytes, size_t n) {
        (void)!send(w->fd, bytes, n, MSG_DONTWAIT | MSG_NOSIGNAL);
        turn(w);
}

static void say(struct world *w, const struct channel_packet *p) {
        uint8_t bytes[CHANNEL_PACKET_MAX];
        struct writer out = writer_on(bytes, sizeof(bytes));

        assert_true(channel_packet_write(p, &out));
        say_bytes(w, bytes, out.n);
}

static struct channel_packet answer(uint64_t id) {
        return (struct channel_packet){
                .kind = CHANNEL_ANSWER, .id = id, .code = -1, .content_format = -1, .max_age_s = -1
        };
}

static void say_answer(struct world *w, uint64_t id, struct span value) {
        struct channel_packet p = answer(id);

        p.value = value;
        say(w, &p);
}

#define LAMP_ON "\xa1\x65state\xf5" /* {"state": true} */

static void test_a_request_and_its_answer(void **state) {
        struct world *w = *state;
        struct asked *a = ask(w, 0, COAP_GET, SPAN_NULL);
        struct channel_packet p = hear(w);

        assert_int_equal(p.kind, CHANNEL_REQUEST);
        assert_int_equal(p.method, 0);
        assert_true(span_equal_string(p.href, "/lamp"));
        assert_true(span_equal_string(p.interface, "oic.if.a"));
        assert_int_equal(p.timeout_ms, 5000);
        assert_int_equal(p.uid, -1);
        assert_null(p.device_id.data);
        assert_null(p.value.data);
        assert_int_equal(a->n_done, 0);
        p = answer(p.id);
        p.max_age_s = 7;
        p.value = SPAN_LITERAL(LAMP_ON);
        say(w, &p);
        assert_int_equal(a->n_done, 1);
        assert_int_equal(a->response.fault, FAULT_NONE);
        assert_int_equal(a->response.code, COAP_CONTENT);
        assert_int_equal(a->response.max_age_s, 7);
        assert_memory_equal(a->body, LAMP_ON, sizeof(LAMP_ON) - 1);
}

static void test_who_asks_and_what(void **state) {
        struct world *w = *state;
        struct channel_packet p;
        struct asked *a = &w->asked[0];

        *a = (struct asked){ 0 };
        a->call.request = (struct ocf_request){ .method = COAP_POST,
                                                .notify = true,
                                                .subject = { .kind = SUBJECT_AUTH_CRYPT, .id = { { 1, 2 } } },
                                                .query = SPAN_LITERAL("a=b"),
                                                .payload = SPAN_LITERAL(LAMP_ON) };
        a->call.interface = INTERFACE_CREATE;
        a->call.deadline_ms = 900; /* late already */
        a->call.done = on_done;
        assert_true(channel_request(w->channel, &lamp, &a->call));
        p = hear(w);
        assert_int_equal(p.method, 2);
        assert_int_equal(p.flags, CHANNEL_NOTIFY | CHANNEL_SECURE);
        assert_int_equal(p.timeout_ms, 1);
        assert_true(span_equal_string(p.device_id, "01020000-0000-0000-0000-000000000000"));
        assert_true(span_equal_string(p.query, "a=b"));
        assert_true(span_equal(p.value, SPAN_LITERAL(LAMP_ON)));
        say_answer(w, p.id, SPAN_NULL);
        assert_int_equal(a->response.code, COAP_CREATED);
}

static void test_answers_in_any_order(void **state) {
        struct world *w = *state;
        uint64_t ids[40];

        for (size_t i = 0; i < 40; i++)
                ask(w, i, COAP_DELETE, SPAN_NULL);
        for (size_t i = 0; i < 40; i++)
                ids[i] = hear(w).id;
        for (size_t i = 40; i-- > 0;)
                say_answer(w, ids[i], SPAN_NULL);
        for (size_t i = 0; i < 40; i++) {
                assert_int_equal(w->asked[i].n_done, 1);
                assert_int_equal(w->asked[i].response.code, COAP_DELETED);
        }
}

static void test_bytes_of_another_format(void **state) {
        struct world *w = *state;
        struct asked *a = ask(w, 0, COAP_GET, SPAN_NULL);
        struct channel_packet p;

        p = answer(hear(w).id);
        p.content_format = 0;
        p.value = SPAN_LITERAL("\x42hi");
        say(w, &p);
        assert_int_equal(a->response.raw_format, 0);
        assert_int_equal(a->response.raw.n, 2);
        assert_memory_equal(a->body, "hi", 2);
}

static void test_faults(void **state) {
        struct world *w = *state;
        struct asked *a = ask(w, 0, COAP_GET, SPAN_NULL);

        say(w, &(struct channel_packet){ .kind = CHANNEL_FAULT,
                                         .id = hear(w).id,
                                         .name = SPAN_LITERAL("NotFound"),
                                         .text = SPAN_LITERAL("It is not here") });
        assert_int_equal(a->response.fault, FAULT_NOT_FOUND);
        assert_string_equal(a->text, "It is not here");
        a = ask(w, 1, COAP_GET, SPAN_NULL);
        say(w, &(struct channel_packet){ .kind = CHANNEL_FAULT,
                                         .id = hear(w).id,
                                         .name = SPAN_LITERAL("Nonsense"),
                                         .text = SPAN_LITERAL("") });
        assert_int_equal(a->response.fault, FAULT_FAILED);
}

/* What an app may not answer is Failed for the peer, and no reason to end the channel. */
static void test_answers_that_do_not_fit(void **state) {
        struct world *w = *state;
        static const struct {
                uint8_t method;
                int64_t code, content_format, max_age_s;
                struct span value;
        } rows[] = {
                { COAP_GET, -1, -1, -1, SPAN_NULL },                         /* a retrieve wants a value */
                { COAP_GET, COAP_CHANGED, -1, -1, SPAN_LITERAL(LAMP_ON) },   /* the code of an update */
                { COAP_POST, COAP_CONTENT, -1, -1, SPAN_LITERAL(LAMP_ON) },  /* and the other way */
                { COAP_GET, COAP_NOT_FOUND, -1, -1, SPAN_LITERAL(LAMP_ON) }, /* faults are another packet */
                { COAP_GET, -1, 0, -1, SPAN_LITERAL(LAMP_ON) },              /* bytes are no map */
                { COAP_GET, -1, 70000, -1, SPAN_LITERAL(LAMP_ON) },
                { COAP_GET, -1, -1, INT64_MAX, SPAN_LITERAL(LAMP_ON) },
                { COAP_GET, -1, -1, -1, SPAN_LITERAL("\xa1\x65state") }, /* cut off */
                { COAP_GET, -1, -1, -1,
                  SPAN_LITERAL("\xa2\x61"
                               "a\x01\x61"
                               "a\x02") },                          /* a key twice */
                { COAP_GET, -1, -1, -1, SPAN_LITERAL("\xf5\xf5") }, /* two items */
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct asked *a = ask(w, i, rows[i].method, SPAN_NULL);
                struct channel_packet p;

                p = answer(hear(w).id);
                p.code = rows[i].code;
                p.content_format = rows[i].content_format;
                p.max_age_s = rows[i].max_age_s;
                p.value = rows[i].value;
                say(w, &p);
                assert_int_equal(a->n_done, 1);
                assert_int_equal(a->response.fault, FAULT_FAILED);
        }
        ask(w, 0, COAP_GET, SPAN_NULL); /* it goes on */
        hear(w);
}

static void test_long_values_come_in_parts(void **state) {
        struct world *w = *state;
        struct asked *a = ask(w, 0, COAP_GET, SPAN_NULL);
        uint64_t id = hear(w).id;
        static uint8_t value[200000];
        struct writer out = writer_on(value, sizeof(value));
        static uint8_t text[150000];
        struct span rest;

        memset(text, 'x', sizeof(text));
        rep_put_text(&out, span_of(text, sizeof(text)));
        rest = writer_span(&out);
        while (rest.n) {
                size_t n = ocf_min_size(rest.n, 60000);

                say(w, &(struct channel_packet){
                               .kind = CHANNEL_PART, .id = id, .value = span_of(rest.data, n) });
                rest = span_of(rest.data + n, rest.n - n);
        }
        assert_int_equal(a->n_done, 0);
        say_answer(w, id, SPAN_NULL);
        assert_int_equal(a->n_done, 1);
        assert_int_equal(a->response.fault, FAULT_NONE);
        assert_int_equal(a->response.rep.n, out.n);
        assert_memory_equal(a->body, value, out.n);
}

static void test_too_long_a_value(void **state) {
        struct world *w = *state;
        struct asked *a = ask(w, 0, COAP_GET, SPAN_NULL);
        uint64_t id = hear(w).id;
        static uint8_t part[60000];

        for (int i = 0; i < 40; i++)
                say(w, &(struct channel_packet){
                               .kind = CHANNEL_PART, .id = id, .value = span_of(part, sizeof(part)) });
        assert_int_equal(a->n_done, 1);
        assert_int_equal(a->response.fault, FAULT_FAILED);
        ask(w, 1, COAP_GET, SPAN_NULL);
        hear(w);
}

static void wait_for(struct world *w, uint64_t ms) {
        now_ms += ms;
        for (int i = 0; i < 3; i++) {
                usleep(110 * 1000); /* its own timer looks every 100 ms */
                turn(w);
        }
}

/* Answers that are begun and never ended: what they keep is bounded, for all channels of a user. */
static void test_answers_that_never_end(void **state) {
        struct world *w = *state;
        static uint8_t part[60000];
        size_t n_kept = 0, n_busy = 0;

        for (size_t i = 0; i < 24; i++) {
                struct asked *a = ask(w, i, COAP_GET, SPAN_NULL);
                uint64_t id = hear(w).id;

                for (int n = 0; n < 17; n++)
                        say(w, &(struct channel_packet){ .kind = CHANNEL_PART,
                                                         .id = id,
                                                         .value = span_of(part, sizeof(part)) });
                n_kept += !a->n_done;
                n_busy += a->n_done && a->response.fault == FAULT_BUSY;
        }
        assert_int_equal(n_kept, 16); /* MiB */
        assert_int_equal(n_busy, 8);
        wait_for(w, 6000);
        for (size_t i = 0; i < 24; i++)
                assert_int_equal(w->asked[i].n_done, 1);
        say_answer(w, 1, SPAN_NULL); /* it owed more than it may */
        for (size_t i = 2; i < 12; i++)
                say_answer(w, i, SPAN_NULL);
        ask(w, 30, COAP_GET, SPAN_NULL); /* and there is room again */
        say(w, &(struct channel_packet){
                       .kind = CHANNEL_PART, .id = hear(w).id, .value = span_of(part, sizeof(part)) });
        assert_int_equal(w->asked[30].n_done, 0);
}

static void test_deadlines(void **state) {
        struct world *w = *state;
        uint64_t ids[8];

        for (size_t i = 0; i < 8; i++)
                ask(w, i, COAP_GET, SPAN_NULL);
        for (size_t i = 0; i < 8; i++)
                ids[i] = hear(w).id;
        wait_for(w, 6000);
        for (size_t i = 0; i < 8; i++) {
                assert_int_equal(w->asked[i].n_done, 1);
                assert_int_equal(w->asked[i].response.fault, FAULT_TIMEOUT);
        }
        ask(w, 10, COAP_GET, SPAN_NULL); /* it owes eight answers: it is asked nothing more */
        assert_true(hears_nothing(w));
        say_answer(w, ids[3], SPAN_LITERAL(LAMP_ON)); /* late: nobody waits */
        assert_int_equal(w->asked[3].n_done, 1);
        say_answer(w, hear(w).id, SPAN_LITERAL(LAMP_ON));
        assert_int_equal(w->asked[10].response.fault, FAULT_NONE);
}

static void test_an_answer_given_twice(void **state) {
        struct world *w = *state;
        struct asked *a = ask(w, 0, COAP_GET, SPAN_NULL);
        uint64_t id = hear(w).id;

        for (int i = 0; i < 3; i++)
                say_answer(w, id, SPAN_LITERAL(LAMP_ON));
        assert_int_equal(a->n_done, 1);
        ask(w, 1, COAP_GET, SPAN_NULL);
        hear(w);
}

/* Wherever it is cut, it is text: 0 to 3 bytes in front of characters of four. */
static void test_long_sentences_are_cut_between_characters(void **state) {
        struct world *w = *state;

        for (size_t i = 0; i < 4; i++) {
                struct asked *a = ask(w, i, COAP_GET, SPAN_NULL);
                char text[1024] = "xxx";
                size_t n;

                text[i] = 0;
                while (strlen(text) < 1000)
                        strcat(text, "\xf0\x9f\x92\xa1");
                say(w, &(struct channel_packet){ .kind = CHANNEL_FAULT,
                                                 .id = hear(w).id,
                                                 .name = span_of_string(text),
                                                 .text = span_of_string(text) });
                n = strlen(a->text);
                assert_int_equal(a->response.fault, FAULT_FAILED);
                assert_in_range(n, 252, 255);
                assert_true(utf8_is_valid(span_of(a->text, n), UTF8_ANY));
        }
}

/* Descriptors that it sends along are not taken in. */
static void test_descriptors_are_not_kept(void **state) {
        struct world *w = *state;
        struct asked *a = ask(w, 0, COAP_GET, SPAN_NULL);
        uint8_t bytes[64], control[CMSG_SPACE(sizeof(int))] = { 0 };
        struct writer out = writer_on(bytes, sizeof(bytes));
        struct channel_packet p;
        struct iovec iov;
        struct msghdr m = {
                .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)
        };
        struct cmsghdr *c = CMSG_FIRSTHDR(&m);
        int pipe_fds[2];

        p = answer(hear(w).id);
        p.value = SPAN_LITERAL(LAMP_ON);
        assert_true(channel_packet_write(&p, &out));
        iov = (struct iovec){ bytes, out.n };
        assert_int_equal(pipe(pipe_fds), 0);
        *c = (struct cmsghdr){ CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS };
        memcpy(CMSG_DATA(c), &pipe_fds[1], sizeof(int));
        assert_int_equal(sendmsg(w->fd, &m, 0), out.n);
        close(pipe_fds[1]);
        turn(w);
        assert_int_equal(a->n_done, 1);
        assert_int_equal(a->response.fault, FAULT_NONE);
        assert_int_equal(read(pipe_fds[0], bytes, 1), 0); /* nobody has its other end */
        close(pipe_fds[0]);
}

static void swap(struct channel **a, struct channel **b) {
        struct channel *c = *a;

        *a = *b;
        *b = c;
}

/* Packets without end, for nobody: each turn of the loop takes some, and others have theirs. */
static void test_a_flood_for_nobody(void **state) {
        struct world *w = *state;
        struct channel_packet p = answer(0);
        uint8_t bytes[64];
        struct writer out = writer_on(bytes, sizeof(bytes));
        struct channel *other;
        struct asked *a;
        int fd, mine = w->fd;

        assert_int_equal(channel_new(&other, w->all, 5001, &fd), 0);
        assert_true(channel_packet_write(&p, &out));
        for (int round = 0; round < 50; round++) {
                while (send(mine, bytes, out.n, MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
                        ;
                w->fd = fd;
                swap(&w->channel, &other);
                a = ask(w, 0, COAP_GET, SPAN_NULL);
                say_answer(w, hear(w).id, SPAN_LITERAL(LAMP_ON));
                assert_int_equal(a->n_done, 1);
                swap(&w->channel, &other);
        }
        w->fd = mine;
        ask(w, 0, COAP_GET, SPAN_NULL);
        hear(w); /* late answers, all of them: it may stay */
        close(fd);
        channel_free(other);
}

/* Whatever the bytes are: the call is answered once, and the house stands. */
static void test_packets_made_of_dice(void **state) {
        uint8_t whole[64], bytes[80];
        struct writer out = writer_on(whole, sizeof(whole));
        struct channel_packet p;

        p = answer(1);
        p.value = SPAN_LITERAL(LAMP_ON);
        assert_true(channel_packet_write(&p, &out));
        srand(7);
        for (int i = 0; i < 150; i++) {
                size_t n = (size_t)rand() % (out.n + 1);
                struct world *w;
                struct asked *a;

                assert_int_equal(open_world((void **)&w), 0);
                a = ask(w, 0, COAP_GET, SPAN_NULL);
                hear(w);
                memcpy(bytes, whole, out.n);
                for (int hit = rand() % 4; hit >= 0; hit--)
                        bytes[(size_t)rand() % out.n] = (uint8_t)rand();
                say_bytes(w, bytes, i % 2 ? out.n : n);
                w->channel = channel_free(w->channel);
                assert_int_equal(a->n_done, 1);
                close_world((void **)&w);
        }
}

static void expect_ended(struct world *w, struct asked *a, const char *what) {
        struct call another = { .done = on_done, .deadline_ms = now_ms + 1000 };

        if (a->n_done != 1 || a->response.fault != FAULT_UNAVAILABLE)
                fail_msg("%s: the call under way is not answered by 5.03", what);
        if (channel_request(w->channel, &lamp, &another))
                fail_msg("%s: the channel lives on", what);
}

static void test_nonsense_ends_it(void **state) {
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
                ROW("no CBOR", "\xff"),
                ROW("no array", "\xa0"),
                ROW("an empty array", "\x80"),
                ROW("an unknown kind", "\x83\x09\x01\x40"),
                ROW("a request to us", "\x8b\x01\x01\x00\x60\x60\x60\x00\x00\xf6\xf6\xf6"),
                ROW("an answer too short", "\x83\x02\x01\xf6"),
                ROW("an id that is no number", "\x86\x02\x61x\xf6\xf6\xf6\xf6"),
                ROW("an id that was never given", "\x86\x02\x19\x27\x10\xf6\xf6\xf6\xf6"),
                ROW("a negative code", "\x86\x02\x01\x20\xf6\xf6\xf6"),
                ROW("a value that is no bytes", "\x86\x02\x01\xf6\xf6\xf6\xf5"),
                ROW("trailing bytes", "\x86\x02\x01\xf6\xf6\xf6\x41\xf5\x00"),
                ROW("lengths that lie", "\x86\x02\x01\xf6\xf6\xf6\x5b\xff\xff\xff\xff\xff\xff\xff\xff"),
                ROW("nested a hundred deep",
                    "\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81"
                    "\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x80"),
                ROW("nothing at all", ""),
#undef ROW
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct world *w;
                struct asked *a;

                assert_int_equal(open_world((void **)&w), 0);
                a = ask(w, 0, COAP_GET, SPAN_NULL);
                hear(w);
                say_bytes(w, rows[i].bytes.data, rows[i].bytes.n);
                expect_ended(w, a, rows[i].what);
                close_world((void **)&w);
        }
}

static void test_a_packet_longer_than_any(void **state) {
        struct world *w = *state;
        struct asked *a = ask(w, 0, COAP_GET, SPAN_NULL);
        static uint8_t bytes[CHANNEL_PACKET_MAX + 1];

        hear(w);
        say_bytes(w, bytes, sizeof(bytes));
        expect_ended(w, a, "a packet of 66 KiB and one byte");
}

static void test_the_application_hangs_up(void **state) {
        struct world *w = *state;
        struct asked *a = ask(w, 0, COAP_GET, SPAN_NULL);

        turn(w);
        close(w->fd);
        w->fd = -1;
        turn(w);
        expect_ended(w, a, "hung up");
}

/* It does not read: what waits is bounded, and each call still ends. */
static void test_an_application_that_does_not_read(void **state) {
        struct world *w = *state;
        static uint8_t text[60000];
        static uint8_t payload[60010];
        struct writer out = writer_on(payload, sizeof(payload));
        size_t i, n_busy = 0;

        memset(text, 'y', sizeof(text));
        rep_put_text(&out, span_of(text, sizeof(text)));
        for (i = 0; i < ASKED_MAX; i++) {
                ask(w, i, COAP_POST, i % 4 ? SPAN_NULL : writer_span(&out));
                turn(w);
                n_busy += w->asked[i].n_done && w->asked[i].response.fault == FAULT_BUSY;
        }
        assert_in_range(n_busy, ASKED_MAX - 256, ASKED_MAX - 40);
        wait_for(w, 6000);
        for (i = 0; i < ASKED_MAX; i++)
                assert_int_equal(w->asked[i].n_done, 1);
}

static void test_a_payload_too_long_for_a_packet_goes_over_the_bus(void **state) {
        struct world *w = *state;
        static uint8_t payload[CHANNEL_PACKET_MAX];
        struct call call = { .request = { .method = COAP_POST, .payload = span_of(payload, sizeof(payload)) },
                             .done = on_done };

        assert_false(channel_request(w->channel, &lamp, &call));
        ask(w, 0, COAP_GET, SPAN_NULL);
        hear(w);
}

static void test_each_user_has_so_many(void **state) {
        struct world *w = *state;
        struct channel *channels[200], *other;
        int fd, r = 0;
        size_t n = 0;

        while (n < ARRAY_SIZE(channels) && !(r = channel_new(&channels[n], w->all, 5000, &fd))) {
                close(fd);
                n++;
        }
        assert_int_equal(r, CHANNEL_E_TOO_MANY);
        assert_int_equal(n, 63);
        assert_int_equal(channel_new(&other, w->all, 5001, &fd), 0);
        close(fd);
        channel_free(other);
        while (n)
                channel_free(channels[--n]);
        turn(w);
        assert_int_equal(channel_new(&other, w->all, 5000, &fd), 0);
        close(fd);
        channel_free(other);
}

static void test_the_house_is_closed(void **state) {
        struct world *w = *state;
        struct asked *a = ask(w, 0, COAP_GET, SPAN_NULL);

        w->channel = channel_free(w->channel);
        assert_int_equal(a->n_done, 1);
        assert_int_equal(a->response.fault, FAULT_UNAVAILABLE);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_world, close_world)

int main(void) {
        static const struct CMUnitTest tests[] = {
                TEST(test_a_request_and_its_answer),
                TEST(test_who_asks_and_what),
                TEST(test_answers_in_any_order),
                TEST(test_bytes_of_another_format),
                TEST(test_faults),
                TEST(test_answers_that_do_not_fit),
                TEST(test_long_values_come_in_parts),
                TEST(test_too_long_a_value),
                TEST(test_answers_that_never_end),
                TEST(test_deadlines),
                TEST(test_an_answer_given_twice),
                TEST(test_long_sentences_are_cut_between_characters),
                TEST(test_descriptors_are_not_kept),
                TEST(test_a_flood_for_nobody),
                cmocka_unit_test(test_packets_made_of_dice),
                cmocka_unit_test(test_nonsense_ends_it),
                TEST(test_a_packet_longer_than_any),
                TEST(test_the_application_hangs_up),
                TEST(test_an_application_that_does_not_read),
                TEST(test_a_payload_too_long_for_a_packet_goes_over_the_bus),
                TEST(test_each_user_has_so_many),
                TEST(test_the_house_is_closed),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
