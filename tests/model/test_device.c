/* What is set of a device while it lives: it takes effect at once, everywhere, and is told. */
#include "scarce_memory.h"
#include "secure_fixture.h"

#include <errno.h>

static struct told h;

/* The secure model with a lamp that the batch tells of. */
static struct model *open_house(void) {
        struct model *m = secure_model_open();
        struct model_refusal why;
        struct app *a;

        m->allow_insecure = true;
        h = (struct told){ .handler = { &published } };
        assert_int_equal(register_one(m, ":1.5", NULL, 0, lamp_spec("/lamp", &h.handler), &a, &why), 0);
        forget_news(m);
        return m;
}

/* ---- no answer is stale ---- */

static void set(struct device *d, struct device_security s) {
        s.secure = true;
        assert_int_equal(device_set_security(d, &s), 0);
}

#define DOMAIN                                                                                               \
        {                                                                                                    \
                { 0xab, 0xcd, [15] = 1 }                                                                     \
        }

static void own(struct device *d) {
        set(d, (struct device_security){ .owned = true });
}

static void begin_transfer(struct device *d) {
        set(d, (struct device_security){ .transfer = true });
}

static void join_domain(struct device *d) {
        set(d, (struct device_security){ .domain = DOMAIN, .domain_name = "home" });
}

static void rename_domain(struct device *d) {
        join_domain(d);
        set(d, (struct device_security){ .domain = DOMAIN, .domain_name = "house" });
}

static void hide_domain(struct device *d) {
        join_domain(d);
        set(d, (struct device_security){ .domain = DOMAIN, .domain_name = "home", .domain_private = true });
}

static void seal(struct device *d) {
        assert_int_equal(device_set_security(d, &(struct device_security){ 0 }), 0);
}

static void rename_device(struct device *d) {
        assert_int_equal(device_set_id(d, &(struct uuid){ { 0xee, 0x11 } }), 0);
}

static void gain_resource(struct device *d) {
        static const struct secure_resource_spec more = { "/oic/more", "x.more", false, CLEAR_NEVER, 99 };
        struct resource *r;

        assert_int_equal(model_add_secure_resource(d->model, d, &more, &r), 0);
}

static void lose_ports(struct device *d) {
        assert_int_equal(device_set_endpoints(d, all_endpoints + 5, 1), 0);
}

static const struct {
        const char *name;
        void (*apply)(struct device *d);
        bool changes_links, changes_baseline, changes_device, changes_batch;
} setters[] = {
        { "own", own, true, true, false, false },
        { "begin a transfer", begin_transfer, true, true, false, false },
        { "join a domain", join_domain, false, true, false, false },
        { "rename the domain", rename_domain, false, true, false, false },
        { "hide the domain", hide_domain, false, false, false, false },
        { "seal", seal, true, true, false, false },
        { "rename the device", rename_device, true, true, true, true },
        { "gain a resource", gain_resource, true, true, false, false },
        { "lose ports", lose_ports, true, true, false, false },
};

static const struct {
        const char *href, *query;
} views[] = {
        { "/oic/res", "" },
        { "/oic/res", "if=oic.if.baseline" },
        { "/oic/res", "if=oic.if.b" },
        { "/oic/res", "rt=oic.wk.d" },
        { "/oic/d", "" },
        { "/oic/d", "if=oic.if.baseline" },
        { "/.well-known/core", "" },
};

static bool answers_same(struct model *a, struct model *b, struct ocf_request q) {
        struct ocf_response of_a, of_b;

        assert_int_equal(ask(a, &q, &of_a), ask(b, &q, &of_b));
        return of_a.fault == of_b.fault && of_a.code == of_b.code && span_equal(of_a.rep, of_b.rep) &&
               span_equal(of_a.raw, of_b.raw);
}

/* Whoever was asked before the change says afterwards what one says that nobody has asked yet. */
static void test_no_setter_leaves_an_old_answer(void **state) {
        static const enum subject_kind subjects[] = { SUBJECT_ANON_CLEAR, SUBJECT_AUTH_CRYPT, SUBJECT_LOCAL };

        for (size_t s = 0; s < ARRAY_SIZE(setters); s++)
                for (size_t v = 0; v < ARRAY_SIZE(views); v++)
                        for (size_t k = 0; k < ARRAY_SIZE(subjects); k++) {
                                struct ocf_request q = request(COAP_GET, views[v].href, views[v].query);
                                struct model *asked = open_house(), *fresh = open_house();
                                struct ocf_response r;

                                q.subject.kind = subjects[k];
                                ask(asked, &q, &r);
                                ask(asked, &q, &r);
                                setters[s].apply(asked->devices[0]);
                                setters[s].apply(fresh->devices[0]);
                                if (!answers_same(asked, fresh, q))
                                        fail_msg("%s: an old answer of %s?%s", setters[s].name, views[v].href,
                                                 views[v].query);
                                model_free(asked);
                                model_free(fresh);
                        }
}

static bool changed(size_t setter, const char *href, const char *query) {
        struct model *before = open_house(), *after = open_house();
        bool same;

        setters[setter].apply(after->devices[0]);
        same = answers_same(before, after, request(COAP_GET, href, query));
        model_free(before);
        model_free(after);
        return !same;
}

static void test_each_setter_changes_what_it_should(void **state) {
        for (size_t s = 0; s < ARRAY_SIZE(setters); s++)
                if (changed(s, "/oic/res", "") != setters[s].changes_links ||
                    changed(s, "/oic/res", "if=oic.if.baseline") != setters[s].changes_baseline ||
                    changed(s, "/oic/d", "") != setters[s].changes_device ||
                    changed(s, "/oic/res", "if=oic.if.b") != setters[s].changes_batch)
                        fail_msg("%s", setters[s].name);
}

/* ---- ETags: a client that knows the old answer is not told that it is still good ---- */

static bool is_still_valid(struct model *m, struct ocf_request q, uint64_t etag) {
        struct ocf_response r;
        uint8_t bytes[8];

        for (int i = 0; i < 8; i++)
                bytes[i] = (uint8_t)(etag >> (56 - 8 * i));
        q.n_etags = 1;
        q.etags[0] = span_of(bytes, 8);
        ask(m, &q, &r);
        return r.code == COAP_VALID;
}

static void test_old_etags(void **state) {
        for (size_t s = 0; s < ARRAY_SIZE(setters); s++)
                for (size_t v = 0; v < ARRAY_SIZE(views); v++) {
                        struct ocf_request q = request(COAP_GET, views[v].href, views[v].query);
                        struct model *m = open_house(), *before = open_house();
                        struct ocf_response r;
                        uint64_t etag;

                        ask(m, &q, &r);
                        etag = r.etag;
                        assert_true(is_still_valid(m, q, etag));
                        setters[s].apply(m->devices[0]);
                        if (!answers_same(m, before, q) && is_still_valid(m, q, etag))
                                fail_msg("%s: %s?%s is still valid", setters[s].name, views[v].href,
                                         views[v].query);
                        model_free(m);
                        model_free(before);
                }
}

/* ---- news ---- */

static unsigned news_of(struct model *m, const char *href, unsigned *ret_device) {
        unsigned news = 0;
        struct model_event e;

        *ret_device = 0;
        while (model_event(m, &e))
                if (e.device)
                        *ret_device |= e.news;
                else if (e.resource && strcmp(e.resource->href, href) == 0)
                        news |= e.news;
        return news;
}

static void test_news(void **state) {
        struct model *m = open_house();
        struct device *d = m->devices[0];
        unsigned device;

        own(d);
        assert_int_equal(news_of(m, "/oic/res", &device), MODEL_NEWS_VALUE);
        assert_int_equal(device, MODEL_NEWS_PROPERTIES);
        own(d); /* the same */
        assert_int_equal(news_of(m, "/oic/res", &device), 0);
        assert_int_equal(device, 0);
        rename_device(d);
        assert_int_equal(news_of(m, "/oic/d", &device), MODEL_NEWS_VALUE);
        assert_int_equal(device, MODEL_NEWS_PROPERTIES);
        rename_device(d);
        assert_int_equal(news_of(m, "/oic/d", &device), 0);
        assert_int_equal(device, 0);
        gain_resource(d);
        assert_int_equal(news_of(m, "/oic/res", &device), MODEL_NEWS_VALUE);
        gain_resource(d = (add_device(m, 7), m->devices[1]));
        assert_int_equal(news_of(m, "/oic/more", &device), MODEL_NEWS_ADDED);
        model_free(m);
}

/* ---- another deviceuuid ---- */

static void test_another_device_is_meant(void **state) {
        static const char by_old[] = "di=01000000-0000-0000-0000-000000000000",
                          by_new[] = "di=EE110000-0000-0000-0000-000000000000";
        struct model *m = open_house();
        struct ocf_request q = request(COAP_GET, "/lamp", by_new);
        struct ocf_response r;
        struct span links, link = SPAN_NULL;

        assert_int_equal(fault_of(m, q), FAULT_NOT_FOUND);
        rename_device(m->devices[0]);
        assert_int_equal(fault_of(m, q), FAULT_NONE);
        q.query = span_of_string(by_old);
        assert_int_equal(fault_of(m, q), FAULT_NOT_FOUND);
        q.multicast = true;
        assert_int_equal(ask(m, &q, &r), MODEL_SILENT);
        assert_true(span_equal_string(text_of(rep_of_answer(m, request(COAP_GET, "/oic/d", "")), "di"),
                                      "ee110000-0000-0000-0000-000000000000"));
        links = rep_of_answer(m, request(COAP_GET, "/oic/res", "rt=oic.r.switch.binary"));
        assert_true(rep_next(&links, &(struct rep_token){ 0 }) && rep_skip(&links, &link));
        assert_true(span_equal_string(text_of(link, "anchor"), "ocf://ee110000-0000-0000-0000-000000000000"));
        links = rep_of_answer(m, request(COAP_GET, "/oic/res", "rt=oic.r.switch.binary&if=oic.if.b"));
        assert_true(rep_next(&links, &(struct rep_token){ 0 }) && rep_skip(&links, &link));
        assert_true(
                span_equal_string(text_of(link, "href"), "ocf://ee110000-0000-0000-0000-000000000000/lamp"));
        model_free(m);
}

/* ---- the security domain ---- */

static bool has_domain(struct model *m, const char *name) {
        struct span answer = rep_of_answer(m, request(COAP_GET, "/oic/res", "if=oic.if.baseline")), item;

        assert_true(rep_next(&answer, &(struct rep_token){ 0 })); /* an array of one map */
        assert_true(rep_map_find(answer, "links", &item));
        if (!rep_map_find(answer, "sduuid", &item)) {
                assert_false(rep_map_find(answer, "sdname", &item));
                return false;
        }
        assert_true(span_equal_string(text_of(answer, "sduuid"), "abcd0000-0000-0000-0000-000000000001"));
        assert_true(span_equal_string(text_of(answer, "sdname"), name));
        return true;
}

static void test_a_domain_is_told_unless_private(void **state) {
        struct model *m = open_house();
        struct device *d = m->devices[0];
        char name[] = "home";

        assert_false(has_domain(m, ""));
        set(d, (struct device_security){ .domain = DOMAIN, .domain_name = name });
        memset(name, 'x', 4); /* it was copied */
        assert_true(has_domain(m, "home"));
        rename_domain(d);
        assert_true(has_domain(m, "house"));
        set(d, (struct device_security){ .domain = DOMAIN });
        assert_true(has_domain(m, ""));
        hide_domain(d);
        assert_false(has_domain(m, "home"));
        set(d, (struct device_security){ .domain_name = "no uuid" });
        assert_false(has_domain(m, "no uuid"));
        model_free(m);
}

static void test_looking_for_a_domain(void **state) {
        static const struct {
                void (*apply)(struct device *d);
                const char *query;
                bool answered;
        } searches[] = {
                { join_domain, "sduuid=abcd0000-0000-0000-0000-000000000001", true },
                { join_domain, "SDUUID=ABCD0000-0000-0000-0000-000000000001", true },
                { join_domain, "sduuid=x&sduuid=abcd0000-0000-0000-0000-000000000001", true },
                { join_domain, "sduuid=abcd0000-0000-0000-0000-000000000001&if=oic.if.baseline", true },
                { join_domain, "sduuid=abcd0000-0000-0000-0000-000000000002", false },
                { join_domain, "sduuid=", false },
                { hide_domain, "sduuid=abcd0000-0000-0000-0000-000000000001", false },
                { hide_domain, "sduuid=", false },
                { own, "sduuid=00000000-0000-0000-0000-000000000000", false }, /* none is not a domain */
                { own, "sduuid=", false },
        };

        for (size_t i = 0; i < ARRAY_SIZE(searches); i++) {
                struct model *m = open_house();
                struct ocf_request q = request(COAP_GET, "/oic/res", searches[i].query);
                struct ocf_response r;

                searches[i].apply(m->devices[0]);
                for (int again = 0; again < 2; again++) {
                        q.multicast = true;
                        if (ask(m, &q, &r) != (searches[i].answered ? MODEL_ANSWERED : MODEL_SILENT))
                                fail_msg("%zu: multicast %s", i, searches[i].query);
                        q.multicast = false;
                        if (fault_of(m, q) != (searches[i].answered ? FAULT_NONE : FAULT_NOT_FOUND))
                                fail_msg("%zu: %s", i, searches[i].query);
                }
                model_free(m);
        }
}

/* ---- our own trouble ---- */

static void test_without_memory_all_stays_as_it_was(void **state) {
        struct model *m = open_house();
        struct device *d = m->devices[0];
        struct device_security other = { .owned = true, .domain = DOMAIN, .domain_name = "house" };
        unsigned device;

        join_domain(d);
        forget_news(m);
        allocations_left = 0;
        assert_int_equal(device_set_security(d, &other), -ENOMEM);
        allocations_left = -1;
        assert_false(d->security.owned);
        assert_true(has_domain(m, "home"));
        assert_int_equal(news_of(m, "/oic/res", &device), 0);
        assert_int_equal(device, 0);
        model_free(m);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_no_setter_leaves_an_old_answer),
                cmocka_unit_test(test_each_setter_changes_what_it_should),
                cmocka_unit_test(test_old_etags),
                cmocka_unit_test(test_news),
                cmocka_unit_test(test_another_device_is_meant),
                cmocka_unit_test(test_a_domain_is_told_unless_private),
                cmocka_unit_test(test_looking_for_a_domain),
                cmocka_unit_test(test_without_memory_all_stays_as_it_was),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
