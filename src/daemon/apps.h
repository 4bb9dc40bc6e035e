/*
 * apps.d: which user or unit may register what (ocfd.conf(5)).
 *
 *     # /etc/ocfd/apps.d/lamp.conf
 *     [App]
 *     User=lamp                     one of User= (name or number) and Unit= (lamp.service), or both
 *     Register=/lamp /lamp/?*      globs of hrefs it may register; nothing: none
 *     Types=oic.r.switch.* x.com.*  globs of the resource types; default: any
 *     Use=/thermometer              globs of local hrefs of others that it may use; default: any
 *     Reach=9b8f2c1e-*              globs of UUID and href, on other devices; default: any
 *     Insecure=no                   may it register resources as insecure? default yes
 *
 * Register=, Types=, Use= and Reach= may stand there several times and add up; where the unit of a caller
 * cannot be seen, a rule with Unit= refuses.
 *
 * The bus lets root and the group ocf in. A caller that no rule names may do
 * all of that; one that a rule names may do what its rules say, and no more.
 */
#ifndef OCF_DAEMON_APPS_H
#define OCF_DAEMON_APPS_H

#include "dbus/control.h"

struct apps_rules;

/* Reads all *.conf of the directory (an absent one is empty). Mistakes are told; a file with one is an error:
 * rules must not be half read. */
enum { APPS_E_INVALID = 1 };
int apps_load(struct apps_rules **ret, const char *directory,
              void (*told)(void *context, const char *message), void *context);
struct apps_rules *apps_free(struct apps_rules *a);

/* May the caller register this? Return: true; false and *refusal (FAULT_NOT_ALLOWED, naming rule file and
 * what it lacks). */
bool apps_may_register(const struct apps_rules *a, const struct bus_caller *caller,
                       const struct resource_spec *spec, struct model_refusal *refusal);
bool apps_may_use(const struct apps_rules *a, const struct bus_caller *caller, const char *href,
                  struct model_refusal *refusal);

/* A resource of another device on the network; href "": the device as such, to look for it and to ask what it
 * is. */
bool apps_may_reach(const struct apps_rules *a, const struct bus_caller *caller, const struct uuid *device,
                    const char *href, struct model_refusal *refusal);

#endif
