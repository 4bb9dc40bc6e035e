/*
 * A device with all the secure resources and with plain and secure ports over
 * UDP and TCP; and what /oic/res says of it, as lines of text.
 */
#ifndef OCF_TESTS_MODEL_SECURE_FIXTURE_H
#define OCF_TESTS_MODEL_SECURE_FIXTURE_H

#include "model_fixture.h"

/* In no order that anybody would choose. */
static const struct secure_resource_spec secure_specs[] = {
        { "/oic/sec/sdi", "oic.r.sdi", false, CLEAR_NEVER, 9 },
        { "/oic/sec/doxm", "oic.r.doxm", false, CLEAR_WHILE_UNOWNED, 1 },
        { "/oic/sec/cred", "oic.r.cred", false, CLEAR_NEVER, 3 },
        { "/oic/sec/pstat", "oic.r.pstat", true, CLEAR_WHILE_UNOWNED, 2 },
        { "/oic/sec/acl2", "oic.r.acl2", false, CLEAR_NEVER, 4 },
        { "/oic/sec/ael", "oic.r.ael", false, CLEAR_NEVER, 5 },
        { "/oic/sec/roles", "oic.r.roles", false, CLEAR_NEVER, 6 },
        { "/oic/sec/csr", "oic.r.csr", false, CLEAR_NEVER, 7 },
        { "/oic/mnt", "oic.wk.mnt", false, CLEAR_NEVER, 10 },
        { "/oic/sec/sp", "oic.r.sp", false, CLEAR_NEVER, 8 },
};

#define V4(a, b, c, d)                                                                                       \
        { [10] = 0xff, [11] = 0xff, a, b, c, d }
#define EP(n, secured, tcpd)                                                                                 \
        { .ip = V4(10, 0, 0, n), 5683 + (secured), 2, (secured), (tcpd) }

static const struct device_endpoint all_endpoints[] = {
        EP(2, 1, 0),
        EP(2, 0, 0),
        EP(1, 1, 1),
        EP(1, 0, 1),
        EP(1, 1, 0),
        EP(1, 0, 0),
        { .ip = { 0xfd, 0, [15] = 1 }, .port = 5683, .interface = 2 },
};

static OCF_UNUSED void add_secure_resources(struct model *m, struct device *d) {
        struct resource *r;

        for (size_t i = 0; i < ARRAY_SIZE(secure_specs); i++)
                assert_int_equal(model_add_secure_resource(m, d, &secure_specs[i], &r), 0);
}

static OCF_UNUSED void forget_news(struct model *m) {
        struct model_event e;

        while (model_event(m, &e))
                ;
}

/* Unowned, and nobody is taking it. */
static OCF_UNUSED struct model *secure_model_open(void) {
        struct model *m = model_open();

        add_secure_resources(m, m->devices[0]);
        assert_int_equal(device_set_endpoints(m->devices[0], all_endpoints, ARRAY_SIZE(all_endpoints)), 0);
        assert_int_equal(device_set_security(m->devices[0], &(struct device_security){ .secure = true }), 0);
        forget_news(m);
        return m;
}

static OCF_UNUSED void append(char *to, size_t n, struct span text) {
        size_t at = strlen(to);

        assert_true(at + text.n + 1 <= n);
        memcpy(to + at, text.data, text.n);
        to[at + text.n] = 0;
}

/* The texts of an array, with commas between them; of maps, those with this key. */
static OCF_UNUSED void append_texts(char *to, size_t n, struct span array, const char *key) {
        struct span item, text;
        struct rep_token t;

        assert_true(rep_next(&array, &t));
        assert_int_equal(t.type, REP_ARRAY);
        for (uint64_t i = 0; i < t.value.n; i++) {
                assert_true(rep_skip(&array, &item));
                if (key)
                        assert_true(rep_map_find(item, key, &item));
                assert_true(rep_as_text(item, &text));
                if (i)
                        append(to, n, SPAN_LITERAL(","));
                append(to, n, text);
        }
}

static OCF_UNUSED struct span member(struct span map, const char *key) {
        struct span item;

        if (!rep_map_find(map, key, &item))
                fail_msg("there is no %s", key);
        return item;
}

static OCF_UNUSED struct span text_of(struct span map, const char *key) {
        struct span text = SPAN_NULL;

        assert_true(rep_as_text(member(map, key), &text));
        return text;
}

/* The endpoints of one link; NULL: it is not listed. buf is filled anew. */
static OCF_UNUSED const char *endpoints_listed(struct span links, const char *href, char *buf, size_t n) {
        struct rep_token t;
        struct span link;

        assert_true(rep_next(&links, &t));
        assert_int_equal(t.type, REP_ARRAY);
        while (t.value.n--) {
                assert_true(rep_skip(&links, &link));
                if (!span_equal_string(text_of(link, "href"), href))
                        continue;
                buf[0] = 0;
                append_texts(buf, n, member(link, "eps"), "ep");
                return buf;
        }
        return NULL;
}

static OCF_UNUSED struct span rep_of_answer(struct model *m, struct ocf_request q) {
        struct ocf_response r;

        assert_int_equal(ask(m, &q, &r), MODEL_ANSWERED);
        assert_int_equal(r.fault, 0);
        assert_int_equal(r.code, COAP_CONTENT);
        return r.raw.data ? r.raw : r.rep;
}

#endif
