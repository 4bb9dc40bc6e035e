#include "security/svr_private.h"

/*
 * /oic/sec/csr: a request for a certificate of the identity key (security.md
 * 1.8, 5.7). It is signed for each request, wherever the key is.
 */

int svr_csr_request(struct svr *svr, const struct svr_call *call, struct writer *out,
                    struct svr_result *ret) {
        struct svr_need need = { .kind = SVR_NEED_CSR, .device = svr->doxm.deviceuuid };
        const struct svr_reply *reply;
        size_t begun, n_taken = 0;
        uint64_t n;

        if (!(svr->device.sct & CRED_CERTIFICATE))
                return svr_refuse(ret, FAULT_NOT_FOUND, "this device has no certificates");
        if (svr_take_reply(call, &n_taken, &need, &reply, ret))
                return SVR_E_NEEDS_KEY;
        if (!reply->ok)
                return svr_refuse(ret, FAULT_UNAVAILABLE, "the identity key is not ready");
        begun = svr_begin(out, call, &n);
        rep_put_string(out, "csr");
        rep_put_text(out, reply->bytes);
        rep_put_string(out, "encoding");
        rep_put_string(out, "oic.sec.encoding.pem");
        return svr_end(out, begun, n + 2, ret);
}
