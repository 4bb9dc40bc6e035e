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
 *     bus_agent.c        Agent1, of those who show a PIN
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
#define BUS_PATH_MAX           64
#define BUS_VALUE_MAX          (1024u * 1024) /* of one value, as normal form */

#define CLIENT_WAITING_MAX     64   /* messages that wait for the credentials of their sender */
#define CLIENT_REQUESTS_MAX    256  /* requests of one connection under way */
#define CLIENT_SUBSCRIBERS_MAX 1024 /* observations of one connection */
#define CLIENT_CALLS_MAX       256  /* calls to one app's handlers, waiting for their turn or an answer */
#define CLIENT_WINDOW          16   /* signals to one connection without proof that it reads */
#define UID_REQUESTS_MAX       1024 /* requests of one user under way */
#define UID_BYTES_MAX          (32u * 1024 * 1024) /* of the values in them */

/* Replies that we wait for at once; together below the 128 of dbus-daemon's max_replies_per_connection. */
#define CALLS_SENT_MAX    96 /* from handlers */
#define UID_SENT_MAX      64 /* from those of one user */
#define CLIENT_SENT_SHARE 16 /* from those of one app, when others want theirs */
#define CLIENT_OWED_MAX   8  /* answers past their time, until it is asked nothing more */
#define PINGS_MAX         24 /* from those who have yet to prove that they read */
#define UID_PINGS_MAX     8
#define QUESTIONS_MAX     6 /* from polkit, which may be waiting for a password */
#define UID_QUESTIONS_MAX 3

#define AGENTS_MAX        16
#define UID_AGENTS_MAX    4

struct bus_security_told; /* what was told of a device: bus_security.c */

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
        size_t n_waiting, n_requests, n_calls, n_sent, n_owed, n_subscribers, n_questions;
        size_t n_bytes; /* of values in its requests */
        struct list subscribers, handlers, updates;
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
bool bus_client_may_request(const struct bus_client *c,
                            size_t n_bytes); /* or its user has enough under way */

/* bus_reader.c */
bool bus_client_may_signal(struct bus_client *c);               /* and counts one */
void bus_client_was_sent(struct bus_client *c, size_t n_value); /* bytes of a value in normal form */
int bus_client_takes(struct bus_client *c, sd_bus_message *m);  /* 0: go on; 1: it is refused */
bool bus_client_may_take_descriptor(struct bus_client *c);
void bus_client_was_sent_descriptor(struct bus_client *c);
void bus_ping_next(struct bus *b); /* somebody has answered, or left */

/* bus_fault.c; all return 0, or a negative errno of sd-bus */
int bus_reply_fault(sd_bus_message *m, enum fault fault, const char *text);
int bus_reply_refusal(sd_bus_message *m, const struct model_refusal *refusal);
int bus_reply_invalid(sd_bus_message *m, const char *format, ...) OCF_PRINTF(2, 3);
enum fault bus_fault_of_error(const sd_bus_error *e);

/* Paths. */
const char *bus_path(char buf[static BUS_PATH_MAX], const char *parent, uint64_t number);
bool bus_path_number(const char *path, const char *parent, uint64_t *ret);
int bus_nodes_free(char **nodes); /* of an enumerator that ran out of memory; returns -ENOMEM */

/* The objects: vtables on b->bus; slots float. */
int bus_manager_add(struct bus *b);
int bus_device_add(struct bus *b);
int bus_application_add(struct bus *b);
int bus_resource_add(struct bus *b);
int bus_security_add(struct bus *b);
int bus_store_add(struct bus *b);
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

/* bus_agent.c */
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
/* The message stands at an a{sv} of options, and is replied to. payload data NULL: none. */
int bus_request_from_message(struct bus *b, struct bus_client *client, sd_bus_message *m, uint8_t method,
                             const char *interface, struct span payload, enum bus_answer_kind kind);
/* Return: 0; 1 when something was wrong and the caller has been told; negative errno. */
int bus_request_read_options(sd_bus_message *m, const char *interface, char **ret_query,
                             uint64_t *ret_timeout_ms);
typedef void (*bus_request_done)(void *context, const struct ocf_response *response);
/* done() is called exactly once, maybe at once, unless an errno is returned. */
int bus_request_start(struct bus *b, struct bus_client *client, const struct resource *r, uint8_t method,
                      const char *query, struct span payload, uint64_t timeout_ms, bus_request_done done,
                      void *context);
int bus_append_answer(sd_bus_message *reply, const struct ocf_response *response, bool with_value,
                      uint64_t n_missed);
const char *bus_response_text(const struct ocf_response *r);

/* bus_subscriber.c */
int bus_subscribe(struct bus *b, struct bus_client *client, sd_bus_message *m);
int bus_unsubscribe(struct bus *b, struct bus_client *client, sd_bus_message *m);
void bus_subscribers_tell(struct bus *b, const struct resource *r, unsigned news);
void bus_subscribers_flush(struct bus_client *c);
void bus_subscribers_drop(struct bus_client *c);

#endif
