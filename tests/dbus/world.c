#include "../unit.h"
#include "world.h"
#include "base/memory.h"
#include "model/route.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE_US 60000000u /* valgrind, on a busy machine */

static uint64_t monotonic_us(void) {
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* ---- what the daemon would do ---- */

static uint64_t fake_now(void *context) {
        return monotonic_us() / 1000;
}

static int fake_register(void *context, const struct bus_caller *caller, uint16_t device,
                         const struct app_spec *app, const struct resource_spec *specs, size_t n_specs,
                         struct app **ret, struct model_refusal *refusal) {
        struct world *w = context;

        assert_int_equal(caller->uid, getuid());
        assert_int_equal(caller->pid, getpid());
        assert_string_equal(caller->name, app->owner);
        if (w->refuses_apps) {
                *refusal = (struct model_refusal){ FAULT_NOT_ALLOWED, "No rule admits it" };
                return BUS_E_REFUSED;
        }
        return model_register(w->model, fake_now(w), device, app, specs, n_specs, ret, refusal);
}

static void fake_unregister(void *context, struct app *app, struct resource *resource) {
        model_unregister(((struct world *)context)->model, app, resource);
}

static int fake_publish(void *context, struct resource *resource, struct span rep, bool replace,
                        struct model_refusal *refusal) {
        return resource_publish(resource, rep, replace, refusal);
}

static void fake_changed(void *context, struct resource *resource) {
        resource_changed(resource);
}

static void fake_vanished(void *context, const char *owner) {
        struct world *w = context;
        struct app *app = model_app_by_owner(w->model, owner);

        w->n_vanished++;
        if (app)
                model_app_vanished(w->model, app, fake_now(w));
}

static void fake_bus_lost(void *context) {
        struct world *w = context;

        w->n_lost++;
        LIST_FOR_EACH_SAFE(i, &w->model->apps) {
                struct app *app = LIST_ENTRY(i, struct app, link);

                if (app->owner)
                        model_app_vanished(w->model, app, fake_now(w));
        }
}

static void fake_request(void *context, const struct bus_caller *caller, struct call *call) {
        struct world *w = context;
        struct ocf_response response = OCF_RESPONSE_OK(COAP_CONTENT);
        struct route route;

        if (w->holds) {
                list_link_tail(&w->held, &call->link);
                return;
        }
        assert_true(model_route(w->model, fake_now(w), &call->request, &route));
        if (!route.fault) {
                call->interface = route.interface;
                call->resource = route.resource->number;
                if (model_answer(w->model, &call->request, &route, &response) == MODEL_HANDLED) {
                        route.resource->handler->vtable->request(route.resource->handler, route.resource,
                                                                 call);
                        return;
                }
        } else {
                response = OCF_RESPONSE_FAULT(route.fault);
        }
        call_answer(call, &response);
}

struct channel {
        int fd;
};

static int fake_channel_open(void *context, const struct bus_caller *caller, struct channel **ret,
                             int *ret_fd) {
        struct world *w = context;
        int fds[2];

        if (w->refuses_channels)
                return BUS_E_REFUSED;
        assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
        *ret = calloc(1, sizeof(**ret));
        (*ret)->fd = fds[0];
        *ret_fd = fds[1];
        w->n_channels++;
        return 0;
}

/* Says over it that there is a request, and answers it itself. */
static bool fake_channel_request(void *context, struct channel *channel, const struct resource *resource,
                                 struct call *call) {
        struct ocf_response response = OCF_RESPONSE_OK(COAP_CONTENT);

        if (send(channel->fd, resource->href, strlen(resource->href), MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
                return false;
        response.rep = SPAN_LITERAL("\xa1\x65value\xf5");
        call_answer(call, &response);
        return true;
}

static void fake_channel_close(void *context, struct channel *channel) {
        ((struct world *)context)->n_channels--;
        close(channel->fd);
        free(channel);
}

static size_t fake_interfaces(void *context, const struct bus_interface_status **ret) {
        static const char *const addresses[] = { "192.0.2.1", "2001:db8::1" };
        static const struct bus_interface_status all[] = {
                { "eth0", 2, true, "", addresses, 2 },
                { "docker0", 3, false, "DenyInterfaces= names it", NULL, 0 },
        };

        *ret = all;
        return 2;
}

static size_t fake_notices(void *context, const struct bus_notice **ret) {
        static const struct bus_notice all[] = { { "PortTaken", "Port 5683 is taken" } };

        *ret = all;
        return ((struct world *)context)->notices;
}

static size_t fake_counters(void *context, const struct bus_counter **ret) {
        static const struct bus_counter all[] = { { "requests", 7 }, { "duplicates", 1ull << 40 } };

        *ret = all;
        return 2;
}

/* ---- its security ---- */

static enum bus_admin fake_admin(void *context, const struct bus_caller *caller) {
        return ((struct world *)context)->admin;
}

static void fake_status(void *context, uint16_t device, struct bus_security_status *ret) {
        assert_int_equal(device, 0);
        *ret = ((struct world *)context)->status;
}

static enum fault fake_read(void *context, uint16_t device, const char *href, struct span *ret_rep) {
        if (strcmp(href, "/oic/sec/doxm") != 0)
                return strcmp(href, "/oic/sec/cred") == 0 ? FAULT_UNAVAILABLE : FAULT_NOT_FOUND;
        *ret_rep = SPAN_LITERAL("\xa1\x65owned\xf5");
        return FAULT_NONE;
}

static int fake_reset(void *context, uint16_t device, const char **ret_why) {
        struct world *w = context;

        *ret_why = w->reset_is_refused;
        if (w->reset_is_refused)
                return BUS_E_REFUSED;
        w->n_resets++;
        return 0;
}

static int fake_check_access(void *context, uint16_t device, const struct bus_access_question *q,
                             struct bus_access_answer *ret) {
        if (strcmp(q->subject, "anon-clear") != 0) {
                ret->problem = "There is no such subject";
                return BUS_E_REFUSED;
        }
        ret->granted = strcmp(q->href, "/lamp") == 0 && strcmp(q->method, "GET") == 0;
        ret->reason = ret->granted ? "an entry grants it" : "no entry grants it";
        ret->aceid = ret->granted ? 7 : 0;
        return 0;
}

static size_t fake_sessions(void *context, uint16_t device, const struct bus_session **ret) {
        static const char *const roles[] = { "oic.role.owner", "example" };
        static const struct bus_session all[] = {
                { .peer = "192.0.2.7:40000",
                  .transport = "dtls",
                  .suite = "ECDHE-PSK-AES128-CBC-SHA256",
                  .id = { { 0x11, 0x22 } },
                  .roles = roles,
                  .n_roles = 2,
                  .opened_s = 60,
                  .silent_s = 7 },
                { .peer = "[2001:db8::1]:5", .transport = "tls", .suite = "", .onboarding = true },
        };

        *ret = all;
        return 2;
}

static void fake_store(void *context, enum bus_store_work work, int fd, bus_store_done *done,
                       void *done_context) {
        struct world *w = context;

        w->n_stored++;
        w->store_work = work;
        w->store_fd = fd;
        w->store_done = done;
        w->store_context = done_context;
}

static const char *const transfers[] = { "just-works", "random-pin", NULL };

/* ---- the bus ---- */

static const char *const programs[] = { "/usr/bin/dbus-daemon", "/bin/dbus-daemon",
                                        "/usr/local/bin/dbus-daemon" };

static const char *program(void) {
        for (size_t i = 0; i < ARRAY_SIZE(programs); i++)
                if (access(programs[i], X_OK) == 0)
                        return programs[i];
        return NULL;
}

bool world_has_bus(void) {
        return program() != NULL;
}

/* The installed policy, with us in the place of its users. */
static void write_policy(FILE *to) {
        FILE *from = fopen(POLICY_FILE, "r");
        char line[512];

        assert_non_null(from);
        while (fgets(line, sizeof(line), from)) {
                if (strstr(line, "<policy user="))
                        fprintf(to, "<policy user=\"%u\">\n", getuid());
                else if (strstr(line, "<policy group="))
                        fprintf(to, "<policy group=\"%u\">\n", getgid());
                else if (!strstr(line, "<?xml") && !strstr(line, "<!DOCTYPE") && !strstr(line, "busconfig>"))
                        fputs(line, to);
        }
        fclose(from);
}

static void write_config(struct world *w) {
        char path[128];
        FILE *f;

        snprintf(path, sizeof(path), "%s/config", w->directory);
        f = fopen(path, "w");
        assert_non_null(f);
        fprintf(f,
                "<!DOCTYPE busconfig PUBLIC \"-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN\"\n"
                " \"http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd\">\n"
                "<busconfig><type>system</type><listen>%s</listen><auth>EXTERNAL</auth>\n"
                "<policy context=\"default\"><allow user=\"*\"/><deny own=\"*\"/>\n"
                "<deny send_type=\"method_call\"/><allow send_type=\"signal\"/>\n"
                "<allow send_requested_reply=\"true\" send_type=\"method_return\"/>\n"
                "<allow send_requested_reply=\"true\" send_type=\"error\"/>\n"
                "<allow receive_type=\"method_call\"/><allow receive_type=\"method_return\"/>\n"
                "<allow receive_type=\"error\"/><allow receive_type=\"signal\"/>\n"
                "<allow send_destination=\"org.freedesktop.DBus\"/>\n"
                "<allow own=\"org.freedesktop.PolicyKit1\"/></policy>\n", /* for the fake one */
                w->address);
        write_policy(f);
        fprintf(f, "</busconfig>\n");
        fclose(f);
}

/* That the socket is there is not enough: it may be bound, and nobody listens yet. */
static bool bus_answers(const char *path) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        bool answers;

        assert_true(fd >= 0);
        snprintf(address.sun_path, sizeof(address.sun_path), "%.*s", (int)sizeof(address.sun_path) - 1, path);
        answers = connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0;
        close(fd);
        return answers;
}

void world_bus_start(struct world *w) {
        char path[128], config[160];
        uint64_t deadline = 0;
        pid_t parent = getpid();

        snprintf(path, sizeof(path), "%s/bus", w->directory);
        snprintf(config, sizeof(config), "--config-file=%s/config", w->directory);
        w->daemon = fork();
        assert_true(w->daemon >= 0);
        if (w->daemon == 0) {
                /* A test that dies takes its bus along: also where it died before this was asked for. */
                if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
                        _exit(127);
                execl(program(), "dbus-daemon", config, "--nofork", "--nopidfile", "--nosyslog", NULL);
                _exit(127);
        }
        while (!bus_answers(path)) {
                assert_int_equal(waitpid(w->daemon, NULL, WNOHANG), 0);
                assert_false(world_expired(&deadline));
                usleep(1000);
        }
}

void world_bus_kill(struct world *w) {
        char path[128];

        kill(w->daemon, SIGKILL);
        waitpid(w->daemon, NULL, 0);
        snprintf(path, sizeof(path), "%s/bus", w->directory);
        unlink(path);
}

static void fill_control(struct world *w) {
        w->control = (struct bus_control){
                .context = w,
                .model = w->model,
                .version = "1.2.3",
                .started_us = 1700000000000000u,
                .allow_insecure = true,
                .admin_gid = getgid(),
                .security = { .admin = fake_admin,
                              .status = fake_status,
                              .read = fake_read,
                              .reset = fake_reset,
                              .check_access = fake_check_access,
                              .sessions = fake_sessions,
                              .store = fake_store },
                .now = fake_now,
                .register_app = fake_register,
                .unregister = fake_unregister,
                .publish = fake_publish,
                .changed = fake_changed,
                .vanished = fake_vanished,
                .bus_lost = fake_bus_lost,
                .request = fake_request,
                .channel_open = fake_channel_open,
                .channel_request = fake_channel_request,
                .channel_close = fake_channel_close,
                .interfaces = fake_interfaces,
                .notices = fake_notices,
                .counters = fake_counters,
        };
}

static void make_model(struct world *w) {
        static const uint64_t limits[_MODEL_QUOTA_N] = { 64, 12000, 64u << 20 };
        const struct platform_identity platform = { .manufacturer = "Example" };
        const struct device_identity identity = {
                .name = "Gateway",
                .type = "oic.d.light",
                .spec_version = "ocf.2.2.5",
                .data_model_version = "ocf.res.1.3.0",
        };
        struct device *device;

        assert_int_equal(model_new(&w->model, &platform, limits), 0);
        assert_int_equal(model_add_device(w->model, &identity, &device), 0);
}

int world_setup(void **state) {
        struct world *w = calloc(1, sizeof(*w));

        list_init(&w->held);
        snprintf(w->directory, sizeof(w->directory), "/tmp/ocfd-bus-XXXXXX");
        assert_non_null(mkdtemp(w->directory));
        chmod(w->directory, 0755);
        snprintf(w->address, sizeof(w->address), "unix:path=%s/bus", w->directory);
        write_config(w);
        world_bus_start(w);
        make_model(w);
        w->admin = BUS_ADMIN_ALWAYS;
        w->status = (struct bus_security_status){ .state = "RFOTM",
                                                  .transfer = "",
                                                  .transfers = transfers,
                                                  .sealed = "",
                                                  .domain = "",
                                                  .next_step = "Own it" };
        w->store_fd = -1;
        fill_control(w);
        world_client_fill(w);
        assert_int_equal(bus_new(&w->bus, &w->control, w->address), 0);
        WORLD_UNTIL(w, w->bus->state == BUS_READY);
        *state = w;
        return 0;
}

int world_teardown(void **state) {
        struct world *w = *state;
        struct model_event event;
        char path[128];

        bus_free(w->bus);
        for (size_t i = 0; i < w->n_clients; i++)
                sd_bus_close_unref(w->clients[i]);
        while (model_event(w->model, &event))
                ;
        model_free(w->model);
        world_client_free(w);
        world_bus_kill(w);
        snprintf(path, sizeof(path), "%s/config", w->directory);
        unlink(path);
        rmdir(w->directory);
        free(w);
        return 0;
}

/* ---- clients ---- */

sd_bus *world_client(struct world *w) {
        sd_bus *c;

        assert_true(sd_bus_new(&c) >= 0);
        assert_true(sd_bus_set_address(c, w->address) >= 0);
        assert_true(sd_bus_set_bus_client(c, true) >= 0);
        assert_true(sd_bus_start(c) >= 0);
        world_listen(w, c);
        WORLD_UNTIL(w, sd_bus_is_ready(c) > 0);
        return c;
}

void world_deaf(struct world *w, sd_bus *client) {
        for (size_t i = 0; i < w->n_clients; i++)
                if (w->clients[i] == client)
                        w->clients[i] = NULL;
}

void world_listen(struct world *w, sd_bus *client) {
        for (size_t i = 0; i < w->n_clients; i++)
                if (!w->clients[i]) {
                        w->clients[i] = client;
                        return;
                }
        assert_true(w->n_clients < WORLD_CLIENTS_MAX);
        w->clients[w->n_clients++] = client;
}

void world_client_close(struct world *w, sd_bus *client) {
        world_deaf(w, client);
        sd_bus_close_unref(client);
}

/* ---- time passes ---- */

bool world_expired(uint64_t *deadline_us) {
        if (!*deadline_us)
                *deadline_us = monotonic_us() + PATIENCE_US;
        return monotonic_us() > *deadline_us;
}

static void tell(struct world *w) {
        struct model_event event;

        while (model_event(w->model, &event))
                bus_tell(w->bus, &event);
        world_client_work(w);
}

static bool work(struct world *w) {
        bool any = false;

        for (int i = 0; i < 64; i++) {
                int r = bus_process(w->bus, monotonic_us());

                assert_true(r >= 0);
                tell(w);
                if (!r)
                        break;
                any = true;
        }
        for (size_t i = 0; i < w->n_clients; i++)
                for (int n = 0; w->clients[i] && n < 64 && sd_bus_process(w->clients[i], NULL) > 0; n++)
                        any = true;
        return any;
}

static void sleep_until_something(struct world *w, uint64_t limit_us) {
        struct pollfd fds[WORLD_CLIENTS_MAX + 1];
        uint64_t now = monotonic_us(), deadline = ocf_min_u64(bus_deadline(w->bus), now + limit_us);
        struct timespec t = { 0 };
        nfds_t n = 0;

        if (bus_fd(w->bus) >= 0)
                fds[n++] = (struct pollfd){ .fd = bus_fd(w->bus), .events = (short)bus_events(w->bus) };
        for (size_t i = 0; i < w->n_clients; i++)
                if (w->clients[i] && sd_bus_is_open(w->clients[i]) > 0)
                        fds[n++] = (struct pollfd){ .fd = sd_bus_get_fd(w->clients[i]),
                                                    .events = (short)sd_bus_get_events(w->clients[i]) };
        if (deadline > now)
                t.tv_nsec = (long)(deadline - now) * 1000;
        ppoll(fds, n, &t, NULL);
}

void world_turn(struct world *w) {
        if (!work(w))
                sleep_until_something(w, 50000);
}

void world_settle(struct world *w) {
        uint64_t quiet_since = monotonic_us(), deadline = 0;

        while (monotonic_us() - quiet_since < 60000) {
                assert_false(world_expired(&deadline));
                if (work(w))
                        quiet_since = monotonic_us();
                else
                        sleep_until_something(w, 10000);
        }
}

/* ---- calls ---- */

sd_bus_message *world_message(sd_bus *client, const char *path, const char *interface, const char *member) {
        sd_bus_message *m;

        assert_true(sd_bus_message_new_method_call(client, &m, OCFD, path, interface, member) >= 0);
        return m;
}

static int keep_reply(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        *(sd_bus_message **)userdata = sd_bus_message_ref(m);
        return 0;
}

sd_bus_message *world_ask(struct world *w, sd_bus *client, sd_bus_message *m_take) {
        sd_bus_message *reply = NULL;
        sd_bus_slot *slot;

        assert_true(sd_bus_call_async(client, &slot, m_take, keep_reply, &reply, 0) >= 0);
        WORLD_UNTIL(w, reply);
        sd_bus_slot_unref(slot);
        sd_bus_message_unref(m_take);
        return reply;
}

sd_bus_message *world_call(struct world *w, sd_bus *client, const char *path, const char *interface,
                           const char *member, const char *types, ...) {
        sd_bus_message *m = world_message(client, path, interface, member);
        va_list args;

        va_start(args, types);
        assert_true(sd_bus_message_appendv(m, types, args) >= 0);
        va_end(args);
        return world_ask(w, client, m);
}

sd_bus_message *world_registration(sd_bus *client) {
        sd_bus_message *m = world_message(client, "/org/ocfd", OCFD ".Manager1", "Register");

        assert_true(sd_bus_message_append_basic(m, 'o', "/") >= 0);
        assert_true(sd_bus_message_open_container(m, 'a', "(sa{sv})") >= 0);
        return m;
}

void world_add(sd_bus_message *m, const char *href, const char *types, ...) {
        va_list args;

        assert_true(sd_bus_message_open_container(m, 'r', "sa{sv}") >= 0);
        assert_true(sd_bus_message_append_basic(m, 's', href) >= 0);
        va_start(args, types);
        assert_true(sd_bus_message_appendv(m, types, args) >= 0);
        va_end(args);
        assert_true(sd_bus_message_close_container(m) >= 0);
}

sd_bus_message *world_register(struct world *w, sd_bus *client, sd_bus_message *m_take, const char *types,
                               ...) {
        va_list args;

        assert_true(sd_bus_message_close_container(m_take) >= 0);
        va_start(args, types);
        assert_true(sd_bus_message_appendv(m_take, types, args) >= 0);
        va_end(args);
        return world_ask(w, client, m_take);
}

const char *world_publish_lamp(struct world *w, sd_bus *client, const char *href) {
        static char path[BUS_PATH_MAX];
        sd_bus_message *m = world_registration(client), *reply;
        const char *app;

        world_add(m, href, "a{sv}", 3, "rt", "as", 1, "oic.r.switch.binary", "if", "as", 1, "oic.if.a",
                  "value", "a{sv}", 1, "value", "b", 0);
        reply = world_register(w, client, m, "a{sv}", 0);
        if (sd_bus_message_get_error(reply))
                fail_msg("%s", sd_bus_message_get_error(reply)->message);
        assert_true(sd_bus_message_read(reply, "o", &app) >= 0);
        snprintf(path, sizeof(path), "%s", app);
        sd_bus_message_unref(reply);
        return path;
}

const char *world_path_of(struct world *w, const char *href) {
        static char path[BUS_PATH_MAX];
        struct resource *r = model_resource_find(w->model, 0, span_of_string(href));

        assert_non_null(r);
        return bus_path(path, BUS_RESOURCES, r->number);
}

void assert_error(sd_bus_message *reply_take, const char *name, const char *part_of_text) {
        const sd_bus_error *e = sd_bus_message_get_error(reply_take);

        if (!e)
                fail_msg("no error, where %s was expected", name);
        else if (strcmp(e->name, name) != 0 || !strstr(e->message, part_of_text))
                fail_msg("%s: \"%s\", not %s: \"%s\"", e->name, e->message, name, part_of_text);
        sd_bus_message_unref(reply_take);
}

void assert_fine(sd_bus_message *reply_take) {
        const sd_bus_error *e = sd_bus_message_get_error(reply_take);

        if (e)
                fail_msg("%s: %s", e->name, e->message);
        sd_bus_message_unref(reply_take);
}
