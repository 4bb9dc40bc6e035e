#include "daemon/bus_loop.h"
#include "base/memory.h"
#include "daemon/clock.h"

#include <errno.h>
#include <poll.h>

/*
 * A poll handle belongs to one descriptor: when the bus connects anew it gets a
 * new handle, and the old one is closed. In between bus_fd() is -1 for at least
 * one turn, so a number that is used again is not mistaken for the old one.
 */
struct poll_handle {
        uv_poll_t poll;
        int fd;
        int events;
};

struct bus_loop {
        uv_loop_t *loop;
        struct bus *bus;
        struct poll_handle *handle; /* NULL: nothing to poll */
        uv_timer_t timer;
        uv_idle_t idle; /* runs while there is more to do at once, so that the loop does not sleep */
        unsigned n_closing;
        void (*failed)(void *context, int error);
        void *context;
};

#define TURNS_MAX 64 /* messages per turn of the loop, so that the network gets its share */

static void on_poll(uv_poll_t *poll, int status, int events) {
        /* The loop woke: bus_loop_settle() follows before it sleeps again. */
}

static void on_timer(uv_timer_t *timer) {
        /* likewise */
}

static void on_idle(uv_idle_t *idle) {
        /* likewise */
}

static void on_poll_closed(uv_handle_t *handle) {
        ocf_free(OCF_CONTAINER_OF(handle, struct poll_handle, poll));
}

static void handle_drop(struct bus_loop *b) {
        if (!b->handle)
                return;
        uv_close((uv_handle_t *)&b->handle->poll, on_poll_closed);
        b->handle = NULL;
}

static int handle_set(struct bus_loop *b, int fd, int events) {
        struct poll_handle *h;
        int r;

        if (b->handle && b->handle->fd != fd)
                handle_drop(b);
        if (fd < 0)
                return 0;
        if (!b->handle) {
                h = ocf_new(struct poll_handle);
                if (!h)
                        return -ENOMEM;
                r = uv_poll_init(b->loop, &h->poll, fd);
                if (r < 0) {
                        ocf_free(h);
                        return r;
                }
                h->fd = fd;
                b->handle = h;
        }
        if (b->handle->events == events)
                return 0;
        b->handle->events = events;
        return uv_poll_start(&b->handle->poll, events, on_poll);
}

static int poll_events_of(int events) {
        return (events & POLLIN ? UV_READABLE : 0) | (events & POLLOUT ? UV_WRITABLE : 0);
}

static void timer_set(struct bus_loop *b, uint64_t deadline_us) {
        uint64_t now_us = clock_us(CLOCK_MONOTONIC);

        if (deadline_us == OCF_NEVER) {
                uv_timer_stop(&b->timer);
                return;
        }
        uv_update_time(b->loop);
        uv_timer_start(&b->timer, on_timer, deadline_us > now_us ? (deadline_us - now_us + 999) / 1000 : 0,
                       0);
}

void bus_loop_settle(struct bus_loop *b) {
        int r = 0;

        for (int i = 0; i < TURNS_MAX; i++) {
                r = bus_process(b->bus, clock_us(CLOCK_MONOTONIC));
                if (r <= 0)
                        break;
        }
        if (r > 0)
                uv_idle_start(&b->idle, on_idle);
        else
                uv_idle_stop(&b->idle);
        if (r < 0)
                b->failed(b->context, r);
}

void bus_loop_arm(struct bus_loop *b) {
        int fd = bus_fd(b->bus);
        int r = handle_set(b, fd, fd < 0 ? 0 : poll_events_of(bus_events(b->bus)));

        if (r < 0) {
                b->failed(b->context, r);
                return;
        }
        timer_set(b, bus_deadline(b->bus));
}

int bus_loop_new(struct bus_loop **ret, uv_loop_t *loop, struct bus *bus,
                 void (*failed)(void *context, int error), void *context) {
        struct bus_loop *b = ocf_new(struct bus_loop);

        if (!b)
                return -ENOMEM;
        b->loop = loop;
        b->bus = bus;
        b->failed = failed;
        b->context = context;
        uv_timer_init(loop, &b->timer);
        uv_idle_init(loop, &b->idle);
        *ret = b;
        return 0;
}

static void on_closed(uv_handle_t *handle) {
        struct bus_loop *b = handle->data;

        if (--b->n_closing == 0)
                ocf_free(b);
}

struct bus_loop *bus_loop_free(struct bus_loop *b) {
        if (!b)
                return NULL;
        handle_drop(b);
        b->timer.data = b->idle.data = b;
        b->n_closing = 2;
        uv_close((uv_handle_t *)&b->timer, on_closed);
        uv_close((uv_handle_t *)&b->idle, on_closed);
        return NULL;
}
