#include "protocol/coap_siphash.h"

static uint64_t rotate(uint64_t x, unsigned n) {
        return x << n | x >> (64 - n);
}

static void sip_round(uint64_t v[static 4]) {
        v[0] += v[1];
        v[1] = rotate(v[1], 13) ^ v[0];
        v[0] = rotate(v[0], 32);
        v[2] += v[3];
        v[3] = rotate(v[3], 16) ^ v[2];
        v[0] += v[3];
        v[3] = rotate(v[3], 21) ^ v[0];
        v[2] += v[1];
        v[1] = rotate(v[1], 17) ^ v[2];
        v[2] = rotate(v[2], 32);
}

static void absorb(uint64_t v[static 4], uint64_t word) {
        v[3] ^= word;
        sip_round(v);
        sip_round(v);
        v[0] ^= word;
}

uint64_t coap_siphash(const uint64_t key[static 2], struct span s) {
        uint64_t v[4] = { key[0] ^ 0x736f6d6570736575u, key[1] ^ 0x646f72616e646f6du,
                          key[0] ^ 0x6c7967656e657261u, key[1] ^ 0x7465646279746573u };
        uint64_t word = 0;

        for (size_t i = 0; i < s.n; i++) {
                word |= (uint64_t)s.data[i] << 8 * (i % 8);
                if (i % 8 == 7) {
                        absorb(v, word);
                        word = 0;
                }
        }
        absorb(v, word | (uint64_t)s.n << 56);
        v[2] ^= 0xff;
        for (int i = 0; i < 4; i++)
                sip_round(v);
        return v[0] ^ v[1] ^ v[2] ^ v[3];
}
