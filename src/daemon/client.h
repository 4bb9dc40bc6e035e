/*
 * The client: other devices on the network, for the apps of this machine.
 *
 * It looks for them (client_discover.c), keeps what they told (model/remote.h),
 * carries requests to them (client_request.c) and follows their resources
 * (client_observe.c). Everything goes over outgoing.h; who may ask for what is
 * decided by who calls.
 */
#ifndef OCF_DAEMON_CLIENT_H
#define OCF_DAEMON_CLIENT_H

#include "daemon/outgoing.h"
#include "dbus/control_client.h"
#include "model/remote.h"

struct daemon;
struct client;

#define CLIENT_ADDRESSES_MAX    64u
#define CLIENT_DISCOVER_MS      7000u
#define CLIENT_DISCOVER_MAX_MS  60000u
#define CLIENT_OBSERVATIONS_MAX 4096u

int client_new(struct client **ret, struct daemon *d); /* 0; negative errno */
struct client *client_free(struct client *c);

struct remotes *client_remotes(struct client *c);
struct outgoing *client_outgoing(struct client *c);

/* ---- looking for devices ---- */

/* Rounds of several callers are one. done() once. 0; -EBUSY: too many wait; -ENOMEM. */
int client_discover(struct client *c, uint32_t timeout_ms, bus_heard *done, void *context);
bool client_is_discovering(const struct client *c);

/* An address where multicast does not reach; asked now, and in each round. -EINVAL: it is none; -ENOSPC. */
int client_add_address(struct client *c, const char *address, uint32_t timeout_ms, bus_heard *done,
                       void *context);
int client_remove_address(struct client *c, const char *address); /* -ENOENT */
size_t client_addresses(const struct client *c, const char *const **ret);

/* Asks one device what it is and what it has. 0; -ENOMEM. */
int client_refresh(struct client *c, const struct uuid *device, bus_heard *done, void *context);

/* ---- requests ---- */

/* The channel over which this device is asked; sentence: why there is none. 0; -ENOENT; -ENOMEM. */
int client_channel(struct client *c, const struct uuid *device, enum bus_channel_wish wish,
                   struct out_channel **ret, const char **ret_why);

/* The channel with the key of our onboarding tool; and an end of its session, since the key changes. */
int client_owner_channel(struct client *c, const struct uuid *device, struct out_channel **ret,
                         const char **ret_why);
void client_close_owner_channel(struct client *c, const struct uuid *device);
size_t client_secure_addresses(struct client *c, const struct uuid *device,
                               struct out_address ret[OUT_ADDRESSES_MAX]);

/* A reply's representation in normal form, until the next one is read; false: it has none. */
bool client_read(struct client *c, const struct coap_reply *reply, struct span *ret);

/* As bus_client_control.request. */
void client_request(struct client *c, const struct uuid *device, enum bus_channel_wish wish,
                    struct call *call);

/* What a device answered, as a response; rep is normal form in the client's scratch. */
void client_response(struct client *c, const struct coap_reply *reply, struct ocf_response *ret);

/* ---- following ---- */

int client_observe(struct client *c, const struct bus_observe_spec *spec,
                   struct bus_observer *o); /* 0; -ENOSPC; -ENOMEM */
void client_unobserve(struct client *c, struct bus_observer *o);
void client_observe_repeat(struct client *c, struct bus_observer *o); /* its last value once more */
enum bus_mode client_mode(const struct client *c, const struct uuid *device, const char *href);

/* ---- what the daemon tells ---- */

void client_note(struct client *c, const struct remote_event *e); /* what is new about a device */

void client_wake(struct client *c);
uint64_t client_deadline(const struct client *c);

#endif
