#include "svr_fixture.h"

#include "protocol/coap_code.h"
#include "security/access.h"

/* Who asks. */
enum caller { IN_CLEAR, OWNER_S, OTHER_S, NOBODY_S, TAKING, ROLE_S, OWNER_ROLE_S };

static char role_name[] = "myrole", authority_name[] = "myauth", owner_name[] = "oic.role.owner";

static struct svr_session session_of(enum caller caller) {
        struct svr_session s = { 0 };

        switch (caller) {
        case IN_CLEAR:
        case NOBODY_S:
                break;
        case OWNER_S:
                s.id = uuid(OWNER);
                break;
        case TAKING:
                s.onboarding = true;
                break;
        case OTHER_S:
                s.id = uuid(OTHER);
                break;
        case ROLE_S:
        case OWNER_ROLE_S:
                s.id = uuid(OTHER);
                s.by_certificate = true;
                s.n_roles = 1;
                s.roles[0] = (struct svr_role){ .role = caller == ROLE_S ? role_name : owner_name,
                                                .authority = authority_name,
                                                .is_owner = caller == OWNER_ROLE_S,
                                                .until_s = 2000000000 };
                break;
        }
        return s;
}

#define CORE .resource_is_core = true, .resource_is_discoverable = true
#define LIGHT                                                                                                \
        .href = SPAN_LITERAL("/a/light"), .resource_is_discoverable = true,                                  \
        .resource_has_secure_endpoint = true
#define INSECURE .resource_is_insecure = true, .allow_insecure = true, .resource_has_plain_endpoint = true
#define SVR(x)   .href = SPAN_LITERAL("/oic/sec/" x)
#define UUID_ACE(p, r)                                                                                       \
        "{\"aceid\":7,\"subject\":{\"uuid\":\"" OTHER "\"},\"permission\":" p ",\"resources\":[" r "]}"
#define CONN_ACE(c, p, r)                                                                                    \
        "{\"aceid\":7,\"subject\":{\"conntype\":\"" c "\"},\"permission\":" p ",\"resources\":[" r "]}"
#define ROLE_ACE(a)                                                                                          \
        "{\"aceid\":7,\"subject\":{\"role\":\"myrole\"" a "},\"permission\":2,\"resources\":[{\"wc\":\"*\"}" \
        "]}"
#define TIME_ACE(v)                                                                                          \
        "{\"aceid\":7,\"subject\":{\"uuid\":\"" OTHER                                                        \
        "\"},\"permission\":2,\"resources\":[{\"wc\":\"*\"}],\"validity\":[" v "]}"
#define H     "{\"href\":\"/a/light\"}"
#define WC(x) "{\"wc\":\"" x "\"}"

struct row {
        const char *sentence;
        enum svr_state in;
        enum caller caller;
        const char *ace; /* the only entry; NULL: none */
        struct access_question q;
        enum access_reason reason;
};

/* In RFNOP: 1780000000 is 2026-05-28T20:26:40Z, a Thursday. */
static const struct row rows[] = {
        /* implicit rights, security.md 3.2 */
        { "doxm is written in clear before the transfer",
          SVR_RFOTM,
          IN_CLEAR,
          NULL,
          { SVR("doxm"), .method = COAP_POST },
          ACCESS_GRANTED_TRANSFER },
        { "pstat is read",
          SVR_RFOTM,
          IN_CLEAR,
          NULL,
          { SVR("pstat"), .method = COAP_GET },
          ACCESS_GRANTED_TRANSFER },
        { "but not written",
          SVR_RFOTM,
          IN_CLEAR,
          NULL,
          { SVR("pstat"), .method = COAP_POST },
          ACCESS_DENIED_NOT_ONBOARDED },
        { "cred never in clear",
          SVR_RFOTM,
          IN_CLEAR,
          NULL,
          { SVR("cred"), .method = COAP_GET },
          ACCESS_DENIED_NOT_ONBOARDED },
        { "maintenance neither",
          SVR_RFOTM,
          IN_CLEAR,
          NULL,
          { .href = SPAN_LITERAL("/oic/mnt"), .resource = ACCESS_DCR, .method = COAP_GET },
          ACCESS_DENIED_NOT_ONBOARDED },
        { "discovery",
          SVR_RFOTM,
          IN_CLEAR,
          NULL,
          { CORE, .href = SPAN_LITERAL("/oic/d"), .method = COAP_GET },
          ACCESS_GRANTED_DISCOVERY },
        { "plain access stays",
          SVR_RFOTM,
          IN_CLEAR,
          NULL,
          { LIGHT, INSECURE, .method = COAP_GET },
          ACCESS_GRANTED_INSECURE },
        { "plain access stays closed",
          SVR_RFOTM,
          IN_CLEAR,
          NULL,
          { LIGHT, .method = COAP_GET },
          ACCESS_DENIED_NOT_INSECURE },
        { "the onboarding session",
          SVR_RFOTM,
          TAKING,
          NULL,
          { SVR("cred"), .method = COAP_POST },
          ACCESS_GRANTED_ONBOARDING },
        { "does not reach apps",
          SVR_RFOTM,
          TAKING,
          NULL,
          { LIGHT, .method = COAP_GET },
          ACCESS_DENIED_NOT_OPERATIONAL },
        { "goes on through RFPRO",
          SVR_RFPRO,
          TAKING,
          NULL,
          { SVR("acl2"), .method = COAP_DELETE },
          ACCESS_GRANTED_ONBOARDING },
        { "and ends with RFNOP",
          SVR_RFNOP,
          TAKING,
          NULL,
          { SVR("acl2"), .method = COAP_GET },
          ACCESS_DENIED_NO_ENTRY },
        { "another session in RFOTM",
          SVR_RFOTM,
          OTHER_S,
          NULL,
          { SVR("cred"), .method = COAP_GET },
          ACCESS_DENIED_NOT_ONBOARDED },
        { "a secure resource in clear",
          SVR_RFNOP,
          IN_CLEAR,
          CONN_ACE("anon-clear", "2", "{\"href\":\"/oic/sec/doxm\"}"),
          { SVR("doxm"), .method = COAP_GET },
          ACCESS_DENIED_NOT_SECURE },
        { "the resource owner",
          SVR_RFNOP,
          OWNER_S,
          NULL,
          { SVR("acl2"), .method = COAP_POST },
          ACCESS_GRANTED_RESOURCE_OWNER },
        { "the resource owner",
          SVR_RFNOP,
          OWNER_S,
          NULL,
          { SVR("pstat"), .method = COAP_POST },
          ACCESS_GRANTED_RESOURCE_OWNER },
        { "csr has no owner of its own",
          SVR_RFNOP,
          OWNER_S,
          NULL,
          { SVR("csr"), .method = COAP_GET },
          ACCESS_DENIED_NO_ENTRY },
        { "but in SRESET the device's owner",
          SVR_SRESET,
          OWNER_S,
          NULL,
          { SVR("csr"), .method = COAP_GET },
          ACCESS_GRANTED_DEVICE_OWNER },
        { "nobody else",
          SVR_RFNOP,
          OTHER_S,
          NULL,
          { SVR("cred"), .method = COAP_GET },
          ACCESS_DENIED_NO_ENTRY },
        { "nobody is nil",
          SVR_RFNOP,
          NOBODY_S,
          NULL,
          { SVR("doxm"), .method = COAP_GET },
          ACCESS_DENIED_NO_ENTRY },
        { "one's own roles",
          SVR_RFNOP,
          OTHER_S,
          NULL,
          { SVR("roles"), .method = COAP_POST },
          ACCESS_GRANTED_OWN_ROLES },
        { "nobody has none",
          SVR_RFNOP,
          NOBODY_S,
          NULL,
          { SVR("roles"), .method = COAP_GET },
          ACCESS_DENIED_NO_ENTRY },
        { "the owner's role",
          SVR_RFNOP,
          OWNER_ROLE_S,
          NULL,
          { LIGHT, .method = COAP_DELETE },
          ACCESS_GRANTED_OWNER_ROLE },
        { "but not before normal operation",
          SVR_RFPRO,
          OWNER_ROLE_S,
          NULL,
          { LIGHT, .method = COAP_GET },
          ACCESS_DENIED_NOT_OPERATIONAL },
        { "apps wait for RFNOP",
          SVR_RFPRO,
          OTHER_S,
          UUID_ACE("31", H),
          { LIGHT, .method = COAP_GET },
          ACCESS_DENIED_NOT_OPERATIONAL },
        { "in clear too",
          SVR_SRESET,
          IN_CLEAR,
          CONN_ACE("anon-clear", "31", H),
          { LIGHT, INSECURE, .method = COAP_GET },
          ACCESS_DENIED_NOT_OPERATIONAL },
        { "local apps always",
          SVR_RFPRO,
          IN_CLEAR,
          NULL,
          { LIGHT, .subject = ACCESS_LOCAL, .method = COAP_GET },
          ACCESS_GRANTED_LOCAL },
        /* subjects, 3.3 */
        { "a uuid",
          SVR_RFNOP,
          OTHER_S,
          UUID_ACE("2", H),
          { LIGHT, .method = COAP_GET },
          ACCESS_GRANTED_ENTRY },
        { "another uuid",
          SVR_RFNOP,
          OWNER_S,
          UUID_ACE("2", H),
          { LIGHT, .method = COAP_GET },
          ACCESS_DENIED_OTHER_SUBJECT },
        { "a uuid for a secure resource",
          SVR_RFNOP,
          OTHER_S,
          UUID_ACE("2", "{\"href\":\"/oic/sec/csr\"}"),
          { SVR("csr"), .method = COAP_GET },
          ACCESS_GRANTED_ENTRY },
        { "auth-crypt",
          SVR_RFNOP,
          OTHER_S,
          CONN_ACE("auth-crypt", "2", H),
          { LIGHT, .method = COAP_GET },
          ACCESS_GRANTED_ENTRY },
        { "not in clear",
          SVR_RFNOP,
          IN_CLEAR,
          CONN_ACE("auth-crypt", "2", H),
          { LIGHT, INSECURE, .method = COAP_GET },
          ACCESS_DENIED_OTHER_SUBJECT },
        { "not for secure resources",
          SVR_RFNOP,
          OTHER_S,
          CONN_ACE("auth-crypt", "31", "{\"href\":\"/oic/sec/cred\"}"),
          { SVR("cred"), .method = COAP_GET },
          ACCESS_DENIED_OTHER_SUBJECT },
        { "anon-clear, of /oic/d",
          SVR_RFNOP,
          IN_CLEAR,
          CONN_ACE("anon-clear", "2", "{\"href\":\"/oic/d\"}"),
          { CORE, .href = SPAN_LITERAL("/oic/d"), .method = COAP_GET },
          ACCESS_GRANTED_ENTRY },
        { "holds over a channel too",
          SVR_RFNOP,
          OTHER_S,
          CONN_ACE("anon-clear", "2", "{\"href\":\"/oic/d\"}"),
          { CORE, .href = SPAN_LITERAL("/oic/d"), .method = COAP_GET },
          ACCESS_GRANTED_ENTRY },
        { "anon-clear alone does not open an app's resource",
          SVR_RFNOP,
          IN_CLEAR,
          CONN_ACE("anon-clear", "2", H),
          { LIGHT, .method = COAP_GET },
          ACCESS_DENIED_NOT_INSECURE },
        { "nor where the administrator says no",
          SVR_RFNOP,
          IN_CLEAR,
          CONN_ACE("anon-clear", "2", H),
          { LIGHT, .resource_is_insecure = true, .method = COAP_GET },
          ACCESS_DENIED_NOT_ALLOWED },
        { "all three do",
          SVR_RFNOP,
          IN_CLEAR,
          CONN_ACE("anon-clear", "2", H),
          { LIGHT, INSECURE, .method = COAP_GET },
          ACCESS_GRANTED_ENTRY },
        { "two of three do not",
          SVR_RFNOP,
          IN_CLEAR,
          NULL,
          { LIGHT, INSECURE, .method = COAP_GET },
          ACCESS_DENIED_NO_ENTRY },
        { "introspection needs only the entry",
          SVR_RFNOP,
          IN_CLEAR,
          CONN_ACE("anon-clear", "2", WC("*")),
          { .href = SPAN_LITERAL("/oc/wk/introspection"), .resource = ACCESS_NCR, .method = COAP_GET },
          ACCESS_GRANTED_ENTRY },
        { "a role",
          SVR_RFNOP,
          ROLE_S,
          ROLE_ACE(",\"authority\":\"myauth\""),
          { LIGHT, .method = COAP_GET },
          ACCESS_GRANTED_ENTRY },
        { "of any authority",
          SVR_RFNOP,
          ROLE_S,
          ROLE_ACE(""),
          { LIGHT, .method = COAP_GET },
          ACCESS_GRANTED_ENTRY },
        { "of another authority",
          SVR_RFNOP,
          ROLE_S,
          ROLE_ACE(",\"authority\":\"x\""),
          { LIGHT, .method = COAP_GET },
          ACCESS_DENIED_OTHER_SUBJECT },
        { "whose certificate has ended",
          SVR_RFNOP,
          ROLE_S,
          ROLE_ACE(""),
          { LIGHT, .method = COAP_GET, .wall_s = 2000000001 },
          ACCESS_DENIED_OTHER_SUBJECT },
        { "the role of a key",
          SVR_RFNOP,
          OWNER_S,
          ROLE_ACE(""),
          { LIGHT, .method = COAP_GET },
          ACCESS_GRANTED_ENTRY },
        { "no role",
          SVR_RFNOP,
          OTHER_S,
          ROLE_ACE(""),
          { LIGHT, .method = COAP_GET },
          ACCESS_DENIED_OTHER_SUBJECT },
        /* resources, 3.4 */
        { "another href",
          SVR_RFNOP,
          OTHER_S,
          UUID_ACE("2", "{\"href\":\"/a/Light\"}"),
          { LIGHT, .method = COAP_GET },
          ACCESS_DENIED_NO_ENTRY },
        { "* is all",
          SVR_RFNOP,
          OTHER_S,
          UUID_ACE("2", WC("*")),
          { .href = SPAN_LITERAL("/hidden"), .method = COAP_GET },
          ACCESS_GRANTED_ENTRY },
        { "but nothing that configures",
          SVR_RFNOP,
          OTHER_S,
          UUID_ACE("2", WC("*")),
          { .href = SPAN_LITERAL("/oic/mnt"), .resource = ACCESS_DCR, .method = COAP_GET },
          ACCESS_DENIED_NO_ENTRY },
        { "no secure resource",
          SVR_RFNOP,
          OTHER_S,
          UUID_ACE("31", WC("*")),
          { SVR("cred"), .method = COAP_GET },
          ACCESS_DENIED_NO_ENTRY },
        { "no core resource",
          SVR_RFNOP,
          OTHER_S,
          UUID_ACE("31", WC("*")),
          { CORE, .href = SPAN_LITERAL("/oic/d"), .method = COAP_GET },
          ACCESS_DENIED_NO_ENTRY },
        { "+ is what has a secure endpoint",
          SVR_RFNOP,
          OTHER_S,
          UUID_ACE("2", WC("+")),
          { LIGHT, .method = COAP_GET },
          ACCESS_GRANTED_ENTRY },
        { "- is what has a plain one",
          SVR_RFNOP,
          OTHER_S,
          UUID_ACE("2", WC("-")),
          { LIGHT, .method = COAP_GET },
          ACCESS_DENIED_NO_ENTRY },
        { "- is what has a plain one",
          SVR_RFNOP,
          OTHER_S,
          UUID_ACE("2", WC("-")),
          { LIGHT, INSECURE, .method = COAP_GET },
          ACCESS_GRANTED_ENTRY },
        { "+ not the hidden",
          SVR_RFNOP,
          OTHER_S,
          UUID_ACE("2", WC("+")),
          { .href = SPAN_LITERAL("/h"), .resource_has_secure_endpoint = true, .method = COAP_GET },
          ACCESS_DENIED_NO_ENTRY },
        { "both must fit",
          SVR_RFNOP,
          OTHER_S,
          UUID_ACE("2", "{\"href\":\"/a/light\",\"wc\":\"-\"}"),
          { LIGHT, .method = COAP_GET },
          ACCESS_DENIED_NO_ENTRY },
        { "no resource at all",
          SVR_RFNOP,
          OTHER_S,
          UUID_ACE("31", ""),
          { LIGHT, .method = COAP_GET },
          ACCESS_DENIED_NO_ENTRY },
        /* methods, 3.5 */
        { "reading needs 2",
          SVR_RFNOP,
          OTHER_S,
          UUID_ACE("29", H),
          { LIGHT, .method = COAP_GET },
          ACCESS_DENIED_NO_PERMISSION },
        { "updating needs 4",
          SVR_RFNOP,
          OTHER_S,
          UUID_ACE("4", H),
          { LIGHT, .method = COAP_POST },
          ACCESS_GRANTED_ENTRY },
        { "not 1",
          SVR_RFNOP,
          OTHER_S,
          UUID_ACE("27", H),
          { LIGHT, .method = COAP_POST },
          ACCESS_DENIED_NO_PERMISSION },
        { "creating needs 1",
          SVR_RFNOP,
          OTHER_S,
          UUID_ACE("1", H),
          { LIGHT, .method = COAP_POST, .creates = true },
          ACCESS_GRANTED_ENTRY },
        { "not 4",
          SVR_RFNOP,
          OTHER_S,
          UUID_ACE("4", H),
          { LIGHT, .method = COAP_POST, .creates = true },
          ACCESS_DENIED_NO_PERMISSION },
        { "deleting needs 8",
          SVR_RFNOP,
          OTHER_S,
          UUID_ACE("8", H),
          { LIGHT, .method = COAP_DELETE },
          ACCESS_GRANTED_ENTRY },
        { "not 7",
          SVR_RFNOP,
          OTHER_S,
          UUID_ACE("23", H),
          { LIGHT, .method = COAP_DELETE },
          ACCESS_DENIED_NO_PERMISSION },
        { "a method that nobody knows",
          SVR_RFNOP,
          OTHER_S,
          UUID_ACE("31", H),
          { LIGHT, .method = 9 },
          ACCESS_DENIED_NO_PERMISSION },
        /* time, 3.7 */
        { "within the period",
          SVR_RFNOP,
          OTHER_S,
          TIME_ACE("{\"period\":\"20260501T000000Z/20260601T000000Z\"}"),
          { LIGHT, .method = COAP_GET, .wall_s = 1780000000 },
          ACCESS_GRANTED_ENTRY },
        { "after it",
          SVR_RFNOP,
          OTHER_S,
          TIME_ACE("{\"period\":\"20260501T000000Z/20260502T000000Z\"}"),
          { LIGHT, .method = COAP_GET, .wall_s = 1780000000 },
          ACCESS_DENIED_NOT_NOW },
        { "without a clock",
          SVR_RFNOP,
          OTHER_S,
          TIME_ACE("{\"period\":\"20260501T000000Z/20260601T000000Z\"}"),
          { LIGHT, .method = COAP_GET, .wall_s = -1 },
          ACCESS_DENIED_NOT_NOW },
        { "every day from 8 to 21",
          SVR_RFNOP,
          OTHER_S,
          TIME_ACE("{\"period\":\"20260101T080000Z/20260101T210000Z\",\"recurrence\":[\"FREQ=DAILY\"]}"),
          { LIGHT, .method = COAP_GET, .wall_s = 1780000000 },
          ACCESS_GRANTED_ENTRY },
        { "from 8 to 17",
          SVR_RFNOP,
          OTHER_S,
          TIME_ACE("{\"period\":\"20260101T080000Z/20260101T170000Z\",\"recurrence\":[\"FREQ=DAILY\"]}"),
          { LIGHT, .method = COAP_GET, .wall_s = 1780000000 },
          ACCESS_DENIED_NOT_NOW },
        { "on Thursdays",
          SVR_RFNOP,
          OTHER_S,
          TIME_ACE("{\"period\":\"20260101T080000Z/"
                   "20260101T210000Z\",\"recurrence\":[\"FREQ=DAILY;BYDAY=MO,TH\"]}"),
          { LIGHT, .method = COAP_GET, .wall_s = 1780000000 },
          ACCESS_GRANTED_ENTRY },
        { "on Fridays",
          SVR_RFNOP,
          OTHER_S,
          TIME_ACE("{\"period\":\"20260101T080000Z/"
                   "20260101T210000Z\",\"recurrence\":[\"FREQ=DAILY;BYDAY=FR\"]}"),
          { LIGHT, .method = COAP_GET, .wall_s = 1780000000 },
          ACCESS_DENIED_NOT_NOW },
        { "until April",
          SVR_RFNOP,
          OTHER_S,
          TIME_ACE("{\"period\":\"20260101T080000Z/"
                   "20260101T210000Z\",\"recurrence\":[\"FREQ=DAILY;UNTIL=20260401T000000Z\"]}"),
          { LIGHT, .method = COAP_GET, .wall_s = 1780000000 },
          ACCESS_DENIED_NOT_NOW },
        { "one of several suffices",
          SVR_RFNOP,
          OTHER_S,
          TIME_ACE("{\"period\":\"20200101T080000Z/20200101T210000Z\"},{\"period\":\"20260101T080000Z/"
                   "20270101T210000Z\"}"),
          { LIGHT, .method = COAP_GET, .wall_s = 1780000000 },
          ACCESS_GRANTED_ENTRY },
};

static void put_ace(const char *text) {
        uint8_t buf[1024];
        struct ace_arrays arrays;
        struct ace view;

        if (!text)
                return;
        assert_null(ace_parse(&view, json(text, buf, sizeof(buf)), &arrays));
        assert_int_equal(ace_new(&svr.aces[svr.n_aces++], &view), 0);
}

static struct access_verdict decide(const struct row *row) {
        struct svr_session session = session_of(row->caller);
        struct access_question q = row->q;
        struct svr_snapshot snapshot = svr_snapshot(&svr);

        q.snapshot = &snapshot;
        if (q.subject != ACCESS_LOCAL && row->caller != IN_CLEAR) {
                q.subject = ACCESS_AUTH_CRYPT;
                q.session = &session;
        }
        return access_decide(&q);
}

static void test_rows(void **state) {
        const struct cred with_role = { .id = 3,
                                        .type = CRED_PSK,
                                        .subject = uuid(OWNER),
                                        .secret = SPAN_LITERAL(KEY),
                                        .role = SPAN_LITERAL("myrole") };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct access_verdict v;

                owned_in(rows[i].in);
                if (rows[i].in == SVR_RFNOP)
                        assert_int_equal(svr_add_cred(&svr, &with_role, 1), 0);
                put_ace(rows[i].ace);
                v = decide(&rows[i]);
                if (v.reason != rows[i].reason)
                        fail_msg("%zu, %s: %s", i, rows[i].sentence, access_reason_text(v.reason));
                assert_int_equal(v.granted, v.reason <= ACCESS_GRANTED_INSECURE);
                assert_int_equal(v.aceid, v.reason == ACCESS_GRANTED_ENTRY ||
                                                          v.reason == ACCESS_DENIED_NO_PERMISSION ||
                                                          v.reason == ACCESS_DENIED_NOT_NOW ||
                                                          v.reason == ACCESS_DENIED_OTHER_SUBJECT
                                                  ? 7
                                                  : 0);
        }
}

static void test_while_ownership_is_taken(void **state) {
        struct row row = { .caller = IN_CLEAR, .q = { SVR("doxm"), .method = COAP_GET } };

        unowned();
        svr_machine_transfer_began(&svr.machine, 1);
        assert_int_equal(decide(&row).reason, ACCESS_DENIED_TRANSFER_RUNNING);
        row = (struct row){ .caller = IN_CLEAR,
                            .q = { CORE, .href = SPAN_LITERAL("/oic/d"), .method = COAP_GET } };
        assert_int_equal(decide(&row).reason, ACCESS_DENIED_TRANSFER_RUNNING);
}

static void test_while_resetting(void **state) {
        struct row row = { .caller = OWNER_S, .q = { SVR("pstat"), .method = COAP_GET } };

        owned_in(SVR_RFNOP);
        svr_machine_reset(&svr.machine, 5000);
        assert_int_equal(decide(&row).reason, ACCESS_DENIED_RESETTING);
}

/* Owners of parts: each has its own, that of doxm has all four, those of cred and acl2 have pstat too. */
static void test_separate_owners(void **state) {
        static const char *const hrefs[] = { "/oic/sec/doxm", "/oic/sec/pstat", "/oic/sec/cred",
                                             "/oic/sec/acl2" };
        static const bool may[SVR_OWNED_N][SVR_OWNED_N] = {
                [SVR_DOXM] = { true, true, true, true },
                [SVR_PSTAT] = { false, true, false, false },
                [SVR_CRED] = { false, true, true, false },
                [SVR_ACL2] = { false, true, false, true },
        };

        for (size_t owner = 0; owner < SVR_OWNED_N; owner++)
                for (size_t i = 0; i < SVR_OWNED_N; i++) {
                        struct row row = { .caller = OTHER_S,
                                           .q = { .href = span_of_string(hrefs[i]), .method = COAP_POST } };

                        owned_in(SVR_RFNOP);
                        svr.rowner[owner] = uuid(OTHER);
                        assert_int_equal(decide(&row).granted, may[owner][i]);
                }
}

/* Of several entries that do not grant it, the one that lacks least is told. */
static void test_nearest_entry(void **state) {
        struct row row = { .caller = OTHER_S, .q = { LIGHT, .method = COAP_POST } };

        owned_in(SVR_RFNOP);
        put_ace("{\"aceid\":1,\"subject\":{\"uuid\":\"" OTHER
                "\"},\"permission\":31,\"resources\":[{\"href\":\"/b\"}]}");
        put_ace("{\"aceid\":2,\"subject\":{\"uuid\":\"" OWNER
                "\"},\"permission\":31,\"resources\":[{\"href\":\"/a/light\"}]}");
        assert_int_equal(decide(&row).aceid, 2);
        put_ace("{\"aceid\":3,\"subject\":{\"uuid\":\"" OTHER
                "\"},\"permission\":2,\"resources\":[{\"href\":\"/a/light\"}]}");
        put_ace("{\"aceid\":4,\"subject\":{\"uuid\":\"" OWNER
                "\"},\"permission\":31,\"resources\":[{\"wc\":\"*\"}]}");
        assert_int_equal(decide(&row).aceid, 3);
        assert_int_equal(decide(&row).reason, ACCESS_DENIED_NO_PERMISSION);
        put_ace("{\"aceid\":5,\"subject\":{\"uuid\":\"" OTHER
                "\"},\"permission\":4,\"resources\":[{\"wc\":\"*\"}]}");
        assert_int_equal(decide(&row).aceid, 5);
        assert_true(decide(&row).granted);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_teardown(test_rows, leave),
                cmocka_unit_test_teardown(test_while_ownership_is_taken, leave),
                cmocka_unit_test_teardown(test_while_resetting, leave),
                cmocka_unit_test_teardown(test_separate_owners, leave),
                cmocka_unit_test_teardown(test_nearest_entry, leave),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
