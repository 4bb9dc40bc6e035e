/*
 * Thousands of clients out of a few sockets.
 *
 * Each client has an address of its own out of 127.0.0.0/8, which Linux lets
 * anybody send from; a few dozen sockets share the work, so that what comes for
 * ten thousand clients at once finds room in their buffers.
 */
#ifndef OCF_BENCH_CROWD_H
#define OCF_BENCH_CROWD_H

#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CROWD_SOCKETS     64
#define CROWD_CLIENTS_MAX 60000

struct crowd {
        struct pollfd sockets[CROWD_SOCKETS];
        struct sockaddr_in server;
        int n_clients;
        uint32_t first_address; /* of client 0 */
};

/* net: the second byte of the clients' addresses, so that crowds do not mix. */
void crowd_open(struct crowd *c, const struct sockaddr_in *server, int n_clients, int net);
void crowd_send(struct crowd *c, int client, const void *message, size_t n);

typedef void (*crowd_fn)(void *context, int client, const uint8_t *message, size_t n);

/* Takes what is there, after a wait of at most timeout_ms. Return: how many messages. */
int crowd_receive(struct crowd *c, int timeout_ms, crowd_fn fn, void *context);

#endif
