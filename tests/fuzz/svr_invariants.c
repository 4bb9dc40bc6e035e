#include "svr_invariants.h"
#include "fuzz.h"

#include <string.h>

static uint8_t *room(uint8_t **p, size_t n) {
        if (!*p)
                *p = malloc(n);
        must_hold(*p);
        return *p;
}

/* ---- photos ---- */

static void put(struct writer *w, const void *data, size_t n) {
        must_hold(writer_put_u32(w, (uint32_t)n) && writer_put(w, data, n));
}

/* Enough of a role to see whether it is another one: its certificate may be 4 KiB long. */
static void photo_session(struct photo *p, const struct svr_session *s) {
        struct writer w = writer_on(p->session, sizeof(p->session));

        for (size_t i = 0; s && i < s->n_roles; i++) {
                const struct svr_role *r = &s->roles[i];

                put(&w, &r->credid, sizeof(r->credid));
                put(&w, r->role, ocf_min_size(strlen(r->role), 200));
                put(&w, r->pem, ocf_min_size(r->n_pem, 200));
        }
        p->n_session = w.n;
}

void photo_take(struct photo *p, const struct svr *svr, const struct svr_session *session) {
        p->state = svr->machine.state;
        p->machine = svr->machine;
        p->doxm = svr->doxm;
        memcpy(p->rowner, svr->rowner, sizeof(p->rowner));
        for (enum svr_id id = 0; id < _SVR_STORED_N; id++) {
                struct writer w = writer_on(room(&p->maps[id], SVR_REP_MAX), SVR_REP_MAX);

                svr_save(svr, id, &w);
                must_hold(!w.overflow);
                p->n[id] = w.n;
        }
        photo_session(p, session);
}

static bool same(const struct photo *a, const struct photo *b, enum svr_id id) {
        return span_equal(span_of(a->maps[id], a->n[id]), span_of(b->maps[id], b->n[id]));
}

void must_be_same(const struct photo *before, const struct photo *after) {
        for (enum svr_id id = 0; id < _SVR_STORED_N; id++)
                must_hold(same(before, after, id));
        must_hold(span_equal(span_of(before->session, before->n_session),
                             span_of(after->session, after->n_session)));
        must_hold(before->machine.reset_due_ms == after->machine.reset_due_ms &&
                  before->machine.transfer_until == after->machine.transfer_until);
}

static bool doxm_is_same(const struct photo *a, const struct photo *b) {
        return uuid_equal(&a->doxm.deviceuuid, &b->doxm.deviceuuid);
}

void must_be_told(const struct photo *before, const struct photo *after, const struct svr_result *result) {
        uint32_t effects = result->effects;

        for (enum svr_id id = 0; id < _SVR_STORED_N; id++)
                must_hold(same(before, after, id) || result->changed & SVR_BIT(id));
        must_hold(same(before, after, SVR_CRED) || effects & SVR_EFFECT_CREDS);
        must_hold((same(before, after, SVR_CRED) && same(before, after, SVR_ACL2)) ||
                  effects & SVR_EFFECT_ACCESS);
        must_hold(!memcmp(before->rowner, after->rowner, sizeof(before->rowner)) ||
                  effects & SVR_EFFECT_ACCESS);
        must_hold(uuid_equal(&before->doxm.devowneruuid, &after->doxm.devowneruuid) ||
                  effects & SVR_EFFECT_ACCESS);
        must_hold(before->doxm.owned == after->doxm.owned || effects & SVR_EFFECT_OWNED);
        must_hold(doxm_is_same(before, after) || effects & SVR_EFFECT_DEVICEUUID);
        must_hold(before->doxm.oxmsel == after->doxm.oxmsel || effects & SVR_EFFECT_TRANSFER);
        must_hold(before->state == after->state || effects & SVR_EFFECT_STATE);
        must_hold(after->machine.pending == !!(effects & SVR_EFFECT_RESET));
        must_hold(same(before, after, SVR_SDI) || effects & SVR_EFFECT_SDI);
        must_hold(before->n_session == after->n_session || effects & SVR_EFFECT_ACCESS);
}

static bool is_owned_state(enum svr_state s) {
        return s == SVR_RFPRO || s == SVR_RFNOP || s == SVR_SRESET;
}

void must_stay_owned(const struct photo *before, const struct photo *after) {
        if (!is_owned_state(before->state))
                return;
        must_hold(is_owned_state(after->state) || after->machine.pending);
        must_hold(after->doxm.owned && doxm_is_same(before, after));
        must_hold(uuid_equal(&before->doxm.devowneruuid, &after->doxm.devowneruuid));
        must_hold(before->doxm.oxmsel == after->doxm.oxmsel);
}

/* ---- limits ---- */

void must_be_sound(const struct svr *svr) {
        struct svr_facts facts = svr_facts(svr);
        size_t n_bytes = 0;

        must_hold(svr->n_creds <= SVR_CREDS_MAX && svr->n_aces <= SVR_ACES_MAX);
        for (size_t i = 0; i < svr->n_creds; i++) {
                n_bytes += cred_size(svr->creds[i]);
                must_hold(svr->creds[i]->id >= 0 && !svr->creds[i]->derive);
                must_hold(svr->creds[i]->any_subject || !uuid_is_nil(&svr->creds[i]->subject));
                for (size_t k = 0; k < i; k++)
                        must_hold(svr->creds[i]->id != svr->creds[k]->id);
        }
        must_hold(n_bytes <= SVR_CRED_BYTES_MAX);
        n_bytes = 0;
        for (size_t i = 0; i < svr->n_aces; i++) {
                n_bytes += ace_size(svr->aces[i]);
                must_hold(svr->aces[i]->id >= 1 && svr->aces[i]->permission <= ACE_ALL);
                for (size_t k = 0; k < i; k++)
                        must_hold(svr->aces[i]->id != svr->aces[k]->id);
        }
        must_hold(n_bytes <= SVR_ACE_BYTES_MAX);
        must_hold(svr->ael.n_bytes <= svr->device.ael_max && svr->ael.n_records <= SVR_RECORDS_MAX);
        must_hold(svr->sp.supported >> svr->sp.current & 1);
        if (is_owned_state(svr->machine.state))
                must_hold(facts.owned && facts.has_owner && facts.has_rowners && facts.rowners_can_come_back);
}

/* ---- what the store has ---- */

void must_load_again(struct svr *svr, const struct photo *photo, bool restart) {
        struct svr_device device = svr->device;
        static struct photo again;
        static struct svr copy;

        svr_init(&copy, &device);
        for (enum svr_id id = 0; id < _SVR_STORED_N; id++)
                must_hold(svr_load(&copy, id, span_of(photo->maps[id], photo->n[id])) == 0);
        photo_take(&again, &copy, NULL);
        for (enum svr_id id = 0; id < _SVR_STORED_N; id++)
                must_hold(same(photo, &again, id));
        must_hold(svr_check(&copy) == 0);
        must_be_sound(&copy);
        if (!restart) {
                svr_deinit(&copy);
                return;
        }
        svr_deinit(svr);
        *svr = copy;
}

/* ---- secrets ---- */

static void flip_secrets(struct svr *svr) {
        for (size_t i = 0; i < svr->n_creds; i++) {
                struct cred *c = svr->creds[i];

                for (size_t k = 0; k < c->secret.n; k++)
                        c->bytes[(size_t)(c->secret.data - c->bytes) + k] ^= 0x5a;
        }
}

static size_t tell(struct svr *svr, enum svr_id id, uint8_t *buf) {
        const struct ocf_request request = { .method = COAP_GET };
        struct svr_session session = { .id = svr->rowner[SVR_CRED] };
        const struct svr_reply csr = { .kind = SVR_NEED_CSR, .ok = true, .bytes = SPAN_LITERAL("CSR") };
        const struct svr_call call = {
                .id = id,
                .request = &request,
                .interface = INTERFACE_BASELINE,
                .session = &session,
                .n_replies = 1,
                .replies = &csr,
        };
        struct writer w = writer_on(buf, SVR_REP_MAX);
        struct svr_result result;

        must_hold(svr_request(svr, &call, &w, &result) == 0);
        must_hold(result.response.fault != FAULT_FAILED);
        return result.response.fault ? 0 : w.n;
}

void must_tell_no_secret(struct svr *svr) {
        static uint8_t *before, *after;

        room(&before, SVR_REP_MAX);
        room(&after, SVR_REP_MAX);
        for (enum svr_id id = 0; id < _SVR_N; id++) {
                size_t n = tell(svr, id, before), n_after;

                flip_secrets(svr);
                n_after = tell(svr, id, after);
                flip_secrets(svr);
                must_hold(span_equal(span_of(before, n), span_of(after, n_after)));
        }
}
