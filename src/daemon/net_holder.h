/*
 * Who has a UDP port that we want: the user by sock_diag, the process where
 * /proc lets us look.
 */
#ifndef OCF_DAEMON_NET_HOLDER_H
#define OCF_DAEMON_NET_HOLDER_H

#include "base/util.h"

/* "user avahi (pid 811, avahi-daemon)", "user 1000", or "somebody": never fails. Returns buf. */
const char *net_holder_describe(uint16_t udp_port, char *buf, size_t n_buf);

#endif
