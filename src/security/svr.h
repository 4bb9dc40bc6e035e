/*
 * The secure resources of one logical device: who owns it, which keys it has,
 * who may do what, and in which state all that is.
 *
 * Each logical device has its own struct svr. It is changed by svr_request()
 * (svr_request.h), by the machine of states, and by the reset; it is remembered as one
 * map per resource, in normal form. The store encrypts those and keeps them in
 * one transaction; a map holds secrets, GET never does.
 */
#ifndef OCF_SECURITY_SVR_H
#define OCF_SECURITY_SVR_H

#include "security/ace.h"
#include "security/cred.h"
#include "security/svr_state.h"

enum svr_id {
        SVR_DOXM, /* the first four have a rowneruuid */
        SVR_PSTAT,
        SVR_CRED,
        SVR_ACL2,
        SVR_SP,
        SVR_SDI,
        SVR_AEL,
        _SVR_STORED_N, /* from here on nothing is remembered */
        SVR_ROLES = _SVR_STORED_N,
        SVR_CSR,
        _SVR_N,
};
#define SVR_OWNED_N           4
#define SVR_BIT(id)           (1u << (id))
#define SVR_ALL               (SVR_BIT(_SVR_STORED_N) - 1)

#define SVR_CREDS_MAX         128
#define SVR_ACES_MAX          256
#define SVR_CRED_BYTES_MAX    (96 * 1024)
#define SVR_ACE_BYTES_MAX     (96 * 1024)
#define SVR_REP_MAX           (128 * 1024) /* a writer of this size holds any answer, and any map for the store */
#define SVR_NAME_MAX          64           /* of a security domain */
#define SVR_SESSION_ROLES_MAX 8
#define SVR_RECORDS_MAX       256
#define SVR_AEL_BYTES_MAX     16384

/* doxm.oxmsel; oxms are bits of these */
enum svr_transfer { SVR_JUST_WORKS, SVR_RANDOM_PIN, SVR_MANUFACTURER, SVR_NO_TRANSFER = 4 };

enum svr_profile { SVR_BASELINE, SVR_BLACK, SVR_BLUE, SVR_PURPLE, _SVR_PROFILE_N };

/* What the device can do, as long as the daemon runs. */
struct svr_device {
        uint8_t oxms;     /* bits of enum svr_transfer */
        uint16_t sct;     /* bits of enum cred_type */
        uint8_t profiles; /* bits of enum svr_profile, the manufacturer's; 0: baseline alone */
        uint8_t profile;  /* the current one after a reset */
        bool self_owned;  /* an onboarding tool owns itself: it needs no credential for itself */
        size_t ael_max;   /* 0: SVR_AEL_BYTES_MAX */
};

struct svr_doxm {
        uint8_t oxmsel; /* enum svr_transfer */
        bool owned;
        struct uuid deviceuuid, devowneruuid;
};

struct svr_pstat {
        uint16_t tm; /* as written; the machine adds its own bits */
        uint8_t om;
};

struct svr_sp {
        uint8_t supported; /* bits of enum svr_profile */
        uint8_t current;
};

struct svr_sdi {
        struct uuid uuid;
        size_t n_name;
        char name[SVR_NAME_MAX];
        bool priv;
};

/* One event that may be audited (security.md 7). */
enum svr_ael_category {
        SVR_AEL_ACCESS = 1,
        SVR_AEL_ONBOARDING = 2,
        SVR_AEL_DEVICE = 4,
        SVR_AEL_AUTHENTICATION = 8,
        SVR_AEL_SVR = 16,
        SVR_AEL_CLOUD = 32,
        SVR_AEL_COMMUNICATION = 64
};
enum svr_ael_priority {
        SVR_AEL_CRITICAL,
        SVR_AEL_ERROR,
        SVR_AEL_WARNING,
        SVR_AEL_INFORMATION,
        SVR_AEL_DEBUG
};

struct svr_event {
        const char *id; /* AC-1 */
        uint8_t category, priority;
        int64_t wall_s;
        const char *message;
        size_t n_details;
        const struct span *details; /* valid UTF-8, each cut off at 256 bytes */
};

struct svr_record {
        size_t n;
        uint8_t bytes[]; /* its map, in normal form */
};

struct svr_ael {
        uint8_t categories, priority; /* the filters */
        size_t n_records, n_bytes;
        struct svr_record *records[SVR_RECORDS_MAX]; /* oldest first */
};

struct svr {
        struct svr_device device;
        struct svr_machine machine;
        struct svr_doxm doxm;
        struct svr_pstat pstat;
        struct uuid rowner[SVR_OWNED_N]; /* rowneruuid of SVR_DOXM, SVR_PSTAT, SVR_CRED, SVR_ACL2 */
        size_t n_creds, n_aces;
        struct cred *creds[SVR_CREDS_MAX]; /* newest last */
        struct ace *aces[SVR_ACES_MAX];
        struct svr_sp sp;
        struct svr_sdi sdi;
        struct svr_ael ael;
        bool handshaking; /* the daemon says so: a handshake is going on, the transfer method stays as it is
                           */
};

/* A role that a certificate session has proven. */
struct svr_role {
        int32_t credid;
        char *role, *authority;
        uint8_t *pem;
        size_t n_pem;
        bool is_owner;   /* oic.role.owner, issued under the owner's root */
        int64_t until_s; /* its certificate ends then */
};

/* What a secure channel has proven about its peer, and what it asserted since. Owned by the channel. */
struct svr_session {
        struct uuid id;  /* nil: nobody in particular */
        bool onboarding; /* the session that takes ownership; ends with RFNOP */
        bool by_certificate;
        size_t n_roles;
        struct svr_role roles[SVR_SESSION_ROLES_MAX];
};

/* What the access decision looks at. It borrows: it is good until the next change. */
struct svr_snapshot {
        enum svr_state state;
        bool pending;  /* a reset is going on */
        bool transfer; /* an onboarding session exists */
        struct uuid devowner;
        struct uuid rowner[SVR_OWNED_N];
        size_t n_creds, n_aces;
        const struct cred *const *creds;
        const struct ace *const *aces;
};

enum {
        SVR_E_DAMAGED = 1, /* not what svr_save() writes */
        SVR_E_SEALED,      /* owned, but so that its owner could never come back */
};

/* All empty, in RESET, with the reset due. */
void svr_init(struct svr *svr, const struct svr_device *device);
void svr_deinit(struct svr *svr);

/* Does the reset (security.md 2.4) and goes on to RFOTM: another UUID, nothing of the owner left. Keys of the
 * identity, sessions and factory credentials are the caller's next steps. */
void svr_reset(struct svr *svr, const struct uuid *deviceuuid);

/* As svr_reset(), and then the device owns itself, in RFNOP: an onboarding tool (svr_device.self_owned).
 * domain and name are of its security domain. Return: 0 or -ENOMEM. */
int svr_own_itself(struct svr *svr, const struct uuid *id, const struct uuid *domain, struct span name);

/* A credential of the manufacturer or of the administrator, which no peer may write. Return: 0 or -ENOMEM. */
int svr_add_cred(struct svr *svr, const struct cred *view, uint64_t random);

void svr_save(const struct svr *svr, enum svr_id id, struct writer *w);
int svr_load(struct svr *svr, enum svr_id id, struct span map); /* 0, SVR_E_DAMAGED, -ENOMEM */

/* After all was loaded: does it go together? An unfinished transfer becomes a reset that is due; an owned
 * device is never reset by itself. Return: 0 or SVR_E_SEALED. */
int svr_check(struct svr *svr);

struct svr_facts svr_facts(const struct svr *svr);
struct svr_snapshot svr_snapshot(const struct svr *svr);
const struct cred *svr_find_psk(const struct svr *svr,
                                const struct uuid *subject); /* the newest; NULL: none */

/* Keeps an event that the filters let through, giving up the oldest. true when something was kept,
 * *ret_changed; -ENOMEM. */
int svr_audit(struct svr *svr, const struct svr_event *event, bool *ret_kept);

void svr_session_deinit(struct svr_session *session);

const char *svr_href(enum svr_id id);
const char *svr_type(enum svr_id id);
bool svr_by_href(enum svr_id *ret, struct span href);

#endif
