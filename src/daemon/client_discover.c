#include "base/memory.h"
#include "daemon/client_private.h"
#include "daemon/random.h"
#include "model/endpoint_text.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

/*
 * Looking for devices: a round asks all groups on all interfaces, more than once
 * since datagrams get lost and answers are spread over two seconds, and the
 * addresses that were added by hand; then each device that was heard is asked
 * what it is.
 */

#define ROUND_ASKS   3u    /* times that the groups are asked in a round */
#define ROUND_GAP_MS 1500u /* between them, and up to half as much again */
#define FOLLOWS_MAX  32u   /* devices that are asked at once */
#define FOLLOW_MS    4000u
#define REMEMBER_MS  (24u * 3600 * 1000) /* of a device that nobody needs and that is silent */

/* Each time over IPv4, and over IPv6 with one scope: who is on the link is in all of them, and has to answer
 * once. */
static const char *const groups[ROUND_ASKS][2] = {
        { "224.0.1.187", "ff02::158" },
        { "224.0.1.187", "ff03::158" },
        { "224.0.1.187", "ff05::158" },
};

struct coap_ask client_get(const char *path, const char *query) {
        struct coap_ask ask = COAP_ASK_DEFAULT;

        ask.path = span_of_string(path);
        ask.query = span_of_string(query);
        ask.accept = COAP_FORMAT_OCF_CBOR;
        ask.ocf_version = true;
        return ask;
}

bool client_normalise(struct client *c, const struct coap_reply *reply, struct span *ret) {
        struct writer w = writer_on(c->scratch, CLIENT_SCRATCH);

        if (!reply->payload.n ||
            (reply->content_format != COAP_FORMAT_OCF_CBOR && reply->content_format != COAP_FORMAT_CBOR &&
             reply->content_format != COAP_FORMAT_NONE))
                return false;
        if (rep_normalise_leniently(reply->payload, &w))
                return false;
        *ret = writer_span(&w);
        return true;
}

static bool is_good(const struct out_result *result) {
        return result->outcome == OUT_ANSWERED && result->reply && result->reply->code >> 5 == 2;
}

/* ---- asking one device what it is ---- */

enum follow_step { FOLLOW_RES, FOLLOW_D, FOLLOW_DOXM, FOLLOW_DONE };

struct follow {
        struct list link;
        struct client *client;
        struct uuid id;
        enum follow_step step;
        struct out_channel *channel;
        struct out_request *request;
        bool was_heard;
        bus_heard *done; /* NULL: nobody waits */
        void *context;
};

static void follow_end(struct follow *f, bool heard) {
        struct uuid id = f->id;
        bus_heard *done = f->done;
        void *context = f->context;
        struct remote_device *d = remotes_find(f->client->remotes, &id);

        if (d && !heard)
                remote_was_silent(d, client_now(f->client));
        f->client->n_follows -= list_is_linked(&f->link) && f->channel;
        list_unlink(&f->link);
        out_cancel(f->request);
        out_channel_release(f->channel);
        ocf_free(f);
        if (done)
                done(context, heard ? FAULT_NONE : FAULT_NOT_REACHABLE, NULL, &id, heard ? 1 : 0);
}

static void follow_ask(struct follow *f);

static void on_follow(void *context, const struct out_result *result) {
        struct follow *f = context;
        struct client *c = f->client;
        uint64_t now_ms = client_now(c);
        struct span rep;

        f->request = NULL;
        if (result->outcome == OUT_ANSWERED)
                f->was_heard = true;
        if (is_good(result) && client_normalise(c, result->reply, &rep))
                switch (f->step) {
                case FOLLOW_RES:
                        (void)remotes_learn_res(c->remotes, now_ms, result->peer, rep, true);
                        break;
                case FOLLOW_D:
                        (void)remotes_learn_device(c->remotes, now_ms, &f->id, rep);
                        break;
                case FOLLOW_DOXM:
                        (void)remotes_learn_doxm(c->remotes, now_ms, result->peer, &f->id, rep);
                        break;
                case FOLLOW_DONE:
                        break;
                }
        if (result->outcome != OUT_ANSWERED && !f->was_heard) {
                follow_end(f, false);
                return;
        }
        f->step++;
        follow_ask(f);
}

static void follow_ask(struct follow *f) {
        static const char *const paths[] = { "/oic/res", "/oic/d", "/oic/sec/doxm" };
        struct coap_ask ask;

        if (f->step == FOLLOW_DONE) {
                follow_end(f, true);
                return;
        }
        ask = client_get(paths[f->step], "");
        if (out_request(f->channel, &ask, FOLLOW_MS, on_follow, f, &f->request) < 0)
                follow_end(f, f->was_heard);
}

static void follow_begin(struct follow *f) {
        struct client *c = f->client;
        const char *why;

        if (client_channel(c, &f->id, BUS_CLEAR_ONLY, &f->channel, &why) < 0 &&
            client_channel(c, &f->id, BUS_ANY_CHANNEL, &f->channel, &why) < 0) {
                follow_end(f, false);
                return;
        }
        list_unlink(&f->link);
        list_link_tail(&c->follows, &f->link);
        c->n_follows++;
        follow_ask(f);
}

static struct follow *follow_find(const struct list *l, const struct uuid *id) {
        LIST_FOR_EACH(i, l) {
                struct follow *f = LIST_ENTRY(i, struct follow, link);

                if (uuid_equal(&f->id, id) && !f->done)
                        return f;
        }
        return NULL;
}

static int follow_new(struct client *c, const struct uuid *id, enum follow_step from, bus_heard *done,
                      void *context) {
        struct follow *f;

        if (!done && (follow_find(&c->queued, id) || follow_find(&c->follows, id)))
                return 0;
        f = ocf_new(struct follow);
        if (!f)
                return -ENOMEM;
        f->client = c;
        f->id = *id;
        f->step = from;
        f->done = done;
        f->context = context;
        list_link_tail(&c->queued, &f->link);
        return 0;
}

int client_refresh(struct client *c, const struct uuid *device, bus_heard *done, void *context) {
        return follow_new(c, device, FOLLOW_RES, done, context);
}

/* Those who were heard and of whom little is known, or who may have changed hands. */
static void follow_heard(struct client *c, uint64_t since_ms) {
        for (struct remote_device *d = remotes_first(c->remotes); d; d = remotes_after(c->remotes, d))
                if (d->last_seen_ms >= since_ms && d->last_asked_ms < since_ms) {
                        d->last_asked_ms = client_now(c);
                        (void)follow_new(c, &d->id, FOLLOW_RES, NULL, NULL);
                }
}

/* ---- asking groups and addresses ---- */

struct group_ask {
        struct list link;
        struct client *client;
        struct out_request *request;
        struct out_channel *channel; /* of an address that was added by hand */
        bool is_doxm, by_hand;
};

static void ask_free(struct group_ask *a) {
        list_unlink(&a->link);
        out_cancel(a->request);
        out_channel_release(a->channel);
        ocf_free(a);
}

static void mark_by_hand(struct client *c, const struct coap_peer *peer) {
        for (struct remote_device *d = remotes_first(c->remotes); d; d = remotes_after(c->remotes, d))
                for (size_t i = 0; i < d->n_addresses; i++)
                        d->by_hand |= memcmp(d->addresses[i].from, peer->remote_ip, 16) == 0;
}

/* It asks, and answers like everybody; nobody has use for it. */
static void forget_tool(struct client *c) {
        const struct device *tool = tool_device(c->daemon->tool);
        struct remote_device *d = tool ? remotes_find(c->remotes, &tool->di) : NULL;

        if (d)
                remote_forget(d);
}

static void on_group(void *context, const struct out_result *result) {
        struct group_ask *a = context;
        struct client *c = a->client;
        struct span rep;

        if (!result->more)
                a->request = NULL;
        if (is_good(result) && client_normalise(c, result->reply, &rep)) {
                if (a->is_doxm)
                        (void)remotes_learn_doxm(c->remotes, client_now(c), result->peer, NULL, rep);
                else
                        (void)remotes_learn_res(c->remotes, client_now(c), result->peer, rep, false);
                forget_tool(c);
                if (a->by_hand)
                        mark_by_hand(c, result->peer);
        }
        if (!result->more)
                ask_free(a);
}

static struct group_ask *ask_new(struct client *c, bool is_doxm) {
        struct group_ask *a = ocf_new(struct group_ask);

        if (!a)
                return NULL;
        a->client = c;
        a->is_doxm = is_doxm;
        list_link_tail(&c->round.asks, &a->link);
        return a;
}

/* One link of each device is enough, and fits one datagram: what else it has it is asked for by itself. */
static struct coap_ask question(bool is_doxm) {
        return is_doxm ? client_get("/oic/sec/doxm", "owned=FALSE") : client_get("/oic/res", "rt=oic.wk.d");
}

static uint16_t asking_device(const struct client *c) {
        const struct device *tool = c->daemon->tool ? tool_device(c->daemon->tool) : NULL;

        return tool ? tool->index : 0;
}

static void ask_group(struct client *c, const char *group, uint32_t interface, uint32_t timeout_ms) {
        uint8_t ip[16] = { 0 };

        if (inet_pton(AF_INET6, group, ip) != 1) {
                memset(ip + 10, 0xff, 2);
                inet_pton(AF_INET, group, ip + 12);
        }
        for (unsigned doxm = 0; doxm < 2; doxm++) {
                struct coap_ask ask = question(doxm);
                struct group_ask *a = ask_new(c, doxm);

                if (a && out_multicast(c->outgoing, asking_device(c), ip, COAP_PORT, interface, &ask,
                                       timeout_ms, on_group, a, &a->request) < 0)
                        ask_free(a);
        }
}

static bool has_family(const struct net_interface *l, bool v4) {
        for (size_t i = 0; i < l->n_addresses; i++)
                if (!strchr(l->addresses[i], ':') == v4)
                        return true;
        return false;
}

static void ask_groups(struct client *c, uint32_t timeout_ms) {
        const struct net_interface *links;
        size_t n = net_interfaces(c->daemon->net, &links);

        for (size_t i = 0; i < n; i++)
                for (size_t g = 0; links[i].used && g < 2; g++)
                        if (has_family(&links[i], !g))
                                ask_group(c, groups[c->round.n_asked][g], links[i].index, timeout_ms);
}

/* ---- addresses that were added by hand ---- */

/* "192.0.2.7", "192.0.2.7:5683", "[2001:db8::7]:5683", "fe80::1%eth0", each with "coap://" or without. */
static bool read_address(const char *text, struct out_address *ret) {
        char buf[INET6_ADDRSTRLEN + IF_NAMESIZE + 16], *host = buf, *port = NULL, *zone, *end;
        unsigned long n = COAP_PORT;

        if (strncmp(text, "coap://", 7) == 0)
                text += 7;
        if (strlen(text) >= sizeof(buf))
                return false;
        strcpy(buf, text);
        if (*host == '[') {
                end = strchr(++host, ']');
                if (!end || (end[1] && end[1] != ':'))
                        return false;
                port = end[1] ? end + 2 : NULL;
                *end = 0;
        } else if ((end = strchr(host, ':')) && !strchr(end + 1, ':')) {
                *end = 0;
                port = end + 1;
        }
        *ret = (struct out_address){ 0 };
        if (port) {
                n = strtoul(port, &end, 10);
                if (!*port || *end || !n || n > UINT16_MAX)
                        return false;
        }
        ret->port = (uint16_t)n;
        zone = strchr(host, '%');
        if (zone) {
                *zone++ = 0;
                ret->interface = if_nametoindex(zone);
                if (!ret->interface)
                        return false;
        }
        if (inet_pton(AF_INET6, host, ret->ip) == 1)
                return !ip_is_link_local(ret->ip) || ret->interface;
        memset(ret->ip, 0, 16);
        memset(ret->ip + 10, 0xff, 2);
        return inet_pton(AF_INET, host, ret->ip + 12) == 1;
}

static void ask_address(struct client *c, const char *text, uint32_t timeout_ms) {
        struct out_spec spec = { .kind = OUT_CLEAR, .device = asking_device(c), .n_addresses = 1 };

        if (!read_address(text, &spec.addresses[0]))
                return;
        memcpy(spec.id.bytes, spec.addresses[0].ip, 16); /* whose it is, nobody knows yet */
        spec.id.bytes[0] ^= (uint8_t)spec.addresses[0].port;
        spec.id.bytes[1] ^= (uint8_t)(spec.addresses[0].port >> 8);
        for (unsigned doxm = 0; doxm < 2; doxm++) {
                struct coap_ask ask = client_get(doxm ? "/oic/sec/doxm" : "/oic/res", "");
                struct group_ask *a = ask_new(c, doxm);

                if (!a)
                        return;
                a->by_hand = true;
                if (out_channel_obtain(c->outgoing, &spec, &a->channel) < 0 ||
                    out_request(a->channel, &ask, timeout_ms, on_group, a, &a->request) < 0)
                        ask_free(a);
        }
}

static void ask_addresses(struct client *c, uint32_t timeout_ms) {
        for (size_t i = 0; i < c->n_addresses; i++)
                ask_address(c, c->addresses[i], timeout_ms);
}

/* ---- rounds ---- */

static int waiter_new(struct client *c, uint32_t timeout_ms, bus_heard *done, void *context) {
        struct waiter *w;

        if (c->n_waiters >= CLIENT_WAITERS_MAX)
                return -EBUSY;
        w = ocf_new(struct waiter);
        if (!w)
                return -ENOMEM;
        w->done = done;
        w->context = context;
        w->since_ms = client_now(c);
        w->until_ms = w->since_ms + timeout_ms;
        list_link_tail(&c->waiters, &w->link);
        c->n_waiters++;
        return 0;
}

int client_discover(struct client *c, uint32_t timeout_ms, bus_heard *done, void *context) {
        uint64_t now_ms = client_now(c);
        int r = waiter_new(c, timeout_ms, done, context);

        if (r)
                return r;
        if (!c->round.is_running)
                c->round.began_ms = now_ms;
        if (!c->round.is_running || now_ms + timeout_ms > c->round.until_ms)
                c->round.until_ms = now_ms + timeout_ms;
        c->round.is_running = true;
        c->round.n_asked = 0;
        c->round.next_ms = now_ms;
        return 0;
}

bool client_is_discovering(const struct client *c) {
        return c->round.is_running;
}

int client_add_address(struct client *c, const char *address, uint32_t timeout_ms, bus_heard *done,
                       void *context) {
        struct out_address a;
        char *copy;
        int r;

        if (!read_address(address, &a))
                return -EINVAL;
        for (size_t i = 0; i < c->n_addresses; i++)
                if (strcmp(c->addresses[i], address) == 0)
                        return client_discover(c, timeout_ms, done, context);
        if (c->n_addresses >= CLIENT_ADDRESSES_MAX)
                return -ENOSPC;
        copy = ocf_duplicate_string(address);
        if (!copy || !ocf_grow((void **)&c->addresses, c->n_addresses, c->n_addresses + 1, sizeof(copy))) {
                ocf_free(copy);
                return -ENOMEM;
        }
        r = client_discover(c, timeout_ms, done, context);
        if (r)
                ocf_free(copy);
        else
                c->addresses[c->n_addresses++] = copy;
        c->memory_is_stale = true;
        return r;
}

int client_remove_address(struct client *c, const char *address) {
        for (size_t i = 0; i < c->n_addresses; i++)
                if (strcmp(c->addresses[i], address) == 0) {
                        ocf_free(c->addresses[i]);
                        memmove(&c->addresses[i], &c->addresses[i + 1],
                                (c->n_addresses - i - 1) * sizeof(*c->addresses));
                        c->n_addresses--;
                        c->memory_is_stale = true;
                        for (struct remote_device *d = remotes_first(c->remotes); d;
                             d = remotes_after(c->remotes, d))
                                d->by_hand = false; /* the next round says which still are */
                        return 0;
                }
        return -ENOENT;
}

size_t client_addresses(const struct client *c, const char *const **ret) {
        *ret = (const char *const *)c->addresses;
        return c->n_addresses;
}

static void tell_waiter(struct client *c, struct waiter *w) {
        size_t n_max = remotes_count(c->remotes), n = 0;
        struct uuid *heard = ocf_allocate(n_max + 1, sizeof(*heard));

        for (struct remote_device *d = remotes_first(c->remotes); heard && d && n < n_max;
             d = remotes_after(c->remotes, d))
                if (d->last_seen_ms >= w->since_ms)
                        heard[n++] = d->id;
        list_unlink(&w->link);
        c->n_waiters--;
        w->done(w->context, heard ? FAULT_NONE : FAULT_BUSY, NULL, heard, n);
        ocf_free(heard);
        ocf_free(w);
}

static uint32_t random_below(struct client *c, uint32_t n) {
        return random_u32(&c->daemon->random) % n;
}

/* Whom somebody needs, and who has not been heard so far: multicasts get lost, and do not reach everywhere.
 */
static void ask_silent(struct client *c) {
        for (struct remote_device *d = remotes_first(c->remotes); d; d = remotes_after(c->remotes, d))
                if (d->last_seen_ms < c->round.began_ms && d->n_addresses && remote_is_needed(d))
                        (void)follow_new(c, &d->id, FOLLOW_RES, NULL, NULL);
}

static void ask_again(struct client *c, uint64_t now_ms) {
        struct round *round = &c->round;
        uint32_t left = (uint32_t)(round->until_ms > now_ms ? round->until_ms - now_ms : 1);

        ask_groups(c, left);
        if (!round->n_asked)
                ask_addresses(c, left);
        if (++round->n_asked == ROUND_ASKS)
                ask_silent(c);
        round->next_ms = round->n_asked < ROUND_ASKS
                                 ? now_ms + ROUND_GAP_MS + random_below(c, ROUND_GAP_MS / 2)
                                 : OCF_NEVER;
}

void client_discover_wake(struct client *c, uint64_t now_ms) {
        struct round *round = &c->round;

        if (round->is_running && now_ms >= round->next_ms && now_ms < round->until_ms)
                ask_again(c, now_ms);
        if (round->is_running)
                follow_heard(c, round->began_ms);
        while (c->n_follows < FOLLOWS_MAX && !list_is_empty(&c->queued))
                follow_begin(LIST_ENTRY(list_first(&c->queued), struct follow, link));
        LIST_FOR_EACH_SAFE(i, &c->waiters) {
                struct waiter *w = LIST_ENTRY(i, struct waiter, link);

                if (now_ms >= w->until_ms) {
                        tell_waiter(c, w);
                        break; /* one at a time: it may ask again */
                }
        }
        if (round->is_running && now_ms >= round->until_ms) {
                round->is_running = false;
                while (!list_is_empty(&round->asks))
                        ask_free(LIST_ENTRY(list_first(&round->asks), struct group_ask, link));
                remotes_expire(c->remotes, now_ms, REMEMBER_MS);
        }
}

uint64_t client_discover_deadline(const struct client *c) {
        uint64_t due = OCF_NEVER;

        LIST_FOR_EACH(i, &c->waiters)
        due = ocf_min_u64(due, LIST_ENTRY(i, struct waiter, link)->until_ms);
        if (c->round.is_running)
                due = ocf_min_u64(due, ocf_min_u64(c->round.until_ms, c->round.next_ms));
        if (!list_is_empty(&c->queued) && c->n_follows < FOLLOWS_MAX)
                due = 0;
        return due;
}

void client_discover_free(struct client *c) {
        while (!list_is_empty(&c->round.asks))
                ask_free(LIST_ENTRY(list_first(&c->round.asks), struct group_ask, link));
        for (unsigned i = 0; i < 2; i++) {
                struct list *l = i ? &c->queued : &c->follows;

                while (!list_is_empty(l)) {
                        struct follow *f = LIST_ENTRY(list_first(l), struct follow, link);

                        list_unlink(&f->link);
                        out_cancel(f->request);
                        out_channel_release(f->channel);
                        ocf_free(f);
                }
        }
        while (!list_is_empty(&c->waiters)) {
                struct waiter *w = LIST_ENTRY(list_first(&c->waiters), struct waiter, link);

                list_unlink(&w->link);
                ocf_free(w);
        }
        for (size_t i = 0; i < c->n_addresses; i++)
                ocf_free(c->addresses[i]);
        ocf_free(c->addresses);
}
