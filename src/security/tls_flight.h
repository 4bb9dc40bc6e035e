/*
 * The messages of a handshake on their way: those of ours as a flight that is
 * sent again until it is answered, those of the peer put together from their
 * fragments (RFC 6347 4.2.2 to 4.2.4).
 *
 * A flight of ours fits one datagram by far, so it is never cut into pieces.
 * The peer's message is kept until it is whole; there is room for one, the next
 * in order, and what comes too early comes again.
 */
#ifndef OCF_SECURITY_TLS_FLIGHT_H
#define OCF_SECURITY_TLS_FLIGHT_H

#include "base/span.h"

#define TLS_FLIGHT_MAX             1024u /* bytes of a flight of ours: a ClientHello with the longest cookie is 400 */
#define TLS_FLIGHT_N               5u
#define TLS_MESSAGE_MAX            2048u /* the longest message that is taken */
#define TLS_MESSAGE_HEADER(stream) ((stream) ? 4u : 12u)

enum tls_content {
        TLS_CHANGE_CIPHER_SPEC = 20,
        TLS_ALERT = 21,
        TLS_HANDSHAKE_MESSAGE = 22,
        TLS_APPLICATION_DATA = 23,
};

enum tls_message {
        TLS_HELLO_REQUEST = 0,
        TLS_CLIENT_HELLO = 1,
        TLS_SERVER_HELLO = 2,
        TLS_HELLO_VERIFY_REQUEST = 3,
        TLS_SERVER_KEY_EXCHANGE = 12,
        TLS_SERVER_HELLO_DONE = 14,
        TLS_CLIENT_KEY_EXCHANGE = 16,
        TLS_FINISHED = 20,
};

struct tls_flight {
        bool stream;
        uint16_t next_seq; /* of our next message */
        size_t n, n_parts, n_sent;
        struct tls_flight_part {
                uint8_t content, epoch;
                uint16_t at, n;
        } parts[TLS_FLIGHT_N];
        uint8_t bytes[TLS_FLIGHT_MAX];
};

void tls_flight_begin(struct tls_flight *f); /* forgets the messages of the one before */

/* Adds a message; its header is made. Return: it as a whole, as the transcript has it. */
struct span tls_flight_put(struct tls_flight *f, uint8_t epoch, enum tls_message type, struct span body);
void tls_flight_put_change_cipher_spec(struct tls_flight *f);
void tls_flight_again(struct tls_flight *f); /* all of it is to be sent once more */

struct tls_reassembly {
        bool stream;
        uint16_t next_seq; /* of the peer's next message */
        bool begun;
        uint8_t type;
        size_t n, n_have;
        uint8_t bytes[12 + TLS_MESSAGE_MAX]; /* with its header, as the transcript has it */
        uint8_t have[TLS_MESSAGE_MAX / 8];
};

enum {
        TLS_REASSEMBLY_E_MORE = 1, /* not whole yet, or nothing left */
        TLS_REASSEMBLY_E_OLD,      /* a message that was read already: the peer repeats its flight */
        TLS_REASSEMBLY_E_MALFORMED,
};

/* Takes the next fragment (of a stream: bytes) off a record's payload. Return: 0, a message is whole:
 * tls_reassembly_message(); TLS_REASSEMBLY_E_*. */
int tls_reassembly_take(struct tls_reassembly *a, struct span *payload);
struct span tls_reassembly_message(const struct tls_reassembly *a); /* header and body */
struct span tls_reassembly_body(const struct tls_reassembly *a);
void tls_reassembly_next(struct tls_reassembly *a); /* it was read */

#endif
