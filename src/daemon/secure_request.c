#include "base/memory.h"
#include "daemon/diag.h"
#include "daemon/random.h"
#include "daemon/secure_private.h"
#include "protocol/rep.h"
#include "security/crypto.h"

#include <errno.h>
#include <string.h>

/*
 * Requests of peers to secure resources: asked of security/svr_request.h, and
 * answered once what they changed is durable.
 */

static void answer_fault(struct call *call, enum fault fault, const char *why) {
        struct ocf_response response = OCF_RESPONSE_FAULT(fault);

        response.diagnostic = why;
        call_answer(call, &response);
}

#define RETRY_MS 5000u /* of a reset that could not be stored */

/* ---- /oic/mnt (core.md 7): to reset the device, and to start again ---- */

static void answer_mnt(struct secure_device *d, struct resource *r, struct call *call) {
        struct writer w = writer_on(d->secure->scratch, SVR_REP_MAX);
        struct ocf_response response = OCF_RESPONSE_OK(COAP_CONTENT);

        rep_put_map(&w, 2);
        rep_put_string(&w, "fr");
        rep_put_bool(&w, d->svr.machine.pending);
        rep_put_string(&w, "rb");
        rep_put_bool(&w, false);
        response.rep = writer_span(&w);
        if (call->interface == INTERFACE_BASELINE)
                response.rep = resource_with_common(r, response.rep);
        call_answer(call, &response);
}

static bool read_mnt(struct span payload, bool *ret_reset, bool *ret_restart) {
        struct span pairs, key, item;
        uint64_t n;

        if (!rep_map_begin(payload, &pairs, &n) || !n)
                return false;
        while (rep_map_next(&pairs, &key, &item))
                if (span_equal_string(key, "fr")   ? !rep_as_bool(item, ret_reset)
                    : span_equal_string(key, "rb") ? !rep_as_bool(item, ret_restart)
                                                   : true)
                        return false;
        return true;
}

static void change_mnt(struct secure_device *d, struct call *call) {
        struct secure_change *c = &d->change;
        bool reset = false, restart = false;

        if (call->request.method != COAP_POST) {
                answer_fault(call, FAULT_METHOD_NOT_ALLOWED, NULL);
                return;
        }
        if (!read_mnt(call->request.payload, &reset, &restart)) {
                answer_fault(call, FAULT_BAD_REPRESENTATION, "fr and rb are wanted, each true or false");
                return;
        }
        if (restart && !reset)
                d->secure->config.restart(d->secure->config.context);
        if (!reset) {
                struct ocf_response response = OCF_RESPONSE_OK(COAP_CHANGED);

                call_answer(call, &response);
                return;
        }
        *c = (struct secure_change){ .call = call,
                                     .response = OCF_RESPONSE_OK(COAP_CHANGED),
                                     .rows = SVR_BIT(SVR_PSTAT),
                                     .effects = SVR_EFFECT_RESET | SVR_EFFECT_STATE,
                                     .before = d->svr.machine };
        svr_machine_reset(&d->svr.machine,
                          d->secure->config.now(d->secure->config.context) + SVR_RESET_DELAY_MS);
        if (secure_rows_commit(d))
                secure_change_done(d, -EIO);
}

/* ---- secure resources ---- */

/* Asks, and answers what is asked for in turn, until there is a result. */
static int ask(struct secure_device *d, struct call *call, enum svr_id id, struct svr_result *ret) {
        const struct secure_config *config = &d->secure->config;
        struct svr_reply replies[SVR_REPLIES_MAX];
        struct svr_call svr_call = {
                .id = id,
                .request = &call->request,
                .interface = call->interface,
                .session = config->session(config->context, &call->request.peer),
                .now_ms = config->now(config->context),
                .replies = replies,
        };
        uint8_t(*bytes)[SECURE_REPLY_MAX] = NULL;
        int r;

        crypto_random(&svr_call.random, sizeof(svr_call.random));
        if (!d->svr.device.self_owned)
                d->svr.device.oxms = secure_transfer_methods(d->secure); /* agents come and go */
        d->svr.handshaking = config->handshaking(config->context, d->device->index);
        for (;;) {
                struct writer w = writer_on(d->secure->scratch, SVR_REP_MAX);

                r = svr_request(&d->svr, &svr_call, &w, ret);
                if (r != SVR_E_NEEDS_KEY || svr_call.n_replies == SVR_REPLIES_MAX)
                        break;
                if (!bytes)
                        bytes = ocf_allocate(SVR_REPLIES_MAX, SECURE_REPLY_MAX);
                if (!bytes) {
                        r = -ENOMEM;
                        break;
                }
                secure_reply(d, call, &ret->need, bytes[svr_call.n_replies], &replies[svr_call.n_replies]);
                svr_call.n_replies++;
        }
        if (bytes)
                secret_wipe(bytes, SVR_REPLIES_MAX * SECURE_REPLY_MAX);
        ocf_free(bytes);
        return r;
}

static void run(struct secure_device *d, struct call *call, enum svr_id id) {
        const struct svr_machine before = d->svr.machine;
        struct svr_result result = { 0 };
        int r = ask(d, call, id, &result);

        if (r) { /* silent: what would be an error is not sent to a group */
                answer_fault(call, r == SVR_E_SILENT ? FAULT_NOT_FOUND : FAULT_BUSY, NULL);
                return;
        }
        if (!result.changed) {
                call_answer(call, &result.response);
                if (result.effects)
                        secure_follow(d, result.effects);
                return;
        }
        d->change = (struct secure_change){ .call = call,
                                            .response = result.response,
                                            .effects = result.effects,
                                            .rows = result.changed,
                                            .before = before };
        r = secure_rows_commit(d);
        if (r) {
                diag_log(LOG_ERR, "A change of %s could not be stored: %s", svr_href(id), strerror(-r));
                secure_change_done(d, r);
        }
}

void secure_change_done(struct secure_device *d, int outcome) {
        struct secure_change c = d->change;

        d->change.under_way = false;
        if (outcome == -ENOTRECOVERABLE) /* it may be there, or not: reading it anew tells */
                d->secure->config.failed(d->secure->config.context, outcome);
        if (outcome) {
                secure_rows_put_back(d);
                if (c.call)
                        answer_fault(
                                c.call, FAULT_FAILED,
                                "The change could not be stored, and was not made: see the journal of ocfd");
                else if (c.is_reset) /* it is due still, and tried again */
                        d->svr.machine.reset_due_ms =
                                d->secure->config.now(d->secure->config.context) + RETRY_MS;
        } else {
                secure_rows_keep(d);
                if (c.call)
                        call_answer(c.call, &c.response);
                secure_follow(d, c.effects);
        }
        if (c.is_new && outcome)
                d->sealed = "The onboarding tool could not be stored: restart ocfd, and make it again "
                            "(ocfctl init)";
        if (c.done)
                c.done(c.done_context, outcome);
        secure_run_waiting(d);
}

static void dispatch(struct secure_device *d, struct call *call, unsigned id) {
        if (id == SECURE_MNT)
                change_mnt(d, call);
        else
                run(d, call, (enum svr_id)id);
}

/* What came before may have changed who may. */
static void run_waiting(struct secure_device *d, struct call *call) {
        const struct secure_config *c = &d->secure->config;
        const struct resource *r = model_resource_by_number(c->model, call->resource);

        if (d->sealed || !r)
                answer_fault(call, FAULT_UNAVAILABLE, d->sealed);
        else if (!c->grants(c->context, call, r))
                answer_fault(call, FAULT_NOT_AUTHORIZED, NULL);
        else
                dispatch(d, call, r->secure_id);
}

void secure_run_waiting(struct secure_device *d) {
        while (!d->change.under_way && !list_is_empty(&d->waiting)) {
                struct call *call = LIST_ENTRY(d->waiting.next, struct call, link);

                list_unlink(&call->link);
                d->n_waiting--;
                run_waiting(d, call);
        }
}

void secure_request(struct secure *s, struct resource *r, struct call *call) {
        struct secure_device *d = r->device->index < s->n_devices ? s->devices[r->device->index] : NULL;

        if (!d || d->sealed) {
                answer_fault(call, FAULT_UNAVAILABLE, d ? d->sealed : NULL);
                return;
        }
        if (call->request.subject.kind == SUBJECT_LOCAL) { /* administrators have ways of their own */
                answer_fault(call, FAULT_NOT_AUTHORIZED, "Ask org.ocfd.Security1 of the device instead");
                return;
        }
        if (call->request.method == COAP_GET) {
                if (r->secure_id == SECURE_MNT)
                        answer_mnt(d, r, call);
                else
                        run(d, call, (enum svr_id)r->secure_id);
                return;
        }
        if (!d->change.under_way) {
                dispatch(d, call, r->secure_id);
                return;
        }
        if (d->n_waiting >= SECURE_WAITING_MAX) {
                answer_fault(call, FAULT_BUSY, NULL);
                return;
        }
        list_link_tail(&d->waiting, &call->link);
        d->n_waiting++;
}
