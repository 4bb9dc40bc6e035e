/*
 * Everything that a run consists of; no file of the simulator has more.
 *
 *     sim.c         which runs are played, what is printed
 *     world.c       one run: phases, what happens next
 *     scenario.c    what a scenario file wishes
 *     timeline.c    what is still to happen
 *     network.c     datagrams on their way, and their fate
 *     connection.c  streams of bytes, in pieces
 *     node.c        an endpoint with its memory and its time
 *     server.c      the apps behind a node: what is asked of them, and their answers
 *     client.c      what a node asks of others, and what it makes of the answers
 *     stranger.c    clients written by hand, friendly and rude
 *     body.c        bodies that show whose they are, and whether they are whole
 *     invariants.c  what must always hold
 *     conduct.c     how a node behaves towards others, seen from the wire
 *     trace.c       the story, line by line
 */
#ifndef OCF_TESTS_SIM_WORLD_H
#define OCF_TESTS_SIM_WORLD_H

#include "scenario.h"
#include "timeline.h"

#define RESOURCE_OBSERVED 1u
#define RESOURCE_WATCHED  2u

/* Who can be reached: a node or a stranger. */
struct station {
        uint8_t inside[16];  /* its address as it knows it */
        uint8_t outside[16]; /* as the others see it */
        uint32_t index;
        uint8_t generation; /* of its address */
        uint32_t group;     /* only stations of one group hear each other */
        uint64_t asleep_until_ms;
        uint64_t n_bytes_sent, n_bytes_heard;
        bool is_stranger, deaf, mute;
};

struct flight {
        struct coap_peer peer; /* as the one it is for will see it */
        bool multicast;
        size_t n;
        uint8_t bytes[];
};

struct network {
        uint32_t loss, twice, late, mtu, drop; /* drop: the number of the datagram that is lost */
        struct range delay_ms, late_ms;
        uint64_t n_sent;
};

struct node {
        struct station station;
        struct coap_endpoint *ep;
        void *memory;
        size_t n_memory;
        uint64_t random;
        uint64_t wake_ms;    /* for when it is planned */
        uint64_t touched_ms; /* when something last happened to it from outside */
        uint32_t incarnation;
        uint32_t state;                   /* of its observed resources */
        uint32_t n_left[SCENARIO_WISHES]; /* of what the scenario wishes it to ask */
};

/* One request of the run, whoever makes it; its index is its key and travels with it. */
struct ask {
        enum ask_kind kind;
        bool by_stranger, non_confirmable, multicast;
        bool begun, ended, answered, given_up, lost; /* lost: its client was switched off */
        uint32_t client, server, n_up, n_down;       /* n_up, n_down: bytes of its bodies */
        uint32_t shown;   /* the key that its answer shows: its own, but where several fetch one thing */
        uint32_t channel; /* of the connection that it went over; 0: none */
        coap_id id;
        uint64_t begun_ms;
        uint32_t timeout_ms;         /* 0: as the endpoint has it */
        uint32_t n_handled, n_heard; /* n_heard: answers, */
        uint8_t *heard;              /* and how many came from each node, of a multicast */
        uint32_t handled_incarnation;
        uint8_t handled_ip[16];
        uint64_t handled_ms;
        bool observed, was_observed;
        bool on_its_way; /* a CON of it was not acknowledged yet */
        uint16_t mid;    /* of that CON, */
        uint8_t to[16];  /* and where it went */
        uint32_t state;  /* the newest that was shown */
};

enum phase { PHASE_BUSY, PHASE_SETTLING, PHASE_ENDING, PHASE_QUIET };

enum telling { TELL_NOTHING, TELL_ALL, TELL_LAST };

struct world {
        const struct scenario *scenario;
        uint64_t n_run; /* of this process */
        uint64_t seed, random, now_ms;
        enum phase phase;
        bool over;
        struct timeline timeline;
        struct network network;
        struct node *nodes;
        uint32_t n_nodes, n_servers;
        struct stranger *strangers;
        uint32_t n_strangers;
        struct connection *connections;
        uint32_t n_connections, n_connections_max;
        struct ask *asks;
        uint32_t n_asks, n_asks_max;
        uint64_t n_happened;
        const char *broken; /* NULL while all holds */
        char broken_where[96];
        enum telling telling;
        char (*lines)[160]; /* TELL_LAST */
        uint32_t n_lines;
};

/* One run; false when something broke. */
bool world_run(struct world *w, const struct scenario *s, uint64_t seed, enum telling telling);

uint32_t world_draw(struct world *w);
uint32_t world_draw_from(struct world *w, struct range r);
bool world_percent(struct world *w, uint32_t percent);
void world_plan(struct world *w, uint64_t at_ms, enum happening_type type, uint32_t who, uint32_t which,
                void *what);
uint32_t world_new_ask(struct world *w, struct ask ask); /* its key */

#endif
