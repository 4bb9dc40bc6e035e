#include "protocol/coap_private.h"

#include <string.h>

/*
 * A body that did not fit one message is kept while its reader fetches it, so
 * that all blocks are of one and the same representation (RFC 7959, 2.4). One
 * that nobody asked for in a while makes room for another.
 */

#define BODY_IDLE_MS 60000u /* kept so long after the last block was asked for */
#define BODY_BUSY_MS 3000u  /* one that was touched so recently is not thrown out for another */

struct coap_body *coap_body_find(struct coap_endpoint *ep, uint64_t request_hash) {
        for (struct coap_hash_node *n = coap_hash_first(&ep->by_body, request_hash); n; n = n->next)
                if (n->hash == request_hash)
                        return OCF_CONTAINER_OF(n, struct coap_body, node);
        return NULL;
}

void coap_body_free(struct coap_endpoint *ep, struct coap_body *b) {
        coap_account_drop(ep, b->account, &b->bytes);
        coap_account_release(ep, b->account);
        coap_hash_unlink(&ep->by_body, &b->node);
        list_unlink(&b->due);
        coap_pool_give(&ep->bodies, b);
}

void coap_body_touch(struct coap_endpoint *ep, uint64_t now_ms, struct coap_body *b) {
        list_unlink(&b->due);
        b->due_ms = now_ms + BODY_IDLE_MS;
        list_link_tail(&ep->due_bodies, &b->due);
}

bool coap_body_make_room(struct coap_endpoint *ep, uint64_t now_ms) {
        struct list *first = list_first(&ep->due_bodies);
        struct coap_body *b = first ? LIST_ENTRY(first, struct coap_body, due) : NULL;

        if (!b || (!b->fetched && b->due_ms - BODY_IDLE_MS + BODY_BUSY_MS > now_ms))
                return false;
        coap_body_free(ep, b);
        return true;
}

struct coap_body *coap_body_keep(struct coap_endpoint *ep, uint64_t now_ms, const struct coap_shape *shape,
                                 const struct coap_response *response, struct span etag) {
        struct coap_body *b = coap_body_find(ep, shape->request_hash);
        struct coap_account *a;

        if (b && response->etag.n && b->bytes.n == response->payload.n && b->code == response->code &&
            span_equal(span_of(b->etag, b->n_etag), etag)) {
                coap_body_touch(ep, now_ms, b); /* asked again, and nothing changed */
                return b;
        }
        if (b)
                coap_body_free(ep, b);
        if (coap_pages_for(response->payload.n) > ep->config.limits.n_pages_per_peer)
                return NULL; /* whatever made room for it */
        while (!(b = coap_pool_take(&ep->bodies)))
                if (!coap_body_make_room(ep, now_ms))
                        return NULL;
        list_init(&b->due);
        a = coap_account_obtain(ep, &shape->peer);
        while (a && !coap_account_keep(ep, a, response->payload, &b->bytes)) {
                /* The account may have gone with the body that made room. */
                a = coap_body_make_room(ep, now_ms) ? coap_account_obtain(ep, &shape->peer) : NULL;
        }
        if (!a) {
                a = coap_account_obtain(ep, &shape->peer);
                if (a)
                        coap_account_release(ep, a);
                coap_pool_give(&ep->bodies, b);
                return NULL;
        }
        b->account = a;
        b->channel = shape->peer.channel;
        b->code = response->code;
        b->content_format = response->content_format;
        b->max_age_s = response->max_age_s;
        b->n_etag = (uint8_t)etag.n;
        memcpy(b->etag, etag.data, etag.n);
        coap_hash_link(&ep->by_body, &b->node, shape->request_hash);
        coap_body_touch(ep, now_ms, b);
        return b;
}

/*
 * A GET for the last block that comes again is simply answered anew. What came of
 * an effect cannot be: it stays, but is the first to go.
 */
void coap_body_fetched(struct coap_endpoint *ep, struct coap_body *b, uint8_t method) {
        struct list *first;

        if (!coap_has_effect(method)) {
                coap_body_free(ep, b);
                return;
        }
        first = list_first(&ep->due_bodies);
        b->due_ms = ocf_min_u64(b->due_ms, LIST_ENTRY(first, struct coap_body, due)->due_ms);
        list_unlink(&b->due);
        list_link_head(&ep->due_bodies, &b->due);
}

void coap_body_forget(struct coap_endpoint *ep, uint32_t channel) {
        LIST_FOR_EACH_SAFE(i, &ep->due_bodies)
        if (LIST_ENTRY(i, struct coap_body, due)->channel == channel)
                coap_body_free(ep, LIST_ENTRY(i, struct coap_body, due));
}

void coap_body_tick(struct coap_endpoint *ep, uint64_t now_ms) {
        struct list *first;

        while ((first = list_first(&ep->due_bodies))) {
                struct coap_body *b = LIST_ENTRY(first, struct coap_body, due);

                if (b->due_ms > now_ms)
                        return;
                coap_body_free(ep, b);
        }
}
