/*
 * What one thing more costs an endpoint, by its own account: the difference of
 * two sizes that differ in one limit alone, with the tables to find it by. What it
 * may need besides has limits of its own: the account of its peer, one for all that
 * peer holds; a page for each so many bytes of an answer that is kept; and a message
 * while it waits for its acknowledgement.
 *
 * Prints: observer=BYTES exchange=BYTES peer=BYTES page=BYTES unacknowledged=BYTES
 */
#include "protocol/coap_endpoint.h"

#include <stdio.h>

#define FEW  16384u /* powers of two, since hashes grow by them */
#define MANY 65536u

static double each(uint32_t *limit, const struct coap_limits *limits) {
        size_t few, many;

        *limit = FEW;
        few = coap_endpoint_size(limits);
        *limit = MANY;
        many = coap_endpoint_size(limits);
        return (double)(many - few) / (MANY - FEW);
}

int main(void) {
        struct coap_limits l = coap_limits_default;

        printf("observer=%.1f", each(&l.n_observers, &l));
        printf(" exchange=%.1f", each(&l.n_exchanges, &l));
        printf(" peer=%.1f", each(&l.n_peers, &l));
        printf(" page=%.1f", each(&l.n_pages, &l));
        printf(" unacknowledged=%.1f\n", each(&l.n_unacknowledged, &l));
        return 0;
}
