/*
 * What the onboarding tool of this daemon remembers: its certificate
 * authority, the devices that it owns with the key of each (owner PSK), and
 * whose manufacturers' certificates it believes (services.md 1.7).
 *
 * One row of the store holds all of it, encrypted like every row. A change is
 * in force at once, and done() says when it is durable; what could not be
 * stored is taken back.
 */
#ifndef OCF_DAEMON_KEYRING_H
#define OCF_DAEMON_KEYRING_H

#include "daemon/store.h"
#include "security/keys.h"

struct keyring;

#define KEYRING_DEVICES_MAX   4096u
#define KEYRING_ANCHORS_MAX   65536u /* bytes of manufacturers' certificates, PEM */
#define KEYRING_AUTHORITY_MAX 4096u

/* From the store, at start-up. Return: 0; STORE_E_NONE: there is no tool yet, and *ret is an empty one;
 * STORE_E_DAMAGED; STORE_E_SEALED; negative errno. */
int keyring_load(struct keyring **ret, struct store *store);
struct keyring *keyring_free(struct keyring *k);

/* Whether the tool was made; and made it is with its authority's bytes (authority.h). -EALREADY: it is there,
 * and owns devices. */
bool keyring_exists(const struct keyring *k);
int keyring_make(struct keyring *k, struct span authority, store_done *done, void *context);
struct span keyring_authority(const struct keyring *k);

/* The owner's key of a device, until the next change; empty: it is not ours. */
struct span keyring_key(const struct keyring *k, const struct uuid *device);
bool keyring_has(const struct keyring *k, const struct uuid *device);

/* Adds it, or replaces its key. Return: 0, done() will be called (NULL: nobody waits); -ENOSPC; -ENOMEM; as
 * store_commit(). */
int keyring_put(struct keyring *k, const struct uuid *device, const uint8_t key[static KEY_PSK],
                store_done *done, void *context);
int keyring_remove(struct keyring *k, const struct uuid *device, store_done *done, void *context);

/* Those that are owned; in no order. Valid until the next change. */
size_t keyring_devices(const struct keyring *k, const struct uuid **ret);

/* Manufacturers' root certificates, one PEM after the other. -ENOSPC; as store_commit(). */
int keyring_add_anchor(struct keyring *k, struct span pem, store_done *done, void *context);
struct span keyring_anchors(const struct keyring *k);

#endif
