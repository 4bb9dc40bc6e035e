/*
 * Any bytes as one CoAP message: parsed, its options walked, and written again.
 * What was understood must say the same after it was written.
 */
#include "fuzz.h"

#include "protocol/coap_message.h"
#include "protocol/coap_parse_request.h"

#include <stdlib.h>
#include <string.h>

static void same_message(const struct coap_message *a, const struct coap_message *b) {
        struct coap_option_reader ra = coap_option_begin(a), rb = coap_option_begin(b);
        struct coap_option oa, ob;

        must_hold(a->type == b->type && a->code == b->code && a->mid == b->mid && a->n_token == b->n_token);
        must_hold(memcmp(a->token, b->token, a->n_token) == 0);
        must_hold(span_equal(a->payload, b->payload));
        while (coap_option_next(&ra, &oa)) {
                must_hold(coap_option_next(&rb, &ob));
                must_hold(oa.number == ob.number && span_equal(oa.value, ob.value));
        }
        must_hold(!ra.rest.n && !coap_option_next(&rb, &ob));
}

static void write_again(const struct coap_message *m, size_t n) {
        uint8_t *buf = malloc(n + 16);
        struct coap_builder b =
                coap_build(buf, n + 16, (enum coap_type)m->type, m->code, m->mid, m->token, m->n_token);
        struct coap_option_reader r = coap_option_begin(m);
        struct coap_message again;
        struct coap_option o;

        while (coap_option_next(&r, &o))
                coap_build_option(&b, o.number, o.value);
        coap_build_payload(&b, m->payload);
        must_hold(!b.w.overflow);
        must_hold(coap_message_parse(&again, writer_span(&b.w)) == 0);
        same_message(m, &again);
        free(buf);
}

static void understand(const struct coap_message *m) {
        static struct coap_request_details d;
        static struct coap_request_scratch scratch;

        coap_parse_request(&d, m, false, &scratch);
        must_hold(d.request.path.n <= COAP_PATH_MAX && d.request.query.n <= COAP_QUERY_MAX);
        must_hold(d.refusal || (d.request.path.n && d.request.path.data[0] == '/'));
        must_hold(!d.bad_option || d.refusal);
        must_hold(!d.refusal == !d.refusal_text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        uint8_t *exact = malloc(n ? n : 1); /* so that a byte read too far is seen */
        struct coap_message m;

        if (n)
                memcpy(exact, data, n);
        if (n <= UINT16_MAX && coap_message_parse(&m, span_of(exact, n)) == 0) {
                write_again(&m, n);
                if (m.code)
                        understand(&m);
        }
        free(exact);
        return 0;
}
