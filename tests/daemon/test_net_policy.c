#include "../unit.h"

#include "daemon/net_policy.h"

#include <stdio.h>

static const char used[] = "";
static const char loopback[] = "it is the loopback; name it in Interfaces= to use it";
static const char theirs[] = "it belongs to containers or is a tunnel; name it in Interfaces= to use it";
static const char unnamed[] = "Interfaces= does not name it";
static const char denied[] = "DenyInterfaces= names it";

struct row {
        const char *name, *kind;
        const char *allow[3], *deny[3];
        const char *verdict;
};

static const struct row rows[] = {
        /* what a house has */
        { "eth0", "", .verdict = used },
        { "enp0s31f6", "", .verdict = used },
        { "wlan0", "", .verdict = used },
        { "wlx00c0caa1b2c3", "", .verdict = used },
        { "eth0.5", "vlan", .verdict = used },
        { "bond0", "bond", .verdict = used },
        { "br0", "bridge", .verdict = used },
        { "br-lan", "bridge", .verdict = used },   /* OpenWrt: the house itself */
        { "br-guest", "bridge", .verdict = used }, /* named by a person */
        { "wpan0", "", .verdict = used },
        { "lowpan0", "lowpan", .verdict = used },
        { "lo", "", .verdict = loopback },
        /* what nobody means by "all" */
        { "docker0", "bridge", .verdict = theirs },
        { "br-3f2504e04f89", "bridge", .verdict = theirs },
        { "veth1a2b3c4", "veth", .verdict = theirs },
        { "eth0", "veth", .verdict = theirs }, /* the name says little, the kind all */
        { "eth0", "netkit", .verdict = theirs },
        { "virbr0", "bridge", .verdict = theirs },
        { "vnet3", "tun", .verdict = theirs },
        { "podman1", "bridge", .verdict = theirs },
        { "lxcbr0", "bridge", .verdict = theirs },
        { "lxdbr0", "bridge", .verdict = theirs },
        { "incusbr0", "bridge", .verdict = theirs },
        { "cni0", "bridge", .verdict = theirs },
        { "flannel.1", "vxlan", .verdict = theirs },
        { "cali0123456789a", "veth", .verdict = theirs },
        { "cilium_host", "veth", .verdict = theirs },
        { "kube-ipvs0", "dummy", .verdict = theirs },
        { "tun0", "tun", .verdict = theirs },
        { "tap0", "tun", .verdict = theirs },
        { "work", "tun", .verdict = theirs },
        { "wg0", "wireguard", .verdict = theirs },
        { "home", "wireguard", .verdict = theirs },
        { "ppp0", "ppp", .verdict = theirs },
        { "tailscale0", "tun", .verdict = theirs },
        { "ztabcdef01", "tun", .verdict = theirs },
        { "vmnet8", "", .verdict = theirs },
        { "gre1", "gre", .verdict = theirs },
        { "he-ipv6", "sit", .verdict = theirs },
        /* Interfaces= is stronger than habit, and leaves the rest alone */
        { "eth0", "veth", .allow = { "eth0" }, .verdict = used },
        { "docker0", "bridge", .allow = { "docker*" }, .verdict = used },
        { "wg0", "wireguard", .allow = { "eth*", "wg?" }, .verdict = used },
        { "lo", "", .allow = { "lo" }, .verdict = used },
        { "lo", "", .allow = { "*" }, .verdict = used },
        { "eth1", "", .allow = { "eth0" }, .verdict = unnamed },
        { "lo", "", .allow = { "eth0" }, .verdict = unnamed },
        { "eth0", "", .allow = { "ETH0" }, .verdict = unnamed },
        { "eth10", "", .allow = { "eth[0-9]" }, .verdict = unnamed },
        { "eth0", "", .allow = { "[" },
          .verdict = unnamed }, /* a glob that never ends matches itself alone */
        { "eth0", "", .allow = { "" }, .verdict = unnamed },
        /* DenyInterfaces= is stronger than all */
        { "eth0", "", .deny = { "eth*" }, .verdict = denied },
        { "eth0", "", .allow = { "eth0" }, .deny = { "eth0" }, .verdict = denied },
        { "eth0", "", .allow = { "*" }, .deny = { "wlan*", "eth0" }, .verdict = denied },
        { "eth1", "", .allow = { "*" }, .deny = { "wlan*", "eth0" }, .verdict = used },
        { "eth1", "", .deny = { "eth0" }, .verdict = used },
        { "docker0", "bridge", .deny = { "eth0" }, .verdict = theirs },
        { "lo", "", .deny = { "lo" }, .verdict = denied },
};

static size_t count(const char *const globs[3]) {
        size_t n = 0;

        while (n < 3 && globs[n])
                n++;
        return n;
}

static struct net_policy_question ask(const struct row *row) {
        return (struct net_policy_question){
                .name = row->name,
                .kind = row->kind,
                .up = true,
                .running = true,
                .has_address = true,
                .loopback = strcmp(row->name, "lo") == 0,
                .allow = row->allow,
                .n_allow = count(row->allow),
                .deny = row->deny,
                .n_deny = count(row->deny),
        };
}

static void test_by_name_and_kind(void **state) {
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct net_policy_question q = ask(&rows[i]);

                if (strcmp(net_policy_decide(&q), rows[i].verdict) != 0)
                        fail_msg("row %zu, %s: \"%s\"", i, rows[i].name, net_policy_decide(&q));
        }
}

static void test_by_state(void **state) {
        struct net_policy_question q = ask(&rows[0]);

        q.has_address = false;
        assert_string_equal(net_policy_decide(&q), "it has no address yet");
        q.running = false;
        assert_string_equal(net_policy_decide(&q), "it has no carrier");
        q.up = false;
        assert_string_equal(net_policy_decide(&q), "it is down");
}

/* A policy is told before a state: what is down and not wanted is not wanted. */
static void test_which_reason_comes_first(void **state) {
        static const struct row row = { "docker0", "bridge", .verdict = theirs };
        struct net_policy_question q = ask(&row);

        q.up = q.running = q.has_address = false;
        assert_string_equal(net_policy_decide(&q), theirs);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_by_name_and_kind),
                cmocka_unit_test(test_by_state),
                cmocka_unit_test(test_which_reason_comes_first),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
