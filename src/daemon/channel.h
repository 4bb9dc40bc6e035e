/*
 * Channels: the fast way to an application's handlers (dbus/channel_packet.h).
 *
 * An application asks for one over the bus; from then on its requests go through
 * a socket pair, many with one system call, and their answers come back the same
 * way. Nothing that it writes, or does not read, can hurt anybody else: what
 * waits for it is bounded, each call ends at its deadline, and nonsense ends the
 * channel, whereupon its requests go over the bus again.
 */
#ifndef OCF_DAEMON_CHANNEL_H
#define OCF_DAEMON_CHANNEL_H

#include "model/call.h"
#include "model/model.h"

#include <uv.h>

struct channels;
struct channel;

struct channels_config {
        uint64_t (*now)(void *context); /* ms, as the deadlines of calls have it */
        void *context;
};

int channels_new(struct channels **ret, uv_loop_t *loop, const struct channels_config *config);
struct channels *channels_free(struct channels *all); /* with all of them; calls under way are answered */

enum { CHANNEL_E_TOO_MANY = 1 /* of this user */ };

/* Return: 0, *ret and the application's end, which is the caller's to close; CHANNEL_E_TOO_MANY; negative
 * errno. */
int channel_new(struct channel **ret, struct channels *all, uint32_t uid, int *ret_fd);

/* Calls under way are answered: the application is gone. */
struct channel *channel_free(struct channel *c);

/* Takes the call, and answers it later. False: not through here, the bus is to have it. */
bool channel_request(struct channel *c, const struct resource *r, struct call *call);

/* Before the loop sleeps: sends what was put together since. */
void channels_flush(struct channels *all);

#endif
