#include "protocol/coap_private.h"

#include <string.h>

/*
 * Block1 (RFC 7959, 2.5): the body of a request is put together here, in order,
 * and reaches the caller once, whole. Each block shows what transfer it belongs
 * to by peer, target and Request-Tag, so that transfers of different peers, or to
 * different resources, do not meet.
 */

#define UPLOAD_IDLE_MS 60000u /* forgotten so long after its last block */

static uint64_t upload_key(const struct coap_endpoint *ep, const struct coap_shape *shape,
                           const struct coap_request_details *d) {
        const uint64_t parts[] = { shape->request_hash, d->tag_hash, (uint64_t)d->request.content_format };

        return coap_hash_bytes(ep->seed, parts, sizeof(parts));
}

static struct coap_upload *find(const struct coap_endpoint *ep, uint64_t key) {
        for (struct coap_hash_node *n = coap_hash_first(&ep->by_upload, key); n; n = n->next)
                if (n->hash == key)
                        return OCF_CONTAINER_OF(n, struct coap_upload, node);
        return NULL;
}

void coap_upload_free(struct coap_endpoint *ep, struct coap_upload *u) {
        coap_account_drop(ep, u->account, &u->bytes);
        u->account->n_uploads--;
        coap_account_release(ep, u->account);
        coap_hash_unlink(&ep->by_upload, &u->node);
        list_unlink(&u->due);
        coap_pool_give(&ep->uploads, u);
}

static void touch(struct coap_endpoint *ep, uint64_t now_ms, struct coap_upload *u) {
        list_unlink(&u->due);
        u->due_ms = now_ms + UPLOAD_IDLE_MS;
        list_link_tail(&ep->due_uploads, &u->due);
}

static struct coap_upload *begin(struct coap_endpoint *ep, const struct coap_peer *peer, uint64_t key,
                                 uint64_t first_hash) {
        struct coap_account *a = coap_account_obtain(ep, peer);
        struct coap_upload *u;

        if (!a)
                return NULL;
        u = a->n_uploads < COAP_UPLOADS_PER_PEER ? coap_pool_take(&ep->uploads) : NULL;
        if (!u) {
                coap_account_release(ep, a);
                return NULL;
        }
        a->n_uploads++;
        u->account = a;
        u->first_hash = first_hash;
        u->channel = peer->channel;
        list_init(&u->due);
        coap_hash_link(&ep->by_upload, &u->node, key);
        return u;
}

static enum coap_upload_outcome refused(struct coap_endpoint *ep, uint64_t now_ms,
                                        const struct coap_shape *shape, uint8_t code, const char *text,
                                        int64_t max_age_s) {
        coap_answer_at_once(ep, now_ms, shape, code, text, max_age_s);
        return COAP_UPLOAD_ANSWERED;
}

/* All but the last block are full (RFC 7959, 2.3; of size 7, a multiple: RFC 8323, 6). */
static bool has_right_size(const struct coap_request_details *d) {
        size_t size = coap_block_size(d->block1_szx), n = d->request.payload.n;

        if (d->block1_szx == 7)
                return !d->block1_more || (n && n % size == 0);
        return d->block1_more ? n == size : n <= size;
}

/* Everything is here: the caller gets it in one piece. */
static enum coap_upload_outcome complete(struct coap_endpoint *ep, struct coap_upload *u,
                                         struct coap_request_details *d) {
        coap_pages_copy(&ep->pages, u->bytes, 0, ep->body, u->bytes.n);
        d->request.payload = span_of(ep->body, u->bytes.n);
        coap_upload_free(ep, u);
        return COAP_UPLOAD_COMPLETE;
}

/* Does this block go on where the transfer stands, or repeat what was taken already? What differs from that
 * is of another body whose client gives no Request-Tag. */
static bool continues(struct coap_endpoint *ep, const struct coap_upload *u,
                      const struct coap_request_details *d, uint64_t offset) {
        size_t n = d->request.payload.n;

        if (offset == u->bytes.n)
                return true;
        if (!d->block1_more || offset + n > u->bytes.n || n > sizeof(ep->message))
                return false;
        coap_pages_copy(&ep->pages, u->bytes, offset, ep->message, n);
        return memcmp(ep->message, d->request.payload.data, n) == 0;
}

static enum coap_upload_outcome add(struct coap_endpoint *ep, uint64_t now_ms, const struct coap_shape *shape,
                                    struct coap_request_details *d, struct coap_upload *u, uint64_t offset) {
        if (!u || !continues(ep, u, d, offset))
                return refused(ep, now_ms, shape, COAP_REQUEST_ENTITY_INCOMPLETE,
                               "Blocks before this one are missing: begin again", -1);
        if (offset == u->bytes.n &&
            !coap_account_append(ep, now_ms, u->account, &u->bytes, &u->end, d->request.payload)) {
                coap_upload_free(ep, u);
                return refused(ep, now_ms, shape, COAP_SERVICE_UNAVAILABLE,
                               "No room for more of this body now", 5);
        }
        if (!d->block1_more)
                return complete(ep, u, d);
        touch(ep, now_ms, u);
        return refused(ep, now_ms, shape, COAP_CONTINUE, NULL, -1);
}

/* Block 0 begins a transfer, also where one was under way, unless it is a late copy of its own block 0. */
static enum coap_upload_outcome add_first(struct coap_endpoint *ep, uint64_t now_ms,
                                          const struct coap_shape *shape, struct coap_request_details *d,
                                          struct coap_upload *u, uint64_t key, uint64_t bytes_hash) {
        if (u && u->first_hash != bytes_hash) {
                coap_upload_free(ep, u);
                u = NULL;
        }
        if (!d->block1_more)
                return COAP_UPLOAD_COMPLETE;
        if (!u)
                u = begin(ep, &shape->peer, key, bytes_hash);
        if (!u)
                return refused(ep, now_ms, shape, COAP_SERVICE_UNAVAILABLE,
                               "Too many bodies are on their way", 5);
        return add(ep, now_ms, shape, d, u, 0);
}

enum coap_upload_outcome coap_upload_take(struct coap_endpoint *ep, uint64_t now_ms,
                                          const struct coap_shape *shape, struct coap_request_details *d,
                                          uint64_t bytes_hash) {
        uint64_t key = upload_key(ep, shape, d);
        uint64_t offset = (uint64_t)d->block1_num * coap_block_size(d->block1_szx);
        struct coap_upload *u = find(ep, key);

        if (!has_right_size(d))
                return refused(ep, now_ms, shape, COAP_BAD_REQUEST, "A block has another size than it says",
                               -1);
        if (d->size1 > ep->config.limits.n_body || offset + d->request.payload.n > ep->config.limits.n_body) {
                if (u)
                        coap_upload_free(ep, u);
                return refused(ep, now_ms, shape, COAP_REQUEST_ENTITY_TOO_LARGE,
                               "The body is longer than Size1 here says", -1);
        }
        if (!d->block1_num)
                return add_first(ep, now_ms, shape, d, u, key, bytes_hash);
        return add(ep, now_ms, shape, d, u, offset);
}

void coap_upload_forget(struct coap_endpoint *ep, uint32_t channel) {
        LIST_FOR_EACH_SAFE(i, &ep->due_uploads)
        if (LIST_ENTRY(i, struct coap_upload, due)->channel == channel)
                coap_upload_free(ep, LIST_ENTRY(i, struct coap_upload, due));
}

void coap_upload_tick(struct coap_endpoint *ep, uint64_t now_ms) {
        struct list *first;

        while ((first = list_first(&ep->due_uploads))) {
                struct coap_upload *u = LIST_ENTRY(first, struct coap_upload, due);

                if (u->due_ms > now_ms)
                        return;
                coap_upload_free(ep, u);
        }
}
