/*
 * What the bus asks about the security of our devices (struct bus_security):
 * from daemon/secure.h and the access decision, as plain texts for people.
 */
#ifndef OCF_DAEMON_CONTROL_SECURITY_H
#define OCF_DAEMON_CONTROL_SECURITY_H

#include "daemon/daemon_private.h"

/* Looks up AdminGroup= (now, since it may ask a server). */
void control_fill_security(struct daemon *d);

/* control_store.c */
void control_store(void *context, enum bus_store_work work, int fd, bus_store_done *done, void *done_context);

/* control_next_step.c: what to do next with a device. transfers: how it may be owned now, bits of enum
 * svr_transfer. */
const char *control_next_step(const struct svr *svr, uint8_t transfers, bool pin_is_shown);

/* control_client.c */
void control_fill_client(struct daemon *d);

#endif
