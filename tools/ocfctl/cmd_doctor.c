#include "security.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timex.h>
#include <time.h>

/*
 * doctor: everything that is known to go wrong, looked at, each with what to do
 * about it. What it may not look at it says, and goes on.
 */

enum finding { FINDING_OK, FINDING_NOTE, FINDING_PROBLEM };

static const char *const finding_names[] = { "ok", "note", "problem" };

struct doctor {
        struct ctl *ctl;
        json_t *checks;
        unsigned n_problems;
        bool is_denied; /* so the next call for administrators would be, too */
};

static void found(struct doctor *d, enum finding finding, const char *check, const char *text,
                  const char *advice) {
        d->n_problems += finding == FINDING_PROBLEM;
        json_array_append_new(d->checks, json_pack("{s:s, s:s, s:s, s:s}", "check", check, "finding",
                                                   finding_names[finding], "text", text, "advice", advice));
}

/* Quietly: a refusal is a finding, not an end. NULL: it could not be. *ret_why is the caller's. */
static sd_bus_message *ask(struct doctor *d, const char *path, const char *interface, const char *member,
                           const char *href, char **ret_why) {
        sd_bus_message *m = NULL, *reply = NULL;
        sd_bus_error e = SD_BUS_ERROR_NULL;
        int r = bus_new_call(d->ctl, &m, path, interface, member);

        *ret_why = NULL;
        if (r >= 0 && href)
                r = sd_bus_message_append_basic(m, 's', href);
        if (r >= 0)
                r = sd_bus_call(d->ctl->bus, m, 0, &e, &reply);
        if (r < 0) {
                *ret_why = strdup(sd_bus_error_is_set(&e) && e.message ? e.message : strerror(-r));
                d->is_denied |= sd_bus_error_is_set(&e) && bus_exit_code(&e) == EXIT_DENIED;
        }
        sd_bus_error_free(&e);
        sd_bus_message_unref(m);
        return r < 0 ? NULL : reply;
}

static json_t *read_svr(struct doctor *d, const char *path, const char *href) {
        json_t *value = NULL;
        sd_bus_message *reply;
        char *why;

        if (d->is_denied)
                return NULL;
        reply = ask(d, path, "org.ocfd.Security1", "Read", href, &why);
        if (reply && value_to_json(reply, false, &value) < 0)
                value = NULL;
        sd_bus_message_unref(reply);
        free(why);
        return value;
}

/* ---- the machine ---- */

static void check_version(struct doctor *d, const json_t *manager) {
        char text[256];
        bool is_same = strcmp(text_of(manager, "Version"), OCFD_VERSION) == 0;

        snprintf(text, sizeof(text), "ocfd %s answers on %s; this is ocfctl %s", text_of(manager, "Version"),
                 bus_name(d->ctl), OCFD_VERSION);
        found(d, is_same ? FINDING_OK : FINDING_NOTE, "bus", text,
              is_same ? "" : "Restart ocfd, so that both are of one version: systemctl restart ocfd");
}

static void check_polkit(struct doctor *d) {
        static const char polkit[] = "org.freedesktop.PolicyKit1";
        char **names = NULL, **activatable = NULL;
        bool is_there = false;

        if (sd_bus_list_names(d->ctl->bus, &names, &activatable) < 0)
                return;
        for (char **i = names; i && *i; i++) {
                is_there |= strcmp(*i, polkit) == 0;
                free(*i);
        }
        for (char **i = activatable; i && *i; i++) {
                is_there |= strcmp(*i, polkit) == 0;
                free(*i);
        }
        free(names);
        free(activatable);
        if (is_there)
                found(d, FINDING_OK, "polkit", "polkit decides who may administer", "");
        else
                found(d, FINDING_NOTE, "polkit",
                      "There is no polkit: root may administer, and members of AdminGroup=",
                      "Install polkit, or set AdminGroup= in ocfd.conf, when others shall, too");
}

static void check_clock(struct doctor *d) {
        struct timex t = { 0 };
        int state = adjtimex(&t);

        if (time(NULL) < 1735689600) /* 2025: before this program was written */
                found(d, FINDING_PROBLEM, "clock",
                      "The clock says a time long gone: certificates and entries with "
                      "times are refused",
                      "Set the clock, and have it kept by NTP: timedatectl set-ntp true");
        else if (state < 0 || state == TIME_ERROR || t.status & STA_UNSYNC)
                found(d, FINDING_NOTE, "clock", "The clock is not kept in time by anything",
                      "Certificates need it right within their times: timedatectl set-ntp true");
        else
                found(d, FINDING_OK, "clock", "The clock is kept in time", "");
}

static void check_network(struct doctor *d, const json_t *manager) {
        char text[512] = "";
        size_t n, n_used = 0;
        json_t *i;

        json_array_foreach(json_object_get(manager, "Interfaces"), n, i) {
                size_t at = strlen(text);

                if (!json_is_true(json_array_get(i, 2)))
                        continue;
                snprintf(text + at, sizeof(text) - at, "%s%s (%zu addresses)", n_used++ ? ", " : "",
                         json_string_value(json_array_get(i, 0)), json_array_size(json_array_get(i, 3)));
        }
        if (n_used)
                found(d, FINDING_OK, "network", text, "");
        else
                found(d, FINDING_PROBLEM, "network",
                      "No network interface is used: nobody can reach the devices",
                      "\"ocfctl status\" says why each is ignored; see Interfaces= and DenyInterfaces= in "
                      "ocfd.conf");
}

/* What the daemon itself has noticed: ports taken, no multicast, no TCP ... */
static void check_notices(struct doctor *d, const json_t *manager) {
        size_t n;
        json_t *i;

        json_array_foreach(json_object_get(manager, "Notices"), n, i)
                found(d, FINDING_PROBLEM, json_string_value(json_array_get(i, 0)),
                      json_string_value(json_array_get(i, 1)), "");
        if (!n)
                found(d, FINDING_OK, "notices", "ocfd has nothing to complain about", "");
}

static void check_insecure(struct doctor *d, const json_t *manager) {
        if (is_true(manager, "AllowInsecure"))
                found(d, FINDING_NOTE, "plain",
                      "AllowInsecure=yes: resources registered as insecure are open to everybody on the "
                      "network "
                      "while the device has no owner",
                      "Own the device, or set AllowInsecure=no in ocfd.conf");
}

static void check_store(struct doctor *d) {
        sd_bus_message *reply;
        const char *report = "";
        char *why;

        reply = ask(d, "/org/ocfd", "org.ocfd.Store1", "Check", NULL, &why);
        if (reply && sd_bus_message_read_basic(reply, 's', &report) >= 0)
                found(d, FINDING_OK, "store", report, "");
        else if (d->is_denied)
                found(d, FINDING_NOTE, "store", "Only administrators may check it", "sudo ocfctl doctor");
        else
                found(d, FINDING_PROBLEM, "store", why ? why : "It cannot be checked",
                      "ocfd-security(7) says how a store is mended: ocfctl store restore FILE");
        sd_bus_message_unref(reply);
        free(why);
}

/* ---- a device ---- */

static bool has_scheme(const json_t *endpoints, const char *scheme) {
        json_t *e;
        size_t n;

        json_array_foreach(endpoints, n,
                           e) if (strncmp(json_string_value(e), scheme, strlen(scheme)) == 0) return true;
        return false;
}

static void check_ports(struct doctor *d, const char *name, const json_t *device) {
        const json_t *endpoints = json_object_get(device, "Endpoints");

        if (has_scheme(endpoints, "coap://") && has_scheme(endpoints, "coaps://"))
                found(d, FINDING_OK, name, "It is reached over plain and secure ports", "");
        else
                found(d, FINDING_PROBLEM, name,
                      has_scheme(endpoints, "coap://") ? "It has no secure port" : "It has no port at all",
                      "\"ocfctl status\" shows addresses and notices; see Port= and SecurePort= in "
                      "ocfd.conf");
}

static void check_state(struct doctor *d, const char *name, const json_t *security) {
        char text[256];
        const char *next = text_of(security, "NextStep");

        if (text_of(security, "Sealed")[0]) {
                found(d, FINDING_PROBLEM, name, text_of(security, "Sealed"), next);
                return;
        }
        snprintf(text, sizeof(text), "%s, state %s",
                 is_true(security, "Owned") ? "It is owned" : "It has no owner", text_of(security, "State"));
        found(d, strcmp(text_of(security, "State"), "RFNOP") == 0 ? FINDING_OK : FINDING_NOTE, name, text,
              next);
}

/* An owner without a credential can never come back, nor can anybody else. */
static void check_owner(struct doctor *d, const char *name, const char *path, const json_t *security) {
        const char *owner = text_of(security, "Owner");
        bool can_come_back = false;
        json_t *resource, *cred;
        size_t n;

        if (!owner[0] || text_of(security, "Sealed")[0])
                return;
        resource = read_svr(d, path, "/oic/sec/cred");
        if (!resource)
                return;
        json_array_foreach(json_object_get(resource, "creds"), n, cred) can_come_back |=
                strcmp(text_of(cred, "subjectuuid"), owner) == 0 ||
                strcmp(text_of(cred, "credusage"), "oic.sec.cred.trustca") == 0;
        if (can_come_back)
                found(d, FINDING_OK, name, "Its owner has a credential to come back with", "");
        else
                found(d, FINDING_PROBLEM, name,
                      "Its owner has no credential any more, so nobody can administer it",
                      "Another resource owner's tool may mend it; else: ocfctl reset");
        json_decref(resource);
}

static void check_device(struct doctor *d, const char *path, const json_t *interfaces) {
        const json_t *device = json_object_get(interfaces, "org.ocfd.Device1");
        const json_t *security = json_object_get(interfaces, "org.ocfd.Security1");
        char name[128];

        snprintf(name, sizeof(name), "device %.100s", text_of(device, "Name"));
        check_ports(d, name, device);
        if (!security)
                return;
        check_state(d, name, security);
        check_owner(d, name, path, security);
}

/* ---- all of it ---- */

static void print_checks(const json_t *checks) {
        static const char *const marks[] = { "ok", "--", "!!" };
        json_t *one;
        size_t n;

        json_array_foreach(checks, n, one) {
                bool is_problem = strcmp(text_of(one, "finding"), finding_names[FINDING_PROBLEM]) == 0;
                bool is_ok = strcmp(text_of(one, "finding"), finding_names[FINDING_OK]) == 0;

                printf("%s%s%s  ", is_problem ? bold() : "",
                       marks[is_ok        ? FINDING_OK
                             : is_problem ? FINDING_PROBLEM
                                          : FINDING_NOTE],
                       is_problem ? plain() : "");
                print_text(text_of(one, "check"));
                printf(": ");
                print_text(text_of(one, "text"));
                putchar('\n');
                if (text_of(one, "advice")[0] && !is_ok) {
                        printf("      ");
                        print_text(text_of(one, "advice"));
                        putchar('\n');
                }
        }
}

int cmd_doctor(struct ctl *c) {
        struct doctor d = { .ctl = c };
        json_t *manager = NULL, *objects = NULL, *interfaces;
        const char *path;
        int code = objects_properties(c, "/org/ocfd", "org.ocfd.Manager1", &manager);

        if (!code)
                code = objects_get(c, &objects);
        if (!code) {
                d.checks = json_array();
                check_version(&d, manager);
                check_polkit(&d);
                check_clock(&d);
                check_network(&d, manager);
                check_notices(&d, manager);
                check_insecure(&d, manager);
                check_store(&d);
                json_object_foreach(objects, path,
                                    interfaces) if (json_object_get(interfaces, "org.ocfd.Device1"))
                        check_device(&d, path, interfaces);
                if (c->is_json)
                        code = print_json(c, json_pack("{s:O, s:i}", "checks", d.checks, "problems",
                                                       (int)d.n_problems));
                else
                        print_checks(d.checks);
                if (!code && d.n_problems)
                        code = EXIT_FAILED;
        }
        json_decref(d.checks);
        json_decref(manager);
        json_decref(objects);
        return code;
}
