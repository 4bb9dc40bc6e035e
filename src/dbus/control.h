/*
 * What the bus wants from the rest of the house.
 *
 * The bus room turns messages into these calls and answers into messages. It
 * reads the model for what it shows; whatever changes something, costs
 * something or concerns the network goes through here. The daemon fills it in,
 * and a test fills it in with fakes.
 */
#ifndef OCF_DBUS_CONTROL_H
#define OCF_DBUS_CONTROL_H

#include "dbus/control_client.h"
#include "model/model.h"

/* Who calls, as the bus driver vouches for it; fetched once per unique name. */
struct bus_caller {
        const char *name; /* unique bus name */
        uint32_t uid;
        uint32_t pid;     /* 0: unknown */
        const char *unit; /* systemd unit; "": none; NULL: unknown */
        bool in_admin_group;
};

struct bus_interface_status {
        const char *name; /* eth0 */
        uint32_t index;
        bool used;
        const char *reason;           /* why it is not used; "" when it is */
        const char *const *addresses; /* as text, without scope */
        size_t n_addresses;
};

struct bus_notice {
        const char *id;   /* PortTaken, NoMulticast, NoTcp, NoTls, ManufacturerKey: stable, for programs */
        const char *text; /* a sentence for people: what is wrong, and what to do */
};

struct bus_counter {
        const char *name; /* requests, duplicates ... */
        uint64_t value;
};

enum { BUS_E_REFUSED = 1, BUS_E_BUSY };

/* ---- the security of the devices ---- */

/* What polkit is asked for, unless the caller may anyway. */
enum bus_admin {
        BUS_ADMIN_NO,             /* where there is no polkit */
        BUS_ADMIN_WITHOUT_POLKIT, /* yes, where there is no polkit */
        BUS_ADMIN_ALWAYS,         /* polkit is not asked */
};

/* Texts stay valid until control returns to the loop. "": none. */
struct bus_security_status {
        const char *state; /* RESET, RFOTM, RFPRO, RFNOP, SRESET */
        bool owned;
        struct uuid owner;        /* nil: none */
        const char *transfer;     /* chosen by who takes ownership: just-works, random-pin, manufacturer */
        bool transfer_is_running; /* over a secure channel, right now */
        const char *const *transfers; /* how ownership may be taken; NULL ends it */
        const char *sealed;           /* why nothing secure is served, and what to do */
        const char *domain;           /* name of the security domain */
        struct uuid domain_id;        /* nil: none */
        const char *next_step;        /* a sentence */
};

struct bus_session {
        const char *peer;      /* address and port */
        const char *transport; /* dtls, tls */
        const char *suite;
        struct uuid id; /* nil: nobody in particular */
        bool by_certificate, onboarding;
        const char *const *roles;
        size_t n_roles;
        uint64_t opened_s, silent_s; /* how long ago */
};

/* "May it?": answered as a peer would be, without asking it to try. */
struct bus_access_question {
        const char *subject; /* anon-clear, auth-crypt, a UUID, or role:NAME[@AUTHORITY] */
        const char *href;
        const char *method; /* GET, POST ... */
};

struct bus_access_answer {
        bool granted;
        const char *reason;  /* a sentence */
        int32_t aceid;       /* the entry that decided, or came nearest; 0: none */
        const char *problem; /* of BUS_E_REFUSED: what is wrong with the question */
};

enum bus_store_work { BUS_STORE_CHECK, BUS_STORE_BACKUP, BUS_STORE_RESTORE, BUS_STORE_REKEY };

/* Once. 0: done; BUS_E_REFUSED: it could not be, and nothing was changed; BUS_E_BUSY: not now. text:
 * sentences. */
typedef void bus_store_done(void *context, int outcome, const char *text);

/* Each function has the context of struct bus_control. */
struct bus_security {
        enum bus_admin (*admin)(void *context, const struct bus_caller *caller);
        void (*status)(void *context, uint16_t device, struct bus_security_status *ret);

        /* What GET on a secure resource answers, which is never a secret; *ret_rep, in normal form, stays
         * until control returns to the loop. Return: FAULT_NONE and the representation, or why not. */
        enum fault (*read)(void *context, uint16_t device, const char *href, struct span *ret_rep);

        /* As if a button had been pressed. Return: 0; BUS_E_REFUSED and a sentence. */
        int (*reset)(void *context, uint16_t device, const char **ret_why);

        /* Return: 0; BUS_E_REFUSED: the question makes no sense. */
        int (*check_access)(void *context, uint16_t device, const struct bus_access_question *q,
                            struct bus_access_answer *ret);

        /* Return: how many; fewer than there are when there are very many. */
        size_t (*sessions)(void *context, uint16_t device, const struct bus_session **ret);

        /* fd: of BACKUP and RESTORE, a file of the caller's; it is taken. done() comes later, or at once. */
        void (*store)(void *context, enum bus_store_work work, int fd, bus_store_done *done,
                      void *done_context);
};

struct channel;

struct bus_control {
        void *context;
        struct model *model;
        const char *version;
        uint64_t started_us; /* CLOCK_REALTIME */
        bool allow_insecure;
        int64_t admin_gid;                /* [Security] AdminGroup=; -1: none */
        struct bus_security security;     /* with the same context */
        struct bus_client_control client; /* likewise */

        uint64_t (*now)(void *context); /* CLOCK_BOOTTIME, ms */

        /* As model_register(), after apps.d had its say. Return: 0; BUS_E_REFUSED and *refusal; negative
         * errno. */
        int (*register_app)(void *context, const struct bus_caller *caller, uint16_t device,
                            const struct app_spec *app, const struct resource_spec *specs, size_t n_specs,
                            struct app **ret, struct model_refusal *refusal);
        void (*unregister)(void *context, struct app *app, struct resource *resource);
        int (*publish)(void *context, struct resource *resource, struct span rep, bool replace,
                       struct model_refusal *refusal);
        void (*changed)(void *context, struct resource *resource); /* a handled resource has news */
        void (*vanished)(void *context, const char *owner);        /* a bus name that had an app is gone */
        void (*bus_lost)(void *context); /* all of them are: the connection to the bus broke */

        /* A local app asks: answered through call->done(), maybe at once. request.subject is filled in. */
        void (*request)(void *context, const struct bus_caller *caller, struct call *call);

        /*
         * A channel for the handlers of one connection (channel_packet.h). open: 0, *ret and the caller's
         * end; BUS_E_REFUSED when there are too many; negative errno. request takes the call, or says false:
         * then the bus is to have it. close answers what is under way.
         */
        int (*channel_open)(void *context, const struct bus_caller *caller, struct channel **ret,
                            int *ret_fd);
        bool (*channel_request)(void *context, struct channel *channel, const struct resource *resource,
                                struct call *call);
        void (*channel_close)(void *context, struct channel *channel);

        /* For status; arrays stay valid until control returns to the loop. */
        size_t (*interfaces)(void *context, const struct bus_interface_status **ret);
        size_t (*notices)(void *context, const struct bus_notice **ret);
        size_t (*counters)(void *context, const struct bus_counter **ret);
};

#endif
