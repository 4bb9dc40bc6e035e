/*
 * What one thing more costs an endpoint, by its own account: the difference of
 * two sizes that differ in one limit alone. Everything that comes with it is in
 * it: tables to find it by, its retransmission, the account of its peer.
 *
 * Prints: observer=BYTES exchange=BYTES page=BYTES
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
        struct coap_limits observers = coap_limits_default, exchanges = observers, pages = observers;

        printf("observer=%.1f", each(&observers.n_observers, &observers));
        printf(" exchange=%.1f", each(&exchanges.n_exchanges, &exchanges));
        printf(" page=%.1f\n", each(&pages.n_pages, &pages));
        return 0;
}
