/* Secure resources: found, listed, in which order and with which endpoints. */
#include "secure_fixture.h"
#include "scarce_memory.h"

#include <errno.h>

static struct told h;

static void register_lamp(struct model *m, const char *href, bool insecure) {
        struct resource_spec spec;
        struct model_refusal why;
        struct app *a;

        h = (struct told){ .handler = { &published } };
        spec = lamp_spec(href, &h.handler);
        spec.insecure = insecure;
        assert_int_equal(register_one(m, ":1.5", NULL, 0, spec, &a, &why), 0);
}

/* ---- links ---- */

/* "href rt if bm eps" of each, the schemes of eps alone: the addresses are the same for all. */
static void list_lines(struct span links, char *buf, size_t n) {
        struct rep_token t;
        struct span link, eps, item, text;
        int64_t bm;

        buf[0] = 0;
        assert_true(rep_next(&links, &t));
        for (uint64_t i = t.value.n; i--;) {
                char number[8];

                assert_true(rep_skip(&links, &link));
                append(buf, n, text_of(link, "href"));
                append(buf, n, SPAN_LITERAL(" "));
                append_texts(buf, n, member(link, "rt"), NULL);
                append(buf, n, SPAN_LITERAL(" "));
                append_texts(buf, n, member(link, "if"), NULL);
                assert_true(rep_as_int64(member(member(link, "p"), "bm"), &bm));
                snprintf(number, sizeof(number), " %d ", (int)bm);
                append(buf, n, span_of_string(number));
                eps = member(link, "eps");
                assert_true(rep_next(&eps, &t));
                for (uint64_t j = 0; j < t.value.n; j++) {
                        assert_true(rep_skip(&eps, &item));
                        text = text_of(item, "ep");
                        if (j)
                                append(buf, n, SPAN_LITERAL(","));
                        append(buf, n,
                               span_of(text.data,
                                       (size_t)((uint8_t *)memchr(text.data, ':', text.n) - text.data)));
                }
                append(buf, n, SPAN_LITERAL("\n"));
        }
}

#define BOTH   "coap,coaps,coap+tcp,coaps+tcp,coap,coaps" /* two addresses, one of them with TCP */
#define SECURE "coaps,coaps+tcp,coaps"

/*
 * As the reference lists them (wire-traces.md 6). In it is what plgd's client
 * needs (security.md 4.9): /oic/d in clear and secure, clear first; doxm in
 * clear; doxm and acl2 listed; a secure endpoint in each.
 */
static void test_all_links_of_an_unowned_device(void **state) {
        static const char expected[] = "/oic/p oic.wk.p oic.if.r,oic.if.baseline 3 " BOTH "\n"
                                       "/oic/res oic.wk.res oic.if.ll,oic.if.b,oic.if.baseline 3 " BOTH "\n"
                                       "/oic/d oic.d.light,oic.wk.d oic.if.r,oic.if.baseline 3 " BOTH "\n"
                                       "/oic/mnt oic.wk.mnt oic.if.rw,oic.if.baseline 1 " SECURE "\n"
                                       "/oic/sec/doxm oic.r.doxm oic.if.rw,oic.if.baseline 1 " BOTH "\n"
                                       "/oic/sec/pstat oic.r.pstat oic.if.rw,oic.if.baseline 3 " BOTH "\n"
                                       "/oic/sec/acl2 oic.r.acl2 oic.if.rw,oic.if.baseline 1 " SECURE "\n"
                                       "/oic/sec/ael oic.r.ael oic.if.rw,oic.if.baseline 1 " SECURE "\n"
                                       "/oic/sec/cred oic.r.cred oic.if.rw,oic.if.baseline 1 " SECURE "\n"
                                       "/oic/sec/sp oic.r.sp oic.if.rw,oic.if.baseline 1 " SECURE "\n"
                                       "/oic/sec/csr oic.r.csr oic.if.rw,oic.if.baseline 1 " SECURE "\n"
                                       "/oic/sec/roles oic.r.roles oic.if.rw,oic.if.baseline 1 " SECURE "\n"
                                       "/oic/sec/sdi oic.r.sdi oic.if.rw,oic.if.baseline 1 " SECURE "\n"
                                       "/lamp oic.r.switch.binary oic.if.a,oic.if.baseline 3 " SECURE "\n";
        struct model *m = secure_model_open();
        struct ocf_request q = request(COAP_GET, "/oic/res", "di=01000000-0000-0000-0000-000000000000");
        char text[4096];

        register_lamp(m, "/lamp", true);
        for (int way = 0; way < 3; way++) { /* plgd asks the group, then the device; others over DTLS */
                q.multicast = way == 0;
                q.subject.kind = way == 2 ? SUBJECT_AUTH_CRYPT : SUBJECT_ANON_CLEAR;
                list_lines(rep_of_answer(m, q), text, sizeof(text));
                assert_string_equal(text, expected);
        }
        model_free(m);
}

static void test_apps_come_last_whoever_is_first(void **state) {
        struct model *m = model_open();
        struct list *last;

        register_lamp(m, "/early", true);
        add_secure_resources(m, m->devices[0]);
        last = m->devices[0]->resources.prev;
        assert_string_equal(LIST_ENTRY(last, struct resource, device_link)->href, "/early");
        assert_string_equal(LIST_ENTRY(last->prev, struct resource, device_link)->href, "/oic/sec/sdi");
        model_free(m);
}

/* The whole table: o(wned) t(ransfer) s(ecure), I(nsecure) and A(llowInsecure) of an app's resource; then for
 * each kind P(lain), S(ecure) endpoints, both, or - where it is not listed. */
static const char *const rows[] = {
        /* otsIA  core doxm cred app */
        "00000 P - - -",   "00001 P - - -",   "00010 P - - -",    "00011 P - - P",   "00100 PS PS S S",
        "00101 PS PS S S", "00110 PS PS S S", "00111 PS PS S PS", "01000 P - - -",   "01001 P - - -",
        "01010 P - - -",   "01011 P - - P",   "01100 PS S S S",   "01101 PS S S S",  "01110 PS S S S",
        "01111 PS S S PS", "10000 P - - -",   "10001 P - - -",    "10010 P - - -",   "10011 P - - P",
        "10100 PS S S S",  "10101 PS S S S",  "10110 PS S S S",   "10111 PS S S PS", "11000 P - - -",
        "11001 P - - -",   "11010 P - - -",   "11011 P - - P",    "11100 PS S S S",  "11101 PS S S S",
        "11110 PS S S S",  "11111 PS S S PS",
};

static const char *endpoints_meant(const char *letters) {
        if (strcmp(letters, "P") == 0)
                return "coap://10.0.0.1:5683,coap+tcp://10.0.0.1:5683,coap://10.0.0.2:5683";
        if (strcmp(letters, "S") == 0)
                return "coaps://10.0.0.1:5684,coaps+tcp://10.0.0.1:5684,coaps://10.0.0.2:5684";
        if (strcmp(letters, "PS") == 0)
                return "coap://10.0.0.1:5683,coaps://10.0.0.1:5684,coap+tcp://10.0.0.1:5683,"
                       "coaps+tcp://10.0.0.1:5684,coap://10.0.0.2:5683,coaps://10.0.0.2:5684";
        return "not listed";
}

static void expect_endpoints(struct model *m, const char *row, const char *href, const char *letters) {
        struct ocf_request q = request(COAP_GET, "/oic/res", "");
        bool plain = strchr(letters, 'P'), secure = strchr(letters, 'S');
        const char *listed;
        char buf[1024];

        for (int way = 0; way < 2; way++) {
                q.subject.kind = way ? SUBJECT_AUTH_CRYPT : SUBJECT_ANON_CLEAR;
                listed = endpoints_listed(rep_of_answer(m, q), href, buf, sizeof(buf));
                if (strcmp(listed ? listed : "not listed", endpoints_meant(letters)) != 0)
                        fail_msg("%s: %s has %s", row, href, listed ? listed : "no link");
        }
        if (resource_has_plain_endpoint(find(m, href)) != plain ||
            resource_has_secure_endpoint(find(m, href)) != secure)
                fail_msg("%s: %s answers otherwise than it is listed", row, href);
        q.subject.kind = SUBJECT_LOCAL; /* apps see all there is */
        assert_non_null(endpoints_listed(rep_of_answer(m, q), href, buf, sizeof(buf)));
}

static void test_endpoints_in_each_state(void **state) {
        static const char *const hrefs[] = { "/oic/d", "/oic/sec/doxm", "/oic/sec/cred", "/open", "/closed" };
        struct model *m = secure_model_open();

        assert_int_equal(ARRAY_SIZE(rows), 32);
        register_lamp(m, "/open", true);
        register_lamp(m, "/closed", false);
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                const char *row = rows[i];
                char letters[4][4];

                for (size_t bit = 0; bit < 5; bit++)
                        assert_int_equal(row[bit] - '0', i >> (4 - bit) & 1);
                assert_int_equal(
                        sscanf(row + 5, " %3s %3s %3s %3s", letters[0], letters[1], letters[2], letters[3]),
                        4);
                m->allow_insecure = row[4] == '1';
                assert_int_equal(device_set_security(m->devices[0],
                                                     &(struct device_security){ .owned = row[0] == '1',
                                                                                .transfer = row[1] == '1',
                                                                                .secure = row[2] == '1' }),
                                 0);
                for (size_t k = 0; k < 3; k++)
                        expect_endpoints(m, row, hrefs[k], letters[k]);
                expect_endpoints(m, row, hrefs[row[3] == '1' ? 3 : 4], letters[3]);
        }
        model_free(m);
}

static void test_no_secure_port_no_secure_endpoint(void **state) {
        static const struct device_endpoint plain = EP(1, 0, 0), secure = EP(1, 1, 0);
        struct model *m = secure_model_open();

        assert_int_equal(device_set_endpoints(m->devices[0], &plain, 1), 0);
        assert_true(resource_has_plain_endpoint(find(m, "/oic/sec/doxm")));
        assert_false(resource_has_secure_endpoint(find(m, "/oic/sec/doxm")));
        assert_int_equal(device_set_endpoints(m->devices[0], &secure, 1), 0);
        assert_false(resource_has_plain_endpoint(find(m, "/oic/sec/doxm")));
        assert_true(resource_has_secure_endpoint(find(m, "/oic/sec/doxm")));
        assert_int_equal(device_set_endpoints(m->devices[0], NULL, 0), 0);
        assert_false(resource_has_plain_endpoint(find(m, "/oic/d")));
        assert_false(resource_has_secure_endpoint(find(m, "/oic/d")));
        model_free(m);
}

/* The reference's onboarding tool looks for rt=oic.r.doxm (wire-traces.md 3). */
static void test_filters_find_them(void **state) {
        static const struct {
                const char *query, *expected;
        } filters[] = {
                { "rt=oic.r.doxm", "/oic/sec/doxm oic.r.doxm oic.if.rw,oic.if.baseline 1 " BOTH "\n" },
                { "rt=oic.r.doxm&owned=FALSE", "/oic/sec/doxm oic.r.doxm oic.if.rw,oic.if.baseline 1 " BOTH
                                               "\n" }, /* that is for doxm itself */
                { "rt=oic.r.acl2&rt=oic.wk.mnt",
                  "/oic/mnt oic.wk.mnt oic.if.rw,oic.if.baseline 1 " SECURE "\n"
                  "/oic/sec/acl2 oic.r.acl2 oic.if.rw,oic.if.baseline 1 " SECURE "\n" },
                { "rt=oic.r.crl", "" },
        };
        struct model *m = secure_model_open();
        char text[1024];

        for (size_t i = 0; i < ARRAY_SIZE(filters); i++) {
                list_lines(rep_of_answer(m, request(COAP_GET, "/oic/res", filters[i].query)), text,
                           sizeof(text));
                assert_string_equal(text, filters[i].expected);
        }
        model_free(m);
}

static bool is_in_core(struct model *m, enum subject_kind kind, const char *link) {
        struct ocf_request q = request(COAP_GET, "/.well-known/core", "");
        struct span text;

        q.subject.kind = kind;
        text = rep_of_answer(m, q);
        return memmem(text.data, text.n, link, strlen(link));
}

/* Its links mean the port that was asked. */
static void test_well_known_core_says_what_is_served_there(void **state) {
        struct model *m = secure_model_open();

        register_lamp(m, "/lamp", false);
        for (int round = 0; round < 2; round++) { /* each is kept, and kept apart */
                assert_true(is_in_core(m, SUBJECT_ANON_CLEAR, "</oic/sec/doxm>"));
                assert_false(is_in_core(m, SUBJECT_ANON_CLEAR, "</oic/sec/cred>"));
                assert_false(is_in_core(m, SUBJECT_ANON_CLEAR, "</lamp>"));
                assert_true(is_in_core(m, SUBJECT_AUTH_CRYPT, "</oic/sec/cred>"));
                assert_true(is_in_core(m, SUBJECT_AUTH_CRYPT, "</lamp>"));
                assert_true(is_in_core(m, SUBJECT_LOCAL, "</lamp>"));
        }
        model_free(m);
}

/* ---- requests ---- */

static enum model_answer route_and_ask(struct model *m, struct ocf_request q, enum fault *ret_fault,
                                       struct route *ret) {
        struct ocf_response r;

        *ret = (struct route){ 0 };
        if (!model_route(m, 1000, &q, ret))
                return MODEL_SILENT;
        *ret_fault = ret->fault;
        return ret->fault ? MODEL_ANSWERED : model_answer(m, &q, ret, &r);
}

static void test_routing(void **state) {
        static const struct {
                uint8_t method;
                const char *href, *query;
                enum fault fault;
                enum interface interface;
        } requests[] = {
                { COAP_GET, "/oic/sec/doxm", "", FAULT_NONE, INTERFACE_RW },
                { COAP_GET, "/oic/sec/doxm", "owned=FALSE", FAULT_NONE, INTERFACE_RW },
                { COAP_GET, "/oic/sec/doxm", "if=oic.if.baseline", FAULT_NONE, INTERFACE_BASELINE },
                { COAP_POST, "/oic/sec/pstat", "if=oic.if.rw", FAULT_NONE, INTERFACE_RW },
                { COAP_POST, "/oic/sec/cred", "if=oic.if.baseline", FAULT_NONE, INTERFACE_BASELINE },
                { COAP_DELETE, "/oic/sec/acl2", "aceid=1", FAULT_NONE, INTERFACE_RW },
                { COAP_POST, "/oic/mnt", "", FAULT_NONE, INTERFACE_RW },
                { COAP_PUT, "/oic/sec/doxm", "", FAULT_METHOD_NOT_ALLOWED, INTERFACE_RW },
                { COAP_FETCH, "/oic/sec/doxm", "", FAULT_METHOD_NOT_ALLOWED, INTERFACE_RW },
                { COAP_GET, "/oic/sec/doxm", "if=oic.if.r", FAULT_FORBIDDEN, INTERFACE_R },
                { COAP_GET, "/oic/sec/doxm", "if=oic.if.ll", FAULT_FORBIDDEN, INTERFACE_LL },
                { COAP_GET, "/oic/sec/doxm", "if=nonsense", FAULT_FORBIDDEN, INTERFACE_RW },
                { COAP_GET, "/oic/sec/crl", "", FAULT_NOT_FOUND, INTERFACE_BASELINE },
                { COAP_GET, "/oic/sec/doxm", "di=02000000-0000-0000-0000-000000000000", FAULT_NOT_FOUND,
                  INTERFACE_BASELINE },
        };
        struct model *m = secure_model_open();
        struct route route;
        enum fault fault;

        for (size_t i = 0; i < ARRAY_SIZE(requests); i++) {
                struct ocf_request q = request(requests[i].method, requests[i].href, requests[i].query);
                enum model_answer answer = route_and_ask(m, q, &fault, &route);

                if (fault != requests[i].fault || route.interface != requests[i].interface ||
                    answer != (fault ? MODEL_ANSWERED : MODEL_HANDLED))
                        fail_msg("%u %s?%s: fault %u, interface %u", requests[i].method, requests[i].href,
                                 requests[i].query, fault, route.interface);
        }
        model_free(m);
}

static void test_who_is_found_and_multicasts(void **state) {
        struct model *m = secure_model_open();
        struct ocf_request q = request(COAP_GET, "/oic/sec/doxm", "owned=FALSE");
        struct route route;
        enum fault fault;

        q.multicast = true;
        assert_int_equal(route_and_ask(m, q, &fault, &route), MODEL_HANDLED);
        assert_int_equal(route.resource->mode, RESOURCE_SECURE);
        assert_int_equal(route.resource->secure_id, 1);
        assert_null(route.resource->handler);
        assert_null(route.resource->app);
        q.query = SPAN_LITERAL("owned=FALSE&di=02000000-0000-0000-0000-000000000000");
        assert_int_equal(route_and_ask(m, q, &fault, &route), MODEL_SILENT); /* another device is meant */
        model_free(m);
}

static void test_accepted_formats(void **state) {
        struct model *m = secure_model_open();
        struct ocf_request q = request(COAP_GET, "/oic/sec/doxm", "");

        q.accept = COAP_FORMAT_OCF_CBOR;
        assert_int_equal(fault_of(m, q), FAULT_NONE);
        q.accept = COAP_FORMAT_CBOR; /* older clients */
        assert_int_equal(fault_of(m, q), FAULT_NONE);
        q.accept = COAP_FORMAT_LINK;
        assert_int_equal(fault_of(m, q), FAULT_NOT_ACCEPTABLE);
        model_free(m);
}

/* pstat has observers. */
static void test_a_change_is_told(void **state) {
        struct model *m = secure_model_open();
        struct resource *pstat = find(m, "/oic/sec/pstat");
        uint64_t etag = pstat->etag;
        struct model_event e;

        resource_changed(pstat);
        assert_true(pstat->etag > etag);
        assert_true(model_event(m, &e));
        assert_ptr_equal(e.resource, pstat);
        assert_int_equal(e.news, MODEL_NEWS_VALUE);
        assert_false(model_event(m, &e));
        model_free(m);
}

/* ---- added ---- */

static void test_added_once(void **state) {
        struct model *m = secure_model_open();
        struct resource *r = NULL;
        size_t n = m->n_resources;
        struct model_event e;

        assert_int_equal(model_add_secure_resource(m, m->devices[0], &secure_specs[1], &r), -EEXIST);
        assert_null(r);
        assert_int_equal(m->n_resources, n);
        assert_false(model_event(m, &e));
        add_device(m, 7); /* a second device has its own */
        assert_int_equal(model_add_secure_resource(m, m->devices[1], &secure_specs[1], &r), 0);
        assert_ptr_equal(model_resource_find(m, 1, SPAN_LITERAL("/oic/sec/doxm")), r);
        assert_ptr_not_equal(r, find(m, "/oic/sec/doxm"));
        model_free(m);
}

static void test_without_memory_none_is_added(void **state) {
        bool failed = true;

        for (int i = 0; failed; i++) {
                struct model *m = model_open();
                struct resource *r;
                size_t n;
                int e;

                register_lamp(m, "/lamp", true); /* the indexes are not empty */
                forget_news(m);
                n = m->n_resources;
                allocations_left = i;
                e = model_add_secure_resource(m, m->devices[0], &secure_specs[0], &r);
                failed = allocations_left < 0;
                allocations_left = -1;
                assert_int_equal(e, failed ? -ENOMEM : 0);
                assert_int_equal(m->n_resources, n + !failed);
                assert_int_equal(find(m, "/oic/sec/sdi") != NULL, !failed);
                model_free(m);
                assert_true(i < 20);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_all_links_of_an_unowned_device),
                cmocka_unit_test(test_apps_come_last_whoever_is_first),
                cmocka_unit_test(test_endpoints_in_each_state),
                cmocka_unit_test(test_no_secure_port_no_secure_endpoint),
                cmocka_unit_test(test_filters_find_them),
                cmocka_unit_test(test_well_known_core_says_what_is_served_there),
                cmocka_unit_test(test_routing),
                cmocka_unit_test(test_who_is_found_and_multicasts),
                cmocka_unit_test(test_accepted_formats),
                cmocka_unit_test(test_a_change_is_told),
                cmocka_unit_test(test_added_once),
                cmocka_unit_test(test_without_memory_none_is_added),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
