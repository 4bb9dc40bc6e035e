/*
 * A host with a network of its own, and another host at the far end of a cable.
 *
 * Each test has namespaces that nobody else sees. Sockets of the far host are
 * made by far_socket(); net's own live in a loop that world_turn() turns. What
 * net told is kept, in order, to be looked at.
 */
#ifndef OCF_TESTS_NET_WORLD_H
#define OCF_TESTS_NET_WORLD_H

#include "../unit.h"

#include "daemon/net.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/types.h>

#define WORLD_PATIENCE_MS 5000

struct told_datagram {
        struct coap_peer peer;
        bool multicast, on_link, secure;
        size_t n;
        uint8_t bytes[2600]; /* as much as fits */
};

struct told_lost {
        bool whole; /* the interface */
        uint8_t ip[16];
        uint32_t interface;
};

struct message {
        struct coap_peer to;
        size_t n;
        uint8_t bytes[2600];
};

/* What was told of connections, in order. */
struct told_stream {
        enum { STREAM_OPEN = 1, STREAM_CLOSED, STREAM_CONNECTED } what;
        struct coap_peer peer;
        bool secure;
        int error; /* of STREAM_CONNECTED */
};

struct world {
        uv_loop_t loop;
        struct net *net;
        int home, far; /* network namespaces */
        bool echoes;   /* answers what it is told */
        struct told_datagram datagrams[256];
        size_t n_datagrams;
        struct told_lost lost[64];
        size_t n_lost, n_changed;
        char port_taken[512], no_multicast[512], no_tcp[512], no_tls[512]; /* notices; "": none */
        struct message out[64];
        size_t n_out;
        bool tcp;                          /* before world_open(): listens for connections, too */
        bool secure;                       /* likewise: has secure ports */
        uint32_t renew_ms;                 /* likewise: how often groups are joined anew */
        bool refuses;                      /* connections */
        size_t n_takes;                    /* of bytes, at most; 0: all */
        bool (*has_room)(struct world *w); /* whether any are taken; NULL: always */
        struct told_stream streams[4096];
        size_t n_streams;
        uint8_t bytes[1 << 20]; /* that came over connections */
        size_t n_bytes;
        pid_t child; /* somebody else on our host */
};

/* Once, at the start of main(): 77 when this machine allows no namespaces (said on stderr), else 0. */
int world_enter(void);

/* For cmocka: *state is a struct world with two hosts and no cable. */
int world_setup(void **state);
int world_teardown(void **state);

void run(const char *format, ...) OCF_PRINTF(1, 2); /* a shell on our host; fails the test when it fails */
void run_far(struct world *w, const char *format, ...) OCF_PRINTF(2, 3); /* on the other one */
/* A veth to "far-NAME", both up, no IPv4 yet; more: of our end, "index 77". */
void world_cable(struct world *w, const char *name);
void world_cable_with(struct world *w, const char *name, const char *more);

/* globs: of Interfaces=, ended by NULL; none: NULL. */
void world_open(struct world *w, const char *const *allow, const char *const *deny);
void world_start(struct world *w); /* the first look; opens eth* and one device on 5683 if nothing is open */
struct net_ports world_ports(struct world *w, uint16_t device, const struct net_ports *wanted);
uint16_t world_device(struct world *w, uint16_t device, uint16_t wanted);

void world_turn(struct world *w);
void world_rest(struct world *w, unsigned ms);
uint64_t world_now_ms(void);

/* Turns the loop until the condition holds, and fails the test when it does not come to. */
#define UNTIL(w, condition)                                                                                  \
        do {                                                                                                 \
                uint64_t until_ms_ = world_now_ms() + WORLD_PATIENCE_MS;                                     \
                while (!(condition)) {                                                                       \
                        if (world_now_ms() > until_ms_)                                                      \
                                fail_msg("it never came to: %s", #condition);                                \
                        world_turn(w);                                                                       \
                }                                                                                            \
        } while (0)

/* Addresses as text: "192.0.2.1", "fe80::1". */
void ip_of(const char *text, uint8_t ret[static 16]);
bool ip_is(const uint8_t ip[static 16], const char *text);
bool has_endpoint(struct world *w, uint16_t device, const char *ip);
bool has_lost(const struct world *w, const char *ip);                           /* NULL: a whole interface */
const struct net_interface *interface_named(struct world *w, const char *name); /* NULL: there is none */

/* Sockets, non-blocking, bound to a port of their own. */
int far_socket(struct world *w, int family);
int home_socket(int family, bool reuse, uint16_t port); /* the descriptor, or negative errno */
uint16_t socket_port(int fd);

/* Connected by TCP, non-blocking; negative errno. From our own host, and from the far one. */
int home_stream(const char *ip, uint16_t port);
int far_stream(struct world *w, const char *from, const char *ip, uint16_t port, uint32_t interface);

/* What the other end of a stream sees: how many bytes it reads now; 0: none; -1: the end; -ECONNRESET. */
ssize_t stream_read(int fd, void *buf, size_t n);
bool try_send(int fd, const char *ip, uint16_t port, uint32_t interface, const void *data, size_t n);
void send_to(int fd, const char *ip, uint16_t port, uint32_t interface, const void *data, size_t n);
size_t receive_from(int fd, uint8_t ret_ip[static 16], uint16_t *ret_port, void *buf, size_t n); /* 0: none */
uint32_t far_index(struct world *w, const char *name);

/* Another process of ours binds this port, and stays till world_teardown() or release(). */
void occupy(struct world *w, int family, bool reuse, uint16_t port);
void release(struct world *w);

#endif
