/*
 * Randomness that is the same each time: keys, randoms and IVs of a run follow
 * from its seed, so that what a fuzzer found happens again.
 */
#ifndef OCF_TESTS_FUZZ_TLS_RANDOM_H
#define OCF_TESTS_FUZZ_TLS_RANDOM_H

#include <openssl/rand.h>
#include <stdint.h>

static uint64_t tls_random_state;

static int tls_random_bytes(unsigned char *buf, int n) {
        for (int i = 0; i < n; i++) {
                uint64_t z = tls_random_state += 0x9e3779b97f4a7c15;

                z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
                z = (z ^ z >> 27) * 0x94d049bb133111eb;
                buf[i] = (unsigned char)(z >> 32);
        }
        return 1;
}

static int tls_random_status(void) {
        return 1;
}

/* Whatever asks libcrypto for random bytes from here on gets ours. */
static inline void tls_random_begin(uint64_t seed) {
        static const RAND_METHOD method = { .bytes = tls_random_bytes,
                                            .pseudorand = tls_random_bytes,
                                            .status = tls_random_status };

        tls_random_state = seed;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations" /* there is no other way to say it once for all   \
                                                            */
        (void)RAND_set_rand_method(&method);
#pragma GCC diagnostic pop
}

#endif
