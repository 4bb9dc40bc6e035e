#include "security.h"
#include "remote.h"
#include "base/memory.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PASSWORD_MS 120000u

const char *joined_words(const json_t *strings, char *buf, size_t n_buf) {
        size_t n, at = 0;
        json_t *s;

        buf[0] = 0;
        json_array_foreach(strings, n, s) {
                int r = snprintf(buf + at, n_buf - at, "%s%s", n ? " " : "", json_string_value(s));

                if (r < 0 || (size_t)r >= n_buf - at)
                        break;
                at += (size_t)r;
        }
        return buf;
}

int security_find_device(struct ctl *c, char **ret_path) {
        int code = bus_open(c);

        if (!code)
                code = bus_find_device(c, ret_path);
        if (code || strcmp(*ret_path, "/") != 0)
                return code;
        free(*ret_path);
        *ret_path = ocf_duplicate_string("/org/ocfd/device/0");
        return *ret_path ? EXIT_OK : bus_trouble(c, -ENOMEM);
}

int security_send(struct ctl *c, sd_bus_message *m, sd_bus_message **ret_reply) {
        bool has_person = ask_is_possible(c);
        struct ask ask;
        int r = sd_bus_message_set_allow_interactive_authorization(m, has_person), code;

        if (r < 0)
                return bus_trouble(c, r);
        ask_begin(c, &ask);
        code = bus_call(c, m, has_person ? PASSWORD_MS + c->timeout_ms : c->timeout_ms, ret_reply);
        ask_end(&ask);
        if (code == EXIT_DENIED)
                hint(c, "that is for administrators: sudo, polkit's rules for org.ocfd.*, or AdminGroup= in "
                        "ocfd.conf(5)");
        return code;
}

int security_call(struct ctl *c, sd_bus_message **ret_reply, const char *path, const char *member,
                  const char *types, ...) {
        sd_bus_message *m = NULL;
        va_list args;
        int r = bus_new_call(c, &m, path, "org.ocfd.Security1", member), code;

        va_start(args, types);
        if (r >= 0 && types)
                r = sd_bus_message_appendv(m, types, args);
        va_end(args);
        code = r < 0 ? bus_trouble(c, r) : security_send(c, m, ret_reply);
        sd_bus_message_unref(m);
        return code;
}

json_t *security_json(const json_t *p) {
        return p ? json_pack("{s:O, s:O, s:O, s:O, s:O, s:O, s:O, s:O, s:O, s:O}", "state",
                             json_object_get(p, "State"), "owned", json_object_get(p, "Owned"), "owner",
                             json_object_get(p, "Owner"), "transfers", json_object_get(p, "Transfers"),
                             "transfer", json_object_get(p, "Transfer"), "transfer_is_running",
                             json_object_get(p, "TransferIsRunning"), "sealed", json_object_get(p, "Sealed"),
                             "domain", json_object_get(p, "Domain"), "domain_id",
                             json_object_get(p, "DomainId"), "next_step", json_object_get(p, "NextStep"))
                 : NULL;
}

int security_read(struct ctl *c, const char *href, json_t **ret) {
        sd_bus_message *reply = NULL;
        char *path = NULL;
        bool is_local = true;
        int code = bus_open(c), r;

        if (!code)
                code = remote_is_local(c, &is_local);
        if (!code && !is_local)
                return remote_get(c, c->device, href, ret);
        if (!code)
                code = security_find_device(c, &path);
        if (!code)
                code = security_call(c, &reply, path, "Read", "s", href);
        if (!code) {
                r = value_to_json(reply, false, ret);
                code = r < 0 ? bus_trouble(c, r) : EXIT_OK;
        }
        sd_bus_message_unref(reply);
        free(path);
        return code;
}
