#include "base/memory.h"
#include "security/sessions_choose.h"
#include "security/sessions_private.h"
#include "security/tls_psk.h"

#include <string.h>

/*
 * What comes, what it means, and what goes.
 */

/* ---- what comes ---- */

static void read_for(struct sessions *s, size_t i, struct session *c, uint8_t *data, size_t n) {
        s->reading[i] =
                (struct reading){ .session = c, .data = data, .n = n, .n_opened = c ? c->tls->n_opened : 0 };
}

void sessions_receive(struct sessions *s, uint64_t now_ms, const struct coap_peer *peer, uint8_t *data,
                      size_t n) {
        struct session *open, *other;
        struct tls_hello hello;
        int r;

        read_for(s, 0, NULL, NULL, 0);
        read_for(s, 1, NULL, NULL, 0);
        r = tls_hello_read(&hello, false, span_of(data, n));
        if (!r) {
                struct session *c = sessions_on_hello(s, peer, &hello, span_of(data, n), now_ms);

                if (c)
                        read_for(s, 0, c, data, n);
                return;
        }
        if (r != TLS_HELLO_E_NO_HELLO || n > sizeof(s->copy))
                return;
        open = sessions_find_at(s, peer, true);
        other = sessions_find_at(s, peer, false);
        if (open && other) {
                memcpy(s->copy, data, n);
                read_for(s, 1, other, s->copy, n);
        } else if (!open) {
                open = other;
        }
        if (open)
                read_for(s, 0, open, data, n);
}

bool sessions_stream_open(struct sessions *s, uint64_t now_ms, const struct coap_peer *peer) {
        return sessions_make_room(s, peer, false, now_ms) && sessions_add(s, peer, now_ms);
}

void sessions_stream_receive(struct sessions *s, uint64_t now_ms, const struct coap_peer *peer, uint8_t *data,
                             size_t n) {
        struct session *c = sessions_find_stream(s, peer);

        read_for(s, 0, NULL, NULL, 0);
        read_for(s, 1, NULL, NULL, 0);
        if (!c)
                return;
        if (!c->tls) {
                if (!sessions_take_early(s, c, &data, &n, now_ms))
                        return;
                read_for(s, 0, c, c->early, c->n_early);
                read_for(s, 1, c, data, n);
                return;
        }
        read_for(s, 0, c, data, n);
}

void sessions_stream_closed(struct sessions *s, const struct coap_peer *peer) {
        struct session *c = sessions_find_stream(s, peer);

        if (c)
                sessions_drop(s, c);
}

/* ---- what happened ---- */

/* Its own PSK, or (certificates) any anchor or identity of the device has changed: who still may comes back.
 */
bool sessions_still_holds(const struct svr *svr, const struct session *c) {
        if (c->svr.onboarding || c->credid == CRED_ID_NONE)
                return true;
        for (size_t i = 0; i < svr->n_creds; i++)
                if (svr->creds[i]->id == c->credid)
                        return c->svr.by_certificate
                                       ? svr->creds[i]->usage == CRED_TRUSTCA
                                       : cred_is_about(svr->creds[i], &c->svr.id) &&
                                                 coap_siphash(c->table->hash_key, svr->creds[i]->secret) ==
                                                         c->key_hash;
        return false;
}

/* Is this still the way in which ownership is taken? Whoever began before another method was chosen is late.
 */
static bool is_chosen_method(const struct svr *svr, const struct session *c) {
        switch ((enum svr_transfer)svr->doxm.oxmsel) {
        case SVR_JUST_WORKS:
                return c->tls->suite == TLS_ECDH_ANON_AES_128_CBC_SHA256;
        case SVR_RANDOM_PIN:
                return c->tls->suite == TLS_ECDHE_PSK_AES_128_CBC_SHA256 && sessions_has_pin(c);
        case SVR_MANUFACTURER:
                return !tls_suite_is_psk(c->tls->suite);
        case SVR_NO_TRANSFER:
                break;
        }
        return false;
}

/* May it be what it wants to be, now that its handshake is over? The device may have moved on. */
static bool may_open(struct sessions *s, struct session *c) {
        const struct sessions_host *host = &s->config.host;
        const struct svr *svr = host->svr(host->context, c->peer.device);

        if (!svr || svr->machine.pending)
                return false;
        if (c->is_client)
                return sessions_is_meant(s, c) && sessions_still_holds(svr, c);
        if (svr->machine.state == SVR_RFOTM) {
                c->svr.onboarding = !svr->machine.transfer && is_chosen_method(svr, c);
                c->svr.id = (struct uuid){ { 0 } };
                return c->svr.onboarding;
        }
        if (c->tls->suite == TLS_ECDH_ANON_AES_128_CBC_SHA256)
                return false;
        if (!tls_suite_is_psk(c->tls->suite)) {
                c->svr.by_certificate = true;
                host->certificate_peer(host->context, c->tls, &c->svr.id, &c->credid);
        }
        return !uuid_is_nil(&c->svr.id) && sessions_still_holds(svr, c);
}

static bool report(struct session_event *ret, enum session_event_type type, struct session *c) {
        *ret = (struct session_event){ .type = type, .session = c };
        return true;
}

static void touch(struct sessions *s, struct session *c, uint64_t now_ms) {
        c->last_ms = now_ms;
        list_unlink(&c->order_link);
        list_link_tail(uuid_is_nil(&c->svr.id) ? &s->strangers : &s->known, &c->order_link);
}

/* Its handshake is done: it takes the place of the one before. */
static void open_session(struct sessions *s, struct session *c, uint64_t now_ms) {
        struct coap_peer address = sessions_address_of(&c->peer);
        struct session *before = c->peer.stream ? NULL : sessions_find_at(s, &address, true);

        if (before)
                sessions_drop(s, before); /* without a word: its words and the new one's would be taken for
                                             each other */
        ocf_free(c->early);
        c->early = NULL;
        c->connecting = sessions_connecting_free(c->connecting);
        c->n_early = 0;
        c->is_open = true;
        c->opened_ms = now_ms;
        s->counts.n_handshakes--;
        s->counts.n_open++;
        s->counts.n_opened++;
        touch(s, c, now_ms);
        sessions_remember(s, c);
}

static void talk(struct sessions *s, struct session *c) {
        if (!list_is_linked(&c->talking_link))
                list_link_tail(&s->talking, &c->talking_link);
}

static void follow_time(struct sessions *s, struct session *c) {
        if (c->tls->deadline_ms == OCF_NEVER) {
                list_unlink(&c->timed_link);
                return;
        }
        if (!list_is_linked(&c->timed_link))
                list_link_tail(&s->timed, &c->timed_link);
        s->timed_due = ocf_min_u64(s->timed_due, c->tls->deadline_ms);
}

void sessions_speak(struct sessions *s, struct session *c) {
        talk(s, c);
        follow_time(s, c);
}

/* One step of reading. Return: whether there is an event. */
static bool read_on(struct sessions *s, struct reading *r, uint64_t now_ms, struct session_event *ret) {
        struct session *c = r->session;
        bool was_told = c->is_open, has_data;
        struct span data;

        if (!r->begun) {
                r->begun = true;
                tls_receive(c->tls, now_ms, r->data, r->n);
        }
        has_data = tls_next(c->tls, now_ms, &data);
        talk(s, c);
        follow_time(s, c);
        sessions_follow_work(s, c);
        if (!was_told && c->tls->state == TLS_OPEN) {
                if (!may_open(s, c)) {
                        sessions_end(s, c, now_ms);
                        return false;
                }
                open_session(s, c, now_ms);
                if (has_data) {
                        s->data = data;
                        s->data_of = c;
                }
                return report(ret, SESSION_OPENED, c);
        }
        if (has_data) {
                touch(s, c, now_ms);
                report(ret, SESSION_DATA, c);
                ret->data = data;
                return true;
        }
        r->session = NULL;
        if (c->tls->state == TLS_CLOSED)
                sessions_end(s, c, now_ms);
        return false;
}

/* What a step was run for. Return: whether there is an event; then there may be more of the same session. */
static bool read_worked(struct sessions *s, uint64_t now_ms, struct session_event *ret) {
        while (!list_is_empty(&s->worked)) {
                struct session *c = LIST_ENTRY(s->worked.next, struct session, work_link);
                struct reading r = { .session = c, .begun = true };

                list_unlink(&c->work_link);
                if (!read_on(s, &r, now_ms, ret))
                        continue;
                if (!list_is_linked(&c->work_link))
                        list_link_head(&s->worked, &c->work_link);
                return true;
        }
        return false;
}

static bool report_gone(struct sessions *s, struct session_event *ret) {
        struct session *c = sessions_oldest(&s->gone);

        if (!c)
                return false;
        list_unlink(&c->order_link);
        s->reported = c;
        s->counts.n_failed += !c->is_open;
        return report(ret, c->is_open ? SESSION_CLOSED : SESSION_FAILED, c);
}

static void expire(struct sessions *s, struct list *l, uint64_t now_ms) {
        struct session *c;

        while ((c = sessions_oldest(l)) && now_ms - c->last_ms >= s->config.idle_ms) {
                if (c->peer.stream) { /* the connection is watched by CoAP and TCP themselves */
                        touch(s, c, now_ms);
                        continue;
                }
                s->counts.n_idle++;
                sessions_end(s, c, now_ms);
        }
}

bool sessions_event(struct sessions *s, uint64_t now_ms, struct session_event *ret) {
        *ret = (struct session_event){ .type = SESSION_NONE };
        s->reported = sessions_free_one(s->reported);
        if (report_gone(s, ret))
                return true;
        if (s->data_of) {
                report(ret, SESSION_DATA, s->data_of);
                ret->data = s->data;
                s->data_of = NULL;
                return true;
        }
        for (size_t i = 0; i < ARRAY_SIZE(s->reading); i++)
                while (s->reading[i].session) {
                        struct reading *r = &s->reading[i];

                        if (read_on(s, r, now_ms, ret))
                                return true;
                        /* What opened with the first one's keys is not for the second. */
                        if (!i && r->begun && s->reading[1].session && s->reading[1].session != r->session &&
                            s->reading[1].data == s->copy) {
                                struct coap_peer address = sessions_address_of(&s->reading[1].session->peer);
                                struct session *open = sessions_find_at(s, &address, true);

                                if (open && open->tls->n_opened != r->n_opened)
                                        s->reading[1].session = NULL;
                        }
                }
        if (read_worked(s, now_ms, ret))
                return true;
        expire(s, &s->strangers, now_ms);
        expire(s, &s->known, now_ms);
        return report_gone(s, ret);
}

/* ---- what goes ---- */

static void look_at_timed(struct sessions *s, uint64_t now_ms) {
        if (now_ms < s->timed_due)
                return;
        s->timed_due = OCF_NEVER;
        LIST_FOR_EACH_SAFE(i, &s->timed) {
                struct session *c = LIST_ENTRY(i, struct session, timed_link);

                if (c->tls->deadline_ms <= now_ms)
                        talk(s, c);
                follow_time(s, c);
        }
        LIST_FOR_EACH_SAFE(i, &s->handshakes) { /* connections that say nothing */
                struct session *c = LIST_ENTRY(i, struct session, order_link);

                if (c->tls)
                        continue;
                if (now_ms - c->opened_ms >= SESSIONS_HANDSHAKE_MS)
                        sessions_end(s, c, now_ms);
                else
                        s->timed_due = ocf_min_u64(s->timed_due, c->opened_ms + SESSIONS_HANDSHAKE_MS);
        }
}

size_t sessions_transmit(struct sessions *s, uint64_t now_ms, struct coap_peer *ret_to, uint8_t *buf,
                         size_t n) {
        look_at_timed(s, now_ms);
        if (s->n_loose) {
                struct loose *l = &s->loose[s->first_loose];

                s->first_loose = (s->first_loose + 1) % SESSIONS_LOOSE_N;
                s->n_loose--;
                *ret_to = l->to;
                memcpy(buf, l->bytes, l->n);
                return l->n;
        }
        while (!list_is_empty(&s->talking)) {
                struct session *c = LIST_ENTRY(s->talking.next, struct session, talking_link);
                size_t n_bytes = tls_transmit(c->tls, now_ms, buf, n);

                follow_time(s, c);
                if (n_bytes) {
                        *ret_to = c->peer;
                        return n_bytes;
                }
                list_unlink(&c->talking_link);
                if (c->tls->state == TLS_CLOSED)
                        sessions_end(s, c, now_ms);
        }
        return 0;
}

size_t sessions_seal(struct sessions *s, uint64_t now_ms, const struct coap_peer *peer, struct span data,
                     uint8_t *buf, size_t n) {
        struct session *c = sessions_find(s, peer);

        return c ? tls_seal(c->tls, data, buf, n) : 0;
}
