/*
 * Any bytes as certificates, in PEM as they are posted or in DER as they come in a
 * handshake: reading never does harm, what is read keeps to its limits, and
 * nobody gets to an authority without its signature.
 *
 * The first byte says which profile, and whether PEM follows, or certificates in
 * DER with two bytes of length before each.
 */
#include "base/memory.h"
#include "fuzz.h"
#include "security/certificate.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <string.h>

#define NOW INT64_C(1800000000)

/* Its key is nowhere any more: whatever it vouches for stands in the corpus. */
static const char root_pem[] = "-----BEGIN CERTIFICATE-----\n"
                               "MIIBgjCCASigAwIBAgIUZxA2hLCiquFaduHdr2aRR0+Q/IYwCgYIKoZIzj0EAwIw\n"
                               "HjEcMBoGA1UEAwwTUm9vdCBvZiB0aGUgZnV6emVyczAgFw0yNjExMjMyMzE0MjRa\n"
                               "GA8yMTAwMTAyNjIzMTQyNFowHjEcMBoGA1UEAwwTUm9vdCBvZiB0aGUgZnV6emVy\n"
                               "czBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABM+AAlL5XsgCR+LQtPPEb8MIuegu\n"
                               "pNO8J9hCdNKMMCaBlT/J3EsWbH6QENcZKXbWpu0Hjwyoct0MSN8c7ylfRMKjQjBA\n"
                               "MA8GA1UdEwEB/wQFMAMBAf8wDgYDVR0PAQH/BAQDAgEGMB0GA1UdDgQWBBSuNGWP\n"
                               "LqROmNHdg8oZO7PRc9A9TDAKBggqhkjOPQQDAgNIADBFAiEAtets7bMJz1eDjJl5\n"
                               "wFtaKNCa0tdrvVgqbe9eKPI5oooCIA1PbHoFbx1xFhkQEAYwaQcW6CwfEXIlDqvZ\n"
                               "kK/zEDLL\n"
                               "-----END CERTIFICATE-----\n";

static X509 *root(void) {
        static X509 *c;

        if (!c) {
                BIO *bio = BIO_new_mem_buf(root_pem, -1);

                c = PEM_read_bio_X509(bio, NULL, NULL, NULL);
                must_hold(c && !certificate_check(c, CERTIFICATE_AUTHORITY, NOW));
                BIO_free(bio);
        }
        return c;
}

/* DER into PEM, as it is posted. */
static size_t to_pem(struct span der, char *ret, size_t n_max) {
        static uint8_t text[65536];
        struct writer w = writer_on(ret, n_max);
        struct span piece;
        uint16_t n;

        while (span_take_u16(&der, &n) && span_take(&der, n < der.n ? n : der.n, &piece)) {
                int n_text;

                if (piece.n > sizeof(text) / 2)
                        break;
                n_text = EVP_EncodeBlock(text, piece.data, (int)piece.n);
                writer_put_span(&w, SPAN_LITERAL("-----BEGIN CERTIFICATE-----"));
                for (int i = 0; i < n_text; i += 64) {
                        writer_put_u8(&w, '\n');
                        writer_put(&w, text + i, (size_t)(n_text - i < 64 ? n_text - i : 64));
                }
                writer_put_span(&w, SPAN_LITERAL("\n-----END CERTIFICATE-----\n"));
        }
        return w.overflow ? 0 : w.n;
}

static void must_name_it_well(X509 *c) {
        char *role = NULL, *authority = NULL;
        struct uuid id;

        if (certificate_uuid(c, &id))
                must_hold(!uuid_is_nil(&id));
        if (!certificate_role(c, &role, &authority)) {
                must_hold(role && role[0] && authority && authority[0]);
                must_hold(strncmp(role, "oic.role.", 9) || !strcmp(role, "oic.role.owner"));
                ocf_free(role);
                ocf_free(authority);
        }
}

/* Good at some time is good without a clock, and its dates can be read. */
static void must_be_of_its_time(X509 *c, enum certificate_profile profile) {
        time_t now = NOW;
        bool is_good = !certificate_check(c, profile, NOW);

        if (!is_good)
                return;
        must_hold(!certificate_check(c, profile, -1));
        must_hold(X509_cmp_time(X509_get0_notBefore(c), &now) < 0 &&
                  X509_cmp_time(X509_get0_notAfter(c), &now) > 0);
        must_hold(certificate_end_s(c) > NOW);
        must_hold(certificate_check(c, profile, certificate_end_s(c) + 1));
}

/* By hand: somewhere in what it showed is one that the root has signed, and that leads to the leaf. */
static bool leads_to(STACK_OF(X509) * chain, X509 *c, unsigned depth) {
        if (X509_verify(c, X509_get0_pubkey(root())) == 1)
                return true;
        for (int i = 1; depth < CERTIFICATE_CHAIN_MAX && i < sk_X509_num(chain); i++) {
                X509 *issuer = sk_X509_value(chain, i);

                if (issuer != c && X509_get0_pubkey(issuer) &&
                    X509_verify(c, X509_get0_pubkey(issuer)) == 1 &&
                    !certificate_check(issuer, CERTIFICATE_AUTHORITY, NOW) &&
                    leads_to(chain, issuer, depth + 1))
                        return true;
        }
        return false;
}

static void follow_chain(STACK_OF(X509) * chain, enum certificate_profile profile) {
        STACK_OF(X509) *anchors = sk_X509_new_null();
        X509 *anchor = NULL;

        must_hold(anchors && sk_X509_push(anchors, root()));
        if (!certificate_chain(chain, profile, anchors, NOW, &anchor)) {
                must_hold(anchor == root());
                must_hold(leads_to(chain, sk_X509_value(chain, 0), 0));
                must_hold(!certificate_check(sk_X509_value(chain, 0), profile, NOW));
        }
        sk_X509_free(anchors);
        ERR_clear_error();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        static const struct uuid device = { { 0x4a, 0xb0, 0x41, 0x0e, 0x5f, 0xf0, 0x43, 0x73, 0x50, 0x33,
                                              0x80, 0xa0, 0, 0x14, 0x0a, 0x80 } };
        static char pem[65536];
        struct span input = span_of(data, n), text;
        enum certificate_profile profile;
        STACK_OF(X509) * chain;
        uint8_t how;

        if (!span_take_u8(&input, &how) || input.n > 16384)
                return 0;
        profile = (enum certificate_profile)(how & 3);
        text = how & 4 ? input : span_of(pem, to_pem(input, pem, sizeof(pem)));
        (void)certificate_check_anchor(text, NOW);
        must_hold(certificate_check_own(text, profile, X509_get0_pubkey(root()), &device,
                                        NOW)); /* not its key */
        chain = certificate_read(text);
        if (!chain)
                return 0;
        must_hold(sk_X509_num(chain) > 0 && sk_X509_num(chain) <= (int)CERTIFICATE_CHAIN_MAX);
        for (int i = 0; i < sk_X509_num(chain); i++) {
                must_name_it_well(sk_X509_value(chain, i));
                for (int p = CERTIFICATE_IDENTITY; p <= CERTIFICATE_AUTHORITY; p++)
                        must_be_of_its_time(sk_X509_value(chain, i), (enum certificate_profile)p);
        }
        follow_chain(chain, profile);
        certificate_free(chain);
        return 0;
}
