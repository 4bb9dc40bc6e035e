/*
 * CoAP messages as bytes (RFC 7252, 3).
 *
 * Reading points into the datagram and refuses everything that cannot be right,
 * each with its own outcome. Writing goes to a bounded writer, options in
 * ascending order.
 */
#ifndef OCF_PROTOCOL_COAP_MESSAGE_H
#define OCF_PROTOCOL_COAP_MESSAGE_H

#include "protocol/coap_code.h"
#include "base/span.h"

struct coap_message {
        uint8_t type; /* enum coap_type */
        uint8_t code;
        uint16_t mid;
        uint8_t n_token;
        uint8_t token[COAP_TOKEN_MAX];
        struct span options; /* well-formed, for coap_option_next() */
        struct span payload; /* data NULL: none */
};

enum {
        COAP_MESSAGE_E_SHORT = 1, /* fewer than 4 bytes: nothing can be said about it */
        COAP_MESSAGE_E_VERSION,   /* not version 1: to be ignored */
        COAP_MESSAGE_E_TOKEN,     /* a token length of 9 to 15, or more than is there */
        COAP_MESSAGE_E_EMPTY,     /* code 0.00 with a token or anything behind the header */
        COAP_MESSAGE_E_OPTION,    /* a reserved nibble, or an option longer than the message */
        COAP_MESSAGE_E_NUMBER,    /* option numbers that add up to more than 65535 */
        COAP_MESSAGE_E_PAYLOAD,   /* a payload marker without payload */
};

/*
 * Return: 0 and *ret; COAP_MESSAGE_E_*. From COAP_MESSAGE_E_TOKEN on, type and
 * mid of *ret are good, so that a CON can be answered by RST.
 */
int coap_message_parse(struct coap_message *ret, struct span datagram);

struct coap_option {
        uint16_t number;
        struct span value;
};

struct coap_option_reader {
        struct span rest;
        uint32_t number;
};

static inline struct coap_option_reader coap_option_begin(const struct coap_message *m) {
        return (struct coap_option_reader){ .rest = m->options };
}

/* The same for what stands behind the code of a message in a stream (RFC 8323, 3.2): token, options, payload.
 * Its type is COAP_NON. */
int coap_message_parse_stream(struct coap_message *ret, uint8_t code, uint8_t n_token, struct span rest);

bool coap_option_next(struct coap_option_reader *r, struct coap_option *ret);

/* An option value as a number; false when it is longer than n_max bytes (at most 4). Leading zeros are fine.
 */
bool coap_option_uint(struct span value, size_t n_max, uint32_t *ret);

struct coap_builder {
        struct writer w;
        uint16_t last;
};

struct coap_builder coap_build(void *buf, size_t n_max, enum coap_type type, uint8_t code, uint16_t mid,
                               const uint8_t *token, size_t n_token);
void coap_build_option(struct coap_builder *b, uint16_t number, struct span value);
void coap_build_uint(struct coap_builder *b, uint16_t number, uint32_t value);
void coap_build_payload(struct coap_builder *b, struct span payload); /* an empty one writes nothing */

/* Is an option with this number critical? (RFC 7252, 5.4.6) */
static inline bool coap_option_is_critical(uint16_t number) {
        return number & 1;
}

#endif
