/*
 * The certificate authority of an onboarding tool (services.md 1.6): a root of
 * its own, and the certificates of identities and roles that devices are given,
 * which certificate.h and the field's other implementations accept.
 *
 * What is wrong is a sentence; NULL: nothing. Time is an argument, in seconds since
 * 1970; a clock that cannot be trusted (negative, as certificate.h has it) issues nothing.
 */
#ifndef OCF_SECURITY_AUTHORITY_H
#define OCF_SECURITY_AUTHORITY_H

#include "base/uuid.h"

struct authority;

#define AUTHORITY_PEM_MAX   4096u
#define AUTHORITY_ROLES_MAX 8u

/* A new root, good for 20 years. */
const char *authority_new(struct authority **ret, int64_t now_s);
struct authority *authority_free(struct authority *a);

/* Key and certificate as bytes; whoever has them wipes them. false: no memory, or no room. */
bool authority_save(const struct authority *a, struct writer *w);
bool authority_load(struct authority **ret, struct span bytes); /* false: they are none, or no memory */

struct span authority_root(const struct authority *a); /* PEM */

/* How long what it issues is good, but never longer than its root; at first, and after it was loaded, 10
 * years. */
#define AUTHORITY_YEARS     10u
#define AUTHORITY_YEARS_MAX 20u
void authority_set_years(struct authority *a, unsigned years);

struct authority_role {
        struct span role, authority; /* UTF-8; authority empty: that of the issuer */
};

/*
 * Issues what a device asked for: csr is PEM, of a key on P-256, signed by it, for
 * CN=uuid:<device>. n_roles 0: an identity's; else of these roles. ret: PEM, the certificate alone.
 */
const char *authority_issue(struct authority *a, struct span csr, const struct uuid *device,
                            const struct authority_role *roles, size_t n_roles, int64_t now_s,
                            struct writer *ret);

#endif
