#include "svr_fixture.h"

#include <stdio.h>

#define RAW(data) "\"privatedata\":{\"encoding\":\"oic.sec.encoding.raw\",\"data\":\"" data "\"}"
#define PEM(data) "\"publicdata\":{\"encoding\":\"oic.sec.encoding.pem\",\"data\":\"" data "\"}"
#define PSK       "{\"credtype\":1,\"subjectuuid\":\"" OTHER "\"," RAW(KEY) "}"
#define ACE       "{\"subject\":{\"uuid\":\"" OTHER "\"},\"permission\":2,\"resources\":[{\"href\":\"/a\"}]}"

/* wire-traces.md 4.1, steps 1 to 15 */
static void test_just_works(void **state) {
        unowned();
        assert_says(SVR_DOXM,
                    "{\"oxms\":[0,1,2],\"oxmsel\":4,\"sct\":329,\"owned\":false,\"devowneruuid\":\"" NIL
                    "\",\"deviceuuid\":\"cebfb2e9-f50d-4256-5947-cf6a4e1c9950\",\"rowneruuid\":\"" NIL "\"}");
        assert_says(SVR_PSTAT,
                    "{\"dos\":{\"p\":false,\"s\":1},\"cm\":2,\"tm\":0,\"om\":3,\"sm\":4,\"isop\":false,"
                    "\"rowneruuid\":\"" NIL "\"}");
        transfer();
        assert_int_equal(svr.n_creds, 1);
        assert_true(span_equal_string(svr_find_psk(&svr, &svr.rowner[SVR_CRED])->secret, "the owner's key!"));
        assert_int_equal(post(ONBOARDING, SVR_PSTAT, "{\"dos\":{\"s\":2}}"), 0);
        assert_int_equal(result.effects, SVR_EFFECT_STATE | SVR_EFFECT_ACCESS);
        assert_int_equal(delete_by(ONBOARDING, SVR_ACL2, ""), 0);
        assert_int_equal(post(ONBOARDING, SVR_ACL2,
                              "{\"aclist2\":[{\"subject\":{\"uuid\":\"" OWNER
                              "\"},\"resources\":[{\"href\":\"/oic/sec/"
                              "sp\"}],\"permission\":14},{\"subject\":{\"uuid\":\"" OWNER
                              "\"},\"resources\":[{\"href\":\"/oic/sec/"
                              "csr\"}],\"permission\":2},{\"subject\":{\"conntype\":"
                              "\"anon-clear\"},\"resources\":[{\"href\":\"/oic/d\"},{\"href\":\"/oic/"
                              "p\"},{\"href\":\"/oic/"
                              "res\"},{\"href\":\"/oic/sec/sdi\"}],\"permission\":2}]}"),
                         0);
        assert_int_equal(svr.n_aces, 3);
        assert_int_equal(post(ONBOARDING, SVR_PSTAT, "{\"dos\":{\"s\":3}}"), 0);
        assert_says(SVR_PSTAT, "\"isop\":true");
        assert_says(SVR_DOXM, "\"owned\":true");
        assert_says(SVR_SDI, "{\"uuid\":\"" OTHER "\",\"name\":\"OBT\",\"priv\":false}");
}

/* The need tells all that the derivation takes, and comes before anything has changed. */
static void test_owner_key_is_asked_for(void **state) {
        uint8_t buf[512];
        struct span rep = json("{\"rowneruuid\":\"" OWNER
                               "\",\"creds\":[{\"credtype\":1,\"subjectuuid\":\"" OWNER "\"," RAW("") "}]}",
                               buf, sizeof(buf));

        unowned();
        assert_int_equal(post(PLAIN, SVR_DOXM, "{\"oxmsel\":2}"), 0);
        assert_int_equal(post(ONBOARDING, SVR_DOXM, "{\"deviceuuid\":\"" DEVICE "\"}"), 0);
        assert_int_equal(ask_rep(ONBOARDING, COAP_POST, SVR_CRED, "", rep), SVR_E_NEEDS_KEY);
        assert_int_equal(result.need.kind, SVR_NEED_OWNER_PSK);
        assert_int_equal(result.need.transfer, SVR_MANUFACTURER);
        assert_true(uuid_equal(&result.need.device, uuid_at(DEVICE)));
        assert_true(uuid_equal(&result.need.owner, uuid_at(OWNER)));
        assert_true(uuid_is_nil(&svr.rowner[SVR_CRED]));
        n_replies = 1;
        replies[0].ok = false;
        assert_int_equal(ask_rep(ONBOARDING, COAP_POST, SVR_CRED, "", rep), 0);
        assert_int_equal(result.response.fault, FAULT_FAILED);
        assert_int_equal(svr.n_creds, 0);
}

/* A row for each rule of one property: state, session, payload, what comes of it. */
static void test_rows(void **state) {
        static const struct {
                const char *sentence;
                enum svr_state in;
                enum who who;
                enum svr_id id;
                const char *payload;
                enum fault fault;
        } rows[] = {
                /* doxm, security.md 1.2 and 1.3 */
                { "oxms is the device's", SVR_RFOTM, ONBOARDING, SVR_DOXM, "{\"oxms\":[0]}",
                  FAULT_BAD_REPRESENTATION },
                { "so is sct", SVR_RFOTM, ONBOARDING, SVR_DOXM, "{\"sct\":9}", FAULT_BAD_REPRESENTATION },
                { "unknown property", SVR_RFOTM, ONBOARDING, SVR_DOXM, "{\"x\":1}",
                  FAULT_BAD_REPRESENTATION },
                { "rt in a payload", SVR_RFOTM, ONBOARDING, SVR_DOXM, "{\"rt\":[\"oic.r.doxm\"]}",
                  FAULT_BAD_REPRESENTATION },
                { "no map", SVR_RFOTM, ONBOARDING, SVR_DOXM, "[1]", FAULT_BAD_REPRESENTATION },
                { "a method that is not supported", SVR_RFOTM, PLAIN, SVR_DOXM, "{\"oxmsel\":3}",
                  FAULT_BAD_REPRESENTATION },
                { "none selected cannot be selected", SVR_RFOTM, PLAIN, SVR_DOXM, "{\"oxmsel\":4}",
                  FAULT_BAD_REPRESENTATION },
                { "the PIN", SVR_RFOTM, PLAIN, SVR_DOXM, "{\"oxmsel\":1}", 0 },
                { "oxmsel not over the session", SVR_RFOTM, ONBOARDING, SVR_DOXM, "{\"oxmsel\":0}",
                  FAULT_FORBIDDEN },
                { "all else only over it", SVR_RFOTM, PLAIN, SVR_DOXM, "{\"owned\":true}", FAULT_FORBIDDEN },
                { "all else only over it", SVR_RFOTM, PLAIN, SVR_DOXM, "{\"devowneruuid\":\"" OTHER "\"}",
                  FAULT_FORBIDDEN },
                { "all else only over it", SVR_RFOTM, PEER, SVR_DOXM, "{\"rowneruuid\":\"" OTHER "\"}",
                  FAULT_FORBIDDEN },
                { "nobody is nil", SVR_RFOTM, ONBOARDING, SVR_DOXM, "{\"deviceuuid\":\"" NIL "\"}",
                  FAULT_BAD_REPRESENTATION },
                { "a UUID has 36 characters", SVR_RFOTM, ONBOARDING, SVR_DOXM, "{\"deviceuuid\":\"x\"}",
                  FAULT_BAD_REPRESENTATION },
                { "the reference sends 37", SVR_RFOTM, ONBOARDING, SVR_DOXM,
                  "{\"deviceuuid\":\"" DEVICE "\\u0000\"}", 0 },
                { "upper case too", SVR_RFOTM, ONBOARDING, SVR_DOXM,
                  "{\"deviceuuid\":\"4AB0410E-5FF0-4373-5033-80A000140A80\"}", 0 },
                { "owned is a boolean", SVR_RFOTM, ONBOARDING, SVR_DOXM, "{\"owned\":1}",
                  FAULT_BAD_REPRESENTATION },
                { "nothing is nothing", SVR_RFOTM, ONBOARDING, SVR_DOXM, "{}", 0 },
                { "later the owner stays", SVR_RFPRO, ONBOARDING, SVR_DOXM, "{\"owned\":false}",
                  FAULT_FORBIDDEN },
                { "later the owner stays", SVR_RFNOP, PEER, SVR_DOXM, "{\"devowneruuid\":\"" OTHER "\"}",
                  FAULT_FORBIDDEN },
                { "and the method", SVR_RFNOP, PEER, SVR_DOXM, "{\"oxmsel\":0}", FAULT_FORBIDDEN },
                { "rowneruuid in SRESET", SVR_SRESET, PEER, SVR_DOXM, "{\"rowneruuid\":\"" OWNER "\"}", 0 },
                { "for who can come back", SVR_SRESET, PEER, SVR_DOXM, "{\"rowneruuid\":\"" OTHER "\"}",
                  FAULT_FORBIDDEN },
                { "nobody cannot", SVR_SRESET, PEER, SVR_DOXM, "{\"rowneruuid\":\"" NIL "\"}",
                  FAULT_FORBIDDEN },
                { "but not in RFNOP", SVR_RFNOP, PEER, SVR_DOXM, "{\"rowneruuid\":\"" OTHER "\"}",
                  FAULT_FORBIDDEN },
                { "deviceuuid not in SRESET", SVR_SRESET, PEER, SVR_DOXM, "{\"deviceuuid\":\"" OTHER "\"}",
                  FAULT_FORBIDDEN },
                /* pstat, 1.4 and 2.2 */
                { "isop is the device's", SVR_RFPRO, PEER, SVR_PSTAT, "{\"isop\":true}",
                  FAULT_BAD_REPRESENTATION },
                { "so is cm", SVR_RFPRO, PEER, SVR_PSTAT, "{\"cm\":2}", FAULT_BAD_REPRESENTATION },
                { "so is sm", SVR_RFPRO, PEER, SVR_PSTAT, "{\"sm\":4}", FAULT_BAD_REPRESENTATION },
                { "so is p", SVR_RFPRO, PEER, SVR_PSTAT, "{\"dos\":{\"p\":false,\"s\":3}}",
                  FAULT_BAD_REPRESENTATION },
                { "s out of range", SVR_RFPRO, PEER, SVR_PSTAT, "{\"dos\":{\"s\":5}}",
                  FAULT_BAD_REPRESENTATION },
                { "s no number", SVR_RFPRO, PEER, SVR_PSTAT, "{\"dos\":{\"s\":\"3\"}}",
                  FAULT_BAD_REPRESENTATION },
                { "a name that begins alike", SVR_RFPRO, PEER, SVR_PSTAT, "{\"omm\":4}",
                  FAULT_BAD_REPRESENTATION },
                { "om that is not in sm", SVR_RFPRO, PEER, SVR_PSTAT, "{\"om\":1}",
                  FAULT_BAD_REPRESENTATION },
                { "om is not 0", SVR_RFPRO, PEER, SVR_PSTAT, "{\"om\":0}", FAULT_BAD_REPRESENTATION },
                { "tm", SVR_RFNOP, PEER, SVR_PSTAT, "{\"tm\":64}", 0 },
                { "tm out of range", SVR_RFNOP, PEER, SVR_PSTAT, "{\"tm\":512}", FAULT_BAD_REPRESENTATION },
                { "no way to RFOTM", SVR_RFNOP, PEER, SVR_PSTAT, "{\"dos\":{\"s\":1}}", FAULT_FORBIDDEN },
                { "RFOTM does not lead to RFNOP", SVR_RFOTM, ONBOARDING, SVR_PSTAT, "{\"dos\":{\"s\":3}}",
                  FAULT_FORBIDDEN },
                { "nor to RFPRO without an owner", SVR_RFOTM, ONBOARDING, SVR_PSTAT, "{\"dos\":{\"s\":2}}",
                  FAULT_FORBIDDEN },
                { "the same is fine", SVR_RFNOP, PEER, SVR_PSTAT, "{\"dos\":{\"s\":3}}", 0 },
                { "reset", SVR_RFNOP, PEER, SVR_PSTAT, "{\"dos\":{\"s\":0}}", 0 },
                { "soft reset", SVR_RFNOP, PEER, SVR_PSTAT, "{\"dos\":{\"s\":4}}", 0 },
                { "rowneruuid in RFPRO", SVR_RFPRO, PEER, SVR_PSTAT, "{\"rowneruuid\":\"" OTHER "\"}",
                  FAULT_FORBIDDEN },
                { "rowneruuid in SRESET", SVR_SRESET, PEER, SVR_PSTAT, "{\"rowneruuid\":\"" OWNER "\"}", 0 },
                { "but who has no key leads nowhere", SVR_SRESET, PEER, SVR_PSTAT,
                  "{\"rowneruuid\":\"" OTHER "\",\"dos\":{\"s\":2}}", FAULT_FORBIDDEN },
                /* cred, 1.5 */
                { "a key", SVR_RFPRO, PEER, SVR_CRED, "{\"creds\":[" PSK "]}", 0 },
                { "in SRESET", SVR_SRESET, PEER, SVR_CRED, "{\"creds\":[" PSK "]}", 0 },
                { "not in RFNOP", SVR_RFNOP, PEER, SVR_CRED, "{\"creds\":[" PSK "]}", FAULT_FORBIDDEN },
                { "null is an empty list", SVR_RFPRO, PEER, SVR_CRED, "{\"creds\":null}", 0 },
                { "an empty entry", SVR_RFPRO, PEER, SVR_CRED, "{\"creds\":[{}]}", 0 },
                { "rowneruuid in RFPRO", SVR_RFPRO, PEER, SVR_CRED, "{\"rowneruuid\":\"" OTHER "\"}",
                  FAULT_FORBIDDEN },
                { "a key of 15 bytes", SVR_RFPRO, PEER, SVR_CRED,
                  "{\"creds\":[{\"credtype\":1,\"subjectuuid\":\"" OTHER "\"," RAW("0123456789abcde") "}]}",
                  FAULT_BAD_REPRESENTATION },
                { "a key of 32 bytes", SVR_RFPRO, PEER, SVR_CRED,
                  "{\"creds\":[{\"credtype\":1,\"subjectuuid\":\"" OTHER "\"," RAW(KEY KEY) "}]}", 0 },
                { "a key of 24 bytes", SVR_RFPRO, PEER, SVR_CRED,
                  "{\"creds\":[{\"credtype\":1,\"subjectuuid\":\"" OTHER "\"," RAW(KEY "01234567") "}]}",
                  FAULT_BAD_REPRESENTATION },
                { "base64", SVR_RFPRO, PEER, SVR_CRED,
                  "{\"creds\":[{\"credtype\":1,\"subjectuuid\":\"" OTHER
                  "\",\"privatedata\":{\"encoding\":\"oic.sec.encoding.base64\",\"data\":"
                  "\"MDEyMzQ1Njc4OWFiY2RlZg==\"}}]}",
                  0 },
                { "no base64", SVR_RFPRO, PEER, SVR_CRED,
                  "{\"creds\":[{\"credtype\":1,\"subjectuuid\":\"" OTHER
                  "\",\"privatedata\":{\"encoding\":\"oic.sec.encoding.base64\",\"data\":"
                  "\"MDEyMzQ1Njc4OWFiY2R!Zg==\"}}]}",
                  FAULT_BAD_REPRESENTATION },
                { "an encoding that nobody knows", SVR_RFPRO, PEER, SVR_CRED,
                  "{\"creds\":[{\"credtype\":1,\"subjectuuid\":\"" OTHER
                  "\",\"privatedata\":{\"encoding\":\"oic.sec.encoding.jwt\",\"data\":\"" KEY "\"}}]}",
                  FAULT_BAD_REPRESENTATION },
                { "a key without a subject", SVR_RFPRO, PEER, SVR_CRED,
                  "{\"creds\":[{\"credtype\":1," RAW(KEY) "}]}", FAULT_BAD_REPRESENTATION },
                { "a key for everybody", SVR_RFPRO, PEER, SVR_CRED,
                  "{\"creds\":[{\"credtype\":1,\"subjectuuid\":\"*\"," RAW(KEY) "}]}",
                  FAULT_BAD_REPRESENTATION },
                { "a key for nobody", SVR_RFPRO, PEER, SVR_CRED,
                  "{\"creds\":[{\"credtype\":1,\"subjectuuid\":\"" NIL "\"," RAW(KEY) "}]}",
                  FAULT_BAD_REPRESENTATION },
                { "a type that nobody knows", SVR_RFPRO, PEER, SVR_CRED,
                  "{\"creds\":[{\"credtype\":2,\"subjectuuid\":\"" OTHER "\"," RAW(KEY) "}]}",
                  FAULT_BAD_REPRESENTATION },
                { "no type", SVR_RFPRO, PEER, SVR_CRED,
                  "{\"creds\":[{\"subjectuuid\":\"" OTHER "\"," RAW(KEY) "}]}", FAULT_BAD_REPRESENTATION },
                { "a negative credid", SVR_RFPRO, PEER, SVR_CRED,
                  "{\"creds\":[{\"credid\":-1,\"credtype\":1,\"subjectuuid\":\"" OTHER "\"," RAW(KEY) "}]}",
                  FAULT_BAD_REPRESENTATION },
                { "derived only in the transfer", SVR_RFPRO, PEER, SVR_CRED,
                  "{\"creds\":[{\"credtype\":1,\"subjectuuid\":\"" OWNER "\"," RAW("") "}]}",
                  FAULT_FORBIDDEN },
                { "and only for the owner", SVR_RFOTM, ONBOARDING, SVR_CRED,
                  "{\"creds\":[{\"credtype\":1,\"subjectuuid\":\"" OTHER
                  "\"," RAW("") "}],\"rowneruuid\":\"" OWNER "\"}",
                  FAULT_BAD_REPRESENTATION },
                { "a key with a role", SVR_RFPRO, PEER, SVR_CRED,
                  "{\"creds\":[{\"credtype\":1,\"subjectuuid\":\"" OTHER
                  "\",\"roleid\":{\"role\":\"a\",\"authority\":\"b\"}," RAW(KEY) "}]}",
                  0 },
                { "a role without a name", SVR_RFPRO, PEER, SVR_CRED,
                  "{\"creds\":[{\"credtype\":1,\"subjectuuid\":\"" OTHER
                  "\",\"roleid\":{\"authority\":\"b\"}," RAW(KEY) "}]}",
                  FAULT_BAD_REPRESENTATION },
                { "own_key is ours alone", SVR_RFPRO, PEER, SVR_CRED,
                  "{\"creds\":[{\"credtype\":1,\"subjectuuid\":\"" OTHER
                  "\",\"own_key\":true," RAW(KEY) "}]}",
                  FAULT_BAD_REPRESENTATION },
                { "a certificate without usage", SVR_RFPRO, PEER, SVR_CRED,
                  "{\"creds\":[{\"credtype\":8,\"subjectuuid\":\"*\"," PEM("x") "}]}",
                  FAULT_BAD_REPRESENTATION },
                { "a certificate with a key", SVR_RFPRO, PEER, SVR_CRED,
                  "{\"creds\":[{\"credtype\":8,\"subjectuuid\":\"*\",\"credusage\":\"oic.sec.cred."
                  "cert\"," PEM("x") "," RAW(KEY) "}]}",
                  FAULT_BAD_REPRESENTATION },
                { "the manufacturer's certificate", SVR_RFPRO, PEER, SVR_CRED,
                  "{\"creds\":[{\"credtype\":8,\"subjectuuid\":\"*\",\"credusage\":\"oic.sec.cred."
                  "mfgcert\"," PEM("x") "}]}",
                  FAULT_BAD_REPRESENTATION },
                { "an unknown usage", SVR_RFPRO, PEER, SVR_CRED,
                  "{\"creds\":[{\"credtype\":8,\"subjectuuid\":\"*\",\"credusage\":\"oic.sec.cred.x\"," PEM(
                          "x") "}]}",
                  FAULT_BAD_REPRESENTATION },
                { "OSCORE pair, wire-traces.md 5.6", SVR_RFPRO, PEER, SVR_CRED,
                  "{\"creds\":[{\"credtype\":64,\"subjectuuid\":\"" OTHER
                  "\"," RAW(KEY KEY) ",\"oscore\":{\"senderid\":\"01f8fc9eee2eab\",\"recipientid\":"
                                     "\"0105637bf9df05\"}}]}",
                  0 },
                { "with a short key", SVR_RFPRO, PEER, SVR_CRED,
                  "{\"creds\":[{\"credtype\":64,\"subjectuuid\":\"" OTHER
                  "\"," RAW(KEY) ",\"oscore\":{\"senderid\":\"01f8fc9eee2eab\",\"recipientid\":"
                                 "\"0105637bf9df05\"}}]}",
                  FAULT_BAD_REPRESENTATION },
                { "with a short id", SVR_RFPRO, PEER, SVR_CRED,
                  "{\"creds\":[{\"credtype\":64,\"subjectuuid\":\"" OTHER
                  "\"," RAW(KEY KEY) ",\"oscore\":{\"senderid\":\"01f8fc9eee2e\",\"recipientid\":"
                                     "\"0105637bf9df05\"}}]}",
                  FAULT_BAD_REPRESENTATION },
                { "with one id", SVR_RFPRO, PEER, SVR_CRED,
                  "{\"creds\":[{\"credtype\":64,\"subjectuuid\":\"" OTHER
                  "\"," RAW(KEY KEY) ",\"oscore\":{\"senderid\":\"01f8fc9eee2eab\"}}]}",
                  FAULT_BAD_REPRESENTATION },
                { "with a counter", SVR_RFPRO, PEER, SVR_CRED,
                  "{\"creds\":[{\"credtype\":64,\"subjectuuid\":\"" OTHER
                  "\"," RAW(KEY KEY) ",\"oscore\":{\"senderid\":\"01f8fc9eee2eab\",\"recipientid\":"
                                     "\"0105637bf9df05\",\"ssn\":1}}]}",
                  FAULT_BAD_REPRESENTATION },
                { "OSCORE sender", SVR_RFPRO, PEER, SVR_CRED,
                  "{\"creds\":[{\"credtype\":128,\"subjectuuid\":\"" OTHER
                  "\"," RAW(KEY KEY) ",\"oscore\":{\"senderid\":\"02843ef6d92ed4\",\"desc\":\"\"}}]}",
                  0 },
                { "OSCORE receiver", SVR_RFPRO, PEER, SVR_CRED,
                  "{\"creds\":[{\"credtype\":256,\"subjectuuid\":\"" OTHER
                  "\"," RAW(KEY KEY) ",\"oscore\":{\"recipientid\":\"02843ef6d92ed4\",\"desc\":\"\"}}]}",
                  0 },
                /* acl2, 1.6 */
                { "an entry", SVR_RFPRO, PEER, SVR_ACL2, "{\"aclist2\":[" ACE "]}", 0 },
                { "in SRESET", SVR_SRESET, PEER, SVR_ACL2, "{\"aclist2\":[" ACE "]}", 0 },
                { "not in RFNOP", SVR_RFNOP, PEER, SVR_ACL2, "{\"aclist2\":[" ACE "]}", FAULT_FORBIDDEN },
                { "null, as plgd sends it", SVR_RFPRO, PEER, SVR_ACL2, "{\"aclist2\":null}", 0 },
                { "with plgd's if", SVR_RFPRO, PEER, SVR_ACL2,
                  "{\"aclist2\":[{\"subject\":{\"uuid\":\"" OTHER
                  "\"},\"permission\":31,\"resources\":[{\"wc\":\"*\",\"if\":[\"*\"]}]}]}",
                  0 },
                { "a UUID of 37 bytes", SVR_RFPRO, PEER, SVR_ACL2,
                  "{\"aclist2\":[{\"subject\":{\"uuid\":\"" OTHER
                  "\\u0000\"},\"resources\":[{\"href\":\"/a/light\"}],\"permission\":22}]}",
                  0 },
                { "two subjects in one", SVR_RFPRO, PEER, SVR_ACL2,
                  "{\"aclist2\":[{\"subject\":{\"uuid\":\"" OTHER
                  "\",\"conntype\":\"auth-crypt\"},\"permission\":2,\"resources\":[]}]}",
                  FAULT_BAD_REPRESENTATION },
                { "an authority of nothing", SVR_RFPRO, PEER, SVR_ACL2,
                  "{\"aclist2\":[{\"subject\":{\"uuid\":\"" OTHER
                  "\",\"authority\":\"a\"},\"permission\":2,\"resources\":[]}]}",
                  FAULT_BAD_REPRESENTATION },
                { "no subject", SVR_RFPRO, PEER, SVR_ACL2,
                  "{\"aclist2\":[{\"permission\":2,\"resources\":[]}]}", FAULT_BAD_REPRESENTATION },
                { "the nil subject", SVR_RFPRO, PEER, SVR_ACL2,
                  "{\"aclist2\":[{\"subject\":{\"uuid\":\"" NIL "\"},\"permission\":2,\"resources\":[]}]}",
                  FAULT_BAD_REPRESENTATION },
                { "an unknown conntype", SVR_RFPRO, PEER, SVR_ACL2,
                  "{\"aclist2\":[{\"subject\":{\"conntype\":\"x\"},\"permission\":2,\"resources\":[]}]}",
                  FAULT_BAD_REPRESENTATION },
                { "permission 32", SVR_RFPRO, PEER, SVR_ACL2,
                  "{\"aclist2\":[{\"subject\":{\"conntype\":\"auth-crypt\"},\"permission\":32,\"resources\":["
                  "]}]}",
                  FAULT_BAD_REPRESENTATION },
                { "no permission", SVR_RFPRO, PEER, SVR_ACL2,
                  "{\"aclist2\":[{\"subject\":{\"conntype\":\"auth-crypt\"},\"resources\":[]}]}",
                  FAULT_BAD_REPRESENTATION },
                { "aceid 0", SVR_RFPRO, PEER, SVR_ACL2,
                  "{\"aclist2\":[{\"aceid\":0,\"subject\":{\"conntype\":\"auth-crypt\"},\"permission\":2,"
                  "\"resources\":[]}]}",
                  FAULT_BAD_REPRESENTATION },
                { "an href without a slash", SVR_RFPRO, PEER, SVR_ACL2,
                  "{\"aclist2\":[{\"subject\":{\"conntype\":\"auth-crypt\"},\"permission\":2,\"resources\":[{"
                  "\"href\":\"a\"}]}]}",
                  FAULT_BAD_REPRESENTATION },
                { "an empty href", SVR_RFPRO, PEER, SVR_ACL2,
                  "{\"aclist2\":[{\"subject\":{\"conntype\":\"auth-crypt\"},\"permission\":2,\"resources\":[{"
                  "\"href\":\"\"}]}]}",
                  FAULT_BAD_REPRESENTATION },
                { "an unknown wildcard", SVR_RFPRO, PEER, SVR_ACL2,
                  "{\"aclist2\":[{\"subject\":{\"conntype\":\"auth-crypt\"},\"permission\":2,\"resources\":[{"
                  "\"wc\":\"%\"}]}]}",
                  FAULT_BAD_REPRESENTATION },
                { "validity", SVR_RFPRO, PEER, SVR_ACL2,
                  "{\"aclist2\":[{\"subject\":{\"conntype\":\"auth-crypt\"},\"permission\":2,\"resources\":[]"
                  ",\"validity\":[{\"period\":\"20260101T080000Z/"
                  "20260101T170000Z\",\"recurrence\":[\"FREQ=DAILY;BYDAY=MO,TU\"]}]}]}",
                  0 },
                { "a period backwards", SVR_RFPRO, PEER, SVR_ACL2,
                  "{\"aclist2\":[{\"subject\":{\"conntype\":\"auth-crypt\"},\"permission\":2,\"resources\":[]"
                  ",\"validity\":[{\"period\":\"20260101T080000Z/20250101T170000Z\"}]}]}",
                  FAULT_BAD_REPRESENTATION },
                { "a rule that nobody knows", SVR_RFPRO, PEER, SVR_ACL2,
                  "{\"aclist2\":[{\"subject\":{\"conntype\":\"auth-crypt\"},\"permission\":2,\"resources\":[]"
                  ",\"validity\":[{\"period\":\"20260101T080000Z/"
                  "20260101T170000Z\",\"recurrence\":[\"FREQ=HOURLY\"]}]}]}",
                  FAULT_BAD_REPRESENTATION },
                { "a property that nobody knows", SVR_RFPRO, PEER, SVR_ACL2,
                  "{\"aclist2\":[{\"subject\":{\"conntype\":\"auth-crypt\"},\"permission\":2,\"resources\":[]"
                  ",\"x\":1}]}",
                  FAULT_BAD_REPRESENTATION },
                /* sp, 1.7 */
                { "a profile", SVR_RFPRO, PEER, SVR_SP,
                  "{\"supportedprofiles\":[\"1.3.6.1.4.1.51414.0.0.1.0\",\"1.3.6.1.4.1.51414.0.0.2.0\"],"
                  "\"currentprofile\":\"1.3.6.1.4.1.51414.0.0.2.0\"}",
                  0 },
                { "the current one is supported", SVR_RFPRO, PEER, SVR_SP,
                  "{\"currentprofile\":\"1.3.6.1.4.1.51414.0.0.2.0\"}", FAULT_BAD_REPRESENTATION },
                { "an unknown profile", SVR_RFPRO, PEER, SVR_SP, "{\"currentprofile\":\"1.2.3\"}",
                  FAULT_BAD_REPRESENTATION },
                { "not in RFNOP", SVR_RFNOP, PEER, SVR_SP,
                  "{\"currentprofile\":\"1.3.6.1.4.1.51414.0.0.1.0\"}", FAULT_FORBIDDEN },
                /* sdi, 1.10 */
                { "none of the three", SVR_RFPRO, PEER, SVR_SDI, "{\"x\":1}", FAULT_BAD_REPRESENTATION },
                { "unknown ones are passed over", SVR_RFPRO, PEER, SVR_SDI, "{\"x\":1,\"name\":\"home\"}",
                  0 },
                { "uuid only in RFOTM", SVR_RFPRO, PEER, SVR_SDI, "{\"uuid\":\"" OTHER "\"}",
                  FAULT_FORBIDDEN },
                { "not in RFNOP", SVR_RFNOP, PEER, SVR_SDI, "{\"priv\":true}", FAULT_FORBIDDEN },
                { "priv is a boolean", SVR_SRESET, PEER, SVR_SDI, "{\"priv\":1}", FAULT_BAD_REPRESENTATION },
                /* ael, 7 */
                { "filters", SVR_RFPRO, PEER, SVR_AEL, "{\"categoryfilter\":3,\"priorityfilter\":2}", 0 },
                { "out of range", SVR_RFPRO, PEER, SVR_AEL, "{\"categoryfilter\":256}",
                  FAULT_BAD_REPRESENTATION },
                { "out of range", SVR_RFPRO, PEER, SVR_AEL, "{\"priorityfilter\":5}",
                  FAULT_BAD_REPRESENTATION },
                { "events are ours", SVR_RFPRO, PEER, SVR_AEL, "{\"events\":[]}", FAULT_BAD_REPRESENTATION },
                { "not in RFNOP", SVR_RFNOP, PEER, SVR_AEL, "{\"categoryfilter\":3}", FAULT_FORBIDDEN },
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                enum fault fault;

                owned_in(rows[i].in);
                fault = post(rows[i].who, rows[i].id, rows[i].payload);
                if (fault != rows[i].fault)
                        fail_msg("%s: %s: fault %d, %s", rows[i].sentence, rows[i].payload, (int)fault,
                                 result.response.diagnostic ? result.response.diagnostic : "");
        }
}

/* One entry of three is wrong: none of it happens, and neither does the rowneruuid beside it. */
static void test_all_or_nothing(void **state) {
        owned_in(SVR_SRESET);
        assert_int_equal(
                post(PEER, SVR_CRED, "{\"rowneruuid\":\"" OTHER "\",\"creds\":[" PSK ",{\"credtype\":99}]}"),
                FAULT_BAD_REPRESENTATION);
        assert_int_equal(svr.n_creds, 1);
        assert_true(uuid_equal(&svr.rowner[SVR_CRED], &peer.id));
        assert_int_equal(post(PEER, SVR_ACL2, "{\"aclist2\":[" ACE "]}"), 0);
        svr.aces[0]->id = 7;
        assert_int_equal(post(PEER, SVR_ACL2,
                              "{\"aclist2\":[{\"aceid\":7,\"subject\":{\"conntype\":\"auth-crypt\"},"
                              "\"permission\":1,\"resources\":[]},{\"permission\":2}]}"),
                         FAULT_BAD_REPRESENTATION);
        assert_int_equal(svr.n_aces, 1);
        assert_int_equal(svr.aces[0]->permission, 2);
}

static void test_secrets_are_never_told(void **state) {
        owned_in(SVR_RFPRO);
        assert_int_equal(post(PEER, SVR_CRED, "{\"creds\":[" PSK "]}"), 0);
        assert_says_not(SVR_CRED, KEY);
        assert_says_not(SVR_CRED, "MDEyMzQ1"); /* as base64url either */
        assert_says(SVR_CRED, "\"privatedata\":{\"data\":\"\",\"encoding\":\"oic.sec.encoding.raw\"}");
}

/* plgd sends 16 random bytes as text; rep_normalise() makes bytes of what is none. */
static void test_key_as_bytes(void **state) {
        uint8_t buf[512];
        struct writer w = writer_on(buf, sizeof(buf));

        owned_in(SVR_RFPRO);
        rep_put_map(&w, 1);
        rep_put_string(&w, "creds");
        rep_put_array(&w, 1);
        rep_put_map(&w, 3);
        rep_put_string(&w, "credtype");
        rep_put_uint(&w, 1);
        rep_put_string(&w, "subjectuuid");
        rep_put_string(&w, OTHER);
        rep_put_string(&w, "privatedata");
        rep_put_map(&w, 2);
        rep_put_string(&w, "data");
        rep_put_text(&w, SPAN_LITERAL("\xff\xfe\x00\x80 0123456789a"));
        rep_put_string(&w, "encoding");
        rep_put_string(&w, "oic.sec.encoding.raw");
        assert_int_equal(ask_rep(PEER, COAP_POST, SVR_CRED, "", writer_span(&w)), 0);
        assert_int_equal(result.response.fault, 0);
        assert_true(span_equal(svr.creds[1]->secret, SPAN_LITERAL("\xff\xfe\x00\x80 0123456789a")));
}

static void test_creds_come_and_go(void **state) {
        owned_in(SVR_RFPRO);
        assert_int_equal(post(PEER, SVR_CRED, "{\"creds\":[" PSK "]}"), 0);
        assert_int_equal(post(PEER, SVR_CRED, "{\"creds\":[" PSK "]}"), 0); /* says nothing new */
        assert_int_equal(svr.n_creds, 2);
        assert_int_equal(post(PEER, SVR_CRED,
                              "{\"creds\":[{\"credid\":5,\"credtype\":1,\"subjectuuid\":\"" OTHER
                              "\"," RAW(KEY KEY) "}]}"),
                         0);
        assert_int_equal(svr.n_creds, 3);
        assert_int_equal(svr_find_psk(&svr, uuid_at(OTHER))->secret.n, 32);
        assert_int_equal(post(PEER, SVR_CRED,
                              "{\"creds\":[{\"credid\":5,\"credtype\":1,\"subjectuuid\":\"" OTHER
                              "\"," RAW("fedcba9876543210") "}]}"),
                         0);
        assert_int_equal(svr.n_creds, 3);
        assert_int_equal(delete_by(PEER, SVR_CRED, "credid=6"), FAULT_NOT_FOUND);
        assert_int_equal(delete_by(PEER, SVR_CRED, "credid=x"), FAULT_BAD_REQUEST);
        assert_int_equal(delete_by(PEER, SVR_CRED, "credid=5"), 0);
        assert_int_equal(result.effects, SVR_EFFECT_CREDS | SVR_EFFECT_ACCESS);
        assert_int_equal(svr.n_creds, 2);
        assert_int_equal(delete_by(PEER, SVR_CRED, ""), FAULT_FORBIDDEN); /* the owner's is among them */
        assert_int_equal(svr.n_creds, 2);
        svr.creds[0]->id = 9;
        assert_int_equal(delete_by(PEER, SVR_CRED, "credid=9"), FAULT_FORBIDDEN);
        assert_non_null(strstr(result.response.diagnostic, "last credential of a resource owner"));
        assert_int_equal(post(PEER, SVR_CRED,
                              "{\"creds\":[{\"credid\":9,\"credtype\":1,\"subjectuuid\":\"" OTHER
                              "\"," RAW("fedcba9876543210") "}]}"),
                         FAULT_FORBIDDEN);
        assert_int_equal(post(PEER, SVR_PSTAT, "{\"dos\":{\"s\":3}}"), 0);
        assert_int_equal(delete_by(PEER, SVR_CRED, ""), FAULT_FORBIDDEN);
        assert_int_equal(delete_by(PEER, SVR_ACL2, ""), FAULT_FORBIDDEN);
}

static void test_too_many(void **state) {
        char text[300];

        owned_in(SVR_RFPRO);
        for (int i = 1; i < SVR_CREDS_MAX; i++) {
                snprintf(text, sizeof(text),
                         "{\"creds\":[{\"credid\":%d,\"credtype\":1,\"subjectuuid\":\"" OTHER
                         "\"," RAW(KEY) "}]}",
                         i);
                assert_int_equal(post(PEER, SVR_CRED, text), 0);
        }
        assert_int_equal(post(PEER, SVR_CRED,
                              "{\"creds\":[{\"credtype\":1,\"subjectuuid\":\"" OWNER
                              "\"," RAW(KEY KEY) "}]}"),
                         FAULT_BUSY);
        for (int i = 1; i <= SVR_ACES_MAX; i++) {
                snprintf(text, sizeof(text),
                         "{\"aclist2\":[{\"aceid\":%d,\"subject\":{\"conntype\":\"auth-crypt\"},"
                         "\"permission\":2,\"resources\":[]}]}",
                         i);
                assert_int_equal(post(PEER, SVR_ACL2, text), 0);
        }
        assert_int_equal(post(PEER, SVR_ACL2, "{\"aclist2\":[" ACE "]}"), FAULT_BUSY);
        assert_int_equal(svr.n_aces, SVR_ACES_MAX);
}

static void test_aces_merge(void **state) {
        owned_in(SVR_RFPRO);
        assert_int_equal(post(PEER, SVR_ACL2, "{\"aclist2\":[" ACE "," ACE "]}"), 0);
        assert_int_equal(svr.n_aces, 1);
        assert_int_equal(svr.aces[0]->n_resources, 1);
        assert_int_equal(post(PEER, SVR_ACL2,
                              "{\"aclist2\":[{\"subject\":{\"uuid\":\"" OTHER
                              "\"},\"permission\":2,\"resources\":[{\"wc\":\"+\"}]}]}"),
                         0);
        assert_int_equal(svr.aces[0]->n_resources, 2);
        assert_int_equal(post(PEER, SVR_ACL2,
                              "{\"aclist2\":[{\"subject\":{\"uuid\":\"" OTHER
                              "\"},\"permission\":6,\"resources\":[{\"wc\":\"+\"}]}]}"),
                         0);
        assert_int_equal(svr.n_aces, 2);
        svr.aces[1]->id = 3;
        assert_says(SVR_ACL2, "\"resources\":[{\"href\":\"/a\"},{\"wc\":\"+\"}],\"permission\":2");
        assert_int_equal(delete_by(PEER, SVR_ACL2, "aceid=4"), FAULT_NOT_FOUND);
        assert_int_equal(delete_by(PEER, SVR_ACL2, "aceid=3"), 0);
        assert_int_equal(svr.n_aces, 1);
        assert_int_equal(delete_by(PEER, SVR_ACL2, ""), 0);
        assert_int_equal(svr.n_aces, 0);
        assert_false(uuid_is_nil(&svr.rowner[SVR_ACL2]));
}

/* An identity certificate binds to the identity key; an anchor needs none (wire-traces.md 5.4). */
static void test_certificates(void **state) {
        static const char root[] = "{\"creds\":[{\"credtype\":8,\"subjectuuid\":\"*\",\"credusage\":\"oic."
                                   "sec.cred.trustca\"," PEM("ROOT") "}]}";
        static const char leaf[] =
                "{\"creds\":[{\"credtype\":8,\"subjectuuid\":\"*\",\"credusage\":\"oic.sec.cred.cert\"," PEM(
                        "LEAF") "}]}";
        uint8_t buf[512];

        owned_in(SVR_RFPRO);
        assert_int_equal(ask_rep(PEER, COAP_POST, SVR_CRED, "", json(root, buf, sizeof(buf))),
                         SVR_E_NEEDS_KEY);
        assert_int_equal(result.need.kind, SVR_NEED_ANCHOR);
        assert_true(span_equal_string(result.need.pem, "ROOT"));
        n_replies = 1;
        replies[0] = (struct svr_reply){ .kind = SVR_NEED_ANCHOR };
        assert_int_equal(post(PEER, SVR_CRED, root), FAULT_BAD_REPRESENTATION);
        replies[0].ok = true;
        assert_int_equal(post(PEER, SVR_CRED, root), 0);
        assert_int_equal(ask_rep(PEER, COAP_POST, SVR_CRED, "", json(leaf, buf, sizeof(buf))),
                         SVR_E_NEEDS_KEY);
        assert_int_equal(result.need.kind, SVR_NEED_IDENTITY);
        replies[0] = (struct svr_reply){ .kind = SVR_NEED_IDENTITY };
        assert_int_equal(post(PEER, SVR_CRED, leaf), FAULT_BAD_REPRESENTATION);
        replies[0].ok = true;
        assert_int_equal(post(PEER, SVR_CRED, leaf), 0);
        assert_int_equal(svr.n_creds, 3);
        assert_true(svr.creds[2]->own_key);
        n_replies = 0;
        assert_int_equal(post(PEER, SVR_CRED, root), 0); /* the tool posts it again: no question, no copy */
        assert_int_equal(post(PEER, SVR_CRED, leaf), 0);
        assert_int_equal(svr.n_creds, 3);
        assert_says(SVR_CRED, "\"credusage\":\"oic.sec.cred.trustca\",\"publicdata\":{\"data\":\"ROOT\"");
        assert_says_not(SVR_CRED, "own_key");
}

static void test_csr(void **state) {
        owned_in(SVR_RFPRO);
        assert_int_equal(ask_rep(PEER, COAP_GET, SVR_CSR, "", SPAN_NULL), SVR_E_NEEDS_KEY);
        assert_int_equal(result.need.kind, SVR_NEED_CSR);
        assert_true(uuid_equal(&result.need.device, &svr.doxm.deviceuuid));
        n_replies = 1;
        replies[0] = (struct svr_reply){ .kind = SVR_NEED_CSR, .ok = true, .bytes = SPAN_LITERAL("PEM") };
        assert_says(SVR_CSR, "{\"csr\":\"PEM\",\"encoding\":\"oic.sec.encoding.pem\"}");
        replies[0].ok = false;
        assert_int_equal(ask_rep(PEER, COAP_GET, SVR_CSR, "", SPAN_NULL), 0);
        assert_int_equal(result.response.fault, FAULT_UNAVAILABLE);
        svr.device.sct = CRED_PSK;
        assert_int_equal(ask_rep(PEER, COAP_GET, SVR_CSR, "", SPAN_NULL), 0);
        assert_int_equal(result.response.fault, FAULT_NOT_FOUND);
        assert_int_equal(post(PEER, SVR_CSR, "{}"), FAULT_METHOD_NOT_ALLOWED);
}

static void test_roles(void **state) {
        static const char text[] = "{\"roles\":[{\"credtype\":8," PEM("ROLE") "}]}";

        owned_in(SVR_RFNOP);
        assert_int_equal(post(PEER, SVR_ROLES, text), FAULT_FORBIDDEN); /* a session with a key */
        assert_int_equal(post(PLAIN, SVR_ROLES, text), FAULT_FORBIDDEN);
        peer.by_certificate = true;
        n_replies = 1;
        replies[0] = (struct svr_reply){ .kind = SVR_NEED_PEER_ROLE,
                                         .role = SPAN_LITERAL("r"),
                                         .authority = SPAN_LITERAL("a") };
        assert_int_equal(post(PEER, SVR_ROLES, text), FAULT_BAD_REPRESENTATION);
        replies[0].ok = true;
        assert_int_equal(post(PEER, SVR_ROLES, text), 0);
        assert_int_equal(post(PEER, SVR_ROLES, text), 0);
        assert_int_equal(peer.n_roles, 1);
        assert_string_equal(peer.roles[0].role, "r");
        assert_says(SVR_ROLES, "\"credusage\":\"oic.sec.cred.rolecert\",\"publicdata\":{\"data\":\"ROLE\"");
        assert_int_equal(post(PEER, SVR_ROLES, "{\"roles\":[{\"credtype\":1," PEM("ROLE") "}]}"),
                         FAULT_BAD_REPRESENTATION);
        assert_int_equal(
                post(PEER, SVR_ROLES,
                     "{\"roles\":[{\"credtype\":8,\"credusage\":\"oic.sec.cred.cert\"," PEM("B") "}]}"),
                FAULT_BAD_REPRESENTATION);
        assert_int_equal(delete_by(PEER, SVR_ROLES, "credid=1"), FAULT_NOT_FOUND);
        assert_int_equal(delete_by(PEER, SVR_ROLES, ""), 0);
        assert_int_equal(peer.n_roles, 0);
}

static void test_filter(void **state) {
        unowned();
        get(SVR_DOXM, "owned=FALSE");
        get(SVR_DOXM, "Owned=false");
        assert_int_equal(ask_rep(PLAIN, COAP_GET, SVR_DOXM, "owned=TRUE", SPAN_NULL), 0);
        assert_int_equal(result.response.fault, FAULT_BAD_REQUEST);
        assert_int_equal(ask_rep(PLAIN, COAP_GET, SVR_DOXM, "owned=maybe", SPAN_NULL), 0);
        assert_int_equal(result.response.fault, FAULT_BAD_REQUEST);
        multicast = true;
        assert_int_equal(ask_rep(PLAIN, COAP_GET, SVR_DOXM, "owned=TRUE", SPAN_NULL), SVR_E_SILENT);
}

static void test_interfaces_and_methods(void **state) {
        unowned();
        interface = INTERFACE_BASELINE;
        assert_says(SVR_DOXM, "{\"rt\":[\"oic.r.doxm\"],\"if\":[\"oic.if.rw\",\"oic.if.baseline\"],\"oxms\"");
        interface = INTERFACE_LL;
        assert_int_equal(ask_rep(PEER, COAP_GET, SVR_DOXM, "", SPAN_NULL), 0);
        assert_int_equal(result.response.fault, FAULT_FORBIDDEN);
        interface = INTERFACE_RW;
        for (enum svr_id id = 0; id < _SVR_N; id++) {
                assert_int_equal(ask_rep(PEER, COAP_PUT, id, "", SPAN_NULL), 0);
                assert_int_equal(result.response.fault, FAULT_METHOD_NOT_ALLOWED);
        }
}

/* A selection is frozen while somebody shakes hands; a PIN is drawn with each. */
static void test_selection(void **state) {
        unowned();
        assert_int_equal(post(PLAIN, SVR_DOXM, "{\"oxmsel\":1}"), 0);
        assert_int_equal(result.effects, SVR_EFFECT_PIN | SVR_EFFECT_TRANSFER);
        svr.handshaking = true;
        assert_int_equal(post(PLAIN, SVR_DOXM, "{\"oxmsel\":0}"), FAULT_FORBIDDEN);
        svr.handshaking = false;
        svr_machine_transfer_began(&svr.machine, now_ms);
        assert_int_equal(post(PLAIN, SVR_DOXM, "{\"oxmsel\":0}"), FAULT_FORBIDDEN);
        assert_int_equal(svr.doxm.oxmsel, SVR_RANDOM_PIN);
}

static void test_reset(void **state) {
        struct uuid next = uuid(OTHER);

        owned_in(SVR_RFNOP);
        assert_int_equal(post(PEER, SVR_PSTAT, "{\"dos\":{\"s\":0}}"), 0);
        assert_true(result.effects & SVR_EFFECT_RESET);
        assert_int_equal(post(PEER, SVR_PSTAT, "{\"dos\":{\"s\":0}}"), FAULT_FORBIDDEN);
        assert_true(svr.doxm.owned);
        assert_int_equal(svr_machine_due(&svr.machine, now_ms + SVR_RESET_DELAY_MS), SVR_DUE_RESET);
        svr_reset(&svr, &next);
        assert_int_equal(svr.machine.state, SVR_RFOTM);
        assert_int_equal(svr.n_creds, 0);
        assert_int_equal(svr.n_aces, 0);
        assert_int_equal(svr.doxm.oxmsel, SVR_NO_TRANSFER);
        assert_says(SVR_DOXM, "\"owned\":false,\"devowneruuid\":\"" NIL "\",\"deviceuuid\":\"" OTHER
                              "\",\"rowneruuid\":\"" NIL);
        assert_says(SVR_SDI, "{\"uuid\":\"" NIL "\",\"name\":\"\",\"priv\":false}");
}

static void test_store(void **state) {
        static uint8_t saved[_SVR_STORED_N][SVR_REP_MAX], again[SVR_REP_MAX];
        struct span maps[_SVR_STORED_N];
        struct svr other;
        bool kept;

        owned_in(SVR_RFPRO);
        assert_int_equal(post(PEER, SVR_CRED,
                              "{\"creds\":[" PSK ",{\"credtype\":1,\"subjectuuid\":\"" OTHER
                              "\",\"period\":\"p\",\"roleid\":{\"role\":\"a\",\"authority\":\"b\"}," RAW(
                                      KEY) "},{\"credtype\":64,\"subjectuuid\":\"" OTHER
                                           "\"," RAW(KEY KEY) ",\"oscore\":{\"senderid\":\"01f8fc9eee2eab\","
                                                              "\"recipientid\":\"0105637bf9df05\"}}]}"),
                         0);
        n_replies = 1;
        replies[0] = (struct svr_reply){ .kind = SVR_NEED_IDENTITY, .ok = true };
        assert_int_equal(post(PEER, SVR_CRED,
                              "{\"creds\":[{\"credtype\":8,\"subjectuuid\":\"*\",\"credusage\":\"oic.sec."
                              "cred.cert\"," PEM("LEAF") "}]}"),
                         0);
        assert_int_equal(
                post(PEER, SVR_ACL2,
                     "{\"aclist2\":[" ACE
                     ",{\"subject\":{\"role\":\"r\",\"authority\":\"a\"},\"permission\":2,\"resources\":[{"
                     "\"wc\":\"*\",\"href\":\"/x\"}],\"validity\":[{\"period\":\"20260101T080000Z/"
                     "20260101T170000Z\",\"recurrence\":[\"FREQ=DAILY\"]}]}]}"),
                0);
        assert_int_equal(
                svr_audit(&svr, &(struct svr_event){ .id = "AC-1", .category = 1, .message = "no" }, &kept),
                0);
        assert_true(kept);
        for (enum svr_id id = 0; id < _SVR_STORED_N; id++) {
                struct writer w = writer_on(saved[id], SVR_REP_MAX);

                svr_save(&svr, id, &w);
                assert_false(w.overflow);
                maps[id] = writer_span(&w);
        }
        svr_init(&other, &svr.device);
        for (enum svr_id id = 0; id < _SVR_STORED_N; id++) {
                struct writer w = writer_on(again, SVR_REP_MAX);

                assert_int_equal(svr_load(&other, id, maps[id]), 0);
                assert_int_equal(svr_load(&other, id, maps[id]), 0); /* takes the place of what was there */
                svr_save(&other, id, &w);
                assert_true(span_equal(writer_span(&w), maps[id]));
                assert_int_equal(svr_load(&other, id, SPAN_LITERAL("\xa0")), SVR_E_DAMAGED);
        }
        assert_int_equal(svr_check(&other), 0);
        assert_true(other.creds[4]->own_key);
        other.doxm.owned = false;
        assert_int_equal(svr_check(&other), SVR_E_SEALED);
        svr_deinit(&other);
}

/* Power went in the middle of a transfer: back to RESET. Of an unowned device nothing happens. */
static void test_check(void **state) {
        unowned();
        assert_int_equal(svr_check(&svr), 0);
        assert_int_equal(svr.machine.state, SVR_RFOTM);
        assert_int_equal(post(ONBOARDING, SVR_DOXM, "{\"devowneruuid\":\"" OTHER "\"}"), 0);
        assert_int_equal(svr_check(&svr), 0);
        assert_int_equal(svr_machine_due(&svr.machine, 0), SVR_DUE_RESET);
        owned_in(SVR_RFNOP);
        assert_int_equal(svr_check(&svr), 0);
        svr.rowner[SVR_PSTAT] = uuid(OTHER);
        assert_int_equal(svr_check(&svr), SVR_E_SEALED);
        assert_int_equal(svr.machine.state, SVR_RFNOP); /* an owned device is never reset by itself */
}

static void test_audit(void **state) {
        static const struct span details[] = { { (const uint8_t *)"\xff", 1 }, { (const uint8_t *)"ok", 2 } };
        struct svr_event event = { .id = "AC-1",
                                   .category = SVR_AEL_ACCESS,
                                   .priority = SVR_AEL_WARNING,
                                   .wall_s = 1780000000,
                                   .message = "Access Denied",
                                   .n_details = 2,
                                   .details = details };
        bool kept;

        owned_in(SVR_RFPRO);
        assert_int_equal(svr_audit(&svr, &event, &kept), 0);
        assert_says(SVR_AEL,
                    "{\"events\":[{\"aeid\":\"AC-1\",\"category\":1,\"priority\":2,\"timestamp\":\"2026-05-"
                    "28T20:26:40Z\",\"message\":\"Access Denied\",\"auxiliaryinfo\":[\"\",\"ok\"]}]");
        assert_int_equal(post(PEER, SVR_AEL, "{\"priorityfilter\":1}"), 0);
        assert_int_equal(svr_audit(&svr, &event, &kept), 0);
        assert_false(kept);
        assert_int_equal(post(PEER, SVR_AEL, "{\"priorityfilter\":4,\"categoryfilter\":2}"), 0);
        assert_int_equal(svr_audit(&svr, &event, &kept), 0);
        assert_false(kept);
        event.category = SVR_AEL_ONBOARDING;
        for (int i = 0; i < 1000; i++)
                assert_int_equal(svr_audit(&svr, &event, &kept), 0);
        assert_true(svr.ael.n_records > 10 && svr.ael.n_bytes <= svr.device.ael_max);
        assert_says_not(SVR_AEL, "\"category\":1,"); /* the oldest gave way */
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_teardown(test_just_works, leave),
                cmocka_unit_test_teardown(test_owner_key_is_asked_for, leave),
                cmocka_unit_test_teardown(test_rows, leave),
                cmocka_unit_test_teardown(test_all_or_nothing, leave),
                cmocka_unit_test_teardown(test_secrets_are_never_told, leave),
                cmocka_unit_test_teardown(test_key_as_bytes, leave),
                cmocka_unit_test_teardown(test_creds_come_and_go, leave),
                cmocka_unit_test_teardown(test_too_many, leave),
                cmocka_unit_test_teardown(test_aces_merge, leave),
                cmocka_unit_test_teardown(test_certificates, leave),
                cmocka_unit_test_teardown(test_csr, leave),
                cmocka_unit_test_teardown(test_roles, leave),
                cmocka_unit_test_teardown(test_filter, leave),
                cmocka_unit_test_teardown(test_interfaces_and_methods, leave),
                cmocka_unit_test_teardown(test_selection, leave),
                cmocka_unit_test_teardown(test_reset, leave),
                cmocka_unit_test_teardown(test_store, leave),
                cmocka_unit_test_teardown(test_check, leave),
                cmocka_unit_test_teardown(test_audit, leave),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
