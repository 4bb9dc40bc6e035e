#include "security/svr_private.h"

/*
 * /oic/sec/sp: security profiles (security.md 1.7, 8). They are told and
 * chosen; nothing else depends on them.
 */

enum property { SUPPORTED, CURRENT, _PROPERTY_N };

#define WRITABLE (SVR_IN(SVR_RFOTM) | SVR_IN(SVR_RFPRO) | SVR_IN(SVR_SRESET))

static const struct svr_property properties[_PROPERTY_N] = {
        [SUPPORTED] = { "supportedprofiles", WRITABLE },
        [CURRENT] = { "currentprofile", WRITABLE },
};

static const char *const oids[_SVR_PROFILE_N] = {
        [SVR_BASELINE] = "1.3.6.1.4.1.51414.0.0.1.0",
        [SVR_BLACK] = "1.3.6.1.4.1.51414.0.0.2.0",
        [SVR_BLUE] = "1.3.6.1.4.1.51414.0.0.3.0",
        [SVR_PURPLE] = "1.3.6.1.4.1.51414.0.0.4.0",
};

const char *svr_profile_oid(enum svr_profile profile) {
        return oids[profile];
}

static bool as_profile(struct span item, enum svr_profile *ret) {
        struct span text;

        if (!rep_as_text(item, &text))
                return false;
        for (enum svr_profile i = 0; i < _SVR_PROFILE_N; i++)
                if (span_equal_string(text, oids[i])) {
                        *ret = i;
                        return true;
                }
        return false;
}

static bool take_supported(uint8_t *ret, struct span value) {
        struct span items, item;
        enum svr_profile profile;
        uint8_t bits = 0;
        uint64_t n;

        if (!svr_array_begin(value, &items, &n))
                return false;
        while (n-- && rep_skip(&items, &item)) {
                if (!as_profile(item, &profile))
                        return false;
                bits |= (uint8_t)(1u << profile);
        }
        *ret = bits;
        return true;
}

static int update(struct svr *svr, const struct svr_call *call, struct svr_result *ret) {
        struct svr_walk walk = { .table = properties, .n_table = _PROPERTY_N };
        struct svr_sp sp = svr->sp;
        enum svr_profile profile = SVR_BASELINE;
        struct span value;
        int i, r;

        while ((r = svr_walk(&walk, svr, call, &i, &value, ret)) > 0) {
                if (i == SUPPORTED ? take_supported(&sp.supported, value) : as_profile(value, &profile)) {
                        if (i == CURRENT)
                                sp.current = (uint8_t)profile;
                        continue;
                }
                return svr_refuse(ret, FAULT_BAD_REPRESENTATION, "a profile that is not known");
        }
        if (r < 0)
                return 0;
        if (!(sp.supported >> sp.current & 1))
                return svr_refuse(ret, FAULT_BAD_REPRESENTATION,
                                  "currentprofile is not one of supportedprofiles");
        svr->sp = sp;
        return svr_done(ret, COAP_CHANGED, SVR_BIT(SVR_SP), 0);
}

static int retrieve(struct svr *svr, const struct svr_call *call, struct writer *out,
                    struct svr_result *ret) {
        uint64_t n, n_profiles = 0;
        size_t begun = svr_begin(out, call, &n);

        for (unsigned i = 0; i < _SVR_PROFILE_N; i++)
                n_profiles += svr->sp.supported >> i & 1;
        rep_put_string(out, "supportedprofiles");
        rep_put_array(out, n_profiles);
        for (unsigned i = 0; i < _SVR_PROFILE_N; i++)
                if (svr->sp.supported >> i & 1)
                        rep_put_string(out, oids[i]);
        rep_put_string(out, "currentprofile");
        rep_put_string(out, oids[svr->sp.current]);
        return svr_end(out, begun, n + 2, ret);
}

int svr_sp_request(struct svr *svr, const struct svr_call *call, struct writer *out, struct svr_result *ret) {
        return call->request->method == COAP_GET ? retrieve(svr, call, out, ret) : update(svr, call, ret);
}
