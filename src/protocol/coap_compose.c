#include "protocol/coap_private.h"

#include <string.h>

/*
 * Messages of a request of ours: the whole of it, one block of its body, or the
 * question for the next block of its answer. All carry the same options, so that
 * the peer sees one request (RFC 7959, 2.4 and 2.5).
 */

/* ---- the texts that are kept ---- */

struct texts {
        uint8_t bytes[COAP_TEXTS_MAX];
        struct span path, query, etag, if_match, echo;
};

static void read_texts(const struct coap_endpoint *ep, const struct coap_client *c, struct texts *t) {
        struct span all = span_of(t->bytes, c->texts.n);

        coap_pages_copy(&ep->pages, c->texts, 0, t->bytes, c->texts.n);
        (void)span_take(&all, c->n_path, &t->path);
        (void)span_take(&all, c->n_query, &t->query);
        (void)span_take(&all, c->n_etag, &t->etag);
        (void)span_take(&all, c->n_if_match, &t->if_match);
        (void)span_take(&all, c->n_echo, &t->echo);
}

static void put_parts(struct coap_builder *b, uint16_t number, struct span s, uint8_t separator) {
        struct span part;

        while (s.n && span_split(&s, separator, &part)) /* nothing at all is no part, not an empty one */
                coap_build_option(b, number, part);
}

static void put_path(struct coap_builder *b, struct span path) {
        if (path.n && path.data[0] == '/')
                path = span_of(path.data + 1, path.n - 1);
        put_parts(b, COAP_OPTION_URI_PATH, path, '/');
        if (path.n && path.data[path.n - 1] == '/') /* "a/" is two segments (RFC 7252, 6.4) */
                coap_build_option(b, COAP_OPTION_URI_PATH, SPAN_NULL);
}

/* ---- which part of it is next ---- */

static struct coap_room room_of(const struct coap_endpoint *ep, const struct coap_client *c) {
        struct coap_room room;

        if (c->partner->peer.stream) {
                room = coap_stream_room(ep, &c->partner->peer);
                room.n -= ocf_min_size(room.n - 16, 2u * c->texts.n); /* each segment has its head */
                while (room.szx && coap_block_size(room.szx) > room.n)
                        room.szx--;
                return room;
        }
        return (struct coap_room){ coap_block_size(c->szx1), c->szx1 };
}

static bool asks_for_more(const struct coap_client *c) {
        return c->body.n;
}

/* RFC 8132, 2.1: the body of a FETCH is part of the question each time. */
static bool carries_payload(const struct coap_client *c) {
        return c->payload.n && (!asks_for_more(c) || c->method == COAP_FETCH);
}

/* The block of the payload that begins at n_sent; false when all of it goes as it is. */
static bool cut(const struct coap_endpoint *ep, struct coap_client *c, uint8_t *ret_szx) {
        const struct coap_room room = room_of(ep, c);
        size_t n = c->payload.n - c->n_sent;

        *ret_szx = c->szx1 < room.szx ? c->szx1 : room.szx;
        while (c->n_sent % coap_block_size(*ret_szx)) /* they may grow, but begin where their number says */
                --*ret_szx;
        c->szx_block = *ret_szx;
        if (!c->n_sent)
                c->szx_first = *ret_szx;
        if (!c->n_sent && n <= room.n) {
                c->n_block = (uint32_t)n;
                return false;
        }
        c->n_block =
                (uint32_t)ocf_min_size(n, *ret_szx == 7 ? room.n / 1024 * 1024 : coap_block_size(*ret_szx));
        return true;
}

static void put_blocks(struct coap_builder *b, struct coap_client *c, bool in_blocks, uint8_t szx) {
        bool more = c->n_sent + c->n_block < c->payload.n;

        if (asks_for_more(c))
                coap_build_uint(b, COAP_OPTION_BLOCK2,
                                (uint32_t)(c->body.n / coap_block_size(c->szx2)) << 4 | c->szx2);
        if (!in_blocks)
                return;
        coap_build_uint(b, COAP_OPTION_BLOCK1,
                        (uint32_t)(c->n_sent / coap_block_size(szx)) << 4 | (uint32_t)more << 3 | szx);
        if (!c->n_sent)
                coap_build_uint(b, COAP_OPTION_SIZE1, c->payload.n);
}

static void put_payload(struct coap_endpoint *ep, struct coap_builder *b, struct coap_client *c) {
        if (!writer_put_u8(&b->w, 0xff) || b->w.n + c->n_block > b->w.n_max) {
                b->w.overflow = true;
                return;
        }
        coap_pages_read(&ep->pages, c->payload, &c->reader, c->n_sent, b->w.data + b->w.n, c->n_block);
        b->w.n += c->n_block;
}

static struct coap_builder begin(struct coap_endpoint *ep, const struct coap_client *c) {
        uint64_t token = c->token | c->asks_rest;
        enum coap_type type = c->confirmable ? COAP_CON : COAP_NON;

        return coap_build(ep->message, sizeof(ep->message), type, c->method, c->mid, (const uint8_t *)&token,
                          sizeof(token));
}

struct span coap_compose(struct coap_endpoint *ep, struct coap_client *c) {
        struct coap_builder b = begin(ep, c);
        bool with_payload = carries_payload(c), in_blocks = false, first = !asks_for_more(c);
        struct texts t;
        uint8_t szx = 0;

        read_texts(ep, c, &t);
        if (with_payload)
                in_blocks = cut(ep, c, &szx);
        if (t.if_match.n)
                coap_build_option(&b, COAP_OPTION_IF_MATCH, t.if_match);
        if (first && t.etag.n)
                coap_build_option(&b, COAP_OPTION_ETAG, t.etag);
        if (first && c->if_none_match)
                coap_build_option(&b, COAP_OPTION_IF_NONE_MATCH, SPAN_NULL);
        if (first && c->observe)
                coap_build_uint(&b, COAP_OPTION_OBSERVE, 0);
        put_path(&b, t.path);
        if (c->payload.n && c->content_format != COAP_FORMAT_NONE)
                coap_build_uint(&b, COAP_OPTION_CONTENT_FORMAT, (uint32_t)c->content_format);
        put_parts(&b, COAP_OPTION_URI_QUERY, t.query, '&');
        if (c->accept != COAP_FORMAT_NONE)
                coap_build_uint(&b, COAP_OPTION_ACCEPT, (uint32_t)c->accept);
        put_blocks(&b, c, in_blocks, szx);
        if (t.echo.n)
                coap_build_option(&b, COAP_OPTION_ECHO, t.echo);
        if (c->no_response)
                coap_build_uint(&b, COAP_OPTION_NO_RESPONSE, c->no_response);
        /* Else two bodies for one resource would be one to it (RFC 9175, 3). Whoever asks for more of the
         * answer still speaks of this body. */
        if (in_blocks || c->n_sent)
                coap_build_uint(&b, COAP_OPTION_REQUEST_TAG, c->tag);
        if (c->ocf_version && !c->without_version)
                coap_build_uint(&b, COAP_OPTION_OCF_ACCEPT_VERSION, OCF_VERSION_1_0_0);
        if (c->ocf_version && !c->without_version && with_payload &&
            c->content_format == COAP_FORMAT_OCF_CBOR)
                coap_build_uint(&b, COAP_OPTION_OCF_CONTENT_VERSION, OCF_VERSION_1_0_0);
        if (with_payload)
                put_payload(ep, &b, c);
        return writer_span(&b.w);
}

struct span coap_compose_cancel(struct coap_endpoint *ep, struct coap_client *c) {
        struct coap_builder b;
        struct texts t;

        c->asks_rest = false;
        b = begin(ep, c);
        read_texts(ep, c, &t);
        ep->message[0] = (uint8_t)((ep->message[0] & 0xcf) | COAP_CON << 4);
        coap_build_uint(&b, COAP_OPTION_OBSERVE, 1);
        put_path(&b, t.path);
        put_parts(&b, COAP_OPTION_URI_QUERY, t.query, '&');
        if (c->accept != COAP_FORMAT_NONE)
                coap_build_uint(&b, COAP_OPTION_ACCEPT, (uint32_t)c->accept);
        return writer_span(&b.w);
}

/* ---- what fits ---- */

static bool parts_fit(struct span s, uint8_t separator, size_t *n) {
        struct span part;

        while (span_split(&s, separator, &part)) {
                if (part.n > 255)
                        return false;
                *n += part.n + 3;
        }
        return true;
}

#define OTHERS 128u /* header, token, ETags, Observe, formats, blocks, sizes, Echo, versions */

bool coap_compose_fits(const struct coap_ask *ask) {
        size_t n = OTHERS + (ask->payload.n ? 1024 : 0);

        if (ask->path.n > COAP_PATH_MAX || ask->query.n > COAP_QUERY_MAX || ask->etag.n > COAP_ETAG_MAX ||
            ask->if_match.n > COAP_ETAG_MAX)
                return false;
        return parts_fit(ask->path, '/', &n) && parts_fit(ask->query, '&', &n) && n <= COAP_MESSAGE_MAX;
}
