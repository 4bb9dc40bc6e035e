#include "base/memory.h"
#include "security/tls_cert_private.h"

#include <string.h>

#define HELD_MAX (32u * 1024u)

/*
 * The steps of a slow key: whatever comes during the handshake is kept, and read
 * by a step that somebody runs where it may take its time.
 */

/* Datagrams beyond what there is room for are lost, as datagrams are; a connection must not lose any byte. */
void tls_cert_hold(struct tls_cert *c, const uint8_t *data, size_t n) {
        bool has_room = c->base.state != TLS_CLOSED && n <= HELD_MAX - c->n_held;
        struct tls_cert_bytes *b = has_room ? ocf_allocate(1, sizeof(*b) + n) : NULL;

        if (!b) {
                if (c->base.stream && c->base.state != TLS_CLOSED)
                        tls_cert_end(c, TLS_FAILURE_PROTOCOL, "it said more than a handshake has to say");
                return;
        }
        b->n = n;
        memcpy(b->bytes, data, n);
        c->n_held += n;
        *c->last_held = b;
        c->last_held = &b->next;
}

bool tls_cert_take_held(struct tls_cert *c) {
        struct tls_cert_bytes *b = c->held;

        c->current = ocf_free(c->current);
        c->n_input = 0;
        if (!b)
                return false;
        c->held = b->next;
        if (!c->held)
                c->last_held = &c->held;
        b->next = NULL;
        c->n_held -= b->n;
        c->current = b;
        c->input = b->bytes;
        c->n_input = b->n;
        return true;
}

void tls_cert_work_begin(struct tls *t) {
        struct tls_cert *c = tls_cert_of(t);

        t->has_work = false;
        t->deadline_ms = c->until_ms; /* libssl's own has to wait */
        c->outcome = (struct tls_cert_outcome){ .state = TLS_HANDSHAKE };
        c->is_working = true;
}

void tls_cert_work_run(struct tls *t) {
        struct tls_cert *c = tls_cert_of(t);

        tls_cert_step(c, &c->outcome);
}

/* It may have ended in the meantime: then what came of the step is nobody's any more. */
struct tls *tls_cert_work_done(struct tls *t, uint64_t now_ms) {
        struct tls_cert *c = tls_cert_of(t);

        c->is_working = false;
        if (c->is_orphan)
                return tls_free(t);
        if (t->state != TLS_HANDSHAKE) {
                tls_cert_free_bytes(c->first);
                c->first = NULL;
                c->last = &c->first;
                c->n_out = 0;
                return t;
        }
        tls_cert_take(c, &c->outcome);
        tls_cert_follow_time(c, now_ms);
        return t;
}
