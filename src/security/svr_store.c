#include "base/memory.h"
#include "security/svr_private.h"

#include <errno.h>
#include <string.h>

/*
 * The secure resources as the store keeps them: one map each, in normal form.
 * What is read back was sealed by the store, so that anything odd in it means
 * that it is damaged, and is not repaired.
 */

static void put_doxm(const struct svr *svr, struct writer *w) {
        rep_put_map(w, 5);
        rep_put_string(w, "oxmsel");
        rep_put_uint(w, svr->doxm.oxmsel);
        rep_put_string(w, "owned");
        rep_put_bool(w, svr->doxm.owned);
        rep_put_string(w, "deviceuuid");
        svr_put_uuid(w, &svr->doxm.deviceuuid);
        rep_put_string(w, "devowneruuid");
        svr_put_uuid(w, &svr->doxm.devowneruuid);
        rep_put_string(w, "rowneruuid");
        svr_put_uuid(w, &svr->rowner[SVR_DOXM]);
}

static void put_pstat(const struct svr *svr, struct writer *w) {
        rep_put_map(w, 5);
        rep_put_string(w, "s");
        rep_put_uint(w, svr->machine.state);
        rep_put_string(w, "p");
        rep_put_bool(w, svr->machine.pending);
        rep_put_string(w, "tm");
        rep_put_uint(w, svr->pstat.tm);
        rep_put_string(w, "om");
        rep_put_uint(w, svr->pstat.om);
        rep_put_string(w, "rowneruuid");
        svr_put_uuid(w, &svr->rowner[SVR_PSTAT]);
}

static void put_cred(const struct svr *svr, struct writer *w) {
        rep_put_map(w, 2);
        rep_put_string(w, "creds");
        rep_put_array(w, svr->n_creds);
        for (size_t i = 0; i < svr->n_creds; i++)
                cred_put(w, svr->creds[i], CRED_FROM_STORE);
        rep_put_string(w, "rowneruuid");
        svr_put_uuid(w, &svr->rowner[SVR_CRED]);
}

static void put_acl2(const struct svr *svr, struct writer *w) {
        rep_put_map(w, 2);
        rep_put_string(w, "aclist2");
        rep_put_array(w, svr->n_aces);
        for (size_t i = 0; i < svr->n_aces; i++)
                ace_put(w, svr->aces[i]);
        rep_put_string(w, "rowneruuid");
        svr_put_uuid(w, &svr->rowner[SVR_ACL2]);
}

static void put_sp(const struct svr *svr, struct writer *w) {
        rep_put_map(w, 2);
        rep_put_string(w, "supported");
        rep_put_uint(w, svr->sp.supported);
        rep_put_string(w, "current");
        rep_put_uint(w, svr->sp.current);
}

static void put_sdi(const struct svr *svr, struct writer *w) {
        rep_put_map(w, 3);
        rep_put_string(w, "uuid");
        svr_put_uuid(w, &svr->sdi.uuid);
        rep_put_string(w, "name");
        rep_put_text(w, span_of(svr->sdi.name, svr->sdi.n_name));
        rep_put_string(w, "priv");
        rep_put_bool(w, svr->sdi.priv);
}

static void put_ael(const struct svr *svr, struct writer *w) {
        rep_put_map(w, 3);
        rep_put_string(w, "categories");
        rep_put_uint(w, svr->ael.categories);
        rep_put_string(w, "priority");
        rep_put_uint(w, svr->ael.priority);
        rep_put_string(w, "events");
        rep_put_array(w, svr->ael.n_records);
        for (size_t i = 0; i < svr->ael.n_records; i++)
                rep_put_item(w, span_of(svr->ael.records[i]->bytes, svr->ael.records[i]->n));
}

/* ---- and back ---- */

static bool get_uuid(struct span map, const char *key, struct uuid *ret) {
        struct span item;

        return rep_map_find(map, key, &item) && svr_as_uuid(item, ret);
}

static bool get_uint(struct span map, const char *key, uint64_t max, uint64_t *ret) {
        struct span item;

        return rep_map_find(map, key, &item) && svr_as_uint(item, max, ret);
}

static bool get_bool(struct span map, const char *key, bool *ret) {
        struct span item;

        return rep_map_find(map, key, &item) && rep_as_bool(item, ret);
}

static bool get_list(struct span map, const char *key, uint64_t max, struct span *ret, uint64_t *ret_n) {
        struct span item;

        return rep_map_find(map, key, &item) && svr_array_begin(item, ret, ret_n) && *ret_n <= max;
}

static int take_doxm(struct svr *svr, struct span map) {
        struct svr_doxm doxm = { 0 };
        struct uuid rowner;
        uint64_t v;

        if (!get_uint(map, "oxmsel", 7, &v) || !get_bool(map, "owned", &doxm.owned) ||
            !get_uuid(map, "deviceuuid", &doxm.deviceuuid) ||
            !get_uuid(map, "devowneruuid", &doxm.devowneruuid) || !get_uuid(map, "rowneruuid", &rowner))
                return SVR_E_DAMAGED;
        doxm.oxmsel = (uint8_t)v;
        svr->doxm = doxm;
        svr->rowner[SVR_DOXM] = rowner;
        return 0;
}

static int take_pstat(struct svr *svr, struct span map) {
        struct uuid rowner;
        uint64_t s, tm, om;
        bool pending;

        if (!get_uint(map, "s", _SVR_STATE_N - 1, &s) || !get_bool(map, "p", &pending) ||
            !get_uint(map, "tm", SVR_TM_MAX, &tm) || !get_uint(map, "om", 7, &om) ||
            !get_uuid(map, "rowneruuid", &rowner))
                return SVR_E_DAMAGED;
        svr_machine_restore(&svr->machine, (enum svr_state)s, pending);
        svr->pstat = (struct svr_pstat){ .tm = (uint16_t)tm, .om = (uint8_t)om };
        svr->rowner[SVR_PSTAT] = rowner;
        return 0;
}

/* All or nothing: the list is made anew, then changes places with the old one. */
static int take_cred(struct svr *svr, struct span map) {
        uint8_t scratch[CRED_SCRATCH_MAX];
        struct cred *creds[SVR_CREDS_MAX] = { NULL };
        struct span items, item;
        struct uuid rowner;
        size_t n_creds = 0;
        uint64_t n;
        int r = 0;

        if (!get_uuid(map, "rowneruuid", &rowner) || !get_list(map, "creds", SVR_CREDS_MAX, &items, &n))
                return SVR_E_DAMAGED;
        while (!r && n-- && rep_skip(&items, &item)) {
                struct cred view;

                if (cred_parse(&view, item, CRED_FROM_STORE, scratch) || view.derive ||
                    view.id == CRED_ID_NONE)
                        r = SVR_E_DAMAGED;
                else if (cred_new(&creds[n_creds], &view))
                        r = -ENOMEM;
                else
                        n_creds++;
        }
        if (!r) {
                struct cred *old[SVR_CREDS_MAX];
                size_t n_old = svr->n_creds;

                memcpy(old, svr->creds, sizeof(old));
                memcpy(svr->creds, creds, sizeof(creds));
                memcpy(creds, old, sizeof(old));
                svr->n_creds = n_creds;
                svr->rowner[SVR_CRED] = rowner;
                n_creds = n_old;
        }
        while (n_creds)
                cred_free(creds[--n_creds]);
        return r;
}

static int take_acl2(struct svr *svr, struct span map) {
        struct ace *aces[SVR_ACES_MAX] = { NULL };
        struct ace_arrays arrays;
        struct span items, item;
        struct uuid rowner;
        size_t n_aces = 0;
        uint64_t n;
        int r = 0;

        if (!get_uuid(map, "rowneruuid", &rowner) || !get_list(map, "aclist2", SVR_ACES_MAX, &items, &n))
                return SVR_E_DAMAGED;
        while (!r && n-- && rep_skip(&items, &item)) {
                struct ace view;

                if (ace_parse(&view, item, &arrays) || view.id == ACE_ID_NONE)
                        r = SVR_E_DAMAGED;
                else if (ace_new(&aces[n_aces], &view))
                        r = -ENOMEM;
                else
                        n_aces++;
        }
        if (!r) {
                struct ace *old[SVR_ACES_MAX];
                size_t n_old = svr->n_aces;

                memcpy(old, svr->aces, sizeof(old));
                memcpy(svr->aces, aces, sizeof(aces));
                memcpy(aces, old, sizeof(old));
                svr->n_aces = n_aces;
                svr->rowner[SVR_ACL2] = rowner;
                n_aces = n_old;
        }
        while (n_aces)
                ace_free(aces[--n_aces]);
        return r;
}

static int take_sp(struct svr *svr, struct span map) {
        uint64_t supported, current;

        if (!get_uint(map, "supported", (1u << _SVR_PROFILE_N) - 1, &supported) ||
            !get_uint(map, "current", _SVR_PROFILE_N - 1, &current) || !(supported >> current & 1))
                return SVR_E_DAMAGED;
        svr->sp = (struct svr_sp){ (uint8_t)supported, (uint8_t)current };
        return 0;
}

static int take_sdi(struct svr *svr, struct span map) {
        struct svr_sdi sdi = { 0 };
        struct span item, name;

        if (!get_uuid(map, "uuid", &sdi.uuid) || !get_bool(map, "priv", &sdi.priv) ||
            !rep_map_find(map, "name", &item) || !svr_as_text(item, SVR_NAME_MAX, &name))
                return SVR_E_DAMAGED;
        memcpy(sdi.name, name.data, name.n);
        sdi.n_name = name.n;
        svr->sdi = sdi;
        return 0;
}

static int take_ael(struct svr *svr, struct span map) {
        uint64_t categories, priority, n;
        struct span items, item;
        int r = 0;

        if (!get_uint(map, "categories", 255, &categories) ||
            !get_uint(map, "priority", SVR_AEL_DEBUG, &priority) ||
            !get_list(map, "events", SVR_RECORDS_MAX, &items, &n))
                return SVR_E_DAMAGED;
        svr_ael_clear(&svr->ael);
        svr->ael.categories = (uint8_t)categories;
        svr->ael.priority = (uint8_t)priority;
        while (!r && n-- && rep_skip(&items, &item))
                r = svr_ael_keep(svr, item);
        return r;
}

static const struct {
        void (*put)(const struct svr *, struct writer *);
        int (*take)(struct svr *, struct span);
} rows[_SVR_STORED_N] = {
        [SVR_DOXM] = { put_doxm, take_doxm }, [SVR_PSTAT] = { put_pstat, take_pstat },
        [SVR_CRED] = { put_cred, take_cred }, [SVR_ACL2] = { put_acl2, take_acl2 },
        [SVR_SP] = { put_sp, take_sp },       [SVR_SDI] = { put_sdi, take_sdi },
        [SVR_AEL] = { put_ael, take_ael },
};

void svr_save(const struct svr *svr, enum svr_id id, struct writer *w) {
        rows[id].put(svr, w);
}

int svr_load(struct svr *svr, enum svr_id id, struct span map) {
        return rows[id].take(svr, map);
}
