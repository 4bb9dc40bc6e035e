#include "remote_fixture.h"

#include "model_fixture.h"

/* What devices say of themselves, in each layout that there is, and by who means no good. */

#define EPS_LAMP                                                                                             \
        ",'eps':[{'ep':'coap://10.77.0.1:34432'},{'ep':'coaps://10.77.0.1:39820'},"                          \
        "{'ep':'coap+tcp://10.77.0.1:34681'},{'ep':'coaps+tcp://10.77.0.1:41703'}]"
#define LAMP "66251b14-fc34-4fd1-6e56-0e028c5be174"

/* core.md 6.1: as the reference's sample lamp answers before it is owned, shortened to three links. */
#define LAMP_LINKS                                                                                           \
        "[{'anchor':'ocf://" LAMP "','href':'/oic/p','rt':['oic.wk.p'],'if':['oic.if.r','oic.if.baseline']," \
        "'p':{'bm':3}" EPS_LAMP "},"                                                                         \
        "{'rel':['self'],'anchor':'ocf://" LAMP "','href':'/oic/res','rt':['oic.wk.res'],"                   \
        "'if':['oic.if.ll','oic.if.b','oic.if.baseline'],'p':{'bm':1}" EPS_LAMP "},"                         \
        "{'anchor':'ocf://" LAMP "','href':'/binaryswitch','rt':['oic.r.switch.binary'],"                    \
        "'if':['oic.if.a','oic.if.baseline'],'p':{'bm':3},"                                                  \
        "'eps':[{'ep':'coaps://10.77.0.1:39820'},{'ep':'coaps+tcp://10.77.0.1:41703'}]}]"

static void expect_list(char *const *list, const char *expected) {
        char line[256] = "";

        for (; list && *list; list++) {
                strncat(line, *list, sizeof(line) - strlen(line) - 1);
                if (list[1])
                        strncat(line, " ", sizeof(line) - strlen(line) - 1);
        }
        assert_string_equal(line, expected);
}

static void expect_lamp(struct remotes *t) {
        struct uuid id = uuid_of(LAMP);
        struct remote_device *d = remotes_find(t, &id);
        struct remote_resource *r;

        assert_non_null(d);
        assert_int_equal(d->n_resources, 3);
        assert_true(d->reachable);
        assert_string_equal(addresses(d),
                            "coap://10.77.0.1:34432 coaps://10.77.0.1:39820 coap+tcp://10.77.0.1:34681 "
                            "coaps+tcp://10.77.0.1:41703");
        r = remote_find(d, span_of_string("/binaryswitch"));
        assert_non_null(r);
        expect_list(r->types, "oic.r.switch.binary");
        expect_list(r->interfaces, "oic.if.a oic.if.baseline");
        assert_true(r->discoverable && r->observable);
        r = remote_find(d, span_of_string("/oic/res"));
        assert_true(r->discoverable && !r->observable);
        expect_list(r->interfaces, "oic.if.ll oic.if.b oic.if.baseline");
        assert_null(remote_find(d, span_of_string("/oic")));
}

static void test_each_layout_says_the_same(void **state) {
        static const char *const layouts[] = {
                LAMP_LINKS,
                "[{'rt':['oic.wk.res'],'if':['oic.if.ll','oic.if.b','oic.if.baseline'],"
                "'sduuid':'00000000-0000-0000-0000-000000000000','sdname':'','links':" LAMP_LINKS "}]",
                "{'rt':['oic.wk.res'],'if':['oic.if.ll','oic.if.baseline'],'links':" LAMP_LINKS "}",
                "[{'di':'" LAMP "','links':" LAMP_LINKS "}]", /* OIC 1.1, and an anchor as well */
        };

        for (size_t i = 0; i < ARRAY_SIZE(layouts); i++) {
                struct remotes *t = table_of(ordinary);

                assert_int_equal(learn(t, 1000, at("10.77.0.1", 34432, 2), layouts[i]), 1);
                expect_lamp(t);
                assert_string_equal(news(t), "+6625 +6625/oic/p +6625/oic/res +6625/binaryswitch");
                assert_int_equal(learn(t, 2000, at("10.77.0.1", 34432, 2), layouts[i]), 1);
                assert_string_equal(news(t), ""); /* nothing is new */
                remotes_free(t);
        }
}

/* OIC 1.1: whose it is stands at the group, or a link has a di of its own; a bridge sends both (services.md
 * 4.3). */
static void test_whose_a_link_is(void **state) {
        static const struct {
                const char *json, *news;
        } rows[] = {
                { "[{'di':'" A "','links':[{'href':'/a','rt':['x'],'if':['y']}]}]", "+1111 +1111/a" },
                { "[{'di':'" A "','links':[{'href':'/a'}]},{'di':'" B "','links':[{'href':'/a'}]}]",
                  "+1111 +2222 +1111/a +2222/a" },
                { "[{'href':'/a','di':'" B "'},{'href':'/b','di':'" A "'}]", "+2222 +1111 +2222/a +1111/b" },
                { "[{'href':'/a','di':'" B "','anchor':'ocf://" B "'}]", "+2222 +2222/a" },
                { "[{'href':'/a','anchor':'ocf://" B "/'}]", "+2222 +2222/a" },
                { "{'di':'" A "','links':[{'href':'/a'}]}", "+1111 +1111/a" },
                { "[" LINK(A, "/a") "," LINK(B, "/a") "," LINK(A, "/b") "]",
                  "+1111 +2222 +1111/a +2222/a +1111/b" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct remotes *t = table_of(ordinary);

                assert_true(learn(t, 1000, at("192.0.2.1", 5683, 0), rows[i].json) > 0);
                assert_string_equal(news(t), rows[i].news);
                remotes_free(t);
        }
}

static void test_what_says_nothing(void **state) {
        static const char *const rows[] = {
                "[]",
                "{}",
                "[[]]",
                "[1,'x',null,true,{}]",
                "{'links':1}",
                "{'links':{}}",
                "[{'links':[{}]}]",
                "[{'di':'" A "','links':[]}]",
                "[{'di':'" A "'}]",
                "[{'href':'/a'}]",
                "[{'href':'/a','anchor':'" A "'}]",
                "[{'href':'/a','anchor':'ocf://'}]",
                "[{'href':'/a','anchor':'ocf://" A "x'}]",
                "[{'href':'/a','anchor':'coap://" A "'}]",
                "[{'href':'/a','anchor':7}]",
                "[{'href':'/a','anchor':'ocf://00000000-0000-0000-0000-000000000000'}]",
                "[{'href':'/a','di':'1111'}]",
                "[{'href':'a','di':'" A "'}]",
                "[{'href':'','di':'" A "'}]",
                "[{'href':7,'di':'" A "'}]",
                "[{'href':'/\\u0007','di':'" A "'}]",
                "[{'di':'" A "','rt':['x']}]",
                "'ocf://" A "'",
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct remotes *t = table_of(ordinary);

                if (learn(t, 1000, at("192.0.2.1", 5683, 0), rows[i]) != 0 || remotes_count(t))
                        fail_msg("something was learnt of %s", rows[i]);
                assert_string_equal(news(t), "");
                remotes_free(t);
        }
}

/* What cannot be used is passed over; what stands beside it counts. */
static void test_nonsense_beside_sense(void **state) {
        struct remotes *t = table_of(ordinary);
        struct uuid id = uuid_of(A);
        struct remote_resource *r;

        assert_int_equal(
                learn(t, 1, at("192.0.2.1", 5683, 0),
                      "[7,{'href':'/x'},{'anchor':'ocf://" A
                      "','href':'/a','rt':[1,'good',{},'','b\\u0000d'],"
                      "'if':'oic.if.a','p':7,'eps':[7,{},{'ep':9},{'ep':'coap://192.0.2.1:5683'}]}]"),
                1);
        r = remote_find(remotes_find(t, &id), span_of_string("/a"));
        expect_list(r->types, "good");
        expect_list(r->interfaces, "");
        assert_string_equal(addresses(r->device), "coap://192.0.2.1:5683");
        remotes_free(t);
}

static void test_endpoints(void **state) {
        static const struct {
                const char *ep, *expected;
        } rows[] = {
                { "coap://192.0.2.7:1234", "coap://192.0.2.7:1234" },
                { "coap://192.0.2.7", "coap://192.0.2.7:5683" },
                { "coaps://192.0.2.7", "coaps://192.0.2.7:5684" },
                { "coaps+tcp://[fd00::7]:9", "coaps+tcp://[fd00::7]:9" },
                { "coap+tcp://[fd00::7]:9", "coap+tcp://[fd00::7]:9" },
                { "coap://[FD00:0:0::7]:9", "coap://[fd00::7]:9" },
                { "coap://[::ffff:192.0.2.7]:9", "coap://192.0.2.7:9" },
                { "coap://[fe80::7]:9", "coap://[fe80::7%3]:9" }, /* the link that it was told over */
                { "coap://[fe80::7%eth9]:9", "coap://[fe80::7%3]:9" },
                { "coap://[fd00::7]", "coap://[fd00::7]:5683" },
                { "http://192.0.2.7:80", "" },
                { "coap+ws://192.0.2.7:80", "" },
                { "coapx://192.0.2.7:80", "" },
                { "coap://lamp.example:5683", "" },
                { "coap://192.0.2.7:0", "" },
                { "coap://192.0.2.7:65536", "" },
                { "coap://192.0.2.7:-1", "" },
                { "coap://192.0.2.7:x", "" },
                { "coap://192.0.2.7:5x", "" },
                { "coap://192.0.2.700:5", "" },
                { "coap://[fd00::7", "" },
                { "coap://[fd00::7]x", "" },
                { "coap://", "" },
                { "coap:", "" },
                { "coap://224.0.1.187:5683", "" }, /* a group is nobody's address */
                { "coap://[ff02::158]:5683", "" },
                { "coap://255.255.255.255:5683", "" },
                { "coap://0.0.0.0:5683", "" },
                { "coap://[::]:5683", "" },
                { "coap://127.0.0.1:5683", "" }, /* its loopback is not ours */
                { "coap://[::1]:5683", "" },
                { "coap://[::ffff:127.0.0.1]:5683", "" },
                { "", "" },
        };
        struct uuid id = uuid_of(A);

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct remotes *t = table_of(ordinary);
                char json[512], expected[256];

                snprintf(json, sizeof(json), "[" LINK_(A, "/a", ",'eps':[{'ep':'%s'}]") "]", rows[i].ep);
                assert_int_equal(learn(t, 1, at("192.0.2.1", 777, 3), json), 1);
                snprintf(expected, sizeof(expected), "%s%scoap://192.0.2.1:777", rows[i].expected,
                         *rows[i].expected ? " " : "");
                if (strcmp(addresses(remotes_find(t, &id)), expected) != 0)
                        fail_msg("%s: %s", rows[i].ep, addresses(remotes_find(t, &id)));
                remotes_free(t);
        }
}

static void test_a_link_local_endpoint_without_a_link(void **state) {
        struct remotes *t = table_of(ordinary);
        struct uuid id = uuid_of(A);

        learn(t, 1, at("192.0.2.1", 5683, 0), "[" LINK_(A, "/a", ",'eps':[{'ep':'coap://[fe80::7]:9'}]") "]");
        assert_string_equal(addresses(remotes_find(t, &id)), "coap://192.0.2.1:5683");
        remotes_free(t);
}

static void test_endpoints_on_the_same_machine(void **state) {
        struct remotes *t = table_of(ordinary);
        struct uuid id = uuid_of(A);

        learn(t, 1, at("127.0.0.1", 5683, 0),
              "[" LINK_(A, "/a", ",'eps':[{'ep':'coaps://127.0.0.1:9'}]") "]");
        assert_string_equal(addresses(remotes_find(t, &id)), "coaps://127.0.0.1:9 coap://127.0.0.1:5683");
        remotes_free(t);
}

/* OIC 1.1 has no endpoints, but ports in its policy (core.md 4). */
static void test_ports_of_the_policy(void **state) {
        struct remotes *t = table_of(ordinary);
        struct uuid id = uuid_of(A);

        learn(t, 1, at("192.0.2.1", 777, 0),
              "[{'di':'" A "','links':[{'href':'/a','rt':['x'],'p':{'bm':3,'sec':true,'port':1001,"
              "'x.org.iotivity.tcp':1002,'x.org.iotivity.tls':1003}},"
              "{'href':'/b','p':{'bm':3,'port':0}},{'href':'/c','p':{'bm':3,'port':65536}},"
              "{'href':'/d','p':{'bm':3,'port':'x'}}]}]");
        assert_string_equal(addresses(remotes_find(t, &id)),
                            "coaps://192.0.2.1:1001 coaps+tcp://192.0.2.1:1003 coap+tcp://192.0.2.1:1002 "
                            "coap://192.0.2.1:777");
        remotes_free(t);
}

static void test_more_addresses_than_anybody_has(void **state) {
        struct remotes *t = table_of(ordinary);
        struct uuid id = uuid_of(A);
        char json[4096] = "[{'anchor':'ocf://" A "','href':'/a','eps':[";

        for (unsigned i = 0; i < 40; i++)
                snprintf(json + strlen(json), sizeof(json) - strlen(json),
                         "%s{'ep':'coap://192.0.2.%u:5683'}", i ? "," : "", i + 1);
        strcat(json, "]}]");
        assert_int_equal(learn(t, 1, at("192.0.2.200", 5683, 0), json), 1);
        assert_int_equal(remotes_find(t, &id)->n_addresses, REMOTE_ADDRESSES_MAX);
        remotes_free(t);
}

/* What our own discovery says is understood by ourselves. */
static void test_what_we_say_ourselves(void **state) {
        static const char *const queries[] = { "", "if=oic.if.baseline", "if=oic.if.ll" };

        for (size_t i = 0; i < ARRAY_SIZE(queries); i++) {
                struct remotes *t = table_of(ordinary);
                struct model *m = model_open();
                struct ocf_request q = request(COAP_GET, "/oic/res", queries[i]);
                struct coap_peer from = at("10.0.0.1", 5683, 2);
                struct remote_device *d;
                struct ocf_response r;
                struct told h = { .handler = { &published } };
                struct model_refusal why;
                struct app *app;

                m->allow_insecure = true;
                assert_int_equal(
                        register_one(m, ":1.5", "lamp", 0, lamp_spec("/lamp", &h.handler), &app, &why), 0);
                assert_int_equal(ask(m, &q, &r), MODEL_ANSWERED);
                assert_int_equal(remotes_learn_res(t, 1, &from, r.rep, true), 1);
                d = remotes_first(t);
                assert_int_equal(d->id.bytes[0], 1);
                assert_non_null(remote_find(d, span_of_string("/oic/d")));
                expect_list(remote_find(d, span_of_string("/lamp"))->types, "oic.r.switch.binary");
                assert_string_equal(addresses(d), "coap://10.0.0.1:5683");
                q = request(COAP_GET, "/oic/d", "if=oic.if.baseline");
                assert_int_equal(ask(m, &q, &r), MODEL_ANSWERED);
                assert_int_equal(remotes_learn_device(t, 2, &d->id, r.rep), 1);
                assert_string_equal(d->name, "box");
                assert_string_equal(d->icv, "ocf.2.2.5");
                assert_int_equal(d->piid.bytes[0], 2);
                expect_list(d->types, "oic.d.light oic.wk.d");
                remotes_free(t);
                model_free(m);
        }
}

#define DOXM(id, owned, owner, oxms)                                                                         \
        "{'oxms':" oxms ",'oxmsel':0,'sct':329,'owned':" owned ",'devowneruuid':'" owner                     \
        "','deviceuuid':'" id "','rowneruuid':'" owner "'}"
#define NIL "00000000-0000-0000-0000-000000000000"

static void test_doxm(void **state) {
        struct coap_peer from = at("192.0.2.1", 5683, 0);
        struct remotes *t = table_of(ordinary);
        struct uuid a = uuid_of(A), b = uuid_of(B), c = uuid_of(C);
        struct remote_device *d;

        assert_int_equal(remotes_learn_doxm(t, 1, &from, NULL, rep_of(DOXM(A, "false", NIL, "[0,1,2]"))), 1);
        d = remotes_find(t, &a);
        assert_int_equal(d->ownership, REMOTE_UNOWNED);
        assert_int_equal(d->transfers, 7);
        assert_int_equal(d->sct, 329);
        assert_true(d->knows_doxm && uuid_is_nil(&d->owner));
        assert_string_equal(addresses(d), "coap://192.0.2.1:5683");
        assert_string_equal(news(t), "+1111");
        assert_int_equal(remotes_learn_doxm(t, 2, &from, &a, rep_of(DOXM(A, "false", NIL, "[0,1,2]"))), 1);
        assert_string_equal(news(t), "");
        assert_int_equal(remotes_learn_doxm(t, 3, &from, &a, rep_of(DOXM(A, "true", C, "[2,-1,99,'x']"))), 1);
        assert_int_equal(d->ownership, REMOTE_OTHERS);
        assert_int_equal(d->transfers, 4);
        assert_true(uuid_equal(&d->owner, &c));
        assert_string_equal(news(t), "~1111:32");
        assert_int_equal(remotes_learn_doxm(t, 4, &from, &b, rep_of(DOXM(A, "false", NIL, "[0]"))), 0);
        assert_int_equal(d->ownership, REMOTE_OTHERS); /* it speaks for another one */
        remotes_free(t);
}

static void test_doxm_that_is_none(void **state) {
        static const char *const rows[] = {
                "[]",
                "{}",
                "7",
                "{'owned':false}",
                "{'deviceuuid':'" A "'}",
                "{'deviceuuid':'" A "','owned':1}",
                "{'deviceuuid':'" NIL "','owned':false}",
                "{'deviceuuid':'x','owned':false}",
        };
        struct coap_peer from = at("192.0.2.1", 5683, 0);
        struct remotes *t = table_of(ordinary);

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
                assert_int_equal(remotes_learn_doxm(t, 1, &from, NULL, rep_of(rows[i])), 0);
        assert_int_equal(remotes_count(t), 0);
        remotes_free(t);
}

static bool owns_a(void *context, const struct uuid *id) {
        return *(bool *)context && id->bytes[0] == 0x11;
}

static void test_mine(void **state) {
        bool owned = true;
        struct remotes_config config = ordinary;
        struct coap_peer from = at("192.0.2.1", 5683, 0);
        struct remote_device *d;
        struct uuid a = uuid_of(A);
        struct remotes *t;

        config.is_mine = owns_a;
        config.context = &owned;
        t = table_of(config);
        assert_int_equal(remotes_learn_doxm(t, 1, &from, NULL, rep_of(DOXM(A, "true", C, "[0]"))), 1);
        assert_int_equal(remotes_learn_doxm(t, 1, &from, NULL, rep_of(DOXM(B, "true", C, "[0]"))), 1);
        d = remotes_find(t, &a);
        assert_int_equal(d->ownership, REMOTE_MINE);
        assert_int_equal(remotes_after(t, d)->ownership, REMOTE_OTHERS);
        assert_string_equal(news(t), "+1111 +2222");
        assert_int_equal(remotes_learn_doxm(t, 2, &from, &a, rep_of(DOXM(A, "true", C, "[0]"))), 1);
        assert_string_equal(news(t), "");
        assert_int_equal(remotes_learn_doxm(t, 3, &from, &a, rep_of(DOXM(A, "false", NIL, "[0]"))), 1);
        assert_int_equal(d->ownership, REMOTE_UNOWNED); /* it was reset */
        assert_int_equal(remotes_learn_doxm(t, 4, &from, &a, rep_of(DOXM(A, "true", C, "[0]"))), 1);
        assert_int_equal(d->ownership, REMOTE_MINE);
        assert_string_equal(news(t), "~1111:32");
        owned = false;
        remote_owned_by_us(d);
        assert_int_equal(d->ownership, REMOTE_UNKNOWN);
        remotes_free(t);
}

static void test_a_device_and_its_name(void **state) {
        struct remotes *t = table_of(ordinary);
        struct uuid a = uuid_of(A), b = uuid_of(B);
        struct remote_device *d;
        size_t n_bytes;

        learn(t, 1, at("192.0.2.1", 5683, 0), "[" LINK(A, "/a") "]");
        d = remotes_find(t, &a);
        news(t);
        assert_int_equal(remotes_learn_device(t, 2, &a,
                                              rep_of("{'di':'" A
                                                     "','n':'Kishen\\'s light','icv':'ocf.1.0.0','piid':'" C
                                                     "','rt':['oic.d.light','oic.wk.d']}")),
                         1);
        assert_int_equal(d->last_seen_ms, 2);
        assert_string_equal(news(t), "~1111:28"); /* name, types, versions */
        n_bytes = remotes_bytes(t);
        for (unsigned i = 0; i < 3; i++) {
                static const char *const names[] = { "x", "a very much longer name", "Kishen\\'s light" };
                char json[128];

                snprintf(json, sizeof(json), "{'n':'%s'}", names[i]);
                assert_int_equal(remotes_learn_device(t, 3, &a, rep_of(json)), 1);
                assert_string_equal(news(t), "~1111:4");
        }
        assert_int_equal(remotes_bytes(t), n_bytes);
        assert_int_equal(remotes_learn_device(t, 4, &a, rep_of("{'di':'" B "','n':'liar'}")), 0);
        assert_int_equal(remotes_learn_device(t, 4, &b, rep_of("{'n':'nobody'}")), 0);
        assert_int_equal(remotes_learn_device(t, 5, &a, rep_of("{'n':7,'icv':[],'rt':{},'piid':''}")), 1);
        assert_int_equal(remotes_learn_device(t, 5, &a, rep_of("{'n':'\\u001b[2J'}")), 1);
        assert_string_equal(news(t), "");
        remotes_free(t);
}

static void test_a_name_that_is_too_long(void **state) {
        struct remotes *t = table_of(ordinary);
        char json[256] = "{'n':'";
        struct uuid a = uuid_of(A);

        learn(t, 1, at("192.0.2.1", 5683, 0), "[" LINK(A, "/a") "]");
        memset(json + strlen(json), 'x', REMOTE_NAME_MAX);
        strcat(json, "'}");
        assert_int_equal(remotes_learn_device(t, 1, &a, rep_of(json)), 1);
        assert_int_equal(strlen(remotes_first(t)->name), REMOTE_NAME_MAX);
        json[strlen(json) - 2] = 0;
        strcat(json, "y'}");
        assert_int_equal(remotes_learn_device(t, 1, &a, rep_of(json)), 1);
        assert_int_equal(remotes_first(t)->name[REMOTE_NAME_MAX - 1], 'x'); /* the old one stays */
        remotes_free(t);
}

static void test_security_domain(void **state) {
        struct remotes *t = table_of(ordinary);
        struct uuid a = uuid_of(A);

        learn(t, 1, at("192.0.2.1", 5683, 0), "[{'sdname':'Home','links':[" LINK(A, "/a") "]}]");
        assert_string_equal(remotes_find(t, &a)->domain, "Home");
        news(t);
        learn(t, 2, at("192.0.2.1", 5683, 0), "[{'sdname':'Office','links':[" LINK(A, "/a") "]}]");
        assert_string_equal(news(t), "~1111:64");
        learn(t, 3, at("192.0.2.1", 5683, 0),
              "[{'sdname':'Office','links':[" LINK(A, "/a") "]},{'sdname':'Lie','links':[" LINK(B,
                                                                                                "/a") "]}]");
        assert_string_equal(news(t), "+2222 +2222/a"); /* a group speaks for its own devices */
        assert_string_equal(remotes_find(t, &a)->domain, "Office");
        remotes_free(t);
}

static void test_told_twice_in_one_answer(void **state) {
        struct remotes *t = table_of(ordinary);
        struct uuid a = uuid_of(A);

        for (unsigned i = 0; i < 3; i++) {
                learn(t, 1, at("192.0.2.1", 5683, 0),
                      "[" LINK(A, "/a") ",{'di':'" A "','href':'/a','rt':['other']},"
                                        "{'di':'" A "','href':'/oic/d','rt':['oic.d.light']},"
                                        "{'di':'" A "','href':'/oic/d','rt':['oic.d.fan']}]");
                assert_string_equal(news(t), i ? "" : "+1111 +1111/a +1111/oic/d");
        }
        expect_list(remote_find(remotes_find(t, &a), span_of_string("/a"))->types, "x.t");
        expect_list(remotes_find(t, &a)->types, "oic.d.light");
        remotes_free(t);
}

/* ---- who means no good ---- */

/* Each byte cut off, and each byte another one: nothing beyond is read (under the sanitizers), nothing leaks.
 */
static void test_cut_and_bent(void **state) {
        struct span whole = rep_of("[{'di':'" A "','sdname':'x','links':" LAMP_LINKS "}]");
        struct coap_peer from = at("192.0.2.1", 5683, 3);

        for (size_t i = 0; i < whole.n; i++) {
                struct remotes *t = table_of(ordinary);
                uint8_t *bytes = malloc(i + 1), normal[8192];
                struct writer w = writer_on(normal, sizeof(normal));

                memcpy(bytes, whole.data, i);
                assert_int_not_equal(rep_normalise_leniently(span_of(bytes, i), &w), 0);
                assert_true(remotes_learn_res(t, 1, &from, span_of(bytes, i), true) >= 0);
                free(bytes);
                bytes = malloc(whole.n);
                memcpy(bytes, whole.data, whole.n);
                bytes[i] ^= (uint8_t)(1u << (i % 8));
                w = writer_on(normal, sizeof(normal));
                if (rep_normalise_leniently(span_of(bytes, whole.n), &w) == 0)
                        assert_true(remotes_learn_res(t, 2, &from, writer_span(&w), true) >= 0);
                free(bytes);
                remotes_free(t);
        }
}

/* ten thousand links of one device, of as many devices, and of one href */
static void test_too_much(void **state) {
        static const struct {
                bool same_device, same_href;
                size_t devices, resources;
        } rows[] = {
                { true, false, 1, 1024 },
                { false, false, 256, 256 },
                { true, true, 1, 1 },
        };
        static uint8_t bytes[1 << 20];

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct writer w = writer_on(bytes, sizeof(bytes));
                struct coap_peer from = at("192.0.2.1", 5683, 3);
                struct remotes *t = table_of(ordinary);
                size_t n = 0;

                rep_put_array(&w, 10000);
                for (uint32_t j = 0; j < 10000; j++) {
                        struct uuid id = uuid_nth(rows[i].same_device ? 1 : j);
                        char text[UUID_TEXT_MAX], href[16];

                        snprintf(href, sizeof(href), "/%u", rows[i].same_href ? 0 : j);
                        rep_put_map(&w, 2);
                        rep_put_string(&w, "di");
                        rep_put_string(&w, uuid_format(&id, text));
                        rep_put_string(&w, "href");
                        rep_put_string(&w, href);
                }
                assert_false(w.overflow);
                assert_int_equal(remotes_learn_res(t, 1, &from, writer_span(&w), true), rows[i].devices);
                assert_int_equal(remotes_count(t), rows[i].devices);
                for (struct remote_device *d = remotes_first(t); d; d = remotes_after(t, d))
                        n += d->n_resources;
                assert_int_equal(n, rows[i].resources);
                remotes_free(t);
        }
}

static void test_long_texts(void **state) {
        static char json[8192], type[REMOTE_HREF_MAX * 4];
        struct remotes *t = table_of(ordinary);
        struct uuid a = uuid_of(A);
        struct remote_device *d;

        memset(type, 'x', sizeof(type) - 1);
        snprintf(json, sizeof(json), "[{'di':'" A "','href':'/%.*s'},{'di':'" A "','href':'/%.*s'}]",
                 (int)REMOTE_HREF_MAX - 1, type, (int)REMOTE_HREF_MAX, type);
        assert_int_equal(learn(t, 1, at("192.0.2.1", 5683, 0), json), 1);
        d = remotes_find(t, &a);
        assert_int_equal(d->n_resources, 1);
        assert_int_equal(strlen(LIST_ENTRY(list_first(&d->resources), struct remote_resource, link)->href),
                         REMOTE_HREF_MAX);
        snprintf(json, sizeof(json), "[{'di':'" A "','href':'/a','rt':['%.64s','%.65s']}]", type, type);
        assert_int_equal(learn(t, 2, at("192.0.2.1", 5683, 0), json), 1);
        assert_null(remote_find(d, span_of_string("/a"))->types[1]);
        snprintf(json, sizeof(json), "[{'di':'" A "','href':'/a','rt':[");
        for (unsigned i = 0; i < 40; i++)
                snprintf(json + strlen(json), sizeof(json) - strlen(json), "%s'%u'", i ? "," : "", i);
        strcat(json, "]}]");
        assert_int_equal(learn(t, 3, at("192.0.2.1", 5683, 0), json), 1);
        assert_null(remote_find(d, span_of_string("/a"))->types[REMOTE_TYPES_MAX]);
        assert_string_equal(remote_find(d, span_of_string("/a"))->types[REMOTE_TYPES_MAX - 1], "15");
        remotes_free(t);
}

static void test_deep(void **state) {
        struct remotes *t = table_of(ordinary);
        struct coap_peer from = at("192.0.2.1", 5683, 0);
        uint8_t bytes[4096], normal[8192];
        struct writer w = writer_on(normal, sizeof(normal));

        memset(bytes, 0x81, sizeof(bytes));
        bytes[REP_DEPTH_MAX - 1] = 0x80;
        assert_int_equal(rep_normalise_leniently(span_of(bytes, REP_DEPTH_MAX), &w), 0);
        assert_int_equal(remotes_learn_res(t, 1, &from, writer_span(&w), true), 0);
        memset(bytes, 0x81, sizeof(bytes));
        (void)remotes_learn_res(t, 1, &from, span_of(bytes, sizeof(bytes)), true); /* not even normal */
        assert_int_equal(remotes_count(t), 0);
        remotes_free(t);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_each_layout_says_the_same),
                cmocka_unit_test(test_whose_a_link_is),
                cmocka_unit_test(test_what_says_nothing),
                cmocka_unit_test(test_nonsense_beside_sense),
                cmocka_unit_test(test_endpoints),
                cmocka_unit_test(test_a_link_local_endpoint_without_a_link),
                cmocka_unit_test(test_endpoints_on_the_same_machine),
                cmocka_unit_test(test_ports_of_the_policy),
                cmocka_unit_test(test_more_addresses_than_anybody_has),
                cmocka_unit_test(test_what_we_say_ourselves),
                cmocka_unit_test(test_doxm),
                cmocka_unit_test(test_doxm_that_is_none),
                cmocka_unit_test(test_mine),
                cmocka_unit_test(test_a_device_and_its_name),
                cmocka_unit_test(test_a_name_that_is_too_long),
                cmocka_unit_test(test_security_domain),
                cmocka_unit_test(test_told_twice_in_one_answer),
                cmocka_unit_test(test_cut_and_bent),
                cmocka_unit_test(test_too_much),
                cmocka_unit_test(test_long_texts),
                cmocka_unit_test(test_deep),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
