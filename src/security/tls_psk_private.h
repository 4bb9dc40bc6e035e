/*
 * What the files of the engine share: tls_psk.c has the records and their
 * order, tls_psk_server.c and tls_psk_client.c the messages of each side,
 * tls_psk_keys.c what is computed from them.
 */
#ifndef OCF_SECURITY_TLS_PSK_PRIVATE_H
#define OCF_SECURITY_TLS_PSK_PRIVATE_H

#include "security/crypto.h"
#include "security/tls_cbc.h"
#include "security/tls_flight.h"
#include "security/tls_hello.h"
#include "security/tls_psk.h"

#define TLS_VERIFY_DATA 12u

enum tls_alert {
        TLS_ALERT_CLOSE_NOTIFY = 0,
        TLS_ALERT_UNEXPECTED_MESSAGE = 10,
        TLS_ALERT_BAD_RECORD_MAC = 20,
        TLS_ALERT_RECORD_OVERFLOW = 22,
        TLS_ALERT_HANDSHAKE_FAILURE = 40,
        TLS_ALERT_ILLEGAL_PARAMETER = 47,
        TLS_ALERT_DECODE_ERROR = 50,
        TLS_ALERT_DECRYPT_ERROR = 51,
        TLS_ALERT_PROTOCOL_VERSION = 70,
        TLS_ALERT_INTERNAL_ERROR = 80,
        TLS_ALERT_USER_CANCELED = 90,
        TLS_ALERT_NO_RENEGOTIATION = 100,
        TLS_ALERT_UNSUPPORTED_EXTENSION = 110,
        TLS_ALERT_UNKNOWN_PSK_IDENTITY = 115,
};

/* What the peer has to say next. */
enum tls_psk_step {
        TLS_STEP_CLIENT_HELLO,
        TLS_STEP_SERVER_HELLO, /* or, once, HelloVerifyRequest */
        TLS_STEP_SERVER_KEY_EXCHANGE,
        TLS_STEP_SERVER_HELLO_DONE,
        TLS_STEP_CLIENT_KEY_EXCHANGE,
        TLS_STEP_CHANGE_CIPHER_SPEC,
        TLS_STEP_FINISHED,
        TLS_STEP_DONE,
};

/* Lives until the peer has shown that it has our last flight. */
struct tls_handshake {
        enum tls_psk_step step;
        bool extended_master_secret, encrypt_then_mac;
        bool verified; /* a client: HelloVerifyRequest was there */
        EVP_MD_CTX *transcript;
        EVP_PKEY *key;
        uint8_t point[CRYPTO_POINT], peer_point[CRYPTO_POINT];
        uint8_t verify_data[TLS_VERIFY_DATA]; /* what the peer's Finished has to say */
        struct tls_cbc read;                  /* waits for ChangeCipherSpec */
        unsigned n_bad;                       /* records that do not open although the keys are there */
        unsigned n_repeats;                   /* flights sent again since the peer repeated its own */
        uint64_t timeout_ms, due_ms, until_ms;
        struct tls_flight flight;
        struct tls_reassembly reassembly;
};

struct tls_psk {
        struct tls base;
        struct tls_psk_config config;
        struct tls_handshake *handshake; /* NULL: over */
        struct tls_secrets secrets;
        struct tls_cbc read, write;
        uint8_t read_epoch, write_epoch;
        uint64_t read_seq, window; /* DTLS: the highest number seen, and which of the 64 below it; TLS: the
                                      number of the next record */
        uint64_t write_seq[2];
        uint8_t alert_level, alert; /* to be sent; level 0: none */
        unsigned n_warnings;
        uint8_t n_name, n_hint;
        uint8_t name[TLS_IDENTITY_MAX], hint[TLS_IDENTITY_MAX]; /* hint: or, of a client, its identity */
        uint8_t *input, *kept; /* what receive() was given; of a stream: a record that is not whole yet */
        size_t n_input, n_kept;
};

/* tls_psk.c. Ends it, with an alert that says so; the outcome of each function below where it may fail. */
void tls_psk_fail(struct tls_psk *p, enum tls_failure failure, enum tls_alert alert, const char *problem);
void tls_psk_opened(struct tls_psk *p, uint64_t now_ms);
void tls_psk_flight_ready(struct tls_psk *p, uint64_t now_ms);
void tls_psk_hash(struct tls_psk *p, struct span message);

/* A message of the peer in the order that the step wants it. */
void tls_psk_server_message(struct tls_psk *p, uint64_t now_ms, enum tls_message type, struct span body);
void tls_psk_client_message(struct tls_psk *p, uint64_t now_ms, enum tls_message type, struct span body);
bool tls_psk_client_hello(struct tls_psk *p, struct span cookie);
void tls_psk_finished(struct tls_psk *p, uint64_t now_ms, struct span body); /* of either side */

/* tls_psk_keys.c: false: no memory. */
bool tls_psk_make_keys(struct tls_psk *p, const uint8_t shared[CRYPTO_ECDH], struct span psk);
bool tls_psk_verify_data(struct tls_psk *p, bool of_client, uint8_t ret[TLS_VERIFY_DATA]);
bool tls_psk_is_anonymous(const struct tls_psk *p);

#endif
