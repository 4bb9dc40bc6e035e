/*
 * What must hold of secure resources whatever was asked of them: a photo of all
 * that is remembered, taken before and after, and what may differ between two.
 */
#ifndef OCF_TESTS_FUZZ_SVR_INVARIANTS_H
#define OCF_TESTS_FUZZ_SVR_INVARIANTS_H

#include "security/svr_request.h"

struct photo {
        enum svr_state state;
        struct svr_machine machine;
        struct svr_doxm doxm;
        struct uuid rowner[SVR_OWNED_N];
        size_t n[_SVR_STORED_N];
        uint8_t *maps[_SVR_STORED_N]; /* of SVR_REP_MAX each */
        uint8_t session[4096];        /* what the session of the request has proven */
        size_t n_session;
};

/* Of the device, and of the session that asks (NULL: none). */
void photo_take(struct photo *p, const struct svr *svr, const struct svr_session *session);

/* Nothing at all differs. */
void must_be_same(const struct photo *before, const struct photo *after);

/* What differs was named in changed, and told in effects. */
void must_be_told(const struct photo *before, const struct photo *after, const struct svr_result *result);

/* An owner stays the owner until a reset. */
void must_stay_owned(const struct photo *before, const struct photo *after);

/* Ids are unique, everything is within its limits, and owners can come back. */
void must_be_sound(const struct svr *svr);

/* A device made of what was saved saves the same, and is not sealed. With restart it takes the other's place.
 */
void must_load_again(struct svr *svr, const struct photo *photo, bool restart);

/* No answer to GET depends on a byte of any secret. */
void must_tell_no_secret(struct svr *svr);

#endif
