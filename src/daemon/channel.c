#include "base/memory.h"
#include "daemon/channel_private.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- calls ---- */

static void call_free(struct channel *c, struct channel_call *k) {
        list_unlink(&k->link);
        list_unlink(&k->unsent);
        c->n_calls--;
        c->n_bytes -= k->packet ? k->n_packet : 0;
        c->n_parts -= k->n_value;
        if (--c->all->n_calls == 0)
                uv_timer_stop(&c->all->timer);
        ocf_free(k->packet);
        ocf_free(k->value);
        ocf_free(k);
}

void channel_finish(struct channel *c, struct channel_call *k, const struct ocf_response *response) {
        struct call *call = k->call;

        call_free(c, k);
        call_answer(call, response);
}

void channel_finish_with_fault(struct channel *c, struct channel_call *k, enum fault fault, const char *why) {
        struct ocf_response response = OCF_RESPONSE_FAULT(fault);

        response.diagnostic = why;
        response.max_age_s = fault == FAULT_UNAVAILABLE || fault == FAULT_BUSY ? 1 : -1;
        channel_finish(c, k, &response);
}

static void on_deadlines(uv_timer_t *timer) {
        struct channels *all = timer->data;
        uint64_t now_ms = all->config.now(all->config.context);

        LIST_FOR_EACH_SAFE(i, &all->list) {
                struct channel *c = LIST_ENTRY(i, struct channel, link);

                for (bool again = true; again;) { /* whoever is answered may do anything to the list */
                        again = false;
                        LIST_FOR_EACH(j, &c->calls) {
                                struct channel_call *k = LIST_ENTRY(j, struct channel_call, link);

                                if (k->call->deadline_ms > now_ms)
                                        continue;
                                c->n_owed += !k->packet;
                                channel_finish_with_fault(c, k, FAULT_TIMEOUT, NULL);
                                again = true;
                                break;
                        }
                }
        }
}

/* ---- the end ---- */

static void on_closed(uv_handle_t *handle) {
        struct channel *c = handle->data;

        if (c->is_freed)
                ocf_free(c);
        else
                c->poll.data = NULL;
}

static void end(struct channel *c) {
        if (c->fd < 0)
                return;
        uv_poll_stop(&c->poll);
        close(c->fd);
        c->fd = -1;
        uv_close((uv_handle_t *)&c->poll, on_closed);
        while (!list_is_empty(&c->calls))
                channel_finish_with_fault(c, LIST_ENTRY(list_first(&c->calls), struct channel_call, link),
                                          FAULT_UNAVAILABLE, NULL);
}

struct channel *channel_free(struct channel *c) {
        if (!c)
                return NULL;
        end(c);
        list_unlink(&c->link);
        c->is_freed = true;
        if (!c->poll.data)
                ocf_free(c);
        return NULL;
}

static void receive(struct channel *c) {
        struct channels *all = c->all;
        struct mmsghdr messages[CHANNEL_BATCH];
        struct iovec iov[CHANNEL_BATCH];
        int n;

        for (size_t i = 0; i < CHANNEL_BATCH; i++) {
                iov[i] = (struct iovec){ all->in[i], CHANNEL_PACKET_MAX };
                messages[i] = (struct mmsghdr){ .msg_hdr = { .msg_iov = &iov[i], .msg_iovlen = 1 } };
        }
        n = recvmmsg(c->fd, messages, CHANNEL_BATCH, MSG_DONTWAIT, NULL);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return;
        for (int i = 0; i < n && c->fd >= 0; i++)
                if (!messages[i].msg_len || messages[i].msg_hdr.msg_flags & MSG_TRUNC ||
                    !channel_take_packet(c, span_of(all->in[i], messages[i].msg_len)))
                        n = -1;
        if (n < 0)
                end(c);
}

/* ---- requests ---- */

static void channel_poll(struct channel *c);

static void on_poll(uv_poll_t *poll, int status, int events) {
        struct channel *c = poll->data;

        if (events & UV_WRITABLE)
                c->is_full = false; /* channels_flush() follows before the loop sleeps */
        if (status < 0)
                end(c);
        else if (events & UV_READABLE)
                receive(c);
}

static void channel_poll(struct channel *c) {
        int events = UV_READABLE | (c->is_full ? UV_WRITABLE : 0);

        if (c->fd < 0 || c->events == events)
                return;
        c->events = events;
        (void)uv_poll_start(&c->poll, events, on_poll);
}

static uint64_t method_of(const struct call *call) {
        switch (call->request.method) {
        case COAP_GET:
                return 0;
        case COAP_DELETE:
                return 3;
        default: /* POST and PUT; nothing else comes through an interface */
                return call->interface == INTERFACE_CREATE ? 2 : 1;
        }
}

static struct span write_request(struct channel *c, const struct resource *r, const struct call *call,
                                 uint64_t id) {
        const struct ocf_request *q = &call->request;
        uint64_t now_ms = c->all->config.now(c->all->config.context);
        struct writer w = writer_on(c->all->packet, CHANNEL_PACKET_MAX);
        char device_id[UUID_TEXT_MAX];
        struct channel_packet p = {
                .kind = CHANNEL_REQUEST,
                .id = id,
                .method = method_of(call),
                .flags = (q->notify ? (unsigned)CHANNEL_NOTIFY : 0u) |
                         (q->subject.kind == SUBJECT_AUTH_CRYPT ? (unsigned)CHANNEL_SECURE : 0u),
                .timeout_ms = call->deadline_ms > now_ms ? call->deadline_ms - now_ms : 1,
                .href = span_of_string(r->href),
                .interface = span_of_string(interface_name(call->interface)),
                .query = q->query,
                .uid = q->subject.kind == SUBJECT_LOCAL ? (int64_t)q->subject.uid : -1,
                .value = q->payload,
        };

        if (q->subject.kind == SUBJECT_AUTH_CRYPT)
                p.device_id = span_of_string(uuid_format(&q->subject.id, device_id));
        return channel_packet_write(&p, &w) ? writer_span(&w) : SPAN_NULL;
}

static bool keep(struct channel *c, struct call *call, struct span packet) {
        struct channel_call *k = ocf_new(struct channel_call);

        if (k)
                k->packet = ocf_allocate(packet.n, 1);
        if (!k || !k->packet) {
                ocf_free(k);
                return false;
        }
        memcpy(k->packet, packet.data, packet.n);
        k->n_packet = packet.n;
        k->id = ++c->last_id;
        k->call = call;
        list_link_tail(&c->calls, &k->link);
        list_link_tail(&c->unsent, &k->unsent);
        c->n_calls++;
        c->n_bytes += packet.n;
        if (c->all->n_calls++ == 0)
                uv_timer_start(&c->all->timer, on_deadlines, DEADLINE_TICK_MS, DEADLINE_TICK_MS);
        return true;
}

bool channel_request(struct channel *c, const struct resource *r, struct call *call) {
        struct ocf_response busy = OCF_RESPONSE_FAULT(FAULT_BUSY);
        struct span packet;

        if (c->fd < 0)
                return false;
        packet = write_request(c, r, call, c->last_id + 1);
        if (!packet.n) /* longer than a packet may be: the bus takes it */
                return false;
        if (c->n_calls < CHANNEL_CALLS_MAX && c->n_bytes + packet.n <= CHANNEL_BYTES_MAX &&
            keep(c, call, packet))
                return true;
        busy.diagnostic = "The application has many requests to answer already: try again shortly";
        busy.max_age_s = 1;
        call_answer(call, &busy);
        return true;
}

/* Sends up to a batch. False: there is nothing more to send now. */
static bool send_some(struct channel *c) {
        struct mmsghdr messages[CHANNEL_BATCH];
        struct iovec iov[CHANNEL_BATCH];
        unsigned n = 0;
        int r;

        if (c->fd < 0 || c->is_full || c->n_owed >= CHANNEL_OWED_MAX)
                return false;
        LIST_FOR_EACH(i, &c->unsent) {
                struct channel_call *k = LIST_ENTRY(i, struct channel_call, unsent);

                if (n == CHANNEL_BATCH)
                        break;
                iov[n] = (struct iovec){ k->packet, k->n_packet };
                messages[n] = (struct mmsghdr){ .msg_hdr = { .msg_iov = &iov[n], .msg_iovlen = 1 } };
                n++;
        }
        if (!n)
                return false;
        r = sendmmsg(c->fd, messages, n, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (r < 0 && (errno == EAGAIN || errno == ENOBUFS)) {
                c->is_full = true;
                channel_poll(c);
                return false;
        }
        if (r < 0) {
                end(c);
                return false;
        }
        for (int i = 0; i < r; i++) {
                struct channel_call *k = LIST_ENTRY(list_first(&c->unsent), struct channel_call, unsent);

                list_unlink(&k->unsent);
                c->n_bytes -= k->n_packet;
                k->packet = ocf_free(k->packet);
        }
        return true;
}

void channels_flush(struct channels *all) {
        LIST_FOR_EACH_SAFE(i, &all->list) {
                struct channel *c = LIST_ENTRY(i, struct channel, link);

                while (send_some(c))
                        ;
                channel_poll(c);
        }
}

/* ---- made and taken down ---- */

static size_t n_channels_of(const struct channels *all, uint32_t uid) {
        size_t n = 0;

        LIST_FOR_EACH(i, &all->list)
        n += LIST_ENTRY(i, struct channel, link)->uid == uid;
        return n;
}

int channel_new(struct channel **ret, struct channels *all, uint32_t uid, int *ret_fd) {
        struct channel *c;
        int fds[2], r;

        if (n_channels_of(all, uid) >= UID_CHANNELS_MAX)
                return CHANNEL_E_TOO_MANY;
        c = ocf_new(struct channel);
        if (!c)
                return -ENOMEM;
        c->uid = uid;
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) < 0) {
                r = -errno;
                ocf_free(c);
                return r;
        }
        r = uv_poll_init(all->loop, &c->poll, fds[0]);
        if (r < 0) {
                close(fds[0]);
                close(fds[1]);
                ocf_free(c);
                return r;
        }
        c->poll.data = c;
        c->all = all;
        c->fd = fds[0];
        list_init(&c->calls);
        list_init(&c->unsent);
        list_link_tail(&all->list, &c->link);
        channel_poll(c);
        *ret = c;
        *ret_fd = fds[1];
        return 0;
}

int channels_new(struct channels **ret, uv_loop_t *loop, const struct channels_config *config) {
        struct channels *all = ocf_new(struct channels);

        if (!all)
                return -ENOMEM;
        all->loop = loop;
        all->config = *config;
        list_init(&all->list);
        uv_timer_init(loop, &all->timer);
        all->timer.data = all;
        all->in = ocf_allocate(CHANNEL_BATCH, sizeof(*all->in));
        all->packet = ocf_allocate(CHANNEL_PACKET_MAX, 1);
        all->value = ocf_allocate(CHANNEL_VALUE_MAX, 1);
        *ret = all;
        if (!all->in || !all->packet || !all->value) {
                *ret = channels_free(all);
                return -ENOMEM;
        }
        return 0;
}

static void on_timer_closed(uv_handle_t *handle) {
        ocf_free(handle->data);
}

struct channels *channels_free(struct channels *all) {
        if (!all)
                return NULL;
        LIST_FOR_EACH(i, &all->list)
        end(LIST_ENTRY(i, struct channel, link));
        ocf_free(all->in);
        ocf_free(all->packet);
        ocf_free(all->value);
        all->in = NULL;
        all->packet = all->value = NULL;
        uv_close((uv_handle_t *)&all->timer, on_timer_closed);
        return NULL;
}
