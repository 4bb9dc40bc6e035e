/*
 * ocfd: options, configuration, and then the daemon, or one look at what is
 * there without it.
 */
#include "base/error.h"
#include "daemon/apps.h"
#include "daemon/config.h"
#include "daemon/daemon.h"
#include "daemon/diag.h"
#include "daemon/store.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* As systemd.exec(5) knows them. */
enum { STATUS_USAGE = 2, STATUS_NOTCONFIGURED = 6 };

static void usage(FILE *to) {
        fputs("Usage: ocfd [--config FILE] [--check | --check-store | --restore-store BACKUP]\n"
              "The OCF daemon: puts resources of local applications on the network.\n"
              "\n"
              "  -c, --config FILE  read FILE instead of " CONFIG_FILE_DEFAULT "\n"
              "                     (and FILE's own directory FILE.d instead of ocfd.conf.d)\n"
              "      --check        read the configuration and apps.d, say what is wrong, and end\n"
              "      --check-store  look at the store while no ocfd runs, say how it is, and end\n"
              "      --restore-store BACKUP\n"
              "                     put a backup in the place of the store while no ocfd runs, and end\n"
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

/* A key that only the service is given is not here; the store would seem to have lost it. */
static void hint_at_credential(int r) {
        if ((r == STORE_E_SEALED || r == STORE_E_KEY) && !getenv("CREDENTIALS_DIRECTORY"))
                fputs("If the service has its key as a credential (" STORE_KEY_CREDENTIAL
                      "), run this with it: see ocfd(8).\n",
                      stderr);
}

/* backup NULL: it is looked at, and left as it is. */
static int visit_store(const struct config *config, const char *backup) {
        char *text = NULL;
        int r = backup ? store_restore_directory(config->state_directory, backup, &text)
                       : store_check_directory(config->state_directory, &text);

        if (r && backup)
                fprintf(stderr, "%s: ", backup);
        fprintf(r ? stderr : stdout, "%s%s\n", text ? text : strerror(ENOMEM),
                backup && !r ? " It is what the next start of ocfd finds." : "");
        hint_at_credential(r);
        free(text);
        return r;
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
        enum { OPTION_CHECK = 256, OPTION_CHECK_STORE, OPTION_RESTORE_STORE, OPTION_VERSION };
        static const struct option options[] = {
                { "config", required_argument, NULL, 'c' },
                { "check", no_argument, NULL, OPTION_CHECK },
                { "check-store", no_argument, NULL, OPTION_CHECK_STORE },
                { "restore-store", required_argument, NULL, OPTION_RESTORE_STORE },
                { "help", no_argument, NULL, 'h' },
                { "version", no_argument, NULL, OPTION_VERSION },
                { 0 },
        };
        struct config config = { 0 };
        const char *file = NULL, *backup = NULL;
        int verb = 0, option, r;

        while ((option = getopt_long(argc, argv, "c:h", options, NULL)) >= 0) {
                switch (option) {
                case 'c':
                        file = optarg;
                        break;
                case OPTION_CHECK:
                case OPTION_CHECK_STORE:
                case OPTION_RESTORE_STORE:
                        if (verb && verb != option) {
                                fputs("ocfd: one of --check, --check-store and --restore-store at a time.\n",
                                      stderr);
                                return STATUS_USAGE;
                        }
                        verb = option;
                        backup = optarg;
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
        if (verb == OPTION_CHECK)
                r = check_rules(&config);
        else if (verb)
                r = visit_store(&config, backup) ? -EIO : 0;
        else
                do
                        r = serve(&config);
                while (r == DAEMON_E_RESTART);
        config_deinit(&config);
        return r == 0 ? EXIT_SUCCESS : r == DAEMON_E_REFUSED ? STATUS_NOTCONFIGURED : EXIT_FAILURE;
}
