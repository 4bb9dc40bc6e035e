/*
 * The channel: requests of the daemon's through a socket, and their answers, many
 * with one system call (dbus/channel_packet.h). It is asked for once the program
 * has a handler registered; where there is none, requests come over the bus.
 */
#include "client_private.h"
#include "dbus/channel_packet.h"
#include "protocol/rep.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define BATCH 16

/* A packet that waits to be sent. */
struct channel_answer {
        struct list link;
        size_t n;
        uint8_t bytes[];
};

/* ---- made and lost ---- */

void channel_close(struct ocf_client *c) {
        if (c->channel_fd >= 0)
                close(c->channel_fd); /* epoll forgets it by itself */
        c->channel_fd = -1;
        c->channel_events = 0;
        c->channel_is_full = false;
        LIST_FOR_EACH_SAFE(i, &c->answers) {
                list_unlink(i);
                ocf_free(LIST_ENTRY(i, struct channel_answer, link));
        }
}

void channel_lost(struct ocf_client *c) {
        c->acquiring = sd_bus_slot_unref(c->acquiring);
        c->channel_was_asked = false;
        channel_close(c);
}

static bool is_wanted(const struct ocf_client *c) {
        LIST_FOR_EACH(i, &c->resources) {
                const struct ocf_resource *r = LIST_ENTRY(i, struct ocf_resource, link);

                if (r->phase == RESOURCE_REGISTERED && resource_is_handled(r))
                        return true;
        }
        return false;
}

static int on_channel(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        struct ocf_client *c = userdata;
        int fd;

        c->acquiring = sd_bus_slot_unref(c->acquiring);
        if (!connection_is_from_daemon(c, m) || sd_bus_message_is_method_error(m, NULL) ||
            sd_bus_message_read_basic(m, 'h', &fd) < 0)
                return 0; /* an older daemon, or it has none to give: the bus does */
        if (!c->channel_in)
                c->channel_in = ocf_allocate(BATCH, CHANNEL_PACKET_MAX);
        if (!c->channel_out)
                c->channel_out = ocf_allocate(CHANNEL_PACKET_MAX, 1);
        if (!c->channel_in || !c->channel_out)
                return 0;
        channel_close(c);
        c->channel_fd = fcntl(fd, F_DUPFD_CLOEXEC, 3); /* the message closes its own */
        c->channel_number++;
        c->is_dirty = true;
        return 0;
}

static bool is_switched_off(void) {
        const char *s = getenv("OCF_CLIENT_CHANNEL");

        return s && strcmp(s, "no") == 0;
}

static void acquire(struct ocf_client *c) {
        sd_bus_message *m = NULL;
        int r;

        c->channel_was_asked = true;
        if (is_switched_off())
                return;
        r = message_new(c, &m, c->application, BUS_APPLICATION, "AcquireChannel");
        if (r >= 0)
                r = sd_bus_message_append(m, "a{sv}", 0);
        if (r >= 0)
                (void)sd_bus_call_async(c->bus, &c->acquiring, m, on_channel, c, 0);
        sd_bus_message_unref(m);
}

int channel_poll(struct ocf_client *c) {
        struct epoll_event e = { .events = EPOLLIN | (c->channel_is_full ? (uint32_t)EPOLLOUT : 0) };

        if (c->channel_fd < 0 || c->channel_events == e.events)
                return 0;
        if (epoll_ctl(c->epoll_fd, c->channel_events ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, c->channel_fd, &e) < 0)
                return -errno;
        c->channel_events = e.events;
        return 0;
}

/* ---- out ---- */

static bool send_some(struct ocf_client *c) {
        struct mmsghdr messages[BATCH];
        struct iovec iov[BATCH];
        unsigned n = 0;
        int r;

        LIST_FOR_EACH(i, &c->answers) {
                struct channel_answer *a = LIST_ENTRY(i, struct channel_answer, link);

                if (n == BATCH)
                        break;
                iov[n] = (struct iovec){ a->bytes, a->n };
                messages[n] = (struct mmsghdr){ .msg_hdr = { .msg_iov = &iov[n], .msg_iovlen = 1 } };
                n++;
        }
        if (!n || c->channel_fd < 0)
                return false;
        r = sendmmsg(c->channel_fd, messages, n, MSG_DONTWAIT | MSG_NOSIGNAL);
        c->channel_is_full = r < 0 && (errno == EAGAIN || errno == ENOBUFS);
        if (r < 0) {
                if (!c->channel_is_full)
                        channel_close(c);
                return false;
        }
        for (int i = 0; i < r; i++) {
                struct channel_answer *a = LIST_ENTRY(list_first(&c->answers), struct channel_answer, link);

                list_unlink(&a->link);
                ocf_free(a);
        }
        return true;
}

static int put(struct ocf_client *c, const struct channel_packet *p) {
        struct writer w = writer_on(c->channel_out, CHANNEL_PACKET_MAX);
        struct channel_answer *a;

        if (!channel_packet_write(p, &w))
                return -EINVAL;
        a = ocf_allocate(1, sizeof(*a) + w.n);
        if (!a)
                return -ENOMEM;
        a->n = w.n;
        memcpy(a->bytes, w.data, w.n);
        list_link_tail(&c->answers, &a->link);
        client_wake(c);
        return 0;
}

/* Whoever asked may be gone, and so may be the channel: then the answer is of no interest to anybody. */
static bool is_awaited(const struct ocf_request *q) {
        return q->client && q->client->channel_fd >= 0 && q->client->channel_number == q->channel_number;
}

static int put_value(struct ocf_client *c, uint64_t id, struct span value) {
        struct channel_packet p = {
                .kind = CHANNEL_PART, .id = id, .code = -1, .content_format = -1, .max_age_s = -1
        };
        int r = 0;

        if (value.n > CHANNEL_VALUE_MAX)
                return -EINVAL;
        if (value.n > CHANNEL_PART_MAX) { /* too long for one packet: it goes ahead */
                while (value.n && !r) {
                        p.value = span_of(value.data, ocf_min_size(value.n, CHANNEL_PART_MAX));
                        value = span_of(value.data + p.value.n, value.n - p.value.n);
                        r = put(c, &p);
                }
                value = SPAN_NULL;
        }
        p.kind = CHANNEL_ANSWER;
        p.value = value;
        return r ? r : put(c, &p);
}

int channel_respond(struct ocf_request *q, const struct ocf_value *value) {
        struct span rep = SPAN_NULL;
        int r;

        if (!is_awaited(q))
                return 0;
        r = value ? value_to_rep(value, &rep) : 0;
        if (!r)
                r = put_value(q->client, q->id, rep);
        ocf_free((void *)rep.data);
        return r > 0 ? -EINVAL : r;
}

int channel_fail(struct ocf_request *q, const char *name, const char *text) {
        const struct channel_packet p = {
                .kind = CHANNEL_FAULT, .id = q->id, .name = span_of_string(name), .text = span_of_string(text)
        };

        return is_awaited(q) ? put(q->client, &p) : 0;
}

/* ---- in ---- */

static const char *keep(char **at, struct span s) {
        const char *kept = *at;

        memcpy(*at, s.data, s.n);
        (*at)[s.n] = 0;
        *at += s.n + 1;
        return kept;
}

static int request_of(struct ocf_request **ret, struct ocf_client *c, const struct channel_packet *p) {
        struct span id = p->device_id.data ? p->device_id : SPAN_LITERAL("");
        struct ocf_request *q =
                ocf_allocate(1, sizeof(*q) + p->href.n + p->interface.n + p->query.n + id.n + 4);
        char *at;
        int r;

        if (!q)
                return -ENOMEM;
        at = (char *)(q + 1);
        list_init(&q->link);
        q->client = c;
        q->id = p->id;
        q->channel_number = c->channel_number;
        q->method = (enum ocf_method)p->method;
        q->notify = p->flags & CHANNEL_NOTIFY;
        q->href = keep(&at, p->href);
        q->interface_name = keep(&at, p->interface);
        q->query = keep(&at, p->query);
        q->device_id = keep(&at, id);
        r = p->value.data ? value_from_rep(&q->value, p->value) : 0;
        if (r) {
                ocf_free(q);
                return r;
        }
        list_link_tail(&c->requests, &q->link);
        *ret = q;
        return 0;
}

/* False: it is no request, though it came from the daemon: better over the bus then. */
static bool take(struct ocf_client *c, struct span bytes) {
        const struct channel_packet busy = { .kind = CHANNEL_FAULT, .name = SPAN_LITERAL("Busy") };
        struct channel_packet p, refusal = busy;
        struct ocf_request *q;

        if (channel_packet_read(&p, bytes) || p.kind != CHANNEL_REQUEST || p.method > OCF_DELETE)
                return false;
        if (request_of(&q, c, &p)) {
                refusal.id = p.id;
                refusal.text = SPAN_LITERAL("The application is out of memory");
                return put(c, &refusal) == 0;
        }
        handler_serve(c, q);
        return true;
}

static bool receive(struct ocf_client *c) {
        struct mmsghdr messages[BATCH];
        struct iovec iov[BATCH];
        int n;

        for (size_t i = 0; i < BATCH; i++) {
                iov[i] = (struct iovec){ c->channel_in + i * CHANNEL_PACKET_MAX, CHANNEL_PACKET_MAX };
                messages[i] = (struct mmsghdr){ .msg_hdr = { .msg_iov = &iov[i], .msg_iovlen = 1 } };
        }
        n = recvmmsg(c->channel_fd, messages, BATCH, MSG_DONTWAIT, NULL);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return false;
        if (n <= 0)
                channel_close(c);
        for (int i = 0; i < n && c->channel_fd >= 0 && !c->is_dead; i++)
                if (!messages[i].msg_len || messages[i].msg_hdr.msg_flags & MSG_TRUNC ||
                    !take(c, span_of(iov[i].iov_base, messages[i].msg_len)))
                        channel_close(c);
        return n == BATCH;
}

bool channel_step(struct ocf_client *c) {
        bool more = false;

        if (!c->channel_was_asked && c->application && c->daemon == DAEMON_PRESENT && is_wanted(c)) {
                acquire(c);
                return true;
        }
        if (c->channel_fd < 0)
                return false;
        more = receive(c);
        while (!c->is_dead && send_some(c))
                ;
        return more;
}
