/*
 * Whom a datagram came from, and whom it was for.
 *
 * The key of every table that remembers a peer: both addresses, since the same
 * client may talk to two addresses of ours, and the logical device, since each
 * has ports of its own. Plain bytes without padding, so that two peers are
 * equal if their bytes are.
 */
#ifndef OCF_PROTOCOL_COAP_PEER_H
#define OCF_PROTOCOL_COAP_PEER_H

#include "base/span.h"

struct coap_peer {
        uint8_t remote_ip[16]; /* IPv4 as ::ffff:a.b.c.d */
        uint8_t local_ip[16];  /* the unicast address of ours that was asked, or from which we answer */
        uint32_t interface; /* its index where it matters (link-local addresses, answers to multicasts), else
                               0 */
        uint32_t channel;   /* 0: plain UDP; else the number of the connection or secure session */
        uint16_t remote_port;
        uint16_t local_port;
        uint16_t device;  /* index of the logical device */
        bool stream;      /* channel is a connection (TCP or TLS) */
        uint8_t reserved; /* 0 */
};

_Static_assert(sizeof(struct coap_peer) == 48, "a peer is a key: it has no padding");

bool coap_peer_equal(const struct coap_peer *a, const struct coap_peer *b);
bool coap_peer_is_ipv4(const struct coap_peer *p); /* by its remote address */

#endif
