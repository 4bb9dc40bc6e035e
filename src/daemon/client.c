#include "base/memory.h"
#include "daemon/client_private.h"
#include "daemon/random.h"

#include <errno.h>
#include <string.h>

/*
 * Made and taken down, and the wires between the client and the rest.
 */

static uint64_t on_now(void *context) {
        return clock_now_ms();
}

static bool is_mine(void *context, const struct uuid *id) {
        const struct daemon *d = ((struct client *)context)->daemon;

        return d->tool && tool_exists(d->tool) && keyring_has(tool_keyring(d->tool), id);
}

/* With what one of our devices opens a session: the owner's key, a pairwise key, or its certificate. */
static int credential(void *context, uint16_t device, const struct uuid *id, bool stream,
                      struct session_connect *ret) {
        struct daemon *d = ((struct client *)context)->daemon;
        const struct device *tool = tool_device(d->tool);
        const struct svr *svr = secure_svr(d->secure, device);
        const struct cred *psk = svr ? svr_find_psk(svr, id) : NULL;

        if (!svr || svr->machine.state != SVR_RFNOP)
                return -ENOENT;
        *ret = (struct session_connect){ .id = *id,
                                         .suite = TLS_ECDHE_PSK_AES_128_CBC_SHA256,
                                         .identity = span_of(svr->doxm.deviceuuid.bytes, 16),
                                         .credid = CRED_ID_NONE };
        if (tool && tool->index == device)
                ret->key = keyring_key(tool_keyring(d->tool), id);
        if (!ret->key.n && psk) {
                ret->key = psk->secret;
                ret->credid = psk->id;
        }
        if (ret->key.n)
                return 0;
        ret->suite = 0;
        ret->identity = SPAN_NULL;
        return secure_client_certificate(d->secure, device, stream, SPAN_NULL, clock_now_ms(), daemon_wall(d),
                                         &ret->tls);
}

int client_new(struct client **ret, struct daemon *d) {
        struct client *c = ocf_new(struct client);
        struct remotes_config remotes = { REMOTES_DEFAULT, .context = c, .is_mine = is_mine };
        struct outgoing_config outgoing = { .pipeline = d->pipeline,
                                            .link = d->link,
                                            .net = d->net,
                                            .context = c,
                                            .now = on_now,
                                            .credential = credential,
                                            .opened = client_show_roles };
        int r;

        if (!c)
                return -ENOMEM;
        c->daemon = d;
        list_init(&c->round.asks);
        list_init(&c->waiters);
        list_init(&c->follows);
        list_init(&c->queued);
        list_init(&c->observations);
        list_init(&c->pending);
        for (size_t i = 0; i < 2; i++)
                remotes.hash_key[i] = (uint64_t)random_u32(&d->random) << 32 | random_u32(&d->random);
        c->scratch = ocf_allocate(CLIENT_SCRATCH, 1);
        r = c->scratch ? remotes_new(&c->remotes, &remotes) : -ENOMEM;
        if (!r)
                r = outgoing_new(&c->outgoing, &outgoing);
        if (r) {
                client_free(c);
                return r;
        }
        *ret = c;
        d->client = c; /* it is asked whose devices they are */
        client_memory_load(c);
        return 0;
}

struct client *client_free(struct client *c) {
        if (!c)
                return NULL;
        client_discover_free(c);
        client_observe_free(c);
        client_request_free(c);
        outgoing_free(c->outgoing);
        remotes_free(c->remotes);
        ocf_free(c->scratch);
        return ocf_free(c);
}

struct remotes *client_remotes(struct client *c) {
        return c->remotes;
}

struct outgoing *client_outgoing(struct client *c) {
        return c->outgoing;
}

void client_wake(struct client *c) {
        uint64_t now_ms = client_now(c);

        if (c->memory_is_stale)
                client_memory_save(c);
        client_discover_wake(c, now_ms);
        client_observe_wake(c, now_ms);
        outgoing_wake(c->outgoing);
}

uint64_t client_deadline(const struct client *c) {
        return ocf_min_u64(ocf_min_u64(client_discover_deadline(c), client_observe_deadline(c)),
                           outgoing_deadline(c->outgoing));
}
