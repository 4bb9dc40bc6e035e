/*
 * The secure resources alive: a real store under them, real devices above, and
 * in the place of sessions and people what the test says. Commits are done at
 * once, refused, or held until the test lets them through.
 */
#include "../unit.h"

#include "base/memory.h"
#include "daemon/secure.h"
#include "json/rep_json.h"
#include "protocol/coap_code.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define OWNER "e29d6c5d-4736-4a8e-6b78-0ac23b2d6bde"
#define NAME  "4ab0410e-5ff0-4373-5033-80a000140a80" /* that the tool gives the device */

static const uint64_t limits[_MODEL_QUOTA_N] = { 10, 100, 1 << 20 };

/* ---- the disk, as the test wants it ---- */

static enum { COMMIT_DO, COMMIT_FAIL, COMMIT_HOLD } commits;
static struct {
        store_done *done;
        void *context;
} held;
static unsigned n_commits, n_rows;

int __real_store_commit(struct store *s, const struct store_change *changes, size_t n, bool owned,
                        store_done *done, void *context);
int __wrap_store_commit(struct store *s, const struct store_change *changes, size_t n, bool owned,
                        store_done *done, void *context);

int __wrap_store_commit(struct store *s, const struct store_change *changes, size_t n, bool owned,
                        store_done *done, void *context) {
        n_commits++;
        n_rows = (unsigned)n;
        if (commits == COMMIT_FAIL)
                return -ENOSPC;
        if (commits == COMMIT_DO)
                return __real_store_commit(s, changes, n, owned, done, context);
        assert_null(held.done);
        held.done = done;
        held.context = context;
        return 0;
}

static void release(int outcome) {
        store_done *done = held.done;

        assert_non_null(done);
        held.done = NULL;
        done(held.context, outcome);
}

/* ---- the rest of the daemon ---- */

struct world {
        char directory[64];
        struct store *store;
        struct model *model;
        struct secure *secure;
        struct svr_session session;
        bool has_session, can_show, is_denied;
        uint64_t now_ms;
        unsigned n_resets, n_transfers_done, n_creds_changed, n_restarts;
        char pin[PIN_DIGITS + 1], notice[2048];
        struct config config;
};

static struct world w;

static uint64_t on_now(void *context) {
        return w.now_ms;
}

static struct svr_session *on_session(void *context, const struct coap_peer *peer) {
        return w.has_session ? &w.session : NULL;
}

/* wire-traces.md 2, so that the owner's key is the one of a real onboarding. */
static bool on_secrets(void *context, const struct coap_peer *peer, struct tls_secrets *ret) {
        *ret = (struct tls_secrets){ .suite = TLS_ECDH_ANON_AES_128_CBC_SHA256 };
        memset(ret->master, 7, sizeof(ret->master));
        return w.session.onboarding;
}

static const struct tls *on_tls(void *context, const struct coap_peer *peer) {
        return NULL;
}

static int64_t on_wall(void *context) {
        return 1800000000;
}

static bool on_handshaking(void *context, uint16_t device) {
        return false;
}

static bool on_grants(void *context, const struct call *call, const struct resource *r) {
        return !w.is_denied;
}

static bool on_can_show_pin(void *context) {
        return w.can_show;
}

static void on_show_pin(void *context, uint16_t device, const char *digits) {
        snprintf(w.pin, sizeof(w.pin), "%s", digits ? digits : "");
}

static void on_creds_changed(void *context, uint16_t device) {
        w.n_creds_changed++;
}

static void on_transfer_done(void *context, uint16_t device) {
        w.n_transfers_done++;
        w.session.onboarding = false;
}

static void on_reset_done(void *context, uint16_t device) {
        w.n_resets++;
}

static void ignore_device(void *context, uint16_t device) {
}

static void on_notice(void *context, const char *id, const char *text) {
        snprintf(w.notice, sizeof(w.notice), "%s", text ? text : "");
}

static void on_failed(void *context, int error) {
        fail_msg("failed: %d", error);
}

static void on_restart(void *context) {
        w.n_restarts++;
}

static void open_world(void) {
        static const struct platform_identity platform = { .manufacturer = "m" };
        struct secure_config config = {
                .config = &w.config,
                .now = on_now,
                .session = on_session,
                .secrets = on_secrets,
                .tls = on_tls,
                .wall = on_wall,
                .handshaking = on_handshaking,
                .grants = on_grants,
                .can_show_pin = on_can_show_pin,
                .show_pin = on_show_pin,
                .creds_changed = on_creds_changed,
                .transfer_done = on_transfer_done,
                .reset_done = on_reset_done,
                .recheck = ignore_device,
                .end_observers = ignore_device,
                .changed = ignore_device,
                .notice = on_notice,
                .failed = on_failed,
                .restart = on_restart,
        };
        struct device_identity identity = { .name = "n", .spec_version = "s", .data_model_version = "d" };
        struct store_device stored;
        struct device *device;
        char *why = NULL;

        assert_int_equal(store_open(&w.store, w.directory, &why), 0);
        free(why);
        assert_int_equal(model_new(&w.model, &platform, limits), 0);
        if (store_get_device(w.store, 0, &stored) == STORE_E_NONE) {
                stored = (struct store_device){ .di = { { 1 } }, .piid = { { 2 } }, .port_coap = 5683 };
                assert_int_equal(store_put_device(w.store, 0, &stored), 0);
        }
        identity.di = stored.di;
        assert_int_equal(model_add_device(w.model, &identity, &device), 0);
        config.store = w.store;
        config.model = w.model;
        assert_int_equal(secure_new(&w.secure, &config), 0);
}

static void close_world(void) {
        w.store = store_close(w.store);
        w.model = model_free(w.model);
        w.secure = secure_free(w.secure);
}

static int setup(void **state) {
        w = (struct world){ .directory = "/tmp/ocfd-secure-XXXXXX",
                            .now_ms = 1000,
                            .config = { .just_works = true } };
        commits = COMMIT_DO;
        held.done = NULL;
        assert_non_null(mkdtemp(w.directory));
        open_world();
        return 0;
}

static int teardown(void **state) {
        char command[128];

        close_world();
        snprintf(command, sizeof(command), "rm -r %s", w.directory);
        return system(command) ? -1 : 0;
}

/* ---- asking ---- */

struct asked {
        struct call call;
        unsigned n_done;
        struct ocf_response response;
        uint8_t rep[8192], payload[2048];
};

static void on_done(struct call *call, const struct ocf_response *response) {
        struct asked *a = OCF_CONTAINER_OF(call, struct asked, call);

        a->n_done++;
        a->response = *response;
        assert_true(response->rep.n <= sizeof(a->rep));
        if (response->rep.n)
                memcpy(a->rep, response->rep.data, response->rep.n);
        a->response.rep = span_of(a->rep, response->rep.n);
}

static void ask(struct asked *a, uint8_t method, const char *href, const char *json) {
        struct resource *r = model_resource_find(w.model, 0, span_of_string(href));
        struct writer out = writer_on(a->payload, sizeof(a->payload));

        assert_non_null(r);
        *a = (struct asked){ .call = { .interface = INTERFACE_RW, .resource = r->number, .done = on_done } };
        a->call.request = (struct ocf_request){ .method = method, .path = span_of_string(href) };
        a->call.request.subject.kind = w.has_session ? SUBJECT_AUTH_CRYPT : SUBJECT_ANON_CLEAR;
        if (json) {
                assert_int_equal(rep_from_json_text(span_of_string(json), &out), 0);
                a->call.request.payload = writer_span(&out);
        }
        secure_request(w.secure, r, &a->call);
}

static enum fault post(const char *href, const char *json) {
        static struct asked a;

        ask(&a, COAP_POST, href, json);
        assert_int_equal(a.n_done, 1);
        return a.response.fault;
}

static bool has(const char *href, const char *text) {
        static struct asked a;

        ask(&a, COAP_GET, href, NULL);
        assert_int_equal(a.n_done, 1);
        assert_int_equal(a.response.fault, FAULT_NONE);
        return memmem(a.rep, a.response.rep.n, text, strlen(text)) != NULL;
}

static const struct svr *svr(void) {
        return secure_svr(w.secure, 0);
}

static enum svr_state state_now(void) {
        return svr()->machine.state;
}

static void begin_transfer(void) {
        struct session session = { .svr = { .onboarding = true } };

        assert_int_equal(post("/oic/sec/doxm", "{\"oxmsel\":0}"), FAULT_NONE);
        w.session = (struct svr_session){ .onboarding = true };
        w.has_session = true;
        secure_session_opened(w.secure, &session);
}

/* wire-traces.md 4.1, steps 3 to 15. */
static const struct {
        const char *href, *json;
} steps[] = {
        { "/oic/sec/pstat", "{\"om\":4}" },
        { "/oic/sec/doxm", "{\"devowneruuid\":\"" OWNER "\"}" },
        { "/oic/sec/doxm", "{\"deviceuuid\":\"" NAME "\"}" },
        { "/oic/sec/doxm", "{\"rowneruuid\":\"" OWNER "\"}" },
        { "/oic/sec/acl2", "{\"rowneruuid\":\"" OWNER "\"}" },
        { "/oic/sec/pstat", "{\"rowneruuid\":\"" OWNER "\"}" },
        { "/oic/sec/cred", "{\"creds\":[{\"credtype\":1,\"subjectuuid\":\"" OWNER
                           "\",\"privatedata\":{\"encoding\":\"oic.sec.encoding.raw\",\"data\":\"\"}}],"
                           "\"rowneruuid\":\"" OWNER "\"}" },
        { "/oic/sec/sdi",
          "{\"uuid\":\"11111111-2222-4333-8444-555555555555\",\"name\":\"OBT\",\"priv\":false}" },
        { "/oic/sec/doxm", "{\"owned\":true}" },
        { "/oic/sec/pstat", "{\"dos\":{\"s\":2}}" },
        { "/oic/sec/acl2",
          "{\"aclist2\":[{\"subject\":{\"conntype\":\"anon-clear\"},\"resources\":[{\"href\":"
          "\"/oic/d\"}],\"permission\":2}]}" },
        { "/oic/sec/pstat", "{\"dos\":{\"s\":3}}" },
};

static void own(void) {
        begin_transfer();
        for (size_t i = 0; i < ARRAY_SIZE(steps); i++)
                if (post(steps[i].href, steps[i].json) != FAULT_NONE)
                        fail_msg("step %zu", i);
        assert_int_equal(state_now(), SVR_RFNOP);
}

static void pass(uint64_t ms) {
        w.now_ms += ms;
        secure_wake(w.secure);
}

/* ---- tests ---- */

static void an_owner_stays_over_a_restart(void **state) {
        struct uuid name, owner;

        own();
        assert_int_equal(w.n_transfers_done, 1);
        assert_true(uuid_parse(&name, SPAN_LITERAL(NAME)) && uuid_parse(&owner, SPAN_LITERAL(OWNER)));
        assert_true(uuid_equal(&w.model->devices[0]->di, &name));
        close_world();
        w.has_session = false;
        open_world();
        assert_int_equal(state_now(), SVR_RFNOP);
        assert_true(svr()->doxm.owned);
        assert_true(uuid_equal(&svr()->doxm.devowneruuid, &owner));
        assert_true(uuid_equal(&w.model->devices[0]->di, &name));
        assert_non_null(svr_find_psk(svr(), &owner));
        assert_int_equal(svr_find_psk(svr(), &owner)->secret.n, 16);
        assert_int_equal(svr()->n_aces, 1);
        assert_true(w.model->devices[0]->security.owned);
}

static void a_change_that_cannot_be_stored_has_not_happened(void **state) {
        struct uuid before;

        begin_transfer();
        before = svr()->doxm.deviceuuid;
        for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
                struct svr_facts facts = svr_facts(svr());
                enum svr_state then = state_now();
                size_t n_creds = svr()->n_creds, n_aces = svr()->n_aces;

                commits = COMMIT_FAIL;
                assert_int_equal(post(steps[i].href, steps[i].json), FAULT_FAILED);
                assert_int_equal(state_now(), then);
                assert_int_equal(svr()->n_creds, n_creds);
                assert_int_equal(svr()->n_aces, n_aces);
                assert_int_equal(svr_facts(svr()).owned, facts.owned);
                if (i < 3)
                        assert_true(uuid_equal(&w.model->devices[0]->di, &before));
                assert_true(svr()->machine.transfer == (then == SVR_RFOTM));
                commits = COMMIT_DO;
                assert_int_equal(post(steps[i].href, steps[i].json), FAULT_NONE);
        }
        assert_int_equal(state_now(), SVR_RFNOP);
}

/* Answers come when it is durable, in the order of the questions; reading goes on meanwhile. */
static void the_answer_waits_for_the_disk(void **state) {
        static struct asked a, b, c;

        begin_transfer();
        commits = COMMIT_HOLD;
        ask(&a, COAP_POST, steps[1].href, steps[1].json);
        ask(&b, COAP_POST, "/oic/sec/sdi", steps[7].json);
        ask(&c, COAP_POST, "/oic/sec/doxm", "{\"rowneruuid\":\"" OWNER "\"}");
        assert_int_equal(a.n_done + b.n_done + c.n_done, 0);
        assert_true(has("/oic/sec/pstat", "dos"));
        release(0);
        assert_int_equal(a.n_done, 1);
        assert_int_equal(b.n_done, 0);
        release(-EIO);
        assert_int_equal(b.n_done, 1);
        assert_int_equal(b.response.fault, FAULT_FAILED);
        assert_int_equal(svr()->sdi.n_name, 0);
        release(0);
        assert_int_equal(c.n_done, 1);
        assert_int_equal(c.response.fault, FAULT_NONE);
}

/* The one before took the right away. */
static void who_waits_is_asked_again(void **state) {
        static struct asked a, b;

        begin_transfer();
        commits = COMMIT_HOLD;
        ask(&a, COAP_POST, steps[1].href, steps[1].json);
        ask(&b, COAP_POST, "/oic/sec/sdi", steps[7].json);
        w.is_denied = true;
        release(0);
        assert_int_equal(a.response.fault, FAULT_NONE);
        assert_int_equal(b.n_done, 1);
        assert_int_equal(b.response.fault, FAULT_NOT_AUTHORIZED);
        assert_int_equal(svr()->sdi.n_name, 0);
}

static void few_may_wait(void **state) {
        static struct asked a[SECURE_WAITING_MAX + 2];
        unsigned n_busy = 0;

        begin_transfer();
        commits = COMMIT_HOLD;
        for (size_t i = 0; i < ARRAY_SIZE(a); i++) {
                ask(&a[i], COAP_POST, "/oic/sec/pstat", "{\"om\":4}");
                n_busy += a[i].n_done && a[i].response.fault == FAULT_BUSY;
        }
        assert_int_equal(n_busy, 1);
        while (held.done)
                release(0);
        for (size_t i = 0; i < ARRAY_SIZE(a); i++)
                assert_int_equal(a[i].n_done, 1);
}

static void a_reset_comes_after_its_answer(void **state) {
        struct uuid name;

        own();
        name = svr()->doxm.deviceuuid;
        w.session.id = svr()->doxm.devowneruuid;
        assert_int_equal(post("/oic/sec/pstat", "{\"dos\":{\"s\":0}}"), FAULT_NONE);
        assert_true(svr()->machine.pending);
        assert_int_equal(secure_deadline(w.secure), w.now_ms + SVR_RESET_DELAY_MS);
        pass(SVR_RESET_DELAY_MS - 1);
        assert_int_equal(w.n_resets, 0);
        pass(1);
        assert_int_equal(w.n_resets, 1);
        assert_int_equal(state_now(), SVR_RFOTM);
        assert_false(svr()->doxm.owned);
        assert_int_equal(svr()->n_creds + svr()->n_aces, 0);
        assert_false(uuid_equal(&svr()->doxm.deviceuuid, &name));
        assert_true(uuid_equal(&svr()->doxm.deviceuuid, &w.model->devices[0]->di));
        close_world();
        open_world();
        assert_int_equal(state_now(), SVR_RFOTM);
        assert_false(svr()->doxm.owned);
}

/* The disk is full in the moment of a reset: it stays due, through a restart as well. */
static void a_reset_is_tried_again(void **state) {
        own();
        assert_int_equal(secure_reset(w.secure, 0), 0);
        assert_int_equal(secure_reset(w.secure, 0), -EBUSY);
        commits = COMMIT_FAIL;
        pass(1);
        assert_true(svr()->machine.pending);
        assert_true(svr()->n_creds > 0); /* what is on the disk is what is */
        assert_true(secure_deadline(w.secure) > w.now_ms);
        commits = COMMIT_DO;
        pass(10000);
        assert_int_equal(state_now(), SVR_RFOTM);
        assert_int_equal(svr()->n_creds, 0);
}

static void a_transfer_that_ends_early_is_undone(void **state) {
        const struct session session = { .svr = { .onboarding = true } };
        struct uuid before;

        for (unsigned i = 0; i < 2; i++) {
                begin_transfer();
                before = svr()->doxm.deviceuuid;
                for (size_t j = 0; j < 8; j++)
                        assert_int_equal(post(steps[j].href, steps[j].json), FAULT_NONE);
                if (i)
                        secure_session_closed(w.secure, &session); /* lost */
                pass(i ? 1 : SVR_TRANSFER_MAX_MS);
                assert_int_equal(state_now(), SVR_RFOTM);
                assert_false(svr()->machine.transfer);
                assert_int_equal(svr()->n_creds, 0);
                assert_true(uuid_is_nil(&svr()->doxm.devowneruuid));
                assert_false(uuid_equal(&svr()->doxm.deviceuuid, &before));
                w.has_session = false;
        }
}

/* security.md 10.1, "shutdown": a device that nobody had begun to own keeps its UUID. */
static void a_clean_stop_undoes_only_what_had_begun(void **state) {
        struct uuid before = svr()->doxm.deviceuuid;

        secure_stop(w.secure);
        assert_true(uuid_equal(&svr()->doxm.deviceuuid, &before));
        begin_transfer();
        assert_int_equal(post(steps[1].href, steps[1].json), FAULT_NONE);
        secure_stop(w.secure);
        assert_false(uuid_equal(&svr()->doxm.deviceuuid, &before));
        assert_true(uuid_is_nil(&svr()->doxm.devowneruuid));
}

/* Also one of which a step is on its way to the disk in that moment. */
static void a_stop_within_a_step_undoes_it(void **state) {
        struct uuid before = svr()->doxm.deviceuuid;
        static struct asked a;

        begin_transfer();
        commits = COMMIT_HOLD;
        ask(&a, COAP_POST, steps[1].href, steps[1].json);
        secure_stop(w.secure);
        assert_true(secure_is_busy(w.secure));
        release(0);
        assert_true(secure_is_busy(w.secure));
        secure_wake(w.secure); /* the loop turns */
        release(0);
        assert_false(secure_is_busy(w.secure));
        assert_false(uuid_equal(&svr()->doxm.deviceuuid, &before));
        assert_true(uuid_is_nil(&svr()->doxm.devowneruuid));
        assert_false(svr()->machine.pending);
}

/* Killed after the first steps: what a stranger left does not wait for the next owner. */
static void a_transfer_that_was_cut_off_leaves_nothing(void **state) {
        static const struct {
                const char *href, *json;
        } left[] = {
                { "/oic/sec/pstat", "{\"om\":4}" },
                { "/oic/sec/cred", "{\"creds\":[{\"credtype\":1,\"subjectuuid\":\"" OWNER
                                   "\",\"privatedata\":{\"encoding\":\"oic.sec.encoding.base64\",\"data\":"
                                   "\"AAECAwQFBgcICQoLDA0ODw==\"}}]}" },
                { "/oic/sec/acl2", "{\"aclist2\":[{\"subject\":{\"conntype\":\"anon-clear\"},\"resources\":[{"
                                   "\"wc\":\"*\"}],\"permission\":31}]}" },
                { "/oic/sec/sdi", "{\"name\":\"mine\"}" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(left); i++) {
                struct uuid before = svr()->doxm.deviceuuid;

                begin_transfer();
                assert_int_equal(post(left[i].href, left[i].json), FAULT_NONE);
                close_world(); /* as a power cut does: nothing was undone */
                w.has_session = false;
                open_world();
                secure_wake(w.secure);
                assert_int_equal(state_now(), SVR_RFOTM);
                assert_int_equal(svr()->n_creds + svr()->n_aces + svr()->sdi.n_name, 0);
                assert_false(uuid_equal(&svr()->doxm.deviceuuid, &before));
        }
}

static void a_pin_is_shown_guessed_and_gone(void **state) {
        struct tls tls = { .failure = TLS_FAILURE_KEY };
        const struct session wrong = { .tls = &tls }, right = { .svr = { .onboarding = true } };
        uint8_t key[TLS_PSK_MAX];
        char first[PIN_DIGITS + 1];

        assert_int_equal(post("/oic/sec/doxm", "{\"oxmsel\":1}"),
                         FAULT_BAD_REPRESENTATION); /* nobody shows it */
        w.can_show = true;
        assert_int_equal(post("/oic/sec/doxm", "{\"oxmsel\":1}"), FAULT_NONE);
        assert_int_equal(strlen(w.pin), PIN_DIGITS);
        assert_int_equal(secure_pin_key(w.secure, 0, key), KEY_PSK);
        strcpy(first, w.pin);
        for (unsigned i = 1; i < PIN_GUESSES_MAX; i++)
                secure_session_failed(w.secure, &wrong, true);
        for (unsigned i = 0; i < 10; i++)
                secure_session_failed(w.secure, &wrong, false);
        assert_string_equal(w.pin, first);
        secure_session_failed(w.secure, &wrong, true);
        assert_string_not_equal(w.pin, first); /* another one, which is shown */
        assert_int_equal(strlen(w.pin), PIN_DIGITS);
        secure_session_opened(w.secure, &right);
        assert_string_equal(w.pin, "");
        assert_int_equal(secure_pin_key(w.secure, 0, key), 0);
        secure_session_failed(w.secure, &wrong, true); /* at none */
        assert_string_equal(w.pin, "");
}

static void local_applications_have_other_ways(void **state) {
        struct resource *r = model_resource_find(w.model, 0, SPAN_LITERAL("/oic/sec/cred"));
        struct asked a = { .call = { .interface = INTERFACE_RW, .done = on_done } };

        a.call.resource = r->number;
        a.call.request = (struct ocf_request){ .method = COAP_GET, .subject.kind = SUBJECT_LOCAL };
        secure_request(w.secure, r, &a.call);
        assert_int_equal(a.response.fault, FAULT_NOT_AUTHORIZED);
}

static void maintenance_resets_and_restarts(void **state) {
        own();
        assert_int_equal(post("/oic/mnt", "{\"fr\":1}"), FAULT_BAD_REPRESENTATION);
        assert_int_equal(post("/oic/mnt", "{\"rb\":true}"), FAULT_NONE);
        assert_int_equal(w.n_restarts, 1);
        assert_int_equal(post("/oic/mnt", "{\"fr\":true}"), FAULT_NONE);
        pass(SVR_RESET_DELAY_MS);
        assert_int_equal(state_now(), SVR_RFOTM);
        assert_false(svr()->doxm.owned);
}

static void what_is_read_holds_no_secret(void **state) {
        static struct asked a;
        uint8_t secret[16];
        struct uuid owner;

        own();
        assert_true(uuid_parse(&owner, SPAN_LITERAL(OWNER)));
        memcpy(secret, svr_find_psk(svr(), &owner)->secret.data, sizeof(secret));
        ask(&a, COAP_GET, "/oic/sec/cred", NULL);
        assert_int_equal(a.response.fault, FAULT_NONE);
        assert_non_null(memmem(a.rep, a.response.rep.n, OWNER, 36));
        assert_null(memmem(a.rep, a.response.rep.n, secret, sizeof(secret)));
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
        const struct CMUnitTest tests[] = {
                TEST(an_owner_stays_over_a_restart),
                TEST(a_change_that_cannot_be_stored_has_not_happened),
                TEST(the_answer_waits_for_the_disk),
                TEST(who_waits_is_asked_again),
                TEST(few_may_wait),
                TEST(a_reset_comes_after_its_answer),
                TEST(a_reset_is_tried_again),
                TEST(a_transfer_that_ends_early_is_undone),
                TEST(a_clean_stop_undoes_only_what_had_begun),
                TEST(a_stop_within_a_step_undoes_it),
                TEST(a_transfer_that_was_cut_off_leaves_nothing),
                TEST(a_pin_is_shown_guessed_and_gone),
                TEST(local_applications_have_other_ways),
                TEST(maintenance_resets_and_restarts),
                TEST(what_is_read_holds_no_secret),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
