#include "model_fixture.h"

static struct told app_handler;

static struct model *with_lamp(const char *const *interfaces, size_t n, const struct handler_vtable *vtable) {
        struct model *m = model_open();
        struct resource_spec spec;
        struct model_refusal why;
        struct model_event e;
        struct app *a;

        app_handler = (struct told){ .handler = { vtable } };
        spec = lamp_spec("/lamp", &app_handler.handler);
        spec.interfaces = interfaces;
        spec.n_interfaces = n;
        assert_int_equal(register_one(m, ":1.5", "lamp", 0, spec, &a, &why), 0);
        while (model_event(m, &e))
                ;
        return m;
}

static const char *const only_s[] = { "oic.if.s" }, *const only_w[] = { "oic.if.w" },
                         *const a_and_s[] = { "oic.if.a", "oic.if.s" };

static void test_get(void **state) {
        struct model *m = with_lamp(interface_a, 1, &published);
        struct ocf_request q = request(COAP_GET, "/lamp", "");
        struct ocf_response r;
        struct span item, text;
        uint8_t etag[8];

        assert_int_equal(ask(m, &q, &r), MODEL_ANSWERED);
        assert_int_equal(r.code, COAP_CONTENT);
        assert_true(span_equal(r.rep, LAMP_VALUE));
        for (int i = 0; i < 8; i++)
                etag[i] = (uint8_t)(r.etag >> (56 - 8 * i));
        q.n_etags = 1;
        q.etags[0] = span_of(etag, 8);
        ask(m, &q, &r);
        assert_int_equal(r.code, COAP_VALID);
        assert_null(r.rep.data);
        q = request(COAP_GET, "/lamp", "if=oic.if.baseline");
        q.n_etags = 1;
        q.etags[0] = span_of(etag, 8); /* of another view: it says nothing about this one */
        ask(m, &q, &r);
        assert_int_equal(r.code, COAP_CONTENT);
        assert_true(rep_map_find(r.rep, "rt", &item));
        assert_true(rep_map_find(r.rep, "if", &item) && rep_next(&item, &(struct rep_token){ 0 }));
        assert_true(rep_as_text(item, &text) &&
                    span_equal_string(text, "oic.if.a")); /* the default one first */
        assert_true(rep_map_find(r.rep, "level", &item));
        model_free(m);
}

static void test_order_of_refusals(void **state) {
        struct model *m = with_lamp(only_s, 1, &published);
        struct ocf_request q;

        assert_int_equal(fault_of(m, request(COAP_GET, "/nowhere", "")), FAULT_NOT_FOUND);
        assert_int_equal(fault_of(m, request(COAP_GET, "/lamp", "if=oic.if.x")), FAULT_BAD_REQUEST);
        assert_int_equal(fault_of(m, request(COAP_GET, "/lamp", "if=")), FAULT_BAD_REQUEST);
        assert_int_equal(fault_of(m, request(COAP_GET, "/lamp", "if=oic.if.rw")),
                         FAULT_FORBIDDEN);                                               /* it lacks that */
        assert_int_equal(fault_of(m, request(COAP_POST, "/lamp", "")), FAULT_FORBIDDEN); /* a sensor */
        assert_int_equal(fault_of(m, request(COAP_DELETE, "/lamp", "")), FAULT_METHOD_NOT_ALLOWED);
        assert_int_equal(fault_of(m, request(COAP_FETCH, "/lamp", "")), FAULT_METHOD_NOT_ALLOWED);
        assert_int_equal(fault_of(m, request(COAP_IPATCH, "/lamp", "")), FAULT_METHOD_NOT_ALLOWED);
        assert_int_equal(fault_of(m, request(COAP_POST, "/oic/d", "")), FAULT_METHOD_NOT_ALLOWED);
        q = request(COAP_GET, "/lamp", "");
        q.accept = 40;
        assert_int_equal(fault_of(m, q), FAULT_NOT_ACCEPTABLE);
        q.accept = COAP_FORMAT_CBOR;
        assert_int_equal(fault_of(m, q), FAULT_NONE);
        q = request(COAP_GET, "/oic/res", "");
        q.accept = COAP_FORMAT_CBOR; /* OIC 1.1's layout: not spoken, and not pretended */
        assert_int_equal(fault_of(m, q), FAULT_NOT_ACCEPTABLE);
        assert_int_equal(fault_of(m, request(COAP_GET, "/lamp", "IF=oic.if.s&if=oic.if.x")),
                         FAULT_NONE); /* the first wins */
        model_free(m);
}

static void test_di_selects_the_device(void **state) {
        struct model *m = with_lamp(only_s, 1, &published);
        struct ocf_request q = request(COAP_GET, "/lamp", "di=01000000-0000-0000-0000-000000000000");
        struct ocf_response r;

        assert_int_equal(fault_of(m, q), FAULT_NONE);
        q.query = SPAN_LITERAL(
                "di=02000000-0000-0000-0000-000000000000&DI=01000000-0000-0000-0000-000000000000");
        assert_int_equal(fault_of(m, q), FAULT_NONE);
        q.query = SPAN_LITERAL("di=02000000-0000-0000-0000-000000000000");
        assert_int_equal(fault_of(m, q), FAULT_NOT_FOUND);
        q.multicast = true;
        assert_int_equal(ask(m, &q, &r), MODEL_SILENT);
        q.device = 5;
        assert_int_equal(ask(m, &q, &r), MODEL_SILENT);
        model_free(m);
}

static void update(struct model *m, const char *query, struct span payload, struct ocf_response *ret) {
        struct ocf_request q = request(COAP_POST, "/lamp", query);

        q.payload = payload;
        assert_int_equal(ask(m, &q, ret), MODEL_ANSWERED);
}

static void test_update_of_a_published_value(void **state) {
        struct model *m = with_lamp(interface_a, 1, &published);
        struct model_event e;
        struct ocf_response r;
        struct span item;
        int64_t level;

        update(m, "", SPAN_LITERAL("\xa1\x65level\xfb\x40\x1c\0\0\0\0\0\0"), &r); /* 7.0 over an integer */
        assert_int_equal(r.code, COAP_CHANGED);
        assert_true(rep_map_find(r.rep, "level", &item) && rep_as_int64(item, &level) && level == 7);
        assert_true(rep_map_find(r.rep, "value", &item)); /* the whole new representation */
        assert_int_equal(app_handler.n_updates, 1);
        assert_true(model_event(m, &e));
        assert_string_equal(e.resource->href, "/lamp");
        assert_int_equal(e.news, MODEL_NEWS_VALUE);
        assert_false(model_event(m, &e));
        update(m, "if=oic.if.baseline", SPAN_LITERAL("\xa2\x65level\x08\x62rt\x81\x73oic.r.switch.binary"),
               &r);
        assert_int_equal(r.code, COAP_CHANGED); /* what is as it is may be said */
        assert_true(rep_map_find(r.rep, "rt", &item));
        model_free(m);
}

static void test_updates_that_cannot_be(void **state) {
        static const struct span bad[] = {
                { NULL, 0 },
                { (const uint8_t *)"\x01", 1 },
                { (const uint8_t *)"\xa0", 1 },
                { (const uint8_t *)"\xa1\x01\x02", 3 },
                { (const uint8_t *)"\xa1\x65level\x61x", 9 }, /* text over a number */
                { (const uint8_t *)"\xa1\x65value\x01", 8 },  /* a number over a truth value */
                { (const uint8_t *)"\xa1\x65"
                                   "other\x01",
                  8 },                                                 /* no such property */
                { (const uint8_t *)"\xa2\x65level\x05\x61x\x01", 11 }, /* nor is half of it done */
                { (const uint8_t *)"\xa1\x62rt\x80", 5 },              /* read-only */
        };
        struct model *m = with_lamp(interface_a, 1, &published);
        struct ocf_response r;

        for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
                update(m, "", bad[i], &r);
                assert_int_equal(r.fault, FAULT_BAD_REPRESENTATION);
                assert_non_null(r.diagnostic);
        }
        assert_true(span_equal(span_of(find(m, "/lamp")->rep, find(m, "/lamp")->n_rep), LAMP_VALUE));
        assert_int_equal(app_handler.n_updates, 0);
        model_free(m);
}

static void test_each_interface_lets_its_own_through(void **state) {
        struct model *m = with_lamp(only_w, 1, &published);
        struct ocf_response r;

        assert_int_equal(fault_of(m, request(COAP_GET, "/lamp", "")), FAULT_FORBIDDEN); /* write only */
        update(m, "", SPAN_LITERAL("\xa1\x65level\x05"), &r);
        assert_int_equal(r.code, COAP_CHANGED);
        assert_null(r.rep.data);
        model_free(m);
        m = with_lamp(a_and_s, 2, &published);
        assert_int_equal(fault_of(m, request(COAP_GET, "/lamp", "if=oic.if.s")), FAULT_NONE);
        assert_int_equal(fault_of(m, request(COAP_POST, "/lamp", "if=oic.if.s")), FAULT_FORBIDDEN);
        update(m, "if=oic.if.a", SPAN_LITERAL("\xa1\x65level\x05"), &r);
        assert_int_equal(r.code, COAP_CHANGED);
        model_free(m);
        for (enum interface i = 0; i < _INTERFACE_N; i++) { /* the table itself */
                enum interface parsed;

                assert_true(interface_parse(&parsed, span_of_string(interface_name(i))));
                assert_int_equal(parsed, i);
                assert_false(interface_allows(i, 0));
                assert_false(interface_allows(i, COAP_FETCH));
                assert_false(interface_allows(i, 200));
        }
}

static void test_handled_resources_go_to_their_app(void **state) {
        struct model *m = with_lamp(interface_a, 1, &handled);
        struct ocf_request q = request(COAP_GET, "/lamp", "");
        struct ocf_response r;
        struct model_event e;
        struct span item, rep;
        uint64_t etag = find(m, "/lamp")->etag;

        assert_int_equal(ask(m, &q, &r), MODEL_HANDLED);
        q.method = COAP_DELETE;
        assert_int_equal(ask(m, &q, &r), MODEL_HANDLED);
        resource_changed(find(m, "/lamp"));
        assert_true(model_event(m, &e) && e.news == MODEL_NEWS_VALUE);
        assert_true(find(m, "/lamp")->etag > etag);
        rep = resource_with_common(find(m, "/lamp"), SPAN_LITERAL("\xa1\x65value\xf5"));
        assert_true(rep_map_find(rep, "rt", &item) && rep_map_find(rep, "value", &item));
        assert_true(span_equal(resource_with_common(find(m, "/lamp"), SPAN_LITERAL("\x80")),
                               SPAN_LITERAL("\x80")));
        model_free(m);
}

static void test_publishing(void **state) {
        struct model *m = with_lamp(interface_a, 1, &published);
        struct resource *r = find(m, "/lamp");
        struct model_refusal why;
        struct model_event e;
        uint64_t etag = r->etag;

        assert_int_equal(resource_publish(r, SPAN_LITERAL("\xa1\x65level\x03"), false, &why), 0);
        assert_false(model_event(m, &e)); /* it says the same: no news */
        assert_int_equal(r->etag, etag);
        assert_int_equal(resource_publish(r, SPAN_LITERAL("\xa1\x65level\x04"), false, &why), 0);
        assert_true(model_event(m, &e));
        assert_true(r->etag > etag);
        assert_int_equal(resource_publish(r, SPAN_LITERAL("\xa1\x61x\x04"), true, &why), 0);
        assert_int_equal(r->n_rep, 4);
        assert_int_equal(resource_publish(r, SPAN_LITERAL("\x01"), true, &why), MODEL_E_REFUSED);
        assert_int_equal(resource_publish(r, SPAN_LITERAL("\x01"), false, &why), MODEL_E_REFUSED);
        assert_int_equal(why.fault, FAULT_BAD_REPRESENTATION);
        model_free(m);
        m = with_lamp(interface_a, 1, &handled);
        assert_int_equal(resource_publish(find(m, "/lamp"), SPAN_LITERAL("\xa0"), false, &why),
                         MODEL_E_REFUSED);
        model_free(m);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_get),
                cmocka_unit_test(test_order_of_refusals),
                cmocka_unit_test(test_di_selects_the_device),
                cmocka_unit_test(test_update_of_a_published_value),
                cmocka_unit_test(test_updates_that_cannot_be),
                cmocka_unit_test(test_each_interface_lets_its_own_through),
                cmocka_unit_test(test_handled_resources_go_to_their_app),
                cmocka_unit_test(test_publishing),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
