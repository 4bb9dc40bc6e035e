#include "security/obt_private.h"
#include "base/memory.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/*
 * The walk over the steps of a flow, and what happens when one fails.
 */

void obt_problem(struct obt_flow *f, const char *format, ...) {
        va_list args;

        va_start(args, format);
        vsnprintf(f->problem, sizeof(f->problem), format, args);
        va_end(args);
}

void obt_add(struct obt_flow *f, const struct obt_step *step) {
        if (f->n_steps < OBT_STEPS_MAX)
                f->steps[f->n_steps++] = *step;
}

/* What was done last is taken back first. */
void obt_undo_first(struct obt_flow *f, const struct obt_step *step) {
        if (f->n_undo == OBT_STEPS_MAX)
                return;
        memmove(&f->undo[1], &f->undo[0], f->n_undo * sizeof(*step));
        f->undo[0] = *step;
        f->n_undo++;
}

static struct obt_step *current(struct obt_flow *f) {
        if (f->phase == OBT_PHASE_FORWARD)
                return f->i_step < f->n_steps ? &f->steps[f->i_step] : NULL;
        return f->phase == OBT_PHASE_UNDOING && f->i_undo < f->n_undo ? &f->undo[f->i_undo] : NULL;
}

/* ---- ends ---- */

static void finish(struct obt_flow *f, bool succeeded, const char *format, ...) OCF_PRINTF(3, 4);

static void finish(struct obt_flow *f, bool succeeded, const char *format, ...) {
        va_list args;

        va_start(args, format);
        vsnprintf(f->text, sizeof(f->text), format, args);
        va_end(args);
        f->phase = OBT_PHASE_OVER;
        f->succeeded = succeeded;
}

/* In what state a failure leaves the device. */
static const char *left_behind(const struct obt_flow *f) {
        switch (f->config.operation) {
        case OBT_OWN:
                if (!f->i_step && !f->n_found) /* it was only looked at */
                        return "Nothing was changed";
                return f->keep_key
                               ? "The device may be owned by this tool, whose key for it is kept: reset it "
                                 "from here, or at the device itself"
                               : "The device has no owner, and can be owned again";
        case OBT_RESET:
                return "The key for the device is kept";
        case OBT_SET_STATE:
                return "The device may be in either state";
        case OBT_PAIR:
                break;
        case OBT_ISSUE_IDENTITY:
        case OBT_ISSUE_ROLES:
        case OBT_ADD_ANCHOR:
        case OBT_ADD_ACCESS:
        case OBT_REMOVE_ACCESS:
        case OBT_REMOVE_CREDENTIAL:
        case OBT_CONFIGURE_CLOUD:
        case OBT_SET_DOMAIN:
                if (!f->entered[0])
                        return "Nothing was changed";
                return f->is_stuck ? "The device may not be in use: set its state to RFNOP"
                                   : "The device is in use again; what was written before is still there";
        }
        if (!f->entered[0] && !f->entered[1])
                return "Nothing was changed";
        return f->is_stuck
                       ? "Not all could be taken back: set the state of both devices to RFNOP, and look at "
                         "their credentials"
                       : "What had been changed was taken back";
}

static void finish_undone(struct obt_flow *f) {
        finish(f, false, "%s. %s", f->problem, left_behind(f));
}

static void begin_undo(struct obt_flow *f) {
        f->phase = OBT_PHASE_UNDOING;
        f->i_undo = 0;
        f->is_written = false;
        f->is_pausing = false;
}

/* Before the point of no return the device undoes everything by itself, once the session is gone; asking it
 * to is quicker. After it only a reset that it confirmed frees it. */
static void undo_ownership(struct obt_flow *f) {
        const struct obt_step reset = { .name = "reset",
                                        .type = OBT_WANT_REQUEST,
                                        .channel = f->is_connected ? OBT_TRANSFER : OBT_OWNER,
                                        .method = COAP_POST,
                                        .path = "/oic/sec/pstat",
                                        .is_switch = true,
                                        .state = SVR_RESET },
                              leave = { .name = "close", .type = OBT_WANT_DISCONNECT },
                              forget = { .name = "forget", .type = OBT_WANT_FORGET };

        f->n_undo = 0;
        f->keep_key = f->owned_sent;
        obt_undo_first(f, &forget);
        obt_undo_first(f, &leave);
        if (f->is_connected || f->owned_sent)
                obt_undo_first(f, &reset);
}

static void fail(struct obt_flow *f) {
        if (f->config.operation == OBT_OWN)
                undo_ownership(f);
        begin_undo(f);
}

static void fail_step(struct obt_flow *f, const struct obt_step *s, uint8_t code, const char *why) {
        if (!f->problem[0] && f->config.operation == OBT_OWN && !f->i_step && code == COAP_UNAUTHORIZED)
                obt_problem(f, "%s", OBT_HAS_OWNER); /* without one it tells everybody */
        else if (!f->problem[0] && code)
                obt_problem(f, "The step \"%s\" was refused by the device (%u.%02u)", s->name, code >> 5,
                            code & 31);
        else if (!f->problem[0])
                obt_problem(f, "The step \"%s\" did not succeed: %.160s", s->name,
                            why ? why : "the device does not answer");
        fail(f);
}

/* ---- going on ---- */

static void next_step(struct obt_flow *f) {
        f->is_written = false;
        f->attempts = 0;
        if (f->phase == OBT_PHASE_FORWARD)
                f->i_step++;
        else if (f->undo[f->i_undo++].has_query)
                f->query[0] = 0; /* it was for that one alone */
}

static void find_out(struct obt_flow *f) {
        f->phase = OBT_PHASE_FINDING_OUT;
        f->is_written = false;
        f->is_pausing = false;
        f->attempts = 0;
        f->finding = f->is_connected ? OBT_FIND_LEAVE : OBT_FIND_STATE;
        f->is_connected = false;
        f->n_found++;
}

/* Does the answer's loss leave it open what the device has done? */
static bool is_doubtful(const struct obt_flow *f, const struct obt_step *s) {
        return f->config.operation == OBT_OWN && (f->owned_sent || s->is_point_of_no_return);
}

static bool get_number(struct span map, const char *key, int64_t *ret) {
        struct span item;

        return rep_map_find(map, key, &item) && rep_as_int64(item, ret);
}

static bool read_state(struct span payload, int64_t *ret) {
        struct span dos;

        return rep_map_find(payload, "dos", &dos) && get_number(dos, "s", ret);
}

static bool read_owned(struct span payload, bool *ret) {
        struct span item;

        return rep_map_find(payload, "owned", &item) && rep_as_bool(item, ret);
}

/* A reset takes a while, and until then nothing is answered. */
static void checked_reset(struct obt_flow *f, struct obt_step *s, uint8_t code, struct span payload,
                          const char *why) {
        bool owned = true;

        if (code >> 5 == 2 && read_owned(payload, &owned) && !owned) {
                f->is_checking = false;
                f->keep_key = false;
                next_step(f);
                return;
        }
        f->attempts++;
        if (f->attempts % OBT_ATTEMPTS_MAX) {
                f->is_pausing = true;
                return;
        }
        f->is_checking = false;
        f->is_written = false;
        if (f->phase == OBT_PHASE_UNDOING)
                next_step(f);
        else if (f->cancelled || f->attempts >= 2 * OBT_ATTEMPTS_MAX)
                fail_step(f, s, 0, why);
}

/* After a switch whose answer was lost: where is it now? */
static void checked(struct obt_flow *f, struct obt_step *s, uint8_t code, struct span payload,
                    const char *why) {
        int64_t state = -1;

        if (s->state == SVR_RESET) {
                checked_reset(f, s, code, payload, why);
                return;
        }
        f->is_checking = false;
        f->is_written = false;
        if (code >> 5 == 2 && read_state(payload, &state) && state == s->state)
                next_step(f);
        else if (++f->attempts < OBT_ATTEMPTS_MAX)
                f->is_pausing = true;
        else
                fail_step(f, s, 0, why);
}

static void answered_forward(struct obt_flow *f, struct obt_step *s, uint8_t code, struct span payload,
                             const char *why) {
        bool good = code >> 5 == 2 || (code == COAP_NOT_FOUND && s->may_be_missing);

        if (good && (!s->read || code >> 5 != 2 || s->read(f, payload))) {
                f->owned_sent |= s->is_point_of_no_return;
                next_step(f);
                return;
        }
        if (!code && s->is_switch && !is_doubtful(f, s)) {
                f->is_checking = f->is_pausing = true;
                f->is_written = false;
                return;
        }
        if (!code && is_doubtful(f, s) && f->n_found < OBT_ATTEMPTS_MAX) {
                f->owned_sent = true;
                find_out(f);
                return;
        }
        f->owned_sent |= !code && s->is_point_of_no_return;
        if (s->is_certificate && f->config.operation == OBT_OWN) { /* it works without */
                f->can_certificate = false;
                f->is_without = true;
                f->problem[0] = 0;
                next_step(f);
                return;
        }
        if (code && s->is_point_of_no_return)
                f->owned_sent = false; /* it said no */
        fail_step(f, s, code, why);
}

static void answered_undo(struct obt_flow *f, struct obt_step *s, uint8_t code, struct span payload) {
        bool is_reset = s->is_switch && s->state == SVR_RESET;

        if (s->read && code >> 5 == 2)
                (void)s->read(f, payload);
        if (is_reset && code >> 5 == 2)
                f->keep_key = false;
        if (!code && is_reset && f->owned_sent) {
                if (s->channel == OBT_OWNER)
                        f->is_checking = f->is_pausing = true;
                s->channel = OBT_OWNER; /* the other session is gone */
                f->is_written = false;
                return;
        }
        if (!code && !is_reset && ++f->attempts < OBT_ATTEMPTS_MAX) {
                f->is_pausing = true; /* nobody is to be left in RFPRO, nor with half a pair */
                f->is_written = false;
                return;
        }
        f->is_stuck |= code >> 5 != 2 && (code != COAP_NOT_FOUND || s->method != COAP_DELETE);
        next_step(f);
}

static void found(struct obt_flow *f, uint8_t code, struct span payload) {
        int64_t state = -1;
        bool owned = true;

        f->is_written = false;
        if (f->finding == OBT_FIND_STATE) {
                if (code >> 5 == 2 && read_state(payload, &state) && state > SVR_RFOTM &&
                    state < _SVR_STATE_N) {
                        if (f->cancelled) {
                                fail(f);
                                return;
                        }
                        f->n_steps = f->i_step = 0;
                        f->phase = OBT_PHASE_FORWARD;
                        f->is_connected = false;
                        obt_plan_resume(f, state);
                        return;
                }
                f->finding = OBT_FIND_OWNED;
                return;
        }
        if (code >> 5 == 2 && read_owned(payload, &owned) && !owned) {
                if (!f->problem[0])
                        obt_problem(f, "The session with the device broke before it was owned");
                f->owned_sent = false;
                f->n_undo = 0;
                obt_undo_first(f, &(struct obt_step){ .name = "forget", .type = OBT_WANT_FORGET });
                begin_undo(f);
                return;
        }
        if (++f->attempts < OBT_ATTEMPTS_MAX) {
                f->is_pausing = true;
                f->finding = OBT_FIND_STATE;
                return;
        }
        if (!f->problem[0])
                obt_problem(
                        f, "The session with the device broke when it was about to be owned, and it does not "
                           "answer any more");
        f->keep_key = true;
        finish_undone(f);
}

void obt_flow_answer(struct obt_flow *f, uint8_t code, struct span payload, const char *why) {
        struct obt_step *s = current(f);

        if (f->phase == OBT_PHASE_FINDING_OUT)
                found(f, code, payload);
        else if (!s || s->type != OBT_WANT_REQUEST)
                return;
        else if (f->is_checking)
                checked(f, s, code, payload, why);
        else if (f->phase == OBT_PHASE_FORWARD)
                answered_forward(f, s, code, payload, why);
        else
                answered_undo(f, s, code, payload);
}

void obt_flow_connected(struct obt_flow *f, const struct tls_secrets *secrets, const char *why) {
        struct obt_step *s = current(f);

        if (!s || s->type != OBT_WANT_CONNECT || f->phase != OBT_PHASE_FORWARD)
                return;
        if (why) {
                fail_step(f, s, 0, why);
                return;
        }
        f->is_connected = true;
        f->secrets = *secrets;
        next_step(f);
}

void obt_flow_pin(struct obt_flow *f, struct span pin) {
        struct obt_step *s = current(f);

        if (!s || s->type != OBT_WANT_PIN)
                return;
        if (pin.n && key_derive_pin(pin, &f->ids[0], f->key)) {
                next_step(f);
                return;
        }
        obt_problem(f, "Nobody said the PIN that the device shows");
        fail(f);
}

void obt_flow_stored(struct obt_flow *f, bool stored) {
        struct obt_step *s = current(f);

        if (!s || (s->type != OBT_WANT_STORE && s->type != OBT_WANT_FORGET))
                return;
        if (stored || f->phase == OBT_PHASE_UNDOING) {
                next_step(f);
                return;
        }
        obt_problem(
                f, s->type == OBT_WANT_STORE
                           ? "This machine could not store the key: see the journal of ocfd"
                           : "The device has no owner any more, but this machine could not drop its key: see "
                             "the journal of ocfd");
        fail(f);
}

void obt_flow_paused(struct obt_flow *f) {
        f->is_pausing = false;
}

void obt_flow_cancel(struct obt_flow *f) {
        const struct obt_step *s = current(f);
        bool is_reset = s && s->is_switch && s->state == SVR_RESET;

        if (f->phase != OBT_PHASE_FORWARD && f->phase != OBT_PHASE_FINDING_OUT)
                return;
        if (f->phase == OBT_PHASE_FORWARD && (!s || (f->config.operation == OBT_RESET && !is_reset)))
                return;
        f->cancelled = true;
        obt_problem(f, "It was cancelled");
        if (f->phase == OBT_PHASE_FINDING_OUT)
                return; /* what to undo is known once that is known */
        if (is_reset && (f->is_written || f->is_checking || f->attempts)) {
                f->is_checking = f->is_pausing = true; /* it cannot be called back */
                return;
        }
        f->is_checking = false;
        f->owned_sent |= s && s->is_point_of_no_return && f->is_written;
        fail(f);
}

/* ---- what it wants ---- */

static bool write_payload(struct obt_flow *f, const struct obt_step *s) {
        struct writer w = writer_on(f->payload, OBT_PAYLOAD_MAX);
        bool good = true;

        if (f->is_written)
                return true;
        f->written = SPAN_NULL;
        if (s->is_switch)
                good = obt_write_state(f, s->state, &w);
        else if (s->write)
                good = s->write(f, &w);
        if (good && w.overflow)
                obt_problem(f, "The request is too long");
        if (!good || w.overflow)
                return false;
        if (w.n)
                f->written = writer_span(&w);
        f->is_written = true;
        return true;
}

static void want_check(struct obt_flow *f, const struct obt_step *s, struct obt_want *ret) {
        bool by_doxm = s->state == SVR_RESET;

        *ret = (struct obt_want){ .type = OBT_WANT_REQUEST,
                                  .device = f->ids[s->target],
                                  .channel = by_doxm ? OBT_CLEAR : s->channel,
                                  .method = COAP_GET,
                                  .path = by_doxm ? "/oic/sec/doxm" : "/oic/sec/pstat",
                                  .query = "" };
}

static void want_finding(struct obt_flow *f, struct obt_want *ret) {
        *ret = (struct obt_want){ .type = OBT_WANT_REQUEST,
                                  .device = f->ids[0],
                                  .channel = f->finding == OBT_FIND_STATE ? OBT_OWNER : OBT_CLEAR,
                                  .method = COAP_GET,
                                  .path = f->finding == OBT_FIND_STATE ? "/oic/sec/pstat" : "/oic/sec/doxm",
                                  .query = "" };
        if (f->finding != OBT_FIND_LEAVE)
                return;
        f->finding = OBT_FIND_STATE;
        *ret = (struct obt_want){ .type = OBT_WANT_DISCONNECT, .device = f->ids[0] };
}

static void want_step(struct obt_flow *f, struct obt_step *s, struct obt_want *ret) {
        *ret = (struct obt_want){ .type = s->type,
                                  .device = f->ids[s->target],
                                  .channel = s->channel,
                                  .method = s->method,
                                  .path = s->path,
                                  .query = s->has_query ? f->query : "",
                                  .payload = f->written,
                                  .transfer = f->method };
        if (f->phase == OBT_PHASE_FORWARD) {
                f->entered[s->target] |= s->is_switch && s->state == SVR_RFPRO;
                f->posted[s->target] |= s->write == obt_write_pair;
        }
        if (s->type == OBT_WANT_CONNECT && f->method == SVR_RANDOM_PIN)
                ret->key = span_of(f->key, KEY_PSK);
        if (s->type != OBT_WANT_STORE)
                return;
        ret->key = span_of(f->key, KEY_PSK);
        f->has_key_stored = true; /* or about to be, whatever comes of the flow meanwhile */
}

/* What was never begun needs not be taken back. */
static bool is_needless(const struct obt_flow *f, const struct obt_step *s) {
        if (f->phase != OBT_PHASE_UNDOING || f->config.operation == OBT_OWN || s->type != OBT_WANT_REQUEST)
                return false;
        return s->is_switch ? !f->entered[s->target] : !f->posted[s->target];
}

static bool is_left_out(const struct obt_flow *f, const struct obt_step *s) {
        return is_needless(f, s) || (s->is_certificate && !f->can_certificate) ||
               (s->has_query && !f->query[0]) || /* a DELETE without one means all */
               (s->type == OBT_WANT_PIN && f->method != SVR_RANDOM_PIN) ||
               (s->type == OBT_WANT_FORGET && f->phase == OBT_PHASE_UNDOING &&
                (f->keep_key || !f->has_key_stored));
}

static bool derive(struct obt_flow *f) {
        return key_derive_owner(&f->secrets, f->method, &f->config.tool, &f->ids[0], f->key);
}

static void succeed(struct obt_flow *f) {
        static const char *const done[] = {
                [OBT_OWN] = "The device is owned, and ready",
                [OBT_RESET] = "The device has no owner any more",
                [OBT_SET_STATE] = "The device is in that state",
                [OBT_PAIR] = "The two devices have a key for each other",
                [OBT_ISSUE_IDENTITY] = "The device has an identity certificate",
                [OBT_ISSUE_ROLES] = "The device has a role certificate",
                [OBT_ADD_ANCHOR] = "The device has the trust anchor",
                [OBT_ADD_ACCESS] = "The device has the access entry",
                [OBT_REMOVE_ACCESS] = "The access entry is gone",
                [OBT_REMOVE_CREDENTIAL] = "The credential is gone",
                [OBT_CONFIGURE_CLOUD] = "The device has its cloud configuration",
                [OBT_SET_DOMAIN] = "The device has the name of the security domain",
        };

        finish(f, true, "%s%s", done[f->config.operation],
               f->is_without ? ", but its certificate did not come about: issue one" : "");
}

void obt_flow_want(struct obt_flow *f, struct obt_want *ret) {
        for (;;) {
                struct obt_step *s = current(f);

                if (f->phase == OBT_PHASE_OVER) {
                        *ret = (struct obt_want){ .type = OBT_WANT_END,
                                                  .device = f->ids[0],
                                                  .succeeded = f->succeeded,
                                                  .text = f->text };
                        break;
                }
                if (f->is_pausing) {
                        *ret = (struct obt_want){ .type = OBT_WANT_PAUSE, .pause_ms = OBT_PAUSE_MS };
                        break;
                }
                if (f->phase == OBT_PHASE_FINDING_OUT) {
                        want_finding(f, ret);
                        break;
                }
                if (!s) {
                        if (f->phase == OBT_PHASE_UNDOING)
                                finish_undone(f);
                        else
                                succeed(f);
                        continue;
                }
                if (is_left_out(f, s)) {
                        next_step(f);
                        continue;
                }
                if (f->is_checking) {
                        want_check(f, s, ret);
                        break;
                }
                if (s->type == OBT_WANT_STORE && !derive(f)) {
                        obt_problem(f, "No owner's key can be derived from this session");
                        fail(f);
                        continue;
                }
                if (!write_payload(f, s)) {
                        if (f->phase == OBT_PHASE_UNDOING)
                                next_step(f);
                        else
                                fail(f);
                        continue;
                }
                want_step(f, s, ret);
                if (s->type == OBT_WANT_DISCONNECT) {
                        f->is_connected = false;
                        next_step(f);
                }
                break;
        }
        ret->renamed = f->renamed;
        ret->was = f->was;
        f->renamed = false;
}

void obt_flow_progress(const struct obt_flow *f, struct obt_progress *ret) {
        const struct obt_step *s = current((struct obt_flow *)f);

        *ret = (struct obt_progress){ .step = (unsigned)(f->i_step < f->n_steps ? f->i_step + 1 : f->n_steps),
                                      .n_steps = (unsigned)f->n_steps,
                                      .name = s                                   ? s->name
                                              : f->phase == OBT_PHASE_FINDING_OUT ? "find out"
                                                                                  : "",
                                      .undoing = f->phase == OBT_PHASE_UNDOING };
}

/* ---- made and freed ---- */

static struct span take(uint8_t **at, struct span s) {
        struct span kept = span_of(*at, s.n);

        if (!s.n)
                return SPAN_NULL;
        memcpy(*at, s.data, s.n);
        *at += s.n;
        *(*at)++ = 0;
        return kept;
}

static int keep_texts(struct obt_flow *f, const struct obt_config *c) {
        struct span *const texts[] = { &f->config.domain_name, &f->config.pem,       &f->config.subject,
                                       &f->config.cis,         &f->config.sid,       &f->config.apn,
                                       &f->config.at,          &f->config.cloud_href };
        size_t n = 1;
        uint8_t *at;

        if (c->n_roles > AUTHORITY_ROLES_MAX || c->n_hrefs > ACE_RESOURCES_MAX ||
            c->n_methods > OBT_METHODS_MAX)
                return -EINVAL;
        for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
                n += texts[i]->n + 1;
        for (size_t i = 0; i < c->n_roles; i++)
                n += c->roles[i].role.n + c->roles[i].authority.n + 2;
        for (size_t i = 0; i < c->n_hrefs; i++)
                n += c->hrefs[i].n + 1;
        at = f->texts = ocf_allocate(n, 1);
        if (!at)
                return -ENOMEM;
        for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
                *texts[i] = take(&at, *texts[i]);
        for (size_t i = 0; i < c->n_roles; i++) {
                f->roles[i].role = take(&at, c->roles[i].role);
                f->roles[i].authority = take(&at, c->roles[i].authority);
        }
        for (size_t i = 0; i < c->n_hrefs; i++)
                f->hrefs[i] = take(&at, c->hrefs[i]);
        f->config.roles = f->roles;
        f->config.hrefs = f->hrefs;
        return 0;
}

int obt_flow_new(struct obt_flow **ret, const struct obt_config *config) {
        struct obt_flow *f = ocf_new(struct obt_flow);
        int r;

        if (!f)
                return -ENOMEM;
        f->config = *config;
        f->method = SVR_NO_TRANSFER;
        memcpy(f->ids, config->targets, sizeof(f->ids));
        r = keep_texts(f, config);
        f->payload = ocf_allocate(OBT_PAYLOAD_MAX, 1);
        if (!r && !f->payload)
                r = -ENOMEM;
        if (r) {
                obt_flow_free(f);
                return r;
        }
        if (config->operation == OBT_OWN)
                obt_plan_own(f);
        else if (!obt_plan_provision(f))
                finish(f, false, "%s", f->problem);
        *ret = f;
        return 0;
}

struct obt_flow *obt_flow_free(struct obt_flow *f) {
        if (!f)
                return NULL;
        if (f->payload)
                OPENSSL_cleanse(f->payload, OBT_PAYLOAD_MAX);
        ocf_free(f->payload);
        ocf_free(f->texts);
        ocf_free(f->certificate);
        OPENSSL_cleanse(f, sizeof(*f));
        return ocf_free(f);
}
