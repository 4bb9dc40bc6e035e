#include "protocol/coap_private.h"

/*
 * Signals of a connection (RFC 8323, 5): what each side can, whether the other one
 * is there, and how it ends.
 */

/* Signal options have numbers of their own for each code (RFC 8323, 5.2). */
enum {
        CSM_MAX_MESSAGE_SIZE = 2,
        CSM_BLOCK_WISE = 4,
        PING_CUSTODY = 2,
        RELEASE_ADDRESS = 2,
        RELEASE_HOLD_OFF = 4,
        ABORT_BAD_CSM_OPTION = 2
};

static struct coap_builder begin_signal(struct coap_endpoint *ep, uint8_t code,
                                        const struct coap_message *answered) {
        return coap_build(ep->message, sizeof(ep->message), COAP_CON, code, 0,
                          answered ? answered->token : NULL, answered ? answered->n_token : 0);
}

static void send_signal(struct coap_endpoint *ep, const struct coap_stream *s, const struct coap_builder *b) {
        coap_endpoint_send(ep, &s->peer, writer_span(&b->w));
}

void coap_signal_csm(struct coap_endpoint *ep, const struct coap_stream *s) {
        struct coap_builder b = begin_signal(ep, COAP_CSM, NULL);

        coap_build_uint(&b, CSM_MAX_MESSAGE_SIZE, ep->config.limits.n_stream_message);
        coap_build_option(&b, CSM_BLOCK_WISE, SPAN_NULL);
        send_signal(ep, s, &b);
}

void coap_signal_release(struct coap_endpoint *ep, const struct coap_stream *s) {
        struct coap_builder b = begin_signal(ep, COAP_RELEASE, NULL);

        send_signal(ep, s, &b);
}

void coap_signal_abort(struct coap_endpoint *ep, struct coap_stream *s, uint16_t bad_option,
                       const char *text) {
        struct coap_builder b = begin_signal(ep, COAP_ABORT, NULL);

        if (bad_option)
                coap_build_uint(&b, ABORT_BAD_CSM_OPTION, bad_option);
        coap_build_payload(&b, span_of_string(text));
        send_signal(ep, s, &b);
        coap_stream_close_soon(ep, s);
}

/* Return: 0; the number of an option that is critical and unknown. */
static uint16_t read_csm(struct coap_stream *s, const struct coap_message *m) {
        struct coap_option_reader reader = coap_option_begin(m);
        struct coap_option o;

        while (coap_option_next(&reader, &o)) {
                uint32_t n;

                if (o.number == CSM_MAX_MESSAGE_SIZE && coap_option_uint(o.value, 4, &n))
                        s->n_max_message = n;
                else if (o.number == CSM_BLOCK_WISE)
                        s->block_wise = true;
                else if (coap_option_is_critical(o.number))
                        return o.number;
        }
        return 0;
}

static uint16_t first_critical(const struct coap_message *m) {
        struct coap_option_reader reader = coap_option_begin(m);
        struct coap_option o;

        while (coap_option_next(&reader, &o))
                if (coap_option_is_critical(o.number))
                        return o.number;
        return 0;
}

static bool has_custody(const struct coap_message *m) {
        struct coap_option_reader reader = coap_option_begin(m);
        struct coap_option o;

        while (coap_option_next(&reader, &o))
                if (o.number == PING_CUSTODY)
                        return true;
        return false;
}

/* Custody asks that all that was received before has been acted upon: it has (RFC 8323, 5.4.1). */
static void pong(struct coap_endpoint *ep, struct coap_stream *s, const struct coap_message *m) {
        struct coap_builder b = begin_signal(ep, COAP_PONG, m);

        if (has_custody(m))
                coap_build_option(&b, PING_CUSTODY, SPAN_NULL);
        send_signal(ep, s, &b);
}

static void on_csm(struct coap_endpoint *ep, uint64_t now_ms, struct coap_stream *s,
                   const struct coap_message *m) {
        uint16_t bad = read_csm(s, m);

        if (bad) {
                coap_signal_abort(ep, s, bad, "An option of the CSM is critical and unknown here");
                return;
        }
        s->csm = true;
        coap_timer_unset(&ep->timers, &s->timer);
        coap_client_start(ep, now_ms, &s->peer);
}

static void on_release(struct coap_endpoint *ep, uint64_t now_ms, struct coap_stream *s) {
        s->released = true; /* what is under way is still answered */
        if (!s->n_pending)
                coap_stream_close_soon(ep, s);
        else
                coap_timer_set(&ep->timers, &s->timer, now_ms + ep->config.csm_timeout_ms);
}

void coap_signal_take(struct coap_endpoint *ep, uint64_t now_ms, struct coap_stream *s,
                      const struct coap_message *m) {
        uint16_t bad = m->code == COAP_CSM ? 0 : first_critical(m);

        if (bad) {
                coap_signal_abort(ep, s, 0, "An option of the signal is critical and unknown here");
                return;
        }
        switch (m->code) {
        case COAP_CSM:
                on_csm(ep, now_ms, s, m);
                break;
        case COAP_PING:
                pong(ep, s, m);
                break;
        case COAP_RELEASE:
                on_release(ep, now_ms, s);
                break;
        case COAP_ABORT:
                coap_stream_close_soon(ep, s);
                break;
        case COAP_PONG:
        default: /* numbers of others: unknown signals are ignored (RFC 8323, 5.1) */
                break;
        }
}
