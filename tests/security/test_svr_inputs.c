#include "svr_fixture.h"

#include <stdlib.h>

/*
 * Representations for secure resources that broke other stacks (users.md 3 B):
 * wrong types, UUIDs that are too short, lists that are too long, keys of no
 * bytes and of 64 KiB. Whatever is refused changes nothing.
 */

#define RAW_KEY "\"privatedata\":{\"encoding\":\"oic.sec.encoding.raw\",\"data\":\"" KEY "\"}"

/* ---- wrong types ---- */

enum type {
        UINT,
        NEGATIVE,
        BYTES,
        TEXT,
        ARRAY,
        MAP,
        REAL,
        BOOLEAN,
        NONE,
        UNDEFINED,
        TAGGED,
        SIMPLE,
        _TYPE_N
};

#define OF(type) (1u << (type))

static void put_value(struct writer *w, enum type type, unsigned number) {
        switch (type) {
        case UINT:
                rep_put_uint(w, number ? number : 1);
                return;
        case NEGATIVE:
                rep_put_int(w, -1);
                return;
        case BYTES:
                rep_put_bytes(w, SPAN_LITERAL("0123456789abcdef"));
                return;
        case TEXT:
                rep_put_string(w, "0123456789abcdef");
                return;
        case ARRAY:
                rep_put_array(w, 1);
                rep_put_uint(w, 1);
                return;
        case MAP:
                rep_put_map(w, 1);
                rep_put_string(w, "x");
                rep_put_uint(w, 1);
                return;
        case REAL:
                rep_put_double(w, 1.0);
                return;
        case BOOLEAN:
                rep_put_bool(w, true);
                return;
        case NONE:
                rep_put_null(w);
                return;
        case UNDEFINED:
                rep_put_undefined(w);
                return;
        case TAGGED:
                rep_put_tag(w, 1);
                rep_put_uint(w, 1);
                return;
        case SIMPLE:
                rep_put_simple(w, 99);
                return;
        case _TYPE_N:
                break;
        }
}

/* Where a property stands: its JSON around it, with @ in its place as a value. */
struct property {
        enum svr_state in;
        enum svr_id id;
        const char *around;
        unsigned types;  /* security.md 1.3 to 1.10: what it may be */
        unsigned number; /* a good one, where 1 is none */
};

#define CREDS(inner) "{\"creds\":[{" inner "}]}"
#define PSK(inner)   CREDS("\"credtype\":1,\"subjectuuid\":\"" OTHER "\"," RAW_KEY "," inner)
#define TRUSTCA(inner)                                                                                       \
        CREDS("\"credtype\":8,\"subjectuuid\":\"*\",\"credusage\":\"oic.sec.cred.trustca\"," inner)
#define ACES(inner)  "{\"aclist2\":[{" inner "}]}"
#define ENTRY(inner) ACES("\"subject\":{\"conntype\":\"auth-crypt\"},\"permission\":2," inner)
#define BY_ROLE      "\"permission\":2,\"resources\":[],\"subject\":"
#define PERIOD       "\"period\":\"20260101T080000Z/20260101T170000Z\""

static const struct property properties[] = {
        { SVR_RFOTM, SVR_DOXM, "{\"oxmsel\":@}", OF(UINT) },
        { SVR_RFOTM, SVR_DOXM, "{\"owned\":@}", OF(BOOLEAN) },
        { SVR_RFOTM, SVR_DOXM, "{\"deviceuuid\":@}", 0 },
        { SVR_RFOTM, SVR_DOXM, "{\"devowneruuid\":@}", 0 },
        { SVR_RFOTM, SVR_DOXM, "{\"rowneruuid\":@}", 0 },
        { SVR_RFOTM, SVR_DOXM, "{\"oxms\":@}", 0 },
        { SVR_RFOTM, SVR_DOXM, "{\"sct\":@}", 0 },
        { SVR_RFPRO, SVR_PSTAT, "{\"dos\":@}", 0 },
        { SVR_RFPRO, SVR_PSTAT, "{\"dos\":{\"s\":@}}", OF(UINT), 3 },
        { SVR_RFPRO, SVR_PSTAT, "{\"dos\":{\"p\":@}}", 0 },
        { SVR_RFPRO, SVR_PSTAT, "{\"tm\":@}", OF(UINT) },
        { SVR_RFPRO, SVR_PSTAT, "{\"om\":@}", OF(UINT), 4 },
        { SVR_RFPRO, SVR_PSTAT, "{\"cm\":@}", 0 },
        { SVR_RFPRO, SVR_PSTAT, "{\"sm\":@}", 0 },
        { SVR_RFPRO, SVR_PSTAT, "{\"isop\":@}", 0 },
        { SVR_RFOTM, SVR_PSTAT, "{\"rowneruuid\":@}", 0 },
        { SVR_RFOTM, SVR_CRED, "{\"rowneruuid\":@}", 0 },
        { SVR_RFPRO, SVR_CRED, "{\"creds\":@}", OF(NONE) },
        { SVR_RFPRO, SVR_CRED, "{\"creds\":[@]}", 0 },
        { SVR_RFPRO, SVR_CRED, PSK("\"credid\":@"), OF(UINT) },
        { SVR_RFPRO, SVR_CRED, CREDS("\"subjectuuid\":\"" OTHER "\"," RAW_KEY ",\"credtype\":@"), OF(UINT) },
        { SVR_RFPRO, SVR_CRED, CREDS("\"credtype\":1," RAW_KEY ",\"subjectuuid\":@"), 0 },
        { SVR_RFPRO, SVR_CRED, CREDS("\"credtype\":1,\"subjectuuid\":\"" OTHER "\",\"privatedata\":@"), 0 },
        { SVR_RFPRO, SVR_CRED,
          CREDS("\"credtype\":1,\"subjectuuid\":\"" OTHER
                "\",\"privatedata\":{\"encoding\":\"oic.sec.encoding.raw\",\"data\":@}"),
          OF(BYTES) | OF(TEXT) },
        { SVR_RFPRO, SVR_CRED,
          CREDS("\"credtype\":1,\"subjectuuid\":\"" OTHER "\",\"privatedata\":{\"data\":\"" KEY
                "\",\"encoding\":@}"),
          0 },
        { SVR_RFPRO, SVR_CRED, PSK("\"credusage\":@"), 0 },
        { SVR_RFPRO, SVR_CRED, PSK("\"roleid\":@"), 0 },
        { SVR_RFPRO, SVR_CRED, PSK("\"roleid\":{\"role\":@}"), OF(TEXT) },
        { SVR_RFPRO, SVR_CRED, PSK("\"roleid\":{\"role\":\"x\",\"authority\":@}"), OF(TEXT) },
        { SVR_RFPRO, SVR_CRED, PSK("\"period\":@"), OF(TEXT) },
        { SVR_RFPRO, SVR_CRED, PSK("\"oscore\":@"), 0 },
        { SVR_RFPRO, SVR_CRED, PSK("\"publicdata\":@"), 0 },
        { SVR_RFPRO, SVR_CRED, TRUSTCA("\"publicdata\":@"), 0 },
        { SVR_RFPRO, SVR_CRED, TRUSTCA("\"publicdata\":{\"encoding\":\"oic.sec.encoding.pem\",\"data\":@}"),
          OF(BYTES) | OF(TEXT) },
        { SVR_RFPRO, SVR_CRED, TRUSTCA("\"publicdata\":{\"data\":\"x\",\"encoding\":@}"), 0 },
        { SVR_RFPRO, SVR_CRED,
          CREDS("\"credtype\":8,\"subjectuuid\":\"*\",\"publicdata\":{\"encoding\":\"oic.sec.encoding.pem\","
                "\"data\":\"x\"},\"credusage\":@"),
          0 },
        { SVR_RFOTM, SVR_ACL2, "{\"rowneruuid\":@}", 0 },
        { SVR_RFPRO, SVR_ACL2, "{\"aclist2\":@}", OF(NONE) },
        { SVR_RFPRO, SVR_ACL2, "{\"aclist2\":[@]}", 0 },
        { SVR_RFPRO, SVR_ACL2, ENTRY("\"resources\":[],\"aceid\":@"), OF(UINT) },
        { SVR_RFPRO, SVR_ACL2, ACES("\"permission\":2,\"resources\":[],\"subject\":@"), 0 },
        { SVR_RFPRO, SVR_ACL2, ACES(BY_ROLE "{\"uuid\":@}"), 0 },
        { SVR_RFPRO, SVR_ACL2, ACES(BY_ROLE "{\"conntype\":@}"), 0 },
        { SVR_RFPRO, SVR_ACL2, ACES(BY_ROLE "{\"role\":@}"), OF(TEXT) },
        { SVR_RFPRO, SVR_ACL2, ACES(BY_ROLE "{\"role\":\"x\",\"authority\":@}"), OF(TEXT) },
        { SVR_RFPRO, SVR_ACL2,
          ACES("\"subject\":{\"conntype\":\"auth-crypt\"},\"resources\":[],\"permission\":@"), OF(UINT) },
        { SVR_RFPRO, SVR_ACL2, ENTRY("\"resources\":@"), OF(NONE) },
        { SVR_RFPRO, SVR_ACL2, ENTRY("\"resources\":[@]"), 0 },
        { SVR_RFPRO, SVR_ACL2, ENTRY("\"resources\":[{\"href\":@}]"), 0 },
        { SVR_RFPRO, SVR_ACL2, ENTRY("\"resources\":[{\"wc\":@}]"), 0 },
        { SVR_RFPRO, SVR_ACL2, ENTRY("\"resources\":[],\"validity\":@"), OF(NONE) },
        { SVR_RFPRO, SVR_ACL2, ENTRY("\"resources\":[],\"validity\":[@]"), 0 },
        { SVR_RFPRO, SVR_ACL2, ENTRY("\"resources\":[],\"validity\":[{\"period\":@}]"), 0 },
        { SVR_RFPRO, SVR_ACL2, ENTRY("\"resources\":[],\"validity\":[{" PERIOD ",\"recurrence\":@}]"),
          OF(NONE) },
        { SVR_RFPRO, SVR_ACL2, ENTRY("\"resources\":[],\"validity\":[{" PERIOD ",\"recurrence\":[@]}]"), 0 },
        { SVR_RFPRO, SVR_SP, "{\"currentprofile\":@}", 0 },
        { SVR_RFPRO, SVR_SP, "{\"supportedprofiles\":@}", 0 },
        { SVR_RFPRO, SVR_SP, "{\"supportedprofiles\":[@]}", 0 },
        { SVR_RFOTM, SVR_SDI, "{\"uuid\":@}", 0 },
        { SVR_RFPRO, SVR_SDI, "{\"name\":@}", OF(TEXT) },
        { SVR_RFPRO, SVR_SDI, "{\"priv\":@}", OF(BOOLEAN) },
        { SVR_RFPRO, SVR_AEL, "{\"categoryfilter\":@}", OF(UINT) },
        { SVR_RFPRO, SVR_AEL, "{\"priorityfilter\":@}", OF(UINT) },
        { SVR_RFPRO, SVR_AEL, "{\"events\":@}", 0 },
        { SVR_RFPRO, SVR_AEL, "{\"usedspace\":@}", 0 },
        { SVR_RFPRO, SVR_ROLES, "{\"roles\":@}", OF(NONE) },
        { SVR_RFPRO, SVR_ROLES, "{\"roles\":[@]}", 0 },
        { SVR_RFPRO, SVR_ROLES, "{\"roles\":[{\"credtype\":@}]}", 0 },
};

/* The JSON with a mark in the place, as a representation with value in the place of the mark. */
#define MARK "the value stands here"
static struct span fill(const char *around, struct span value) {
        static uint8_t buf[200000], filled[200000];
        static char text[2048];
        const char *at = strchr(around, '@');
        struct writer w = writer_on(filled, sizeof(filled));
        uint8_t mark[sizeof(MARK) + 1];
        struct writer m = writer_on(mark, sizeof(mark));
        struct span rep;
        const uint8_t *p;

        snprintf(text, sizeof(text), "%.*s\"" MARK "\"%s", (int)(at - around), around, at + 1);
        rep = json(text, buf, sizeof(buf));
        rep_put_string(&m, MARK);
        p = memmem(rep.data, rep.n, mark, m.n);
        assert_non_null(p);
        writer_put(&w, rep.data, (size_t)(p - rep.data));
        writer_put_span(&w, value);
        writer_put(&w, p + m.n, (size_t)(rep.data + rep.n - p) - m.n);
        assert_false(w.overflow);
        return writer_span(&w);
}

/* oxmsel is said in clear, all else of RFOTM over the onboarding session. */
static enum who who_says(const struct property *p) {
        return p->in != SVR_RFOTM ? PEER : strstr(p->around, "oxmsel") ? PLAIN : ONBOARDING;
}

static enum fault say(const struct property *p, struct span rep) {
        static struct svr_reply yes[] = { { .kind = SVR_NEED_ANCHOR, .ok = true } };
        int r;

        replies[0] = yes[0];
        n_replies = 1;
        r = ask_rep(who_says(p), COAP_POST, p->id, "", rep);
        n_replies = 0;
        assert_int_equal(r, 0);
        return result.response.fault;
}

static void test_wrong_types(void **state) {
        for (size_t i = 0; i < ARRAY_SIZE(properties); i++)
                for (enum type type = 0; type < _TYPE_N; type++) {
                        const struct property *p = &properties[i];
                        uint8_t buf[64];
                        struct writer w = writer_on(buf, sizeof(buf));
                        enum fault fault;

                        owned_in(p->in);
                        peer.by_certificate = true;
                        put_value(&w, type, p->number);
                        remember();
                        fault = say(p, fill(p->around, writer_span(&w)));
                        if (p->types & OF(type)) {
                                if (fault)
                                        fail_msg("%s with type %d: %s", p->around, (int)type,
                                                 result.response.diagnostic);
                                continue;
                        }
                        if (fault != FAULT_BAD_REPRESENTATION)
                                fail_msg("%s with type %d: fault %d", p->around, (int)type, (int)fault);
                        assert_as_remembered();
                }
}

/* ---- UUIDs ---- */

#define HEX "4ab0410e-5ff0-4373-5033-80a000140a8"

static void test_uuids_of_other_lengths(void **state) {
        static const struct {
                struct span text;
                bool is_good;
        } uuids[] = {
                { SPAN_LITERAL(HEX "0"), true },
                { SPAN_LITERAL(HEX "0\0"), true }, /* 37, as the reference sends it */
                { SPAN_LITERAL("4AB0410E-5FF0-4373-5033-80A000140A80"), true },
                { SPAN_LITERAL(""), false },
                { SPAN_LITERAL(HEX), false }, /* 35 */
                { SPAN_LITERAL(HEX "\0"), false },
                { SPAN_LITERAL(HEX "00"), false },
                { SPAN_LITERAL(HEX "0\0\0"), false },
                { SPAN_LITERAL(HEX "0 "), false },
                { SPAN_LITERAL(" " HEX "0"), false },
                { SPAN_LITERAL("{" HEX "0}"), false },
                { SPAN_LITERAL(HEX "g"), false },
                { SPAN_LITERAL("4ab0410e5ff043735033-80a000140a80----"), false },
                { SPAN_LITERAL("4ab0410e-5ff0-4373-503380a000140a8000"), false },
                { SPAN_LITERAL("4ab0410e5ff04373503380a000140a80"), false },
                { SPAN_LITERAL("uuid:" HEX "0"), false },
                { SPAN_LITERAL("+"), false },
        };
        static const struct property places[] = {
                { SVR_RFOTM, SVR_DOXM, "{\"deviceuuid\":@}", 0 },
                { SVR_RFOTM, SVR_DOXM, "{\"devowneruuid\":@}", 0 },
                { SVR_RFOTM, SVR_DOXM, "{\"rowneruuid\":@}", 0 },
                { SVR_RFOTM, SVR_PSTAT, "{\"rowneruuid\":@}", 0 },
                { SVR_RFOTM, SVR_CRED, "{\"rowneruuid\":@}", 0 },
                { SVR_RFOTM, SVR_ACL2, "{\"rowneruuid\":@}", 0 },
                { SVR_RFOTM, SVR_SDI, "{\"uuid\":@}", 0 },
                { SVR_RFPRO, SVR_CRED, CREDS("\"credtype\":1," RAW_KEY ",\"subjectuuid\":@"), 0 },
                { SVR_RFPRO, SVR_ACL2, ACES(BY_ROLE "{\"uuid\":@}"), 0 },
        };

        for (size_t i = 0; i < ARRAY_SIZE(places); i++)
                for (size_t k = 0; k < ARRAY_SIZE(uuids); k++) {
                        uint8_t buf[64];
                        struct writer w = writer_on(buf, sizeof(buf));
                        enum fault fault;

                        owned_in(places[i].in);
                        rep_put_text(&w, uuids[k].text);
                        remember();
                        fault = say(&places[i], fill(places[i].around, writer_span(&w)));
                        if (fault != (uuids[k].is_good ? FAULT_NONE : FAULT_BAD_REPRESENTATION))
                                fail_msg("%s with %.*s: fault %d", places[i].around, (int)uuids[k].text.n,
                                         (const char *)uuids[k].text.data, (int)fault);
                        if (fault)
                                assert_as_remembered();
                }
}

/* ---- sizes ---- */

static void test_keys_of_other_lengths(void **state) {
        static const size_t sizes[] = { 0, 1, 15, 16, 17, 24, 31, 32, 33, 64, 4096, 4097, 65535, 65536 };
        static const struct property place = {
                SVR_RFPRO, SVR_CRED,
                CREDS("\"credtype\":1,\"subjectuuid\":\"" OTHER
                      "\",\"privatedata\":{\"encoding\":\"oic.sec.encoding.raw\",\"data\":@}"),
                0
        };
        static uint8_t key[65536], buf[70000];

        memset(key, 'k', sizeof(key));
        for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
                for (unsigned text = 0; text < 2; text++) {
                        struct writer w = writer_on(buf, sizeof(buf));
                        enum fault fault;

                        owned_in(SVR_RFPRO);
                        if (text)
                                rep_put_text(&w, span_of(key, sizes[i]));
                        else
                                rep_put_bytes(&w, span_of(key, sizes[i]));
                        remember();
                        fault = say(&place, fill(place.around, writer_span(&w)));
                        /* Of no bytes: derive it, and that is over with RFOTM. */
                        assert_int_equal(fault, sizes[i] == 16 || sizes[i] == 32 ? FAULT_NONE
                                                : sizes[i]                       ? FAULT_BAD_REPRESENTATION
                                                                                 : FAULT_FORBIDDEN);
                        if (fault)
                                assert_as_remembered();
                }
}

/* n times the same item as a list. */
static struct span many(const char *item, size_t n) {
        static uint8_t list[4 << 20];
        uint8_t buf[1024];
        struct span rep = json(item, buf, sizeof(buf));
        struct writer w = writer_on(list, sizeof(list));

        rep_put_array(&w, n);
        for (size_t i = 0; i < n; i++)
                rep_put_item(&w, rep);
        assert_false(w.overflow);
        return writer_span(&w);
}

static enum fault post_list(enum svr_id id, const char *name, struct span list) {
        static uint8_t buf[(4 << 20) + 64];
        struct writer w = writer_on(buf, sizeof(buf));
        int r;

        rep_put_map(&w, 1);
        rep_put_string(&w, name);
        rep_put_item(&w, list);
        assert_false(w.overflow);
        r = ask_rep(PEER, COAP_POST, id, "", writer_span(&w));
        assert_int_equal(r, 0);
        return result.response.fault;
}

/* Entries that differ in something, so that they are not merged. */
static void put_aces(struct writer *w, size_t n, size_t n_resources) {
        rep_put_array(w, n);
        for (size_t i = 0; i < n; i++) {
                struct uuid u = uuid(OTHER);
                char text[UUID_TEXT_MAX];

                u.bytes[0] = (uint8_t)i;
                u.bytes[1] = (uint8_t)(i >> 8);
                rep_put_map(w, 3);
                rep_put_string(w, "subject");
                rep_put_map(w, 1);
                rep_put_string(w, "uuid");
                rep_put_string(w, uuid_format(&u, text));
                rep_put_string(w, "permission");
                rep_put_uint(w, 2);
                rep_put_string(w, "resources");
                rep_put_array(w, n_resources);
                for (size_t k = 0; k < n_resources; k++) {
                        char href[240];

                        memset(href, 'x', sizeof(href));
                        snprintf(href, sizeof(href), "/%zu", k);
                        href[strlen(href)] = 'y';
                        href[sizeof(href) - 1] = 0;
                        rep_put_map(w, 1);
                        rep_put_string(w, "href");
                        rep_put_string(w, href);
                }
        }
        assert_false(w->overflow);
}

static enum fault post_aces(size_t n, size_t n_resources) {
        static uint8_t buf[2 << 20];
        struct writer w = writer_on(buf, sizeof(buf));

        put_aces(&w, n, n_resources);
        return post_list(SVR_ACL2, "aclist2", writer_span(&w));
}

static void test_long_lists_of_entries(void **state) {
        owned_in(SVR_RFPRO);
        remember();
        assert_int_equal(post_aces(SVR_ACES_MAX + 1, 1), FAULT_BUSY);
        assert_int_equal(post_aces(1, ACE_RESOURCES_MAX + 1), FAULT_BAD_REPRESENTATION);
        assert_int_equal(post_aces(50, 20), FAULT_BUSY);                          /* too many bytes */
        assert_int_equal(post_list(SVR_ACL2, "aclist2", many("{}", 1000000)), 0); /* a million of nothing */
        assert_int_equal(post_list(SVR_ACL2, "aclist2", many("[]", 1000000)), FAULT_BAD_REPRESENTATION);
        assert_as_remembered();
        assert_int_equal(post_aces(SVR_ACES_MAX, 0), 0);
        assert_int_equal(svr.n_aces, SVR_ACES_MAX);
        assert_int_equal(post_aces(SVR_ACES_MAX, 0), 0); /* again they say nothing new */
        assert_int_equal(svr.n_aces, SVR_ACES_MAX);
        assert_int_equal(post_list(SVR_ACL2, "aclist2",
                                   many("{\"subject\":{\"conntype\":\"auth-crypt\"},\"permission\":1}", 1)),
                         FAULT_BUSY);
        assert_int_equal(delete_by(PEER, SVR_ACL2, ""), 0);
        assert_int_equal(svr.n_aces, 0);
}

static void test_long_lists_of_credentials(void **state) {
        owned_in(SVR_RFPRO);
        remember();
        assert_int_equal(post_list(SVR_CRED, "creds", many("{}", 1000000)), 0);
        assert_int_equal(post_list(SVR_CRED, "creds", many("{\"credtype\":1}", 100000)),
                         FAULT_BAD_REPRESENTATION);
        assert_as_remembered();
        /* The same key a hundred thousand times is one. */
        assert_int_equal(post_list(SVR_CRED, "creds",
                                   many("{\"credtype\":1,\"subjectuuid\":\"" OTHER "\"," RAW_KEY "}", 20000)),
                         0);
        assert_int_equal(svr.n_creds, 2);
}

static void test_long_lists_of_roles(void **state) {
        owned_in(SVR_RFNOP);
        peer.by_certificate = true;
        assert_int_equal(post_list(SVR_ROLES, "roles", many("{\"credtype\":8}", 100000)),
                         FAULT_BAD_REPRESENTATION);
        assert_int_equal(peer.n_roles, 0);
}

/* ---- bytes ---- */

static const struct property payloads[] = {
        { SVR_RFOTM, SVR_DOXM, "{\"oxmsel\":0}", 0 },
        { SVR_RFOTM, SVR_DOXM,
          "{\"devowneruuid\":\"" OWNER "\",\"deviceuuid\":\"" DEVICE "\",\"owned\":true}", 0 },
        { SVR_RFPRO, SVR_PSTAT, "{\"dos\":{\"s\":3},\"om\":4,\"tm\":0}", 0 },
        { SVR_RFPRO, SVR_CRED,
          "{\"creds\":[{\"credid\":3,\"credtype\":1,\"subjectuuid\":\"" OTHER "\"," RAW_KEY
          ",\"roleid\":{\"role\":\"r\",\"authority\":\"a\"}}]}",
          0 },
        { SVR_RFPRO, SVR_CRED,
          TRUSTCA("\"publicdata\":{\"encoding\":\"oic.sec.encoding.pem\",\"data\":\"-----BEGIN\"}"), 0 },
        { SVR_RFPRO, SVR_ACL2,
          ENTRY("\"aceid\":5,\"resources\":[{\"href\":\"/a\",\"wc\":\"*\"}],\"validity\":[{" PERIOD
                ",\"recurrence\":[\"FREQ=DAILY\"]}]"),
          0 },
        { SVR_RFPRO, SVR_SP, "{\"supportedprofiles\":[\"1.3.6.1.4.1.51414.0.0.1.0\"]}", 0 },
        { SVR_RFPRO, SVR_SDI, "{\"name\":\"home\",\"priv\":true}", 0 },
        { SVR_RFPRO, SVR_AEL, "{\"categoryfilter\":3,\"priorityfilter\":2}", 0 },
};

/* A payload that is cut off is no representation, wherever it is cut. */
static void test_cut_off_at_each_byte(void **state) {
        for (size_t i = 0; i < ARRAY_SIZE(payloads); i++) {
                uint8_t buf[1024], normal[1024];
                struct span rep = json(payloads[i].around, buf, sizeof(buf));

                for (size_t n = 0; n < rep.n; n++) {
                        uint8_t *part = malloc(n ? n : 1); /* so that a sanitizer sees a byte too far */
                        struct writer w = writer_on(normal, sizeof(normal));

                        assert_non_null(part);
                        memcpy(part, rep.data, n);
                        assert_int_not_equal(rep_normalise(span_of(part, n), &w), 0);
                        free(part);
                }
        }
}

/* One bit or one byte of it is another: it is taken, or it is refused and nothing has changed. */
static void test_one_byte_is_another(void **state) {
        static const uint8_t others[] = { 0x01, 0x20, 0x40, 0x80, 0xff, 0x7f };
        unsigned n_refused = 0, n_taken = 0;

        for (size_t i = 0; i < ARRAY_SIZE(payloads); i++) {
                uint8_t buf[1024], normal[4096];
                struct span rep = json(payloads[i].around, buf, sizeof(buf));

                for (size_t at = 0; at < rep.n; at++)
                        for (size_t k = 0; k < ARRAY_SIZE(others); k++) {
                                struct writer w = writer_on(normal, sizeof(normal));
                                int r;

                                buf[at] ^= others[k];
                                r = rep_normalise(rep, &w);
                                buf[at] ^= others[k];
                                if (r)
                                        continue;
                                owned_in(payloads[i].in);
                                remember();
                                if (say(&payloads[i], writer_span(&w))) {
                                        assert_as_remembered();
                                        n_refused++;
                                } else {
                                        assert_int_equal(svr_check(&svr), 0);
                                        n_taken++;
                                }
                        }
        }
        assert_true(n_refused > 500 && n_taken > 50);
}

/* A key that stands twice would be read by one and checked by the other; depth, tags and floats are no way
 * in. */
static void test_odd_cbor(void **state) {
        static const struct {
                const char *name;
                struct span bytes;
                bool is_rep;
        } rows[] = {
                { "owned twice", SPAN_LITERAL("\xa2\x65owned\xf5\x65owned\xf4"), false },
                { "dos.s twice",
                  SPAN_LITERAL("\xa1\x63"
                               "dos\xa2\x61s\x03\x61s\x00"),
                  false },
                { "an unclosed map", SPAN_LITERAL("\xbf\x65owned\xf5"), false },
                { "a list of 2^64-1",
                  SPAN_LITERAL("\xa1\x65"
                               "creds\x9b\xff\xff\xff\xff\xff\xff\xff\xff"),
                  false },
                { "a text of 2^64-1",
                  SPAN_LITERAL("\xa1\x6a"
                               "deviceuuid\x7b\xff\xff\xff\xff\xff\xff\xff\xff"),
                  false },
                { "two items", SPAN_LITERAL("\xa0\xa0"), false },
                { "a key that is a number", SPAN_LITERAL("\xa1\x01\x02"), true },
                { "a key that is bytes", SPAN_LITERAL("\xa1\x45owned\xf5"), true },
                { "a key with a NUL", SPAN_LITERAL("\xa1\x66owned\0\xf5"), true },
                { "a tagged map", SPAN_LITERAL("\xc1\xa1\x65owned\xf5"), true },
                { "null", SPAN_LITERAL("\xf6"), true },
                { "undefined", SPAN_LITERAL("\xf7"), true },
                { "owned as a half float", SPAN_LITERAL("\xa1\x65owned\xf9\x3c\x00"), true },
                { "owned as NaN", SPAN_LITERAL("\xa1\x65owned\xf9\x7e\x00"), true },
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
                for (enum svr_id id = 0; id < _SVR_STORED_N; id++) {
                        uint8_t normal[256];
                        struct writer w = writer_on(normal, sizeof(normal));
                        int r = rep_normalise(rows[i].bytes, &w);

                        if ((r == 0) != rows[i].is_rep)
                                fail_msg("%s: %d", rows[i].name, r);
                        if (r)
                                break;
                        owned_in(SVR_RFOTM);
                        remember();
                        assert_int_equal(ask_rep(ONBOARDING, COAP_POST, id, "", writer_span(&w)), 0);
                        if (result.response.fault != FAULT_BAD_REPRESENTATION)
                                fail_msg("%s to %s: fault %d", rows[i].name, svr_href(id),
                                         (int)result.response.fault);
                        assert_as_remembered();
                }
}

/* Text that is none becomes bytes, for the sake of keys (plgd's client sends them so): nothing else takes it.
 */
static void test_text_that_is_none(void **state) {
        static const uint8_t text[] = { 0x70, 0xff, 0xfe, 0x80, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12 };

        for (size_t i = 0; i < ARRAY_SIZE(properties); i++) {
                const struct property *p = &properties[i];
                uint8_t normal[4096];
                struct writer w = writer_on(normal, sizeof(normal));
                struct span raw = fill(p->around, span_of(text, sizeof(text)));
                bool is_key = p->types == (OF(BYTES) | OF(TEXT)) && strstr(p->around, "privatedata");

                assert_int_equal(rep_normalise(raw, &w), REP_E_NOT_TEXT);
                w = writer_on(normal, sizeof(normal));
                assert_int_equal(rep_normalise_leniently(raw, &w), 0);
                owned_in(p->in);
                peer.by_certificate = true;
                remember();
                if (say(p, writer_span(&w)) != (is_key ? FAULT_NONE : FAULT_BAD_REPRESENTATION))
                        fail_msg("%s: fault %d", p->around, (int)result.response.fault);
                if (!is_key)
                        assert_as_remembered();
        }
}

static void test_no_payload(void **state) {
        for (enum svr_id id = 0; id < _SVR_STORED_N; id++) {
                owned_in(SVR_RFOTM);
                remember();
                assert_int_equal(ask_rep(ONBOARDING, COAP_POST, id, "", SPAN_NULL), 0);
                assert_int_equal(result.response.fault, FAULT_BAD_REPRESENTATION);
                assert_as_remembered();
        }
}

static void test_odd_queries(void **state) {
        static const char *const queries[] = {
                "credid=",   "credid=-1",  "credid=1x", "credid=2147483648", "credid=99999999999999999999",
                "credid=+1", "credid=0x1", "credid= 1", "credid=%31",        "credid=1.0",
        };

        owned_in(SVR_RFPRO);
        remember();
        for (size_t i = 0; i < ARRAY_SIZE(queries); i++) {
                assert_int_equal(delete_by(PEER, SVR_CRED, queries[i]), FAULT_BAD_REQUEST);
                assert_as_remembered();
        }
        assert_int_equal(delete_by(PEER, SVR_CRED, "credid=2147483647"), FAULT_NOT_FOUND);
        assert_as_remembered();
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_teardown(test_wrong_types, leave),
                cmocka_unit_test_teardown(test_uuids_of_other_lengths, leave),
                cmocka_unit_test_teardown(test_keys_of_other_lengths, leave),
                cmocka_unit_test_teardown(test_long_lists_of_entries, leave),
                cmocka_unit_test_teardown(test_long_lists_of_credentials, leave),
                cmocka_unit_test_teardown(test_long_lists_of_roles, leave),
                cmocka_unit_test_teardown(test_cut_off_at_each_byte, leave),
                cmocka_unit_test_teardown(test_one_byte_is_another, leave),
                cmocka_unit_test_teardown(test_odd_cbor, leave),
                cmocka_unit_test_teardown(test_text_that_is_none, leave),
                cmocka_unit_test_teardown(test_no_payload, leave),
                cmocka_unit_test_teardown(test_odd_queries, leave),
        };

        return cmocka_run_group_tests_name("svr-inputs", tests, NULL, NULL);
}
