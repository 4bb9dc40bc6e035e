#include "model/query.h"
#include "security/svr_private.h"

/*
 * /oic/sec/doxm: how ownership is transferred, and who the owner is
 * (security.md 1.2, 1.3).
 */

enum property {
        DOXM_OXMS,
        DOXM_OXMSEL,
        DOXM_SCT,
        DOXM_OWNED,
        DOXM_DEVICEUUID,
        DOXM_DEVOWNERUUID,
        DOXM_ROWNERUUID,
        _DOXM_N
};

static const struct svr_property properties[_DOXM_N] = {
        [DOXM_OXMS] = { "oxms", 0 },
        [DOXM_OXMSEL] = { "oxmsel", SVR_IN(SVR_RFOTM) },
        [DOXM_SCT] = { "sct", 0 },
        [DOXM_OWNED] = { "owned", SVR_IN(SVR_RFOTM) },
        [DOXM_DEVICEUUID] = { "deviceuuid", SVR_IN(SVR_RFOTM) },
        [DOXM_DEVOWNERUUID] = { "devowneruuid", SVR_IN(SVR_RFOTM) },
        [DOXM_ROWNERUUID] = { "rowneruuid", SVR_IN(SVR_RFOTM) | SVR_IN(SVR_SRESET) },
};

/* ?owned=TRUE: whoever asks all devices wants to hear only those. */
static int filter(const struct svr *svr, const struct svr_call *call, struct svr_result *ret) {
        struct span value;
        bool wanted;

        if (!query_find(call->request->query, "owned", &value))
                return 0;
        wanted = span_equal_ignoring_case(value, SPAN_LITERAL("true"));
        if (!wanted && !span_equal_ignoring_case(value, SPAN_LITERAL("false"))) {
                svr_refuse(ret, FAULT_BAD_REQUEST, "owned is TRUE or FALSE");
                return call->request->multicast ? SVR_E_SILENT : -1;
        }
        if (wanted == svr->doxm.owned)
                return 0;
        svr_refuse(ret, FAULT_BAD_REQUEST, "the device is not what owned= asks for");
        return call->request->multicast ? SVR_E_SILENT : -1;
}

static int retrieve(struct svr *svr, const struct svr_call *call, struct writer *out,
                    struct svr_result *ret) {
        int r = filter(svr, call, ret);
        size_t begun;
        uint64_t n, n_oxms = 0;

        if (r)
                return r < 0 ? 0 : r;
        begun = svr_begin(out, call, &n);
        for (unsigned i = 0; i < 8; i++)
                n_oxms += svr->device.oxms >> i & 1;
        rep_put_string(out, "oxms");
        rep_put_array(out, n_oxms);
        for (unsigned i = 0; i < 8; i++)
                if (svr->device.oxms >> i & 1)
                        rep_put_uint(out, i);
        rep_put_string(out, "oxmsel");
        rep_put_uint(out, svr->doxm.oxmsel);
        rep_put_string(out, "sct");
        rep_put_uint(out, svr->device.sct);
        rep_put_string(out, "owned");
        rep_put_bool(out, svr->doxm.owned);
        rep_put_string(out, "devowneruuid");
        svr_put_uuid(out, &svr->doxm.devowneruuid);
        rep_put_string(out, "deviceuuid");
        svr_put_uuid(out, &svr->doxm.deviceuuid);
        rep_put_string(out, "rowneruuid");
        svr_put_uuid(out, &svr->rowner[SVR_DOXM]);
        return svr_end(out, begun, n + 7, ret);
}

struct change {
        struct svr_doxm doxm;
        struct uuid rowner;
        uint32_t effects;
        bool selects, owns, has_rowner; /* oxmsel; anything else; rowneruuid */
        const char *problem;
};

/* Whoever keeps a handshake going must not keep others from choosing what is chosen already; and the PIN that
 * is shown stays good. */
static bool is_as_it_was_while_shaking_hands(const struct svr *svr, uint64_t oxmsel) {
        return svr->handshaking && oxmsel == svr->doxm.oxmsel;
}

static void take(const struct svr *svr, struct change *c, enum property property, struct span value) {
        uint64_t v;

        c->owns |= property != DOXM_OXMSEL;
        switch (property) {
        case DOXM_OXMSEL:
                c->selects = true;
                if (!svr_as_uint(value, 7, &v) || !(svr->device.oxms >> v & 1)) {
                        c->problem = "oxmsel is not one of oxms";
                        return;
                }
                c->doxm.oxmsel = (uint8_t)v;
                if (is_as_it_was_while_shaking_hands(svr, v))
                        return;
                c->effects |= SVR_EFFECT_TRANSFER;
                if (v == SVR_RANDOM_PIN)
                        c->effects |= SVR_EFFECT_PIN;
                return;
        case DOXM_OWNED:
                if (!rep_as_bool(value, &c->doxm.owned))
                        c->problem = "owned is no boolean";
                if (c->doxm.owned != svr->doxm.owned)
                        c->effects |= SVR_EFFECT_OWNED;
                return;
        case DOXM_DEVICEUUID:
                if (!svr_as_uuid(value, &c->doxm.deviceuuid) || uuid_is_nil(&c->doxm.deviceuuid))
                        c->problem = "deviceuuid is no UUID";
                else if (!uuid_equal(&c->doxm.deviceuuid, &svr->doxm.deviceuuid))
                        c->effects |= SVR_EFFECT_DEVICEUUID;
                return;
        case DOXM_DEVOWNERUUID:
                if (!svr_as_uuid(value, &c->doxm.devowneruuid))
                        c->problem = "devowneruuid is no UUID";
                c->effects |= SVR_EFFECT_ACCESS;
                return;
        case DOXM_ROWNERUUID:
                c->has_rowner = true;
                if (!svr_as_uuid(value, &c->rowner))
                        c->problem = "rowneruuid is no UUID";
                c->effects |= SVR_EFFECT_ACCESS;
                return;
        case DOXM_OXMS:
        case DOXM_SCT:
        case _DOXM_N:
                break;
        }
        c->problem = "a property that only the device writes";
}

/* The method is chosen in clear, before the session that it decides about; all else is said within that
 * session. */
static const char *check_way(const struct svr *svr, const struct svr_call *call, const struct change *c) {
        if (c->selects && call->session)
                return "oxmsel is chosen over plain CoAP, before the session";
        if (c->selects && (svr->machine.transfer ||
                           (svr->handshaking && !is_as_it_was_while_shaking_hands(svr, c->doxm.oxmsel))))
                return "somebody is taking ownership";
        if (c->owns && svr->machine.state == SVR_RFOTM && !svr_over_onboarding(call))
                return "only over the session that takes ownership";
        if (c->has_rowner && !svr_may_own(svr, svr->creds, svr->n_creds, &c->rowner))
                return SVR_NO_SUCH_OWNER;
        return NULL;
}

static int update(struct svr *svr, const struct svr_call *call, struct svr_result *ret) {
        struct svr_walk walk = { .table = properties, .n_table = _DOXM_N };
        struct change c = { .doxm = svr->doxm, .rowner = svr->rowner[SVR_DOXM] };
        struct span value;
        const char *way;
        int i, r;

        while ((r = svr_walk(&walk, svr, call, &i, &value, ret)) > 0) {
                take(svr, &c, (enum property)i, value);
                if (c.problem)
                        return svr_refuse(ret, FAULT_BAD_REPRESENTATION, c.problem);
        }
        if (r < 0)
                return 0;
        way = check_way(svr, call, &c);
        if (way)
                return svr_refuse(ret, FAULT_FORBIDDEN, way);
        svr->doxm = c.doxm;
        svr->rowner[SVR_DOXM] = c.rowner;
        return svr_done(ret, COAP_CHANGED, c.selects || c.owns ? SVR_BIT(SVR_DOXM) : 0, c.effects);
}

int svr_doxm_request(struct svr *svr, const struct svr_call *call, struct writer *out,
                     struct svr_result *ret) {
        return call->request->method == COAP_GET ? retrieve(svr, call, out, ret) : update(svr, call, ret);
}
