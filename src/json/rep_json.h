/*
 * Representations as JSON, for people: content format 50 on the wire, and
 * everything that ocfctl prints or reads. jansson does the text.
 *
 * A small library beside the rooms, seen by the daemon and by ocfctl.
 */
#ifndef OCF_JSON_REP_JSON_H
#define OCF_JSON_REP_JSON_H

#include "base/span.h"

#include <jansson.h>

enum { REP_JSON_E_SYNTAX = 1, REP_JSON_E_NO_ROOM, REP_JSON_E_TOO_DEEP };

/*
 * A normal form as a JSON value. Byte strings become base64url without padding
 * (RFC 8949, 6.1), NaN and infinities null, tags vanish, keys that are not text
 * become their own JSON text (with a prime where there is such a key already), integers beyond 64 bits signed
 * become reals. Return: 0 and *ret, the caller's; -ENOMEM.
 */
int rep_to_json(struct span rep, json_t **ret);

/* The same as text without line breaks, appended. Return: 0; REP_JSON_E_NO_ROOM; -ENOMEM. */
int rep_to_json_text(struct span rep, struct writer *out);

/* A JSON value, or JSON text, as a normal form. Return: 0; REP_JSON_E_*; -ENOMEM. */
int rep_from_json(const json_t *json, struct writer *out);
int rep_from_json_text(struct span text, struct writer *out);

#endif
