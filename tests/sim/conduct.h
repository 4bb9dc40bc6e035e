/*
 * How a node behaves towards others, seen from the wire: what a peer that is
 * built differently from ours relies on.
 *
 *   - a message id is not used again for something else within its lifetime
 *     (RFC 7252 4.4), since most peers recognise repetitions by it alone
 *   - a CON goes out five times at most, each time after at least twice as long
 *     (RFC 7252 4.2)
 *   - no more than NSTART requests wait for a sign of life of one peer
 *     (RFC 7252 4.7)
 */
#ifndef OCF_TESTS_SIM_CONDUCT_H
#define OCF_TESTS_SIM_CONDUCT_H

#include "world.h"

void conduct_sent(struct world *w, const struct station *from, const struct coap_peer *peer,
                  const uint8_t *bytes, size_t n);

void conduct_heard(struct world *w, const struct node *n, const struct flight *f); /* what came to a node */

#endif
