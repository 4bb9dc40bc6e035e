#include "svr_fixture.h"

#include "security/access.h"

#include <time.h>

/*
 * The access decision against a second reading of security.md 3.2 to 3.7 and of
 * the design's plain access, written as naively as possible: some sentences that
 * forbid, some that allow, and whoever is allowed by one and forbidden by none
 * may. Thousands of devices, sessions and questions, drawn from seeds.
 */

#define N_SEEDS     4000
#define N_QUESTIONS 50 /* of each device */

/* ---- drawing ---- */

static uint64_t seed;

static unsigned draw(unsigned n) {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        return (unsigned)((seed >> 20) % n);
}

static bool one_in(unsigned n) {
        return !draw(n);
}

static struct uuid draw_uuid(void) {
        static const char *const uuids[] = { OWNER, OTHER, DEVICE, NIL,
                                             "33333333-2222-4333-8444-555555555555" };

        return uuid(uuids[draw(ARRAY_SIZE(uuids))]);
}

static const char *draw_text(void) {
        static const char *const texts[] = { "guest", "gues", "oic.role.owner", "" };

        return texts[draw(ARRAY_SIZE(texts))];
}

static const struct resource_kind {
        const char *href;
        bool is_core;
        enum access_resource kind;
} kinds[] = {
        { "/oic/sec/doxm", false, ACCESS_VERTICAL },
        { "/oic/sec/pstat", false, ACCESS_VERTICAL },
        { "/oic/sec/cred", false, ACCESS_VERTICAL },
        { "/oic/sec/acl2", false, ACCESS_VERTICAL },
        { "/oic/sec/sp", false, ACCESS_VERTICAL },
        { "/oic/sec/sdi", false, ACCESS_VERTICAL },
        { "/oic/sec/ael", false, ACCESS_VERTICAL },
        { "/oic/sec/roles", false, ACCESS_VERTICAL },
        { "/oic/sec/csr", false, ACCESS_VERTICAL },
        { "/oic/sec/doxm/", false, ACCESS_VERTICAL },
        { "/OIC/sec/cred", false, ACCESS_VERTICAL },
        { "/oic/res", true, ACCESS_VERTICAL },
        { "/oic/d", true, ACCESS_VERTICAL },
        { "/oic/p", true, ACCESS_VERTICAL },
        { "/oic/mnt", false, ACCESS_DCR },
        { "/CoapCloudConfResURI", false, ACCESS_DCR },
        { "/oc/con", false, ACCESS_NCR },
        { "/oc/wk/introspection", false, ACCESS_NCR },
        { "/a/light", false, ACCESS_VERTICAL },
        { "/a/lightx", false, ACCESS_VERTICAL },
        { "/a", false, ACCESS_VERTICAL },
};

static const struct resource_kind *draw_kind(void) {
        return &kinds[draw(ARRAY_SIZE(kinds))];
}

#define ACES_MAX 6
#define DAY_S    86400
#define NOON     1780056000 /* 2026-05-29T12:00:00Z, a Friday */

/* A device with its lists, and what they point to. */
struct device {
        struct svr_snapshot snapshot;
        struct ace aces[ACES_MAX];
        const struct ace *ace_pointers[ACES_MAX];
        struct ace_resource resources[ACES_MAX][3];
        struct ace_validity validities[ACES_MAX][2];
        struct cred creds[4];
        const struct cred *cred_pointers[4];
        struct svr_session session;
        char role[2][16], authority[2][16];
};

static void draw_ace(struct ace *a, struct ace_resource *resources, struct ace_validity *validities,
                     int32_t id) {
        static const char *const periods[] = { "20260529T110000Z/20260529T130000Z",
                                               "20260101T110000Z/20260101T130000Z",
                                               "20260528T233000Z/20260529T003000Z",
                                               "20270101T000000Z/20270102T000000Z" };
        static const char *const rules[] = { "FREQ=DAILY", "FREQ=WEEKLY", "FREQ=DAILY;BYDAY=FR,SA",
                                             "FREQ=DAILY;UNTIL=20260201T000000Z", "FREQ=WEEKLY;BYDAY=MO" };

        *a = (struct ace){ .id = id,
                           .subject = (enum ace_subject)draw(4),
                           .uuid = draw_uuid(),
                           .role = span_of_string(draw_text()),
                           .authority = one_in(2) ? SPAN_NULL : span_of_string(draw_text()),
                           .permission = (uint8_t)draw(32),
                           .n_resources = draw(4),
                           .n_validities = one_in(3) ? draw(3) : 0,
                           .resources = resources,
                           .validities = validities };
        for (size_t i = 0; i < a->n_resources; i++) {
                unsigned form = draw(5);

                resources[i] = (struct ace_resource){ 0 };
                if (form < 3)
                        resources[i].href = span_of_string(draw_kind()->href);
                if (form > 1)
                        resources[i].wildcard = "+-*"[draw(3)];
        }
        for (size_t i = 0; i < a->n_validities; i++) {
                validities[i] =
                        (struct ace_validity){ .period = span_of_string(periods[draw(ARRAY_SIZE(periods))]),
                                               .n_recurrences = draw(3) };
                for (size_t k = 0; k < validities[i].n_recurrences; k++)
                        validities[i].recurrences[k] = span_of_string(rules[draw(ARRAY_SIZE(rules))]);
        }
}

static void draw_session(struct device *d) {
        d->session = (struct svr_session){
                .id = draw_uuid(), .onboarding = one_in(5), .by_certificate = one_in(2), .n_roles = draw(3)
        };
        for (size_t i = 0; i < d->session.n_roles; i++) {
                snprintf(d->role[i], sizeof(d->role[i]), "%s", draw_text());
                snprintf(d->authority[i], sizeof(d->authority[i]), "%s", draw_text());
                d->session.roles[i] = (struct svr_role){ .role = d->role[i],
                                                         .authority = d->authority[i],
                                                         .is_owner = one_in(8),
                                                         .until_s = one_in(3) ? NOON - 1 + draw(3) : 0 };
        }
}

static void draw_device(struct device *d) {
        d->snapshot = (struct svr_snapshot){ .state = (enum svr_state)draw(_SVR_STATE_N),
                                             .pending = one_in(12),
                                             .transfer = one_in(2),
                                             .devowner = draw_uuid(),
                                             .n_aces = draw(ACES_MAX + 1),
                                             .n_creds = draw(5),
                                             .aces = d->ace_pointers,
                                             .creds = d->cred_pointers };
        for (size_t i = 0; i < SVR_OWNED_N; i++)
                d->snapshot.rowner[i] = draw_uuid();
        for (size_t i = 0; i < d->snapshot.n_aces; i++) {
                draw_ace(&d->aces[i], d->resources[i], d->validities[i], (int32_t)i + 1);
                d->ace_pointers[i] = &d->aces[i];
        }
        for (size_t i = 0; i < d->snapshot.n_creds; i++) {
                d->creds[i] =
                        (struct cred){ .id = (int32_t)i,
                                       .type = one_in(3) ? CRED_CERTIFICATE : CRED_PSK,
                                       .any_subject = one_in(4),
                                       .subject = draw_uuid(),
                                       .role = one_in(2) ? SPAN_NULL : span_of_string(draw_text()),
                                       .authority = one_in(2) ? SPAN_NULL : span_of_string(draw_text()) };
                d->cred_pointers[i] = &d->creds[i];
        }
        draw_session(d);
}

static struct access_question draw_question(const struct device *d) {
        static const uint8_t methods[] = { 0,          COAP_GET,   COAP_POST,   COAP_PUT, COAP_DELETE,
                                           COAP_FETCH, COAP_PATCH, COAP_IPATCH, 8,        COAP_GET };
        static const int64_t times[] = { -1, 0, NOON, NOON + 3600, NOON + 3601, NOON + 12 * 3600 };
        const struct resource_kind *kind = draw_kind();
        struct access_question q = {
                .owned = one_in(2),
                .allow_insecure = one_in(2),
                .subject = (enum access_subject)(one_in(30) ? ACCESS_LOCAL : draw(2)),
                .method = methods[draw(ARRAY_SIZE(methods))],
                .resource_is_core = kind->is_core,
                .resource_is_insecure = one_in(2),
                .snapshot = one_in(30) ? NULL : &d->snapshot,
                .href = span_of_string(kind->href),
                .resource = kind->kind,
                .resource_is_discoverable = !one_in(4),
                .resource_has_secure_endpoint = one_in(2),
                .resource_has_plain_endpoint = one_in(2),
                .creates = one_in(4),
                .wall_s = times[draw(ARRAY_SIZE(times))],
        };

        if (q.subject == ACCESS_AUTH_CRYPT && !one_in(30))
                q.session = &d->session;
        return q;
}

/* ---- the naive reading ---- */

static bool is_href(const struct access_question *q, const char *href) {
        return span_equal_string(q->href, href);
}

static bool is_secure_resource(const struct access_question *q) {
        static const char *const hrefs[] = { "/oic/sec/doxm", "/oic/sec/pstat", "/oic/sec/cred",
                                             "/oic/sec/acl2", "/oic/sec/sp",    "/oic/sec/sdi",
                                             "/oic/sec/ael",  "/oic/sec/roles", "/oic/sec/csr" };

        for (size_t i = 0; i < ARRAY_SIZE(hrefs); i++)
                if (is_href(q, hrefs[i]))
                        return true;
        return false;
}

static bool configures_the_device(const struct access_question *q) {
        return is_secure_resource(q) || q->resource_is_core || q->resource == ACCESS_DCR;
}

static bool is_secured(const struct access_question *q) {
        return q->subject == ACCESS_AUTH_CRYPT && q->session;
}

/* A nil UUID is nobody. */
static bool peer_is(const struct access_question *q, const struct uuid *u) {
        static const struct uuid nobody;

        return is_secured(q) && memcmp(u, &nobody, sizeof(nobody)) && !memcmp(u, &q->session->id, sizeof(*u));
}

/* "20260529T110000Z/20260529T130000Z" */
static int64_t seconds(const uint8_t *text) {
        struct tm tm = { 0 };

        assert_int_equal(sscanf((const char *)text, "%4d%2d%2dT%2d%2d%2dZ", &tm.tm_year, &tm.tm_mon,
                                &tm.tm_mday, &tm.tm_hour, &tm.tm_min, &tm.tm_sec),
                         6);
        tm.tm_year -= 1900;
        tm.tm_mon -= 1;
        return timegm(&tm);
}

/* Day after day from the first on. */
static bool rule_holds(const char *rule, int64_t begin, int64_t end, int64_t now) {
        static const char *const days[] = { "SU", "MO", "TU", "WE", "TH", "FR", "SA" };
        const char *byday = strstr(rule, "BYDAY="), *until = strstr(rule, "UNTIL=");

        for (int64_t start = begin, day = 0; start <= now; start += DAY_S, day++) {
                time_t t = (time_t)start;
                struct tm tm;

                if (byday && !strstr(byday, days[gmtime_r(&t, &tm)->tm_wday]))
                        continue;
                if (!byday && strstr(rule, "WEEKLY") && day % 7)
                        continue;
                if (until && start > seconds((const uint8_t *)until + 6))
                        return false;
                if (now <= start + (end - begin))
                        return true;
        }
        return false;
}

static bool holds_now(const struct ace *a, int64_t now) {
        if (!a->n_validities)
                return true;
        if (now < 0)
                return false; /* without a clock nothing that is limited in time */
        for (size_t i = 0; i < a->n_validities; i++) {
                const struct ace_validity *v = &a->validities[i];
                int64_t begin = seconds(v->period.data), end = seconds(v->period.data + 17);

                if (!v->n_recurrences && now >= begin && now <= end)
                        return true;
                for (size_t k = 0; k < v->n_recurrences; k++)
                        if (rule_holds((const char *)v->recurrences[k].data, begin, end, now))
                                return true;
        }
        return false;
}

static bool is_same(struct span a, const char *b) {
        return a.n == strlen(b) && !memcmp(a.data, b, a.n);
}

static bool still(const struct svr_role *role, int64_t now) {
        return now < 0 || role->until_s == 0 || now <= role->until_s;
}

static bool plays(const struct access_question *q, const struct ace *a) {
        bool yes = false;

        for (size_t i = 0; i < q->session->n_roles; i++) {
                const struct svr_role *role = &q->session->roles[i];

                if (still(role, q->wall_s) && is_same(a->role, role->role) &&
                    (a->authority.data == NULL || is_same(a->authority, role->authority)))
                        yes = true;
        }
        for (size_t i = 0; i < q->snapshot->n_creds; i++) {
                const struct cred *c = q->snapshot->creds[i];

                if (c->type == CRED_PSK && !q->session->by_certificate && c->role.data && !c->any_subject &&
                    peer_is(q, &c->subject) && span_equal(a->role, c->role) &&
                    (a->authority.data == NULL || span_equal(a->authority, c->authority)))
                        yes = true;
        }
        return yes;
}

static bool is_subject(const struct access_question *q, const struct ace *a) {
        if (a->subject == ACE_UUID)
                return peer_is(q, &a->uuid);
        if (a->subject == ACE_ROLE)
                return is_secured(q) && plays(q, a);
        if (is_secure_resource(q))
                return false; /* kinds of connections open none of them */
        return a->subject == ACE_ANON_CLEAR || is_secured(q);
}

static bool is_covered(const struct access_question *q, const struct ace *a) {
        for (size_t i = 0; i < a->n_resources; i++) {
                const struct ace_resource *r = &a->resources[i];
                bool href = !r->href.data || span_equal(r->href, q->href), wildcard = true;

                if (r->wildcard && configures_the_device(q))
                        wildcard = false;
                else if (r->wildcard == '+')
                        wildcard = q->resource_is_discoverable && q->resource_has_secure_endpoint;
                else if (r->wildcard == '-')
                        wildcard = q->resource_is_discoverable && q->resource_has_plain_endpoint;
                if (href && wildcard)
                        return true;
        }
        return false;
}

static bool is_permitted(const struct access_question *q, const struct ace *a) {
        static const char *const needs[8] = { "", "R", "?", "?", "D", "R", "U", "U" };
        const char *need = q->method < 8 ? needs[q->method] : "";

        if (need[0] == '?')
                need = q->creates ? "C" : "U";
        return (need[0] == 'C' && a->permission & 1) || (need[0] == 'R' && a->permission & 2) ||
               (need[0] == 'U' && a->permission & 4) || (need[0] == 'D' && a->permission & 8);
}

static bool an_entry_allows(const struct access_question *q) {
        for (size_t i = 0; i < q->snapshot->n_aces; i++) {
                const struct ace *a = q->snapshot->aces[i];

                if (is_subject(q, a) && is_covered(q, a) && is_permitted(q, a) && holds_now(a, q->wall_s))
                        return true;
        }
        return false;
}

static bool is_opened_in_clear(const struct access_question *q) {
        return q->resource_is_insecure && q->allow_insecure;
}

/* What nothing else can allow. */
static bool is_forbidden(const struct access_question *q) {
        const struct svr_snapshot *s = q->snapshot;
        bool in_clear = !is_secured(q), unowned = s->state == SVR_RFOTM;

        return s->pending || s->state == SVR_RESET || (unowned && in_clear && s->transfer) ||
               (!configures_the_device(q) && s->state != SVR_RFNOP && !(unowned && in_clear)) ||
               (!configures_the_device(q) && in_clear && q->resource == ACCESS_VERTICAL &&
                !is_opened_in_clear(q)) ||
               (is_secure_resource(q) && in_clear && !unowned);
}

static bool owns(const struct access_question *q, enum svr_id id) {
        return peer_is(q, &q->snapshot->rowner[id]);
}

static bool is_allowed(const struct access_question *q) {
        const struct svr_snapshot *s = q->snapshot;
        bool unowned = s->state == SVR_RFOTM, is_svr = is_secure_resource(q);
        bool of_owners = is_href(q, "/oic/sec/doxm") || is_href(q, "/oic/sec/pstat") ||
                         is_href(q, "/oic/sec/cred") || is_href(q, "/oic/sec/acl2");

        /* 4: the session that takes ownership */
        if (is_secured(q) && q->session->onboarding && configures_the_device(q) && s->state != SVR_RFNOP)
                return true;
        /* 5: discovery of what has no owner */
        if (unowned && q->resource_is_core && q->method == COAP_GET)
                return true;
        /* 6: how a transfer begins */
        if (unowned && !is_secured(q) &&
            (is_href(q, "/oic/sec/doxm") || (is_href(q, "/oic/sec/pstat") && q->method == COAP_GET)))
                return true;
        /* plain access of the design */
        if (unowned && !is_secured(q) && !configures_the_device(q))
                return is_opened_in_clear(q);
        /* 8: resource owners; the transfer's service has all four, those of keys and entries lead through
         * states */
        if (of_owners && owns(q, SVR_DOXM))
                return true;
        if ((is_href(q, "/oic/sec/pstat") &&
             (owns(q, SVR_PSTAT) || owns(q, SVR_CRED) || owns(q, SVR_ACL2))) ||
            (is_href(q, "/oic/sec/cred") && owns(q, SVR_CRED)) ||
            (is_href(q, "/oic/sec/acl2") && owns(q, SVR_ACL2)))
                return true;
        /* the device's owner, for repairing */
        if (is_svr && (unowned || s->state == SVR_SRESET) && peer_is(q, &s->devowner))
                return true;
        if (unowned)
                return false;
        /* 9: its own roles, of whoever is known */
        if (is_href(q, "/oic/sec/roles") && is_secured(q) && peer_is(q, &q->session->id))
                return true;
        /* the owner's role, everything */
        for (size_t i = 0; is_secured(q) && i < q->session->n_roles; i++)
                if (q->session->roles[i].is_owner && still(&q->session->roles[i], q->wall_s))
                        return true;
        /* 10 */
        return an_entry_allows(q);
}

static bool naively_granted(const struct access_question *q) {
        if (q->subject == ACCESS_LOCAL)
                return true;
        if (!q->snapshot) /* no secure resources yet: plain access alone, of a device without an owner */
                return q->subject == ACCESS_ANON_CLEAR && !q->owned &&
                       (q->resource_is_core ? q->method == COAP_GET : is_opened_in_clear(q));
        return is_allowed(q) && !is_forbidden(q);
}

/* ---- */

static void describe(const struct device *d, const struct access_question *q, struct access_verdict v) {
        print_error("%.*s method %d over %s in %s%s%s%s: %s, by entry %d\n", (int)q->href.n,
                    (const char *)q->href.data, (int)q->method, is_secured(q) ? "a session" : "nothing",
                    svr_entry_of(d->snapshot.state)->name, d->snapshot.pending ? ", pending" : "",
                    d->snapshot.transfer ? ", transfer" : "", q->snapshot ? "" : ", no snapshot",
                    access_reason_text(v.reason), (int)v.aceid);
}

static unsigned n_seen[2][_ACCESS_REASON_N];

static void ask_one(const struct device *d, uint64_t first) {
        struct access_question q = draw_question(d);
        struct access_verdict v = access_decide(&q), again = access_decide(&q);

        if (v.granted != naively_granted(&q)) {
                describe(d, &q, v);
                fail_msg("seed %llu: granted %d, naively %d", (unsigned long long)first, v.granted,
                         !v.granted);
        }
        assert_true(v.granted == again.granted && v.reason == again.reason && v.aceid == again.aceid);
        assert_true(v.granted == (v.reason <= ACCESS_GRANTED_INSECURE));
        assert_true(v.reason != ACCESS_GRANTED_ENTRY || v.aceid != ACE_ID_NONE);
        n_seen[v.granted][v.reason]++;
}

static void test_two_readings(void **state) {
        static struct device d;

        memset(n_seen, 0, sizeof(n_seen));
        for (uint64_t first = 1; first <= N_SEEDS; first++) {
                seed = first * 0x9e3779b97f4a7c15;
                draw_device(&d);
                for (unsigned i = 0; i < N_QUESTIONS; i++)
                        ask_one(&d, first);
        }
        for (enum access_reason r = 0; r < _ACCESS_REASON_N;
             r++) /* each came up, so that each was compared */
                if (n_seen[0][r] + n_seen[1][r] < 20)
                        fail_msg("%s: %u times", access_reason_text(r), n_seen[0][r] + n_seen[1][r]);
}

/* One more entry takes nothing away, and an entry less gives nothing. */
static void test_entries_only_add(void **state) {
        static struct device d;

        for (uint64_t first = 1; first <= N_SEEDS; first++) {
                seed = first * 0xd1342543de82ef95;
                draw_device(&d);
                for (unsigned i = 0; i < 10; i++) {
                        struct access_question q = draw_question(&d);
                        size_t n = d.snapshot.n_aces;
                        bool before = false;

                        if (!q.snapshot)
                                continue;
                        for (d.snapshot.n_aces = 0; d.snapshot.n_aces <= n; d.snapshot.n_aces++) {
                                bool now = access_decide(&q).granted;

                                assert_true(now || !before);
                                before = now;
                        }
                        d.snapshot.n_aces = n;
                }
        }
}

/* Who has proven nothing gets no more than who comes in clear, but for entries of the connection's kind. */
static void test_nobody_is_nobody(void **state) {
        static struct device d;

        for (uint64_t first = 1; first <= N_SEEDS; first++) {
                seed = first * 0xda942042e4dd58b5;
                draw_device(&d);
                d.session = (struct svr_session){ 0 };
                for (unsigned i = 0; i < 10; i++) {
                        struct access_question q = draw_question(&d);
                        enum access_reason reason;

                        if (q.subject == ACCESS_LOCAL || !q.session)
                                continue;
                        reason = access_decide(&q).reason;
                        assert_true(reason > ACCESS_GRANTED_INSECURE || reason == ACCESS_GRANTED_ENTRY ||
                                    reason == ACCESS_GRANTED_DISCOVERY);
                        assert_true(reason != ACCESS_GRANTED_ENTRY || !is_secure_resource(&q));
                }
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_two_readings),
                cmocka_unit_test(test_entries_only_add),
                cmocka_unit_test(test_nobody_is_nobody),
        };

        return cmocka_run_group_tests_name("svr-access", tests, NULL, NULL);
}
