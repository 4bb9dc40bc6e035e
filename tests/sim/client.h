/*
 * What a node asks of others, and what it makes of the answers.
 */
#ifndef OCF_TESTS_SIM_CLIENT_H
#define OCF_TESTS_SIM_CLIENT_H

#include "world.h"

void client_init(struct world *w, struct node *n); /* draws how much it will ask, and plans the first */
void client_begin(struct world *w, struct node *n);
void client_multicast(struct world *w, struct node *n);
void client_cancel(struct world *w, uint32_t key);
void client_event(struct world *w, struct node *n, const struct coap_event *e);
void clients_leave(struct world *w); /* all observations are taken back */

#endif
