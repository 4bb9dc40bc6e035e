/*
 * The client behind GnuTLS, which takes identities of any bytes.
 */
#include "secure_client.h"

#include <gnutls/dtls.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <stdio.h>
#include <string.h>

enum { MTU = 1280, FLIGHT_MS = 400, HANDSHAKE_MS = 1000 * SECURE_SECONDS };

static const struct {
        uint16_t suite;
        const char *algorithms;
} suites[] = {
        { 0xc037, "+ECDHE-PSK:+AES-128-CBC:+SHA256" },   { 0xc0ae, "+ECDHE-ECDSA:+AES-128-CCM-8:+AEAD" },
        { 0xc0ac, "+ECDHE-ECDSA:+AES-128-CCM:+AEAD" },   { 0xc0af, "+ECDHE-ECDSA:+AES-256-CCM-8:+AEAD" },
        { 0xc0ad, "+ECDHE-ECDSA:+AES-256-CCM:+AEAD" },   { 0xc02b, "+ECDHE-ECDSA:+AES-128-GCM:+AEAD" },
        { 0xc02c, "+ECDHE-ECDSA:+AES-256-GCM:+AEAD" },   { 0xc023, "+ECDHE-ECDSA:+AES-128-CBC:+SHA256" },
        { 0xc024, "+ECDHE-ECDSA:+AES-256-CBC:+SHA384" },
};

static gnutls_session_t session;

static void check(int result, const char *what) {
        char why[160];

        if (result >= 0)
                return;
        if (result == GNUTLS_E_FATAL_ALERT_RECEIVED)
                snprintf(why, sizeof(why), "alert %d", gnutls_alert_get(session));
        else
                snprintf(why, sizeof(why), "%s", gnutls_strerror(result));
        secure_fail(what, why);
}

static void set_suite(const struct secure_options *o) {
        char priority[256];

        for (size_t i = 0; i < sizeof(suites) / sizeof(suites[0]); i++) {
                if (suites[i].suite != o->suite)
                        continue;
                snprintf(priority, sizeof(priority),
                         "NONE:%s:+VERS-%s1.2:+COMP-NULL:+GROUP-SECP256R1:+SIGN-ALL%s", suites[i].algorithms,
                         o->stream ? "TLS" : "DTLS", o->without_encrypt_then_mac ? ":%NO_ETM" : "");
                check(gnutls_priority_set_direct(session, priority, NULL), "the suite");
                return;
        }
        secure_fail("the suite", "not in the table");
}

static void set_key(const struct secure_options *o) {
        gnutls_psk_client_credentials_t credentials;
        gnutls_datum_t identity = { (uint8_t *)o->identity, (unsigned)o->identity_size },
                       key = { (uint8_t *)o->key, (unsigned)o->key_size };

        check(gnutls_psk_allocate_client_credentials(&credentials), "credentials");
        check(gnutls_psk_set_client_credentials2(credentials, &identity, &key, GNUTLS_PSK_KEY_RAW),
              "the key");
        check(gnutls_credentials_set(session, GNUTLS_CRD_PSK, credentials), "the key");
}

static void set_certificates(const struct secure_options *o) {
        gnutls_certificate_credentials_t credentials;

        check(gnutls_certificate_allocate_credentials(&credentials), "credentials");
        check(gnutls_certificate_set_x509_trust_file(credentials, o->roots, GNUTLS_X509_FMT_PEM),
              "the roots");
        if (o->chain)
                check(gnutls_certificate_set_x509_key_file(credentials, o->chain, o->private_key,
                                                           GNUTLS_X509_FMT_PEM),
                      "the chain");
        check(gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, credentials), "the chain");
}

static void check_server(struct secure_facts *ret) {
        const gnutls_datum_t *chain;
        gnutls_x509_crt_t leaf;
        unsigned status, n;
        size_t size = sizeof(ret->subject);

        check(gnutls_certificate_verify_peers3(session, NULL, &status), "the server's chain");
        if (status) {
                char why[32];

                snprintf(why, sizeof(why), "status %#x", status);
                secure_fail("the server's chain", why);
        }
        chain = gnutls_certificate_get_peers(session, &n);
        check(gnutls_x509_crt_init(&leaf), "a certificate");
        check(gnutls_x509_crt_import(leaf, chain, GNUTLS_X509_FMT_DER), "a certificate");
        check(gnutls_x509_crt_get_dn_by_oid(leaf, GNUTLS_OID_X520_COMMON_NAME, 0, 0, ret->subject, &size),
              "the server's name");
        gnutls_x509_crt_deinit(leaf);
}

/* Its table has the suites' names as they are without _WITH. */
static unsigned number_of(const char *name) {
        const char *with = strstr(name, "_WITH_"), *each;
        unsigned char id[2];

        for (size_t i = 0; with && (each = gnutls_cipher_suite_info(i, id, NULL, NULL, NULL, NULL)); i++)
                if (!strncmp(each, name, (size_t)(with - name)) && !strcmp(each + (with - name), with + 5))
                        return (unsigned)(id[0] << 8 | id[1]);
        return 0;
}

void secure_open(const struct secure_options *o, int fd, struct secure_facts *ret) {
        int result;

        check(gnutls_init(&session, GNUTLS_CLIENT | (o->stream ? 0 : GNUTLS_DATAGRAM)), "a session");
        set_suite(o);
        if (o->key_size)
                set_key(o);
        else
                set_certificates(o);
        gnutls_transport_set_int(session, fd);
        if (!o->stream) {
                gnutls_dtls_set_mtu(session, MTU);
                gnutls_dtls_set_timeouts(session, FLIGHT_MS, HANDSHAKE_MS);
        }
        gnutls_handshake_set_timeout(session, HANDSHAKE_MS);
        do {
                result = gnutls_handshake(session);
        } while (result < 0 && !gnutls_error_is_fatal(result));
        check(result, "the handshake");
        if (!o->key_size)
                check_server(ret);
        ret->name = gnutls_ciphersuite_get(session);
        ret->suite = number_of(ret->name);
}

void secure_send(const void *bytes, size_t n) {
        ssize_t sent = gnutls_record_send(session, bytes, n);

        check(sent < 0 ? (int)sent : 0, "sending");
}

size_t secure_receive(void *bytes, size_t n, int milliseconds) {
        ssize_t got;

        gnutls_record_set_timeout(session, (unsigned)milliseconds);
        got = gnutls_record_recv(session, bytes, n);
        if (got == GNUTLS_E_TIMEDOUT || got == GNUTLS_E_AGAIN || got == GNUTLS_E_INTERRUPTED)
                return 0;
        check(got < 0 ? (int)got : 0, "receiving");
        if (!got)
                secure_fail("receiving", "closed");
        return (size_t)got;
}

const char *secure_renegotiate(void) {
        int result;

        gnutls_handshake_set_timeout(session, 5000);
        do {
                result = gnutls_handshake(session);
        } while (result == GNUTLS_E_AGAIN || result == GNUTLS_E_INTERRUPTED);
        return result < 0 ? gnutls_strerror(result) : NULL;
}

void secure_close(void) {
        gnutls_bye(session, GNUTLS_SHUT_WR);
}
