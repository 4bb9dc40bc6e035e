#include "daemon/random.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* The kernel's pool is ready long before a daemon starts; when it says no, nothing that we do would be safe.
 */
static void fill(void *data, size_t n) {
        ssize_t r;

        do {
                r = getrandom(data, n, 0);
        } while (r < 0 && errno == EINTR);
        if (r != (ssize_t)n)
                abort();
}

uint32_t random_u32(void *pool) {
        struct random_pool *p = pool;
        uint32_t number;

        if (!p->n_left) {
                fill(p->numbers, sizeof(p->numbers));
                p->n_left = ARRAY_SIZE(p->numbers);
        }
        number = p->numbers[--p->n_left];
        p->numbers[p->n_left] = 0;
        return number;
}

void random_uuid(struct uuid *ret) {
        uint8_t bytes[16];

        fill(bytes, sizeof(bytes));
        uuid_from_random(ret, bytes);
}
