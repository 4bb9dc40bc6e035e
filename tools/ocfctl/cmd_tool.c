#include "base/memory.h"
#include "remote.h"
#include "security.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The onboarding tool: init, own, reset, pair, cert, state, domain, cloud, and its part of acl and cred. */

#define PEM_MAX 65536u

/* ---- init ---- */

int cmd_init(struct ctl *c) {
        sd_bus_message *m = NULL, *reply = NULL;
        int code = job_new(c, &m, "Initialize"), r;
        json_t *tool = NULL;

        if (code)
                return code;
        r = c->name ? sd_bus_message_append(m, "a{sv}", 1, "name", "s", c->name)
                    : sd_bus_message_append(m, "a{sv}", 0);
        code = r < 0 ? bus_trouble(c, r) : security_send(c, m, &reply);
        sd_bus_message_unref(m);
        sd_bus_message_unref(reply);
        for (unsigned i = 0; !code && i < 100; i++) {
                json_decref(tool);
                tool = NULL;
                code = objects_properties(c, "/org/ocfd", "org.ocfd.OnboardingTool1", &tool);
                if (code || is_true(tool, "Initialized"))
                        break;
                usleep(50000);
        }
        if (!code && c->is_json)
                code = print_json(c, json_pack("{s:O, s:O}", "device_id", json_object_get(tool, "DeviceId"),
                                               "authority", json_object_get(tool, "Authority")));
        else if (!code)
                remark(c,
                       "There is an onboarding tool now: %s. Next: ocfctl discover, then ocfctl own DEVICE.",
                       text_of(tool, "DeviceId"));
        json_decref(tool);
        return code;
}

/* ---- jobs of one device ---- */

/* A call that begins with the object of the device that is meant. */
static int begin(struct ctl *c, const char *member, const char *device, sd_bus_message **ret) {
        char *path = NULL;
        int code = remote_find(c, device, &path), r;

        if (!code)
                code = job_new(c, ret, member);
        if (!code) {
                r = sd_bus_message_append(*ret, "o", path);
                if (r < 0)
                        code = bus_trouble(c, r);
        }
        free(path);
        return code;
}

static int run(struct ctl *c, sd_bus_message *m, int r) {
        if (r >= 0)
                return job_run(c, m, NULL);
        sd_bus_message_unref(m);
        return bus_trouble(c, r);
}

static int append_own_options(struct ctl *c, sd_bus_message *m) {
        int r = sd_bus_message_open_container(m, 'a', "{sv}");

        if (r >= 0 && c->method)
                r = sd_bus_message_append(m, "{sv}", "methods", "as", 1, c->method);
        if (r >= 0 && c->pin)
                r = sd_bus_message_append(m, "{sv}", "pin", "s", c->pin);
        if (r >= 0 && c->has_no_certificate)
                r = sd_bus_message_append(m, "{sv}", "certificate", "b", 0);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int own_one(struct ctl *c, const char *device) {
        sd_bus_message *m = NULL;
        int code = begin(c, "Own", device, &m);

        return code ? code : run(c, m, append_own_options(c, m));
}

/* ---- many ---- */

static int add_target(struct ctl *c, struct job_target **targets, size_t *n, const char *label,
                      const char *path) {
        struct job_target *t = realloc(*targets, (*n + 1) * sizeof(*t));

        if (!t)
                return bus_trouble(c, -ENOMEM);
        *targets = t;
        t += (*n)++;
        *t = (struct job_target){ .label = strdup(label), .path = strdup(path) };
        return t->label && t->path ? EXIT_OK : bus_trouble(c, -ENOMEM);
}

static int add_unowned(struct ctl *c, struct job_target **targets, size_t *n) {
        json_t *objects, *interfaces;
        const char *path;
        int code = objects_get(c, &objects);

        if (code)
                return code;
        json_object_foreach(objects, path, interfaces) {
                const json_t *p = json_object_get(interfaces, "org.ocfd.RemoteDevice1");
                char label[160];

                if (code || !p || strcmp(text_of(p, "Ownership"), "none") != 0)
                        continue;
                snprintf(label, sizeof(label), "%s (%.8s)", text_of(p, "Name"), text_of(p, "DeviceId"));
                code = add_target(c, targets, n, label, path);
        }
        json_decref(objects);
        return code;
}

/* A name that nothing is known by is said, and the others go on. */
static int add_named(struct ctl *c, struct job_target **targets, size_t *n, int *ret_missing) {
        int code = EXIT_OK;

        *ret_missing = EXIT_OK;
        for (int i = 0; !code && i < c->n_args; i++) {
                char *path = NULL;
                int missing = remote_find(c, c->args[i], &path);

                if (missing)
                        complain(c, "\"%s\" is left out", c->args[i]);
                if (missing)
                        *ret_missing = missing;
                else
                        code = add_target(c, targets, n, c->args[i], path);
                free(path);
        }
        return code;
}

static int own_many(struct ctl *c) {
        struct job_target *targets = NULL;
        int missing = EXIT_OK, code;
        size_t n = 0;

        code = c->n_args ? add_named(c, &targets, &n, &missing) : add_unowned(c, &targets, &n);
        if (!code && n)
                code = job_run_many(c, targets, n, "Own", append_own_options, "owned");
        else if (!code && !missing && !c->is_json)
                remark(c, "No device without an owner is known: ocfctl discover looks for them.");
        for (size_t i = 0; i < n; i++) {
                free(targets[i].label);
                free(targets[i].path);
        }
        free(targets);
        return code ? code : missing;
}

int cmd_own(struct ctl *c) {
        int code = c->pin ? EXIT_OK : job_ask_pins(c);

        if (code)
                return code;
        if (c->n_args == 1 && !c->is_all)
                return own_one(c, c->args[0]);
        if (c->n_args && c->is_all)
                return usage(c, "--all takes each device that nobody owns: name none, or leave it out");
        if (!c->n_args && !c->is_all)
                return usage(c,
                             "which device? ocfctl discover lists them; --all takes each that nobody owns");
        return own_many(c);
}

int tool_reset(struct ctl *c, const char *device) {
        sd_bus_message *m = NULL;
        char answer[16];
        int code;

        if (!c->is_yes) {
                if (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO))
                        return usage(
                                c,
                                "the device loses its owner, credentials and access entries: --yes says that "
                                "this is meant");
                remark(c,
                       "\"%s\" loses its owner, its credentials and access entries for good. Reset it? [y/N]",
                       device);
                if (!fgets(answer, sizeof(answer), stdin) || (answer[0] != 'y' && answer[0] != 'Y')) {
                        remark(c, "Nothing was changed.");
                        return EXIT_FAILED;
                }
        }
        code = begin(c, "Reset", device, &m);
        return code ? code
                    : run(c, m,
                          c->is_forced ? sd_bus_message_append(m, "a{sv}", 1, "forget", "b", 1)
                                       : sd_bus_message_append(m, "a{sv}", 0));
}

int cmd_pair(struct ctl *c) {
        sd_bus_message *m = NULL;
        char *other = NULL;
        int code = remote_find(c, c->args[1], &other), r;

        if (!code)
                code = begin(c, "Pair", c->args[0], &m);
        if (!code) {
                r = sd_bus_message_append(m, "o", other);
                code = run(c, m, r);
        }
        free(other);
        return code;
}

int cmd_state(struct ctl *c) {
        sd_bus_message *m = NULL;
        int code = begin(c, "SetState", c->args[0], &m);

        return code ? code : run(c, m, sd_bus_message_append(m, "s", c->args[1]));
}

int cmd_domain(struct ctl *c) {
        sd_bus_message *m = NULL;
        bool is_private = c->n_args > 2 && strcmp(c->args[2], "private") == 0;
        int code;

        if (c->n_args > 2 && !is_private)
                return usage(c, "\"%s\" is not private", c->args[2]);
        code = begin(c, "SetDomain", c->args[0], &m);
        return code ? code : run(c, m, sd_bus_message_append(m, "sb", c->args[1], (int)is_private));
}

int cmd_cloud(struct ctl *c) {
        sd_bus_message *m = NULL;
        int code = begin(c, "ConfigureCloud", c->args[0], &m), r;

        if (code)
                return code;
        r = sd_bus_message_open_container(m, 'a', "{ss}");
        for (int i = 1; r >= 0 && i < c->n_args; i++) {
                char key[32];
                const char *value = strchr(c->args[i], '=');

                if (!value || value - c->args[i] >= (int)sizeof(key)) {
                        sd_bus_message_unref(m);
                        return usage(c, "\"%s\" is not cis=, sid=, apn= or at=", c->args[i]);
                }
                snprintf(key, sizeof(key), "%.*s", (int)(value - c->args[i]), c->args[i]);
                r = sd_bus_message_append(m, "{ss}", key, value + 1);
        }
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        return run(c, m, r);
}

/* ---- certificates ---- */

static int read_pem(struct ctl *c, const char *path, char **ret) {
        FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
        size_t n;

        if (!f) {
                complain(c, "%s cannot be read: %m", path);
                return EXIT_FAILED;
        }
        *ret = ocf_allocate(PEM_MAX + 1, 1);
        n = *ret ? fread(*ret, 1, PEM_MAX, f) : 0;
        if (f != stdin)
                fclose(f);
        if (n)
                return EXIT_OK;
        complain(c, "%s is empty", path);
        return EXIT_FAILED;
}

static int add_anchor(struct ctl *c) {
        sd_bus_message *m = NULL;
        char *pem = NULL;
        int code = read_pem(c, c->args[2], &pem);

        if (!code)
                code = begin(c, "AddTrustAnchor", c->args[1], &m);
        if (!code)
                code = run(
                        c, m,
                        sd_bus_message_append(m, "sss", c->n_args > 3 ? c->args[3] : "*", pem, "identity"));
        ocf_free(pem);
        return code;
}

static int add_manufacturer(struct ctl *c) {
        sd_bus_message *m = NULL, *reply = NULL;
        char *pem = NULL;
        int code = read_pem(c, c->args[1], &pem), r;

        if (!code)
                code = job_new(c, &m, "AddManufacturerAnchor");
        if (!code) {
                r = sd_bus_message_append(m, "s", pem);
                code = r < 0 ? bus_trouble(c, r) : security_send(c, m, &reply);
        }
        sd_bus_message_unref(m);
        sd_bus_message_unref(reply);
        ocf_free(pem);
        return code;
}

static int show_authority(struct ctl *c) {
        json_t *tool = NULL;
        int code = objects_properties(c, "/org/ocfd", "org.ocfd.OnboardingTool1", &tool);

        if (!code)
                printf("%s", text_of(tool, "Authority"));
        json_decref(tool);
        return code;
}

int cmd_cert(struct ctl *c) {
        sd_bus_message *m = NULL;
        const char *what = c->args[0];
        int code;

        if (strcmp(what, "authority") == 0 && c->n_args == 1)
                return show_authority(c);
        if (strcmp(what, "manufacturer") == 0 && c->n_args == 2)
                return add_manufacturer(c);
        if (strcmp(what, "anchor") == 0 && (c->n_args == 3 || c->n_args == 4))
                return add_anchor(c);
        if (strcmp(what, "identity") == 0 && c->n_args == 2) {
                code = begin(c, "IssueIdentity", c->args[1], &m);
                return code ? code : run(c, m, 0);
        }
        if (strcmp(what, "role") == 0 && c->n_args > 2) {
                code = begin(c, "IssueRole", c->args[1], &m);
                return code ? code : run(c, m, sd_bus_message_append_strv(m, c->args + 2));
        }
        return usage(c, "it wants %s", c->command->arguments);
}

/* ---- acl and cred of others ---- */

static bool read_id(const char *text, int32_t *ret) {
        char *end;
        long n = strtol(text, &end, 10);

        *ret = (int32_t)n;
        return *text && !*end && n >= 0 && n <= INT32_MAX;
}

/* add DEVICE SUBJECT PERMISSION HREF...; remove DEVICE ID|all */
int tool_acl(struct ctl *c) {
        sd_bus_message *m = NULL;
        int32_t id = 0;
        int code, r;

        if (strcmp(c->args[0], "add") == 0 && c->n_args >= 5) {
                code = begin(c, "AddAccess", c->args[1], &m);
                if (code)
                        return code;
                r = sd_bus_message_append(m, "s", c->args[2]);
                if (r >= 0)
                        r = sd_bus_message_append_strv(m, c->args + 4);
                if (r >= 0)
                        r = sd_bus_message_append(m, "s", c->args[3]);
                return run(c, m, r);
        }
        if (strcmp(c->args[0], "remove") == 0 && c->n_args == 3) {
                if (strcmp(c->args[2], "all") != 0 && (!read_id(c->args[2], &id) || !id))
                        return usage(c, "\"%s\" is no id of an entry: ocfctl acl list DEVICE shows them",
                                     c->args[2]);
                code = begin(c, "RemoveAccess", c->args[1], &m);
                return code ? code : run(c, m, sd_bus_message_append(m, "i", id));
        }
        return usage(c, "it wants %s", c->command->arguments);
}

int tool_cred_remove(struct ctl *c) {
        sd_bus_message *m = NULL;
        int32_t id;
        int code;

        if (c->n_args != 3 || !read_id(c->args[2], &id))
                return usage(c, "it wants %s", c->command->arguments);
        code = begin(c, "RemoveCredential", c->args[1], &m);
        return code ? code : run(c, m, sd_bus_message_append(m, "i", id));
}

/* ---- jobs ---- */

int cmd_jobs(struct ctl *c) {
        static const char *const headers[] = { "JOB", "OPERATION", "STATE", "STEP", "MESSAGE" };
        json_t *objects, *interfaces, *all = json_array(), *one;
        const char *path;
        size_t n;
        int code = objects_get(c, &objects);

        if (code)
                return code;
        json_object_foreach(objects, path, interfaces) {
                const json_t *j = json_object_get(interfaces, "org.ocfd.Job1");

                if (j)
                        json_array_append_new(all, json_pack("{s:s, s:O, s:O, s:O, s:O, s:O}", "path", path,
                                                             "operation", json_object_get(j, "Operation"),
                                                             "device", json_object_get(j, "Device"), "state",
                                                             json_object_get(j, "State"), "step",
                                                             json_object_get(j, "Step"), "message",
                                                             json_object_get(j, "Message")));
        }
        if (c->is_json) {
                code = print_json(c, json_pack("{s:O}", "jobs", all));
        } else {
                struct table *t = table_new(c, headers, ARRAY_SIZE(headers));

                json_array_foreach(all, n, one)
                        table_row(t, (const char *[]){ strrchr(text_of(one, "path"), '/') + 1,
                                                       text_of(one, "operation"), text_of(one, "state"),
                                                       text_of(one, "step"), text_of(one, "message") });
                table_print(t);
        }
        json_decref(all);
        json_decref(objects);
        return code;
}
