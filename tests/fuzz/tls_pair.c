#include "tls_pair.h"
#include "fuzz.h"
#include "security/tls_hello.h"

#include <string.h>

#define QUEUE_MAX   24
#define RECORDS_MAX 2048
#define SAID_MAX    4096
#define STEPS_MAX   200

enum { CLIENT, SERVER };

struct datagram {
        uint8_t *bytes;
        size_t n;
};

struct side {
        struct tls *tls;
        size_t n_queue; /* on the way to it */
        struct datagram queue[QUEUE_MAX];
        size_t n_said; /* what it sealed, all of it, and each record of it by itself */
        uint8_t said[SAID_MAX];
        size_t n_records;
        struct {
                uint64_t hash; /* of the whole record */
                bool heard;    /* its data came out at the other side */
                size_t at, n;  /* in said; n 0: not data */
        } records[RECORDS_MAX];
        uint64_t n_genuine; /* records that came to it, and were the other side's */
        size_t n_heard;     /* of what the other side said: TLS */
        enum tls_state before;
};

static struct fuzz {
        struct side sides[2];
        struct tls_pair pair;
        bool stream;
        uint64_t now_ms;
        struct span script;
} f;

static const uint8_t cookie_secret[TLS_COOKIE_SECRET] = { 42 };

static uint8_t next_u8(void) {
        uint8_t v = 0;

        (void)span_take_u8(&f.script, &v);
        return v;
}

static uint16_t next_u16(void) {
        uint8_t high = next_u8();

        return (uint16_t)(high << 8 | next_u8());
}

/* libssl does not look at the minor version of a record, and has its own in what it authenticates. */
static uint64_t hash_of(const uint8_t *p, size_t n) {
        uint64_t h = 0xcbf29ce484222325;

        for (size_t i = 0; i < n; i++)
                if (i != 2 || !f.pair.is_libssl)
                        h = (h ^ p[i]) * 0x100000001b3;
        return h;
}

/* ---- the two ---- */

static void make(int who, uint16_t first_message) {
        f.sides[who].tls = f.pair.make(who == CLIENT, first_message, f.now_ms);
        must_hold(f.sides[who].tls);
        f.sides[who].before = TLS_HANDSHAKE;
}

/* ---- the network ---- */

static void send_to(int who, const uint8_t *bytes, size_t n) {
        struct side *s = &f.sides[who];
        uint8_t *copy;

        if (s->n_queue == QUEUE_MAX)
                return;
        copy = malloc(n ? n : 1);
        must_hold(copy);
        memcpy(copy, bytes, n);
        s->queue[s->n_queue++] = (struct datagram){ copy, n };
}

static struct datagram take_from(int who, size_t i) {
        struct side *s = &f.sides[who];
        struct datagram d = s->queue[i];

        s->n_queue--;
        memmove(&s->queue[i], &s->queue[i + 1], (s->n_queue - i) * sizeof(*s->queue));
        return d;
}

/* The records of a datagram: the length of the first; 0: none that is whole. */
static size_t record_length(const uint8_t *p, size_t n) {
        size_t n_record = n < 13 ? 0 : 13u + ((size_t)p[11] << 8 | p[12]);

        return n_record && n_record <= n ? n_record : 0;
}

static void remember(struct side *from, const uint8_t *p, size_t n, size_t n_data) {
        for (size_t n_record; !f.stream && (n_record = record_length(p, n)) > 0;
             p += n_record, n -= n_record) {
                must_hold(from->n_records < RECORDS_MAX);
                from->records[from->n_records].hash = hash_of(p, n_record);
                from->records[from->n_records].heard = false;
                from->records[from->n_records].at = from->n_said - n_data;
                from->records[from->n_records++].n = n_data;
        }
}

/* How many records in it are the other side's, behind its ChangeCipherSpec. */
static unsigned genuine_in(const struct side *from, const uint8_t *p, size_t n) {
        unsigned n_genuine = 0;

        for (size_t n_record; (n_record = record_length(p, n)) > 0; p += n_record, n -= n_record)
                for (size_t i = 0; i < from->n_records; i++)
                        if (p[4] == 1 && from->records[i].hash == hash_of(p, n_record)) {
                                n_genuine++;
                                break;
                        }
        return n_genuine;
}

/* ---- what must hold ---- */

static void must_be_said(struct side *from, struct span data) {
        bool is_said = false;

        if (f.stream) {
                must_hold(data.n <= from->n_said - from->n_heard);
                must_hold(!memcmp(from->said + from->n_heard, data.data, data.n));
                from->n_heard += data.n;
                return;
        }
        for (size_t i = 0; i < from->n_records; i++)
                if (from->records[i].n == data.n && !from->records[i].heard &&
                    !memcmp(from->said + from->records[i].at, data.data, data.n)) {
                        from->records[i].heard = is_said = true;
                        break;
                }
        must_hold(is_said);
}

static void look(void) {
        struct tls *c = f.sides[CLIENT].tls, *s = f.sides[SERVER].tls;
        struct tls_secrets of_client, of_server;

        for (int who = 0; who < 2; who++) {
                struct side *side = &f.sides[who];

                if (!side->tls)
                        continue;
                must_hold(side->tls->state >= side->before);
                side->before = side->tls->state;
                must_hold(side->tls->state != TLS_OPEN || side->tls->failure == TLS_FAILURE_NONE);
                must_hold(side->tls->state != TLS_CLOSED || side->tls->deadline_ms == OCF_NEVER);
                must_hold(side->tls->state != TLS_OPEN || f.pair.may_open);
        }
        if (c && s && tls_secrets(c, &of_client) && tls_secrets(s, &of_server))
                must_hold(!memcmp(&of_client, &of_server, sizeof(of_client)));
}

/* ---- steps ---- */

static void transmit(int who) {
        static uint8_t buf[TLS_RECORD_MAX];
        struct side *side = &f.sides[who];
        unsigned n_sent = 0;
        size_t n;

        while (side->tls && (n = tls_transmit(side->tls, f.now_ms, buf, sizeof(buf))) > 0) {
                must_hold(++n_sent < f.pair.n_flight_max && n <= f.pair.n_datagram_max);
                remember(side, buf, n, 0);
                send_to(!who, buf, n);
        }
        must_hold(!side->tls || f.pair.is_libssl || side->tls->deadline_ms > f.now_ms);
}

/* What stands before the server in the daemon: nothing is held before the cookie came back. */
static void first_contact(const uint8_t *bytes, size_t n) {
        uint8_t cookie[TLS_COOKIE], answer[TLS_HELLO_VERIFY_MAX];
        struct tls_hello hello;

        if (tls_hello_read(&hello, false, span_of(bytes, n)))
                return;
        if (tls_cookie_is(&hello, SPAN_LITERAL("client"), cookie_secret)) {
                make(SERVER, hello.message_seq);
                return;
        }
        tls_cookie_make(&hello, SPAN_LITERAL("client"), cookie_secret, cookie);
        n = tls_hello_verify(cookie, span_of(bytes, n), answer, sizeof(answer));
        must_hold(n);
        send_to(CLIENT, answer, n);
}

static void deliver(int who, struct datagram d) {
        struct side *side = &f.sides[who], *from = &f.sides[!who];
        enum tls_state state;
        unsigned n_genuine;
        uint64_t n_opened;
        struct span data;

        if (!side->tls && who == SERVER)
                first_contact(d.bytes, d.n);
        if (!side->tls) {
                free(d.bytes);
                return;
        }
        state = side->tls->state;
        n_opened = side->tls->n_opened;
        n_genuine = f.stream ? UINT32_MAX : genuine_in(from, d.bytes, d.n);
        tls_receive(side->tls, f.now_ms, d.bytes, d.n);
        while (tls_next(side->tls, f.now_ms, &data)) {
                must_hold(data.n && state != TLS_CLOSED);
                must_be_said(from, data);
        }
        side->n_genuine += n_genuine;
        if (f.pair.is_libssl) /* what came before its turn was kept */
                must_hold(side->tls->n_opened <= side->n_genuine);
        else
                must_hold(side->tls->n_opened - n_opened <= n_genuine);
        if (!f.stream && state == TLS_OPEN && !n_genuine)
                must_hold(side->tls->state == TLS_OPEN);
        free(d.bytes);
        look();
        transmit(who);
}

static void say(int who, size_t n) {
        static uint8_t buf[TLS_RECORD_MAX];
        struct side *side = &f.sides[who];
        size_t n_record;

        if (!side->tls || (!n && f.pair.is_libssl) || side->n_said + n > SAID_MAX ||
            side->n_records > RECORDS_MAX - 32)
                return;
        for (size_t i = 0; i < n; i++) /* no two records say the same */
                side->said[side->n_said + i] = (uint8_t)(i ? i * 7 + side->n_records : side->n_records);
        n_record = tls_seal(side->tls, span_of(side->said + side->n_said, n), buf, sizeof(buf));
        must_hold((n_record > 0) == (side->tls->state == TLS_OPEN) && n_record <= n + TLS_SEAL_MORE);
        if (!n_record)
                return;
        side->n_said += n;
        remember(side, buf, n_record, n);
        send_to(!who, buf, n_record);
}

static void alter(struct datagram *d) {
        size_t at = next_u16();
        uint8_t with = next_u8();

        if (d->n)
                d->bytes[at % d->n] ^= with ? with : 1;
}

/* Of a connection the rest follows; of a datagram it is lost. */
static void deliver_cut(int who, struct datagram d) {
        size_t n = d.n ? next_u8() * d.n / 256 : 0;
        struct datagram rest = { malloc(d.n - n + 1), d.n - n };
        uint8_t *first = malloc(n + 1);

        must_hold(rest.bytes && first);
        memcpy(rest.bytes, d.bytes + n, rest.n);
        memcpy(first, d.bytes, n);
        free(d.bytes);
        deliver(who, (struct datagram){ first, n });
        if (f.stream)
                deliver(who, rest);
        else
                free(rest.bytes);
}

static void inject(int who) {
        struct span bytes = SPAN_NULL;
        struct datagram d;

        (void)span_take(&f.script, ocf_min_size(next_u16() % TLS_RECORD_MAX, f.script.n), &bytes);
        d = (struct datagram){ malloc(bytes.n + 1), bytes.n };
        must_hold(d.bytes);
        memcpy(d.bytes, bytes.data, bytes.n);
        deliver(who, d);
}

enum step { DELIVER, LOSE, ALTER, CUT, DOUBLE, INJECT, WAIT, SAY };

static void on_queue(enum step step, unsigned how) {
        int who = how & 1;
        struct side *side = &f.sides[who];
        struct datagram d;

        if (!side->n_queue)
                return;
        d = take_from(who, how & 2 ? side->n_queue - 1 : 0);
        if (step == DOUBLE)
                send_to(who, d.bytes, d.n);
        if (step == ALTER)
                alter(&d);
        if (step == LOSE)
                free(d.bytes);
        else if (step == CUT)
                deliver_cut(who, d);
        else
                deliver(who, d);
}

static void wait_for(unsigned how) {
        f.now_ms += 250u * how;
        for (int who = 0; who < 2; who++)
                if (f.sides[who].tls && f.sides[who].tls->deadline_ms <= f.now_ms)
                        transmit(who);
}

static void speak(unsigned how) {
        struct side *side = &f.sides[how & 1];

        if (how < 30) {
                say(how & 1, (how >> 1) * 16u);
        } else if (side->tls) {
                tls_close(side->tls);
                look();
                transmit(how & 1);
        }
}

static void step(void) {
        uint8_t v = next_u8();

        switch ((enum step)(v & 7)) {
        case DELIVER:
        case LOSE:
        case ALTER:
        case CUT:
        case DOUBLE:
                on_queue((enum step)(v & 7), v >> 3);
                return;
        case INJECT:
                inject(v >> 3 & 1);
                return;
        case WAIT:
                wait_for(v >> 3);
                return;
        case SAY:
                speak(v >> 3);
                return;
        }
}

static void end(void) {
        for (int who = 0; who < 2; who++) {
                while (f.sides[who].n_queue)
                        free(take_from(who, 0).bytes);
                tls_free(f.sides[who].tls);
        }
}

void tls_pair_run(const struct tls_pair *pair, bool stream, struct span script) {
        memset(&f, 0, sizeof(f));
        f.pair = *pair;
        f.script = script;
        f.stream = stream;
        f.now_ms = 1000;
        make(CLIENT, 0);
        if (f.stream)
                make(SERVER, 0);
        transmit(CLIENT);
        for (unsigned i = 0; i < STEPS_MAX && f.script.n; i++)
                step();
        end();
}
