/*
 * Which network interfaces we use: those the administrator names, else all
 * usable ones but containers' and tunnels'. A pure function.
 */
#ifndef OCF_DAEMON_NET_POLICY_H
#define OCF_DAEMON_NET_POLICY_H

#include "base/util.h"

struct net_policy_question {
        const char *name; /* eth0 */
        const char *kind; /* IFLA_INFO_KIND: veth, bridge, tun, wireguard ...; "" for hardware */
        bool up, running, loopback;
        bool has_address;
        const char *const *allow; /* globs of Interfaces= */
        size_t n_allow;
        const char *const *deny; /* globs of DenyInterfaces= */
        size_t n_deny;
};

/*
 * Return: "" when it is used, else why not. DenyInterfaces= wins over all;
 * Interfaces= over the habits of ours; loopback is used when it is named.
 */
const char *net_policy_decide(const struct net_policy_question *q);

#endif
