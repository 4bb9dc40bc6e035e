/*
 * Who holds what in a channel: channel.c keeps it and sends requests,
 * channel_answer.c takes what comes back.
 */
#ifndef OCF_DAEMON_CHANNEL_PRIVATE_H
#define OCF_DAEMON_CHANNEL_PRIVATE_H

#include "base/list.h"
#include "daemon/channel.h"
#include "dbus/channel_packet.h"

#define CHANNEL_BATCH     32
#define CHANNEL_CALLS_MAX 256            /* of one application, waiting for their turn or an answer */
#define CHANNEL_BYTES_MAX (2048u * 1024) /* of the requests among them that were not sent yet */
#define CHANNEL_OWED_MAX  8              /* answers past their time, until it is asked nothing more */
#define UID_CHANNELS_MAX  64
#define UID_PARTS_MAX     (16u * 1024 * 1024) /* of one user's answers that are not whole yet */
#define DEADLINE_TICK_MS  100u

struct channel_call {
        struct list link;   /* of the channel, oldest first */
        struct list unsent; /* likewise, until it is sent */
        uint64_t id;
        struct call *call;
        uint8_t *packet; /* until it is sent */
        size_t n_packet;
        uint8_t *value; /* parts of its answer */
        size_t n_value;
};

struct channel {
        struct list link;
        struct channels *all;
        uv_poll_t poll;
        int fd; /* -1: ended, and never again of use */
        uint32_t uid;
        int events;
        uint64_t last_id;
        struct list calls, unsent;
        size_t n_calls, n_bytes;
        size_t n_parts; /* bytes of them */
        uint64_t n_owed;
        bool is_full;  /* it does not read: wait until it does */
        bool is_freed; /* but its handle is not closed yet */
};

struct channels {
        uv_loop_t *loop;
        struct channels_config config;
        struct list list;
        uv_timer_t timer; /* runs while there are calls */
        size_t n_calls;
        uint8_t (*in)[CHANNEL_PACKET_MAX];
        uint8_t *packet; /* a request on its way out; an answer in normal form */
        uint8_t *value;  /* of an answer, in normal form */
};

/* channel.c: the call is over, and answered. */
void channel_finish(struct channel *c, struct channel_call *k, const struct ocf_response *response);
void channel_finish_with_fault(struct channel *c, struct channel_call *k, enum fault fault, const char *why);

/* channel_answer.c: false when it is no packet of this protocol. */
bool channel_take_packet(struct channel *c, struct span bytes);

#endif
