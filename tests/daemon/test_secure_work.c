/*
 * The thread beside the loop: a signer that takes its time, or for ever, while
 * the loop turns; and the end of the daemon in the middle of it.
 */
#include "../security/pki.h"

#include "base/memory.h"
#include "daemon/clock.h"
#include "daemon/secure_work.h"
#include "security/delegated_key.h"
#include "security/tls_cert.h"

#include <openssl/core_names.h>

static struct pki_one root, lamp;
static const struct uuid device_id = { { 0xde, 0, 0, 1 } };

static struct world {
        uv_loop_t loop;
        uv_sem_t begun, may_end;
        bool waits; /* the signer, for may_end */
        struct delegated_key *key;
        struct tls_cert_context *slow, *tool;
        struct svr svr;
        struct sessions *sessions;
        struct secure_work *work;
        struct tls *client;
        struct coap_peer peer;
        unsigned n_opened, n_done, n_ticks;
} w;

static bool sign(void *context, const char *digest_name, struct span digest, uint8_t *signature,
                 size_t *ret_n) {
        EVP_PKEY_CTX *c = EVP_PKEY_CTX_new(lamp.key, NULL);
        bool good;

        uv_sem_post(&w.begun);
        if (w.waits)
                uv_sem_wait(&w.may_end);
        *ret_n = DELEGATED_KEY_SIGNATURE;
        good = EVP_PKEY_sign_init(c) == 1 && EVP_PKEY_sign(c, signature, ret_n, digest.data, digest.n) == 1;
        EVP_PKEY_CTX_free(c);
        return good;
}

static const struct svr *host_svr(void *context, uint16_t device) {
        return &w.svr;
}

static bool host_has_certificate(void *context, uint16_t device) {
        return true;
}

static int host_certificate(void *context, uint16_t device, uint16_t suite, bool stream, uint64_t now_ms,
                            struct tls **ret) {
        const struct tls_cert_config config = {
                .context = w.slow, .stream = stream, .suite = suite, .wall_s = PKI_NOW
        };

        return tls_cert_new(ret, &config, now_ms);
}

static uint64_t on_now(void *context) {
        return clock_now_ms();
}

/* As secure_link.c does. */
static void pop(void) {
        struct session_event e;

        while (sessions_event(w.sessions, clock_now_ms(), &e))
                w.n_opened += e.type == SESSION_OPENED;
        secure_work_go(w.work);
}

static void on_done(void *context) {
        w.n_done++;
        pop();
}

static int setup_all(void **state) {
        const struct pki_what what = { .cn = "Lamp 3000" };

        pki_authority(&root, "Root", NULL);
        pki_make(&lamp, &what, &root, NULL);
        return 0;
}

static int teardown_all(void **state) {
        pki_free(&root);
        pki_free(&lamp);
        uv_library_shutdown(); /* joins the pool: OpenSSL gives back what is a thread's when it ends */
        return 0;
}

static void open_contexts(void) {
        const struct tls_cert_trust trust = { .pem = span_of_string(root.pem), .any_subject = true };
        const struct delegated_signer signer = { .sign = sign };
        struct tls_cert_identity identity = { .chain = span_of_string(lamp.pem), .is_slow = true };
        uint8_t point[DELEGATED_KEY_POINT + 1];
        size_t n;

        assert_int_equal(
                EVP_PKEY_get_octet_string_param(lamp.key, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point), &n),
                1);
        assert_int_equal(delegated_key_new(&w.key, point, &signer), 0);
        identity.key = delegated_key(w.key);
        assert_int_equal(tls_cert_context_new(&w.slow, &identity), 0);
        identity = (struct tls_cert_identity){ .chain = span_of_string(lamp.pem),
                                               .key = lamp.key,
                                               .trust = &trust,
                                               .n_trust = 1,
                                               .manufacturer = true };
        assert_int_equal(tls_cert_context_new(&w.tool, &identity), 0);
}

static int setup(void **state) {
        const struct svr_device device = { .oxms = 7, .sct = 9 };
        const struct sessions_config sessions = {
                SESSIONS_DEFAULT,
                .host = { .svr = host_svr,
                          .has_certificate = host_has_certificate,
                          .certificate = host_certificate },
        };
        struct secure_work_config work = { .loop = &w.loop, .now = on_now, .done = on_done };
        struct tls_cert_config client = { .client = true, .stream = true, .wall_s = PKI_NOW };

        w = (struct world){ .peer = {
                                    .remote_port = 4000, .local_port = 5684, .channel = 7, .stream = true } };
        assert_int_equal(uv_loop_init(&w.loop), 0);
        uv_sem_init(&w.begun, 0);
        uv_sem_init(&w.may_end, 0);
        open_contexts();
        svr_init(&w.svr, &device);
        svr_reset(&w.svr, &device_id);
        w.svr.doxm.oxmsel = SVR_MANUFACTURER;
        assert_int_equal(sessions_new(&w.sessions, &sessions), 0);
        work.sessions = w.sessions;
        assert_int_equal(secure_work_new(&w.work, &work), 0);
        client.context = w.tool;
        assert_int_equal(tls_cert_new(&w.client, &client, clock_now_ms()), 0);
        assert_true(sessions_stream_open(w.sessions, clock_now_ms(), &w.peer));
        return 0;
}

static int teardown(void **state) {
        assert_true(secure_work_stop(w.work, 1000));
        uv_run(&w.loop, UV_RUN_DEFAULT);
        assert_int_equal(uv_loop_close(&w.loop), 0);
        sessions_free(w.sessions);
        secure_work_free(w.work);
        svr_deinit(&w.svr);
        tls_free(w.client);
        tls_cert_context_unref(w.slow);
        tls_cert_context_unref(w.tool);
        delegated_key_free(w.key);
        uv_sem_destroy(&w.begun);
        uv_sem_destroy(&w.may_end);
        return 0;
}

/* What the two have to say to each other now. */
static void carry(void) {
        static uint8_t bytes[TLS_RECORD_MAX];
        struct coap_peer to;
        struct span data;
        size_t n;
        bool any = true;

        while (any) {
                any = false;
                while ((n = tls_transmit(w.client, clock_now_ms(), bytes, sizeof(bytes))) > 0) {
                        any = true;
                        sessions_stream_receive(w.sessions, clock_now_ms(), &w.peer, bytes, n);
                        pop();
                }
                while ((n = sessions_transmit(w.sessions, clock_now_ms(), &to, bytes, sizeof(bytes))) > 0) {
                        any = true;
                        tls_receive(w.client, clock_now_ms(), bytes, n);
                        while (tls_next(w.client, clock_now_ms(), &data))
                                ;
                }
        }
}

static void on_tick(uv_timer_t *timer) {
        w.n_ticks++;
        if (w.n_ticks == 20)
                uv_sem_post(&w.may_end);
}

static void on_prepare(uv_prepare_t *prepare) {
        carry();
        if (w.n_opened)
                uv_stop(&w.loop);
}

static void the_loop_turns_meanwhile(void **state) {
        static uv_prepare_t prepare; /* closed in teardown() */
        static uv_timer_t timer;

        w.waits = true;
        uv_timer_init(&w.loop, &timer);
        uv_timer_start(&timer, on_tick, 5, 5);
        uv_prepare_init(&w.loop, &prepare);
        uv_prepare_start(&prepare, on_prepare);
        uv_run(&w.loop, UV_RUN_DEFAULT);
        assert_int_equal(w.n_opened, 1);
        assert_int_equal(w.client->state, TLS_OPEN);
        assert_true(w.n_ticks >= 20); /* all the time that the signer took */
        assert_in_range(w.n_done, 2, 8);
        uv_close((uv_handle_t *)&timer, NULL);
        uv_close((uv_handle_t *)&prepare, NULL);
}

static void one_step_at_a_time(void **state) {
        struct coap_peer other = w.peer;
        static uint8_t bytes[TLS_RECORD_MAX];
        struct tls_cert_config config = {
                .context = w.tool, .client = true, .stream = true, .wall_s = PKI_NOW
        };
        struct tls *second;
        size_t n;

        w.waits = true;
        carry();
        uv_sem_wait(&w.begun);
        other.channel = 8;
        assert_true(sessions_stream_open(w.sessions, clock_now_ms(), &other));
        assert_int_equal(tls_cert_new(&second, &config, clock_now_ms()), 0);
        n = tls_transmit(second, clock_now_ms(), bytes, sizeof(bytes));
        sessions_stream_receive(w.sessions, clock_now_ms(), &other, bytes, n);
        pop();
        uv_sleep(50);
        assert_int_not_equal(uv_sem_trywait(&w.begun), 0);
        uv_sem_post(&w.may_end);
        while (uv_sem_trywait(&w.begun) != 0) /* its turn */
                uv_run(&w.loop, UV_RUN_NOWAIT);
        uv_sem_post(&w.may_end);
        tls_free(second);
}

static void a_stop_waits_for_the_step(void **state) {
        w.waits = true;
        carry();
        uv_sem_wait(&w.begun);
        uv_sem_post(&w.may_end);
        assert_true(secure_work_stop(w.work, 5000));
        assert_int_equal(w.n_done, 0); /* nobody is told any more */
        carry();
        assert_int_equal(w.n_opened, 0);
}

/* But not for ever; and the sessions may be gone by then. */
static void a_stop_gives_up(void **state) {
        uint64_t began = clock_now_ms();

        w.waits = true;
        carry();
        uv_sem_wait(&w.begun);
        assert_false(secure_work_stop(w.work, 100));
        assert_in_range(clock_now_ms() - began, 100, 3000);
        w.sessions = sessions_free(w.sessions);
        uv_sem_post(&w.may_end);
        assert_true(secure_work_stop(w.work, 5000));
}

static void block(uv_work_t *request) {
        uv_sem_wait(request->data);
}

static void unblocked(uv_work_t *request, int status) {
        request->data = NULL;
}

/* The pool is busy otherwise: what was not begun is taken back. */
static void a_step_that_has_no_thread_yet(void **state) {
        uv_work_t blockers[16];
        uint64_t began;
        uv_sem_t free;

        uv_sem_init(&free, 0);
        for (size_t i = 0; i < ARRAY_SIZE(blockers); i++) {
                blockers[i].data = &free;
                assert_int_equal(uv_queue_work(&w.loop, &blockers[i], block, unblocked), 0);
        }
        carry();
        began = clock_now_ms();
        assert_true(secure_work_stop(w.work, 5000));
        assert_true(clock_now_ms() - began < 2000);
        assert_int_not_equal(uv_sem_trywait(&w.begun), 0); /* it never signed */
        for (size_t i = 0; i < ARRAY_SIZE(blockers); i++)
                uv_sem_post(&free);
        uv_run(&w.loop, UV_RUN_DEFAULT);
        uv_sem_destroy(&free);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
        const struct CMUnitTest tests[] = {
                TEST(the_loop_turns_meanwhile),      TEST(one_step_at_a_time),
                TEST(a_stop_waits_for_the_step),     TEST(a_stop_gives_up),
                TEST(a_step_that_has_no_thread_yet),
        };

        return cmocka_run_group_tests(tests, setup_all, teardown_all);
}
