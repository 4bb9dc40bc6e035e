/*
 * A network in a for-loop: real endpoints, strangers written by hand, and
 * between them datagrams that are lost, doubled, late and overtaken.
 *
 *     sim [--runs N] [--first SEED] [--jobs N]   many seeds, over all scenarios in turn
 *     sim --scenario NAME ...                    only this one
 *     sim --seed N [--scenario NAME]             one run, told line by line
 *     sim --soak                                 a million
 *     sim --list                                 the scenarios
 *     sim --folder PATH                          where they lie
 *
 * Without a scenario the seed says which one it plays. A run that breaks prints
 * what did not hold, how to play it again, and its last lines.
 */
#include "trace.h"

#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct options {
        const char *folder, *scenario;
        uint64_t n_runs, first, seed, n_jobs;
        bool list;
};

static const struct scenario *choose(const struct options *o, const struct scenario *all, uint32_t n,
                                     uint64_t seed) {
        for (uint32_t i = 0; i < n && o->scenario; i++)
                if (strcmp(all[i].name, o->scenario) == 0)
                        return &all[i];
        return o->scenario ? NULL : &all[seed % n];
}

/* Played again, so that its end can be told. */
static void report(struct world *w, const struct scenario *s, uint64_t seed) {
        (void)world_run(w, s, seed, TELL_LAST);
        printf("\nBROKEN: %s: %s\n", w->broken, w->broken_where);
        printf("replay: sim --scenario %s --seed %llu\nits last lines:\n", s->name, (unsigned long long)seed);
        trace_print_last(w);
        (void)fflush(stdout);
}

/* The runs of one process: each n_jobs-th. Return: those that were played; -1 when one broke. */
static int64_t play(const struct options *o, const struct scenario *all, uint32_t n, uint64_t job) {
        static char lines[TRACE_LINES][160];
        static struct world w;
        int64_t n_played = 0;

        w.lines = lines;
        for (uint64_t seed = o->first; seed < o->first + o->n_runs; seed++) {
                const struct scenario *s = choose(o, all, n, seed);

                if (seed / n % o->n_jobs != job || (!o->scenario && seed / n / o->n_jobs % s->rare))
                        continue;
                n_played++;
                if (!world_run(&w, s, seed, TELL_NOTHING)) {
                        report(&w, s, seed);
                        return -1;
                }
        }
        return n_played;
}

static int play_all(const struct options *o, const struct scenario *all, uint32_t n) {
        bool good = true;
        int status;

        (void)fflush(stdout);
        for (uint64_t job = 0; job < o->n_jobs; job++) {
                pid_t pid = fork();

                if (pid < 0)
                        return perror("fork"), 1;
                if (pid == 0)
                        exit(play(o, all, n, job) < 0);
        }
        while (wait(&status) > 0)
                good = good && WIFEXITED(status) && WEXITSTATUS(status) == 0;
        if (good)
                printf("seeds %llu to %llu hold, %u scenarios\n", (unsigned long long)o->first,
                       (unsigned long long)(o->first + o->n_runs - 1), o->scenario ? 1 : n);
        return !good;
}

static int replay(const struct options *o, const struct scenario *all, uint32_t n) {
        static struct world w;
        bool good = world_run(&w, choose(o, all, n, o->seed), o->seed, TELL_ALL);

        if (good)
                printf("holds: %u requests, %llu datagrams, %llu steps\n", w.n_asks,
                       (unsigned long long)w.network.n_sent, (unsigned long long)w.n_happened);
        else
                printf("BROKEN: %s: %s\n", w.broken, w.broken_where);
        return !good;
}

static bool read_options(struct options *o, int argc, char **argv) {
        for (int i = 1; i < argc; i++) {
                const char *name = argv[i], *value = i + 1 < argc ? argv[i + 1] : NULL;

                if (strcmp(name, "--soak") == 0) {
                        o->n_runs = 1000000;
                        continue;
                }
                if (strcmp(name, "--list") == 0) {
                        o->list = true;
                        continue;
                }
                if (!value)
                        return false;
                i++;
                if (strcmp(name, "--runs") == 0)
                        o->n_runs = strtoull(value, NULL, 10);
                else if (strcmp(name, "--first") == 0)
                        o->first = strtoull(value, NULL, 10);
                else if (strcmp(name, "--seed") == 0)
                        o->seed = strtoull(value, NULL, 10);
                else if (strcmp(name, "--jobs") == 0)
                        o->n_jobs = strtoull(value, NULL, 10);
                else if (strcmp(name, "--scenario") == 0)
                        o->scenario = value;
                else if (strcmp(name, "--folder") == 0)
                        o->folder = value;
                else
                        return false;
        }
        return o->n_jobs > 0 && o->n_jobs <= 64;
}

int main(int argc, char **argv) {
        struct options o = { .folder = SIM_SCENARIOS, .n_runs = 3000, .first = 1, .n_jobs = 1 };
        struct scenario *all = NULL;
        int n, r = 0;

        if (!read_options(&o, argc, argv)) {
                (void)fprintf(stderr, "sim [--runs N] [--first SEED] [--seed N] [--scenario NAME] [--jobs N] "
                                      "[--soak] [--list] [--folder PATH]\n");
                return 2;
        }
        n = scenario_read_all(&all, o.folder);
        if (n <= 0)
                return 2;
        if (!choose(&o, all, (uint32_t)n, o.seed)) {
                (void)fprintf(stderr, "there is no scenario %s\n", o.scenario);
                r = 2;
        } else if (o.list) {
                for (int i = 0; i < n; i++)
                        printf("%-20s %s\n", all[i].name, all[i].reason);
        } else {
                r = o.seed ? replay(&o, all, (uint32_t)n) : play_all(&o, all, (uint32_t)n);
        }
        free(all);
        return r;
}
