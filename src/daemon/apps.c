#include "daemon/apps.h"
#include "base/memory.h"
#include "daemon/ini_file.h"

#include <errno.h>
#include <fnmatch.h>
#include <pwd.h>
#include <stddef.h>
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
        bool has_name; /* User= or Unit= stands there, right or wrong */
        bool has_uid;
        uint32_t uid;
        char *unit;
        struct globs registers, types, uses, reaches;
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
        ini_words_free(r->reaches.words, r->reaches.n);
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

static const char no_memory[] = "There is no memory for this";

static const char *set_user(struct reading *r, struct rule *rule, const char *value) {
        bool is_number = value[0] && !value[strspn(value, "0123456789")];
        unsigned long uid = is_number ? strtoul(value, NULL, 10) : 0;
        const struct passwd *pw;

        if (uid >= UINT32_MAX) /* the last one means nobody */
                return "User= is a name, or a number below 4294967295";
        if (!is_number) {
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

/* One that is not whole would be about nobody, and let everything pass. */
static const char *set_unit(struct rule *rule, const char *value) {
        const char *suffix = strrchr(value, '.');
        char *copy;

        if (!suffix || suffix == value || strpbrk(value, "/* \t"))
                return "Unit= is the whole name of one unit, such as lamp.service";
        copy = ocf_duplicate_string(value);
        if (!copy)
                return no_memory;
        ocf_free(rule->unit);
        rule->unit = copy;
        return NULL;
}

/* Lines are short, and hrefs are not: these may be given again, and add up. */
static const char *add_globs(struct globs *g, const char *value) {
        char **words;
        size_t n;

        g->given = true;
        if (ini_words(value, &words, &n) < 0)
                return no_memory;
        if (n && !ocf_grow((void **)&g->words, g->n, g->n + n, sizeof(*words))) {
                ini_words_free(words, n);
                return no_memory;
        }
        for (size_t i = 0; i < n; i++)
                g->words[g->n++] = words[i];
        ocf_free(words);
        return NULL;
}

static const char *on_entry(void *context, const struct ini_entry *e) {
        struct reading *r = context;
        struct rule *rule;

        if (strcmp(e->section, "App") != 0)
                return e->key && e->section[0]
                               ? NULL /* told when it began */
                               : "There is only the section [App] here: one file for each application";
        rule = rule_of_file(r, e->file);
        if (!rule)
                return no_memory;
        if (!e->key)
                return NULL;
        rule->has_name |= strcmp(e->key, "User") == 0 || strcmp(e->key, "Unit") == 0;
        if (strcmp(e->key, "User") == 0)
                return set_user(r, rule, e->value);
        if (strcmp(e->key, "Unit") == 0)
                return set_unit(rule, e->value);
        if (strcmp(e->key, "Register") == 0)
                return add_globs(&rule->registers, e->value);
        if (strcmp(e->key, "Types") == 0)
                return add_globs(&rule->types, e->value);
        if (strcmp(e->key, "Use") == 0)
                return add_globs(&rule->uses, e->value);
        if (strcmp(e->key, "Reach") == 0)
                return add_globs(&rule->reaches, e->value);
        if (strcmp(e->key, "Insecure") == 0)
                return ini_bool(e->value, &rule->insecure) ? NULL : "Insecure= is yes or no";
        snprintf(r->problem, sizeof(r->problem),
                 "%.64s= is unknown in [App], which has User= Unit= Register= Types= Use= Reach= Insecure=",
                 e->key);
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

                if (rule->has_name)
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

/* Whose unit cannot be seen may be the one that a rule means: it does not pass as somebody without rules. */
static bool is_about(const struct rule *r, const struct bus_caller *caller) {
        if (r->has_uid && r->uid != caller->uid)
                return false;
        return !r->unit || !caller->unit || strcmp(r->unit, caller->unit) == 0;
}

/* A star matches a slash as well: /lamp/?* is everything below /lamp. */
static bool matches(const struct globs *g, const char *text) {
        for (size_t i = 0; i < g->n; i++)
                if (fnmatch(g->words[i], text, 0) == 0)
                        return true;
        return false;
}

/* What stands in the way, as the end of a sentence; NULL: nothing. */
static const char *unit_lacks(const struct rule *r, const struct bus_caller *caller) {
        return r->unit && !caller->unit ? "its systemd unit cannot be seen, and Unit= asks for it" : NULL;
}

static const char *registration_lacks(const struct rule *r, const struct resource_spec *spec) {
        if (!matches(&r->registers, spec->href))
                return "Register= does not name it";
        for (size_t i = 0; r->types.given && i < spec->n_types; i++)
                if (!matches(&r->types, spec->types[i]))
                        return "Types= does not name each of its types";
        return spec->insecure && !r->insecure ? "Insecure=no" : NULL;
}

static void refuse(struct model_refusal *refusal, const char *what, const char *href, const struct rule *r,
                   const char *lacks) {
        refusal->fault = FAULT_NOT_ALLOWED;
        snprintf(refusal->text, sizeof(refusal->text),
                 "The administrator's rules do not let this application %s %.60s: %s (%.80s)", what, href,
                 lacks, r->file);
}

bool apps_may_register(const struct apps_rules *a, const struct bus_caller *caller,
                       const struct resource_spec *spec, struct model_refusal *refusal) {
        const struct rule *last = NULL;
        const char *lacks = NULL;

        LIST_FOR_EACH(i, &a->rules) {
                const struct rule *r = LIST_ENTRY(i, struct rule, link);

                if (!is_about(r, caller))
                        continue;
                last = r;
                lacks = unit_lacks(r, caller);
                if (!lacks)
                        lacks = registration_lacks(r, spec);
                if (!lacks)
                        return true;
        }
        if (last)
                refuse(refusal, "register", spec->href, last, lacks);
        return !last;
}

static bool may(const struct apps_rules *a, const struct bus_caller *caller, size_t offset, const char *key,
                const char *what, const char *name, struct model_refusal *refusal) {
        const struct rule *last = NULL;
        const char *lacks = NULL;

        LIST_FOR_EACH(i, &a->rules) {
                const struct rule *r = LIST_ENTRY(i, struct rule, link);
                const struct globs *g = (const struct globs *)((const char *)r + offset);

                if (!is_about(r, caller))
                        continue;
                last = r;
                lacks = unit_lacks(r, caller);
                if (!lacks && g->given && !matches(g, name))
                        lacks = key;
                if (!lacks)
                        return true;
        }
        if (last)
                refuse(refusal, what, name, last, lacks);
        return !last;
}

bool apps_may_use(const struct apps_rules *a, const struct bus_caller *caller, const char *href,
                  struct model_refusal *refusal) {
        return may(a, caller, offsetof(struct rule, uses), "Use= does not name it", "use", href, refusal);
}

bool apps_may_reach(const struct apps_rules *a, const struct bus_caller *caller, const struct uuid *device,
                    const char *href, struct model_refusal *refusal) {
        char name[UUID_TEXT_MAX + MODEL_HREF_MAX + 1], id[UUID_TEXT_MAX];

        snprintf(name, sizeof(name), "%s%s", uuid_format(device, id), href);
        return may(a, caller, offsetof(struct rule, reaches), "Reach= does not name it", "reach", name,
                   refusal);
}
