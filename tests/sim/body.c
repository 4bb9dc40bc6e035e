/*
 * The pattern depends on all that must not be mixed up.
 */
#include "body.h"

#include <string.h>

static uint8_t byte_at(uint32_t i, uint32_t key, uint32_t version) {
        uint32_t v = (i + key * 2654435761u) ^ version * 40503u;

        return (uint8_t)(v ^ v >> 8 ^ i >> 4);
}

void body_write(uint8_t *ret, uint32_t n, uint32_t key, uint32_t version) {
        memcpy(ret, &key, 4);
        memcpy(ret + 4, &version, 4);
        memcpy(ret + 8, &n, 4);
        for (uint32_t i = BODY_LEAST; i < n; i++)
                ret[i] = byte_at(i, key, version);
}

bool body_read(struct span body, uint32_t *ret_key, uint32_t *ret_version) {
        uint32_t key, version, n;

        if (body.n < BODY_LEAST)
                return false;
        memcpy(&key, body.data, 4);
        memcpy(&version, body.data + 4, 4);
        memcpy(&n, body.data + 8, 4);
        if (n != body.n)
                return false;
        for (uint32_t i = BODY_LEAST; i < n; i++)
                if (body.data[i] != byte_at(i, key, version))
                        return false;
        *ret_key = key;
        *ret_version = version;
        return true;
}
