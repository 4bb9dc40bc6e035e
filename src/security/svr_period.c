#include "security/svr_period.h"

#include <string.h>

#define DAY_S  86400
#define WEEK_S (7 * DAY_S)

static bool digits(struct span *s, size_t n, int64_t *ret) {
        struct span d;
        int64_t v = 0;

        if (!span_take(s, n, &d))
                return false;
        for (size_t i = 0; i < n; i++) {
                if (d.data[i] < '0' || d.data[i] > '9')
                        return false;
                v = v * 10 + (d.data[i] - '0');
        }
        *ret = v;
        return true;
}

/* Days since 1970-01-01 of the proleptic Gregorian calendar; years begin in March, so that the leap day is
 * last. */
static int64_t days_of(int64_t year, int64_t month, int64_t day) {
        int64_t y = month <= 2 ? year - 1 : year, m = (month + 9) % 12;

        return 365 * y + y / 4 - y / 100 + y / 400 + (m * 306 + 5) / 10 + day - 1 - 719468;
}

static bool is_leap(int64_t y) {
        return (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
}

bool svr_time_parse(int64_t *ret, struct span text) {
        static const uint8_t month_days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
        int64_t year, month, day, hour, minute, second;
        uint8_t mark;

        if (!digits(&text, 4, &year) || !digits(&text, 2, &month) || !digits(&text, 2, &day) ||
            !span_take_u8(&text, &mark) || mark != 'T' || !digits(&text, 2, &hour) ||
            !digits(&text, 2, &minute) || !digits(&text, 2, &second))
                return false;
        if (text.n && !span_equal_string(text, "Z"))
                return false;
        if (year < 1970 || month < 1 || month > 12 || hour > 23 || minute > 59 || second > 60 || day < 1 ||
            day > month_days[month - 1] + (month == 2 && is_leap(year)))
                return false;
        *ret = days_of(year, month, day) * DAY_S + hour * 3600 + minute * 60 + second;
        return true;
}

bool svr_period_parse(struct svr_period *ret, struct span text) {
        struct svr_period p;
        struct span begin;

        if (!span_split(&text, '/', &begin) || !svr_time_parse(&p.begin_s, begin) ||
            !svr_time_parse(&p.end_s, text) || p.end_s < p.begin_s)
                return false;
        *ret = p;
        return true;
}

/* 0 is Monday; 1970-01-01 was a Thursday. */
static unsigned weekday_of(int64_t s) {
        return (unsigned)((s / DAY_S + 3) % 7);
}

struct rule {
        int64_t every_s; /* DAY_S or WEEK_S */
        bool has_until;
        int64_t until_s;
        uint8_t days; /* bits, Monday first; 0: any */
};

static bool parse_days(uint8_t *ret, struct span text) {
        static const char *const names[] = { "MO", "TU", "WE", "TH", "FR", "SA", "SU" };
        struct span day;
        uint8_t days = 0;

        while (span_split(&text, ',', &day)) {
                size_t i = 0;

                while (i < ARRAY_SIZE(names) && !span_equal_string(day, names[i]))
                        i++;
                if (i == ARRAY_SIZE(names))
                        return false;
                days |= (uint8_t)(1u << i);
        }
        *ret = days;
        return days != 0;
}

static bool parse_rule(struct rule *ret, struct span text) {
        struct rule rule = { 0 };
        struct span part, key;

        if (span_has_prefix(text, SPAN_LITERAL("RRULE:")))
                (void)span_take(&text, 6, &key);
        while (span_split(&text, ';', &part)) {
                (void)span_split(&part, '=', &key);
                if (span_equal_string(key, "FREQ") && span_equal_string(part, "DAILY"))
                        rule.every_s = DAY_S;
                else if (span_equal_string(key, "FREQ") && span_equal_string(part, "WEEKLY"))
                        rule.every_s = WEEK_S;
                else if (span_equal_string(key, "UNTIL") && svr_time_parse(&rule.until_s, part))
                        rule.has_until = true;
                else if (!span_equal_string(key, "BYDAY") || !parse_days(&rule.days, part))
                        return false;
        }
        if (rule.every_s == WEEK_S && rule.days)
                rule.every_s = DAY_S; /* weekly on these days is daily on these days */
        *ret = rule;
        return rule.every_s != 0;
}

bool svr_recurrence_is_known(struct span text) {
        struct rule rule;

        return parse_rule(&rule, text);
}

/* Longer than its repetition is always: the last one has not ended when the next begins. */
bool svr_period_recurs(const struct svr_period *period, struct span text, int64_t now_s) {
        struct rule rule;
        int64_t began_s;

        if (!parse_rule(&rule, text) || now_s < period->begin_s)
                return false;
        began_s = now_s - (now_s - period->begin_s) % rule.every_s;
        if (rule.has_until && began_s > rule.until_s)
                return false;
        if (rule.days && !(rule.days & 1u << weekday_of(began_s)))
                return false;
        return now_s - began_s <= period->end_s - period->begin_s;
}

static char *put_digits(char *p, int64_t v, unsigned n) {
        for (unsigned i = n; i-- > 0; v /= 10)
                p[i] = (char)('0' + v % 10);
        return p + n;
}

const char *svr_time_format(int64_t s, char buf[static SVR_TIME_TEXT_MAX]) {
        int64_t days = s / DAY_S, left = s % DAY_S, year = 1970, month = 1;
        char *p = buf;

        while (days >= 365 + is_leap(year))
                days -= 365 + is_leap(year++);
        while (month < 12 && days_of(year, month + 1, 1) <= days_of(year, 1, 1) + days)
                month++;
        p = put_digits(p, year, 4);
        *p++ = '-';
        p = put_digits(p, month, 2);
        *p++ = '-';
        p = put_digits(p, days_of(year, 1, 1) + days - days_of(year, month, 1) + 1, 2);
        *p++ = 'T';
        p = put_digits(p, left / 3600, 2);
        *p++ = ':';
        p = put_digits(p, left / 60 % 60, 2);
        *p++ = ':';
        p = put_digits(p, left % 60, 2);
        *p++ = 'Z';
        *p = 0;
        return buf;
}
