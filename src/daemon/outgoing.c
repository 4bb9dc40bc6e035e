#include "daemon/outgoing.h"
#include "base/memory.h"
#include "security/cred.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>

#define CONNECT_MS      4000u  /* for one of several addresses */
#define CONNECT_LAST_MS 16000u /* for the last one */
#define CONNECT_ONCE_MS 8000u  /* of a transfer, which has one round: four transmissions of a flight */
#define PROBE_AFTER_MS  3000u  /* of silence */
#define PROBE_MS        9000u
#define ATTEMPT_MIN_MS  2500u /* over a session that may be dead: two transmissions */
#define ATTEMPT_MAX_MS  4000u
#define MEANT_MAX       (sizeof("di=") + UUID_TEXT_MAX)

enum channel_state {
        CHANNEL_IDLE,
        CHANNEL_CONNECTING,
        CHANNEL_OPEN,
};

struct out_channel {
        struct list link, busy_link;
        struct outgoing *outgoing;
        struct out_spec spec;
        uint8_t key[TLS_PSK_MAX], identity[TLS_IDENTITY_MAX]; /* of a transfer */
        unsigned n_references;
        enum channel_state state;
        bool is_due, is_group, is_dialing; /* the last: its connection does not stand yet */
        bool is_fresh, was_silent;         /* asks from another port; some address did not answer */
        size_t i_address;
        struct coap_peer peer; /* of CONNECTING and OPEN */
        uint64_t connect_until;
        uint64_t check_ms; /* of OPEN: when to look whether the session was heard; OCF_NEVER: no need */
        struct list waiting, sent;
        struct out_request *probe; /* is the session alive? NULL: that is not asked now */
        char why[192];             /* the last attempt failed */
};

struct out_request {
        struct list link;
        struct out_channel *channel; /* counts as a reference */
        struct coap_ask ask;
        uint8_t *texts;
        coap_id id;
        uint32_t slot;
        bool is_sent, is_retry, connect_only, was_answered;
        uint64_t deadline_ms, sent_ms, check_ms;
        out_done *done;
        void *context;
};

/* Answers may come for requests that nobody waits for any more: what goes with them is a number, not a
 * pointer. */
struct slot {
        struct out_request *request;
        uint32_t generation, next_free; /* next_free: of a free one, the index after it plus 1 */
};

struct outgoing {
        struct slot *slots;
        uint32_t n_slots, first_free; /* plus 1; 0: none */
        struct outgoing_config config;
        struct list channels, busy; /* busy: due, or connecting */
};

static uint64_t now_of(const struct outgoing *o) {
        return o->config.now(o->config.context);
}

static void make_due(struct out_channel *c) {
        c->is_due = true;
        if (!list_is_linked(&c->busy_link))
                list_link_tail(&c->outgoing->busy, &c->busy_link);
}

/* ---- channels ---- */

static void channel_free_unused(struct out_channel *c) {
        if (c->n_references || c->state != CHANNEL_IDLE)
                return;
        list_unlink(&c->link);
        list_unlink(&c->busy_link);
        tls_free(c->spec.how.tls);
        OPENSSL_cleanse(c->key, sizeof(c->key));
        ocf_free(c);
}

static struct out_channel *channel_find(const struct outgoing *o, const struct out_spec *spec) {
        LIST_FOR_EACH(i, &o->channels) {
                struct out_channel *c = LIST_ENTRY(i, struct out_channel, link);

                if (!c->is_group && c->spec.kind == spec->kind && c->spec.device == spec->device &&
                    uuid_equal(&c->spec.id, &spec->id))
                        return c;
        }
        return NULL;
}

static struct span keep(uint8_t *to, size_t n_max, struct span s) {
        size_t n = s.n < n_max ? s.n : n_max;

        if (n)
                memcpy(to, s.data, n);
        return span_of(to, n);
}

int out_channel_obtain(struct outgoing *o, const struct out_spec *spec, struct out_channel **ret) {
        struct out_channel *c = spec->kind == OUT_TRANSFER ? NULL : channel_find(o, spec);

        if (c) {
                memcpy(c->spec.addresses, spec->addresses, sizeof(spec->addresses));
                c->spec.n_addresses = spec->n_addresses;
                c->spec.is_shared = spec->is_shared;
                c->n_references++;
                *ret = c;
                return 0;
        }
        c = ocf_new(struct out_channel);
        if (!c)
                return -ENOMEM;
        c->outgoing = o;
        c->spec = *spec;
        c->spec.how.key = keep(c->key, sizeof(c->key), spec->how.key);
        c->spec.how.identity = keep(c->identity, sizeof(c->identity), spec->how.identity);
        c->n_references = 1;
        c->check_ms = OCF_NEVER;
        list_init(&c->busy_link);
        list_init(&c->waiting);
        list_init(&c->sent);
        list_link_tail(&o->channels, &c->link);
        *ret = c;
        return 0;
}

static void close_session(struct out_channel *c) {
        const struct outgoing_config *config = &c->outgoing->config;
        bool was_dialing = c->is_dialing;

        if (c->state == CHANNEL_IDLE)
                return;
        c->state = CHANNEL_IDLE;
        c->is_dialing = false;
        if (was_dialing || (c->peer.stream && c->spec.kind == OUT_CLEAR)) {
                if (!was_dialing)
                        pipeline_stream_closed(config->pipeline, &c->peer);
                net_close_stream(config->net, &c->peer);
        } else if (c->peer.channel) {
                secure_link_close(config->link, &c->peer);
        }
}

struct out_channel *out_channel_release(struct out_channel *c) {
        if (!c)
                return NULL;
        c->n_references--;
        if (!c->n_references && c->spec.kind != OUT_CREDENTIAL)
                close_session(c); /* a session with a credential stays for who comes next */
        channel_free_unused(c);
        return NULL;
}

struct out_channel *out_channel_hold(struct out_channel *c) {
        c->n_references++;
        return c;
}

void out_channel_close(struct out_channel *c) {
        close_session(c);
        make_due(c);
}

bool out_channel_is_secure(const struct out_channel *c) {
        return c->spec.kind != OUT_CLEAR;
}

uint16_t out_channel_device(const struct out_channel *c) {
        return c->spec.device;
}

const struct session *out_channel_session(const struct out_channel *c) {
        return c->state == CHANNEL_OPEN && c->peer.channel && c->spec.kind != OUT_CLEAR
                       ? secure_link_find(c->outgoing->config.link, &c->peer)
                       : NULL;
}

const struct session *outgoing_session_of(const struct outgoing *o, const struct uuid *id) {
        LIST_FOR_EACH(i, &o->channels) {
                const struct out_channel *c = LIST_ENTRY(i, struct out_channel, link);
                const struct session *s = c->spec.kind == OUT_CREDENTIAL && uuid_equal(&c->spec.id, id)
                                                  ? out_channel_session(c)
                                                  : NULL;

                if (s)
                        return s;
        }
        return NULL;
}

/* ---- requests ---- */

static bool slot_take(struct outgoing *o, struct out_request *r) {
        struct slot *s;

        if (!o->first_free) {
                if (!ocf_grow((void **)&o->slots, o->n_slots, o->n_slots + 1, sizeof(*o->slots)))
                        return false;
                o->first_free = ++o->n_slots;
        }
        r->slot = o->first_free - 1;
        s = &o->slots[r->slot];
        o->first_free = s->next_free;
        s->request = r;
        s->generation++;
        return true;
}

static void slot_give(struct outgoing *o, uint32_t slot) {
        o->slots[slot].request = NULL;
        o->slots[slot].next_free = o->first_free;
        o->first_free = slot + 1;
}

static struct out_request *request_of(const struct outgoing *o, uint64_t user) {
        uint32_t slot = (uint32_t)user;

        return slot < o->n_slots && o->slots[slot].generation == user >> 32 ? o->slots[slot].request : NULL;
}

static void request_free(struct out_request *r) {
        slot_give(r->channel->outgoing, r->slot);
        list_unlink(&r->link);
        (void)out_channel_release(r->channel);
        ocf_free(r->texts);
        ocf_free(r);
}

static struct span keep_text(uint8_t **at, struct span s) {
        struct span kept = span_of(*at, s.n);

        if (!s.n)
                return SPAN_NULL;
        memcpy(*at, s.data, s.n);
        *at += s.n;
        return kept;
}

/* Return: "di=" and who is meant, for a channel where several devices answer; else nothing. */
static struct span meant(const struct out_channel *c, char buf[static MEANT_MAX]) {
        char id[UUID_TEXT_MAX];

        if (!c->spec.is_shared)
                return SPAN_NULL;
        snprintf(buf, MEANT_MAX, "di=%s", uuid_format(&c->spec.id, id));
        return span_of_string(buf);
}

static int keep_texts(struct out_request *r, const struct out_channel *c, const struct coap_ask *ask) {
        char buf[MEANT_MAX];
        struct span di = meant(c, buf);
        size_t n = ask->path.n + ask->query.n + di.n + ask->payload.n + ask->etag.n + ask->if_match.n;
        uint8_t *at = r->texts = ocf_allocate(n + 2, 1);

        if (!at)
                return -ENOMEM;
        r->ask.path = keep_text(&at, ask->path);
        r->ask.query = keep_text(&at, ask->query);
        if (di.n) {
                if (r->ask.query.n) {
                        *at++ = '&';
                        r->ask.query.n++;
                } else {
                        r->ask.query.data = at;
                }
                r->ask.query.n += keep_text(&at, di).n;
        }
        r->ask.payload = keep_text(&at, ask->payload);
        r->ask.etag = keep_text(&at, ask->etag);
        r->ask.if_match = keep_text(&at, ask->if_match);
        return 0;
}

static int request_new(struct out_channel *c, const struct coap_ask *ask, uint32_t timeout_ms, out_done *done,
                       void *context, struct out_request **ret) {
        struct out_request *r = ocf_new(struct out_request);

        if (!r)
                return -ENOMEM;
        r->ask = *ask;
        if (keep_texts(r, c, ask) < 0 || !slot_take(c->outgoing, r)) {
                ocf_free(r->texts);
                ocf_free(r);
                return -ENOMEM;
        }
        r->channel = c;
        c->n_references++;
        r->deadline_ms = now_of(c->outgoing) + timeout_ms;
        r->done = done;
        r->context = context;
        list_link_tail(&c->waiting, &r->link);
        make_due(c);
        *ret = r;
        return 0;
}

int out_request(struct out_channel *c, const struct coap_ask *ask, uint32_t timeout_ms, out_done *done,
                void *context, struct out_request **ret) {
        return request_new(c, ask, timeout_ms, done, context, ret);
}

int out_request_first(struct out_channel *c, const struct coap_ask *ask, uint32_t timeout_ms, out_done *done,
                      void *context, struct out_request **ret) {
        int r = request_new(c, ask, timeout_ms, done, context, ret);

        if (!r) {
                list_unlink(&(*ret)->link);
                list_link_head(&c->waiting, &(*ret)->link);
        }
        return r;
}

int out_channel_connect(struct out_channel *c, uint32_t timeout_ms, out_done *done, void *context,
                        struct out_request **ret) {
        int r = request_new(c, &COAP_ASK_DEFAULT, timeout_ms, done, context, ret);

        if (!r)
                (*ret)->connect_only = true;
        return r;
}

int out_multicast(struct outgoing *o, uint16_t device, const uint8_t group[16], uint16_t port,
                  uint32_t interface, const struct coap_ask *ask, uint32_t timeout_ms, out_done *done,
                  void *context, struct out_request **ret) {
        struct out_spec spec = { .kind = OUT_CLEAR, .device = device, .n_addresses = 1 };
        struct out_channel *c = ocf_new(struct out_channel);
        int r;

        if (!c)
                return -ENOMEM;
        memcpy(spec.addresses[0].ip, group, 16);
        spec.addresses[0].port = port;
        spec.addresses[0].interface = interface;
        c->outgoing = o;
        c->spec = spec;
        c->is_group = true;
        c->n_references = 1;
        c->check_ms = OCF_NEVER;
        list_init(&c->busy_link);
        list_init(&c->waiting);
        list_init(&c->sent);
        list_link_tail(&o->channels, &c->link);
        r = request_new(c, ask, timeout_ms, done, context, ret);
        if (!r)
                (*ret)->ask.multicast = true;
        (void)out_channel_release(c); /* the request holds it */
        return r;
}

struct out_request *out_cancel(struct out_request *r) {
        if (!r)
                return NULL;
        if (r->is_sent)
                pipeline_cancel(r->channel->outgoing->config.pipeline, r->id);
        request_free(r);
        return NULL;
}

/* The last word, and its end. */
static void finish(struct out_request *r, const struct out_result *result) {
        out_done *done = r->done;
        void *context = r->context;

        request_free(r);
        done(context, result);
}

static void fail(struct out_request *r, enum out_outcome outcome, const char *why) {
        char text[sizeof(r->channel->why)];

        snprintf(text, sizeof(text), "%s", why ? why : "");
        finish(r, &(struct out_result){ .outcome = outcome, .why = *text ? text : NULL });
}

/* ---- sessions ---- */

static const char *failure_text(const struct session *s) {
        static const char *const texts[] = {
                [TLS_FAILURE_NONE] = "the session was ended before it began",
                [TLS_FAILURE_BYE] = "the device ended the session before it began",
                [TLS_FAILURE_ALERT] =
                        "the device refused the session: it may have no credential for us (any more)",
                [TLS_FAILURE_TIMEOUT] = "the device does not answer at its secure port",
                [TLS_FAILURE_PROTOCOL] = "the device does not speak DTLS as it should",
                [TLS_FAILURE_KEY] = "the device has another key than we have, or is another device",
                [TLS_FAILURE_CERTIFICATE] = "the certificate of the device is not good enough",
                [TLS_FAILURE_NO_SUITE] = "the device has no cipher suite in common with us",
                [TLS_FAILURE_OURS] = "memory or cryptography failed on our side",
        };

        if (!s->tls)
                return texts[TLS_FAILURE_NONE];
        if (s->tls->failure == TLS_FAILURE_CERTIFICATE && s->tls->problem)
                return s->tls->problem;
        return texts[s->tls->failure];
}

static const struct out_address *next_address(struct out_channel *c, bool secure) {
        while (c->i_address < c->spec.n_addresses) {
                const struct out_address *a = &c->spec.addresses[c->i_address];

                if (a->secure == secure)
                        return a;
                c->i_address++;
        }
        return NULL;
}

static bool is_last_address(const struct out_channel *c) {
        for (size_t i = c->i_address + 1; i < c->spec.n_addresses; i++)
                if (c->spec.addresses[i].secure)
                        return false;
        return true;
}

static void give_up_connecting(struct out_channel *c) {
        c->state = CHANNEL_IDLE;
        c->i_address = 0;
        c->n_references++; /* done() may let go of it */
        while (!list_is_empty(&c->waiting))
                fail(LIST_ENTRY(list_first(&c->waiting), struct out_request, link), OUT_NO_SESSION, c->why);
        (void)out_channel_release(c);
}

static int session_how(struct out_channel *c, struct session_connect *ret) {
        const struct outgoing_config *config = &c->outgoing->config;

        if (c->spec.kind == OUT_CREDENTIAL)
                return config->credential(config->context, c->spec.device, &c->spec.id, c->peer.stream, ret);
        *ret = c->spec.how;
        c->spec.how.tls = NULL; /* taken */
        return 0;
}

static uint32_t patience_ms(const struct out_channel *c) {
        bool is_once = c->spec.kind == OUT_TRANSFER;

        if (is_last_address(c) && (c->is_fresh || is_once))
                return CONNECT_LAST_MS;
        return is_once ? CONNECT_ONCE_MS : CONNECT_MS;
}

static void begin_waiting(struct out_channel *c) {
        struct outgoing *o = c->outgoing;

        c->state = CHANNEL_CONNECTING;
        if (!list_is_linked(&c->busy_link))
                list_link_tail(&o->busy, &c->busy_link);
        c->connect_until = now_of(o) + patience_ms(c);
}

static bool begin_session(struct out_channel *c) {
        struct outgoing *o = c->outgoing;
        struct session_connect how = { 0 };
        int r = session_how(c, &how);

        if (!r)
                r = secure_link_connect(o->config.link, &c->peer, &how, &c->peer);
        if (!r)
                return true;
        snprintf(c->why, sizeof(c->why), "%s",
                 r == -ENOENT           ? "no device here has a credential for it"
                 : r == SESSIONS_E_FULL ? "too many sessions are beginning"
                 : r == SESSIONS_E_BUSY ? "another session with it is beginning"
                                        : strerror(-r));
        return false;
}

/* A connection first. Return: false: not to this address. */
static bool dial(struct out_channel *c, const struct out_address *a) {
        int r;

        c->peer = (struct coap_peer){ .remote_port = a->port, .interface = a->interface };
        memcpy(c->peer.remote_ip, a->ip, 16);
        r = net_connect(c->outgoing->config.net, c->spec.device, a->secure, &c->peer);
        if (r < 0) {
                snprintf(c->why, sizeof(c->why), "there is no way to its address: %s", strerror(-r));
                return false;
        }
        c->is_dialing = true;
        begin_waiting(c);
        return true;
}

/* One attempt at one address. Return: false: not this one. */
static bool connect_at(struct out_channel *c, const struct out_address *a) {
        struct outgoing *o = c->outgoing;
        const struct session *before;
        int r;

        if (a->stream)
                return !c->is_fresh && dial(c, a);
        c->peer = (struct coap_peer){ .remote_port = a->port, .interface = a->interface };
        memcpy(c->peer.remote_ip, a->ip, 16);
        r = net_route(o->config.net, c->spec.device, c->is_fresh ? NET_FRESH : NET_SECURE, &c->peer);
        if (r < 0) {
                snprintf(c->why, sizeof(c->why), "there is no way to its address: %s", strerror(-r));
                return false;
        }
        before = secure_link_open_at(o->config.link, &c->peer);
        if (before && c->spec.kind == OUT_CREDENTIAL && uuid_equal(&before->svr.id, &c->spec.id)) {
                c->peer = before->peer; /* it came to us before we came to it */
                c->state = CHANNEL_OPEN;
                return true;
        }
        if (!begin_session(c))
                return false;
        begin_waiting(c);
        return true;
}

/*
 * A peer whose session with our last run has not ended may not listen to another
 * ClientHello from the same port (users.md 5): who was silent there is asked once
 * more from another one.
 */
static void begin_secure(struct out_channel *c) {
        const struct out_address *a;

        if (!c->i_address && !c->is_fresh)
                snprintf(c->why, sizeof(c->why), "it has told no secure address");
        for (;;) {
                while ((a = next_address(c, true))) {
                        if (connect_at(c, a))
                                return;
                        c->i_address++;
                }
                if (c->is_fresh || !c->was_silent || c->spec.kind != OUT_CREDENTIAL)
                        break;
                c->is_fresh = true;
                c->i_address = 0;
        }
        c->is_fresh = c->was_silent = false;
        give_up_connecting(c);
}

/* Nobody tells whether datagrams arrive: the first address to which there is a way is it. */
static bool open_clear(struct out_channel *c, const struct out_address *a) {
        int r;

        if (a->stream)
                return dial(c, a);
        c->peer = (struct coap_peer){ .remote_port = a->port, .interface = a->interface };
        memcpy(c->peer.remote_ip, a->ip, 16);
        r = c->is_group ? net_group_route(c->outgoing->config.net, c->spec.device, &c->peer)
                        : net_route(c->outgoing->config.net, c->spec.device, NET_CLEAR, &c->peer);
        if (r < 0) {
                snprintf(c->why, sizeof(c->why), "there is no way to its address: %s", strerror(-r));
                return false;
        }
        c->state = CHANNEL_OPEN;
        c->i_address = 0;
        return true;
}

static void begin_clear(struct out_channel *c) {
        const struct out_address *a;

        if (!c->i_address)
                snprintf(c->why, sizeof(c->why), "it has told no address for requests in clear");
        while ((a = next_address(c, false))) {
                if (open_clear(c, a))
                        return;
                c->i_address++;
        }
        give_up_connecting(c);
}

/* ---- sending ---- */

/* The session may be dead: after half of the time it is looked at. Return: when; OCF_NEVER: it is not worth
 * it. */
static uint64_t when_to_check(const struct out_channel *c, const struct out_request *r, uint64_t now_ms,
                              uint64_t left) {
        if (!out_channel_session(c) || r->is_retry || r->ask.method != COAP_GET || left / 2 < ATTEMPT_MIN_MS)
                return OCF_NEVER;
        return now_ms + ocf_min_u64(left / 2, ATTEMPT_MAX_MS);
}

/* Nothing at all was heard since a request went out: it has forgotten us. What has no effect is asked again
 * over another one. Who acknowledged is there, and may take his time. */
static void check_session(struct out_channel *c, uint64_t now_ms) {
        const struct session *s = out_channel_session(c);
        bool is_dead = false;

        c->check_ms = OCF_NEVER;
        LIST_FOR_EACH(i, &c->sent) {
                struct out_request *r = LIST_ENTRY(i, struct out_request, link);

                if (now_ms >= r->check_ms) {
                        r->check_ms = OCF_NEVER;
                        is_dead |= s && s->last_ms < r->sent_ms && !r->was_answered;
                }
                c->check_ms = ocf_min_u64(c->check_ms, r->check_ms);
        }
        if (is_dead && c->spec.kind == OUT_CREDENTIAL)
                close_session(c);
}

static void on_probed(void *context, const struct out_result *result) {
        struct out_channel *c = context;

        c->probe = NULL;
        make_due(c);
}

/* What has an effect is not sent twice: so a session that was silent is asked first whether it lives.
 * Whatever the answer is, it is one. */
static bool has_to_probe(struct out_channel *c) {
        const struct session *s = out_channel_session(c);
        struct coap_ask ask = COAP_ASK_DEFAULT;
        bool is_needed = false;

        if (c->probe)
                return true;
        if (!s || c->spec.kind != OUT_CREDENTIAL || now_of(c->outgoing) - s->last_ms < PROBE_AFTER_MS)
                return false;
        LIST_FOR_EACH(i, &c->waiting) {
                const struct out_request *r = LIST_ENTRY(i, struct out_request, link);

                is_needed |= r->ask.method != COAP_GET && !r->connect_only;
        }
        ask.path = SPAN_LITERAL("/oic/d");
        ask.accept = COAP_FORMAT_OCF_CBOR;
        ask.ocf_version = true;
        return is_needed && request_new(c, &ask, PROBE_MS, on_probed, c, &c->probe) == 0;
}

static void send_one(struct out_request *r) {
        struct out_channel *c = r->channel;
        struct outgoing *o = c->outgoing;
        uint64_t now_ms = now_of(o);
        uint64_t left = r->deadline_ms > now_ms ? r->deadline_ms - now_ms : 1;
        int e;

        if (r->connect_only) {
                finish(r, &(struct out_result){ .outcome = OUT_ANSWERED, .peer = &c->peer });
                return;
        }
        r->ask.user = (uint64_t)c->outgoing->slots[r->slot].generation << 32 | r->slot;
        r->ask.timeout_ms = (uint32_t)left;
        e = pipeline_ask(o->config.pipeline, &c->peer, &r->ask, &r->id);
        if (e) {
                fail(r, OUT_FULL,
                     e == COAP_E_TOO_LONG ? "the request is too long" : "too many requests are under way");
                return;
        }
        r->is_sent = true;
        r->sent_ms = now_ms;
        r->check_ms = when_to_check(c, r, now_ms, left);
        c->check_ms = ocf_min_u64(c->check_ms, r->check_ms);
        list_unlink(&r->link);
        list_link_tail(&c->sent, &r->link);
}

/* Whoever is told may ask again, or take others back: so the list is begun anew each time. */
static struct out_request *next_expired(const struct out_channel *c, uint64_t now_ms) {
        LIST_FOR_EACH(i, &c->waiting) {
                struct out_request *r = LIST_ENTRY(i, struct out_request, link);

                if (now_ms >= r->deadline_ms)
                        return r;
        }
        return NULL;
}

static void settle_channel(struct out_channel *c) {
        uint64_t now_ms = now_of(c->outgoing);
        struct out_request *r;

        c->is_due = false;
        c->n_references++;
        if (c->state == CHANNEL_CONNECTING && now_ms >= c->connect_until) {
                close_session(c);
                snprintf(c->why, sizeof(c->why), "the device does not answer at its %sport",
                         c->spec.kind == OUT_CLEAR ? "" : "secure ");
                c->was_silent = true;
                c->i_address++;
        }
        if (c->state == CHANNEL_OPEN && now_ms >= c->check_ms)
                check_session(c, now_ms);
        while (c->state != CHANNEL_OPEN && (r = next_expired(c, now_ms)))
                fail(r, OUT_NO_SESSION, *c->why ? c->why : "no session with it came about in time");
        if (c->state == CHANNEL_IDLE && !list_is_empty(&c->waiting)) {
                if (c->spec.kind == OUT_CLEAR)
                        begin_clear(c);
                else
                        begin_secure(c);
        }
        if (c->state == CHANNEL_OPEN && has_to_probe(c)) {
                if (!c->probe->is_sent)
                        send_one(c->probe);
        } else {
                while (c->state == CHANNEL_OPEN && !list_is_empty(&c->waiting))
                        send_one(LIST_ENTRY(list_first(&c->waiting), struct out_request, link));
        }
        if (c->state != CHANNEL_OPEN)
                c->check_ms = OCF_NEVER;
        if (c->check_ms != OCF_NEVER && !list_is_linked(&c->busy_link))
                list_link_tail(&c->outgoing->busy, &c->busy_link);
        else if (!c->is_due && c->state != CHANNEL_CONNECTING && c->check_ms == OCF_NEVER)
                list_unlink(&c->busy_link);
        (void)out_channel_release(c);
}

static uint64_t channel_deadline(const struct out_channel *c) {
        uint64_t due = c->is_due ? 0 : OCF_NEVER;

        if (c->state == CHANNEL_OPEN)
                return ocf_min_u64(due, c->check_ms);
        if (c->state != CHANNEL_CONNECTING)
                return due;
        LIST_FOR_EACH(i, &c->waiting)
        due = ocf_min_u64(due, LIST_ENTRY(i, struct out_request, link)->deadline_ms);
        return ocf_min_u64(due, c->connect_until);
}

static struct out_channel *next_due(const struct outgoing *o, uint64_t now_ms) {
        LIST_FOR_EACH(i, &o->busy) {
                struct out_channel *c = LIST_ENTRY(i, struct out_channel, busy_link);

                if (channel_deadline(c) <= now_ms)
                        return c;
        }
        return NULL;
}

#define TURNS_MAX 256u /* channels looked at before the loop turns */

void outgoing_wake(struct outgoing *o) {
        uint64_t now_ms = now_of(o);
        struct out_channel *c;

        for (unsigned i = 0; i < TURNS_MAX && (c = next_due(o, now_ms)); i++) {
                list_unlink(&c->busy_link); /* the others have their turn first */
                list_link_tail(&o->busy, &c->busy_link);
                settle_channel(c);
        }
}

uint64_t outgoing_deadline(const struct outgoing *o) {
        uint64_t due = OCF_NEVER;

        LIST_FOR_EACH(i, &o->busy)
        due = ocf_min_u64(due, channel_deadline(LIST_ENTRY(i, struct out_channel, busy_link)));
        return due;
}

/* ---- what comes back ---- */

static const char *why_rejected(enum coap_failure failure) {
        switch (failure) {
        case COAP_FAILURE_RESET:
                return "the device rejects the request";
        case COAP_FAILURE_BODY:
                return "the device's answer contradicts itself, or is longer than is taken here";
        case COAP_FAILURE_BAD_OPTION:
                return "the device's answer has an option that must be understood, and is not";
        case COAP_FAILURE_FULL:
        case COAP_FAILURE_NONE:
        case COAP_FAILURE_TIMEOUT:
        case COAP_FAILURE_CLOSED:
                break;
        }
        return NULL;
}

/* Can it be asked again, as if nothing had been? */
static bool may_repeat(const struct out_request *r) {
        return !r->is_retry && !r->was_answered && !r->ask.multicast && r->ask.method == COAP_GET &&
               now_of(r->channel->outgoing) < r->deadline_ms;
}

static void repeat(struct out_request *r) {
        struct out_channel *c = r->channel;

        r->is_sent = false;
        r->is_retry = true;
        list_unlink(&r->link);
        list_link_tail(&c->waiting, &r->link);
        make_due(c);
}

static void on_failure(struct out_request *r, enum coap_failure failure) {
        struct out_channel *c = r->channel;
        const struct session *s = out_channel_session(c);
        bool again = may_repeat(r) && (c->spec.kind == OUT_CREDENTIAL || c->peer.stream);

        switch (failure) {
        case COAP_FAILURE_TIMEOUT:
                if (s && s->last_ms < r->sent_ms && c->spec.kind == OUT_CREDENTIAL) {
                        c->n_references++;
                        if (again)
                                repeat(r);
                        close_session(c); /* it has forgotten us: the next request finds a new one */
                        if (!again)
                                fail(r, OUT_NO_ANSWER, NULL);
                        (void)out_channel_release(c);
                        return;
                }
                fail(r, OUT_NO_ANSWER, NULL);
                return;
        case COAP_FAILURE_CLOSED:
                if (again)
                        repeat(r);
                else
                        fail(r, OUT_NO_SESSION,
                             c->spec.kind == OUT_CLEAR ? "the connection ended before the answer came"
                                                       : "the session ended before the answer came");
                return;
        case COAP_FAILURE_FULL:
                fail(r, OUT_FULL, "too many requests are under way");
                return;
        case COAP_FAILURE_NONE:
        case COAP_FAILURE_RESET:
        case COAP_FAILURE_BODY:
        case COAP_FAILURE_BAD_OPTION:
                fail(r, OUT_REJECTED, why_rejected(failure));
                return;
        }
}

void outgoing_reply(struct outgoing *o, const struct coap_event *e) {
        struct out_request *r = request_of(o, e->user);
        struct out_result result = { .outcome = OUT_ANSWERED, .reply = &e->reply, .peer = &e->peer };

        if (!r)
                return;
        if (r->ask.multicast && e->id != r->id) { /* one member's body, which came in blocks */
                result.more = true;
                if (e->type == COAP_EVENT_RESPONSE)
                        r->done(r->context, &result);
                return;
        }
        if (e->type == COAP_EVENT_FAILED) {
                r->is_sent = false;
                on_failure(r, e->reply.failure);
                return;
        }
        result.more = e->reply.more;
        r->was_answered = true;
        if (!e->reply.more) {
                r->is_sent = false;
                finish(r, &result);
                return;
        }
        r->done(r->context, &result);
}

static struct out_channel *channel_at(const struct outgoing *o, const struct coap_peer *peer) {
        LIST_FOR_EACH(i, &o->channels) {
                struct out_channel *c = LIST_ENTRY(i, struct out_channel, link);

                if (c->state != CHANNEL_IDLE && c->peer.channel && c->peer.channel == peer->channel &&
                    c->peer.stream == peer->stream)
                        return c;
        }
        return NULL;
}

static struct out_channel *channel_of(const struct outgoing *o, const struct session *s) {
        return channel_at(o, &s->peer);
}

static void failed_there(struct out_channel *c) {
        c->state = CHANNEL_IDLE;
        c->is_dialing = false;
        c->i_address++;
        make_due(c);
}

bool outgoing_stream_connected(struct outgoing *o, const struct coap_peer *peer, int error) {
        struct out_channel *c = channel_at(o, peer);

        if (!c || !c->is_dialing)
                return false;
        if (error) {
                snprintf(c->why, sizeof(c->why), "no connection with it came about: %s", strerror(error));
                failed_there(c);
                return false;
        }
        c->peer = *peer;
        c->is_dialing = false;
        make_due(c);
        if (c->spec.kind != OUT_CLEAR) {
                if (begin_session(c))
                        return true;
                failed_there(c);
                return false;
        }
        if (!pipeline_stream_open(o->config.pipeline, peer)) {
                snprintf(c->why, sizeof(c->why), "too many connections are open");
                failed_there(c);
                return false;
        }
        c->state = CHANNEL_OPEN;
        c->i_address = 0;
        return true;
}

void outgoing_stream_closed(struct outgoing *o, const struct coap_peer *peer) {
        struct out_channel *c = channel_at(o, peer);

        if (!c)
                return;
        if (c->state == CHANNEL_CONNECTING) {
                snprintf(c->why, sizeof(c->why),
                         "the device ended the connection before there was a session");
                failed_there(c);
        } else if (c->spec.kind == OUT_CLEAR) {
                c->state = CHANNEL_IDLE;
                make_due(c);
        }
}

void outgoing_opened(struct outgoing *o, const struct session *s) {
        struct out_channel *c = channel_of(o, s);

        if (!c)
                return;
        c->state = CHANNEL_OPEN;
        c->peer = s->peer;
        c->i_address = 0;
        c->was_silent = false;
        make_due(c);
        if (o->config.opened && c->spec.kind == OUT_CREDENTIAL)
                o->config.opened(o->config.context, c, s);
}

void outgoing_creds_changed(struct outgoing *o, uint16_t device) {
        LIST_FOR_EACH(i, &o->channels) {
                struct out_channel *c = LIST_ENTRY(i, struct out_channel, link);
                const struct session *s = c->spec.kind == OUT_CREDENTIAL && c->spec.device == device
                                                  ? out_channel_session(c)
                                                  : NULL;

                if (s && o->config.opened)
                        o->config.opened(o->config.context, c, s);
        }
}

void outgoing_closed(struct outgoing *o, const struct session *s) {
        struct out_channel *c = channel_of(o, s);

        if (!c)
                return;
        c->state = CHANNEL_IDLE;
        make_due(c);
}

void outgoing_failed(struct outgoing *o, const struct session *s) {
        struct out_channel *c = channel_of(o, s);

        if (!c)
                return;
        snprintf(c->why, sizeof(c->why), "%s", failure_text(s));
        c->was_silent |= s->tls && s->tls->failure == TLS_FAILURE_TIMEOUT;
        failed_there(c);
}

/* ---- made and freed ---- */

int outgoing_new(struct outgoing **ret, const struct outgoing_config *config) {
        struct outgoing *o = ocf_new(struct outgoing);

        if (!o)
                return -ENOMEM;
        o->config = *config;
        list_init(&o->channels);
        list_init(&o->busy);
        *ret = o;
        return 0;
}

struct outgoing *outgoing_free(struct outgoing *o) {
        if (!o)
                return NULL;
        LIST_FOR_EACH_SAFE(i, &o->channels) {
                struct out_channel *c = LIST_ENTRY(i, struct out_channel, link);

                c->n_references++;
                LIST_FOR_EACH_SAFE(j, &c->waiting)
                request_free(LIST_ENTRY(j, struct out_request, link));
                LIST_FOR_EACH_SAFE(j, &c->sent)
                request_free(LIST_ENTRY(j, struct out_request, link));
                c->state = CHANNEL_IDLE;
                c->n_references = 0;
                channel_free_unused(c);
        }
        ocf_free(o->slots);
        return ocf_free(o);
}
