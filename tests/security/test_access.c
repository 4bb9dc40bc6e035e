#include "../unit.h"
#include "protocol/coap_code.h"
#include "security/access.h"

/* A row for each sentence of the design about plain access. */
static void test_rows(void **state) {
        static const struct {
                const char *sentence;
                struct access_question q;
                enum access_reason reason;
        } rows[] = {
                { "local apps use each other's resources",
                  { .subject = ACCESS_LOCAL, .method = COAP_POST },
                  ACCESS_GRANTED_LOCAL },
                { "also those of an owned device",
                  { .owned = true, .subject = ACCESS_LOCAL, .method = COAP_GET },
                  ACCESS_GRANTED_LOCAL },
                { "an unowned device is discovered in clear",
                  { .method = COAP_GET, .resource_is_core = true },
                  ACCESS_GRANTED_DISCOVERY },
                { "but nobody writes its core resources",
                  { .method = COAP_POST, .resource_is_core = true },
                  ACCESS_DENIED_CORE_IS_READ_ONLY },
                { "the security specification keeps vertical resources off plain CoAP",
                  { .method = COAP_GET },
                  ACCESS_DENIED_NOT_INSECURE },
                { "also where the administrator would allow it",
                  { .method = COAP_GET, .allow_insecure = true },
                  ACCESS_DENIED_NOT_INSECURE },
                { "a local opt-in, off by default",
                  { .method = COAP_GET, .resource_is_insecure = true },
                  ACCESS_DENIED_NOT_ALLOWED },
                { "on an unowned device it grants what its registration says",
                  { .method = COAP_GET, .resource_is_insecure = true, .allow_insecure = true },
                  ACCESS_GRANTED_INSECURE },
                { "reading and writing",
                  { .method = COAP_POST, .resource_is_insecure = true, .allow_insecure = true },
                  ACCESS_GRANTED_INSECURE },
                { "on an owned one it needs an entry as well",
                  { .owned = true, .method = COAP_GET, .resource_is_insecure = true, .allow_insecure = true },
                  ACCESS_DENIED_NO_ENTRY },
                { "an owned one tells nothing in clear without an entry",
                  { .owned = true, .method = COAP_GET, .resource_is_core = true },
                  ACCESS_DENIED_NO_ENTRY },
                { "who came over a secure channel needs an entry",
                  { .subject = ACCESS_AUTH_CRYPT,
                    .method = COAP_GET,
                    .resource_is_insecure = true,
                    .allow_insecure = true },
                  ACCESS_DENIED_NO_ENTRY },
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct access_verdict v = access_decide(&rows[i].q);

                if (v.reason != rows[i].reason)
                        fail_msg("%s: %s", rows[i].sentence, access_reason_text(v.reason));
                assert_int_equal(v.granted, v.reason <= ACCESS_GRANTED_INSECURE);
        }
}

static void test_every_reason_has_a_sentence(void **state) {
        for (enum access_reason r = 0; r < _ACCESS_REASON_N; r++)
                assert_true(access_reason_text(r) && strlen(access_reason_text(r)) > 10);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_rows),
                cmocka_unit_test(test_every_reason_has_a_sentence),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
