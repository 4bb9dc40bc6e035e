/*
 * The apps behind a node: handlers that answer at once, late or never, and two
 * observed resources, one small and one in blocks.
 */
#ifndef OCF_TESTS_SIM_SERVER_H
#define OCF_TESTS_SIM_SERVER_H

#include "world.h"

const char *server_path(enum ask_kind kind);
uint8_t server_method(enum ask_kind kind);
bool server_has_effect(enum ask_kind kind);

bool server_key(const struct world *w, struct span query, uint32_t *ret); /* "k=KEY"; false: none of ours */

void server_event(struct world *w, struct node *n, const struct coap_event *e);
void server_answer(struct world *w, struct node *n, void *owed); /* frees it */
void server_change(struct world *w, struct node *n);
void server_end(struct world *w, struct node *n); /* its observed resources go */

#endif
