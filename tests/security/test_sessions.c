/*
 * The table of secure sessions: who gets in in which state, with which suite,
 * and what strangers can do to it.
 */
#include "../unit.h"

#include "base/memory.h"
#include "security/keys.h"
#include "security/sessions.h"
#include "security/sessions_choose.h"
#include "security/tls_psk.h"

#include <string.h>

static const uint8_t psk[16] = { 1, 2, 3, 4 }, pin_key[16] = { 9, 9, 9 };
static const struct uuid device_id = { { 0xde, 0, 0, 1 } }, owner_id = { { 0, 0x0b, 0 } };

struct world {
        struct svr svr;
        struct sessions *sessions;
        uint64_t now_ms;
        unsigned n_opened, n_closed, n_failed, n_data;
        struct session *last; /* opened */
        enum tls_failure failure;
        char heard[64];
        bool has_pin;
        uint8_t pin[16];
        unsigned n_guesses; /* failed, with the key of the PIN */
};

static const struct svr *host_svr(void *context, uint16_t device) {
        struct world *w = context;

        return device == 0 ? &w->svr : NULL;
}

static size_t host_pin(void *context, uint16_t device, uint8_t ret[TLS_PSK_MAX]) {
        struct world *w = context;

        memcpy(ret, w->pin, 16);
        return w->has_pin ? 16 : 0;
}

static bool host_no_certificate(void *context, uint16_t device) {
        return false;
}

static int setup(void **state) {
        struct world *w = ocf_new(struct world);
        const struct svr_device device = { .oxms = 7, .sct = 9 };
        const struct sessions_config config = {
                SESSIONS_DEFAULT,
                .host = { .context = w,
                          .svr = host_svr,
                          .pin = host_pin,
                          .has_certificate = host_no_certificate },
        };

        assert_non_null(w);
        w->now_ms = 100000;
        memcpy(w->pin, pin_key, sizeof(w->pin));
        svr_init(&w->svr, &device);
        svr_reset(&w->svr, &device_id);
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

/* As a device that has an owner, who has a key. */
static void own(struct world *w) {
        const struct cred cred = {
                .id = CRED_ID_NONE, .type = CRED_PSK, .subject = owner_id, .secret = { psk, sizeof(psk) }
        };

        assert_int_equal(svr_add_cred(&w->svr, &cred, 7), 0);
        w->svr.doxm.owned = true;
        svr_machine_restore(&w->svr.machine, SVR_RFNOP, false);
}

/* ---- clients ---- */

struct client {
        struct world *world;
        struct tls *tls;
        struct coap_peer peer;
        const uint8_t *key;
        char heard[64];
};

static size_t client_key(void *context, struct span name, uint8_t ret[TLS_PSK_MAX]) {
        memcpy(ret, ((struct client *)context)->key, 16);
        return 16;
}

static struct client client_of(struct world *w, uint16_t port, const uint8_t *key) {
        struct client c = { .world = w,
                            .key = key,
                            .peer = { .remote_ip = { [10] = 0xff, [11] = 0xff, 10, 0, 0, 1 },
                                      .local_ip = { [10] = 0xff, [11] = 0xff, 10, 0, 0, 2 },
                                      .remote_port = port,
                                      .local_port = 5684 } };
        return c;
}

static void begin(struct client *c, uint16_t suite, struct span identity) {
        const struct tls_psk_config config = {
                .client = true, .suite = suite, .identity = identity, .psk = client_key, .context = c
        };

        tls_free(c->tls);
        assert_int_equal(tls_psk_new(&c->tls, &config, c->world->now_ms), 0);
}

static void pop(struct world *w) {
        struct session_event e;

        while (sessions_event(w->sessions, w->now_ms, &e))
                switch (e.type) {
                case SESSION_OPENED:
                        w->n_opened++;
                        w->last = e.session;
                        if (e.session->svr.onboarding)
                                svr_machine_transfer_began(&w->svr.machine, w->now_ms);
                        break;
                case SESSION_DATA:
                        w->n_data++;
                        assert_true(e.data.n < sizeof(w->heard));
                        memcpy(w->heard, e.data.data, e.data.n);
                        w->heard[e.data.n] = 0;
                        break;
                case SESSION_CLOSED:
                        w->n_closed++;
                        break;
                case SESSION_FAILED:
                        w->n_failed++;
                        w->n_guesses += sessions_has_pin(e.session);
                        if (w->n_guesses == 3) /* as the daemon has it */
                                w->pin[0]++;
                        w->failure = e.session->tls ? e.session->tls->failure : TLS_FAILURE_NONE;
                        break;
                case SESSION_NONE:
                        break;
                }
}

static void hear(struct client *c, uint8_t *bytes, size_t n) {
        struct span data;

        tls_receive(c->tls, c->world->now_ms, bytes, n);
        while (tls_next(c->tls, c->world->now_ms, &data)) {
                memcpy(c->heard, data.data, data.n);
                c->heard[data.n] = 0;
        }
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
                        sessions_receive(w->sessions, w->now_ms, &c->peer, bytes, n);
                        pop(w);
                }
                while ((n = sessions_transmit(w->sessions, w->now_ms, &to, bytes, sizeof(bytes))) > 0) {
                        any = true;
                        if (to.remote_port == c->peer.remote_port)
                                hear(c, bytes, n);
                }
                pop(w);
        } while (any);
}

static void say(struct client *c, const char *text) {
        uint8_t bytes[256];
        size_t n = tls_seal(c->tls, span_of_string(text), bytes, sizeof(bytes));

        assert_true(n > 0);
        sessions_receive(c->world->sessions, c->world->now_ms, &c->peer, bytes, n);
        pop(c->world);
}

#define PSK   TLS_ECDHE_PSK_AES_128_CBC_SHA256
#define ANON  TLS_ECDH_ANON_AES_128_CBC_SHA256
#define OWNER span_of(owner_id.bytes, 16)

/* ---- tests ---- */

static void the_state_of_the_device_chooses_the_suite(void **state) {
        static const uint8_t both[] = { 0xff, 0, 0xc0, 0x37, 0xc0, 0xac };
        const struct tls_hello all = { .suites = { both, 6 }, .p256 = true };
        const struct tls_hello other_curve = { .suites = { both, 6 }, .p384 = true };
        struct world *w = *state;

        assert_int_equal(sessions_choose(&w->svr, true, &all), 0); /* no method is chosen */
        w->svr.doxm.oxmsel = SVR_JUST_WORKS;
        assert_int_equal(sessions_choose(&w->svr, true, &all), ANON);
        assert_int_equal(sessions_choose(&w->svr, true, &other_curve), 0);
        w->svr.doxm.oxmsel = SVR_RANDOM_PIN;
        assert_int_equal(sessions_choose(&w->svr, true, &all), PSK);
        w->svr.doxm.oxmsel = SVR_MANUFACTURER;
        assert_int_equal(sessions_choose(&w->svr, true, &all), TLS_ECDHE_ECDSA_AES_128_CCM);
        assert_int_equal(sessions_choose(&w->svr, true, &other_curve), TLS_ECDHE_ECDSA_AES_128_CCM);
        assert_int_equal(sessions_choose(&w->svr, false, &all), 0);
        w->svr.machine.transfer = true;
        assert_int_equal(sessions_choose(&w->svr, true, &all), 0);
        for (enum svr_state s = SVR_RFPRO; s <= SVR_SRESET; s++) {
                svr_machine_restore(&w->svr.machine, s, false);
                assert_int_equal(sessions_choose(&w->svr, false, &all), 0);
                assert_int_equal(sessions_choose(&w->svr, true, &all), TLS_ECDHE_ECDSA_AES_128_CCM);
        }
        own(w);
        assert_int_equal(sessions_choose(&w->svr, true, &all), PSK);
        svr_machine_reset(&w->svr.machine, 0);
        assert_int_equal(sessions_choose(&w->svr, true, &all), 0);
}

static void an_owner_comes_in_with_its_key(void **state) {
        struct world *w = *state;
        struct client c = client_of(w, 4000, psk);
        uint8_t bytes[256];
        size_t n;

        own(w);
        begin(&c, PSK, OWNER);
        run(&c);
        assert_int_equal(c.tls->state, TLS_OPEN);
        assert_int_equal(w->n_opened, 1);
        assert_true(uuid_equal(&w->last->svr.id, &owner_id));
        assert_false(w->last->svr.onboarding);
        assert_true(w->last->credid != CRED_ID_NONE);
        assert_true(span_equal(tls_psk_name(c.tls), span_of(device_id.bytes, 16))); /* the hint */
        say(&c, "hello");
        assert_string_equal(w->heard, "hello");
        n = sessions_seal(w->sessions, w->now_ms, &w->last->peer, span_of_string("yes"), bytes,
                          sizeof(bytes));
        hear(&c, bytes, n);
        assert_string_equal(c.heard, "yes");
        tls_close(c.tls);
        run(&c);
        assert_int_equal(w->n_closed, 1);
        assert_null(sessions_first(w->sessions));
        tls_free(c.tls);
}

static void nobody_else_comes_in(void **state) {
        static const uint8_t stranger[16] = { 0x77 }, nil[16];
        const struct span names[] = { { stranger, 16 },
                                      { nil, 16 },
                                      { owner_id.bytes, 15 },
                                      SPAN_NULL,
                                      SPAN_LITERAL(KEY_PIN_IDENTITY) };
        struct world *w = *state;

        own(w);
        w->has_pin = true; /* of a transfer that is over */
        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                struct client c = client_of(w, (uint16_t)(4000 + i), i == 4 ? pin_key : psk);

                begin(&c, PSK, names[i]);
                for (unsigned j = 0; j < 4; j++) {
                        run(&c);
                        w->now_ms += 5000;
                }
                assert_int_not_equal(c.tls->state, TLS_OPEN);
                assert_int_equal(w->n_opened, 0);
                assert_int_equal(w->n_failed, i + 1);
                assert_int_equal(w->failure, TLS_FAILURE_KEY);
                tls_free(c.tls);
        }
}

static void just_works_only_while_it_is_chosen(void **state) {
        struct world *w = *state;
        struct client c = client_of(w, 4000, psk), late = client_of(w, 4001, psk);
        struct tls_secrets secrets;

        begin(&c, ANON, SPAN_NULL);
        run(&c);
        assert_int_equal(c.tls->failure, TLS_FAILURE_ALERT); /* it is told */
        w->svr.doxm.oxmsel = SVR_JUST_WORKS;
        begin(&late, ANON, SPAN_NULL);
        begin(&c, ANON, SPAN_NULL);
        run(&c);
        assert_int_equal(c.tls->state, TLS_OPEN);
        assert_true(w->last->svr.onboarding);
        assert_true(uuid_is_nil(&w->last->svr.id));
        assert_true(tls_secrets(w->last->tls, &secrets)); /* for the owner's key */
        run(&late);                                       /* one at a time */
        assert_int_not_equal(late.tls->state, TLS_OPEN);
        assert_int_equal(w->n_opened, 1);
        tls_free(c.tls);
        tls_free(late.tls);
}

/* A handshake that began before somebody else's ended must not become a second transfer. */
static void the_first_to_finish_takes_the_transfer(void **state) {
        struct world *w = *state;
        struct client a = client_of(w, 4000, psk), b = client_of(w, 4001, psk);
        uint8_t bytes[TLS_RECORD_MAX];
        struct coap_peer to;
        size_t n;

        w->svr.doxm.oxmsel = SVR_JUST_WORKS;
        begin(&b, ANON, SPAN_NULL);
        for (unsigned i = 0; i < 2; i++) { /* its hellos alone */
                n = tls_transmit(b.tls, w->now_ms, bytes, sizeof(bytes));
                sessions_receive(w->sessions, w->now_ms, &b.peer, bytes, n);
                pop(w);
                n = sessions_transmit(w->sessions, w->now_ms, &to, bytes, sizeof(bytes));
                hear(&b, bytes, n);
        }
        begin(&a, ANON, SPAN_NULL);
        run(&a);
        assert_int_equal(w->n_opened, 1);
        run(&b);
        assert_int_equal(w->n_opened, 1);
        assert_int_equal(w->n_failed, 1);
        tls_free(a.tls);
        tls_free(b.tls);
}

static void a_pin_is_the_key_of_its_transfer(void **state) {
        struct world *w = *state;
        struct client c = client_of(w, 4000, pin_key);
        uint8_t hint[33];

        w->svr.doxm.oxmsel = SVR_RANDOM_PIN;
        w->has_pin = true;
        begin(&c, PSK, span_of_string(KEY_PIN_IDENTITY));
        run(&c);
        assert_int_equal(c.tls->state, TLS_OPEN);
        assert_true(w->last->svr.onboarding);
        assert_true(uuid_is_nil(&w->last->svr.id));
        memcpy(hint, KEY_PIN_HINT, 17);
        memcpy(hint + 17, device_id.bytes, 16);
        assert_true(span_equal(tls_psk_name(c.tls), span_of(hint, 33)));
        tls_free(c.tls);
}

/* Hellos without a cookie, from anywhere: an answer that is shorter, and nothing kept. */
static void nothing_is_kept_before_the_cookie(void **state) {
        struct world *w = *state;
        struct client c = client_of(w, 4000, psk);
        uint8_t bytes[TLS_RECORD_MAX], copy[TLS_RECORD_MAX];
        struct sessions_counts counts;
        struct coap_peer to;
        size_t n;

        own(w);
        begin(&c, PSK, OWNER);
        n = tls_transmit(c.tls, w->now_ms, bytes, sizeof(bytes));
        for (unsigned i = 0; i < 5000; i++) {
                size_t n_answer;

                c.peer.remote_ip[15] = (uint8_t)i;
                c.peer.remote_ip[14] = (uint8_t)(i >> 8);
                memcpy(copy, bytes, n);
                sessions_receive(w->sessions, w->now_ms, &c.peer, copy, n);
                pop(w);
                n_answer = sessions_transmit(w->sessions, w->now_ms, &to, copy, sizeof(copy));
                assert_true(n_answer > 0 && n_answer <= n);
                assert_int_equal(sessions_transmit(w->sessions, w->now_ms, &to, copy, sizeof(copy)), 0);
        }
        sessions_counts(w->sessions, &counts);
        assert_int_equal(counts.n_handshakes, 0);
        assert_int_equal(counts.n_cookies, 5000);
        tls_free(c.tls);
}

static void a_cookie_of_somebody_else_is_none(void **state) {
        struct world *w = *state;
        struct client c = client_of(w, 4000, psk);
        uint8_t bytes[TLS_RECORD_MAX], copy[TLS_RECORD_MAX];
        struct sessions_counts counts;
        struct coap_peer to;
        size_t n;

        own(w);
        begin(&c, PSK, OWNER);
        n = tls_transmit(c.tls, w->now_ms, bytes, sizeof(bytes));
        sessions_receive(w->sessions, w->now_ms, &c.peer, bytes, n);
        n = sessions_transmit(w->sessions, w->now_ms, &to, bytes, sizeof(bytes));
        hear(&c, bytes, n);
        n = tls_transmit(c.tls, w->now_ms, bytes, sizeof(bytes)); /* with the cookie */
        c.peer.remote_port++;
        memcpy(copy, bytes, n);
        sessions_receive(w->sessions, w->now_ms, &c.peer, copy, n);
        pop(w);
        sessions_counts(w->sessions, &counts);
        assert_int_equal(counts.n_handshakes, 0);
        c.peer.remote_port--;
        w->now_ms += 200000; /* and not for ever */
        memcpy(copy, bytes, n);
        sessions_receive(w->sessions, w->now_ms, &c.peer, copy, n);
        pop(w);
        sessions_counts(w->sessions, &counts);
        assert_int_equal(counts.n_handshakes, 0);
        tls_free(c.tls);
}

/* iotivity-lite#62: the alert was lost, the client comes back from the same port. */
static void a_client_that_comes_back_takes_its_old_place(void **state) {
        struct world *w = *state;
        struct client c = client_of(w, 4000, psk), stranger = client_of(w, 4000, pin_key);
        struct tls *old;

        own(w);
        begin(&c, PSK, OWNER);
        run(&c);
        assert_int_equal(w->n_opened, 1);
        /* One who is not the owner disturbs nothing. */
        begin(&stranger, PSK, OWNER);
        run(&stranger);
        assert_int_equal(w->n_opened, 1);
        assert_int_equal(w->n_closed, 0);
        say(&c, "still here");
        assert_string_equal(w->heard, "still here");

        old = c.tls;
        c.tls = NULL;
        begin(&c, PSK, OWNER);
        run(&c);
        assert_int_equal(c.tls->state, TLS_OPEN);
        assert_int_equal(w->n_opened, 2);
        assert_int_equal(w->n_closed, 1);
        say(&c, "again");
        assert_string_equal(w->heard, "again");
        tls_free(old);
        tls_free(stranger.tls);
        tls_free(c.tls);
}

static void full_is_who_was_silent_longest(void **state) {
        struct world *w = *state;
        const struct sessions_config config = {
                .n_max = 3,
                .n_handshakes = 3,
                .n_per_address = 3,
                .idle_ms = 600000,
                .host = { .context = w,
                          .svr = host_svr,
                          .pin = host_pin,
                          .has_certificate = host_no_certificate },
        };
        struct client c[5];

        own(w);
        sessions_free(w->sessions);
        assert_int_equal(sessions_new(&w->sessions, &config), 0);
        for (unsigned i = 0; i < 5; i++) {
                c[i] = client_of(w, (uint16_t)(4000 + i), psk);
                begin(&c[i], PSK, OWNER);
                run(&c[i]);
                w->now_ms += 1000;
                if (i == 2)
                        say(&c[0], "I am not silent");
        }
        assert_int_equal(w->n_opened, 5);
        assert_int_equal(w->n_closed, 2);
        say(&c[0], "I am still here");
        assert_string_equal(w->heard, "I am still here");
        for (unsigned i = 0; i < 5; i++)
                tls_free(c[i].tls);
}

static void handshakes_of_one_address_are_few(void **state) {
        struct world *w = *state;
        struct sessions_counts counts;

        own(w);
        for (unsigned i = 0; i < 40; i++) {
                struct client c = client_of(w, (uint16_t)(4000 + i), psk);
                uint8_t bytes[TLS_RECORD_MAX];
                struct coap_peer to;
                size_t n;

                begin(&c, PSK, OWNER);
                for (unsigned j = 0; j < 2; j++) {
                        n = tls_transmit(c.tls, w->now_ms, bytes, sizeof(bytes));
                        sessions_receive(w->sessions, w->now_ms, &c.peer, bytes, n);
                        pop(w);
                        while ((n = sessions_transmit(w->sessions, w->now_ms, &to, bytes, sizeof(bytes))) > 0)
                                hear(&c, bytes, n);
                }
                tls_free(c.tls);
        }
        sessions_counts(w->sessions, &counts);
        assert_int_equal(counts.n_handshakes, 8);
        w->now_ms += TLS_HANDSHAKE_MAX_MS;
        while (sessions_deadline(w->sessions) <= w->now_ms) { /* and not for long */
                uint8_t bytes[TLS_RECORD_MAX];
                struct coap_peer to;

                while (sessions_transmit(w->sessions, w->now_ms, &to, bytes, sizeof(bytes)))
                        ;
                pop(w);
        }
        sessions_counts(w->sessions, &counts);
        assert_int_equal(counts.n_handshakes, 0);
        assert_int_equal(w->n_failed, 8);
        assert_int_equal(w->failure, TLS_FAILURE_TIMEOUT);
}

/* They return their cookie, and go silent. */
static void come_in_crowds(struct world *w, unsigned n) {
        for (unsigned i = 0; i < n; i++) {
                struct client c = client_of(w, 4000, psk);
                uint8_t bytes[TLS_RECORD_MAX];

                c.peer.remote_ip[13] = 2;
                c.peer.remote_ip[14] = (uint8_t)(i >> 8);
                c.peer.remote_ip[15] = (uint8_t)i;
                begin(&c, PSK, OWNER);
                for (unsigned j = 0; j < 2; j++) {
                        size_t n_bytes = tls_transmit(c.tls, w->now_ms, bytes, sizeof(bytes));
                        struct coap_peer to;

                        sessions_receive(w->sessions, w->now_ms, &c.peer, bytes, n_bytes);
                        pop(w);
                        while ((n_bytes = sessions_transmit(w->sessions, w->now_ms, &to, bytes,
                                                            sizeof(bytes))) > 0)
                                hear(&c, bytes, n_bytes);
                }
                tls_free(c.tls);
        }
}

static void a_crowd_leaves_room(void **state) {
        struct world *w = *state;
        struct client owner = client_of(w, 4000, psk), again = client_of(w, 4001, psk),
                      new = client_of(w, 4002, psk);
        struct sessions_counts counts;

        own(w);
        begin(&owner, PSK, OWNER);
        run(&owner);
        come_in_crowds(w, 1000);
        sessions_counts(w->sessions, &counts);
        assert_int_equal(counts.n_handshakes, 96);
        begin(&again, PSK, OWNER); /* from where somebody is known */
        run(&again);
        assert_int_equal(w->n_opened, 2);
        new.peer.remote_ip[12] = 11;
        begin(&new, PSK, OWNER);
        run(&new);
        assert_int_equal(w->n_opened, 2); /* not at once: they are young */
        w->now_ms += 1000;
        run(&new);
        assert_int_equal(w->n_opened, 3); /* but when it asks again */
        say(&owner, "I am still here");
        assert_string_equal(w->heard, "I am still here");
        assert_int_equal(w->n_closed, 0);
        tls_free(owner.tls);
        tls_free(again.tls);
        tls_free(new.tls);
}

/* Where the table is full of who is known, a crowd pushes out a few, and not all. */
static void a_crowd_does_not_push_out_who_is_known(void **state) {
        struct world *w = *state;
        const struct sessions_config config = { .n_max = 64,
                                                .n_handshakes = 256,
                                                .n_per_address = 8,
                                                .idle_ms = 600000,
                                                .host = { .context = w,
                                                          .svr = host_svr,
                                                          .pin = host_pin,
                                                          .has_certificate = host_no_certificate } };

        own(w);
        sessions_free(w->sessions);
        assert_int_equal(sessions_new(&w->sessions, &config), 0);
        for (unsigned i = 0; i < 64; i++) {
                struct client c = client_of(w, (uint16_t)(4000 + i), psk);

                begin(&c, PSK, OWNER);
                run(&c);
                tls_free(c.tls);
        }
        assert_int_equal(w->n_opened, 64);
        for (unsigned i = 0; i < 20; i++) {
                come_in_crowds(w, 100);
                w->now_ms += 100;
        }
        assert_int_equal(w->n_closed, 5);
}

static void silence_ends_a_session(void **state) {
        struct world *w = *state;
        struct client c = client_of(w, 4000, psk);

        own(w);
        begin(&c, PSK, OWNER);
        run(&c);
        w->now_ms += 599000;
        say(&c, "x");
        w->now_ms += 599000;
        run(&c);
        assert_int_equal(w->n_closed, 0);
        assert_int_equal(sessions_deadline(w->sessions), w->now_ms + 1000);
        w->now_ms += 1000;
        run(&c);
        run(&c);
        assert_int_equal(w->n_closed, 1);
        assert_int_equal(c.tls->failure, TLS_FAILURE_BYE); /* it was told */
        tls_free(c.tls);
}

static void a_session_goes_with_its_credential(void **state) {
        struct world *w = *state;
        struct client c = client_of(w, 4000, psk);

        own(w);
        begin(&c, PSK, OWNER);
        run(&c);
        sessions_check(w->sessions, 0);
        run(&c);
        assert_int_equal(w->n_closed, 0);
        cred_free(w->svr.creds[--w->svr.n_creds]);
        sessions_check(w->sessions, 0);
        run(&c);
        assert_int_equal(w->n_closed, 1);
        assert_int_equal(c.tls->failure, TLS_FAILURE_BYE);
        tls_free(c.tls);
}

/* A connection: the hello in pieces, and what is no hello. */
static void connections_come_in_too(void **state) {
        struct world *w = *state;
        struct client c = client_of(w, 4000, psk);
        const struct tls_psk_config config = { .client = true,
                                               .stream = true,
                                               .suite = PSK,
                                               .identity = OWNER,
                                               .psk = client_key,
                                               .context = &c };
        uint8_t bytes[TLS_RECORD_MAX], garbage[] = "GET / HTTP/1.1\r\n";
        struct coap_peer to;
        size_t n;

        own(w);
        c.peer.stream = true;
        c.peer.channel = 5;
        assert_int_equal(tls_psk_new(&c.tls, &config, w->now_ms), 0);
        assert_true(sessions_stream_open(w->sessions, w->now_ms, &c.peer));
        for (unsigned i = 0; i < 4; i++) {
                while ((n = tls_transmit(c.tls, w->now_ms, bytes, sizeof(bytes))) > 0)
                        for (size_t at = 0; at < n; at++) {
                                sessions_stream_receive(w->sessions, w->now_ms, &c.peer, bytes + at, 1);
                                pop(w);
                        }
                while ((n = sessions_transmit(w->sessions, w->now_ms, &to, bytes, sizeof(bytes))) > 0)
                        hear(&c, bytes, n);
        }
        assert_int_equal(c.tls->state, TLS_OPEN);
        assert_int_equal(w->n_opened, 1);
        assert_true(uuid_equal(&w->last->svr.id, &owner_id));
        n = tls_seal(c.tls, span_of_string("over TLS"), bytes, sizeof(bytes));
        sessions_stream_receive(w->sessions, w->now_ms, &c.peer, bytes, n);
        pop(w);
        assert_string_equal(w->heard, "over TLS");
        sessions_stream_closed(w->sessions, &c.peer);
        pop(w);
        assert_int_equal(w->n_closed, 1);
        assert_null(sessions_find(w->sessions, &c.peer));

        c.peer.channel = 6;
        assert_true(sessions_stream_open(w->sessions, w->now_ms, &c.peer));
        sessions_stream_receive(w->sessions, w->now_ms, &c.peer, garbage, sizeof(garbage));
        pop(w);
        assert_int_equal(w->n_failed, 1);
        tls_free(c.tls);
}

/* One step of a handshake: what the client says, each record by itself, and what it is answered. */
static void step(struct client *c) {
        struct world *w = c->world;
        uint8_t bytes[TLS_RECORD_MAX];
        struct coap_peer to;
        size_t n;

        while ((n = tls_transmit(c->tls, w->now_ms, bytes, sizeof(bytes))) > 0) {
                sessions_receive(w->sessions, w->now_ms, &c->peer, bytes, n);
                pop(w);
        }
        while ((n = sessions_transmit(w->sessions, w->now_ms, &to, bytes, sizeof(bytes))) > 0)
                hear(c, bytes, n);
        pop(w);
}

/* Begun while Just Works was selected, ended when a PIN is asked for: no owner without the PIN. */
static void a_method_that_was_chosen_since_shuts_out_who_began_before(void **state) {
        static const struct {
                uint8_t first, then;
                uint16_t suite;
        } rows[] = { { SVR_JUST_WORKS, SVR_RANDOM_PIN, ANON },
                     { SVR_JUST_WORKS, SVR_NO_TRANSFER, ANON },
                     { SVR_JUST_WORKS, SVR_MANUFACTURER, ANON },
                     { SVR_RANDOM_PIN, SVR_JUST_WORKS, PSK },
                     { SVR_RANDOM_PIN, SVR_MANUFACTURER, PSK } };
        struct world *w = *state;

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct client c = client_of(w, (uint16_t)(4000 + i), rows[i].suite == ANON ? psk : pin_key);

                w->has_pin = true;
                w->svr.doxm.oxmsel = rows[i].first;
                begin(&c, rows[i].suite,
                      rows[i].suite == ANON ? SPAN_NULL : span_of_string(KEY_PIN_IDENTITY));
                step(&c);
                step(&c);
                assert_int_equal(c.tls->state, TLS_HANDSHAKE);
                w->svr.doxm.oxmsel = rows[i].then;
                step(&c);
                run(&c);
                assert_int_equal(w->n_opened, 0);
                assert_int_equal(w->n_failed, i + 1);
                tls_free(c.tls);
        }
}

/* The last flight of a client in two: the key is named, and the rest, which shows that it is right, comes
 * later. */
struct held {
        uint8_t bytes[TLS_RECORD_MAX];
        size_t n;
};

static void name_the_key(struct client *c, struct held *ret) {
        struct world *w = c->world;
        size_t n, n_first;

        step(c);
        step(c);
        n = tls_transmit(c->tls, w->now_ms, ret->bytes, sizeof(ret->bytes));
        n_first = 13u + (size_t)(ret->bytes[11] << 8 | ret->bytes[12]);
        assert_true(n > n_first);
        sessions_receive(w->sessions, w->now_ms, &c->peer, ret->bytes, n_first);
        pop(w);
        ret->n = n - n_first;
        memmove(ret->bytes, ret->bytes + n_first, ret->n);
}

/* A crowd that has the key of one PIN, and guesses all at once: three guesses, and then not even the right
 * one opens. Whoever had the key of the one before is no guess at the next. */
static void a_crowd_has_three_guesses_at_a_pin(void **state) {
        enum { N = 40 };
        static const uint8_t wrong[16] = { 7 };
        static struct held held[N];
        struct world *w = *state;
        struct client crowd[N], other = client_of(w, 9000, pin_key), tool = client_of(w, 9001, pin_key);
        uint8_t pin[16];

        w->svr.doxm.oxmsel = SVR_RANDOM_PIN;
        w->has_pin = true;
        for (unsigned i = 0; i < N; i++) {
                crowd[i] = client_of(w, (uint16_t)(4000 + i), i == N - 1 ? pin_key : wrong);
                crowd[i].peer.remote_ip[15] = (uint8_t)i;
                begin(&crowd[i], PSK, span_of_string(KEY_PIN_IDENTITY));
                name_the_key(&crowd[i], &held[i]);
        }
        begin(&other, PSK, SPAN_LITERAL("somebody")); /* a random key: no guess */
        run(&other);
        assert_int_equal(w->n_failed, 1);
        assert_int_equal(w->n_guesses, 0);
        for (unsigned i = 0; i < N; i++) {
                assert_int_equal(w->n_guesses, ocf_min_u64(i, 3)); /* each at once: it has one try */
                sessions_receive(w->sessions, w->now_ms, &crowd[i].peer, held[i].bytes, held[i].n);
                pop(w);
                tls_free(crowd[i].tls);
        }
        assert_int_equal(w->n_opened, 0);
        assert_int_equal(w->n_failed, N + 1);
        assert_int_equal(w->n_guesses, 3);
        memcpy(pin, w->pin, sizeof(pin));
        tool.key = pin;
        begin(&tool, PSK, span_of_string(KEY_PIN_IDENTITY));
        run(&tool);
        assert_int_equal(w->n_opened, 1);
        tls_free(other.tls);
        tls_free(tool.tls);
}

/* A handshake with the key of a life before a reset does not become a transfer. */
static void an_owner_of_before_the_reset_takes_nothing(void **state) {
        struct world *w = *state;
        struct client c = client_of(w, 4000, psk);

        own(w);
        begin(&c, PSK, OWNER);
        step(&c);
        step(&c);
        svr_reset(&w->svr, &device_id);
        w->svr.doxm.oxmsel = SVR_JUST_WORKS;
        run(&c);
        assert_int_equal(w->n_opened, 0);
        tls_free(c.tls);
}

/* The key was there when it was named, and is gone when the handshake ends. */
static void a_key_that_goes_during_the_handshake(void **state) {
        struct world *w = *state;
        struct client c = client_of(w, 4000, psk);
        uint8_t bytes[TLS_RECORD_MAX];
        size_t n, n_first;

        own(w);
        begin(&c, PSK, OWNER);
        step(&c);
        step(&c);
        n = tls_transmit(c.tls, w->now_ms, bytes,
                         sizeof(bytes)); /* ClientKeyExchange, ChangeCipherSpec, Finished */
        n_first = 13u + ((size_t)bytes[11] << 8 | bytes[12]);
        assert_true(n > n_first);
        sessions_receive(w->sessions, w->now_ms, &c.peer, bytes, n_first);
        pop(w);
        cred_free(w->svr.creds[--w->svr.n_creds]);
        sessions_check(w->sessions, 0);
        sessions_receive(w->sessions, w->now_ms, &c.peer, bytes + n_first, n - n_first);
        pop(w);
        assert_int_equal(w->n_opened, 0);
        assert_int_equal(w->n_failed, 1);
        tls_free(c.tls);
}

/* Another key under the same id: whoever has the old one is out. */
static void a_key_that_is_replaced_under_its_id(void **state) {
        static const uint8_t another[16] = { 5, 5 };
        struct world *w = *state;
        struct client c = client_of(w, 4000, psk);
        struct cred view;

        own(w);
        begin(&c, PSK, OWNER);
        run(&c);
        assert_int_equal(w->n_opened, 1);
        view = *w->svr.creds[0];
        view.secret = span_of(another, sizeof(another));
        cred_free(w->svr.creds[--w->svr.n_creds]);
        assert_int_equal(svr_add_cred(&w->svr, &view, 7), 0);
        sessions_check(w->sessions, 0);
        run(&c);
        assert_int_equal(w->n_closed, 1);
        tls_free(c.tls);
}

/* It must end, and until then nobody may be told to come back at once, over and over. */
static void a_connection_that_says_nothing_ends(void **state) {
        struct world *w = *state;
        struct client c = client_of(w, 4000, psk);
        uint8_t bytes[TLS_RECORD_MAX];
        struct coap_peer to;

        own(w);
        c.peer.stream = true;
        c.peer.channel = 5;
        assert_true(sessions_stream_open(w->sessions, w->now_ms, &c.peer));
        assert_true(sessions_deadline(w->sessions) == w->now_ms + TLS_HANDSHAKE_MAX_MS);
        w->now_ms = sessions_deadline(w->sessions);
        while (sessions_transmit(w->sessions, w->now_ms, &to, bytes, sizeof(bytes)) > 0)
                ;
        pop(w);
        assert_int_equal(w->n_failed, 1);
        assert_true(sessions_deadline(w->sessions) == OCF_NEVER);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
        const struct CMUnitTest tests[] = {
                TEST(the_state_of_the_device_chooses_the_suite),
                TEST(an_owner_comes_in_with_its_key),
                TEST(nobody_else_comes_in),
                TEST(just_works_only_while_it_is_chosen),
                TEST(the_first_to_finish_takes_the_transfer),
                TEST(a_pin_is_the_key_of_its_transfer),
                TEST(nothing_is_kept_before_the_cookie),
                TEST(a_cookie_of_somebody_else_is_none),
                TEST(a_client_that_comes_back_takes_its_old_place),
                TEST(full_is_who_was_silent_longest),
                TEST(handshakes_of_one_address_are_few),
                TEST(a_crowd_leaves_room),
                TEST(a_crowd_does_not_push_out_who_is_known),
                TEST(silence_ends_a_session),
                TEST(a_session_goes_with_its_credential),
                TEST(a_method_that_was_chosen_since_shuts_out_who_began_before),
                TEST(a_crowd_has_three_guesses_at_a_pin),
                TEST(an_owner_of_before_the_reset_takes_nothing),
                TEST(a_key_that_goes_during_the_handshake),
                TEST(a_key_that_is_replaced_under_its_id),
                TEST(a_connection_that_says_nothing_ends),
                TEST(connections_come_in_too),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
