/*
 * A CoAP client in a file behind some library's DTLS or TLS: it asks once and says what
 * came of it. The library is one file with the functions below.
 */
#ifndef OCF_TESTS_PEERS_SECURE_CLIENT_H
#define OCF_TESTS_PEERS_SECURE_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SECURE_IDENTITY_MAX = 128, SECURE_KEY_MAX = 64, SECURE_SECONDS = 40 };

struct secure_options {
        bool stream; /* TLS over TCP, not DTLS */
        bool without_encrypt_then_mac;
        uint16_t suite;
        uint8_t identity[SECURE_IDENTITY_MAX], key[SECURE_KEY_MAX];
        size_t identity_size, key_size;
        const char *chain, *private_key, *roots; /* files in PEM */
};

/* What was agreed; the name is the library's own. */
struct secure_facts {
        unsigned suite; /* 0: the library does not say */
        const char *name;
        char subject[128]; /* common name of the server's certificate, checked against the roots */
};

/* Each ends the program through secure_fail() where it cannot go on. */
void secure_open(const struct secure_options *o, int fd, struct secure_facts *ret_facts);
void secure_send(const void *bytes, size_t n);
size_t secure_receive(void *bytes, size_t n, int milliseconds); /* 0: nothing came in that time */
/* Asks for another handshake within the session. Return: NULL: it was done; else what the library says. */
const char *secure_renegotiate(void);
void secure_close(void);

/* The last line that is printed: what was being done, and what the library said of it. */
void secure_fail(const char *what, const char *why) __attribute__((noreturn));

#endif
