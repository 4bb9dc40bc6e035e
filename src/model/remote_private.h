/*
 * What the files of remote devices share: remote.c has the table,
 * remote_learn.c reads what they say.
 */
#ifndef OCF_MODEL_REMOTE_PRIVATE_H
#define OCF_MODEL_REMOTE_PRIVATE_H

#include "model/remote.h"

struct remotes {
        struct remotes_config config;
        struct list devices, dirty_devices, dirty_resources;
        struct list gone_devices, gone_resources; /* told before what is new: an id may be there again */
        struct list *buckets;                     /* by id */
        size_t mask, n_devices, n_bytes;
        uint64_t n_refused;
        struct remote_device *told_device;     /* freed at the next event */
        struct remote_resource *told_resource; /* likewise */
};

void remote_news(struct remote_device *d, unsigned news);
void remote_resource_news(struct remote_resource *r, unsigned news);
void remote_set_ownership(struct remote_device *d, enum remote_ownership ownership);

/* 0 and *ret, NULL: there is no room; -ENOMEM. */
int remotes_obtain(struct remotes *t, uint64_t now_ms, const struct uuid *id, struct remote_device **ret);
void remote_resource_remove(struct remote_resource *r);
int remote_resource_copy(struct remote_device *to, const struct remote_resource *r); /* 0; -ENOMEM */

#endif
