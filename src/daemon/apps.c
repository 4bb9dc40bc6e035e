#include "daemon/apps.h"
#include "base/memory.h"
#include "daemon/ini_file.h"

#include <errno.h>
#include <fnmatch.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct globs {
        char **words;
        size_t n;
        bool given;
};

struct rule {
        struct list link;
        char *file;
        bool has_uid;
        uint32_t uid;
        char *unit;
        struct globs registers, types, uses;
        bool insecure;
};

struct apps_rules {
        struct list rules;
};

static void rule_free(struct rule *r) {
        list_unlink(&r->link);
        ini_words_free(r->registers.words, r->registers.n);
        ini_words_free(r->types.words, r->types.n);
        ini_words_free(r->uses.words, r->uses.n);
        ocf_free(r->file);
        ocf_free(r->unit);
        ocf_free(r);
}

struct apps_rules *apps_free(struct apps_rules *a) {
        if (!a)
                return NULL;
        LIST_FOR_EACH_SAFE(i, &a->rules)
        rule_free(LIST_ENTRY(i, struct rule, link));
        return ocf_free(a);
}

/* ---- reading ---- */

struct reading {
        struct apps_rules *rules;
        struct rule *rule; /* of the file that is being read */
        char problem[256];
};

static struct rule *rule_of_file(struct reading *r, const char *file) {
        struct rule *rule = r->rule;

        if (rule && strcmp(rule->file, file) == 0)
                return rule;
        rule = ocf_new(struct rule);
        if (!rule)
                return NULL;
        list_init(&rule->link);
        rule->insecure = true;
        rule->file = ocf_duplicate_string(file);
        if (!rule->file) {
                rule_free(rule);
                return NULL;
        }
        list_link_tail(&r->rules->rules, &rule->link);
        r->rule = rule;
        return rule;
}

static const char *set_user(struct reading *r, struct rule *rule, const char *value) {
        char *end;
        unsigned long uid = strtoul(value, &end, 10);
        const struct passwd *pw = NULL;

        if (end == value || *end) {
                pw = getpwnam(value);
                if (!pw) {
                        snprintf(r->problem, sizeof(r->problem),
                                 "User=%.64s: there is no such user on this machine", value);
                        return r->problem;
                }
                uid = pw->pw_uid;
        }
        rule->has_uid = true;
        rule->uid = (uint32_t)uid;
        return NULL;
}

static const char *set_globs(struct globs *g, const char *value) {
        ini_words_free(g->words, g->n);
        g->words = NULL;
        g->n = 0;
        g->given = true;
        return ini_words(value, &g->words, &g->n) < 0 ? "there is no memory for this" : NULL;
}

static const char *on_entry(void *context, const struct ini_entry *e) {
        struct reading *r = context;
        struct rule *rule;

        if (strcmp(e->section, "App") != 0)
                return "There is only the section [App] here: one file for each application";
        rule = rule_of_file(r, e->file);
        if (!rule)
                return "there is no memory for this";
        if (strcmp(e->key, "User") == 0)
                return set_user(r, rule, e->value);
        if (strcmp(e->key, "Unit") == 0) {
                ocf_free(rule->unit);
                rule->unit = ocf_duplicate_string(e->value);
                return rule->unit ? NULL : "there is no memory for this";
        }
        if (strcmp(e->key, "Register") == 0)
                return set_globs(&rule->registers, e->value);
        if (strcmp(e->key, "Types") == 0)
                return set_globs(&rule->types, e->value);
        if (strcmp(e->key, "Use") == 0)
                return set_globs(&rule->uses, e->value);
        if (strcmp(e->key, "Insecure") == 0)
                return ini_bool(e->value, &rule->insecure) ? NULL : "Insecure= is yes or no";
        snprintf(r->problem, sizeof(r->problem),
                 "%.64s= is unknown in [App], which has User= Unit= Register= Types= Use= Insecure=", e->key);
        return r->problem;
}

int apps_load(struct apps_rules **ret, const char *directory,
              void (*told)(void *context, const char *message), void *context) {
        struct reading r = { .rules = ocf_new(struct apps_rules) };
        int e;

        if (!r.rules)
                return -ENOMEM;
        list_init(&r.rules->rules);
        e = ini_read_directory(directory, on_entry, told, &r, context);
        LIST_FOR_EACH(i, &r.rules->rules) {
                const struct rule *rule = LIST_ENTRY(i, struct rule, link);
                char message[4400];

                if (rule->has_uid || rule->unit)
                        continue;
                snprintf(message, sizeof(message),
                         "%s: it names neither User= nor Unit=, so it is about nobody", rule->file);
                told(context, message);
                e = INI_E_INVALID;
        }
        if (e) {
                apps_free(r.rules);
                return e == INI_E_INVALID ? APPS_E_INVALID : e;
        }
        *ret = r.rules;
        return 0;
}

/* ---- deciding ---- */

static bool is_about(const struct rule *r, const struct bus_caller *caller) {
        if (r->has_uid && r->uid != caller->uid)
                return false;
        return !r->unit || (caller->unit && strcmp(r->unit, caller->unit) == 0);
}

/* A star matches a slash as well: /lamp/?* is everything below /lamp. */
static bool matches(const struct globs *g, const char *text) {
        for (size_t i = 0; i < g->n; i++)
                if (fnmatch(g->words[i], text, 0) == 0)
                        return true;
        return false;
}

static bool lets_register(const struct rule *r, const struct resource_spec *spec) {
        if (!matches(&r->registers, spec->href) || (spec->insecure && !r->insecure))
                return false;
        for (size_t i = 0; r->types.given && i < spec->n_types; i++)
                if (!matches(&r->types, spec->types[i]))
                        return false;
        return true;
}

static void refuse(struct model_refusal *refusal, const char *what, const char *href, const struct rule *r) {
        refusal->fault = FAULT_NOT_ALLOWED;
        snprintf(refusal->text, sizeof(refusal->text),
                 "The administrator's rules do not let this application %s %.60s: see %.90s", what, href,
                 r->file);
}

bool apps_may_register(const struct apps_rules *a, const struct bus_caller *caller,
                       const struct resource_spec *spec, struct model_refusal *refusal) {
        const struct rule *last = NULL;

        LIST_FOR_EACH(i, &a->rules) {
                const struct rule *r = LIST_ENTRY(i, struct rule, link);

                if (!is_about(r, caller))
                        continue;
                if (lets_register(r, spec))
                        return true;
                last = r;
        }
        if (last)
                refuse(refusal, spec->insecure && !last->insecure ? "register as insecure" : "register",
                       spec->href, last);
        return !last;
}

bool apps_may_use(const struct apps_rules *a, const struct bus_caller *caller, const char *href,
                  struct model_refusal *refusal) {
        const struct rule *last = NULL;

        LIST_FOR_EACH(i, &a->rules) {
                const struct rule *r = LIST_ENTRY(i, struct rule, link);

                if (!is_about(r, caller))
                        continue;
                if (!r->uses.given || matches(&r->uses, href))
                        return true;
                last = r;
        }
        if (last)
                refuse(refusal, "use", href, last);
        return !last;
}
