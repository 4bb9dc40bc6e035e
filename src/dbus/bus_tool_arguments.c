#include "base/utf8.h"
#include "dbus/bus_private.h"

#include <errno.h>
#include <string.h>

/*
 * What a call of OnboardingTool1 says, as a request to the daemon: bounded, and
 * with devices as their ids. Whether it makes sense is said by who does it.
 */

#define TEXT_MAX 65536u /* a certificate with its chain */

static const struct {
        const char *member;
        enum bus_tool_operation operation;
        const char *types; /* d: device, o: other device, t: text, S: subject, U: usage, l: texts, i, b; O, R,
                              N: options of Own, of Reset, of Initialize; c: of the cloud */
} methods[] = {
        { "Initialize", BUS_TOOL_INITIALIZE, "N" },
        { "Own", BUS_TOOL_OWN, "dO" },
        { "Reset", BUS_TOOL_RESET, "dR" },
        { "SetState", BUS_TOOL_SET_STATE, "dt" },
        { "Pair", BUS_TOOL_PAIR, "do" },
        { "IssueIdentity", BUS_TOOL_ISSUE_IDENTITY, "d" },
        { "IssueRole", BUS_TOOL_ISSUE_ROLE, "dl" },
        { "AddTrustAnchor", BUS_TOOL_ADD_TRUST_ANCHOR, "dStU" },
        { "AddAccess", BUS_TOOL_ADD_ACCESS, "dSlt" },
        { "RemoveAccess", BUS_TOOL_REMOVE_ACCESS, "di" },
        { "RemoveCredential", BUS_TOOL_REMOVE_CREDENTIAL, "di" },
        { "ConfigureCloud", BUS_TOOL_CONFIGURE_CLOUD, "dc" },
        { "SetDomain", BUS_TOOL_SET_DOMAIN, "dtb" },
        { "AddManufacturerAnchor", BUS_TOOL_ADD_MANUFACTURER_ANCHOR, "t" },
};

#define INVALID(m, ...) (bus_reply_invalid(m, __VA_ARGS__) < 0 ? -EIO : 1)

static int read_device(const struct bus *b, sd_bus_message *m, struct uuid *ret) {
        const char *path;
        int r = sd_bus_message_read_basic(m, 'o', &path);

        if (r < 0)
                return r;
        if (bus_any_device_parse(b, path, ret))
                return 0;
        return bus_reply_fault(
                       m, FAULT_NOT_FOUND,
                       "There is no such device: give the object of a RemoteDevice1, or of a Device1") < 0
                       ? -EIO
                       : 1;
}

static int read_text(sd_bus_message *m, const char **ret) {
        int r = sd_bus_message_read_basic(m, 's', ret);

        if (r < 0)
                return r;
        return strlen(*ret) <= TEXT_MAX ? 0 : INVALID(m, "A text is longer than %u bytes", TEXT_MAX);
}

static int read_texts(sd_bus_message *m, struct bus_tool_arguments *a) {
        size_t n = 0;
        int r = sd_bus_message_enter_container(m, 'a', "s");

        while (r >= 0 && (r = sd_bus_message_at_end(m, false)) == 0) {
                if (n == ARRAY_SIZE(a->texts) - 1)
                        return INVALID(m, "There are more than %zu texts in the list", n);
                r = read_text(m, &a->texts[n++]);
                if (r)
                        return r;
        }
        if (r < 0)
                return r;
        a->texts[n] = NULL;
        a->request.texts = a->texts;
        return sd_bus_message_exit_container(m) < 0 ? -EBADMSG : 0;
}

/* ---- options ---- */

static int read_flag(sd_bus_message *m, bool *ret) {
        int flag, r = sd_bus_message_read_basic(m, 'b', &flag);

        if (r >= 0)
                *ret = flag;
        return r < 0 ? r : 0;
}

/* One that may stand in the options of this kind; the message stands in its variant. Return also: 2: unknown.
 */
static int read_option_value(sd_bus_message *m, char kind, const char *key, struct bus_tool_arguments *a) {
        if (kind == 'O' && strcmp(key, "methods") == 0)
                return read_texts(m, a);
        if ((kind == 'O' && strcmp(key, "pin") == 0) || (kind == 'N' && strcmp(key, "name") == 0))
                return read_text(m, &a->request.text);
        if ((kind == 'O' && strcmp(key, "certificate") == 0) || (kind == 'R' && strcmp(key, "forget") == 0))
                return read_flag(m, &a->request.flag);
        return 2;
}

static const char *options_of(char kind) {
        return kind == 'O'   ? "methods (as), pin (s) and certificate (b)"
               : kind == 'R' ? "forget (b)"
                             : "name (s)";
}

static int read_options(sd_bus_message *m, char kind, struct bus_tool_arguments *a) {
        const char *key, *type;
        int r = sd_bus_message_enter_container(m, 'a', "{sv}");

        a->request.flag = kind == 'O'; /* certificate */
        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                r = sd_bus_message_read_basic(m, 's', &key);
                if (r >= 0)
                        r = sd_bus_message_peek_type(m, NULL, &type);
                if (r >= 0)
                        r = sd_bus_message_enter_container(m, 'v', type);
                if (r < 0)
                        break;
                r = read_option_value(m, kind, key, a);
                if (r == 2)
                        return INVALID(m, "The option \"%.64s\" is unknown: there are %s", key,
                                       options_of(kind));
                if (r < 0)
                        return INVALID(m, "The option \"%.64s\" has another type: there are %s", key,
                                       options_of(kind));
                if (r)
                        return r;
                r = sd_bus_message_exit_container(m);
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
        }
        return r < 0 ? r : 0;
}

static int read_cloud(sd_bus_message *m, struct bus_tool_request *q) {
        const char *key, *value;
        int r = sd_bus_message_enter_container(m, 'a', "{ss}");

        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "ss")) > 0) {
                const char **to;

                r = sd_bus_message_read_basic(m, 's', &key);
                if (r < 0)
                        return r;
                r = read_text(m, &value);
                if (r)
                        return r;
                to = strcmp(key, "cis") == 0   ? &q->cis
                     : strcmp(key, "sid") == 0 ? &q->sid
                     : strcmp(key, "apn") == 0 ? &q->apn
                     : strcmp(key, "at") == 0  ? &q->at
                                               : NULL;
                if (!to)
                        return INVALID(
                                m, "\"%.64s\" is no part of a configuration: there are cis, sid, apn and at",
                                key);
                *to = value;
                r = sd_bus_message_exit_container(m);
        }
        return r < 0 ? r : 0;
}

/* ---- the call ---- */

static int read_one(const struct bus *b, sd_bus_message *m, char type, struct bus_tool_arguments *a) {
        struct bus_tool_request *q = &a->request;
        int r;

        switch (type) {
        case 'd':
                return read_device(b, m, &q->device);
        case 'o':
                return read_device(b, m, &q->other);
        case 't':
                return read_text(m, &q->text);
        case 'S':
                return read_text(m, &q->subject);
        case 'U':
                return read_text(m, &q->usage);
        case 'l':
                return read_texts(m, a);
        case 'i':
                r = sd_bus_message_read_basic(m, 'i', &q->number);
                return r < 0 ? r : 0;
        case 'b':
                return read_flag(m, &q->flag);
        case 'c':
                return read_cloud(m, q);
        default:
                return read_options(m, type, a);
        }
}

int bus_tool_read(const struct bus *b, sd_bus_message *m, struct bus_tool_arguments *ret) {
        const char *member = sd_bus_message_get_member(m);
        size_t i = 0;

        *ret = (struct bus_tool_arguments){ 0 };
        while (strcmp(methods[i].member, member) != 0) /* the vtable has no others */
                if (++i == ARRAY_SIZE(methods))
                        return -ENOENT;
        ret->request.operation = methods[i].operation;
        for (const char *type = methods[i].types; *type; type++) {
                int r = read_one(b, m, *type, ret);

                if (r)
                        return r;
        }
        return 0;
}
