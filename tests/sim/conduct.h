/*
 * How a node behaves towards others, seen from the wire: what a peer that is
 * built differently from ours relies on.
 *
 *   - a message id is not used again for something else within its lifetime
 *     (RFC 7252 4.4), since most peers recognise repetitions by it alone
 *   - a CON goes out five times at most, each time after at least twice as long
 *     (RFC 7252 4.2)
 */
#ifndef OCF_TESTS_SIM_CONDUCT_H
#define OCF_TESTS_SIM_CONDUCT_H

#include "world.h"

void conduct_sent(struct world *w, const struct station *from, const struct coap_peer *peer,
                  const uint8_t *bytes, size_t n);

#endif
