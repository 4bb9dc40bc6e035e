/*
 * Who holds what in the bus room. One file per object:
 *
 *     bus.c              the connection: made, kept, lost, made again
 *     bus_client.c       who is on the other side: credentials, and when they go
 *     bus_reader.c       whether they read what they are sent
 *     bus_manager.c      Manager1        bus_device.c       Device1
 *     bus_application.c  Application1    bus_resource.c     Resource1
 *     bus_register.c     what a registration says
 *     bus_handler.c      calls to Handler1         bus_answer.c  what comes back
 *     bus_update.c       Updated, to those who published
 *     bus_request.c      requests of local apps
 *     bus_subscriber.c   local observers
 *     bus_security.c     Security1      bus_store.c        Store1
 *     bus_agent.c        Agent1, of those who show a PIN or ask for one (bus_pin.c)
 *     bus_network.c      Client1        bus_remote_path.c  paths of what others have
 *     bus_remote_device.c  RemoteDevice1           bus_remote_resource.c  RemoteResource1
 *     bus_remote_list.c  which of them are listed
 *     bus_remote_told.c  what was told of each device on the network
 *     bus_observer.c     those who follow a resource of another device
 *     bus_tool.c         OnboardingTool1           bus_tool_arguments.c   what its calls say
 *     bus_job.c          Job1           bus_told.c         what was told of properties
 *     bus_authority.c    who may administer: polkit, or without it root and a group
 *     bus_fault.c        faults as D-Bus errors
 */
#ifndef OCF_DBUS_BUS_PRIVATE_H
#define OCF_DBUS_BUS_PRIVATE_H

#include "base/list.h"
#include "dbus/bus.h"
#include "dbus/value.h"

#include <systemd/sd-bus.h>

#define BUS_NAME               "org.ocfd"
#define BUS_ROOT               "/org/ocfd"
#define BUS_DEVICES            BUS_ROOT "/device"
#define BUS_APPS               BUS_ROOT "/app"
#define BUS_RESOURCES          BUS_ROOT "/resource"
#define BUS_REMOTES            BUS_ROOT "/remote"
#define BUS_JOBS               BUS_ROOT "/job"
#define BUS_PATH_MAX           80
#define BUS_VALUE_MAX          (1024u * 1024) /* of one value, as normal form */

#define CLIENT_WAITING_MAX     64   /* messages that wait for the credentials of their sender */
#define CLIENT_REQUESTS_MAX    256  /* requests of one connection under way */
#define CLIENT_SUBSCRIBERS_MAX 1024 /* observations of one connection */
#define CLIENT_CALLS_MAX       256  /* calls to one app's handlers, waiting for their turn or an answer */
#define CLIENT_WINDOW          16   /* signals to one connection without proof that it reads */
#define UID_REQUESTS_MAX       1024 /* requests of one user under way */
#define UID_BYTES_MAX          (32u * 1024 * 1024) /* of the values in them */
#define UID_JOBS_MAX           256                 /* jobs of one user that are not over */
#define CLIENT_ROUNDS_MAX      8                   /* rounds of discovery that one connection waits for */

/* Replies that we wait for at once; together below the 128 of dbus-daemon's max_replies_per_connection. */
#define CALLS_SENT_MAX    80 /* from handlers */
#define UID_SENT_MAX      64 /* from those of one user */
#define CLIENT_SENT_SHARE 16 /* from those of one app, when others want theirs */
#define CLIENT_OWED_MAX   8  /* answers past their time, until it is asked nothing more */
#define PINGS_MAX         24 /* from those who have yet to prove that they read */
#define UID_PINGS_MAX     8
#define PINS_ASKED_MAX    16 /* from agents, who ask a person */
#define QUESTIONS_MAX     6  /* from polkit, which may be waiting for a password */
#define UID_QUESTIONS_MAX 3

#define AGENTS_MAX        16
#define UID_AGENTS_MAX    4

struct bus_security_told; /* what was told of a device: bus_security.c */

/* bus_told.c: what was told of properties, so that only what is different is told again */
#define BUS_TOLD_MAX 10
struct bus_told {
        uint64_t digests[BUS_TOLD_MAX];
};

struct bus {
        const struct bus_control *control;
        char *address, *wanted; /* what to connect to, and how it was named */
        sd_bus *bus;            /* NULL while waiting */
        enum bus_state state;
        int last_error;
        uint64_t retry_us; /* CLOCK_MONOTONIC; when waiting */
        uint64_t pause_us; /* while the bus takes little from us: when sd-bus has its next turn; 0: it takes
                              all */
        uint64_t stalled_us, n_congested; /* when it is given up, unless it takes of so many */
        unsigned n_failures;
        bool name_is_ours, broken; /* broken: the connection is to be dropped */
        struct list clients;
        struct list requests; /* of local apps, under way */
        struct list calls;    /* to handlers: waiting for their turn, sent, or owed */
        size_t n_calls_sent, n_calls_queued;
        uint64_t calls_due_us; /* CLOCK_MONOTONIC; when to look at their deadlines; 0: at once */
        bool is_dispatching;
        const struct bus_client *asking; /* whose request is on its way in */
        uint8_t *scratch;                /* BUS_VALUE_MAX bytes for values that are read */
        struct list agents, questions;   /* who shows PINs; what polkit was asked */
        size_t n_agents, n_questions;
        uint64_t n_asked;               /* questions to polkit, ever */
        struct bus_security_told *told; /* n_told of them */
        size_t n_told;
        struct list jobs;     /* that were told of */
        bool is_starting_job; /* nobody is told of it before the one who started it */
        struct list pins;     /* agents who were asked for one */
        size_t n_pins;
        uint64_t pins_due_us; /* as calls_due_us */
        struct list rounds;   /* callers who wait for devices to be heard */
        struct list observed; /* remote resources that are followed */
        struct bus_told tool_told, network_told;
        struct list told_devices[256]; /* on the network */
};

/* A connection on the bus that has called us. Kept until it leaves. */
struct bus_client {
        struct list link;
        struct bus *bus;
        char *name, *unit;
        struct bus_caller caller;
        bool is_known;       /* the bus has said who it is */
        struct list waiting; /* its messages, until then */
        bool is_gone;        /* it is being forgotten: nothing is sent to it any more */
        size_t n_waiting, n_requests, n_calls, n_sent, n_owed, n_subscribers, n_questions, n_rounds,
                n_observers;
        size_t n_bytes; /* of values in its requests */
        struct list subscribers, observers, handlers, updates;
        struct list queue;       /* calls to its handlers that wait for their turn */
        struct channel *channel; /* for its handlers, beside the bus; NULL: none */
        sd_bus_slot *match, *credentials, *ping;
        unsigned n_unproven; /* signals since it last answered a ping */
        bool wants_ping;     /* but others have to answer theirs first */
        size_t n_unread;     /* bytes that it may not have read yet, at most */
        size_t n_unread_at_ping, n_refused_unread;
        enum {
                DESCRIPTOR_NONE,
                DESCRIPTOR_SENT,
                DESCRIPTOR_PINGED
        } descriptor; /* that it may not have read */
};

typedef int (*bus_method)(struct bus *b, struct bus_client *client, sd_bus_message *m);

/* bus_client.c */
int bus_client_method(struct bus *b, sd_bus_message *m,
                      bus_method method); /* calls it as soon as the caller is known */
void bus_clients_drop(struct bus *b);     /* the bus is lost */
int bus_clients_watch(struct bus *b);     /* of this connection to the bus */
bool bus_client_may_observe(const struct bus_client *c);
bool bus_client_may_request(const struct bus_client *c,
                            size_t n_bytes); /* or its user has enough under way */

/* bus_reader.c */
bool bus_client_may_signal(struct bus_client *c);               /* and counts one */
void bus_client_was_sent(struct bus_client *c, size_t n_value); /* bytes of a value in normal form */
int bus_client_takes(struct bus_client *c, sd_bus_message *m);  /* 0: go on; 1: it is refused */
bool bus_client_may_take_descriptor(struct bus_client *c);
void bus_client_was_sent_descriptor(struct bus_client *c);
void bus_ping_next(struct bus *b); /* somebody has answered, or left */

/* bus_fault.c: a sentence may repeat what somebody said, cut anywhere; the bus takes no halves of characters
 */
#define BUS_SENTENCE_MAX 1024
const char *bus_sentence(char buf[static BUS_SENTENCE_MAX], const char *text); /* returns buf */
/* All return 0, or a negative errno of sd-bus. */
int bus_reply_fault(sd_bus_message *m, enum fault fault, const char *text);
int bus_reply_refusal(sd_bus_message *m, const struct model_refusal *refusal);
int bus_reply_invalid(sd_bus_message *m, const char *format, ...) OCF_PRINTF(2, 3);
enum fault bus_fault_of_error(const sd_bus_error *e);

/* Paths. */
const char *bus_path(char buf[static BUS_PATH_MAX], const char *parent, uint64_t number);
bool bus_path_number(const char *path, const char *parent, uint64_t *ret);
int bus_nodes_free(char **nodes); /* of an enumerator that ran out of memory; returns -ENOMEM */

/* bus_remote_path.c: "/org/ocfd/remote/UUID" with '_' for '-', and "/N" behind it */
const char *bus_remote_path(char buf[static BUS_PATH_MAX], const struct uuid *id);
const char *bus_remote_resource_path(char buf[static BUS_PATH_MAX], const struct uuid *id, uint32_t number);
bool bus_remote_parse(const char *path, struct uuid *ret_id, uint32_t *ret_number); /* number 0: the device */
/* Of a device on the network, or of one of ours. */
const char *bus_any_device_path(const struct bus *b, char buf[static BUS_PATH_MAX], const struct uuid *id);
bool bus_any_device_parse(const struct bus *b, const char *path, struct uuid *ret);
int bus_append_devices(const struct bus *b, sd_bus_message *m, const struct uuid *ids, size_t n); /* ao */

/* bus_told.c */
void bus_told_text(struct bus_told *t, size_t property,
                   const char *text); /* of a list: one after the other */
void bus_told_number(struct bus_told *t, size_t property, uint64_t number);
/* names: of the properties, NULL ends them. */
void bus_tell_different(struct bus *b, const char *path, const char *interface, const char *const *names,
                        struct bus_told *told, const struct bus_told *now);

/* The objects: vtables on b->bus; slots float. */
int bus_manager_add(struct bus *b);
int bus_device_add(struct bus *b);
int bus_application_add(struct bus *b);
int bus_resource_add(struct bus *b);
int bus_security_add(struct bus *b);
int bus_store_add(struct bus *b);
int bus_network_add(struct bus *b);
int bus_remote_add(struct bus *b);
int bus_tool_add(struct bus *b);
int bus_job_add(struct bus *b);
void bus_manager_tell(struct bus *b);
void bus_device_tell(struct bus *b, const struct device *d, unsigned news);
void bus_application_tell(struct bus *b, const struct app *a, unsigned news);
void bus_resource_tell(struct bus *b, struct resource *r, unsigned news);

/* bus_device.c: the device at a path, or NULL */
struct device *bus_device_at(const struct bus *b, const char *path);

/* bus_security.c: tells what is different since it was told last. */
void bus_security_tell(struct bus *b);
void bus_security_free(struct bus *b);

/* bus_authority.c: calls method when the sender may do that, now or when polkit has said so; else the sender
 * is told why not. Nothing of m was read yet. */
int bus_if_authorized(struct bus *b, struct bus_client *client, sd_bus_message *m, const char *action,
                      bus_method method);
void bus_questions_drop(struct bus_client *client); /* it left: nobody needs the answers */

bool bus_is_ready(const struct bus *b); /* bus.c: somebody can be told something */

/* bus_job.c */
bool bus_job_may_start(const struct bus *b, const struct bus_client *client); /* or its user has too many */
/* asked: answered when it is over; NULL: none. */
int bus_job_started(struct bus *b, const struct bus_client *client, uint32_t number, sd_bus_message *asked);
void bus_jobs_drop(struct bus *b); /* the bus is lost */

/* bus_network.c: callers who wait until devices were heard */
struct bus_round;
int bus_round_new(struct bus *b, struct bus_client *client, sd_bus_message *m, bool gives_devices,
                  struct bus_round **ret); /* 0; 1 when it was refused; negative errno */
bus_heard bus_round_done;
/* What the control said to it: a refusal is replied, and it is freed. */
int bus_round_begun(struct bus_round *round, int outcome, enum fault refusal, const char *why);
void bus_rounds_orphan(struct bus *b, struct bus_client *client); /* it left; NULL: all */

/* bus_remote_list.c */
int bus_remote_list_add(struct bus *b);
size_t bus_remote_cost(const struct bus *b); /* bytes of what there is to list */

/* bus_remote_told.c: what was told of each device */
struct remote_device;
void bus_remote_told_init(struct bus *b);
void bus_remote_told_drop(struct bus *b); /* the bus is lost */
void bus_remote_told_added(struct bus *b, const struct remote_device *d);
void bus_remote_told_removed(struct bus *b, const struct uuid *id);
bool bus_remote_tell_different(struct bus *b, const struct remote_device *d,
                               const char *path); /* false: that is not known, and nothing was told */

/* bus_remote_resource.c */
struct remote_event;
int bus_remote_resource_add(struct bus *b);
const char *bus_mode_name(enum bus_mode mode);
void bus_remote_resource_tell(struct bus *b, const struct remote_event *event);

/* bus_observer.c */
int bus_observe(struct bus *b, struct bus_client *client, sd_bus_message *m);
int bus_stop_observing(struct bus *b, struct bus_client *client, sd_bus_message *m);
void bus_observers_flush(struct bus_client *c);
void bus_observers_drop(struct bus_client *c);

/* bus_tool_arguments.c: of one call. Return: 0; 1 when an error was replied; negative errno. */
struct bus_tool_arguments {
        struct bus_tool_request request;
        const char *texts[65];
};
int bus_tool_read(const struct bus *b, sd_bus_message *m, struct bus_tool_arguments *ret);

/* bus_pin.c: agents who are asked for a PIN */
void bus_pins_end(struct bus *b, uint32_t job); /* nobody waits for it any more */
void bus_pins_expire(struct bus *b, uint64_t now_us);
void bus_pins_drop(struct bus_client *client, const char *agent); /* NULL: all that it has */
void bus_pins_free(struct bus *b);

/* bus_agent.c */
struct bus_agent {
        struct list link;
        struct bus_client *client;
        char *path;
};
int bus_register_agent(struct bus *b, struct bus_client *client, sd_bus_message *m);
int bus_unregister_agent(struct bus *b, struct bus_client *client, sd_bus_message *m);
void bus_agents_drop(struct bus_client *client);

/* bus_register.c */
int bus_register(struct bus *b, struct bus_client *client, sd_bus_message *m);

/* bus_handler.c: a handler behind the bus; object NULL: values are published, it is only told of updates. */
int bus_handler_obtain(struct bus_client *client, const char *object, struct handler **ret);
void bus_handlers_unused(struct bus_client *client); /* frees those that the model did not take */
void bus_handlers_lost(struct bus_client *client);   /* it left; calls under way are answered */
void bus_channel_close(struct bus_client *client);   /* likewise those on its channel */
void bus_calls_expire(struct bus *b, uint64_t now_us);
int bus_append_subject(sd_bus_message *m, const struct subject *s);

/* bus_answer.c: the answer that m is, which may be an error; good until the scratch is used again. */
void bus_answer_read(struct bus *b, sd_bus_message *m, const struct call *call, struct ocf_response *ret);

/* bus_update.c */
void bus_updates_tell(struct bus_client *c, const struct resource *resource, const struct ocf_request *cause);
void bus_updates_flush(struct bus_client *c); /* the window is open again */
void bus_updates_drop(struct bus_client *c);

/* bus_request.c */
void bus_requests_orphan(struct bus *b,
                         struct bus_client *client); /* it left: nobody counts its requests any more */
enum bus_answer_kind { BUS_ANSWER_VALUE, BUS_ANSWER_INFO };

/* Where it goes: to a resource of ours, or to a path of another device. */
struct bus_target {
        const struct resource *resource; /* NULL: of another device */
        struct uuid device;
        const char *href;
};

/* Which options there may be. */
enum bus_options_kind {
        BUS_OPTIONS_LOCAL,
        BUS_OPTIONS_REMOTE,
        BUS_OPTIONS_OBSERVE_REMOTE,
        BUS_OPTIONS_ROUND
};

struct bus_options {
        char *query; /* with the interface in it */
        uint32_t timeout_ms, poll_ms;
        enum bus_channel_wish wish;
        int accept;
};
/* The message stands at an a{sv}. Return: 0, and ret->query is the caller's; 1 when something was wrong and
 * the caller has been told; negative errno. */
int bus_request_read_options(sd_bus_message *m, enum bus_options_kind kind, const char *interface,
                             struct bus_options *ret);

/* The message stands at its options, and is replied to. payload data NULL: none. */
int bus_request_from_message(struct bus *b, struct bus_client *client, sd_bus_message *m,
                             const struct bus_target *target, uint8_t method, const char *interface,
                             struct span payload, enum bus_answer_kind kind);
/* POST; the message stands at the value, and its options behind it. */
int bus_request_post(struct bus *b, struct bus_client *client, sd_bus_message *m,
                     const struct bus_target *target, const char *interface);

typedef void (*bus_request_done)(void *context, const struct ocf_response *response);
/* done() is called exactly once, maybe at once, unless an errno is returned. */
int bus_request_start(struct bus *b, struct bus_client *client, const struct bus_target *target,
                      uint8_t method, const struct bus_options *options, struct span payload,
                      bus_request_done done, void *context);
int bus_append_answer(sd_bus_message *reply, const struct ocf_response *response, bool with_value,
                      uint64_t n_missed);
int bus_append_notification(sd_bus_message *m, const struct bus_notification *n, uint64_t n_missed);
const char *bus_response_text(const struct ocf_response *r);

/* bus_subscriber.c */
int bus_subscribe(struct bus *b, struct bus_client *client, sd_bus_message *m);
int bus_unsubscribe(struct bus *b, struct bus_client *client, sd_bus_message *m);
void bus_subscribers_tell(struct bus *b, const struct resource *r, unsigned news);
void bus_subscribers_flush(struct bus_client *c);
void bus_subscribers_drop(struct bus_client *c);

#endif
