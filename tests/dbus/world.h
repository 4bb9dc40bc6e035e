/*
 * A private bus, the bus room on it with a real model behind, and clients: all
 * pumped by one thread, so that a test reads as a conversation. The bus is a
 * dbus-daemon that refuses what the system's does, with the policy file that
 * is installed.
 */
#ifndef OCF_TESTS_DBUS_WORLD_H
#define OCF_TESTS_DBUS_WORLD_H

#include "dbus/bus_private.h"
#include "model/remote.h"

#include <sys/types.h>

#define WORLD_CLIENTS_MAX 64
#define OCFD              "org.ocfd"

#define WORLD_JOBS_MAX    600

/* What the daemon would do about other devices: it records what it is asked, and does what the test says. */
struct world_client_side {
        struct remotes *remotes;
        int outcome; /* of what is asked next: 0, BUS_E_* */
        enum fault fault;
        const char *why;
        bool discovering, answers_at_once;

        unsigned n_rounds; /* discover, add_address, refresh */
        uint32_t timeout_ms;
        bus_heard *heard;
        void *heard_context;
        struct uuid heard_device;
        char address[64];
        const char *addresses[4];
        size_t n_addresses;
        unsigned n_forgotten;

        struct uuid device; /* of the last request */
        enum bus_channel_wish wish;
        int accept;
        uint8_t method;
        char path[300], query[64], payload[64];
        size_t n_payload;
        uint64_t timeout_of_request_ms;
        struct ocf_response response; /* what is answered, unless w->holds */

        struct list observers; /* of struct bus_observer */
        size_t n_observers;
        unsigned n_unobserved, n_repeated;
        uint32_t poll_ms;
        struct bus_notification value; /* the newest one */

        struct bus_tool_status tool;
        char asked[512]; /* what the tool was asked, as text */
        unsigned n_started;
        uint32_t next_job; /* the number that is given; 0: done already */
        bool tells_inside; /* of a job, before it returns */
        struct bus_job jobs[WORLD_JOBS_MAX];
        size_t n_jobs;
        unsigned n_cancelled, n_pins;
        uint32_t pin_job;
        char pin[80]; /* "-": none */
};

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
        struct world_client_side net;
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

/* world_client.c */
void world_client_fill(struct world *w); /* w->control.client */
void world_client_free(struct world *w);
/* A device with this name, and resources at "/r1", "/r2" ... that can be observed. Return: its path. */
const char *world_remote(struct world *w, uint8_t id, const char *name, unsigned n_resources);
struct uuid world_id(uint8_t id);
/* Pushes a value, as the network would. */
void world_push(struct world *w, enum bus_mode mode, bool gap, struct span rep);
void world_push_fault(struct world *w, enum fault fault);
/* A job in this state, which is over when it is "done" or "failed"; told. */
void world_job(struct world *w, uint32_t number, const char *state, const char *step);
void world_job_forget(struct world *w, uint32_t number);
/* What org.ocfd tells everybody, and this client, from now on, a word each, such as "Added:/job/1 ". */
struct world_log {
        char text[4096];
};
void world_log(struct world *w, sd_bus *client, struct world_log *log);
bool world_client_work(struct world *w); /* tells what happened to remote devices */

void assert_error(sd_bus_message *reply_take, const char *name, const char *part_of_text);
void assert_fine(sd_bus_message *reply_take);

#endif
