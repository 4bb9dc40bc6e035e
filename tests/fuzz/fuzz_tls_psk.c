/*
 * Our own engine at both ends of a bad network (tls_pair.h). The first byte says
 * with which suite, options and keys.
 */
#include "fuzz.h"
#include "security/tls_psk.h"
#include "tls_pair.h"
#include "tls_random.h"

#include <string.h>

static const uint8_t hint[16] = { 0, 0xff, 0, 1 }, identity[16] = { 0, 0, 7, 0x80 };

static struct {
        bool stream, wrong_key, unknown;
        uint16_t suite;
        uint8_t how;
} f;

static size_t find_client_key(void *context, struct span name, uint8_t ret[TLS_PSK_MAX]) {
        if (!span_equal(name, span_of(hint, 16)))
                return 0;
        memset(ret, f.wrong_key ? 2 : 1, 16);
        return 16;
}

static size_t find_server_key(void *context, struct span name, uint8_t ret[TLS_PSK_MAX]) {
        if (f.unknown || !span_equal(name, span_of(identity, 16)))
                return 0;
        memset(ret, 1, 16);
        return 16;
}

static struct tls *make(bool client, uint16_t first_message, uint64_t now_ms) {
        const struct tls_psk_config config = {
                .stream = f.stream,
                .client = client,
                .suite = f.suite,
                .hint = span_of(hint, 16),
                .identity = span_of(identity, 16),
                .without_encrypt_then_mac = f.how & (client ? 4 : 16),
                .without_extended_master_secret = f.how & (client ? 8 : 32),
                .first_message = first_message,
                .keep_secrets = true,
                .psk = client ? find_client_key : find_server_key,
        };
        struct tls *t = NULL;

        must_hold(tls_psk_new(&t, &config, now_ms) == 0);
        return t;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        struct tls_pair pair = { .make = make, .n_flight_max = 8, .n_datagram_max = TLS_DATAGRAM_MAX };

        f.how = n ? data[0] : 0;
        f.stream = f.how & 1;
        f.suite = f.how & 2 ? TLS_ECDH_ANON_AES_128_CBC_SHA256 : TLS_ECDHE_PSK_AES_128_CBC_SHA256;
        f.wrong_key = f.how & 64;
        f.unknown = f.how & 128;
        pair.may_open = f.how & 2 || (!f.wrong_key && !f.unknown);
        tls_random_begin(f.how);
        tls_pair_run(&pair, f.stream, n ? span_of(data + 1, n - 1) : SPAN_NULL);
        return 0;
}
