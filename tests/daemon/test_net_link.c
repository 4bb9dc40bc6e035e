#include "../unit.h"

#include "daemon/net_link.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdlib.h>

/* ---- a kernel by hand ---- */

#define ATTRIBUTE_HEADER sizeof(struct nlattr)

struct packet {
        uint8_t bytes[2048] __attribute__((aligned(NLMSG_ALIGNTO)));
        size_t n, begun;
};

static void begin(struct packet *p, uint16_t type, const void *header, size_t n_header) {
        struct nlmsghdr h = { .nlmsg_type = type,
                              .nlmsg_len = (uint32_t)(NLMSG_HDRLEN + NLMSG_ALIGN(n_header)) };

        p->begun = p->n;
        memcpy(p->bytes + p->n, &h, sizeof(h));
        memcpy(p->bytes + p->n + NLMSG_HDRLEN, header, n_header);
        p->n += h.nlmsg_len;
}

static void attribute(struct packet *p, uint16_t type, const void *data, size_t n) {
        struct nlattr a = { .nla_type = type, .nla_len = (uint16_t)(ATTRIBUTE_HEADER + n) };
        struct nlmsghdr h;

        memcpy(p->bytes + p->n, &a, sizeof(a));
        memcpy(p->bytes + p->n + ATTRIBUTE_HEADER, data, n);
        p->n += NLMSG_ALIGN((size_t)a.nla_len);
        memcpy(&h, p->bytes + p->begun, sizeof(h));
        h.nlmsg_len = (uint32_t)(p->n - p->begun);
        memcpy(p->bytes + p->begun, &h, sizeof(h));
}

static void put_link(struct packet *p, uint16_t type, int index, unsigned flags, const char *name,
                     const char *kind) {
        struct ifinfomsg m = { .ifi_index = index, .ifi_flags = flags };
        uint8_t nested[64] = { 0 };

        begin(p, type, &m, sizeof(m));
        attribute(p, IFLA_IFNAME, name, strlen(name) + 1);
        if (kind) {
                struct nlattr a = { .nla_type = IFLA_INFO_KIND,
                                    .nla_len = (uint16_t)(ATTRIBUTE_HEADER + strlen(kind)) };

                memcpy(nested, &a, sizeof(a));
                memcpy(nested + ATTRIBUTE_HEADER, kind, strlen(kind));
                attribute(p, IFLA_LINKINFO, nested, NLMSG_ALIGN((size_t)a.nla_len));
        }
}

static void put_address(struct packet *p, uint16_t type, uint32_t index, const char *ip, const char *peer,
                        uint32_t flags) {
        struct ifaddrmsg m = { .ifa_index = index, .ifa_flags = (uint8_t)flags };
        uint8_t bytes[16];
        size_t n;

        m.ifa_family = strchr(ip, ':') ? AF_INET6 : AF_INET;
        n = m.ifa_family == AF_INET ? 4 : 16;
        begin(p, type, &m, sizeof(m));
        assert_int_equal(inet_pton(m.ifa_family, peer ? peer : ip, bytes), 1);
        attribute(p, IFA_ADDRESS, bytes, n);
        assert_int_equal(inet_pton(m.ifa_family, ip, bytes), 1);
        if (peer || m.ifa_family == AF_INET)
                attribute(p, IFA_LOCAL, bytes, n);
        attribute(p, IFA_FLAGS, &flags, sizeof(flags));
}

static void take(struct link_table *t, struct packet *p) {
        assert_int_equal(link_table_take(t, span_of(p->bytes, p->n)), 0);
        p->n = 0;
}

#define UP (IFF_UP | IFF_RUNNING)

static bool has(const struct link_table *t, uint32_t index, const char *ip) {
        const struct link *l = link_table_find(t, index);
        uint8_t wanted[16] = { [10] = 0xff, [11] = 0xff };

        if (strchr(ip, ':'))
                (void)inet_pton(AF_INET6, ip, wanted);
        else
                (void)inet_pton(AF_INET, ip, wanted + 12);
        for (size_t i = 0; l && i < l->n_addresses; i++)
                if (memcmp(l->addresses[i].ip, wanted, 16) == 0)
                        return true;
        return false;
}

static bool took_notice(struct link_table *t) {
        bool changed = t->changed;

        t->changed = false;
        return changed;
}

struct fixture {
        struct link_table table;
        struct packet packet;
};

static int setup(void **state) {
        struct fixture *f = calloc(1, sizeof(*f));

        link_table_init(&f->table);
        put_link(&f->packet, RTM_NEWLINK, 1, UP | IFF_LOOPBACK, "lo", NULL);
        put_link(&f->packet, RTM_NEWLINK, 7, UP | IFF_MULTICAST, "eth0", "veth");
        put_address(&f->packet, RTM_NEWADDR, 1, "127.0.0.1", NULL, IFA_F_PERMANENT);
        put_address(&f->packet, RTM_NEWADDR, 7, "192.0.2.1", NULL, IFA_F_PERMANENT);
        put_address(&f->packet, RTM_NEWADDR, 7, "2001:db8::1", NULL, IFA_F_PERMANENT);
        take(&f->table, &f->packet);
        f->table.changed = false;
        *state = f;
        return 0;
}

static int teardown(void **state) {
        struct fixture *f = *state;

        link_table_deinit(&f->table);
        free(f);
        return 0;
}

/* ---- what it understands ---- */

static void test_links_and_addresses(void **state) {
        struct link_table *t = &((struct fixture *)*state)->table;
        const struct link *lo = link_table_find(t, 1), *eth0 = link_table_find(t, 7);

        assert_true(lo->loopback && lo->up && lo->running);
        assert_string_equal(lo->kind, "");
        assert_string_equal(eth0->name, "eth0");
        assert_string_equal(eth0->kind, "veth");
        assert_false(eth0->loopback);
        assert_true(has(t, 1, "127.0.0.1") && has(t, 7, "192.0.2.1") && has(t, 7, "2001:db8::1"));
        assert_null(link_table_find(t, 2));
        assert_ptr_equal(t->links.next, &lo->list); /* by index */
}

static void test_what_is_news(void **state) {
        struct fixture *f = *state;
        struct link_table *t = &f->table;

        put_link(&f->packet, RTM_NEWLINK, 7, UP | IFF_MULTICAST, "eth0", "veth");
        put_address(&f->packet, RTM_NEWADDR, 7, "192.0.2.1", NULL, IFA_F_PERMANENT);
        take(t, &f->packet);
        assert_false(took_notice(t)); /* all as it was: DHCP renews every hour */
        put_link(&f->packet, RTM_NEWLINK, 7, IFF_UP, "eth0", "veth");
        take(t, &f->packet);
        assert_true(took_notice(t));
        assert_false(link_table_find(t, 7)->running);
        put_link(&f->packet, RTM_NEWLINK, 7, IFF_UP, "lan0", "veth");
        take(t, &f->packet);
        assert_true(took_notice(t));
        assert_string_equal(link_table_find(t, 7)->name, "lan0");
        put_link(&f->packet, RTM_NEWLINK, 7, 0, "lan0", "veth");
        take(t, &f->packet);
        assert_true(took_notice(t));
        put_address(&f->packet, RTM_DELADDR, 7, "192.0.2.9", NULL, 0);
        take(t, &f->packet);
        assert_false(took_notice(t)); /* was not there */
        put_address(&f->packet, RTM_DELADDR, 7, "192.0.2.1", NULL, 0);
        take(t, &f->packet);
        assert_true(took_notice(t));
        assert_false(has(t, 7, "192.0.2.1"));
        put_link(&f->packet, RTM_DELLINK, 7, 0, "lan0", "veth");
        take(t, &f->packet);
        assert_true(took_notice(t));
        assert_null(link_table_find(t, 7));
}

static void test_the_states_of_an_ipv6_address(void **state) {
        static const struct {
                uint32_t flags;
                bool usable, deprecated;
        } rows[] = {
                { 0, true, false },
                { IFA_F_TEMPORARY, true, false },
                { IFA_F_MANAGETEMPADDR | IFA_F_NOPREFIXROUTE, true, false }, /* do not fit the old 8 bits */
                { IFA_F_TENTATIVE, false, false },
                { IFA_F_TENTATIVE | IFA_F_OPTIMISTIC, true, false },
                { IFA_F_TENTATIVE | IFA_F_DADFAILED, false, false },
                { IFA_F_DADFAILED | IFA_F_OPTIMISTIC, false, false },
                { IFA_F_DEPRECATED, true, true },
        };
        struct fixture *f = *state;

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                const struct link *l = link_table_find(&f->table, 7);
                size_t n = l->n_addresses;

                put_address(&f->packet, RTM_NEWADDR, 7, "2001:db8::5", NULL, rows[i].flags);
                take(&f->table, &f->packet);
                assert_int_equal(has(&f->table, 7, "2001:db8::5"), rows[i].usable);
                if (rows[i].usable)
                        assert_int_equal(l->addresses[n].deprecated, rows[i].deprecated);
                put_address(&f->packet, RTM_DELADDR, 7, "2001:db8::5", NULL, rows[i].flags);
                take(&f->table, &f->packet);
        }
}

/* Somebody else turns out to have it: it was ours, and is not. */
static void test_an_address_that_is_lost_to_a_duplicate(void **state) {
        struct fixture *f = *state;

        put_address(&f->packet, RTM_NEWADDR, 7, "2001:db8::1", NULL, IFA_F_TENTATIVE | IFA_F_DADFAILED);
        take(&f->table, &f->packet);
        assert_false(has(&f->table, 7, "2001:db8::1"));
        assert_true(took_notice(&f->table));
}

static void test_deprecation_is_news(void **state) {
        struct fixture *f = *state;

        put_address(&f->packet, RTM_NEWADDR, 7, "2001:db8::1", NULL, IFA_F_DEPRECATED);
        take(&f->table, &f->packet);
        assert_true(took_notice(&f->table));
        put_address(&f->packet, RTM_NEWADDR, 7, "2001:db8::1", NULL, 0);
        take(&f->table, &f->packet);
        assert_true(took_notice(&f->table));
}

/* IFA_ADDRESS is the other end there. */
static void test_point_to_point(void **state) {
        struct fixture *f = *state;

        put_address(&f->packet, RTM_NEWADDR, 7, "10.0.0.1", "10.0.0.2", 0);
        put_address(&f->packet, RTM_NEWADDR, 7, "fd00::1", "fd00::2", 0);
        take(&f->table, &f->packet);
        assert_true(has(&f->table, 7, "10.0.0.1") && has(&f->table, 7, "fd00::1"));
        assert_false(has(&f->table, 7, "10.0.0.2") || has(&f->table, 7, "fd00::2"));
}

/* The kernel withdraws addresses and links in an order of its own. */
static void test_an_address_of_no_link(void **state) {
        struct fixture *f = *state;

        put_address(&f->packet, RTM_NEWADDR, 99, "10.0.0.1", NULL, 0);
        put_address(&f->packet, RTM_DELADDR, 98, "10.0.0.1", NULL, 0);
        put_link(&f->packet, RTM_DELLINK, 97, 0, "gone", NULL);
        take(&f->table, &f->packet);
        assert_null(link_table_find(&f->table, 99));
        assert_null(link_table_find(&f->table, 98));
        assert_false(took_notice(&f->table));
}

/* A port that leaves its bridge is told as RTM_DELLINK of family AF_BRIDGE. */
static void test_a_port_leaves_its_bridge(void **state) {
        struct fixture *f = *state;
        struct ifinfomsg m = { .ifi_family = AF_BRIDGE, .ifi_index = 7 };

        begin(&f->packet, RTM_DELLINK, &m, sizeof(m));
        take(&f->table, &f->packet);
        assert_non_null(link_table_find(&f->table, 7));
}

static void test_an_index_that_comes_back_has_another_number(void **state) {
        struct fixture *f = *state;
        uint64_t number = link_table_find(&f->table, 7)->number;

        put_link(&f->packet, RTM_DELLINK, 7, 0, "eth0", NULL);
        put_link(&f->packet, RTM_NEWLINK, 7, UP, "eth0", NULL);
        take(&f->table, &f->packet);
        assert_int_not_equal(link_table_find(&f->table, 7)->number, number);
        assert_int_equal(link_table_find(&f->table, 7)->n_addresses, 0);
}

static void test_what_a_new_dump_does_not_name_is_gone(void **state) {
        struct fixture *f = *state;

        put_link(&f->packet, RTM_NEWLINK, 9, UP, "eth9", NULL);
        take(&f->table, &f->packet);
        link_table_sweep_begin(&f->table);
        put_link(&f->packet, RTM_NEWLINK, 1, UP | IFF_LOOPBACK, "lo", NULL);
        put_link(&f->packet, RTM_NEWLINK, 7, UP, "eth0", "veth");
        put_address(&f->packet, RTM_NEWADDR, 7, "192.0.2.1", NULL, 0);
        take(&f->table, &f->packet);
        assert_true(has(&f->table, 7, "2001:db8::1")); /* until the dump has ended */
        f->table.changed = false;
        link_table_sweep_end(&f->table);
        assert_true(took_notice(&f->table));
        assert_true(has(&f->table, 7, "192.0.2.1"));
        assert_false(has(&f->table, 7, "2001:db8::1") || has(&f->table, 1, "127.0.0.1"));
        assert_null(link_table_find(&f->table, 9));
        assert_non_null(link_table_find(&f->table, 1));
}

static void test_a_dump_that_says_the_same_is_no_news(void **state) {
        struct fixture *f = *state;

        link_table_sweep_begin(&f->table);
        put_link(&f->packet, RTM_NEWLINK, 1, UP | IFF_LOOPBACK, "lo", NULL);
        put_link(&f->packet, RTM_NEWLINK, 7, UP, "eth0", "veth");
        put_address(&f->packet, RTM_NEWADDR, 1, "127.0.0.1", NULL, 0);
        put_address(&f->packet, RTM_NEWADDR, 7, "2001:db8::1", NULL, 0);
        put_address(&f->packet, RTM_NEWADDR, 7, "192.0.2.1", NULL, 0);
        take(&f->table, &f->packet);
        link_table_sweep_end(&f->table);
        assert_false(took_notice(&f->table));
}

/* ---- no memory ---- */

static int n_allocations = -1; /* how many still succeed; -1: all */

void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
void *__wrap_realloc(void *p, size_t size);

static bool may_allocate(void) {
        return n_allocations < 0 || n_allocations-- > 0;
}

void *__wrap_calloc(size_t n, size_t size) {
        return may_allocate() ? __real_calloc(n, size) : NULL;
}

void *__wrap_realloc(void *p, size_t size) {
        return may_allocate() ? __real_realloc(p, size) : NULL;
}

static void test_no_memory(void **state) {
        struct fixture *f = *state;
        struct packet gone = { 0 };

        put_link(&f->packet, RTM_NEWLINK, 8, UP, "eth1", NULL);
        put_address(&f->packet, RTM_NEWADDR, 8, "192.0.2.8", NULL, 0);
        for (int i = 0; i < 2; i++) { /* for the link, for its address */
                n_allocations = i;
                assert_int_equal(link_table_take(&f->table, span_of(f->packet.bytes, f->packet.n)), -ENOMEM);
                n_allocations = -1;
                assert_int_equal(link_table_find(&f->table, 8) != NULL, i);
                assert_false(has(&f->table, 8, "192.0.2.8"));
                assert_true(has(&f->table, 7, "192.0.2.1"));
                put_link(&gone, RTM_DELLINK, 8, 0, "eth1", NULL);
                take(&f->table, &gone);
        }
        take(&f->table, &f->packet);
        assert_true(has(&f->table, 8, "192.0.2.8"));
}

/* ---- what no kernel says ---- */

static void test_names_without_an_end(void **state) {
        struct fixture *f = *state;
        struct ifinfomsg m = { .ifi_index = 8 };
        char name[40];

        memset(name, 'x', sizeof(name));
        begin(&f->packet, RTM_NEWLINK, &m, sizeof(m));
        attribute(&f->packet, IFLA_IFNAME, name, sizeof(name));
        take(&f->table, &f->packet);
        assert_int_equal(strlen(link_table_find(&f->table, 8)->name), 15);
}

static void test_addresses_of_a_wrong_size(void **state) {
        struct fixture *f = *state;
        struct ifaddrmsg m = { .ifa_index = 7, .ifa_family = AF_INET6 };
        size_t n = link_table_find(&f->table, 7)->n_addresses;

        for (size_t i = 0; i < 16; i++) {
                begin(&f->packet, RTM_NEWADDR, &m, sizeof(m));
                attribute(&f->packet, IFA_ADDRESS, "0123456789abcdef", i);
        }
        m.ifa_family = AF_UNIX;
        begin(&f->packet, RTM_NEWADDR, &m, sizeof(m));
        take(&f->table, &f->packet);
        assert_int_equal(link_table_find(&f->table, 7)->n_addresses, n);
}

/* Cut anywhere, and with any byte wrong: nothing but the sanitizers watches what it makes of it. */
static void test_cut_and_broken_messages(void **state) {
        struct fixture *f = *state;
        struct packet whole = { 0 };

        put_link(&whole, RTM_NEWLINK, 7, UP, "eth0", "veth");
        put_address(&whole, RTM_NEWADDR, 7, "2001:db8::7", NULL, 0);
        put_link(&whole, RTM_NEWLINK, 8, UP, "eth1", "bridge");
        for (size_t n = 0; n <= whole.n; n++) {
                uint8_t *copy = malloc(n ? n : 1); /* exactly so long: one byte further is an error */

                memcpy(copy, whole.bytes, n);
                assert_int_equal(link_table_take(&f->table, span_of(copy, n)), 0);
                free(copy);
        }
        srand(1);
        for (unsigned i = 0; i < 20000; i++) {
                uint8_t *copy = malloc(whole.n);

                memcpy(copy, whole.bytes, whole.n);
                for (int j = rand() % 4; j >= 0; j--)
                        copy[(size_t)rand() % whole.n] = (uint8_t)rand();
                assert_int_equal(link_table_take(&f->table, span_of(copy, whole.n)), 0);
                free(copy);
        }
        LIST_FOR_EACH(i, &f->table.links)
        assert_true(strlen(LIST_ENTRY(i, struct link, list)->name) < 16);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        const struct CMUnitTest tests[] = {
                TEST(test_links_and_addresses),
                TEST(test_what_is_news),
                TEST(test_the_states_of_an_ipv6_address),
                TEST(test_an_address_that_is_lost_to_a_duplicate),
                TEST(test_deprecation_is_news),
                TEST(test_point_to_point),
                TEST(test_an_address_of_no_link),
                TEST(test_a_port_leaves_its_bridge),
                TEST(test_an_index_that_comes_back_has_another_number),
                TEST(test_what_a_new_dump_does_not_name_is_gone),
                TEST(test_a_dump_that_says_the_same_is_no_news),
                TEST(test_no_memory),
                TEST(test_names_without_an_end),
                TEST(test_addresses_of_a_wrong_size),
                TEST(test_cut_and_broken_messages),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
