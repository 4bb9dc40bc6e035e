#include "../unit.h"

#include "base/list.h"
#include "dbus/value.h"
#include "fake.h"
#include "json/rep_json.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PATH_OF_RESOURCES "/org/ocfd/resource"

static uint64_t now_us(void) {
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* ---- the bus ---- */

bool fake_has_bus(void) {
        return access("/usr/bin/dbus-daemon", X_OK) == 0;
}

/* That the socket is there is not enough: it may be bound, and nobody listens yet. */
static bool bus_answers(const char *path) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        bool answers;

        assert_true(fd >= 0);
        snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
        answers = connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0;
        close(fd);
        return answers;
}

void fake_bus_start(struct fake *f) {
        char config[128], path[128];
        bool answers;

        snprintf(path, sizeof(path), "%s/bus", f->directory);
        snprintf(config, sizeof(config), "--config-file=%s/bus.conf", f->directory);
        f->daemon = fork();
        assert_true(f->daemon >= 0);
        if (!f->daemon) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                execl("/usr/bin/dbus-daemon", "dbus-daemon", config, "--nofork", "--nopidfile", (char *)NULL);
                _exit(127);
        }
        answers = bus_answers(path);
        for (unsigned i = 0; i < 10000 && !answers; i++) {
                usleep(1000);
                answers = bus_answers(path);
        }
        assert_true(answers);
}

void fake_bus_kill(struct fake *f) {
        char path[128];

        kill(f->daemon, SIGKILL);
        waitpid(f->daemon, NULL, 0);
        f->daemon = 0;
        snprintf(path, sizeof(path), "%s/bus", f->directory);
        unlink(path);
        if (f->bus)
                fake_stop(f);
}

int fake_setup(void **state) {
        struct fake *f = calloc(1, sizeof(*f));
        char path[128];
        FILE *config;

        assert_non_null(f);
        strcpy(f->directory, "/tmp/ocfd-test-client-XXXXXX");
        assert_non_null(mkdtemp(f->directory));
        snprintf(f->address, sizeof(f->address), "unix:path=%s/bus", f->directory);
        snprintf(path, sizeof(path), "%s/bus.conf", f->directory);
        config = fopen(path, "w");
        assert_non_null(config);
        fprintf(config,
                "<busconfig><listen>%s</listen><auth>EXTERNAL</auth><policy context=\"default\"><allow "
                "user=\"*\"/>"
                "<allow own=\"*\"/><allow send_destination=\"*\"/><allow "
                "receive_sender=\"*\"/></policy></busconfig>",
                f->address);
        fclose(config);
        f->value = "{\"a\":1}";
        fake_bus_start(f);
        *state = f;
        return 0;
}

int fake_teardown(void **state) {
        struct fake *f = *state;
        char path[128];

        f->client = ocf_client_free(f->client);
        if (f->channel)
                close(f->channel);
        if (f->daemon)
                fake_bus_kill(f);
        snprintf(path, sizeof(path), "%s/bus.conf", f->directory);
        unlink(path);
        rmdir(f->directory);
        free(f);
        return 0;
}

/* ---- what it writes down ---- */

void fake_note(struct fake *f, const char *format, ...) {
        size_t n = strlen(f->log);
        va_list args;

        va_start(args, format);
        vsnprintf(f->log + n, sizeof(f->log) - n, format, args);
        va_end(args);
}

bool fake_logged(const struct fake *f, const char *text) {
        return strstr(f->log, text) != NULL;
}

unsigned fake_count(const struct fake *f, const char *text) {
        unsigned n = 0;

        for (const char *s = f->log; (s = strstr(s, text)); s++)
                n++;
        return n;
}

void fake_forget(struct fake *f) {
        f->log[0] = 0;
}

/* A v or an a{sv} of a message as JSON text. */
const char *fake_read_json(sd_bus_message *m, bool is_map) {
        static char text[70000];
        static uint8_t buf[200000];
        struct writer rep = writer_on(buf, sizeof(buf)), out = writer_on(text, sizeof(text) - 1);

        assert_int_equal(is_map ? value_read_map(m, &rep) : value_read(m, &rep), 0);
        assert_int_equal(rep_to_json_text(writer_span(&rep), &out), 0);
        text[out.n] = 0;
        return text;
}

struct span fake_rep(const char *json) {
        static uint8_t buf[4096];
        struct writer w = writer_on(buf, sizeof(buf));

        assert_int_equal(rep_from_json_text(span_of_string(json), &w), 0);
        return writer_span(&w);
}

struct ocf_value *fake_value(const char *json) {
        struct span rep = fake_rep(json);
        struct ocf_value *v;

        assert_int_equal(ocf_value_from_cbor(&v, rep.data, rep.n), 0);
        return v;
}

const char *fake_json(const struct ocf_value *v) {
        static char text[4096];
        struct writer out = writer_on(text, sizeof(text) - 1);
        uint8_t cbor[4096];
        size_t n;

        if (!v)
                return "none";
        assert_int_equal(ocf_value_to_cbor(v, cbor, sizeof(cbor), &n), 0);
        assert_int_equal(rep_to_json_text(span_of(cbor, n), &out), 0);
        text[out.n] = 0;
        return text;
}

/* ---- hrefs and objects: "/a/b" is /org/ocfd/resource/_2fa_2fb ---- */

static char *path_of(const char *href) {
        char *path;

        assert_true(sd_bus_path_encode(PATH_OF_RESOURCES, href, &path) >= 0);
        return path;
}

static char *href_of(const char *path) {
        char *href;

        assert_true(sd_bus_path_decode(path, PATH_OF_RESOURCES, &href) > 0);
        return href;
}

/* ---- Manager1 ---- */

int fake_reply_error(sd_bus_message *m, const char *name) {
        char full[64];

        snprintf(full, sizeof(full), "org.ocfd.Error.%s", name);
        return sd_bus_reply_method_errorf(m, full, "no: %s", name);
}

static void note_resource(struct fake *f, sd_bus_message *m) {
        const char *key, *s;
        int b;

        while (sd_bus_message_enter_container(m, 'e', "sv") > 0) {
                assert_true(sd_bus_message_read_basic(m, 's', &key) > 0);
                if (strcmp(key, "value") == 0) {
                        fake_note(f, " %s", fake_read_json(m, false));
                } else if (strcmp(key, "rt") == 0 || strcmp(key, "if") == 0) {
                        assert_true(sd_bus_message_enter_container(m, 'v', "as") > 0);
                        assert_true(sd_bus_message_enter_container(m, 'a', "s") > 0);
                        while (sd_bus_message_read_basic(m, 's', &s) > 0)
                                fake_note(f, " %s=%s", key, s);
                        sd_bus_message_exit_container(m);
                        sd_bus_message_exit_container(m);
                } else if (strcmp(key, "handler") == 0) {
                        assert_true(sd_bus_message_read(m, "v", "o", &s) > 0);
                        fake_note(f, " handler");
                } else if (strcmp(key, "n") == 0) {
                        assert_true(sd_bus_message_read(m, "v", "s", &s) > 0);
                        fake_note(f, " n=%s", s);
                } else {
                        bool is_default = strcmp(key, "insecure") != 0;

                        assert_true(sd_bus_message_read(m, "v", "b", &b) > 0);
                        if (b != is_default)
                                fake_note(f, " %s=%d", key, b);
                }
                sd_bus_message_exit_container(m);
        }
}

static int on_register(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        struct fake *f = userdata;
        const char *device, *href, *separator = ":";
        char *resources, *options;
        size_t before = strlen(f->log);

        assert_true(sd_bus_message_read_basic(m, 'o', &device) > 0);
        assert_true(sd_bus_message_enter_container(m, 'a', "(sa{sv})") > 0);
        while (sd_bus_message_enter_container(m, 'r', "sa{sv}") > 0) {
                assert_true(sd_bus_message_read_basic(m, 's', &href) > 0);
                assert_true(sd_bus_message_enter_container(m, 'a', "{sv}") >= 0);
                fake_note(f, "%s %s", separator, href);
                note_resource(f, m);
                sd_bus_message_exit_container(m);
                sd_bus_message_exit_container(m);
                separator = ";";
        }
        sd_bus_message_exit_container(m);
        resources = strdup(f->log + before);
        options = strdup(fake_read_json(m, true));
        f->log[before] = 0;
        fake_note(f, "Register %s %s%s\n", device, options, resources);
        free(resources);
        free(options);
        if (f->refuse)
                return fake_reply_error(m, f->refuse);
        snprintf(f->app, sizeof(f->app), "%s", sd_bus_message_get_sender(m));
        return sd_bus_reply_method_return(m, "o", "/org/ocfd/app/1");
}

static int answer_find(struct fake *f, sd_bus_message *m) {
        const char *device, *href;
        char *path;
        int r;

        assert_true(sd_bus_message_rewind(m, true) >= 0);
        assert_true(sd_bus_message_read(m, "os", &device, &href) > 0);
        if (f->absent && strcmp(f->absent, href) == 0)
                return fake_reply_error(m, "NotFound");
        path = path_of(href);
        r = sd_bus_reply_method_return(m, "o", path);
        free(path);
        return r;
}

static int on_get_resource(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        struct fake *f = userdata;

        if (!f->is_slow_to_find)
                return answer_find(f, m);
        assert_true(f->n_finding < ARRAY_SIZE(f->finding));
        f->finding[f->n_finding++] = sd_bus_message_ref(m);
        return 1;
}

void fake_found(struct fake *f) {
        for (size_t i = 0; i < f->n_finding; i++) {
                assert_true(answer_find(f, f->finding[i]) >= 0);
                sd_bus_message_unref(f->finding[i]);
        }
        f->n_finding = 0;
        f->is_slow_to_find = false;
}

/* ---- Application1 ---- */

static int on_publish(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        struct fake *f = userdata;
        const char *href;

        assert_true(sd_bus_message_read_basic(m, 's', &href) > 0);
        fake_note(f, "Publish %s", href);
        fake_note(f, " %s\n", fake_read_json(m, true));
        if (f->is_mute)
                return 1;
        return f->fails ? fake_reply_error(m, f->fails) : sd_bus_reply_method_return(m, NULL);
}

static int on_changed(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const char *href;

        assert_true(sd_bus_message_read_basic(m, 's', &href) > 0);
        fake_note(userdata, "Changed %s\n", href);
        return sd_bus_reply_method_return(m, NULL);
}

static int on_unregister(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const char *href;

        fake_note(userdata, "Unregister");
        assert_true(sd_bus_message_enter_container(m, 'a', "s") >= 0);
        while (sd_bus_message_read_basic(m, 's', &href) > 0)
                fake_note(userdata, " %s", href);
        fake_note(userdata, "\n");
        return sd_bus_reply_method_return(m, NULL);
}

/* ---- Resource1 ---- */

int fake_answer_request(struct fake *f, sd_bus_message *m, const char *of) {
        const char *member = sd_bus_message_get_member(m), *options, *value;
        sd_bus_message *reply = NULL;

        fake_note(f, "%s %s", member, of);
        if (strcmp(member, "StopObserve") == 0) {
                fake_note(f, "\n");
                return sd_bus_reply_method_return(m, NULL);
        }
        if (strcmp(member, "Update") == 0 || strcmp(member, "Create") == 0)
                fake_note(f, " %s", fake_read_json(m, false));
        options = fake_read_json(m, true);
        if (strstr(options, "oic.if.create"))
                fake_note(f, " through oic.if.create");
        value = strstr(options, "\"query\":\"");
        fake_note(f, "%s%.*s\n", value ? " ?" : "", value ? (int)strcspn(value + 9, "\"") : 0,
                  value ? value + 9 : "");
        if (f->is_mute)
                return 1;
        if (f->fails)
                return fake_reply_error(m, f->fails);
        assert_true(sd_bus_message_new_method_return(m, &reply) >= 0);
        if (strcmp(member, "Delete") != 0)
                assert_int_equal(value_append(reply, fake_rep(f->value)), 0);
        assert_true(sd_bus_message_append(reply, "a{sv}", 1, "code", "s", "2.05") >= 0);
        assert_true(sd_bus_send(f->bus, reply, NULL) >= 0);
        sd_bus_message_unref(reply);
        return 1;
}

static int on_request(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        char *href = href_of(sd_bus_message_get_path(m));
        int r = fake_answer_request(userdata, m, href);

        free(href);
        return r;
}

static int on_acquire_channel(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        struct fake *f = userdata;
        int r, fds[2];

        if (!f->has_channels)
                return sd_bus_reply_method_errorf(m, "org.ocfd.Error.LimitsExceeded", "no");
        assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
        if (f->channel)
                close(f->channel);
        f->channel = fds[0];
        fake_note(f, "AcquireChannel\n");
        r = sd_bus_reply_method_return(m, "h", fds[1]);
        close(fds[1]);
        return r;
}

static const sd_bus_vtable manager[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD("Register", "oa(sa{sv})a{sv}", "o", on_register, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("GetResource", "os", "o", on_get_resource, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_VTABLE_END,
};

static const sd_bus_vtable application[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD("Publish", "sa{sv}a{sv}", "", on_publish, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("Changed", "s", "", on_changed, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("Unregister", "as", "", on_unregister, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("AcquireChannel", "a{sv}", "h", on_acquire_channel, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_VTABLE_END,
};

static const sd_bus_vtable resource[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD("Retrieve", "a{sv}", "va{sv}", on_request, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("Update", "va{sv}", "va{sv}", on_request, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("Create", "va{sv}", "va{sv}", on_request, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("Delete", "a{sv}", "a{sv}", on_request, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("Observe", "a{sv}", "va{sv}", on_request, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("StopObserve", "", "", on_request, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_VTABLE_END,
};

static int find_self(sd_bus *bus, const char *path, const char *interface, void *userdata, void **ret,
                     sd_bus_error *e) {
        *ret = userdata;
        return 1;
}

void fake_start(struct fake *f) {
        assert_true(sd_bus_new(&f->bus) >= 0);
        assert_true(sd_bus_set_address(f->bus, f->address) >= 0);
        assert_true(sd_bus_set_bus_client(f->bus, true) >= 0);
        assert_true(sd_bus_start(f->bus) >= 0);
        assert_true(sd_bus_add_object_vtable(f->bus, NULL, "/org/ocfd", "org.ocfd.Manager1", manager, f) >=
                    0);
        assert_true(sd_bus_add_object_vtable(f->bus, NULL, "/org/ocfd/app/1", "org.ocfd.Application1",
                                             application, f) >= 0);
        assert_true(sd_bus_add_fallback_vtable(f->bus, NULL, PATH_OF_RESOURCES, "org.ocfd.Resource1",
                                               resource, find_self, f) >= 0);
        fake_remote_start(f);
        assert_true(sd_bus_request_name(f->bus, "org.ocfd", 0) >= 0);
}

void fake_stop(struct fake *f) {
        for (size_t i = 0; i < f->n_finding; i++)
                sd_bus_message_unref(f->finding[i]);
        f->n_finding = 0;
        f->bus = sd_bus_close_unref(f->bus);
}

/* ---- what it sends ---- */

static sd_bus_message *new_signal(struct fake *f, const char *href, const char *member) {
        char *path = path_of(href);
        sd_bus_message *m = NULL;

        assert_true(sd_bus_message_new_signal(f->bus, &m, path, "org.ocfd.Resource1", member) >= 0);
        assert_true(sd_bus_message_set_destination(m, f->app) >= 0);
        free(path);
        return m;
}

static void send_signal(struct fake *f, sd_bus_message *m) {
        assert_true(sd_bus_send(f->bus, m, NULL) >= 0);
        sd_bus_message_unref(m);
}

void fake_updated(struct fake *f, const char *href, const char *json) {
        sd_bus_message *m = new_signal(f, href, "Updated");

        assert_int_equal(value_append_map(m, fake_rep(json)), 0);
        assert_true(sd_bus_message_append(m, "a{sv}", 1, "uid", "u", 0) >= 0);
        send_signal(f, m);
}

void fake_notified(struct fake *f, const char *href, const char *json, uint64_t missed, const char *error) {
        sd_bus_message *m = new_signal(f, href, "Notified");

        assert_int_equal(value_append(m, fake_rep(json)), 0);
        if (error)
                assert_true(sd_bus_message_append(m, "a{sv}", 1, "error", "s", error) >= 0);
        else
                assert_true(sd_bus_message_append(m, "a{sv}", 1, "missed", "t", missed) >= 0);
        send_signal(f, m);
}

static int on_answer(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        struct fake *f = userdata;
        const sd_bus_error *e = sd_bus_message_get_error(m);

        f->is_answered = true;
        if (e)
                snprintf(f->answer, sizeof(f->answer), "ERROR %s: %s", e->name, e->message);
        else
                snprintf(f->answer, sizeof(f->answer), "%s", fake_read_json(m, true));
        return 0;
}

void fake_handle(struct fake *f, const char *method, const char *href, const char *json, const char *extra) {
        sd_bus_message *m = NULL;

        f->is_answered = false;
        assert_true(sd_bus_message_new_method_call(f->bus, &m, f->app, "/org/ocfclient", "org.ocfd.Handler1",
                                                   "Handle") >= 0);
        assert_true(sd_bus_message_append(m, "ss", method, href) >= 0);
        assert_true(sd_bus_message_open_container(m, 'a', "{sv}") >= 0);
        assert_true(sd_bus_message_append(m, "{sv}{sv}", "interface", "s", "oic.if.a", "query", "s", "x=y") >=
                    0);
        if (json) {
                assert_true(sd_bus_message_open_container(m, 'e', "sv") >= 0);
                assert_true(sd_bus_message_append_basic(m, 's', "value") >= 0);
                assert_int_equal(value_append(m, fake_rep(json)), 0);
                assert_true(sd_bus_message_close_container(m) >= 0);
        }
        if (extra)
                assert_true(sd_bus_message_append(m, "{sv}", extra, "b", true) >= 0);
        assert_true(sd_bus_message_close_container(m) >= 0);
        assert_true(sd_bus_call_async(f->bus, NULL, m, on_answer, f, 5000000) >= 0);
        sd_bus_message_unref(m);
}

/* ---- turns ---- */

void fake_process(struct fake *f) {
        while (f->bus && sd_bus_process(f->bus, NULL) > 0)
                ;
}

void fake_turn(struct fake *f) {
        struct pollfd fds[2] = { { -1, POLLIN, 0 }, { -1, POLLIN, 0 } };

        fake_process(f);
        if (f->client) {
                int r = ocf_client_process(f->client);

                assert_true(r == 0 || r == -ECANCELED);
                if (r)
                        f->client = NULL;
        }
        fake_process(f);
        if (f->bus)
                fds[0].fd = sd_bus_get_fd(f->bus);
        if (f->client)
                fds[1].fd = ocf_client_fd(f->client);
        (void)poll(fds, 2, 10);
}

bool fake_expired(uint64_t *deadline_us) {
        if (!*deadline_us)
                *deadline_us = now_us() + 60000000; /* valgrind, on a busy machine */
        return now_us() > *deadline_us;
}

void fake_settle(struct fake *f) {
        uint64_t end_us = now_us() + 150000;

        while (now_us() < end_us)
                fake_turn(f);
}
