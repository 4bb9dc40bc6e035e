/*
 * The provisioning state of a device: RESET, RFOTM, RFPRO, RFNOP, SRESET.
 *
 * Who may go where, what must be true before, and what the transition does to
 * the secure resources is one table (security.md 2). The machine knows the
 * state, what is pending and until when; the resources themselves are svr.h's.
 * Time is an argument; only one function assigns the state.
 */
#ifndef OCF_SECURITY_SVR_STATE_H
#define OCF_SECURITY_SVR_STATE_H

#include "base/util.h"

/* The numbers are pstat.dos.s on the wire. */
enum svr_state { SVR_RESET, SVR_RFOTM, SVR_RFPRO, SVR_RFNOP, SVR_SRESET, _SVR_STATE_N };

/* How a transition comes about. */
enum svr_way {
        SVR_WAY_NONE,   /* not at all */
        SVR_WAY_SAME,   /* it is there already: nothing happens, and that is a success */
        SVR_WAY_PEER,   /* who may write pstat asks for it */
        SVR_WAY_ITSELF, /* the device goes there by itself */
};

/* What happens to a resource when a state is entered. */
enum svr_fate { SVR_KEEP, SVR_CLEAR };

/* What a state says of itself, and what entering it needs and does (security.md 2.1, 2.3, 2.4). */
struct svr_entry {
        const char *name;
        bool isop;
        uint8_t cm, tm; /* current and target provisioning mode */
        bool needs_owner, needs_no_owner;
        enum svr_fate doxm, pstat, cred, acl2, others; /* others: sp, sdi, ael, roles, the identity's key */
};

/* What the resources say about ownership, gathered by svr_facts(). */
struct svr_facts {
        bool owned;                 /* doxm.owned */
        bool has_owner;             /* doxm.devowneruuid and deviceuuid are not nil */
        bool has_rowners;           /* doxm, pstat, cred and acl2 each have a rowneruuid */
        bool rowners_can_come_back; /* for each of them there is a credential with exactly that subject */
};

#define SVR_RESET_DELAY_MS  2000   /* so that the answer to the one who asked gets out */
#define SVR_TRANSFER_MAX_MS 120000 /* an ownership transfer that takes longer is given up */
#define SVR_TM_MAX          511

struct svr_machine {
        enum svr_state state;
        bool pending;            /* pstat.dos.p: a reset was asked for and is not done yet */
        bool transfer;           /* somebody is taking ownership: the onboarding session was verified */
        uint64_t reset_due_ms;   /* OCF_NEVER: none pending */
        uint64_t transfer_until; /* OCF_NEVER: none running */
};

enum {
        SVR_STATE_E_PENDING = 1,   /* a transition is going on */
        SVR_STATE_E_NO_WAY,        /* the table has no such arrow */
        SVR_STATE_E_NOT_OWNED,     /* owned is false, or devowneruuid or deviceuuid is nil */
        SVR_STATE_E_NO_ROWNER,     /* a rowneruuid is nil */
        SVR_STATE_E_NO_CREDENTIAL, /* a resource owner could never come back */
        SVR_STATE_E_OWNED,         /* RFOTM is for devices without an owner */
};

enum svr_due { SVR_DUE_NOTHING, SVR_DUE_RESET };

const struct svr_entry *svr_entry_of(enum svr_state state);
enum svr_way svr_way(enum svr_state from, enum svr_state to);
const char *svr_state_error_text(int outcome); /* a sentence for diagnostics */

/* A machine in RESET whose reset is due at once: what a device without a memory is. */
void svr_machine_init(struct svr_machine *m);

/* What a store remembered. A reset that was pending is due at once, an unfinished transfer is forgotten. */
void svr_machine_restore(struct svr_machine *m, enum svr_state state, bool pending);

/* May a peer bring the device there? Return: 0 or SVR_STATE_E_*. Changes nothing. */
int svr_machine_check(const struct svr_machine *m, enum svr_state to, const struct svr_facts *facts);

/* A peer asks for a state. RESET is answered first and done SVR_RESET_DELAY_MS later; the others are done
 * now. Return: as svr_machine_check(). */
int svr_machine_ask(struct svr_machine *m, enum svr_state to, const struct svr_facts *facts, uint64_t now_ms);

/* The device resets itself: maintenance, a lost transfer, a button. Once pending it stays due as it was. */
void svr_machine_reset(struct svr_machine *m, uint64_t due_ms);

/* The resources have been reset: on to RFOTM. Return: 0; SVR_STATE_E_NO_WAY when not in RESET;
 * SVR_STATE_E_OWNED. */
int svr_machine_reset_done(struct svr_machine *m, const struct svr_facts *facts);

/* The onboarding session: verified, and gone. Losing it in RFOTM leads back to RESET, later it is harmless.
 */
void svr_machine_transfer_began(struct svr_machine *m, uint64_t now_ms);
void svr_machine_transfer_lost(struct svr_machine *m, uint64_t now_ms);

/* When to look again, and what is due then. A transfer that took too long becomes a reset. */
uint64_t svr_machine_deadline(const struct svr_machine *m);
enum svr_due svr_machine_due(struct svr_machine *m, uint64_t now_ms);

/* The daemon stops: must the device be reset first? Only if a transfer has begun and is not finished, else
 * each restart of an unowned device would change its UUID. */
bool svr_machine_stop(const struct svr_machine *m);

#endif
