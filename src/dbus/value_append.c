#include "base/utf8.h"
#include "dbus/value.h"
#include "protocol/rep.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* From a representation to a variant: total, since what D-Bus cannot say is an escape. */

static int append_variant(sd_bus_message *m, struct span *rep);

/* Opens a variant of one basic type around a value. */
static int basic(sd_bus_message *m, char type, const void *value) {
        char signature[2] = { type, 0 };
        int r = sd_bus_message_open_container(m, 'v', signature);

        if (r >= 0)
                r = sd_bus_message_append_basic(m, type, value);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int bytes(sd_bus_message *m, struct span s) {
        int r = sd_bus_message_open_container(m, 'v', "ay");

        if (r >= 0)
                r = sd_bus_message_append_array(m, 'y', s.n ? s.data : (const uint8_t *)"", s.n);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

/* The frame of an escape: v(sv). What goes into the inner variant is appended between the two. */
static int escape_open(sd_bus_message *m, const char *name) {
        int r = sd_bus_message_open_container(m, 'v', "(sv)");

        if (r >= 0)
                r = sd_bus_message_open_container(m, 'r', "sv");
        return r < 0 ? r : sd_bus_message_append_basic(m, 's', name);
}

static int escape_close(sd_bus_message *m) {
        int r = sd_bus_message_close_container(m);

        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int escape_basic(sd_bus_message *m, const char *name, char type, const void *value) {
        int r = escape_open(m, name);

        if (r >= 0)
                r = basic(m, type, value);
        return r < 0 ? r : escape_close(m);
}

static int append_text_string(sd_bus_message *m, struct span s) {
        char *copy = strndup((const char *)s.data, s.n);
        int r;

        if (!copy)
                return -ENOMEM;
        r = sd_bus_message_append_basic(m, 's', copy);
        free(copy);
        return r;
}

static int text(sd_bus_message *m, struct span s) {
        int r;

        if (!utf8_is_valid(s, UTF8_BUS)) {
                r = escape_open(m, "text");
                if (r >= 0)
                        r = bytes(m, s);
                return r < 0 ? r : escape_close(m);
        }
        r = sd_bus_message_open_container(m, 'v', "s");
        if (r >= 0)
                r = append_text_string(m, s);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int integer(sd_bus_message *m, const struct rep_token *t) {
        uint64_t v = t->value.unsigned_integer;
        int64_t x;

        if (v > INT64_MAX)
                return t->type == REP_UINT ? basic(m, 't', &v) : escape_basic(m, "negative", 't', &v);
        x = t->type == REP_UINT ? (int64_t)v : -1 - (int64_t)v;
        return basic(m, 'x', &x);
}

static int append_array(sd_bus_message *m, struct span *rep, uint64_t n) {
        int r = sd_bus_message_open_container(m, 'v', "av");

        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "v");
        while (r >= 0 && n--)
                r = append_variant(m, rep);
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static bool has_bus_keys(struct span map) {
        struct span pairs, key, item;
        uint64_t n;

        if (!rep_map_begin(map, &pairs, &n))
                return false;
        while (n--)
                if (!rep_map_next(&pairs, &key, &item) || !key.data || !utf8_is_valid(key, UTF8_BUS))
                        return false;
        return true;
}

/* The pairs of a map as a{sv}, or as a(vv) where the keys are no bus strings. */
static int append_pairs(sd_bus_message *m, struct span pairs, uint64_t n, bool named) {
        int r = sd_bus_message_open_container(m, 'a', named ? "{sv}" : "(vv)");
        struct span key;

        while (r >= 0 && n--) {
                r = sd_bus_message_open_container(m, named ? 'e' : 'r', named ? "sv" : "vv");
                if (r < 0)
                        return r;
                if (named) {
                        struct rep_token t;

                        r = rep_next(&pairs, &t) ? append_text_string(m, t.value.string) : -EINVAL;
                } else {
                        r = rep_skip(&pairs, &key) ? append_variant(m, &key) : -EINVAL;
                }
                if (r >= 0)
                        r = append_variant(m, &pairs);
                if (r >= 0)
                        r = sd_bus_message_close_container(m);
        }
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int append_map(sd_bus_message *m, struct span map, struct span *rep, uint64_t n) {
        bool named = has_bus_keys(map);
        struct span whole = map;
        int r;

        if (!rep_skip(&map, &whole))
                return -EINVAL;
        r = named ? 0 : escape_open(m, "map");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'v', named ? "a{sv}" : "a(vv)");
        if (r >= 0)
                r = append_pairs(m, *rep, n, named);
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        if (r >= 0 && !named)
                r = escape_close(m);
        *rep = map; /* behind it */
        return r;
}

static int append_tag(sd_bus_message *m, struct span *rep, uint64_t tag) {
        int r = escape_open(m, "tag");

        if (r >= 0)
                r = sd_bus_message_open_container(m, 'v', "(tv)");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'r', "tv");
        if (r >= 0)
                r = sd_bus_message_append_basic(m, 't', &tag);
        if (r >= 0)
                r = append_variant(m, rep);
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        return r < 0 ? r : escape_close(m);
}

static int append_variant(sd_bus_message *m, struct span *rep) {
        static const uint8_t zero = 0;
        struct span before = *rep;
        struct rep_token t;
        uint8_t simple;
        int b;

        if (!rep_next(rep, &t))
                return -EINVAL;
        switch (t.type) {
        case REP_UINT:
        case REP_NEGATIVE:
                return integer(m, &t);
        case REP_BYTES:
                return bytes(m, t.value.string);
        case REP_TEXT:
                return text(m, t.value.string);
        case REP_ARRAY:
                return append_array(m, rep, t.value.n);
        case REP_MAP:
                return append_map(m, before, rep, t.value.n);
        case REP_TAG:
                return append_tag(m, rep, t.value.unsigned_integer);
        case REP_DOUBLE:
                return basic(m, 'd', &t.value.real);
        case REP_BOOL:
                b = t.value.boolean;
                return basic(m, 'b', &b);
        case REP_NULL:
                return escape_basic(m, "null", 'y', &zero);
        case REP_UNDEFINED:
                return escape_basic(m, "undefined", 'y', &zero);
        case REP_SIMPLE:
                simple = (uint8_t)t.value.unsigned_integer;
                return escape_basic(m, "simple", 'y', &simple);
        }
        return -EINVAL;
}

/*
 * How many containers deep it would lie in a message. dbus-daemon throws out who
 * sends more than 64, and what a peer on the network sends must not do that to
 * us: an integer under sixteen tags would be 65.
 */
static unsigned bus_depth(struct span *rep) {
        struct span before = *rep;
        unsigned deepest = 0, own = 3; /* an escape of a scalar: v ( v */
        struct rep_token t;
        uint64_t n = 0;

        if (!rep_next(rep, &t))
                return 0;
        if (t.type == REP_ARRAY) {
                own = 2; /* v a */
                n = t.value.n;
        } else if (t.type == REP_MAP) {
                own = has_bus_keys(before) ? 3 : 5; /* v a { or v ( v a ( */
                n = 2 * t.value.n;
        } else if (t.type == REP_TAG) {
                own = 4; /* v ( v ( */
                n = 1;
        }
        while (n--) {
                unsigned depth = bus_depth(rep);

                deepest = depth > deepest ? depth : deepest;
        }
        return own + deepest;
}

#define BUS_DEPTH_MAX 56 /* the message around it takes some of the 64 */

int value_append(sd_bus_message *m, struct span rep) {
        struct span whole = rep;
        int r = bus_depth(&whole) > BUS_DEPTH_MAX ? bytes(m, rep) : append_variant(m, &rep);

        return r < 0 ? r : 0;
}

int value_append_map(sd_bus_message *m, struct span rep) {
        struct span pairs, whole = rep;
        uint64_t n;
        int r;

        if (!has_bus_keys(rep) || bus_depth(&whole) > BUS_DEPTH_MAX || !rep_map_begin(rep, &pairs, &n))
                return VALUE_E_NOT_A_MAP;
        r = append_pairs(m, pairs, n, true);
        return r < 0 ? r : 0;
}
