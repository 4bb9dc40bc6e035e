/*
 * Sessions of ours that stand on certificates: as a client of a device that must
 * be the one that was meant, and as an onboarding tool that takes a device by
 * its manufacturer's certificate, whatever that one calls it. Certificates are
 * those of a real authority; two tables of sessions talk to each other.
 */
#include "pki.h"

#include "base/memory.h"
#include "security/authority.h"
#include "security/sessions.h"
#include "security/tls_cert.h"

#include <errno.h>

static const struct uuid device_id = { { 0xde, 0, 0, 1 } }, tool_id = { { 0, 0x0b, 0 } },
                         other_id = { { 0x77 } };

#define CREDID 4

struct side {
        struct svr svr;
        struct sessions *sessions;
        struct tls_cert_context *context; /* what it shows, and whom it believes */
        unsigned n_opened, n_failed;
        struct session *last;
        enum tls_failure failure;
        char problem[96];
};

struct world {
        struct side tool, device;
        struct authority *authority, *stranger;
        struct pki_one manufacturer, other_manufacturer;
        uint64_t now_ms;
};

/* ---- what a daemon does ---- */

static const struct svr *host_svr(void *context, uint16_t device) {
        return &((struct side *)context)->svr;
}

static bool host_has_certificate(void *context, uint16_t device) {
        return ((struct side *)context)->context;
}

static int host_certificate(void *context, uint16_t device, uint16_t suite, bool stream, uint64_t now_ms,
                            struct tls **ret) {
        const struct tls_cert_config config = { .context = ((struct side *)context)->context,
                                                .stream = stream,
                                                .suite = suite,
                                                .wall_s = PKI_NOW };

        return tls_cert_new(ret, &config, now_ms);
}

static void host_certificate_peer(void *context, const struct tls *tls, struct uuid *ret,
                                  int32_t *ret_credid) {
        struct tls_cert_peer peer;

        tls_cert_peer(tls, &peer);
        *ret = peer.id;
        *ret_credid = peer.credid;
}

static void side_init(struct side *s, const struct uuid *id) {
        const struct svr_device device = { .oxms = 7, .sct = 9 };
        const struct sessions_config config = { SESSIONS_DEFAULT,
                                                .host = { .context = s,
                                                          .svr = host_svr,
                                                          .has_certificate = host_has_certificate,
                                                          .certificate = host_certificate,
                                                          .certificate_peer = host_certificate_peer } };

        const struct cred anchor = { .id = CREDID, /* the session ends with it */
                                     .type = CRED_CERTIFICATE,
                                     .usage = CRED_TRUSTCA,
                                     .any_subject = true,
                                     .public_data = SPAN_LITERAL("the contexts have it") };

        svr_init(&s->svr, &device);
        svr_reset(&s->svr, id);
        assert_int_equal(svr_add_cred(&s->svr, &anchor, 0), 0);
        svr_machine_restore(&s->svr.machine, SVR_RFNOP, false);
        assert_int_equal(sessions_new(&s->sessions, &config), 0);
}

static int setup(void **state) {
        struct world *w = ocf_new(struct world);

        assert_non_null(w);
        w->now_ms = 100000;
        side_init(&w->tool, &tool_id);
        side_init(&w->device, &device_id);
        assert_null(authority_new(&w->authority, PKI_NOW));
        assert_null(authority_new(&w->stranger, PKI_NOW));
        pki_authority(&w->manufacturer, "Lamps and Sons", NULL);
        pki_authority(&w->other_manufacturer, "Lamps and Sons", NULL);
        *state = w;
        return 0;
}

static int teardown(void **state) {
        struct world *w = *state;
        struct side *const sides[] = { &w->tool, &w->device };

        for (size_t i = 0; i < ARRAY_SIZE(sides); i++) {
                sessions_free(sides[i]->sessions);
                tls_cert_context_unref(sides[i]->context);
                svr_deinit(&sides[i]->svr);
        }
        authority_free(w->authority);
        authority_free(w->stranger);
        pki_free(&w->manufacturer);
        pki_free(&w->other_manufacturer);
        ocf_free(w);
        return 0;
}

/* ---- who shows what ---- */

static struct tls_cert_context *context_of(struct span chain, EVP_PKEY *key, struct span anchor,
                                           const struct uuid *whom, bool ask_peer, bool manufacturer) {
        const struct tls_cert_trust trust = { .pem = anchor,
                                              .any_subject = !whom,
                                              .subject = whom ? *whom : (struct uuid){ { 0 } },
                                              .credid = CREDID };
        const struct tls_cert_identity identity = { .chain = chain,
                                                    .key = key,
                                                    .trust = &trust,
                                                    .n_trust = 1,
                                                    .ask_peer = ask_peer,
                                                    .manufacturer = manufacturer };
        struct tls_cert_context *c;

        assert_int_equal(tls_cert_context_new(&c, &identity), 0);
        return c;
}

/* An identity of this authority. */
static struct tls_cert_context *identity(struct authority *by, const struct uuid *id, struct span anchor,
                                         const struct uuid *whom, bool manufacturer) {
        char csr[IDENTITY_CSR_MAX], pem[AUTHORITY_PEM_MAX];
        struct writer request = writer_on(csr, sizeof(csr)), issued = writer_on(pem, sizeof(pem));
        struct tls_cert_context *c;
        EVP_PKEY *key;

        assert_int_equal(crypto_key_new(&key), 0);
        assert_true(identity_csr(key, id, &request));
        assert_null(authority_issue(by, writer_span(&request), id, NULL, 0, PKI_NOW, &issued));
        c = context_of(writer_span(&issued), key, anchor, whom, !manufacturer, manufacturer);
        EVP_PKEY_free(key);
        return c;
}

/* A device as it leaves the factory. */
static struct tls_cert_context *from_factory(struct world *w, const struct pki_what *what) {
        struct tls_cert_context *c;
        struct pki_one one;

        pki_make(&one, what, &w->manufacturer, NULL);
        c = context_of(span_of_string(one.pem), one.key, authority_root(w->authority), NULL, false, false);
        pki_free(&one);
        w->device.svr.doxm.oxmsel = SVR_MANUFACTURER;
        svr_machine_restore(&w->device.svr.machine, SVR_RFOTM, false);
        return c;
}

/* ---- the network ---- */

static const struct coap_peer to_device = { .remote_ip = { [10] = 0xff, [11] = 0xff, 10, 0, 0, 2 },
                                            .local_ip = { [10] = 0xff, [11] = 0xff, 10, 0, 0, 1 },
                                            .remote_port = 5684,
                                            .local_port = 40000 },
                              to_tool = { .remote_ip = { [10] = 0xff, [11] = 0xff, 10, 0, 0, 1 },
                                          .local_ip = { [10] = 0xff, [11] = 0xff, 10, 0, 0, 2 },
                                          .remote_port = 40000,
                                          .local_port = 5684 };

static void pop(struct world *w, struct side *s) {
        struct session_event e;

        while (sessions_event(s->sessions, w->now_ms, &e))
                if (e.type == SESSION_OPENED) {
                        s->n_opened++;
                        s->last = e.session;
                } else if (e.type == SESSION_FAILED) {
                        const struct tls *tls = e.session->tls;

                        s->n_failed++;
                        s->failure = tls ? tls->failure : TLS_FAILURE_NONE;
                        snprintf(s->problem, sizeof(s->problem), "%s",
                                 tls && tls->problem ? tls->problem : "");
                }
}

static bool carry(struct world *w, struct side *from, struct side *to, const struct coap_peer *as) {
        uint8_t bytes[TLS_RECORD_MAX];
        struct coap_peer peer;
        bool any = false;
        size_t n;

        while ((n = sessions_transmit(from->sessions, w->now_ms, &peer, bytes, sizeof(bytes))) > 0) {
                any = true;
                sessions_receive(to->sessions, w->now_ms, as, bytes, n);
                pop(w, to);
        }
        pop(w, from);
        return any;
}

static void meet(struct world *w, const struct uuid *whom, bool transfer) {
        const struct tls_cert_config config = { .context = w->tool.context,
                                                .client = true,
                                                .wall_s = PKI_NOW };
        struct session_connect how = { .transfer = transfer, .credid = CRED_ID_NONE };
        struct session *c;

        if (whom)
                how.id = *whom;
        assert_int_equal(tls_cert_new(&how.tls, &config, w->now_ms), 0);
        assert_int_equal(sessions_connect(w->tool.sessions, w->now_ms, &to_device, &how, &c), 0);
        while (carry(w, &w->tool, &w->device, &to_tool) || carry(w, &w->device, &w->tool, &to_device))
                ;
}

/* ---- tests ---- */

static void the_device_that_was_meant(void **state) {
        struct world *w = *state;
        struct span root = authority_root(w->authority);

        w->device.context = identity(w->authority, &device_id, root, NULL, false);
        w->tool.context = identity(w->authority, &tool_id, root, NULL, false);
        meet(w, &device_id, false);
        assert_int_equal(w->tool.n_opened, 1);
        assert_int_equal(w->device.n_opened, 1);
        assert_true(w->tool.last->svr.by_certificate && w->device.last->svr.by_certificate);
        assert_true(uuid_equal(&w->tool.last->svr.id, &device_id));
        assert_true(uuid_equal(&w->device.last->svr.id, &tool_id));
        assert_int_equal(w->tool.last->credid, CREDID);
        svr_reset(&w->tool.svr, &tool_id); /* whoever vouched is not believed any more */
        sessions_check(w->tool.sessions, 0);
        pop(w, &w->tool);
        assert_null(sessions_open_at(w->tool.sessions, &to_device));
}

/* Its certificate is as good as any: it is another device. */
static void another_device_is_left(void **state) {
        struct world *w = *state;
        struct span root = authority_root(w->authority);

        w->device.context = identity(w->authority, &other_id, root, NULL, false);
        w->tool.context = identity(w->authority, &tool_id, root, NULL, false);
        meet(w, &device_id, false);
        assert_int_equal(w->tool.n_opened, 0);
        assert_int_equal(w->tool.n_failed, 1);
        assert_null(sessions_open_at(w->tool.sessions, &to_device));
}

static void who_may_not_vouch_for_it(void **state) {
        struct world *w = *state;
        struct span root = authority_root(w->authority), strange = authority_root(w->stranger);
        const struct {
                struct authority *by;
                struct span anchor;
                const struct uuid *whom;
                const char *problem;
        } rows[] = {
                { w->authority, root, &device_id, NULL },
                { w->authority, root, &other_id, "may not vouch" },
                { w->stranger, root, NULL, "vouches" },
                { w->authority, strange, NULL, "vouches" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                w->device.context = identity(rows[i].by, &device_id, root, NULL, false);
                w->tool.context = identity(w->authority, &tool_id, rows[i].anchor, rows[i].whom, false);
                w->tool.n_opened = w->tool.n_failed = 0;
                meet(w, &device_id, false);
                assert_int_equal(w->tool.n_opened, !rows[i].problem);
                assert_int_equal(w->tool.n_failed, !!rows[i].problem);
                if (rows[i].problem) {
                        assert_int_equal(w->tool.failure, TLS_FAILURE_CERTIFICATE);
                        assert_non_null(strstr(w->tool.problem, rows[i].problem));
                } else {
                        sessions_close(w->tool.sessions, w->tool.last);
                }
                while (carry(w, &w->tool, &w->device, &to_tool) || carry(w, &w->device, &w->tool, &to_device))
                        ;
                w->now_ms += 60000;
                w->device.context = tls_cert_context_unref(w->device.context);
                w->tool.context = tls_cert_context_unref(w->tool.context);
        }
}

/* A manufacturer's certificate is no identity, even where its authority is believed. */
static void a_manufacturer_is_nobody_to_a_client(void **state) {
        const struct pki_what lamp = { .cn = "Lamp 3000" };
        struct world *w = *state;
        struct pki_one one;

        pki_make(&one, &lamp, &w->manufacturer, NULL);
        w->device.context =
                context_of(span_of_string(one.pem), one.key, authority_root(w->authority), NULL, true, false);
        w->tool.context = identity(w->authority, &tool_id, span_of_string(w->manufacturer.pem), NULL, false);
        meet(w, &device_id, false);
        assert_int_equal(w->tool.n_opened, 0);
        assert_int_equal(w->tool.failure, TLS_FAILURE_CERTIFICATE);
        assert_non_null(strstr(w->tool.problem, "no uuid:"));
        pki_free(&one);
}

/* Whatever its CN: nobody in particular, until it is owned. */
static void ownership_is_taken_by_the_manufacturers_certificate(void **state) {
        static const char other_name[] = "uuid:77000000-0000-0000-0000-000000000000";
        static const char *const names[] = { "Lamp 3000", other_name, NULL };
        struct world *w = *state;

        w->tool.context = identity(w->authority, &tool_id, span_of_string(w->manufacturer.pem), NULL, true);
        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                const struct pki_what what = { .cn = names[i] };
                struct tls_secrets of_tool, of_device;

                w->device.context = from_factory(w, &what);
                meet(w, NULL, true);
                if (w->tool.n_opened != i + 1)
                        fail_msg("%s: %s", names[i], w->tool.problem);
                assert_int_equal(w->device.n_opened, i + 1);
                assert_true(w->device.last->svr.onboarding);
                assert_false(w->tool.last->svr.onboarding);
                assert_true(uuid_is_nil(&w->tool.last->svr.id)); /* it has no rights with us */
                assert_true(uuid_is_nil(&w->device.last->svr.id));
                assert_true(tls_secrets(w->tool.last->tls, &of_tool)); /* the owner's key comes of them */
                assert_true(tls_secrets(w->device.last->tls, &of_device));
                assert_memory_equal(&of_tool, &of_device, sizeof(of_tool));
                sessions_close(w->tool.sessions, w->tool.last);
                while (carry(w, &w->tool, &w->device, &to_tool) || carry(w, &w->device, &w->tool, &to_device))
                        ;
                w->now_ms += 60000;
                w->device.context = tls_cert_context_unref(w->device.context);
        }
}

static void a_manufacturer_that_is_not_believed(void **state) {
        const struct pki_what lamp = { .cn = "Lamp 3000" };
        struct world *w = *state;

        w->device.context = from_factory(w, &lamp);
        w->tool.context = identity(w->authority, &tool_id, span_of_string(w->other_manufacturer.pem), NULL,
                                   true); /* of the same name */
        meet(w, NULL, true);
        assert_int_equal(w->tool.n_opened, 0);
        assert_int_equal(w->tool.failure, TLS_FAILURE_CERTIFICATE);
        assert_int_equal(w->device.n_opened, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(the_device_that_was_meant),
                TEST(another_device_is_left),
                TEST(who_may_not_vouch_for_it),
                TEST(a_manufacturer_is_nobody_to_a_client),
                TEST(ownership_is_taken_by_the_manufacturers_certificate),
                TEST(a_manufacturer_that_is_not_believed),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
