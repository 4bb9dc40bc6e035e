#include "model/interface.h"
#include "protocol/coap_code.h"

#define GET    (1u << COAP_GET)
#define POST   (1u << COAP_POST)
#define PUT    (1u << COAP_PUT)
#define DELETE (1u << COAP_DELETE)

/* Who lets what through: core.md 5.3. */
static const struct {
        const char *name;
        unsigned methods;
} rows[_INTERFACE_N] = {
        [INTERFACE_BASELINE] = { "oic.if.baseline", GET | POST | PUT | DELETE },
        [INTERFACE_LL] = { "oic.if.ll", GET },
        [INTERFACE_B] = { "oic.if.b", GET | POST | PUT },
        [INTERFACE_R] = { "oic.if.r", GET },
        [INTERFACE_RW] = { "oic.if.rw", GET | POST | PUT | DELETE },
        [INTERFACE_A] = { "oic.if.a", GET | POST | PUT | DELETE },
        [INTERFACE_S] = { "oic.if.s", GET },
        [INTERFACE_W] = { "oic.if.w", POST | PUT | DELETE },
        [INTERFACE_CREATE] = { "oic.if.create", GET | POST | PUT },
};

const char *interface_name(enum interface i) {
        return rows[i].name;
}

bool interface_parse(enum interface *ret, struct span name) {
        for (enum interface i = 0; i < _INTERFACE_N; i++)
                if (span_equal_string(name, rows[i].name)) {
                        *ret = i;
                        return true;
                }
        return false;
}

bool interface_allows(enum interface i, uint8_t method) {
        return method < 32 && rows[i].methods >> method & 1;
}
