#include "daemon/client_private.h"
#include "daemon/diag.h"
#include "security/role_assertion.h"

/*
 * Over a session that stands on our certificate our roles are shown before
 * anything else is asked: what the others wait for may need them. A device that
 * does not believe one of them is asked all the same, without it.
 */

#define ANSWER_MS 15000u

static void on_answer(void *context, const struct out_result *result) {
        if (result->outcome != OUT_ANSWERED)
                diag_log(LOG_INFO, "A role of ours was not shown: %s",
                         result->why ? result->why : "there was no answer");
        else if (result->reply->code >> 5 != 2)
                diag_log(LOG_INFO, "A role of ours was not accepted: %u.%02u", result->reply->code >> 5,
                         result->reply->code & 31u);
}

void client_show_roles(void *context, struct out_channel *channel, const struct session *session) {
        struct client *c = context;
        const struct svr *svr = secure_svr(c->daemon->secure, out_channel_device(channel));
        struct coap_ask ask = COAP_ASK_DEFAULT;
        int32_t credid = CRED_ID_NONE;
        uint8_t buf[ROLE_ASSERTION_MAX];
        struct out_request *unused;

        ask.method = COAP_POST;
        ask.path = SPAN_LITERAL(ROLE_ASSERTION_PATH);
        ask.content_format = ask.accept = COAP_FORMAT_OCF_CBOR;
        ask.ocf_version = true;
        for (unsigned n = 0; svr && session->svr.by_certificate && n < SVR_SESSION_ROLES_MAX; n++) {
                struct writer w = writer_on(buf, sizeof(buf));

                if (!role_assertion_next(svr, daemon_wall(c->daemon), &credid, &w))
                        return;
                ask.payload = writer_span(&w);
                if (out_request_first(channel, &ask, ANSWER_MS, on_answer, c, &unused) < 0) {
                        diag_log(LOG_WARNING, "A role of ours was not shown: there is no memory for it");
                        return;
                }
        }
}
