#include "protocol/coap_private.h"

#include <string.h>

static void account_key(const struct coap_peer *peer, uint8_t ret[16]) {
        bool link_local = peer->remote_ip[0] == 0xfe && (peer->remote_ip[1] & 0xc0) == 0x80;

        memcpy(ret, peer->remote_ip, 16);
        if (!coap_peer_is_ipv4(peer) && !link_local)
                memset(ret + 8, 0, 8);
}

static struct coap_account *find(const struct coap_endpoint *ep, const uint8_t ip[16], uint64_t hash) {
        for (struct coap_hash_node *n = coap_hash_first(&ep->by_account, hash); n; n = n->next) {
                struct coap_account *a = OCF_CONTAINER_OF(n, struct coap_account, node);

                if (n->hash == hash && memcmp(a->ip, ip, 16) == 0)
                        return a;
        }
        return NULL;
}

struct coap_account *coap_account_find(const struct coap_endpoint *ep, const struct coap_peer *peer) {
        uint8_t ip[16];

        account_key(peer, ip);
        return find(ep, ip, coap_hash_bytes(ep->seed, ip, sizeof(ip)));
}

struct coap_account *coap_account_obtain(struct coap_endpoint *ep, const struct coap_peer *peer) {
        struct coap_account *a;
        uint8_t ip[16];
        uint64_t hash;

        account_key(peer, ip);
        hash = coap_hash_bytes(ep->seed, ip, sizeof(ip));
        a = find(ep, ip, hash);
        if (a)
                return a;
        a = coap_pool_take(&ep->accounts);
        if (!a)
                return NULL;
        memcpy(a->ip, ip, sizeof(ip));
        a->next_mid = ep->next_mid++;
        coap_hash_link(&ep->by_account, &a->node, hash);
        return a;
}

void coap_account_release(struct coap_endpoint *ep, struct coap_account *a) {
        if (a->n_exchanges || a->n_observers || a->n_pages || a->n_asks || a->n_uploads)
                return;
        /* Whoever comes next, perhaps the same peer, begins behind all ids that were used (RFC 7252, 4.4). */
        if ((int16_t)(a->next_mid - ep->next_mid) > 0)
                ep->next_mid = a->next_mid;
        coap_hash_unlink(&ep->by_account, &a->node);
        coap_pool_give(&ep->accounts, a);
}

bool coap_account_keep(struct coap_endpoint *ep, struct coap_account *a, struct span s,
                       struct coap_stretch *ret) {
        uint32_t n_pages = coap_pages_for(s.n);

        if (n_pages >
            ep->config.limits.n_pages_per_peer - ocf_min_size(a->n_pages, ep->config.limits.n_pages_per_peer))
                return false;
        if (!coap_pages_keep(&ep->pages, s, ret))
                return false;
        a->n_pages += n_pages;
        return true;
}

static bool append(struct coap_endpoint *ep, struct coap_account *a, struct coap_stretch *s,
                   struct coap_cursor *end, struct span bytes) {
        uint32_t n_max = ep->config.limits.n_pages_per_peer;
        uint32_t n_more = coap_pages_for(s->n + bytes.n) - coap_pages_for(s->n);

        if (n_more > n_max - ocf_min_size(a->n_pages, n_max) || !coap_pages_append(&ep->pages, s, end, bytes))
                return false;
        a->n_pages += n_more;
        return true;
}

bool coap_account_append(struct coap_endpoint *ep, uint64_t now_ms, struct coap_account *a,
                         struct coap_stretch *s, struct coap_cursor *end, struct span bytes) {
        while (!append(ep, a, s, end, bytes))
                if (!coap_body_make_room(ep, now_ms))
                        return false;
        return true;
}

void coap_account_drop(struct coap_endpoint *ep, struct coap_account *a, struct coap_stretch *s) {
        if (!s->first)
                return;
        a->n_pages -= coap_pages_for(s->n);
        coap_pages_drop(&ep->pages, s);
}
