#include "security/svr_state.h"

/* security.md 2.2, the strict reading: RFOTM does not lead to RFNOP, and nobody brings a device to RFOTM. */
static const enum svr_way ways[_SVR_STATE_N][_SVR_STATE_N] = {
        [SVR_RESET] = { [SVR_RESET] = SVR_WAY_ITSELF, [SVR_RFOTM] = SVR_WAY_ITSELF },
        [SVR_RFOTM] = { [SVR_RESET] = SVR_WAY_PEER, [SVR_RFOTM] = SVR_WAY_SAME, [SVR_RFPRO] = SVR_WAY_PEER },
        [SVR_RFPRO] = { [SVR_RESET] = SVR_WAY_PEER,
                        [SVR_RFPRO] = SVR_WAY_SAME,
                        [SVR_RFNOP] = SVR_WAY_PEER,
                        [SVR_SRESET] = SVR_WAY_PEER },
        [SVR_RFNOP] = { [SVR_RESET] = SVR_WAY_PEER,
                        [SVR_RFPRO] = SVR_WAY_PEER,
                        [SVR_RFNOP] = SVR_WAY_SAME,
                        [SVR_SRESET] = SVR_WAY_PEER },
        [SVR_SRESET] = { [SVR_RESET] = SVR_WAY_PEER,
                         [SVR_RFPRO] = SVR_WAY_PEER,
                         [SVR_SRESET] = SVR_WAY_SAME },
};

/* Soft reset keeps credentials and entries: it is for repairing them. Ownership itself is written by the
 * onboarding tool (doxm.owned), no transition sets it. */
static const struct svr_entry entries[_SVR_STATE_N] = {
        [SVR_RESET] = { .name = "RESET",
                        .cm = 1,
                        .tm = 2,
                        .doxm = SVR_CLEAR,
                        .pstat = SVR_CLEAR,
                        .cred = SVR_CLEAR,
                        .acl2 = SVR_CLEAR,
                        .others = SVR_CLEAR },
        [SVR_RFOTM] = { .name = "RFOTM", .cm = 2, .needs_no_owner = true },
        [SVR_RFPRO] = { .name = "RFPRO", .needs_owner = true },
        [SVR_RFNOP] = { .name = "RFNOP", .isop = true, .needs_owner = true },
        [SVR_SRESET] = { .name = "SRESET", .cm = 1, .needs_owner = true },
};

static const char *const error_texts[] = {
        [0] = "done",
        [SVR_STATE_E_PENDING] = "a transition is going on",
        [SVR_STATE_E_NO_WAY] = "that state cannot be reached from here",
        [SVR_STATE_E_NOT_OWNED] =
                "the device has no owner yet: owned, devowneruuid and deviceuuid come first",
        [SVR_STATE_E_NO_ROWNER] = "doxm, pstat, cred and acl2 each need a rowneruuid first",
        [SVR_STATE_E_NO_CREDENTIAL] = "a resource owner has no credential and could never come back",
        [SVR_STATE_E_OWNED] = "the device has an owner",
};

const struct svr_entry *svr_entry_of(enum svr_state state) {
        return &entries[state];
}

enum svr_way svr_way(enum svr_state from, enum svr_state to) {
        return ways[from][to];
}

const char *svr_state_error_text(int outcome) {
        return error_texts[outcome];
}

static void enter(struct svr_machine *m, enum svr_state to) {
        m->state = to;
        if (to != SVR_RFOTM) {
                m->transfer = false;
                m->transfer_until = OCF_NEVER;
        }
}

void svr_machine_init(struct svr_machine *m) {
        *m = (struct svr_machine){ .reset_due_ms = OCF_NEVER, .transfer_until = OCF_NEVER };
        enter(m, SVR_RESET);
        svr_machine_reset(m, 0);
}

void svr_machine_restore(struct svr_machine *m, enum svr_state state, bool pending) {
        svr_machine_init(m);
        if (state == SVR_RESET || pending)
                return;
        m->pending = false;
        m->reset_due_ms = OCF_NEVER;
        enter(m, state);
}

static int check_owner(const struct svr_facts *facts) {
        if (!facts->owned || !facts->has_owner)
                return SVR_STATE_E_NOT_OWNED;
        if (!facts->has_rowners)
                return SVR_STATE_E_NO_ROWNER;
        if (!facts->rowners_can_come_back)
                return SVR_STATE_E_NO_CREDENTIAL;
        return 0;
}

int svr_machine_check(const struct svr_machine *m, enum svr_state to, const struct svr_facts *facts) {
        if (m->pending)
                return SVR_STATE_E_PENDING;
        switch (ways[m->state][to]) {
        case SVR_WAY_SAME:
                return 0;
        case SVR_WAY_PEER:
                return entries[to].needs_owner ? check_owner(facts) : 0;
        case SVR_WAY_NONE:
        case SVR_WAY_ITSELF:
                break;
        }
        return SVR_STATE_E_NO_WAY;
}

int svr_machine_ask(struct svr_machine *m, enum svr_state to, const struct svr_facts *facts,
                    uint64_t now_ms) {
        int r = svr_machine_check(m, to, facts);

        if (r)
                return r;
        if (to == SVR_RESET)
                svr_machine_reset(m, now_ms + SVR_RESET_DELAY_MS);
        else
                enter(m, to);
        return 0;
}

void svr_machine_reset(struct svr_machine *m, uint64_t due_ms) {
        enter(m, SVR_RESET);
        m->pending = true;
        m->reset_due_ms = ocf_min_u64(m->reset_due_ms, due_ms);
}

int svr_machine_reset_done(struct svr_machine *m, const struct svr_facts *facts) {
        if (m->state != SVR_RESET)
                return SVR_STATE_E_NO_WAY;
        if (facts->owned)
                return SVR_STATE_E_OWNED;
        m->pending = false;
        m->reset_due_ms = OCF_NEVER;
        enter(m, SVR_RFOTM);
        return 0;
}

void svr_machine_transfer_began(struct svr_machine *m, uint64_t now_ms) {
        if (m->state != SVR_RFOTM || m->transfer)
                return;
        m->transfer = true;
        m->transfer_until = now_ms + SVR_TRANSFER_MAX_MS;
}

void svr_machine_transfer_lost(struct svr_machine *m, uint64_t now_ms) {
        if (m->state == SVR_RFOTM && m->transfer)
                svr_machine_reset(m, now_ms);
}

uint64_t svr_machine_deadline(const struct svr_machine *m) {
        return ocf_min_u64(m->reset_due_ms, m->transfer_until);
}

enum svr_due svr_machine_due(struct svr_machine *m, uint64_t now_ms) {
        if (m->transfer_until <= now_ms)
                svr_machine_reset(m, now_ms);
        return m->reset_due_ms <= now_ms ? SVR_DUE_RESET : SVR_DUE_NOTHING;
}

bool svr_machine_stop(const struct svr_machine *m) {
        return m->transfer;
}
