#include "daemon/secure_link.h"
#include "base/memory.h"
#include "daemon/secure_work.h"

#include <errno.h>
#include <string.h>

#define GRACE_MS 2000u /* after RFNOP was answered; onboarding tools close by themselves */

/* What a connection said that CoAP has no room for yet. */
struct rest {
        struct list link;
        struct coap_peer peer;
        size_t n;
        uint8_t bytes[];
};

struct secure_link {
        struct secure_link_config config;
        struct sessions *sessions;
        struct secure_work *work;
        struct list rests;
        uint64_t grace_until; /* OCF_NEVER: no session waits for its end */
        bool is_popping;
        uint32_t checks;  /* bits of devices whose credentials changed */
        unsigned n_turns; /* of the loop until that is looked at: the answer to who changed them goes first */
        uint8_t *message; /* of CoAP, before it is sealed */
        uint8_t *record;  /* of a connection: what came, to be decrypted where it is */
};

static uint64_t now_of(const struct secure_link *l) {
        return l->config.now(l->config.context);
}

/* ---- what the sessions tell ---- */

static struct rest *find_rest(struct secure_link *l, const struct coap_peer *peer) {
        LIST_FOR_EACH(i, &l->rests) {
                struct rest *r = LIST_ENTRY(i, struct rest, link);

                if (coap_peer_equal(&r->peer, peer))
                        return r;
        }
        return NULL;
}

static void rest_free(struct rest *r) {
        list_unlink(&r->link);
        ocf_free(r);
}

static bool keep_rest(struct secure_link *l, const struct coap_peer *peer, struct span data) {
        struct rest *before = find_rest(l, peer);
        size_t n_before = before ? before->n : 0;
        struct rest *r = ocf_allocate(1, sizeof(*r) + n_before + data.n);

        if (!r)
                return false;
        r->peer = *peer;
        r->n = n_before + data.n;
        if (before) {
                memcpy(r->bytes, before->bytes, n_before);
                rest_free(before);
        }
        memcpy(r->bytes + n_before, data.data, data.n);
        list_link_tail(&l->rests, &r->link);
        return true;
}

static void on_data(struct secure_link *l, struct session *c, unsigned via, struct span data) {
        size_t n_taken = 0;

        if (!c->peer.stream) {
                pipeline_receive(l->config.pipeline, &c->peer, via, data);
                return;
        }
        if (!find_rest(l, &c->peer))
                n_taken = pipeline_stream_receive(l->config.pipeline, &c->peer, data);
        if (n_taken < data.n && !keep_rest(l, &c->peer, span_of(data.data + n_taken, data.n - n_taken)))
                sessions_close(l->sessions, c);
}

static void on_opened(struct secure_link *l, struct session *c) {
        if (c->peer.stream && !pipeline_stream_open(l->config.pipeline, &c->peer)) {
                sessions_close(l->sessions, c);
                return;
        }
        l->config.opened(l->config.context, c);
}

static void on_closed(struct secure_link *l, struct session *c) {
        struct rest *r = find_rest(l, &c->peer);

        if (r)
                rest_free(r);
        if (c->peer.stream) {
                pipeline_stream_closed(l->config.pipeline, &c->peer);
                l->config.close_stream(l->config.context, &c->peer);
        } else {
                pipeline_session_closed(l->config.pipeline, &c->peer);
        }
        l->config.closed(l->config.context, c);
}

/* What an event leads to may want to pop as well; the rest is for who began. */
static void pop(struct secure_link *l, unsigned via) {
        struct session_event e;

        if (l->is_popping)
                return;
        l->is_popping = true;
        while (sessions_event(l->sessions, now_of(l), &e))
                switch (e.type) {
                case SESSION_OPENED:
                        on_opened(l, e.session);
                        break;
                case SESSION_DATA:
                        on_data(l, e.session, via, e.data);
                        break;
                case SESSION_CLOSED:
                        on_closed(l, e.session);
                        break;
                case SESSION_FAILED:
                        if (e.session->peer.stream)
                                l->config.close_stream(l->config.context, &e.session->peer);
                        l->config.failed(l->config.context, e.session);
                        break;
                case SESSION_NONE:
                        break;
                }
        l->is_popping = false;
        secure_work_go(l->work);
}

static void on_work_done(void *context) {
        pop(context, 0);
}

/* ---- from the sockets ---- */

void secure_link_datagram(struct secure_link *l, const struct coap_peer *peer, unsigned via, uint8_t *data,
                          size_t n) {
        sessions_receive(l->sessions, now_of(l), peer, data, n);
        pop(l, via);
}

bool secure_link_stream_open(struct secure_link *l, const struct coap_peer *peer) {
        return sessions_stream_open(l->sessions, now_of(l), peer);
}

/* Nothing more is taken until CoAP has what came before. */
size_t secure_link_stream_data(struct secure_link *l, const struct coap_peer *peer, struct span data) {
        size_t n = ocf_min_u64(data.n, TLS_RECORD_MAX);

        if (find_rest(l, peer))
                return 0;
        memcpy(l->record, data.data, n);
        sessions_stream_receive(l->sessions, now_of(l), peer, l->record, n);
        pop(l, 0);
        return n;
}

void secure_link_stream_closed(struct secure_link *l, const struct coap_peer *peer) {
        sessions_stream_closed(l->sessions, peer);
        pop(l, 0);
}

static void offer_rests(struct secure_link *l) {
        LIST_FOR_EACH_SAFE(i, &l->rests) {
                struct rest *r = LIST_ENTRY(i, struct rest, link);
                size_t n = pipeline_stream_receive(l->config.pipeline, &r->peer, span_of(r->bytes, r->n));

                r->n -= n;
                memmove(r->bytes, r->bytes + n, r->n);
                if (!r->n)
                        rest_free(r);
        }
}

/* ---- to the sockets ---- */

/* Return: bytes in buf; 0: nothing was left of it. */
static size_t seal(struct secure_link *l, const struct coap_peer *to, size_t n_message, uint8_t *buf,
                   size_t n) {
        return sessions_seal(l->sessions, now_of(l), to, span_of(l->message, n_message), buf, n);
}

size_t secure_link_next(struct secure_link *l, struct coap_peer *ret_to, uint8_t *buf, size_t n) {
        size_t n_bytes = sessions_transmit(l->sessions, now_of(l), ret_to, buf, n);

        while (!n_bytes) {
                size_t n_message =
                        pipeline_transmit(l->config.pipeline, ret_to, l->message, COAP_TRANSMIT_MAX);

                if (!n_message) {
                        if (list_is_empty(&l->rests))
                                return 0;
                        offer_rests(l);
                        n_message =
                                pipeline_transmit(l->config.pipeline, ret_to, l->message, COAP_TRANSMIT_MAX);
                        if (!n_message)
                                return 0;
                }
                if (ret_to->channel && (!ret_to->stream || l->config.is_secure(l->config.context, ret_to))) {
                        n_bytes = seal(l, ret_to, n_message, buf, n);
                } else {
                        memcpy(buf, l->message, n_message);
                        n_bytes = n_message;
                }
        }
        return n_bytes;
}

/* Those in which our devices were taken over; not those in which we take over others. */
static void end_transfers(struct secure_link *l) {
        const struct session *c, *next;

        l->grace_until = OCF_NEVER;
        for (c = sessions_first(l->sessions); c; c = next) {
                next = sessions_after(l->sessions, c);
                if (!c->is_client && !c->svr.onboarding && uuid_is_nil(&c->svr.id))
                        sessions_close(l->sessions, sessions_find(l->sessions, &c->peer));
        }
}

static void check_credentials(struct secure_link *l) {
        for (uint16_t i = 0; i < 32; i++)
                if (l->checks >> i & 1)
                        sessions_check(l->sessions, i);
        l->checks = 0;
}

void secure_link_wake(struct secure_link *l) {
        if (l->n_turns && --l->n_turns == 0)
                check_credentials(l);
        if (now_of(l) >= l->grace_until)
                end_transfers(l);
        pop(l, 0);
}

uint64_t secure_link_deadline(const struct secure_link *l) {
        if (l->n_turns)
                return 0;
        return ocf_min_u64(sessions_deadline(l->sessions), l->grace_until);
}

/* ---- questions ---- */

struct svr_session *secure_link_session(struct secure_link *l, const struct coap_peer *peer) {
        struct session *c = peer->channel ? sessions_find(l->sessions, peer) : NULL;

        return c && (c->svr.onboarding || !uuid_is_nil(&c->svr.id)) ? &c->svr : NULL;
}

const struct tls *secure_link_tls(struct secure_link *l, const struct coap_peer *peer) {
        struct session *c = sessions_find(l->sessions, peer);

        return c ? c->tls : NULL;
}

bool secure_link_secrets(struct secure_link *l, const struct coap_peer *peer, struct tls_secrets *ret) {
        struct session *c = sessions_find(l->sessions, peer);

        return c && c->svr.onboarding && tls_secrets(c->tls, ret);
}

void secure_link_transfer_done(struct secure_link *l, uint16_t device) {
        for (const struct session *c = sessions_first(l->sessions); c; c = sessions_after(l->sessions, c))
                if (c->peer.device == device && c->svr.onboarding)
                        sessions_find(l->sessions, &c->peer)->svr.onboarding = false;
        l->grace_until = now_of(l) + GRACE_MS;
}

int secure_link_connect(struct secure_link *l, const struct coap_peer *peer,
                        const struct session_connect *how, struct coap_peer *ret_peer) {
        struct session *c;
        int r = sessions_connect(l->sessions, now_of(l), peer, how, &c);

        if (!r)
                *ret_peer = c->peer;
        return r;
}

const struct session *secure_link_open_at(struct secure_link *l, const struct coap_peer *peer) {
        return sessions_open_at(l->sessions, peer);
}

const struct session *secure_link_find(struct secure_link *l, const struct coap_peer *peer) {
        return sessions_find(l->sessions, peer);
}

void secure_link_close(struct secure_link *l, const struct coap_peer *peer) {
        struct session *c = sessions_find_any(l->sessions, peer);

        if (c)
                sessions_close(l->sessions, c);
}

void secure_link_check(struct secure_link *l, uint16_t device) {
        l->checks |= 1u << device;
        l->n_turns = 2;
}

void secure_link_close_device(struct secure_link *l, uint16_t device) {
        sessions_close_device(l->sessions, device);
        pop(l, 0);
}

void secure_link_close_all(struct secure_link *l) {
        const struct session *c;

        while ((c = sessions_first(l->sessions)))
                sessions_close_device(l->sessions, c->peer.device);
        pop(l, 0);
}

void secure_link_forget_local(struct secure_link *l, const uint8_t *ip, uint32_t interface) {
        sessions_forget_local(l->sessions, ip, interface);
        pop(l, 0);
}

const struct sessions *secure_link_sessions(const struct secure_link *l) {
        return l->sessions;
}

/* ---- made and freed ---- */

static uint64_t on_work_now(void *context) {
        return now_of(context);
}

static int open_work(struct secure_link *l) {
        const struct secure_work_config config = { .loop = l->config.loop,
                                                   .sessions = l->sessions,
                                                   .context = l,
                                                   .now = on_work_now,
                                                   .done = on_work_done };

        return secure_work_new(&l->work, &config);
}

int secure_link_new(struct secure_link **ret, const struct secure_link_config *config) {
        struct secure_link *l = ocf_new(struct secure_link);
        int r;

        if (!l)
                return -ENOMEM;
        l->config = *config;
        l->grace_until = OCF_NEVER;
        list_init(&l->rests);
        l->message = ocf_allocate(COAP_TRANSMIT_MAX, 1);
        l->record = ocf_allocate(TLS_RECORD_MAX, 1);
        r = l->message && l->record ? sessions_new(&l->sessions, &config->sessions) : -ENOMEM;
        if (!r)
                r = open_work(l);
        if (r < 0) {
                secure_link_free(l);
                return r;
        }
        *ret = l;
        return 0;
}

bool secure_link_stop(struct secure_link *l, uint64_t max_ms) {
        return secure_work_stop(l->work, max_ms);
}

struct secure_link *secure_link_free(struct secure_link *l) {
        if (!l)
                return NULL;
        LIST_FOR_EACH_SAFE(i, &l->rests)
        rest_free(LIST_ENTRY(i, struct rest, link));
        sessions_free(l->sessions);
        secure_work_free(l->work);
        ocf_free(l->message);
        ocf_free(l->record);
        return ocf_free(l);
}
