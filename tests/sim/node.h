/*
 * A real endpoint: its memory, its clock, and the way between it and the
 * network. It is both server and client, as an OCF device is.
 */
#ifndef OCF_TESTS_SIM_NODE_H
#define OCF_TESTS_SIM_NODE_H

#include "world.h"

void node_init(struct world *w, struct node *n, uint32_t index);
void node_deinit(struct node *n);

void node_receive(struct world *w, struct node *n, const struct flight *f);

/* Pops what happened and sends what is to be sent, until it rests; after whatever was done to it. */
void node_serve(struct world *w, struct node *n);
void node_wake(struct world *w, struct node *n); /* a time that was planned has come */

void node_reboot(struct world *w, struct node *n); /* it forgets everything but what its resources show */
void node_vanish(struct world *w, struct node *n); /* its address is gone; it gets another one */
void node_rebind(struct world *w, struct node *n); /* the same, but it does not know (NAT) */
void node_sleep(struct world *w, struct node *n, uint32_t ms);

#endif
