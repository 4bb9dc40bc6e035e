/*
 * Who holds what in the library. One file per thing:
 *
 *     client.c        the loop's side: descriptor, process, wait, state
 *     connection.c    the bus and the daemon on it: there, lost, back
 *     registration.c  resources go to the daemon, as a whole, again and again
 *     publish.c       values go to the daemon, and come back when somebody else sets them
 *     resource.c      what a resource is, and its value
 *     handler.c       requests to answer: calls of the daemon's to Handler1, and their answers
 *     channel.c       the same through a socket, many at a time
 *     target.c        what a URI means, and where that is on the bus
 *     call.c          requests to resources of others
 *     observation.c   what is followed
 *     device.c        other devices on the network: who is there, and what they are
 *     message.c       values in messages; errors as outcomes
 *     value.c, value_rep.c, result.c
 *
 * The functions that a program calls only note what is wanted; everything is
 * sent and called back from client_step(). So a callback may call and free
 * whatever it likes: after it nobody touches what it was about.
 */
#ifndef OCF_CLIENT_PRIVATE_H
#define OCF_CLIENT_PRIVATE_H

#include "base/list.h"
#include "base/memory.h"
#include "ocfclient.h"
#include "value.h"

#include <signal.h>
#include <systemd/sd-bus.h>

#define BUS_NAME            "org.ocfd"
#define BUS_ROOT            "/org/ocfd"
#define BUS_MANAGER         BUS_NAME ".Manager1"
#define BUS_APPLICATION     BUS_NAME ".Application1"
#define BUS_RESOURCE        BUS_NAME ".Resource1"
#define BUS_CLIENT          BUS_NAME ".Client1"
#define BUS_REMOTE          BUS_NAME ".RemoteDevice1"
#define BUS_REMOTE_RESOURCE BUS_NAME ".RemoteResource1"
#define BUS_ERROR           BUS_NAME ".Error."
#define HANDLER_PATH        "/org/ocfclient"
#define RETRY_FIRST_US      100000u  /* of what is tried again: doubled each time ... */
#define RETRY_LAST_US       5000000u /* ... up to this */
#define REFUSED_FIRST_US    1000000u
#define REFUSED_LAST_US     30000000u
#define PUBLISH_N_MAX       (64u * 1024) /* bytes; the daemon has the same limit */

enum daemon { DAEMON_UNKNOWN, DAEMON_ABSENT, DAEMON_PRESENT };

struct ocf_client {
        char *address, *name, *device;
        uint64_t linger_ms, timeout_ms; /* timeout_ms 0: as is usual for what is asked */

        /* the loop */
        int epoll_fd, timer_fd, polled_fd;
        uint32_t polled_events;
        unsigned depth; /* inside process() */
        bool is_dirty;  /* something is to be done at once */
        bool is_dead;   /* freed in a callback */
        volatile sig_atomic_t is_stopped;

        /* the bus */
        sd_bus *bus; /* NULL: none, see retry_us */
        sd_bus_slot *get_owner;
        int bus_error;    /* why the bus is to be dropped, or why there is none; 0: no trouble */
        bool was_reached; /* since the last failure */
        uint64_t retry_us;
        unsigned n_failures;
        enum daemon daemon;
        char *owner; /* its unique name */

        /* registration */
        struct list resources;
        sd_bus_slot *registering, *unregistering;
        char *application; /* object path; NULL: we have none */
        char **leaving;    /* hrefs to take back */
        size_t n_leaving;
        unsigned n_batches;
        char *refusal; /* the last one's sentence */
        int refusal_result;

        /* the channel */
        int channel_fd;         /* -1: none */
        bool channel_was_asked; /* in this registration; or it was switched off */
        bool channel_is_full;
        uint32_t channel_events;
        sd_bus_slot *acquiring;
        struct list answers; /* struct channel_answer, not sent yet */
        uint8_t *channel_in, *channel_out;

        struct early
                *early; /* Updated of resources whose path we do not know yet: the last one of each path */
        size_t n_early, n_looking_up;

        struct list requests, calls, observations, searches;
        uint64_t delivery;
        uint64_t channel_number;

        /* state */
        ocf_state_fn on_state;
        void *on_state_data;
        enum ocf_state state;
        int result;
        char *text, *told_text, *wait_text;
        enum ocf_state told_state;
        int told_result;
};

struct early {
        sd_bus_message *message;
};

enum resource_phase { RESOURCE_NEW, RESOURCE_WANTED, RESOURCE_SENT, RESOURCE_REGISTERED };

struct handler {
        ocf_request_fn fn;
        void *userdata;
};

struct ocf_resource {
        struct list link;
        struct ocf_client *client;
        enum resource_phase phase;
        char *href, *name;
        char **types, **interfaces;
        size_t n_types, n_interfaces;
        unsigned policy;
        struct handler handlers[OCF_DELETE + 1];
        ocf_updated_fn updated;
        void *updated_data;
        unsigned batch;    /* what was first registered together stays together; 0: not yet */
        bool was_accepted; /* such ones go first, in one call, when all is registered again */
        unsigned n_refusals;
        uint64_t register_us;                 /* not before */
        struct ocf_value *value;              /* with all that was published; never NULL */
        struct ocf_value *unsent, *in_flight; /* keys on their way; NULL: none */
        bool is_changed;
        sd_bus_slot *publishing; /* Publish or Changed */
        char *path;              /* its Resource1, of published ones */
        sd_bus_slot *looking_up;
        uint64_t look_up_us; /* not before */
};

struct ocf_request {
        struct list link;
        struct ocf_client *client; /* NULL: it is gone */
        sd_bus_message *message;   /* NULL: it came through the channel */
        uint64_t id;               /* there */
        uint64_t channel_number;   /* of which channel: a later one knows nothing of it */
        enum ocf_method method;
        const char *href; /* these point into the message, or behind this struct */
        const char *interface_name, *query, *device_id;
        struct ocf_value *value;
        bool notify;
};

/* A resource, and what is asked of it. */
struct target {
        char *device; /* as a person or a program names it; NULL: one of this machine */
        char *href, *query;
};

struct call {
        struct list link;
        struct ocf_client *client;
        enum ocf_method method;
        struct target target;
        struct span payload; /* normal form; data NULL: none */
        ocf_answer_fn fn;
        void *userdata;
        uint64_t due_us;
        sd_bus_slot *slot; /* NULL: not sent yet */
};

enum observation_phase { OBSERVATION_IDLE, OBSERVATION_ASKING, OBSERVATION_FOLLOWING };

struct ocf_observation {
        struct list link;
        struct ocf_client *client;
        enum observation_phase phase;
        struct target target;
        char *path; /* of what Observe is asked of; of its device, while that is looked up */
        ocf_answer_fn fn;
        void *userdata;
        sd_bus_slot *slot;
        uint64_t retry_us;
        unsigned n_failures;
        uint64_t n_missed;
        bool is_refreshed; /* its device was asked what it has, since it was followed last */
        bool is_told;
        int told;          /* the last result */
        uint64_t delivery; /* the last one that it had its turn in */
};

/* client.c */
uint64_t client_now_us(void);                /* CLOCK_MONOTONIC */
void client_wake(struct ocf_client *c);      /* process() has something to do */
void client_set_state(struct ocf_client *c); /* finds out which it is */

uint64_t retry_after(unsigned n_failures, uint64_t first_us, uint64_t last_us);

/* Each step: whether something was done. Each due: when the next one is, CLOCK_MONOTONIC. */

/* connection.c */
bool connection_step(struct ocf_client *c, uint64_t now_us);
uint64_t connection_due(const struct ocf_client *c);
void connection_close(struct ocf_client *c);
/* In a callback of sd-bus: the connection is of no use, and dropped and made anew a little later. That is
 * also what happens when memory runs out in the middle of something. */
void connection_fail(struct ocf_client *c, int error);
bool connection_is_from_daemon(const struct ocf_client *c, sd_bus_message *m);

/* registration.c */
bool registration_step(struct ocf_client *c, uint64_t now_us);
uint64_t registration_due(const struct ocf_client *c);
void registration_lost(struct ocf_client *c); /* the daemon or the bus is gone */
void registration_end(struct ocf_client *c);  /* says goodbye, so that nothing lingers */
void registration_leave(struct ocf_client *c, struct ocf_resource *r);
void registration_refused(struct ocf_resource *r, int result,
                          const char *text); /* it is to be registered anew, later */
struct ocf_resource *registration_by_href(const struct ocf_client *c, const char *href);

/* publish.c. step: 1, 0, negative errno. */
int publish_step(struct ocf_client *c, uint64_t now_us);
bool publish_wants_path(const struct ocf_resource *r);
void publish_on_updated(struct ocf_client *c, sd_bus_message *m);
void publish_lost(struct ocf_client *c);

/* resource.c */
bool resource_is_handled(const struct ocf_resource *r);
void resource_session_lost(struct ocf_resource *r);
/* What the daemon says is the value now, with what is still on its way laid over it. */
int resource_take_value(struct ocf_resource *r, struct ocf_value *value_take);
int value_merge(struct ocf_value *base, const struct ocf_value *update);

/* handler.c */
int handler_on_call(sd_bus_message *m, void *userdata, sd_bus_error *error);
int handler_export(struct ocf_client *c);
void request_orphan(struct ocf_request *q);
void request_free(struct ocf_request *q);

void handler_serve(struct ocf_client *c, struct ocf_request *q); /* to the program; q may be gone then */

/* channel.c */
bool channel_step(struct ocf_client *c);
int channel_poll(struct ocf_client *c);  /* watches it behind the client's descriptor; negative errno */
void channel_lost(struct ocf_client *c); /* the daemon or the bus is gone */
void channel_close(struct ocf_client *c);
/* The answer to a request that came through it. value NULL: without. Return: 0; -EINVAL; -ENOMEM. */
int channel_respond(struct ocf_request *q, const struct ocf_value *value);
int channel_fail(struct ocf_request *q, const char *name, const char *text);

/* call.c */
bool call_step(struct ocf_client *c, uint64_t now_us);
uint64_t call_due(const struct ocf_client *c);
void call_lost(struct ocf_client *c);
void call_cancel_all(struct ocf_client *c);

/* target.c */
/* t is empty; what is in it afterwards is cleared by the caller, also on failure. Return: 0; -EINVAL;
 * -ENOMEM. */
int target_parse(struct target *t, const char *uri);
void target_clear(struct target *t);
bool target_is_same_resource(const struct target *a, const struct target *b);
bool target_is_same_query(const struct target *a, const struct target *b);
/* Asks for its object: a Resource1, or the RemoteDevice1 that has it. */
int target_find(struct ocf_client *c, sd_bus_slot **slot, const struct target *t, sd_bus_message_handler_t fn,
                void *userdata);
/* Asks for all objects; and the RemoteResource1 in that answer, *ret points into it. Return: 0; -ENOENT;
 * -EBADMSG. */
int target_list(struct ocf_client *c, sd_bus_slot **slot, sd_bus_message_handler_t fn, void *userdata);
int target_in_list(sd_bus_message *m, const char *device_path, const char *href, const char **ret);

/* device.c */
bool search_step(struct ocf_client *c);
void search_lost(struct ocf_client *c);
void search_cancel_all(struct ocf_client *c);

/* observation.c */
bool observation_step(struct ocf_client *c, uint64_t now_us);
uint64_t observation_due(const struct ocf_client *c);
void observation_lost(struct ocf_client *c);
void observation_on_notified(struct ocf_client *c, sd_bus_message *m);

/* message.c */
/* Values of a message that has come. skip: the signature of what stands in front; read_map: an a{sv};
 * read_entry: the value of a key of an a{sv}. Return: 0; -EBADMSG; -EMSGSIZE; -ENOENT (no such key); -ENOMEM.
 */
int message_read_value(sd_bus_message *m, const char *skip, struct ocf_value **ret);
int message_read_map(sd_bus_message *m, const char *skip, struct ocf_value **ret);
int message_read_entry(sd_bus_message *m, const char *skip, const char *key, struct ocf_value **ret);
/* Goes to the v of a key of an a{sv}. Return: 0; -ENOENT; -EBADMSG. */
int message_find(sd_bus_message *m, const char *skip, const char *key);
int message_append_value(sd_bus_message *m, const struct ocf_value *v);
int message_append_rep(sd_bus_message *m, struct span rep);
int message_append_map(sd_bus_message *m, const struct ocf_value *v); /* -EINVAL: not a map */
/* A method call of the daemon's at path. */
int message_new(struct ocf_client *c, sd_bus_message **ret, const char *path, const char *interface_name,
                const char *member);
/* An error as OCF_E_*, with its sentence, which stays valid as long as the error. */
int message_result(const struct ocf_client *c, const sd_bus_error *e, const char **ret_text);
const char *message_absent_text(const struct ocf_client *c, char *buf, size_t n_buf); /* there is no daemon */

#define SENTENCE_MAX 512

#endif
