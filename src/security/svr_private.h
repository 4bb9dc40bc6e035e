/*
 * What the files of the secure resources share.
 */
#ifndef OCF_SECURITY_SVR_PRIVATE_H
#define OCF_SECURITY_SVR_PRIVATE_H

#include "security/svr_field.h"
#include "security/svr_request.h"

typedef int svr_handler(struct svr *svr, const struct svr_call *call, struct writer *out,
                        struct svr_result *ret);

svr_handler svr_doxm_request, svr_pstat_request, svr_cred_request, svr_acl2_request, svr_sp_request,
        svr_sdi_request, svr_ael_request, svr_roles_request, svr_csr_request;

int svr_refuse(struct svr_result *ret, enum fault fault, const char *why); /* 0 */
int svr_done(struct svr_result *ret, uint8_t code, uint32_t changed, uint32_t effects);

/* A map of properties, with the common ones where baseline is asked for. */
size_t svr_begin(struct writer *out, const struct svr_call *call, uint64_t *ret_n);
int svr_end(struct writer *out, size_t begun, uint64_t n, struct svr_result *ret);

/* Walks the properties of a payload. 1: one more, *ret_i and *ret_value; 0: no more; -1: refused. */
struct svr_walk {
        const struct svr_property *table;
        size_t n_table;
        bool begun;
        struct span pairs;
};
int svr_walk(struct svr_walk *walk, const struct svr *svr, const struct svr_call *call, int *ret_i,
             struct span *ret_value, struct svr_result *ret);

/* The next reply to a need of this kind; SVR_E_NEEDS_KEY when it has not come yet. */
int svr_take_reply(const struct svr_call *call, size_t *n_taken, const struct svr_need *need,
                   const struct svr_reply **ret_reply, struct svr_result *ret);

/* The number behind ?key=; false when the key is there and its value is no number. */
bool svr_query_id(struct span query, const char *key, bool *ret_has, uint64_t *ret);

/* May this one be a rowneruuid? While ownership is taken anybody, later only who has a credential in this
 * list: else the owner could never come back, and the device would be sealed at its next start. */
#define SVR_NO_SUCH_OWNER "a rowneruuid that has no credential, and could never come back"
bool svr_may_own(const struct svr *svr, struct cred *const *creds, size_t n, const struct uuid *rowner);

/* Would everybody in rowner still have a credential in this list? (Who has none now does not count.) */
bool svr_rowners_stay(const struct svr *svr, struct cred *const *creds, size_t n);

bool svr_over_onboarding(const struct svr_call *call);
int32_t svr_next_id(uint64_t *random); /* 1 to INT32_MAX */
int32_t svr_free_credid(struct cred *const *creds, size_t n, uint64_t *random);
void svr_ael_clear(struct svr_ael *ael);
int svr_ael_keep(struct svr *svr, struct span event); /* 0 or -ENOMEM */

const char *svr_profile_oid(enum svr_profile profile);

#endif
