/*
 * A representation as a tree, for programs: typed, changed in place, strings
 * ended with a NUL. On the bus and in CBOR it is the house's normal form
 * (protocol/rep.h); value_rep.c goes between the two.
 */
#ifndef OCF_CLIENT_VALUE_H
#define OCF_CLIENT_VALUE_H

#include "base/span.h"
#include "ocfclient.h"

struct ocf_value {
        enum ocf_type type;
        unsigned depth; /* of containers: 0 for what is none, 1 for an empty map */
        bool boolean;
        int64_t integer;
        double real;
        uint8_t *data; /* a string with its NUL, bytes, or the normal form of what is OCF_OTHER */
        size_t n_data;
        struct ocf_value **items; /* of an array or a map */
        char **keys;              /* of a map */
        size_t n_items;
};

#define VALUE_N_MAX (4u * 1024 * 1024) /* bytes of normal form that are tried at most */

int value_new(struct ocf_value **ret, enum ocf_type type);
int value_new_data(struct ocf_value **ret, enum ocf_type type, struct span data);

/* Puts an item, which it takes in any case, under a key, or at the end of an array where key is NULL. Return:
 * as ocf_value_set_value(). */
int value_put_take(struct ocf_value *container, const char *key, struct ocf_value *item_take);

/* To and from normal form. to_rep: *ret is allocated, the caller's. Return: 0; -EINVAL; -ENOMEM. */
int value_to_rep(const struct ocf_value *v, struct span *ret);
int value_from_rep(struct ocf_value **ret, struct span rep);

static inline void value_freep(struct ocf_value **v) {
        ocf_value_free(*v);
}

#endif
