/*
 * Any bytes as what a network tells of its devices: answers of discovery from a
 * few addresses, some by many, and what the daemon does with the table meanwhile.
 * The table is small, so that it is full soon. After each step it is in order; and who
 * only hears the news knows who is there, and hears nothing when nothing is new.
 *
 * One step after the other: a byte that says what and how, then as much as that takes.
 */
#include "fuzz.h"
#include "model/remote_private.h"

#include <string.h>

#define STEPS_MAX   256 /* more than that is slow, not new */
#define DEVICES_MAX 8
#define BYTES_MAX   8192u

enum step { STEP_RES, STEP_PART, STEP_DOXM, STEP_DEVICE, STEP_TIME, STEP_CHANGE, STEP_FIND, STEP_NEWS };

enum change { PIN, UNPIN, WORKS, FAILS, RENAME, FORGET, BY_HAND, SILENT };

#define KNOWN_MAX (4 * DEVICES_MAX) /* while news are told, those that went and those that came are there */

/* What somebody knows who hears the news alone. */
struct listener {
        struct known {
                struct uuid id;
                size_t n_resources;
        } known[KNOWN_MAX];
        size_t n;
};

struct network {
        struct remotes *table;
        uint64_t now_ms;
        struct span script;
        struct listener listener;
};

static uint8_t next(struct network *n) {
        uint8_t v = 0;

        (void)span_take_u8(&n->script, &v);
        return v;
}

static bool is_mine(void *context, const struct uuid *id) {
        return id->bytes[0] == 0xaa;
}

static struct coap_peer peer(unsigned how) {
        static const uint8_t ips[4][16] = {
                { [10] = 0xff, 0xff, 192, 0, 2, 1 },
                { [10] = 0xff, 0xff, 192, 0, 2, 2 },
                { 0xfe, 0x80, [15] = 1 },
                { 0xfd, [15] = 1 },
        };
        struct coap_peer p = { .remote_port = 5683, .interface = how & 4 ? 3 : 2, .channel = how & 8 };

        memcpy(p.remote_ip, ips[how & 3], 16);
        return p;
}

static struct remote_device *which(struct network *n) {
        struct remote_device *d = remotes_first(n->table);
        unsigned i = next(n) % DEVICES_MAX;

        while (d && i--)
                d = remotes_after(n->table, d);
        return d;
}

static void must_be_texts(char *const *texts) {
        size_t n = 0;

        for (; texts && texts[n]; n++)
                must_hold(*texts[n]);
        must_hold(n <= REMOTE_TYPES_MAX);
}

static size_t must_be_a_device(const struct remote_device *d) {
        size_t n = 0, n_bytes = d->n_bytes;

        must_hold(!uuid_is_nil(&d->id) && !d->is_gone);
        must_hold(remotes_find(d->table, &d->id) == d);
        must_hold(d->n_addresses <= REMOTE_ADDRESSES_MAX);
        must_hold(!d->name || (*d->name && strlen(d->name) <= REMOTE_NAME_MAX));
        must_hold(d->first_seen_ms <= d->last_seen_ms);
        must_be_texts(d->types);
        for (size_t i = 0; i < d->n_addresses; i++)
                must_hold(d->addresses[i].port);
        LIST_FOR_EACH(i, &d->resources) {
                struct remote_resource *r = LIST_ENTRY(i, struct remote_resource, link);

                must_hold(r->device == d && !r->is_gone && !r->is_marked);
                must_hold(*r->href == '/' && strlen(r->href) <= REMOTE_HREF_MAX);
                must_hold(remote_find(d, span_of_string(r->href)) == r);
                must_hold(remote_by_number(d, r->number) == r);
                must_be_texts(r->types);
                must_be_texts(r->interfaces);
                n_bytes += r->n_bytes;
                n++;
        }
        must_hold(n == d->n_resources);
        return n_bytes;
}

static void must_be_in_order(struct network *n) {
        size_t n_bytes = 0, n_devices = 0;

        for (struct remote_device *d = remotes_first(n->table); d; d = remotes_after(n->table, d)) {
                n_bytes += must_be_a_device(d);
                n_devices++;
        }
        must_hold(n_devices == remotes_count(n->table) && n_devices <= DEVICES_MAX);
        must_hold(n_bytes == remotes_bytes(n->table));
}

/* One of the other devices' ids, or a new one. */
static struct uuid another_id(struct network *n) {
        struct remote_device *d = next(n) & 1 ? which(n) : NULL;
        struct uuid id = { { next(n), [15] = 1 } };

        return d ? d->id : id;
}

static void change(struct network *n, enum change change) {
        struct remote_device *d = which(n);
        struct coap_peer p = peer(next(n));
        struct uuid id;

        if (!d)
                return;
        switch (change) {
        case PIN:
                remote_pin(d);
                break;
        case UNPIN:
                if (d->n_pins)
                        remote_unpin(d);
                break;
        case WORKS:
        case FAILS:
                remote_address_works(d, p.remote_ip, 5684, change == WORKS);
                break;
        case RENAME:
                id = another_id(n);
                must_hold(remote_rename(d, &id) == 0);
                must_hold(remotes_find(n->table, &id));
                break;
        case FORGET:
                remote_forget(d);
                break;
        case BY_HAND:
                d->by_hand = !d->by_hand;
                break;
        case SILENT:
                remote_was_silent(d, n->now_ms);
                break;
        }
}

static void find(struct network *n) {
        struct remote_device *d, *other;
        char name[40] = "";
        uint8_t length = next(n) % sizeof(name);
        struct span text;

        if (span_take(&n->script, length, &text))
                memcpy(name, text.data, text.n);
        d = remotes_find_by_name(n->table, name, &other);
        must_hold(!d || !other);
}

static struct known *known(struct listener *l, const struct uuid *id) {
        for (size_t i = 0; i < l->n; i++)
                if (uuid_equal(&l->known[i].id, id))
                        return &l->known[i];
        return NULL;
}

static void listen(struct listener *l, const struct remote_event *e) {
        struct known *k = known(l, &e->was);

        must_hold(e->device && e->news && (!e->resource || e->resource->device == e->device));
        must_hold(!(e->news & REMOTE_REMOVED) || e->news == REMOTE_REMOVED);
        if (e->news & REMOTE_ADDED && !e->resource) {
                must_hold(!k && l->n < KNOWN_MAX);
                l->known[l->n++] = (struct known){ .id = e->was };
                return;
        }
        must_hold(k);
        if (e->resource && e->news & REMOTE_ADDED)
                k->n_resources++;
        else if (e->resource && e->news & REMOTE_REMOVED)
                must_hold(k->n_resources--);
        else if (e->news & REMOTE_REMOVED) {
                must_hold(!k->n_resources);
                *k = l->known[--l->n];
        }
}

/* Return: how many there were. */
static unsigned news(struct network *n) {
        struct remote_event e;
        unsigned n_events = 0;

        while (remotes_event(n->table, &e)) {
                listen(&n->listener, &e);
                n_events++;
        }
        must_hold(n->listener.n == remotes_count(n->table));
        for (size_t i = 0; i < n->listener.n; i++) {
                struct remote_device *d = remotes_find(n->table, &n->listener.known[i].id);

                must_hold(d && d->n_resources == n->listener.known[i].n_resources);
        }
        return n_events;
}

/* The same once more says nothing new, unless there was no room for all. */
static void hear_again(struct network *n, const struct coap_peer *from, struct span rep) {
        uint64_t n_refused = remotes_refused(n->table);

        news(n);
        (void)remotes_learn_res(n->table, n->now_ms, from, rep, true);
        news(n);
        (void)remotes_learn_res(n->table, n->now_ms, from, rep, true);
        must_hold(!news(n) || remotes_refused(n->table) != n_refused);
}

static void hear(struct network *n, enum step step, unsigned how) {
        static uint8_t normal[1 << 17];
        struct writer w = writer_on(normal, sizeof(normal));
        struct remote_device *d = step == STEP_DEVICE ? which(n) : NULL;
        struct coap_peer from = peer(how);
        struct span bytes = n->script;
        uint16_t length = 0;

        (void)span_take_u16(&n->script, &length);
        if (!span_take(&n->script, length, &bytes))
                (void)span_take(&n->script, n->script.n, &bytes);
        if (rep_normalise_leniently(bytes, &w))
                return;
        bytes = writer_span(&w);
        if (step == STEP_DOXM)
                must_hold(remotes_learn_doxm(n->table, n->now_ms, &from, NULL, bytes) <= 1);
        else if (d)
                must_hold(remotes_learn_device(n->table, n->now_ms, &d->id, bytes) <= 1);
        else
                must_hold(remotes_learn_res(n->table, n->now_ms, &from, bytes, step == STEP_RES) >= 0);
        if (step == STEP_RES && how & 16)
                hear_again(n, &from, bytes);
}

static void walk(struct network *n) {
        uint8_t what = next(n);
        enum step step = what & 7;
        unsigned how = what >> 3;

        switch (step) {
        case STEP_RES:
        case STEP_PART:
        case STEP_DOXM:
        case STEP_DEVICE:
                hear(n, step, how);
                break;
        case STEP_TIME:
                n->now_ms += (uint64_t)next(n) << how / 2;
                if (how & 1)
                        remotes_expire(n->table, n->now_ms, 10000);
                break;
        case STEP_CHANGE:
                change(n, how & 7);
                break;
        case STEP_FIND:
                find(n);
                break;
        case STEP_NEWS:
                news(n);
                break;
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_data) {
        struct remotes_config config = { .n_devices = DEVICES_MAX,
                                         .n_resources = 16,
                                         .n_bytes = BYTES_MAX,
                                         .hash_key = { 1, 2 },
                                         .is_mine = is_mine };
        struct network n = { .now_ms = 1000, .script = span_of(data, n_data) };

        if (n_data > 32768 || remotes_new(&n.table, &config))
                return 0;
        for (unsigned i = 0; i < STEPS_MAX && n.script.n; i++) {
                walk(&n);
                must_be_in_order(&n);
        }
        while (remotes_first(n.table))
                remote_forget(remotes_first(n.table));
        news(&n);
        must_hold(remotes_bytes(n.table) == 0);
        remotes_free(n.table);
        return 0;
}
