/*
 * Room for a fixed number of equal things, in memory that somebody handed in.
 *
 * Taking and giving back cost nothing; a slot that was never taken was never
 * touched. Each slot begins with a generation that changes when it is given
 * back, so that an id made of slot and generation goes stale by itself.
 */
#ifndef OCF_PROTOCOL_COAP_POOL_H
#define OCF_PROTOCOL_COAP_POOL_H

#include "base/util.h"

struct coap_slot {
        uint32_t generation;
        uint32_t next_free; /* index + 1, 0 ends the chain; COAP_SLOT_USED */
};

#define COAP_SLOT_USED UINT32_MAX

struct coap_pool {
        uint8_t *slots;
        size_t size;
        uint32_t n_max, n_fresh, n_used;
        uint32_t free; /* index + 1 */
};

void coap_pool_init(struct coap_pool *p, void *memory, size_t size, uint32_t n_max);
void *coap_pool_take(struct coap_pool *p); /* NULL: full. Zeroed but for the generation */
void coap_pool_give(struct coap_pool *p, void *slot);

uint32_t coap_pool_index(const struct coap_pool *p, const void *slot);
void *coap_pool_used(const struct coap_pool *p, uint32_t index); /* NULL: nothing is there now */
void *coap_pool_at(const struct coap_pool *p, uint32_t index,
                   uint32_t generation); /* NULL: stale or never taken */

/* ---- hash chains through the things themselves: as many heads as things, so that chains are short ---- */

struct coap_hash_node {
        struct coap_hash_node *next;
        uint64_t hash;
};

struct coap_hash {
        struct coap_hash_node **heads;
        uint64_t mask;
};

/* The number of heads for n things: a power of two. */
size_t coap_hash_heads(uint32_t n);
void coap_hash_link(struct coap_hash *h, struct coap_hash_node *node, uint64_t hash);
void coap_hash_unlink(struct coap_hash *h, struct coap_hash_node *node); /* harmless when it is not in it */

static inline struct coap_hash_node *coap_hash_first(const struct coap_hash *h, uint64_t hash) {
        return h->heads[hash & h->mask];
}

/* One more number into a hash. */
static inline uint64_t coap_hash_mix(uint64_t hash, uint64_t v) {
        unsigned __int128 product = (unsigned __int128)(hash ^ v) * 0x9e3779b97f4a7c15u;

        return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* A hash that nobody can aim at who does not know the seed. */
uint64_t coap_hash_bytes(uint64_t seed, const void *data, size_t n);

#endif
