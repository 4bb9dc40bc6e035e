#include "security/svr_private.h"

/*
 * /oic/sec/pstat: in which state the device is, and the way to another one
 * (security.md 1.4, 2).
 */

#define OM_SUPPORTED 4u /* client-directed */

enum property { PSTAT_DOS, PSTAT_CM, PSTAT_TM, PSTAT_OM, PSTAT_SM, PSTAT_ISOP, PSTAT_ROWNERUUID, _PSTAT_N };

static const struct svr_property properties[_PSTAT_N] = {
        [PSTAT_DOS] = { "dos", SVR_IN(SVR_RFOTM) | SVR_IN_OWNED },
        [PSTAT_CM] = { "cm", 0 },
        [PSTAT_TM] = { "tm", SVR_IN(SVR_RFOTM) | SVR_IN_OWNED },
        [PSTAT_OM] = { "om", SVR_IN(SVR_RFOTM) | SVR_IN_OWNED },
        [PSTAT_SM] = { "sm", 0 },
        [PSTAT_ISOP] = { "isop", 0 },
        [PSTAT_ROWNERUUID] = { "rowneruuid", SVR_IN(SVR_RFOTM) | SVR_IN(SVR_SRESET) },
};

static int retrieve(struct svr *svr, const struct svr_call *call, struct writer *out,
                    struct svr_result *ret) {
        const struct svr_entry *entry = svr_entry_of(svr->machine.state);
        uint64_t n;
        size_t begun = svr_begin(out, call, &n);

        rep_put_string(out, "dos");
        rep_put_map(out, 2);
        rep_put_string(out, "p");
        rep_put_bool(out, svr->machine.pending);
        rep_put_string(out, "s");
        rep_put_uint(out, svr->machine.state);
        rep_put_string(out, "cm");
        rep_put_uint(out, entry->cm);
        rep_put_string(out, "tm");
        rep_put_uint(out, entry->tm | (svr->pstat.tm & ~3u));
        rep_put_string(out, "om");
        rep_put_uint(out, svr->pstat.om);
        rep_put_string(out, "sm");
        rep_put_uint(out, OM_SUPPORTED);
        rep_put_string(out, "isop");
        rep_put_bool(out, entry->isop);
        rep_put_string(out, "rowneruuid");
        svr_put_uuid(out, &svr->rowner[SVR_PSTAT]);
        return svr_end(out, begun, n + 7, ret);
}

struct change {
        struct svr_pstat pstat;
        struct uuid rowner;
        bool any, has_state, has_rowner;
        enum svr_state to;
        const char *problem;
};

/* {"s": n} and nothing else: p is the device's. */
static void take_dos(struct change *c, struct span item) {
        struct span pairs, key, value;
        uint64_t n, s;

        if (!rep_map_begin(item, &pairs, &n) || n != 1 || !rep_map_next(&pairs, &key, &value) || !key.data ||
            !span_equal_string(key, "s") || !svr_as_uint(value, _SVR_STATE_N - 1, &s)) {
                c->problem = "dos holds s, 0 to 4, and nothing else";
                return;
        }
        c->has_state = true;
        c->to = (enum svr_state)s;
}

static void take(struct change *c, enum property property, struct span value) {
        uint64_t v;

        c->any = true;
        switch (property) {
        case PSTAT_DOS:
                take_dos(c, value);
                return;
        case PSTAT_TM:
                if (!svr_as_uint(value, SVR_TM_MAX, &v))
                        c->problem = "tm is out of range";
                else
                        c->pstat.tm = (uint16_t)v;
                return;
        case PSTAT_OM:
                if (!svr_as_uint(value, 7, &v) || !v || v & ~OM_SUPPORTED)
                        c->problem = "om is not one of sm";
                else
                        c->pstat.om = (uint8_t)v;
                return;
        case PSTAT_ROWNERUUID:
                c->has_rowner = true;
                if (!svr_as_uuid(value, &c->rowner))
                        c->problem = "rowneruuid is no UUID";
                return;
        case PSTAT_CM:
        case PSTAT_SM:
        case PSTAT_ISOP:
        case _PSTAT_N:
                break;
        }
        c->problem = "a property that only the device writes";
}

/* The new state is judged by what the same request wrote, and nothing is written if it is refused. */
static int change_state(struct svr *svr, const struct svr_call *call, const struct change *c) {
        struct uuid before = svr->rowner[SVR_PSTAT];
        struct svr_facts facts;
        int r;

        svr->rowner[SVR_PSTAT] = c->rowner;
        facts = svr_facts(svr);
        r = svr_machine_ask(&svr->machine, c->to, &facts, call->now_ms);
        if (r)
                svr->rowner[SVR_PSTAT] = before;
        return r;
}

static int update(struct svr *svr, const struct svr_call *call, struct svr_result *ret) {
        struct svr_walk walk = { .table = properties, .n_table = _PSTAT_N };
        struct change c = { .pstat = svr->pstat, .rowner = svr->rowner[SVR_PSTAT] };
        enum svr_state before = svr->machine.state;
        uint32_t effects = 0;
        struct span value;
        int i, r;

        while ((r = svr_walk(&walk, svr, call, &i, &value, ret)) > 0) {
                take(&c, (enum property)i, value);
                if (c.problem)
                        return svr_refuse(ret, FAULT_BAD_REPRESENTATION, c.problem);
        }
        if (r < 0)
                return 0;
        if (c.has_rowner && !svr_may_own(svr, svr->creds, svr->n_creds, &c.rowner))
                return svr_refuse(ret, FAULT_FORBIDDEN, SVR_NO_SUCH_OWNER);
        r = c.has_state ? change_state(svr, call, &c) : 0;
        if (r)
                return svr_refuse(ret, FAULT_FORBIDDEN, svr_state_error_text(r));
        svr->pstat = c.pstat;
        svr->rowner[SVR_PSTAT] = c.rowner;
        if (svr->machine.state != before)
                effects |= SVR_EFFECT_STATE | SVR_EFFECT_ACCESS;
        if (svr->machine.pending)
                effects |= SVR_EFFECT_RESET;
        if (c.has_rowner)
                effects |= SVR_EFFECT_ACCESS;
        return svr_done(ret, COAP_CHANGED, c.any ? SVR_BIT(SVR_PSTAT) : 0, effects);
}

int svr_pstat_request(struct svr *svr, const struct svr_call *call, struct writer *out,
                      struct svr_result *ret) {
        return call->request->method == COAP_GET ? retrieve(svr, call, out, ret) : update(svr, call, ret);
}
