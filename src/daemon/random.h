/*
 * Unpredictable numbers from the kernel, drawn in batches.
 */
#ifndef OCF_DAEMON_RANDOM_H
#define OCF_DAEMON_RANDOM_H

#include "base/uuid.h"

struct random_pool {
        uint32_t numbers[64];
        size_t n_left;
};

uint32_t random_u32(void *pool); /* struct random_pool *; the shape that coap_config wants */
void random_uuid(struct uuid *ret);

#endif
