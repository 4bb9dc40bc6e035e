/*
 * Sessions that we begin: two tables talk to each other, the one of who asks
 * and the one of the device that is asked.
 */
#include "../unit.h"

#include "base/memory.h"
#include "security/keys.h"
#include "security/sessions.h"
#include "security/tls_psk.h"

#include <errno.h>
#include <string.h>

static const uint8_t key[16] = { 1, 2, 3, 4 }, other_key[16] = { 5, 6 }, pin_key[16] = { 9, 9, 9 };
static const struct uuid device_id = { { 0xde, 0, 0, 1 } }, tool_id = { { 0, 0x0b, 0 } },
                         other_id = { { 0x77 } };

/* One side. */
struct side {
        struct svr svr;
        struct sessions *sessions;
        unsigned n_opened, n_closed, n_failed;
        struct session *last;
        enum tls_failure failure;
        char heard[64];
};

struct world {
        struct side tool, device;
        uint64_t now_ms;
        bool is_cut; /* nothing arrives */
};

static const struct svr *host_svr(void *context, uint16_t device) {
        return &((struct side *)context)->svr;
}

static size_t host_pin(void *context, uint16_t device, uint8_t ret[TLS_PSK_MAX]) {
        memcpy(ret, pin_key, 16);
        return 16;
}

static bool host_no_certificate(void *context, uint16_t device) {
        return false;
}

static void side_init(struct side *s, const struct uuid *id) {
        const struct svr_device device = { .oxms = 7, .sct = 9 };
        const struct sessions_config config = {
                SESSIONS_DEFAULT,
                .host = { .context = s,
                          .svr = host_svr,
                          .pin = host_pin,
                          .has_certificate = host_no_certificate },
        };

        svr_init(&s->svr, &device);
        svr_reset(&s->svr, id);
        assert_int_equal(sessions_new(&s->sessions, &config), 0);
}

static int setup(void **state) {
        struct world *w = ocf_new(struct world);

        assert_non_null(w);
        w->now_ms = 100000;
        side_init(&w->tool, &tool_id);
        side_init(&w->device, &device_id);
        svr_machine_restore(&w->tool.svr.machine, SVR_RFNOP, false);
        *state = w;
        return 0;
}

static int teardown(void **state) {
        struct world *w = *state;

        sessions_free(w->tool.sessions);
        sessions_free(w->device.sessions);
        svr_deinit(&w->tool.svr);
        svr_deinit(&w->device.svr);
        ocf_free(w);
        return 0;
}

/* Each knows the other by this key. Return: the tool's credential. */
static int32_t pair(struct world *w, const uint8_t *of_tool) {
        struct cred cred = { .id = CRED_ID_NONE, .type = CRED_PSK, .subject = device_id };

        cred.secret = span_of(of_tool, 16);
        assert_int_equal(svr_add_cred(&w->tool.svr, &cred, 7), 0);
        cred.subject = tool_id;
        cred.secret = span_of(key, 16);
        assert_int_equal(svr_add_cred(&w->device.svr, &cred, 7), 0);
        svr_machine_restore(&w->device.svr.machine, SVR_RFNOP, false);
        return w->tool.svr.creds[w->tool.svr.n_creds - 1]->id;
}

/* As the tool sees the device, and as the device sees the tool. */
static const struct coap_peer to_device = { .remote_ip = { [10] = 0xff, [11] = 0xff, 10, 0, 0, 2 },
                                            .local_ip = { [10] = 0xff, [11] = 0xff, 10, 0, 0, 1 },
                                            .remote_port = 5684,
                                            .local_port = 40000 },
                              to_tool = { .remote_ip = { [10] = 0xff, [11] = 0xff, 10, 0, 0, 1 },
                                          .local_ip = { [10] = 0xff, [11] = 0xff, 10, 0, 0, 2 },
                                          .remote_port = 40000,
                                          .local_port = 5684 };

static void pop(struct world *w, struct side *s) {
        struct session_event e;

        while (sessions_event(s->sessions, w->now_ms, &e))
                switch (e.type) {
                case SESSION_OPENED:
                        s->n_opened++;
                        s->last = e.session;
                        break;
                case SESSION_DATA:
                        memcpy(s->heard, e.data.data, e.data.n);
                        s->heard[e.data.n] = 0;
                        break;
                case SESSION_CLOSED:
                        s->n_closed++;
                        break;
                case SESSION_FAILED:
                        s->n_failed++;
                        s->failure = e.session->tls ? e.session->tls->failure : TLS_FAILURE_NONE;
                        break;
                case SESSION_NONE:
                        break;
                }
}

static bool carry(struct world *w, struct side *from, struct side *to, const struct coap_peer *as) {
        uint8_t bytes[TLS_RECORD_MAX];
        struct coap_peer peer;
        bool any = false;
        size_t n;

        while ((n = sessions_transmit(from->sessions, w->now_ms, &peer, bytes, sizeof(bytes))) > 0) {
                any = true;
                if (w->is_cut)
                        continue;
                sessions_receive(to->sessions, w->now_ms, as, bytes, n);
                pop(w, to);
        }
        pop(w, from);
        return any;
}

static void run(struct world *w) {
        while (carry(w, &w->tool, &w->device, &to_tool) || carry(w, &w->device, &w->tool, &to_device))
                ;
}

static void say(struct world *w, struct side *from, struct side *to, const struct coap_peer *as,
                const char *text) {
        uint8_t bytes[256];
        size_t n = sessions_seal(from->sessions, w->now_ms, &from->last->peer, span_of_string(text), bytes,
                                 sizeof(bytes));

        assert_true(n > 0);
        sessions_receive(to->sessions, w->now_ms, as, bytes, n);
        pop(w, to);
}

static struct session_connect with_key(const uint8_t *bytes, int32_t credid) {
        return (struct session_connect){ .id = device_id,
                                         .suite = TLS_ECDHE_PSK_AES_128_CBC_SHA256,
                                         .identity = span_of(tool_id.bytes, 16),
                                         .key = span_of(bytes, 16),
                                         .credid = credid };
}

static int connect_with(struct world *w, const struct session_connect *how) {
        struct session *c;

        return sessions_connect(w->tool.sessions, w->now_ms, &to_device, how, &c);
}

/* ---- tests ---- */

static void a_pair_talks_both_ways(void **state) {
        struct world *w = *state;
        struct session_connect how = with_key(key, pair(w, key));

        assert_int_equal(connect_with(w, &how), 0);
        run(w);
        assert_int_equal(w->tool.n_opened, 1);
        assert_int_equal(w->device.n_opened, 1);
        assert_true(w->tool.last->is_client);
        assert_false(w->device.last->is_client);
        assert_true(uuid_equal(&w->tool.last->svr.id, &device_id));
        assert_true(uuid_equal(&w->device.last->svr.id, &tool_id));
        say(w, &w->tool, &w->device, &to_tool, "question");
        assert_string_equal(w->device.heard, "question");
        say(w, &w->device, &w->tool, &to_device, "answer");
        assert_string_equal(w->tool.heard, "answer");
        assert_ptr_equal(sessions_open_at(w->tool.sessions, &to_device), w->tool.last);
        assert_false(sessions_handshaking(w->tool.sessions, 0, w->now_ms));
        sessions_close(w->tool.sessions, w->tool.last);
        run(w);
        assert_int_equal(w->tool.n_closed, 1);
        assert_int_equal(w->device.n_closed, 1);
        assert_null(sessions_open_at(w->tool.sessions, &to_device));
}

static void the_session_ends_with_its_credential(void **state) {
        struct world *w = *state;
        struct session_connect how = with_key(key, pair(w, key));

        assert_int_equal(connect_with(w, &how), 0);
        run(w);
        sessions_check(w->tool.sessions, 0);
        pop(w, &w->tool);
        assert_int_equal(w->tool.n_closed, 0);
        svr_reset(&w->tool.svr, &tool_id);
        sessions_check(w->tool.sessions, 0);
        pop(w, &w->tool);
        assert_int_equal(w->tool.n_closed, 1);
}

static void a_key_that_the_device_does_not_have_is_refused(void **state) {
        struct world *w = *state;
        struct session_connect how = with_key(other_key, pair(w, other_key));

        assert_int_equal(connect_with(w, &how), 0);
        run(w);
        assert_int_equal(w->tool.n_opened, 0);
        assert_int_equal(w->device.n_opened, 0);
        for (unsigned i = 0; i < 100 && !w->tool.n_failed; i++) {
                w->now_ms += 1000;
                run(w);
        }
        assert_int_equal(w->tool.n_failed, 1);
}

/* Nothing is shown to a device that is not the one that was meant. */
static void another_device_at_the_address_is_left_at_once(void **state) {
        struct world *w = *state;
        struct session_connect how = with_key(key, pair(w, key));

        w->device.svr.doxm.deviceuuid = other_id;
        assert_int_equal(connect_with(w, &how), 0);
        run(w);
        assert_int_equal(w->tool.n_opened, 0);
        assert_int_equal(w->tool.n_failed, 1);
        assert_int_equal(w->tool.failure, TLS_FAILURE_KEY);
}

static void ownership_is_taken_without_and_with_a_pin(void **state) {
        struct world *w = *state;
        struct session_connect anonymous = { .transfer = true,
                                             .suite = TLS_ECDH_ANON_AES_128_CBC_SHA256,
                                             .credid = CRED_ID_NONE },
                               pin = { .transfer = true,
                                       .suite = TLS_ECDHE_PSK_AES_128_CBC_SHA256,
                                       .identity = span_of_string(KEY_PIN_IDENTITY),
                                       .key = span_of(pin_key, 16),
                                       .credid = CRED_ID_NONE };
        struct tls_secrets of_tool, of_device;

        w->device.svr.doxm.oxmsel = SVR_JUST_WORKS;
        assert_int_equal(connect_with(w, &anonymous), 0);
        run(w);
        assert_int_equal(w->tool.n_opened, 1);
        assert_true(w->device.last->svr.onboarding);
        assert_false(w->tool.last->svr.onboarding);
        assert_true(uuid_is_nil(&w->tool.last->svr.id)); /* it has no rights with us */
        assert_true(tls_secrets(w->tool.last->tls, &of_tool));
        assert_true(tls_secrets(w->device.last->tls, &of_device));
        assert_memory_equal(of_tool.master, of_device.master, TLS_MASTER);
        sessions_close(w->tool.sessions, w->tool.last);
        run(w);

        w->device.svr.doxm.oxmsel = SVR_RANDOM_PIN;
        assert_int_equal(connect_with(w, &pin), 0);
        run(w);
        assert_int_equal(w->tool.n_opened, 2);
        assert_true(w->device.last->svr.onboarding);
}

static void one_at_a_time_and_none_that_is_too_long(void **state) {
        uint8_t name[TLS_IDENTITY_MAX + 1] = { 1 };
        struct world *w = *state;
        struct session_connect how = with_key(key, pair(w, key)), bad = how;

        bad.identity = span_of(name, sizeof(name));
        assert_int_equal(connect_with(w, &bad), -EINVAL);
        bad = how;
        bad.key = span_of(name, TLS_PSK_MAX + 1);
        assert_int_equal(connect_with(w, &bad), -EINVAL);
        pop(w, &w->tool);
        assert_int_equal(w->tool.n_failed, 2);
        assert_int_equal(connect_with(w, &how), 0);
        assert_int_equal(connect_with(w, &how), SESSIONS_E_BUSY);
        run(w);
        assert_int_equal(w->tool.n_opened, 1);
        /* A second one is made beside the first, and takes its place. */
        assert_int_equal(connect_with(w, &how), 0);
        run(w);
        assert_int_equal(w->tool.n_opened, 2);
        assert_int_equal(w->tool.n_closed, 1);
}

static void a_device_that_says_nothing_is_given_up(void **state) {
        struct world *w = *state;
        struct session_connect how = with_key(key, pair(w, key));

        w->is_cut = true;
        assert_int_equal(connect_with(w, &how), 0);
        for (unsigned i = 0; i < 100 && !w->tool.n_failed; i++) {
                assert_true(sessions_deadline(w->tool.sessions) < OCF_NEVER);
                w->now_ms = sessions_deadline(w->tool.sessions);
                run(w);
        }
        assert_int_equal(w->tool.n_failed, 1);
        assert_int_equal(w->tool.failure, TLS_FAILURE_TIMEOUT);
        assert_true(w->now_ms - 100000 <= TLS_HANDSHAKE_MAX_MS + 1000);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(a_pair_talks_both_ways),
                TEST(the_session_ends_with_its_credential),
                TEST(a_key_that_the_device_does_not_have_is_refused),
                TEST(another_device_at_the_address_is_left_at_once),
                TEST(ownership_is_taken_without_and_with_a_pin),
                TEST(one_at_a_time_and_none_that_is_too_long),
                TEST(a_device_that_says_nothing_is_given_up),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
