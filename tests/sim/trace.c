/*
 * Lines are written only for somebody who reads them: telling costs more than playing.
 */
#include "trace.h"

#include "protocol/coap_message.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void trace_tell(struct world *w, const char *format, ...) {
        char line[160];
        va_list arguments;
        int n = snprintf(line, sizeof(line), "%9.3f  ", (double)w->now_ms / 1000);

        va_start(arguments, format);
        (void)vsnprintf(line + n, sizeof(line) - (size_t)n, format, arguments);
        va_end(arguments);
        if (w->telling == TELL_ALL)
                puts(line);
        else
                memcpy(w->lines[w->n_lines++ % TRACE_LINES], line, sizeof(line));
}

void trace_print_last(const struct world *w) {
        uint32_t n = w->n_lines < TRACE_LINES ? w->n_lines : TRACE_LINES;

        for (uint32_t i = w->n_lines - n; i < w->n_lines; i++)
                puts(w->lines[i % TRACE_LINES]);
}

const char *trace_station(const struct station *s) {
        static char names[4][32];
        static unsigned n;
        char *name = names[n++ % 4];

        (void)snprintf(name, sizeof(names[0]), "%s %u", s->is_stranger ? "stranger" : "node", s->index);
        return name;
}

/* ---- datagrams ---- */

static void add(char *ret, size_t n_ret, const char *format, ...) OCF_PRINTF(3, 4);

static void add(char *ret, size_t n_ret, const char *format, ...) {
        size_t n = strlen(ret);
        va_list arguments;

        va_start(arguments, format);
        (void)vsnprintf(ret + n, n_ret - n, format, arguments);
        va_end(arguments);
}

static void add_option(char *ret, size_t n_ret, const struct coap_option *o) {
        uint32_t v = 0;

        (void)coap_option_uint(o->value, 4, &v);
        if (o->number == COAP_OPTION_URI_PATH)
                add(ret, n_ret, " /%.*s", (int)o->value.n, (const char *)o->value.data);
        else if (o->number == COAP_OPTION_URI_QUERY)
                add(ret, n_ret, " ?%.*s", (int)o->value.n, (const char *)o->value.data);
        else if (o->number == COAP_OPTION_OBSERVE)
                add(ret, n_ret, " observe %u", v);
        else if (o->number == COAP_OPTION_BLOCK1 || o->number == COAP_OPTION_BLOCK2)
                add(ret, n_ret, " block%d %u/%u/%u", o->number == COAP_OPTION_BLOCK1 ? 1 : 2, v >> 4,
                    v >> 3 & 1, 16u << (v & 7));
        else if (o->number == COAP_OPTION_ETAG && o->value.n >= 2)
                add(ret, n_ret, " etag %02x%02x", o->value.data[0], o->value.data[1]);
}

void trace_message(const uint8_t *bytes, size_t n, char *ret, size_t n_ret) {
        static const char *const types[] = { "CON", "NON", "ACK", "RST" };
        static const char *const methods[] = { "empty",  "GET",   "POST",  "PUT",
                                               "DELETE", "FETCH", "PATCH", "iPATCH" };
        struct coap_option_reader reader;
        struct coap_option o;
        struct coap_message m;

        *ret = 0;
        if (coap_message_parse(&m, span_of(bytes, n)) != 0) {
                add(ret, n_ret, "malformed, %zu bytes", n);
                return;
        }
        add(ret, n_ret, "%s ", types[m.type]);
        if (m.code < ARRAY_SIZE(methods))
                add(ret, n_ret, "%s", methods[m.code]);
        else
                add(ret, n_ret, "%u.%02u", m.code >> 5, m.code & 31u);
        add(ret, n_ret, " %04x", m.mid);
        if (m.n_token)
                add(ret, n_ret, " t=%02x%02x", m.token[m.n_token - 1],
                    m.n_token > 1 ? m.token[m.n_token - 2] : 0);
        reader = coap_option_begin(&m);
        while (coap_option_next(&reader, &o))
                add_option(ret, n_ret, &o);
        if (m.payload.n)
                add(ret, n_ret, ", %zu", m.payload.n);
}
