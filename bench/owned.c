#include "owned.h"
#include "common.h"
#include "least.h"

#include <errno.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <string.h>

static struct svr svr;
static struct tls_cert_context *certificates;

static const struct svr *svr_of(void *context, uint16_t device) {
        return &svr;
}

static size_t no_pin(void *context, uint16_t device, uint8_t ret[TLS_PSK_MAX]) {
        return 0;
}

static bool has_certificate(void *context, uint16_t device) {
        return certificates != NULL;
}

static int certificate(void *context, uint16_t device, uint16_t suite, bool stream, uint64_t now_ms,
                       struct tls **ret) {
        const struct tls_cert_config config = {
                .context = certificates, .stream = stream, .suite = suite, .wall_s = -1
        };

        return certificates ? tls_cert_new(ret, &config, now_ms) : -ENOENT;
}

static void certificate_peer(void *context, const struct tls *tls, struct uuid *ret, int32_t *ret_credid) {
        struct tls_cert_peer peer;

        tls_cert_peer(tls, &peer);
        *ret = peer.id;
        *ret_credid = CRED_ID_NONE;
}

static struct span read_file(const char *path, char *buf, size_t n_max) {
        FILE *f = fopen(path, "re");
        size_t n = f ? fread(buf, 1, n_max, f) : 0;

        if (!n)
                bench_die(path);
        fclose(f);
        return span_of(buf, n);
}

struct tls_cert_context *certificates_in(char *const files[3]) {
        static char chain[8192], roots[8192], key[4096];
        struct tls_cert_context *context;
        struct tls_cert_trust trust = { .any_subject = true, .credid = 1 };
        struct tls_cert_identity identity = { .trust = &trust, .n_trust = 1, .ask_peer = true };
        BIO *bio = BIO_new(BIO_s_mem());
        struct span text = read_file(files[1], key, sizeof(key));

        identity.chain = read_file(files[0], chain, sizeof(chain));
        trust.pem = read_file(files[2], roots, sizeof(roots));
        if (!bio || BIO_write(bio, text.data, (int)text.n) <= 0)
                bench_die("memory");
        identity.key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
        BIO_free(bio);
        if (!identity.key || tls_cert_context_new(&context, &identity))
                bench_die("certificates");
        EVP_PKEY_free(identity.key);
        return context;
}

static bool own(void) {
        const struct svr_device device = { .oxms = 1, .sct = CRED_PSK };
        struct cred key = { .id = 1, .type = CRED_PSK, .secret = SPAN_LITERAL(LEAST_KEY) };
        struct uuid first = { { 1, 2, 3 } };
        struct svr_facts facts;

        svr_init(&svr, &device);
        svr_reset(&svr, &first);
        memcpy(key.subject.bytes, LEAST_IDENTITY, sizeof(key.subject.bytes));
        if (svr_add_cred(&svr, &key, 1))
                return false;
        svr.doxm.owned = true;
        svr.doxm.oxmsel = SVR_JUST_WORKS;
        svr.doxm.devowneruuid = key.subject;
        for (size_t i = 0; i < SVR_OWNED_N; i++)
                svr.rowner[i] = key.subject;
        facts = svr_facts(&svr);
        return !svr_machine_ask(&svr.machine, SVR_RFPRO, &facts, 0) &&
               !svr_machine_ask(&svr.machine, SVR_RFNOP, &facts, 0);
}

struct sessions *owned_sessions(uint32_t n_max, struct tls_cert_context *shown) {
        const struct sessions_config config = {
                .host = { .svr = svr_of,
                          .pin = no_pin,
                          .has_certificate = has_certificate,
                          .certificate = certificate,
                          .certificate_peer = certificate_peer },
                .n_max = n_max,
                .n_handshakes = 256,
                .n_per_address = 256,
                .idle_ms = 600000,
        };
        struct sessions *sessions;

        certificates = shown;
        if (!own() || sessions_new(&sessions, &config))
                bench_die("the device");
        return sessions;
}
