/*
 * One entry of an access control list: a subject, resources, permissions, and
 * when they hold (security.md 1.6, 3.3 to 3.7).
 *
 * An entry never changes: replacing it is making another one.
 */
#ifndef OCF_SECURITY_ACE_H
#define OCF_SECURITY_ACE_H

#include "base/span.h"
#include "base/uuid.h"
#include "protocol/rep.h"

#define ACE_RESOURCES_MAX   64
#define ACE_VALIDITIES_MAX  8
#define ACE_RECURRENCES_MAX 8
#define ACE_HREF_MAX        256
#define ACE_TEXT_MAX        256 /* role, authority, period, recurrence */
#define ACE_ID_NONE         0

enum ace_permission {
        ACE_CREATE = 1,
        ACE_RETRIEVE = 2,
        ACE_UPDATE = 4,
        ACE_DELETE = 8,
        ACE_NOTIFY = 16,
        ACE_ALL = 31,
};

enum ace_subject { ACE_UUID, ACE_ROLE, ACE_AUTH_CRYPT, ACE_ANON_CLEAR };

struct ace_resource {
        struct span href; /* data NULL: none */
        char wildcard;    /* '+', '-', '*'; 0: none */
};

struct ace_validity {
        struct span period;
        size_t n_recurrences;
        struct span recurrences[ACE_RECURRENCES_MAX];
};

struct ace {
        int32_t id; /* ACE_ID_NONE: not chosen yet */
        enum ace_subject subject;
        struct uuid uuid;
        struct span role, authority; /* authority.data NULL: of anybody */
        uint8_t permission;          /* enum ace_permission */
        size_t n_resources, n_validities;
        struct ace_resource *resources;
        struct ace_validity *validities; /* none: always */
};

/* Where a parsed entry keeps its arrays. */
struct ace_arrays {
        struct ace_resource resources[ACE_RESOURCES_MAX];
        struct ace_validity validities[ACE_VALIDITIES_MAX];
};

/* Reads an item in normal form; spans point into it. Return: NULL, or what is wrong. */
const char *ace_parse(struct ace *ret, struct span item, struct ace_arrays *arrays);

int ace_new(struct ace **ret, const struct ace *view); /* 0 or -ENOMEM */
struct ace *ace_free(struct ace *a);
OCF_DEFINE_CLEANUP(struct ace, ace_free)

void ace_put(struct writer *w, const struct ace *a);
size_t ace_size(const struct ace *a); /* charged against the limit of all of them */

/* Same subject, permission and validity: what differs are the resources. */
bool ace_can_be_merged(const struct ace *a, const struct ace *b);
bool ace_has_resource(const struct ace *a, const struct ace_resource *r);

/* May it be used now? wall_s are seconds since 1970, negative when the clock is not trusted: entries that
 * are limited in time then do not hold. */
bool ace_is_valid_at(const struct ace *a, int64_t wall_s);

#endif
