#include "model/query.h"
#include "security/svr_private.h"

#include <errno.h>

#define BIT(method) (1u << (method))
#define GET_POST    (BIT(COAP_GET) | BIT(COAP_POST))

/* security.md 1.1. PUT is not there. */
static const struct {
        uint8_t methods;
        svr_handler *request;
} rows[_SVR_N] = {
        [SVR_DOXM] = { GET_POST, svr_doxm_request },
        [SVR_PSTAT] = { GET_POST, svr_pstat_request },
        [SVR_CRED] = { GET_POST | BIT(COAP_DELETE), svr_cred_request },
        [SVR_ACL2] = { GET_POST | BIT(COAP_DELETE), svr_acl2_request },
        [SVR_SP] = { GET_POST, svr_sp_request },
        [SVR_SDI] = { GET_POST, svr_sdi_request },
        [SVR_AEL] = { GET_POST, svr_ael_request },
        [SVR_ROLES] = { GET_POST | BIT(COAP_DELETE), svr_roles_request },
        [SVR_CSR] = { BIT(COAP_GET), svr_csr_request },
};

bool svr_has_method(enum svr_id id, uint8_t method) {
        return method < 8 && rows[id].methods & BIT(method);
}

int svr_refuse(struct svr_result *ret, enum fault fault, const char *why) {
        *ret = (struct svr_result){ .response = OCF_RESPONSE_FAULT(fault) };
        ret->response.diagnostic = why;
        return 0;
}

int svr_done(struct svr_result *ret, uint8_t code, uint32_t changed, uint32_t effects) {
        *ret = (struct svr_result){ .response = OCF_RESPONSE_OK(code),
                                    .changed = changed,
                                    .effects = effects };
        return 0;
}

size_t svr_begin(struct writer *out, const struct svr_call *call, uint64_t *ret_n) {
        size_t begun = rep_begin_map(out);

        *ret_n = 0;
        if (call->interface != INTERFACE_BASELINE)
                return begun;
        rep_put_string(out, "rt");
        rep_put_array(out, 1);
        rep_put_string(out, svr_type(call->id));
        rep_put_string(out, "if");
        rep_put_array(out, 2);
        rep_put_string(out, interface_name(INTERFACE_RW));
        rep_put_string(out, interface_name(INTERFACE_BASELINE));
        *ret_n = 2;
        return begun;
}

int svr_end(struct writer *out, size_t begun, uint64_t n, struct svr_result *ret) {
        rep_end_map(out, begun, n);
        if (out->overflow)
                return svr_refuse(ret, FAULT_FAILED, NULL);
        svr_done(ret, COAP_CONTENT, 0, 0);
        ret->response.rep = span_of(out->data + begun, out->n - begun);
        return 0;
}

int svr_walk(struct svr_walk *walk, const struct svr *svr, const struct svr_call *call, int *ret_i,
             struct span *ret_value, struct svr_result *ret) {
        struct span key, value;
        enum fault fault;
        uint64_t n;
        int i;

        if (!walk->begun) {
                if (!rep_map_begin(call->request->payload, &walk->pairs, &n))
                        return svr_refuse(ret, FAULT_BAD_REPRESENTATION, "a map is wanted"), -1;
                walk->begun = true;
        }
        if (!rep_map_next(&walk->pairs, &key, &value))
                return 0;
        i = svr_property_find(walk->table, walk->n_table, key);
        if (i < 0)
                return svr_refuse(ret, FAULT_BAD_REPRESENTATION, "a property that is not known"), -1;
        fault = svr_property_fault(&walk->table[i], svr->machine.state);
        if (fault)
                return svr_refuse(ret, fault,
                                  fault == FAULT_FORBIDDEN ? "not to be written in this state of the device"
                                                           : "a property that only the device writes"),
                       -1;
        *ret_i = i;
        *ret_value = value;
        return 1;
}

int svr_take_reply(const struct svr_call *call, size_t *n_taken, const struct svr_need *need,
                   const struct svr_reply **ret_reply, struct svr_result *ret) {
        if (*n_taken == SVR_REPLIES_MAX) {
                svr_refuse(ret, FAULT_TOO_LARGE, "too many certificates in one request");
                return -1;
        }
        if (*n_taken < call->n_replies && call->replies[*n_taken].kind == need->kind) {
                *ret_reply = &call->replies[(*n_taken)++];
                return 0;
        }
        *ret = (struct svr_result){ .need = *need };
        return SVR_E_NEEDS_KEY;
}

bool svr_query_id(struct span query, const char *key, bool *ret_has, uint64_t *ret) {
        struct span text;
        uint64_t v = 0;

        *ret_has = query_find(query, key, &text);
        if (!*ret_has)
                return true;
        if (!text.n || text.n > 10)
                return false;
        for (size_t i = 0; i < text.n; i++) {
                if (text.data[i] < '0' || text.data[i] > '9')
                        return false;
                v = v * 10 + (uint64_t)(text.data[i] - '0');
        }
        *ret = v;
        return v <= INT32_MAX;
}

bool svr_over_onboarding(const struct svr_call *call) {
        return call->session && call->session->onboarding;
}

int svr_request(struct svr *svr, const struct svr_call *call, struct writer *out, struct svr_result *ret) {
        if (call->interface != INTERFACE_BASELINE && call->interface != INTERFACE_RW)
                return svr_refuse(ret, FAULT_FORBIDDEN, NULL);
        if (!svr_has_method(call->id, call->request->method))
                return svr_refuse(ret, FAULT_METHOD_NOT_ALLOWED, NULL);
        if (svr->machine.pending)
                return svr_refuse(ret, FAULT_FORBIDDEN, svr_state_error_text(SVR_STATE_E_PENDING));
        return rows[call->id].request(svr, call, out, ret);
}
