/*
 * The loop's side of a client: one descriptor, behind it the bus and a timer;
 * process() does whatever is due, a bounded amount at a time, and tells how it
 * stands.
 */
#include "client_private.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define STEPS_MAX 256 /* of one process(), so that other descriptors of the loop get their turn */

uint64_t client_now_us(void) {
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
}

uint64_t retry_after(unsigned n_failures, uint64_t first_us, uint64_t last_us) {
        return n_failures >= 10 ? last_us : ocf_min_u64(first_us << n_failures, last_us);
}

/* ---- the descriptor ---- */

static void set_timer(struct ocf_client *c, uint64_t due_us) {
        struct itimerspec t = { 0 };

        if (due_us != OCF_NEVER) {
                t.it_value.tv_sec = (time_t)(due_us / 1000000u);
                t.it_value.tv_nsec = (long)(due_us % 1000000u) * 1000 + 1; /* zero would mean never */
        }
        (void)timerfd_settime(c->timer_fd, TFD_TIMER_ABSTIME, &t, NULL);
}

void client_wake(struct ocf_client *c) {
        c->is_dirty = true;
        if (!c->depth)
                set_timer(c, 0);
}

static int poll_bus(struct ocf_client *c) {
        struct epoll_event e = { 0 };
        int fd = c->bus ? sd_bus_get_fd(c->bus) : -1, events = c->bus ? sd_bus_get_events(c->bus) : 0;

        if (c->polled_fd >= 0 && c->polled_fd != fd) {
                (void)epoll_ctl(c->epoll_fd, EPOLL_CTL_DEL, c->polled_fd, NULL);
                c->polled_fd = -1;
        }
        if (fd < 0)
                return 0;
        /* poll's and epoll's bits are the same ones on Linux */
        e.events = events > 0 ? (uint32_t)events : 0;
        if (c->polled_fd == fd && c->polled_events == e.events)
                return 0;
        if (epoll_ctl(c->epoll_fd, c->polled_fd == fd ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &e) < 0)
                return -errno;
        c->polled_fd = fd;
        c->polled_events = e.events;
        return 0;
}

static int arm(struct ocf_client *c) {
        uint64_t due_us = c->is_dirty ? 0 : connection_due(c);
        int r = channel_poll(c);

        if (r < 0)
                return r;

        due_us = ocf_min_u64(due_us, registration_due(c));
        due_us = ocf_min_u64(due_us, call_due(c));
        due_us = ocf_min_u64(due_us, observation_due(c));
        set_timer(c, due_us);
        return poll_bus(c);
}

int ocf_client_fd(const struct ocf_client *c) {
        return c ? c->epoll_fd : -EINVAL;
}

/* ---- state ---- */

static enum ocf_state find_state(const struct ocf_client *c) {
        bool is_wanted = false;

        if (!c->bus || c->daemon == DAEMON_ABSENT)
                return !c->bus && !c->bus_error ? OCF_STATE_CONNECTING : OCF_STATE_WAITING;
        if (c->daemon == DAEMON_UNKNOWN)
                return OCF_STATE_CONNECTING;
        LIST_FOR_EACH(i, &c->resources) {
                const struct ocf_resource *r = LIST_ENTRY(i, struct ocf_resource, link);

                if (r->n_refusals)
                        return OCF_STATE_REFUSED;
                is_wanted |= r->phase == RESOURCE_WANTED || r->phase == RESOURCE_SENT;
        }
        return is_wanted ? OCF_STATE_CONNECTING : OCF_STATE_READY;
}

static void explain(struct ocf_client *c, const char *text) {
        char *copy;

        if (c->text && strcmp(c->text, text) == 0)
                return;
        copy = ocf_duplicate_string(text);
        if (!copy)
                return; /* it keeps the old one */
        ocf_free(c->text);
        c->text = copy;
}

void client_set_state(struct ocf_client *c) {
        char sentence[SENTENCE_MAX];
        enum ocf_state state = find_state(c);

        /* While a connection is being made again nobody wants to hear "connecting, waiting, connecting ..."
         */
        if (state == OCF_STATE_CONNECTING && c->state == OCF_STATE_WAITING && c->daemon != DAEMON_PRESENT)
                return;
        c->state = state;
        c->result = 0;
        switch (state) {
        case OCF_STATE_CONNECTING:
        case OCF_STATE_READY:
                explain(c, "");
                break;
        case OCF_STATE_WAITING:
                c->result = !c->bus && c->bus_error ? c->bus_error : OCF_E_UNAVAILABLE;
                explain(c, message_absent_text(c, sentence, sizeof(sentence)));
                break;
        case OCF_STATE_REFUSED:
                c->result = c->refusal_result;
                explain(c, c->refusal ? c->refusal : "");
                break;
        }
}

static void tell_state(struct ocf_client *c) {
        const char *text;
        char *copy;
        client_set_state(c);
        text = c->text ? c->text : "";

        if (!c->on_state || (c->told_text && c->told_state == c->state && c->told_result == c->result &&
                             strcmp(c->told_text, text) == 0))
                return;
        copy = ocf_duplicate_string(text);
        if (!copy)
                return;
        ocf_free(c->told_text);
        c->told_text = copy;
        c->told_state = c->state;
        c->told_result = c->result;
        c->on_state(c->on_state_data, c->state, c->result, copy);
}

enum ocf_state ocf_client_state(const struct ocf_client *c) {
        return c ? c->state : OCF_STATE_WAITING;
}

const char *ocf_client_text(const struct ocf_client *c) {
        return c && c->text ? c->text : "";
}

const char *ocf_client_error(const struct ocf_client *c) {
        return c && c->wait_text ? c->wait_text : "";
}

int ocf_client_on_state(struct ocf_client *c, ocf_state_fn fn, void *userdata) {
        if (!c)
                return -EINVAL;
        c->on_state = fn;
        c->on_state_data = userdata;
        client_wake(c);
        return 0;
}

/* ---- process and wait ---- */

/* Return: whether something was done. */
static bool step(struct ocf_client *c) {
        uint64_t now_us = client_now_us();
        bool did = connection_step(c, now_us);

        if (!c->is_dead)
                did |= registration_step(c, now_us);
        if (!c->is_dead)
                did |= channel_step(c);
        if (!c->is_dead)
                did |= observation_step(c, now_us);
        if (!c->is_dead)
                did |= call_step(c, now_us);
        if (!c->is_dead)
                did |= search_step(c);
        if (!c->is_dead)
                tell_state(c);
        return did;
}

static void destroy(struct ocf_client *c);

int ocf_client_process(struct ocf_client *c) {
        uint64_t n_expirations;
        bool goes_on = true;

        if (!c)
                return -EINVAL;
        if (c->depth)
                return -EBUSY;
        c->depth++;
        (void)!read(c->timer_fd, &n_expirations, sizeof(n_expirations));
        for (unsigned i = 0; i < STEPS_MAX && goes_on && !c->is_dead; i++) {
                c->is_dirty = false;
                goes_on = step(c) || c->is_dirty;
        }
        c->is_dirty = goes_on;
        c->depth--;
        if (c->is_dead) {
                destroy(c);
                return -ECANCELED;
        }
        return arm(c);
}

int ocf_client_wait(struct ocf_client *c, int timeout_ms) {
        struct epoll_event e;
        int n;

        if (!c || timeout_ms < -1)
                return -EINVAL;
        if (c->depth)
                return -EBUSY;
        n = epoll_wait(c->epoll_fd, &e, 1, timeout_ms);
        return n < 0 ? -errno : n;
}

int ocf_client_run(struct ocf_client *c) {
        int r = 0;

        if (!c)
                return -EINVAL;
        if (c->depth)
                return -EBUSY;
        for (;;) {
                r = ocf_client_process(c);
                if (r < 0)
                        return r;
                if (c->is_stopped)
                        break;
                r = ocf_client_wait(c, -1);
                if (r < 0 && r != -EINTR)
                        return r;
        }
        c->is_stopped = 0;
        return 0;
}

int ocf_client_stop(struct ocf_client *c) {
        if (!c)
                return -EINVAL;
        /* Only these two, since we may be in a signal handler. The flag comes first: process() may set the
         * timer anew after this, but run() looks at the flag after that. */
        c->is_stopped = 1;
        set_timer(c, 0);
        return 0;
}

/* ---- made and freed ---- */

static void client_freep(struct ocf_client **c) {
        if (*c)
                destroy(*c);
}

int ocf_client_new(struct ocf_client **ret, const char *bus) {
        OCF_CLEANUP(client_freep) struct ocf_client *c = NULL;
        struct epoll_event e = { .events = EPOLLIN };

        if (!ret || (bus && !bus[0]))
                return -EINVAL;
        c = ocf_new(struct ocf_client);
        if (!c)
                return -ENOMEM;
        c->epoll_fd = c->timer_fd = c->polled_fd = c->channel_fd = -1;
        list_init(&c->answers);
        list_init(&c->resources);
        list_init(&c->requests);
        list_init(&c->calls);
        list_init(&c->observations);
        list_init(&c->searches);
        c->address = ocf_duplicate_string(bus ? bus : "system");
        c->device = ocf_duplicate_string("/");
        if (!c->address || !c->device)
                return -ENOMEM;
        c->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
        c->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
        if (c->epoll_fd < 0 || c->timer_fd < 0 || epoll_ctl(c->epoll_fd, EPOLL_CTL_ADD, c->timer_fd, &e) < 0)
                return -errno;
        client_wake(c);
        *ret = c;
        c = NULL;
        return 0;
}

static void destroy(struct ocf_client *c) {
        c->depth++; /* callbacks that come now may call, but not process */
        c->is_dead = true;
        call_cancel_all(c);
        search_cancel_all(c);
        while (!list_is_empty(&c->requests))
                request_orphan(LIST_ENTRY(list_first(&c->requests), struct ocf_request, link));
        while (!list_is_empty(&c->observations))
                ocf_observation_free(LIST_ENTRY(list_first(&c->observations), struct ocf_observation, link));
        while (!list_is_empty(&c->resources))
                ocf_resource_free(LIST_ENTRY(list_first(&c->resources), struct ocf_resource, link));
        registration_end(c);
        connection_close(c);
        ocf_free(c->channel_in);
        ocf_free(c->channel_out);
        if (c->epoll_fd >= 0)
                close(c->epoll_fd);
        if (c->timer_fd >= 0)
                close(c->timer_fd);
        ocf_free(c->address);
        ocf_free(c->name);
        ocf_free(c->device);
        ocf_free(c->refusal);
        ocf_free(c->text);
        ocf_free(c->told_text);
        ocf_free(c->wait_text);
        ocf_free(c);
}

struct ocf_client *ocf_client_free(struct ocf_client *c) {
        if (c && c->depth)
                c->is_dead = true;
        else if (c)
                destroy(c);
        return NULL;
}

/* ---- what it says of itself ---- */

static bool is_registering(const struct ocf_client *c) {
        LIST_FOR_EACH(i, &c->resources)
        if (LIST_ENTRY(i, struct ocf_resource, link)->phase != RESOURCE_NEW)
                return true;
        return false;
}

static int replace_string(char **s, const char *value) {
        char *copy = ocf_duplicate_string(value);

        if (value && !copy)
                return -ENOMEM;
        ocf_free(*s);
        *s = copy;
        return 0;
}

int ocf_client_set_name(struct ocf_client *c, const char *name, uint64_t linger_ms) {
        int r;

        if (!c || linger_ms > 600000)
                return -EINVAL;
        if (is_registering(c))
                return -EBUSY;
        r = replace_string(&c->name, name);
        if (!r)
                c->linger_ms = linger_ms;
        return r;
}

int ocf_client_set_device(struct ocf_client *c, const char *path) {
        if (!c || !path || !sd_bus_object_path_is_valid(path))
                return -EINVAL;
        return is_registering(c) ? -EBUSY : replace_string(&c->device, path);
}

int ocf_client_set_timeout(struct ocf_client *c, unsigned timeout_ms) {
        if (!c || !timeout_ms || timeout_ms > 60000)
                return -EINVAL;
        c->timeout_ms = timeout_ms;
        return 0;
}
