#include "model/remote_private.h"
#include "base/memory.h"
#include "model/endpoint_text.h"
#include "protocol/coap_siphash.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define SILENT_MAX 3u

/* ---- events ---- */

void remote_news(struct remote_device *d, unsigned news) {
        d->news |= news;
        if (!list_is_linked(&d->dirty_link))
                list_link_tail(&d->table->dirty_devices, &d->dirty_link);
}

static void device_gone(struct remote_device *d) {
        d->is_gone = true;
        d->table->n_bytes -= d->n_bytes;
        list_unlink(&d->dirty_link);
        list_link_tail(&d->table->gone_devices, &d->dirty_link);
}

void remote_resource_news(struct remote_resource *r, unsigned news) {
        r->news |= news;
        if (!list_is_linked(&r->dirty_link))
                list_link_tail(&r->device->table->dirty_resources, &r->dirty_link);
}

static void resource_free(struct remote_resource *r) {
        if (!r)
                return;
        list_unlink(&r->link);
        list_unlink(&r->dirty_link);
        ocf_free(r);
}

static void device_free(struct remote_device *d) {
        if (!d)
                return;
        list_unlink(&d->dirty_link);
        ocf_free(d->name);
        ocf_free(d->icv);
        ocf_free(d->domain);
        ocf_free(d->types);
        ocf_free(d);
}

static struct remote_device *take_device(struct list *l) {
        struct remote_device *d = LIST_ENTRY(list_first(l), struct remote_device, dirty_link);

        list_unlink(&d->dirty_link);
        return d;
}

static struct remote_resource *take_resource(struct list *l) {
        struct remote_resource *r = LIST_ENTRY(list_first(l), struct remote_resource, dirty_link);

        list_unlink(&r->dirty_link);
        return r;
}

/* What is gone, and nobody had heard of, is not told. */
static bool resource_went(struct remotes *t, struct remote_event *ret) {
        while (!list_is_empty(&t->gone_resources)) {
                struct remote_resource *r = take_resource(&t->gone_resources);

                if (r->news & REMOTE_ADDED) {
                        resource_free(r);
                        continue;
                }
                *ret = (struct remote_event){
                        .device = r->device, .resource = r, .news = REMOTE_REMOVED, .was = r->device->id
                };
                t->told_resource = r;
                return true;
        }
        return false;
}

static bool device_went(struct remotes *t, struct remote_event *ret) {
        while (!list_is_empty(&t->gone_devices)) {
                struct remote_device *d = take_device(&t->gone_devices);

                if (d->news & REMOTE_ADDED) {
                        device_free(d);
                        continue;
                }
                *ret = (struct remote_event){ .device = d, .news = REMOTE_REMOVED, .was = d->id };
                t->told_device = d;
                return true;
        }
        return false;
}

/* A device's resources go before it and come after it; and what went is told before what came, since an id or
 * a path may be there again. */
bool remotes_event(struct remotes *t, struct remote_event *ret) {
        resource_free(t->told_resource);
        t->told_resource = NULL;
        device_free(t->told_device);
        t->told_device = NULL;
        if (resource_went(t, ret) || device_went(t, ret))
                return true;
        if (!list_is_empty(&t->dirty_devices)) {
                struct remote_device *d = take_device(&t->dirty_devices);

                *ret = (struct remote_event){ .device = d, .news = d->news, .was = d->id };
                d->news = 0;
                return true;
        }
        if (!list_is_empty(&t->dirty_resources)) {
                struct remote_resource *r = take_resource(&t->dirty_resources);

                *ret = (struct remote_event){
                        .device = r->device, .resource = r, .news = r->news, .was = r->device->id
                };
                r->news = 0;
                return true;
        }
        return false;
}

/* ---- the table ---- */

static struct list *bucket_of(const struct remotes *t, const struct uuid *id) {
        return &t->buckets[coap_siphash(t->config.hash_key, span_of(id->bytes, 16)) & t->mask];
}

struct remote_device *remotes_find(const struct remotes *t, const struct uuid *id) {
        LIST_FOR_EACH(i, bucket_of(t, id)) {
                struct remote_device *d = LIST_ENTRY(i, struct remote_device, bucket_link);

                if (uuid_equal(&d->id, id))
                        return d;
        }
        return NULL;
}

void remote_resource_remove(struct remote_resource *r) {
        r->is_gone = true;
        list_unlink(&r->link);
        r->device->n_resources--;
        r->device->table->n_bytes -= r->n_bytes;
        list_unlink(&r->dirty_link);
        list_link_tail(&r->device->table->gone_resources, &r->dirty_link);
}

void remote_forget(struct remote_device *d) {
        struct remotes *t = d->table;

        LIST_FOR_EACH_SAFE(i, &d->resources)
        remote_resource_remove(LIST_ENTRY(i, struct remote_resource, link));
        list_unlink(&d->link);
        list_unlink(&d->bucket_link);
        t->n_devices--;
        device_gone(d);
}

static bool is_mine(const struct remote_device *d) {
        const struct remotes_config *c = &d->table->config;

        return c->is_mine && c->is_mine(c->context, &d->id);
}

/* Ours is ours, whatever it is told to say of its owner: anybody could have said it. */
bool remote_is_needed(const struct remote_device *d) {
        return d->n_pins || d->by_hand || d->ownership == REMOTE_MINE || is_mine(d);
}

/* Room for one more: who was not heard for longest goes, unless somebody needs it. */
static bool make_room(struct remotes *t) {
        struct remote_device *oldest = NULL;

        if (t->n_devices < t->config.n_devices && t->n_bytes < t->config.n_bytes)
                return true;
        LIST_FOR_EACH(i, &t->devices) {
                struct remote_device *d = LIST_ENTRY(i, struct remote_device, link);

                if ((!oldest || d->last_seen_ms < oldest->last_seen_ms) && !remote_is_needed(d))
                        oldest = d;
        }
        t->n_refused++;
        if (!oldest)
                return false;
        remote_forget(oldest);
        return t->n_bytes < t->config.n_bytes;
}

int remotes_obtain(struct remotes *t, uint64_t now_ms, const struct uuid *id, struct remote_device **ret) {
        struct remote_device *d = remotes_find(t, id);

        *ret = d;
        if (d)
                return 0;
        if (!make_room(t))
                return 0;
        d = ocf_new(struct remote_device);
        if (!d)
                return -ENOMEM;
        d->table = t;
        d->id = *id;
        d->first_seen_ms = d->last_seen_ms = now_ms;
        d->n_bytes = sizeof(*d);
        list_init(&d->resources);
        list_init(&d->dirty_link);
        list_link_tail(&t->devices, &d->link);
        list_link_tail(bucket_of(t, id), &d->bucket_link);
        t->n_devices++;
        t->n_bytes += d->n_bytes;
        remote_owned_by_us(d);
        remote_news(d, REMOTE_ADDED);
        *ret = d;
        return 0;
}

struct remote_resource *remote_find(const struct remote_device *d, struct span href) {
        LIST_FOR_EACH(i, &d->resources) {
                struct remote_resource *r = LIST_ENTRY(i, struct remote_resource, link);

                if (span_equal_string(href, r->href))
                        return r;
        }
        return NULL;
}

struct remote_resource *remote_by_number(const struct remote_device *d, uint32_t number) {
        LIST_FOR_EACH(i, &d->resources) {
                struct remote_resource *r = LIST_ENTRY(i, struct remote_resource, link);

                if (r->number == number)
                        return r;
        }
        return NULL;
}

struct remote_device *remotes_first(const struct remotes *t) {
        return list_is_empty(&t->devices) ? NULL : LIST_ENTRY(t->devices.next, struct remote_device, link);
}

struct remote_device *remotes_after(const struct remotes *t, const struct remote_device *d) {
        return d->link.next == &t->devices ? NULL : LIST_ENTRY(d->link.next, struct remote_device, link);
}

size_t remotes_count(const struct remotes *t) {
        return t->n_devices;
}

size_t remotes_bytes(const struct remotes *t) {
        return t->n_bytes;
}

uint64_t remotes_refused(const struct remotes *t) {
        return t->n_refused;
}

/* The digits that a UUID begins with, without its dashes. */
static bool begins_with(const char *id, const char *prefix) {
        for (; *prefix; prefix++) {
                if (*prefix == '-')
                        continue;
                while (*id == '-')
                        id++;
                if (!*id || tolower((unsigned char)*prefix) != *id)
                        return false;
                id++;
        }
        return true;
}

static bool could_be_prefix(const char *s) {
        size_t n_digits = 0;

        for (; *s; s++) {
                if (!isxdigit((unsigned char)*s) && *s != '-')
                        return false;
                n_digits += *s != '-';
        }
        return n_digits >= 4 && n_digits <= 32;
}

struct remote_device *remotes_find_by_name(const struct remotes *t, const char *name,
                                           struct remote_device **ret_others) {
        struct remote_device *one = NULL, *other = NULL;
        bool is_prefix, is_name = true;
        struct uuid id;

        *ret_others = NULL;
        if (strncmp(name, "ocf://", 6) == 0) {
                name += 6;
                is_name = false;
        }
        if (uuid_parse(&id, span_of_string(name)))
                return remotes_find(t, &id);
        is_prefix = could_be_prefix(name);
        LIST_FOR_EACH(i, &t->devices) {
                struct remote_device *d = LIST_ENTRY(i, struct remote_device, link);
                char text[UUID_TEXT_MAX];

                if (!(is_name && d->name && strcmp(d->name, name) == 0) &&
                    !(is_prefix && begins_with(uuid_format(&d->id, text), name)))
                        continue;
                other = one;
                one = d;
        }
        *ret_others = other;
        return other ? NULL : one;
}

/* ---- what changes ---- */

static void set_reachable(struct remote_device *d, bool reachable) {
        if (d->reachable == reachable)
                return;
        d->reachable = reachable;
        remote_news(d, REMOTE_REACHABLE);
}

void remote_answered(struct remote_device *d, uint64_t now_ms) {
        d->last_seen_ms = now_ms;
        d->n_silent = 0;
        set_reachable(d, true);
}

void remote_was_silent(struct remote_device *d, uint64_t now_ms) {
        d->last_asked_ms = now_ms;
        if (++d->n_silent >= SILENT_MAX)
                set_reachable(d, false);
}

void remote_address_works(struct remote_device *d, const uint8_t ip[16], uint16_t port, bool works) {
        for (size_t i = 0; i < d->n_addresses; i++) {
                struct remote_address a = d->addresses[i];
                size_t to = works ? 0 : d->n_addresses - 1;

                if (memcmp(a.ip, ip, 16) != 0 || a.port != port || !a.secure)
                        continue;
                a.proven = works;
                if (works)
                        memmove(&d->addresses[1], &d->addresses[0], i * sizeof(a));
                else
                        memmove(&d->addresses[i], &d->addresses[i + 1], (to - i) * sizeof(a));
                d->addresses[to] = a;
                if (i != to)
                        remote_news(d, REMOTE_ADDRESSES);
                return;
        }
}

void remote_pin(struct remote_device *d) {
        d->n_pins++;
}

void remote_unpin(struct remote_device *d) {
        if (d->n_pins) /* it may have been forgotten, and heard again, in between */
                d->n_pins--;
}

void remote_set_ownership(struct remote_device *d, enum remote_ownership ownership) {
        if (d->ownership == ownership)
                return;
        d->ownership = ownership;
        remote_news(d, REMOTE_OWNERSHIP);
}

void remote_owned_by_us(struct remote_device *d) {
        bool mine = is_mine(d);

        if (mine && d->ownership != REMOTE_UNOWNED) /* it may have been reset by somebody: then it says so */
                remote_set_ownership(d, REMOTE_MINE);
        else if (!mine && d->ownership == REMOTE_MINE)
                remote_set_ownership(d, REMOTE_UNKNOWN);
}

void remote_is_owned(struct remote_device *d) {
        if (d->ownership == REMOTE_UNOWNED)
                remote_set_ownership(d, REMOTE_OTHERS);
}

/* The new one takes the place of the old one: nobody is pushed out for it. */
static int obtain_instead(struct remote_device *d, const struct uuid *id, struct remote_device **ret) {
        struct remotes *t = d->table;
        int r;

        t->n_devices--;
        t->n_bytes -= d->n_bytes;
        d->n_pins++;
        r = remotes_obtain(t, d->last_seen_ms, id, ret);
        d->n_pins--;
        t->n_bytes += d->n_bytes;
        t->n_devices++;
        return r < 0 ? r : *ret ? 0 : -ENOMEM;
}

/* What it is called and how it is reached; the texts are the new one's from now on, and charged to it. */
static void move_what_is_known(struct remote_device *new, struct remote_device *d) {
        size_t n_bytes = d->n_bytes - sizeof(*d);

        new->name = d->name;
        new->icv = d->icv;
        new->domain = d->domain;
        new->types = d->types;
        d->name = d->icv = d->domain = NULL;
        d->types = NULL;
        new->n_bytes += n_bytes;
        d->n_bytes -= n_bytes;
        new->piid = d->piid;
        new->transfers = d->transfers;
        new->sct = d->sct;
        new->knows_doxm = d->knows_doxm;
        new->owner = d->owner;
        new->reachable = d->reachable;
        new->by_hand = d->by_hand;
        memcpy(new->addresses, d->addresses, sizeof(new->addresses));
        new->n_addresses = d->n_addresses;
        if (new->ownership == REMOTE_UNKNOWN)
                remote_set_ownership(new, d->ownership == REMOTE_MINE ? REMOTE_OTHERS : d->ownership);
}

/* There is room for the copies: the old ones go. */
static int copy_resources(struct remote_device *new, struct remote_device *d) {
        struct remotes *t = d->table;
        size_t n_bytes = d->n_bytes;
        int r = 0;

        LIST_FOR_EACH(i, &d->resources)
        n_bytes += LIST_ENTRY(i, struct remote_resource, link)->n_bytes;
        t->n_bytes -= n_bytes;
        LIST_FOR_EACH(i, &d->resources)
        r = r ? r : remote_resource_copy(new, LIST_ENTRY(i, struct remote_resource, link));
        t->n_bytes += n_bytes;
        return r;
}

int remote_rename(struct remote_device *d, const struct uuid *id) {
        struct remotes *t = d->table;
        struct remote_device *new, *other = remotes_find(t, id);
        int r;

        if (uuid_equal(&d->id, id))
                return 0;
        if (other)
                remote_forget(other);
        r = obtain_instead(d, id, &new);
        if (r < 0)
                return r;
        r = copy_resources(new, d);
        if (r < 0) {
                remote_forget(new);
                return r;
        }
        move_what_is_known(new, d);
        remote_forget(d);
        return 0;
}

void remotes_expire(struct remotes *t, uint64_t now_ms, uint64_t after_ms) {
        LIST_FOR_EACH_SAFE(i, &t->devices) {
                struct remote_device *d = LIST_ENTRY(i, struct remote_device, link);

                if (!remote_is_needed(d) && now_ms - d->last_seen_ms >= after_ms)
                        remote_forget(d);
        }
}

const char *remote_address_format(const struct remote_address *a, const char *zone,
                                  char buf[static REMOTE_ADDRESS_TEXT]) {
        char ip[ENDPOINT_TEXT_MAX];
        bool v4 = ip_is_v4(a->ip);

        snprintf(buf, REMOTE_ADDRESS_TEXT, "coap%s%s://%s%s%s%s%s:%u", a->secure ? "s" : "",
                 a->stream ? "+tcp" : "", v4 ? "" : "[", ip_format(a->ip, ip),
                 zone && a->interface ? "%" : "", zone && a->interface ? zone : "", v4 ? "" : "]", a->port);
        return buf;
}

/* ---- made and freed ---- */

int remotes_new(struct remotes **ret, const struct remotes_config *config) {
        struct remotes *t = ocf_new(struct remotes);

        if (!t)
                return -ENOMEM;
        t->config = *config;
        list_init(&t->devices);
        list_init(&t->dirty_devices);
        list_init(&t->dirty_resources);
        list_init(&t->gone_devices);
        list_init(&t->gone_resources);
        t->mask = 63;
        while (t->mask < config->n_devices)
                t->mask = 2 * t->mask + 1;
        t->buckets = ocf_allocate(t->mask + 1, sizeof(*t->buckets));
        if (!t->buckets) {
                ocf_free(t);
                return -ENOMEM;
        }
        for (size_t i = 0; i <= t->mask; i++)
                list_init(&t->buckets[i]);
        *ret = t;
        return 0;
}

struct remotes *remotes_free(struct remotes *t) {
        struct remote_event e;

        if (!t)
                return NULL;
        while (!list_is_empty(&t->devices))
                remote_forget(LIST_ENTRY(list_first(&t->devices), struct remote_device, link));
        while (remotes_event(t, &e))
                ;
        ocf_free(t->buckets);
        return ocf_free(t);
}
