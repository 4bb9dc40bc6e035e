/*
 * A thread for the steps of handshakes that take long (sessions_work_begin()):
 * those of a key that is not ours, but a TPM's. One at a time, since it is one
 * TPM; the loop goes on meanwhile.
 */
#ifndef OCF_DAEMON_SECURE_WORK_H
#define OCF_DAEMON_SECURE_WORK_H

#include "security/sessions.h"

#include <uv.h>

struct secure_work;

struct secure_work_config {
        uv_loop_t *loop;
        struct sessions *sessions;
        void *context;
        uint64_t (*now)(void *context);
        void (*done)(void *context); /* the sessions have news of a step */
};

/* 0; -ENOMEM. */
int secure_work_new(struct secure_work **ret, const struct secure_work_config *config);

/* Not while a step is under way: secure_work_stop(). NULL stays NULL. */
struct secure_work *secure_work_free(struct secure_work *w);

void secure_work_go(struct secure_work *w); /* the sessions may have a step to be run */

/* No further step; the one that is under way is waited for, so long. Return: whether none is (any more). */
bool secure_work_stop(struct secure_work *w, uint64_t max_ms);

#endif
