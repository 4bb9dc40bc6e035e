/*
 * The way between stations: datagrams are lost, doubled, late, overtaken, cut
 * off, too long, or for an address that nobody has any more.
 */
#ifndef OCF_TESTS_SIM_NETWORK_H
#define OCF_TESTS_SIM_NETWORK_H

#include "world.h"

void network_init(struct world *w);

/* Gives a station an address: the same index with another generation is another address. */
void network_address(struct station *s, uint8_t ret[16]);
struct station *network_find(struct world *w, const uint8_t ip[16]); /* whose it is or was; NULL */

/* Two stations as the first one's endpoint names their way. */
struct coap_peer network_peer(const struct station *from, const struct station *to);
struct coap_peer network_group(const struct station *from); /* all nodes */

/* Sends from the address that peer names as local to the remote one, if its fate is good. */
void network_send(struct world *w, struct station *from, const struct coap_peer *peer, const uint8_t *bytes,
                  size_t n);

/* A flight has landed: at whom? NULL: at nobody. It may fly on when that one sleeps. */
struct station *network_land(struct world *w, struct flight *f, bool *ret_kept);

void network_join(struct world *w); /* nobody is cut off, deaf or mute any more */
void network_heal(struct world *w); /* and nothing is lost, doubled or late */

#endif
