/*
 * Sessions whose handshakes have steps that take long: the manufacturer's key
 * is behind a device of its own. The test is the thread that runs them.
 */
#include "pki.h"

#include "base/memory.h"
#include "security/sessions.h"
#include "security/tls_cert.h"

#include <string.h>

static struct pki_one root, lamp;
static struct tls_cert_context *slow, *tool;

static const struct uuid device_id = { { 0xde, 0, 0, 1 } };

struct world {
        struct svr svr;
        struct sessions *sessions;
        uint64_t now_ms;
        unsigned n_opened, n_closed, n_failed;
        struct session *last;
        enum tls_failure failure;
        char heard[64];
};

static const struct svr *host_svr(void *context, uint16_t device) {
        return &((struct world *)context)->svr;
}

static size_t host_pin(void *context, uint16_t device, uint8_t ret[TLS_PSK_MAX]) {
        return 0;
}

static bool host_has_certificate(void *context, uint16_t device) {
        return true;
}

static int host_certificate(void *context, uint16_t device, uint16_t suite, bool stream, uint64_t now_ms,
                            struct tls **ret) {
        const struct tls_cert_config config = {
                .context = slow, .stream = stream, .suite = suite, .wall_s = PKI_NOW
        };

        return tls_cert_new(ret, &config, now_ms);
}

static int setup_all(void **state) {
        static struct tls_cert_trust trust;
        const struct pki_what what = { .cn = "Lamp 3000" };
        struct tls_cert_identity identity = { .is_slow = true };

        pki_authority(&root, "Root", NULL);
        pki_make(&lamp, &what, &root, NULL);
        trust = (struct tls_cert_trust){ .pem = span_of_string(root.pem), .any_subject = true };
        identity.chain = span_of_string(lamp.pem);
        identity.key = lamp.key;
        assert_int_equal(tls_cert_context_new(&slow, &identity), 0);
        identity.is_slow = false;
        identity.manufacturer = true;
        identity.trust = &trust;
        identity.n_trust = 1;
        assert_int_equal(tls_cert_context_new(&tool, &identity), 0);
        return 0;
}

static int teardown_all(void **state) {
        tls_cert_context_unref(slow);
        tls_cert_context_unref(tool);
        pki_free(&root);
        pki_free(&lamp);
        return 0;
}

static int setup(void **state) {
        struct world *w = ocf_new(struct world);
        const struct svr_device device = { .oxms = 7, .sct = 9 };
        const struct sessions_config config = {
                SESSIONS_DEFAULT,
                .host = { .context = w,
                          .svr = host_svr,
                          .pin = host_pin,
                          .has_certificate = host_has_certificate,
                          .certificate = host_certificate },
        };

        w->now_ms = 100000;
        svr_init(&w->svr, &device);
        svr_reset(&w->svr, &device_id);
        w->svr.doxm.oxmsel = SVR_MANUFACTURER;
        assert_int_equal(sessions_new(&w->sessions, &config), 0);
        *state = w;
        return 0;
}

static int teardown(void **state) {
        struct world *w = *state;

        sessions_free(w->sessions);
        svr_deinit(&w->svr);
        ocf_free(w);
        return 0;
}

/* ---- clients ---- */

struct client {
        struct world *world;
        struct tls *tls;
        struct coap_peer peer;
        char heard[64];
};

static struct client client_of(struct world *w, uint16_t port, bool stream) {
        const struct tls_cert_config config = {
                .context = tool, .client = true, .stream = stream, .wall_s = PKI_NOW
        };
        struct client c = { .world = w,
                            .peer = { .remote_ip = { [10] = 0xff, [11] = 0xff, 10, 0, 0, 1 },
                                      .local_ip = { [10] = 0xff, [11] = 0xff, 10, 0, 0, 2 },
                                      .remote_port = port,
                                      .local_port = 5684,
                                      .channel = stream ? port : 0,
                                      .stream = stream } };

        assert_int_equal(tls_cert_new(&c.tls, &config, w->now_ms), 0);
        if (stream)
                assert_true(sessions_stream_open(w->sessions, w->now_ms, &c.peer));
        return c;
}

static void pop(struct world *w) {
        struct session_event e;

        while (sessions_event(w->sessions, w->now_ms, &e))
                switch (e.type) {
                case SESSION_OPENED:
                        w->n_opened++;
                        w->last = e.session;
                        assert_true(e.session->svr.onboarding);
                        svr_machine_transfer_began(&w->svr.machine, w->now_ms);
                        break;
                case SESSION_DATA:
                        strncat(w->heard, (const char *)e.data.data, e.data.n);
                        break;
                case SESSION_CLOSED:
                        w->n_closed++;
                        break;
                case SESSION_FAILED:
                        w->n_failed++;
                        w->failure = e.session->tls->failure;
                        break;
                case SESSION_NONE:
                        break;
                }
}

static void give(struct client *c, uint8_t *bytes, size_t n) {
        struct world *w = c->world;

        if (c->peer.stream)
                sessions_stream_receive(w->sessions, w->now_ms, &c->peer, bytes, n);
        else
                sessions_receive(w->sessions, w->now_ms, &c->peer, bytes, n);
        pop(w);
}

static void hear(struct client *c, uint8_t *bytes, size_t n) {
        struct span data;

        tls_receive(c->tls, c->world->now_ms, bytes, n);
        while (tls_next(c->tls, c->world->now_ms, &data))
                strncat(c->heard, (const char *)data.data, data.n);
}

/* Everything that is to be said is said; to others than this client it is lost. */
static void run(struct client *c) {
        struct world *w = c->world;
        uint8_t bytes[TLS_RECORD_MAX];
        struct coap_peer to;
        bool any;
        size_t n;

        do {
                any = false;
                while ((n = tls_transmit(c->tls, w->now_ms, bytes, sizeof(bytes))) > 0) {
                        any = true;
                        give(c, bytes, n);
                }
                while ((n = sessions_transmit(w->sessions, w->now_ms, &to, bytes, sizeof(bytes))) > 0) {
                        any = true;
                        if (to.remote_port == c->peer.remote_port)
                                hear(c, bytes, n);
                }
                pop(w);
        } while (any);
}

static void done(struct world *w, struct session_work *work) {
        assert_null(sessions_work_done(work, w->now_ms));
        pop(w);
}

static unsigned do_works(struct client *c) {
        struct session_work *work;
        unsigned n = 0;

        run(c);
        while ((work = sessions_work_begin(c->world->sessions))) {
                sessions_work_run(work);
                done(c->world, work);
                run(c);
                n++;
        }
        return n;
}

/* As far as the step that signs. */
static struct session_work *begin_signature(struct client *c) {
        struct session_work *work;

        run(c);
        work = sessions_work_begin(c->world->sessions);
        assert_non_null(work);
        return work;
}

static void say(struct client *c, const char *text) {
        uint8_t bytes[256];
        size_t n = tls_seal(c->tls, span_of_string(text), bytes, sizeof(bytes));

        assert_true(n > 0);
        give(c, bytes, n);
}

/* ---- tests ---- */

static void ownership_is_taken_by_works(void **state) {
        struct world *w = *state;

        for (unsigned stream = 0; stream < 2; stream++) {
                struct client c = client_of(w, (uint16_t)(4000 + stream), stream);
                uint8_t bytes[256];
                size_t n;

                svr_machine_restore(&w->svr.machine, SVR_RFOTM, false);
                w->heard[0] = 0;
                assert_null(sessions_work_begin(w->sessions));
                assert_in_range(do_works(&c), 2, 8);
                assert_int_equal(c.tls->state, TLS_OPEN);
                assert_int_equal(w->n_opened, stream + 1);
                say(&c, "hello");
                assert_string_equal(w->heard, "hello");
                n = sessions_seal(w->sessions, w->now_ms, &w->last->peer, SPAN_LITERAL("yes"), bytes,
                                  sizeof(bytes));
                hear(&c, bytes, n);
                assert_string_equal(c.heard, "yes");
                tls_close(c.tls);
                run(&c);
                assert_int_equal(w->n_closed, stream + 1);
                assert_null(sessions_work_begin(w->sessions));
                tls_free(c.tls);
        }
}

/* Each has its turn, in the order in which they came; and they may run at the same time. */
static void works_come_in_order(void **state) {
        struct world *w = *state;
        struct client a = client_of(w, 4000, false), b = client_of(w, 4001, true);
        struct session_work *first, *second;

        run(&a);
        run(&b);
        first = sessions_work_begin(w->sessions);
        second = sessions_work_begin(w->sessions);
        assert_non_null(first);
        assert_non_null(second);
        assert_null(sessions_work_begin(w->sessions));
        sessions_work_run(second);
        done(w, second);
        assert_in_range(do_works(&b), 1, 8);
        assert_int_equal(b.tls->state, TLS_OPEN); /* it need not wait for the first */
        sessions_work_run(first);
        done(w, first);
        do_works(&a);
        assert_int_not_equal(a.tls->state, TLS_OPEN); /* one transfer at a time */
        assert_int_equal(w->n_opened, 1);
        assert_int_equal(w->n_failed, 1);
        tls_free(a.tls);
        tls_free(b.tls);
}

/* Its retransmissions, and what nobody understands. */
static void what_comes_meanwhile_does_no_harm(void **state) {
        struct world *w = *state;
        struct client c = client_of(w, 4000, false);
        uint8_t hello[2][TLS_RECORD_MAX], noise[64] = { 22, 254, 253 };
        struct session_work *work;
        struct coap_peer to;
        size_t n[2];

        for (unsigned i = 0; i < 2; i++) {
                uint8_t copy[TLS_RECORD_MAX];

                n[i] = tls_transmit(c.tls, w->now_ms, hello[i], sizeof(hello[i]));
                memcpy(copy, hello[i], n[i]);
                give(&c, copy, n[i]);
                if (!i) {
                        size_t n_answer = sessions_transmit(w->sessions, w->now_ms, &to, copy, sizeof(copy));

                        hear(&c, copy, n_answer);
                }
        }
        work = sessions_work_begin(w->sessions);
        for (unsigned i = 0; i < 5; i++) {
                uint8_t copy[TLS_RECORD_MAX];

                memcpy(copy, hello[1], n[1]);
                give(&c, copy, n[1]);
                give(&c, noise, sizeof(noise));
                assert_int_equal(sessions_transmit(w->sessions, w->now_ms, &to, copy, sizeof(copy)), 0);
        }
        assert_null(sessions_work_begin(w->sessions));
        sessions_work_run(work);
        done(w, work);
        do_works(&c);
        assert_int_equal(c.tls->state, TLS_OPEN);
        assert_int_equal(w->n_opened, 1);
        tls_free(c.tls);
}

static void close_device(struct world *w, struct client *c) {
        sessions_close_device(w->sessions, 0);
}

static void lose_address(struct world *w, struct client *c) {
        sessions_forget_local(w->sessions, c->peer.local_ip, 0);
}

static void lose_connection(struct world *w, struct client *c) {
        sessions_stream_closed(w->sessions, &c->peer);
}

static void lose_patience(struct world *w, struct client *c) {
        uint8_t bytes[TLS_RECORD_MAX];
        struct coap_peer to;

        w->now_ms += 30000;
        assert_true(sessions_deadline(w->sessions) <= w->now_ms);
        assert_int_equal(sessions_transmit(w->sessions, w->now_ms, &to, bytes, sizeof(bytes)), 0);
}

static void free_all(struct world *w, struct client *c) {
        w->sessions = sessions_free(w->sessions);
}

/* The session goes while its step is under way, and while it waits for its turn, or for being looked at. */
static void it_ends_meanwhile(void **state) {
        static const struct {
                void (*end)(struct world *w, struct client *c);
                bool stream;
                enum tls_failure failure;
        } rows[] = {
                { close_device, false, TLS_FAILURE_NONE },     { close_device, true, TLS_FAILURE_NONE },
                { lose_address, false, TLS_FAILURE_NONE },     { lose_connection, true, TLS_FAILURE_NONE },
                { lose_patience, false, TLS_FAILURE_TIMEOUT }, { lose_patience, true, TLS_FAILURE_TIMEOUT },
                { free_all, false, TLS_FAILURE_NONE },         { free_all, true, TLS_FAILURE_NONE },
        };
        enum { WAITS, RUNS, WAS_RUN, N_WHEN };

        for (size_t i = 0; i < ARRAY_SIZE(rows) * N_WHEN; i++) {
                size_t when = i % N_WHEN;
                struct client c;
                struct session_work *work = NULL;
                struct world *w;

                setup((void **)&w);
                c = client_of(w, 4000, rows[i / N_WHEN].stream);
                run(&c);
                if (when >= RUNS)
                        work = sessions_work_begin(w->sessions);
                if (when == WAS_RUN)
                        sessions_work_run(work);
                rows[i / N_WHEN].end(w, &c);
                if (w->sessions) {
                        pop(w);
                        assert_int_equal(w->n_failed, 1);
                        assert_int_equal(w->failure, rows[i / N_WHEN].failure);
                        assert_null(sessions_work_begin(w->sessions));
                }
                if (when == RUNS)
                        sessions_work_run(work);
                if (work)
                        assert_null(sessions_work_done(work, w->now_ms));
                if (w->sessions) {
                        struct sessions_counts counts;

                        pop(w);
                        assert_int_equal(w->n_failed, 1);
                        assert_int_equal(w->n_opened, 0);
                        sessions_counts(w->sessions, &counts);
                        assert_int_equal(counts.n_handshakes, 0);
                }
                tls_free(c.tls);
                teardown((void **)&w);
        }
}

/* It is told when it ends, and freed at the next event: the step may be done in between. */
static void it_is_done_between_the_end_and_its_event(void **state) {
        struct world *w = *state;
        struct client c = client_of(w, 4000, false);
        struct session_work *work = begin_signature(&c);
        struct session_event e;

        sessions_close_device(w->sessions, 0);
        sessions_work_run(work);
        assert_null(sessions_work_done(work, w->now_ms));
        assert_true(sessions_event(w->sessions, w->now_ms, &e));
        assert_int_equal(e.type, SESSION_FAILED);
        assert_false(sessions_event(w->sessions, w->now_ms, &e));
        tls_free(c.tls);
}

/* As a daemon does that stops: then the step waits for its turn again. */
static void a_step_that_was_not_run(void **state) {
        struct world *w = *state;
        struct client c = client_of(w, 4000, false);
        struct session_work *work = begin_signature(&c);

        done(w, work);
        assert_in_range(do_works(&c), 2, 8);
        assert_int_equal(c.tls->state, TLS_OPEN);
        tls_free(c.tls);
}

/* Another method was chosen while the TPM was at work. */
static void the_device_moves_on_meanwhile(void **state) {
        struct world *w = *state;
        struct client c = client_of(w, 4000, false);
        struct session_work *work = begin_signature(&c);

        w->svr.doxm.oxmsel = SVR_JUST_WORKS;
        sessions_work_run(work);
        done(w, work);
        do_works(&c);
        assert_int_equal(w->n_opened, 0);
        assert_int_equal(w->n_failed, 1);
        tls_free(c.tls);
}

/* What the client says right behind its handshake is heard, after the session is told to be open. */
static void data_behind_the_handshake(void **state) {
        for (unsigned stream = 0; stream < 2; stream++) {
                struct world *w;
                struct client c;
                uint8_t bytes[TLS_RECORD_MAX];
                struct coap_peer to;
                size_t n;

                setup((void **)&w);
                c = client_of(w, 4000, stream);
                run(&c);
                while (c.tls->state == TLS_HANDSHAKE) {
                        struct session_work *work = sessions_work_begin(w->sessions);

                        assert_non_null(work);
                        sessions_work_run(work);
                        assert_null(sessions_work_done(work, w->now_ms));
                        /* The server is open with its last flight; the client speaks before anybody has asked
                         * for the event. */
                        while ((n = sessions_transmit(w->sessions, w->now_ms, &to, bytes, sizeof(bytes))) > 0)
                                hear(&c, bytes, n);
                        if (c.tls->state == TLS_OPEN)
                                break;
                        pop(w);
                        run(&c);
                }
                say(&c, "one ");
                say(&c, "two");
                assert_int_equal(w->n_opened, 1);
                assert_string_equal(w->heard, "one two");
                tls_free(c.tls);
                teardown((void **)&w);
        }
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
        const struct CMUnitTest tests[] = {
                TEST(ownership_is_taken_by_works),
                TEST(works_come_in_order),
                TEST(what_comes_meanwhile_does_no_harm),
                cmocka_unit_test(it_ends_meanwhile),
                TEST(it_is_done_between_the_end_and_its_event),
                TEST(a_step_that_was_not_run),
                TEST(the_device_moves_on_meanwhile),
                cmocka_unit_test(data_behind_the_handshake),
        };

        return cmocka_run_group_tests(tests, setup_all, teardown_all);
}
