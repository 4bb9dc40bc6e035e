/*
 * UUIDs: 16 bytes, written as 36 characters in lower case (RFC 4122, 3),
 * read in either case.
 */
#ifndef OCF_BASE_UUID_H
#define OCF_BASE_UUID_H

#include "base/span.h"

#define UUID_TEXT_MAX 37 /* with the NUL */

struct uuid {
        uint8_t bytes[16];
};

bool uuid_parse(struct uuid *ret, struct span text);
const char *uuid_format(const struct uuid *u, char buf[static UUID_TEXT_MAX]); /* returns buf */
bool uuid_equal(const struct uuid *a, const struct uuid *b);
bool uuid_is_nil(const struct uuid *u);
void uuid_from_random(struct uuid *ret, const uint8_t random[static 16]); /* version 4 */

#endif
