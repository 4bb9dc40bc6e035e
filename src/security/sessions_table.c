#include "base/memory.h"
#include "security/crypto.h"
#include "security/sessions_private.h"

#include <errno.h>
#include <string.h>

#define SESSION_NUMBERS    0x80000000u /* connections have those below */
#define EVICT_HANDSHAKE_MS 100u        /* one that is younger is not pushed out by another */
#define HANDSHAKING_MS     5000u

/*
 * Who is there: the tables, who is let into them and who goes when they are full.
 */

/* ---- tables ---- */

struct coap_peer sessions_address_of(const struct coap_peer *peer) {
        struct coap_peer address = *peer;

        address.channel = 0;
        return address;
}

static struct list *address_bucket(const struct sessions *s, const struct coap_peer *address) {
        return &s->by_address[coap_siphash(s->hash_key, span_of(address, sizeof(*address))) & s->mask];
}

static struct list *number_bucket(const struct sessions *s, const struct coap_peer *peer) {
        return &s->by_number[(peer->channel * 2u + peer->stream) & s->mask];
}

struct session *sessions_find_any(struct sessions *s, const struct coap_peer *peer) {
        LIST_FOR_EACH(i, number_bucket(s, peer)) {
                struct session *c = LIST_ENTRY(i, struct session, number_link);

                if (c->peer.channel == peer->channel && c->peer.stream == peer->stream)
                        return c;
        }
        return NULL;
}

struct session *sessions_find(struct sessions *s, const struct coap_peer *peer) {
        struct session *c = sessions_find_any(s, peer);

        return c && c->is_open ? c : NULL;
}

struct session *sessions_find_stream(struct sessions *s, const struct coap_peer *peer) {
        LIST_FOR_EACH(i, number_bucket(s, peer)) {
                struct session *c = LIST_ENTRY(i, struct session, number_link);

                if (c->peer.channel == peer->channel && c->peer.stream)
                        return c;
        }
        return NULL;
}

/* At most two at one address: one that is open, and one on the way to take its place. */
struct session *sessions_find_at(struct sessions *s, const struct coap_peer *address, bool is_open) {
        LIST_FOR_EACH(i, address_bucket(s, address)) {
                struct session *c = LIST_ENTRY(i, struct session, address_link);
                struct coap_peer its = sessions_address_of(&c->peer);

                if (c->is_open == is_open && coap_peer_equal(&its, address))
                        return c;
        }
        return NULL;
}

struct session *sessions_open_at(struct sessions *s, const struct coap_peer *peer) {
        struct coap_peer address = sessions_address_of(peer);

        return peer->stream ? sessions_find(s, peer) : sessions_find_at(s, &address, true);
}

/* Over IPv6 everybody has 2^64 addresses. */
static void group_of(const struct coap_peer *peer, uint8_t ret[16]) {
        memcpy(ret, peer->remote_ip, 16);
        if (!coap_peer_is_ipv4(peer))
                memset(ret + 8, 0, 8);
}

/* ---- lives ---- */

struct session *sessions_free_one(struct session *c) {
        if (!c)
                return NULL;
        tls_free(c->tls);
        svr_session_deinit(&c->svr);
        sessions_connecting_free(c->connecting);
        ocf_free(c->early);
        return ocf_free(c);
}

void sessions_put_loose(struct sessions *s, const struct coap_peer *to, const uint8_t *bytes, size_t n) {
        struct loose *l = &s->loose[(s->first_loose + s->n_loose) % SESSIONS_LOOSE_N];

        if (s->n_loose == SESSIONS_LOOSE_N || n > SESSIONS_LOOSE_MAX)
                return; /* its receiver asks again */
        s->n_loose++;
        l->to = *to;
        l->n = n;
        memcpy(l->bytes, bytes, n);
}

/* Its last word goes out without it. */
static void take_last_word(struct sessions *s, struct session *c, uint64_t now_ms) {
        uint8_t bytes[TLS_RECORD_MAX];
        size_t n;

        if (c->tls)
                while ((n = tls_transmit(c->tls, now_ms, bytes, sizeof(bytes))) > 0)
                        sessions_put_loose(s, &c->peer, bytes, n);
}

/* It is out of all tables; the event of it is the last that is seen of it. */
void sessions_drop(struct sessions *s, struct session *c) {
        list_unlink(&c->order_link);
        list_unlink(&c->address_link);
        list_unlink(&c->number_link);
        list_unlink(&c->timed_link);
        list_unlink(&c->talking_link);
        list_unlink(&c->work_link);
        sessions_forget_work(c);
        for (size_t i = 0; i < ARRAY_SIZE(s->reading); i++)
                if (s->reading[i].session == c)
                        s->reading[i].session = NULL;
        if (s->data_of == c)
                s->data_of = NULL;
        s->n_all--;
        if (c->is_open)
                s->counts.n_open--;
        else
                s->counts.n_handshakes--;
        list_link_tail(&s->gone, &c->order_link);
}

void sessions_end(struct sessions *s, struct session *c, uint64_t now_ms) {
        if (c->tls && c->tls->state != TLS_CLOSED)
                tls_close(c->tls);
        take_last_word(s, c, now_ms);
        sessions_drop(s, c);
}

void sessions_close(struct sessions *s, struct session *session) {
        sessions_end(s, session, session->last_ms);
}

struct session *sessions_oldest(const struct list *l) {
        return list_is_empty(l) ? NULL : LIST_ENTRY(l->next, struct session, order_link);
}

static void evict(struct sessions *s, struct session *c, uint64_t now_ms) {
        s->counts.n_evicted++;
        sessions_end(s, c, now_ms);
}

/* ---- room ---- */

/* Where somebody has proven who he is, lately. */
static bool is_proven(const struct sessions *s, const uint8_t group[16]) {
        for (size_t i = 0; i < ocf_min_u64(s->n_proven, SESSIONS_PROVEN_N); i++)
                if (memcmp(s->proven[i], group, 16) == 0)
                        return true;
        return false;
}

void sessions_remember(struct sessions *s, const struct session *c) {
        if (!uuid_is_nil(&c->svr.id) && !is_proven(s, c->group))
                memcpy(s->proven[s->n_proven++ % SESSIONS_PROVEN_N], c->group, 16);
}

/* Of the handshakes: how many of this group; and those of nobody whom we know or asked, the oldest first. */
struct crowd {
        uint32_t n_group, n;
        struct session *oldest;
};

static struct crowd look_at_crowd(const struct sessions *s, const uint8_t group[16]) {
        struct crowd crowd = { 0 };

        LIST_FOR_EACH(i, &s->handshakes) {
                struct session *c = LIST_ENTRY(i, struct session, order_link);

                crowd.n_group += memcmp(c->group, group, 16) == 0;
                if (c->is_client || c->is_expected)
                        continue;
                crowd.oldest = crowd.oldest ? crowd.oldest : c;
                crowd.n++;
        }
        return crowd;
}

static bool is_young(const struct session *c, uint64_t now_ms) {
        return now_ms - c->opened_ms < EVICT_HANDSHAKE_MS;
}

/*
 * Room for one more handshake. Strangers who begin and say no more, from however many addresses, get three
 * quarters of it, and each a moment; the rest is ours, and of where somebody is known. Somebody's session
 * goes for a few of them alone, and who has proven nothing goes first.
 */
bool sessions_make_room(struct sessions *s, const struct coap_peer *peer, bool is_ours, uint64_t now_ms) {
        uint32_t n_max = s->config.n_handshakes;
        struct crowd crowd;
        struct session *c;
        uint8_t group[16];

        group_of(peer, group);
        crowd = look_at_crowd(s, group);
        if (crowd.n_group >= s->config.n_per_address)
                return false;
        if (is_ours || is_proven(s, group) ? s->counts.n_handshakes >= n_max : crowd.n >= n_max - n_max / 4) {
                if (!crowd.oldest || is_young(crowd.oldest, now_ms))
                        return false;
                evict(s, crowd.oldest, now_ms);
        }
        if (s->n_all < s->config.n_max)
                return true;
        c = sessions_oldest(&s->strangers);
        if (!c && s->counts.n_handshakes > s->config.n_max / 16) {
                c = sessions_oldest(&s->handshakes);
                if (is_young(c, now_ms))
                        return false;
        }
        if (!c)
                c = sessions_oldest(&s->known);
        if (!c)
                return false;
        evict(s, c, now_ms);
        return true;
}

struct session *sessions_add(struct sessions *s, const struct coap_peer *peer, uint64_t now_ms) {
        struct coap_peer address = sessions_address_of(peer);
        struct session *c = ocf_new(struct session);

        if (!c)
                return NULL;
        c->table = s;
        c->peer = *peer;
        c->credid = CRED_ID_NONE;
        c->opened_ms = c->last_ms = now_ms;
        group_of(peer, c->group);
        c->is_expected = is_proven(s, c->group);
        if (!peer->stream)
                c->peer.channel = SESSION_NUMBERS | ++s->last_number;
        list_init(&c->timed_link);
        list_init(&c->talking_link);
        list_init(&c->work_link);
        list_link_tail(&s->handshakes, &c->order_link);
        list_link_tail(number_bucket(s, &c->peer), &c->number_link);
        if (peer->stream) {
                list_init(&c->address_link);
                s->timed_due =
                        ocf_min_u64(s->timed_due, now_ms + SESSIONS_HANDSHAKE_MS); /* it may say nothing */
        } else {
                list_link_tail(address_bucket(s, &address), &c->address_link);
        }
        s->n_all++;
        s->counts.n_handshakes++;
        return c;
}

/* ---- ends that come from elsewhere ---- */

#define FOR_EACH_SESSION(s, body)                                                                            \
        do {                                                                                                 \
                struct list *const lists[] = { &(s)->handshakes, &(s)->strangers, &(s)->known };             \
                                                                                                             \
                for (size_t i_list = 0; i_list < ARRAY_SIZE(lists); i_list++)                                \
                        LIST_FOR_EACH_SAFE(i, lists[i_list]) {                                               \
                                struct session *c = LIST_ENTRY(i, struct session, order_link);               \
                                                                                                             \
                                body                                                                         \
                        }                                                                                    \
        } while (0)

void sessions_close_device(struct sessions *s, uint16_t device) {
        FOR_EACH_SESSION(s, {
                if (c->peer.device == device)
                        sessions_end(s, c, c->last_ms);
        });
}

void sessions_check(struct sessions *s, uint16_t device) {
        const struct svr *svr = s->config.host.svr(s->config.host.context, device);

        FOR_EACH_SESSION(s, {
                if (c->peer.device == device && c->is_open && (!svr || !sessions_still_holds(svr, c)))
                        sessions_end(s, c, c->last_ms);
        });
}

void sessions_forget_local(struct sessions *s, const uint8_t *ip, uint32_t interface) {
        FOR_EACH_SESSION(s, {
                if (ip ? memcmp(c->peer.local_ip, ip, 16) == 0 : c->peer.interface == interface && interface)
                        sessions_drop(s, c);
        });
}

bool sessions_handshaking(const struct sessions *s, uint16_t device, uint64_t now_ms) {
        LIST_FOR_EACH(i, &s->handshakes) {
                const struct session *c = LIST_ENTRY(i, struct session, order_link);

                if (c->peer.device == device && !c->is_client && now_ms - c->opened_ms < HANDSHAKING_MS)
                        return true;
        }
        return false;
}

uint64_t sessions_deadline(const struct sessions *s) {
        const struct session *stranger = sessions_oldest(&s->strangers), *known = sessions_oldest(&s->known);
        uint64_t due = s->timed_due;

        if (stranger)
                due = ocf_min_u64(due, stranger->last_ms + s->config.idle_ms);
        if (known)
                due = ocf_min_u64(due, known->last_ms + s->config.idle_ms);
        LIST_FOR_EACH(i, &s->handshakes) {
                const struct session *c = LIST_ENTRY(i, struct session, order_link);

                if (!c->tls) {
                        due = ocf_min_u64(due, c->opened_ms + SESSIONS_HANDSHAKE_MS);
                        break; /* the others are younger */
                }
        }
        return list_is_empty(&s->gone) ? due : 0;
}

void sessions_counts(const struct sessions *s, struct sessions_counts *ret) {
        *ret = s->counts;
}

const struct session *sessions_first(const struct sessions *s) {
        const struct session *c = sessions_oldest(&s->strangers);

        return c ? c : sessions_oldest(&s->known);
}

const struct session *sessions_after(const struct sessions *s, const struct session *session) {
        struct list *next = session->order_link.next;

        if (next == &s->strangers)
                return sessions_oldest(&s->known);
        return next == &s->known ? NULL : LIST_ENTRY(next, struct session, order_link);
}

/* ---- made and freed ---- */

int sessions_new(struct sessions **ret, const struct sessions_config *config) {
        struct sessions *s = ocf_new(struct sessions);

        if (!s)
                return -ENOMEM;
        s->config = *config;
        list_init(&s->strangers);
        list_init(&s->known);
        list_init(&s->handshakes);
        list_init(&s->timed);
        list_init(&s->talking);
        list_init(&s->gone);
        list_init(&s->with_work);
        list_init(&s->worked);
        s->timed_due = OCF_NEVER;
        s->mask = 63;
        while (s->mask < config->n_max)
                s->mask = 2 * s->mask + 1;
        s->by_address = ocf_allocate(s->mask + 1, sizeof(*s->by_address));
        s->by_number = ocf_allocate(s->mask + 1, sizeof(*s->by_number));
        if (!s->by_address || !s->by_number) {
                sessions_free(s);
                return -ENOMEM;
        }
        for (size_t i = 0; i <= s->mask; i++) {
                list_init(&s->by_address[i]);
                list_init(&s->by_number[i]);
        }
        crypto_random(s->hash_key, sizeof(s->hash_key));
        crypto_random(s->secrets, sizeof(s->secrets));
        *ret = s;
        return 0;
}

struct sessions *sessions_free(struct sessions *s) {
        if (!s)
                return NULL;
        if (s->by_address && s->by_number)
                FOR_EACH_SESSION(s, { sessions_drop(s, c); });
        LIST_FOR_EACH_SAFE(i, &s->gone)
        sessions_free_one(LIST_ENTRY(i, struct session, order_link));
        sessions_free_one(s->reported);
        ocf_free(s->by_address);
        ocf_free(s->by_number);
        return ocf_free(s);
}
