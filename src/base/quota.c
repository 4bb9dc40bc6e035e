#include "base/quota.h"
#include "base/memory.h"

#include <assert.h>
#include <errno.h>

void quota_init(struct quota *q, const uint64_t *limits, size_t n_limits) {
        assert(n_limits <= QUOTA_KINDS_MAX);
        *q = (struct quota){ .accounts = LIST_INIT(q->accounts) };
        for (size_t i = 0; i < n_limits; i++)
                q->limits[i] = limits[i];
}

void quota_deinit(struct quota *q) {
        assert(list_is_empty(&q->accounts));
        (void)q;
}

static struct quota_account *account_find(const struct quota *q, uint64_t payer) {
        LIST_FOR_EACH(i, &q->accounts) {
                struct quota_account *a = LIST_ENTRY(i, struct quota_account, link);

                if (a->payer == payer)
                        return a;
        }
        return NULL;
}

static int account_obtain(struct quota *q, uint64_t payer, struct quota_account **ret) {
        struct quota_account *a = account_find(q, payer);

        if (!a) {
                a = ocf_new(struct quota_account);
                if (!a)
                        return -ENOMEM;
                a->quota = q;
                a->payer = payer;
                list_link_tail(&q->accounts, &a->link);
        }
        a->n_references++;
        *ret = a;
        return 0;
}

static void account_release(struct quota_account *a) {
        if (--a->n_references)
                return;
        list_unlink(&a->link);
        ocf_free(a);
}

int quota_charge(struct quota *q, struct quota_charge *charge, uint64_t payer, unsigned kind,
                 uint64_t amount) {
        struct quota_account *a;
        int r;

        assert(kind < QUOTA_KINDS_MAX && !charge->account);
        r = account_obtain(q, payer, &a);
        if (r)
                return r;
        *charge = (struct quota_charge){ .account = a, .kind = kind };
        r = quota_recharge(charge, amount);
        if (r)
                quota_discharge(charge);
        return r;
}

int quota_recharge(struct quota_charge *charge, uint64_t amount) {
        struct quota_account *a = charge->account;
        uint64_t others = a->used[charge->kind] - charge->amount;

        if (amount > charge->amount &&
            amount > a->quota->limits[charge->kind] - ocf_min_u64(others, a->quota->limits[charge->kind]))
                return QUOTA_E_FULL;
        a->used[charge->kind] = others + amount;
        charge->amount = amount;
        return 0;
}

void quota_discharge(struct quota_charge *charge) {
        if (!charge->account)
                return;
        charge->account->used[charge->kind] -= charge->amount;
        account_release(charge->account);
        *charge = QUOTA_CHARGE_NULL;
}

uint64_t quota_used(const struct quota *q, uint64_t payer, unsigned kind) {
        const struct quota_account *a = account_find(q, payer);

        return a ? a->used[kind] : 0;
}
