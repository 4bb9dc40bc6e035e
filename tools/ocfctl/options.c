/*
 * Options: one table, from which parsing and help are made.
 */
#include "ctl.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
        OPT_BUS = 256,
        OPT_DEVICE,
        OPT_TIMEOUT,
        OPT_JSON,
        OPT_NO_LEGEND,
        OPT_NO_ASK_PASSWORD,
        OPT_VERSION,
        OPT_RT,
        OPT_IF,
        OPT_NAME,
        OPT_INSECURE,
        OPT_LINGER,
        OPT_QUERY,
        OPT_ALL,
        OPT_YES,
        OPT_METHOD,
        OPT_PIN,
        OPT_NO_CERTIFICATE,
        OPT_FORGET,
};

static const struct row {
        const char *name, *argument, *help;
        int value;
        unsigned mask; /* 0: of all commands */
} rows[] = {
        { "bus", "BUS", "system (default), session, or a D-Bus address", OPT_BUS, 0 },
        { "device", "DEVICE", "a device's number, path, name, or the beginning of its id; default: the first",
          OPT_DEVICE, 0 },
        { "timeout", "SECONDS", "how long to wait for an answer (5)", OPT_TIMEOUT, 0 },
        { "json", NULL, "JSON: one object, or one a line where the command goes on", OPT_JSON, 0 },
        { "no-legend", NULL, "tables without their first line", OPT_NO_LEGEND, 0 },
        { "no-ask-password", NULL, "ask nobody for a password: what needs one is denied", OPT_NO_ASK_PASSWORD,
          0 },
        { "quiet", NULL, "no hints (also -q)", 'q', 0 },
        { "help", NULL, "this (also -h)", 'h', 0 },
        { "version", NULL, "the version of ocfctl", OPT_VERSION, 0 },
        { "rt", "TYPE", "resource type, such as oic.r.switch.binary; may be given several times", OPT_RT,
          OPTION_TYPES },
        { "if", "INTERFACE",
          "interface, such as oic.if.s; may be given several times, the first is the default one", OPT_IF,
          OPTION_INTERFACES },
        { "if", "INTERFACE", "on this interface, such as oic.if.baseline", OPT_IF, OPTION_INTERFACE },
        { "name", "NAME", "name of the resource for people", OPT_NAME, OPTION_NAME },
        { "insecure", NULL, "may be reached over plain CoAP, where the administrator allows that",
          OPT_INSECURE, OPTION_INSECURE },
        { "linger", "SECONDS", "when this command is killed the resource answers 5.03 so long (0)",
          OPT_LINGER, OPTION_LINGER },
        { "query", "QUERY", "further query, such as x=y&z=1", OPT_QUERY, OPTION_QUERY },
        { "all", NULL, "the resources of ocfd itself, too", OPT_ALL, OPTION_ALL },
        { "yes", NULL, "do it without asking", OPT_YES, OPTION_YES },
        { "method", "METHOD", "just-works, random-pin or manufacturer-certificate; default: the best one",
          OPT_METHOD, OPTION_METHOD },
        { "pin", "PIN", "the PIN that the device shows; else you are asked for it", OPT_PIN, OPTION_METHOD },
        { "no-certificate", NULL, "give it no identity certificate", OPT_NO_CERTIFICATE, OPTION_METHOD },
        { "all", NULL, "each device that nobody owns", OPT_ALL, OPTION_METHOD },
        { "name", "NAME", "name of the security domain", OPT_NAME, OPTION_DOMAIN },
        { "forget", NULL, "drop the key of a device that is gone for good, without asking the device",
          OPT_FORGET, OPTION_FORCE },
};

int usage(const struct ctl *c, const char *format, ...) {
        va_list args;

        fprintf(stderr, "ocfctl%s%s: ", c->command ? " " : "", c->command ? c->command->name : "");
        va_start(args, format);
        vfprintf(stderr, format, args);
        va_end(args);
        fprintf(stderr, "\nTry: ocfctl%s%s --help\n", c->command ? " " : "",
                c->command ? c->command->name : "");
        return EXIT_USAGE;
}

/* ---- help ---- */

static void help_options(unsigned mask, bool of_command) {
        char left[64];

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                if (of_command ? !(rows[i].mask & mask) : rows[i].mask != 0)
                        continue;
                snprintf(left, sizeof(left), "--%s%s%s", rows[i].name, rows[i].argument ? " " : "",
                         rows[i].argument ? rows[i].argument : "");
                printf("  %-20s  %s\n", left, rows[i].help);
        }
}

static int help_all(void) {
        printf("usage: ocfctl [OPTION...] COMMAND ...\n"
               "Sees and uses ocfd, the OCF daemon. Without a command: status.\n\ncommands:\n");
        for (const struct command *k = commands; k->name; k++)
                printf("  %-20s  %s\n", k->name, k->summary);
        printf("\noptions of all commands:\n");
        help_options(0, false);
        printf("\nexit codes: 0 ok, 1 failed, 2 usage, 3 not found, 4 denied, 5 time-out, 6 ocfd is not "
               "running\n"
               "See ocfctl(1).\n");
        return flush_output(EXIT_OK);
}

static int help_command(const struct command *k) {
        printf("usage: ocfctl %s %s%s[OPTION...]\n\nWhat it is for: %s.\n%s", k->name, k->arguments,
               k->arguments[0] ? " " : "", k->summary, k->help);
        if (k->options) {
                printf("\noptions:\n");
                help_options(k->options, true);
        }
        printf("\noptions of all commands:\n");
        help_options(0, false);
        return flush_output(EXIT_OK);
}

/* ---- parsing ---- */

static bool seconds(const char *text, double max, uint64_t *ret_ms) {
        char *end;
        double s;

        errno = 0;
        s = strtod(text, &end);
        if (errno || end == text || *end || !(s >= 0 && s <= max))
                return false;
        *ret_ms = (uint64_t)(s * 1000 + 0.5);
        return true;
}

static int add_string(struct ctl *c, const char **strings, size_t *n, const char *option) {
        if (*n == OCFCTL_STRINGS_MAX)
                return usage(c, "--%s may be given %d times at most", option, OCFCTL_STRINGS_MAX);
        strings[(*n)++] = optarg;
        return -1;
}

/* Return: -1 to go on; exit code. */
static int take(struct ctl *c, int option) {
        switch (option) {
        case OPT_BUS:
                c->bus_address = optarg;
                return optarg[0] ? -1 : usage(c, "--bus: system, session, or a D-Bus address");
        case OPT_DEVICE:
                c->device = optarg;
                return -1;
        case OPT_TIMEOUT:
                if (!seconds(optarg, 60, &c->timeout_ms) || !c->timeout_ms)
                        return usage(c, "--timeout %s: seconds, at most 60, such as 0.5", optarg);
                c->has_timeout = true;
                return -1;
        case OPT_METHOD:
                c->method = optarg;
                return -1;
        case OPT_PIN:
                c->pin = optarg;
                return -1;
        case OPT_NO_CERTIFICATE:
                c->has_no_certificate = true;
                return -1;
        case OPT_FORGET:
                c->is_forced = true;
                return -1;
        case OPT_JSON:
                c->is_json = true;
                return -1;
        case OPT_NO_LEGEND:
                c->has_legend = false;
                return -1;
        case OPT_NO_ASK_PASSWORD:
                c->asks_nobody = true;
                return -1;
        case 'q':
                c->is_quiet = true;
                return -1;
        case 'h':
                c->is_help = true;
                return -1;
        case OPT_VERSION:
                printf("ocfctl %s\n", OCFD_VERSION);
                return flush_output(EXIT_OK);
        case OPT_RT:
                return add_string(c, c->types, &c->n_types, "rt");
        case OPT_IF:
                return add_string(c, c->interfaces, &c->n_interfaces, "if");
        case OPT_NAME:
                c->name = optarg;
                return -1;
        case OPT_INSECURE:
                c->is_insecure = true;
                return -1;
        case OPT_LINGER:
                if (!seconds(optarg, 600, &c->linger_ms))
                        return usage(c, "--linger %s: seconds, at most 600", optarg);
                return -1;
        case OPT_QUERY:
                c->query = optarg;
                return -1;
        case OPT_ALL:
                c->is_all = true;
                return -1;
        case OPT_YES:
                c->is_yes = true;
                return -1;
        default: /* getopt's own '?' and ':' */
                return EXIT_USAGE;
        }
}

static void fill(struct option *options, unsigned mask) {
        size_t n = 0;

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
                if (!rows[i].mask || rows[i].mask & mask)
                        options[n++] = (struct option){ rows[i].name,
                                                        rows[i].argument ? required_argument : no_argument,
                                                        NULL, rows[i].value };
        options[n] = (struct option){ 0 };
}

static int parse(struct ctl *c, int argc, char **argv, unsigned mask, const char *how) {
        struct option options[ARRAY_SIZE(rows) + 1];
        int option, r = -1;

        fill(options, mask);
        opterr = 0;
        optind = 0; /* GNU: begin anew */
        while (r == -1 && (option = getopt_long(argc, argv, how, options, NULL)) != -1) {
                if (option == '?' && optopt && optopt < 256)
                        return usage(c, "unknown option -%c", optopt);
                if (option == '?')
                        return usage(c, "unknown option %s", argv[optind - 1]);
                if (option == ':')
                        return usage(c, "%s wants a value", argv[optind - 1]);
                r = take(c, option);
        }
        return r;
}

static int check(const struct ctl *c) {
        const struct command *k = c->command;

        if (c->n_args < k->n_args_min)
                return usage(c, "it wants %s", k->arguments);
        if (k->n_args_max >= 0 && c->n_args > k->n_args_max)
                return usage(c, "\"%s\" is one argument too many", c->args[k->n_args_max]);
        if ((k->options & OPTION_INTERFACE) && c->n_interfaces > 1)
                return usage(c, "--if may be given once");
        if ((k->options & OPTION_TYPES) && !c->n_types)
                return usage(c, "a resource has a type: --rt oic.r.switch.binary, for example");
        return -1;
}

int options_parse(struct ctl *c, int argc, char **argv) {
        int first, r = parse(c, argc, argv, 0, "+:hq");

        if (r != -1)
                return r;
        first = optind;
        if (first == argc && c->is_help)
                return help_all();
        for (const struct command *k = commands; k->name && !c->command; k++)
                if (strcmp(k->name, first == argc ? "status" : argv[first]) == 0)
                        c->command = k;
        if (!c->command)
                return usage(c, "there is no command \"%s\"", argv[first]);
        if (first < argc) {
                r = parse(c, argc - first, argv + first, c->command->options, ":hq");
                if (r != -1)
                        return r;
                c->args = argv + first + optind;
                c->n_args = argc - first - optind;
        }
        return c->is_help ? help_command(c->command) : check(c);
}
