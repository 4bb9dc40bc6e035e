#include "model/endpoint_text.h"
#include "model/query.h"
#include "model_fixture.h"

/* The links of /oic/res as the one who asks sees them. */
static uint64_t links(struct model *m, struct ocf_request q, struct span *ret) {
        struct ocf_response r;
        struct rep_token t;

        assert_int_equal(ask(m, &q, &r), MODEL_ANSWERED);
        assert_int_equal(r.fault, 0);
        assert_int_equal(r.code, COAP_CONTENT);
        *ret = r.rep;
        assert_true(rep_next(ret, &t));
        assert_int_equal(t.type, REP_ARRAY);
        return t.value.n;
}

static bool has_link(struct model *m, struct ocf_request q, const char *href, struct span *ret_link) {
        struct span all, item, text, link;
        uint64_t n = links(m, q, &all);

        while (n-- && rep_skip(&all, &link))
                if (rep_map_find(link, "href", &item) && rep_as_text(item, &text) &&
                    span_equal_string(text, href)) {
                        *ret_link = link;
                        return true;
                }
        return false;
}

static struct told h;

static struct model *with_resources(void) {
        struct model *m = model_open();
        struct resource_spec specs[3];
        struct app_spec app = { .owner = ":1.5", .uid = 1000 };
        struct model_refusal why;
        struct app *a;

        h = (struct told){ .handler = { &published } };
        specs[0] = lamp_spec("/open", &h.handler);
        specs[1] = lamp_spec("/closed", &h.handler);
        specs[1].insecure = false;
        specs[2] = lamp_spec("/hidden", &h.handler);
        specs[2].discoverable = false;
        assert_int_equal(model_register(m, 0, 0, &app, specs, 3, &a, &why), 0);
        return m;
}

static void test_what_the_wire_sees_of_an_unowned_device(void **state) {
        struct model *m = with_resources();
        struct ocf_request q = request(COAP_GET, "/oic/res", "");
        struct span link;

        assert_true(has_link(m, q, "/oic/res", &link));
        assert_true(has_link(m, q, "/oic/d", &link));
        assert_true(has_link(m, q, "/oic/p", &link));
        assert_false(has_link(m, q, "/open", &link)); /* the administrator has not allowed it */
        m->allow_insecure = true;
        assert_true(has_link(m, q, "/open", &link));
        assert_false(has_link(m, q, "/closed", &link));
        assert_false(has_link(m, q, "/hidden", &link));
        q.subject.kind = SUBJECT_LOCAL;
        assert_true(has_link(m, q, "/closed", &link));
        assert_false(has_link(m, q, "/hidden", &link));
        model_free(m);
}

static void expect_text(struct span map, const char *key, const char *expected) {
        struct span item, text = SPAN_NULL;

        assert_true(rep_map_find(map, key, &item) && rep_as_text(item, &text));
        if (!span_equal_string(text, expected))
                fail_msg("%s is %.*s", key, (int)text.n, (const char *)text.data);
}

static uint64_t endpoints_of(struct span link, struct span *ret) {
        struct rep_token t;

        assert_true(rep_map_find(link, "eps", ret) && rep_next(ret, &t));
        return t.value.n;
}

/* wire-traces.md 6: the shape that the reference sends */
static void test_a_link(void **state) {
        struct model *m = with_resources();
        struct ocf_request q = request(COAP_GET, "/oic/res", "rt=oic.wk.d");
        struct span link, item, all, policy;
        int64_t bm;

        assert_int_equal(links(m, q, &all), 1);
        assert_true(has_link(m, q, "/oic/d", &link));
        expect_text(link, "anchor", "ocf://01000000-0000-0000-0000-000000000000");
        assert_true(rep_map_find(link, "p", &policy) && rep_map_find(policy, "bm", &item) &&
                    rep_as_int64(item, &bm) && bm == 3);
        assert_true(rep_map_find(link, "rt", &item) && rep_next(&item, &(struct rep_token){ 0 }));
        assert_true(rep_as_text(item, &all) && span_equal_string(all, "oic.d.light"));
        assert_false(rep_map_find(link, "rel", &item));
        assert_true(has_link(m, request(COAP_GET, "/oic/res", ""), "/oic/res", &link));
        assert_true(rep_map_find(link, "rel", &item));
        model_free(m);
}

static void test_endpoints_of_the_asked_interface_and_family(void **state) {
        static const uint8_t v6[16] = { 0xfd, 0, [15] = 1 }, link_local[16] = { 0xfe, 0x80, [15] = 1 };
        struct model *m = with_resources();
        struct ocf_request q = request(COAP_GET, "/oic/res", "rt=oic.wk.d");
        struct span link, eps;

        assert_true(has_link(m, q, "/oic/d", &link));
        assert_int_equal(endpoints_of(link, &eps), 1); /* not 10.0.1.1: that is another interface */
        expect_text(eps, "ep", "coap://10.0.0.1:5683");
        memcpy(q.peer.local_ip, v6, 16);
        memcpy(q.peer.remote_ip, v6, 16);
        assert_true(has_link(m, q, "/oic/d", &link));
        assert_int_equal(endpoints_of(link, &eps), 1); /* not fe80::1: nobody asked it */
        expect_text(eps, "ep", "coap://[fd00::1]:5683");
        memcpy(q.peer.local_ip, link_local, 16);
        memcpy(q.peer.remote_ip, link_local, 16);
        q.peer.interface = 2;
        assert_true(has_link(m, q, "/oic/d", &link));
        assert_int_equal(endpoints_of(link, &eps), 2);
        expect_text(eps, "ep", "coap://[fe80::1]:5683"); /* the asked one first */
        q.subject.kind = SUBJECT_LOCAL;
        assert_true(has_link(m, q, "/oic/d", &link));
        assert_int_equal(endpoints_of(link, &eps), 4);
        model_free(m);
}

static void test_plain_endpoints_only_of_what_is_served_plainly(void **state) {
        struct device_endpoint endpoints[] = {
                { .ip = { [10] = 0xff, [11] = 0xff, 10, 0, 0, 1 }, .port = 5683, .interface = 2 },
                { .ip = { [10] = 0xff, [11] = 0xff, 10, 0, 0, 1 },
                  .port = 5684,
                  .interface = 2,
                  .secure = true },
        };
        struct model *m = with_resources();
        struct ocf_request q = request(COAP_GET, "/oic/res", "");
        struct span link, eps;

        assert_int_equal(device_set_endpoints(m->devices[0], endpoints, 2), 0);
        assert_int_equal(device_set_security(m->devices[0], &(struct device_security){ .secure = true }), 0);
        m->allow_insecure = true;
        q.subject.kind = SUBJECT_LOCAL; /* it sees all resources */
        assert_true(has_link(m, q, "/open", &link));
        assert_int_equal(endpoints_of(link, &eps), 2);
        assert_true(has_link(m, q, "/closed", &link));
        assert_int_equal(endpoints_of(link, &eps), 1);
        expect_text(eps, "ep", "coaps://10.0.0.1:5684");
        m->allow_insecure = false;
        assert_true(has_link(m, q, "/open", &link));
        assert_int_equal(endpoints_of(link, &eps), 1);
        assert_true(has_link(m, q, "/oic/d", &link));
        assert_int_equal(endpoints_of(link, &eps), 2);
        model_free(m);
}

static void test_filters(void **state) {
        struct model *m = with_resources();
        struct ocf_request q = request(COAP_GET, "/oic/res", "rt=oic.wk.p&rt=oic.wk.d");
        struct ocf_response r;
        struct span all;

        assert_int_equal(links(m, q, &all), 2);
        q.query = SPAN_LITERAL("RT=oic.wk.p"); /* this key is exact */
        assert_int_equal(links(m, q, &all), 3);
        q.query = SPAN_LITERAL("rt=nothing.such");
        assert_int_equal(links(m, q, &all), 0);
        q.multicast = true;
        assert_int_equal(ask(m, &q, &r), MODEL_SILENT);
        q.query = SPAN_LITERAL("sduuid=01000000-0000-0000-0000-000000000000");
        assert_int_equal(ask(m, &q, &r), MODEL_SILENT);
        q.multicast = false;
        assert_int_equal(fault_of(m, q), FAULT_NOT_FOUND);
        model_free(m);
}

static void test_baseline_is_an_array_of_one_map(void **state) {
        struct model *m = with_resources();
        struct span all, item;

        assert_int_equal(links(m, request(COAP_GET, "/oic/res", "if=oic.if.baseline"), &all), 1);
        assert_true(rep_map_find(all, "links", &item));
        assert_int_equal(rep_type_of(item), REP_ARRAY);
        assert_true(rep_map_find(all, "rt", &item));
        model_free(m);
}

static void test_it_changes_when_links_or_addresses_do(void **state) {
        struct model *m = with_resources();
        struct device_endpoint other = { .ip = { [10] = 0xff, [11] = 0xff, 10, 0, 0, 7 },
                                         .port = 5683,
                                         .interface = 2 };
        struct ocf_request q = request(COAP_GET, "/oic/res", "");
        struct ocf_response r;
        struct model_event e;
        uint8_t etag[8];
        bool told = false;

        while (model_event(m, &e))
                ;
        ask(m, &q, &r);
        for (int i = 0; i < 8; i++)
                etag[i] = (uint8_t)(r.etag >> (56 - 8 * i));
        q.n_etags = 1;
        q.etags[0] = span_of(etag, 8);
        ask(m, &q, &r);
        assert_int_equal(r.code, COAP_VALID);
        q.query = SPAN_LITERAL("rt=oic.wk.d"); /* another view, another tag */
        ask(m, &q, &r);
        assert_int_equal(r.code, COAP_CONTENT);
        assert_int_equal(device_set_endpoints(m->devices[0], &other, 1), 0);
        while (model_event(m, &e))
                told |= e.resource && strcmp(e.resource->href, "/oic/res") == 0;
        assert_true(told);
        q.query = SPAN_NULL;
        ask(m, &q, &r);
        assert_int_equal(r.code, COAP_CONTENT);
        model_free(m);
}

static void test_device_and_platform(void **state) {
        struct model *m = with_resources();
        struct ocf_request q = request(COAP_GET, "/oic/d", "");
        struct ocf_response r;
        struct span item;

        ask(m, &q, &r);
        expect_text(r.rep, "di", "01000000-0000-0000-0000-000000000000");
        expect_text(r.rep, "piid", "02000000-0000-0000-0000-000000000000");
        expect_text(r.rep, "n", "box");
        expect_text(r.rep, "icv", "ocf.2.2.5");
        assert_false(rep_map_find(r.rep, "rt", &item));
        q.query = SPAN_LITERAL("if=oic.if.baseline");
        ask(m, &q, &r);
        assert_true(rep_map_find(r.rep, "rt", &item));
        q = request(COAP_GET, "/oic/p", "");
        ask(m, &q, &r);
        expect_text(r.rep, "mnmn", "Example");
        assert_false(rep_map_find(r.rep, "mnmo", &item)); /* not said */
        model_free(m);
}

/* RFC 5952's own examples */
static void test_addresses_as_text(void **state) {
        static const struct {
                uint8_t ip[16];
                const char *text;
        } rows[] = {
                { { 0x20, 1, 0x0d, 0xb8, [15] = 1 }, "2001:db8::1" },
                { { 0x20, 1, 0x0d, 0xb8, 0, 0, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1 }, "2001:db8:0:1:1:1:1:1" },
                { { 0x20, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1 }, "2001:0:0:1::1" },
                { { 0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1 }, "2001:db8::1:0:0:1" },
                { { [15] = 1 }, "::1" },
                { { 0 }, "::" },
                { { 0xfe, 0x80 }, "fe80::" },
                { { [10] = 0xff, [11] = 0xff, 192, 0, 2, 33 }, "192.0.2.33" },
        };
        struct device_endpoint e = { .ip = { [15] = 1 }, .port = 5684, .secure = true, .tcp = true };
        char text[ENDPOINT_TEXT_MAX];
        uint8_t back[16];

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                assert_string_equal(ip_format(rows[i].ip, text), rows[i].text);
                assert_true(ip_parse(text, back));
                assert_memory_equal(back, rows[i].ip, 16);
        }
        assert_string_equal(endpoint_format(&e, text), "coaps+tcp://[::1]:5684");
}

/* As the C library reads them, or not at all. */
static void test_addresses_that_are_none(void **state) {
        static const char *const bad[] = {
                "",
                ":",
                ":::",
                "1",
                "1.2.3",
                "1.2.3.4.5",
                "256.1.1.1",
                "1.2.3.4 ",
                "1..2.3",
                "::1::",
                "1::2::3",
                "1:2:3:4:5:6:7",
                "1:2:3:4:5:6:7:8:9",
                "1:2:3:4:5:6:7:8::",
                "12345::",
                "g::",
                "1:",
                ":1",
                "::1.2.3",
                "::1.2.3.4.5",
                "1:2:3:4:5:6:7:1.2.3.4",
                "::ffff:1.2.3.256",
                "::1.2.3.4:5",
                "+1.2.3.4",
                "0x1::",
                "fe80::1%eth0",
        };
        static const struct {
                const char *text;
                uint8_t ip[16];
        } good[] = {
                { "::ffff:192.0.2.1", { [10] = 0xff, [11] = 0xff, 192, 0, 2, 1 } },
                { "64:ff9b::192.0.2.33", { 0, 0x64, 0xff, 0x9b, [12] = 192, 0, 2, 33 } },
                { "1:2:3:4:5:6:7::", { 0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7 } },
                { "::2:3:4:5:6:7:8", { 0, 0, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7, 0, 8 } },
                { "FE80::ABCD", { 0xfe, 0x80, [14] = 0xab, 0xcd } },
        };
        static const char *const bad_ports[] = { "", "0", "65536", "1x", "-1", " 1", "100000" };
        uint16_t port = 7;
        uint8_t ip[16];

        for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
                if (ip_parse(bad[i], ip))
                        fail_msg("%s is read", bad[i]);
        for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
                if (!ip_parse(good[i].text, ip))
                        fail_msg("%s is not read", good[i].text);
                assert_memory_equal(ip, good[i].ip, 16);
        }
        for (size_t i = 0; i < ARRAY_SIZE(bad_ports); i++)
                assert_false(port_parse(bad_ports[i], &port));
        assert_int_equal(port, 7);
        assert_true(port_parse("65535", &port));
        assert_int_equal(port, 65535);
}

static void test_queries(void **state) {
        struct span q = SPAN_LITERAL("&if=a&&flag&x=1=2&"), k, v;

        assert_true(query_next(&q, &k, &v) && span_equal_string(k, "if") && span_equal_string(v, "a"));
        assert_true(query_next(&q, &k, &v) && span_equal_string(k, "flag") && !v.n);
        assert_true(query_next(&q, &k, &v) && span_equal_string(k, "x") && span_equal_string(v, "1=2"));
        assert_false(query_next(&q, &k, &v));
        assert_true(query_find(SPAN_LITERAL("a=1&If=b"), "if", &v) && span_equal_string(v, "b"));
        assert_false(query_find(SPAN_LITERAL("iff=b"), "if", &v));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_what_the_wire_sees_of_an_unowned_device),
                cmocka_unit_test(test_a_link),
                cmocka_unit_test(test_endpoints_of_the_asked_interface_and_family),
                cmocka_unit_test(test_plain_endpoints_only_of_what_is_served_plainly),
                cmocka_unit_test(test_filters),
                cmocka_unit_test(test_baseline_is_an_array_of_one_map),
                cmocka_unit_test(test_it_changes_when_links_or_addresses_do),
                cmocka_unit_test(test_device_and_platform),
                cmocka_unit_test(test_addresses_as_text),
                cmocka_unit_test(test_addresses_that_are_none),
                cmocka_unit_test(test_queries),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
