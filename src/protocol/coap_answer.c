#include "protocol/coap_private.h"

#include <string.h>

/* What goes into one message: a whole answer, or one block of a longer one. */
struct part {
        uint8_t code;
        int content_format;
        struct span etag;
        int64_t max_age_s;
        uint32_t size1;
        size_t n_total;
        bool block2;  /* says Block2 */
        uint32_t num; /* in blocks of szx */
        uint8_t szx;
        size_t offset, n; /* of the payload */
};

size_t coap_block_size(uint8_t szx) {
        return szx >= 7 ? 1024 : (size_t)16 << szx;
}

/* Options in ascending order; the caller appends the payload. */
static struct coap_builder begin(struct coap_endpoint *ep, const struct coap_shape *shape,
                                 const struct part *p, const struct coap_answer_options *options) {
        struct coap_builder b = coap_build(ep->message, sizeof(ep->message), options->type, p->code,
                                           options->mid, shape->token, shape->n_token);
        bool more = p->offset + p->n < p->n_total;

        if (p->etag.n)
                coap_build_option(&b, COAP_OPTION_ETAG, p->etag);
        if (options->observe >= 0)
                coap_build_uint(&b, COAP_OPTION_OBSERVE, (uint32_t)options->observe);
        if (p->content_format != COAP_FORMAT_NONE && p->n_total)
                coap_build_uint(&b, COAP_OPTION_CONTENT_FORMAT, (uint32_t)p->content_format);
        if (p->max_age_s >= 0)
                coap_build_uint(&b, COAP_OPTION_MAX_AGE,
                                (uint32_t)ocf_min_u64((uint64_t)p->max_age_s, UINT32_MAX));
        if (p->block2)
                coap_build_uint(&b, COAP_OPTION_BLOCK2, p->num << 4 | (uint32_t)more << 3 | p->szx);
        if (shape->has_block1)
                coap_build_uint(&b, COAP_OPTION_BLOCK1, shape->block1);
        if (p->block2 && p->num == 0 && more)
                coap_build_uint(&b, COAP_OPTION_SIZE2, (uint32_t)p->n_total);
        if (p->size1)
                coap_build_uint(&b, COAP_OPTION_SIZE1, p->size1);
        if (p->content_format == COAP_FORMAT_OCF_CBOR && p->n_total &&
            (shape->ocf_version || shape->peer.channel))
                coap_build_uint(&b, COAP_OPTION_OCF_CONTENT_VERSION, OCF_VERSION_1_0_0);
        return b;
}

static struct span plain_error(struct coap_endpoint *ep, const struct coap_shape *shape, uint8_t code,
                               const char *text, const struct coap_answer_options *options) {
        struct coap_answer_options without = *options;
        struct part p = { .code = code,
                          .content_format = COAP_FORMAT_NONE,
                          .max_age_s = -1,
                          .n_total = strlen(text),
                          .n = strlen(text) };
        struct coap_builder b;

        without.observe = -1;
        b = begin(ep, shape, &p, &without);
        coap_build_payload(&b, span_of_string(text));
        return writer_span(&b.w);
}

/* Which block is asked for? False when there is none such. */
static bool select_block(struct part *p, const struct coap_shape *shape, const struct coap_room *room) {
        if (!shape->has_block2 && p->n_total <= room->n) {
                p->n = p->n_total;
                return true;
        }
        p->szx = shape->has_block2 && shape->szx < room->szx ? shape->szx : room->szx;
        p->num = shape->has_block2 ? shape->block2_num : 0;
        /* A number counts in the size it was asked with; ours may be smaller. */
        if (p->num && coap_block_size(p->szx) < coap_block_size(shape->szx))
                p->num *= (uint32_t)(coap_block_size(shape->szx) / coap_block_size(p->szx));
        p->offset = (size_t)p->num * coap_block_size(p->szx);
        if (p->offset && p->offset >= p->n_total)
                return false;
        p->n = ocf_min_size(p->n_total - p->offset,
                            p->szx == 7 ? room->n / 1024 * 1024 : coap_block_size(p->szx));
        p->block2 = shape->has_block2 || p->n < p->n_total;
        return true;
}

static bool is_held_back(const struct coap_endpoint *ep, const struct part *p, const struct coap_room *room) {
        return p->n < p->n_total && room->szx < ep->config.block_szx && p->szx == room->szx;
}

static struct span etag_for(struct coap_endpoint *ep, const struct coap_response *r, uint8_t buf[static 8]) {
        uint64_t hash;

        if (r->etag.n)
                return span_of(r->etag.data, ocf_min_size(r->etag.n, COAP_ETAG_MAX));
        hash = coap_hash_bytes(ep->etag_seed, r->payload.data, r->payload.n);
        memcpy(buf, &hash, 8);
        return span_of(buf, 8);
}

struct span coap_answer(struct coap_endpoint *ep, uint64_t now_ms, const struct coap_shape *shape,
                        const struct coap_response *response, const struct coap_answer_options *options) {
        struct part p = { .code = response->code,
                          .content_format = response->content_format,
                          .etag = span_of(response->etag.data, ocf_min_size(response->etag.n, COAP_ETAG_MAX)),
                          .max_age_s = response->max_age_s,
                          .size1 = response->size1,
                          .n_total = response->payload.n };
        const struct coap_room room = coap_room_for(ep, now_ms, shape);
        struct coap_shape whole;
        struct coap_builder b;
        uint8_t etag[8];

        if ((p.code >= COAP_BAD_REQUEST || p.code == COAP_VALID) && shape->has_block2 && shape->block2_num) {
                whole = *shape; /* it is about the resource, not about the block that was asked for */
                whole.has_block2 = false;
                return coap_answer(ep, now_ms, &whole, response, options);
        }
        if (!select_block(&p, shape, &room))
                return plain_error(ep, shape, COAP_BAD_REQUEST, "There is no block with this number",
                                   options);
        ep->held_back = is_held_back(ep, &p, &room);
        if (p.n < p.n_total) {
                p.etag = etag_for(ep, response, etag);
                if (p.num == 0 && !shape->multicast)
                        (void)coap_body_keep(ep, now_ms, shape, response,
                                             p.etag); /* without it the rest is asked for anew */
        }
        b = begin(ep, shape, &p, options);
        coap_build_payload(&b,
                           span_of(response->payload.data ? response->payload.data + p.offset : NULL, p.n));
        return writer_span(&b.w);
}

struct span coap_answer_block(struct coap_endpoint *ep, uint64_t now_ms, const struct coap_shape *shape,
                              struct coap_body *body, const struct coap_answer_options *options) {
        struct part p = { .code = body->code,
                          .content_format = body->content_format,
                          .etag = span_of(body->etag, body->n_etag),
                          .max_age_s = body->max_age_s,
                          .n_total = body->bytes.n };
        const struct coap_room room = coap_room_for(ep, now_ms, shape);
        struct coap_builder b;

        if (!select_block(&p, shape, &room))
                return plain_error(ep, shape, COAP_BAD_REQUEST, "There is no block with this number",
                                   options);
        ep->held_back = is_held_back(ep, &p, &room);
        b = begin(ep, shape, &p, options);
        writer_put_u8(&b.w, 0xff); /* a later block is never empty */
        if (b.w.overflow || b.w.n + p.n > b.w.n_max)
                return plain_error(ep, shape, COAP_INTERNAL_SERVER_ERROR, "The block is too long", options);
        coap_pages_read(&ep->pages, body->bytes, &body->reader, p.offset, b.w.data + b.w.n, p.n);
        body->fetched = p.offset + p.n == p.n_total;
        b.w.n += p.n;
        return writer_span(&b.w);
}

struct coap_answer_options coap_answer_piggybacked(struct coap_endpoint *ep, struct coap_account *a,
                                                   const struct coap_shape *shape) {
        if (!a && !shape->confirmable) /* an id of the peer's own count, where it has one */
                a = coap_account_find(ep, &shape->peer);
        return (struct coap_answer_options){
                .type = shape->confirmable ? COAP_ACK : COAP_NON,
                .mid = shape->confirmable ? shape->mid : coap_endpoint_next_mid(ep, a),
                .observe = -1,
        };
}

bool coap_answer_is_suppressed(const struct coap_shape *shape, uint8_t code) {
        return shape->no_response >> ((code >> 5) - 1) & 1; /* RFC 7967, 2.1 */
}

/* ---- no more than the address may be sent ---- */

static struct span bare(struct coap_endpoint *ep, const struct coap_shape *shape, uint8_t code,
                        const struct coap_answer_options *options) {
        struct coap_builder b = coap_build(ep->message, sizeof(ep->message), options->type, code,
                                           options->mid, shape->token, shape->n_token);

        return writer_span(&b.w);
}

/* RFC 9175, 2.3: ask again with this value, and you get the answer. */
static struct span challenge(struct coap_endpoint *ep, uint64_t now_ms, const struct coap_shape *shape,
                             const struct coap_answer_options *options) {
        struct coap_builder b = coap_build(ep->message, sizeof(ep->message), options->type, COAP_UNAUTHORIZED,
                                           options->mid, shape->token, shape->n_token);
        uint8_t echo[COAP_ECHO_SIZE];

        coap_address_echo(ep, now_ms, &shape->peer, echo);
        coap_build_option(&b, COAP_OPTION_ECHO, span_of(echo, sizeof(echo)));
        return writer_span(&b.w);
}

struct span coap_answer_send(struct coap_endpoint *ep, uint64_t now_ms, const struct coap_shape *shape,
                             struct span message, const struct coap_answer_options *options) {
        size_t n_allowed = coap_address_allows(ep, now_ms, shape);
        bool held_back = ep->held_back;
        uint8_t code = message.data[1];

        ep->held_back = false;
        if (message.n > n_allowed) {
                held_back = true;
                /* What had an effect is not asked for again: its answer loses its body instead. */
                message = coap_has_effect(shape->method) || code >= COAP_BAD_REQUEST
                                  ? bare(ep, shape, code, options)
                                  : challenge(ep, now_ms, shape, options);
        }
        if (message.n > n_allowed || (held_back && shape->multicast && code != message.data[1]))
                message = SPAN_NULL;
        if (message.n)
                coap_endpoint_send(ep, &shape->peer, message);
        coap_address_charge(ep, now_ms, shape, message.n, held_back);
        return message;
}
