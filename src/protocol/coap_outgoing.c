#include "protocol/coap_outgoing.h"

#include <string.h>

void coap_outgoing_init(struct coap_outgoing *o, uint8_t *ring, size_t n_max) {
        *o = (struct coap_outgoing){ .ring = ring, .n_max = n_max };
}

static void ring_write(struct coap_outgoing *o, const void *data, size_t n) {
        size_t at = (o->head + o->n_used) % o->n_max, n_first = ocf_min_size(n, o->n_max - at);

        memcpy(o->ring + at, data, n_first);
        memcpy(o->ring, (const uint8_t *)data + n_first, n - n_first);
        o->n_used += n;
}

static void ring_read(struct coap_outgoing *o, void *data, size_t n) {
        size_t n_first = ocf_min_size(n, o->n_max - o->head);

        memcpy(data, o->ring + o->head, n_first);
        memcpy((uint8_t *)data + n_first, o->ring, n - n_first);
        o->head = (o->head + n) % o->n_max;
        o->n_used -= n;
}

bool coap_outgoing_put(struct coap_outgoing *o, const struct coap_peer *to, struct span message) {
        uint16_t n = (uint16_t)message.n;

        if (!coap_outgoing_has_room(o, message.n))
                return false;
        ring_write(o, &n, sizeof(n));
        ring_write(o, to, sizeof(*to));
        ring_write(o, message.data, message.n);
        o->n_messages++;
        return true;
}

size_t coap_outgoing_take(struct coap_outgoing *o, struct coap_peer *ret_to, uint8_t *buf, size_t n) {
        uint16_t n_message;

        if (!o->n_messages)
                return 0;
        ring_read(o, &n_message, sizeof(n_message));
        ring_read(o, ret_to, sizeof(*ret_to));
        if (n_message >
            n) { /* the caller's buffer is too small for what we are allowed to send: it is lost */
                o->head = (o->head + n_message) % o->n_max;
                o->n_used -= n_message;
                n_message = 0;
        } else {
                ring_read(o, buf, n_message);
        }
        if (!--o->n_messages)
                o->head = 0; /* stay in the part of the ring that is in memory already */
        return n_message;
}
