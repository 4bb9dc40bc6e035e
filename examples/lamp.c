/*
 * A lamp that answers requests itself, in an event loop of its own.
 *
 *     lamp [BUS]      BUS: "system" (default), "session" or a D-Bus address
 *
 * What it does on the network: GET /lamp says whether it is on and how bright,
 * POST sets it, observers hear of it. kill -USR2 is the switch on the wall. Restart ocfd or
 * the bus as you like: the library registers the lamp again.
 */
#include <errno.h>
#include <ocfclient.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

struct lamp {
        struct ocf_resource *resource;
        bool on;
        int64_t brightness; /* 0 to 100 */
};

static void answer(const struct lamp *lamp, struct ocf_request *request) {
        struct ocf_value *v = NULL;
        int r = ocf_value_new_map(&v);

        if (r == 0)
                r = ocf_value_set_bool(v, "value", lamp->on);
        if (r == 0)
                r = ocf_value_set_int(v, "brightness", lamp->brightness);
        if (r == 0)
                ocf_request_respond(request, v);
        else
                ocf_request_fail(request, OCF_E_FAILED, NULL);
        ocf_value_free(v);
}

static void on_retrieve(void *userdata, struct ocf_request *request) {
        answer(userdata, request);
}

/* Look at everything first, then change: an update is done whole or not at all. */
static void on_update(void *userdata, struct ocf_request *request) {
        struct lamp *lamp = userdata;
        const struct ocf_value *v = ocf_request_value(request);
        bool on = lamp->on;
        int64_t brightness = lamp->brightness;

        if (ocf_value_get(v, "value") && !ocf_value_get_bool(v, "value", &on)) {
                ocf_request_fail(request, OCF_E_BAD_REPRESENTATION, "value is true or false");
                return;
        }
        if (ocf_value_get(v, "brightness") &&
            (!ocf_value_get_int(v, "brightness", &brightness) || brightness < 0 || brightness > 100)) {
                ocf_request_fail(request, OCF_E_BAD_REPRESENTATION, "brightness goes from 0 to 100");
                return;
        }
        lamp->on = on;
        lamp->brightness = brightness;
        printf("the lamp is %s, brightness %d\n", on ? "on" : "off", (int)brightness);
        answer(lamp, request); /* ocfd tells observers */
}

/* The switch on the wall: this change ocfd hears of from us. */
static void on_switch(struct lamp *lamp) {
        lamp->on = !lamp->on;
        printf("somebody switches it %s\n", lamp->on ? "on" : "off");
        ocf_resource_changed(lamp->resource);
}

static void on_state(void *userdata, enum ocf_state state, int result, const char *text) {
        static const char *const names[] = { "connecting", "ready", "waiting", "refused" };

        printf("%s%s%s\n", names[state], text[0] ? ": " : "", text);
}

static int make_lamp(struct ocf_client *client, struct lamp *lamp) {
        int r = ocf_resource_new(&lamp->resource, client, "/lamp");

        if (r == 0)
                r = ocf_resource_add_type(lamp->resource, "oic.r.switch.binary");
        if (r == 0)
                r = ocf_resource_add_type(lamp->resource, "oic.r.light.brightness");
        if (r == 0)
                r = ocf_resource_add_interface(lamp->resource, "oic.if.a");
        if (r == 0) /* over plain CoAP too, where the administrator allows that */
                r = ocf_resource_set_policy(lamp->resource, OCF_DISCOVERABLE | OCF_OBSERVABLE | OCF_INSECURE);
        if (r == 0)
                r = ocf_resource_set_handler(lamp->resource, OCF_RETRIEVE, on_retrieve, lamp);
        if (r == 0)
                r = ocf_resource_set_handler(lamp->resource, OCF_UPDATE, on_update, lamp);
        if (r == 0)
                r = ocf_resource_register(lamp->resource);
        return r;
}

/* Any loop will do: one descriptor to watch for reading, one function to call. */
static int loop(struct ocf_client *client, struct lamp *lamp, int signals) {
        struct pollfd fds[] = { { ocf_client_fd(client), POLLIN, 0 }, { signals, POLLIN, 0 } };
        struct signalfd_siginfo info;
        int r;

        while ((r = ocf_client_process(client)) == 0) {
                if (poll(fds, 2, -1) < 0)
                        return -errno;
                if (!fds[1].revents || read(signals, &info, sizeof(info)) != sizeof(info))
                        continue;
                if (info.ssi_signo != SIGUSR2)
                        return 0;
                on_switch(lamp);
        }
        return r;
}

int main(int argc, char **argv) {
        struct lamp lamp = { .brightness = 100 };
        struct ocf_client *client = NULL;
        sigset_t set;
        int r, signals;

        setvbuf(stdout, NULL, _IOLBF, 0);
        sigemptyset(&set);
        sigaddset(&set, SIGINT);
        sigaddset(&set, SIGTERM);
        sigaddset(&set, SIGUSR2);
        sigprocmask(SIG_BLOCK, &set, NULL);
        signals = signalfd(-1, &set, SFD_CLOEXEC);

        r = ocf_client_new(&client, argc > 1 ? argv[1] : "system");
        if (r == 0)
                r = ocf_client_set_name(client, "lamp", 0);
        if (r == 0)
                r = ocf_client_on_state(client, on_state, NULL);
        if (r == 0)
                r = make_lamp(client, &lamp);
        if (r == 0)
                r = loop(client, &lamp, signals);
        ocf_client_free(client); /* takes the lamp back */
        close(signals);
        if (r < 0)
                fprintf(stderr, "lamp: %s\n", ocf_result_name(r));
        return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
