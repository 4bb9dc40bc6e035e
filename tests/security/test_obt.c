#include "obt_world.h"

/*
 * What the onboarding tool's flows ask of a device, in which order and in which
 * bytes (services.md 1.3 to 1.5; wire-traces.md 4 and 5); and what each makes of a device that
 * is not as it should be.
 */

static const char transfer_text[] =
        "transfer POST /oic/sec/pstat {\"om\":4}\n"
        "transfer POST /oic/sec/doxm {\"devowneruuid\":\"" TOOL "\"}\n"
        "transfer POST /oic/sec/doxm {\"deviceuuid\":\"%s\"}\n"
        "transfer POST /oic/sec/doxm {\"rowneruuid\":\"" TOOL "\"}\n"
        "transfer POST /oic/sec/acl2 {\"rowneruuid\":\"" TOOL "\"}\n"
        "transfer POST /oic/sec/pstat {\"rowneruuid\":\"" TOOL "\"}\n"
        "transfer POST /oic/sec/cred {\"rowneruuid\":\"" TOOL
        "\",\"creds\":[{\"credtype\":1,\"subjectuuid\":\"" TOOL
        "\",\"privatedata\":{\"encoding\":\"oic.sec.encoding.raw\",\"data\":\"\"}}]}\n"
        "transfer POST /oic/sec/sdi {\"uuid\":\"" DOMAIN "\",\"name\":\"home\",\"priv\":false}\n"
        "transfer POST /oic/sec/doxm {\"owned\":true}\n"
        "transfer POST /oic/sec/pstat {\"dos\":{\"s\":2}}\n"
        "transfer DELETE /oic/sec/acl2 \n"
        "transfer POST /oic/sec/acl2 {\"aclist2\":["
        "{\"subject\":{\"uuid\":\"" TOOL "\"},\"permission\":14,\"resources\":[{\"href\":\"/oic/sec/sp\"},"
        "{\"href\":\"/oic/sec/sdi\"}]},"
        "{\"subject\":{\"uuid\":\"" TOOL "\"},\"permission\":2,\"resources\":[{\"href\":\"/oic/sec/csr\"}]},"
        "{\"subject\":{\"uuid\":\"" TOOL
        "\"},\"permission\":31,\"resources\":[{\"wc\":\"*\"},{\"href\":\"/oic/mnt\"}]},"
        "{\"subject\":{\"conntype\":\"anon-clear\"},\"permission\":2,\"resources\":[{\"href\":\"/oic/d\"},"
        "{\"href\":\"/oic/p\"},{\"href\":\"/oic/res\"},{\"href\":\"/oic/sec/sdi\"}]}]}\n"
        "transfer POST /oic/sec/pstat {\"dos\":{\"s\":3}}\n";

static void must(const struct obt_config *c) {
        assert_int_equal(run(c), 0);
        if (!succeeded)
                fail_msg("%s\n%s", said, trace);
}

static void must_not(const struct obt_config *c, const char *part) {
        assert_int_equal(run(c), 0);
        if (succeeded || !strstr(said, part))
                fail_msg("not \"%s\", but: %s\n%s", part, said, trace);
}

/* ---- the order of a transfer ---- */

/* From where they differ: cmocka shows the first 1024 bytes of a message. */
static void assert_same_text(const char *is, const char *expected) {
        for (; *is && *is == *expected; is++)
                expected++;
        if (*is || *expected)
                fail_msg("is: %.400s\nand not: %.400s", is, expected);
}

static void test_order_of_each_method(void **state) {
        for (enum svr_transfer m = SVR_JUST_WORKS; m <= SVR_MANUFACTURER; m++) {
                char expected[4096], id[UUID_TEXT_MAX];
                struct obt_config c;
                int n;

                new_world();
                c = config_of(OBT_OWN);
                c.methods[0] = m;
                must(&c);
                n = snprintf(expected, sizeof(expected),
                             "clear GET /oic/sec/doxm \nclear POST /oic/sec/doxm {\"oxmsel\":%d}\n", (int)m);
                snprintf(expected + n, sizeof(expected) - (size_t)n, transfer_text,
                         uuid_format(&devices[0].svr.doxm.deviceuuid, id));
                assert_same_text(trace, expected);
                assert_true(uuid_equal(&devices[0].called, &devices[0].svr.doxm.deviceuuid));
                assert_int_equal(devices[0].svr.doxm.oxmsel, m);
                settle();
                assert_whole("own", SVR_RFNOP);
        }
}

static bool saw_key;

/* wire-traces.md 4.1, step 9: a byte string, and no bytes in it. */
static void look_at_key(const struct obt_want *w) {
        struct span list, one, item, data;
        struct rep_token t;

        if (w->method != COAP_POST || strcmp(w->path, "/oic/sec/cred") != 0)
                return;
        assert_true(rep_map_find(w->payload, "creds", &list));
        assert_true(rep_next(&list, &t));
        assert_true(rep_skip(&list, &one));
        assert_true(rep_map_find(one, "privatedata", &item));
        assert_true(rep_map_find(item, "data", &data));
        assert_int_equal(data.n, 1);
        assert_int_equal(data.data[0], 0x40);
        saw_key = true;
}

static void test_key_of_no_bytes(void **state) {
        struct obt_config c;

        new_world();
        c = config_of(OBT_OWN);
        saw_key = false;
        on_request = look_at_key;
        must(&c);
        on_request = NULL;
        assert_true(saw_key);
}

static void test_first_method_that_the_device_has(void **state) {
        struct obt_config c;

        new_world();
        devices[0].svr.device.oxms = 1 << SVR_JUST_WORKS | 1 << SVR_MANUFACTURER;
        c = config_of(OBT_OWN);
        c.methods[0] = SVR_RANDOM_PIN;
        c.methods[1] = SVR_MANUFACTURER;
        c.methods[2] = SVR_JUST_WORKS;
        c.n_methods = 3;
        must(&c);
        assert_int_equal(devices[0].svr.doxm.oxmsel, SVR_MANUFACTURER);
        new_world();
        c = config_of(OBT_OWN);
        devices[0].svr.device.oxms = 1 << SVR_MANUFACTURER;
        must_not(&c, "none of the ways");
        assert_string_equal(trace, "clear GET /oic/sec/doxm \n");
}

static void test_device_without_sdi(void **state) {
        struct obt_config c;

        new_world();
        devices[0].has_no_sdi = true;
        c = config_of(OBT_OWN);
        must(&c);
        settle();
        assert_whole("own", SVR_RFNOP);
}

static void test_identity_in_the_same_go(void **state) {
        struct obt_config c;

        new_world();
        c = config_of(OBT_OWN);
        c.with_certificate = true;
        must(&c);
        assert_non_null(strstr(trace, "transfer GET /oic/sec/csr"));
        devices[1].svr.device.sct = CRED_PSK;
        c.targets[0] = devices[1].called;
        must(&c);
        assert_null(strstr(trace, "GET /oic/sec/csr"));
        assert_null(strstr(said, "certificate"));
}

static void test_whom_it_does_not_own(void **state) {
        struct obt_config c;

        new_world();
        c = config_of(OBT_OWN);
        c.methods[0] = SVR_RANDOM_PIN;
        pin_said = "00000000";
        must_not(&c, "session");
        settle();
        assert_whole("own", SVR_RFNOP);
        pin_said = "";
        must_not(&c, "PIN");
        settle();
        assert_whole("own", SVR_RFNOP);
        pin_said = PIN;
        c.targets[0] = devices[0].called = devices[0].svr.doxm.deviceuuid;
        must(&c);
        c.targets[0] = devices[0].called;
        must_not(&c, "has an owner already, who can reset it. Nothing was changed"); /* in clear nothing is
                                                                                        told: it is refused */
        assert_no_orphans("own");
        devices[1].called = uuid(DOMAIN);
        c.targets[0] = devices[1].called;
        must_not(&c, "Another device answers");
}

/* A device that stops half way and tells its state alone, for ever. */
static void test_does_not_go_on_for_ever(void **state) {
        struct obt_config c;

        new_world();
        devices[0].says_only_its_state = true;
        c = config_of(OBT_OWN);
        assert_int_equal(run(&c), 0);
        assert_false(succeeded);
        assert_true(turn < 60);
        settle();
        assert_no_orphans("own");
}

static size_t count(const char *part) {
        size_t n = 0;

        for (const char *at = trace; (at = strstr(at, part)); at++)
                n++;
        return n;
}

/* It is asked a few times, is not asked again by who has given up, and the key stays. */
static void test_silent_device(void **state) {
        struct obt_config c;

        new_world();
        own_both();
        devices[0].is_silent = true;
        c = config_of(OBT_RESET);
        must_not(&c, "The key for the device is kept");
        assert_int_equal(count("POST /oic/sec/pstat"), 2);
        strike(CANCEL, 3);
        must_not(&c, "It was cancelled");
        assert_int_equal(count("POST /oic/sec/pstat"), 1);
        strike(FINE, 0);
        c = config_of(OBT_SET_STATE);
        c.state = SVR_SRESET;
        must_not(&c, "either state");
        assert_int_equal(count("POST /oic/sec/pstat"), 3);
        c = config_of(OBT_SET_DOMAIN);
        must_not(&c, "set its state to RFNOP");
        assert_int_equal(count("/oic/sec/sdi"), 0);
        c = config_of(OBT_OWN);
        must_not(&c, "does not answer. Nothing was changed");
        assert_int_equal(n_kept, N_DEVICES);
        devices[0].is_silent = false;
        strike(REFUSE, 2);
        c = config_of(OBT_SET_DOMAIN);
        must_not(&c, "in use again");
        strike(FINE, 0);
        settle();
        assert_whole("silent", SVR_RFNOP);
}

/* Turn 14 to 17: RFPRO, DELETE and POST of the entries, RFNOP. In RFOTM the device undoes itself when the
 * session is gone; later the flow comes in with the owner's key, and goes on. */
static void test_goes_on_from_where_it_broke(void **state) {
        static const enum mishap list[] = { LOSE_ANSWER, LOSE_REQUEST, LOSE_SESSION };

        for (size_t i = 0; i < ARRAY_SIZE(list); i++)
                for (unsigned at = i ? 15 : 14; at <= 17; at++) {
                        struct obt_config c;

                        new_world();
                        c = config_of(OBT_OWN);
                        strike(list[i], at);
                        must(&c);
                        assert_non_null(strstr(trace, "owner GET /oic/sec/pstat"));
                        assert_int_equal(devices[0].svr.n_aces, 4);
                        settle();
                        assert_whole("own", SVR_RFNOP);
                }
}

/* Whether it is owned is found out first, and then undone: at turn 13 it is told so, at 14 it enters RFPRO.
 */
static void test_cancelled_while_finding_out(void **state) {
        for (unsigned lost = 13; lost < 15; lost++)
                for (unsigned cancelled = lost + 1; cancelled < lost + 4; cancelled++)
                        for (enum mishap how = CANCEL; how <= CANCEL_DURING; how++) {
                                struct obt_config c;

                                new_world();
                                c = config_of(OBT_OWN);
                                strike(LOSE_ANSWER, lost);
                                strike_again(how, cancelled);
                                assert_int_equal(run(&c), 0);
                                assert_non_null(strstr(trace, "{\"owned\":true}\n"));
                                if (!succeeded && !strstr(said, "The device has no owner"))
                                        fail_msg("%s\n%.700s", situation(), strstr(trace, "{\"owned"));
                                settle();
                                assert_whole("own", SVR_RFNOP);
                        }
}

/* ---- asked twice, told late ---- */

static void test_the_same_until_it_is_told(void **state) {
        struct obt_config c;
        struct obt_flow *f;
        struct obt_want a, b;
        struct obt_progress p;

        new_world();
        c = config_of(OBT_OWN);
        assert_int_equal(obt_flow_new(&f, &c), 0);
        obt_flow_want(f, &a);
        obt_flow_want(f, &b);
        assert_int_equal(a.type, OBT_WANT_REQUEST);
        assert_int_equal(b.type, a.type);
        assert_string_equal(a.path, b.path);
        obt_flow_progress(f, &p);
        assert_int_equal(p.step, 1);
        assert_true(p.n_steps > 15);
        assert_string_equal(p.name, "discover");
        assert_false(p.undoing);
        obt_flow_connected(f, NULL, "nothing was to be connected");
        obt_flow_pin(f, SPAN_LITERAL("1"));
        obt_flow_stored(f, true);
        obt_flow_paused(f);
        obt_flow_progress(f, &p);
        assert_int_equal(p.step, 1);
        obt_flow_cancel(f);
        obt_flow_progress(f, &p);
        assert_true(p.undoing);
        obt_flow_answer(f, COAP_CONTENT, SPAN_NULL, NULL); /* too late */
        for (int i = 0; i < 3; i++)
                obt_flow_want(f, &a);
        assert_int_equal(a.type, OBT_WANT_END);
        assert_false(a.succeeded);
        obt_flow_cancel(f);
        obt_flow_answer(f, COAP_CONTENT, SPAN_NULL, NULL);
        obt_flow_want(f, &b);
        assert_int_equal(b.type, OBT_WANT_END);
        assert_string_equal(a.text, b.text);
        obt_flow_free(f);
        assert_null(obt_flow_free(NULL));
}

/* ---- what is done with a device that is ours ---- */

static void test_pair(void **state) {
        struct obt_config c;
        bool paired;

        new_world();
        own_both();
        c = config_of(OBT_PAIR);
        must(&c);
        assert_paired_or_not("pair", &paired);
        assert_true(paired);
        c.targets[1] = c.targets[0];
        must_not(&c, "with itself");
}

static void test_states(void **state) {
        static const struct {
                enum svr_state to;
                bool good;
        } rows[] = { { SVR_SRESET, true }, { SVR_SRESET, true }, { SVR_RFNOP, true }, { SVR_RFPRO, true },
                     { SVR_SRESET, true }, { SVR_RFPRO, true },  { SVR_RFNOP, true }, { SVR_RFNOP, true },
                     { SVR_RESET, false }, { SVR_RFOTM, false } };
        struct obt_config c;

        new_world();
        own_both();
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                c = config_of(OBT_SET_STATE);
                c.state = rows[i].to;
                if (!rows[i].good) {
                        must_not(&c, "The states are");
                        assert_int_equal(devices[0].svr.machine.state, SVR_RFNOP);
                        continue;
                }
                must(&c);
                assert_int_equal(devices[0].svr.machine.state, rows[i].to);
        }
}

static void test_credentials_go_but_for_the_owners(void **state) {
        struct obt_config c;
        bool paired;

        new_world();
        own_both();
        c = config_of(OBT_PAIR);
        must(&c);
        c = config_of(OBT_REMOVE_CREDENTIAL);
        c.number = svr_find_psk(&devices[0].svr, &tool)->id;
        must_not(&c, "owner's key");
        assert_null(strstr(trace, "DELETE"));
        assert_non_null(strstr(said, "Nothing was changed"));
        strike(SAY_NOTHING, 1);
        must_not(&c, "does not tell its credentials");
        c.operation = OBT_PAIR;
        must_not(&c, "does not tell its credentials");
        strike(FINE, 0);
        c.operation = OBT_REMOVE_CREDENTIAL;
        c.number = INT32_MAX;
        must_not(&c, "4.04");
        assert_int_equal(devices[0].svr.machine.state, SVR_RFNOP);
        for (size_t i = 0; i < N_DEVICES; i++) {
                c.targets[0] = devices[i].called;
                c.number = svr_find_psk(&devices[i].svr, &devices[i ^ 1].called)->id;
                must(&c);
        }
        assert_paired_or_not("pair", &paired);
        assert_false(paired);
        settle();
        assert_whole("remove", SVR_RFNOP);
}

static void test_access(void **state) {
        static const struct {
                const char *subject, *href, *expected; /* NULL: none is written */
                uint8_t permission;
        } rows[] = {
                { DOMAIN, "/a/light",
                  "{\"subject\":{\"uuid\":\"" DOMAIN
                  "\"},\"permission\":22,\"resources\":[{\"href\":\"/a/light\"}]}",
                  22 },
                { "anon-clear", "-",
                  "{\"subject\":{\"conntype\":\"anon-clear\"},\"permission\":18,\"resources\":[{\"wc\":\"-\"}"
                  "]}",
                  18 },
                { "auth-crypt", "*",
                  "{\"subject\":{\"conntype\":\"auth-crypt\"},\"permission\":6,\"resources\":[{\"wc\":\"*\"}]"
                  "}",
                  6 },
                { "role:myrole@myauth", "*",
                  "{\"subject\":{\"role\":\"myrole\",\"authority\":\"myauth\"},\"permission\":6,"
                  "\"resources\":[{"
                  "\"wc\":\"*\"}]}",
                  6 },
                { "role:otherrole", "+",
                  "{\"subject\":{\"role\":\"otherrole\"},\"permission\":31,\"resources\":[{\"wc\":\"+\"}]}",
                  31 },
                { "role:", "*", NULL, 6 },
                { "everybody", "*", NULL, 6 },
                { "", "*", NULL, 6 },
                { "auth-crypt", "a/light", NULL, 6 },
                { "auth-crypt", "", NULL, 6 },
                { "auth-crypt", "**", NULL, 6 },
                { "auth-crypt", "*", NULL, 0 },
                { "auth-crypt", "*", NULL, 32 },
        };
        struct obt_config c;
        size_t n;

        new_world();
        own_both();
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct span href = span_of_string(rows[i].href);

                n = devices[0].svr.n_aces;
                c = config_of(OBT_ADD_ACCESS);
                c.subject = span_of_string(rows[i].subject);
                c.hrefs = &href;
                c.n_hrefs = 1;
                c.permission = rows[i].permission;
                if (!rows[i].expected) {
                        must_not(&c, "");
                        assert_string_equal(trace, "");
                        continue;
                }
                must(&c);
                assert_int_equal(devices[0].svr.n_aces, n + 1);
                if (!strstr(trace, rows[i].expected))
                        fail_msg("no %s in\n%s", rows[i].expected, trace);
        }
        n = devices[0].svr.n_aces;
        c = config_of(OBT_REMOVE_ACCESS);
        c.number = devices[0].svr.aces[n - 1]->id;
        must(&c);
        assert_int_equal(devices[0].svr.n_aces, n - 1);
        c.number = 0;
        must(&c);
        assert_int_equal(devices[0].svr.n_aces, 4);
}

static void test_cloud(void **state) {
        struct obt_config c;

        new_world();
        own_both();
        c = config_of(OBT_CONFIGURE_CLOUD);
        must_not(&c, "no resource of a cloud");
        c.cloud_href = SPAN_LITERAL(CLOUD_HREF);
        c.cis = SPAN_LITERAL("coaps+tcp://cloud.example:5684");
        must_not(&c, "an id (sid)");
        c.sid = SPAN_LITERAL("the cloud");
        c.at = SPAN_LITERAL("token");
        must_not(&c, "an id (sid)");
        c.sid = SPAN_LITERAL(CLOUD_ID);
        c.apn = SPAN_LITERAL("provider");
        must(&c);
        assert_string_equal(devices[0].cloud, "coaps+tcp://cloud.example:5684");
        assert_non_null(strstr(trace, "POST " CLOUD_HREF
                                      " {\"cis\":\"coaps+tcp://cloud.example:5684\",\"sid\":\"" CLOUD_ID
                                      "\",\"apn\":\"provider\",\"at\":\"token\"}\n"));
        c.cis = SPAN_NULL;
        must(&c);
        assert_string_equal(devices[0].cloud, "");
        assert_non_null(strstr(trace, "POST " CLOUD_HREF " {\"cis\":\"\"}\n"));
}

static size_t n_role_certificates(const struct svr *svr) {
        size_t n = 0;

        for (size_t i = 0; i < svr->n_creds; i++)
                n += svr->creds[i]->usage == CRED_ROLECERT;
        return n;
}

static void test_certificates(void **state) {
        struct authority_role roles[] = { { .role = SPAN_LITERAL("a") }, { .role = SPAN_LITERAL("b") } };
        struct obt_config c;

        new_world();
        own_both();
        c = config_of(OBT_ISSUE_IDENTITY);
        c.authority = NULL;
        must_not(&c, "no certificate authority");
        c.authority = authority;
        must(&c);
        must(&c);
        c = config_of(OBT_ISSUE_ROLES);
        c.roles = roles;
        c.n_roles = 2;
        must(&c);
        assert_int_equal(n_role_certificates(&devices[0].svr), 2); /* each has its own */
        c.wall_s = -1;
        must_not(&c, "clock");
        devices[1].svr.device.sct = CRED_PSK;
        c.targets[0] = devices[1].called;
        must_not(&c, "no certificates");
        assert_null(strstr(trace, "POST"));
        c = config_of(OBT_ADD_ANCHOR);
        must_not(&c, "PEM");
        c.pem = authority_root(authority);
        c.subject = SPAN_LITERAL("x");
        must_not(&c, "PEM");
        c.subject = SPAN_LITERAL(DOMAIN);
        c.manufacturer = true;
        must(&c);
        assert_non_null(strstr(trace, "oic.sec.cred.mfgtrustca"));
        c.pem = SPAN_LITERAL("no certificate");
        must_not(&c, "4.00");
        settle();
        assert_whole("certificates", SVR_RFNOP);
}

static void test_reset(void **state) {
        struct obt_config c;

        new_world();
        own_both();
        c = config_of(OBT_RESET);
        must(&c);
        settle();
        assert_whole("reset", SVR_RFNOP);
        assert_int_equal(n_kept, 1);
        c.targets[0] = devices[1].called;
        c.forget = true; /* it does not answer, and is given up */
        must(&c);
        assert_string_equal(trace, "");
        assert_int_equal(n_kept, 0);
}

static void test_too_many(void **state) {
        struct authority_role roles[AUTHORITY_ROLES_MAX + 1] = { 0 };
        struct span hrefs[ACE_RESOURCES_MAX + 1] = { 0 };
        struct obt_config c;

        new_world();
        c = config_of(OBT_ISSUE_ROLES);
        c.roles = roles;
        c.n_roles = ARRAY_SIZE(roles);
        assert_int_equal(run(&c), -EINVAL);
        c = config_of(OBT_ADD_ACCESS);
        c.hrefs = hrefs;
        c.n_hrefs = ARRAY_SIZE(hrefs);
        assert_int_equal(run(&c), -EINVAL);
        c = config_of(OBT_OWN);
        c.n_methods = OBT_METHODS_MAX + 1;
        assert_int_equal(run(&c), -EINVAL);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_order_of_each_method),
                cmocka_unit_test(test_key_of_no_bytes),
                cmocka_unit_test(test_first_method_that_the_device_has),
                cmocka_unit_test(test_device_without_sdi),
                cmocka_unit_test(test_identity_in_the_same_go),
                cmocka_unit_test(test_whom_it_does_not_own),
                cmocka_unit_test(test_does_not_go_on_for_ever),
                cmocka_unit_test(test_silent_device),
                cmocka_unit_test(test_goes_on_from_where_it_broke),
                cmocka_unit_test(test_cancelled_while_finding_out),
                cmocka_unit_test(test_the_same_until_it_is_told),
                cmocka_unit_test(test_pair),
                cmocka_unit_test(test_states),
                cmocka_unit_test(test_credentials_go_but_for_the_owners),
                cmocka_unit_test(test_access),
                cmocka_unit_test(test_cloud),
                cmocka_unit_test(test_certificates),
                cmocka_unit_test(test_reset),
                cmocka_unit_test(test_too_many),
        };

        return cmocka_run_group_tests(tests, NULL, leave_world);
}
