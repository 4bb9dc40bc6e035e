/*
 * ocfctl: one command a call, for people and for scripts.
 *
 * Data goes to standard output, everything else to standard error. Each command
 * is a row of the table in commands.c and a file cmd_*.c. What they share:
 *
 *     options.c   options, those of all commands and those of one
 *     bus.c       the daemon over the bus, and what errors mean
 *     objects.c   the daemon's objects as JSON
 *     security.c  whose the devices are, and what only administrators may
 *     remote.c    other devices on the network
 *     job.c       what the onboarding tool does with them
 *     keyvalue.c  key=value
 *     output.c    tables and JSON
 */
#ifndef OCF_CTL_H
#define OCF_CTL_H

#include "base/span.h"

#include <jansson.h>
#include <systemd/sd-bus.h>

/* Exit codes; they are documented in ocfctl(1), and stay. */
enum {
        EXIT_OK = 0,
        EXIT_FAILED = 1,
        EXIT_USAGE = 2,
        EXIT_NOT_FOUND = 3,
        EXIT_DENIED = 4,
        EXIT_TIMEOUT = 5,
        EXIT_NOT_RUNNING = 6,
};

#define OCFCTL_STRINGS_MAX 16
#define OCFCTL_VALUE_MAX   (1024u * 1024) /* of one value, as normal form */

struct ctl {
        /* of all commands */
        const char *bus_address; /* "system", "session", or an address */
        const char *device;      /* as it was typed; NULL: the first one */
        uint64_t timeout_ms;
        bool is_json, is_quiet, has_legend, asks_nobody;

        /* of some */
        const char *types[OCFCTL_STRINGS_MAX], *interfaces[OCFCTL_STRINGS_MAX];
        size_t n_types, n_interfaces;
        const char *name, *query, *method, *pin;
        uint64_t linger_ms;
        bool is_insecure, is_all, is_yes, is_help, has_timeout, has_no_certificate, is_forced;
        bool may_be_remote; /* device was an argument, not an option */

        const struct command *command;
        char **args;
        int n_args;
        sd_bus *bus;
};

/* Which of the options of one command it takes. */
enum {
        OPTION_TYPES = 1 << 0,      /* --rt */
        OPTION_INTERFACES = 1 << 1, /* --if, several */
        OPTION_INTERFACE = 1 << 2,  /* --if, one */
        OPTION_NAME = 1 << 3,
        OPTION_INSECURE = 1 << 4,
        OPTION_LINGER = 1 << 5,
        OPTION_QUERY = 1 << 6,
        OPTION_ALL = 1 << 7,
        OPTION_YES = 1 << 8,
        OPTION_METHOD = 1 << 9,  /* --method, --pin, --no-certificate, --all of devices */
        OPTION_DOMAIN = 1 << 10, /* --name of the domain */
        OPTION_FORCE = 1 << 11,
};

struct command {
        const char *name;
        const char *arguments; /* of the usage line */
        const char *summary;
        unsigned options;
        int n_args_min, n_args_max; /* -1: any number */
        int (*run)(struct ctl *c);  /* return: exit code */
        const char *help;
};

extern const struct command commands[]; /* ends with name NULL */

int cmd_status(struct ctl *c);
int cmd_apps(struct ctl *c);
int cmd_resources(struct ctl *c);
int cmd_serve(struct ctl *c);
int cmd_get(struct ctl *c);
int cmd_set(struct ctl *c);
int cmd_observe(struct ctl *c);
int cmd_monitor(struct ctl *c);
int cmd_owner(struct ctl *c);
int cmd_reset(struct ctl *c);
int cmd_pin(struct ctl *c);
int cmd_cred(struct ctl *c);
int cmd_acl(struct ctl *c);
int cmd_audit(struct ctl *c);
int cmd_sessions(struct ctl *c);
int cmd_store(struct ctl *c);
int cmd_doctor(struct ctl *c);
int cmd_discover(struct ctl *c);
int cmd_devices(struct ctl *c);
int cmd_info(struct ctl *c);
int cmd_add(struct ctl *c);
int cmd_wait(struct ctl *c);
int cmd_create(struct ctl *c);
int cmd_delete(struct ctl *c);
int cmd_init(struct ctl *c);
int cmd_own(struct ctl *c);
int cmd_pair(struct ctl *c);
int cmd_cert(struct ctl *c);
int cmd_state(struct ctl *c);
int cmd_domain(struct ctl *c);
int cmd_cloud(struct ctl *c);
int cmd_jobs(struct ctl *c);
/* Takes [DEVICE] HREF from the front of the arguments. Return: exit code. */
int take_href(struct ctl *c, const char **ret);

/* options.c. Return: -1 to go on; exit code. */
int options_parse(struct ctl *c, int argc, char **argv);
int usage(const struct ctl *c, const char *format, ...) OCF_PRINTF(2, 3); /* says it, returns EXIT_USAGE */

/* bus.c. Return: exit code; what is wrong has been said. */
int bus_open(struct ctl *c);
int bus_new_call(struct ctl *c, sd_bus_message **ret, const char *path, const char *interface,
                 const char *member);
int bus_call(struct ctl *c, sd_bus_message *m, uint64_t timeout_ms, sd_bus_message **ret_reply);
int bus_trouble(const struct ctl *c, int r); /* negative errno of sd-bus */
int bus_error(const struct ctl *c, const sd_bus_error *e);
int bus_exit_code(const sd_bus_error *e);
void bus_say_not_running(const struct ctl *c);
const char *bus_name(const struct ctl *c); /* "the system bus" */
/* The Resource1 of an href on the chosen device. */
int bus_find_resource(struct ctl *c, const char *href, char **ret_path);
/* "the first one" is "/"; else by path, number, name or the beginning of the id. */
int bus_find_device(struct ctl *c, char **ret_path);
bool bus_is_meant(const char *wanted, const char *path,
                  const json_t *device); /* a Device1, by what was typed */

/* objects.c. {path: {interface: {property: value}}} of all objects below /org/ocfd. */
int objects_get(struct ctl *c, json_t **ret);
int objects_properties(struct ctl *c, const char *path, const char *interface, json_t **ret);
int objects_read(sd_bus_message *m, json_t **ret_interfaces);    /* a{sa{sv}}; negative errno */
int value_to_json(sd_bus_message *m, bool is_map, json_t **ret); /* a v or an a{sv}; negative errno */
const char *text_of(const json_t *object, const char *key);      /* "" when there is none */
bool is_true(const json_t *object, const char *key);

/* keyvalue.c: "key=value" with true, false, null and numbers as what they are, else text; "key:=JSON".
 * Return: false, and *ret_problem says why not. */
bool keyvalue_add(json_t *map, const char *argument, const char **ret_problem);
int keyvalue_all(struct ctl *c, char **args, int n, json_t **ret); /* exit code */
int json_to_rep(const json_t *json, struct span *ret);             /* allocated; negative errno */

/* output.c */
struct table;
struct table *table_new(const struct ctl *c, const char *const *headers, size_t n_columns);
void table_row(struct table *t, const char *const *cells); /* copies them */
void table_print(struct table *t);                         /* and frees it */
int print_json(const struct ctl *c, json_t *json_take);    /* pretty on a terminal, one line otherwise */
int print_json_line(json_t *json_take);                    /* of a stream */
void print_value(const json_t *value);                     /* for people: key: value, a line each */
void print_pairs(const json_t *value); /* key=value key=value, without the end of the line */
void hint(const struct ctl *c, const char *format, ...) OCF_PRINTF(2, 3);   /* not with -q */
void remark(const struct ctl *c, const char *format, ...) OCF_PRINTF(2, 3); /* not with -q either */
void complain(const struct ctl *c, const char *format, ...) OCF_PRINTF(2, 3);
void print_text(const char *text);                /* of others: control characters are shown, not sent */
const char *bold(void), *dim(void), *plain(void); /* "" where there are no colours */
int flush_output(int exit_code);                  /* EXIT_FAILED when standard output could not take it */

#endif
