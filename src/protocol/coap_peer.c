#include "protocol/coap_peer.h"

#include <string.h>

bool coap_peer_equal(const struct coap_peer *a, const struct coap_peer *b) {
        return memcmp(a, b, sizeof(*a)) == 0;
}

bool coap_peer_is_ipv4(const struct coap_peer *p) {
        static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

        return memcmp(p->remote_ip, mapped, sizeof(mapped)) == 0;
}
