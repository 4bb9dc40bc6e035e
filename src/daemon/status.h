/*
 * What there is to tell about ourselves: standing notices, interfaces and
 * counters, in the shape that the bus wants.
 */
#ifndef OCF_DAEMON_STATUS_H
#define OCF_DAEMON_STATUS_H

#include "daemon/net.h"
#include "daemon/pipeline.h"
#include "dbus/control.h"

#define STATUS_NOTICES_MAX  16
#define STATUS_COUNTERS_MAX 32

struct status {
        struct net *net;
        struct pipeline *pipeline;
        struct model *model;
        struct bus_notice notices[STATUS_NOTICES_MAX];
        size_t n_notices;
        struct bus_interface_status *interfaces;
        size_t n_interfaces;
        struct bus_counter counters[STATUS_COUNTERS_MAX];
};

void status_deinit(struct status *s);

/* Sets a notice, or takes it back (text NULL). Return: whether that changed anything. */
bool status_notice(struct status *s, const char *id, const char *text);

/* The three of control.h, with the status as context. */
size_t status_interfaces(struct status *s, const struct bus_interface_status **ret);
size_t status_notices(struct status *s, const struct bus_notice **ret);
size_t status_counters(struct status *s, const struct bus_counter **ret);

#endif
