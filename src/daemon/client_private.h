/*
 * What the files of the client share.
 */
#ifndef OCF_DAEMON_CLIENT_PRIVATE_H
#define OCF_DAEMON_CLIENT_PRIVATE_H

#include "daemon/client.h"
#include "daemon/clock.h"
#include "daemon/daemon_private.h"

#define CLIENT_WAITERS_MAX 64u

/* Somebody who waits for what a round hears. */
struct waiter {
        struct list link;
        bus_heard *done;
        void *context;
        uint64_t since_ms, until_ms;
};

/* A round of discovery. */
struct round {
        bool is_running;
        uint64_t began_ms, until_ms, next_ms;
        unsigned n_asked; /* times that the groups were asked */
        struct list asks; /* of struct group_ask: what is under way */
};

struct client {
        struct daemon *daemon;
        struct remotes *remotes;
        struct outgoing *outgoing;
        uint8_t *scratch; /* CLIENT_SCRATCH bytes, for representations in normal form */
        struct round round;
        struct list waiters, follows, queued; /* follows: under way; queued: to come */
        size_t n_waiters, n_follows;
        char **addresses;
        size_t n_addresses;
        bool memory_is_stale;
        uint64_t looked_ms;                /* a round began by itself */
        struct list observations, pending; /* pending: requests of apps */
        size_t n_observations;
};

#define CLIENT_SCRATCH (1024u * 1024)

static inline uint64_t client_now(const struct client *c) {
        return clock_now_ms();
}

/* client_memory.c */
void client_memory_load(struct client *c);
void client_memory_save(struct client *c);
void client_look(struct client *c); /* a round, unless there was one a moment ago */

/* client_discover.c */
void client_discover_wake(struct client *c, uint64_t now_ms);
uint64_t client_discover_deadline(const struct client *c);
void client_discover_free(struct client *c);

/* client_observe.c */
void client_observe_wake(struct client *c, uint64_t now_ms);
uint64_t client_observe_deadline(const struct client *c);
void client_observe_free(struct client *c);

/* client_roles.c: outgoing_config.opened */
void client_show_roles(void *context, struct out_channel *channel, const struct session *session);

/* client_request.c */
void client_request_free(struct client *c);

/* The representation in normal form, in scratch; false: it is none. */
bool client_normalise(struct client *c, const struct coap_reply *reply, struct span *ret);

/* A question that every device answers, as this stack asks it. */
struct coap_ask client_get(const char *path, const char *query);

#endif
