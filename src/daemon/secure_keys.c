#include "base/memory.h"
#include "daemon/secure_private.h"

#include <string.h>

/*
 * What svr_request() asks for, since only cryptography can tell.
 */

/* Out of the session that takes ownership, as both sides compute it (security.md 4.5). */
static bool owner_psk(struct secure_device *d, const struct call *call, const struct svr_need *need,
                      uint8_t *buf) {
        const struct secure_config *c = &d->secure->config;
        struct tls_secrets secrets;
        bool good;

        if (!c->secrets(c->context, &call->request.peer, &secrets))
                return false;
        good = key_derive_owner(&secrets, need->transfer, &need->owner, &need->device, buf);
        secret_wipe(&secrets, sizeof(secrets));
        return good;
}

void secure_reply(struct secure_device *d, const struct call *call, const struct svr_need *need, uint8_t *buf,
                  struct svr_reply *ret) {
        *ret = (struct svr_reply){ .kind = need->kind };
        switch (need->kind) {
        case SVR_NEED_OWNER_PSK:
                ret->ok = owner_psk(d, call, need, buf);
                ret->bytes = span_of(buf, KEY_PSK);
                break;
        case SVR_NEED_CSR:
        case SVR_NEED_IDENTITY:
        case SVR_NEED_ROLE_CHAIN:
        case SVR_NEED_ANCHOR:
        case SVR_NEED_PEER_ROLE:
                break;
        }
}
