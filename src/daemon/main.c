/*
 * ocfd: options, configuration, and then the daemon.
 */
#include "base/error.h"
#include "daemon/apps.h"
#include "daemon/config.h"
#include "daemon/daemon.h"
#include "daemon/diag.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* As systemd.exec(5) knows them. */
enum { STATUS_USAGE = 2, STATUS_NOTCONFIGURED = 6 };

static void usage(FILE *to) {
        fputs("Usage: ocfd [--config FILE] [--check]\n"
              "The OCF daemon: puts resources of local applications on the network.\n"
              "\n"
              "  -c, --config FILE  read FILE instead of " CONFIG_FILE_DEFAULT "\n"
              "                     (and FILE's own directory FILE.d instead of ocfd.conf.d)\n"
              "      --check        read the configuration and apps.d, say what is wrong, and end\n"
              "  -h, --help         show this\n"
              "      --version      show the version\n"
              "\n"
              "It runs as an ordinary user, needs no configuration file, and tells systemd when it is "
              "ready.\n"
              "See ocfd(8), ocfd.conf(5); ocfctl(1) shows what it does.\n",
              to);
}

static void told(void *context, const char *message) {
        fprintf(stderr, "%s\n", message);
}

static int load(struct config *config, const char *file) {
        int r = config_load(config, file, told, NULL);

        if (r < 0)
                fprintf(stderr, "ocfd: cannot read %s: %s\n", file ? file : CONFIG_FILE_DEFAULT,
                        strerror(-r));
        return r;
}

/* What serve() would refuse before it begins: the rules belong to the configuration. */
static int check_rules(const struct config *config) {
        struct apps_rules *rules = NULL;
        int r = apps_load(&rules, config->apps_directory, told, NULL);

        if (r < 0)
                fprintf(stderr, "ocfd: cannot read %s: %s\n", config->apps_directory, strerror(-r));
        if (!r)
                puts("The configuration is valid.");
        apps_free(rules);
        return r ? DAEMON_E_REFUSED : 0;
}

/* While nobody listens for them they wait: between two runs of a daemon that starts again, too. */
static void hold_signals(int how) {
        sigset_t set;

        sigemptyset(&set);
        sigaddset(&set, SIGTERM);
        sigaddset(&set, SIGINT);
        (void)sigprocmask(how, &set, NULL);
}

static int serve(const struct config *config) {
        struct daemon *d;
        int r;

        diag_open(config->log_level);
        hold_signals(SIG_BLOCK);
        r = daemon_new(&d, config);
        if (!r) {
                hold_signals(SIG_UNBLOCK);
                r = daemon_run(d);
                hold_signals(SIG_BLOCK);
                daemon_free(d);
        }
        if (r < 0)
                diag_surprise(r);
        diag_close();
        return r;
}

int main(int argc, char **argv) {
        enum { OPTION_CHECK = 256, OPTION_VERSION };
        static const struct option options[] = {
                { "config", required_argument, NULL, 'c' },
                { "check", no_argument, NULL, OPTION_CHECK },
                { "help", no_argument, NULL, 'h' },
                { "version", no_argument, NULL, OPTION_VERSION },
                { 0 },
        };
        struct config config = { 0 };
        const char *file = NULL;
        bool check = false;
        int option, r;

        while ((option = getopt_long(argc, argv, "c:h", options, NULL)) >= 0) {
                switch (option) {
                case 'c':
                        file = optarg;
                        break;
                case OPTION_CHECK:
                        check = true;
                        break;
                case 'h':
                        usage(stdout);
                        return EXIT_SUCCESS;
                case OPTION_VERSION:
                        puts("ocfd " OCFD_VERSION);
                        return EXIT_SUCCESS;
                default: /* getopt has said what is wrong */
                        fputs("Try ocfd --help.\n", stderr);
                        return STATUS_USAGE;
                }
        }
        if (optind < argc) {
                fprintf(stderr, "ocfd: it takes no argument such as '%s'. Try ocfd --help.\n", argv[optind]);
                return STATUS_USAGE;
        }
        r = load(&config, file);
        if (r) {
                config_deinit(&config);
                return STATUS_NOTCONFIGURED;
        }
        do
                r = check ? check_rules(&config) : serve(&config);
        while (r == DAEMON_E_RESTART);
        config_deinit(&config);
        return r == 0 ? EXIT_SUCCESS : r == DAEMON_E_REFUSED ? STATUS_NOTCONFIGURED : EXIT_FAILURE;
}
