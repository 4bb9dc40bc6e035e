#include "secure_fixture.h"

/* An app that keeps what it is asked, and answers when the test says so. */
struct asked_app {
        struct handler handler;
        struct call *calls[32];
        size_t n;
        bool at_once;
};

static const struct span said = { (const uint8_t *)"\xa1\x61v\x01", 4 };

static void answer_call(struct call *c, struct span rep) {
        struct ocf_response r = OCF_RESPONSE_OK(COAP_CONTENT);

        r.rep = rep;
        call_answer(c, &r);
}

static void on_asked(struct handler *h, const struct resource *r, struct call *c) {
        struct asked_app *a = OCF_CONTAINER_OF(h, struct asked_app, handler);

        assert_int_equal(c->request.method, COAP_GET);
        assert_true(span_equal_string(c->request.path, r->href));
        if (a->at_once) {
                a->n++;
                answer_call(c, said);
        } else {
                a->calls[a->n++] = c;
        }
}

static const struct handler_vtable asked = { on_asked, NULL, NULL };

/* What the whole call came to. */
static struct outcome {
        struct call call;
        unsigned n_done;
        enum fault fault;
        uint8_t rep[2u << 20];
        size_t n;
} outcome;

static void on_outcome(struct call *c, const struct ocf_response *r) {
        outcome.n_done++;
        outcome.fault = r->fault;
        outcome.n = r->rep.n;
        assert_true(r->rep.n <= sizeof(outcome.rep));
        if (r->rep.n)
                memcpy(outcome.rep, r->rep.data, r->rep.n);
}

static struct told owner;
static struct asked_app app;

static struct app *add(struct model *m, const char *bus_name, struct resource_spec spec) {
        struct model_refusal why;
        struct app *a;

        assert_int_equal(register_one(m, bus_name, NULL, 0, spec, &a, &why), 0);
        return a;
}

static struct model *open_house(bool plain) {
        struct model *m = model_open();

        m->allow_insecure = plain;
        owner = (struct told){ .handler = { &published } };
        app = (struct asked_app){ .handler = { &asked } };
        add(m, ":1.5", lamp_spec("/lamp", &owner.handler));
        return m;
}

/* As the pipeline does it: an answer of the model, or a call to the resource's handler. */
static void start(struct model *m, struct ocf_request q) {
        struct route route;

        memset(&outcome, 0, sizeof(outcome));
        assert_true(model_route(m, 1000, &q, &route));
        assert_int_equal(route.fault, FAULT_NONE);
        outcome.call = (struct call){ .request = q,
                                      .interface = route.interface,
                                      .resource = route.resource->number,
                                      .deadline_ms = 6000,
                                      .done = on_outcome };
        assert_int_equal(model_answer(m, &q, &route, &(struct ocf_response){ 0 }), MODEL_HANDLED);
        route.resource->handler->vtable->request(route.resource->handler, route.resource, &outcome.call);
}

static bool find_item(struct span all, const char *href, struct span *ret) {
        char wanted[128];
        struct rep_token t;
        struct span item, text;
        uint64_t n;

        snprintf(wanted, sizeof(wanted), "ocf://01000000-0000-0000-0000-000000000000%s", href);
        assert_true(rep_next(&all, &t));
        assert_int_equal(t.type, REP_ARRAY);
        for (n = t.value.n; n--;) {
                assert_true(rep_skip(&all, ret));
                assert_true(rep_map_find(*ret, "href", &item) && rep_as_text(item, &text));
                if (span_equal_string(text, wanted))
                        return true;
        }
        return false;
}

static struct span rep_in(struct span all, const char *href) {
        struct span item, rep = SPAN_NULL;

        if (!find_item(all, href, &item))
                fail_msg("%s is not there", href);
        assert_true(rep_map_find(item, "rep", &rep));
        return rep;
}

static uint64_t count(struct span all) {
        struct rep_token t;

        assert_true(rep_next(&all, &t));
        return t.value.n;
}

#define EMPTY SPAN_LITERAL("\xa0")

static void test_all_that_is_listed_with_what_it_says(void **state) {
        struct model *m = open_house(true);
        struct ocf_request q = request(COAP_GET, "/oic/res", "if=oic.if.b");
        struct ocf_response r;
        struct span item, text = SPAN_NULL, etag = SPAN_NULL, one;
        struct ocf_response of_lamp;

        assert_int_equal(ask(m, &q, &r), MODEL_ANSWERED);
        assert_int_equal(r.code, COAP_CONTENT);
        assert_int_equal(count(r.rep), 3); /* and not /oic/res itself */
        assert_true(span_equal(rep_in(r.rep, "/lamp"), LAMP_VALUE));
        assert_true(rep_map_find(rep_in(r.rep, "/oic/d"), "n", &item) && rep_as_text(item, &text));
        assert_true(span_equal_string(text, "box"));
        assert_true(rep_map_find(rep_in(r.rep, "/oic/p"), "mnmn", &item));
        /* each with the ETag that it has alone */
        assert_true(find_item(r.rep, "/lamp", &item) && rep_map_find(item, "etag", &one) &&
                    rep_as_bytes(one, &etag));
        assert_true(rep_map_find(item, "rt", &one));
        q = request(COAP_GET, "/lamp", "");
        q.n_etags = 1;
        q.etags[0] = etag;
        ask(m, &q, &of_lamp);
        assert_int_equal(of_lamp.code, COAP_VALID);
        model_free(m);
}

static void test_a_filter_and_nothing_that_matches(void **state) {
        struct model *m = open_house(true);
        struct ocf_request q =
                request(COAP_GET, "/oic/res", "if=oic.if.b&rt=oic.wk.p&rt=oic.r.switch.binary");
        struct ocf_response r;

        ask(m, &q, &r);
        assert_int_equal(count(r.rep), 2);
        q.query = SPAN_LITERAL("if=oic.if.b&rt=x.none");
        ask(m, &q, &r);
        assert_int_equal(count(r.rep), 0);
        q.multicast = true;
        assert_int_equal(ask(m, &q, &r), MODEL_SILENT);
        model_free(m);
}

static void test_in_clear_it_is_refused_until_plain_access_is_allowed(void **state) {
        struct model *m = open_house(false);
        struct ocf_request q = request(COAP_GET, "/oic/res", "if=oic.if.b");
        struct resource_spec closed = lamp_spec("/closed", &owner.handler);
        struct ocf_response r;
        struct span item;

        closed.insecure = false;
        add(m, ":1.5", closed);
        assert_int_equal(fault_of(m, q), FAULT_BAD_REQUEST);
        q.multicast = true;
        assert_int_equal(ask(m, &q, &r), MODEL_SILENT);
        m->allow_insecure = true;
        q.multicast = false;
        ask(m, &q, &r);
        assert_false(find_item(r.rep, "/closed", &item));
        q.subject.kind = SUBJECT_AUTH_CRYPT; /* nobody has granted it anything else yet */
        m->allow_insecure = false;
        ask(m, &q, &r);
        assert_int_equal(r.fault, FAULT_NONE);
        assert_int_equal(count(r.rep), 2);
        assert_false(find_item(r.rep, "/lamp", &item));
        q.subject.kind = SUBJECT_LOCAL; /* apps.d says which resources an app may use */
        assert_int_equal(fault_of(m, q), FAULT_FORBIDDEN);
        model_free(m);
}

static void test_what_cannot_be_read_is_empty(void **state) {
        static const char *const writable[] = { "oic.if.w" }, *const baseline[] = { "oic.if.baseline" };
        struct model *m = open_house(true);
        struct resource_spec w = lamp_spec("/w", &owner.handler), b = lamp_spec("/b", &owner.handler);
        struct ocf_request q = request(COAP_GET, "/oic/res", "if=oic.if.b");
        struct model_refusal why;
        struct ocf_response r;
        struct span item;
        struct app *a;

        w.interfaces = writable;
        b.interfaces = baseline;
        add(m, ":1.5", w);
        add(m, ":1.5", b);
        assert_int_equal(register_one(m, ":1.6", "away", 5000, lamp_spec("/away", &owner.handler), &a, &why),
                         0);
        model_app_vanished(m, a, 1000);
        ask(m, &q, &r);
        assert_true(span_equal(rep_in(r.rep, "/w"), EMPTY));
        assert_true(span_equal(rep_in(r.rep, "/away"), EMPTY));
        assert_true(rep_map_find(rep_in(r.rep, "/b"), "if", &item)); /* as its default interface says it */
        model_free(m);
}

static void etag_bytes(uint64_t etag, uint8_t ret[8]) {
        for (int i = 0; i < 8; i++)
                ret[i] = (uint8_t)(etag >> (56 - 8 * i));
}

static void test_the_etag_of_the_whole(void **state) {
        struct model *m = open_house(true);
        struct ocf_request q = request(COAP_GET, "/oic/res", "if=oic.if.b");
        struct model_refusal why;
        struct ocf_response r;
        uint8_t etag[8];

        ask(m, &q, &r);
        etag_bytes(r.etag, etag);
        q.n_etags = 1;
        q.etags[0] = span_of(etag, 8);
        ask(m, &q, &r);
        assert_int_equal(r.code, COAP_VALID);
        assert_null(r.rep.data);
        assert_int_equal(resource_publish(find(m, "/lamp"), SPAN_LITERAL("\xa1\x65level\x09"), false, &why),
                         0);
        ask(m, &q, &r);
        assert_int_equal(r.code, COAP_CONTENT);
        model_free(m);
}

static void base64url(uint64_t etag, char ret[12]) {
        static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

        for (int i = 0; i < 10; i++)
                ret[i] = letters[etag >> (58 - 6 * i) & 63];
        ret[10] = letters[(etag & 15) << 2];
        ret[11] = 0;
}

static void test_only_what_changed_since(void **state) {
        struct model *m = open_house(true);
        char lamp[12], other[12], query[128];
        struct ocf_request q = request(COAP_GET, "/oic/res", "");
        struct model_refusal why;
        struct ocf_response r;
        uint8_t etag[8];

        m->etag = 0xfedcba9876543210u >> 1; /* letters of all kinds, and bits in every place */
        add(m, ":1.5", lamp_spec("/other", &owner.handler));
        base64url(find(m, "/lamp")->etag, lamp);
        base64url(find(m, "/other")->etag, other);
        snprintf(query, sizeof(query), "if=oic.if.b&incChanges=%s,xx,%s", lamp, other);
        q.query = span_of_string(query);
        ask(m, &q, &r);
        assert_int_equal(count(r.rep), 0);
        assert_int_equal(resource_publish(find(m, "/lamp"), SPAN_LITERAL("\xa1\x65level\x09"), false, &why),
                         0);
        ask(m, &q, &r);
        assert_int_equal(count(r.rep), 1);
        rep_in(r.rep, "/lamp");
        /* without a value the ETag option alone counts */
        q.query = SPAN_LITERAL("if=oic.if.b&incChanges=");
        etag_bytes(find(m, "/other")->etag, etag);
        q.n_etags = 1;
        q.etags[0] = span_of(etag, 8);
        ask(m, &q, &r);
        assert_int_equal(count(r.rep), 1);
        q.query = SPAN_LITERAL("if=oic.if.b"); /* nobody asked for changes */
        ask(m, &q, &r);
        assert_int_equal(count(r.rep), 4);
        q.n_etags = 0;
        q.query = SPAN_LITERAL("if=oic.if.b&incChanges=AAAAAAAAAAA,AAAAAAAAAAB,AAAAAAAAAA,!!!!!!!!!!!");
        ask(m, &q, &r);
        assert_int_equal(count(r.rep), 4); /* it has nothing of ours */
        base64url(find(m, "/lamp")->etag, lamp);
        lamp[10]++; /* bits that are not there */
        snprintf(query, sizeof(query), "if=oic.if.b&incChanges=%s", lamp);
        q.query = span_of_string(query);
        ask(m, &q, &r);
        assert_int_equal(count(r.rep), 4);
        model_free(m);
}

static void test_apps_are_asked_a_few_at_a_time(void **state) {
        struct model *m = open_house(true);
        struct span all, item;
        char href[16];

        for (int i = 0; i < 20; i++) {
                snprintf(href, sizeof(href), "/h%d", i);
                add(m, ":1.5", lamp_spec(href, &app.handler));
        }
        start(m, request(COAP_GET, "/oic/res", "if=oic.if.b"));
        assert_int_equal(app.n, 8);
        for (size_t i = 0; i < app.n; i++)
                assert_int_equal(app.calls[i]->deadline_ms, 6000);
        for (size_t i = 0; i < 20; i++) {
                assert_int_equal(outcome.n_done, 0);
                answer_call(app.calls[i], i == 4 ? SPAN_NULL : said);
                assert_int_equal(app.n, i < 12 ? i + 9 : 20); /* as one is done the next one is asked */
        }
        assert_int_equal(app.n, 20);
        assert_int_equal(outcome.n_done, 1);
        all = span_of(outcome.rep, outcome.n);
        assert_int_equal(count(all), 23);
        assert_true(span_equal(rep_in(all, "/h0"), said));
        assert_true(span_equal(rep_in(all, "/h4"), EMPTY));
        assert_true(span_equal(rep_in(all, "/h19"), said));
        assert_true(span_equal(rep_in(all, "/lamp"), LAMP_VALUE));
        assert_true(find_item(all, "/h0", &item));
        assert_false(rep_map_find(item, "etag", &item)); /* the app may change its mind unsaid */
        assert_int_equal(m->n_gathers, 0);
        model_free(m);
}

static void test_apps_that_answer_at_once_fail_or_leave(void **state) {
        static const char *const baseline[] = { "oic.if.baseline" };
        struct ocf_response failed = OCF_RESPONSE_FAULT(FAULT_TIMEOUT);
        struct model *m = open_house(true);
        struct resource_spec b = lamp_spec("/c", &app.handler);
        struct span all, item;

        app.at_once = true;
        for (int i = 0; i < 12; i++) {
                char href[16];

                snprintf(href, sizeof(href), "/h%d", i);
                add(m, ":1.5", lamp_spec(href, &app.handler));
        }
        start(m, request(COAP_GET, "/oic/res", "if=oic.if.b"));
        assert_int_equal(outcome.n_done, 1);
        assert_int_equal(count(span_of(outcome.rep, outcome.n)), 15);
        model_unregister(m, model_app_by_owner(m, ":1.5"), NULL);
        app = (struct asked_app){ .handler = { &asked } };
        add(m, ":1.6", lamp_spec("/a", &app.handler));
        add(m, ":1.6", lamp_spec("/b", &app.handler));
        b.interfaces = baseline;
        add(m, ":1.6", b);
        start(m, request(COAP_GET, "/oic/res", "if=oic.if.b"));
        assert_int_equal(app.n, 3);
        call_answer(app.calls[0], &failed);
        model_unregister(m, model_app_by_owner(m, ":1.6"), find(m, "/b"));
        answer_call(app.calls[1], said);
        answer_call(app.calls[2], said);
        assert_int_equal(outcome.n_done, 1);
        all = span_of(outcome.rep, outcome.n);
        assert_true(span_equal(rep_in(all, "/a"), EMPTY));
        assert_false(find_item(all, "/b", &item));
        assert_true(rep_map_find(rep_in(all, "/c"), "rt", &item)); /* the common properties were added */
        model_free(m);
}

static void test_only_so_many_at_one_time(void **state) {
        struct model *m = open_house(true);
        struct call calls[16];
        struct route route;
        struct ocf_request q = request(COAP_GET, "/oic/res", "if=oic.if.b");

        add(m, ":1.5", lamp_spec("/a", &app.handler));
        assert_true(model_route(m, 1000, &q, &route));
        for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
                calls[i] = (struct call){ .request = q, .deadline_ms = 6000, .done = on_outcome };
                route.resource->handler->vtable->request(route.resource->handler, route.resource, &calls[i]);
        }
        assert_int_equal(app.n, 16);
        start(m, q);
        assert_int_equal(app.n, 16);
        assert_int_equal(outcome.n_done, 1);
        assert_int_equal(outcome.fault, FAULT_BUSY);
        answer_call(app.calls[0], said);
        app.n = 16;
        start(m, q); /* one may come now; the model is freed in the middle of all these */
        assert_int_equal(outcome.n_done, 0);
        assert_int_equal(app.n, 17);
        model_free(m);
}

/* What is beyond a mebibyte is left out, and the rest is given. */
static void test_only_so_many_bytes_of_apps(void **state) {
        static uint8_t large[0x10000 + 8] = { 0xa1, 0x61, 'v', 0x5a, 0, 1, 0, 0 };
        struct span all, value = span_of(large, sizeof(large));
        struct model *m = open_house(true);
        char href[16];

        for (int i = 0; i < 18; i++) {
                snprintf(href, sizeof(href), "/h%d", i);
                add(m, ":1.5", lamp_spec(href, &app.handler));
        }
        start(m, request(COAP_GET, "/oic/res", "if=oic.if.b"));
        for (size_t i = 0; i < 18; i++)
                answer_call(app.calls[i], i == 17 ? said : value);
        assert_int_equal(outcome.n_done, 1);
        assert_int_equal(outcome.fault, FAULT_NONE);
        all = span_of(outcome.rep, outcome.n);
        assert_true(span_equal(rep_in(all, "/h14"), value));
        assert_true(span_equal(rep_in(all, "/h15"), EMPTY)); /* the sixteenth does not fit any more */
        assert_true(span_equal(rep_in(all, "/h16"), EMPTY));
        assert_true(span_equal(rep_in(all, "/h17"), said));
        model_free(m);
}

/* ---- who may read what ---- */

/* The security of the daemon, as far as a batch asks it. */
static struct {
        const char *denied; /* one href */
        struct subject seen;
} rights;

static bool may_read(void *context, const struct ocf_request *q, const struct resource *r) {
        assert_ptr_equal(context, &rights);
        assert_true(r->mode != RESOURCE_SECURE);
        rights.seen = q->subject;
        return !rights.denied || strcmp(r->href, rights.denied) != 0;
}

static struct model *open_secure_house(void) {
        struct model *m = secure_model_open();
        struct resource_spec closed = lamp_spec("/closed", &owner.handler);

        m->allow_insecure = true;
        m->may_read = may_read;
        m->may_read_context = &rights;
        rights.denied = NULL;
        owner = (struct told){ .handler = { &published } };
        app = (struct asked_app){ .handler = { &asked } };
        add(m, ":1.5", lamp_spec("/lamp", &owner.handler));
        closed.insecure = false;
        add(m, ":1.5", closed);
        return m;
}

static void expect_in_batch(struct model *m, enum subject_kind kind, const char *hrefs) {
        struct ocf_request q = request(COAP_GET, "/oic/res", "if=oic.if.b");
        struct rep_token t;
        struct span all, item, href;
        char text[512] = "";

        q.subject.kind = kind;
        all = rep_of_answer(m, q);
        assert_true(rep_next(&all, &t));
        while (t.value.n--) {
                assert_true(rep_skip(&all, &item));
                href = text_of(item, "href");
                append(text, sizeof(text), span_of(href.data + 42, href.n - 42)); /* behind ocf://<di> */
                append(text, sizeof(text), SPAN_LITERAL(" "));
        }
        assert_string_equal(text, hrefs);
}

/* doxm can be read in clear as well, and still is in no batch. */
static void test_a_batch_has_no_secure_resource_and_in_clear_only_what_is_in_clear(void **state) {
        struct model *m = open_secure_house();

        for (int again = 0; again < 2; again++) {
                expect_in_batch(m, SUBJECT_ANON_CLEAR, "/oic/p /oic/d /lamp ");
                expect_in_batch(m, SUBJECT_AUTH_CRYPT, "/oic/p /oic/d /lamp /closed ");
        }
        m->may_read = NULL; /* nobody says that it may */
        expect_in_batch(m, SUBJECT_AUTH_CRYPT, "/oic/p /oic/d /lamp ");
        model_free(m);
}

static void test_rights_decide_each_time(void **state) {
        struct model *m = open_secure_house();
        struct ocf_request q = request(COAP_GET, "/oic/res", "if=oic.if.b");
        struct ocf_response r;

        expect_in_batch(m, SUBJECT_AUTH_CRYPT, "/oic/p /oic/d /lamp /closed ");
        rights.denied = "/closed"; /* an entry went */
        expect_in_batch(m, SUBJECT_AUTH_CRYPT, "/oic/p /oic/d /lamp ");
        rights.denied = NULL;
        expect_in_batch(m, SUBJECT_AUTH_CRYPT, "/oic/p /oic/d /lamp /closed ");
        q.subject = (struct subject){ .kind = SUBJECT_AUTH_CRYPT, .id = { { 5 } } };
        ask(m, &q, &r);
        assert_memory_equal(rights.seen.id.bytes, q.subject.id.bytes, 16);
        model_free(m);
}

static void test_apps_are_not_asked_what_the_asker_may_not_read(void **state) {
        struct model *m = open_secure_house();
        struct ocf_request q = request(COAP_GET, "/oic/res", "if=oic.if.b");
        struct ocf_response r;
        struct span all, item;

        q.subject.kind = SUBJECT_AUTH_CRYPT;
        add(m, ":1.5", lamp_spec("/a", &app.handler));
        rights.denied = "/a";
        assert_int_equal(ask(m, &q, &r), MODEL_ANSWERED); /* there is no app to ask */
        add(m, ":1.5", lamp_spec("/b", &app.handler));
        start(m, q);
        assert_int_equal(app.n, 1);
        assert_true(span_equal_string(app.calls[0]->request.path, "/b"));
        rights.denied = "/b"; /* while the app thinks */
        answer_call(app.calls[0], said);
        all = span_of(outcome.rep, outcome.n);
        assert_int_equal(outcome.n_done, 1);
        assert_false(find_item(all, "/b", &item));
        assert_true(span_equal(rep_in(all, "/a"), EMPTY)); /* it may read this now, but nobody was asked */
        model_free(m);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_all_that_is_listed_with_what_it_says),
                cmocka_unit_test(test_a_filter_and_nothing_that_matches),
                cmocka_unit_test(test_in_clear_it_is_refused_until_plain_access_is_allowed),
                cmocka_unit_test(test_what_cannot_be_read_is_empty),
                cmocka_unit_test(test_the_etag_of_the_whole),
                cmocka_unit_test(test_only_what_changed_since),
                cmocka_unit_test(test_apps_are_asked_a_few_at_a_time),
                cmocka_unit_test(test_apps_that_answer_at_once_fail_or_leave),
                cmocka_unit_test(test_only_so_many_at_one_time),
                cmocka_unit_test(test_only_so_many_bytes_of_apps),
                cmocka_unit_test(test_a_batch_has_no_secure_resource_and_in_clear_only_what_is_in_clear),
                cmocka_unit_test(test_rights_decide_each_time),
                cmocka_unit_test(test_apps_are_not_asked_what_the_asker_may_not_read),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
