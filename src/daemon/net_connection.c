#include "base/memory.h"
#include "daemon/net_socket.h"
#include "daemon/net_tcp.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define OUT_KEPT 4096 /* a queue of this size is not given back when it is empty */

static void connection_poll(struct connection *c);

struct connection *net_tcp_find(const struct net_tcp *t, const struct coap_peer *peer) {
        struct connection *c = t->connections[peer->channel % TCP_CONNECTIONS_MAX];

        return c && c->peer.channel == peer->channel ? c : NULL;
}

/* ---- the end ---- */

static void on_closed(uv_handle_t *handle) {
        struct connection *c = OCF_CONTAINER_OF(handle, struct connection, poll);

        ocf_free(c->in);
        ocf_free(c->out);
        ocf_free(c);
}

void connection_drop(struct connection *c, bool reset) {
        struct net_tcp *t = c->tcp;
        bool was_open = c->state == CONNECTION_OPEN;

        if (c->state == CONNECTION_GONE)
                return;
        c->state = CONNECTION_GONE;
        list_unlink(&c->dirty);
        list_unlink(&c->closing);
        list_unlink(&c->stalled);
        t->n_queued -= c->n_out;
        c->n_out = 0;
        if (c->peer.channel) {
                t->connections[c->peer.channel % TCP_CONNECTIONS_MAX] = NULL;
                t->n_connections--;
        }
        uv_poll_stop(&c->poll);
        if (reset)
                net_socket_reset(c->fd);
        else
                close(c->fd);
        uv_close((uv_handle_t *)&c->poll, on_closed);
        if (was_open && c->peer.channel)
                t->net->events.stream_closed(t->net->events.context, &c->peer);
}

static void on_impatient(uv_timer_t *timer) {
        struct net_tcp *t = timer->data;
        uint64_t now_ms = uv_now(t->net->loop);
        struct list *first;

        while ((first = list_first(&t->closing))) {
                struct connection *c = LIST_ENTRY(first, struct connection, closing);

                if (c->until_ms > now_ms) {
                        uv_timer_start(timer, on_impatient, c->until_ms - now_ms, 0);
                        return;
                }
                connection_drop(c, true);
        }
}

/* The endpoint knows of it no more, or will not in a moment. */
static void connection_end(struct connection *c) {
        struct net_tcp *t = c->tcp;

        c->state = CONNECTION_ENDING;
        c->until_ms = uv_now(t->net->loop) + t->closing_ms;
        list_unlink(&c->stalled);
        list_link_tail(&t->closing, &c->closing);
        if (!list_is_linked(&c->dirty))
                list_link_tail(&t->dirty, &c->dirty);
        if (!uv_is_active((uv_handle_t *)&t->patience))
                uv_timer_start(&t->patience, on_impatient, t->closing_ms, 0);
}

void net_tcp_end(struct net_tcp *t, const struct coap_peer *peer) {
        struct connection *c = net_tcp_find(t, peer);

        if (c && c->state == CONNECTION_CONNECTING)
                connection_drop(c, true);
        else if (c && c->state == CONNECTION_OPEN)
                connection_end(c);
}

/* A close with bytes unread would be a reset, and overtake what we said last. */
static void shut(struct connection *c) {
        if (c->peer_ended || shutdown(c->fd, SHUT_WR) < 0) {
                connection_drop(c, false);
                return;
        }
        c->state = CONNECTION_SHUT;
}

/* ---- sending ---- */

static bool out_make_room(struct connection *c, size_t n) {
        size_t n_max = c->n_out_max ? c->n_out_max : OUT_KEPT;

        if (c->out_begin + c->n_out + n <= c->n_out_max)
                return true;
        if (c->n_out)
                memmove(c->out, c->out + c->out_begin, c->n_out);
        c->out_begin = 0;
        while (n_max < c->n_out + n)
                n_max *= 2;
        if (n_max == c->n_out_max)
                return true;
        if (!ocf_grow((void **)&c->out, c->n_out_max, n_max, 1))
                return false;
        c->n_out_max = n_max;
        return true;
}

static void out_drop(struct connection *c, size_t n) {
        c->tcp->n_queued -= n;
        c->n_out -= n;
        c->out_begin += n;
        if (c->n_out)
                return;
        c->out_begin = 0;
        if (c->n_out_max > OUT_KEPT) {
                c->out = ocf_free(c->out);
                c->n_out_max = 0;
        }
}

static void connection_write(struct connection *c) {
        while (c->n_out) {
                ssize_t r = send(c->fd, c->out + c->out_begin, c->n_out, MSG_NOSIGNAL | MSG_DONTWAIT);

                if (r < 0 && errno == EINTR)
                        continue;
                if (r < 0 && errno == EAGAIN)
                        break;
                if (r < 0) {
                        c->tcp->net->counts.n_send_errors++;
                        connection_drop(c, true);
                        return;
                }
                c->active_ms = uv_now(c->tcp->net->loop);
                out_drop(c, (size_t)r);
        }
        c->wants_write = c->n_out;
        if (!c->n_out && c->state == CONNECTION_LAST)
                shut(c);
        connection_poll(c);
}

static void drop_largest(struct net_tcp *t) {
        struct connection *largest = NULL;

        for (size_t i = 0; i < TCP_CONNECTIONS_MAX; i++) {
                struct connection *c = t->connections[i];

                if (c && (!largest || c->n_out > largest->n_out))
                        largest = c;
        }
        t->net->counts.n_slow++;
        connection_drop(largest, true);
}

void net_tcp_put(struct net_tcp *t, const struct coap_peer *to, struct span message) {
        struct connection *c = net_tcp_find(t, to);

        if (!c || c->state == CONNECTION_CONNECTING || c->state > CONNECTION_ENDING) {
                t->net->counts.n_send_errors++;
                return;
        }
        if (!out_make_room(c, message.n)) {
                connection_drop(c, true);
                return;
        }
        memcpy(c->out + c->out_begin + c->n_out, message.data, message.n);
        c->n_out += message.n;
        t->n_queued += message.n;
        t->net->counts.n_stream_sent++;
        if (!list_is_linked(&c->dirty))
                list_link_tail(&t->dirty, &c->dirty);
        if (c->n_out > TCP_PAUSE && !c->wants_write)
                connection_write(c);
        if (c->n_out > TCP_QUEUE_MAX) {
                t->net->counts.n_slow++;
                connection_drop(c, true);
        } else if (t->n_queued > t->n_max_queued) {
                drop_largest(t);
        }
}

/* Dropping one may end others: the list is taken from its front. */
void net_tcp_write(struct net_tcp *t, bool dry) {
        struct list *first;

        while ((first = list_first(&t->dirty))) {
                struct connection *c = LIST_ENTRY(first, struct connection, dirty);

                list_unlink(first);
                if (c->wants_write)
                        connection_poll(c);
                else
                        connection_write(c);
        }
        if (!dry)
                return;
        LIST_FOR_EACH_SAFE(i, &t->closing) {
                struct connection *c = LIST_ENTRY(i, struct connection, closing);

                if (c->state != CONNECTION_ENDING)
                        continue;
                c->state = CONNECTION_LAST;
                if (!c->n_out)
                        shut(c);
                connection_poll(c);
        }
}

/* ---- receiving ---- */

static void keep(struct connection *c, struct span rest) {
        if (rest.data != c->in) {
                uint8_t *copy = ocf_duplicate(rest);

                if (!copy) {
                        connection_drop(c, true);
                        return;
                }
                ocf_free(c->in);
                c->in = copy;
                c->n_in = rest.n;
        }
        if (!list_is_linked(&c->stalled))
                list_link_tail(&c->tcp->stalled, &c->stalled);
}

/* Answers are fetched after each message, so that who asks for much and reads nothing is not read any more.
 * Returns how many bytes were taken. */
static size_t offer(struct connection *c, struct span data) {
        struct net *n = c->tcp->net;
        size_t n_taken = 0;
        bool again = false;

        while (n_taken < data.n && c->state == CONNECTION_OPEN && c->n_out <= TCP_PAUSE) {
                size_t took = n->events.stream_data(n->events.context, &c->peer,
                                                    span_of(data.data + n_taken, data.n - n_taken));

                n_taken += took;
                (void)net_collect(n);
                if (!took && again)
                        break;
                again = !took;
        }
        return n_taken;
}

static void feed(struct connection *c, struct span data) {
        size_t n_taken = offer(c, data);

        if (c->state != CONNECTION_OPEN)
                return;
        if (n_taken < data.n) {
                keep(c, span_of(data.data + n_taken, data.n - n_taken));
                return;
        }
        c->in = ocf_free(c->in);
        c->n_in = 0;
}

bool net_tcp_resume(struct net_tcp *t) {
        struct list again = LIST_INIT(again), *first;
        bool any = false;

        while ((first = list_first(&t->stalled))) {
                list_unlink(first);
                list_link_tail(&again, first);
        }
        while ((first = list_first(&again))) {
                struct connection *c = LIST_ENTRY(first, struct connection, stalled);
                size_t before = c->n_in;

                list_unlink(first);
                feed(c, span_of(c->in, c->n_in));
                any = any || c->n_in < before;
                connection_poll(c);
        }
        return any;
}

static void on_end_of_input(struct connection *c) {
        struct net *n = c->tcp->net;

        c->peer_ended = true;
        if (c->state == CONNECTION_SHUT) {
                connection_drop(c, false);
        } else if (c->state == CONNECTION_OPEN) { /* what it asked for before is still sent */
                connection_end(c);
                n->events.stream_closed(n->events.context, &c->peer);
        }
}

static void receive(struct connection *c) {
        struct net_tcp *t = c->tcp;
        ssize_t r = recv(c->fd, t->buffer, sizeof(t->buffer), MSG_DONTWAIT);

        if (r < 0) {
                if (errno != EAGAIN && errno != EINTR)
                        connection_drop(c, true);
                return;
        }
        c->active_ms = uv_now(t->net->loop);
        if (r == 0)
                on_end_of_input(c);
        else if (c->state == CONNECTION_OPEN)
                feed(c, span_of(t->buffer, (size_t)r));
}

/* ---- in the loop ---- */

static bool wants_read(const struct connection *c) {
        if (c->peer_ended || c->state == CONNECTION_CONNECTING)
                return false;
        return c->state != CONNECTION_OPEN || (!c->in && c->n_out <= TCP_PAUSE);
}

static void on_connection(uv_poll_t *poll, int status, int events) {
        struct connection *c = OCF_CONTAINER_OF(poll, struct connection, poll);
        struct net *n = c->tcp->net;

        if (c->state == CONNECTION_CONNECTING) {
                connection_connected(c, status);
                connection_poll(c);
        } else if (status < 0) {
                connection_drop(c, true);
        } else {
                if (events & UV_READABLE)
                        receive(c);
                if (events & UV_WRITABLE && c->state != CONNECTION_GONE)
                        connection_write(c);
                connection_poll(c);
        }
        n->events.received(n->events.context);
}

static void connection_poll(struct connection *c) {
        int events = (wants_read(c) ? UV_READABLE : 0) |
                     (c->wants_write || c->state == CONNECTION_CONNECTING ? UV_WRITABLE : 0);

        if (c->state == CONNECTION_GONE || events == c->events)
                return; /* libuv would tell the kernel twice */
        c->events = events;
        (void)uv_poll_start(&c->poll, events, on_connection);
}

void connection_start(struct connection *c) {
        c->active_ms = uv_now(c->tcp->net->loop);
        connection_poll(c);
}

int connection_new(struct connection **ret, struct net_tcp *t, int fd_take) {
        struct connection *c = ocf_new(struct connection);
        int r;

        if (!c) {
                close(fd_take);
                return -ENOMEM;
        }
        list_init(&c->dirty);
        list_init(&c->closing);
        list_init(&c->stalled);
        c->tcp = t;
        c->fd = fd_take;
        r = uv_poll_init(t->net->loop, &c->poll, fd_take);
        if (r < 0) {
                close(fd_take);
                ocf_free(c);
                return r;
        }
        *ret = c;
        return 0;
}
