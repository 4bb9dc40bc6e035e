/*
 * One item as it stands, normal form or not: for rep_normalise() and the reader.
 */
#ifndef OCF_PROTOCOL_REP_TOKEN_H
#define OCF_PROTOCOL_REP_TOKEN_H

#include "protocol/rep.h"

/* Takes one token; false when the bytes are no CBOR or end too early. A break has no type; an indefinite one
 * no length or string. */
bool rep_take_raw(struct span *rep, struct rep_token *ret, bool *ret_indefinite, bool *ret_break);

/* The head of a string of n bytes, which the caller writes behind it. */
void rep_put_text_head(struct writer *w, size_t n);
void rep_put_bytes_head(struct writer *w, size_t n);

#endif
