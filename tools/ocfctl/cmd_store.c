#include "security.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* store: what the daemon remembers, checked, copied and put back. Files are opened here, by who types, and go
 * over the bus as descriptors. */

static const struct verb {
        const char *name, *member;
        bool takes_file;
        int flags;
} verbs[] = {
        { "check", "Check", false, 0 },
        { "backup", "Backup", true, O_WRONLY | O_CREAT | O_EXCL },
        { "restore", "Restore", true, O_RDONLY },
        { "rekey", "Rekey", false, 0 },
};

static const struct verb *verb_of(const char *name) {
        for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
                if (strcmp(verbs[i].name, name) == 0)
                        return &verbs[i];
        return NULL;
}

/* Return: exit code. */
static int open_file(struct ctl *c, const struct verb *v, int *ret) {
        *ret = open(c->args[1], v->flags | O_CLOEXEC, 0600);
        if (*ret >= 0)
                return EXIT_OK;
        complain(c, "%s: %s", c->args[1],
                 errno == EEXIST ? "it is there already, and is left as it is" : strerror(errno));
        return EXIT_FAILED;
}

static int confirm(struct ctl *c, const struct verb *v) {
        char answer[16];

        if (c->is_yes || strcmp(v->name, "restore") != 0)
                return EXIT_OK;
        if (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO))
                return usage(c,
                             "it puts the copy in the place of all that ocfd remembers now: --yes says that "
                             "this is meant");
        fprintf(stderr,
                "All that ocfd remembers now is replaced by the copy, and ocfd starts again. Go on? [y/N] ");
        if (fgets(answer, sizeof(answer), stdin) &&
            (strcmp(answer, "y\n") == 0 || strcmp(answer, "yes\n") == 0))
                return EXIT_OK;
        remark(c, "Nothing was changed.");
        return EXIT_FAILED;
}

static int run(struct ctl *c, const struct verb *v, int fd) {
        sd_bus_message *m = NULL, *reply = NULL;
        const char *report = "";
        int r = bus_new_call(c, &m, "/org/ocfd", "org.ocfd.Store1", v->member), code;

        if (r >= 0 && v->takes_file)
                r = sd_bus_message_append_basic(m, 'h', &fd);
        code = r < 0 ? bus_trouble(c, r) : security_send(c, m, &reply);
        if (!code) {
                r = sd_bus_message_read_basic(reply, 's', &report);
                code = r < 0 ? bus_trouble(c, r) : EXIT_OK;
        }
        if (!code && c->is_json) {
                code = print_json(c, json_pack("{s:s, s:s}", "done", v->name, "report", report));
        } else if (!code) {
                print_text(report);
                putchar('\n');
        }
        sd_bus_message_unref(m);
        sd_bus_message_unref(reply);
        return code;
}

/* What can be done about the store then. */
static void hint_without_daemon(const struct ctl *c, const struct verb *v) {
        if (strcmp(v->name, "check") == 0)
                hint(c,
                     "as the user ocfd runs as, or root: ocfd --check-store looks at the store without it");
        else if (strcmp(v->name, "restore") == 0)
                hint(c,
                     "as the user ocfd runs as, or root: ocfd --restore-store %s puts it in place without it",
                     c->args[1]);
}

int cmd_store(struct ctl *c) {
        const struct verb *v = verb_of(c->args[0]);
        int fd = -1, code;

        if (!v)
                return usage(c, "\"%s\" is not check, backup FILE, restore FILE or rekey", c->args[0]);
        if (v->takes_file != (c->n_args == 2))
                return usage(c, v->takes_file ? "store %s wants a FILE" : "store %s wants no FILE", v->name);
        code = confirm(c, v);
        if (!code)
                code = bus_open(c);
        if (!code && v->takes_file)
                code = open_file(c, v, &fd);
        if (!code)
                code = run(c, v, fd);
        if (code == EXIT_NOT_RUNNING)
                hint_without_daemon(c, v);
        if (fd >= 0)
                close(fd);
        if (code && fd >= 0 && v->flags & O_CREAT)
                (void)unlink(c->args[1]); /* ours, and worth nothing */
        return code;
}
