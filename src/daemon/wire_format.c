#include "daemon/wire_format.h"
#include "base/memory.h"
#include "json/rep_json.h"
#include "protocol/rep.h"

#include <errno.h>
#include <string.h>

struct buffer {
        uint8_t *data;
        size_t n_max;
};

struct wire_format {
        struct buffer in, out;
        uint8_t etag[8];
};

#define BUFFER_START 4096u

/* Room for at least n bytes, doubling; false when that is too much or there is no memory. */
static bool buffer_reserve(struct buffer *b, size_t n) {
        size_t n_max = b->n_max ? b->n_max : BUFFER_START;

        if (n <= b->n_max)
                return true;
        while (n_max < n)
                n_max *= 2;
        if (n_max > WIRE_FORMAT_MAX)
                return false;
        if (!ocf_grow((void **)&b->data, b->n_max, n_max, 1))
                return false;
        b->n_max = n_max;
        return true;
}

static enum fault from_cbor(struct wire_format *f, struct span payload, bool lenient, struct span *ret) {
        struct writer w;
        int r;

        /* The normal form can be longer: a half float takes three bytes and becomes nine. */
        if (!buffer_reserve(&f->in, payload.n * 3 + 16))
                return FAULT_TOO_LARGE;
        w = writer_on(f->in.data, f->in.n_max);
        r = lenient ? rep_normalise_leniently(payload, &w) : rep_normalise(payload, &w);
        if (r)
                return r == REP_E_NO_ROOM ? FAULT_TOO_LARGE : FAULT_BAD_REPRESENTATION;
        *ret = writer_span(&w);
        return FAULT_NONE;
}

static enum fault from_json(struct wire_format *f, struct span payload, struct span *ret) {
        struct writer w;
        int r;

        if (!buffer_reserve(&f->in, payload.n * 5 + 16)) /* "1," is two bytes, a double nine */
                return FAULT_TOO_LARGE;
        w = writer_on(f->in.data, f->in.n_max);
        r = rep_from_json_text(payload, &w);
        if (r < 0)
                return FAULT_BUSY;
        if (r)
                return r == REP_JSON_E_NO_ROOM ? FAULT_TOO_LARGE : FAULT_BAD_REPRESENTATION;
        *ret = writer_span(&w);
        return FAULT_NONE;
}

enum fault wire_format_payload(struct wire_format *f, int content_format, struct span payload, bool lenient,
                               struct span *ret) {
        switch (content_format) {
        case COAP_FORMAT_NONE:
        case COAP_FORMAT_OCF_CBOR:
        case COAP_FORMAT_CBOR:
                return from_cbor(f, payload, lenient, ret);
        case COAP_FORMAT_JSON:
                return from_json(f, payload, ret);
        default: /* any number may stand there */
                return FAULT_UNSUPPORTED_FORMAT;
        }
}

static bool to_json(struct wire_format *f, struct span rep, struct span *ret) {
        for (size_t n = BUFFER_START; buffer_reserve(&f->out, n); n = f->out.n_max + 1) {
                struct writer w = writer_on(f->out.data, f->out.n_max);
                int r = rep_to_json_text(rep, &w);

                if (r == 0) {
                        *ret = writer_span(&w);
                        return true;
                }
                if (r != REP_JSON_E_NO_ROOM)
                        return false;
        }
        return false;
}

static void put_fault(enum fault fault, const struct ocf_response *response, struct coap_response *ret) {
        const struct fault_row *row = fault_row(fault);

        *ret = (struct coap_response){ .code = row->code,
                                       .content_format = COAP_FORMAT_NONE, /* diagnostic, RFC 7252 5.5.2 */
                                       .payload = span_of_string(response->diagnostic ? response->diagnostic
                                                                                      : row->text),
                                       .max_age_s = response->max_age_s };
}

void wire_format_etag(uint64_t etag, uint8_t ret[static 8]) {
        for (size_t i = 0; i < 8; i++)
                ret[i] = (uint8_t)(etag >> (56 - 8 * i));
}

void wire_format_response(struct wire_format *f, const struct ocf_response *response, int accept,
                          struct coap_response *ret) {
        struct ocf_response large = OCF_RESPONSE_FAULT(FAULT_FAILED);

        if (response->fault) {
                put_fault(response->fault, response, ret);
                return;
        }
        *ret = (struct coap_response){ .code = response->code,
                                       .content_format = COAP_FORMAT_NONE,
                                       .max_age_s = response->max_age_s };
        if (response->etag && (response->code == COAP_CONTENT || response->code == COAP_VALID)) {
                wire_format_etag(response->etag, f->etag);
                ret->etag = span_of(f->etag, sizeof(f->etag));
        }
        if (response->raw.data) {
                ret->payload = response->raw;
                ret->content_format = response->raw_format;
        } else if (response->rep.data && accept == COAP_FORMAT_JSON) {
                large.diagnostic = "The answer is too large to be written as JSON: ask for CBOR (Accept 60)";
                if (!to_json(f, response->rep, &ret->payload)) {
                        put_fault(FAULT_FAILED, &large, ret);
                        return;
                }
                ret->content_format = COAP_FORMAT_JSON;
        } else if (response->rep.data) {
                ret->payload = response->rep;
                ret->content_format = accept == COAP_FORMAT_CBOR ? COAP_FORMAT_CBOR : COAP_FORMAT_OCF_CBOR;
        }
}

int wire_format_new(struct wire_format **ret) {
        struct wire_format *f = ocf_new(struct wire_format);

        if (!f)
                return -ENOMEM;
        *ret = f;
        return 0;
}

struct wire_format *wire_format_free(struct wire_format *f) {
        if (!f)
                return NULL;
        ocf_free(f->in.data);
        ocf_free(f->out.data);
        return ocf_free(f);
}
