/*
 * What survives a restart: identities and ports of the logical devices, in
 * SQLite, one database in the state directory. The only file that knows SQL.
 *
 * Every change is one durable transaction. A database that is newer than this
 * program, damaged or not ours is refused with a sentence that says what to do:
 * never is it replaced by a new one.
 */
#ifndef OCF_DAEMON_STORE_H
#define OCF_DAEMON_STORE_H

#include "base/uuid.h"

struct store;

struct store_device {
        struct uuid di, piid;
        uint16_t port_coap;
};

enum {
        STORE_E_NONE = 1, /* there is no such row */
        STORE_E_DAMAGED,  /* not ours, corrupt, or incomplete */
        STORE_E_NEWER,    /* written by a later version */
        STORE_E_IN_USE
}; /* another ocfd has it */

/* Opens, or makes, ocfd.db in the directory (made 0700 when absent). *ret_why, the caller's, is a sentence
 * for each outcome and errno. */
int store_open(struct store **ret, const char *directory, char **ret_why);
struct store *store_close(struct store *s);

int store_get_platform(struct store *s, struct uuid *ret_pi);   /* 0, STORE_E_NONE, STORE_E_DAMAGED, errno */
int store_put_platform(struct store *s, const struct uuid *pi); /* 0, errno */
int store_get_device(struct store *s, uint16_t index, struct store_device *ret);
int store_put_device(struct store *s, uint16_t index, const struct store_device *device);

#endif
