/*
 * A dbus-broker of one's own, without systemd.
 *
 * dbus-broker does nothing until a controller tells it what to serve, and the
 * controller it comes with needs systemd as PID 1. This one does the least:
 * it listens at a path, starts the broker with one end of a socket pair, hands
 * it the listening socket with a policy that allows everything, and stays until
 * either of them goes.
 *
 *     broker_controller PATH
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-id128.h>
#include <unistd.h>

/* dbus-broker(1) has no page for these: the types are those of its launcher. */
#define POLICY_BATCH "bta(btbs)a(btssssuutt)a(btssssuutt)"
#define POLICY       "a(u(" POLICY_BATCH "))a(buu(" POLICY_BATCH "))a(ss)bs"

enum { EVERY_UID = UINT32_MAX, ANY_TYPE = 0, BROADCAST_OR_NOT = 0 };

static int fail(const char *what, int r) {
        fprintf(stderr, "broker_controller: %s: %s\n", what, strerror(-r));
        return EXIT_FAILURE;
}

static int listen_at(const char *path) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int fd;

        if (strlen(path) >= sizeof(address.sun_path))
                return -ENAMETOOLONG;
        memcpy(address.sun_path, path, strlen(path));
        umask(0); /* whoever finds the path may connect */
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 512) < 0)
                return -errno;
        return fd;
}

static void start_broker(int controller, pid_t parent) {
        char fd[16], id[SD_ID128_STRING_MAX] = "0123456789abcdef0123456789abcdef";
        sd_id128_t machine;

        if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
                _exit(EXIT_FAILURE);
        if (sd_id128_get_machine(&machine) >= 0)
                sd_id128_to_string(machine, id);
        snprintf(fd, sizeof(fd), "%d", dup(controller)); /* the copy survives exec */
        execlp("dbus-broker", "dbus-broker", "--controller", fd, "--machine-id", id, "--max-bytes",
               "536870912", "--max-fds", "4096", "--max-matches", "131072", "--max-objects", "65536", NULL);
        fprintf(stderr, "broker_controller: dbus-broker: %s\n", strerror(errno));
        _exit(127);
}

static int append_policy(sd_bus_message *m) {
        /* One batch, for every uid: connect, own any name, send and receive anything. */
        return sd_bus_message_append(m, "v", "(" POLICY ")", 1, (uint32_t)EVERY_UID,        /* whose */
                                     1, UINT64_C(1),                                        /* connect */
                                     1, 1, UINT64_C(1), 1, "",                              /* own */
                                     1, 1, UINT64_C(1), "", "", "", "", (uint32_t)ANY_TYPE, /* send */
                                     (uint32_t)BROADCAST_OR_NOT, UINT64_C(0), UINT64_MAX,   /**/
                                     1, 1, UINT64_C(1), "", "", "", "", (uint32_t)ANY_TYPE, /* receive */
                                     (uint32_t)BROADCAST_OR_NOT, UINT64_C(0), UINT64_MAX,   /**/
                                     0, 0, 0, "");
}

static int add_listener(sd_bus *bus, int listener) {
        sd_bus_error error = SD_BUS_ERROR_NULL;
        sd_bus_message *m = NULL;
        int r;

        r = sd_bus_message_new_method_call(bus, &m, NULL, "/org/bus1/DBus/Broker", "org.bus1.DBus.Broker",
                                           "AddListener");
        if (r >= 0)
                r = sd_bus_message_append(m, "oh", "/org/bus1/DBus/Listener/0", listener);
        if (r >= 0)
                r = append_policy(m);
        if (r >= 0)
                r = sd_bus_call(bus, m, 0, &error, NULL);
        if (r < 0 && error.message)
                fprintf(stderr, "broker_controller: AddListener: %s\n", error.message);
        sd_bus_message_unref(m);
        sd_bus_error_free(&error);
        return r;
}

static int serve(int controller, int listener) {
        sd_bus *bus = NULL;
        int r;

        r = sd_bus_new(&bus);
        if (r >= 0)
                r = sd_bus_set_fd(bus, controller, controller);
        if (r >= 0)
                r = sd_bus_start(bus);
        if (r >= 0)
                r = add_listener(bus, listener);
        while (r >= 0) {
                r = sd_bus_process(bus, NULL);
                if (r == 0)
                        r = sd_bus_wait(bus, UINT64_MAX);
        }
        sd_bus_unref(bus);
        return r;
}

int main(int argc, char **argv) {
        int pair[2], listener, r;
        pid_t self = getpid(), broker;

        if (argc != 2) {
                fputs("Usage: broker_controller PATH\n", stderr);
                return 2;
        }
        listener = listen_at(argv[1]);
        if (listener < 0)
                return fail(argv[1], listener);
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
                return fail("socketpair", -errno);
        broker = fork();
        if (broker < 0)
                return fail("fork", -errno);
        if (broker == 0)
                start_broker(pair[1], self);
        close(pair[1]);
        r = serve(pair[0], listener);
        return r == -ECONNRESET || r == -ENOTCONN ? EXIT_SUCCESS : fail("broker", r);
}
