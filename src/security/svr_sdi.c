#include "security/svr_private.h"

#include <string.h>

/*
 * /oic/sec/sdi: the security domain that the device belongs to (security.md
 * 1.10). Unlike elsewhere, unknown properties are passed over.
 */

enum property { SDI_UUID, SDI_NAME, SDI_PRIV, _PROPERTY_N };

#define WRITABLE (SVR_IN(SVR_RFOTM) | SVR_IN(SVR_RFPRO) | SVR_IN(SVR_SRESET))

static const struct svr_property properties[_PROPERTY_N] = {
        [SDI_UUID] = { "uuid", SVR_IN(SVR_RFOTM) },
        [SDI_NAME] = { "name", WRITABLE },
        [SDI_PRIV] = { "priv", WRITABLE },
};

static const char *take(struct svr_sdi *sdi, enum property property, struct span value) {
        struct span text;

        switch (property) {
        case SDI_UUID:
                return svr_as_uuid(value, &sdi->uuid) ? NULL : "uuid is no UUID";
        case SDI_NAME:
                if (!svr_as_text(value, SVR_NAME_MAX, &text))
                        return "name is a text of at most 64 bytes";
                memset(sdi->name, 0, sizeof(sdi->name));
                memcpy(sdi->name, text.data, text.n);
                sdi->n_name = text.n;
                return NULL;
        case SDI_PRIV:
                return rep_as_bool(value, &sdi->priv) ? NULL : "priv is no boolean";
        case _PROPERTY_N:
                break;
        }
        return "a property that is not known";
}

static int update(struct svr *svr, const struct svr_call *call, struct svr_result *ret) {
        struct svr_sdi sdi = svr->sdi;
        struct span pairs, key, value;
        bool any = false;
        uint64_t n;

        if (!rep_map_begin(call->request->payload, &pairs, &n))
                return svr_refuse(ret, FAULT_BAD_REPRESENTATION, "a map is wanted");
        while (rep_map_next(&pairs, &key, &value)) {
                int i = svr_property_find(properties, _PROPERTY_N, key);
                const char *problem;

                if (i < 0)
                        continue;
                if (svr_property_fault(&properties[i], svr->machine.state))
                        return svr_refuse(ret, FAULT_FORBIDDEN,
                                          "not to be written in this state of the device");
                problem = take(&sdi, (enum property)i, value);
                if (problem)
                        return svr_refuse(ret, FAULT_BAD_REPRESENTATION, problem);
                any = true;
        }
        if (!any)
                return svr_refuse(ret, FAULT_BAD_REPRESENTATION, "uuid, name or priv is wanted");
        svr->sdi = sdi;
        return svr_done(ret, COAP_CHANGED, SVR_BIT(SVR_SDI), SVR_EFFECT_SDI);
}

static int retrieve(struct svr *svr, const struct svr_call *call, struct writer *out,
                    struct svr_result *ret) {
        uint64_t n;
        size_t begun = svr_begin(out, call, &n);

        rep_put_string(out, "uuid");
        svr_put_uuid(out, &svr->sdi.uuid);
        rep_put_string(out, "name");
        rep_put_text(out, span_of(svr->sdi.name, svr->sdi.n_name));
        rep_put_string(out, "priv");
        rep_put_bool(out, svr->sdi.priv);
        return svr_end(out, begun, n + 3, ret);
}

int svr_sdi_request(struct svr *svr, const struct svr_call *call, struct writer *out,
                    struct svr_result *ret) {
        return call->request->method == COAP_GET ? retrieve(svr, call, out, ret) : update(svr, call, ret);
}
