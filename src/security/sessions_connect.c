#include "base/memory.h"
#include "security/crypto.h"
#include "security/sessions_choose.h"
#include "security/sessions_private.h"
#include "security/tls_psk.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <string.h>

/*
 * Sessions that we begin: as a client of another device, or as the onboarding
 * tool that takes it (security.md 4.2 to 4.5). The hint says who the other one
 * is; when it names another device than the one that is meant, nothing is said
 * to it.
 */

/* security.md 4.4: the hint is the device's UUID; none at all is fine, and in a transfer by PIN it is longer.
 */
static bool hint_is_good(const struct session_connecting *o, struct span hint) {
        return !hint.n || o->transfer || (hint.n == 16 && memcmp(hint.data, o->id.bytes, 16) == 0);
}

static size_t find_key(void *context, struct span hint, uint8_t ret[TLS_PSK_MAX]) {
        const struct session *c = context;
        const struct session_connecting *o = c->connecting;

        if (!o || !hint_is_good(o, hint))
                return 0;
        memcpy(ret, o->key, o->n_key);
        return o->n_key;
}

static int begin_psk(struct session *c, const struct session_connect *how, uint64_t now_ms) {
        struct session_connecting *o = c->connecting;
        struct tls_psk_config config = {
                .client = true,
                .stream = c->peer.stream,
                .suite = how->suite,
                .keep_secrets = how->transfer,
                .psk = find_key,
                .context = c,
        };

        if (how->key.n > sizeof(o->key) || how->identity.n > sizeof(o->identity))
                return -EINVAL;
        if (how->key.n > 0)
                memcpy(o->key, how->key.data, how->key.n);
        o->n_key = how->key.n;
        if (how->identity.n > 0)
                memcpy(o->identity, how->identity.data, how->identity.n);
        o->n_identity = how->identity.n;
        config.identity = span_of(o->identity, o->n_identity);
        return tls_psk_new(&c->tls, &config, now_ms);
}

int sessions_connect(struct sessions *s, uint64_t now_ms, const struct coap_peer *peer,
                     const struct session_connect *how, struct session **ret) {
        struct session *c = peer->stream ? sessions_find_stream(s, peer) : sessions_find_at(s, peer, false);
        int r = 0;

        if (c && c->tls) {
                tls_free(how->tls);
                return SESSIONS_E_BUSY;
        }
        if (!c && sessions_make_room(s, peer, true, now_ms))
                c = sessions_add(s, peer, now_ms);
        if (!c) {
                tls_free(how->tls);
                return SESSIONS_E_FULL;
        }
        c->connecting = ocf_new(struct session_connecting);
        if (!c->connecting) {
                tls_free(how->tls);
                sessions_drop(s, c);
                return -ENOMEM;
        }
        c->is_client = true;
        c->connecting->id = how->id;
        c->connecting->transfer = how->transfer;
        c->credid = how->credid;
        c->key_hash = coap_siphash(s->hash_key, how->key);
        c->tls = how->tls;
        if (!c->tls)
                r = begin_psk(c, how, now_ms);
        if (r) {
                sessions_drop(s, c);
                return r;
        }
        sessions_speak(s, c);
        *ret = c;
        return 0;
}

/* Its handshake is over: is it who was meant? */
bool sessions_is_meant(struct sessions *s, struct session *c) {
        const struct sessions_host *host = &s->config.host;
        const struct session_connecting *o = c->connecting;
        struct uuid id = o->id;
        int32_t credid = c->credid;

        if (!tls_suite_is_psk(c->tls->suite)) {
                c->svr.by_certificate = true;
                host->certificate_peer(host->context, c->tls, &id, &credid);
                if (!o->transfer && !uuid_equal(&id, &o->id))
                        return false;
        }
        if (o->transfer)
                return true; /* it has proven nothing that it could be given rights for */
        c->svr.id = id;
        c->credid = credid;
        return true;
}

struct session_connecting *sessions_connecting_free(struct session_connecting *o) {
        if (!o)
                return NULL;
        OPENSSL_cleanse(o, sizeof(*o));
        return ocf_free(o);
}
