/*
 * What somebody else can make us hold is charged to them.
 *
 * An account counts, per kind of thing, how many a payer (a uid on the bus, a
 * peer on the wire) has us hold. The charge is a field of the thing itself and
 * goes back when the thing is freed. Full is an outcome: 5.03 on the wire,
 * LimitsExceeded on the bus; it is never an allocation failure of ours.
 */
#ifndef OCF_BASE_QUOTA_H
#define OCF_BASE_QUOTA_H

#include "base/list.h"

enum { QUOTA_E_FULL = 1 };

#define QUOTA_KINDS_MAX 8

struct quota {
        struct list accounts;
        uint64_t limits[QUOTA_KINDS_MAX]; /* of each account */
};

struct quota_account {
        struct list link;
        struct quota *quota;
        uint64_t payer;
        size_t n_references;
        uint64_t used[QUOTA_KINDS_MAX];
};

struct quota_charge {
        struct quota_account *account;
        unsigned kind;
        uint64_t amount;
};

#define QUOTA_CHARGE_NULL ((struct quota_charge){ NULL, 0, 0 })

void quota_init(struct quota *q, const uint64_t *limits, size_t n_limits);
void quota_deinit(struct quota *q); /* asserts that nothing is still charged */

/* Return: 0, the charge stands; QUOTA_E_FULL; -ENOMEM. */
int quota_charge(struct quota *q, struct quota_charge *charge, uint64_t payer, unsigned kind,
                 uint64_t amount);

/* Changes what a standing charge amounts to. Return: 0; QUOTA_E_FULL, and all is as it was. */
int quota_recharge(struct quota_charge *charge, uint64_t amount);

void quota_discharge(struct quota_charge *charge); /* a null charge is fine */
uint64_t quota_used(const struct quota *q, uint64_t payer, unsigned kind);

#endif
