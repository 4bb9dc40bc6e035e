#include "../unit.h"
#include "world.h"

#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

/* AcquireChannel: who may, who has it, and who takes it for a way to do harm. */

#define ERROR(name) "org.ocfd.Error." name
#define APPLICATION OCFD ".Application1"

static const char *register_handled(struct world *w, sd_bus *client, const char *href) {
        static char path[BUS_PATH_MAX];
        sd_bus_message *m = world_registration(client), *reply;
        const char *app;

        world_add(m, href, "a{sv}", 3, "rt", "as", 1, "x.a", "if", "as", 1, "oic.if.a", "handler", "o", "/h");
        reply = world_register(w, client, m, "a{sv}", 0);
        assert_true(sd_bus_message_read(reply, "o", &app) >= 0);
        snprintf(path, sizeof(path), "%s", app);
        sd_bus_message_unref(reply);
        return path;
}

/* The application's end of a new channel. */
static int acquire(struct world *w, sd_bus *client, const char *path) {
        sd_bus_message *reply = world_call(w, client, path, APPLICATION, "AcquireChannel", "a{sv}", 0);
        int fd;

        if (sd_bus_message_get_error(reply))
                fail_msg("%s", sd_bus_message_get_error(reply)->message);
        assert_true(sd_bus_message_read(reply, "h", &fd) > 0);
        fd = dup(fd);
        sd_bus_message_unref(reply);
        return fd;
}

static void requests_take_it(void **state) {
        struct world *w = *state;
        sd_bus *app = world_client(w), *other = world_client(w);
        char href[16] = "";
        int fd;

        fd = acquire(w, app, register_handled(w, app, "/lamp"));
        assert_fine(
                world_call(w, other, world_path_of(w, "/lamp"), OCFD ".Resource1", "Retrieve", "a{sv}", 0));
        assert_int_equal(recv(fd, href, sizeof(href), MSG_DONTWAIT), 5);
        assert_memory_equal(href, "/lamp", 5);
        close(fd);
        world_client_close(w, app);
        WORLD_UNTIL(w, w->n_channels == 0); /* it goes with the connection */
}

static void only_the_owner_gets_it(void **state) {
        struct world *w = *state;
        sd_bus *app = world_client(w), *other = world_client(w);
        const char *path = register_handled(w, app, "/lamp");

        assert_error(world_call(w, other, path, APPLICATION, "AcquireChannel", "a{sv}", 0),
                     ERROR("NotAllowed"), "registered");
        assert_error(world_call(w, app, path, APPLICATION, "AcquireChannel", "a{sv}", 1, "size", "u", 7),
                     ERROR("InvalidArguments"), "no options");
        w->refuses_channels = true;
        assert_error(world_call(w, app, path, APPLICATION, "AcquireChannel", "a{sv}", 0),
                     ERROR("LimitsExceeded"), "as many channels");
        assert_int_equal(w->n_channels, 0);
}

static void a_second_replaces_the_first(void **state) {
        struct world *w = *state;
        sd_bus *app = world_client(w);
        const char *path = register_handled(w, app, "/lamp");
        int fds[2];
        char byte;

        fds[0] = acquire(w, app, path);
        world_settle(w);
        fds[1] = acquire(w, app, path);
        assert_int_equal(w->n_channels, 1);
        assert_int_equal(recv(fds[0], &byte, 1, MSG_DONTWAIT), 0);
        assert_true(recv(fds[1], &byte, 1, MSG_DONTWAIT) < 0);
        close(fds[0]);
        close(fds[1]);
}

static int count(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        unsigned *n = userdata;

        n[sd_bus_message_is_method_error(m, NULL) ? 1 : 0]++;
        return 0;
}

/* The bus keeps the descriptors of those who do not read, and listens to us no more at 64 of them. */
static void descriptors_that_nobody_takes(void **state) {
        struct world *w = *state;
        sd_bus *good = world_client(w), *foes[24];
        unsigned n[2] = { 0 };

        for (size_t i = 0; i < ARRAY_SIZE(foes); i++) {
                char href[16];
                const char *path;

                foes[i] = world_client(w);
                snprintf(href, sizeof(href), "/foe/%zu", i);
                path = register_handled(w, foes[i], href);
                world_settle(w);
                world_deaf(w, foes[i]);
                for (int k = 0; k < 20; k++) {
                        sd_bus_message *m = world_message(foes[i], path, APPLICATION, "AcquireChannel");

                        assert_true(sd_bus_message_append(m, "a{sv}", 0) >= 0);
                        assert_true(sd_bus_call_async(foes[i], NULL, m, count, n, 0) >= 0);
                        sd_bus_message_unref(m);
                }
                assert_true(sd_bus_flush(foes[i]) >= 0);
                world_settle(w);
        }
        assert_int_equal(n[0] + n[1], 0);
        world_publish_lamp(w, good, "/lamp"); /* everybody else is heard */
        for (size_t i = 0; i < ARRAY_SIZE(foes); i++)
                world_listen(w, foes[i]);
        WORLD_UNTIL(w, n[0] + n[1] == 20 * ARRAY_SIZE(foes));
        assert_in_range(n[0], 1, 16);
        world_settle(w); /* they have read all: so they may again */
        close(acquire(w, foes[20], register_handled(w, foes[20], "/foe/again")));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(requests_take_it),
                TEST(only_the_owner_gets_it),
                TEST(a_second_replaces_the_first),
                TEST(descriptors_that_nobody_takes),
        };

        if (!world_has_bus()) {
                printf("SKIP: there is no dbus-daemon\n");
                return 77;
        }
        return cmocka_run_group_tests(tests, NULL, NULL);
}
