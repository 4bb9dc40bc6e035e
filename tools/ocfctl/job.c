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

/* Jobs of the onboarding tool, as somebody at a terminal sees them. */

#define TOOL "org.ocfd.OnboardingTool1"

static volatile sig_atomic_t is_interrupted;

static void on_interrupt(int number) {
        is_interrupted = 1;
}

int job_new(struct ctl *c, sd_bus_message **ret, const char *member) {
        int code = bus_open(c), r;

        if (code)
                return code;
        r = bus_new_call(c, ret, "/org/ocfd", TOOL, member);
        return r < 0 ? bus_trouble(c, r) : EXIT_OK;
}

static double now_s(void) {
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int on_signal(sd_bus_message *m, void *userdata, sd_bus_error *e) {
        *(bool *)userdata = true;
        return 0;
}

static void cancel(struct ctl *c, const char *job) {
        sd_bus_message *m = NULL, *reply = NULL;

        remark(c, "\nTaking back what was begun ...");
        if (bus_new_call(c, &m, job, "org.ocfd.Job1", "Cancel") >= 0)
                (void)bus_call(c, m, c->timeout_ms, &reply);
        sd_bus_message_unref(m);
        sd_bus_message_unref(reply);
}

static bool is_over(const char *state) {
        return strcmp(state, "done") == 0 || strcmp(state, "failed") == 0 || strcmp(state, "cancelled") == 0;
}

/* "discover ok · session ok · owner key ok": one line, as it goes on. */
static void show_step(const struct ctl *c, const json_t *job, char *last, size_t n_last) {
        const char *step = text_of(job, "Step");

        if (c->is_quiet || c->is_json || !step[0] || strcmp(step, last) == 0)
                return;
        fprintf(stderr, "%s%s", last[0] ? " ok · " : "", step);
        fflush(stderr);
        snprintf(last, n_last, "%s", step);
}

static int report(struct ctl *c, const json_t *job, const char *path, double since_s, const char *last) {
        bool succeeded = strcmp(text_of(job, "State"), "done") == 0;

        if (c->is_json)
                return print_json(c, json_pack("{s:s, s:s, s:s, s:b, s:s}", "job", path, "operation",
                                               text_of(job, "Operation"), "state", text_of(job, "State"),
                                               "succeeded", succeeded, "message", text_of(job, "Message"))) ||
                                       !succeeded
                               ? EXIT_FAILED
                               : EXIT_OK;
        if (!c->is_quiet && last[0])
                fprintf(stderr, "%s  %.1f s\n", succeeded ? " ok" : "", now_s() - since_s);
        if (succeeded)
                remark(c, "%s.", text_of(job, "Message"));
        else
                complain(c, "%s.", text_of(job, "Message"));
        return succeeded ? EXIT_OK : EXIT_FAILED;
}

static int follow(struct ctl *c, const char *path, json_t **ret) {
        double since_s = now_s();
        bool is_new = true, was_cancelled = false;
        char last[64] = "";
        sd_bus_slot *slot = NULL;
        json_t *job = NULL;
        int code = EXIT_OK, r;

        r = sd_bus_match_signal(c->bus, &slot, "org.ocfd", path, "org.freedesktop.DBus.Properties",
                                "PropertiesChanged", on_signal, &is_new);
        if (r < 0)
                return bus_trouble(c, r);
        for (;;) {
                if (is_interrupted && !was_cancelled) {
                        was_cancelled = true;
                        cancel(c, path);
                        is_new = true;
                }
                if (is_new) {
                        is_new = false;
                        json_decref(job);
                        job = NULL;
                        code = objects_properties(c, path, "org.ocfd.Job1", &job);
                        if (code)
                                break;
                        show_step(c, job, last, sizeof(last));
                        if (is_over(text_of(job, "State")))
                                break;
                }
                r = sd_bus_process(c->bus, NULL);
                if (r == 0)
                        r = sd_bus_wait(c->bus, 200000);
                if (r < 0 && r != -EINTR) {
                        code = bus_trouble(c, r);
                        break;
                }
        }
        sd_bus_slot_unref(slot);
        if (!code)
                code = report(c, job, path, since_s, last);
        *ret = job;
        return code;
}

int job_run(struct ctl *c, sd_bus_message *m, char **ret_device) {
        const struct sigaction action = { .sa_handler = on_interrupt };
        struct sigaction before;
        sd_bus_message *reply = NULL;
        json_t *job = NULL;
        const char *path;
        int code = security_send(c, m, &reply), r;

        sd_bus_message_unref(m);
        if (code)
                return code;
        r = sd_bus_message_read_basic(reply, 'o', &path);
        if (r < 0) {
                sd_bus_message_unref(reply);
                return bus_trouble(c, r);
        }
        sigaction(SIGINT, &action, &before);
        code = follow(c, path, &job);
        sigaction(SIGINT, &before, NULL);
        if (!code && ret_device)
                *ret_device = ocf_duplicate_string(text_of(job, "Device"));
        json_decref(job);
        sd_bus_message_unref(reply);
        return code;
}

/* ---- PINs ---- */

static int on_ask_pin(sd_bus_message *m, void *userdata, sd_bus_error *e) {
        const char *job, *device, *name;
        char pin[80];
        uint32_t seconds;
        int r = sd_bus_message_read(m, "oosu", &job, &device, &name, &seconds);

        if (r < 0)
                return r;
        fprintf(stderr, "\nThe PIN that the device");
        if (name[0]) {
                fprintf(stderr, " \"");
                for (const char *s = name; *s; s++)
                        fputc((unsigned char)*s < 0x20 || *s == 0x7f ? '?' : *s, stderr);
                fputc('"', stderr);
        }
        fprintf(stderr, " shows: ");
        if (is_interrupted || !fgets(pin, sizeof(pin), stdin))
                return sd_bus_reply_method_errorf(m, "org.ocfd.Error.Failed", "Nobody said one");
        pin[strcspn(pin, "\r\n ")] = 0;
        return sd_bus_reply_method_return(m, "s", pin);
}

static int on_other(sd_bus_message *m, void *userdata, sd_bus_error *e) {
        return sd_bus_reply_method_return(m, NULL);
}

static const sd_bus_vtable agent[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD("AskPin", "oosu", "s", on_ask_pin, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("ShowPin", "osu", "", on_other, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("Cancel", "o", "", on_other, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_VTABLE_END,
};

int job_ask_pins(struct ctl *c) {
        sd_bus_message *m = NULL, *reply = NULL;
        int code = bus_open(c), r;

        if (code || !isatty(STDIN_FILENO) || !isatty(STDERR_FILENO))
                return code;
        r = sd_bus_add_object_vtable(c->bus, NULL, "/agent", "org.ocfd.Agent1", agent, NULL);
        if (r >= 0)
                r = bus_new_call(c, &m, "/org/ocfd", "org.ocfd.Manager1", "RegisterAgent");
        if (r >= 0)
                r = sd_bus_message_append(m, "oa{sv}", "/agent", 0);
        code = r < 0 ? bus_trouble(c, r) : security_send(c, m, &reply);
        sd_bus_message_unref(m);
        sd_bus_message_unref(reply);
        return code;
}
