/*
 * Our secure sessions on a plain socket, with nothing behind them but the least
 * answer: what the engine, the cookies and the table of sessions cost, beside
 * dtls_floor, which is the same behind libssl. An owned device in RFNOP with one
 * key. Loopback only; ends by itself after a while.
 *
 *     secure_node PORT [SECONDS [BYTES [CHAIN.pem KEY.pem ROOTS.pem]]]       BYTES: of the body (44)
 */
#include "batch.h"
#include "common.h"
#include "least.h"
#include "owned.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct sessions *sessions;
static int fd;

static uint64_t now_ms(void) {
        return bench_now_ns() / 1000000u;
}

static struct coap_peer peer_of(const struct sockaddr_in *a) {
        struct coap_peer p = { .remote_port = ntohs(a->sin_port), .local_port = 1 };

        p.remote_ip[10] = p.remote_ip[11] = p.local_ip[10] = p.local_ip[11] = 0xff;
        memcpy(p.remote_ip + 12, &a->sin_addr, 4);
        p.local_ip[12] = 127;
        p.local_ip[15] = 1;
        return p;
}

static struct sockaddr_in address_of(const struct coap_peer *p) {
        struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(p->remote_port) };

        memcpy(&a.sin_addr, p->remote_ip + 12, 4);
        return a;
}

static void answer(const struct session_event *event) {
        uint8_t message[LEAST_ANSWER_MAX], *place;
        struct sockaddr_in to = address_of(&event->session->peer);
        size_t n = least_answer(event->data.data, event->data.n, message);

        if (!n)
                return;
        place = batch_place(fd);
        n = sessions_seal(sessions, now_ms(), &event->session->peer, span_of(message, n), place,
                          BATCH_BYTES_MAX);
        if (n)
                batch_put(n, &to);
}

static void send_rest(void) {
        static uint8_t bytes[TLS_RECORD_MAX];
        struct coap_peer to;
        size_t n;

        while ((n = sessions_transmit(sessions, now_ms(), &to, bytes, sizeof(bytes))) > 0) {
                struct sockaddr_in address = address_of(&to);

                if (n > BATCH_BYTES_MAX)
                        continue;
                memcpy(batch_place(fd), bytes, n);
                batch_put(n, &address);
        }
}

static void on_datagram(uint8_t *bytes, size_t n, const struct sockaddr_in *from) {
        const struct coap_peer peer = peer_of(from);
        struct session_event event;

        sessions_receive(sessions, now_ms(), &peer, bytes, n);
        while (sessions_event(sessions, now_ms(), &event))
                if (event.type == SESSION_DATA)
                        answer(&event);
        send_rest();
}

static void on_time(void) {
        struct session_event event;

        send_rest();
        while (sessions_event(sessions, now_ms(), &event))
                ;
}

int main(int argc, char **argv) {
        if (argc < 2 || !least_body(argc > 3 ? (size_t)atoi(argv[3]) : 44)) {
                fputs("Usage: secure_node PORT [SECONDS [BYTES [CHAIN.pem KEY.pem ROOTS.pem]]]\n", stderr);
                return 2;
        }
        sessions = owned_sessions(20000, argc > 6 ? certificates_in(argv + 4) : NULL);
        fd = batch_open(argv[1]);
        alarm(argc > 2 ? (unsigned)atoi(argv[2]) : 120);
        for (;;) {
                uint64_t due = sessions_deadline(sessions), now = now_ms();

                batch_receive(fd,
                              due == OCF_NEVER ? 1000
                              : due <= now     ? 0
                                               : (int)ocf_min_u64(due - now, 1000),
                              on_datagram);
                if (due <= now_ms())
                        on_time();
                batch_flush(fd);
        }
}
