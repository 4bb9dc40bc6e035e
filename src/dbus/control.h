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

#include "model/model.h"

/* Who calls, as the bus driver vouches for it; fetched once per unique name. */
struct bus_caller {
        const char *name; /* unique bus name */
        uint32_t uid;
        uint32_t pid;     /* 0: unknown */
        const char *unit; /* systemd unit; "": none; NULL: unknown */
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
        const char *id;   /* PortTaken, NoMulticast, NoTcp: stable, for programs */
        const char *text; /* a sentence for people: what is wrong, and what to do */
};

struct bus_counter {
        const char *name; /* requests, duplicates ... */
        uint64_t value;
};

enum { BUS_E_REFUSED = 1 };

struct channel;

struct bus_control {
        void *context;
        struct model *model;
        const char *version;
        uint64_t started_us; /* CLOCK_REALTIME */
        bool allow_insecure;

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
