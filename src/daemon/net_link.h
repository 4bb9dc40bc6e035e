/*
 * What the kernel says of interfaces and addresses, over rtnetlink: first all
 * of it, then what changes. When we could not keep up (ENOBUFS) all of it is
 * asked for again. The table is kept by a function that takes messages, so
 * that a test can be the kernel.
 */
#ifndef OCF_DAEMON_NET_LINK_H
#define OCF_DAEMON_NET_LINK_H

#include "base/list.h"
#include "base/span.h"

#include <uv.h>

struct link_address {
        uint8_t ip[16];   /* IPv4 as ::ffff:a.b.c.d */
        uint8_t n_prefix; /* bits of it that are the network's; of IPv4 96 more */
        bool deprecated;  /* for those who know it already: no longer announced (RFC 4862, 5.5.4) */
        bool seen;        /* in the dump that is under way */
};

struct link {
        struct list list;
        uint32_t index;
        uint64_t number; /* never used twice, while an index may be */
        char name[16];
        char kind[16];
        bool up, running, loopback, seen;
        bool used; /* whatever the table's owner has decided */
        struct link_address *addresses;
        size_t n_addresses;
};

struct link_table {
        struct list links; /* by index, ascending */
        uint64_t n_made;
        bool changed; /* since somebody last cleared it */
};

void link_table_init(struct link_table *t);
void link_table_deinit(struct link_table *t);
struct link *link_table_find(const struct link_table *t, uint32_t index);

/* Is that address in the network of this one? */
bool link_address_covers(const struct link_address *a, const uint8_t *ip);

/* Takes messages of rtnetlink (any, whole or not; aligned as the kernel has them). Return: 0; -ENOMEM. */
int link_table_take(struct link_table *t, struct span message);

/* A dump of everything begins, and has ended: what was not in it is gone. */
void link_table_sweep_begin(struct link_table *t);
void link_table_sweep_end(struct link_table *t);

/* ---- the socket ---- */

struct link_watch;

/* changed(): after each batch that changed something. */
int link_watch_new(struct link_watch **ret, uv_loop_t *loop, struct link_table *table,
                   void (*changed)(void *context), void *context);
struct link_watch *link_watch_free(struct link_watch *w);
int link_watch_read_all(struct link_watch *w); /* waits for the first dump: before the loop runs */
uint64_t link_watch_resyncs(const struct link_watch *w);

#endif
