/*
 * Who we are: the identities of the platform and of each logical device, as the
 * store has them, made once at the first start and kept from then on. While the
 * store is sealed they are made up, and forgotten.
 */
#ifndef OCF_DAEMON_IDENTITY_H
#define OCF_DAEMON_IDENTITY_H

#include "daemon/config.h"
#include "daemon/store.h"
#include "model/model.h"

/* A platform that is complete but for its strings, which the configuration owns. Return: 0; negative errno.
 */
int identity_platform(struct store *s, const struct config *c, struct platform_identity *ret);

/* The stored device, or a new one that is in the store when this returns. The ports of a new one are 0. */
int identity_device(struct store *s, uint16_t index, struct store_device *ret);

/* What the device says of itself. The name is the configuration's, or the host's (kept in buf). */
struct device_identity identity_describe(const struct config *c, uint16_t index,
                                         const struct store_device *device,
                                         char buf[static MODEL_NAME_MAX + 1]);

#endif
