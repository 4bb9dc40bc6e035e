#include "security.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <systemd/sd-login.h>
#include <unistd.h>

/*
 * The password of an administrator, asked for on this terminal: polkit's own
 * agent for terminals stands beside us as long as a call that may want it. Where
 * the session has an agent, such as that of a desktop, that one is asked instead.
 */

#define READY_MS 10000 /* for the agent to tell polkit of itself */

bool ask_is_possible(const struct ctl *c) {
        return !c->asks_nobody && isatty(STDIN_FILENO);
}

/* It talks to the terminal by itself; what it says of a bus without polkit is nothing to us. Where there is
 * no session, nobody else could be asked, and polkit would not fall back on it.
 */
static void become_agent(int ready) {
        const char *fallback = sd_pid_get_session(0, NULL) < 0 ? NULL : "--fallback";
        char fd[16];
        int null = open("/dev/null", O_RDWR);

        (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
        (void)fcntl(ready, F_SETFD, 0);
        for (int i = 0; null >= 0 && i < 3; i++)
                (void)dup2(null, i);
        snprintf(fd, sizeof(fd), "%d", ready);
        execlp("pkttyagent", "pkttyagent", "--notify-fd", fd, fallback, (char *)NULL);
        _exit(127);
}

/* Until it has told polkit of itself, or is gone: either closes the pipe. */
static void await_ready(int fd) {
        struct pollfd p = { .fd = fd, .events = POLLIN };

        while (poll(&p, 1, READY_MS) < 0 && errno == EINTR)
                ;
}

void ask_begin(const struct ctl *c, struct ask *ret) {
        int ends[2];

        *ret = (struct ask){ .agent = 0 };
        /* polkit is on the system bus, and asks nobody about root */
        if (!ask_is_possible(c) || geteuid() == 0 || strcmp(c->bus_address, "system") != 0 ||
            pipe2(ends, O_CLOEXEC) < 0)
                return;
        ret->agent = fork();
        if (ret->agent == 0)
                become_agent(ends[1]);
        close(ends[1]);
        if (ret->agent > 0)
                await_ready(ends[0]);
        close(ends[0]);
}

void ask_end(struct ask *a) {
        if (a->agent <= 0)
                return;
        (void)kill(a->agent, SIGTERM);
        (void)kill(a->agent, SIGCONT);
        while (waitpid(a->agent, NULL, 0) < 0 && errno == EINTR)
                ;
        a->agent = 0;
}
