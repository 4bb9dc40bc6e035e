/*
 * The least that a request handled by an app costs on the bus: two programs on
 * sd-bus, one calls as ocfd calls org.ocfd.Handler1, the other walks over what
 * came and answers a small value. No CoAP, no model, nothing kept: what remains
 * is sd-bus and the kernel.
 *
 *     bus_floor BUS SECONDS OUTSTANDING
 *
 * Prints us= for caller and answerer, per call.
 */
#include "common.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-bus.h>
#include <unistd.h>

#define NAME "org.ocfd.bench"

static uint64_t n_answers, n_wrong;

static void must(int r, const char *what) {
        if (r >= 0)
                return;
        errno = -r;
        bench_die(what);
}

static sd_bus *open_bus(const char *address) {
        sd_bus *bus;

        must(sd_bus_new(&bus), "bus");
        must(sd_bus_set_address(bus, address), "address");
        must(sd_bus_set_bus_client(bus, 1), "bus");
        must(sd_bus_start(bus), "connect");
        return bus;
}

/* Once over all pairs: the least that anybody does who wants one of them. */
static int read_pairs(sd_bus_message *m) {
        const char *key;
        int r = sd_bus_message_enter_container(m, 'a', "{sv}");

        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                r = sd_bus_message_read_basic(m, 's', &key);
                if (r >= 0)
                        r = sd_bus_message_skip(m, "v");
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
        }
        return r;
}

/* ---- who answers ---- */

static int on_handle(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const char *method, *href;

        must(sd_bus_message_read(m, "ss", &method, &href), "read");
        must(read_pairs(m), "read");
        return sd_bus_reply_method_return(m, "a{sv}", 1, "value", "a{sv}", 2, "value", "b", 1, "brightness",
                                          "x", (int64_t)100);
}

static const sd_bus_vtable handler[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD("Handle", "ssa{sv}", "a{sv}", on_handle, SD_BUS_VTABLE_UNPRIVILEGED), SD_BUS_VTABLE_END
};

static void serve(sd_bus *bus) {
        for (;;) {
                int r = sd_bus_process(bus, NULL);

                if (r == 0)
                        r = sd_bus_wait(bus, UINT64_MAX);
                if (r < 0)
                        exit(0); /* the bus is gone, or the caller */
        }
}

static _Noreturn void answerer(const char *address) {
        sd_bus *bus = open_bus(address);

        must(sd_bus_add_object_vtable(bus, NULL, "/lamp", "org.ocfd.Handler1", handler, NULL), "object");
        must(sd_bus_request_name(bus, NAME, 0), "name");
        serve(bus);
        exit(0);
}

/* ---- who calls ---- */

static int on_reply(sd_bus_message *m, void *userdata, sd_bus_error *error);

static void call(sd_bus *bus) {
        sd_bus_message *m;

        must(sd_bus_message_new_method_call(bus, &m, NAME, "/lamp", "org.ocfd.Handler1", "Handle"), "call");
        must(sd_bus_message_append(m, "ssa{sv}", "retrieve", "/lamp", 4, "interface", "s", "oic.if.a",
                                   "secure", "b", 0, "notify", "b", 0, "timeout_ms", "u", 4000u),
             "append");
        must(sd_bus_call_async(bus, NULL, m, on_reply, NULL, 0), "send");
        sd_bus_message_unref(m);
}

static int on_reply(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        n_wrong += sd_bus_message_is_method_error(m, NULL) || read_pairs(m) < 0;
        n_answers++;
        call(sd_bus_message_get_bus(m));
        return 0;
}

static void run(sd_bus *bus, uint64_t until_ns) {
        while (bench_now_ns() < until_ns) {
                int r = sd_bus_process(bus, NULL);

                must(r, "process");
                if (r == 0)
                        must(sd_bus_wait(bus, 100000), "wait");
        }
}

static bool has_owner(sd_bus *bus) {
        return sd_bus_call_method(bus, "org.freedesktop.DBus", "/org/freedesktop/DBus",
                                  "org.freedesktop.DBus", "GetNameOwner", NULL, NULL, "s", NAME) >= 0;
}

int main(int argc, char **argv) {
        struct bench_cpu cpu = { 0 };
        char text[2][16];
        pid_t child;
        sd_bus *bus;

        if (argc != 4) {
                fputs("Usage: bus_floor BUS SECONDS OUTSTANDING\n", stderr);
                return BENCH_TROUBLE;
        }
        child = fork();
        if (child < 0)
                bench_die("fork");
        if (child == 0)
                answerer(argv[1]);
        snprintf(text[0], sizeof(text[0]), "%d", getpid());
        snprintf(text[1], sizeof(text[1]), "%d", child);
        bench_cpu_add(&cpu, text[0]);
        bench_cpu_add(&cpu, text[1]);
        bus = open_bus(argv[1]);
        for (int i = 0; i < 200 && !has_owner(bus); i++)
                usleep(10000);
        for (int i = 0; i < atoi(argv[3]); i++)
                call(bus);
        run(bus, bench_now_ns() + 300000000u); /* warm */
        n_answers = 0;
        bench_cpu_start(&cpu);
        run(bus, bench_now_ns() + (uint64_t)atoi(argv[2]) * 1000000000u);
        printf("requests=%llu wrong=%llu", (unsigned long long)n_answers, (unsigned long long)n_wrong);
        bench_cpu_print(&cpu, n_answers);
        putchar('\n');
        kill(child, SIGTERM);
        return n_wrong || !n_answers ? BENCH_WRONG : BENCH_OK;
}
