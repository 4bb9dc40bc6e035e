#include "base/memory.h"
#include "security/cred.h"
#include "security/crypto.h"
#include "security/keys.h"
#include "security/sessions_choose.h"
#include "security/sessions_private.h"
#include "security/tls_psk.h"

#include <string.h>

#define COOKIE_LIFE_MS 60000u /* a secret is used so long, and known as long again */

/*
 * How a session begins: the cookie, the suite, the engine, and the key of who
 * says its name.
 */

static bool is_pin_identity(struct span name) {
        return span_equal_string(name, KEY_PIN_IDENTITY);
}

static size_t find_pin(struct session *c, uint8_t ret[TLS_PSK_MAX]) {
        const struct sessions_host *host = &c->table->config.host;
        size_t n = host->pin(host->context, c->peer.device, ret);

        if (n)
                c->key_hash = coap_siphash(c->table->hash_key, span_of(ret, n));
        return n;
}

/* A PIN that was guessed at too often is another one now: who began before has the key of none. */
bool sessions_has_pin(const struct session *c) {
        const struct sessions_host *host = &c->table->config.host;
        const struct svr *svr = host->svr(host->context, c->peer.device);
        uint8_t key[TLS_PSK_MAX];
        size_t n;
        bool same;

        if (!svr || svr->machine.state != SVR_RFOTM || c->credid != CRED_ID_NONE || !c->key_hash)
                return false;
        n = host->pin(host->context, c->peer.device, key);
        same = n && coap_siphash(c->table->hash_key, span_of(key, n)) == c->key_hash;
        secret_wipe(key, sizeof(key));
        return same;
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
                return is_pin_identity(name) ? find_pin(c, ret) : 0;
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
                .one_try = svr->machine.state == SVR_RFOTM,
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
                sessions_put_loose(s, peer, of_stream, sizeof(of_stream)); /* handshake_failure */
        else
                sessions_put_loose(s, peer, of_datagram, sizeof(of_datagram));
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
        sessions_put_loose(s, peer, answer, tls_hello_verify(cookie, datagram, answer, sizeof(answer)));
        s->counts.n_cookies++;
        return false;
}

/* Return: the session that the hello is for; NULL: none is made. */
struct session *sessions_on_hello(struct sessions *s, const struct coap_peer *peer,
                                  const struct tls_hello *hello, struct span datagram, uint64_t now_ms) {
        struct session *c = sessions_find_at(s, peer, false);
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
                sessions_drop(s, c); /* it began anew, and would take a goodbye for an answer */
        if (!sessions_make_room(s, peer, false, now_ms)) {
                s->counts.n_refused++;
                return NULL;
        }
        c = sessions_add(s, peer, now_ms);
        if (c && begin_engine(s, c, svr, suite, hello, now_ms)) {
                sessions_drop(s, c);
                refuse(s, peer);
                return NULL;
        }
        return c;
}

/* A connection's hello may come in pieces; nothing else is before it. Return: whether the engine stands. */
bool sessions_take_early(struct sessions *s, struct session *c, uint8_t **data, size_t *n, uint64_t now_ms) {
        size_t n_now = ocf_min_u64(*n, SESSIONS_EARLY_MAX - c->n_early);
        const struct svr *svr;
        struct tls_hello hello;
        uint16_t suite;
        int r;

        if (!c->early)
                c->early = ocf_allocate(SESSIONS_EARLY_MAX, 1);
        if (!c->early)
                return false;
        memcpy(c->early + c->n_early, *data, n_now);
        c->n_early += n_now;
        *data += n_now;
        *n -= n_now;
        r = tls_hello_read(&hello, true, span_of(c->early, c->n_early));
        if (c->n_early < SESSIONS_EARLY_MAX && (r == TLS_HELLO_E_FRAGMENT || c->n_early < 9))
                return false; /* more is to come */
        suite = r ? 0 : suite_for(s, c->peer.device, &hello, &svr);
        if (suite && !begin_engine(s, c, svr, suite, &hello, now_ms))
                return true;
        refuse(s, &c->peer);
        sessions_drop(s, c);
        return false;
}
