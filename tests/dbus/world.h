/*
 * A private bus, the bus room on it with a real model behind, and clients: all
 * pumped by one thread, so that a test reads as a conversation. The bus is a
 * dbus-daemon that refuses what the system's does, with the policy file that
 * is installed.
 */
#ifndef OCF_TESTS_DBUS_WORLD_H
#define OCF_TESTS_DBUS_WORLD_H

#include "dbus/bus_private.h"

#include <sys/types.h>

#define WORLD_CLIENTS_MAX 64
#define OCFD              "org.ocfd"

struct world {
        char directory[64], address[128];
        pid_t daemon;
        struct model *model;
        struct bus_control control;
        struct bus *bus;
        sd_bus *clients[WORLD_CLIENTS_MAX]; /* NULL: closed, or does not read */
        size_t n_clients;
        bool holds;        /* requests are kept in held instead of being answered */
        struct list held;  /* of struct call */
        bool refuses_apps; /* as apps.d would */
        bool refuses_channels;
        unsigned n_channels; /* that are open */
        unsigned n_lost, n_vanished;
        uint64_t notices;
        enum bus_admin admin;              /* what every caller is */
        struct bus_security_status status; /* of the device */
        const char *reset_is_refused;      /* why */
        unsigned n_resets, n_stored;       /* what was done */
        bus_store_done *store_done;        /* of the work under way */
        void *store_context;
        enum bus_store_work store_work;
        int store_fd;
};

bool world_has_bus(void); /* false: there is no dbus-daemon, and the test is skipped */

int world_setup(void **state); /* as cmocka wants it: *state is a struct world */
int world_teardown(void **state);
void world_bus_start(struct world *w);
void world_bus_kill(struct world *w);

sd_bus *world_client(struct world *w);                    /* pumped with all others */
void world_client_close(struct world *w, sd_bus *client); /* as if it had died */
void world_deaf(struct world *w, sd_bus *client);         /* is not pumped any more, so it stops reading */
void world_listen(struct world *w, sd_bus *client);       /* and again */

void world_turn(struct world *w);
bool world_expired(uint64_t *deadline_us); /* the first call sets it, to some seconds */

/* Turns until the condition holds, or fails the test. */
#define WORLD_UNTIL(w, condition)                                                                            \
        do {                                                                                                 \
                uint64_t deadline_ = 0;                                                                      \
                                                                                                             \
                while (!(condition)) {                                                                       \
                        if (world_expired(&deadline_))                                                       \
                                fail_msg("in vain: %s", #condition);                                         \
                        world_turn(w);                                                                       \
                }                                                                                            \
        } while (0)

/* Turns until nothing has happened for a while. */
void world_settle(struct world *w);

/* Calls org.ocfd and turns until the answer is there, which may be an error. */
sd_bus_message *world_call(struct world *w, sd_bus *client, const char *path, const char *interface,
                           const char *member, const char *types, ...);
sd_bus_message *world_ask(struct world *w, sd_bus *client, sd_bus_message *m_take);
sd_bus_message *world_message(sd_bus *client, const char *path, const char *interface, const char *member);

/* A registration of one or more resources: begin, then for each a resource with properties as
 * sd_bus_message_append() takes them ("a{sv}"), then ask. */
sd_bus_message *world_registration(sd_bus *client);
void world_add(sd_bus_message *m, const char *href, const char *types, ...);
sd_bus_message *world_register(struct world *w, sd_bus *client, sd_bus_message *m_take, const char *types,
                               ...);

/* A published lamp at href with {"value": false}; what it returns is the path of its Application1. */
const char *world_publish_lamp(struct world *w, sd_bus *client, const char *href);
const char *world_path_of(struct world *w, const char *href); /* of its Resource1 */

void assert_error(sd_bus_message *reply_take, const char *name, const char *part_of_text);
void assert_fine(sd_bus_message *reply_take);

#endif
