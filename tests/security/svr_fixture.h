/*
 * A device with its secure resources, and the few who ask it: payloads are
 * written as JSON, answers to needs are laid ready before.
 */
#ifndef OCF_TESTS_SVR_FIXTURE_H
#define OCF_TESTS_SVR_FIXTURE_H

#include "../unit.h"
#include "json/rep_json.h"
#include "model/call.h"
#include "security/svr_request.h"

#define OWNER  "e29d6c5d-4736-4a8e-6b78-0ac23b2d6bde" /* wire-traces.md 2 */
#define DEVICE "4ab0410e-5ff0-4373-5033-80a000140a80"
#define OTHER  "11111111-2222-4333-8444-555555555555"
#define NIL    "00000000-0000-0000-0000-000000000000"
#define KEY    "0123456789abcdef"

enum who { PLAIN, ONBOARDING, PEER };

static struct svr svr;
static struct svr_session onboarding, peer;
static struct svr_result result;
static uint8_t out[SVR_REP_MAX];
static struct svr_reply replies[SVR_REPLIES_MAX];
static size_t n_replies;
static uint64_t now_ms = 1000;
static bool multicast;
static enum interface interface = INTERFACE_RW;

static OCF_UNUSED struct uuid uuid(const char *text) {
        struct uuid u;

        assert_true(uuid_parse(&u, span_of_string(text)));
        return u;
}

/* Good until the next one. */
static OCF_UNUSED const struct uuid *uuid_at(const char *text) {
        static struct uuid u;

        u = uuid(text);
        return &u;
}

static OCF_UNUSED struct span json(const char *text, uint8_t *buf, size_t n) {
        struct writer w = writer_on(buf, n);

        if (rep_from_json_text(span_of_string(text), &w))
                fail_msg("this is no JSON: %s", text);
        return writer_span(&w);
}

static int ask_rep(enum who who, uint8_t method, enum svr_id id, const char *query, struct span rep) {
        struct ocf_request request = {
                .method = method, .multicast = multicast, .query = span_of_string(query), .payload = rep
        };
        struct svr_call call = {
                .id = id,
                .request = &request,
                .interface = interface,
                .session = who == PLAIN        ? NULL
                           : who == ONBOARDING ? &onboarding
                                               : &peer,
                .now_ms = now_ms,
                .random = 42,
                .n_replies = n_replies,
                .replies = replies,
        };
        struct writer w = writer_on(out, sizeof(out));

        return svr_request(&svr, &call, &w, &result);
}

static OCF_UNUSED enum fault post(enum who who, enum svr_id id, const char *text) {
        static uint8_t buf[65536];

        assert_int_equal(ask_rep(who, COAP_POST, id, "", json(text, buf, sizeof(buf))), 0);
        if (!result.response.fault)
                assert_int_equal(result.response.code, COAP_CHANGED);
        return result.response.fault;
}

static OCF_UNUSED enum fault delete_by(enum who who, enum svr_id id, const char *query) {
        assert_int_equal(ask_rep(who, COAP_DELETE, id, query, SPAN_NULL), 0);
        if (!result.response.fault)
                assert_int_equal(result.response.code, COAP_DELETED);
        return result.response.fault;
}

/* What GET says, as JSON. */
static OCF_UNUSED const char *get(enum svr_id id, const char *query) {
        static char text[2 * SVR_REP_MAX];
        struct writer w = writer_on(text, sizeof(text) - 1);

        assert_int_equal(ask_rep(PEER, COAP_GET, id, query, SPAN_NULL), 0);
        assert_int_equal(result.response.fault, FAULT_NONE);
        assert_int_equal(rep_to_json_text(result.response.rep, &w), 0);
        text[w.n] = 0;
        return text;
}

static OCF_UNUSED void assert_says(enum svr_id id, const char *part) {
        const char *text = get(id, "");

        if (!strstr(text, part))
                fail_msg("%s does not say %s", text, part);
}

static OCF_UNUSED void assert_says_not(enum svr_id id, const char *part) {
        const char *text = get(id, "");

        if (strstr(text, part))
                fail_msg("%s says %s", text, part);
}

/* A device as it comes from the shop, in RFOTM. */
static OCF_UNUSED void unowned(void) {
        const struct svr_device device = { .oxms = 7, .sct = 329 };
        struct uuid first = uuid("cebfb2e9-f50d-4256-5947-cf6a4e1c9950");

        svr_deinit(&svr);
        svr_session_deinit(&onboarding);
        svr_session_deinit(&peer);
        svr_init(&svr, &device);
        svr_reset(&svr, &first);
        onboarding = (struct svr_session){ .onboarding = true };
        peer = (struct svr_session){ .id = uuid(OWNER) };
        n_replies = 0;
        multicast = false;
        interface = INTERFACE_RW;
        replies[0] = (struct svr_reply){ .kind = SVR_NEED_OWNER_PSK,
                                         .ok = true,
                                         .bytes = SPAN_LITERAL("the owner's key!") };
}

/* Just Works as the reference's onboarding tool does it, wire-traces.md 4.1, up to and without RFPRO. */
static OCF_UNUSED void transfer(void) {
        assert_int_equal(post(PLAIN, SVR_DOXM, "{\"oxmsel\":0}"), 0);
        svr_machine_transfer_began(&svr.machine, now_ms);
        assert_int_equal(post(ONBOARDING, SVR_PSTAT, "{\"om\":4}"), 0);
        assert_int_equal(post(ONBOARDING, SVR_DOXM, "{\"devowneruuid\":\"" OWNER "\"}"), 0);
        assert_int_equal(post(ONBOARDING, SVR_DOXM, "{\"deviceuuid\":\"" DEVICE "\"}"), 0);
        assert_int_equal(post(ONBOARDING, SVR_DOXM, "{\"rowneruuid\":\"" OWNER "\"}"), 0);
        assert_int_equal(post(ONBOARDING, SVR_ACL2, "{\"rowneruuid\":\"" OWNER "\"}"), 0);
        assert_int_equal(post(ONBOARDING, SVR_PSTAT, "{\"rowneruuid\":\"" OWNER "\"}"), 0);
        n_replies = 1;
        assert_int_equal(post(ONBOARDING, SVR_CRED,
                              "{\"creds\":[{\"credtype\":1,\"subjectuuid\":\"" OWNER
                              "\",\"privatedata\":{\"encoding\":\"oic.sec.encoding.raw\",\"data\":\"\"}}],"
                              "\"rowneruuid\":\"" OWNER "\"}"),
                         0);
        n_replies = 0;
        assert_int_equal(
                post(ONBOARDING, SVR_SDI, "{\"uuid\":\"" OTHER "\",\"name\":\"OBT\",\"priv\":false}"), 0);
        assert_int_equal(post(ONBOARDING, SVR_DOXM, "{\"owned\":true}"), 0);
}

static OCF_UNUSED void owned_in(enum svr_state state) {
        unowned();
        if (state == SVR_RFOTM)
                return;
        transfer();
        assert_int_equal(post(ONBOARDING, SVR_PSTAT, "{\"dos\":{\"s\":2}}"), 0);
        if (state == SVR_RFNOP)
                assert_int_equal(post(ONBOARDING, SVR_PSTAT, "{\"dos\":{\"s\":3}}"), 0);
        if (state == SVR_SRESET)
                assert_int_equal(post(PEER, SVR_PSTAT, "{\"dos\":{\"s\":4}}"), 0);
        assert_int_equal(svr.machine.state, state);
}

/* All that the store would have, now and then. */
static uint8_t remembered[2][_SVR_STORED_N][32768];
static size_t n_remembered[2][_SVR_STORED_N];

static OCF_UNUSED void remember_as(unsigned which) {
        for (enum svr_id id = 0; id < _SVR_STORED_N; id++) {
                struct writer w = writer_on(remembered[which][id], sizeof(remembered[which][id]));

                svr_save(&svr, id, &w);
                assert_false(w.overflow);
                n_remembered[which][id] = w.n;
        }
}

static OCF_UNUSED void remember(void) {
        remember_as(0);
}

static OCF_UNUSED void assert_as_remembered(void) {
        remember_as(1);
        for (enum svr_id id = 0; id < _SVR_STORED_N; id++) {
                assert_int_equal(n_remembered[0][id], n_remembered[1][id]);
                assert_memory_equal(remembered[0][id], remembered[1][id], n_remembered[0][id]);
        }
}

static OCF_UNUSED int leave(void **state) {
        svr_deinit(&svr);
        svr_session_deinit(&onboarding);
        svr_session_deinit(&peer);
        svr = (struct svr){ 0 };
        return 0;
}

#endif
