/*
 * A doubly linked list whose nodes live inside the things they link.
 *
 * Linking cannot fail, unlinking needs no list, and an unlinked node points
 * at itself, so that unlinking twice is harmless.
 */
#ifndef OCF_BASE_LIST_H
#define OCF_BASE_LIST_H

#include "base/util.h"

struct list {
        struct list *next, *prev;
};

#define LIST_INIT(l) ((struct list){ &(l), &(l) })

static inline void list_init(struct list *l) {
        l->next = l->prev = l;
}

static inline bool list_is_empty(const struct list *l) {
        return l->next == l;
}

static inline bool list_is_linked(const struct list *node) {
        return node->next != node;
}

static inline void list_link_tail(struct list *l, struct list *node) {
        node->prev = l->prev;
        node->next = l;
        l->prev->next = node;
        l->prev = node;
}

static inline void list_link_head(struct list *l, struct list *node) {
        list_link_tail(l->next, node);
}

static inline void list_unlink(struct list *node) {
        node->prev->next = node->next;
        node->next->prev = node->prev;
        list_init(node);
}

static inline struct list *list_first(const struct list *l) {
        return list_is_empty(l) ? NULL : l->next;
}

#define LIST_ENTRY(node, type, member) OCF_CONTAINER_OF(node, type, member)

#define LIST_FOR_EACH(pos, l)          for (struct list *pos = (l)->next; pos != (l); pos = pos->next)

/* The current node may be unlinked in the body. */
#define LIST_FOR_EACH_SAFE(pos, l)                                                                           \
        for (struct list *pos = (l)->next, *pos##_next = pos->next; pos != (l);                              \
             pos = pos##_next, pos##_next = pos->next)

#endif
