/*
 * Who holds what: the struct behind daemon.h, for the files that wire it.
 */
#ifndef OCF_DAEMON_DAEMON_PRIVATE_H
#define OCF_DAEMON_DAEMON_PRIVATE_H

#include "daemon/apps.h"
#include "daemon/bus_loop.h"
#include "daemon/channel.h"
#include "daemon/client.h"
#include "daemon/config.h"
#include "daemon/deadline_timer.h"
#include "daemon/jobs.h"
#include "daemon/net.h"
#include "daemon/pin_command.h"
#include "daemon/pipeline.h"
#include "daemon/random.h"
#include "daemon/secure.h"
#include "daemon/secure_link.h"
#include "daemon/status.h"
#include "daemon/store.h"
#include "daemon/tool.h"

#include <uv.h>

struct daemon {
        const struct config *config;
        uv_loop_t loop;
        bool loop_is_open;
        struct store *store;
        struct apps_rules *apps;
        struct model *model;
        struct pipeline *pipeline;
        struct net *net;
        struct secure *secure;    /* NULL until the devices are there */
        struct secure_link *link; /* likewise */
        struct tool *tool;        /* likewise, as the next */
        struct client *client;
        struct jobs *jobs;
        struct pin_command *pin_command;
        struct bus *bus;
        struct bus_loop *bus_loop;
        struct bus_control control;
        struct channels *channels;
        struct status status;
        struct random_pool random;
        struct deadline_timer *timer;
        uv_prepare_t prepare;
        uv_signal_t terminate, interrupt;
        uv_timer_t watchdog, hrefs_timer;
        bool hrefs_are_stale;
        bool handles_are_open;
        bool status_is_stale;
        int64_t clock_floor_s; /* seconds since 1970: it is later than that, whatever the clock says */
        bool restarts;         /* daemon_run() says so */
        bool store_is_busy;    /* control_store.c: an administrator is at work on it */
        int bus_error;         /* what was told last: 0 connected, -1 nothing yet */
        int result;            /* negative errno that ends daemon_run() */
};

/* control.c: what the bus asks of us. */
void daemon_fill_control(struct daemon *d);

/* daemon_secure.c: after the devices are there. 0; negative errno. */
int daemon_open_secure(struct daemon *d);

/* and what the pipeline is told with */
struct svr_session *daemon_session(void *context, const struct coap_peer *peer);
const struct svr *daemon_svr(void *context, uint16_t device);
int64_t daemon_wall(void *context);
void daemon_secure_request(void *context, struct resource *r, struct call *call);
void daemon_denied(void *context, const struct ocf_request *request, const struct route *route,
                   const struct access_verdict *verdict);

#define DAEMON_PEER_TEXT 64
const char *daemon_peer_text(const struct coap_peer *p,
                             char buf[static DAEMON_PEER_TEXT]); /* address and port */

/* daemon.c: what an administrator should know, or (text NULL) no longer. */
void daemon_notice(void *daemon, const char *id, const char *text);

/* daemon.c: the addresses or ports of a device are others now. */
void daemon_endpoints_changed(struct daemon *d);

/* Ends daemon_run() with this error. */
void daemon_fail(struct daemon *d, int error);

#endif
