/*
 * The onboarding tool of this daemon: a logical device of its own that owns
 * itself (services.md 1.7), with its authority and the keys of what it owns.
 * Nothing of it exists until an administrator asks for it. The gateway's device
 * is another one: it is owned, by this tool or by a foreign one, like any other.
 */
#ifndef OCF_DAEMON_TOOL_H
#define OCF_DAEMON_TOOL_H

#include "daemon/keyring.h"
#include "model/model.h"
#include "security/authority.h"

struct daemon;
struct tool;

#define TOOL_DOMAIN_MAX 64u

/* At start-up, after the secure resources of the other devices: the tool as the store has it, or none yet.
 * Return: 0; negative errno. */
int tool_new(struct tool **ret, struct daemon *d);
struct tool *tool_free(struct tool *t); /* after the store is closed */

/* Makes it. done() when all is durable, with 0 or a negative errno. Return: 0; -EALREADY: it is there, or
 * being made; -EROFS: the store is sealed; *ret_why: a sentence for what cannot be done now. */
int tool_make(struct tool *t, struct span domain_name, store_done *done, void *context, const char **ret_why);

bool tool_exists(const struct tool *t);
struct device *tool_device(const struct tool *t); /* NULL: there is none */
struct keyring *tool_keyring(struct tool *t);
struct authority *tool_authority(struct tool *t); /* NULL: there is none */
const char *tool_problem(const struct tool *t);   /* why what the store has cannot be used; NULL: nothing */

#endif
