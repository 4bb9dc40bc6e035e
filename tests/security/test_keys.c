/*
 * Keys of ownership transfers against vectors: those of real onboardings
 * (wire-traces.md 2), and those computed independently (security.md 11).
 */
#include "../unit.h"

#include "security/crypto.h"
#include "security/keys.h"

#include <stdio.h>
#include <string.h>

static size_t from_hex(const char *hex, uint8_t *ret) {
        size_t n = strlen(hex) / 2;

        for (size_t i = 0; i < n; i++) {
                unsigned v;

                assert_int_equal(sscanf(hex + 2 * i, "%2x", &v), 1);
                ret[i] = (uint8_t)v;
        }
        return n;
}

static struct uuid uuid_of(const char *text) {
        struct uuid u;

        assert_true(uuid_parse(&u, span_of_string(text)));
        return u;
}

static void assert_key(const uint8_t *key, const char *hex) {
        uint8_t wanted[KEY_PSK];

        assert_int_equal(from_hex(hex, wanted), KEY_PSK);
        assert_memory_equal(key, wanted, KEY_PSK);
}

static void owner_keys_of_real_onboardings(void **state) {
        static const struct {
                uint16_t suite;
                enum svr_transfer transfer;
                const char *client_random, *server_random, *master, *owner, *device, *key;
        } rows[] = {
                { TLS_ECDH_ANON_AES_128_CBC_SHA256, SVR_JUST_WORKS,
                  "6b0394a6eb2a2d24d17cf66d2b2dba91f26aae448acaec23c6e59d690b8c7796",
                  "6b0394a61384a8c330af42489e7b3f69f8e5f00c6f0285d7897f3ce46dc15ddc",
                  "4b04d20bade5a978b48eaeae922b46e9834532697c0caecbfc920d5ca6a86c2c0115ca1a0c86e7bcd01b7e7df6"
                  "83f1cc",
                  "e29d6c5d-4736-4a8e-6b78-0ac23b2d6bde", "4ab0410e-5ff0-4373-5033-80a000140a80",
                  "faad1dfdb6b1595b94571476292c61d2" },
                { TLS_ECDHE_PSK_AES_128_CBC_SHA256, SVR_RANDOM_PIN,
                  "6b0394b54d8c9b7aebdcca0bdae53f7f07b490adcec44f9ee1d5841f1f982fe0",
                  "6b0394b5d87ab6f56595e74b79365502cf051a4e24f3f1631bcec25c6e021c2e",
                  "484fdd3fe030ad196a85d5759cbadc38236ce8dfe6a66d0ccf4cc670126c269afd5e7c1734f8e5397585b06b15"
                  "bee78c",
                  "c09e6597-e79e-4381-5a5e-72f49e69138a", "7766beda-b366-47b1-4db3-627b0c66ab4b",
                  "e9c8b9550d92b2e9bfe72b6a06b5fe1d" },
                { TLS_ECDHE_ECDSA_AES_128_CCM_8, SVR_MANUFACTURER,
                  "6b0394c2dec07910864533b471b4814985e7bb3ee73e890f2222030f8cb75b2b",
                  "6b0394c27ae4ca9ea4122003bae42d710c64b6bf3fa923c07f0bc299114a2ed3",
                  "cbfb0d15b0af56a6fb54d5f8aa1f54f1bb21021da30fdca10f02cb919bb906f9615b59ca9387c5ce5a9ce08ca8"
                  "b63fec",
                  "57ce7833-068f-4210-6e80-fd4e07309e10", "d9a9175e-0532-44bb-6c1f-71c6169d2ac6",
                  "23f1ae81f4c09695e2463785573f8709" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct uuid owner = uuid_of(rows[i].owner), device = uuid_of(rows[i].device);
                struct tls_secrets s = { .suite = rows[i].suite };
                uint8_t key[KEY_PSK];

                assert_int_equal(from_hex(rows[i].client_random, s.client_random), TLS_RANDOM);
                assert_int_equal(from_hex(rows[i].server_random, s.server_random), TLS_RANDOM);
                assert_int_equal(from_hex(rows[i].master, s.master), TLS_MASTER);
                assert_true(key_derive_owner(&s, rows[i].transfer, &owner, &device, key));
                assert_key(key, rows[i].key);
        }
}

static void owner_keys_of_each_suite_and_method(void **state) {
        static const struct {
                uint16_t suite;
                const char *key[3];
        } rows[] = {
                { TLS_ECDH_ANON_AES_128_CBC_SHA256,
                  { "8171cafbec248006c5c1e3520304b37c", "0a3b9a43a9ce8ef91370f00802ca56af",
                    "4cd563acd0a7d629d7722bd9f4d2a5aa" } },
                { TLS_ECDHE_ECDSA_AES_128_CCM,
                  { "d98f32f2a289538c2caeefa03c4fb82b", "7f2861ecae84cdde0376ff5b39a45015",
                    "6ce40edfd1a9591a85cab176508cf209" } },
                { TLS_ECDHE_ECDSA_AES_256_CCM_8,
                  { "7e1c0a8be6074fc695e73aa5857bf707", "2fdf57012f7210a384bf8fbd2bbf8f26",
                    "59c425409681eab6a74d4fc12ba290f2" } },
                { TLS_ECDHE_ECDSA_AES_128_GCM_SHA256,
                  { "22eb49ae46fb0370dac6143ccea8d226", "ce57d1e52a84127c4729567886036bd0",
                    "3161a6a1c50f1f31531e745d7a2f4316" } },
        };
        struct uuid owner = uuid_of("11111111-2222-4333-8444-555555555555");
        struct uuid device = uuid_of("aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee");
        struct tls_secrets s;
        uint8_t key[KEY_PSK];

        for (unsigned i = 0; i < TLS_MASTER; i++)
                s.master[i] = (uint8_t)i;
        for (unsigned i = 0; i < TLS_RANDOM; i++) {
                s.client_random[i] = (uint8_t)(0x40 + i);
                s.server_random[i] = (uint8_t)(0x80 + i);
        }
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
                for (unsigned j = 0; j < 3; j++) {
                        s.suite = rows[i].suite;
                        assert_true(key_derive_owner(&s, (enum svr_transfer)j, &owner, &device, key));
                        assert_key(key, rows[i].key[j]);
                }
        s.suite = TLS_ECDHE_ECDSA_AES_256_GCM_SHA384; /* nobody says how: a key of nothing would be worse */
        assert_false(key_derive_owner(&s, SVR_JUST_WORKS, &owner, &device, key));
        s.suite = TLS_ECDH_ANON_AES_128_CBC_SHA256;
        assert_false(key_derive_owner(&s, SVR_NO_TRANSFER, &owner, &device, key));
}

static void keys_of_pins(void **state) {
        struct uuid traced = uuid_of("cebfb2e9-f50d-4256-5947-cf6a4e1c9950");
        struct uuid device = uuid_of("aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee");
        uint8_t key[KEY_PSK];

        assert_true(key_derive_pin(span_of_string("90943888"), &traced, key));
        assert_key(key, "e5f169c0ec9a0fa58f07bc18e1d4216d");
        assert_true(key_derive_pin(span_of_string("12345678"), &device, key));
        assert_key(key, "d3ec7113ff8b5bf770b6112da75ad963");
}

/* Both sides must come to the same; a point that is none of P-256 to nothing. */
static void points_are_checked(void **state) {
        uint8_t a_point[CRYPTO_POINT], b_point[CRYPTO_POINT], ab[CRYPTO_ECDH], ba[CRYPTO_ECDH];
        EVP_PKEY *a = crypto_ecdh_new(a_point), *b = crypto_ecdh_new(b_point);

        assert_non_null(a);
        assert_non_null(b);
        assert_true(crypto_ecdh(a, span_of(b_point, CRYPTO_POINT), ab));
        assert_true(crypto_ecdh(b, span_of(a_point, CRYPTO_POINT), ba));
        assert_memory_equal(ab, ba, CRYPTO_ECDH);

        assert_false(crypto_ecdh(a, span_of(b_point, CRYPTO_POINT - 1), ab));
        b_point[64] ^= 1; /* off the curve */
        assert_false(crypto_ecdh(a, span_of(b_point, CRYPTO_POINT), ab));
        b_point[64] ^= 1;
        b_point[0] = 6; /* a hybrid encoding */
        assert_false(crypto_ecdh(a, span_of(b_point, CRYPTO_POINT), ab));
        memset(b_point, 0, sizeof(b_point)); /* infinity, and what looks like it */
        assert_false(crypto_ecdh(a, span_of(b_point, 1), ab));
        b_point[0] = 4;
        assert_false(crypto_ecdh(a, span_of(b_point, CRYPTO_POINT), ab));
        EVP_PKEY_free(a);
        EVP_PKEY_free(b);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(owner_keys_of_real_onboardings),
                cmocka_unit_test(owner_keys_of_each_suite_and_method),
                cmocka_unit_test(keys_of_pins),
                cmocka_unit_test(points_are_checked),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
