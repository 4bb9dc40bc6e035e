#include "base/memory.h"
#include "remote.h"
#include "security.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/*
 * One job for each of many devices, side by side: what goes on stands in one
 * line that is written over, and what went wrong in lines that stay. Interrupted,
 * those under way are cancelled and awaited.
 */

#define AHEAD 24u /* jobs that the daemon has of us: some of them run, the others are next */

struct many {
        struct ctl *c;
        struct job_target *targets;
        size_t n, n_begun, n_over, n_done;
        const char *done_word;
        double since_s;
        bool has_line;
};

static volatile sig_atomic_t is_interrupted;

static void on_interrupt(int number) {
        is_interrupted = 1;
}

static double now_s(void) {
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* ---- what is shown ---- */

static bool has_terminal(const struct many *m) {
        const char *term = getenv("TERM");

        return !m->c->is_quiet && !m->c->is_json && isatty(STDERR_FILENO) && term &&
               strcmp(term, "dumb") != 0;
}

static void wipe_line(struct many *m) {
        if (m->has_line)
                fputs("\r\033[K", stderr);
        m->has_line = false;
}

static void show_line(struct many *m) {
        size_t n_failed = m->n_over - m->n_done;

        if (!has_terminal(m) || m->n_over == m->n)
                return;
        wipe_line(m);
        fprintf(stderr, "%zu of %zu %s", m->n_done, m->n, m->done_word);
        if (n_failed)
                fprintf(stderr, ", %zu failed", n_failed);
        fprintf(stderr, ", %zu under way  %.0f s", m->n_begun - m->n_over, now_s() - m->since_s);
        fflush(stderr);
        m->has_line = true;
}

static void show_end(struct many *m, const struct job_target *t, const char *message) {
        wipe_line(m);
        if (m->c->is_json)
                (void)print_json_line(json_pack("{s:s, s:s, s:s, s:b, s:s}", "device", t->label, "path",
                                                t->path, "job", t->job ? t->job : "", "succeeded",
                                                t->succeeded, "message", message));
        else if (!t->succeeded)
                complain(m->c, "%s: %s%s", t->label, message, message[0] ? "." : "not begun");
        else if (!has_terminal(m))
                remark(m->c, "%s: %s", t->label, m->done_word);
}

static void over(struct many *m, struct job_target *t, bool succeeded, const char *message) {
        t->is_over = true;
        t->succeeded = succeeded;
        m->n_over++;
        m->n_done += succeeded;
        show_end(m, t, message);
}

/* ---- what happens ---- */

static int on_finished(sd_bus_message *signal, void *userdata, sd_bus_error *e) {
        struct many *m = userdata;
        const char *path = sd_bus_message_get_path(signal), *message;
        int succeeded, r = sd_bus_message_read(signal, "bs", &succeeded, &message);

        for (size_t i = 0; r >= 0 && path && i < m->n_begun; i++)
                if (!m->targets[i].is_over && m->targets[i].job && strcmp(m->targets[i].job, path) == 0)
                        over(m, &m->targets[i], succeeded, message);
        return 0;
}

static int begin_next(struct many *m, const char *member, job_append *append) {
        struct job_target *t = &m->targets[m->n_begun++];
        sd_bus_message *call = NULL, *reply = NULL;
        const char *job = NULL;
        int code = job_new(m->c, &call, member), r;

        if (code)
                return code;
        r = sd_bus_message_append(call, "o", t->path);
        if (r >= 0)
                r = append(m->c, call);
        wipe_line(m);
        code = r < 0 ? bus_trouble(m->c, r) : security_send(m->c, call, &reply);
        if (!code && sd_bus_message_read_basic(reply, 'o', &job) >= 0)
                t->job = ocf_duplicate_string(job);
        if (!t->job)
                over(m, t, false, ""); /* why was said */
        sd_bus_message_unref(call);
        sd_bus_message_unref(reply);
        return code == EXIT_DENIED || code == EXIT_NOT_RUNNING ? code : EXIT_OK;
}

/* Those that have not begun do not, and those under way are taken back. */
static void cancel_all(struct many *m) {
        wipe_line(m);
        remark(m->c, "Taking back what was begun ...");
        for (size_t i = 0; i < m->n; i++) {
                struct job_target *t = &m->targets[i];
                sd_bus_message *call = NULL;

                if (t->is_over)
                        continue;
                if (i >= m->n_begun) {
                        over(m, t, false, "It was not begun");
                } else if (bus_new_call(m->c, &call, t->job, "org.ocfd.Job1", "Cancel") >= 0) {
                        (void)sd_bus_send(m->c->bus, call, NULL);
                        sd_bus_message_unref(call);
                }
        }
        m->n_begun = m->n;
}

static int turn(struct many *m) {
        int r = sd_bus_process(m->c->bus, NULL);

        if (r == 0) {
                show_line(m);
                r = sd_bus_wait(m->c->bus, 500000);
        }
        return r < 0 && r != -EINTR ? bus_trouble(m->c, r) : EXIT_OK;
}

int job_run_many(struct ctl *c, struct job_target *targets, size_t n, const char *member, job_append *append,
                 const char *done_word) {
        const struct sigaction action = { .sa_handler = on_interrupt };
        struct many m = { .c = c, .targets = targets, .n = n, .done_word = done_word, .since_s = now_s() };
        struct sigaction before;
        sd_bus_slot *slot = NULL;
        bool was_cancelled = false;
        int code = bus_open(c), r;

        if (code)
                return code;
        r = sd_bus_add_match(c->bus, &slot,
                             "type='signal',sender='org.ocfd',interface='org.ocfd.Job1',member='Finished',"
                             "path_namespace='/org/ocfd/job'",
                             on_finished, &m);
        if (r < 0)
                return bus_trouble(c, r);
        sigaction(SIGINT, &action, &before);
        while (!code && m.n_over < n) {
                if (is_interrupted && !was_cancelled) {
                        was_cancelled = true;
                        cancel_all(&m);
                } else if (m.n_begun < n && m.n_begun - m.n_over < AHEAD) {
                        code = begin_next(&m, member, append);
                } else {
                        code = turn(&m);
                }
        }
        wipe_line(&m);
        sigaction(SIGINT, &before, NULL);
        sd_bus_slot_unref(slot);
        for (size_t i = 0; i < n; i++)
                targets[i].job = ocf_free(targets[i].job);
        if (!c->is_json)
                remark(c, "%zu of %zu devices %s in %.1f s.", m.n_done, n, done_word, now_s() - m.since_s);
        return code || m.n_done == n ? code : EXIT_FAILED;
}
