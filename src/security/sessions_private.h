/*
 * What the files of the sessions share: sessions.c reads and writes,
 * sessions_begin.c has hellos and cookies, sessions_table.c who is there,
 * sessions_work.c the steps that take long.
 */
#ifndef OCF_SECURITY_SESSIONS_PRIVATE_H
#define OCF_SECURITY_SESSIONS_PRIVATE_H

#include "protocol/coap_siphash.h"
#include "security/sessions.h"

#define SESSIONS_LOOSE_N      64u /* short words for nobody in particular: cookies, alerts */
#define SESSIONS_LOOSE_MAX    160u
#define SESSIONS_PROVEN_N     64u /* addresses that are remembered */
#define SESSIONS_EARLY_MAX    (TLS_HELLO_MAX + 9u)
#define SESSIONS_HANDSHAKE_MS 30000u /* a connection that says nothing is given up */

/* One datagram, or bytes of a connection, that no session is needed for. */
struct loose {
        struct coap_peer to;
        size_t n;
        uint8_t bytes[SESSIONS_LOOSE_MAX];
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
        struct list with_work, worked; /* a step waits to be run; was run, and is not looked at yet */
        uint64_t timed_due;
        size_t mask;
        struct list *by_address, *by_number; /* heads of buckets */
        struct session *reported;            /* to be freed at the next event */
        struct reading reading[2];
        struct span data; /* came together with the end of the handshake */
        struct session *data_of;
        uint8_t proven[SESSIONS_PROVEN_N][16]; /* groups of sessions whose peer had a name */
        size_t n_proven;
        size_t n_loose, first_loose;
        struct loose loose[SESSIONS_LOOSE_N];
        uint8_t copy[TLS_RECORD_MAX];
};

/* sessions_table.c */
struct coap_peer sessions_address_of(const struct coap_peer *peer); /* without a number */
struct session *sessions_find_stream(struct sessions *s, const struct coap_peer *peer);

/* At most two at one address: one that is open, and one on the way to take its place. */
struct session *sessions_find_at(struct sessions *s, const struct coap_peer *address, bool is_open);
struct session *sessions_oldest(const struct list *l);
bool sessions_make_room(struct sessions *s, const struct coap_peer *peer, bool is_ours, uint64_t now_ms);
void sessions_remember(struct sessions *s, const struct session *c); /* it is open */
struct session *sessions_add(struct sessions *s, const struct coap_peer *peer, uint64_t now_ms);
void sessions_put_loose(struct sessions *s, const struct coap_peer *to, const uint8_t *bytes, size_t n);
void sessions_drop(struct sessions *s, struct session *c);                 /* without a word */
void sessions_end(struct sessions *s, struct session *c, uint64_t now_ms); /* with its last one */
struct session *sessions_free_one(struct session *c);

/* sessions_begin.c. Return: the session that the hello is for; NULL: none is made. */
struct session *sessions_on_hello(struct sessions *s, const struct coap_peer *peer,
                                  const struct tls_hello *hello, struct span datagram, uint64_t now_ms);

/* Of a connection: takes what is its hello. Return: whether the engine stands. */
bool sessions_take_early(struct sessions *s, struct session *c, uint8_t **data, size_t *n, uint64_t now_ms);

/* sessions_connect.c */
struct session_connecting {
        struct uuid id;
        bool transfer;
        size_t n_key, n_identity;
        uint8_t key[TLS_PSK_MAX], identity[TLS_IDENTITY_MAX];
};

bool sessions_is_meant(struct sessions *s, struct session *c);
struct session_connecting *sessions_connecting_free(struct session_connecting *o);

void sessions_speak(struct sessions *s, struct session *c); /* sessions.c: it may have something to send */

/* sessions_work.c */
void sessions_follow_work(struct sessions *s, struct session *c);
void sessions_forget_work(struct session *c); /* it goes: the step has nobody to tell */

/* sessions.c: is the credential there still that it came in with? */
bool sessions_still_holds(const struct svr *svr, const struct session *c);

#endif
