#include "base/utf8.h"
#include "dbus/bus_private.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define PREFIX   BUS_NAME ".Error."
#define TEXT_MAX BUS_SENTENCE_MAX

const char *bus_sentence(char buf[static BUS_SENTENCE_MAX], const char *text) {
        snprintf(buf, BUS_SENTENCE_MAX, "%s", text);
        if (!utf8_is_valid(span_of_string(buf), UTF8_BUS))
                for (char *s = buf; *s; s++)
                        if (*s & 0x80)
                                *s = '?';
        return buf;
}

int bus_reply_fault(sd_bus_message *m, enum fault fault, const char *text) {
        const struct fault_row *row = fault_row(fault);
        char name[64], sentence[TEXT_MAX];

        snprintf(name, sizeof(name), PREFIX "%s", row->name);
        return sd_bus_reply_method_errorf(m, name, "%s", bus_sentence(sentence, text ? text : row->text));
}

int bus_reply_refusal(sd_bus_message *m, const struct model_refusal *refusal) {
        return bus_reply_fault(m, refusal->fault, refusal->text);
}

int bus_reply_invalid(sd_bus_message *m, const char *format, ...) {
        char text[TEXT_MAX];
        va_list args;

        va_start(args, format);
        vsnprintf(text, sizeof(text), format, args);
        va_end(args);
        return bus_reply_fault(m, FAULT_INVALID_ARGUMENTS, text);
}

/* What an app's error, or the bus's own, means to the one who asked. */
enum fault bus_fault_of_error(const sd_bus_error *e) {
        static const struct {
                const char *name;
                enum fault fault;
        } others[] = {
                { SD_BUS_ERROR_NO_REPLY, FAULT_TIMEOUT },
                { SD_BUS_ERROR_TIMEOUT, FAULT_TIMEOUT },
                { "System.Error.ETIMEDOUT", FAULT_TIMEOUT },
                { SD_BUS_ERROR_NAME_HAS_NO_OWNER, FAULT_UNAVAILABLE },
                { SD_BUS_ERROR_SERVICE_UNKNOWN, FAULT_UNAVAILABLE },
                { SD_BUS_ERROR_DISCONNECTED, FAULT_UNAVAILABLE },
                { SD_BUS_ERROR_LIMITS_EXCEEDED, FAULT_BUSY }, /* the bus's own */
                { SD_BUS_ERROR_NOT_SUPPORTED, FAULT_NOT_IMPLEMENTED },
        };

        if (strncmp(e->name, PREFIX, strlen(PREFIX)) == 0)
                return fault_by_name(e->name + strlen(PREFIX));
        for (size_t i = 0; i < ARRAY_SIZE(others); i++)
                if (strcmp(e->name, others[i].name) == 0)
                        return others[i].fault;
        return FAULT_FAILED;
}
