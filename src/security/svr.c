#include "security/svr.h"
#include "base/memory.h"
#include "security/svr_private.h"

#include <errno.h>
#include <string.h>

static const struct {
        const char *href, *type;
} names[_SVR_N] = {
        [SVR_DOXM] = { "/oic/sec/doxm", "oic.r.doxm" }, [SVR_PSTAT] = { "/oic/sec/pstat", "oic.r.pstat" },
        [SVR_CRED] = { "/oic/sec/cred", "oic.r.cred" }, [SVR_ACL2] = { "/oic/sec/acl2", "oic.r.acl2" },
        [SVR_SP] = { "/oic/sec/sp", "oic.r.sp" },       [SVR_SDI] = { "/oic/sec/sdi", "oic.r.sdi" },
        [SVR_AEL] = { "/oic/sec/ael", "oic.r.ael" },    [SVR_ROLES] = { "/oic/sec/roles", "oic.r.roles" },
        [SVR_CSR] = { "/oic/sec/csr", "oic.r.csr" },
};

const char *svr_href(enum svr_id id) {
        return names[id].href;
}

const char *svr_type(enum svr_id id) {
        return names[id].type;
}

bool svr_by_href(enum svr_id *ret, struct span href) {
        for (enum svr_id id = 0; id < _SVR_N; id++)
                if (span_equal_string(href, names[id].href)) {
                        *ret = id;
                        return true;
                }
        return false;
}

static void clear_creds(struct svr *svr) {
        while (svr->n_creds)
                cred_free(svr->creds[--svr->n_creds]);
}

static void clear_aces(struct svr *svr) {
        while (svr->n_aces)
                ace_free(svr->aces[--svr->n_aces]);
}

static void clear_others(struct svr *svr) {
        svr->sp = (struct svr_sp){ .supported = svr->device.profiles, .current = svr->device.profile };
        svr->sdi = (struct svr_sdi){ 0 };
        svr_ael_clear(&svr->ael);
}

#define OM_AFTER_RESET 3

/* security.md 1.3, 1.4: om is 3 although only 4 is supported; the onboarding tool writes it first. */
static void apply(struct svr *svr, const struct svr_entry *entry, const struct uuid *deviceuuid) {
        if (entry->doxm == SVR_CLEAR) {
                svr->doxm = (struct svr_doxm){ .oxmsel = SVR_NO_TRANSFER, .deviceuuid = *deviceuuid };
                svr->rowner[SVR_DOXM] = (struct uuid){ { 0 } };
        }
        if (entry->pstat == SVR_CLEAR) {
                svr->pstat = (struct svr_pstat){ .om = OM_AFTER_RESET };
                svr->rowner[SVR_PSTAT] = (struct uuid){ { 0 } };
        }
        if (entry->cred == SVR_CLEAR) {
                clear_creds(svr);
                svr->rowner[SVR_CRED] = (struct uuid){ { 0 } };
        }
        if (entry->acl2 == SVR_CLEAR) {
                clear_aces(svr);
                svr->rowner[SVR_ACL2] = (struct uuid){ { 0 } };
        }
        if (entry->others == SVR_CLEAR)
                clear_others(svr);
}

void svr_init(struct svr *svr, const struct svr_device *device) {
        *svr = (struct svr){ .device = *device };
        if (!svr->device.profiles)
                svr->device.profiles = 1u << SVR_BASELINE;
        if (!svr->device.ael_max || svr->device.ael_max > SVR_AEL_BYTES_MAX)
                svr->device.ael_max = SVR_AEL_BYTES_MAX;
        svr_machine_init(&svr->machine);
        apply(svr, svr_entry_of(SVR_RESET), &(struct uuid){ { 0 } });
}

void svr_deinit(struct svr *svr) {
        clear_creds(svr);
        clear_aces(svr);
        svr_ael_clear(&svr->ael);
}

void svr_reset(struct svr *svr, const struct uuid *deviceuuid) {
        struct svr_facts facts;

        svr_machine_reset(&svr->machine, 0);
        apply(svr, svr_entry_of(SVR_RESET), deviceuuid);
        svr->handshaking = false;
        facts = svr_facts(svr);
        (void)svr_machine_reset_done(&svr->machine, &facts);
}

int32_t svr_next_id(uint64_t *random) {
        uint64_t z = *random += 0x9e3779b97f4a7c15; /* splitmix64: ids are no secret, they only must differ */
        int32_t id;

        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
        z = (z ^ z >> 27) * 0x94d049bb133111eb;
        id = (int32_t)((z ^ z >> 31) & INT32_MAX);
        return id ? id : 1;
}

int32_t svr_free_credid(struct cred *const *creds, size_t n, uint64_t *random) {
        for (;;) {
                int32_t id = svr_next_id(random);
                size_t i = 0;

                while (i < n && creds[i]->id != id)
                        i++;
                if (i == n)
                        return id;
        }
}

int svr_add_cred(struct svr *svr, const struct cred *view, uint64_t random) {
        struct cred with_id = *view;

        if (svr->n_creds == SVR_CREDS_MAX)
                return -ENOMEM;
        if (with_id.id == CRED_ID_NONE)
                with_id.id = svr_free_credid(svr->creds, svr->n_creds, &random);
        return cred_new(&svr->creds[svr->n_creds], &with_id) ? -ENOMEM : (svr->n_creds++, 0);
}

static bool has_cred(struct cred *const *creds, size_t n, const struct uuid *subject) {
        for (size_t i = 0; i < n; i++)
                if (cred_is_about(creds[i], subject))
                        return true;
        return false;
}

static bool is_self(const struct svr *svr, const struct uuid *rowner) {
        return svr->device.self_owned && uuid_equal(rowner, &svr->doxm.deviceuuid);
}

bool svr_may_own(const struct svr *svr, struct cred *const *creds, size_t n, const struct uuid *rowner) {
        return svr->machine.state == SVR_RFOTM || is_self(svr, rowner) || has_cred(creds, n, rowner);
}

bool svr_rowners_stay(const struct svr *svr, struct cred *const *creds, size_t n) {
        for (size_t i = 0; i < SVR_OWNED_N; i++)
                if (has_cred(svr->creds, svr->n_creds, &svr->rowner[i]) &&
                    !has_cred(creds, n, &svr->rowner[i]))
                        return false;
        return true;
}

struct svr_facts svr_facts(const struct svr *svr) {
        struct svr_facts facts = {
                .owned = svr->doxm.owned,
                .has_owner = !uuid_is_nil(&svr->doxm.devowneruuid) && !uuid_is_nil(&svr->doxm.deviceuuid),
                .has_rowners = true,
                .rowners_can_come_back = true,
        };

        for (size_t i = 0; i < SVR_OWNED_N; i++) {
                const struct uuid *rowner = &svr->rowner[i];

                if (uuid_is_nil(rowner))
                        facts.has_rowners = false;
                if (!is_self(svr, rowner) && !has_cred(svr->creds, svr->n_creds, rowner))
                        facts.rowners_can_come_back = false;
        }
        return facts;
}

struct svr_snapshot svr_snapshot(const struct svr *svr) {
        struct svr_snapshot s = {
                .state = svr->machine.state,
                .pending = svr->machine.pending,
                .transfer = svr->machine.transfer,
                .devowner = svr->doxm.devowneruuid,
                .n_creds = svr->n_creds,
                .n_aces = svr->n_aces,
                .creds = (const struct cred *const *)svr->creds,
                .aces = (const struct ace *const *)svr->aces,
        };

        memcpy(s.rowner, svr->rowner, sizeof(s.rowner));
        return s;
}

const struct cred *svr_find_psk(const struct svr *svr, const struct uuid *subject) {
        for (size_t i = svr->n_creds; i-- > 0;)
                if (svr->creds[i]->type == CRED_PSK && cred_is_about(svr->creds[i], subject))
                        return svr->creds[i];
        return NULL;
}

void svr_session_deinit(struct svr_session *session) {
        while (session->n_roles) {
                struct svr_role *role = &session->roles[--session->n_roles];

                ocf_free(role->role);
                ocf_free(role->authority);
                ocf_free(role->pem);
        }
}

/* Whatever a device has after a reset besides what its manufacturer gave it: who began a transfer and did not
 * end it must not leave a key behind for the time of the next owner. */
static bool transfer_has_left_something(const struct svr *svr) {
        bool any = svr->doxm.owned || !uuid_is_nil(&svr->doxm.devowneruuid) || svr->n_aces ||
                   svr->pstat.om != OM_AFTER_RESET || svr->pstat.tm || !uuid_is_nil(&svr->sdi.uuid) ||
                   svr->sdi.n_name || svr->sdi.priv;

        for (size_t i = 0; i < SVR_OWNED_N; i++)
                any |= !uuid_is_nil(&svr->rowner[i]);
        for (size_t i = 0; i < svr->n_creds; i++)
                any |= svr->creds[i]->usage != CRED_MFGCERT && svr->creds[i]->usage != CRED_MFGTRUSTCA;
        return any;
}

/* security.md 1.12: whoever owns the device keeps it; what goes together badly is sealed, not reset. */
int svr_check(struct svr *svr) {
        struct svr_facts facts = svr_facts(svr);

        switch (svr->machine.state) {
        case SVR_RESET:
                return 0; /* due already */
        case SVR_RFOTM:
                if (transfer_has_left_something(svr) || uuid_is_nil(&svr->doxm.deviceuuid))
                        svr_machine_reset(&svr->machine, 0);
                return 0;
        case SVR_RFPRO:
        case SVR_RFNOP:
        case SVR_SRESET:
        case _SVR_STATE_N:
                break;
        }
        return facts.owned && facts.has_owner && facts.has_rowners && facts.rowners_can_come_back
                       ? 0
                       : SVR_E_SEALED;
}
