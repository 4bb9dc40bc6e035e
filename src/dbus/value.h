/*
 * Values on the bus: a variant for every representation, and back (the design,
 * section 5; org.ocfd(5) says the same to people).
 *
 * Out: integers of 64 bits as x, above that up to 2^64-1 as t; text s; bytes ay;
 * floats d; true and false b; arrays av; maps with text keys a{sv}. What D-Bus
 * cannot say plainly is an escape, a struct (sv):
 *
 *     ("null", 0)  ("undefined", 0)  ("simple", y)
 *     ("tag", (tv))        a tag and what it is on
 *     ("negative", t)      -1 - t, below 64 bits
 *     ("map", a(vv))       a map with other keys than text
 *     ("text", ay)         text that D-Bus refuses: with NUL or noncharacters
 *
 * In: all integer types; d; s, o and g as text; ay as bytes; arrays and structs
 * as arrays; dictionaries as maps; the escapes as what they stand for. File
 * descriptors and duplicate keys are refused.
 */
#ifndef OCF_DBUS_VALUE_H
#define OCF_DBUS_VALUE_H

#include "base/span.h"

#include <systemd/sd-bus.h>

enum {
        VALUE_E_DESCRIPTOR = 1, /* a file descriptor is no value */
        VALUE_E_DUPLICATE_KEY,
        VALUE_E_TOO_DEEP,   /* nested deeper than REP_DEPTH_MAX */
        VALUE_E_TOO_LARGE,  /* does not fit the writer, or a map with more than REP_KEYS_MAX keys */
        VALUE_E_BAD_ESCAPE, /* a struct (sv) that begins like an escape and is none */
        VALUE_E_NOT_A_MAP,  /* value_append_map(): it cannot be an a{sv} */
};

const char *value_problem(int outcome); /* the end of a sentence: "has a file descriptor" */

/*
 * Appends one v. What would lie deeper than a bus carries goes as ay: the bytes of its CBOR. Return: 0;
 * negative errno of sd-bus.
 */
int value_append(sd_bus_message *m, struct span rep);

/* Appends one a{sv}. Return: 0; VALUE_E_NOT_A_MAP, and nothing is appended; negative errno. */
int value_append_map(sd_bus_message *m, struct span rep);

/* Reads one v, or one a{sv}, into normal form. Return: 0; VALUE_E_*, the message is somewhere in the middle
 * then; negative errno. */
int value_read(sd_bus_message *m, struct writer *out);
int value_read_map(sd_bus_message *m, struct writer *out);

#endif
