/*
 * Who has a UDP port that we want: the user by sock_diag, the process where
 * /proc lets us look.
 */
#ifndef OCF_DAEMON_NET_HOLDER_H
#define OCF_DAEMON_NET_HOLDER_H

#include "base/util.h"

/*
 * "user avahi (pid 811, avahi-daemon)", "user 1000", or "somebody": never
 * fails. family: AF_INET or AF_INET6, in which the port could not be had; the
 * other one is looked at next, since a socket may be of both. Returns buf.
 */
const char *net_holder_describe(int family, uint16_t udp_port, char *buf, size_t n_buf);

#endif
