/*
 * Answers about the whole model that were put together once and are given again
 * until something they depend on changes.
 *
 * A key says all that an answer depends on but the model itself; the stamp says
 * which state of the model it was made of. An entry whose stamp is not the
 * current one is never given: nobody has to remember to throw it away. Few
 * entries and few bytes, the least recently used one goes first: a stranger who
 * asks for many views costs the work of each, not memory.
 */
#ifndef OCF_MODEL_ANSWER_CACHE_H
#define OCF_MODEL_ANSWER_CACHE_H

#include "base/span.h"

#define ANSWER_CACHE_ENTRIES   8
#define ANSWER_CACHE_BYTES_MAX (1024u * 1024)
#define ANSWER_KEY_QUERY_MAX   94

enum answer_kind { ANSWER_LINKS, ANSWER_BASELINE, ANSWER_BATCH, ANSWER_LINK_FORMAT };

/* Compared byte by byte: it has no padding, and starts as all zero. */
struct answer_key {
        uint8_t kind; /* enum answer_kind */
        uint8_t subject, is_ipv4, allow_insecure;
        uint16_t device;
        uint16_t n_query;
        uint32_t interface;
        uint8_t local_ip[16];
        uint8_t query[ANSWER_KEY_QUERY_MAX]; /* what of the query selects anything */
        uint8_t reserved[2];
};

_Static_assert(sizeof(struct answer_key) == 124, "a key has no padding");

struct answer {
        struct answer_key key;
        uint64_t stamp, used;
        uint8_t *data; /* NULL: no entry */
        size_t n;
        uint64_t etag;
};

struct answer_cache {
        struct answer entries[ANSWER_CACHE_ENTRIES];
        uint64_t n_uses;
        size_t n_bytes;
        uint64_t n_hits, n_misses;
};

void answer_cache_deinit(struct answer_cache *c);

/* Appends a part of the query; false when it is too long for a key: such an answer is not kept. */
bool answer_key_add(struct answer_key *k, struct span name, struct span value);

/* Both are good until the next answer_cache_keep(); NULL: there is none, or it was too large or there was no
 * memory. */
const struct answer *answer_cache_find(struct answer_cache *c, const struct answer_key *key, uint64_t stamp);
const struct answer *answer_cache_keep(struct answer_cache *c, const struct answer_key *key, uint64_t stamp,
                                       struct span bytes, uint64_t etag);

#endif
