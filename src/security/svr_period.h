/*
 * Periods and how they recur: "20260101T080000Z/20260101T170000Z" with
 * "FREQ=DAILY;BYDAY=MO,TU;UNTIL=..." (RFC 5545, as far as security.md 3.7 has
 * it). Time is UTC, seconds since 1970, and comes from the caller.
 */
#ifndef OCF_SECURITY_SVR_PERIOD_H
#define OCF_SECURITY_SVR_PERIOD_H

#include "base/span.h"

struct svr_period {
        int64_t begin_s, end_s;
};

bool svr_time_parse(int64_t *ret, struct span text); /* 20260131T235959Z, or without the Z */
bool svr_period_parse(struct svr_period *ret, struct span text);
bool svr_recurrence_is_known(struct span rule); /* one that svr_period_recurs() understands */

/* The period repeated daily, or weekly, after the rule: is now inside one of them? */
bool svr_period_recurs(const struct svr_period *period, struct span rule, int64_t now_s);

#define SVR_TIME_TEXT_MAX 21                                                /* with the NUL */
const char *svr_time_format(int64_t s, char buf[static SVR_TIME_TEXT_MAX]); /* RFC 3339 */

#endif
