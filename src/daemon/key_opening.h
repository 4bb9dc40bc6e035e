/*
 * Opens the key of a provider, and does not wait for ever: the device that has
 * it may hang, and ours starts nevertheless.
 */
#ifndef OCF_DAEMON_KEY_OPENING_H
#define OCF_DAEMON_KEY_OPENING_H

#include "security/provided_key.h"

/* As provided_key_open(); -ETIMEDOUT: it has not answered within max_ms. What comes of it later is let go. */
int key_opening(struct provided_key **ret, const char *provider, const char *uri, uint64_t max_ms,
                char detail[static PROVIDED_KEY_DETAIL]);

#endif
