/*
 * What the commands about security share: the Security1 and Store1 of the
 * daemon. A call may wait for a person who types a password into polkit's
 * dialogue.
 */
#ifndef OCF_CTL_SECURITY_H
#define OCF_CTL_SECURITY_H

#include "ctl.h"

#include <sys/types.h>

/* The object path of the chosen device, or of the first one. Return: exit code. */
int security_find_device(struct ctl *c, char **ret_path);

/* Calls Security1 of a device; types as of sd_bus_message_append(), NULL: no arguments. Return: exit code. */
int security_call(struct ctl *c, sd_bus_message **ret_reply, const char *path, const char *member,
                  const char *types, ...);
int security_send(struct ctl *c, sd_bus_message *m, sd_bus_message **ret_reply);

/* ask.c: while a call runs that may want a password. */
struct ask {
        pid_t agent; /* 0: none */
};
bool ask_is_possible(const struct ctl *c); /* is there somebody, at a terminal? */
void ask_begin(const struct ctl *c, struct ask *ret);
void ask_end(struct ask *a);

/* The properties of Security1 as names of ours; NULL where there is none. */
json_t *security_json(const json_t *properties);

/* What GET on one secure resource of the chosen device answers. Return: exit code. */
int security_read(struct ctl *c, const char *href, json_t **ret);

/* The words of a list, with spaces between. */
const char *joined_words(const json_t *strings, char *buf, size_t n_buf);

#endif
