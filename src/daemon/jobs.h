/*
 * The onboarding tool at work: one job for each thing that it was asked to do
 * with a device (Job1). A job drives a flow (security/obt_flow.h): it sends what the
 * flow wants to send, over the channel it wants, and stores what it wants to have
 * stored. Jobs of one device wait for each other. One that is over can be looked
 * at for a minute.
 */
#ifndef OCF_DAEMON_JOBS_H
#define OCF_DAEMON_JOBS_H

#include "dbus/control_client.h"

struct daemon;
struct jobs;

#define JOBS_MAX 256u /* that are not over; those that are make room */

int jobs_new(struct jobs **ret, struct daemon *d); /* 0; -ENOMEM */
struct jobs *jobs_free(struct jobs *j);            /* before the client */

/* As bus_client_control.tool_start, job, jobs, job_cancel and job_pin. */
int jobs_start(struct jobs *j, const struct bus_tool_request *q, uint32_t *ret_job, enum fault *ret_fault,
               const char **ret_why);
bool jobs_find(struct jobs *j, uint32_t number, struct bus_job *ret);
size_t jobs_list(struct jobs *j, const uint32_t **ret);
void jobs_cancel(struct jobs *j, uint32_t number);
void jobs_pin(struct jobs *j, uint32_t number, const char *pin);

void jobs_wake(struct jobs *j);
uint64_t jobs_deadline(const struct jobs *j);

#endif
