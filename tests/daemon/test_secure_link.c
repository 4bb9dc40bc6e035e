/*
 * Sessions and CoAP, joined: a client of DTLS or TLS on one side, the real
 * pipeline with a lamp on the other, and the sockets a list of what was to be
 * sent. Whatever happens, nothing that was said in a session leaves it in clear.
 */
#include "../model/model_fixture.h"

#include "base/memory.h"
#include "daemon/secure_link.h"
#include "protocol/coap_message.h"
#include "security/tls_psk.h"

static const uint8_t psk[16] = { 1, 2, 3, 4 };
static const struct uuid device_id = { { 0xde, 0, 0, 1 } }, owner_id = { { 0, 0x0b, 0 } };

#define SECURE_PORT 5684

static struct world {
        struct model *model;
        struct pipeline *pipeline;
        struct secure_link *link;
        struct handler handler;
        struct svr svr;
        uv_loop_t loop;
        uint64_t now_ms;
        struct call *waiting[4];
        size_t n_waiting;
        unsigned n_opened, n_closed, n_failed, n_streams_closed;
        struct coap_peer stream_closed;
} w;

struct client {
        struct tls *tls;
        struct coap_peer peer;
        uint8_t heard[8192]; /* of CoAP, and a connection's one after the other */
        size_t n_heard;
        unsigned n_messages;
};

/* ---- the daemon's side ---- */

static uint64_t read_now(void *context) {
        return w.now_ms;
}

static uint32_t draw(void *context) {
        static uint32_t n = 1;

        return n = n * 1664525u + 1013904223u;
}

static struct svr_session *session_of(void *context, const struct coap_peer *peer) {
        return secure_link_session(w.link, peer);
}

static const struct svr *svr_of(void *context, uint16_t device) {
        return &w.svr;
}

static size_t pin_of(void *context, uint16_t device, uint8_t ret[TLS_PSK_MAX]) {
        return 0;
}

static bool has_certificate(void *context, uint16_t device) {
        return false;
}

static bool is_secure(void *context, const struct coap_peer *peer) {
        return peer->local_port == SECURE_PORT;
}

static void close_stream(void *context, const struct coap_peer *peer) {
        w.n_streams_closed++;
        w.stream_closed = *peer;
}

static void on_opened(void *context, struct session *session) {
        w.n_opened++;
}

static void on_closed(void *context, const struct session *session) {
        w.n_closed++;
}

static void on_failed(void *context, const struct session *session) {
        w.n_failed++;
}

static void keep_call(struct handler *h, const struct resource *r, struct call *c) {
        assert_true(w.n_waiting < ARRAY_SIZE(w.waiting));
        w.waiting[w.n_waiting++] = c;
}

static const struct handler_vtable slow = { keep_call, NULL, NULL };

/* It is owned, the owner has a key, and who has any may use the lamp. */
static void open_svr(void) {
        const struct svr_device device = { .oxms = 1, .sct = 9 };
        const struct cred cred = {
                .id = CRED_ID_NONE, .type = CRED_PSK, .subject = owner_id, .secret = { psk, sizeof(psk) }
        };
        struct ace_resource lamp = { .href = SPAN_LITERAL("/lamp") };
        const struct ace ace = { .id = 1,
                                 .subject = ACE_AUTH_CRYPT,
                                 .permission = ACE_ALL,
                                 .n_resources = 1,
                                 .resources = &lamp };

        svr_init(&w.svr, &device);
        svr_reset(&w.svr, &device_id);
        assert_int_equal(svr_add_cred(&w.svr, &cred, 7), 0);
        assert_int_equal(ace_new(&w.svr.aces[w.svr.n_aces++], &ace), 0);
        w.svr.doxm.owned = true;
        svr_machine_restore(&w.svr.machine, SVR_RFNOP, false);
}

static void open_world(const struct handler_vtable *vtable) {
        struct pipeline_config pipeline = { .coap = coap_config_default,
                                            .now = read_now,
                                            .session = session_of,
                                            .svr = svr_of,
                                            .close_stream = close_stream };
        struct secure_link_config link = {
                .sessions = { SESSIONS_DEFAULT,
                              .host = { .svr = svr_of, .pin = pin_of, .has_certificate = has_certificate } },
                .loop = &w.loop,
                .now = read_now,
                .is_secure = is_secure,
                .close_stream = close_stream,
                .opened = on_opened,
                .closed = on_closed,
                .failed = on_failed
        };
        struct model_refusal why;
        struct app *a;

        w = (struct world){ .model = model_open(), .handler = { vtable }, .now_ms = 100000 };
        assert_int_equal(uv_loop_init(&w.loop), 0);
        open_svr();
        assert_int_equal(register_one(w.model, ":1.5", "lamp", 0, lamp_spec("/lamp", &w.handler), &a, &why),
                         0);
        pipeline.coap.random = draw;
        pipeline.model = w.model;
        assert_int_equal(pipeline_new(&w.pipeline, &pipeline), 0);
        link.pipeline = w.pipeline;
        assert_int_equal(secure_link_new(&w.link, &link), 0);
}

static void close_world(void) {
        assert_true(secure_link_stop(w.link, 0));
        secure_link_free(w.link);
        pipeline_free(w.pipeline);
        model_free(w.model);
        svr_deinit(&w.svr);
        uv_run(&w.loop, UV_RUN_NOWAIT);
        assert_int_equal(uv_loop_close(&w.loop), 0);
}

static void tell_all(void) {
        struct model_event e;

        while (model_event(w.model, &e))
                pipeline_tell(w.pipeline, &e);
}

/* ---- the other side ---- */

static size_t key_of(void *context, struct span name, uint8_t ret[TLS_PSK_MAX]) {
        memcpy(ret, psk, sizeof(psk));
        return sizeof(psk);
}

static struct client *client_new(uint16_t port, bool stream) {
        const struct tls_psk_config config = { .client = true,
                                               .stream = stream,
                                               .suite = TLS_ECDHE_PSK_AES_128_CBC_SHA256,
                                               .identity = { owner_id.bytes, 16 },
                                               .psk = key_of };
        struct client *c = ocf_new(struct client);

        assert_non_null(c);
        c->peer = request(COAP_GET, "", "").peer;
        c->peer.remote_port = port;
        c->peer.local_port = SECURE_PORT;
        c->peer.stream = stream;
        c->peer.channel = stream ? port : 0;
        assert_int_equal(tls_psk_new(&c->tls, &config, w.now_ms), 0);
        return c;
}

static void client_free(struct client *c) {
        tls_free(c->tls);
        ocf_free(c);
}

static void deliver(struct client *c, uint8_t *bytes, size_t n) {
        if (c->peer.stream)
                assert_int_equal(secure_link_stream_data(w.link, &c->peer, span_of(bytes, n)), n);
        else
                secure_link_datagram(w.link, &c->peer, COAP_VIA_ON_LINK, bytes, n);
}

/* Is this a record of (D)TLS, and not what is told in it? */
static void assert_sealed(const struct client *c, const uint8_t *bytes, size_t n) {
        assert_true(n > (c->peer.stream ? 5u : 13u) && bytes[0] >= 20 && bytes[0] <= 23);
        assert_int_equal(bytes[1], c->peer.stream ? 3 : 0xfe);
        assert_null(memmem(bytes, n, "value", 5));
}

/* One thing that goes out. Return: whether there was any. */
static bool hear_one(struct client *c) {
        uint8_t bytes[TLS_RECORD_MAX];
        struct span data;
        struct coap_peer to;
        size_t n = secure_link_next(w.link, &to, bytes, sizeof(bytes));

        if (!n)
                return false;
        assert_int_equal(to.remote_port, c->peer.remote_port);
        assert_sealed(c, bytes, n);
        tls_receive(c->tls, w.now_ms, bytes, n);
        while (tls_next(c->tls, w.now_ms, &data)) {
                assert_true(c->n_heard + data.n <= sizeof(c->heard));
                if (!c->peer.stream)
                        c->n_heard = 0;
                memcpy(c->heard + c->n_heard, data.data, data.n);
                c->n_heard += data.n;
                c->n_messages++;
        }
        return true;
}

/* Until nobody has anything to say. */
static void run(struct client *c) {
        uint8_t bytes[TLS_RECORD_MAX];
        bool any;
        size_t n;

        do {
                any = false;
                while ((n = tls_transmit(c->tls, w.now_ms, bytes, sizeof(bytes))) > 0) {
                        any = true;
                        deliver(c, bytes, n);
                }
                while (hear_one(c))
                        any = true;
        } while (any);
}

static struct client *client_open(uint16_t port, bool stream) {
        struct client *c = client_new(port, stream);

        if (stream)
                assert_true(secure_link_stream_open(w.link, &c->peer));
        run(c);
        assert_int_equal(c->tls->state, TLS_OPEN);
        return c;
}

static void say(struct client *c, const void *text, size_t n_text) {
        uint8_t bytes[TLS_RECORD_MAX];
        size_t n = tls_seal(c->tls, span_of(text, n_text), bytes, sizeof(bytes));

        assert_true(n > 0);
        deliver(c, bytes, n);
}

#define SAY(c, literal) say((c), literal, sizeof(literal) - 1)

static void leave(struct client *c) {
        tls_close(c->tls);
        run(c);
}

static void nothing_goes_out(void) {
        uint8_t bytes[TLS_RECORD_MAX];
        struct coap_peer to;

        assert_int_equal(secure_link_next(w.link, &to, bytes, sizeof(bytes)), 0);
}

static void assert_code(const struct client *c, uint8_t code) {
        struct coap_message m;

        assert_int_equal(coap_message_parse(&m, span_of(c->heard, c->n_heard)), 0);
        assert_int_equal(m.code, code);
}

static void answer_call(size_t i) {
        call_answer(w.waiting[i], &(struct ocf_response){ .code = COAP_CONTENT, .rep = LAMP_VALUE });
}

/* ---- tests ---- */

static void what_is_asked_in_a_session_is_answered_in_it(void **state) {
        struct client *c, *other;

        open_world(&published);
        c = client_open(4000, false);
        other = client_open(4001, false);
        assert_int_equal(w.n_opened, 2);
        SAY(c, "\x40\x01\x00\x01\xb4lamp");
        run(c);
        assert_code(c, COAP_CONTENT);
        assert_non_null(memmem(c->heard, c->n_heard, "value", 5));
        assert_int_equal(other->n_messages, 0);
        SAY(other, "\x40\x01\x00\x01\xb4none"); /* the same id, of another session */
        run(other);
        assert_code(other, COAP_NOT_FOUND);
        leave(c);
        assert_int_equal(w.n_closed, 1);
        client_free(c);
        client_free(other);
        close_world();
}

/* Plain CoAP is none of the sessions' business: it goes in and out as it is, and may less. */
static void what_is_asked_in_clear_is_answered_in_clear(void **state) {
        struct coap_peer peer, to;
        uint8_t bytes[TLS_RECORD_MAX];
        struct coap_message m;
        size_t n;

        open_world(&published);
        peer = request(COAP_GET, "", "").peer;
        peer.remote_port = 4000;
        peer.local_port = 5683;
        assert_null(secure_link_session(w.link, &peer));
        pipeline_receive(w.pipeline, &peer, COAP_VIA_ON_LINK, SPAN_LITERAL("\x40\x01\x00\x01\xb4lamp"));
        n = secure_link_next(w.link, &to, bytes, sizeof(bytes));
        assert_true(coap_peer_equal(&to, &peer));
        assert_int_equal(coap_message_parse(&m, span_of(bytes, n)), 0);
        assert_int_equal(m.code, COAP_UNAUTHORIZED);
        nothing_goes_out();
        close_world();
}

/* What somebody forges under the number of a session, or sends in clear to its port. */
static void what_is_in_clear_at_a_secure_port_is_nothing(void **state) {
        uint8_t get[] = "\x40\x01\x00\x01\xb4lamp";
        struct client *c;

        open_world(&published);
        c = client_open(4000, false);
        secure_link_datagram(w.link, &c->peer, COAP_VIA_ON_LINK, get, sizeof(get) - 1);
        nothing_goes_out();
        assert_int_equal(w.n_closed, 0);
        client_free(c);
        close_world();
}

static void an_answer_that_comes_late_goes_nowhere(void **state) {
        struct coap_counts counts;
        uint64_t n_pending;
        struct client *c;

        open_world(&slow);
        c = client_open(4000, false);
        SAY(c, "\x40\x01\x00\x01\xb4lamp");
        assert_int_equal(w.n_waiting, 1);
        leave(c);
        assert_int_equal(w.n_closed, 1);
        answer_call(0);
        nothing_goes_out();
        pipeline_get_counts(w.pipeline, &counts, &n_pending);
        assert_int_equal(n_pending + counts.n_exchanges + counts.n_outgoing, 0);
        client_free(c);
        close_world();
}

/* It waits to be sent, and then the session ends. */
static void an_answer_that_is_ready_goes_nowhere(void **state) {
        struct client *c;

        open_world(&published);
        c = client_open(4000, false);
        SAY(c, "\x40\x01\x00\x01\xb4lamp");
        secure_link_close_device(w.link, 0);
        run(c); /* the goodbye alone */
        assert_int_equal(c->n_messages, 0);
        assert_int_equal(c->tls->failure, TLS_FAILURE_BYE);
        nothing_goes_out();
        client_free(c);
        close_world();
}

static void who_observed_in_a_session_is_forgotten_with_it(void **state) {
        struct client *c;

        open_world(&published);
        c = client_open(4000, false);
        SAY(c, "\x51\x01\x00\x01t\x60\x54lamp");
        run(c);
        assert_code(c, COAP_CONTENT);
        tell_all();
        resource_publish(find(w.model, "/lamp"), SPAN_LITERAL("\xa1\x65level\x04"), false,
                         &(struct model_refusal){ 0 });
        tell_all();
        run(c);
        assert_int_equal(c->n_messages, 2);
        leave(c);
        resource_publish(find(w.model, "/lamp"), SPAN_LITERAL("\xa1\x65level\x05"), false,
                         &(struct model_refusal){ 0 });
        tell_all();
        nothing_goes_out();
        client_free(c);
        close_world();
}

/* A client that begins anew at the same address is another session: nothing of the first one is sent to it.
 */
static void what_was_asked_before_is_not_answered_in_the_next_session(void **state) {
        struct client *c, *again;

        open_world(&slow);
        c = client_open(4000, false);
        SAY(c, "\x40\x01\x00\x01\xb4lamp");
        again = client_open(4000, false);
        assert_int_equal(w.n_closed, 1);
        answer_call(0);
        run(again);
        assert_int_equal(again->n_messages, 0);
        SAY(again, "\x40\x01\x00\x02\xb4lamp");
        answer_call(1);
        run(again);
        assert_code(again, COAP_CONTENT);
        client_free(c);
        client_free(again);
        close_world();
}

static void who_deletes_its_own_key_is_answered_first(void **state) {
        struct client *c;

        open_world(&slow);
        c = client_open(4000, false);
        SAY(c, "\x40\x01\x00\x01\xb4lamp");
        w.svr.creds[0]->subject.bytes[0] ^= 1; /* as if it had gone */
        secure_link_check(w.link, 0);
        assert_int_equal(secure_link_deadline(w.link), 0);
        secure_link_wake(w.link);
        answer_call(0);
        run(c);
        assert_code(c, COAP_CONTENT);
        assert_int_equal(w.n_closed, 0);
        secure_link_wake(w.link);
        assert_int_equal(w.n_closed, 1);
        run(c);
        assert_int_equal(c->tls->failure, TLS_FAILURE_BYE);
        client_free(c);
        close_world();
}

/* ---- connections ---- */

/* A CSM, and GETs of /lamp without a token. */
#define CSM "\x00\xe1"
#define GET "\x50\x01\xb4lamp"

static void a_connection_is_a_session(void **state) {
        struct client *c;

        open_world(&published);
        c = client_open(7, true);
        assert_int_equal(w.n_opened, 1);
        SAY(c, CSM GET);
        run(c);
        assert_non_null(memmem(c->heard, c->n_heard, "value", 5));
        secure_link_stream_closed(w.link, &c->peer); /* without a goodbye */
        assert_int_equal(w.n_closed, 1);
        assert_int_equal(w.n_streams_closed, 1);
        nothing_goes_out();
        client_free(c);
        close_world();
}

static void an_answer_to_a_connection_that_is_gone_goes_nowhere(void **state) {
        struct client *c;

        open_world(&slow);
        c = client_open(7, true);
        SAY(c, CSM GET);
        run(c);
        assert_int_equal(w.n_waiting, 1);
        leave(c);
        assert_int_equal(w.n_closed, 1);
        assert_true(coap_peer_equal(&w.stream_closed, &c->peer));
        answer_call(0);
        nothing_goes_out();
        client_free(c);
        close_world();
}

/* The number of a connection of TLS that never became a session: nothing of CoAP's goes there, and not in
 * clear either. */
static void a_connection_that_says_nonsense_is_closed(void **state) {
        const struct span nonsense = SPAN_LITERAL(CSM GET "and more than that");
        struct client *c;

        open_world(&published);
        c = client_new(7, true);
        assert_true(secure_link_stream_open(w.link, &c->peer));
        assert_int_equal(secure_link_stream_data(w.link, &c->peer, nonsense), nonsense.n);
        while (hear_one(c)) /* an alert, maybe */
                ;
        assert_int_equal(w.n_failed, 1);
        assert_int_equal(w.n_streams_closed, 1);
        assert_int_equal(w.n_opened, 0);
        client_free(c);
        close_world();
}

static unsigned n_values(const struct client *c) {
        struct span rest = span_of(c->heard, c->n_heard);
        const uint8_t *at;
        unsigned n = 0;

        while ((at = memmem(rest.data, rest.n, "value", 5)) != NULL) {
                rest = span_of(at + 1, rest.n - (size_t)(at - rest.data) - 1);
                n++;
        }
        return n;
}

/* More requests in one record than there is room for answers: what waits is taken when there is, in order,
 * and meanwhile nothing more is read. */
static void requests_that_have_no_room_wait(void **state) {
        enum { N = 2000 };
        static uint8_t many[2 + N * 7];
        struct client *c;
        unsigned n = 0;

        open_world(&published);
        c = client_open(7, true);
        memcpy(many, CSM, 2);
        for (size_t i = 0; i < N; i++)
                memcpy(many + 2 + i * 7, GET, 7);
        say(c, many, sizeof(many));
        assert_int_equal(secure_link_stream_data(w.link, &c->peer, SPAN_LITERAL("x")), 0);
        c->n_heard = 0;
        while (hear_one(c)) {
                n += n_values(c);
                c->n_heard = 0;
        }
        assert_int_equal(n, N);
        SAY(c, GET);
        run(c);
        assert_non_null(memmem(c->heard, c->n_heard, "value", 5));
        client_free(c);
        close_world();
}

/* Plain TCP goes past the sessions. */
static void a_plain_connection_is_answered_in_clear(void **state) {
        struct coap_peer peer, to;
        uint8_t bytes[TLS_RECORD_MAX];
        size_t n;

        open_world(&published);
        peer = request(COAP_GET, "", "").peer;
        peer.local_port = 5683;
        peer.stream = true;
        peer.channel = 7;
        assert_true(pipeline_stream_open(w.pipeline, &peer));
        n = secure_link_next(w.link, &to, bytes, sizeof(bytes));
        assert_int_equal(n, 7);
        assert_int_equal(bytes[1], COAP_CSM);
        close_world();
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(what_is_asked_in_a_session_is_answered_in_it),
                cmocka_unit_test(what_is_asked_in_clear_is_answered_in_clear),
                cmocka_unit_test(what_is_in_clear_at_a_secure_port_is_nothing),
                cmocka_unit_test(an_answer_that_comes_late_goes_nowhere),
                cmocka_unit_test(an_answer_that_is_ready_goes_nowhere),
                cmocka_unit_test(who_observed_in_a_session_is_forgotten_with_it),
                cmocka_unit_test(what_was_asked_before_is_not_answered_in_the_next_session),
                cmocka_unit_test(who_deletes_its_own_key_is_answered_first),
                cmocka_unit_test(a_connection_is_a_session),
                cmocka_unit_test(an_answer_to_a_connection_that_is_gone_goes_nowhere),
                cmocka_unit_test(a_connection_that_says_nonsense_is_closed),
                cmocka_unit_test(requests_that_have_no_room_wait),
                cmocka_unit_test(a_plain_connection_is_answered_in_clear),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
