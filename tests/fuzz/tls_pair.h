/*
 * Any bytes as what a network does to two of our engines, client and server:
 * datagrams are lost, doubled, cut, altered, late and forged, connections come in
 * pieces. Each side is under attack, with the other one's real messages at hand.
 *
 * What must hold: nobody is open with somebody who does not have the key, or who
 * agreed on something else; data is the peer's, in DTLS each record at most once,
 * in TLS in order; over DTLS nothing that is not the peer's changes an open
 * session; nothing is sent without end, and no deadline stays in the past.
 *
 * Which engine it is, and who has which keys, is the target's.
 */
#ifndef OCF_TESTS_FUZZ_TLS_PAIR_H
#define OCF_TESTS_FUZZ_TLS_PAIR_H

#include "security/tls.h"

struct tls_pair {
        struct tls *(*make)(bool client, uint16_t first_message, uint64_t now_ms);
        bool may_open;  /* each has what the other one asks for */
        bool is_libssl; /* its deadlines are its own, and it makes no empty records */
        unsigned n_flight_max;
        size_t n_datagram_max;
};

/* The script: one step after the other. */
void tls_pair_run(const struct tls_pair *pair, bool stream, struct span script);

#endif
