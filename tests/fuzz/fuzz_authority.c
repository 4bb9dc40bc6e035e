/*
 * Any bytes as a device's request for a certificate, with any roles: what is
 * issued is always a certificate of this device, for its key, that our own rules
 * accept; what is not has a sentence and leaves nothing. And any bytes as an
 * authority out of the store.
 *
 * The first byte says how many roles follow (each a byte of length and its text,
 * twice: role, authority), whether the rest is PEM or DER of a request or an
 * authority, and whether the request is signed anew, so that its signature does
 * not end the search.
 */
#include "base/memory.h"
#include "fuzz.h"
#include "security/authority.h"
#include "security/certificate.h"
#include "security/crypto.h"
#include "security/identity_key.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <string.h>

#define NOW     INT64_C(1800000000)
#define PEM     4u
#define SIGN    8u
#define LOAD    16u
#define N_ROLES 3u /* and the two bits that say how many */

static const struct uuid device = { { 0x4a, 0xb0, 0x41, 0x0e, 0x5f, 0xf0, 0x43, 0x73, 0x50, 0x33, 0x80, 0xa0,
                                      0, 0x14, 0x0a, 0x80 } };

static struct authority *authority;
static EVP_PKEY *its_key;
static STACK_OF(X509) * root;

static void begin(void) {
        must_hold(!authority_new(&authority, NOW));
        must_hold(!crypto_key_new(&its_key));
        root = certificate_read(authority_root(authority));
        must_hold(root);
}

/* The same wishes under a signature that is right. */
static X509_REQ *sign(struct span der) {
        const uint8_t *at = der.data;
        X509_REQ *request = d2i_X509_REQ(NULL, &at, (long)der.n);

        if (request && X509_REQ_set_pubkey(request, its_key) == 1 &&
            X509_REQ_sign(request, its_key, crypto_sha256()) > 0)
                return request;
        X509_REQ_free(request);
        return NULL;
}

static size_t to_pem(struct span der, bool anew, char *ret, size_t n_max) {
        const uint8_t *at = der.data;
        X509_REQ *request = anew ? sign(der) : d2i_X509_REQ(NULL, &at, (long)der.n);
        BIO *bio = BIO_new(BIO_s_mem());
        char *text;
        long n = 0;

        if (request && bio && PEM_write_bio_X509_REQ(bio, request) == 1)
                n = BIO_get_mem_data(bio, &text);
        if (n > 0 && (size_t)n <= n_max)
                memcpy(ret, text, (size_t)n);
        else
                n = 0;
        BIO_free(bio);
        X509_REQ_free(request);
        ERR_clear_error();
        return (size_t)n;
}

static void must_be_good(struct span pem, size_t n_roles) {
        enum certificate_profile profile = n_roles ? CERTIFICATE_ROLE : CERTIFICATE_IDENTITY;
        STACK_OF(X509) *chain = certificate_read(pem);
        char *role = NULL, *its_authority = NULL;
        X509 *c = chain ? sk_X509_value(chain, 0) : NULL, *anchor;
        struct uuid id;

        must_hold(c && sk_X509_num(chain) == 1);
        must_hold(!certificate_check(c, profile, NOW));
        must_hold(!certificate_chain(chain, profile, root, NOW, &anchor));
        must_hold(certificate_uuid(c, &id) && uuid_equal(&id, &device));
        must_hold(X509_NAME_entry_count(X509_get_subject_name(c)) == 1);
        must_hold(X509_get_ext_count(c) == (n_roles ? 5 : 4));
        must_hold(certificate_end_s(c) <= certificate_end_s(sk_X509_value(root, 0)));
        must_hold(!n_roles == !!certificate_role(c, &role, &its_authority));
        ocf_free(role);
        ocf_free(its_authority);
        certificate_free(chain);
}

/* What was read can be written, and read again. */
static void load(struct span bytes) {
        static uint8_t written[16384];
        struct writer w = writer_on(written, sizeof(written));
        struct authority *a = NULL, *again = NULL;

        if (!authority_load(&a, bytes)) {
                must_hold(!a);
                return;
        }
        must_hold(authority_save(a, &w) && authority_load(&again, writer_span(&w)));
        must_hold(span_equal(authority_root(a), authority_root(again)));
        authority_free(a);
        authority_free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        static char pem[16384], issued[AUTHORITY_PEM_MAX];
        struct authority_role roles[N_ROLES];
        struct span input = span_of(data, n), csr;
        struct writer w = writer_on(issued, sizeof(issued));
        const char *problem;
        size_t n_roles = 0;
        uint8_t how, length;

        if (!authority)
                begin();
        if (!span_take_u8(&input, &how) || input.n > 8192)
                return 0;
        if (how & LOAD) {
                load(input);
                return 0;
        }
        for (; n_roles < (how & N_ROLES); n_roles++)
                if (!span_take_u8(&input, &length) || !span_take(&input, length, &roles[n_roles].role) ||
                    !span_take_u8(&input, &length) || !span_take(&input, length, &roles[n_roles].authority))
                        return 0;
        csr = how & PEM ? input : span_of(pem, to_pem(input, how & SIGN, pem, sizeof(pem)));
        problem = authority_issue(authority, csr, &device, roles, n_roles, NOW, &w);
        must_hold(!problem == (w.n > 0));
        if (problem)
                must_hold(problem[0]);
        else
                must_be_good(writer_span(&w), n_roles);
        must_hold(ERR_peek_error() == 0);
        return 0;
}
