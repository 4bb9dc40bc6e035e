#include "daemon/deadline_timer.h"
#include "base/memory.h"

#include <errno.h>
#include <sys/timerfd.h>
#include <unistd.h>

struct deadline_timer {
        uv_poll_t poll;
        int fd;
        uint64_t armed_ms;
        void (*passed)(void *context);
        void *context;
};

static void on_readable(uv_poll_t *poll, int status, int events) {
        struct deadline_timer *t = OCF_CONTAINER_OF(poll, struct deadline_timer, poll);
        uint64_t n_expirations;

        if (read(t->fd, &n_expirations, sizeof(n_expirations)) < 0)
                return; /* set anew since it fired */
        t->armed_ms = OCF_NEVER;
        t->passed(t->context);
}

int deadline_timer_new(struct deadline_timer **ret, uv_loop_t *loop, void (*passed)(void *context),
                       void *context) {
        struct deadline_timer *t = ocf_new(struct deadline_timer);
        int r;

        if (!t)
                return -ENOMEM;
        t->armed_ms = OCF_NEVER;
        t->passed = passed;
        t->context = context;
        t->fd = timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK | TFD_CLOEXEC);
        if (t->fd < 0) {
                r = -errno;
                ocf_free(t);
                return r;
        }
        r = uv_poll_init(loop, &t->poll, t->fd);
        if (r >= 0)
                r = uv_poll_start(&t->poll, UV_READABLE, on_readable);
        if (r < 0) {
                close(t->fd);
                ocf_free(t);
                return r;
        }
        *ret = t;
        return 0;
}

static void on_closed(uv_handle_t *handle) {
        struct deadline_timer *t = OCF_CONTAINER_OF(handle, struct deadline_timer, poll);

        close(t->fd);
        ocf_free(t);
}

struct deadline_timer *deadline_timer_free(struct deadline_timer *t) {
        if (t)
                uv_close((uv_handle_t *)&t->poll, on_closed);
        return NULL;
}

#define SLACK_MS 8u /* what is due within so short a time is done in one go */

void deadline_timer_set(struct deadline_timer *t, uint64_t deadline_ms) {
        struct itimerspec when = { 0 };

        if (deadline_ms < OCF_NEVER - SLACK_MS)
                deadline_ms = (deadline_ms + SLACK_MS - 1) / SLACK_MS * SLACK_MS;
        if (deadline_ms == t->armed_ms)
                return;
        t->armed_ms = deadline_ms;
        if (deadline_ms != OCF_NEVER) {
                when.it_value.tv_sec = (time_t)(deadline_ms / 1000);
                when.it_value.tv_nsec = (long)(deadline_ms % 1000) * 1000000;
                if (deadline_ms == 0)
                        when.it_value.tv_nsec = 1; /* zero would switch it off */
        }
        (void)timerfd_settime(t->fd, TFD_TIMER_ABSTIME, &when, NULL); /* cannot fail with these arguments */
}
