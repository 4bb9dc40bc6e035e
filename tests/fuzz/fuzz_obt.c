/*
 * Any bytes as what devices answer to the flows of the onboarding tool, how
 * sessions end, what people say and when they give up. Whatever it is: each flow comes to
 * an end, what it asks for is well formed, no device is told that it is owned
 * before its key is stored, and from then on the key is dropped only when
 * the device has confirmed that it is free.
 *
 * A byte that says which flow, then one for each thing that it wants, and as much as that takes.
 */
#include "fuzz.h"
#include "protocol/coap_code.h"
#include "protocol/rep.h"
#include "security/ace.h"
#include "security/identity_key.h"
#include "security/obt.h"

#include <string.h>

#define TURNS_MAX   600u /* more than any flow may take, whatever it is told */
#define BYTES_MAX   8192u
#define WALL_S      INT64_C(1800000000)
#define N_OPERATION (OBT_SET_DOMAIN + 1u)

enum answer {
        SAYS_DONE, /* 2.04, as all is answered when the script is over */
        SAYS_CODE,
        SAYS_NOTHING,
        SAYS_DOXM,
        SAYS_STATE,
        SAYS_CREDS,
        SAYS_CSR,
        SAYS_BYTES,
        _ANSWER_N,
};
#define CANCELS        0x80u
#define CANCELS_DURING 0x40u

struct world {
        struct span script;
        struct obt_flow *flow;
        struct uuid tool, targets[2];
        struct uuid stored;        /* whose key is durable */
        bool has_stored, has_told; /* it is owned */
        bool is_free;              /* said the device, since it was told */
        bool has_forgotten;
        uint64_t drawn;
};

static struct authority *authority;
static EVP_PKEY *key;

static uint8_t next(struct world *w) {
        uint8_t v = 0;

        (void)span_take_u8(&w->script, &v);
        return v;
}

static void draw(void *context, uint8_t *ret, size_t n) {
        struct world *w = context;

        for (size_t i = 0; i < n; i++)
                ret[i] = (uint8_t)(++w->drawn * 0x9du);
}

static void put_uuid(struct writer *out, const char *name, const struct uuid *id) {
        char text[UUID_TEXT_MAX];

        rep_put_string(out, name);
        rep_put_string(out, uuid_format(id, text));
}

static void put_doxm(struct world *w, const struct obt_want *want, struct writer *out) {
        uint8_t how = next(w);
        bool owned = how & 8;

        rep_put_map(out, 4);
        put_uuid(out, "deviceuuid", how & 16 ? &w->tool : &want->device);
        rep_put_string(out, "oxms");
        rep_put_array(out, 3);
        for (unsigned i = 0; i < 3; i++)
                rep_put_int(out, how >> i & 1 ? (int64_t)i : -1);
        rep_put_string(out, "owned");
        rep_put_bool(out, owned);
        rep_put_string(out, "sct");
        rep_put_uint(out, how & 32 ? 1 : 9);
}

static void put_creds(struct world *w, struct writer *out) {
        uint8_t n = next(w) % 160;

        rep_put_map(out, 1);
        rep_put_string(out, "creds");
        rep_put_array(out, n);
        for (unsigned i = 0; i < n; i++) {
                uint8_t how = next(w);

                rep_put_map(out, 3);
                rep_put_string(out, "credid");
                rep_put_int(out, (int64_t)(how >> 3) - 4);
                rep_put_string(out, "credtype");
                rep_put_uint(out, how & 4 ? 8 : 1);
                put_uuid(out, "subjectuuid", how & 2 ? &w->tool : &w->targets[how & 1]);
        }
}

static void put_csr(struct world *w, const struct obt_want *want, struct writer *out) {
        uint8_t how = next(w);
        uint8_t buf[IDENTITY_CSR_MAX];
        struct writer pem = writer_on(buf, sizeof(buf));

        (void)identity_csr(key, how & 1 ? &w->tool : &want->device, &pem);
        if (how & 2 && pem.n)
                buf[next(w) * pem.n / 256] ^= how;
        rep_put_map(out, 1);
        rep_put_string(out, "csr");
        if (how & 4)
                rep_put_bytes(out, writer_span(&pem));
        else
                rep_put_text(out, writer_span(&pem));
}

/* As the daemon reads an answer: in normal form, or nothing at all. */
static void put_bytes(struct world *w, struct writer *out) {
        struct span bytes;
        size_t n = next(w);

        if (n > w->script.n)
                n = w->script.n;
        if (!span_take(&w->script, n, &bytes) || rep_normalise_leniently(bytes, out))
                out->n = 0;
}

/* ---- what must hold ---- */

static void must_be_a_request(const struct obt_want *want) {
        struct span rest = want->payload, item;

        must_hold(want->path[0] == '/');
        must_hold(want->method == COAP_GET || want->method == COAP_POST || want->method == COAP_DELETE);
        must_hold((want->method == COAP_POST) == (want->payload.n != 0));
        must_hold(!rest.n || (rep_skip(&rest, &item) && !rest.n));
        if (want->method == COAP_DELETE && strcmp(want->path, "/oic/sec/cred") == 0)
                must_hold(strncmp(want->query, "credid=", 7) == 0);
}

static bool tells_owned(const struct obt_want *want) {
        struct span item;
        bool owned = false;

        return want->method == COAP_POST && strcmp(want->path, "/oic/sec/doxm") == 0 &&
               rep_map_find(want->payload, "owned", &item) && rep_as_bool(item, &owned) && owned;
}

static bool asks_for_reset(const struct obt_want *want) {
        struct span item;
        int64_t state = -1;

        return want->method == COAP_POST && strcmp(want->path, "/oic/sec/pstat") == 0 &&
               rep_map_find(want->payload, "dos", &item) && rep_map_find(item, "s", &item) &&
               rep_as_int64(item, &state) && state == SVR_RESET;
}

static bool says_free(const struct obt_want *want, uint8_t code, struct span payload) {
        struct span item;
        bool owned = true;

        if (code >> 5 != 2)
                return false;
        return asks_for_reset(want) ||
               (want->method == COAP_GET && strcmp(want->path, "/oic/sec/doxm") == 0 &&
                rep_map_find(payload, "owned", &item) && rep_as_bool(item, &owned) && !owned);
}

/* ---- turns ---- */

static void do_request(struct world *w, const struct obt_want *want, uint8_t how) {
        static uint8_t buf[BYTES_MAX * 2];
        struct writer out = writer_on(buf, sizeof(buf));
        uint8_t code = COAP_CONTENT;
        bool is_telling = tells_owned(want), frees;

        must_be_a_request(want);
        if (is_telling)
                must_hold(w->has_stored && uuid_equal(&w->stored, &want->device));
        switch ((enum answer)(how % 32 % _ANSWER_N)) {
        case SAYS_DONE:
                code = COAP_CHANGED;
                break;
        case SAYS_CODE:
                code = next(w);
                break;
        case SAYS_NOTHING:
                code = 0;
                break;
        case SAYS_DOXM:
                put_doxm(w, want, &out);
                break;
        case SAYS_STATE:
                rep_put_map(&out, 1);
                rep_put_string(&out, "dos");
                rep_put_map(&out, 1);
                rep_put_string(&out, "s");
                rep_put_int(&out, (int64_t)next(w) - 2);
                break;
        case SAYS_CREDS:
                put_creds(w, &out);
                break;
        case SAYS_CSR:
                put_csr(w, want, &out);
                break;
        case SAYS_BYTES:
                put_bytes(w, &out);
                break;
        case _ANSWER_N:
                break;
        }
        if (out.overflow)
                out.n = 0;
        frees = says_free(want, code, writer_span(&out));
        if (how & CANCELS_DURING) {
                obt_flow_cancel(w->flow);
                w->has_told |= is_telling;
                return;
        }
        w->has_told |= is_telling && (!code || code >> 5 == 2);
        w->is_free |= frees;
        obt_flow_answer(w->flow, code, code ? writer_span(&out) : SPAN_NULL, how & 32 ? "it is gone" : NULL);
}

static void do_connect(struct world *w, uint8_t how) {
        static const uint16_t suites[] = { TLS_ECDH_ANON_AES_128_CBC_SHA256, TLS_ECDHE_PSK_AES_128_CBC_SHA256,
                                           TLS_ECDHE_ECDSA_AES_128_CCM_8, 0 };
        struct tls_secrets secrets = { .suite = suites[how >> 1 & 3], .master = { 1 } };

        if (how & CANCELS_DURING)
                obt_flow_cancel(w->flow);
        else
                obt_flow_connected(w->flow, how & 1 ? NULL : &secrets, how & 1 ? "no session" : NULL);
}

static void do_store(struct world *w, const struct obt_want *want, uint8_t how) {
        bool good = !(how & 1);

        if (how & CANCELS_DURING)
                obt_flow_cancel(w->flow);
        if (want->type == OBT_WANT_STORE) {
                must_hold(want->key.n == KEY_PSK);
                w->has_stored = good;
                w->stored = want->device;
        } else {
                must_hold(!w->has_told || w->is_free);
                w->has_forgotten |= good;
                w->has_stored = false;
        }
        obt_flow_stored(w->flow, good);
}

static void must_be_an_end(struct world *w, const struct obt_want *want, enum obt_operation operation) {
        struct obt_want again;

        must_hold(want->text[0]);
        for (const char *c = want->text; *c; c++)
                must_hold((uint8_t)*c >= ' ');
        if (want->succeeded && operation == OBT_OWN)
                must_hold(w->has_stored && w->has_told && !w->has_forgotten);
        if (want->succeeded && operation == OBT_RESET)
                must_hold(w->has_forgotten);
        if (!want->succeeded && operation == OBT_OWN && w->has_told && !w->is_free)
                must_hold(w->has_stored);
        obt_flow_cancel(w->flow);
        obt_flow_want(w->flow, &again);
        must_hold(again.type == OBT_WANT_END && strcmp(again.text, want->text) == 0);
}

static bool take_turn(struct world *w, enum obt_operation operation) {
        struct obt_progress progress;
        struct obt_want want;
        uint8_t how = next(w);

        if (how & CANCELS)
                obt_flow_cancel(w->flow);
        obt_flow_want(w->flow, &want);
        obt_flow_progress(w->flow, &progress);
        must_hold(progress.name);
        switch (want.type) {
        case OBT_WANT_NOTHING:
                must_hold(want.type != OBT_WANT_NOTHING);
                break;
        case OBT_WANT_REQUEST:
                do_request(w, &want, how);
                break;
        case OBT_WANT_CONNECT:
                do_connect(w, how);
                break;
        case OBT_WANT_DISCONNECT:
                break;
        case OBT_WANT_PIN:
                obt_flow_pin(w->flow, span_of((const uint8_t *)"12345678", how % 9u));
                break;
        case OBT_WANT_STORE:
        case OBT_WANT_FORGET:
                do_store(w, &want, how);
                break;
        case OBT_WANT_PAUSE:
                must_hold(want.pause_ms);
                obt_flow_paused(w->flow);
                break;
        case OBT_WANT_END:
                must_be_an_end(w, &want, operation);
                return false;
        }
        return true;
}

static struct obt_config config(struct world *w, uint8_t how) {
        static const struct authority_role roles[] = { { .role = SPAN_LITERAL("friend") } };
        static const struct span hrefs[] = { SPAN_LITERAL("/a/light"), SPAN_LITERAL("*") };
        struct obt_config c = { .operation = (enum obt_operation)(how % N_OPERATION),
                                .tool = w->tool,
                                .targets = { w->targets[0], w->targets[1] },
                                .random = draw,
                                .context = w,
                                .authority = authority,
                                .wall_s = WALL_S,
                                .methods = { SVR_RANDOM_PIN, SVR_MANUFACTURER, SVR_JUST_WORKS },
                                .n_methods = 3,
                                .with_certificate = how & 0x80,
                                .domain = w->tool,
                                .domain_name = SPAN_LITERAL("home"),
                                .state = (enum svr_state)(next(w) % _SVR_STATE_N),
                                .pem = SPAN_LITERAL("a certificate"),
                                .subject = SPAN_LITERAL("*"),
                                .permission = ACE_ALL,
                                .number = next(w),
                                .cis = SPAN_LITERAL("coaps+tcp://x"),
                                .sid = SPAN_LITERAL("aaaaaaaa-2222-4333-8444-555555555555"),
                                .at = SPAN_LITERAL("token"),
                                .cloud_href = SPAN_LITERAL("/cloud") };

        if (c.operation == OBT_ISSUE_ROLES) {
                c.roles = roles;
                c.n_roles = ARRAY_SIZE(roles);
        }
        if (c.operation == OBT_ADD_ACCESS) {
                c.subject = SPAN_LITERAL("role:friend@home");
                c.hrefs = hrefs;
                c.n_hrefs = ARRAY_SIZE(hrefs);
        }
        return c;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        struct world w = { .script = span_of(data, n),
                           .tool = { { 0xaa, [15] = 1 } },
                           .targets = { { { 0xbb, [15] = 1 } }, { { 0xcc, [15] = 1 } } } };
        struct obt_config c;
        unsigned turns = 0;

        if (n > BYTES_MAX)
                return 0;
        if (!authority) {
                must_hold(!authority_new(&authority, WALL_S));
                must_hold(!crypto_key_new(&key));
        }
        c = config(&w, next(&w));
        must_hold(!obt_flow_new(&w.flow, &c));
        while (take_turn(&w, c.operation))
                must_hold(++turns < TURNS_MAX);
        obt_flow_free(w.flow);
        return 0;
}
