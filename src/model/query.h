/*
 * Queries, key by key (core.md 5.5): "if=oic.if.s&rt=a&rt=b&flag". Nothing is
 * unescaped; a part without "=" is a key with an empty value.
 */
#ifndef OCF_MODEL_QUERY_H
#define OCF_MODEL_QUERY_H

#include "base/span.h"

/* Takes the next part of the query; false at its end. Empty parts are passed over. */
bool query_next(struct span *query, struct span *ret_key, struct span *ret_value);

/* The first value of a key whose case does not matter. */
bool query_find(struct span query, const char *key, struct span *ret_value);

#endif
