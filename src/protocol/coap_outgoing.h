/*
 * Messages that wait to be sent: a ring of records in the order in which they
 * were made.
 */
#ifndef OCF_PROTOCOL_COAP_OUTGOING_H
#define OCF_PROTOCOL_COAP_OUTGOING_H

#include "protocol/coap_peer.h"

struct coap_outgoing {
        uint8_t *ring;
        size_t n_max, head, n_used; /* bytes; head is where the oldest record begins */
        uint32_t n_messages;
};

#define COAP_OUTGOING_OVERHEAD (sizeof(struct coap_peer) + 2)

void coap_outgoing_init(struct coap_outgoing *o, uint8_t *ring, size_t n_max);
bool coap_outgoing_put(struct coap_outgoing *o, const struct coap_peer *to,
                       struct span message); /* false: full */
size_t coap_outgoing_take(struct coap_outgoing *o, struct coap_peer *ret_to, uint8_t *buf, size_t n);

static inline bool coap_outgoing_has_room(const struct coap_outgoing *o, size_t n_message) {
        return o->n_max - o->n_used >= n_message + COAP_OUTGOING_OVERHEAD;
}

#endif
