#include "daemon/net.h"
#include "base/memory.h"
#include "daemon/net_policy.h"
#include "daemon/net_private.h"
#include "daemon/net_tcp.h"
#include "model/endpoint_text.h"

#include <errno.h>
#include <string.h>

#define DEBOUNCE_MS    200 /* interfaces flap: look again when they have calmed down */
#define GROUP_RETRY_MS 30000

/* ---- what is used ---- */

static const char *decide(const struct net *n, const struct link *l) {
        return net_policy_decide(&(struct net_policy_question){
                .name = l->name,
                .kind = l->kind,
                .up = l->up,
                .running = l->running,
                .loopback = l->loopback,
                .has_address = l->n_addresses,
                .allow = n->config.interfaces,
                .n_allow = n->config.n_interfaces,
                .deny = n->config.deny,
                .n_deny = n->config.n_deny,
        });
}

/* Asked for with every datagram, so decided beforehand. */
static void decide_all(struct net *n) {
        LIST_FOR_EACH(i, &n->table.links) {
                struct link *l = LIST_ENTRY(i, struct link, list);

                l->used = !*decide(n, l);
        }
}

static void on_retry(uv_timer_t *timer) {
        struct net *n = timer->data;

        if (n->groups_error)
                net_follow_groups(n);
}

/* ---- interfaces and endpoints ---- */

static void free_interfaces(struct net_interface *all, size_t n) {
        for (size_t i = 0; i < n; i++) {
                for (size_t j = 0; j < all[i].n_addresses; j++)
                        ocf_free((void *)all[i].addresses[j]);
                ocf_free((void *)all[i].addresses);
                ocf_free((void *)all[i].name);
        }
        ocf_free(all);
}

static int describe(const struct net *n, const struct link *l, struct net_interface *ret) {
        const char **addresses = ocf_allocate(l->n_addresses, sizeof(*addresses));
        char text[ENDPOINT_TEXT_MAX];

        *ret = (struct net_interface){ .name = ocf_duplicate_string(l->name),
                                       .index = l->index,
                                       .addresses = addresses };
        if (!addresses || !ret->name)
                return -ENOMEM;
        ret->reason = decide(n, l);
        ret->used = !*ret->reason;
        for (size_t i = 0; i < l->n_addresses; i++) {
                addresses[i] = ocf_duplicate_string(ip_format(l->addresses[i].ip, text));
                if (!addresses[i])
                        return -ENOMEM;
                ret->n_addresses++;
        }
        return 0;
}

static int rebuild_interfaces(struct net *n) {
        struct net_interface *all;
        size_t n_links = 0, i_link = 0;
        int r = 0;

        LIST_FOR_EACH(i, &n->table.links)
        n_links++;
        all = ocf_allocate(n_links, sizeof(*all));
        if (!all)
                return -ENOMEM;
        LIST_FOR_EACH(i, &n->table.links) {
                r = describe(n, LIST_ENTRY(i, struct link, list), &all[i_link++]);
                if (r < 0)
                        break;
        }
        if (r < 0) {
                free_interfaces(all, i_link);
                return r;
        }
        free_interfaces(n->interfaces, n->n_interfaces);
        n->interfaces = all;
        n->n_interfaces = n_links;
        return 0;
}

static bool holds(const struct net *n, const struct held_address *a) {
        LIST_FOR_EACH(i, &n->table.links) {
                const struct link *l = LIST_ENTRY(i, struct link, list);

                if (ip_is_link_local(a->ip) && l->index != a->interface)
                        continue; /* means something else there */
                for (size_t j = 0; j < l->n_addresses; j++)
                        if (memcmp(l->addresses[j].ip, a->ip, 16) == 0)
                                return true;
        }
        return false;
}

static void lost(struct net *n, const uint8_t *ip, uint32_t interface) {
        n->events.lost(n->events.context, ip, interface);
        if (n->tcp)
                net_tcp_lost(n->tcp, ip, interface);
}

/*
 * Whoever used an address that is gone has lost us. One that is merely not
 * announced (no carrier, deprecated) is still ours: a plugged cable continues
 * what was under way.
 */
static void tell_lost(struct net *n) {
        for (size_t i = 0; i < n->n_held; i++) {
                const struct held_address *a = &n->held[i];

                if (!holds(n, a))
                        lost(n, a->ip, a->interface);
                if (!link_table_find(&n->table, a->interface) &&
                    (i + 1 == n->n_held || n->held[i + 1].interface != a->interface))
                        lost(n, NULL, a->interface);
        }
}

static int rebuild_held(struct net *n) {
        struct held_address *all;
        size_t n_all = 0;

        LIST_FOR_EACH(i, &n->table.links)
        n_all += LIST_ENTRY(i, struct link, list)->n_addresses;
        all = ocf_allocate(n_all, sizeof(*all));
        if (!all)
                return -ENOMEM;
        ocf_free(n->held);
        n->held = all;
        n->n_held = 0;
        LIST_FOR_EACH(i, &n->table.links) {
                const struct link *l = LIST_ENTRY(i, struct link, list);

                for (size_t j = 0; j < l->n_addresses; j++) {
                        memcpy(all[n->n_held].ip, l->addresses[j].ip, 16);
                        all[n->n_held++].interface = l->index;
                }
        }
        return 0;
}

/* Everything anew from the table. Without memory things stay as they are until the next change. */
static void follow(struct net *n) {
        decide_all(n);
        if (rebuild_interfaces(n) < 0)
                return;
        for (size_t i = 0; i < n->n_devices; i++)
                if (net_device_rebuild(n, &n->devices[i]) < 0)
                        return;
        net_follow_groups(n);
        tell_lost(n);
        if (n->tcp)
                net_tcp_follow(n->tcp);
        (void)rebuild_held(n);
        n->events.changed(n->events.context);
}

static void on_calm(uv_timer_t *timer) {
        follow(timer->data);
}

static void on_links_changed(void *context) {
        struct net *n = context;

        decide_all(n);
        if (n->started && !uv_is_active((uv_handle_t *)&n->debounce))
                uv_timer_start(&n->debounce, on_calm, DEBOUNCE_MS, 0);
}

void net_close_stream(struct net *n, const struct coap_peer *peer) {
        if (n->tcp)
                net_tcp_end(n->tcp, peer);
}

size_t net_interfaces(struct net *n, const struct net_interface **ret) {
        *ret = n->interfaces;
        return n->n_interfaces;
}

void net_get_counts(const struct net *n, struct net_counts *ret) {
        *ret = n->counts;
        ret->n_resyncs = link_watch_resyncs(n->watch);
        ret->n_connections = n->tcp ? n->tcp->n_connections : 0;
}

/* ---- made and taken down ---- */

int net_new(struct net **ret, uv_loop_t *loop, const struct net_config *config,
            const struct net_events *events) {
        struct net *n = ocf_new(struct net);
        int r;

        if (!n)
                return -ENOMEM;
        n->loop = loop;
        n->config = *config;
        n->events = *events;
        link_table_init(&n->table);
        list_init(&n->groups);
        uv_timer_init(loop, &n->debounce);
        uv_timer_init(loop, &n->retry);
        uv_timer_init(loop, &n->renew);
        uv_idle_init(loop, &n->more);
        n->debounce.data = n->retry.data = n->renew.data = n->more.data = n;
        n->out = ocf_allocate(NET_BATCH, sizeof(*n->out));
        n->in = ocf_allocate(NET_BATCH, sizeof(*n->in));
        n->message = ocf_allocate(NET_MESSAGE_MAX, 1);
        r = n->out && n->in && n->message ? link_watch_new(&n->watch, loop, &n->table, on_links_changed, n)
                                          : -ENOMEM;
        if (r >= 0)
                r = link_watch_read_all(n->watch);
        if (r >= 0 && config->tcp)
                r = net_tcp_new(&n->tcp, n);
        if (r < 0) {
                net_free(n);
                return r;
        }
        *ret = n;
        return 0;
}

static void on_renew(uv_timer_t *timer) {
        net_renew_groups(timer->data);
}

int net_start(struct net *n) {
        n->started = true;
        follow(n);
        if (n->config.renew_ms)
                uv_timer_start(&n->renew, on_renew, n->config.renew_ms, n->config.renew_ms);
        return uv_timer_start(&n->retry, on_retry, GROUP_RETRY_MS, GROUP_RETRY_MS);
}

/* libuv closes in an order of its own: the last one takes the rest with it. */
static void on_handle_closed(uv_handle_t *handle) {
        struct net *n = handle->data;

        if (--n->n_handles == 0)
                ocf_free(n);
}

struct net *net_free(struct net *n) {
        if (!n)
                return NULL;
        n->watch = link_watch_free(n->watch);
        for (size_t i = 0; i < n->n_devices; i++) {
                for (size_t j = 0; j < 4; j++) {
                        port_close(n->devices[i].sockets[j / 2][j % 2]);
                        listener_close(n->devices[i].listeners[j / 2][j % 2]);
                }
                port_close(n->devices[i].fresh[0]);
                port_close(n->devices[i].fresh[1]);
                ocf_free(n->devices[i].endpoints);
        }
        n->tcp = net_tcp_free(n->tcp);
        LIST_FOR_EACH_SAFE(i, &n->groups)
        port_close(LIST_ENTRY(i, struct port, link));
        free_interfaces(n->interfaces, n->n_interfaces);
        link_table_deinit(&n->table);
        ocf_free(n->devices);
        ocf_free(n->held);
        ocf_free(n->out);
        ocf_free(n->in);
        ocf_free(n->message);
        n->n_handles = 4;
        uv_close((uv_handle_t *)&n->more, on_handle_closed);
        uv_close((uv_handle_t *)&n->debounce, on_handle_closed);
        uv_close((uv_handle_t *)&n->retry, on_handle_closed);
        uv_close((uv_handle_t *)&n->renew, on_handle_closed);
        return NULL;
}
