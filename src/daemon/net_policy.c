#include "daemon/net_policy.h"

#include <fnmatch.h>
#include <string.h>

static bool matches(const char *name, const char *const *globs, size_t n) {
        for (size_t i = 0; i < n; i++)
                if (fnmatch(globs[i], name, 0) == 0)
                        return true;
        return false;
}

/* br- and twelve digits. Any other br-* may well be the network of the house, as OpenWrt's br-lan is. */
#define HEX4          "[0-9a-f][0-9a-f][0-9a-f][0-9a-f]"
#define DOCKER_BRIDGE "br-" HEX4 HEX4 HEX4

/* Containers, virtual machines and tunnels: nobody means them by "all" (users.md, pain 8). */
static bool is_left_alone(const struct net_policy_question *q) {
        static const char *const names[] = {
                "docker*", DOCKER_BRIDGE, "podman*",    "veth*",    "virbr*",   "vnet*",
                "vmnet*",  "lxcbr*",      "lxdbr*",     "cni*",     "incusbr*", "flannel*",
                "cali*",   "cilium*",     "kube-*",     "nerdctl*", "tun*",     "tap*",
                "wg*",     "ppp*",        "tailscale*", "zt*",
        };
        static const char *const kinds[] = {
                "veth",   "netkit", "tun",   "wireguard", "ppp",   "gre",  "gretap",
                "ip6gre", "sit",    "ipip",  "ip6tnl",    "vti",   "vti6", "xfrm",
                "vxlan",  "geneve", "dummy", "ifb",       "nlmon",
        };

        for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
                if (strcmp(q->kind, kinds[i]) == 0)
                        return true;
        return matches(q->name, names, ARRAY_SIZE(names));
}

const char *net_policy_decide(const struct net_policy_question *q) {
        if (matches(q->name, q->deny, q->n_deny))
                return "DenyInterfaces= names it";
        if (q->n_allow && !matches(q->name, q->allow, q->n_allow))
                return "Interfaces= does not name it";
        if (!q->n_allow && q->loopback)
                return "it is the loopback; name it in Interfaces= to use it";
        if (!q->n_allow && is_left_alone(q))
                return "it belongs to containers or is a tunnel; name it in Interfaces= to use it";
        if (!q->up)
                return "it is down";
        if (!q->running)
                return "it has no carrier";
        if (!q->has_address)
                return "it has no address yet";
        return "";
}
