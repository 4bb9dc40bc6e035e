/*
 * Properties of secure resources as peers write them: a table of names with
 * the states in which each may be written, and values read with what real
 * onboarding tools send (a UUID with a trailing NUL, null for an empty list).
 */
#ifndef OCF_SECURITY_SVR_FIELD_H
#define OCF_SECURITY_SVR_FIELD_H

#include "base/uuid.h"
#include "protocol/fault.h"
#include "protocol/rep.h"
#include "security/svr_state.h"

#define SVR_IN(state) (1u << (state))
#define SVR_IN_OWNED  (SVR_IN(SVR_RFPRO) | SVR_IN(SVR_RFNOP) | SVR_IN(SVR_SRESET))

struct svr_property {
        const char *name;
        uint8_t writable; /* bits of SVR_IN(); 0: the server's alone */
};

/* The number of a property; -1: not in the table. */
int svr_property_find(const struct svr_property *table, size_t n, struct span key);

/* May it be written now? FAULT_NONE; FAULT_BAD_REPRESENTATION (never); FAULT_FORBIDDEN (not in this state).
 */
enum fault svr_property_fault(const struct svr_property *property, enum svr_state state);

bool svr_as_uuid(struct span item, struct uuid *ret); /* either case, a trailing NUL or not */
bool svr_as_uint(struct span item, uint64_t max, uint64_t *ret);
bool svr_as_text(struct span item, size_t max, struct span *ret);                /* at most max bytes */
bool svr_as_data(struct span item, size_t max, struct span *ret);                /* bytes or text */
bool svr_array_begin(struct span item, struct span *ret_items, uint64_t *ret_n); /* null is an empty one */

void svr_put_uuid(struct writer *w, const struct uuid *u);
bool svr_base64_decode(struct span text, uint8_t *buf, size_t n_max, size_t *ret_n);

#endif
