#include "protocol/coap_pool.h"

#include <string.h>

void coap_pool_init(struct coap_pool *p, void *memory, size_t size, uint32_t n_max) {
        *p = (struct coap_pool){ .slots = memory, .size = size, .n_max = n_max };
}

static struct coap_slot *slot_at(const struct coap_pool *p, uint32_t index) {
        return (struct coap_slot *)(void *)(p->slots + p->size * index);
}

void *coap_pool_take(struct coap_pool *p) {
        struct coap_slot *s;
        uint32_t generation;

        if (p->free) {
                s = slot_at(p, p->free - 1);
                p->free = s->next_free;
        } else if (p->n_fresh < p->n_max) {
                s = slot_at(p, p->n_fresh++);
        } else {
                return NULL;
        }
        generation = s->generation;
        memset(s, 0, p->size);
        s->generation = generation ? generation : 1;
        s->next_free = COAP_SLOT_USED;
        p->n_used++;
        return s;
}

void coap_pool_give(struct coap_pool *p, void *slot) {
        struct coap_slot *s = slot;

        s->generation = s->generation == UINT32_MAX ? 1 : s->generation + 1;
        s->next_free = p->free;
        p->free = coap_pool_index(p, slot) + 1;
        p->n_used--;
}

uint32_t coap_pool_index(const struct coap_pool *p, const void *slot) {
        return (uint32_t)((size_t)((const uint8_t *)slot - p->slots) / p->size);
}

void *coap_pool_used(const struct coap_pool *p, uint32_t index) {
        struct coap_slot *s = index < p->n_fresh ? slot_at(p, index) : NULL;

        return s && s->next_free == COAP_SLOT_USED ? s : NULL;
}

void *coap_pool_at(const struct coap_pool *p, uint32_t index, uint32_t generation) {
        struct coap_slot *s = coap_pool_used(p, index);

        return s && s->generation == generation ? s : NULL;
}

size_t coap_hash_heads(uint32_t n) {
        size_t heads = 16;

        while (heads < n)
                heads *= 2;
        return heads;
}

void coap_hash_link(struct coap_hash *h, struct coap_hash_node *node, uint64_t hash) {
        struct coap_hash_node **head = &h->heads[hash & h->mask];

        node->hash = hash;
        node->next = *head;
        *head = node;
}

void coap_hash_unlink(struct coap_hash *h, struct coap_hash_node *node) {
        struct coap_hash_node **at = &h->heads[node->hash & h->mask];

        while (*at && *at != node)
                at = &(*at)->next;
        if (*at)
                *at = node->next;
        node->next = NULL;
}

static uint64_t mix(uint64_t a, uint64_t b) {
        unsigned __int128 product = (unsigned __int128)a * b;

        return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* Multiply and fold, eight bytes at a time; the seed enters every step. */
uint64_t coap_hash_bytes(uint64_t seed, const void *data, size_t n) {
        const uint8_t *p = data;
        uint64_t h = seed ^ n, word;

        for (; n >= 8; p += 8, n -= 8) {
                memcpy(&word, p, 8);
                h = mix(h ^ word, seed | 1) + 0x9e3779b97f4a7c15u;
        }
        word = 0;
        if (n)
                memcpy(&word, p, n);
        h = mix(h ^ word ^ 0xe7037ed1a0b428dbu, seed | 1);
        return h ^ h >> 32;
}
