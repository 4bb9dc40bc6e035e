#include "daemon/secure.h"
#include "base/memory.h"
#include "daemon/diag.h"
#include "daemon/random.h"
#include "daemon/secure_private.h"
#include "security/identity_key.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define AUDITS_MAX      10u /* events of strangers that are kept ... */
#define AUDIT_PERIOD_MS 5000u

/* ---- what follows from a change ---- */

void secure_tell_model(struct secure_device *d) {
        const struct svr *svr = &d->svr;
        char domain[SVR_NAME_MAX + 1] = "";
        const struct device_security security = {
                .secure = !d->sealed,
                .owned = svr->doxm.owned,
                .transfer = svr->machine.transfer,
                .domain = svr->sdi.uuid,
                .domain_name = domain,
                .domain_private = svr->sdi.priv,
        };

        memcpy(domain, svr->sdi.name, svr->sdi.n_name);
        if (!uuid_equal(&d->device->di, &svr->doxm.deviceuuid) && !d->sealed)
                (void)device_set_id(d->device, &svr->doxm.deviceuuid);
        if (device_set_security(d->device, &security) < 0)
                diag_log(LOG_ERR, "There was no memory to tell of a change in /oic/res");
}

static void show_pin(struct secure_device *d) {
        const struct secure_config *c = &d->secure->config;

        if (pin_draw(&d->pin, &d->svr.doxm.deviceuuid))
                c->show_pin(c->context, d->device->index, d->pin.digits);
}

static void forget_pin(struct secure_device *d) {
        const struct secure_config *c = &d->secure->config;

        if (!d->pin.is_drawn)
                return;
        pin_forget(&d->pin);
        c->show_pin(c->context, d->device->index, NULL);
}

static void log_state(const struct secure_device *d) {
        char owner[UUID_TEXT_MAX];

        if (d->svr.doxm.owned)
                diag_log(LOG_NOTICE, "Device %u is in state %s, owned by %s", d->device->index,
                         svr_entry_of(d->svr.machine.state)->name,
                         uuid_format(&d->svr.doxm.devowneruuid, owner));
        else
                diag_log(LOG_NOTICE, "Device %u is in state %s and has no owner", d->device->index,
                         svr_entry_of(d->svr.machine.state)->name);
}

static void audit_state(struct secure_device *d) {
        char owner[UUID_TEXT_MAX];
        const struct span details[] = {
                span_of_string(svr_entry_of(d->svr.machine.state)->name),
                span_of_string(d->svr.doxm.owned ? uuid_format(&d->svr.doxm.devowneruuid, owner)
                                                 : "no owner"),
        };

        secure_audit(d->secure, d->device->index,
                     &(struct svr_event){ .id = "ONB-1",
                                          .category = SVR_AEL_ONBOARDING,
                                          .priority = SVR_AEL_INFORMATION,
                                          .message = "Provisioning state",
                                          .n_details = ARRAY_SIZE(details),
                                          .details = details });
}

void secure_follow(struct secure_device *d, uint32_t effects) {
        const struct secure_config *c = &d->secure->config;
        uint16_t device = d->device->index;

        secure_tell_model(d);
        if (effects & SVR_EFFECT_PIN)
                show_pin(d);
        else if (effects & SVR_EFFECT_TRANSFER)
                forget_pin(d);
        if (effects & SVR_EFFECT_RESET)
                c->end_observers(c->context, device);
        if (effects & SVR_EFFECT_STATE) {
                log_state(d);
                audit_state(d);
                if (d->svr.machine.state == SVR_RFNOP) {
                        forget_pin(d);
                        c->transfer_done(c->context, device);
                }
        }
        if (effects & (SVR_EFFECT_CREDS | SVR_EFFECT_STATE))
                secure_context_forget(d);
        if (effects & SVR_EFFECT_CREDS)
                c->creds_changed(c->context, device);
        if (effects & (SVR_EFFECT_STATE | SVR_EFFECT_ACCESS))
                c->recheck(c->context, device);
        c->changed(c->context, device);
}

/* ---- reset ---- */

/* Everything of an owner goes, and the device is another one to whoever comes next. */
void secure_begin_reset(struct secure_device *d) {
        const struct secure_config *c = &d->secure->config;
        struct uuid id;
        int r;

        if (d->change.under_way || d->sealed)
                return; /* it stays due */
        d->change = (struct secure_change){ .is_reset = true, .rows = SVR_ALL, .before = d->svr.machine };
        d->change.effects = SVR_EFFECT_STATE | SVR_EFFECT_TRANSFER | SVR_EFFECT_CREDS;
        c->reset_done(c->context, d->device->index); /* no session outlives it */
        random_uuid(&id);
        svr_reset(&d->svr, &id);
        r = secure_manufacturer_install(d);
        if (!r)
                r = crypto_key_new(&d->change.key); /* no certificate of the last owner is ever good again */
        if (!r)
                r = secure_rows_commit(d);
        if (r) {
                diag_log(LOG_ERR, "A reset could not be stored, and is tried again: %s", strerror(-r));
                secure_change_done(d, r);
        }
}

int secure_reset(struct secure *s, uint16_t device) {
        struct secure_device *d = device < s->n_devices ? s->devices[device] : NULL;

        if (!d || d->sealed)
                return -EROFS;
        if (d->svr.device.self_owned)
                return -EPERM;
        if (d->svr.machine.pending)
                return -EBUSY;
        s->config.end_observers(s->config.context, device);
        svr_machine_reset(&d->svr.machine, s->config.now(s->config.context));
        return 0;
}

uint64_t secure_deadline(const struct secure *s) {
        uint64_t due = OCF_NEVER;

        for (size_t i = 0; i < s->n_devices; i++) {
                const struct secure_device *d = s->devices[i];

                if (!d->change.under_way && !d->sealed)
                        due = ocf_min_u64(due, svr_machine_deadline(&d->svr.machine));
        }
        return due;
}

void secure_wake(struct secure *s) {
        uint64_t now_ms = s->config.now(s->config.context);

        for (size_t i = 0; i < s->n_devices; i++) {
                struct secure_device *d = s->devices[i];

                if (d->sealed || d->change.under_way)
                        continue;
                if (svr_machine_due(&d->svr.machine, now_ms) == SVR_DUE_RESET)
                        secure_begin_reset(d);
        }
}

void secure_stop(struct secure *s) {
        for (size_t i = 0; i < s->n_devices; i++) {
                struct secure_device *d = s->devices[i];

                if (d->sealed || !svr_machine_stop(&d->svr.machine))
                        continue;
                if (d->change.under_way) /* then it is due once that is done */
                        svr_machine_reset(&d->svr.machine, 0);
                else
                        secure_begin_reset(d);
        }
}

bool secure_is_busy(const struct secure *s) {
        for (size_t i = 0; i < s->n_devices; i++) {
                const struct secure_device *d = s->devices[i];

                if (d->change.under_way ||
                    (!d->sealed && (svr_machine_stop(&d->svr.machine) || d->svr.machine.reset_due_ms == 0)))
                        return true;
        }
        return false;
}

/* ---- sessions ---- */

void secure_session_opened(struct secure *s, const struct session *session) {
        struct secure_device *d = s->devices[session->peer.device];

        if (!session->svr.onboarding)
                return;
        secure_manufacturer_used(s);
        svr_machine_transfer_began(&d->svr.machine, s->config.now(s->config.context));
        forget_pin(d); /* it has been used */
        secure_tell_model(d);
        s->config.changed(s->config.context, session->peer.device);
}

void secure_session_closed(struct secure *s, const struct session *session) {
        struct secure_device *d = s->devices[session->peer.device];

        if (!session->svr.onboarding)
                return;
        svr_machine_transfer_lost(&d->svr.machine, s->config.now(s->config.context));
        secure_tell_model(d);
}

static const char *failure_text(const struct session *session) {
        if (!session->tls)
                return "it said nothing that could be read";
        return session->tls->problem ? session->tls->problem : "there was no memory for it";
}

void secure_session_failed(struct secure *s, const struct session *session, bool is_guess) {
        struct secure_device *d = s->devices[session->peer.device];
        struct span detail = span_of_string(failure_text(session));
        const struct svr_event event = { .id = "AUTH-1",
                                         .category = SVR_AEL_AUTHENTICATION,
                                         .priority = SVR_AEL_ERROR,
                                         .message = "DTLS handshake error",
                                         .n_details = 1,
                                         .details = &detail };

        if (session->tls && session->tls->failure != TLS_FAILURE_TIMEOUT)
                secure_audit(s, session->peer.device, &event);
        secure_manufacturer_used(s);
        /* However it ended: who saw no Finished of ours knows that it was wrong, and may begin anew. */
        if (is_guess && pin_guessed(&d->pin))
                show_pin(d);
}

size_t secure_pin_key(struct secure *s, uint16_t device, uint8_t ret[TLS_PSK_MAX]) {
        const struct secure_device *d = s->devices[device];

        if (!d->pin.is_drawn)
                return 0;
        memcpy(ret, d->pin.key, KEY_PSK);
        return KEY_PSK;
}

const char *secure_pin(const struct secure *s, uint16_t device) {
        return device < s->n_devices && s->devices[device]->pin.is_drawn ? s->devices[device]->pin.digits
                                                                         : NULL;
}

/* ---- questions ---- */

const struct svr *secure_svr(const struct secure *s, uint16_t device) {
        return device < s->n_devices && !s->devices[device]->sealed ? &s->devices[device]->svr : NULL;
}

const char *secure_sealed(const struct secure *s, uint16_t device) {
        return device < s->n_devices ? s->devices[device]->sealed : NULL;
}

/* Strangers make these: each costs a walk over the whole list, so they are few. */
static bool may_audit(struct secure *s) {
        uint64_t now_ms = s->config.now(s->config.context);

        if (now_ms >= s->audit_due_ms) {
                s->audit_due_ms = now_ms + AUDIT_PERIOD_MS;
                s->n_audits = 0;
        }
        return s->n_audits++ < AUDITS_MAX;
}

void secure_audit(struct secure *s, uint16_t device, const struct svr_event *event) {
        struct secure_device *d = device < s->n_devices ? s->devices[device] : NULL;
        struct writer w = writer_on(s->scratch, SVR_REP_MAX);
        struct svr_event with_time = *event;
        struct store_change change;
        bool kept;

        if (!d || d->sealed || d->change.under_way || !may_audit(s))
                return;
        with_time.wall_s = (int64_t)time(NULL);
        if (svr_audit(&d->svr, &with_time, &kept) < 0 || !kept)
                return;
        svr_save(&d->svr, SVR_AEL, &w);
        change = (struct store_change){ d->row, "ael", writer_span(&w) };
        if (!w.overflow)
                (void)store_commit_lazy(s->config.store, &change, 1);
}

/* ---- made and freed ---- */

static int add_resources(struct secure *s, struct secure_device *d) {
        struct secure_resource_spec mnt = { .href = "/oic/mnt", .type = "oic.wk.mnt", .id = SECURE_MNT };
        struct resource *r;
        int e;

        for (enum svr_id id = 0; id < _SVR_N; id++) {
                const struct secure_resource_spec spec = {
                        .href = svr_href(id),
                        .type = svr_type(id),
                        .observable = id == SVR_PSTAT,
                        .clear = id == SVR_DOXM || id == SVR_PSTAT ? CLEAR_WHILE_UNOWNED : CLEAR_NEVER,
                        .id = id,
                };

                e = model_add_secure_resource(s->config.model, d->device, &spec, &r);
                if (e)
                        return e;
        }
        return model_add_secure_resource(s->config.model, d->device, &mnt, &r);
}

uint8_t secure_transfer_methods(const struct secure *s) {
        const struct config *c = s->config.config;

        return (uint8_t)((c->just_works ? 1u << SVR_JUST_WORKS : 0) |
                         (s->config.can_show_pin(s->config.context) ? 1u << SVR_RANDOM_PIN : 0) |
                         (s->manufacturer ? 1u << SVR_MANUFACTURER : 0));
}

/* A device without rows is new; one whose rows do not go together keeps its owner, and waits for people. */
static int load(struct secure_device *d) {
        int r = secure_rows_load(d);

        if (!r)
                r = svr_check(&d->svr) ? STORE_E_DAMAGED : 0;
        if (r == STORE_E_NONE) {
                struct secure_change *c = &d->change;

                svr_reset(&d->svr, &d->stored.di);
                *c = (struct secure_change){ .is_reset = true, .rows = SVR_ALL, .before = d->svr.machine };
                r = secure_manufacturer_install(d);
                if (!r)
                        r = crypto_key_new(&c->key);
                return r ? r : secure_rows_commit(d);
        }
        if (r <= 0)
                return r;
        snprintf(d->secure->sealed, sizeof(d->secure->sealed),
                 "The secure resources of device %u do not go together. Nothing secure is served; what is "
                 "there "
                 "is kept. Put a backup back (ocfctl store restore), or reset the device (ocfctl reset).",
                 d->device->index);
        d->sealed = d->secure->sealed;
        return 0;
}

static int device_new(struct secure *s, struct device *device, bool is_tool, struct secure_device **ret) {
        const struct svr_device what = { .oxms = is_tool ? 0 : secure_transfer_methods(s),
                                         .sct = CRED_PSK | CRED_CERTIFICATE,
                                         .self_owned = is_tool };
        struct secure_device *d;

        if (s->n_devices >= s->n_devices_max)
                return -ENOSPC;
        d = ocf_new(struct secure_device);
        if (!d)
                return -ENOMEM;
        s->devices[s->n_devices++] = d;
        d->secure = s;
        d->device = device;
        d->row = is_tool ? STORE_TOOL : device->index;
        list_init(&d->waiting);
        svr_init(&d->svr, &what);
        *ret = d;
        return 0;
}

static int device_appears(struct secure_device *d) {
        int r = add_resources(d->secure, d);

        if (r)
                return r < 0 ? r : -EINVAL;
        if (d->sealed)
                diag_log(LOG_ERR, "%s", d->sealed);
        else
                log_state(d);
        secure_tell_model(d);
        return 0;
}

static int add_device(struct secure *s, struct device *device, bool is_tool) {
        struct secure_device *d;
        const char *why;
        int r = device_new(s, device, is_tool, &d);

        if (r)
                return r;
        if (store_is_sealed(s->config.store, &why)) {
                d->sealed = why;
        } else {
                r = store_get_device(s->config.store, d->row, &d->stored);
                if (!r)
                        r = load(d);
                if (r < 0)
                        return r;
        }
        return device_appears(d);
}

int secure_add_tool(struct secure *s, struct device *device) {
        return add_device(s, device, true);
}

int secure_make_tool(struct secure *s, struct device *device, const struct store_device *stored,
                     struct span domain_name, store_done *done, void *context) {
        struct secure_device *d;
        struct uuid domain;
        int r = device_new(s, device, true, &d);

        if (r)
                return r;
        d->stored = *stored;
        random_uuid(&domain);
        r = svr_own_itself(&d->svr, &stored->di, &domain, domain_name);
        d->change = (struct secure_change){ .rows = SVR_ALL, .before = d->svr.machine, .is_new = true };
        d->change.done = done;
        d->change.done_context = context;
        if (!r)
                r = crypto_key_new(&d->change.key);
        if (!r)
                r = secure_rows_commit(d);
        return r ? r : device_appears(d);
}

int secure_new(struct secure **ret, const struct secure_config *config) {
        struct secure *s = ocf_new(struct secure);
        int r = 0;

        if (!s)
                return -ENOMEM;
        s->config = *config;
        s->scratch = ocf_allocate(SVR_REP_MAX, 1);
        s->n_devices_max = config->model->n_devices + 1; /* and the onboarding tool's */
        s->devices = ocf_allocate(s->n_devices_max, sizeof(*s->devices));
        if (!s->scratch || !s->devices)
                r = -ENOMEM;
        if (!r)
                r = secure_manufacturer_load(s);
        for (size_t i = 0; !r && i < config->model->n_devices; i++)
                r = add_device(s, config->model->devices[i], false);
        if (r < 0) {
                secure_free(s);
                return r;
        }
        *ret = s;
        return 0;
}

static void device_free(struct secure_device *d) {
        svr_deinit(&d->svr);
        pin_forget(&d->pin);
        secure_context_forget(d);
        EVP_PKEY_free(d->key);
        EVP_PKEY_free(d->change.key);
        secure_rows_deinit(d->saved);
        secure_rows_deinit(d->change.saved);
        ocf_free(d);
}

struct secure *secure_free(struct secure *s) {
        if (!s)
                return NULL;
        for (size_t i = 0; i < s->n_devices; i++)
                device_free(s->devices[i]);
        ocf_free(s->devices);
        secure_manufacturer_unload(s);
        if (s->scratch)
                secret_wipe(s->scratch, SVR_REP_MAX);
        ocf_free(s->scratch);
        return ocf_free(s);
}
