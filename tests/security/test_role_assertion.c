/*
 * Roles of a client: what it posts is asserted to the real /oic/sec/roles of
 * another device, which looks at the certificates as a daemon does.
 */
#include "pki.h"
#include "svr_fixture.h"

#include "base/memory.h"
#include "security/authority.h"
#include "security/certificate.h"
#include "security/role_assertion.h"

static struct svr client;
static struct authority *authority, *stranger;
static EVP_PKEY *key, *other_key;

static int setup(void **state) {
        const struct svr_device device = { .oxms = 7, .sct = 9 };
        struct uuid id = uuid(OTHER);

        unowned();
        transfer();
        svr_machine_restore(&svr.machine, SVR_RFNOP, false);
        peer = (struct svr_session){ .id = id, .by_certificate = true };
        svr_init(&client, &device);
        svr_reset(&client, &id);
        assert_null(authority_new(&authority, PKI_NOW));
        assert_null(authority_new(&stranger, PKI_NOW));
        assert_int_equal(crypto_key_new(&key), 0);
        assert_int_equal(crypto_key_new(&other_key), 0);
        return 0;
}

static int finish(void **state) {
        svr_deinit(&client);
        authority_free(authority);
        authority_free(stranger);
        EVP_PKEY_free(key);
        EVP_PKEY_free(other_key);
        return leave(state);
}

/* As the client has it after its tool has written it. */
static void give(struct authority *a, const char *id, EVP_PKEY *whose, const char *role, int32_t credid) {
        const struct authority_role one = { span_of_string(role), SPAN_LITERAL("hall") };
        char csr[IDENTITY_CSR_MAX], pem[AUTHORITY_PEM_MAX];
        struct writer request = writer_on(csr, sizeof(csr)), issued = writer_on(pem, sizeof(pem));
        struct cred view = { .id = credid,
                             .type = CRED_CERTIFICATE,
                             .usage = role ? CRED_ROLECERT : CRED_CERT,
                             .any_subject = true,
                             .own_key = true };

        assert_true(identity_csr(whose, uuid_at(id), &request));
        assert_null(
                authority_issue(a, writer_span(&request), uuid_at(id), &one, role != NULL, PKI_NOW, &issued));
        view.public_data = writer_span(&issued);
        assert_int_equal(svr_add_cred(&client, &view, 0), 0);
}

/* The question of svr_roles.c, answered as a daemon answers it. */
static bool prove(const struct svr_need *need, char **role, char **its_authority) {
        STACK_OF(X509) *chain = certificate_read(need->pem),
                       *anchors = certificate_read(authority_root(authority));
        X509 *leaf = chain ? sk_X509_value(chain, 0) : NULL, *anchor;
        struct uuid id;
        bool good = leaf && !certificate_chain(chain, CERTIFICATE_ROLE, anchors, PKI_NOW, &anchor) &&
                    certificate_has_key(leaf, key) && certificate_uuid(leaf, &id) &&
                    uuid_equal(&id, &peer.id) && !certificate_role(leaf, role, its_authority);

        certificate_free(chain);
        certificate_free(anchors);
        return good;
}

/* Posts it. Return: whether it was accepted. */
static bool assert_role(struct span payload) {
        char *role = NULL, *its_authority = NULL;
        int r;

        n_replies = 0;
        r = ask_rep(PEER, COAP_POST, SVR_ROLES, "", payload);
        if (r == SVR_E_NEEDS_KEY) {
                assert_int_equal(result.need.kind, SVR_NEED_PEER_ROLE);
                replies[0] = (struct svr_reply){ .kind = SVR_NEED_PEER_ROLE,
                                                 .ok = prove(&result.need, &role, &its_authority),
                                                 .role = span_of_string(role),
                                                 .authority = span_of_string(its_authority),
                                                 .until_s = PKI_NOW + 86400 };
                n_replies = 1;
                r = ask_rep(PEER, COAP_POST, SVR_ROLES, "", payload);
        }
        ocf_free(role);
        ocf_free(its_authority);
        assert_int_equal(r, 0);
        return !result.response.fault;
}

static size_t assert_all(int64_t now_s, size_t *ret_refused) {
        int32_t credid = CRED_ID_NONE;
        uint8_t buf[ROLE_ASSERTION_MAX];
        size_t n = 0;

        *ret_refused = 0;
        for (;;) {
                struct writer w = writer_on(buf, sizeof(buf));

                if (!role_assertion_next(&client, now_s, &credid, &w))
                        return n;
                n++;
                *ret_refused += !assert_role(writer_span(&w));
        }
}

static void who_has_no_role_posts_nothing(void **state) {
        size_t n_refused;

        give(authority, OTHER, key, NULL, 1); /* an identity alone */
        assert_int_equal(assert_all(PKI_NOW, &n_refused), 0);
}

static void roles_are_in_the_session_afterwards(void **state) {
        size_t n_refused;

        give(authority, OTHER, key, NULL, 5);
        give(authority, OTHER, key, "keeper", 9);
        give(authority, OTHER, key, "guest", 3);
        assert_int_equal(assert_all(PKI_NOW, &n_refused), 2);
        assert_int_equal(n_refused, 0);
        assert_int_equal(peer.n_roles, 2);
        assert_string_equal(peer.roles[0].role, "guest");
        assert_string_equal(peer.roles[0].authority, "hall");
        assert_string_equal(peer.roles[1].role, "keeper");
        assert_says(SVR_ROLES, "oic.sec.cred.rolecert");
        assert_int_equal(assert_all(PKI_NOW, &n_refused), 2); /* after a new session, or once more */
        assert_int_equal(peer.n_roles, 2);
}

/* The one that is not believed does not take the others with it. */
static void each_role_stands_for_itself(void **state) {
        size_t n_refused;

        give(stranger, OTHER, key, "foreign", 1);
        give(authority, OTHER, other_key, "of-another-key", 2);
        give(authority, OTHER, key, "keeper", 3);
        assert_int_equal(assert_all(PKI_NOW, &n_refused), 3);
        assert_int_equal(n_refused, 2);
        assert_int_equal(peer.n_roles, 1);
        assert_string_equal(peer.roles[0].role, "keeper");
}

static void what_can_not_be_good_is_not_posted(void **state) {
        struct cred broken = { .id = 4,
                               .type = CRED_CERTIFICATE,
                               .usage = CRED_ROLECERT,
                               .any_subject = true,
                               .own_key = true,
                               .public_data = SPAN_LITERAL("-----BEGIN") };
        const int64_t ended_s = PKI_NOW + INT64_C(11) * 365 * 86400;
        size_t n_refused;

        give(authority, DEVICE, key, "of-another-device", 1);
        assert_int_equal(svr_add_cred(&client, &broken, 0), 0);
        give(authority, OTHER, key, "keeper", 7);
        assert_int_equal(assert_all(PKI_NOW, &n_refused), 1);
        assert_int_equal(n_refused, 0);
        assert_int_equal(assert_all(ended_s, &n_refused), 0);
        assert_int_equal(assert_all(-PKI_NOW, &n_refused), 1); /* without a clock it may still be good */
        assert_int_equal(assert_all(-ended_s, &n_refused), 0);
}

static void a_payload_is_whole_or_none(void **state) {
        uint8_t buf[ROLE_ASSERTION_MAX];
        size_t n_max = sizeof(buf);

        give(authority, OTHER, key, "keeper", 7);
        for (size_t n = 0; n < n_max; n++) {
                struct writer w = writer_on(buf, n);
                int32_t credid = CRED_ID_NONE;

                if (role_assertion_next(&client, PKI_NOW, &credid, &w))
                        n_max = w.n; /* and now it ends */
                else
                        assert_true(w.overflow);
        }
        assert_in_range(n_max, 500, ROLE_ASSERTION_MAX - 1);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(who_has_no_role_posts_nothing, setup, finish),
                cmocka_unit_test_setup_teardown(roles_are_in_the_session_afterwards, setup, finish),
                cmocka_unit_test_setup_teardown(each_role_stands_for_itself, setup, finish),
                cmocka_unit_test_setup_teardown(what_can_not_be_good_is_not_posted, setup, finish),
                cmocka_unit_test_setup_teardown(a_payload_is_whole_or_none, setup, finish),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
