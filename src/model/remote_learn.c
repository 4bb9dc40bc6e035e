#include "base/memory.h"
#include "base/utf8.h"
#include "model/endpoint_text.h"
#include "model/remote_private.h"

#include <errno.h>
#include <string.h>

/*
 * Reading what devices say of themselves. Whatever cannot be used is passed
 * over; nothing is believed that another device of the same answer could be
 * about.
 */

#define TEXT_MAX    64u  /* of a type, an interface or a version */
#define SEEN_MAX    256u /* devices of one answer */
#define BM_DISCOVER 1u
#define BM_OBSERVE  2u
#define RECENT_S    15u /* longer than a round of discovery takes */

/* ---- small texts ---- */

static bool is_plain(struct span s, size_t n_max) {
        if (!s.n || s.n > n_max || !utf8_is_valid(s, UTF8_BUS))
                return false;
        for (size_t i = 0; i < s.n; i++)
                if (s.data[i] < 0x20 || s.data[i] == 0x7f)
                        return false;
        return true;
}

static bool get_text(struct span map, const char *key, size_t n_max, struct span *ret) {
        struct span item;

        return rep_map_find(map, key, &item) && rep_as_text(item, ret) && is_plain(*ret, n_max);
}

/* A UUID as text; some end it with a NUL. */
static bool as_uuid(struct span item, struct uuid *ret) {
        struct span s;

        if (!rep_as_text(item, &s))
                return false;
        if (s.n && !s.data[s.n - 1])
                s.n--;
        return uuid_parse(ret, s);
}

static bool get_uuid(struct span map, const char *key, struct uuid *ret) {
        struct span item;

        return rep_map_find(map, key, &item) && as_uuid(item, ret);
}

/* Takes the text when it is another one. Return: 0, *ret_news; -ENOMEM. */
static int set_text(struct remote_device *d, char **to, struct span text, unsigned news) {
        char *copy;

        if (*to && span_equal_string(text, *to))
                return 0;
        copy = ocf_duplicate_span_as_string(text);
        if (!copy)
                return -ENOMEM;
        d->n_bytes += text.n;
        d->table->n_bytes += text.n;
        if (*to) {
                d->n_bytes -= strlen(*to);
                d->table->n_bytes -= strlen(*to);
        }
        ocf_free(*to);
        *to = copy;
        remote_news(d, news);
        return 0;
}

/* ---- lists of texts ---- */

struct texts {
        struct span list[REMOTE_TYPES_MAX];
        size_t n, n_bytes;
};

static void read_texts(struct span map, const char *key, struct texts *ret) {
        struct rep_token t;
        struct span item;

        *ret = (struct texts){ 0 };
        if (!rep_map_find(map, key, &item) || !rep_next(&item, &t) || t.type != REP_ARRAY)
                return;
        for (uint64_t i = 0; i < t.value.n && ret->n < REMOTE_TYPES_MAX; i++) {
                struct span text, one;

                if (!rep_skip(&item, &one))
                        return;
                if (rep_as_text(one, &text) && is_plain(text, TEXT_MAX)) {
                        ret->list[ret->n++] = text;
                        ret->n_bytes += text.n + 1;
                }
        }
}

static bool says_the_same(const struct texts *t, char *const *list) {
        size_t i = 0;

        for (; list && list[i] && i < t->n; i++)
                if (!span_equal_string(t->list[i], list[i]))
                        return false;
        return list && !list[i] && i == t->n;
}

/* Pointers and texts in one piece. */
static size_t texts_size(const struct texts *t) {
        return (t->n + 1) * sizeof(char *) + t->n_bytes;
}

static char **put_texts(char **list, const struct texts *t, char **at) {
        for (size_t i = 0; i < t->n; i++) {
                list[i] = *at;
                memcpy(*at, t->list[i].data, t->list[i].n);
                *at += t->list[i].n + 1;
        }
        list[t->n] = NULL;
        return list + t->n + 1;
}

static void texts_of(char *const *list, struct texts *ret) {
        *ret = (struct texts){ 0 };
        for (; *list && ret->n < REMOTE_TYPES_MAX; list++) {
                ret->list[ret->n++] = span_of_string(*list);
                ret->n_bytes += strlen(*list) + 1;
        }
}

static int set_types(struct remote_device *d, const struct texts *types) {
        struct texts before = { 0 };
        char **list, *at;
        size_t n_before;

        if (says_the_same(types, d->types))
                return 0;
        list = ocf_allocate(1, texts_size(types));
        if (!list)
                return -ENOMEM;
        at = (char *)(list + types->n + 1);
        put_texts(list, types, &at);
        if (d->types)
                texts_of(d->types, &before);
        n_before = d->types ? texts_size(&before) : 0;
        d->n_bytes += texts_size(types) - n_before;
        d->table->n_bytes += texts_size(types) - n_before;
        ocf_free(d->types);
        d->types = list;
        remote_news(d, REMOTE_TYPES);
        return 0;
}

/* ---- resources ---- */

struct link {
        struct uuid id;
        struct span href;
        struct texts types, interfaces;
        uint64_t policy;
};

static int resource_put(struct remote_device *d, const struct link *l, struct remote_resource *before) {
        size_t n = sizeof(struct remote_resource) + texts_size(&l->types) + texts_size(&l->interfaces) +
                   l->href.n + 1;
        struct remote_resource *r;
        char **lists, *at;

        size_t n_before = before ? before->n_bytes : 0;

        if ((!before && d->n_resources >= d->table->config.n_resources) ||
            (n > n_before && d->table->n_bytes - n_before + n > d->table->config.n_bytes)) {
                d->table->n_refused++;
                return 0;
        }
        r = ocf_allocate(1, n);
        if (!r)
                return -ENOMEM;
        lists = (char **)(void *)(r + 1);
        at = (char *)(lists + l->types.n + l->interfaces.n + 2);
        r->types = lists;
        r->interfaces = put_texts(lists, &l->types, &at);
        put_texts(r->interfaces, &l->interfaces, &at);
        r->href = at;
        memcpy(at, l->href.data, l->href.n);
        r->device = d;
        r->discoverable = l->policy & BM_DISCOVER;
        r->observable = l->policy & BM_OBSERVE;
        r->n_bytes = n;
        list_init(&r->dirty_link);
        d->table->n_bytes += n;
        if (before) {
                r->number = before->number;
                r->news = before->news;
                list_link_tail(&before->link, &r->link); /* in its place */
                if (before->news & REMOTE_ADDED)
                        remote_resource_news(r, REMOTE_ADDED);
                else
                        remote_resource_news(r, REMOTE_TYPES);
                list_unlink(&before->link);
                list_unlink(&before->dirty_link);
                d->table->n_bytes -= before->n_bytes;
                ocf_free(before);
                return 0;
        }
        r->number = ++d->last_number;
        list_link_tail(&d->resources, &r->link);
        d->n_resources++;
        remote_resource_news(r, REMOTE_ADDED);
        return 0;
}

int remote_resource_copy(struct remote_device *to, const struct remote_resource *r) {
        struct link l = { .href = span_of_string(r->href),
                          .policy = (r->discoverable ? BM_DISCOVER : 0) | (r->observable ? BM_OBSERVE : 0) };

        texts_of(r->types, &l.types);
        texts_of(r->interfaces, &l.interfaces);
        return resource_put(to, &l, NULL);
}

static int resource_learn(struct remote_device *d, const struct link *l) {
        struct remote_resource *r = remote_find(d, l->href);

        if (r) {
                if (!r->is_marked)
                        return 0; /* told in this answer already: the first counts */
                r->is_marked = false;
                if (says_the_same(&l->types, r->types) && says_the_same(&l->interfaces, r->interfaces) &&
                    r->discoverable == (bool)(l->policy & BM_DISCOVER) &&
                    r->observable == (bool)(l->policy & BM_OBSERVE))
                        return 0;
        }
        return resource_put(d, l, r);
}

/* ---- addresses ---- */

static bool is_loopback(const uint8_t ip[static 16]) {
        static const uint8_t loopback[16] = { [15] = 1 };

        return ip_is_v4(ip) ? ip[12] == 127 : memcmp(ip, loopback, 16) == 0;
}

/* Not a group, nobody's address, or ours: requests would go to whom the teller chose, and his loopback is not
 * ours. */
static bool is_somebody(const uint8_t ip[static 16], const struct coap_peer *from) {
        static const uint8_t none[16];

        if (ip_is_v4(ip) ? ip[12] >= 224 || !ip[12] : ip[0] == 0xff || memcmp(ip, none, 16) == 0)
                return false;
        return !is_loopback(ip) || is_loopback(from->remote_ip);
}

/* "coaps://[fe80::1]:5684": only what is a number; names are for resolvers. */
static bool read_endpoint(struct span text, const struct coap_peer *from, struct remote_address *ret) {
        char buf[REMOTE_ADDRESS_TEXT], *host, *port, *end, *zone;

        if (text.n >= sizeof(buf))
                return false;
        memcpy(buf, text.data, text.n);
        buf[text.n] = 0;
        *ret = (struct remote_address){ 0 };
        host = strstr(buf, "://");
        if (!host)
                return false;
        *host = 0;
        host += 3;
        ret->secure = strncmp(buf, "coaps", 5) == 0;
        ret->stream = strcmp(buf, "coap+tcp") == 0 || strcmp(buf, "coaps+tcp") == 0;
        if (!ret->stream && strcmp(buf, "coap") != 0 && strcmp(buf, "coaps") != 0)
                return false;
        if (*host == '[') {
                end = strchr(++host, ']');
                if (!end)
                        return false;
                *end = 0;
                port = end + 1;
        } else {
                end = port = host + strcspn(host, ":");
        }
        if (*port && *port != ':')
                return false;
        port[strcspn(port, "/")] = 0;
        ret->port = ret->secure ? COAP_PORT_SECURE : COAP_PORT;
        if (*port && !port_parse(port + 1, &ret->port))
                return false;
        *end = 0;
        zone = strchr(host, '%');
        if (zone)
                *zone = 0;
        if (!ip_parse(host, ret->ip))
                return false;
        if (ip_is_link_local(ret->ip) && !ip_is_v4(ret->ip)) {
                ret->interface = from->interface; /* it means the link over which it was told */
                if (!ret->interface)
                        return false;
        }
        return is_somebody(ret->ip, from);
}

struct addresses {
        struct remote_address list[REMOTE_ADDRESSES_MAX];
        size_t n;
};

static bool same_address(const struct remote_address *a, const struct remote_address *b) {
        return memcmp(a->ip, b->ip, 16) == 0 && a->port == b->port && a->secure == b->secure &&
               a->stream == b->stream && a->interface == b->interface;
}

static void add_address(struct addresses *l, const struct remote_address *a) {
        for (size_t i = 0; i < l->n; i++)
                if (same_address(&l->list[i], a)) {
                        l->list[i].proven |= a->proven;
                        return;
                }
        if (l->n < REMOTE_ADDRESSES_MAX)
                l->list[l->n++] = *a;
}

/* False: it says none. */
static bool read_endpoints(struct span link, const struct coap_peer *from, struct addresses *ret) {
        struct rep_token t;
        struct span item;

        if (!rep_map_find(link, "eps", &item) || !rep_next(&item, &t) || t.type != REP_ARRAY)
                return false;
        for (uint64_t i = 0; i < t.value.n && i < 32; i++) {
                struct remote_address a;
                struct span one, text;

                if (!rep_skip(&item, &one))
                        break;
                if (get_text(one, "ep", REMOTE_ADDRESS_TEXT - 1, &text) && read_endpoint(text, from, &a))
                        add_address(ret, &a);
        }
        return true;
}

static void heard_from(const struct coap_peer *from, struct remote_address *ret) {
        *ret = (struct remote_address){ .interface = from->interface, .port = from->remote_port };
        memcpy(ret->ip, from->remote_ip, 16);
        if (!ip_is_link_local(ret->ip))
                ret->interface = 0;
}

/* The policy of OIC 1.1 has the ports where it answers besides (core.md 4). */
static void read_ports(struct span link, const struct coap_peer *from, struct addresses *ret) {
        static const struct {
                const char *key;
                bool secure, stream;
        } ports[] = { { "port", true, false },
                      { "x.org.iotivity.tls", true, true },
                      { "x.org.iotivity.tcp", false, true } };
        struct span policy, item;

        if (!rep_map_find(link, "p", &policy))
                return;
        for (size_t i = 0; i < ARRAY_SIZE(ports); i++) {
                struct remote_address a;
                int64_t port;

                heard_from(from, &a);
                if (!rep_map_find(policy, ports[i].key, &item) || !rep_as_int64(item, &port) || port <= 0 ||
                    port > UINT16_MAX)
                        continue;
                a.port = (uint16_t)port;
                a.secure = ports[i].secure;
                a.stream = ports[i].stream;
                add_address(ret, &a);
        }
}

static bool is_at(const struct remote_address *a, const uint8_t ip[16]) {
        return memcmp(a->ip, ip, 16) == 0;
}

/* Who tells, and over which link: two of these may have an address in common, as they are link-local. */
struct teller {
        const uint8_t *ip;
        uint32_t interface;
        uint32_t now_s;
};

static bool told_by(const struct remote_address *a, const struct teller *teller) {
        return memcmp(a->from, teller->ip, 16) == 0 && a->from_interface == teller->interface;
}

static bool is_recent(const struct remote_address *a, const struct teller *teller) {
        return teller->now_s - a->told_s <= RECENT_S;
}

static bool is_told(const struct addresses *told, const struct remote_address *a) {
        for (size_t i = 0; i < told->n; i++)
                if (same_address(&told->list[i], a))
                        return true;
        return false;
}

/* What is told now, signed; the teller's own address first. */
static void sign(const struct addresses *told, const struct coap_peer *from, const struct teller *teller,
                 struct addresses *ret) {
        struct remote_address heard;

        for (size_t pass = 0; pass < 2; pass++)
                for (size_t i = 0; i < told->n; i++)
                        if (is_at(&told->list[i], from->remote_ip) == !pass)
                                add_address(ret, &told->list[i]);
        heard_from(from, &heard);
        if (!from->channel)
                add_address(ret, &heard);
        for (size_t i = 0; i < ret->n; i++) {
                memcpy(ret->list[i].from, teller->ip, 16);
                ret->list[i].from_interface = teller->interface;
                ret->list[i].told_s = teller->now_s;
        }
}

/* What was proven stays in front. Of the rest each teller has a place, in which stands what it told last; so
 * who answers over two links changes nothing by it. Who was silent while another one told goes behind: the
 * device has moved. */
static void merge_addresses(const struct remote_device *d, const struct addresses *now,
                            const struct teller *teller, struct addresses *ret) {
        for (size_t i = 0; i < d->n_addresses; i++)
                if (d->addresses[i].proven)
                        add_address(ret, &d->addresses[i]);
        for (size_t i = 0; i < d->n_addresses; i++)
                if (told_by(&d->addresses[i], teller))
                        for (size_t j = 0; j < now->n; j++)
                                add_address(ret, &now->list[j]);
                else if (is_recent(&d->addresses[i], teller))
                        add_address(ret, &d->addresses[i]);
        for (size_t j = 0; j < now->n; j++)
                add_address(ret, &now->list[j]);
        for (size_t i = 0; i < d->n_addresses; i++)
                if (!told_by(&d->addresses[i], teller))
                        add_address(ret, &d->addresses[i]);
        for (size_t i = 0; i < ret->n; i++)
                if (is_told(now, &ret->list[i]))
                        ret->list[i].told_s = teller->now_s;
}

static bool tells_new_secure(const struct remote_device *d, const struct addresses *told) {
        for (size_t i = 0; i < told->n; i++) {
                bool is_known = !told->list[i].secure;

                for (size_t j = 0; !is_known && j < d->n_addresses; j++)
                        is_known = same_address(&told->list[i], &d->addresses[j]);
                if (!is_known)
                        return true;
        }
        return false;
}

static bool has_secure(const struct remote_device *d, const struct addresses *list) {
        for (size_t i = 0; i < d->n_addresses; i++)
                if (d->addresses[i].secure && !d->addresses[i].proven && is_told(list, &d->addresses[i]))
                        return true;
        return false;
}

/* A secure port is one device's: whom we knew there has another id since a reset (security.md 3), or is gone.
 * Who is ours, or in use, stays: anybody can tell an address. */
static void forget_predecessors(struct remote_device *d, const struct addresses *told) {
        LIST_FOR_EACH_SAFE(i, &d->table->devices) {
                struct remote_device *other = LIST_ENTRY(i, struct remote_device, link);

                if (other != d && !remote_is_needed(other) && has_secure(other, told))
                        remote_forget(other);
        }
}

static void set_addresses(struct remote_device *d, uint64_t now_ms, const struct coap_peer *from,
                          const struct addresses *told) {
        const struct teller teller = { .ip = from->remote_ip,
                                       .interface = ip_is_link_local(from->remote_ip) ? from->interface : 0,
                                       .now_s = (uint32_t)(now_ms / 1000) };
        struct addresses now = { 0 }, all = { 0 };
        size_t n_same = 0;
        bool is_new;

        sign(told, from, &teller, &now);
        is_new = tells_new_secure(d, &now);
        merge_addresses(d, &now, &teller, &all);
        while (n_same < all.n && n_same < d->n_addresses &&
               same_address(&all.list[n_same], &d->addresses[n_same]))
                n_same++;
        if (n_same != all.n || n_same != d->n_addresses)
                remote_news(d, REMOTE_ADDRESSES);
        memcpy(d->addresses, all.list, sizeof(d->addresses));
        d->n_addresses = all.n;
        if (is_new)
                forget_predecessors(d, &now);
}

/* ---- /oic/res ---- */

/* The devices of one answer, with what it said of each. */
struct learning {
        struct remotes *t;
        uint64_t now_ms;
        const struct coap_peer *from;
        bool whole;
        size_t n;
        struct told {
                struct remote_device *device;
                struct addresses addresses;
                bool has_domain, has_types; /* the first one counts */
        } * told;
        struct span domain; /* of the group that is read; data NULL: it says none */
};

static int obtain(struct learning *l, const struct uuid *id, struct told **ret) {
        struct remote_device *d;
        int r;

        for (size_t i = 0; i < l->n; i++)
                if (uuid_equal(&l->told[i].device->id, id)) {
                        *ret = &l->told[i];
                        return 0;
                }
        *ret = NULL;
        if (l->n >= SEEN_MAX)
                return 0;
        r = remotes_obtain(l->t, l->now_ms, id, &d);
        if (r < 0 || !d)
                return r;
        if (!ocf_grow((void **)&l->told, l->n, l->n + 1, sizeof(*l->told)))
                return -ENOMEM;
        l->told[l->n] = (struct told){ .device = d };
        d->n_pins++; /* while we are at it */
        LIST_FOR_EACH(i, &d->resources)
        LIST_ENTRY(i, struct remote_resource, link)->is_marked = true;
        *ret = &l->told[l->n++];
        return 0;
}

/* "ocf://" and a UUID. */
static bool read_anchor(struct span link, struct uuid *ret) {
        struct span item, text;

        if (!rep_map_find(link, "anchor", &item) || !rep_as_text(item, &text) || text.n < 6 + 36 ||
            memcmp(text.data, "ocf://", 6) != 0 || (text.n > 42 && text.data[42] && text.data[42] != '/'))
                return false;
        return uuid_parse(ret, span_of(text.data + 6, 36));
}

static int learn_link(struct learning *l, struct span item, const struct uuid *of) {
        struct link link = { .policy = BM_DISCOVER | BM_OBSERVE };
        struct span policy, number;
        struct told *told;
        int64_t bm;
        int r;

        if (!read_anchor(item, &link.id) && !get_uuid(item, "di", &link.id)) {
                if (!of)
                        return 0;
                link.id = *of;
        }
        if (uuid_is_nil(&link.id) || !get_text(item, "href", REMOTE_HREF_MAX, &link.href) ||
            link.href.data[0] != '/')
                return 0;
        read_texts(item, "rt", &link.types);
        read_texts(item, "if", &link.interfaces);
        if (rep_map_find(item, "p", &policy) && rep_map_find(policy, "bm", &number) &&
            rep_as_int64(number, &bm))
                link.policy = (uint64_t)bm;
        r = obtain(l, &link.id, &told);
        if (r < 0 || !told)
                return r;
        if (!read_endpoints(item, l->from, &told->addresses))
                read_ports(item, l->from, &told->addresses);
        r = resource_learn(told->device, &link);
        if (!r && l->domain.data && !told->has_domain) {
                told->has_domain = true;
                r = set_text(told->device, &told->device->domain, l->domain, REMOTE_DOMAIN);
        }
        if (!r && span_equal_string(link.href, "/oic/d") && link.types.n && !told->has_types) {
                told->has_types = true;
                r = set_types(told->device, &link.types); /* /oic/d itself tells them to baseline alone */
        }
        return r;
}

static int learn_links(struct learning *l, struct span list, const struct uuid *of) {
        struct rep_token t;
        int r = 0;

        if (!rep_next(&list, &t) || t.type != REP_ARRAY)
                return 0;
        for (uint64_t i = 0; !r && i < t.value.n; i++) {
                struct span item;

                if (!rep_skip(&list, &item))
                        break;
                r = learn_link(l, item, of);
        }
        return r;
}

/* A map with links: of baseline, or of the layout of OIC 1.1, which has a di. */
static int learn_group(struct learning *l, struct span map) {
        struct uuid id;
        struct span links;
        bool has_id = get_uuid(map, "di", &id);
        int r;

        if (!rep_map_find(map, "links", &links))
                return 0;
        if (!get_text(map, "sdname", REMOTE_NAME_MAX, &l->domain))
                l->domain = SPAN_NULL;
        r = learn_links(l, links, has_id ? &id : NULL);
        l->domain = SPAN_NULL;
        return r;
}

static int learn_res(struct learning *l, struct span rep) {
        struct span list = rep;
        struct rep_token t;
        int r = 0;

        if (!rep_next(&list, &t))
                return 0;
        if (t.type == REP_MAP)
                return learn_group(l, rep);
        if (t.type != REP_ARRAY)
                return 0;
        for (uint64_t i = 0; !r && i < t.value.n; i++) {
                struct span item, links;

                if (!rep_skip(&list, &item))
                        break;
                r = rep_map_find(item, "links", &links) ? learn_group(l, item) : learn_link(l, item, NULL);
        }
        return r;
}

int remotes_learn_res(struct remotes *t, uint64_t now_ms, const struct coap_peer *from, struct span rep,
                      bool whole) {
        struct learning l = { .t = t, .now_ms = now_ms, .from = from, .whole = whole };
        int r = learn_res(&l, rep);

        for (size_t i = 0; i < l.n; i++) {
                struct remote_device *d = l.told[i].device;

                d->n_pins--;
                set_addresses(d, now_ms, from, &l.told[i].addresses);
                remote_answered(d, now_ms);
                LIST_FOR_EACH_SAFE(j, &d->resources) {
                        struct remote_resource *resource = LIST_ENTRY(j, struct remote_resource, link);

                        if (resource->is_marked && whole && !r)
                                remote_resource_remove(resource);
                        resource->is_marked = false;
                }
        }
        ocf_free(l.told);
        return r < 0 ? r : (int)l.n;
}

/* ---- /oic/sec/doxm ---- */

static uint8_t read_transfers(struct span rep) {
        struct rep_token t;
        struct span list;
        uint8_t bits = 0;

        if (!rep_map_find(rep, "oxms", &list) || !rep_next(&list, &t) || t.type != REP_ARRAY)
                return 0;
        for (uint64_t i = 0; i < t.value.n && i < 16; i++) {
                struct span one;
                int64_t n;

                if (!rep_skip(&list, &one))
                        break;
                if (rep_as_int64(one, &n) && n >= 0 && n < 3)
                        bits |= (uint8_t)(1u << n);
        }
        return bits;
}

int remotes_learn_doxm(struct remotes *t, uint64_t now_ms, const struct coap_peer *from,
                       const struct uuid *id, struct span rep) {
        const struct addresses none = { 0 };
        struct uuid named, owner = { 0 };
        struct remote_device *d;
        struct span item;
        int64_t sct = 0;
        uint8_t transfers;
        bool owned, is_new;
        int r;

        if (!get_uuid(rep, "deviceuuid", &named) || uuid_is_nil(&named) || (id && !uuid_equal(id, &named)) ||
            !rep_map_find(rep, "owned", &item) || !rep_as_bool(item, &owned))
                return 0;
        is_new = !remotes_find(t, &named);
        r = remotes_obtain(t, now_ms, &named, &d);
        if (r < 0 || !d)
                return r;
        (void)get_uuid(rep, "devowneruuid", &owner);
        if (rep_map_find(rep, "sct", &item))
                (void)rep_as_int64(item, &sct);
        transfers = read_transfers(rep);
        if (!d->knows_doxm || d->transfers != transfers || !uuid_equal(&owner, &d->owner))
                remote_news(d, REMOTE_OWNERSHIP);
        d->knows_doxm = true;
        d->transfers = transfers;
        d->owner = owner;
        d->sct = sct > 0 && sct <= UINT16_MAX ? (uint16_t)sct : 0;
        remote_set_ownership(d, !owned                        ? REMOTE_UNOWNED
                                : d->ownership == REMOTE_MINE ? REMOTE_MINE
                                                              : REMOTE_OTHERS);
        if (owned)
                remote_owned_by_us(d);
        if (is_new || !d->n_addresses)
                set_addresses(d, now_ms, from, &none);
        remote_answered(d, now_ms);
        return 1;
}

/* ---- /oic/d ---- */

int remotes_learn_device(struct remotes *t, uint64_t now_ms, const struct uuid *id, struct span rep) {
        struct remote_device *d = remotes_find(t, id);
        struct uuid said, piid;
        struct texts types;
        struct span text;
        int r = 0;

        if (!d || (get_uuid(rep, "di", &said) && !uuid_equal(&said, id)))
                return 0;
        read_texts(rep, "rt", &types);
        if (types.n)
                r = set_types(d, &types);
        if (!r && get_text(rep, "n", REMOTE_NAME_MAX, &text))
                r = set_text(d, &d->name, text, REMOTE_NAME);
        if (!r && get_text(rep, "icv", TEXT_MAX, &text))
                r = set_text(d, &d->icv, text, REMOTE_VERSIONS);
        if (get_uuid(rep, "piid", &piid) && !uuid_equal(&piid, &d->piid)) {
                d->piid = piid;
                remote_news(d, REMOTE_VERSIONS);
        }
        remote_answered(d, now_ms);
        return r ? r : 1;
}

/* ---- remembered ---- */

int remotes_restore(struct remotes *t, uint64_t now_ms, const struct uuid *id, const char *name,
                    const struct remote_address *addresses, size_t n_addresses, struct remote_device **ret) {
        int r = remotes_obtain(t, now_ms, id, ret);

        if (r < 0 || !*ret)
                return r;
        if (*name && is_plain(span_of_string(name), REMOTE_NAME_MAX))
                r = set_text(*ret, &(*ret)->name, span_of_string(name), REMOTE_NAME);
        if (n_addresses && n_addresses <= REMOTE_ADDRESSES_MAX) {
                memcpy((*ret)->addresses, addresses, n_addresses * sizeof(*addresses));
                (*ret)->n_addresses = n_addresses;
        }
        return r;
}
