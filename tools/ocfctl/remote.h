/*
 * Other devices on the network, and the onboarding tool's jobs: what the
 * commands about them share.
 */
#ifndef OCF_CTL_REMOTE_H
#define OCF_CTL_REMOTE_H

#include "ctl.h"

/* Is c->device (or the first one) a device of this daemon? Return: exit code, *ret. */
int remote_is_local(struct ctl *c, bool *ret);

/* The RemoteDevice1 that is meant by a name, a UUID or its beginning. Looks once more on the network where it
 * is not known. Return: exit code. */
int remote_find(struct ctl *c, const char *name, char **ret_path);

/* One request. value NULL: none. Return: exit code. */
int remote_request(struct ctl *c, const char *device, const char *member, const char *href,
                   const json_t *value, json_t **ret);

int remote_get(struct ctl *c, const char *device_name, const char *href, json_t **ret);

int remote_observe(struct ctl *c, const char *device, const char *href);

/* "ocf://UUID/href": device and href apart; false: it is none. */
bool remote_split_uri(const char *text, char **ret_device, const char **ret_href);

/* A row of the table of devices, as JSON; path: its object. */
json_t *remote_json(const char *path, const json_t *properties);

/* job.c: a method of OnboardingTool1 that begins a job: shows its steps until it is over, and cancels it when
 * this command is interrupted. m is taken. Return: exit code; *ret_device, where it is not NULL: the device's
 * object now. */
int job_run(struct ctl *c, sd_bus_message *m, char **ret_device);
int job_new(struct ctl *c, sd_bus_message **ret, const char *member);

/* job_many.c: the same for each of many devices, side by side, with one line that says how far it is.
 * done_word: "owned". Return: exit code; EXIT_FAILED when one of them failed, which was said. */
struct job_target {
        char *label, *path; /* as people call it; its object */
        char *job;          /* the rest is filled in */
        bool is_over, succeeded;
};
typedef int job_append(struct ctl *c, sd_bus_message *m); /* what follows the device; negative errno */
int job_run_many(struct ctl *c, struct job_target *targets, size_t n, const char *member, job_append *append,
                 const char *done_word);

/* While it lives, a person at the terminal is asked for PINs. */
int job_ask_pins(struct ctl *c);

/* cmd_tool.c: what reset, acl and cred do with devices of others. */
int tool_reset(struct ctl *c, const char *device);
int tool_acl(struct ctl *c);
int tool_cred_remove(struct ctl *c);

#endif
