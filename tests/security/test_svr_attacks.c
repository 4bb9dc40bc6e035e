#include "svr_fixture.h"

#include "base/memory.h"
#include "security/access.h"

/*
 * users.md 3 I: updates of each secure resource, in each state, over each kind
 * of connection, by whoever tries. What comes of it stands in tables that were
 * read off security.md 1.2, 2.2 and 3.2; requests walk as they do in the daemon,
 * first access, then the resource.
 */

/* How far the device is. */
enum situation {
        RESETTING,    /* a reset was asked for and is not done yet */
        FOR_SALE,     /* RFOTM, nobody has come */
        TAKING,       /* RFOTM, an onboarding session was verified */
        ALMOST_TAKEN, /* RFOTM, all is written */
        PROVISIONING, /* RFPRO */
        OPERATING,    /* RFNOP */
        SOFT_RESET,   /* SRESET */
        _SITUATION_N
};

static const char *const situation_names[_SITUATION_N] = { "RESET", "RFOTM", "RFOTM, taking", "RFOTM, taken",
                                                           "RFPRO", "RFNOP", "SRESET" };

/* Who tries, in the order of the columns. */
enum caller {
        IN_CLEAR,
        TAKER,             /* the anonymous session that takes ownership */
        OWNER_KEY,         /* the owner, with its PSK */
        OTHER_KEY,         /* somebody with a PSK */
        CERTIFICATE,       /* the same with a certificate */
        CERTIFICATE_ROLE,  /* with a role to which an entry opens all secure resources */
        CERTIFICATE_OWNER, /* with the owner's role */
        _CALLER_N
};

static const char *const caller_names[_CALLER_N] = { "in clear",
                                                     "onboarding session",
                                                     "owner's PSK",
                                                     "another's PSK",
                                                     "certificate",
                                                     "certificate with a role",
                                                     "certificate with the owner's role" };

#define THIRD "22222222-2222-4333-8444-555555555555"
#define RAW   "\"privatedata\":{\"encoding\":\"oic.sec.encoding.raw\",\"data\":\"" KEY "\"}"
#define ROLES                                                                                                \
        "{\"roles\":[{\"credtype\":8,\"publicdata\":{\"encoding\":\"oic.sec.encoding.pem\",\"data\":\"x\"}}" \
        "]}"
#define ENTRY(href) "{\"href\":\"/oic/sec/" href "\"}"
#define OPEN_TO_GUESTS                                                                                               \
        "{\"aclist2\":[{\"subject\":{\"role\":\"guest\"},\"permission\":31,\"resources\":[" ENTRY("doxm") "," ENTRY( \
                "pstat") "," ENTRY("cred") "," ENTRY("acl2") "," ENTRY("sp") "," ENTRY("sdi") "," ENTRY("ae"         \
                                                                                                        "l") "," ENTRY("csr") "]}]}"

static struct svr_session sessions[_CALLER_N];

static void sessions_begin(void) {
        for (enum caller c = 0; c < _CALLER_N; c++) {
                svr_session_deinit(&sessions[c]);
                sessions[c] =
                        (struct svr_session){ .onboarding = c == TAKER, .by_certificate = c >= CERTIFICATE };
                if (c >= OWNER_KEY)
                        sessions[c].id = uuid(c == OWNER_KEY ? OWNER : OTHER);
                if (c < CERTIFICATE_ROLE)
                        continue;
                sessions[c].n_roles = 1;
                sessions[c].roles[0] = (struct svr_role){
                        .role = ocf_duplicate_string(c == CERTIFICATE_ROLE ? "guest" : "oic.role.owner"),
                        .authority = ocf_duplicate_string("the owner's root"),
                        .pem = ocf_duplicate(SPAN_LITERAL("a role")),
                        .n_pem = 6,
                        .is_owner = c == CERTIFICATE_OWNER,
                };
        }
}

/* Through access, as the pipeline does it. The others' key has the credid 7. */
static enum fault try_rep(enum caller caller, uint8_t method, enum svr_id id, const char *query,
                          struct span rep) {
        struct svr_session *session = caller == IN_CLEAR ? NULL : &sessions[caller];
        struct ocf_request request = { .method = method, .query = span_of_string(query), .payload = rep };
        struct svr_snapshot snapshot = svr_snapshot(&svr);
        struct svr_call call = {
                .id = id,
                .request = &request,
                .interface = INTERFACE_RW,
                .session = session,
                .now_ms = now_ms,
                .random = 42,
                .n_replies = n_replies,
                .replies = replies,
        };
        const struct access_question question = {
                .subject = session ? ACCESS_AUTH_CRYPT : ACCESS_ANON_CLEAR,
                .method = method,
                .snapshot = &snapshot,
                .session = session,
                .href = span_of_string(svr_href(id)),
                .wall_s = 1780000000,
        };
        struct writer w = writer_on(out, sizeof(out));

        result = (struct svr_result){ 0 };
        if (!access_decide(&question).granted)
                return FAULT_NOT_AUTHORIZED;
        assert_int_equal(svr_request(&svr, &call, &w, &result), 0);
        return result.response.fault;
}

static enum fault attempt(enum caller caller, uint8_t method, enum svr_id id, const char *text) {
        static uint8_t buf[4096];

        return method == COAP_DELETE ? try_rep(caller, method, id, text, SPAN_NULL)
                                     : try_rep(caller, method, id, "", json(text, buf, sizeof(buf)));
}

static enum fault write_to(enum caller caller, enum svr_id id, const char *text) {
        return attempt(caller, COAP_POST, id, text);
}

static void add_key(const char *subject, int32_t id) {
        const struct cred view = { .id = id,
                                   .type = CRED_PSK,
                                   .subject = uuid(subject),
                                   .secret = SPAN_LITERAL("sixteen bytes ok") };

        assert_int_equal(svr_add_cred(&svr, &view, 42), 0);
}

static void bring_to(enum situation situation) {
        unowned();
        sessions_begin();
        replies[1] =
                (struct svr_reply){ .kind = SVR_NEED_PEER_ROLE, .ok = true, .role = SPAN_LITERAL("guest") };
        if (situation == TAKING) {
                assert_int_equal(write_to(IN_CLEAR, SVR_DOXM, "{\"oxmsel\":0}"), 0);
                svr_machine_transfer_began(&svr.machine, now_ms);
        } else if (situation != FOR_SALE) {
                transfer();
        }
        add_key(OTHER, 7);
        if (situation == FOR_SALE || situation == TAKING || situation == ALMOST_TAKEN)
                return;
        assert_int_equal(write_to(TAKER, SVR_PSTAT, "{\"dos\":{\"s\":2}}"), 0);
        assert_int_equal(write_to(OWNER_KEY, SVR_ACL2, OPEN_TO_GUESTS), 0);
        if (situation == OPERATING)
                assert_int_equal(write_to(OWNER_KEY, SVR_PSTAT, "{\"dos\":{\"s\":3}}"), 0);
        if (situation == SOFT_RESET)
                assert_int_equal(write_to(OWNER_KEY, SVR_PSTAT, "{\"dos\":{\"s\":4}}"), 0);
        if (situation == RESETTING)
                assert_int_equal(write_to(OWNER_KEY, SVR_PSTAT, "{\"dos\":{\"s\":0}}"), 0);
}

/* ---- each property, each state, each connection ---- */

/* What comes of it: y done; a 4.01; b 4.00; f 4.03; m 4.05; . there is no such session. */
struct row {
        const char *name;
        enum svr_id id;
        const char *text; /* what is posted; of a DELETE, after a '?', the query */
        const char *cells[_SITUATION_N];
};

/* Those that only the device writes. */
#define SERVER_S "aaaaaaa", "a.aaaaa", "abaaaaa", "abbaaaa", "abbaabb", "aabaabb", "abbaabb"
/* Resource owners, in RFOTM and SRESET. */
#define ROWNER "aaaaaaa", "a.aaaaa", "ayaaaaa", "ayyaaaa", "affaaff", "aafaaff", "ayyaayy"
/* Credentials and entries: not in RFNOP. */
#define LIST "aaaaaaa", "a.aaaaa", "ayaaaaa", "ayyaaaa", "ayyaayy", "aafaaff", "ayyaayy"
/* What has no resource owner: the device's owner in RFOTM and SRESET, and who has an entry. */
#define UNOWNED "aaaaaaa", "a.aaaaa", "ayaaaaa", "ayyaaaa", "ayaaayy", "aaaaaff", "ayyaayy"
/* In every state that lets itself be left. */
#define ALWAYS "aaaaaaa", "a.aaaaa", "ayaaaaa", "ayyaaaa", "ayyaayy", "aayaayy", "ayyaayy"

/*                 RESET      RFOTM      taking     taken      RFPRO      RFNOP      SRESET */
/* In each: in clear, onboarding session, owner's PSK, another's PSK, certificate, with a role, with the
 * owner's. */
static const struct row rows[] = {
        { "doxm.oxms",
          SVR_DOXM,
          "{\"oxms\":[0]}",
          { "aaaaaaa", "b.aaaaa", "abaaaaa", "abbaaaa", "abbaabb", "aabaabb", "abbaabb" } },
        { "doxm.sct",
          SVR_DOXM,
          "{\"sct\":1}",
          { "aaaaaaa", "b.aaaaa", "abaaaaa", "abbaaaa", "abbaabb", "aabaabb", "abbaabb" } },
        { "doxm.oxmsel",
          SVR_DOXM,
          "{\"oxmsel\":1}",
          { "aaaaaaa", "y.aaaaa", "afaaaaa", "affaaaa", "affaaff", "aafaaff", "affaaff" } },
        { "doxm.owned",
          SVR_DOXM,
          "{\"owned\":true}",
          { "aaaaaaa", "f.aaaaa", "ayaaaaa", "ayfaaaa", "affaaff", "aafaaff", "affaaff" } },
        { "doxm.owned taken away",
          SVR_DOXM,
          "{\"owned\":false}",
          { "aaaaaaa", "f.aaaaa", "ayaaaaa", "ayfaaaa", "affaaff", "aafaaff", "affaaff" } },
        { "doxm.deviceuuid",
          SVR_DOXM,
          "{\"deviceuuid\":\"" THIRD "\"}",
          { "aaaaaaa", "f.aaaaa", "ayaaaaa", "ayfaaaa", "affaaff", "aafaaff", "affaaff" } },
        { "doxm.devowneruuid",
          SVR_DOXM,
          "{\"devowneruuid\":\"" OTHER "\"}",
          { "aaaaaaa", "f.aaaaa", "ayaaaaa", "ayfaaaa", "affaaff", "aafaaff", "affaaff" } },
        { "doxm.rowneruuid",
          SVR_DOXM,
          "{\"rowneruuid\":\"" OTHER "\"}",
          { "aaaaaaa", "f.aaaaa", "ayaaaaa", "ayfaaaa", "affaaff", "aafaaff", "ayyaayy" } },
        { "pstat.dos to RESET", SVR_PSTAT, "{\"dos\":{\"s\":0}}", { ALWAYS } },
        { "pstat.dos to RFOTM",
          SVR_PSTAT,
          "{\"dos\":{\"s\":1}}",
          { "aaaaaaa", "a.aaaaa", "ayaaaaa", "ayyaaaa", "affaaff", "aafaaff", "affaaff" } },
        { "pstat.dos to RFPRO",
          SVR_PSTAT,
          "{\"dos\":{\"s\":2}}",
          { "aaaaaaa", "a.aaaaa", "afaaaaa", "ayyaaaa", "ayyaayy", "aayaayy", "ayyaayy" } },
        { "pstat.dos to RFNOP",
          SVR_PSTAT,
          "{\"dos\":{\"s\":3}}",
          { "aaaaaaa", "a.aaaaa", "afaaaaa", "affaaaa", "ayyaayy", "aayaayy", "affaaff" } },
        { "pstat.dos to SRESET",
          SVR_PSTAT,
          "{\"dos\":{\"s\":4}}",
          { "aaaaaaa", "a.aaaaa", "afaaaaa", "affaaaa", "ayyaayy", "aayaayy", "ayyaayy" } },
        { "pstat.dos to nowhere", SVR_PSTAT, "{\"dos\":{\"s\":5}}", { SERVER_S } },
        { "pstat.dos.p", SVR_PSTAT, "{\"dos\":{\"p\":true}}", { SERVER_S } },
        { "pstat.cm", SVR_PSTAT, "{\"cm\":2}", { SERVER_S } },
        { "pstat.sm", SVR_PSTAT, "{\"sm\":4}", { SERVER_S } },
        { "pstat.isop", SVR_PSTAT, "{\"isop\":true}", { SERVER_S } },
        { "pstat.tm", SVR_PSTAT, "{\"tm\":64}", { ALWAYS } },
        { "pstat.om", SVR_PSTAT, "{\"om\":4}", { ALWAYS } },
        { "pstat.rowneruuid", SVR_PSTAT, "{\"rowneruuid\":\"" OTHER "\"}", { ROWNER } },
        { "pstat.rowneruuid with a jump",
          SVR_PSTAT,
          "{\"rowneruuid\":\"" OTHER "\",\"dos\":{\"s\":1}}",
          { "aaaaaaa", "a.aaaaa", "ayaaaaa", "ayyaaaa", "affaaff", "aafaaff", "affaaff" } },
        { "cred.rowneruuid", SVR_CRED, "{\"rowneruuid\":\"" OTHER "\"}", { ROWNER } },
        { "cred.creds",
          SVR_CRED,
          "{\"creds\":[{\"credtype\":1,\"subjectuuid\":\"" THIRD "\"," RAW "}]}",
          { LIST } },
        { "cred.creds, in another's place",
          SVR_CRED,
          "{\"creds\":[{\"credid\":7,\"credtype\":1,\"subjectuuid\":\"" THIRD "\"," RAW "}]}",
          { LIST } },
        { "cred deleted", SVR_CRED, "?credid=7", { LIST } },
        { "acl2.rowneruuid", SVR_ACL2, "{\"rowneruuid\":\"" OTHER "\"}", { ROWNER } },
        { "acl2.aclist2", SVR_ACL2, OPEN_TO_GUESTS, { LIST } },
        { "acl2 deleted", SVR_ACL2, "?", { LIST } },
        { "sp.currentprofile", SVR_SP, "{\"currentprofile\":\"1.3.6.1.4.1.51414.0.0.1.0\"}", { UNOWNED } },
        { "sp.supportedprofiles",
          SVR_SP,
          "{\"supportedprofiles\":[\"1.3.6.1.4.1.51414.0.0.1.0\"]}",
          { UNOWNED } },
        { "sdi.uuid",
          SVR_SDI,
          "{\"uuid\":\"" THIRD "\"}",
          { "aaaaaaa", "a.aaaaa", "ayaaaaa", "ayyaaaa", "afaaaff", "aaaaaff", "affaaff" } },
        { "sdi.name", SVR_SDI, "{\"name\":\"home\"}", { UNOWNED } },
        { "sdi.priv", SVR_SDI, "{\"priv\":true}", { UNOWNED } },
        { "ael.categoryfilter", SVR_AEL, "{\"categoryfilter\":1}", { UNOWNED } },
        { "ael.priorityfilter", SVR_AEL, "{\"priorityfilter\":1}", { UNOWNED } },
        { "roles",
          SVR_ROLES,
          ROLES,
          { "aaaaaaa", "a.aaaaa", "afaaaaa", "affaaaa", "afffyyy", "aaffyyy", "afffyyy" } },
        { "roles deleted",
          SVR_ROLES,
          "?",
          { "aaaaaaa", "a.aaaaa", "afaaaaa", "affaaaa", "afyyyyy", "aayyyyy", "afyyyyy" } },
        { "csr",
          SVR_CSR,
          "{}",
          { "aaaaaaa", "a.aaaaa", "amaaaaa", "ammaaaa", "amaaamm", "aaaaamm", "ammaamm" } },
};

static char letter(enum fault fault) {
        return fault == FAULT_NONE                 ? 'y'
               : fault == FAULT_NOT_AUTHORIZED     ? 'a'
               : fault == FAULT_BAD_REPRESENTATION ? 'b'
               : fault == FAULT_FORBIDDEN          ? 'f'
               : fault == FAULT_METHOD_NOT_ALLOWED ? 'm'
                                                   : '?';
}

static void test_each_update(void **state) {
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
                for (enum situation s = 0; s < _SITUATION_N; s++)
                        for (enum caller c = 0; c < _CALLER_N; c++) {
                                const struct row *row = &rows[i];
                                bool is_delete = row->text[0] == '?';
                                char wanted = row->cells[s][c], seen;

                                if (wanted == '.')
                                        continue;
                                bring_to(s);
                                if (row->id == SVR_ROLES) {
                                        replies[0] = replies[1];
                                        n_replies = 1;
                                }
                                remember();
                                seen = letter(attempt(c, is_delete ? COAP_DELETE : COAP_POST, row->id,
                                                      row->text + is_delete));
                                if (seen != wanted)
                                        fail_msg("%s, %s, %s: %c, not %c (%s)", row->name, situation_names[s],
                                                 caller_names[c], seen, wanted,
                                                 result.response.diagnostic ? result.response.diagnostic
                                                                            : "");
                                if (seen != 'y')
                                        assert_as_remembered();
                                n_replies = 0;
                        }
}

/* Whoever may not read either gets nothing, and a method that is not there opens nothing. */
static void test_no_method_goes_around(void **state) {
        static const uint8_t methods[] = {
                0, COAP_GET, COAP_PUT, COAP_FETCH, COAP_PATCH, COAP_IPATCH, 8, 31
        };

        for (enum situation s = 0; s < _SITUATION_N; s++)
                for (enum caller c = 0; c < _CALLER_N; c++)
                        for (enum svr_id id = 0; id < _SVR_N; id++)
                                for (size_t i = 0; i < ARRAY_SIZE(methods); i++) {
                                        enum fault fault;

                                        if (s == FOR_SALE && c == TAKER)
                                                continue;
                                        bring_to(s);
                                        replies[0] = (struct svr_reply){ .kind = SVR_NEED_CSR,
                                                                         .ok = true,
                                                                         .bytes = SPAN_LITERAL("x") };
                                        n_replies = 1;
                                        remember();
                                        fault = try_rep(c, methods[i], id, "", SPAN_LITERAL("\xa0"));
                                        assert_as_remembered();
                                        if (methods[i] != COAP_GET)
                                                assert_true(fault == FAULT_NOT_AUTHORIZED ||
                                                            fault == FAULT_METHOD_NOT_ALLOWED);
                                        else if (c == IN_CLEAR && s != FOR_SALE)
                                                assert_int_equal(fault, FAULT_NOT_AUTHORIZED);
                                        else if (c == OTHER_KEY && id != SVR_ROLES)
                                                assert_int_equal(fault, FAULT_NOT_AUTHORIZED);
                                        n_replies = 0;
                                }
}

/* ---- states ---- */

/* security.md 2.2, the strict column; a device without an owner goes nowhere but back. */
static void test_jumps(void **state) {
        static const char *const ways[] = {
                [PROVISIONING] = "ynyyy", [OPERATING] = "ynyyy",    [SOFT_RESET] = "ynyny",
                [TAKING] = "yynnn",       [ALMOST_TAKEN] = "yyynn", [RESETTING] = "nnnnn",
        };
        static const char *const targets[] = { "{\"dos\":{\"s\":0}}", "{\"dos\":{\"s\":1}}",
                                               "{\"dos\":{\"s\":2}}", "{\"dos\":{\"s\":3}}",
                                               "{\"dos\":{\"s\":4}}" };
        static const char *const odd[] = {
                "{\"dos\":{\"s\":-1}}",
                "{\"dos\":{\"s\":4294967296}}",
                "{\"dos\":{\"s\":3.0}}",
                "{\"dos\":{\"s\":[3]}}",
                "{\"dos\":{}}",
                "{\"dos\":[3]}",
                "{\"dos\":3}",
                "{\"dos\":{\"s\":3,\"x\":1}}",
                "{\"s\":3}",
                "{\"dos\":{\"ss\":3}}",
                "{\"dos\":null}",
                "{\"dos\":{\"s\":null}}",
        };

        for (enum situation s = 0; s < _SITUATION_N; s++) {
                enum caller who = s >= PROVISIONING ? OWNER_KEY : TAKER;

                for (size_t i = 0; ways[s] && i < ARRAY_SIZE(targets); i++) {
                        bring_to(s);
                        remember();
                        if ((write_to(who, SVR_PSTAT, targets[i]) == FAULT_NONE) != (ways[s][i] == 'y'))
                                fail_msg("%s: %s", situation_names[s], targets[i]);
                        if (ways[s][i] != 'y')
                                assert_as_remembered();
                        else if (i)
                                assert_int_equal(svr.machine.state, i);
                        else
                                assert_true(svr.machine.pending);
                }
                for (size_t i = 0; ways[s] && i < ARRAY_SIZE(odd); i++) {
                        bring_to(s);
                        remember();
                        assert_int_not_equal(write_to(who, SVR_PSTAT, odd[i]), FAULT_NONE);
                        assert_as_remembered();
                }
        }
}

/* An ownership that is not finished in time, or whose session is lost, is undone (CT1.7.12.5). */
static void test_a_transfer_that_is_not_finished(void **state) {
        struct uuid next_life = uuid(THIRD);

        bring_to(ALMOST_TAKEN);
        assert_int_equal(svr_machine_due(&svr.machine, now_ms + SVR_TRANSFER_MAX_MS - 1), SVR_DUE_NOTHING);
        assert_int_equal(svr_machine_due(&svr.machine, now_ms + SVR_TRANSFER_MAX_MS), SVR_DUE_RESET);
        assert_int_equal(write_to(TAKER, SVR_PSTAT, "{\"dos\":{\"s\":2}}"), FAULT_NOT_AUTHORIZED);
        svr_reset(&svr, &next_life);
        assert_false(svr.doxm.owned);
        assert_int_equal(svr.n_creds, 0);
        for (size_t i = 0; i < SVR_OWNED_N; i++)
                assert_true(uuid_is_nil(&svr.rowner[i]));
        bring_to(ALMOST_TAKEN);
        svr_machine_transfer_lost(&svr.machine, now_ms);
        assert_int_equal(write_to(TAKER, SVR_PSTAT, "{\"dos\":{\"s\":2}}"), FAULT_NOT_AUTHORIZED);
        assert_int_equal(svr_machine_due(&svr.machine, now_ms), SVR_DUE_RESET);
}

/* From RFPRO on nobody's going away undoes anything. */
static void test_a_finished_transfer_is_not_lost(void **state) {
        for (enum situation s = PROVISIONING; s < _SITUATION_N; s++) {
                bring_to(s);
                remember();
                svr_machine_transfer_lost(&svr.machine, now_ms);
                assert_int_equal(svr_machine_due(&svr.machine, now_ms + 10 * SVR_TRANSFER_MAX_MS),
                                 SVR_DUE_NOTHING);
                assert_as_remembered();
        }
}

/* Datagrams in clear, from whomever, neither block nor reset a transfer, nor change its method under way. */
static void test_a_spoofed_datagram_during_a_transfer(void **state) {
        static const char *const texts[] = { "{\"oxmsel\":1}",      "{\"oxmsel\":4}",
                                             "{\"owned\":false}",   "{}",
                                             "{\"dos\":{\"s\":0}}", "[]" };
        uint64_t until;

        bring_to(FOR_SALE);
        assert_int_equal(write_to(IN_CLEAR, SVR_DOXM, "{\"oxmsel\":0}"), 0);
        svr.handshaking = true; /* a handshake is going on, and not verified yet */
        remember();
        assert_int_equal(write_to(IN_CLEAR, SVR_DOXM, "{\"oxmsel\":1}"), FAULT_FORBIDDEN);
        assert_int_equal(svr_machine_due(&svr.machine, now_ms + 10 * SVR_TRANSFER_MAX_MS), SVR_DUE_NOTHING);
        assert_as_remembered();
        svr.handshaking = false;

        bring_to(TAKING);
        until = svr.machine.transfer_until;
        for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
                for (enum svr_id id = 0; id < _SVR_N; id++) {
                        remember();
                        assert_int_equal(write_to(IN_CLEAR, id, texts[i]), FAULT_NOT_AUTHORIZED);
                        assert_int_equal(attempt(IN_CLEAR, COAP_DELETE, id, ""), FAULT_NOT_AUTHORIZED);
                        assert_as_remembered();
                }
        svr_machine_transfer_began(&svr.machine, now_ms + 1000); /* a second one does not prolong the first */
        assert_true(svr.machine.transfer_until == until);
        assert_int_equal(write_to(TAKER, SVR_PSTAT, "{\"om\":4}"), 0);
}

/* Somebody with a cookie and no PIN keeps a handshake going: the tool can still choose the PIN, and no other
 * is drawn. */
static void test_a_handshake_that_is_kept_going(void **state) {
        bring_to(FOR_SALE);
        assert_int_equal(write_to(IN_CLEAR, SVR_DOXM, "{\"oxmsel\":1}"), 0);
        assert_true(result.effects & SVR_EFFECT_PIN);
        svr.handshaking = true;
        remember();
        assert_int_equal(write_to(IN_CLEAR, SVR_DOXM, "{\"oxmsel\":0}"), FAULT_FORBIDDEN);
        assert_int_equal(write_to(IN_CLEAR, SVR_DOXM, "{\"oxmsel\":1}"), 0);
        assert_int_equal(result.effects, 0);
        assert_as_remembered();
        svr.handshaking = false;
        assert_int_equal(write_to(IN_CLEAR, SVR_DOXM, "{\"oxmsel\":1}"), 0);
        assert_true(result.effects & SVR_EFFECT_PIN);
}

/* ---- owners ---- */

/* Whoever comes second does not get an owned device, not even with a session that calls itself onboarding. */
static void test_a_second_owner(void **state) {
        static const char *const texts[] = { "{\"devowneruuid\":\"" OTHER "\"}", "{\"owned\":false}",
                                             "{\"oxmsel\":0}", "{\"deviceuuid\":\"" THIRD "\"}" };

        for (enum situation s = PROVISIONING; s < _SITUATION_N; s++)
                for (enum caller c = 0; c < _CALLER_N; c++)
                        for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
                                bring_to(s);
                                svr_machine_transfer_began(&svr.machine, now_ms);
                                assert_false(svr.machine.transfer);
                                remember();
                                assert_int_not_equal(write_to(c, SVR_DOXM, texts[i]), FAULT_NONE);
                                assert_as_remembered();
                        }
}

/* In RFNOP the rights of the onboarding session are over, also if the daemon has not closed it yet. */
static void test_the_onboarding_session_after_rfnop(void **state) {
        bring_to(OPERATING);
        for (enum svr_id id = 0; id < _SVR_N; id++) {
                remember();
                assert_int_equal(try_rep(TAKER, COAP_GET, id, "", SPAN_NULL), FAULT_NOT_AUTHORIZED);
                assert_int_equal(write_to(TAKER, id, "{}"), FAULT_NOT_AUTHORIZED);
                assert_as_remembered();
        }
        assert_int_equal(write_to(OWNER_KEY, SVR_PSTAT, "{\"dos\":{\"s\":2}}"), 0);
        sessions[TAKER].onboarding = false; /* what SVR_EFFECT_STATE says to do */
        assert_int_equal(write_to(TAKER, SVR_PSTAT, "{\"dos\":{\"s\":3}}"), FAULT_NOT_AUTHORIZED);
}

/* All resources go to another owner; what the old one may do then is what a device owner may: repair. */
static void test_the_old_owner_after_a_change(void **state) {
        static const enum svr_id owned[] = { SVR_DOXM, SVR_PSTAT, SVR_CRED, SVR_ACL2 };

        bring_to(SOFT_RESET);
        for (size_t i = ARRAY_SIZE(owned); i-- > 0;)
                assert_int_equal(write_to(OWNER_KEY, owned[i], "{\"rowneruuid\":\"" OTHER "\"}"), 0);
        assert_int_equal(write_to(OTHER_KEY, SVR_PSTAT, "{\"dos\":{\"s\":2}}"), 0);
        for (unsigned round = 0; round < 2; round++) { /* RFPRO, RFNOP */
                for (size_t i = 0; i < ARRAY_SIZE(owned); i++) {
                        remember();
                        assert_int_equal(try_rep(OWNER_KEY, COAP_GET, owned[i], "", SPAN_NULL),
                                         FAULT_NOT_AUTHORIZED);
                        assert_int_equal(write_to(OWNER_KEY, owned[i], "{\"dos\":{\"s\":0}}"),
                                         FAULT_NOT_AUTHORIZED);
                        assert_int_equal(attempt(OWNER_KEY, COAP_DELETE, owned[i], ""), FAULT_NOT_AUTHORIZED);
                        assert_as_remembered();
                }
                if (!round)
                        assert_int_equal(write_to(OTHER_KEY, SVR_PSTAT, "{\"dos\":{\"s\":3}}"), 0);
        }
        /* The new owner takes the old one's key away: then nothing of it is left. */
        assert_int_equal(write_to(OTHER_KEY, SVR_PSTAT, "{\"dos\":{\"s\":2}}"), 0);
        for (size_t i = 0; i < svr.n_creds; i++)
                if (cred_is_about(svr.creds[i], uuid_at(OWNER))) {
                        char query[32];

                        snprintf(query, sizeof(query), "credid=%d", (int)svr.creds[i]->id);
                        assert_int_equal(attempt(OTHER_KEY, COAP_DELETE, SVR_CRED, query), 0);
                        break;
                }
        assert_null(svr_find_psk(&svr, uuid_at(OWNER)));
        assert_int_equal(write_to(OTHER_KEY, SVR_PSTAT, "{\"dos\":{\"s\":3}}"), 0);
}

/* Each of the four has to be somebody who can come back; the device would be sealed at its next start else.
 */
static void test_an_owner_without_a_credential(void **state) {
        static const enum svr_id owned[] = { SVR_DOXM, SVR_PSTAT, SVR_CRED, SVR_ACL2 };
        static const char *const texts[] = { "{\"rowneruuid\":\"" THIRD "\"}",
                                             "{\"rowneruuid\":\"" NIL "\"}" };

        for (size_t i = 0; i < ARRAY_SIZE(owned); i++)
                for (size_t k = 0; k < ARRAY_SIZE(texts); k++) {
                        bring_to(SOFT_RESET);
                        remember();
                        assert_int_equal(write_to(OWNER_KEY, owned[i], texts[k]), FAULT_FORBIDDEN);
                        assert_as_remembered();
                }
        bring_to(SOFT_RESET); /* with its credential in the same request it may */
        assert_int_equal(write_to(OWNER_KEY, SVR_CRED,
                                  "{\"rowneruuid\":\"" THIRD
                                  "\",\"creds\":[{\"credtype\":1,\"subjectuuid\":\"" THIRD "\"," RAW "}]}"),
                         0);
        assert_int_equal(svr_check(&svr), 0);
}

/* ---- the credential of the session in use ---- */

static void test_the_credential_in_use_is_deleted(void **state) {
        bring_to(PROVISIONING);
        assert_int_equal(attempt(OWNER_KEY, COAP_DELETE, SVR_CRED, "credid=7"), 0);
        assert_true(result.effects & SVR_EFFECT_CREDS); /* the session of OTHER is closed */
        assert_null(svr_find_psk(&svr, uuid_at(OTHER)));
        /* The owner's own, the last one, with all others, or another's put into its place: none of it. */
        bring_to(PROVISIONING);
        svr.creds[0]->id = 9;
        remember();
        assert_int_equal(attempt(OWNER_KEY, COAP_DELETE, SVR_CRED, "credid=9"), FAULT_FORBIDDEN);
        assert_int_equal(attempt(OWNER_KEY, COAP_DELETE, SVR_CRED, ""), FAULT_FORBIDDEN);
        assert_int_equal(write_to(OWNER_KEY, SVR_CRED,
                                  "{\"creds\":[{\"credid\":9,\"credtype\":1,\"subjectuuid\":\"" THIRD
                                  "\"," RAW "}]}"),
                         FAULT_FORBIDDEN);
        assert_as_remembered();
        /* A new key for itself is fine, and ends the session that used the old one. */
        assert_int_equal(write_to(OWNER_KEY, SVR_CRED,
                                  "{\"creds\":[{\"credid\":9,\"credtype\":1,\"subjectuuid\":\"" OWNER
                                  "\"," RAW "}]}"),
                         0);
        assert_true(result.effects & SVR_EFFECT_CREDS);
        assert_true(span_equal_string(svr_find_psk(&svr, uuid_at(OWNER))->secret, KEY));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_teardown(test_each_update, leave),
                cmocka_unit_test_teardown(test_no_method_goes_around, leave),
                cmocka_unit_test_teardown(test_jumps, leave),
                cmocka_unit_test_teardown(test_a_transfer_that_is_not_finished, leave),
                cmocka_unit_test_teardown(test_a_finished_transfer_is_not_lost, leave),
                cmocka_unit_test_teardown(test_a_spoofed_datagram_during_a_transfer, leave),
                cmocka_unit_test_teardown(test_a_handshake_that_is_kept_going, leave),
                cmocka_unit_test_teardown(test_a_second_owner, leave),
                cmocka_unit_test_teardown(test_the_onboarding_session_after_rfnop, leave),
                cmocka_unit_test_teardown(test_the_old_owner_after_a_change, leave),
                cmocka_unit_test_teardown(test_an_owner_without_a_credential, leave),
                cmocka_unit_test_teardown(test_the_credential_in_use_is_deleted, leave),
        };
        int r = cmocka_run_group_tests_name("svr-attacks", tests, NULL, NULL);

        for (enum caller c = 0; c < _CALLER_N; c++)
                svr_session_deinit(&sessions[c]);
        return r;
}
