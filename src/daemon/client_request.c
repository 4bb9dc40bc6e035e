#include "base/memory.h"
#include "daemon/client_private.h"
#include "model/query.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/*
 * Requests of apps to other devices: over which channel, and what the answer
 * means for who asked.
 */

/* A request of an app that is on its way. */
struct asking {
        struct list link;
        struct client *client;
        struct call *call;
        struct out_channel *channel;
        struct out_request *request;
        struct uuid id;
        bool is_secure;
        char why[384];
};

/* ---- which way ---- */

/* Which of our devices has something to open a session with; false: none has. */
static bool credential_of(struct client *c, const struct uuid *id, uint16_t *ret) {
        struct daemon *d = c->daemon;
        const struct device *tool = tool_device(d->tool);

        /* The owner may most: a key for a pair is worth what the entries beside it say. */
        if (tool && keyring_has(tool_keyring(d->tool), id)) {
                *ret = tool->index;
                return true;
        }
        for (uint16_t i = 0; i < d->model->n_devices; i++) {
                const struct svr *svr = secure_svr(d->secure, i);

                *ret = i;
                if (svr && svr->machine.state == SVR_RFNOP && svr_find_psk(svr, id))
                        return true;
        }
        for (uint16_t i = 0; i < d->model->n_devices; i++) {
                const struct svr *svr = secure_svr(d->secure, i);

                *ret = i;
                if (svr && svr->machine.state == SVR_RFNOP && !(tool && tool->index == i) &&
                    secure_has_certificate(d->secure, i))
                        return true;
        }
        return false;
}

/* Datagrams first: all devices have them, and a session over them survives a change of networks. */
static size_t addresses_of(const struct remote_device *d, bool secure, struct out_address *ret) {
        size_t n = 0;

        for (int stream = 0; stream < 2; stream++)
                for (size_t i = 0; i < d->n_addresses && n < OUT_ADDRESSES_MAX; i++) {
                        const struct remote_address *a = &d->addresses[i];

                        if (a->secure != secure || a->stream != stream)
                                continue;
                        ret[n] = (struct out_address){ .interface = a->interface,
                                                       .port = a->port,
                                                       .secure = secure,
                                                       .stream = a->stream };
                        memcpy(ret[n++].ip, a->ip, 16);
                }
        return n;
}

/* Does another device answer at an address of this one, in the clear? A bridge's do. */
static bool is_shared(struct client *c, const struct remote_device *d, const struct out_spec *spec) {
        for (const struct remote_device *i = remotes_first(c->remotes); i; i = remotes_after(c->remotes, i)) {
                struct out_address theirs[OUT_ADDRESSES_MAX];
                size_t n = i == d ? 0 : addresses_of(i, false, theirs);

                while (n--)
                        for (size_t j = 0; j < spec->n_addresses; j++)
                                if (theirs[n].port == spec->addresses[j].port &&
                                    theirs[n].stream == spec->addresses[j].stream &&
                                    theirs[n].interface == spec->addresses[j].interface &&
                                    !memcmp(theirs[n].ip, spec->addresses[j].ip, 16))
                                        return true;
        }
        return false;
}

int client_channel(struct client *c, const struct uuid *device, enum bus_channel_wish wish,
                   struct out_channel **ret, const char **ret_why) {
        const struct remote_device *d = remotes_find(c->remotes, device);
        const struct device *tool = tool_device(c->daemon->tool);
        struct out_spec spec = { .kind = OUT_CREDENTIAL, .id = *device };

        if (!d) {
                *ret_why = "No such device is known: ocfctl discover looks for it";
                return -ENOENT;
        }
        if (wish != BUS_CLEAR_ONLY && credential_of(c, device, &spec.device)) {
                spec.n_addresses = addresses_of(d, true, spec.addresses);
                if (spec.n_addresses)
                        return out_channel_obtain(c->outgoing, &spec, ret);
        }
        if (wish == BUS_SECURE_ONLY || (wish == BUS_ANY_CHANNEL && d->ownership == REMOTE_MINE)) {
                *ret_why = d->ownership == REMOTE_UNOWNED
                                   ? "Nobody owns the device, so there is no key for it. Own it: ocfctl own"
                                   : "Nothing here has a credential for the device: its owner has to pair it "
                                     "with this one";
                return -ENOENT;
        }
        spec.kind = OUT_CLEAR;
        spec.device = tool ? tool->index : 0;
        spec.n_addresses = addresses_of(d, false, spec.addresses);
        spec.is_shared = is_shared(c, d, &spec);
        if (!spec.n_addresses) {
                *ret_why =
                        d->ownership == REMOTE_OTHERS
                                ? "The device has another owner, and nothing here has a credential for it: "
                                  "its owner has to pair it with this one"
                                : "The device is reached over secure channels alone, and nothing here has a "
                                  "credential for it. Own it (ocfctl own), or have its owner pair it";
                return -ENOENT;
        }
        return out_channel_obtain(c->outgoing, &spec, ret);
}

size_t client_secure_addresses(struct client *c, const struct uuid *device,
                               struct out_address ret[OUT_ADDRESSES_MAX]) {
        const struct remote_device *d = remotes_find(c->remotes, device);

        return d ? addresses_of(d, true, ret) : 0;
}

int client_owner_channel(struct client *c, const struct uuid *device, struct out_channel **ret,
                         const char **ret_why) {
        const struct device *tool = tool_device(c->daemon->tool);
        struct out_spec spec = { .kind = OUT_CREDENTIAL, .id = *device };

        *ret_why = "no key of its owner is here";
        if (!tool || !keyring_has(tool_keyring(c->daemon->tool), device))
                return -ENOENT;
        spec.device = tool->index;
        spec.n_addresses = client_secure_addresses(c, device, spec.addresses);
        *ret_why = "its address is not known: ocfctl discover looks for it";
        return spec.n_addresses ? out_channel_obtain(c->outgoing, &spec, ret) : -ENOENT;
}

void client_close_owner_channel(struct client *c, const struct uuid *device) {
        struct out_channel *channel;
        const char *why;

        if (client_owner_channel(c, device, &channel, &why))
                return;
        out_channel_close(channel);
        out_channel_release(channel);
}

bool client_read(struct client *c, const struct coap_reply *reply, struct span *ret) {
        return client_normalise(c, reply, ret);
}

/* ---- what came back ---- */

void client_response(struct client *c, const struct coap_reply *reply, struct ocf_response *ret) {
        *ret = OCF_RESPONSE_OK(reply->code);
        ret->max_age_s = reply->max_age_s;
        for (size_t i = 0; i < reply->etag.n && i < 8; i++)
                ret->etag = ret->etag << 8 | reply->etag.data[i];
        if (!reply->payload.n || client_normalise(c, reply, &ret->rep))
                return;
        ret->raw = reply->payload;
        ret->raw_format =
                reply->content_format == COAP_FORMAT_NONE ? COAP_FORMAT_OCF_CBOR : reply->content_format;
}

static const char *name_of(const struct client *c, const struct uuid *id, char buf[static UUID_TEXT_MAX]) {
        const struct remote_device *d = remotes_find(c->remotes, id);

        return d && d->name ? d->name : uuid_format(id, buf);
}

static void explain_code(struct asking *a, uint8_t code) {
        char id[UUID_TEXT_MAX];
        const char *name = name_of(a->client, &a->id, id);
        const struct remote_device *d = remotes_find(a->client->remotes, &a->id);

        if (code == COAP_UNAUTHORIZED || code == COAP_FORBIDDEN)
                snprintf(a->why, sizeof(a->why),
                         a->is_secure ? "%s refuses (%u.%02u): no access entry of it lets this daemon do "
                                        "that. Its owner "
                                        "adds one: ocfctl acl add"
                         : d && d->ownership == REMOTE_UNOWNED
                                 ? "%s refuses (%u.%02u): nobody owns it, and unowned devices refuse nearly "
                                   "everything. Own it: ocfctl own"
                                 : "%s refuses (%u.%02u) what comes in clear, and nothing here has a "
                                   "credential "
                                   "for it: its owner has to pair it with this one",
                         name, code >> 5, code & 31);
        else
                snprintf(a->why, sizeof(a->why), "%s answers %u.%02u: %s", name, code >> 5, code & 31,
                         fault_row(fault_by_code(code))->text);
}

static void explain_silence(struct asking *a, const struct out_result *result) {
        char id[UUID_TEXT_MAX];
        const char *name = name_of(a->client, &a->id, id);

        switch (result->outcome) {
        case OUT_NO_ANSWER:
                snprintf(a->why, sizeof(a->why),
                         "%s does not answer: see whether it is on, and on this network", name);
                break;
        case OUT_NO_SESSION:
                snprintf(a->why, sizeof(a->why), "There is no session with %s: %s", name,
                         result->why ? result->why : "it does not answer");
                break;
        case OUT_REJECTED:
        case OUT_FULL:
        case OUT_ANSWERED:
                snprintf(a->why, sizeof(a->why), "%s was not asked, or not understood: %s", name,
                         result->why ? result->why : "too much is under way");
                break;
        }
}

static void asking_free(struct asking *a) {
        list_unlink(&a->link);
        out_cancel(a->request);
        out_channel_release(a->channel);
        ocf_free(a);
}

static void on_answer(void *context, const struct out_result *result) {
        struct asking *a = context;
        struct client *c = a->client;
        struct remote_device *d = remotes_find(c->remotes, &a->id);
        struct call *call = a->call;
        struct ocf_response response;

        a->request = NULL;
        if (result->outcome == OUT_ANSWERED) {
                if (d)
                        remote_answered(d, client_now(c));
                if (d && a->is_secure)
                        remote_address_works(d, result->peer->remote_ip, result->peer->remote_port, true);
                if (result->reply->code >> 5 == 2) {
                        client_response(c, result->reply, &response);
                        asking_free(a);
                        call_answer(call, &response);
                        return;
                }
                response = OCF_RESPONSE_FAULT(fault_by_code(result->reply->code));
                explain_code(a, result->reply->code);
        } else {
                response = OCF_RESPONSE_FAULT(result->outcome == OUT_FULL ? FAULT_BUSY : FAULT_NOT_REACHABLE);
                if (d && result->outcome != OUT_FULL && result->outcome != OUT_REJECTED) {
                        remote_was_silent(d, client_now(c));
                        client_look(c); /* it may have moved */
                }
                explain_silence(a, result);
        }
        response.diagnostic = a->why;
        call_answer(call, &response);
        asking_free(a);
}

static void refuse(struct call *call, enum fault fault, const char *why) {
        struct ocf_response response = OCF_RESPONSE_FAULT(fault);

        response.diagnostic = why;
        call_answer(call, &response);
}

void client_request(struct client *c, const struct uuid *device, enum bus_channel_wish wish,
                    struct call *call) {
        struct coap_ask ask = COAP_ASK_DEFAULT;
        uint64_t now_ms = client_now(c);
        struct asking *a = ocf_new(struct asking);
        const char *why = NULL;
        int r;

        if (!a) {
                refuse(call, FAULT_BUSY, NULL);
                return;
        }
        a->client = c;
        a->call = call;
        a->id = *device;
        list_link_tail(&c->pending, &a->link);
        r = client_channel(c, device, wish, &a->channel, &why);
        if (!r) {
                a->is_secure = out_channel_is_secure(a->channel);
                ask.method = call->request.method;
                ask.ocf_version = true;
                ask.accept = call->request.accept == COAP_FORMAT_NONE ? COAP_FORMAT_OCF_CBOR
                                                                      : call->request.accept;
                ask.path = call->request.path;
                ask.query = call->request.query;
                ask.payload = call->request.payload;
                if (ask.payload.n)
                        ask.content_format = COAP_FORMAT_OCF_CBOR;
                r = out_request(a->channel, &ask,
                                (uint32_t)(call->deadline_ms > now_ms ? call->deadline_ms - now_ms : 1),
                                on_answer, a, &a->request);
        }
        if (r) {
                asking_free(a);
                refuse(call,
                       r != -ENOENT                       ? FAULT_BUSY
                       : remotes_find(c->remotes, device) ? FAULT_NOT_AUTHORIZED
                                                          : FAULT_NOT_FOUND,
                       why);
        }
}

void client_request_free(struct client *c) {
        while (!list_is_empty(&c->pending))
                asking_free(LIST_ENTRY(list_first(&c->pending), struct asking, link));
}
