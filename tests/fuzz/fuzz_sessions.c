/*
 * Any bytes as what four addresses send to the secure ports of a device, and
 * what happens to the device meanwhile: handshakes of our engine's client with
 * right and wrong keys, their datagrams late, doubled and altered, forgeries,
 * connections; credentials that go, resets, other transfer methods.
 *
 * What must hold: whoever is open has a credential that is still there, or in
 * RFOTM came by the chosen method, first; data is what that address said, once;
 * an address that has shown nothing is answered with less than it sent, and kept
 * nowhere; tables stay within their limits, and no deadline stays in the past.
 */
#include "fuzz.h"
#include "security/keys.h"
#include "security/sessions.h"
#include "security/tls_psk.h"
#include "tls_random.h"

#include <string.h>

#define ADDRESSES  4 /* the last one is a connection */
#define QUEUE_MAX  16
#define SAID_MAX   512
#define STEPS_MAX  200
#define FIRST_PORT 1000
#define CHANNEL    7
#define PIN_KEY    "the key of a PIN"

static const struct uuid device_id = { { 0xde, 0, 0, 1 } }, owner = { { 0, 0x0b, 0 } },
                         other = { { 7, 7, 0 } };
static const struct sessions_config limits = {
        .n_max = 3, .n_handshakes = 2, .n_per_address = 2, .idle_ms = 600000
};

struct datagram {
        uint8_t *bytes;
        size_t n;
};

struct queue {
        size_t n;
        struct datagram datagrams[QUEUE_MAX];
};

struct client {
        struct tls *tls;
        struct coap_peer peer;
        uint8_t how;
        uint8_t names, suites; /* bits of those that it used: what it said before is still under way */
        bool is_connected;     /* of the connection: the table knows it */
        struct queue to_server, to_client;
};

static struct fuzz {
        struct svr svr;
        struct sessions *sessions;
        struct client clients[ADDRESSES];
        struct {
                uint8_t who;
                bool heard;
        } said[SAID_MAX];
        size_t n_said;
        uint64_t now_ms, random, n_sent; /* bytes that the table has sent */
        struct span script;
} f;

static uint8_t next_u8(void) {
        uint8_t v = 0;

        (void)span_take_u8(&f.script, &v);
        return v;
}

/* ---- queues ---- */

static void put(struct queue *q, const uint8_t *bytes, size_t n) {
        uint8_t *copy;

        if (q->n == QUEUE_MAX)
                return;
        copy = malloc(n ? n : 1);
        must_hold(copy);
        if (n)
                memcpy(copy, bytes, n);
        q->datagrams[q->n++] = (struct datagram){ copy, n };
}

static bool take(struct queue *q, bool last, struct datagram *ret) {
        size_t i = last && q->n ? q->n - 1 : 0;

        if (!q->n)
                return false;
        *ret = q->datagrams[i];
        q->n--;
        memmove(&q->datagrams[i], &q->datagrams[i + 1], (q->n - i) * sizeof(*q->datagrams));
        return true;
}

static void forget(struct queue *q) {
        struct datagram d;

        while (take(q, false, &d))
                free(d.bytes);
}

/* ---- the device ---- */

static const struct svr *host_svr(void *context, uint16_t device) {
        return device ? NULL : &f.svr;
}

static size_t host_pin(void *context, uint16_t device, uint8_t ret[TLS_PSK_MAX]) {
        memcpy(ret, PIN_KEY, 16);
        return f.svr.doxm.oxmsel == SVR_RANDOM_PIN ? 16 : 0;
}

static bool host_no_certificate(void *context, uint16_t device) {
        return false;
}

static void key_of(const struct uuid *who, uint8_t ret[16]) {
        memset(ret, 0x30 + who->bytes[1], 16);
}

static void add_key(const struct uuid *who, int32_t id) {
        uint8_t key[16];
        struct cred view = { .id = id, .type = CRED_PSK, .subject = *who, .secret = { key, sizeof(key) } };

        key_of(who, key);
        if (!svr_find_psk(&f.svr, who))
                must_hold(svr_add_cred(&f.svr, &view, ++f.random) == 0);
}

static void remove_key(const struct uuid *who) {
        for (size_t i = 0; i < f.svr.n_creds; i++)
                if (cred_is_about(f.svr.creds[i], who)) {
                        cred_free(f.svr.creds[i]);
                        f.svr.creds[i] = f.svr.creds[--f.svr.n_creds];
                }
}

/* What a transfer leads to; sessions of the transfer end with RFNOP. */
static void become_owned(void) {
        f.svr.doxm.owned = true;
        add_key(&owner, 1);
        add_key(&other, 2);
        svr_machine_restore(&f.svr.machine, SVR_RFNOP, false);
        sessions_close_device(f.sessions, 0);
}

static void reset(void) {
        svr_reset(&f.svr, &device_id);
        sessions_close_device(f.sessions, 0);
}

/* As /oic/sec/doxm lets it be chosen. */
static void choose(enum svr_transfer method) {
        if (f.svr.machine.state == SVR_RFOTM && !f.svr.machine.transfer &&
            !sessions_handshaking(f.sessions, 0, f.now_ms))
                f.svr.doxm.oxmsel = (uint8_t)method;
}

/* ---- what must hold ---- */

static struct client *client_of(const struct coap_peer *peer) {
        unsigned i = (unsigned)peer->remote_port - FIRST_PORT;

        must_hold(i < ADDRESSES);
        return &f.clients[i];
}

/* What BEGIN says: who comes with which key. */
enum name { AS_OWNER, AS_OTHER, WITH_A_WRONG_KEY, WITH_A_PIN };

static enum name name_of(uint8_t how) {
        return (enum name)(how >> 1 & 3);
}

static const struct uuid *identity_of(enum name name) {
        return name == AS_OTHER ? &other : &owner;
}

static void must_be_let_in(const struct session *s) {
        const struct client *c = client_of(&s->peer);

        if (f.svr.machine.state == SVR_RFOTM) {
                bool anonymous = s->tls->suite == TLS_ECDH_ANON_AES_128_CBC_SHA256;

                must_hold(s->svr.onboarding && uuid_is_nil(&s->svr.id) && !f.svr.machine.transfer);
                must_hold(f.svr.doxm.oxmsel == (anonymous ? SVR_JUST_WORKS : SVR_RANDOM_PIN));
                must_hold(anonymous ? c->suites & 2 : c->suites & 1 && c->names & 1 << WITH_A_PIN);
                svr_machine_transfer_began(&f.svr.machine, f.now_ms);
                return;
        }
        must_hold(s->tls->suite == TLS_ECDHE_PSK_AES_128_CBC_SHA256 && !s->svr.onboarding && c->suites & 1);
        must_hold(c->names & 1 << (uuid_equal(&s->svr.id, &other) ? AS_OTHER : AS_OWNER));
        must_hold(svr_find_psk(&f.svr, &s->svr.id));
}

static void must_be_said(const struct session *s, struct span data) {
        unsigned serial;

        must_hold(data.n >= 3 && data.n < 600);
        serial = (unsigned)data.data[1] << 8 | data.data[2];
        must_hold(serial < f.n_said && f.said[serial].who == data.data[0] && !f.said[serial].heard);
        must_hold(client_of(&s->peer) == &f.clients[data.data[0]]);
        f.said[serial].heard = true;
}

static void must_be_in_order(void) {
        struct sessions_counts counts;
        unsigned n = 0;

        sessions_counts(f.sessions, &counts);
        must_hold(counts.n_open + counts.n_handshakes <= limits.n_max &&
                  counts.n_handshakes <= limits.n_handshakes);
        for (const struct session *s = sessions_first(f.sessions); s; s = sessions_after(f.sessions, s)) {
                must_hold(++n <= counts.n_open && s->is_open);
                must_hold(s->svr.onboarding || svr_find_psk(&f.svr, &s->svr.id));
        }
        must_hold(n == counts.n_open);
        must_hold(sessions_deadline(f.sessions) > f.now_ms);
}

/* ---- the table ---- */

static void pump(void) {
        static uint8_t buf[TLS_RECORD_MAX];
        struct session_event event;
        struct coap_peer to;
        unsigned n_turns = 0;
        bool any = true;
        size_t n;

        while (any) {
                any = false;
                must_hold(++n_turns < 100);
                while (sessions_event(f.sessions, f.now_ms, &event)) {
                        any = true;
                        must_hold(++n_turns < 100);
                        if (event.type == SESSION_OPENED)
                                must_be_let_in(event.session);
                        else if (event.type == SESSION_DATA)
                                must_be_said(event.session, event.data);
                        else if (event.type == SESSION_CLOSED && event.session->svr.onboarding)
                                svr_machine_transfer_lost(&f.svr.machine, f.now_ms);
                }
                while ((n = sessions_transmit(f.sessions, f.now_ms, &to, buf, sizeof(buf))) > 0) {
                        any = true;
                        must_hold(++n_turns < 100);
                        f.n_sent += n;
                        put(&client_of(&to)->to_client, buf, n);
                }
                if (svr_machine_due(&f.svr.machine, f.now_ms) == SVR_DUE_RESET) {
                        any = true;
                        reset();
                }
                any |= sessions_deadline(f.sessions) <=
                       f.now_ms; /* somebody ended while it was asked what to send */
        }
        must_be_in_order();
}

static void give(struct client *c, struct datagram d) {
        struct sessions_counts before, after;

        sessions_counts(f.sessions, &before);
        f.n_sent = 0;
        if (!c->peer.stream)
                sessions_receive(f.sessions, f.now_ms, &c->peer, d.bytes, d.n);
        else if (c->is_connected)
                sessions_stream_receive(f.sessions, f.now_ms, &c->peer, d.bytes, d.n);
        pump();
        sessions_counts(f.sessions, &after);
        if (!c->peer.stream && !(before.n_open + before.n_handshakes + after.n_open + after.n_handshakes))
                must_hold(f.n_sent <= d.n);
        free(d.bytes);
}

/* ---- clients ---- */

static size_t client_key(void *context, struct span name, uint8_t ret[TLS_PSK_MAX]) {
        const struct client *c = context;

        switch (name_of(c->how)) {
        case AS_OWNER:
        case AS_OTHER:
                key_of(identity_of(name_of(c->how)), ret);
                break;
        case WITH_A_WRONG_KEY:
                memset(ret, 0xee, 16);
                break;
        case WITH_A_PIN:
                memcpy(ret, PIN_KEY, 16);
                break;
        }
        return 16;
}

static void client_transmit(struct client *c) {
        static uint8_t buf[TLS_RECORD_MAX];
        unsigned n_sent = 0;
        size_t n;

        while (c->tls && (n = tls_transmit(c->tls, f.now_ms, buf, sizeof(buf))) > 0) {
                must_hold(++n_sent < 10);
                put(&c->to_server, buf, n);
        }
}

static void client_hear(struct client *c, struct datagram d) {
        struct span data;

        if (c->tls) {
                tls_receive(c->tls, f.now_ms, d.bytes, d.n);
                while (tls_next(c->tls, f.now_ms, &data))
                        ;
                client_transmit(c);
        }
        free(d.bytes);
}

static void disconnect(struct client *c) {
        if (c->is_connected)
                sessions_stream_closed(f.sessions, &c->peer);
        c->is_connected = false;
        forget(&c->to_server);
        forget(&c->to_client);
        pump();
}

static void begin(struct client *c) {
        struct tls_psk_config config = {
                .client = true, .stream = c->peer.stream, .psk = client_key, .context = c
        };

        c->how = next_u8();
        c->names |= (uint8_t)(1u << name_of(c->how));
        c->suites |= (uint8_t)(1u << (c->how & 1));
        config.suite = c->how & 1 ? TLS_ECDH_ANON_AES_128_CBC_SHA256 : TLS_ECDHE_PSK_AES_128_CBC_SHA256;
        config.without_encrypt_then_mac = c->how & 8;
        config.identity = name_of(c->how) == WITH_A_PIN ? span_of_string(KEY_PIN_IDENTITY)
                                                        : span_of(identity_of(name_of(c->how))->bytes, 16);
        if (c->peer.stream) {
                disconnect(c);
                c->is_connected = sessions_stream_open(f.sessions, f.now_ms, &c->peer);
        }
        c->tls = tls_free(c->tls);
        must_hold(tls_psk_new(&c->tls, &config, f.now_ms) == 0);
        client_transmit(c);
}

static void say(struct client *c, size_t n) {
        uint8_t data[600] = { (uint8_t)(c - f.clients), (uint8_t)(f.n_said >> 8), (uint8_t)f.n_said },
                record[800];

        if (!c->tls || f.n_said == SAID_MAX)
                return;
        n = tls_seal(c->tls, span_of(data, n + 3), record, sizeof(record));
        if (!n)
                return;
        f.said[f.n_said++].who = (uint8_t)(c - f.clients);
        put(&c->to_server, record, n);
}

static void answer(struct client *c) {
        uint8_t record[256];
        struct coap_peer to;

        for (const struct session *s = sessions_first(f.sessions); s; s = sessions_after(f.sessions, s))
                if (client_of(&s->peer) == c) {
                        size_t n = sessions_seal(f.sessions, f.now_ms, &s->peer, SPAN_LITERAL("an answer"),
                                                 record, sizeof(record));

                        to = s->peer;
                        must_hold(n && sessions_find(f.sessions, &to) == s);
                        put(&c->to_client, record, n);
                        return;
                }
}

/* ---- steps ---- */

enum step { BEGIN, TO_SERVER, TO_CLIENT, ALTER, INJECT, WAIT, SAY, CHANGE };

/* Whoever sends each record by itself gives the device time in between. */
static void cut_behind_first_record(struct queue *q, struct datagram *d) {
        size_t n = d->n < 13 ? d->n : 13 + ((size_t)d->bytes[11] << 8 | d->bytes[12]);

        if (n >= d->n)
                return;
        put(q, d->bytes + n, d->n - n);
        d->n = n;
}

static void carry(enum step step, unsigned arg) {
        struct client *c = &f.clients[arg & 3];
        struct queue *q = step == TO_CLIENT ? &c->to_client : &c->to_server;
        struct datagram d;

        if (!take(q, arg & 4, &d))
                return;
        if (arg & 8)
                put(q, d.bytes, d.n);
        if (arg & 16 && step == TO_SERVER)
                cut_behind_first_record(q, &d);
        if (step == ALTER && d.n) {
                unsigned at = (unsigned)next_u8() << 8, with;

                at |= next_u8();
                with = next_u8();
                d.bytes[at % d.n] ^= (uint8_t)(with ? with : 1);
        }
        if (step == TO_CLIENT)
                client_hear(c, d);
        else
                give(c, d);
}

static void inject(struct client *c) {
        struct span bytes = SPAN_NULL;
        struct queue q = { 0 };
        struct datagram d;
        size_t n = (size_t)next_u8() << 8;

        n |= next_u8();
        (void)span_take(&f.script, ocf_min_size(n, f.script.n), &bytes);
        put(&q, bytes.data, bytes.n);
        if (take(&q, false, &d))
                give(c, d);
}

static void wait_for(unsigned arg) {
        f.now_ms += arg == 31 ? limits.idle_ms : 250u * arg;
        for (size_t i = 0; i < ADDRESSES; i++)
                if (f.clients[i].tls && f.clients[i].tls->deadline_ms <= f.now_ms)
                        client_transmit(&f.clients[i]);
        pump();
}

static void change(unsigned arg) {
        const struct session *s = sessions_first(f.sessions);
        struct coap_peer peer;

        switch (arg % 8) {
        case 0:
                remove_key(arg & 8 ? &other : &owner);
                sessions_check(f.sessions, 0);
                break;
        case 1:
                if (f.svr.machine.state == SVR_RFNOP)
                        add_key(arg & 8 ? &other : &owner, arg & 8 ? 2 : 1);
                break;
        case 2:
                reset();
                break;
        case 3:
                become_owned();
                break;
        case 4:
                choose((enum svr_transfer)(arg >> 3 & 1));
                break;
        case 5:
                sessions_close_device(f.sessions, 0);
                break;
        case 6:
                if (s) {
                        peer = s->peer;
                        sessions_close(f.sessions, sessions_find(f.sessions, &peer));
                }
                break;
        case 7:
                disconnect(&f.clients[ADDRESSES - 1]);
                break;
        }
        pump();
}

static void step(void) {
        uint8_t v = next_u8(), arg = v >> 3;
        struct client *c = &f.clients[arg & 3];

        switch ((enum step)(v & 7)) {
        case BEGIN:
                begin(c);
                return;
        case TO_SERVER:
        case TO_CLIENT:
        case ALTER:
                carry((enum step)(v & 7), arg);
                return;
        case INJECT:
                inject(c);
                return;
        case WAIT:
                wait_for(arg);
                return;
        case SAY:
                if (arg & 4)
                        answer(c);
                else
                        say(c, (arg >> 3) * 100u);
                return;
        case CHANGE:
                change(arg);
                return;
        }
}

static void start(void) {
        struct sessions_config config = limits;

        config.host = (struct sessions_host){ .svr = host_svr,
                                              .pin = host_pin,
                                              .has_certificate = host_no_certificate };
        svr_init(&f.svr, &(struct svr_device){ .oxms = 3, .sct = CRED_PSK });
        svr_reset(&f.svr, &device_id);
        must_hold(sessions_new(&f.sessions, &config) == 0);
        for (uint16_t i = 0; i < ADDRESSES; i++)
                f.clients[i].peer = (struct coap_peer){
                        .remote_ip = { [10] = 0xff, [11] = 0xff, 10, 0, 0, (uint8_t)(i / 2) },
                        .local_ip = { [10] = 0xff, [11] = 0xff, 10, 0, 0, 9 },
                        .remote_port = (uint16_t)(FIRST_PORT + i),
                        .local_port = 5684,
                        .stream = i == ADDRESSES - 1,
                        .channel = i == ADDRESSES - 1 ? CHANNEL : 0,
                };
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        memset(&f, 0, sizeof(f));
        f.script = span_of(data, n);
        f.now_ms = 100000;
        tls_random_begin(1);
        start();
        if (next_u8() & 1)
                become_owned();
        for (unsigned i = 0; i < STEPS_MAX && f.script.n; i++)
                step();
        for (size_t i = 0; i < ADDRESSES; i++) {
                tls_free(f.clients[i].tls);
                forget(&f.clients[i].to_server);
                forget(&f.clients[i].to_client);
        }
        sessions_free(f.sessions);
        svr_deinit(&f.svr);
        return 0;
}
