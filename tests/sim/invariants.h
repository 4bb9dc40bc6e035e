/*
 * What must always hold, whatever the network does:
 *
 *   - a request with an effect reaches its handler at most once
 *   - every request ends, once: with an answer or a failure
 *   - an answer, a handler and a notification have to do with the request whose
 *     key they carry, though peers use equal message ids and tokens
 *   - a body arrives whole and of one version, or not at all
 *   - a notification that counts is never older than one before it
 *   - no table grows beyond its limit, and nothing outlives its lifetime
 *   - when all is quiet every table is empty and nobody waits for anything
 */
#ifndef OCF_TESTS_SIM_INVARIANTS_H
#define OCF_TESTS_SIM_INVARIANTS_H

#include "world.h"

/* Something does not hold; the first of these is the run's outcome. */
void invariant_broken(struct world *w, const char *what, const char *format, ...) OCF_PRINTF(3, 4);

/* A request with an effect reached its handler. */
void invariant_handled(struct world *w, uint32_t key, const struct node *server, const uint8_t client_ip[16]);

void invariants_look(struct world *w);   /* at any time */
void invariants_newest(struct world *w); /* long after the last change, over a good network */
void invariants_end(struct world *w);    /* when all should be quiet */

#endif
