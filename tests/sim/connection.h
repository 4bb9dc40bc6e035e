/*
 * Connections between nodes (RFC 8323 below its messages): bytes arrive in
 * order and once, but in pieces that have nothing to do with messages, late,
 * and not at all when the connection breaks. Each end learns of that in its
 * own time.
 */
#ifndef OCF_TESTS_SIM_CONNECTION_H
#define OCF_TESTS_SIM_CONNECTION_H

#include "world.h"

/* The peer at the other end of a connection from node to server: one that stands, or a new one. False: the
 * node has no room for it. */
bool connection_to(struct world *w, struct node *n, uint32_t server, struct coap_peer *ret);

void connection_send(struct world *w, struct node *n, const struct coap_peer *peer, const uint8_t *bytes,
                     size_t n_bytes);
void connection_happens(struct world *w, uint32_t index, uint32_t what);

/* Does this node's endpoint still have it? */
bool connection_stands(const struct world *w, uint32_t channel, uint32_t node);

/* Its endpoint wants this connection closed. */
void connection_close(struct world *w, struct node *n, const struct coap_peer *peer);

void connections_break(struct world *w, struct node *n);   /* all of a node, without a word */
void connections_forget(struct world *w, struct node *n);  /* and its endpoint is not there to hear of it */
void connections_release(struct world *w, struct node *n); /* in order */
void connections_deinit(struct world *w);

#endif
