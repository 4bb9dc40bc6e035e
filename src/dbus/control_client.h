/*
 * What the bus wants from the client and from the onboarding tool: the part of
 * control.h that concerns other devices on the network.
 *
 * What is shown of them the bus reads from the model (model/remote.h); whatever
 * costs something on the network goes through here. Texts and arrays stay valid
 * until control returns to the loop.
 */
#ifndef OCF_DBUS_CONTROL_CLIENT_H
#define OCF_DBUS_CONTROL_CLIENT_H

#include "base/uuid.h"
#include "model/call.h"

struct bus_caller;
struct remotes;

/* Once, later or at once. outcome: 0; else a fault's number (enum fault), and text a sentence. */
typedef void bus_heard(void *context, enum fault fault, const char *text, const struct uuid *devices,
                       size_t n_devices);

/* How a value came to an observer. */
enum bus_mode { BUS_MODE_NONE, BUS_MODE_PUSH, BUS_MODE_POLL, BUS_MODE_STALE };

struct bus_notification {
        const struct ocf_response *response; /* the value; or the fault that ends the observation */
        enum bus_mode mode;
        bool gap;          /* changes may have been missed before this one */
        uint64_t sequence; /* of values, from 1 */
};

/* One who follows a resource of a remote device; the memory is the bus's, until unobserve() or ended. */
struct bus_observer {
        struct list link; /* of who serves it */
        void *subject;    /* likewise */
        void *context;
        /* The first is the answer to observe(), unless it is a fault: then it is over, as with each fault. */
        void (*notified)(struct bus_observer *o, const struct bus_notification *n);
};

struct bus_observe_spec {
        struct uuid device;
        const char *href, *query; /* query: parts joined with '&'; "" */
        uint32_t poll_ms;
};

/* In clear or over a secure channel? */
enum bus_channel_wish { BUS_ANY_CHANNEL, BUS_SECURE_ONLY, BUS_CLEAR_ONLY };

enum bus_tool_operation {
        BUS_TOOL_INITIALIZE,
        BUS_TOOL_OWN,
        BUS_TOOL_RESET,
        BUS_TOOL_SET_STATE,
        BUS_TOOL_PAIR,
        BUS_TOOL_ISSUE_IDENTITY,
        BUS_TOOL_ISSUE_ROLE,
        BUS_TOOL_ADD_TRUST_ANCHOR,
        BUS_TOOL_ADD_ACCESS,
        BUS_TOOL_REMOVE_ACCESS,
        BUS_TOOL_REMOVE_CREDENTIAL,
        BUS_TOOL_CONFIGURE_CLOUD,
        BUS_TOOL_SET_DOMAIN,
        BUS_TOOL_ADD_MANUFACTURER_ANCHOR,
        _BUS_TOOL_N
};

/* The arguments as they came, UTF-8 and bounded by the bus; who starts the job says what is wrong with them.
 * Copied before it returns. */
struct bus_tool_request {
        enum bus_tool_operation operation;
        struct uuid device, other;
        const char *const *texts; /* methods; roles; hrefs; NULL ends them; NULL: not given */
        const char *text;    /* pin; state; certificate; permission; name of the domain; NULL: not given */
        const char *subject; /* of an anchor, or of an access entry */
        const char *usage;   /* of an anchor */
        const char *cis, *sid, *apn, *at;
        int32_t number; /* aceid, credid */
        bool flag;      /* own: certificate; reset: forget; domain: private */
};

/* State of a job, as Job1 has it. */
struct bus_job {
        uint32_t number;
        const char *operation, *state, *step, *message;
        struct uuid device;
        uint32_t step_number, n_steps;
        bool is_over, succeeded;
        struct uuid result; /* the device now */
};

struct bus_tool_status {
        bool initialized;
        struct uuid id;
        uint16_t device;       /* index of its Device1 */
        const char *authority; /* PEM; "" */
        const struct uuid *owned;
        size_t n_owned;
};

struct bus_client_control {
        struct remotes *remotes;

        bool (*discovering)(void *context);
        /* done() once. Return: 0; BUS_E_BUSY; BUS_E_REFUSED and a sentence: apps.d, or the address is none.
         */
        int (*discover)(void *context, const struct bus_caller *caller, uint32_t timeout_ms, bus_heard *done,
                        void *done_context, const char **ret_why);
        int (*add_address)(void *context, const char *address, uint32_t timeout_ms, bus_heard *done,
                           void *done_context, const char **ret_why);
        int (*remove_address)(void *context, const char *address); /* 0; BUS_E_REFUSED: there is none */
        size_t (*addresses)(void *context, const char *const **ret);
        int (*refresh)(void *context, const struct bus_caller *caller, const struct uuid *device,
                       bus_heard *done, void *done_context, const char **ret_why);
        int (*forget)(void *context, const struct uuid *device); /* 0; BUS_E_REFUSED: unknown; BUS_E_BUSY */
        const char *(*session)(void *context, const struct uuid *device);
        enum bus_mode (*mode)(void *context, const struct uuid *device, const char *href);

        /* The call's request has method, path, query, payload, accept; deadline_ms is set. Answered through
         * call->done(), maybe at once; a fault's diagnostic is the sentence for people. */
        void (*request)(void *context, const struct bus_caller *caller, const struct uuid *device,
                        enum bus_channel_wish wish, struct call *call);

        /* Return: 0, notified() follows; BUS_E_REFUSED and a sentence; BUS_E_BUSY: there are too many. */
        int (*observe)(void *context, const struct bus_caller *caller, const struct bus_observe_spec *spec,
                       struct bus_observer *o, const char **ret_why);
        /* Not called any more once notified() had a fault. */
        void (*unobserve)(void *context, struct bus_observer *o);
        /* notified() at once, with the newest value once more: the observer could not take it before. */
        void (*repeat)(void *context, struct bus_observer *o);

        void (*tool_status)(void *context, struct bus_tool_status *ret);
        /* Return: 0 and the job's number (0: it is done already); BUS_E_BUSY; BUS_E_REFUSED: *ret_fault and
         * a sentence. */
        int (*tool_start)(void *context, const struct bus_caller *caller, const struct bus_tool_request *q,
                          uint32_t *ret_job, enum fault *ret_fault, const char **ret_why);
        bool (*job)(void *context, uint32_t number,
                    struct bus_job *ret); /* false: there is none (any more) */
        size_t (*jobs)(void *context, const uint32_t **ret);
        void (*job_cancel)(void *context, uint32_t number);
        /* What a person said to bus_ask_pin(); NULL: nothing, and nobody else is being asked. Once. */
        void (*job_pin)(void *context, uint32_t number, const char *pin);
};

#endif
