#include "dbus/bus_private.h"
#include "protocol/rep.h"

#include <errno.h>
#include <string.h>

/*
 * What an app's Handler1 answered, as the answer to the request. Whatever is
 * not as the contract has it is Failed: the peer learns no more, and nothing
 * passes that the method does not allow.
 */

static uint8_t usual_code(const struct call *call) {
        switch (call->request.method) {
        case COAP_GET:
                return COAP_CONTENT;
        case COAP_DELETE:
                return COAP_DELETED;
        default: /* updates, and creations by one of the interfaces */
                return call->interface == INTERFACE_CREATE ? COAP_CREATED : COAP_CHANGED;
        }
}

/* "2.04" as 0x44; only successes, since faults are errors, and only those that answer the method. */
static bool parse_code(const char *text, uint8_t usual, uint8_t *ret) {
        static const struct {
                const char *text;
                uint8_t code;
        } codes[] = { { "2.01", COAP_CREATED },
                      { "2.02", COAP_DELETED },
                      { "2.04", COAP_CHANGED },
                      { "2.05", COAP_CONTENT } };

        for (size_t i = 0; i < ARRAY_SIZE(codes); i++)
                if (strcmp(codes[i].text, text) == 0) {
                        *ret = codes[i].code;
                        return (*ret == COAP_CONTENT) == (usual == COAP_CONTENT);
                }
        return false;
}

/* One pair of the response's map. Return: 0; VALUE_E_*; -EBADMSG for what makes no sense; other negative
 * errno. */
static int read_pair(sd_bus_message *m, struct bus *b, struct writer *value, struct ocf_response *ret) {
        const char *key, *code;
        uint32_t max_age;
        uint16_t format;
        int r = sd_bus_message_read_basic(m, 's', &key);

        if (r < 0)
                return r;
        if (strcmp(key, "value") == 0)
                return value_read(m, value);
        if (strcmp(key, "content_format") == 0) {
                r = sd_bus_message_read(m, "v", "q", &format);
                ret->raw_format = format;
        } else if (strcmp(key, "max_age_s") == 0) {
                r = sd_bus_message_read(m, "v", "u", &max_age);
                ret->max_age_s = max_age;
        } else if (strcmp(key, "code") == 0) {
                r = sd_bus_message_read(m, "v", "s", &code);
                if (r >= 0 && !parse_code(code, ret->code, &ret->code))
                        return -EBADMSG;
        } else {
                r = sd_bus_message_skip(m, "v"); /* a later version's */
        }
        return r < 0 ? r : 0;
}

static int read_response(sd_bus_message *m, struct bus *b, struct writer *value, struct ocf_response *ret) {
        int r = sd_bus_message_enter_container(m, 'a', "{sv}");

        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                r = read_pair(m, b, value, ret);
                if (r)
                        return r;
                r = sd_bus_message_exit_container(m);
        }
        return r < 0 ? r : 0;
}

/* Bytes of another format stand in the value as a byte string. A retrieve wants a value. */
static bool take_body(struct span rep, struct ocf_response *ret, const struct call *call) {
        struct span bytes;

        if (!rep.n)
                return ret->raw_format == COAP_FORMAT_NONE && call->request.method != COAP_GET;
        if (ret->raw_format == COAP_FORMAT_NONE) {
                ret->rep = rep;
                return true;
        }
        if (!rep_as_bytes(rep, &bytes))
                return false;
        ret->raw = bytes;
        return true;
}

static struct ocf_response response_of_error(const sd_bus_error *e) {
        struct ocf_response response = OCF_RESPONSE_FAULT(bus_fault_of_error(e));
        bool is_apps_own = response.fault != FAULT_TIMEOUT && response.fault != FAULT_UNAVAILABLE &&
                           response.fault != FAULT_BUSY;

        response.diagnostic = is_apps_own && e->message && e->message[0] ? e->message : NULL;
        response.max_age_s = response.fault == FAULT_UNAVAILABLE || response.fault == FAULT_BUSY ? 1 : -1;
        return response;
}

/* Spans point into the message, or into the scratch of the bus. */
void bus_answer_read(struct bus *b, sd_bus_message *m, const struct call *call, struct ocf_response *ret) {
        struct writer value = writer_on(b->scratch, BUS_VALUE_MAX);
        const sd_bus_error *e = sd_bus_message_get_error(m);
        int r;

        if (e) {
                *ret = response_of_error(e);
                return;
        }
        *ret = OCF_RESPONSE_OK(usual_code(call));
        r = read_response(m, b, &value, ret);
        if (!r && take_body(writer_span(&value), ret, call))
                return;
        *ret = OCF_RESPONSE_FAULT(FAULT_FAILED);
        ret->diagnostic = r == VALUE_E_TOO_LARGE ? "The application's answer is larger than 1 MiB"
                                                 : "The application's answer is not what Handler1 says";
}
