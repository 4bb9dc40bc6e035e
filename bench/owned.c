#include "owned.h"
#include "common.h"
#include "least.h"

#include <string.h>

static struct svr svr;

static const struct svr *svr_of(void *context, uint16_t device) {
        return &svr;
}

static size_t no_pin(void *context, uint16_t device, uint8_t ret[TLS_PSK_MAX]) {
        return 0;
}

static bool no_certificate(void *context, uint16_t device) {
        return false;
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

struct sessions *owned_sessions(uint32_t n_max) {
        const struct sessions_config config = {
                .host = { .svr = svr_of, .pin = no_pin, .has_certificate = no_certificate },
                .n_max = n_max,
                .n_handshakes = 256,
                .n_per_address = 256,
                .idle_ms = 600000,
        };
        struct sessions *sessions;

        if (!own() || sessions_new(&sessions, &config))
                bench_die("the device");
        return sessions;
}
