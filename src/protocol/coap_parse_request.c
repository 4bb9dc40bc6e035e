#include "protocol/coap_parse_request.h"

#include "protocol/coap_pool.h"

#include <string.h>

/* What RFC 7252 (table 4), 7641, 7959, 7967 and core.md 2.7 say of each option that a request may carry. */
struct option_rule {
        uint16_t number;
        uint16_t n_min, n_max;
        bool repeatable;
};

static const struct option_rule rules[] = {
        { COAP_OPTION_IF_MATCH, 0, 8, true },
        { COAP_OPTION_URI_HOST, 1, 255, false },
        { COAP_OPTION_ETAG, 1, 8, true },
        { COAP_OPTION_IF_NONE_MATCH, 0, 0, false },
        { COAP_OPTION_OBSERVE, 0, 3, false },
        { COAP_OPTION_URI_PORT, 0, 2, false },
        { COAP_OPTION_URI_PATH, 0, 255, true },
        { COAP_OPTION_CONTENT_FORMAT, 0, 2, false },
        { COAP_OPTION_URI_QUERY, 0, 255, true },
        { COAP_OPTION_ACCEPT, 0, 2, false },
        { COAP_OPTION_BLOCK2, 0, 3, false },
        { COAP_OPTION_BLOCK1, 0, 3, false },
        { COAP_OPTION_SIZE2, 0, 4, false },
        { COAP_OPTION_PROXY_URI, 1, 1034, false },
        { COAP_OPTION_PROXY_SCHEME, 1, 255, false },
        { COAP_OPTION_SIZE1, 0, 4, false },
        { COAP_OPTION_ECHO, 1, 40, false },
        { COAP_OPTION_NO_RESPONSE, 0, 1, false },
        { COAP_OPTION_REQUEST_TAG, 0, 8, true },
        { COAP_OPTION_OCF_ACCEPT_VERSION, 0, 2, false },
        { COAP_OPTION_OCF_CONTENT_VERSION, 0, 2, false },
};

static const struct option_rule *rule_of(uint16_t number) {
        for (size_t i = 0; i < ARRAY_SIZE(rules) && rules[i].number <= number; i++)
                if (rules[i].number == number)
                        return &rules[i];
        return NULL;
}

static void refuse(struct coap_request_details *d, uint8_t code, const char *text) {
        if (d->refusal)
                return; /* the first reason stands */
        d->refusal = code;
        d->refusal_text = text;
}

static void bad_option(struct coap_request_details *d, const char *text) {
        d->bad_option = true;
        refuse(d, COAP_BAD_OPTION, text);
}

static void add_segment(struct coap_request_details *d, struct writer *path, struct span segment) {
        /* A slash inside a segment would make two resources look like one: no resource of ours has it. */
        if (segment.n && memchr(segment.data, '/', segment.n))
                refuse(d, COAP_NOT_FOUND, "No such resource");
        if (!writer_put_u8(path, '/') || !writer_put_span(path, segment))
                refuse(d, COAP_NOT_FOUND, "No such resource: paths have at most 256 bytes");
}

static void add_query(struct coap_request_details *d, struct writer *query, bool first, struct span part) {
        if ((!first && !writer_put_u8(query, '&')) || !writer_put_span(query, part))
                refuse(d, COAP_BAD_REQUEST, "The query is longer than 1024 bytes");
}

static void add_etag(struct span *etags, uint8_t *n, struct span value) {
        if (*n < 4)
                etags[(*n)++] = value;
}

static void check_block(struct coap_request_details *d, uint32_t value, bool bert) {
        if ((value & 7) == 7 && !bert)
                refuse(d, COAP_BAD_REQUEST, "Block size 7 is reserved on UDP");
}

static void block2(struct coap_request_details *d, uint32_t value, bool bert) {
        d->has_block2 = true;
        d->block2_num = value >> 4;
        d->block2_szx = value & 7;
        check_block(d, value, bert);
}

static void block1(struct coap_request_details *d, uint32_t value, bool bert) {
        d->has_block1 = true;
        d->block1_num = value >> 4;
        d->block1_more = value >> 3 & 1;
        d->block1_szx = value & 7;
        check_block(d, value, bert);
}

static void add_tag(struct coap_request_details *d, struct span tag) {
        d->tag_hash = coap_hash_bytes(d->tag_hash + 1, tag.data, tag.n);
}

static void apply(struct coap_request_details *d, const struct coap_option *o, uint32_t number,
                  struct writer *path, struct writer *query, bool first, bool bert) {
        struct coap_request *r = &d->request;

        switch ((enum coap_option_number)o->number) {
        case COAP_OPTION_IF_MATCH:
                r->if_match = true;
                if (o->value.n)
                        add_etag(r->if_match_etags, &r->n_if_match_etags, o->value);
                break;
        case COAP_OPTION_ETAG:
                add_etag(r->etags, &r->n_etags, o->value);
                break;
        case COAP_OPTION_IF_NONE_MATCH:
                r->if_none_match = true;
                break;
        case COAP_OPTION_OBSERVE:
                if (number <= 1)
                        d->observe = (int)number;
                break;
        case COAP_OPTION_URI_PATH:
                add_segment(d, path, o->value);
                break;
        case COAP_OPTION_CONTENT_FORMAT:
                r->content_format = (int)number;
                break;
        case COAP_OPTION_URI_QUERY:
                add_query(d, query, first, o->value);
                break;
        case COAP_OPTION_ACCEPT:
                r->accept = (int)number;
                break;
        case COAP_OPTION_BLOCK2:
                block2(d, number, bert);
                break;
        case COAP_OPTION_BLOCK1:
                block1(d, number, bert);
                break;
        case COAP_OPTION_SIZE1:
                d->size1 = number;
                break;
        case COAP_OPTION_ECHO:
                d->echo = o->value;
                break;
        case COAP_OPTION_REQUEST_TAG:
                add_tag(d, o->value);
                break;
        case COAP_OPTION_PROXY_URI:
        case COAP_OPTION_PROXY_SCHEME:
                refuse(d, COAP_PROXYING_NOT_SUPPORTED, "This is no proxy");
                break;
        case COAP_OPTION_NO_RESPONSE:
                d->no_response = (uint8_t)number;
                break;
        case COAP_OPTION_OCF_ACCEPT_VERSION:
                r->ocf_version = true;
                if (number < OCF_VERSION_1_0_0)
                        refuse(d, COAP_NOT_ACCEPTABLE, "The content format version must be 1.0.0 or later");
                break;
        case COAP_OPTION_OCF_CONTENT_VERSION:
                if (number < OCF_VERSION_1_0_0)
                        refuse(d, COAP_UNSUPPORTED_CONTENT_FORMAT,
                               "The content format version must be 1.0.0 or later");
                break;
        case COAP_OPTION_URI_HOST:
        case COAP_OPTION_URI_PORT:
        case COAP_OPTION_LOCATION_PATH:
        case COAP_OPTION_MAX_AGE:
        case COAP_OPTION_LOCATION_QUERY:
        case COAP_OPTION_SIZE2:
                break; /* nothing to learn from them */
        }
}

void coap_parse_request(struct coap_request_details *ret, const struct coap_message *m, bool bert,
                        struct coap_request_scratch *scratch) {
        struct coap_option_reader reader = coap_option_begin(m);
        struct writer path = writer_on(scratch->path, sizeof(scratch->path) - 1);
        struct writer query = writer_on(scratch->query, sizeof(scratch->query) - 1);
        struct coap_option o;
        int previous = -1;

        memset(ret, 0, sizeof(*ret));
        ret->request.method = m->code;
        ret->request.accept = ret->request.content_format = COAP_FORMAT_NONE;
        ret->request.payload = m->payload;
        ret->observe = -1;
        while (coap_option_next(&reader, &o)) {
                const struct option_rule *rule = rule_of(o.number);
                bool repeated = o.number == previous;
                uint32_t number = 0;

                previous = o.number;
                if (!rule || (repeated && !rule->repeatable) || o.value.n < rule->n_min ||
                    o.value.n > rule->n_max) {
                        if (coap_option_is_critical(o.number))
                                bad_option(ret, rule ? "A critical option is repeated or has a wrong length"
                                                     : "A critical option is unknown here");
                        continue;
                }
                if (o.value.n <= 4)
                        (void)coap_option_uint(o.value, 4, &number);
                apply(ret, &o, number, &path, &query, !repeated, bert);
        }
        if (!path.n && !path.overflow)
                writer_put_u8(&path, '/');
        ret->request.path = writer_span(&path);
        ret->request.query = writer_span(&query);
        ret->request.wants_observe = ret->observe == 0 && m->code == COAP_GET;
}
