#include "security/sessions.h"
#include "base/memory.h"
#include "protocol/coap_siphash.h"
#include "security/crypto.h"
#include "security/keys.h"
#include "security/sessions_choose.h"
#include "security/tls_psk.h"

#include <errno.h>
#include <string.h>

#define COOKIE_LIFE_MS     60000u /* a secret is used so long, and known as long again */
#define LOOSE_N            64u    /* short words for nobody in particular: cookies, alerts */
#define LOOSE_MAX          160u
#define EARLY_MAX          (TLS_HELLO_MAX + 9u)
#define HANDSHAKING_MS     5000u
#define SESSION_NUMBERS    0x80000000u /* connections have those below */
#define EVICT_HANDSHAKE_MS 3000u       /* one that is younger is not pushed out by another */

/* One datagram, or bytes of a connection, that no session is needed for. */
struct loose {
        struct coap_peer to;
        size_t n;
        uint8_t bytes[LOOSE_MAX];
};

/* What receive() was given, for one session. */
struct reading {
        struct session *session;
        uint8_t *data;
        size_t n;
        bool begun;
        uint64_t n_opened;
};

struct sessions {
        struct sessions_config config;
        struct sessions_counts counts;
        uint64_t hash_key[2];
        uint8_t secrets[2][TLS_COOKIE_SECRET]; /* of cookies: now, and before */
        uint64_t secret_until;
        uint32_t last_number, n_all;
        struct list strangers, known,
                handshakes; /* open without and with an identity, LRU first; not yet open */
        struct list timed, talking, gone;
        uint64_t timed_due;
        size_t mask;
        struct list *by_address, *by_number; /* heads of buckets */
        struct session *reported;            /* to be freed at the next event */
        struct reading reading[2];
        struct span data; /* came together with the end of the handshake */
        struct session *data_of;
        size_t n_loose, first_loose;
        struct loose loose[LOOSE_N];
        uint8_t copy[TLS_RECORD_MAX];
};

/* ---- tables ---- */

static struct coap_peer address_of(const struct coap_peer *peer) {
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

struct session *sessions_find(struct sessions *s, const struct coap_peer *peer) {
        LIST_FOR_EACH(i, number_bucket(s, peer)) {
                struct session *c = LIST_ENTRY(i, struct session, number_link);

                if (c->peer.channel == peer->channel && c->peer.stream == peer->stream)
                        return c->is_open ? c : NULL;
        }
        return NULL;
}

static struct session *find_stream(struct sessions *s, const struct coap_peer *peer) {
        LIST_FOR_EACH(i, number_bucket(s, peer)) {
                struct session *c = LIST_ENTRY(i, struct session, number_link);

                if (c->peer.channel == peer->channel && c->peer.stream)
                        return c;
        }
        return NULL;
}

/* At most two at one address: one that is open, and one on the way to take its place. */
static struct session *find_at(struct sessions *s, const struct coap_peer *address, bool is_open) {
        LIST_FOR_EACH(i, address_bucket(s, address)) {
                struct session *c = LIST_ENTRY(i, struct session, address_link);
                struct coap_peer its = address_of(&c->peer);

                if (c->is_open == is_open && coap_peer_equal(&its, address))
                        return c;
        }
        return NULL;
}

/* Over IPv6 everybody has 2^64 addresses. */
static void group_of(const struct coap_peer *peer, uint8_t ret[16]) {
        memcpy(ret, peer->remote_ip, 16);
        if (!coap_peer_is_ipv4(peer))
                memset(ret + 8, 0, 8);
}

/* ---- lives ---- */

static struct session *session_free(struct session *c) {
        if (!c)
                return NULL;
        tls_free(c->tls);
        svr_session_deinit(&c->svr);
        ocf_free(c->early);
        return ocf_free(c);
}

static void put_loose(struct sessions *s, const struct coap_peer *to, const uint8_t *bytes, size_t n) {
        struct loose *l = &s->loose[(s->first_loose + s->n_loose) % LOOSE_N];

        if (s->n_loose == LOOSE_N || n > LOOSE_MAX)
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
                        put_loose(s, &c->peer, bytes, n);
}

/* It is out of all tables; the event of it is the last that is seen of it. */
static void drop(struct sessions *s, struct session *c) {
        list_unlink(&c->order_link);
        list_unlink(&c->address_link);
        list_unlink(&c->number_link);
        list_unlink(&c->timed_link);
        list_unlink(&c->talking_link);
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

static void end(struct sessions *s, struct session *c, uint64_t now_ms) {
        if (c->tls && c->tls->state != TLS_CLOSED)
                tls_close(c->tls);
        take_last_word(s, c, now_ms);
        drop(s, c);
}

void sessions_close(struct sessions *s, struct session *session) {
        end(s, session, session->last_ms);
}

static unsigned handshakes_of(const struct sessions *s, const uint8_t group[16]) {
        unsigned n = 0;

        LIST_FOR_EACH(i, &s->handshakes)
        n += memcmp(LIST_ENTRY(i, struct session, order_link)->group, group, 16) == 0;
        return n;
}

static struct session *oldest(const struct list *l) {
        return list_is_empty(l) ? NULL : LIST_ENTRY(l->next, struct session, order_link);
}

static void evict(struct sessions *s, struct session *c, uint64_t now_ms) {
        s->counts.n_evicted++;
        end(s, c, now_ms);
}

/* Room for one more handshake: who has proven nothing goes first. */
static bool make_room(struct sessions *s, const struct coap_peer *peer, uint64_t now_ms) {
        uint8_t group[16];
        struct session *c;

        group_of(peer, group);
        if (handshakes_of(s, group) >= s->config.n_per_address)
                return false;
        if (s->counts.n_handshakes >= s->config.n_handshakes) {
                c = oldest(&s->handshakes);
                if (!c || now_ms - c->opened_ms < EVICT_HANDSHAKE_MS)
                        return false;
                evict(s, c, now_ms);
        }
        if (s->n_all < s->config.n_max)
                return true;
        c = oldest(&s->strangers);
        if (!c)
                c = oldest(&s->known);
        if (!c)
                return false;
        evict(s, c, now_ms);
        return true;
}

static struct session *session_new(struct sessions *s, const struct coap_peer *peer, uint64_t now_ms) {
        struct coap_peer address = address_of(peer);
        struct session *c = ocf_new(struct session);

        if (!c)
                return NULL;
        c->table = s;
        c->peer = *peer;
        c->credid = CRED_ID_NONE;
        c->opened_ms = c->last_ms = now_ms;
        group_of(peer, c->group);
        if (!peer->stream)
                c->peer.channel = SESSION_NUMBERS | ++s->last_number;
        list_init(&c->timed_link);
        list_init(&c->talking_link);
        list_link_tail(&s->handshakes, &c->order_link);
        list_link_tail(number_bucket(s, &c->peer), &c->number_link);
        if (peer->stream) {
                list_init(&c->address_link);
                s->timed_due =
                        ocf_min_u64(s->timed_due, now_ms + TLS_HANDSHAKE_MAX_MS); /* it may say nothing */
        } else {
                list_link_tail(address_bucket(s, &address), &c->address_link);
        }
        s->n_all++;
        s->counts.n_handshakes++;
        return c;
}

static void talk(struct sessions *s, struct session *c) {
        if (!list_is_linked(&c->talking_link))
                list_link_tail(&s->talking, &c->talking_link);
}

/* ---- the first message ---- */

static bool is_pin_identity(struct span name) {
        return span_equal_string(name, KEY_PIN_IDENTITY);
}

/* security.md 4.3: before there is an owner the PIN alone, later credentials alone. */
static size_t find_key(void *context, struct span name, uint8_t ret[TLS_PSK_MAX]) {
        struct session *c = context;
        const struct sessions_host *host = &c->table->config.host;
        const struct svr *svr = host->svr(host->context, c->peer.device);
        const struct cred *cred;
        struct uuid subject;

        if (!svr)
                return 0;
        if (svr->machine.state == SVR_RFOTM)
                return is_pin_identity(name) ? host->pin(host->context, c->peer.device, ret) : 0;
        if (name.n != sizeof(subject.bytes))
                return 0;
        memcpy(subject.bytes, name.data, sizeof(subject.bytes));
        cred = uuid_is_nil(&subject) ? NULL : svr_find_psk(svr, &subject);
        if (!cred || !cred->secret.n || cred->secret.n > TLS_PSK_MAX)
                return 0;
        c->svr.id = subject;
        c->credid = cred->id;
        c->key_hash = coap_siphash(c->table->hash_key, cred->secret);
        memcpy(ret, cred->secret.data, cred->secret.n);
        return cred->secret.n;
}

static int begin_psk(struct session *c, const struct svr *svr, uint16_t suite, const struct tls_hello *hello,
                     uint64_t now_ms) {
        uint8_t hint[sizeof(KEY_PIN_HINT) - 1 + 16];
        struct writer w = writer_on(hint, sizeof(hint));
        const struct tls_psk_config config = {
                .stream = c->peer.stream,
                .suite = suite,
                .first_message = hello->message_seq,
                .first_record = hello->record_seq,
                .keep_secrets = svr->machine.state == SVR_RFOTM,
                .psk = find_key,
                .context = c,
        };
        struct tls_psk_config with_hint = config;

        if (svr->machine.state == SVR_RFOTM)
                writer_put_span(&w, span_of_string(KEY_PIN_HINT));
        writer_put(&w, svr->doxm.deviceuuid.bytes, 16);
        with_hint.hint = writer_span(&w);
        return tls_psk_new(&c->tls, &with_hint, now_ms);
}

static int begin_engine(struct sessions *s, struct session *c, const struct svr *svr, uint16_t suite,
                        const struct tls_hello *hello, uint64_t now_ms) {
        const struct sessions_host *host = &s->config.host;

        memcpy(c->hello, hello->random.data, sizeof(c->hello));
        if (tls_suite_is_psk(suite))
                return begin_psk(c, svr, suite, hello, now_ms);
        return host->certificate(host->context, c->peer.device, suite, c->peer.stream, now_ms, &c->tls);
}

static uint16_t suite_for(const struct sessions *s, uint16_t device, const struct tls_hello *hello,
                          const struct svr **ret) {
        const struct sessions_host *host = &s->config.host;

        *ret = host->svr(host->context, device);
        return *ret ? sessions_choose(*ret, host->has_certificate(host->context, device), hello) : 0;
}

static void refuse(struct sessions *s, const struct coap_peer *peer) {
        static const uint8_t of_stream[] = { 21, 3, 3, 0, 2, 2, 40 };
        static const uint8_t of_datagram[] = { 21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 1, 0, 2, 2, 40 };

        s->counts.n_refused++;
        if (peer->stream)
                put_loose(s, peer, of_stream, sizeof(of_stream)); /* handshake_failure */
        else
                put_loose(s, peer, of_datagram, sizeof(of_datagram));
}

static void turn_secrets(struct sessions *s, uint64_t now_ms) {
        if (now_ms < s->secret_until)
                return;
        memcpy(s->secrets[1], s->secrets[0], TLS_COOKIE_SECRET);
        crypto_random(s->secrets[0], TLS_COOKIE_SECRET);
        if (now_ms - s->secret_until > COOKIE_LIFE_MS)
                crypto_random(s->secrets[1], TLS_COOKIE_SECRET); /* nobody has asked for long */
        s->secret_until = now_ms + COOKIE_LIFE_MS;
}

/* Return: whether the one who sent it has shown to be there. */
static bool check_cookie(struct sessions *s, const struct coap_peer *peer, const struct tls_hello *hello,
                         struct span datagram, uint64_t now_ms) {
        uint8_t cookie[TLS_COOKIE], answer[TLS_HELLO_VERIFY_MAX];
        struct span who = span_of(peer, sizeof(*peer));

        turn_secrets(s, now_ms);
        if (tls_cookie_is(hello, who, s->secrets[0]) || tls_cookie_is(hello, who, s->secrets[1]))
                return true;
        tls_cookie_make(hello, who, s->secrets[0], cookie);
        put_loose(s, peer, answer, tls_hello_verify(cookie, datagram, answer, sizeof(answer)));
        s->counts.n_cookies++;
        return false;
}

/* Return: the session that the hello is for; NULL: none is made. */
static struct session *on_hello(struct sessions *s, const struct coap_peer *peer,
                                const struct tls_hello *hello, struct span datagram, uint64_t now_ms) {
        struct session *c = find_at(s, peer, false);
        const struct svr *svr;
        uint16_t suite;

        if (!check_cookie(s, peer, hello, datagram, now_ms))
                return NULL;
        if (c && memcmp(c->hello, hello->random.data, sizeof(c->hello)) == 0)
                return c; /* repeated */
        suite = suite_for(s, peer->device, hello, &svr);
        if (!suite) {
                refuse(s, peer);
                return NULL;
        }
        if (c)
                drop(s, c); /* it began anew, and would take a goodbye for an answer */
        if (!make_room(s, peer, now_ms)) {
                s->counts.n_refused++;
                return NULL;
        }
        c = session_new(s, peer, now_ms);
        if (c && begin_engine(s, c, svr, suite, hello, now_ms)) {
                drop(s, c);
                refuse(s, peer);
                return NULL;
        }
        return c;
}

/* ---- what comes ---- */

static void read_for(struct sessions *s, size_t i, struct session *c, uint8_t *data, size_t n) {
        s->reading[i] =
                (struct reading){ .session = c, .data = data, .n = n, .n_opened = c ? c->tls->n_opened : 0 };
}

void sessions_receive(struct sessions *s, uint64_t now_ms, const struct coap_peer *peer, uint8_t *data,
                      size_t n) {
        struct session *open, *other;
        struct tls_hello hello;
        int r;

        read_for(s, 0, NULL, NULL, 0);
        read_for(s, 1, NULL, NULL, 0);
        r = tls_hello_read(&hello, false, span_of(data, n));
        if (!r) {
                struct session *c = on_hello(s, peer, &hello, span_of(data, n), now_ms);

                if (c)
                        read_for(s, 0, c, data, n);
                return;
        }
        if (r != TLS_HELLO_E_NO_HELLO || n > sizeof(s->copy))
                return;
        open = find_at(s, peer, true);
        other = find_at(s, peer, false);
        if (open && other) {
                memcpy(s->copy, data, n);
                read_for(s, 1, other, s->copy, n);
        } else if (!open) {
                open = other;
        }
        if (open)
                read_for(s, 0, open, data, n);
}

bool sessions_stream_open(struct sessions *s, uint64_t now_ms, const struct coap_peer *peer) {
        return make_room(s, peer, now_ms) && session_new(s, peer, now_ms);
}

/* A connection's hello may come in pieces; nothing else is before it. Return: whether the engine stands. */
static bool take_early(struct sessions *s, struct session *c, uint8_t **data, size_t *n, uint64_t now_ms) {
        size_t n_now = ocf_min_u64(*n, EARLY_MAX - c->n_early);
        const struct svr *svr;
        struct tls_hello hello;
        uint16_t suite;
        int r;

        if (!c->early)
                c->early = ocf_allocate(EARLY_MAX, 1);
        if (!c->early)
                return false;
        memcpy(c->early + c->n_early, *data, n_now);
        c->n_early += n_now;
        *data += n_now;
        *n -= n_now;
        r = tls_hello_read(&hello, true, span_of(c->early, c->n_early));
        if (c->n_early < EARLY_MAX && (r == TLS_HELLO_E_FRAGMENT || c->n_early < 9))
                return false; /* more is to come */
        suite = r ? 0 : suite_for(s, c->peer.device, &hello, &svr);
        if (suite && !begin_engine(s, c, svr, suite, &hello, now_ms))
                return true;
        refuse(s, &c->peer);
        drop(s, c);
        return false;
}

void sessions_stream_receive(struct sessions *s, uint64_t now_ms, const struct coap_peer *peer, uint8_t *data,
                             size_t n) {
        struct session *c = find_stream(s, peer);

        read_for(s, 0, NULL, NULL, 0);
        read_for(s, 1, NULL, NULL, 0);
        if (!c)
                return;
        if (!c->tls) {
                if (!take_early(s, c, &data, &n, now_ms))
                        return;
                read_for(s, 0, c, c->early, c->n_early);
                read_for(s, 1, c, data, n);
                return;
        }
        read_for(s, 0, c, data, n);
}

void sessions_stream_closed(struct sessions *s, const struct coap_peer *peer) {
        struct session *c = find_stream(s, peer);

        if (c)
                drop(s, c);
}

/* ---- what happened ---- */

/* Its own PSK, or (certificates) any anchor or identity of the device has changed: who still may comes back.
 */
static bool still_holds(const struct svr *svr, const struct session *c) {
        if (c->svr.onboarding || c->credid == CRED_ID_NONE)
                return true;
        for (size_t i = 0; i < svr->n_creds; i++)
                if (svr->creds[i]->id == c->credid)
                        return c->svr.by_certificate
                                       ? svr->creds[i]->usage == CRED_TRUSTCA
                                       : cred_is_about(svr->creds[i], &c->svr.id) &&
                                                 coap_siphash(c->table->hash_key, svr->creds[i]->secret) ==
                                                         c->key_hash;
        return false;
}

/* Is this still the way in which ownership is taken? Whoever began before another method was chosen is late.
 */
static bool is_chosen_method(const struct svr *svr, const struct session *c) {
        switch ((enum svr_transfer)svr->doxm.oxmsel) {
        case SVR_JUST_WORKS:
                return c->tls->suite == TLS_ECDH_ANON_AES_128_CBC_SHA256;
        case SVR_RANDOM_PIN:
                return c->tls->suite == TLS_ECDHE_PSK_AES_128_CBC_SHA256 && c->credid == CRED_ID_NONE;
        case SVR_MANUFACTURER:
                return !tls_suite_is_psk(c->tls->suite);
        case SVR_NO_TRANSFER:
                break;
        }
        return false;
}

/* May it be what it wants to be, now that its handshake is over? The device may have moved on. */
static bool may_open(struct sessions *s, struct session *c) {
        const struct sessions_host *host = &s->config.host;
        const struct svr *svr = host->svr(host->context, c->peer.device);

        if (!svr || svr->machine.pending)
                return false;
        if (svr->machine.state == SVR_RFOTM) {
                c->svr.onboarding = !svr->machine.transfer && is_chosen_method(svr, c);
                c->svr.id = (struct uuid){ { 0 } };
                return c->svr.onboarding;
        }
        if (c->tls->suite == TLS_ECDH_ANON_AES_128_CBC_SHA256)
                return false;
        if (!tls_suite_is_psk(c->tls->suite)) {
                c->svr.by_certificate = true;
                host->certificate_peer(host->context, c->tls, &c->svr.id, &c->credid);
        }
        return !uuid_is_nil(&c->svr.id) && still_holds(svr, c);
}

static bool report(struct session_event *ret, enum session_event_type type, struct session *c) {
        *ret = (struct session_event){ .type = type, .session = c };
        return true;
}

static void touch(struct sessions *s, struct session *c, uint64_t now_ms) {
        c->last_ms = now_ms;
        list_unlink(&c->order_link);
        list_link_tail(uuid_is_nil(&c->svr.id) ? &s->strangers : &s->known, &c->order_link);
}

/* Its handshake is done: it takes the place of the one before. */
static void open_session(struct sessions *s, struct session *c, uint64_t now_ms) {
        struct coap_peer address = address_of(&c->peer);
        struct session *before = c->peer.stream ? NULL : find_at(s, &address, true);

        if (before)
                drop(s,
                     before); /* without a word: its words and the new one's would be taken for each other */
        ocf_free(c->early);
        c->early = NULL;
        c->n_early = 0;
        c->is_open = true;
        c->opened_ms = now_ms;
        s->counts.n_handshakes--;
        s->counts.n_open++;
        s->counts.n_opened++;
        touch(s, c, now_ms);
}

static void follow_time(struct sessions *s, struct session *c) {
        if (c->tls->deadline_ms == OCF_NEVER) {
                list_unlink(&c->timed_link);
                return;
        }
        if (!list_is_linked(&c->timed_link))
                list_link_tail(&s->timed, &c->timed_link);
        s->timed_due = ocf_min_u64(s->timed_due, c->tls->deadline_ms);
}

/* One step of reading. Return: whether there is an event. */
static bool read_on(struct sessions *s, struct reading *r, uint64_t now_ms, struct session_event *ret) {
        struct session *c = r->session;
        bool was_told = c->is_open, has_data;
        struct span data;

        if (!r->begun) {
                r->begun = true;
                tls_receive(c->tls, now_ms, r->data, r->n);
        }
        has_data = tls_next(c->tls, now_ms, &data);
        talk(s, c);
        follow_time(s, c);
        if (!was_told && c->tls->state == TLS_OPEN) {
                if (!may_open(s, c)) {
                        end(s, c, now_ms);
                        return false;
                }
                open_session(s, c, now_ms);
                if (has_data) {
                        s->data = data;
                        s->data_of = c;
                }
                return report(ret, SESSION_OPENED, c);
        }
        if (has_data) {
                touch(s, c, now_ms);
                report(ret, SESSION_DATA, c);
                ret->data = data;
                return true;
        }
        r->session = NULL;
        if (c->tls->state == TLS_CLOSED)
                end(s, c, now_ms);
        return false;
}

static bool report_gone(struct sessions *s, struct session_event *ret) {
        struct session *c = oldest(&s->gone);

        if (!c)
                return false;
        list_unlink(&c->order_link);
        s->reported = c;
        s->counts.n_failed += !c->is_open;
        return report(ret, c->is_open ? SESSION_CLOSED : SESSION_FAILED, c);
}

static void expire(struct sessions *s, struct list *l, uint64_t now_ms) {
        struct session *c;

        while ((c = oldest(l)) && now_ms - c->last_ms >= s->config.idle_ms) {
                if (c->peer.stream) { /* the connection is watched by CoAP and TCP themselves */
                        touch(s, c, now_ms);
                        continue;
                }
                s->counts.n_idle++;
                end(s, c, now_ms);
        }
}

bool sessions_event(struct sessions *s, uint64_t now_ms, struct session_event *ret) {
        *ret = (struct session_event){ .type = SESSION_NONE };
        s->reported = session_free(s->reported);
        if (report_gone(s, ret))
                return true;
        if (s->data_of) {
                report(ret, SESSION_DATA, s->data_of);
                ret->data = s->data;
                s->data_of = NULL;
                return true;
        }
        for (size_t i = 0; i < ARRAY_SIZE(s->reading); i++)
                while (s->reading[i].session) {
                        struct reading *r = &s->reading[i];

                        if (read_on(s, r, now_ms, ret))
                                return true;
                        /* What opened with the first one's keys is not for the second. */
                        if (!i && r->begun && s->reading[1].session && s->reading[1].session != r->session &&
                            s->reading[1].data == s->copy) {
                                struct coap_peer address = address_of(&s->reading[1].session->peer);
                                struct session *open = find_at(s, &address, true);

                                if (open && open->tls->n_opened != r->n_opened)
                                        s->reading[1].session = NULL;
                        }
                }
        expire(s, &s->strangers, now_ms);
        expire(s, &s->known, now_ms);
        return report_gone(s, ret);
}

/* ---- what goes ---- */

static void look_at_timed(struct sessions *s, uint64_t now_ms) {
        if (now_ms < s->timed_due)
                return;
        s->timed_due = OCF_NEVER;
        LIST_FOR_EACH_SAFE(i, &s->timed) {
                struct session *c = LIST_ENTRY(i, struct session, timed_link);

                if (c->tls->deadline_ms <= now_ms)
                        talk(s, c);
                follow_time(s, c);
        }
        LIST_FOR_EACH_SAFE(i, &s->handshakes) { /* connections that say nothing */
                struct session *c = LIST_ENTRY(i, struct session, order_link);

                if (c->tls)
                        continue;
                if (now_ms - c->opened_ms >= TLS_HANDSHAKE_MAX_MS)
                        end(s, c, now_ms);
                else
                        s->timed_due = ocf_min_u64(s->timed_due, c->opened_ms + TLS_HANDSHAKE_MAX_MS);
        }
}

size_t sessions_transmit(struct sessions *s, uint64_t now_ms, struct coap_peer *ret_to, uint8_t *buf,
                         size_t n) {
        look_at_timed(s, now_ms);
        if (s->n_loose) {
                struct loose *l = &s->loose[s->first_loose];

                s->first_loose = (s->first_loose + 1) % LOOSE_N;
                s->n_loose--;
                *ret_to = l->to;
                memcpy(buf, l->bytes, l->n);
                return l->n;
        }
        while (!list_is_empty(&s->talking)) {
                struct session *c = LIST_ENTRY(s->talking.next, struct session, talking_link);
                size_t n_bytes = tls_transmit(c->tls, now_ms, buf, n);

                follow_time(s, c);
                if (n_bytes) {
                        *ret_to = c->peer;
                        return n_bytes;
                }
                list_unlink(&c->talking_link);
                if (c->tls->state == TLS_CLOSED)
                        end(s, c, now_ms);
        }
        return 0;
}

size_t sessions_seal(struct sessions *s, uint64_t now_ms, const struct coap_peer *peer, struct span data,
                     uint8_t *buf, size_t n) {
        struct session *c = sessions_find(s, peer);

        return c ? tls_seal(c->tls, data, buf, n) : 0;
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
                        end(s, c, c->last_ms);
        });
}

void sessions_check(struct sessions *s, uint16_t device) {
        const struct svr *svr = s->config.host.svr(s->config.host.context, device);

        FOR_EACH_SESSION(s, {
                if (c->peer.device == device && c->is_open && (!svr || !still_holds(svr, c)))
                        end(s, c, c->last_ms);
        });
}

void sessions_forget_local(struct sessions *s, const uint8_t *ip, uint32_t interface) {
        FOR_EACH_SESSION(s, {
                if (ip ? memcmp(c->peer.local_ip, ip, 16) == 0 : c->peer.interface == interface && interface)
                        drop(s, c);
        });
}

bool sessions_handshaking(const struct sessions *s, uint16_t device, uint64_t now_ms) {
        LIST_FOR_EACH(i, &s->handshakes) {
                const struct session *c = LIST_ENTRY(i, struct session, order_link);

                if (c->peer.device == device && now_ms - c->opened_ms < HANDSHAKING_MS)
                        return true;
        }
        return false;
}

uint64_t sessions_deadline(const struct sessions *s) {
        const struct session *stranger = oldest(&s->strangers), *known = oldest(&s->known);
        uint64_t due = s->timed_due;

        if (stranger)
                due = ocf_min_u64(due, stranger->last_ms + s->config.idle_ms);
        if (known)
                due = ocf_min_u64(due, known->last_ms + s->config.idle_ms);
        LIST_FOR_EACH(i, &s->handshakes) {
                const struct session *c = LIST_ENTRY(i, struct session, order_link);

                if (!c->tls) {
                        due = ocf_min_u64(due, c->opened_ms + TLS_HANDSHAKE_MAX_MS);
                        break; /* the others are younger */
                }
        }
        return list_is_empty(&s->gone) ? due : 0;
}

void sessions_counts(const struct sessions *s, struct sessions_counts *ret) {
        *ret = s->counts;
}

const struct session *sessions_first(const struct sessions *s) {
        const struct session *c = oldest(&s->strangers);

        return c ? c : oldest(&s->known);
}

const struct session *sessions_after(const struct sessions *s, const struct session *session) {
        struct list *next = session->order_link.next;

        if (next == &s->strangers)
                return oldest(&s->known);
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
                FOR_EACH_SESSION(s, { drop(s, c); });
        LIST_FOR_EACH_SAFE(i, &s->gone)
        session_free(LIST_ENTRY(i, struct session, order_link));
        session_free(s->reported);
        ocf_free(s->by_address);
        ocf_free(s->by_number);
        return ocf_free(s);
}
