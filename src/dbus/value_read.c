#include "base/utf8.h"
#include "dbus/value.h"
#include "protocol/rep.h"

#include <errno.h>
#include <string.h>

/* From a variant to a representation in normal form: whatever a local user sends. */

const char *value_problem(int outcome) {
        switch (outcome) {
        case VALUE_E_DESCRIPTOR:
                return "has a file descriptor in it";
        case VALUE_E_DUPLICATE_KEY:
                return "has a key twice";
        case VALUE_E_TOO_DEEP:
                return "is nested deeper than 16 levels";
        case VALUE_E_TOO_LARGE:
                return "is too large";
        case VALUE_E_BAD_ESCAPE:
                return "has a struct (sv) that is no escape of org.ocfd(5)";
        default: /* the others are no problems of values that somebody sent */
                return "cannot be read";
        }
}

static int read_any(sd_bus_message *m, struct writer *out, unsigned depth);

static int read_basic(sd_bus_message *m, char type, struct writer *out) {
        union {
                uint8_t y;
                int b;
                int16_t n;
                uint16_t q;
                int32_t i;
                uint32_t u;
                int64_t x;
                uint64_t t;
                double d;
                const char *s;
        } v;
        int r = sd_bus_message_read_basic(m, type, &v);

        if (r < 0)
                return r;
        switch (type) {
        case 'y':
                rep_put_uint(out, v.y);
                break;
        case 'b':
                rep_put_bool(out, v.b);
                break;
        case 'n':
                rep_put_int(out, v.n);
                break;
        case 'q':
                rep_put_uint(out, v.q);
                break;
        case 'i':
                rep_put_int(out, v.i);
                break;
        case 'u':
                rep_put_uint(out, v.u);
                break;
        case 'x':
                rep_put_int(out, v.x);
                break;
        case 't':
                rep_put_uint(out, v.t);
                break;
        case 'd':
                rep_put_double(out, v.d);
                break;
        default: /* s, o, g */
                rep_put_string(out, v.s);
                break;
        }
        return 0;
}

/* A key of a dictionary, which must differ from those before it: map begins where the first key does. */
static int check_key(struct writer *out, size_t first, size_t key_at, uint64_t n) {
        struct span before = span_of(out->data + first, key_at - first), key, item;
        struct span new = span_of(out->data + key_at, out->n - key_at);

        if (out->overflow)
                return VALUE_E_TOO_LARGE;
        while (n-- && rep_skip(&before, &key) && rep_skip(&before, &item))
                if (span_equal(key, new))
                        return VALUE_E_DUPLICATE_KEY;
        return 0;
}

/* The array's contents are of type {..}; it has been entered. */
static int read_dictionary(sd_bus_message *m, const char *contents, struct writer *out, unsigned depth) {
        size_t begun = rep_begin_map(out), first = out->n, key_at;
        char signature[256];
        uint64_t n = 0;
        int r;

        if (strlen(contents) - 2 >= sizeof(signature))
                return VALUE_E_TOO_DEEP;
        memcpy(signature, contents + 1, strlen(contents) - 2);
        signature[strlen(contents) - 2] = 0;
        while ((r = sd_bus_message_enter_container(m, 'e', signature)) > 0) {
                if (n == REP_KEYS_MAX)
                        return VALUE_E_TOO_LARGE;
                key_at = out->n;
                r = read_any(m, out, depth + 1);
                if (!r)
                        r = check_key(out, first, key_at, n);
                if (!r)
                        r = read_any(m, out, depth + 1);
                if (r)
                        return r;
                n++;
                r = sd_bus_message_exit_container(m);
                if (r < 0)
                        return r;
        }
        if (r < 0)
                return r;
        rep_end_map(out, begun, n);
        return 0;
}

static int read_items(sd_bus_message *m, struct writer *out, unsigned depth) {
        size_t begun = rep_begin_array(out);
        uint64_t n = 0;
        int r;

        while ((r = sd_bus_message_at_end(m, 0)) == 0) {
                if (out->overflow)
                        return VALUE_E_TOO_LARGE;
                r = read_any(m, out, depth + 1);
                if (r)
                        return r;
                n++;
        }
        if (r < 0)
                return r;
        rep_end_array(out, begun, n);
        return 0;
}

static int read_array(sd_bus_message *m, const char *contents, struct writer *out, unsigned depth) {
        const void *data;
        size_t n;
        int r;

        if (strcmp(contents, "y") == 0) {
                r = sd_bus_message_read_array(m, 'y', &data, &n);
                if (r >= 0)
                        rep_put_bytes(out, span_of(data, n));
                return r < 0 ? r : 0;
        }
        r = sd_bus_message_enter_container(m, 'a', contents);
        if (r < 0)
                return r;
        r = contents[0] == '{' ? read_dictionary(m, contents, out, depth) : read_items(m, out, depth);
        if (r)
                return r;
        r = sd_bus_message_exit_container(m);
        return r < 0 ? r : 0;
}

/* ---- escapes ---- */

static int read_map_escape(sd_bus_message *m, struct writer *out, unsigned depth) {
        size_t begun = rep_begin_map(out), first = out->n, key_at;
        uint64_t n = 0;
        int r = sd_bus_message_enter_container(m, 'a', "(vv)");

        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'r', "vv")) > 0) {
                if (n == REP_KEYS_MAX)
                        return VALUE_E_TOO_LARGE;
                key_at = out->n;
                r = read_any(m, out, depth + 1);
                if (!r)
                        r = check_key(out, first, key_at, n);
                if (!r)
                        r = read_any(m, out, depth + 1);
                if (r)
                        return r;
                n++;
                r = sd_bus_message_exit_container(m);
        }
        if (r >= 0)
                r = sd_bus_message_exit_container(m);
        if (r < 0)
                return r;
        rep_end_map(out, begun, n);
        return 0;
}

static int read_tag_escape(sd_bus_message *m, struct writer *out, unsigned depth) {
        uint64_t tag;
        int r = sd_bus_message_enter_container(m, 'r', "tv");

        if (r >= 0)
                r = sd_bus_message_read_basic(m, 't', &tag);
        if (r < 0)
                return r;
        rep_put_tag(out, tag);
        r = read_any(m, out, depth + 1);
        if (r)
                return r;
        r = sd_bus_message_exit_container(m);
        return r < 0 ? r : 0;
}

static int read_byte_escape(sd_bus_message *m, const char *name, struct writer *out) {
        uint8_t v;
        int r = sd_bus_message_read_basic(m, 'y', &v);

        if (r < 0)
                return r;
        if (strcmp(name, "null") == 0)
                rep_put_null(out);
        else if (strcmp(name, "undefined") == 0)
                rep_put_undefined(out);
        else if (v >= 20 && v < 32)
                return VALUE_E_BAD_ESCAPE; /* true, false, null, undefined and what is reserved */
        else
                rep_put_simple(out, v);
        return 0;
}

static int read_text_escape(sd_bus_message *m, struct writer *out) {
        const void *data;
        size_t n;
        int r = sd_bus_message_read_array(m, 'y', &data, &n);

        if (r < 0)
                return r;
        if (!utf8_is_valid(span_of(data, n), UTF8_ANY))
                return VALUE_E_BAD_ESCAPE;
        rep_put_text(out, span_of(data, n));
        return 0;
}

static int read_negative_escape(sd_bus_message *m, struct writer *out) {
        uint64_t v;
        int r = sd_bus_message_read_basic(m, 't', &v);

        if (r < 0)
                return r;
        rep_put_negative(out, v);
        return 0;
}

/* Every (sv) is an escape; whoever means a pair sends an av. */
static int read_escape(sd_bus_message *m, struct writer *out, unsigned depth) {
        static const struct {
                const char *name, *signature;
        } escapes[] = { { "null", "y" },     { "undefined", "y" }, { "simple", "y" }, { "tag", "(tv)" },
                        { "negative", "t" }, { "map", "a(vv)" },   { "text", "ay" } };
        const char *name, *contents;
        size_t i = 0;
        char type;
        int r = sd_bus_message_read_basic(m, 's', &name);

        if (r >= 0)
                r = sd_bus_message_peek_type(m, &type, &contents);
        if (r < 0)
                return r;
        while (i < ARRAY_SIZE(escapes) && strcmp(escapes[i].name, name) != 0)
                i++;
        if (i == ARRAY_SIZE(escapes) || strcmp(escapes[i].signature, contents) != 0)
                return VALUE_E_BAD_ESCAPE;
        if (depth >= REP_DEPTH_MAX && (contents[0] == '(' || contents[1] == '('))
                return VALUE_E_TOO_DEEP; /* a tag or a map */
        r = sd_bus_message_enter_container(m, 'v', contents);
        if (r < 0)
                return r;
        if (contents[0] == 'y')
                r = read_byte_escape(m, name, out);
        else if (contents[0] == '(')
                r = read_tag_escape(m, out, depth);
        else if (contents[0] == 't')
                r = read_negative_escape(m, out);
        else if (contents[1] == '(')
                r = read_map_escape(m, out, depth);
        else
                r = read_text_escape(m, out);
        if (r)
                return r;
        r = sd_bus_message_exit_container(m);
        return r < 0 ? r : 0;
}

static int read_struct(sd_bus_message *m, const char *contents, struct writer *out, unsigned depth) {
        int r = sd_bus_message_enter_container(m, 'r', contents);

        if (r < 0)
                return r;
        r = strcmp(contents, "sv") == 0 ? read_escape(m, out, depth) : read_items(m, out, depth);
        if (r)
                return r;
        r = sd_bus_message_exit_container(m);
        return r < 0 ? r : 0;
}

/* Depth counts containers; a variant is none, but a chain of them must end as well. */
static int read_any(sd_bus_message *m, struct writer *out, unsigned depth) {
        const char *contents;
        unsigned n_variants = 0;
        bool is_escape;
        char type;
        int r;

        for (;;) {
                r = sd_bus_message_peek_type(m, &type, &contents);
                if (r <= 0)
                        return r < 0 ? r : -EBADMSG;
                if (type != 'v')
                        break;
                if (++n_variants > REP_DEPTH_MAX)
                        return VALUE_E_TOO_DEEP;
                r = sd_bus_message_enter_container(m, 'v', contents);
                if (r < 0)
                        return r;
        }
        is_escape = type == 'r' &&
                    strcmp(contents, "sv") == 0; /* of a scalar it is no level: see read_escape() */
        if (depth >= REP_DEPTH_MAX && (type == 'a' || type == 'r') && !is_escape &&
            !(type == 'a' && contents[0] == 'y'))
                return VALUE_E_TOO_DEEP;
        if (type == 'h')
                return VALUE_E_DESCRIPTOR;
        if (type == 'a')
                r = read_array(m, contents, out, depth);
        else if (type == 'r')
                r = read_struct(m, contents, out, depth);
        else
                r = read_basic(m, type, out);
        while (!r && n_variants--) {
                r = sd_bus_message_exit_container(m);
                r = r < 0 ? r : 0;
        }
        if (!r && out->overflow)
                return VALUE_E_TOO_LARGE;
        return r;
}

int value_read(sd_bus_message *m, struct writer *out) {
        return read_any(m, out, 0);
}

int value_read_map(sd_bus_message *m, struct writer *out) {
        return read_any(m, out, 0);
}
