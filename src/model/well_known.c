#include "model/link_format.h"
#include "model/model_private.h"
#include "model/query.h"

#include <stdio.h>
#include <string.h>

/*
 * /.well-known/core: the resources of /oic/res, told to those who know CoAP but
 * not OCF (RFC 6690). A link says no endpoints: it means the one that was asked,
 * so it is there for what is served over that.
 *
 * The query looks for links: each key names an attribute, or href, and a link
 * must have what is asked of every key; one of several values of a key is
 * enough. What no link has, matches none.
 */

static bool any_type(const struct resource *r, struct span pattern) {
        for (size_t i = 0; i < r->n_types; i++)
                if (link_matches(span_of_string(r->types[i]), pattern))
                        return true;
        return false;
}

static bool any_interface(const struct resource *r, struct span pattern) {
        for (enum interface i = 0; i < _INTERFACE_N; i++)
                if (r->interfaces >> i & 1 && link_matches(span_of_string(interface_name(i)), pattern))
                        return true;
        return false;
}

static const int formats[] = { COAP_FORMAT_OCF_CBOR, COAP_FORMAT_CBOR, COAP_FORMAT_JSON };

static bool number_matches(uint64_t v, struct span pattern) {
        char text[24];

        snprintf(text, sizeof(text), "%llu", (unsigned long long)v);
        return link_matches(span_of_string(text), pattern);
}

static bool any_format(const struct resource *r, struct span pattern) {
        for (size_t i = 0; i < ARRAY_SIZE(formats); i++)
                if (resource_can_give(r, formats[i]) && number_matches((uint64_t)formats[i], pattern))
                        return true;
        return false;
}

/* As the link writes it, or as the resource is called. */
static bool href_matches(const struct resource *r, struct span pattern) {
        uint8_t text[3 * MODEL_HREF_MAX];
        struct writer w = writer_on(text, sizeof(text));

        link_put_path(&w, r->href);
        return link_matches(span_of_string(r->href), pattern) || link_matches(writer_span(&w), pattern);
}

static bool title_matches(const struct resource *r, struct span pattern) {
        return r->name && link_matches(span_of_string(r->name), pattern);
}

static bool flag_matches(const struct resource *r, struct span pattern) {
        return r->observable && link_matches(SPAN_NULL, pattern);
}

static bool size_matches(const struct resource *r, struct span pattern) {
        return resource_size_hint(r) && number_matches(resource_size_hint(r), pattern);
}

static const struct attribute {
        const char *name;
        bool (*matches)(const struct resource *r, struct span pattern);
} attributes[] = {
        { "href", href_matches },   { "rt", any_type },     { "if", any_interface }, { "ct", any_format },
        { "title", title_matches }, { "sz", size_matches }, { "obs", flag_matches },
};

/* Bits of the attributes that are asked about; false: one that no link has. */
static bool asked_attributes(struct span query, unsigned *ret) {
        struct span name, value;

        *ret = 0;
        while (query_next(&query, &name, &value)) {
                size_t i = 0;

                if (span_equal_ignoring_case(name, SPAN_LITERAL("di"))) /* the device: decided before */
                        continue;
                while (i < ARRAY_SIZE(attributes) && !span_equal_string(name, attributes[i].name))
                        i++;
                if (i == ARRAY_SIZE(attributes))
                        return false;
                *ret |= 1u << i;
        }
        return true;
}

static bool any_value(const struct resource *r, const struct attribute *a, struct span query) {
        struct span name, value;

        while (query_next(&query, &name, &value))
                if (span_equal_string(name, a->name) && a->matches(r, value))
                        return true;
        return false;
}

static bool is_wanted(const struct resource *r, struct span query, unsigned asked) {
        for (size_t i = 0; i < ARRAY_SIZE(attributes); i++)
                if (asked >> i & 1 && !any_value(r, &attributes[i], query))
                        return false;
        return true;
}

/* ---- writing ---- */

static void put_interfaces(struct writer *w, const struct resource *r) {
        link_begin_words(w, "if");
        link_put_word(w, interface_name(r->default_interface));
        for (enum interface i = _INTERFACE_N; i-- > 0;)
                if (r->interfaces >> i & 1 && i != r->default_interface)
                        link_put_word(w, interface_name(i));
        link_end_words(w);
}

static void put_formats(struct writer *w, const struct resource *r) {
        char text[12];

        link_begin_words(w, "ct");
        for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
                snprintf(text, sizeof(text), "%d", formats[i]);
                if (resource_can_give(r, formats[i]))
                        link_put_word(w, text);
        }
        link_end_words(w);
}

static void put_link(struct writer *w, const struct resource *r) {
        link_begin(w, r->href);
        link_begin_words(w, "rt");
        for (size_t i = 0; i < r->n_types; i++)
                link_put_word(w, r->types[i]);
        link_end_words(w);
        put_interfaces(w, r);
        put_formats(w, r);
        if (r->name)
                link_put_quoted(w, "title", r->name);
        if (resource_size_hint(r))
                link_put_number(w, "sz", resource_size_hint(r));
        if (r->observable)
                link_put_flag(w, "obs");
}

static uint64_t put_links(struct writer *w, struct model *m, const struct ocf_request *request,
                          const struct route *route) {
        uint64_t n = 0;
        unsigned asked;

        if (!asked_attributes(request->query, &asked))
                return 0;
        LIST_FOR_EACH(i, &route->device->resources) {
                const struct resource *r = LIST_ENTRY(i, struct resource, device_link);

                if (w->overflow)
                        break;
                if (!discovery_reaches(m, request, r) || !is_wanted(r, request->query, asked))
                        continue;
                put_link(w, r);
                n++;
        }
        return n;
}

enum model_answer well_known_answer(struct model *m, const struct ocf_request *request,
                                    const struct route *route, struct ocf_response *response) {
        const struct whole_answer links = {
                .kind = ANSWER_LINK_FORMAT,
                .stamp = m->generation,
                .put = put_links,
        };

        return whole_answer_give(m, request, route, &links, response);
}
