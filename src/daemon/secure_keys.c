#include "base/memory.h"
#include "daemon/diag.h"
#include "daemon/secure_private.h"
#include "security/identity_key.h"

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

static bool csr(struct secure_device *d, const struct svr_need *need, uint8_t *buf, struct span *ret) {
        struct writer w = writer_on(buf, SECURE_REPLY_MAX);

        if (!d->key || !identity_csr(d->key, &need->device, &w))
                return false;
        *ret = writer_span(&w);
        return true;
}

/* Those who may vouch for this peer, and whether one of them is the owner's (security.md 5.6). */
static STACK_OF(X509) * anchors_for(const struct svr *svr, const struct uuid *peer) {
        STACK_OF(X509) *all = sk_X509_new_null();

        for (size_t i = 0; all && i < svr->n_creds; i++) {
                const struct cred *c = svr->creds[i];
                STACK_OF(X509) * one;
                X509 *anchor;

                if (c->usage != CRED_TRUSTCA || !(c->any_subject || uuid_equal(&c->subject, peer)))
                        continue;
                one = certificate_read(c->public_data);
                anchor = one ? sk_X509_shift(one) : NULL;
                certificate_free(one);
                if (anchor && !sk_X509_push(all, anchor))
                        X509_free(anchor);
        }
        return all;
}

/* The owner's root: the one that was provisioned for the owner, by its UUID. */
static bool is_owners(const struct svr *svr, X509 *anchor) {
        bool found = false;

        for (size_t i = 0; !found && i < svr->n_creds; i++) {
                const struct cred *c = svr->creds[i];
                STACK_OF(X509) * one;

                if (c->usage != CRED_TRUSTCA || c->any_subject ||
                    !uuid_equal(&c->subject, &svr->doxm.devowneruuid))
                        continue;
                one = certificate_read(c->public_data);
                found = one && X509_cmp(sk_X509_value(one, 0), anchor) == 0;
                certificate_free(one);
        }
        return found;
}

static const char *check_role(struct secure_device *d, STACK_OF(X509) * chain,
                              const struct tls_cert_peer *peer, struct svr_reply *ret, char **ret_role,
                              char **ret_authority) {
        STACK_OF(X509) *anchors = anchors_for(&d->svr, &peer->id);
        X509 *leaf = sk_X509_value(chain, 0), *anchor = NULL;
        const char *problem;
        struct uuid id;

        if (!anchors)
                return "there is no memory to look at it";
        problem = certificate_chain(chain, CERTIFICATE_ROLE, anchors,
                                    d->secure->config.wall(d->secure->config.context), &anchor);
        if (!problem && !certificate_has_key(leaf, X509_get0_pubkey(peer->leaf)))
                problem = "it is for another key than the session's certificate";
        if (!problem && (!certificate_uuid(leaf, &id) || !uuid_equal(&id, &peer->id)))
                problem = "it names another device than the session's certificate";
        if (!problem)
                problem = certificate_role(leaf, ret_role, ret_authority);
        if (!problem) {
                ret->is_owner = strcmp(*ret_role, "oic.role.owner") == 0 && is_owners(&d->svr, anchor);
                ret->until_s = certificate_end_s(leaf);
        }
        certificate_free(anchors);
        return problem;
}

/* Role and authority are copied to buf, which lives as long as the request is looked at. */
static bool peer_role(struct secure_device *d, const struct call *call, const struct svr_need *need,
                      uint8_t *buf, struct svr_reply *ret) {
        const struct secure_config *c = &d->secure->config;
        const struct tls *tls = c->tls(c->context, &call->request.peer);
        struct writer w = writer_on(buf, SECURE_REPLY_MAX);
        STACK_OF(X509) *chain = certificate_read(need->pem);
        char *role = NULL, *authority = NULL;
        struct tls_cert_peer peer = { 0 };
        const char *problem = "the session has no certificate";

        if (tls && tls_is_cert(tls))
                tls_cert_peer(tls, &peer);
        if (chain && peer.leaf)
                problem = check_role(d, chain, &peer, ret, &role, &authority);
        certificate_free(chain);
        if (problem) {
                diag_log(LOG_INFO, "A role was not accepted: %s", problem);
                return false;
        }
        ret->role = span_of(w.data, strlen(role));
        writer_put_span(&w, span_of_string(role));
        ret->authority = span_of(w.data + w.n, strlen(authority));
        writer_put_span(&w, span_of_string(authority));
        ocf_free(role);
        ocf_free(authority);
        return !w.overflow;
}

/* Return: whether it is good; what is not is told, since the one who asks gets no reason. */
static bool tell(const char *what, const char *problem) {
        if (problem)
                diag_log(LOG_INFO, "%s was not accepted: %s", what, problem);
        return !problem;
}

void secure_reply(struct secure_device *d, const struct call *call, const struct svr_need *need, uint8_t *buf,
                  struct svr_reply *ret) {
        int64_t wall_s = d->secure->config.wall(d->secure->config.context);

        *ret = (struct svr_reply){ .kind = need->kind };
        switch (need->kind) {
        case SVR_NEED_OWNER_PSK:
                ret->ok = owner_psk(d, call, need, buf);
                ret->bytes = span_of(buf, KEY_PSK);
                break;
        case SVR_NEED_CSR:
                ret->ok = csr(d, need, buf, &ret->bytes);
                break;
        case SVR_NEED_IDENTITY:
                ret->ok = d->key && tell("An identity certificate",
                                         certificate_check_own(need->pem, CERTIFICATE_IDENTITY, d->key,
                                                               &need->device, wall_s));
                break;
        case SVR_NEED_ROLE_CHAIN:
                ret->ok = d->key &&
                          tell("A role certificate", certificate_check_own(need->pem, CERTIFICATE_ROLE,
                                                                           d->key, &need->device, wall_s));
                break;
        case SVR_NEED_ANCHOR:
                ret->ok = tell("A trust anchor", certificate_check_anchor(need->pem, wall_s));
                break;
        case SVR_NEED_PEER_ROLE:
                ret->ok = peer_role(d, call, need, buf, ret);
                break;
        }
}
