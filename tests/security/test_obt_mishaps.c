#include "obt_world.h"

/*
 * Every flow, and at each of its turns everything that can go wrong there: a
 * request, an answer, a session, a key that is not stored, a person who gives up,
 * memory that is not there. After each: the device is owned, with the key that the tool
 * has for it, and in use; or it has no owner, and the tool no key.
 */

struct scenario {
        const char *name;
        enum obt_operation operation;
        bool is_owned;  /* before */
        bool is_paired; /* before */
        enum svr_transfer method;
        bool with_certificate, forget;
        enum svr_state state, was; /* asked for, before */
        int32_t number;
        const char *text; /* pem of the root, subject, cis */
};

static const struct scenario scenarios[] = {
        { .name = "own, Just Works", .operation = OBT_OWN, .method = SVR_JUST_WORKS },
        { .name = "own, PIN", .operation = OBT_OWN, .method = SVR_RANDOM_PIN },
        { .name = "own, manufacturer", .operation = OBT_OWN, .method = SVR_MANUFACTURER },
        { .name = "own, with a certificate",
          .operation = OBT_OWN,
          .method = SVR_JUST_WORKS,
          .with_certificate = true },
        { .name = "reset", .operation = OBT_RESET, .is_owned = true },
        { .name = "soft reset", .operation = OBT_SET_STATE, .is_owned = true, .state = SVR_SRESET },
        { .name = "and back",
          .operation = OBT_SET_STATE,
          .is_owned = true,
          .state = SVR_RFNOP,
          .was = SVR_SRESET },
        { .name = "pair", .operation = OBT_PAIR, .is_owned = true },
        { .name = "pair again", .operation = OBT_PAIR, .is_owned = true, .is_paired = true },
        { .name = "identity", .operation = OBT_ISSUE_IDENTITY, .is_owned = true },
        { .name = "roles", .operation = OBT_ISSUE_ROLES, .is_owned = true },
        { .name = "anchor", .operation = OBT_ADD_ANCHOR, .is_owned = true },
        { .name = "access", .operation = OBT_ADD_ACCESS, .is_owned = true },
        { .name = "no more access", .operation = OBT_REMOVE_ACCESS, .is_owned = true },
        { .name = "no credential", .operation = OBT_REMOVE_CREDENTIAL, .is_owned = true, .is_paired = true },
        { .name = "cloud", .operation = OBT_CONFIGURE_CLOUD, .is_owned = true },
        { .name = "domain", .operation = OBT_SET_DOMAIN, .is_owned = true },
};

static struct authority_role role = { .role = SPAN_LITERAL("friend"), .authority = SPAN_LITERAL("home") };
static const struct span hrefs[] = { SPAN_LITERAL("/a/light"), SPAN_LITERAL("*") };

static struct obt_config config_for(const struct scenario *s) {
        struct obt_config c = config_of(s->operation);
        const struct cred *pair;

        c.methods[0] = s->method;
        c.state = s->state;
        c.with_certificate = s->with_certificate;
        if (s->operation == OBT_ISSUE_ROLES) {
                c.roles = &role;
                c.n_roles = 1;
        }
        c.pem = authority_root(authority);
        c.subject = SPAN_LITERAL("*");
        if (s->operation == OBT_ADD_ACCESS) {
                c.subject = SPAN_LITERAL("role:friend@home");
                c.hrefs = hrefs;
                c.n_hrefs = ARRAY_SIZE(hrefs);
                c.permission = ACE_RETRIEVE;
        }
        if (s->operation == OBT_REMOVE_CREDENTIAL) {
                pair = svr_find_psk(&devices[0].svr, &devices[1].svr.doxm.deviceuuid);
                assert_non_null(pair);
                c.number = pair->id;
        }
        if (s->operation == OBT_CONFIGURE_CLOUD) {
                c.cis = SPAN_LITERAL("coaps+tcp://cloud.example:5684");
                c.sid = SPAN_LITERAL(CLOUD_ID);
                c.at = SPAN_LITERAL("token");
                c.apn = SPAN_LITERAL("provider");
                c.cloud_href = SPAN_LITERAL(CLOUD_HREF);
        }
        return c;
}

static struct obt_config begin(const struct scenario *s) {
        new_world();
        if (s->is_owned)
                own_both();
        if (s->was == SVR_SRESET) {
                struct obt_config c = config_of(OBT_SET_STATE);

                c.state = s->was;
                assert_int_equal(run(&c), 0);
                assert_int_equal(devices[0].svr.machine.state, s->was);
        }
        if (s->is_paired) {
                struct obt_config c = config_of(OBT_PAIR);

                assert_int_equal(run(&c), 0);
                assert_true(succeeded);
        }
        return config_for(s);
}

/* What each flow is for, looked up in the devices themselves. */
static bool has_come_about(const struct scenario *s) {
        const struct svr *svr = &devices[0].svr;
        bool paired, found = false, with_certificate;

        switch (s->operation) {
        case OBT_OWN:
                for (size_t i = 0; i < svr->n_creds; i++)
                        found |= svr->creds[i]->usage == CRED_CERT;
                with_certificate = s->with_certificate && !strstr(said, "certificate did not");
                return is_ours(&devices[0]) && found >= with_certificate;
        case OBT_RESET:
                return !is_ours(&devices[0]);
        case OBT_SET_STATE:
                return svr->machine.state == s->state;
        case OBT_PAIR:
                assert_paired_or_not(s->name, &paired);
                return paired;
        case OBT_ISSUE_IDENTITY:
        case OBT_ISSUE_ROLES:
                for (size_t i = 0; i < svr->n_creds; i++)
                        found |= svr->creds[i]->usage ==
                                 (s->operation == OBT_ISSUE_IDENTITY ? CRED_CERT : CRED_ROLECERT);
                return found;
        case OBT_ADD_ANCHOR:
                for (size_t i = 0; i < svr->n_creds; i++)
                        found |= svr->creds[i]->usage == CRED_TRUSTCA;
                return found;
        case OBT_ADD_ACCESS:
                for (size_t i = 0; i < svr->n_aces; i++)
                        found |= svr->aces[i]->subject == ACE_ROLE;
                return found;
        case OBT_REMOVE_ACCESS:
                return svr->n_aces == 4;
        case OBT_REMOVE_CREDENTIAL:
                return !svr_find_psk(svr, &devices[1].svr.doxm.deviceuuid);
        case OBT_CONFIGURE_CLOUD:
                return devices[0].cloud[0];
        case OBT_SET_DOMAIN:
                return span_equal_string(span_of(svr->sdi.name, svr->sdi.n_name), "home");
        }
        return false;
}

static void assert_good(const struct scenario *s) {
        bool paired;

        settle();
        if (s->operation == OBT_SET_STATE && !s->was) { /* in the one or the other */
                assert_no_orphans(s->name);
                assert_true(is_ours(&devices[0]));
                assert_true(devices[0].svr.machine.state == SVR_RFNOP ||
                            devices[0].svr.machine.state == s->state);
        } else if (s->was && !succeeded && devices[0].svr.machine.state == s->was) {
                assert_no_orphans(s->name);
        } else {
                assert_whole(s->name, SVR_RFNOP);
        }
        if (s->operation == OBT_PAIR)
                assert_paired_or_not(s->name, &paired);
        if (succeeded && !has_come_about(s))
                fail_msg("%s: it says so, and it is not: %s\n%s", s->name, situation(), trace);
}

static void test_without_mishap(void **state) {
        for (size_t i = 0; i < ARRAY_SIZE(scenarios); i++) {
                struct obt_config c = begin(&scenarios[i]);

                assert_int_equal(run(&c), 0);
                if (!succeeded)
                        fail_msg("%s: %s\n%s", scenarios[i].name, said, trace);
                assert_good(&scenarios[i]);
                assert_null(strstr(said, "did not"));
        }
}

static void sweep(const enum mishap *list, size_t n) {
        for (size_t i = 0; i < ARRAY_SIZE(scenarios); i++)
                for (size_t k = 0; k < n; k++) {
                        unsigned at = 0;

                        do {
                                struct obt_config c = begin(&scenarios[i]);

                                strike(list[k], ++at);
                                assert_int_equal(run(&c), 0);
                                assert_good(&scenarios[i]);
                        } while (was_reached());
                        assert_true(at > 2);
                }
}

static void test_each_message_is_lost_once(void **state) {
        static const enum mishap list[] = { LOSE_REQUEST, LOSE_ANSWER, LOSE_SESSION };

        sweep(list, ARRAY_SIZE(list));
}

static void test_each_request_is_refused_once(void **state) {
        static const enum mishap list[] = { REFUSE, BREAK, SAY_NOTHING };

        sweep(list, ARRAY_SIZE(list));
}

static void test_cancelled_at_each_turn(void **state) {
        static const enum mishap list[] = { CANCEL, CANCEL_DURING };

        sweep(list, ARRAY_SIZE(list));
}

/* Two at once may leave a key for nobody, and a device out of use; but never one that nobody can reach. */
static void test_no_orphan_of_two_mishaps(void **state) {
        for (enum mishap first = LOSE_REQUEST; first < _MISHAP_N; first++)
                for (enum mishap second = LOSE_REQUEST; second < _MISHAP_N; second++) {
                        unsigned at = 0;

                        do {
                                at++;
                                for (unsigned again = at + 1;; again += (unsigned)unit_stride()) {
                                        struct obt_config c = begin(&scenarios[0]);

                                        strike(first, at);
                                        strike_again(second, again);
                                        assert_int_equal(run(&c), 0);
                                        settle();
                                        assert_no_orphans(scenarios[0].name);
                                        if (succeeded && !is_ours(&devices[0]))
                                                fail_msg("it says so, and it is not: %s\n%s", situation(),
                                                         trace);
                                        if (turn < again)
                                                break;
                                }
                        } while (was_reached());
                }
}

/* ---- memory ---- */

static unsigned n_allocations, refused_allocation;

void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);

void *__wrap_calloc(size_t n, size_t size) {
        return in_flow && ++n_allocations == refused_allocation ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t n) {
        return in_flow && ++n_allocations == refused_allocation ? NULL : __real_realloc(p, n);
}

static void test_each_allocation_is_refused_once(void **state) {
        unsigned n_refused = 0;

        for (size_t i = 0; i < ARRAY_SIZE(scenarios); i++)
                for (unsigned at = 1;; at++) {
                        struct obt_config c;
                        int r;

                        refused_allocation = 0;
                        c = begin(&scenarios[i]);
                        n_allocations = 0;
                        refused_allocation = at;
                        said[0] = 0;
                        r = run(&c);
                        refused_allocation = 0;
                        if (r)
                                assert_int_equal(r, -ENOMEM);
                        assert_good(&scenarios[i]);
                        if (n_allocations < at)
                                break;
                        n_refused++;
                }
        assert_true(n_refused > 3 * ARRAY_SIZE(scenarios)); /* the wrapping is there */
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_without_mishap),
                cmocka_unit_test(test_each_message_is_lost_once),
                cmocka_unit_test(test_each_request_is_refused_once),
                cmocka_unit_test(test_cancelled_at_each_turn),
                cmocka_unit_test(test_no_orphan_of_two_mishaps),
                cmocka_unit_test(test_each_allocation_is_refused_once),
        };

        return cmocka_run_group_tests(tests, NULL, leave_world);
}
