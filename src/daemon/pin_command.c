#include "daemon/pin_command.h"
#include "base/memory.h"
#include "daemon/diag.h"
#include "security/cred.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

/* One run of it; libuv closes its three handles in its own time. */
struct run {
        struct pin_command *command; /* NULL: nobody waits for it any more */
        uv_process_t process;
        uv_pipe_t input;
        uv_timer_t patience;
        uv_write_t write;
        unsigned n_handles;
        char line[32];
};

struct pin_command {
        uv_loop_t *loop;
        const char *path;
        struct run *run; /* NULL: none */
};

static void on_closed(uv_handle_t *handle) {
        struct run *r = handle->data;

        if (--r->n_handles)
                return;
        secret_wipe(r->line, sizeof(r->line));
        ocf_free(r);
}

static void end(struct run *r) {
        if (r->command)
                r->command->run = NULL;
        r->command = NULL;
        uv_close((uv_handle_t *)&r->process, on_closed);
        if (!uv_is_closing((uv_handle_t *)&r->input))
                uv_close((uv_handle_t *)&r->input, on_closed);
        uv_close((uv_handle_t *)&r->patience, on_closed);
}

static void on_exit(uv_process_t *process, int64_t status, int signal) {
        struct run *r = process->data;

        if (r->command && (status || signal))
                diag_log(LOG_WARNING, "PinCommand= failed (status %d, signal %d): was the PIN shown?",
                         (int)status, signal);
        end(r);
}

static void on_written(uv_write_t *write, int status) {
        struct run *r = write->data;

        secret_wipe(r->line, sizeof(r->line));
        if (!uv_is_closing((uv_handle_t *)&r->input))
                uv_close((uv_handle_t *)&r->input, on_closed); /* that is all it gets to read */
}

static void on_patience(uv_timer_t *timer) {
        struct run *r = timer->data;

        (void)uv_process_kill(&r->process, SIGTERM);
}

static int start(struct pin_command *c, struct run *r, const char *digits) {
        char *arguments[] = { (char *)(uintptr_t)c->path, NULL };
        uv_stdio_container_t stdio[] = {
                { .flags = UV_CREATE_PIPE | UV_READABLE_PIPE, .data.stream = (uv_stream_t *)&r->input },
                { .flags = UV_IGNORE },
                { .flags = UV_INHERIT_FD, .data.fd = 2 },
        };
        const uv_process_options_t options = {
                .exit_cb = on_exit, .file = c->path, .args = arguments, .stdio = stdio, .stdio_count = 3
        };
        uv_buf_t line = uv_buf_init(r->line, (unsigned)snprintf(r->line, sizeof(r->line), "%s\n", digits));
        int e = uv_spawn(c->loop, &r->process, &options);

        if (e < 0)
                return e;
        uv_timer_start(&r->patience, on_patience, PIN_COMMAND_MAX_MS, 0);
        return uv_write(&r->write, (uv_stream_t *)&r->input, &line, 1, on_written);
}

void pin_command_show(struct pin_command *c, const char *digits) {
        struct run *r;
        int e;

        pin_command_stop(c);
        if (!c->path)
                return;
        r = ocf_new(struct run);
        if (!r)
                return;
        r->command = c;
        r->n_handles = 3;
        r->process.data = r->input.data = r->patience.data = r->write.data = r;
        uv_pipe_init(c->loop, &r->input, 0);
        uv_timer_init(c->loop, &r->patience);
        r->input.data = r->patience.data = r;
        e = start(c, r, digits);
        r->process.data = r;
        if (e < 0) {
                diag_log(LOG_ERR, "PinCommand=%s cannot be run: %s. The PIN was not shown.", c->path,
                         uv_strerror(e));
                end(r);
                return;
        }
        c->run = r;
}

void pin_command_stop(struct pin_command *c) {
        struct run *r = c->run;

        if (!r)
                return;
        r->command = NULL;
        c->run = NULL;
        if (!uv_is_closing((uv_handle_t *)&r->process))
                (void)uv_process_kill(&r->process, SIGTERM); /* on_exit() does the rest */
}

int pin_command_new(struct pin_command **ret, uv_loop_t *loop, const char *path) {
        struct pin_command *c = ocf_new(struct pin_command);

        if (!c)
                return -ENOMEM;
        c->loop = loop;
        c->path = path;
        *ret = c;
        return 0;
}

struct pin_command *pin_command_free(struct pin_command *c) {
        struct run *r;

        if (!c)
                return NULL;
        r = c->run;
        pin_command_stop(c);
        if (r && !uv_is_closing((uv_handle_t *)&r->process))
                end(r); /* the loop ends: nobody will hear of its exit */
        return ocf_free(c);
}
