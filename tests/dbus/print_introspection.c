/* Prints what the daemon's objects say of themselves: test_contract.py compares it with data/dbus. */
#include "../unit.h"
#include "world.h"

#include <stdio.h>

static void print(struct world *w, sd_bus *client, const char *path) {
        sd_bus_message *reply =
                world_call(w, client, path, "org.freedesktop.DBus.Introspectable", "Introspect", "");
        const char *xml;

        assert_true(sd_bus_message_read(reply, "s", &xml) >= 0);
        printf("=== %s\n%s\n", path, xml);
        sd_bus_message_unref(reply);
}

int main(void) {
        struct world *w;
        sd_bus *client;
        char resource[BUS_PATH_MAX];

        if (!world_has_bus())
                return 77;
        world_setup((void **)&w);
        client = world_client(w);
        print(w, client, world_publish_lamp(w, client, "/lamp"));
        print(w, client, world_path_of(w, "/lamp"));
        print(w, client, "/org/ocfd");
        print(w, client, "/org/ocfd/device/0");
        print(w, client, "/org/ocfd/device");
        snprintf(resource, sizeof(resource), "%s/1", world_remote(w, 7, "Lamp", 1));
        world_job(w, 1, "running", "owner key");
        print(w, client, world_remote(w, 7, "Lamp", 1));
        print(w, client, resource);
        print(w, client, "/org/ocfd/remote");
        print(w, client, "/org/ocfd/job/1");
        world_teardown((void **)&w);
        return 0;
}
