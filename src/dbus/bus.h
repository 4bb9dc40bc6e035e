/*
 * The daemon's connection to the bus: all objects below /org/ocfd.
 *
 * It connects, takes the name org.ocfd, and goes on without a bus: when there
 * is none, or it goes away, it tries again (bus_deadline()). Everything is
 * asynchronous; nothing that a caller sends can block or crash the daemon, and
 * what is queued towards anyone is bounded.
 *
 * The loop belongs to the daemon: poll bus_fd() for bus_events() until
 * bus_deadline(), then call bus_process(). These may change after any call, so
 * ask again before each sleep. fd -1: nothing to poll now.
 */
#ifndef OCF_DBUS_BUS_H
#define OCF_DBUS_BUS_H

#include "dbus/control.h"

struct bus;
struct remote_event;

/* address: "system", "session" or a D-Bus address. The control stays the caller's. */
int bus_new(struct bus **ret, const struct bus_control *control, const char *address);
/* Releases the name, flushes nothing that would block. What the control began for callers is ended through
 * it; what it answers later is heard by nobody. */
struct bus *bus_free(struct bus *b);

int bus_fd(const struct bus *b);
int bus_events(struct bus *b);
uint64_t bus_deadline(struct bus *b); /* CLOCK_MONOTONIC, us, as sd_bus_get_timeout() has it; OCF_NEVER */

/* Does what is due, a bounded amount at a time. Return: 1 when there is more to do at once, 0, negative errno
 * if our process is in trouble (a lost bus is not). */
int bus_process(struct bus *b, uint64_t now_monotonic_us);

enum bus_state { BUS_CONNECTING, BUS_READY, BUS_WAITING };

struct bus_status {
        enum bus_state state;
        int last_error; /* errno of the last failure; 0: none */
        const char *address;
};

void bus_get_status(const struct bus *b, struct bus_status *ret);

/* What the model says happened: objects appear and vanish, properties change, local observers are told. */
void bus_tell(struct bus *b, const struct model_event *event);
void bus_tell_status(struct bus *b); /* interfaces, notices or the security of a device changed */

/* Other devices (control_client.h); each tells what is different since it was told last. */
void bus_tell_remote(struct bus *b, const struct remote_event *event);
bool bus_takes_news(struct bus *b);  /* false: it lags; what others on the network do had better wait */
void bus_tell_client(struct bus *b); /* a round, or the addresses */
void bus_tell_tool(struct bus *b);   /* the onboarding tool, or what it owns */
void bus_tell_job(struct bus *b, uint32_t number); /* it goes on, is over, or is forgotten */

/*
 * Has everybody who waits for it (Agent1) show the PIN with which a tool takes ownership of the device, for
 * so many seconds. pin NULL: it is not good any more. Return: how many were asked.
 */
unsigned bus_show_pin(struct bus *b, uint16_t device, const char *pin, uint32_t seconds);
bool bus_has_agent(const struct bus *b); /* somebody would show it */

/*
 * Has everybody who waits for it ask a person for the PIN that a device shows, for so many seconds; the name
 * is for people. Ends when the job is not in its state "pin" any more (bus_tell_job()). Return: how many were
 * asked; not 0: control.client.job_pin() follows, once, unless the job ends it.
 */
unsigned bus_ask_pin(struct bus *b, uint32_t job, const struct uuid *device, const char *name,
                     uint32_t seconds);

#endif
