/*
 * The daemon: everything made, wired and taken down again.
 *
 * All that has a life of its own hangs from struct daemon; nothing is global.
 * Each source of events (sockets, bus, timer) only notes what happened; the
 * rest is done in one place, daemon_settle(), before the loop sleeps.
 */
#ifndef OCF_DAEMON_DAEMON_H
#define OCF_DAEMON_DAEMON_H

#include "daemon/config.h"

struct daemon;

enum {
        DAEMON_E_REFUSED =
                1,       /* told on the way: the store, apps.d or the configuration does not allow a start */
        DAEMON_E_RESTART /* it stopped cleanly, to be made and run again */
};

/* Makes it; when it returns 0 ports are open and identities are stored. The configuration stays the caller's.
 */
int daemon_new(struct daemon **ret, const struct config *config);
struct daemon *daemon_free(struct daemon *d);

/* Serves until a signal or a failure ends it. Return: 0 after a clean stop; DAEMON_E_RESTART; negative errno.
 */
int daemon_run(struct daemon *d);

#endif
