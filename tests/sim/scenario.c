/*
 * A table of words, since a scenario is read by people more often than by this.
 */
#include "scenario.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

const char *const ask_kind_names[N_ASK_KINDS] = { "get",   "valid",  "fetch", "post",    "put",   "delete",
                                                  "patch", "slow",   "late",  "dies",    "quiet", "refused",
                                                  "long",  "upload", "both",  "observe", "watch" };

const char *const action_names[N_ACTIONS] = { "partition", "heal",   "deaf",  "mute",   "reboot",
                                              "vanish",    "rebind", "sleep", "loss",   "delay",
                                              "multicast", "end",    "cut",   "release" };

static const char *const stranger_names[N_STRANGERS] = { "plain", "wrap", "late", "rude", "spoof", "forge" };

/* ---- words ---- */

static int index_of(const char *word, const char *const names[], int n) {
        for (int i = 0; word && i < n; i++)
                if (strcmp(word, names[i]) == 0)
                        return i;
        return -1;
}

static bool read_number(const char **s, uint32_t *ret) {
        char *end;
        unsigned long v = strtoul(*s, &end, 10);

        if (end == *s || v > UINT32_MAX)
                return false;
        *s = end;
        *ret = (uint32_t)v;
        return true;
}

static bool read_range(const char *word, struct range *ret) {
        struct range r;

        if (!word || !read_number(&word, &r.least))
                return false;
        r.most = r.least;
        if (strncmp(word, "..", 2) == 0) {
                word += 2;
                if (!read_number(&word, &r.most))
                        return false;
        }
        if (*word || r.most < r.least)
                return false;
        *ret = r;
        return true;
}

static const char *next_word(char **rest) {
        char *word;

        while ((word = strsep(rest, " \t\n")))
                if (*word)
                        return word;
        return NULL;
}

/* ---- lines ---- */

/* "get,post*3,non-slow" */
static bool read_kinds(struct wish *w, char *list) {
        char *item;

        while ((item = strsep(&list, ","))) {
                bool non = strncmp(item, "non-", 4) == 0;
                char *times = strchr(item, '*');
                uint32_t n = times ? (uint32_t)strtoul(times + 1, NULL, 10) : 1;
                int kind;

                if (times)
                        *times = 0;
                kind = index_of(item + (non ? 4 : 0), ask_kind_names, N_ASK_KINDS);
                if (kind < 0 || !n)
                        return false;
                while (n--) {
                        if (w->n_kinds == SCENARIO_KINDS)
                                return false;
                        w->non_confirmable[w->n_kinds] = non;
                        w->kinds[w->n_kinds++] = (uint8_t)kind;
                }
        }
        return true;
}

static bool read_wish(struct scenario *s, char **rest) {
        struct wish *w = &s->wishes[s->n_wishes];
        const char *client = next_word(rest), *number = next_word(rest), *what = next_word(rest),
                   *of = next_word(rest), *kinds = next_word(rest);
        char list[256];

        if (s->n_wishes == ARRAY_SIZE(s->wishes) || !kinds || strcmp(client, "client:") != 0 ||
            strncmp(what, "request", 7) != 0 || strcmp(of, "of") != 0 || strlen(kinds) >= sizeof(list))
                return false;
        s->n_wishes++;
        memcpy(list, kinds, strlen(kinds) + 1);
        return read_range(number, &w->n) && read_kinds(w, list);
}

static bool read_action(struct scenario *s, char **rest) {
        struct action *a = &s->actions[s->n_actions];
        const char *at = next_word(rest), *word;
        int type;

        if (s->n_actions == ARRAY_SIZE(s->actions) || !read_range(at, &a->at_ms))
                return false;
        type = index_of(next_word(rest), action_names, N_ACTIONS);
        if (type < 0)
                return false;
        s->n_actions++;
        a->type = (enum action_type)type;
        word = next_word(rest);
        if (!word)
                return a->type == ACTION_HEAL;
        if (!read_range(word, &a->who))
                return false;
        word = next_word(rest);
        return word ? read_range(word, &a->amount) : a->type != ACTION_SLEEP;
}

struct number_of_config {
        const char *name;
        size_t offset;
};

#define LIMIT(field)                                                                                         \
        { #field, offsetof(struct coap_config, limits.n_##field) }
#define CONFIG(field)                                                                                        \
        { #field, offsetof(struct coap_config, field) }

static const struct number_of_config limits[] = { LIMIT(exchanges),      LIMIT(exchanges_per_peer),
                                                  LIMIT(observers),      LIMIT(observers_per_peer),
                                                  LIMIT(delayed),        LIMIT(pages),
                                                  LIMIT(pages_per_peer), LIMIT(asks),
                                                  LIMIT(seen),           LIMIT(peers),
                                                  LIMIT(unacknowledged), LIMIT(streams),
                                                  LIMIT(body),           LIMIT(outgoing) };
static const struct number_of_config configs[] = { CONFIG(ack_timeout_ms), CONFIG(processing_ms),
                                                   CONFIG(leisure_ms),     CONFIG(con_every),
                                                   CONFIG(nstart),         CONFIG(con_after_ms) };

static bool read_number_of_config(struct scenario *s, const struct number_of_config *known, size_t n,
                                  char **rest) {
        const char *name = next_word(rest), *value = next_word(rest);
        uint32_t v;

        if (!value || !read_number(&value, &v) || *value)
                return false;
        for (size_t i = 0; i < n; i++)
                if (strcmp(known[i].name, name) == 0) {
                        memcpy((char *)&s->config + known[i].offset, &v, sizeof(v));
                        return true;
                }
        return false;
}

static bool read_expectation(struct scenario *s, char **rest) {
        const char *what = next_word(rest), *value = next_word(rest);

        if (what && strcmp(what, "newest") == 0)
                return s->expect_newest = true;
        if (what && strcmp(what, "prompt") == 0)
                return s->expect_prompt = true;
        if (what && strcmp(what, "fair") == 0)
                return s->expect_fair = true;
        if (what && strcmp(what, "heard") == 0)
                return value && read_number(&value, &s->expect_heard);
        return what && strcmp(what, "answered") == 0 && value && read_number(&value, &s->expect_answered);
}

static bool read_strangers(struct scenario *s, char **rest) {
        struct range n;
        int kind;

        if (!read_range(next_word(rest), &n))
                return false;
        kind = index_of(next_word(rest), stranger_names, N_STRANGERS);
        if (kind < 0)
                return false;
        s->strangers[kind] = n;
        return true;
}

#define RANGE(name, field)                                                                                   \
        { name, offsetof(struct scenario, field) }

static const struct {
        const char *name;
        size_t offset;
} ranges[] = { RANGE("nodes", nodes),      RANGE("servers", servers),    RANGE("loss", loss),
               RANGE("twice", twice),      RANGE("delay", delay_ms),     RANGE("drop", drop),
               RANGE("mtu", mtu),          RANGE("body", body),          RANGE("pause", pause_ms),
               RANGE("change", change_ms), RANGE("hold", hold_ms),       RANGE("until", until_ms),
               RANGE("settle", settle_ms), RANGE("timeout", timeout_ms), RANGE("max-age", max_age_s),
               RANGE("szx", szx),          RANGE("late", late),          RANGE("late-by", late_ms) };

static bool read_line(struct scenario *s, char *line) {
        char *rest = line;
        const char *word = next_word(&rest);
        struct range r;

        if (!word)
                return true;
        if (*word == '#') {
                if (!*s->reason && rest)
                        (void)snprintf(s->reason, sizeof(s->reason), "%.*s", (int)strcspn(rest, "\n"), rest);
                return true;
        }
        for (size_t i = 0; i < ARRAY_SIZE(ranges); i++)
                if (strcmp(word, ranges[i].name) == 0) {
                        if (!read_range(next_word(&rest), &r))
                                return false;
                        memcpy((char *)s + ranges[i].offset, &r, sizeof(r));
                        return true;
                }
        if (strcmp(word, "each") == 0)
                return read_wish(s, &rest);
        if (strcmp(word, "at") == 0)
                return read_action(s, &rest);
        if (strcmp(word, "strangers") == 0)
                return read_strangers(s, &rest);
        if (strcmp(word, "limit") == 0)
                return read_number_of_config(s, limits, ARRAY_SIZE(limits), &rest);
        if (strcmp(word, "config") == 0)
                return read_number_of_config(s, configs, ARRAY_SIZE(configs), &rest);
        if (strcmp(word, "expect") == 0)
                return read_expectation(s, &rest);
        if (strcmp(word, "bound") == 0)
                return (word = next_word(&rest)) &&
                       (s->config.bound_amplification = strcmp(word, "amplification") == 0);
        if (strcmp(word, "ids") == 0)
                return (word = next_word(&rest)) && (s->equal_ids = strcmp(word, "equal") == 0);
        if (strcmp(word, "uri") == 0)
                return (word = next_word(&rest)) && (s->shared_uri = strcmp(word, "shared") == 0);
        if (strcmp(word, "tcp") == 0)
                return (word = next_word(&rest)) && read_number(&word, &s->tcp);
        if (strcmp(word, "rare") == 0)
                return (word = next_word(&rest)) && read_number(&word, &s->rare) && s->rare;
        return false;
}

/* ---- files ---- */

static struct scenario scenario_default(void) {
        struct scenario s = { .nodes = { 2, 2 },
                              .delay_ms = { 1, 50 },
                              .mtu = { 1500, 1500 },
                              .body = { 1, 5000 },
                              .pause_ms = { 0, 5000 },
                              .change_ms = { 500, 9000 },
                              .hold_ms = { 10000, 100000 },
                              .until_ms = { 60000, 60000 },
                              .settle_ms = { 400000, 400000 },
                              .max_age_s = { 30, 60 },
                              .timeout_ms = { 5000, 65000 },
                              .szx = { 6, 6 },
                              .late_ms = { 10000, 60000 },
                              .rare = 1,
                              .config = coap_config_default };

        s.config.bound_amplification = false;
        s.config.limits.n_exchanges = s.config.limits.n_exchanges_per_peer = 256;
        s.config.limits.n_observers = s.config.limits.n_observers_per_peer = 64;
        s.config.limits.n_observed = 64;
        s.config.limits.n_peers = s.config.limits.n_unacknowledged = 512;
        s.config.limits.n_seen = 1024;
        s.config.limits.n_addresses = 64;
        s.config.limits.n_delayed = s.config.limits.n_streams = 8;
        s.config.limits.n_asks = 64;
        s.config.limits.n_pages = s.config.limits.n_pages_per_peer = 2048;
        s.config.limits.n_outgoing = s.config.limits.n_body = 64 * 1024;
        return s;
}

int scenario_read(struct scenario *ret, const char *path) {
        const char *base = strrchr(path, '/');
        struct scenario s = scenario_default();
        char line[256], words[256];
        unsigned n = 0;
        FILE *f = fopen(path, "re");

        if (!f) {
                perror(path);
                return -1;
        }
        (void)snprintf(s.name, sizeof(s.name), "%s", base ? base + 1 : path);
        s.name[strcspn(s.name, ".")] = 0;
        while (fgets(line, sizeof(line), f)) {
                n++;
                memcpy(words, line, sizeof(line));
                if (!read_line(&s, words)) {
                        (void)fprintf(stderr, "%s:%u: not understood: %s", path, n, line);
                        (void)fclose(f);
                        return -1;
                }
        }
        (void)fclose(f);
        *ret = s;
        return 0;
}

static int is_scenario(const struct dirent *entry) {
        size_t n = strlen(entry->d_name);

        return n > 9 && strcmp(entry->d_name + n - 9, ".scenario") == 0;
}

int scenario_read_all(struct scenario **ret, const char *folder) {
        struct dirent **entries;
        int n = scandir(folder, &entries, is_scenario, alphasort), r = 0;
        struct scenario *all;

        if (n <= 0)
                return -1;
        all = calloc((size_t)n, sizeof(*all));
        for (int i = 0; i < n; i++) {
                char path[512];

                (void)snprintf(path, sizeof(path), "%s/%s", folder, entries[i]->d_name);
                if (!all || scenario_read(&all[i], path) < 0)
                        r = -1;
                free(entries[i]);
        }
        free(entries);
        if (r < 0) {
                free(all);
                return -1;
        }
        *ret = all;
        return n;
}
