/*
 * Any bytes as a life of one device: who asks what of its secure resources, what
 * time it is, when a handshake ends or a session is lost, when the daemon starts
 * again. Requests walk as in the daemon: representation, access, the resource.
 * What must hold after each is svr_invariants.h.
 *
 * The first byte says how far the device has come and what it can do. Then one
 * step after the other, each as long as it says.
 */
#include "fuzz.h"
#include "security/access.h"
#include "svr_dictionary.h"
#include "svr_invariants.h"

#include <string.h>

#define REQUESTS_MAX 64 /* more than that is slow, not new */

enum step { STEP_REQUEST, STEP_TIME, STEP_HANDSHAKE, STEP_RESTART, STEP_AUDIT, _STEP_N };

enum who { PLAIN, ONBOARDING, OWNER_KEY, OTHER_KEY, OWNER_CERTIFICATE, OTHER_CERTIFICATE, _WHO_N };

/* Of the second byte of a request. */
#define FLAG_BASELINE   0x10
#define FLAG_MULTICAST  0x20
#define FLAG_UNGUARDED  0x40 /* the resource alone, as if access had been granted */
#define FLAG_DICTIONARY 0x80 /* 0xe0 n in the payload stands for the n-th item of the dictionary */

struct life {
        struct svr svr;
        struct svr_session sessions[_WHO_N];
        struct photo before, after;
        uint64_t now_ms, random, n_uuids;
        bool has_factory;
        struct span script;
};

static uint8_t next(struct life *l) {
        uint8_t v = 0;

        (void)span_take_u8(&l->script, &v);
        return v;
}

/* ---- the daemon's part ---- */

static void sessions_begin(struct life *l) {
        for (enum who who = 0; who < _WHO_N; who++) {
                svr_session_deinit(&l->sessions[who]);
                l->sessions[who] = (struct svr_session){
                        .id = who == OWNER_KEY || who == OWNER_CERTIFICATE   ? owner
                              : who == OTHER_KEY || who == OTHER_CERTIFICATE ? other
                                                                             : (struct uuid){ { 0 } },
                        .by_certificate = who == OWNER_CERTIFICATE || who == OTHER_CERTIFICATE,
                };
        }
}

static void reset(struct life *l) {
        static const struct cred factory[] = {
                { .id = CRED_ID_NONE,
                  .type = CRED_CERTIFICATE,
                  .usage = CRED_MFGCERT,
                  .any_subject = true,
                  .secret = SPAN_LITERAL("the key of the manufacturer"),
                  .public_data = SPAN_LITERAL("-----BEGIN CERTIFICATE-----\nmanufacturer") },
                { .id = CRED_ID_NONE,
                  .type = CRED_CERTIFICATE,
                  .usage = CRED_MFGTRUSTCA,
                  .any_subject = true,
                  .public_data = SPAN_LITERAL("-----BEGIN CERTIFICATE-----\nmanufacturer's root") },
        };
        struct uuid u = first;

        u.bytes[0] = (uint8_t)++l->n_uuids;
        svr_reset(&l->svr, &u);
        must_hold(l->svr.machine.state == SVR_RFOTM && !l->svr.machine.pending && !l->svr.n_creds);
        for (size_t i = 0; l->has_factory && i < ARRAY_SIZE(factory); i++)
                must_hold(svr_add_cred(&l->svr, &factory[i], ++l->random) == 0);
        sessions_begin(l);
}

static void take_time(struct life *l, uint64_t ms) {
        l->now_ms += ms;
        if (svr_machine_due(&l->svr.machine, l->now_ms) == SVR_DUE_RESET)
                reset(l);
        must_hold(svr_machine_deadline(&l->svr.machine) > l->now_ms);
}

/* Sessions that the daemon would not have: no key, no certificate, ended. */
static bool is_there(const struct life *l, enum who who) {
        switch (who) {
        case PLAIN:
                return true;
        case ONBOARDING:
                return l->sessions[who].onboarding;
        case OWNER_KEY:
        case OTHER_KEY:
                return svr_find_psk(&l->svr, &l->sessions[who].id) != NULL;
        case OWNER_CERTIFICATE:
        case OTHER_CERTIFICATE:
                return l->svr.machine.state != SVR_RFOTM && l->svr.machine.state != SVR_RESET;
        case _WHO_N:
                break;
        }
        return false;
}

static void handshake(struct life *l, uint8_t what) {
        switch (what % 4) {
        case 0:
                l->svr.handshaking = !l->svr.handshaking;
                return;
        case 1:
        case 2:
                if (l->svr.machine.state != SVR_RFOTM || l->svr.doxm.oxmsel == SVR_NO_TRANSFER)
                        return;
                svr_machine_transfer_began(&l->svr.machine, l->now_ms);
                l->sessions[ONBOARDING].onboarding = true;
                return;
        case 3:
                svr_machine_transfer_lost(&l->svr.machine, l->now_ms);
                l->sessions[ONBOARDING].onboarding = false;
                take_time(l, 0);
                return;
        }
}

static void restart(struct life *l) {
        photo_take(&l->before, &l->svr, NULL);
        must_load_again(&l->svr, &l->before, true);
        sessions_begin(l);
        take_time(l, 0);
}

static void audit(struct life *l) {
        uint8_t category = next(l), priority = next(l), n = next(l);
        struct span detail = SPAN_NULL;
        bool kept;

        (void)span_take(&l->script, ocf_min_size(n, l->script.n), &detail);
        must_hold(svr_audit(&l->svr,
                            &(struct svr_event){ .id = "AC-1",
                                                 .category = category,
                                                 .priority = priority % 5,
                                                 .wall_s = category,
                                                 .message = "x",
                                                 .n_details = 1,
                                                 .details = &detail },
                            &kept) == 0);
}

/* ---- a request ---- */

static struct span payload_of(struct life *l, uint8_t flags, uint8_t *normal, size_t n_max) {
        static uint8_t raw[65536];
        struct writer w = writer_on(raw, sizeof(raw)), out = writer_on(normal, n_max);
        struct span bytes = SPAN_NULL;
        uint8_t high = next(l), low = next(l);

        (void)span_take(&l->script, ocf_min_size((size_t)high << 8 | low, l->script.n), &bytes);
        if (flags & FLAG_DICTIONARY)
                svr_dictionary_expand(&w, bytes);
        else
                writer_put_span(&w, bytes);
        return w.overflow || rep_normalise_leniently(writer_span(&w), &out) ? SPAN_NULL : writer_span(&out);
}

/* What cryptography would say of it. */
static struct svr_reply reply_to(struct life *l, const struct svr_need *need, uint8_t how) {
        static const uint8_t key[32] = "a key that only both sides have";
        struct svr_reply reply = { .kind = need->kind, .ok = !(how & 1) };

        switch (need->kind) {
        case SVR_NEED_OWNER_PSK:
                must_hold(!uuid_is_nil(&need->owner) && !uuid_is_nil(&need->device));
                must_hold(l->svr.machine.state == SVR_RFOTM);
                reply.bytes = span_of(key, how & 2 ? 5 : how & 4 ? 32 : 16);
                break;
        case SVR_NEED_CSR:
                reply.bytes = SPAN_LITERAL("-----BEGIN CERTIFICATE REQUEST-----");
                break;
        case SVR_NEED_PEER_ROLE:
                reply.role = how & 2 ? SPAN_LITERAL("oic.role.owner") : SPAN_LITERAL("guest");
                reply.is_owner = (how & 6) == 6;
                break;
        case SVR_NEED_IDENTITY:
        case SVR_NEED_ROLE_CHAIN:
        case SVR_NEED_ANCHOR:
                must_hold(need->pem.n && need->pem.n <= CRED_PUBLIC_MAX);
                break;
        }
        return reply;
}

static bool is_granted(const struct life *l, const struct svr_call *call) {
        struct svr_snapshot snapshot = svr_snapshot(&l->svr);
        struct access_question q = {
                .subject = call->session ? ACCESS_AUTH_CRYPT : ACCESS_ANON_CLEAR,
                .method = call->request->method,
                .snapshot = &snapshot,
                .session = call->session,
                .href = span_of_string(svr_href(call->id)),
                .wall_s = -1,
        };

        return access_decide(&q).granted;
}

/* Has this session any right at all to change something? Read off the resources, not off access.c. */
static bool is_somebody(const struct svr *svr, const struct svr_session *s) {
        if (s->onboarding || s->n_roles)
                return true;
        for (size_t i = 0; i < SVR_OWNED_N; i++)
                if (uuid_equal(&svr->rowner[i], &s->id))
                        return true;
        for (size_t i = 0; i < svr->n_aces; i++)
                if (svr->aces[i]->subject == ACE_ROLE ||
                    (svr->aces[i]->subject == ACE_UUID && uuid_equal(&svr->aces[i]->uuid, &s->id)))
                        return true;
        return uuid_equal(&svr->doxm.devowneruuid, &s->id);
}

static void must_be_entitled(const struct life *l, const struct svr_call *call, bool was_somebody,
                             const struct svr_result *result) {
        const struct svr_doxm *before = &l->before.doxm, *after = &l->after.doxm;

        must_hold(was_somebody || !result->changed || !call->session);
        if (call->session || !result->changed)
                return;
        must_hold(l->before.state == SVR_RFOTM && !l->before.machine.transfer);
        must_hold(result->changed == SVR_BIT(SVR_DOXM) && after->owned == before->owned);
        must_hold(uuid_equal(&after->deviceuuid, &before->deviceuuid) &&
                  uuid_equal(&after->devowneruuid, &before->devowneruuid));
        must_hold(!memcmp(l->before.rowner, l->after.rowner, sizeof(l->after.rowner)));
}

static void must_be_an_answer(const struct svr_call *call, const struct svr_result *result) {
        static uint8_t normal[SVR_REP_MAX];
        const struct ocf_response *r = &result->response;
        struct writer w = writer_on(normal, sizeof(normal));

        if (r->fault) {
                must_hold(!result->changed && !result->effects && !r->rep.data);
                return;
        }
        must_hold(r->code == (call->request->method == COAP_GET      ? COAP_CONTENT
                              : call->request->method == COAP_DELETE ? COAP_DELETED
                                                                     : COAP_CHANGED));
        must_hold((call->request->method == COAP_GET) == (r->rep.data != NULL));
        must_hold(call->request->method != COAP_GET || (!result->changed && !result->effects));
        if (r->rep.data)
                must_hold(rep_normalise(r->rep, &w) == 0 && span_equal(writer_span(&w), r->rep));
}

/* The sessions that this request ended, and those that a reset will. */
static void follow(struct life *l, const struct svr_result *result) {
        if (result->effects & SVR_EFFECT_STATE && l->svr.machine.state == SVR_RFNOP)
                l->sessions[ONBOARDING].onboarding = false;
}

static void ask(struct life *l, const struct svr_call *asked, uint8_t how, bool guarded) {
        static uint8_t out[SVR_REP_MAX];
        struct svr_reply replies[SVR_REPLIES_MAX];
        struct svr_call call = *asked;
        struct svr_result result;
        bool was_somebody = !call.session || is_somebody(&l->svr, call.session);
        int r;

        photo_take(&l->before, &l->svr, call.session);
        call.replies = replies;
        for (;;) {
                struct writer w = writer_on(out, sizeof(out));

                result = (struct svr_result){ 0 };
                r = svr_request(&l->svr, &call, &w, &result);
                if (r != SVR_E_NEEDS_KEY)
                        break;
                photo_take(&l->after, &l->svr, call.session);
                must_be_same(&l->before, &l->after);
                must_hold(call.n_replies < SVR_REPLIES_MAX);
                replies[call.n_replies++] = reply_to(l, &result.need, how);
        }
        must_hold(r == 0 || (r == SVR_E_SILENT && call.request->multicast));
        photo_take(&l->after, &l->svr, call.session);
        if (r || result.response.fault || call.request->method == COAP_GET)
                must_be_same(&l->before, &l->after);
        if (r)
                return;
        must_be_an_answer(&call, &result);
        if (!result.response.fault)
                must_be_told(&l->before, &l->after, &result);
        must_stay_owned(&l->before, &l->after);
        if (guarded)
                must_be_entitled(l, &call, was_somebody, &result);
        must_be_sound(&l->svr);
        must_load_again(&l->svr, &l->after, false);
        follow(l, &result);
}

static struct span query_of(const struct life *l, uint8_t which, char buf[static 32]) {
        static const char *const queries[] = {
                "",          "owned=TRUE", "owned=false", "owned=",
                "credid=-1", "credid=",    "aceid=abc",   "aceid=99999999999"
        };
        int32_t id = l->svr.n_creds ? l->svr.creds[which % l->svr.n_creds]->id : 0;

        if (which < ARRAY_SIZE(queries))
                return span_of_string(queries[which]);
        if (which & 1 && l->svr.n_aces)
                id = l->svr.aces[which % l->svr.n_aces]->id;
        snprintf(buf, 32, "%s=%d", which & 1 ? "aceid" : "credid", (int)id);
        return span_of_string(buf);
}

static void request(struct life *l) {
        static const uint8_t methods[] = {
                COAP_GET, COAP_POST, COAP_DELETE, COAP_POST, COAP_PUT, COAP_FETCH
        };
        static uint8_t normal[3 * 65536 + 16];
        uint8_t what = next(l), flags = next(l), which = next(l), how = next(l);
        enum who who = (enum who)((flags & 15) % _WHO_N);
        char buf[32];
        struct ocf_request request = {
                .method = methods[(what >> 4) % ARRAY_SIZE(methods)],
                .multicast = flags & FLAG_MULTICAST,
                .query = query_of(l, which, buf),
        };
        struct svr_call call = {
                .id = (enum svr_id)((what & 15) % _SVR_N),
                .request = &request,
                .interface = flags & FLAG_BASELINE ? INTERFACE_BASELINE : INTERFACE_RW,
                .session = who == PLAIN ? NULL : &l->sessions[who],
                .now_ms = l->now_ms,
                .random = ++l->random,
        };
        bool guarded = !(flags & FLAG_UNGUARDED);

        request.payload = payload_of(l, flags, normal, sizeof(normal));
        if (is_there(l, who) && (!guarded || is_granted(l, &call)))
                ask(l, &call, how, guarded);
}

/* ---- a beginning ---- */

/* An owner, as a transfer leaves it. */
static void own(struct life *l, enum svr_state state) {
        static const struct cred key = { .id = CRED_ID_NONE,
                                         .type = CRED_PSK,
                                         .secret = SPAN_LITERAL("the owner's key!") };
        struct cred view = key;
        struct svr_facts facts;

        view.subject = owner;
        must_hold(svr_add_cred(&l->svr, &view, ++l->random) == 0);
        l->svr.doxm.oxmsel = SVR_JUST_WORKS;
        l->svr.doxm.owned = true;
        l->svr.doxm.devowneruuid = owner;
        for (size_t i = 0; i < SVR_OWNED_N; i++)
                l->svr.rowner[i] = owner;
        facts = svr_facts(&l->svr);
        must_hold(svr_machine_ask(&l->svr.machine, SVR_RFPRO, &facts, l->now_ms) == 0);
        must_hold(svr_machine_ask(&l->svr.machine, state, &facts, l->now_ms) == 0);
}

static void begin(struct life *l) {
        uint8_t how = next(l);
        const struct svr_device device = { .oxms = 7,
                                           .sct = how & 16 ? CRED_PSK : 329,
                                           .profiles = 3,
                                           .self_owned = how & 8,
                                           .ael_max = how & 64 ? 512 : 0 };

        l->now_ms = 1000;
        l->has_factory = how & 32;
        svr_init(&l->svr, &device);
        reset(l);
        if ((how & 7) >= SVR_RFPRO && (how & 7) <= SVR_SRESET)
                own(l, (enum svr_state)(how & 7));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        static struct life l;
        unsigned n_requests = 0;

        svr_dictionary_init();
        svr_deinit(&l.svr);
        l.random = l.n_uuids = 0;
        l.script = span_of(data, n);
        begin(&l);
        while (l.script.n && n_requests < REQUESTS_MAX)
                switch ((enum step)(next(&l) % _STEP_N)) {
                case STEP_REQUEST:
                        request(&l);
                        n_requests++;
                        break;
                case STEP_TIME:
                        take_time(&l, 250u * next(&l));
                        break;
                case STEP_HANDSHAKE:
                        handshake(&l, next(&l));
                        break;
                case STEP_RESTART:
                        restart(&l);
                        break;
                case STEP_AUDIT:
                        audit(&l);
                        break;
                case _STEP_N:
                        break;
                }
        take_time(&l, 0);
        must_tell_no_secret(&l.svr);
        return 0;
}
