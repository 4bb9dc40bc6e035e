#include "../unit.h"
#include "security/svr_state.h"

static const struct svr_facts unowned = { 0 };
static const struct svr_facts good = { true, true, true, true };

static struct svr_machine machine_in(enum svr_state state) {
        struct svr_machine m;

        svr_machine_restore(&m, state, false);
        if (state == SVR_RESET) /* as it stands between the reset and RFOTM */
                m.pending = false;
        return m;
}

/* security.md 2.2: a row for each of the 25 pairs. */
static void test_ways(void **state) {
        static const char *const expected[_SVR_STATE_N] = {
                /* RESET RFOTM RFPRO RFNOP SRESET */
                [SVR_RESET] = "-----", /* leaves by itself only */
                [SVR_RFOTM] = "rsp--", [SVR_RFPRO] = "r-spp", [SVR_RFNOP] = "r-psp", [SVR_SRESET] = "r-p-s",
        };

        for (enum svr_state from = 0; from < _SVR_STATE_N; from++)
                for (enum svr_state to = 0; to < _SVR_STATE_N; to++) {
                        struct svr_machine m = machine_in(from);
                        int r = svr_machine_ask(&m, to, &good, 1000);

                        switch (expected[from][to]) {
                        case '-':
                                assert_int_equal(r, SVR_STATE_E_NO_WAY);
                                assert_int_equal(m.state, from);
                                break;
                        case 's':
                        case 'p':
                                assert_int_equal(r, 0);
                                assert_int_equal(m.state, to);
                                assert_false(m.pending);
                                break;
                        case 'r':
                                assert_int_equal(r, 0);
                                assert_int_equal(m.state, SVR_RESET);
                                assert_true(m.pending);
                                assert_int_equal(svr_machine_deadline(&m), 1000 + SVR_RESET_DELAY_MS);
                                break;
                        default:
                                fail();
                        }
                }
}

/* security.md 2.1 */
static void test_entries(void **state) {
        static const struct {
                enum svr_state state;
                bool isop;
                uint8_t cm, tm;
                enum svr_fate fate;
        } rows[] = {
                { SVR_RESET, false, 1, 2, SVR_CLEAR }, { SVR_RFOTM, false, 2, 0, SVR_KEEP },
                { SVR_RFPRO, false, 0, 0, SVR_KEEP },  { SVR_RFNOP, true, 0, 0, SVR_KEEP },
                { SVR_SRESET, false, 1, 0, SVR_KEEP },
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                const struct svr_entry *e = svr_entry_of(rows[i].state);

                assert_int_equal(e->isop, rows[i].isop);
                assert_int_equal(e->cm, rows[i].cm);
                assert_int_equal(e->tm, rows[i].tm);
                assert_int_equal(e->doxm, rows[i].fate);
                assert_int_equal(e->pstat, rows[i].fate);
                assert_int_equal(e->cred, rows[i].fate);
                assert_int_equal(e->acl2, rows[i].fate);
                assert_int_equal(e->others, rows[i].fate);
        }
}

/* security.md 2.3 */
static void test_what_an_owned_state_needs(void **state) {
        static const struct {
                struct svr_facts facts;
                int outcome;
        } rows[] = {
                { { false, true, true, true }, SVR_STATE_E_NOT_OWNED },
                { { true, false, true, true }, SVR_STATE_E_NOT_OWNED },
                { { true, true, false, true }, SVR_STATE_E_NO_ROWNER },
                { { true, true, true, false }, SVR_STATE_E_NO_CREDENTIAL },
                { { true, true, true, true }, 0 },
        };
        static const struct {
                enum svr_state from, to;
        } ways[] = {
                { SVR_RFOTM, SVR_RFPRO }, { SVR_RFPRO, SVR_RFNOP },  { SVR_RFPRO, SVR_SRESET },
                { SVR_RFNOP, SVR_RFPRO }, { SVR_SRESET, SVR_RFPRO },
        };

        for (size_t w = 0; w < ARRAY_SIZE(ways); w++)
                for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                        struct svr_machine m = machine_in(ways[w].from);

                        assert_int_equal(svr_machine_ask(&m, ways[w].to, &rows[i].facts, 0), rows[i].outcome);
                        assert_int_equal(m.state, rows[i].outcome ? ways[w].from : ways[w].to);
                }
}

static void test_reset_is_answered_first(void **state) {
        struct svr_machine m = machine_in(SVR_RFNOP);

        assert_int_equal(svr_machine_ask(&m, SVR_RESET, &good, 500), 0);
        assert_int_equal(svr_machine_ask(&m, SVR_RESET, &good, 600), SVR_STATE_E_PENDING);
        assert_int_equal(svr_machine_ask(&m, SVR_RFPRO, &good, 600), SVR_STATE_E_PENDING);
        assert_int_equal(svr_machine_due(&m, 500 + SVR_RESET_DELAY_MS - 1), SVR_DUE_NOTHING);
        assert_int_equal(svr_machine_due(&m, 500 + SVR_RESET_DELAY_MS), SVR_DUE_RESET);
        assert_int_equal(svr_machine_reset_done(&m, &good), SVR_STATE_E_OWNED);
        assert_true(m.pending);
        assert_int_equal(svr_machine_reset_done(&m, &unowned), 0);
        assert_int_equal(m.state, SVR_RFOTM);
        assert_false(m.pending);
        assert_true(svr_machine_deadline(&m) == OCF_NEVER);
        assert_int_equal(svr_machine_reset_done(&m, &unowned), SVR_STATE_E_NO_WAY);
}

static void test_transfer_times_out(void **state) {
        struct svr_machine m = machine_in(SVR_RFOTM);

        svr_machine_transfer_began(&m, 1000);
        svr_machine_transfer_began(&m, 90000); /* does not give it more time */
        assert_int_equal(svr_machine_deadline(&m), 1000 + SVR_TRANSFER_MAX_MS);
        assert_int_equal(svr_machine_due(&m, 1000 + SVR_TRANSFER_MAX_MS - 1), SVR_DUE_NOTHING);
        assert_int_equal(m.state, SVR_RFOTM);
        assert_int_equal(svr_machine_due(&m, 1000 + SVR_TRANSFER_MAX_MS), SVR_DUE_RESET);
        assert_int_equal(m.state, SVR_RESET);
        assert_true(m.pending);
}

static void test_a_lost_transfer(void **state) {
        struct svr_machine m = machine_in(SVR_RFOTM);

        svr_machine_transfer_lost(&m, 5); /* none was running: a spoofed datagram resets nothing */
        assert_int_equal(m.state, SVR_RFOTM);
        svr_machine_transfer_began(&m, 5);
        svr_machine_transfer_lost(&m, 6);
        assert_int_equal(svr_machine_due(&m, 6), SVR_DUE_RESET);

        m = machine_in(SVR_RFOTM);
        svr_machine_transfer_began(&m, 5);
        assert_int_equal(svr_machine_ask(&m, SVR_RFPRO, &good, 7), 0);
        svr_machine_transfer_lost(&m, 8); /* the owner comes back with its key */
        assert_int_equal(m.state, SVR_RFPRO);
        assert_int_equal(svr_machine_due(&m, 1000000), SVR_DUE_NOTHING);

        svr_machine_transfer_began(&m, 9); /* only in RFOTM */
        assert_false(m.transfer);
}

/* A clean stop keeps the UUID of an unowned device, unless somebody was half way. */
static void test_clean_stop(void **state) {
        struct svr_machine m = machine_in(SVR_RFOTM);

        assert_false(svr_machine_stop(&m));
        svr_machine_transfer_began(&m, 5);
        assert_true(svr_machine_stop(&m));
        assert_int_equal(svr_machine_ask(&m, SVR_RFPRO, &good, 6), 0);
        assert_false(svr_machine_stop(&m));
        m = machine_in(SVR_RFNOP);
        assert_false(svr_machine_stop(&m));
}

static void test_restore(void **state) {
        struct svr_machine m;

        svr_machine_restore(&m, SVR_RFNOP, false);
        assert_int_equal(m.state, SVR_RFNOP);
        assert_int_equal(svr_machine_due(&m, 0), SVR_DUE_NOTHING);
        svr_machine_restore(&m, SVR_RFNOP, true); /* power went between the answer and the reset */
        assert_int_equal(m.state, SVR_RESET);
        assert_int_equal(svr_machine_due(&m, 0), SVR_DUE_RESET);
        svr_machine_init(&m);
        assert_int_equal(m.state, SVR_RESET);
        assert_int_equal(svr_machine_due(&m, 0), SVR_DUE_RESET);
}

/* Maintenance asks while the owner's reset waits: the nearer one counts. */
static void test_two_resets(void **state) {
        struct svr_machine m = machine_in(SVR_RFNOP);

        svr_machine_reset(&m, 3000);
        svr_machine_reset(&m, 9000);
        assert_int_equal(svr_machine_deadline(&m), 3000);
        svr_machine_reset(&m, 1000);
        assert_int_equal(svr_machine_deadline(&m), 1000);
}

static void test_every_outcome_has_a_sentence(void **state) {
        for (int i = 1; i <= SVR_STATE_E_OWNED; i++)
                assert_true(strlen(svr_state_error_text(i)) > 10);
        for (enum svr_state s = 0; s < _SVR_STATE_N; s++)
                assert_non_null(svr_entry_of(s)->name);
        assert_int_equal(svr_way(SVR_RESET, SVR_RFOTM), SVR_WAY_ITSELF);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_ways),
                cmocka_unit_test(test_entries),
                cmocka_unit_test(test_what_an_owned_state_needs),
                cmocka_unit_test(test_reset_is_answered_first),
                cmocka_unit_test(test_transfer_times_out),
                cmocka_unit_test(test_a_lost_transfer),
                cmocka_unit_test(test_clean_stop),
                cmocka_unit_test(test_restore),
                cmocka_unit_test(test_two_resets),
                cmocka_unit_test(test_every_outcome_has_a_sentence),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
