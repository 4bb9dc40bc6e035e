/*
 * Any bytes as a query and as links: what is read is part of what was given and
 * can be written again, and whatever a stranger asks of /oic/res and
 * /.well-known/core, the answer is well formed and the same when asked again.
 */
#include "fuzz.h"
#include "model/link_format.h"
#include "model/query.h"
#include "model/route.h"
#include "protocol/rep.h"

#include <string.h>

static bool is_within(struct span part, struct span whole) {
        return !part.n || (part.data >= whole.data && part.data + part.n <= whole.data + whole.n);
}

static bool has(struct span s, uint8_t c) {
        return s.n && memchr(s.data, c, s.n);
}

static void read_query(struct span query) {
        struct span rest = query, key, value, found;
        size_t n_left = query.n;

        while (query_next(&rest, &key, &value)) {
                must_hold(rest.n < n_left);
                n_left = rest.n;
                must_hold(is_within(key, query) && is_within(value, query));
                must_hold(!has(key, '&') && !has(key, '=') && !has(value, '&'));
                must_hold(key.n || value.n || has(query, '='));
                if (!has(key, 0) && key.n < 64) {
                        char name[64] = "";

                        memcpy(name, key.data, key.n);
                        must_hold(query_find(query, name, &found));
                }
        }
}

/* What the writer makes of it is read as the same again. */
static void write_again(struct span target, struct span params) {
        static uint8_t text[1 << 16], value[1 << 16], back[1 << 16];
        struct writer w = writer_on(text, sizeof(text)), v = writer_on(value, sizeof(value) - 1),
                      b = writer_on(back, sizeof(back));
        struct link_param p, q;
        struct span links;

        must_hold(link_param_next(&params, &p));
        link_unquote(p.value, &v);
        must_hold(!v.overflow && v.n <= p.value.n);
        if (has(writer_span(&v), 0))
                return; /* the writer takes strings */
        value[v.n] = 0;
        link_begin(&w, "/");
        link_put_quoted(&w, "x", (const char *)value);
        link_begin(&w, "/y");
        must_hold(!w.overflow);
        links = writer_span(&w);
        must_hold(link_next(&links, &target, &params) == 0 && span_equal_string(target, "/"));
        must_hold(link_param_next(&params, &q) && q.is_quoted && !params.n);
        link_unquote(q.value, &b);
        must_hold(span_equal(writer_span(&b), writer_span(&v)));
        must_hold(link_next(&links, &target, &params) == 0 && span_equal_string(target, "/y"));
        must_hold(link_next(&links, &target, &params) == LINK_E_END);
}

static int read_links(struct span links) {
        struct span rest = links, target, params;
        struct link_param p;
        int r;

        while (!(r = link_next(&rest, &target, &params))) {
                struct span left = params;

                must_hold(is_within(target, links) && is_within(params, links));
                while (left.n) {
                        struct span before = left;

                        must_hold(link_param_next(&left, &p)); /* link_next() has checked each */
                        must_hold(p.name.n && is_within(p.name, params) && is_within(p.value, params));
                        if (p.value.data)
                                write_again(target, before);
                }
        }
        return r;
}

/* ---- a house that is asked ---- */

static void on_updated(struct handler *h, const struct resource *r, const struct ocf_request *q) {
}

static struct handler owner = { &(const struct handler_vtable){ NULL, on_updated, NULL } };

static struct model *house(void) {
        static struct model *m;
        static const char *const types[] = { "oic.r.light", "x.y" }, *const interfaces[] = { "oic.if.a" };
        const struct resource_spec specs[] = {
                { .href = "/a", .types = types, .n_types = 2, .interfaces = interfaces, .n_interfaces = 1 },
                { .href = "/b c/\xc3\xbc", .types = types + 1, .n_types = 1, .name = "\"\\\n" },
        };
        const struct platform_identity platform = { .manufacturer = "x" };
        const struct device_identity identity = { .name = "x",
                                                  .spec_version = "x",
                                                  .data_model_version = "x" };
        const struct app_spec app_spec = { .owner = ":1.1", .uid = 1 };
        struct resource_spec all[2];
        struct model_refusal why;
        struct device *d;
        struct app *a;

        if (m)
                return m;
        must_hold(model_new(&m, &platform, (uint64_t[]){ 8, 8, 4096 }) == 0);
        must_hold(model_add_device(m, &identity, &d) == 0);
        m->allow_insecure = true;
        for (size_t i = 0; i < 2; i++) {
                all[i] = specs[i];
                all[i].handler = &owner;
                all[i].discoverable = all[i].observable = all[i].insecure = true;
        }
        must_hold(model_register(m, 0, 0, &app_spec, all, 2, &a, &why) == 0);
        return m;
}

static enum model_answer ask(struct model *m, const char *path, struct span query, struct ocf_response *ret) {
        const struct ocf_request q = {
                .method = COAP_GET, .path = span_of_string(path), .query = query, .accept = COAP_FORMAT_NONE
        };
        struct route route;

        *ret = OCF_RESPONSE_FAULT(FAULT_NOT_FOUND);
        if (!model_route(m, 0, &q, &route) || route.fault)
                return MODEL_SILENT;
        return model_answer(m, &q, &route, ret);
}

static void check_answer(const struct ocf_response *r) {
        static uint8_t normal[1 << 16];
        struct writer w = writer_on(normal, sizeof(normal));

        if (r->rep.data) {
                must_hold(rep_normalise(r->rep, &w) == 0);
                must_hold(span_equal(writer_span(&w), r->rep));
        }
        if (r->raw.data)
                must_hold(read_links(r->raw) == LINK_E_END);
}

static void ask_twice(const char *path, struct span query) {
        static uint8_t first[1 << 16];
        struct model *m = house();
        struct ocf_response r, again;
        struct span body, body_again;

        if (ask(m, path, query, &r) != MODEL_ANSWERED || r.fault)
                return;
        check_answer(&r);
        body = r.rep.data ? r.rep : r.raw;
        must_hold(body.n <= sizeof(first));
        memcpy(first, body.data, body.n);
        must_hold(ask(m, path, query, &again) == MODEL_ANSWERED);
        body_again = again.rep.data ? again.rep : again.raw;
        must_hold(span_equal(span_of(first, body.n), body_again) && again.etag == r.etag);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        struct span input = span_of(data, n);

        if (n > 4096)
                return 0;
        read_query(input);
        (void)read_links(input);
        ask_twice("/oic/res", input);
        ask_twice("/.well-known/core", input);
        return 0;
}
