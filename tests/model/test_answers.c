/* Answers that are kept: by themselves, and what makes /oic/res be written anew. */
#include "model_fixture.h"
#include "scarce_memory.h"

/* ---- the cache ---- */

static struct answer_key key(unsigned i) {
        struct answer_key k = { .interface = i };

        return k;
}

static bool has(struct answer_cache *c, unsigned i, uint64_t stamp) {
        return answer_cache_find(c, &(struct answer_key){ .interface = i }, stamp);
}

static const struct answer *keep(struct answer_cache *c, unsigned i, uint64_t stamp, struct span bytes) {
        struct answer_key k = key(i);

        return answer_cache_keep(c, &k, stamp, bytes, 100 + i);
}

static void test_what_is_kept_is_found_with_its_stamp(void **state) {
        struct answer_cache c = { 0 };
        const struct answer *a;

        assert_false(has(&c, 1, 7));
        keep(&c, 1, 7, SPAN_LITERAL("one"));
        keep(&c, 2, 7, SPAN_LITERAL("two"));
        a = answer_cache_find(&c, &(struct answer_key){ .interface = 2 }, 7);
        assert_non_null(a);
        assert_true(span_equal(span_of(a->data, a->n), SPAN_LITERAL("two")));
        assert_int_equal(a->etag, 102);
        assert_false(has(&c, 1, 8));
        assert_false(has(&c, 3, 7));
        keep(&c, 1, 8, SPAN_LITERAL("one again")); /* instead of the old one */
        assert_true(has(&c, 1, 8));
        assert_false(has(&c, 1, 7));
        assert_int_equal(c.n_bytes, 12);
        assert_int_equal(c.n_hits, 2);
        assert_int_equal(c.n_misses, 4);
        answer_cache_deinit(&c);
        assert_int_equal(c.n_bytes, 0);
}

static void test_the_one_unused_longest_goes(void **state) {
        struct answer_cache c = { 0 };

        for (unsigned i = 0; i < ANSWER_CACHE_ENTRIES; i++)
                keep(&c, i, 1, SPAN_LITERAL("x"));
        assert_true(has(&c, 0, 1)); /* used again: now 1 is the oldest */
        keep(&c, 100, 1, SPAN_LITERAL("x"));
        assert_false(has(&c, 1, 1));
        assert_true(has(&c, 0, 1));
        assert_true(has(&c, 100, 1));
        assert_int_equal(c.n_bytes, ANSWER_CACHE_ENTRIES);
        answer_cache_deinit(&c);
}

static void test_bytes_are_bounded(void **state) {
        static uint8_t large[ANSWER_CACHE_BYTES_MAX / 2 + 1];
        struct answer_cache c = { 0 };

        assert_null(keep(&c, 1, 1, span_of(large, sizeof(large))));
        assert_non_null(keep(&c, 1, 1, span_of(large, sizeof(large) - 1)));
        assert_non_null(keep(&c, 2, 1, span_of(large, sizeof(large) - 1)));
        assert_non_null(keep(&c, 3, 1, SPAN_LITERAL("x")));
        assert_false(has(&c, 1, 1));
        assert_true(has(&c, 2, 1));
        assert_int_equal(c.n_bytes, ANSWER_CACHE_BYTES_MAX / 2 + 1);
        assert_null(keep(&c, 2, 1, span_of(large, sizeof(large)))); /* nor is the old one given any more */
        assert_false(has(&c, 2, 1));
        answer_cache_deinit(&c);
}

static void test_a_key_holds_only_so_much(void **state) {
        struct answer_key k = { 0 };
        char text[ANSWER_KEY_QUERY_MAX] = "";

        assert_true(answer_key_add(&k, SPAN_LITERAL("rt"), SPAN_LITERAL("a")));
        assert_int_equal(k.n_query, 5);
        memset(text, 'b', sizeof(text) - 1);
        assert_false(answer_key_add(&k, SPAN_LITERAL("rt"), span_of_string(text)));
        text[ANSWER_KEY_QUERY_MAX - 5 - 4] = 0;
        assert_true(answer_key_add(&k, SPAN_LITERAL("rt"), span_of_string(text)));
        assert_false(answer_key_add(&k, SPAN_NULL, SPAN_NULL));
}

static void test_without_memory_nothing_is_kept(void **state) {
        struct answer_cache c = { 0 };

        allocations_left = 0;
        assert_null(keep(&c, 1, 1, SPAN_LITERAL("x")));
        allocations_left = -1;
        assert_false(has(&c, 1, 1));
        assert_int_equal(c.n_bytes, 0);
        answer_cache_deinit(&c);
}

/* ---- /oic/res ---- */

static struct told h;

static struct app *add(struct model *m, const char *href) {
        struct model_refusal why;
        struct app *a;

        assert_int_equal(register_one(m, ":1.5", "lamp", 5000, lamp_spec(href, &h.handler), &a, &why), 0);
        return a;
}

static struct model *open_house(void) {
        struct model *m = model_open();

        h = (struct told){ .handler = { &published } };
        m->allow_insecure = true;
        add(m, "/lamp");
        return m;
}

/* Asks twice: the first answer is new or kept as expected, the second one is kept and the same. */
static void expect(struct model *m, struct ocf_request q, bool kept) {
        struct ocf_response r;
        uint8_t first[4096];
        size_t n;
        uint64_t etag, hits = m->answers.n_hits, misses = m->answers.n_misses;

        assert_int_equal(ask(m, &q, &r), MODEL_ANSWERED);
        assert_int_equal(r.code, COAP_CONTENT);
        assert_int_equal(m->answers.n_hits, hits + kept);
        assert_int_equal(m->answers.n_misses, misses + !kept);
        n = r.rep.n;
        etag = r.etag;
        assert_true(n <= sizeof(first));
        memcpy(first, r.rep.data, n);
        assert_int_equal(ask(m, &q, &r), MODEL_ANSWERED);
        assert_int_equal(m->answers.n_hits, hits + kept + 1);
        assert_true(span_equal(r.rep, span_of(first, n)));
        assert_int_equal(r.etag, etag);
}

static size_t size_of(struct model *m, struct ocf_request q) {
        struct ocf_response r;

        assert_int_equal(ask(m, &q, &r), MODEL_ANSWERED);
        return r.rep.n;
}

static void test_each_view_is_kept(void **state) {
        struct model *m = open_house();
        struct ocf_request q = request(COAP_GET, "/oic/res", "");
        static const uint8_t v6[16] = { 0xfd, 0, [15] = 1 };

        expect(m, q, false);
        q.query = SPAN_LITERAL("if=oic.if.baseline");
        expect(m, q, false);
        q.query = SPAN_LITERAL("if=oic.if.b");
        expect(m, q, false);
        q.query = SPAN_LITERAL("rt=oic.wk.d&unknown=1");
        expect(m, q, false);
        q.query = SPAN_LITERAL("x=2&rt=oic.wk.d"); /* what selects nothing makes no other view */
        expect(m, q, true);
        q.query = SPAN_NULL;
        memcpy(q.peer.local_ip, v6, 16);
        expect(m, q, false);
        memcpy(q.peer.remote_ip, v6, 16);
        expect(m, q, false);
        q.peer.interface = 2;
        expect(m, q, false);
        q = (struct ocf_request){ .method = COAP_GET,
                                  .path = SPAN_LITERAL("/oic/res"),
                                  .subject = { .kind = SUBJECT_LOCAL },
                                  .accept = COAP_FORMAT_NONE };
        expect(m, q, false);
        expect(m, request(COAP_GET, "/oic/res", "rt=oic.wk.d"), true);
        assert_int_equal(m->answers.n_misses, ANSWER_CACHE_ENTRIES);
        model_free(m);
}

static void test_what_changes_links_makes_them_anew(void **state) {
        struct model *m = open_house();
        struct ocf_request q = request(COAP_GET, "/oic/res", "");
        struct device_endpoint other = {
                .ip = { [10] = 0xff, [11] = 0xff, 10, 0, 0, 1 }, .port = 5683, .interface = 2, .secure = true
        };
        struct model_refusal why;
        struct app *a;

        expect(m, q, false);
        a = add(m, "/second");
        expect(m, q, false);
        model_unregister(m, a, find(m, "/second"));
        expect(m, q, false);
        assert_int_equal(device_set_endpoints(m->devices[0], &other, 1), 0);
        expect(m, q, false);
        assert_int_equal(device_set_endpoints(m->devices[0], &other, 1), 0); /* the same: nothing changed */
        expect(m, q, true);
        m->allow_insecure = false;
        expect(m, q, false);
        m->allow_insecure = true;
        expect(m, q, true);
        model_app_vanished(m, a, 1000); /* its links stay */
        expect(m, q, true);
        assert_int_equal(register_one(m, ":1.6", "lamp", 5000, lamp_spec("/lamp", &h.handler), &a, &why), 0);
        expect(m, q, false); /* it is back, maybe with other types */
        model_app_vanished(m, a, 1000);
        model_expire(m, 7000);
        assert_null(find(m, "/lamp"));
        expect(m, q, false);
        add_device(m, 7);
        expect(m, q, false);
        q.device = 1;
        expect(m, q, false);
        q.device = 0;
        expect(m, q, true);
        model_free(m);
}

static void test_values_are_of_the_batch_only(void **state) {
        struct model *m = open_house();
        struct ocf_request list = request(COAP_GET, "/oic/res", ""),
                           batch = request(COAP_GET, "/oic/res", "if=oic.if.b");
        struct model_refusal why;
        size_t before;

        expect(m, list, false);
        expect(m, batch, false);
        assert_int_equal(resource_publish(find(m, "/lamp"), SPAN_LITERAL("\xa1\x65level\x09"), false, &why),
                         0);
        expect(m, list, true);
        expect(m, batch, false);
        before = size_of(m, batch);
        model_app_vanished(m, model_app_by_owner(m, ":1.5"), 1000); /* its values are not given any more */
        expect(m, list, true);
        expect(m, batch, false);
        assert_true(size_of(m, batch) < before);
        model_free(m);
}

static void test_what_is_not_kept(void **state) {
        struct model *m = open_house();
        char query[200] = "rt=";
        struct ocf_request q = request(COAP_GET, "/oic/res", "rt=x.nothing.such");
        struct ocf_response r;

        for (int i = 0; i < 2; i++) {
                ask(m, &q, &r);
                assert_int_equal(r.code, COAP_CONTENT);
        }
        memset(query + 3, 'x', 120); /* too long for a key, and still answered right */
        strcat(query, "&rt=oic.wk.d");
        q.query = span_of_string(query);
        for (int i = 0; i < 2; i++) {
                ask(m, &q, &r);
                assert_true(r.rep.n > 60);
        }
        q.query = SPAN_LITERAL("if=oic.if.b&incChanges=");
        for (int i = 0; i < 2; i++)
                ask(m, &q, &r);
        assert_int_equal(m->answers.n_hits, 0);
        assert_int_equal(m->answers.n_bytes, 0);
        model_free(m);
}

/* Whichever allocation fails, there is an answer, and the next one is right again. */
static void test_without_memory(void **state) {
        struct ocf_request q = request(COAP_GET, "/oic/res", "");
        struct model *m = open_house();
        struct ocf_response r;
        size_t n = size_of(m, q);
        bool failed = true;

        model_free(m);
        for (int i = 0; failed; i++) {
                m = open_house();
                allocations_left = i;
                assert_int_equal(ask(m, &q, &r), MODEL_ANSWERED);
                failed = allocations_left < 0;
                allocations_left = -1;
                assert_true(r.fault == FAULT_BUSY || r.fault == FAULT_FAILED || r.rep.n == n);
                assert_int_equal(size_of(m, q), n);
                model_free(m);
                assert_true(i < 50);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_what_is_kept_is_found_with_its_stamp),
                cmocka_unit_test(test_the_one_unused_longest_goes),
                cmocka_unit_test(test_bytes_are_bounded),
                cmocka_unit_test(test_a_key_holds_only_so_much),
                cmocka_unit_test(test_without_memory_nothing_is_kept),
                cmocka_unit_test(test_each_view_is_kept),
                cmocka_unit_test(test_what_changes_links_makes_them_anew),
                cmocka_unit_test(test_values_are_of_the_batch_only),
                cmocka_unit_test(test_what_is_not_kept),
                cmocka_unit_test(test_without_memory),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
