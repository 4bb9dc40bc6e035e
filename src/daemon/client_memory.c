#include "base/memory.h"
#include "daemon/client_private.h"
#include "daemon/diag.h"

#include <net/if.h>
#include <string.h>

/*
 * What is remembered over a restart: the addresses that were added by hand, and
 * where the devices are that we own, or that were found there. Nothing in it is
 * believed more than an answer to discovery: a session shows who is at an
 * address. It is written lazily, and asked for anew when it is wrong.
 */

#define ROW         "remotes"
#define VERSION     1u
#define DEVICES_MAX 4096u
#define ROW_MAX     (512u * 1024u)
#define LOOK_GAP_MS 30000u /* between two rounds that begin by themselves */
#define LOOK_MS     5000u

static bool is_kept(const struct remote_device *d) {
        return (d->ownership == REMOTE_MINE || d->by_hand) && d->n_addresses;
}

static void put_text(struct writer *w, const char *text) {
        size_t n = text ? strlen(text) : 0;

        n = n < UINT8_MAX ? n : UINT8_MAX;
        writer_put_u8(w, (uint8_t)n);
        if (n)
                writer_put(w, text, n);
}

static bool take_text(struct span *s, size_t n_max, char *ret) {
        struct span text;
        uint8_t n;

        if (!span_take_u8(s, &n) || n >= n_max || !span_take(s, n, &text) || memchr(text.data, 0, n))
                return false;
        memcpy(ret, text.data, n);
        ret[n] = 0;
        return true;
}

/* ---- written ---- */

static void put_device(struct writer *w, const struct remote_device *d) {
        writer_put(w, d->id.bytes, 16);
        put_text(w, d->name);
        writer_put_u8(w, d->by_hand);
        writer_put_u8(w, (uint8_t)d->n_addresses);
        for (size_t i = 0; i < d->n_addresses; i++) {
                const struct remote_address *a = &d->addresses[i];
                char name[IF_NAMESIZE] = "";

                if (a->interface)
                        (void)if_indextoname(a->interface, name); /* its number may be another one by then */
                writer_put(w, a->ip, 16);
                writer_put_u16(w, a->port);
                writer_put_u8(w, (uint8_t)(a->secure | a->stream << 1 | a->proven << 2));
                put_text(w, name);
        }
}

void client_memory_save(struct client *c) {
        uint8_t *bytes = ocf_allocate(ROW_MAX, 1);
        struct writer w = writer_on(bytes, bytes ? ROW_MAX : 0);
        uint16_t n = 0;

        c->memory_is_stale = false;
        if (!bytes)
                return;
        writer_put_u32(&w, VERSION);
        writer_put_u16(&w, (uint16_t)c->n_addresses);
        for (size_t i = 0; i < c->n_addresses; i++)
                put_text(&w, c->addresses[i]);
        for (struct remote_device *d = remotes_first(c->remotes); d; d = remotes_after(c->remotes, d))
                n = (uint16_t)(n + (is_kept(d) && n < DEVICES_MAX));
        writer_put_u16(&w, n);
        for (struct remote_device *d = remotes_first(c->remotes); d && n; d = remotes_after(c->remotes, d))
                if (is_kept(d)) {
                        put_device(&w, d);
                        n--;
                }
        if (!w.overflow) {
                const struct store_change change = { 0, ROW, writer_span(&w) };

                (void)store_commit_lazy(c->daemon->store, &change, 1);
        }
        ocf_free(bytes);
}

/* ---- read ---- */

static bool take_device(struct client *c, struct span *s) {
        struct remote_address addresses[REMOTE_ADDRESSES_MAX];
        char name[UINT8_MAX + 1], interface[IF_NAMESIZE];
        uint8_t n, by_hand, flags;
        struct remote_device *d;
        struct uuid id;
        size_t n_good = 0;
        struct span item;

        if (!span_take(s, 16, &item))
                return false;
        memcpy(id.bytes, item.data, 16);
        if (!take_text(s, sizeof(name), name) || !span_take_u8(s, &by_hand) || !span_take_u8(s, &n) ||
            n > REMOTE_ADDRESSES_MAX)
                return false;
        for (size_t i = 0; i < n; i++) {
                struct remote_address *a = &addresses[n_good];

                *a = (struct remote_address){ 0 };
                if (!span_take(s, 16, &item) || !span_take_u16(s, &a->port) || !span_take_u8(s, &flags) ||
                    !take_text(s, sizeof(interface), interface))
                        return false;
                memcpy(a->ip, item.data, 16);
                a->secure = flags & 1;
                a->stream = flags & 2;
                a->proven = flags & 4;
                if (*interface)
                        a->interface = if_nametoindex(interface);
                n_good += !*interface || a->interface;
        }
        if (remotes_restore(c->remotes, client_now(c), &id, name, addresses, n_good, &d) < 0)
                return false;
        if (d)
                d->by_hand = by_hand;
        return true;
}

static bool take_all(struct client *c, struct span s) {
        char address[UINT8_MAX + 1];
        uint32_t version;
        uint16_t n;

        if (!span_take_u32(&s, &version) || version != VERSION || !span_take_u16(&s, &n) ||
            n > CLIENT_ADDRESSES_MAX)
                return false;
        c->addresses = ocf_allocate(CLIENT_ADDRESSES_MAX, sizeof(*c->addresses));
        for (size_t i = 0; i < n; i++) {
                if (!c->addresses || !take_text(&s, sizeof(address), address))
                        return false;
                c->addresses[c->n_addresses] = ocf_duplicate_string(address);
                if (!c->addresses[c->n_addresses++])
                        return false;
        }
        if (!span_take_u16(&s, &n))
                return false;
        for (size_t i = 0; i < n; i++)
                if (!take_device(c, &s))
                        return false;
        return !s.n;
}

/* What is ours is there from the start, even if nobody knows where. */
static void add_owned(struct client *c) {
        const struct uuid *ids;
        size_t n = keyring_devices(tool_keyring(c->daemon->tool), &ids);
        struct remote_device *d;

        for (size_t i = 0; i < n; i++)
                if (!remotes_find(c->remotes, &ids[i]))
                        (void)remotes_restore(c->remotes, client_now(c), &ids[i], "", NULL, 0, &d);
}

void client_memory_load(struct client *c) {
        uint8_t *bytes;
        size_t n;
        int r = store_get(c->daemon->store, 0, ROW, &bytes, &n);

        if (!r) {
                if (!take_all(c, span_of(bytes, n)))
                        diag_log(LOG_WARNING,
                                 "Where other devices are was not remembered whole: ocfctl discover "
                                 "looks for them");
                ocf_free(bytes);
        }
        add_owned(c);
        c->memory_is_stale = false;
        if (remotes_count(c->remotes) || c->n_addresses)
                client_look(c);
}

void client_note(struct client *c, const struct remote_event *e) {
        unsigned of_interest = REMOTE_NAME | REMOTE_OWNERSHIP | REMOTE_ADDRESSES | REMOTE_REMOVED;

        if (!e->resource && e->news & of_interest && (e->news & REMOTE_REMOVED || is_kept(e->device)))
                c->memory_is_stale = true;
}

/* ---- looking again ---- */

static void on_looked(void *context, enum fault fault, const char *text, const struct uuid *devices,
                      size_t n_devices) {
        /* whatever was heard is known by now */
}

/* Something is not where it was. */
void client_look(struct client *c) {
        uint64_t now_ms = client_now(c);

        if (c->round.is_running || (c->looked_ms && now_ms - c->looked_ms < LOOK_GAP_MS))
                return;
        c->looked_ms = now_ms;
        (void)client_discover(c, LOOK_MS, on_looked, c);
}
