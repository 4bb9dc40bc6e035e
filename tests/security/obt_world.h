/*
 * A world for the onboarding tool's flows: devices with their real secure
 * resources and the real decision about access, a store, a person with a PIN,
 * and a network that does to one message what a test says.
 */
#ifndef OCF_TESTS_OBT_WORLD_H
#define OCF_TESTS_OBT_WORLD_H

#include "../unit.h"
#include "base/memory.h"
#include "json/rep_json.h"
#include "security/access.h"
#include "security/certificate.h"
#include "security/identity_key.h"
#include "security/obt.h"
#include "security/svr_request.h"

#include <errno.h>
#include <stdio.h>

#define WALL_S       INT64_C(1800000000)
#define TOOL         "e29d6c5d-4736-4a8e-6b78-0ac23b2d6bde"
#define DOMAIN       "11111111-2222-4333-8444-555555555555"
#define CLOUD_HREF   "/CoapCloudConfResURI"
#define CLOUD_ID     "aaaaaaaa-2222-4333-8444-555555555555"
#define PIN          "90943888"
#define N_DEVICES    2u
#define N_KEPT_MAX   8u
#define TURNS_MAX    300u /* more than any flow takes: it goes on for ever */
#define ANSWER_MS    5u
#define NO_ANSWER_MS 10000u
#define SETTLED_MS   (SVR_TRANSFER_MAX_MS + SVR_RESET_DELAY_MS + 1)

/* What happens to one want of a flow. To what is no message, all but the cancels mean: it fails. */
enum mishap {
        FINE,
        LOSE_REQUEST,
        LOSE_ANSWER,
        LOSE_SESSION, /* before the request: both sides know */
        REFUSE,       /* 4.03 */
        BREAK,        /* 5.00 */
        SAY_NOTHING,  /* to GET: 2.05 and no payload */
        CANCEL,
        CANCEL_DURING, /* it is done, but nobody waits for its answer any more */
        _MISHAP_N,
};

struct world_device {
        struct svr svr;
        struct uuid called; /* by the tool */
        EVP_PKEY *key;
        struct svr_session transfer, owner;
        bool transfer_stands;
        struct tls_secrets secrets;
        bool says_only_its_state; /* all else is not answered, once it is owned */
        bool is_silent;
        bool has_no_sdi;
        char cloud[64]; /* cis */
};

struct kept {
        struct uuid device;
        uint8_t key[KEY_PSK];
};

static struct world_device devices[N_DEVICES];
static struct kept kept[N_KEPT_MAX];
static size_t n_kept;
static uint64_t now_ms;
static uint64_t drawn; /* so far: each run draws the same */
static struct authority *authority;
static struct uuid tool;

static void (*on_request)(const struct obt_want *w);

static struct {
        enum mishap mishap;
        unsigned turn; /* from 1 */
} mishaps[2];
static unsigned turn;
static bool has_transfer; /* the tool has a session of OBT_WANT_CONNECT */
static bool succeeded;
static bool could_not_forget;
static char said[512];
static char trace[32768]; /* what was asked for, a line each */
static const char *pin_said;
static bool in_flow; /* which side allocates */

static OCF_UNUSED struct uuid uuid(const char *text) {
        struct uuid u;

        assert_true(uuid_parse(&u, span_of_string(text)));
        return u;
}

static void draw(void *context, uint8_t *ret, size_t n) {
        uint64_t x = ++drawn * UINT64_C(0x9e3779b97f4a7c15);

        for (size_t i = 0; i < n; i++) {
                x ^= x << 13;
                x ^= x >> 7;
                x ^= x << 17;
                ret[i] = (uint8_t)(x >> 24);
        }
}

/* ---- devices ---- */

static void draw_uuid(struct uuid *ret) {
        uint8_t bytes[16];

        draw(NULL, bytes, sizeof(bytes));
        uuid_from_random(ret, bytes);
}

static void reset_device(struct world_device *d) {
        struct uuid id;

        draw_uuid(&id);
        svr_reset(&d->svr, &id);
        d->transfer_stands = false;
        d->cloud[0] = 0;
}

/* Sessions that went, and what is due by now. */
static void pass_ms(uint64_t ms) {
        now_ms += ms;
        for (size_t i = 0; i < N_DEVICES; i++)
                if (svr_machine_due(&devices[i].svr.machine, now_ms) == SVR_DUE_RESET)
                        reset_device(&devices[i]);
}

static void lose_transfer(struct world_device *d) {
        if (d->transfer_stands)
                svr_machine_transfer_lost(&d->svr.machine, now_ms);
        d->transfer_stands = false;
        pass_ms(0);
}

static struct world_device *device_called(const struct uuid *id) {
        for (size_t i = 0; i < N_DEVICES; i++)
                if (uuid_equal(&devices[i].called, id))
                        return &devices[i];
        return NULL;
}

static struct kept *kept_for(const struct uuid *id) {
        for (size_t i = 0; i < n_kept; i++)
                if (uuid_equal(&kept[i].device, id))
                        return &kept[i];
        return NULL;
}

static void reply_to(struct world_device *d, const struct svr_need *need, uint8_t *buf, size_t n,
                     struct svr_reply *ret) {
        struct writer w = writer_on(buf, n);

        *ret = (struct svr_reply){ .kind = need->kind };
        switch (need->kind) {
        case SVR_NEED_OWNER_PSK:
                ret->ok = key_derive_owner(&d->secrets, need->transfer, &need->owner, &need->device, buf);
                ret->bytes = span_of(buf, KEY_PSK);
                break;
        case SVR_NEED_CSR:
                ret->ok = identity_csr(d->key, &need->device, &w);
                ret->bytes = writer_span(&w);
                break;
        case SVR_NEED_IDENTITY:
                ret->ok = !certificate_check_own(need->pem, CERTIFICATE_IDENTITY, d->key, &need->device,
                                                 WALL_S);
                break;
        case SVR_NEED_ROLE_CHAIN:
                ret->ok = !certificate_check_own(need->pem, CERTIFICATE_ROLE, d->key, &need->device, WALL_S);
                break;
        case SVR_NEED_ANCHOR:
                ret->ok = !certificate_check_anchor(need->pem, WALL_S);
                break;
        case SVR_NEED_PEER_ROLE:
                break;
        }
}

static uint8_t ask_svr(struct world_device *d, enum svr_id id, struct svr_session *session,
                       const struct ocf_request *request, struct span *ret) {
        static uint8_t out[SVR_REP_MAX], bufs[SVR_REPLIES_MAX][IDENTITY_CSR_MAX];
        struct svr_reply replies[SVR_REPLIES_MAX];
        struct svr_call call = { .id = id,
                                 .request = request,
                                 .interface = INTERFACE_RW,
                                 .session = session,
                                 .now_ms = now_ms,
                                 .replies = replies };
        struct svr_result result;
        int r;

        draw(NULL, (uint8_t *)&call.random, sizeof(call.random));
        for (;;) {
                struct writer w = writer_on(out, sizeof(out));

                r = svr_request(&d->svr, &call, &w, &result);
                if (r != SVR_E_NEEDS_KEY)
                        break;
                assert_true(call.n_replies < SVR_REPLIES_MAX);
                reply_to(d, &result.need, bufs[call.n_replies], IDENTITY_CSR_MAX, &replies[call.n_replies]);
                call.n_replies++;
        }
        assert_int_equal(r, 0);
        if (result.response.fault)
                return fault_row(result.response.fault)->code;
        *ret = result.response.rep;
        return result.response.code;
}

static uint8_t ask_cloud(struct world_device *d, const struct ocf_request *request) {
        struct span item, text = SPAN_NULL;

        if (request->method != COAP_POST || !rep_map_find(request->payload, "cis", &item) ||
            !rep_as_text(item, &text) || text.n >= sizeof(d->cloud))
                return COAP_BAD_REQUEST;
        if (text.n)
                memcpy(d->cloud, text.data, text.n);
        d->cloud[text.n] = 0;
        return COAP_CHANGED;
}

/* The device's own view of one request: who asks, may they, and what comes of it. */
static uint8_t ask_device(struct world_device *d, struct svr_session *session, const struct obt_want *w,
                          struct span *ret) {
        const struct ocf_request request = { .method = w->method,
                                             .query = span_of_string(w->query),
                                             .payload = w->payload };
        struct svr_snapshot snapshot = svr_snapshot(&d->svr);
        const struct access_question question = { .subject = session ? ACCESS_AUTH_CRYPT : ACCESS_ANON_CLEAR,
                                                  .method = w->method,
                                                  .snapshot = &snapshot,
                                                  .session = session,
                                                  .href = span_of_string(w->path),
                                                  .resource = ACCESS_DCR,
                                                  .resource_is_discoverable = true,
                                                  .resource_has_secure_endpoint = true,
                                                  .wall_s = WALL_S };
        enum svr_id id;

        *ret = SPAN_NULL;
        if (!access_decide(&question).granted)
                return session ? COAP_FORBIDDEN : COAP_UNAUTHORIZED;
        if (strcmp(w->path, CLOUD_HREF) == 0)
                return ask_cloud(d, &request);
        if (!svr_by_href(&id, span_of_string(w->path)) || (id == SVR_SDI && d->has_no_sdi))
                return COAP_NOT_FOUND;
        return ask_svr(d, id, session, &request, ret);
}

/* Does the handshake with the owner's key succeed? */
static bool lets_owner_in(struct world_device *d, const struct uuid *called) {
        const struct kept *k = kept_for(called);
        const struct cred *c = svr_find_psk(&d->svr, &tool);
        enum svr_state state = d->svr.machine.state;

        if (!k || !c || d->svr.machine.pending || state == SVR_RESET || state == SVR_RFOTM)
                return false;
        d->owner = (struct svr_session){ .id = tool };
        return span_equal(c->secret, span_of(k->key, KEY_PSK));
}

/* Return: the code; 0: it is not reached. */
static uint8_t ask_over(struct world_device *d, const struct obt_want *w, struct span *ret) {
        if (d->is_silent)
                return 0;
        if (d->says_only_its_state && d->svr.doxm.owned && strcmp(w->path, "/oic/sec/pstat") != 0)
                return 0;
        switch (w->channel) {
        case OBT_CLEAR:
                return ask_device(d, NULL, w, ret);
        case OBT_TRANSFER:
                return has_transfer && d->transfer_stands ? ask_device(d, &d->transfer, w, ret) : 0;
        case OBT_OWNER:
                break;
        }
        return lets_owner_in(d, &w->device) ? ask_device(d, &d->owner, w, ret) : 0;
}

/* ---- what a flow wants ---- */

static void note(const struct obt_want *w) {
        static const char *const channels[] = { "clear", "transfer", "owner" };
        static const char *const methods[] = { "", "GET", "POST", "PUT", "DELETE" };
        struct writer out = writer_on(trace, sizeof(trace) - 2);

        out.n = strlen(trace);
        if (w->type != OBT_WANT_REQUEST)
                return;
        if (on_request)
                on_request(w);
        if (w->method == COAP_DELETE && strcmp(w->path, "/oic/sec/cred") == 0)
                assert_memory_equal(w->query, "credid=", 7); /* else all of them go */
        out.n += (size_t)snprintf(trace + out.n, 200, "%s %s %s%s%s ", channels[w->channel],
                                  methods[w->method], w->path, w->query[0] ? "?" : "", w->query);
        if (w->payload.n)
                assert_int_equal(rep_to_json_text(w->payload, &out), 0);
        trace[out.n] = '\n';
        trace[out.n + 1] = 0;
}

static enum mishap mishap_now(void) {
        for (size_t i = 0; i < ARRAY_SIZE(mishaps); i++)
                if (mishaps[i].turn == turn)
                        return mishaps[i].mishap;
        return FINE;
}

/* Giving up keeps nothing from being done. */
static bool is_done(enum mishap mishap) {
        return mishap == FINE || mishap == CANCEL || mishap == CANCEL_DURING;
}

static void answer(struct obt_flow *f, uint8_t code, struct span payload) {
        in_flow = true;
        obt_flow_answer(f, code, payload, NULL);
        in_flow = false;
}

static void do_request(struct obt_flow *f, const struct obt_want *w, enum mishap mishap) {
        struct world_device *d = device_called(&w->device);
        struct span payload = SPAN_NULL;
        uint8_t code = 0;

        assert_non_null(d);
        if (mishap == LOSE_SESSION) {
                lose_transfer(d);
                has_transfer = false;
        } else if (mishap == REFUSE) {
                code = COAP_FORBIDDEN;
        } else if (mishap == BREAK) {
                code = COAP_INTERNAL_SERVER_ERROR;
        } else if (mishap == SAY_NOTHING && w->method == COAP_GET) {
                code = COAP_CONTENT;
        } else if (mishap != LOSE_REQUEST) {
                code = ask_over(d, w, &payload);
        }
        if (mishap == LOSE_ANSWER)
                code = 0;
        pass_ms(code || mishap == LOSE_SESSION ? ANSWER_MS : NO_ANSWER_MS);
        if (mishap == CANCEL_DURING)
                obt_flow_cancel(f);
        else
                answer(f, code, code ? payload : SPAN_NULL);
}

static bool handshake(struct world_device *d, const struct obt_want *w) {
        uint8_t key[KEY_PSK];

        if (d->svr.machine.state != SVR_RFOTM || d->svr.machine.pending || d->transfer_stands ||
            d->svr.doxm.oxmsel != w->transfer)
                return false;
        if (w->transfer == SVR_RANDOM_PIN &&
            (!key_derive_pin(SPAN_LITERAL(PIN), &d->svr.doxm.deviceuuid, key) ||
             !span_equal(w->key, span_of(key, KEY_PSK))))
                return false;
        d->secrets.suite = w->transfer == SVR_JUST_WORKS   ? TLS_ECDH_ANON_AES_128_CBC_SHA256
                           : w->transfer == SVR_RANDOM_PIN ? TLS_ECDHE_PSK_AES_128_CBC_SHA256
                                                           : TLS_ECDHE_ECDSA_AES_128_CCM_8;
        draw(NULL, d->secrets.master, sizeof(d->secrets.master));
        draw(NULL, d->secrets.client_random, sizeof(d->secrets.client_random));
        draw(NULL, d->secrets.server_random, sizeof(d->secrets.server_random));
        d->transfer = (struct svr_session){ .onboarding = true };
        d->transfer_stands = true;
        svr_machine_transfer_began(&d->svr.machine, now_ms);
        return true;
}

static void do_connect(struct obt_flow *f, const struct obt_want *w, enum mishap mishap) {
        struct world_device *d = device_called(&w->device);
        bool good;

        assert_non_null(d);
        good = (is_done(mishap) || mishap == LOSE_ANSWER) && handshake(d, w);
        pass_ms(good ? ANSWER_MS : NO_ANSWER_MS);
        has_transfer = good && mishap != LOSE_ANSWER;
        if (mishap == CANCEL_DURING)
                obt_flow_cancel(f);
        else
                obt_flow_connected(f, has_transfer ? &d->secrets : NULL,
                                   has_transfer ? NULL : "no session came about");
}

static void do_store(struct obt_flow *f, const struct obt_want *w, enum mishap mishap) {
        bool good = is_done(mishap);
        struct kept *k = kept_for(&w->device);

        could_not_forget |= !good && w->type == OBT_WANT_FORGET;
        if (mishap == CANCEL_DURING)
                obt_flow_cancel(f); /* what is being written is written, and told */
        if (good && w->type == OBT_WANT_STORE) {
                if (!k)
                        k = &kept[n_kept++];
                assert_true(n_kept <= N_KEPT_MAX);
                assert_int_equal(w->key.n, KEY_PSK);
                k->device = w->device;
                memcpy(k->key, w->key.data, KEY_PSK);
        } else if (good && k) {
                *k = kept[--n_kept];
        }
        obt_flow_stored(f, good);
}

static void do_disconnect(const struct obt_want *w, enum mishap mishap) {
        has_transfer = false;
        if (is_done(mishap) && device_called(&w->device))
                lose_transfer(device_called(&w->device));
}

static void follow_name(const struct obt_want *w) {
        struct world_device *d = w->renamed ? device_called(&w->was) : NULL;

        if (d)
                d->called = w->device;
}

/* One want. Return: false: it is over. */
static bool take_turn(struct obt_flow *f) {
        struct obt_want w;
        enum mishap mishap;

        turn++;
        mishap = mishap_now();
        if (mishap == CANCEL)
                obt_flow_cancel(f);
        in_flow = true;
        obt_flow_want(f, &w);
        in_flow = false;
        follow_name(&w);
        note(&w);
        switch (w.type) {
        case OBT_WANT_NOTHING:
                fail_msg("the flow waits for nothing");
                break;
        case OBT_WANT_REQUEST:
                do_request(f, &w, mishap);
                break;
        case OBT_WANT_CONNECT:
                do_connect(f, &w, mishap);
                break;
        case OBT_WANT_DISCONNECT:
                do_disconnect(&w, mishap);
                break;
        case OBT_WANT_PIN:
                if (mishap == CANCEL_DURING)
                        obt_flow_cancel(f);
                else
                        obt_flow_pin(f, mishap == FINE || mishap == CANCEL ? span_of_string(pin_said)
                                                                           : SPAN_NULL);
                break;
        case OBT_WANT_STORE:
        case OBT_WANT_FORGET:
                do_store(f, &w, mishap);
                break;
        case OBT_WANT_PAUSE:
                pass_ms(w.pause_ms);
                if (mishap == CANCEL_DURING)
                        obt_flow_cancel(f);
                obt_flow_paused(f);
                break;
        case OBT_WANT_END:
                succeeded = w.succeeded;
                snprintf(said, sizeof(said), "%s", w.text);
                return false;
        }
        return true;
}

/* Return: 0; what obt_flow_new() said. */
static int run(const struct obt_config *config) {
        struct obt_flow *f = NULL;
        int r;

        in_flow = true;
        r = obt_flow_new(&f, config);
        in_flow = false;
        trace[0] = 0;
        turn = 0;
        succeeded = could_not_forget = false;
        has_transfer = false;
        if (r)
                return r;
        while (take_turn(f))
                if (turn == TURNS_MAX)
                        fail_msg("it goes on for ever:\n%s", trace);
        assert_true(said[0]);
        obt_flow_free(f);
        return 0;
}

static OCF_UNUSED bool was_reached(void) {
        return turn >= mishaps[0].turn;
}

static OCF_UNUSED void strike(enum mishap mishap, unsigned at) {
        mishaps[0].mishap = mishap;
        mishaps[0].turn = at;
        mishaps[1].turn = 0;
}

static OCF_UNUSED void strike_again(enum mishap mishap, unsigned at) {
        mishaps[1].mishap = mishap;
        mishaps[1].turn = at;
}

/* ---- what is so in the end ---- */

static OCF_UNUSED void settle(void) {
        for (size_t i = 0; i < N_DEVICES; i++)
                devices[i].says_only_its_state = false;
        has_transfer = false;
        pass_ms(SETTLED_MS);
        for (size_t i = 0; i < N_DEVICES; i++)
                lose_transfer(&devices[i]);
        pass_ms(SETTLED_MS);
}

static bool is_ours(const struct world_device *d) {
        return d->svr.doxm.owned && uuid_equal(&d->svr.doxm.devowneruuid, &tool);
}

static const char *situation(void) {
        static char text[256];

        snprintf(text, sizeof(text), "mishap %d at %u, %d at %u; it said: %.120s", (int)mishaps[0].mishap,
                 mishaps[0].turn, (int)mishaps[1].mishap, mishaps[1].turn, said);
        return text;
}

/* Nobody is owned by a tool that has no key for them. */
static OCF_UNUSED void assert_no_orphans(const char *scenario) {
        for (size_t i = 0; i < N_DEVICES; i++)
                if (is_ours(&devices[i]) && !lets_owner_in(&devices[i], &devices[i].svr.doxm.deviceuuid))
                        fail_msg("%s: an orphan: %s\n%s", scenario, situation(), trace);
}

/* And no key is kept for who is not owned; who is, is in use, in this state. */
static OCF_UNUSED void assert_whole(const char *scenario, enum svr_state state) {
        size_t n_ours = 0;

        assert_no_orphans(scenario);
        for (size_t i = 0; i < N_DEVICES; i++) {
                const struct svr *svr = &devices[i].svr;

                n_ours += is_ours(&devices[i]);
                if (!is_ours(&devices[i]) &&
                    (svr->machine.state != SVR_RFOTM || svr->doxm.owned || svr->n_creds))
                        fail_msg("%s: neither owned nor not: %s\n%s", scenario, situation(), trace);
                if (is_ours(&devices[i]) && svr->machine.state != state)
                        fail_msg("%s: left in state %d: %s\n%s", scenario, (int)svr->machine.state,
                                 situation(), trace);
        }
        if (could_not_forget)
                assert_false(succeeded && n_kept > n_ours);
        else if (n_ours != n_kept)
                fail_msg("%s: %zu devices, %zu keys: %s\n%s", scenario, n_ours, n_kept, situation(), trace);
}

/* A key for each other, the same, or none. */
static OCF_UNUSED void assert_paired_or_not(const char *scenario, bool *ret_paired) {
        const struct cred *a = svr_find_psk(&devices[0].svr, &devices[1].svr.doxm.deviceuuid),
                          *b = svr_find_psk(&devices[1].svr, &devices[0].svr.doxm.deviceuuid);

        if (!a != !b || (a && !span_equal(a->secret, b->secret)))
                fail_msg("%s: half a pair: %s\n%s", scenario, situation(), trace);
        *ret_paired = a;
}

/* ---- beginnings ---- */

static void new_world(void) {
        static const struct svr_device kind = { .oxms = 7, .sct = CRED_PSK | CRED_CERTIFICATE };

        tool = uuid(TOOL);
        drawn = 0;
        now_ms = 1000;
        n_kept = 0;
        pin_said = PIN;
        strike(FINE, 0);
        if (!authority)
                assert_null(authority_new(&authority, WALL_S));
        for (size_t i = 0; i < N_DEVICES; i++) {
                struct world_device *d = &devices[i];
                EVP_PKEY *key = d->key;

                svr_deinit(&d->svr);
                *d = (struct world_device){ .key = key };
                if (!key)
                        assert_int_equal(crypto_key_new(&d->key), 0);
                svr_init(&d->svr, &kind);
                reset_device(d);
                d->called = d->svr.doxm.deviceuuid;
        }
}

static struct obt_config config_of(enum obt_operation operation) {
        return (struct obt_config){
                .operation = operation,
                .tool = tool,
                .targets = { devices[0].called, devices[1].called },
                .random = draw,
                .authority = authority,
                .wall_s = WALL_S,
                .methods = { SVR_JUST_WORKS },
                .n_methods = 1,
                .domain = uuid(DOMAIN),
                .domain_name = SPAN_LITERAL("home"),
        };
}

static OCF_UNUSED void own_both(void) {
        for (size_t i = 0; i < N_DEVICES; i++) {
                struct obt_config c = config_of(OBT_OWN);

                c.targets[0] = devices[i].called;
                assert_int_equal(run(&c), 0);
                if (!succeeded)
                        fail_msg("%s\n%s", said, trace);
        }
        assert_int_equal(n_kept, N_DEVICES);
}

static OCF_UNUSED int leave_world(void **state) {
        for (size_t i = 0; i < N_DEVICES; i++) {
                svr_deinit(&devices[i].svr);
                EVP_PKEY_free(devices[i].key);
                devices[i] = (struct world_device){ 0 };
        }
        authority = authority_free(authority);
        return 0;
}

#endif
