#include "../model/model_fixture.h"
#include "daemon/pipeline.h"
#include "protocol/coap_message.h"

/*
 * The whole way of a request but the sockets and the bus: datagrams in, a
 * handler in C where an app would be, datagrams out.
 */

static uint64_t now_ms;
static unsigned n_denied;
static struct call *waiting[8];
static size_t n_waiting;

static uint64_t read_now(void *context) {
        return now_ms;
}

static uint32_t draw(void *context) {
        static uint32_t n = 1;

        return n = n * 1664525u + 1013904223u;
}

static void on_denied(void *context, const struct ocf_request *q, const struct route *route,
                      const struct access_verdict *verdict) {
        n_denied++;
}

static struct coap_peer closed;
static unsigned n_closed;

static void on_close_stream(void *context, const struct coap_peer *peer) {
        closed = *peer;
        n_closed++;
}

static void keep_call(struct handler *h, const struct resource *r, struct call *c) {
        assert_true(n_waiting < ARRAY_SIZE(waiting));
        waiting[n_waiting++] = c;
}

static const struct handler_vtable slow = { keep_call, NULL, NULL };

struct world {
        struct model *model;
        struct pipeline *pipeline;
        struct handler handler;
        struct coap_peer peer;
        uint8_t out[COAP_TRANSMIT_MAX];
};

static void world_open(struct world *w, const struct handler_vtable *vtable) {
        struct pipeline_config config = { .coap = coap_config_default,
                                          .now = read_now,
                                          .denied = on_denied,
                                          .close_stream = on_close_stream };
        struct resource_spec spec;
        struct model_refusal why;
        struct model_event e;
        struct app *a;

        *w = (struct world){ .model = model_open(), .handler = { vtable } };
        now_ms = 1000;
        n_waiting = n_denied = n_closed = 0;
        w->model->allow_insecure = true;
        spec = lamp_spec("/lamp", &w->handler);
        assert_int_equal(register_one(w->model, ":1.5", "lamp", 5000, spec, &a, &why), 0);
        while (model_event(w->model, &e))
                ;
        config.model = w->model;
        config.coap.random = draw;
        assert_int_equal(pipeline_new(&w->pipeline, &config), 0);
        w->peer = request(COAP_GET, "", "").peer;
        w->peer.remote_port = 40000;
        w->peer.local_port = 5683;
}

static void world_close(struct world *w) {
        pipeline_free(w->pipeline);
        model_free(w->model);
}

static void say(struct world *w, const void *data, size_t n) {
        pipeline_receive(w->pipeline, &w->peer, COAP_VIA_ON_LINK, span_of(data, n));
}

#define SAY(w, literal) say((w), literal, sizeof(literal) - 1)

static struct coap_message hear(struct world *w) {
        struct coap_message m;
        struct coap_peer to;
        size_t n = pipeline_transmit(w->pipeline, &to, w->out, sizeof(w->out));

        assert_int_not_equal(n, 0);
        assert_int_equal(coap_message_parse(&m, span_of(w->out, n)), 0);
        return m;
}

static void hear_nothing(struct world *w) {
        struct coap_peer to;

        assert_int_equal(pipeline_transmit(w->pipeline, &to, w->out, sizeof(w->out)), 0);
}

static void hear_bytes(struct world *w, const struct coap_peer *from, const char *wanted, size_t n_wanted) {
        struct coap_peer to;
        size_t n = pipeline_transmit(w->pipeline, &to, w->out, sizeof(w->out));

        assert_int_equal(n, n_wanted);
        assert_memory_equal(w->out, wanted, n);
        assert_true(coap_peer_equal(&to, from));
}

static int64_t option(const struct coap_message *m, uint16_t number) {
        struct coap_option_reader r = coap_option_begin(m);
        struct coap_option o;
        uint32_t v;

        while (coap_option_next(&r, &o))
                if (o.number == number && coap_option_uint(o.value, 4, &v))
                        return v;
        return -1;
}

static void tell_all(struct world *w) {
        struct model_event e;

        while (model_event(w->model, &e))
                pipeline_tell(w->pipeline, &e);
}

static void test_formats(void **state) {
        struct coap_message m;
        struct world w;

        world_open(&w, &published);
        SAY(&w, "\x40\x01\x00\x01\xb4lamp");
        m = hear(&w);
        assert_int_equal(m.code, COAP_CONTENT);
        assert_int_equal(option(&m, COAP_OPTION_CONTENT_FORMAT), COAP_FORMAT_OCF_CBOR);
        assert_true(span_equal(m.payload, LAMP_VALUE));
        SAY(&w, "\x40\x01\x00\x02\xb4lamp\x61\x3c");
        m = hear(&w);
        assert_int_equal(option(&m, COAP_OPTION_CONTENT_FORMAT), COAP_FORMAT_CBOR);
        SAY(&w, "\x40\x01\x00\x03\xb4lamp\x61\x32");
        m = hear(&w);
        assert_int_equal(option(&m, COAP_OPTION_CONTENT_FORMAT), COAP_FORMAT_JSON);
        assert_true(span_equal_string(m.payload, "{\"value\":true,\"level\":3}"));
        SAY(&w, "\x40\x02\x00\x04\xb4lamp\x11\x32\x51\x32\xff{\"level\":4}");
        m = hear(&w);
        assert_int_equal(m.code, COAP_CHANGED);
        assert_true(span_equal_string(m.payload, "{\"value\":true,\"level\":4}"));
        world_close(&w);
}

#define FROM_STREAM(w, peer, literal)                                                                        \
        pipeline_stream_receive((w)->pipeline, (peer), span_of((literal), sizeof(literal) - 1))
#define HEAR_BYTES(w, peer, literal) hear_bytes((w), (peer), (literal), sizeof(literal) - 1)

/* Two messages and a half in one piece: each is taken and answered by itself (RFC 8323). */
static void test_a_stream(void **state) {
        struct world w;
        struct coap_peer peer;

        world_open(&w, &published);
        peer = w.peer;
        peer.stream = true;
        peer.channel = 9;
        assert_true(pipeline_stream_open(w.pipeline, &peer));
        assert_int_equal(pipeline_transmit(w.pipeline, &peer, w.out, sizeof(w.out)), 7);
        assert_int_equal(w.out[1], COAP_CSM);
        assert_int_equal(FROM_STREAM(&w, &peer, "\x00\xe1\x01\xe2\x07\x51\x01\x08"), 8);
        HEAR_BYTES(&w, &peer, "\x01\xe3\x07");
        hear_nothing(&w);
        assert_int_equal(FROM_STREAM(&w, &peer, "\xb4lamp"), 5);
        assert_int_not_equal(pipeline_transmit(w.pipeline, &peer, w.out, sizeof(w.out)), 0);
        assert_int_equal(n_closed, 0);
        assert_int_equal(FROM_STREAM(&w, &peer, "\x00\xe4"), 2);
        assert_int_equal(n_closed, 1);
        assert_true(coap_peer_equal(&closed, &peer));
        world_close(&w);
}

static void test_a_stream_that_goes_by_itself(void **state) {
        struct coap_counts counts;
        struct coap_peer peer;
        uint64_t n_pending;
        struct world w;

        world_open(&w, &slow);
        peer = w.peer;
        peer.stream = true;
        peer.channel = 9;
        assert_true(pipeline_stream_open(w.pipeline, &peer));
        assert_int_equal(FROM_STREAM(&w, &peer, "\x00\xe1\x51\x01\x08\xb4lamp"), 10);
        assert_int_equal(n_waiting, 1);
        pipeline_stream_closed(w.pipeline, &peer);
        pipeline_get_counts(w.pipeline, &counts, &n_pending);
        assert_int_equal(counts.n_streams, 0);
        call_answer(waiting[0], &(struct ocf_response){ .code = COAP_CONTENT, .rep = LAMP_VALUE });
        pipeline_get_counts(w.pipeline, &counts, &n_pending);
        assert_int_equal(counts.n_exchanges, 0);
        assert_int_equal(n_pending, 0);
        assert_int_equal(n_closed, 0);
        world_close(&w);
}

/* One more than there may be. */
static void test_too_many_streams(void **state) {
        struct coap_peer peer;
        struct world w;

        world_open(&w, &published);
        peer = w.peer;
        peer.stream = true;
        while (peer.channel++ < coap_limits_default.n_streams) {
                assert_true(pipeline_stream_open(w.pipeline, &peer));
                (void)pipeline_transmit(w.pipeline, &(struct coap_peer){ 0 }, w.out, sizeof(w.out));
        }
        assert_false(pipeline_stream_open(w.pipeline, &peer));
        world_close(&w);
}

static void test_payloads_that_cannot_be(void **state) {
        struct world w;

        world_open(&w, &published);
        SAY(&w, "\x40\x02\x00\x01\xb4lamp\x12\x27\x10\xff\xa1\x01");
        assert_int_equal(hear(&w).code, COAP_BAD_REQUEST);
        SAY(&w, "\x40\x02\x00\x02\xb4lamp\x11\x32\xff{\"level\":");
        assert_int_equal(hear(&w).code, COAP_BAD_REQUEST);
        SAY(&w, "\x40\x02\x00\x03\xb4lamp\x11\x28\xffxx"); /* format 40 */
        assert_int_equal(hear(&w).code, COAP_UNSUPPORTED_CONTENT_FORMAT);
        SAY(&w, "\x40\x02\x00\x04\xb4lamp");
        assert_int_equal(hear(&w).code, COAP_BAD_REQUEST);
        world_close(&w);
}

static void test_access_comes_first(void **state) {
        struct world w;

        world_open(&w, &published);
        w.model->allow_insecure = false;
        SAY(&w, "\x40\x02\x00\x01\xb4lamp\x47if=nope\xff\x01"); /* nothing of what else is wrong is told */
        assert_int_equal(hear(&w).code, COAP_UNAUTHORIZED);
        assert_int_equal(n_denied, 1);
        SAY(&w, "\x40\x01\x00\x02\xb3oic\x01"
                "d");
        assert_int_equal(hear(&w).code, COAP_CONTENT);
        world_close(&w);
}

static void test_preconditions(void **state) {
        struct coap_message m;
        uint8_t get[] = "\x40\x02\x00\x09\x18"
                        "EEEEEEEE\xa4lamp\xff\xa1\x65level\x09";
        struct coap_option_reader r;
        struct coap_option o;
        struct world w;

        world_open(&w, &published);
        SAY(&w, "\x40\x02\x00\x01\x50\x64lamp\xff\xa1\x65level\x07"); /* If-None-Match */
        assert_int_equal(hear(&w).code, COAP_PRECONDITION_FAILED);
        SAY(&w, "\x40\x02\x00\x02\x12zz\xa4lamp\xff\xa1\x65level\x07");
        assert_int_equal(hear(&w).code, COAP_PRECONDITION_FAILED);
        SAY(&w, "\x40\x01\x00\x03\xb4lamp");
        m = hear(&w);
        r = coap_option_begin(&m);
        assert_true(coap_option_next(&r, &o));
        assert_int_equal(o.number, COAP_OPTION_ETAG);
        memcpy(get + 5, o.value.data, 8);
        say(&w, get, sizeof(get) - 1);
        assert_int_equal(hear(&w).code, COAP_CHANGED);
        world_close(&w);
}

static void test_an_app_answers_when_it_can(void **state) {
        struct ocf_response r = OCF_RESPONSE_OK(COAP_CONTENT);
        struct coap_message m;
        uint64_t n_pending;
        struct coap_counts c;
        struct world w;

        world_open(&w, &slow);
        SAY(&w, "\x41\x01\x00\x01t\xb4lamp\x43q=1");
        hear_nothing(&w);
        assert_int_equal(n_waiting, 1);
        assert_true(span_equal_string(waiting[0]->request.query, "q=1"));
        assert_int_equal(waiting[0]->interface, INTERFACE_A);
        assert_int_equal(waiting[0]->deadline_ms, now_ms + PIPELINE_HANDLER_TIMEOUT_MS);
        r.rep = SPAN_LITERAL("\xa1\x65value\xf4");
        call_answer(waiting[0], &r);
        m = hear(&w);
        assert_int_equal(m.type, COAP_ACK);
        assert_true(span_equal(m.payload, r.rep));
        pipeline_get_counts(w.pipeline, &c, &n_pending);
        assert_int_equal(n_pending, 0);
        world_close(&w);
}

/* An update that the app answers without a body is followed by a question for the new representation. */
static void test_an_update_is_answered_with_the_new_representation(void **state) {
        struct ocf_response done = OCF_RESPONSE_OK(COAP_CHANGED), now = OCF_RESPONSE_OK(COAP_CONTENT);
        struct coap_message m;
        struct world w;

        world_open(&w, &slow);
        SAY(&w, "\x41\x02\x00\x01t\xb4lamp\xff\xa1\x65value\xf4");
        assert_int_equal(waiting[0]->request.method, COAP_POST);
        call_answer(waiting[0], &done);
        hear_nothing(&w);
        assert_int_equal(n_waiting, 2);
        assert_int_equal(waiting[1]->request.method, COAP_GET);
        assert_null(waiting[1]->request.payload.data);
        now.rep = SPAN_LITERAL("\xa1\x65value\xf4");
        call_answer(waiting[1], &now);
        m = hear(&w);
        assert_int_equal(m.code, COAP_CHANGED);
        assert_true(span_equal(m.payload, now.rep));
        world_close(&w);
}

static void test_faults_of_an_app(void **state) {
        struct ocf_response r = OCF_RESPONSE_FAULT(FAULT_TIMEOUT);
        struct coap_message m;
        struct world w;

        world_open(&w, &slow);
        SAY(&w, "\x41\x01\x00\x01t\xb4lamp");
        call_answer(waiting[0], &r);
        m = hear(&w);
        assert_int_equal(m.code, COAP_GATEWAY_TIMEOUT);
        assert_int_equal(option(&m, COAP_OPTION_CONTENT_FORMAT), -1); /* diagnostic text */
        SAY(&w, "\x41\x02\x00\x02t\xb4lamp\xff\xa0");
        r = OCF_RESPONSE_FAULT(FAULT_BAD_REPRESENTATION);
        r.diagnostic = "level goes from 0 to 9";
        call_answer(waiting[1], &r);
        m = hear(&w);
        assert_int_equal(m.code, COAP_BAD_REQUEST);
        assert_true(span_equal_string(m.payload, "level goes from 0 to 9"));
        world_close(&w);
}

/* Many observers of one view cost the app one call, and each gets the answer. */
static void test_observers_share_a_call(void **state) {
        struct ocf_response r = OCF_RESPONSE_OK(COAP_CONTENT);
        struct world w;

        world_open(&w, &slow);
        r.rep = SPAN_LITERAL("\xa1\x65value\xf4");
        for (uint16_t i = 0; i < 3; i++) {
                w.peer.remote_port = (uint16_t)(41000 + i);
                SAY(&w, "\x51\x01\x00\x01t\x60\x54lamp");
                call_answer(waiting[n_waiting - 1], &r);
                assert_true(hear(&w).code == COAP_CONTENT);
        }
        n_waiting = 0;
        resource_changed(find(w.model, "/lamp"));
        tell_all(&w);
        hear_nothing(&w);
        assert_int_equal(n_waiting, 1);
        assert_true(waiting[0]->request.notify);
        call_answer(waiting[0], &r);
        for (int i = 0; i < 3; i++)
                assert_int_equal(hear(&w).code, COAP_CONTENT);
        hear_nothing(&w);
        world_close(&w);
}

static void test_an_app_that_dies(void **state) {
        struct ocf_response gone = OCF_RESPONSE_FAULT(FAULT_UNAVAILABLE);
        struct coap_message m;
        struct world w;

        world_open(&w, &slow);
        SAY(&w, "\x41\x01\x00\x01t\xb4lamp"); /* under way while it dies */
        model_app_vanished(w.model, model_app_by_owner(w.model, ":1.5"), now_ms);
        tell_all(&w);
        call_answer(waiting[0], &gone);
        assert_int_equal(hear(&w).code, COAP_SERVICE_UNAVAILABLE);
        SAY(&w, "\x41\x01\x00\x02t\xb4lamp"); /* it lingers */
        m = hear(&w);
        assert_int_equal(m.code, COAP_SERVICE_UNAVAILABLE);
        assert_int_equal(option(&m, COAP_OPTION_MAX_AGE), 5);
        now_ms += 5000;
        model_expire(w.model, now_ms);
        tell_all(&w);
        SAY(&w, "\x41\x01\x00\x03t\xb4lamp");
        assert_int_equal(hear(&w).code, COAP_NOT_FOUND);
        world_close(&w);
}

static void test_observers_hear_that_it_is_gone(void **state) {
        struct coap_message m;
        struct world w;

        world_open(&w, &published);
        SAY(&w, "\x51\x01\x00\x01t\x60\x54lamp");
        assert_int_equal(hear(&w).code, COAP_CONTENT);
        model_unregister(w.model, model_app_by_owner(w.model, ":1.5"), NULL);
        tell_all(&w);
        m = hear(&w);
        assert_int_equal(m.code, COAP_NOT_FOUND);
        assert_memory_equal(m.token, "t", 1);
        world_close(&w);
}

static void test_goodbye(void **state) {
        struct world w;

        world_open(&w, &published);
        SAY(&w, "\x51\x01\x00\x01t\x60\x54lamp");
        hear(&w);
        pipeline_say_goodbye(w.pipeline);
        assert_int_equal(hear(&w).code, COAP_SERVICE_UNAVAILABLE);
        world_close(&w);
}

/* The socket was full in the middle of a run of messages: time passes all the same. */
static void test_a_run_that_was_cut_off(void **state) {
        struct world w;

        world_open(&w, &published);
        SAY(&w, "\x51\x01\x00\x01t\x60\x54lamp");
        hear(&w); /* and nobody asks whether there is more */
        pipeline_say_goodbye(w.pipeline);
        assert_int_equal(hear(&w).type, COAP_CON);
        now_ms += 3000;
        assert_true(pipeline_deadline(w.pipeline) <= now_ms);
        pipeline_wake(w.pipeline);
        assert_int_equal(hear(&w).type, COAP_CON); /* it is sent again */
        assert_true(pipeline_deadline(w.pipeline) > now_ms);
        world_close(&w);
}

/* ---- local apps ---- */

static struct ocf_response local;
static uint8_t local_rep[4096];
static unsigned n_local;

static void on_local(struct call *c, const struct ocf_response *r) {
        local = *r;
        if (r->rep.n)
                memcpy(local_rep, r->rep.data, r->rep.n);
        local.rep.data = r->rep.data ? local_rep : NULL;
        n_local++;
}

static struct call local_call(uint8_t method, const char *path, const char *query) {
        return (struct call){ .request = { .method = method,
                                           .subject = { .kind = SUBJECT_LOCAL, .uid = 5 },
                                           .path = span_of_string(path),
                                           .query = span_of_string(query),
                                           .accept = COAP_FORMAT_NONE },
                              .deadline_ms = now_ms + 100,
                              .done = on_local };
}

static void test_local_apps_need_no_opt_in(void **state) {
        struct call c = local_call(COAP_GET, "/lamp", "if=oic.if.baseline");
        struct span item;
        struct world w;

        world_open(&w, &published);
        w.model->allow_insecure = false;
        n_local = 0;
        pipeline_request(w.pipeline, &c);
        assert_int_equal(n_local, 1);
        assert_int_equal(local.code, COAP_CONTENT);
        assert_true(rep_map_find(local.rep, "rt", &item));
        c = local_call(COAP_GET, "/nowhere", "");
        pipeline_request(w.pipeline, &c);
        assert_int_equal(local.fault, FAULT_NOT_FOUND);
        world_close(&w);
}

static void test_a_handler_cannot_tell_who_asks(void **state) {
        struct call c = local_call(COAP_GET, "/lamp", "if=oic.if.baseline");
        struct ocf_response r = OCF_RESPONSE_OK(COAP_CONTENT);
        struct span item;
        struct world w;

        world_open(&w, &slow);
        n_local = 0;
        pipeline_request(w.pipeline, &c);
        assert_int_equal(n_local, 0);
        assert_int_equal(waiting[0]->request.subject.uid, 5);
        assert_int_equal(waiting[0]->deadline_ms, now_ms + 100);
        r.rep = SPAN_LITERAL("\xa1\x65value\xf4");
        call_answer(waiting[0], &r);
        assert_int_equal(n_local, 1);
        assert_true(rep_map_find(local.rep, "value", &item));
        assert_true(rep_map_find(local.rep, "if", &item)); /* the common properties are added for it */
        world_close(&w);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_formats),
                cmocka_unit_test(test_a_stream),
                cmocka_unit_test(test_a_stream_that_goes_by_itself),
                cmocka_unit_test(test_too_many_streams),
                cmocka_unit_test(test_payloads_that_cannot_be),
                cmocka_unit_test(test_access_comes_first),
                cmocka_unit_test(test_preconditions),
                cmocka_unit_test(test_an_app_answers_when_it_can),
                cmocka_unit_test(test_an_update_is_answered_with_the_new_representation),
                cmocka_unit_test(test_faults_of_an_app),
                cmocka_unit_test(test_observers_share_a_call),
                cmocka_unit_test(test_an_app_that_dies),
                cmocka_unit_test(test_observers_hear_that_it_is_gone),
                cmocka_unit_test(test_goodbye),
                cmocka_unit_test(test_a_run_that_was_cut_off),
                cmocka_unit_test(test_local_apps_need_no_opt_in),
                cmocka_unit_test(test_a_handler_cannot_tell_who_asks),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
