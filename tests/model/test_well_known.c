#include "model/link_format.h"
#include "model_fixture.h"

static struct told h;

static const char *const sensor_types[] = { "oic.r.temperature", "x.example.sensor" };
static const char *const interface_s[] = { "oic.if.s" };

static void add(struct model *m, struct resource_spec spec) {
        struct model_refusal why;
        struct app *a;

        assert_int_equal(register_one(m, ":1.5", NULL, 0, spec, &a, &why), 0);
}

static struct model *open_house(void) {
        struct model *m = model_open();
        struct resource_spec sensor = lamp_spec("/sensors/temp", &h.handler),
                             closed = lamp_spec("/closed", &h.handler),
                             hidden = lamp_spec("/hidden", &h.handler);

        h = (struct told){ .handler = { &published } };
        m->allow_insecure = true;
        add(m, lamp_spec("/lamp", &h.handler));
        sensor.types = sensor_types;
        sensor.n_types = 2;
        sensor.interfaces = interface_s;
        sensor.name = "The \"warm\" one";
        sensor.observable = false;
        add(m, sensor);
        closed.insecure = false;
        add(m, closed);
        hidden.discoverable = false;
        add(m, hidden);
        return m;
}

static struct ocf_request question(const char *query) {
        return request(COAP_GET, "/.well-known/core", query);
}

static struct span answer(struct model *m, const char *query) {
        struct ocf_request q = question(query);
        struct ocf_response r;

        assert_int_equal(ask(m, &q, &r), MODEL_ANSWERED);
        assert_int_equal(r.fault, FAULT_NONE);
        assert_int_equal(r.code, COAP_CONTENT);
        assert_int_equal(r.raw_format, COAP_FORMAT_LINK);
        assert_null(r.rep.data);
        assert_non_null(r.raw.data);
        return r.raw;
}

static void expect_hrefs(struct model *m, const char *query, const char *expected) {
        struct span links = answer(m, query), target, params;
        char text[256] = "";
        int e;

        while (!(e = link_next(&links, &target, &params)))
                snprintf(text + strlen(text), sizeof(text) - strlen(text), "%.*s ", (int)target.n,
                         (const char *)target.data);
        assert_int_equal(e, LINK_E_END);
        if (strcmp(text, expected) != 0)
                fail_msg("?%s: %s instead of %s", query, text, expected);
}

static void test_the_links(void **state) {
        struct model *m = open_house();
        static const char expected[] =
                "</oic/p>;rt=\"oic.wk.p\";if=\"oic.if.r oic.if.baseline\";ct=\"10000 60 50\";obs,"
                "</oic/res>;rt=\"oic.wk.res\";if=\"oic.if.ll oic.if.b oic.if.baseline\";ct=\"10000 50\";obs,"
                "</oic/d>;rt=\"oic.d.light oic.wk.d\";if=\"oic.if.r oic.if.baseline\";ct=\"10000 60 50\";obs,"
                "</lamp>;rt=\"oic.r.switch.binary\";if=\"oic.if.a oic.if.baseline\";ct=\"10000 60 50\";obs,"
                "</sensors/temp>;rt=\"oic.r.temperature x.example.sensor\";if=\"oic.if.s oic.if.baseline\""
                ";ct=\"10000 60 50\";title=\"The \\\"warm\\\" one\"";
        struct span got = answer(m, "");

        if (!span_equal_string(got, expected))
                fail_msg("%.*s", (int)got.n, (const char *)got.data);
        model_free(m);
}

static void test_who_sees_what_is_as_in_oic_res(void **state) {
        struct model *m = open_house();
        struct ocf_request q = question("href=/closed");
        struct ocf_response r;

        m->allow_insecure = false;
        expect_hrefs(m, "", "/oic/p /oic/res /oic/d ");
        q.subject.kind = SUBJECT_LOCAL;
        ask(m, &q, &r);
        assert_true(span_has_prefix(r.raw, SPAN_LITERAL("</closed>;rt=")));
        model_free(m);
}

/* RFC 6690, 4.1 */
static void test_filters(void **state) {
        struct model *m = open_house();

        expect_hrefs(m, "rt=x.example.sensor", "/sensors/temp "); /* any of several values */
        expect_hrefs(m, "rt=oic.wk*", "/oic/p /oic/res /oic/d ");
        expect_hrefs(m, "rt=oic.r", "");
        expect_hrefs(m, "rt=oic.r.temperature&rt=oic.wk.d", "/oic/d /sensors/temp ");
        expect_hrefs(m, "if=oic.if.a", "/lamp "); /* a filter here, and no choice of an interface */
        expect_hrefs(m, "if=oic.if.unheard-of", "");
        expect_hrefs(m, "if=oic.if.b*", "/oic/p /oic/res /oic/d /lamp /sensors/temp ");
        expect_hrefs(m, "href=/oic*", "/oic/p /oic/res /oic/d ");
        expect_hrefs(m, "href=/lamp", "/lamp ");
        expect_hrefs(m, "ct=60", "/oic/p /oic/d /lamp /sensors/temp ");
        expect_hrefs(m, "ct=40", "");
        expect_hrefs(m, "title=The*", "/sensors/temp ");
        expect_hrefs(m, "obs", "/oic/p /oic/res /oic/d /lamp ");
        expect_hrefs(m, "obs=*&href=/lamp", "/lamp ");
        expect_hrefs(m, "obs=1", "");
        expect_hrefs(m, "rt=oic.wk*&if=oic.if.ll", "/oic/res "); /* each key must be satisfied */
        expect_hrefs(m, "if=oic.if.ll&rt=oic.r.*", "");
        expect_hrefs(m, "foo=bar", ""); /* no link has that */
        expect_hrefs(m, "foo=*", "");
        expect_hrefs(m, "RT=oic.wk.d", "");
        expect_hrefs(m, "di=01000000-0000-0000-0000-000000000000&rt=oic.wk.d", "/oic/d ");
        model_free(m);
}

static void test_hrefs_that_need_encoding(void **state) {
        struct model *m = open_house();

        add(m, lamp_spec("/K\xc3\xbc"
                         "che/a b",
                         &h.handler));
        expect_hrefs(m, "href=/K*", "/K%C3%BCche/a%20b ");
        expect_hrefs(m,
                     "href=/K\xc3\xbc"
                     "che/a b",
                     "/K%C3%BCche/a%20b ");
        expect_hrefs(m, "href=/K%C3%BCche/a%20b", "/K%C3%BCche/a%20b ");
        model_free(m);
}

static void test_formats_methods_and_silence(void **state) {
        struct model *m = open_house();
        struct ocf_request q = question("rt=nothing");
        struct ocf_response r;

        q.multicast = true;
        assert_int_equal(ask(m, &q, &r), MODEL_SILENT);
        q.query = SPAN_LITERAL("rt=oic.wk.res");
        assert_int_equal(ask(m, &q, &r), MODEL_ANSWERED);
        q.multicast = false;
        q.accept = COAP_FORMAT_LINK;
        assert_int_equal(fault_of(m, q), FAULT_NONE);
        q.accept = COAP_FORMAT_OCF_CBOR;
        assert_int_equal(fault_of(m, q), FAULT_NOT_ACCEPTABLE);
        q.accept = COAP_FORMAT_TEXT;
        assert_int_equal(fault_of(m, q), FAULT_NOT_ACCEPTABLE);
        q = request(COAP_GET, "/lamp", "");
        q.accept = COAP_FORMAT_LINK; /* nor do others speak of links */
        assert_int_equal(fault_of(m, q), FAULT_NOT_ACCEPTABLE);
        q = request(COAP_GET, "/oic/d", "");
        q.accept = COAP_FORMAT_LINK;
        assert_int_equal(fault_of(m, q), FAULT_NOT_ACCEPTABLE);
        assert_int_equal(fault_of(m, request(COAP_POST, "/.well-known/core", "")), FAULT_METHOD_NOT_ALLOWED);
        model_free(m);
}

static void test_etag_and_memory(void **state) {
        struct model *m = open_house();
        struct ocf_request q = question("");
        static const uint8_t other[16] = { 0xfd, [15] = 9 };
        struct ocf_response r;
        uint8_t etag[8];

        ask(m, &q, &r);
        assert_int_equal(m->answers.n_hits, 0);
        for (int i = 0; i < 8; i++)
                etag[i] = (uint8_t)(r.etag >> (56 - 8 * i));
        q.n_etags = 1;
        q.etags[0] = span_of(etag, 8);
        memcpy(q.peer.local_ip, other, 16); /* it says no addresses */
        memcpy(q.peer.remote_ip, other, 16);
        ask(m, &q, &r);
        assert_int_equal(m->answers.n_hits, 1);
        assert_int_equal(r.code, COAP_VALID);
        assert_null(r.raw.data);
        add(m, lamp_spec("/another", &h.handler));
        ask(m, &q, &r);
        assert_int_equal(r.code, COAP_CONTENT);
        model_free(m);
}

static void test_the_size_of_large_values(void **state) {
        struct model *m = open_house();
        uint8_t value[1200] = { 0xa1, 0x61, 'x', 0x79, 1200 >> 8, (1200 - 6) & 255 };
        struct model_refusal why;

        memset(value + 6, 'y', sizeof(value) - 6);
        expect_hrefs(m, "sz=*", "");
        assert_int_equal(resource_publish(find(m, "/lamp"), span_of(value, sizeof(value)), true, &why), 0);
        expect_hrefs(m, "sz=*", "/lamp ");
        expect_hrefs(m, "sz=1200", "/lamp ");
        expect_hrefs(m, "sz=12", "");
        expect_hrefs(m, "", "/oic/p /oic/res /oic/d /lamp /sensors/temp ");
        assert_int_equal(resource_publish(find(m, "/lamp"), LAMP_VALUE, true, &why), 0);
        expect_hrefs(m, "sz=*", "");
        assert_int_equal(m->answers.n_hits, 0); /* each was written anew: the size is part of the link */
        model_free(m);
}

static void test_it_is_not_announced_itself(void **state) {
        struct model *m = open_house();
        struct ocf_request q = request(COAP_GET, "/oic/res", "");
        struct ocf_response r;
        struct rep_token t;

        q.subject.kind = SUBJECT_LOCAL;
        ask(m, &q, &r);
        assert_true(rep_next(&r.rep, &t));
        assert_int_equal(t.value.n, 6); /* three of ours, and three of the app */
        expect_hrefs(m, "href=/.well-known*", "");
        assert_false(find(m, "/.well-known/core")->observable);
        model_free(m);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_the_links),
                cmocka_unit_test(test_who_sees_what_is_as_in_oic_res),
                cmocka_unit_test(test_filters),
                cmocka_unit_test(test_hrefs_that_need_encoding),
                cmocka_unit_test(test_formats_methods_and_silence),
                cmocka_unit_test(test_etag_and_memory),
                cmocka_unit_test(test_the_size_of_large_values),
                cmocka_unit_test(test_it_is_not_announced_itself),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
