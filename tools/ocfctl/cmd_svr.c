#include "remote.h"
#include "security.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* cred, acl, audit and sessions: the secure resources as tables. */

#define CELL_MAX 1024 /* bytes of a cell of a table */

/* Return: exit code. */
static int wants_verb(struct ctl *c, const char *verb) {
        return strcmp(c->args[0], verb) == 0
                       ? EXIT_OK
                       : usage(c, "\"%s\" is not %s", c->args[0], c->command->arguments);
}

static const char *number_text(const json_t *object, const char *key, char buf[static 24]) {
        snprintf(buf, 24, "%lld", (long long)json_integer_value(json_object_get(object, key)));
        return buf;
}

/* ---- cred ---- */

static const char *cred_kind(json_int_t type) {
        switch (type) {
        case 1:
                return "key";
        case 8:
                return "certificate";
        case 64:
        case 128:
        case 256:
                return "oscore";
        default:
                return "other";
        }
}

static json_t *cred_json(const json_t *cred) {
        const json_t *role = json_object_get(cred, "roleid");
        const char *usage = text_of(cred, "credusage");

        if (strncmp(usage, "oic.sec.cred.", 13) == 0)
                usage += 13;
        return json_pack("{s:O, s:s, s:s, s:s, s:s, s:s, s:s}", "id", json_object_get(cred, "credid"),
                         "subject", text_of(cred, "subjectuuid"), "kind",
                         cred_kind(json_integer_value(json_object_get(cred, "credtype"))), "usage", usage,
                         "role", text_of(role, "role"), "authority", text_of(role, "authority"), "period",
                         text_of(cred, "period"));
}

int cmd_cred(struct ctl *c) {
        static const char *const headers[] = { "ID", "SUBJECT", "KIND", "USAGE", "ROLE", "PERIOD" };
        json_t *resource = NULL, *all, *one;
        size_t n;
        int code;

        if (strcmp(c->args[0], "remove") == 0)
                return tool_cred_remove(c);
        code = wants_verb(c, "list");
        if (!code && c->n_args == 2) {
                c->device = c->args[1];
                c->may_be_remote = true;
        } else if (!code && c->n_args > 2)
                code = usage(c, "\"%s\" is one argument too many", c->args[2]);

        if (!code)
                code = security_read(c, "/oic/sec/cred", &resource);
        if (code)
                return code;
        all = json_array();
        json_array_foreach(json_object_get(resource, "creds"), n, one)
                json_array_append_new(all, cred_json(one));
        if (c->is_json) {
                code = print_json(c, json_pack("{s:O, s:s}", "credentials", all, "resource_owner",
                                               text_of(resource, "rowneruuid")));
        } else {
                struct table *t = table_new(c, headers, ARRAY_SIZE(headers));

                json_array_foreach(all, n, one) {
                        char id[24];
                        const char *const cells[] = { number_text(one, "id", id), text_of(one, "subject"),
                                                      text_of(one, "kind"),       text_of(one, "usage"),
                                                      text_of(one, "role"),       text_of(one, "period") };

                        table_row(t, cells);
                }
                table_print(t);
        }
        json_decref(all);
        json_decref(resource);
        return code;
}

/* ---- acl ---- */

static void append(char *buf, size_t n_buf, const char *text) {
        size_t at = strlen(buf);

        snprintf(buf + at, n_buf - at, "%s%s", at ? " " : "", text);
}

static json_t *subject_json(const json_t *subject) {
        const char *role = text_of(subject, "role"), *authority = text_of(subject, "authority");

        if (text_of(subject, "conntype")[0])
                return json_string(text_of(subject, "conntype"));
        if (!role[0])
                return json_string(text_of(subject, "uuid"));
        return json_sprintf("role:%s%s%s", role, authority[0] ? "@" : "", authority);
}

static json_t *permissions_json(json_int_t permission) {
        static const char *const names[] = { "create", "retrieve", "update", "delete", "notify" };
        json_t *all = json_array();

        for (size_t i = 0; i < ARRAY_SIZE(names); i++)
                if (permission & 1 << i)
                        json_array_append_new(all, json_string(names[i]));
        return all;
}

/* "+" and "-" and "*" as people say them. */
static const char *resource_text(const json_t *resource) {
        const char *wildcard = text_of(resource, "wc");

        switch (wildcard[0]) {
        case '+':
                return "all-secured";
        case '-':
                return "all-plain";
        case '*':
                return "all";
        default:
                return text_of(resource, "href");
        }
}

static json_t *entry_json(const json_t *ace) {
        json_t *resources = json_array(), *one;
        size_t n;

        json_array_foreach(json_object_get(ace, "resources"), n, one)
                json_array_append_new(resources, json_string(resource_text(one)));
        return json_pack("{s:O, s:o, s:o, s:o, s:b}", "id", json_object_get(ace, "aceid"), "subject",
                         subject_json(json_object_get(ace, "subject")), "permissions",
                         permissions_json(json_integer_value(json_object_get(ace, "permission"))),
                         "resources", resources, "limited_in_time",
                         json_array_size(json_object_get(ace, "validity")) > 0);
}

static void print_entries(struct ctl *c, const json_t *entries) {
        static const char *const headers[] = { "ID", "SUBJECT", "MAY", "RESOURCES", "WHEN" };
        struct table *t = table_new(c, headers, ARRAY_SIZE(headers));
        json_t *one;
        size_t n;

        json_array_foreach(entries, n, one) {
                char id[24], may[64], resources[CELL_MAX];
                const char *const cells[] = {
                        number_text(one, "id", id),
                        text_of(one, "subject"),
                        joined_words(json_object_get(one, "permissions"), may, sizeof(may)),
                        joined_words(json_object_get(one, "resources"), resources, sizeof(resources)),
                        is_true(one, "limited_in_time") ? "at times" : "always",
                };

                table_row(t, cells);
        }
        table_print(t);
}

static int list_entries(struct ctl *c) {
        json_t *resource = NULL, *all, *one;
        size_t n;
        int code = security_read(c, "/oic/sec/acl2", &resource);

        if (code)
                return code;
        all = json_array();
        json_array_foreach(json_object_get(resource, "aclist2"), n, one)
                json_array_append_new(all, entry_json(one));
        if (c->is_json)
                code = print_json(c, json_pack("{s:O, s:s}", "entries", all, "resource_owner",
                                               text_of(resource, "rowneruuid")));
        else
                print_entries(c, all);
        json_decref(all);
        json_decref(resource);
        return code;
}

static int check_entry(struct ctl *c) {
        sd_bus_message *reply = NULL;
        char *path = NULL;
        const char *reason = "";
        int code, granted = 0, r;
        int32_t aceid = 0;

        if (c->n_args != 4)
                return usage(c, "acl check wants SUBJECT METHOD HREF");
        code = security_find_device(c, &path);
        if (!code)
                code = security_call(c, &reply, path, "CheckAccess", "sss", c->args[1], c->args[3],
                                     c->args[2]);
        if (!code) {
                r = sd_bus_message_read(reply, "bsi", &granted, &reason, &aceid);
                code = r < 0 ? bus_trouble(c, r) : granted ? EXIT_OK : EXIT_DENIED;
        }
        if (reply && c->is_json) {
                (void)print_json(c, json_pack("{s:b, s:s, s:i}", "granted", granted, "reason", reason,
                                              "entry", (int)aceid));
        } else if (reply) {
                printf("%s: ", granted ? "granted" : "denied");
                print_text(reason);
                if (aceid)
                        printf(" (entry %d)", (int)aceid);
                putchar('\n');
        }
        sd_bus_message_unref(reply);
        free(path);
        return code;
}

int cmd_acl(struct ctl *c) {
        if (strcmp(c->args[0], "check") == 0)
                return check_entry(c);
        if (strcmp(c->args[0], "add") == 0 || strcmp(c->args[0], "remove") == 0)
                return tool_acl(c);
        if (strcmp(c->args[0], "list") == 0 && c->n_args == 2) {
                c->device = c->args[1];
                c->may_be_remote = true;
        } else if (strcmp(c->args[0], "list") == 0 && c->n_args > 2)
                return usage(c, "\"%s\" is one argument too many", c->args[2]);
        return strcmp(c->args[0], "list") == 0
                       ? list_entries(c)
                       : usage(c, "\"%s\" is not list, check, add or remove", c->args[0]);
}

/* ---- audit ---- */

static json_t *event_json(const json_t *event) {
        static const char *const priorities[] = { "critical", "error", "warning", "information", "debug" };
        json_int_t priority = json_integer_value(json_object_get(event, "priority"));
        json_t *details = json_object_get(event, "auxiliaryinfo");

        return json_pack(
                "{s:s, s:s, s:s, s:s, s:o}", "time", text_of(event, "timestamp"), "id",
                text_of(event, "aeid"), "priority",
                priorities[priority >= 0 && priority < (json_int_t)ARRAY_SIZE(priorities) ? priority : 4],
                "message", text_of(event, "message"), "details",
                details ? json_incref(details) : json_array());
}

int cmd_audit(struct ctl *c) {
        static const char *const headers[] = { "TIME", "ID", "PRIORITY", "EVENT", "DETAILS" };
        json_t *resource = NULL, *all, *one;
        size_t n;
        int code = security_read(c, "/oic/sec/ael", &resource);

        if (code)
                return code;
        all = json_array();
        json_array_foreach(json_object_get(resource, "events"), n, one)
                json_array_append_new(all, event_json(one));
        if (c->is_json) {
                code = print_json(c, json_pack("{s:O}", "events", all));
        } else {
                struct table *t = table_new(c, headers, ARRAY_SIZE(headers));

                json_array_foreach(all, n, one) {
                        char details[CELL_MAX];
                        const char *const cells[] = { text_of(one, "time"), text_of(one, "id"),
                                                      text_of(one, "priority"), text_of(one, "message"),
                                                      joined_words(json_object_get(one, "details"), details,
                                                                   sizeof(details)) };

                        table_row(t, cells);
                }
                table_print(t);
        }
        json_decref(all);
        json_decref(resource);
        return code;
}

/* ---- sessions ---- */

static void print_sessions(struct ctl *c, const json_t *sessions) {
        static const char *const headers[] = { "PEER", "OVER", "ID", "ROLES", "SUITE", "OPEN", "SILENT" };
        struct table *t = table_new(c, headers, ARRAY_SIZE(headers));
        json_t *one;
        size_t n;

        json_array_foreach(sessions, n, one) {
                char roles[CELL_MAX] = "", opened[32], silent[32], a[24], b[24];
                const char *cells[] = { text_of(one, "peer"),
                                        text_of(one, "transport"),
                                        text_of(one, "id"),
                                        roles,
                                        text_of(one, "suite"),
                                        opened,
                                        silent };

                joined_words(json_object_get(one, "roles"), roles, sizeof(roles));
                if (is_true(one, "onboarding"))
                        append(roles, sizeof(roles), "(takes ownership)");
                snprintf(opened, sizeof(opened), "%s s", number_text(one, "opened_s", a));
                snprintf(silent, sizeof(silent), "%s s", number_text(one, "silent_s", b));
                table_row(t, cells);
        }
        table_print(t);
}

int cmd_sessions(struct ctl *c) {
        json_t *all = json_array(), *one = NULL;
        sd_bus_message *reply = NULL;
        char *path = NULL;
        int code = security_find_device(c, &path), r = 0;

        if (!code)
                code = security_call(c, &reply, path, "GetSessions", NULL);
        if (!code) {
                r = sd_bus_message_enter_container(reply, 'a', "a{sv}");
                while (r >= 0 && (r = sd_bus_message_at_end(reply, false)) == 0 &&
                       (r = value_to_json(reply, true, &one)) >= 0)
                        json_array_append_new(all, one);
                code = r < 0 ? bus_trouble(c, r) : EXIT_OK;
        }
        if (!code && c->is_json)
                code = print_json(c, json_pack("{s:O}", "sessions", all));
        else if (!code)
                print_sessions(c, all);
        json_decref(all);
        sd_bus_message_unref(reply);
        free(path);
        return code;
}
