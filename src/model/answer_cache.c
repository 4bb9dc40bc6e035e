#include "model/answer_cache.h"
#include "base/memory.h"

#include <string.h>

static void drop(struct answer_cache *c, struct answer *a) {
        c->n_bytes -= a->n;
        ocf_free(a->data);
        *a = (struct answer){ 0 };
}

void answer_cache_deinit(struct answer_cache *c) {
        for (size_t i = 0; i < ANSWER_CACHE_ENTRIES; i++)
                drop(c, &c->entries[i]);
}

bool answer_key_add(struct answer_key *k, struct span name, struct span value) {
        struct writer w = writer_on(k->query, sizeof(k->query));

        w.n = k->n_query;
        if (!writer_put_span(&w, name) || !writer_put_u8(&w, '=') || !writer_put_span(&w, value) ||
            !writer_put_u8(&w, '&'))
                return false;
        k->n_query = (uint16_t)w.n;
        return true;
}

static struct answer *find(struct answer_cache *c, const struct answer_key *key) {
        for (size_t i = 0; i < ANSWER_CACHE_ENTRIES; i++)
                if (c->entries[i].data && memcmp(&c->entries[i].key, key, sizeof(*key)) == 0)
                        return &c->entries[i];
        return NULL;
}

const struct answer *answer_cache_find(struct answer_cache *c, const struct answer_key *key, uint64_t stamp) {
        struct answer *a = find(c, key);

        if (!a || a->stamp != stamp) {
                c->n_misses++;
                return NULL;
        }
        a->used = ++c->n_uses;
        c->n_hits++;
        return a;
}

/* An empty one, else the one that was used longest ago. */
static struct answer *oldest(struct answer_cache *c) {
        struct answer *best = &c->entries[0];

        for (size_t i = 1; i < ANSWER_CACHE_ENTRIES; i++)
                if (c->entries[i].used < best->used)
                        best = &c->entries[i];
        return best;
}

/* Entries without data have no bytes: what goes first is not the empty one here. */
static struct answer *oldest_with_bytes(struct answer_cache *c) {
        struct answer *best = NULL;

        for (size_t i = 0; i < ANSWER_CACHE_ENTRIES; i++)
                if (c->entries[i].data && (!best || c->entries[i].used < best->used))
                        best = &c->entries[i];
        return best;
}

const struct answer *answer_cache_keep(struct answer_cache *c, const struct answer_key *key, uint64_t stamp,
                                       struct span bytes, uint64_t etag) {
        struct answer *a = find(c, key);
        uint8_t *data;

        if (a)
                drop(c, a);
        if (bytes.n > ANSWER_CACHE_BYTES_MAX / 2)
                return NULL;
        data = ocf_duplicate(bytes);
        if (!data)
                return NULL;
        while (c->n_bytes + bytes.n > ANSWER_CACHE_BYTES_MAX)
                drop(c, oldest_with_bytes(c));
        a = oldest(c);
        drop(c, a);
        *a = (struct answer){
                .key = *key,
                .stamp = stamp,
                .used = ++c->n_uses,
                .data = data,
                .n = bytes.n,
                .etag = etag,
        };
        c->n_bytes += bytes.n;
        return a;
}
