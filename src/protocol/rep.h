/*
 * Representations: what a resource says, as CBOR.
 *
 * Inside the house a representation is always in *normal form*: definite
 * lengths, strings in one piece, floats 64 bits wide (the reference reads no
 * other, core.md 13.2), integers shortest, text valid UTF-8, no duplicate text keys in a map,
 * nested at most REP_DEPTH_MAX deep, one item and no trailing bytes. Whatever comes from outside
 * goes through rep_normalise() first; everybody behind it may trust.
 *
 * Reading is pulling tokens; writing goes to a bounded writer. Nothing here
 * allocates. libcbor's streaming encoder and decoder do the bytes.
 */
#ifndef OCF_PROTOCOL_REP_H
#define OCF_PROTOCOL_REP_H

#include "base/span.h"

#define REP_DEPTH_MAX 16
#define REP_KEYS_MAX  256

enum rep_type {
        REP_UINT,     /* value.unsigned_integer */
        REP_NEGATIVE, /* -1 - value.unsigned_integer */
        REP_BYTES,    /* value.string */
        REP_TEXT,     /* value.string */
        REP_ARRAY,    /* value.n items follow */
        REP_MAP,      /* value.n pairs follow */
        REP_TAG,      /* value.unsigned_integer; one item follows */
        REP_DOUBLE,   /* value.real */
        REP_BOOL,     /* value.boolean */
        REP_NULL,
        REP_UNDEFINED,
        REP_SIMPLE, /* value.unsigned_integer */
};

struct rep_token {
        enum rep_type type;
        union {
                uint64_t unsigned_integer;
                struct span string;
                uint64_t n;
                double real;
                bool boolean;
        } value;
};

/* ---- from outside ---- */

enum {
        REP_E_MALFORMED = 1, /* not CBOR, truncated, trailing bytes, or reserved values */
        REP_E_TOO_DEEP,
        REP_E_NOT_TEXT, /* a text string that is not UTF-8 */
        REP_E_DUPLICATE_KEY,
        REP_E_TOO_LARGE, /* a map of more than REP_KEYS_MAX pairs: looking for duplicate keys would take too
                            long */
        REP_E_NO_ROOM,   /* does not fit the writer */
};

/* Appends the normal form of exactly one item that fills all of in. Return: 0 or REP_E_*; out is garbage
 * after a failure. */
int rep_normalise(struct span in, struct writer *out);

/* Likewise, but what calls itself text and is no UTF-8 becomes bytes: a client of OCF sends keys so
 * (security.md 1.5). For secure resources, which look at the type of each property themselves. */
int rep_normalise_leniently(struct span in, struct writer *out);

/* ---- reading the normal form ---- */

/* Takes one token from the front; false at the end. Strings point into the span. */
bool rep_next(struct span *rep, struct rep_token *ret);

/* Takes one whole item, with all that is in it. */
bool rep_skip(struct span *rep, struct span *ret_item);

/* The value of a text key in a map; false when it is not a map or has no such key. */
bool rep_map_find(struct span map, const char *key, struct span *ret_item);
bool rep_map_find_span(struct span map, struct span key, struct span *ret_item);

/* Walks a map: first rep_map_begin(), then rep_map_next() until false. Keys that are not text come with
 * key.data NULL. */
bool rep_map_begin(struct span map, struct span *ret_pairs, uint64_t *ret_n);
bool rep_map_next(struct span *pairs, struct span *ret_key, struct span *ret_item);

/* One item as a C value; false when it is of another type or out of range. as_double takes integers too. */
bool rep_as_bool(struct span item, bool *ret);
bool rep_as_int64(struct span item, int64_t *ret);
bool rep_as_double(struct span item, double *ret);
bool rep_as_text(struct span item, struct span *ret);
bool rep_as_bytes(struct span item, struct span *ret);
enum rep_type rep_type_of(struct span item); /* of a non-empty normal form */

/* ---- writing the normal form; overflow is remembered in the writer ---- */

void rep_put_map(struct writer *w, uint64_t n_pairs);
void rep_put_array(struct writer *w, uint64_t n_items);
void rep_put_text(struct writer *w, struct span s);
void rep_put_string(struct writer *w, const char *s); /* text from a C string */
void rep_put_bytes(struct writer *w, struct span s);
void rep_put_uint(struct writer *w, uint64_t v);
void rep_put_int(struct writer *w, int64_t v);
void rep_put_negative(struct writer *w, uint64_t n); /* -1 - n, for those below int64 */
void rep_put_double(struct writer *w, double v);
void rep_put_bool(struct writer *w, bool v);
void rep_put_null(struct writer *w);
void rep_put_undefined(struct writer *w);
void rep_put_simple(struct writer *w, uint8_t v);
void rep_put_tag(struct writer *w, uint64_t tag);
void rep_put_item(struct writer *w, struct span item); /* copies a normal form */

/* A map whose number of pairs is known only at the end: begin, write pairs, end with their number. */
size_t rep_begin_map(struct writer *w);
size_t rep_begin_array(struct writer *w);
void rep_end_map(struct writer *w, size_t begun, uint64_t n_pairs);
void rep_end_array(struct writer *w, size_t begun, uint64_t n_items);

/*
 * base with the pairs of update laid over it: present keys keep their place and
 * take the new value, new keys follow. A number takes the type its key has in
 * base where that loses nothing (21 becomes 21.0 over a double; 21.0 becomes 21 over an integer).
 * Both are maps in normal form. Return: 0; REP_E_NO_ROOM; REP_E_MALFORMED when one is not a map with text
 * keys.
 */
int rep_merge(struct span base, struct span update, struct writer *out);

/* Do two representations say the same, whatever the order of their keys? */
bool rep_equal(struct span a, struct span b);

#endif
