#include "base/utf8.h"
#include "model/model_private.h"
#include "protocol/rep.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void refuse(struct model_refusal *refusal, enum fault fault, const char *format, ...) {
        va_list args;

        refusal->fault = fault;
        va_start(args, format);
        vsnprintf(refusal->text, sizeof(refusal->text), format, args);
        va_end(args);
}

/* What is wrong with it, as the rest of a sentence; NULL: nothing. */
static const char *href_flaw(const char *href) {
        struct span rest, segment;

        if (href[0] != '/')
                return "does not start with \"/\"";
        if (strlen(href) > MODEL_HREF_MAX)
                return "is longer than 256 bytes";
        if (!utf8_is_valid(span_of_string(href), UTF8_BUS))
                return "is not valid UTF-8";
        for (const char *c = href; *c; c++) {
                if ((uint8_t)*c < 0x20 || *c == 0x7f)
                        return "has a control character";
                if (*c == '?' || *c == '#' || *c == '%')
                        return "has one of ? # %, which mean something else in a URI";
        }
        rest = span_of_string(href + 1);
        while (span_split(&rest, '/', &segment)) {
                if (!segment.n)
                        return "has an empty segment";
                if (span_equal_string(segment, ".") || span_equal_string(segment, ".."))
                        return "has a segment \".\" or \"..\"";
        }
        rest = span_of_string(href + 1);
        (void)span_split(&rest, '/', &segment);
        if (span_equal_string(segment, "oic") || span_equal_string(segment, "oc") ||
            span_equal_string(segment, ".well-known"))
                return "is in a part that belongs to OCF (/oic, /oc, /.well-known)";
        return NULL;
}

static const char *type_flaw(const char *type) {
        size_t n = strlen(type);

        if (!n)
                return "is empty";
        if (n > MODEL_TYPE_MAX)
                return "is longer than 64 bytes";
        for (size_t i = 0; i < n; i++)
                if (type[i] <= ' ' || type[i] > '~' || type[i] == '"' || type[i] == '&')
                        return "has a character that no resource type has";
        return NULL;
}

static bool validate_types(const struct resource_spec *spec, struct model_refusal *refusal) {
        const char *flaw;

        if (!spec->n_types || spec->n_types > MODEL_TYPES_MAX) {
                refuse(refusal, FAULT_INVALID_ARGUMENTS,
                       "%.200s needs at least one resource type (rt), and at most %d", spec->href,
                       MODEL_TYPES_MAX);
                return false;
        }
        for (size_t i = 0; i < spec->n_types; i++) {
                flaw = type_flaw(spec->types[i]);
                for (size_t j = 0; j < i && !flaw; j++)
                        if (strcmp(spec->types[i], spec->types[j]) == 0)
                                flaw = "is there twice";
                if (flaw) {
                        refuse(refusal, FAULT_INVALID_ARGUMENTS, "The resource type \"%.64s\" of %.100s %s",
                               spec->types[i], spec->href, flaw);
                        return false;
                }
        }
        return true;
}

static bool validate_interfaces(const struct resource_spec *spec, struct model_refusal *refusal) {
        bool handled = spec->handler && spec->handler->vtable->request;

        for (size_t i = 0; i < spec->n_interfaces; i++) {
                enum interface interface;

                if (!interface_parse(&interface, span_of_string(spec->interfaces[i]))) {
                        refuse(refusal, FAULT_INVALID_ARGUMENTS,
                               "The interface \"%.40s\" of %.60s is unknown: there are oic.if.r, rw, s, a, "
                               "w, baseline, "
                               "ll, b and create",
                               spec->interfaces[i], spec->href);
                        return false;
                }
                if (!handled && (interface == INTERFACE_LL || interface == INTERFACE_B ||
                                 interface == INTERFACE_CREATE)) {
                        refuse(refusal, FAULT_INVALID_ARGUMENTS,
                               "The interface %s of %.60s needs a handler: a published value has no links",
                               spec->interfaces[i], spec->href);
                        return false;
                }
        }
        return true;
}

bool validate_spec(const struct resource_spec *spec, struct model_refusal *refusal) {
        const char *flaw = href_flaw(spec->href);

        if (flaw) {
                refuse(refusal, FAULT_INVALID_ARGUMENTS, "The href \"%.150s\" %s", spec->href, flaw);
                return false;
        }
        if (spec->name &&
            (strlen(spec->name) > MODEL_NAME_MAX || !utf8_is_valid(span_of_string(spec->name), UTF8_BUS))) {
                refuse(refusal, FAULT_INVALID_ARGUMENTS,
                       "The name (n) of %.150s is longer than 64 bytes, or no UTF-8", spec->href);
                return false;
        }
        return validate_types(spec, refusal) && validate_interfaces(spec, refusal);
}
